//! Wasserstein distance between the rows of two samples: how far values moved, in the column's unit.

use super::sorted::{Sorted, walk};
use super::summation::Sum;

/// ∫ |F(x) − G(x)| dx over the finite values of both samples: the mean way that values have to move to turn one sample
/// into the other. 0 and up, symmetric, in the column's unit.
///
/// Ties are values like any other. Infinite values are left out, because they have no distance; count them as bins. A
/// distance beyond the largest number is given as that number. `None` where a sample holds no finite value. One walk
/// over both samples, summed in ascending order with the rounding errors carried.
/// Source: Vallender (1974); `scipy.stats.wasserstein_distance`.
///
/// ```
/// use driftline::stats::{sorted::Sorted, wasserstein_exact::distance};
/// let (a, b) = (Sorted::new(&[0.1, 0.4, 0.35, 0.8, 1.2]), Sorted::new(&[0.2, 0.9, 1.5, 1.1, 2.4]));
/// assert!((distance(&a, &b).unwrap() - 0.65).abs() < 1e-12);
/// ```
pub fn distance(reference: &Sorted, current: &Sorted) -> Option<f64> {
    integral(reference.finite(), current.finite(), f64::abs)
}

/// ∫ `height`(F(x) − G(x)) dx, for a height that is 0 at 0 and at most 1.
pub(super) fn integral(a: &[f64], b: &[f64], height: impl Fn(f64) -> f64) -> Option<f64> {
    let (first, last) = (a.first()?.min(*b.first()?), a.last()?.max(*b.last()?));
    // The difference of two finite numbers can overflow; that of their halves cannot.
    let unit = if (last - first).is_finite() { 1.0 } else { 0.5 };
    let (per_a, per_b) = (1.0 / a.len() as f64, 1.0 / b.len() as f64);
    let mut sum = Sum::default();
    let mut before = first * unit;
    // Between one call and the next the counts are those of values passed, and inside a group of ties the width is 0.
    walk(a, b, |x, i, j| {
        let x = x * unit;
        sum.add(height(i as f64 * per_a - j as f64 * per_b) * (x - before));
        before = x;
    });
    Some((sum.value() / unit).min(f64::MAX))
}

/// `distance` in standard deviations of the reference, as Evidently and Azure ML give it: over max(`deviation`,
/// `least`), the deviation with divisor n. `least` keeps a constant reference from making everything infinitely far;
/// they take [`LEAST_DEVIATION`].
///
/// ```
/// use driftline::stats::wasserstein_exact::{LEAST_DEVIATION, scaled};
/// assert_eq!(scaled(1.0, 0.0, LEAST_DEVIATION), 1000.0);
/// assert_eq!(scaled(1.0, 4.0, LEAST_DEVIATION), 0.25);
/// ```
pub fn scaled(distance: f64, deviation: f64, least: f64) -> f64 {
    let scale = deviation.max(least);
    if distance == 0.0 || scale.is_nan() {
        return 0.0;
    }
    (distance / scale).min(f64::MAX)
}

/// What Evidently and Azure ML divide by at least.
pub const LEAST_DEVIATION: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::super::energy_distance;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        let one = Sorted::new(&[3.0]);
        assert_eq!(distance(&Sorted::default(), &one), None);
        assert_eq!(distance(&Sorted::new(&[f64::INFINITY]), &one), None);
        assert_eq!(distance(&one, &one), Some(0.0));
        let far = [Sorted::new(&[-f64::MAX]), Sorted::new(&[f64::MAX])];
        assert_eq!(distance(&far[0], &far[1]), Some(f64::MAX));
        assert_eq!(
            distance(&Sorted::new(&[-1e308]), &Sorted::new(&[0.7e308])),
            Some(1.7e308)
        );
        assert_eq!(
            distance(&Sorted::new(&[1.0, f64::INFINITY]), &Sorted::new(&[2.0])),
            Some(1.0)
        );
        assert_eq!(scaled(0.0, 0.0, 0.0), 0.0);
        assert_eq!(scaled(1.0, 0.0, 0.0), f64::MAX);
    }

    proptest! {
        #[test]
        fn distances_are_numbers_and_symmetric(
            a in proptest::collection::vec(any::<f64>(), 1..20), b in proptest::collection::vec(any::<f64>(), 1..20),
        ) {
            let (a, b) = (Sorted::new(&a), Sorted::new(&b));
            for measure in [distance, energy_distance::distance] {
                let (there, back) = (measure(&a, &b), measure(&b, &a));
                prop_assert_eq!(there, back);
                prop_assert!(there.is_none_or(|d| d.is_finite() && d >= 0.0));
                prop_assert_eq!(measure(&a, &a).unwrap_or(0.0), 0.0);
            }
        }

        /// Moving every value moves the sample by as much.
        #[test]
        fn a_shift_is_its_own_distance(a in proptest::collection::vec(-1000..1000i32, 1..60), shift in -500..500i32) {
            let moved: Sorted = a.iter().map(|&x| f64::from(x + shift)).collect();
            let a: Sorted = a.into_iter().map(f64::from).collect();
            let found = distance(&a, &moved).expect("rows");
            prop_assert!((found - f64::from(shift.abs())).abs() < 1e-9);
        }
    }
}
