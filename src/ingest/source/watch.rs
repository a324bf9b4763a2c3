//! Looking after owned partitions: lag, stalls, waiting for a layout, idleness.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Assignment, BROKER_TIMEOUT, Reader};
use crate::event::{Millis, Partition, RecordKind};
use crate::metrics::Alarm;
use crate::store::streams;

/// A partition that does not move for so long although its end is ahead is stalled: librdkafka has been seen to stop
/// on some compressed batches.
const STALLED: Duration = Duration::from_secs(60);
/// How often idle partitions are looked for.
const IDLE_CHECK: Duration = Duration::from_millis(500);

impl Reader {
    /// Broker offsets, for people who look at lag with Kafka's own tools; nothing of ours reads them.
    pub(super) fn show_lag(&mut self) {
        self.lag_shown = Some(Instant::now());
        let mut list = TopicPartitionList::new();
        let mut stalled = false;
        for (partition, owned) in &mut self.owned {
            if let Ok((_, end)) = self.consumer.fetch_watermarks(
                &partition.topic,
                partition.partition,
                BROKER_TIMEOUT,
            ) {
                owned.saw_end(end);
            }
            self.shared.metrics.lag(
                partition,
                (owned.end.0 - owned.state.cursor()).max(0).cast_unsigned(),
            );
            if owned.moved.0 != owned.state.cursor() || owned.end.0 <= owned.state.cursor() {
                owned.moved = (owned.state.cursor(), Instant::now());
            }
            stalled |= owned.moved.1.elapsed() >= STALLED && !owned.paused;
            let offset = Offset::Offset(owned.state.cursor());
            if let Err(error) =
                list.add_partition_offset(&partition.topic, partition.partition, offset)
            {
                tracing::debug!(%error, "noting the broker offset");
            }
        }
        self.shared.metrics.alarm(Alarm::PartitionStalled, stalled);
        if self.config.assignment == Assignment::Group
            && list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            tracing::debug!(%error, "committing broker offsets");
        }
    }

    /// A partition far ahead of a model's layout waits for the others.
    pub(super) fn pause_or_resume(&mut self) -> anyhow::Result<()> {
        for (partition, owned) in &mut self.owned {
            let wait = owned.state.waits_for_layout();
            if wait != owned.paused {
                let mut list = TopicPartitionList::new();
                list.add_partition(&partition.topic, partition.partition);
                if wait {
                    self.consumer.pause(&list)?
                } else {
                    self.consumer.resume(&list)?
                }
                owned.paused = wait;
            }
        }
        Ok(())
    }

    /// A model of which nothing came for `idle_timeout` in a partition that was read that far does not hold its
    /// windows back: its watermark there follows the other partitions of the same kind of records, and the clock once
    /// all of them are idle.
    pub(super) fn look_for_idle(&mut self) -> anyhow::Result<()> {
        if self.last_idle_check.elapsed() < IDLE_CHECK.min(self.config.idle_timeout) {
            return Ok(());
        }
        let since_check = self.last_idle_check.elapsed();
        self.last_idle_check = Instant::now();
        let models = self.shared.catalogue.models();
        let mut silent: BTreeMap<(Arc<str>, RecordKind), BTreeSet<Partition>> = BTreeMap::new();
        for (partition, owned) in &mut self.owned {
            let mut quiet: Vec<(&Arc<str>, Instant)> = Vec::new();
            for model in &models {
                let used = owned.state.stream(&model.name).map_or(0, |row| row.used);
                let seen = owned
                    .last_rows
                    .entry(Arc::clone(&model.name))
                    .or_insert((used, Instant::now()));
                if seen.0 != used {
                    *seen = (used, Instant::now());
                }
                // Other models may keep the partition busy: what counts is that all that lay in it a while after
                // this model's last record has been read.
                let quiet_until = seen.1 + self.config.idle_timeout;
                if Instant::now() >= quiet_until {
                    quiet.push((&model.name, quiet_until));
                }
            }
            if quiet.is_empty() || owned.paused {
                continue;
            }
            // One question for all models; a broker that does not answer it is not asked for the other partitions.
            let Some(caught_up) = owned.caught_up(&self.consumer, partition) else {
                if owned.unanswered {
                    break;
                }
                continue;
            };
            for (model, _) in quiet.into_iter().filter(|(_, until)| caught_up >= *until) {
                silent
                    .entry((Arc::clone(model), owned.state.kind()))
                    .or_default()
                    .insert(partition.clone());
            }
        }
        for ((model, kind), partitions) in silent {
            let name = model.to_string();
            let streams = self
                .shared
                .store
                .read(move |conn| streams::of_kind(conn, &name, kind))?;
            let Some(furthest) = streams.iter().map(|(_, row)| row.watermark).max() else {
                continue;
            };
            let all_idle = streams.iter().all(|(_, row)| row.idle);
            let ticked = if all_idle {
                i64::try_from(since_check.as_millis()).unwrap_or(0)
            } else {
                0
            };
            for partition in partitions {
                if let Some(owned) = self.owned.get_mut(&partition) {
                    // Ticks add up here, not in the store, which hears of them only with the next commit.
                    let here = owned
                        .state
                        .stream(&model)
                        .map_or(Millis::MIN, |row| row.watermark);
                    // The clock's step is added to what stands here only: adding it to what others have added would
                    // make event time run faster than the clock.
                    let reached = furthest.max(here.saturating_add(ticked));
                    owned.state.raise_watermark(&model, reached);
                }
            }
        }
        Ok(())
    }
}
