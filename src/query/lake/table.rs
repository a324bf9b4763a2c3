//! The lake for SQL: `rows('model')` and `labels('model')` as table functions.
//!
//! A table has all records that the lake holds when the statement is planned, buffered ones too, as they were logged:
//! which label counts for which row is not decided here.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{
    Session as SqlSession, TableFunctionArgs, TableFunctionImpl, TableProvider,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::ProjectionExec;

use super::scan::{Bounds, Session};
use super::snapshot::{EVER, Snapshot};
use crate::query::functions::{FunctionError, Names};
use crate::store::Store;
use crate::store::lake::{Kind, Lake, labels_schema, rows_schema};

/// The table function of one kind of record.
pub(in crate::query) struct LakeTables {
    pub kind: Kind,
    pub store: Store,
    pub lake: Lake,
    /// The layouts of the models.
    pub names: Arc<Names>,
}

impl std::fmt::Debug for LakeTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {:?}", self.kind.as_str(), self.lake)
    }
}

impl TableFunctionImpl for LakeTables {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let model = match args.exprs() {
            [Expr::Literal(value, _)] => value.try_as_str().flatten(),
            _ => None,
        };
        let Some(model) = model else {
            let function = self.kind.as_str();
            let what = format!("{function}: it takes one text, the model's name");
            return Err(FunctionError::Table { what }.into());
        };
        let layout = self.names.layout(model)?;
        Ok(Arc::new(LakeTable {
            kind: self.kind,
            model: model.to_owned(),
            store: self.store.clone(),
            lake: self.lake.clone(),
            schema: match self.kind {
                Kind::Rows => rows_schema(layout),
                Kind::Labels => labels_schema(),
            },
        }))
    }
}

struct LakeTable {
    kind: Kind,
    model: String,
    store: Store,
    lake: Lake,
    schema: SchemaRef,
}

impl std::fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {:?} in {:?}",
            self.kind.as_str(),
            self.model,
            self.lake
        )
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn SqlSession,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let external = |cause| DataFusionError::External(Box::new(cause));
        let snapshot = Snapshot::read(&self.store, &self.model, EVER, EVER);
        let snapshot = snapshot.await.map_err(external)?;
        let part = match self.kind {
            Kind::Rows => &snapshot.rows,
            Kind::Labels => &snapshot.labels,
        };
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        // What a scan's bounds are about must be read, whether it is asked for or not.
        let mut read = wanted.clone();
        for name in ["ts", "watermark"] {
            let place = self.schema.index_of(name)?;
            if !read.contains(&place) {
                read.push(place);
            }
        }
        let session = Session::new(self.lake.store())?;
        let segments = part.overlapping(&EVER);
        let bounds = Bounds::of(EVER);
        let plan = session.scan(&self.schema, &segments, &part.buffers, &read, &bounds)?;
        let Some(plan) = plan else {
            let schema = self.schema.project(wanted)?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema))));
        };
        let columns = wanted.iter().enumerate().map(|(place, &column)| {
            let name = self.schema.field(column).name();
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, place));
            (column, name.clone())
        });
        let columns: Vec<_> = columns.collect();
        Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
    }
}
