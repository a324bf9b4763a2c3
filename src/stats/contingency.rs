//! Tests of two rows of category counts: χ² with its corrections, the likelihood ratio, goodness of fit, Cramér's V.
//!
//! [`super::chi_squared`] has the statistic as a distance of profiles; here are the tests as textbooks and SciPy have
//! them.

use super::{chi_squared_tail, degrees, occupied, total};

/// Smallest expected count that Cochran (1954) lets stand.
pub const COCHRAN_EXPECTED: f64 = 5.0;

/// A statistic that is near χ² when both samples come from one distribution and rows are independent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    pub statistic: f64,
    pub degrees: f64,
    pub p_value: f64,
}

/// What a test of a 2×2 table does against the coarseness of counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    None,
    /// Every count of a 2×2 table moves by up to half a row towards what is expected; larger tables stay. SciPy's
    /// default.
    Yates,
}

/// Pearson's χ² of the 2×K table over the union of categories, Σ (observed − expected)²/expected.
///
/// `reference` and `current` are counts of the same categories; those empty on both sides are left out. One category
/// gives 0 with no degree of freedom and p = 1. Expected counts below 5 make p unreliable, see [`merge_small_cells`]
/// and [`super::fisher`]. `None` where a sample is empty. Source: Pearson (1900); Yates (1934);
/// `scipy.stats.chi2_contingency`.
///
/// ```
/// use driftline::stats::contingency::{Correction, chi_squared};
/// let found = chi_squared(&[12, 0], &[0, 7], Correction::Yates).unwrap();
/// assert!((found.statistic - 14.945_401_077_097_507).abs() < 1e-9);
/// assert!((found.p_value - 0.000_110_667_481_472_747_21).abs() < 1e-12);
/// ```
pub fn chi_squared(reference: &[u64], current: &[u64], correction: Correction) -> Option<Test> {
    test(reference, current, correction, |observed, expected| {
        let away = observed - expected;
        away * (away / expected)
    })
}

/// The likelihood ratio G = 2·Σ observed·ln(observed/expected), near the same χ²; preferred where counts are far from
/// expected. Edge cases as [`chi_squared`]. Source: Wilks (1938);
/// `scipy.stats.chi2_contingency(lambda_='log-likelihood')`.
///
/// ```
/// use driftline::stats::contingency::{Correction, g_test};
/// let found = g_test(&[40, 30, 20, 10], &[10, 20, 30, 40], Correction::None).unwrap();
/// assert!((found.statistic - 42.57605411448927).abs() < 1e-9);
/// ```
pub fn g_test(reference: &[u64], current: &[u64], correction: Correction) -> Option<Test> {
    test(reference, current, correction, |observed, expected| {
        // The linear part adds up to nothing over the table, and keeps each cell's term from being negative.
        if observed > 0.0 {
            2.0 * (observed * (observed / expected).ln() + expected - observed)
        } else {
            2.0 * expected
        }
    })
}

fn test(
    reference: &[u64],
    current: &[u64],
    correction: Correction,
    cell: impl Fn(f64, f64) -> f64,
) -> Option<Test> {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return None;
    }
    let degrees = degrees(occupied(reference, current));
    let half = if correction == Correction::Yates && degrees == 1.0 {
        0.5
    } else {
        0.0
    };
    let mut statistic = 0.0;
    for (&a, &b) in reference.iter().zip(current) {
        let share = (a as f64 + b as f64) / (n + m);
        if share > 0.0 && degrees > 0.0 {
            for (observed, rows) in [(a as f64, n), (b as f64, m)] {
                let expected = rows * share;
                let away = expected - observed;
                let moved = observed + away.signum() * away.abs().min(half);
                statistic += cell(moved, expected);
            }
        }
    }
    let statistic = statistic.clamp(0.0, f64::MAX);
    Some(Test {
        statistic,
        degrees,
        p_value: chi_squared_tail(statistic, degrees),
    })
}

/// How the current counts fit the reference's shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// `None`: without bound, because a category of the current sample has no row in the reference.
    pub statistic: Option<f64>,
    pub degrees: f64,
    pub p_value: f64,
}

/// χ² of the current counts against the reference's shares taken as known, Σ (b − m·p)²/(m·p) over the union of
/// categories: what Evidently computes.
///
/// The reference's own error is left out, so that without drift it alarms far too often unless the reference is many
/// times larger; [`chi_squared`] has both errors. A new category is impossible under the reference's shares: no
/// statistic, p = 0. One category gives 0 and 1. `None` where a sample is empty.
/// Source: Pearson (1900); `scipy.stats.chisquare`.
///
/// ```
/// use driftline::stats::contingency::goodness_of_fit;
/// let found = goodness_of_fit(&[50, 30, 20], &[20, 20, 10]).unwrap();
/// // scipy.stats.chisquare([20, 20, 10], [25, 15, 10])
/// assert!((found.statistic.unwrap() - 2.666_666_666_666_667).abs() < 1e-12);
/// assert!((found.p_value - 0.263_597_138_115_727_14).abs() < 1e-12);
/// assert_eq!(goodness_of_fit(&[50, 0], &[20, 1]).unwrap().statistic, None);
/// ```
pub fn goodness_of_fit(reference: &[u64], current: &[u64]) -> Option<Fit> {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return None;
    }
    let degrees = degrees(occupied(reference, current));
    let mut statistic = 0.0;
    for (&a, &b) in reference.iter().zip(current) {
        if a == 0 && b > 0 {
            return Some(Fit {
                statistic: None,
                degrees,
                p_value: 0.0,
            });
        }
        if a > 0 && degrees > 0.0 {
            let expected = m * (a as f64 / n);
            let away = b as f64 - expected;
            statistic += away * (away / expected);
        }
    }
    let statistic = statistic.min(f64::MAX);
    Some(Fit {
        statistic: Some(statistic),
        degrees,
        p_value: chi_squared_tail(statistic, degrees),
    })
}

/// Counts whose small cells have been put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    pub reference: Vec<u64>,
    pub current: Vec<u64>,
    /// Cells that stand in the last one; 0 when nothing was merged.
    pub merged: usize,
}

/// Puts the rarest categories into one cell, until every cell expects at least `least` rows (Cochran's rule:
/// [`COCHRAN_EXPECTED`]) of either sample.
///
/// The rarest by pooled count go first, equal counts as they stand; the merged cell comes last, the others keep their
/// order; cells empty on both sides vanish. One cell may be all that is left. The choice reads pooled counts only, so
/// it does not favour either outcome.
/// Source: Cochran, *Some Methods for Strengthening the Common χ² Tests* (1954).
///
/// ```
/// use driftline::stats::contingency::{COCHRAN_EXPECTED, merge_small_cells};
/// let found = merge_small_cells(&[50, 2, 40, 3], &[45, 3, 50, 7], COCHRAN_EXPECTED);
/// assert_eq!((found.reference, found.current, found.merged), (vec![50, 40, 5], vec![45, 50, 10], 2));
/// ```
pub fn merge_small_cells(reference: &[u64], current: &[u64], least: f64) -> Merged {
    let (n, m) = (total(reference), total(current));
    let smaller_share = if n + m > 0.0 { n.min(m) / (n + m) } else { 0.0 };
    let pooled = |i: usize| reference[i] as f64 + current[i] as f64;
    let cells = reference.len().min(current.len());
    let mut rarest: Vec<usize> = (0..cells).filter(|&i| pooled(i) > 0.0).collect();
    let mut kept = rarest.clone();
    rarest.sort_by(|&a, &b| pooled(a).total_cmp(&pooled(b)));
    let mut merging = Vec::new();
    let mut together = 0.0;
    for &i in &rarest {
        let enough = |rows: f64| rows * smaller_share >= least;
        if enough(pooled(i)) && (merging.is_empty() || enough(together)) {
            break;
        }
        together += pooled(i);
        merging.push(i);
    }
    // One cell alone is as small as before; nothing else is left to take in.
    if merging.len() < 2 {
        merging.clear();
    }
    kept.retain(|i| !merging.contains(i));
    let gather = |counts: &[u64]| {
        let mut out: Vec<u64> = kept.iter().map(|&i| counts[i]).collect();
        if !merging.is_empty() {
            out.push(
                merging
                    .iter()
                    .fold(0, |sum: u64, &i| sum.saturating_add(counts[i])),
            );
        }
        out
    };
    Merged {
        reference: gather(reference),
        current: gather(current),
        merged: merging.len(),
    }
}

/// Cramér's V = √(χ²/(n + m)) of a 2×K table, without Yates' correction: 0 for equal shares, 1 where the categories
/// tell the samples apart.
///
/// It depends on the sizes' ratio as well as on the shares. An empty sample and a single category give 0. Source:
/// Cramér (1946).
///
/// ```
/// use driftline::stats::contingency::cramers_v;
/// assert!((cramers_v(&[40, 30, 20, 10], &[10, 20, 30, 40]) - 0.447_213_595_5).abs() < 1e-9);
/// ```
pub fn cramers_v(reference: &[u64], current: &[u64]) -> f64 {
    chi_squared(reference, current, Correction::None).map_or(0.0, |found| {
        (found.statistic / (total(reference) + total(current)))
            .sqrt()
            .clamp(0.0, 1.0)
    })
}

/// [`cramers_v`] less what chance alone makes of it: φ̃ = max(0, χ²/N − (K − 1)/(N − 1)) over the least of the
/// corrected sizes r̃ − 1 and K̃ − 1. Source: Bergsma, *A Bias-Correction for Cramér's V and Tschuprow's T* (2013).
///
/// ```
/// use driftline::stats::contingency::cramers_v_corrected;
/// assert!((cramers_v_corrected(&[40, 30, 20, 10], &[10, 20, 30, 40]) - 0.431_1).abs() < 1e-4);
/// assert_eq!(cramers_v_corrected(&[50, 50], &[52, 48]), 0.0);
/// ```
pub fn cramers_v_corrected(reference: &[u64], current: &[u64]) -> f64 {
    let Some(found) = chi_squared(reference, current, Correction::None) else {
        return 0.0;
    };
    let all = total(reference) + total(current);
    if found.degrees <= 0.0 || all < 3.0 {
        return 0.0;
    }
    let excess = (found.statistic / all - found.degrees / (all - 1.0)).max(0.0);
    // One degree is taken off the two samples, K − 1 off the categories, each squared over N − 1.
    let samples = 1.0 - 1.0 / (all - 1.0);
    let categories = found.degrees - found.degrees * found.degrees / (all - 1.0);
    let least = samples.min(categories);
    if least > 0.0 {
        (excess / least).sqrt().clamp(0.0, 1.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        assert_eq!(chi_squared(&[], &[], Correction::Yates), None);
        assert_eq!(chi_squared(&[0], &[3], Correction::Yates), None);
        assert_eq!(g_test(&[3], &[0], Correction::None), None);
        assert_eq!(goodness_of_fit(&[3], &[0]), None);
        let one = chi_squared(&[3, 0], &[5, 0], Correction::Yates).expect("rows");
        assert_eq!((one.statistic, one.degrees, one.p_value), (0.0, 0.0, 1.0));
        assert_eq!(goodness_of_fit(&[3], &[5]).expect("rows").p_value, 1.0);
        assert_eq!(cramers_v(&[], &[]), 0.0);
        assert_eq!(cramers_v(&[9, 0], &[0, 9]), 1.0);
        assert_eq!(cramers_v_corrected(&[1], &[1]), 0.0);
    }

    #[test]
    fn small_cells_merge_until_they_are_large() {
        // One small cell takes in the next larger.
        let found = merge_small_cells(&[50, 1, 30], &[50, 0, 30], COCHRAN_EXPECTED);
        assert_eq!((found.reference, found.merged), (vec![50, 31], 2));
        // Nothing to do, and nothing left to do it with.
        assert_eq!(
            merge_small_cells(&[9, 9], &[9, 9], COCHRAN_EXPECTED).merged,
            0
        );
        assert_eq!(
            merge_small_cells(&[1, 1], &[1, 1], COCHRAN_EXPECTED).reference,
            [2]
        );
        assert_eq!(merge_small_cells(&[1], &[1], COCHRAN_EXPECTED).merged, 0);
        assert!(
            merge_small_cells(&[], &[], COCHRAN_EXPECTED)
                .reference
                .is_empty()
        );
        assert_eq!(
            merge_small_cells(&[u64::MAX, u64::MAX], &[0, 1], f64::INFINITY).reference,
            [u64::MAX]
        );
    }

    fn count() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), 0..20u64, any::<u64>(), Just(u64::MAX)]
    }

    proptest! {
        #[test]
        fn results_are_numbers(pairs in proptest::collection::vec((count(), count()), 0..12)) {
            let (a, b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            for correction in [Correction::None, Correction::Yates] {
                for found in [chi_squared(&a, &b, correction), g_test(&a, &b, correction)].into_iter().flatten() {
                    prop_assert!(found.statistic.is_finite() && found.statistic >= 0.0, "{found:?}");
                    prop_assert!((0.0..=1.0).contains(&found.p_value));
                }
            }
            if let Some(found) = goodness_of_fit(&a, &b) {
                prop_assert!(found.statistic.is_none_or(|x| x.is_finite() && x >= 0.0));
                prop_assert!((0.0..=1.0).contains(&found.p_value));
            }
            for v in [cramers_v(&a, &b), cramers_v_corrected(&a, &b)] {
                prop_assert!((0.0..=1.0).contains(&v));
            }
        }

        #[test]
        fn merging_loses_no_row_and_leaves_no_small_cell(
            pairs in proptest::collection::vec((0..30u64, 0..30u64), 1..20),
        ) {
            let (a, b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            let found = merge_small_cells(&a, &b, COCHRAN_EXPECTED);
            let sum = |counts: &[u64]| counts.iter().sum::<u64>();
            prop_assert_eq!((sum(&a), sum(&b)), (sum(&found.reference), sum(&found.current)));
            let (n, m) = (total(&a), total(&b));
            if found.reference.len() > 1 && n > 0.0 && m > 0.0 {
                for (x, y) in found.reference.iter().zip(&found.current) {
                    prop_assert!((x + y) as f64 * n.min(m) / (n + m) >= COCHRAN_EXPECTED);
                }
            }
        }
    }
}
