//! Streams: one model inside one partition, with the watermark that decides when windows close.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use super::error::{Result, StoreError};
use crate::event::{Millis, Partition, RecordKind};

/// One model's records in one partition, with totals so far.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamRow {
    pub model: String,
    /// Greatest accepted `ts` less `lateness`, or raised by idleness.
    pub watermark: Millis,
    /// Greatest accepted `ts`.
    pub max_ts: Option<Millis>,
    pub idle: bool,
    pub used: u64,
    pub late: u64,
    pub duplicate: u64,
    /// Rows used of each version; labels have none.
    pub versions: BTreeMap<String, u64>,
    /// What the partition holds.
    pub kind: RecordKind,
}

const COLUMNS: &str =
    "topic, partition, model, watermark, max_ts, idle, used, late, duplicate, versions, kind";

fn from_row(row: &Row<'_>) -> Result<(Partition, StreamRow)> {
    let (versions, kind): (String, String) = (row.get(9)?, row.get(10)?);
    let stream = StreamRow {
        model: row.get(2)?,
        watermark: row.get(3)?,
        max_ts: row.get(4)?,
        idle: row.get(5)?,
        used: row.get::<_, i64>(6)?.cast_unsigned(),
        late: row.get::<_, i64>(7)?.cast_unsigned(),
        duplicate: row.get::<_, i64>(8)?.cast_unsigned(),
        versions: serde_json::from_str(&versions)?,
        kind: RecordKind::parse(&kind).ok_or_else(|| StoreError::record_kind(kind))?,
    };
    let partition = Partition {
        topic: row.get(0)?,
        partition: row.get(1)?,
    };
    Ok((partition, stream))
}

fn select(
    conn: &Connection,
    filter: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<(Partition, StreamRow)>> {
    let sql = format!("SELECT {COLUMNS} FROM streams {filter} ORDER BY topic, partition, model");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut streams = Vec::new();
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        streams.push(from_row(row)?);
    }
    Ok(streams)
}

/// The streams of every partition that has predictions of `model`; the least watermark of them is the model's. A
/// partition that was never read for this model has none: compare with [`cursors::all`](super::cursors::all).
pub fn of_model(conn: &Connection, model: &str) -> Result<Vec<(Partition, StreamRow)>> {
    of_kind(conn, model, RecordKind::Predictions)
}

/// The same of labels: the least watermark of all label partitions says up to when labels have come. A partition
/// without a stream of the model may still bring any label.
pub fn labels_of_model(conn: &Connection, model: &str) -> Result<Vec<(Partition, StreamRow)>> {
    of_kind(conn, model, RecordKind::Labels)
}

/// The streams of `model` in partitions that hold records of this kind.
pub fn of_kind(
    conn: &Connection,
    model: &str,
    kind: RecordKind,
) -> Result<Vec<(Partition, StreamRow)>> {
    select(
        conn,
        "WHERE model = ?1 AND kind = ?2",
        params![model, kind.as_str()],
    )
}

/// Labels that a partition brings from now on come after this, if its log was not read before: what was computed of
/// labels up to then was computed without it.
pub fn labels_counted_through(conn: &Connection, model: &str) -> Result<Option<Millis>> {
    let mut statement = conn
        .prepare_cached("SELECT max(through + age) FROM performance_progress WHERE model = ?1")?;
    Ok(statement.query_row([model], |row| row.get(0))?)
}

/// All streams, by topic, partition and model.
pub fn all(conn: &Connection) -> Result<Vec<(Partition, StreamRow)>> {
    select(conn, "", [])
}

pub(super) fn of_partition(conn: &Connection, partition: &Partition) -> Result<Vec<StreamRow>> {
    let streams = select(
        conn,
        "WHERE topic = ?1 AND partition = ?2",
        params![partition.topic, partition.partition],
    )?;
    Ok(streams.into_iter().map(|(_, stream)| stream).collect())
}

pub(super) fn put(conn: &Connection, partition: &Partition, stream: &StreamRow) -> Result<()> {
    conn.prepare_cached(
        "INSERT OR REPLACE INTO streams
             (topic, partition, model, watermark, max_ts, idle, used, late, duplicate, versions, kind)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        partition.topic,
        partition.partition,
        stream.model,
        stream.watermark,
        stream.max_ts,
        stream.idle,
        stream.used.cast_signed(),
        stream.late.cast_signed(),
        stream.duplicate.cast_signed(),
        serde_json::to_string(&stream.versions)?,
        stream.kind.as_str(),
    ])?;
    Ok(())
}
