//! Scoring a file with a model of ours, without a service.
//!
//! **Invariant:** a row of a file is scored as the same row of a training set would be: columns are found under the
//! names that a layout gives them, and numbers in a categorical column are written as the profile writes them.

use std::io::{self, Write};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;

use crate::learn::feature::Values;
use crate::learn::{Column, LearnError, Model, Predictions, Table};
use crate::profile::{Field, category_text};
use crate::query::{File, QueryError};

/// A feature may stand in a file under this prefix.
const PREFIX: &str = "features.";
/// Copied into the output where the file has it.
const ID: &str = "id";

#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    #[error(transparent)]
    Read(#[from] QueryError),
    #[error(transparent)]
    Model(#[from] LearnError),
    #[error("column {column:?} of the file is of a type that cannot be scored: {cause}")]
    Column { column: String, cause: ArrowError },
    #[error("the predictions cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// What was scored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scored {
    pub rows: u64,
    /// Features of the model that the file lacks: they count as missing in every row.
    pub absent: Vec<String>,
}

/// Writes a prediction for each row of `file` as CSV: its `id` if it has one, then the predicted class or value as
/// `prediction`, then the probability of each class as `prediction.scores.<class>`.
///
/// # Errors
/// When the file cannot be read, a column cannot be scored, or `out` cannot be written.
pub async fn score(
    model: &Model,
    file: &File,
    out: &mut (dyn Write + Send),
) -> Result<Scored, ScoreError> {
    let mut rows = file.rows().await?;
    let names: Vec<String> = rows
        .schema()
        .fields()
        .iter()
        .map(|field| column_name(field.name()))
        .collect();
    let id = rows.schema().index_of(ID).ok();
    let mut scored = Scored::default();
    for feature in model.features() {
        if !names.contains(&feature.name) {
            scored.absent.push(feature.name.clone());
        }
    }
    let mut header: Vec<String> = Vec::new();
    header.extend(id.map(|_| ID.to_owned()));
    header.push("prediction".to_owned());
    let scores = model
        .classes()
        .iter()
        .map(|class| quoted(&format!("prediction.scores.{class}")));
    header.extend(scores);
    writeln!(out, "{}", header.join(","))?;
    while let Some(batch) = rows.next().await? {
        let table = table(model, &names, &batch)?;
        let ids = match id {
            Some(place) => Some(texts(ID, batch.column(place))?),
            None => None,
        };
        let predictions = model.predict(&table)?;
        write(out, ids.as_deref(), &predictions)?;
        scored.rows += batch.num_rows() as u64;
    }
    Ok(scored)
}

/// The layout's name of a file's column.
fn column_name(in_file: &str) -> String {
    match in_file.strip_prefix(PREFIX) {
        Some(feature) => Field::Feature.column_name(feature),
        None => in_file.to_owned(),
    }
}

fn table(model: &Model, names: &[String], batch: &RecordBatch) -> Result<Table, ScoreError> {
    let mut table = Table::default();
    for feature in model.features() {
        let found = names.iter().position(|name| *name == feature.name);
        let column = match (found, &feature.values) {
            (None, Values::Numeric { .. }) => Column::Numeric(vec![f64::NAN; batch.num_rows()]),
            (None, Values::Categorical { .. }) => Column::Categorical(vec![None; batch.num_rows()]),
            (Some(place), Values::Numeric { .. }) => {
                Column::Numeric(numbers(&feature.name, batch.column(place))?)
            }
            (Some(place), Values::Categorical { levels, .. }) => {
                let texts = texts(&feature.name, batch.column(place))?;
                let normal = |text: String| match text.trim().parse::<f64>() {
                    Ok(number) if !levels.contains(&text) => category_text(number).to_string(),
                    _ => text,
                };
                Column::Categorical(texts.into_iter().map(|text| text.map(normal)).collect())
            }
        };
        table.names.push(feature.name.clone());
        table.columns.push(column);
    }
    Ok(table)
}

/// NaN where there is no number.
fn numbers(name: &str, values: &ArrayRef) -> Result<Vec<f64>, ScoreError> {
    // Arrow makes null of text that is no number.
    let cast = converted(name, values, &DataType::Float64)?;
    let numbers = cast.as_primitive::<Float64Type>();
    Ok(numbers
        .iter()
        .map(|number| number.unwrap_or(f64::NAN))
        .collect())
}

fn texts(name: &str, values: &ArrayRef) -> Result<Vec<Option<String>>, ScoreError> {
    if values.data_type().is_numeric() {
        let numbers = converted(name, values, &DataType::Float64)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        let text = |number: Option<f64>| number.map(|number| category_text(number).to_string());
        return Ok(numbers.iter().map(text).collect());
    }
    let cast = converted(name, values, &DataType::Utf8)?;
    let texts = cast.as_string::<i32>();
    Ok(texts.iter().map(|text| text.map(str::to_owned)).collect())
}

fn converted(name: &str, values: &ArrayRef, to: &DataType) -> Result<ArrayRef, ScoreError> {
    cast(values, to).map_err(|cause| ScoreError::Column {
        column: name.to_owned(),
        cause,
    })
}

fn write(
    out: &mut (dyn Write + Send),
    ids: Option<&[Option<String>]>,
    predictions: &Predictions,
) -> io::Result<()> {
    let decided = predictions.decided();
    for row in 0..predictions.rows() {
        if let Some(ids) = ids {
            write!(out, "{},", quoted(ids[row].as_deref().unwrap_or_default()))?;
        }
        match (predictions, &decided) {
            (
                Predictions::Classes {
                    classes,
                    probabilities,
                },
                Some(decided),
            ) => {
                write!(out, "{}", quoted(&classes[decided[row]]))?;
                for probability in &probabilities[row * classes.len()..][..classes.len()] {
                    write!(out, ",{probability}")?;
                }
                writeln!(out)?;
            }
            (Predictions::Values(values), _) => writeln!(out, "{}", values[row])?,
            (Predictions::Classes { .. }, None) => writeln!(out)?,
        }
    }
    Ok(())
}

/// RFC 4180: quotes only where they are needed.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
