//! What is judged: one logged prediction and the label that counts for it.

use std::collections::BTreeMap;

use crate::event::Millis;

/// What a label said, after coercion by the task's classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// The class, for classification.
    pub class: Option<String>,
    /// The number, for regression.
    pub value: Option<f64>,
    /// When it was known, event time.
    pub ts: Millis,
}

/// One logged prediction and the label that counts for it, if one has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    pub version: String,
    pub id: Option<String>,
    pub ts: Millis,
    /// `prediction.label`.
    pub class: Option<String>,
    /// `prediction.value`.
    pub value: Option<f64>,
    /// `prediction.scores`: finite values only.
    pub scores: BTreeMap<String, f64>,
    pub truth: Option<Truth>,
}
