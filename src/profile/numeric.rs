//! Numbers of one column: counts per cell, extremes, and exact scaled sums.
//!
//! **Invariant:** each value is rounded to the layout's scale alone, before it is added, so sums are integers and do
//! not depend on the order of addition. Scaling is by powers of two and therefore exact; the only roundings are one
//! subtraction (`x − center`) and the rounding to whole units, the same on every machine.

use std::hint::select_unpredictable;

use super::layout::{MAX_EDGES, NumericCells};
use super::missing::Missing;
use crate::event::State;

/// A value whose scaled form exceeds this is clipped: 2³² times the largest value of the sample.
const SUM_CLIP: f64 = (1u128 << 85) as f64;
/// A value whose scaled distance from the center exceeds this is clipped: about 1000 times the largest of the
/// sample. Its square is below 2⁹², so that 2³⁵ such rows fit 128 bits.
const SQUARE_CLIP: f64 = (1u64 << 46) as f64;
/// Scaled values below this are converted by way of `i64`, which is much faster than `i128`.
const FAST: f64 = (1u64 << 62) as f64;

/// Numbers searched side by side.
const LANES: usize = 8;

/// The numbers of one column, counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NumericProfile {
    /// Cell `i` counts finite values in `(edges[i-1], edges[i]]`; the outer cells are open. Values outside a
    /// declared domain are not here but in `below` and `above`.
    pub cells: Vec<u64>,
    pub missing: Missing,
    pub nan: u64,
    pub positive_infinity: u64,
    pub negative_infinity: u64,
    /// Finite values under the declared domain; always 0 without one.
    pub below: u64,
    /// Finite values over the declared domain; always 0 without one.
    pub above: u64,
    /// Extremes of all finite values, in or out of the domain; `None` when there is none. Never −0.0.
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Σ round(x·2^`sum_shift`) over the values in cells that are not clipped. Halves are rounded away from zero.
    pub sum: i128,
    /// Σ round((x−`center`)·2^`square_shift`)² over the same values. Wraps around beyond 2¹²⁷, which takes more than
    /// 2³⁵ rows that all lie a thousand times farther out than the sample reached.
    pub squares: i128,
    /// Values in cells that are too large for the scales: counted in their cell, left out of both sums.
    pub clipped: u64,
}

impl NumericProfile {
    pub fn new(cells: &NumericCells) -> Self {
        Self {
            cells: vec![0; cells.edges.len() + 1],
            ..Self::default()
        }
    }

    /// Finite values: in a cell, below or above.
    pub fn finite(&self) -> u64 {
        self.cells.iter().sum::<u64>() + self.below + self.above
    }

    /// All numbers: finite, NaN and infinite.
    pub fn values(&self) -> u64 {
        self.finite() + self.nan + self.positive_infinity + self.negative_infinity
    }

    /// Values behind the sums: finite, inside the domain, not clipped.
    pub fn summed(&self) -> u64 {
        self.cells.iter().sum::<u64>().saturating_sub(self.clipped)
    }

    /// Mean of the values in cells, in the column's unit. `None` when there is none, and when some were clipped: the
    /// mean of the others is another number. Off by at most half a unit of the scale, 2^−(sum_shift+1), and a relative
    /// 2⁻⁵².
    pub fn mean(&self, cells: &NumericCells) -> Option<f64> {
        let n = self.summed();
        let mean = shifted(self.sum as f64 / n as f64, -cells.sum_shift);
        (n > 0 && self.clipped == 0 && mean.is_finite()).then_some(mean)
    }

    /// [`NumericProfile::mean`] less the layout's center: for differences of means, which lose no digit however far the
    /// column lies from zero.
    pub fn mean_from_center(&self, cells: &NumericCells) -> Option<f64> {
        (self.clipped == 0)
            .then(|| self.summed_from_center(cells))
            .flatten()
    }

    /// Sample variance of the values in cells, in the column's unit squared: (Σ(x−c)² − n·(mean−c)²) / (n−1). `None`
    /// for fewer than two values, when some were clipped, or when it exceeds the floats.
    pub fn variance(&self, cells: &NumericCells) -> Option<f64> {
        (self.clipped == 0)
            .then(|| self.summed_variance(cells))
            .flatten()
    }

    /// As [`NumericProfile::mean_from_center`], of the values that are not clipped.
    pub(crate) fn summed_from_center(&self, cells: &NumericCells) -> Option<f64> {
        let n = self.summed();
        let mean = shifted(
            self.distance_from_center(cells)? as f64 / n as f64,
            -cells.sum_shift,
        );
        (n > 0 && mean.is_finite()).then_some(mean)
    }

    /// As [`NumericProfile::variance`], of the values that are not clipped.
    pub(crate) fn summed_variance(&self, cells: &NumericCells) -> Option<f64> {
        let n = self.summed();
        if n < 2 || self.squares < 0 {
            return None;
        }
        let distance_from_center = self.distance_from_center(cells)?;
        let offset = shifted(
            distance_from_center as f64 / n as f64,
            cells.square_shift - cells.sum_shift,
        );
        let squares = (self.squares as f64 - offset * offset * n as f64).max(0.0);
        let variance = shifted(squares / (n - 1) as f64, -2 * cells.square_shift);
        variance.is_finite().then_some(variance)
    }

    /// Σ (x − center) over the summed values, in units of the sum. Exact, because both are integers.
    fn distance_from_center(&self, cells: &NumericCells) -> Option<i128> {
        let center = shifted(cells.center, cells.sum_shift).round() as i128;
        self.sum
            .checked_sub(center.checked_mul(i128::from(self.summed()))?)
    }

    /// Adds values to the profile: pairs of a [`State`] byte and the number that it qualifies.
    pub(crate) fn count(
        &mut self,
        compiled: &CompiledNumeric,
        values: impl Iterator<Item = (u8, f64)>,
    ) {
        let (mut sum, mut squares) = (self.sum, self.squares);
        let (mut block, mut filled) = ([0.0; LANES], 0);
        let mut min = self.min.unwrap_or(f64::INFINITY);
        let mut max = self.max.unwrap_or(f64::NEG_INFINITY);
        for (state, number) in values {
            if state != State::Value as u8 {
                self.missing.count(state);
                continue;
            }
            if !number.is_finite() {
                match () {
                    () if number.is_nan() => self.nan += 1,
                    () if number > 0.0 => self.positive_infinity += 1,
                    () => self.negative_infinity += 1,
                }
                continue;
            }
            // Makes −0.0 the same value as 0.0.
            let x = number + 0.0;
            min = if x < min { x } else { min };
            max = if x > max { x } else { max };
            if x < compiled.low {
                self.below += 1;
                continue;
            }
            if x > compiled.high {
                self.above += 1;
                continue;
            }
            block[filled] = x;
            filled += 1;
            if filled == LANES {
                for cell in compiled.cells(&block) {
                    self.cells[cell] += 1;
                }
                filled = 0;
            }
            let unit = x * compiled.sum_scale;
            let distance_from_center = (x - compiled.center) * compiled.square_scale;
            if unit.abs() <= SUM_CLIP && distance_from_center.abs() <= SQUARE_CLIP {
                let whole = if unit.abs() < FAST {
                    i128::from(rounded(unit))
                } else {
                    unit as i128
                };
                let distance = i128::from(rounded(distance_from_center));
                sum = sum.wrapping_add(whole);
                squares = squares.wrapping_add(distance * distance);
            } else {
                self.clipped += 1;
            }
        }
        for &x in &block[..filled] {
            self.cells[compiled.cell(x)] += 1;
        }
        (self.sum, self.squares) = (sum, squares);
        if min <= max {
            (self.min, self.max) = (Some(min), Some(max));
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.cells.iter_mut().zip(&other.cells) {
            *ours += theirs;
        }
        self.missing.merge(&other.missing);
        self.nan += other.nan;
        self.positive_infinity += other.positive_infinity;
        self.negative_infinity += other.negative_infinity;
        self.below += other.below;
        self.above += other.above;
        self.min = [self.min, other.min].into_iter().flatten().reduce(f64::min);
        self.max = [self.max, other.max].into_iter().flatten().reduce(f64::max);
        self.sum = self.sum.wrapping_add(other.sum);
        self.squares = self.squares.wrapping_add(other.squares);
        self.clipped += other.clipped;
    }
}

/// A numeric column made ready for counting.
#[derive(Debug)]
pub(crate) struct CompiledNumeric {
    /// The edges, filled up with +∞ so that the search needs no bounds.
    edges: Box<[f64; MAX_EDGES + 1]>,
    /// Half of the smallest power of two above the number of edges.
    first_step: usize,
    low: f64,
    high: f64,
    center: f64,
    sum_scale: f64,
    square_scale: f64,
}

impl CompiledNumeric {
    pub(crate) fn new(cells: &NumericCells) -> Self {
        let mut edges = Box::new([f64::INFINITY; MAX_EDGES + 1]);
        for (slot, edge) in edges.iter_mut().zip(cells.edges.iter().take(MAX_EDGES)) {
            *slot = *edge;
        }
        let [low, high] = cells.domain.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
        Self {
            first_step: (cells.edges.len() + 1).next_power_of_two() / 2,
            edges,
            low,
            high,
            center: cells.center,
            sum_scale: shifted(1.0, cells.sum_shift),
            square_scale: shifted(1.0, cells.square_shift),
        }
    }

    /// [`Self::cell`] of several numbers at once: their searches do not wait for each other.
    fn cells(&self, numbers: &[f64; LANES]) -> [usize; LANES] {
        let mut found = [0; LANES];
        let mut step = self.first_step;
        while step > 0 {
            for (found, &x) in found.iter_mut().zip(numbers) {
                let smaller = self.edges[(*found + step - 1) & MAX_EDGES] < x;
                *found += select_unpredictable(smaller, step, 0);
            }
            step /= 2;
        }
        found
    }

    /// The cell of a finite number: how many edges are smaller. A binary search that selects instead of branching:
    /// nothing can be predicted here, and a wrong guess costs more than the whole search.
    fn cell(&self, x: f64) -> usize {
        let mut found = 0;
        let mut step = self.first_step;
        while step > 0 {
            let smaller = self.edges[(found + step - 1) & MAX_EDGES] < x;
            found += select_unpredictable(smaller, step, 0);
            step /= 2;
        }
        found
    }
}

/// `x`·2^`shift`, exact but for overflow and underflow.
fn shifted(x: f64, shift: i32) -> f64 {
    // In parts, because 2^shift itself may not be a float where the product is.
    let part = shift / 4;
    [part, part, part, shift - 3 * part]
        .into_iter()
        .fold(x, |x, part| x * 2f64.powi(part))
}

/// The nearest integer, halves away from zero, for |x| < 2⁶²: the same as `x.round()`, in a few instructions.
fn rounded(x: f64) -> i64 {
    let whole = x as i64;
    // Exact: both are close together, or the rest is 0.
    let rest = x - whole as f64;
    whole + i64::from(rest >= 0.5) - i64::from(rest <= -0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(edges: &[f64], domain: Option<[f64; 2]>) -> NumericCells {
        NumericCells {
            edges: edges.to_vec(),
            domain,
            center: 3.0,
            sum_shift: 50,
            square_shift: 33,
        }
    }

    fn counted(cells: &NumericCells, numbers: &[f64]) -> NumericProfile {
        let mut profile = NumericProfile::new(cells);
        profile.count(
            &CompiledNumeric::new(cells),
            numbers.iter().map(|x| (State::Value as u8, *x)),
        );
        profile
    }

    #[test]
    fn cells_are_closed_above_and_the_outer_ones_open() {
        let profile = counted(
            &cells(&[0.0, 1.0], None),
            &[-1e300, -0.0, 0.0, f64::MIN_POSITIVE, 1.0, 1.5, 1e300],
        );
        assert_eq!(profile.cells, [3, 2, 2]);
        assert_eq!((profile.min, profile.max), (Some(-1e300), Some(1e300)));
        assert_eq!(profile.clipped, 2);
    }

    #[test]
    fn what_is_not_finite_has_bins_of_its_own() {
        let profile = counted(
            &cells(&[], Some([0.0, 1.0])),
            &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY],
        );
        assert_eq!(
            (
                profile.nan,
                profile.positive_infinity,
                profile.negative_infinity
            ),
            (1, 2, 1)
        );
        assert_eq!(
            (profile.finite(), profile.values(), profile.min, profile.max),
            (0, 4, None, None)
        );
        assert_eq!(profile.mean(&cells(&[], None)), None);
    }

    #[test]
    fn values_outside_the_domain_are_not_in_cells_or_sums() {
        let cells = cells(&[0.5], Some([0.0, 1.0]));
        let profile = counted(&cells, &[-1.0, 0.0, 1.0, 1.5, 9.0]);
        assert_eq!(
            (profile.below, &profile.cells[..], profile.above),
            (1, &[1, 1][..], 2)
        );
        assert_eq!((profile.min, profile.max), (Some(-1.0), Some(9.0)));
        assert_eq!(profile.mean(&cells), Some(0.5));
    }

    #[test]
    fn moments() {
        let cells = cells(&[], None);
        let profile = counted(&cells, &[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(profile.mean(&cells), Some(5.0));
        assert_eq!(profile.variance(&cells), Some(32.0 / 7.0));
        assert_eq!(counted(&cells, &[2.0]).variance(&cells), None);
        assert_eq!(counted(&cells, &[2.5, 2.5]).variance(&cells), Some(0.0));
    }

    #[test]
    fn small_differences_far_from_zero_keep_their_digits() {
        let cells = NumericCells {
            center: 1e9,
            sum_shift: 23,
            square_shift: 6,
            ..cells(&[], None)
        };
        let profile = counted(&cells, &[1e9 - 1.0, 1e9, 1e9 + 1.0, 1e9 + 2.0]);
        assert_eq!(profile.mean(&cells), Some(1e9 + 0.5));
        assert_eq!(profile.variance(&cells), Some(5.0 / 3.0));
    }

    #[test]
    fn there_is_no_mean_of_some_of_the_values() {
        let cells = cells(&[], None);
        let profile = counted(&cells, &[1.0, 2.0, 3.0, 1e30]);
        assert_eq!((profile.clipped, profile.summed()), (1, 3));
        assert_eq!(profile.mean(&cells), None);
        assert_eq!(profile.mean_from_center(&cells), None);
        assert_eq!(profile.variance(&cells), None);
        assert_eq!(profile.summed_from_center(&cells), Some(-1.0));
    }

    #[test]
    fn means_far_from_zero_differ_by_what_their_values_do() {
        let cells = NumericCells {
            center: 1e15,
            sum_shift: 3,
            square_shift: 20,
            ..cells(&[], None)
        };
        // Floats near 10¹⁵ are an eighth apart: as a float the first mean would be 10¹⁵ itself.
        let mean = |numbers: &[f64]| counted(&cells, numbers).mean_from_center(&cells);
        assert_eq!(mean(&[1e15, 1e15, 1e15, 1e15 + 0.125]), Some(0.03125));
        assert_eq!(mean(&[1e15 - 2.0]), Some(-2.0));
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn extreme_scales_stay_finite() {
        for (x, sum_shift, square_shift) in [(1e-280, 983, 966), (1e300, -944, -961)] {
            let cells = NumericCells {
                center: 0.0,
                sum_shift,
                square_shift,
                ..cells(&[], None)
            };
            let profile = counted(&cells, &[x, x]);
            let mean = profile.mean(&cells).expect("two values");
            assert!((mean / x - 1.0).abs() < 1e-12, "{mean}");
            // The squares of these values are no floats, but their variance is.
            assert_eq!(profile.variance(&cells), Some(0.0));
        }
    }

    proptest! {
        #[test]
        fn the_search_counts_smaller_edges(mut edges in prop::collection::vec(-50i32..50, 0..255), x in -60i32..60) {
            edges.sort_unstable();
            edges.dedup();
            let edges: Vec<f64> = edges.into_iter().map(f64::from).collect();
            let compiled = CompiledNumeric::new(&cells(&edges, None));
            for x in [f64::from(x), f64::from(x) + 0.5] {
                prop_assert_eq!(compiled.cell(x), edges.iter().filter(|edge| **edge < x).count());
            }
        }

        #[test]
        fn rounding_is_to_the_nearest(x in prop_oneof![-10.0..10.0f64, -4e18..4e18f64, (-99i32..99).prop_map(|i| f64::from(i) / 2.0)]) {
            prop_assert_eq!(rounded(x), x.round() as i64);
        }
    }

    #[test]
    fn the_search_reaches_all_256_cells() {
        let edges: Vec<f64> = (1..=255).map(f64::from).collect();
        let compiled = CompiledNumeric::new(&cells(&edges, None));
        for i in 0..256 {
            assert_eq!(compiled.cell(f64::from(i) + 0.5), i as usize);
        }
    }
}
