//! Retention: whole segments go, by age in event time and by the bytes of all of them.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{SegmentRow, catalogue};
use crate::event::Millis;
use crate::store::error::Result;
use crate::store::failpoint::failpoint;
use crate::store::handle::Store;

/// Segments dropped by one transaction, so that commits never wait long.
const AT_ONCE: usize = 1_000;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// A segment whose newest row is this much older than the newest row or label of its model goes.
    pub age: Millis,
    /// While all segments together are larger, the one with the oldest end goes.
    pub bytes: u64,
}

/// Drops what is too old or too much, and returns how many segments went. Their files stay until
/// [`sweep_dropped`](super::sweep_dropped); `now` is wall time.
///
/// # Errors
/// Those of the store.
pub async fn expire(store: &Store, keep: Keep, now: Millis) -> Result<usize> {
    let mut dropped = 0;
    loop {
        let going = store.read_async(move |conn| going(conn, keep)).await?;
        if going.is_empty() {
            return Ok(dropped);
        }
        dropped += store
            .write_async(move |tx| {
                failpoint("lake.before_expire");
                let mut dropped = 0;
                for segment in &going {
                    // One that was put together with others meanwhile is looked at again.
                    dropped += usize::from(catalogue::drop_segment(tx, segment, now)?);
                }
                failpoint("lake.after_expire");
                Ok(dropped)
            })
            .await?;
    }
}

/// What is to go next, oldest first.
fn going(conn: &Connection, keep: Keep) -> Result<Vec<SegmentRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT model, max(max_ts) FROM (SELECT model, max_ts FROM segments
                                         UNION ALL SELECT model, max_ts FROM lake_buffer) GROUP BY model",
    )?;
    let newest: BTreeMap<String, Millis> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut all = catalogue::select(conn, "", [])?;
    all.sort_by_key(|segment| (segment.max_ts, segment.id));
    let too_old = |segment: &SegmentRow| {
        let newest = newest.get(&segment.model).copied().unwrap_or(Millis::MIN);
        segment.max_ts < newest.saturating_sub(keep.age)
    };
    let bytes = |segment: &SegmentRow| segment.bytes;
    let mut left: u64 = all
        .iter()
        .filter(|segment| !too_old(segment))
        .map(bytes)
        .sum();
    all.retain(|segment| {
        if too_old(segment) {
            return true;
        }
        let too_much = left > keep.bytes;
        if too_much {
            left -= segment.bytes;
        }
        too_much
    });
    all.truncate(AT_ONCE);
    Ok(all)
}
