//! One score under one rule: bad, good, or not to be judged, each with a named reason.
//!
//! **Invariant:** two keys to "bad": the number lies beyond what the rule allows, *and* chance alone does not explain
//! it. For drift both were decided with the score (threshold and floor); for rates and volume they are decided here,
//! for metrics in `performance`.

use serde::{Deserialize, Serialize};

use crate::stats;
use crate::stats::score::{Score, Verdict};

use super::condition::Side;
use super::performance;
use super::rule::Rule;
use super::watch::Watch;

/// A rate above its limit is real when as many rows would be seen by chance once in a hundred windows at most.
const SIGNIFICANT: f64 = 0.01;
/// The same for row counts: the one-sided 1 % point of the normal distribution, in standard deviations of a Poisson
/// count. It matters for small windows only.
const SIGNIFICANT_DEVIATIONS: f64 = 2.326;
/// Where a score keeps the reference's value: a share, for volume the mean rows of its blocks, or a metric.
pub const REFERENCE: &str = "reference";

/// What came of a score. In this order a worse one hides a better one of the same column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Not judged: no rows or no values.
    NoData,
    /// Not judged: too few rows.
    InsufficientData,
    /// Not judged: the reference, or its value, is not there.
    NoReference,
    /// Not judged: records of the window are lost.
    Incomplete,
    /// Not judged: the column cannot be compared.
    SchemaError,
    /// Good: no more than chance, or than the statistic's own floor.
    NoDrift,
    /// Good: real, yet under the rule's floor.
    UnderFloor,
    /// Good: on the right side of the limit.
    WithinLimit,
    /// Good: beyond the limit, yet so few rows that it may be chance.
    NotSignificant,
    /// Bad: drift.
    Drift,
    /// Bad: beyond the limit.
    BeyondLimit,
}

impl Judgement {
    /// `None` when the window does not count for this column.
    pub fn bad(self) -> Option<bool> {
        match self {
            Judgement::NoData
            | Judgement::InsufficientData
            | Judgement::NoReference
            | Judgement::Incomplete
            | Judgement::SchemaError => None,
            Judgement::NoDrift
            | Judgement::UnderFloor
            | Judgement::WithinLimit
            | Judgement::NotSignificant => Some(false),
            Judgement::Drift | Judgement::BeyondLimit => Some(true),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Judgement::NoData => "no_data",
            Judgement::InsufficientData => "insufficient_data",
            Judgement::NoReference => "no_reference",
            Judgement::Incomplete => "incomplete",
            Judgement::SchemaError => "schema_error",
            Judgement::NoDrift => "no_drift",
            Judgement::UnderFloor => "under_floor",
            Judgement::WithinLimit => "within_limit",
            Judgement::NotSignificant => "not_significant",
            Judgement::Drift => "drift",
            Judgement::BeyondLimit => "beyond_limit",
        }
    }
}

/// Judges a score that the rule is about. Total: a score without a finite value is `NoData`.
pub fn judge(rule: &Rule, score: &Score) -> Judgement {
    match rule.watch {
        Watch::Drift => drift(rule, score),
        // No rows show no schema.
        Watch::SchemaChange if score.n_current == 0 => {
            excused(score.verdict).unwrap_or(Judgement::NoData)
        }
        Watch::SchemaChange => {
            excused(score.verdict).unwrap_or_else(|| limit(score, |value| value > 0.0))
        }
        Watch::Volume => volume(rule, score),
        Watch::Freshness => excused(score.verdict)
            .unwrap_or_else(|| limit(score, |value| beyond(rule, value, None))),
        Watch::NullRate | Watch::Unseen | Watch::OutOfDomain | Watch::WrongType => {
            rate(rule, score)
        }
        Watch::Performance => performance::judge(rule, score),
    }
}

/// Why a score with a limit is not judged. A missing reference is no excuse yet: a fixed limit needs none.
pub(super) fn excused(verdict: Verdict) -> Option<Judgement> {
    match verdict {
        Verdict::InsufficientData => Some(Judgement::InsufficientData),
        Verdict::NoData => Some(Judgement::NoData),
        Verdict::Incomplete => Some(Judgement::Incomplete),
        Verdict::SchemaError => Some(Judgement::SchemaError),
        Verdict::Ok | Verdict::Drift | Verdict::NoReference => None,
    }
}

/// The score's verdict has the statistic's own floor in it. A rule's floor takes its place: a higher one lets drifts
/// pass, a lower one brings back what exceeds the threshold.
fn drift(rule: &Rule, score: &Score) -> Judgement {
    let real = match score.verdict {
        Verdict::Drift => true,
        Verdict::Ok => rule.floor.is_some() && exceeds_threshold(score),
        Verdict::NoReference => return Judgement::NoReference,
        other => return excused(other).unwrap_or(Judgement::NoData),
    };
    match rule.floor {
        _ if !real => Judgement::NoDrift,
        Some(floor) if score.effect.is_none_or(|effect| effect <= floor) => Judgement::UnderFloor,
        _ => Judgement::Drift,
    }
}

fn exceeds_threshold(score: &Score) -> bool {
    match (score.value, &score.threshold) {
        (Some(value), Some(threshold)) => value > threshold.value,
        _ => false,
    }
}

pub(super) fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// A finite number that the score carries under `key`.
pub(super) fn parameter(score: &Score, key: &str) -> Option<f64> {
    finite(score.parameters.get(key).and_then(|text| text.parse().ok()))
}

fn reference(score: &Score) -> Option<f64> {
    parameter(score, REFERENCE)
}

fn limit(score: &Score, bad: impl Fn(f64) -> bool) -> Judgement {
    match finite(score.value) {
        None => Judgement::NoData,
        Some(value) if bad(value) => Judgement::BeyondLimit,
        Some(_) => Judgement::WithinLimit,
    }
}

fn beyond(rule: &Rule, value: f64, reference: Option<f64>) -> bool {
    rule.condition
        .and_then(|condition| condition.holds(value, reference))
        .unwrap_or(false)
}

fn rate(rule: &Rule, score: &Score) -> Judgement {
    if let Some(excuse) = excused(score.verdict) {
        return excuse;
    }
    let Some(value) = finite(score.value).filter(|_| score.n_current > 0) else {
        return Judgement::NoData;
    };
    let Some(limit) = rule
        .condition
        .and_then(|condition| condition.limit.value(reference(score)))
    else {
        return Judgement::NoReference;
    };
    if !beyond(rule, value, reference(score)) {
        return Judgement::WithinLimit;
    }
    // Counts stay far below 2^53, so the share gives the count back exactly.
    let count = (value.clamp(0.0, 1.0) * score.n_current as f64).round() as u64;
    let chance = stats::quality::rate_exceeds(count, score.n_current, limit.clamp(0.0, 1.0));
    if chance <= SIGNIFICANT {
        Judgement::BeyondLimit
    } else {
        Judgement::NotSignificant
    }
}

/// Rows are judged as such, `n_current`, whatever the score's value is a ratio of: no rows at all is the worst volume,
/// and too few to compare columns is a volume like any other.
fn volume(rule: &Rule, score: &Score) -> Judgement {
    if score.verdict == Verdict::Incomplete {
        return Judgement::Incomplete;
    }
    let rows = score.n_current as f64;
    let Some(condition) = rule.condition else {
        return Judgement::NoReference;
    };
    let Some(limit) = condition.limit.value(reference(score)) else {
        return Judgement::NoReference;
    };
    let distance = match condition.side {
        Side::Above => rows - limit,
        Side::Below => limit - rows,
    };
    if distance <= 0.0 {
        Judgement::WithinLimit
    } else if distance <= SIGNIFICANT_DEVIATIONS * limit.max(0.0).sqrt() {
        Judgement::NotSignificant
    } else {
        Judgement::BeyondLimit
    }
}
