//! The catalogue: a row for each segment, with what lets a query leave it out.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Kind;
use crate::event::{Millis, Partition};
use crate::store::bloom::Bloom;
use crate::store::error::Result;

/// A segment: one Parquet file, sorted by (`ts`, `offset`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRow {
    pub id: i64,
    pub kind: Kind,
    pub model: String,
    pub partition: Partition,
    /// In the lake; see [`Lake`](super::Lake).
    pub path: String,
    /// The first and the last offset covered.
    pub from_offset: i64,
    pub to_offset: i64,
    pub rows: u64,
    pub bytes: u64,
    /// Both of rows that are there.
    pub min_ts: Millis,
    pub max_ts: Millis,
    /// `None`: no row has an id.
    pub min_id: Option<String>,
    pub max_id: Option<String>,
    pub created_wall: Millis,
}

/// The segments of `model` that may have rows with `ts` in `range`, by partition and offset.
pub fn segments(
    conn: &Connection,
    kind: Kind,
    model: &str,
    range: Range<Millis>,
) -> Result<Vec<SegmentRow>> {
    select(
        conn,
        "WHERE kind = ?1 AND model = ?2 AND min_ts < ?4 AND max_ts >= ?3",
        params![kind.as_str(), model, range.start, range.end],
    )
}

/// The filter over a segment's ids; `None` where it has none, so that any id may be there.
pub fn bloom(conn: &Connection, segment: i64) -> Result<Option<Bloom>> {
    let mut statement = conn.prepare_cached("SELECT bloom FROM segments WHERE id = ?1")?;
    let bytes: Option<Option<Vec<u8>>> = statement
        .query_row([segment], |row| row.get(0))
        .optional()?;
    Ok(bytes.flatten().and_then(|bytes| Bloom::from_bytes(&bytes)))
}

const COLUMNS: &str = "id, kind, model, topic, partition, path, from_offset, to_offset, rows, bytes, min_ts, max_ts, \
                       min_id, max_id, created_wall";

pub(super) fn select(
    conn: &Connection,
    filter: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<SegmentRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM segments {filter} ORDER BY kind, model, topic, partition, from_offset, id"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    let mut segments = Vec::new();
    while let Some(row) = rows.next()? {
        segments.push(from_row(row)?);
    }
    Ok(segments)
}

fn from_row(row: &Row<'_>) -> Result<SegmentRow> {
    Ok(SegmentRow {
        id: row.get(0)?,
        kind: Kind::parse(&row.get::<_, String>(1)?)?,
        model: row.get(2)?,
        partition: Partition {
            topic: row.get(3)?,
            partition: row.get(4)?,
        },
        path: row.get(5)?,
        from_offset: row.get(6)?,
        to_offset: row.get(7)?,
        rows: row.get::<_, i64>(8)?.cast_unsigned(),
        bytes: row.get::<_, i64>(9)?.cast_unsigned(),
        min_ts: row.get(10)?,
        max_ts: row.get(11)?,
        min_id: row.get(12)?,
        max_id: row.get(13)?,
        created_wall: row.get(14)?,
    })
}

/// Enters a segment; its `id` is given by the table.
pub(super) fn insert(conn: &Connection, segment: &SegmentRow, bloom: Option<&Bloom>) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO segments (kind, model, topic, partition, path, from_offset, to_offset, rows, bytes, min_ts, max_ts,
                               min_id, max_id, created_wall, bloom)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        segment.kind.as_str(),
        segment.model,
        segment.partition.topic,
        segment.partition.partition,
        segment.path,
        segment.from_offset,
        segment.to_offset,
        segment.rows.cast_signed(),
        segment.bytes.cast_signed(),
        segment.min_ts,
        segment.max_ts,
        segment.min_id,
        segment.max_id,
        segment.created_wall,
        bloom.map(Bloom::to_bytes),
    ])?;
    Ok(())
}

/// Takes a segment out; its file goes when nobody can be reading it any more. `false`: it was gone already.
pub(super) fn drop_segment(conn: &Connection, segment: &SegmentRow, now: Millis) -> Result<bool> {
    let gone = conn
        .prepare_cached("DELETE FROM segments WHERE id = ?1 AND path = ?2")?
        .execute(params![segment.id, segment.path])?;
    if gone == 1 {
        conn.prepare_cached("INSERT INTO dropped_segments (path, since_wall) VALUES (?1, ?2)")?
            .execute(params![segment.path, now])?;
    }
    Ok(gone == 1)
}
