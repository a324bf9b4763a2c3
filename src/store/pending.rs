//! Pending rows: accepted records of models that have no layout yet, kept as they came until one is learned.
//!
//! The transaction that gives the model its layout turns them into partials and deletes them.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};

use super::error::Result;
use super::failpoint::failpoint;
use crate::event::{Millis, Partition, Span};

/// One record whose envelope was accepted and whose pane and epoch are settled.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingRow {
    pub model: String,
    pub offset: i64,
    pub ts: Millis,
    pub epoch: u32,
    pub pane: Span,
    /// The partition's watermark of the model before this row.
    pub watermark: Millis,
    /// The message as it came.
    pub payload: Vec<u8>,
}

/// How much waits for a model's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingSize {
    pub rows: u64,
    pub bytes: u64,
}

/// Every pending row of `model`, by topic, partition and offset, one at a time: they may not fit into memory.
pub fn for_each(
    conn: &Connection,
    model: &str,
    mut take: impl FnMut(Partition, PendingRow) -> Result<()>,
) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "SELECT topic, partition, \"offset\", ts, epoch, pane_start, pane_end, watermark, payload FROM pending
         WHERE model = ?1 ORDER BY topic, partition, \"offset\"",
    )?;
    let mut rows = statement.query([model])?;
    while let Some(row) = rows.next()? {
        let partition = Partition {
            topic: row.get(0)?,
            partition: row.get(1)?,
        };
        let pending = PendingRow {
            model: model.to_string(),
            offset: row.get(2)?,
            ts: row.get(3)?,
            epoch: row.get(4)?,
            pane: Span::new(row.get(5)?, row.get(6)?),
            watermark: row.get(7)?,
            payload: row.get(8)?,
        };
        take(partition, pending)?;
    }
    Ok(())
}

/// The time and epoch of every pending row of `model`, without its payload.
pub fn for_each_ts(
    conn: &Connection,
    model: &str,
    mut take: impl FnMut(Partition, Millis, u32),
) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "SELECT topic, partition, ts, epoch FROM pending WHERE model = ?1 ORDER BY topic, partition, \"offset\"",
    )?;
    let mut rows = statement.query([model])?;
    while let Some(row) = rows.next()? {
        take(
            Partition {
                topic: row.get(0)?,
                partition: row.get(1)?,
            },
            row.get(2)?,
            row.get(3)?,
        );
    }
    Ok(())
}

/// How many rows of each model wait in one partition.
pub(super) fn rows_in(conn: &Connection, partition: &Partition) -> Result<BTreeMap<String, u64>> {
    let mut statement = conn.prepare_cached(
        "SELECT model, count(*) FROM pending WHERE topic = ?1 AND partition = ?2 GROUP BY model",
    )?;
    let rows = statement.query_map(params![partition.topic, partition.partition], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Rows waiting in each pane, earliest first: to see whether the first windows have enough of them.
pub fn rows_by_pane(conn: &Connection, model: &str) -> Result<Vec<(Span, u64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT pane_start, pane_end, count(*) FROM pending WHERE model = ?1 GROUP BY 1, 2 ORDER BY 1, 2",
    )?;
    let rows = statement.query_map([model], |row| {
        Ok((
            Span::new(row.get(0)?, row.get(1)?),
            row.get::<_, i64>(2)?.cast_unsigned(),
        ))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub fn size(conn: &Connection, model: &str) -> Result<PendingSize> {
    let mut statement = conn
        .prepare_cached("SELECT count(*), coalesce(sum(bytes), 0) FROM pending WHERE model = ?1")?;
    Ok(statement.query_row([model], |row| {
        Ok(PendingSize {
            rows: row.get::<_, i64>(0)?.cast_unsigned(),
            bytes: row.get::<_, i64>(1)?.cast_unsigned(),
        })
    })?)
}

/// Models that have pending rows.
pub fn models(conn: &Connection) -> Result<Vec<String>> {
    let mut statement = conn.prepare_cached("SELECT DISTINCT model FROM pending ORDER BY model")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub fn delete(tx: &Transaction<'_>, model: &str) -> Result<usize> {
    failpoint("pending.before_delete");
    let deleted = tx
        .prepare_cached("DELETE FROM pending WHERE model = ?1")?
        .execute([model])?;
    failpoint("pending.after_delete");
    Ok(deleted)
}

pub(super) fn insert(conn: &Connection, partition: &Partition, row: &PendingRow) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO pending (model, topic, partition, \"offset\", ts, epoch, pane_start, pane_end, bytes, payload,
                              watermark)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (model, topic, partition, \"offset\") DO NOTHING",
    )?
    .execute(params![
        row.model,
        partition.topic,
        partition.partition,
        row.offset,
        row.ts,
        row.epoch,
        row.pane.start,
        row.pane.end,
        i64::try_from(row.payload.len()).unwrap_or(i64::MAX),
        row.payload,
        row.watermark,
    ])?;
    Ok(())
}
