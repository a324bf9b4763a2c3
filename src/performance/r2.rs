//! R²: how much of the truths' spread the predictions explain.

use super::exact_sum::ExactSum;
use super::folds::{Folds, Means, NO_ROWS};

/// 1 − Σ(prediction − truth)² / Σ(truth − mean truth)²: at most 1, 0 for the mean alone, negative for worse. Truths
/// that are all the same give 1 where every prediction hits them, else 0. `None` for fewer than two rows. Source:
/// `sklearn.metrics.r2_score`. Error: the rounding of single squares; sums are exact.
///
/// ```
/// use driftline::performance::r2::r2;
/// assert_eq!(r2(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0]), Some(0.5));
/// assert_eq!(r2(&[4.0, 5.0], &[5.0, 5.0]), Some(0.0));
/// assert_eq!(r2(&[5.0], &[5.0]), None);
/// ```
pub fn r2(predicted: &[f64], actual: &[f64]) -> Option<f64> {
    let rows: Vec<(usize, f64, f64)> = predicted
        .iter()
        .zip(actual)
        .map(|(p, y)| (0, *p, *y))
        .collect();
    folds(1, &rows).value.ok()
}

/// The sums of some rows. Deviations are counted from the mean of *all* truths, which keeps their squares small and is
/// put right by their own sum.
#[derive(Debug, Clone, Default)]
struct Sums {
    rows: u64,
    errors: ExactSum,
    deviations: ExactSum,
    squares: ExactSum,
}

impl Sums {
    fn remove(&mut self, other: &Self) {
        self.rows -= other.rows;
        self.errors.remove(&other.errors);
        self.deviations.remove(&other.deviations);
        self.squares.remove(&other.squares);
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.errors.merge(&other.errors);
        self.deviations.merge(&other.deviations);
        self.squares.merge(&other.squares);
    }

    fn r2(&self, constant: bool) -> Option<f64> {
        if self.rows < 2 {
            return None;
        }
        let errors = self.errors.value();
        let spread = self.squares.value() - self.deviations.value().powi(2) / self.rows as f64;
        if constant || spread <= 0.0 {
            return Some(if errors == 0.0 { 1.0 } else { 0.0 });
        }
        Some(1.0 - errors / spread).filter(|value| value.is_finite())
    }
}

/// The least and the greatest truth of a block: equal ones are found so, not by a spread that rounding left.
type Ends = Option<(f64, f64)>;

fn wider(a: Ends, b: Ends) -> Ends {
    match (a, b) {
        (Some((low, high)), Some((other_low, other_high))) => {
            Some((low.min(other_low), high.max(other_high)))
        }
        (ends, None) | (None, ends) => ends,
    }
}

/// `rows`: (block, prediction, truth). The best constant, the truths' mean, explains nothing.
pub(super) fn folds(blocks: usize, rows: &[(usize, f64, f64)]) -> Folds {
    let Some(center) = Means::of(1, rows.iter().map(|(.., y)| (0, *y))).mean() else {
        return Folds::none(NO_ROWS);
    };
    let mut parts = vec![(Sums::default(), None); blocks];
    for (block, predicted, actual) in rows {
        let (sums, ends) = &mut parts[*block];
        let deviation = actual - center;
        sums.rows += 1;
        sums.errors.add((predicted - actual).powi(2));
        sums.deviations.add(deviation);
        sums.squares.add(deviation.powi(2));
        *ends = wider(*ends, Some((*actual, *actual)));
    }
    let mut whole = Sums::default();
    for (sums, _) in &parts {
        whole.merge(sums);
    }
    let constant_without = |left_out: Option<usize>| {
        let others = parts
            .iter()
            .enumerate()
            .filter(|(i, _)| Some(*i) != left_out);
        let ends = others.map(|(_, (_, ends))| *ends).fold(None, wider);
        ends.is_none_or(|(low, high)| low == high)
    };
    let value = whole.r2(constant_without(None));
    let held = (0..blocks).filter(|block| parts[*block].0.rows > 0);
    let without = held.map(|block| {
        let mut rest = whole.clone();
        rest.remove(&parts[block].0);
        rest.r2(constant_without(Some(block)))
    });
    Folds {
        without: without.collect(),
        n: whole.rows,
        constant: value.map(|_| 0.0),
        value: value.ok_or_else(|| "R² needs two rows at least".to_owned()),
    }
}
