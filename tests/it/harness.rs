//! What the tests of the running service share: an embedded broker, a service in this process, and readers of its
//! store.
//!
//! **Invariant:** nothing leaves the loopback interface, no folder outlives its test, and nothing waits without a
//! deadline. Waiting is always for a condition, never for a time to pass.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use driftline::config::{Assignment, Config};
use driftline::event::{DAY, Key, Millis, Span};
use driftline::ingest::broker::{EmbeddedBroker, TopicSpec};
use driftline::rules::{Declarations, parse};
use driftline::service::{Clock, Service};
use driftline::store::scores::{self, RuleScore};
use driftline::store::windows::{self, WindowFilter, WindowRow};
use driftline::store::{Counts, Store, cursors};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const TOPIC: &str = "predictions";
pub const LABELS: &str = "labels";
pub const DEAD_LETTERS: &str = "driftline.dead-letter";

/// Longest that any test waits for one condition.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The largest record that a test produces has 2 MB.
const LARGEST_MESSAGE: &str = "4000000";

/// An embedded broker and a producer.
pub struct Kafka {
    // In this order: a broker goes after its clients.
    producer: BaseProducer,
    broker: EmbeddedBroker,
}

impl Kafka {
    /// A broker with the topics of predictions and of labels in so many partitions each, and the dead-letter topic.
    pub fn start(partitions: i32) -> Self {
        let topic = |name: &str, partitions| TopicSpec {
            name: name.to_owned(),
            partitions,
        };
        let broker = EmbeddedBroker::start(&[
            topic(TOPIC, partitions),
            topic(LABELS, partitions),
            topic(DEAD_LETTERS, 1),
        ])
        .expect("a broker starts");
        let producer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap_servers())
            .set("linger.ms", "2")
            .set("message.max.bytes", LARGEST_MESSAGE)
            .set("queue.buffering.max.messages", "200000")
            .create()
            .expect("a producer");
        Self { producer, broker }
    }

    pub fn brokers(&self) -> String {
        self.broker.bootstrap_servers().to_owned()
    }

    /// Produces to one partition of the input topic, in order. `None` is a tombstone.
    pub fn send(&self, partition: i32, payload: Option<&[u8]>) {
        let mut record = BaseRecord::<(), [u8]>::to(TOPIC)
            .partition(partition)
            .timestamp(0);
        if let Some(payload) = payload {
            record = record.payload(payload);
        }
        self.queue(record);
    }

    /// As [`Kafka::send`], with a key and one header, as a producer of somebody else's would.
    pub fn send_with(
        &self,
        partition: i32,
        key: &str,
        headers: OwnedHeaders,
        payload: Option<&[u8]>,
    ) {
        let mut record = BaseRecord::to(TOPIC)
            .partition(partition)
            .key(key)
            .headers(headers)
            .timestamp(0);
        if let Some(payload) = payload {
            record = record.payload(payload);
        }
        self.queue(record);
    }

    /// Produces to the partition that the key's hash names.
    pub fn send_by_key(&self, key: &str, payload: &[u8]) {
        self.queue(BaseRecord::to(TOPIC).key(key).payload(payload));
    }

    /// Produces a label to the partition that the key's hash names.
    pub fn send_label(&self, key: &str, payload: &[u8]) {
        self.queue(BaseRecord::to(LABELS).key(key).payload(payload));
    }

    fn queue<K: rdkafka::message::ToBytes + ?Sized, P: rdkafka::message::ToBytes + ?Sized>(
        &self,
        record: BaseRecord<'_, K, P>,
    ) {
        let mut record = record;
        while let Err((error, back)) = self.producer.send(record) {
            assert!(
                matches!(
                    error,
                    KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
                ),
                "{error}"
            );
            self.producer.poll(LOOK_AGAIN);
            record = back;
        }
    }

    /// Waits until the broker has everything.
    pub fn flush(&self) {
        self.producer
            .flush(PATIENCE)
            .expect("the broker takes every record");
    }
}

/// A configuration for the embedded broker, with a free port and no idleness.
pub fn config(kafka: &Kafka, folder: &Path) -> Config {
    let mut config = Config::default();
    config.kafka.brokers = vec![kafka.brokers()];
    config.kafka.predictions = vec![TOPIC.to_owned()];
    config.kafka.dead_letter = Some(DEAD_LETTERS.to_owned());
    // A group takes seconds to form and has a test of its own in another binary.
    config.kafka.assignment = Assignment::Manual;
    // The embedded broker answers a waiting fetch only when its time is up.
    config
        .kafka
        .properties
        .insert("fetch.wait.max.ms".to_owned(), "5".to_owned());
    config.data_dir = folder.to_path_buf();
    config.listen = ([127, 0, 0, 1], 0).into();
    config.threads = std::num::NonZeroUsize::new(1);
    config.idle_timeout = DAY;
    config
}

pub fn declarations(text: &str) -> Declarations {
    parse("rules/test.yaml", text)
        .and_then(Declarations::new)
        .expect("the test's declaration is right")
}

pub async fn start(config: Config, declaration: &str) -> Service {
    start_at(config, declaration, Clock::system()).await
}

pub async fn start_at(config: Config, declaration: &str, clock: Clock) -> Service {
    Service::start(config, declarations(declaration), clock)
        .await
        .expect("the service starts")
}

/// A clock that stands still until it is turned.
#[derive(Clone)]
pub struct HandClock(Arc<AtomicI64>);

impl HandClock {
    pub fn at(now: Millis) -> Self {
        Self(Arc::new(AtomicI64::new(now)))
    }

    pub fn clock(&self) -> Clock {
        let now = Arc::clone(&self.0);
        Clock::new(move || now.load(Ordering::SeqCst))
    }

    pub fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }

    pub fn forward(&self, by: Millis) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

/// Fails a test that takes longer than `secs`, instead of letting it hang.
pub async fn within<T>(secs: u64, test: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(secs), test).await {
        Ok(done) => done,
        Err(_) => panic!("not done in {secs} s"),
    }
}

/// Looks again and again until there is something to see.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let seen = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    });
    match seen.await {
        Ok(seen) => seen,
        Err(_) => panic!("waited in vain until {what}"),
    }
}

/// Everything that lies in the topics is committed, and what was due is closed.
pub async fn settle(service: &Service) {
    let settled = tokio::time::timeout(PATIENCE, service.settle()).await;
    settled.expect("it settles in time").expect("it settles");
}

pub async fn stop(service: Service) {
    service.stop().await.expect("the service stops well");
}

pub fn totals(store: &Store) -> Counts {
    store.read(cursors::totals).expect("readable")
}

/// One revision of one window, with everything that is stored of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub row: WindowRow,
    pub profile: Vec<u8>,
    pub scores: Vec<RuleScore>,
}

/// What must not depend on how the log was read: all of [`Stored`] but row numbers and offsets.
#[derive(Debug, Clone, PartialEq)]
pub struct PlainResult {
    pub verdict: &'static str,
    pub rows: u64,
    pub layout_hash: String,
    pub reference_hash: Option<String>,
    pub watermark: Millis,
    pub profile: Vec<u8>,
    pub scores: Vec<RuleScore>,
}

/// Every stored revision of a model's windows, by key, window and revision.
pub fn results(store: &Store, model: &str) -> BTreeMap<(Key, Span, u32), Stored> {
    let filter = WindowFilter {
        model: Some(model.to_owned()),
        ..WindowFilter::default()
    };
    let read = store.read(|conn| -> driftline::store::Result<_> {
        let mut found = BTreeMap::new();
        for latest in windows::latest(conn, &filter, u32::MAX)? {
            for row in windows::revisions(conn, &latest.key, latest.span)? {
                let profile = windows::profile(conn, row.id)?.expect("nothing is swept in a test");
                let scores = scores::of_window(conn, row.id)?;
                found.insert(
                    (row.key.clone(), row.span, row.revision),
                    Stored {
                        row,
                        profile,
                        scores,
                    },
                );
            }
        }
        Ok(found)
    });
    read.expect("readable")
}

/// [`results`] without row numbers and offsets.
pub fn plain_results(store: &Store, model: &str) -> BTreeMap<(Key, Span, u32), PlainResult> {
    let plain = |stored: Stored| PlainResult {
        verdict: stored.row.verdict.as_str(),
        rows: stored.row.rows,
        layout_hash: stored.row.layout_hash,
        reference_hash: stored.row.reference_hash,
        watermark: stored.row.watermark,
        profile: stored.profile,
        scores: stored.scores,
    };
    results(store, model)
        .into_iter()
        .map(|(at, stored)| (at, plain(stored)))
        .collect()
}

/// The verdicts of revision 0 of a model's only key, in order of time.
pub fn verdicts(store: &Store, model: &str) -> Vec<(Span, &'static str)> {
    let first = results(store, model)
        .into_iter()
        .filter(|((_, _, revision), _)| *revision == 0);
    first
        .map(|((_, span, _), stored)| (span, stored.row.verdict.as_str()))
        .collect()
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Header names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// One GET over a connection of its own. HTTP/1.0, so that the answer ends with the connection.
pub async fn get(address: std::net::SocketAddr, path: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())
        .await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Ok(Answer {
        status: status.ok_or(std::io::ErrorKind::InvalidData)?,
        headers: headers.collect(),
        body: body.to_owned(),
    })
}
