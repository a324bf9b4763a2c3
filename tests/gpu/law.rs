//! What the permutation test on MMD promises: false alarms at its level, and shifts of a known size found.
//!
//! Normal numbers in eight dimensions, the kernel's width the median distance of both samples, 199 permutations, the
//! level 5 %. Every seed is fixed, so a count is the same on every machine. The short form runs with all other tests; the
//! long one, whose figures are in `benches/README.md`, with
//! `cargo test --release --test gpu -- --ignored --nocapture law`.

use driftline::compute::labels::Labels;
use driftline::compute::pair_sums::{PairSums, permutation_p};
use driftline::compute::{pairwise_distance, rbf_mmd};

use crate::device;

const DIMS: usize = 8;
const PERMUTATIONS: usize = 199;
const LEVEL: f64 = 0.05;

/// Standard normal numbers by Box and Muller, the same every time.
fn normal(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut uniform = || {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut pair = || {
        let radius = (-2.0 * (1.0 - uniform()).ln()).sqrt();
        let angle = std::f64::consts::TAU * uniform();
        [radius * angle.cos(), radius * angle.sin()]
    };
    let mut numbers: Vec<f64> = (0..count.div_ceil(2)).flat_map(|_| pair()).collect();
    numbers.truncate(count);
    numbers
}

/// A draw's two samples; the second one's mean is `shift` away in each dimension.
fn samples(rows: usize, shift: f64, draw: u64) -> [Vec<f64>; 2] {
    let second = normal(rows * DIMS, 2 * draw + 1);
    [
        normal(rows * DIMS, 2 * draw),
        second.into_iter().map(|x| x + shift).collect(),
    ]
}

fn p_of(sums: &[PairSums]) -> f64 {
    let values: Vec<Option<f64>> = sums.iter().map(PairSums::mmd2_unbiased).collect();
    permutation_p(&values).expect("two rows a side")
}

fn case(rows: usize, shift: f64, draw: u64) -> (driftline::compute::points::Points, Labels) {
    let [first, second] = samples(rows, shift, draw);
    let scaled = pairwise_distance::points(&first, &second, DIMS).expect("whole rows");
    let width = pairwise_distance::median(&scaled).expect("pairs");
    let points = rbf_mmd::points(&first, &second, DIMS, width).expect("a width above 0");
    let labels = Labels::of_rows(points.first(), points.second(), PERMUTATIONS, draw);
    (points, labels)
}

/// How many of so many draws are found to differ, first draw `from`.
fn found(rows: usize, shift: f64, from: u64, draws: u64) -> u64 {
    (from..from + draws)
        .filter(|&draw| {
            let (points, labels) = case(rows, shift, draw);
            p_of(&rbf_mmd::fast(&points, &labels).expect("as many labels")) <= LEVEL
        })
        .count() as u64
}

/// 0.25 standard deviations in total, along (1, …, 1)/√8.
fn small_shift() -> f64 {
    0.25 / (DIMS as f64).sqrt()
}

#[test]
fn law_in_short() {
    // 200 draws at 5 %: 10 expected, and 20 or more once in 700 series.
    let alarms = found(50, 0.0, 0, 200);
    assert!((1..20).contains(&alarms), "{alarms} false alarms of 200");
    let seen = found(1000, small_shift(), 10_000, 12);
    assert!(seen >= 9, "{seen} of 12");
    let seen = found(1000, 0.25, 20_000, 3);
    assert_eq!(seen, 3, "of 3");
}

/// A device gives the same p: no permutation's statistic is as near to the true one as its rounding.
#[test]
fn law_on_a_device() {
    let Some(gpu) = device() else { return };
    for (draw, shift) in (0..6).zip([0.0, 0.0, 0.1, 0.2, 0.3, 0.4]) {
        let (points, labels) = case(60, shift, draw);
        let on_cpu = p_of(&rbf_mmd::fast(&points, &labels).expect("as many labels"));
        let on_gpu = p_of(&rbf_mmd::on_gpu(gpu, &points, &labels).expect("the device runs"));
        assert_eq!(on_gpu, on_cpu, "draw {draw}");
    }
}

#[test]
#[ignore = "takes minutes of all cores: 1,000 draws without drift and 400 with, of up to 2,000 rows"]
fn law_at_length() {
    let mut lines = Vec::new();
    for rows in [50, 250] {
        let alarms = found(rows, 0.0, 100_000, 1000);
        lines.push(format!("n = m = {rows}, no drift: {alarms} of 1,000 found"));
        assert!(
            alarms <= 71,
            "{alarms} false alarms of 1,000, n = m = {rows}"
        );
    }
    let seen = found(1000, small_shift(), 200_000, 300);
    lines.push(format!("n = m = 1,000, 0.25 σ in all: {seen} of 300 found"));
    let plain = found(1000, 0.25, 300_000, 100);
    lines.push(format!(
        "n = m = 1,000, 0.25 σ in each: {plain} of 100 found"
    ));
    println!("{}", lines.join("\n"));
    assert!(seen * 100 >= 93 * 300, "{seen} of 300");
    assert_eq!(plain, 100, "of 100");
}
