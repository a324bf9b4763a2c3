//! Committing and closing: now and then, after each commit, and on request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use crate::api::health::Readiness;
use crate::api::settle::{SettleRequest, Settled};
use crate::event::Partition;
use crate::ingest::source::{self, Status};
use crate::ingest::topics::Topics;
use crate::metrics::{Alarm, Metrics};
use crate::service::Clock;
use crate::service::closer::{Closer, Pass};
use crate::service::closing::Closed;
use crate::store::{Store, StoreError, cursors};

/// Between two looks at whether everything read is committed.
const SETTLE_STEP: Duration = Duration::from_millis(2);
/// The closer looks at least this often: leases, silence and other processes' commits do not notify us.
const PASS_EVERY: Duration = Duration::from_secs(1);

/// Reading, committing and closing on request.
pub(super) struct Settler {
    pub(super) requests: Vec<std::sync::mpsc::Sender<source::Request>>,
    pub(super) topics: Topics,
    pub(super) closer: Mutex<Closer>,
    pub(super) store: Store,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
    pub(super) closed: broadcast::Sender<Closed>,
}

impl Settler {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Closer> {
        self.closer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks every reading thread where it stands, after a commit if so wished.
    pub(super) async fn ask(
        &self,
        commit: bool,
    ) -> anyhow::Result<(BTreeMap<Partition, i64>, bool)> {
        let mut answers = Vec::new();
        for requests in &self.requests {
            let (answer, answered) = oneshot::channel();
            requests
                .send(source::Request { commit, answer })
                .map_err(|_| anyhow::anyhow!("a reading thread has ended"))?;
            answers.push(answered);
        }
        let (mut cursors, mut all_assigned) = (BTreeMap::new(), true);
        for answer in answers {
            let Status {
                cursors: own,
                assigned,
                ..
            } = answer.await.context("a reading thread has ended")?;
            cursors.extend(own);
            all_assigned &= assigned;
        }
        Ok((cursors, all_assigned))
    }

    pub(super) async fn settle(self: &Arc<Self>) -> anyhow::Result<Settled> {
        let settler = Arc::clone(self);
        let ends = tokio::task::spawn_blocking(move || settler.topics.ends()).await??;
        let before = self.store.read_async(cursors::totals).await?.total();
        loop {
            self.ask(true).await?;
            let stored: BTreeMap<Partition, i64> = self
                .store
                .read_async(cursors::all)
                .await?
                .into_iter()
                // A partition that stands still until somebody resets it is not waited for.
                .map(|c| (c.partition, c.alarm.map_or(c.next_offset, |_| i64::MAX)))
                .collect();
            let done = ends
                .iter()
                .all(|(partition, end)| stored.get(partition).copied().unwrap_or(0) >= *end);
            if done {
                break;
            }
            tokio::time::sleep(SETTLE_STEP).await;
        }
        let pass = self.pass().await?;
        let records = self.store.read_async(cursors::totals).await?.total() - before;
        Ok(Settled {
            records,
            windows: pass.closed.len() as u64,
        })
    }

    pub(super) async fn pass(self: &Arc<Self>) -> anyhow::Result<Pass> {
        let settler = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let pass = settler.lock().pass(&settler.clock)?;
            for closed in &pass.closed {
                // An error says that nobody listens.
                let _ = settler.closed.send(closed.clone());
            }
            Ok(pass)
        })
        .await?
    }
}

/// Closes windows after each commit, and now and then.
pub(super) async fn close_windows(
    settler: Arc<Settler>,
    committed: Arc<Notify>,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = committed.notified() => {}
            () = tokio::time::sleep(PASS_EVERY) => {}
            _ = stopping.wait_for(|stop| *stop) => return Ok(()),
        }
        match settler.pass().await {
            // Nothing is lost: the windows are still due when there is room again.
            Err(error) if passes(&error) => {
                tracing::error!(%error, "windows wait for the store");
                settler.metrics.alarm(Alarm::StoreFailing, true);
            }
            outcome => {
                outcome?;
                settler.metrics.alarm(Alarm::StoreFailing, false);
            }
        }
    }
}

/// A full disk or a busy file, which pass.
fn passes(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<StoreError>()
        .is_some_and(|error| error.is_disk_full() || error.is_busy())
}

pub(super) async fn answer_settles(
    settler: Arc<Settler>,
    mut requests: mpsc::Receiver<SettleRequest>,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    loop {
        let request = tokio::select! {
            request = requests.recv() => request,
            _ = stopping.wait_for(|stop| *stop) => return Ok(()),
        };
        let Some(mut request) = request else {
            return Ok(());
        };
        tokio::select! {
            settled = settler.settle() => match settled {
                // The asker may have stopped waiting.
                Ok(settled) => drop(request.done.send(settled)),
                Err(error) => tracing::warn!(%error, "could not settle"),
            },
            () = request.done.closed() => {}
            _ = stopping.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

pub(super) async fn tell_readiness(
    settler: Arc<Settler>,
    ready: watch::Sender<Readiness>,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    loop {
        // A replica more than there are partitions owns none and is ready all the same.
        if let Ok((cursors, assigned)) = settler.ask(false).await {
            settler.metrics.partitions_assigned(cursors.len());
            ready.send_replace(Readiness {
                assigned,
                partitions: cursors.len(),
                restored: true,
            });
        }
        tokio::select! {
            () = tokio::time::sleep(PASS_EVERY) => {}
            _ = stopping.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}
