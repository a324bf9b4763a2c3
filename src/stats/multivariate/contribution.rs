//! Which columns an MMD comes from.
//!
//! A column's contribution is the unbiased MMD² of all columns less that of all but it, both with the same gamma: above
//! 0 for a column that moved, by itself or in how it goes with others; about 0 or a little below for one that only
//! adds noise to the distances. Contributions do not add up to MMD²: two columns whose correlation changed both carry
//! all of it. They order columns and have no p-value of their own.

use super::matrix::comparable;
use super::mmd::unbiased;
use super::pair_sums::PairSums;
use super::{Kernel, Matrix, MultivariateError};

/// Each column's contribution, in the order of columns, at the cost of one kernel a column for each pair of rows. With a
/// single column it is all of MMD².
///
/// # Errors
/// Different columns, fewer than two rows a side, or a kernel that is not an RBF kernel.
///
/// ```
/// use driftline::stats::multivariate::{Kernel, Matrix, contribution::leave_one_out};
/// // The second column moves, the first does not.
/// let reference = Matrix::new(2, vec![0.0, 0.0, 1.0, 1.0, 2.0, 0.0, 3.0, 1.0]).expect("rows");
/// let current = Matrix::new(2, vec![0.0, 5.0, 1.0, 6.0, 2.0, 5.0, 3.0, 6.0]).expect("rows");
/// let found = leave_one_out(&reference, &current, Kernel::sigma(2.0).expect("above 0")).expect("rows");
/// assert!(found[1] > 0.9 && found[0] < 0.1, "{found:?}");
/// ```
pub fn leave_one_out(
    reference: &Matrix,
    current: &Matrix,
    kernel: Kernel,
) -> Result<Vec<f64>, MultivariateError> {
    comparable(reference, current, 2)?;
    let Kernel::Rbf { .. } = kernel else {
        return Err(MultivariateError::parameter(
            "kernel",
            "a distance",
            "an RBF kernel",
        ));
    };
    let (n, columns) = (reference.rows(), reference.columns());
    let pooled = reference.stacked(current)?;
    let none = PairSums {
        n,
        m: current.rows(),
        xx: 0.0,
        yy: 0.0,
        xy: 0.0,
        diagonal: kernel.diagonal(),
    };
    // The last is of all columns.
    let mut sums = vec![none; columns + 1];
    let mut parts = vec![0.0; columns];
    let mut after = vec![0.0; columns];
    for (i, row) in pooled.each_row().enumerate() {
        for (j, other) in pooled.each_row().enumerate().skip(i + 1) {
            for ((part, a), b) in parts.iter_mut().zip(row).zip(other) {
                *part = (a - b) * (a - b);
            }
            let add = |sums: &mut PairSums, squared: f64| {
                let value = kernel.of_squared(squared);
                match (i < n, j < n) {
                    (true, true) => sums.xx += value,
                    (true, false) => sums.xy += value,
                    _ => sums.yy += value,
                }
            };
            // Summed from both ends and not subtracted: a far column would take the others' digits with it.
            let mut behind = 0.0;
            for (after, part) in after.iter_mut().zip(&parts).rev() {
                *after = behind;
                behind += part;
            }
            let mut before = 0.0;
            for ((sums, part), after) in sums.iter_mut().zip(&parts).zip(&after) {
                add(sums, before + after);
                before += part;
            }
            add(&mut sums[columns], before);
        }
    }
    let value = |sums: &PairSums| unbiased(sums).unwrap_or(0.0);
    let whole = sums.last().map_or(0.0, value);
    Ok(sums[..columns]
        .iter()
        .map(|sums| whole - value(sums))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::mmd::mmd2;
    use super::super::testing::{normal_rows, shifted_rows};
    use super::*;

    #[test]
    fn a_contribution_is_the_difference_of_two_mmds() {
        let (x, y) = (normal_rows(30, 3, 1), shifted_rows(25, 3, 0.5, 2));
        let kernel = Kernel::sigma(1.5).expect("above 0");
        let found = leave_one_out(&x, &y, kernel).expect("rows");
        let without = |sample: &Matrix, gone: usize| {
            let values = sample.each_row().flat_map(|row| {
                row.iter()
                    .enumerate()
                    .filter(move |(column, _)| *column != gone)
                    .map(|(_, value)| *value)
            });
            Matrix::new(2, values.collect()).expect("two columns")
        };
        let whole = mmd2(&x, &y, kernel).expect("rows").unbiased;
        for (column, contribution) in found.into_iter().enumerate() {
            let rest = mmd2(&without(&x, column), &without(&y, column), kernel).expect("rows");
            assert!((contribution - (whole - rest.unbiased)).abs() < 1e-12);
        }
    }

    #[test]
    fn the_column_that_moved_comes_first_and_a_single_one_has_it_all() {
        let x = normal_rows(200, 5, 3);
        let moved: Vec<f64> = normal_rows(200, 5, 4)
            .each_row()
            .flat_map(|row| {
                let mut row = row.to_vec();
                row[3] += 1.0;
                row
            })
            .collect();
        let y = Matrix::new(5, moved).expect("five columns");
        let found = leave_one_out(&x, &y, Kernel::sigma(3.0).expect("above 0")).expect("rows");
        let most = (0..5).max_by(|&a, &b| found[a].total_cmp(&found[b]));
        assert_eq!(most, Some(3), "{found:?}");
        let (x, y) = (normal_rows(20, 1, 1), shifted_rows(20, 1, 1.0, 2));
        let kernel = Kernel::sigma(1.0).expect("above 0");
        let alone = leave_one_out(&x, &y, kernel).expect("rows")[0];
        assert!((alone - mmd2(&x, &y, kernel).expect("rows").unbiased).abs() < 1e-12);
    }
}
