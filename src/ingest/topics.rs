//! What the broker says of the input topics: their partitions and where their logs end.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use crate::event::Partition;

const BROKER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a list of partitions is believed; an added partition is noticed after this.
const BELIEVED: Duration = Duration::from_secs(30);

/// Asks the broker about the input topics.
pub struct Topics {
    consumer: BaseConsumer,
    names: Vec<String>,
    known: Mutex<Option<(Instant, Vec<Partition>)>>,
}

impl Topics {
    pub fn new(client: &ClientConfig, names: Vec<String>) -> Result<Self, KafkaError> {
        let mut client = client.clone();
        // Without a group this consumer only asks questions.
        client.remove("group.id");
        client.remove("group.instance.id");
        client.set(
            "client.id",
            format!("driftline-{}-topics", std::process::id()),
        );
        Ok(Self {
            consumer: client.create()?,
            names,
            known: Mutex::default(),
        })
    }

    /// All partitions of all input topics. An error while the broker cannot be reached or a topic does not exist.
    pub fn partitions(&self) -> Result<Vec<Partition>, KafkaError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, partitions)) = known.as_ref()
            && at.elapsed() < BELIEVED
        {
            return Ok(partitions.clone());
        }
        let mut partitions = Vec::new();
        for name in &self.names {
            let metadata = self.consumer.fetch_metadata(Some(name), BROKER_TIMEOUT)?;
            for topic in metadata
                .topics()
                .iter()
                .filter(|topic| topic.name() == name)
            {
                // A topic without a leader is listed without partitions: no reason to close windows without them.
                if let Some(error) = topic.error() {
                    return Err(KafkaError::MetadataFetch(error.into()));
                }
                partitions.extend(topic.partitions().iter().map(|p| Partition {
                    topic: name.clone(),
                    partition: p.id(),
                }));
            }
        }
        partitions.sort();
        if !partitions.is_empty() {
            *known = Some((Instant::now(), partitions.clone()));
        }
        Ok(partitions)
    }

    /// The offset after the last record of each partition.
    pub fn ends(&self) -> Result<BTreeMap<Partition, i64>, KafkaError> {
        let mut ends = BTreeMap::new();
        for partition in self.partitions()? {
            let (_, end) = self.consumer.fetch_watermarks(
                &partition.topic,
                partition.partition,
                BROKER_TIMEOUT,
            )?;
            ends.insert(partition, end);
        }
        Ok(ends)
    }
}
