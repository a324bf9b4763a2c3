//! Fitting and predicting: the only place that names linfa and ndarray.
//!
//! A [`Table`] of features and a [`Target`] go in; a [`Candidate`] says which kind of model and with what
//! hyper-parameters; a [`Model`] comes out that holds everything a prediction needs: what to do with missing values
//! and unseen categories, scales, coefficients or trees. linfa finds the parameters; predicting is our own loop over
//! them, in a fixed order, so that a stored model says the same on every thread and after every restart.
//!
//! - [`table`]: what comes in; [`candidate`]: the one table of kinds and their defaults.
//! - [`feature`], [`one_hot`] and [`cells`]: from columns to numbers, as linear models and as trees want them.
//! - [`linear`], [`tree`] and [`forest`]: the fits.
//! - [`model`]: fit and predict; [`file`](mod@file): the stored bytes and their hash.
//!
//! **Invariant:** the same table, target, candidate and seed give the same bytes, whatever the threads, as long as
//! the processor has the same vector instructions (the matrix product under linfa picks its kernel by them). A fitted
//! model holds finite numbers only, and every probability row sums to 1.
//! Deliberately absent: choosing among models and splitting by time (see `retrain`), metrics (see `performance`),
//! clock, disk and threads; and calibrating probabilities afterwards. What it would correct is the drift of
//! the base rate, for which there is retraining: fitted on three weeks of flights and used on the next three it moved
//! the log loss by up to 0.02, one way as well as the other.

pub mod candidate;
pub mod cells;
mod error;
pub mod feature;
pub mod file;
#[cfg(test)]
mod fixture;
pub mod forest;
pub mod linear;
pub mod model;
pub mod one_hot;
pub mod predictions;
pub mod table;
pub mod tree;

pub use candidate::{Candidate, Task};
pub use error::LearnError;
pub use model::Model;
pub use predictions::Predictions;
pub use table::{Column, Table, Target};
