//! Tabular CUSUM: a run of deviations from a fixed mean.
//!
//! U ← max(0, U + z − k) and D ← max(0, D − z − k) of z = (x − μ)/σ; drift when U > h (a rise) or D > h (a fall). μ and σ are those that
//! are given, or else the mean and the standard deviation of the first `min_instances` values, and then fixed: a running
//! mean would follow the shift. With known μ and σ, k = 0.5 and h = 5, one false alarm comes in some 465 independent normal
//! values (one-sided: 930); with μ and σ from 30 values far more. A constant of which the first values give σ = 0
//! drifts with the first value that differs. No warnings. Source: Page (1954); run lengths: Montgomery, ch. 9.

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::parameter::{MODES, Mode, Parameter, Range, Slot};
use super::{Method, Signal};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    min_instances: u64,
    slack: f64,
    threshold: f64,
    mean: Option<f64>,
    deviation: Option<f64>,
    mode: Mode,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            min_instances: 30,
            slack: 0.5,
            threshold: 5.0,
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
/// let mut cusum = Detector::new(Kind::Cusum, &given).expect("a mean and a deviation");
/// let stream = (0..200).map(|i| if i < 100 { f64::from(i % 2) } else { 2.0 });
/// let drift = stream.map(|x| cusum.update(x)).position(|signal| signal == Signal::Drift);
/// // 3σ above the mean: 2.5 a value, after the 0.5 that the last value had left.
/// assert_eq!(drift, Some(101));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    parameters: Parameters,
    first: Moments,
    up: f64,
    down: f64,
}

impl Method for Cusum {
    type Parameters = Parameters;
    const PARAMETERS: &'static [Parameter<Parameters>] = &[
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
            name: "slack",
            alias: None,
            range: Range::Number {
                least: 0.0,
                most: 1e6,
            },
            meaning: "deviation of no interest (k), in standard deviations",
            slot: |p| Slot::Number(&mut p.slack),
        },
        Parameter {
            name: "threshold",
            alias: None,
            range: Range::Number {
                least: 0.0,
                most: 1e12,
            },
            meaning: "sum that is a change (h), in standard deviations",
            slot: |p| Slot::Number(&mut p.threshold),
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
            up: 0.0,
            down: 0.0,
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
        // In the unit of the values, so that a deviation of 0 divides nothing.
        let (off, slack) = (x - mean, p.slack * deviation);
        self.up = (self.up + off - slack).max(0.0);
        self.down = (self.down - off - slack).max(0.0);
        let limit = p.threshold * deviation;
        if p.mode.any(self.up > limit, self.down > limit) {
            Signal::Drift
        } else {
            Signal::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn drift_at(parameters: Parameters, stream: &[f64], expect: Option<usize>) {
        let mut cusum = Cusum::new(parameters);
        let found = stream
            .iter()
            .position(|&x| cusum.update(x) == Signal::Drift);
        assert_eq!(found, expect);
    }

    #[test]
    fn a_run_in_the_direction_asked_for_is_a_change() {
        let unit = |mode| Parameters {
            mean: Some(0.0),
            deviation: Some(1.0),
            mode,
            ..Parameters::default()
        };
        // 1.5 less 0.5 a value: 6 is above 5 at the sixth.
        drift_at(unit(Mode::Both), &[1.5; 10], Some(5));
        drift_at(unit(Mode::Up), &[-1.5; 10], None);
        drift_at(unit(Mode::Down), &[-1.5; 10], Some(5));
        drift_at(unit(Mode::Both), &[0.5; 10_000], None);
    }

    #[test]
    fn the_first_values_are_the_reference() {
        let stream: Vec<f64> = (0..30).map(|i| f64::from(i % 2)).chain([2.5; 5]).collect();
        drift_at(Parameters::default(), &stream, Some(31));
        let mut constant = vec![7.0; 100];
        constant.push(7.1);
        drift_at(Parameters::default(), &constant, Some(100));
    }
}
