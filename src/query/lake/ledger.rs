//! Which labels have come, and what became of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::common::{JoinType, NullEquality};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use serde::{Deserialize, Serialize};

use super::labels::{self, Wanted};
use super::scan::{Bounds, Session};
use super::snapshot::{Attempts, EVER, Snapshot};
use crate::event::{Millis, Span};
use crate::query::QueryError;
use crate::store::Store;
use crate::store::lake::{Lake, SegmentRow, labels_schema};

/// Labels of one model by what became of them: `used = superseded + matched + waiting`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Labels that were read and counted; duplicates and rejected ones are not among them.
    pub used: u64,
    /// A later label of the same id counts instead, whenever that one came.
    pub superseded: u64,
    /// A prediction with this id is in the lake.
    pub matched: u64,
    /// No prediction with this id is in the lake: it may still come, or the label is an orphan.
    pub waiting: u64,
}

/// The ledger of the labels of `model` whose event time lies in `span`, by everything that the lake holds now. Ledgers
/// of adjoining spans add up.
///
/// Memory: the ids of the labels twice.
///
/// # Errors
/// When the store or the lake cannot be read, or the lake changes faster than it can be read.
pub async fn label_ledger(
    lake: &Lake,
    store: &Store,
    model: &str,
    span: Span,
) -> Result<Ledger, QueryError> {
    let session = Session::new(lake.store()).map_err(QueryError::lake)?;
    let mut attempts = Attempts::default();
    loop {
        // A label can only be superseded by one that is not before it.
        let labels = span.start..Millis::MAX;
        let snapshot = Snapshot::read(store, model, EVER, labels).await?;
        let answer = count(&session, store, &snapshot, span).await;
        if let Some(answer) = attempts.settle(store, model, &snapshot, answer).await? {
            return Ok(answer);
        }
    }
}

async fn count(
    session: &Session,
    store: &Store,
    snapshot: &Snapshot,
    span: Span,
) -> Result<Ledger, QueryError> {
    let ids = ids_in(session, snapshot, span).await?;
    let used: u64 = ids.iter().map(|ids| ids.len() as u64).sum();
    let counting = counting(session, store, snapshot, span, &ids).await?;
    drop(ids);
    let counts: u64 = counting.iter().map(|ids| ids.len() as u64).sum();
    let matched = matched(session, store, snapshot, &counting).await?;
    Ok(Ledger {
        used,
        superseded: used - counts,
        matched,
        waiting: counts - matched,
    })
}

/// The ids of all labels of the span, one a label.
async fn ids_in(
    session: &Session,
    snapshot: &Snapshot,
    span: Span,
) -> Result<Vec<StringArray>, QueryError> {
    let bounds = Bounds::of(span.start..span.end);
    let part = &snapshot.labels;
    // id, ts, watermark.
    let columns = [0, 1, 2];
    let segments = part.overlapping(&bounds.ts);
    let plan = session.scan(
        &labels_schema(),
        &segments,
        &part.buffers,
        &columns,
        &bounds,
    );
    let mut ids: Vec<StringArray> = Vec::new();
    if let Some(plan) = plan.map_err(QueryError::lake)? {
        let run = session.run(&plan, |batch| {
            ids.push(batch.column(0).as_string().clone());
            Ok(())
        });
        run.await.map_err(QueryError::lake)?;
    }
    Ok(ids)
}

/// Of `ids`, each once, those whose counting label lies in the span and not behind it.
async fn counting(
    session: &Session,
    store: &Store,
    snapshot: &Snapshot,
    span: Span,
    ids: &[StringArray],
) -> Result<Vec<StringArray>, QueryError> {
    let wanted = Wanted::new(ids);
    let bounds = Bounds {
        ids: Some(Arc::clone(wanted.set())),
        ..Bounds::of(span.start..Millis::MAX)
    };
    let part = &snapshot.labels;
    let segments = wanted.prune(store, part.overlapping(&bounds.ts)).await?;
    let plan = labels::winners(session, part, &segments, &bounds);
    let mut counting: Vec<StringArray> = Vec::new();
    if let Some(plan) = plan.map_err(QueryError::lake)? {
        let run = session.run(&plan, |batch| {
            let times = batch.column(1).as_primitive::<Int64Type>();
            let is_in: BooleanArray = times.iter().map(|ts| ts.map(|ts| ts < span.end)).collect();
            counting.push(filter(batch.column(0), &is_in)?.as_string().clone());
            Ok(())
        });
        run.await.map_err(QueryError::lake)?;
    }
    Ok(counting)
}

/// How many of these ids some prediction has.
async fn matched(
    session: &Session,
    store: &Store,
    snapshot: &Snapshot,
    ids: &[StringArray],
) -> Result<u64, QueryError> {
    let part = &snapshot.rows;
    let wanted = Wanted::new(ids);
    let segments = wanted.prune(store, part.segments.iter().collect()).await?;
    let bounds = Bounds {
        ids: Some(Arc::clone(wanted.set())),
        ..Bounds::of(EVER)
    };
    let plan = semi_join(session, snapshot, &segments, &bounds, ids).map_err(QueryError::lake)?;
    let mut matched = 0;
    if let Some(plan) = plan {
        let run = session.run(&plan, |batch| {
            matched += batch.num_rows() as u64;
            Ok(())
        });
        run.await.map_err(QueryError::lake)?;
    }
    Ok(matched)
}

/// The ids (build side) that occur among the rows (probe side).
fn semi_join(
    session: &Session,
    snapshot: &Snapshot,
    segments: &[&SegmentRow],
    bounds: &Bounds,
    ids: &[StringArray],
) -> Result<Option<Arc<dyn ExecutionPlan>>, DataFusionError> {
    // A model's rows have their own columns first, whatever its layout.
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("ts", DataType::Int64, false),
        Field::new("watermark", DataType::Int64, false),
    ]));
    let buffers = snapshot.rows.buffers.iter().map(|buffer| {
        let columns = schema.fields().iter().map(|field| {
            Ok(Arc::clone(
                buffer.column(buffer.schema().index_of(field.name())?),
            ))
        });
        let columns = columns.collect::<Result<_, arrow::error::ArrowError>>()?;
        RecordBatch::try_new(Arc::clone(&schema), columns)
    });
    let buffers = buffers.collect::<Result<Vec<_>, _>>()?;
    let Some(rows) = session.scan(&schema, segments, &buffers, &[0, 1, 2], bounds)? else {
        return Ok(None);
    };
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, false)]));
    let batches = ids.iter().map(|ids| {
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(ids.clone()) as ArrayRef])
    });
    let batches = batches.collect::<Result<Vec<_>, _>>()?;
    let labels = MemorySourceConfig::try_new_exec(&[batches], schema, None)?;
    let id = || Arc::new(Column::new("id", 0)) as Arc<dyn PhysicalExpr>;
    let join = HashJoinExec::try_new(
        labels,
        rows,
        vec![(id(), id())],
        None,
        &JoinType::LeftSemi,
        None,
        PartitionMode::CollectLeft,
        NullEquality::NullEqualsNothing,
        false,
    )?;
    Ok(Some(Arc::new(join)))
}
