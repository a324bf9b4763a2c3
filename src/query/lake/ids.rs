//! Ids as a set, and the condition "the id is one of these" for a scan.
//!
//! Ids are told apart by 128-bit hashes (two of them collide with probability 2⁻¹²⁸ a pair), so the set takes 16 bytes
//! an id however long ids are. Where an id decides what is answered, the join compares the ids themselves.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashSet;
use xxhash_rust::xxh3::xxh3_128;

/// Ids by their hashes.
pub(super) type IdSet = HashSet<u128>;

/// An id in an [`IdSet`].
pub(super) fn id_key(id: &str) -> u128 {
    xxh3_128(id.as_bytes())
}

/// Whether an id (a text column) is one of a set; null where it is null.
#[derive(Debug)]
pub(super) struct IsOneOf {
    id: Arc<dyn PhysicalExpr>,
    ids: Arc<IdSet>,
}

impl IsOneOf {
    pub fn new(id: Arc<dyn PhysicalExpr>, ids: Arc<IdSet>) -> Self {
        Self { id, ids }
    }
}

impl PartialEq for IsOneOf {
    fn eq(&self, other: &Self) -> bool {
        self.id.eq(&other.id) && Arc::ptr_eq(&self.ids, &other.ids)
    }
}

impl Eq for IsOneOf {}

impl Hash for IsOneOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.ids.len().hash(state);
    }
}

impl fmt::Display for IsOneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} IN ({} ids)", self.id, self.ids.len())
    }
}

impl PhysicalExpr for IsOneOf {
    fn data_type(&self, _: &Schema) -> Result<DataType, DataFusionError> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool, DataFusionError> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue, DataFusionError> {
        let ids = self.id.evaluate(batch)?.into_array(batch.num_rows())?;
        let ids = ids.as_string::<i32>().iter();
        let is_one: BooleanArray = ids
            .map(|id| id.map(|id| self.ids.contains(&id_key(id))))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(is_one)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.id]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
        Ok(Arc::new(Self {
            id: children.swap_remove(0),
            ids: Arc::clone(&self.ids),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
