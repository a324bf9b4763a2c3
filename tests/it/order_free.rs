//! Order-free: the same rows give the same windows, scores and verdicts to the last bit, however they are spread over
//! partitions, read and committed.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Instant;

use driftline::event::{Key, Span};

use crate::flights::{Flight, PATH, first_weeks};
use crate::harness::{
    Kafka, PlainResult, config, plain_results, settle, start, stop, totals, within,
};

/// The layout is learned from the first week.
const LEARNED: &str = "
model: flights
task: {type: binary, positive: late}
window: {every: 1w, lateness: 1h}
reference: {first: 28d}
";

/// The layout comes from the reference file before any record counts.
fn from_file() -> String {
    let declaration = LEARNED.replace("{first: 28d}", &format!("{{file: {PATH}}}"));
    format!("{declaration}columns: {{exclude: [late]}}\n")
}

/// From winter to May, so that there is drift to agree on.
const WEEKS: i64 = 20;

/// One way to read the same rows.
#[derive(Debug, Clone, Copy)]
struct Way {
    partitions: i32,
    threads: usize,
    commit_rows: u64,
    /// Bytes of one fetch.
    fetch_bytes: usize,
    /// The service settles after so many rows.
    settle_every: usize,
}

async fn read(
    flights: &[Flight],
    declaration: &str,
    way: Way,
) -> BTreeMap<(Key, Span, u32), PlainResult> {
    let started = Instant::now();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kafka = Kafka::start(way.partitions);
    let mut config = config(&kafka, folder.path());
    config.threads = NonZeroUsize::new(way.threads);
    config.commit.rows = way.commit_rows;
    config.kafka.properties.insert(
        "fetch.message.max.bytes".to_owned(),
        way.fetch_bytes.to_string(),
    );
    let service = start(config, declaration).await;
    for rows in flights.chunks(way.settle_every) {
        for flight in rows {
            kafka.send_by_key(&flight.id, &flight.record());
        }
        kafka.flush();
        settle(&service).await;
    }
    assert_eq!(totals(&service.store).used, flights.len() as u64, "{way:?}");
    let results = plain_results(&service.store, "flights");
    stop(service).await;
    eprintln!(
        "{way:?}: {} results in {:?}",
        results.len(),
        started.elapsed()
    );
    results
}

const fn way(
    partitions: i32,
    threads: usize,
    commit_rows: u64,
    fetch_bytes: usize,
    settle_every: usize,
) -> Way {
    Way {
        partitions,
        threads,
        commit_rows,
        fetch_bytes,
        settle_every,
    }
}

const ONE: Way = way(1, 1, 1_000_000, 1 << 20, 5_000);
const OTHERS: [Way; 3] = [
    way(2, 1, 1_000, 1 << 20, 12_000),
    way(4, 2, 333, 20_000, 4_321),
    way(8, 2, 1_000_000, 100_000, 1_500),
];

/// What one partition gives is the measure of the other ways. It has these verdicts: agreeing on nothing would mean
/// nothing.
async fn check(declaration: &str, others: &[Way], verdicts: &[&str]) {
    let flights = first_weeks(WEEKS).await;
    let one = read(&flights, declaration, ONE).await;
    // The last week is closed by nothing that comes after it.
    assert_eq!(one.len() as i64, WEEKS - 1);
    let found: BTreeSet<&str> = one.values().map(|result| result.verdict).collect();
    assert_eq!(found, verdicts.iter().copied().collect());
    for other in others {
        let results = read(&flights, declaration, *other).await;
        assert!(
            results == one,
            "{other:?} gives other results than one partition"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_threads_and_commits_change_no_bit() {
    within(
        240,
        check(LEARNED, &OTHERS, &["no_reference", "ok", "drift"]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_do_they_with_a_layout_from_a_file() {
    within(240, check(&from_file(), &OTHERS[1..2], &["ok", "drift"])).await;
}
