//! What a comparison says: a verdict for everything, for each column and for each statistic.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Number, Value};

use crate::stats::score::{FalseAlarms, Score, Verdict};

/// The whole answer; its JSON is what `--format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub verdict: Verdict,
    pub reference: Side,
    pub current: Side,
    /// Chance, under no drift, that the comparison as a whole says `drift` (with `fdr`, the expected share of false
    /// ones among the columns said to drift).
    pub alpha: f64,
    pub correction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compat: Option<&'static str>,
    pub columns: Vec<ColumnReport>,
    pub multivariate: Vec<Line>,
    /// Columns that were not compared, and why.
    pub skipped: Vec<Skipped>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    pub file: String,
    pub rows: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Skipped {
    pub column: String,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnReport {
    pub column: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub verdict: Verdict,
    pub statistics: Vec<Line>,
}

/// One statistic of one column, or of several columns together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    pub statistic: String,
    pub verdict: Verdict,
    /// Whether the column's verdict rests on it.
    pub decides: bool,
    pub score: Option<f64>,
    pub p_value: Option<f64>,
    /// After the correction for how much was asked; only of what decides.
    pub adjusted_p_value: Option<f64>,
    pub threshold: Option<f64>,
    pub threshold_source: Option<Value>,
    /// Chance of exceeding the threshold under no drift.
    pub level: Option<f64>,
    pub effect: Option<f64>,
    pub floor: Option<f64>,
    pub method: String,
    /// What computed it: `cpu` or `gpu`.
    pub backend: String,
    pub parameters: Map<String, Value>,
    pub error_bound: Option<f64>,
    pub n_reference: u64,
    pub n_current: u64,
    pub draws: Option<u64>,
    /// Of a reference with times: how much more its windows differ than independent rows would, and how many there are.
    pub overdispersion: Option<f64>,
    pub blocks: usize,
    /// Expected false alarms of a comparison like this one every window, a week; `None` without a window's length.
    pub false_alarms_per_week: Option<FalseAlarms>,
    pub moved: String,
    pub reason: String,
}

impl Line {
    pub fn of(score: Score, weekly: bool) -> Self {
        let threshold = score.threshold.as_ref();
        Self {
            statistic: score.statistic,
            verdict: score.verdict,
            decides: false,
            score: score.value,
            p_value: score.p_value,
            adjusted_p_value: None,
            threshold: threshold.map(|threshold| threshold.value),
            threshold_source: threshold
                .and_then(|threshold| serde_json::to_value(threshold.source).ok()),
            level: threshold.and_then(|threshold| threshold.level),
            effect: score.effect,
            floor: Some(score.floor),
            method: score.method,
            backend: score.backend,
            parameters: parameters(&score.parameters),
            error_bound: score.error_bound,
            n_reference: score.n_reference,
            n_current: score.n_current,
            draws: threshold.and_then(|threshold| threshold.draws.map(u64::from)),
            overdispersion: threshold.and_then(|threshold| threshold.overdispersion),
            blocks: threshold.map_or(0, |threshold| threshold.blocks),
            false_alarms_per_week: threshold
                .and_then(|threshold| threshold.false_alarms_per_week)
                .filter(|_| weekly),
            moved: score.moved,
            reason: score.reason,
        }
    }
}

/// Parameters as JSON: what reads as a number is one.
pub fn parameters(texts: &BTreeMap<String, String>) -> Map<String, Value> {
    let value = |text: &String| {
        let whole = text.parse::<i64>().ok().map(Number::from);
        let number = whole.or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
        number.map_or_else(|| Value::String(text.clone()), Value::Number)
    };
    texts
        .iter()
        .map(|(name, text)| (name.clone(), value(text)))
        .collect()
}

/// The verdict of several: drift if one drifts, else ok if one is ok, else why there is nothing to say.
pub fn together(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let mut found = None;
    for verdict in verdicts {
        found = Some(match (found, verdict) {
            (Some(Verdict::Drift), _) | (_, Verdict::Drift) => Verdict::Drift,
            (Some(Verdict::Ok), _) | (_, Verdict::Ok) => Verdict::Ok,
            (Some(first), _) => first,
            (None, verdict) => verdict,
        });
    }
    found.unwrap_or(Verdict::NoData)
}

impl Report {
    /// How many columns drift, are quiet, and could not be judged.
    pub fn counts(&self) -> [usize; 3] {
        let count = |wanted: fn(Verdict) -> bool| {
            self.columns
                .iter()
                .filter(|column| wanted(column.verdict))
                .count()
        };
        [
            count(|verdict| verdict == Verdict::Drift),
            count(|verdict| verdict == Verdict::Ok),
            count(|verdict| !matches!(verdict, Verdict::Drift | Verdict::Ok)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_drifts_is_enough_and_one_that_is_quiet_is_an_answer() {
        use Verdict::{Drift, InsufficientData, NoData, Ok};
        assert_eq!(together([Ok, Drift, InsufficientData]), Drift);
        assert_eq!(together([InsufficientData, Ok]), Ok);
        assert_eq!(together([InsufficientData, NoData]), InsufficientData);
        assert_eq!(together([]), NoData);
    }

    #[test]
    fn parameters_keep_their_type() {
        let texts = [("bins", "10"), ("floor", "1e-4"), ("log_base", "e")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()));
        let json = Value::Object(parameters(&texts.into_iter().collect()));
        assert_eq!(
            json.to_string(),
            r#"{"bins":10,"floor":0.0001,"log_base":"e"}"#
        );
    }
}
