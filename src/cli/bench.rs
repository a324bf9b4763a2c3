//! `driftline bench`: figures that stand beside a floor measured in the same run.

mod ingest;
pub mod null;

pub use ingest::{IngestArguments, run as ingest};
pub use null::run as null;
