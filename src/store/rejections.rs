//! Rejections: every record that was refused, once, with its reason; and whether the dead-letter topic has it.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, Transaction, params};

use super::error::{Result, StoreError};
use crate::event::{Millis, Partition, Reason};

/// One refused record.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectionRow {
    pub offset: i64,
    pub reason: Reason,
    /// The model, where the envelope named a declared one.
    pub model: Option<String>,
    /// What was found, in a few words.
    pub detail: String,
    /// The broker's timestamp of the message.
    pub broker_ts: Option<Millis>,
}

fn select(
    conn: &Connection,
    tail: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<(Partition, RejectionRow)>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT topic, partition, \"offset\", reason, model, detail, broker_ts FROM rejections {tail}"
    ))?;
    let mut found = Vec::new();
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        found.push(from_row(row)?);
    }
    Ok(found)
}

fn from_row(row: &Row<'_>) -> Result<(Partition, RejectionRow)> {
    let partition = Partition {
        topic: row.get(0)?,
        partition: row.get(1)?,
    };
    let rejection = RejectionRow {
        offset: row.get(2)?,
        reason: reason(row.get(3)?)?,
        model: row.get(4)?,
        detail: row.get(5)?,
        broker_ts: row.get(6)?,
    };
    Ok((partition, rejection))
}

fn reason(name: String) -> Result<Reason> {
    Reason::parse(&name).ok_or(StoreError::Unreadable {
        what: "rejection reason",
        found: name,
    })
}

/// Rejections for one reason at or after an offset, in offset order.
pub fn from_offset(
    conn: &Connection,
    partition: &Partition,
    reason: Reason,
    offset: i64,
) -> Result<Vec<RejectionRow>> {
    // The reason is written into the statement so that the partial index of `future_timestamp` serves it.
    let tail = format!(
        "WHERE reason = '{}' AND topic = ?1 AND partition = ?2 AND \"offset\" >= ?3 ORDER BY \"offset\"",
        reason.as_str()
    );
    let found = select(
        conn,
        &tail,
        params![partition.topic, partition.partition, offset],
    )?;
    Ok(found.into_iter().map(|(_, rejection)| rejection).collect())
}

/// Rejections that the dead-letter topic does not have yet, by topic, partition and offset.
pub fn uncopied(conn: &Connection, limit: u32) -> Result<Vec<(Partition, RejectionRow)>> {
    select(
        conn,
        "WHERE copied = 0 ORDER BY topic, partition, \"offset\" LIMIT ?1",
        [limit],
    )
}

/// How many rejections the dead-letter topic does not have yet.
pub fn uncopied_count(conn: &Connection) -> Result<u64> {
    let mut statement = conn.prepare_cached("SELECT count(*) FROM rejections WHERE copied = 0")?;
    Ok(statement
        .query_row([], |row| row.get::<_, i64>(0))?
        .cast_unsigned())
}

/// The latest rejections of one partition, or with `None` of all, by topic and partition, newest first in each.
pub fn latest(
    conn: &Connection,
    partition: Option<&Partition>,
    limit: u32,
) -> Result<Vec<(Partition, RejectionRow)>> {
    match partition {
        Some(partition) => select(
            conn,
            "WHERE topic = ?1 AND partition = ?2 ORDER BY \"offset\" DESC LIMIT ?3",
            params![partition.topic, partition.partition, limit],
        ),
        None => select(
            conn,
            "ORDER BY topic, partition, \"offset\" DESC LIMIT ?1",
            [limit],
        ),
    }
}

/// A rejection, and whether the dead-letter topic has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedRejection {
    pub partition: Partition,
    pub rejection: RejectionRow,
    pub copied: bool,
}

/// Rejections by topic and partition, the newest of each first, for one reason or for any; `after` is the last one of
/// the page before.
pub fn page(
    conn: &Connection,
    reason: Option<Reason>,
    after: Option<(&Partition, i64)>,
    limit: u32,
) -> Result<Vec<ListedRejection>> {
    let mut statement = conn.prepare_cached(
        "SELECT topic, partition, \"offset\", reason, model, detail, broker_ts, copied FROM rejections
         WHERE (?1 IS NULL OR reason = ?1)
           AND (?2 IS NULL OR (topic, partition) > (?2, ?3) OR (topic = ?2 AND partition = ?3 AND \"offset\" < ?4))
         ORDER BY topic, partition, \"offset\" DESC LIMIT ?5",
    )?;
    let mut rows = statement.query(params![
        reason.map(Reason::as_str),
        after.map(|(partition, _)| &partition.topic),
        after.map(|(partition, _)| partition.partition),
        after.map(|(_, offset)| offset),
        limit,
    ])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (partition, rejection) = from_row(row)?;
        found.push(ListedRejection {
            partition,
            rejection,
            copied: row.get(7)?,
        });
    }
    Ok(found)
}

/// Notes that the dead-letter topic has these offsets.
pub fn mark_copied(tx: &Transaction<'_>, partition: &Partition, offsets: &[i64]) -> Result<()> {
    let mut statement = tx.prepare_cached(
        "UPDATE rejections SET copied = 1 WHERE topic = ?1 AND partition = ?2 AND \"offset\" = ?3",
    )?;
    for offset in offsets {
        statement.execute(params![partition.topic, partition.partition, offset])?;
    }
    Ok(())
}

/// How many records were refused for each reason since the beginning, over all partitions.
pub fn counts(conn: &Connection) -> Result<BTreeMap<Reason, u64>> {
    let mut statement =
        conn.prepare_cached("SELECT reason, sum(count) FROM rejection_counts GROUP BY reason")?;
    let mut counts = BTreeMap::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        counts.insert(reason(row.get(0)?)?, row.get::<_, i64>(1)?.cast_unsigned());
    }
    Ok(counts)
}

/// A rejection that is there already is not counted again.
pub(super) fn insert(
    conn: &Connection,
    partition: &Partition,
    rejection: &RejectionRow,
) -> Result<()> {
    let inserted = conn
        .prepare_cached(
            "INSERT INTO rejections (topic, partition, \"offset\", reason, model, detail, broker_ts)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            partition.topic,
            partition.partition,
            rejection.offset,
            rejection.reason.as_str(),
            rejection.model,
            rejection.detail,
            rejection.broker_ts,
        ])?;
    if inserted == 1 {
        conn.prepare_cached(
            "INSERT INTO rejection_counts (topic, partition, reason, count) VALUES (?1, ?2, ?3, 1)
             ON CONFLICT DO UPDATE SET count = count + 1",
        )?
        .execute(params![
            partition.topic,
            partition.partition,
            rejection.reason.as_str()
        ])?;
    }
    Ok(())
}
