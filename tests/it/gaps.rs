//! Logs that are not as we left them: records gone before we read them, and a topic made anew.

use std::process::Command;

use driftline::event::Partition;
use driftline::store::{Store, cursors, gaps};
use serde_json::Value;

use crate::harness::{Kafka, TOPIC, config, results, settle, start, stop, totals, within};
use crate::power::{MODEL, hour, produce, quiet, row};

const ROWS: i64 = 200;
/// Records of the partition that was made anew.
const NEW: i64 = 30 + 9 * ROWS;

/// Makes a row about 2 kB long without changing what is counted of it.
fn pad(_: i64, row: &mut Value) {
    row["tags"] = Value::String("x".repeat(2_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_records_are_counted_their_windows_incomplete_and_reading_goes_on() {
    within(120, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(2);
        let service = start(config(&kafka, folder.path()), MODEL).await;
        for number in 0..10 {
            produce(&kafka, &[0, 1], number, ROWS, quiet);
        }
        settle(&service).await;
        let before = totals(&service.store);
        assert_eq!(before.used, 10 * ROWS as u64);
        stop(service).await;

        // While nobody reads, partition 0 gets some 12 MB, of which it keeps the last 5; partition 1 keeps all.
        for i in 0..6_000 {
            let mut padded = row(10 + i / 2_000, i % 2_000, 2_000);
            pad(i, &mut padded);
            kafka.send(0, Some(padded.to_string().as_bytes()));
        }
        kafka.flush();
        for number in 10..13 {
            produce(&kafka, &[1], number, ROWS, quiet);
        }
        let produced = before.total() + 6_000 + 3 * ROWS as u64;
        // Hours that come when all is well again.
        let service = start(config(&kafka, folder.path()), MODEL).await;
        settle(&service).await;
        for number in 13..16 {
            produce(&kafka, &[0, 1], number, ROWS, quiet);
            settle(&service).await;
        }

        let lost = service.store.read(gaps::offsets_lost).expect("readable");
        assert!(lost > 1_000, "{lost} offsets lost");
        let counts = totals(&service.store);
        assert_eq!(
            counts.total() + lost,
            produced + 3 * ROWS as u64,
            "{counts:?}, {lost} lost"
        );
        let metrics = service.metrics.render();
        assert!(
            metrics.contains(&format!(
                "driftline_log_gap_offsets_total{{topic=\"{TOPIC}\"}} {lost}"
            )),
            "{metrics}"
        );

        let mut sequence = Vec::new();
        for ((_, span, revision), stored) in results(&service.store, "power") {
            if revision == 0 {
                sequence.push((
                    (span.start - hour(0)) / 3_600_000,
                    stored.row.verdict.as_str(),
                ));
            }
        }
        eprintln!("{lost} lost, {counts:?}, {sequence:?}");
        let verdict = |number: i64| {
            sequence
                .iter()
                .find(|(at, _)| *at == number)
                .expect("closed")
                .1
        };
        assert_eq!(
            (verdict(7), verdict(8)),
            ("ok", "ok"),
            "closed before the gap"
        );
        assert_eq!(verdict(10), "incomplete");
        // The gap ends inside one of the hours 10 to 12; after that nothing is missing.
        assert_ne!(verdict(13), "incomplete");
        assert_ne!(verdict(14), "incomplete");
        stop(service).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recreated_topic_stops_its_partition_until_its_cursor_is_reset() {
    within(120, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        {
            let kafka = Kafka::start(2);
            let service = start(config(&kafka, &data), MODEL).await;
            for number in 0..8 {
                produce(&kafka, &[0], number, ROWS, quiet);
            }
            produce(&kafka, &[1], 0, 50, quiet);
            settle(&service).await;
            stop(service).await;
        }
        // The broker is gone, and with it the topic; a new one of that name has fewer records in partition 0 and
        // more in partition 1.
        let kafka = Kafka::start(2);
        produce(&kafka, &[0], 9, 30, quiet);
        produce(&kafka, &[1], 1, 90, quiet);
        let stopped = Partition {
            topic: TOPIC.to_owned(),
            partition: 0,
        };
        let service = start(config(&kafka, &data), MODEL).await;
        settle(&service).await;
        let cursor = |store: &Store, partition: &Partition| {
            store
                .read(|conn| cursors::get(conn, partition))
                .expect("readable")
                .expect("a cursor")
        };
        let alarmed = cursor(&service.store, &stopped);
        assert_eq!(
            (alarmed.alarm.as_deref(), alarmed.next_offset),
            (Some(cursors::LOG_RECREATED), 8 * ROWS)
        );
        assert!(
            service
                .metrics
                .render()
                .contains("driftline_alarm{alarm=\"cursor_beyond_end\"} 1"),
            "{}",
            service.metrics.render()
        );
        let other = cursor(
            &service.store,
            &Partition {
                partition: 1,
                ..stopped.clone()
            },
        );
        assert_eq!(
            (other.alarm, other.next_offset),
            (None, 90),
            "the other partition goes on"
        );
        // It stays stopped when the new log has grown beyond the old cursor; that holds up nobody.
        produce(&kafka, &[0], 10, 9 * ROWS, quiet);
        settle(&service).await;
        assert_eq!(cursor(&service.store, &stopped).next_offset, 8 * ROWS);
        let before = totals(&service.store);
        stop(service).await;

        // The command that an operator runs.
        let file = folder.path().join("driftline.yaml");
        let text = format!(
            "data_dir: {}\nkafka: {{brokers: [\"{}\"]}}\n",
            data.display(),
            kafka.brokers()
        );
        std::fs::write(&file, text).expect("the folder is writable");
        let reset = Command::new(env!("CARGO_BIN_EXE_driftline"))
            .args([
                "cursors",
                "reset",
                "--topic",
                TOPIC,
                "--partition",
                "0",
                "--config",
            ])
            .arg(&file)
            .output()
            .expect("the program runs");
        assert!(reset.status.success(), "{reset:?}");

        let service = start(config(&kafka, &data), MODEL).await;
        settle(&service).await;
        let begun = cursor(&service.store, &stopped);
        assert_eq!(
            (begun.alarm, begun.next_offset, begun.counts.total()),
            (None, NEW, NEW as u64)
        );
        assert_eq!(
            totals(&service.store).total(),
            before.total() + NEW as u64,
            "what was counted of the old log stays"
        );
        assert!(
            !service
                .metrics
                .render()
                .contains("driftline_alarm{alarm=\"cursor_beyond_end\"} 1")
        );
        stop(service).await;
    })
    .await;
}
