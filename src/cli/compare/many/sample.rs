//! Some rows of many columns, the same ones for the same files.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::learn::{Column, Table};
use crate::query::{ColumnRows, TextRows};
use crate::stats::multivariate::matrix::Unusable;
use crate::stats::multivariate::{Matrix, MultivariateError};

/// Both samples' chosen rows.
pub struct Sampled<'a> {
    pub names: &'a [&'a str],
    reference: Side<'a>,
    current: Side<'a>,
}

struct Side<'a> {
    columns: &'a [ColumnRows],
    /// Places of the chosen rows, ascending.
    places: Vec<usize>,
}

/// Numeric columns of both samples, one beside the other.
pub struct Numbers {
    pub names: Vec<String>,
    pub reference: Vec<Vec<f64>>,
    pub current: Vec<Vec<f64>>,
}

/// Complete rows of both samples.
pub struct Complete {
    pub reference: Matrix,
    pub current: Matrix,
    /// Rows without a usable number in every column.
    pub left_out: usize,
}

impl<'a> Sampled<'a> {
    /// At most `rows` of each side, by hash of their place and the seed.
    pub fn new(
        names: &'a [&'a str],
        reference: &'a [ColumnRows],
        current: &'a [ColumnRows],
        rows: usize,
        seed: u64,
    ) -> Self {
        let side = |columns: &'a [ColumnRows], salt: u64| Side {
            columns,
            places: chosen(
                columns.first().map_or(0, ColumnRows::len),
                rows,
                seed ^ salt,
            ),
        };
        Self {
            names,
            reference: side(reference, 0),
            current: side(current, 1),
        }
    }

    /// The numeric columns; a missing value is NaN.
    pub fn numbers(&self) -> Numbers {
        let of = |side: &Side| -> Vec<Option<Vec<f64>>> {
            side.columns
                .iter()
                .map(|column| match column {
                    ColumnRows::Numbers(rows) => {
                        Some(side.places.iter().map(|&at| rows.values[at]).collect())
                    }
                    ColumnRows::Texts(_) => None,
                })
                .collect()
        };
        let (mut names, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for ((name, a), b) in self
            .names
            .iter()
            .zip(of(&self.reference))
            .zip(of(&self.current))
        {
            if let (Some(a), Some(b)) = (a, b) {
                names.push((*name).to_owned());
                ours.push(a);
                theirs.push(b);
            }
        }
        Numbers {
            names,
            reference: ours,
            current: theirs,
        }
    }

    /// All columns, for a model that takes gaps and categories as they come.
    pub fn tables(&self) -> (Table, Table) {
        let of = |side: &Side| Table {
            names: self.names.iter().map(|name| (*name).to_owned()).collect(),
            columns: side
                .columns
                .iter()
                .map(|column| match column {
                    ColumnRows::Numbers(rows) => {
                        Column::Numeric(side.places.iter().map(|&at| rows.values[at]).collect())
                    }
                    ColumnRows::Texts(rows) => {
                        Column::Categorical(side.places.iter().map(|&at| text(rows, at)).collect())
                    }
                })
                .collect(),
        };
        (of(&self.reference), of(&self.current))
    }
}

impl Numbers {
    /// Brings every column to the reference's mean 0 and deviation 1; a constant one is only centred.
    pub fn standardised(mut self) -> Self {
        for (ours, theirs) in self.reference.iter_mut().zip(&mut self.current) {
            let usable: Vec<f64> = ours.iter().copied().filter(|x| x.is_finite()).collect();
            let Some(spread) = crate::stats::summation::Spread::of(&usable) else {
                continue;
            };
            let deviation = if spread.deviation > 0.0 {
                spread.deviation
            } else {
                1.0
            };
            for value in ours.iter_mut().chain(theirs) {
                *value = (*value - spread.mean) / deviation;
            }
        }
        self
    }

    /// Rows with a usable number in every column.
    pub fn complete(&self) -> Result<Complete, MultivariateError> {
        let of = |columns: &[Vec<f64>]| Matrix::of_columns(columns, Unusable::LeaveOut);
        let (ours, theirs) = (of(&self.reference)?, of(&self.current)?);
        Ok(Complete {
            left_out: ours.left_out + theirs.left_out,
            reference: ours.matrix,
            current: theirs.matrix,
        })
    }
}

/// Places of the `most` rows whose hash is least, ascending.
fn chosen(rows: usize, most: usize, seed: u64) -> Vec<usize> {
    let mut places: Vec<usize> = (0..rows).collect();
    if rows > most {
        let hash = |place: &usize| xxh3_64_with_seed(&(*place as u64).to_le_bytes(), seed);
        places.select_nth_unstable_by_key(most, hash);
        places.truncate(most);
        places.sort_unstable();
    }
    places
}

fn text(rows: &TextRows, at: usize) -> Option<String> {
    rows.names.get(rows.codes[at] as usize).cloned()
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn a_sample_is_as_large_as_asked_and_always_the_same() {
        let places = chosen(1000, 100, 7);
        assert_eq!((places.len(), chosen(1000, 100, 7)), (100, places.clone()));
        assert!(places.is_sorted() && places != chosen(1000, 100, 8));
        assert_eq!(chosen(5, 100, 7), [0, 1, 2, 3, 4]);
    }
}
