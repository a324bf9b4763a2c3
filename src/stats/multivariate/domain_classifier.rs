//! The domain classifier: can a model tell current rows from reference rows?
//!
//! Both samples are put together, a model learns which row is whose, and each row is scored by a model that has not
//! seen it (cross-validation). The area under the ROC curve of these scores is 0.5 where nothing tells the samples
//! apart and 1 where everything does. It takes numbers, categories and gaps as they come, with interactions as far as
//! the model learns them: a forest sees a change of correlation, a logistic regression does not.
//!
//! Source: Lopez-Paz and Oquab, *Revisiting Classifier Two-Sample Tests* (2017); as a monitor: NannyML's domain
//! classifier, which uses LightGBM. Deliberately absent: how models are fitted (see [`crate::learn`]).

use statrs::distribution::{ContinuousCDF, Normal};

use super::MultivariateError;
use super::auc::{Placements, placements};
use super::cross_mmd::least_p;
use super::labels::{Labels, numbered};
use super::permutation::Permuted;
use super::shuffle::{generator, shuffle};
use crate::learn::{Candidate, Column, LearnError, Model, Table, Target};

/// Most folds: more are a fit for every few rows.
const MOST_FOLDS: usize = 20;
/// The area of scores that say nothing.
const CHANCE: f64 = 0.5;
/// How many times as large the variance of the area is without a difference as that of scores that were given. By chance
/// two folds lean the same way or opposite ways, and this counts each way: rows of the one are scored by a model that
/// learnt from the other, and the other's by one that learnt from it. So every pair of folds enters the sum twice with
/// one and the same deviation, which makes twice the variance of as many independent ones. Without it quiet samples
/// of 100 and of 1,000 rows a side had p ≤ 5 % in 8 to 9 % of cases.
const EACH_WAY: f64 = 2.0;

/// How rows are told apart.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainClassifier {
    /// A model of classes.
    pub learner: Candidate,
    /// 2 to 20.
    pub folds: usize,
    /// Each seed shuffles the rows into folds, and draws a forest's rows, anew; the area is the mean over seeds.
    pub seeds: Vec<u64>,
    /// The interval holds the area with probability `1 − level`.
    pub level: f64,
}

impl DomainClassifier {
    /// A forest, as [`Candidate::all`] has it, that also finds what only several columns together show; five folds, one
    /// seed, a 95 % interval. Deeper trees of fewer rows and more trees were tried on the reference cases, and say the
    /// same to within 0.01 at up to four times the cost.
    pub fn forest() -> Self {
        let [_, _, forest, ..] = Candidate::all();
        Self::with(forest)
    }

    /// A logistic regression, as [`Candidate::all`] has it: cheaper, and sees shifts of means and shares only.
    pub fn logistic() -> Self {
        let [logistic, ..] = Candidate::all();
        Self::with(logistic)
    }

    fn with(learner: Candidate) -> Self {
        Self {
            learner,
            folds: 5,
            seeds: vec![1],
            level: 0.05,
        }
    }
}

/// Whose rows depend on each other: the block (a day, a customer) of each row, each side numbered on its own.
#[derive(Debug, Clone, Copy)]
pub struct Blocks<'a> {
    pub reference: &'a [usize],
    pub current: &'a [usize],
}

/// How well the samples can be told apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Separation {
    /// The mean over seeds, in [0, 1]. Somewhat below 0.5 is chance too: a model that learned noise is wrong about
    /// rows that it has not seen.
    pub auc: f64,
    /// In the order of the seeds.
    pub by_seed: Vec<f64>,
    /// DeLong's, or its form for blocks, of the scores as given: it knows nothing of how models vary with their
    /// training rows.
    pub standard_error: f64,
    pub lower: f64,
    pub upper: f64,
    /// One-sided, for an area of 0.5, by the normal distribution with the larger of this standard error and the one
    /// of models that learnt noise, √2 times Mann and Whitney's; never below 1 in (n+m over n).
    pub p_value: f64,
}

impl DomainClassifier {
    /// Compares two tables of the same columns. With `blocks`, whole blocks are held out and are what is independent.
    ///
    /// # Errors
    /// Columns that differ in name, order or kind, fewer rows (or blocks) on a side than folds, settings outside their
    /// range, or what the learner refuses.
    ///
    /// ```
    /// use driftline::learn::{Column, Table};
    /// use driftline::stats::multivariate::domain_classifier::DomainClassifier;
    /// let table = |from: u32| Table {
    ///     names: vec!["x".to_owned()],
    ///     columns: vec![Column::Numeric((0..60).map(|k| f64::from(from + k * 7 % 60)).collect())],
    /// };
    /// let found = DomainClassifier::logistic().compare(&table(0), &table(30), None).expect("60 rows a side");
    /// // A row of the second lies above one of the first in 7/8 of all pairs.
    /// assert!((found.auc - 0.875).abs() < 0.02 && found.p_value < 0.001, "{found:?}");
    /// ```
    pub fn compare(
        &self,
        reference: &Table,
        current: &Table,
        blocks: Option<Blocks>,
    ) -> Result<Separation, MultivariateError> {
        let pooled = Pooled::of(reference, current, blocks)?;
        self.check(&pooled)?;
        let is_current: Vec<bool> = (0..pooled.units.len()).map(|row| row >= pooled.n).collect();
        let placed = self.placed(&pooled, &is_current)?;
        let by_seed: Vec<f64> = placed.iter().map(Placements::area).collect();
        let mean = Placements::mean(&placed);
        let (reference_blocks, others) = pooled.units.split_at(pooled.n);
        let current_blocks: Vec<usize> = others
            .iter()
            .map(|unit| unit - pooled.reference_units)
            .collect();
        let (n, m) = (
            pooled.reference_units,
            pooled.units_in_all - pooled.reference_units,
        );
        let auc = by_seed.iter().sum::<f64>() / by_seed.len() as f64;
        // No interval is narrower than half a unit's part, also where every pair is in the right order.
        let least = 0.5 / n.min(m) as f64;
        let standard_error = mean
            .variance(reference_blocks, &current_blocks)
            .max(0.0)
            .sqrt()
            .max(least);
        let (n, m) = (n as f64, m as f64);
        // Mann and Whitney's variance of scores that do not know the labels, for folds that do.
        let of_chance = (EACH_WAY * (n + m + 1.0) / 12.0 / n / m).sqrt();
        let z = (auc - CHANCE) / standard_error.max(of_chance);
        let (tail, reach) = Normal::new(0.0, 1.0).map_or((CHANCE, 0.0), |normal| {
            (normal.sf(z), normal.inverse_cdf(1.0 - self.level / 2.0))
        });
        Ok(Separation {
            auc,
            by_seed,
            standard_error,
            lower: (auc - reach * standard_error).max(0.0),
            upper: (auc + reach * standard_error).min(1.0),
            p_value: tail.clamp(least_p(n as usize, m as usize), 1.0),
        })
    }

    /// The area with its p-value under permuted labels: exact for exchangeable rows or blocks whatever the learner
    /// does, at the price of a cross-validation a permutation.
    ///
    /// # Errors
    /// As [`DomainClassifier::compare`], or what [`Labels`] refuses.
    ///
    /// ```
    /// use driftline::learn::{Column, Table};
    /// use driftline::stats::multivariate::domain_classifier::DomainClassifier;
    /// let table = |from: u32| Table {
    ///     names: vec!["x".to_owned()],
    ///     columns: vec![Column::Numeric((0..30).map(|k| f64::from(from + k * 7 % 30)).collect())],
    /// };
    /// let found = DomainClassifier::logistic().permutation_test(&table(0), &table(15), None, 19, 1).expect("rows");
    /// assert_eq!(found.p_value, 0.05);
    /// ```
    pub fn permutation_test(
        &self,
        reference: &Table,
        current: &Table,
        blocks: Option<Blocks>,
        draws: usize,
        seed: u64,
    ) -> Result<Permuted, MultivariateError> {
        let pooled = Pooled::of(reference, current, blocks)?;
        self.check(&pooled)?;
        let rows = pooled.units.len();
        let labels = match blocks {
            None => Labels::of_rows(pooled.n, rows - pooled.n, draws, seed),
            Some(blocks) => Labels::of_blocks(blocks.reference, blocks.current, draws, seed),
        }?;
        let mut values = Vec::with_capacity(labels.labellings());
        for labelling in 0..labels.labellings() {
            let is_current: Vec<bool> = (0..rows)
                .map(|row| labels.is_current(row, labelling))
                .collect();
            let placed = self.placed(&pooled, &is_current)?;
            let areas: f64 = placed.iter().map(Placements::area).sum();
            values.push(areas / placed.len() as f64);
        }
        Ok(Permuted::of(&values, 1.0))
    }

    fn check(&self, pooled: &Pooled) -> Result<(), MultivariateError> {
        if !(2..=MOST_FOLDS).contains(&self.folds) {
            return Err(MultivariateError::parameter(
                "folds",
                self.folds,
                "2 to 20 folds",
            ));
        }
        if self.seeds.is_empty() {
            return Err(MultivariateError::parameter(
                "seeds",
                "none",
                "at least one",
            ));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(MultivariateError::parameter(
                "level",
                self.level,
                "a probability between 0 and 1",
            ));
        }
        let current_units = pooled.units_in_all - pooled.reference_units;
        for (side, rows) in [
            ("reference", pooled.reference_units),
            ("current", current_units),
        ] {
            if rows < self.folds {
                return Err(MultivariateError::TooFewRows {
                    side,
                    rows,
                    needs: self.folds,
                });
            }
        }
        Ok(())
    }

    /// For each seed where the rows stand by the scores of models that have not seen them.
    fn placed(
        &self,
        pooled: &Pooled,
        is_current: &[bool],
    ) -> Result<Vec<Placements>, MultivariateError> {
        self.seeds
            .iter()
            .map(|&seed| {
                let scores = self.held_out_scores(pooled, is_current, seed)?;
                let side = |wanted: bool| -> Vec<f64> {
                    let rows = scores.iter().zip(is_current);
                    rows.filter(|(_, current)| **current == wanted)
                        .map(|(score, _)| *score)
                        .collect()
                };
                Ok(placements(&side(false), &side(true)))
            })
            .collect()
    }

    fn held_out_scores(
        &self,
        pooled: &Pooled,
        is_current: &[bool],
        seed: u64,
    ) -> Result<Vec<f64>, MultivariateError> {
        let folds = pooled.folds(is_current, self.folds, seed);
        let mut scores = vec![CHANCE; is_current.len()];
        for fold in 0..self.folds {
            let (held, kept): (Vec<usize>, Vec<usize>) =
                (0..is_current.len()).partition(|&row| folds[row] == fold);
            let target = Target::Binary {
                positive: CURRENT.to_owned(),
                negative: "reference".to_owned(),
                is_positive: kept.iter().map(|&row| is_current[row]).collect(),
            };
            let fitted = Model::fit(
                &self.learner,
                &pooled.table.take(&kept),
                &target,
                seed.wrapping_mul(MOST_FOLDS as u64 + 1)
                    .wrapping_add(fold as u64),
                &mut |_| {},
            );
            let model = match fitted {
                Ok(model) => model,
                // Columns of one value tell nobody apart: every row keeps the score of chance.
                Err(LearnError::NothingVaries) => continue,
                Err(other) => return Err(other.into()),
            };
            let predictions = model.predict(&pooled.table.take(&held))?;
            let said = predictions.probability_of(CURRENT).unwrap_or_default();
            for (row, score) in held.into_iter().zip(said) {
                scores[row] = score;
            }
        }
        Ok(scores)
    }
}

/// The class that is looked for.
const CURRENT: &str = "current";

/// Both samples in one table, reference rows first.
struct Pooled {
    table: Table,
    /// Reference rows.
    n: usize,
    /// What is held out as a whole: the row itself, or its block. The reference's come first.
    units: Vec<usize>,
    reference_units: usize,
    units_in_all: usize,
}

impl Pooled {
    fn of(
        reference: &Table,
        current: &Table,
        blocks: Option<Blocks>,
    ) -> Result<Self, MultivariateError> {
        reference.check()?;
        current.check()?;
        if reference.columns.is_empty() {
            return Err(MultivariateError::NoColumns);
        }
        if reference.columns.len() != current.columns.len() {
            return Err(MultivariateError::Widths {
                reference: reference.columns.len(),
                current: current.columns.len(),
            });
        }
        let mut columns = Vec::with_capacity(reference.columns.len());
        for (name, column) in reference.names.iter().zip(&reference.columns) {
            columns.push(match (column, current.column(name)) {
                (Column::Numeric(a), Some(Column::Numeric(b))) => {
                    Column::Numeric([a.as_slice(), b].concat())
                }
                (Column::Categorical(a), Some(Column::Categorical(b))) => {
                    Column::Categorical([a.as_slice(), b].concat())
                }
                (column, other) => {
                    return Err(MultivariateError::Column {
                        column: name.clone(),
                        reference: column.kind(),
                        current: other.map_or("missing", Column::kind),
                    });
                }
            });
        }
        let (n, m) = (reference.rows(), current.rows());
        let ((mut units, reference_units), (others, current_units)) = match blocks {
            None => (((0..n).collect(), n), ((0..m).collect(), m)),
            Some(blocks) => {
                for (labels, rows) in [(blocks.reference.len(), n), (blocks.current.len(), m)] {
                    if labels != rows {
                        return Err(MultivariateError::Labels { labels, rows });
                    }
                }
                (numbered(blocks.reference), numbered(blocks.current))
            }
        };
        units.extend(others.iter().map(|unit: &usize| reference_units + unit));
        Ok(Self {
            table: Table {
                names: reference.names.clone(),
                columns,
            },
            n,
            units,
            reference_units,
            units_in_all: reference_units + current_units,
        })
    }

    /// The fold of each row: each side's units shuffled and dealt out in turn.
    fn folds(&self, is_current: &[bool], folds: usize, seed: u64) -> Vec<usize> {
        let mut side_of = vec![false; self.units_in_all];
        for (&unit, &current) in self.units.iter().zip(is_current) {
            side_of[unit] = current;
        }
        let mut rng = generator(seed);
        let mut fold_of = vec![0; self.units_in_all];
        for side in [false, true] {
            let mut units: Vec<usize> = (0..self.units_in_all)
                .filter(|&unit| side_of[unit] == side)
                .collect();
            shuffle(&mut units, &mut rng);
            for (place, unit) in units.into_iter().enumerate() {
                fold_of[unit] = place % folds;
            }
        }
        self.units.iter().map(|&unit| fold_of[unit]).collect()
    }
}

#[cfg(test)]
#[path = "domain_classifier_tests.rs"]
mod tests;
