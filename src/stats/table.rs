//! The one list of statistics of drift: names, what they are computed from, and what a reader needs to know.

mod matrix;
mod profile;
mod rows;

use std::sync::LazyLock;

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
    #[serde(rename = "hellinger")]
    Hellinger,
    #[serde(rename = "kl")]
    KullbackLeibler,
    #[serde(rename = "tv")]
    TotalVariation,
    #[serde(rename = "g_test")]
    GTest,
    #[serde(rename = "cramers_v")]
    CramersV,
    #[serde(rename = "energy")]
    Energy,
    #[serde(rename = "cramer_von_mises")]
    CramerVonMises,
    #[serde(rename = "anderson_darling")]
    AndersonDarling,
    #[serde(rename = "mann_whitney")]
    MannWhitney,
    #[serde(rename = "welch_t")]
    WelchT,
    #[serde(rename = "variance_shift")]
    VarianceShift,
    #[serde(rename = "quantile_shift")]
    QuantileShift,
    #[serde(rename = "chi_squared_fit")]
    ChiSquaredFit,
    #[serde(rename = "fisher")]
    Fisher,
    #[serde(rename = "mmd")]
    Mmd,
    #[serde(rename = "energy_nd")]
    EnergyNd,
    #[serde(rename = "pca_reconstruction")]
    PcaReconstruction,
    #[serde(rename = "domain_classifier")]
    DomainClassifier,
    #[serde(rename = "correlation_change")]
    CorrelationChange,
    #[serde(rename = "attribution_ndcg")]
    AttributionNdcg,
}

/// The kinds of column a statistic can judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// Numeric columns only: it needs an order or a mean.
    Numeric,
    /// Categorical columns only.
    Categorical,
    /// Any column.
    Both,
}

impl Applies {
    pub fn to(self, numeric: bool) -> bool {
        match self {
            Applies::Numeric => numeric,
            Applies::Categorical => !numeric,
            Applies::Both => true,
        }
    }
}

/// What a statistic is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// A profile of one column: counts and sums, which merge and never need the rows again. Rules can name these.
    Profile,
    /// The rows of one column.
    Rows,
    /// The rows of many columns at once.
    Matrix,
    /// Attributions of a model's features.
    Attributions,
}

/// A setting of a statistic, and what it is where nothing else is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
}

/// One line of the table of statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub statistic: Statistic,
    /// The name in rules, results and metrics.
    pub name: &'static str,
    pub title: &'static str,
    pub applies: Applies,
    pub from: Data,
    /// Computed for every column of every window; the others where a rule or a person names them.
    pub standard: bool,
    /// Its null distribution has no atoms worth speaking of, so that a level is met and not only kept.
    pub continuous: bool,
    /// Effects up to here are of no interest unless a rule says otherwise: the values in common use. To first
    /// order a PSI of 0.1 is a w of 0.32 and a Jensen–Shannon distance of 0.13.
    pub floor: f64,
    /// Over bins with reference shares p and current shares q, of n and m rows.
    pub formula: &'static str,
    /// Smallest and largest value, with the unit.
    pub unit: &'static str,
    /// The effect size, which is compared with `floor`.
    pub effect: &'static str,
    pub parameters: &'static [Parameter],
    pub source: &'static str,
}

/// All lines, in the order of the enum; a test holds the two together.
static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let lines = profile::PROFILE.into_iter();
    lines.chain(rows::ROWS).chain(matrix::MATRIX).collect()
});

impl Entry {
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters
            .iter()
            .find(|parameter| parameter.name == name)
    }
}

/// Every statistic of drift.
pub fn table() -> &'static [Entry] {
    &TABLE
}

impl Statistic {
    /// The statistic's line of the table.
    pub fn entry(self) -> &'static Entry {
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

    /// The statistics that every window of a kind of column is given, the *primary* one first: PSI for numbers,
    /// Jensen–Shannon for categories.
    pub fn for_column(numeric: bool) -> Vec<Self> {
        let primary = Self::primary(numeric);
        let rest = TABLE
            .iter()
            .filter(|entry| {
                entry.standard && entry.statistic != primary && entry.applies.to(numeric)
            })
            .map(|entry| entry.statistic);
        std::iter::once(primary).chain(rest).collect()
    }

    /// The statistic that speaks for a kind of column where none is named.
    pub fn primary(numeric: bool) -> Self {
        if numeric {
            Self::Psi
        } else {
            Self::JensenShannon
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            for text in [
                entry.title,
                entry.formula,
                entry.unit,
                entry.effect,
                entry.source,
            ] {
                assert!(!text.is_empty(), "{}", entry.name);
            }
        }
    }

    #[test]
    fn the_primary_statistic_comes_first_and_only_the_standard_ones_are_given() {
        assert_eq!(Statistic::for_column(true)[0], Statistic::Psi);
        assert_eq!(Statistic::for_column(true).len(), 7);
        assert_eq!(Statistic::for_column(false)[0], Statistic::JensenShannon);
        assert_eq!(Statistic::for_column(false).len(), 4);
    }

    /// A service computes the standard statistics from what it keeps of every window.
    #[test]
    fn the_standard_statistics_come_from_profiles() {
        for entry in table().iter().filter(|entry| entry.standard) {
            assert_eq!(entry.from, Data::Profile, "{}", entry.name);
        }
    }
}
