//! Performance rules: one metric, its limit, and when a window lies beyond it for good.
//!
//! **Invariant:** two keys to "bad": the metric lies beyond the limit, *and* it is really worse than the reference: its
//! distance from that is more than its own standard error and the reference's explain. So the limit is what is worth
//! somebody's time, and the level is the chance of an alarm where nothing has changed. A fixed limit has no reference:
//! there the distance from the limit must be real. A metric without a standard error is not judged.
//! Deliberately absent: making the score (`service`), which carries what is read here under [`REFERENCE`], [`STDERR`],
//! [`REFERENCE_STDERR`] and [`BLOCKS`].

use crate::performance::Metric;
use crate::stats;
use crate::stats::score::Score;

use super::condition::{Condition, Limit, Side};
use super::facts::Facts;
use super::fields::{At, Checker, Table};
use super::judgement::{Judgement, REFERENCE, excused, finite, parameter};
use super::rule::Rule;

/// Chance at most, for one window, that a model as good as its reference is called bad, where the rule says no `level`.
/// A window has a handful of blocks, so a much smaller chance would be blind to all but disasters; the limit keeps most
/// of the rest out.
pub const USUAL_LEVEL: f64 = 0.05;

/// Where a performance score keeps what it is judged by, beside the reference's value.
pub const REFERENCE_STDERR: &str = "reference_stderr";
pub const STDERR: &str = "stderr";
pub const BLOCKS: &str = "blocks";

/// One-sided: the chance of a metric this much worse than the reference, or than a fixed limit, if nothing has changed.
/// By Student's t on blocks − 1 degrees of freedom, with the standard error of the metric and of the reference; a
/// reference without one is taken as known exactly. `None` without a value, a standard error or a known limit.
pub fn p_value(rule: &Rule, score: &Score) -> Option<f64> {
    Distance::of(rule, score)?.p_value()
}

/// How far a value lies beyond the limit, and how far from what it is measured from; above 0 on the wrong side.
struct Distance {
    beyond: f64,
    worse: f64,
    /// Of `worse`.
    standard_error: Option<f64>,
    blocks: f64,
}

impl Distance {
    /// `None` without a value, or where the limit is not known.
    fn of(rule: &Rule, score: &Score) -> Option<Self> {
        let condition = rule.condition?;
        let value = finite(score.value)?;
        let reference = parameter(score, REFERENCE);
        let limit = condition.limit.value(reference)?;
        let (from, error_of_it) = match condition.limit {
            Limit::Fixed(_) => (limit, 0.0),
            Limit::ReferencePlus(_) | Limit::ReferenceTimes(_) => (
                reference?,
                parameter(score, REFERENCE_STDERR).unwrap_or(0.0),
            ),
        };
        let distance = |mark: f64| match condition.side {
            Side::Above => value - mark,
            Side::Below => mark - value,
        };
        Some(Self {
            beyond: distance(limit),
            worse: distance(from),
            standard_error: parameter(score, STDERR).map(|own| own.hypot(error_of_it)),
            blocks: parameter(score, BLOCKS).unwrap_or(0.0),
        })
    }

    /// Blocks that are all the same leave no doubt.
    fn p_value(&self) -> Option<f64> {
        let error = self.standard_error?;
        let degrees = self.blocks - 1.0;
        if degrees < 1.0 {
            return None;
        }
        if error <= 0.0 {
            return Some(if self.worse > 0.0 { 0.0 } else { 1.0 });
        }
        let tail = stats::student_tail(self.worse / error, degrees);
        Some(if tail.is_nan() {
            1.0
        } else {
            tail.clamp(0.0, 1.0)
        })
    }
}

/// Judges the score of a performance rule.
pub(super) fn judge(rule: &Rule, score: &Score) -> Judgement {
    if let Some(excuse) = excused(score.verdict) {
        return excuse;
    }
    if finite(score.value).is_none() {
        return Judgement::NoData;
    }
    let Some(distance) = Distance::of(rule, score) else {
        return Judgement::NoReference;
    };
    match distance.p_value() {
        None => Judgement::InsufficientData,
        Some(_) if distance.beyond <= 0.0 => Judgement::WithinLimit,
        Some(chance) if chance <= rule.level.unwrap_or(USUAL_LEVEL) => Judgement::BeyondLimit,
        Some(_) => Judgement::NotSignificant,
    }
}

/// Reads `metric` of a performance rule, and refuses it in every other.
pub(super) fn metric<'a>(
    check: &mut Checker<'a>,
    table: &Table<'a>,
    rule: &Rule,
    facts: Facts<'_>,
) -> Option<Metric> {
    let at = table.get("metric");
    if rule.watch != super::Watch::Performance {
        if let Some(at) = at {
            check.refuse(
                at,
                &format!(
                    "only a performance rule has a metric; this one watches {}",
                    rule.watch
                ),
                "write `watch: performance`, or leave it out",
            );
        }
        return None;
    }
    let watch = table.get("watch").unwrap_or(table.at());
    let kind = facts.task.map(|task| task.kind());
    if let (Some(task), Some(None)) = (facts.task, kind) {
        check.refuse(
            watch,
            &format!("a task of type {} has no metric", task.as_str()),
            "declare a binary, multiclass or regression task, or leave the rule out",
        );
        return None;
    }
    facts.rows_are_kept(
        check,
        watch,
        "no rows are kept that labels could be joined with",
        ", or leave the rule out",
    );
    let fitting: Vec<(&str, Metric)> = match kind.flatten() {
        Some(kind) => Metric::of(kind).map(|m| (m.as_str(), m)).collect(),
        None => Metric::ALL.map(|m| (m.as_str(), m)).to_vec(),
    };
    let Some(at) = at else {
        let names: Vec<&str> = fitting.iter().map(|(name, _)| *name).collect();
        check.missing(
            table,
            "metric",
            &format!("write one of: {}", names.join(", ")),
        );
        return None;
    };
    let known = check.text(at).and_then(Metric::parse);
    if let (Some(metric), Some(task)) = (known, facts.task)
        && !fitting.iter().any(|(_, fit)| *fit == metric)
    {
        let names: Vec<&str> = fitting.iter().map(|(name, _)| *name).collect();
        check.refuse(
            at,
            &format!("a {} task has no {metric}", task.as_str()),
            &format!("write one of: {}", names.join(", ")),
        );
        return None;
    }
    check.choice(at, &fitting)
}

/// What a performance rule that states no limit is told.
pub(super) fn missing_limit<'a>(
    check: &mut Checker<'a>,
    table: &Table<'a>,
    metric: Option<Metric>,
) {
    let (key, example) = match metric {
        Some(metric) if metric.higher_is_better() => ("below", "below: reference - 0.05"),
        Some(_) => ("above", "above: reference + 0.05"),
        None => (
            "above",
            "above: reference + 0.05` or `below: reference - 0.05",
        ),
    };
    check.missing(
        table,
        key,
        &format!("what a loss of performance costs is yours to say: write for example `{example}`"),
    );
}

/// Refuses a limit on the side where predictions get better, or beyond what the metric can be.
pub(super) fn check_limit(
    check: &mut Checker<'_>,
    at: &At<'_>,
    metric: Metric,
    condition: Condition,
) -> bool {
    let bad_side = if metric.higher_is_better() {
        Side::Below
    } else {
        Side::Above
    };
    if condition.side != bad_side {
        let (better, instead) = match bad_side {
            Side::Below => ("more", "below"),
            Side::Above => ("less", "above"),
        };
        check.refuse(
            at,
            &format!("{metric} is better when it is {better}"),
            &format!("write `{instead}` instead"),
        );
        return false;
    }
    let (low, high) = metric.entry().range;
    if let Limit::Fixed(value) = condition.limit
        && !(low..=high).contains(&value)
    {
        let (wrong, remedy) = match (low.is_finite(), high.is_finite()) {
            (true, true) => (
                format!("{metric} lies between {low} and {high}"),
                format!("write a number from {low} to {high}"),
            ),
            (true, false) => (
                format!("{metric} is never below {low}"),
                format!("write {low} or more"),
            ),
            _ => (
                format!("{metric} is never above {high}"),
                format!("write {high} or less"),
            ),
        };
        check.refuse(at, &wrong, &remedy);
        return false;
    }
    true
}

#[cfg(test)]
#[path = "performance_tests.rs"]
mod tests;
