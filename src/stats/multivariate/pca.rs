//! PCA reconstruction error: how well current rows fit the directions in which the reference varied.
//!
//! The reference is standardised column by column and its main directions are kept. A row is projected on them, put
//! back, and its distance from itself is its error. Errors grow when columns stop moving together as they did, also
//! where each column alone looks the same; a change along the kept directions leaves them as they are.
//!
//! Source: scikit-learn's `StandardScaler` and `PCA`; as a drift statistic: NannyML's data reconstruction.

use super::eigen;
use super::matrix::comparable;
use super::{Matrix, MultivariateError};

/// How many directions are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Components {
    /// So many, from 1 up to the smaller of rows and columns.
    Count(usize),
    /// The fewest whose shares of the variance sum to more than this, in (0, 1); all where none do. NannyML's default
    /// is 0.65.
    Share(f64),
}

/// Directions of a reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    means: Vec<f64>,
    /// Standard deviations with n in the denominator; 1 for a column that did not vary, as scikit-learn has it, so
    /// such a column's error is how far it moved in its own unit.
    deviations: Vec<f64>,
    directions: Vec<Vec<f64>>,
    shares: Vec<f64>,
}

/// Reconstruction errors of a chunk, in reference standard deviations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reconstruction {
    /// Mean over rows of ‖row − reconstruction‖: NannyML's value.
    pub mean_euclidean: f64,
    /// Mean over rows and columns of the squared difference.
    pub mean_squared: f64,
    /// Standard error of `mean_euclidean` for independent rows; 0 for a single row.
    pub standard_error: f64,
    pub rows: usize,
}

impl Pca {
    /// # Errors
    /// Fewer than two rows, more components than rows or columns, none, or a share outside (0, 1).
    ///
    /// ```
    /// use driftline::stats::multivariate::{Matrix, pca::{Components, Pca}};
    /// // Two columns that move together: one direction holds everything.
    /// let reference = Matrix::new(2, vec![0.0, 0.0, 1.0, 2.0, 2.0, 4.0, 3.0, 6.0]).expect("rows");
    /// let fitted = Pca::fit(&reference, Components::Count(1)).expect("four rows");
    /// assert!((fitted.explained_shares()[0] - 1.0).abs() < 1e-12);
    /// assert!(fitted.score(&reference).expect("rows").mean_euclidean < 1e-12);
    /// // One deviation up here and one down there: √2 from every row on the line.
    /// let deviation = 1.25_f64.sqrt();
    /// let against = Matrix::new(2, vec![1.5 + deviation, 3.0 - 2.0 * deviation]).expect("a row");
    /// let found = fitted.score(&against).expect("rows");
    /// assert!((found.mean_euclidean - 2.0_f64.sqrt()).abs() < 1e-12 && (found.mean_squared - 1.0).abs() < 1e-12);
    /// ```
    pub fn fit(reference: &Matrix, components: Components) -> Result<Self, MultivariateError> {
        comparable(reference, reference, 2)?;
        let most = reference.rows().min(reference.columns());
        match components {
            Components::Count(count) if count == 0 || count > most => {
                return Err(MultivariateError::parameter(
                    "components",
                    count,
                    "at least 1 and at most the smaller of rows and columns",
                ));
            }
            Components::Share(share) if !(share > 0.0 && share < 1.0) => {
                return Err(MultivariateError::parameter(
                    "explained share",
                    share,
                    "a share between 0 and 1",
                ));
            }
            _ => {}
        }
        let (means, deviations) = standard(reference);
        let columns = reference.columns();
        let mut covariance = vec![vec![0.0; columns]; columns];
        let mut scaled = vec![0.0; columns];
        for row in reference.each_row() {
            scale(row, &means, &deviations, &mut scaled);
            for (sums, a) in covariance.iter_mut().zip(&scaled) {
                for (sum, b) in sums.iter_mut().zip(&scaled) {
                    *sum += a * b;
                }
            }
        }
        let found = eigen::symmetric(covariance);
        // Of a sum of squares none is below 0 but by rounding.
        let variances: Vec<f64> = found.values.iter().map(|value| value.max(0.0)).collect();
        let all: f64 = variances.iter().sum();
        let share = |variance: f64| if all > 0.0 { variance / all } else { 0.0 };
        let kept = match components {
            Components::Count(count) => count,
            Components::Share(wanted) => {
                let mut reached = 0.0;
                let enough = variances.iter().position(|&variance| {
                    reached += share(variance);
                    reached > wanted
                });
                enough.map_or(most, |place| (place + 1).min(most))
            }
        };
        Ok(Self {
            means,
            deviations,
            directions: found.vectors.into_iter().take(kept).collect(),
            shares: variances.into_iter().take(kept).map(share).collect(),
        })
    }

    /// Directions that were kept.
    pub fn components(&self) -> usize {
        self.directions.len()
    }

    /// The share of the variance along each kept direction, largest first.
    pub fn explained_shares(&self) -> &[f64] {
        &self.shares
    }

    /// The errors of a chunk's rows.
    ///
    /// # Errors
    /// Other columns than the reference's, or no rows.
    pub fn score(&self, chunk: &Matrix) -> Result<Reconstruction, MultivariateError> {
        let columns = self.means.len();
        if chunk.columns() != columns {
            return Err(MultivariateError::Widths {
                reference: columns,
                current: chunk.columns(),
            });
        }
        if chunk.rows() == 0 {
            return Err(MultivariateError::TooFewRows {
                side: "current",
                rows: 0,
                needs: 1,
            });
        }
        let rows = chunk.rows() as f64;
        let mut scaled = vec![0.0; columns];
        let mut rest = vec![0.0; columns];
        let (mut mean, mut squares, mut mean_squared) = (0.0, 0.0, 0.0);
        for (before, row) in chunk.each_row().enumerate() {
            scale(row, &self.means, &self.deviations, &mut scaled);
            rest.copy_from_slice(&scaled);
            for direction in &self.directions {
                let along: f64 = direction.iter().zip(&scaled).map(|(a, b)| a * b).sum();
                for (rest, part) in rest.iter_mut().zip(direction) {
                    *rest -= along * part;
                }
            }
            // Halved exponents: a row of far values has an error whose square is no number. Such an error is cut.
            let squared: f64 = rest
                .iter()
                .map(|rest| rest * rest)
                .sum::<f64>()
                .min(FARTHEST);
            let error = squared.sqrt();
            mean_squared += squared / columns as f64 / rows;
            // Welford's recurrence: no cancellation for errors that are nearly equal.
            let from_mean = error - mean;
            mean += from_mean / (before as f64 + 1.0);
            squares += from_mean * (error - mean);
        }
        let standard_error = if rows > 1.0 {
            (squares.max(0.0) / (rows - 1.0) / rows).sqrt()
        } else {
            0.0
        };
        Ok(Reconstruction {
            mean_euclidean: mean,
            mean_squared,
            standard_error,
            rows: chunk.rows(),
        })
    }
}

/// The largest squared error that is counted; sums of it over any chunk stay finite.
const FARTHEST: f64 = 1e280;

/// Means, and standard deviations with n in the denominator; 1 where that is 0.
fn standard(sample: &Matrix) -> (Vec<f64>, Vec<f64>) {
    let rows = sample.rows() as f64;
    let columns = 0..sample.columns();
    columns
        .map(|column| {
            let values = || sample.each_row().map(|row| row[column]);
            let first = values().next().unwrap_or(0.0);
            // From the first value on: a constant column has itself as mean, exactly.
            let mean = first + values().map(|value| value - first).sum::<f64>() / rows;
            let variance = values()
                .map(|value| (value - mean) * (value - mean))
                .sum::<f64>()
                / rows;
            let deviation = variance.sqrt();
            (mean, if deviation > 0.0 { deviation } else { 1.0 })
        })
        .unzip()
}

fn scale(row: &[f64], means: &[f64], deviations: &[f64], scaled: &mut [f64]) {
    let standards = means.iter().zip(deviations);
    for ((scaled, value), (mean, deviation)) in scaled.iter_mut().zip(row).zip(standards) {
        // A value far from a column that hardly varied: its square, and that times other columns', stay numbers.
        *scaled = ((value - mean) / deviation).clamp(-FARTHEST_SCALED, FARTHEST_SCALED);
    }
}

/// Standard deviations at which a value is cut off; no double of this size has a digit left for the others' share.
const FARTHEST_SCALED: f64 = 1e120;

#[cfg(test)]
#[path = "pca_tests.rs"]
mod tests;
