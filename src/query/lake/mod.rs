//! Questions to the lake: rows with their labels, training sets, and what became of labels.
//!
//! Reading order: `snapshot` (what is there), `scan` (how it is read), `rows` and `classes` (what records mean), `ids`,
//! `latest` and `labels` (which label counts for which row), then the four questions: `observations`, `training` with
//! its `manifest`, `ledger`, `sampled`.
//!
//! **Invariant:** an answer is a function of the log alone: not of partitions, threads, segment borders, compaction,
//! or of what is still buffered. Deliberately absent: metrics of what is found (`performance`), and when a question
//! may be asked: watermarks are the caller's to wait for.

mod classes;
mod ids;
mod labels;
mod latest;
mod ledger;
mod manifest;
mod observations;
mod rows;
mod sampled;
mod scan;
mod snapshot;
mod table;
mod training;

#[cfg(test)]
mod tests;

pub use ledger::{Ledger, label_ledger};
pub use manifest::{DataManifest, DataSource, SourceKind};
pub(super) use scan::LAKE_URL;
pub(super) use table::LakeTables;

pub use observations::{Ask, Observations, Unusable, observations};
pub use sampled::{SampleAsk, sample_of_lake};
pub use training::{TrainingAsk, TrainingSet, training_set, training_set_again};
