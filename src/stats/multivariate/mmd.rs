//! Maximum mean discrepancy: how far two samples' means lie apart in the space of an RBF kernel.
//!
//! MMD² = E k(x, x′) + E k(y, y′) − 2·E k(x, y): 0 only where the distributions are the same, and in [0, 2]. It sees
//! changes of shape and of dependence as well as of location, and needs no bins and no model.
//!
//! Source: Gretton, Borgwardt, Rasch, Schölkopf and Smola, *A Kernel Two-Sample Test*, JMLR 13 (2012), equations 3
//! and 5. Deliberately absent: the fast and the parallel form (see `compute`), whose definition this is.

use super::labels::Labels;
use super::matrix::comparable;
use super::pair_sums::{PairSums, pair_sums, relabelled};
use super::permutation::Permuted;
use super::{Kernel, Matrix, MultivariateError};

/// The biased estimate from kernel sums, a V-statistic: in [0, 2], and above 0 by about (1/n + 1/m)·(1 − E k) where
/// nothing differs. `None` where a side is empty.
///
/// ```
/// use driftline::stats::multivariate::{Kernel, Matrix, mmd, pair_sums::pair_sums};
/// let x = Matrix::new(1, vec![0.0, 1.0]).expect("rows");
/// let y = Matrix::new(1, vec![0.0, 1.0]).expect("rows");
/// let sums = pair_sums(&x, &y, Kernel::sigma(1.0).expect("above 0")).expect("one column each");
/// assert!(mmd::biased(&sums).expect("rows") < 1e-15);
/// // (e^−½ + e^−½) − (1 + e^−½) = e^−½ − 1
/// assert!((mmd::unbiased(&sums).expect("rows") - ((-0.5_f64).exp() - 1.0)).abs() < 1e-15);
/// ```
pub fn biased(sums: &PairSums) -> Option<f64> {
    // A squared length; below 0 by rounding only.
    sums.v_statistic().map(|value| value.max(0.0))
}

/// The unbiased estimate from kernel sums, a U-statistic: 0 on average where nothing differs, so it can lie below 0.
/// `None` where a side has fewer than two rows.
pub fn unbiased(sums: &PairSums) -> Option<f64> {
    sums.u_statistic()
}

/// Both estimates of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mmd {
    pub biased: f64,
    pub unbiased: f64,
}

/// MMD² of two samples, in O(rows²·columns) time and O(rows·columns) memory.
///
/// # Errors
/// Different columns, or fewer than two rows a side.
///
/// ```
/// use driftline::stats::multivariate::{Kernel, Matrix, mmd::mmd2};
/// let x = Matrix::new(1, vec![0.0, 1.0]).expect("rows");
/// let y = Matrix::new(1, vec![50.0, 51.0]).expect("rows");
/// let found = mmd2(&x, &y, Kernel::sigma(1.0).expect("above 0")).expect("two rows a side");
/// // Nothing across: 2·(1 + e^−½)/2 and 2·e^−½.
/// assert!((found.biased - 1.606_530_659_712_633).abs() < 1e-15);
/// assert!((found.unbiased - 1.213_061_319_425_267).abs() < 1e-15);
/// ```
pub fn mmd2(
    reference: &Matrix,
    current: &Matrix,
    kernel: Kernel,
) -> Result<Mmd, MultivariateError> {
    comparable(reference, current, 2)?;
    let sums = pair_sums(reference, current, kernel)?;
    Ok(Mmd {
        biased: biased(&sums).unwrap_or(0.0),
        unbiased: unbiased(&sums).unwrap_or(0.0),
    })
}

/// The unbiased MMD² with its p-value under permuted labels. Blocks that hold fewer than two rows in a labelling
/// count as a value of 0.
///
/// # Errors
/// Different columns, fewer than two rows a side, or labels for other rows.
///
/// ```
/// use driftline::stats::multivariate::{Kernel, Labels, Matrix, mmd};
/// let reference = Matrix::new(1, (0..40).map(|k| f64::from(k % 10)).collect()).expect("rows");
/// let same = Matrix::new(1, (0..40).map(|k| f64::from(k % 8)).collect()).expect("rows");
/// let moved = Matrix::new(1, (0..40).map(|k| f64::from(k % 10) + 4.0).collect()).expect("rows");
/// let labels = Labels::of_rows(40, 40, 199, 1).expect("rows");
/// let kernel = Kernel::sigma(3.0).expect("above 0");
/// let p = |current| mmd::permutation_test(&reference, current, kernel, &labels).expect("a column each").p_value;
/// assert!(p(&same) > 0.05);
/// assert_eq!(p(&moved), 1.0 / 200.0);
/// ```
pub fn permutation_test(
    reference: &Matrix,
    current: &Matrix,
    kernel: Kernel,
    labels: &Labels,
) -> Result<Permuted, MultivariateError> {
    comparable(reference, current, 2)?;
    let sums = relabelled(reference, current, kernel, labels)?;
    let values: Vec<f64> = sums
        .iter()
        .map(|sums| unbiased(sums).unwrap_or(0.0))
        .collect();
    Ok(Permuted::of(&values, kernel.diagonal()))
}

#[cfg(test)]
#[path = "mmd_tests.rs"]
mod tests;
