//! Texts of one column: a count for each category of the layout, and what is not among them.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::distinct::Distinct;
use super::layout::CategoricalCells;
use super::missing::Missing;
use crate::event::State;

/// Longest text kept anywhere (as a category, as an example), in bytes.
pub const MAX_TEXT_BYTES: usize = 1024;

/// The texts of one column, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CategoricalProfile {
    /// Cell `i` counts `categories[i]` of the layout.
    pub cells: Vec<u64>,
    pub missing: Missing,
    /// Texts that are not among the layout's categories.
    pub unseen: u64,
    /// Some of those texts, with exact counts; longer ones than [`MAX_TEXT_BYTES`] are counted in `unseen` only.
    pub examples: Distinct,
}

impl CategoricalProfile {
    pub fn new(cells: &CategoricalCells) -> Self {
        Self {
            cells: vec![0; cells.categories.len()],
            ..Self::default()
        }
    }

    /// All texts: of known categories and unseen ones.
    pub fn values(&self) -> u64 {
        self.cells.iter().sum::<u64>() + self.unseen
    }

    /// Adds values to the profile: pairs of a [`State`] byte and the text that it qualifies.
    pub(crate) fn count<'a>(
        &mut self,
        compiled: &CompiledCategorical,
        values: impl Iterator<Item = (u8, &'a str)>,
    ) {
        for (state, text) in values {
            if state != State::Value as u8 {
                self.missing.count(state);
            } else if let Some(&cell) = compiled.cells.get(text) {
                self.cells[usize::from(cell)] += 1;
            } else {
                self.unseen += 1;
                if text.len() <= MAX_TEXT_BYTES {
                    self.examples.add(text, 1);
                }
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.cells.iter_mut().zip(&other.cells) {
            *ours += theirs;
        }
        self.missing.merge(&other.missing);
        self.unseen += other.unseen;
        self.examples.merge(&other.examples);
    }
}

/// A categorical column made ready for counting. The fixed hash is safe: only the layout's own texts are stored.
#[derive(Debug)]
pub(crate) struct CompiledCategorical {
    cells: HashMap<Box<str>, u16, FixedState>,
}

impl CompiledCategorical {
    pub(crate) fn new(cells: &CategoricalCells) -> Self {
        let cells = (0..)
            .zip(&cells.categories)
            .map(|(cell, category)| (category.as_str().into(), cell));
        Self {
            cells: cells.collect(),
        }
    }
}

/// The text that a number stands for in a categorical column: the shortest decimal that reads back as the same
/// number, without exponent; whole numbers without ".0", −0 as "0", the others as `NaN`, `Infinity`, `-Infinity`.
///
/// ```
/// use driftline::profile::category_text;
/// assert_eq!(category_text(10025.0), "10025");
/// assert_eq!(category_text(-0.5), "-0.5");
/// ```
pub fn category_text(number: f64) -> String {
    match number {
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        // Adding zero turns −0.0 into 0.0.
        _ => format!("{}", number + 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> CategoricalCells {
        CategoricalCells {
            categories: vec!["AA".into(), "".into()],
            closed: false,
        }
    }

    #[test]
    fn known_unseen_and_missing_texts_are_counted_apart() {
        let mut profile = CategoricalProfile::new(&cells());
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let texts = [
            (0, "AA"),
            (0, "aa"),
            (0, ""),
            (1, ""),
            (2, ""),
            (3, "AA"),
            (0, &long),
            (0, "aa"),
        ];
        profile.count(&CompiledCategorical::new(&cells()), texts.into_iter());
        assert_eq!(profile.cells, [1, 1]);
        assert_eq!(profile.unseen, 3);
        assert_eq!(profile.examples.names(), [("aa", 2)]);
        assert_eq!(
            profile.missing,
            Missing {
                null: 1,
                absent: 1,
                wrong_type: 1
            }
        );
        assert_eq!(profile.values(), 5);
    }

    #[track_caller]
    fn check(number: f64, text: &str) {
        assert_eq!(category_text(number), text);
    }

    #[test]
    fn numbers_as_texts() {
        check(1.0, "1");
        check(-0.0, "0");
        check(0.1, "0.1");
        check(1e21, "1000000000000000000000");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "Infinity");
        check(f64::NEG_INFINITY, "-Infinity");
    }
}
