//! Whole windows exchanged: each window of the reference takes the place of the judged one in turn.
//!
//! If nothing has changed, the judged window is one more window like those of the reference, and its distance from the
//! others is one more draw of how far windows lie from the rest. With enough windows its rank is the p-value; with
//! fewer, distances are taken as multiples of a χ² whose degrees of freedom follow from their mean and variance, so
//! that the window's distance over their mean is F distributed. All windows show equally many rows, or small ones
//! would seem to lie farther off.

use statrs::distribution::{ContinuousCDF, FisherSnedecor};

use super::{LEAST_ROWS, Measure, Null, Picked, Sides, Together, degrees, exceeded_by};
use crate::compute::pair_sums::{PairSums, permutation_p};
use crate::query::RowSample;
use crate::reference::null::MIN_BLOCKS_ABOVE;
use crate::stats::score::ThresholdSource;

/// Most windows of a reference that are compared, evenly spaced ones.
const MOST_BLOCKS: usize = 99;
/// Rows of all windows together.
const POOL_ROWS: usize = 8_000;
/// Fewer windows say nothing of how much their distances vary; each then counts as one degree of freedom.
const FEW_BLOCKS: usize = 4;

/// Rows of every window that a comparison wants, for a reference of so many blocks.
pub fn rows_of_each(blocks: usize) -> usize {
    POOL_ROWS.div_ceil(blocks.clamp(1, MOST_BLOCKS) + 1)
}

/// Equally many complete rows of the window and of each block.
pub(super) fn picked(
    sides: &Sides,
    reference: &RowSample,
    sample: usize,
) -> Result<Picked, String> {
    let blocks = reference.found.len();
    let wanted = rows_of_each(blocks).min(sample);
    let step = blocks.div_ceil(MOST_BLOCKS).max(1);
    let mut of_block: Vec<Vec<usize>> = vec![Vec::new(); blocks];
    let mut left_out = [0; 2];
    for (row, block) in reference.spans.iter().enumerate() {
        let rows = &mut of_block[*block as usize];
        if !(*block as usize).is_multiple_of(step) || rows.len() >= wanted {
            continue;
        }
        if sides.reference.is_complete(row) {
            rows.push(row);
        } else {
            left_out[0] += 1;
        }
    }
    let mut window = Vec::new();
    for row in 0..sides.window.rows {
        if window.len() >= wanted {
            break;
        }
        if sides.window.is_complete(row) {
            window.push(row);
        } else {
            left_out[1] += 1;
        }
    }
    of_block.retain(|rows| rows.len() >= LEAST_ROWS);
    if of_block.len() < 2 {
        return Err(format!(
            "the reference's windows differ, so whole windows are compared, and {} of them has {LEAST_ROWS} rows with all columns; 2 are needed",
            of_block.len()
        ));
    }
    super::enough("window", window.len())?;
    let fewest = of_block.iter().map(Vec::len).min().unwrap_or(0);
    let each = fewest.min(window.len());
    window.truncate(each);
    let mut units = Vec::with_capacity(each * (of_block.len() + 1));
    let mut rows = Vec::with_capacity(each * of_block.len());
    for (unit, block) in (0..).zip(&of_block) {
        rows.extend(&block[..each]);
        units.extend(std::iter::repeat_n(unit, each));
    }
    units.extend(std::iter::repeat_n(of_block.len() as u32, each));
    Ok(Picked {
        first: sides.reference.values(&rows),
        second: sides.window.values(&window),
        units,
        left_out,
    })
}

/// `sums`: of the window against all blocks, then of each block against the window and the other blocks.
pub(super) fn null(plan: &Together<'_>, measure: &Measure, sums: &[PairSums]) -> Option<Null> {
    let (observed, blocks) = sums.split_first()?;
    let value = measure.value(observed)?;
    let own = measure.biased(observed)?;
    let mut distances: Vec<f64> = blocks
        .iter()
        .filter_map(|sums| measure.biased(sums))
        .collect();
    distances.sort_unstable_by(f64::total_cmp);
    let draws = u32::try_from(distances.len()).ok();
    let all: Vec<Option<f64>> = std::iter::once(own)
        .chain(distances.iter().copied())
        .map(Some)
        .collect();
    let each = if distances.len() < FEW_BLOCKS {
        1.0
    } else {
        degrees(&distances)
    };
    let ranked = plan.level * (distances.len() + 1) as f64 >= MIN_BLOCKS_ABOVE;
    let (p_value, threshold, source, method) = if ranked {
        let threshold = exceeded_by(&distances, plan.level)?;
        (
            permutation_p(&all)?,
            threshold,
            ThresholdSource::Blocks,
            "windows",
        )
    } else {
        let k = distances.len() as f64;
        let mean = distances.iter().sum::<f64>() / k;
        let ratio = FisherSnedecor::new(each, each * k).ok()?;
        let p_value = if mean > 0.0 {
            ratio
                .sf((own / mean).min(f64::MAX))
                .clamp(f64::MIN_POSITIVE, 1.0)
        } else if own > 0.0 {
            // Windows that agree to the last bit say nothing of how much they could differ.
            1.0 / (k + 1.0)
        } else {
            1.0
        };
        let threshold = mean * ratio.inverse_cdf(1.0 - plan.level);
        (
            p_value,
            threshold,
            ThresholdSource::Overdispersion,
            "windows",
        )
    };
    Some(Null {
        value,
        p_value,
        // In the scale of what is shown.
        threshold: (threshold + (value - own)).clamp(f64::MIN, f64::MAX),
        source,
        method,
        draws: ranked.then_some(draws).flatten(),
        degrees: each,
    })
}
