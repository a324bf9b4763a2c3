//! From buffers to segments.
//!
//! **Invariant:** the transaction that enters a segment deletes exactly the buffers it was made of; if one of them is
//! gone, another process was faster, and the file is dropped. Until then readers find the rows in the buffers.

use arrow::array::RecordBatch;
use rusqlite::{Connection, Transaction, params};

use super::objects::{Lake, LakeError};
use super::segment::{self, NewSegment, Pair};
use super::{Kind, Written, buffer, catalogue};
use crate::event::{Millis, Partition};
use crate::store::error::Result;
use crate::store::failpoint::failpoint;
use crate::store::handle::Store;

/// Stored bytes that become one segment at most, so that a flush needs bounded memory: some four times as much.
const FLUSH_BYTES: u64 = 64 << 20;

/// When buffers become a segment: whichever comes first, and always when they hold [`FLUSH_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushPolicy {
    pub rows: u64,
    /// Of the oldest, in wall time.
    pub age: Millis,
}

/// Writes a segment for each (kind, model, partition) whose buffers are due at `now`, in wall time. Call again later:
/// what comes meanwhile waits.
///
/// # Errors
/// When the object store or the store fails; what was not written stays in the buffers.
pub async fn flush(
    lake: &Lake,
    store: &Store,
    policy: FlushPolicy,
    now: Millis,
) -> std::result::Result<Written, LakeError> {
    let due = store
        .read_async(move |conn| due_pairs(conn, policy, now))
        .await?;
    let mut written = Written::default();
    for pair in due {
        loop {
            let wanted = pair.clone();
            let taken = store
                .read_async(move |conn| take(conn, &wanted, policy.rows))
                .await?;
            if taken.ids.is_empty() {
                break;
            }
            let segment = segment::make(pair.clone(), taken.batches, now).await?;
            written.count(enter(lake, store, segment, taken.ids).await?);
            if !taken.full {
                break;
            }
        }
    }
    Ok(written)
}

/// Puts the file, then names it. `false`: another process has flushed the same buffers.
pub(super) async fn enter(
    lake: &Lake,
    store: &Store,
    segment: NewSegment,
    ids: Vec<i64>,
) -> std::result::Result<bool, LakeError> {
    let NewSegment { row, bloom, body } = segment;
    failpoint("lake.before_put");
    lake.put(&row.path, body).await?;
    failpoint("lake.after_put");
    let path = row.path.clone();
    let entered = store
        .write_async(move |tx| {
            failpoint("lake.before_catalogue");
            if !all_there(tx, &row.partition, &ids)? {
                return Ok(false);
            }
            catalogue::insert(tx, &row, bloom.as_ref())?;
            failpoint("lake.after_catalogue");
            let mut delete = tx.prepare_cached("DELETE FROM lake_buffer WHERE id = ?1")?;
            for id in &ids {
                delete.execute([id])?;
            }
            failpoint("lake.after_buffers");
            Ok(true)
        })
        .await;
    match entered {
        Ok(true) => Ok(true),
        Ok(false) => {
            lake.delete(&path).await?;
            Ok(false)
        }
        // Whether the transaction came through may be unknown: the file stays until it is found to be an orphan.
        Err(error) => Err(error.into()),
    }
}

fn due_pairs(conn: &Connection, policy: FlushPolicy, now: Millis) -> Result<Vec<Pair>> {
    let mut statement = conn.prepare_cached(
        "SELECT kind, model, topic, partition FROM lake_buffer GROUP BY 1, 2, 3, 4
         HAVING sum(rows) >= ?1 OR sum(bytes) >= ?2 OR min(created_wall) <= ?3 ORDER BY 1, 2, 3, 4",
    )?;
    let mut rows = statement.query(params![
        policy.rows.cast_signed(),
        FLUSH_BYTES.cast_signed(),
        now.saturating_sub(policy.age)
    ])?;
    let mut pairs = Vec::new();
    while let Some(row) = rows.next()? {
        pairs.push(Pair {
            kind: Kind::parse(&row.get::<_, String>(0)?)?,
            model: row.get(1)?,
            partition: Partition {
                topic: row.get(2)?,
                partition: row.get(3)?,
            },
        });
    }
    Ok(pairs)
}

struct Taken {
    ids: Vec<i64>,
    batches: Vec<RecordBatch>,
    /// There may be as much again.
    full: bool,
}

/// The oldest buffers of a pair, as many as make a segment.
fn take(conn: &Connection, pair: &Pair, rows_wanted: u64) -> Result<Taken> {
    let mut statement = conn.prepare_cached(
        "SELECT id, body FROM lake_buffer
         WHERE kind = ?1 AND model = ?2 AND topic = ?3 AND partition = ?4 ORDER BY id",
    )?;
    let mut rows = statement.query(params![
        pair.kind.as_str(),
        pair.model,
        pair.partition.topic,
        pair.partition.partition
    ])?;
    let mut taken = Taken {
        ids: Vec::new(),
        batches: Vec::new(),
        full: false,
    };
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_blob().unwrap_or_default();
        let batch = buffer::decode(body, &pair.partition)?;
        count += batch.num_rows() as u64;
        bytes += body.len() as u64;
        taken.ids.push(row.get(0)?);
        taken.batches.push(batch);
        if count >= rows_wanted || bytes >= FLUSH_BYTES {
            taken.full = true;
            break;
        }
    }
    Ok(taken)
}

/// Are all these buffers still there, and of this partition? A reset cursor gives them to an archived one.
fn all_there(tx: &Transaction<'_>, partition: &Partition, ids: &[i64]) -> Result<bool> {
    let mut statement = tx.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM lake_buffer WHERE id = ?1 AND topic = ?2 AND partition = ?3)",
    )?;
    for id in ids {
        let there: bool = statement
            .query_row(params![id, partition.topic, partition.partition], |row| {
                row.get(0)
            })?;
        if !there {
            return Ok(false);
        }
    }
    Ok(true)
}
