//! A fitted model: everything that a prediction needs, and the prediction.
//!
//! **Invariant:** [`Model::predict`] depends on a row alone, never on the rows beside it. Deliberately absent: the
//! stored form (see [`mod@super::file`]).

use serde::{Deserialize, Serialize};

use super::candidate::{Candidate, Task};
use super::cells::{Cells, Ordered};
use super::feature::Feature;
use super::linear::{self, Line};
use super::one_hot::OneHot;
use super::predictions::Predictions;
use super::table::{Table, Target};
use super::tree::{Node, Outcomes, Tree};
use super::{LearnError, forest};

/// Most numbers in the matrix of a linear fit: half a gigabyte. Of a longer table evenly spaced rows are taken.
const MOST_NUMBERS: usize = 1 << 26;
/// Most rows that trees see; of a longer table evenly spaced rows are taken. linfa counts in 32-bit floats, which hold
/// every whole number up to this.
const MOST_ROWS: usize = 1 << 24;

/// A fitted model. A file becomes one only by [`Model::from_bytes`], which looks at whether its parts fit together.
#[derive(Debug, Clone, PartialEq)]
pub struct Model(pub(super) Parts);

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parts {
    pub(super) format: u64,
    pub(super) candidate: Candidate,
    pub(super) seed: u64,
    pub(super) task: Task,
    /// In the order of the predicted probabilities; none for a regression.
    pub(super) classes: Vec<String>,
    /// Rows that it was fitted on.
    pub(super) rows: u64,
    pub(super) predictor: Predictor,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Predictor {
    /// One line: the log odds of the second class, or the value itself.
    Line { encoding: OneHot, line: Line },
    /// A line for each class; `None` for a class that training had no row of.
    Lines {
        encoding: OneHot,
        lines: Vec<Option<Line>>,
    },
    Trees {
        encoding: Ordered,
        /// For classes: the training rows of each, which a leaf's own are drawn to.
        totals: Vec<u32>,
        trees: Vec<Tree>,
    },
}

impl Model {
    /// Fits a candidate. `progress` is told shares from 0 to 1, ascending, the last of them 1.
    ///
    /// # Errors
    /// The table or the target cannot be learned from, the candidate does not suit the target or has a parameter
    /// outside its range, or no finite parameters were found.
    pub fn fit(
        candidate: &Candidate,
        table: &Table,
        target: &Target,
        seed: u64,
        progress: &mut dyn FnMut(f64),
    ) -> Result<Model, LearnError> {
        table.check()?;
        candidate.check(target.task())?;
        target.check()?;
        if table.rows() != target.rows() {
            return Err(LearnError::UnequalTarget {
                table: table.rows(),
                target: target.rows(),
            });
        }
        progress(0.0);
        let (predictor, rows) = match candidate {
            Candidate::Logistic { .. } | Candidate::ElasticNet { .. } => {
                fit_linear(candidate, table, target)?
            }
            Candidate::Tree(_)
            | Candidate::Forest { .. }
            | Candidate::RegressionTree(_)
            | Candidate::RegressionForest { .. } => {
                fit_trees(candidate, table, target, seed, progress)?
            }
        };
        progress(1.0);
        Ok(Model(Parts {
            format: super::file::FORMAT,
            candidate: candidate.clone(),
            seed,
            task: target.task(),
            classes: target.classes(),
            rows: rows as u64,
            predictor,
        }))
    }

    pub fn candidate(&self) -> &Candidate {
        &self.0.candidate
    }

    pub fn task(&self) -> Task {
        self.0.task
    }

    /// In the order of the predicted probabilities: of two, the negative first. None for a regression.
    pub fn classes(&self) -> &[String] {
        &self.0.classes
    }

    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Rows that it was fitted on.
    pub fn rows(&self) -> u64 {
        self.0.rows
    }

    /// What it knows of the columns that it looks at, in the order of the table that it was fitted on. Columns that
    /// did not vary there are not among them.
    pub fn features(&self) -> Vec<&Feature> {
        match &self.0.predictor {
            Predictor::Line { encoding, .. } | Predictor::Lines { encoding, .. } => {
                encoding.features().collect()
            }
            Predictor::Trees { encoding, .. } => encoding.features().collect(),
        }
    }

    /// A prediction for each row. Columns are found by name; one that the table lacks counts as missing, others than
    /// the model's are not looked at. A table without columns has no rows.
    ///
    /// # Errors
    /// The table's columns differ in length, or one is of another kind than when fitted.
    pub fn predict(&self, table: &Table) -> Result<Predictions, LearnError> {
        table.check()?;
        match &self.0.predictor {
            Predictor::Line { encoding, line } => {
                let scores = encoding.scores(table, line.intercept, &line.weights)?;
                Ok(match self.0.task {
                    Task::Regression => Predictions::Values(scores),
                    Task::Binary | Task::Multiclass => {
                        let rows = scores.into_iter().flat_map(|score| {
                            let positive = logistic(score);
                            [1.0 - positive, positive]
                        });
                        self.probabilities(rows.collect())
                    }
                })
            }
            Predictor::Lines { encoding, lines } => {
                let mut rows = vec![f64::NEG_INFINITY; table.rows() * lines.len()];
                for (class, line) in lines.iter().enumerate() {
                    let Some(line) = line else { continue };
                    let scores = encoding.scores(table, line.intercept, &line.weights)?;
                    for (row, score) in rows.chunks_exact_mut(lines.len()).zip(scores) {
                        row[class] = score;
                    }
                }
                rows.chunks_exact_mut(lines.len()).for_each(softmax);
                Ok(self.probabilities(rows))
            }
            Predictor::Trees {
                encoding,
                totals,
                trees,
            } => {
                let columns = encoding.columns(table)?;
                let width = totals.len().max(1);
                let mut sums = vec![0.0; table.rows() * width];
                let all: f64 = totals.iter().map(|&rows| f64::from(rows)).sum();
                let shares: Vec<f64> = totals.iter().map(|&rows| f64::from(rows) / all).collect();
                for tree in trees {
                    for (row, sums) in sums.chunks_exact_mut(width).enumerate() {
                        match tree.leaf(&columns, row) {
                            Node::Counts(counts) => frequencies(counts, &shares, sums),
                            Node::Mean(mean) => sums[0] += mean,
                            Node::Ask { .. } => {}
                        }
                    }
                }
                if totals.is_empty() {
                    let count = trees.len() as f64;
                    sums.iter_mut().for_each(|sum| *sum /= count);
                    return Ok(Predictions::Values(sums));
                }
                sums.chunks_exact_mut(width).for_each(to_one);
                Ok(self.probabilities(sums))
            }
        }
    }

    fn probabilities(&self, probabilities: Vec<f64>) -> Predictions {
        Predictions::Classes {
            classes: self.0.classes.clone(),
            probabilities,
        }
    }
}

impl Parts {
    /// Whether what was read from a file can be used for predicting.
    pub(super) fn is_sound(&self) -> bool {
        let classes = self.classes.len();
        let fits = match self.task {
            Task::Binary => classes == 2,
            Task::Multiclass => classes >= 2,
            Task::Regression => classes == 0,
        };
        fits && self.candidate.check(self.task).is_ok()
            && match &self.predictor {
                Predictor::Line { encoding, line } => {
                    self.task != Task::Multiclass
                        && encoding.is_sound()
                        && line.is_sound(encoding.width())
                }
                Predictor::Lines { encoding, lines } => {
                    self.task == Task::Multiclass
                        && lines.len() == classes
                        && lines.iter().flatten().count() >= 2
                        && encoding.is_sound()
                        && lines
                            .iter()
                            .flatten()
                            .all(|line| line.is_sound(encoding.width()))
                }
                Predictor::Trees {
                    encoding,
                    totals,
                    trees,
                } => {
                    !trees.is_empty()
                        && totals.len() == classes
                        && (classes == 0 || totals.iter().any(|&rows| rows > 0))
                        && encoding.is_sound()
                        && trees
                            .iter()
                            .all(|tree| tree.is_sound(encoding.width(), classes))
                }
            }
    }
}

fn fit_linear(
    candidate: &Candidate,
    table: &Table,
    target: &Target,
) -> Result<(Predictor, usize), LearnError> {
    let encoding = OneHot::fit(table)?;
    let most = (MOST_NUMBERS / encoding.width()).max(1);
    let fewer = bounded(table, target, most)?;
    let (table, target) = fewer
        .as_ref()
        .map_or((table, target), |(table, target)| (table, target));
    let matrix = encoding.matrix(table)?;
    let predictor = match (candidate, target) {
        (Candidate::Logistic { l2, steps }, Target::Binary { is_positive, .. }) => {
            Predictor::Line {
                line: linear::logistic(matrix, is_positive, *l2, *steps)?,
                encoding,
            }
        }
        (Candidate::Logistic { l2, steps }, Target::Multiclass { classes, class }) => {
            Predictor::Lines {
                lines: linear::multinomial(matrix, class, classes.len(), *l2, *steps)?,
                encoding,
            }
        }
        (
            Candidate::ElasticNet {
                strength,
                l1_share,
                steps,
            },
            Target::Regression(values),
        ) => Predictor::Line {
            line: linear::elastic_net(matrix, values, *strength, *l1_share, *steps)?,
            encoding,
        },
        _ => return Err(wrong(candidate, target)),
    };
    Ok((predictor, target.rows()))
}

fn fit_trees(
    candidate: &Candidate,
    table: &Table,
    target: &Target,
    seed: u64,
    progress: &mut dyn FnMut(f64),
) -> Result<(Predictor, usize), LearnError> {
    let fewer = bounded(table, target, MOST_ROWS)?;
    let (table, target) = fewer
        .as_ref()
        .map_or((table, target), |(table, target)| (table, target));
    let encoding = Ordered::fit(table, target)?;
    let cells = Cells::of(&encoding.columns(table)?);
    let classes = target.classes().len();
    let binary: Vec<u32>;
    let outcomes = match target {
        Target::Binary { is_positive, .. } => {
            binary = is_positive.iter().map(|&yes| u32::from(yes)).collect();
            Outcomes::Classes {
                class: &binary,
                classes,
            }
        }
        Target::Multiclass { class, .. } => Outcomes::Classes { class, classes },
        Target::Regression(values) => Outcomes::Values(values),
    };
    let mut totals = vec![0; classes];
    if let Outcomes::Classes { class, .. } = outcomes {
        class.iter().for_each(|&class| totals[class as usize] += 1);
    }
    let trees = match candidate {
        Candidate::Tree(growth) | Candidate::RegressionTree(growth) => {
            vec![forest::single(&cells, outcomes, growth)?]
        }
        Candidate::Forest { growth, wood } | Candidate::RegressionForest { growth, wood } => {
            forest::many(&cells, outcomes, growth, wood, seed, progress)?
        }
        Candidate::Logistic { .. } | Candidate::ElasticNet { .. } => {
            return Err(wrong(candidate, target));
        }
    };
    let predictor = Predictor::Trees {
        encoding,
        totals,
        trees,
    };
    Ok((predictor, target.rows()))
}

/// `most` evenly spaced rows of a longer table; `None` for one that is no longer.
fn bounded(
    table: &Table,
    target: &Target,
    most: usize,
) -> Result<Option<(Table, Target)>, LearnError> {
    let rows = table.rows();
    if rows <= most {
        return Ok(None);
    }
    let places: Vec<usize> = (0..most).map(|place| place * rows / most).collect();
    let target = target.take(&places);
    target.check()?;
    Ok(Some((table.take(&places), target)))
}

fn wrong(candidate: &Candidate, target: &Target) -> LearnError {
    candidate
        .check(target.task())
        .err()
        .unwrap_or(LearnError::NothingVaries)
}

/// 1 / (1 + e^−score), without overflow on either side.
fn logistic(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// Turns scores into probabilities; −∞ becomes 0. At least one score is finite.
fn softmax(scores: &mut [f64]) {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores
        .iter_mut()
        .for_each(|score| *score = (*score - most).exp());
    to_one(scores);
}

/// Divides by the sum.
fn to_one(shares: &mut [f64]) {
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
}

/// Adds a leaf's share of each class: Laplace's rule, one row more for each class, these rows being spread over the
/// classes as all training rows are.
fn frequencies(counts: &[u32], shares: &[f64], sums: &mut [f64]) {
    let rows: f64 = counts.iter().map(|&rows| f64::from(rows)).sum();
    let added = counts.len() as f64;
    for ((sum, &own), share) in sums.iter_mut().zip(counts).zip(shares) {
        *sum += (f64::from(own) + added * share) / (rows + added);
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
