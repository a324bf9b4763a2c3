//! References as they are declared: the first weeks, the weeks before, and files; tumbling and sliding windows.

use std::fmt::Write as _;

use driftline::event::{DAY, WEEK};
use driftline::profile::Layout;
use driftline::reference::Reference;
use driftline::rules::Declarations;
use driftline::service::{Clock, Service};
use driftline::store::{layouts, references};

use crate::flights::{FIRST_WEEK, Flight, PATH, first_weeks};
use crate::harness::{Kafka, config, declarations, results, settle, stop, verdicts, within};

const WEEKS: i64 = 8;

fn declaration(window: &str, reference: &str) -> String {
    format!(
        "
model: flights
task: {{type: binary, positive: late}}
window: {window}
reference: {reference}
columns: {{exclude: [late], categorical: [dow]}}
rules:
  - {{name: inputs, watch: drift, on: \"*\", level: 0.05}}
"
    )
}

/// Plays the flights week by week.
async fn play(
    flights: &[Flight],
    declarations: Declarations,
) -> (Service, Kafka, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kafka = Kafka::start(2);
    let service = Service::start(config(&kafka, folder.path()), declarations, Clock::system())
        .await
        .expect("it starts");
    for rows in flights.chunk_by(|a, b| (a.ts - FIRST_WEEK) / WEEK == (b.ts - FIRST_WEEK) / WEEK) {
        for flight in rows {
            kafka.send_by_key(&flight.id, &flight.record());
        }
        kafka.flush();
        settle(&service).await;
    }
    (service, kafka, folder)
}

async fn sequence(flights: &[Flight], window: &str, reference: &str) -> Vec<&'static str> {
    let (service, _kafka, _folder) =
        play(flights, declarations(&declaration(window, reference))).await;
    let found = verdicts(&service.store, "flights");
    assert!(
        found
            .windows(2)
            .all(|pair| pair[0].0.start < pair[1].0.start),
        "in order, none twice"
    );
    stop(service).await;
    let names: Vec<&str> = found.into_iter().map(|(_, verdict)| verdict).collect();
    eprintln!("{window} {reference}: {names:?}");
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_weeks_are_the_reference_and_then_windows_are_judged() {
    within(120, async {
        // To the middle of June, when nothing is as it was in winter.
        let flights = first_weeks(24).await;
        let found = sequence(&flights, "{every: 1w, lateness: 1h}", "{first: 59d}").await;
        assert_eq!(found[..9], ["no_reference"; 9]);
        // The last week is closed by nothing that comes after it.
        assert_eq!(found.len(), 23);
        assert_eq!(found[20..], ["drift"; 3]);
        let judged = |verdict: &&str| ["ok", "drift"].contains(verdict);
        assert!(found[9..].iter().all(judged), "{found:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_windows_before_are_the_reference_once_there_are_two() {
    within(120, async {
        let flights = first_weeks(WEEKS).await;
        let found = sequence(&flights, "{every: 1w, lateness: 1h}", "{trailing: 3}").await;
        assert_eq!(found[..2], ["no_reference"; 2]);
        assert_eq!(found.len() as i64, WEEKS - 1);
        assert!(
            found[2..]
                .iter()
                .all(|verdict| ["ok", "drift"].contains(verdict)),
            "{found:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sliding_windows_are_judged_every_day_against_the_first_weeks() {
    within(120, async {
        let flights = first_weeks(6).await;
        let (service, _kafka, _folder) = play(
            &flights,
            declarations(&declaration(
                "{every: 1d, span: 7d, lateness: 1h}",
                "{first: 28d}",
            )),
        )
        .await;
        let found = verdicts(&service.store, "flights");
        // The first flight leaves on Tuesday, 2013-01-01.
        let first = FIRST_WEEK + DAY;
        assert_eq!(found[0].0.start, first);
        for (i, (span, verdict)) in found.iter().enumerate() {
            assert_eq!(
                (span.start, span.length()),
                (first + i as i64 * DAY, 7 * DAY)
            );
            let judged = ["ok", "drift"].contains(verdict);
            assert_eq!(judged, span.start >= first + 28 * DAY, "{i}: {verdict}");
        }
        // The last pane that is passed is that of Saturday.
        assert_eq!(found.len() as i64, 41 - 7);
        // A window holds the rows of its seven days.
        for ((_, span, _), stored) in results(&service.store, "flights") {
            let rows = flights
                .iter()
                .filter(|flight| span.contains(flight.ts))
                .count() as u64;
            assert_eq!(stored.row.rows, rows);
        }
        stop(service).await;
    })
    .await;
}

/// The same rows from a file and from the stream: every block of the reference is the window of the same week.
async fn check_file(flights: &[Flight], path: &str, blocks_expected: usize) {
    let text = declaration("{every: 1w, lateness: 1h}", &format!("{{file: {path}}}"));
    let (service, _kafka, _folder) = play(flights, declarations(&text)).await;
    let store = service.store.clone();
    let layout = store
        .read(|conn| layouts::get(conn, "flights"))
        .expect("readable")
        .expect("a layout");
    let layout = Layout::from_json(&layout.body).expect("a layout");
    let hash = store
        .read(|conn| references::bound(conn, "flights", "1"))
        .expect("readable")
        .expect("a reference");
    let (row, body) = store
        .read(|conn| references::get(conn, &hash))
        .expect("readable")
        .expect("a reference");
    assert!(row.source.starts_with("file: "), "{}", row.source);
    let reference = Reference::from_bytes(&body, &layout).expect("a reference");
    assert_eq!(reference.blocks.len(), blocks_expected);

    let windows = results(&store, "flights");
    assert_eq!(windows.len() as i64, WEEKS - 1);
    for ((_, span, _), stored) in &windows {
        let block = reference
            .blocks
            .iter()
            .find(|block| block.span == Some(*span))
            .expect("a block of the same week");
        assert!(
            block.profile.to_bytes() == stored.profile,
            "{path}: the week from {}",
            span.start
        );
        assert_eq!(stored.row.reference_hash.as_ref(), Some(&hash));
        assert!(
            ["ok", "drift"].contains(&stored.row.verdict.as_str()),
            "a file is there from the first window on"
        );
    }
    eprintln!(
        "{path}: {:?}",
        verdicts(&store, "flights")
            .iter()
            .map(|v| v.1)
            .collect::<Vec<_>>()
    );
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parquet_file_and_the_stream_of_its_rows_have_equal_profiles() {
    within(120, async {
        check_file(&first_weeks(WEEKS).await, PATH, 53).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_csv_file_and_the_stream_of_its_rows_have_equal_profiles() {
    within(120, async {
        let flights = first_weeks(WEEKS).await;
        let names: Vec<&String> = flights[0].features.keys().collect();
        let mut csv = String::from("ts");
        names.iter().for_each(|name| csv.extend([",", name]));
        csv.push('\n');
        for flight in &flights {
            write!(csv, "{}", flight.ts).expect("a text takes everything");
            for name in &names {
                csv.push(',');
                match &flight.features[*name] {
                    serde_json::Value::Null => {}
                    serde_json::Value::String(text) => csv.push_str(text),
                    other => csv.push_str(&other.to_string()),
                }
            }
            csv.push('\n');
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flights.csv");
        std::fs::write(&path, csv).expect("the folder is writable");
        check_file(
            &flights,
            path.to_str().expect("a plain path"),
            WEEKS as usize,
        )
        .await;
    })
    .await;
}
