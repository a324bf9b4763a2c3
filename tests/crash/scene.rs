//! What a run plays in: a folder with configuration, declaration and store, a receiver, and a log on a broker.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::dump::{self, Dump};
use crate::log::{Log, labels_topic, produce, reference_csv};
use crate::processes::{Broker, Service, free_port, wait_until};
use crate::receiver::{Receiver, SECRET};

/// Windows of both models are short, so that many are closed; `flights` learns its layout and its reference from the
/// log, `departures` has them from a file. The rows of one are kept, and compared by a rule over several columns, and a
/// sample of the other's.
pub const TWO_MODELS: &str = r#"
model: flights
task: {type: binary, positive: late}
window: {every: 2d, lateness: 1h, revise_every: 6h, late_horizon: 1d}
reference: {first: REFERENCE}
columns: {COLUMNS}
rows: all
rules:
  - {name: inputs, watch: drift, on: "*", severity: ticket}
  - {name: nulls, watch: null_rate, on: "*", above: reference + 2pp, severity: ticket}
  - {name: volume, watch: volume, below: reference * 0.5, severity: ticket}
  - {name: weather, watch: drift, statistic: energy, on: [temp], level: 0.01, sample: 100, severity: ticket}
---
model: departures
task: none
window: {every: 1d, lateness: 30m, revise_every: 3h, late_horizon: 12h, min_rows: 20}
reference: {file: reference.csv}
columns: {COLUMNS}
rows: {sample: 40%}
rules:
  - {name: temperature, watch: drift, on: temp, for: 2 of 3, severity: page}
"#;

/// A log, where it lies, and what its windows are compared with.
pub struct Play {
    pub log: Log,
    pub topic: &'static str,
    pub partitions: i32,
    /// With `REFERENCE` and `COLUMNS` where the next two go.
    pub declarations: &'static str,
    /// For `reference: {first: …}`.
    pub reference: &'static str,
    /// What is watched: calibrating thresholds is most of a run's work.
    pub columns: &'static str,
}

impl Play {
    /// Has as many partitions as the topic with predictions.
    pub fn labels_topic(&self) -> String {
        labels_topic(self.topic)
    }

    /// Partitions of both topics.
    pub fn all_partitions(&self) -> u64 {
        2 * u64::from(self.partitions.unsigned_abs())
    }
}

/// Five months over eight partitions.
pub static LONG: LazyLock<Play> = LazyLock::new(|| Play {
    log: Log::record(34_000, 8, (100, 108)),
    topic: "predictions",
    partitions: 8,
    declarations: TWO_MODELS,
    reference: "30d",
    columns: "exclude: [dow]",
});

/// Some weeks over four partitions, for what is run many times.
pub static SHORT: LazyLock<Play> = LazyLock::new(|| Play {
    log: Log::record(5_000, 4, (14, 18)),
    topic: "short",
    partitions: 4,
    declarations: TWO_MODELS,
    reference: "10d",
    columns: "include: [temp, carrier]",
});

pub const DEAD_LETTERS: &str = "driftline.dead-letter";

/// One broker with both logs, for all tests that only read them. It ends with this process, which holds its input.
pub static BROKER: LazyLock<Broker> = LazyLock::new(|| {
    let broker = empty_broker(&[&LONG, &SHORT]);
    for play in [&LONG, &SHORT] {
        produce(&broker.address, play.topic, &play.log.records);
    }
    broker
});

pub fn empty_broker(plays: &[&Play]) -> Broker {
    let mut topics: Vec<String> = plays
        .iter()
        .flat_map(|play| [play.topic.to_owned(), play.labels_topic()].map(|topic| (topic, play)))
        .map(|(topic, play)| format!("{topic}:{}", play.partitions))
        .collect();
    topics.push(format!("{DEAD_LETTERS}:1"));
    Broker::start(&topics.iter().map(String::as_str).collect::<Vec<_>>())
}

/// How partitions come to the service.
#[derive(Clone, Copy)]
pub enum Assignment {
    Manual,
    Group,
}

/// One store with what belongs to it.
pub struct Scene {
    /// Also where the services are started: a store must not depend on where its folder lies.
    folder: TempDir,
    pub receiver: Receiver,
    play: &'static Play,
    broker: String,
    assignment: Assignment,
    /// How long the client rests when it has read enough ahead.
    pub rest_ms: u32,
    pub commit: &'static str,
    /// When the lake writes files, and how large they become.
    pub lake: &'static str,
}

impl Scene {
    pub fn new(play: &'static Play, broker: &str, assignment: Assignment) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        fs::write(path.join("secret"), SECRET).expect("written");
        fs::write(path.join("reference.csv"), reference_csv(1_500)).expect("written");
        fs::write(
            path.join("models.yaml"),
            play.declarations
                .replace("REFERENCE", play.reference)
                .replace("COLUMNS", play.columns),
        )
        .expect("written");
        Self {
            folder,
            receiver: Receiver::start(),
            play,
            broker: broker.to_owned(),
            assignment,
            rest_ms: 5,
            commit: "every: 100ms, rows: 300",
            lake: "flush_rows: 100, flush_age: 1s, segment_rows: 400, grace: 1s",
        }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts a service on this store; its name tells its log apart from others'.
    pub fn start(&self, name: &str, failpoint: Option<&str>) -> Service {
        let folder = self.folder.path();
        let (port, rest_ms) = (free_port(), self.rest_ms);
        let (commit, lake) = (self.commit, self.lake);
        let (assignment, extra) = match self.assignment {
            Assignment::Manual => ("manual", ""),
            Assignment::Group => (
                "group",
                ", session.timeout.ms: 6000, heartbeat.interval.ms: 500",
            ),
        };
        // The embedded broker answers a waiting fetch only when its time is up, so it must be short. Small fetches make
        // small commits, and many. No partition is idle: what is played here is older than any clock.
        let config = format!(
            "kafka:
  brokers: [\"{}\"]
  group_id: crash
  predictions: [{}]
  labels: [{}]
  dead_letter: {DEAD_LETTERS}
  assignment: {assignment}
  properties: {{fetch.wait.max.ms: 5, max.partition.fetch.bytes: 20000, queued.min.messages: 50, fetch.queue.backoff.ms: {rest_ms}{extra}}}
data_dir: data
rules: [models.yaml]
listen: 127.0.0.1:{port}
commit: {{{commit}}}
idle_timeout: 1d
lake: {{{lake}}}
threads: 2
receivers:
  - {{name: hook, webhook: \"http://{}/hook\", secret_file: secret, allow_internal: true}}
",
            self.broker,
            self.play.topic,
            self.play.labels_topic(),
            self.receiver.address
        );
        let path = folder.join(format!("{name}.yaml"));
        fs::write(&path, config).expect("written");
        Service::start(
            "serve",
            folder,
            &path,
            port,
            &folder.join(format!("{name}.log")),
            failpoint,
        )
    }

    /// A process that dies between claiming a notification and noting its delivery leaves it claimed for a minute.
    /// This lets the minute pass.
    pub fn let_claims_run_out(&self) {
        let conn =
            Connection::open(self.data_dir().join(dump::FILE_NAME)).expect("there is a store");
        conn.busy_timeout(Duration::from_secs(30)).expect("set");
        // A process that died early left no tables.
        let _ = conn.execute(
            "UPDATE outbox SET next_attempt_wall = 0 WHERE status = 'pending'",
            [],
        );
    }

    /// Whether the receiver has taken every notification.
    pub fn delivered(&self) -> bool {
        dump::number(
            &self.data_dir(),
            "SELECT count(*) FROM outbox WHERE status = 'pending'",
        ) == 0
    }

    /// Whether every row and label is in a segment, and every file that was replaced is gone.
    pub fn tidied(&self) -> bool {
        dump::number(
            &self.data_dir(),
            "SELECT (SELECT count(*) FROM lake_buffer) + (SELECT count(*) FROM dropped_segments)",
        ) == 0
    }

    #[track_caller]
    pub fn wait_for_delivery(&self) {
        wait_until("the last delivery", || self.delivered());
    }

    /// The store must be that of `expected`, and the receiver must have been told everything.
    #[track_caller]
    pub fn check(&self, expected: &Dump, what: &str) {
        Dump::of(&self.data_dir()).check(expected, what);
        self.check_calls(what);
    }

    /// Each notification of the outbox was received at least once, always with the same body under its id, and
    /// nothing else was: what was rolled back was never told.
    #[track_caller]
    fn check_calls(&self, what: &str) {
        let conn = dump::open(&self.data_dir()).expect("there is a store");
        let mut statement = conn
            .prepare("SELECT idempotency_key, body FROM outbox")
            .expect("a statement");
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("it runs");
        let outbox: Vec<(String, String)> = rows.collect::<rusqlite::Result<_>>().expect("rows");
        let calls = self.receiver.calls();
        for (id, body) in &outbox {
            let received = calls
                .get(id)
                .unwrap_or_else(|| panic!("{what}: {id} was never received"));
            assert!(
                received.iter().all(|other| other == body),
                "{what}: {id} came with another body: {received:?}"
            );
        }
        assert_eq!(
            calls.len(),
            outbox.len(),
            "{what}: something was told that is in no outbox"
        );
    }
}

/// A run that nobody interrupts: its dump is what every other run of the play must come to.
pub struct Uninterrupted {
    pub dump: Dump,
    pub took: Duration,
}

impl Uninterrupted {
    fn run(play: &'static Play) -> Self {
        let scene = Scene::new(play, &BROKER.address, Assignment::Manual);
        let started = Instant::now();
        let mut service = scene.start("uninterrupted", None);
        service.settle();
        let took = started.elapsed();
        scene.wait_for_delivery();
        let (status, _) = service.terminate();
        assert!(status.success(), "{status}");
        let dump = Dump::of(&scene.data_dir());
        scene.check_calls("an uninterrupted run");
        check_play(play, &scene, &dump);
        println!(
            "uninterrupted, {} records: {took:.1?}, rows {:?}",
            play.log.records.len(),
            dump.sizes()
        );
        Self { dump, took }
    }
}

pub static LONG_RUN: LazyLock<Uninterrupted> = LazyLock::new(|| Uninterrupted::run(&LONG));
pub static SHORT_RUN: LazyLock<Uninterrupted> = LazyLock::new(|| Uninterrupted::run(&SHORT));

/// Without late rows, revisions, alerts and rejections in it a comparison would prove little.
fn check_play(play: &Play, scene: &Scene, dump: &Dump) {
    let count = |sql: &str| dump::number(&scene.data_dir(), sql);
    let produced = play.log.records.len() as u64;
    assert_eq!(
        dump::settled_records(&scene.data_dir()),
        produced,
        "{:?}",
        play.log.kinds
    );
    let kinds = &play.log.kinds;
    let broken: u64 = kinds
        .iter()
        .filter(|(kind, _)| !["good", "duplicate", "delayed"].contains(kind))
        .filter(|(kind, _)| !kind.starts_with("label"))
        .map(|(_, n)| n)
        .sum();
    assert_eq!(count("SELECT sum(rejected) FROM cursors"), broken);
    assert_eq!(count("SELECT count(*) FROM rejections"), broken);
    assert_eq!(
        count("SELECT sum(duplicate) FROM cursors"),
        kinds["duplicate"] + kinds["label told twice"]
    );
    assert_eq!(
        count("SELECT sum(used) FROM cursors WHERE kind = 'labels'"),
        kinds["label"] + kinds["label corrected"] + kinds["label of an unknown flight"]
    );
    assert_eq!(count("SELECT count(*) FROM cursors"), play.all_partitions());
    for (what, sql) in [
        ("late rows", "SELECT sum(late) FROM cursors"),
        (
            "revisions",
            "SELECT count(*) FROM windows WHERE revision > 0",
        ),
        (
            "a second version",
            "SELECT count(*) FROM windows WHERE version = '2' AND rows > 0",
        ),
        (
            "drift",
            "SELECT count(*) FROM windows WHERE verdict = 'drift'",
        ),
        (
            "quiet windows",
            "SELECT count(*) FROM windows WHERE verdict = 'ok'",
        ),
        (
            "alerts that fire",
            "SELECT count(*) FROM transitions WHERE to_status = 'firing'",
        ),
        (
            "alerts that end",
            "SELECT count(*) FROM transitions WHERE from_status = 'firing'",
        ),
        (
            "rows in the lake",
            "SELECT (SELECT count(*) FROM lake_buffer WHERE kind = 'rows')
                  + (SELECT count(*) FROM segments WHERE kind = 'rows')",
        ),
        ("segments", "SELECT count(*) FROM segments"),
        (
            "labels in the lake",
            "SELECT (SELECT count(*) FROM lake_buffer WHERE kind = 'labels')
                  + (SELECT count(*) FROM segments WHERE kind = 'labels')",
        ),
        ("notifications", "SELECT count(*) FROM outbox"),
        (
            "a reference of windows",
            "SELECT count(*) FROM reference_profiles WHERE model = 'flights'",
        ),
        (
            "a reference of a file",
            "SELECT count(*) FROM reference_profiles WHERE model = 'departures'",
        ),
    ] {
        assert!(count(sql) > 0, "the play has no {what}: {:?}", dump.sizes());
    }
    assert_eq!(count("SELECT count(*) FROM pending"), 0);
    assert_eq!(
        count("SELECT count(*) FROM gaps"),
        0,
        "the broker dropped records: the log is too long for it"
    );
}
