//! Judging one window: every statistic of every column, with threshold, promise, verdict and reason.
//!
//! **Invariant:** a verdict of `drift` has two keys: the value is above a threshold that quiet windows of this
//! reference exceed with chance `level` only, and the effect, the value less chance, is above the statistic's floor.
//! Where there is nothing to judge the verdict says why; no score holds a NaN.

use std::collections::BTreeMap;

use super::column::Prepared;
use super::exchange::Pool;
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
    // Where rows are exchanged nothing is drawn from the reference: it is asked for no more than its source.
    let pool = pool(column, before, profile).filter(|_| calibrate(Vec::new()).source.of_rows());
    let calibration = calibrate(match pool {
        Some(_) => Vec::new(),
        None => drawn(&statistics),
    });
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
    if let Some(pool) = pool {
        judge.exchange(pool, &statistics);
    }
    statistics
        .into_iter()
        .map(|statistic| judge.score(statistic))
        .collect()
}

/// The rows of both sides by category, where the reference has fewer than the window.
fn pool(column: &LayoutColumn, before: &ColumnProfile, now: &ColumnProfile) -> Option<Pool> {
    match (&column.cells, before, now) {
        (
            Cells::Categorical(cells),
            ColumnProfile::Categorical(before),
            ColumnProfile::Categorical(now),
        ) => Pool::of_small(cells, before, now),
        _ => None,
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
mod tests {
    use super::*;
    use crate::event::DAY;
    use crate::reference::sample;

    /// Day `day` of quiet values 1 to 19, `rows` of them, each day's order its own.
    fn values(day: u64, rows: u64) -> Vec<f64> {
        (0..rows)
            .map(|i| ((i * 7 + day * 3 + i * i % 11) % 19 + 1) as f64)
            .collect()
    }

    fn reference(layout: &Layout, days: u64, rows: u64) -> Reference {
        let blocks = (0..days)
            .map(|day| sample::block(layout, day as i64, &values(day, rows), "a"))
            .collect();
        Reference::from_blocks("m", "first: 9d", layout, blocks).expect("blocks")
    }

    fn judged(
        layout: &Layout,
        reference: Option<&Reference>,
        current: &Profile,
        level: f64,
        columns: &[&str],
    ) -> Vec<Score> {
        let cache = NullCache::new();
        let plan = Plan {
            layout,
            reference,
            window: Span::new(0, DAY),
            min_rows: 50,
            level,
            for_k: 1,
            for_n: 1,
            every: DAY,
            statistics: None,
            cache: &cache,
        };
        compare(
            &plan,
            current,
            &columns
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[track_caller]
    fn check_all(scores: &[Score], verdict: Verdict, reason: &str) {
        assert!(!scores.is_empty());
        for score in scores {
            assert_eq!(
                (score.verdict, score.reason.as_str()),
                (verdict, reason),
                "{}",
                score.statistic
            );
            assert!(score.value.is_none() && score.p_value.is_none() && score.threshold.is_none());
        }
    }

    #[test]
    fn where_there_is_nothing_to_judge_the_verdict_says_why() {
        let layout = sample::layout();
        let known = reference(&layout, 9, 200);
        let window = sample::profile(&layout, &values(10, 200), "a");
        let small = sample::profile(&layout, &values(10, 7), "a");
        let empty = Profile::new(&layout);
        check_all(
            &judged(&layout, None, &window, 0.01, &["x"]),
            Verdict::NoReference,
            "there is no reference yet",
        );
        check_all(
            &judged(&layout, Some(&known), &empty, 0.01, &["x", "c"]),
            Verdict::NoData,
            "the window has no rows",
        );
        check_all(
            &judged(&layout, Some(&known), &small, 0.01, &["x"]),
            Verdict::InsufficientData,
            "the window has 7 rows, 50 are needed",
        );
        check_all(
            &judged(&layout, Some(&known), &window, 0.01, &["y"]),
            Verdict::SchemaError,
            "the layout has no column \"y\"",
        );
        let scores = judged(&layout, Some(&known), &window, 1e-9, &["x"]);
        let drawn = &scores[2];
        assert_eq!(
            (drawn.statistic.as_str(), drawn.verdict),
            ("l_infinity", Verdict::InsufficientData)
        );
        assert_eq!(
            drawn.reason,
            "the level 1.0e-9 needs 1000000000 draws or more; at most 50000 are made, and their tail does not reach so far"
        );
    }

    #[test]
    fn a_quiet_window_is_ok_and_a_moved_one_drifts_in_every_statistic() {
        let layout = sample::layout();
        let known = reference(&layout, 9, 400);
        let quiet = judged(
            &layout,
            Some(&known),
            &sample::profile(&layout, &values(20, 400), "a"),
            0.01,
            &["x", "c"],
        );
        assert_eq!(quiet.len(), 7 + 4);
        assert_eq!(
            (quiet[0].statistic.as_str(), quiet[7].statistic.as_str()),
            ("psi", "js")
        );
        for score in &quiet {
            assert_eq!(
                score.verdict,
                Verdict::Ok,
                "{}: {}",
                score.statistic,
                score.reason
            );
            assert!(score.threshold.is_some() && score.p_value.is_some_and(|p| p > 0.01));
        }
        let far: Vec<f64> = values(20, 400).iter().map(|x| x + 30.0).collect();
        let moved = judged(
            &layout,
            Some(&known),
            &sample::profile(&layout, &far, "new"),
            0.01,
            &["x", "c"],
        );
        for score in &moved {
            assert_eq!(
                score.verdict,
                Verdict::Drift,
                "{} {}: {}",
                score.column,
                score.statistic,
                score.reason
            );
            assert!(score.effect.is_some_and(|effect| effect > score.floor));
            assert!(score.p_value.is_some_and(|p| p <= 0.01) && !score.moved.is_empty());
        }
        assert_eq!(moved[6].moved, "mean 10.0 → 39.9");
    }

    #[test]
    fn one_block_says_that_independence_is_assumed_and_a_small_reference_is_named() {
        let layout = sample::layout();
        let one = reference(&layout, 1, 400);
        let window = sample::profile(&layout, &values(3, 400), "a");
        for score in judged(&layout, Some(&one), &window, 0.01, &["x", "c"]) {
            let threshold = score.threshold.expect("judged");
            assert_eq!(
                threshold.source,
                ThresholdSource::AssumesIndependence,
                "{}",
                score.statistic
            );
            assert_eq!(threshold.overdispersion, None);
            assert!(score.parameters.contains_key("warning"));
        }
    }

    /// A constant has one cell: that a value left it shows in the extremes and the moments only.
    #[test]
    fn a_constant_that_moves_has_moved() {
        let layout = sample::layout_with(Vec::new(), 5.0);
        let blocks = (0..9)
            .map(|day| sample::block(&layout, day, &[5.0; 100], "a"))
            .collect();
        let constant = Reference::from_blocks("m", "first: 9d", &layout, blocks).expect("blocks");
        let judge = |values: &[f64]| {
            judged(
                &layout,
                Some(&constant),
                &sample::profile(&layout, values, "a"),
                0.01,
                &["x"],
            )
        };
        for score in judge(&[5.0; 100]) {
            assert_eq!(
                (score.verdict, score.value),
                (Verdict::Ok, Some(0.0)),
                "{}",
                score.statistic
            );
        }
        for score in judge(&[6.0; 100]) {
            assert_eq!(
                score.verdict,
                Verdict::Drift,
                "{}: {}",
                score.statistic,
                score.reason
            );
        }
        let shift = judge(&[6.0; 100]).pop().expect("mean shift");
        assert_eq!(shift.value, Some(1.0));
        let mut half = [5.0; 100];
        half[..50].fill(4.0);
        for score in judge(&half) {
            assert_eq!(
                score.verdict,
                Verdict::Drift,
                "{}: {}",
                score.statistic,
                score.reason
            );
        }
    }

    /// A spread of a billionth of a billionth of the values, and values far beyond what sums can hold.
    #[test]
    fn moments_far_from_zero_are_right_or_refused() {
        let far =
            |by: f64| -> Vec<f64> { (0..400).map(|i| 1e12 + f64::from(i % 7) + by).collect() };
        let layout = sample::learned(&far(0.0));
        let profile = |values: &[f64]| sample::counted(&layout, values);
        let block = crate::reference::Block {
            span: None,
            profile: profile(&far(0.0)),
        };
        let known = Reference::from_blocks("m", "file", &layout, vec![block]).expect("a block");
        let judge = |values: &[f64]| judged(&layout, Some(&known), &profile(values), 0.01, &["x"]);
        let shift = judge(&far(2.0)).pop().expect("mean shift");
        // Deviation 2 of 0 to 6, with divisor n − 1.
        assert!(
            (shift.value.expect("moments") - 1.0).abs() < 0.01,
            "{shift:?}"
        );
        assert_eq!(shift.verdict, Verdict::Drift, "{}", shift.reason);
        let mut outlier = far(0.0);
        outlier[7] = 3.4e38;
        let shift = judge(&outlier).pop().expect("mean shift");
        assert_eq!(
            (shift.verdict, shift.value),
            (Verdict::InsufficientData, None)
        );
        assert_eq!(
            shift.reason,
            "1 value of the window lies too far out to be in its sums, and moments without it would be wrong"
        );
    }

    #[test]
    fn the_same_question_has_the_same_answer_whatever_was_asked_before() {
        let layout = sample::layout();
        let known = reference(&layout, 9, 300);
        let window = sample::profile(&layout, &values(12, 333), "z");
        let alone = judged(&layout, Some(&known), &window, 0.01, &["x"]);
        let after = judged(&layout, Some(&known), &window, 0.01, &["c", "x"]);
        assert_eq!(alone[..], after[4..]);
    }

    #[test]
    fn values_that_are_only_nan_leave_the_moments_unjudged() {
        let layout = sample::layout();
        let known = reference(&layout, 9, 300);
        let scores = judged(
            &layout,
            Some(&known),
            &sample::profile(&layout, &[f64::NAN; 100], "a"),
            0.01,
            &["x"],
        );
        for score in scores {
            let unjudged = matches!(score.statistic.as_str(), "wasserstein" | "mean_shift");
            let expect = if unjudged {
                Verdict::InsufficientData
            } else {
                Verdict::Drift
            };
            assert_eq!(
                score.verdict, expect,
                "{}: {}",
                score.statistic, score.reason
            );
        }
    }
}
