//! How a model is trained anew: the `retrain` table of a declaration. When it is asked for is an action's business.

use crate::event::{DAY, Millis};
use crate::performance::Kind;

use super::facts::Facts;
use super::fields::{At, Checker, Table};
use super::problem::did_you_mean;
use super::rows::share;

/// A run that looks at less than this much of the past has nothing to learn from.
const LEAST_STRETCH: Millis = DAY;
/// Below this an interval says nothing, and above it takes more blocks than there ever are.
const CONFIDENCE: std::ops::RangeInclusive<f64> = 0.5..=0.999;

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

/// What can be trained, by name, and whether it learns classes or numbers. `learn` has a candidate for each.
pub const CANDIDATES: [(&str, bool); 6] = [
    ("logistic", true),
    ("tree", true),
    ("forest", true),
    ("elastic_net", false),
    ("regression_tree", false),
    ("regression_forest", false),
];

/// The names of the candidates that fit.
pub fn candidates_for(kind: Kind<'_>) -> impl Iterator<Item = &'static str> {
    let classes = !matches!(kind, Kind::Regression);
    CANDIDATES
        .into_iter()
        .filter(move |(_, of_classes)| *of_classes == classes)
        .map(|(name, _)| name)
}

const FIELDS: [&str; 9] = [
    "history",
    "hold_out",
    "embargo",
    "min_gain",
    "confidence",
    "min_rows",
    "coverage_gap",
    "candidates",
    "seed",
];

pub(super) fn read<'a>(
    check: &mut Checker<'a>,
    at: &At<'a>,
    facts: Facts<'_>,
) -> Option<RetrainPolicy> {
    let table = check.table(at, &FIELDS)?;
    let standard = RetrainPolicy::default();
    if let Some(task) = facts.task
        && task.kind().is_none()
    {
        check.refuse(
            at,
            &format!("no model is trained for a task of type {}", task.as_str()),
            "leave it out, or declare a binary, multiclass or regression task",
        );
    } else {
        let wrong = "no rows are kept to train on";
        facts.rows_are_kept(check, at, wrong, ", or leave `retrain` out");
    }
    let mut length = |key: &str, least| table.get(key).and_then(|at| check.duration(at, least));
    let history = length("history", LEAST_STRETCH);
    let hold_out = length("hold_out", LEAST_STRETCH).unwrap_or(standard.hold_out);
    let embargo = length("embargo", 0);
    let mut number = |key, range, remedy, or| {
        let given = table
            .get(key)
            .and_then(|at| check.number(at, range, remedy));
        given.unwrap_or(or)
    };
    let min_gain = number(
        "min_gain",
        0.0..=f64::MAX,
        "write 0 or more",
        standard.min_gain,
    );
    let confidence = number(
        "confidence",
        CONFIDENCE,
        "write a chance from 0.5 to 0.999, for example `0.95`",
        standard.confidence,
    );
    let mut whole = |key, range, or| {
        let given = table.get(key).and_then(|at| check.whole_number(at, range));
        given.unwrap_or(or)
    };
    let min_rows = whole("min_rows", 1..=1_000_000_000, standard.min_rows);
    let seed = whole("seed", 0..=u64::MAX, standard.seed);
    let coverage_gap = table
        .get("coverage_gap")
        .and_then(|at| {
            share(
                check,
                at,
                "write a share above 0 and below 100%, for example `10%`",
            )
        })
        .unwrap_or(standard.coverage_gap);
    let candidates = candidates(check, &table, facts);
    Some(RetrainPolicy {
        history,
        hold_out,
        embargo,
        min_gain,
        confidence,
        min_rows,
        coverage_gap,
        candidates,
        seed,
    })
}

fn candidates<'a>(check: &mut Checker<'a>, table: &Table<'a>, facts: Facts<'_>) -> Vec<String> {
    let Some(at) = table.get("candidates") else {
        return Vec::new();
    };
    let names = check.texts(at).unwrap_or_default();
    if at.items().is_some_and(|items| items.is_empty()) {
        check.refuse(
            at,
            "nothing would be trained",
            "name candidates, or leave it out for all that fit",
        );
    }
    let known: Vec<&str> = match facts.task.and_then(|task| task.kind()) {
        Some(kind) => candidates_for(kind).collect(),
        None => CANDIDATES.map(|(name, _)| name).to_vec(),
    };
    let items = at.items().unwrap_or_else(|| vec![at.clone()]);
    for (at, name) in items.iter().zip(&names) {
        if known.contains(name) {
            continue;
        }
        let list = known.join(", ");
        if CANDIDATES.iter().any(|(other, _)| other == name) {
            let task = facts.task.map_or("other", |task| task.as_str());
            check.refuse(
                at,
                &format!("this candidate does not fit a {task} task"),
                &format!("write some of: {list}"),
            );
        } else {
            let remedy = match did_you_mean(name, &known) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("write some of: {list}"),
            };
            check.refuse(at, "not a known candidate", &remedy);
        }
    }
    names.into_iter().map(str::to_owned).collect()
}
