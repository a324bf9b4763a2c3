//! `driftline bench null --grid`: how often thresholds speak over made-up rows in which nothing changes.
//!
//! Every case has a fresh reference, whose rows fix the layout's edges and categories, and a fresh window of the same
//! distribution. What is counted is p ≤ α, which is the same as exceeding the threshold. Three parts: rows that are
//! independent, over sizes, bins and categories; fifty columns under Benjamini and Hochberg; and rows that depend on
//! their neighbours or their day.
//!
//! **Invariant:** a result is a function of the seed, whatever the number of threads.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;
use rayon::prelude::*;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::made_up::{self, COLUMN, Kind, Rows, Shift};
use crate::event::{DAY, Span};
use crate::reference::two_sample::{self, Bins, Draws};
use crate::reference::{NullCache, Plan, compare};
use crate::stats::{self, Data, Statistic};

/// Levels under test.
pub const LEVELS: [f64; 2] = [0.05, 0.01];
/// Chance that a grid without any excess is called one with: over all its cells together.
pub(super) const MISTAKEN: f64 = 0.001;

/// One cell of the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    pub kind: Kind,
    /// Rows of the smaller side, and how many times as many the larger one has.
    pub window: usize,
    pub times: usize,
    /// Which side that is: the reference, or the window.
    pub larger: Larger,
    /// Numeric bins.
    pub bins: usize,
}

/// The side with more rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Larger {
    Reference,
    Window,
}

impl Case {
    fn name(&self) -> String {
        let (reference, window) = self.rows();
        match self.kind {
            Kind::Numbers => format!("{reference} against {window}, {} bins", self.bins),
            Kind::Categories(categories) => {
                format!("{reference} against {window}, K={categories}")
            }
        }
    }

    /// Rows of the reference and of the window.
    fn rows(&self) -> (usize, usize) {
        let more = self.window * self.times;
        match self.larger {
            Larger::Reference => (more, self.window),
            Larger::Window => (self.window, more),
        }
    }
}

/// Rows of the smaller side in the cells that are promised.
pub const SIZES: [usize; 3] = [200, 1_000, 10_000];

/// Every cell whose smaller side has so many rows: the other one is as large, 5 and 20 times as large, whichever of the
/// two is the reference; 10, 20 and 50 bins; 2, 10, 50 and 100 categories.
pub fn of_size(window: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for (times, larger) in [
        (1, Larger::Reference),
        (5, Larger::Reference),
        (20, Larger::Reference),
        (5, Larger::Window),
        (20, Larger::Window),
    ] {
        let case = |kind, bins| Case {
            kind,
            window,
            times,
            larger,
            bins,
        };
        cases.extend([10, 20, 50].map(|bins| case(Kind::Numbers, bins)));
        cases.extend([2, 10, 50, 100].map(|k| case(Kind::Categories(k), 10)));
    }
    cases
}

/// How often one way of testing spoke in one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    pub case: String,
    /// `windows`: the threshold of a service; `files`: that of two samples without blocks.
    pub way: &'static str,
    pub statistic: Statistic,
    pub level: f64,
    pub spoke: u32,
    pub replicates: u32,
}

impl Share {
    pub fn value(&self) -> f64 {
        f64::from(self.spoke) / f64::from(self.replicates)
    }

    /// Most that may speak, and least, if the level is met exactly, when `cells` cells are looked at together.
    fn bounds(&self, cells: usize) -> (u64, u64) {
        let each = MISTAKEN / cells.max(1) as f64;
        Binomial::new(self.level, u64::from(self.replicates)).map_or((u64::MAX, 0), |law| {
            (law.inverse_cdf(1.0 - each), law.inverse_cdf(each))
        })
    }
}

/// What a grid found.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    pub shares: Vec<Share>,
}

impl Grid {
    /// Runs every case `replicates` times.
    ///
    /// # Errors
    /// When made-up rows cannot be counted.
    pub fn run(cases: &[Case], replicates: u32, seed: u64) -> anyhow::Result<Self> {
        let mut shares = Vec::new();
        for (place, case) in cases.iter().enumerate() {
            let found = (0..replicates)
                .into_par_iter()
                .map(|replicate| {
                    let mut rng = generator(seed, place as u64, replicate);
                    p_values(case, &mut rng)
                })
                .collect::<anyhow::Result<Vec<_>>>()?;
            let mut spoke: BTreeMap<(&'static str, Statistic), [u32; 2]> = BTreeMap::new();
            for (way, statistic, p_value) in found.into_iter().flatten() {
                let counts = spoke.entry((way, statistic)).or_default();
                for (count, level) in counts.iter_mut().zip(LEVELS) {
                    *count += u32::from(p_value <= level);
                }
            }
            for ((way, statistic), counts) in spoke {
                shares.extend(counts.into_iter().zip(LEVELS).map(|(spoke, level)| Share {
                    case: case.name(),
                    way,
                    statistic,
                    level,
                    spoke,
                    replicates,
                }));
            }
        }
        Ok(Self { shares })
    }

    /// Shares above what a kept level allows, with 99.9 % confidence over all of them together.
    pub fn above(&self) -> Vec<&Share> {
        let cells = self.shares.len();
        let above = |share: &&Share| u64::from(share.spoke) > share.bounds(cells).0;
        self.shares.iter().filter(above).collect()
    }

    /// Shares of continuous statistics below what a level that is met allows.
    pub fn below(&self) -> Vec<&Share> {
        let continuous: Vec<&Share> = self
            .shares
            .iter()
            .filter(|share| share.statistic.entry().continuous)
            .collect();
        let cells = continuous.len();
        let below = |share: &&Share| u64::from(share.spoke) < share.bounds(cells).1;
        continuous.into_iter().filter(below).collect()
    }

    /// A line for each way and statistic: mean and largest share over the cells, and where it is.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{:<8} {:<12} {:>6} {:>8} {:>8} {:>8}  largest in",
            "way", "statistic", "level", "mean", "least", "largest"
        );
        let mut groups: BTreeMap<(&str, Statistic, u64), Vec<&Share>> = BTreeMap::new();
        for share in &self.shares {
            groups
                .entry((share.way, share.statistic, share.level.to_bits()))
                .or_default()
                .push(share);
        }
        for ((way, statistic, _), shares) in groups {
            let Some(most) = shares.iter().max_by_key(|share| share.spoke) else {
                continue;
            };
            let least = shares.iter().map(|share| share.spoke).min().unwrap_or(0);
            let sum: u32 = shares.iter().map(|share| share.spoke).sum();
            let all = f64::from(most.replicates);
            let percent = |count: f64| format!("{:.2} %", 100.0 * count / all);
            let _ = writeln!(
                text,
                "{way:<8} {:<12} {:>4} % {:>8} {:>8} {:>8}  {}",
                statistic.name(),
                100.0 * most.level,
                percent(f64::from(sum) / shares.len() as f64),
                percent(f64::from(least)),
                percent(f64::from(most.spoke)),
                most.case
            );
        }
        text
    }
}

/// A generator for one replicate of one cell.
pub(super) fn generator(seed: u64, cell: u64, replicate: u32) -> Pcg64Mcg {
    let name = format!("{seed} {cell} {replicate}");
    Pcg64Mcg::new(xxhash_rust::xxh3::xxh3_128(name.as_bytes()))
}

/// Every statistic that comes from profiles.
pub(super) fn of_profiles() -> Vec<Statistic> {
    let profiles = stats::table()
        .iter()
        .filter(|entry| entry.from == Data::Profile);
    profiles.map(|entry| entry.statistic).collect()
}

/// p-values of one fresh reference and window: by way and statistic.
fn p_values(
    case: &Case,
    rng: &mut Pcg64Mcg,
) -> anyhow::Result<Vec<(&'static str, Statistic, f64)>> {
    let (reference_rows, window_rows) = case.rows();
    let reference = case.kind.draw(reference_rows, Shift::None, rng);
    let window = case.kind.draw(window_rows, Shift::None, rng);
    let (before, now) = made_up::counts(&reference, &window, case.bins);
    let mut found = of_windows(&[reference], &window, case.bins)?
        .into_iter()
        .map(|(statistic, p_value)| ("windows", statistic, p_value))
        .collect::<Vec<_>>();
    let draws = Draws::new(LEVELS[0], rng.next_u64());
    let bins = match case.kind {
        Kind::Numbers => Bins::OfReference {
            cells: before.len(),
        },
        Kind::Categories(_) => Bins::Given,
    };
    let compared = two_sample::calibrate(&before, &now, bins, &of_profiles(), &draws);
    found.extend(
        compared
            .into_iter()
            // Categories have no order.
            .filter(|one| {
                case.kind == Kind::Numbers || one.statistic != Statistic::KolmogorovSmirnov
            })
            .map(|one| ("files", one.statistic, one.surprise.p_value)),
    );
    Ok(found)
}

/// p-values as a service has them, of a window against a reference of these blocks.
pub(super) fn of_windows(
    blocks: &[Rows],
    window: &Rows,
    bins: usize,
) -> anyhow::Result<Vec<(Statistic, f64)>> {
    let (layout, reference) = made_up::reference(blocks)?;
    let window = made_up::profile(&layout, window)?;
    let cache = NullCache::with_bins(bins);
    let plan = Plan {
        layout: &layout,
        reference: Some(&reference),
        window: Span::new(0, DAY),
        min_rows: 1,
        level: LEVELS[0],
        for_k: 1,
        for_n: 1,
        every: DAY,
        statistics: Some(of_profiles()),
        cache: &cache,
    };
    let scores = compare(&plan, &window, &[COLUMN.to_owned()]);
    Ok(scores
        .into_iter()
        .filter_map(|score| Some((Statistic::parse(&score.statistic)?, score.p_value?)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::made_up::uniform;

    /// Categories that are all equally frequent: which of them are met most is nothing but luck.
    #[track_caller]
    fn check_equal_categories(categories: usize, blocks: usize, rows: usize) {
        const CASES: u32 = 20;
        let quiet = |case: u32| {
            let mut rng = generator(7, categories as u64, case);
            let mut draw = || {
                let place = |_| (uniform(&mut rng) * categories as f64) as u32;
                Rows::Texts((0..rows).map(place).collect())
            };
            let reference: Vec<Rows> = (0..blocks).map(|_| draw()).collect();
            of_windows(&reference, &draw(), 10).expect("made-up rows can be counted")
        };
        let found: Vec<_> = (0..CASES).into_par_iter().map(quiet).collect();
        for statistic in of_profiles() {
            let p_values = found.iter().flatten().filter(|found| found.0 == statistic);
            let small = p_values.filter(|found| found.1 <= 0.05).count();
            // One is expected; six or more come in one of 3,000 tests.
            assert!(
                small < 6,
                "{}: {small} of {CASES}, {categories} categories, {blocks} blocks of {rows}",
                statistic.name()
            );
        }
    }

    #[test]
    fn categories_that_are_frequent_by_luck_are_no_drift() {
        check_equal_categories(100, 1, 3_000);
        check_equal_categories(400, 1, 3_000);
        check_equal_categories(400, 8, 1_500);
        check_equal_categories(400, 40, 400);
        check_equal_categories(1_000, 1, 2_000);
    }
}
