//! What a model says about the rows of a table.

/// A prediction a row, in the order of the table.
#[derive(Debug, Clone, PartialEq)]
pub enum Predictions {
    Classes {
        /// A binary model's are negative, then positive.
        classes: Vec<String>,
        /// Row after row, a probability a class; each row sums to 1.
        probabilities: Vec<f64>,
    },
    Values(Vec<f64>),
}

impl Predictions {
    pub fn rows(&self) -> usize {
        match self {
            Predictions::Classes {
                classes,
                probabilities,
            } => probabilities.len() / classes.len().max(1),
            Predictions::Values(values) => values.len(),
        }
    }

    /// Each row's probability of `class`; `None` for a regression, or where the model knows no such class.
    pub fn probability_of(&self, class: &str) -> Option<Vec<f64>> {
        let Predictions::Classes {
            classes,
            probabilities,
        } = self
        else {
            return None;
        };
        let place = classes.iter().position(|known| known == class)?;
        let rows = probabilities.chunks_exact(classes.len());
        Some(rows.map(|row| row[place]).collect())
    }

    /// Each row's most probable class, as a place among the classes; the last of equals, so that a binary model says
    /// positive at one half. `None` for a regression.
    pub fn decided(&self) -> Option<Vec<usize>> {
        let Predictions::Classes {
            classes,
            probabilities,
        } = self
        else {
            return None;
        };
        let most = |row: &[f64]| {
            (0..row.len())
                .max_by(|&a, &b| row[a].total_cmp(&row[b]))
                .unwrap_or(0)
        };
        Some(
            probabilities
                .chunks_exact(classes.len())
                .map(most)
                .collect(),
        )
    }
}
