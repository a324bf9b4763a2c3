//! The proof of a training set: which records of which logs it was made of, and a hash of what they said.
//!
//! The hash is SHA-256 over this encoding. Whole numbers are 8 bytes, little endian; a text is its length in bytes as
//! a whole number, then its UTF-8; a float is its 8 bytes, little endian, every NaN as `7ff8000000000000`; what may be
//! missing is a byte 0, or a byte 1 and the value.
//!
//! 1. The text `driftline training set 1`.
//! 2. The number of feature columns, then for each its name and the byte `n` (numbers) or `c` (texts).
//! 3. For each row in its order: version, id (may be missing), `ts`, each feature (may be missing), the predicted class
//!    (may be missing), the predicted value (may be missing), the number of scores and for each by name the class and
//!    the score, and the truth (may be missing): class (may be missing), value (may be missing), `ts`.
//!
//! **Invariant:** two training sets have one hash if and only if they are the same data in the same order (SHA-256
//! granted). Where the records lay is beside the hash, not in it.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::{Millis, Partition, Span};
use crate::performance::Observation;

/// What a training set was asked for and made of. Asking the same again gives the same `hash`, as long as the lake
/// keeps the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataManifest {
    pub model: String,
    /// `None`: all versions.
    pub version: Option<String>,
    /// Event time of the rows.
    pub span: Span,
    pub known_by: Millis,
    pub layout_hash: String,
    pub rows: u64,
    /// Rows with a label that the task can use.
    pub labelled: u64,
    /// Rows left out because an earlier one has the same version and id.
    pub repeated: u64,
    /// By kind, topic and partition.
    pub sources: Vec<DataSource>,
    /// SHA-256 of the content, in hex.
    pub hash: String,
}

/// The records of one partition in a training set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    pub kind: SourceKind,
    pub topic: String,
    pub partition: i32,
    /// The first and the last offset; between them may lie records that are not in the set.
    pub from_offset: i64,
    pub to_offset: i64,
    /// Rows, or labels that count for at least one of the rows.
    pub records: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    Rows,
    Labels,
}

impl SourceKind {
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Rows => "rows",
            SourceKind::Labels => "labels",
        }
    }
}

/// The records of a set while it is put together.
#[derive(Debug, Default)]
pub(super) struct Sources(BTreeMap<(SourceKind, String, i32), HashSet<i64>>);

impl Sources {
    /// Adding a record again changes nothing: a label counts for every version of its id.
    pub fn add(&mut self, kind: SourceKind, topic: &str, partition: i32, offset: i64) {
        let key = (kind, topic.to_owned(), partition);
        self.0.entry(key).or_default().insert(offset);
    }

    pub fn finish(self) -> Vec<DataSource> {
        let sources = self
            .0
            .into_iter()
            .filter_map(|((kind, topic, partition), offsets)| {
                Some(DataSource {
                    kind,
                    topic,
                    partition,
                    from_offset: *offsets.iter().min()?,
                    to_offset: *offsets.iter().max()?,
                    records: offsets.len() as u64,
                })
            });
        sources.collect()
    }
}

impl DataManifest {
    /// Every partition of which `found` has fewer records than this manifest lists, in words; empty when none has.
    pub(super) fn missing_in(&self, found: &DataManifest) -> Vec<String> {
        let left_of = |listed: &DataSource| {
            let same = |source: &&DataSource| {
                (source.kind, &source.topic, source.partition)
                    == (listed.kind, &listed.topic, listed.partition)
            };
            found
                .sources
                .iter()
                .find(same)
                .map_or(0, |source| source.records)
        };
        let missing = self.sources.iter().filter_map(|listed| {
            let left = left_of(listed);
            let partition = Partition {
                topic: listed.topic.clone(),
                partition: listed.partition,
            };
            (left < listed.records).then(|| {
                let kind = listed.kind.as_str();
                let DataSource { from_offset, to_offset, records, .. } = listed;
                format!("{kind} of {partition}, offsets {from_offset} to {to_offset}: {left} of {records} are left")
            })
        });
        missing.collect()
    }
}

/// The hash of a training set: `batch` has `id`, `ts` and the features; `observations` its rows in the same order.
pub(super) fn content_hash(batch: &RecordBatch, observations: &[Observation]) -> String {
    let mut content = Content(Sha256::new());
    content.text("driftline training set 1");
    let schema = batch.schema();
    let features: Vec<_> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .skip(2)
        .collect();
    content.whole(features.len() as i64);
    for (field, _) in &features {
        content.text(field.name());
        let is_number = *field.data_type() == DataType::Float64;
        content.0.update(if is_number { b"n" } else { b"c" });
    }
    for (row, observation) in observations.iter().enumerate() {
        content.text(&observation.version);
        content.maybe(observation.id.as_deref(), Content::text);
        content.whole(observation.ts);
        for (_, column) in &features {
            if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
                let number = numbers.is_valid(row).then(|| numbers.value(row));
                content.maybe(number, Content::float);
            } else {
                let texts = column.as_string::<i32>();
                let text = texts.is_valid(row).then(|| texts.value(row));
                content.maybe(text, Content::text);
            }
        }
        content.maybe(observation.class.as_deref(), Content::text);
        content.maybe(observation.value, Content::float);
        content.whole(observation.scores.len() as i64);
        for (class, score) in &observation.scores {
            content.text(class);
            content.float(*score);
        }
        content.maybe(observation.truth.as_ref(), |content, truth| {
            content.maybe(truth.class.as_deref(), Content::text);
            content.maybe(truth.value, Content::float);
            content.whole(truth.ts);
        });
    }
    let digest = content.0.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Content(Sha256);

impl Content {
    fn whole(&mut self, number: i64) {
        self.0.update(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.whole(text.len() as i64);
        self.0.update(text.as_bytes());
    }

    fn float(&mut self, number: f64) {
        const NAN_BITS: u64 = 0x7ff8_0000_0000_0000;
        let bits = if number.is_nan() {
            NAN_BITS
        } else {
            number.to_bits()
        };
        self.0.update(bits.to_le_bytes());
    }

    fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.update([u8::from(value.is_some())]);
        if let Some(value) = value {
            write(self, value);
        }
    }
}
