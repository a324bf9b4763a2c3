//! Total variation: the share of rows that changed bins.

use std::f64::consts::PI;

use super::{size_factor, total};

/// ½ Σ |q − p| over bins: the least share of the rows that must move to turn one histogram into the other. 0 (equal
/// shares) to 1 (no common bin); symmetric, and a metric.
///
/// `reference` and `current` are counts of the same bins; nothing is smoothed. An empty sample, no bin and one bin
/// give 0. Source: Levin and Peres, *Markov Chains and Mixing Times* (2017), ch. 4.
///
/// ```
/// use driftline::stats::total_variation::distance;
/// assert!((distance(&[40, 30, 20, 10], &[10, 20, 30, 40]) - 0.4).abs() < 1e-12);
/// ```
pub fn distance(reference: &[u64], current: &[u64]) -> f64 {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return 0.0;
    }
    let mut sum = 0.0;
    for (&a, &b) in reference.iter().zip(current) {
        sum += (b as f64 / m - a as f64 / n).abs();
    }
    (sum / 2.0).clamp(0.0, 1.0)
}

/// The squared distance that chance alone makes, with independent rows. A bin's change is near normal with variance
/// v = r(1 − r)(1/n + 1/m), r its pooled share, so the mean of the distance is ½ Σ √(2v/π) and its variance at most
/// about ½(1 − 2/π) Σ v: exact for two bins, a little too much for more, where that term hardly weighs.
pub fn expected_square(reference: &[u64], current: &[u64]) -> f64 {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return 0.0;
    }
    let factor = size_factor(n, m);
    let (mut deviations, mut variances) = (0.0, 0.0);
    for (&a, &b) in reference.iter().zip(current) {
        let pooled = ((a as f64 + b as f64) / (n + m)).clamp(0.0, 1.0);
        let variance = pooled * (1.0 - pooled) * factor;
        deviations += variance.sqrt();
        variances += variance;
    }
    deviations * deviations / (2.0 * PI) + (0.5 - 1.0 / PI) * variances
}

/// The change that chance alone does not explain: √max(0, d² − [`expected_square`]). There is no closed-form
/// p-value: a sum of absolute values of dependent normals has no tail of its own.
///
/// ```
/// use driftline::stats::total_variation::effect;
/// assert_eq!(effect(&[50, 50], &[55, 45]), 0.0);
/// assert!(effect(&[5000, 5000], &[5500, 4500]) > 0.049);
/// ```
pub fn effect(reference: &[u64], current: &[u64]) -> f64 {
    let distance = distance(reference, current);
    (distance * distance - expected_square(reference, current))
        .max(0.0)
        .sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_cases_have_numbers() {
        assert_eq!(distance(&[], &[]), 0.0);
        assert_eq!(distance(&[0], &[9]), 0.0);
        assert_eq!(distance(&[7], &[9]), 0.0);
        assert_eq!(distance(&[7, 0], &[0, 9]), 1.0);
        assert_eq!(effect(&[], &[]), 0.0);
        assert!(effect(&[700, 0], &[0, 900]) > 0.99);
    }

    #[test]
    fn two_bins_expect_the_variance_of_a_share() {
        // d = |change of the one share|, so the mean of d² is r(1 − r)(1/n + 1/m) = ¼ · 2/100.
        let expected = expected_square(&[50, 50], &[50, 50]);
        assert!((expected - 0.005).abs() < 1e-12, "{expected}");
    }
}
