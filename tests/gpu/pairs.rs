//! `rbf_mmd` and `pairwise_distance`: plain, fast and device, at the lengths where tiles begin and end.

use driftline::compute::labels::Labels;
use driftline::compute::pair_sums::PairSums;
use driftline::compute::points::Points;
use driftline::compute::{pairwise_distance, rbf_mmd};
use proptest::prelude::*;

use crate::{device, noise};

/// Sums of `found` and `expect` agree if no pair is off by more than `pair`, nor a sum by more than `share` of all.
#[track_caller]
fn close(what: &str, found: &[PairSums], expect: &[PairSums], pair: f64, share: f64) {
    assert_eq!(found.len(), expect.len(), "{what}");
    for (labelling, (found, expect)) in found.iter().zip(expect).enumerate() {
        assert_eq!(found.rows, expect.rows, "{what}, labelling {labelling}");
        let [n, m] = expect.rows.map(|rows| rows as f64);
        let all = expect.within[0] + expect.within[1] + expect.across;
        let sums = |sums: &PairSums| [sums.within[0], sums.within[1], sums.across];
        let pairs = [n * (n - 1.0) / 2.0, m * (m - 1.0) / 2.0, n * m];
        for ((found, expect), pairs) in sums(found).into_iter().zip(sums(expect)).zip(pairs) {
            let bound = pairs.max(0.0) * pair + all * share;
            assert!(
                (found - expect).abs() <= bound,
                "{what}, labelling {labelling}: {found} instead of {expect}, may differ by {bound}"
            );
        }
    }
}

fn check_rbf(first: &[f64], second: &[f64], dims: usize, sigma: f64, permutations: usize) {
    let points = rbf_mmd::points(first, second, dims, sigma).expect("whole rows");
    let labels = Labels::of_rows(points.first(), points.second(), permutations, 42);
    let fast = rbf_mmd::fast(&points, &labels).expect("as many labels");
    let tolerance = rbf_mmd::KERNEL_TOLERANCE;
    if points.rows() <= 400 {
        let plain = rbf_mmd::plain(&points, &labels).expect("as many labels");
        close("fast", &fast, &plain, tolerance, 0.0);
    }
    if let Some(gpu) = device() {
        let found = rbf_mmd::on_gpu(gpu, &points, &labels).expect("the device runs");
        close("device", &found, &fast, 2.0 * tolerance, 0.0);
    }
}

fn check_distance(first: &[f64], second: &[f64], dims: usize, permutations: usize) {
    let points = pairwise_distance::points(first, second, dims).expect("whole rows");
    let labels = Labels::of_rows(points.first(), points.second(), permutations, 42);
    let fast = pairwise_distance::fast(&points, &labels).expect("as many labels");
    let tolerance = pairwise_distance::SUM_TOLERANCE;
    if points.rows() <= 400 {
        let plain = pairwise_distance::plain(&points, &labels).expect("as many labels");
        close("fast", &fast, &plain, 0.0, tolerance);
        assert_eq!(
            pairwise_distance::median(&points),
            pairwise_distance::median_plain(&points)
        );
    }
    if let Some(gpu) = device() {
        let found = pairwise_distance::on_gpu(gpu, &points, &labels).expect("the device runs");
        close("device", &found, &fast, 0.0, 2.0 * tolerance);
        let median = pairwise_distance::median(&points);
        match (
            pairwise_distance::median_on_gpu(gpu, &points).expect("the device runs"),
            median,
        ) {
            (Some(found), Some(expect)) => {
                let bound = expect * pairwise_distance::MEDIAN_TOLERANCE;
                assert!(
                    (found - expect).abs() <= bound,
                    "median {found} instead of {expect}"
                );
            }
            (found, expect) => assert_eq!(found, expect),
        }
    }
}

fn check(first: &[f64], second: &[f64], dims: usize, permutations: usize) {
    check_rbf(first, second, dims, 1.5, permutations);
    check_distance(first, second, dims, permutations);
}

/// Around the width of a strip (16), a chunk of columns (24), a tile's rows (32) and columns (64), and two of them.
#[test]
fn lengths_at_the_edges_of_tiles() {
    for rows in [
        0, 1, 2, 15, 16, 17, 23, 24, 25, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200,
    ] {
        for first in [0, rows / 3, rows] {
            check(&noise(first * 3, 1), &noise((rows - first) * 3, 2), 3, 5);
        }
    }
}

#[test]
fn dimensions_at_the_edges_of_what_is_staged() {
    for dims in [1, 7, 8, 9, 15, 16, 17, 130] {
        check(&noise(40 * dims, 3), &noise(30 * dims, 4), dims, 3);
    }
}

/// Around the labellings that a workgroup takes at a time, the true one and the one of all rows included.
#[test]
fn numbers_of_permutations() {
    for permutations in [0, 1, 61, 62, 63, 64, 127, 130] {
        check(&noise(50, 5), &noise(60, 6), 1, permutations);
    }
    check_rbf(&noise(20, 5), &noise(30, 6), 1, 1.0, 2100);
}

/// More tiles than workgroups, so that several steps and several dispatches are needed, at 48 dimensions.
#[test]
fn beyond_one_dispatch() {
    check(&noise(900 * 48, 7), &noise(1000 * 48, 8), 48, 20);
}

#[test]
fn rows_that_are_all_equal() {
    for rows in [2, 33, 150] {
        check(&vec![3.25; rows * 2], &vec![3.25; rows * 2], 2, 4);
    }
    let points = rbf_mmd::points(&[1.0; 100], &[1.0; 100], 1, 1.0).expect("rows");
    let sums = rbf_mmd::fast(&points, &Labels::of_rows(100, 100, 0, 0)).expect("labels");
    assert_eq!((sums[0].within, sums[0].across), ([4950.0; 2], 10_000.0));
}

#[test]
fn ties_and_signed_zeros() {
    let few: Vec<f64> = (0..120)
        .map(|i| [0.0, -0.0, 1.0, -1.0, 2.0][i * 7 % 5])
        .collect();
    check(&few[..60], &few[60..], 2, 10);
}

#[test]
fn what_is_not_finite_is_left_out_and_extremes_are_not() {
    let mut first = noise(70, 9);
    (first[0], first[10], first[21]) = (f64::NAN, f64::INFINITY, f64::NEG_INFINITY);
    check(&first, &noise(50, 10), 2, 6);
    let extremes = [
        f64::MAX,
        -f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        0.0,
        -0.0,
        1e300,
        -1e300,
    ];
    check_rbf(&extremes, &extremes, 1, 1.0, 4);
    check_rbf(&extremes, &extremes, 1, 1e300, 4);
    check_rbf(&extremes, &extremes, 2, 1e-300, 4);
    check_distance(&extremes, &extremes, 1, 4);
    check_distance(&[5e-324, 0.0, 1e-310], &[1e-320, 2e-310], 1, 4);
}

/// A thousand rows close together and one far off: the far one must not take the digits of the others.
#[test]
fn an_outlier_leaves_the_others_their_distances() {
    let mut first = noise(300, 11);
    first[7] = 1e6;
    check_distance(&first, &noise(90, 12), 1, 3);
    let points: Points = pairwise_distance::points(&first, &noise(90, 12), 1).expect("rows");
    let median = pairwise_distance::median(&points).expect("pairs");
    assert!((0.2..1.0).contains(&median), "{median}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_points(
        first in prop::collection::vec(-4.0..4.0f64, 0..140),
        second in prop::collection::vec(prop_oneof![-4.0..4.0f64, Just(0.0), Just(f64::NAN)], 0..140),
        dims in 1..5usize,
        permutations in 0..9usize,
    ) {
        let whole = |values: &[f64]| values[..values.len() / dims * dims].to_vec();
        check(&whole(&first), &whole(&second), dims, permutations);
    }
}
