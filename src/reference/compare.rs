//! Judging one window: every statistic of every column, with threshold, promise, verdict and reason.
//!
//! **Invariant:** a verdict of `drift` has two keys: the value is above a threshold that quiet windows of this
//! reference exceed with chance `level` only, and the effect, the value less chance, is above the statistic's floor.
//! Where there is nothing to judge the verdict says why; no score holds a NaN.

use std::collections::BTreeMap;

use super::column::{Prepared, support};
use super::exchange::Pool;
use super::exchanged_ranks::RANKED;
use super::measure::{Judge, Measured, Null, Short, method};
use super::null::{MAX_DRAWS, window_size};
use super::redraw::drawn;
use super::{NullCache, Reference};
use crate::event::{Millis, Span};
use crate::profile::layout::{Layout, LayoutColumn};
use crate::profile::{Cells, ColumnProfile, Profile};
use crate::stats::score::{Digits, Score, Threshold, ThresholdSource, Verdict};
use crate::stats::{Data, Statistic};

/// What a window is judged against, and what is promised.
pub struct Plan<'a> {
    pub layout: &'a Layout,
    /// `None`: there is none yet, and every score says so.
    pub reference: Option<&'a Reference>,
    /// The window judged; not used in any number.
    pub window: Span,
    /// Fewest rows of a window that is judged.
    pub min_rows: u64,
    /// Chance, under no drift, that one window of one column exceeds its threshold; see `level_for`.
    pub level: f64,
    /// The rule's "for: k of n", for the expected false alarms.
    pub for_k: u32,
    pub for_n: u32,
    /// Distance of windows.
    pub every: Millis,
    /// `None`: the standard ones. What does not apply to a column or needs more than a profile is left out, and the
    /// column's primary statistic, where it is there, comes first.
    pub statistics: Option<Vec<Statistic>>,
    pub cache: &'a NullCache,
}

/// One score for each column and statistic, columns in the order asked for.
pub fn compare(plan: &Plan, current: &Profile, columns: &[String]) -> Vec<Score> {
    columns
        .iter()
        .flat_map(|name| compare_column(plan, current, name))
        .collect()
}

fn compare_column(plan: &Plan, current: &Profile, name: &str) -> Vec<Score> {
    let found = plan
        .layout
        .column(name)
        .and_then(|index| Some((index, plan.layout.columns.get(index)?)));
    let Some((index, column)) = found else {
        let reason = format!("the layout has no column {name:?}");
        return vec![unjudged(
            name,
            Statistic::primary(true),
            Verdict::SchemaError,
            0,
            current.rows,
            reason,
        )];
    };
    let numeric = matches!(column.cells, Cells::Numeric(_));
    let statistics = wanted(plan, numeric);
    let n_reference = plan.reference.map_or(0, |reference| reference.profile.rows);
    let none = |verdict: Verdict, reason: &str| -> Vec<Score> {
        let make = |&statistic| {
            unjudged(
                name,
                statistic,
                verdict,
                n_reference,
                current.rows,
                reason.to_owned(),
            )
        };
        statistics.iter().map(make).collect()
    };
    let Some(reference) = plan.reference else {
        return none(Verdict::NoReference, "there is no reference yet");
    };
    if reference.profile.rows == 0 {
        return none(Verdict::NoReference, "the reference has no rows");
    }
    if current.rows == 0 {
        return none(Verdict::NoData, "the window has no rows");
    }
    if current.rows < plan.min_rows {
        let reason = format!(
            "the window has {} rows, {} are needed",
            current.rows, plan.min_rows
        );
        return none(Verdict::InsufficientData, &reason);
    }
    let absent_before = |column: &ColumnProfile| column.missing().absent == column.rows();
    if reference
        .profile
        .columns
        .get(index)
        .is_some_and(absent_before)
    {
        return none(
            Verdict::NoReference,
            "no row of the reference has this column",
        );
    }
    let prepared = plan.cache.column(&reference.hash, index, || {
        Prepared::new(reference, column, index, plan.cache.bins())
    });
    let counted = prepared.and_then(|prepared| {
        let before = reference.profile.columns.get(index)?;
        let profile = current.columns.get(index)?;
        let (atoms, bins) = prepared.counts(column, profile)?;
        Some((prepared, before, profile, atoms, bins))
    });
    let Some((prepared, before, profile, atoms, bins)) = counted else {
        return none(
            Verdict::SchemaError,
            "window, reference and layout do not have the same columns",
        );
    };
    let size = window_size(current.rows);
    let calibrate = |statistics| {
        let (hash, level) = (&reference.hash, plan.level);
        plan.cache
            .calibration(hash, index, &prepared, size, level, statistics)
    };
    // Nothing is drawn from the reference for what is asked of exchanged rows. Whether rows may be exchanged its source
    // says, which is had without a draw.
    let source = calibrate(Vec::new()).source;
    let exchange = Exchange::of(column, before, profile, source, plan.level);
    let mut of_reference = drawn(&statistics);
    match exchange {
        None => {}
        Some(Exchange::Categories(_)) => of_reference.clear(),
        Some(Exchange::Ranks) => of_reference.retain(|statistic| !RANKED.contains(statistic)),
    }
    let calibration = calibrate(of_reference);
    let mut judge = Judge {
        plan,
        column,
        prepared: &prepared,
        calibration: &calibration,
        reference,
        current,
        before,
        profile,
        atoms,
        beside: prepared.beside(&bins),
        bins,
        exchanged: None,
    };
    match exchange {
        None => {}
        Some(Exchange::Categories(pool)) => judge.exchange(pool, &statistics),
        Some(Exchange::Ranks) => judge.exchange_ranks(&statistics),
    }
    statistics
        .into_iter()
        .map(|statistic| judge.score(statistic))
        .collect()
}

/// What is exchanged between a reference and a window.
enum Exchange {
    Categories(Pool),
    Ranks,
}

impl Exchange {
    /// Where rows are independent as far as anybody knows: the labels of texts (see [`Pool::of`]), and the ranks of numbers
    /// where the window has more rows. Where blocks have shown how independent they are (φ), rows drawn from the reference
    /// carry that; they are exchanged only if the window has more of them.
    fn of(
        column: &LayoutColumn,
        before: &ColumnProfile,
        now: &ColumnProfile,
        source: ThresholdSource,
        level: f64,
    ) -> Option<Self> {
        if !source.of_rows() {
            return None;
        }
        match (&column.cells, before, now) {
            (
                Cells::Categorical(cells),
                ColumnProfile::Categorical(before),
                ColumnProfile::Categorical(now),
            ) => {
                let is_alone = source == ThresholdSource::AssumesIndependence;
                Pool::of(cells, before, now, is_alone, level).map(Self::Categories)
            }
            (Cells::Numeric(_), ColumnProfile::Numeric(numbers), ColumnProfile::Numeric(_)) => {
                // A constant has no ranks to exchange: whatever is not it has moved as far as can be.
                let spread = support(numbers).is_some_and(|support| support.min < support.max);
                (spread && before.rows() < now.rows()).then_some(Self::Ranks)
            }
            _ => None,
        }
    }
}

/// The statistics to compute for a column.
fn wanted(plan: &Plan, numeric: bool) -> Vec<Statistic> {
    let Some(chosen) = &plan.statistics else {
        return Statistic::for_column(numeric);
    };
    let mut wanted: Vec<Statistic> = chosen
        .iter()
        .copied()
        .filter(|statistic| {
            let entry = statistic.entry();
            entry.from == Data::Profile && entry.applies.to(numeric)
        })
        .collect();
    // Stable: the others stay in the order asked for.
    wanted.sort_by_key(|statistic| *statistic != Statistic::primary(numeric));
    wanted
}

fn unjudged(
    column: &str,
    statistic: Statistic,
    verdict: Verdict,
    n_reference: u64,
    n_current: u64,
    reason: String,
) -> Score {
    Score {
        column: column.to_owned(),
        statistic: statistic.name().to_owned(),
        verdict,
        value: None,
        effect: None,
        floor: statistic.entry().floor,
        threshold: None,
        p_value: None,
        error_bound: None,
        n_reference,
        n_current,
        method: method(statistic).to_owned(),
        parameters: BTreeMap::new(),
        backend: BACKEND.to_owned(),
        moved: String::new(),
        worst_slice: None,
        reason,
    }
}

/// Everything here is computed by plain code.
const BACKEND: &str = "cpu";

impl Judge<'_> {
    fn score(&self, statistic: Statistic) -> Score {
        let (n_reference, n_current) = (self.reference.profile.rows, self.current.rows);
        let Some(measured) = self.measure(statistic) else {
            let reason = self.why_not();
            let mut score = unjudged(
                &self.column.name,
                statistic,
                Verdict::InsufficientData,
                n_reference,
                n_current,
                reason,
            );
            score.parameters = self.parameters(statistic);
            return score;
        };
        let floor = statistic.entry().floor;
        let (verdict, reason) = self.verdict(statistic, &measured, floor);
        let threshold = measured
            .null
            .as_ref()
            .map(|null| self.threshold(null, measured.degrees));
        Score {
            column: self.column.name.clone(),
            statistic: statistic.name().to_owned(),
            verdict,
            value: Some(measured.value),
            effect: Some(measured.effect),
            floor,
            threshold,
            p_value: measured.null.as_ref().map(|null| null.p_value),
            error_bound: measured.error_bound,
            n_reference,
            n_current,
            method: method(statistic).to_owned(),
            parameters: self.parameters(statistic),
            backend: BACKEND.to_owned(),
            moved: measured.moved,
            worst_slice: None,
            reason,
        }
    }

    fn verdict(&self, statistic: Statistic, measured: &Measured, floor: f64) -> (Verdict, String) {
        let (name, value, effect) = (
            statistic.name(),
            Digits(measured.value, 3),
            Digits(measured.effect, 3),
        );
        let Some(null) = &measured.null else {
            let needed = (1.0 / self.plan.level.max(f64::MIN_POSITIVE)).ceil();
            return (
                Verdict::InsufficientData,
                format!(
                    "the level {:.1e} needs {needed:.0} draws or more; at most {MAX_DRAWS} are made, and their tail does not reach so far",
                    self.plan.level
                ),
            );
        };
        let threshold = Digits(null.threshold, 3);
        if measured.value <= null.threshold {
            (
                Verdict::Ok,
                format!("{name} {value} is not above its threshold {threshold}"),
            )
        } else if measured.effect <= floor {
            let text = format!(
                "{name} {value} is above its threshold {threshold}, but its effect {effect} is not above the floor {floor}"
            );
            (Verdict::Ok, text)
        } else {
            let text = format!(
                "{name} {value} is above its threshold {threshold} (p {}) and its effect {effect} above the floor {floor}",
                Short(null.p_value)
            );
            (Verdict::Drift, text)
        }
    }

    fn threshold(&self, null: &Null, degrees: f64) -> Threshold {
        let blocks = self.blocks();
        let of = (self.plan.for_k, self.plan.for_n);
        let (level, every) = (self.plan.level, self.plan.every);
        let false_alarms = if null.source == ThresholdSource::Blocks && null.draws.is_some() {
            super::budget::false_alarms_of_rank(self.calibration.rank(level), blocks, of, every)
        } else {
            let ratio =
                self.reference.profile.rows as f64 / window_size(self.current.rows).max(1) as f64;
            let scale = match null.source {
                ThresholdSource::Overdispersion | ThresholdSource::Blocks => {
                    Some(blocks.saturating_sub(1).max(1) as f64)
                }
                _ => None,
            };
            self.plan
                .cache
                .false_alarms(level, of, every, ratio, degrees, scale)
        };
        Threshold {
            value: null.threshold,
            source: null.source,
            level: Some(level),
            overdispersion: self.prepared.overdispersion.map(|found| found.phi),
            blocks,
            draws: null.draws,
            extrapolated: null.extrapolated,
            false_alarms_per_week: Some(false_alarms),
        }
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
