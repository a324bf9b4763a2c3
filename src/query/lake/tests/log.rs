//! A log of a few records, a lake that holds it cut in some way, and what the definitions say of it, record by record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::Int64Type;
use object_store::{ObjectStoreExt as _, path::Path};
use parquet::arrow::ArrowWriter;

use crate::event::{Millis, Span};
use crate::performance::{Observation, Truth};
use crate::profile::layout::FORMAT;
use crate::profile::{
    CategoricalCells, Cells, CompiledLayout, Field, Layout, LayoutColumn, NumericCells,
};
use crate::query::lake::Ledger;
use crate::store::Store;
use crate::store::bloom::Bloom;
use crate::store::lake::buffer::BufferRow;
use crate::store::lake::{Kind, Lake, labels_schema, rows_schema};

pub const MODEL: &str = "power";

/// A prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub version: &'static str,
    pub id: Option<String>,
    pub ts: Millis,
    pub watermark: Millis,
    pub partition: i32,
    pub offset: i64,
    pub score: f64,
    pub demand: Option<f64>,
    pub day: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    pub id: String,
    pub ts: Millis,
    pub watermark: Millis,
    pub label: &'static str,
    pub partition: i32,
    pub offset: i64,
}

#[derive(Debug, Clone, Default)]
pub struct Log {
    pub rows: Vec<Row>,
    pub labels: Vec<Label>,
}

/// Features `demand` (numbers) and `id` (texts, named like a column of the lake), the score and the class.
pub fn layout() -> CompiledLayout {
    let numeric = || {
        Cells::Numeric(NumericCells {
            edges: Vec::new(),
            domain: None,
            center: 0.0,
            sum_shift: 0,
            square_shift: 0,
        })
    };
    let texts = |categories: &[&str]| {
        Cells::Categorical(CategoricalCells {
            categories: categories.iter().map(|&text| text.to_owned()).collect(),
            closed: false,
        })
    };
    let column = |name: &str, field: Field, cells| LayoutColumn {
        name: field.column_name(name),
        field,
        cells,
    };
    CompiledLayout::new(Arc::new(Layout {
        format: FORMAT,
        columns: vec![
            column("demand", Field::Feature, numeric()),
            column("id", Field::Feature, texts(&[])),
            column("", Field::Label, texts(&["down", "up"])),
            column("", Field::Score("up".to_owned()), numeric()),
            column("", Field::Latency, numeric()),
        ],
        skipped: Vec::new(),
    }))
}

fn class(score: f64) -> &'static str {
    if score >= 0.5 { "up" } else { "down" }
}

pub fn rows_batch(rows: &[Row]) -> RecordBatch {
    let texts = |texts: Vec<Option<&str>>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let wholes = |wholes: Vec<i64>| Arc::new(Int64Array::from(wholes)) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        texts(rows.iter().map(|row| Some(row.version)).collect()),
        texts(rows.iter().map(|row| row.id.as_deref()).collect()),
        wholes(rows.iter().map(|row| row.ts).collect()),
        wholes(rows.iter().map(|row| row.watermark).collect()),
        texts(rows.iter().map(|_| Some("power-log")).collect()),
        Arc::new(Int32Array::from_iter_values(
            rows.iter().map(|row| row.partition),
        )),
        wholes(rows.iter().map(|row| row.offset).collect()),
        Arc::new(rows.iter().map(|row| row.demand).collect::<Float64Array>()),
        texts(rows.iter().map(|row| row.day).collect()),
        texts(rows.iter().map(|row| Some(class(row.score))).collect()),
        Arc::new(Float64Array::from_iter_values(
            rows.iter().map(|row| row.score),
        )),
        Arc::new(rows.iter().map(|_| None).collect::<Float64Array>()),
    ];
    RecordBatch::try_new(rows_schema(layout().layout()), columns).expect("rows of the schema")
}

pub fn labels_batch(labels: &[Label]) -> RecordBatch {
    let texts = |texts: Vec<&str>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let wholes = |wholes: Vec<i64>| Arc::new(Int64Array::from(wholes)) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        texts(labels.iter().map(|label| label.id.as_str()).collect()),
        wholes(labels.iter().map(|label| label.ts).collect()),
        wholes(labels.iter().map(|label| label.watermark).collect()),
        texts(labels.iter().map(|label| label.label).collect()),
        Arc::new(labels.iter().map(|_| None).collect::<Float64Array>()),
        Arc::new(labels.iter().map(|_| None).collect::<Int64Array>()),
        texts(labels.iter().map(|_| "truth").collect()),
        Arc::new(Int32Array::from_iter_values(
            labels.iter().map(|label| label.partition),
        )),
        wholes(labels.iter().map(|label| label.offset).collect()),
    ];
    RecordBatch::try_new(labels_schema(), columns).expect("labels of the schema")
}

/// A lake in memory and a store in a folder that goes with the first part.
pub struct Scratch {
    _folder: tempfile::TempDir,
    pub store: Store,
    pub lake: Lake,
}

impl Scratch {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path()).expect("a new store opens");
        Self {
            _folder: folder,
            store,
            lake: Lake::open("memory:///").expect("a lake in memory"),
        }
    }

    /// Enters a batch as a segment; answers with its path.
    pub async fn segment(&self, kind: Kind, batch: &RecordBatch) -> String {
        // Unique in the process, as paths of segments are: what is known of one outlives this lake.
        static FILES: AtomicU32 = AtomicU32::new(0);
        let file = FILES.fetch_add(1, Ordering::Relaxed);
        let path = format!("segments/{}-{file}.parquet", kind.as_str());
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
        writer.write(batch).expect("a batch of the schema");
        writer.close().expect("a footer");
        let size = bytes.len() as i64;
        let put = self.lake.store();
        put.put(&Path::from(path.as_str()), bytes.into())
            .await
            .expect("a new object");
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .expect("the lake's column")
                .clone()
        };
        let mut ids: Vec<String> = column("id")
            .as_string::<i32>()
            .iter()
            .flatten()
            .map(str::to_owned)
            .collect();
        ids.sort();
        let bloom = Bloom::of(ids.iter().map(String::as_str)).to_bytes();
        let times = column("ts").as_primitive::<Int64Type>().values().to_vec();
        let (least, most) = (times.iter().min().copied(), times.iter().max().copied());
        let (min_id, max_id) = (ids.first().cloned(), ids.last().cloned());
        let (rows, name) = (batch.num_rows() as i64, path.clone());
        let entered = self.store.write(move |tx| {
            Ok(tx.execute(
                "INSERT INTO segments (kind, model, topic, partition, path, from_offset, to_offset, rows, bytes,
                                       min_ts, max_ts, min_id, max_id, created_wall, bloom)
                 VALUES (?1, ?2, 'power-log', 0, ?3, 0, 0, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10)",
                (kind.as_str(), MODEL, name, rows, size, least, most, min_id, max_id, bloom),
            )?)
        });
        assert_eq!(entered.expect("a row of the catalogue"), 1);
        path
    }

    /// Enters a batch as a buffer of one partition.
    pub fn buffer(&self, kind: Kind, partition: i32, batch: &RecordBatch) {
        let topic = batch.column_by_name("topic").expect("the lake's column");
        let topic = topic.as_string::<i32>().value(0).to_owned();
        let kept: Vec<usize> = (0..batch.num_columns())
            .filter(|&place| {
                !matches!(
                    batch.schema().field(place).name().as_str(),
                    "topic" | "partition"
                )
            })
            .collect();
        let batch = batch.project(&kept).expect("columns that are there");
        let row = BufferRow::encode(kind, MODEL, 0, &[batch])
            .expect("a batch of the lake")
            .expect("rows");
        let entered = self.store.write(move |tx| {
            Ok(tx.execute(
                "INSERT INTO lake_buffer (kind, model, topic, partition, from_offset, to_offset, rows, min_ts, max_ts,
                                          bytes, created_wall, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, 0, ?10)",
                (
                    kind.as_str(),
                    MODEL,
                    topic,
                    partition,
                    row.from_offset,
                    row.to_offset,
                    row.rows.cast_signed(),
                    row.min_ts,
                    row.max_ts,
                    row.body,
                ),
            )?)
        });
        assert_eq!(entered.expect("a row of the buffers"), 1);
    }

    /// Takes a segment out of the catalogue, and its file away.
    pub async fn drop_segment(&self, path: &str) {
        let name = path.to_owned();
        let dropped = self
            .store
            .write(move |tx| Ok(tx.execute("DELETE FROM segments WHERE path = ?1", (name,))?));
        assert_eq!(dropped.expect("a writable store"), 1);
        let deleted = self.lake.store().delete(&Path::from(path)).await;
        deleted.expect("the object was there");
    }

    /// Enters a log: `cut` says for each record, rows first, in which piece it lies. Even pieces are segments, odd ones
    /// are buffers, one for each partition; the records of a piece keep their order.
    pub async fn hold(&self, log: &Log, cut: &[u8]) {
        let piece_of = |place: usize| cut.get(place).copied().unwrap_or(0);
        let pieces: BTreeSet<u8> = cut.iter().copied().chain([0]).collect();
        for piece in pieces {
            let rows = (0..)
                .zip(&log.rows)
                .filter(|(place, _)| piece_of(*place) == piece);
            let rows: Vec<Row> = rows.map(|(_, row)| row.clone()).collect();
            let labels = (log.rows.len()..).zip(&log.labels);
            let labels = labels.filter(|(place, _)| piece_of(*place) == piece);
            let labels: Vec<Label> = labels.map(|(_, label)| label.clone()).collect();
            if piece % 2 == 0 {
                if !rows.is_empty() {
                    self.segment(Kind::Rows, &rows_batch(&rows)).await;
                }
                if !labels.is_empty() {
                    self.segment(Kind::Labels, &labels_batch(&labels)).await;
                }
                continue;
            }
            for partition in 0..3 {
                let rows = rows.iter().filter(|row| row.partition == partition);
                let rows: Vec<Row> = rows.cloned().collect();
                if !rows.is_empty() {
                    self.buffer(Kind::Rows, partition, &rows_batch(&rows));
                }
                let labels = labels.iter().filter(|label| label.partition == partition);
                let labels: Vec<Label> = labels.cloned().collect();
                if !labels.is_empty() {
                    self.buffer(Kind::Labels, partition, &labels_batch(&labels));
                }
            }
        }
    }
}

impl Log {
    /// The label that counts for `id`.
    fn label(&self, id: &str, known_by: Millis) -> Option<&Label> {
        let known = self
            .labels
            .iter()
            .filter(|label| label.id == id && label.ts < known_by && label.watermark < known_by);
        known.max_by_key(|label| (label.ts, label.partition, label.offset))
    }

    fn observation(&self, row: &Row, known_by: Millis) -> Observation {
        let label = row.id.as_deref().and_then(|id| self.label(id, known_by));
        let usable = label.filter(|label| ["up", "down"].contains(&label.label));
        Observation {
            version: row.version.to_owned(),
            id: row.id.clone(),
            ts: row.ts,
            class: Some(class(row.score).to_owned()),
            value: None,
            scores: BTreeMap::from([("up".to_owned(), row.score)]),
            truth: usable.map(|label| Truth {
                class: Some(label.label.to_owned()),
                value: None,
                ts: label.ts,
            }),
        }
    }

    fn rows_of(&self, span: Span, known_by: Millis) -> Vec<&Row> {
        let rows = self.rows.iter();
        rows.filter(|row| span.contains(row.ts) && row.watermark < known_by)
            .collect()
    }

    /// What [`observations`](super::super::observations) must answer: the rows, and the unusable ones by version.
    pub fn observations(
        &self,
        span: Span,
        known_by: Millis,
    ) -> (Vec<Observation>, BTreeMap<String, u64>) {
        let mut rows = self.rows_of(span, known_by);
        rows.sort_by_key(|row| (row.version, row.ts, row.partition, row.offset));
        let mut unusable = BTreeMap::new();
        for row in &rows {
            let label = row.id.as_deref().and_then(|id| self.label(id, known_by));
            if label.is_some_and(|label| !["up", "down"].contains(&label.label)) {
                *unusable.entry(row.version.to_owned()).or_default() += 1;
            }
        }
        let rows = rows.iter().map(|row| self.observation(row, known_by));
        (rows.collect(), unusable)
    }

    /// The rows of a training set of one or all versions.
    pub fn training(
        &self,
        version: Option<&str>,
        span: Span,
        known_by: Millis,
    ) -> Vec<(Row, Observation)> {
        let mut rows = self.rows_of(span, known_by);
        rows.retain(|row| version.is_none_or(|version| row.version == version));
        rows.sort_by_key(|row| (row.ts, row.partition, row.offset));
        let mut seen = BTreeSet::new();
        rows.retain(|row| row.id.is_none() || seen.insert((row.version, row.id.clone())));
        let rows = rows.into_iter();
        rows.map(|row| (row.clone(), self.observation(row, known_by)))
            .collect()
    }

    pub fn ledger(&self, span: Span) -> Ledger {
        let mut ledger = Ledger::default();
        for label in self.labels.iter().filter(|label| span.contains(label.ts)) {
            ledger.used += 1;
            if self.label(&label.id, Millis::MAX) != Some(label) {
                ledger.superseded += 1;
            } else if self
                .rows
                .iter()
                .any(|row| row.id.as_ref() == Some(&label.id))
            {
                ledger.matched += 1;
            } else {
                ledger.waiting += 1;
            }
        }
        ledger
    }
}
