//! The promises of the permutation test of MMD, and what it costs: `cargo bench --bench multivariate [-- DRAWS]`.
//!
//! Of so many draws (1,000 unless said otherwise) each, n = m = 1,000 rows of 8 independent standard normal columns, at a
//! level of 5 % with 199 permutations: how often no shift at all, a shift of 0.25 standard deviations along (1, …, 1)/√8
//! and one of 0.25 in each column are found, with the median bandwidth of both samples together; beside it, what the
//! cross-MMD and random Fourier features find on the same rows. Then seconds by size.

use std::hint::black_box;
use std::time::Instant;

use driftline::stats::multivariate::cross_mmd::cross_mmd;
use driftline::stats::multivariate::kernel::pooled_sigma;
use driftline::stats::multivariate::random_fourier::{self, Frequencies};
use driftline::stats::multivariate::{Kernel, Labels, Matrix, energy_nd, mmd};
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

const ROWS: usize = 1_000;
const COLUMNS: usize = 8;
const PERMUTATIONS: usize = 199;
const LEVEL: f64 = 0.05;
const FREQUENCIES: usize = 64;
/// Rows a side and columns of the timed runs.
const SIZES: [(usize, usize); 4] = [(250, 8), (1_000, 8), (1_000, 32), (4_000, 32)];

fn main() {
    // Cargo passes `--bench`.
    let draws = std::env::args()
        .find_map(|word| word.parse().ok())
        .unwrap_or(1_000);
    println!(
        "{draws} draws, n = m = {ROWS}, {COLUMNS} columns, {PERMUTATIONS} permutations, level {LEVEL}"
    );
    println!("shift of each column   MMD     energy  Fourier {FREQUENCIES}  cross-MMD");
    for each in [0.0, 0.25 / (COLUMNS as f64).sqrt(), 0.25] {
        let mut found = [0; 4];
        for draw in 0..draws {
            let reference = normal(ROWS, COLUMNS, 0.0, 2 * draw);
            let current = normal(ROWS, COLUMNS, each, 2 * draw + 1);
            for (count, p) in found.iter_mut().zip(p_values(&reference, &current, draw)) {
                *count += u64::from(p <= LEVEL);
            }
        }
        let share = found.map(|count| 100.0 * count as f64 / draws as f64);
        println!(
            "{each:<21.4}  {:5.1} %  {:5.1} %  {:9.1} %  {:7.1} %",
            share[0], share[1], share[2], share[3]
        );
    }
    println!("\nrows a side, columns   MMD² alone   with {PERMUTATIONS} permutations");
    for (rows, columns) in SIZES {
        let (x, y) = (normal(rows, columns, 0.0, 1), normal(rows, columns, 0.0, 2));
        let kernel = Kernel::sigma(pooled_sigma(&x, &y).expect("rows")).expect("a width");
        let labels = Labels::of_rows(rows, rows, PERMUTATIONS, 1).expect("rows");
        let alone = seconds(|| mmd::mmd2(&x, &y, kernel).expect("columns").unbiased);
        let tested = seconds(|| {
            let found = mmd::permutation_test(&x, &y, kernel, &labels);
            found.expect("columns").p_value
        });
        println!("{rows:<11} {columns:<10} {alone:9.4} s   {tested:9.4} s");
    }
}

fn p_values(reference: &Matrix, current: &Matrix, seed: u64) -> [f64; 4] {
    let kernel = Kernel::sigma(pooled_sigma(reference, current).expect("rows")).expect("a width");
    let labels =
        Labels::of_rows(reference.rows(), current.rows(), PERMUTATIONS, seed).expect("rows");
    let drawn = Frequencies::draw(kernel, COLUMNS, FREQUENCIES, seed).expect("frequencies");
    let permuted = [
        mmd::permutation_test(reference, current, kernel, &labels),
        energy_nd::permutation_test(reference, current, &labels),
        random_fourier::permutation_test(reference, current, &drawn, &labels),
    ];
    let [mmd, energy, fourier] = permuted.map(|found| found.expect("the same columns").p_value);
    let cross = cross_mmd(reference, current, kernel, seed)
        .expect("rows")
        .p_value;
    [mmd, energy, fourier, cross]
}

fn normal(rows: usize, columns: usize, mean: f64, seed: u64) -> Matrix {
    let mut rng = Pcg64Mcg::new((u128::from(seed) << 64) | 0x5eed);
    let values = (0..rows * columns).map(|_| {
        let value: f64 = StandardNormal.sample(&mut rng);
        mean + value
    });
    Matrix::new(columns, values.collect()).expect("finite rows")
}

/// The median of five runs.
fn seconds(run: impl Fn() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..5)
        .map(|_| {
            let started = Instant::now();
            black_box(run());
            started.elapsed().as_secs_f64()
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all[2]
}
