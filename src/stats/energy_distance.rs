//! Energy distance between the rows of two samples of one column.

use super::sorted::Sorted;
use super::wasserstein_exact::integral;

/// √(2·∫ (F(x) − G(x))² dx) = √(2E|X − Y| − E|X − X′| − E|Y − Y′|) over the finite values of both samples: 0 and up,
/// symmetric, in the root of the column's unit.
///
/// O(n) on sorted samples, without the means over pairs. Ties are values like any other. Infinite values are left out,
/// because they have no distance. `None` where a sample holds no finite value.
/// Source: Székely and Rizzo, *Energy Statistics* (2013); `scipy.stats.energy_distance`.
///
/// ```
/// use driftline::stats::{energy_distance::distance, sorted::Sorted};
/// let (a, b) = (Sorted::new(&[0.1, 0.4, 0.35, 0.8, 1.2]), Sorted::new(&[0.2, 0.9, 1.5, 1.1, 2.4]));
/// assert!((distance(&a, &b).unwrap() - 0.672_309_452_558_864_4).abs() < 1e-12);
/// ```
pub fn distance(reference: &Sorted, current: &Sorted) -> Option<f64> {
    integral(reference.finite(), current.finite(), |gap| gap * gap)
        .map(|area| area.sqrt() * std::f64::consts::SQRT_2)
}
