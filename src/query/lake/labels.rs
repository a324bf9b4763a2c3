//! The label join: which label counts for which row.
//!
//! ```text
//! HashJoinExec: inner, on id = id          labels on the build side
//!   LatestExec                             one label an id
//!     FilterExec                           an id that is wanted, ts and watermark below `known_by`
//!       DataSourceExec                     pruned segments
//!       DataSourceExec                     buffers
//!   DataSourceExec                         ids of the rows and their numbers
//! ```
//!
//! Segments are left out before anything is planned: by time and by the range of their ids in the catalogue, then by
//! their Bloom filters against the ids that wait for a label. Memory: the ids of the rows, and one label for each.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{
    DataType, Field, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, UInt64Type,
};
use datafusion::common::{JoinType, NullEquality};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};

use super::ids::{IdSet, id_key};
use super::latest::{self, LatestExec};
use super::scan::{Bounds, Session};
use super::snapshot::Part;
use crate::event::Millis;
use crate::query::QueryError;
use crate::store::Store;
use crate::store::lake::{self, SegmentRow, labels_schema};

/// More ids than this are not asked of a Bloom filter: among so many some false hit is all but certain (filters let in
/// about one stranger of 120, so the chance that they deny all of 1,000 is 0.03 %), and loading a filter costs more
/// than it would save.
const MOST_PROBES: usize = 1_000;

/// A label that counts for a row.
#[derive(Debug)]
pub(super) struct Match<'a> {
    /// The row's number.
    pub row: usize,
    pub ts: Millis,
    pub label: Option<&'a str>,
    pub value: Option<f64>,
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
}

/// The ids of rows, and which segments of labels may have one of them.
pub(super) struct Wanted<'a> {
    ids: &'a [StringArray],
    set: Arc<IdSet>,
    least: Option<&'a str>,
    greatest: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    pub fn new(ids: &'a [StringArray]) -> Self {
        let mut set = IdSet::new();
        let (mut least, mut greatest) = (None, None);
        for id in ids.iter().flatten().flatten() {
            if set.insert(id_key(id)) {
                least = Some(least.map_or(id, |least: &str| least.min(id)));
                greatest = Some(greatest.map_or(id, |greatest: &str| greatest.max(id)));
            }
        }
        Self {
            ids,
            set: Arc::new(set),
            least,
            greatest,
        }
    }

    pub fn set(&self) -> &Arc<IdSet> {
        &self.set
    }

    /// Of `segments`, those that may have a record with one of the ids.
    pub async fn prune<'s>(
        &self,
        store: &Store,
        segments: Vec<&'s SegmentRow>,
    ) -> Result<Vec<&'s SegmentRow>, QueryError> {
        let (Some(least), Some(greatest)) = (self.least, self.greatest) else {
            return Ok(Vec::new());
        };
        let in_range = segments.into_iter().filter(|segment| {
            let bounds = segment.min_id.as_deref().zip(segment.max_id.as_deref());
            bounds.is_some_and(|(min, max)| min <= greatest && least <= max)
        });
        let in_range: Vec<&SegmentRow> = in_range.collect();
        if self.set.len() > MOST_PROBES {
            return Ok(in_range);
        }
        let mut kept = Vec::with_capacity(in_range.len());
        for segment in in_range {
            let id = segment.id;
            let bloom = store.read_async(move |conn| lake::bloom(conn, id)).await?;
            // A segment that the catalogue has let go of in between has no filter: reading it will tell.
            let mut ids = self.ids.iter().flatten().flatten();
            if bloom.is_none_or(|bloom| ids.any(|id| bloom.may_contain(id))) {
                kept.push(segment);
            }
        }
        Ok(kept)
    }
}

/// The columns of labels that the join needs, as places in the lake's schema of labels.
fn columns(schema: &SchemaRef) -> Result<Vec<usize>, DataFusionError> {
    let places = latest::COLUMNS.iter().map(|name| schema.index_of(name));
    Ok(places.collect::<Result<_, _>>()?)
}

/// The label within `bounds` that counts, for each id; `None` where no segment and no buffer could hold one.
pub(super) fn winners(
    session: &Session,
    part: &Part,
    segments: &[&SegmentRow],
    bounds: &Bounds,
) -> Result<Option<Arc<dyn ExecutionPlan>>, DataFusionError> {
    let schema = labels_schema();
    let columns = columns(&schema)?;
    let scan = session.scan(&schema, segments, &part.buffers, &columns, bounds)?;
    Ok(scan.map(|scan| Arc::new(LatestExec::new(scan)) as Arc<dyn ExecutionPlan>))
}

/// Joins labels (build side) with the rows whose ids are given, in the order of their numbers (probe side).
pub(super) fn join(
    labels: Arc<dyn ExecutionPlan>,
    ids: &[StringArray],
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("row", DataType::UInt64, false),
    ]));
    let mut first = 0_u64;
    let mut batches = Vec::with_capacity(ids.len());
    for ids in ids {
        let end = first + ids.len() as u64;
        let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(first..end));
        let columns = vec![Arc::new(ids.clone()) as ArrayRef, numbers];
        batches.push(RecordBatch::try_new(Arc::clone(&schema), columns)?);
        first = end;
    }
    let rows = MemorySourceConfig::try_new_exec(&[batches], schema, None)?;
    let id = || Arc::new(Column::new("id", 0)) as Arc<dyn PhysicalExpr>;
    // Of the labels: ts, label, value, topic, partition, offset; of the rows: the number.
    let needed = vec![1, 3, 4, 5, 6, 7, latest::COLUMNS.len() + 1];
    let join = HashJoinExec::try_new(
        labels,
        rows,
        vec![(id(), id())],
        None,
        &JoinType::Inner,
        Some(needed),
        PartitionMode::CollectLeft,
        NullEquality::NullEqualsNothing,
        false,
    )?;
    Ok(Arc::new(join))
}

/// The rows of a joined batch.
pub(super) fn matches(batch: &RecordBatch) -> impl Iterator<Item = Match<'_>> {
    let times = batch.column(0).as_primitive::<Int64Type>();
    let labels = batch.column(1).as_string::<i32>();
    let values = batch.column(2).as_primitive::<Float64Type>();
    let topics = batch.column(3).as_string::<i32>();
    let partitions = batch.column(4).as_primitive::<Int32Type>();
    let offsets = batch.column(5).as_primitive::<Int64Type>();
    let rows = batch.column(6).as_primitive::<UInt64Type>();
    (0..batch.num_rows()).map(move |at| Match {
        row: rows.value(at) as usize,
        ts: times.value(at),
        label: labels.is_valid(at).then(|| labels.value(at)),
        value: values.is_valid(at).then(|| values.value(at)),
        topic: topics.value(at),
        partition: partitions.value(at),
        offset: offsets.value(at),
    })
}
