//! The two-sample χ² statistic: the yardstick of overdispersion, and an effect size.

use super::{chi_squared_tail, degrees, occupied, size_factor, total};

/// Smallest pooled expected count in every bin of either sample for which χ² forms are used. Five is the common
/// rule for the 5 % level; far out in the tail, where budgets of false alarms lie, ten is needed.
pub const MIN_EXPECTED: f64 = 10.0;

/// Σ (a − n·r)²/(n·r) + Σ (b − m·r)²/(m·r) with r = (a + b)/(n + m): 0 and up; symmetric; near χ² with
/// (occupied bins − 1) degrees of freedom when both samples come from one distribution with independent rows.
///
/// `reference` and `current` are counts of the same bins; bins empty on both sides are left out. An empty sample,
/// no bin and one bin give 0. Source: Pearson (1900).
///
/// ```
/// use driftline::stats::chi_squared::statistic;
/// // scipy.stats.chi2_contingency([[40, 30, 20, 10], [10, 20, 30, 40]], correction=False)
/// assert!((statistic(&[40, 30, 20, 10], &[10, 20, 30, 40]) - 40.0).abs() < 1e-9);
/// ```
pub fn statistic(reference: &[u64], current: &[u64]) -> f64 {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return 0.0;
    }
    // Over shares, so that counts near 2⁶⁴ stay exact enough: nm/(n+m) · Σ (p − q)²/r.
    let mut sum = 0.0;
    for (&a, &b) in reference.iter().zip(current) {
        if a > 0 || b > 0 {
            let change = a as f64 / n - b as f64 / m;
            sum += change * change / ((a as f64 + b as f64) / (n + m));
        }
    }
    sum / size_factor(n, m)
}

/// Cohen's w between the two samples, less what chance alone makes: √(max(0, χ² − (bins − 1))·(1/n + 1/m)).
/// Unlike χ² it does not grow with the samples: 0.1 is called small, 0.3 medium, 0.5 large.
///
/// ```
/// use driftline::stats::chi_squared::effect;
/// assert!((effect(40.0, 4, 100.0, 100.0) - 0.860_233).abs() < 1e-6);
/// ```
pub fn effect(statistic: f64, bins: usize, n: f64, m: f64) -> f64 {
    ((statistic - degrees(bins)).max(0.0) * size_factor(n, m)).sqrt()
}

/// p-value for independent rows. `None` unless every pooled expected count is at least [`MIN_EXPECTED`].
///
/// ```
/// use driftline::stats::chi_squared::closed_form_p;
/// let p = closed_form_p(&[40, 30, 20, 10], &[10, 20, 30, 40]).unwrap();
/// assert!((p / 1.0655e-8 - 1.0).abs() < 1e-3, "{p}");
/// assert_eq!(closed_form_p(&[40, 1], &[10, 2]), None);
/// ```
pub fn closed_form_p(reference: &[u64], current: &[u64]) -> Option<f64> {
    expected_counts_suffice(reference, current).then(|| {
        chi_squared_tail(
            statistic(reference, current),
            degrees(occupied(reference, current)),
        )
    })
}

/// Whether every occupied bin expects at least [`MIN_EXPECTED`] rows of either sample.
pub fn expected_counts_suffice(reference: &[u64], current: &[u64]) -> bool {
    let (n, m) = (total(reference), total(current));
    let smaller = n.min(m);
    smaller > 0.0
        && reference.iter().zip(current).all(|(&a, &b)| {
            let pooled = (a as f64 + b as f64) / (n + m);
            pooled <= 0.0 || pooled * smaller >= MIN_EXPECTED
        })
}

/// χ² over its degrees of freedom: 1 on average when the rows are independent. `None` with fewer than two bins or an
/// empty side, where it says nothing.
pub fn per_degree(reference: &[u64], current: &[u64]) -> Option<f64> {
    let degrees = degrees(occupied(reference, current));
    (degrees > 0.0 && total(reference) > 0.0 && total(current) > 0.0)
        .then(|| statistic(reference, current) / degrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_cases_have_numbers() {
        assert_eq!(statistic(&[], &[]), 0.0);
        assert_eq!(statistic(&[0, 0], &[1, 2]), 0.0);
        assert_eq!(statistic(&[5], &[7]), 0.0);
        assert_eq!(per_degree(&[5], &[7]), None);
    }

    #[test]
    fn samples_of_different_sizes_agree_with_a_worked_table() {
        // scipy.stats.chi2_contingency([[10, 20, 30], [60, 50, 40]], correction=False).statistic
        assert!((statistic(&[10, 20, 30], &[60, 50, 40]) - 14.0).abs() < 1e-9);
    }

    #[test]
    fn huge_counts_stay_finite() {
        assert!(statistic(&[u64::MAX, 0], &[0, u64::MAX]).is_finite());
    }
}
