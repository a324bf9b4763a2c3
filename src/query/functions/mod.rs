//! driftline's functions of SQL: one aggregate that counts a column into a profile, and scalar functions that read
//! and compare profiles.
//!
//! | file | functions |
//! |---|---|
//! | `profile` | `profile(column, 'layout')`, the aggregate |
//! | `statistic` | every statistic of `stats::table` that profiles are enough for: `psi(profile, profile)` and so on |
//! | `reader` | `profile_rows(profile)`, `profile_mean(profile)` and so on |
//! | `reference` | `reference('model', 'column')` |
//!
//! A profile travels as bytes: those of the profile of one column under the layout of that column alone, without
//! times. The bytes carry the layout's fingerprint and nothing else of it; `names` finds the layout.
//!
//! **Invariant:** a profile counted by SQL has the bytes of a profile counted from the stream, for the same rows,
//! whatever partitions, batches and merges they went through. NULL in is NULL out, and nothing is ever a NaN.

mod error;
mod names;
mod profile;
mod reader;
mod reference;
mod statistic;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

use crate::profile::{Layout, Profile};
use crate::stats::Statistic;

pub(super) use error::FunctionError;
pub(super) use names::Names;
pub(super) use profile::{TEXT_OF_CSV, UNTYPED};

/// The value of a statistic for one column of two profiles, the reference first; both were counted with the layout,
/// which has this column only. `None` where the statistic does not apply or a side has nothing to measure.
///
/// A function that is handed in, because what binds a statistic to a column belongs to `reference`, which itself asks
/// questions to tables.
pub type Measure = fn(Statistic, &Layout, &Profile, &Profile) -> Option<f64>;

/// The scalar functions, by name.
pub(super) fn scalars(names: &Arc<Names>, measure: Measure) -> Vec<ScalarUDF> {
    let mut functions = statistic::all(names, measure);
    functions.extend(reader::all(names));
    functions.push(reference::function(names));
    functions.sort_by(|a, b| a.name().cmp(b.name()));
    functions
}

/// The aggregate.
pub(super) fn aggregate(names: &Arc<Names>) -> AggregateUDF {
    profile::function(names)
}
