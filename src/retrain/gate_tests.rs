//! The gate over made-up losses: everything but a clear win leaves the champion where it is.

use std::collections::BTreeMap;

use super::*;
use crate::event::DAY;
use crate::performance::Truth;

const KIND: Kind<'static> = Kind::Binary { positive: "late" };
const HOLD_OUT: Span = Span {
    start: 0,
    end: 14 * DAY,
};

fn terms() -> Terms {
    Terms {
        min_rows: 100,
        min_gain: 0.0,
        confidence: 0.95,
        coverage_gap: 0.1,
        seed: 1,
    }
}

/// 20 rows on each of `days`; `says` is the probability that is predicted for row (number, is late).
fn rows(days: i64, says: impl Fn(i64, bool) -> f64) -> Vec<Observation> {
    let row = |number: i64| {
        // Two in five are late, in no order that a day would show.
        let late = (number * 7) % 5 < 2;
        let class = if late { "late" } else { "on_time" };
        Observation {
            version: "1".to_owned(),
            id: Some(format!("f{number}")),
            ts: number / 20 * DAY + number % 20,
            class: None,
            value: None,
            scores: BTreeMap::from([("late".to_owned(), says(number, late))]),
            truth: Some(Truth {
                class: Some(class.to_owned()),
                value: None,
                ts: number / 20 * DAY + DAY,
            }),
        }
    };
    (0..days * 20).map(row).collect()
}

/// What somebody says who is right by so much.
fn knowing(by: f64) -> impl Fn(i64, bool) -> f64 {
    move |_, late| if late { 0.4 + by } else { 0.4 - by }
}

#[track_caller]
fn check(champion: &[Observation], challenger: &[Observation], expect: Outcome) -> Gate {
    let gate = judge(KIND, HOLD_OUT, champion, challenger, &terms());
    assert_eq!(gate.outcome, expect, "{}", gate.reason);
    assert!(!gate.reason.is_empty());
    gate
}

#[test]
fn a_better_challenger_wins_and_the_figures_say_by_how_much() {
    let gate = check(
        &rows(14, knowing(0.0)),
        &rows(14, knowing(0.2)),
        Outcome::Won,
    );
    let gain = gate.gain.expect("compared");
    assert!(gain.lower > 0.0 && gain.mean > gain.lower && gain.upper > gain.mean);
    assert_eq!((gate.compared, gate.coverage.labelled), (280, 280));
    assert_eq!(gate.champion.len(), gate.challenger.len());
}

#[test]
fn the_same_predictions_lose() {
    let gate = check(
        &rows(14, knowing(0.1)),
        &rows(14, knowing(0.1)),
        Outcome::Lost,
    );
    assert_eq!(gate.gain.map(|gain| gain.mean), Some(0.0));
}

#[test]
fn a_challenger_that_is_better_on_some_days_only_loses() {
    // On half of the days much better, on the others as much worse: rows alone would look certain.
    let moody = |number: i64, late: bool| {
        let by = if number / 20 % 2 == 0 { 0.25 } else { -0.2 };
        knowing(by)(number, late)
    };
    check(&rows(14, knowing(0.0)), &rows(14, moody), Outcome::Lost);
}

#[test]
fn a_gain_below_the_minimum_is_no_win() {
    let (champion, challenger) = (rows(14, knowing(0.0)), rows(14, knowing(0.2)));
    let mean = judge(KIND, HOLD_OUT, &champion, &challenger, &terms())
        .gain
        .expect("compared")
        .mean;
    let demanding = Terms {
        min_gain: mean,
        ..terms()
    };
    let gate = judge(KIND, HOLD_OUT, &champion, &challenger, &demanding);
    assert_eq!(gate.outcome, Outcome::Lost);
}

/// One in five labels of what it was fitted on was wrong, so it says the wrong thing with the odds of one in five.
#[test]
fn a_poisoned_challenger_loses_to_one_that_learned_the_truth() {
    let clean =
        |number: i64, late: bool| knowing(if number % 10 < 8 { 0.3 } else { -0.3 })(number, late);
    let poisoned = |number: i64, late: bool| {
        let p: f64 = clean(number, late);
        0.8 * p + 0.2 * (1.0 - p)
    };
    check(&rows(14, clean), &rows(14, poisoned), Outcome::Lost);
}

#[test]
fn too_little_to_judge_on_is_named() {
    check(&[], &[], Outcome::NoChampionPredictions);
    check(
        &rows(4, knowing(0.0)),
        &rows(4, knowing(0.2)),
        Outcome::TooFewRows,
    );
    let mut silent = rows(14, knowing(0.0));
    silent.iter_mut().for_each(|row| row.scores.clear());
    check(
        &silent,
        &rows(14, knowing(0.2)),
        Outcome::NoChampionPredictions,
    );
    let crowded = |by| {
        let mut rows = rows(14, knowing(by));
        rows.iter_mut().for_each(|row| row.ts %= 3 * DAY);
        rows
    };
    check(&crowded(0.0), &crowded(0.2), Outcome::TooFewBlocks);
}

#[test]
fn labels_of_one_class_judge_nothing() {
    let only_late = |by: f64| {
        let mut rows = rows(14, knowing(by));
        for row in &mut rows {
            let truth = row.truth.as_mut().expect("labelled");
            truth.class = Some("late".to_owned());
        }
        rows
    };
    check(&only_late(0.0), &only_late(0.2), Outcome::OneClass);
}

#[test]
fn labels_that_come_for_one_predicted_class_sooner_close_the_gate() {
    // The champion decides for late on every other row; a third of those has no label.
    let sides = |number: i64, _| if number % 2 == 0 { 0.7 } else { 0.3 };
    let without = |mut rows: Vec<Observation>| {
        for (number, row) in rows.iter_mut().enumerate() {
            if number % 6 == 0 {
                row.truth = None;
            }
        }
        rows
    };
    let gate = check(
        &without(rows(14, sides)),
        &without(rows(14, knowing(0.2))),
        Outcome::CoverageImbalance,
    );
    assert_eq!(gate.coverage.by_predicted["late"].0, 140);
    assert!(
        gate.reason.starts_with("label coverage differs by 33."),
        "{}",
        gate.reason
    );
}

#[test]
fn a_regression_is_compared_by_squared_errors() {
    let number = |at: f64| {
        let mut rows = rows(14, knowing(0.0));
        for (place, row) in rows.iter_mut().enumerate() {
            row.value = Some(at * (place % 7) as f64);
            row.truth = Some(Truth {
                class: None,
                value: Some((place % 7) as f64),
                ts: row.ts,
            });
        }
        rows
    };
    let gate = judge(
        Kind::Regression,
        HOLD_OUT,
        &number(0.5),
        &number(0.9),
        &terms(),
    );
    assert_eq!(
        (gate.outcome, gate.loss.as_str()),
        (Outcome::Won, "squared_error")
    );
}
