//! Shift of a quantile, with an interval from order statistics: no density is estimated and no shape assumed.

use super::histogram::edges;
use super::sorted::Sorted;
use super::variance_shift::normal_quantile;
use super::welch::finite;

/// What moved, in the column's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileShift {
    pub reference: f64,
    pub current: f64,
    /// current − reference.
    pub difference: f64,
    /// The difference lies between these with about the confidence asked for. `None` where a sample is too small: the
    /// interval would reach beyond its rows.
    pub interval: Option<(f64, f64)>,
}

/// The `share`-quantile (0.5 is the median) of both samples' finite values and their difference.
///
/// Each sample's order statistics at n·share ± z·√(n·share·(1 − share)) span an interval for its own quantile; half
/// their distance over z is its standard error, and the two add in squares. Ties may make an interval of width 0.
/// Differences are clamped to the finite numbers. `None` where a sample holds no finite value or `share` is not within
/// 0 and 1.
/// Source: Woodruff, *Confidence Intervals for Medians and Other Position Measures* (1952); McKean and Schrader (1984).
///
/// ```
/// use driftline::stats::{quantile_shift::shift, sorted::Sorted};
/// let reference: Sorted = (0..100).map(f64::from).collect();
/// let current: Sorted = (0..100).map(|x| f64::from(x) + 40.0).collect();
/// let found = shift(&reference, &current, 0.5, 0.95).unwrap();
/// assert_eq!((found.reference, found.difference), (49.5, 40.0));
/// // The 40th and the 60th row are 20 apart on both sides: √2·10 around.
/// let (low, high) = found.interval.unwrap();
/// assert!((low - 25.857_864).abs() < 1e-6 && (high - 54.142_136).abs() < 1e-6);
/// ```
pub fn shift(
    reference: &Sorted,
    current: &Sorted,
    share: f64,
    confidence: f64,
) -> Option<QuantileShift> {
    let (a, b) = (reference.finite(), current.finite());
    let (x, y) = (quantile(a, share)?, quantile(b, share)?);
    let half = y / 2.0 - x / 2.0;
    let reaches = half_width(a, share, confidence).zip(half_width(b, share, confidence));
    let interval = reaches.map(|(a, b)| {
        // hypot, because the squares can overflow.
        let reach = (a / 2.0).hypot(b / 2.0);
        (finite(2.0 * (half - reach)), finite(2.0 * (half + reach)))
    });
    Some(QuantileShift {
        reference: x,
        current: y,
        difference: finite(2.0 * half),
        interval,
    })
}

/// The `share`-quantile of ascending finite `values`, linear between rows, the first at 0 and the last at 1: NumPy's
/// default, type 7 of Hyndman and Fan. `None` for no value and a share outside 0 to 1.
///
/// ```
/// use driftline::stats::quantile_shift::quantile;
/// assert_eq!(quantile(&[1.0, 2.0, 4.0, 8.0], 0.5), Some(3.0));
/// assert_eq!(quantile(&[], 0.5), None);
/// ```
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&share) {
        return None;
    }
    edges::quantile(values, share)
}

/// Half the distance of the two order statistics around a quantile; `None` where one would lie outside the sample.
fn half_width(values: &[f64], share: f64, confidence: f64) -> Option<f64> {
    let n = values.len() as f64;
    let reach = normal_quantile(confidence) * (n * share * (1.0 - share)).sqrt();
    // Ranks from 1.
    let low = (n * share - reach).floor();
    let high = (n * share + reach).ceil();
    (low >= 1.0 && high <= n)
        .then(|| values[high as usize - 1] / 2.0 - values[low as usize - 1] / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        let (empty, one) = (Sorted::default(), Sorted::new(&[3.0]));
        assert_eq!(shift(&empty, &one, 0.5, 0.95), None);
        assert_eq!(shift(&one, &one, 1.5, 0.95), None);
        assert_eq!(shift(&one, &one, f64::NAN, 0.95), None);
        let found = shift(&one, &Sorted::new(&[f64::INFINITY, 5.0]), 0.5, 0.95).expect("rows");
        assert_eq!((found.difference, found.interval), (2.0, None));
        let constant = Sorted::new(&[7.0; 50]);
        let found = shift(&constant, &constant, 0.9, 0.95).expect("rows");
        assert_eq!(found.interval, Some((0.0, 0.0)));
        assert_eq!(quantile(&[f64::MIN, f64::MAX], 0.5), Some(0.0));
    }

    /// Of intervals at 95 % around the difference of medians of two samples of one skewed distribution, some 95 % hold
    /// 0.
    #[test]
    fn the_interval_covers_as_often_as_it_says() {
        use rand::{RngExt, SeedableRng};
        let mut random = rand_pcg::Pcg64::seed_from_u64(5);
        let mut sample = |n: usize| -> Sorted {
            (0..n)
                .map(|_| -random.random::<f64>().ln_1p().max(1e-300).ln())
                .collect()
        };
        let rounds = 1000;
        let held = (0..rounds)
            .filter(|_| {
                let found = shift(&sample(120), &sample(80), 0.5, 0.95).expect("rows");
                found
                    .interval
                    .is_some_and(|(low, high)| low <= 0.0 && 0.0 <= high)
            })
            .count();
        // Order statistics are whole ranks, rounded outwards: a little above. Four standard errors are 2.8 %.
        assert!((930..=990).contains(&held), "{held} of {rounds}");
    }

    proptest! {
        #[test]
        fn results_are_numbers(
            a in proptest::collection::vec(any::<f64>(), 1..40), b in proptest::collection::vec(any::<f64>(), 1..40), share in 0.0..=1.0f64,
        ) {
            let (a, b) = (Sorted::new(&a), Sorted::new(&b));
            if let Some(found) = shift(&a, &b, share, 0.9) {
                prop_assert!(found.reference.is_finite() && found.current.is_finite() && found.difference.is_finite());
                prop_assert!(found.interval.is_none_or(|(low, high)| low.is_finite() && high.is_finite() && low <= high));
            }
        }
    }
}
