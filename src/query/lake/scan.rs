//! One kind of a snapshot (rows or labels) as the leaves of a DataFusion plan, and the session that runs such plans.
//!
//! Plans are put together operator by operator: there is no SQL to parse, no logical plan and no optimizer, which
//! would take longer than a window's query does. What an optimizer would find is known here: which columns are
//! needed, which side of a join is small, which files can hold an answer.
//!
//! **Invariant:** a plan has one partition a source, so nothing is shuffled and no thread's pace decides anything;
//! and what a plan answers does not depend on the order of its rows, which differs between segments and buffers.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, lit};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::SessionConfig;
use object_store::ObjectStore;
use tokio_stream::StreamExt;

use super::ids::{IdSet, IsOneOf};
use super::snapshot::{EVER, Part};
use crate::event::Millis;
use crate::store::lake::SegmentRow;

/// The address under which a session knows the lake. Paths of segments are relative to it.
pub(in crate::query) const LAKE_URL: &str = "lake://segments/";

/// From this many rows on, a segment's own statistics (of row groups) are asked before it is read: below,
/// asking costs more than reading.
const ASK_STATISTICS_ROWS: u64 = 65_536;

static CONFIG: LazyLock<SessionConfig> = LazyLock::new(|| {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_repartition_file_scans(false)
        .with_collect_statistics(false);
    let options = config.options_mut();
    options.execution.parquet.schema_force_view_types = false;
    options.execution.parquet.bloom_filter_on_read = false;
    config
});

/// Footers of segments that were read before, up to DataFusion's own limit of 50 MB. All lakes of a process share it:
/// a segment's path is made of random bits and never used again.
static METADATA: LazyLock<Arc<FileMetadataCache>> = LazyLock::new(|| {
    RuntimeEnv::default()
        .cache_manager
        .get_file_metadata_cache()
});

/// Runs plans over one lake.
pub(super) struct Session {
    context: Arc<TaskContext>,
    store: Arc<dyn ObjectStore>,
    url: ObjectStoreUrl,
}

/// Which records of a source are asked for.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// Event time, half-open.
    pub ts: Range<Millis>,
    /// The partition's watermark before the record lies below this.
    pub known_by: Millis,
    /// Only rows of this version.
    pub version: Option<String>,
    /// Only records with one of these ids.
    pub ids: Option<Arc<IdSet>>,
}

impl Session {
    pub fn new(store: Arc<dyn ObjectStore>) -> Result<Self, DataFusionError> {
        let url = ObjectStoreUrl::parse(LAKE_URL)?;
        let runtime = RuntimeEnvBuilder::new().build_arc()?;
        runtime.register_object_store(url.as_ref(), Arc::clone(&store));
        let context = TaskContext::default()
            .with_session_config(CONFIG.clone())
            .with_runtime(runtime);
        Ok(Self {
            context: Arc::new(context),
            store,
            url,
        })
    }

    /// Those columns of the records of `part` that lie within `bounds`; `None` where no segment and no buffer could
    /// hold one. `schema` is that of the kind; `columns` are places in it. The columns that `bounds` are
    /// about must be among them.
    pub fn scan(
        &self,
        schema: &SchemaRef,
        segments: &[&SegmentRow],
        buffers: &[RecordBatch],
        columns: &[usize],
        bounds: &Bounds,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>, DataFusionError> {
        // A statement of somebody else's can ask for any range of any column, and statistics leave NaN out.
        let is_ours = !bounds.has_all();
        let (large, small): (Vec<_>, Vec<_>) = segments
            .iter()
            .partition(|segment| is_ours && segment.rows >= ASK_STATISTICS_ROWS);
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        for (segments, is_large) in [(small, false), (large, true)] {
            if !segments.is_empty() {
                inputs.push(self.files(schema, &segments, columns, bounds, is_large)?);
            }
        }
        if !buffers.is_empty() {
            let buffers = [buffers.to_vec()];
            let projection = Some(columns.to_vec());
            inputs.push(MemorySourceConfig::try_new_exec(
                &buffers,
                Arc::clone(schema),
                projection,
            )?);
        }
        let input = match inputs.len() {
            0 => return Ok(None),
            1 => inputs.swap_remove(0),
            _ => UnionExec::try_new(inputs)?,
        };
        let predicate = bounds.predicate(&input.schema())?;
        Ok(Some(Arc::new(FilterExec::try_new(predicate, input)?)))
    }

    fn files(
        &self,
        schema: &SchemaRef,
        segments: &[&SegmentRow],
        columns: &[usize],
        bounds: &Bounds,
        is_large: bool,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let readers =
            CachedParquetFileReaderFactory::new(Arc::clone(&self.store), Arc::clone(&METADATA));
        // What a reader can tell from one column saves it the pages of the others.
        let predicate = if is_large {
            Some(bounds.predicate(schema)?)
        } else {
            bounds.ids_predicate(schema)?
        };
        let mut options = TableParquetOptions::default();
        options.global.pruning = is_large;
        options.global.enable_page_index = is_large;
        options.global.pushdown_filters = predicate.is_some();
        let mut source = ParquetSource::new(Arc::clone(schema))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(readers));
        if let Some(predicate) = predicate {
            source = source.with_predicate(predicate);
        }
        let files = segments
            .iter()
            .map(|segment| PartitionedFile::new(segment.path.clone(), segment.bytes));
        let config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_group(FileGroup::new(files.collect()))
            .with_projection_indices(Some(columns.to_vec()))?;
        Ok(DataSourceExec::from_data_source(config.build()))
    }

    /// Runs `plan` to its end, partition after partition, and hands each batch to `take`.
    pub async fn run(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        mut take: impl FnMut(RecordBatch) -> Result<(), DataFusionError>,
    ) -> Result<(), DataFusionError> {
        for partition in 0..plan.output_partitioning().partition_count() {
            let mut stream: SendableRecordBatchStream =
                plan.execute(partition, Arc::clone(&self.context))?;
            while let Some(batch) = stream.next().await.transpose()? {
                take(batch)?;
            }
        }
        Ok(())
    }
}

impl Bounds {
    /// All records of that time that are there.
    pub fn of(ts: Range<Millis>) -> Self {
        Self {
            ts,
            known_by: Millis::MAX,
            version: None,
            ids: None,
        }
    }

    /// Whether no record lies outside.
    fn has_all(&self) -> bool {
        self.ts == EVER
            && self.known_by == Millis::MAX
            && self.version.is_none()
            && self.ids.is_none()
    }

    /// Over `schema`, which has `ts` and `watermark`.
    fn predicate(&self, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
        // By place: the first of several columns of a name is the envelope's.
        let column = |name: &str| -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
            Ok(Arc::new(Column::new_with_schema(name, schema)?))
        };
        let both = |left, operator, right| {
            Arc::new(BinaryExpr::new(left, operator, right)) as Arc<dyn PhysicalExpr>
        };
        let mut predicate = both(column("watermark")?, Operator::Lt, lit(self.known_by));
        let mut and = |name, operator, bound| {
            let condition = both(column(name)?, operator, bound);
            predicate = both(Arc::clone(&predicate), Operator::And, condition);
            Ok::<(), DataFusionError>(())
        };
        and("ts", Operator::Lt, lit(self.ts.end))?;
        if self.ts.start > Millis::MIN {
            and("ts", Operator::GtEq, lit(self.ts.start))?;
        }
        if let Some(version) = &self.version {
            and("version", Operator::Eq, lit(version.as_str()))?;
        }
        Ok(match self.ids_predicate(schema)? {
            // First, since it is the one that leaves the least.
            Some(ids) => both(ids, Operator::And, predicate),
            None => predicate,
        })
    }

    fn ids_predicate(
        &self,
        schema: &SchemaRef,
    ) -> Result<Option<Arc<dyn PhysicalExpr>>, DataFusionError> {
        let Some(ids) = &self.ids else {
            return Ok(None);
        };
        let id = Arc::new(Column::new_with_schema("id", schema)?);
        Ok(Some(Arc::new(IsOneOf::new(id, Arc::clone(ids)))))
    }
}

impl Part {
    /// The segments that may hold a record of that event time.
    pub fn overlapping(&self, ts: &Range<Millis>) -> Vec<&SegmentRow> {
        let overlaps =
            |segment: &&SegmentRow| segment.min_ts < ts.end && segment.max_ts >= ts.start;
        self.segments.iter().filter(overlaps).collect()
    }
}
