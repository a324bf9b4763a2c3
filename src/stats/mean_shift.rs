//! Shift of the mean, in standard deviations of the reference, judged by how much the means of blocks differ.

use super::{size_factor, student_tail};

/// Mean and spread of one sample's finite values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    pub n: f64,
    pub mean: f64,
    /// 0 for a constant or a single value.
    pub deviation: f64,
}

/// The signed shift (current − reference) over the reference's standard deviation. Where that is 0, over the
/// current one's; where both are 0, a constant that moved has moved by ±1 (a full shift) and one that did not by 0.
/// Source: Cohen (1988), Glass's Δ.
///
/// ```
/// use driftline::stats::mean_shift::{Moments, shift};
/// let reference = Moments { n: 1000.0, mean: 35.0, deviation: 8.0 };
/// assert_eq!(shift(&reference, &Moments { n: 100.0, mean: 39.0, deviation: 7.0 }), 0.5);
/// ```
pub fn shift(reference: &Moments, current: &Moments) -> f64 {
    let moved = current.mean / 2.0 - reference.mean / 2.0;
    match scale(reference, current) {
        Some(scale) => finite(2.0 * (moved / scale)),
        None if moved == 0.0 => 0.0,
        None => moved.signum(),
    }
}

/// The standard deviation that a shift is counted in; `None` when both samples are constant.
pub fn scale(reference: &Moments, current: &Moments) -> Option<f64> {
    [reference.deviation, current.deviation]
        .into_iter()
        .find(|&deviation| deviation > 0.0 && deviation.is_finite())
}

/// √max(0, shift² − (1/n + 1/m)): the shift less its variance under no drift with independent rows.
///
/// ```
/// use driftline::stats::mean_shift::effect;
/// assert_eq!(effect(0.1, 100.0, 100.0), 0.0);
/// assert!((effect(-0.5, 100.0, 100.0) - 0.479_583).abs() < 1e-6);
/// ```
pub fn effect(shift: f64, n: f64, m: f64) -> f64 {
    finite((shift * shift - size_factor(n, m)).max(0.0).sqrt())
}

/// How far the mean of one more quiet window may lie from the reference's: the scale and degrees of freedom of a
/// Student t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Null {
    /// Standard error of (window mean − reference mean), in the column's unit.
    pub standard_error: f64,
    /// `None`: the normal distribution.
    pub degrees: Option<f64>,
}

/// From the blocks of the reference: (rows, mean) of each. With K blocks of equal standing, s the standard
/// deviation of their means, one more window lies within s·√(1 + 1/K) by Student's t on K − 1 degrees of freedom.
/// Blocks without rows are left out; `None` with fewer than two blocks or where their means are all the same.
///
/// A window of `rows` fewer rows than the blocks' average gets the sampling variance that it lacks,
/// `deviation`²·(1/rows − 1/average).
pub fn null_of_blocks(blocks: &[(f64, f64)], rows: f64, deviation: f64) -> Option<Null> {
    let means: Vec<f64> = blocks
        .iter()
        .filter(|block| block.0 > 0.0)
        .map(|block| block.1)
        .collect();
    let k = means.len() as f64;
    if means.len() < 2 || rows <= 0.0 {
        return None;
    }
    let center = means.iter().map(|mean| mean / k).sum::<f64>();
    // Squares may be no floats where what they are of is one.
    let unit = means
        .iter()
        .map(|mean| (mean - center).abs())
        .fold(deviation, f64::max);
    if !(unit > 0.0 && unit.is_finite()) {
        return None;
    }
    let square = |x: f64| (x / unit) * (x / unit);
    let between = means
        .iter()
        .map(|mean| square(mean - center) / (k - 1.0))
        .sum::<f64>();
    let average = blocks.iter().map(|block| block.0).sum::<f64>() / k;
    let within = square(deviation) * (1.0 / rows - 1.0 / average).max(0.0);
    let standard_error = unit * (between * (1.0 + 1.0 / k) + within).sqrt();
    (standard_error > 0.0 && standard_error.is_finite()).then_some(Null {
        standard_error,
        degrees: Some(k - 1.0),
    })
}

/// Rows taken as independent: S·√(1/n + 1/m), where S is the standard deviation of the rows of both samples together, which
/// is how much the difference of means varies when their labels are exchanged. The reference's own deviation would be too
/// small for a window with rarer and larger values than it happened to have: with heavy tails (lognormal, σ = 2, 200 against
/// 100 rows) it made 15 % of quiet windows a drift at a nominal 5 %. `None` for a constant reference.
pub fn null_of_rows(reference: &Moments, current: &Moments) -> Option<Null> {
    let (n, m) = (reference.n, current.n);
    let moved = (current.mean - reference.mean).abs();
    // Squares may be no floats where what they are of is one.
    let unit = reference.deviation.max(current.deviation).max(moved);
    if !(reference.deviation > 0.0 && unit.is_finite() && n + m > 1.0) {
        return None;
    }
    let square = |x: f64| (x / unit) * (x / unit);
    let within = (n - 1.0).max(0.0) * square(reference.deviation)
        + (m - 1.0).max(0.0) * square(current.deviation);
    let squares = within + n * m / (n + m) * square(moved);
    let deviation = unit * (squares / (n + m - 1.0)).sqrt();
    let standard_error = deviation * size_factor(n, m).sqrt();
    (standard_error > 0.0 && standard_error.is_finite()).then_some(Null {
        standard_error,
        degrees: None,
    })
}

impl Null {
    /// Two-sided: the chance of a difference at least this large, in the column's unit.
    pub fn p_value(&self, difference: f64) -> f64 {
        use statrs::distribution::{ContinuousCDF, Normal};
        let x = (difference / self.standard_error).abs();
        let tail = match self.degrees {
            Some(degrees) => student_tail(x, degrees),
            None => Normal::new(0.0, 1.0).map_or(0.5, |z| z.sf(x)),
        };
        if tail.is_nan() {
            1.0
        } else {
            (2.0 * tail).clamp(0.0, 1.0)
        }
    }

    /// The absolute difference that is exceeded with chance `level`, in the column's unit.
    pub fn threshold(&self, level: f64) -> f64 {
        // Bisection on the p-value itself, so that "above the threshold" and "p below the level" are one statement.
        let (mut low, mut high) = (0.0, self.standard_error);
        while self.p_value(high) > level && high < f64::MAX / 2.0 {
            high *= 2.0;
        }
        // 100 halvings reach neighbouring floats from any start.
        for _ in 0..100 {
            let middle = low + (high - low) / 2.0;
            if self.p_value(middle) > level {
                low = middle
            } else {
                high = middle
            }
        }
        high
    }
}

fn finite(x: f64) -> f64 {
    if x.is_nan() {
        0.0
    } else {
        x.clamp(-f64::MAX, f64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moments(n: f64, mean: f64, deviation: f64) -> Moments {
        Moments { n, mean, deviation }
    }

    #[test]
    fn a_constant_that_moves_is_a_full_shift() {
        assert_eq!(shift(&moments(9.0, 3.0, 0.0), &moments(9.0, 7.0, 0.0)), 1.0);
        assert_eq!(
            shift(&moments(9.0, 3.0, 0.0), &moments(9.0, 2.0, 0.0)),
            -1.0
        );
        assert_eq!(shift(&moments(9.0, 3.0, 0.0), &moments(9.0, 3.0, 0.0)), 0.0);
        assert_eq!(shift(&moments(9.0, 3.0, 0.0), &moments(9.0, 5.0, 4.0)), 0.5);
    }

    #[test]
    fn blocks_give_students_t() {
        // Means 1, 2, 3: s = 1, so one more window lies within √(4/3) by t on 2 degrees of freedom.
        let null = null_of_blocks(&[(50.0, 1.0), (50.0, 2.0), (50.0, 3.0)], 50.0, 1.0)
            .expect("three blocks");
        assert!((null.standard_error - (4.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        // scipy.stats.t.isf(0.025, 2) = 4.302653
        let threshold = null.threshold(0.05);
        assert!(
            (threshold / null.standard_error - 4.302_653).abs() < 1e-4,
            "{threshold}"
        );
        assert!((null.p_value(threshold) - 0.05).abs() < 1e-9);
    }

    #[test]
    fn a_short_window_is_less_certain() {
        let blocks = [(100.0, 1.0), (100.0, 2.0), (100.0, 3.0)];
        let whole = null_of_blocks(&blocks, 100.0, 5.0)
            .expect("blocks")
            .standard_error;
        let short = null_of_blocks(&blocks, 10.0, 5.0)
            .expect("blocks")
            .standard_error;
        assert!(short > whole);
    }

    #[test]
    fn too_little_gives_no_null() {
        assert_eq!(null_of_blocks(&[(5.0, 1.0)], 5.0, 1.0), None);
        assert_eq!(null_of_blocks(&[(5.0, 1.0), (0.0, 0.0)], 5.0, 1.0), None);
        assert_eq!(null_of_blocks(&[(5.0, 1.0), (5.0, 1.0)], 5.0, 1.0), None);
        let four = moments(4.0, 0.0, 1.0);
        assert_eq!(null_of_rows(&moments(0.0, 0.0, 0.0), &four), None);
    }

    #[test]
    fn rows_vary_as_all_of_them_do() {
        // 0, 0, 2, 2 and 5, 7: of all six the variance is 7.87
        let [a, b] = [
            moments(4.0, 1.0, (4.0_f64 / 3.0).sqrt()),
            moments(2.0, 6.0, 2.0_f64.sqrt()),
        ];
        let null = null_of_rows(&a, &b).expect("rows that vary");
        let variance = (2.0 * 64.0 / 9.0 + 2.0 * 4.0 / 9.0 + 49.0 / 9.0 + 169.0 / 9.0) / 5.0;
        assert!((null.standard_error.powi(2) / (variance * 0.75) - 1.0).abs() < 1e-12);
        let far = |x: &Moments| moments(x.n, x.mean * 1e200, x.deviation * 1e200);
        let scaled = null_of_rows(&far(&a), &far(&b)).expect("rows that vary");
        assert!((scaled.standard_error / null.standard_error / 1e200 - 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn nothing_leaves_the_numbers(a in any::<f64>(), b in any::<f64>(), s in 0.0..f64::MAX, t in 0.0..f64::MAX) {
            prop_assume!(a.is_finite() && b.is_finite());
            let moved = shift(&moments(3.0, a, s), &moments(4.0, b, t));
            prop_assert!(moved.is_finite());
            let effect = effect(moved, 3.0, 4.0);
            prop_assert!(effect.is_finite() && effect >= 0.0);
        }
    }
}
