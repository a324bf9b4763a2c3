//! Builders of one model's columns: values go from the JSON text straight into the buffers that Arrow will own.
//!
//! **Invariant:** between two records every column has the same number of rows; within a record a column has at
//! most one more, so cutting all columns back to the common length undoes the record.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::json::{Fault, Scanner, Token};
use crate::event::{Column, State};
use crate::profile::{Cells, category_text};

#[derive(Debug)]
pub(super) struct ColumnBuilder {
    states: Vec<u8>,
    values: Values,
    /// Whether any row so far is not a value.
    gaps: bool,
}

#[derive(Debug)]
enum Values {
    Numbers(Vec<f64>),
    /// `ends[i]` is where the text of row `i` ends.
    Texts {
        ends: Vec<i32>,
        text: String,
    },
}

impl ColumnBuilder {
    pub fn new(cells: &Cells) -> Self {
        let values = match cells {
            Cells::Numeric(_) => Values::Numbers(Vec::new()),
            Cells::Categorical(_) => Values::Texts {
                ends: Vec::new(),
                text: String::new(),
            },
        };
        Self {
            states: Vec::new(),
            values,
            gaps: false,
        }
    }

    pub fn rows(&self) -> usize {
        self.states.len()
    }

    /// Memory of the values, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::Numbers(numbers) => 9 * numbers.len(),
            Values::Texts { ends, text } => 5 * ends.len() + text.len(),
        }
    }

    /// Cuts back to `rows` rows, if there are more.
    pub fn truncate(&mut self, rows: usize) {
        self.states.truncate(rows);
        match &mut self.values {
            Values::Numbers(numbers) => numbers.truncate(rows),
            Values::Texts { ends, text } => {
                ends.truncate(rows);
                text.truncate(ends.last().map_or(0, |end| *end as usize));
            }
        }
    }

    /// Adds a row without a value.
    pub fn push_missing(&mut self, state: State) {
        self.gaps = true;
        self.states.push(state as u8);
        match &mut self.values {
            Values::Numbers(numbers) => numbers.push(0.0),
            Values::Texts { ends, text } => ends.push(end_of(text)),
        }
    }

    /// Makes `number` the value of `row`, of which something may be there already. The column is numeric.
    #[inline]
    pub fn set_number(&mut self, row: usize, number: f64) {
        self.truncate(row);
        if let Values::Numbers(numbers) = &mut self.values {
            numbers.push(number);
            self.states.push(State::Value as u8);
        }
    }

    /// Reads the next JSON value as this column's.
    #[inline]
    pub fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let state = match &mut self.values {
            Values::Numbers(numbers) => {
                // What nearly always comes goes the shortest way.
                let number = if scanner.peek().is_ascii_digit() {
                    Ok(scanner.number()?.value)
                } else {
                    let token = scanner.token()?;
                    number_of(&token).ok_or(if token == Token::Null {
                        State::Null
                    } else {
                        State::WrongType
                    })
                };
                match number {
                    Ok(number) => {
                        numbers.push(number);
                        State::Value
                    }
                    Err(state) => state,
                }
            }
            Values::Texts { ends, text } => {
                let state = match scanner.token()? {
                    Token::Text(value) if value.faithful => {
                        text.push_str(&value.value);
                        State::Value
                    }
                    Token::Bool(value) => {
                        text.push_str(if value { "true" } else { "false" });
                        State::Value
                    }
                    Token::Number(number) => {
                        text.push_str(&category_text(number.value));
                        State::Value
                    }
                    // What pandas has for a missing text, Python writes as a bare NaN.
                    Token::Bare(number) if number.is_nan() => State::Null,
                    Token::Bare(number) => {
                        text.push_str(&category_text(number));
                        State::Value
                    }
                    Token::Null => State::Null,
                    Token::Text(_) | Token::List | Token::Object => State::WrongType,
                };
                if state == State::Value {
                    ends.push(end_of(text));
                }
                state
            }
        };
        if state == State::Value {
            self.states.push(state as u8);
        } else {
            self.push_missing(state);
        }
        Ok(())
    }

    /// The rows as one column; the buffers are handed over, not copied. The builder is empty then.
    pub fn take(&mut self) -> Column {
        let states = std::mem::take(&mut self.states);
        let nulls = std::mem::take(&mut self.gaps).then(|| {
            NullBuffer::new(BooleanBuffer::collect_bool(states.len(), |row| {
                states[row] == State::Value as u8
            }))
        });
        let values: ArrayRef = match &mut self.values {
            Values::Numbers(numbers) => {
                let next = Vec::with_capacity(numbers.len());
                Arc::new(Float64Array::new(
                    ScalarBuffer::from(std::mem::replace(numbers, next)),
                    nulls,
                ))
            }
            Values::Texts { ends, text } => {
                let mut offsets = Vec::with_capacity(ends.len() + 1);
                offsets.push(0);
                offsets.append(ends);
                let next = String::with_capacity(text.len());
                let text = Buffer::from_vec(std::mem::replace(text, next).into_bytes());
                Arc::new(StringArray::new(
                    OffsetBuffer::new(ScalarBuffer::from(offsets)),
                    text,
                    nulls,
                ))
            }
        };
        self.states.reserve(states.len());
        Column { values, states }
    }
}

/// What a value means as a number: bare and quoted `NaN`, `Infinity` and `-Infinity` are numbers, other texts are
/// not. `None` for everything else than a number.
pub(super) fn number_of(token: &Token<'_>) -> Option<f64> {
    match token {
        Token::Number(number) => Some(number.value),
        Token::Bare(number) => Some(*number),
        Token::Text(text) => match &*text.value {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        Token::Null | Token::Bool(_) | Token::List | Token::Object => None,
    }
}

/// Arrow's text offsets are 32 bits wide. `Decoder::is_full` asks for the batch long before they end.
fn end_of(text: &str) -> i32 {
    i32::try_from(text.len()).expect("a batch is taken before its texts reach 2 GiB")
}
