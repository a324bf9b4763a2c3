//! Numbers of one column: counts per cell, extremes, and exact scaled sums.
//!
//! **Invariant:** each value is rounded to the layout's scale alone, before it is added, so sums are integers and do
//! not depend on the order of addition. Scaling is by powers of two and therefore exact; the only roundings are one
//! subtraction (`x − center`) and the rounding to whole units, the same on every machine.

use super::layout::NumericCells;
use super::missing::Missing;
use super::search::{LANES, Search};
use crate::event::State;

/// A value whose scaled form exceeds this is clipped: 2³² times the largest value of the sample.
const SUM_CLIP: f64 = (1u128 << 85) as f64;
/// A value whose scaled distance from the center exceeds this is clipped: about 1000 times the largest of the
/// sample. Its square is below 2⁹², so that 2³⁵ such rows fit 128 bits.
const SQUARE_CLIP: f64 = (1u64 << 46) as f64;
/// Scaled values below this are whole after they went through `i64`, and [`BLOCK`] of them add up there.
const SHORT: f64 = (1u64 << 56) as f64;

/// Numbers that are counted together.
const BLOCK: usize = 64;

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
        let variance = shifted(self.summed_units(cells)?, -2 * cells.square_shift);
        variance.is_finite().then_some(variance)
    }

    /// The root of [`NumericProfile::summed_variance`], also where that is too large or too small for a float.
    pub(crate) fn summed_deviation(&self, cells: &NumericCells) -> Option<f64> {
        let deviation = shifted(self.summed_units(cells)?.sqrt(), -cells.square_shift);
        deviation.is_finite().then_some(deviation)
    }

    /// The variance in squared units of what is squared.
    fn summed_units(&self, cells: &NumericCells) -> Option<f64> {
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
        Some(squares / (n - 1) as f64)
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
        let (mut block, mut filled) = ([0.0; BLOCK], 0);
        for (state, number) in values {
            // Makes −0.0 the same value as 0.0.
            let x = number + 0.0;
            if state == State::Value as u8 && compiled.low <= x && x <= compiled.high {
                block[filled] = x;
                filled += 1;
                if filled == BLOCK {
                    self.count_block(compiled, &block);
                    filled = 0;
                }
            } else {
                self.count_apart(compiled, state, x);
            }
        }
        self.count_block(compiled, &block[..filled]);
    }

    /// What lies in no cell.
    #[cold]
    fn count_apart(&mut self, compiled: &CompiledNumeric, state: u8, x: f64) {
        if state != State::Value as u8 {
            self.missing.count(state);
        } else if x.is_nan() {
            self.nan += 1;
        } else if x == f64::INFINITY {
            self.positive_infinity += 1;
        } else if x == f64::NEG_INFINITY {
            self.negative_infinity += 1;
        } else {
            self.reach(x, x);
            if x < compiled.low {
                self.below += 1;
            } else {
                self.above += 1;
            }
        }
    }

    /// At most [`BLOCK`] finite numbers inside the domain, none of them −0.0.
    #[inline]
    fn count_block(&mut self, compiled: &CompiledNumeric, block: &[f64]) {
        let (lanes, rest) = block.as_chunks::<LANES>();
        let (mut low, mut high) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        for numbers in lanes {
            for ((low, high), &x) in low.iter_mut().zip(&mut high).zip(numbers) {
                *low = if x < *low { x } else { *low };
                *high = if x > *high { x } else { *high };
            }
            for cell in compiled.search.cells(numbers) {
                self.cells[cell] += 1;
            }
        }
        let low = low
            .iter()
            .chain(rest)
            .copied()
            .fold(f64::INFINITY, f64::min);
        let high = high
            .iter()
            .chain(rest)
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return;
        }
        if !rest.is_empty() {
            let mut numbers = [low; LANES];
            numbers[..rest.len()].copy_from_slice(rest);
            for cell in &compiled.search.cells(&numbers)[..rest.len()] {
                self.cells[*cell] += 1;
            }
        }
        self.reach(low, high);
        self.add(compiled, block, [low, high]);
    }

    /// Adds numbers to both sums. `ends` are the least and the greatest of them.
    #[inline]
    fn add(&mut self, compiled: &CompiledNumeric, block: &[f64], ends: [f64; 2]) {
        // Scaling keeps the order: what holds at both ends holds between them.
        if ends
            .iter()
            .all(|&x| compiled.unit(x).abs() < SHORT && compiled.distance(x).abs() <= SQUARE_CLIP)
        {
            let (mut sum, mut squares) = (0, 0);
            for &x in block {
                sum += rounded(compiled.unit(x));
                let distance = u128::from(rounded(compiled.distance(x)).unsigned_abs());
                squares += distance * distance;
            }
            self.sum = self.sum.wrapping_add(sum.into());
            self.squares = self.squares.wrapping_add(squares as i128);
            return;
        }
        for &x in block {
            let (unit, distance) = (compiled.unit(x), compiled.distance(x));
            if unit.abs() <= SUM_CLIP && distance.abs() <= SQUARE_CLIP {
                let whole = if unit.abs() < SHORT {
                    rounded(unit).into()
                } else {
                    unit as i128
                };
                let distance = i128::from(rounded(distance));
                self.sum = self.sum.wrapping_add(whole);
                self.squares = self.squares.wrapping_add(distance * distance);
            } else {
                self.clipped += 1;
            }
        }
    }

    fn reach(&mut self, low: f64, high: f64) {
        self.min = Some(self.min.map_or(low, |min| min.min(low)));
        self.max = Some(self.max.map_or(high, |max| max.max(high)));
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
    search: Search,
    /// The domain, which without a declared one is all finite numbers.
    low: f64,
    high: f64,
    center: f64,
    sum_scale: f64,
    square_scale: f64,
}

impl CompiledNumeric {
    pub(crate) fn new(cells: &NumericCells) -> Self {
        let [low, high] = cells.domain.unwrap_or([f64::MIN, f64::MAX]);
        Self {
            search: Search::new(&cells.edges),
            low,
            high,
            center: cells.center,
            sum_scale: shifted(1.0, cells.sum_shift),
            square_scale: shifted(1.0, cells.square_shift),
        }
    }

    /// In units of the sum.
    #[inline]
    fn unit(&self, x: f64) -> f64 {
        x * self.sum_scale
    }

    /// From the center, in units of what is squared.
    #[inline]
    fn distance(&self, x: f64) -> f64 {
        (x - self.center) * self.square_scale
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
#[inline]
fn rounded(x: f64) -> i64 {
    // The sum is rounded to a float itself: from half a unit on it reaches the next integer, below that it does not,
    // and an integer, which may have no digits left for the half, stays what it is.
    const UNDER_HALF: f64 = 0.5_f64.next_down();
    (x + UNDER_HALF.copysign(x)) as i64
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

    /// As the fields say it, one value after the other.
    fn expected(cells: &NumericCells, values: &[(u8, f64)]) -> NumericProfile {
        let mut profile = NumericProfile::new(cells);
        let [low, high] = cells.domain.unwrap_or([f64::MIN, f64::MAX]);
        for &(state, x) in values {
            if state != State::Value as u8 {
                profile.missing.count(state);
                continue;
            }
            match x {
                x if x.is_nan() => profile.nan += 1,
                f64::INFINITY => profile.positive_infinity += 1,
                f64::NEG_INFINITY => profile.negative_infinity += 1,
                x => {
                    profile.min = Some(profile.min.map_or(x, |min| min.min(x)) + 0.0);
                    profile.max = Some(profile.max.map_or(x, |max| max.max(x)) + 0.0);
                    if x < low {
                        profile.below += 1;
                    } else if x > high {
                        profile.above += 1;
                    } else {
                        profile.cells[cells.edges.iter().filter(|&&edge| edge < x).count()] += 1;
                        let unit = (x * 2f64.powi(cells.sum_shift)).round();
                        let distance = (x - cells.center) * 2f64.powi(cells.square_shift);
                        if unit.abs() > SUM_CLIP || distance.abs() > SQUARE_CLIP {
                            profile.clipped += 1;
                        } else {
                            profile.sum += unit as i128;
                            profile.squares += (distance.round() as i128).pow(2);
                        }
                    }
                }
            }
        }
        profile
    }

    fn value() -> impl Strategy<Value = (u8, f64)> {
        let number = prop_oneof![
            20 => -4.0..4.0f64,
            4 => (-9i32..9).prop_map(|i| f64::from(i) / 4.0),
            1 => Just(-0.0),
            1 => -2e5..2e5f64,
            1 => any::<f64>(),
        ];
        (prop_oneof![30 => Just(0u8), 1 => 1..5u8], number)
    }

    proptest! {
        #[test]
        fn blocks_count_what_single_values_do(
            values in prop::collection::vec(value(), 0..300),
            mut edges in prop::collection::vec(-4.0..4.0f64, 0..100),
            domain in prop_oneof![Just(None), Just(Some([-1.0, 2.5]))],
            (sum_shift, square_shift) in prop_oneof![Just((50, 33)), Just((0, 0)), Just((60, 42)), Just((-3, 3))],
        ) {
            edges.sort_unstable_by(f64::total_cmp);
            let cells = NumericCells { sum_shift, square_shift, ..cells(&edges, domain) };
            let mut profile = NumericProfile::new(&cells);
            profile.count(&CompiledNumeric::new(&cells), values.iter().copied());
            prop_assert_eq!(profile, expected(&cells, &values));
        }

        #[test]
        fn rounding_is_to_the_nearest(x in prop_oneof![
            -10.0..10.0f64,
            -4e18..4e18f64,
            (-99i32..99).prop_map(|i| f64::from(i) / 2.0),
            (-9i64..9).prop_map(|i| (i as f64 / 2.0).next_down()),
            (-9i64..9).prop_map(|i| (i as f64 / 2.0).next_up()),
            (50u32..54, -9i64..9).prop_map(|(bits, i)| (1u64 << bits) as f64 + i as f64 / 2.0),
        ]) {
            prop_assert_eq!(rounded(x), x.round() as i64);
            prop_assert_eq!(rounded(-x), (-x).round() as i64);
        }
    }
}
