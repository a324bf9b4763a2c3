//! HDDM_A: Hoeffding's bound on the difference of two means, before and after a cut.
//!
//! The cut for a rise lies where mean + ε(n) was least, ε(n) = √(ln(1/α)/(2n)) at the level α of a drift. With n_x values and mean
//! x̄ up to the cut and n_z, z̄ of all, it is a drift (level `drift_confidence`) or a warning (`warning_confidence`) when
//! z̄ − x̄ ≥ √((n_z − n_x)/(2·n_x·n_z)·ln(2/level)). With `two_sided_test` falls are changes as well, a fall from where
//! mean − ε was greatest. The bound is distribution-free and each look is one of many.
//! Source: Frías-Blanco et al. (2015), the A-test.

use serde::{Deserialize, Serialize};

use super::moments::Mean;
use super::parameter::{CONTRACT_MEANING, CONTRACTS, Contract, LEVEL, Parameter, Range, Slot};
use super::{Method, Signal};

/// Frouros looks from this value on.
pub(super) const FROUROS_FIRST_LOOK: u64 = 30;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    drift_confidence: f64,
    warning_confidence: f64,
    two_sided_test: bool,
    contract: Contract,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            drift_confidence: 0.001,
            warning_confidence: 0.005,
            two_sided_test: false,
            contract: Contract::River,
        }
    }
}

/// The detector; values from 0 (right) to 1 (wrong).
///
/// ```
/// use driftline::detect::{Detector, Kind, Signal};
/// let mut hddm = Detector::new(Kind::HddmA, &[]).expect("defaults");
/// // One error in ten, and from the 200th on one in two.
/// let stream = (0..400).map(|i| f64::from(if i < 200 { i % 10 == 0 } else { i % 2 == 0 }));
/// let drift = stream.map(|x| hddm.update(x)).position(|signal| signal == Signal::Drift);
/// assert_eq!(drift, Some(224));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HddmA {
    parameters: Parameters,
    all: Mean,
    /// Up to the cut for a rise.
    low: Mean,
    /// Up to the cut for a fall.
    high: Mean,
}

impl Method for HddmA {
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
        let empty = Mean::default();
        Self {
            parameters,
            all: empty,
            low: empty,
            high: empty,
        }
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    fn update(&mut self, x: f64) -> Signal {
        match self.parameters.contract {
            Contract::River => self.all.update(x),
            Contract::Frouros => self.all.update_by_quotient(x),
        }
        let epsilon = self.hoeffding(self.all.n);
        let upper = |mean: &Mean, epsilon: f64| mean.mean + epsilon;
        if self.low.n == 0
            || upper(&self.low, self.hoeffding(self.low.n)) >= upper(&self.all, epsilon)
        {
            self.low = self.all;
        }
        let lower = |mean: &Mean, epsilon: f64| mean.mean - epsilon;
        if self.high.n == 0
            || lower(&self.high, self.hoeffding(self.high.n)) <= lower(&self.all, epsilon)
        {
            self.high = self.all;
        }
        let frouros = self.parameters.contract == Contract::Frouros;
        if frouros && self.all.n < FROUROS_FIRST_LOOK {
            return Signal::None;
        }
        let rise = self.judge(self.all.mean - self.low.mean, self.low.n);
        let fall = match self.parameters.two_sided_test {
            true => self.judge(self.high.mean - self.all.mean, self.high.n),
            false => Signal::None,
        };
        either(rise, fall)
    }
}

impl HddmA {
    fn hoeffding(&self, n: u64) -> f64 {
        (1.0 / (2.0 * n as f64) * (1.0 / self.parameters.drift_confidence).ln()).sqrt()
    }

    fn judge(&self, difference: f64, n_cut: u64) -> Signal {
        if n_cut == self.all.n {
            return Signal::None;
        }
        let (n, n_cut) = (self.all.n as f64, n_cut as f64);
        // Frouros has the bound of a one-sided test, River that of a two-sided one.
        let beyond = |level: f64| match self.parameters.contract {
            Contract::River => {
                let m = (n - n_cut) / n_cut * (1.0 / n);
                difference >= (m / 2.0 * (2.0 / level).ln()).sqrt()
            }
            Contract::Frouros => {
                let m = (n - n_cut) / (2.0 * n_cut * n);
                difference >= (m * (1.0 / level).ln()).sqrt()
            }
        };
        if beyond(self.parameters.drift_confidence) {
            Signal::Drift
        } else if beyond(self.parameters.warning_confidence) {
            Signal::Warning
        } else {
            Signal::None
        }
    }
}

/// The graver of two signals.
pub(super) fn either(one: Signal, other: Signal) -> Signal {
    match (one, other) {
        (Signal::Drift, _) | (_, Signal::Drift) => Signal::Drift,
        (Signal::Warning, _) | (_, Signal::Warning) => Signal::Warning,
        (Signal::None, Signal::None) => Signal::None,
    }
}

/// Frouros' two-sided tests say drift where nothing changed: the A-test holds a difference of 0 against a bound of 0, the
/// W-test takes a tuple for a truth.
pub(super) fn two_sided_by_frouros(
    two_sided: bool,
    contract: Contract,
) -> Option<(&'static str, String, String)> {
    (two_sided && contract == Contract::Frouros).then(|| {
        let remedy = "Frouros' two-sided test says drift without a change and is not followed; leave out contract=frouros";
        ("two_sided_test", "true".to_owned(), remedy.to_owned())
    })
}
