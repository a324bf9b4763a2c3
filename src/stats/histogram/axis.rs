//! Which bin a value lies in.

use super::edges::{Rule, edges, inner};

/// Which end of a bin belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Closed {
    /// `[low, high)`.
    #[default]
    Left,
    /// `(low, high]`.
    Right,
}

/// What becomes of values beyond the outermost edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outer {
    /// The edges lie between bins, and the outer two bins reach to infinity. Bins made from a sample's least and
    /// largest value make χ² forms wrong; open ones keep them.
    #[default]
    Open,
    /// The edges are the bins' ends; what lies outside shares one more bin, the last one.
    Extra,
    /// The edges are the bins' ends; what lies outside is in no bin, but stays a row: `numpy.histogram`.
    Nowhere,
}

/// Bins on the line of numbers.
///
/// With ends ([`Outer::Extra`], [`Outer::Nowhere`]) the outermost value belongs to the bins too: the last bin is
/// `[low, high]` as NumPy's is, or the first one under [`Closed::Right`]. A value on an edge never falls between bins.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    edges: Vec<f64>,
    closed: Closed,
    outer: Outer,
}

impl Axis {
    /// Bins at given edges. They are put in order, equal ones and NaN left out. Without an edge everything lies in one
    /// bin ([`Outer::Open`]) or outside.
    pub fn new(mut edges: Vec<f64>, closed: Closed, outer: Outer) -> Self {
        edges.retain(|edge| !edge.is_nan());
        edges.sort_unstable_by(f64::total_cmp);
        edges.dedup_by(|next, before| *next <= *before);
        Self {
            edges,
            closed,
            outer,
        }
    }

    /// `[low, high)` between inner edges, the outer bins open.
    ///
    /// ```
    /// use driftline::stats::histogram::Axis;
    /// assert_eq!(Axis::open(vec![1.0, 2.0]).counts(&[0.5, 1.0, 1.5, 2.0, 99.0]), [1, 2, 2]);
    /// ```
    pub fn open(edges: Vec<f64>) -> Self {
        Self::new(edges, Closed::Left, Outer::Open)
    }

    /// Open bins by a rule on a sample (finite values, ascending): see [`inner`] for samples of few values.
    pub fn fitted(rule: Rule, ascending: &[f64]) -> Self {
        Self::open(inner(&edges(rule, ascending), ascending))
    }

    /// The bins of `numpy.histogram` by a rule on a sample (finite values, ascending).
    ///
    /// ```
    /// use driftline::stats::histogram::{Axis, Rule};
    /// let axis = Axis::numpy(Rule::EqualWidth(2), &[0.0, 4.0]);
    /// assert_eq!(axis.counts(&[-1.0, 0.0, 2.0, 4.0, 5.0]), [1, 2]);
    /// ```
    pub fn numpy(rule: Rule, ascending: &[f64]) -> Self {
        Self::new(edges(rule, ascending), Closed::Left, Outer::Nowhere)
    }

    /// The same bins with another fate for what lies outside.
    pub fn with_outer(self, outer: Outer) -> Self {
        Self { outer, ..self }
    }

    /// The edges, ascending.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Number of bins, the extra one included.
    pub fn bins(&self) -> usize {
        let between = self.edges.len().saturating_sub(1);
        match self.outer {
            Outer::Open => self.edges.len() + 1,
            Outer::Extra => between + 1,
            Outer::Nowhere => between,
        }
    }

    /// How many finite values lie in each bin; NaN and ±∞ are passed over, [`Numbers`](super::Numbers) counts them.
    pub fn counts(&self, values: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; self.bins()];
        for &value in values {
            if value.is_finite()
                && let Some(bin) = self.bin(value)
            {
                counts[bin] += 1;
            }
        }
        counts
    }

    /// The bin of a value; `None` for one in no bin.
    pub fn bin(&self, value: f64) -> Option<usize> {
        if value.is_nan() {
            return None;
        }
        // Edges at or below the value, or below it.
        let passed = match self.closed {
            Closed::Left => self.edges.partition_point(|&edge| edge <= value),
            Closed::Right => self.edges.partition_point(|&edge| edge < value),
        };
        let between = self.edges.len().saturating_sub(1);
        let inside = match (self.edges.first(), self.edges.last()) {
            (Some(&first), Some(&last)) => between > 0 && first <= value && value <= last,
            _ => false,
        };
        match self.outer {
            Outer::Open => Some(passed),
            // The value on the outermost edge is held in the outermost bin.
            _ if inside => Some(passed.saturating_sub(1).min(between - 1)),
            Outer::Extra => Some(between),
            Outer::Nowhere => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_on_edges_go_where_the_closed_end_says() {
        let values = [0.0, 1.0, 2.0, 3.0];
        let counts = |closed, outer| {
            Axis::new(vec![3.0, 1.0, 2.0, 2.0, f64::NAN], closed, outer).counts(&values)
        };
        assert_eq!(counts(Closed::Left, Outer::Open), [1, 1, 1, 1]);
        assert_eq!(counts(Closed::Right, Outer::Open), [2, 1, 1, 0]);
        assert_eq!(counts(Closed::Left, Outer::Extra), [1, 2, 1]);
        assert_eq!(counts(Closed::Right, Outer::Extra), [2, 1, 1]);
        assert_eq!(counts(Closed::Left, Outer::Nowhere), [1, 2]);
    }

    #[test]
    fn without_edges_there_is_one_bin_or_none() {
        for edges in [vec![], vec![1.0]] {
            let few = edges.len();
            assert_eq!(
                Axis::new(edges.clone(), Closed::Left, Outer::Open).bins(),
                few + 1
            );
            assert_eq!(
                Axis::new(edges.clone(), Closed::Left, Outer::Extra).counts(&[1.0]),
                [1]
            );
            assert_eq!(
                Axis::new(edges, Closed::Left, Outer::Nowhere).counts(&[1.0]),
                [0_u64; 0]
            );
        }
    }

    proptest! {
        /// Open and extra bins hold every finite value, whichever end is closed.
        #[test]
        fn no_row_is_lost(
            edges in proptest::collection::vec(any::<f64>(), 0..8), values in proptest::collection::vec(any::<f64>(), 0..30),
        ) {
            let finite = values.iter().filter(|x| x.is_finite()).count() as u64;
            for closed in [Closed::Left, Closed::Right] {
                for outer in [Outer::Open, Outer::Extra] {
                    let counts = Axis::new(edges.clone(), closed, outer).counts(&values);
                    prop_assert_eq!(counts.iter().sum::<u64>(), finite);
                }
                let counts = Axis::new(edges.clone(), closed, Outer::Nowhere).counts(&values);
                prop_assert!(counts.iter().sum::<u64>() <= finite);
            }
        }
    }
}
