//! Observations for tests.

use std::collections::BTreeMap;

use super::{Observation, Truth};
use crate::event::Millis;

/// A prediction that says nothing, without a label.
pub fn row(ts: Millis) -> Observation {
    Observation {
        version: "1".to_owned(),
        id: Some(format!("id-{ts}")),
        ts,
        class: None,
        value: None,
        scores: BTreeMap::new(),
        truth: None,
    }
}

/// A prediction that says nothing, with a class as its label.
pub fn labelled(ts: Millis, class: &str) -> Observation {
    Observation {
        truth: Some(Truth {
            class: Some(class.to_owned()),
            value: None,
            ts,
        }),
        ..row(ts)
    }
}

/// A prediction of a number, with a number as its label.
pub fn numbers(ts: Millis, predicted: f64, actual: f64) -> Observation {
    Observation {
        value: Some(predicted),
        truth: Some(Truth {
            class: None,
            value: Some(actual),
            ts,
        }),
        ..row(ts)
    }
}
