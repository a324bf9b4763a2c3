//! The lake: rows and labels of models that keep them, first as buffers in the store, then as Parquet segments in an
//! object store, found through the store's catalogue.
//!
//! The way of a row: its partition's commit writes it into `lake_buffer`, in the transaction of cursor and profiles
//! ([`buffer`]); [`fn@flush`] turns the buffers of one (kind, model, partition) into a segment; [`fn@compact`] makes large
//! segments of small ones; [`fn@expire`] drops what is too old or too much; [`sweep_dropped`] and [`sweep_orphans`] remove
//! the files of what was dropped or never came into the catalogue.
//!
//! **Invariants:** what is in neither buffer nor catalogue does not exist, whatever lies in the object store; each
//! row is in exactly one of them, exactly once. Objects are immutable, written whole under a name that nobody had
//! before, and synced before the catalogue names them; the transaction that names a segment takes exactly what it
//! covers, or nothing. Any number of processes may flush and compact at the same time. Deliberately absent: which
//! rows and labels count for which window (`query`), and clocks: every moment is an argument.

pub mod buffer;
mod catalogue;
mod columns;
mod compact;
mod expire;
mod flush;
mod objects;
mod segment;
mod size;
mod sweep;

pub use buffer::{BufferRow, buffered};
pub use catalogue::{SegmentRow, bloom, segments};
pub use columns::{column_name, columns_of_labels, columns_of_rows, labels_schema, rows_schema};
pub use compact::compact;
pub use expire::{Keep, expire};
pub use flush::{FlushPolicy, flush};
pub(crate) use objects::bucket;
pub use objects::{Lake, LakeError};
pub use size::{Size, size};
pub use sweep::{ORPHAN_AGE, sweep_dropped, sweep_orphans};

use super::error::StoreError;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(in crate::store) mod testing;
#[cfg(test)]
mod tests;

/// What came of flushing or compacting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub segments: u64,
    /// Segments for nothing: another process had been faster.
    pub conflicts: u64,
}

impl Written {
    fn count(&mut self, entered: bool) {
        self.segments += u64::from(entered);
        self.conflicts += u64::from(!entered);
    }
}

/// What a buffer or a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Predictions as they were counted.
    Rows,
    Labels,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Rows, Kind::Labels];

    /// The word in tables and paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Rows => "rows",
            Kind::Labels => "labels",
        }
    }

    fn parse(text: &str) -> Result<Kind, StoreError> {
        let found = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| StoreError::Unreadable {
            what: "kind of lake data",
            found: text.to_owned(),
        })
    }
}
