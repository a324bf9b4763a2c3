//! What the lake holds at one instant: the catalogue's rows and the batches that are still buffered.
//!
//! **Invariant:** both come from one snapshot of the store. A flush moves records from buffer to segment in one
//! transaction, so a snapshot has each record exactly once. Segments are files that live on for a while after the
//! catalogue has let them go; a query that is slower than that finds a file gone and asks again with a new snapshot:
//! it never answers with what is left.

use std::collections::HashSet;
use std::ops::Range;

use arrow::array::RecordBatch;

use crate::event::Millis;
use crate::query::QueryError;
use crate::store::lake::{self, Kind, SegmentRow};
use crate::store::{Store, StoreError};

/// How often a question is asked anew when files vanish under it. Each time takes a compaction and its whole grace.
const MOST_ATTEMPTS: u32 = 5;

/// Records of one kind and model.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub segments: Vec<SegmentRow>,
    /// Whole buffers: they may hold records outside the range that was asked for.
    pub buffers: Vec<RecordBatch>,
}

/// One consistent view of one model's part of the lake.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub rows: Part,
    pub labels: Part,
}

impl Snapshot {
    /// Rows and labels of `model` that may lie in these ranges of event time.
    pub async fn read(
        store: &Store,
        model: &str,
        rows: Range<Millis>,
        labels: Range<Millis>,
    ) -> Result<Self, QueryError> {
        let model = model.to_owned();
        let snapshot = store.read_async(move |conn| {
            let part = |kind, range: Range<Millis>| -> Result<Part, StoreError> {
                Ok(Part {
                    segments: lake::segments(conn, kind, &model, range.clone())?,
                    buffers: lake::buffered(conn, kind, &model, range)?,
                })
            };
            Ok(Self {
                rows: part(Kind::Rows, rows)?,
                labels: part(Kind::Labels, labels)?,
            })
        });
        Ok(snapshot.await?)
    }

    /// Whether the catalogue has let go of a segment of this snapshot.
    async fn is_stale(&self, store: &Store, model: &str) -> Result<bool, QueryError> {
        let model = model.to_owned();
        let held = store.read_async(move |conn| {
            let mut held = lake::segments(conn, Kind::Rows, &model, EVER)?;
            held.extend(lake::segments(conn, Kind::Labels, &model, EVER)?);
            Ok(held)
        });
        let held: HashSet<i64> = held.await?.iter().map(|segment| segment.id).collect();
        Ok(self.ids().any(|id| !held.contains(&id)))
    }

    fn ids(&self) -> impl Iterator<Item = i64> {
        let segments = self.rows.segments.iter().chain(&self.labels.segments);
        segments.map(|segment| segment.id)
    }
}

pub(super) const EVER: Range<Millis> = Millis::MIN..Millis::MAX;

/// Counts how often one question was asked.
#[derive(Debug, Default)]
pub(super) struct Attempts(u32);

impl Attempts {
    /// What to make of the answer from `snapshot`: `None` when the question must be asked again, because it failed
    /// and the snapshot was out of date.
    pub async fn settle<T>(
        &mut self,
        store: &Store,
        model: &str,
        snapshot: &Snapshot,
        answer: Result<T, QueryError>,
    ) -> Result<Option<T>, QueryError> {
        self.0 += 1;
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(QueryError::Lake { cause }) if snapshot.is_stale(store, model).await? => {
                if self.0 < MOST_ATTEMPTS {
                    return Ok(None);
                }
                Err(QueryError::Moving {
                    model: model.to_owned(),
                    attempts: self.0,
                    cause,
                })
            }
            Err(error) => Err(error),
        }
    }
}
