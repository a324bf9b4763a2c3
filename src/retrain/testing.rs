//! A small world with a model in it: rows, labels that come a day later, a champion that knows too little, and nothing
//! random.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

use super::{Audience, Parts, Retraining};
use crate::event::{DAY, HOUR, Millis, Partition, RecordKind, SECOND};
use crate::metrics::Metrics;
use crate::notify::Secret;
use crate::profile::{
    CategoricalCells, Cells, Field, Layout, LayoutColumn, NumericCells, layout::FORMAT,
};
use crate::rules::{Declarations, parse};
use crate::store::lake::{BufferRow, Kind, Lake, columns_of_labels, columns_of_rows};
use crate::store::layouts::{self, StoredLayout};
use crate::store::{Counts, PartitionCommit, Store, StreamRow, commit, models};

pub const MODEL: &str = "delay";
/// Rows of a day.
pub const PER_DAY: i64 = 60;
/// Days of rows.
pub const DAYS: i64 = 60;
/// When the runs of these tests are asked for: every row and label is known by then.
pub const REQUESTED: Millis = DAYS * DAY;
/// Wall time, a while later.
pub const NOW: Millis = 100 * DAY;
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// `mode` is that of the action.
pub fn declaration(mode: &str) -> String {
    format!(
        "model: {MODEL}
task: {{type: binary, positive: late}}
window: {{every: 1d, lateness: 1h, label_maturity: 2d, label_horizon: 10d}}
reference: {{first: 10d}}
rows: all
rules:
  - {{name: inputs, watch: drift, on: \"*\", severity: ticket}}
  - {{name: loss, watch: performance, metric: log_loss, above: reference + 0.05, severity: page, actions: [retrain]}}
actions:
  retrain: {{webhook: \"http://localhost:8081/retrain\", secret_file: whsec, allow_internal: true, mode: {mode}, cooldown: 7d}}
retrain: {{hold_out: 14d, min_rows: 300, candidates: [logistic, tree]}}
"
    )
}

/// The clock of these tests, turned by hand.
#[derive(Clone)]
pub struct Hand(Arc<AtomicI64>);

impl Hand {
    pub fn new(at: Millis) -> Self {
        Self(Arc::new(AtomicI64::new(at)))
    }

    pub fn turn(&self, by: Millis) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    pub fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}

/// Retraining over a store that is open already; an empty `yaml` declares nothing.
pub fn retraining(dir: &Path, store: Store, yaml: &str) -> Retraining {
    of(dir, store, yaml, &Hand::new(NOW))
}

pub fn of(dir: &Path, store: Store, yaml: &str, hand: &Hand) -> Retraining {
    let declared = if yaml.is_empty() {
        Vec::new()
    } else {
        parse("rules/r.yaml", yaml).expect("a good declaration")
    };
    let hand = hand.clone();
    Retraining::new(Parts {
        store,
        lake: Lake::open(&dir.join("lake").display().to_string()).expect("a lake in a folder"),
        declarations: Arc::new(Declarations::new(declared).expect("one declaration")),
        audience: Audience {
            alerts: vec!["pager".to_owned()],
            events: vec!["hook".to_owned()],
        },
        secrets: vec![Secret::parse(SECRET).expect("the published secret")],
        metrics: Metrics::new("0.1.0", "abc"),
        now: Arc::new(move || hand.now()),
    })
}

/// A folder with the world in it, and what works on it.
pub struct World {
    pub dir: tempfile::TempDir,
    pub retraining: Retraining,
    pub hand: Hand,
}

impl World {
    pub fn new(mode: &str) -> Self {
        Self::with(&declaration(mode), |_, truth| truth)
    }

    /// `told` is what the label of row `(number, truth)` says.
    pub fn with(yaml: &str, told: impl Fn(i64, bool) -> bool) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(dir.path()).expect("a new store opens");
        fill(&store, told);
        let hand = Hand::new(NOW);
        let retraining = of(dir.path(), store, yaml, &hand);
        Self {
            dir,
            retraining,
            hand,
        }
    }

    pub fn store(&self) -> &Store {
        self.retraining.store()
    }
}

/// The columns of the model, in the order that layouts have.
pub fn layout() -> Layout {
    let numeric = || {
        Cells::Numeric(NumericCells {
            edges: vec![0.25, 0.5, 0.75],
            domain: None,
            center: 0.5,
            sum_shift: 40,
            square_shift: 23,
        })
    };
    let column = |name: &str, field, cells| LayoutColumn {
        name: name.to_owned(),
        field,
        cells,
    };
    Layout {
        format: FORMAT,
        columns: vec![
            column(
                "carrier",
                Field::Feature,
                Cells::Categorical(CategoricalCells {
                    categories: vec!["aa".to_owned(), "bb".to_owned(), "cc".to_owned()],
                    closed: false,
                }),
            ),
            column("dist", Field::Feature, numeric()),
            column(
                "prediction.scores.late",
                Field::Score("late".to_owned()),
                numeric(),
            ),
        ],
        skipped: Vec::new(),
    }
}

/// A number in [0, 1) that looks like noise and is the same for ever (the fraction of multiples of an irrational
/// number).
fn noise(number: i64, salt: f64) -> f64 {
    ((number as f64 + 1.0) * salt).fract()
}

pub struct Row {
    pub id: String,
    pub ts: Millis,
    pub carrier: &'static str,
    pub dist: f64,
    /// What the champion logged: it knows the carrier and nothing of the distance.
    pub score: f64,
    pub late: bool,
}

pub fn row(number: i64) -> Row {
    let day = number / PER_DAY;
    let dist = noise(number, 0.754_877_666_246_693);
    let place = (noise(number, 0.569_840_290_998_053) * 3.0) as usize;
    let carrier = ["aa", "bb", "cc"][place.min(2)];
    let by_carrier = [0.3, 0.4, 0.5][place.min(2)];
    let risk = 0.75 * dist + 0.25 * by_carrier;
    Row {
        id: format!("f{number}"),
        ts: day * DAY + (number % PER_DAY) * (DAY / PER_DAY),
        carrier,
        dist,
        score: by_carrier,
        late: noise(number, 0.618_033_988_749_895) < risk,
    }
}

/// Rows of version `1` and their labels, layout and watermarks.
fn fill(store: &Store, told: impl Fn(i64, bool) -> bool) {
    let rows: Vec<Row> = (0..DAYS * PER_DAY).map(row).collect();
    let layout = layout();
    let ids = || {
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| row.id.as_str()),
        ))
    };
    let numbers = |of: &dyn Fn(&Row) -> Millis| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
    };
    let floats = |of: &dyn Fn(&Row) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(of)))
    };
    let offsets: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows.len() as i64));
    let versions = StringArray::from_iter_values(rows.iter().map(|_| "1"));
    let carriers = StringArray::from_iter_values(rows.iter().map(|row| row.carrier));
    let batch = RecordBatch::try_new(
        columns_of_rows(&layout),
        vec![
            Arc::new(versions),
            ids(),
            numbers(&|row| row.ts),
            numbers(&|row| row.ts - HOUR),
            Arc::clone(&offsets),
            Arc::new(carriers),
            floats(&|row| row.dist),
            floats(&|row| row.score),
        ],
    )
    .expect("rows of the layout");
    let said = (0..).zip(&rows).map(|(number, row)| {
        if told(number, row.late) {
            "late"
        } else {
            "on_time"
        }
    });
    let nothing = rows.len();
    let labels = RecordBatch::try_new(
        columns_of_labels(),
        vec![
            ids(),
            numbers(&|row| row.ts + DAY),
            numbers(&|row| row.ts + DAY - HOUR),
            Arc::new(StringArray::from_iter_values(said)),
            Arc::new(Float64Array::new_null(nothing)),
            Arc::new(Int64Array::new_null(nothing)),
            offsets,
        ],
    )
    .expect("labels");
    let commits = [
        committed(RecordKind::Predictions, Kind::Rows, batch),
        committed(RecordKind::Labels, Kind::Labels, labels),
    ];
    store
        .write(move |tx| {
            models::declare(tx, MODEL, "rules/r.yaml")?;
            let stored = StoredLayout {
                hash: layout.hash(),
                body: layout.to_json(),
            };
            layouts::insert_if_absent(tx, MODEL, &stored)?;
            commit(tx, &commits)?;
            Ok(())
        })
        .expect("the store takes it");
}

fn committed(kind: RecordKind, lake: Kind, batch: RecordBatch) -> PartitionCommit {
    let used = batch.num_rows() as u64;
    let topic = match kind {
        RecordKind::Predictions => "flights",
        RecordKind::Labels => "arrivals",
    };
    let versions = match kind {
        RecordKind::Predictions => BTreeMap::from([("1".to_owned(), used)]),
        RecordKind::Labels => BTreeMap::new(),
    };
    let buffer = BufferRow::encode(lake, MODEL, NOW, &[batch])
        .expect("encodes")
        .expect("rows");
    PartitionCommit {
        partition: Partition {
            topic: topic.to_owned(),
            partition: 0,
        },
        kind,
        expected_seq: 0,
        next_offset: used.cast_signed(),
        dedupe_offset: 0,
        counts: Counts {
            used,
            ..Counts::default()
        },
        streams: vec![StreamRow {
            model: MODEL.to_owned(),
            watermark: REQUESTED + HOUR,
            max_ts: Some(REQUESTED),
            idle: true,
            used,
            late: 0,
            duplicate: 0,
            versions,
            kind,
        }],
        partials: Vec::new(),
        pending: Vec::new(),
        lake: vec![buffer],
        learning: Vec::new(),
        rejections: Vec::new(),
        gaps: Vec::new(),
        gap_ends: Vec::new(),
    }
}

/// A signed request's headers and body, as `notify` sends them.
pub struct Sent {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: String,
}

/// A request for the world's model, signed at `now`.
pub fn sent(key: &str, mode: &str, now: Millis) -> Sent {
    use crate::notify::retraining::Requested;
    let event = crate::notify::retrain_requested(&Requested {
        id: key,
        key: &crate::event::Key {
            model: MODEL.to_owned(),
            version: "1".to_owned(),
            segment: String::new(),
        },
        rule: "loss",
        metric: "log_loss",
        mode,
        reason: "log_loss is 0.67, above 0.60",
        at: REQUESTED,
        window: crate::event::Span::new(REQUESTED - 3 * DAY, REQUESTED - 2 * DAY),
        episode_start: REQUESTED - 3 * DAY,
        value: Some(0.67),
        reference: Some(0.55),
        limit: Some(0.6),
    });
    signed(key, event.to_json().expect("writes"), now)
}

pub fn signed(key: &str, body: String, now: Millis) -> Sent {
    let secret = Secret::parse(SECRET).expect("the published secret");
    let secs = now.div_euclid(SECOND);
    Sent {
        id: key.to_owned(),
        timestamp: secs.to_string(),
        signature: crate::notify::signature::sign(&[secret], key, secs, body.as_bytes()),
        body,
    }
}
