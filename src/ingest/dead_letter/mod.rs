//! Copies of rejected records, sent to the dead-letter topic with headers that say where each came from and why.
//!
//! **Invariants.** A copy is made at least once: a rejection counts as copied only when the broker acknowledged it
//! ([`DeadLetters::take_copied`]); what is not can be copied again from the source topic ([`replay`]). The topic never
//! holds up reading: a copy for which there is no room, or that the broker does not take, is counted and left for
//! replay. Copies that wait, from the moment they are made, hold at most `queue_bytes` bytes.
//!
//! Deliberately absent: the rejection itself, which the store holds exactly once whatever becomes of the copy.
//!
//! [`replay`]: DeadLetters::replay

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use crate::event::{Millis, Partition, Reason};
use crate::ingest::decode::Rejection;
use fit::Fit;

mod fit;
mod replay;

#[cfg(test)]
mod tests;

pub use replay::{Replayed, Uncopied};

/// Header names. The value of each is a text; numbers are decimal.
pub const ORIGIN_TOPIC: &str = "driftline.origin.topic";
pub const ORIGIN_PARTITION: &str = "driftline.origin.partition";
pub const ORIGIN_OFFSET: &str = "driftline.origin.offset";
/// The origin's broker timestamp in epoch milliseconds; not there when the origin has none.
pub const ORIGIN_TIMESTAMP: &str = "driftline.origin.timestamp";
pub const REASON: &str = "driftline.reason";
/// Why, in a sentence.
pub const MESSAGE: &str = "driftline.message";
/// `true` when key, value or headers were cut to fit the topic's message limit.
pub const TRUNCATED: &str = "driftline.truncated";
/// Bytes of the origin's value; only there with [`TRUNCATED`].
pub const ORIGIN_BYTES: &str = "driftline.origin.bytes";

/// Kafka's own default for `message.max.bytes` is 1,048,588; librdkafka's is 1,000,000.
pub const MESSAGE_BYTES: usize = 1_000_000;
/// How long the producer tries before a copy is left for replay.
const DELIVERY_TIMEOUT_MS: &str = "30000";

/// How copies are sent.
#[derive(Debug, Clone)]
pub struct DeadLetterConfig {
    pub topic: String,
    /// Largest message that the topic takes (its `max.message.bytes`).
    pub message_bytes: usize,
    /// Most bytes of copies that wait.
    pub queue_bytes: usize,
}

/// What became of copies since the start of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeadLetterCounts {
    /// Acknowledged by the broker.
    pub copied: u64,
    /// Refused by the broker, or not acknowledged in time; left for replay.
    pub failed: u64,
    /// Not sent, for want of room; left for replay.
    pub no_room: u64,
}

/// A rejected record on its way to the dead-letter topic.
#[derive(Debug)]
pub struct DeadLetter {
    origin: Origin,
    reason: Reason,
    detail: String,
    broker_ts: Option<Millis>,
    /// Of the original value, which `payload` may be the beginning of.
    original_bytes: usize,
    truncated: bool,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    headers: Option<OwnedHeaders>,
}

/// Where a copy came from, and the room it takes until it is delivered or given up.
#[derive(Debug)]
pub struct Origin {
    partition: Partition,
    offset: i64,
    bytes: usize,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting_bytes: AtomicUsize,
    copied: AtomicU64,
    failed: AtomicU64,
    no_room: AtomicU64,
    delivered: Mutex<BTreeMap<Partition, Vec<i64>>>,
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.state
            .waiting_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Receives the broker's answers.
struct Reports;

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Origin>;

    fn delivery(&self, result: &DeliveryResult<'_>, origin: Box<Origin>) {
        match result {
            Ok(_) => {
                origin.state.copied.fetch_add(1, Ordering::Relaxed);
                let mut delivered = origin
                    .state
                    .delivered
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                delivered
                    .entry(origin.partition.clone())
                    .or_default()
                    .push(origin.offset);
            }
            Err((error, _)) => {
                origin.state.failed.fetch_add(1, Ordering::Relaxed);
                let (partition, offset) = (&origin.partition, origin.offset);
                tracing::warn!(%partition, offset, %error, "a dead letter was not delivered; it is left for replay");
            }
        }
    }
}

/// The way to the dead-letter topic; cheap to clone, used from any thread.
#[derive(Clone)]
pub struct DeadLetters(Option<Arc<Sending>>);

struct Sending {
    producer: ThreadedProducer<Reports>,
    config: DeadLetterConfig,
    state: Arc<State>,
}

impl DeadLetters {
    /// No dead-letter topic: copies are not made and nothing is counted.
    pub fn none() -> Self {
        Self(None)
    }

    /// `client` has the connection's properties (brokers, security). Does not wait for the broker.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(config: DeadLetterConfig, client: &ClientConfig) -> KafkaResult<Self> {
        let mut client = client.clone();
        client
            .set("message.max.bytes", config.message_bytes.to_string())
            .set("message.timeout.ms", DELIVERY_TIMEOUT_MS)
            // A copy is delivered by one acknowledged write; retries may write it twice, which the promise allows.
            .set("acks", "all")
            .set("linger.ms", "20")
            // Our own bound is the tighter one; librdkafka's must not refuse first.
            .set(
                "queue.buffering.max.kbytes",
                (config.queue_bytes / 512 + 1024).to_string(),
            )
            .set("queue.buffering.max.messages", "0");
        let producer = client.create_with_context(Reports)?;
        Ok(Self(Some(Arc::new(Sending {
            producer,
            config,
            state: Arc::default(),
        }))))
    }

    /// Copies a rejected message, cut to fit. `None` when there is no dead-letter topic, or no room for the copy (that
    /// is counted).
    pub fn copy(&self, message: &BorrowedMessage<'_>, rejection: &Rejection) -> Option<DeadLetter> {
        let partition = Partition {
            topic: message.topic().to_owned(),
            partition: message.partition(),
        };
        self.copy_as(message, partition, rejection.reason, &rejection.detail)
    }

    fn copy_as(
        &self,
        message: &BorrowedMessage<'_>,
        partition: Partition,
        reason: Reason,
        detail: &str,
    ) -> Option<DeadLetter> {
        let sending = self.0.as_ref()?;
        let fit = Fit::new(sending.config.message_bytes, message);
        let Some(room) = reserve(
            &sending.state.waiting_bytes,
            fit.bytes,
            sending.config.queue_bytes,
        ) else {
            sending.state.no_room.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let state = Arc::clone(&sending.state);
        Some(DeadLetter {
            origin: Origin {
                partition,
                offset: message.offset(),
                bytes: room,
                state,
            },
            reason,
            detail: detail.to_owned(),
            broker_ts: message.timestamp().to_millis(),
            original_bytes: message.payload().map_or(0, <[u8]>::len),
            truncated: fit.truncated,
            key: message.key().map(|key| key[..fit.key].to_vec()),
            payload: message
                .payload()
                .map(|payload| payload[..fit.payload].to_vec()),
            headers: message
                .headers()
                .filter(|_| fit.headers)
                .map(|headers| headers.detach()),
        })
    }

    /// Sends a copy; never blocks. Call it when the rejection is durable.
    pub fn send(&self, copy: DeadLetter) {
        let Some(sending) = &self.0 else { return };
        let headers = copy.all_headers();
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(
            &sending.config.topic,
            Box::new(copy.origin),
        );
        record = record.headers(headers);
        if let Some(key) = &copy.key {
            record = record.key(key);
        }
        if let Some(payload) = &copy.payload {
            record = record.payload(payload);
        }
        if let Err((error, record)) = sending.producer.send(record) {
            let full = matches!(
                error,
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
            );
            let counter = if full {
                &sending.state.no_room
            } else {
                &sending.state.failed
            };
            counter.fetch_add(1, Ordering::Relaxed);
            let (partition, offset) = (
                &record.delivery_opaque.partition,
                record.delivery_opaque.offset,
            );
            tracing::warn!(%partition, offset, %error, "a dead letter was not sent; it is left for replay");
        }
    }

    /// The rejections whose copies were acknowledged since the last call: offsets by partition, in no order. A
    /// caller that asks now and then bounds their number.
    pub fn take_copied(&self) -> BTreeMap<Partition, Vec<i64>> {
        let Some(sending) = &self.0 else {
            return BTreeMap::new();
        };
        std::mem::take(
            &mut sending
                .state
                .delivered
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub fn counts(&self) -> DeadLetterCounts {
        let Some(sending) = &self.0 else {
            return DeadLetterCounts::default();
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let State {
            copied,
            failed,
            no_room,
            ..
        } = &*sending.state;
        DeadLetterCounts {
            copied: read(copied),
            failed: read(failed),
            no_room: read(no_room),
        }
    }

    /// Bytes of the copies that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |sending| {
            sending.state.waiting_bytes.load(Ordering::Relaxed)
        })
    }

    /// Waits until every copy sent so far was answered.
    ///
    /// # Errors
    /// When `timeout` ends first; the copies are still tried.
    pub fn flush(&self, timeout: Duration) -> KafkaResult<()> {
        self.0
            .as_ref()
            .map_or(Ok(()), |sending| sending.producer.flush(timeout))
    }
}

impl DeadLetter {
    /// The origin's own headers and ours.
    fn all_headers(&self) -> OwnedHeaders {
        let mut headers = self.headers.clone().unwrap_or_default();
        let origin = &self.origin;
        let mut add = |key: &'static str, value: &str| {
            headers = std::mem::take(&mut headers).insert(Header {
                key,
                value: Some(value),
            });
        };
        add(ORIGIN_TOPIC, &origin.partition.topic);
        add(ORIGIN_PARTITION, &origin.partition.partition.to_string());
        add(ORIGIN_OFFSET, &origin.offset.to_string());
        if let Some(ts) = self.broker_ts {
            add(ORIGIN_TIMESTAMP, &ts.to_string());
        }
        add(REASON, self.reason.as_str());
        add(MESSAGE, &self.detail);
        if self.truncated {
            add(TRUNCATED, "true");
            add(ORIGIN_BYTES, &self.original_bytes.to_string());
        }
        headers
    }
}

/// Takes `bytes` of a bounded room, if they are left.
fn reserve(used: &AtomicUsize, bytes: usize, limit: usize) -> Option<usize> {
    let take = |used: usize| used.checked_add(bytes).filter(|used| *used <= limit);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .ok()
        .map(|_| bytes)
}
