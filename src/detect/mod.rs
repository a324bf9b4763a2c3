//! Sequential detectors: a stream of numbers, one at a time, and after each the answer "nothing", "warning" or "drift".
//!
//! [`table`] is the one list; [`Kind`] is a line of it, [`Detector`] one at work. Each detector has a file with its idea,
//! parameters, a seeded example and its reference. **River's contract** holds: the index of a detection is that of the
//! value after whose update the signal was up, and a detector that has signalled drift begins anew with the next
//! value. Where Frouros behaves differently, the parameter `contract=frouros` follows it ([`Contract`]).
//!
//! **Invariants.** No value makes a detector panic or puts a NaN or an infinity into its state: one that is not finite, or
//! lies outside what the detector [`takes`](Domain), is left out and counted. A detector is a pure function of the values it
//! was given and serialises whole; a restored one continues bit for bit. Deliberately absent: where the values
//! come from, and in which order. For errors and losses that is the caller's: in *event* order, only where labels are
//! mature, because a delay that depends on the outcome makes any detector fire.

pub mod adwin;
pub mod cusum;
pub mod ddm;
pub mod e_process;
pub mod eddm;
pub mod ewma;
pub mod fhddm;
pub mod hddm_a;
pub mod hddm_w;
pub mod kswin;
mod mersenne;
mod moments;
pub mod page_hinkley;
mod parameter;
mod table;
mod trace;

#[cfg(test)]
mod laws_tests;

use serde::{Deserialize, Serialize};

pub use parameter::{Contract, Described, Mode, ParameterError, Range, Value};
pub use table::{Domain, Entry, table};
pub use trace::Trace;

use adwin::Adwin;
use cusum::Cusum;
use ddm::Ddm;
use e_process::EProcess;
use eddm::Eddm;
use ewma::Ewma;
use fhddm::Fhddm;
use hddm_a::HddmA;
use hddm_w::HddmW;
use kswin::Kswin;
use page_hinkley::PageHinkley;
use parameter::Parameter;

/// What a detector says after a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    #[default]
    None,
    /// The warning state: it may last for many values, and may end without a drift.
    Warning,
    Drift,
}

/// What the files of this room have in common, so that one match serves all.
trait Method: Sized {
    type Parameters: Default + 'static;
    const PARAMETERS: &'static [Parameter<Self::Parameters>];

    /// What cannot hold together: the parameter's name, its value, and what to do.
    fn conflict(_: &Self::Parameters) -> Option<(&'static str, String, String)> {
        None
    }

    fn new(parameters: Self::Parameters) -> Self;
    fn parameters(&self) -> Self::Parameters;
    fn update(&mut self, x: f64) -> Signal;

    /// Begins anew; what outlives a drift is the detector's own business.
    fn reset(&mut self) {
        *self = Self::new(self.parameters());
    }
}

/// The closed set: kinds, states and the calls that go to each, from one list.
macro_rules! detectors {
    ($($name:ident),+) => {
        /// A detector's name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind { $($name),+ }

        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum State { $($name($name)),+ }

        impl State {
            fn make(kind: Kind, given: &[(&str, &str)]) -> Result<Self, ParameterError> {
                match kind { $(Kind::$name => Ok(State::$name(made(kind, given)?))),+ }
            }

            fn kind(&self) -> Kind {
                match self { $(State::$name(_) => Kind::$name),+ }
            }

            fn parameters(&self) -> Vec<(&'static str, Value)> {
                match self { $(State::$name(method) => values(method)),+ }
            }

            fn update(&mut self, x: f64) -> Signal {
                match self { $(State::$name(method) => method.update(x)),+ }
            }

            fn reset(&mut self) {
                match self { $(State::$name(method) => method.reset()),+ }
            }
        }

        impl Kind {
            /// The parameters with their ranges and defaults.
            pub fn parameters(self) -> Vec<Described> {
                match self { $(Kind::$name => parameter::describe(<$name as Method>::PARAMETERS)),+ }
            }
        }
    };
}

detectors!(
    Adwin,
    Ddm,
    Eddm,
    HddmA,
    HddmW,
    Fhddm,
    Kswin,
    PageHinkley,
    Cusum,
    Ewma,
    EProcess
);

fn made<M: Method>(kind: Kind, given: &[(&str, &str)]) -> Result<M, ParameterError> {
    let detector = kind.name();
    let parameters = parameter::read(detector, M::PARAMETERS, given)?;
    match M::conflict(&parameters) {
        None => Ok(M::new(parameters)),
        Some((name, value, remedy)) => Err(ParameterError::Conflict {
            detector,
            name,
            value,
            remedy,
        }),
    }
}

fn values<M: Method>(method: &M) -> Vec<(&'static str, Value)> {
    let mut parameters = method.parameters();
    let line = |line: &Parameter<M::Parameters>| (line.name, line.value(&mut parameters));
    M::PARAMETERS.iter().map(line).collect()
}

/// A detector at work.
///
/// ```
/// use driftline::detect::{Detector, Kind, Signal};
/// let mut detector = Detector::new(Kind::PageHinkley, &[("threshold", "10")]).expect("a threshold above 0");
/// let stream = (0..200).map(|i| if i < 100 { 0.0 } else { 1.0 });
/// let drift = stream.map(|x| detector.update(x)).position(|signal| signal == Signal::Drift);
/// assert_eq!(drift, Some(110));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    state: State,
    /// What was said last.
    signal: Signal,
    /// Values that were left out.
    ignored: u64,
}

impl Detector {
    /// A detector of its defaults, with the given parameters in their place, by name.
    ///
    /// # Errors
    /// When a name is unknown or given twice, a value is outside its range, or two values contradict each other.
    pub fn new(kind: Kind, given: &[(&str, &str)]) -> Result<Self, ParameterError> {
        Ok(Self {
            state: State::make(kind, given)?,
            signal: Signal::None,
            ignored: 0,
        })
    }

    /// Takes one value. One outside the detector's domain, NaN and infinities among them, is counted and changes nothing:
    /// a warning lasts, everything else is [`Signal::None`].
    pub fn update(&mut self, x: f64) -> Signal {
        if !self.takes(x) {
            self.ignored += 1;
            return match self.signal {
                Signal::Warning => Signal::Warning,
                Signal::None | Signal::Drift => Signal::None,
            };
        }
        if self.signal == Signal::Drift {
            self.state.reset();
        }
        self.signal = self.state.update(x);
        self.signal
    }

    /// Whether a value lies in the detector's domain.
    pub fn takes(&self, x: f64) -> bool {
        self.kind().entry().takes.contains(x)
    }

    pub fn kind(&self) -> Kind {
        self.state.kind()
    }

    /// Every parameter with its value, in the order of the table.
    pub fn parameters(&self) -> Vec<(&'static str, Value)> {
        self.state.parameters()
    }

    /// How many values were left out.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// The adaptive window, if this is ADWIN.
    pub fn adwin(&self) -> Option<&Adwin> {
        match &self.state {
            State::Adwin(adwin) => Some(adwin),
            _ => None,
        }
    }

    /// The e-process, if this is one: its e-value, and the risk that it bets against.
    pub fn e_process(&self) -> Option<&EProcess> {
        match &self.state {
            State::EProcess(e_process) => Some(e_process),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_lie_in_their_own_ranges() {
        for entry in table() {
            for line in entry.kind.parameters() {
                let text = line.default.to_string();
                if line.default != Value::Unset(()) {
                    let made = Detector::new(entry.kind, &[(line.name, &text)]);
                    assert!(made.is_ok(), "{}: {made:?}", entry.name);
                }
            }
        }
    }

    #[track_caller]
    fn refused(kind: Kind, given: &[(&str, &str)], expect: &str) {
        let error = Detector::new(kind, given).expect_err("refused");
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_remedy() {
        refused(
            Kind::Adwin,
            &[("detla", "0.1")],
            "adwin: has no parameter \"detla\"; it has delta, clock, max_buckets, min_window_length, grace_period, contract",
        );
        refused(
            Kind::Adwin,
            &[("delta", "1")],
            "adwin: delta = 1: must be a number between 1e-300 and 1, both excluded; the default is 0.002",
        );
        refused(
            Kind::Adwin,
            &[("clock", "nan")],
            "adwin: clock = nan: must be a whole number from 1 to 1000000; the default is 32",
        );
        refused(
            Kind::PageHinkley,
            &[("threshold", "10"), ("lambda_", "10")],
            "page_hinkley: threshold is given twice, \"10\" and \"10\"; keep one",
        );
        refused(
            Kind::PageHinkley,
            &[("mode", "sideways")],
            "page_hinkley: mode = sideways: must be up, down, both; the default is both",
        );
        assert_eq!(
            Kind::parse("adwyn").expect_err("refused").to_string(),
            "there is no detector \"adwyn\"; there are adwin, ddm, eddm, hddm_a, hddm_w, fhddm, kswin, page_hinkley, cusum, \
             ewma, e_process"
        );
    }

    #[test]
    fn what_is_not_in_the_domain_changes_nothing_and_is_counted() {
        for entry in table() {
            let mut plain = Detector::new(entry.kind, &[]).expect("defaults");
            let mut holed = plain.clone();
            for i in 0..2_000_u32 {
                let x = f64::from(i % 7 == 0 || (i > 1_000 && i % 2 == 0));
                assert_eq!(plain.update(x), holed.update(x), "{}", entry.name);
                for strange in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
                    assert_ne!(holed.update(strange), Signal::Drift);
                }
            }
            assert_eq!(plain.state, holed.state, "{}", entry.name);
            assert_eq!((plain.ignored(), holed.ignored()), (0, 8_000));
        }
    }

    #[test]
    fn a_value_that_is_left_out_does_not_end_a_warning() {
        let mut detector = Detector::new(Kind::Ddm, &[]).expect("defaults");
        let mut stream = (0..).map(|i| f64::from(i % 10 == 0 || i > 200));
        while detector.update(stream.next().expect("endless")) != Signal::Warning {}
        assert_eq!(detector.update(f64::NAN), Signal::Warning);
        while detector.update(stream.next().expect("endless")) != Signal::Drift {}
        assert_eq!(detector.update(f64::NAN), Signal::None);
    }
}
