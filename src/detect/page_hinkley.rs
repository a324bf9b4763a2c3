//! Page–Hinkley: the sum of deviations from the running mean leaves its extreme.
//!
//! With x̄ the mean so far, U ← α·U + (x − x̄ − δ) and D ← α·D + (x − x̄ + δ); drift when U − min U > λ (a rise) or
//! max D − D > λ (a fall), from `min_instances` values on. As in River, max D is at least −1. λ is in the unit of the
//! values, so it must be chosen with them in view; there is no error rate behind it.
//! Source: Page (1954), Hinkley (1971); fading: Sebastião and Fernandes (2017).

use serde::{Deserialize, Serialize};

use super::moments::Mean;
use super::parameter::{
    CONTRACT_MEANING, CONTRACTS, Contract, MODES, Mode, Parameter, Range, Slot,
};
use super::{Method, Signal};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    min_instances: u64,
    delta: f64,
    threshold: f64,
    alpha: f64,
    mode: Mode,
    contract: Contract,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            min_instances: 30,
            delta: 0.005,
            threshold: 50.0,
            alpha: 0.9999,
            mode: Mode::Both,
            contract: Contract::River,
        }
    }
}

/// The detector. Frouros' is Σ ← α·Σ + (x − x̄ − δ), drift when Σ > λ: rises only, whatever the mode.
///
/// ```
/// use driftline::detect::{Detector, Kind, Signal};
/// let mut detector = Detector::new(Kind::PageHinkley, &[]).expect("defaults");
/// let stream = (0..300).map(|i| if i < 200 { f64::from(i % 2) } else { 5.0 });
/// let drift = stream.map(|x| detector.update(x)).position(|signal| signal == Signal::Drift);
/// assert_eq!(drift, Some(211));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageHinkley {
    parameters: Parameters,
    mean: Mean,
    up: f64,
    down: f64,
    least_up: Option<f64>,
    greatest_down: f64,
}

impl Method for PageHinkley {
    type Parameters = Parameters;
    const PARAMETERS: &'static [Parameter<Parameters>] = &[
        Parameter {
            name: "min_instances",
            alias: Some("min_num_instances"),
            range: Range::Whole {
                least: 1,
                most: 1_000_000_000,
            },
            meaning: "the value of the first look",
            slot: |p| Slot::Whole(&mut p.min_instances),
        },
        Parameter {
            name: "delta",
            alias: None,
            range: Range::Number {
                least: 0.0,
                most: 1e100,
            },
            meaning: "deviation that is of no interest, in the unit of the values",
            slot: |p| Slot::Number(&mut p.delta),
        },
        Parameter {
            name: "threshold",
            alias: Some("lambda_"),
            range: Range::Number {
                least: 0.0,
                most: 1e100,
            },
            meaning: "sum of deviations that is a change, in the unit of the values",
            slot: |p| Slot::Number(&mut p.threshold),
        },
        Parameter {
            name: "alpha",
            alias: None,
            range: Range::Number {
                least: 0.0,
                most: 1.0,
            },
            meaning: "share of the sum that is kept from value to value",
            slot: |p| Slot::Number(&mut p.alpha),
        },
        Parameter {
            name: "mode",
            alias: None,
            range: MODES,
            meaning: "whether rises, falls or both are changes",
            slot: |p| Slot::Mode(&mut p.mode),
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
        (p.contract == Contract::Frouros && p.mode == Mode::Down).then(|| {
            let remedy = "Frouros' test sees rises only; leave out contract=frouros";
            ("mode", "down".to_owned(), remedy.to_owned())
        })
    }

    fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            mean: Mean::default(),
            up: 0.0,
            down: 0.0,
            least_up: None,
            greatest_down: -1.0,
        }
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    fn update(&mut self, x: f64) -> Signal {
        let p = &self.parameters;
        let frouros = p.contract == Contract::Frouros;
        if frouros {
            self.mean.update_by_quotient(x);
            self.up = p.alpha * self.up + (x - self.mean.mean - p.delta);
        } else {
            self.mean.update(x);
            let off = x - self.mean.mean;
            self.up = p.alpha * self.up + off - p.delta;
            self.down = p.alpha * self.down + off + p.delta;
        }
        let least = self.least_up.map_or(self.up, |least| least.min(self.up));
        self.least_up = Some(least);
        self.greatest_down = self.greatest_down.max(self.down);
        if self.mean.n < p.min_instances {
            return Signal::None;
        }
        let rises = |from: f64| self.up - from > p.threshold;
        let drift = if frouros {
            rises(0.0)
        } else {
            p.mode
                .any(rises(least), self.greatest_down - self.down > p.threshold)
        };
        if drift { Signal::Drift } else { Signal::None }
    }
}
