//! A file's rows as the decoder would have made them from JSON under a layout.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Float64Builder, StringBuilder};

use super::cells::Values;
use super::table::{FileBatch, FileColumn};
use crate::event::{Batch, Column, State};
use crate::profile::vector::Part;
use crate::profile::{Cells, Layout, LayoutColumn, Observed, category_text};

/// Offsets count the rows of this batch; a file without times has 0 for each.
pub(super) fn batch(layout: &Layout, file: &FileBatch) -> Batch {
    let mut source: Vec<Option<&FileColumn>> = vec![None; layout.columns.len()];
    let mut unknown: Vec<String> = Vec::new();
    for column in &file.columns {
        let name = column.field.column_name(&column.name);
        let known = layout.column(&name);
        match known.filter(|&position| layout.columns[position].stands_alone()) {
            Some(position) => {
                source[position] = Some(column);
                source[layout.numbers_of(position)].fill(Some(column));
            }
            // What the layout knows and does not watch is not unknown.
            None if layout.skipped.iter().any(|(skipped, _)| *skipped == name) => {}
            None => unknown.push(name),
        }
    }
    unknown.sort_unstable();
    let columns = layout.columns.iter().zip(source).zip(layout.parts());
    let unknown_of = |row: usize| unknown.iter().map(move |name| (row as u32, name.clone()));
    Batch {
        offsets: (0..file.rows as i64).collect(),
        ts: file.times.clone().unwrap_or_else(|| vec![0; file.rows]),
        versions: vec![0; file.rows],
        version_names: vec![String::new()],
        id_hashes: vec![None; file.rows],
        columns: columns
            .map(|((column, source), part)| {
                let source = source.map(|source| &source.values);
                match part {
                    Some(part) => part_of_lists(part, source, file.rows),
                    None => layout_column(column, source, file.rows),
                }
            })
            .collect(),
        unknown_fields: (0..file.rows).flat_map(unknown_of).collect(),
        ..Batch::default()
    }
}

/// Numbers where numbers are expected need no look at each of them.
fn numbers_as_they_are(numbers: &Float64Array) -> Column {
    let state = |valid| {
        if valid {
            State::Value as u8
        } else {
            State::Null as u8
        }
    };
    let states = match numbers.nulls() {
        None => vec![state(true); numbers.len()],
        Some(nulls) => nulls.iter().map(state).collect(),
    };
    Column {
        values: Arc::new(numbers.clone()) as ArrayRef,
        states,
    }
}

/// What a column holds of lists.
pub(super) fn part_of_lists(part: Part, source: Option<&Values>, rows: usize) -> Column {
    numbers_of(rows, |row| match source?.observed(row) {
        Observed::Numbers(list) => Some(part.of(list).map_or(Observed::Other, Observed::Number)),
        value => Some(match value {
            Observed::Null => Observed::Null,
            _ => Observed::Other,
        }),
    })
}

/// What is no number is null, absent (`None`) or of the wrong type.
fn numbers_of<'a>(rows: usize, observed: impl Fn(usize) -> Option<Observed<'a>>) -> Column {
    let mut numbers = Float64Builder::with_capacity(rows);
    let states = (0..rows).map(|row| {
        let (number, state) = match observed(row) {
            Some(Observed::Number(number)) => (Some(number), State::Value),
            Some(Observed::Null) => (None, State::Null),
            Some(_) => (None, State::WrongType),
            None => (None, State::Absent),
        };
        numbers.append_option(number);
        state as u8
    });
    let states = states.collect();
    Column {
        values: Arc::new(numbers.finish()) as ArrayRef,
        states,
    }
}

/// The values of one column; none: no row has the column.
pub(super) fn layout_column(column: &LayoutColumn, source: Option<&Values>, rows: usize) -> Column {
    if let (Cells::Numeric(_), Some(Values::Numbers(numbers))) = (&column.cells, source) {
        return numbers_as_they_are(numbers);
    }
    let observed = |row| source.map(|source| source.observed_as(row, &column.cells));
    match &column.cells {
        Cells::Numeric(_) => numbers_of(rows, observed),
        Cells::Categorical(_) => {
            let mut texts = StringBuilder::new();
            let states = (0..rows).map(|row| {
                let state = match observed(row) {
                    Some(Observed::Text(text)) => {
                        texts.append_value(text);
                        State::Value
                    }
                    Some(Observed::Bool(truth)) => {
                        texts.append_value(if truth { "true" } else { "false" });
                        State::Value
                    }
                    Some(Observed::Number(number)) => {
                        texts.append_value(category_text(number));
                        State::Value
                    }
                    Some(Observed::Numbers(_) | Observed::Other) => State::WrongType,
                    Some(Observed::Null) => State::Null,
                    None => State::Absent,
                };
                if state != State::Value {
                    texts.append_null();
                }
                state as u8
            });
            let states = states.collect();
            Column {
                values: Arc::new(texts.finish()) as ArrayRef,
                states,
            }
        }
    }
}
