//! What two rows have to do with each other: an RBF kernel with its bandwidth, or their distance.

use super::pair_sums;
use super::{Matrix, MultivariateError};

/// A symmetric function of two rows through their squared euclidean distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// exp(−gamma·‖x − y‖²), in [0, 1]. With σ: gamma = 1/(2σ²).
    Rbf { gamma: f64 },
    /// ‖x − y‖, of which the energy distance is made.
    Distance,
}

impl Kernel {
    /// # Errors
    /// `gamma` is not a number above 0.
    ///
    /// ```
    /// use driftline::stats::multivariate::Kernel;
    /// let kernel = Kernel::gamma(0.5).expect("above 0");
    /// assert!((kernel.of_squared(2.0) - (-1.0_f64).exp()).abs() < 1e-15);
    /// ```
    pub fn gamma(gamma: f64) -> Result<Self, MultivariateError> {
        if gamma > 0.0 && gamma.is_finite() {
            return Ok(Self::Rbf { gamma });
        }
        Err(MultivariateError::parameter(
            "gamma",
            gamma,
            "a finite number above 0",
        ))
    }

    /// exp(−‖x − y‖²/(2σ²)), as alibi-detect, Frouros and Evidently write it.
    ///
    /// # Errors
    /// `sigma` is not a number above 0, or so small or large that 1/(2σ²) is not one.
    ///
    /// ```
    /// use driftline::stats::multivariate::Kernel;
    /// assert_eq!(Kernel::sigma(1.0).expect("above 0"), Kernel::Rbf { gamma: 0.5 });
    /// ```
    pub fn sigma(sigma: f64) -> Result<Self, MultivariateError> {
        let gamma = 1.0 / (2.0 * sigma * sigma);
        if sigma > 0.0 && gamma > 0.0 && gamma.is_finite() {
            return Ok(Self::Rbf { gamma });
        }
        Err(MultivariateError::parameter(
            "sigma",
            sigma,
            "a finite number above 0 whose square is one too",
        ))
    }

    /// An RBF kernel as wide as `rule` says for the sample.
    ///
    /// # Errors
    /// Fewer than two rows.
    pub fn median(sample: &Matrix, rule: Median) -> Result<Self, MultivariateError> {
        Self::sigma(sigma(sample, rule)?)
    }

    /// The kernel of two rows at this squared distance.
    pub fn of_squared(self, squared: f64) -> f64 {
        match self {
            Self::Rbf { gamma } => (-gamma * squared).exp(),
            Self::Distance => squared.sqrt(),
        }
    }

    /// The kernel of a row and itself.
    pub fn diagonal(self) -> f64 {
        match self {
            Self::Rbf { .. } => 1.0,
            Self::Distance => 0.0,
        }
    }
}

/// The median heuristic, of which there are as many as tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Median {
    /// σ = the median distance of two different rows; the mean of the two middle ones of an even number.
    Distance,
    /// alibi-detect's: σ² = half the median squared distance of two different rows; the lower middle one.
    HalfSquared,
    /// Evidently's: as `HalfSquared`, but each row's distance 0 to itself is among the squared distances, and of an
    /// even number the upper middle one is taken (NumPy's percentile by `nearest`).
    HalfSquaredWithSelf,
}

/// Rows that [`pooled_sigma`] looks at: of more, evenly spaced ones. Eight million pairs put the median within a
/// thousandth of its place.
const MOST_POOLED_ROWS: usize = 4_096;

/// The bandwidth σ by a median heuristic, exact whatever the number of rows: distances are counted by their leading
/// bits and never stored all at once, so memory stays O(rows·columns).
///
/// Where more than half of the pairs are at distance 0, the smallest positive distance that the sample has takes the
/// median's place, and σ is 1 where all rows are equal: any kernel then says the same. Evidently's rule has its own
/// answer to a median of 0, σ² = ½.
///
/// # Errors
/// Fewer than two rows.
///
/// ```
/// use driftline::stats::multivariate::kernel::{Median, sigma};
/// use driftline::stats::multivariate::Matrix;
/// let line = Matrix::new(1, vec![0.0, 1.0, 3.0]).expect("three rows");
/// // Distances 1, 2, 3.
/// assert_eq!(sigma(&line, Median::Distance).expect("rows"), 2.0);
/// assert_eq!(sigma(&line, Median::HalfSquared).expect("rows"), 2.0_f64.sqrt());
/// ```
pub fn sigma(sample: &Matrix, rule: Median) -> Result<f64, MultivariateError> {
    let n = sample.rows() as u64;
    if n < 2 {
        return Err(MultivariateError::TooFewRows {
            side: "given",
            rows: sample.rows(),
            needs: 2,
        });
    }
    let pairs = n * (n - 1) / 2;
    let at = |place: u64| pair_sums::squared_at(sample, place);
    let squared = match rule {
        Median::Distance => {
            let (low, high) = (at((pairs - 1) / 2), at(pairs / 2));
            let middle = low.sqrt() / 2.0 + high.sqrt() / 2.0;
            middle * middle
        }
        Median::HalfSquared => at((pairs - 1) / 2),
        Median::HalfSquaredWithSelf => {
            // n zeros, then every pair twice.
            let entry = |place: u64| {
                if place < n { 0.0 } else { at((place - n) / 2) }
            };
            entry(n * n / 2)
        }
    };
    let squared = match (rule, squared > 0.0) {
        (_, true) => squared,
        // As Evidently has it.
        (Median::HalfSquaredWithSelf, false) => 1.0,
        (Median::Distance, false) => pair_sums::smallest_positive_squared(sample).unwrap_or(1.0),
        (Median::HalfSquared, false) => pair_sums::smallest_positive_squared(sample).unwrap_or(2.0),
    };
    let sigma = match rule {
        Median::Distance => squared.sqrt(),
        Median::HalfSquared | Median::HalfSquaredWithSelf => (squared / 2.0).sqrt(),
    };
    // Distances beyond 1e±150 have no square among the numbers.
    Ok(sigma.clamp(1e-150, 1e150))
}

/// σ for a permutation test: the median distance over both samples together, so that it does not know which row is
/// whose, as an exact test asks. Above [`MOST_POOLED_ROWS`] rows, of that many evenly spaced ones.
///
/// # Errors
/// Different columns, or fewer than two rows in all.
///
/// ```
/// use driftline::stats::multivariate::kernel::pooled_sigma;
/// use driftline::stats::multivariate::Matrix;
/// let reference = Matrix::new(1, vec![0.0, 1.0]).expect("two rows");
/// let current = Matrix::new(1, vec![3.0]).expect("a row");
/// assert_eq!(pooled_sigma(&reference, &current).expect("rows"), 2.0);
/// ```
pub fn pooled_sigma(reference: &Matrix, current: &Matrix) -> Result<f64, MultivariateError> {
    let pooled = reference.stacked(current)?;
    let rows = pooled.rows();
    if rows <= MOST_POOLED_ROWS {
        return sigma(&pooled, Median::Distance);
    }
    let places: Vec<usize> = (0..MOST_POOLED_ROWS)
        .map(|place| place * rows / MOST_POOLED_ROWS)
        .collect();
    sigma(&pooled.take(&places), Median::Distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f64]) -> Matrix {
        Matrix::new(1, values.to_vec()).expect("a column")
    }

    #[test]
    fn medians_by_hand() {
        // Squared distances of 0, 1, 3, 7: 1, 4, 9, 16, 36, 49.
        let four = line(&[0.0, 1.0, 3.0, 7.0]);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(sigma(&four, Median::Distance).expect("rows"), 3.5);
        near(
            sigma(&four, Median::HalfSquared).expect("rows"),
            4.5_f64.sqrt(),
        );
        // 0 ×4, 1 1 4 4 | 9 9 …: the 9th of 16 entries.
        near(
            sigma(&four, Median::HalfSquaredWithSelf).expect("rows"),
            4.5_f64.sqrt(),
        );
    }

    #[test]
    fn ties_and_extremes_give_a_kernel() {
        for rule in [
            Median::Distance,
            Median::HalfSquared,
            Median::HalfSquaredWithSelf,
        ] {
            let least = if rule == Median::HalfSquaredWithSelf {
                0.5_f64.sqrt()
            } else {
                1.0
            };
            assert_eq!(sigma(&line(&[5.0; 4]), rule).expect("rows"), least);
            let tied = sigma(&line(&[5.0, 5.0, 5.0, 5.0, 7.0]), rule).expect("rows");
            assert!(tied >= least && tied <= 2.0, "{tied}");
            for far in [1e100, 1e-200] {
                let wide = line(&[-far, far, 0.0]);
                assert!(Kernel::median(&wide, rule).is_ok());
            }
            assert!(sigma(&line(&[5.0]), rule).is_err());
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-200] {
            assert!(Kernel::sigma(bad).is_err());
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Kernel::gamma(bad).is_err());
        }
    }
}
