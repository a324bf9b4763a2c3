use super::*;
use crate::event::Key;
use crate::metrics::{Judged, Records};
use crate::stats::score::Verdict;

fn judged(metrics: &Metrics, version: &str, end: Millis, rows: u64) {
    metrics.judged(&Judged {
        key: &Key {
            model: "power".to_owned(),
            version: version.to_owned(),
            segment: String::new(),
        },
        window: Span::new(end - HOUR, end),
        revision: 0,
        rows,
        verdict: Verdict::Ok,
        scores: &[],
    });
}

fn held() -> Metrics {
    let metrics = Metrics::new("0", "");
    metrics.declare("power", &[]);
    metrics.hold("power", &[]);
    metrics
}

#[track_caller]
fn check(history: &History, span: Span, step: Millis, prefix: &str, expect: &[&str]) {
    let mut bytes = Vec::new();
    let written = history.write(span, step, &mut bytes).expect("memory");
    let text = String::from_utf8(bytes).expect("text");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(samples.clone().count() as u64, written);
    assert_eq!(written, history.samples(span, step));
    let found: Vec<&str> = samples.filter(|line| line.starts_with(prefix)).collect();
    assert_eq!(found, expect);
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_value_holds_until_the_next() {
    let (metrics, mut history) = (held(), History::default());
    for (end, rows) in [(HOUR, 5), (3 * HOUR, 7)] {
        judged(&metrics, "1", end, rows);
        history.results(end, &metrics);
    }
    let rows = |rows: u64, hour: i64| {
        format!(
            "driftline_window_rows{{model=\"power\",version=\"1\",segment=\"\"}} {rows} {}",
            hour * 3600
        )
    };
    let expect = [rows(5, 1), rows(5, 2), rows(7, 3)];
    let expect: Vec<&str> = expect.iter().map(String::as_str).collect();
    check(
        &history,
        Span::new(0, 9 * HOUR),
        HOUR,
        "driftline_window_rows",
        &expect,
    );
    check(
        &history,
        Span::new(2 * HOUR, 2 * HOUR),
        HOUR,
        "driftline_window_rows",
        &expect[1..2],
    );
    // Between whole steps there is nothing.
    check(
        &history,
        Span::new(HOUR + 1, 2 * HOUR - 1),
        HOUR,
        "driftline_window_rows",
        &[],
    );
}

#[test]
fn a_series_that_ended_is_not_drawn_on() {
    let (metrics, mut history) = (held(), History::default());
    judged(&metrics, "1", HOUR, 5);
    history.results(HOUR, &metrics);
    metrics.forget_scores("power");
    history.results(2 * HOUR, &metrics);
    judged(&metrics, "1", 4 * HOUR, 6);
    history.results(4 * HOUR, &metrics);
    check(
        &history,
        Span::new(0, 9 * HOUR),
        HOUR,
        "driftline_window_rows",
        &[
            "driftline_window_rows{model=\"power\",version=\"1\",segment=\"\"} 5 3600",
            "driftline_window_rows{model=\"power\",version=\"1\",segment=\"\"} 6 14400",
        ],
    );
}

#[test]
fn vital_signs_come_back_as_they_went_and_tell_processes_apart() {
    let one = held();
    one.accepted(
        "power",
        Records {
            used: 7,
            ..Records::default()
        },
    );
    one.latencies("power", [1.0, 3.0, 20_000.0]);
    let other = held();
    let mut history = History::default();
    history.vitals(0, "a", &one.vitals()).expect("as written");
    history
        .vitals(HOUR, "b", &other.vitals())
        .expect("as written");
    history.ended(2 * HOUR, "a");
    check(
        &history,
        Span::new(0, 9 * HOUR),
        HOUR,
        "driftline_records_used_total",
        &[
            "driftline_records_used_total{model=\"power\",instance=\"a\"} 7 0",
            "driftline_records_used_total{model=\"power\",instance=\"a\"} 7 3600",
            "driftline_records_used_total{model=\"power\",instance=\"b\"} 0 3600",
            "driftline_records_used_total{model=\"power\",instance=\"b\"} 0 7200",
        ],
    );
    check(
        &history,
        Span::new(0, 0),
        HOUR,
        "driftline_prediction_latency_seconds_bucket{model=\"power\",instance=\"a\",le=\"10\"}",
        &[
            "driftline_prediction_latency_seconds_bucket{model=\"power\",instance=\"a\",le=\"10\"} 2 0",
        ],
    );
    check(
        &history,
        Span::new(0, 0),
        HOUR,
        "driftline_prediction_latency_seconds_count",
        &["driftline_prediction_latency_seconds_count{model=\"power\",instance=\"a\"} 3 0"],
    );
    // A journal that is not of this version is of use as far as it is understood.
    let mut strange = History::default();
    strange
        .vitals(
            0,
            "a",
            r#"{"driftline_gone":[[[],1]],"driftline_outbox_pending":[[[],2],[["x"],1]]}"#,
        )
        .expect("understood");
    check(
        &strange,
        Span::new(0, 0),
        HOUR,
        "",
        &["driftline_outbox_pending{instance=\"a\"} 2 0"],
    );
    assert!(strange.vitals(0, "a", "[]").is_err());
}

#[test]
fn every_family_has_its_past_in_one_place() {
    let metrics = held();
    let vitals = parse_vitals(&metrics.vitals()).expect("as written");
    assert!(vitals.keys().eq(metrics.snapshot(Past::Process).keys()));
    let results = metrics.snapshot(Past::Results);
    assert!(!results.is_empty() && results.keys().all(|place| !vitals.contains_key(place)));
}

#[test]
fn the_step_is_as_fine_as_a_plot_needs_and_the_bound_allows() {
    let (metrics, mut history) = (held(), History::default());
    judged(&metrics, "1", HOUR, 5);
    history.results(HOUR, &metrics);
    let a_moment = history.samples(Span::new(HOUR, HOUR), HOUR);
    history.results(9_000 * DAY, &metrics);
    for (days, step) in [
        (1, 5 * MINUTE),
        (7, HOUR),
        (30, 3 * HOUR),
        (365, DAY),
        (2_000, DAY),
    ] {
        assert_eq!(
            history.step(Span::new(HOUR, days * DAY)),
            Some(step),
            "{days}"
        );
    }
    // One sample a day of so many series is too much.
    let days = (MOST_SAMPLES / a_moment) as i64 + 2;
    history.results(days * DAY, &metrics);
    assert_eq!(history.step(Span::new(HOUR, days * DAY)), None);
}

#[test]
fn label_values_are_escaped() {
    let labels = vec![("model", "a\"b\\c\nd".to_owned())];
    assert_eq!(label_text(&labels), r#"model="a\"b\\c\nd""#);
}
