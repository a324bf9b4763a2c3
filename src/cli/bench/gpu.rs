//! `driftline bench gpu`: every kernel on both backends over a grid of sizes, beside the device's measured ceilings.
//!
//! Each figure is the median of several rounds, CPU and device in turn. "Without transfers" is the time in dispatches.
//! The last column is what `auto` would lose if this device were one it takes: the time of the backend that calibration
//! would choose over that of the better one.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::compute::backend::{Backend, Choice, Compute};
use crate::compute::calibration::{Calibration, Rates};
use crate::compute::device::{Gpu, GpuError};
use crate::compute::histogram::Column;
use crate::compute::labels::Labels;
use crate::compute::points::Points;
use crate::compute::work::{Kernel, Work};
use crate::compute::{histogram, pairwise_distance, rbf_mmd, resample, worst_slice};

/// What `driftline bench gpu` takes.
#[derive(Debug, clap::Args)]
pub struct GpuBenchArguments {
    /// Rounds of each figure; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Also the large sizes: 32,768 rows a side, up to 128 numbers and 1,000 permutations.
    #[arg(long)]
    large: bool,
    /// Only the CPU: where no device is, or to compare with `benches/peer_mmd.py`.
    #[arg(long)]
    cpu_only: bool,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Operations beyond which a device in software is not asked: it would take minutes and say nothing.
const MOST_IN_SOFTWARE: f64 = 2e8;

/// One call: made once, run on either backend.
enum Call {
    Pairs(Kernel, Points, Labels),
    Histogram(Vec<Vec<f64>>, Vec<f64>),
    Resample(resample::Plan),
    WorstSlice(worst_slice::Rows),
}

impl Call {
    fn kernel(&self) -> Kernel {
        match self {
            Self::Pairs(kernel, ..) => *kernel,
            Self::Histogram(..) => Kernel::Histogram,
            Self::Resample(..) => Kernel::Resample,
            Self::WorstSlice(..) => Kernel::WorstSlice,
        }
    }

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

fn calls(large: bool) -> anyhow::Result<Vec<(String, Call)>> {
    let mut calls = Vec::new();
    for kernel in [Kernel::RbfMmd, Kernel::PairwiseDistance] {
        for rows in [128, 512, 1024, 4096] {
            calls.push(pairs(kernel, rows, 32, 100)?);
        }
    }
    if large {
        calls.push(pairs(Kernel::RbfMmd, 32_768, 32, 100)?);
        calls.push(pairs(Kernel::RbfMmd, 32_768, 128, 1000)?);
    }
    for rows in [1_000, 10_000, 100_000] {
        let values = (0..20).map(|column| noise(rows, column)).collect();
        let edges = (1..256).map(|i| f64::from(i) / 128.0 - 1.0).collect();
        calls.push((
            format!("{rows} rows × 20 columns"),
            Call::Histogram(values, edges),
        ));
    }
    for draws in [10, 100] {
        let plan = resample::Plan::new(&vec![vec![10; 10]; 20], 10_000, 1_000, draws, 4);
        let plan = plan.context("within limits")?;
        calls.push((
            format!("{draws} draws × 20 columns, 11,000 rows"),
            Call::Resample(plan),
        ));
    }
    for rows in [10_000, 100_000] {
        let bins = (1..13)
            .map(|f| (0..rows).map(|row| (row * f % 13) as u8).collect())
            .collect();
        let sides: Vec<bool> = (0..rows).map(|row| row % 2 == 0).collect();
        let rows_of = worst_slice::Rows::new(bins, &sides, &sides).context("bins of all rows")?;
        calls.push((
            format!("{rows} rows × 12 features"),
            Call::WorstSlice(rows_of),
        ));
    }
    Ok(calls)
}

/// Medians of both backends: seconds on the CPU; on the device seconds in all, and in dispatches.
fn measure(
    call: &Call,
    gpu: Option<&Gpu>,
    rounds: usize,
) -> anyhow::Result<(f64, Option<[f64; 2]>)> {
    if let Some(gpu) = gpu {
        // Compiles.
        call.on_gpu(gpu)?;
    }
    let (mut cpu, mut whole, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        let start = Instant::now();
        call.on_cpu();
        cpu.push(start.elapsed().as_secs_f64());
        if let Some(gpu) = gpu {
            let (start, before) = (Instant::now(), gpu.busy_secs());
            call.on_gpu(gpu)?;
            whole.push(start.elapsed().as_secs_f64());
            busy.push(gpu.busy_secs() - before);
        }
    }
    let median = |mut seconds: Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    let on_gpu = gpu.map(|_| [median(whole), median(busy)]);
    Ok((median(cpu), on_gpu))
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
    let calibration = gpu.and_then(|_| compute.calibration());
    if let (Some(gpu), Some(calibration)) = (gpu, calibration) {
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
        "{:18} {:40} {:>10} {:>10} {:>10} {:>9} {:>9} {:>6} {:>6} {:>6}",
        "kernel",
        "size",
        "CPU ms",
        "device ms",
        "no trans.",
        "Gop",
        "MB moved",
        "ops %",
        "copy %",
        "auto"
    );
    let (mut rows, mut worst) = (Vec::new(), 1.0_f64);
    for (size, call) in calls(arguments.large)? {
        let (kernel, work) = (call.kernel(), call.work());
        let asked = gpu.filter(|gpu| !gpu.facts().is_cpu || work.operations <= MOST_IN_SOFTWARE);
        let (cpu, on_gpu) = measure(&call, asked, arguments.rounds)?;
        let moved = work.bytes_up + work.bytes_down;
        let mut row = json!({"kernel": kernel, "size": size, "cpu_secs": cpu, "operations": work.operations,
            "bytes": moved});
        print!("{:18} {size:40} {:10.3}", kernel.name(), cpu * 1e3);
        if let (Some([whole, busy]), Some(calibration), Some(rates)) =
            (on_gpu, calibration, compute.rates(kernel))
        {
            let (over, figures) = judged(calibration, &rates, work, [cpu, whole, busy]);
            worst = worst.max(over);
            print!(
                " {:10.3} {:10.3} {:9.3} {:9.2} {:6.1} {:6.2} {over:6.2}",
                whole * 1e3,
                busy * 1e3,
                work.operations * 1e-9,
                moved * 1e-6,
                100.0 * work.operations / busy / calibration.flops_per_sec,
                100.0 * moved / busy / calibration.copy_bytes_per_sec,
            );
            row["device"] = figures;
        }
        println!();
        rows.push(row);
    }
    if calibration.is_some() {
        println!(
            "auto, if it took this device: at most {worst:.2} times the better backend over this grid"
        );
        if gpu.is_some_and(|gpu| gpu.facts().is_cpu) {
            println!("auto leaves a device in software alone: it is the CPU here");
        }
    }
    if let Some(path) = &arguments.json {
        let adapter = gpu.map(Gpu::facts);
        let all = json!({"adapter": adapter, "calibration": calibration, "rows": rows, "auto_worst": worst});
        std::fs::write(path, serde_json::to_string_pretty(&all)?)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// What the choice costs, and the row's figures.
fn judged(
    calibration: &Calibration,
    rates: &Rates,
    work: Work,
    [cpu, whole, busy]: [f64; 3],
) -> (f64, Value) {
    let choice = rates.faster(calibration, work);
    let chosen = if choice == Backend::Gpu { whole } else { cpu };
    let over = chosen / cpu.min(whole);
    let figures = json!({"secs": whole, "busy_secs": busy, "chosen": choice, "over_better": over,
        "share_of_flops": work.operations / busy / calibration.flops_per_sec,
        "share_of_copy": (work.bytes_up + work.bytes_down) / busy / calibration.copy_bytes_per_sec});
    (over, figures)
}
