//! SQL over files, results and the lake, with driftline's functions: one session, read only.
//!
//! | file | gives |
//! |---|---|
//! | `file` | a CSV or Parquet file as a table |
//! | `results` | what a service has stored as tables: `windows`, `verdicts`, `profile_metrics` and others |
//! | `answer` | the rows of an answer, as a table for people, CSV or JSON |
//!
//! **Invariant:** a statement changes nothing: neither DDL nor DML is planned. Deliberately absent: where layouts and
//! references come from; whoever opens the session hands them in.

mod answer;
mod file;
mod results;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::catalog::TableFunctionImpl;
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::prelude::SessionContext;

use super::file::honest;
use super::functions::{self, FunctionError, Measure, Names};
use super::lake::{LAKE_URL, LakeTables};
use super::{File, QueryError, column_names, profile_columns, sample_columns};
use crate::profile::{ColumnRules, CompiledLayout, Layout, Profile};
use crate::store::Store;
use crate::store::lake::{Kind, Lake};

pub use answer::{Answer, Form};

/// A session of SQL. Tables, layouts and references are added first, then it is asked.
pub struct Sql {
    context: SessionContext,
    measure: Measure,
    names: Names,
    store: Option<Store>,
    lake: Option<Lake>,
}

impl Sql {
    /// An empty session. `measure` gives the values of statistics.
    pub fn new(measure: Measure) -> Self {
        let mut config = honest().with_information_schema(true);
        // A text column has one type, as in a file that is read for itself.
        config
            .options_mut()
            .execution
            .parquet
            .schema_force_view_types = false;
        Self {
            context: SessionContext::new_with_config(config),
            measure,
            names: Names::default(),
            store: None,
            lake: None,
        }
    }

    /// Makes a file a table. A CSV file is read once to see what its columns hold.
    ///
    /// # Errors
    /// [`QueryError`]: the name is taken, or the file cannot be read.
    pub async fn add_table(&mut self, name: &str, file: &File) -> Result<(), QueryError> {
        let table = file::table(&self.context, file).await?;
        let name = TableReference::bare(name);
        if self.context.table_exist(name.clone()).unwrap_or(false) {
            return Err(QueryError::TableTwice {
                name: name.table().to_owned(),
            });
        }
        let added = self.context.register_table(name, table);
        added.map(|_| ()).map_err(sql_error)
    }

    /// Learns a layout from a file, with no rules, and counts the file with it: `name` stands for both from now on.
    ///
    /// # Errors
    /// [`QueryError`]: the name is taken, or the file cannot be read, or has no rows.
    pub async fn add_reference_file(&mut self, name: &str, file: &File) -> Result<(), QueryError> {
        if self.names.layout(name).is_ok() {
            let name = name.to_owned();
            return Err(QueryError::NameTaken { name });
        }
        // Times and identities are not profiled, so they need not be in order.
        let columns = column_names(file, None).await?.into_iter();
        let columns: Vec<String> = columns
            .filter_map(|(column, profiled)| profiled.map(|_| column))
            .collect();
        let sample = sample_columns(file, None, Some(&columns)).await?;
        let layout = Arc::new(Layout::learn(&sample, &ColumnRules::default()));
        let compiled = CompiledLayout::new(Arc::clone(&layout));
        let profile = profile_columns(file, &compiled, &columns).await?;
        self.add_layout(name, &layout);
        self.add_reference(&[name], &layout, &profile);
        Ok(())
    }

    /// Lets `name`, and the layout's hash, stand for a layout.
    pub fn add_layout(&mut self, name: &str, layout: &Arc<Layout>) {
        self.names.add_layout(name, layout);
    }

    /// Lets each of these names stand for a reference, which was counted with `layout`.
    pub fn add_reference(&mut self, names: &[&str], layout: &Arc<Layout>, profile: &Profile) {
        self.names.add_reference(names, layout, profile);
    }

    /// Adds what a service has stored, as tables. The layouts of its models must be there already.
    ///
    /// # Errors
    /// [`QueryError`]: a file has the name of one of these tables.
    pub async fn add_store(&mut self, store: &Store) -> Result<(), QueryError> {
        self.store = Some(store.clone());
        results::add(&self.context, store, &Arc::new(self.names.clone())).await
    }

    /// Adds the rows and labels that a service keeps, as the table functions `rows('model')` and `labels('model')`.
    /// Without a store there are none.
    pub fn add_lake(&mut self, lake: &Lake) {
        self.lake = Some(lake.clone());
    }

    /// Plans a statement and begins to answer it.
    ///
    /// # Errors
    /// [`QueryError::Sql`]: it is no SQL, names what is not there, or would change something.
    pub async fn ask(&self, statement: &str) -> Result<Answer, QueryError> {
        self.add_functions()?;
        let options = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let frame = self.context.sql_with_options(statement, options).await;
        let stream = frame.map_err(sql_error)?.execute_stream().await;
        Ok(Answer::new(stream.map_err(sql_error)?))
    }

    /// At the last moment, because functions know the names that were there when they were made.
    fn add_functions(&self) -> Result<(), QueryError> {
        let names = Arc::new(self.names.clone());
        for function in functions::scalars(&names, self.measure) {
            self.context.register_udf(function);
        }
        self.context.register_udaf(functions::aggregate(&names));
        if let (Some(store), Some(lake)) = (&self.store, &self.lake) {
            let url = ObjectStoreUrl::parse(LAKE_URL).map_err(sql_error)?;
            let objects = lake.store();
            self.context.register_object_store(url.as_ref(), objects);
            for kind in Kind::ALL {
                let tables: Arc<dyn TableFunctionImpl> = Arc::new(LakeTables {
                    kind,
                    store: store.clone(),
                    lake: lake.clone(),
                    names: Arc::clone(&names),
                });
                self.context.register_udtf(kind.as_str(), tables);
            }
        }
        Ok(())
    }
}

/// Our own sentences as they are; the others without what DataFusion says around them.
fn sql_error(cause: DataFusionError) -> QueryError {
    let own = match cause.find_root() {
        DataFusionError::External(inner) => inner
            .downcast_ref::<FunctionError>()
            .map(ToString::to_string),
        _ => None,
    };
    QueryError::Sql {
        what: own.unwrap_or_else(|| super::error::one_line(&cause).replace('\n', " ")),
    }
}
