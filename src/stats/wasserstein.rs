//! Wasserstein distance from ranked cells: how far values moved, in the column's unit or in standard deviations.

use super::{size_factor, total};

/// Mean of a standard normal's absolute value, √(2/π).
const HALF_NORMAL_MEAN: f64 = 0.797_884_56;

/// Where a sample's finite values lie: its smallest and largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Support {
    pub min: f64,
    pub max: f64,
}

/// What cells say of the distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// ∫ |G(x) − F(x)| dx with both distribution functions linear inside each cell, in the unit of `scale`.
    pub value: f64,
    /// The distance between the rows themselves differs from `value` by at most this.
    pub error_bound: f64,
    /// What `value` is on average under no drift with independent rows, to first order.
    pub expected: f64,
}

/// The cells of two samples laid over one axis; made once for many counts.
///
/// Cell `i` holds values in `(edges[i-1], edges[i]]`, cut to the sample's own support, so that the open outer cells
/// have an end. A cell whose part of the support is a single point holds all its rows there.
#[derive(Debug, Clone)]
pub struct Axis {
    widths: Vec<f64>,
    reference: Side,
    current: Side,
}

#[derive(Debug, Clone)]
struct Side {
    /// For each interval of the axis: the cell it lies in and the share of that cell's rows that it takes.
    slopes: Vec<(usize, f64)>,
    /// Cells whose rows all lie on the breakpoint that begins interval `.0` (ascending).
    jumps: Vec<(usize, usize)>,
    /// For each cell, the length over which its rows may lie.
    lengths: Vec<f64>,
}

impl Axis {
    /// `edges` ascending (equal neighbours are an empty cell) and finite.
    pub fn new(edges: &[f64], reference: Support, current: Support) -> Self {
        let mut points: Vec<f64> = edges.to_vec();
        points.extend([reference.min, reference.max, current.min, current.max]);
        let (first, last) = (
            reference.min.min(current.min),
            reference.max.max(current.max),
        );
        points.retain(|&x| x.is_finite() && first <= x && x <= last);
        points.sort_by(f64::total_cmp);
        points.dedup();
        let intervals: Vec<(f64, f64)> = points.windows(2).map(|w| (w[0], w[1])).collect();
        // Halves, because the difference of two finite numbers can overflow.
        let widths = intervals
            .iter()
            .map(|&(a, b)| (2.0 * (b / 2.0 - a / 2.0)).min(f64::MAX))
            .collect();
        Self {
            widths,
            reference: Side::new(edges, &points, &intervals, reference),
            current: Side::new(edges, &points, &intervals, current),
        }
    }

    /// The current rows may in truth lie as far out as `own`, though their outer cells end where `laid` does: the bound
    /// then knows it.
    ///
    /// ```
    /// use driftline::stats::wasserstein::{Axis, Support};
    /// let (laid, own) = (Support { min: 0.0, max: 10.0 }, Support { min: 0.0, max: 13.0 });
    /// let bound = |axis: Axis| axis.distance(&[0, 1], &[9, 1], 1.0).error_bound;
    /// let axis = Axis::new(&[9.0], laid, laid);
    /// // One row in ten may be 3 farther out.
    /// assert!((bound(axis.clone().reaching(laid, own)) - bound(axis) - 0.3).abs() < 1e-12);
    /// ```
    pub fn reaching(mut self, laid: Support, own: Support) -> Self {
        let lengths = &mut self.current.lengths;
        // Of rows that all lie at the farthest place the mean is so far from the middle of the cell.
        let add = |length: &mut f64, beyond: f64| *length = (*length + 2.0 * beyond).min(f64::MAX);
        if let Some(first) = lengths.first_mut() {
            add(first, length((own.min, laid.min)));
        }
        if let Some(last) = lengths.last_mut() {
            add(last, length((laid.max, own.max)));
        }
        self
    }

    /// The distance for these counts, divided by `scale` (see [`scale`]). An empty sample gives 0.
    ///
    /// ```
    /// use driftline::stats::wasserstein::{Axis, Support};
    /// // Uniform on 0..10 against uniform on 2..12: everything moved by 2.
    /// let axis = Axis::new(&[2.0, 10.0], Support { min: 0.0, max: 10.0 }, Support { min: 2.0, max: 12.0 });
    /// let found = axis.distance(&[20, 80, 0], &[0, 80, 20], 1.0);
    /// assert!((found.value - 2.0).abs() < 1e-12);
    /// ```
    pub fn distance(&self, reference: &[u64], current: &[u64], scale: f64) -> Distance {
        let (n, m) = (total(reference), total(current));
        if n <= 0.0 || m <= 0.0 || !(scale > 0.0 && scale.is_finite()) {
            return Distance {
                value: 0.0,
                error_bound: 0.0,
                expected: 0.0,
            };
        }
        let share = |counts: &[u64], cell: usize, total: f64| {
            counts.get(cell).map_or(0.0, |&count| count as f64 / total)
        };
        let (mut f, mut g) = (0.0, 0.0);
        let (mut f_jumps, mut g_jumps) = (
            self.reference.jumps.iter().peekable(),
            self.current.jumps.iter().peekable(),
        );
        let (mut value, mut expected) = (0.0, 0.0);
        for (i, &width) in self.widths.iter().enumerate() {
            while let Some(&&(_, cell)) = f_jumps.peek().filter(|jump| jump.0 <= i) {
                f += share(reference, cell, n);
                f_jumps.next();
            }
            while let Some(&&(_, cell)) = g_jumps.peek().filter(|jump| jump.0 <= i) {
                g += share(current, cell, m);
                g_jumps.next();
            }
            let (start, f_start, g_start) = (g - f, f, g);
            let (cell, part) = self.reference.slopes[i];
            f += part * share(reference, cell, n);
            let (cell, part) = self.current.slopes[i];
            g += part * share(current, cell, m);
            let width = width / scale;
            value += width * mean_absolute(start, g - f);
            let pooled =
                ((n * (f + f_start) + m * (g + g_start)) / (2.0 * (n + m))).clamp(0.0, 1.0);
            expected += width * (pooled * (1.0 - pooled)).sqrt();
        }
        let bound =
            self.reference.bound(reference, n, scale) + self.current.bound(current, m, scale);
        let finite = |x: f64| if x.is_finite() { x.max(0.0) } else { f64::MAX };
        Distance {
            value: finite(value),
            error_bound: finite(bound),
            expected: finite(expected * HALF_NORMAL_MEAN * size_factor(n, m).sqrt()),
        }
    }
}

impl Side {
    fn new(edges: &[f64], points: &[f64], intervals: &[(f64, f64)], support: Support) -> Self {
        let cells = edges.len() + 1;
        let bounds = |cell: usize| {
            let low = if cell == 0 {
                support.min
            } else {
                edges[cell - 1].clamp(support.min, support.max)
            };
            let high = if cell == edges.len() {
                support.max
            } else {
                edges[cell].clamp(support.min, support.max)
            };
            (low, high)
        };
        let lengths: Vec<f64> = (0..cells).map(|cell| length(bounds(cell))).collect();
        let slopes = intervals
            .iter()
            .map(|&(a, b)| {
                let cell = edges.partition_point(|&edge| edge < b);
                let (low, high) = bounds(cell);
                let inside = lengths[cell] > 0.0 && low <= a && b <= high;
                (
                    cell,
                    if inside {
                        length((a, b)) / lengths[cell]
                    } else {
                        0.0
                    },
                )
            })
            .collect();
        let jumps = (0..cells)
            .filter(|&cell| lengths[cell] <= 0.0)
            .map(|cell| (points.partition_point(|&x| x < bounds(cell).0), cell))
            .collect();
        Self {
            slopes,
            jumps,
            lengths,
        }
    }

    /// Half a cell's length for each of its rows: no order of rows inside the cell is farther from the straight
    /// line than all of them at one end.
    fn bound(&self, counts: &[u64], total: f64, scale: f64) -> f64 {
        counts
            .iter()
            .zip(&self.lengths)
            .map(|(&count, length)| count as f64 / total * (length / scale) / 2.0)
            .sum()
    }
}

/// The difference of two finite numbers, at most `f64::MAX`.
fn length((low, high): (f64, f64)) -> f64 {
    (2.0 * (high / 2.0 - low / 2.0)).clamp(0.0, f64::MAX)
}

/// ∫₀¹ |a + (b − a)t| dt.
fn mean_absolute(a: f64, b: f64) -> f64 {
    if a * b >= 0.0 {
        (a.abs() + b.abs()) / 2.0
    } else {
        (a * a + b * b) / (2.0 * (a - b).abs())
    }
}

/// What the distance is divided by: the reference's standard deviation. Where that is 0 or unknown (a constant
/// reference), the length of both supports together, so that a constant that moves as a whole has moved by 1.
/// `None` when all values of both samples are one number: nothing moved.
pub fn scale(
    reference_deviation: Option<f64>,
    reference: Support,
    current: Support,
) -> Option<f64> {
    match reference_deviation {
        Some(deviation) if deviation > 0.0 && deviation.is_finite() => Some(deviation),
        _ => {
            let reach = length((
                reference.min.min(current.min),
                reference.max.max(current.max),
            ));
            (reach > 0.0).then_some(reach)
        }
    }
}

/// The distance less what chance makes of it with independent rows, √(2/π)·√(1/n + 1/m)·∫ √(F(1 − F)) dx, not
/// below 0.
pub fn effect(distance: &Distance) -> f64 {
    (distance.value - distance.expected).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn support(rows: &[f64]) -> Support {
        Support {
            min: rows.iter().copied().fold(f64::INFINITY, f64::min),
            max: rows.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    fn counts(rows: &[f64], edges: &[f64]) -> Vec<u64> {
        let mut cells = vec![0; edges.len() + 1];
        for &x in rows {
            cells[edges.partition_point(|&edge| edge < x)] += 1;
        }
        cells
    }

    /// The definition, from rows.
    fn exact(a: &[f64], b: &[f64]) -> f64 {
        let mut points: Vec<f64> = a.iter().chain(b).copied().collect();
        points.sort_by(f64::total_cmp);
        let share = |rows: &[f64], x: f64| {
            rows.iter().filter(|&&y| y <= x).count() as f64 / rows.len() as f64
        };
        points
            .windows(2)
            .map(|w| (w[1] - w[0]) * (share(a, w[0]) - share(b, w[0])).abs())
            .sum()
    }

    #[test]
    fn a_constant_that_moves_is_a_full_shift() {
        let (reference, current) = (
            Support { min: 3.0, max: 3.0 },
            Support { min: 5.0, max: 5.0 },
        );
        let by = scale(Some(0.0), reference, current).expect("it moved");
        let axis = Axis::new(&[], reference, current);
        let found = axis.distance(&[10], &[20], by);
        assert_eq!((found.value, found.error_bound), (1.0, 0.0));
        assert_eq!(scale(None, reference, reference), None);
    }

    #[test]
    fn empty_samples_and_absurd_numbers_have_an_answer() {
        let wide = Support {
            min: -f64::MAX,
            max: f64::MAX,
        };
        let axis = Axis::new(&[0.0], wide, Support { min: 1.0, max: 1.0 });
        assert_eq!(axis.distance(&[0, 0], &[0, 3], 1.0).value, 0.0);
        let found = axis.distance(&[u64::MAX, u64::MAX], &[0, 3], 1.0);
        assert!(
            found.value.is_finite() && found.error_bound.is_finite() && found.expected.is_finite()
        );
    }

    #[test]
    fn the_expected_value_is_what_independent_rows_show() {
        // Uniform values in 100 cells, 500 rows against 500, 200 pairs of samples by a fixed rule.
        let edges: Vec<f64> = (1..100).map(f64::from).collect();
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1u32 << 31) * 100.0
        };
        let whole = Support {
            min: 0.0,
            max: 100.0,
        };
        let axis = Axis::new(&edges, whole, whole);
        let (mut seen, mut said) = (0.0, 0.0);
        for _ in 0..200 {
            let (a, b): (Vec<f64>, Vec<f64>) = (0..500).map(|_| (next(), next())).unzip();
            let found = axis.distance(&counts(&a, &edges), &counts(&b, &edges), 1.0);
            seen += found.value;
            said += found.expected;
        }
        assert!((seen / said - 1.0).abs() < 0.1, "{seen} {said}");
    }

    proptest! {
        #[test]
        fn the_bound_holds_against_the_rows(
            a in proptest::collection::vec(-30..30i32, 1..60), b in proptest::collection::vec(-20..40i32, 1..60),
            edges in proptest::collection::btree_set(-35..45i32, 0..10),
        ) {
            let [a, b] = [a, b].map(|rows| rows.into_iter().map(|x| f64::from(x) / 2.0).collect::<Vec<_>>());
            let edges: Vec<f64> = edges.into_iter().map(|x| f64::from(x) / 2.0).collect();
            let axis = Axis::new(&edges, support(&a), support(&b));
            let found = axis.distance(&counts(&a, &edges), &counts(&b, &edges), 1.0);
            prop_assert!((found.value - exact(&a, &b)).abs() <= found.error_bound + 1e-9);
        }
    }
}
