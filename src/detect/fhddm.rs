//! FHDDM: the mean of a sliding window falls below the greatest it had.
//!
//! With p the mean of the newest n values and p_max its greatest so far, drift when p_max − p > √(ln(1/δ)/(2n)) (Hoeffding), looked at
//! when the window is full. As in the paper and in River, a value of 1 is a *correct* prediction: a stream of errors goes in
//! as 1 − error. With `short_window_size` a second window over the newest values is watched in the same way
//! (stacking). No warnings. Source: Pesaranghader and Viktor (2016); stacking: Pesaranghader, Viktor and Paquet (2018).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::parameter::{LEVEL, Parameter, Range, Slot};
use super::{Method, Signal};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    sliding_window_size: u64,
    confidence_level: f64,
    short_window_size: Option<u64>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            sliding_window_size: 100,
            confidence_level: 1e-6,
            short_window_size: None,
        }
    }
}

/// The detector; values from 0 (wrong) to 1 (right).
///
/// ```
/// use driftline::detect::{Detector, Kind, Signal};
/// let mut fhddm = Detector::new(Kind::Fhddm, &[]).expect("defaults");
/// // Nine of ten right, and from the 300th on one in two.
/// let stream = (0..600).map(|i| f64::from(if i < 300 { i % 10 != 0 } else { i % 2 == 0 }));
/// let drift = stream.map(|x| fhddm.update(x)).position(|signal| signal == Signal::Drift);
/// assert_eq!(drift, Some(365));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fhddm {
    parameters: Parameters,
    /// The newest values, one fewer than the window has, the oldest first.
    window: VecDeque<f64>,
    sum: f64,
    greatest: f64,
    greatest_short: f64,
}

impl Method for Fhddm {
    type Parameters = Parameters;
    const PARAMETERS: &'static [Parameter<Parameters>] = &[
        Parameter {
            name: "sliding_window_size",
            alias: None,
            range: Range::Whole {
                least: 1,
                most: 1_000_000,
            },
            meaning: "values in the window",
            slot: |p| Slot::Whole(&mut p.sliding_window_size),
        },
        Parameter {
            name: "confidence_level",
            alias: None,
            range: LEVEL,
            meaning: "level of Hoeffding's bound",
            slot: |p| Slot::Number(&mut p.confidence_level),
        },
        Parameter {
            name: "short_window_size",
            alias: None,
            range: Range::Whole {
                least: 1,
                most: 1_000_000,
            },
            meaning: "values in a second, short window",
            slot: |p| Slot::MaybeWhole(&mut p.short_window_size),
        },
    ];

    fn conflict(p: &Parameters) -> Option<(&'static str, String, String)> {
        let short = p
            .short_window_size
            .filter(|short| *short > p.sliding_window_size)?;
        let remedy = format!(
            "must not be above sliding_window_size = {}",
            p.sliding_window_size
        );
        Some(("short_window_size", short.to_string(), remedy))
    }

    fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            window: VecDeque::new(),
            sum: 0.0,
            greatest: 0.0,
            greatest_short: 0.0,
        }
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    fn update(&mut self, x: f64) -> Signal {
        let size = self.parameters.sliding_window_size;
        self.window.push_back(x);
        self.sum += x;
        if (self.window.len() as u64) < size {
            return Signal::None;
        }
        let mean = self.sum / size as f64;
        self.greatest = self.greatest.max(mean);
        let mut drift = self.greatest - mean > self.hoeffding(size);
        if let Some(short) = self.parameters.short_window_size {
            let newest = self.window.range(self.window.len() - short as usize..);
            let mean = newest.sum::<f64>() / short as f64;
            self.greatest_short = self.greatest_short.max(mean);
            drift |= self.greatest_short - mean > self.hoeffding(short);
        }
        self.sum -= self.window.pop_front().unwrap_or(0.0);
        if drift { Signal::Drift } else { Signal::None }
    }
}

impl Fhddm {
    fn hoeffding(&self, n: u64) -> f64 {
        ((1.0 / self.parameters.confidence_level).ln() / (2.0 * n as f64)).sqrt()
    }
}
