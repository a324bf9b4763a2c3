//! Precision: of the decisions for a class, the share that was right.

use super::confusion::{Confusion, Confusions};
use super::folds::Folds;

/// Hits over decisions for the class, in [0, 1]; `None` where nothing decided for it (scikit-learn warns and says 0).
/// Of many classes: the mean over those that were decided for or came true, and there an undefined one counts as 0, as
/// in scikit-learn's `average="macro"`. Source: `sklearn.metrics.precision_score`.
///
/// ```
/// use driftline::performance::precision::precision;
/// assert_eq!(precision(3, 4), Some(0.75));
/// assert_eq!(precision(0, 0), None);
/// ```
pub fn precision(hits: u64, predicted: u64) -> Option<f64> {
    (predicted > 0).then(|| hits as f64 / predicted as f64)
}

/// `positive`: the place of the class that counts; `None` for the mean over classes. The best constant of two classes
/// is to decide always for the positive one.
pub(super) fn folds(counts: &Confusions, positive: Option<usize>) -> Folds {
    let metric = |c: &Confusion| match positive {
        Some(class) => precision(c.classes[class].hits, c.classes[class].predicted),
        None => c.macro_mean(|class| precision(class.hits, class.predicted)),
    };
    let constant = counts.whole.best_constant(metric);
    let undefined = "nothing was decided to be positive, so precision is not defined";
    counts.folds(metric, undefined, constant)
}
