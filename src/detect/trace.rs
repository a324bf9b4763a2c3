//! What a detector said over a whole stream: where warnings began, and where drift was.

use serde::{Deserialize, Serialize};

use super::{Detector, Signal};

/// 0-based indices of values, those that were left out counted like all others.
///
/// ```
/// use driftline::detect::{Detector, Kind, Trace};
/// let mut detector = Detector::new(Kind::Ddm, &[]).expect("defaults");
/// let mut trace = Trace::default();
/// for i in 0..300 {
///     trace.step(&mut detector, f64::from(i % 10 == 0 || i > 200));
/// }
/// assert_eq!((trace.warnings, trace.drifts), (vec![204], vec![209]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trace {
    /// Values so far.
    pub n: u64,
    /// Where the warning state began: the value before did not warn.
    pub warnings: Vec<u64>,
    pub drifts: Vec<u64>,
    last: Signal,
}

impl Trace {
    /// Gives `x` to the detector and notes what it says.
    pub fn step(&mut self, detector: &mut Detector, x: f64) -> Signal {
        let signal = detector.update(x);
        match signal {
            Signal::Drift => self.drifts.push(self.n),
            Signal::Warning if self.last != Signal::Warning => self.warnings.push(self.n),
            Signal::Warning | Signal::None => {}
        }
        self.last = signal;
        self.n += 1;
        signal
    }
}
