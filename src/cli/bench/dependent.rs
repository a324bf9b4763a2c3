//! The second and third part of `driftline bench null --grid`: fifty columns at once, and rows that depend on each other.
//!
//! Fifty columns, ten of which have moved, are judged together by Benjamini and Hochberg's procedure: of what it calls
//! drift, no larger share may be false than it promises. Rows that depend on their neighbours (a first-order
//! autoregression) or on their day (each day has its own mean) are what logs are like: the null of whole windows, which
//! is learnt from the reference's blocks, must keep its level there, and that of independent rows is shown to fail.

use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;
use rayon::prelude::*;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::grid::{generator, of_windows};
use super::made_up::{self, Kind, Rows, Shift};
use crate::reference::two_sample::{self, Bins, Draws};
use crate::stats::Statistic;

/// Columns of a family, and how many of them have moved.
const COLUMNS: usize = 50;
const MOVED: usize = 10;
/// How far: some are found and some are not.
const BY: f64 = 0.2;
/// Rows of a window and of the reference.
const WINDOW: usize = 500;
const REFERENCE: usize = 2_500;
/// The share of false discoveries that is promised.
pub const DISCOVERY_RATE: f64 = 0.05;

/// What came of many families of columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Discoveries {
    /// Mean share of false ones among the columns called drift (0 where none is), and its standard error.
    pub false_share: f64,
    pub error: f64,
    /// Mean share of the moved columns that were found.
    pub found: f64,
}

impl Discoveries {
    /// Whether more is false than promised, by three standard errors.
    pub fn above(&self) -> bool {
        self.false_share > DISCOVERY_RATE + 3.0 * self.error
    }
}

/// Judges `families` families of columns by the p-values of `statistic`.
pub fn discoveries(statistic: Statistic, families: u32, seed: u64) -> Discoveries {
    let shares: Vec<(f64, f64)> = (0..families)
        .into_par_iter()
        .map(|family| {
            let mut rng = generator(seed, u64::MAX, family);
            let p_values: Vec<f64> = (0..COLUMNS)
                .map(|column| {
                    let shift = if column < MOVED {
                        Shift::Deviations(BY)
                    } else {
                        Shift::None
                    };
                    let before = Kind::Numbers.draw(REFERENCE, Shift::None, &mut rng);
                    let now = Kind::Numbers.draw(WINDOW, shift, &mut rng);
                    let (before, now) = made_up::counts(&before, &now, 10);
                    let bins = Bins::OfReference {
                        cells: before.len(),
                    };
                    // p-values are valid at every level; the least that 2,000 draws can give is half of what the
                    // procedure asks of the smallest of fifty.
                    let draws = Draws::new(DISCOVERY_RATE, rng.next_u64());
                    two_sample::calibrate(&before, &now, bins, &[statistic], &draws)
                        .first()
                        .map_or(1.0, |one| one.surprise.p_value)
                })
                .collect();
            let called = benjamini_hochberg(&p_values, DISCOVERY_RATE);
            let hits = called.iter().filter(|column| **column < MOVED).count() as f64;
            let false_ones = called.len() as f64 - hits;
            (
                false_ones / (called.len() as f64).max(1.0),
                hits / MOVED as f64,
            )
        })
        .collect();
    let all = f64::from(families.max(1));
    let mean = |of: fn(&(f64, f64)) -> f64| shares.iter().map(of).sum::<f64>() / all;
    let false_share = mean(|share| share.0);
    let variance = shares
        .iter()
        .map(|share| (share.0 - false_share).powi(2))
        .sum::<f64>()
        / all;
    Discoveries {
        false_share,
        error: (variance / all).sqrt(),
        found: mean(|share| share.1),
    }
}

/// The places of the p-values that are called at the rate `q`: the k smallest for the largest k with p₍ₖ₎ ≤ k·q/all.
fn benjamini_hochberg(p_values: &[f64], q: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let all = p_values.len() as f64;
    let last = (1..=order.len())
        .rev()
        .find(|&k| p_values[order[k - 1]] <= k as f64 * q / all);
    order.truncate(last.unwrap_or(0));
    order
}

/// How rows depend on each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dependence {
    /// Each row is this much of the one before, plus noise.
    Neighbours(f64),
    /// Each day has its own mean, with this deviation.
    Days(f64),
}

/// What thresholds at a level of 5 % made of windows that depend on their past only as the reference does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dependent {
    pub replicates: u32,
    /// Windows above the threshold learnt from whole windows.
    pub whole_windows: u32,
    /// Windows above the threshold for independent rows: the same reference, without its blocks.
    pub independent_rows: u32,
}

impl Dependent {
    /// Whether whole windows speak more often than a kept level allows, with 99.9 % confidence.
    pub fn above(&self) -> bool {
        Binomial::new(LEVEL, u64::from(self.replicates)).is_ok_and(|law| {
            u64::from(self.whole_windows) > law.inverse_cdf(1.0 - super::grid::MISTAKEN)
        })
    }
}

/// Blocks of the reference. The level times one more than their number is 2: the threshold is a rank among them.
const BLOCKS: usize = 40;
/// Rows of a block and of a window.
const BLOCK_ROWS: usize = 250;

/// Judges `replicates` quiet windows by `statistic`, each against a fresh reference.
///
/// # Errors
/// When made-up rows cannot be counted.
pub fn dependent(
    dependence: Dependence,
    statistic: Statistic,
    replicates: u32,
    seed: u64,
) -> anyhow::Result<Dependent> {
    let spoke = (0..replicates)
        .into_par_iter()
        .map(|replicate| {
            let mut rng = generator(seed, u64::MAX - 1, replicate);
            let mut days = days(dependence, &mut rng);
            let window = Rows::Numbers(days.pop().unwrap_or_default());
            let whole = [Rows::Numbers(days.concat())];
            let blocks: Vec<Rows> = days.into_iter().map(Rows::Numbers).collect();
            let spoke = |blocks: &[Rows]| -> anyhow::Result<bool> {
                let found = of_windows(blocks, &window, 10)?;
                Ok(found
                    .iter()
                    .any(|(name, p)| *name == statistic && *p <= LEVEL))
            };
            Ok((spoke(&blocks)?, spoke(&whole)?))
        })
        .collect::<anyhow::Result<Vec<(bool, bool)>>>()?;
    let count = |of: fn(&(bool, bool)) -> bool| spoke.iter().filter(|one| of(one)).count() as u32;
    Ok(Dependent {
        replicates,
        whole_windows: count(|one| one.0),
        independent_rows: count(|one| one.1),
    })
}

/// The level of [`dependent`].
pub const LEVEL: f64 = super::grid::LEVELS[0];

/// The reference's days and one more, in order of time.
fn days(dependence: Dependence, rng: &mut Pcg64Mcg) -> Vec<Vec<f64>> {
    let mut last = 0.0;
    let mut normal = || -> f64 { StandardNormal.sample(rng) };
    // The first is for the autoregression to forget where it began.
    let mut days: Vec<Vec<f64>> = (0..BLOCKS + 2)
        .map(|_| match dependence {
            Dependence::Neighbours(much) => (0..BLOCK_ROWS)
                .map(|_| {
                    last = much * last + (1.0 - much * much).sqrt() * normal();
                    last
                })
                .collect(),
            Dependence::Days(by) => {
                let center = by * normal();
                (0..BLOCK_ROWS).map(|_| center + normal()).collect()
            }
        })
        .collect();
    days.remove(0);
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_k_decides() {
        assert_eq!(
            benjamini_hochberg(&[0.04, 0.03, 0.9, 0.02], 0.06),
            [3, 1, 0]
        );
        assert_eq!(benjamini_hochberg(&[0.02, 0.9], 0.03), [] as [usize; 0]);
        assert_eq!(benjamini_hochberg(&[], 0.05), [] as [usize; 0]);
    }

    #[test]
    fn dependent_rows_have_the_distribution_of_independent_ones_in_the_long_run() {
        let mut rng = Pcg64Mcg::new(4);
        let rows = days(Dependence::Neighbours(0.9), &mut rng).concat();
        assert_eq!(rows.len(), (BLOCKS + 1) * BLOCK_ROWS);
        let n = rows.len() as f64;
        let variance = rows.iter().map(|x| x * x).sum::<f64>() / n;
        let next = rows.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / n;
        assert!((variance - 1.0).abs() < 0.15, "{variance}");
        assert!((next / variance - 0.9).abs() < 0.02, "{next}");
    }
}
