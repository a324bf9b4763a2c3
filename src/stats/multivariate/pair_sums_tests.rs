//! The tiled sums against the definition, pair by pair.

use proptest::prelude::*;

use super::super::shuffle::{generator, shuffle};
use super::super::testing::normal_rows;
use super::*;

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The definition, for any labelling of stacked rows.
fn by_pairs(pooled: &Matrix, kernel: Kernel, is_current: impl Fn(usize) -> bool) -> PairSums {
    let m = (0..pooled.rows()).filter(|&row| is_current(row)).count();
    let mut sums = PairSums {
        n: pooled.rows() - m,
        m,
        xx: 0.0,
        yy: 0.0,
        xy: 0.0,
        diagonal: kernel.diagonal(),
    };
    for i in 0..pooled.rows() {
        for j in i + 1..pooled.rows() {
            let value = kernel.of_squared(squared(pooled.row(i), pooled.row(j)));
            match (is_current(i), is_current(j)) {
                (false, false) => sums.xx += value,
                (true, true) => sums.yy += value,
                _ => sums.xy += value,
            }
        }
    }
    sums
}

#[track_caller]
fn same(found: &PairSums, expected: &PairSums) {
    assert_eq!((found.n, found.m), (expected.n, expected.m));
    let whole = expected.xx + expected.yy + expected.xy;
    for (found, expected) in [
        (found.xx, expected.xx),
        (found.yy, expected.yy),
        (found.xy, expected.xy),
    ] {
        assert!(
            (found - expected).abs() <= 1e-12 * whole,
            "{found} {expected}"
        );
    }
}

#[test]
fn tiles_say_what_pairs_say_at_and_around_their_edges() {
    let kernels = [Kernel::Rbf { gamma: 0.3 }, Kernel::Distance];
    for (n, m) in [
        (0, 0),
        (0, 3),
        (1, 1),
        (3, 0),
        (TILE - 1, 1),
        (TILE, 1),
        (1, TILE),
        (TILE / 2, TILE + 5),
        (2 * TILE, 7),
    ] {
        let reference = normal_rows(n, 3, 1);
        let current = normal_rows(m, 3, 2);
        let pooled = reference.stacked(&current).expect("three columns");
        for kernel in kernels {
            let found = pair_sums(&reference, &current, kernel).expect("three columns");
            same(&found, &by_pairs(&pooled, kernel, |row| row >= n));
            if n > 0 && m > 0 {
                let labels = Labels::of_rows(n, m, 3, 4).expect("rows");
                let all = relabelled(&reference, &current, kernel, &labels).expect("labels fit");
                for (labelling, found) in all.iter().enumerate() {
                    same(
                        found,
                        &by_pairs(&pooled, kernel, |row| labels.is_current(row, labelling)),
                    );
                }
            }
        }
    }
}

#[test]
fn labels_for_other_rows_and_other_columns_are_refused() {
    let (reference, current) = (normal_rows(4, 2, 1), normal_rows(5, 2, 2));
    let labels = Labels::of_rows(4, 4, 3, 1).expect("rows");
    assert_eq!(
        relabelled(&reference, &current, Kernel::Distance, &labels),
        Err(MultivariateError::Labels { labels: 8, rows: 9 })
    );
    assert!(pair_sums(&reference, &normal_rows(5, 3, 2), Kernel::Distance).is_err());
}

#[test]
fn the_place_is_exact_also_when_distances_are_counted_by_bits() {
    // 1,600 rows have 1.28 million pairs: more than are collected. Rounded, so that there are ties.
    let rounded: Vec<f64> = normal_rows(1_600, 2, 3)
        .values()
        .iter()
        .map(|value| (value * 8.0).round() / 8.0)
        .collect();
    let sample = Matrix::new(2, rounded).expect("two columns");
    let mut all = Vec::new();
    each_tile(&sample, |_, _, squared, from| {
        all.extend_from_slice(&squared[from..])
    });
    assert!(all.len() as u64 > MOST_COLLECTED);
    all.sort_unstable_by(f64::total_cmp);
    for place in [0, 1, 1_000, all.len() / 2, all.len() - 1] {
        assert_eq!(squared_at(&sample, place as u64), all[place]);
    }
    // One distance shared by all pairs is found by its bits alone.
    let equal = Matrix::new(1, vec![2.0; 1_600]).expect("a column");
    assert_eq!(squared_at(&equal, 77), 0.0);
    assert_eq!(smallest_positive_squared(&equal), None);
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        -3.0..3.0,
        Just(0.0),
        Just(-0.0),
        Just(1e100),
        Just(-1e100),
        Just(f64::MIN_POSITIVE)
    ]
}

proptest! {
    #[test]
    fn sums_are_finite_symmetric_and_do_not_mind_the_order_of_rows(
        x in proptest::collection::vec(value(), 0..40),
        y in proptest::collection::vec(value(), 0..40),
        gamma in prop_oneof![Just(f64::MIN_POSITIVE), 1e-3..10.0, Just(f64::MAX)],
        distance: bool,
        seed: u64,
    ) {
        let kernel = if distance { Kernel::Distance } else { Kernel::Rbf { gamma } };
        let even = |values: &[f64]| Matrix::new(2, values[..values.len() / 2 * 2].to_vec()).expect("two columns");
        let (x, y) = (even(&x), even(&y));
        let one = pair_sums(&x, &y, kernel).expect("two columns");
        let other = pair_sums(&y, &x, kernel).expect("two columns");
        let mut places: Vec<usize> = (0..x.rows()).collect();
        shuffle(&mut places, &mut generator(seed));
        let shuffled = pair_sums(&x.take(&places), &y, kernel).expect("two columns");
        let whole = one.xx + one.yy + one.xy;
        prop_assert!(whole.is_finite() && one.xx >= 0.0 && one.yy >= 0.0 && one.xy >= 0.0);
        for (a, b) in [
            (one.xx, other.yy), (one.yy, other.xx), (one.xy, other.xy),
            (one.xx, shuffled.xx), (one.xy, shuffled.xy),
        ] {
            prop_assert!((a - b).abs() <= 1e-12 * whole);
        }
        for statistic in [one.v_statistic(), one.u_statistic()].into_iter().flatten() {
            prop_assert!(statistic.is_finite());
        }
    }
}
