//! How large the lake is, for metrics and people.

use rusqlite::Connection;

use super::Kind;
use crate::store::error::Result;

/// What lies in segments and what waits in the store, of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    pub segments: u64,
    pub segment_rows: u64,
    pub segment_bytes: u64,
    pub buffered_rows: u64,
    pub buffered_bytes: u64,
}

pub fn size(conn: &Connection, kind: Kind) -> Result<Size> {
    let mut statement = conn.prepare_cached(
        "SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(bytes), 0) FROM segments WHERE kind = ?1",
    )?;
    let number = |row: &rusqlite::Row<'_>, place| row.get::<_, i64>(place).map(i64::cast_unsigned);
    let mut size = statement.query_row([kind.as_str()], |row| {
        Ok(Size {
            segments: number(row, 0)?,
            segment_rows: number(row, 1)?,
            segment_bytes: number(row, 2)?,
            ..Size::default()
        })
    })?;
    let mut statement = conn.prepare_cached(
        "SELECT coalesce(sum(rows), 0), coalesce(sum(bytes), 0) FROM lake_buffer WHERE kind = ?1",
    )?;
    (size.buffered_rows, size.buffered_bytes) = statement.query_row([kind.as_str()], |row| {
        Ok((number(row, 0)?, number(row, 1)?))
    })?;
    Ok(size)
}
