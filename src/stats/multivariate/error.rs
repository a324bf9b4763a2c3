//! Why a comparison of several columns at once could not be made.

use crate::learn::LearnError;

/// A sentence that names the place, the value and what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MultivariateError {
    #[error("a sample needs at least one column; name the columns to compare")]
    NoColumns,
    #[error(
        "{values} values do not fill rows of {columns} columns; give every row a value a column"
    )]
    Ragged { values: usize, columns: usize },
    #[error(
        "row {row} holds {value} in column {column}; leave such rows out, or fill the gap with a number within ±1e100"
    )]
    Unusable {
        row: usize,
        column: usize,
        value: f64,
    },
    #[error(
        "the reference has {reference} columns and the current sample {current}; compare the same columns"
    )]
    Widths { reference: usize, current: usize },
    #[error(
        "column `{column}` is {reference} in the reference and {current} in the current sample; send it alike"
    )]
    Column {
        column: String,
        reference: &'static str,
        current: &'static str,
    },
    #[error(
        "the {side} sample has {rows} complete rows and this needs {needs}; compare a longer span"
    )]
    TooFewRows {
        side: &'static str,
        rows: usize,
        needs: usize,
    },
    #[error(
        "the {side} sample has {blocks} blocks and a block permutation needs 2; cut it into shorter blocks"
    )]
    TooFewBlocks { side: &'static str, blocks: usize },
    #[error("{parameter} is {value}; it needs {needs}")]
    Parameter {
        parameter: &'static str,
        value: String,
        needs: &'static str,
    },
    #[error("{labels} labels for {rows} rows; make the labels for the same two samples")]
    Labels { labels: usize, rows: usize },
    #[error(
        "no two columns vary together in both samples, so no correlation can be compared; take other columns"
    )]
    NoPair,
    #[error(
        "no column is called an attribution (its name would begin with attribution or shap): values of features do not say what mattered; where every column is one, say columns=all"
    )]
    NoAttributions,
    #[error(transparent)]
    Learn(#[from] LearnError),
}

impl MultivariateError {
    pub(super) fn parameter(
        parameter: &'static str,
        value: impl ToString,
        needs: &'static str,
    ) -> Self {
        Self::Parameter {
            parameter,
            value: value.to_string(),
            needs,
        }
    }
}
