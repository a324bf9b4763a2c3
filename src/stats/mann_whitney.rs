//! The Mann–Whitney test on rows: which sample tends to hold the larger values.

use statrs::distribution::{ContinuousCDF, Normal};

use super::ks_exact::{Method, PValue};
use super::sorted::{Sorted, pairs};

/// With this many rows or fewer in the smaller sample, and no ties, [`Method::Auto`] is exact, as in SciPy.
const EXACT_UP_TO: usize = 8;
/// Steps that an exact p-value may take; beyond it is asymptotic, where the two agree to many digits.
const LARGEST_COUNT: u128 = 10_000_000;

/// What the test finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MannWhitney {
    /// U of the reference: pairs in which its value is the larger, ties by half. 0 to nm;
    /// `scipy.stats.mannwhitneyu(reference, current)`.
    pub u: f64,
    /// The chance that a current row is larger than a reference row, ties by half: 0.5 without drift.
    pub superiority: f64,
    pub n_reference: usize,
    pub n_current: usize,
    /// Twice U.
    doubled: u128,
    /// Σ (t³ − t) over groups of t equal rows.
    ties: f64,
}

/// Counts pairs in one walk over both samples, with whole numbers. ±∞ are the highest and lowest ranks. `None` where a
/// sample is empty. Source: Mann and Whitney (1947).
///
/// ```
/// use driftline::stats::{ks_exact::Method, mann_whitney::mann_whitney, sorted::Sorted};
/// let found = mann_whitney(&Sorted::new(&[19.0, 22.0, 16.0, 29.0, 24.0]), &Sorted::new(&[20.0, 11.0, 17.0, 12.0])).unwrap();
/// // scipy.stats.mannwhitneyu
/// assert!(found.u == 17.0 && (found.superiority - 0.15).abs() < 1e-12);
/// assert!((found.p_value(Method::Auto).value - 0.111_111_111_111_111_1).abs() < 1e-12);
/// ```
pub fn mann_whitney(reference: &Sorted, current: &Sorted) -> Option<MannWhitney> {
    let (n, m) = (reference.len(), current.len());
    if n == 0 || m == 0 {
        return None;
    }
    let mut doubled = 0_u128;
    let mut ties = 0_u128;
    pairs(reference.values(), current.values(), |below, tied| {
        doubled += tied[0] as u128 * (2 * below[1] + tied[1]) as u128;
        let t = (tied[0] + tied[1]) as u128;
        ties += t * (t * t - 1);
    });
    let pairs = n as f64 * m as f64;
    Some(MannWhitney {
        u: doubled as f64 / 2.0,
        superiority: 1.0 - doubled as f64 / 2.0 / pairs,
        n_reference: n,
        n_current: m,
        doubled,
        ties: ties as f64,
    })
}

impl MannWhitney {
    /// Two-sided: the chance of a U at least this far from nm/2 when both samples come from one distribution, rows
    /// independent.
    ///
    /// Exact, without ties, where the smaller sample has at most 8 rows ([`Method::Auto`]) or whenever the count stays
    /// below ten million steps ([`Method::Exact`]); else normal, with the variance corrected for ties and half a step
    /// for continuity. 1 where all rows are equal.
    pub fn p_value(&self, method: Method) -> PValue {
        let (short, long) = (
            self.n_reference.min(self.n_current),
            self.n_reference.max(self.n_current),
        );
        let all = 2 * short as u128 * long as u128;
        let nearer = self.doubled.min(all - self.doubled);
        let wanted = match method {
            Method::Auto => short <= EXACT_UP_TO,
            Method::Exact => true,
            Method::Asymptotic => false,
        };
        let steps = short as u128 * (nearer / 2 + 1);
        if wanted && self.ties == 0.0 && steps <= LARGEST_COUNT {
            return PValue {
                value: (2.0 * share_up_to((nearer / 2) as usize, short, long)).clamp(0.0, 1.0),
                exact: true,
            };
        }
        PValue {
            value: self.asymptotic_p(all - nearer),
            exact: false,
        }
    }

    fn asymptotic_p(&self, farther: u128) -> f64 {
        let (n, m) = (self.n_reference as f64, self.n_current as f64);
        let all = n + m;
        let spread = (n * m / 12.0 * ((all + 1.0) - self.ties / (all * (all - 1.0)))).sqrt();
        let beyond = farther as f64 / 2.0 - n * m / 2.0 - 0.5;
        // All rows equal: no order is farther out than this one.
        if spread.is_nan() || spread <= 0.0 {
            return 1.0;
        }
        let tail = Normal::new(0.0, 1.0).map_or(0.5, |z| z.sf(beyond / spread));
        (2.0 * tail).clamp(0.0, 1.0)
    }
}

/// P(U ≤ u): orders are counted by the coefficients of the Gaussian binomial Π (1 − q^(long+i))/(1 − q^i), i = 1 to
/// `short`. For u up to the middle every subtraction leaves a number larger than what is taken, so that no digit is
/// lost.
fn share_up_to(u: usize, short: usize, long: usize) -> f64 {
    let mut counts = vec![0.0; u + 1];
    counts[0] = 1.0;
    let mut orders = 1.0;
    for i in 1..=short {
        for at in (long + i..=u).rev() {
            counts[at] -= counts[at - long - i];
        }
        for at in i..=u {
            counts[at] += counts[at - i];
        }
        orders *= (long + i) as f64 / i as f64;
    }
    counts.iter().sum::<f64>() / orders
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        let one = Sorted::new(&[1.0]);
        assert_eq!(mann_whitney(&Sorted::default(), &one), None);
        let found = mann_whitney(&one, &Sorted::new(&[1.0; 30])).expect("rows");
        assert_eq!(
            (found.superiority, found.p_value(Method::Auto).value),
            (0.5, 1.0)
        );
        let found = mann_whitney(&one, &Sorted::new(&[f64::INFINITY])).expect("rows");
        assert_eq!((found.u, found.superiority), (0.0, 1.0));
        assert_eq!(found.p_value(Method::Exact).value, 1.0);
        // Too long to count, so asymptotic.
        let long: Sorted = (0..200_000).map(f64::from).collect();
        let short: Sorted = (0..7).map(|i| f64::from(i) * 20_000.0 + 0.5).collect();
        assert!(
            mann_whitney(&long, &short)
                .expect("rows")
                .p_value(Method::Auto)
                .exact
        );
        let short: Sorted = (0..90).map(|i| f64::from(i) * 2000.0 + 0.5).collect();
        assert!(
            !mann_whitney(&long, &short)
                .expect("rows")
                .p_value(Method::Exact)
                .exact
        );
    }

    proptest! {
        #[test]
        fn pairs_are_counted(a in proptest::collection::vec(any::<f64>(), 0..30), b in proptest::collection::vec(any::<f64>(), 0..30)) {
            let (a, b) = (Sorted::new(&a), Sorted::new(&b));
            let Some(found) = mann_whitney(&a, &b) else { return Ok(()) };
            let pairs = a.values().iter().flat_map(|x| b.values().iter().map(move |y| (x, y)));
            let u: f64 = pairs.map(|(x, y)| if x > y { 1.0 } else if x == y { 0.5 } else { 0.0 }).sum();
            prop_assert_eq!(found.u, u);
            for method in [Method::Auto, Method::Exact, Method::Asymptotic] {
                prop_assert!((0.0..=1.0).contains(&found.p_value(method).value));
            }
        }
    }
}
