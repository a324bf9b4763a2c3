//! How good predictions were, once their labels have come.
//!
//! The way of a window: its [`Observation`]s (a logged prediction, and the label that counts for it) → what each row
//! says for its task (`decided`) → a file per metric → [`Summary`]: each value with a standard error from whole blocks
//! of time, and what the best constant predictor gets on the same labels. Two models on the same rows: [`losses()`] →
//! [`paired_gain`].
//!
//! Conventions are those of scikit-learn ≥ 1.5, except that nothing undefined becomes a number in silence.
//!
//! **Invariant:** every number here is a function of the *set* of observations: sums are exact ([`ExactSum`]), ranks
//! are whole numbers, random draws are seeded. Predictions are judged as they were logged; no model is run.

mod blocks;
mod confusion;
mod coverage;
mod decided;
mod exact_sum;
mod folds;
mod gain;
mod losses;
mod metric;
mod observation;
mod summary;

pub mod accuracy;
pub mod brier;
pub mod f1;
pub mod log_loss;
pub mod mae;
pub mod precision;
pub mod r2;
pub mod recall;
pub mod rmse;
pub mod roc_auc;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;

pub use blocks::{FEWEST_BLOCKS, block_length, block_of};
pub use coverage::Coverage;
pub use decided::{DECIDES_AT, Unusable, decided, probability};
pub use exact_sum::ExactSum;
pub use gain::{Gain, GainError, USUAL_DRAWS, paired_gain};
pub use losses::{losses, says_enough};
pub use metric::{Kind, Metric};
pub use observation::{Observation, Truth};
pub use summary::{Estimate, Summary, estimates, measure};
