//! Deequ, and SageMaker Model Monitor which runs it: the largest gap less what small samples make.

use super::{Judged, Kind, Refused, Sides, Vendor, parameters};
use crate::stats::{deequ, ks_exact, l_infinity, total};

/// SageMaker's default `comparison_threshold`; Deequ itself has none.
const THRESHOLD: f64 = 0.1;

pub fn statistics(_kind: Kind) -> &'static [&'static str] {
    &["linf_robust", "linf_simple"]
}

/// Numbers: the Kolmogorov–Smirnov distance; categories: L∞ over the union. `linf_robust` takes
/// 1.8·√((n + m)/(n·m)) off ([`deequ::robust`]). The distance is that of the rows; Deequ's own comes from KLL sketches
/// and differs by their error.
pub(super) fn score(statistic: &'static str, sides: &Sides) -> Result<Judged, Refused> {
    let (distance, n, m) = match sides {
        Sides::Numeric(reference, current) => {
            let found = ks_exact::ks(reference, current).ok_or(Refused::Undefined {
                statistic,
                reason: "a sample is empty",
            })?;
            (found.distance, reference.len() as f64, current.len() as f64)
        }
        Sides::Categorical(pair) => (
            l_infinity::distance(&pair.reference, &pair.current),
            total(&pair.reference),
            total(&pair.current),
        ),
    };
    let value = match statistic {
        "linf_robust" => deequ::robust(distance, n, m),
        _ => distance,
    };
    Ok(Judged {
        vendor: Vendor::Deequ,
        statistic,
        value,
        is_p_value: false,
        threshold: Some(THRESHOLD),
        drift: Some(value > THRESHOLD),
        parameters: parameters([("threshold", "SageMaker Model Monitor's default".to_owned())]),
    })
}
