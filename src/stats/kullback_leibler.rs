//! Kullback–Leibler divergence of the current shares from the reference's, in nats.

use super::psi::SMOOTHING;
use super::{chi_squared, chi_squared_tail, degrees, occupied, size_factor, total};

/// KL(current ‖ reference) = Σ q·ln(q / p) over the bins that hold a row of either sample, with shares
/// p = (reference count + ½) / (n + ½·bins) and q likewise of the current sample: what it costs, per current row, to
/// go on coding with the reference's shares. In nats, 0 (equal shares) and up. **Not symmetric**: swap the
/// arguments for KL(reference ‖ current); the two add up to [`super::psi::psi`].
///
/// `reference` and `current` are counts of the same bins; half a row is added to each occupied bin for the reason
/// given at [`SMOOTHING`]. An empty sample, no bin and one bin give 0.
/// Source: Kullback and Leibler, *On Information and Sufficiency* (1951).
///
/// ```
/// use driftline::stats::kullback_leibler::divergence;
/// // scipy.stats.entropy([10.5, 20.5, 40.5], [40.5, 20.5, 10.5])
/// let value = divergence(&[40, 20, 10], &[10, 20, 40]);
/// assert!((value - 0.566_402).abs() < 1e-6, "{value}");
/// ```
pub fn divergence(reference: &[u64], current: &[u64]) -> f64 {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return 0.0;
    }
    let extra = SMOOTHING * occupied(reference, current) as f64;
    let (n, m) = (n + extra, m + extra);
    let mut sum = 0.0;
    for (&a, &b) in reference.iter().zip(current) {
        if a > 0 || b > 0 {
            let (p, q) = ((a as f64 + SMOOTHING) / n, (b as f64 + SMOOTHING) / m);
            sum += q * (q / p).ln();
        }
    }
    sum.max(0.0)
}

/// What the divergence is on average when both samples come from one distribution with independent rows:
/// (bins − 1)·(1/n + 1/m) / 2, half of PSI's.
pub fn expected(bins: usize, n: f64, m: f64) -> f64 {
    degrees(bins) * size_factor(n, m) / 2.0
}

/// `value` less [`expected`], not below 0. In nats.
///
/// ```
/// use driftline::stats::kullback_leibler::effect;
/// // 10 bins, 200 rows on both sides: 0.045 nats are chance.
/// assert!((effect(0.05, 10, 200.0, 200.0) - 0.005).abs() < 1e-12);
/// ```
pub fn effect(value: f64, bins: usize, n: f64, m: f64) -> f64 {
    (value - expected(bins, n, m)).max(0.0)
}

/// p-value for independent rows: 2·KL / (1/n + 1/m) is near χ² with bins − 1 degrees of freedom. `None` unless every
/// pooled expected count is large enough ([`chi_squared::MIN_EXPECTED`]).
/// Source: Kullback, *Information Theory and Statistics* (1959), ch. 6.
pub fn closed_form_p(reference: &[u64], current: &[u64]) -> Option<f64> {
    if !chi_squared::expected_counts_suffice(reference, current) {
        return None;
    }
    let factor = size_factor(total(reference), total(current));
    Some(chi_squared_tail(
        2.0 * divergence(reference, current) / factor,
        degrees(occupied(reference, current)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::psi::psi;

    #[test]
    fn edge_cases_have_numbers() {
        assert_eq!(divergence(&[], &[]), 0.0);
        assert_eq!(divergence(&[0, 0], &[3, 4]), 0.0);
        assert_eq!(divergence(&[5], &[9]), 0.0);
        assert_eq!(divergence(&[1, 0, 7], &[1, 0, 7]), 0.0);
        // A full move: 100.5/101·ln(201) − 0.5/101·ln(201).
        let moved = 100.0 / 101.0 * 201.0_f64.ln();
        assert!((divergence(&[100, 0], &[0, 100]) - moved).abs() < 1e-12);
    }

    #[test]
    fn both_directions_add_up_to_psi_and_differ() {
        let (a, b) = ([90, 5, 5], [40, 30, 30]);
        let (there, back) = (divergence(&a, &b), divergence(&b, &a));
        assert!((there + back - psi(&a, &b)).abs() < 1e-12);
        // Rows that appear where the reference had few cost more than rows that go away.
        assert!(there > back + 0.1, "{there} {back}");
    }

    #[test]
    fn its_p_value_is_near_that_of_chi_squared() {
        let (a, b) = ([100, 100, 100], [80, 120, 110]);
        let ours = closed_form_p(&a, &b).expect("filled");
        let theirs = chi_squared::closed_form_p(&a, &b).expect("filled");
        assert!((ours - theirs).abs() < 0.01, "{ours} {theirs}");
    }
}
