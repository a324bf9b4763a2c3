//! What each statistic is for plain counts of two samples: value, effect, and closed form.
//!
//! **Invariant:** the one place that goes from a statistic's name to its functions on counts. `None` stands where a
//! statistic needs more than counts (the mean's shift needs moments, Wasserstein's distance needs an axis).

use std::f64::consts::LN_2;

use super::{
    Statistic, chi_squared, cramers_v, g_test, hellinger, jensen_shannon, kolmogorov_smirnov,
    kullback_leibler, l_infinity, occupied, psi, size_factor, total, total_variation,
};

impl Statistic {
    /// The value for counts of the same bins, which [`Statistic::KolmogorovSmirnov`] takes to stand in ascending
    /// order. `None` for what needs more than counts.
    ///
    /// ```
    /// use driftline::stats::Statistic;
    /// let value = Statistic::ChiSquared.of_counts(&[40, 30, 20, 10], &[10, 20, 30, 40]);
    /// assert!((value.unwrap() - 40.0).abs() < 1e-9);
    /// assert_eq!(Statistic::MeanShift.of_counts(&[1, 2], &[2, 1]), None);
    /// ```
    pub fn of_counts(self, reference: &[u64], current: &[u64]) -> Option<f64> {
        Some(match self {
            Self::Psi => psi::psi(reference, current),
            Self::JensenShannon => jensen_shannon::distance(reference, current),
            Self::LInfinity => l_infinity::distance(reference, current),
            Self::ChiSquared => chi_squared::statistic(reference, current),
            Self::KolmogorovSmirnov => kolmogorov_smirnov::ks(reference, current).distance,
            Self::Hellinger => hellinger::distance(reference, current),
            Self::KullbackLeibler => kullback_leibler::divergence(reference, current),
            Self::TotalVariation => total_variation::distance(reference, current),
            Self::GTest => g_test::statistic(reference, current),
            Self::CramersV => cramers_v::v(reference, current),
            _ => return None,
        })
    }

    /// The effect of a `value` that [`Statistic::of_counts`] gave for these counts: the value less what chance alone
    /// makes of it, not below 0; see the statistic's own file.
    pub fn effect_of_counts(self, value: f64, reference: &[u64], current: &[u64]) -> Option<f64> {
        let (n, m) = (total(reference), total(current));
        let bins = occupied(reference, current);
        Some(match self {
            Self::Psi => psi::effect(value, bins, n, m),
            Self::JensenShannon => jensen_shannon::effect(value, bins, n, m),
            Self::LInfinity => l_infinity::effect(reference, current),
            Self::ChiSquared => chi_squared::effect(value, bins, n, m),
            Self::KolmogorovSmirnov => kolmogorov_smirnov::effect(value, n, m),
            Self::Hellinger => hellinger::effect(value, bins, n, m),
            Self::KullbackLeibler => kullback_leibler::effect(value, bins, n, m),
            Self::TotalVariation => total_variation::effect(reference, current),
            Self::GTest => g_test::effect(value, bins, n, m),
            Self::CramersV => cramers_v::effect(value, bins, n, m),
            _ => return None,
        })
    }

    /// p-value for independent rows where the statistic is near a χ² and every pooled expected count is at least
    /// [`chi_squared::MIN_EXPECTED`].
    pub fn chi_squared_p(self, reference: &[u64], current: &[u64]) -> Option<f64> {
        match self {
            Self::Psi => psi::closed_form_p(reference, current),
            Self::JensenShannon => jensen_shannon::closed_form_p(reference, current),
            Self::ChiSquared | Self::CramersV => chi_squared::closed_form_p(reference, current),
            Self::Hellinger => hellinger::closed_form_p(reference, current),
            Self::KullbackLeibler => kullback_leibler::closed_form_p(reference, current),
            Self::GTest => g_test::closed_form_p(reference, current),
            _ => None,
        }
    }

    /// The value at which the χ² behind [`Statistic::chi_squared_p`] is `x`, for samples of `n` and `m` rows.
    pub fn at_chi_squared(self, x: f64, n: f64, m: f64) -> Option<f64> {
        let scaled = x * size_factor(n, m);
        Some(match self {
            Self::Psi => scaled,
            Self::JensenShannon => (scaled / (8.0 * LN_2)).sqrt(),
            Self::ChiSquared | Self::GTest => x,
            Self::Hellinger => (scaled / 8.0).sqrt(),
            Self::KullbackLeibler => scaled / 2.0,
            Self::CramersV => (x / (n + m).max(1.0)).sqrt(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{chi_squared_tail, table};

    /// The value at a χ² and the p-value of a value are two ways of saying one thing, near equal shares.
    #[test]
    fn closed_forms_and_their_inverses_agree() {
        let (a, b) = ([3000, 4000, 5000], [3110, 3960, 4930]);
        for entry in table() {
            let statistic = entry.statistic;
            let p = statistic.chi_squared_p(&a, &b);
            let at = statistic.at_chi_squared(2.0, 12_000.0, 12_000.0);
            assert_eq!(p.is_some(), at.is_some(), "{}", entry.name);
            let (Some(p), Some(value)) = (p, statistic.of_counts(&a, &b)) else {
                continue;
            };
            let chi = chi_squared::statistic(&a, &b);
            let near = statistic
                .at_chi_squared(chi, 12_000.0, 12_000.0)
                .expect("has a form");
            assert!(
                (near / value - 1.0).abs() < 1e-2,
                "{}: {near} {value}",
                entry.name
            );
            assert!(
                (p - chi_squared_tail(chi, 2.0)).abs() < 1e-2,
                "{}: {p}",
                entry.name
            );
        }
    }

    #[test]
    fn a_value_and_its_effect_are_there_or_missing_together() {
        for entry in table() {
            let value = entry.statistic.of_counts(&[5, 5], &[9, 1]);
            let effect = entry.statistic.effect_of_counts(0.5, &[5, 5], &[9, 1]);
            assert_eq!(value.is_some(), effect.is_some(), "{}", entry.name);
        }
    }
}
