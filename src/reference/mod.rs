//! What a window is compared with, and how surprising a difference is when nothing has changed.
//!
//! A *reference* is immutable and named by its hash. It keeps, beside its whole profile, the profiles of its
//! *blocks* (pieces of one window's length), because only they say how much two quiet windows differ: [`null`] turns
//! them into thresholds, [`budget`] turns a promised rate of false alarms into a level, and [`compare`] judges.
//! [`joint`] judges several columns at once, by sampled rows; [`slices`] says where a drift is concentrated.
//! [`two_sample`] is for a file against a file, where there are no blocks.
//!
//! **Invariant:** everything here is a function of its arguments. The random numbers behind a threshold are seeded
//! from the reference's hash and the column's name, so the same reference gives the same threshold everywhere.
//! [`windows`] alone reads the store: it makes blocks of stored windows. Deliberately absent: which windows or file a
//! reference is made of, and where it is stored; the caller says which, and keeps the bytes.

pub mod blocks;
pub mod budget;
mod cache;
mod column;
pub mod compare;
mod evidence;
mod exchange;
mod exchanged_ranks;
mod fitted;
pub mod joint;
mod measure;
pub mod null;
pub mod overdispersion;
mod redraw;
mod sequential;
mod shuffle;
pub mod slices;
mod truth;
pub mod two_sample;
mod value;
pub mod windows;

#[cfg(test)]
mod promise;
#[cfg(test)]
mod sample;

/// How the source of a reference begins whose predictions are a challenger's, counted anew: no row that was logged has
/// them.
pub const OF_TRAINING: &str = "training: ";

pub use blocks::{Block, Reference, ReferenceError};
pub use budget::{TestBudget, level_for};
pub use cache::NullCache;
pub use compare::{Plan, compare};
pub use value::value;
