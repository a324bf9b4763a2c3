//! Streams: one model inside one partition, with the watermark that decides when windows close.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use super::error::Result;
use crate::event::{Millis, Partition};

/// One model's rows in one partition, with totals so far.
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
    /// Rows used of each version.
    pub versions: BTreeMap<String, u64>,
}

const COLUMNS: &str =
    "topic, partition, model, watermark, max_ts, idle, used, late, duplicate, versions";

fn from_row(row: &Row<'_>) -> rusqlite::Result<(Partition, StreamRow, String)> {
    let stream = StreamRow {
        model: row.get(2)?,
        watermark: row.get(3)?,
        max_ts: row.get(4)?,
        idle: row.get(5)?,
        used: row.get::<_, i64>(6)?.cast_unsigned(),
        late: row.get::<_, i64>(7)?.cast_unsigned(),
        duplicate: row.get::<_, i64>(8)?.cast_unsigned(),
        versions: BTreeMap::new(),
    };
    Ok((
        Partition {
            topic: row.get(0)?,
            partition: row.get(1)?,
        },
        stream,
        row.get(9)?,
    ))
}

fn select(
    conn: &Connection,
    filter: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<(Partition, StreamRow)>> {
    let sql = format!("SELECT {COLUMNS} FROM streams {filter} ORDER BY topic, partition, model");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut streams = Vec::new();
    for row in statement.query_map(values, from_row)? {
        let (partition, mut stream, versions) = row?;
        stream.versions = serde_json::from_str(&versions)?;
        streams.push((partition, stream));
    }
    Ok(streams)
}

/// The streams of every partition that has rows of `model`; the least watermark of them is the model's. A partition
/// that was never read for this model has none: compare with [`cursors::all`](super::cursors::all).
pub fn of_model(conn: &Connection, model: &str) -> Result<Vec<(Partition, StreamRow)>> {
    select(conn, "WHERE model = ?1", [model])
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
             (topic, partition, model, watermark, max_ts, idle, used, late, duplicate, versions)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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
    ])?;
    Ok(())
}
