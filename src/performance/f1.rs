//! F1: precision and recall in one number, their harmonic mean.

use super::confusion::{Confusion, Confusions};
use super::folds::Folds;

/// 2·hits / (decided for + true), in [0, 1]: 0 where nothing that was decided for is true, `None` where the class was
/// neither decided for nor true. Of many classes: the mean over those that were decided for or came true. Source:
/// `sklearn.metrics.f1_score`, for many classes with `average="macro"`.
///
/// ```
/// use driftline::performance::f1::f1;
/// assert_eq!(f1(3, 4, 8), Some(0.5));
/// assert_eq!(f1(0, 0, 8), Some(0.0));
/// assert_eq!(f1(0, 0, 0), None);
/// ```
pub fn f1(hits: u64, predicted: u64, actual: u64) -> Option<f64> {
    let both = predicted + actual;
    (both > 0).then(|| 2.0 * hits as f64 / both as f64)
}

/// `positive`: the place of the class that counts; `None` for the mean over classes. The best constant of two classes
/// is to decide always for the positive one: 2s / (1 + s) with its share s.
pub(super) fn folds(counts: &Confusions, positive: Option<usize>) -> Folds {
    let metric = |c: &Confusion| match positive {
        Some(place) => {
            let class = &c.classes[place];
            f1(class.hits, class.predicted, class.actual)
        }
        None => c.macro_mean(|class| f1(class.hits, class.predicted, class.actual)),
    };
    let constant = counts.whole.best_constant(metric);
    let undefined = "nothing was decided to be positive and no label is, so F1 is not defined";
    counts.folds(metric, undefined, constant)
}
