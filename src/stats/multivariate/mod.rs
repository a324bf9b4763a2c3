//! Statistics of several columns at once: they see what no single column shows.
//!
//! Each statistic has a file, and a line in the table of statistics. They work on rows, not on profiles: a [`Matrix`] of complete
//! numeric rows, or, for the domain classifier, a [`crate::learn::Table`].
//!
//! - [`matrix`]: what comes in, and what happens to rows that cannot be used.
//! - [`kernel`] and its bandwidths; [`pair_sums`]: sums over all pairs, blocked; [`labels`] and [`permutation`]: the test.
//! - [`mmd`], [`energy_nd`], [`random_fourier`] (linear time), [`cross_mmd`] (no permutations), [`contribution`] (which column).
//! - [`pca`] and [`pca_interval`]; [`domain_classifier`]; [`correlation`].
//!
//! **Invariant:** the same rows in the same order, with the same seed, give the same bits; another order moves a value
//! by rounding only (but redraws permutations, folds and halves, which go by a row's place). No NaN or infinity comes
//! out. Deliberately absent: threads and devices (see `compute`), and verdicts.

mod auc;
pub mod contribution;
pub mod correlation;
pub mod cross_mmd;
pub mod domain_classifier;
mod eigen;
pub mod energy_nd;
mod error;
pub mod kernel;
pub mod labels;
pub mod matrix;
pub mod mmd;
pub mod pair_sums;
pub mod pca;
pub mod pca_interval;
pub mod permutation;
pub mod random_fourier;
mod shuffle;
#[cfg(test)]
mod testing;

pub use error::MultivariateError;
pub use kernel::Kernel;
pub use labels::Labels;
pub use matrix::Matrix;
pub use permutation::Permuted;
