//! Our metrics against those of scikit-learn on the same rows.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::testing::{labelled, numbers};
use super::{Kind, Metric, Observation, Summary, estimates};

/// What the golden files ask for.
const RELATIVE: f64 = 1e-9;
const ABSOLUTE: f64 = 1e-12;

type Expected = BTreeMap<Metric, Option<f64>>;

#[derive(Deserialize)]
struct Classes {
    name: String,
    positive: Vec<u8>,
    probability: Vec<f64>,
    decided: Vec<u8>,
    expected: Expected,
}

#[derive(Deserialize)]
struct Numbers {
    name: String,
    truth: Vec<f64>,
    prediction: Vec<f64>,
    expected: Expected,
}

#[track_caller]
fn check(name: &str, summary: &Summary, expected: &Expected) {
    assert_eq!(summary.estimates.len(), expected.len(), "{name}");
    for (metric, expected) in expected {
        let found = summary.get(*metric).and_then(|estimate| estimate.value);
        let close = match (found, expected) {
            (Some(found), Some(expected)) => {
                (found - expected).abs() <= ABSOLUTE + RELATIVE * expected.abs()
            }
            (None, None) => true,
            _ => false,
        };
        assert!(close, "{name}: {metric} is {found:?}, not {expected:?}");
    }
}

fn class(positive: u8) -> &'static str {
    if positive == 1 { "yes" } else { "no" }
}

#[test]
fn of_two_classes() {
    let cases: Vec<Classes> = serde_json::from_str(include_str!(
        "../../tests/golden/classification_metrics.json"
    ))
    .expect("the golden file");
    assert_eq!(cases.len(), 10);
    for case in cases {
        let rows = case
            .positive
            .iter()
            .zip(&case.probability)
            .zip(&case.decided);
        let rows: Vec<Observation> = (0..)
            .zip(rows)
            .map(|(ts, ((positive, probability), decided))| Observation {
                class: Some(class(*decided).to_owned()),
                scores: [("yes".to_owned(), *probability)].into(),
                ..labelled(ts, class(*positive))
            })
            .collect();
        let summary = estimates(Kind::Binary { positive: "yes" }, &rows, |ts| ts % 7);
        check(&case.name, &summary, &case.expected);
    }
}

#[test]
fn of_numbers() {
    let cases: Vec<Numbers> =
        serde_json::from_str(include_str!("../../tests/golden/regression_metrics.json"))
            .expect("the golden file");
    assert_eq!(cases.len(), 6);
    for case in cases {
        let rows = case.prediction.iter().zip(&case.truth);
        let rows: Vec<Observation> = (0..)
            .zip(rows)
            .map(|(ts, (predicted, truth))| numbers(ts, *predicted, *truth))
            .collect();
        let summary = estimates(Kind::Regression, &rows, |ts| ts % 7);
        check(&case.name, &summary, &case.expected);
    }
}
