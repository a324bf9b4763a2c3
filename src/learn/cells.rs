//! Columns as trees want them: every feature a number whose order means something.
//!
//! A number stays itself (its place in the order is all that a tree uses), being missing is a 0 or a 1, and a category
//! becomes the mean of the target over its training rows, drawn to the overall mean as if [`PRIOR_ROWS`] more rows of
//! that had been seen. Splitting categories in the order of that mean finds the best of all two-way splits (Breiman
//! et al., 1984, theorem 4.5, for two classes and for squares), where one column for each category would let a tree
//! take out one category a question.
//!
//! For growing, each column is cut into at most [`MOST_CELLS`] cells of about equally many rows.
//!
//! **Invariant:** a value lies in cell `k` exactly if it is above the first `k` cuts and not above cut `k`, so what is
//! decided by cells while growing is decided alike by values when predicting.
//! Deliberately absent: growing (see [`super::tree`]).

use serde::{Deserialize, Serialize};

use super::LearnError;
use super::feature::{self, Complete, Feature, Values};
use super::table::{Table, Target, usable};

/// Rows of the overall mean that are added to each category's own.
pub const PRIOR_ROWS: f64 = 20.0;
/// Most cells of a column while growing: a cut is at most 1.6 % of the rows from where it would be best.
pub const MOST_CELLS: usize = 64;
/// Most classes for which categories get a mean; a category's shares of the rarer ones are not looked at.
const MOST_CLASSES: usize = 8;

/// The encoding, as fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ordered {
    features: Vec<Scored>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scored {
    feature: Feature,
    /// For a category: for each mean that is kept, a value a place. Empty for a number.
    scores: Vec<Vec<f64>>,
}

impl Scored {
    /// Columns that the feature becomes.
    fn width(&self) -> usize {
        match &self.feature.values {
            Values::Numeric { tell_missing, .. } => 1 + usize::from(*tell_missing),
            Values::Categorical { .. } => self.scores.len(),
        }
    }
}

impl Ordered {
    /// # Errors
    /// No column holds two different values.
    pub fn fit(table: &Table, target: &Target) -> Result<Ordered, LearnError> {
        let outcomes = outcomes(target);
        let scored = |feature: Feature| {
            let scores = match feature.complete(table)? {
                Complete::Numeric { .. } => Vec::new(),
                Complete::Places(places) => outcomes
                    .iter()
                    .map(|outcome| means(&places, feature.places(), outcome))
                    .collect(),
            };
            Ok(Scored { feature, scores })
        };
        Ok(Ordered {
            features: feature::fit_all(table)?
                .into_iter()
                .map(scored)
                .collect::<Result<_, LearnError>>()?,
        })
    }

    pub fn features(&self) -> impl Iterator<Item = &Feature> {
        self.features.iter().map(|scored| &scored.feature)
    }

    /// Columns that a table becomes.
    pub fn width(&self) -> usize {
        self.features.iter().map(Scored::width).sum()
    }

    /// The table's columns as numbers.
    ///
    /// # Errors
    /// A column of the table is of another kind than when fitted.
    pub fn columns(&self, table: &Table) -> Result<Vec<Vec<f64>>, LearnError> {
        let mut columns = Vec::with_capacity(self.width());
        for scored in &self.features {
            match scored.feature.complete(table)? {
                Complete::Numeric { values, missing } => {
                    columns.push(values);
                    if scored.width() == 2 {
                        columns.push(missing.into_iter().map(f64::from).collect());
                    }
                }
                Complete::Places(places) => {
                    for scores in &scored.scores {
                        columns.push(places.iter().map(|&place| scores[place as usize]).collect());
                    }
                }
            }
        }
        Ok(columns)
    }

    /// Whether what was read from a file can be used.
    pub(super) fn is_sound(&self) -> bool {
        self.features.iter().all(|Scored { feature, scores }| {
            feature.is_sound()
                && (scores.is_empty() == matches!(feature.values, Values::Numeric { .. }))
                && scores.iter().all(|scores| {
                    scores.len() == feature.places() && scores.iter().all(|score| usable(*score))
                })
        })
    }
}

/// What categories' means are taken of: the value, or being of a class. Two classes need one.
fn outcomes(target: &Target) -> Vec<Vec<f64>> {
    match target {
        Target::Binary { is_positive, .. } => {
            vec![is_positive.iter().map(|&yes| f64::from(yes)).collect()]
        }
        Target::Regression(values) => vec![values.clone()],
        Target::Multiclass { classes, class } => {
            let mut rows = vec![0_usize; classes.len()];
            for &class in class {
                rows[class as usize] += 1;
            }
            let mut order: Vec<u32> = (0..classes.len() as u32).collect();
            order.sort_by_key(|&class| std::cmp::Reverse(rows[class as usize]));
            order.truncate(MOST_CLASSES);
            let is = |wanted: u32| {
                class
                    .iter()
                    .map(|&class| f64::from(class == wanted))
                    .collect()
            };
            order.into_iter().map(is).collect()
        }
    }
}

/// The outcome's mean at each place.
fn means(places: &[u32], count: usize, outcome: &[f64]) -> Vec<f64> {
    let overall = outcome.iter().sum::<f64>() / outcome.len() as f64;
    let mut sums = vec![(0.0, PRIOR_ROWS); count];
    for (&place, value) in places.iter().zip(outcome) {
        let (sum, rows) = &mut sums[place as usize];
        *sum += value - overall;
        *rows += 1.0;
    }
    sums.into_iter()
        .map(|(sum, rows)| overall + sum / rows)
        .collect()
}

/// Columns cut into cells, for growing.
#[derive(Debug, Clone, PartialEq)]
pub struct Cells {
    /// For each column its cuts, ascending; a value not above cut `k` lies in cell `k` or a lower one.
    pub cuts: Vec<Vec<f64>>,
    /// For each column the cell of each row.
    pub codes: Vec<Vec<u8>>,
}

impl Cells {
    pub fn of(columns: &[Vec<f64>]) -> Cells {
        let cuts: Vec<Vec<f64>> = columns.iter().map(|column| cuts(column)).collect();
        let code = |cuts: &[f64], value: f64| cuts.partition_point(|cut| *cut < value) as u8;
        let codes = columns.iter().zip(&cuts);
        Cells {
            codes: codes
                .map(|(column, cuts)| column.iter().map(|value| code(cuts, *value)).collect())
                .collect(),
            cuts,
        }
    }
}

/// At most `MOST_CELLS − 1` cuts between different neighbours: all of them where there are so few, else those at
/// equally spaced ranks.
fn cuts(column: &[f64]) -> Vec<f64> {
    let mut sorted = column.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let between = |low: f64, high: f64| {
        let middle = low / 2.0 + high / 2.0;
        // Neighbouring floats have no number between them; the lower one then is the cut.
        if middle < high && middle >= low {
            middle
        } else {
            low
        }
    };
    let mut distinct = sorted.clone();
    distinct.dedup();
    if distinct.len() <= MOST_CELLS {
        return distinct
            .windows(2)
            .map(|pair| between(pair[0], pair[1]))
            .collect();
    }
    let mut cuts: Vec<f64> = Vec::with_capacity(MOST_CELLS - 1);
    for part in 1..MOST_CELLS {
        let low = sorted[part * sorted.len() / MOST_CELLS];
        // The next larger value; a rank inside the largest ones has none.
        let above = distinct.partition_point(|value| *value <= low);
        let Some(high) = distinct.get(above) else {
            continue;
        };
        let cut = between(low, *high);
        if cuts.last().is_none_or(|last| *last < cut) {
            cuts.push(cut);
        }
    }
    cuts
}

#[cfg(test)]
#[path = "cells_tests.rs"]
mod tests;
