//! Accuracy: the share of right decisions.

use super::confusion::{Confusion, Confusions};
use super::folds::Folds;

/// Right decisions over decisions, in [0, 1]; `None` for no rows. Source: `sklearn.metrics.accuracy_score`.
///
/// ```
/// use driftline::performance::accuracy::accuracy;
/// assert_eq!(accuracy(3, 4), Some(0.75));
/// assert_eq!(accuracy(0, 0), None);
/// ```
pub fn accuracy(hits: u64, rows: u64) -> Option<f64> {
    (rows > 0).then(|| hits as f64 / rows as f64)
}

pub(super) fn folds(counts: &Confusions) -> Folds {
    let metric = |c: &Confusion| accuracy(c.classes.iter().map(|class| class.hits).sum(), c.rows);
    // The share of the commonest class.
    let constant = counts.whole.best_constant(metric);
    counts.folds(metric, "", constant)
}
