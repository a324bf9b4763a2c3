//! How a model is trained anew: the `retrain` table of a declaration. When it is asked for is an action's business.

use crate::event::{DAY, Millis};

/// What a retraining run takes, tries and demands.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrainPolicy {
    /// How far back training rows go from the hold-out's start; `None`: as far as rows are kept.
    pub history: Option<Millis>,
    /// Length of the most recent label-mature stretch, on which champion and challenger are compared.
    pub hold_out: Millis,
    /// Least distance in event time between a training row and the hold-out: the time labels take. `None`: the
    /// declaration's `label_maturity`.
    pub embargo: Option<Millis>,
    /// The whole interval of the gain in mean loss must lie above this.
    pub min_gain: f64,
    /// Confidence of that interval, in (0, 1).
    pub confidence: f64,
    /// Fewest labelled rows in training and in the hold-out, each.
    pub min_rows: u64,
    /// Largest difference of label coverage between predicted classes, as a share; beyond it the gate is closed.
    pub coverage_gap: f64,
    /// Candidates by name (`learn` has the table); empty: all that fit the task.
    pub candidates: Vec<String>,
    pub seed: u64,
}

impl Default for RetrainPolicy {
    fn default() -> Self {
        Self {
            history: None,
            hold_out: 14 * DAY,
            embargo: None,
            min_gain: 0.0,
            confidence: 0.95,
            min_rows: 1_000,
            coverage_gap: 0.1,
            candidates: Vec::new(),
            seed: 1,
        }
    }
}
