//! The two-sample Cramér–von Mises test on rows: like Kolmogorov–Smirnov, but of the whole course of both distribution
//! functions.

use super::edf_limits;
use super::ks_exact::{Method, PValue};
use super::sorted::{Sorted, pairs};
use super::summation::Sum;
use super::total;

/// Up to this many rows on either side the exact distribution is counted, as SciPy's `auto` does.
const EXACT_UP_TO: usize = 20;

/// What the test finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CramerVonMises {
    /// T: near 1/6 without drift, growing with the samples otherwise.
    pub statistic: f64,
    pub n_reference: usize,
    pub n_current: usize,
    /// 24·nm(n + m)·T, a whole number.
    scaled: i128,
}

/// T = nm/(n + m)²·Σ (F(z) − G(z))² over the pooled rows z, with the mean rank for ties. 0 and up; symmetric.
///
/// The ranks are added as whole numbers, so T does not suffer from the cancellation of its usual formula. ±∞ are the
/// highest and lowest ranks. `None` with fewer than two rows on a side.
/// Source: Anderson (1962); `scipy.stats.cramervonmises_2samp`.
///
/// ```
/// use driftline::stats::{cramer_von_mises::cramer_von_mises, ks_exact::Method, sorted::Sorted};
/// let found = cramer_von_mises(&Sorted::new(&[1.0, 2.0, 3.0]), &Sorted::new(&[4.0, 5.0, 6.0])).unwrap();
/// assert!((found.statistic - 0.527_777_777_777_777_8).abs() < 1e-12);
/// assert!((found.p_value(Method::Auto).value - 0.1).abs() < 1e-12);
/// ```
pub fn cramer_von_mises(reference: &Sorted, current: &Sorted) -> Option<CramerVonMises> {
    let (n, m) = (reference.len(), current.len());
    if n < 2 || m < 2 {
        return None;
    }
    let mut squares = [0_i128; 2];
    pairs(reference.values(), current.values(), |below, ties| {
        let pooled = (below[0] + below[1]) as i128;
        // Twice the mean rank of the group.
        let rank = 2 * pooled + (ties[0] + ties[1]) as i128 + 1;
        for side in 0..2 {
            // Σ (rank − 2(below + i))² over i = 1 to ties.
            let (c, t) = (rank - 2 * below[side] as i128, ties[side] as i128);
            squares[side] += t * c * c - 2 * c * t * (t + 1) + 2 * t * (t + 1) * (2 * t + 1) / 3;
        }
    });
    let (wide_n, wide_m) = (n as i128, m as i128);
    let k = wide_n * wide_m;
    let scaled = 6 * (wide_n * squares[0] + wide_m * squares[1]) - 4 * k * (4 * k - 1);
    Some(CramerVonMises {
        statistic: (scaled as f64 / (24.0 * k as f64 * (n as f64 + m as f64))).max(0.0),
        n_reference: n,
        n_current: m,
        scaled,
    })
}

/// T by its definition, of two samples by distinct value, ascending: both distribution functions count values ≤ z, and
/// each pooled row counts. That of [`cramer_von_mises`] where no value repeats; 0 for samples with the same shares,
/// however often values repeat. 0 without rows on a side.
///
/// ```
/// use driftline::stats::cramer_von_mises::of_counts;
/// assert_eq!(of_counts(&[500], &[2000]), 0.0);
/// assert!((of_counts(&[1, 1, 1, 0, 0, 0], &[0, 0, 0, 1, 1, 1]) - 0.527_777_777_777_777_8).abs() < 1e-12);
/// ```
pub fn of_counts(reference: &[u64], current: &[u64]) -> f64 {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return 0.0;
    }
    let (mut f, mut g, mut sum) = (0.0, 0.0, Sum::default());
    for (&ours, &theirs) in reference.iter().zip(current) {
        f += ours as f64;
        g += theirs as f64;
        let gap = f / n - g / m;
        sum.add((ours as f64 + theirs as f64) * gap * gap);
    }
    n * m / ((n + m) * (n + m)) * sum.value()
}

/// [`of_counts`] of two samples of rows.
pub fn of_rows(reference: &Sorted, current: &Sorted) -> f64 {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    pairs(reference.values(), current.values(), |_, ties| {
        ours.push(ties[0] as u64);
        theirs.push(ties[1] as u64);
    });
    of_counts(&ours, &theirs)
}

impl CramerVonMises {
    /// The chance of a T at least this large when both samples come from one distribution, rows independent.
    ///
    /// Exact, by counting all orders of the pooled rows, for up to 20 rows on either side (Xiao, Gordon and Yakovlev
    /// 2007; ties count as SciPy counts them); else, and where [`Method::Asymptotic`] is asked for, from the limiting
    /// distribution after matching mean and variance (Anderson 1962).
    pub fn p_value(&self, method: Method) -> PValue {
        let exact =
            method != Method::Asymptotic && self.n_reference.max(self.n_current) <= EXACT_UP_TO;
        let value = if exact {
            self.exact_p()
        } else {
            self.asymptotic_p()
        };
        PValue { value, exact }
    }

    fn asymptotic_p(&self) -> f64 {
        let (n, m) = (self.n_reference as f64, self.n_current as f64);
        let (k, all) = (n * m, n + m);
        let mean = (1.0 + 1.0 / all) / 6.0;
        let variance = (all + 1.0) / all
            * ((4.0 * k * all - 3.0 * (n * n + m * m) - 2.0 * k) / (45.0 * all * 4.0 * k));
        let matched = 1.0 / 6.0 + (self.statistic - mean) / (45.0 * variance).sqrt();
        edf_limits::cramer_von_mises_tail(matched)
    }

    fn exact_p(&self) -> f64 {
        let (n, m) = (self.n_reference as i128, self.n_current as i128);
        let multiple = n / gcd(n, m) * m;
        let (a, b) = (multiple / n, multiple / m);
        // T as the sum of (a·v − b·u)² along a path of orders that it belongs to.
        let least = (multiple * multiple * (n + m) * self.scaled).div_euclid(24 * n * m * n * m);
        // How many paths to (u, v) have each sum; a column for one u.
        let mut column: Vec<Vec<(i128, u64)>> = vec![Vec::new(); n as usize + 1];
        column[0].push((0, 1));
        for u in 0..=m {
            let mut below: Vec<(i128, u64)> = Vec::new();
            for (v, sums) in column.iter_mut().enumerate() {
                let step = (a * v as i128 - b * u).pow(2);
                *sums = merged(&below, sums);
                sums.iter_mut().for_each(|(sum, _)| *sum += step);
                below.clone_from(sums);
            }
        }
        let (mut beyond, mut all) = (0_u64, 0_u64);
        for &(sum, paths) in &column[n as usize] {
            all += paths;
            if sum >= least {
                beyond += paths;
            }
        }
        beyond as f64 / all as f64
    }
}

/// Counts of sums added up, both ascending.
fn merged(a: &[(i128, u64)], b: &[(i128, u64)]) -> Vec<(i128, u64)> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        let ((x, p), (y, q)) = (a[i], b[j]);
        out.push((
            x.min(y),
            if x <= y { p } else { 0 } + if y <= x { q } else { 0 },
        ));
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    out.extend_from_slice(&a[i..]);
    out.extend_from_slice(&b[j..]);
    out
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        let one = Sorted::new(&[1.0]);
        let two = Sorted::new(&[1.0, f64::INFINITY]);
        assert_eq!(cramer_von_mises(&one, &two), None);
        assert_eq!(cramer_von_mises(&two, &Sorted::default()), None);
        let constant = Sorted::new(&[5.0; 4]);
        let found = cramer_von_mises(&constant, &constant).expect("rows");
        assert_eq!(found.statistic, 0.0);
        assert_eq!(found.p_value(Method::Asymptotic).value, 1.0);
    }

    proptest! {
        #[test]
        fn counts_of_different_values_have_the_same_statistic(labels in proptest::collection::vec(any::<bool>(), 4..60)) {
            let side = |side: bool| labels.iter().map(|&label| u64::from(label == side)).collect::<Vec<_>>();
            let rows = |side: bool| (0..labels.len()).filter(|&i| labels[i] == side).map(|i| i as f64).collect::<Sorted>();
            if let Some(found) = cramer_von_mises(&rows(true), &rows(false)) {
                prop_assert!((found.statistic - of_counts(&side(true), &side(false))).abs() < 1e-10);
            }
        }

        /// Against the definition by ranks.
        #[test]
        fn whole_numbers_agree_with_the_definition(
            a in proptest::collection::vec(-9..9i32, 2..30), b in proptest::collection::vec(-9..9i32, 2..30),
        ) {
            let [a, b] = [a, b].map(|rows| rows.into_iter().map(f64::from).collect::<Sorted>());
            let (n, m) = (a.len() as f64, b.len() as f64);
            let rank = |x: f64| {
                let count = |test: &dyn Fn(f64) -> bool| a.values().iter().chain(b.values()).filter(|&&y| test(y)).count() as f64;
                count(&|y| y < x) + (count(&|y| y == x) + 1.0) / 2.0
            };
            let squares = |rows: &[f64]| rows.iter().enumerate().map(|(i, &x)| (rank(x) - (i as f64 + 1.0)).powi(2)).sum::<f64>();
            let u = n * squares(a.values()) + m * squares(b.values());
            let t = u / (n * m * (n + m)) - (4.0 * n * m - 1.0) / (6.0 * (n + m));
            let found = cramer_von_mises(&a, &b).expect("rows");
            prop_assert!((found.statistic - t.max(0.0)).abs() < 1e-10);
        }

        #[test]
        fn results_are_numbers(
            a in proptest::collection::vec(any::<f64>(), 0..12), b in proptest::collection::vec(any::<f64>(), 0..12),
        ) {
            if let Some(found) = cramer_von_mises(&Sorted::new(&a), &Sorted::new(&b)) {
                prop_assert!(found.statistic.is_finite() && found.statistic >= 0.0);
                for method in [Method::Auto, Method::Asymptotic] {
                    prop_assert!((0.0..=1.0).contains(&found.p_value(method).value));
                }
            }
        }
    }
}
