//! A statistic's value for one column of two profiles, without a verdict: what SQL asks for.
//!
//! **Invariant:** the value is that of [`compare`](super::compare::compare) for the same two profiles, bit for bit.

use std::ops::Range;

use super::Reference;
use super::column::{Prepared, moments, support};
use crate::profile::{Cells, ColumnProfile, Layout, LayoutColumn, Profile};
use crate::stats::bins::DEFAULT_BINS;
use crate::stats::wasserstein::{self, Axis};
use crate::stats::{Data, Statistic, mean_shift};

/// The value of `statistic` between two profiles of `layout`'s first column. `None` where it does not apply to the
/// column, a side has no row or no finite value that it needs, or the profiles are not of that layout.
///
/// ```
/// use std::sync::Arc;
/// use driftline::event::{Batch, Column};
/// use driftline::profile::{ColumnRules, CompiledLayout, Field, Layout, Observed, Profile, Sample};
/// use driftline::reference::value;
/// use driftline::stats::Statistic;
///
/// let mut sample = Sample::new();
/// for x in 0..100 {
///     sample.row();
///     sample.observe(&Field::Feature, "x", Observed::Number(f64::from(x)));
/// }
/// let layout = Layout::learn(&sample, &ColumnRules::default());
/// let layout = Arc::new(Layout::of_one(&layout.columns[0]));
/// let count = |shift: f64| {
///     let values: arrow::array::Float64Array = (0..100).map(|x| Some(f64::from(x) + shift)).collect();
///     let column = Column { values: Arc::new(values), states: vec![0; 100] };
///     let batch = Batch { ts: vec![0; 100], columns: vec![column], ..Batch::default() };
///     let mut profile = Profile::new(&layout);
///     profile.update(&CompiledLayout::new(Arc::clone(&layout)), &batch, &(0..100).collect::<Vec<u32>>());
///     profile
/// };
/// let shift = value(Statistic::MeanShift, &layout, &count(0.0), &count(29.011_491_975_882_016));
/// assert!((shift.unwrap() - 1.0).abs() < 1e-9);
/// ```
pub fn value(
    statistic: Statistic,
    layout: &Layout,
    reference: &Profile,
    current: &Profile,
) -> Option<f64> {
    let column = layout.columns.first()?;
    let counted = current.columns.first()?;
    let entry = statistic.entry();
    let numeric = matches!(column.cells, Cells::Numeric(_));
    let applies = entry.from == Data::Profile && entry.applies.to(numeric);
    if !applies || reference.rows == 0 || current.rows == 0 {
        return None;
    }
    let reference = Reference {
        hash: String::new(),
        model: String::new(),
        source: String::new(),
        span: None,
        layout_hash: String::new(),
        profile: reference.clone(),
        blocks: Vec::new(),
    };
    let prepared = Prepared::new(&reference, column, 0, DEFAULT_BINS)?;
    let (atoms, bins) = prepared.counts(column, counted)?;
    let evidence = &prepared.evidence;
    match statistic {
        Statistic::MeanShift => prepared.mean_shift(column, counted).map(f64::abs),
        Statistic::Wasserstein => Some(prepared.wasserstein(counted, &atoms)?.value),
        // Over the cells in their order, missing values first.
        Statistic::KolmogorovSmirnov => statistic.of_counts(&evidence.reference, &atoms),
        _ => statistic.of_counts(&prepared.beside(&bins), &bins),
    }
}

/// A Wasserstein distance in standard deviations of the reference.
pub(super) struct Scaled {
    pub value: f64,
    pub effect: f64,
    pub error_bound: f64,
}

/// At most so many of a sample's rows are few for an outer cell: four times as many as each of 256 equal cells has.
const FEW: f64 = 4.0 / 256.0;

/// The axis of a reference and a window, and the unit of distances on it.
pub(super) struct Ruler<'a> {
    prepared: &'a Prepared,
    /// The atoms that hold finite values.
    values: Range<usize>,
    axis: Axis,
    scale: f64,
}

impl Ruler<'_> {
    /// Of two samples by atom that lie where the reference and the window do.
    pub fn distance(&self, reference: &[u64], current: &[u64]) -> wasserstein::Distance {
        let values =
            |atoms: &[u64]| self.prepared.values_with_left(atoms)[self.values.clone()].to_vec();
        self.axis
            .distance(&values(reference), &values(current), self.scale)
    }
}

impl Prepared {
    /// `None` where a side has no finite value.
    pub(super) fn wasserstein(&self, current: &ColumnProfile, atoms: &[u64]) -> Option<Scaled> {
        let found = self
            .ruler(current, atoms)?
            .distance(&self.evidence.reference, atoms);
        Some(Scaled {
            value: found.value,
            effect: wasserstein::effect(&found),
            error_bound: found.error_bound,
        })
    }

    /// What distances between the reference and `current` are measured with; `None` where a side has no finite value.
    ///
    /// Where a sample's outer cells end is luck, if hardly any rows are in them: a larger sample reaches farther. With its
    /// own end for each side that would be a distance that no drawn window has, and the larger both are the more it is of
    /// what chance makes (with 10,000 rows on the smaller side quiet windows spoke in 7 % of cases at a nominal 5 %). So the
    /// window's outer cell then ends where the reference's does, as in every draw.
    pub(super) fn ruler(&self, current: &ColumnProfile, atoms: &[u64]) -> Option<Ruler<'_>> {
        let ranks = self.evidence.ranks.as_ref()?;
        let support = support(current.numeric()?)?;
        let sides = [&self.evidence.reference[..], atoms];
        let sides = sides.map(|atoms| self.values_with_left(atoms)[ranks.values.clone()].to_vec());
        let is_luck = |at: fn(&[u64]) -> Option<&u64>| {
            sides.iter().all(|counts| {
                let all: f64 = counts.iter().map(|&count| count as f64).sum();
                at(counts).is_some_and(|&count| count as f64 <= FEW * all)
            })
        };
        let mut laid = support;
        if ranks.edges.first().is_some_and(|&edge| support.min <= edge) && is_luck(<[u64]>::first) {
            laid.min = ranks.support.min;
        }
        if ranks.edges.last().is_some_and(|&edge| support.max > edge) && is_luck(<[u64]>::last) {
            laid.max = ranks.support.max;
        }
        Some(Ruler {
            prepared: self,
            values: ranks.values.clone(),
            axis: Axis::new(&ranks.edges, ranks.support, laid).reaching(laid, support),
            // Where all finite values of both sides are one number every distance is 0, whatever the scale.
            scale: wasserstein::scale(ranks.deviation, ranks.support, support).unwrap_or(1.0),
        })
    }

    /// The signed shift of the mean; `None` where a side has no value behind its sums.
    fn mean_shift(&self, column: &LayoutColumn, current: &ColumnProfile) -> Option<f64> {
        let Cells::Numeric(cells) = &column.cells else {
            return None;
        };
        let current = moments(cells, current.numeric()?)?;
        Some(mean_shift::shift(&self.moments?, &current))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DAY, Span};
    use crate::reference::{NullCache, Plan, compare, sample};
    use crate::stats::table;

    /// Values that a verdict shows are values that this gives.
    #[track_caller]
    fn check(layout: &Layout, reference: &[f64], current: &[f64], text: &str) {
        let block = sample::block(layout, 0, reference, "a");
        let known = Reference::from_blocks("m", "file: f", layout, vec![block]).expect("one block");
        let window = sample::profile(layout, current, text);
        let cache = NullCache::new();
        let plan = Plan {
            layout,
            reference: Some(&known),
            window: Span::new(0, DAY),
            min_rows: 1,
            level: 0.05,
            for_k: 1,
            for_n: 1,
            every: DAY,
            statistics: Some(table().iter().map(|entry| entry.statistic).collect()),
            cache: &cache,
        };
        let columns: Vec<String> = layout.columns.iter().map(|c| c.name.clone()).collect();
        let scores = compare(&plan, &window, &columns);
        let wanted = table().iter().filter(|entry| entry.from == Data::Profile);
        assert!(scores.len() > wanted.count());
        for score in scores {
            let statistic = Statistic::parse(&score.statistic).expect("a known one");
            let index = layout.column(&score.column).expect("a known column");
            let one = Layout::of_one(&layout.columns[index]);
            let of_one = |profile: &Profile| profile.of_one(index, &one).expect("it is there");
            let found = value(statistic, &one, &of_one(&known.profile), &of_one(&window));
            assert_eq!(
                found.map(f64::to_bits),
                score.value.map(f64::to_bits),
                "{} of {}",
                score.statistic,
                score.column
            );
        }
    }

    #[test]
    fn a_value_is_that_of_the_verdict() {
        let layout = sample::layout();
        let some: Vec<f64> = (0..300).map(|i| f64::from(i * 7 % 19)).collect();
        let other: Vec<f64> = (0..200).map(|i| f64::from(i * 5 % 23) + 0.5).collect();
        check(&layout, &some, &some, "a");
        check(&layout, &some, &other, "new");
        check(&layout, &some, &[f64::NAN; 20], "a");
        let constant = sample::layout_with(Vec::new(), 5.0);
        check(&constant, &[5.0; 50], &[5.0; 50], "a");
        check(&constant, &[5.0; 50], &[6.0, 5.0, 5.0, 4.0], "a");
    }

    #[test]
    fn where_there_is_nothing_to_measure_there_is_no_value() {
        let layout = sample::layout();
        let (numeric, text) = (
            layout.column("x").expect("a number"),
            layout.column("c").expect("a text"),
        );
        let full = sample::profile(&layout, &[1.0, 2.0, 3.0], "a");
        let empty = Profile::new(&layout);
        let of = |index: usize, statistic, reference: &Profile, current: &Profile| {
            let one = Layout::of_one(&layout.columns[index]);
            let of_one = |profile: &Profile| profile.of_one(index, &one).expect("it is there");
            value(statistic, &one, &of_one(reference), &of_one(current))
        };
        assert_eq!(of(numeric, Statistic::Psi, &empty, &full), None);
        assert_eq!(of(numeric, Statistic::Psi, &full, &empty), None);
        assert_eq!(of(numeric, Statistic::Psi, &full, &full), Some(0.0));
        assert_eq!(of(text, Statistic::KolmogorovSmirnov, &full, &full), None);
        assert_eq!(of(text, Statistic::JensenShannon, &full, &full), Some(0.0));
    }
}
