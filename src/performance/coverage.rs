//! How many predictions have got their labels, for each class that was predicted.
//!
//! Labels that come sooner for one class than for another make every metric say something else than it will in the
//! end; so the shares stand beside each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::decided::decided;
use super::metric::Kind;
use super::observation::Observation;

/// Rows and how many of them have a label that the task can use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub rows: u64,
    pub labelled: u64,
    /// Rows and labelled rows by decided class. Rows that decide for none are in no entry; regression has none.
    pub by_predicted: BTreeMap<String, (u64, u64)>,
}

impl Coverage {
    /// Counts all observations; order does not matter.
    pub fn of(kind: Kind<'_>, observations: &[Observation]) -> Self {
        let mut coverage = Self::default();
        for observation in observations {
            let labelled = u64::from(observation.is_labelled(kind));
            coverage.rows += 1;
            coverage.labelled += labelled;
            if let Some(class) = decided(kind, observation) {
                match coverage.by_predicted.get_mut(class.as_ref()) {
                    Some(counts) => *counts = (counts.0 + 1, counts.1 + labelled),
                    None => {
                        coverage
                            .by_predicted
                            .insert(class.into_owned(), (1, labelled));
                    }
                }
            }
        }
        coverage
    }

    /// Labelled rows over rows, in [0, 1]; `None` without rows.
    pub fn share(&self) -> Option<f64> {
        share(self.rows, self.labelled)
    }

    /// The largest difference of label coverage between two predicted classes that have at least `fewest` rows each,
    /// in [0, 1]; `None` where there are not two.
    ///
    /// ```
    /// use driftline::performance::Coverage;
    /// let by_predicted = [("late".to_owned(), (200, 150)), ("on_time".to_owned(), (400, 380))].into();
    /// let coverage = Coverage { rows: 600, labelled: 530, by_predicted };
    /// assert_eq!(coverage.gap(100), Some(0.95 - 0.75));
    /// assert_eq!(coverage.gap(300), None);
    /// ```
    pub fn gap(&self, fewest: u64) -> Option<f64> {
        let shares: Vec<f64> = self
            .by_predicted
            .values()
            .filter(|(rows, _)| *rows >= fewest)
            .filter_map(|(rows, labelled)| share(*rows, *labelled))
            .collect();
        let most = shares.iter().copied().reduce(f64::max)?;
        let least = shares.iter().copied().reduce(f64::min)?;
        (shares.len() > 1).then_some(most - least)
    }
}

fn share(rows: u64, labelled: u64) -> Option<f64> {
    (rows > 0).then(|| labelled as f64 / rows as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::performance::testing::{labelled, row};

    #[test]
    fn rows_are_counted_by_the_class_they_decide_for() {
        let kind = Kind::Binary { positive: "late" };
        let mut by_score = row(0);
        by_score.scores.insert("late".to_owned(), 0.7);
        let mut other = labelled(1, "on_time");
        other.scores.insert("late".to_owned(), 0.2);
        let mut written = labelled(2, "late");
        written.class = Some("on_time".to_owned());
        let nothing = labelled(3, "late");
        let coverage = Coverage::of(kind, &[by_score, other, written, nothing]);
        assert_eq!((coverage.rows, coverage.labelled), (4, 3));
        let expect = [("late", (1, 0)), ("not late", (1, 1)), ("on_time", (1, 1))];
        assert_eq!(
            coverage.by_predicted,
            expect
                .map(|(class, counts)| (class.to_owned(), counts))
                .into()
        );
        assert_eq!(coverage.share(), Some(0.75));
        assert_eq!(coverage.gap(1), Some(1.0));
    }

    #[test]
    fn no_rows_have_no_share() {
        let coverage = Coverage::of(Kind::Regression, &[]);
        assert_eq!((coverage.share(), coverage.gap(1)), (None, None));
    }
}
