//! Gaps: offsets that were gone from the log before we read them. Which windows they touch is the caller's verdict;
//! those windows become `incomplete`.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::error::Result;
use crate::event::{Millis, Partition, RecordKind, Span};

/// Lost offsets, `[from_offset, to_offset)`, of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub from_offset: i64,
    pub to_offset: i64,
    /// The event time that the lost records may have had, for each model that may have been among them; it ends at
    /// `Millis::MAX` until a later record tells.
    pub touched: Vec<(String, Span)>,
}

impl Gap {
    pub fn offsets(&self) -> i64 {
        self.to_offset - self.from_offset
    }
}

/// Models that have shown no record since a gap of this partition.
pub(super) fn open_in(conn: &Connection, partition: &Partition) -> Result<BTreeSet<String>> {
    let mut statement = conn.prepare_cached(
        "SELECT s.model FROM gap_spans s JOIN gaps g ON g.id = s.gap_id
         WHERE g.topic = ?1 AND g.partition = ?2 AND s.span_end = ?3",
    )?;
    let models = statement.query_map(
        params![partition.topic, partition.partition, Millis::MAX],
        |row| row.get(0),
    )?;
    Ok(models.collect::<rusqlite::Result<_>>()?)
}

/// The first record of `model` after a gap: its time ends what the gap touches.
pub(super) fn end(conn: &Connection, partition: &Partition, model: &str, ts: Millis) -> Result<()> {
    conn.prepare_cached(
        "UPDATE gap_spans SET span_end = max(span_start, ?4) + 1 WHERE model = ?3 AND span_end = ?5
         AND gap_id IN (SELECT id FROM gaps WHERE topic = ?1 AND partition = ?2)",
    )?
    .execute(params![
        partition.topic,
        partition.partition,
        model,
        ts,
        Millis::MAX
    ])?;
    Ok(())
}

/// Gaps in predictions that touch `window` of `model`, with how many offsets each has lost.
pub fn touching(conn: &Connection, model: &str, window: Span) -> Result<Vec<(Partition, Gap)>> {
    of_kind(conn, model, window, RecordKind::Predictions)
}

/// Gaps in labels: lost labels of `model` may have had a `ts` in `span`.
pub fn labels_touching(
    conn: &Connection,
    model: &str,
    span: Span,
) -> Result<Vec<(Partition, Gap)>> {
    of_kind(conn, model, span, RecordKind::Labels)
}

fn of_kind(
    conn: &Connection,
    model: &str,
    span: Span,
    kind: RecordKind,
) -> Result<Vec<(Partition, Gap)>> {
    let mut statement = conn.prepare_cached(
        "SELECT g.topic, g.partition, g.from_offset, g.to_offset, s.span_start, s.span_end
         FROM gap_spans s JOIN gaps g ON g.id = s.gap_id
              JOIN cursors c ON c.topic = g.topic AND c.partition = g.partition
         WHERE s.model = ?1 AND s.span_end > ?2 AND s.span_start < ?3 AND c.kind = ?4
         ORDER BY g.topic, g.partition, g.from_offset",
    )?;
    let rows = statement.query_map(params![model, span.start, span.end, kind.as_str()], |row| {
        let partition = Partition {
            topic: row.get(0)?,
            partition: row.get(1)?,
        };
        let touched = vec![(model.to_string(), Span::new(row.get(4)?, row.get(5)?))];
        Ok((
            partition,
            Gap {
                from_offset: row.get(2)?,
                to_offset: row.get(3)?,
                touched,
            },
        ))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Offsets lost since the beginning, over all partitions.
pub fn offsets_lost(conn: &Connection) -> Result<u64> {
    let mut statement =
        conn.prepare_cached("SELECT coalesce(sum(to_offset - from_offset), 0) FROM gaps")?;
    Ok(statement
        .query_row([], |row| row.get::<_, i64>(0))?
        .cast_unsigned())
}

pub(super) fn insert(conn: &Connection, partition: &Partition, gap: &Gap) -> Result<()> {
    let inserted = conn
        .prepare_cached(
            "INSERT INTO gaps (topic, partition, from_offset, to_offset) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            partition.topic,
            partition.partition,
            gap.from_offset,
            gap.to_offset
        ])?;
    if inserted == 0 {
        return Ok(());
    }
    let id = conn.last_insert_rowid();
    let mut statement = conn.prepare_cached(
        "INSERT INTO gap_spans (gap_id, model, span_start, span_end) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (model, span) in &gap.touched {
        statement.execute(params![id, model, span.start, span.end])?;
    }
    Ok(())
}
