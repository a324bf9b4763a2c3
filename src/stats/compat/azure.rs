//! Azure Machine Learning's model monitoring: a histogram over both samples' range, logarithms of base 2, one row more
//! in each bin for PSI.

use super::{Judged, Kind, Refused, Sides, Vendor, parameters};
use crate::stats::histogram::edges::equally_wide;
use crate::stats::histogram::{Axis, Closed, Outer, Pair};
use crate::stats::ks_exact::{Method, ks};
use crate::stats::shares::{Base, Shares, Smoothing};
use crate::stats::sorted::Sorted;
use crate::stats::summation::Spread;
use crate::stats::wasserstein_exact::{LEAST_DEVIATION, scaled};
use crate::stats::{contingency, wasserstein_exact};

/// Default threshold of the two default statistics; the others have none.
const DISTANCE: f64 = 0.1;
/// How much wider than 0 the one bin of a constant is, as a share of the constant.
const CONSTANT_WIDTH: f64 = 1.01;

pub fn statistics(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Numeric => &[
            "NormalizedWassersteinDistance",
            "JensenShannonDistance",
            "PopulationStabilityIndex",
            "TwoSampleKolmogorovSmirnovTest",
        ],
        Kind::Categorical => &[
            "JensenShannonDistance",
            "PopulationStabilityIndex",
            "PearsonsChiSquaredTest",
        ],
    }
}

/// - `JensenShannonDistance`: base 2; numbers in ⌈log₂ min(n, m) + 1⌉ equally wide bins over both samples' range.
/// - `PopulationStabilityIndex`: the same bins with [`Smoothing::OneRow`].
/// - `NormalizedWassersteinDistance`: over max(deviation of the reference, 10⁻³), divisor n − 1 (Spark's `stddev`).
/// - `TwoSampleKolmogorovSmirnovTest`, `PearsonsChiSquaredTest` (goodness of fit): p-values.
pub(super) fn score(statistic: &'static str, sides: &Sides) -> Result<Judged, Refused> {
    let undefined = |reason| Refused::Undefined { statistic, reason };
    let (value, written) = match (statistic, sides) {
        ("TwoSampleKolmogorovSmirnovTest", Sides::Numeric(reference, current)) => {
            let p = ks(reference, current).and_then(|found| found.p_value(Method::Auto));
            (p.map(|p| p.value), vec![])
        }
        ("NormalizedWassersteinDistance", Sides::Numeric(reference, current)) => {
            // A single row has no sample deviation; it is as good as constant.
            let deviation = Spread::of(reference.finite())
                .and_then(|spread| spread.sample_deviation())
                .unwrap_or(0.0);
            let value = wasserstein_exact::distance(reference, current)
                .map(|distance| scaled(distance, deviation, LEAST_DEVIATION));
            (
                value,
                vec![(
                    "scale",
                    "sample deviation of the reference, at least 0.001".to_owned(),
                )],
            )
        }
        ("PearsonsChiSquaredTest", Sides::Categorical(pair)) => {
            let found = contingency::goodness_of_fit(&pair.reference, &pair.current)
                .filter(|found| found.degrees > 0.0)
                .ok_or(undefined("both samples hold one and the same value only"))?;
            (Some(found.p_value), vec![])
        }
        _ => {
            let (pair, bins) = match sides {
                Sides::Numeric(reference, current) => {
                    let axis = joint(reference, current);
                    let count = |sample: &Sorted| axis.counts(sample.values());
                    let pair = Pair {
                        reference: count(reference),
                        current: count(current),
                        reference_rows: reference.len() as u64,
                        current_rows: current.len() as u64,
                    };
                    (
                        pair,
                        format!("equal width over both samples, {}", axis.bins()),
                    )
                }
                Sides::Categorical(pair) => (
                    pair.clone(),
                    format!("each value, {}", pair.reference.len()),
                ),
            };
            let psi = statistic == "PopulationStabilityIndex";
            let smoothing = if psi {
                Smoothing::OneRow
            } else {
                Smoothing::None
            };
            let shares =
                Shares::new(&pair, smoothing).ok_or(undefined("a sample has no row in any bin"))?;
            let value = if psi {
                shares.psi()
            } else {
                shares.jensen_shannon(Base::Two)
            };
            (
                value,
                vec![("bins", bins), ("smoothing", smoothing.to_string())],
            )
        }
    };
    let value = value.ok_or(undefined("it is no finite number"))?;
    let default = statistics(match sides {
        Sides::Numeric(..) => Kind::Numeric,
        Sides::Categorical(_) => Kind::Categorical,
    })
    .first()
        == Some(&statistic);
    Ok(Judged {
        vendor: Vendor::Azure,
        statistic,
        value,
        is_p_value: statistic.ends_with("Test"),
        threshold: default.then_some(DISTANCE),
        drift: default.then_some(value > DISTANCE),
        parameters: parameters(written),
    })
}

/// ⌈log₂ min(n, m) + 1⌉ equally wide bins, the last one closed; for one value c the bin [c, 1.01·c].
fn joint(reference: &Sorted, current: &Sorted) -> Axis {
    let ends = |pick: fn(f64, f64) -> f64, of: fn(&[f64]) -> Option<&f64>| {
        let (a, b) = (of(reference.values()), of(current.values()));
        pick(a.copied().unwrap_or(0.0), b.copied().unwrap_or(0.0))
    };
    let (least, largest) = (
        ends(f64::min, <[f64]>::first),
        ends(f64::max, <[f64]>::last),
    );
    let rows = reference.len().min(current.len()).max(1) as f64;
    let bins = (rows.log2() + 1.0).ceil() as usize;
    let edges = if least < largest {
        equally_wide(least, largest, bins)
    } else {
        // 0 times anything is 0, and the bin of a zero would have no width.
        let end = least * CONSTANT_WIDTH;
        vec![least, if end == least { least.next_up() } else { end }]
    };
    Axis::new(edges, Closed::Left, Outer::Nowhere)
}
