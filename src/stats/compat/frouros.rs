//! Frouros 0.9's batch distances: ten equally wide bins over both samples. It has no thresholds of its own.

use super::{Judged, Kind, Refused, Sides, Vendor, parameters, together};
use crate::stats::histogram::edges::{edges, equally_wide};
use crate::stats::histogram::{Axis, Pair, Rule};
use crate::stats::shares::{Base, Shares, Smoothing};
use crate::stats::sorted::Sorted;
use crate::stats::{energy_distance, wasserstein_exact};

/// `num_bins` where nothing else is asked for.
const BINS: usize = 10;

pub fn statistics(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Numeric => &[
            "PSI",
            "JS",
            "HellingerDistance",
            "BhattacharyyaDistance",
            "EMD",
            "EnergyDistance",
        ],
        Kind::Categorical => &[],
    }
}

/// - `PSI` with [`Smoothing::LeastNumber`], `HellingerDistance`, `BhattacharyyaDistance` (1 − Σ √(p·q)): ten bins of
///   `numpy.histogram` over both samples.
/// - `JS`: the distance in nats of two *interpolated* histograms, see [`interpolated`].
/// - `EMD`, `EnergyDistance`: of the rows, not scaled.
pub(super) fn score(statistic: &'static str, sides: &Sides) -> Result<Judged, Refused> {
    let undefined = |reason| Refused::Undefined { statistic, reason };
    let Sides::Numeric(reference, current) = sides else {
        return Err(undefined("it is of numbers"));
    };
    let ten = |smoothing| {
        let axis = Axis::numpy(
            Rule::EqualWidth(BINS),
            together(reference, current).values(),
        );
        let count = |sample: &Sorted| axis.counts(sample.values());
        Shares::new(&Pair::new(count(reference), count(current)), smoothing)
            .ok_or(undefined("a sample has no row in any bin"))
    };
    let equal = vec![("bins", format!("equal width over both samples, {BINS}"))];
    let (value, written) = match statistic {
        "PSI" => (ten(Smoothing::LeastNumber)?.psi(), equal),
        "HellingerDistance" => (ten(Smoothing::None)?.hellinger(), equal),
        "BhattacharyyaDistance" => {
            let value = ten(Smoothing::None)?.bhattacharyya();
            (value.map(|overlap| (1.0 - overlap).max(0.0)), equal)
        }
        "JS" => {
            let shares = interpolated(reference, current, BINS)
                .ok_or(undefined("both samples hold one and the same value only"))?;
            let bins = "numpy's auto for each sample, interpolated at 10 points".to_owned();
            (shares.jensen_shannon(Base::E), vec![("bins", bins)])
        }
        "EMD" => (wasserstein_exact::distance(reference, current), vec![]),
        _ => (energy_distance::distance(reference, current), vec![]),
    };
    Ok(Judged {
        vendor: Vendor::Frouros,
        statistic,
        value: value.ok_or(undefined("it is no finite number"))?,
        is_p_value: false,
        threshold: None,
        drift: None,
        parameters: parameters(written),
    })
}

/// Each sample's histogram in its own bins ([`Rule::Auto`]) as a distribution function, linear within bins, and its
/// shares between `points` equally spaced points over both samples. `None` where all values are one.
fn interpolated(reference: &Sorted, current: &Sorted, points: usize) -> Option<Shares> {
    let all = together(reference, current);
    let (&least, &largest) = (all.values().first()?, all.values().last()?);
    let grid = equally_wide(least, largest, points.saturating_sub(1).max(1));
    let shares = |sample: &Sorted| -> Vec<f64> {
        let smooth = Interpolated::new(sample);
        let below: Vec<f64> = grid.iter().map(|&x| smooth.below(x)).collect();
        below
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).max(0.0))
            .collect()
    };
    Shares::given(shares(reference), shares(current))
}

/// A distribution function that is linear within bins.
struct Interpolated {
    edges: Vec<f64>,
    /// The share of rows below each edge.
    below: Vec<f64>,
}

impl Interpolated {
    fn new(sample: &Sorted) -> Self {
        let edges = edges(Rule::Auto, sample.values());
        let counts = Axis::numpy(Rule::Auto, sample.values()).counts(sample.values());
        let rows = sample.len() as f64;
        let mut passed = 0;
        let mut below = vec![0.0];
        for count in counts {
            passed += count;
            below.push(passed as f64 / rows);
        }
        Self { edges, below }
    }

    /// The share of rows below `x`; 0 below the first edge, 1 above the last.
    fn below(&self, x: f64) -> f64 {
        let passed = self.edges.partition_point(|&edge| edge <= x);
        if passed == 0 {
            return 0.0;
        }
        let (Some(&end), Some(&next)) = (self.edges.get(passed), self.below.get(passed)) else {
            return 1.0;
        };
        let (start, share) = (self.edges[passed - 1], self.below[passed - 1]);
        // Halves, because the width of a bin may itself be no number.
        let part = (x / 2.0 - start / 2.0) / (end / 2.0 - start / 2.0);
        share
            + (next - share)
                * if part.is_finite() {
                    part.clamp(0.0, 1.0)
                } else {
                    0.0
                }
    }
}
