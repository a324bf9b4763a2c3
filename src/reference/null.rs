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
//! A level beneath 1/(draws + 1) is served by the draws' fitted tail, marked *extrapolated*, down to a hundredth of
//! that (see `stats::tail`); beneath it the column is not judged, and the reason says how many draws it would take.
//!
//! Where rows are redrawn, numeric bins are refitted to every pseudo-reference, because they are the reference's own
//! quantiles (see `fitted`, which also says how that is done without rows). Statistics of ranks have no bins to refit:
//! the layout's cells stand.
//!
//! No reference can say which categories it missed or met by luck; one with fewer rows than the window cannot say what lies
//! beyond its values. Where rows would be redrawn, the rows of both sides are exchanged instead (see `exchange`, and
//! `exchanged_ranks` for statistics of ranks), with φ taken as 1: of both where the window has more rows, of categories also
//! where nothing is known of φ and the reference has few rows for them. Bins of numbers miss nothing, being refitted.

use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::evidence::Evidence;
use super::overdispersion::Overdispersion;
use super::redraw::{self, Scores};
use crate::stats::Statistic;
use crate::stats::score::ThresholdSource;
pub use crate::stats::tail::MAX_DRAWS;
use crate::stats::tail::Tail;

/// Up to this overdispersion rows count as independent.
pub const INDEPENDENT_PHI: f64 = 1.2;
/// Fewest blocks that can show independence; fewer agree by chance too often.
pub(super) const MIN_BLOCKS_FOR_INDEPENDENCE: usize = 5;
/// Fewest blocks expected above a threshold that is a rank among them: with one, the threshold would be the largest
/// block, and the false-alarm rate of two references could differ tenfold.
pub(super) const MIN_BLOCKS_ABOVE: f64 = 2.0;
/// Blocks may have this many times the window's rows and still count as "as long as the window".
const SAME_LENGTH: f64 = 1.25;
/// Fewest draws behind a threshold.
pub const MIN_DRAWS: u32 = 2_000;
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
    statistics: Vec<Drawn>,
}

/// The draws of one statistic.
#[derive(Debug)]
struct Drawn {
    statistic: Statistic,
    /// Largest first.
    sorted: Vec<f64>,
    /// Where the level is beneath what the draws can say, and they have a tail that can be continued.
    tail: Option<Tail>,
}

/// Calibrates one column for windows of `window_rows` rows tested at `level`. `statistics` as `redraw::drawn` has them.
pub(crate) fn calibrate(
    evidence: &Evidence,
    overdispersion: Option<&Overdispersion>,
    window_rows: u64,
    level: f64,
    seed: u128,
    statistics: &[Statistic],
) -> Calibration {
    let made = |source, closed_form, scores: Scores| {
        Calibration::new(source, closed_form, statistics, &scores, level)
    };
    let blocks = evidence.blocks.len();
    let rng = &mut Pcg64Mcg::new(seed);
    let draws = draws_for(level);
    let size = window_rows as f64;
    if blocks < 2 {
        let scores = redraw::rows(evidence, window_rows, 1.0, None, draws, rng, statistics);
        return made(ThresholdSource::AssumesIndependence, true, scores);
    }
    let phi = overdispersion.map_or(1.0, |found| found.phi);
    if level * (blocks as f64 + 1.0) >= MIN_BLOCKS_ABOVE
        && evidence.block_rows() <= SAME_LENGTH * size
    {
        let scores = redraw::leave_one_out(evidence, window_rows, statistics);
        return made(ThresholdSource::Blocks, false, scores);
    }
    // Windows larger than the blocks: dependence that lasts as long as a window grows with it.
    let longer = (size / evidence.block_rows().max(1.0)).max(1.0);
    let phi_of_window = 1.0 + (phi - 1.0).max(0.0) * longer;
    let constant = overdispersion.is_none();
    if constant || (phi_of_window <= INDEPENDENT_PHI && blocks >= MIN_BLOCKS_FOR_INDEPENDENCE) {
        let degrees = overdispersion.map(|found| found.degrees);
        let scores = redraw::rows(
            evidence,
            window_rows,
            phi_of_window,
            degrees,
            draws,
            rng,
            statistics,
        );
        let sure = overdispersion.is_some_and(|found| found.upper <= INDEPENDENT_PHI);
        return made(ThresholdSource::Resampled, sure, scores);
    }
    // Blocks that agree better than rows would agree by chance: they are not believed.
    let stretch = (1.0 / phi.max(f64::MIN_POSITIVE))
        .sqrt()
        .clamp(1.0, MAX_STRETCH);
    let scores = redraw::blocks(evidence, window_rows, stretch, draws, rng, statistics);
    made(ThresholdSource::Overdispersion, false, scores)
}

/// Blocks can agree exactly (φ = 0) where a column is scheduled; ten times their differences is then far enough.
const MAX_STRETCH: f64 = 10.0;

impl Calibration {
    fn new(
        source: ThresholdSource,
        closed_form: bool,
        statistics: &[Statistic],
        scores: &[f64],
        level: f64,
    ) -> Self {
        let width = statistics.len().max(1);
        let mut calibration = Self {
            source,
            closed_form,
            draws: u32::try_from(scores.len() / width).unwrap_or(u32::MAX),
            statistics: Vec::new(),
        };
        let beneath = calibration.rank(level) == 0;
        for (place, &statistic) in statistics.iter().enumerate() {
            let mut sorted: Vec<f64> = scores.iter().skip(place).step_by(width).copied().collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let tail = if beneath { Tail::fit(&sorted) } else { None };
            calibration.statistics.push(Drawn {
                statistic,
                sorted,
                tail,
            });
        }
        calibration
    }

    /// Numbers kept.
    pub fn size(&self) -> usize {
        self.statistics.iter().map(|drawn| drawn.sorted.len()).sum()
    }

    /// The rank, from 1, of the draw that is the threshold at `level`; 0 where the draws cannot serve it.
    pub fn rank(&self, level: f64) -> usize {
        // The slack takes up rounding, so that a level of exactly r/(B + 1) gives r.
        (level * (f64::from(self.draws) + 1.0) + 1e-9).floor() as usize
    }

    /// What `value` is judged by at `level`: exceeding the threshold and a p-value of at most `level` are one
    /// statement. `None` where neither the draws nor their tail can serve the level, or the statistic was not drawn.
    pub fn verdict(&self, statistic: Statistic, value: f64, level: f64) -> Option<Judged> {
        let drawn = self
            .statistics
            .iter()
            .find(|drawn| drawn.statistic == statistic)?;
        let at_least = drawn.sorted.partition_point(|&draw| draw >= value);
        let p_value = (at_least as f64 + 1.0) / (f64::from(self.draws) + 1.0);
        if let Some(at) = self.rank(level).checked_sub(1) {
            return Some(Judged {
                threshold: *drawn.sorted.get(at)?,
                p_value,
                extrapolated: false,
            });
        }
        let tail = drawn.tail.as_ref()?;
        Some(Judged {
            threshold: tail.quantile(level)?,
            p_value: tail.p_value(value).unwrap_or(p_value),
            extrapolated: true,
        })
    }
}

/// A value beside its threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Judged {
    pub threshold: f64,
    /// (1 + draws at least as large) / (1 + draws), never below 1/(draws + 1) unless extrapolated.
    pub p_value: f64,
    /// Whether threshold and p-value rest on the fitted tail of the draws.
    pub extrapolated: bool,
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

    /// 1999 draws 0, 1, … 1998 of PSI, made for `level`.
    fn ladder(level: f64) -> Calibration {
        let scores: Vec<f64> = (0..1999).map(f64::from).collect();
        let (source, psi) = (ThresholdSource::Resampled, [Statistic::Psi]);
        Calibration::new(source, false, &psi, &scores, level)
    }

    #[track_caller]
    fn judged(calibration: &Calibration, value: f64, level: f64) -> Judged {
        calibration
            .verdict(Statistic::Psi, value, level)
            .expect("the level can be served")
    }

    #[test]
    fn above_the_threshold_and_p_below_the_level_are_one_statement() {
        for level in [0.0005, 0.001, 0.018, 0.05, 0.5] {
            let calibration = ladder(level);
            let threshold = judged(&calibration, 0.0, level).threshold;
            for off in [-1.0, -0.5, 0.0, 0.5, 1.0] {
                let found = judged(&calibration, threshold + off, level);
                assert_eq!(off > 0.0, found.p_value <= level + 1e-12, "{level} {off}");
                assert!(!found.extrapolated);
            }
        }
    }

    #[test]
    fn p_values_do_not_fall_below_what_the_draws_can_say() {
        let calibration = ladder(0.01);
        assert_eq!(judged(&calibration, 1e9, 0.01).p_value, 1.0 / 2000.0);
        assert_eq!(calibration.verdict(Statistic::Psi, 1e9, 0.0001), None);
        assert_eq!(
            calibration.verdict(Statistic::JensenShannon, 1.0, 0.01),
            None
        );
    }

    #[test]
    fn a_level_beneath_the_draws_is_extrapolated_or_refused() {
        let level = 0.0001;
        let scores: Vec<f64> = (1..=2000).map(|i| -(f64::from(i) / 2001.0).ln()).collect();
        let of = |level| {
            let (source, psi) = (ThresholdSource::Resampled, [Statistic::Psi]);
            Calibration::new(source, false, &psi, &scores, level)
        };
        let found = judged(&of(level), 12.0, level);
        assert!(found.extrapolated && found.p_value < level);
        assert!((found.threshold - 1e4_f64.ln()).abs() < 0.5, "{found:?}");
        for off in [-1.0, -1e-6, 1e-6, 1.0] {
            let judged = judged(&of(level), found.threshold + off, level);
            assert_eq!(off > 0.0, judged.p_value <= level, "{off} {judged:?}");
        }
        // Values that the draws know keep the draws' p-value.
        assert!((judged(&of(level), 0.5, level).p_value - (-0.5_f64).exp()).abs() < 0.01);
        assert_eq!(of(1e-6).verdict(Statistic::Psi, 12.0, 1e-6), None);
    }
}
