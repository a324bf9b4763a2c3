//! Cursors: how far each partition is read, what became of its records, and why it may stand still.
//!
//! **Invariant:** every change of a cursor raises its `seq`, so that whoever holds older state is in conflict.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::commit::PartitionCommit;
use super::error::{Result, StoreError};
use super::partials::{self, PartialKey};
use super::rejections::{self, RejectionRow};
use super::streams::{self, StreamRow};
use super::{gaps, pending};
use crate::event::{Partition, Reason, RecordKind};

/// What became of a partition's records so far. The four sum to the records read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub used: u64,
    pub late: u64,
    pub duplicate: u64,
    pub rejected: u64,
}

impl Counts {
    pub fn total(&self) -> u64 {
        self.used + self.late + self.duplicate + self.rejected
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.used += other.used;
        self.late += other.late;
        self.duplicate += other.duplicate;
        self.rejected += other.rejected;
    }
}

/// A partition's place in its log.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    pub partition: Partition,
    /// What its records are.
    pub kind: RecordKind,
    pub seq: u64,
    pub next_offset: i64,
    pub dedupe_offset: i64,
    pub counts: Counts,
    /// Why the partition stands still until [`reset_cursor`]; [`LOG_RECREATED`] for example.
    pub alarm: Option<String>,
    /// The partition as it was before its log was recreated: it is read no more, its numbers still count.
    pub archived: bool,
}

/// The alarm of a cursor that lies beyond its log's end: the topic was deleted and made again.
pub const LOG_RECREATED: &str = "log_recreated";

/// Joins a topic to the number of its earlier life in the name of an archived partition. Kafka allows only letters,
/// digits, `.`, `_` and `-` in topics, so such a name meets no real one.
const ARCHIVE_MARK: char = '@';

/// Whether a partition's log was recreated since, so that its offsets name nothing any more.
pub fn is_archived(partition: &Partition) -> bool {
    partition.topic.contains(ARCHIVE_MARK)
}

/// A topic's name as the broker has or had it, also for an archived partition.
pub fn live_topic(topic: &str) -> &str {
    topic.split(ARCHIVE_MARK).next().unwrap_or(topic)
}

/// A partition's whole state, but for the bytes of its partials (see [`partials::load_partial`]).
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedPartition {
    pub kind: RecordKind,
    pub seq: u64,
    pub next_offset: i64,
    pub dedupe_offset: i64,
    pub counts: Counts,
    pub alarm: Option<String>,
    pub streams: Vec<StreamRow>,
    pub partials: Vec<PartialKey>,
    /// Rows of each model here that wait for a layout.
    pub pending_rows: BTreeMap<String, u64>,
    /// Models that have shown no record since a gap: until when it touches them is not known.
    pub open_gaps: BTreeSet<String>,
    /// Rejections at or after `dedupe_offset` that depended on a clock and must not be decided again.
    pub future_rejections: Vec<RejectionRow>,
}

/// `None`: the partition was never committed; its first commit expects `seq` 0.
pub fn load_partition(conn: &Connection, partition: &Partition) -> Result<Option<LoadedPartition>> {
    let Some(cursor) = get(conn, partition)? else {
        return Ok(None);
    };
    Ok(Some(LoadedPartition {
        kind: cursor.kind,
        seq: cursor.seq,
        next_offset: cursor.next_offset,
        dedupe_offset: cursor.dedupe_offset,
        counts: cursor.counts,
        alarm: cursor.alarm,
        streams: streams::of_partition(conn, partition)?,
        partials: partials::of_partition(conn, partition)?,
        pending_rows: pending::rows_in(conn, partition)?,
        open_gaps: gaps::open_in(conn, partition)?,
        future_rejections: rejections::from_offset(
            conn,
            partition,
            Reason::FutureTimestamp,
            cursor.dedupe_offset,
        )?,
    }))
}

const COLUMNS: &str = "topic, partition, seq, next_offset, dedupe_offset, used, late, duplicate, rejected, alarm, kind";

fn from_row(row: &Row<'_>) -> Result<Cursor> {
    let (topic, kind): (String, String) = (row.get(0)?, row.get(10)?);
    let archived = topic.contains(ARCHIVE_MARK);
    Ok(Cursor {
        partition: Partition {
            topic,
            partition: row.get(1)?,
        },
        kind: RecordKind::parse(&kind).ok_or_else(|| StoreError::record_kind(kind))?,
        seq: row.get::<_, i64>(2)?.cast_unsigned(),
        next_offset: row.get(3)?,
        dedupe_offset: row.get(4)?,
        counts: Counts {
            used: row.get::<_, i64>(5)?.cast_unsigned(),
            late: row.get::<_, i64>(6)?.cast_unsigned(),
            duplicate: row.get::<_, i64>(7)?.cast_unsigned(),
            rejected: row.get::<_, i64>(8)?.cast_unsigned(),
        },
        alarm: row.get(9)?,
        archived,
    })
}

pub fn get(conn: &Connection, partition: &Partition) -> Result<Option<Cursor>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM cursors WHERE topic = ?1 AND partition = ?2"
    ))?;
    let mut rows = statement.query(params![partition.topic, partition.partition])?;
    rows.next()?.map(from_row).transpose()
}

/// Every cursor, archived ones included, by topic and partition.
pub fn all(conn: &Connection) -> Result<Vec<Cursor>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM cursors ORDER BY topic, partition"
    ))?;
    let mut rows = statement.query([])?;
    let mut cursors = Vec::new();
    while let Some(row) = rows.next()? {
        cursors.push(from_row(row)?);
    }
    Ok(cursors)
}

/// What became of all records ever read, over all partitions.
pub fn totals(conn: &Connection) -> Result<Counts> {
    let mut totals = Counts::default();
    for cursor in all(conn)? {
        totals += cursor.counts;
    }
    Ok(totals)
}

/// The same of records of one kind.
pub fn totals_of_kind(conn: &Connection, kind: RecordKind) -> Result<Counts> {
    let mut totals = Counts::default();
    for cursor in all(conn)?.iter().filter(|cursor| cursor.kind == kind) {
        totals += cursor.counts;
    }
    Ok(totals)
}

/// Moves the cursor if nobody else has; it never moves backwards.
pub(super) fn compare_and_set(conn: &Connection, commit: &PartitionCommit) -> Result<bool> {
    let sql = if commit.expected_seq == 0 {
        "INSERT INTO cursors (topic, partition, seq, next_offset, dedupe_offset, used, late, duplicate, rejected, kind)
         VALUES (?1, ?2, ?3 + 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE cursors SET seq = ?3 + 1, next_offset = ?4, dedupe_offset = ?5, used = ?6, late = ?7,
                duplicate = ?8, rejected = ?9
         WHERE topic = ?1 AND partition = ?2 AND seq = ?3 AND next_offset <= ?4 AND alarm IS NULL AND kind = ?10"
    };
    let changed = conn.prepare_cached(sql)?.execute(params![
        commit.partition.topic,
        commit.partition.partition,
        commit.expected_seq.cast_signed(),
        commit.next_offset,
        commit.dedupe_offset,
        commit.counts.used.cast_signed(),
        commit.counts.late.cast_signed(),
        commit.counts.duplicate.cast_signed(),
        commit.counts.rejected.cast_signed(),
        commit.kind.as_str(),
    ])?;
    Ok(changed == 1)
}

/// Something of the partition was changed beside its reader, who is in conflict from now on and loads it again.
pub fn touch(tx: &Transaction<'_>, partition: &Partition) -> Result<()> {
    tx.prepare_cached("UPDATE cursors SET seq = seq + 1 WHERE topic = ?1 AND partition = ?2")?
        .execute(params![partition.topic, partition.partition])?;
    Ok(())
}

/// Stops the partition until it is reset: every commit from now on is in conflict. `false`: there is no such
/// cursor, or it has an alarm already.
pub fn raise_alarm(tx: &Transaction<'_>, partition: &Partition, alarm: &str) -> Result<bool> {
    let changed = tx
        .prepare_cached(
            "UPDATE cursors SET alarm = ?3, seq = seq + 1 WHERE topic = ?1 AND partition = ?2 AND alarm IS NULL",
        )?
        .execute(params![partition.topic, partition.partition, alarm])?;
    Ok(changed == 1)
}

/// Begins the partition anew at `next_offset` and clears its alarm. What was read before stays counted, under an
/// archived name, so that offsets of the old log and of the new one are never compared. `false`: no such cursor.
pub fn reset_cursor(tx: &Transaction<'_>, partition: &Partition, next_offset: i64) -> Result<bool> {
    let Some(cursor) = get(tx, partition)? else {
        return Ok(false);
    };
    let archive = free_archive_name(tx, partition)?;
    for table in [
        "cursors",
        "partials",
        "pending",
        "rejections",
        "rejection_counts",
        "gaps",
        "lake_buffer",
        "segments",
    ] {
        tx.execute(
            &format!("UPDATE {table} SET topic = ?3 WHERE topic = ?1 AND partition = ?2"),
            params![partition.topic, partition.partition, archive],
        )?;
    }
    tx.execute(
        "UPDATE cursors SET alarm = NULL WHERE topic = ?1 AND partition = ?2",
        params![archive, partition.partition],
    )?;
    // A log that is read no more must not hold the watermark back.
    tx.execute(
        "DELETE FROM streams WHERE topic = ?1 AND partition = ?2",
        params![partition.topic, partition.partition],
    )?;
    tx.execute(
        "INSERT INTO cursors (topic, partition, seq, next_offset, dedupe_offset, used, late, duplicate, rejected, kind)
         VALUES (?1, ?2, ?3, ?4, ?4, 0, 0, 0, 0, ?5)",
        params![
            partition.topic,
            partition.partition,
            cursor.seq.cast_signed() + 1,
            next_offset,
            cursor.kind.as_str()
        ],
    )?;
    Ok(true)
}

fn free_archive_name(conn: &Connection, partition: &Partition) -> Result<String> {
    let lives: i64 = conn.query_row(
        "SELECT count(*) FROM cursors WHERE substr(topic, 1, length(?1) + 1) = ?1 || '@' AND partition = ?2",
        params![partition.topic, partition.partition],
        |row| row.get(0),
    )?;
    Ok(format!("{}{ARCHIVE_MARK}{}", partition.topic, lives + 1))
}
