//! The one transaction of the input: a partition's cursor together with everything its records caused.
//!
//! **Invariants:** a commit is applied whole or not at all, and only if the partition's `seq` is the one it was
//! made on; the offsets that its artefacts cover never shrink. A partition in conflict leaves
//! the other partitions of the same call untouched; its owner drops what it has in memory and loads it again.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction};

use super::cursors::Counts;
use super::error::Result;
use super::failpoint::failpoint;
use super::gaps::{self, Gap};
use super::lake::{self, BufferRow};
use super::partials::{self, PartialRow};
use super::pending::{self, PendingRow};
use super::rejections::{self, RejectionRow};
use super::streams::{self, StreamRow};
use super::{cursors, layouts};
use crate::event::{Millis, Partition, RecordKind};

/// All that one partition's records did since its last commit.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionCommit {
    pub partition: Partition,
    /// What its records are.
    pub kind: RecordKind,
    /// The `seq` that the partition had when loaded or last committed; 0 for a partition never committed.
    pub expected_seq: u64,
    /// The next offset to read.
    pub next_offset: i64,
    /// Where reading must begin again to know the ids of the last `dedupe.span`; at most `next_offset`.
    pub dedupe_offset: i64,
    /// Totals of this partition so far, not differences.
    pub counts: Counts,
    /// The streams that changed, with their totals so far.
    pub streams: Vec<StreamRow>,
    /// The partials that changed, each whole.
    pub partials: Vec<PartialRow>,
    pub pending: Vec<PendingRow>,
    /// Rows and labels that are kept.
    pub lake: Vec<BufferRow>,
    /// Models whose rows were treated as having no layout: a conflict if they have one now.
    pub learning: Vec<String>,
    pub rejections: Vec<RejectionRow>,
    pub gaps: Vec<Gap>,
    /// Models whose first record after a gap has come, with its time.
    pub gap_ends: Vec<(String, Millis)>,
}

/// What became of one [`PartitionCommit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Applied; the next commit expects this `seq`.
    Done { seq: u64 },
    /// Nothing of it was applied: drop the partition's state and load it again.
    Conflict { reason: ConflictReason },
}

/// Why a commit was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConflictReason {
    #[error(
        "the partition was committed by somebody else, or its cursor was reset or stopped by an alarm"
    )]
    SequenceMoved,
    #[error("model {model:?} got its layout meanwhile")]
    LayoutAppeared { model: String },
    #[error(
        "the stored partial of {key} from {pane_start} epoch {epoch} covers offsets that the new one does not"
    )]
    PartialWouldShrink {
        key: String,
        pane_start: i64,
        epoch: u32,
    },
}

/// Applies each commit under its own savepoint; one outcome for each, in their order.
///
/// # Errors
/// Only what the database itself reports; then the whole transaction must be rolled back.
pub fn commit(tx: &Transaction<'_>, commits: &[PartitionCommit]) -> Result<Vec<CommitOutcome>> {
    commits
        .iter()
        .map(|commit| commit_partition(tx, commit))
        .collect()
}

fn commit_partition(conn: &Connection, commit: &PartitionCommit) -> Result<CommitOutcome> {
    failpoint("commit.before_partition");
    conn.prepare_cached("SAVEPOINT partition_commit")?
        .execute([])?;
    let outcome = match apply(conn, commit)? {
        None => CommitOutcome::Done {
            seq: commit.expected_seq + 1,
        },
        Some(reason) => {
            conn.prepare_cached("ROLLBACK TO partition_commit")?
                .execute([])?;
            CommitOutcome::Conflict { reason }
        }
    };
    conn.prepare_cached("RELEASE partition_commit")?
        .execute([])?;
    failpoint("commit.after_partition");
    Ok(outcome)
}

/// `Some`: the conflict; what was written so far must be rolled back.
fn apply(conn: &Connection, commit: &PartitionCommit) -> Result<Option<ConflictReason>> {
    let partition = &commit.partition;
    if !cursors::compare_and_set(conn, commit)? {
        return Ok(Some(ConflictReason::SequenceMoved));
    }
    failpoint("commit.after_cursor");

    let learning: BTreeSet<&str> = commit
        .learning
        .iter()
        .chain(commit.pending.iter().map(|row| &row.model))
        .map(String::as_str)
        .collect();
    for model in learning {
        if layouts::exists(conn, model)? {
            return Ok(Some(ConflictReason::LayoutAppeared {
                model: model.to_string(),
            }));
        }
    }

    for stream in &commit.streams {
        streams::put(conn, partition, stream)?;
    }
    failpoint("commit.after_streams");

    for partial in &commit.partials {
        if !partials::replace(conn, partition, partial)? {
            return Ok(Some(ConflictReason::PartialWouldShrink {
                key: partial.key.to_string(),
                pane_start: partial.pane.start,
                epoch: partial.epoch,
            }));
        }
    }
    failpoint("commit.after_partials");

    for row in &commit.pending {
        pending::insert(conn, partition, row)?;
    }
    failpoint("commit.after_pending");

    for row in &commit.lake {
        lake::buffer::insert(conn, partition, row)?;
    }
    failpoint("commit.after_lake");

    for rejection in &commit.rejections {
        rejections::insert(conn, partition, rejection)?;
    }
    failpoint("commit.after_rejections");

    for gap in &commit.gaps {
        gaps::insert(conn, partition, gap)?;
    }
    for (model, ts) in &commit.gap_ends {
        gaps::end(conn, partition, model, *ts)?;
    }
    failpoint("commit.after_gaps");
    Ok(None)
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
