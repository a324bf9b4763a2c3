//! What can be wrong with a call of one of our functions, in sentences.

use datafusion::error::DataFusionError;

use crate::profile::ProfileError;

/// Why a function has no answer.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(in crate::query) enum FunctionError {
    #[error("profile: {what}")]
    Call { what: String },
    #[error("{what}")]
    Table { what: String },
    #[error("there is no layout {name:?}; there is {}", listed(known))]
    NoLayout { name: String, known: Vec<String> },
    #[error(
        "{function}: layout {layout:?} has no column {column:?}; it has {}{remedy}",
        listed(found)
    )]
    NoColumn {
        function: &'static str,
        layout: String,
        column: String,
        found: Vec<String>,
        remedy: &'static str,
    },
    #[error(
        "reference: there is no reference {name:?}; there is {}",
        listed(known)
    )]
    NoReference { name: String, known: Vec<String> },
    #[error(
        "{function}: the bytes were counted with layout {fingerprint:016x}, which no model and no reference of this \
         session has"
    )]
    UnknownLayout { function: String, fingerprint: u64 },
    #[error(
        "{function}: one profile is of column {first:?}, the other of column {second:?} with other cells; compare \
         profiles that were counted with one layout"
    )]
    DifferentLayouts {
        function: String,
        first: String,
        second: String,
    },
    #[error("{function}: {cause}")]
    Profile {
        function: String,
        cause: ProfileError,
    },
}

/// Names shown in a message: enough to find the mistyped one.
const MOST_NAMES: usize = 20;

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        _ if names.len() > MOST_NAMES => {
            format!("{} and others", names[..MOST_NAMES].join(", "))
        }
        _ => names.join(", "),
    }
}

impl From<FunctionError> for DataFusionError {
    fn from(error: FunctionError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}
