//! Labels join continuously: whatever order they come in, however often, and however they are corrected, the final
//! metrics of every window are those of one computation over the clean table.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use driftline::event::{DAY, HOUR, MINUTE, Millis, Span};
use driftline::query::{Ledger, label_ledger};
use driftline::store::performance::{self, PerformanceFilter, PerformanceRow, Stage};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::json;

use crate::harness::{Kafka, LABELS, config, settle, start, stop, totals, within};

const DECLARATION: &str = "
model: delay
task: {type: binary, positive: late}
window: {every: 1d, lateness: 1h, label_maturity: 2d, label_horizon: 5d, min_rows: 50}
reference: {first: 3d}
rows: all
rules:
  - {name: loss, watch: performance, metric: log_loss, above: reference + 0.1}
";

const START: Millis = 1_700_006_400_000; // 2023-11-15, midnight
const DAYS: i64 = 16;
const ROWS_A_DAY: i64 = 300;
/// Windows whose label horizon the log passes.
const FINAL: i64 = DAYS - 6;

struct Prediction {
    id: String,
    ts: Millis,
    version: &'static str,
    late: f64,
}

struct Label {
    id: String,
    ts: Millis,
    late: bool,
}

/// The clean table: predictions of two versions, and what was true of each id in the end.
struct Table {
    predictions: Vec<Prediction>,
    truth: BTreeMap<String, bool>,
}

/// What is produced, in order, and what it should count as.
struct Log {
    labels: Vec<Label>,
    duplicates: u64,
    corrected: u64,
    orphans: u64,
}

fn table(rng: &mut Pcg64) -> Table {
    let mut table = Table {
        predictions: Vec::new(),
        truth: BTreeMap::new(),
    };
    for row in 0..DAYS * ROWS_A_DAY {
        let ts = START + row * (DAY / ROWS_A_DAY);
        let id = format!("f{row}");
        // From the eighth day on the first version is wrong about everything.
        let worse = ts >= START + 8 * DAY;
        let late: f64 = rng.random_range(0.02..0.98);
        table.truth.insert(
            id.clone(),
            rng.random_bool(if worse { 1.0 - late } else { late }),
        );
        for (version, late) in [("1", late), ("2", 0.5 + (late - 0.5) / 2.0)] {
            table.predictions.push(Prediction {
                id: id.clone(),
                ts,
                version,
                late,
            });
        }
    }
    table
}

/// Labels shuffled within a day, 5 % duplicated, 2 % corrected up to two days later, 1 % of nobody.
fn log(table: &Table, rng: &mut Pcg64) -> Log {
    let mut log = Log {
        labels: Vec::new(),
        duplicates: 0,
        corrected: 0,
        orphans: 0,
    };
    let of_first = table.predictions.iter().filter(|row| row.version == "1");
    for row in of_first {
        let truth = table.truth[&row.id];
        let ts = row.ts + rng.random_range(10 * MINUTE..20 * HOUR);
        let label = |ts, late| Label {
            id: row.id.clone(),
            ts,
            late,
        };
        if rng.random_bool(0.02) {
            log.corrected += 1;
            log.labels.push(label(ts, !truth));
            let later = ts + rng.random_range(HOUR..2 * DAY);
            log.labels.push(label(later, truth));
        } else {
            log.labels.push(label(ts, truth));
        }
        if rng.random_bool(0.01) {
            log.orphans += 1;
            log.labels.push(Label {
                id: format!("nobody-{}", row.id),
                ts,
                late: truth,
            });
        }
    }
    log.labels.sort_by(|a, b| (a.ts, &a.id).cmp(&(b.ts, &b.id)));
    for day in log
        .labels
        .chunk_by_mut(|a, b| a.ts.div_euclid(DAY) == b.ts.div_euclid(DAY))
    {
        day.shuffle(rng);
    }
    // A producer that tries again sends the same record once more, right behind.
    let mut twice = Vec::new();
    for label in std::mem::take(&mut log.labels) {
        if rng.random_bool(0.05) {
            log.duplicates += 1;
            twice.push(Label {
                id: label.id.clone(),
                ..label
            });
        }
        twice.push(label);
    }
    log.labels = twice;
    log
}

fn prediction_record(row: &Prediction) -> Vec<u8> {
    let record = json!({
        "model": "delay", "version": row.version, "id": row.id, "ts": row.ts, "features": {"x": row.late},
        "prediction": {"label": if row.late >= 0.5 { "late" } else { "on_time" },
                       "scores": {"late": row.late, "on_time": 1.0 - row.late}},
    });
    record.to_string().into_bytes()
}

fn label_record(label: &Label) -> Vec<u8> {
    let class = if label.late { "late" } else { "on_time" };
    json!({"model": "delay", "id": label.id, "ts": label.ts, "label": class})
        .to_string()
        .into_bytes()
}

/// The batch computation: plain loops over the clean table.
fn batch(table: &Table, window: Span, version: &str) -> BTreeMap<&'static str, f64> {
    let rows: Vec<(f64, bool)> = table
        .predictions
        .iter()
        .filter(|row| row.version == version && window.contains(row.ts))
        .map(|row| (row.late, table.truth[&row.id]))
        .collect();
    let n = rows.len() as f64;
    let mean =
        |of: &dyn Fn(f64, bool) -> f64| rows.iter().map(|(p, late)| of(*p, *late)).sum::<f64>() / n;
    let (mut better, mut pairs) = (0.0, 0.0);
    for (p, _) in rows.iter().filter(|(_, late)| *late) {
        for (q, _) in rows.iter().filter(|(_, late)| !late) {
            pairs += 1.0;
            better += if p > q {
                1.0
            } else if p == q {
                0.5
            } else {
                0.0
            };
        }
    }
    let count = |of: &dyn Fn(f64, bool) -> bool| {
        rows.iter().filter(|(p, late)| of(*p, *late)).count() as f64
    };
    let hits = count(&|p, late| p >= 0.5 && late);
    let precision = hits / count(&|p, _| p >= 0.5);
    let recall = hits / count(&|_, late| late);
    BTreeMap::from([
        (
            "log_loss",
            mean(&|p, late| -if late { p.ln() } else { (1.0 - p).ln() }),
        ),
        (
            "brier",
            mean(&|p, late| (p - f64::from(u8::from(late))).powi(2)),
        ),
        ("roc_auc", better / pairs),
        (
            "accuracy",
            mean(&|p, late| f64::from(u8::from((p >= 0.5) == late))),
        ),
        ("precision", precision),
        ("recall", recall),
        ("f1", 2.0 * precision * recall / (precision + recall)),
    ])
}

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
            kafka.send_by_key(&row.id, &prediction_record(row));
        }
        while let Some(label) = labels.next_if(|label| label.ts.div_euclid(DAY) * DAY < until) {
            kafka.send_label(&label.id, &label_record(label));
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
        assert!(log.duplicates > 100 && log.corrected > 50 && log.orphans > 20);
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

        let mut compared = 0;
        for row in one.results.iter().filter(|row| row.stage == Stage::Final) {
            let expected = batch(&table, row.span, &row.key.version);
            assert_eq!(
                (row.rows, row.labelled),
                (ROWS_A_DAY as u64, ROWS_A_DAY as u64)
            );
            for scored in &row.body.scores {
                let value = scored.score.value.expect("every metric has a value");
                let wanted = expected[scored.score.statistic.as_str()];
                assert!(
                    (value - wanted).abs() <= 1e-12,
                    "{} of {} in {:?}: {value} and {wanted}",
                    scored.score.statistic,
                    row.key,
                    row.span
                );
                compared += 1;
            }
        }
        assert_eq!(
            compared,
            FINAL as usize * 2 * 7,
            "every metric of every window of both versions"
        );

        // Labels add up. A second try that comes within the de-duplication span is a duplicate; a later one, as any
        // label of an id that has a later one, is superseded.
        let labels = log.labels.len() as u64;
        for read in [&one, &other] {
            assert_eq!(
                read.used + read.duplicate,
                labels + table.predictions.len() as u64
            );
            let ledger = read.ledger;
            assert_eq!(ledger.used, labels - read.duplicate);
            assert_eq!(
                ledger.used,
                ledger.superseded + ledger.matched + ledger.waiting
            );
            assert_eq!(
                read.duplicate + ledger.superseded,
                log.duplicates + log.corrected
            );
            assert_eq!(ledger.matched, (DAYS * ROWS_A_DAY) as u64);
            assert_eq!(ledger.waiting, log.orphans);
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
