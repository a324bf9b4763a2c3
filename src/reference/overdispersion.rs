//! Overdispersion φ: how many times more the blocks of a reference differ than independent rows would.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::stats::{chi_squared, occupied};

/// φ of one column, and how well its blocks know it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overdispersion {
    /// Mean over blocks of the two-sample χ² over its degrees of freedom, each block against the rest. 1 for
    /// independent rows, in the tens for weather by the week.
    pub phi: f64,
    /// Degrees of freedom of φ as a scaled χ², for all blocks together. Satterthwaite's: 2·mean²/variance of the
    /// blocks' values, so that blocks which differ in one direction only (a column that warms and cools) count as one
    /// degree each, and blocks which differ in every bin count as many as there are.
    pub degrees: f64,
    /// One-sided 95 % upper confidence limit of φ.
    pub upper: f64,
}

/// Fewest blocks whose variance is taken as an estimate; with fewer, each block counts as one degree of freedom.
const MIN_BLOCKS_FOR_VARIANCE: usize = 4;
/// One minus the confidence of [`Overdispersion::upper`].
const UPPER_TAIL: f64 = 0.05;

/// Measures φ over `blocks` (counts by bin, each with at least one row). `None` with fewer than two blocks, or where
/// the column has one bin only: then nothing can differ.
pub fn measure(blocks: &[Vec<u64>]) -> Option<Overdispersion> {
    let (first, others) = blocks.split_first()?;
    if others.is_empty() {
        return None;
    }
    let mut whole = first.clone();
    for block in others {
        whole
            .iter_mut()
            .zip(block)
            .for_each(|(sum, &count)| *sum = sum.saturating_add(count));
    }
    let ratios: Vec<f64> = blocks
        .iter()
        .filter_map(|block| {
            let rest: Vec<u64> = whole
                .iter()
                .zip(block)
                .map(|(&all, &count)| all - count)
                .collect();
            chi_squared::per_degree(&rest, block)
        })
        .collect();
    if ratios.len() < 2 {
        return None;
    }
    let k = ratios.len() as f64;
    let phi = ratios.iter().sum::<f64>() / k;
    let variance = ratios
        .iter()
        .map(|ratio| (ratio - phi) * (ratio - phi))
        .sum::<f64>()
        / (k - 1.0);
    let most = (occupied(&whole, &whole).max(2) - 1) as f64;
    let each = if ratios.len() < MIN_BLOCKS_FOR_VARIANCE {
        1.0
    } else if variance > 0.0 {
        (2.0 * phi * phi / variance).clamp(1.0, most)
    } else {
        most
    };
    let degrees = each * (k - 1.0);
    // A χ² quantile of 0 (fewer degrees than the library resolves) would say nothing: no limit then.
    let quantile = ChiSquared::new(degrees).map_or(0.0, |chi| chi.inverse_cdf(UPPER_TAIL));
    let upper = if quantile > 0.0 {
        phi * degrees / quantile
    } else {
        f64::MAX
    };
    Some(Overdispersion {
        phi,
        degrees,
        upper,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(measure(&[]), None);
        assert_eq!(measure(&[vec![1, 2]]), None);
        assert_eq!(measure(&[vec![5, 0], vec![7, 0]]), None);
    }

    #[test]
    fn equal_blocks_are_underdispersed_and_opposite_ones_overdispersed() {
        let equal = measure(&vec![vec![50, 50]; 9]).expect("blocks");
        assert_eq!(equal.phi, 0.0);
        let opposite =
            measure(&[vec![90, 10], vec![10, 90], vec![90, 10], vec![10, 90]]).expect("blocks");
        assert!(opposite.phi > 20.0, "{opposite:?}");
        assert!(opposite.upper > opposite.phi);
    }
}
