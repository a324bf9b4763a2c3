//! What a reference says of one column: its counts and those of its blocks, laid out for redrawing.

use super::fitted::Unseen;
use crate::stats::total;
use crate::stats::wasserstein::{self, Axis, Support};

/// Counts of one column by *atom*: the finest cells that any statistic of the column looks at. Numeric columns have
/// atoms in ascending rank (missing first), categorical ones have their bins.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// The reference by bin, with the expected share of unseen categories.
    pub bins: Vec<u64>,
    /// The reference by atom.
    pub reference: Vec<u64>,
    /// Each block that has rows, by atom.
    pub blocks: Vec<Vec<u64>>,
    /// The bin of each atom.
    pub bin_of_atom: Vec<usize>,
    pub ranks: Option<Ranks>,
    /// How many bins, the first ones, are ranges of values between quantiles of this very reference; `None` where the
    /// bins do not depend on how many rows they got.
    pub fitted_cells: Option<usize>,
    /// Where the share of unseen categories is an estimate.
    pub unseen: Option<Unseen>,
}

/// The order and positions of a numeric column's atoms.
#[derive(Debug, Clone)]
pub(crate) struct Ranks {
    /// The atoms that hold finite values.
    pub values: std::ops::Range<usize>,
    /// Ascending edges between the atoms in `values`.
    pub edges: Vec<f64>,
    pub support: Support,
    /// The reference's standard deviation, where it has one.
    pub deviation: Option<f64>,
    /// The reference against itself: the axis of the null.
    pub axis: Axis,
}

impl Evidence {
    /// The atoms that are redrawn.
    pub fn atoms(&self) -> &[u64] {
        &self.reference
    }

    pub fn bins_of(&self, atoms: &[u64]) -> Vec<u64> {
        let mut bins = vec![0_u64; self.bins.len()];
        for (&count, &bin) in atoms.iter().zip(&self.bin_of_atom) {
            bins[bin] = bins[bin].saturating_add(count);
        }
        bins
    }

    pub fn blocks_total(&self) -> Vec<u64> {
        let mut whole = vec![0_u64; self.reference.len()];
        for block in &self.blocks {
            whole
                .iter_mut()
                .zip(block)
                .for_each(|(sum, &count)| *sum = sum.saturating_add(count));
        }
        whole
    }

    pub fn block_bins(&self) -> Vec<Vec<u64>> {
        self.blocks
            .iter()
            .map(|block| self.bins_of(block))
            .collect()
    }

    /// Rows in an average block.
    pub fn block_rows(&self) -> f64 {
        self.blocks.iter().map(|block| total(block)).sum::<f64>() / self.blocks.len().max(1) as f64
    }
}

impl Ranks {
    pub fn new(
        values: std::ops::Range<usize>,
        edges: Vec<f64>,
        support: Support,
        deviation: Option<f64>,
    ) -> Self {
        let axis = Axis::new(&edges, support, support);
        Self {
            values,
            edges,
            support,
            deviation,
            axis,
        }
    }

    /// The scale of the null: under no drift the window lies where the reference does.
    fn scale(&self) -> Option<f64> {
        wasserstein::scale(self.deviation, self.support, self.support)
    }

    /// The Wasserstein distance of two samples that both lie where the reference does.
    pub fn null_distance(&self, reference: &[u64], window: &[u64]) -> f64 {
        self.scale().map_or(0.0, |scale| {
            self.axis
                .distance(
                    &reference[self.values.clone()],
                    &window[self.values.clone()],
                    scale,
                )
                .value
        })
    }
}
