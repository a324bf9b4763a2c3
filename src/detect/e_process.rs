//! A betting e-process: evidence, valid at any time, that the risk of blocks has risen above the reference's.
//!
//! Values are losses from 0 to 1; `block` of them in a row make a block, whose mean X counts as one observation, because rows of one
//! day depend on each other and bets on rows would not be fair. The first `reference_blocks` means give an upper
//! confidence limit L of the reference risk at level α/2 ([`upper_limit`]), unless `limit` gives one. From then on a player who bets
//! the share f of his wealth that X exceeds m = L + ε has after each block
//!
//! W ← W·(1 − f + f·X/m), f = m·(μ̂ − m)⁺ / (σ̂² + (μ̂ − m)²), at most 0.9,
//!
//! with μ̂ and σ̂² the exponentially weighted mean and variance of the blocks *before* this one (aGRAPA). The e-value is the mean of W over
//! five players who remember 3, 10, 30, 100 and 300 blocks. While E[X | past] ≤ m no player can expect to gain, however he bets
//! on the past, so E is a non-negative supermartingale that starts at 1 and, by Ville's inequality, P(E ever ≥ 2/α) ≤ α/2. Both
//! halves together: **a false alarm, over all time, has at most chance α** (once more after each drift, from where on the wealth
//! starts again at 1 and the limit stays). It looks for harm alone: a risk that falls, or inputs that move without harm, raise
//! nothing. Players who bet nothing while the risk is low keep their wealth, so that harm is found as fast after a quiet year as
//! after a quiet week; a fixed share would be lost by then.
//!
//! What must hold: the reference's blocks have the mean risk that is called the reference risk; blocks are whole units of
//! dependence (days, not rows); values come in *event* order from label-mature blocks, since betting in order of arrival, where
//! the delay depends on the outcome, always fires; the loss is bounded (Brier, 0/1, or clipped: never log loss).
//!
//! Sources: Ville (1939); Podkopaev and Ramdas, *Tracking the risk of a deployed model and detecting harmful distribution shifts*
//! (ICLR 2022); Waudby-Smith and Ramdas, *Estimating means of bounded random variables by betting* (JRSS B 2024).

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::parameter::{Parameter, Range, Slot};
use super::{Method, Signal};

/// How many blocks each player remembers: what finds a great shift at once, and what finds a small one.
const MEMORIES: [f64; 5] = [3.0, 10.0, 30.0, 100.0, 300.0];
/// Nobody bets more of his wealth: a block without any loss must not ruin him.
const MOST_SHARE: f64 = 0.9;
/// The fixed shares that a confidence limit is found with: from what suits 0/1 losses to what suits blocks that hardly vary,
/// in steps of about √2. That they are fixed makes the limit one number and independent of the order of blocks.
const SHARES: [f64; 16] = [
    0.005, 0.007, 0.01, 0.014, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.17, 0.25, 0.35, 0.5, 0.7, 0.97,
];
/// Halvings of [0, 1] in the search for a confidence limit: as fine as a float.
const HALVINGS: u32 = 54;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    alpha: f64,
    warning: f64,
    epsilon: f64,
    block: u64,
    reference_blocks: u64,
    limit: Option<f64>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            warning: 0.2,
            epsilon: 0.01,
            block: 50,
            reference_blocks: 60,
            limit: None,
        }
    }
}

/// One who bets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Player {
    /// The logarithm of his wealth.
    wealth: f64,
    /// What he remembers of blocks: their mean and variance.
    mean: f64,
    variance: f64,
}

impl Player {
    /// A bet on a block before it is known, its outcome, and what is learned from it.
    fn bet(&mut self, block: f64, tested: f64, memory: f64) {
        let hope = (self.mean - tested).max(0.0);
        if hope > 0.0 {
            let share = (tested * hope / (self.variance + hope * hope)).min(MOST_SHARE);
            self.wealth += (1.0 - share + share * (block / tested)).ln();
        }
        let weight = 1.0 / memory;
        let off = block - self.mean;
        self.mean += weight * off;
        self.variance = (1.0 - weight) * (self.variance + weight * off * off);
    }
}

/// The detector; values from 0 to 1.
///
/// ```
/// use driftline::detect::{Detector, Kind, Signal};
/// let given = [("block", "10"), ("reference_blocks", "100")];
/// let mut process = Detector::new(Kind::EProcess, &given).expect("whole numbers");
/// // One error in ten; from the 2000th value on four.
/// let stream = (0..3_000).map(|i| f64::from(if i < 2_000 { i % 10 == 0 } else { i % 10 < 4 }));
/// let drift = stream.map(|x| process.update(x)).position(|signal| signal == Signal::Drift);
/// assert_eq!(drift, Some(2_099));
/// let e = process.e_process().expect("an e-process");
/// assert!(e.e_value() >= 40.0);
/// assert!((e.limit().expect("a reference") - 0.1557).abs() < 1e-4);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EProcess {
    parameters: Parameters,
    /// Of the block that is not full yet.
    sum: f64,
    n: u64,
    /// Means of the reference's blocks, until their limit is known.
    reference: Vec<f64>,
    limit: Option<f64>,
    players: [Player; MEMORIES.len()],
    /// Blocks that were bet on.
    blocks: u64,
    signal: Signal,
}

impl Method for EProcess {
    type Parameters = Parameters;
    const PARAMETERS: &'static [Parameter<Parameters>] = &[
        Parameter {
            name: "alpha",
            alias: None,
            range: Range::Number {
                least: 1e-12,
                most: 0.5,
            },
            meaning: "most chance of a false alarm, over all time",
            slot: |p| Slot::Number(&mut p.alpha),
        },
        Parameter {
            name: "warning",
            alias: None,
            range: Range::Number {
                least: 1e-12,
                most: 1.0,
            },
            meaning: "the same for a warning",
            slot: |p| Slot::Number(&mut p.warning),
        },
        Parameter {
            name: "epsilon",
            alias: None,
            range: Range::Number {
                least: 0.0,
                most: 1.0,
            },
            meaning: "rise of the risk that is of no interest",
            slot: |p| Slot::Number(&mut p.epsilon),
        },
        Parameter {
            name: "block",
            alias: None,
            range: Range::Whole {
                least: 1,
                most: 1_000_000_000,
            },
            meaning: "values in a block, the rows of a day for example; 1 if each value is the mean of a block already",
            slot: |p| Slot::Whole(&mut p.block),
        },
        Parameter {
            name: "reference_blocks",
            alias: None,
            range: Range::Whole {
                least: 1,
                most: 10_000,
            },
            meaning: "first blocks, which are the reference where no limit is given",
            slot: |p| Slot::Whole(&mut p.reference_blocks),
        },
        Parameter {
            name: "limit",
            alias: None,
            range: Range::Number {
                least: 1e-9,
                most: 1.0,
            },
            meaning: "upper confidence limit of the reference risk, of level alpha/2",
            slot: |p| Slot::MaybeNumber(&mut p.limit),
        },
    ];

    fn conflict(p: &Parameters) -> Option<(&'static str, String, String)> {
        (p.warning < p.alpha).then(|| {
            let remedy = format!(
                "must not be below alpha = {}, because a warning comes first",
                p.alpha
            );
            ("warning", p.warning.to_string(), remedy)
        })
    }

    fn new(parameters: Parameters) -> Self {
        Self {
            limit: parameters.limit,
            parameters,
            sum: 0.0,
            n: 0,
            reference: Vec::new(),
            // Without a reference's blocks: a risk that nobody bets on yet, and no idea of its variance.
            players: [Player {
                wealth: 0.0,
                mean: 0.0,
                variance: 0.25,
            }; MEMORIES.len()],
            blocks: 0,
            signal: Signal::None,
        }
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    fn update(&mut self, x: f64) -> Signal {
        self.sum += x;
        self.n += 1;
        if self.n == self.parameters.block {
            // Rounding may leave a mean of ones a little above 1.
            let mean = (self.sum / self.n as f64).min(1.0);
            (self.sum, self.n) = (0.0, 0);
            self.take(mean);
        }
        self.signal
    }

    /// The reference stays what it was: a risk that has risen is no new normal.
    fn reset(&mut self) {
        for player in &mut self.players {
            player.wealth = 0.0;
        }
        self.blocks = 0;
        self.signal = Signal::None;
    }
}

impl EProcess {
    /// The evidence so far, from 0 upwards; 1 before the first bet. At most 1/e is the chance that it ever gets to e while the
    /// risk is not above [`EProcess::tested`].
    pub fn e_value(&self) -> f64 {
        mean_wealth(self.players.iter().map(|player| player.wealth))
    }

    /// The upper confidence limit of the reference risk; `None` while its blocks are being read.
    pub fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// The risk that is bet against: the limit and ε, 1 at most, where no bet can win.
    pub fn tested(&self) -> Option<f64> {
        let limit = self.limit?;
        Some((limit + self.parameters.epsilon).min(1.0))
    }

    /// Blocks that were bet on since the beginning or the last drift.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    fn take(&mut self, mean: f64) {
        let Some(tested) = self.tested() else {
            self.reference.push(mean);
            if self.reference.len() as u64 == self.parameters.reference_blocks {
                self.limit = Some(upper_limit(&self.reference, self.parameters.alpha / 2.0));
                let mut moments = Moments::default();
                self.reference.iter().for_each(|&mean| moments.update(mean));
                for player in &mut self.players {
                    player.mean = moments.mean.mean;
                    player.variance = moments.variance();
                }
                self.reference = Vec::new();
            }
            return;
        };
        for (player, memory) in self.players.iter_mut().zip(MEMORIES) {
            player.bet(mean, tested, memory);
        }
        self.blocks += 1;
        let e = self.e_value();
        self.signal = if e >= 2.0 / self.parameters.alpha {
            Signal::Drift
        } else if e >= 2.0 / self.parameters.warning {
            Signal::Warning
        } else {
            Signal::None
        };
    }
}

/// The mean of what these are the logarithms of.
fn mean_wealth(wealth: impl ExactSizeIterator<Item = f64>) -> f64 {
    let players = wealth.len() as f64;
    wealth.map(f64::exp).sum::<f64>() / players
}

/// An upper confidence limit of a mean risk, from the means of blocks (0 to 1): the least m for which players who bet that
/// blocks lie *below* m would by now have the wealth 1/level. If E[X | past] ≥ m that has at most chance `level`.
///
/// Range (0, 1]; 1 for no blocks, or too few: n blocks without any loss leave a limit of about ln(1/level)/n, and no bound for
/// [0, 1] can do better. The order of blocks does not matter. Values outside 0 to 1 are taken as the nearer end, NaN
/// as 1. Source: Waudby-Smith and Ramdas (2024), the betting confidence sequence, with a mixture of fixed bets.
///
/// ```
/// use driftline::detect::e_process::upper_limit;
/// let days: Vec<f64> = (0..100).map(|day| if day % 2 == 0 { 0.18 } else { 0.22 }).collect();
/// assert!((upper_limit(&days, 0.025) - 0.2497).abs() < 1e-4);
/// assert_eq!(upper_limit(&[], 0.025), 1.0);
/// ```
pub fn upper_limit(blocks: &[f64], level: f64) -> f64 {
    let mut blocks: Vec<f64> = blocks
        .iter()
        .map(|x| if x.is_nan() { 1.0 } else { x.clamp(0.0, 1.0) })
        .collect();
    // One order for all, so that the sums of logarithms are the same to the last bit.
    blocks.sort_unstable_by(f64::total_cmp);
    let rejected = |m: f64| {
        let mut wealth = [0.0; SHARES.len()];
        for x in &blocks {
            let payment = (1.0 - x) / (1.0 - m);
            for (wealth, share) in wealth.iter_mut().zip(SHARES) {
                *wealth += (1.0 - share + share * payment).ln();
            }
        }
        mean_wealth(wealth.into_iter()) >= 1.0 / level
    };
    // (1 − x)/(1 − m) grows with m, so wealth does.
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if middle < 1.0 && rejected(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
#[path = "e_process_tests.rs"]
mod tests;
