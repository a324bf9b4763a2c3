//! Single records of a wrong time: one from long ago costs neither time nor results, one from the future closes
//! nothing.

use std::collections::BTreeMap;

use driftline::event::{DAY, Key, MINUTE, Span};
use driftline::store::rejections;
use serde_json::json;

use crate::harness::{
    Kafka, PlainResult, config, plain_results, results, settle, start, stop, totals, verdicts,
    within,
};
use crate::power::{MODEL, START, hour, produce, quiet, row};

const YEAR: i64 = 365 * DAY;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_from_another_century_costs_nothing() {
    within(60, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(2);
        let service = start(config(&kafka, folder.path()), MODEL).await;
        // The first record of all is 24 years, some 210,000 windows, too old; then one of the year 9999.
        for ts in [START - 24 * YEAR, 253_402_300_799_000] {
            let record = json!({"model": "power", "version": "1", "ts": ts, "features": {"demand": 1, "day": "mon"}});
            kafka.send(0, Some(record.to_string().as_bytes()));
        }
        for number in 0..10 {
            produce(&kafka, &[0, 1], number, 200, quiet);
            settle(&service).await;
        }
        let reasons = service.store.read(rejections::counts).expect("readable");
        assert_eq!(reasons.into_iter().map(|(reason, n)| (reason.as_str(), n)).collect::<Vec<_>>(), [("future_timestamp", 1)]);
        assert_eq!(totals(&service.store).used, 2_001);
        let found = verdicts(&service.store, "power");
        // The old record's own hour, a hundred empty ones, and then those with rows.
        let names: Vec<&str> = found.iter().map(|(_, verdict)| *verdict).collect();
        assert_eq!(names[..1], ["insufficient_data"]);
        assert_eq!(names[1..101], ["no_data"; 100]);
        // It is not taken for the beginning of the reference, which needs windows with enough rows.
        assert_eq!(names[101..107], ["no_reference"; 6]);
        assert_eq!(names[107..], ["ok"; 3]);
        assert_eq!(found[101].0, Span::new(hour(0), hour(1)));
        let results = results(&service.store, "power");
        assert_eq!(results.values().map(|stored| stored.row.rows).sum::<u64>(), 1 + 9 * 200);
        stop(service).await;
    })
    .await;
}

/// A long silence under a long lateness: the watermark creeps through the empty windows as later rows come.
async fn silence(rows_a_step: usize) -> BTreeMap<(Key, Span, u32), PlainResult> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kafka = Kafka::start(1);
    let declaration = "
model: power
task: none
window: {every: 5m, lateness: 1d, min_rows: 20}
reference: {first: 1h}
columns: {numeric: [demand], categorical: [day]}
";
    let service = start(config(&kafka, folder.path()), declaration).await;
    // Two busy hours, 30 hours of silence, then a row every ten minutes for two days.
    let busy = (0..2).flat_map(|number| (0..600).map(move |i| row(number, i, 600)));
    let sparse = (0..288).map(|i| {
        let mut row = row(32, i, 288);
        row["ts"] = json!(hour(32) + i * 10 * MINUTE);
        row
    });
    let log: Vec<_> = busy.chain(sparse).collect();
    for rows in log.chunks(rows_a_step) {
        for row in rows {
            kafka.send(0, Some(row.to_string().as_bytes()));
        }
        kafka.flush();
        settle(&service).await;
    }
    let results = plain_results(&service.store, "power");
    stop(service).await;
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_of_a_silence_does_not_depend_on_who_looks_when() {
    within(120, async {
        let at_once = silence(usize::MAX).await;
        let shown = at_once
            .keys()
            .filter(|(_, span, _)| hour(2) <= span.start && span.start < hour(32));
        assert_eq!(shown.count(), 100, "the empty windows that are shown");
        let creeping = silence(20).await;
        assert!(creeping == at_once, "other results in small steps");
    })
    .await;
}

/// A producer that writes a request id into `version` must not cost a result for each record; a restart in the middle
/// changes nothing of which versions are kept apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_beyond_the_limit_are_counted_together() {
    within(60, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(1);
        let settings = || {
            let mut settings = config(&kafka, folder.path());
            settings.limits.versions = 3;
            settings
        };
        let send = |number: i64, versions: std::ops::Range<i64>| {
            for i in 0..600 {
                let mut row = row(number, i, 600);
                let span = versions.end - versions.start;
                row["version"] = json!(format!("v{}", versions.start + i % span));
                kafka.send(0, Some(row.to_string().as_bytes()));
            }
            kafka.flush();
        };
        let service = start(settings(), MODEL).await;
        send(0, 0..2);
        // The layout is learned from these rows, and they are counted when it is.
        send(1, 0..10);
        settle(&service).await;
        stop(service).await;
        let service = start(settings(), MODEL).await;
        send(2, 0..20);
        send(3, 0..1);
        settle(&service).await;
        let mut rows: BTreeMap<String, u64> = BTreeMap::new();
        for ((key, _, _), stored) in results(&service.store, "power") {
            *rows.entry(key.version).or_default() += stored.row.rows;
        }
        let names: Vec<&str> = rows.keys().map(String::as_str).collect();
        assert_eq!(names, ["__other__", "v0", "v1", "v2"]);
        assert_eq!(rows.values().sum::<u64>(), 1_800);
        assert_eq!(rows["v2"], 60 + 30);
        assert_eq!(rows["__other__"], 7 * 60 + 17 * 30);
        stop(service).await;
    })
    .await;
}

/// What was last measured is not shown for ever: with an empty window the scores end, the timestamps stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_window_ends_the_scores_that_are_shown() {
    within(60, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(1);
        let service = start(config(&kafka, folder.path()), MODEL).await;
        for number in 0..9 {
            produce(&kafka, &[0], number, 200, quiet);
        }
        settle(&service).await;
        let shown = |name: &str| service.metrics.render().contains(&format!("\n{name}{{"));
        assert!(shown("driftline_feature_drift_score"));
        // Hour 9 stays empty, and a row of the next one closes it.
        let mut next = row(10, 0, 1);
        next["ts"] = json!(hour(10) + 10 * MINUTE);
        kafka.send(0, Some(next.to_string().as_bytes()));
        kafka.flush();
        settle(&service).await;
        let last = verdicts(&service.store, "power").pop();
        assert_eq!(last, Some((Span::new(hour(9), hour(10)), "no_data")));
        assert!(!shown("driftline_feature_drift_score"));
        assert!(shown("driftline_window_end_timestamp_seconds"));
        stop(service).await;
    })
    .await;
}
