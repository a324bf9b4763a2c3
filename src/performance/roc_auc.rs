//! The area under the ROC curve: how often a positive row is scored above a negative one.

use super::folds::{Folds, NO_ROWS};

/// The value of an order that knows nothing; also the best constant's.
const CHANCE: f64 = 0.5;

/// The share of pairs of a positive and a negative row in which the positive one has the higher score; pairs with
/// equal scores count half. In [0, 1], 0.5 for scores that say nothing; `None` unless there are rows of both classes.
///
/// Pairs are counted by ranks in whole numbers, so nothing is rounded but the last division. Of many classes: the mean
/// over the classes that came true of the area of each against the rest (`multi_class="ovr"`, `average="macro"`),
/// where scikit-learn refuses if a class has no label. Source: Hanley & McNeil (1982); `sklearn.metrics.roc_auc_score`.
///
/// ```
/// use driftline::performance::roc_auc::roc_auc;
/// let scores = [0.3, 0.3, 0.3, 0.7, 0.7, 0.7, 0.9, 0.1];
/// let positives = [false, true, false, true, true, false, true, false];
/// assert_eq!(roc_auc(&scores, &positives), Some(0.8125));
/// assert_eq!(roc_auc(&[0.3, 0.4], &[true, true]), None);
/// ```
pub fn roc_auc(scores: &[f64], positives: &[bool]) -> Option<f64> {
    let rows = scores.iter().zip(positives);
    let rows = rows.map(|(score, positive)| Scored {
        score: *score,
        positive: *positive,
        block: 0,
    });
    Ranks::of(1, rows.collect()).whole.area()
}

/// A row of one class against the rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored {
    pub score: f64,
    pub positive: bool,
    pub block: usize,
}

/// Pairs of a positive and a negative row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pairs {
    positives: u64,
    negatives: u64,
    /// Twice the pairs in the right order, plus the tied ones: a whole number.
    halves: u128,
}

impl Pairs {
    fn area(&self) -> Option<f64> {
        let pairs = u128::from(self.positives) * u128::from(self.negatives);
        (pairs > 0).then(|| self.halves as f64 / (2 * pairs) as f64)
    }
}

/// What one block has a part in.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    /// Its own rows among themselves.
    own: Pairs,
    /// Its positives against all negatives, and its negatives against all positives.
    touched: u128,
}

/// All pairs and each block's part, by one pass through the rows in the order of scores.
struct Ranks {
    whole: Pairs,
    parts: Vec<Part>,
}

impl Ranks {
    fn of(blocks: usize, mut rows: Vec<Scored>) -> Self {
        rows.sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
        let positives = rows.iter().filter(|row| row.positive).count() as u64;
        let mut whole = Pairs::default();
        let mut parts = vec![Part::default(); blocks];
        // Rows of the present group of equal scores by block: (block, positives, negatives).
        let mut group: Vec<(usize, u64, u64)> = Vec::new();
        for tied in rows.chunk_by(|a, b| a.score == b.score) {
            group.clear();
            let (mut up, mut down) = (0, 0);
            for row in tied {
                let place = match group.iter().position(|(block, ..)| *block == row.block) {
                    Some(place) => place,
                    None => {
                        group.push((row.block, 0, 0));
                        group.len() - 1
                    }
                };
                let (_, ups, downs) = &mut group[place];
                if row.positive {
                    (*ups, up) = (*ups + 1, up + 1);
                } else {
                    (*downs, down) = (*downs + 1, down + 1);
                }
            }
            // Twice the negatives below and the tied ones; twice the positives above and the tied ones.
            let below = u128::from(2 * whole.negatives + down);
            let above = u128::from(2 * (positives - whole.positives - up) + up);
            for &(block, ups, downs) in &group {
                let part = &mut parts[block];
                part.touched += u128::from(ups) * below + u128::from(downs) * above;
                part.own.halves += u128::from(ups) * u128::from(2 * part.own.negatives + downs);
                part.own.positives += ups;
                part.own.negatives += downs;
            }
            whole.halves += u128::from(up) * below;
            whole.positives += up;
            whole.negatives += down;
        }
        Self { whole, parts }
    }

    /// Pairs of which neither row is in the block; those within it were touched from both sides.
    fn without(&self, part: &Part) -> Pairs {
        Pairs {
            positives: self.whole.positives - part.own.positives,
            negatives: self.whole.negatives - part.own.negatives,
            halves: self.whole.halves + part.own.halves - part.touched,
        }
    }
}

/// One list of rows for each class against the rest; of two classes only the positive one's. Every list holds the
/// same rows.
pub(super) fn folds(blocks: usize, classes: impl IntoIterator<Item = Vec<Scored>>) -> Folds {
    let ranks: Vec<Ranks> = classes
        .into_iter()
        .map(|rows| Ranks::of(blocks, rows))
        .collect();
    let Some(first) = ranks.first().filter(|first| first.rows() > 0) else {
        return Folds::none(NO_ROWS);
    };
    let value = mean(ranks.iter().map(|ranks| ranks.whole.area()));
    let held = (0..blocks).filter(|block| {
        let own = &first.parts[*block].own;
        own.positives + own.negatives > 0
    });
    Folds {
        constant: value.map(|_| CHANCE),
        value: value.ok_or_else(|| {
            "all labels are of one class, so there is no pair to compare".to_owned()
        }),
        without: held
            .map(|block| {
                mean(
                    ranks
                        .iter()
                        .map(|ranks| ranks.without(&ranks.parts[block]).area()),
                )
            })
            .collect(),
        n: first.rows(),
    }
}

impl Ranks {
    fn rows(&self) -> u64 {
        self.whole.positives + self.whole.negatives
    }
}

/// The mean of the areas that are defined, in the order of classes; `None` where none is.
fn mean(areas: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let areas: Vec<f64> = areas.flatten().collect();
    (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, pair by pair.
    fn by_pairs(rows: &[Scored]) -> Option<f64> {
        let mut pairs = Pairs::default();
        for positive in rows.iter().filter(|row| row.positive) {
            for negative in rows.iter().filter(|row| !row.positive) {
                pairs.halves += u128::from(positive.score > negative.score)
                    + u128::from(positive.score >= negative.score);
            }
        }
        pairs.positives = rows.iter().filter(|row| row.positive).count() as u64;
        pairs.negatives = rows.len() as u64 - pairs.positives;
        pairs.area()
    }

    proptest! {
        #[test]
        fn ranks_say_what_pairs_say_also_without_a_block(
            rows in proptest::collection::vec((0..12u32, any::<bool>(), 0..4usize), 0..60),
        ) {
            let rows: Vec<Scored> = rows
                .into_iter()
                .map(|(score, positive, block)| Scored { score: f64::from(score) / 11.0, positive, block })
                .collect();
            let folds = folds(4, [rows.clone()]);
            prop_assert_eq!(folds.value.ok(), by_pairs(&rows));
            let held: Vec<usize> = (0..4).filter(|block| rows.iter().any(|row| row.block == *block)).collect();
            prop_assert_eq!(folds.without.len(), held.len());
            for (found, block) in folds.without.iter().zip(held) {
                let rest: Vec<Scored> = rows.iter().filter(|row| row.block != block).copied().collect();
                prop_assert_eq!(*found, by_pairs(&rest));
            }
        }
    }

    #[test]
    fn positive_and_negative_zero_are_tied() {
        assert_eq!(roc_auc(&[0.0, -0.0], &[true, false]), Some(0.5));
    }
}
