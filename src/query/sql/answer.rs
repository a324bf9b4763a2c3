//! An answer's rows: as a table for people, CSV or JSON.
//!
//! CSV and JSON are written as the rows come. A table for people is as wide as its widest cell, so it is held whole.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::csv::WriterBuilder as CsvWriter;
use datafusion::arrow::json::WriterBuilder as JsonWriter;
use datafusion::arrow::json::writer::JsonArray;
use datafusion::arrow::util::pretty::pretty_format_batches_with_schema;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use tokio_stream::StreamExt;

use super::sql_error;
use crate::query::QueryError;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A frame of lines; bytes are shown as their number.
    Table,
    /// A header and one line a row; bytes in hex.
    Csv,
    /// One array of objects, null where there is nothing; bytes in hex.
    Json,
}

/// The rows of an answer, as they come.
pub struct Answer {
    stream: SendableRecordBatchStream,
}

impl Answer {
    pub(super) fn new(stream: SendableRecordBatchStream) -> Self {
        Self { stream }
    }

    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The next rows, `None` after the last.
    ///
    /// # Errors
    /// [`QueryError::Sql`]: the statement failed on the way.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        self.stream.next().await.transpose().map_err(sql_error)
    }

    /// Writes all rows. Returns how many there were.
    ///
    /// # Errors
    /// [`QueryError::Sql`] when the statement fails on the way, [`QueryError::Write`] when `out` does.
    pub async fn write(
        mut self,
        form: Form,
        out: &mut (dyn Write + Send),
    ) -> Result<u64, QueryError> {
        let schema = self.schema();
        match form {
            Form::Table => {
                let mut batches = Vec::new();
                while let Some(batch) = self.next().await? {
                    batches.push(shown(&batch).map_err(sql_error)?);
                }
                let shown = batches.first().map_or(schema, RecordBatch::schema);
                let table = pretty_format_batches_with_schema(shown, &batches)
                    .map_err(|cause| sql_error(cause.into()))?;
                writeln!(out, "{table}").map_err(QueryError::Write)?;
                Ok(batches.iter().map(|batch| batch.num_rows() as u64).sum())
            }
            Form::Csv => {
                let mut rows = 0;
                let mut writer = CsvWriter::new().with_header(true).build(out);
                // So that an answer without rows has its header.
                let empty = RecordBatch::new_empty(schema);
                writer.write(&empty).map_err(unwritten)?;
                while let Some(batch) = self.next().await? {
                    rows += batch.num_rows() as u64;
                    writer.write(&batch).map_err(unwritten)?;
                }
                Ok(rows)
            }
            Form::Json => {
                let mut rows = 0;
                let mut writer = JsonWriter::new()
                    .with_explicit_nulls(true)
                    .build::<_, JsonArray>(out);
                while let Some(batch) = self.next().await? {
                    rows += batch.num_rows() as u64;
                    writer.write(&batch).map_err(unwritten)?;
                }
                writer.finish().map_err(unwritten)?;
                writeln!(writer.into_inner()).map_err(QueryError::Write)?;
                Ok(rows)
            }
        }
    }
}

/// The writers of Arrow wrap what the output said.
fn unwritten(cause: arrow::error::ArrowError) -> QueryError {
    match cause {
        arrow::error::ArrowError::IoError(_, cause) => QueryError::Write(cause),
        other => QueryError::Write(io::Error::other(other)),
    }
}

/// The batch with bytes as people want to see them.
fn shown(batch: &RecordBatch) -> Result<RecordBatch, DataFusionError> {
    let fields = batch.schema().fields().clone();
    let columns = fields.iter().zip(batch.columns()).map(|(field, column)| {
        if *field.data_type() != DataType::Binary {
            return (Arc::clone(field), Arc::clone(column));
        }
        let bytes = column.as_binary::<i32>().iter();
        let texts: StringArray = bytes
            .map(|bytes| bytes.map(|bytes| format!("{} bytes", bytes.len())))
            .collect();
        let field = Field::new(field.name(), DataType::Utf8, true);
        (Arc::new(field), Arc::new(texts) as ArrayRef)
    });
    let (fields, columns): (Vec<_>, Vec<_>) = columns.unzip();
    debug_assert!(
        columns
            .iter()
            .all(|column| column.len() == batch.num_rows())
    );
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}
