//! Whether a column's spread changed: a test that holds for any shape of distribution, and the ratio with an interval.

use statrs::distribution::{ContinuousCDF, Normal};

use super::quantile_shift::quantile;
use super::sorted::Sorted;
use super::student_tail;
use super::summation::Spread;
use super::welch::finite;

/// What Brown and Forsythe's test finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrownForsythe {
    /// W ≥ 0: F-distributed with 1 and n + m − 2 degrees of freedom without drift.
    pub statistic: f64,
    pub p_value: f64,
}

/// The one-way F statistic of |x − median|: is one sample farther from its own median than the other?
///
/// Keeps its level for skewed and heavy-tailed rows, unlike the F test of two variances. Over finite values. W is
/// clamped to the largest number. `None` with fewer than two finite values on a side, or three in all, and where no
/// value is off its median.
/// Source: Brown and Forsythe (1974); `scipy.stats.levene(center='median')`.
///
/// ```
/// use driftline::stats::{sorted::Sorted, variance_shift::brown_forsythe};
/// let (a, b) = (Sorted::new(&[1.0, 2.0, 3.0, 4.0, 5.0]), Sorted::new(&[-4.0, 0.0, 3.0, 6.0, 12.0]));
/// let found = brown_forsythe(&a, &b).unwrap();
/// assert!((found.statistic - 3.792592592592594).abs() < 1e-9 && (found.p_value - 0.08733449716167328).abs() < 1e-9);
/// ```
pub fn brown_forsythe(reference: &Sorted, current: &Sorted) -> Option<BrownForsythe> {
    let (a, b) = (distances(reference)?, distances(current)?);
    let degrees = a.n + b.n - 2.0;
    let scale = a.deviation.max(b.deviation).max(a.mean).max(b.mean);
    if a.n < 2.0 || b.n < 2.0 || degrees < 1.0 || scale <= 0.0 {
        return None;
    }
    let within = a.n * (a.deviation / scale).powi(2) + b.n * (b.deviation / scale).powi(2);
    let between = a.n * b.n / (a.n + b.n) * ((a.mean - b.mean) / scale).powi(2);
    let statistic = if between == 0.0 {
        0.0
    } else {
        finite(degrees * between / within)
    };
    Some(BrownForsythe {
        statistic,
        p_value: (2.0 * student_tail(statistic.sqrt(), degrees)).clamp(0.0, 1.0),
    })
}

/// Half distances from the median: halves cannot overflow, and W does not depend on the unit.
fn distances(sample: &Sorted) -> Option<Spread> {
    let values = sample.finite();
    let median = quantile(values, 0.5)? / 2.0;
    let away: Vec<f64> = values.iter().map(|x| (x / 2.0 - median).abs()).collect();
    Spread::of(&away)
}

/// The ratio of two variances, current over reference, and an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    pub ratio: f64,
    /// Standard error of ln ratio.
    pub log_standard_error: f64,
    pub low: f64,
    pub high: f64,
}

/// s²_current / s²_reference and its interval of `confidence` (as 0.95) on the logarithm, with a standard error that
/// each sample's own kurtosis κ gives: √Σ (κ − (n − 3)/n)/(n − 1). No normal distribution is assumed; κ is
/// underestimated in small samples with heavy tails, and the interval is too short there.
///
/// Clamped to the finite numbers. `None` with fewer than four rows on a side, and where a sample is constant: a
/// reference that begins to vary has no ratio.
/// Source: Layard (1973); Bonett, *Robust Confidence Interval for a Ratio of Standard Deviations* (2006).
///
/// ```
/// use driftline::stats::{summation::Spread, variance_shift::ratio};
/// let reference = Spread::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
/// let current = Spread::of(&[2.0, 4.0, 6.0, 8.0, 10.0]).unwrap();
/// let found = ratio(&reference, &current, 0.95).unwrap();
/// // κ = 1.7 on both sides: SE = √(2·(1.7 − 0.4)/4).
/// assert!((found.ratio - 4.0).abs() < 1e-12 && (found.log_standard_error - 0.806_225_774_829_855).abs() < 1e-12);
/// ```
pub fn ratio(reference: &Spread, current: &Spread, confidence: f64) -> Option<Ratio> {
    let part = |spread: &Spread| {
        let kurtosis = spread.kurtosis?;
        (spread.n >= 4.0)
            .then(|| ((kurtosis - (spread.n - 3.0) / spread.n) / (spread.n - 1.0)).max(0.0))
    };
    let log_standard_error = (part(reference)? + part(current)?).sqrt();
    let (s, t) = (reference.sample_deviation()?, current.sample_deviation()?);
    if s <= 0.0 || t <= 0.0 {
        return None;
    }
    let log = 2.0 * (t.ln() - s.ln());
    let reach = normal_quantile(confidence) * log_standard_error;
    let bounded = |x: f64| x.exp().min(f64::MAX);
    let ratio = (t / s).powi(2);
    Some(Ratio {
        ratio: ratio.min(f64::MAX),
        log_standard_error,
        low: bounded(log - reach),
        high: bounded(log + reach),
    })
}

/// The z that |Z| stays below with chance `confidence`; a thousand standard deviations at most.
pub(super) fn normal_quantile(confidence: f64) -> f64 {
    let level = (1.0 - confidence) / 2.0;
    match Normal::new(0.0, 1.0) {
        Ok(normal) if level > 0.0 && level < 0.5 => -normal.inverse_cdf(level),
        _ if confidence <= 0.0 => 0.0,
        _ => 1000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        let (few, constant) = (Sorted::new(&[1.0]), Sorted::new(&[2.0; 5]));
        assert_eq!(brown_forsythe(&few, &constant), None);
        assert_eq!(brown_forsythe(&constant, &constant), None);
        assert_eq!(brown_forsythe(&Sorted::default(), &constant), None);
        // Both samples two points at even distances: within them nothing differs.
        let wide = Sorted::new(&[0.0, 8.0]);
        let found = brown_forsythe(&constant, &wide).expect("a test");
        assert_eq!((found.statistic, found.p_value), (f64::MAX, 0.0));
        let spread = |values: &[f64]| Spread::of(values).expect("values");
        assert_eq!(
            ratio(&spread(&[1.0; 5]), &spread(&[1.0, 2.0, 3.0, 4.0]), 0.95),
            None
        );
        assert_eq!(
            ratio(
                &spread(&[1.0, 2.0, 3.0]),
                &spread(&[1.0, 2.0, 3.0, 4.0]),
                0.95
            ),
            None
        );
        assert_eq!(normal_quantile(0.0), 0.0);
        assert!((normal_quantile(0.95) - 1.959_963_984_540_054).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn results_are_numbers(
            a in proptest::collection::vec(any::<f64>(), 0..9), b in proptest::collection::vec(any::<f64>(), 0..9),
        ) {
            let (a, b) = (Sorted::new(&a), Sorted::new(&b));
            if let Some(found) = brown_forsythe(&a, &b) {
                prop_assert!(found.statistic.is_finite() && found.statistic >= 0.0);
                prop_assert!((0.0..=1.0).contains(&found.p_value));
            }
            if let (Some(a), Some(b)) = (Spread::of(a.finite()), Spread::of(b.finite()))
                && let Some(found) = ratio(&a, &b, 0.95)
            {
                prop_assert!(found.ratio.is_finite() && found.low.is_finite() && found.high.is_finite());
                prop_assert!(found.low <= found.high);
            }
        }
    }
}
