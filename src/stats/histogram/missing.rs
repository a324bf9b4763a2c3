//! Rows without a usable value: bins of their own, or left out.

use crate::stats::sorted::Sorted;

/// What becomes of rows that hold no usable value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// null, wrong type, NaN, +∞ and −∞ are a bin each, so that a column which stops being filled drifts.
    #[default]
    Bin,
    /// They are left out and not counted as rows, as most other tools do: for equal numbers while migrating.
    Drop,
}

/// A numeric column's rows. NaN and ±∞ stand among the values; what is no number at all is counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Numbers<'a> {
    pub values: &'a [f64],
    pub null: u64,
    pub wrong_type: u64,
}

impl<'a> Numbers<'a> {
    /// Rows that all hold a number.
    pub fn new(values: &'a [f64]) -> Self {
        Self {
            values,
            null: 0,
            wrong_type: 0,
        }
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        (self.values.len() as u64)
            .saturating_add(self.null)
            .saturating_add(self.wrong_type)
    }

    /// Rows with a finite number.
    pub fn finite_rows(&self) -> u64 {
        self.values.iter().filter(|x| x.is_finite()).count() as u64
    }

    /// The finite values, ascending; −0 is 0.
    pub fn ascending(&self) -> Vec<f64> {
        Sorted::new(self.values).finite().to_vec()
    }

    /// null, wrong type, NaN, +∞, −∞: the order of the special bins of a profile too.
    pub fn special(&self) -> [u64; 5] {
        let count =
            |matches: fn(f64) -> bool| self.values.iter().filter(|&&x| matches(x)).count() as u64;
        [
            self.null,
            self.wrong_type,
            count(f64::is_nan),
            count(|x| x == f64::INFINITY),
            count(|x| x == f64::NEG_INFINITY),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_counted_once() {
        let values = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            3.0,
            f64::NAN,
        ];
        let sample = Numbers {
            values: &values,
            null: 2,
            wrong_type: 1,
        };
        assert_eq!(sample.special(), [2, 1, 2, 1, 1]);
        assert_eq!(sample.finite_rows(), 2);
        assert_eq!(sample.rows(), sample.special().iter().sum::<u64>() + 2);
        assert_eq!(sample.ascending(), [0.0, 3.0]);
        assert!(sample.ascending()[0].is_sign_positive());
    }
}
