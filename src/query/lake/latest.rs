//! Which label of an id counts: an operator that keeps one label an id, the one with the greatest `ts`, then the
//! greatest (topic, partition, offset).
//!
//! It stands between the scan of the labels and the join. **Invariant:** what it keeps is the maximum of a total order,
//! so neither the order nor the cut of its input matters. Memory: one label for each id that comes, and at most as many
//! again that were superseded.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext, async_try_stream};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use hashbrown::HashMap;
use tokio_stream::StreamExt;

use super::ids::id_key;

type Result<T> = std::result::Result<T, DataFusionError>;

/// Superseded labels that are kept beside the counting ones before they are cleared away.
const MOST_IDLE_ROWS: usize = 65_536;

/// The columns of labels that this operator reads, in the order in which its input has them.
pub(super) const COLUMNS: [&str; 8] = [
    "id",
    "ts",
    "watermark",
    "label",
    "value",
    "topic",
    "partition",
    "offset",
];

/// The counting label of each id. One partition, whatever its input has.
#[derive(Debug)]
pub(super) struct LatestExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl LatestExec {
    /// `input` must have [`COLUMNS`].
    pub fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            input,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for LatestExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LatestExec")
    }
}

impl ExecutionPlan for LatestExec {
    fn name(&self) -> &str {
        "LatestExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.swap_remove(0);
        Ok(Arc::new(Self::new(input)))
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.swap_remove(0);
        Ok(Arc::new(Self::new(input)))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let partitions = 0..self.input.output_partitioning().partition_count();
        let inputs: Vec<SendableRecordBatchStream> = partitions
            .map(|partition| self.input.execute(partition, Arc::clone(&context)))
            .collect::<Result<_>>()?;
        let mut latest = Latest::new(self.input.schema());
        let stream = async_try_stream(|mut emitter| async move {
            for mut input in inputs {
                while let Some(batch) = input.next().await.transpose()? {
                    latest.add(batch)?;
                }
            }
            if let Some(batch) = latest.finish()? {
                emitter.emit(batch).await;
            }
            Ok(())
        });
        let schema = self.input.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}

/// The counting labels of what came so far.
struct Latest {
    schema: SchemaRef,
    batches: Vec<Labels>,
    rows: usize,
    /// Batch and row of each id's label.
    winners: HashMap<u128, (u32, u32)>,
}

impl Latest {
    fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            batches: Vec::new(),
            rows: 0,
            winners: HashMap::new(),
        }
    }

    fn add(&mut self, batch: RecordBatch) -> Result<()> {
        let place = self.batches.len() as u32;
        self.rows += batch.num_rows();
        self.batches.push(Labels::new(batch));
        let ids = self.batches[place as usize].id.clone();
        for (row, id) in (0_u32..).zip(&ids) {
            // A label without id is rejected where it is decoded.
            let Some(id) = id else { continue };
            let new = (place, row);
            let winner = self.winners.entry(id_key(id)).or_insert(new);
            if Labels::compare(&self.batches, new, *winner) == Ordering::Greater {
                *winner = new;
            }
        }
        if self.rows > 2 * self.winners.len() + MOST_IDLE_ROWS {
            self.clear_away()?;
        }
        Ok(())
    }

    /// Keeps nothing but the winners, as one batch.
    fn clear_away(&mut self) -> Result<()> {
        let Some(batch) = self.winners()? else {
            return Ok(());
        };
        // The winners stand in the order in which the map was walked, which is the same while it is not changed.
        for ((_, place), row) in self.winners.iter_mut().zip(0_u32..) {
            *place = (0, row);
        }
        self.rows = batch.num_rows();
        self.batches = vec![Labels::new(batch)];
        Ok(())
    }

    fn winners(&self) -> Result<Option<RecordBatch>> {
        if self.winners.is_empty() {
            return Ok(None);
        }
        let places: Vec<(usize, usize)> = self
            .winners
            .values()
            .map(|&(batch, row)| (batch as usize, row as usize))
            .collect();
        let batches: Vec<&RecordBatch> = self.batches.iter().map(|labels| &labels.batch).collect();
        Ok(Some(interleave_record_batch(&batches, &places)?))
    }

    fn finish(&self) -> Result<Option<RecordBatch>> {
        let winners = self.winners()?;
        debug_assert!(
            winners
                .as_ref()
                .is_none_or(|batch| batch.schema() == self.schema)
        );
        Ok(winners)
    }
}

/// Labels with [`COLUMNS`].
struct Labels {
    batch: RecordBatch,
    id: StringArray,
    ts: Int64Array,
    label: StringArray,
    value: Float64Array,
    topic: StringArray,
    partition: Int32Array,
    offset: Int64Array,
}

impl Labels {
    fn new(batch: RecordBatch) -> Self {
        Self {
            id: batch.column(0).as_string().clone(),
            ts: batch.column(1).as_primitive::<Int64Type>().clone(),
            label: batch.column(3).as_string().clone(),
            value: batch.column(4).as_primitive::<Float64Type>().clone(),
            topic: batch.column(5).as_string().clone(),
            partition: batch.column(6).as_primitive::<Int32Type>().clone(),
            offset: batch.column(7).as_primitive::<Int64Type>().clone(),
            batch,
        }
    }

    /// The order in which labels of one id count. Two labels of one place, which a log that was made anew can have,
    /// are told apart by what they say.
    fn compare(batches: &[Labels], a: (u32, u32), b: (u32, u32)) -> Ordering {
        let at = |(batch, row): (u32, u32)| (&batches[batch as usize], row as usize);
        let ((a, i), (b, j)) = (at(a), at(b));
        a.ts.value(i)
            .cmp(&b.ts.value(j))
            .then_with(|| a.topic.value(i).cmp(b.topic.value(j)))
            .then_with(|| a.partition.value(i).cmp(&b.partition.value(j)))
            .then_with(|| a.offset.value(i).cmp(&b.offset.value(j)))
            .then_with(|| text(&a.label, i).cmp(&text(&b.label, j)))
            .then_with(|| bits(&a.value, i).cmp(&bits(&b.value, j)))
    }
}

fn text(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

fn bits(values: &Float64Array, row: usize) -> Option<u64> {
    values.is_valid(row).then(|| values.value(row).to_bits())
}
