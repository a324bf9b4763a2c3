//! The embedded broker: a Kafka for the demo and for tests, in this process or in one of its own.
//!
//! It is librdkafka's mock cluster and speaks Kafka's protocol on a loopback port, so any librdkafka client, also of
//! another process, can produce, consume, join groups and commit.
//!
//! Its limits: everything is in memory and ends with it. **A partition keeps 5 MiB and 100,000 record batches;
//! beyond either, the oldest go in silence**, as with a broker's retention: use more partitions, or read as you
//! write. Topics cannot be created by clients' admin calls (a topic that a client names springs up with four
//! partitions), offsets cannot be looked up by time, records have the producer's timestamp, and aborted
//! transactions are visible. There is no authentication. It is no store.

use std::io::{self, Read, Write};
use std::str::FromStr;
use std::sync::mpsc;
use std::thread::JoinHandle;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;

/// What a partition holds before the oldest records go.
pub const PARTITION_BYTES: usize = 5 << 20;
/// The mock cluster's own limit is a 32-bit count; no test or demo needs more.
const MAX_PARTITIONS: i32 = 1024;

#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("the embedded broker does not start: {0}")]
    Start(KafkaError),
    #[error("the embedded broker does not create topic {topic:?}: {error}")]
    Topic { topic: String, error: KafkaError },
    #[error("the embedded broker ended early")]
    Ended,
    #[error("the embedded broker: {0}")]
    Io(#[from] io::Error),
}

/// A topic to create, written `name:partitions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    pub name: String,
    pub partitions: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not name:partitions, such as predictions:4 (1 to {MAX_PARTITIONS} partitions)")]
pub struct TopicSpecError(String);

impl FromStr for TopicSpec {
    type Err = TopicSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || TopicSpecError(text.to_owned());
        let (name, partitions) = text.rsplit_once(':').ok_or_else(error)?;
        let partitions = partitions
            .parse()
            .ok()
            .filter(|count| (1..=MAX_PARTITIONS).contains(count));
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > 249 || !name.bytes().all(legal) {
            return Err(error());
        }
        Ok(Self {
            name: name.to_owned(),
            partitions: partitions.ok_or_else(error)?,
        })
    }
}

/// A running broker; dropping it ends it. Drop its clients first: a group's member that loses its broker waits up to
/// 45 s for an answer to its farewell.
#[derive(Debug)]
pub struct EmbeddedBroker {
    bootstrap: String,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts a broker on a free loopback port, with these topics.
    ///
    /// # Errors
    /// When librdkafka cannot start it, or refuses a topic (one named twice).
    pub fn start(topics: &[TopicSpec]) -> Result<Self, BrokerError> {
        let topics = topics.to_vec();
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        // The cluster is not `Send`: it lives and dies on a thread of its own.
        let thread = std::thread::Builder::new()
            .name("broker".into())
            .spawn(move || {
                let cluster = match create(&topics) {
                    Ok(cluster) => cluster,
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                let _ = ready.send(Ok(cluster.bootstrap_servers()));
                // Nothing is ever sent: this waits until the other end is dropped.
                let _ = stopped.recv();
            })?;
        let bootstrap = started.recv().map_err(|_| BrokerError::Ended)??;
        Ok(Self {
            bootstrap,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What clients put into `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn create(
    topics: &[TopicSpec],
) -> Result<MockCluster<'static, impl rdkafka::ClientContext + use<>>, BrokerError> {
    let cluster = MockCluster::new(1).map_err(BrokerError::Start)?;
    for TopicSpec { name, partitions } in topics {
        let created = cluster.create_topic(name, *partitions, 1);
        created.map_err(|error| BrokerError::Topic {
            topic: name.clone(),
            error,
        })?;
    }
    Ok(cluster)
}

/// Runs a broker as this process's only work: one line with its bootstrap address on `out`, then it serves until
/// `stdin` is at its end (a parent that dies closes it), or SIGTERM or Ctrl-C.
///
/// # Errors
/// When the broker does not start or `out` cannot be written.
pub async fn serve(
    topics: &[TopicSpec],
    mut stdin: impl Read + Send + 'static,
    out: &mut impl Write,
) -> Result<(), BrokerError> {
    let broker = EmbeddedBroker::start(topics)?;
    writeln!(out, "{}", broker.bootstrap_servers())?;
    out.flush()?;
    let (closed, stdin_closed) = tokio::sync::oneshot::channel();
    // A plain thread: a read of stdin cannot be cancelled, and must not hold up the end of the process.
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(move || {
            let _ = io::copy(&mut stdin, &mut io::sink());
            let _ = closed.send(());
        })?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = stdin_closed => {}
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use std::time::Duration;

    #[track_caller]
    fn check(text: &str, expect: Option<(&str, i32)>) {
        let found = text.parse::<TopicSpec>().ok();
        assert_eq!(
            found
                .as_ref()
                .map(|topic| (topic.name.as_str(), topic.partitions)),
            expect,
            "{text}"
        );
    }

    #[test]
    fn topics_are_written_name_colon_partitions() {
        check("predictions:4", Some(("predictions", 4)));
        check("a.b-c_d:1024", Some(("a.b-c_d", 1024)));
        for text in [
            "predictions",
            ":4",
            "p:0",
            "p:-1",
            "p:1025",
            "p:x",
            "a:b:2",
            "p q:1",
            "",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn topics_have_their_partitions() {
        let topics = ["one:1", "seven:7"].map(|text| text.parse().expect("a topic"));
        let broker = EmbeddedBroker::start(&topics).expect("the broker starts");
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap_servers())
            .create()
            .expect("a consumer");
        let partitions = |topic: &str| {
            let metadata = consumer
                .fetch_metadata(Some(topic), Duration::from_secs(10))
                .expect("metadata");
            metadata.topics()[0].partitions().len()
        };
        assert_eq!((partitions("one"), partitions("seven")), (1, 7));
    }

    #[test]
    fn a_topic_named_twice_is_an_error() {
        let topics = ["one:1", "one:2"].map(|text| text.parse().expect("a topic"));
        let error = EmbeddedBroker::start(&topics).expect_err("refused");
        assert!(
            matches!(&error, BrokerError::Topic { topic, .. } if topic == "one"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn it_serves_until_stdin_closes() {
        let mut out = Vec::new();
        serve(&["one:1".parse().expect("a topic")], io::empty(), &mut out)
            .await
            .expect("it ends well");
        let line = String::from_utf8(out).expect("text");
        assert!(
            line.ends_with('\n') && line.contains(':') && line.lines().count() == 1,
            "{line:?}"
        );
    }
}
