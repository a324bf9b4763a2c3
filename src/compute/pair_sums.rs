//! What a labelling's pairs add up to, the statistics that follow, and the definition: every pair, every labelling.

use super::labels::Labels;
use super::points::Points;

/// What the pairs of one labelling add up to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairSums {
    /// Rows of the first and the second sample.
    pub rows: [usize; 2],
    /// Σ over unordered pairs within the first, and within the second sample.
    pub within: [f64; 2],
    /// Σ over pairs of one row of each.
    pub across: f64,
}

impl PairSums {
    pub(crate) fn empty(labels: &Labels, labelling: usize) -> Self {
        let first = labels.first(labelling);
        Self {
            rows: [first, labels.rows() - first],
            within: [0.0; 2],
            across: 0.0,
        }
    }

    /// The unbiased estimate of MMD², for sums of kernels: 2·Σₓₓ k/(n(n−1)) + 2·Σ_yy k/(m(m−1)) − 2·Σₓy k/(nm), pairs
    /// of a row with itself left out. About 0 if nothing differs, and then often below; at most 2. `None` with fewer
    /// than two rows on a side.
    /// Source: Gretton et al., *A kernel two-sample test* (2012), equation 3.
    ///
    /// ```
    /// use driftline::compute::pair_sums::PairSums;
    /// let sums = PairSums { rows: [2, 2], within: [0.75, 0.5], across: 1.0 };
    /// assert_eq!(sums.mmd2_unbiased(), Some(0.75));
    /// assert_eq!(sums.mmd2_biased(), Some(1.125));
    /// ```
    pub fn mmd2_unbiased(&self) -> Option<f64> {
        let [n, m] = self.rows.map(|rows| rows as f64);
        (n >= 2.0 && m >= 2.0).then(|| {
            2.0 * self.within[0] / (n * (n - 1.0)) + 2.0 * self.within[1] / (m * (m - 1.0))
                - 2.0 * self.across / (n * m)
        })
    }

    /// The biased estimate of MMD², in which a row's kernel with itself, 1, counts too: 0 … 2 but for rounding.
    /// `None` without a row on either side.
    pub fn mmd2_biased(&self) -> Option<f64> {
        let [n, m] = self.rows.map(|rows| rows as f64);
        (n >= 1.0 && m >= 1.0).then(|| {
            (n + 2.0 * self.within[0]) / (n * n) + (m + 2.0 * self.within[1]) / (m * m)
                - 2.0 * self.across / (n * m)
        })
    }

    /// The energy distance 2·E|X − Y| − E|X − X′| − E|Y − Y′|, for sums of distances, a row's distance of 0 to itself
    /// included; not rooted, in the unit of the data, 0 and up. `None` without a row on either side.
    /// Source: Székely & Rizzo, *Energy statistics* (2013).
    ///
    /// ```
    /// use driftline::compute::pair_sums::PairSums;
    /// // 0 and 1 against 3: distances 1 within, 3 + 2 across.
    /// let sums = PairSums { rows: [2, 1], within: [1.0, 0.0], across: 5.0 };
    /// assert_eq!(sums.energy(), Some(4.5));
    /// ```
    pub fn energy(&self) -> Option<f64> {
        let [n, m] = self.rows.map(|rows| rows as f64);
        (n >= 1.0 && m >= 1.0).then(|| {
            let apart = 2.0 * self.across / (n * m);
            let inner = 2.0 * self.within[0] / (n * n) + 2.0 * self.within[1] / (m * m);
            (apart - inner).max(0.0)
        })
    }
}

impl PairSums {
    /// As [`PairSums::energy`], a row's distance to itself left out: 0 on average if nothing differs, and then often
    /// below. `None` with fewer than two rows on a side.
    ///
    /// ```
    /// use driftline::compute::pair_sums::PairSums;
    /// // 0 and 1 against 3 and 5.
    /// let sums = PairSums { rows: [2, 2], within: [1.0, 2.0], across: 14.0 };
    /// assert_eq!((sums.energy_unbiased(), sums.energy()), (Some(4.0), Some(5.5)));
    /// ```
    pub fn energy_unbiased(&self) -> Option<f64> {
        let [n, m] = self.rows.map(|rows| rows as f64);
        (n >= 2.0 && m >= 2.0).then(|| {
            let apart = 2.0 * self.across / (n * m);
            let inner =
                2.0 * self.within[0] / (n * (n - 1.0)) + 2.0 * self.within[1] / (m * (m - 1.0));
            apart - inner
        })
    }
}

/// The share of labellings with a statistic at least as large as the true one's, which counts itself:
/// (1 + #{b ≥ observed}) / (1 + B), so never below 1 / (1 + B). `None` if the true labelling has no value or there is
/// no other; other labellings without a value count as large.
///
/// ```
/// use driftline::compute::pair_sums::permutation_p;
/// assert_eq!(permutation_p(&[Some(2.0), Some(1.0), Some(2.0), Some(0.0)]), Some(0.5));
/// ```
pub fn permutation_p(values: &[Option<f64>]) -> Option<f64> {
    let (observed, others) = values.split_first()?;
    let observed = (*observed)?;
    if others.is_empty() {
        return None;
    }
    let large = others
        .iter()
        .filter(|value| value.is_none_or(|value| value >= observed))
        .count();
    Some((1 + large) as f64 / (1 + others.len()) as f64)
}

/// The definition, in `f64` from the `f32` points on: `value` of every pair's squared distance, for every labelling.
pub(crate) fn definition(
    points: &Points,
    labels: &Labels,
    value: impl Fn(f64) -> f64,
) -> Vec<PairSums> {
    let empty = |labelling| PairSums::empty(labels, labelling);
    let mut sums: Vec<PairSums> = (0..labels.count()).map(empty).collect();
    for i in 0..points.rows() {
        for j in i + 1..points.rows() {
            let square = |(x, y): (&f32, &f32)| (f64::from(*x) - f64::from(*y)).powi(2);
            let value = value(points.row(i).iter().zip(points.row(j)).map(square).sum());
            for (labelling, sums) in sums.iter_mut().enumerate() {
                match (labels.is_first(labelling, i), labels.is_first(labelling, j)) {
                    (true, true) => sums.within[0] += value,
                    (false, false) => sums.within[1] += value,
                    _ => sums.across += value,
                }
            }
        }
    }
    sums
}
