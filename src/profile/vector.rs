//! Vectors: features that are lists of numbers, all of one length, as embeddings are.
//!
//! A vector is several columns of a layout: its Euclidean length, counted like any number, stands for it wherever columns
//! are judged one by one; its elements, `name[0]` and on, are there for what compares several columns at once. An element
//! has [`ELEMENT_CELLS`] cells only: enough to know whether windows differ, and few enough for a thousand of them.

use std::ops::Range;

use super::layout::{Cells, Field, Layout, LayoutColumn};

/// Most numbers of one vector.
pub const MAX_ELEMENTS: usize = 4_096;
/// Binary digits of a length: steps of at most 0.05 %.
pub const LENGTH_BITS: u32 = 12;
/// Cells of an element.
pub const ELEMENT_CELLS: usize = 8;

/// The Euclidean length of a list of numbers, rounded to [`LENGTH_BITS`] binary digits: vectors that were divided by their
/// length have the length 1, with however many digits they were written, and what the last digits leave is no drift. NaN if
/// one of them is, else infinite if one is or the length is beyond what `f64` holds; 0 of an empty list. Terms are added in their order, so the same list gives the same bits.
///
/// ```
/// use driftline::profile::vector::length;
/// assert_eq!(length(&[3.0, -4.0]), 5.0);
/// assert_eq!(length(&[0.577, 0.577, 0.577]), 1.0 - 1.0 / 2048.0);
/// assert_eq!(length(&[0.57735, 0.57735, 0.57735]), 1.0);
/// assert_eq!(length(&[f64::INFINITY, 1.0]), f64::INFINITY);
/// ```
pub fn length(numbers: &[f64]) -> f64 {
    /// Squares of what is nearer to 1 than this are ordinary numbers.
    const FAR: f64 = 1e140;
    /// 2⁶⁰⁰ and its reciprocal: powers of two change no digit.
    const GROW: f64 = f64::from_bits((1023 + 600) << 52);
    const SHRINK: f64 = f64::from_bits((1023 - 600) << 52);
    let largest = numbers.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    // `max` passes over NaN; the sum does not.
    let scale = match largest {
        x if x.is_finite() && x > FAR => SHRINK,
        x if x > 0.0 && x < 1.0 / FAR => GROW,
        _ => 1.0,
    };
    let squares: f64 = numbers.iter().map(|x| (x * scale) * (x * scale)).sum();
    rounded(squares.sqrt() / scale)
}

/// To the nearest number of [`LENGTH_BITS`] digits; what has no nearer one stays as it is.
fn rounded(length: f64) -> f64 {
    const DROPPED: u32 = 53 - LENGTH_BITS;
    if !length.is_finite() {
        return length;
    }
    let bits = length.to_bits() + (1 << (DROPPED - 1));
    let rounded = f64::from_bits(bits >> DROPPED << DROPPED);
    if rounded.is_finite() { rounded } else { length }
}

/// What a column holds of a list of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Numbers of a list, all of them.
    pub numbers: usize,
    /// Which one of them; `None`: their Euclidean length.
    pub place: Option<usize>,
}

impl Part {
    /// `None`: the list is not one of this vector's.
    pub fn of(&self, list: &[f64]) -> Option<f64> {
        if list.len() != self.numbers {
            return None;
        }
        match self.place {
            Some(place) => list.get(place).copied(),
            None => Some(length(list)),
        }
    }
}

/// The column of a vector's element.
pub(super) fn element_name(vector: &str, place: u32) -> String {
    format!("{vector}[{place}]")
}

impl Layout {
    /// Elements stand together, in their order and nowhere but with their vector.
    pub(super) fn torn_vector(&self, column: &LayoutColumn) -> Option<&'static str> {
        match &column.field {
            Field::Vector(0) => Some("it is a vector without elements"),
            Field::Vector(elements) => {
                let first = self.first_element(&column.name);
                let columns = first.and_then(|first| self.columns.get(first..));
                let whole = columns.is_some_and(|columns| {
                    columns.len() >= *elements as usize
                        && (0..*elements).zip(columns).all(|(place, element)| {
                            element.field == Field::Element(column.name.clone(), place)
                                && element.name == element_name(&column.name, place)
                                && matches!(element.cells, Cells::Numeric(_))
                        })
                });
                (!whole || !matches!(column.cells, Cells::Numeric(_)))
                    .then_some("it is a vector whose elements are not there in their order")
            }
            Field::Element(vector, place) => {
                let known = self.column(vector).and_then(|at| self.columns.get(at));
                let known = known.is_some_and(
                    |column| matches!(column.field, Field::Vector(elements) if *place < elements),
                );
                (!known).then_some("it is an element of no vector")
            }
            _ => None,
        }
    }

    fn first_element(&self, vector: &str) -> Option<usize> {
        let first =
            |column: &LayoutColumn| matches!(&column.field, Field::Element(of, 0) if of == vector);
        self.columns.iter().position(first)
    }

    /// The columns that hold the numbers of the `index`-th column: those of a vector's elements, else the column itself.
    pub fn numbers_of(&self, index: usize) -> Range<usize> {
        let itself = index..index + 1;
        match self.columns.get(index) {
            Some(column) => match column.field {
                Field::Vector(elements) => self
                    .first_element(&column.name)
                    .map_or(itself, |first| first..first + elements as usize),
                _ => itself,
            },
            None => itself,
        }
    }

    /// For each column what it holds of a list; `None` where it holds none.
    pub fn parts(&self) -> Vec<Option<Part>> {
        let mut parts = vec![None; self.columns.len()];
        for (index, column) in self.columns.iter().enumerate() {
            let Field::Vector(numbers) = column.field else {
                continue;
            };
            let numbers = numbers as usize;
            for (place, part) in parts[self.numbers_of(index)].iter_mut().enumerate() {
                let place = Some(place);
                *part = Some(Part { numbers, place });
            }
            let place = None;
            parts[index] = Some(Part { numbers, place });
        }
        parts
    }
}

impl LayoutColumn {
    /// Whether it is judged by itself. Elements of a vector are not: hundreds of them say what their length, and a
    /// comparison of all of them together, say better.
    pub fn stands_alone(&self) -> bool {
        !matches!(self.field, Field::Element(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_normalised_has_one_length_however_it_was_written() {
        let raw: Vec<f64> = (1..=384).map(|i| f64::from(i * 37 % 101) - 50.0).collect();
        let size = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
        let exact: Vec<f64> = raw.iter().map(|x| x / size).collect();
        let single: Vec<f64> = exact.iter().map(|x| f64::from(*x as f32)).collect();
        let digits: Vec<f64> = exact.iter().map(|x| (x * 1e5).round() / 1e5).collect();
        assert_eq!(
            [&exact, &single, &digits].map(|list| length(list)),
            [1.0; 3]
        );
    }

    #[test]
    fn lengths_at_the_ends_of_what_numbers_hold() {
        assert_eq!(length(&[]), 0.0);
        assert_eq!(length(&[0.0, -0.0]), 0.0);
        let near = |found: f64, exact: f64| assert!((found / exact - 1.0).abs() < 3e-4, "{found}");
        near(length(&[3e-200, -4e-200]), 5e-200);
        near(length(&[3e200, 4e200]), 5e200);
        assert_eq!(length(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(length(&[f64::MAX, 0.0]), f64::MAX);
        assert!(length(&[5e-324]) >= 0.0);
        assert!(length(&[1.0, f64::NAN, f64::INFINITY]).is_nan());
        assert_eq!(length(&[f64::NEG_INFINITY, 1e300]), f64::INFINITY);
    }
}
