//! Samples with many equal values, by distinct value.
//!
//! The limits that tests of rank are judged by are those of continuous distributions. Where values repeat, the labels of
//! the pooled rows are exchanged instead, which is exact for any distribution.

use super::Null;
use crate::reference::two_sample::{Draws, tables};
use crate::stats::total;

/// Share of triples of rows that are one value, from which on equal values are many: as of 300 equally frequent ones.
const MANY: f64 = 1e-5;
/// Most distinct values times draws: some seconds. Above that, limits serve.
const MOST: usize = 100_000_000;

/// How often each value is in either sample.
pub(super) struct Tied {
    /// Ascending.
    pub values: Vec<f64>,
    pub reference: Vec<u64>,
    pub current: Vec<u64>,
}

impl Tied {
    /// Of two ascending samples; `None` where values hardly repeat, or there are too many of them for the draws.
    pub fn of(a: &[f64], b: &[f64], draws: &Draws) -> Option<Self> {
        let most = MOST / draws.most.max(1) as usize;
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
            if tied.values.len() >= most {
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

    /// By how much the shares of both samples differ up to the `share`-quantile of all rows, with the rows that equal it or
    /// without them: how far a quantile moved, where it can only jump from one value to another. Source: Mood's median
    /// test, of any quantile.
    pub fn around_quantile(&self, share: f64) -> impl Fn(&[u64], &[u64]) -> f64 {
        let pooled = || {
            self.reference
                .iter()
                .zip(&self.current)
                .map(|(&a, &b)| a + b)
        };
        let rank = (share * pooled().sum::<u64>() as f64).ceil().max(1.0);
        let mut passed = 0;
        let cell = pooled()
            .position(|count| {
                passed += count;
                passed as f64 >= rank
            })
            .unwrap_or(0);
        move |a, b| {
            let below = |counts: &[u64], end: usize| total(&counts[..end]) / total(counts).max(1.0);
            let gap = |end: usize| (below(a, end) - below(b, end)).abs();
            gap(cell).max(gap((cell + 1).min(a.len())))
        }
    }

    /// By how much both samples' mean distances from the median of all rows differ.
    pub fn around_median(&self) -> impl Fn(&[u64], &[u64]) -> f64 {
        let all = total(&self.reference) + total(&self.current);
        let mut passed = 0.0;
        let median = self
            .reference
            .iter()
            .zip(&self.current)
            .position(|(&a, &b)| {
                passed += a as f64 + b as f64;
                passed >= all / 2.0
            });
        let median = median.map_or(0.0, |cell| self.values[cell]);
        let widest = self
            .values
            .iter()
            .map(|x| (x / 2.0 - median / 2.0).abs())
            .fold(f64::MIN_POSITIVE, f64::max);
        let away: Vec<f64> = self
            .values
            .iter()
            .map(|x| (x / 2.0 - median / 2.0).abs() / widest)
            .collect();
        move |a, b| {
            let mean = |counts: &[u64]| {
                let sum: f64 = counts.iter().zip(&away).map(|(&n, x)| n as f64 * x).sum();
                sum / total(counts).max(1.0)
            };
            (mean(a) - mean(b)).abs()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tied(a: &[f64], b: &[f64]) -> Option<Tied> {
        Tied::of(a, b, &Draws::new(0.05, 1))
    }

    #[test]
    fn values_that_hardly_repeat_are_left_to_the_limits() {
        let apart: Vec<f64> = (0..500).map(f64::from).collect();
        assert!(tied(&apart, &apart).is_none());
        let few: Vec<f64> = (0..500).map(|i| f64::from(i / 100)).collect();
        let found = tied(&few, &apart).expect("five values");
        assert_eq!(found.reference[..6], [100, 100, 100, 100, 100, 0]);
        assert_eq!(found.current[..6], [1, 1, 1, 1, 1, 1]);
        let often = Draws {
            most: 1_000_000,
            ..Draws::new(0.05, 1)
        };
        assert!(Tied::of(&few, &apart, &often).is_none(), "500 million");
    }

    #[test]
    fn a_quantile_that_jumps_has_moved() {
        let flags = |ones: usize| -> Vec<f64> {
            (0..1_000)
                .map(|i| f64::from(u8::from(i >= 1_000 - ones)))
                .collect()
        };
        let p = |before: usize, now: usize| {
            let found = tied(&flags(before), &flags(now)).expect("two values");
            found
                .exchanged(&Draws::new(0.05, 1), found.around_quantile(0.5))
                .p_value
        };
        assert!(p(100, 900) < 0.001);
        assert!(p(300, 700) < 0.001);
        assert!(p(490, 510) > 0.05);
    }

    #[test]
    fn a_column_that_froze_or_thawed_has_changed_its_spread() {
        let varied: Vec<f64> = (0..200).map(f64::from).collect();
        let frozen = vec![100.0; 200];
        let p = |a: &[f64], b: &[f64]| {
            let found = tied(a, b).expect("a value many times");
            found
                .exchanged(&Draws::new(0.05, 1), found.around_median())
                .p_value
        };
        assert!(p(&varied, &frozen) < 0.001);
        assert!(p(&frozen, &varied) < 0.001);
        // One other value among a hundred and none among two thousand: one labelling in 21.
        let mut one = vec![0.0; 100];
        one[99] = 1.0;
        let p = p(&vec![0.0; 2_000], &one);
        assert!((0.03..0.07).contains(&p), "{p}");
    }
}
