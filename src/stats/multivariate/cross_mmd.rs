//! MMD with a p-value from the normal distribution, without permutations: the cross-MMD.
//!
//! Each sample is halved at random. The first halves' difference of means is projected on the second halves', which
//! makes each row of the first halves one number; the two sides' numbers are then compared as by Welch's t. Under no
//! difference the standardised value is standard normal, also as columns grow with rows. It costs one pass over pairs,
//! and about √2 of the shift that the permutation test finds.
//!
//! Source: Shekhar, Kim and Ramdas, *A Permutation-free Kernel Two-Sample Test*, NeurIPS 2022.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::ln_gamma;

use super::matrix::comparable;
use super::shuffle::{generator, shuffle};
use super::{Kernel, Matrix, MultivariateError};

/// Fewest rows a side: two in each half, so that there is a variance.
const FEWEST_ROWS: usize = 4;

/// What the halves say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossMmd {
    /// An unbiased estimate of MMD², so 0 on average where nothing differs.
    pub value: f64,
    pub standard_error: f64,
    /// `value / standard_error`; 0 where both are 0.
    pub z: f64,
    /// P(Z ≥ z), but not below 1 in (n₁+m₁ over n₁), as small as a permutation of the first halves' rows could show.
    pub p_value: f64,
}

/// The cross-MMD of two samples of independent rows, halved by the seed.
///
/// # Errors
/// Different columns, fewer than four rows a side, or a kernel that is not an RBF kernel.
///
/// ```
/// use driftline::stats::multivariate::{Kernel, Matrix, cross_mmd::cross_mmd};
/// let reference = Matrix::new(1, (0..60).map(|k| f64::from(k % 10)).collect()).expect("rows");
/// let moved = Matrix::new(1, (0..60).map(|k| f64::from(k % 10) + 4.0).collect()).expect("rows");
/// let kernel = Kernel::sigma(3.0).expect("above 0");
/// assert!(cross_mmd(&reference, &moved, kernel, 1).expect("rows").p_value < 1e-6);
/// assert!(cross_mmd(&reference, &reference, kernel, 1).expect("rows").p_value > 0.05);
/// ```
pub fn cross_mmd(
    reference: &Matrix,
    current: &Matrix,
    kernel: Kernel,
    seed: u64,
) -> Result<CrossMmd, MultivariateError> {
    comparable(reference, current, FEWEST_ROWS)?;
    if kernel == Kernel::Distance {
        return Err(MultivariateError::parameter(
            "kernel",
            "a distance",
            "an RBF kernel",
        ));
    }
    let mut rng = generator(seed);
    let mut halved = |sample: &Matrix| {
        let mut places: Vec<usize> = (0..sample.rows()).collect();
        shuffle(&mut places, &mut rng);
        let (first, second) = places.split_at(sample.rows() / 2);
        (sample.take(first), sample.take(second))
    };
    let ((x, x_others), (y, y_others)) = (halved(reference), halved(current));
    let project = |sample: &Matrix| -> Vec<f64> {
        let mean = |row: &[f64], others: &Matrix| {
            let sum: f64 = others
                .each_row()
                .map(|other| kernel.of_squared(squared_distance(row, other)))
                .sum();
            sum / others.rows() as f64
        };
        sample
            .each_row()
            .map(|row| mean(row, &x_others) - mean(row, &y_others))
            .collect()
    };
    let ((x_mean, x_error), (y_mean, y_error)) = (moments(&project(&x)), moments(&project(&y)));
    let value = x_mean - y_mean;
    let standard_error = (x_error + y_error).sqrt();
    let z = if standard_error > 0.0 {
        value / standard_error
    } else if value > 0.0 {
        f64::MAX
    } else {
        0.0
    };
    let tail = Normal::new(0.0, 1.0).map_or(0.5, |normal| normal.sf(z));
    Ok(CrossMmd {
        value,
        standard_error,
        z,
        p_value: tail.clamp(least_p(x.rows(), y.rows()), 1.0),
    })
}

/// 1 in (n+m over n): what a permutation test of n and m rows cannot go below.
pub(super) fn least_p(n: usize, m: usize) -> f64 {
    let (n, m) = (n as f64, m as f64);
    (ln_gamma(n + 1.0) + ln_gamma(m + 1.0) - ln_gamma(n + m + 1.0))
        .exp()
        .min(1.0)
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The mean of at least two values and its squared standard error.
fn moments(values: &[f64]) -> (f64, f64) {
    let rows = values.len() as f64;
    let mean = values.iter().sum::<f64>() / rows;
    let squares: f64 = values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .sum();
    (mean, squares / (rows - 1.0) / rows)
}

#[cfg(test)]
mod tests {
    use super::super::kernel::pooled_sigma;
    use super::super::testing::{normal_rows, shifted_rows};
    use super::*;
    use proptest::prelude::*;

    fn found(reference: &Matrix, current: &Matrix, seed: u64) -> CrossMmd {
        let kernel =
            Kernel::sigma(pooled_sigma(reference, current).expect("rows")).expect("a width");
        cross_mmd(reference, current, kernel, seed).expect("rows")
    }

    #[test]
    fn the_normal_level_holds() {
        let rejected = (0..1_000)
            .filter(|&seed| {
                let (x, y) = (
                    normal_rows(60, 8, 2 * seed),
                    normal_rows(60, 8, 2 * seed + 1),
                );
                found(&x, &y, seed).p_value <= 0.05
            })
            .count();
        // 50 expected, with a standard deviation of 6.9; halves of 30 rows are a little off normal.
        assert!((25..=75).contains(&rejected), "{rejected}");
    }

    #[test]
    fn a_shift_is_found() {
        let (x, y) = (normal_rows(600, 8, 1), shifted_rows(600, 8, 0.25, 2));
        let found = found(&x, &y, 1);
        assert!(found.p_value < 1e-6 && found.value > 0.0, "{found:?}");
    }

    #[test]
    fn two_constants_differ_by_no_more_than_their_rows_can_show() {
        let (x, y) = (
            Matrix::new(1, vec![0.0; 8]).expect("rows"),
            Matrix::new(1, vec![9.0; 8]).expect("rows"),
        );
        let kernel = Kernel::sigma(1.0).expect("above 0");
        let apart = cross_mmd(&x, &y, kernel, 1).expect("rows");
        // 4 + 4 over 4 = 70.
        assert!((apart.p_value - 1.0 / 70.0).abs() < 1e-12, "{apart:?}");
        let same = cross_mmd(&x, &x, kernel, 1).expect("rows");
        assert_eq!((same.z, same.p_value), (0.0, 0.5));
    }

    proptest! {
        #[test]
        fn nothing_leaves_the_numbers(
            x in proptest::collection::vec(prop_oneof![-5.0..5.0, Just(1e100), Just(0.0)], 4..20),
            y in proptest::collection::vec(prop_oneof![-5.0..5.0, Just(-1e100), Just(0.0)], 4..20),
            seed: u64,
        ) {
            let (x, y) = (Matrix::new(1, x).expect("a column"), Matrix::new(1, y).expect("a column"));
            let found = found(&x, &y, seed);
            prop_assert!(found.value.is_finite() && found.z.is_finite() && found.standard_error.is_finite());
            prop_assert!(found.p_value > 0.0 && found.p_value <= 1.0);
        }
    }
}
