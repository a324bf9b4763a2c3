//! Statistics of all pairs of rows, with their permutations, on the backend that is faster or asked for.
//!
//! Rows are compared in `f32`, near their middle and in units of the kernel's width (see `compute::points`); rows that have
//! too many columns for that are compared in `f64`, by the definition.

use crate::compute::backend::{Backend, Compute};
use crate::compute::labels::Labels;
use crate::compute::pair_sums::PairSums;
use crate::compute::points::Points;
use crate::compute::{pairwise_distance, rbf_mmd};
use crate::stats::multivariate::{
    Kernel, Labels as Exchanges, Matrix, MultivariateError, Permuted, energy_nd, mmd,
};

/// How labels are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Drawn {
    pub permutations: usize,
    pub seed: u64,
}

/// The unbiased MMD² with a kernel of width `sigma`.
pub fn mmd(
    compute: &Compute,
    [a, b]: [&Matrix; 2],
    sigma: f64,
    drawn: Drawn,
) -> Result<(Permuted, Backend), MultivariateError> {
    let points = rbf_mmd::points(a.values(), b.values(), a.columns(), sigma);
    let found = points.and_then(|points| {
        let (sums, backend) = compute.rbf_mmd(&points, &labels(&points, drawn))?;
        permuted(&sums, PairSums::mmd2_unbiased, backend)
    });
    match found {
        Some(found) => Ok(found),
        None => {
            let kernel = Kernel::sigma(sigma)?;
            let found = mmd::permutation_test(a, b, kernel, &exchanges(a, b, drawn)?)?;
            Ok((found, Backend::Cpu))
        }
    }
}

/// The energy distance, each row's distance to itself included; and without them, which is 0 on average where nothing
/// differs.
pub fn energy(
    compute: &Compute,
    [a, b]: [&Matrix; 2],
    drawn: Drawn,
) -> Result<(Permuted, f64, Backend), MultivariateError> {
    let points = pairwise_distance::points(a.values(), b.values(), a.columns());
    let found = points.and_then(|points| {
        let (sums, backend) = compute.pairwise_distance(&points, &labels(&points, drawn))?;
        let unbiased = sums.first()?.energy_unbiased()?;
        let (permuted, backend) = permuted(&sums, PairSums::energy, backend)?;
        Some((permuted, unbiased, backend))
    });
    match found {
        Some(found) => Ok(found),
        None => {
            let found = energy_nd::permutation_test(a, b, &exchanges(a, b, drawn)?)?;
            let unbiased = energy_nd::energy_distance(a, b)?.u_statistic.unwrap_or(0.0);
            Ok((found, unbiased, Backend::Cpu))
        }
    }
}

fn labels(points: &Points, drawn: Drawn) -> Labels {
    Labels::of_rows(
        points.first(),
        points.second(),
        drawn.permutations,
        drawn.seed,
    )
}

fn exchanges(a: &Matrix, b: &Matrix, drawn: Drawn) -> Result<Exchanges, MultivariateError> {
    Exchanges::of_rows(a.rows(), b.rows(), drawn.permutations, drawn.seed)
}

/// Sums are the same whatever order their pairs are added in, so that equal labellings are equal.
fn permuted(
    sums: &[PairSums],
    value: fn(&PairSums) -> Option<f64>,
    backend: Backend,
) -> Option<(Permuted, Backend)> {
    let values: Option<Vec<f64>> = sums.iter().map(value).collect();
    Some((Permuted::of(&values?, 0.0), backend))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::backend::Choice;

    fn rows(count: u32, columns: usize, shift: f64) -> Matrix {
        let number = |at: u32| f64::from(at * 7_919 % 1_009) / 1_009.0 + 1e6 + shift;
        Matrix::new(columns, (0..count * columns as u32).map(number).collect()).expect("rows")
    }

    #[test]
    fn what_is_fast_is_what_is_defined() {
        let compute = Compute::new(Choice::Cpu);
        let (a, b) = (rows(60, 3, 0.0), rows(50, 3, 0.2));
        let drawn = Drawn {
            permutations: 199,
            seed: 3,
        };
        let (fast, _) = mmd(&compute, [&a, &b], 0.4, drawn).expect("rows");
        let kernel = Kernel::sigma(0.4).expect("a width");
        let exact = mmd::mmd2(&a, &b, kernel).expect("rows").unbiased;
        assert!((fast.value - exact).abs() < 2e-6, "{} {exact}", fast.value);
        assert_eq!((fast.p_value, fast.draws), (1.0 / 200.0, 199));
        let (fast, unbiased, _) = energy(&compute, [&a, &b], drawn).expect("rows");
        let exact = energy_nd::energy_distance(&a, &b).expect("rows");
        assert!((fast.value - exact.v_statistic).abs() < 2e-6);
        assert!((unbiased - exact.u_statistic.expect("rows")).abs() < 2e-6);
        assert_eq!(fast.p_value, 1.0 / 200.0);
    }

    #[test]
    fn rows_with_more_columns_than_points_have_are_compared_too() {
        let (a, b) = (rows(5, 4_097, 0.0), rows(6, 4_097, 1.0));
        let drawn = Drawn {
            permutations: 19,
            seed: 3,
        };
        let (found, backend) =
            mmd(&Compute::new(Choice::Cpu), [&a, &b], 30.0, drawn).expect("rows");
        assert_eq!((backend, found.draws), (Backend::Cpu, 19));
        assert!(found.value > 0.0);
    }
}
