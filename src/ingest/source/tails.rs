//! Logs that end with records no consumer is shown: marks of transactions, and what aborted ones have left.
//!
//! **Invariant:** a partition's cursor passes offsets without a record only when the broker has shown that there is none
//! below an end that it had told before; it passes them all the same, else such a log would never be read to its end,
//! nor idle, nor settled, by this process or another. librdkafka tells an end without its topic and without its offset,
//! so a consumer of its own reads on from where a quiet partition stands: either a record comes first, or the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{BROKER_TIMEOUT, Reader};
use crate::event::Partition;

/// How often is looked; a partition of which a record came since the last look is not looked into.
const LOOK: Duration = Duration::from_secs(1);
/// For the answers about one topic's partitions. A broker that is slower is asked again at the next look.
const PATIENCE: Duration = Duration::from_secs(3);
/// A first record tells enough: little is fetched, and an end is told without waiting for more.
const FETCH: [(&str, &str); 4] = [
    ("fetch.wait.max.ms", "20"),
    ("fetch.message.max.bytes", "65536"),
    ("queued.min.messages", "1"),
    ("enable.partition.eof", "true"),
];

/// What is needed to look.
pub(super) struct Tails {
    last_look: Instant,
    /// Made when it is first needed; most logs have no transactions.
    consumer: Option<BaseConsumer>,
}

impl Default for Tails {
    fn default() -> Self {
        Self {
            last_look: Instant::now(),
            consumer: None,
        }
    }
}

impl Reader {
    /// Moves partitions on whose logs end with hidden records.
    pub(super) fn look_for_hidden_tails(&mut self) {
        if self.tails.last_look.elapsed() < LOOK {
            return;
        }
        self.tails.last_look = Instant::now();
        // By topic, since an end that is told names none: partition, the offset to read on from, the log's end.
        let mut suspects: BTreeMap<String, Vec<(i32, i64, i64)>> = BTreeMap::new();
        for (partition, owned) in &mut self.owned {
            let next = owned.state.next_offset();
            let quiet = std::mem::replace(&mut owned.looked_at, next) == next;
            if !(quiet && owned.told_end) || owned.paused {
                continue;
            }
            let ends = self.consumer.fetch_watermarks(
                &partition.topic,
                partition.partition,
                BROKER_TIMEOUT,
            );
            // A broker that does not answer one question is not asked the next.
            let Ok((_, end)) = ends else { break };
            owned.saw_end(end);
            if end <= owned.state.covered() {
                owned.told_end = false;
            } else {
                let of_topic = suspects.entry(partition.topic.clone()).or_default();
                of_topic.push((partition.partition, next, end));
            }
        }
        for (topic, suspects) in suspects {
            let empty = match self.without_records(&topic, &suspects) {
                Ok(empty) => empty,
                Err(error) => {
                    tracing::debug!(%error, topic, "looking for hidden records");
                    continue;
                }
            };
            for (number, _, end) in suspects {
                let partition = Partition {
                    topic: topic.clone(),
                    partition: number,
                };
                if let Some(owned) = self.owned.get_mut(&partition)
                    && empty.contains(&number)
                {
                    owned.state.nothing_before(end);
                    owned.told_end = false;
                }
            }
        }
    }

    /// Those of the partitions whose logs show no record from the offset given to their end.
    fn without_records(
        &mut self,
        topic: &str,
        suspects: &[(i32, i64, i64)],
    ) -> KafkaResult<BTreeSet<i32>> {
        let consumer = match &mut self.tails.consumer {
            Some(consumer) => consumer,
            none => {
                let mut client = self.config.client.clone();
                client.remove("group.instance.id");
                client
                    .set("enable.auto.commit", "false")
                    .set("auto.offset.reset", "error")
                    .set(
                        "client.id",
                        format!("driftline-{}-{}-tails", std::process::id(), self.index),
                    );
                for (key, value) in FETCH {
                    client.set(key, value);
                }
                none.insert(client.create()?)
            }
        };
        let mut list = TopicPartitionList::new();
        for (number, next, _) in suspects {
            list.add_partition_offset(topic, *number, Offset::Offset(*next))?;
        }
        consumer.assign(&list)?;
        let mut open: BTreeSet<i32> = suspects.iter().map(|(number, ..)| *number).collect();
        let mut empty = BTreeSet::new();
        let until = Instant::now() + PATIENCE;
        while !open.is_empty() {
            match consumer.poll(until.saturating_duration_since(Instant::now())) {
                Some(Ok(message)) => {
                    open.remove(&message.partition());
                }
                Some(Err(KafkaError::PartitionEOF(number))) => {
                    if open.remove(&number) {
                        empty.insert(number);
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, topic, "looking for hidden records");
                    break;
                }
                None => break,
            }
        }
        consumer.unassign()?;
        Ok(empty)
    }
}
