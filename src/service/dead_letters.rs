//! Copies of rejected records: noting which the dead-letter topic has, and making those again that it never took.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::config::Config;
use crate::ingest::ClientConfig;
use crate::ingest::dead_letter::{self, DeadLetterConfig, DeadLetters, Uncopied};
use crate::metrics::{Alarm, Metrics};
use crate::store::{self, Store, cursors, rejections};

/// How often acknowledged copies of rejected records are noted.
const COPIES_EVERY: Duration = Duration::from_millis(500);
/// Copies not acknowledged after this are made again from the original.
const REPLAY_EVERY: Duration = Duration::from_secs(60);
/// Originals read again at a time.
const REPLAY_BATCH: u32 = 1_000;
/// Memory for copies that wait for the dead-letter topic.
const COPIES_BYTES: usize = 64 << 20;

pub(super) fn connect(config: &Config, client: &ClientConfig) -> anyhow::Result<DeadLetters> {
    let Some(topic) = &config.kafka.dead_letter else {
        return Ok(DeadLetters::none());
    };
    let config = DeadLetterConfig {
        topic: topic.clone(),
        message_bytes: dead_letter::MESSAGE_BYTES,
        queue_bytes: COPIES_BYTES,
    };
    Ok(DeadLetters::new(config, client)?)
}

/// Notes which rejections the dead-letter topic has, and copies those again that it never acknowledged.
pub(super) async fn copy(
    dead_letters: DeadLetters,
    store: Store,
    client: ClientConfig,
    metrics: Metrics,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    // What a killed process left behind is copied soon after the start.
    let mut replayed: Option<Instant> = None;
    let mut failed_before = 0;
    loop {
        let ending = tokio::select! {
            () = tokio::time::sleep(COPIES_EVERY) => false,
            _ = stopping.wait_for(|stop| *stop) => true,
        };
        if ending {
            let flushing = dead_letters.clone();
            if let Err(error) =
                tokio::task::spawn_blocking(move || flushing.flush(Duration::from_secs(5))).await?
            {
                tracing::warn!(%error, "copies of rejected records are left for the next start");
            }
        }
        let copied = dead_letters.take_copied();
        let acknowledged = !copied.is_empty();
        metrics.dead_letters_copied(copied.values().map(|offsets| offsets.len() as u64).sum());
        if !copied.is_empty() {
            let marked = store
                .write_async(move |tx| {
                    copied.iter().try_for_each(|(partition, offsets)| {
                        rejections::mark_copied(tx, partition, offsets)
                    })
                })
                .await;
            wait_out(marked)?;
        }
        if ending {
            return Ok(());
        }
        let failed = dead_letters.counts().failed;
        if failed > failed_before {
            metrics.alarm(Alarm::DeadLetterUnwritable, true);
        } else if acknowledged {
            metrics.alarm(Alarm::DeadLetterUnwritable, false);
        }
        failed_before = failed;
        if dead_letters.waiting_bytes() > 0
            || replayed.is_some_and(|at| at.elapsed() < REPLAY_EVERY)
        {
            continue;
        }
        replayed = Some(Instant::now());
        let waiting = store
            .read_async(|conn| rejections::uncopied(conn, REPLAY_BATCH))
            .await?;
        let (gone, waiting): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(partition, _)| cursors::is_archived(partition));
        let wanted: Vec<Uncopied> = waiting
            .into_iter()
            .map(|(partition, row)| Uncopied {
                partition,
                offset: row.offset,
                reason: row.reason,
                detail: row.detail,
            })
            .collect();
        let (again, client) = (dead_letters.clone(), client.clone());
        let outcome =
            tokio::task::spawn_blocking(move || again.replay(&wanted, &client, REPLAY_EVERY))
                .await?;
        match outcome {
            Ok(replayed) if replayed.gone.is_empty() && gone.is_empty() => {}
            Ok(mut replayed) => {
                replayed.gone.extend(
                    gone.into_iter()
                        .map(|(partition, row)| (partition, row.offset)),
                );
                // There is no original to copy any more; the stored rejection is all that is left of it.
                tracing::warn!(
                    records = replayed.gone.len(),
                    "rejected records left the log before they were copied"
                );
                let marked = store
                    .write_async(move |tx| {
                        replayed.gone.iter().try_for_each(|(partition, offset)| {
                            rejections::mark_copied(tx, partition, &[*offset])
                        })
                    })
                    .await;
                wait_out(marked)?;
            }
            Err(error) => tracing::warn!(%error, "copying rejected records again"),
        }
    }
}

/// A full disk or a busy file passes: what was not noted is copied once more, which the promise allows.
fn wait_out(outcome: store::Result<()>) -> store::Result<()> {
    match outcome {
        Err(error) if error.is_disk_full() || error.is_busy() => {
            tracing::warn!(%error, "copies of rejected records are not noted yet");
            Ok(())
        }
        outcome => outcome,
    }
}
