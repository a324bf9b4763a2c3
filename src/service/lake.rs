//! Looking after the lake: buffers become segments, small segments large ones, old ones go, files are swept.
//!
//! Every process does it all; the store's transactions decide who was first. An object store that fails delays this
//! and nothing else: rows and labels wait in the store, and are read from there.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::config;
use crate::event::Millis;
use crate::metrics::{Alarm, Flush, LakeSize, Metrics};
use crate::service::Clock;
use crate::store::lake::{self, FlushPolicy, Keep, Kind, Lake, LakeError, Written};
use crate::store::{Store, StoreError};

/// The shortest and the longest time between two looks at what is due.
const LOOK_LEAST: Duration = Duration::from_millis(100);
const LOOK_MOST: Duration = Duration::from_secs(5);
/// Retention, and files of dropped segments, unless their grace is shorter.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// Listing an object store costs requests and money.
const ORPHANS_EVERY: Duration = Duration::from_secs(3600);

/// What the lake is looked after with.
pub(super) struct Keeper {
    pub(super) lake: Lake,
    pub(super) store: Store,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
    pub(super) policy: config::Lake,
}

impl Keeper {
    /// Runs until the service stops. What fails is tried again; a defect ends the process.
    pub(super) async fn keep(self, mut stopping: watch::Receiver<bool>) -> anyhow::Result<()> {
        let every = duration(self.policy.flush_age / 4).clamp(LOOK_LEAST, LOOK_MOST);
        let tidy_every = TIDY_EVERY.min(duration(self.policy.grace)).max(LOOK_LEAST);
        let (mut tidied, mut swept) = (None, None);
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                _ = stopping.wait_for(|stop| *stop) => return Ok(()),
            }
            // Stopping does not wait for an object store: what is cut off here is taken up by the next process.
            let outcome = tokio::select! {
                outcome = self.look(&mut tidied, tidy_every, &mut swept) => outcome,
                _ = stopping.wait_for(|stop| *stop) => return Ok(()),
            };
            match outcome {
                Ok(()) => self.metrics.alarm(Alarm::LakeUnwritable, false),
                Err(error) if passes(&error) => {
                    tracing::error!(%error, "the lake waits");
                    self.metrics.lake_flush(Flush::Failed);
                    self.metrics.alarm(Alarm::LakeUnwritable, true);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn look(
        &self,
        tidied: &mut Option<Instant>,
        tidy_every: Duration,
        swept: &mut Option<Instant>,
    ) -> Result<(), LakeError> {
        let policy = FlushPolicy {
            rows: self.policy.flush_rows,
            age: self.policy.flush_age,
        };
        let flushed = lake::flush(&self.lake, &self.store, policy, self.clock.now()).await?;
        self.count(flushed, Flush::Written);
        if flushed.segments > 0 || is_due(*tidied, tidy_every) {
            let target = self.policy.segment_rows;
            let compacted =
                lake::compact(&self.lake, &self.store, target, self.clock.now()).await?;
            self.count(compacted, Flush::Compacted);
            self.show_size().await?;
        }
        if is_due(*tidied, tidy_every) {
            let keep = Keep {
                age: self.policy.keep,
                bytes: self.policy.keep_bytes,
            };
            lake::expire(&self.store, keep, self.clock.now()).await?;
            let grace = self.policy.grace;
            lake::sweep_dropped(&self.lake, &self.store, grace, self.clock.now()).await?;
            *tidied = Some(Instant::now());
        }
        if is_due(*swept, ORPHANS_EVERY) {
            lake::sweep_orphans(&self.lake, &self.store, self.clock.now()).await?;
            *swept = Some(Instant::now());
        }
        Ok(())
    }

    fn count(&self, written: Written, as_what: Flush) {
        for _ in 0..written.segments {
            self.metrics.lake_flush(as_what);
        }
        for _ in 0..written.conflicts {
            self.metrics.lake_flush(Flush::Conflict);
        }
    }

    async fn show_size(&self) -> Result<(), StoreError> {
        let (rows, labels) = self
            .store
            .read_async(|conn| {
                Ok((
                    lake::size(conn, Kind::Rows)?,
                    lake::size(conn, Kind::Labels)?,
                ))
            })
            .await?;
        self.metrics.lake_size(LakeSize {
            rows_bytes: rows.segment_bytes,
            rows_segments: rows.segments,
            labels_bytes: labels.segment_bytes,
            labels_segments: labels.segments,
            buffered_bytes: rows.buffered_bytes + labels.buffered_bytes,
        });
        Ok(())
    }
}

/// Whether trying again may help: the object store's own troubles, a full disk, a busy file.
fn passes(error: &LakeError) -> bool {
    match error {
        LakeError::Store(error) => error.is_disk_full() || error.is_busy(),
        LakeError::Objects(_) | LakeError::Sync { .. } | LakeError::Damaged { .. } => true,
        LakeError::Open { .. } | LakeError::NotAHash(_) | LakeError::Random(_) => false,
    }
}

fn is_due(last: Option<Instant>, every: Duration) -> bool {
    last.is_none_or(|at| at.elapsed() >= every)
}

fn duration(length: Millis) -> Duration {
    Duration::from_millis(length.max(0).cast_unsigned())
}
