//! The promises of the permutation test: its level, its power, and what blocks are for.

use proptest::prelude::*;
use rand_distr::{Distribution, StandardNormal};

use super::super::kernel::pooled_sigma;
use super::super::shuffle::generator;
use super::super::testing::{normal_rows, shifted_rows};
use super::*;

const DRAWS: usize = 199;

fn p_value(reference: &Matrix, current: &Matrix, seed: u64) -> f64 {
    let kernel = Kernel::sigma(pooled_sigma(reference, current).expect("rows")).expect("a width");
    let labels = Labels::of_rows(reference.rows(), current.rows(), DRAWS, seed).expect("rows");
    permutation_test(reference, current, kernel, &labels)
        .expect("the same columns")
        .p_value
}

#[test]
fn a_thousand_null_draws_keep_the_level() {
    let rejected = (0..1_000)
        .filter(|&seed| {
            let reference = normal_rows(40, 8, 2 * seed);
            let current = normal_rows(30, 8, 2 * seed + 1);
            p_value(&reference, &current, seed) <= 0.05
        })
        .count();
    // 50 are expected with a standard deviation of 6.9: three of them above, and below, that the test is one.
    assert!((30..=71).contains(&rejected), "{rejected}");
}

#[test]
fn a_quarter_of_a_deviation_in_each_dimension_is_always_found() {
    for seed in 0..5 {
        let reference = normal_rows(1_000, 8, 100 + seed);
        let current = shifted_rows(1_000, 8, 0.25, 200 + seed);
        assert_eq!(p_value(&reference, &current, seed), 1.0 / 200.0);
    }
}

#[test]
fn a_quarter_of_a_deviation_in_all_is_nearly_always_found() {
    // Along (1, …, 1)/√8. `cargo bench --bench multivariate` prints the share over 1,000 draws.
    let each = 0.25 / 8.0_f64.sqrt();
    let found = (0..24)
        .filter(|&seed| {
            let reference = normal_rows(1_000, 8, 300 + seed);
            let current = shifted_rows(1_000, 8, each, 400 + seed);
            p_value(&reference, &current, seed) <= 0.05
        })
        .count();
    assert!(found >= 22, "{found} of 24");
}

/// Rows that share their day's level: exchangeable by days, not by rows.
fn days(days: usize, rows_a_day: usize, seed: u64) -> (Matrix, Vec<usize>) {
    let mut rng = generator(seed);
    let (mut values, mut blocks) = (vec![], vec![]);
    for day in 0..days {
        let level: f64 = StandardNormal.sample(&mut rng);
        for _ in 0..rows_a_day {
            let noise: f64 = StandardNormal.sample(&mut rng);
            values.push(level + noise);
            blocks.push(day);
        }
    }
    (Matrix::new(1, values).expect("a column"), blocks)
}

#[test]
fn whole_days_keep_the_level_where_rows_do_not() {
    let (mut by_rows, mut by_days) = (0, 0);
    let draws = 300;
    for seed in 0..draws {
        let (reference, reference_days) = days(12, 8, 2 * seed + 1);
        let (current, current_days) = days(12, 8, 2 * seed + 2);
        by_rows += usize::from(p_value(&reference, &current, seed) <= 0.05);
        let kernel =
            Kernel::sigma(pooled_sigma(&reference, &current).expect("rows")).expect("a width");
        let labels = Labels::of_blocks(&reference_days, &current_days, DRAWS, seed).expect("days");
        let found = permutation_test(&reference, &current, kernel, &labels).expect("a column each");
        by_days += usize::from(found.p_value <= 0.05);
    }
    // 15 are expected, with a standard deviation of 3.8.
    assert!(by_days <= 26, "{by_days}");
    assert!(by_rows >= 100, "{by_rows}");
}

proptest! {
    #[test]
    fn every_sample_has_an_mmd_in_its_range(
        x in proptest::collection::vec(prop_oneof![-5.0..5.0, Just(1e100), Just(0.0)], 2..20),
        y in proptest::collection::vec(prop_oneof![-5.0..5.0, Just(-1e100), Just(0.0)], 2..20),
        seed: u64,
    ) {
        let labels = Labels::of_rows(x.len(), y.len(), 19, seed).expect("rows");
        let (x, y) = (Matrix::new(1, x).expect("a column"), Matrix::new(1, y).expect("a column"));
        let kernel = Kernel::sigma(pooled_sigma(&x, &y).expect("rows")).expect("a width");
        let found = mmd2(&x, &y, kernel).expect("rows");
        prop_assert!((0.0..=2.0 + 1e-12).contains(&found.biased));
        prop_assert!((-2.0..=2.0 + 1e-12).contains(&found.unbiased));
        let other = mmd2(&y, &x, kernel).expect("rows");
        prop_assert!((found.biased - other.biased).abs() < 1e-12 && (found.unbiased - other.unbiased).abs() < 1e-12);
        let p = permutation_test(&x, &y, kernel, &labels).expect("rows").p_value;
        prop_assert!((0.05 - 1e-12..=1.0).contains(&p));
    }
}

#[test]
fn one_row_or_other_columns_are_refused() {
    let kernel = Kernel::sigma(1.0).expect("above 0");
    assert!(mmd2(&normal_rows(1, 2, 1), &normal_rows(5, 2, 2), kernel).is_err());
    assert!(mmd2(&normal_rows(5, 2, 1), &normal_rows(5, 3, 2), kernel).is_err());
}
