//! Copying rejections whose copies were never acknowledged: their originals are read from the source topic again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::DeadLetters;
use crate::event::{Partition, Reason};

/// Reading on over so many records is cheaper than a seek.
const READ_ON: i64 = 1_000;
/// How long one poll waits: bounds how far a replay overruns its time.
const POLL: Duration = Duration::from_millis(100);

/// A stored rejection that has no copy yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncopied {
    pub partition: Partition,
    pub offset: i64,
    pub reason: Reason,
    pub detail: String,
}

/// What a replay did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Copies handed to the producer.
    pub sent: u64,
    /// Originals that the log no longer holds: they can never be copied.
    pub gone: Vec<(Partition, i64)>,
}

impl DeadLetters {
    /// Reads the originals of rejections that are not copied yet from their topics again, and sends the copies.
    /// Blocks until all are sent, `timeout` has passed, or there is no more room; call it on a thread of its own.
    /// `client` as in [`DeadLetters::new`]. What was delivered shows in [`DeadLetters::take_copied`].
    ///
    /// # Errors
    /// When the consumer cannot be made or assigned.
    pub fn replay(
        &self,
        wanted: &[Uncopied],
        client: &ClientConfig,
        timeout: Duration,
    ) -> KafkaResult<Replayed> {
        let mut replayed = Replayed::default();
        if self.0.is_none() || wanted.is_empty() {
            return Ok(replayed);
        }
        let deadline = Instant::now() + timeout;
        let mut client = client.clone();
        // Nothing joins or commits to this group; librdkafka wants a name to assign by hand.
        client
            .set("group.id", "driftline-replay")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = client.create()?;
        let mut by_partition: BTreeMap<&Partition, BTreeMap<i64, &Uncopied>> = BTreeMap::new();
        for rejection in wanted {
            by_partition
                .entry(&rejection.partition)
                .or_default()
                .insert(rejection.offset, rejection);
        }
        for (partition, offsets) in by_partition {
            if !self.replay_partition(&consumer, partition, offsets, deadline, &mut replayed)? {
                break;
            }
        }
        Ok(replayed)
    }

    /// False: there is no time or room for more.
    fn replay_partition(
        &self,
        consumer: &BaseConsumer,
        partition: &Partition,
        mut wanted: BTreeMap<i64, &Uncopied>,
        deadline: Instant,
        replayed: &mut Replayed,
    ) -> KafkaResult<bool> {
        let remaining = || deadline.saturating_duration_since(Instant::now());
        let (low, high) =
            consumer.fetch_watermarks(&partition.topic, partition.partition, remaining())?;
        let kept = wanted.split_off(&low);
        let beyond = kept.range(high..).map(|(offset, _)| *offset);
        replayed.gone.extend(
            wanted
                .into_keys()
                .chain(beyond)
                .map(|offset| (partition.clone(), offset)),
        );
        let mut kept: BTreeMap<i64, &Uncopied> = kept
            .into_iter()
            .filter(|(offset, _)| *offset < high)
            .collect();
        let mut position = None;
        while let Some((&next, _)) = kept.first_key_value() {
            if position.is_none_or(|position| next - position > READ_ON) {
                let mut assignment = TopicPartitionList::new();
                assignment.add_partition_offset(
                    &partition.topic,
                    partition.partition,
                    Offset::Offset(next),
                )?;
                consumer.assign(&assignment)?;
                position = Some(next);
            }
            let message = match consumer.poll(remaining().min(POLL)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    tracing::warn!(%partition, %error, "replaying dead letters");
                    if remaining().is_zero() {
                        return Ok(false);
                    } else {
                        continue;
                    }
                }
                None if remaining().is_zero() => return Ok(false),
                None => continue,
            };
            let offset = message.offset();
            // Records of the assignment before may still be on their way.
            if message.topic() != partition.topic
                || message.partition() != partition.partition
                || offset < next
            {
                continue;
            }
            position = Some(offset + 1);
            // Skipped by the log itself (compacted, or a transaction's mark): no such record is left.
            let after = kept.split_off(&offset);
            replayed
                .gone
                .extend(kept.into_keys().map(|offset| (partition.clone(), offset)));
            kept = after;
            if let Some(rejection) = kept.remove(&offset) {
                match self.copy_as(
                    &message,
                    partition.clone(),
                    rejection.reason,
                    &rejection.detail,
                ) {
                    Some(copy) => self.send(copy),
                    None => return Ok(false),
                }
                replayed.sent += 1;
            }
        }
        Ok(true)
    }
}
