//! Two samples and nothing else: p-values and thresholds where there are no blocks to learn from.
//!
//! A file against a file has no windows, so nothing is known of how much two quiet samples differ beyond what rows
//! drawn alike would; every answer therefore says [`ThresholdSource::AssumesIndependence`]. Where the statistic has a
//! closed two-sample form and every pooled expected count is large it is used, and no random number is. Elsewhere the
//! labels of the pooled rows are redrawn: [`calibrate`] and [`tables`] draw tables with the margins of the two samples,
//! whatever their number of rows; [`permutations`] shuffles the labels of rows, for statistics that need them.
//!
//! **Invariant:** a function of counts, level and seed. A value exceeds its threshold where, and only where, its
//! p-value is at most the level. Deliberately absent: verdicts and floors.

use rand_pcg::Pcg64Mcg;

use super::fitted::Fitted;
use super::null::{chi_squared_quantile, draws_for};
use super::sequential::{Drawn, Sequential};
use super::shuffle::{self, Labels};
use crate::stats::score::ThresholdSource;
use crate::stats::{Data, Statistic, degrees, occupied, total};

/// How finely, how long and from which seed random draws are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draws {
    /// Chance, under no drift, of exceeding the threshold.
    pub level: f64,
    pub seed: u64,
    /// Most draws; fewer are made of a value that is soon seen to be quiet.
    pub most: u32,
}

impl Draws {
    /// As many as the level asks for: 2,000 down to a level of 0.5 %, then 10/level, at most 50,000.
    ///
    /// ```
    /// use driftline::reference::two_sample::Draws;
    /// assert_eq!(Draws::new(0.05, 1).most, 2_000);
    /// assert_eq!(Draws::new(0.001, 1).most, 10_000);
    /// ```
    pub fn new(level: f64, seed: u64) -> Self {
        Self {
            level,
            seed,
            most: draws_for(level),
        }
    }

    /// A level that can be computed with: not a number, 0 and less are the smallest positive one, above 1 is 1.
    fn checked_level(&self) -> f64 {
        if self.level.is_nan() {
            return f64::MIN_POSITIVE;
        }
        self.level.clamp(f64::MIN_POSITIVE, 1.0)
    }
}

/// How the bins that rows are counted in came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bins {
    /// Independently of which side a row is on: given edges, or every category of either side.
    Given,
    /// The first `cells` bins are ranges of values that end at quantiles of the reference; others, for what is missing,
    /// may follow. The reference's counts are then fixed by the choice, and the truth is drawn instead (see `fitted`):
    /// exact for numbers without ties.
    OfReference { cells: usize },
}

/// How surprising a value is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surprise {
    /// Chance, under no drift, of a value at least this large. Never 0.
    pub p_value: f64,
    /// Exceeding it is p ≤ level. `None`: the level is beneath what the draws and their tail can serve.
    pub threshold: Option<f64>,
    pub source: ThresholdSource,
    /// Draws made; `None` for a closed form.
    pub draws: Option<u32>,
    /// Whether threshold and p-value rest on the fitted tail of the draws (see `stats::tail`).
    pub extrapolated: bool,
}

impl From<Drawn> for Surprise {
    fn from(drawn: Drawn) -> Self {
        Self {
            p_value: drawn.p_value,
            threshold: drawn.threshold,
            source: ThresholdSource::AssumesIndependence,
            draws: Some(drawn.draws),
            extrapolated: drawn.extrapolated,
        }
    }
}

/// One statistic of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    pub statistic: Statistic,
    pub value: f64,
    /// The value less what chance alone makes of it, not below 0.
    pub effect: f64,
    pub surprise: Surprise,
}

/// Every one of `statistics` that counts can say, for counts of the same bins, in the order asked for. What needs more
/// than counts (Wasserstein, the mean's shift, everything on rows) is left out; ask [`tables`] or [`permutations`].
/// [`Statistic::KolmogorovSmirnov`] takes the bins to stand in ascending order.
///
/// ```
/// use driftline::reference::two_sample::{Bins, Draws, calibrate};
/// use driftline::stats::Statistic;
/// let statistics = [Statistic::ChiSquared, Statistic::TotalVariation];
/// let (a, b) = ([40, 30, 20, 10], [10, 20, 30, 40]);
/// let found = calibrate(&a, &b, Bins::Given, &statistics, &Draws::new(0.01, 7));
/// // A closed form, then 2000 tables, none of which differs as much.
/// assert!(found[0].surprise.draws.is_none() && found[0].surprise.p_value < 1e-7);
/// assert_eq!(found[1].surprise.draws, Some(2_000));
/// assert!((found[1].surprise.p_value - 1.0 / 2_001.0).abs() < 1e-12);
/// assert!(found.iter().all(|one| one.surprise.threshold.is_some_and(|threshold| one.value > threshold)));
/// ```
pub fn calibrate(
    reference: &[u64],
    current: &[u64],
    bins: Bins,
    statistics: &[Statistic],
    draws: &Draws,
) -> Vec<Compared> {
    let level = draws.checked_level();
    let (n, m) = (total(reference), total(current));
    let free = degrees(occupied(reference, current));
    let mut found: Vec<Compared> = Vec::with_capacity(statistics.len());
    let mut open: Vec<usize> = Vec::new();
    for &statistic in statistics {
        let value = match statistic.entry().from {
            Data::Profile => statistic.of_counts(reference, current),
            _ => None,
        };
        let effect = value.and_then(|v| statistic.effect_of_counts(v, reference, current));
        let (Some(value), Some(effect)) = (value, effect) else {
            continue;
        };
        let closed = statistic
            .chi_squared_p(reference, current)
            .filter(|_| free > 0.0)
            .zip(statistic.at_chi_squared(chi_squared_quantile(level, free), n, m));
        if closed.is_none() {
            open.push(found.len());
        }
        let (p_value, threshold) = closed.unwrap_or((1.0, 0.0));
        found.push(Compared {
            statistic,
            value,
            effect,
            surprise: Surprise {
                p_value: p_value.max(f64::MIN_POSITIVE),
                threshold: Some(threshold),
                source: ThresholdSource::AssumesIndependence,
                draws: None,
                extrapolated: false,
            },
        });
    }
    let values: Vec<f64> = open.iter().map(|&at| found[at].value).collect();
    let names: Vec<Statistic> = open.iter().map(|&at| found[at].statistic).collect();
    let surprises = tables_in(reference, current, bins, &values, draws, |which, a, b| {
        names[which].of_counts(a, b).unwrap_or(0.0)
    });
    for (at, surprise) in open.into_iter().zip(surprises) {
        found[at].surprise = surprise;
    }
    found
}

/// How surprising each of `observed` is, which `score(i, reference, current)` gave for the two samples' own counts,
/// under every table with the same margins. All share the tables. Cells past the shorter slice are not drawn.
///
/// ```
/// use driftline::reference::two_sample::{Draws, tables};
/// use driftline::stats::l_infinity;
/// let (a, b) = ([9, 3, 0, 1], [2, 4, 3, 3]);
/// let (observed, draws) = ([l_infinity::distance(&a, &b)], Draws::new(0.05, 1));
/// let found = tables(&a, &b, &observed, &draws, |_, a, b| l_infinity::distance(a, b));
/// assert!(found[0].p_value > 0.01 && found[0].p_value < 0.1, "{:?}", found[0]);
/// ```
pub fn tables(
    reference: &[u64],
    current: &[u64],
    observed: &[f64],
    draws: &Draws,
    score: impl FnMut(usize, &[u64], &[u64]) -> f64,
) -> Vec<Surprise> {
    tables_in(reference, current, Bins::Given, observed, draws, score)
}

/// As [`tables`], for bins that came about as `bins` says: where they are the reference's own, its counts stay, and
/// windows are drawn from the truths that it leaves possible.
pub fn tables_in(
    reference: &[u64],
    current: &[u64],
    bins: Bins,
    observed: &[f64],
    draws: &Draws,
    mut score: impl FnMut(usize, &[u64], &[u64]) -> f64,
) -> Vec<Surprise> {
    let pooled: Vec<u64> = reference
        .iter()
        .zip(current)
        .map(|(&a, &b)| a.saturating_add(b))
        .collect();
    let rows = current
        .iter()
        .take(pooled.len())
        .fold(0_u64, |sum, &count| sum.saturating_add(count));
    let (mut a, mut b) = (vec![0; pooled.len()], vec![0; pooled.len()]);
    let rng = &mut Pcg64Mcg::new(u128::from(draws.seed));
    let mut drawing = Sequential::new(observed, draws.checked_level(), draws.most);
    match bins {
        Bins::Given => {
            while drawing.open() {
                shuffle::table(&pooled, rows, &mut a, &mut b, rng);
                drawing.take(|which| score(which, &a, &b));
            }
        }
        Bins::OfReference { cells } => {
            let own = &reference[..pooled.len()];
            let mut fitted = Fitted::new(own, cells);
            while drawing.open() {
                fitted.draw_truth(1.0, rng);
                fitted.draw_window(rows, &mut b, rng);
                drawing.take(|which| score(which, own, &b));
            }
        }
    }
    drawing.finish().into_iter().map(Surprise::from).collect()
}

/// How surprising `observed` is, which `statistic` gave for the labels of the pooled rows, under every labelling with
/// as many rows of the window: `statistic(labels)`, where `labels[i]` says whether pooled row `i` is the window's. The
/// rows stand in whatever order is handy, sorted for example, and stay in it.
///
/// ```
/// use driftline::reference::two_sample::{Draws, permutations};
/// // Ten rows of 0 to 9; the window has the five largest. Five rows of ten can be chosen in 252 ways, of which two
/// // lie as far apart.
/// let gap = |labels: &[bool]| {
///     let sum: f64 = labels.iter().enumerate().filter(|(_, label)| **label).map(|(i, _)| i as f64).sum();
///     (sum - 22.5).abs()
/// };
/// let labels = [false, false, false, false, false, true, true, true, true, true];
/// let found = permutations(5, 5, gap(&labels), &Draws::new(0.05, 3), gap);
/// assert!((found.p_value - 2.0 / 252.0).abs() < 0.006, "{found:?}");
/// ```
pub fn permutations(
    reference_rows: usize,
    current_rows: usize,
    observed: f64,
    draws: &Draws,
    mut statistic: impl FnMut(&[bool]) -> f64,
) -> Surprise {
    let mut labels = Labels::new(reference_rows, current_rows);
    let rng = &mut Pcg64Mcg::new(u128::from(draws.seed));
    let mut drawing = Sequential::new(&[observed], draws.checked_level(), draws.most);
    while drawing.open() {
        labels.shuffle(rng);
        drawing.take(|_| statistic(&labels.labels));
    }
    let found = drawing.finish();
    // One value was put in, so one comes out.
    found.first().copied().map_or(
        Surprise {
            p_value: 1.0,
            threshold: None,
            source: ThresholdSource::AssumesIndependence,
            draws: None,
            extrapolated: false,
        },
        Surprise::from,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{chi_squared, table};
    use proptest::prelude::*;

    fn all() -> Vec<Statistic> {
        table().iter().map(|entry| entry.statistic).collect()
    }

    #[test]
    fn what_needs_more_than_counts_is_left_out() {
        let found = calibrate(&[5, 5], &[6, 4], Bins::Given, &all(), &Draws::new(0.05, 1));
        let names: Vec<&str> = found.iter().map(|one| one.statistic.name()).collect();
        assert!(!names.contains(&"wasserstein") && !names.contains(&"mean_shift"));
        assert_eq!(names.len(), 10);
    }

    #[test]
    fn drawn_and_closed_p_values_agree_where_both_hold() {
        let (a, b) = ([300, 400, 500, 250], [130, 190, 280, 140]);
        let value = chi_squared::statistic(&a, &b);
        let draws = Draws {
            most: 20_000,
            ..Draws::new(0.2, 5)
        };
        let drawn = tables(&a, &b, &[value], &draws, |_, a, b| {
            chi_squared::statistic(a, b)
        })[0];
        let closed = calibrate(&a, &b, Bins::Given, &[Statistic::ChiSquared], &draws)[0].surprise;
        assert!(
            (drawn.p_value - closed.p_value).abs() < 0.02,
            "{drawn:?} {closed:?}"
        );
        let thresholds = drawn.threshold.zip(closed.threshold).expect("both");
        assert!(
            (thresholds.0 / thresholds.1 - 1.0).abs() < 0.1,
            "{thresholds:?}"
        );
    }

    /// Bounded draws: a million categories are walked in each of them.
    #[test]
    fn a_million_categories_are_no_trouble() {
        let a: Vec<u64> = (0..1_000_000).map(|i| u64::from(i % 3 == 0)).collect();
        let b: Vec<u64> = (0..1_000_000).map(|i| u64::from(i % 7 == 0)).collect();
        let draws = Draws {
            most: 4,
            ..Draws::new(0.05, 1)
        };
        for one in calibrate(&a, &b, Bins::Given, &all(), &draws) {
            let p_value = one.surprise.p_value;
            assert!(
                one.value.is_finite() && p_value > 0.0 && p_value <= 1.0,
                "{one:?}"
            );
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_answer_in_any_company() {
        let (a, b) = ([3, 0, 9, 1, 4], [1, 2, 5, 6, 0]);
        let draws = Draws::new(0.05, 9);
        for bins in [Bins::Given, Bins::OfReference { cells: 5 }] {
            for one in calibrate(&a, &b, bins, &all(), &draws) {
                let alone = calibrate(&a, &b, bins, &[one.statistic], &draws);
                assert_eq!(alone[..], [one]);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_answer_is_a_number_and_says_one_thing(
            pairs in proptest::collection::vec((0..30u64, 0..30u64), 0..8), level in 0.0..1.2f64, seed in any::<u64>(),
        ) {
            let (a, b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            let draws = Draws { most: 100, ..Draws::new(level, seed) };
            for one in [Bins::Given, Bins::OfReference { cells: 3 }].into_iter().flat_map(|bins| calibrate(&a, &b, bins, &all(), &draws)) {
                let surprise = one.surprise;
                prop_assert!(surprise.p_value > 0.0 && surprise.p_value <= 1.0);
                prop_assert!(one.value.is_finite() && one.effect.is_finite());
                if let Some(threshold) = surprise.threshold {
                    prop_assert!(!threshold.is_nan());
                    if surprise.draws.is_some() {
                        prop_assert_eq!(one.value > threshold, surprise.p_value <= level.min(1.0), "{:?}", one);
                    }
                }
            }
        }
    }
}
