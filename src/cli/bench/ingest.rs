//! `driftline bench ingest`: a broker in another process holds a filled topic; it is polled, polled and parsed, and
//! taken the whole way to committed profiles, several rounds of each in turn, on one reading thread.

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;

use crate::event::{Limits, Millis};
use crate::ingest::ClientConfig;
use crate::ingest::catalogue::Catalogue;
use crate::ingest::dead_letter::DeadLetters;
use crate::ingest::decode::{Decoder, observe};
use crate::ingest::producer::Producer;
use crate::ingest::scan::scan;
use crate::ingest::sightings::DedupeSpec;
use crate::ingest::source::{self, Assignment, Shared, SourceConfig};
use crate::metrics::Metrics;
use crate::profile::{Layout, Sample};
use crate::store::layouts::{self, StoredLayout};
use crate::store::{Store, cursors};

const TOPIC: &str = "bench";
/// The embedded broker keeps 5 MiB a partition; this many hold the default number of rows.
const PARTITIONS: i32 = 96;
const NUMERIC: usize = 16;
const CATEGORIES: [&str; 4] = ["region", "channel", "plan", "device"];
const START: Millis = 1_767_225_600_000;
/// Rows that the layout of the benchmark is learned from.
const LEARN_ROWS: u64 = 20_000;

/// What `driftline bench ingest` takes.
#[derive(Debug, clap::Args)]
pub struct IngestArguments {
    /// Rows in the topic.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Rounds of each figure; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The broker's process, ended when this goes.
struct BrokerProcess(Child);

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the benchmark and prints a table.
pub fn run(arguments: &IngestArguments) -> anyhow::Result<()> {
    let mut broker = BrokerProcess(
        Command::new(std::env::current_exe()?)
            .args(["broker", "--topic", &format!("{TOPIC}:{PARTITIONS}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the broker's process")?,
    );
    let stdout = broker
        .0
        .stdout
        .take()
        .context("the broker has no standard output")?;
    let mut address = String::new();
    BufReader::new(stdout).read_line(&mut address)?;
    let address = address.trim().to_owned();

    let bytes = fill(&address, arguments.rows)?;
    let layout = learn();
    println!(
        "{} rows of {} bytes, {} features, {PARTITIONS} partitions; the broker runs in another process",
        arguments.rows,
        bytes / arguments.rows.max(1),
        NUMERIC + CATEGORIES.len(),
    );
    let stages = [
        "bare poll",
        "poll + parse",
        "full, no dedupe",
        "full, dedupe",
    ];
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); stages.len()];
    for _ in 0..arguments.rounds.max(1) {
        seconds[0].push(poll(&address, arguments.rows, None)?.as_secs_f64());
        seconds[1].push(poll(&address, arguments.rows, Some(&layout))?.as_secs_f64());
        seconds[2].push(full(&address, arguments.rows, &layout, false)?.as_secs_f64());
        seconds[3].push(full(&address, arguments.rows, &layout, true)?.as_secs_f64());
    }
    let rates: Vec<f64> = seconds
        .iter()
        .map(|runs| arguments.rows as f64 / median(runs))
        .collect();
    println!(
        "{:<16} {:>14} {:>8} {:>8}",
        "stage", "rows/s (core)", "of poll", "of parse"
    );
    for (stage, rate) in stages.iter().zip(&rates) {
        println!(
            "{stage:<16} {rate:>14.0} {:>7.0}% {:>7.0}%",
            100.0 * rate / rates[0],
            100.0 * rate / rates[1]
        );
    }
    if let Some(path) = &arguments.json {
        let rows = stages.iter().zip(&rates).zip(&seconds).map(|((stage, rate), runs)| {
            json!({"stage": stage, "rows_per_second": rate, "of_poll": rate / rates[0], "of_parse": rate / rates[1], "seconds": runs})
        });
        let rows: Vec<_> = rows.collect();
        let profile = if cfg!(debug_assertions) {
            "dev"
        } else {
            "release"
        };
        let report = json!({"rows": arguments.rows, "profile": profile, "stages": rows});
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Row `i` of the topic: about 400 bytes, ten seconds of event time for ten thousand rows.
fn record(i: u64, text: &mut String) {
    use std::fmt::Write as _;
    // SplitMix64: cheap, and the same rows in every run.
    let mut state = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    text.clear();
    let ts = START + (i as Millis);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        r#"{{"model":"bench","version":"3","id":"{i:010x}","ts":{ts},"features":{{"#
    );
    for feature in 0..NUMERIC {
        let value = (next() >> 40) as f64 / 1000.0;
        let _ = write!(text, r#""x{feature}":{value},"#);
    }
    for (place, name) in CATEGORIES.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(text, r#"{comma}"{name}":"c{}""#, next() % 12);
    }
    text.push_str("}}");
}

fn fill(address: &str, rows: u64) -> anyhow::Result<u64> {
    let mut producer = Producer::new(address, TOPIC)?;
    let mut text = String::new();
    let mut bytes = 0;
    for i in 0..rows {
        record(i, &mut text);
        bytes += text.len() as u64;
        producer.send(
            Some(i32::try_from(i % PARTITIONS as u64)?),
            "",
            START,
            &text,
        )?;
    }
    producer.flush()?;
    Ok(bytes)
}

fn learn() -> Layout {
    let mut sample = Sample::new();
    let mut text = String::new();
    for i in 0..LEARN_ROWS {
        record(i, &mut text);
        observe(text.as_bytes(), &mut sample);
    }
    Layout::learn(&sample, &crate::profile::ColumnRules::default())
}

fn declarations() -> anyhow::Result<Arc<Catalogue>> {
    let declared = crate::rules::parse("bench", "model: bench\ntask: none\nwindow: {every: 1h}\n")
        .and_then(crate::rules::Declarations::new)
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok(Arc::new(Catalogue::new(declared)))
}

/// Polls the whole topic, and decodes it if a layout is given.
fn poll(address: &str, rows: u64, layout: Option<&Layout>) -> anyhow::Result<Duration> {
    let catalogue = declarations()?;
    let mut decoders: Vec<Decoder> = Vec::new();
    if let Some(layout) = layout {
        catalogue.set_layout("bench", layout.clone());
        decoders.extend((0..PARTITIONS).map(|_| Decoder::new(Limits::default(), [])));
    }
    let now = START + rows as Millis;
    let (mut started, mut ended, mut seen, mut refused) = (None, None, 0, None);
    scan(address, TOPIC, |record| {
        started.get_or_insert_with(Instant::now);
        seen += 1;
        if let Some(decoder) = usize::try_from(record.partition)
            .ok()
            .and_then(|p| decoders.get_mut(p))
        {
            if let Err(rejection) = decoder.push(record.offset, record.payload, now, &*catalogue) {
                refused = Some(rejection);
            }
            if seen % 4096 == 0 {
                for decoder in &mut decoders {
                    std::hint::black_box(decoder.take());
                }
            }
        }
        if seen < rows {
            return ControlFlow::Continue(());
        }
        ended = Some(Instant::now());
        ControlFlow::Break(())
    })?;
    if let Some(rejection) = refused {
        anyhow::bail!("the benchmark's own record was rejected: {rejection}");
    }
    let (Some(started), Some(ended)) = (started, ended) else {
        anyhow::bail!(
            "the broker has {seen} of {rows} rows: fewer than were sent; use fewer --rows"
        );
    };
    Ok(ended - started)
}

/// The service's own reading thread, until every row is in the store.
fn full(address: &str, rows: u64, layout: &Layout, dedupe: bool) -> anyhow::Result<Duration> {
    let folder = std::env::temp_dir().join(format!("driftline-bench-{}", std::process::id()));
    let store = Store::open(&folder)?;
    let catalogue = declarations()?;
    let stored = StoredLayout {
        hash: layout.hash(),
        body: layout.to_json(),
    };
    store.write(move |tx| layouts::insert_if_absent(tx, "bench", &stored))?;
    catalogue.set_layout("bench", layout.clone());
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", address)
        .set("group.id", "bench-full");
    let stop = Arc::new(AtomicBool::new(false));
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), "");
    let shared = Shared {
        store: store.clone(),
        catalogue,
        metrics: metrics.clone(),
        dead_letters: DeadLetters::none(),
        now: Arc::new(move || START + rows as Millis),
        committed: Arc::default(),
        stop: Arc::clone(&stop),
    };
    let config = SourceConfig {
        client,
        topics: vec![TOPIC.to_owned()],
        labels: Vec::new(),
        assignment: Assignment::Manual,
        threads: 1,
        commit_every: Duration::from_secs(5),
        commit_rows: 1_000_000,
        idle_timeout: Duration::from_secs(3600),
        limits: Limits::default(),
        dedupe: if dedupe {
            DedupeSpec::default()
        } else {
            DedupeSpec::off()
        },
    };
    let started = Instant::now();
    let thread = source::start(0, config, shared)?;
    let ask = |commit| {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let request = source::Request { commit, answer };
        thread.requests.send(request).ok()?;
        answered.blocking_recv().ok()
    };
    // The thread commits at its own pace; only what is left at the end of the log is asked for.
    while let Some(status) = ask(false) {
        if status.records >= rows {
            ask(true);
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let elapsed = started.elapsed();
    stop.store(true, Ordering::Relaxed);
    thread
        .handle
        .join()
        .map_err(|_| anyhow::anyhow!("the reading thread panicked"))??;
    let counts = store.read(cursors::totals)?;
    anyhow::ensure!(
        counts.used == rows,
        "{counts:?}: every row of the benchmark should be used"
    );
    drop(store);
    std::fs::remove_dir_all(&folder)?;
    Ok(elapsed)
}
