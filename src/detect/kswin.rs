//! KSWIN: a Kolmogorov–Smirnov test of the newest values of a window against as many drawn from its older ones.
//!
//! Of the newest `window_size` values the newest r = `stat_size` are one sample; r of the others, drawn without
//! replacement, are the other. Drift when the exact two-sided p-value is at most α and the distance above 0.1. The test is made
//! anew with every value, so the chance of a false alarm over a stream is far above α. The draws are those of CPython's
//! generator with `seed`, so that River with that seed finds the same; River without a seed does not repeat itself.
//! Source: Raab, Heusinger and Schleif (2020); p-value: Gnedenko and Korolyuk (1951).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::mersenne::Mersenne;
use super::parameter::{Parameter, Range, Slot};
use super::{Method, Signal};

/// Distances up to here are no drift, whatever their p-value: River's constant.
const LEAST_DISTANCE: f64 = 0.1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    alpha: f64,
    window_size: u64,
    stat_size: u64,
    seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            alpha: 0.005,
            window_size: 100,
            stat_size: 30,
            seed: 0,
        }
    }
}

/// The detector.
///
/// ```
/// use driftline::detect::{Detector, Kind, Signal};
/// let mut kswin = Detector::new(Kind::Kswin, &[("alpha", "0.0001")]).expect("a level");
/// let stream = (0..1_200).map(|i| if i < 1_000 { f64::from(i % 2) } else { f64::from(4 + i % 4) });
/// let drift = stream.map(|x| kswin.update(x)).position(|signal| signal == Signal::Drift);
/// assert_eq!(drift, Some(1_016));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kswin {
    parameters: Parameters,
    /// The oldest first.
    window: VecDeque<f64>,
    draws: Mersenne,
}

impl Method for Kswin {
    type Parameters = Parameters;
    const PARAMETERS: &'static [Parameter<Parameters>] = &[
        Parameter {
            name: "alpha",
            alias: None,
            range: Range::Number {
                least: 0.0,
                most: 1.0,
            },
            meaning: "level of one test",
            slot: |p| Slot::Number(&mut p.alpha),
        },
        Parameter {
            name: "window_size",
            alias: Some("min_num_instances"),
            range: Range::Whole {
                least: 2,
                most: 100_000,
            },
            meaning: "values in the window",
            slot: |p| Slot::Whole(&mut p.window_size),
        },
        Parameter {
            name: "stat_size",
            alias: Some("num_test_instances"),
            range: Range::Whole {
                least: 1,
                most: 10_000,
            },
            meaning: "values in each sample of the test",
            slot: |p| Slot::Whole(&mut p.stat_size),
        },
        Parameter {
            name: "seed",
            alias: None,
            range: Range::Whole {
                least: 0,
                most: u64::MAX,
            },
            meaning: "seed of the draws",
            slot: |p| Slot::Whole(&mut p.seed),
        },
    ];

    fn conflict(p: &Parameters) -> Option<(&'static str, String, String)> {
        let most = p.window_size / 2;
        (p.stat_size > most).then(|| {
            let remedy = format!(
                "must be at most {most}, half of window_size = {}: as many are drawn from the older values",
                p.window_size
            );
            ("stat_size", p.stat_size.to_string(), remedy)
        })
    }

    fn new(parameters: Parameters) -> Self {
        Self {
            draws: Mersenne::new(parameters.seed),
            parameters,
            window: VecDeque::new(),
        }
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    fn update(&mut self, x: f64) -> Signal {
        let (size, r) = (
            self.parameters.window_size as usize,
            self.parameters.stat_size as usize,
        );
        if self.window.len() == size {
            self.window.pop_front();
        }
        self.window.push_back(x);
        if self.window.len() < size {
            return Signal::None;
        }
        let drawn = self.draws.sample((size - r) as u32, r as u32);
        let mut older: Vec<f64> = drawn.into_iter().map(|at| self.window[at]).collect();
        let mut newest: Vec<f64> = self.window.range(size - r..).copied().collect();
        older.sort_unstable_by(f64::total_cmp);
        newest.sort_unstable_by(f64::total_cmp);
        let steps = steps_apart(&older, &newest);
        let far = steps as f64 / r as f64 > LEAST_DISTANCE;
        if far && p_value(r as u64, steps) <= self.parameters.alpha {
            Signal::Drift
        } else {
            Signal::None
        }
    }
}

/// The distance of two sorted samples of one size, in steps of 1/size.
fn steps_apart(a: &[f64], b: &[f64]) -> u64 {
    let (mut i, mut j, mut most) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        let x = a[i].min(b[j]);
        while i < a.len() && a[i] <= x {
            i += 1;
        }
        while j < b.len() && b[j] <= x {
            j += 1;
        }
        most = most.max(i.abs_diff(j));
    }
    most as u64
}

/// P(D ≥ steps/n) of two samples of n values each, without ties: 2·Σ (−1)^(k−1)·C(2n, n − k·steps) / C(2n, n) over k ≥ 1.
fn p_value(n: u64, steps: u64) -> f64 {
    if steps == 0 {
        return 1.0;
    }
    let (n, steps) = (n as f64, steps as f64);
    // Horner's scheme on ratios of neighbouring terms, from the last term on.
    let mut nested = 0.0;
    let mut k = (n / steps).floor();
    while k >= 0.0 {
        let mut ratio = 1.0;
        let mut j = 0.0;
        while j < steps {
            ratio = (n - k * steps - j) * ratio / (n + k * steps + j + 1.0);
            j += 1.0;
        }
        nested = ratio * (1.0 - nested);
        k -= 1.0;
    }
    (2.0 * nested).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p_value_is_exact() {
        // Of C(6, 3) = 20 paths two reach a distance of 1; of C(4, 2) = 6 four reach 1/2 and not 1, two 1.
        assert!((p_value(3, 3) - 0.1).abs() < 1e-15);
        assert!((p_value(2, 2) - 1.0 / 3.0).abs() < 1e-15);
        assert!((p_value(2, 1) - 1.0).abs() < 1e-15);
        // scipy.stats.ks_2samp, 30 values each, D = 0.5.
        assert!((p_value(30, 15) - 0.000_899_577_684_017_679_9).abs() < 1e-15);
        assert_eq!(p_value(30, 0), 1.0);
    }

    #[test]
    fn ties_are_taken_together() {
        assert_eq!(steps_apart(&[0.0, 0.0, 1.0], &[0.0, 1.0, 1.0]), 1);
        assert_eq!(steps_apart(&[-0.0, 0.0], &[0.0, 0.0]), 0);
        assert_eq!(steps_apart(&[1.0, 2.0], &[3.0, 4.0]), 2);
    }
}
