//! Why a model could not be fitted, used or read.

/// A sentence that names the place, the value and what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LearnError {
    #[error("there is no labelled row to learn from; train on a longer span, or wait for labels")]
    NoRows,
    #[error("every row is of the class `{0}`; a model needs rows of at least two classes")]
    OneClass(String),
    #[error("the class `{0}` is named twice; give every class a name of its own")]
    ClassTwice(String),
    #[error(
        "row {row} is of class number {class}, but there are only {classes} classes; number them from 0"
    )]
    NoSuchClass {
        row: usize,
        class: u32,
        classes: usize,
    },
    #[error(
        "row {row} has the target value {value}; leave out rows whose target is not a number within ±1e100"
    )]
    TargetValue { row: usize, value: f64 },
    #[error("{names} names for {columns} columns; give each column one name")]
    NamesAndColumns { names: usize, columns: usize },
    #[error("the column `{0}` occurs twice; give each column a name of its own")]
    NameTwice(String),
    #[error(
        "column `{column}` has {has} rows where the first column has {expected}; all columns need the same rows"
    )]
    UnequalColumns {
        column: String,
        has: usize,
        expected: usize,
    },
    #[error("the table has {table} rows and the target {target}; they need to be the same rows")]
    UnequalTarget { table: usize, target: usize },
    #[error(
        "no column holds two different values, so there is nothing to learn from; log more features, or train on a longer span"
    )]
    NothingVaries,
    #[error(
        "column `{column}` is {is}, but the model was fitted on a {fitted} column of that name; send it as {fitted}"
    )]
    ColumnKind {
        column: String,
        is: &'static str,
        fitted: &'static str,
    },
    #[error("`{candidate}` cannot learn a {task} target; use one of {usable}")]
    WrongTask {
        candidate: &'static str,
        task: &'static str,
        usable: String,
    },
    #[error("`{name}` is no candidate; the candidates are {known}")]
    UnknownCandidate { name: String, known: String },
    #[error("`{candidate}` with {parameter} {value}: it needs {needs}")]
    Parameter {
        candidate: &'static str,
        parameter: &'static str,
        value: String,
        needs: &'static str,
    },
    #[error(
        "`{candidate}` found no finite parameters ({cause}); another candidate, or fewer and better scaled columns, may do"
    )]
    NotFitted {
        candidate: &'static str,
        cause: String,
    },
    #[error("this is no model file: {cause}; fetch it anew, or train again")]
    Damaged { cause: String },
    #[error(
        "the model file has format {found}, and this program reads formats up to {known}; use a newer program"
    )]
    Newer { found: u64, known: u64 },
}
