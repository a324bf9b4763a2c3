//! Removing files: of dropped segments once nobody can be reading them, and of segments that a dying process never entered.
//!
//! **Invariant:** nothing is removed that the catalogue names, and nothing beside `segments/`.

use rusqlite::params;
use tokio_stream::StreamExt as _;

use super::objects::{Lake, LakeError, segments_folder};
use crate::event::{DAY, Millis};
use crate::store::failpoint::failpoint;
use crate::store::handle::Store;

/// A file in no table is an orphan after this: writing one and entering it takes seconds.
pub const ORPHAN_AGE: Millis = DAY;
/// Files looked up at a time.
const AT_ONCE: usize = 1_000;

/// Removes the files of segments dropped more than `grace` before `now`, both wall time; returns how many.
///
/// # Errors
/// When the object store or the store fails; what is left is tried again.
pub async fn sweep_dropped(
    lake: &Lake,
    store: &Store,
    grace: Millis,
    now: Millis,
) -> Result<u64, LakeError> {
    let before = now.saturating_sub(grace);
    let paths: Vec<String> = store
        .read_async(move |conn| {
            let mut statement = conn.prepare_cached(
                "SELECT path FROM dropped_segments WHERE since_wall <= ?1 ORDER BY since_wall LIMIT ?2",
            )?;
            let rows = statement.query_map(params![before, AT_ONCE as i64], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await?;
    if paths.is_empty() {
        return Ok(0);
    }
    failpoint("lake.sweep_before_delete");
    for path in &paths {
        lake.delete(path).await?;
    }
    failpoint("lake.sweep_after_delete");
    let removed = paths.len() as u64;
    store
        .write_async(move |tx| {
            let mut statement =
                tx.prepare_cached("DELETE FROM dropped_segments WHERE path = ?1")?;
            for path in &paths {
                statement.execute([path])?;
            }
            failpoint("lake.sweep_after_forget");
            Ok(())
        })
        .await?;
    Ok(removed)
}

/// Removes files under `segments/` that are older than [`ORPHAN_AGE`] and in no table; returns how many. Their age is the
/// object store's word, `now` is ours.
///
/// # Errors
/// As [`sweep_dropped`].
pub async fn sweep_orphans(lake: &Lake, store: &Store, now: Millis) -> Result<u64, LakeError> {
    let before = now.saturating_sub(ORPHAN_AGE);
    let mut removed = lake.remove_unfinished(before).await?;
    let objects = lake.store();
    let mut listed = objects.list(Some(&segments_folder()));
    let mut more = true;
    while more {
        let mut old = Vec::new();
        while old.len() < AT_ONCE {
            match listed.next().await.transpose()? {
                Some(object) if object.last_modified.timestamp_millis() <= before => {
                    old.push(object.location.to_string());
                }
                Some(_) => {}
                None => {
                    more = false;
                    break;
                }
            }
        }
        let orphans = store
            .read_async(move |conn| {
                let mut known = conn.prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM segments WHERE path = ?1)
                         OR EXISTS (SELECT 1 FROM dropped_segments WHERE path = ?1)",
                )?;
                let mut orphans = Vec::new();
                for path in old {
                    if !known.query_row([&path], |row| row.get::<_, bool>(0))? {
                        orphans.push(path);
                    }
                }
                Ok(orphans)
            })
            .await?;
        for path in &orphans {
            tracing::info!(path, "removing a file of the lake that no segment names");
            lake.delete(path).await?;
        }
        removed += orphans.len() as u64;
    }
    Ok(removed)
}
