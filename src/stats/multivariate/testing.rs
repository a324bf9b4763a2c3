//! Data for the tests of this folder: made by a pinned generator, the same everywhere.

use rand_distr::{Distribution, StandardNormal};

use super::Matrix;
use super::shuffle::generator;

/// Independent standard normal values.
pub fn normal_rows(rows: usize, columns: usize, seed: u64) -> Matrix {
    shifted_rows(rows, columns, 0.0, seed)
}

/// Independent normal values of variance 1 around `mean`.
pub fn shifted_rows(rows: usize, columns: usize, mean: f64, seed: u64) -> Matrix {
    let mut rng = generator(seed);
    let values = (0..rows * columns).map(|_| {
        let value: f64 = StandardNormal.sample(&mut rng);
        mean + value
    });
    Matrix::new(columns, values.collect()).expect("finite rows")
}
