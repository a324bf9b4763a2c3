//! Mean absolute error of predicted numbers.

use super::folds::{Folds, Means};

/// The mean of |prediction − truth|, in the unit of the number, 0 or more; `None` for no rows. Source:
/// `sklearn.metrics.mean_absolute_error`.
///
/// ```
/// use driftline::performance::mae::mae;
/// assert_eq!(mae(&[4.0, 5.0, 9.0], &[1.0, 5.0, 4.0]), Some(8.0 / 3.0));
/// ```
pub fn mae(predicted: &[f64], actual: &[f64]) -> Option<f64> {
    let rows = predicted.iter().zip(actual);
    Means::of(1, rows.map(|(p, y)| (0, (p - y).abs()))).mean()
}

/// `rows`: (block, prediction, truth). The best constant is the truths' median.
pub(super) fn folds(blocks: usize, rows: &[(usize, f64, f64)]) -> Folds {
    let terms = rows.iter().map(|(block, p, y)| (*block, (p - y).abs()));
    let mut truths: Vec<f64> = rows.iter().map(|(.., y)| *y).collect();
    // Of an even number of truths any number between the middle two is as good.
    let middle = truths.len() / 2;
    let constant =
        (!truths.is_empty()).then(|| *truths.select_nth_unstable_by(middle, f64::total_cmp).1);
    let constant = constant
        .and_then(|median| Means::of(1, rows.iter().map(|(.., y)| (0, (y - median).abs()))).mean());
    Means::of(blocks, terms).folds(|mean| mean, constant)
}
