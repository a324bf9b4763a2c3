//! What can be wrong with a file or with a question to the lake: each message names the place, the value and the
//! remedy.

use std::path::PathBuf;

use datafusion::error::DataFusionError;

use crate::store::StoreError;

/// Why a file could not be read, or the lake not be asked. `file` is its path, or the name of bytes that are compiled in.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("{}: cannot be opened: {source}; name a Parquet or CSV file that this user may read", path.display())]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{url}: cannot be read: {cause}; name an object such as s3://bucket/file.parquet, with the provider's credentials in the environment"
    )]
    Url { url: String, cause: String },
    #[error("{file}: is a folder; name one Parquet or CSV file")]
    Folder { file: String },
    #[error("{file}: is neither Parquet nor named *.csv; convert it to one of them")]
    UnknownFormat { file: String },
    #[error(
        "{file}: cannot be read as {format}: {}; repair it or write it anew",
        one_line(cause)
    )]
    Unreadable {
        file: String,
        format: &'static str,
        cause: Box<DataFusionError>,
    },
    #[error("{file}: the session refused the file's address: {}", one_line(cause))]
    Session {
        file: String,
        cause: Box<DataFusionError>,
    },
    #[error("{file}: has no rows; name a file with at least one")]
    Empty { file: String },
    #[error("{file}: column {column:?} occurs twice; rename one of them")]
    DuplicateColumn { file: String, column: String },
    #[error("{file}: column {place} has no name in the first line; name it or drop it")]
    UnnamedColumn { file: String, place: usize },
    #[error("{file}: columns {first:?} and {second:?} are both {field}; drop one of them")]
    SameField {
        file: String,
        first: String,
        second: String,
        field: String,
    },
    #[error("{file}: has no time column {column:?}; its columns are {}", found.join(", "))]
    NoTimeColumn {
        file: String,
        column: String,
        found: Vec<String>,
    },
    #[error("{file}: has no column {column:?}; its columns are {}", found.join(", "))]
    NoColumn {
        file: String,
        column: String,
        found: Vec<String>,
    },
    #[error(
        "{file}: column {column:?}, row {row}: {value} is not a number; name a numeric column, or repair the cell (empty is missing)"
    )]
    NotANumber {
        file: String,
        column: String,
        row: u64,
        value: String,
    },
    #[error("{file}: column {column:?}, row {row}: {value} is not an event time ({why}); {remedy}")]
    BadTs {
        file: String,
        column: String,
        row: u64,
        value: String,
        why: &'static str,
        remedy: &'static str,
    },
    #[error(
        "{file}: column {column:?}: the times fall into more than {limit} windows; declare longer windows or a shorter reference"
    )]
    TooManyBlocks {
        file: String,
        column: String,
        limit: usize,
    },
    #[error(
        "the lake cannot be read: {}; make its files readable and ask again",
        one_line(cause)
    )]
    Lake { cause: Box<DataFusionError> },
    #[error(
        "the lake of model {model:?} lost files {attempts} times while it was read: {}; ask for a shorter time, or ask again when the machine is less busy",
        one_line(cause)
    )]
    Moving {
        model: String,
        attempts: u32,
        cause: Box<DataFusionError>,
    },
    #[error(
        "the lake of model {model:?} no longer has what the manifest lists: {}; train anew on what is left, or keep rows longer (`lake.keep`)",
        missing.join("; ")
    )]
    Gone { model: String, missing: Vec<String> },
    #[error(
        "model {model:?}: the manifest lists data with hash {listed}, the lake has data with hash {found} in its place; check that the manifest belongs to this lake"
    )]
    OtherData {
        model: String,
        listed: String,
        found: String,
    },
    #[error(
        "model {model:?}: the manifest was made with layout {listed}, the model has layout {found}; check that the manifest belongs to this data folder"
    )]
    OtherLayout {
        model: String,
        listed: String,
        found: String,
    },
    #[error("the statement has no answer: {what}")]
    Sql { what: String },
    #[error("there are two tables {name:?}; give one of them another name")]
    TableTwice { name: String },
    #[error("the name {name:?} is taken, by a model or a reference; give this one another")]
    NameTaken { name: String },
    #[error("the answer cannot be written")]
    Write(#[source] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueryError {
    /// Whether an object or a file is not there any more: reading again will not help.
    pub fn is_gone(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = match self {
            Self::Unreadable { cause, .. } | Self::Moving { cause, .. } | Self::Lake { cause } => {
                Some(cause.as_ref())
            }
            other => Some(other),
        };
        while let Some(error) = cause {
            let object = error.downcast_ref::<object_store::Error>();
            let file = error.downcast_ref::<std::io::Error>();
            if matches!(object, Some(object_store::Error::NotFound { .. }))
                || file.is_some_and(|file| file.kind() == std::io::ErrorKind::NotFound)
            {
                return true;
            }
            cause = error.source();
        }
        false
    }

    pub(super) fn lake(cause: impl Into<DataFusionError>) -> Self {
        QueryError::Lake {
            cause: Box::new(cause.into()),
        }
    }
}

/// DataFusion chains its errors over several lines.
pub(super) fn one_line(cause: &DataFusionError) -> String {
    cause.strip_backtrace().replace("\ncaused by\n", ": ")
}
