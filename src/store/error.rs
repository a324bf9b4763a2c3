//! What can go wrong with the store. A failed compare-and-set is not an error: it is a
//! [`CommitOutcome`](super::CommitOutcome) or a `bool`.

use std::path::PathBuf;

use rusqlite::ErrorCode;

pub type Result<T> = std::result::Result<T, StoreError>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the store at {}: {source}", path.display())]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "the store was written by a newer driftline: its schema has version {found}, this binary knows versions up \
         to {known}; run the newer binary or point data_dir at another folder"
    )]
    Newer { found: u32, known: u32 },
    #[error(
        "the file is a SQLite database but not a driftline store; point data_dir at another folder"
    )]
    Foreign,
    /// The writer thread has panicked or was stopped. The process should end: what it holds in memory may differ
    /// from what is stored.
    #[error(
        "the store's writer thread has ended; see the log for its panic and restart the process"
    )]
    Gone,
    /// Somebody else took the model over. The transaction was rolled back.
    #[error("the lease of model {model:?} is held by another process")]
    LeaseLost { model: String },
    /// A stored value does not have the form that this binary writes.
    #[error("the store holds an unreadable {what}: {found:?}")]
    Unreadable { what: &'static str, found: String },
    #[error("a value could not be written as JSON or read from it: {0}")]
    Json(#[from] serde_json::Error),
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl StoreError {
    /// The disk (or the quota) is full. Nothing was lost; the same call may be made again later.
    pub fn is_disk_full(&self) -> bool {
        self.has_code(ErrorCode::DiskFull)
    }

    /// Another process kept the file longer than the busy timeout. The same call may be made again.
    pub fn is_busy(&self) -> bool {
        self.has_code(ErrorCode::DatabaseBusy)
    }

    /// Another process has taken the model over; the transaction was rolled back.
    pub fn is_lease_lost(&self) -> bool {
        matches!(self, StoreError::LeaseLost { .. })
    }

    /// Rows or labels could not be put into the form of the lake, or read from it.
    pub fn lake(error: impl std::fmt::Display) -> Self {
        StoreError::Unreadable {
            what: "lake buffer",
            found: error.to_string(),
        }
    }

    /// A kind of records that this binary does not know.
    pub(super) fn record_kind(found: String) -> Self {
        StoreError::Unreadable {
            what: "kind of records",
            found,
        }
    }

    /// A stored profile could not be read.
    pub fn damaged(error: impl std::fmt::Display) -> Self {
        StoreError::Unreadable {
            what: "profile",
            found: error.to_string(),
        }
    }

    fn has_code(&self, code: ErrorCode) -> bool {
        matches!(self, StoreError::Sqlite(error) if error.sqlite_error_code() == Some(code))
    }
}
