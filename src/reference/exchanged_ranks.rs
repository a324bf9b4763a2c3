//! Labels exchanged by rank: the null of distances between distribution functions where the reference has fewer rows than
//! the window.
//!
//! Rows drawn from the reference alone lie nowhere but where its own rows do. With few of them that is too narrow: most
//! windows reach beyond its smallest and largest value, and no drawn one does. Against 100 rows the Wasserstein distance
//! of quiet windows of 1,000 rows spoke in 10 % of cases at a nominal 5 %. The window is what knows more, and as for
//! categories (see `exchange`) both sides are asked: under no drift with independent rows the labels of the pooled rows
//! could have fallen in any way, so tables with the margins of both sides are drawn, and each is measured over the same
//! cells and the same ends as the two sides were.
//!
//! Exact for the distances between cells. What is left open is that the cells end at rows of the reference: its own rows
//! stand evenly in them, those of a drawn one do not.
//!
//! A draw that leaves a side without a finite value has the distance 0: a window without one is not judged, and what is
//! promised is the rate of alarms among all windows, also those.
//!
//! **Invariant:** a function of counts, level and seed. A value exceeds its threshold where, and only where, its p-value is
//! at most the level. Rows count as independent: where blocks of the reference know better, this null is not asked (see
//! `null`).

use rand_pcg::Pcg64Mcg;

use super::null::draws_for;
use super::sequential::{Drawn, Sequential};
use super::shuffle;
use crate::stats::Statistic;

/// The statistics whose rows are exchanged by rank.
pub(crate) const RANKED: [Statistic; 2] = [Statistic::KolmogorovSmirnov, Statistic::Wasserstein];

/// How surprising each of `observed` is among all ways to label the rows of both sides, which are counted by atom.
/// `measure` gives a statistic of two samples by atom. All statistics share the draws, and each has the same in whatever
/// company.
pub(crate) fn judge(
    reference: &[u64],
    window: &[u64],
    observed: &[(Statistic, f64)],
    measure: impl Fn(Statistic, &[u64], &[u64]) -> f64,
    level: f64,
    seed: u128,
) -> Vec<Drawn> {
    let rng = &mut Pcg64Mcg::new(seed);
    let pooled: Vec<u64> = reference
        .iter()
        .zip(window)
        .map(|(&before, &now)| before.saturating_add(now))
        .collect();
    let window_rows = window
        .iter()
        .fold(0, |sum: u64, &count| sum.saturating_add(count));
    let values: Vec<f64> = observed.iter().map(|(_, value)| *value).collect();
    let mut drawing = Sequential::new(&values, level, draws_for(level));
    let (mut before, mut now) = (vec![0; pooled.len()], vec![0; pooled.len()]);
    while drawing.open() {
        shuffle::table(&pooled, window_rows, &mut before, &mut now, rng);
        drawing.take(|which| measure(observed[which].0, &before, &now));
    }
    drawing.finish()
}

#[cfg(test)]
#[path = "exchanged_ranks_tests.rs"]
mod tests;
