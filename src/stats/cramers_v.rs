//! Cramér's V: χ² as a share of the largest that the table of two samples could have.

use super::{chi_squared, degrees, total};

/// √(χ² / (n + m)) with the two-sample [`chi_squared::statistic`]: 0 (equal shares) to 1 (equal sizes without a common
/// bin); symmetric. The table has two rows, the samples, so that the divisor min(rows, columns) − 1 is 1.
///
/// `reference` and `current` are counts of the same bins. An empty sample, no bin and one bin give 0. **It depends on
/// the balance of the samples**: where the reference is r times the window, the same change of shares makes a V that
/// is 2·√r/(1 + r) of what equal sizes make, so thresholds and floors hold for the sizes that they were made for.
/// Source: Cramér, *Mathematical Methods of Statistics* (1946), ch. 21.
///
/// ```
/// use driftline::stats::cramers_v::v;
/// // scipy.stats.contingency.association([[40, 30, 20, 10], [10, 20, 30, 40]], method="cramer")
/// assert!((v(&[40, 30, 20, 10], &[10, 20, 30, 40]) - 0.447_214).abs() < 1e-6);
/// ```
pub fn v(reference: &[u64], current: &[u64]) -> f64 {
    let rows = total(reference) + total(current);
    if rows <= 0.0 {
        return 0.0;
    }
    (chi_squared::statistic(reference, current) / rows)
        .clamp(0.0, 1.0)
        .sqrt()
}

/// The bias-corrected V: √(φ̃² / (r̃ − 1)) with φ̃² = max(0, V² − (bins − 1)/(N − 1)) and r̃ = 2 − 1/(N − 1), N = n + m.
/// 0 to 1; 0 where chance alone makes the value, and with fewer than three rows.
/// Source: Bergsma, *A Bias-Correction for Cramér’s V and Tschuprow’s T* (2013).
///
/// ```
/// use driftline::stats::cramers_v::effect;
/// // φ̃² = 0.2 − 3/199, r̃ − 1 = 1 − 1/199
/// assert!((effect(0.447_214, 4, 100.0, 100.0) - 0.431_114).abs() < 1e-5);
/// assert_eq!(effect(0.1, 4, 100.0, 100.0), 0.0);
/// ```
pub fn effect(v: f64, bins: usize, n: f64, m: f64) -> f64 {
    let others = n + m - 1.0;
    if others <= 1.0 {
        return 0.0;
    }
    let corrected = (v * v - degrees(bins) / others).max(0.0);
    (corrected / (1.0 - 1.0 / others)).clamp(0.0, 1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_cases_have_numbers() {
        assert_eq!(v(&[], &[]), 0.0);
        assert_eq!(v(&[0, 0], &[1, 2]), 0.0);
        assert_eq!(v(&[5], &[7]), 0.0);
        assert_eq!(v(&[50, 0], &[0, 50]), 1.0);
        assert_eq!(effect(1.0, 2, 1.0, 1.0), 0.0);
        assert!(effect(1.0, 2, 1e3, 1e3) > 0.999);
    }

    #[test]
    fn the_balance_of_the_samples_scales_it() {
        let equal = v(&[600, 400], &[400, 600]);
        let ninefold = v(&[5400, 3600], &[400, 600]);
        // Not 0.6 exactly: the larger sample draws the pooled shares to itself.
        assert!((ninefold / equal - 0.6).abs() < 0.02, "{equal} {ninefold}");
    }
}
