//! Root mean squared error of predicted numbers.

use super::folds::{Folds, Means};

/// √(mean of (prediction − truth)²), in the unit of the number, 0 or more; `None` for no rows. Numbers lie within
/// ±1e150, so that their squares can be summed. Source: `sklearn.metrics.root_mean_squared_error`.
///
/// ```
/// use driftline::performance::rmse::rmse;
/// assert_eq!(rmse(&[4.0, 5.0, 9.0], &[1.0, 5.0, 5.0]), Some((25.0f64 / 3.0).sqrt()));
/// ```
pub fn rmse(predicted: &[f64], actual: &[f64]) -> Option<f64> {
    let rows = predicted.iter().zip(actual);
    let terms = rows.map(|(p, y)| (0, row_loss(*p, *y)));
    Means::of(1, terms).mean().map(f64::sqrt)
}

/// The squared error of one row.
///
/// ```
/// assert_eq!(driftline::performance::rmse::row_loss(4.0, 1.0), 9.0);
/// ```
pub fn row_loss(predicted: f64, actual: f64) -> f64 {
    (predicted - actual).powi(2)
}

/// `rows`: (block, prediction, truth). The best constant is the truths' mean; its error is their standard deviation.
pub(super) fn folds(blocks: usize, rows: &[(usize, f64, f64)]) -> Folds {
    let terms = rows.iter().map(|(block, p, y)| (*block, row_loss(*p, *y)));
    let center = Means::of(1, rows.iter().map(|(.., y)| (0, *y))).mean();
    let deviation = center.and_then(|center| {
        let squares = rows.iter().map(|(.., y)| (0, row_loss(center, *y)));
        Means::of(1, squares).mean().map(f64::sqrt)
    });
    Means::of(blocks, terms).folds(f64::sqrt, deviation)
}
