//! A clean table of predictions and what was true of each, and a log that tells of it as real logs do: out of order,
//! more than once, wrong at first, of rows that nobody predicted. What must come out is computed here by plain loops.

use std::collections::BTreeMap;

use driftline::event::{DAY, HOUR, MINUTE, Millis, Span};
use driftline::query::Ledger;
use driftline::store::performance::{PerformanceRow, Stage};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;
use serde_json::json;

pub const DECLARATION: &str = "
model: delay
task: {type: binary, positive: late}
window: {every: 1d, lateness: 1h, label_maturity: 2d, label_horizon: 5d, min_rows: 50}
reference: {first: 3d}
rows: all
rules:
  - {name: loss, watch: performance, metric: log_loss, above: reference + 0.1}
";

pub const START: Millis = 1_700_006_400_000; // 2023-11-15, midnight
pub const DAYS: i64 = 16;
pub const ROWS_A_DAY: i64 = 300;
/// Windows whose label horizon the log passes.
pub const FINAL: i64 = DAYS - 6;

pub struct Prediction {
    pub id: String,
    pub ts: Millis,
    pub version: &'static str,
    pub late: f64,
}

pub struct Label {
    pub id: String,
    pub ts: Millis,
    late: bool,
}

/// The clean table: predictions of two versions, and what was true of each id in the end.
pub struct Table {
    pub predictions: Vec<Prediction>,
    truth: BTreeMap<String, bool>,
}

/// What is produced, in order, and what it should count as.
pub struct Log {
    pub labels: Vec<Label>,
    duplicates: u64,
    corrected: u64,
    orphans: u64,
}

pub fn table(rng: &mut Pcg64) -> Table {
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
pub fn log(table: &Table, rng: &mut Pcg64) -> Log {
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
    // A producer that tries again sends the same record once more: somewhere in the same day, or right behind.
    let again = |label: &Label| Label {
        id: label.id.clone(),
        ..*label
    };
    let mut some = Vec::new();
    for label in &log.labels {
        if rng.random_bool(0.025) {
            some.push(again(label));
        }
    }
    log.duplicates += some.len() as u64;
    log.labels.extend(some);
    log.labels.sort_by(|a, b| (a.ts, &a.id).cmp(&(b.ts, &b.id)));
    for day in log
        .labels
        .chunk_by_mut(|a, b| a.ts.div_euclid(DAY) == b.ts.div_euclid(DAY))
    {
        day.shuffle(rng);
    }
    let mut twice = Vec::new();
    for label in std::mem::take(&mut log.labels) {
        if rng.random_bool(0.025) {
            log.duplicates += 1;
            twice.push(again(&label));
        }
        twice.push(label);
    }
    log.labels = twice;
    assert!(log.duplicates > 100 && log.corrected > 50 && log.orphans > 20);
    log
}

impl Prediction {
    pub fn record(&self) -> Vec<u8> {
        let record = json!({
            "model": "delay", "version": self.version, "id": self.id, "ts": self.ts, "features": {"x": self.late},
            "prediction": {"label": if self.late >= 0.5 { "late" } else { "on_time" },
                           "scores": {"late": self.late, "on_time": 1.0 - self.late}},
        });
        record.to_string().into_bytes()
    }
}

impl Label {
    pub fn record(&self) -> Vec<u8> {
        let class = if self.late { "late" } else { "on_time" };
        json!({"model": "delay", "id": self.id, "ts": self.ts, "label": class})
            .to_string()
            .into_bytes()
    }
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

/// Every metric of every final window is that of the batch computation.
#[track_caller]
pub fn check_metrics(table: &Table, results: &[PerformanceRow]) {
    let mut compared = 0;
    for row in results.iter().filter(|row| row.stage == Stage::Final) {
        let expected = batch(table, row.span, &row.key.version);
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
}

/// Labels add up. A second try that comes within the de-duplication span is a duplicate; a later one, as any label of
/// an id that has a later one, is superseded. `used` and `duplicate` count records of both kinds.
#[track_caller]
pub fn check_counts(table: &Table, log: &Log, ledger: Ledger, used: u64, duplicate: u64) {
    let labels = log.labels.len() as u64;
    assert_eq!(used + duplicate, labels + table.predictions.len() as u64);
    assert_eq!(ledger.used, labels - duplicate);
    assert_eq!(
        ledger.used,
        ledger.superseded + ledger.matched + ledger.waiting
    );
    assert_eq!(
        duplicate + ledger.superseded,
        log.duplicates + log.corrected
    );
    assert_eq!(ledger.matched, (DAYS * ROWS_A_DAY) as u64);
    assert_eq!(ledger.waiting, log.orphans);
}
