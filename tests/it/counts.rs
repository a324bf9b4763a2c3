//! Counts add up: every record of a troublesome log ends as used, late, duplicate or rejected, as a plain
//! recomputation says, and each window's revisions hold exactly the rows that came in time for them.

use std::collections::{BTreeMap, BTreeSet};

use driftline::event::{HOUR, Key, MINUTE, Millis, Reason, Span};
use driftline::store::{Counts, rejections};
use rand::{Rng, RngExt};
use rand_pcg::Pcg64Mcg;
use serde_json::json;

use crate::harness::{
    Kafka, PlainResult, config, plain_results, results, settle, start, stop, totals, within,
};

const PARTITIONS: i32 = 3;
const START: Millis = 1_750_003_200_000;
const HOURS: i64 = 30;
const RECORDS: i64 = 9_000;

const LATENESS: Millis = 10 * MINUTE;
const REVISE_EVERY: Millis = 30 * MINUTE;
const LATE_HORIZON: Millis = 2 * HOUR;
const DEDUPE_SPAN: Millis = 10 * MINUTE;

const DECLARATION: &str = "
model: power
task: none
window: {every: 1h, lateness: 10m, revise_every: 30m, late_horizon: 2h, min_rows: 20}
reference: {first: 8h}
---
model: wind-*
task: none
window: {every: 1h, lateness: 10m, revise_every: 30m, late_horizon: 2h, min_rows: 20}
reference: {first: 8h}
";

/// A record before it is written as JSON.
#[derive(Debug, Clone)]
struct Row {
    model: &'static str,
    version: &'static str,
    id: Option<String>,
    ts: Millis,
    demand: f64,
}

#[derive(Debug, Clone)]
enum Record {
    Row(Row),
    Tombstone,
}

impl Record {
    fn payload(&self) -> Option<Vec<u8>> {
        let Record::Row(row) = self else { return None };
        let mut record = json!({"model": row.model, "version": row.version, "ts": row.ts, "features": {"demand": row.demand}});
        if let Some(id) = &row.id {
            record["id"] = json!(id);
        }
        Some(record.to_string().into_bytes())
    }
}

/// The log: time goes on by about 12 s a record, with everything that can go wrong mixed in.
fn log() -> Vec<(i32, Record)> {
    let rng = &mut Pcg64Mcg::new(2013);
    let mut log: Vec<(i32, Record)> = Vec::new();
    for i in 0..RECORDS {
        let now = START + i * HOURS * HOUR / RECORDS;
        let partition = rng.random_range(0..PARTITIONS);
        let chance: f64 = rng.random();
        let lag = match chance {
            // A little out of order, within the lateness.
            c if c < 0.20 => rng.random_range(0..LATENESS),
            // For revisions.
            c if c < 0.26 => rng.random_range(HOUR..2 * HOUR),
            // Beyond the horizon.
            c if c < 0.29 => rng.random_range(4 * HOUR..8 * HOUR),
            _ => 0,
        };
        let row = Row {
            model: ["power", "wind-north"][usize::from(rng.random_bool(0.4))],
            version: ["1", "2"][usize::from(rng.random_bool(0.3))],
            id: rng.random_bool(0.9).then(|| format!("r{i}")),
            ts: now - lag,
            demand: f64::from(rng.next_u32() % 1000) / 10.0,
        };
        let record = match rng.random::<f64>() {
            c if c < 0.02 => Record::Tombstone,
            c if c < 0.05 => Record::Row(Row {
                model: "nobody-declared-this",
                ..row
            }),
            // A record of the last minutes again, or one of an hour ago; sometimes to another partition, where it
            // is no duplicate.
            c if c < 0.15 && i > 1000 => {
                let back = if rng.random_bool(0.6) {
                    rng.random_range(1..40)
                } else {
                    rng.random_range(250..900)
                };
                let (of, again) = log[log.len() - back].clone();
                log.push((if rng.random_bool(0.8) { of } else { partition }, again));
                continue;
            }
            _ => Record::Row(row),
        };
        log.push((partition, record));
    }
    log
}

/// What a (partition, model) has shown so far.
#[derive(Default)]
struct Seen {
    greatest_ts: Option<Millis>,
    /// The time of the latest record of each identity.
    ids: BTreeMap<(String, String), Millis>,
}

/// What the service ought to say, from the definitions alone.
#[derive(Default)]
struct Expected {
    counts: Counts,
    reasons: BTreeMap<Reason, u64>,
    /// For each (model, version, window start): at which watermark of its partition each used row came.
    windows: BTreeMap<(String, String, Millis), Vec<Millis>>,
    watermarks: BTreeMap<(i32, String), Millis>,
}

fn expect(log: &[(i32, Record)]) -> Expected {
    let mut expected = Expected::default();
    let mut seen: BTreeMap<(i32, &str), Seen> = BTreeMap::new();
    for (partition, record) in log {
        let row = match record {
            Record::Row(row) if row.model != "nobody-declared-this" => row,
            other => {
                let reason = if matches!(other, Record::Tombstone) {
                    Reason::NullPayload
                } else {
                    Reason::UndeclaredModel
                };
                *expected.reasons.entry(reason).or_default() += 1;
                expected.counts.rejected += 1;
                continue;
            }
        };
        let seen = seen.entry((*partition, row.model)).or_default();
        let watermark = seen.greatest_ts.map_or(Millis::MIN, |ts| ts - LATENESS);
        let identity = row.id.clone().map(|id| (row.version.to_owned(), id));
        let before = identity
            .as_ref()
            .and_then(|identity| seen.ids.get(identity));
        let window = row.ts.div_euclid(HOUR) * HOUR;
        let reach = seen.greatest_ts.map_or(Millis::MIN, |ts| ts - DEDUPE_SPAN);
        if before.is_some_and(|ts| *ts >= reach) {
            expected.counts.duplicate += 1;
        } else if watermark >= window + HOUR + LATE_HORIZON {
            expected.counts.late += 1;
        } else {
            expected.counts.used += 1;
            seen.greatest_ts = seen.greatest_ts.max(Some(row.ts));
            let at = (row.model.to_owned(), row.version.to_owned(), window);
            expected.windows.entry(at).or_default().push(watermark);
            expected.watermarks.insert(
                (*partition, row.model.to_owned()),
                seen.greatest_ts.unwrap_or_default() - LATENESS,
            );
        }
        if let Some(identity) = identity {
            seen.ids.insert(identity, row.ts);
        }
    }
    expected
}

/// The rows of each (version, window, revision) that a model's windows ought to have.
fn expected_windows(expected: &Expected, model: &str) -> BTreeMap<(String, Millis, u32), u64> {
    let watermark = expected
        .watermarks
        .iter()
        .filter(|((_, of), _)| of == model)
        .map(|(_, at)| *at)
        .min();
    let watermark = watermark.expect("every partition has rows of every model");
    let revision_of =
        |came: Millis, end: Millis| (0..).find(|r| came < end + Millis::from(*r) * REVISE_EVERY);
    let mut revisions: BTreeMap<Millis, BTreeSet<u32>> = BTreeMap::new();
    for ((of, _, start), rows) in &expected.windows {
        if of == model {
            revisions
                .entry(*start)
                .or_insert_with(|| [0].into())
                .extend(
                    rows.iter()
                        .filter_map(|came| revision_of(*came, start + HOUR)),
                );
        }
    }
    let mut windows = BTreeMap::new();
    for ((of, version, start), rows) in &expected.windows {
        for revision in revisions
            .get(start)
            .into_iter()
            .flatten()
            .filter(|_| of == model)
        {
            let made_at = start + HOUR + Millis::from(*revision) * REVISE_EVERY;
            let rows = rows.iter().filter(|came| **came < made_at).count() as u64;
            if made_at <= watermark && rows > 0 {
                windows.insert((version.clone(), *start, *revision), rows);
            }
        }
    }
    windows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_used_late_duplicate_or_rejected() {
    within(120, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(PARTITIONS);
        let log = log();
        let expected = expect(&log);
        for fate in [
            expected.counts.late,
            expected.counts.duplicate,
            expected.counts.rejected,
        ] {
            assert!(
                fate > 100,
                "the log has too little trouble: {:?}",
                expected.counts
            );
        }

        let mut service_config = config(&kafka, folder.path());
        service_config.commit.rows = 700;
        let service = start(service_config, DECLARATION).await;
        let mut first = BTreeMap::new();
        for (part, records) in log.chunks(log.len() / 4 + 1).enumerate() {
            for (partition, record) in records {
                kafka.send(*partition, record.payload().as_deref());
            }
            kafka.flush();
            settle(&service).await;
            if part == 1 {
                first = results(&service.store, "power");
            }
        }

        let counts = totals(&service.store);
        assert_eq!(counts, expected.counts);
        assert_eq!(counts.total(), log.len() as u64);
        let reasons = service.store.read(rejections::counts).expect("readable");
        assert_eq!(reasons, expected.reasons);

        for model in ["power", "wind-north"] {
            let found = plain_results(&service.store, model);
            let rows: BTreeMap<(String, Millis, u32), u64> = found
                .iter()
                .filter(|(_, result)| result.rows > 0)
                .map(|((key, span, revision), result)| {
                    ((key.version.clone(), span.start, *revision), result.rows)
                })
                .collect();
            assert_eq!(rows, expected_windows(&expected, model), "{model}");
            let revised = rows.keys().filter(|(_, _, revision)| *revision > 0).count();
            assert!(revised >= 10, "{revised} revisions of {model}");
        }

        assert!(first.len() >= 20, "half of the log closes windows");
        let last = results(&service.store, "power");
        for (at, stored) in first {
            assert_eq!(
                last.get(&at),
                Some(&stored),
                "a stored revision has changed"
            );
        }
        eprintln!("{counts:?}, reasons {reasons:?}");
        stop(service).await;
    })
    .await;
}

/// Plays the log in so many parts and returns everything stored of both models.
async fn play(
    parts: usize,
    threads: usize,
    commit_rows: u64,
) -> Vec<BTreeMap<(Key, Span, u32), PlainResult>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kafka = Kafka::start(PARTITIONS);
    let mut config = config(&kafka, folder.path());
    config.threads = std::num::NonZeroUsize::new(threads);
    config.commit.rows = commit_rows;
    let service = start(config, DECLARATION).await;
    let log = log();
    for records in log.chunks(log.len().div_ceil(parts)) {
        for (partition, record) in records {
            kafka.send(*partition, record.payload().as_deref());
        }
        kafka.flush();
        settle(&service).await;
    }
    let results = ["power", "wind-north"].map(|model| plain_results(&service.store, model));
    stop(service).await;
    results.into()
}

/// Late rows make revisions, at moments that depend on commits; what a revision says must not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revisions_do_not_depend_on_when_they_are_made() {
    within(120, async {
        let at_once = play(1, 1, 1_000_000).await;
        for (parts, threads, commit_rows) in [(4, 2, 1_000_000), (60, 1, 100)] {
            let found = play(parts, threads, commit_rows).await;
            for (found, at_once) in found.iter().zip(&at_once) {
                let windows: Vec<_> = at_once.keys().collect();
                assert_eq!(found.keys().collect::<Vec<_>>(), windows, "{parts} parts");
                for (at, result) in at_once {
                    assert!(
                        found[at] == *result,
                        "{parts} parts: {at:?} is {} and {}",
                        found[at].verdict,
                        result.verdict
                    );
                }
            }
        }
    })
    .await;
}
