//! The rows of a file under the names of a prediction record, with their event times.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::error::ArrowError;

use super::cells::{Kind, Values};
use super::columns::{self, DEFAULT_TIME};
use super::file::Format;
use super::times::times;
use super::{File, QueryError, Rows};
use crate::event::Millis;
use crate::profile::Field;

/// A file open for reading.
pub(super) struct Table<'a> {
    pub file: &'a File,
    rows: Rows,
    /// The time column's name, and its place if the file has one.
    pub time: String,
    time_index: Option<usize>,
    /// For each column of the file: what it is, if it is profiled, and for CSV what it holds.
    fields: Vec<Option<(Field, String)>>,
    kinds: Vec<Kind>,
    rows_before: u64,
}

/// Some rows.
pub(super) struct FileBatch {
    pub rows: usize,
    /// One a row; `None` when the file has no time column.
    pub times: Option<Vec<Millis>>,
    /// The columns that are profiled.
    pub columns: Vec<FileColumn>,
}

pub(super) struct FileColumn {
    pub field: Field,
    /// A feature's own name; empty for other fields.
    pub name: String,
    pub values: Values,
}

impl<'a> Table<'a> {
    pub async fn open(file: &'a File, time: Option<&str>) -> Result<Self, QueryError> {
        Self::open_some(file, time, None).await
    }

    /// As [`Table::open`], with those columns only that have one of these names in the file.
    pub async fn open_some(
        file: &'a File,
        time: Option<&str>,
        only: Option<&[String]>,
    ) -> Result<Self, QueryError> {
        let rows = file.rows_of(only).await?;
        let names: Vec<String> = rows
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let time_index = names
            .iter()
            .position(|name| name == time.unwrap_or(DEFAULT_TIME));
        if let (Some(column), None) = (time, time_index) {
            let (file, column) = (file.name(), column.to_owned());
            return Err(QueryError::NoTimeColumn {
                file,
                column,
                found: names,
            });
        }
        let time = time.unwrap_or(DEFAULT_TIME).to_owned();

        let (kinds, numeric): (Vec<Kind>, Vec<bool>) = match rows.format() {
            Format::Csv => {
                let kinds = kinds(file, names.len(), only).await?;
                let numeric = kinds.iter().map(|kind| *kind == Kind::Numbers).collect();
                (kinds, numeric)
            }
            Format::Parquet => {
                let numeric = rows
                    .schema()
                    .fields()
                    .iter()
                    .map(|field| field.data_type().is_numeric())
                    .collect();
                (vec![Kind::Empty; names.len()], numeric)
            }
        };
        let fields: Vec<_> = names
            .iter()
            .zip(numeric)
            .map(|(name, numeric)| columns::field(name, &time, numeric))
            .collect();
        refuse_doubles(file, &names, &fields)?;
        Ok(Self {
            file,
            rows,
            time,
            time_index,
            fields,
            kinds,
            rows_before: 0,
        })
    }

    pub async fn next(&mut self) -> Result<Option<FileBatch>, QueryError> {
        let Some(batch) = self.rows.next().await? else {
            return Ok(None);
        };
        let unreadable = |cause: ArrowError| self.rows.unreadable(cause.into());
        let times = match self.time_index {
            Some(index) => Some(times(batch.column(index)).map_err(unreadable)?.map_err(
                |bad| QueryError::BadTs {
                    file: self.file.name(),
                    column: self.time.clone(),
                    row: self.rows_before + bad.row as u64 + 1,
                    value: bad.value,
                    why: bad.why,
                    remedy: bad.remedy,
                },
            )?),
            None => None,
        };
        let mut columns = Vec::new();
        for (index, field) in self.fields.iter().enumerate() {
            let Some((field, name)) = field else { continue };
            let values = self.values(&batch, index).map_err(unreadable)?;
            columns.push(FileColumn {
                field: field.clone(),
                name: name.clone(),
                values,
            });
        }
        self.rows_before += batch.num_rows() as u64;
        Ok(Some(FileBatch {
            rows: batch.num_rows(),
            times,
            columns,
        }))
    }

    fn values(&self, batch: &RecordBatch, index: usize) -> Result<Values, ArrowError> {
        match self.rows.format() {
            Format::Parquet => Values::typed(batch.column(index)),
            Format::Csv => Ok(Values::untyped(batch.column(index), self.kinds[index])),
        }
    }

    /// After the last row.
    pub fn refuse_empty(&self) -> Result<(), QueryError> {
        if self.rows_before == 0 {
            Err(QueryError::Empty {
                file: self.file.name(),
            })
        } else {
            Ok(())
        }
    }
}

/// Reads a CSV file once to see what each column holds.
async fn kinds(
    file: &File,
    columns: usize,
    only: Option<&[String]>,
) -> Result<Vec<Kind>, QueryError> {
    let mut kinds = vec![Kind::Empty; columns];
    let mut rows = file.rows_of(only).await?;
    while let Some(batch) = rows.next().await? {
        for (kind, column) in kinds.iter_mut().zip(batch.columns()) {
            *kind = column
                .as_string::<i32>()
                .iter()
                .flatten()
                .fold(*kind, Kind::with);
        }
    }
    Ok(kinds)
}

fn refuse_doubles(
    file: &File,
    names: &[String],
    fields: &[Option<(Field, String)>],
) -> Result<(), QueryError> {
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    for (column, field) in names.iter().zip(fields) {
        let Some((field, name)) = field else { continue };
        let path = field.column_name(name);
        if let Some(first) = seen.insert(path.clone(), column) {
            let (first, second) = (first.clone(), column.clone());
            return Err(QueryError::SameField {
                file: file.name(),
                first,
                second,
                field: path,
            });
        }
    }
    Ok(())
}
