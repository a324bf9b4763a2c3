//! What holds for every metric, and small cases worked out by hand.

use proptest::prelude::*;

use super::testing::{labelled, numbers, row};
use super::{
    Estimate, Kind, Metric, Observation, Summary, Unusable, estimates, losses, measure, paired_gain,
};
use crate::event::{DAY, Span};

const BINARY: Kind<'_> = Kind::Binary { positive: "up" };

fn binary(ts: i64, probability: f64, class: &str) -> Observation {
    Observation {
        scores: [("up".to_owned(), probability)].into(),
        ..labelled(ts, class)
    }
}

fn scored(ts: i64, class: &str, scores: [f64; 3]) -> Observation {
    let names = ["a", "b", "c"].map(str::to_owned);
    Observation {
        scores: names.into_iter().zip(scores).collect(),
        ..labelled(ts, class)
    }
}

fn week(kind: Kind<'_>, rows: &[Observation]) -> Summary {
    measure(kind, rows, Span::new(0, 7 * DAY))
}

#[track_caller]
fn of(summary: &Summary, metric: Metric) -> &Estimate {
    summary.get(metric).expect("a metric of the task")
}

#[track_caller]
fn close(found: Option<f64>, expect: f64) {
    let found = found.expect("a value");
    assert!((found - expect).abs() < 1e-12, "{found} is not {expect}");
}

#[test]
fn of_many_classes_by_hand() {
    let rows = [
        scored(0, "a", [0.6, 0.3, 0.1]),
        scored(DAY, "b", [0.2, 0.5, 0.3]),
        scored(2 * DAY, "b", [0.5, 0.4, 0.1]),
        scored(3 * DAY, "c", [0.1, 0.2, 0.7]),
        scored(4 * DAY, "a", [0.4, 0.35, 0.25]),
    ];
    let summary = week(Kind::Multiclass, &rows);
    let loss: f64 = [0.6, 0.5, 0.4, 0.7, 0.4]
        .iter()
        .map(|p: &f64| -p.ln() / 5.0)
        .sum();
    close(of(&summary, Metric::LogLoss).value, loss);
    // Class a: 5 of 6 pairs; b: both rows above all but 0.5 > 0.35 …: 6 of 6; c: 4 of 4.
    close(
        of(&summary, Metric::RocAuc).value,
        (5.0 / 6.0 + 1.0 + 1.0) / 3.0,
    );
    // Decided: a b a c a.
    close(of(&summary, Metric::Accuracy).value, 0.8);
    close(
        of(&summary, Metric::Precision).value,
        (2.0 / 3.0 + 1.0 + 1.0) / 3.0,
    );
    close(of(&summary, Metric::Recall).value, (1.0 + 0.5 + 1.0) / 3.0);
    close(
        of(&summary, Metric::F1).value,
        (0.8 + 2.0 / 3.0 + 1.0) / 3.0,
    );
    assert_eq!(summary.get(Metric::Brier), None);
    // The constants: shares 2/5, 2/5, 1/5.
    let entropy = -(0.8 * 0.4f64.ln() + 0.2 * 0.2f64.ln());
    close(of(&summary, Metric::LogLoss).constant, entropy);
    close(of(&summary, Metric::RocAuc).constant, 0.5);
    close(of(&summary, Metric::Accuracy).constant, 0.4);
    close(of(&summary, Metric::Precision).constant, 0.4 / 3.0);
    close(of(&summary, Metric::Recall).constant, 1.0 / 3.0);
    close(of(&summary, Metric::F1).constant, 4.0 / 7.0 / 3.0);
}

#[test]
fn a_class_without_hits_counts_as_nothing_in_the_mean() {
    let mut rows = [labelled(0, "a"), labelled(1, "a"), labelled(2, "b")];
    for (row, class) in rows.iter_mut().zip(["a", "c", "a"]) {
        row.class = Some(class.to_owned());
    }
    let summary = week(Kind::Multiclass, &rows);
    close(of(&summary, Metric::Precision).value, 0.5 / 3.0);
    close(of(&summary, Metric::Recall).value, 0.5 / 3.0);
    let loss = of(&summary, Metric::LogLoss);
    assert_eq!((loss.value, loss.n), (None, 0));
    assert_eq!(loss.unusable, [(Unusable::NoProbability, 3)].into());
}

#[test]
fn the_best_constants_of_two_classes() {
    let rows: Vec<Observation> = (0..10)
        .map(|day| binary(day * DAY / 2, 0.3, if day < 3 { "up" } else { "down" }))
        .collect();
    let summary = week(BINARY, &rows);
    let entropy = -(0.3 * 0.3f64.ln() + 0.7 * 0.7f64.ln());
    for (metric, expect) in [
        (Metric::LogLoss, entropy),
        (Metric::Brier, 0.21),
        (Metric::RocAuc, 0.5),
        (Metric::Accuracy, 0.7),
        (Metric::Precision, 0.3),
        (Metric::Recall, 1.0),
        (Metric::F1, 0.6 / 1.3),
    ] {
        close(of(&summary, metric).constant, expect);
    }
    // Predicting the base rate is being that constant.
    close(of(&summary, Metric::LogLoss).value, entropy);
    close(of(&summary, Metric::Brier).value, 0.21);
    close(of(&summary, Metric::RocAuc).value, 0.5);
    let precision = of(&summary, Metric::Precision);
    assert_eq!(precision.value, None);
    assert_eq!(
        precision.reason,
        "nothing was decided to be positive, so precision is not defined"
    );
}

#[test]
fn the_best_constants_of_numbers() {
    let rows: Vec<Observation> = [1.0, 2.0, 4.0, 9.0]
        .into_iter()
        .zip(0..)
        .map(|(y, day)| numbers(day * DAY, 0.0, y))
        .collect();
    let summary = week(Kind::Regression, &rows);
    close(of(&summary, Metric::Rmse).constant, 9.5f64.sqrt());
    close(of(&summary, Metric::Mae).constant, 2.5);
    close(of(&summary, Metric::R2).constant, 0.0);
    close(of(&summary, Metric::R2).value, 1.0 - 102.0 / 38.0);
}

#[test]
fn nothing_has_no_values_and_says_why() {
    for kind in [BINARY, Kind::Multiclass, Kind::Regression] {
        for rows in [Vec::new(), vec![row(0), row(1)]] {
            let summary = week(kind, &rows);
            assert_eq!(summary.coverage.rows, rows.len() as u64);
            assert!(!summary.estimates.is_empty());
            for estimate in summary.estimates {
                assert_eq!((estimate.value, estimate.standard_error), (None, None));
                assert_eq!((estimate.constant, estimate.n), (None, 0));
                assert_eq!(estimate.reason, "no labelled row can be used");
            }
        }
    }
}

#[test]
fn one_class_alone_has_no_area() {
    let rows = [binary(0, 0.75, "up"), binary(DAY, 0.5, "up")];
    let summary = week(BINARY, &rows);
    let area = of(&summary, Metric::RocAuc);
    assert_eq!((area.value, area.constant), (None, None));
    assert_eq!(
        area.reason,
        "all labels are of one class, so there is no pair to compare"
    );
    close(of(&summary, Metric::LogLoss).constant, 0.0);
}

#[test]
fn rows_that_cannot_be_used_are_counted_with_their_reason() {
    let mut without = labelled(0, "up");
    without.class = Some("up".to_owned());
    let rows = [
        without,
        labelled(1, "down"),
        binary(2, 1.5, "up"),
        binary(3, f64::NAN, "up"),
        binary(4, 0.9, "up"),
    ];
    let summary = week(BINARY, &rows);
    let loss = of(&summary, Metric::LogLoss);
    assert_eq!(loss.n, 1);
    let reasons = [
        (Unusable::NoProbability, 2),
        (Unusable::ProbabilityOutOfRange, 2),
    ];
    assert_eq!(loss.unusable, reasons.into());
    let accuracy = of(&summary, Metric::Accuracy);
    assert_eq!((accuracy.n, accuracy.value), (2, Some(1.0)));
    assert_eq!(accuracy.unusable, [(Unusable::NoClass, 3)].into());

    let rows = [
        numbers(0, 1e200, 1.0),
        numbers(1, 1.0, f64::INFINITY),
        numbers(2, f64::NAN, 1.0),
        numbers(3, 2.0, 1.0),
    ];
    let summary = week(Kind::Regression, &rows);
    assert_eq!((summary.coverage.rows, summary.coverage.labelled), (4, 3));
    let rmse = of(&summary, Metric::Rmse);
    assert_eq!((rmse.value, rmse.n), (Some(1.0), 1));
    let reasons = [(Unusable::NoValue, 1), (Unusable::ValueTooLarge, 1)];
    assert_eq!(rmse.unusable, reasons.into());
}

#[test]
fn the_standard_error_needs_three_blocks() {
    let rows: Vec<Observation> = (0..3)
        .flat_map(|day| {
            let p = 0.2 + 0.2 * day as f64;
            [
                binary(day * DAY, p, "up"),
                binary(day * DAY + 1, 0.5, "down"),
            ]
        })
        .collect();
    let summary = week(BINARY, &rows);
    for estimate in &summary.estimates {
        assert_eq!(estimate.blocks, 3);
        assert!(estimate.standard_error.is_some(), "{}", estimate.metric);
    }
    let two = week(BINARY, &rows[..4]);
    let brier = of(&two, Metric::Brier);
    assert!(brier.value.is_some());
    assert_eq!(
        (brier.standard_error, brier.reason.as_str()),
        (
            None,
            "labelled rows lie in 2 of the window's blocks; a standard error needs 3"
        )
    );
}

/// Every metric without a block is the metric of the rows of the other blocks, so the jackknife can be done by hand.
#[track_caller]
fn check_jackknife(kind: Kind<'_>, rows: &[Observation]) {
    let block = |ts: i64| ts % 4;
    let summary = estimates(kind, rows, block);
    for estimate in &summary.estimates {
        let Some(error) = estimate.standard_error else {
            continue;
        };
        let without: Vec<f64> = (0..4)
            .map(|left_out| {
                let rest: Vec<Observation> = rows
                    .iter()
                    .filter(|row| block(row.ts) != left_out)
                    .cloned()
                    .collect();
                let rest = estimates(kind, &rest, block);
                of(&rest, estimate.metric)
                    .value
                    .expect("defined without a block")
            })
            .collect();
        let mean = without.iter().sum::<f64>() / 4.0;
        let squares: f64 = without.iter().map(|value| (value - mean).powi(2)).sum();
        let expect = (0.75 * squares).sqrt();
        assert!(
            (error - expect).abs() <= 1e-9 * (1.0 + expect),
            "{}: {error} is not {expect}",
            estimate.metric
        );
    }
}

fn any_row() -> impl Strategy<Value = Observation> {
    let class = prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(str::to_owned);
    let scores = prop_oneof![
        (0..=8u8, 0..=8u8).prop_map(|(a, b)| {
            let (a, b) = (f64::from(a) / 16.0, f64::from(b) / 16.0);
            vec![("a", a), ("b", b), ("c", 1.0 - a - b)]
        }),
        Just(vec![("a", 0.3)]),
        Just(vec![("a", 1.5), ("b", f64::NAN)]),
        Just(Vec::new()),
    ];
    let number = prop_oneof![
        4 => -5.0..5.0f64,
        1 => any::<f64>(),
    ];
    let truth = (
        proptest::option::of(class.clone()),
        proptest::option::of(number.clone()),
    );
    (
        0..40i64,
        proptest::option::of(class),
        scores,
        proptest::option::of(number),
        proptest::option::of(truth),
    )
        .prop_map(|(ts, class, scores, value, truth)| Observation {
            class,
            value,
            scores: scores
                .into_iter()
                .map(|(class, score)| (class.to_owned(), score))
                .collect(),
            truth: truth.map(|(class, value)| super::Truth { class, value, ts }),
            ..row(ts)
        })
}

fn kinds() -> [Kind<'static>; 3] {
    [
        Kind::Binary { positive: "a" },
        Kind::Multiclass,
        Kind::Regression,
    ]
}

proptest! {
    /// The same observations in any order give the same bits, and everything that is said is a number in range or
    /// none with a reason.
    #[test]
    fn order_changes_no_bit_and_values_stay_in_range(
        rows in proptest::collection::vec(any_row(), 0..40), seed in any::<u64>(),
    ) {
        let mut shuffled = rows.clone();
        let mut state = seed | 1;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, (state >> 33) as usize % (i + 1));
        }
        for kind in kinds() {
            let summary = estimates(kind, &rows, |ts| ts / 10);
            let again = estimates(kind, &shuffled, |ts| ts / 10);
            prop_assert_eq!(
                serde_json::to_string(&summary).expect("no NaN"),
                serde_json::to_string(&again).expect("no NaN")
            );
            let labelled = summary.coverage.labelled;
            for estimate in summary.estimates {
                let (low, high) = estimate.metric.entry().range;
                if let Some(value) = estimate.value {
                    prop_assert!(value.is_finite() && value >= low - 1e-9 && value <= high + 1e-9, "{}: {value}", estimate.metric);
                }
                prop_assert!(estimate.standard_error.is_none_or(|error| error.is_finite() && error >= 0.0));
                prop_assert_eq!(estimate.n + estimate.unusable.values().sum::<u64>(), labelled);
                prop_assert_eq!(estimate.reason.is_empty(), estimate.value.is_some() && estimate.standard_error.is_some());
            }
        }
    }

    #[test]
    fn blocks_are_left_out_as_if_they_had_not_been(
        rows in proptest::collection::vec((0..8u8, any::<bool>(), -5.0..5.0f64, -5.0..5.0f64), 12..60),
    ) {
        let classes: Vec<Observation> = (0..)
            .zip(&rows)
            .map(|(ts, (p, up, ..))| binary(ts, f64::from(*p) / 8.0, if *up { "up" } else { "down" }))
            .collect();
        let values: Vec<Observation> = (0..).zip(&rows).map(|(ts, (_, _, p, y))| numbers(ts, *p, *y)).collect();
        let many: Vec<Observation> = (0..)
            .zip(&rows)
            .map(|(ts, (p, up, ..))| {
                let p = f64::from(*p) / 16.0;
                scored(ts, if *up { "a" } else { "b" }, [p, 0.5 - p, 0.5])
            })
            .collect();
        check_jackknife(BINARY, &classes);
        check_jackknife(Kind::Regression, &values);
        check_jackknife(Kind::Multiclass, &many);
    }

    /// The mean of the losses is the metric: what a gate compares is what a window shows.
    #[test]
    fn losses_add_up_to_their_metric(rows in proptest::collection::vec(any_row(), 1..40)) {
        for (kind, metric) in kinds().into_iter().zip([Metric::LogLoss, Metric::LogLoss, Metric::Rmse]) {
            let losses: Vec<f64> = losses(kind, &rows).into_iter().flatten().collect();
            let summary = estimates(kind, &rows, |ts| ts);
            let estimate = of(&summary, metric);
            prop_assert_eq!(estimate.n, losses.len() as u64);
            if let Some(value) = estimate.value {
                let mean = losses.iter().sum::<f64>() / losses.len() as f64;
                let expect = if metric == Metric::Rmse { mean.sqrt() } else { mean };
                prop_assert!((value - expect).abs() <= 1e-9 * (1.0 + expect.abs()), "{value} {expect}");
            }
        }
    }

    /// Exchanging the two models turns the gain around.
    #[test]
    fn gains_are_antisymmetric(rows in proptest::collection::vec((0.0..3.0f64, 0.0..3.0f64), 30..60)) {
        let (champion, challenger): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
        let blocks: Vec<i64> = (0..champion.len() as i64).map(|i| i % 6).collect();
        let there = paired_gain(&champion, &challenger, &blocks, 0.9, 1_000, 3).expect("six blocks");
        let back = paired_gain(&challenger, &champion, &blocks, 0.9, 1_000, 3).expect("six blocks");
        prop_assert_eq!(there.mean, -back.mean);
        prop_assert!((there.lower + back.upper).abs() < 1e-12 && (there.upper + back.lower).abs() < 1e-12);
        prop_assert!(there.lower <= there.mean && there.mean <= there.upper);
    }
}
