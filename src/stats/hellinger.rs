//! Hellinger distance: how far two histograms lie apart, between 0 and 1, by the square roots of their shares.

use super::{chi_squared, chi_squared_tail, degrees, occupied, size_factor, total};

/// √(½ Σ (√p − √q)²), which is √(1 − Σ √(p·q)): 0 for equal shares, 1 for samples without a common bin; symmetric,
/// and a metric.
///
/// `reference` and `current` are counts of the same bins. No smoothing is needed: it is finite with empty bins. An
/// empty sample, no bin and one bin give 0. The sum of squares is used, not 1 − Σ √(p·q): it keeps its digits where
/// the shares are nearly equal. Source: Hellinger (1909); Le Cam and Yang, *Asymptotics in Statistics* (2000).
///
/// ```
/// use driftline::stats::hellinger::distance;
/// // √(1 − 2·(√(.4·.1) + √(.3·.2)))
/// let value = distance(&[40, 30, 20, 10], &[10, 20, 30, 40]);
/// assert!((value - 0.331_816).abs() < 1e-6, "{value}");
/// ```
pub fn distance(reference: &[u64], current: &[u64]) -> f64 {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return 0.0;
    }
    let mut sum = 0.0;
    for (&a, &b) in reference.iter().zip(current) {
        let change = (a as f64 / n).sqrt() - (b as f64 / m).sqrt();
        sum += change * change;
    }
    (sum / 2.0).clamp(0.0, 1.0).sqrt()
}

/// The squared distance that chance alone makes, with independent rows: (bins − 1)·(1/n + 1/m) / 8, as the square
/// is, to second order, an eighth of Σ(p − q)²/p.
pub fn expected_square(bins: usize, n: f64, m: f64) -> f64 {
    degrees(bins) * size_factor(n, m) / 8.0
}

/// The distance that is left when the expected square is taken off: √max(0, d² − expected). Squares add, distances
/// do not.
///
/// ```
/// use driftline::stats::hellinger::effect;
/// assert_eq!(effect(0.1, 50, 1000.0, 1000.0), 0.0);
/// ```
pub fn effect(distance: f64, bins: usize, n: f64, m: f64) -> f64 {
    (distance * distance - expected_square(bins, n, m))
        .max(0.0)
        .sqrt()
}

/// p-value for independent rows: 8·d² / (1/n + 1/m) is near χ² with bins − 1 degrees of freedom (the
/// Freeman–Tukey statistic of two samples). `None` unless every pooled expected count is large enough
/// ([`chi_squared::MIN_EXPECTED`]). Source: Freeman and Tukey (1950); Read and Cressie (1988).
pub fn closed_form_p(reference: &[u64], current: &[u64]) -> Option<f64> {
    if !chi_squared::expected_counts_suffice(reference, current) {
        return None;
    }
    let d = distance(reference, current);
    let x = d * d * 8.0 / size_factor(total(reference), total(current));
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
        assert_eq!(closed_form_p(&[3, 0], &[0, 4]), None);
    }

    #[test]
    fn nearly_equal_shares_keep_their_digits() {
        // Roots change by δ/(2·√½) in both bins, so d = δ/√2 with δ = 10⁻⁹.
        let d = distance(
            &[1_000_000_000, 1_000_000_000],
            &[1_000_000_002, 999_999_998],
        );
        assert!((d / (1e-9 / 2.0_f64.sqrt()) - 1.0).abs() < 1e-6, "{d}");
    }

    #[test]
    fn its_p_value_is_near_that_of_chi_squared() {
        let (a, b) = ([100, 100, 100], [80, 120, 110]);
        let ours = closed_form_p(&a, &b).expect("filled");
        let theirs = chi_squared::closed_form_p(&a, &b).expect("filled");
        assert!((ours - theirs).abs() < 0.01, "{ours} {theirs}");
    }
}
