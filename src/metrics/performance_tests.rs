use super::tests::{check, held, key, lines, score};
use super::*;
use crate::event::{DAY, Key, Span};
use crate::stats::score::{Score, Verdict};

/// A log loss with a standard error, a constant and, if it is watched, a limit.
pub(super) fn loss(value: f64, limit: Option<f64>) -> Score {
    let mut score = score("", "log_loss", value, limit.unwrap_or_default());
    score.threshold = score.threshold.filter(|_| limit.is_some());
    score
        .parameters
        .insert(STDERR.to_owned(), "0.01".to_owned());
    score
        .parameters
        .insert(CONSTANT.to_owned(), "0.6".to_owned());
    score
}

fn perform(metrics: &Metrics, key: &Key, day: Millis, labelled: u64, scores: &[Score]) {
    metrics.performed(&Performed {
        key,
        window: Span::new(day * DAY, (day + 1) * DAY),
        verdict: Verdict::Ok,
        rows: 100,
        labelled,
        scores,
    });
}

const LABELS: &str = "{metric=\"log_loss\",model=\"power\",segment=\"\",version=\"7\"}";

#[test]
fn a_metric_stands_beside_its_error_limit_and_constant() {
    let metrics = held(2);
    // Once for itself and once for each rule that watches it: the nearest limit is shown.
    let scores = [loss(0.5, None), loss(0.5, Some(0.9)), loss(0.5, Some(0.55))];
    perform(&metrics, &key("7"), 0, 80, &scores);
    for (name, value) in [
        ("", "0.5"),
        ("_stderr", "0.01"),
        ("_threshold", "0.55"),
        ("_constant", "0.6"),
    ] {
        let name = format!("driftline_model_metric{name}{{");
        let line = format!("{}{} {value}", name.trim_end_matches('{'), LABELS);
        check(&metrics, &name, &[&line]);
    }
    check(
        &metrics,
        "driftline_label_coverage_ratio",
        &["driftline_label_coverage_ratio{model=\"power\",segment=\"\",version=\"7\"} 0.8"],
    );
    check(
        &metrics,
        "driftline_performance_window_end",
        &["driftline_performance_window_end_timestamp_seconds{model=\"power\"} 86400"],
    );
}

#[test]
fn a_metric_without_value_ends_with_all_beside_it() {
    let metrics = held(2);
    perform(&metrics, &key("7"), 0, 80, &[loss(0.5, Some(0.6))]);
    let undefined = Score {
        value: None,
        ..loss(0.0, Some(0.6))
    };
    perform(&metrics, &key("7"), 1, 0, &[undefined]);
    check(&metrics, "driftline_model_metric", &[]);
    check(
        &metrics,
        "driftline_label_coverage_ratio",
        &["driftline_label_coverage_ratio{model=\"power\",segment=\"\",version=\"7\"} 0"],
    );
}

#[test]
fn a_late_result_is_counted_and_not_shown() {
    let metrics = held(2);
    perform(&metrics, &key("7"), 1, 80, &[loss(0.5, None)]);
    perform(&metrics, &key("7"), 0, 80, &[loss(0.9, None)]);
    check(
        &metrics,
        "driftline_model_metric{",
        &[&format!("driftline_model_metric{LABELS} 0.5")],
    );
    check(
        &metrics,
        "driftline_performance_windows_total{model=\"power\",verdict=\"ok\"}",
        &["driftline_performance_windows_total{model=\"power\",verdict=\"ok\"} 2"],
    );
}

#[test]
fn a_version_that_was_replaced_ends_with_the_next_window_without_it() {
    let metrics = held(2);
    let versions = |metrics: &Metrics| lines(metrics, "driftline_label_coverage_ratio").len();
    perform(&metrics, &key("7"), 0, 80, &[loss(0.5, None)]);
    perform(&metrics, &key("8"), 1, 80, &[loss(0.4, None)]);
    // Its own result of that window may still come.
    assert_eq!(versions(&metrics), 2);
    perform(&metrics, &key("8"), 2, 80, &[loss(0.4, None)]);
    assert_eq!(versions(&metrics), 1);
    assert_eq!(lines(&metrics, "driftline_model_metric{").len(), 1);
}

#[test]
fn keys_are_bounded() {
    let metrics = held(2);
    for version in 0..=KEYS_SHOWN {
        perform(
            &metrics,
            &key(&version.to_string()),
            0,
            80,
            &[loss(0.5, None)],
        );
    }
    assert_eq!(lines(&metrics, "driftline_model_metric{").len(), KEYS_SHOWN);
    check(
        &metrics,
        "driftline_series_dropped_total",
        &["driftline_series_dropped_total 1"],
    );
}

#[test]
fn judged_windows_are_restored_once() {
    let metrics = held(2);
    metrics.restore_performance("power", &[(Verdict::Ok, 3)]);
    perform(&metrics, &key("7"), 0, 80, &[]);
    metrics.restore_performance("power", &[(Verdict::Ok, 4)]);
    metrics.restore_performance("power", &[(Verdict::Ok, 3)]);
    check(
        &metrics,
        "driftline_performance_windows_total{model=\"power\",verdict=\"ok\"}",
        &["driftline_performance_windows_total{model=\"power\",verdict=\"ok\"} 4"],
    );
}

#[test]
fn without_the_lease_nothing_is_exported() {
    let metrics = Metrics::new("0.1.0", "");
    metrics.declare("power", &[]);
    metrics.restore_performance("power", &[(Verdict::Ok, 3)]);
    perform(&metrics, &key("7"), 0, 80, &[loss(0.5, None)]);
    for name in [
        "driftline_model_metric",
        "driftline_label_coverage",
        "driftline_performance_",
    ] {
        check(&metrics, name, &[]);
    }
}

#[test]
fn a_label_from_before_its_prediction_took_no_time() {
    let metrics = held(2);
    metrics.label_delays("power", [-5, 60_000, 61_000]);
    check(
        &metrics,
        "driftline_label_delay_seconds_bucket{model=\"power\",le=\"60\"}",
        &["driftline_label_delay_seconds_bucket{model=\"power\",le=\"60\"} 2"],
    );
    check(
        &metrics,
        "driftline_label_delay_seconds_sum",
        &["driftline_label_delay_seconds_sum{model=\"power\"} 121"],
    );
}
