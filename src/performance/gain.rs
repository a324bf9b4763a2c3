//! How much less a challenger loses than the champion on the same rows, with an interval that knows that rows of one
//! block are alike.
//!
//! **Invariant:** a function of the set of rows, the blocks and the seed; the generator (PCG-64-MCG) and its use are
//! pinned. Deliberately absent: what gain is enough (`retrain`).

use std::collections::BTreeMap;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use thiserror::Error;

use super::exact_sum::ExactSum;

/// With fewer blocks the bootstrap has too few different resamples for any interval.
pub const FEWEST_BLOCKS: usize = 5;
/// Enough for the ends of a 95 % interval to be steady in their third digit.
pub const USUAL_DRAWS: u32 = 10_000;
/// Fewer leave no draw beyond the ends.
const FEWEST_DRAWS: u32 = 1_000;
/// Keeps the generator's state apart from small seeds of other uses.
const STREAM: u128 = 0x6761_696e;

/// Mean loss of the champion less that of the challenger: above 0 the challenger is better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// In the unit of the loss.
    pub mean: f64,
    /// The interval's ends.
    pub lower: f64,
    pub upper: f64,
    /// Share of such intervals that hold the true gain, in (0, 1).
    pub confidence: f64,
    /// Mean losses of either on these rows.
    pub champion: f64,
    pub challenger: f64,
    /// Rows, and the blocks that they lie in.
    pub n: u64,
    pub blocks: u32,
    pub draws: u32,
    pub seed: u64,
}

/// Why two models cannot be compared.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum GainError {
    #[error(
        "{champion} losses of the champion, {challenger} of the challenger and {blocks} blocks are not of the same rows"
    )]
    Lengths {
        champion: usize,
        challenger: usize,
        blocks: usize,
    },
    #[error("a loss is not a finite number")]
    NotFinite,
    #[error("the rows lie in {0} blocks of time; an interval needs {FEWEST_BLOCKS}")]
    TooFewBlocks(usize),
    #[error("a confidence of {0} does not lie between 0 and 1")]
    Confidence(f64),
    #[error("{0} draws are too few for an interval; it needs {FEWEST_DRAWS}")]
    TooFewDraws(u32),
}

/// Compares two models on the same rows: their losses, and the block of event time of each row, in any one order.
///
/// Whole blocks are drawn with replacement, as many as there are; each draw gives the mean of (champion − challenger)
/// over its rows. The interval is the percentile one, at a level that is widened for few blocks to what Student's t
/// on blocks − 1 degrees of freedom asks for. Sources: Künsch (1989) for blocks; Hesterberg (2015), *What teachers
/// should know about the bootstrap*, §5.3 (the expanded percentile interval).
///
/// Simulated with days that share an effect as large as a row's own noise, 30 rows a day, at a nominal 95 %: with 5, 7,
/// 14 and 30 days 92, 94, 95 and 95 % of the intervals hold the truth.
///
/// # Errors
/// Where the rows cannot be compared, see [`GainError`].
///
/// ```
/// use driftline::performance::{USUAL_DRAWS, paired_gain};
/// let champion = [0.75, 0.5, 1.0, 0.75, 0.5];
/// let challenger = [0.5, 0.5, 0.5, 0.5, 0.5];
/// let gain = paired_gain(&champion, &challenger, &[0, 1, 2, 3, 4], 0.9, USUAL_DRAWS, 1).expect("five blocks");
/// assert_eq!(gain.mean, 0.2);
/// assert!(gain.lower >= 0.0 && gain.upper <= 0.5);
/// ```
pub fn paired_gain(
    champion: &[f64],
    challenger: &[f64],
    blocks: &[i64],
    confidence: f64,
    draws: u32,
    seed: u64,
) -> Result<Gain, GainError> {
    if champion.len() != challenger.len() || champion.len() != blocks.len() {
        return Err(GainError::Lengths {
            champion: champion.len(),
            challenger: challenger.len(),
            blocks: blocks.len(),
        });
    }
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(GainError::Confidence(confidence));
    }
    if draws < FEWEST_DRAWS {
        return Err(GainError::TooFewDraws(draws));
    }
    let losses = || champion.iter().chain(challenger);
    if !losses().all(|loss| loss.is_finite()) {
        return Err(GainError::NotFinite);
    }
    let mut sums: BTreeMap<i64, (ExactSum, u64)> = BTreeMap::new();
    for ((champion, challenger), block) in champion.iter().zip(challenger).zip(blocks) {
        let (sum, rows) = sums.entry(*block).or_default();
        // Exact: both are added, not their rounded difference.
        sum.add(*champion);
        sum.add(-challenger);
        *rows += 1;
    }
    if sums.len() < FEWEST_BLOCKS {
        return Err(GainError::TooFewBlocks(sums.len()));
    }
    let sums: Vec<(f64, u64)> = sums
        .values()
        .map(|(sum, rows)| (sum.value(), *rows))
        .collect();
    let mut means = drawn(&sums, draws, seed);
    means.sort_unstable_by(f64::total_cmp);
    let tail = tail(confidence, sums.len());
    // The k-th smallest of d draws lies at the share k / (d + 1).
    let place = ((tail * f64::from(draws + 1)) as usize).max(1) - 1;
    let n = champion.len() as u64;
    let mean = |losses: &[f64]| losses.iter().copied().collect::<ExactSum>().value() / n as f64;
    let whole: ExactSum = champion
        .iter()
        .copied()
        .chain(challenger.iter().map(|loss| -loss))
        .collect();
    Ok(Gain {
        mean: whole.value() / n as f64,
        lower: means[place],
        upper: means[means.len() - 1 - place],
        confidence,
        champion: mean(champion),
        challenger: mean(challenger),
        n,
        blocks: u32::try_from(sums.len()).unwrap_or(u32::MAX),
        draws,
        seed,
    })
}

/// The mean difference of each draw of as many blocks as there are; `sums`: (difference, rows) of each.
fn drawn(sums: &[(f64, u64)], draws: u32, seed: u64) -> Vec<f64> {
    let mut rng = Pcg64Mcg::new((STREAM << 64) | u128::from(seed));
    let mut times = vec![0u32; sums.len()];
    let one = |_| {
        times.fill(0);
        for _ in 0..sums.len() {
            times[below(&mut rng, sums.len())] += 1;
        }
        // In the order of blocks: a fixed one.
        let (mut difference, mut rows) = (0.0, 0);
        for ((sum, count), times) in sums.iter().zip(&times) {
            difference += f64::from(*times) * sum;
            rows += u64::from(*times) * count;
        }
        difference / rows as f64
    };
    (0..draws).map(one).collect()
}

/// A number below `n`, by multiplication; its bias is below 2⁻³².
fn below(rng: &mut Pcg64Mcg, n: usize) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// The share of draws beyond each end: Φ(−√(B/(B−1))·t), with t the two-sided point of Student's t on B − 1 degrees of
/// freedom. Plain percentiles take (1 − confidence)/2 and are too narrow for few blocks.
fn tail(confidence: f64, blocks: usize) -> f64 {
    let plain = (1.0 - confidence) / 2.0;
    let degrees = (blocks - 1) as f64;
    let t = StudentsT::new(0.0, 1.0, degrees).map(|t| t.inverse_cdf(1.0 - plain));
    match (t, Normal::new(0.0, 1.0)) {
        (Ok(t), Ok(normal)) if t.is_finite() => {
            normal.sf(t * (blocks as f64 / degrees).sqrt()).min(plain)
        }
        _ => plain,
    }
}

#[cfg(test)]
#[path = "gain_tests.rs"]
mod tests;
