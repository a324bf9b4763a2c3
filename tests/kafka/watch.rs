//! A small model that is watched hour by hour, for the tests that are about the log and not about what is in it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use driftline::event::{HOUR, Millis};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::json;
use tempfile::TempDir;

use crate::broker::Kafka;
use crate::dump;
use crate::processes::{Service, free_port};

/// Every version has windows of its own; six quiet hours are the reference.
const DECLARATION: &str = "
model: power
task: none
window: {every: 1h, lateness: 5m, late_horizon: 1h, min_rows: 50}
reference: {first: 6h}
columns: {numeric: [demand], categorical: [day]}
";
/// 2025-06-15T16:00:00Z.
const START: Millis = 1_750_003_200_000;
pub const DEAD_LETTERS: &str = "driftline.dead-letter";
/// For what a producer waits for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Row `i` of `rows` of an hour.
pub fn row(version: &str, hour: i64, i: i64, rows: i64) -> String {
    // A fixed scatter: neighbours differ, hours do not.
    let demand = (i * 7_919 % 1_000) as f64 / 10.0;
    let day = ["mon", "tue", "wed", "thu"][(i * 31 % 4) as usize];
    json!({
        "model": "power", "version": version, "id": format!("{hour}-{i}"), "ts": START + hour * HOUR + i * HOUR / rows,
        "features": {"demand": demand, "day": day},
    })
    .to_string()
}

/// A producer that keeps order, with `properties`.
pub fn producer(kafka: &Kafka, properties: &[(&str, &str)]) -> BaseProducer {
    let mut client: ClientConfig = kafka.client();
    client
        .set("enable.idempotence", "true")
        .set("linger.ms", "5");
    for (key, value) in properties {
        client.set(*key, *value);
    }
    client.create().expect("a producer")
}

/// Queues one record; `None` is a tombstone.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, payload: Option<&str>) {
    let mut record = BaseRecord::<(), str>::to(topic).partition(partition);
    if let Some(payload) = payload {
        record = record.payload(payload);
    }
    producer
        .send(record)
        .map_err(|(error, _)| error)
        .expect("the queue holds what a test sends");
}

/// An hour's rows, all of them in the log when this returns.
pub fn send_hour(
    producer: &BaseProducer,
    topic: &str,
    partition: i32,
    (version, hour): (&str, i64),
    rows: i64,
) {
    for i in 0..rows {
        send(
            producer,
            topic,
            partition,
            Some(&row(version, hour, i, rows)),
        );
    }
    producer
        .flush(PATIENCE)
        .expect("the broker takes every record");
}

/// A store, and services that read `topics` into it.
pub struct Watch {
    folder: TempDir,
    brokers: String,
    topics: Vec<&'static str>,
    /// After so long without a record a partition no longer holds windows open.
    pub idle_timeout: &'static str,
}

impl Watch {
    /// Makes the topics, each with so many partitions, and the one for dead letters.
    pub fn new(kafka: &Kafka, topics: &[(&'static str, i32)]) -> Self {
        for (topic, partitions) in topics {
            kafka.create_topic(topic, *partitions);
        }
        kafka.create_topic(DEAD_LETTERS, 1);
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("models.yaml"), DECLARATION).expect("written");
        Self {
            folder,
            brokers: kafka.address(),
            topics: topics.iter().map(|(topic, _)| *topic).collect(),
            idle_timeout: "1d",
        }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn write_config(&self, port: u16) -> PathBuf {
        let path = self.folder.path().join("driftline.yaml");
        let text = format!(
            "kafka:
  brokers: [\"{}\"]
  group_id: {}
  predictions: [{}]
  dead_letter: {DEAD_LETTERS}
  assignment: manual
  properties: {{fetch.wait.max.ms: 50}}
data_dir: data
rules: [models.yaml]
listen: 127.0.0.1:{port}
commit: {{every: 200ms}}
idle_timeout: {}
threads: 1
",
            self.brokers,
            self.topics[0],
            self.topics.join(", "),
            self.idle_timeout
        );
        fs::write(&path, text).expect("written");
        path
    }

    pub fn start(&self) -> Service {
        let port = free_port();
        let config = self.write_config(port);
        let folder = self.folder.path();
        Service::start(
            "serve",
            folder,
            &config,
            port,
            &folder.join("service.log"),
            None,
        )
    }

    /// Runs a subcommand with this configuration.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let config = self.write_config(free_port());
        Command::new(env!("CARGO_BIN_EXE_driftline"))
            .current_dir(self.folder.path())
            .args(arguments)
            .arg("--config")
            .arg(config)
            .output()
            .expect("it runs")
    }

    /// The number that `sql` asks the store for.
    pub fn number(&self, sql: &str) -> u64 {
        dump::number(&self.data_dir(), sql)
    }

    /// Records used so far.
    pub fn used(&self) -> u64 {
        self.number("SELECT coalesce(sum(used), 0) FROM cursors")
    }

    /// The verdicts on the hours that were closed, in order.
    pub fn verdicts(&self) -> Vec<(i64, String)> {
        let conn = dump::open(&self.data_dir()).expect("there is a store");
        let mut statement = conn
            .prepare("SELECT window_start, verdict FROM windows WHERE revision = 0 ORDER BY 1")
            .expect("a statement");
        let rows = statement.query_map([], |row| {
            let start: Millis = row.get(0)?;
            Ok(((start - START) / HOUR, row.get(1)?))
        });
        rows.expect("it runs")
            .collect::<Result<_, _>>()
            .expect("rows")
    }

    /// The cursor of a partition.
    pub fn cursor(&self, topic: &str, partition: i32) -> u64 {
        self.number(&format!(
            "SELECT next_offset FROM cursors WHERE topic = '{topic}' AND partition = {partition}"
        ))
    }
}
