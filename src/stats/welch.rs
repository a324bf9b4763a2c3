//! Welch's t test: the difference of two means with an interval, without taking the variances for equal.

use super::student_tail;
use super::summation::Spread;

/// What the test finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Welch {
    /// Mean of the current sample less that of the reference, in the column's unit.
    pub difference: f64,
    pub standard_error: f64,
    /// difference / standard_error.
    pub t: f64,
    /// Welch and Satterthwaite's degrees of freedom.
    pub degrees: f64,
    /// Two-sided, for independent rows.
    pub p_value: f64,
    /// The difference lies between these with the confidence asked for.
    pub low: f64,
    pub high: f64,
}

/// `confidence` is between 0 and 1, as 0.95; the interval's ends are clamped to the finite numbers.
///
/// Works on any two [`Spread`]s, of rows or of a profile. Heavy tails make the interval too short for small samples.
/// `None` with fewer than two rows on a side and where both samples are constant, which leaves nothing to judge a
/// difference by.
/// Source: Welch (1947); `scipy.stats.ttest_ind(current, reference, equal_var=False)`.
///
/// ```
/// use driftline::stats::{summation::Spread, welch::welch};
/// let reference = Spread::of(&[1.0, 2.0, 3.0, 4.0]).unwrap();
/// let current = Spread::of(&[3.0, 5.0, 7.0]).unwrap();
/// let found = welch(&reference, &current, 0.95).unwrap();
/// assert!((found.t - 1.889822365046136).abs() < 1e-9 && (found.degrees - 3.234718826405868).abs() < 1e-9);
/// assert!((found.p_value - 0.1484713470268853).abs() < 1e-9 && (found.low - -1.5423279549230244).abs() < 1e-9);
/// ```
pub fn welch(reference: &Spread, current: &Spread, confidence: f64) -> Option<Welch> {
    let (s, t) = (reference.sample_deviation()?, current.sample_deviation()?);
    let scale = s.max(t);
    if scale <= 0.0 {
        return None;
    }
    let a = (s / scale).powi(2) / reference.n;
    let b = (t / scale).powi(2) / current.n;
    let standard_error = ((a + b).sqrt() * scale).max(f64::MIN_POSITIVE);
    let degrees = (a + b).powi(2) / (a * a / (reference.n - 1.0) + b * b / (current.n - 1.0));
    // Halves, because the difference of two finite numbers can overflow.
    let half = current.mean / 2.0 - reference.mean / 2.0;
    let ratio = finite(2.0 * (half / standard_error));
    let reach = student_quantile(confidence, degrees) * standard_error;
    Some(Welch {
        difference: finite(2.0 * half),
        standard_error,
        t: ratio,
        degrees,
        p_value: (2.0 * student_tail(ratio.abs(), degrees)).clamp(0.0, 1.0),
        low: finite(2.0 * (half - reach / 2.0)),
        high: finite(2.0 * (half + reach / 2.0)),
    })
}

/// The t that |T| stays below with chance `confidence`; without bound for 1 and above.
fn student_quantile(confidence: f64, degrees: f64) -> f64 {
    let level = (1.0 - confidence) / 2.0;
    if level <= 0.0 || level.is_nan() {
        return f64::INFINITY;
    }
    let mut high = 1.0;
    while student_tail(high, degrees) > level && high < f64::MAX / 4.0 {
        high *= 2.0;
    }
    let mut low = 0.0;
    // A hundred halvings end at neighbouring floats.
    for _ in 0..100 {
        let middle = low + (high - low) / 2.0;
        if student_tail(middle, degrees) > level {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

pub(super) fn finite(x: f64) -> f64 {
    x.clamp(-f64::MAX, f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        let spread = |values: &[f64]| Spread::of(values).expect("values");
        assert_eq!(welch(&spread(&[1.0]), &spread(&[1.0, 2.0]), 0.95), None);
        assert_eq!(welch(&spread(&[1.0; 3]), &spread(&[2.0; 3]), 0.95), None);
        // One constant side is judged by the spread of the other.
        let found = welch(&spread(&[1.0; 3]), &spread(&[2.0, 3.0]), 0.95).expect("a test");
        assert!((found.t - 3.0).abs() < 1e-12 && (found.degrees - 1.0).abs() < 1e-12);
        let whole = welch(&spread(&[1.0, 2.0]), &spread(&[2.0, 3.0]), 1.0).expect("a test");
        assert_eq!((whole.low, whole.high), (-f64::MAX, f64::MAX));
    }

    proptest! {
        #[test]
        fn results_are_numbers(
            a in proptest::collection::vec(any::<f64>(), 2..9), b in proptest::collection::vec(any::<f64>(), 2..9),
        ) {
            let finite = |rows: Vec<f64>| Spread::of(&rows.into_iter().filter(|x| x.is_finite()).collect::<Vec<_>>());
            if let (Some(a), Some(b)) = (finite(a), finite(b))
                && let Some(found) = welch(&a, &b, 0.95)
            {
                for x in [found.difference, found.t, found.degrees, found.standard_error, found.low, found.high] {
                    prop_assert!(x.is_finite(), "{found:?}");
                }
                prop_assert!((0.0..=1.0).contains(&found.p_value));
                prop_assert!(found.low <= found.difference && found.difference <= found.high);
            }
        }
    }
}
