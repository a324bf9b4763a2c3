//! Whole columns of a file, for statistics that look at rows.
//!
//! **Invariant:** a value means here what it means to a profile of the same layout (`cells`), so that a statistic on
//! rows and one on profiles are of the same rows. Deliberately absent: anything that fits into a profile; these
//! vectors hold the file's whole length.

use std::collections::{BTreeSet, HashMap};

use super::table::{FileColumn, Table};
use super::{File, QueryError};
use crate::profile::vector::Part;
use crate::profile::{Cells, Field, Layout, Observed, category_text};

/// All rows of one column, in the file's order.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnRows {
    Numbers(NumberRows),
    Texts(TextRows),
}

/// A numeric column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NumberRows {
    /// One a row: NaN where the value is missing, of the wrong type, or NaN itself.
    pub values: Vec<f64>,
    /// Null and absent values.
    pub null: u64,
    pub wrong_type: u64,
}

/// A categorical column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextRows {
    /// One a row: the place in `names`, or [`TextRows::MISSING`].
    pub codes: Vec<u32>,
    /// Distinct texts in the order in which they come.
    pub names: Vec<String>,
    /// Null and absent values.
    pub null: u64,
    pub wrong_type: u64,
}

impl TextRows {
    /// The code of a row without a category.
    pub const MISSING: u32 = u32::MAX;

    /// Rows of each of `names`.
    pub fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.names.len()];
        for &code in self.codes.iter().filter(|&&code| code != Self::MISSING) {
            counts[code as usize] += 1;
        }
        counts
    }
}

impl ColumnRows {
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(column) => column.values.len(),
            Self::Texts(column) => column.codes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads columns of a layout, named by their places in it, in one pass; memory: 8 bytes a number, 4 a category. A
/// column that the file lacks is absent in every row.
///
/// # Errors
/// [`QueryError`]: the file cannot be read or has no rows.
pub async fn column_rows(
    file: &File,
    layout: &Layout,
    columns: &[usize],
) -> Result<Vec<ColumnRows>, QueryError> {
    let wanted: Vec<_> = columns.iter().map(|&at| &layout.columns[at]).collect();
    let named: Vec<&str> = wanted
        .iter()
        .map(|column| match &column.field {
            Field::Element(vector, _) => vector.as_str(),
            _ => column.name.as_str(),
        })
        .collect();
    let names: BTreeSet<String> = named.iter().copied().flat_map(file_names).collect();
    let names: Vec<String> = names.into_iter().collect();
    let parts = layout.parts();
    let mut table = Table::open_some(file, None, Some(&names)).await?;
    let mut found: Vec<Building> = wanted
        .iter()
        .zip(columns)
        .map(|(column, &at)| Building::new(&column.cells, parts[at]))
        .collect();
    while let Some(batch) = table.next().await? {
        let there = batch.columns.iter();
        let there: HashMap<String, &FileColumn> = there
            .map(|source| (source.field.column_name(&source.name), source))
            .collect();
        for ((column, name), building) in wanted.iter().zip(&named).zip(&mut found) {
            building.take(there.get(*name).copied(), batch.rows, &column.cells);
        }
    }
    table.refuse_empty()?;
    Ok(found.into_iter().map(|building| building.rows).collect())
}

/// What a file may call the layout's column; see the table in `query`.
fn file_names(column: &str) -> Vec<String> {
    let mut names = vec![column.to_owned(), format!("features.{column}")];
    names.extend(column.strip_prefix("features.").map(str::to_owned));
    if matches!(column, "prediction.label" | "prediction.value") {
        names.push("prediction".to_owned());
    }
    names
}

struct Building {
    rows: ColumnRows,
    part: Option<Part>,
    codes: HashMap<String, u32>,
}

impl Building {
    fn new(cells: &Cells, part: Option<Part>) -> Self {
        let rows = match cells {
            Cells::Numeric(_) => ColumnRows::Numbers(NumberRows::default()),
            Cells::Categorical(_) => ColumnRows::Texts(TextRows::default()),
        };
        Self {
            rows,
            part,
            codes: HashMap::new(),
        }
    }

    fn take(&mut self, source: Option<&FileColumn>, rows: usize, cells: &Cells) {
        for row in 0..rows {
            let value = source.map_or(Observed::Null, |source| match self.part {
                Some(part) => match source.values.observed(row) {
                    Observed::Numbers(list) => {
                        part.of(list).map_or(Observed::Other, Observed::Number)
                    }
                    Observed::Null => Observed::Null,
                    _ => Observed::Other,
                },
                None => source.values.observed_as(row, cells),
            });
            match &mut self.rows {
                ColumnRows::Numbers(column) => column.push(value),
                ColumnRows::Texts(column) => column.push(value, &mut self.codes),
            }
        }
    }
}

impl NumberRows {
    fn push(&mut self, value: Observed<'_>) {
        let number = match value {
            Observed::Number(number) => number,
            Observed::Null => {
                self.null += 1;
                f64::NAN
            }
            Observed::Text(_) | Observed::Bool(_) | Observed::Numbers(_) | Observed::Other => {
                self.wrong_type += 1;
                f64::NAN
            }
        };
        self.values.push(number);
    }
}

impl TextRows {
    fn push(&mut self, value: Observed<'_>, codes: &mut HashMap<String, u32>) {
        let code = match value {
            Observed::Text(text) => self.code(text, codes),
            Observed::Bool(truth) => self.code(if truth { "true" } else { "false" }, codes),
            Observed::Number(number) => self.code(&category_text(number), codes),
            Observed::Null => {
                self.null += 1;
                Self::MISSING
            }
            Observed::Numbers(_) | Observed::Other => {
                self.wrong_type += 1;
                Self::MISSING
            }
        };
        self.codes.push(code);
    }

    fn code(&mut self, text: &str, codes: &mut HashMap<String, u32>) -> u32 {
        if let Some(&code) = codes.get(text) {
            return code;
        }
        let code = u32::try_from(self.names.len()).unwrap_or(Self::MISSING);
        self.names.push(text.to_owned());
        codes.insert(text.to_owned(), code);
        code
    }
}
