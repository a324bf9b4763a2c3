//! Parameters by name: what a detector can be told, in which range, and an error that says how to put it right.
//!
//! A detector's parameters are a plain struct with a `Default`; each has a line in the detector's table that names one
//! field of it. What a user typed is checked here once, and only the checked struct can make a detector.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Whose behaviour a detector follows where River and Frouros differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// River 0.26.
    #[default]
    River,
    /// Frouros 0.9, `reset()` called by the caller right after each drift.
    Frouros,
}

/// Which way a change must go to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Up,
    Down,
    #[default]
    Both,
}

impl Mode {
    /// Whether a rise (`up`) or a fall (`down`) is a change that was asked for.
    pub(super) fn any(self, up: bool, down: bool) -> bool {
        match self {
            Mode::Up => up,
            Mode::Down => down,
            Mode::Both => up || down,
        }
    }
}

/// The value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    Number(f64),
    Whole(u64),
    Flag(bool),
    Word(&'static str),
    /// An optional parameter that is not set.
    Unset(()),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => f.write_str(&short(*number)),
            Value::Whole(whole) => write!(f, "{whole}"),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Word(word) => f.write_str(word),
            Value::Unset(()) => f.write_str("unset"),
        }
    }
}

/// The values that a parameter can take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// From `least` to `most`, both included.
    Whole {
        least: u64,
        most: u64,
    },
    /// Between two numbers, both excluded.
    Between(f64, f64),
    /// From `least` to `most`, both included.
    Number {
        least: f64,
        most: f64,
    },
    Flag,
    Words(&'static [&'static str]),
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Range::Whole { least, most } => write!(f, "a whole number from {least} to {most}"),
            Range::Between(low, high) => {
                let (low, high) = (short(*low), short(*high));
                write!(f, "a number between {low} and {high}, both excluded")
            }
            Range::Number { least, most } => {
                write!(f, "a number from {} to {}", short(*least), short(*most))
            }
            Range::Flag => f.write_str("true or false"),
            Range::Words(words) => f.write_str(&words.join(", ")),
        }
    }
}

/// A number without a tail of zeros.
fn short(number: f64) -> String {
    let plain = number == 0.0 || (1e-5..1e7).contains(&number.abs());
    if plain {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

/// One line of a detector's list of parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    pub name: &'static str,
    /// What Frouros calls it.
    pub alias: Option<&'static str>,
    pub range: Range,
    pub default: Value,
    pub meaning: &'static str,
}

/// Why a detector cannot be made of what was asked for.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ParameterError {
    #[error("there is no detector {name:?}; there are {known}")]
    NoDetector { name: String, known: String },
    #[error("{detector}: has no parameter {name:?}; it has {known}")]
    Unknown {
        detector: &'static str,
        name: String,
        known: String,
    },
    #[error("{detector}: {name} is given twice, {first:?} and {second:?}; keep one")]
    Twice {
        detector: &'static str,
        name: &'static str,
        first: String,
        second: String,
    },
    #[error("{detector}: {name} = {value}: must be {range}; the default is {default}")]
    Range {
        detector: &'static str,
        name: &'static str,
        value: String,
        range: Range,
        default: Value,
    },
    #[error("{detector}: {name} = {value}: {remedy}")]
    Conflict {
        detector: &'static str,
        name: &'static str,
        value: String,
        remedy: String,
    },
}

/// A field of a detector's parameters, to be read or set.
pub(super) enum Slot<'a> {
    Number(&'a mut f64),
    MaybeNumber(&'a mut Option<f64>),
    Whole(&'a mut u64),
    MaybeWhole(&'a mut Option<u64>),
    Flag(&'a mut bool),
    Contract(&'a mut Contract),
    Mode(&'a mut Mode),
}

pub(super) const CONTRACTS: Range = Range::Words(&["river", "frouros"]);
pub(super) const MODES: Range = Range::Words(&["up", "down", "both"]);
/// A chance. Below this its logarithm's bounds mean nothing, and 1/level would not be finite.
pub(super) const LEVEL: Range = Range::Between(1e-300, 1.0);
pub(super) const CONTRACT_MEANING: &str = "whose behaviour to follow where the two differ";

impl Slot<'_> {
    fn value(&self) -> Value {
        match self {
            Slot::Number(number) => Value::Number(**number),
            Slot::MaybeNumber(number) => number.map_or(Value::Unset(()), Value::Number),
            Slot::Whole(whole) => Value::Whole(**whole),
            Slot::MaybeWhole(whole) => whole.map_or(Value::Unset(()), Value::Whole),
            Slot::Flag(flag) => Value::Flag(**flag),
            Slot::Contract(Contract::River) => Value::Word("river"),
            Slot::Contract(Contract::Frouros) => Value::Word("frouros"),
            Slot::Mode(Mode::Up) => Value::Word("up"),
            Slot::Mode(Mode::Down) => Value::Word("down"),
            Slot::Mode(Mode::Both) => Value::Word("both"),
        }
    }

    /// Reads `text` into the field; `None` if it is nothing that the range allows.
    fn set(self, text: &str, range: Range) -> Option<()> {
        match self {
            Slot::Number(number) => *number = number_in(text, range)?,
            Slot::MaybeNumber(number) => *number = Some(number_in(text, range)?),
            Slot::Whole(whole) => *whole = whole_in(text, range)?,
            Slot::MaybeWhole(whole) => *whole = Some(whole_in(text, range)?),
            Slot::Flag(flag) => *flag = text.to_ascii_lowercase().parse().ok()?,
            Slot::Contract(contract) => {
                *contract = match text {
                    "river" => Contract::River,
                    "frouros" => Contract::Frouros,
                    _ => return None,
                }
            }
            Slot::Mode(mode) => {
                *mode = match text {
                    "up" => Mode::Up,
                    "down" => Mode::Down,
                    "both" => Mode::Both,
                    _ => return None,
                }
            }
        }
        Some(())
    }
}

fn number_in(text: &str, range: Range) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let inside = match range {
        Range::Between(low, high) => low < number && number < high,
        Range::Number { least, most } => least <= number && number <= most,
        Range::Whole { .. } | Range::Flag | Range::Words(_) => false,
    };
    inside.then_some(number)
}

/// Python writes whole numbers of its configurations as `30` and as `30.0`.
fn whole_in(text: &str, range: Range) -> Option<u64> {
    let whole: u64 = text.strip_suffix(".0").unwrap_or(text).parse().ok()?;
    match range {
        Range::Whole { least, most } if (least..=most).contains(&whole) => Some(whole),
        _ => None,
    }
}

/// One line of a detector's own table: a name for a field of its parameters `P`.
pub(super) struct Parameter<P> {
    pub name: &'static str,
    pub alias: Option<&'static str>,
    pub range: Range,
    pub meaning: &'static str,
    pub slot: fn(&mut P) -> Slot<'_>,
}

impl<P> Parameter<P> {
    pub fn value(&self, parameters: &mut P) -> Value {
        (self.slot)(parameters).value()
    }
}

/// The description of each line of a table.
pub(super) fn describe<P: Default>(table: &[Parameter<P>]) -> Vec<Described> {
    let line = |parameter: &Parameter<P>| Described {
        name: parameter.name,
        alias: parameter.alias,
        range: parameter.range,
        default: parameter.value(&mut P::default()),
        meaning: parameter.meaning,
    };
    table.iter().map(line).collect()
}

/// The defaults, with what was given in their place.
pub(super) fn read<P: Default>(
    detector: &'static str,
    table: &[Parameter<P>],
    given: &[(&str, &str)],
) -> Result<P, ParameterError> {
    let mut parameters = P::default();
    let mut seen: Vec<(&'static str, &str)> = Vec::new();
    for &(name, text) in given {
        let (name, text) = (name.trim(), text.trim());
        let line = table
            .iter()
            .find(|line| line.name == name || line.alias == Some(name))
            .ok_or_else(|| ParameterError::Unknown {
                detector,
                name: name.to_owned(),
                known: names(table),
            })?;
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == line.name) {
            return Err(ParameterError::Twice {
                detector,
                name: line.name,
                first: (*first).to_owned(),
                second: text.to_owned(),
            });
        }
        seen.push((line.name, text));
        (line.slot)(&mut parameters)
            .set(text, line.range)
            .ok_or_else(|| ParameterError::Range {
                detector,
                name: line.name,
                value: text.to_owned(),
                range: line.range,
                default: line.value(&mut P::default()),
            })?;
    }
    Ok(parameters)
}

fn names<P>(table: &[Parameter<P>]) -> String {
    let names: Vec<&str> = table.iter().map(|line| line.name).collect();
    names.join(", ")
}
