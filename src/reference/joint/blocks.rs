//! Whole windows exchanged: each window of the reference takes the place of the judged one in turn.
//!
//! If nothing has changed, the judged window is one more window like those of the reference, and its distance from the
//! others is one more draw of how far windows lie from the rest. With enough windows its rank is the p-value; with
//! fewer, distances are taken as multiples of a χ² whose degrees of freedom follow from their mean and variance, so
//! that the window's distance over their mean is F distributed. All windows show equally many rows, or small ones
//! would seem to lie farther off.

use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor};

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
/// Degrees of freedom that windows show are a guess. The least they can be, with this chance of being fewer, is what is
/// used: simulated with 4 to 90 independent windows of 1 to 40 degrees, 0.1 to 0.66 % are then taken for drift at a level
/// of 0.5 %, and 0.01 to 0.18 % at 0.1 %. Taken as they are found: up to 3.9 and 2.5 %.
const DOUBT_OF_DEGREES: f64 = 0.05;

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
    super::enough("window", window.len(), left_out[1])?;
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

/// The chance that a window lies at least so many times as far off as the others do on average.
fn chance_of(times: f64, law: &FisherSnedecor) -> f64 {
    law.sf(times.min(f64::MAX)).clamp(f64::MIN_POSITIVE, 1.0)
}

/// The fewest degrees of freedom that these distances leave possible, at least 1.
fn least_degrees(distances: &[f64]) -> f64 {
    if distances.len() < FEW_BLOCKS {
        return 1.0;
    }
    let free = distances.len() as f64 - 1.0;
    let part = ChiSquared::new(free).map_or(0.0, |chi| chi.inverse_cdf(DOUBT_OF_DEGREES) / free);
    (degrees(distances) * part).max(1.0)
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
    let each = least_degrees(&distances);
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
            chance_of(own / mean, &ratio)
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::Distribution as _;
    use rand_pcg::Pcg64Mcg;

    /// How often a quiet window is taken for drift, with `blocks` distances of so many degrees of freedom each.
    fn rate(blocks: usize, degrees: f64, level: f64) -> f64 {
        let rng = &mut Pcg64Mcg::new(17);
        let law = rand_distr::ChiSquared::new(degrees).expect("above 0");
        let cases = 10_000;
        let drifts = (0..cases).filter(|_| {
            let others: Vec<f64> = (0..blocks).map(|_| law.sample(rng)).collect();
            let each = least_degrees(&others);
            let ratio = FisherSnedecor::new(each, each * blocks as f64).expect("above 0");
            let mean = others.iter().sum::<f64>() / blocks as f64;
            chance_of(law.sample(rng) / mean, &ratio) <= level
        });
        drifts.count() as f64 / f64::from(cases)
    }

    #[test]
    fn few_windows_do_not_promise_more_than_they_know() {
        for (blocks, degrees) in [
            (4, 1.0),
            (4, 10.0),
            (6, 3.0),
            (10, 1.0),
            (10, 40.0),
            (30, 3.0),
        ] {
            let (half, tenth) = (rate(blocks, degrees, 0.005), rate(blocks, degrees, 0.001));
            assert!(
                half < 0.008,
                "{blocks} blocks of {degrees}: {half} at 0.5 %"
            );
            assert!(
                tenth < 0.0026,
                "{blocks} blocks of {degrees}: {tenth} at 0.1 %"
            );
        }
        // Not by never speaking.
        assert!(rate(30, 1.0, 0.02) > 0.01);
    }

    #[test]
    fn degrees_that_cannot_be_known_are_few() {
        assert_eq!(least_degrees(&[1.0, 1.0, 1.0]), 1.0);
        // Four that agree by chance are not a million degrees.
        let few = least_degrees(&[1.0, 1.01, 0.99, 1.0]);
        let many: Vec<f64> = (0..90).map(|i| 1.0 + 0.01 * f64::from(i % 3)).collect();
        assert!(few < 0.2 * degrees(&[1.0, 1.01, 0.99, 1.0]));
        assert!(least_degrees(&many) > 0.7 * degrees(&many));
    }
}
