//! Population stability index: how far two histograms lie apart, in nats.

use super::{chi_squared, chi_squared_tail, degrees, occupied, size_factor, total};

/// Rows added to each occupied bin of both samples (Jeffreys' prior for shares): an empty bin of a sample of n rows
/// counts as half a row, so that the index stays finite and an empty bin weighs less the smaller the sample. A fixed
/// share such as 10⁻⁴ would make sparse columns drift by chance.
pub const SMOOTHING: f64 = 0.5;

/// Σ (q − p)·ln(q / p) over the bins that hold a row of either sample, with shares
/// p = (count + ½) / (n + ½·bins). In nats, 0 (equal shares) and up; symmetric.
///
/// `reference` and `current` are counts of the same bins. An empty sample, no bin and one bin give 0.
/// Source: Siddiqi, *Credit Risk Scorecards* (2006); smoothing: Jeffreys (1946).
///
/// ```
/// use driftline::stats::psi::psi;
/// let value = psi(&[40, 30, 20, 10], &[10, 20, 30, 40]);
/// assert!((value - 0.871_977).abs() < 1e-6, "{value}");
/// ```
pub fn psi(reference: &[u64], current: &[u64]) -> f64 {
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
            sum += (q - p) * (q / p).ln();
        }
    }
    sum.max(0.0)
}

/// What PSI is on average when both samples come from one distribution with independent rows:
/// (bins − 1)·(1/n + 1/m).
pub fn expected(bins: usize, n: f64, m: f64) -> f64 {
    degrees(bins) * size_factor(n, m)
}

/// `value` less [`expected`], not below 0. In nats.
///
/// ```
/// use driftline::stats::psi::effect;
/// // 10 bins, 200 rows on both sides: a PSI of 0.1 is mostly chance.
/// assert!((effect(0.1, 10, 200.0, 200.0) - 0.01).abs() < 1e-12);
/// ```
pub fn effect(value: f64, bins: usize, n: f64, m: f64) -> f64 {
    (value - expected(bins, n, m)).max(0.0)
}

/// p-value for independent rows: PSI / (1/n + 1/m) is near χ² with bins − 1 degrees of freedom. `None` unless
/// every pooled expected count is large enough ([`chi_squared::MIN_EXPECTED`]).
/// Source: Yurdakul, *Statistical Properties of Population Stability Index* (2018).
pub fn closed_form_p(reference: &[u64], current: &[u64]) -> Option<f64> {
    if !chi_squared::expected_counts_suffice(reference, current) {
        return None;
    }
    let factor = size_factor(total(reference), total(current));
    Some(chi_squared_tail(
        psi(reference, current) / factor,
        degrees(occupied(reference, current)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reference: &[u64], current: &[u64], expect: f64) {
        let value = psi(reference, current);
        assert!((value - expect).abs() < 1e-6, "{value} instead of {expect}");
    }

    #[test]
    fn edge_cases_have_numbers() {
        check(&[], &[], 0.0);
        check(&[0, 0], &[3, 4], 0.0);
        check(&[5], &[9], 0.0);
        check(&[1, 0, 7], &[1, 0, 7], 0.0);
        // A full move: (100.5 − 0.5)/101 · ln(201), twice.
        check(&[100, 0], &[0, 100], 2.0 * 100.0 / 101.0 * 201.0_f64.ln());
    }

    #[test]
    fn a_bin_empty_on_both_sides_changes_nothing() {
        let with = psi(&[10, 0, 20], &[20, 0, 10]);
        assert_eq!(with, psi(&[10, 20], &[20, 10]));
    }

    #[test]
    fn one_row_in_a_new_bin_is_no_drift() {
        assert!(psi(&[500, 500, 0], &[500, 499, 1]) < 0.002);
    }

    #[test]
    fn the_closed_form_needs_filled_bins() {
        assert_eq!(closed_form_p(&[9, 9], &[9, 9]), None);
        let p = closed_form_p(&[100, 100], &[80, 120]).expect("filled");
        assert!((p - 0.044).abs() < 0.002, "{p}");
    }
}
