//! ADWIN: a window of recent values that shrinks from its old end when two parts of it differ in their mean.
//!
//! The window is kept as an exponential histogram: row i holds up to `max_buckets` buckets of 2ⁱ values each, the oldest
//! first, so that memory grows with the logarithm of the width. Every `clock` values, each cut between buckets splits it
//! into an older part of n₀ values and a newer one of n₁; the oldest bucket goes while, for some cut,
//!
//! |mean₀ − mean₁| > √(2·σ²·δ′/m) + ⅔·δ′/m, with 1/m = 1/(n₀ − l + 1) + 1/(n₁ − l + 1), δ′ = ln(2·ln(n)/δ),
//!
//! σ² the window's variance and l = `min_window_length`. This is the normal form of the cut, which holds
//! approximately: δ is not the chance of a false alarm. Source: Bifet and Gavaldà (2007); variance: Babcock et al. (2003).

use serde::{Deserialize, Serialize};

use super::parameter::{CONTRACT_MEANING, CONTRACTS, Contract, LEVEL, Parameter, Range, Slot};
use super::{Method, Signal};

/// Room for rounding where two means lie as far apart as the values do.
const ROUNDING: f64 = 1e-6;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    delta: f64,
    clock: u64,
    max_buckets: u64,
    min_window_length: u64,
    grace_period: u64,
    contract: Contract,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            delta: 0.002,
            clock: 32,
            max_buckets: 5,
            min_window_length: 5,
            grace_period: 10,
            contract: Contract::River,
        }
    }
}

/// Of one bucket: the sum of its values, and the sum of squared deviations from their mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bucket {
    total: f64,
    squares: f64,
}

/// The detector. Drift follows the window: after one, River begins with an empty window.
///
/// ```
/// use driftline::detect::{Detector, Kind, Signal};
/// let mut adwin = Detector::new(Kind::Adwin, &[]).expect("defaults");
/// let stream = (0..2_000).map(|i| if i < 1_000 { f64::from(i % 2) } else { f64::from(4 + i % 4) });
/// let drifts: Vec<usize> = stream
///     .enumerate()
///     .filter_map(|(i, x)| (adwin.update(x) == Signal::Drift).then_some(i))
///     .collect();
/// assert_eq!(drifts, [1_023]);
/// assert_eq!(adwin.adwin().map(|adwin| adwin.width()), Some(976));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adwin {
    parameters: Parameters,
    /// Row i holds buckets of 2ⁱ values, the oldest first.
    rows: Vec<Vec<Bucket>>,
    total: f64,
    /// Sum of squared deviations from the window's mean.
    squares: f64,
    width: u64,
    /// Values since the detector began, the least and the greatest of them.
    seen: u64,
    least: f64,
    greatest: f64,
}

impl Method for Adwin {
    type Parameters = Parameters;
    const PARAMETERS: &'static [Parameter<Parameters>] = &[
        Parameter {
            name: "delta",
            alias: None,
            range: LEVEL,
            meaning: "significance of a cut",
            slot: |p| Slot::Number(&mut p.delta),
        },
        Parameter {
            name: "clock",
            alias: None,
            range: Range::Whole {
                least: 1,
                most: 1_000_000,
            },
            meaning: "values between two looks",
            slot: |p| Slot::Whole(&mut p.clock),
        },
        Parameter {
            name: "max_buckets",
            alias: Some("m"),
            range: Range::Whole {
                // Of a row of one bucket merging two would leave nothing.
                least: 2,
                most: 10_000,
            },
            meaning: "buckets of each size before two are merged",
            slot: |p| Slot::Whole(&mut p.max_buckets),
        },
        Parameter {
            name: "min_window_length",
            alias: Some("min_window_size"),
            range: Range::Whole {
                least: 1,
                most: 1_000_000_000,
            },
            meaning: "least length of either part",
            slot: |p| Slot::Whole(&mut p.min_window_length),
        },
        Parameter {
            name: "grace_period",
            alias: Some("min_num_instances"),
            range: Range::Whole {
                least: 0,
                most: 1_000_000_000,
            },
            meaning: "width up to which there is no look",
            slot: |p| Slot::Whole(&mut p.grace_period),
        },
        Parameter {
            name: "contract",
            alias: None,
            range: CONTRACTS,
            meaning: CONTRACT_MEANING,
            slot: |p| Slot::Contract(&mut p.contract),
        },
    ];

    fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            rows: vec![Vec::new()],
            total: 0.0,
            squares: 0.0,
            width: 0,
            seen: 0,
            least: 0.0,
            greatest: 0.0,
        }
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    fn update(&mut self, x: f64) -> Signal {
        self.insert(x);
        if self.seen == 0 {
            (self.least, self.greatest) = (x, x);
        }
        self.seen += 1;
        self.least = self.least.min(x);
        self.greatest = self.greatest.max(x);
        let looks = self.seen.is_multiple_of(self.parameters.clock)
            && self.width > self.parameters.grace_period;
        let mut drift = false;
        while looks && self.is_cut() {
            drift = true;
            self.drop_oldest();
        }
        if drift { Signal::Drift } else { Signal::None }
    }
}

impl Adwin {
    /// Values in the window.
    pub fn width(&self) -> u64 {
        self.width
    }

    /// Their sum.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Their sum of squared deviations from the mean, which River calls the variance.
    pub fn variance(&self) -> f64 {
        // Rounding may leave a constant's a little below 0.
        self.squares.max(0.0)
    }

    /// Their mean; 0 for an empty window.
    pub fn estimation(&self) -> f64 {
        if self.width == 0 {
            0.0
        } else {
            self.total / self.width as f64
        }
    }

    /// How far apart means can lie. What goes beyond it is rounding: in long sums of a constant 10¹⁰/3, River sees drifts.
    fn range(&self) -> f64 {
        self.greatest - self.least
    }

    fn insert(&mut self, x: f64) {
        let bucket = Bucket {
            total: x,
            squares: 0.0,
        };
        self.rows[0].push(bucket);
        self.width += 1;
        if self.width > 1 {
            let before = (self.width - 1) as f64;
            let off = x - self.total / before;
            self.squares += before * off * off / self.width as f64;
        }
        self.total += x;
        self.compress();
    }

    /// Merges the two oldest buckets of each row that has too many into one of the next row.
    fn compress(&mut self) {
        let most = self.parameters.max_buckets as usize;
        let mut row = 0;
        while self.rows[row].len() > most {
            let size = size_of(row);
            let merged: Vec<Bucket> = self.rows[row].drain(..2).collect();
            let off = merged[0].total / size - merged[1].total / size;
            let bucket = Bucket {
                total: merged[0].total + merged[1].total,
                squares: merged[0].squares
                    + merged[1].squares
                    + size * size * off * off / (size + size),
            };
            row += 1;
            if row == self.rows.len() {
                self.rows.push(Vec::new());
            }
            self.rows[row].push(bucket);
        }
    }

    fn drop_oldest(&mut self) {
        let Some(row) = self.rows.len().checked_sub(1) else {
            return;
        };
        if self.rows[row].is_empty() {
            return;
        }
        let (size, bucket) = (size_of(row), self.rows[row].remove(0));
        self.width = self.width.saturating_sub(size as u64);
        self.total -= bucket.total;
        let width = self.width as f64;
        if self.width > 0 {
            let off = bucket.total / size - self.total / width;
            self.squares -= bucket.squares + size * width * off * off / (size + width);
        }
        if self.rows[row].is_empty() && row > 0 {
            self.rows.pop();
        }
    }

    /// Whether some cut has parts that differ.
    fn is_cut(&self) -> bool {
        let (mut n_old, mut total_old) = (0.0, 0.0);
        let (mut n_new, mut total_new) = (self.width as f64, self.total);
        for (row, buckets) in self.rows.iter().enumerate().rev() {
            let size = size_of(row);
            // Frouros, as MOA and River once did, passes over the newest bucket of each row: it is no cut, and
            // belongs to neither part. After the newest of all there is nothing to compare with.
            let passed_over = row == 0 || self.parameters.contract == Contract::Frouros;
            let cuts = buckets.len().saturating_sub(usize::from(passed_over));
            for bucket in buckets.iter().take(cuts) {
                n_old += size;
                n_new -= size;
                total_old += bucket.total;
                total_new -= bucket.total;
                if self.differ(n_old, n_new, total_old / n_old - total_new / n_new) {
                    return true;
                }
            }
        }
        false
    }

    fn differ(&self, n_old: f64, n_new: f64, difference: f64) -> bool {
        let least = self.parameters.min_window_length as f64;
        // Frouros asks for one value more on either side, and takes two more off.
        let (enough, lost) = match self.parameters.contract {
            Contract::River => (least, least - 1.0),
            Contract::Frouros => (least + 1.0, least + 1.0),
        };
        if n_old < enough || n_new < enough {
            return false;
        }
        let width = self.width as f64;
        let delta = (2.0 * width.ln() / self.parameters.delta).ln();
        let reciprocal = 1.0 / (n_old - lost) + 1.0 / (n_new - lost);
        let variance = self.squares / width;
        // Of an infinite or undefined bound nothing is beyond.
        let bound = (2.0 * reciprocal * variance * delta).sqrt() + 2.0 / 3.0 * delta * reciprocal;
        difference.abs() > bound && difference.abs() <= self.range() * (1.0 + ROUNDING)
    }
}

/// Values in a bucket of a row. A row past the 63rd would need more values than can be counted.
fn size_of(row: usize) -> f64 {
    (1_u64 << row.min(63)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_keeps_sums_while_nothing_differs() {
        let mut adwin = Adwin::new(Parameters::default());
        let values: Vec<f64> = (0..200).map(|i| f64::from(i % 7)).collect();
        for &x in &values {
            assert_eq!(adwin.update(x), Signal::None);
        }
        let mean = values.iter().sum::<f64>() / 200.0;
        let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        assert_eq!((adwin.width(), adwin.total()), (200, values.iter().sum()));
        assert!((adwin.variance() - squares).abs() < 1e-9);
        assert_eq!(adwin.estimation(), mean);
    }

    #[test]
    fn memory_grows_with_the_logarithm() {
        let mut adwin = Adwin::new(Parameters::default());
        for i in 0..100_000 {
            adwin.update(f64::from(i % 3));
        }
        assert_eq!(adwin.width(), 100_000);
        let buckets: usize = adwin.rows.iter().map(Vec::len).sum();
        assert!(buckets <= 5 * 17, "{buckets}");
    }

    #[test]
    fn a_constant_never_drifts_and_an_empty_window_has_a_mean() {
        assert_eq!(Adwin::new(Parameters::default()).estimation(), 0.0);
        for constant in [-1e100, 1e10 / 3.0, 0.1] {
            let mut adwin = Adwin::new(Parameters::default());
            assert!((0..20_000).all(|_| adwin.update(constant) == Signal::None));
            assert_eq!(adwin.width(), 20_000);
        }
    }
}
