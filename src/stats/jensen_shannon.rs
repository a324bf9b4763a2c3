//! Jensen–Shannon distance: how far two histograms lie apart, between 0 and 1.

use std::f64::consts::LN_2;

use super::{chi_squared, chi_squared_tail, degrees, occupied, size_factor, total};

/// The Jensen–Shannon *distance*, the square root of the divergence in bits: 0 for equal shares, 1 for samples
/// without a common bin; symmetric, and a metric.
///
/// `reference` and `current` are counts of the same bins. No smoothing is needed: the divergence is finite with
/// empty bins. An empty sample, no bin and one bin give 0.
/// Source: Lin (1991); Endres and Schindelin, *A New Metric for Probability Distributions* (2003).
///
/// ```
/// use driftline::stats::jensen_shannon::distance;
/// // scipy.spatial.distance.jensenshannon([.4, .3, .2, .1], [.1, .2, .3, .4], base=2)
/// let value = distance(&[40, 30, 20, 10], &[10, 20, 30, 40]);
/// assert!((value - 0.391_868).abs() < 1e-6, "{value}");
/// ```
pub fn distance(reference: &[u64], current: &[u64]) -> f64 {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return 0.0;
    }
    let mut nats = 0.0;
    for (&a, &b) in reference.iter().zip(current) {
        let (p, q) = (a as f64 / n, b as f64 / m);
        let r = (p + q) / 2.0;
        if p > 0.0 {
            nats += p * (p / r).ln();
        }
        if q > 0.0 {
            nats += q * (q / r).ln();
        }
    }
    (nats / (2.0 * LN_2)).clamp(0.0, 1.0).sqrt()
}

/// The divergence in bits that chance alone makes, with independent rows: (bins − 1)·(1/n + 1/m) / (8·ln 2), as
/// the divergence is, to second order, an eighth of Σ(p − q)²/p.
pub fn expected_divergence(bins: usize, n: f64, m: f64) -> f64 {
    degrees(bins) * size_factor(n, m) / (8.0 * LN_2)
}

/// The distance that is left when the expected divergence is taken off: √max(0, d² − expected). Divergences add,
/// distances do not.
///
/// ```
/// use driftline::stats::jensen_shannon::effect;
/// assert_eq!(effect(0.1, 50, 1000.0, 1000.0), 0.0);
/// ```
pub fn effect(distance: f64, bins: usize, n: f64, m: f64) -> f64 {
    (distance * distance - expected_divergence(bins, n, m))
        .max(0.0)
        .sqrt()
}

/// p-value for independent rows: 8·ln 2·d² / (1/n + 1/m) is near χ² with bins − 1 degrees of freedom. `None` unless
/// every pooled expected count is large enough ([`chi_squared::MIN_EXPECTED`]).
/// Source: Grosse et al., *Analysis of symbolic sequences using the Jensen–Shannon divergence* (2002).
pub fn closed_form_p(reference: &[u64], current: &[u64]) -> Option<f64> {
    if !chi_squared::expected_counts_suffice(reference, current) {
        return None;
    }
    let d = distance(reference, current);
    let x = d * d * 8.0 * LN_2 / size_factor(total(reference), total(current));
    Some(chi_squared_tail(x, degrees(occupied(reference, current))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_cases_have_numbers() {
        assert_eq!(distance(&[], &[]), 0.0);
        assert_eq!(distance(&[0], &[4]), 0.0);
        assert_eq!(distance(&[3], &[4]), 0.0);
        assert_eq!(distance(&[3, 0], &[0, 4]), 1.0);
    }

    #[test]
    fn its_p_value_is_near_that_of_chi_squared() {
        let (a, b) = ([100, 100, 100], [80, 120, 110]);
        let ours = closed_form_p(&a, &b).expect("filled");
        let theirs = chi_squared::closed_form_p(&a, &b).expect("filled");
        assert!((ours - theirs).abs() < 0.01, "{ours} {theirs}");
    }
}
