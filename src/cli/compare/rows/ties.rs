//! Samples with many equal values, by distinct value.
//!
//! The limits that tests of rank are judged by are those of continuous distributions. Where values repeat, the labels of
//! the pooled rows are exchanged instead, which is exact for any distribution.

use super::Null;
use crate::reference::two_sample::{Draws, tables};

/// Share of triples of rows that are one value, from which on equal values are many: as of 300 equally frequent ones.
const MANY: f64 = 1e-5;
/// Most distinct values that are exchanged, each in every draw: some seconds. Above that, limits serve.
const MOST: usize = 20_000;

/// How often each value is in either sample.
pub(super) struct Tied {
    /// Ascending.
    pub values: Vec<f64>,
    pub reference: Vec<u64>,
    pub current: Vec<u64>,
}

impl Tied {
    /// Of two ascending samples; `None` where values hardly repeat, or there are too many of them.
    pub fn of(a: &[f64], b: &[f64]) -> Option<Self> {
        let mut tied = Self {
            values: Vec::new(),
            reference: Vec::new(),
            current: Vec::new(),
        };
        let (mut i, mut j, mut triples) = (0, 0, 0.0);
        while i < a.len() || j < b.len() {
            let value = match (a.get(i), b.get(j)) {
                (Some(&x), Some(&y)) => x.min(y),
                (Some(&x), None) | (None, Some(&x)) => x,
                (None, None) => break,
            };
            let run = |rows: &[f64]| rows.iter().take_while(|&&x| x == value).count();
            let (ours, theirs) = (run(&a[i..]), run(&b[j..]));
            (i, j) = (i + ours, j + theirs);
            if tied.values.len() == MOST {
                return None;
            }
            tied.values.push(value);
            tied.reference.push(ours as u64);
            tied.current.push(theirs as u64);
            let rows = (ours + theirs) as f64;
            triples += rows * (rows * rows - 1.0);
        }
        let all = (a.len() + b.len()) as f64;
        (triples > MANY * all * (all * all - 1.0)).then_some(tied)
    }

    /// How surprising `score` of the two samples is among all ways to label the rows.
    pub fn exchanged(&self, draws: &Draws, score: impl Fn(&[u64], &[u64]) -> f64) -> Null {
        let observed = score(&self.reference, &self.current);
        let found = tables(
            &self.reference,
            &self.current,
            &[observed],
            draws,
            |_, a, b| score(a, b),
        );
        found
            .first()
            .map_or_else(|| Null::of_p(1.0), |surprise| Null::from(*surprise))
    }

    /// The `share`-quantile of a sample with these counts of the values, linear between rows.
    pub fn quantile(&self, counts: &[u64], share: f64) -> f64 {
        let rows: u64 = counts.iter().sum();
        let place = share * (rows.max(1) - 1) as f64;
        let (low, part) = (place.floor(), place - place.floor());
        let at = |rank: u64| {
            let mut passed = 0;
            let cell = counts.iter().position(|&count| {
                passed += count;
                passed > rank
            });
            cell.map_or(0.0, |cell| self.values[cell])
        };
        let (x, y) = (at(low as u64), at((low as u64 + 1).min(rows.max(1) - 1)));
        x + part * (y - x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::quantile_shift::quantile;

    #[test]
    fn values_that_hardly_repeat_are_left_to_the_limits() {
        let apart: Vec<f64> = (0..500).map(f64::from).collect();
        assert!(Tied::of(&apart, &apart).is_none());
        let few: Vec<f64> = (0..500).map(|i| f64::from(i / 100)).collect();
        let tied = Tied::of(&few, &apart).expect("five values");
        assert_eq!(tied.reference[..6], [100, 100, 100, 100, 100, 0]);
        assert_eq!(tied.current[..6], [1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn quantiles_are_those_of_the_rows() {
        let rows = [1.0, 1.0, 2.0, 4.0, 4.0, 4.0];
        let tied = Tied::of(&rows, &[1.0, 4.0]).expect("three values");
        for share in [0.0, 0.2, 0.3, 0.5, 0.55, 0.9, 1.0] {
            assert_eq!(
                Some(tied.quantile(&tied.reference, share)),
                quantile(&rows, share)
            );
        }
    }
}
