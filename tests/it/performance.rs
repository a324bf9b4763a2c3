//! Labels join continuously: whatever order they come in, however often, and however they are corrected, the final
//! metrics of every window are those of one computation over the clean table.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use driftline::event::{DAY, HOUR, Millis, Span};
use driftline::query::{Ledger, label_ledger};
use driftline::store::performance::{self, PerformanceFilter, PerformanceRow};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::clean_table::{DECLARATION, Log, START, Table, check_counts, check_metrics, log, table};
use crate::harness::{Kafka, LABELS, config, settle, start, stop, totals, within};

/// One way to read the same log.
#[derive(Debug, Clone, Copy)]
struct Way {
    partitions: i32,
    threads: usize,
    /// Days between two settlings.
    days: i64,
    flush_rows: u64,
}

struct Read {
    results: Vec<PerformanceRow>,
    ledger: Ledger,
    used: u64,
    duplicate: u64,
    alerts: Vec<(String, String, Millis)>,
}

async fn read(table: &Table, log: &Log, way: Way) -> Read {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kafka = Kafka::start(way.partitions);
    let mut config = config(&kafka, folder.path());
    config.kafka.labels = vec![LABELS.to_owned()];
    config.threads = NonZeroUsize::new(way.threads);
    config.lake.flush_rows = way.flush_rows;
    let service = start(config, DECLARATION).await;
    let (mut rows, mut labels) = (
        table.predictions.iter().peekable(),
        log.labels.iter().peekable(),
    );
    let mut until = START;
    while rows.peek().is_some() || labels.peek().is_some() {
        until += way.days * DAY;
        while let Some(row) = rows.next_if(|row| row.ts < until) {
            kafka.send_by_key(&row.id, &row.record());
        }
        while let Some(label) = labels.next_if(|label| label.ts.div_euclid(DAY) * DAY < until) {
            kafka.send_label(&label.id, &label.record());
        }
        kafka.flush();
        settle(&service).await;
    }
    let filter = PerformanceFilter {
        model: Some("delay".to_owned()),
        ..PerformanceFilter::default()
    };
    let results = service
        .store
        .read(|conn| performance::list(conn, &filter, u32::MAX))
        .expect("readable");
    let all = Span::new(0, Millis::MAX);
    let ledger = label_ledger(&service.lake, &service.store, "delay", all)
        .await
        .expect("the lake is readable");
    let alerts = service
        .store
        .read(|conn| driftline::store::alerts::transitions(conn, Some("delay"), u32::MAX))
        .expect("readable")
        .into_iter()
        .filter(|moved| moved.rule == "loss")
        .map(|moved| (moved.key.version, moved.to_status, moved.at))
        .collect();
    let counts = totals(&service.store);
    assert_eq!(counts.rejected + counts.late, 0, "{way:?}");
    stop(service).await;
    Read {
        results,
        ledger,
        used: counts.used,
        duplicate: counts.duplicate,
        alerts,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn final_metrics_are_those_of_a_batch_over_the_clean_table() {
    within(180, async {
        let mut rng = Pcg64::seed_from_u64(7);
        let table = table(&mut rng);
        let log = log(&table, &mut rng);
        let ways = [
            Way {
                partitions: 1,
                threads: 1,
                days: 1,
                flush_rows: 1_000_000,
            },
            Way {
                partitions: 5,
                threads: 2,
                days: 3,
                flush_rows: 500,
            },
        ];
        let one = read(&table, &log, ways[0]).await;
        let other = read(&table, &log, ways[1]).await;

        check_metrics(&table, &one.results);
        for read in [&one, &other] {
            check_counts(&table, &log, read.ledger, read.used, read.duplicate);
        }

        // The other way gives the same, to the last bit, at every age; coverage rises with it.
        let strip = |read: &Read| {
            let key = |row: &PerformanceRow| (row.key.clone(), row.span, row.age);
            read.results
                .iter()
                .map(|row| (key(row), row.clone()))
                .collect::<BTreeMap<_, _>>()
        };
        let (one_by_key, other_by_key) = (strip(&one), strip(&other));
        let late_ages = |rows: &BTreeMap<_, PerformanceRow>| {
            rows.values()
                .filter(|row| row.age >= 2 * DAY)
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(late_ages(&one_by_key), late_ages(&other_by_key));
        let ages: BTreeSet<Millis> = one.results.iter().map(|row| row.age).collect();
        assert_eq!(
            ages,
            BTreeSet::from([HOUR, 6 * HOUR, DAY, 2 * DAY, 5 * DAY])
        );

        // The first version went bad on the eighth day, and an alert says so once its labels are mature.
        let fired: Vec<_> = one
            .alerts
            .iter()
            .filter(|(_, to, _)| to == "firing")
            .collect();
        assert_eq!(
            fired,
            [
                &("2".to_owned(), "firing".to_owned(), START + 11 * DAY),
                &("1".to_owned(), "firing".to_owned(), START + 11 * DAY)
            ]
        );
        assert_eq!(one.alerts, other.alerts);
    })
    .await;
}
