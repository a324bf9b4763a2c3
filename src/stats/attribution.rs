//! Drift of feature attributions: whether what mattered while training still matters most.

/// What is done with features whose live attributions are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ties {
    /// They keep the order in which the features are given: SageMaker Clarify's formula.
    #[default]
    Given,
    /// Each of them gets the mean discount of the ranks they share, so that the order of features does not matter:
    /// scikit-learn's `ndcg_score`.
    Averaged,
    /// They stand in the reverse of the order in which they are given: scikit-learn's `ndcg_score` with
    /// `ignore_ties=True`.
    Reversed,
}

/// Normalised discounted cumulative gain of the training attributions in the order of the live ones: DCG / iDCG with
/// DCG = Σ |a(fᵢ)| / log₂(i + 1), where fᵢ is the feature of rank i by live attribution and a is its *training*
/// attribution; iDCG has the training attributions in their own order. 1 for the same order, and down; it reaches the
/// iDCG of the reversed order at worst, not 0. SageMaker Clarify alerts below 0.90.
///
/// Absolute values count on both sides. Features are matched by place; of different lengths the shorter one counts.
/// An attribution that is no finite number is 0. `None` where no feature is given or all training attributions are 0.
/// Source: Järvelin and Kekäläinen (2002); Amazon SageMaker Clarify, *Monitor feature attribution drift*.
///
/// ```
/// use driftline::stats::attribution::{Ties, ndcg};
/// // SAT 0.70, GPA 0.50, rank 0.05 while training; 0.10, 0.20, 0.70 now.
/// let value = ndcg(&[0.70, 0.50, 0.05], &[0.10, 0.20, 0.70], Ties::Given).unwrap();
/// assert!((value - 0.69).abs() < 0.005, "{value}");
/// ```
pub fn ndcg(reference: &[f64], current: &[f64], ties: Ties) -> Option<f64> {
    let size = |x: f64| if x.is_finite() { x.abs() } else { 0.0 };
    let mut features: Vec<(f64, f64)> = reference
        .iter()
        .zip(current)
        .map(|(&gain, &now)| (size(gain), size(now)))
        .collect();
    // Gains over the largest one: sums of huge attributions stay finite, and the ratio does not change.
    let largest = features
        .iter()
        .fold(0.0_f64, |most, &(gain, _)| most.max(gain));
    if largest == 0.0 {
        return None;
    }
    for (gain, _) in &mut features {
        *gain /= largest;
    }
    let mut ideal: Vec<f64> = features.iter().map(|&(gain, _)| gain).collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best = discounted(ideal.into_iter());

    if ties == Ties::Reversed {
        features.reverse();
    }
    features.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    if ties == Ties::Averaged {
        for group in features.chunk_by_mut(|(_, a), (_, b)| a == b) {
            let mean = group.iter().map(|&(gain, _)| gain).sum::<f64>() / group.len() as f64;
            for (gain, _) in group {
                *gain = mean;
            }
        }
    }
    Some((discounted(features.into_iter().map(|(gain, _)| gain)) / best).clamp(0.0, 1.0))
}

/// Σ gain / log₂(rank + 1), ranks from 1.
fn discounted(gains: impl Iterator<Item = f64>) -> f64 {
    gains
        .enumerate()
        .map(|(i, gain)| gain / (i as f64 + 2.0).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        assert_eq!(ndcg(&[], &[], Ties::Given), None);
        assert_eq!(ndcg(&[0.0, f64::NAN], &[1.0, 2.0], Ties::Given), None);
        assert_eq!(ndcg(&[0.4], &[0.2], Ties::Averaged), Some(1.0));
        assert_eq!(ndcg(&[-3.0, 1.0], &[-5.0, 0.1], Ties::Given), Some(1.0));
        assert_eq!(ndcg(&[f64::MAX; 4], &[1.0; 4], Ties::Given), Some(1.0));
        assert_eq!(ndcg(&[2.0, 1.0, 9.0], &[2.0, 1.0], Ties::Given), Some(1.0));
    }

    #[test]
    fn equal_live_attributions_are_ordered_as_asked() {
        let value = |ties| ndcg(&[0.7, 0.2, 0.1], &[0.3, 0.3, 0.3], ties).expect("gains");
        assert_eq!(value(Ties::Given), 1.0);
        assert!((value(Ties::Averaged) - 0.810_683_984_693_075_3).abs() < 1e-12);
        assert!((value(Ties::Reversed) - 0.657_606_927_210_563_5).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn it_lies_between_0_and_1(
            rows in proptest::collection::vec((any::<f64>(), any::<f64>()), 0..20),
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            for ties in [Ties::Given, Ties::Averaged, Ties::Reversed] {
                if let Some(value) = ndcg(&a, &b, ties) {
                    prop_assert!((0.0..=1.0).contains(&value));
                }
                prop_assert!(ndcg(&a, &a, ties).is_none_or(|value| value > 1.0 - 1e-12));
            }
        }
    }
}
