//! A score: one statistic of one column in one window, with everything a reader needs to judge it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A number with so many digits after the point, for a sentence: by its powers of ten where it would be too wide to read.
pub(crate) struct Digits(pub f64, pub usize);

/// Numbers from here on are shown by their powers of ten.
const WIDE: f64 = 1e9;

impl std::fmt::Display for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Digits(number, digits) = *self;
        if number.abs() < WIDE {
            write!(f, "{number:.digits$}")
        } else {
            write!(f, "{number:.digits$e}")
        }
    }
}

/// The only answers driftline gives. Never a NaN, never a silent "ok".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    Drift,
    InsufficientData,
    NoData,
    NoReference,
    Incomplete,
    SchemaError,
}

impl Verdict {
    pub const ALL: [Verdict; 7] = [
        Verdict::Ok,
        Verdict::Drift,
        Verdict::InsufficientData,
        Verdict::NoData,
        Verdict::NoReference,
        Verdict::Incomplete,
        Verdict::SchemaError,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Drift => "drift",
            Verdict::InsufficientData => "insufficient_data",
            Verdict::NoData => "no_data",
            Verdict::NoReference => "no_reference",
            Verdict::Incomplete => "incomplete",
            Verdict::SchemaError => "schema_error",
        }
    }
}

/// Where a threshold comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdSource {
    /// Whole windows of the reference, resampled.
    Blocks,
    /// Too few blocks for the level: whole blocks of the reference, redrawn and stretched by the doubt that so few
    /// leave.
    Overdispersion,
    /// A closed two-sample form; only where the overdispersion is small and every expected count large.
    ClosedForm,
    /// Rows redrawn on both sides; the blocks showed no overdispersion.
    Resampled,
    /// Rows redrawn on both sides although nothing is known of their dependence (no timestamps).
    AssumesIndependence,
    /// Written in the rule.
    Declared,
}

impl ThresholdSource {
    /// Whether rows are redrawn, each by itself.
    pub fn of_rows(self) -> bool {
        matches!(self, Self::Resampled | Self::AssumesIndependence)
    }
}

/// A threshold and the promise it makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    pub value: f64,
    pub source: ThresholdSource,
    /// Chance, under no drift, that one window exceeds `value`; `None` for a declared threshold.
    pub level: Option<f64>,
    /// Overdispersion φ measured over the reference's blocks, and how many blocks.
    pub overdispersion: Option<f64>,
    pub blocks: usize,
    /// Monte-Carlo draws behind the threshold; p-values cannot go below 1/(draws + 1).
    pub draws: Option<u32>,
    /// The level lies beneath what the draws can say: the threshold continues their fitted tail (see `tail`).
    #[serde(default)]
    pub extrapolated: bool,
    /// Expected false alarms a week of this column under its rule's `for`, over references.
    pub false_alarms_per_week: Option<FalseAlarms>,
}

/// All windows share one reference, so the false-alarm rate is itself random: its mean and 90th percentile over
/// references that could have been drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FalseAlarms {
    pub mean: f64,
    pub p90: f64,
}

/// Where in its window a drift is concentrated: found for windows that alert, among slices of one and of two features.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WorstSlice {
    /// In a sentence; where nothing was found, or nothing could be looked at, it says so.
    pub text: String,
    /// The most concentrated first.
    pub slices: Vec<DriftSlice>,
    /// How many slices had enough rows to be looked at.
    pub looked_at: u64,
    /// Rows that were looked at.
    pub rows_reference: u64,
    pub rows_window: u64,
    pub backend: String,
}

/// A slice, and its part of the drift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftSlice {
    pub parts: Vec<SlicePart>,
    /// Of the window's rows, 0 to 1.
    pub share_of_rows: f64,
    /// Of all that has shifted, 0 to 1.
    pub share_of_shift: f64,
}

/// One feature's bin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlicePart {
    pub column: String,
    /// A category, or a range such as `10 – 20`.
    pub bin: String,
}

/// One statistic of one column in one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The layout's column name; `""` for what concerns the whole window (volume, freshness).
    pub column: String,
    /// Name in the table of statistics, `psi` for example.
    pub statistic: String,
    pub verdict: Verdict,
    /// The raw value. `None` when the verdict says that there is none.
    pub value: Option<f64>,
    /// The effect size: the value less its expectation under no drift, not below 0.
    pub effect: Option<f64>,
    /// Effects up to here are of no interest, however significant.
    pub floor: f64,
    pub threshold: Option<Threshold>,
    pub p_value: Option<f64>,
    /// Largest possible distance from the exact value, where `value` is computed from bins.
    pub error_bound: Option<f64>,
    pub n_reference: u64,
    pub n_current: u64,
    /// How it was computed: `bins`, `rank-binned`, `moments`, `counts`.
    pub method: String,
    pub parameters: BTreeMap<String, String>,
    pub backend: String,
    /// What moved, in a few words: "above 52.0: 10 % → 93 %".
    pub moved: String,
    /// Where the drift is concentrated, in windows that make an alert pending or firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_slice: Option<WorstSlice>,
    /// The verdict in a sentence that names its reason.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::Digits;

    #[test]
    fn no_number_is_wider_than_a_reader() {
        let shown =
            [0.12345, -12.0, 999_999_999.0, 1e9, -1.5e280].map(|x| Digits(x, 4).to_string());
        assert_eq!(
            shown,
            [
                "0.1235",
                "-12.0000",
                "999999999.0000",
                "1.0000e9",
                "-1.5000e280"
            ]
        );
        assert_eq!(Digits(f64::MAX, 3).to_string(), "1.798e308");
    }
}
