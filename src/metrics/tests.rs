use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::event::{DAY, HOUR, Key, Span};
use crate::stats::score::{Score, Threshold, ThresholdSource, Verdict};

pub(super) fn key(version: &str) -> Key {
    Key {
        model: "power".to_owned(),
        version: version.to_owned(),
        segment: String::new(),
    }
}

pub(super) fn score(column: &str, statistic: &str, value: f64, threshold: f64) -> Score {
    Score {
        column: column.to_owned(),
        statistic: statistic.to_owned(),
        verdict: if value > threshold {
            Verdict::Drift
        } else {
            Verdict::Ok
        },
        value: Some(value),
        effect: Some(value),
        floor: 0.0,
        threshold: Some(Threshold {
            value: threshold,
            source: ThresholdSource::Blocks,
            level: Some(0.01),
            overdispersion: None,
            blocks: 8,
            draws: None,
            extrapolated: false,
            false_alarms_per_week: None,
        }),
        p_value: Some(0.5),
        error_bound: None,
        n_reference: 1000,
        n_current: 100,
        method: "bins".to_owned(),
        parameters: BTreeMap::new(),
        backend: "cpu".to_owned(),
        moved: String::new(),
        worst_slice: None,
        reason: String::new(),
    }
}

fn judge(metrics: &Metrics, key: &Key, day: Millis, scores: &[Score]) {
    let window = Span::new(day * DAY, (day + 1) * DAY);
    metrics.judged(&Judged {
        key,
        window,
        revision: 0,
        rows: 100,
        verdict: Verdict::Drift,
        scores,
    });
}

pub(super) fn held(columns_shown: usize) -> Metrics {
    let metrics = Metrics::with_columns_shown("0.1.0", "abc", columns_shown);
    metrics.declare("power", &[]);
    metrics.hold("power", &[]);
    metrics
}

/// The lines of the exposition that begin with `prefix`, without comments.
pub(super) fn lines(metrics: &Metrics, prefix: &str) -> Vec<String> {
    metrics
        .render()
        .lines()
        .filter(|line| line.starts_with(prefix))
        .map(str::to_owned)
        .collect()
}

#[track_caller]
pub(super) fn check(metrics: &Metrics, prefix: &str, expect: &[&str]) {
    assert_eq!(lines(metrics, prefix), expect);
}

/// A registry in which every family has at least one series.
fn filled() -> Metrics {
    let metrics = held(2);
    let partition = Partition {
        topic: "predictions".to_owned(),
        partition: 0,
    };
    metrics.consumed("predictions", Some("power"), 10);
    metrics.consumed("predictions", None, 1);
    metrics.accepted(
        "power",
        Records {
            used: 7,
            late: 1,
            duplicate: 2,
            unknown_fields: 3,
        },
    );
    metrics.accepted(
        "stranger",
        Records {
            used: 1,
            ..Records::default()
        },
    );
    metrics.rejected(Reason::BadTs, 1);
    metrics.lag(&partition, 5);
    metrics.log_gap(&partition, 4);
    metrics.partitions_assigned(1);
    metrics.dead_letters_copied(1);
    metrics.dead_letters_uncopied(2);
    metrics.latencies("power", [1.9, 20.0, f64::NAN, -1.0]);
    metrics.watermark("power", DAY);
    metrics.model_info("power", "0123456789abcdef", "fedcba9876543210");
    metrics.alerts_firing(Firing {
        page: 1,
        ..Firing::default()
    });
    metrics.webhook_delivery(Delivery::Answered(204));
    metrics.webhook_delivery(Delivery::Timeout);
    metrics.outbox_pending(1);
    metrics.committed(Duration::from_millis(3), DAY);
    metrics.commit_conflicts(1);
    metrics.compute_fallbacks(1);
    metrics.compute_crossover("rbf_mmd", 2048);
    metrics.computed(Stage::Compare, "cpu", Duration::from_millis(3));
    metrics.alarm(Alarm::DiskFull, true);
    metrics.store_size(4096);
    metrics.labels("power", 5, 1);
    metrics.label_delays("power", [HOUR]);
    metrics.lake_flush(Flush::Written);
    metrics.champion("power", "7", DAY);
    metrics.gate("power", 0.02, 0.01);
    metrics.runs(
        "power",
        &[Runs {
            outcome: RunOutcome::Promoted,
            total: 1,
            newest: DAY,
        }],
    );
    metrics.alerts(
        "power",
        &[FiringRule {
            rule: "inputs".to_owned(),
            keys: 1,
            since: DAY,
        }],
    );
    let loss = performance_tests::loss(0.5, Some(0.45));
    metrics.performed(&Performed {
        key: &key("7"),
        window: Span::new(0, DAY),
        verdict: Verdict::Drift,
        rows: 100,
        labelled: 90,
        scores: &[loss],
    });
    let scores = [
        score("a", "psi", 0.3, 0.1),
        score("b", "psi", 0.0, 0.1),
        score("c", "psi", 0.9, 1.0),
        score("d", "psi", 0.2, 0.1),
        score("a", "null_rate", 0.25, 0.5),
        score("d", "unseen", 0.5, 0.1),
        score("", "volume", 100.0, 50.0),
    ];
    judge(&metrics, &key("7"), 0, &scores);
    metrics
}

#[test]
fn every_line_of_the_table_is_exported_and_nothing_else() {
    let text = filled().render();
    let exported: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let mut table: Vec<&str> = TABLE.iter().map(|entry| entry.name).collect();
    table.sort_unstable();
    assert_eq!(exported, table);
}

#[test]
fn names_tell_the_kind() {
    for entry in TABLE {
        assert_eq!(
            entry.kind == Kind::Counter,
            entry.name.ends_with("_total"),
            "{}",
            entry.name
        );
        assert_eq!(
            entry.kind == Kind::Histogram,
            !entry.buckets.is_empty(),
            "{}",
            entry.name
        );
        assert!(
            entry.name.starts_with("driftline_") || entry.name.starts_with("process_"),
            "{}",
            entry.name
        );
        assert!(entry.help.trim().ends_with('.'), "{}", entry.name);
    }
}

#[test]
fn promtool_finds_no_fault() {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("promtool is installed (Debian package prometheus)");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(filled().render().as_bytes())
        .expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn known_series_start_at_zero() {
    let metrics = held(2);
    assert_eq!(
        lines(&metrics, "driftline_records_rejected_total").len(),
        Reason::ALL.len()
    );
    assert_eq!(
        lines(&metrics, "driftline_windows_total").len(),
        Verdict::ALL.len()
    );
    check(
        &metrics,
        "driftline_records_used_total",
        &["driftline_records_used_total{model=\"power\"} 0"],
    );
    check(
        &metrics,
        "driftline_dead_letters_copied_total",
        &["driftline_dead_letters_copied_total 0"],
    );
}

#[test]
fn the_same_state_renders_the_same_text() {
    let without_process = |metrics: Metrics| {
        let text = metrics.render();
        text.lines()
            .filter(|line| !line.starts_with("process_"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(without_process(filled()), without_process(filled()));
}

#[test]
fn a_model_without_declaration_is_unknown() {
    check(
        &filled(),
        "driftline_records_used_total",
        &[
            "driftline_records_used_total{model=\"__unknown__\"} 1",
            "driftline_records_used_total{model=\"power\"} 7",
        ],
    );
}

#[test]
fn columns_beyond_the_bound_fold_into_the_one_furthest_beyond_its_threshold() {
    let metrics = filled();
    check(
        &metrics,
        "driftline_feature_drift_score{feature=\"__other__\"",
        &[
            "driftline_feature_drift_score{feature=\"__other__\",method=\"psi\",model=\"power\",segment=\"\",version=\"7\"} 0.2",
        ],
    );
    check(
        &metrics,
        "driftline_series_dropped_total",
        &["driftline_series_dropped_total 3"],
    );
    check(
        &metrics,
        "driftline_features_drifted",
        &["driftline_features_drifted{model=\"power\"} 2"],
    );
}

#[test]
fn shown_columns_are_sticky_and_the_important_ones_come_first() {
    let metrics = Metrics::with_columns_shown("0.1.0", "", 2);
    metrics.declare("power", &["z".to_owned()]);
    metrics.hold("power", &[]);
    judge(
        &metrics,
        &key(""),
        0,
        &[score("a", "psi", 1.0, 2.0), score("b", "psi", 1.0, 2.0)],
    );
    judge(
        &metrics,
        &key(""),
        1,
        &[
            score("b", "psi", 9.0, 2.0),
            score("a", "psi", 1.0, 2.0),
            score("z", "psi", 1.0, 2.0),
        ],
    );
    let features: Vec<String> = lines(&metrics, "driftline_feature_drift_score")
        .iter()
        .filter_map(|line| line.split('"').nth(1).map(str::to_owned))
        .collect();
    assert_eq!(features, ["__other__", "a", "z"]);
}

#[test]
fn a_score_without_value_ends_its_series() {
    let metrics = held(2);
    judge(&metrics, &key(""), 0, &[score("a", "psi", 1.0, 2.0)]);
    let empty = Score {
        value: None,
        verdict: Verdict::NoData,
        ..score("a", "psi", 0.0, 2.0)
    };
    judge(&metrics, &key(""), 1, &[empty]);
    check(&metrics, "driftline_feature_drift", &[]);
}

#[test]
fn silence_ends_scores_but_not_timestamps_counters_and_info() {
    let metrics = filled();
    metrics.forget_scores("power");
    check(&metrics, "driftline_feature_", &[]);
    check(&metrics, "driftline_window_rows", &[]);
    check(
        &metrics,
        "driftline_window_end_timestamp_seconds",
        &["driftline_window_end_timestamp_seconds{model=\"power\"} 86400"],
    );
    check(
        &metrics,
        "driftline_model_info",
        &[
            "driftline_model_info{layout=\"0123456789ab\",model=\"power\",reference=\"fedcba987654\"} 1",
        ],
    );
    check(
        &metrics,
        "driftline_windows_total{model=\"power\",verdict=\"drift\"}",
        &["driftline_windows_total{model=\"power\",verdict=\"drift\"} 1"],
    );
}

#[test]
fn a_released_model_keeps_only_what_this_process_counted_itself() {
    let metrics = filled();
    metrics.release("power");
    let left: Vec<String> = metrics
        .render()
        .lines()
        .filter(|line| line.contains("model=\"power\""))
        .filter_map(|line| line.split('{').next().map(str::to_owned))
        .filter(|name| {
            let entry = TABLE.iter().find(|entry| name.starts_with(entry.name));
            entry.is_none_or(|entry| entry.past == Past::Results)
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
    check(&metrics, "driftline_event_watermark", &[]);
}

#[test]
fn without_the_lease_nothing_is_exported() {
    let metrics = Metrics::new("0.1.0", "");
    metrics.declare("power", &[]);
    judge(&metrics, &key(""), 0, &[score("a", "psi", 1.0, 2.0)]);
    metrics.watermark("power", DAY);
    metrics.model_info("power", "a", "b");
    check(&metrics, "driftline_feature_", &[]);
    check(&metrics, "driftline_windows_total", &[]);
    check(&metrics, "driftline_event_watermark", &[]);
    check(&metrics, "driftline_model_info", &[]);
}

#[test]
fn windows_are_restored_once_and_counted_once() {
    let metrics = Metrics::new("0.1.0", "");
    metrics.declare("power", &[]);
    metrics.hold("power", &[(Verdict::Ok, 3), (Verdict::Drift, 2)]);
    metrics.hold("power", &[(Verdict::Ok, 3), (Verdict::Drift, 2)]);
    judge(&metrics, &key(""), 0, &[]);
    let window = Span::new(0, DAY);
    let key = key("");
    metrics.judged(&Judged {
        key: &key,
        window,
        revision: 1,
        rows: 9,
        verdict: Verdict::Drift,
        scores: &[],
    });
    check(
        &metrics,
        "driftline_windows_total{model=\"power\",verdict=\"drift\"}",
        &["driftline_windows_total{model=\"power\",verdict=\"drift\"} 3"],
    );
    check(
        &metrics,
        "driftline_window_rows",
        &["driftline_window_rows{model=\"power\",segment=\"\",version=\"\"} 9"],
    );
}

#[test]
fn shares_of_values_are_no_drift() {
    check(
        &filled(),
        "driftline_feature_quality_ratio",
        &[
            "driftline_feature_quality_ratio{check=\"null_rate\",feature=\"a\",model=\"power\",segment=\"\",version=\"7\"} 0.25",
            "driftline_feature_quality_ratio{check=\"unseen\",feature=\"__other__\",model=\"power\",segment=\"\",version=\"7\"} 0.5",
        ],
    );
}

#[test]
fn a_silence_that_began_before_a_restart_is_seen() {
    let metrics = held(2);
    metrics.closed_through("power", 3 * DAY);
    judge(&metrics, &key(""), 0, &[]);
    check(
        &metrics,
        "driftline_window_end_timestamp_seconds",
        &["driftline_window_end_timestamp_seconds{model=\"power\"} 259200"],
    );
}

#[test]
fn a_late_revision_of_an_older_window_is_not_shown() {
    let metrics = held(2);
    judge(&metrics, &key(""), 1, &[score("a", "psi", 1.0, 2.0)]);
    judge(&metrics, &key(""), 0, &[score("a", "psi", 5.0, 2.0)]);
    check(
        &metrics,
        "driftline_feature_drift_score",
        &[
            "driftline_feature_drift_score{feature=\"a\",method=\"psi\",model=\"power\",segment=\"\",version=\"\"} 1",
        ],
    );
}

#[test]
fn a_key_longest_without_a_window_ends_first() {
    let metrics = held(2);
    for version in 0..=KEYS_SHOWN {
        let day = Millis::from(version == KEYS_SHOWN);
        judge(
            &metrics,
            &key(&version.to_string()),
            day,
            &[score("a", "psi", 1.0, 2.0)],
        );
    }
    let rows = lines(&metrics, "driftline_window_rows");
    assert_eq!(rows.len(), KEYS_SHOWN);
    assert!(
        !rows.iter().any(|line| line.contains("version=\"0\"")),
        "{rows:?}"
    );
}

#[test]
fn a_version_that_was_replaced_ends_with_the_next_window_without_it() {
    let metrics = held(2);
    let drifting = [score("a", "psi", 3.0, 2.0)];
    judge(&metrics, &key("7"), 0, &drifting);
    judge(&metrics, &key("8"), 1, &[score("a", "psi", 1.0, 2.0)]);
    // Its own result of that window may still come.
    assert_eq!(lines(&metrics, "driftline_window_rows").len(), 2);
    judge(&metrics, &key("8"), 2, &[score("a", "psi", 1.0, 2.0)]);
    assert_eq!(lines(&metrics, "driftline_window_rows").len(), 1);
    assert_eq!(lines(&metrics, "driftline_feature_drift_score").len(), 1);
    check(
        &metrics,
        "driftline_features_drifted",
        &["driftline_features_drifted{model=\"power\"} 0"],
    );
}

#[test]
fn a_new_layout_replaces_the_info() {
    let metrics = held(2);
    metrics.model_info("power", "one", "");
    metrics.model_info("power", "two", "ref");
    metrics.model_info("power", "two", "ref");
    check(
        &metrics,
        "driftline_model_info",
        &["driftline_model_info{layout=\"two\",model=\"power\",reference=\"ref\"} 1"],
    );
}

#[test]
fn models_beyond_the_bound_are_counted_together() {
    let metrics = Metrics::new("0.1.0", "");
    for i in 0..MODELS_SHOWN + 2 {
        metrics.declare(&format!("m{i}"), &[]);
    }
    metrics.accepted(
        "m1001",
        Records {
            used: 4,
            ..Records::default()
        },
    );
    check(
        &metrics,
        "driftline_records_used_total{model=\"__other__\"}",
        &["driftline_records_used_total{model=\"__other__\"} 4"],
    );
}

#[test]
fn the_process_is_seen_on_linux() {
    let process = process::read();
    assert!(
        process.resident_bytes.is_some_and(|bytes| bytes > 1e6),
        "{process:?}"
    );
    assert!(
        process.open_fds.is_some_and(|count| count >= 3.0),
        "{process:?}"
    );
    assert!(
        process.start_secs.is_some_and(|secs| secs > 1.6e9),
        "{process:?}"
    );
}
