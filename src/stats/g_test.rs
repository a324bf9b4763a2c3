//! The G-test: the likelihood ratio of "two distributions" against "one", on counts.

use super::{chi_squared, chi_squared_tail, degrees, occupied, total};

/// 2 Σ a·ln(a / (n·r)) + 2 Σ b·ln(b / (m·r)) with r = (a + b)/(n + m), empty cells adding nothing: 0 and up;
/// symmetric; near χ² with (occupied bins − 1) degrees of freedom when both samples come from one distribution with
/// independent rows. Nothing is smoothed, and it is finite with empty bins.
///
/// `reference` and `current` are counts of the same bins. An empty sample, no bin and one bin give 0. It is the pooled
/// Jensen–Shannon divergence, weighted by the samples' sizes, in nats times 2(n + m).
/// Source: Woolf (1957); Sokal and Rohlf, *Biometry* (1981), ch. 17.
///
/// ```
/// use driftline::stats::g_test::statistic;
/// // scipy.stats.chi2_contingency([[40, 30, 20, 10], [10, 20, 30, 40]], correction=False, lambda_="log-likelihood")
/// let value = statistic(&[40, 30, 20, 10], &[10, 20, 30, 40]);
/// assert!((value - 42.576_054).abs() < 1e-6, "{value}");
/// ```
pub fn statistic(reference: &[u64], current: &[u64]) -> f64 {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return 0.0;
    }
    let mut sum = 0.0;
    for (&a, &b) in reference.iter().zip(current) {
        let pooled = (a as f64 + b as f64) / (n + m);
        // a·ln(a / (n·r)) is n times p·ln(p / r): shares keep counts near 2⁶⁴ in range.
        for (count, rows) in [(a as f64, n), (b as f64, m)] {
            if count > 0.0 {
                sum += count * (count / rows / pooled).ln();
            }
        }
    }
    (2.0 * sum).max(0.0)
}

/// Of the size of Cohen's w, less what chance alone makes: √(max(0, G − (bins − 1))·(1/n + 1/m)). It does not grow
/// with the samples.
///
/// ```
/// use driftline::stats::g_test::effect;
/// assert_eq!(effect(3.0, 4, 100.0, 100.0), 0.0);
/// assert!((effect(53.0, 4, 100.0, 100.0) - 1.0).abs() < 1e-12);
/// ```
pub fn effect(statistic: f64, bins: usize, n: f64, m: f64) -> f64 {
    chi_squared::effect(statistic, bins, n, m)
}

/// p-value for independent rows. `None` unless every pooled expected count is at least
/// [`chi_squared::MIN_EXPECTED`]. Source: Wilks (1938).
pub fn closed_form_p(reference: &[u64], current: &[u64]) -> Option<f64> {
    chi_squared::expected_counts_suffice(reference, current).then(|| {
        chi_squared_tail(
            statistic(reference, current),
            degrees(occupied(reference, current)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_cases_have_numbers() {
        assert_eq!(statistic(&[], &[]), 0.0);
        assert_eq!(statistic(&[0, 0], &[1, 2]), 0.0);
        assert_eq!(statistic(&[5], &[7]), 0.0);
        // No common bin: every row tells the sample, 2·(n + m)·ln 2 with equal sizes.
        let apart = statistic(&[50, 0], &[0, 50]);
        assert!((apart - 200.0 * 2.0_f64.ln()).abs() < 1e-9, "{apart}");
        assert!(statistic(&[u64::MAX, 0], &[0, u64::MAX]).is_finite());
    }

    #[test]
    fn near_equal_samples_have_the_g_of_chi_squared() {
        let (a, b) = ([1000, 2000, 3000], [1030, 1990, 2980]);
        let (g, chi) = (statistic(&a, &b), chi_squared::statistic(&a, &b));
        assert!((g / chi - 1.0).abs() < 1e-3, "{g} {chi}");
        let p = closed_form_p(&a, &b).expect("filled");
        assert!((p - chi_squared::closed_form_p(&a, &b).expect("filled")).abs() < 1e-3);
    }
}
