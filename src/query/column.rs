//! One column of a file as numbers, in the file's own order and batch by batch: what a sequential detector reads.

use arrow::error::ArrowError;

use super::cells::{Kind, Values};
use super::file::Format;
use super::{File, QueryError, Rows};

/// Of a cell that is no number a message shows so many letters.
const MOST_SHOWN: usize = 60;

/// A column open for reading.
pub struct Numbers<'a> {
    file: &'a File,
    rows: Rows,
    column: String,
    index: usize,
    rows_before: u64,
}

impl<'a> Numbers<'a> {
    /// # Errors
    /// When the file cannot be read, or has no such column.
    pub async fn open(file: &'a File, column: &str) -> Result<Self, QueryError> {
        let rows = file.rows().await?;
        let fields = rows.schema().fields();
        let Some(index) = fields.iter().position(|field| field.name() == column) else {
            return Err(QueryError::NoColumn {
                file: file.name(),
                column: column.to_owned(),
                found: fields.iter().map(|field| field.name().clone()).collect(),
            });
        };
        Ok(Self {
            file,
            rows,
            column: column.to_owned(),
            index,
            rows_before: 0,
        })
    }

    /// The next rows' numbers, `None` after the last. A cell without a value is NaN; `true` is 1 and `false` 0.
    ///
    /// # Errors
    /// When the file is damaged, or a cell holds anything else; it says which one.
    pub async fn next(&mut self) -> Result<Option<Vec<f64>>, QueryError> {
        let Some(batch) = self.rows.next().await? else {
            return Ok(None);
        };
        let unreadable = |cause: ArrowError| self.rows.unreadable(cause.into());
        let array = batch.column(self.index);
        let values = match self.rows.format() {
            Format::Parquet => Values::typed(array).map_err(unreadable)?,
            // Each cell is taken for itself: the file is read once, so its other rows are not known yet.
            Format::Csv => Values::untyped(array, Kind::Text),
        };
        let number = |row: usize| {
            values.number(row).map_err(|value| QueryError::NotANumber {
                file: self.file.name(),
                column: self.column.clone(),
                row: self.rows_before + row as u64 + 1,
                value: value.chars().take(MOST_SHOWN).collect(),
            })
        };
        let numbers = (0..batch.num_rows())
            .map(number)
            .collect::<Result<_, _>>()?;
        self.rows_before += batch.num_rows() as u64;
        Ok(Some(numbers))
    }
}
