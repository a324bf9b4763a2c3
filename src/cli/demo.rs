//! `driftline demo`: the flights of 2013 through an embedded broker into the real service, day by day in event time,
//! with labels at the time at which they were known, and a model server that follows the champion.
//!
//! Before each day the producer waits until the service has settled and no retraining is under way, so that every run
//! gives the same summary.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use indicatif::{ProgressBar, ProgressStyle};
use rand::Rng as _;

use super::DemoArguments;
use crate::config::{Assignment, Config, LogFormat};
use crate::event::{DAY, Millis, rfc3339};
use crate::ingest::broker::{EmbeddedBroker, TopicSpec};
use crate::ingest::producer::Producer;
use crate::learn::{Candidate, Model};
use crate::query::File;
use crate::retrain::Run;
use crate::rules::{Declaration, Declarations, parse};
use crate::service::{Clock, Service};
use crate::store::outbox::Status as Delivery;
use crate::store::{cursors, outbox, runs};

mod baselines;
mod flights;
mod months;
mod serving;
mod summary;

use baselines::{monthly, trailing_share, train};
use flights::{MODEL, Year};
use months::{Month, Peers};
use serving::{FIRST, FROZEN, ModelServer};
use summary::{Outcome, Retrain, Summary};

const PREDICTIONS: &str = "predictions";
const LABELS: &str = "labels";
const DEAD_LETTERS: &str = "driftline.dead-letter";
const DECLARATION: &str = include_str!("../../rules/flights.yaml");
pub(crate) const FLIGHTS: File = File::Bytes {
    name: "flights.parquet",
    bytes: include_bytes!("../../tests/data/flights.parquet"),
};
/// The first model knows January and February: 2013-03-01.
const FIRST_UNTIL: Millis = 1_362_096_000_000;
/// How long a step's retraining may take before the demo gives up on it.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at whether retraining is under way.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Plays the year, prints what drifted and what was trained, and serves until Ctrl-C unless told to end.
pub fn run(arguments: &DemoArguments) -> anyhow::Result<()> {
    super::start_logging("warn", LogFormat::Text);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(play(arguments))
}

async fn play(arguments: &DemoArguments) -> anyhow::Result<()> {
    let started = Instant::now();
    let year = std::sync::Arc::new(Year::read(&FLIGHTS).await?);
    let topic = |name: &str, partitions| TopicSpec {
        name: name.to_owned(),
        partitions,
    };
    let broker = EmbeddedBroker::start(&[
        topic(PREDICTIONS, arguments.partitions),
        topic(LABELS, arguments.partitions),
        topic(DEAD_LETTERS, 1),
    ])?;
    let folder = DataFolder::new(arguments.data_dir.as_deref())?;
    let mut config = Config::default();
    config.kafka.brokers = vec![broker.bootstrap_servers().to_owned()];
    config.kafka.predictions = vec![PREDICTIONS.to_owned()];
    config.kafka.labels = vec![LABELS.to_owned()];
    config.kafka.dead_letter = Some(DEAD_LETTERS.to_owned());
    config.kafka.assignment = Assignment::Manual;
    // The embedded broker answers a waiting fetch only when its time is up, so it must be short.
    config
        .kafka
        .properties
        .insert("fetch.wait.max.ms".to_owned(), "5".to_owned());
    config.data_dir = folder.path.clone();
    config.listen = free_address(arguments.listen)?;
    config.threads = NonZeroUsize::new(usize::from(arguments.threads));
    config.compute.backend = super::backend(arguments.backend);
    // The year is played faster than time goes by: no partition is idle, however long a step takes.
    config.idle_timeout = DAY;
    let secret = write_secret(&folder.path)?;
    config.retrain.secret_file = Some(secret.clone());
    let declaration = declaration(&config, &secret)?;
    let seed = declaration.retrain.seed;

    let first = {
        let year = std::sync::Arc::clone(&year);
        tokio::task::spawn_blocking(move || {
            train(
                &year,
                &Candidate::parse("logistic")?,
                Millis::MIN,
                FIRST_UNTIL,
                seed,
            )
        })
        .await??
    };
    let months = months::spans(&year);
    // What the live model is measured against is computed beside the year, on another core.
    let peers = {
        let (year, first, months) = (std::sync::Arc::clone(&year), first.clone(), months.clone());
        tokio::task::spawn_blocking(move || peers(&year, &first, &months, seed))
    };

    let declarations = Declarations::new(vec![declaration])
        .map_err(|problems| anyhow::anyhow!("the demo's own declaration: {problems:?}"))?;
    let mut service = Service::start(config, declarations, Clock::system()).await?;
    introduce(&year, arguments.partitions, &service);
    service
        .retraining
        .register(MODEL, FIRST, Some(first.to_bytes()), "demo")
        .await?;
    let mut server = ModelServer::new(service.store.clone(), service.lake.clone(), first);

    let outcome = tokio::select! {
        played = produce(&broker, &year, &mut server, &service) => played?,
        error = async { service.store.ended().await } => { let () = error; anyhow::bail!("the store has ended") }
    };
    let peers = peers.await??;
    let mut lines: Vec<Month> = Vec::new();
    for span in &months {
        lines.push(months::month(&year, &peers, *span, &service, &outcome).await?);
    }
    let counts = service.store.read_async(cursors::totals).await?;
    let labels = year.flights.iter().filter(|flight| flight.label.is_some());
    let summary = Summary {
        events: BTreeMap::from([
            ("predictions", 2 * year.flights.len() as u64),
            ("labels", labels.count() as u64),
        ]),
        used: counts.used,
        late: counts.late,
        duplicate: counts.duplicate,
        rejected: counts.rejected,
        windows: outcome.windows,
        verdicts: outcome.verdicts,
        drifted: outcome.drifted.into_iter().map(Into::into).collect(),
        retrains: retrains(&service).await?,
        months: lines,
        seconds: started.elapsed().as_secs_f64(),
    };
    summary.print();
    if let Some(path) = &arguments.json {
        let mut text = serde_json::to_string_pretty(&summary)?;
        text.push('\n');
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    if !arguments.exit {
        println!("\nServing http://{}/ until Ctrl-C.", service.address);
        tokio::select! {
            signal = tokio::signal::ctrl_c() => signal?,
            error = service.failed() => return Err(error),
        }
    }
    service.stop().await
}

fn introduce(year: &Year, partitions: i32, service: &Service) {
    println!(
        "{} flights of 2013 through an embedded broker, {partitions} partitions; weekly windows; reference: the weeks of \
         January and February.\nVersion {FIRST}, a logistic regression on January and February, serves; {FROZEN:?} is a \
         copy of it that is never trained again.\nA challenger that wins at the gate is promoted by itself here (mode \
         promote); the default is to propose it to a person.",
        year.flights.len(),
    );
    println!(
        "API and metrics: http://{0}/api/v1/models  http://{0}/api/v1/retrain-runs  http://{0}/metrics\n",
        service.address
    );
}

/// The shipped declaration, calling this process with a secret of its own.
fn declaration(config: &Config, secret: &Path) -> anyhow::Result<Declaration> {
    let declarations = parse("rules/flights.yaml", DECLARATION)
        .map_err(|problems| anyhow::anyhow!("the demo's own declaration: {problems:?}"))?;
    let mut declaration = declarations
        .into_iter()
        .next()
        .context("the demo's declaration is one document")?;
    for action in declaration.actions.values_mut() {
        action.webhook = format!("http://{}/retrain", config.listen);
        action.secret_file = secret.to_path_buf();
    }
    Ok(declaration)
}

/// The address, with a free port in place of 0: the declaration must name it before anybody listens.
fn free_address(wanted: std::net::SocketAddr) -> anyhow::Result<std::net::SocketAddr> {
    if wanted.port() != 0 {
        return Ok(wanted);
    }
    let listener = std::net::TcpListener::bind(wanted)
        .with_context(|| format!("looking for a free port at {}", wanted.ip()))?;
    Ok(listener.local_addr()?)
}

/// A secret of this run, in a file that only its owner reads.
fn write_secret(folder: &Path) -> anyhow::Result<PathBuf> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::create_dir_all(folder)?;
    let path = folder.join("whsec");
    let mut key = [0_u8; 32];
    rand::rng().fill_bytes(&mut key);
    let text = base64::engine::general_purpose::STANDARD.encode(key);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("writing {}", path.display()))?;
    writeln!(file, "whsec_{text}")?;
    Ok(path)
}

fn peers(
    year: &Year,
    first: &Model,
    months: &[crate::event::Span],
    seed: u64,
) -> anyhow::Result<Peers> {
    let starts: Vec<Millis> = months
        .iter()
        .map(|month| month.start)
        .filter(|start| *start >= FIRST_UNTIL)
        .collect();
    Ok(Peers {
        monthly: monthly(year, &Candidate::parse("forest")?, first, &starts, seed)?,
        base_rate: trailing_share(year),
    })
}

async fn produce(
    broker: &EmbeddedBroker,
    year: &Year,
    server: &mut ModelServer,
    service: &Service,
) -> anyhow::Result<Outcome> {
    let mut predictions = Producer::new(broker.bootstrap_servers(), PREDICTIONS)?;
    let mut labels = Producer::new(broker.bootstrap_servers(), LABELS)?;
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} flights {elapsed}")?
        .progress_chars("=> ");
    let progress = ProgressBar::new(year.flights.len() as u64).with_style(style);
    let mut outcome = Outcome::new(year);
    let mut closed = service.closed();
    // Labels in the order in which they became known.
    let mut known: Vec<(Millis, usize)> = year
        .flights
        .iter()
        .enumerate()
        .filter_map(|(row, flight)| Some((flight.label?.0, row)))
        .collect();
    known.sort_unstable();
    let mut known = known.into_iter().peekable();
    let mut from = 0;
    while from < year.flights.len() {
        let today = year.flights[from].ts.div_euclid(DAY);
        let to = year
            .flights
            .partition_point(|flight| flight.ts.div_euclid(DAY) <= today);
        progress.set_message(day(today * DAY));
        server.follow().await?;
        let (live, frozen) = server.score(year, from..to)?;
        for (place, row) in (from..to).enumerate() {
            let (flight, features) = (&year.flights[row], year.features_json(row));
            for (version, probability) in [(server.version(), live[place]), (FROZEN, frozen[place])]
            {
                let record = flight.prediction(version, &features, probability)?;
                predictions.send(None, &flight.id, flight.ts, &record)?;
            }
        }
        // After the last flight, whatever is still to come.
        let until = if to < year.flights.len() {
            (today + 1) * DAY
        } else {
            Millis::MAX
        };
        while let Some((ts, row)) = known.next_if(|(ts, _)| *ts < until) {
            let flight = &year.flights[row];
            if let Some(record) = flight.label_record() {
                labels.send(None, &flight.id, ts, &record)?;
            }
        }
        predictions.flush()?;
        labels.flush()?;
        service.settle().await?;
        outcome.trained(retrained(service).await?, &progress);
        while let Ok(window) = closed.try_recv() {
            outcome.add(&window, &progress);
        }
        progress.inc((to - from) as u64);
        from = to;
    }
    progress.finish_and_clear();
    Ok(outcome)
}

/// Waits until every request for a new model is delivered and no run is under way; returns all runs so far.
async fn retrained(service: &Service) -> anyhow::Result<Vec<Run>> {
    let until = Instant::now() + PATIENCE;
    loop {
        let (pending, rows) = service
            .store
            .read_async(|conn| {
                let pending = outbox::counts(conn)?
                    .into_iter()
                    .any(|(_, status, count)| status == Delivery::Pending && count > 0);
                Ok((pending, runs::list(conn, Some(MODEL), None, u32::MAX)?))
            })
            .await?;
        if !pending && !rows.iter().any(|run| run.status.is_active()) {
            return Ok(rows
                .into_iter()
                .rev()
                .map(Run::read)
                .collect::<Result<_, _>>()?);
        }
        anyhow::ensure!(
            Instant::now() < until,
            "retraining did not end within {} s; `/api/v1/retrain-runs` and the log say where it stands",
            PATIENCE.as_secs()
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn retrains(service: &Service) -> anyhow::Result<Vec<Retrain>> {
    Ok(retrained(service)
        .await?
        .iter()
        .map(Retrain::from)
        .collect())
}

/// Where the state goes; a temporary folder ends with the demo.
struct DataFolder {
    path: PathBuf,
    temporary: bool,
}

impl DataFolder {
    fn new(wanted: Option<&Path>) -> anyhow::Result<Self> {
        let temporary = wanted.is_none();
        let path = wanted.map_or_else(
            || std::env::temp_dir().join(format!("driftline-demo-{}", std::process::id())),
            Path::to_path_buf,
        );
        let used = path
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_some());
        anyhow::ensure!(
            !used,
            "{} is not empty: the demo begins a year of its own; name another --data-dir or empty this one",
            path.display()
        );
        Ok(Self { path, temporary })
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            eprintln!("could not remove {}: {error}", self.path.display());
        }
    }
}

/// The date of a time, in UTC.
fn day(ts: Millis) -> String {
    rfc3339(ts).chars().take(10).collect()
}
