//! A sample in ascending order: what every exact statistic of two samples of rows reads.
//!
//! The reference is sorted once and kept; only a window's rows are sorted when it is judged, and every statistic is
//! then one walk over both, as in a merge.
//!
//! **Invariant:** ascending, no NaN, no −0.0. ±∞ are kept: rank statistics count them as the lowest and highest
//! values, statistics that need distances read [`Sorted::finite`].

/// Values in ascending order, without NaN.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sorted {
    values: Vec<f64>,
    /// How many values are −∞: where the finite ones begin.
    finite_start: usize,
    finite_end: usize,
}

impl Sorted {
    /// NaN is left out (a caller counts it as missing), −0.0 becomes 0.0. O(n log n), over integers that stand in the
    /// order of the values.
    ///
    /// ```
    /// use driftline::stats::sorted::Sorted;
    /// let sample = Sorted::new(&[2.0, f64::NAN, f64::INFINITY, -1.0]);
    /// assert_eq!(sample.values(), [-1.0, 2.0, f64::INFINITY]);
    /// assert_eq!(sample.finite(), [-1.0, 2.0]);
    /// ```
    pub fn new(values: &[f64]) -> Self {
        let mut keys: Vec<u64> = values
            .iter()
            .filter(|x| !x.is_nan())
            .map(|&x| key(x))
            .collect();
        // Equal keys are equal values, so the order is one whatever the sort. Of what was measured (radix sorts by 8
        // and 11 bits, parted by leading bits or not, and comparisons of floats) this was the fastest from a thousand
        // values to a million.
        keys.sort_unstable();
        Self::of_ascending(keys.into_iter().map(value).collect())
    }

    fn of_ascending(values: Vec<f64>) -> Self {
        Self {
            finite_start: values.partition_point(|&x| x == f64::NEG_INFINITY),
            finite_end: values.partition_point(|&x| x < f64::INFINITY),
            values,
        }
    }

    /// All values, ±∞ included.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values that have a distance to each other.
    pub fn finite(&self) -> &[f64] {
        &self.values[self.finite_start..self.finite_end]
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl FromIterator<f64> for Sorted {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self::new(&values.into_iter().collect::<Vec<_>>())
    }
}

/// An integer that stands in the order of the values: for negative ones all bits are turned, else only the sign.
fn key(x: f64) -> u64 {
    // Adding zero turns −0.0 into 0.0 and changes nothing else.
    let bits = (x + 0.0).to_bits();
    bits ^ (((bits as i64 >> 63) as u64) | (1 << 63))
}

fn value(key: u64) -> f64 {
    f64::from_bits(key ^ ((!key as i64 >> 63) as u64 | (1 << 63)))
}

/// A walk over two ascending slices, in ascending order: `step(x, i, j)` is called with a value and how many values of
/// either slice the walk has passed. The *first* call for a value finds every smaller value passed and none equal to
/// it, so that i and j are the counts strictly below x; further calls with the same x stand inside a group of ties and
/// tell nothing.
///
/// Which slice moves is added up, not branched on: a processor need not guess the order of two shuffled samples.
pub(super) fn walk(a: &[f64], b: &[f64], mut step: impl FnMut(f64, usize, usize)) {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        let (x, y) = (a[i], b[j]);
        step(if x < y { x } else { y }, i, j);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    while i < a.len() {
        step(a[i], i, j);
        i += 1;
    }
    while j < b.len() {
        step(b[j], i, j);
        j += 1;
    }
}

/// Equal values of two ascending slices: `group(below, ties)` is called for each distinct value in ascending order with
/// how many values of either slice lie below it and how many equal it.
pub(super) fn pairs(a: &[f64], b: &[f64], mut group: impl FnMut([usize; 2], [usize; 2])) {
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let x = match (a.get(i), b.get(j)) {
            (Some(&x), Some(&y)) => x.min(y),
            (Some(&x), None) | (None, Some(&x)) => x,
            (None, None) => return,
        };
        let ties = [run(a, i, x), run(b, j, x)];
        group([i, j], ties);
        i += ties[0];
        j += ties[1];
    }
}

/// How many values from `at` on equal `x`.
fn run(values: &[f64], at: usize, x: f64) -> usize {
    values[at..].iter().take_while(|&&y| y == x).count()
}

/// Equal values of several ascending slices: `group(x, below, ties)` is called with each distinct value in ascending
/// order, how many values of each slice lie below it and how many equal it.
pub(super) fn groups(slices: &[&[f64]], mut group: impl FnMut(f64, &[usize], &[usize])) {
    let mut below = vec![0; slices.len()];
    let mut ties = vec![0; slices.len()];
    loop {
        let heads = slices.iter().zip(&below);
        let Some(x) = heads
            .filter_map(|(slice, &at)| slice.get(at).copied())
            .reduce(f64::min)
        else {
            return;
        };
        for ((slice, &at), ties) in slices.iter().zip(&below).zip(&mut ties) {
            *ties = run(slice, at, x);
        }
        group(x, &below, &ties);
        below
            .iter_mut()
            .zip(&ties)
            .for_each(|(below, ties)| *below += ties);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_an_order() {
        assert!(Sorted::new(&[]).is_empty());
        assert!(Sorted::new(&[f64::NAN]).is_empty());
        let zeros = Sorted::new(&[0.0, -0.0]);
        assert!(zeros.values().iter().all(|x| x.is_sign_positive()));
        let infinite = Sorted::new(&[f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY]);
        assert_eq!(
            infinite.values(),
            [f64::NEG_INFINITY, f64::INFINITY, f64::INFINITY]
        );
        assert!(infinite.finite().is_empty());
        assert_eq!(infinite.len(), 3);
    }

    #[test]
    fn keys_keep_order_and_value() {
        let ascending = [
            f64::NEG_INFINITY,
            f64::MIN,
            -1.5,
            -f64::MIN_POSITIVE / 4.0,
            0.0,
            5e-324,
            1.0,
            f64::MAX,
            f64::INFINITY,
        ];
        for pair in ascending.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
        }
        for x in ascending {
            assert_eq!(value(key(x)).to_bits(), x.to_bits());
        }
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_library(
            rows in proptest::collection::vec(prop_oneof![any::<f64>(), (-2..2_i32).prop_map(f64::from)], 0..60),
        ) {
            let mut expected: Vec<f64> = rows.iter().map(|x| x + 0.0).filter(|x| !x.is_nan()).collect();
            expected.sort_by(f64::total_cmp);
            let found = Sorted::new(&rows);
            prop_assert_eq!(found.values(), &expected[..]);
            prop_assert!(found.finite().iter().all(|x| x.is_finite()));
            prop_assert_eq!(found.finite().len(), expected.iter().filter(|x| x.is_finite()).count());
        }

        /// The first call for a value finds what lies below it passed, and nothing else.
        #[test]
        fn walks_count_what_lies_below(
            a in proptest::collection::vec(-5..5_i32, 0..30), b in proptest::collection::vec(-5..5_i32, 0..30),
        ) {
            let [a, b] = [a, b].map(|rows| rows.into_iter().map(f64::from).collect::<Sorted>());
            let below = |rows: &Sorted, x: f64| rows.values().iter().filter(|&&y| y < x).count();
            let equal = |rows: &Sorted, x: f64| rows.values().iter().filter(|&&y| y == x).count();
            let mut expected: Vec<(f64, [usize; 2])> = a.values().iter().chain(b.values())
                .map(|&x| (x, [below(&a, x), below(&b, x)]))
                .collect();
            expected.sort_by(|x, y| x.0.total_cmp(&y.0));
            expected.dedup();
            let mut walked = Vec::new();
            let mut before = f64::NEG_INFINITY;
            walk(a.values(), b.values(), |x, i, j| {
                if x > before {
                    walked.push((x, [i, j]));
                }
                before = x;
            });
            prop_assert_eq!(&walked, &expected);
            let (mut grouped, mut paired) = (Vec::new(), Vec::new());
            groups(&[a.values(), b.values()], |x, below, ties| {
                grouped.push((x, [below[0], below[1]]));
                assert_eq!(ties, [equal(&a, x), equal(&b, x)]);
            });
            pairs(a.values(), b.values(), |below, ties| paired.push((below, ties)));
            prop_assert_eq!(&grouped, &expected);
            let expected: Vec<_> = expected.iter().map(|&(x, below)| (below, [equal(&a, x), equal(&b, x)])).collect();
            prop_assert_eq!(&paired, &expected);
        }
    }
}
