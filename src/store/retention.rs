//! Retention: what may go, oldest first, a bounded piece at a call so that commits never wait long.
//!
//! **Invariant:** nothing goes that a restart still needs: rejections at or after their partition's `dedupe_offset`,
//! rejections that the dead-letter topic lacks, open notifications, and references that are bound or named.

use rusqlite::{Connection, Transaction, params};

use super::error::Result;
use crate::event::Millis;

/// What to keep. `None` keeps everything of its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Results and transitions of windows that end before this, in event time, go.
    pub results_before: Option<Millis>,
    /// Profiles of windows that end before this go; scores and verdicts stay.
    pub profiles_before: Option<Millis>,
    /// So many rejections of each partition stay.
    pub rejections_kept: Option<u64>,
    /// Whether a rejection must have its copy on the dead-letter topic before it goes.
    pub copies_first: bool,
    /// Notifications settled before this, in wall time, go.
    pub settled_before_wall: Option<Millis>,
    /// While more bytes are in use than this, profiles go, oldest window first.
    pub bytes_kept: Option<u64>,
}

/// Rows that one call took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub results: usize,
    pub profiles: usize,
    pub transitions: usize,
    pub rejections: usize,
    pub notifications: usize,
    pub references: usize,
}

impl Swept {
    /// Whether there may be more to take.
    pub fn any(&self) -> bool {
        *self != Swept::default()
    }
}

/// The file's size, in bytes, without its write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub used_bytes: u64,
    /// Free inside the file: used before it grows.
    pub free_bytes: u64,
}

pub fn size(conn: &Connection) -> Result<Size> {
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let page = pragma("page_size")?;
    let free = pragma("freelist_count")?;
    let pages = pragma("page_count")?;
    Ok(Size {
        used_bytes: ((pages - free) * page).cast_unsigned(),
        free_bytes: (free * page).cast_unsigned(),
    })
}

/// Takes at most `limit` rows of each kind. Call again while [`Swept::any`].
pub fn sweep(tx: &Transaction<'_>, policy: &Policy, limit: u32) -> Result<Swept> {
    let mut swept = Swept::default();
    if let Some(before) = policy.results_before {
        swept.results = tx
            .prepare_cached(
                "DELETE FROM windows WHERE id IN
                 (SELECT id FROM windows WHERE window_end < ?1 ORDER BY window_end LIMIT ?2)",
            )?
            .execute(params![before, limit])?;
        swept.transitions = tx.prepare_cached(
            "DELETE FROM transitions WHERE id IN (SELECT id FROM transitions WHERE window_end < ?1 LIMIT ?2)",
        )?
        .execute(params![before, limit])?;
    }
    if let Some(before) = policy.profiles_before {
        swept.profiles += drop_profiles(tx, before, limit)?;
    }
    if policy
        .bytes_kept
        .is_some_and(|kept| size(tx).is_ok_and(|size| size.used_bytes > kept))
    {
        swept.profiles += drop_profiles(tx, Millis::MAX, limit)?;
    }
    if let Some(kept) = policy.rejections_kept {
        swept.rejections = sweep_rejections(tx, kept, policy.copies_first, limit)?;
    }
    if let Some(before) = policy.settled_before_wall {
        swept.notifications = tx.prepare_cached(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox
                 WHERE settled_wall < ?1 AND status NOT IN ('pending', 'repeating') ORDER BY settled_wall LIMIT ?2)",
        )?
        .execute(params![before, limit])?;
    }
    swept.references = tx
        .prepare_cached(
            "DELETE FROM reference_profiles WHERE hash IN (SELECT r.hash FROM reference_profiles r
             WHERE NOT EXISTS (SELECT 1 FROM reference_bindings b WHERE b.hash = r.hash)
               AND NOT EXISTS (SELECT 1 FROM windows w WHERE w.reference_hash = r.hash) LIMIT ?1)",
        )?
        .execute([limit])?;
    if swept.any() {
        // Gives pages back to the file system, a bounded number at a time.
        tx.execute_batch(&format!("PRAGMA incremental_vacuum({limit})"))?;
    }
    Ok(swept)
}

fn drop_profiles(tx: &Transaction<'_>, before: Millis, limit: u32) -> Result<usize> {
    Ok(tx
        .prepare_cached(
            "UPDATE windows SET profile = NULL WHERE id IN (SELECT id FROM windows
                 WHERE window_end < ?1 AND profile IS NOT NULL ORDER BY window_end LIMIT ?2)",
        )?
        .execute(params![before, limit])?)
}

fn sweep_rejections(
    tx: &Transaction<'_>,
    kept: u64,
    copies_first: bool,
    limit: u32,
) -> Result<usize> {
    let mut partitions = tx.prepare_cached(
        "SELECT topic, partition, dedupe_offset FROM cursors c
         WHERE (SELECT count(*) FROM rejections r WHERE r.topic = c.topic AND r.partition = c.partition) > ?1",
    )?;
    let mut over: Vec<(String, i32, i64)> = Vec::new();
    let mut rows = partitions.query([kept.cast_signed()])?;
    while let Some(row) = rows.next()? {
        over.push((row.get(0)?, row.get(1)?, row.get(2)?));
    }
    let mut statement = tx.prepare_cached(
        "DELETE FROM rejections WHERE topic = ?1 AND partition = ?2 AND (copied = 1 OR NOT ?6) AND \"offset\" IN
             (SELECT \"offset\" FROM rejections
              WHERE topic = ?1 AND partition = ?2 AND (copied = 1 OR NOT ?6) AND \"offset\" < ?3
                AND \"offset\" < (SELECT \"offset\" FROM rejections WHERE topic = ?1 AND partition = ?2
                                  ORDER BY \"offset\" DESC LIMIT 1 OFFSET ?4)
              ORDER BY \"offset\" LIMIT ?5)",
    )?;
    let mut deleted = 0;
    for (topic, partition, dedupe_offset) in over {
        let newest_to_go = kept.cast_signed() - 1;
        deleted += statement.execute(params![
            topic,
            partition,
            dedupe_offset,
            newest_to_go.max(0),
            limit,
            copies_first
        ])?;
    }
    Ok(deleted)
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
