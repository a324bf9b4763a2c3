//! Distances between distribution functions, in the column's unit: Wasserstein and energy.
//!
//! Their null depends on the data, so it is drawn: labels of the pooled rows are shuffled, which for these two is a
//! table with given margins over the pooled values. Of more pooled values than [`MOST_CELLS`] neighbours share a cell;
//! the p-value is then that of the distance between cells, which is a permutation test of its own, as exact as that of
//! the distance itself.

use std::collections::BTreeMap;

use super::settings::{Scale, Settings};
use super::{Found, Null};
use crate::query::NumberRows;
use crate::reference::two_sample::{Draws, tables};
use crate::stats::score::Digits;
use crate::stats::sorted::Sorted;
use crate::stats::summation::Spread;
use crate::stats::wasserstein_exact::LEAST_DEVIATION;
use crate::stats::{Statistic, energy_distance, size_factor, wasserstein_exact};

/// Most cells that labels are shuffled over: a cell's share is then below a thousandth, and the noise inside it below
/// three hundredths of the whole.
const MOST_CELLS: usize = 1024;

/// One distance of a numeric column's finite values.
pub(super) fn measure(
    statistic: Statistic,
    reference: &NumberRows,
    current: &NumberRows,
    settings: &Settings,
    draws: &Draws,
) -> Option<Found> {
    let (a, b) = (Sorted::new(&reference.values), Sorted::new(&current.values));
    let raw = match statistic {
        Statistic::Wasserstein => wasserstein_exact::distance(&a, &b)?,
        _ => energy_distance::distance(&a, &b)?,
    };
    let spread = Spread::of(a.finite())?;
    let reach = {
        let (first, last) = (
            a.finite().first()?.min(*b.finite().first()?),
            a.finite().last()?.max(*b.finite().last()?),
        );
        (last - first).min(f64::MAX)
    };
    let deviation = if spread.deviation > 0.0 {
        spread.deviation
    } else {
        reach
    };
    let mut parameters = BTreeMap::new();
    let scale = match (statistic, settings.scale) {
        (Statistic::Energy, _) | (_, Scale::None) => 1.0,
        (_, Scale::Evidently) => spread.deviation.max(LEAST_DEVIATION),
        (_, Scale::Reference) if deviation > 0.0 => spread
            .sample_deviation()
            .filter(|d| *d > 0.0)
            .unwrap_or(deviation),
        // All values of both sides are one number.
        (_, Scale::Reference) => 1.0,
    };
    parameters.insert("divided_by".to_owned(), scale.to_string());
    let value = (raw / scale).min(f64::MAX);
    let cells = Cells::new(a.finite(), b.finite());
    if cells.joined {
        parameters.insert(
            "null".to_owned(),
            format!("distance over {} cells", cells.values.len()),
        );
    }
    let distance = |a: &[u64], b: &[u64]| cells.distance(statistic, a, b);
    let observed = distance(&cells.reference, &cells.current);
    let found = tables(
        &cells.reference,
        &cells.current,
        &[observed],
        draws,
        |_, a, b| distance(a, b),
    );
    let mut null = found
        .first()
        .map_or_else(|| Null::of_p(1.0), |surprise| Null::from(*surprise));
    null.threshold = null.threshold.map(|threshold| threshold / scale);
    let (n, m) = (a.finite().len() as f64, b.finite().len() as f64);
    let unit = if deviation > 0.0 { deviation } else { 1.0 };
    let effect = match statistic {
        Statistic::Wasserstein => (raw - cells.expected(n, m)).max(0.0) / unit,
        _ => (raw * raw - cells.expected_square(n, m)).max(0.0).sqrt() / unit.sqrt(),
    };
    Some(Found {
        value,
        effect: effect.min(f64::MAX),
        null: Some(null),
        method: "exact",
        n_reference: a.finite().len() as u64,
        n_current: b.finite().len() as u64,
        parameters,
        moved: means(&a, &b).unwrap_or_default(),
    })
}

/// "mean 35.1 → 62.0".
pub(super) fn means(a: &Sorted, b: &Sorted) -> Option<String> {
    let (a, b) = (Spread::of(a.finite())?, Spread::of(b.finite())?);
    Some(format!(
        "mean {} → {}",
        Digits(a.mean, 4),
        Digits(b.mean, 4)
    ))
}

/// Pooled values with the rows of either side at them.
struct Cells {
    values: Vec<f64>,
    reference: Vec<u64>,
    current: Vec<u64>,
    joined: bool,
}

impl Cells {
    /// Both ascending.
    fn new(a: &[f64], b: &[f64]) -> Self {
        let per_cell = (a.len() + b.len()).div_ceil(MOST_CELLS).max(1) as u64;
        let mut cells = Self {
            values: Vec::new(),
            reference: Vec::new(),
            current: Vec::new(),
            joined: false,
        };
        let (mut i, mut j) = (0, 0);
        let (mut rows, mut last) = (0, None);
        while i < a.len() || j < b.len() {
            let mine = j >= b.len() || (i < a.len() && a[i] <= b[j]);
            let value = if mine { a[i] } else { b[j] };
            let same = last == Some(value);
            if !same && (rows >= per_cell || rows == 0) {
                cells.values.push(value);
                cells.reference.push(0);
                cells.current.push(0);
                rows = 0;
            } else if !same {
                cells.joined = true;
            }
            let at = cells.values.len() - 1;
            if mine {
                cells.reference[at] += 1;
                i += 1;
            } else {
                cells.current[at] += 1;
                j += 1;
            }
            rows += 1;
            last = Some(value);
        }
        cells
    }

    fn distance(&self, statistic: Statistic, a: &[u64], b: &[u64]) -> f64 {
        let rows = |counts: &[u64]| counts.iter().sum::<u64>().max(1) as f64;
        let (n, m) = (rows(a), rows(b));
        let (mut i, mut j, mut sum) = (0_u64, 0_u64, 0.0);
        for (at, widths) in self.values.windows(2).enumerate() {
            i += a[at];
            j += b[at];
            let gap = i as f64 / n - j as f64 / m;
            let height = match statistic {
                Statistic::Wasserstein => gap.abs(),
                _ => 2.0 * gap * gap,
            };
            sum += height * (widths[1] / 2.0 - widths[0] / 2.0) * 2.0;
        }
        let sum = sum.clamp(0.0, f64::MAX);
        match statistic {
            Statistic::Wasserstein => sum,
            _ => sum.sqrt(),
        }
    }

    /// Mean of the distance without drift, to first order: √(2/π)·√(1/n + 1/m)·∫ √(H(1 − H)) dx.
    fn expected(&self, n: f64, m: f64) -> f64 {
        let gaps = self.pooled(|h| (h * (1.0 - h)).sqrt());
        (std::f64::consts::FRAC_2_PI.sqrt() * size_factor(n, m).sqrt() * gaps).min(f64::MAX)
    }

    /// Mean of the squared energy distance without drift: 2·(1/n + 1/m)·∫ H(1 − H) dx.
    fn expected_square(&self, n: f64, m: f64) -> f64 {
        (2.0 * size_factor(n, m) * self.pooled(|h| h * (1.0 - h))).min(f64::MAX)
    }

    fn pooled(&self, height: impl Fn(f64) -> f64) -> f64 {
        let all: u64 = self.reference.iter().chain(&self.current).sum();
        let (mut below, mut sum) = (0_u64, 0.0);
        for (at, widths) in self.values.windows(2).enumerate() {
            below += self.reference[at] + self.current[at];
            let h = (below as f64 / all.max(1) as f64).clamp(0.0, 1.0);
            sum += height(h) * (widths[1] / 2.0 - widths[0] / 2.0) * 2.0;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_few_values_give_the_distance_itself() {
        let (a, b) = ([0.0, 1.0, 1.0, 4.0], [1.0, 2.0, 6.0]);
        let cells = Cells::new(&a, &b);
        assert!(!cells.joined);
        for statistic in [Statistic::Wasserstein, Statistic::Energy] {
            let (x, y) = (Sorted::new(&a), Sorted::new(&b));
            let exact = match statistic {
                Statistic::Wasserstein => wasserstein_exact::distance(&x, &y),
                _ => energy_distance::distance(&x, &y),
            };
            let found = cells.distance(statistic, &cells.reference, &cells.current);
            assert!((found - exact.expect("rows")).abs() < 1e-12, "{found}");
        }
    }

    #[test]
    fn many_values_share_cells_and_keep_the_distance_nearly() {
        let a: Vec<f64> = (0..30_000).map(f64::from).collect();
        let b: Vec<f64> = (0..30_000).map(|x| f64::from(x) + 900.0).collect();
        let cells = Cells::new(&a, &b);
        assert!(cells.joined && cells.values.len() <= MOST_CELLS + 1);
        let found = cells.distance(Statistic::Wasserstein, &cells.reference, &cells.current);
        assert!((found / 900.0 - 1.0).abs() < 0.01, "{found}");
    }
}
