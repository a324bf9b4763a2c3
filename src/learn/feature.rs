//! From logged columns to complete ones: missing numbers filled in, categories as places in a list that was fixed
//! when the model was fitted.
//!
//! **Invariant:** whatever a table holds (a column gone, all missing, an infinity, a category never seen), every row
//! gets a finite number or a place in the list. Deliberately absent: scales and codes, which differ between linear
//! models ([`super::one_hot`]) and trees ([`super::cells`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LearnError;
use super::table::{Column, Table, usable};

/// Largest magnitude that is taken as a number, so that squares can be summed over any table. What lies beyond, and
/// an infinity, counts as missing: a model has no use for it, and the profiles have counted it.
pub const LARGEST: f64 = 1e100;
/// Most categories of a column that keep a place of their own; the rarer ones are `other`. It bounds the width of
/// what is fitted: ten columns of ten thousand categories each stay below 1,300 numbers a row.
pub const MOST_LEVELS: usize = 128;
/// Rows that a category, or a column's missing values, must have to be told apart; with fewer, its effect would be
/// mostly noise. Tables below 4,000 rows ask for one row in 200, but at least 2.
const FEWEST_ROWS: usize = 20;
const ONE_ROW_IN: usize = 200;

/// One column as the model knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    pub name: String,
    pub values: Values,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Values {
    Numeric {
        /// The median of the training rows, which stands for a missing value.
        fill: f64,
        /// Training had enough missing values for being missing to count as a feature too.
        tell_missing: bool,
    },
    Categorical {
        /// The categories with a place of their own, in the order of their text.
        levels: Vec<String>,
        /// Missing has a place of its own; otherwise it is `other`, as every category is that is not in `levels`.
        tell_missing: bool,
    },
}

/// A column without gaps.
#[derive(Debug, Clone, PartialEq)]
pub enum Complete {
    Numeric {
        values: Vec<f64>,
        /// Which values were filled in.
        missing: Vec<bool>,
    },
    /// Places below [`Feature::places`].
    Places(Vec<u32>),
}

impl Feature {
    /// What can be learned from a column; `None` where nothing can: it has no values, or all rows look the same.
    pub fn fit(name: &str, column: &Column) -> Option<Feature> {
        let fewest = (column.len() / ONE_ROW_IN).clamp(2, FEWEST_ROWS);
        let values = match column {
            Column::Numeric(values) => numeric(values, fewest),
            Column::Categorical(values) => categorical(values, fewest),
        }?;
        Some(Feature {
            name: name.to_owned(),
            values,
        })
    }

    /// Places of a categorical column: its levels, then missing if that has one, then `other`. 0 for numbers.
    pub fn places(&self) -> usize {
        match &self.values {
            Values::Numeric { .. } => 0,
            Values::Categorical {
                levels,
                tell_missing,
            } => levels.len() + usize::from(*tell_missing) + 1,
        }
    }

    /// The table's column of this name without its gaps. A column that the table lacks is missing in every row.
    ///
    /// # Errors
    /// The table's column is of another kind.
    pub fn complete(&self, table: &Table) -> Result<Complete, LearnError> {
        match (&self.values, table.column(&self.name)) {
            (Values::Numeric { fill, .. }, None) => Ok(Complete::Numeric {
                values: vec![*fill; table.rows()],
                missing: vec![true; table.rows()],
            }),
            (Values::Numeric { fill, .. }, Some(Column::Numeric(values))) => {
                let missing: Vec<bool> = values.iter().map(|value| !usable(*value)).collect();
                let filled = values.iter().zip(&missing);
                Ok(Complete::Numeric {
                    values: filled
                        .map(|(&value, &gone)| if gone { *fill } else { value })
                        .collect(),
                    missing,
                })
            }
            (Values::Categorical { .. }, None) => {
                Ok(Complete::Places(vec![self.place(None); table.rows()]))
            }
            (Values::Categorical { .. }, Some(Column::Categorical(values))) => {
                Ok(Complete::Places(
                    values
                        .iter()
                        .map(|value| self.place(value.as_deref()))
                        .collect(),
                ))
            }
            (values, Some(column)) => Err(LearnError::ColumnKind {
                column: self.name.clone(),
                is: column.kind(),
                fitted: match values {
                    Values::Numeric { .. } => "numeric",
                    Values::Categorical { .. } => "categorical",
                },
            }),
        }
    }

    fn place(&self, category: Option<&str>) -> u32 {
        let Values::Categorical {
            levels,
            tell_missing,
        } = &self.values
        else {
            return 0;
        };
        let other = levels.len() + usize::from(*tell_missing);
        let place = match category {
            None if *tell_missing => levels.len(),
            None => other,
            Some(text) => levels
                .binary_search_by(|level| level.as_str().cmp(text))
                .unwrap_or(other),
        };
        place as u32
    }

    /// Whether what was read from a file can be used: finite, sorted, named.
    pub(super) fn is_sound(&self) -> bool {
        match &self.values {
            Values::Numeric { fill, .. } => usable(*fill),
            Values::Categorical { levels, .. } => {
                levels.len() <= MOST_LEVELS && levels.is_sorted_by(|a, b| a < b)
            }
        }
    }
}

/// What can be learned from the columns of a table, in the table's order.
///
/// # Errors
/// No column holds two different values.
pub fn fit_all(table: &Table) -> Result<Vec<Feature>, LearnError> {
    let columns = table.names.iter().zip(&table.columns);
    let features: Vec<Feature> = columns
        .filter_map(|(name, column)| Feature::fit(name, column))
        .collect();
    if features.is_empty() {
        return Err(LearnError::NothingVaries);
    }
    Ok(features)
}

fn numeric(values: &[f64], fewest: usize) -> Option<Values> {
    let mut present: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| usable(*value))
        .collect();
    let missing = values.len() - present.len();
    present.sort_unstable_by(f64::total_cmp);
    let (first, last) = (*present.first()?, *present.last()?);
    let tell_missing = missing >= fewest;
    if first == last && !tell_missing {
        return None;
    }
    let middle = present.len() / 2;
    let fill = if present.len() % 2 == 1 {
        present[middle]
    } else {
        present[middle - 1] / 2.0 + present[middle] / 2.0
    };
    Some(Values::Numeric { fill, tell_missing })
}

fn categorical(values: &[Option<String>], fewest: usize) -> Option<Values> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for category in values.iter().flatten() {
        *counts.entry(category).or_default() += 1;
    }
    let missing = values.iter().filter(|value| value.is_none()).count();
    let mut kept: Vec<(&str, usize)> = counts
        .into_iter()
        .filter(|(_, rows)| *rows >= fewest)
        .collect();
    // Stable: equally frequent ones stay in the order of their text.
    kept.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    kept.truncate(MOST_LEVELS);
    kept.sort_unstable();
    let tell_missing = missing >= fewest;
    let told_apart: usize =
        kept.iter().map(|(_, rows)| rows).sum::<usize>() + if tell_missing { missing } else { 0 };
    let groups = kept.len() + usize::from(tell_missing) + usize::from(told_apart < values.len());
    (groups >= 2).then(|| Values::Categorical {
        levels: kept
            .into_iter()
            .map(|(level, _)| level.to_owned())
            .collect(),
        tell_missing,
    })
}

#[cfg(test)]
#[path = "feature_tests.rs"]
mod tests;
