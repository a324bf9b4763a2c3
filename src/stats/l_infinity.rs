//! L∞: the largest change of one bin's share.

use super::{occupied, size_factor, total};

/// max |q − p| over bins. A share, 0 to 1; symmetric.
///
/// `reference` and `current` are counts of the same bins; nothing is smoothed. An empty sample and no bin give 0.
/// Source: Breck et al., *Data Validation for Machine Learning* (2019).
///
/// ```
/// use driftline::stats::l_infinity::distance;
/// assert!((distance(&[40, 30, 20, 10], &[10, 20, 30, 40]) - 0.3).abs() < 1e-12);
/// ```
pub fn distance(reference: &[u64], current: &[u64]) -> f64 {
    widest(reference, current).0
}

/// The change that chance alone does not explain: √max(0, d² − v·max(1, 2·ln bins)), where v = r(1 − r)(1/n + 1/m)
/// is the variance of the widest bin's change with independent rows (r its pooled share) and 2·ln bins bounds the
/// mean of the largest of that many squared standard normals.
///
/// ```
/// use driftline::stats::l_infinity::effect;
/// assert_eq!(effect(&[50, 50], &[55, 45]), 0.0);
/// assert!(effect(&[5000, 5000], &[5500, 4500]) > 0.049);
/// ```
pub fn effect(reference: &[u64], current: &[u64]) -> f64 {
    let (distance, pooled) = widest(reference, current);
    let variance = pooled * (1.0 - pooled) * size_factor(total(reference), total(current));
    let chance = variance * (2.0 * (occupied(reference, current).max(1) as f64).ln()).max(1.0);
    (distance * distance - chance).max(0.0).sqrt()
}

/// The largest change of a share, and that bin's pooled share.
fn widest(reference: &[u64], current: &[u64]) -> (f64, f64) {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return (0.0, 0.0);
    }
    let mut best = (0.0, 0.0);
    for (&a, &b) in reference.iter().zip(current) {
        let change = (b as f64 / m - a as f64 / n).abs();
        if change > best.0 {
            best = (
                change.min(1.0),
                ((a as f64 + b as f64) / (n + m)).clamp(0.0, 1.0),
            );
        }
    }
    best
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
        assert!(effect(&[700, 0], &[0, 900]) > 0.99);
    }
}
