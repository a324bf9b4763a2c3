use super::tests::{check, held, lines};
use super::*;
use crate::event::DAY;

fn firing(rule: &str, keys: u64, since: Millis) -> FiringRule {
    FiringRule {
        rule: rule.to_owned(),
        keys,
        since,
    }
}

#[test]
fn an_alert_begins_at_0_and_ends_at_0() {
    let metrics = held(2);
    metrics.rules("power", ["inputs", "loss"]);
    metrics.alerts("power", &[firing("loss", 2, DAY)]);
    metrics.alerts("power", &[]);
    metrics.alerts("power", &[firing("inputs", 1, 2 * DAY)]);
    check(
        &metrics,
        "driftline_alert_firing",
        &[
            "driftline_alert_firing{model=\"power\",rule=\"inputs\"} 1",
            "driftline_alert_firing{model=\"power\",rule=\"loss\"} 0",
        ],
    );
    // When it fired last can still be seen.
    check(
        &metrics,
        "driftline_alert_since_timestamp_seconds",
        &[
            "driftline_alert_since_timestamp_seconds{model=\"power\",rule=\"inputs\"} 172800",
            "driftline_alert_since_timestamp_seconds{model=\"power\",rule=\"loss\"} 86400",
        ],
    );
}

#[test]
fn one_version_is_the_champion() {
    let metrics = held(2);
    metrics.champion("power", "1", 0);
    metrics.champion("power", "2", DAY);
    metrics.champion("power", "2", DAY);
    check(
        &metrics,
        "driftline_champion",
        &[
            "driftline_champion_info{model=\"power\",version=\"2\"} 1",
            "driftline_champion_since_timestamp_seconds{model=\"power\"} 86400",
        ],
    );
}

#[test]
fn runs_are_counted_as_the_store_counts_them() {
    let metrics = held(2);
    assert_eq!(
        lines(&metrics, "driftline_retrain_runs_total").len(),
        RunOutcome::ALL.len()
    );
    let lost = |total, newest| Runs {
        outcome: RunOutcome::Lost,
        total,
        newest,
    };
    for runs in [lost(1, 0), lost(2, DAY), lost(2, DAY)] {
        metrics.runs("power", &[runs]);
    }
    check(
        &metrics,
        "driftline_retrain_runs_total{model=\"power\",outcome=\"lost\"}",
        &["driftline_retrain_runs_total{model=\"power\",outcome=\"lost\"} 2"],
    );
    check(
        &metrics,
        "driftline_retrain_run_timestamp_seconds",
        &["driftline_retrain_run_timestamp_seconds{model=\"power\",outcome=\"lost\"} 86400"],
    );
}

#[test]
fn a_gate_that_could_not_measure_shows_no_gain() {
    let metrics = held(2);
    metrics.gate("power", 0.5, 0.25);
    assert_eq!(lines(&metrics, "driftline_retrain_gain").len(), 2);
    metrics.gate("power", f64::NAN, f64::NAN);
    check(&metrics, "driftline_retrain_gain", &[]);
}

#[test]
fn every_status_of_a_run_has_an_outcome_or_is_active() {
    for status in crate::store::runs::Status::ALL {
        assert_eq!(
            RunOutcome::of_status(status.as_str()).is_none(),
            status.is_active(),
            "{}",
            status.as_str()
        );
    }
}

#[test]
fn without_the_lease_nothing_is_exported() {
    let metrics = Metrics::new("0.1.0", "");
    metrics.declare("power", &[]);
    metrics.rules("power", ["inputs"]);
    metrics.alerts("power", &[firing("loss", 2, DAY)]);
    metrics.champion("power", "1", 0);
    metrics.gate("power", 0.5, 0.25);
    for name in [
        "driftline_alert_firing",
        "driftline_alert_since",
        "driftline_champion",
        "driftline_retrain_gain",
    ] {
        check(&metrics, name, &[]);
    }
    // What a process does itself is its own.
    metrics.retrain_active("power", true);
    check(
        &metrics,
        "driftline_retrain_active",
        &["driftline_retrain_active{model=\"power\"} 1"],
    );
    metrics.retrain_request(RequestOutcome::Stale);
    check(
        &metrics,
        "driftline_retrain_requests_total{outcome=\"stale\"}",
        &["driftline_retrain_requests_total{outcome=\"stale\"} 1"],
    );
}
