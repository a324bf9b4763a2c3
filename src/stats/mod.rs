//! The statistics: what they are called, what they measure, and how large a value must be to matter.
//!
//! [`table`](table()) is the one list. Each statistic has a file of pure functions on the counts of two samples, the
//! *reference* and the *current* window: its raw value, its *effect* (the value less what chance alone would make
//! of it, not below 0) and, where one holds, a closed-form p-value for independent rows.
//!
//! **Invariant:** no function here returns a NaN or an infinity, or panics, whatever the counts: an empty side, one
//! row, one bin and counts near 2⁶⁴ included. Two slices of different lengths are compared over the shorter one.
//!
//! Beside them stand the exact tests on *rows*: of two [`sorted`] samples ([`ks_exact`], [`wasserstein_exact`], …) and
//! of the two rows of a table ([`contingency`], [`fisher`]), and what many p-values mean together ([`multiplicity`]).
//! They give `None` where there is nothing to compare, instead of a number that means nothing.
//!
//! Deliberately absent: thresholds and verdicts (see `reference`), because what is surprising depends on how
//! much the reference's own windows differ.

pub mod anderson_darling;
pub mod attribution;
mod binomial;
pub mod bins;
pub mod chi_squared;
pub mod compat;
pub mod contingency;
pub mod cramer_von_mises;
pub mod cramers_v;
pub mod deequ;
pub mod edf_limits;
pub mod energy_distance;
pub mod fisher;
pub mod g_test;
pub mod hellinger;
pub mod histogram;
pub mod jensen_shannon;
pub mod kolmogorov;
pub mod kolmogorov_smirnov;
pub mod ks_exact;
pub mod kullback_leibler;
pub mod l_infinity;
pub mod mann_whitney;
pub mod mean_shift;
pub mod multiplicity;
pub mod multivariate;
mod of_counts;
pub mod psi;
pub mod quality;
pub mod quantile_shift;
pub mod score;
pub mod shares;
pub mod sorted;
pub mod summation;
pub mod table;
pub mod tail;
pub mod total_variation;
pub mod variance_shift;
pub mod wasserstein;
pub mod wasserstein_exact;
pub mod welch;

#[cfg(test)]
mod scipy_tests;

pub use table::{Applies, Data, Entry, Parameter, Statistic, table};

/// Rows in a sample. As a float, because counts may come near 2⁶⁴.
pub fn total(counts: &[u64]) -> f64 {
    counts.iter().map(|&count| count as f64).sum()
}

/// Bins that hold a row of either sample. Bins empty on both sides say nothing and are left out everywhere.
pub fn occupied(reference: &[u64], current: &[u64]) -> usize {
    reference
        .iter()
        .zip(current)
        .filter(|&(&a, &b)| a > 0 || b > 0)
        .count()
}

/// 1/n + 1/m: the variance of a difference of shares, over p(1 − p). 0 when a sample is empty.
pub fn size_factor(n: f64, m: f64) -> f64 {
    if n > 0.0 && m > 0.0 {
        1.0 / n + 1.0 / m
    } else {
        0.0
    }
}

/// The degrees of freedom of a comparison over the occupied bins.
pub(crate) fn degrees(occupied: usize) -> f64 {
    occupied.saturating_sub(1) as f64
}

/// P(χ² with `degrees` degrees of freedom ≥ `x`); 1 for no degree of freedom.
pub(crate) fn chi_squared_tail(x: f64, degrees: f64) -> f64 {
    use statrs::distribution::{ChiSquared, ContinuousCDF};
    match ChiSquared::new(degrees) {
        Ok(distribution) if degrees > 0.0 => distribution.sf(x.max(0.0)).clamp(0.0, 1.0),
        _ => 1.0,
    }
}

/// P(t ≥ `x`) for Student's t with `degrees` > 0 degrees of freedom; 1/2 where there are none.
pub(crate) fn student_tail(x: f64, degrees: f64) -> f64 {
    use statrs::distribution::{ContinuousCDF, StudentsT};
    StudentsT::new(0.0, 1.0, degrees).map_or(0.5, |t| t.sf(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Largest value of a statistic: 1 where its unit says so.
    fn most(statistic: Statistic) -> f64 {
        if statistic.entry().unit.contains("0 to 1") {
            1.0
        } else {
            f64::MAX
        }
    }

    /// Every statistic of counts, its effect and its closed form are numbers in range.
    #[track_caller]
    fn check_ranges(a: &[u64], b: &[u64]) {
        for entry in table() {
            let statistic = entry.statistic;
            let Some(value) = statistic.of_counts(a, b) else {
                continue;
            };
            let effect = statistic.effect_of_counts(value, a, b).expect("an effect");
            let p_value = statistic.chi_squared_p(a, b).unwrap_or(1.0);
            let range = 0.0..=most(statistic);
            let fine = range.contains(&value) && range.contains(&effect);
            assert!(
                fine && (0.0..=1.0).contains(&p_value),
                "{}: {value} {effect} {p_value}",
                entry.name
            );
        }
    }

    /// As many categories as a column can have met in a long life, dense and sparse.
    #[test]
    fn a_million_categories_are_no_trouble() {
        let million = 1_000_000_u64;
        let a: Vec<u64> = (0..million).map(|i| i * 7_919 % 13).collect();
        let b: Vec<u64> = (0..million).map(|i| u64::from(i % 97 == 0)).collect();
        let none = vec![0; million as usize];
        let huge: Vec<u64> = (0..million).map(|i| (1 << 43) + i).collect();
        for (a, b) in [
            (&a, &b),
            (&b, &a),
            (&a, &none),
            (&none, &none),
            (&huge, &b),
            (&huge, &huge),
        ] {
            check_ranges(a, b);
        }
    }

    fn count() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), 0..20u64, any::<u64>(), Just(u64::MAX)]
    }

    proptest! {
        #[test]
        fn no_statistic_of_counts_leaves_its_range(
            pairs in proptest::collection::vec((count(), count()), 0..12),
        ) {
            let (a, b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            prop_assert!(kolmogorov_smirnov::ks(&a, &b).error_bound <= 1.0);
            check_ranges(&a, &b);
        }

        /// Which side is called the reference changes nothing but the shares' order.
        #[test]
        fn binned_distances_are_symmetric(
            pairs in proptest::collection::vec((0..1000u64, 0..1000u64), 1..12),
        ) {
            let (a, b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            let close = |x: f64, y: f64| (x - y).abs() <= 1e-9 * (1.0 + x.abs());
            prop_assert!(close(psi::psi(&a, &b), psi::psi(&b, &a)));
            prop_assert!(close(jensen_shannon::distance(&a, &b), jensen_shannon::distance(&b, &a)));
            prop_assert!(close(l_infinity::distance(&a, &b), l_infinity::distance(&b, &a)));
            prop_assert!(close(hellinger::distance(&a, &b), hellinger::distance(&b, &a)));
            prop_assert!(close(total_variation::distance(&a, &b), total_variation::distance(&b, &a)));
            prop_assert!(close(chi_squared::statistic(&a, &b), chi_squared::statistic(&b, &a)));
        }

        /// Equal shares are no drift at all, whatever the sizes.
        #[test]
        fn proportional_samples_do_not_differ(a in proptest::collection::vec(0..1000u64, 1..12), times in 1..50u64) {
            let b: Vec<u64> = a.iter().map(|x| x * times).collect();
            prop_assert!(jensen_shannon::distance(&a, &b) < 1e-6);
            prop_assert!(l_infinity::distance(&a, &b) < 1e-12);
            prop_assert!(hellinger::distance(&a, &b) < 1e-6);
            prop_assert!(total_variation::distance(&a, &b) < 1e-12);
            prop_assert!(chi_squared::statistic(&a, &b) < 1e-6);
            prop_assert!(kolmogorov_smirnov::ks(&a, &b).distance < 1e-12);
        }
    }
}
