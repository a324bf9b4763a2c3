//! `driftline demo`: the flights of 2013 through an embedded broker into the real service, day by day in event time.
//!
//! Before each day the producer waits until the service has settled, so that every run gives the same summary.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::DemoArguments;
use crate::config::Config;
use crate::event::{DAY, Millis, rfc3339};
use crate::ingest::broker::{EmbeddedBroker, TopicSpec};
use crate::ingest::producer::Producer;
use crate::query::File;
use crate::rules::{Declarations, parse};
use crate::service::closing::Closed;
use crate::service::{Clock, Service};
use crate::stats::score::Verdict;
use crate::store::cursors;

mod flights;

use flights::Flight;

const TOPIC: &str = "predictions";
const DEAD_LETTERS: &str = "driftline.dead-letter";
const DECLARATION: &str = include_str!("../../rules/flights.yaml");
pub(crate) const FLIGHTS: File = File::Bytes {
    name: "flights.parquet",
    bytes: include_bytes!("../../tests/data/flights.parquet"),
};
/// Most drift lines printed for one window; the table at the end has them all.
const LINES_A_WINDOW: usize = 4;

/// What `--json` writes. The same on every run but for `seconds`.
#[derive(Debug, Serialize)]
struct Summary {
    /// Records produced, by kind.
    events: BTreeMap<&'static str, u64>,
    used: u64,
    late: u64,
    duplicate: u64,
    rejected: u64,
    windows: u64,
    /// Windows by verdict.
    verdicts: BTreeMap<&'static str, u64>,
    /// The features with a drift verdict, for each window that has any.
    drifted: Vec<Drifted>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Drifted {
    /// First day of the window.
    window: String,
    features: Vec<String>,
}

/// Plays the year, prints what drifted, and serves until Ctrl-C unless told to end.
pub fn run(arguments: &DemoArguments) -> anyhow::Result<()> {
    super::start_logging("warn", crate::config::LogFormat::Text);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(play(arguments))
}

async fn play(arguments: &DemoArguments) -> anyhow::Result<()> {
    let started = Instant::now();
    let flights = flights::read(&FLIGHTS).await?;
    let broker = EmbeddedBroker::start(&[
        TopicSpec {
            name: TOPIC.to_owned(),
            partitions: arguments.partitions,
        },
        TopicSpec {
            name: DEAD_LETTERS.to_owned(),
            partitions: 1,
        },
    ])?;
    let folder = DataFolder::new(arguments.data_dir.as_deref())?;
    let declarations = parse("rules/flights.yaml", DECLARATION)
        .and_then(Declarations::new)
        .map_err(|problems| anyhow::anyhow!("the demo's own declaration: {problems:?}"))?;
    let mut config = Config::default();
    config.kafka.brokers = vec![broker.bootstrap_servers().to_owned()];
    config.kafka.predictions = vec![TOPIC.to_owned()];
    config.kafka.dead_letter = Some(DEAD_LETTERS.to_owned());
    config.kafka.assignment = crate::config::Assignment::Manual;
    // The embedded broker answers a waiting fetch only when its time is up, so it must be short.
    config
        .kafka
        .properties
        .insert("fetch.wait.max.ms".to_owned(), "5".to_owned());
    config.data_dir = folder.path.clone();
    config.listen = arguments.listen;
    config.threads = NonZeroUsize::new(usize::from(arguments.threads));
    // The year is played faster than time goes by: no partition is idle, however long a step takes.
    config.idle_timeout = DAY;
    let mut service = Service::start(config, declarations, Clock::system()).await?;
    println!(
        "{} flights of 2013 through an embedded broker, {} partitions; weekly windows; reference: the weeks of January \
         and February",
        flights.len(),
        arguments.partitions
    );
    println!(
        "API and metrics: http://{0}/api/v1/models  http://{0}/metrics\n",
        service.address
    );

    let outcome = tokio::select! {
        played = produce(&broker, &flights, &service) => played?,
        error = async { service.store.ended().await } => { let () = error; anyhow::bail!("the store has ended") }
    };
    let counts = service.store.read_async(cursors::totals).await?;
    let summary = Summary {
        events: BTreeMap::from([("predictions", flights.len() as u64)]),
        used: counts.used,
        late: counts.late,
        duplicate: counts.duplicate,
        rejected: counts.rejected,
        windows: outcome.windows,
        verdicts: outcome.verdicts,
        drifted: outcome
            .drifted
            .into_iter()
            .map(|(window, features)| Drifted {
                window: day(window),
                features: features.into_iter().collect(),
            })
            .collect(),
        seconds: started.elapsed().as_secs_f64(),
    };
    print_table(&summary);
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

/// What the year brought.
#[derive(Debug, Default)]
struct Outcome {
    windows: u64,
    verdicts: BTreeMap<&'static str, u64>,
    drifted: BTreeMap<Millis, BTreeSet<String>>,
}

async fn produce(
    broker: &EmbeddedBroker,
    flights: &[Flight],
    service: &Service,
) -> anyhow::Result<Outcome> {
    let mut producer = Producer::new(broker.bootstrap_servers(), TOPIC)?;
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} flights {elapsed}")?
        .progress_chars("=> ");
    let progress = ProgressBar::new(flights.len() as u64).with_style(style);
    let mut outcome = Outcome::default();
    let mut closed = service.closed();
    for step in flights.chunk_by(|a, b| a.ts.div_euclid(DAY) == b.ts.div_euclid(DAY)) {
        progress.set_message(
            step.first()
                .map(|flight| day(flight.ts))
                .unwrap_or_default(),
        );
        for flight in step {
            producer.send(None, &flight.id, flight.ts, &flight.record()?)?;
        }
        producer.flush()?;
        service.settle().await?;
        while let Ok(window) = closed.try_recv() {
            outcome.add(&window, &progress);
        }
        progress.inc(step.len() as u64);
    }
    progress.finish_and_clear();
    Ok(outcome)
}

impl Outcome {
    fn add(&mut self, closed: &Closed, progress: &ProgressBar) {
        for (_, _, result) in &closed.results {
            if closed.revision > 0 {
                continue;
            }
            self.windows += 1;
            *self.verdicts.entry(result.verdict.as_str()).or_default() += 1;
            let bad: Vec<_> = result.judged_bad().collect();
            for score in bad.iter().take(LINES_A_WINDOW) {
                let value = score.value.unwrap_or_default();
                let limit = score
                    .threshold
                    .as_ref()
                    .map(|threshold| format!(" > {:.3}", threshold.value));
                let limit = limit.or_else(|| {
                    score
                        .parameters
                        .get("condition")
                        .cloned()
                        .map(|c| format!(" ({c})"))
                });
                let name = if score.column.is_empty() {
                    "the window"
                } else {
                    score.column.as_str()
                };
                say(
                    progress,
                    &format!(
                        "{}  {:<14} {} {:.3}{}  {}",
                        day(closed.span.start),
                        name,
                        score.statistic,
                        value,
                        limit.unwrap_or_default(),
                        score.moved
                    ),
                );
            }
            if bad.len() > LINES_A_WINDOW {
                say(
                    progress,
                    &format!(
                        "{}  and {} more",
                        day(closed.span.start),
                        bad.len() - LINES_A_WINDOW
                    ),
                );
            }
            for column in result.drifted() {
                self.drifted
                    .entry(closed.span.start)
                    .or_default()
                    .insert(column.to_owned());
            }
        }
    }
}

/// Prints a line above the progress bar, or just prints it where there is no terminal to draw a bar on.
fn say(progress: &ProgressBar, line: &str) {
    progress.suspend(|| println!("{line}"));
}

fn day(ts: Millis) -> String {
    rfc3339(ts).chars().take(10).collect()
}

/// Week × drifted features.
fn print_table(summary: &Summary) {
    let features: BTreeSet<&String> = summary
        .drifted
        .iter()
        .flat_map(|window| &window.features)
        .collect();
    println!("\nDrift by week of 2013 (● drift, · none; weeks without drift are left out)");
    print!("{:<12}", "week from");
    for feature in &features {
        print!("{feature:>15}");
    }
    println!();
    for window in &summary.drifted {
        print!("{:<12}", window.window);
        for feature in &features {
            print!(
                "{:>15}",
                if window.features.contains(feature) {
                    "●"
                } else {
                    "·"
                }
            );
        }
        println!();
    }
    let verdicts: Vec<String> = Verdict::ALL
        .iter()
        .filter_map(|verdict| {
            summary
                .verdicts
                .get(verdict.as_str())
                .map(|n| format!("{n} {}", verdict.as_str()))
        })
        .collect();
    println!(
        "\n{} windows: {}. {} records: {} used, {} late, {} duplicate, {} rejected. {:.1} s.",
        summary.windows,
        verdicts.join(", "),
        summary.events.values().sum::<u64>(),
        summary.used,
        summary.late,
        summary.duplicate,
        summary.rejected,
        summary.seconds
    );
}
