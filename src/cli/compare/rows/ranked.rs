//! Tests on the order of rows.

use std::collections::BTreeMap;

use super::settings::Settings;
use super::ties::Tied;
use super::{Found, Null};
use crate::query::NumberRows;
use crate::reference::two_sample::Draws;
use crate::stats::anderson_darling::{self, Variant, anderson_darling};
use crate::stats::cramer_von_mises::{self, cramer_von_mises};
use crate::stats::histogram::Missing;
use crate::stats::ks_exact::{PValue, ks};
use crate::stats::mann_whitney::mann_whitney;
use crate::stats::score::Digits;
use crate::stats::sorted::Sorted;
use crate::stats::{Statistic, deequ, kolmogorov_smirnov};

/// Mean of the Cramér–von Mises statistic without drift, but for 1/(n + m) of it.
const CRAMER_VON_MISES_MEAN: f64 = 1.0 / 6.0;
/// Mean of the raw Anderson–Darling statistic of two samples without drift.
const ANDERSON_DARLING_MEAN: f64 = 1.0;

/// One rank test of a numeric column.
pub(super) fn measure(
    statistic: Statistic,
    reference: &NumberRows,
    current: &NumberRows,
    settings: &Settings,
    draws: &Draws,
) -> Option<Found> {
    let (a, b) = (
        order(reference, settings.missing),
        order(current, settings.missing),
    );
    let (n, m) = (a.len() as f64, b.len() as f64);
    let mut parameters = BTreeMap::new();
    let mut how = |p: PValue| {
        let way = if p.exact { "exact" } else { "asymptotic" };
        parameters.insert("p".to_owned(), way.to_owned());
        Null::of_p(p.value)
    };
    let tied = Tied::of(a.values(), b.values(), draws);
    // nm/(n + m): what turns a mean square gap into a statistic.
    let scale = n * m / (n + m);
    let (value, effect, null, moved) = match statistic {
        Statistic::KolmogorovSmirnov => {
            let found = ks(&a, &b)?;
            let null = how(found.p_value(settings.method)?);
            let value = if settings.robust {
                deequ::robust(found.distance, n, m)
            } else {
                found.distance
            };
            let side = if found.sign > 0 { "fewer" } else { "more" };
            let moved = format!("{side} values up to {}", Digits(found.location, 4));
            let effect = kolmogorov_smirnov::effect(found.distance, n, m);
            parameters.insert("location".to_owned(), found.location.to_string());
            parameters.insert("sign".to_owned(), found.sign.to_string());
            (value, effect, null, moved)
        }
        Statistic::CramerVonMises => {
            let mut found = cramer_von_mises(&a, &b)?;
            let chance = CRAMER_VON_MISES_MEAN * (1.0 + 1.0 / (n + m));
            let (value, null) = match &tied {
                // Mean ranks, which are what SciPy takes for ties, have a T of their own that grows with them.
                Some(tied) => (
                    cramer_von_mises::of_counts(&tied.reference, &tied.current),
                    tied.exchanged(draws, cramer_von_mises::of_counts),
                ),
                None => {
                    found.statistic = cramer_von_mises::of_rows(&a, &b);
                    (found.statistic, how(found.p_value(settings.method)))
                }
            };
            let effect = ((value - chance).max(0.0) / scale).sqrt();
            (value, effect, null, String::new())
        }
        Statistic::AndersonDarling => {
            let found = anderson_darling(&[&a, &b], Variant::Midrank)?;
            let effect = ((found.raw - ANDERSON_DARLING_MEAN).max(0.0) / scale).sqrt();
            let null = match &tied {
                Some(tied) => tied.exchanged(draws, anderson_darling::of_counts),
                None => Null::of_p(found.limit_p()?),
            };
            // What is drawn is the raw statistic, and a threshold of that is none of the standardised one.
            let threshold = None;
            (
                found.statistic,
                effect,
                Null { threshold, ..null },
                String::new(),
            )
        }
        Statistic::MannWhitney => {
            let found = mann_whitney(&a, &b)?;
            let away = found.superiority - 0.5;
            let chance = (n + m + 1.0) / (12.0 * n * m);
            let moved = format!(
                "a current value is the larger one in {:.1} % of pairs",
                100.0 * found.superiority
            );
            (
                found.u,
                (away * away - chance).max(0.0).sqrt(),
                how(found.p_value(settings.method)),
                moved,
            )
        }
        _ => return None,
    };
    Some(Found {
        value,
        effect,
        null: Some(null),
        method: "rows",
        n_reference: a.len() as u64,
        n_current: b.len() as u64,
        parameters,
        moved,
    })
}

/// The rows in order. What is missing ranks below all values, as it does in profiles, or is left out.
pub(super) fn order(rows: &NumberRows, missing: Missing) -> Sorted {
    match missing {
        Missing::Drop => Sorted::new(&rows.values),
        Missing::Bin => {
            let ranked = |&value: &f64| {
                if value.is_nan() {
                    f64::NEG_INFINITY
                } else {
                    value
                }
            };
            Sorted::new(&rows.values.iter().map(ranked).collect::<Vec<_>>())
        }
    }
}
