//! Committing what was read: one transaction, and what its outcome means for each partition.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Reader;
use super::owned::count;
use crate::metrics::Alarm;
use crate::store::{self, CommitOutcome, PartitionCommit};

/// Between two tries to write to a full or busy store.
const STORE_RETRY: Duration = Duration::from_secs(1);

impl Reader {
    /// One transaction for everything read since the last one.
    pub(super) fn commit(&mut self) -> anyhow::Result<()> {
        self.last_commit = Instant::now();
        let started = Instant::now();
        let changed = self
            .owned
            .values_mut()
            .filter(|owned| owned.state.has_changes());
        let now = (self.shared.now)();
        let commits: Arc<Vec<PartitionCommit>> = Arc::new(
            changed
                .map(|owned| owned.state.commit(now))
                .collect::<Result<_, _>>()?,
        );
        if commits.is_empty() {
            return Ok(());
        }
        let outcomes = self.write(&commits)?;
        self.shared
            .metrics
            .committed(started.elapsed(), (self.shared.now)());
        let mut conflicts = Vec::new();
        for (commit, outcome) in commits.iter().zip(outcomes) {
            let Some(owned) = self.owned.get_mut(&commit.partition) else {
                continue;
            };
            match outcome {
                CommitOutcome::Done { seq } => {
                    count(&self.shared.metrics, commit, &mut owned.state);
                    owned.state.committed(commit, seq);
                    for copy in owned.copies.drain(..) {
                        self.shared.dead_letters.send(copy);
                    }
                }
                CommitOutcome::Conflict { reason } => {
                    tracing::info!(partition = %commit.partition, %reason, "reading the partition again from the store");
                    self.shared.metrics.commit_conflicts(1);
                    conflicts.push(commit.partition.clone());
                }
            }
        }
        if !conflicts.is_empty() {
            self.resume_all()?;
            for partition in &conflicts {
                self.owned.remove(partition);
            }
            for model in self.shared.catalogue.models() {
                self.learn_layout(&model.name)?;
            }
            self.take_up(conflicts)?;
        }
        self.shared.committed.notify_one();
        Ok(())
    }

    /// Writes the commits. A full disk or a busy file is waited out: cursors stand still, nothing is lost.
    pub(super) fn write(
        &self,
        commits: &Arc<Vec<PartitionCommit>>,
    ) -> anyhow::Result<Vec<CommitOutcome>> {
        let mut waited = false;
        loop {
            let these = Arc::clone(commits);
            match self.shared.store.write(move |tx| store::commit(tx, &these)) {
                Err(error) if error.is_disk_full() || error.is_busy() => {
                    tracing::error!(%error, "cannot commit; trying again");
                    self.shared
                        .metrics
                        .alarm(Alarm::DiskFull, error.is_disk_full());
                    waited = true;
                    anyhow::ensure!(
                        !self.shared.stop.load(Ordering::Relaxed),
                        "stopped while the store could not be written"
                    );
                    std::thread::sleep(STORE_RETRY);
                }
                other => {
                    if waited {
                        self.shared.metrics.alarm(Alarm::DiskFull, false);
                    }
                    return Ok(other?);
                }
            }
        }
    }
}
