//! A metric on all rows, and on all but each block in turn: what a value and its standard error are made of.

use super::exact_sum::ExactSum;

/// A metric's value, and the ones without each block that holds rows, in the order of blocks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Folds {
    /// The value, or in a sentence why there is none.
    pub value: Result<f64, String>,
    pub without: Vec<Option<f64>>,
    /// Rows that count.
    pub n: u64,
    /// What the best predictor that always says the same would get on these labels.
    pub constant: Option<f64>,
}

/// Said wherever nothing counts.
pub(super) const NO_ROWS: &str = "no labelled row can be used";

impl Folds {
    pub fn none(reason: &str) -> Self {
        Self {
            value: Err(reason.to_owned()),
            without: Vec::new(),
            n: 0,
            constant: None,
        }
    }
}

/// Sums and counts of a term of each row, by block.
///
/// **Invariant:** sums are exact, so neither the order of rows nor which block is left out touches the last bit.
pub(super) struct Means {
    whole: ExactSum,
    blocks: Vec<ExactSum>,
    rows: Vec<u64>,
}

impl Means {
    /// `terms`: (place of the block, finite term).
    pub fn of(blocks: usize, terms: impl Iterator<Item = (usize, f64)>) -> Self {
        let mut sums = vec![ExactSum::default(); blocks];
        let mut rows = vec![0; blocks];
        for (block, term) in terms {
            sums[block].add(term);
            rows[block] += 1;
        }
        let mut whole = ExactSum::default();
        for sum in &sums {
            whole.merge(sum);
        }
        Self {
            whole,
            blocks: sums,
            rows,
        }
    }

    pub fn rows(&self) -> u64 {
        self.rows.iter().sum()
    }

    /// The mean of all rows; `None` without any.
    pub fn mean(&self) -> Option<f64> {
        mean(&self.whole, self.rows())
    }

    /// The mean without each block that holds rows; `None` where none are left.
    pub fn without(&self) -> impl Iterator<Item = Option<f64>> {
        let all = self.rows();
        let held = self
            .blocks
            .iter()
            .zip(&self.rows)
            .filter(|(_, rows)| **rows > 0);
        held.map(move |(block, rows)| {
            let mut rest = self.whole.clone();
            rest.remove(block);
            mean(&rest, all - rows)
        })
    }

    /// The folds of a metric that is a function of the mean.
    pub fn folds(&self, metric: impl Fn(f64) -> f64, constant: Option<f64>) -> Folds {
        let finite = |mean: f64| Some(metric(mean)).filter(|value| value.is_finite());
        Folds {
            value: match self.mean() {
                None => Err(NO_ROWS.to_owned()),
                Some(mean) => {
                    finite(mean).ok_or_else(|| "the sum is beyond the greatest number".to_owned())
                }
            },
            without: self.without().map(|mean| mean.and_then(finite)).collect(),
            n: self.rows(),
            constant,
        }
    }
}

fn mean(sum: &ExactSum, rows: u64) -> Option<f64> {
    (rows > 0).then(|| sum.value() / rows as f64)
}
