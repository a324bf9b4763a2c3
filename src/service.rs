//! The wiring: store, readers, closer, delivery and API as tasks of one process, and the one clock.
//!
//! **Invariant:** a task that ends before it was told to, ends the process with an error. Nothing fails in silence.

pub mod alerting;
mod baseline;
pub mod closer;
pub mod closing;
mod dead_letters;
pub mod holder;
pub mod judging;
mod lake;
pub mod learning;
mod leases;
mod performance_scores;
mod performing;
pub mod quality_scores;
pub mod references;
mod retraining;
mod samples;
mod settling;
mod together;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::task::JoinSet;

use crate::api::auth::Access;
use crate::api::health::{Build, Readiness};
use crate::api::settle::{self, Settled};
use crate::api::{self, App, server};
use crate::compute::backend::{Choice, Compute};
use crate::config::{Backend, Config, Retention, Target};
use crate::event::{DAY, Millis};
use crate::ingest::ClientConfig;
use crate::ingest::catalogue::Catalogue;
use crate::ingest::sightings::DedupeSpec;
use crate::ingest::source::{self, Assignment, Shared, SourceConfig, SourceThread};
use crate::ingest::topics::Topics;
use crate::metrics::{Delivery, Metrics};
use crate::notify::{self, Http, Receiver, Secret};
use crate::profile::Layout;
use crate::retrain::{Audience, Parts, Retraining, Worker};
use crate::rules::Declarations;
use crate::service::closer::Closer;
use crate::service::closing::Closed;
use crate::service::leases::Leases;
use crate::service::settling::Settler;
use crate::store::lake::Lake;
use crate::store::{Store, layouts, retention};

/// Closed windows held for a listener that is slow to take them.
const CLOSED_HELD: usize = 1024;
const RETENTION_EVERY: Duration = Duration::from_secs(600);
/// How long settled notifications are kept.
const NOTIFICATIONS_KEPT: Millis = 90 * DAY;
/// How long leaving may take before the process ends anyway.
const LAST_COMMIT: Duration = Duration::from_secs(20);

/// Where "now" comes from. Wall time serves leases, delivery, silence and the bound on future timestamps; every
/// decision about windows and alerts is in event time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl Clock {
    pub fn system() -> Self {
        Self(Arc::new(|| {
            let since = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
        }))
    }

    /// A clock of the caller's own, for tests that turn it by hand. It must not go back.
    pub fn new(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> Millis {
        (self.0)()
    }
}

/// A running service.
pub struct Service {
    /// Where the API listens.
    pub address: SocketAddr,
    pub store: Store,
    pub lake: Lake,
    pub metrics: Metrics,
    pub retraining: Retraining,
    settler: Arc<Settler>,
    stop: watch::Sender<bool>,
    reading: Arc<AtomicBool>,
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
}

impl Service {
    /// Opens the store and starts every task. Returns when the API listens.
    pub async fn start(
        config: Config,
        declarations: Declarations,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let store = Store::open(&config.data_dir)?;
        let lake = Lake::open(&config.lake.location(&config.data_dir))?;
        let metrics = Metrics::new(
            env!("CARGO_PKG_VERSION"),
            option_env!("DRIFTLINE_REVISION").unwrap_or_default(),
        );
        let receivers = receivers(&config, &declarations)?;
        let retraining = retraining(&config, &declarations, &store, &lake, &metrics, &clock)?;
        let catalogue = Arc::new(Catalogue::new(declarations));
        for (model, layout) in store.read(layouts::all)? {
            catalogue.set_layout(&model, Layout::from_json(&layout.body)?);
        }
        let client = client(&config)?;
        let topics = || Topics::new(&client, config.kafka.predictions.clone());

        let stopped = Arc::new(AtomicBool::new(false));
        let committed = Arc::new(Notify::new());
        let dead_letters = dead_letters::connect(&config, &client)?;
        let reading_clock = clock.clone();
        let shared = Shared {
            store: store.clone(),
            catalogue: Arc::clone(&catalogue),
            metrics: metrics.clone(),
            dead_letters: dead_letters.clone(),
            now: Arc::new(move || reading_clock.now()),
            committed: Arc::clone(&committed),
            stop: Arc::clone(&stopped),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = config.threads.map_or(cores, usize::from);
        let source_config = SourceConfig {
            client: client.clone(),
            topics: config.kafka.predictions.clone(),
            labels: config.kafka.labels.clone(),
            assignment: config.kafka.assignment.into(),
            threads,
            commit_every: millis(config.commit.every),
            commit_rows: config.commit.rows,
            idle_timeout: millis(config.idle_timeout),
            limits: config.limits.clone(),
            dedupe: config
                .dedupe
                .map_or_else(DedupeSpec::off, |dedupe| DedupeSpec {
                    span_ms: dedupe.span,
                    reach: i64::try_from(dedupe.max_ids).unwrap_or(i64::MAX),
                }),
        };
        let mut readers = Vec::new();
        for index in 0..threads {
            readers.push(source::start(index, source_config.clone(), shared.clone())?);
        }
        let leases = Leases::new(Arc::clone(&stopped));
        let closer = Closer::new(
            store.clone(),
            catalogue,
            metrics.clone(),
            topics()?,
            Topics::new(&client, config.kafka.labels.clone())?,
            lake.clone(),
            config.limits.clone(),
            config
                .receivers
                .iter()
                .map(|receiver| receiver.name.clone())
                .collect(),
            Arc::new(Compute::remembering(
                choice(config.compute.backend),
                config.data_dir.clone(),
            )),
            tokio::runtime::Handle::current(),
            holder::name(),
            leases.clone(),
        );
        let all_topics = [&config.kafka.predictions[..], &config.kafka.labels].concat();
        let settler = Arc::new(Settler {
            requests: readers
                .iter()
                .map(|reader| reader.requests.clone())
                .collect(),
            topics: Topics::new(&client, all_topics)?,
            closer: Mutex::new(closer),
            store: store.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            closed: broadcast::channel(CLOSED_HELD).0,
        });

        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!(
                "listening on {}: is another process using it? Set `listen` to another address",
                config.listen
            )
        })?;
        let address = listener.local_addr()?;
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        spawn_readers(&mut tasks, readers);
        tasks.spawn(named(
            "closer",
            settling::close_windows(Arc::clone(&settler), committed, stopping.clone()),
        ));
        tasks.spawn(named(
            "leases",
            leases.keep(store.clone(), clock.clone(), stopping.clone()),
        ));
        tasks.spawn(named(
            "retention",
            sweep(
                store.clone(),
                config.retention,
                config.kafka.dead_letter.is_some(),
                clock.clone(),
                stopping.clone(),
            ),
        ));
        let keeper = lake::Keeper {
            lake: lake.clone(),
            store: store.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            policy: config.lake.clone(),
        };
        tasks.spawn(named("lake", keeper.keep(stopping.clone())));
        let copies = dead_letters::copy(
            dead_letters,
            store.clone(),
            client.clone(),
            metrics.clone(),
            stopping.clone(),
        );
        tasks.spawn(named("dead letters", copies));
        tasks.spawn(named(
            "delivery",
            deliver(
                store.clone(),
                receivers,
                metrics.clone(),
                clock.clone(),
                stopping.clone(),
            ),
        ));
        if config.retrain.in_process {
            let worker = Worker::new(retraining.clone(), holder::name(), holder::is_gone);
            let mut until = stopping.clone();
            tasks.spawn(named("retraining", async move {
                let shutdown = async move {
                    // An error says that the service itself is gone, which is a reason to stop too.
                    let _ = until.wait_for(|stop| *stop).await;
                };
                Ok(worker.run(shutdown).await?)
            }));
        }
        let ended = store.clone();
        let mut until = stopping.clone();
        tasks.spawn(named("store", async move {
            tokio::select! {
                () = ended.ended() => anyhow::bail!("the store's writer has ended"),
                _ = until.wait_for(|stop| *stop) => Ok(()),
            }
        }));

        let (settle, requests) = mpsc::channel(settle::QUEUE);
        tasks.spawn(named(
            "settle",
            settling::answer_settles(Arc::clone(&settler), requests, stopping.clone()),
        ));
        let (ready, readiness) = watch::channel(Readiness::default());
        tasks.spawn(named(
            "readiness",
            settling::tell_readiness(Arc::clone(&settler), ready, stopping.clone()),
        ));
        let build = Build {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: option_env!("DRIFTLINE_REVISION")
                .unwrap_or_default()
                .to_owned(),
        };
        let app = App {
            store: store.clone(),
            metrics: metrics.clone(),
            settle,
            readiness,
            build,
            retraining: retraining.clone(),
        };
        let tokens = match &config.auth.tokens_file {
            Some(path) => Some(api::auth::Tokens::read(path)?),
            None => None,
        };
        let access = Access::of(
            config.listen.ip(),
            tokens,
            config.auth.tls.is_some(),
            config.auth.insecure,
        )?;
        let mut until = stopping.clone();
        let tls = config.auth.tls.clone().map(|tls| server::Tls {
            cert: tls.cert,
            key: tls.key,
        });
        tasks.spawn(named("api", async move {
            let shutdown = async move {
                // An error says that the service itself is gone, which is a reason to stop too.
                let _ = until.wait_for(|stop| *stop).await;
            };
            Ok(server::run(listener, app, access, tls.as_ref(), shutdown).await?)
        }));
        tracing::info!(%address, threads, "driftline is up");
        Ok(Self {
            address,
            store,
            lake,
            metrics,
            retraining,
            settler,
            stop,
            reading: stopped,
            tasks,
        })
    }

    /// Commits everything that lies in the topics now and closes what is due.
    pub async fn settle(&self) -> anyhow::Result<Settled> {
        self.settler.settle().await
    }

    /// Hears of every window that this process closes from now on.
    pub fn closed(&self) -> broadcast::Receiver<Closed> {
        self.settler.closed.subscribe()
    }

    /// Resolves when a task has ended, which none should do by itself.
    pub async fn failed(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok((name, Ok(())))) => anyhow::anyhow!("the task {name:?} ended"),
            Some(Ok((name, Err(error)))) => error.context(format!("the task {name:?} failed")),
            Some(Err(error)) => anyhow::anyhow!("a task panicked: {error}"),
            None => anyhow::anyhow!("no task is left"),
        }
    }

    /// Stops reading, commits, hands leases back, and ends every task.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.reading.store(true, Ordering::Relaxed);
        // Nobody listening means that every task has ended already.
        let _ = self.stop.send(true);
        let mut outcome = Ok(());
        let end = async {
            while let Some(ended) = self.tasks.join_next().await {
                match ended {
                    Ok((name, Err(error))) => {
                        outcome = Err(error.context(format!("ending {name:?}")))
                    }
                    Err(error) => outcome = Err(error.into()),
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(LAST_COMMIT, end)
            .await
            .context("the service did not end in time")?;
        let settler = Arc::clone(&self.settler);
        tokio::task::spawn_blocking(move || settler.lock().leave()).await??;
        outcome
    }
}

impl Drop for Service {
    /// Without this the reading threads of a service that failed would go on, and keep the process from ending.
    fn drop(&mut self) {
        self.reading.store(true, Ordering::Relaxed);
        // Nobody listening means that every task has ended already.
        let _ = self.stop.send(true);
    }
}

/// What receives requests for new models and trains them; without a secret it receives none, and nobody trains here.
fn retraining(
    config: &Config,
    declarations: &Declarations,
    store: &Store,
    lake: &Lake,
    metrics: &Metrics,
    clock: &Clock,
) -> anyhow::Result<Retraining> {
    let secrets = match &config.retrain.secret_file {
        Some(path) if config.retrain.in_process => Secret::read_file(path)?,
        _ => Vec::new(),
    };
    let clock = clock.clone();
    Ok(Retraining::new(Parts {
        store: store.clone(),
        lake: lake.clone(),
        declarations: Arc::new(declarations.clone()),
        audience: audience(config),
        secrets,
        metrics: metrics.clone(),
        now: Arc::new(move || clock.now()),
    }))
}

/// Who is told of retraining: of alerts that end with it everyone, of runs and new champions whoever takes webhooks.
pub fn audience(config: &Config) -> Audience {
    let names = |all: bool| {
        let receivers = config.receivers.iter();
        receivers
            .filter(|receiver| all || matches!(receiver.target, Target::Webhook { .. }))
            .map(|receiver| receiver.name.clone())
            .collect()
    };
    Audience {
        alerts: names(true),
        events: names(false),
    }
}

fn choice(backend: Backend) -> Choice {
    match backend {
        Backend::Auto => Choice::Auto,
        Backend::Cpu => Choice::Cpu,
        Backend::Gpu => Choice::Gpu,
    }
}

async fn named(
    name: &'static str,
    task: impl Future<Output = anyhow::Result<()>>,
) -> (&'static str, anyhow::Result<()>) {
    (name, task.await)
}

fn spawn_readers(
    tasks: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
    readers: Vec<SourceThread>,
) {
    for reader in readers {
        tasks.spawn_blocking(move || {
            drop(reader.requests);
            let outcome = reader
                .handle
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("the thread panicked")));
            ("reader", outcome)
        });
    }
}

async fn sweep(
    store: Store,
    kept: Retention,
    copies_first: bool,
    clock: Clock,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(RETENTION_EVERY) => {}
            _ = stopping.wait_for(|stop| *stop) => return Ok(()),
        }
        let policy = retention::Policy {
            rejections_kept: Some(kept.rejections),
            copies_first,
            bytes_kept: Some(kept.store_bytes),
            settled_before_wall: Some(clock.now() - NOTIFICATIONS_KEPT),
            ..retention::Policy::default()
        };
        loop {
            let policy = policy.clone();
            let swept = store
                .write_async(move |tx| retention::sweep(tx, &policy, 1000))
                .await;
            match swept {
                Ok(swept) if swept.any() => {}
                // There is another time.
                Err(error) if !error.is_disk_full() && !error.is_busy() => return Err(error.into()),
                _ => break,
            }
        }
    }
}

/// Everyone who is told of alerts: the configured receivers, and the actions of declarations.
fn receivers(config: &Config, declarations: &Declarations) -> anyhow::Result<Vec<Receiver>> {
    let mut receivers = Vec::new();
    for receiver in &config.receivers {
        let (name, inside) = (receiver.name.as_str(), receiver.allow_internal);
        let receiver = match &receiver.target {
            Target::Webhook { url, secret_file } => {
                Receiver::webhook(name, url, Secret::read_file(secret_file)?, inside)
            }
            Target::Alertmanager { url } => Receiver::alertmanager(name, url, inside),
        };
        receivers.push(receiver.with_context(|| format!("receiver {name:?}"))?);
    }
    for declaration in declarations.iter() {
        for action in declaration.actions.values() {
            let name = alerting::action_receiver(declaration, &action.name);
            let secrets = Secret::read_file(&action.secret_file)?;
            let receiver =
                Receiver::webhook(&name, &action.webhook, secrets, action.allow_internal);
            receivers.push(
                receiver.with_context(|| {
                    format!("action {:?} of {}", action.name, declaration.source)
                })?,
            );
        }
    }
    Ok(receivers)
}

fn client(config: &Config) -> anyhow::Result<ClientConfig> {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", config.kafka.brokers.join(","))
        .set("group.id", &config.kafka.group_id);
    // Bounds what librdkafka reads ahead; its defaults are far too much memory under lag.
    client
        .set("queued.max.messages.kbytes", "65536")
        .set("queued.min.messages", "20000");
    for (key, value) in &config.kafka.properties {
        client.set(key, value);
    }
    for (key, file) in &config.kafka.secret_properties {
        let value = std::fs::read_to_string(file)
            .with_context(|| format!("reading {} for the Kafka property {key}", file.display()))?;
        client.set(key, value.trim_end());
    }
    Ok(client)
}

async fn deliver(
    store: Store,
    receivers: Vec<Receiver>,
    metrics: Metrics,
    clock: Clock,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let shutdown = async move {
        // An error says that the service itself is gone, which is a reason to stop too.
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let told = |attempt: &notify::Attempt| {
        tracing::info!(
            receiver = attempt.receiver,
            model = attempt.model,
            id = attempt.id,
            number = attempt.number,
            code = attempt.code,
            "delivery"
        );
        metrics.webhook_delivery(delivery_code(&attempt.code));
    };
    Ok(notify::run(
        store,
        Http::new()?,
        receivers,
        || clock.now(),
        told,
        shutdown,
    )
    .await?)
}

fn delivery_code(code: &str) -> Delivery {
    match code {
        "timeout" => Delivery::Timeout,
        "guarded" | "blocked" => Delivery::Guarded,
        code => code
            .parse()
            .map_or(Delivery::Unreachable, Delivery::Answered),
    }
}

fn millis(length: Millis) -> Duration {
    Duration::from_millis(length.max(0).cast_unsigned())
}

/// How partitions come to threads, as configured.
impl From<crate::config::Assignment> for Assignment {
    fn from(assignment: crate::config::Assignment) -> Self {
        match assignment {
            crate::config::Assignment::Group => Assignment::Group,
            crate::config::Assignment::Manual => Assignment::Manual,
        }
    }
}
