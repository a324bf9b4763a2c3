//! What comes in: the words every room shares, and the columnar batch that ingest fills and profiles read.
//!
//! Pure: no clock, no network, no disk. Times are milliseconds since 1970-01-01T00:00:00Z in *event time*
//! unless a name says otherwise. Deliberately absent: anything that knows where a record came from beyond its
//! partition and offset.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, StringArray};
use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
pub type Millis = i64;

pub const SECOND: Millis = 1_000;
pub const MINUTE: Millis = 60 * SECOND;
pub const HOUR: Millis = 60 * MINUTE;
pub const DAY: Millis = 24 * HOUR;
pub const WEEK: Millis = 7 * DAY;

/// A half-open stretch of event time, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    pub start: Millis,
    pub end: Millis,
}

impl Span {
    pub fn new(start: Millis, end: Millis) -> Self {
        Self { start, end }
    }

    pub fn contains(&self, ts: Millis) -> bool {
        self.start <= ts && ts < self.end
    }

    pub fn length(&self) -> Millis {
        self.end - self.start
    }
}

/// What is watched as one thing. `version` and `segment` are `""` for "not given" and "the whole".
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    pub model: String,
    pub version: String,
    pub segment: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.model)?;
        if !self.version.is_empty() {
            write!(f, "@{}", self.version)?;
        }
        if !self.segment.is_empty() {
            write!(f, "[{}]", self.segment)?;
        }
        Ok(())
    }
}

/// Where a record lies. Offsets are only comparable inside one partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Partition {
    pub topic: String,
    pub partition: i32,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// What the records of a topic are.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    #[default]
    Predictions,
    Labels,
}

impl RecordKind {
    pub const ALL: [RecordKind; 2] = [RecordKind::Predictions, RecordKind::Labels];

    /// The word in tables, settings and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordKind::Predictions => "predictions",
            RecordKind::Labels => "labels",
        }
    }

    pub fn parse(word: &str) -> Option<RecordKind> {
        RecordKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a record was refused. Only the envelope can refuse a record; a bad feature value is counted as
/// `wrong_type` in its column and the record is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A tombstone: the message has no value.
    NullPayload,
    /// The message is larger than `limits.message_bytes`.
    TooLarge,
    /// The value is not UTF-8.
    NotUtf8,
    /// The value is not JSON, or is cut off.
    InvalidJson,
    /// The JSON nests deeper than `limits.depth`.
    TooDeep,
    /// The JSON is a list, a text or a number instead of an object.
    NotAnObject,
    /// More features than `limits.features`.
    TooManyFields,
    /// `model` is absent or null.
    MissingModel,
    /// `model` is not a text of 1 to `limits.name_bytes` bytes without control characters.
    BadModel,
    /// No declaration covers this model.
    UndeclaredModel,
    /// This partition already carries `limits.models` models.
    TooManyModels,
    /// `version` is not a text or whole number of at most `limits.name_bytes` bytes.
    BadVersion,
    /// `id` is absent where the log needs one.
    MissingId,
    /// `id` is not a text or whole number of 1 to `limits.id_bytes` bytes.
    BadId,
    /// `ts` is absent or null.
    MissingTs,
    /// `ts` is neither RFC 3339 text nor a whole number of milliseconds.
    BadTs,
    /// `ts` looks like seconds since 1970, not milliseconds.
    TsInSeconds,
    /// `ts` looks like microseconds since 1970, not milliseconds.
    TsInMicroseconds,
    /// `ts` looks like nanoseconds since 1970, not milliseconds.
    TsInNanoseconds,
    /// `ts` is later than the broker's append time (or the reading clock) plus `limits.future_skew`.
    FutureTimestamp,
    /// A label record without `label` and `value`.
    MissingLabel,
    /// `label` is not a text, number or truth value of at most 1024 bytes, or `value` not a finite number.
    BadLabel,
}

impl Reason {
    pub const ALL: [Reason; 22] = [
        Reason::NullPayload,
        Reason::TooLarge,
        Reason::NotUtf8,
        Reason::InvalidJson,
        Reason::TooDeep,
        Reason::NotAnObject,
        Reason::TooManyFields,
        Reason::MissingModel,
        Reason::BadModel,
        Reason::UndeclaredModel,
        Reason::TooManyModels,
        Reason::BadVersion,
        Reason::MissingId,
        Reason::BadId,
        Reason::MissingTs,
        Reason::BadTs,
        Reason::TsInSeconds,
        Reason::TsInMicroseconds,
        Reason::TsInNanoseconds,
        Reason::FutureTimestamp,
        Reason::MissingLabel,
        Reason::BadLabel,
    ];

    /// The name used in metrics, tables, headers and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NullPayload => "null_payload",
            Reason::TooLarge => "too_large",
            Reason::NotUtf8 => "not_utf8",
            Reason::InvalidJson => "invalid_json",
            Reason::TooDeep => "too_deep",
            Reason::NotAnObject => "not_an_object",
            Reason::TooManyFields => "too_many_fields",
            Reason::MissingModel => "missing_model",
            Reason::BadModel => "bad_model",
            Reason::UndeclaredModel => "undeclared_model",
            Reason::TooManyModels => "too_many_models",
            Reason::BadVersion => "bad_version",
            Reason::MissingId => "missing_id",
            Reason::BadId => "bad_id",
            Reason::MissingTs => "missing_ts",
            Reason::BadTs => "bad_ts",
            Reason::TsInSeconds => "ts_in_seconds",
            Reason::TsInMicroseconds => "ts_in_microseconds",
            Reason::TsInNanoseconds => "ts_in_nanoseconds",
            Reason::FutureTimestamp => "future_timestamp",
            Reason::MissingLabel => "missing_label",
            Reason::BadLabel => "bad_label",
        }
    }

    pub fn parse(name: &str) -> Option<Reason> {
        Reason::ALL
            .into_iter()
            .find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Bounds on a single record. Each has an outcome: the record is rejected with the reason named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest message value read, in bytes (`too_large`).
    pub message_bytes: usize,
    /// Deepest nesting of the JSON (`too_deep`).
    pub depth: usize,
    /// Most features in one record (`too_many_fields`).
    pub features: usize,
    /// Longest `model` and `version`, in bytes (`bad_model`, `bad_version`).
    pub name_bytes: usize,
    /// Longest `id`, in bytes (`bad_id`).
    pub id_bytes: usize,
    /// Most models in one partition (`too_many_models`).
    pub models: usize,
    /// Versions of one model in one partition that are kept apart; rows of further ones are counted together, under
    /// [`OTHER_VERSIONS`].
    pub versions: usize,
    /// How far `ts` may lie beyond the broker's append time or the reading clock, in ms (`future_timestamp`).
    pub future_skew_ms: Millis,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 1 << 20,
            depth: 64,
            features: 4096,
            name_bytes: 256,
            id_bytes: 256,
            models: 1000,
            versions: 100,
            future_skew_ms: 5 * MINUTE,
        }
    }
}

/// The version under which rows beyond `limits.versions` are counted.
pub const OTHER_VERSIONS: &str = "__other__";

/// How one value of one column arrived. The discriminants are the bytes of [`Column::states`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// A usable value (numeric: any `f64`, also NaN and ±infinity, which the profile counts apart).
    Value = 0,
    /// An explicit `null`.
    Null = 1,
    /// The field was not in the record.
    Absent = 2,
    /// A value of another type than the layout says.
    WrongType = 3,
}

/// One column of a batch: an Arrow array and, beside it, how each value arrived.
#[derive(Debug, Clone)]
pub struct Column {
    /// `Float64Array` for numeric, `StringArray` for categorical columns; null wherever the state is not `Value`.
    pub values: ArrayRef,
    /// One [`State`] byte a row.
    pub states: Vec<u8>,
}

impl Column {
    pub fn numbers(&self) -> Option<&Float64Array> {
        self.values.as_any().downcast_ref()
    }

    pub fn texts(&self) -> Option<&StringArray> {
        self.values.as_any().downcast_ref()
    }
}

/// The ids of a batch in one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    text: String,
    /// Where each row's id ends; no id is empty, so a row without one has no bytes.
    ends: Vec<usize>,
}

impl Ids {
    pub fn push(&mut self, id: Option<&str>) {
        self.text.push_str(id.unwrap_or_default());
        self.ends.push(self.text.len());
    }

    /// The id of a row; `None` where the record has none, or ids were not taken up.
    pub fn get(&self, row: usize) -> Option<&str> {
        let end = *self.ends.get(row)?;
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        (start < end).then(|| &self.text[start..end])
    }
}

/// Rows of one model from one partition, in offset order, whose envelopes were accepted.
///
/// All vectors have one entry a row; `columns` has one entry for each column of the layout the rows were
/// decoded with, in its order.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub model: Arc<str>,
    pub offsets: Vec<i64>,
    pub ts: Vec<Millis>,
    /// Index into `version_names`.
    pub versions: Vec<u32>,
    pub version_names: Vec<String>,
    /// Hash of (model, version, id); `None` where the record has no id.
    pub id_hashes: Vec<Option<u128>>,
    /// The ids themselves; empty unless the model's rows are kept.
    pub ids: Ids,
    pub columns: Vec<Column>,
    /// Fields that the layout does not know: (row, name), in order. Names are cut to 256 bytes.
    pub unknown_fields: Vec<(u32, String)>,
}

impl Batch {
    pub fn rows(&self) -> usize {
        self.offsets.len()
    }
}

/// The identity of a record for de-duplication: XXH3-128 over length-prefixed model, version and id.
/// Two different identities collide with probability 2⁻¹²⁸ a pair; the hash is stable across releases.
pub fn id_hash(model: &str, version: &str, id: &str) -> u128 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for part in [model, version, id] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.digest128()
}

/// Renders epoch milliseconds as RFC 3339 in UTC, without a fraction where it is zero.
pub fn rfc3339(ts: Millis) -> String {
    match chrono::DateTime::from_timestamp_millis(ts) {
        Some(time) if ts % SECOND == 0 => time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Some(time) => time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        None => format!("{ts} ms"),
    }
}
