//! Trouble with the data, not with its distribution: each kind fires its rule, is told to a receiver by a signed
//! webhook, and is over when it is over.

use std::collections::BTreeSet;
use std::time::Duration;

use driftline::config::{Receiver as Told, Target};
use driftline::event::{HOUR, SECOND};
use driftline::notify::signature::{
    ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER, Unbelieved, verify,
};
use driftline::store::alerts;
use serde_json::{Value, json};

use crate::harness::{
    HandClock, Kafka, config, results, settle, start, start_at, stop, until, verdicts, within,
};
use crate::power::{MODEL, hour, produce, quiet};
use crate::receiver::Receiver;

const RULES: &str = "
rules:
  - {name: nulls, watch: null_rate, on: demand, above: reference + 5pp}
  - {name: strangers, watch: unseen, on: \"*\", above: reference + 2pp}
  - {name: types, watch: wrong_type, on: \"*\", above: reference + 5pp}
  - {name: shape, watch: schema_change}
  - {name: amount, watch: volume, below: reference * 0.5}
  - {name: silent, watch: freshness, above: 2h, severity: page}
";
const ROWS: i64 = 200;
/// 32 bytes, as Standard Webhooks writes a secret.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// What goes wrong in which hour; every other hour is quiet.
const TROUBLE: [(i64, &str); 5] = [
    (6, "nulls"),
    (8, "strangers"),
    (10, "types"),
    (12, "shape"),
    (14, "amount"),
];
const HOURS: i64 = 17;

fn produce_hour(kafka: &Kafka, number: i64) {
    let trouble = TROUBLE
        .iter()
        .find(|(at, _)| *at == number)
        .map_or("", |(_, rule)| *rule);
    let rows = if trouble == "amount" { 60 } else { ROWS };
    produce(kafka, &[0, 1], number, rows, |i, row| {
        let features = row["features"].as_object_mut().expect("an object");
        match trouble {
            "nulls" if i % 3 == 0 => drop(features.insert("demand".into(), Value::Null)),
            "strangers" if i % 10 == 0 => drop(features.insert("day".into(), json!("someday"))),
            "types" if i % 3 == 0 => drop(features.insert("demand".into(), json!("a lot"))),
            "shape" => drop(features.remove("day")),
            _ => {}
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_trouble_fires_is_told_and_resolves() {
    within(120, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secret_file = folder.path().join("whsec");
        std::fs::write(&secret_file, SECRET).expect("the folder is writable");
        let receiver = Receiver::start(1).await;
        let kafka = Kafka::start(2);
        let clock = HandClock::at(hour(0));
        let mut config = config(&kafka, &folder.path().join("data"));
        config.receivers = vec![Told {
            name: "ops".to_owned(),
            target: Target::Webhook {
                url: format!("http://{}/hook", receiver.address),
                secret_file,
            },
            allow_internal: true,
        }];
        let service = start_at(config, &format!("{MODEL}{RULES}"), clock.clock()).await;
        for number in 0..HOURS {
            clock.forward(HOUR);
            produce_hour(&kafka, number);
            settle(&service).await;
        }

        // Silence: three hours without a record, then records again.
        let fired = async |rule: &str, status: &str| {
            let found = service
                .store
                .read(|conn| alerts::list(conn, Some("power"), Some(status)))
                .expect("readable");
            found.iter().any(|alert| alert.rule == rule).then_some(())
        };
        assert_eq!(
            fired("silent", "firing").await,
            None,
            "nothing was silent yet"
        );
        clock.forward(3 * HOUR);
        until("silence fires", async || fired("silent", "firing").await).await;
        produce(&kafka, &[0, 1], HOURS + 2, ROWS, quiet);
        settle(&service).await;
        clock.forward(11 * SECOND);
        until("silence is over", async || {
            fired("silent", "resolved").await
        })
        .await;

        // Every trouble has two transitions, at the end of its own window and of the one after.
        let log = service
            .store
            .read(|conn| alerts::transitions(conn, Some("power"), 1_000))
            .expect("readable");
        for (at, rule) in TROUBLE {
            let of_rule: Vec<_> = log
                .iter()
                .rev()
                .filter(|transition| transition.rule == rule)
                .collect();
            let first: Vec<(&str, i64)> = of_rule
                .iter()
                .take(2)
                .map(|transition| (transition.to_status.as_str(), transition.window.start))
                .collect();
            assert_eq!(
                first,
                [("firing", hour(at)), ("resolved", hour(at + 1))],
                "{rule}"
            );
        }
        for ((_, span, _), stored) in results(&service.store, "power") {
            let number = (span.start - hour(0)) / HOUR;
            let expected = match number {
                0..6 => "no_reference",
                _ if TROUBLE.iter().any(|(at, _)| *at == number) => "drift",
                // The hours of silence: no rows at all is the worst volume.
                17 | 18 => "no_data",
                _ => "ok",
            };
            assert_eq!(stored.row.verdict.as_str(), expected, "hour {number}");
        }

        // All news arrive, in order. The first attempt was refused: its next one is due by the clock.
        let news: Vec<String> = log
            .iter()
            .rev()
            .filter(|transition| ["firing", "resolved"].contains(&transition.to_status.as_str()))
            .map(|transition| transition.idempotency_key.clone())
            .collect();
        let delivered = async || {
            clock.forward(SECOND);
            let calls: Vec<_> = receiver
                .calls()
                .into_iter()
                .filter(|call| call.status == 204)
                .collect();
            (calls.len() >= news.len()).then_some(calls)
        };
        let calls = until("all is told", delivered).await;
        let told: BTreeSet<String> = calls
            .iter()
            .map(|call| call.header(ID_HEADER).to_owned())
            .collect();
        assert_eq!(told, news.iter().cloned().collect());
        assert_eq!(calls.len(), news.len(), "each is delivered once");
        let all = receiver.calls();
        assert_eq!(all[0].status, 500);
        let again: Vec<_> = all
            .iter()
            .filter(|call| call.header(ID_HEADER) == all[0].header(ID_HEADER))
            .collect();
        assert_eq!(
            (again.len(), &again[0].body),
            (2, &again[1].body),
            "the refused one comes again, the same"
        );

        // Anybody with the secret can verify each by the public rule, in time; nobody without it, and not later.
        let secrets = [Secret::parse(SECRET).expect("a secret")];
        let others = [
            Secret::parse("whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=").expect("a secret"),
        ];
        for call in &all {
            let (id, at) = (call.header(ID_HEADER), call.header(TIMESTAMP_HEADER));
            let sent: i64 = at.parse().expect("seconds");
            assert!(hour(0) / SECOND <= sent && sent <= clock.now() / SECOND);
            let check = |secrets: &[Secret], body: &[u8], now: i64| {
                verify(secrets, id, at, call.header(SIGNATURE_HEADER), body, now)
            };
            assert_eq!(check(&secrets, &call.body, sent + 60), Ok(()));
            assert_eq!(
                check(&secrets, &call.body, sent + 600),
                Err(Unbelieved::TooOld)
            );
            assert_eq!(check(&others, &call.body, sent), Err(Unbelieved::NoMatch));
            assert_eq!(check(&secrets, b"{}", sent), Err(Unbelieved::NoMatch));
            let event: Value = serde_json::from_slice(&call.body).expect("JSON");
            assert_eq!(
                (&event["specversion"], &event["id"]),
                (&json!("1.0"), &json!(id))
            );
            let kind = event["type"].as_str().expect("a type");
            assert!(kind.starts_with("io.driftline.quality."), "{kind}");
            assert!(
                call.header("content-type")
                    .starts_with("application/cloudevents+json")
            );
        }
        eprintln!(
            "{} transitions, {} calls for {} news",
            log.len(),
            all.len(),
            news.len()
        );
        stop(service).await;
    })
    .await;
}

/// A partition that falls silent does not hold the others back, and when all are silent time goes on by the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_partition_holds_nothing_back() {
    within(60, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(3);
        let mut config = config(&kafka, folder.path());
        config.idle_timeout = 300;
        config.commit.every = 200;
        let service = start(config, MODEL).await;
        // Partition 2 never gets a record, partition 1 only those of the first hours.
        for number in 0..8 {
            produce(&kafka, &[0, 1], number, ROWS, quiet);
        }
        let closed = async |through: i64| {
            let found = verdicts(&service.store, "power");
            found.last().is_some_and(|(span, _)| span.end >= hour(through)).then_some(found)
        };
        until("the first hours close", async || closed(7).await).await;
        for number in 8..11 {
            produce(&kafka, &[0], number, ROWS, quiet);
        }
        until("hours close without partitions 1 and 2", async || closed(10).await).await;
        // One row 1 s before the watermark would close its hour: the clock does the rest.
        let last = hour(11) + 5 * 60 * SECOND - SECOND;
        let row = json!({"model": "power", "version": "1", "ts": last, "features": {"demand": 1, "day": "mon"}});
        kafka.send(0, Some(row.to_string().as_bytes()));
        kafka.flush();
        let started = std::time::Instant::now();
        let found = until("silence of all closes the last hour", async || closed(11).await).await;
        assert!(started.elapsed() >= Duration::from_millis(1_000), "the clock goes no faster than it should");
        assert_eq!(found.len(), 11);
        let counted: u64 = results(&service.store, "power").values().map(|stored| stored.row.rows).sum();
        assert_eq!(counted, 11 * ROWS as u64);
        stop(service).await;
    })
    .await;
}
