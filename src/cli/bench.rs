//! `driftline bench`: figures that stand beside a floor measured in the same run.

pub mod dependent;
mod gpu;
pub mod grid;
mod ingest;
pub mod made_up;
pub mod null;
pub mod power;

pub use gpu::{GpuBenchArguments, run as gpu};
pub use ingest::{IngestArguments, run as ingest};
pub use null::{NullArguments, run as null};
pub use power::{PowerArguments, run as power};
