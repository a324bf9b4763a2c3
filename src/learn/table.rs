//! What a model is fitted on: named columns of features, and what is to be predicted.
//!
//! **Invariant:** a table that passes [`Table::check`] has columns of one length with distinct names; a target that
//! passes [`Target::check`] has something to learn: at least one row, and two classes or finite values.

use super::LearnError;
use super::candidate::Task;

/// The values of one feature, a value a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// NaN is missing. An infinity, or a number beyond [`super::feature::LARGEST`] either way, counts as missing too.
    Numeric(Vec<f64>),
    /// `None` is missing.
    Categorical(Vec<Option<String>>),
}

impl Column {
    pub fn len(&self) -> usize {
        match self {
            Column::Numeric(values) => values.len(),
            Column::Categorical(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `numeric` or `categorical`, as messages say it.
    pub fn kind(&self) -> &'static str {
        match self {
            Column::Numeric(_) => "numeric",
            Column::Categorical(_) => "categorical",
        }
    }
}

/// Features by name, in the order of `names`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    pub names: Vec<String>,
    pub columns: Vec<Column>,
}

impl Table {
    /// Rows of the first column; 0 without columns.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// The first column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let place = self.names.iter().position(|known| known == name)?;
        self.columns.get(place)
    }

    /// The rows at `places`, in that order; a place may occur more than once.
    ///
    /// # Panics
    /// When a place is not below [`Table::rows`].
    pub fn take(&self, places: &[usize]) -> Table {
        let columns = self.columns.iter().map(|column| match column {
            Column::Numeric(values) => {
                Column::Numeric(places.iter().map(|&row| values[row]).collect())
            }
            Column::Categorical(values) => {
                Column::Categorical(places.iter().map(|&row| values[row].clone()).collect())
            }
        });
        Table {
            names: self.names.clone(),
            columns: columns.collect(),
        }
    }

    /// # Errors
    /// Names and columns differ in number, a name occurs twice, or the columns differ in length.
    pub fn check(&self) -> Result<(), LearnError> {
        if self.names.len() != self.columns.len() {
            return Err(LearnError::NamesAndColumns {
                names: self.names.len(),
                columns: self.columns.len(),
            });
        }
        let rows = self.rows();
        for (place, (name, column)) in self.names.iter().zip(&self.columns).enumerate() {
            if self.names[..place].contains(name) {
                return Err(LearnError::NameTwice(name.clone()));
            }
            if column.len() != rows {
                return Err(LearnError::UnequalColumns {
                    column: name.clone(),
                    has: column.len(),
                    expected: rows,
                });
            }
        }
        Ok(())
    }
}

/// What is to be predicted, a value a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Binary {
        positive: String,
        negative: String,
        is_positive: Vec<bool>,
    },
    Multiclass {
        /// Distinct; the order is the order of the predicted probabilities.
        classes: Vec<String>,
        /// Places in `classes`.
        class: Vec<u32>,
    },
    /// Finite values.
    Regression(Vec<f64>),
}

impl Target {
    pub fn rows(&self) -> usize {
        match self {
            Target::Binary { is_positive, .. } => is_positive.len(),
            Target::Multiclass { class, .. } => class.len(),
            Target::Regression(values) => values.len(),
        }
    }

    pub fn task(&self) -> Task {
        match self {
            Target::Binary { .. } => Task::Binary,
            Target::Multiclass { .. } => Task::Multiclass,
            Target::Regression(_) => Task::Regression,
        }
    }

    /// The classes in the order of the predicted probabilities: a binary target's are negative, then positive; a
    /// regression has none.
    pub fn classes(&self) -> Vec<String> {
        match self {
            Target::Binary {
                positive, negative, ..
            } => vec![negative.clone(), positive.clone()],
            Target::Multiclass { classes, .. } => classes.clone(),
            Target::Regression(_) => Vec::new(),
        }
    }

    /// The rows at `places`, in that order; a place may occur more than once.
    ///
    /// # Panics
    /// When a place is not below [`Target::rows`].
    pub fn take(&self, places: &[usize]) -> Target {
        match self {
            Target::Binary {
                positive,
                negative,
                is_positive,
            } => Target::Binary {
                positive: positive.clone(),
                negative: negative.clone(),
                is_positive: places.iter().map(|&row| is_positive[row]).collect(),
            },
            Target::Multiclass { classes, class } => Target::Multiclass {
                classes: classes.clone(),
                class: places.iter().map(|&row| class[row]).collect(),
            },
            Target::Regression(values) => {
                Target::Regression(places.iter().map(|&row| values[row]).collect())
            }
        }
    }

    /// # Errors
    /// No rows, fewer than two classes among them, a class without a name or with that of another, or a value that
    /// is not finite.
    pub fn check(&self) -> Result<(), LearnError> {
        if self.rows() == 0 {
            return Err(LearnError::NoRows);
        }
        let classes = self.classes();
        for (place, class) in classes.iter().enumerate() {
            if classes[..place].contains(class) {
                return Err(LearnError::ClassTwice(class.clone()));
            }
        }
        match self {
            Target::Binary { is_positive, .. } => {
                let positive = is_positive.iter().filter(|&&yes| yes).count();
                if positive == 0 || positive == is_positive.len() {
                    return Err(LearnError::OneClass(
                        classes[usize::from(positive > 0)].clone(),
                    ));
                }
            }
            Target::Multiclass { class, .. } => {
                let known = classes.len();
                if let Some(row) = class.iter().position(|&class| class as usize >= known) {
                    return Err(LearnError::NoSuchClass {
                        row,
                        class: class[row],
                        classes: known,
                    });
                }
                if class.iter().all(|&other| other == class[0]) {
                    return Err(LearnError::OneClass(classes[class[0] as usize].clone()));
                }
            }
            Target::Regression(values) => {
                if let Some(row) = values.iter().position(|value| !usable(*value)) {
                    return Err(LearnError::TargetValue {
                        row,
                        value: values[row],
                    });
                }
            }
        }
        Ok(())
    }
}

/// A number that can be squared and summed over any table without leaving the finite numbers.
pub(super) fn usable(value: f64) -> bool {
    value.abs() <= super::feature::LARGEST
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
