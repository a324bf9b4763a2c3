//! Every kind of broken record through the running service: each is used or rejected as the table says, told by its
//! reason, and found on the dead-letter topic with its origin; nothing stalls.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use driftline::event::{HOUR, MINUTE, Reason, Span, State};
use driftline::ingest::dead_letter;
use driftline::profile::{ColumnProfile, Layout, Profile};
use driftline::store::{layouts, rejections};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::json;

use crate::broken_records::{Day, Demand, Expect, MODEL, TS, cases};
use crate::harness::{
    DEAD_LETTERS, HandClock, Kafka, TOPIC, config, results, settle, start_at, stop, totals, until,
    within,
};

const PARTITIONS: i32 = 2;
/// Nine good records for each of the table.
const GOOD_BETWEEN: i32 = 9;

const DECLARATION: &str = "
model: power
task: none
window: {every: 1h, lateness: 10m, min_rows: 20}
reference: {first: 3h}
columns: {numeric: [demand], categorical: [day]}
";

fn good(ts: i64, demand: i32) -> Vec<u8> {
    let day = ["mon", "tue", "wed"][demand as usize % 3];
    json!({"model": MODEL, "ts": ts, "features": {"demand": demand, "day": day}})
        .to_string()
        .into_bytes()
}

/// A dead letter: what its headers say, how many bytes are left of the value, and its other headers.
#[derive(Debug)]
struct Letter {
    reason: String,
    message: String,
    bytes: Option<usize>,
    truncated: bool,
    original_bytes: Option<usize>,
    key: Vec<u8>,
    trace: Option<String>,
}

/// Reads the dead-letter topic until it has shown `expected` different origins.
fn letters(kafka: &Kafka, expected: usize) -> BTreeMap<(String, i32, i64), Letter> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.brokers())
        .set("group.id", "reader")
        .set("fetch.wait.max.ms", "5")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(DEAD_LETTERS, 0, Offset::Beginning)
        .expect("an offset");
    consumer.assign(&list).expect("assigns");
    let mut found = BTreeMap::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while found.len() < expected {
        assert!(
            Instant::now() < deadline,
            "{} of {expected} dead letters came",
            found.len()
        );
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message.expect("readable");
        let headers: BTreeMap<String, String> = message
            .headers()
            .expect("every dead letter has headers")
            .iter()
            .map(|h| {
                (
                    h.key.to_owned(),
                    String::from_utf8_lossy(h.value.unwrap_or_default()).into_owned(),
                )
            })
            .collect();
        let number = |name: &str| {
            headers
                .get(name)
                .map(|text| text.parse().expect("a number"))
        };
        let origin = (
            headers[dead_letter::ORIGIN_TOPIC].clone(),
            number(dead_letter::ORIGIN_PARTITION).expect("a partition") as i32,
            number(dead_letter::ORIGIN_OFFSET).expect("an offset"),
        );
        let letter = Letter {
            reason: headers[dead_letter::REASON].clone(),
            message: headers[dead_letter::MESSAGE].clone(),
            bytes: message.payload().map(<[u8]>::len),
            truncated: headers.contains_key(dead_letter::TRUNCATED),
            original_bytes: number(dead_letter::ORIGIN_BYTES).map(|bytes| bytes as usize),
            key: message.key().unwrap_or_default().to_vec(),
            trace: headers.get("trace").cloned(),
        };
        found.insert(origin, letter);
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_records_are_told_counted_and_copied() {
    within(120, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(PARTITIONS);
        let clock = HandClock::at(TS);
        let mut config = config(&kafka, folder.path());
        config.dedupe = None;
        let service = start_at(config, DECLARATION, clock.clock()).await;

        // Five good hours, from which the layout is learned.
        let mut produced = 0;
        for i in 0..1_500_i64 {
            let ts = TS - 6 * HOUR + i * 5 * HOUR / 1_500;
            kafka.send((i % 2) as i32, Some(&good(ts, (i % 100) as i32)));
            produced += 1;
        }
        kafka.flush();
        settle(&service).await;
        assert_eq!(totals(&service.store).used, produced);

        // The broken ones among nine times as many good ones, all of the hour that begins at `TS`.
        let cases = cases();
        let mut next_offset = [produced as i64 / 2; PARTITIONS as usize];
        let mut expected: BTreeMap<(i32, i64), (&'static str, Reason, Option<usize>)> =
            BTreeMap::new();
        let mut used_here = 0;
        for partition in 0..PARTITIONS {
            for (at, case) in cases.iter().enumerate() {
                for i in 0..GOOD_BETWEEN {
                    kafka.send(partition, Some(&good(TS + i64::from(i), i)));
                    next_offset[partition as usize] += 1;
                    used_here += 1;
                }
                let trace = Header {
                    key: "trace",
                    value: Some(case.name),
                };
                let headers = OwnedHeaders::new().insert(trace);
                kafka.send_with(
                    partition,
                    &format!("key {at}"),
                    headers,
                    case.payload.as_deref(),
                );
                let offset = next_offset[partition as usize];
                next_offset[partition as usize] += 1;
                match case.expect {
                    Expect::Rejected(reason) => {
                        expected.insert(
                            (partition, offset),
                            (case.name, reason, case.payload.as_ref().map(Vec::len)),
                        );
                    }
                    Expect::Used { .. } => used_here += 1,
                }
            }
        }
        kafka.flush();
        settle(&service).await;
        produced = next_offset.iter().sum::<i64>() as u64;

        // Each fate, and each reason.
        let counts = totals(&service.store);
        assert_eq!(counts.total(), produced);
        assert_eq!(
            (counts.used, counts.late, counts.duplicate),
            (1_500 + used_here, 0, 0)
        );
        assert_eq!(counts.rejected, expected.len() as u64);
        let mut by_reason: BTreeMap<Reason, u64> = BTreeMap::new();
        expected
            .values()
            .for_each(|(_, reason, _)| *by_reason.entry(*reason).or_default() += 1);
        assert_eq!(
            service.store.read(rejections::counts).expect("readable"),
            by_reason
        );
        assert!(by_reason.len() >= 12, "{by_reason:?}");
        let stored = service
            .store
            .read(|conn| rejections::latest(conn, None, u32::MAX))
            .expect("readable");
        let stored: BTreeMap<(i32, i64), Reason> = stored
            .into_iter()
            .map(|(partition, row)| ((partition.partition, row.offset), row.reason))
            .collect();
        for (at, (name, reason, _)) in &expected {
            assert_eq!(stored.get(at), Some(reason), "{name}");
        }
        assert_eq!(stored.len(), expected.len());

        // The dead-letter topic has every one, with its origin, key and headers.
        let letters = tokio::task::block_in_place(|| letters(&kafka, expected.len()));
        for ((partition, offset), (name, reason, bytes)) in &expected {
            let letter = &letters[&(TOPIC.to_owned(), *partition, *offset)];
            assert_eq!(
                (letter.reason.as_str(), letter.trace.as_deref()),
                (reason.as_str(), Some(*name))
            );
            assert!(
                letter.key.starts_with(b"key ") && !letter.message.is_empty(),
                "{name}: {letter:?}"
            );
            if letter.truncated {
                assert_eq!(letter.original_bytes, *bytes, "{name}");
                assert!(
                    letter
                        .bytes
                        .is_some_and(|left| left > 900_000 && left < 1_000_000),
                    "{name}: {:?}",
                    letter.bytes
                );
            } else {
                assert_eq!(letter.bytes, *bytes, "{name}");
            }
        }
        assert_eq!(
            letters.values().filter(|letter| letter.truncated).count(),
            2,
            "the two of 2 MB"
        );
        until("the store knows that all are copied", async || {
            (service
                .store
                .read(rejections::uncopied_count)
                .expect("readable")
                == 0)
                .then_some(())
        })
        .await;

        // Nothing stalls: two hours on, the window closes and holds what the table says of each used record.
        clock.forward(3 * HOUR);
        for partition in 0..PARTITIONS {
            kafka.send(partition, Some(&good(TS + HOUR + 11 * MINUTE, 1)));
        }
        kafka.flush();
        settle(&service).await;
        let mut profile: Option<Profile> = None;
        let body = service
            .store
            .read(|conn| layouts::get(conn, MODEL))
            .expect("readable")
            .expect("a layout")
            .body;
        let layout = Layout::from_json(&body).expect("a layout");
        let hour = Span::new(TS, TS + HOUR);
        for ((_, span, revision), window) in results(&service.store, MODEL) {
            if (span, revision) == (hour, 0) {
                let found = Profile::from_bytes(&window.profile, &layout).expect("a profile");
                match &mut profile {
                    Some(whole) => whole.merge(&found).expect("one layout"),
                    None => profile = Some(found),
                }
            }
        }
        let profile = profile.expect("the hour of the broken records is closed");
        assert_eq!(profile.rows, used_here);
        check_columns(
            &profile,
            &layout,
            &cases.iter().map(|case| case.expect).collect::<Vec<_>>(),
        );

        assert!(
            service
                .metrics
                .render()
                .contains("driftline_records_rejected_total")
        );
        eprintln!(
            "{counts:?}; {} kinds, {} rejected for {} reasons",
            cases.len(),
            stored.len(),
            by_reason.len()
        );
        stop(service).await;
    })
    .await;
}

/// Holds the states of both columns against the table, whose every case came once in each partition.
fn check_columns(profile: &Profile, layout: &Layout, expects: &[Expect]) {
    let times = PARTITIONS as u64;
    let used: Vec<(Demand, Day)> = expects
        .iter()
        .filter_map(|expect| match expect {
            Expect::Used { demand, day } => Some((*demand, *day)),
            Expect::Rejected(_) => None,
        })
        .collect();
    let demands =
        |wanted: Demand| times * used.iter().filter(|(demand, _)| *demand == wanted).count() as u64;
    let days = |wanted: Day| times * used.iter().filter(|(_, day)| *day == wanted).count() as u64;
    let column = |name: &str| &profile.columns[layout.column(name).expect("a column")];
    let ColumnProfile::Numeric(demand) = column("demand") else {
        panic!("demand is numeric")
    };
    let missing = |demand: State| demands(Demand::Missing(demand));
    assert_eq!(
        (
            demand.missing.null,
            demand.missing.absent,
            demand.missing.wrong_type
        ),
        (
            missing(State::Null),
            missing(State::Absent),
            missing(State::WrongType)
        )
    );
    let infinite = |wanted: f64| demands(Demand::Is(wanted));
    assert_eq!(
        (demand.positive_infinity, demand.negative_infinity),
        (infinite(f64::INFINITY), infinite(f64::NEG_INFINITY))
    );
    assert_eq!(demand.nan, demands(Demand::NaN));
    let ColumnProfile::Categorical(day) = column("day") else {
        panic!("day is categorical")
    };
    let missing = |day: State| days(Day::Missing(day));
    assert_eq!(
        (day.missing.null, day.missing.absent, day.missing.wrong_type),
        (
            missing(State::Null),
            missing(State::Absent),
            missing(State::WrongType)
        )
    );
    let known: BTreeSet<&str> = ["mon", "tue", "wed"].into();
    let unseen = used
        .iter()
        .filter(|(_, day)| matches!(day, Day::Is(name) if !known.contains(name)))
        .count() as u64;
    assert_eq!(day.unseen, times * unseen);
}
