//! Columns as linear models want them: numbers standardised, a column of zeros and ones for each category.
//!
//! A row becomes, feature after feature: a number's distance from the training mean in standard deviations (and, where
//! that is told, a 1 if it was missing), or a 1 at the place of its category. No category is left out as a base: the
//! penalty on coefficients settles which of the equivalent solutions is taken, and a category never seen then has the
//! effect of none.
//!
//! **Invariant:** every number lies within ±[`FARTHEST`]. Deliberately absent: the fit (see [`super::linear`]).

use ndarray::{Array2, ShapeBuilder};
use serde::{Deserialize, Serialize};

use super::LearnError;
use super::feature::{self, Complete, Feature, Values};
use super::table::{Table, usable};

/// Standard deviations from the mean at which a number is cut off. Sound values do not get there; a sensor that sends
/// 9999 then moves the log odds as far as ten standard deviations do, and not to a certainty.
pub const FARTHEST: f64 = 10.0;

/// The encoding, as fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneHot {
    columns: Vec<Scaled>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scaled {
    feature: Feature,
    /// Mean and standard deviation of the training rows, gaps filled in; 0 and 1 for categories.
    center: f64,
    scale: f64,
}

impl Scaled {
    /// Numbers that a row becomes.
    fn width(&self) -> usize {
        match &self.feature.values {
            Values::Numeric { tell_missing, .. } => 1 + usize::from(*tell_missing),
            Values::Categorical { .. } => self.feature.places(),
        }
    }

    fn standard(&self, value: f64) -> f64 {
        ((value - self.center) / self.scale).clamp(-FARTHEST, FARTHEST)
    }

    /// Calls `add(row, place, value)` for every number that is not zero, row by row.
    fn each(&self, column: &Complete, mut add: impl FnMut(usize, usize, f64)) {
        match column {
            Complete::Numeric { values, missing } => {
                let tell = self.width() == 2;
                for (row, (value, gone)) in values.iter().zip(missing).enumerate() {
                    add(row, 0, self.standard(*value));
                    if tell && *gone {
                        add(row, 1, 1.0);
                    }
                }
            }
            Complete::Places(places) => {
                for (row, place) in places.iter().enumerate() {
                    add(row, *place as usize, 1.0);
                }
            }
        }
    }
}

impl OneHot {
    /// # Errors
    /// No column holds two different values.
    pub fn fit(table: &Table) -> Result<OneHot, LearnError> {
        let scaled = |feature: Feature| {
            let (center, scale) = match feature.complete(table)? {
                Complete::Numeric { values, .. } => moments(&values),
                Complete::Places(_) => (0.0, 1.0),
            };
            Ok(Scaled {
                feature,
                center,
                scale,
            })
        };
        Ok(OneHot {
            columns: feature::fit_all(table)?
                .into_iter()
                .map(scaled)
                .collect::<Result<_, LearnError>>()?,
        })
    }

    /// Numbers that a row becomes.
    pub fn width(&self) -> usize {
        self.columns.iter().map(Scaled::width).sum()
    }

    pub fn features(&self) -> impl Iterator<Item = &Feature> {
        self.columns.iter().map(|column| &column.feature)
    }

    /// The names of the numbers that a row becomes: `temp`, `temp missing`, `carrier=UA`, `carrier missing`,
    /// `carrier other`.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::with_capacity(self.width());
        for Feature { name, values } in self.features() {
            match values {
                Values::Numeric { .. } => names.push(name.clone()),
                Values::Categorical { levels, .. } => {
                    names.extend(levels.iter().map(|level| format!("{name}={level}")));
                }
            }
            let (Values::Numeric { tell_missing, .. } | Values::Categorical { tell_missing, .. }) =
                values;
            if *tell_missing {
                names.push(format!("{name} missing"));
            }
            if matches!(values, Values::Categorical { .. }) {
                names.push(format!("{name} other"));
            }
        }
        names
    }

    /// The whole matrix, a row a row, stored column after column: linfa walks along columns more than along rows.
    ///
    /// # Errors
    /// A column of the table is of another kind than when fitted.
    pub fn matrix(&self, table: &Table) -> Result<Array2<f64>, LearnError> {
        let mut matrix = Array2::zeros((table.rows(), self.width()).f());
        let mut first = 0;
        for column in &self.columns {
            let complete = column.feature.complete(table)?;
            column.each(&complete, |row, place, value| {
                matrix[[row, first + place]] = value
            });
            first += column.width();
        }
        Ok(matrix)
    }

    /// `intercept + row · weights` for each row, summed in the order of the columns, without building the matrix.
    ///
    /// # Errors
    /// A column of the table is of another kind than when fitted.
    pub fn scores(
        &self,
        table: &Table,
        intercept: f64,
        weights: &[f64],
    ) -> Result<Vec<f64>, LearnError> {
        let mut scores = vec![intercept; table.rows()];
        let mut rest = weights;
        for column in &self.columns {
            let (own, others) = rest.split_at(column.width());
            let complete = column.feature.complete(table)?;
            column.each(&complete, |row, place, value| {
                scores[row] += own[place] * value
            });
            rest = others;
        }
        Ok(scores)
    }

    /// Whether what was read from a file can be used.
    pub(super) fn is_sound(&self) -> bool {
        self.columns.iter().all(|column| {
            column.feature.is_sound()
                && usable(column.center)
                && usable(column.scale)
                && column.scale > 0.0
        })
    }
}

/// Mean and standard deviation (divided by n); the deviation of a constant, or one too small to divide by, is 1.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .sum();
    let deviation = (squares / n).sqrt();
    let scale = if deviation.is_normal() {
        deviation
    } else {
        1.0
    };
    (mean, scale)
}

#[cfg(test)]
#[path = "one_hot_tests.rs"]
mod tests;
