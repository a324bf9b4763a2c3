//! `driftline bench null`: how often thresholds speak on real flights in which nothing has changed.
//!
//! January and February of the flights are one season. Their even weeks are the reference, and every window of the odd
//! weeks is compared with it: what is called drift there is a false alarm. Beside our threshold, which is learnt from
//! whole windows of the reference, stands the textbook's: a two-sample χ² test that takes rows for independent.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use super::dependent::{self, Dependence};
use super::grid::{self, Case, Grid};
use crate::cli::demo::FLIGHTS;
use crate::event::{DAY, Millis, Span, WEEK};
use crate::profile::{ColumnRules, CompiledLayout, Layout, Profile};
use crate::query::{self, File};
use crate::reference::{Block, NullCache, Plan, Reference, compare};
use crate::stats::bins::{Binning, DEFAULT_BINS};
use crate::stats::score::Verdict;
use crate::stats::{Statistic, chi_squared, chi_squared_tail, degrees, occupied};
use crate::window::WindowSpec;

/// Chance of a false alarm that both thresholds promise for one window of one column.
pub const LEVEL: f64 = 0.05;
/// The Monday of the first week with flights, 2012-12-31.
const FIRST_WEEK: Millis = 1_356_912_000_000;
/// Weeks that begin before March.
const WEEKS: Millis = 9;
/// Windows with fewer rows say little; a day has some 230.
const MIN_ROWS: u64 = 100;

/// What windows of one length gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Length of a window.
    pub every: Millis,
    /// Windows in the reference, and windows compared with it.
    pub reference_windows: usize,
    pub windows: usize,
    /// Windows × columns.
    pub tests: u32,
    /// Scores above the threshold learnt from whole windows.
    pub whole_windows: u32,
    /// Of these, those with an effect above the floor too: verdicts of drift.
    pub drift: u32,
    /// p-values of the χ² test for independent rows at or below [`LEVEL`].
    pub independent_rows: u32,
}

impl Figures {
    pub fn share(&self, alarms: u32) -> f64 {
        f64::from(alarms) / f64::from(self.tests)
    }
}

/// What `driftline bench null` takes.
#[derive(Debug, clap::Args)]
pub struct NullArguments {
    /// Made-up rows over a grid of sizes, bins and categories instead; ends with 1 where a promise is broken.
    #[arg(long)]
    grid: bool,
    /// Fresh references and windows for each cell of the grid.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    replicates: u32,
    /// Rows of the smaller side, of those that the grid has; the larger one has up to 20 times as many.
    #[arg(long, value_delimiter = ',', default_values_t = grid::SIZES)]
    rows: Vec<usize>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Prints the figures for weekly and for daily windows of flights, or those of the grid.
///
/// # Errors
/// When the flights cannot be read, or made-up rows not be counted.
pub fn run(arguments: &NullArguments) -> anyhow::Result<ExitCode> {
    if arguments.grid {
        let cases: Vec<Case> = arguments
            .rows
            .iter()
            .copied()
            .flat_map(grid::of_size)
            .collect();
        return made_up(&cases, arguments.replicates, arguments.seed);
    }
    flights().map(|()| ExitCode::SUCCESS)
}

/// Statistics whose p-values are ordered by Benjamini and Hochberg: one with a closed form and one that is drawn.
const ORDERED: [Statistic; 2] = [Statistic::Psi, Statistic::LInfinity];
/// A threshold that speaks this many times as often as promised has failed.
const FAILED: f64 = 2.0;

fn made_up(cases: &[Case], replicates: u32, seed: u64) -> anyhow::Result<ExitCode> {
    let mut broken = false;
    println!(
        "Quiet windows of made-up rows, {replicates} fresh references and windows for each cell:\n"
    );
    let grid = Grid::run(cases, replicates, seed)?;
    println!("{}", grid.summary());
    for (what, shares) in [("above", grid.above()), ("below", grid.below())] {
        for share in shares {
            broken = true;
            println!(
                "{what} its level: {} {} {}: {:.2} % instead of {} %",
                share.case,
                share.way,
                share.statistic.name(),
                100.0 * share.value(),
                100.0 * share.level
            );
        }
    }
    println!("\nFifty columns, ten of them moved, Benjamini and Hochberg at 5 %:");
    for statistic in ORDERED {
        let found = dependent::discoveries(statistic, replicates, seed);
        broken |= found.above();
        println!(
            "{:<12} false {:.2} % ± {:.2} %, found {:.0} %",
            statistic.name(),
            100.0 * found.false_share,
            100.0 * found.error,
            100.0 * found.found
        );
    }
    println!("\nRows that depend on each other, PSI at 5 %: whole windows, independent rows:");
    for (name, dependence) in [
        ("neighbours, 0.9", Dependence::Neighbours(0.9)),
        ("days, 0.3", Dependence::Days(0.3)),
    ] {
        let found = dependent::dependent(dependence, Statistic::Psi, replicates, seed)?;
        let share = |spoke: u32| f64::from(spoke) / f64::from(found.replicates);
        broken |= found.above() || share(found.independent_rows) < FAILED * LEVEL;
        println!(
            "{name:<16} {:.2} %, {:.2} %",
            100.0 * share(found.whole_windows),
            100.0 * share(found.independent_rows)
        );
    }
    Ok(if broken {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn flights() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    println!(
        "False alarms on flights of January and February 2013: even weeks are the reference, odd weeks are judged."
    );
    println!(
        "Each window of each column is tested at a level of {:.0} %.\n",
        100.0 * LEVEL
    );
    println!(
        "{:<8} {:>10} {:>8} {:>6} {:>15} {:>12} {:>18}",
        "windows", "reference", "judged", "tests", "whole windows", "and floor", "independent rows"
    );
    for (name, every) in [("weekly", WEEK), ("daily", DAY)] {
        let figures = runtime.block_on(measure(&FLIGHTS, every))?;
        let percent = |alarms| format!("{:.1} %", 100.0 * figures.share(alarms));
        println!(
            "{name:<8} {:>10} {:>8} {:>6} {:>15} {:>12} {:>18}",
            figures.reference_windows,
            figures.windows,
            figures.tests,
            percent(figures.whole_windows),
            percent(figures.drift),
            percent(figures.independent_rows)
        );
    }
    Ok(())
}

/// Compares every window of the odd weeks with all windows of the even weeks.
///
/// # Errors
/// When the file cannot be read or has no flights in those weeks.
pub async fn measure(file: &File, every: Millis) -> anyhow::Result<Figures> {
    let rules = ColumnRules {
        // The label, and what the file has no values of.
        exclude: vec!["late".to_owned(), "latency_ms".to_owned()],
        categorical: vec!["dow".to_owned()],
        ..ColumnRules::default()
    };
    let layout = Layout::learn(&query::sample_file(file, None).await?, &rules);
    let compiled = CompiledLayout::new(Arc::new(layout.clone()));
    let spec = WindowSpec {
        every,
        span: every,
        ..WindowSpec::default()
    };
    let (mut even, mut odd): (Vec<Block>, Vec<(Span, Profile)>) = (Vec::new(), Vec::new());
    for (span, profile) in query::reference_file(file, &compiled, &spec, None).await? {
        let span = span.context("the flights have times")?;
        // Weeks count from 1: the first is odd.
        let week = (span.start - FIRST_WEEK).div_euclid(WEEK) + 1;
        if week > WEEKS {
            continue;
        }
        if week % 2 == 0 {
            even.push(Block {
                span: Some(span),
                profile,
            });
        } else {
            odd.push((span, profile));
        }
    }
    let reference = Reference::from_blocks("flights", "even weeks", &layout, even)?;
    let mut figures = Figures {
        every,
        reference_windows: reference.blocks.len(),
        windows: odd.len(),
        tests: 0,
        whole_windows: 0,
        drift: 0,
        independent_rows: 0,
    };
    let cache = NullCache::new();
    for (window, profile) in &odd {
        let plan = Plan {
            layout: &layout,
            reference: Some(&reference),
            window: *window,
            min_rows: MIN_ROWS,
            level: LEVEL,
            for_k: 1,
            for_n: 1,
            every,
            statistics: None,
            cache: &cache,
        };
        for (place, column) in layout.columns.iter().enumerate() {
            // A column's primary statistic comes first.
            let scores = compare(&plan, profile, std::slice::from_ref(&column.name));
            let Some(score) = scores.first() else {
                continue;
            };
            let (Some(value), Some(threshold)) = (score.value, &score.threshold) else {
                continue;
            };
            figures.tests += 1;
            figures.whole_windows += u32::from(value > threshold.value);
            figures.drift += u32::from(score.verdict == Verdict::Drift);
            let (before, now) = (&reference.profile.columns[place], &profile.columns[place]);
            let binning = Binning::new(column, before, DEFAULT_BINS);
            let (before, now) = (&binning.reference_counts, binning.counts(now));
            let p_value = chi_squared_tail(
                chi_squared::statistic(before, &now),
                degrees(occupied(before, &now)),
            );
            figures.independent_rows += u32::from(p_value <= LEVEL);
        }
    }
    anyhow::ensure!(
        figures.tests > 0,
        "{} has no flights in these weeks",
        file.name()
    );
    Ok(figures)
}
