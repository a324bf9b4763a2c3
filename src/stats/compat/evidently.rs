//! Evidently 0.7: bins over both samples, natural logarithms, a share of 0 filled up.

use super::{Judged, Kind, Refused, Sides, Vendor, each_value, parameters, together};
use crate::stats::histogram::{Axis, Pair, Rule};
use crate::stats::ks_exact::{Method, ks};
use crate::stats::shares::{Base, Direction, Shares, Smoothing};
use crate::stats::sorted::Sorted;
use crate::stats::summation::Spread;
use crate::stats::wasserstein_exact::{LEAST_DEVIATION, scaled};
use crate::stats::{contingency, energy_distance, wasserstein_exact};

/// Up to this many reference rows Evidently tests, above it measures a distance.
const TESTED_ROWS: usize = 1000;
/// Up to this many different values a numeric column is judged as a categorical one.
const FEW_VALUES: usize = 5;
/// Up to this many different values of the reference each value is a bin.
const VALUES_AS_BINS: usize = 20;
/// Threshold of every distance.
const DISTANCE: f64 = 0.1;
/// Level of every test.
const LEVEL: f64 = 0.05;

pub fn statistics(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Numeric => &[
            "ks",
            "wasserstein",
            "jensenshannon",
            "psi",
            "hellinger",
            "kl_div",
            "ed",
            "chisquare",
            "z",
        ],
        Kind::Categorical => &[
            "jensenshannon",
            "chisquare",
            "z",
            "psi",
            "hellinger",
            "kl_div",
        ],
    }
}

/// Up to 1000 reference rows: `ks`, or `chisquare` (`z` for two values) where a column holds at most five different
/// values; above: normalised `wasserstein`, or `jensenshannon`.
pub fn default_statistic(kind: Kind, n_reference: usize, distinct: usize) -> &'static str {
    let few = kind == Kind::Categorical || distinct <= FEW_VALUES;
    match (n_reference <= TESTED_ROWS, few) {
        (true, true) if distinct > 2 => "chisquare",
        (true, true) => "z",
        (true, false) => "ks",
        (false, true) => "jensenshannon",
        (false, false) => "wasserstein",
    }
}

/// - `psi`, `jensenshannon`, `kl_div`: numbers in Sturges' bins over both samples, or each value a bin where the
///   reference holds at most 20 different ones; PSI and KL(reference ‖ current) with [`Smoothing::Evidently`], JS as a
///   distance in nats without smoothing.
/// - `hellinger`: numbers in Sturges' bins over the *different* values of both samples.
/// - `wasserstein`: over max(deviation of the reference, 10⁻³), divisor n. `ed`: SciPy's energy distance.
/// - `ks`, `chisquare` (goodness of fit of the current counts), `z` (share of the least value): p-values.
pub(super) fn score(statistic: &'static str, sides: &Sides) -> Result<Judged, Refused> {
    let undefined = |reason| Refused::Undefined { statistic, reason };
    let plain = |pair: &Pair, smoothing| {
        Shares::new(pair, smoothing).ok_or(undefined("a sample has no row in any bin"))
    };
    let no_number = || undefined("it is no finite number");
    let (value, written) = match (statistic, sides) {
        ("ks", Sides::Numeric(reference, current)) => {
            let p = ks(reference, current).and_then(|found| found.p_value(Method::Auto));
            (p.map(|p| p.value), vec![])
        }
        ("wasserstein", Sides::Numeric(reference, current)) => {
            let deviation = Spread::of(reference.finite()).map(|spread| spread.deviation);
            let value = wasserstein_exact::distance(reference, current)
                .zip(deviation)
                .map(|(distance, deviation)| scaled(distance, deviation, LEAST_DEVIATION));
            (
                value,
                vec![(
                    "scale",
                    "deviation of the reference, at least 0.001".to_owned(),
                )],
            )
        }
        ("ed", Sides::Numeric(reference, current)) => {
            (energy_distance::distance(reference, current), vec![])
        }
        ("hellinger", Sides::Numeric(reference, current)) => {
            let axis = different_values(reference, current);
            let bins = format!("sturges over different values, {}", axis.bins());
            let pair = counts(&axis, reference, current);
            (
                plain(&pair, Smoothing::None)?.hellinger(),
                vec![("bins", bins)],
            )
        }
        ("chisquare" | "z", _) => {
            let (pair, bins) = each(sides);
            let p = if statistic == "z" {
                share_test(&pair)
            } else {
                // One category leaves no degree of freedom: SciPy's answer is NaN.
                contingency::goodness_of_fit(&pair.reference, &pair.current)
                    .filter(|found| found.degrees > 0.0)
                    .map(|found| found.p_value)
            };
            let p = p.ok_or(undefined("both samples hold one and the same value only"))?;
            (Some(p), vec![("bins", bins)])
        }
        _ => {
            let (pair, bins) = binned(sides);
            let smoothing = match statistic {
                "psi" | "kl_div" => Smoothing::Evidently,
                _ => Smoothing::None,
            };
            let shares = plain(&pair, smoothing)?;
            let value = match statistic {
                "psi" => shares.psi(),
                "kl_div" => shares.kullback_leibler(Direction::ReferenceFromCurrent),
                "hellinger" => shares.hellinger(),
                _ => shares.jensen_shannon(Base::E),
            };
            let mut written = vec![("bins", bins), ("smoothing", smoothing.to_string())];
            if statistic == "jensenshannon" {
                written.push(("base", "e".to_owned()));
            }
            (value, written)
        }
    };
    let value = value.ok_or_else(no_number)?;
    let is_p_value = matches!(statistic, "ks" | "chisquare" | "z");
    let (threshold, drift) = match statistic {
        "ks" => (LEVEL, value <= LEVEL),
        "chisquare" | "z" => (LEVEL, value < LEVEL),
        "ed" => (DISTANCE, value > DISTANCE),
        _ => (DISTANCE, value >= DISTANCE),
    };
    Ok(Judged {
        vendor: Vendor::Evidently,
        statistic,
        value,
        is_p_value,
        threshold: Some(threshold),
        drift: Some(drift),
        parameters: parameters(written),
    })
}

/// What `psi`, `jensenshannon` and `kl_div` count in.
fn binned(sides: &Sides) -> (Pair, String) {
    match sides {
        Sides::Numeric(reference, current) if different(reference) > VALUES_AS_BINS => {
            let axis = Axis::numpy(Rule::Sturges, together(reference, current).values());
            let bins = format!("sturges over both samples, {}", axis.bins());
            (counts(&axis, reference, current), bins)
        }
        _ => each(sides),
    }
}

/// Each value or category a bin.
fn each(sides: &Sides) -> (Pair, String) {
    let pair = match sides {
        Sides::Numeric(reference, current) => each_value(reference, current),
        Sides::Categorical(pair) => pair.clone(),
    };
    let bins = format!("each value, {}", pair.reference.len());
    (pair, bins)
}

fn counts(axis: &Axis, reference: &Sorted, current: &Sorted) -> Pair {
    Pair::new(
        axis.counts(reference.values()),
        axis.counts(current.values()),
    )
}

fn different_values(reference: &Sorted, current: &Sorted) -> Axis {
    let mut values = together(reference, current).values().to_vec();
    values.dedup();
    Axis::numpy(Rule::Sturges, &values)
}

fn different(sample: &Sorted) -> usize {
    sample.values().chunk_by(|a, b| a == b).count()
}

/// Two-sided p-value of the z-test that both samples hold the least value of both as often: pooled variance, 2·(1 −
/// Φ(|z|)). 1 where both hold one and the same value only.
fn share_test(pair: &Pair) -> Option<f64> {
    use statrs::distribution::{ContinuousCDF, Normal};
    let (n, m) = (pair.reference_rows as f64, pair.current_rows as f64);
    let (&a, &b) = (pair.reference.first()?, pair.current.first()?);
    let (p, q) = (1.0 - a as f64 / n, 1.0 - b as f64 / m);
    let pooled = (p * n + q * m) / (n + m);
    let variance = pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m);
    if variance <= 0.0 {
        return Some(1.0);
    }
    let z = (p - q).abs() / variance.sqrt();
    Some((2.0 * Normal::standard().sf(z)).clamp(0.0, 1.0))
}
