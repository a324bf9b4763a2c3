//! Reading a topic once, from its beginning to its end: for suggestions and benchmarks. The service reads through
//! `source`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// One record of a topic.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub partition: i32,
    pub offset: i64,
    pub payload: Option<&'a [u8]>,
}

/// Hands every record of `topic` to `take`, in offset order inside each partition, until the present end of all
/// partitions or until it breaks.
///
/// # Errors
/// When the brokers cannot be reached, do not know the topic, or send nothing for ten seconds.
pub fn scan(
    brokers: &str,
    topic: &str,
    mut take: impl FnMut(Record<'_>) -> ControlFlow<()>,
) -> anyhow::Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "driftline-scan")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), BROKER_TIMEOUT)?;
    let mut list = TopicPartitionList::new();
    // Where each partition's log ends now, while something of it is still to be read.
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    for partition in metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
    {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), BROKER_TIMEOUT)?;
        if low < high {
            ends.insert(partition.id(), high);
        }
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    anyhow::ensure!(
        list.count() > 0,
        "the brokers {brokers} have no topic {topic:?}"
    );
    consumer.assign(&list)?;
    while !ends.is_empty() {
        let polled = consumer.poll(BROKER_TIMEOUT).with_context(|| {
            format!("the brokers {brokers} sent nothing for {BROKER_TIMEOUT:?}")
        })?;
        match polled {
            Ok(message) => {
                let record = Record {
                    partition: message.partition(),
                    offset: message.offset(),
                    payload: message.payload(),
                };
                if take(record).is_break() {
                    return Ok(());
                }
                if ends
                    .get(&record.partition)
                    .is_some_and(|end| record.offset + 1 >= *end)
                {
                    ends.remove(&record.partition);
                }
            }
            // A log may end with records that no consumer is shown.
            Err(KafkaError::PartitionEOF(partition)) => {
                ends.remove(&partition);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
