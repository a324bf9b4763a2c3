//! `driftline bench gpu`: every kernel on both backends over a grid of sizes, beside the device's measured ceilings.
//!
//! Each figure is the median of several rounds, fewer where one takes seconds; first the device's, then the CPU's, then
//! one more of the device, which has been idle meanwhile. "Without transfers" is the time in dispatches. Shares are of the multiply-adds and copies that the device did in this run;
//! operations are those of the definition, whatever a kernel gets away with. The last columns are what `auto` would
//! choose if this device were one it takes, and that time over the better backend's.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::json;

use crate::compute::backend::{Backend, Choice, Compute};
use crate::compute::device::{Gpu, GpuError};
use crate::compute::histogram::Column;
use crate::compute::labels::Labels;
use crate::compute::points::Points;
use crate::compute::work::{Kernel, Work};
use crate::compute::{histogram, pairwise_distance, rbf_mmd, resample, worst_slice};

/// What `driftline bench gpu` takes.
#[derive(Debug, clap::Args)]
pub struct GpuBenchArguments {
    /// Rounds of each figure, fewer if they take more than some seconds; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Also the large sizes: 32,768 rows a side, up to 128 numbers and 1,000 permutations.
    #[arg(long)]
    large: bool,
    /// One round of small sizes.
    #[arg(long, conflicts_with = "large")]
    quick: bool,
    /// Only this kernel: `rbf_mmd`, `pairwise_distance`, `histogram`, `resample` or `worst_slice`.
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Only the CPU: where no device is, or to compare with `benches/peer_mmd.py`.
    #[arg(long)]
    cpu_only: bool,
    /// Only the device.
    #[arg(long, conflicts_with = "cpu_only")]
    device_only: bool,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Operations beyond which a device in software is not asked: it would take minutes and say nothing.
const MOST_IN_SOFTWARE: f64 = 2e8;

/// Seconds after which a figure gets no further round.
const ENOUGH: f64 = 3.0;
/// What `auto` may lose.
const MOST_OVER: f64 = 1.1;

/// One call: made once, run on either backend.
enum Call {
    Pairs(Kernel, Points, Labels),
    Histogram(Vec<Vec<f64>>, Vec<f64>),
    Resample(resample::Plan),
    WorstSlice(worst_slice::Rows),
}

impl Call {
    fn work(&self) -> Work {
        match self {
            Self::Pairs(_, points, labels) => Work::of_pairs(points, labels),
            Self::Histogram(values, edges) => Work::of_histogram(&columns(values, edges)),
            Self::Resample(plan) => Work::of_resample(plan),
            Self::WorstSlice(rows) => Work::of_slices(rows),
        }
    }

    fn on_cpu(&self) {
        match self {
            Self::Pairs(Kernel::RbfMmd, points, labels) => drop(rbf_mmd::fast(points, labels)),
            Self::Pairs(_, points, labels) => drop(pairwise_distance::fast(points, labels)),
            Self::Histogram(values, edges) => drop(histogram::fast(&columns(values, edges))),
            Self::Resample(plan) => drop(resample::fast(plan)),
            Self::WorstSlice(rows) => drop(worst_slice::fast(rows)),
        }
    }

    fn on_gpu(&self, gpu: &Gpu) -> Result<(), GpuError> {
        match self {
            Self::Pairs(Kernel::RbfMmd, points, labels) => {
                rbf_mmd::on_gpu(gpu, points, labels).map(drop)
            }
            Self::Pairs(_, points, labels) => {
                pairwise_distance::on_gpu(gpu, points, labels).map(drop)
            }
            Self::Histogram(values, edges) => {
                histogram::on_gpu(gpu, &columns(values, edges)).map(drop)
            }
            Self::Resample(plan) => resample::on_gpu(gpu, plan).map(drop),
            Self::WorstSlice(rows) => worst_slice::on_gpu(gpu, rows).map(drop),
        }
    }
}

fn columns<'a>(values: &'a [Vec<f64>], edges: &'a [f64]) -> Vec<Column<'a>> {
    let column = |values: &'a Vec<f64>| Column {
        values,
        edges,
        domain: None,
    };
    values.iter().map(column).collect()
}

/// Numbers that look random: sums of four, between −2 and 2, near normal.
fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    (0..count)
        .map(|_| next() + next() + next() + next())
        .collect()
}

fn pairs(
    kernel: Kernel,
    rows: usize,
    dims: usize,
    permutations: usize,
) -> anyhow::Result<(String, Call)> {
    let (first, second) = (noise(rows * dims, 1), noise(rows * dims, 2));
    let points = match kernel {
        Kernel::RbfMmd => rbf_mmd::points(&first, &second, dims, (dims as f64).sqrt()),
        _ => pairwise_distance::points(&first, &second, dims),
    };
    let points = points.context("rows make points")?;
    let labels = Labels::of_rows(rows, rows, permutations, 3);
    Ok((
        format!("{rows} rows a side, d = {dims}, B = {permutations}"),
        Call::Pairs(kernel, points, labels),
    ))
}

/// A call is made when its turn comes: the large ones take memory.
type Make = Box<dyn FnOnce() -> anyhow::Result<(String, Call)>>;

fn calls(large: bool, quick: bool) -> Vec<(Kernel, Make)> {
    let mut calls: Vec<(Kernel, Make)> = Vec::new();
    for kernel in [Kernel::RbfMmd, Kernel::PairwiseDistance] {
        let mut sizes = vec![(128, 32, 100), (512, 32, 100), (1024, 32, 100)];
        if !quick {
            sizes.extend([(2048, 8, 200), (4096, 32, 100)]);
        }
        if large {
            sizes.extend([(4096, 128, 1000), (32_768, 32, 100), (32_768, 128, 1000)]);
        }
        for (rows, dims, permutations) in sizes {
            let make = move || pairs(kernel, rows, dims, permutations);
            calls.push((kernel, Box::new(make)));
        }
    }
    let some = |sizes: &[usize]| {
        let count = if large { sizes.len() } else { sizes.len() - 1 };
        sizes[..if quick { 1 } else { count }].to_vec()
    };
    for rows in some(&[1_000, 10_000, 100_000, 1_000_000]) {
        calls.push((Kernel::Histogram, Box::new(move || Ok(histograms(rows)))));
    }
    for draws in some(&[10, 100, 1_000]) {
        calls.push((Kernel::Resample, Box::new(move || draws_of(draws))));
    }
    for rows in some(&[10_000, 100_000, 1_000_000]) {
        calls.push((Kernel::WorstSlice, Box::new(move || slices(rows))));
    }
    calls
}

fn histograms(rows: usize) -> (String, Call) {
    let values = (0..20).map(|column| noise(rows, column)).collect();
    let edges = (1..256).map(|i| f64::from(i) / 128.0 - 1.0).collect();
    let size = format!("{rows} rows × 20 columns");
    (size, Call::Histogram(values, edges))
}

fn draws_of(draws: usize) -> anyhow::Result<(String, Call)> {
    let columns = vec![vec![10; 10]; 20];
    let plan = resample::Plan::new(&columns, 10_000, 1_000, draws as u32, 4);
    let plan = plan.context("within limits")?;
    let size = format!("{draws} draws × 20 columns, 11,000 rows");
    Ok((size, Call::Resample(plan)))
}

fn slices(rows: usize) -> anyhow::Result<(String, Call)> {
    let bins = (1..13)
        .map(|f| (0..rows).map(|row| (row * f % 13) as u8).collect())
        .collect();
    let sides: Vec<bool> = (0..rows).map(|row| row % 2 == 0).collect();
    let all = worst_slice::Rows::new(bins, &sides, &sides).context("bins of all rows")?;
    Ok((format!("{rows} rows × 12 features"), Call::WorstSlice(all)))
}

/// Seconds of a call.
#[derive(Debug, Default)]
struct Seconds {
    cpu: Option<f64>,
    /// On the device in all, in dispatches, and in all after a pause: a device that had nothing to do is slower at
    /// first.
    device: Option<[f64; 3]>,
}

/// Medians of both backends. The device's calls follow each other, so that its clocks are up.
fn measure(
    call: &Call,
    gpu: Option<&Gpu>,
    with_cpu: bool,
    rounds: usize,
) -> anyhow::Result<Seconds> {
    let median = |mut seconds: Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    let several = |once: &mut dyn FnMut() -> anyhow::Result<f64>| {
        let (begin, mut seconds) = (Instant::now(), vec![once()?]);
        while seconds.len() < rounds && begin.elapsed().as_secs_f64() < ENOUGH {
            seconds.push(once()?);
        }
        Ok::<_, anyhow::Error>(seconds)
    };
    let mut found = Seconds::default();
    if let Some(gpu) = gpu {
        // Compiles.
        call.on_gpu(gpu)?;
        let mut busy = Vec::new();
        let whole = several(&mut || {
            let (start, before) = (Instant::now(), gpu.busy_secs());
            call.on_gpu(gpu)?;
            busy.push(gpu.busy_secs() - before);
            Ok(start.elapsed().as_secs_f64())
        })?;
        found.device = Some([median(whole), median(busy), f64::NAN]);
    }
    if with_cpu {
        let seconds = several(&mut || {
            let start = Instant::now();
            call.on_cpu();
            Ok(start.elapsed().as_secs_f64())
        })?;
        found.cpu = Some(median(seconds));
    }
    if let (Some(gpu), Some([_, _, after_pause])) = (gpu, found.device.as_mut()) {
        let start = Instant::now();
        call.on_gpu(gpu)?;
        *after_pause = start.elapsed().as_secs_f64();
    }
    Ok(found)
}

/// Measures and prints.
pub fn run(arguments: &GpuBenchArguments) -> anyhow::Result<()> {
    let compute = Compute::new(Choice::Gpu);
    let device = (!arguments.cpu_only).then(|| compute.device());
    let gpu = match device {
        Some(Ok(gpu)) => Some(gpu),
        Some(Err(why)) => {
            println!("{why}: the CPU alone");
            None
        }
        None => None,
    };
    let calibration = gpu.and_then(|_| compute.calibration().copied());
    // What a choice goes by is measured as it always is; the ceilings at length.
    let ceilings = match (gpu, calibration) {
        (Some(gpu), Some(calibration)) => Some(calibration.at_length(gpu)?),
        _ => None,
    };
    if let (Some(gpu), Some(calibration)) = (gpu, ceilings) {
        let facts = gpu.facts();
        println!(
            "{} ({}, {}); ceilings: {:.1} GFLOP/s, copy {:.1} GB/s, dispatch {:.0} µs",
            facts.name,
            facts.kind,
            facts.driver,
            calibration.flops_per_sec * 1e-9,
            calibration.copy_bytes_per_sec * 1e-9,
            calibration.dispatch_secs * 1e6
        );
    }
    println!(
        "{:18} {:40} {:>10} {:>10} {:>10} {:>9} {:>9} {:>6} {:>6} {:>5} {:>6}",
        "kernel",
        "size",
        "CPU ms",
        "device ms",
        "no trans.",
        "Gop",
        "MB moved",
        "ops %",
        "copy %",
        "auto",
        "over"
    );
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    let only = arguments.kernel.as_deref();
    if let Some(name) = only {
        let known = Kernel::ALL.iter().any(|kernel| kernel.name() == name);
        anyhow::ensure!(known, "`{name}` is no kernel");
    }
    let (mut rows, mut worst) = (Vec::new(), 1.0_f64);
    for (kernel, make) in calls(arguments.large, arguments.quick) {
        if only.is_some_and(|only| only != kernel.name()) {
            continue;
        }
        let (size, call) = make()?;
        let work = call.work();
        let asked = gpu.filter(|gpu| !gpu.facts().is_cpu || work.operations <= MOST_IN_SOFTWARE);
        // Before the figures, as before the first call in earnest: it decides the kernel's form.
        let choice = match (calibration, asked.and_then(|_| compute.rates(kernel))) {
            (Some(calibration), Some(rates)) => rates.faster(&calibration, work),
            _ => Backend::Cpu,
        };
        let found = measure(&call, asked, !arguments.device_only, rounds)?;
        let moved = work.bytes_up + work.bytes_down;
        let mut row = json!({"kernel": kernel, "size": size, "cpu_secs": found.cpu, "operations": work.operations,
            "bytes": moved});
        let millis =
            |secs: Option<f64>| secs.map_or("–".to_owned(), |secs| format!("{:.3}", secs * 1e3));
        print!("{:18} {size:40} {:>10}", kernel.name(), millis(found.cpu));
        if let (Some([whole, busy, after_pause]), Some(ceilings)) = (found.device, ceilings) {
            // Without the other's time there is no better one.
            let chosen = if choice == Backend::Gpu {
                Some(whole)
            } else {
                found.cpu
            };
            let over = found
                .cpu
                .zip(chosen)
                .map(|(cpu, chosen)| chosen / cpu.min(whole));
            worst = worst.max(over.unwrap_or(1.0));
            let shares = [
                work.operations / busy / ceilings.flops_per_sec,
                moved / busy / ceilings.copy_bytes_per_sec,
            ];
            print!(
                " {:>10} {:>10} {:9.3} {:9.2} {:6.1} {:6.2} {:>5} {:>6}",
                millis(Some(whole)),
                millis(Some(busy)),
                work.operations * 1e-9,
                moved * 1e-6,
                100.0 * shares[0],
                100.0 * shares[1],
                choice.name(),
                over.map_or("–".to_owned(), |over| format!("{over:.2}")),
            );
            row["device"] = json!({"secs": whole, "busy_secs": busy, "secs_after_pause": after_pause,
                "chosen": choice, "over_better": over, "share_of_flops": shares[0], "share_of_copy": shares[1]});
        }
        println!();
        rows.push(row);
    }
    if calibration.is_some() && !arguments.device_only {
        let kept = if worst <= MOST_OVER { "kept" } else { "MISSED" };
        println!(
            "auto, if it took this device: at most {worst:.2} times the better backend over this grid; \
             the aim of {MOST_OVER} is {kept}"
        );
        if gpu.is_some_and(|gpu| gpu.facts().is_cpu) {
            println!("auto leaves a device in software alone: it is the CPU here");
        }
    }
    if let Some(path) = &arguments.json {
        let adapter = gpu.map(Gpu::facts);
        let all = json!({"adapter": adapter, "calibration": calibration, "ceilings": ceilings,
            "rates": Kernel::ALL.map(|kernel| (kernel, calibration.and_then(|_| compute.rates(kernel)))),
            "rows": rows, "auto_worst": worst});
        std::fs::write(path, serde_json::to_string_pretty(&all)?)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
