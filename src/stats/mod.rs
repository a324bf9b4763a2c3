//! The statistics: what they are called, what they measure, and how large a value must be to matter.
//!
//! [`table`] is the one list. Each statistic has a file of pure functions on the counts of two samples, the
//! *reference* and the *current* window: its raw value, its *effect* (the value less what chance alone would make
//! of it, not below 0) and, where one holds, a closed-form p-value for independent rows.
//!
//! **Invariant:** no function here returns a NaN or an infinity, or panics, whatever the counts: an empty side, one
//! row, one bin and counts near 2⁶⁴ included. Two slices of different lengths are compared over the shorter one.
//! Deliberately absent: thresholds and verdicts (see `reference`), because what is surprising depends on how
//! much the reference's own windows differ.

pub mod bins;
pub mod chi_squared;
pub mod jensen_shannon;
pub mod kolmogorov_smirnov;
pub mod l_infinity;
pub mod mean_shift;
pub mod psi;
pub mod quality;
pub mod score;
pub mod wasserstein;

use serde::{Deserialize, Serialize};

/// A statistic of drift: how far a window's column lies from the reference's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Statistic {
    #[serde(rename = "psi")]
    Psi,
    #[serde(rename = "js")]
    JensenShannon,
    #[serde(rename = "l_infinity")]
    LInfinity,
    #[serde(rename = "chi_squared")]
    ChiSquared,
    #[serde(rename = "ks")]
    KolmogorovSmirnov,
    #[serde(rename = "wasserstein")]
    Wasserstein,
    #[serde(rename = "mean_shift")]
    MeanShift,
}

/// The kinds of column a statistic can judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// Numeric columns only: it needs an order or a mean.
    Numeric,
    /// Any column.
    Both,
}

/// One line of the table of statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub statistic: Statistic,
    /// The name in rules, results and metrics.
    pub name: &'static str,
    pub title: &'static str,
    pub applies: Applies,
    /// Effects up to here are of no interest unless a rule says otherwise: the values in common use. To first
    /// order a PSI of 0.1 is a w of 0.32 and a Jensen–Shannon distance of 0.13.
    pub floor: f64,
    /// Over bins with reference shares p and current shares q, of n and m rows.
    pub formula: &'static str,
    pub unit: &'static str,
    pub source: &'static str,
}

const TABLE: [Entry; 7] = [
    Entry {
        statistic: Statistic::Psi,
        name: "psi",
        title: "Population stability index",
        applies: Applies::Both,
        floor: 0.1,
        formula: "Σ (q − p)·ln(q / p), half a row added to each occupied bin",
        unit: "nats",
        source: "Siddiqi, Credit Risk Scorecards (2006); null: Yurdakul, Statistical Properties of PSI (2018)",
    },
    Entry {
        statistic: Statistic::JensenShannon,
        name: "js",
        title: "Jensen–Shannon distance",
        applies: Applies::Both,
        floor: 0.1,
        formula: "√(½ Σ p·log₂(p / r) + ½ Σ q·log₂(q / r)), r = (p + q) / 2",
        unit: "√bits, 0 to 1",
        source: "Lin, Divergence Measures Based on the Shannon Entropy (1991); Endres and Schindelin (2003)",
    },
    Entry {
        statistic: Statistic::LInfinity,
        name: "l_infinity",
        title: "Largest change of a share (L∞)",
        applies: Applies::Both,
        floor: 0.05,
        formula: "max |q − p|",
        unit: "share, 0 to 1",
        source: "Breck et al., Data Validation for Machine Learning (2019)",
    },
    Entry {
        statistic: Statistic::ChiSquared,
        name: "chi_squared",
        title: "Two-sample χ²",
        applies: Applies::Both,
        floor: 0.3,
        formula: "Σ (√(m/n)·a − √(n/m)·b)² / (a + b) over counts a, b; effect: Cohen's w",
        unit: "χ²; effect: w",
        source: "Pearson (1900); Cohen, Statistical Power Analysis (1988), ch. 7",
    },
    Entry {
        statistic: Statistic::KolmogorovSmirnov,
        name: "ks",
        title: "Kolmogorov–Smirnov distance",
        applies: Applies::Numeric,
        floor: 0.1,
        formula: "max |G(x) − F(x)| at the layout's edges, missing values ranked below all",
        unit: "share, 0 to 1",
        source: "Smirnov (1948); Stephens (1970)",
    },
    Entry {
        statistic: Statistic::Wasserstein,
        name: "wasserstein",
        title: "Wasserstein distance",
        applies: Applies::Numeric,
        floor: 0.1,
        formula: "∫ |G(x) − F(x)| dx / standard deviation of the reference",
        unit: "standard deviations",
        source: "Vallender (1974); scaling as Azure ML and Evidently",
    },
    Entry {
        statistic: Statistic::MeanShift,
        name: "mean_shift",
        title: "Shift of the mean",
        applies: Applies::Numeric,
        floor: 0.1,
        formula: "|mean(current) − mean(reference)| / standard deviation of the reference",
        unit: "standard deviations",
        source: "Cohen, Statistical Power Analysis (1988), ch. 2 (Glass's Δ)",
    },
];

/// Every statistic of drift.
pub fn table() -> &'static [Entry] {
    &TABLE
}

impl Statistic {
    /// The statistic's line of the table.
    pub fn entry(self) -> &'static Entry {
        // The table stands in the order of the enum; a test holds the two together.
        &TABLE[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.entry().name
    }

    pub fn parse(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|entry| entry.name == name)
            .map(|entry| entry.statistic)
    }

    /// The statistics of a kind of column, the *primary* one first: PSI for numbers, Jensen–Shannon for categories.
    pub fn for_column(numeric: bool) -> Vec<Self> {
        let primary = if numeric {
            Self::Psi
        } else {
            Self::JensenShannon
        };
        let rest = TABLE
            .iter()
            .filter(|entry| {
                entry.statistic != primary && (numeric || entry.applies == Applies::Both)
            })
            .map(|entry| entry.statistic);
        std::iter::once(primary).chain(rest).collect()
    }
}

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

    #[test]
    fn the_table_stands_in_the_order_of_the_enum_and_names_are_unique() {
        for (i, entry) in table().iter().enumerate() {
            assert_eq!(entry.statistic as usize, i);
            assert_eq!(Statistic::parse(entry.name), Some(entry.statistic));
            assert_eq!(
                serde_json::to_value(entry.statistic).expect("a name"),
                entry.name
            );
            assert!(entry.floor > 0.0);
        }
    }

    #[test]
    fn the_primary_statistic_comes_first() {
        assert_eq!(Statistic::for_column(true)[0], Statistic::Psi);
        assert_eq!(Statistic::for_column(true).len(), 7);
        assert_eq!(Statistic::for_column(false)[0], Statistic::JensenShannon);
        assert_eq!(Statistic::for_column(false).len(), 4);
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
            let (n, m) = (total(&a), total(&b));
            let bins = occupied(&a, &b);
            let values = [
                (psi::psi(&a, &b), f64::INFINITY),
                (psi::effect(psi::psi(&a, &b), bins, n, m), f64::INFINITY),
                (jensen_shannon::distance(&a, &b), 1.0),
                (jensen_shannon::effect(jensen_shannon::distance(&a, &b), bins, n, m), 1.0),
                (l_infinity::distance(&a, &b), 1.0),
                (l_infinity::effect(&a, &b), 1.0),
                (chi_squared::statistic(&a, &b), f64::INFINITY),
                (chi_squared::effect(chi_squared::statistic(&a, &b), bins, n, m), f64::INFINITY),
                (kolmogorov_smirnov::ks(&a, &b).distance, 1.0),
                (kolmogorov_smirnov::ks(&a, &b).error_bound, 1.0),
                (kolmogorov_smirnov::effect(kolmogorov_smirnov::ks(&a, &b).distance, n, m), 1.0),
            ];
            for (i, (value, most)) in values.into_iter().enumerate() {
                prop_assert!(value.is_finite() && value >= 0.0 && value <= most, "{i}: {value} for {a:?} {b:?}");
            }
            for p in [
                psi::closed_form_p(&a, &b), jensen_shannon::closed_form_p(&a, &b),
                chi_squared::closed_form_p(&a, &b), kolmogorov_smirnov::closed_form_p(&a, &b),
            ].into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&p));
            }
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
            prop_assert!(close(chi_squared::statistic(&a, &b), chi_squared::statistic(&b, &a)));
        }

        /// Equal shares are no drift at all, whatever the sizes.
        #[test]
        fn proportional_samples_do_not_differ(a in proptest::collection::vec(0..1000u64, 1..12), times in 1..50u64) {
            let b: Vec<u64> = a.iter().map(|x| x * times).collect();
            prop_assert!(jensen_shannon::distance(&a, &b) < 1e-6);
            prop_assert!(l_infinity::distance(&a, &b) < 1e-12);
            prop_assert!(chi_squared::statistic(&a, &b) < 1e-6);
            prop_assert!(kolmogorov_smirnov::ks(&a, &b).distance < 1e-12);
        }
    }
}
