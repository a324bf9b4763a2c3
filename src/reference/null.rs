//! Thresholds that keep their promise: how large a statistic of a quiet window is, for this column of this reference.
//!
//! The default null is *whole windows*: real rows are not independent, so what two quiet windows differ by is learnt
//! from the reference's own blocks. In order of trust:
//!
//! 1. **Blocks**: enough blocks for the level. The threshold is a rank among the blocks' own scores, each block
//!    against the rest; no model, exact for exchangeable windows.
//! 2. **Resampled**: the blocks differ no more than rows would (φ ≤ [`INDEPENDENT_PHI`]), and there are enough of them
//!    to be asked. Rows are redrawn on both sides, with the doubt about φ carried. Where the blocks leave no doubt
//!    (upper limit of φ ≤ [`INDEPENDENT_PHI`]) and every expected count is large: **closed form**.
//! 3. **Overdispersion**: too few blocks for the level. Blocks are redrawn and stretched beyond themselves (see
//!    `redraw`); φ is shown, because it says by how much a threshold for independent rows would be wrong.
//! 4. **Assumes independence**: fewer than two blocks with rows; nothing is known.
//!
//! The pseudo-reference's bins are the reference's own. Refitting them to each draw would move the reference's error
//! from its counts to its edges and change nothing to first order.

use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::evidence::Evidence;
use super::overdispersion::Overdispersion;
use super::redraw::{self, DRAWN, Scores};
use crate::stats::score::ThresholdSource;

/// Up to this overdispersion rows count as independent.
pub const INDEPENDENT_PHI: f64 = 1.2;
/// Fewest blocks that can show independence; fewer agree by chance too often.
const MIN_BLOCKS_FOR_INDEPENDENCE: usize = 5;
/// Fewest blocks expected above a threshold that is a rank among them: with one, the threshold would be the largest
/// block, and the false-alarm rate of two references could differ tenfold.
const MIN_BLOCKS_ABOVE: f64 = 2.0;
/// Blocks may have this many times the window's rows and still count as "as long as the window".
const SAME_LENGTH: f64 = 1.25;
/// Fewest and most draws behind a threshold.
pub const MIN_DRAWS: u32 = 2_000;
pub const MAX_DRAWS: u32 = 50_000;
/// Draws wanted above a threshold: the false-alarm rate is then within a third of the level.
const DRAWS_ABOVE: f64 = 10.0;
/// Steps of the grid of window sizes in each doubling: a window counts as at most 8 % smaller than it is.
const SIZES_PER_DOUBLING: f64 = 8.0;

/// Draws made for a level: [`DRAWS_ABOVE`] of them above the threshold, within [`MIN_DRAWS`] and [`MAX_DRAWS`].
pub fn draws_for(level: f64) -> u32 {
    let wanted = DRAWS_ABOVE / level.max(f64::MIN_POSITIVE);
    (wanted.ceil().min(f64::from(MAX_DRAWS)) as u32).max(MIN_DRAWS)
}

/// The size a window of `rows` is calibrated as: the grid's next size downward, which is conservative, because small
/// windows differ more. Below 16 rows the rows themselves.
pub fn window_size(rows: u64) -> u64 {
    if rows < 16 {
        return rows;
    }
    let on_grid = |step: f64| (step / SIZES_PER_DOUBLING).exp2().floor() as u64;
    let step = ((rows as f64).log2() * SIZES_PER_DOUBLING).floor();
    // The grid's sizes are rounded down, so `rows` can itself be the next one.
    let next = on_grid(step + 1.0);
    if next <= rows {
        next
    } else {
        on_grid(step).min(rows)
    }
}

/// The null distribution of one column for windows of one size.
#[derive(Debug)]
pub(crate) struct Calibration {
    pub source: ThresholdSource,
    /// Closed forms may be used where expected counts are large.
    pub closed_form: bool,
    /// Draws (or blocks) behind it.
    pub draws: u32,
    /// For each drawn statistic its draws, largest first.
    sorted: [Vec<f64>; DRAWN],
}

/// Calibrates one column for windows of `window_rows` rows tested at `level`.
pub(crate) fn calibrate(
    evidence: &Evidence,
    overdispersion: Option<&Overdispersion>,
    window_rows: u64,
    level: f64,
    seed: u128,
) -> Calibration {
    let blocks = evidence.blocks.len();
    let rng = &mut Pcg64Mcg::new(seed);
    let draws = draws_for(level);
    let size = window_rows as f64;
    if blocks < 2 {
        let scores = redraw::rows(evidence, window_rows, 1.0, None, draws, rng);
        return Calibration::new(ThresholdSource::AssumesIndependence, true, &scores);
    }
    let phi = overdispersion.map_or(1.0, |found| found.phi);
    if level * (blocks as f64 + 1.0) >= MIN_BLOCKS_ABOVE
        && evidence.block_rows() <= SAME_LENGTH * size
    {
        let scores = redraw::leave_one_out(evidence, window_rows);
        return Calibration::new(ThresholdSource::Blocks, false, &scores);
    }
    // Windows larger than the blocks: dependence that lasts as long as a window grows with it.
    let longer = (size / evidence.block_rows().max(1.0)).max(1.0);
    let phi_of_window = 1.0 + (phi - 1.0).max(0.0) * longer;
    let constant = overdispersion.is_none();
    if constant || (phi_of_window <= INDEPENDENT_PHI && blocks >= MIN_BLOCKS_FOR_INDEPENDENCE) {
        let degrees = overdispersion.map(|found| found.degrees);
        let scores = redraw::rows(evidence, window_rows, phi_of_window, degrees, draws, rng);
        let sure = overdispersion.is_some_and(|found| found.upper <= INDEPENDENT_PHI);
        return Calibration::new(ThresholdSource::Resampled, sure, &scores);
    }
    // Blocks that agree better than rows would agree by chance: they are not believed.
    let stretch = (1.0 / phi.max(f64::MIN_POSITIVE))
        .sqrt()
        .clamp(1.0, MAX_STRETCH);
    let scores = redraw::blocks(evidence, window_rows, stretch, draws, rng);
    Calibration::new(ThresholdSource::Overdispersion, false, &scores)
}

/// Blocks can agree exactly (φ = 0) where a column is scheduled; ten times their differences is then far enough.
const MAX_STRETCH: f64 = 10.0;

impl Calibration {
    fn new(source: ThresholdSource, closed_form: bool, scores: &[Scores]) -> Self {
        let sorted = std::array::from_fn(|statistic| {
            let mut values: Vec<f64> = scores.iter().map(|score| score[statistic]).collect();
            values.sort_by(|a, b| b.total_cmp(a));
            values
        });
        Self {
            source,
            closed_form,
            draws: u32::try_from(scores.len()).unwrap_or(u32::MAX),
            sorted,
        }
    }

    /// Numbers kept.
    pub fn size(&self) -> usize {
        self.sorted.iter().map(Vec::len).sum()
    }

    /// The rank, from 1, of the draw that is the threshold at `level`; 0 where the draws cannot serve it.
    pub fn rank(&self, level: f64) -> usize {
        // The slack takes up rounding, so that a level of exactly r/(B + 1) gives r.
        (level * (f64::from(self.draws) + 1.0) + 1e-9).floor() as usize
    }

    /// The value whose exceeding means p ≤ `level`; `None` where too few draws were made for the level.
    pub fn threshold(&self, statistic: usize, level: f64) -> Option<f64> {
        let rank = self.rank(level);
        rank.checked_sub(1)
            .and_then(|at| self.sorted[statistic].get(at).copied())
    }

    /// (1 + draws at least as large) / (1 + draws): never below 1/(draws + 1).
    pub fn p_value(&self, statistic: usize, value: f64) -> f64 {
        let at_least = self.sorted[statistic].partition_point(|&drawn| drawn >= value);
        (at_least as f64 + 1.0) / (f64::from(self.draws) + 1.0)
    }
}

/// The x with P(χ² ≥ x) = `level`.
pub(crate) fn chi_squared_quantile(level: f64, degrees: f64) -> f64 {
    ChiSquared::new(degrees).map_or(0.0, |chi| chi.inverse_cdf((1.0 - level).clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_sizes_stand_on_a_grid_not_above_them() {
        for rows in [0, 1, 15, 16, 17, 100, 1000, 1024, 1640, 1 << 40] {
            let size = window_size(rows);
            assert!(
                size <= rows && size as f64 >= 0.9 * rows as f64,
                "{rows}: {size}"
            );
            assert_eq!(window_size(size), size);
        }
        assert_eq!(window_size(1024), 1024);
    }

    #[test]
    fn draws_follow_the_level_within_bounds() {
        assert_eq!(
            (draws_for(0.05), draws_for(1e-3), draws_for(1e-9)),
            (2_000, 10_000, 50_000)
        );
    }

    /// 2000 draws 0, 1, … 1999 of every statistic.
    fn ladder() -> Calibration {
        let scores: Vec<Scores> = (0..1999).map(|i| [f64::from(i); DRAWN]).collect();
        Calibration::new(ThresholdSource::Resampled, false, &scores)
    }

    #[test]
    fn above_the_threshold_and_p_below_the_level_are_one_statement() {
        let calibration = ladder();
        for level in [0.0005, 0.001, 0.018, 0.05, 0.5] {
            let threshold = calibration.threshold(0, level).expect("enough draws");
            for value in [
                threshold - 1.0,
                threshold - 0.5,
                threshold,
                threshold + 0.5,
                threshold + 1.0,
            ] {
                assert_eq!(
                    value > threshold,
                    calibration.p_value(0, value) <= level + 1e-12,
                    "{level} {value}"
                );
            }
        }
    }

    #[test]
    fn p_values_do_not_fall_below_what_the_draws_can_say() {
        let calibration = ladder();
        assert_eq!(calibration.p_value(0, 1e9), 1.0 / 2000.0);
        assert_eq!(calibration.threshold(0, 0.0001), None);
    }
}
