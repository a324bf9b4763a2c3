//! EDDM: errors that come closer together than they ever were apart.
//!
//! Of the distances between errors (the first one's from the beginning) it follows mean p′ and standard deviation s′, and the
//! greatest p′ + 2·s′. Warning while (p′ + 2·s′) / greatest < α, drift when it is < β; looked at only when an error comes, so a
//! warning lasts until the next one. Fires early, and often without cause: α and β have no error rate behind them.
//! Source: Baena-García et al. (2006).

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::parameter::{CONTRACT_MEANING, CONTRACTS, Contract, Parameter, Range, Slot};
use super::{Method, Signal};

/// Standard deviations in the measure of distance: the paper's.
const SPREAD: f64 = 2.0;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    warm_start: u64,
    alpha: f64,
    beta: f64,
    contract: Contract,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            warm_start: 30,
            alpha: 0.95,
            beta: 0.9,
            contract: Contract::River,
        }
    }
}

/// The detector; 1 is an error, 0 none.
///
/// ```
/// use driftline::detect::{Detector, Kind, Signal};
/// let mut eddm = Detector::new(Kind::Eddm, &[]).expect("defaults");
/// // One error in ten, and from the 500th on one in two.
/// let scattered = |i: u32| i * 7_919 % 1_000;
/// let stream = (0..900).map(|i| f64::from(scattered(i) < if i < 500 { 100 } else { 500 }));
/// let drift = stream.map(|x| eddm.update(x)).position(|signal| signal == Signal::Drift);
/// assert_eq!(drift, Some(540));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Eddm {
    parameters: Parameters,
    n: u64,
    last_error: u64,
    /// Of the distances between errors.
    distances: Moments,
    greatest: Option<f64>,
    warns: bool,
}

impl Method for Eddm {
    type Parameters = Parameters;
    const PARAMETERS: &'static [Parameter<Parameters>] = &[
        Parameter {
            name: "warm_start",
            alias: Some("min_num_misclassified_instances"),
            range: Range::Whole {
                least: 1,
                most: 1_000_000_000,
            },
            meaning: "errors before the first look",
            slot: |p| Slot::Whole(&mut p.warm_start),
        },
        Parameter {
            name: "alpha",
            alias: None,
            range: Range::Between(0.0, 1.0),
            meaning: "share of the greatest distance below which it warns",
            slot: |p| Slot::Number(&mut p.alpha),
        },
        Parameter {
            name: "beta",
            alias: None,
            range: Range::Between(0.0, 1.0),
            meaning: "share of the greatest distance below which it drifts",
            slot: |p| Slot::Number(&mut p.beta),
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
        (p.alpha < p.beta).then(|| {
            let remedy = format!(
                "must not be below beta = {}, because a warning comes first",
                p.beta
            );
            ("alpha", p.alpha.to_string(), remedy)
        })
    }

    fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            n: 0,
            last_error: 0,
            distances: Moments::default(),
            greatest: None,
            warns: false,
        }
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    fn update(&mut self, x: f64) -> Signal {
        self.n += 1;
        let river = self.parameters.contract == Contract::River;
        if x == 0.0 {
            // Frouros warns at errors only.
            self.warns &= river;
        } else {
            let signal = self.error(river);
            if let Some(signal) = signal {
                self.warns = signal == Signal::Warning;
            }
            if signal == Some(Signal::Drift) {
                return Signal::Drift;
            }
        }
        if self.warns {
            Signal::Warning
        } else {
            Signal::None
        }
    }
}

impl Eddm {
    /// Takes an error; `None` where there was no look, and what was said before lasts.
    fn error(&mut self, river: bool) -> Option<Signal> {
        let distance = (self.n - self.last_error) as f64;
        self.last_error = self.n;
        let (warm, variance) = if river {
            self.distances.update(distance);
            // River waits for one more than that.
            (self.parameters.warm_start + 1, self.distances.variance())
        } else {
            self.distances.update_by_quotient(distance);
            (self.parameters.warm_start, self.distances.variance_of_all())
        };
        if self.n < warm {
            return None;
        }
        let measure = self.distances.mean.mean + SPREAD * variance.sqrt();
        match self.greatest {
            Some(greatest) if measure <= greatest => {
                (self.distances.mean.n >= warm).then(|| self.judge(measure / greatest))
            }
            _ => {
                self.greatest = Some(measure);
                // A new greatest distance ends a warning for Frouros alone.
                (!river).then_some(Signal::None)
            }
        }
    }

    fn judge(&self, level: f64) -> Signal {
        if level < self.parameters.beta {
            Signal::Drift
        } else if level < self.parameters.alpha {
            Signal::Warning
        } else {
            Signal::None
        }
    }
}
