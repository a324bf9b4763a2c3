//! What a service has stored, as tables of SQL.
//!
//! | table | a row for each |
//! |---|---|
//! | `windows` | window and key, as its last revision says |
//! | `verdicts` | score of such a window: column, statistic, rule |
//! | `profile_metrics` | column of such a window, with its profile |
//! | `drift_metrics` | column of such a window, its statistics side by side |
//! | `alerts`, `transitions` | alert as it is now; change of an alert |
//! | `retrain_runs` | request to retrain that was taken up |
//!
//! `profile_metrics` and `drift_metrics` have the columns of the tables of those names that Databricks' monitors write, as
//! far as the store knows them, with `window` as two columns. Rows are read when a statement asks for them, some
//! windows at a time, so memory does not grow with the history.

mod alerts;
mod rows;
mod windows;

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;

use super::sql_error;
use crate::query::QueryError;
use crate::query::functions::Names;
use crate::store::Store;

/// The statistics of `verdicts` side by side, under Databricks' names. A column that several rules judge has one value
/// and, as each rule draws for its own level, may have several p-values: the smallest stands here. Scores against the
/// anchor are of another reference, and stand in `verdicts` alone.
const DRIFT_METRICS: &str = "
    SELECT model, version, segment, window_start, window_end, column_name, 'BASELINE' AS drift_type,
           max(value) FILTER (WHERE statistic = 'psi') AS population_stability_index,
           max(value) FILTER (WHERE statistic = 'js') AS js_distance,
           max(value) FILTER (WHERE statistic = 'l_infinity') AS l_infinity_distance,
           max(value) FILTER (WHERE statistic = 'tv') AS tv_distance,
           max(value) FILTER (WHERE statistic = 'wasserstein') AS wasserstein_distance,
           max(value) FILTER (WHERE statistic = 'ks') AS ks_statistic,
           min(p_value) FILTER (WHERE statistic = 'ks') AS ks_pvalue,
           max(value) FILTER (WHERE statistic = 'chi_squared') AS chi_squared_statistic,
           min(p_value) FILTER (WHERE statistic = 'chi_squared') AS chi_squared_pvalue,
           max(value) FILTER (WHERE statistic = 'mean_shift') AS mean_shift,
           max(n_reference) AS n_reference, max(n_current) AS n_current
    FROM verdicts WHERE column_name <> '' AND rule <> '@anchor'
    GROUP BY model, version, segment, window_start, window_end, column_name";

/// Adds the tables to a session.
pub(super) async fn add(
    context: &SessionContext,
    store: &Store,
    names: &Arc<Names>,
) -> Result<(), QueryError> {
    for kept in Kept::ALL {
        let table = StoredTable {
            kept,
            schema: kept.schema(),
            store: store.clone(),
            names: Arc::clone(names),
        };
        let schema = Arc::clone(&table.schema);
        let table = StreamingTable::try_new(schema, vec![Arc::new(table)]).map_err(sql_error)?;
        let added = context.register_table(kept.name(), Arc::new(table));
        added.map_err(|_| taken(kept.name()))?;
    }
    let frame = context.sql(DRIFT_METRICS).await.map_err(sql_error)?;
    let added = context.register_table("drift_metrics", frame.into_view());
    added.map_err(|_| taken("drift_metrics"))?;
    Ok(())
}

fn taken(name: &str) -> QueryError {
    QueryError::TableTwice {
        name: name.to_owned(),
    }
}

/// A stored table.
#[derive(Debug, Clone, Copy)]
enum Kept {
    Windows,
    Verdicts,
    ProfileMetrics,
    Alerts,
    Transitions,
    RetrainRuns,
}

/// One row's cells, in the order of the table's columns.
type Cells = Vec<ScalarValue>;

/// Takes some rows; an error ends the reading.
type Take<'a> = &'a mut dyn FnMut(Vec<Cells>) -> Result<()>;

impl Kept {
    const ALL: [Kept; 6] = [
        Kept::Windows,
        Kept::Verdicts,
        Kept::ProfileMetrics,
        Kept::Alerts,
        Kept::Transitions,
        Kept::RetrainRuns,
    ];

    fn name(self) -> &'static str {
        match self {
            Kept::Windows => "windows",
            Kept::Verdicts => "verdicts",
            Kept::ProfileMetrics => "profile_metrics",
            Kept::Alerts => "alerts",
            Kept::Transitions => "transitions",
            Kept::RetrainRuns => "retrain_runs",
        }
    }

    fn schema(self) -> SchemaRef {
        let columns = match self {
            Kept::Windows => windows::WINDOWS,
            Kept::Verdicts => windows::VERDICTS,
            Kept::ProfileMetrics => windows::PROFILE_METRICS,
            Kept::Alerts => alerts::ALERTS,
            Kept::Transitions => alerts::TRANSITIONS,
            Kept::RetrainRuns => alerts::RETRAIN_RUNS,
        };
        let columns = columns
            .iter()
            .map(|(name, holds)| Field::new(*name, holds.data_type(), true));
        Arc::new(Schema::new(columns.collect::<Vec<_>>()))
    }

    fn read(self, store: &Store, names: &Names, take: Take<'_>) -> Result<()> {
        match self {
            Kept::Windows => windows::windows(store, take),
            Kept::Verdicts => windows::verdicts(store, take),
            Kept::ProfileMetrics => windows::profile_metrics(store, names, take),
            Kept::Alerts => alerts::alerts(store, take),
            Kept::Transitions => alerts::transitions(store, take),
            Kept::RetrainRuns => alerts::retrain_runs(store, take),
        }
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy)]
enum Holds {
    Text,
    /// Event time or wall time, in UTC.
    Time,
    Whole,
    Number,
    Bytes,
}

impl Holds {
    fn data_type(self) -> DataType {
        match self {
            Holds::Text => DataType::Utf8,
            Holds::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into())),
            Holds::Whole => DataType::Int64,
            Holds::Number => DataType::Float64,
            Holds::Bytes => DataType::Binary,
        }
    }
}

struct StoredTable {
    kept: Kept,
    schema: SchemaRef,
    store: Store,
    names: Arc<Names>,
}

impl fmt::Debug for StoredTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kept.name())
    }
}

/// Batches that wait until they are taken.
const WAITING: usize = 2;

impl PartitionStream for StoredTable {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), WAITING);
        let sender = stream.tx();
        let (kept, schema) = (self.kept, Arc::clone(&self.schema));
        let (store, names) = (self.store.clone(), Arc::clone(&self.names));
        stream.spawn_blocking(move || {
            let mut take = |rows: Vec<Cells>| {
                let gone = || DataFusionError::Execution("nobody waits for the rows".to_owned());
                sender
                    .blocking_send(Ok(batch(&schema, rows)?))
                    .map_err(|_| gone())
            };
            match kept.read(&store, &names, &mut take) {
                // The statement has what it wanted.
                Err(_) if sender.is_closed() => Ok(()),
                read => read,
            }
        });
        stream.build()
    }
}

fn batch(schema: &SchemaRef, rows: Vec<Cells>) -> Result<RecordBatch> {
    let count = rows.len();
    let mut columns: Vec<Vec<ScalarValue>> = schema
        .fields()
        .iter()
        .map(|_| Vec::with_capacity(count))
        .collect();
    for row in rows {
        debug_assert_eq!(row.len(), columns.len(), "a cell for each column");
        for (column, cell) in columns.iter_mut().zip(row) {
            column.push(cell);
        }
    }
    if count == 0 {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    let columns = columns
        .into_iter()
        .map(ScalarValue::iter_to_array)
        .collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}
