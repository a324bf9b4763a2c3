//! HDDM_W: McDiarmid's bound on the difference of two exponentially weighted means, before and after a cut.
//!
//! Of values weighted by λ the mean is ẑ and the sum of squared weights c. The cut for a rise lies where ẑ + ε was least,
//! ε = √(c·ln(1/α)/2) at the level α of a drift. It is a drift (level `drift_confidence`) or a warning (`warning_confidence`) when the
//! weighted mean after the cut exceeds that before it by more than √((c₁ + c₂)·ln(1/level)/2). With `two_sided_test` falls
//! are changes as well. Source: Frías-Blanco et al. (2015), the W-test.

use serde::{Deserialize, Serialize};

use super::hddm_a::{FROUROS_FIRST_LOOK, either, two_sided_by_frouros};
use super::parameter::{CONTRACT_MEANING, CONTRACTS, Contract, LEVEL, Parameter, Range, Slot};
use super::{Method, Signal};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    drift_confidence: f64,
    warning_confidence: f64,
    lambda_val: f64,
    two_sided_test: bool,
    contract: Contract,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            drift_confidence: 0.001,
            warning_confidence: 0.005,
            lambda_val: 0.05,
            two_sided_test: false,
            contract: Contract::River,
        }
    }
}

/// A weighted mean and the bound of its weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Weighted {
    /// `None` before the first value.
    mean: Option<f64>,
    /// What the sum of squared weights is at most.
    weights: f64,
}

impl Weighted {
    const EMPTY: Self = Self {
        mean: None,
        weights: 1.0,
    };

    fn update(&mut self, x: f64, parameters: &Parameters) {
        let lambda = parameters.lambda_val;
        // River begins with the first value, Frouros with 0.
        let before = self.mean.unwrap_or(match parameters.contract {
            Contract::River => x,
            Contract::Frouros => 0.0,
        });
        let first = self.mean.is_none() && parameters.contract == Contract::River;
        self.mean = Some(match first {
            true => x,
            false => lambda * x + (1.0 - lambda) * before,
        });
        self.weights = lambda * lambda + (1.0 - lambda) * (1.0 - lambda) * self.weights;
    }
}

/// A cut: what lay before it, what came after it, and the bound that it was made at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Cut {
    at: Option<f64>,
    before: Weighted,
    after: Weighted,
}

impl Cut {
    const NONE: Self = Self {
        at: None,
        before: Weighted::EMPTY,
        after: Weighted::EMPTY,
    };
}

/// The detector; values from 0 (right) to 1 (wrong).
///
/// ```
/// use driftline::detect::{Detector, Kind, Signal};
/// let mut hddm = Detector::new(Kind::HddmW, &[]).expect("defaults");
/// // One error in ten, and from the 200th on one in two.
/// let stream = (0..400).map(|i| f64::from(if i < 200 { i % 10 == 0 } else { i % 2 == 0 }));
/// let drift = stream.map(|x| hddm.update(x)).position(|signal| signal == Signal::Drift);
/// assert_eq!(drift, Some(236));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HddmW {
    parameters: Parameters,
    n: u64,
    all: Weighted,
    rise: Cut,
    fall: Cut,
}

impl Method for HddmW {
    type Parameters = Parameters;
    const PARAMETERS: &'static [Parameter<Parameters>] = &[
        Parameter {
            name: "drift_confidence",
            alias: Some("alpha_d"),
            range: LEVEL,
            meaning: "level of a drift",
            slot: |p| Slot::Number(&mut p.drift_confidence),
        },
        Parameter {
            name: "warning_confidence",
            alias: Some("alpha_w"),
            range: LEVEL,
            meaning: "level of a warning",
            slot: |p| Slot::Number(&mut p.warning_confidence),
        },
        Parameter {
            name: "lambda_val",
            alias: Some("lambda_"),
            range: Range::Between(0.0, 1.0),
            meaning: "weight of the newest value",
            slot: |p| Slot::Number(&mut p.lambda_val),
        },
        Parameter {
            name: "two_sided_test",
            alias: None,
            range: Range::Flag,
            meaning: "whether falls are changes as well",
            slot: |p| Slot::Flag(&mut p.two_sided_test),
        },
        Parameter {
            name: "contract",
            alias: None,
            range: CONTRACTS,
            meaning: CONTRACT_MEANING,
            slot: |p| Slot::Contract(&mut p.contract),
        },
    ];

    fn conflict(p: &Parameters) -> Option<(&'static str, String, String)> {
        two_sided_by_frouros(p.two_sided_test, p.contract)
    }

    fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            n: 0,
            all: Weighted::EMPTY,
            rise: Cut::NONE,
            fall: Cut::NONE,
        }
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    fn update(&mut self, x: f64) -> Signal {
        self.n += 1;
        self.all.update(x, &self.parameters);
        // Frouros takes λ for the level of the cut.
        let level = match self.parameters.contract {
            Contract::River => self.parameters.drift_confidence,
            Contract::Frouros => self.parameters.lambda_val,
        };
        let epsilon = mcdiarmid(self.all.weights, level);
        let mean = self.all.mean.unwrap_or(x);
        self.rise.step(
            x,
            mean + epsilon,
            |new, at| new < at,
            &self.all,
            &self.parameters,
        );
        self.fall.step(
            x,
            mean - epsilon,
            |new, at| new > at,
            &self.all,
            &self.parameters,
        );
        if self.parameters.contract == Contract::Frouros && self.n < FROUROS_FIRST_LOOK {
            return Signal::None;
        }
        let rise = self.judge(&self.rise.before, &self.rise.after);
        let fall = match self.parameters.two_sided_test {
            true => self.judge(&self.fall.after, &self.fall.before),
            false => Signal::None,
        };
        either(rise, fall)
    }
}

impl Cut {
    fn step(
        &mut self,
        x: f64,
        bound: f64,
        better: fn(f64, f64) -> bool,
        all: &Weighted,
        parameters: &Parameters,
    ) {
        if self.at.is_none_or(|at| better(bound, at)) {
            *self = Self {
                at: Some(bound),
                before: *all,
                after: Weighted::EMPTY,
            };
        } else {
            self.after.update(x, parameters);
        }
    }
}

impl HddmW {
    /// Whether the mean of `high` is above that of `low` by more than chance allows.
    fn judge(&self, low: &Weighted, high: &Weighted) -> Signal {
        // Frouros takes a mean of nothing for 0, which is never above another one.
        let (Some(from), Some(to)) = (low.mean, high.mean) else {
            return Signal::None;
        };
        let weights = low.weights + high.weights;
        if to - from > mcdiarmid(weights, self.parameters.drift_confidence) {
            Signal::Drift
        } else if to - from > mcdiarmid(weights, self.parameters.warning_confidence) {
            Signal::Warning
        } else {
            Signal::None
        }
    }
}

fn mcdiarmid(weights: f64, level: f64) -> f64 {
    (weights * (1.0 / level).ln() / 2.0).sqrt()
}
