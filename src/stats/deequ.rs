//! The distances of Deequ, AWS' data quality library, less what small samples make: for teams that migrate thresholds
//! from it.

/// Deequ's constant: the two-sample KS distance exceeds 1.8·√((n + m)/(nm)) with chance 0.3 % without drift.
const SLACK: f64 = 1.8;

/// max(0, `distance` − 1.8·√((n + m)/(nm))), Deequ's "robust" form of the KS distance of numeric columns and of L∞ of
/// categorical ones. 0 to 1. 0 where a sample is empty, as nothing can be said.
///
/// Source: Deequ's `Distance.scala`, which is what SageMaker Model Monitor runs.
///
/// ```
/// use driftline::stats::deequ::robust;
/// assert!((robust(0.5, 100.0, 100.0) - 0.245_441_558_772_843).abs() < 1e-12);
/// assert_eq!(robust(0.2, 100.0, 100.0), 0.0);
/// ```
pub fn robust(distance: f64, n: f64, m: f64) -> f64 {
    if n > 0.0 && m > 0.0 {
        (distance - SLACK * super::size_factor(n, m).sqrt()).max(0.0)
    } else {
        0.0
    }
}

/// [`robust`] L∞ over the categories' counts.
///
/// ```
/// use driftline::stats::deequ::categorical;
/// assert!((categorical(&[900, 100], &[400, 600]) - 0.419_501_552_810_007_6).abs() < 1e-12);
/// ```
pub fn categorical(reference: &[u64], current: &[u64]) -> f64 {
    robust(
        super::l_infinity::distance(reference, current),
        super::total(reference),
        super::total(current),
    )
}

/// [`robust`] KS distance of rows; `None` where a sample is empty.
pub fn numeric(reference: &super::sorted::Sorted, current: &super::sorted::Sorted) -> Option<f64> {
    let found = super::ks_exact::ks(reference, current)?;
    Some(robust(
        found.distance,
        found.n_reference as f64,
        found.n_current as f64,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sorted::Sorted;

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(robust(1.0, 0.0, 9.0), 0.0);
        assert_eq!(categorical(&[], &[]), 0.0);
        assert_eq!(numeric(&Sorted::default(), &Sorted::new(&[1.0])), None);
        let (a, b) = (Sorted::new(&[1.0; 200]), Sorted::new(&[2.0; 200]));
        assert!(numeric(&a, &b).is_some_and(|d| (d - 0.82).abs() < 1e-12));
    }
}
