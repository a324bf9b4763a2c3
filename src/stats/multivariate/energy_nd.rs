//! Energy distance in any number of dimensions: 2·E‖X − Y‖ − E‖X − X′‖ − E‖Y − Y′‖.
//!
//! 0 only where the distributions are the same; in the square of nothing but the columns' own unit, so columns of
//! different units want standardising first. It is MMD² with the kernel −‖x − y‖ and needs no bandwidth.
//!
//! Source: Székely and Rizzo, *Energy statistics: a class of statistics based on distances* (2013); the V-statistic is
//! `dcor.energy_distance`.

use super::labels::Labels;
use super::matrix::comparable;
use super::pair_sums::{PairSums, pair_sums, relabelled};
use super::permutation::Permuted;
use super::{Kernel, Matrix, MultivariateError};

/// The energy distance of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Energy {
    /// Each row is also paired with itself, as in dcor: never below 0, and above 0 by chance.
    pub v_statistic: f64,
    /// Pairs of different rows only: 0 on average where nothing differs. `None` with one row on a side.
    pub u_statistic: Option<f64>,
    /// The V-statistic over 2·E‖X − Y‖: in [0, 1] and without a unit (Székely and Rizzo's coefficient H). 0 where all
    /// rows are equal.
    pub coefficient: f64,
}

/// The energy distance, in O(rows²·columns) time and O(rows·columns) memory.
///
/// # Errors
/// Different columns, or a side without rows.
///
/// ```
/// use driftline::stats::multivariate::{Matrix, energy_nd::energy_distance};
/// let x = Matrix::new(1, vec![0.0, 2.0]).expect("rows");
/// let y = Matrix::new(1, vec![5.0]).expect("a row");
/// let found = energy_distance(&x, &y).expect("one column each");
/// // 2·4 − 1 − 0, of 8.
/// assert_eq!((found.v_statistic, found.coefficient), (7.0, 0.875));
/// ```
pub fn energy_distance(reference: &Matrix, current: &Matrix) -> Result<Energy, MultivariateError> {
    comparable(reference, current, 1)?;
    let sums = pair_sums(reference, current, Kernel::Distance)?;
    Ok(from_sums(&sums))
}

/// The energy distance from sums of distances; 0 where a side is empty.
pub fn from_sums(sums: &PairSums) -> Energy {
    // −(E‖X − X′‖ + E‖Y − Y′‖ − 2·E‖X − Y‖); below 0 by rounding only.
    let v_statistic = sums.v_statistic().map_or(0.0, |value| (-value).max(0.0));
    let across = 2.0 * (sums.xy / (sums.n.max(1) as f64) / (sums.m.max(1) as f64));
    Energy {
        v_statistic,
        u_statistic: sums.u_statistic().map(|value| -value),
        coefficient: if across > 0.0 {
            (v_statistic / across).min(1.0)
        } else {
            0.0
        },
    }
}

/// The V-statistic with its p-value under permuted labels; see [`super::mmd::permutation_test`].
///
/// # Errors
/// Different columns, a side without rows, or labels for other rows.
///
/// ```
/// use driftline::stats::multivariate::{Labels, Matrix, energy_nd};
/// let reference = Matrix::new(1, (0..40).map(|k| f64::from(k % 10)).collect()).expect("rows");
/// let moved = Matrix::new(1, (0..40).map(|k| f64::from(k % 10) + 4.0).collect()).expect("rows");
/// let labels = Labels::of_rows(40, 40, 199, 1).expect("rows");
/// let found = energy_nd::permutation_test(&reference, &moved, &labels).expect("one column each");
/// assert_eq!(found.p_value, 1.0 / 200.0);
/// ```
pub fn permutation_test(
    reference: &Matrix,
    current: &Matrix,
    labels: &Labels,
) -> Result<Permuted, MultivariateError> {
    comparable(reference, current, 1)?;
    let sums = relabelled(reference, current, Kernel::Distance, labels)?;
    let rows = (reference.rows() + current.rows()) as f64;
    let values: Vec<f64> = sums
        .iter()
        .map(|sums| from_sums(sums).v_statistic)
        .collect();
    let scale = sums.first().map_or(0.0, |sums| {
        (sums.xx / rows + sums.yy / rows + sums.xy / rows) / rows
    });
    Ok(Permuted::of(&values, scale))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{normal_rows, shifted_rows};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn on_one_axis_it_is_twice_the_squared_difference_of_distribution_functions() {
        // ∫ (F − G)² over 0, 1, 4 against 2, 3: pieces of width 1 with gaps 1/3, 2/3, 1/6, 1/3.
        let x = Matrix::new(1, vec![0.0, 1.0, 4.0]).expect("rows");
        let y = Matrix::new(1, vec![2.0, 3.0]).expect("rows");
        let expected = 2.0 * (1.0 / 9.0 + 4.0 / 9.0 + 1.0 / 36.0 + 1.0 / 9.0);
        let found = energy_distance(&x, &y).expect("a column each").v_statistic;
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
    }

    #[test]
    fn the_level_holds_and_a_shift_is_found() {
        let mut rejected = 0;
        for seed in 0..400 {
            let labels = Labels::of_rows(30, 30, 99, seed).expect("rows");
            let (x, y) = (
                normal_rows(30, 3, 2 * seed),
                normal_rows(30, 3, 2 * seed + 1),
            );
            rejected +=
                usize::from(permutation_test(&x, &y, &labels).expect("columns").p_value <= 0.05);
        }
        // 20 expected, with a standard deviation of 4.4.
        assert!((7..=34).contains(&rejected), "{rejected}");
        let labels = Labels::of_rows(100, 100, 99, 1).expect("rows");
        let moved = shifted_rows(100, 3, 0.5, 9);
        assert_eq!(
            permutation_test(&normal_rows(100, 3, 8), &moved, &labels)
                .expect("columns")
                .p_value,
            0.01
        );
    }

    proptest! {
        #[test]
        fn every_sample_has_an_energy_in_its_range(
            x in proptest::collection::vec(prop_oneof![-5.0..5.0, Just(1e100), Just(0.0)], 1..20),
            y in proptest::collection::vec(prop_oneof![-5.0..5.0, Just(-1e100), Just(0.0)], 1..20),
        ) {
            let (x, y) = (Matrix::new(1, x).expect("a column"), Matrix::new(1, y).expect("a column"));
            let found = energy_distance(&x, &y).expect("rows");
            prop_assert!(found.v_statistic.is_finite() && found.v_statistic >= 0.0);
            prop_assert!((0.0..=1.0).contains(&found.coefficient));
            prop_assert!(found.u_statistic.is_none_or(f64::is_finite));
            let other = energy_distance(&y, &x).expect("rows");
            prop_assert!((found.coefficient - other.coefficient).abs() < 1e-12);
            prop_assert!(energy_distance(&x, &x).expect("rows").coefficient < 1e-12);
        }
    }
}
