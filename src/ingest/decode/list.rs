//! Lists of numbers: what the columns of a vector are read from.

use std::ops::Range;

use super::columns::{ColumnBuilder, number_of};
use super::json::{Fault, Scanner};
use super::rows::{missing_state, set_missing};
use crate::event::State;
use crate::profile::vector;

/// Reads the next value into `numbers`, which is emptied before. [`State::Value`]: it is a list of numbers and of nothing
/// else, at least one and at most `most`; what a number is, a numeric column says. Anything else is read over.
pub(super) fn read(
    scanner: &mut Scanner<'_>,
    numbers: &mut Vec<f64>,
    most: usize,
) -> Result<State, Fault> {
    numbers.clear();
    if scanner.peek() != b'[' {
        return Ok(missing_state(&scanner.token()?));
    }
    let mut sound = true;
    let mut more = scanner.open_list()?;
    while more {
        // What nearly always comes goes the shortest way.
        let number = if scanner.peek().is_ascii_digit() {
            Some(scanner.number()?.value)
        } else {
            number_of(&scanner.token()?)
        };
        match number {
            Some(number) if numbers.len() < most => numbers.push(number),
            _ => sound = false,
        }
        more = scanner.next_item()?;
    }
    let good = sound && !numbers.is_empty();
    Ok(if good { State::Value } else { State::WrongType })
}

/// Reads the next value as a vector's: into its own column, which gets the length, and those of its elements. A list of
/// another length is of the wrong type, all of it.
pub(super) fn read_vector(
    scanner: &mut Scanner<'_>,
    numbers: &mut Vec<f64>,
    columns: &mut [ColumnBuilder],
    row: usize,
    own: usize,
    elements: Range<usize>,
) -> Result<(), Fault> {
    let mut state = read(scanner, numbers, elements.len())?;
    if state == State::Value && numbers.len() != elements.len() {
        state = State::WrongType;
    }
    if state != State::Value {
        set_missing(columns, row, elements.chain([own]), state);
        return Ok(());
    }
    for (column, number) in columns[elements].iter_mut().zip(&*numbers) {
        column.set_number(row, *number);
    }
    columns[own].set_number(row, vector::length(numbers));
    Ok(())
}
