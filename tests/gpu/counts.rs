//! `histogram`, `resample` and `worst_slice`: counts are equal bit for bit.

use driftline::compute::histogram::{self, Column, MAX_EDGES};
use driftline::compute::resample::{self, Plan, SCORE_TOLERANCE};
use driftline::compute::worst_slice::{self, Rows};
use proptest::prelude::*;

use crate::{device, noise, second_forms};

#[track_caller]
fn check_histogram(columns: &[Column<'_>]) {
    let plain = histogram::plain(columns);
    assert_eq!(histogram::fast(columns), plain);
    if let Some(gpu) = device() {
        assert_eq!(
            histogram::on_gpu(gpu, columns).expect("the device runs"),
            plain
        );
    }
    if let Some(gpu) = second_forms() {
        let found = histogram::on_gpu(gpu, columns).expect("the device runs");
        assert_eq!(found, plain, "by subgroups");
    }
}

fn column<'a>(values: &'a [f64], edges: &'a [f64]) -> Column<'a> {
    Column {
        values,
        edges,
        domain: None,
    }
}

/// Around a workgroup's threads and the rows of a part, with columns of different lengths beside each other.
#[test]
fn histograms_at_the_edges_of_parts() {
    let rows = histogram::ROWS as usize;
    let lengths = [0, 1, 255, 256, 257, rows - 1, rows, rows + 1, 3 * rows + 7];
    let values: Vec<Vec<f64>> = lengths
        .iter()
        .map(|&length| noise(length, length as u64))
        .collect();
    let edges: Vec<f64> = (-20..20).map(|i| f64::from(i) / 20.0).collect();
    let columns: Vec<Column<'_>> = values.iter().map(|values| column(values, &edges)).collect();
    check_histogram(&columns);
    check_histogram(&columns[..1]);
    check_histogram(&[]);
}

#[test]
fn histograms_of_what_is_special() {
    let special = [
        f64::NAN,
        -f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_0001),
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        0.0,
        -0.0,
        5e-324,
        -5e-324,
        f64::MIN_POSITIVE,
        1.0,
        f64::from_bits(1f64.to_bits() + 1),
        f64::from_bits(1f64.to_bits() - 1),
    ];
    for edges in [
        &[][..],
        &[0.0],
        &[-0.0],
        &[-5e-324, 0.0, 5e-324, 1.0],
        &[f64::MIN, f64::MAX],
    ] {
        check_histogram(&[column(&special, edges)]);
        for domain in [[0.0, 1.0], [-0.0, 0.0], [f64::MIN, f64::MAX], [2.0, 1.0]] {
            let with_domain = Column {
                domain: Some(domain),
                ..column(&special, edges)
            };
            check_histogram(&[with_domain]);
        }
    }
}

#[test]
fn histograms_with_all_edges_and_ties() {
    let edges: Vec<f64> = (0..MAX_EDGES).map(f64::from).collect();
    let values: Vec<f64> = (0..2000).map(|i| f64::from(i % 300) - 20.0).collect();
    check_histogram(&[column(&values, &edges), column(&[254.0; 700], &edges)]);
    let counts = histogram::fast(&[column(&values, &edges)]);
    assert_eq!(counts[0].cells.len(), 256);
    assert_eq!(counts[0].cells.iter().sum::<u64>(), 2000);
}

fn check_resample(columns: &[Vec<u64>], reference_rows: u32, window_rows: u32, draws: u32) {
    let plan = Plan::new(columns, reference_rows, window_rows, draws, 99).expect("within limits");
    let fast = resample::fast(&plan);
    let plain = resample::plain(&plan);
    assert_eq!(fast, plain);
    let Some(gpu) = device() else { return };
    let (scores, counts) = resample::on_gpu_with_counts(gpu, &plan).expect("the device runs");
    assert_eq!(
        resample::on_gpu(gpu, &plan).expect("the device runs"),
        scores
    );
    if let Some(second) = second_forms() {
        let found = resample::on_gpu_with_counts(second, &plan).expect("the device runs");
        assert_eq!(found, (scores.clone(), counts.clone()), "by subgroups");
    }
    assert_eq!(
        (scores.columns, scores.values.len()),
        (plain.columns, plain.values.len())
    );
    let (relative, absolute) = SCORE_TOLERANCE;
    for (at, (found, expect)) in scores.values.iter().zip(&plain.values).enumerate() {
        let (draw, column) = (at / columns.len(), at % columns.len());
        let drawn = resample::plain_counts(&plan, draw as u32, column);
        assert_eq!(counts[at], drawn, "draw {draw}, column {column}");
        for ((found, expect), name) in found.iter().zip(expect).zip(resample::SCORE_NAMES) {
            let bound = expect * relative + absolute;
            assert!(
                (found - expect).abs() <= bound,
                "{name}, draw {draw}, column {column}: {found} instead of {expect}"
            );
        }
    }
}

/// Around the rows of a random block, of a workgroup's threads, and of several rounds of them.
#[test]
fn resamples_at_the_edges_of_blocks() {
    let columns = [
        vec![5, 0, 3, 8, 1],
        vec![1; 256],
        vec![0, 0, 7],
        vec![0; 4],
        vec![],
        vec![3, 1],
    ];
    for rows in [0, 1, 3, 4, 5, 1023, 1024, 1025, 5000] {
        check_resample(&columns, rows, 700, 2);
        check_resample(&columns, 333, rows, 2);
    }
    check_resample(&columns, 10, 10, 0);
    check_resample(&[], 10, 10, 3);
}

#[test]
fn resamples_of_many_rows_and_of_rare_bins() {
    check_resample(&[vec![1_000_000, 1, 2_000_000, 0, 1]], 300_000, 200_000, 2);
    check_resample(&[vec![u64::from(u32::MAX) - 1, 1]], 4000, 4000, 3);
}

/// More draws than the first dispatch takes.
#[test]
fn resamples_beyond_one_dispatch() {
    check_resample(&[vec![10; 10], vec![1, 2, 3]], 300, 200, 150);
}

#[test]
fn resamples_have_the_right_mean() {
    let plan = Plan::new(&[vec![100; 10]], 2000, 500, 2000, 5).expect("within limits");
    let scores = resample::fast(&plan);
    let mean = |at: usize| scores.values.iter().map(|score| score[at]).sum::<f64>() / 2000.0;
    // χ² with 9 degrees of freedom; its mean over 2,000 draws has a standard deviation of 0.095.
    assert!((mean(3) - 9.0).abs() < 0.4, "{}", mean(3));
    // 9 · (1/2000 + 1/500), to first order.
    assert!((mean(0) - 0.0225).abs() < 0.0015, "{}", mean(0));
    assert_eq!(Plan::new(&[vec![1; 257]], 1, 1, 1, 1), None);
    assert_eq!(Plan::new(&[vec![1]], resample::MAX_ROWS, 1, 1, 1), None);
    assert_eq!(Plan::new(&[vec![u64::MAX, 1]], 1, 1, 1, 1), None);
}

#[track_caller]
fn check_slices(rows: &Rows) {
    let plain = worst_slice::plain(rows);
    assert_eq!(worst_slice::fast(rows), plain);
    if let Some(gpu) = device() {
        assert_eq!(
            worst_slice::on_gpu(gpu, rows).expect("the device runs"),
            plain
        );
    }
    if let Some(gpu) = second_forms() {
        let found = worst_slice::on_gpu(gpu, rows).expect("the device runs");
        assert_eq!(found, plain, "by subgroups");
    }
}

fn some_rows(rows: usize, features: usize) -> Rows {
    let bins = |feature: usize| {
        (0..rows)
            .map(|row| (row * (feature + 3) / 2 % (16 - feature % 5)) as u8)
            .collect()
    };
    let bits = |step: usize| {
        (0..rows)
            .map(|row| (row * step / 3).is_multiple_of(2))
            .collect::<Vec<bool>>()
    };
    Rows::new((0..features).map(bins).collect(), &bits(1), &bits(2)).expect("bins of all rows")
}

#[test]
fn slices_at_the_edges_of_parts() {
    let part = worst_slice::ROWS as usize;
    for rows in [
        0,
        1,
        3,
        4,
        5,
        15,
        16,
        17,
        255,
        256,
        257,
        part - 1,
        part,
        part + 1,
        2 * part + 3,
    ] {
        check_slices(&some_rows(rows, 3));
    }
    for features in [0, 1, 2, 9] {
        check_slices(&some_rows(500, features));
    }
}

#[test]
fn slices_that_all_rows_are_in() {
    let all = Rows::new(vec![vec![15; 40_000]; 2], &[true; 40_000], &[true; 40_000]).expect("rows");
    check_slices(&all);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_histograms(
        values in prop::collection::vec(prop_oneof![any::<f64>(), -3.0..3.0f64, Just(1.0)], 0..600),
        mut edges in prop::collection::vec(prop_oneof![-3.0..3.0f64, -1e300..1e300f64, Just(1.0)], 0..255),
        domain in prop::option::of([-2.0..0.0f64, 0.0..2.0f64]),
    ) {
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        check_histogram(&[Column { values: &values, edges: &edges, domain }]);
    }

    #[test]
    fn random_resamples(
        counts in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0), 0..50u64, 0..100_000_000u64], 0..30), 0..4),
        reference_rows in 0..3000u32,
        window_rows in 0..3000u32,
        draws in 0..4u32,
    ) {
        check_resample(&counts, reference_rows, window_rows, draws);
    }

    #[test]
    fn random_slices(rows in prop::collection::vec((0..16u8, 0..16u8, 0..3u8, any::<bool>(), any::<bool>()), 0..900)) {
        let features = vec![
            rows.iter().map(|row| row.0).collect(),
            rows.iter().map(|row| row.1).collect(),
            rows.iter().map(|row| row.2).collect(),
        ];
        let is_window: Vec<bool> = rows.iter().map(|row| row.3).collect();
        let is_error: Vec<bool> = rows.iter().map(|row| row.4).collect();
        check_slices(&Rows::new(features, &is_window, &is_error).expect("bins of all rows"));
    }
}
