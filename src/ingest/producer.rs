//! A producer for the demo and the benchmarks: waits when its queue is full, and for every record to be written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use crate::event::Millis;

const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(10);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);
/// librdkafka's own flush looks only every tenth of a second; a step-by-step producer would mostly wait for that.
const FLUSH_LOOK: Duration = Duration::from_millis(1);
/// Delivery reports are taken after so many records.
const POLL_EVERY: u64 = 1_000;

/// Counts records that the broker did not take.
#[derive(Default)]
struct Failures(AtomicU64);

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes records to one topic.
pub struct Producer {
    inner: BaseProducer<Failures>,
    topic: String,
    sent: u64,
}

impl Producer {
    /// # Errors
    /// When librdkafka refuses the address.
    pub fn new(brokers: &str, topic: &str) -> anyhow::Result<Self> {
        let inner = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("linger.ms", "2")
            .set("queue.buffering.max.messages", "200000")
            .create_with_context(Failures::default())?;
        Ok(Self {
            inner,
            topic: topic.to_owned(),
            sent: 0,
        })
    }

    /// Queues one record; `partition` or, without one, the hash of `key` says where it goes.
    ///
    /// # Errors
    /// When librdkafka refuses the record.
    pub fn send(
        &mut self,
        partition: Option<i32>,
        key: &str,
        ts: Millis,
        payload: &str,
    ) -> anyhow::Result<()> {
        let mut record = BaseRecord::to(&self.topic)
            .key(key)
            .payload(payload)
            .timestamp(ts);
        record.partition = partition;
        while let Err((error, back)) = self.inner.send(record) {
            if !matches!(
                error,
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
            ) {
                return Err(error).context("producing a record");
            }
            self.inner.poll(QUEUE_FULL_PAUSE);
            record = back;
        }
        self.sent += 1;
        if self.sent.is_multiple_of(POLL_EVERY) {
            self.inner.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Waits until the broker has everything.
    ///
    /// # Errors
    /// When it has not within a minute, or did not take a record.
    pub fn flush(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        while self.inner.in_flight_count() > 0 {
            anyhow::ensure!(
                Instant::now() < deadline,
                "the broker did not take the records in {FLUSH_TIMEOUT:?}"
            );
            self.inner.poll(FLUSH_LOOK);
        }
        let failed = self.inner.context().0.load(Ordering::Relaxed);
        anyhow::ensure!(failed == 0, "the broker did not take {failed} records");
        Ok(())
    }
}
