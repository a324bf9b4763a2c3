//! From many small segments to few large ones: each file costs a query a request.
//!
//! Only neighbours are put together: segments of one (kind, model, partition) in the order of their offsets, and of
//! about the same size, so that a row is rewritten a logarithm of times. **Invariant:** the transaction that enters the
//! new segment drops exactly those it was made of, or nothing is changed.

use std::collections::BTreeMap;

use super::catalogue;
use super::objects::{Lake, LakeError};
use super::segment::{self, NewSegment, Pair};
use super::{SegmentRow, Written};
use crate::event::{DAY, Millis};
use crate::store::failpoint::failpoint;
use crate::store::handle::Store;

/// So many neighbours of about one size are put together; sizes differ by less than this factor.
const FAN_IN: usize = 8;
/// No segment that was put together spans more event time: retention drops whole segments, and queries leave them out.
const LONGEST: Millis = 31 * DAY;

/// Puts together what is due, each result of up to about `target` rows.
///
/// # Errors
/// When the object store or the store fails; then the old segments stay.
pub async fn compact(
    lake: &Lake,
    store: &Store,
    target: u64,
    now: Millis,
) -> Result<Written, LakeError> {
    let all = store
        .read_async(|conn| catalogue::select(conn, "", []))
        .await?;
    let mut of_pair: BTreeMap<Pair, Vec<SegmentRow>> = BTreeMap::new();
    for segment in all {
        let pair = Pair {
            kind: segment.kind,
            model: segment.model.clone(),
            partition: segment.partition.clone(),
        };
        of_pair.entry(pair).or_default().push(segment);
    }
    let mut made = Written::default();
    for (pair, segments) in of_pair {
        for run in runs(&segments, target) {
            made.count(replace(lake, store, &pair, run, now).await?);
        }
    }
    Ok(made)
}

/// The runs of neighbours that are to become one segment each, small ones before large ones; no segment is in two.
fn runs(segments: &[SegmentRow], target: u64) -> Vec<&[SegmentRow]> {
    let factor = FAN_IN as u64;
    let levels = std::iter::successors(Some(factor.min(target)), |below| {
        (*below < target).then(|| below.saturating_mul(factor).min(target))
    });
    let mut found = Vec::new();
    // What lies between the runs found so far.
    let mut left = vec![segments];
    for below in levels {
        let mut still_left = Vec::new();
        for neighbours in left {
            let (mut rest, mut from) = (neighbours, 0);
            while from < rest.len() {
                let Some(length) = run_at(&rest[from..], below, target) else {
                    from += 1;
                    continue;
                };
                found.push(&rest[from..from + length]);
                still_left.push(&rest[..from]);
                (rest, from) = (&rest[from + length..], 0);
            }
            still_left.push(rest);
        }
        left = still_left;
    }
    found
}

/// How many segments from the first on are to be put together, of those with fewer than `below` rows each.
fn run_at(segments: &[SegmentRow], below: u64, target: u64) -> Option<usize> {
    let (mut rows, mut earliest, mut latest) = (0, Millis::MAX, Millis::MIN);
    let mut length = 0;
    for segment in segments.iter().take_while(|segment| segment.rows < below) {
        (earliest, latest) = (earliest.min(segment.min_ts), latest.max(segment.max_ts));
        if rows >= target || latest.saturating_sub(earliest) > LONGEST {
            break;
        }
        rows += segment.rows;
        length += 1;
    }
    let due = length >= FAN_IN || (length >= 2 && rows >= target);
    due.then_some(length)
}

async fn replace(
    lake: &Lake,
    store: &Store,
    pair: &Pair,
    old: &[SegmentRow],
    now: Millis,
) -> Result<bool, LakeError> {
    let mut batches = Vec::new();
    for segment in old {
        match lake.read(&segment.path, None).await {
            Ok(rows) => batches.extend(rows),
            // Another process has put it together, and its grace is over.
            Err(LakeError::Objects(object_store::Error::NotFound { .. })) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    let NewSegment { row, bloom, body } = segment::make(pair.clone(), batches, now).await?;
    failpoint("lake.compact_before_put");
    lake.put(&row.path, body).await?;
    failpoint("lake.compact_after_put");
    let (path, old) = (row.path.clone(), old.to_vec());
    let entered = store
        .write_async(move |tx| {
            failpoint("lake.compact_before_catalogue");
            // All of them, as they were read, or none: a reset may have given them to an archived partition.
            for segment in &old {
                let filter = "WHERE id = ?1";
                if catalogue::select(tx, filter, [segment.id])?.first() != Some(segment) {
                    return Ok(false);
                }
            }
            catalogue::insert(tx, &row, bloom.as_ref())?;
            failpoint("lake.compact_after_catalogue");
            for segment in &old {
                catalogue::drop_segment(tx, segment, now)?;
            }
            failpoint("lake.compact_after_drop");
            Ok(true)
        })
        .await?;
    if !entered {
        lake.delete(&path).await?;
    }
    Ok(entered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Partition;
    use crate::store::lake::Kind;

    /// Segments of so many rows, a day apart; lengths of the runs that are put together.
    #[track_caller]
    fn check(rows: &[u64], target: u64, expect: &[(i64, usize)]) {
        let segments: Vec<SegmentRow> = (0..)
            .zip(rows)
            .map(|(id, rows)| SegmentRow {
                id,
                kind: Kind::Rows,
                model: "m".to_owned(),
                partition: Partition {
                    topic: "p".to_owned(),
                    partition: 0,
                },
                path: String::new(),
                from_offset: id,
                to_offset: id,
                rows: *rows,
                bytes: 0,
                min_ts: id * DAY,
                max_ts: (id + 1) * DAY,
                min_id: None,
                max_id: None,
                created_wall: 0,
            })
            .collect();
        let found: Vec<(i64, usize)> = runs(&segments, target)
            .iter()
            .map(|run| (run[0].id, run.len()))
            .collect();
        assert_eq!(found, expect, "{rows:?}");
    }

    #[test]
    fn few_small_ones_wait_for_more() {
        check(&[], 1_000, &[]);
        check(&[1; 7], 1_000, &[]);
        check(&[1; 8], 1_000, &[(0, 8)]);
        check(&[1_000; 20], 1_000, &[]);
    }

    #[test]
    fn enough_rows_need_no_waiting() {
        check(&[600, 600], 1_000, &[(0, 2)]);
        check(&[600, 300, 600, 600, 10], 1_000, &[(0, 3)]);
        check(&[999], 1_000, &[]);
    }

    #[test]
    fn large_ones_are_not_rewritten_for_small_ones() {
        check(&[100, 1, 1, 1, 1, 1, 1, 1, 1], 1_000, &[(1, 8)]);
        check(&[100, 1, 1, 1, 1, 1, 1, 1], 1_000, &[(0, 8)]);
        check(&[1, 1, 1, 1, 2_000, 1, 1, 1, 1], 1_000, &[]);
    }

    #[test]
    fn a_segment_spans_a_month_at_most() {
        check(&[1; 70], 1_000, &[(0, 31), (31, 31), (62, 8)]);
    }
}
