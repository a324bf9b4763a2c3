//! Correlations against hand-made ones, gaps, and the two nulls.

use proptest::prelude::*;

use super::super::Matrix;
use super::super::testing::normal_rows;
use super::*;

fn columns(sample: &Matrix) -> Vec<Vec<f64>> {
    (0..sample.columns())
        .map(|column| sample.each_row().map(|row| row[column]).collect())
        .collect()
}

/// Two columns of correlation r.
fn bound(rows: usize, r: f64, seed: u64) -> Vec<Vec<f64>> {
    let mut found = columns(&normal_rows(rows, 2, seed));
    let (x, y) = found.split_at_mut(1);
    for (x, y) in x[0].iter().zip(&mut y[0]) {
        *y = r * x + (1.0 - r * r).sqrt() * *y;
    }
    found
}

#[test]
fn known_correlations() {
    // numpy.corrcoef and scipy.stats.spearmanr of these.
    let x = vec![1.0, 2.0, 3.0, 4.0, 5.0];
    let y = vec![2.0, 1.0, 4.0, 3.0, 7.0];
    let one = |correlation| {
        let found = compare(
            &[x.clone(), y.clone()],
            &[x.clone(), y.clone()],
            correlation,
        );
        found.expect("a pair").pairs[0].reference
    };
    assert!((one(Correlation::Pearson) - 0.824_163_383_692_134).abs() < 1e-12);
    assert!((one(Correlation::Spearman) - 0.8).abs() < 1e-12);
}

#[test]
fn a_gap_takes_its_row_from_its_pairs_only() {
    let x = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let mut y = vec![2.0, 1.0, 4.0, 3.0, 7.0, f64::NAN];
    let z = vec![1.0, 0.0, 1.0, 0.0, 3.0, 5.0];
    let with_gap = [x.clone(), y.clone(), z.clone()];
    let found = compare(&with_gap, &with_gap, Correlation::Pearson).expect("pairs");
    assert!((found.pairs[0].reference - 0.824_163_383_692_134).abs() < 1e-12);
    assert_eq!((found.pairs[0].rows, found.pairs[1].rows), ((5, 5), (6, 6)));
    y[5] = f64::INFINITY;
    let infinite = compare(&with_gap, &[x, y, z], Correlation::Pearson).expect("pairs");
    assert_eq!(infinite.frobenius, 0.0);
}

#[test]
fn constants_and_short_columns_are_left_out_and_counted() {
    let x = vec![1.0, 2.0, 3.0, 4.0];
    let constant = vec![0.1 + 0.2; 4];
    let found = compare(
        &[x.clone(), x.clone(), constant.clone()],
        &[x.clone(), x.clone(), x.clone()],
        Correlation::Spearman,
    )
    .expect("one pair");
    assert_eq!((found.pairs.len(), found.left_out), (1, 2));
    assert_eq!((found.max_z_change, found.p_value), (0.0, 1.0));
    let none = compare(
        &[x.clone(), constant.clone()],
        &[x.clone(), constant],
        Correlation::Pearson,
    );
    assert_eq!(none, Err(MultivariateError::NoPair));
    assert_eq!(
        compare(&[], &[], Correlation::Pearson),
        Err(MultivariateError::NoColumns)
    );
    assert!(
        compare(
            std::slice::from_ref(&x),
            &[x.clone(), x.clone()],
            Correlation::Pearson
        )
        .is_err()
    );
    assert!(
        compare(
            &[x.clone(), vec![1.0]],
            &[x.clone(), x],
            Correlation::Pearson
        )
        .is_err()
    );
}

#[test]
fn both_nulls_hold_and_a_change_is_found() {
    let (mut by_form, mut by_permutation) = (0, 0);
    for seed in 0..300 {
        // Correlated, shifted and stretched alike: none of this is a change of correlation.
        let reference = bound(80, 0.6, 2 * seed);
        let mut current = bound(60, 0.6, 2 * seed + 1);
        current[0].iter_mut().for_each(|x| *x = 5.0 + 3.0 * *x);
        by_form += usize::from(
            compare(&reference, &current, Correlation::Pearson)
                .expect("a pair")
                .p_value
                <= 0.05,
        );
        let labels = Labels::of_rows(80, 60, 99, seed).expect("rows");
        let found =
            permutation_test(&reference, &current, Correlation::Pearson, &labels).expect("a pair");
        by_permutation += usize::from(found.max_z_change.p_value <= 0.05);
    }
    // 15 expected, with a standard deviation of 3.8.
    assert!((4..=26).contains(&by_form), "{by_form}");
    assert!((4..=26).contains(&by_permutation), "{by_permutation}");
    let (reference, current) = (bound(200, 0.8, 1), bound(200, 0.3, 2));
    let labels = Labels::of_rows(200, 200, 99, 1).expect("rows");
    for correlation in [Correlation::Pearson, Correlation::Spearman] {
        let closed = compare(&reference, &current, correlation).expect("a pair");
        let permuted =
            permutation_test(&reference, &current, correlation, &labels).expect("a pair");
        assert!(closed.p_value < 1e-6);
        assert_eq!(
            (permuted.max_z_change.p_value, permuted.frobenius.p_value),
            (0.01, 0.01)
        );
        assert!((permuted.max_z_change.value - closed.max_z_change).abs() < 1e-9);
        assert!((permuted.frobenius.value - closed.frobenius).abs() < 1e-9);
    }
}

#[test]
fn the_largest_change_is_pointed_at() {
    let mut reference = columns(&normal_rows(300, 4, 1));
    let current = columns(&normal_rows(300, 4, 2));
    let copied = bound(300, 0.9, 3);
    reference[1].clone_from(&copied[0]);
    reference[3].clone_from(&copied[1]);
    let found = compare(&reference, &current, Correlation::Spearman).expect("pairs");
    assert_eq!(found.pairs[found.largest].columns, (1, 3));
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        -3.0..3.0,
        Just(0.0),
        Just(-0.0),
        Just(1e100),
        Just(-1e100),
        Just(1e300),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::MIN_POSITIVE),
        Just(5e-324)
    ]
}

proptest! {
    #[test]
    fn whatever_comes_in_numbers_come_out(
        x in proptest::collection::vec((value(), value(), value()), 1..25),
        y in proptest::collection::vec((value(), value(), value()), 1..25),
        spearman: bool,
        seed: u64,
    ) {
        let columns = |rows: &[(f64, f64, f64)]| {
            vec![
                rows.iter().map(|row| row.0).collect::<Vec<f64>>(),
                rows.iter().map(|row| row.1).collect(),
                rows.iter().map(|row| row.2).collect(),
            ]
        };
        let (x, y) = (columns(&x), columns(&y));
        let correlation = if spearman { Correlation::Spearman } else { Correlation::Pearson };
        let labels = Labels::of_rows(x[0].len(), y[0].len(), 9, seed).expect("rows");
        let permuted = permutation_test(&x, &y, correlation, &labels);
        match compare(&x, &y, correlation) {
            Err(error) => {
                prop_assert_eq!(&error, &MultivariateError::NoPair);
                prop_assert_eq!(permuted, Err(error));
            }
            Ok(found) => {
                prop_assert!(found.frobenius.is_finite() && found.max_z_change.is_finite());
                prop_assert!((0.0..=1.0).contains(&found.p_value));
                let other = compare(&y, &x, correlation).expect("the same pairs");
                prop_assert!((found.max_z_change - other.max_z_change).abs() < 1e-12);
                prop_assert!((found.frobenius - other.frobenius).abs() < 1e-12);
                let permuted = permuted.expect("the same pairs");
                prop_assert!(permuted.max_z_change.value.is_finite() && permuted.frobenius.value.is_finite());
                prop_assert!(permuted.frobenius.null.iter().all(|value| value.is_finite()));
            }
        }
    }
}
