//! Recall: of the rows of a class, the share that was found.

use super::confusion::{Confusion, Confusions};
use super::folds::Folds;

/// Hits over rows of the class, in [0, 1]; `None` where no label is of it. Of many classes: the mean over those that
/// were decided for or came true, and there an undefined one counts as 0, as in scikit-learn's `average="macro"`.
/// Source: `sklearn.metrics.recall_score`.
///
/// ```
/// use driftline::performance::recall::recall;
/// assert_eq!(recall(3, 4), Some(0.75));
/// assert_eq!(recall(0, 0), None);
/// ```
pub fn recall(hits: u64, actual: u64) -> Option<f64> {
    (actual > 0).then(|| hits as f64 / actual as f64)
}

/// `positive`: the place of the class that counts; `None` for the mean over classes. Deciding always for the positive
/// class finds all of it: the best constant gets 1.
pub(super) fn folds(counts: &Confusions, positive: Option<usize>) -> Folds {
    let metric = |c: &Confusion| match positive {
        Some(class) => recall(c.classes[class].hits, c.classes[class].actual),
        None => c.macro_mean(|class| recall(class.hits, class.actual)),
    };
    let constant = counts.whole.best_constant(metric);
    let undefined = "no label is positive, so recall is not defined";
    counts.folds(metric, undefined, constant)
}
