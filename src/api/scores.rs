//! A score as shown: everything needed to judge it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::stats::score::{
    DriftSlice, FalseAlarms, Score, SlicePart, Threshold, ThresholdSource, WorstSlice,
};
use crate::store::scores::RuleScore;

/// One statistic of one column in one window.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoreBody {
    /// Empty for what concerns the whole window.
    column: String,
    /// Name in the table of statistics.
    #[schema(example = "psi")]
    statistic: String,
    /// The rule whose level judged it; empty where it belongs to no single rule.
    rule: String,
    /// `ok`, `drift`, `insufficient_data`, `no_data`, `no_reference`, `incomplete` or `schema_error`.
    verdict: &'static str,
    /// The raw value, to be compared with the threshold.
    value: Option<f64>,
    /// The effect size: the value less its expectation without drift, not below 0; to be compared with the floor.
    effect: Option<f64>,
    /// Effects up to here are of no interest, however significant.
    floor: f64,
    threshold: Option<ThresholdBody>,
    /// Chance of a value at least this large without drift.
    p_value: Option<f64>,
    /// Largest possible distance from the exact value, where it is computed from bins.
    error_bound: Option<f64>,
    /// Rows of the reference.
    n_reference: u64,
    /// Rows of the window.
    n_current: u64,
    /// How it was computed.
    method: String,
    parameters: BTreeMap<String, String>,
    /// What computed it; identity of results holds within one backend.
    backend: String,
    /// What moved, in a few words.
    moved: String,
    /// Where in the window the drift is concentrated: for the worst drift of a rule in windows that make its alert
    /// pending or firing.
    #[serde(skip_serializing_if = "Option::is_none")]
    worst_slice: Option<WorstSliceBody>,
    /// The verdict in a sentence.
    reason: String,
}

/// A threshold and the promise it makes.
#[derive(Debug, Serialize, ToSchema)]
struct ThresholdBody {
    value: f64,
    /// `blocks`, `overdispersion`, `closed_form`, `resampled`, `assumes_independence` or `declared`.
    source: &'static str,
    /// Chance, without drift, that one window exceeds the value; absent for a declared threshold.
    level: Option<f64>,
    /// Overdispersion measured over the reference's blocks.
    overdispersion: Option<f64>,
    /// Blocks of the reference.
    blocks: usize,
    /// Draws behind the threshold; p-values cannot go below 1/(draws + 1).
    draws: Option<u32>,
    /// The level lies beneath what the draws can say: the threshold continues their fitted tail.
    extrapolated: bool,
    /// Expected false alarms of the column in a week, over references that could have been drawn.
    false_alarms_per_week: Option<FalseAlarmsBody>,
}

/// A rate that depends on the reference drawn.
#[derive(Debug, Serialize, ToSchema)]
struct FalseAlarmsBody {
    mean: f64,
    /// One reference in ten has more than this.
    p90: f64,
}

/// Slices of one and two features that hold far more of a drift than of the rows.
#[derive(Debug, Serialize, ToSchema)]
struct WorstSliceBody {
    /// In a sentence, also where there is none to tell.
    #[schema(
        example = "the drift of delay is concentrated in origin = JFK and dow = 6: 41 % of the shift in 4.0 % of the rows"
    )]
    text: String,
    /// The most concentrated first.
    slices: Vec<SliceBody>,
    /// Slices that had enough rows to be looked at.
    looked_at: u64,
    /// Rows of the reference that were looked at.
    rows_reference: u64,
    /// Rows of the window that were looked at.
    rows_window: u64,
    backend: String,
}

/// One of them, with its part of the rows and of the drift.
#[derive(Debug, Serialize, ToSchema)]
struct SliceBody {
    parts: Vec<SlicePartBody>,
    /// Of the window's rows, 0 to 1.
    share_of_rows: f64,
    /// Of all that has shifted, 0 to 1.
    share_of_shift: f64,
}

/// One feature's bin.
#[derive(Debug, Serialize, ToSchema)]
struct SlicePartBody {
    column: String,
    /// A category, or a range of numbers.
    bin: String,
}

impl From<WorstSlice> for WorstSliceBody {
    fn from(worst: WorstSlice) -> Self {
        let part = |part: SlicePart| SlicePartBody {
            column: part.column,
            bin: part.bin,
        };
        let slice = |slice: DriftSlice| SliceBody {
            parts: slice.parts.into_iter().map(part).collect(),
            share_of_rows: slice.share_of_rows,
            share_of_shift: slice.share_of_shift,
        };
        Self {
            text: worst.text,
            slices: worst.slices.into_iter().map(slice).collect(),
            looked_at: worst.looked_at,
            rows_reference: worst.rows_reference,
            rows_window: worst.rows_window,
            backend: worst.backend,
        }
    }
}

impl From<RuleScore> for ScoreBody {
    fn from(RuleScore { rule, score }: RuleScore) -> Self {
        Self::new(rule, score)
    }
}

impl ScoreBody {
    pub fn new(rule: String, score: Score) -> Self {
        Self {
            column: score.column,
            statistic: score.statistic,
            rule,
            verdict: score.verdict.as_str(),
            value: score.value,
            effect: score.effect,
            floor: score.floor,
            threshold: score.threshold.map(ThresholdBody::from),
            p_value: score.p_value,
            error_bound: score.error_bound,
            n_reference: score.n_reference,
            n_current: score.n_current,
            method: score.method,
            parameters: score.parameters,
            backend: score.backend,
            moved: score.moved,
            worst_slice: score.worst_slice.map(WorstSliceBody::from),
            reason: score.reason,
        }
    }
}

impl From<Threshold> for ThresholdBody {
    fn from(threshold: Threshold) -> Self {
        Self {
            value: threshold.value,
            source: match threshold.source {
                ThresholdSource::Blocks => "blocks",
                ThresholdSource::Overdispersion => "overdispersion",
                ThresholdSource::ClosedForm => "closed_form",
                ThresholdSource::Resampled => "resampled",
                ThresholdSource::AssumesIndependence => "assumes_independence",
                ThresholdSource::Declared => "declared",
            },
            level: threshold.level,
            overdispersion: threshold.overdispersion,
            blocks: threshold.blocks,
            draws: threshold.draws,
            extrapolated: threshold.extrapolated,
            false_alarms_per_week: threshold
                .false_alarms_per_week
                .map(|FalseAlarms { mean, p90 }| FalseAlarmsBody { mean, p90 }),
        }
    }
}
