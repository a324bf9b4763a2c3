//! DDM: an error rate that rises above its least by standard deviations.
//!
//! With p the mean of n values and s = √(p(1 − p)/n), the least p + s so far is remembered as p_min and s_min (of equal ones the
//! newest). Warning while p + s > p_min + 2·s_min, drift when p + s > p_min + 3·s_min. It sees rises only,
//! and each look is one of many: on a steady stream it fires more often than the normal law's 0.1 %.
//! Source: Gama, Medas, Castillo and Rodrigues (2004).

use serde::{Deserialize, Serialize};

use super::moments::Mean;
use super::parameter::{CONTRACT_MEANING, CONTRACTS, Contract, Parameter, Range, Slot};
use super::{Method, Signal};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    warm_start: u64,
    warning_threshold: f64,
    drift_threshold: f64,
    contract: Contract,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            warm_start: 30,
            warning_threshold: 2.0,
            drift_threshold: 3.0,
            contract: Contract::River,
        }
    }
}

/// The detector; values from 0 (right) to 1 (wrong).
///
/// ```
/// use driftline::detect::{Detector, Kind, Signal};
/// let mut ddm = Detector::new(Kind::Ddm, &[]).expect("defaults");
/// // One error in ten, and from the 200th on one in two.
/// let stream = (0..400).map(|i| f64::from(if i < 200 { i % 10 == 0 } else { i % 2 == 0 }));
/// let drift = stream.map(|x| ddm.update(x)).position(|signal| signal == Signal::Drift);
/// assert_eq!(drift, Some(222));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ddm {
    parameters: Parameters,
    rate: Mean,
    /// p and s where their sum was least.
    least: Option<(f64, f64)>,
}

impl Method for Ddm {
    type Parameters = Parameters;
    const PARAMETERS: &'static [Parameter<Parameters>] = &[
        Parameter {
            name: "warm_start",
            alias: Some("min_num_instances"),
            range: Range::Whole {
                least: 0,
                most: 1_000_000_000,
            },
            meaning: "values before the first look",
            slot: |p| Slot::Whole(&mut p.warm_start),
        },
        Parameter {
            name: "warning_threshold",
            alias: Some("warning_level"),
            range: Range::Number {
                least: 0.0,
                most: 1e6,
            },
            meaning: "standard deviations to a warning",
            slot: |p| Slot::Number(&mut p.warning_threshold),
        },
        Parameter {
            name: "drift_threshold",
            alias: Some("drift_level"),
            range: Range::Number {
                least: 0.0,
                most: 1e6,
            },
            meaning: "standard deviations to a drift",
            slot: |p| Slot::Number(&mut p.drift_threshold),
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
            rate: Mean::default(),
            least: None,
        }
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    fn update(&mut self, x: f64) -> Signal {
        let warm = self.parameters.warm_start;
        let ready = match self.parameters.contract {
            Contract::River => {
                self.rate.update(x);
                self.rate.n > warm
            }
            Contract::Frouros => {
                self.rate.update_by_quotient(x);
                self.rate.n >= warm
            }
        };
        if !ready {
            return Signal::None;
        }
        let p = self.rate.mean;
        // Rounding may leave a mean of ones a little above 1.
        let s = (p * (1.0 - p) / self.rate.n as f64).max(0.0).sqrt();
        let (p_min, s_min) = match self.least {
            Some((p_min, s_min)) if !self.is_less(p + s, p_min + s_min) => (p_min, s_min),
            _ => (p, s),
        };
        self.least = Some((p_min, s_min));
        if p + s > p_min + self.parameters.drift_threshold * s_min {
            Signal::Drift
        } else if p + s > p_min + self.parameters.warning_threshold * s_min {
            Signal::Warning
        } else {
            Signal::None
        }
    }
}

impl Ddm {
    /// Of equal ones River takes the newest, Frouros the oldest.
    fn is_less(&self, new: f64, least: f64) -> bool {
        match self.parameters.contract {
            Contract::River => new <= least,
            Contract::Frouros => new < least,
        }
    }
}
