//! Shifts of mean, variance and quantiles.

use std::collections::BTreeMap;

use super::settings::Settings;
use super::spread::means;
use super::ties::Tied;
use super::{Found, Null};
use crate::query::NumberRows;
use crate::reference::two_sample::Draws;
use crate::stats::mean_shift::{self, Moments};
use crate::stats::quantile_shift::shift;
use crate::stats::score::Digits;
use crate::stats::sorted::Sorted;
use crate::stats::summation::Spread;
use crate::stats::variance_shift::{brown_forsythe, ratio};
use crate::stats::welch::welch;
use crate::stats::{Statistic, student_tail};

/// Of two or three rows the distances from their median say nothing of how far others would lie.
const FEWEST_FOR_A_SPREAD: f64 = 4.0;
/// Confidence of the intervals that are shown.
const CONFIDENCE: f64 = 0.95;

/// One statistic of a numeric column's finite values.
pub(super) fn measure(
    statistic: Statistic,
    reference: &NumberRows,
    current: &NumberRows,
    settings: &Settings,
    draws: &Draws,
) -> Option<Found> {
    let (a, b) = (Sorted::new(&reference.values), Sorted::new(&current.values));
    let (ours, theirs) = spreads(a.finite(), b.finite())?;
    let mut parameters = BTreeMap::new();
    let mut interval = |low: f64, high: f64| {
        parameters.insert("low".to_owned(), low.to_string());
        parameters.insert("high".to_owned(), high.to_string());
        parameters.insert("confidence".to_owned(), CONFIDENCE.to_string());
    };
    let moments = |spread: &Spread| Moments {
        n: spread.n,
        mean: spread.mean,
        deviation: spread.sample_deviation().unwrap_or(0.0),
    };
    let (before, now) = (moments(&ours), moments(&theirs));
    let signed = mean_shift::shift(&before, &now);
    let moved = means(&a, &b).unwrap_or_default();
    // One row has no spread, and says nothing of how far another may lie from it.
    if ours.n < 2.0 || theirs.n < 2.0 {
        return None;
    }
    let (value, effect, null, moved) = match statistic {
        Statistic::MeanShift | Statistic::WelchT => {
            let effect = mean_shift::effect(signed, ours.n, theirs.n);
            let found = welch(&ours, &theirs, CONFIDENCE);
            if let Some(found) = &found {
                interval(found.low, found.high);
            }
            let value = match (statistic, &found) {
                (Statistic::MeanShift, _) => signed.abs(),
                (_, Some(found)) => found.t,
                // Two constants: nothing moved, or everything did.
                (_, None) if signed == 0.0 => 0.0,
                (_, None) => signed.signum() * f64::MAX,
            };
            let p_value = found.map_or_else(
                || constants(signed, ours.n, theirs.n),
                |found| found.p_value,
            );
            (value, effect, Null::of_p(p_value), moved)
        }
        Statistic::VarianceShift => {
            let found = ratio(&ours, &theirs, CONFIDENCE);
            if let Some(found) = &found {
                interval(found.low, found.high);
            }
            if ours.n < FEWEST_FOR_A_SPREAD || theirs.n < FEWEST_FOR_A_SPREAD {
                return None;
            }
            let plain = (now.deviation / before.deviation).powi(2).min(f64::MAX);
            let (value, null) = match (before.deviation > 0.0, now.deviation > 0.0) {
                (true, true) => (plain, Null::of_p(brown_forsythe(&a, &b)?.p_value)),
                // No spread has changed.
                (false, false) => (1.0, Null::of_p(1.0)),
                // Of a constant nothing is off its median, so that the test finds nothing within and everything between.
                _ => (
                    plain,
                    match Tied::of(a.finite(), b.finite(), draws) {
                        Some(tied) => tied.exchanged(draws, tied.around_median()),
                        None => Null::of_p(brown_forsythe(&a, &b)?.p_value),
                    },
                ),
            };
            // What was drawn is no ratio, and a threshold of it none of ratios.
            let threshold = None;
            let null = Null { threshold, ..null };
            let log = value.max(f64::MIN_POSITIVE).ln();
            let error = found.map_or(0.0, |found| found.log_standard_error);
            let effect = (log * log - error * error).max(0.0).sqrt();
            let moved = format!(
                "deviation {} → {}",
                Digits(before.deviation, 4),
                Digits(now.deviation, 4)
            );
            (value, effect, null, moved)
        }
        Statistic::QuantileShift => {
            let found = shift(&a, &b, settings.quantile, CONFIDENCE)?;
            let (low, high) = found.interval?;
            interval(low, high);
            // The interval is ± z standard errors around the difference.
            let z = 1.959_963_984_540_054;
            let error = (high / 2.0 - low / 2.0) / z;
            let null = if found.difference == 0.0 {
                Null::of_p(1.0)
            } else if let Some(tied) = Tied::of(a.finite(), b.finite(), draws) {
                // Between values that repeat a quantile jumps, whatever the interval around it. What is drawn is no
                // difference of quantiles, and a threshold of it none of those.
                let threshold = None;
                let null = tied.exchanged(draws, tied.around_quantile(settings.quantile));
                Null { threshold, ..null }
            } else if error > 0.0 {
                // So many degrees of freedom that it is the normal distribution.
                let p_value = 2.0 * student_tail(found.difference.abs() / error, 1e9);
                Null::of_p(p_value.clamp(0.0, 1.0))
            } else {
                Null::of_p(constants(found.difference, ours.n, theirs.n))
            };
            let unit = if before.deviation > 0.0 {
                before.deviation
            } else {
                found.difference.abs().max(f64::MIN_POSITIVE)
            };
            let away = (found.difference / unit).abs().min(f64::MAX.sqrt());
            let effect = (away * away - (error / unit).powi(2)).max(0.0).sqrt();
            let moved = format!(
                "quantile {} from {} → {}",
                settings.quantile,
                Digits(found.reference, 4),
                Digits(found.current, 4)
            );
            (found.difference, effect, null, moved)
        }
        _ => return None,
    };
    Some(Found {
        value,
        effect,
        null: Some(null),
        method: "rows",
        n_reference: a.finite().len() as u64,
        n_current: b.finite().len() as u64,
        parameters,
        moved,
    })
}

/// Both spreads. Where values lie far from zero beside what they differ by, their means are taken from a value of the
/// reference: differences are all that is asked of them, and floats near the values may be as far apart as those.
fn spreads(a: &[f64], b: &[f64]) -> Option<(Spread, Spread)> {
    const FAR: f64 = (1 << 20) as f64;
    let (ours, theirs) = (Spread::of(a)?, Spread::of(b)?);
    let center = a[a.len() / 2];
    let near =
        |spread: &Spread| (spread.mean - center).abs().max(spread.deviation) * FAR < center.abs();
    if !(near(&ours) && near(&theirs)) {
        return Some((ours, theirs));
    }
    let from_center =
        |rows: &[f64]| Spread::of(&rows.iter().map(|x| x - center).collect::<Vec<_>>());
    from_center(a).zip(from_center(b))
}

/// p-value where no value is off its sample's constant: all rows of one side lie on one side of the other's, which one
/// labelling in so many does; at least 1/(n + m).
fn constants(moved: f64, n: f64, m: f64) -> f64 {
    if moved == 0.0 {
        return 1.0;
    }
    // 2/C(n + m, n), without its factorials where they would overflow.
    let ways = (1..=(n.min(m) as u64).min(1_000))
        .fold(0.0, |sum, i| sum + ((n.max(m) + i as f64) / i as f64).ln());
    (2.0 * (-ways).exp()).clamp(f64::MIN_POSITIVE, 1.0)
}
