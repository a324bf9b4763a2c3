//! Partials: what one partition contributes to one pane and epoch of one key, until no revision can need it.
//!
//! **Invariant:** a partial states the offsets it covers, and replaces its predecessor as a whole; a replacement
//! that covers less is refused.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::error::Result;
use super::failpoint::failpoint;
use crate::event::{Key, Millis, Partition, Span};

/// A partial as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialRow {
    pub key: Key,
    pub pane: Span,
    pub epoch: u32,
    pub layout_hash: String,
    /// First and last offset that a row of this partial may have, both inclusive.
    pub from_offset: i64,
    pub to_offset: i64,
    pub rows: u64,
    pub profile: Vec<u8>,
}

/// A stored partial without its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialKey {
    pub key: Key,
    pub pane: Span,
    pub epoch: u32,
    pub layout_hash: String,
    pub from_offset: i64,
    pub to_offset: i64,
    pub rows: u64,
}

const COLUMNS: &str = "topic, partition, model, version, segment, pane_start, pane_end, epoch, layout_hash, \
                       from_offset, to_offset, rows";

fn key_from_row(row: &Row<'_>) -> rusqlite::Result<PartialKey> {
    Ok(PartialKey {
        key: Key {
            model: row.get(2)?,
            version: row.get(3)?,
            segment: row.get(4)?,
        },
        pane: Span::new(row.get(5)?, row.get(6)?),
        epoch: row.get(7)?,
        layout_hash: row.get(8)?,
        from_offset: row.get(9)?,
        to_offset: row.get(10)?,
        rows: row.get::<_, i64>(11)?.cast_unsigned(),
    })
}

fn partition_from_row(row: &Row<'_>) -> rusqlite::Result<Partition> {
    Ok(Partition {
        topic: row.get(0)?,
        partition: row.get(1)?,
    })
}

/// The bytes of one partial.
pub fn load_partial(
    conn: &Connection,
    partition: &Partition,
    key: &Key,
    pane: Span,
    epoch: u32,
) -> Result<Option<Vec<u8>>> {
    let mut statement = conn.prepare_cached(
        "SELECT profile FROM partials
         WHERE topic = ?1 AND partition = ?2 AND model = ?3 AND version = ?4 AND segment = ?5
           AND pane_start = ?6 AND pane_end = ?7 AND epoch = ?8",
    )?;
    let values = params![
        partition.topic,
        partition.partition,
        key.model,
        key.version,
        key.segment,
        pane.start,
        pane.end,
        epoch
    ];
    Ok(statement.query_row(values, |row| row.get(0)).optional()?)
}

pub(super) fn of_partition(conn: &Connection, partition: &Partition) -> Result<Vec<PartialKey>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM partials WHERE topic = ?1 AND partition = ?2
         ORDER BY model, version, segment, pane_start, epoch"
    ))?;
    let rows = statement.query_map(params![partition.topic, partition.partition], key_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Everything stored for one pane up to an epoch, over all keys and partitions, in an order that depends on nothing
/// but the names.
pub fn of_pane(
    conn: &Connection,
    model: &str,
    pane: Span,
    max_epoch: u32,
) -> Result<Vec<(Partition, PartialRow)>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, profile FROM partials
         WHERE model = ?1 AND pane_start = ?2 AND pane_end = ?3 AND epoch <= ?4
         ORDER BY version, segment, epoch, topic, partition"
    ))?;
    let rows = statement.query_map(params![model, pane.start, pane.end, max_epoch], |row| {
        let key = key_from_row(row)?;
        let partial = PartialRow {
            key: key.key,
            pane: key.pane,
            epoch: key.epoch,
            layout_hash: key.layout_hash,
            from_offset: key.from_offset,
            to_offset: key.to_offset,
            rows: key.rows,
            profile: row.get(12)?,
        };
        Ok((partition_from_row(row)?, partial))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All partials of a model without their bytes, by pane: what there is to close and to revise.
pub fn of_model(conn: &Connection, model: &str) -> Result<Vec<(Partition, PartialKey)>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM partials WHERE model = ?1
         ORDER BY pane_start, pane_end, version, segment, epoch, topic, partition"
    ))?;
    let rows = statement.query_map([model], |row| {
        Ok((partition_from_row(row)?, key_from_row(row)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes a partial over its predecessor. `false`: the predecessor covers offsets that this one does not, so it was
/// built without knowing it.
///
/// Only a commit of the partition, or the transaction that gives a model its layout, may call this.
pub fn replace(conn: &Connection, partition: &Partition, partial: &PartialRow) -> Result<bool> {
    let changed = conn
        .prepare_cached(
            "INSERT INTO partials (topic, partition, model, version, segment, pane_start, pane_end, epoch,
                                   layout_hash, from_offset, to_offset, rows, profile)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (model, pane_start, pane_end, version, segment, epoch, topic, partition) DO UPDATE SET
                 layout_hash = excluded.layout_hash, from_offset = excluded.from_offset,
                 to_offset = excluded.to_offset, rows = excluded.rows, profile = excluded.profile
             WHERE excluded.from_offset <= from_offset AND excluded.to_offset >= to_offset
               AND excluded.rows >= rows AND excluded.layout_hash = layout_hash",
        )?
        .execute(params![
            partition.topic,
            partition.partition,
            partial.key.model,
            partial.key.version,
            partial.key.segment,
            partial.pane.start,
            partial.pane.end,
            partial.epoch,
            partial.layout_hash,
            partial.from_offset,
            partial.to_offset,
            partial.rows.cast_signed(),
            partial.profile,
        ])?;
    Ok(changed == 1)
}

/// Deletes the partials of panes that end at or before `end`: for panes whose every window is final.
pub fn delete_through(tx: &Transaction<'_>, model: &str, end: Millis) -> Result<usize> {
    failpoint("partials.before_delete");
    let deleted = tx
        .prepare_cached("DELETE FROM partials WHERE model = ?1 AND pane_end <= ?2")?
        .execute(params![model, end])?;
    failpoint("partials.after_delete");
    Ok(deleted)
}
