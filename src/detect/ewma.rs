//! EWMA control chart: a weighted moving average leaves its control limits.
//!
//! Z ← α·x + (1 − α)·Z from Z = μ; after i values drift when |Z − μ| > L·σ·√(α/(2 − α)·(1 − (1 − α)^(2i)) + 1/m). μ and σ are those that
//! are given, or else the mean and the standard deviation of the first m = `min_instances` values; 1/m stands for the error
//! of such a mean and is left out where it is given. With known μ and σ, α = 0.1 and L = 3, one false alarm comes in some 840
//! independent normal values. A constant of which the first values give σ = 0 drifts with the first value that differs. No
//! warnings. Source: Roberts (1959); run lengths: Lucas and Saccucci (1990).

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::parameter::{MODES, Mode, Parameter, Range, Slot};
use super::{Method, Signal};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    alpha: f64,
    threshold: f64,
    min_instances: u64,
    mean: Option<f64>,
    deviation: Option<f64>,
    mode: Mode,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            alpha: 0.1,
            threshold: 3.0,
            min_instances: 100,
            mean: None,
            deviation: None,
            mode: Mode::Both,
        }
    }
}

/// The detector.
///
/// ```
/// use driftline::detect::{Detector, Kind, Signal};
/// let given = [("mean", "0.5"), ("deviation", "0.5")];
/// let mut ewma = Detector::new(Kind::Ewma, &given).expect("a mean and a deviation");
/// let stream = (0..200).map(|i| if i < 100 { f64::from(i % 2) } else { 1.5 });
/// let drift = stream.map(|x| ewma.update(x)).position(|signal| signal == Signal::Drift);
/// assert_eq!(drift, Some(103));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ewma {
    parameters: Parameters,
    first: Moments,
    /// Z − μ.
    off: f64,
    /// (1 − α)^(2i).
    rest: f64,
}

impl Method for Ewma {
    type Parameters = Parameters;
    const PARAMETERS: &'static [Parameter<Parameters>] = &[
        Parameter {
            name: "alpha",
            alias: None,
            range: Range::Number {
                least: 1e-9,
                most: 1.0,
            },
            meaning: "weight of the newest value",
            slot: |p| Slot::Number(&mut p.alpha),
        },
        Parameter {
            name: "threshold",
            alias: None,
            range: Range::Number {
                least: 0.0,
                most: 1e6,
            },
            meaning: "width of the control limits (L), in standard deviations of the average",
            slot: |p| Slot::Number(&mut p.threshold),
        },
        Parameter {
            name: "min_instances",
            alias: None,
            range: Range::Whole {
                least: 1,
                most: 1_000_000_000,
            },
            meaning: "first values, which give mean and deviation where they are not given",
            slot: |p| Slot::Whole(&mut p.min_instances),
        },
        Parameter {
            name: "mean",
            alias: None,
            range: Range::Number {
                least: -1e100,
                most: 1e100,
            },
            meaning: "mean of the reference",
            slot: |p| Slot::MaybeNumber(&mut p.mean),
        },
        Parameter {
            name: "deviation",
            alias: None,
            range: Range::Number {
                least: 0.0,
                most: 1e100,
            },
            meaning: "standard deviation of the reference",
            slot: |p| Slot::MaybeNumber(&mut p.deviation),
        },
        Parameter {
            name: "mode",
            alias: None,
            range: MODES,
            meaning: "whether rises, falls or both are changes",
            slot: |p| Slot::Mode(&mut p.mode),
        },
    ];

    fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            first: Moments::default(),
            off: 0.0,
            rest: 1.0,
        }
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    fn update(&mut self, x: f64) -> Signal {
        let p = &self.parameters;
        let known = p.mean.is_some() && p.deviation.is_some();
        if !known && self.first.mean.n < p.min_instances {
            self.first.update(x);
            return Signal::None;
        }
        let mean = p.mean.unwrap_or(self.first.mean.mean);
        let deviation = p.deviation.unwrap_or_else(|| self.first.variance().sqrt());
        self.off = p.alpha * (x - mean) + (1.0 - p.alpha) * self.off;
        self.rest *= (1.0 - p.alpha) * (1.0 - p.alpha);
        let estimated = match p.mean {
            Some(_) => 0.0,
            None => 1.0 / p.min_instances as f64,
        };
        let spread = (p.alpha / (2.0 - p.alpha) * (1.0 - self.rest) + estimated).sqrt();
        let limit = p.threshold * deviation * spread;
        if p.mode.any(self.off > limit, -self.off > limit) {
            Signal::Drift
        } else {
            Signal::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_widen_to_their_steady_state() {
        let parameters = Parameters {
            alpha: 0.5,
            mean: Some(0.0),
            deviation: Some(1.0),
            ..Parameters::default()
        };
        // At the first value Z = x/2 and the limit 3·½: 3 is just not beyond it.
        let mut ewma = Ewma::new(parameters.clone());
        assert_eq!(ewma.update(3.0), Signal::None);
        let mut ewma = Ewma::new(parameters.clone());
        assert_eq!(ewma.update(-3.1), Signal::Drift);
        // In the long run √(⅓)·3 = 1.732.
        let mut ewma = Ewma::new(parameters);
        assert!((0..1_000).all(|_| ewma.update(1.73) == Signal::None));
    }

    #[test]
    fn a_constant_that_moves_is_a_change() {
        let mut ewma = Ewma::new(Parameters::default());
        assert!((0..500).all(|_| ewma.update(7.0) == Signal::None));
        assert_eq!(ewma.update(7.000_1), Signal::Drift);
    }
}
