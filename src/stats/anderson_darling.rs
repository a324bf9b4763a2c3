//! The Anderson–Darling test on the rows of two samples or more: distances of distribution functions, weighted towards
//! the tails.

use std::f64::consts::PI;

use super::edf_limits;
use super::sorted::{Sorted, groups};
use super::summation::Sum;
use super::total;

/// How ties are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Distribution functions between the values before and after a jump: SciPy's default.
    Midrank,
    /// Distribution functions right of a jump.
    Right,
}

/// What the test finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AndersonDarling {
    /// A²: k − 1 on average without drift.
    pub raw: f64,
    /// (A² − (k − 1)) over its standard deviation without drift and ties: what `scipy.stats.anderson_ksamp` calls the
    /// statistic.
    pub statistic: f64,
    /// How many samples were compared.
    pub samples: usize,
}

/// A² = Σᵢ nᵢ·∫ (Fᵢ − H)²/(H(1 − H)) dH of k samples against the pooled H, and its standard form. 0 and up (raw).
///
/// ±∞ are the highest and lowest ranks. `None` for fewer than two samples, an empty one, fewer than four rows in all,
/// and where all rows are one value.
/// Source: Scholz and Stephens, *K-Sample Anderson–Darling Tests* (1987), eq. 6 and 7.
///
/// ```
/// use driftline::stats::{anderson_darling::{Variant, anderson_darling}, sorted::Sorted};
/// let (a, b) = (Sorted::new(&[1.0, 2.0, 3.0, 4.0]), Sorted::new(&[5.0, 6.0, 7.0, 8.0]));
/// let found = anderson_darling(&[&a, &b], Variant::Midrank).unwrap();
/// // scipy.stats.anderson_ksamp([[1, 2, 3, 4], [5, 6, 7, 8]])
/// assert!((found.statistic - 3.6866058780406794).abs() < 1e-12);
/// ```
pub fn anderson_darling(samples: &[&Sorted], variant: Variant) -> Option<AndersonDarling> {
    let slices: Vec<&[f64]> = samples.iter().map(|sample| sample.values()).collect();
    let sizes: Vec<f64> = slices.iter().map(|slice| slice.len() as f64).collect();
    let all: f64 = sizes.iter().sum();
    let first = *slices.first()?.first()?;
    let constant = slices
        .iter()
        .all(|slice| slice.first() == Some(&first) && slice.last() == Some(&first));
    if samples.len() < 2 || sizes.contains(&0.0) || all < 4.0 || constant {
        return None;
    }
    let mut sums = vec![Sum::default(); slices.len()];
    groups(&slices, |_, below, ties| {
        let tied = ties.iter().sum::<usize>() as f64;
        let pooled = below.iter().sum::<usize>() as f64;
        let (part, correction) = match variant {
            Variant::Midrank => (0.5, all * tied / 4.0),
            Variant::Right => (1.0, 0.0),
        };
        let pooled = pooled + part * tied;
        let weight = pooled * (all - pooled) - correction;
        // Right of the highest value all functions are 1.
        if weight <= 0.0 {
            return;
        }
        for (i, sum) in sums.iter_mut().enumerate() {
            let own = below[i] as f64 + part * ties[i] as f64;
            let gap = all * own - pooled * sizes[i];
            sum.add(tied / all * (gap * gap / weight));
        }
    });
    let mut raw: f64 = sums
        .iter()
        .zip(&sizes)
        .map(|(sum, size)| sum.value() / size)
        .sum();
    if variant == Variant::Midrank {
        raw *= (all - 1.0) / all;
    }
    let deviation = variance(&sizes, all).sqrt();
    (deviation > 0.0).then(|| AndersonDarling {
        raw,
        statistic: (raw - (samples.len() as f64 - 1.0)) / deviation,
        samples: samples.len(),
    })
}

/// [`AndersonDarling::raw`] of two samples by distinct value, ascending, with mean ranks for ties. 0 where all rows are
/// one value, or a side has none.
///
/// ```
/// use driftline::stats::{anderson_darling::{Variant, anderson_darling, of_counts}, sorted::Sorted};
/// let (a, b) = (Sorted::new(&[1.0, 2.0, 2.0, 4.0]), Sorted::new(&[2.0, 6.0, 6.0]));
/// let rows = anderson_darling(&[&a, &b], Variant::Midrank).unwrap();
/// assert!((of_counts(&[1, 2, 1, 0], &[0, 1, 0, 2]) - rows.raw).abs() < 1e-12);
/// ```
pub fn of_counts(reference: &[u64], current: &[u64]) -> f64 {
    let sizes = [total(reference), total(current)];
    let all = sizes[0] + sizes[1];
    if sizes.contains(&0.0) {
        return 0.0;
    }
    let (mut below, mut sums) = ([0.0; 2], [Sum::default(), Sum::default()]);
    for (&ours, &theirs) in reference.iter().zip(current) {
        let own = [ours as f64, theirs as f64];
        let tied = own[0] + own[1];
        let pooled = below[0] + below[1] + 0.5 * tied;
        let weight = pooled * (all - pooled) - all * tied / 4.0;
        if weight > 0.0 {
            for side in 0..2 {
                let gap = all * (below[side] + 0.5 * own[side]) - pooled * sizes[side];
                sums[side].add(tied / all * (gap * gap / weight));
            }
        }
        below = [below[0] + own[0], below[1] + own[1]];
    }
    (sums[0].value() / sizes[0] + sums[1].value() / sizes[1]) * (all - 1.0) / all
}

/// The variance of A² without drift and ties. Source: Scholz and Stephens (1987), eq. 4.
fn variance(sizes: &[f64], all: f64) -> f64 {
    let k = sizes.len() as f64;
    let inverses: f64 = sizes.iter().map(|n| 1.0 / n).sum();
    // h = Σ 1/i over i < N; g = Σᵢ Σⱼ 1/((N − i)·j) over 1 ≤ i ≤ N − 2, i < j < N.
    let (mut harmonic, mut double) = (0.0, 0.0);
    let mut i = 1.0;
    while i <= all - 2.0 {
        harmonic += 1.0 / (all - i);
        double += harmonic / (i + 1.0);
        i += 1.0;
    }
    let (h, g) = (harmonic + 1.0, double);
    let a = (4.0 * g - 6.0) * (k - 1.0) + (10.0 - 6.0 * g) * inverses;
    let b = (2.0 * g - 4.0) * k * k + 8.0 * h * k + (2.0 * g - 14.0 * h - 4.0) * inverses - 8.0 * h
        + 4.0 * g
        - 6.0;
    let c = (6.0 * h + 2.0 * g - 2.0) * k * k
        + (4.0 * h - 4.0 * g + 6.0) * k
        + (2.0 * h - 6.0) * inverses
        + 4.0 * h;
    let d = (2.0 * h + 6.0) * k * k - 4.0 * h * k;
    (((a * all + b) * all + c) * all + d) / ((all - 1.0) * (all - 2.0) * (all - 3.0))
}

impl AndersonDarling {
    /// The p-value by Scholz and Stephens' table, as SciPy gives it: ln p is a parabola through seven levels, **cut to
    /// 0.001 to 0.25**.
    pub fn interpolated_p(&self) -> f64 {
        let m = (self.samples - 1) as f64;
        let critical = |i: usize| B0[i] + B1[i] / m.sqrt() + B2[i] / m;
        if self.statistic < critical(0) {
            return LEVELS[0];
        }
        if self.statistic > critical(LEVELS.len() - 1) {
            return LEVELS[LEVELS.len() - 1];
        }
        let points: Vec<(f64, f64)> = (0..LEVELS.len())
            .map(|i| (critical(i), LEVELS[i].ln()))
            .collect();
        parabola(&points, self.statistic).exp().clamp(0.0, 1.0)
    }

    /// The p-value in the limit of many rows, without cut: P(A² ≥ 1 + statistic·√(2(π² − 9)/3)), the limiting
    /// distribution at the standardised statistic. `None` for more than two samples.
    ///
    /// Of simulated two-sample statistics with n = m = 50 it is near to the interpolated one inside its range, and goes
    /// on where that stops.
    pub fn limit_p(&self) -> Option<f64> {
        let deviation = (2.0 * (PI * PI - 9.0) / 3.0).sqrt();
        (self.samples == 2)
            .then(|| edf_limits::anderson_darling_tail(1.0 + self.statistic * deviation))
    }
}

/// Levels and coefficients of the critical values b₀ + b₁/√(k−1) + b₂/(k−1). Source: Scholz and Stephens (1987), table
/// 2.
const LEVELS: [f64; 7] = [0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001];
const B0: [f64; 7] = [0.675, 1.281, 1.645, 1.96, 2.326, 2.573, 3.085];
const B1: [f64; 7] = [-0.245, 0.25, 0.678, 1.149, 1.822, 2.364, 3.615];
const B2: [f64; 7] = [-0.105, -0.305, -0.362, -0.391, -0.396, -0.345, -0.154];

/// The parabola of least squares through `points`, at `x`, by polynomials that are orthogonal over the points.
fn parabola(points: &[(f64, f64)], x: f64) -> f64 {
    let n = points.len() as f64;
    let mean = points.iter().map(|p| p.0).sum::<f64>() / n;
    let squares = points.iter().map(|p| (p.0 - mean).powi(2)).sum::<f64>();
    let cubes = points.iter().map(|p| (p.0 - mean).powi(3)).sum::<f64>();
    let first = |x: f64| x - mean;
    let second = |x: f64| (x - mean).powi(2) - cubes / squares * (x - mean) - squares / n;
    let part = |basis: &dyn Fn(f64) -> f64| {
        let along = points.iter().map(|p| basis(p.0) * p.1).sum::<f64>();
        along / points.iter().map(|p| basis(p.0).powi(2)).sum::<f64>() * basis(x)
    };
    part(&|_| 1.0) + part(&first) + part(&second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        let one = Sorted::new(&[1.0, 1.0, 1.0]);
        assert_eq!(anderson_darling(&[], Variant::Midrank), None);
        assert_eq!(anderson_darling(&[&one], Variant::Midrank), None);
        assert_eq!(anderson_darling(&[&one, &one], Variant::Midrank), None);
        assert_eq!(
            anderson_darling(&[&one, &Sorted::default()], Variant::Midrank),
            None
        );
        assert_eq!(
            anderson_darling(
                &[&Sorted::new(&[1.0]), &Sorted::new(&[2.0, 3.0])],
                Variant::Right
            ),
            None
        );
        let infinite = Sorted::new(&[f64::NEG_INFINITY, f64::INFINITY, 0.0]);
        assert!(anderson_darling(&[&one, &infinite], Variant::Midrank).is_some());
    }

    /// Inside the table's range the limit and the interpolation are one, and beyond it the limit goes on.
    #[test]
    fn the_limit_continues_the_table() {
        for (statistic, p) in [(0.325, 0.25), (1.226, 0.1), (1.961, 0.05), (3.752, 0.01)] {
            let found = AndersonDarling {
                raw: 0.0,
                statistic,
                samples: 2,
            };
            let limit = found.limit_p().expect("two samples");
            assert!((limit / p - 1.0).abs() < 0.03, "{limit}, not {p}");
            assert!((found.interpolated_p() / limit - 1.0).abs() < 0.05);
        }
        let far = AndersonDarling {
            raw: 0.0,
            statistic: 30.0,
            samples: 2,
        };
        assert_eq!(far.interpolated_p(), 0.001);
        let limit = far.limit_p().expect("two samples");
        assert!((1e-12..1e-9).contains(&limit), "{limit}");
    }

    proptest! {
        #[test]
        fn results_are_numbers(
            samples in proptest::collection::vec(proptest::collection::vec(any::<f64>(), 0..12), 0..4),
        ) {
            let samples: Vec<Sorted> = samples.iter().map(|rows| Sorted::new(rows)).collect();
            let samples: Vec<&Sorted> = samples.iter().collect();
            for variant in [Variant::Midrank, Variant::Right] {
                if let Some(found) = anderson_darling(&samples, variant) {
                    prop_assert!(found.raw.is_finite() && found.raw >= 0.0 && found.statistic.is_finite());
                    prop_assert!((0.0..=1.0).contains(&found.interpolated_p()));
                    prop_assert!(found.limit_p().is_none_or(|p| (0.0..=1.0).contains(&p)));
                }
            }
        }
    }
}
