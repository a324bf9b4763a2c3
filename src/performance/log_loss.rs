//! Log loss: how surprising the labels were to the predicted probabilities.

use super::folds::{Folds, Means};

/// Probabilities of 0 and 1 count as this much less sure, so that one wrong certainty does not make the loss infinite:
/// the distance from 1 to the next float, as in scikit-learn ≥ 1.5.
const CLIP: f64 = f64::EPSILON;

/// −ln p, where p is the predicted probability of the class that came true, clipped to [ε, 1 − ε] with ε = 2⁻⁵².
/// In nats, from 2.2e-16 to 36.04. `probability` lies in [0, 1].
///
/// ```
/// use driftline::performance::log_loss::row_loss;
/// assert_eq!(row_loss(0.5), std::f64::consts::LN_2);
/// assert!((row_loss(0.0) - 36.04365338911715).abs() < 1e-12);
/// ```
pub fn row_loss(probability: f64) -> f64 {
    -probability.clamp(CLIP, 1.0 - CLIP).ln()
}

/// The probability of what came true, from that of the positive class.
pub(super) fn of_truth(probability: f64, positive: bool) -> f64 {
    if positive {
        probability
    } else {
        1.0 - probability
    }
}

/// The mean of [`row_loss`] over rows of two classes: `probabilities` of the positive class, in [0, 1], and whether
/// it came true. `None` for no rows. In [2.2e-16, 36.04]; one class alone is no obstacle.
///
/// Of many classes p is the score of the true one over the sum of the row's scores. Source: `sklearn.metrics.log_loss`
/// of scikit-learn 1.5 and later. Error: the logarithms' rounding alone, the sum is exact.
///
/// ```
/// use driftline::performance::log_loss::log_loss;
/// let loss = log_loss(&[0.9, 0.2, 0.6], &[true, false, false]).expect("three rows");
/// assert!((loss - 0.414931599615397).abs() < 1e-12);
/// assert_eq!(log_loss(&[], &[]), None);
/// ```
pub fn log_loss(probabilities: &[f64], positives: &[bool]) -> Option<f64> {
    let rows = probabilities.iter().zip(positives);
    let terms = rows.map(|(p, positive)| (0, row_loss(of_truth(*p, *positive))));
    Means::of(1, terms).mean()
}

/// `rows`: (block, probability of the class that came true). `actual`: rows of each true class.
pub(super) fn folds(
    blocks: usize,
    rows: impl Iterator<Item = (usize, f64)>,
    actual: &[u64],
) -> Folds {
    let terms = rows.map(|(block, probability)| (block, row_loss(probability)));
    Means::of(blocks, terms).folds(|mean| mean, entropy(actual))
}

/// The entropy of the labels' shares, −Σ s ln s: what always predicting the shares would lose. `None` without rows.
pub(super) fn entropy(actual: &[u64]) -> Option<f64> {
    let rows: u64 = actual.iter().sum();
    let term = |count: &u64| {
        let share = *count as f64 / rows as f64;
        share * share.ln()
    };
    // In the order of classes: a fixed one. 0 − … so that one class alone gives 0.0, not −0.0.
    (rows > 0).then(|| {
        0.0 - actual
            .iter()
            .filter(|count| **count > 0)
            .map(term)
            .sum::<f64>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entropy_is_the_best_constants_loss() {
        let shares = [0.25; 4];
        let constant = log_loss(&shares, &[true, false, false, false]).expect("rows");
        assert!((entropy(&[3, 1]).expect("rows") - constant).abs() < 1e-15);
        assert_eq!(entropy(&[0, 7]).map(f64::to_bits), Some(0.0f64.to_bits()));
        assert_eq!(entropy(&[0, 0]), None);
    }
}
