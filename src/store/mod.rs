//! What is kept: one SQLite file, one transaction for everything that belongs together.
//!
//! A file per noun, each with plain functions on a `&Connection` (a `Transaction` is one too): those that only read
//! work on a snapshot of [`Store::read`], those that write belong inside [`Store::write`], where callers put
//! together the transaction they need.
//!
//! **Invariants:** cursors move in the transaction of everything they caused, by compare-and-set ([`mod@commit`]); a
//! partial replaces its predecessor and nothing is added to; what is immutable (layouts, references, windows) is
//! inserted once and never changed. Deliberately absent: clocks (every moment is an argument) and decisions about
//! what is drift or when a window closes.
//!
//! Reading order: [`handle`] (the threads), `schema`, [`mod@commit`] (what the input does), [`cursors`] (what it
//! finds again), then the nouns.

pub mod handle;
mod schema;

pub mod bloom;
pub mod error;
pub mod failpoint;

pub mod commit;
pub mod cursors;
pub mod gaps;
pub mod partials;
pub mod pending;
pub mod rejections;
pub mod streams;

pub mod lake;

pub mod layouts;
pub mod leases;
pub mod models;
pub mod references;
pub mod ticks;
pub mod vitals;

pub mod alerts;
pub mod performance;
pub mod scores;
pub mod windows;

pub mod registry;
pub mod runs;

pub mod outbox;
pub mod receivers;

pub mod retention;

pub use commit::{CommitOutcome, ConflictReason, PartitionCommit, commit};
pub use cursors::{Counts, LoadedPartition, load_partition};
pub use error::{Result, StoreError};
pub use failpoint::failpoint;
pub use gaps::Gap;
pub use handle::Store;
pub use lake::{Lake, LakeError};
pub use partials::{PartialKey, PartialRow};
pub use pending::PendingRow;
pub use rejections::RejectionRow;
pub use streams::StreamRow;

/// What [`Store::write`] hands to its closure; rooms that put a transaction together name it through here.
pub use rusqlite::Transaction;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(crate) mod testing;
