//! Reading Kafka: one thread with one `BaseConsumer` for each core, our own cursors, a commit every so often.
//!
//! **Invariants.** On assignment a partition is sought to the store's cursor, never to the group's offset; broker
//! offsets are committed only so that ordinary tools can show the lag. A commit that loses the compare-and-set
//! drops the partition's state and takes it up again from the store. A thread that ends, ends the process.

mod commit;
mod owned;
mod tails;
mod watch;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext};

use crate::event::{Limits, Millis, Partition, RecordKind};
use crate::ingest::catalogue::Catalogue;
use crate::ingest::dead_letter::DeadLetters;
use crate::ingest::partition::PartitionState;
use crate::ingest::sightings::DedupeSpec;
use crate::metrics::{Alarm, Metrics};
use crate::profile::Layout;
use crate::store::{Store, cursors, layouts};
use owned::{Owned, receive};
use tails::Tails;

/// How long a poll waits for a message; bounds how late a request to commit is seen.
const POLL: Duration = Duration::from_millis(20);
/// The same while records have come within [`BUSY`]: somebody may be waiting for them to be committed.
const POLL_BUSY: Duration = Duration::from_millis(1);
const BUSY: Duration = Duration::from_secs(1);
/// Messages decoded before their fates are told: large enough to make batches worthwhile, small enough to stay in
/// the cache.
const BATCH_MESSAGES: usize = 4096;
/// Asking a broker for a partition's ends.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a broker that does not answer is waited for, and how often it is asked. Below the five minutes after
/// which a group gives up on a member that does not poll.
const BROKER_PATIENCE: Duration = Duration::from_secs(120);
const BROKER_RETRY: Duration = Duration::from_secs(1);
/// How often a manual assignment looks for added partitions.
const TOPIC_REFRESH: Duration = Duration::from_secs(30);

/// How partitions come to threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignment {
    /// The consumer group's protocol shares them out.
    Group,
    /// Thread `t` of all `n` threads takes every partition with `partition % n == t`.
    Manual,
}

/// What all reading threads of a process have in common.
#[derive(Clone)]
pub struct SourceConfig {
    pub client: ClientConfig,
    /// Topics with predictions.
    pub topics: Vec<String>,
    /// Topics with labels; none of them among the others.
    pub labels: Vec<String>,
    pub assignment: Assignment,
    pub threads: usize,
    pub commit_every: Duration,
    pub commit_rows: u64,
    pub idle_timeout: Duration,
    pub limits: Limits,
    pub dedupe: DedupeSpec,
}

impl SourceConfig {
    fn all_topics(&self) -> impl Iterator<Item = &str> {
        self.topics.iter().chain(&self.labels).map(String::as_str)
    }

    fn kind(&self, topic: &str) -> RecordKind {
        if self.labels.iter().any(|labels| labels == topic) {
            RecordKind::Labels
        } else {
            RecordKind::Predictions
        }
    }
}

/// What the threads share with the rest of the service.
#[derive(Clone)]
pub struct Shared {
    pub store: Store,
    pub catalogue: Arc<Catalogue>,
    pub metrics: Metrics,
    pub dead_letters: DeadLetters,
    /// The reading clock, epoch milliseconds.
    pub now: Arc<dyn Fn() -> Millis + Send + Sync>,
    /// Told after each commit that something may be due.
    pub committed: Arc<tokio::sync::Notify>,
    pub stop: Arc<AtomicBool>,
}

/// Where a thread stands.
#[derive(Debug, Default, Clone)]
pub struct Status {
    /// The partitions it owns, each with its cursor in the store.
    pub cursors: BTreeMap<Partition, i64>,
    /// Records of these partitions that were read and whose fates are known, since the beginning of their logs.
    pub records: u64,
    /// Whether partitions were handed out to it, be it none.
    pub assigned: bool,
}

/// A question to a thread: where it stands, and whether to commit first.
#[derive(Debug)]
pub struct Request {
    pub commit: bool,
    pub answer: tokio::sync::oneshot::Sender<Status>,
}

/// A reading thread, seen from outside.
pub struct SourceThread {
    pub requests: mpsc::Sender<Request>,
    pub handle: std::thread::JoinHandle<anyhow::Result<()>>,
}

/// Starts thread number `index`.
pub fn start(index: usize, config: SourceConfig, shared: Shared) -> anyhow::Result<SourceThread> {
    let (requests, inbox) = mpsc::channel();
    let handle = std::thread::Builder::new()
        .name(format!("source-{index}"))
        .spawn(move || {
            let mut reader = Reader::new(index, config, shared)?;
            let outcome = reader.run(&inbox);
            reader.leave();
            outcome
        })?;
    Ok(SourceThread { requests, handle })
}

/// A rebalance that librdkafka told us of and that the thread has yet to carry out.
#[derive(Debug)]
enum Rebalance {
    Assign(Vec<Partition>),
    Revoke,
}

/// Notes rebalances; the thread carries them out as soon as `poll` returns, with its state at hand.
#[derive(Default)]
struct Context {
    rebalances: Mutex<Vec<Rebalance>>,
    leaving: AtomicBool,
}

impl ClientContext for Context {}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        tpl: &mut TopicPartitionList,
    ) {
        if self.leaving.load(Ordering::Relaxed) {
            if let Err(error) = consumer.unassign() {
                tracing::debug!(%error, "giving up partitions while leaving");
            }
            return;
        }
        let rebalance = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assign(
                tpl.elements()
                    .iter()
                    .map(|e| Partition {
                        topic: e.topic().to_owned(),
                        partition: e.partition(),
                    })
                    .collect(),
            ),
            _ => Rebalance::Revoke,
        };
        self.rebalances
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(rebalance);
    }
}

struct Reader {
    consumer: BaseConsumer<Context>,
    index: usize,
    config: SourceConfig,
    shared: Shared,
    owned: BTreeMap<Partition, Owned>,
    last_commit: Instant,
    /// When lag was last shown; `None`: not yet.
    lag_shown: Option<Instant>,
    last_idle_check: Instant,
    tails: Tails,
    last_record: Instant,
    last_refresh: Option<Instant>,
    assigned: bool,
}

impl Reader {
    fn new(index: usize, config: SourceConfig, shared: Shared) -> anyhow::Result<Self> {
        let mut client = config.client.clone();
        client
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // A position outside the log is our decision, never a silent jump.
            .set("auto.offset.reset", "error")
            .set("partition.assignment.strategy", "range,roundrobin")
            .set(
                "client.id",
                format!("driftline-{}-{index}", std::process::id()),
            );
        let consumer: BaseConsumer<Context> = client.create_with_context(Context::default())?;
        if config.assignment == Assignment::Group {
            let topics: Vec<&str> = config.all_topics().collect();
            consumer.subscribe(&topics)?;
        }
        let now = Instant::now();
        Ok(Self {
            consumer,
            index,
            config,
            shared,
            owned: BTreeMap::new(),
            last_commit: now,
            lag_shown: None,
            last_idle_check: now,
            tails: Tails::default(),
            last_record: now,
            last_refresh: None,
            assigned: false,
        })
    }

    fn run(&mut self, inbox: &mpsc::Receiver<Request>) -> anyhow::Result<()> {
        while !self.shared.stop.load(Ordering::Relaxed) {
            if self.config.assignment == Assignment::Manual {
                self.refresh_manual_assignment()?;
            }
            self.read()?;
            let rebalances: Vec<Rebalance> = std::mem::take(
                &mut *self
                    .consumer
                    .context()
                    .rebalances
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner),
            );
            for rebalance in rebalances {
                match rebalance {
                    Rebalance::Assign(partitions) => self.take_up(partitions)?,
                    Rebalance::Revoke => {
                        self.commit()?;
                        self.give_up();
                    }
                }
            }
            self.pause_or_resume()?;
            self.look_for_hidden_tails();
            self.look_for_idle()?;
            let requests: Vec<Request> = inbox.try_iter().collect();
            let rows: u64 = self
                .owned
                .values()
                .map(|owned| owned.state.rows_since_commit())
                .sum();
            let due = self.last_commit.elapsed() >= self.config.commit_every
                || rows >= self.config.commit_rows;
            if due || requests.iter().any(|request| request.commit) {
                self.commit()?;
                // Commits on request may leave none that is due by time, and come so often that asking for the log's
                // end at each would cost more than they do.
                let shown = self.lag_shown.map(|shown| shown.elapsed());
                if shown.is_none_or(|ago| ago >= self.config.commit_every) {
                    self.show_lag();
                }
            }
            for request in requests {
                // The asker may have gone away; that is its business.
                let _ = request.answer.send(self.status());
            }
        }
        self.commit()
    }

    fn status(&self) -> Status {
        let cursors = self
            .owned
            .iter()
            .map(|(partition, owned)| (partition.clone(), owned.state.cursor()));
        Status {
            cursors: cursors.collect(),
            records: self
                .owned
                .values()
                .map(|owned| owned.state.counts().total())
                .sum(),
            assigned: self.assigned,
        }
    }

    /// Reads until nothing waits or a batch is full, then tells the records' fates.
    fn read(&mut self) -> anyhow::Result<()> {
        let mut timeout = if self.last_record.elapsed() < BUSY {
            POLL_BUSY
        } else {
            POLL
        };
        let (mut lost, mut received) = (false, false);
        let one_topic = self.config.all_topics().count() == 1;
        // Messages come in runs of one partition.
        let mut current: Option<(&Partition, &mut Owned)> = None;
        for _ in 0..BATCH_MESSAGES {
            match self.consumer.poll(timeout) {
                None => break,
                Some(Ok(message)) => {
                    let is_from = |partition: &Partition| {
                        partition.partition == message.partition()
                            && (one_topic || partition.topic == message.topic())
                    };
                    if !current
                        .as_ref()
                        .is_some_and(|(partition, _)| is_from(partition))
                    {
                        current = self
                            .owned
                            .iter_mut()
                            .find(|(partition, _)| is_from(partition));
                    }
                    let Some((_, owned)) = &mut current else {
                        continue;
                    };
                    receive(owned, &message, &self.shared);
                    received = true;
                    if owned.state.is_full() {
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    // Which topic's partition was meant is not told.
                    let told = self
                        .owned
                        .iter_mut()
                        .filter(|(owned, _)| owned.partition == partition);
                    told.for_each(|(_, owned)| owned.told_end = true);
                    current = None;
                }
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset,
                ))) => {
                    lost = true;
                    break;
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    anyhow::bail!("the Kafka consumer cannot go on: {code}");
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "reading from Kafka");
                    break;
                }
            }
            timeout = Duration::ZERO;
        }
        if received {
            self.last_record = Instant::now();
        }
        for owned in self.owned.values_mut() {
            owned.state.absorb()?;
        }
        if lost {
            self.reposition()?;
        }
        Ok(())
    }

    /// Takes partitions up at the store's cursors, in addition to those already owned.
    fn take_up(&mut self, partitions: Vec<Partition>) -> anyhow::Result<()> {
        for partition in partitions {
            if let Some(owned) = self.load(&partition)? {
                self.owned.insert(partition, owned);
            }
        }
        self.assign()
    }

    fn load(&self, partition: &Partition) -> anyhow::Result<Option<Owned>> {
        let (low, high) = self.ask(|| {
            self.consumer
                .fetch_watermarks(&partition.topic, partition.partition, BROKER_TIMEOUT)
        })?;
        let wanted = partition.clone();
        let loaded = self
            .shared
            .store
            .read(move |conn| cursors::load_partition(conn, &wanted))?;
        let kind = self.config.kind(&partition.topic);
        if let Some(loaded) = &loaded {
            anyhow::ensure!(
                loaded.kind == kind,
                "the topic {:?} was read as {} before and is now configured as {kind}: use another topic or another \
                 data_dir",
                partition.topic,
                loaded.kind
            );
            for row in &loaded.streams {
                self.learn_layout(&row.model)?;
            }
            if loaded.alarm.is_some() || loaded.next_offset > high {
                let (at, stopped) = (loaded.next_offset, partition.clone());
                tracing::error!(%partition, cursor = at, end = high,
                    "the log ends before our cursor: was the topic recreated? \
                     The partition stays stopped until `driftline cursors reset`");
                self.shared
                    .store
                    .write(move |tx| cursors::raise_alarm(tx, &stopped, cursors::LOG_RECREATED))?;
                self.shared.metrics.alarm(Alarm::CursorBeyondEnd, true);
                return Ok(None);
            }
        }
        let mut state = PartitionState::load(
            partition.clone(),
            kind,
            low,
            loaded,
            &self.config.limits,
            &self.config.dedupe,
            self.shared.store.clone(),
            Arc::clone(&self.shared.catalogue),
        );
        let lost = low - state.cursor();
        state.log_begins_at(low);
        if lost > 0 {
            tracing::error!(%partition, records = lost, "the log begins after our cursor: records are lost");
            self.shared.metrics.log_gap(partition, lost.cast_unsigned());
        }
        Ok(Some(Owned {
            state,
            told_end: false,
            looked_at: 0,
            end: (high, Instant::now()),
            caught_up: None,
            unanswered: false,
            paused: false,
            moved: (0, Instant::now()),
            last_rows: BTreeMap::new(),
            copies: Vec::new(),
        }))
    }

    /// Asks the broker until it answers: one that restarts is waited for, not a reason to end.
    fn ask<T>(&self, question: impl Fn() -> Result<T, KafkaError>) -> anyhow::Result<T> {
        let deadline = Instant::now() + BROKER_PATIENCE;
        loop {
            match question() {
                Ok(answer) => return Ok(answer),
                Err(error)
                    if Instant::now() < deadline && !self.shared.stop.load(Ordering::Relaxed) =>
                {
                    tracing::warn!(%error, "the broker does not answer; asking again");
                    std::thread::sleep(BROKER_RETRY);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Another process may have made a model's layout: the store is asked until it has one.
    fn learn_layout(&self, model: &str) -> anyhow::Result<()> {
        if self
            .shared
            .catalogue
            .get(model)
            .is_some_and(|known| known.layout.is_none())
        {
            let name = model.to_owned();
            if let Some(stored) = self
                .shared
                .store
                .read(move |conn| layouts::get(conn, &name))?
            {
                self.shared
                    .catalogue
                    .set_layout(model, Layout::from_json(&stored.body)?);
            }
        }
        Ok(())
    }

    /// Tells librdkafka where to read each owned partition.
    fn assign(&mut self) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        self.resume_all()?;
        for (partition, owned) in &self.owned {
            list.add_partition_offset(
                &partition.topic,
                partition.partition,
                Offset::Offset(owned.state.next_offset()),
            )?;
        }
        self.consumer.assign(&list)?;
        self.assigned = true;
        Ok(())
    }

    /// A pause outlives an assignment in librdkafka: whoever reads a partition anew takes it back first.
    fn resume_all(&mut self) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        for (partition, owned) in self.owned.iter_mut().filter(|(_, owned)| owned.paused) {
            owned.paused = false;
            list.add_partition(&partition.topic, partition.partition);
        }
        if list.count() > 0 {
            self.consumer.resume(&list)?;
        }
        Ok(())
    }

    fn give_up(&mut self) {
        if let Err(error) = self.resume_all() {
            tracing::warn!(%error, "resuming partitions before giving them up");
        }
        for (partition, _) in std::mem::take(&mut self.owned) {
            self.shared.metrics.revoked(&partition);
        }
        if let Err(error) = self.consumer.unassign() {
            tracing::warn!(%error, "giving up partitions");
        }
    }

    /// The broker refused a position: each partition is held against the log's ends again.
    fn reposition(&mut self) -> anyhow::Result<()> {
        self.commit()?;
        self.resume_all()?;
        let partitions: Vec<Partition> = self.owned.keys().cloned().collect();
        self.owned.clear();
        self.take_up(partitions)
    }

    fn refresh_manual_assignment(&mut self) -> anyhow::Result<()> {
        if self
            .last_refresh
            .is_some_and(|at| at.elapsed() < TOPIC_REFRESH)
        {
            return Ok(());
        }
        self.last_refresh = Some(Instant::now());
        let mut added = Vec::new();
        for topic in self.config.all_topics() {
            let metadata = match self.consumer.fetch_metadata(Some(topic), BROKER_TIMEOUT) {
                Ok(metadata) => metadata,
                Err(error) => {
                    tracing::warn!(%error, topic, "the broker does not tell the topic's partitions");
                    continue;
                }
            };
            for topic in metadata.topics() {
                for partition in topic.partitions() {
                    let partition = Partition {
                        topic: topic.name().to_owned(),
                        partition: partition.id(),
                    };
                    let mine = usize::try_from(partition.partition)
                        .is_ok_and(|p| p % self.config.threads == self.index);
                    if mine && !self.owned.contains_key(&partition) {
                        added.push(partition);
                    }
                }
            }
        }
        self.assigned = true;
        if added.is_empty() {
            return Ok(());
        }
        self.commit()?;
        self.take_up(added)
    }

    fn leave(&mut self) {
        self.consumer
            .context()
            .leaving
            .store(true, Ordering::Relaxed);
        self.give_up();
    }
}
