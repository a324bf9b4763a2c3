//! The Brier score: the squared distance of probabilities from what came true.

use super::folds::{Folds, Means};

/// The mean of (p − y)² over rows of two classes, y = 1 where the positive one came true. In [0, 1]; `None` for no
/// rows. Source: Brier (1950); `sklearn.metrics.brier_score_loss`.
///
/// ```
/// use driftline::performance::brier::brier;
/// let score = brier(&[0.5, 0.25], &[true, false]);
/// assert_eq!(score, Some(0.15625));
/// ```
pub fn brier(probabilities: &[f64], positives: &[bool]) -> Option<f64> {
    let rows = probabilities.iter().zip(positives);
    Means::of(1, rows.map(|(p, positive)| (0, term(*p, *positive)))).mean()
}

fn term(probability: f64, positive: bool) -> f64 {
    (probability - f64::from(u8::from(positive))).powi(2)
}

/// `rows`: (block, probability of the positive class, whether it came true).
pub(super) fn folds(
    blocks: usize,
    rows: impl Iterator<Item = (usize, f64, bool)> + Clone,
) -> Folds {
    let positives = rows.clone().filter(|(.., positive)| *positive).count() as f64;
    let means = Means::of(
        blocks,
        rows.map(|(block, p, positive)| (block, term(p, positive))),
    );
    let n = means.rows();
    let base = positives / n as f64;
    means.folds(|mean| mean, (n > 0).then_some(base * (1.0 - base)))
}
