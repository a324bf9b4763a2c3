//! Apache Kafka as a process of its own, and what an administrator does to it.
//!
//! **Invariant:** no broker outlives its test: it ends with its handle, and with this process at the latest, which holds
//! its standard input. Its data folder outlives its restarts.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tempfile::TempDir;

use crate::processes::{free_port, wait_until};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/kafka/run");
/// What the script ends with when Java or Kafka is not here and cannot be had.
const CANNOT_RUN: i32 = 3;
/// `require`: a broker that cannot be had fails the tests. `skip`: they are not run.
const VARIABLE: &str = "KAFKA_TESTS";
/// For one question to a broker.
const ANSWER: Duration = Duration::from_secs(30);

/// Why no broker can be had; nothing if one can.
static MISSING: LazyLock<Option<String>> = LazyLock::new(|| {
    let wish = std::env::var(VARIABLE).unwrap_or_default();
    if wish == "skip" {
        return Some(format!("{VARIABLE} is `skip`"));
    }
    let output = Command::new(SCRIPT)
        .arg("--fetch")
        .stdin(Stdio::null())
        .output()
        .expect("the script runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => None,
        Some(CANNOT_RUN) if wish != "require" => Some(words),
        _ => panic!("{SCRIPT} --fetch ended with {}:\n{words}", output.status),
    }
});

/// A broker for one test.
pub struct Kafka {
    child: Child,
    // Held open: the script could not print otherwise.
    out: BufReader<ChildStdout>,
    folder: TempDir,
    port: u16,
}

impl Kafka {
    /// `None` where no broker can be had, which is said so that it is seen even though the test passes.
    pub fn start(test: &str) -> Option<Self> {
        if let Some(why) = &*MISSING {
            // The test runner swallows what `eprintln!` prints in a test that passes; not this.
            let told = format!(
                "tests/kafka: NOT RUN: {test}: no real broker: {}\n",
                why.trim()
            );
            let _ = std::io::stderr().write_all(told.as_bytes());
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let (child, out) = spawn(folder.path(), port);
        let mut kafka = Self {
            child,
            out,
            folder,
            port,
        };
        kafka.wait_until_ready();
        Some(kafka)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// SIGTERM: the broker writes everything down.
    pub fn stop(&mut self) {
        signal("TERM", self.child.id());
        self.wait_for_end(0);
    }

    /// SIGKILL for the broker itself: what it had not written down is still with the operating system.
    pub fn kill(&mut self) {
        let pid = fs::read_to_string(self.folder.path().join("broker.pid")).expect("it runs");
        signal("KILL", pid.trim().parse().expect("a process id"));
        self.wait_for_end(1);
    }

    /// The same broker again: same data, same address.
    pub fn start_again(&mut self) {
        (self.child, self.out) = spawn(self.folder.path(), self.port);
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("it prints");
        assert_eq!(
            line.trim(),
            format!("ready on {}", self.address()),
            "the broker did not start; its words:\n{}",
            self.last_words()
        );
    }

    fn wait_for_end(&mut self, expected: i32) {
        let mut status = None;
        wait_until("the end of the broker", || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        let code = status.and_then(|status| status.code());
        assert_eq!(code, Some(expected), "{}", self.last_words());
    }

    fn last_words(&self) -> String {
        ["script.log", "broker.log"]
            .map(|name| {
                let text = fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                lines[lines.len().saturating_sub(15)..].join("\n")
            })
            .join("\n")
    }

    /// Runs one of Kafka's own programs with `input` as its standard input.
    pub fn run_class(&self, class: &str, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(SCRIPT)
            .args(["--class", class, "--bootstrap-server", &self.address()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the script runs");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin
            .write_all(input.as_bytes())
            .expect("the program reads");
        drop(stdin);
        child.wait_with_output().expect("the program ends")
    }

    pub fn create_topic(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let made = block_on(self.admin().create_topics([&topic], &options));
        for outcome in made.expect("the broker answers") {
            outcome.expect("the topic is made");
        }
        // Made is one thing, led another.
        wait_until("a leader for every partition", || {
            (0..partitions).all(|partition| self.ends(name, partition).is_some())
        });
    }

    /// Returns when nobody is told of the topic any more.
    pub fn delete_topic(&self, name: &str) {
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let gone = block_on(self.admin().delete_topics(&[name], &options));
        for outcome in gone.expect("the broker answers") {
            outcome.expect("the topic is deleted");
        }
        wait_until("the end of the topic", || self.ends(name, 0).is_none());
    }

    /// Records before `offset` go, as they do when they are older than the topic keeps them.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))
            .expect("an offset");
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let gone = block_on(self.admin().delete_records(&list, &options));
        for element in gone.expect("the broker answers").elements() {
            element.error().expect("the records are deleted");
        }
    }

    /// The first offset of a partition and the one after its last, hidden records counted.
    pub fn ends(&self, topic: &str, partition: i32) -> Option<(i64, i64)> {
        let consumer: BaseConsumer = self.client().create().expect("a consumer");
        consumer.fetch_watermarks(topic, partition, ANSWER).ok()
    }

    /// Bytes of a partition's newest file of records.
    pub fn file_bytes(&self, topic: &str, partition: i32) -> u64 {
        let folder = format!("data/{topic}-{partition}");
        let files =
            fs::read_dir(self.folder.path().join(folder)).expect("the partition has a folder");
        let newest = files
            .filter_map(Result::ok)
            .filter(|file| file.path().extension().is_some_and(|end| end == "log"))
            .max_by_key(|file| file.file_name());
        let newest = newest.expect("the partition has a file");
        newest.metadata().expect("it is there").len()
    }

    /// For clients of this broker.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.address());
        client
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an administrator")
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // The script ends its broker when it is told to, and when its input ends.
        drop(self.child.stdin.take());
        let until = Instant::now() + ANSWER;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, port: u16) -> (Child, BufReader<ChildStdout>) {
    let words = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("script.log"))
        .expect("a file for the script's words");
    let mut child = Command::new(SCRIPT)
        .args(["--until-eof", "--port", &port.to_string(), "--data-dir"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(words)
        .spawn()
        .expect("the script runs");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    (child, out)
}

fn signal(name: &str, pid: u32) {
    let told = Command::new("sh")
        .args(["-c", "kill -\"$0\" \"$1\"", name, &pid.to_string()])
        .status();
    assert!(told.expect("sh runs").success(), "kill -{name} {pid}");
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}
