//! A sample of several numeric columns: rows of finite numbers, one after the other.
//!
//! **Invariant:** every value lies within ±[`LARGEST`], so that squared distances and their sums over any sample stay
//! finite. A row with a value that does not is refused, or left out and counted; never changed. Missing values are
//! counted and compared column by column elsewhere: these statistics see complete rows only.

use super::MultivariateError;

pub use crate::learn::feature::LARGEST;

/// What is done with a row that holds a NaN, an infinity or a number beyond [`LARGEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// The first such row is an error.
    Refuse,
    /// The whole row is left out and counted.
    LeaveOut,
}

/// A matrix, and the rows that did not get into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub matrix: Matrix,
    pub left_out: usize,
}

/// Rows of finite numbers, row-major. There may be no rows, but there is a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of `columns` columns from row-major values, all of which must be usable.
    ///
    /// # Errors
    /// No columns, a last row that is not full, or a value that is NaN, infinite or beyond [`LARGEST`].
    ///
    /// ```
    /// use driftline::stats::multivariate::Matrix;
    /// let matrix = Matrix::new(2, vec![1.0, 2.0, 3.0, 4.0]).expect("two rows");
    /// assert_eq!((matrix.rows(), matrix.row(1)), (2, &[3.0, 4.0][..]));
    /// assert!(Matrix::new(2, vec![1.0, f64::NAN]).is_err());
    /// ```
    pub fn new(columns: usize, values: Vec<f64>) -> Result<Self, MultivariateError> {
        Self::of_rows(columns, values, Unusable::Refuse).map(|sample| sample.matrix)
    }

    /// A matrix from row-major values, with what `unusable` says of rows that cannot be used.
    ///
    /// # Errors
    /// No columns, a last row that is not full, or a row that is to be refused.
    ///
    /// ```
    /// use driftline::stats::multivariate::matrix::{Matrix, Unusable};
    /// let values = vec![1.0, 2.0, f64::NAN, 0.0, 5.0, 6.0];
    /// let sample = Matrix::of_rows(2, values, Unusable::LeaveOut).expect("two columns");
    /// assert_eq!((sample.matrix.rows(), sample.left_out), (2, 1));
    /// ```
    pub fn of_rows(
        columns: usize,
        mut values: Vec<f64>,
        unusable: Unusable,
    ) -> Result<Sample, MultivariateError> {
        if columns == 0 {
            return Err(MultivariateError::NoColumns);
        }
        if !values.len().is_multiple_of(columns) {
            return Err(MultivariateError::Ragged {
                values: values.len(),
                columns,
            });
        }
        let before = values.len() / columns;
        // NaN compares with nothing, so it is unusable too.
        let usable = |value: &f64| value.abs() <= LARGEST;
        match unusable {
            Unusable::Refuse => {
                if let Some(place) = values.iter().position(|value| !usable(value)) {
                    return Err(MultivariateError::Unusable {
                        row: place / columns,
                        column: place % columns,
                        value: values[place],
                    });
                }
            }
            Unusable::LeaveOut => {
                let mut kept = 0;
                for row in 0..before {
                    let from = row * columns;
                    if values[from..from + columns].iter().all(usable) {
                        values.copy_within(from..from + columns, kept);
                        kept += columns;
                    }
                }
                values.truncate(kept);
            }
        }
        let rows = values.len() / columns;
        Ok(Sample {
            matrix: Self {
                rows,
                columns,
                values,
            },
            left_out: before - rows,
        })
    }

    /// A matrix from columns of one length.
    ///
    /// # Errors
    /// As [`Matrix::of_rows`]; columns of different lengths are ragged.
    ///
    /// ```
    /// use driftline::stats::multivariate::matrix::{Matrix, Unusable};
    /// let sample = Matrix::of_columns(&[vec![1.0, 3.0], vec![2.0, 4.0]], Unusable::Refuse).expect("two rows");
    /// assert_eq!(sample.matrix.row(0), &[1.0, 2.0]);
    /// ```
    pub fn of_columns(
        columns: &[Vec<f64>],
        unusable: Unusable,
    ) -> Result<Sample, MultivariateError> {
        let rows = columns.first().map_or(0, Vec::len);
        if columns.iter().any(|column| column.len() != rows) {
            return Err(MultivariateError::Ragged {
                values: columns.iter().map(Vec::len).sum(),
                columns: columns.len(),
            });
        }
        let values = (0..rows).flat_map(|row| columns.iter().map(move |column| column[row]));
        Self::of_rows(columns.len(), values.collect(), unusable)
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// # Panics
    /// When `row` is not below [`Matrix::rows`].
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    pub fn each_row(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.columns)
    }

    /// The rows at `places`, in that order; a place may occur more than once.
    ///
    /// # Panics
    /// When a place is not below [`Matrix::rows`].
    pub fn take(&self, places: &[usize]) -> Self {
        Self {
            rows: places.len(),
            columns: self.columns,
            values: places
                .iter()
                .flat_map(|&row| self.row(row))
                .copied()
                .collect(),
        }
    }

    /// These rows, then the other's.
    ///
    /// # Errors
    /// The two have different numbers of columns.
    pub fn stacked(&self, other: &Self) -> Result<Self, MultivariateError> {
        self.same_columns(other)?;
        Ok(Self {
            rows: self.rows + other.rows,
            columns: self.columns,
            values: [self.values.as_slice(), &other.values].concat(),
        })
    }

    pub(super) fn same_columns(&self, other: &Self) -> Result<(), MultivariateError> {
        if self.columns == other.columns {
            return Ok(());
        }
        Err(MultivariateError::Widths {
            reference: self.columns,
            current: other.columns,
        })
    }
}

/// Both samples have the columns in common and at least `needs` rows each.
pub(super) fn comparable(
    reference: &Matrix,
    current: &Matrix,
    needs: usize,
) -> Result<(), MultivariateError> {
    reference.same_columns(current)?;
    for (side, sample) in [("reference", reference), ("current", current)] {
        if sample.rows < needs {
            return Err(MultivariateError::TooFewRows {
                side,
                rows: sample.rows,
                needs,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named_or_counted() {
        assert_eq!(Matrix::new(0, vec![]), Err(MultivariateError::NoColumns));
        assert_eq!(
            Matrix::new(2, vec![1.0; 3]),
            Err(MultivariateError::Ragged {
                values: 3,
                columns: 2
            })
        );
        for bad in [f64::INFINITY, f64::NEG_INFINITY, 1e101] {
            assert_eq!(
                Matrix::new(2, vec![1.0, 2.0, 3.0, bad]),
                Err(MultivariateError::Unusable {
                    row: 1,
                    column: 1,
                    value: bad
                })
            );
            let sample = Matrix::of_rows(2, vec![bad, 2.0, 3.0, 4.0, 5.0, bad], Unusable::LeaveOut)
                .expect("full rows");
            assert_eq!(
                (sample.matrix.values(), sample.left_out),
                (&[3.0, 4.0][..], 2)
            );
        }
        let none = Matrix::new(3, vec![]).expect("no rows");
        assert_eq!((none.rows(), none.each_row().count()), (0, 0));
        let ragged = Matrix::of_columns(&[vec![1.0], vec![]], Unusable::Refuse);
        assert!(matches!(ragged, Err(MultivariateError::Ragged { .. })));
    }
}
