//! What is computed of two samples: sums over pairs of rows, and the values that follow.

use rand_pcg::Pcg64Mcg;

use super::Together;
use crate::compute::backend::{Backend, Compute};
use crate::compute::labels::Labels;
use crate::compute::pair_sums::PairSums;
use crate::compute::{pairwise_distance, rbf_mmd};
use crate::reference::redraw::below;
use crate::rules::Bandwidth;
use crate::stats::Statistic;

/// Rows that the median distance is taken of: two million pairs put it within a thousandth of its place.
const WIDTH_ROWS: usize = 2_000;

/// The MMD by a kernel of some width, or the energy distance.
pub(super) struct Measure {
    /// `None` for the energy distance.
    pub sigma: Option<f64>,
}

impl Measure {
    pub fn new(plan: &Together<'_>, first: &[f64], second: &[f64], dims: usize) -> Self {
        let sigma = match (plan.statistic, plan.joint.bandwidth) {
            (Statistic::Mmd, Bandwidth::Sigma(sigma)) => Some(sigma),
            (Statistic::Mmd, Bandwidth::Median) => Some(width(first, second, dims)),
            _ => None,
        };
        Self { sigma }
    }

    pub fn sums(
        &self,
        compute: &Compute,
        first: &[f64],
        second: &[f64],
        dims: usize,
        labels: &Labels,
    ) -> Option<(Vec<PairSums>, Backend)> {
        match self.sigma {
            Some(sigma) => compute.rbf_mmd(&rbf_mmd::points(first, second, dims, sigma)?, labels),
            None => {
                compute.pairwise_distance(&pairwise_distance::points(first, second, dims)?, labels)
            }
        }
    }

    /// What is shown and compared: the unbiased MMD², or the energy distance.
    pub fn value(&self, sums: &PairSums) -> Option<f64> {
        match self.sigma {
            Some(_) => sums.mmd2_unbiased(),
            None => sums.energy(),
        }
    }

    /// What is never below 0.
    pub fn biased(&self, sums: &PairSums) -> Option<f64> {
        match self.sigma {
            Some(_) => sums.mmd2_biased().map(|value| value.max(0.0)),
            None => sums.energy(),
        }
    }

    /// What is 0 on average where nothing differs, and not below it.
    pub fn effect(&self, sums: &PairSums) -> Option<f64> {
        let value = match self.sigma {
            Some(_) => sums.mmd2_unbiased(),
            None => sums.energy_unbiased(),
        };
        value.map(|value| value.max(0.0))
    }
}

/// The median distance over rows of both sides, 1 where most rows are the same. Which rows is drawn from their number
/// alone: a choice that knew the sides would make the width another one when labels are exchanged.
fn width(first: &[f64], second: &[f64], dims: usize) -> f64 {
    let rows: Vec<&[f64]> = [first, second]
        .into_iter()
        .flat_map(|side| side.chunks_exact(dims.max(1)))
        .collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let rng = &mut Pcg64Mcg::new(rows.len() as u128);
    for place in 0..WIDTH_ROWS.min(rows.len()) {
        let other = place + below(rng, rows.len() - place);
        order.swap(place, other);
    }
    order.truncate(WIDTH_ROWS);
    let of = |places: &[usize]| -> Vec<f64> {
        let rows = places.iter().filter_map(|place| rows.get(*place));
        rows.copied().flatten().copied().collect()
    };
    // Of which side a row is makes no difference to the median.
    let (one, other) = order.split_at(order.len() / 2);
    pairwise_distance::points(&of(one), &of(other), dims)
        .and_then(|points| pairwise_distance::median(&points))
        .filter(|median| *median > 0.0)
        .unwrap_or(1.0)
}
