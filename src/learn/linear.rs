//! Logistic regression and elastic net: linfa finds the coefficients.
//!
//! **Invariant:** coefficients are finite. Deliberately absent: the encoding of columns (see [`super::one_hot`]) and
//! predicting, which is a sum that [`super::model`] takes over them.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_elasticnet::ElasticNet;
use linfa_logistic::{LogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::LearnError;

/// `intercept + weights · row`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub intercept: f64,
    /// A weight for each number that a row becomes.
    pub weights: Vec<f64>,
}

impl Line {
    pub(super) fn is_sound(&self, width: usize) -> bool {
        self.weights.len() == width
            && self.intercept.is_finite()
            && self.weights.iter().all(|weight| weight.is_finite())
    }
}

/// The optimiser stops when the gradient of the *mean* log loss is as short as this. On two months of flights the loss
/// is then within 0.0002 of its least, far below its standard error of 0.01, after half the time that a third of this
/// takes.
const MEAN_GRADIENT: f64 = 3e-4;

/// The log odds of `true`, by maximum likelihood with `l2/2 · |weights|²` taken off.
///
/// # Errors
/// linfa found no finite coefficients.
pub fn logistic(
    matrix: Array2<f64>,
    is_positive: &[bool],
    l2: f64,
    steps: u64,
) -> Result<Line, LearnError> {
    let tolerance = MEAN_GRADIENT * is_positive.len() as f64;
    let width = matrix.ncols();
    let targets = Array1::from_iter(is_positive.iter().copied());
    let fitted = LogisticRegression::default()
        .alpha(l2)
        .max_iterations(steps)
        .gradient_tolerance(tolerance)
        .fit(&DatasetBase::new(matrix, targets))
        .map_err(|cause| not_fitted("logistic", cause))?;
    // linfa's positive class is the more frequent one.
    let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
    let line = Line {
        intercept: sign * fitted.intercept(),
        weights: fitted.params().iter().map(|weight| sign * weight).collect(),
    };
    checked("logistic", vec![line], width).map(|mut lines| lines.swap_remove(0))
}

/// A line for each of `classes`, whose softmax are the probabilities. A class without rows gets none in linfa; here
/// it gets the probability 0 by [`super::model`], and `None` in its place.
///
/// # Errors
/// linfa found no finite coefficients.
pub fn multinomial(
    matrix: Array2<f64>,
    class: &[u32],
    classes: usize,
    l2: f64,
    steps: u64,
) -> Result<Vec<Option<Line>>, LearnError> {
    let tolerance = MEAN_GRADIENT * class.len() as f64;
    let width = matrix.ncols();
    let targets = Array1::from_iter(class.iter().map(|&class| class as usize));
    let fitted = MultiLogisticRegression::default()
        .alpha(l2)
        .max_iterations(steps)
        .gradient_tolerance(tolerance)
        .fit(&DatasetBase::new(matrix, targets))
        .map_err(|cause| not_fitted("logistic", cause))?;
    let lines = fitted
        .params()
        .columns()
        .into_iter()
        .zip(fitted.intercept());
    let lines = lines.map(|(weights, intercept)| Line {
        intercept: *intercept,
        weights: weights.to_vec(),
    });
    let lines = checked("logistic", lines.collect(), width)?;
    let mut found = vec![None; classes];
    for (class, line) in fitted.classes().iter().zip(lines) {
        found[*class] = Some(line);
    }
    Ok(found)
}

/// A linear regression whose squared error has a penalty of `strength / √rows` on the coefficients of the
/// standardised target.
///
/// # Errors
/// linfa found no finite coefficients.
pub fn elastic_net(
    matrix: Array2<f64>,
    values: &[f64],
    strength: f64,
    l1_share: f64,
    steps: u32,
) -> Result<Line, LearnError> {
    let rows = values.len() as f64;
    let width = matrix.ncols();
    let mean = values.iter().sum::<f64>() / rows;
    let squares: f64 = values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .sum();
    let deviation = (squares / rows).sqrt();
    if !deviation.is_normal() {
        // All values are the same: the best line is flat.
        return Ok(Line {
            intercept: mean,
            weights: vec![0.0; width],
        });
    }
    // linfa leaves the columns' own means in; without them the intercept is the target's mean.
    let centers: Vec<f64> = matrix
        .columns()
        .into_iter()
        .map(|column| column.sum() / rows)
        .collect();
    let mut centered = matrix;
    for (mut column, center) in centered.columns_mut().into_iter().zip(&centers) {
        column -= *center;
    }
    let targets = Array1::from_iter(values.iter().map(|value| (value - mean) / deviation));
    let fitted = ElasticNet::params()
        .penalty(strength / rows.sqrt())
        .l1_ratio(l1_share)
        .max_iterations(steps)
        .tolerance(SETTLED)
        .fit(&DatasetBase::new(centered, targets))
        .map_err(|cause| not_fitted("elastic_net", cause))?;
    let weights: Vec<f64> = fitted
        .hyperplane()
        .iter()
        .map(|weight| weight * deviation)
        .collect();
    let shift: f64 = weights
        .iter()
        .zip(&centers)
        .map(|(weight, center)| weight * center)
        .sum();
    let line = Line {
        intercept: mean + deviation * fitted.intercept() - shift,
        weights,
    };
    checked("elastic_net", vec![line], width).map(|mut lines| lines.swap_remove(0))
}

/// Elastic net has settled when no coefficient moves by more than this share of the largest.
const SETTLED: f64 = 1e-6;

fn checked(
    candidate: &'static str,
    lines: Vec<Line>,
    width: usize,
) -> Result<Vec<Line>, LearnError> {
    if lines.iter().all(|line| line.is_sound(width)) {
        return Ok(lines);
    }
    Err(LearnError::NotFitted {
        candidate,
        cause: "the coefficients ran away".to_owned(),
    })
}

fn not_fitted(candidate: &'static str, cause: impl ToString) -> LearnError {
    LearnError::NotFitted {
        candidate,
        cause: cause.to_string(),
    }
}

#[cfg(test)]
#[path = "linear_tests.rs"]
mod tests;
