//! Sums over all pairs of rows, which is all that MMD and the energy distance see of two samples.
//!
//! The kernel is computed once for each pair, tile by tile; no matrix of pairs is stored, so memory is
//! O(rows·columns). For a permutation test all labellings' sums are made in the same pass (see [`relabelled`]).
//!
//! **Invariant:** sums are taken in one order, fixed by the order of rows; another order of rows moves them by
//! rounding only, less than 1e-12 of the sum of the kernel's magnitudes. Threads and vector units are for `compute`,
//! which is tested against this.

use super::labels::{GROUP, Labels, SUBSETS, subset_sums};
use super::matrix::comparable;
use super::{Kernel, Matrix, MultivariateError};

/// Columns of a tile: a multiple of [`GROUP`] whose transposed rows and kernel values stay in the first caches.
const TILE: usize = 64 * GROUP;
/// Squared distances that are collected to select from them; 8 MiB.
const MOST_COLLECTED: u64 = 1 << 20;
/// Bits of a float that one pass counts by.
const RADIX_BITS: u32 = 16;

/// The kernel's sums over pairs of rows within the reference (x), within the current sample (y), and across.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairSums {
    /// Rows of the reference and of the current sample.
    pub n: usize,
    pub m: usize,
    /// Each pair of two different rows once.
    pub xx: f64,
    pub yy: f64,
    pub xy: f64,
    /// The kernel of a row and itself.
    pub diagonal: f64,
}

impl PairSums {
    /// mean k(x, x′) + mean k(y, y′) − 2·mean k(x, y) with each row also paired with itself (a V-statistic). `None`
    /// where a side is empty.
    ///
    /// ```
    /// use driftline::stats::multivariate::pair_sums::PairSums;
    /// let sums = PairSums { n: 2, m: 1, xx: 0.5, yy: 0.0, xy: 0.4, diagonal: 1.0 };
    /// // (2 + 2·0.5)/4 + 1 − 2·0.4/2
    /// assert!((sums.v_statistic().expect("rows") - 1.35).abs() < 1e-15);
    /// assert_eq!(sums.u_statistic(), None);
    /// ```
    pub fn v_statistic(&self) -> Option<f64> {
        let (n, m) = (self.n as f64, self.m as f64);
        (self.n > 0 && self.m > 0).then(|| {
            let within = (2.0 * self.xx / n + self.diagonal) / n;
            let others = (2.0 * self.yy / m + self.diagonal) / m;
            within + others - 2.0 * (self.xy / n / m)
        })
    }

    /// The same means over pairs of different rows only (a U-statistic), which is 0 on average where the samples are
    /// of one distribution. `None` where a side has fewer than two rows.
    pub fn u_statistic(&self) -> Option<f64> {
        let (n, m) = (self.n as f64, self.m as f64);
        (self.n > 1 && self.m > 1).then(|| {
            let within = 2.0 * self.xx / n / (n - 1.0);
            let others = 2.0 * self.yy / m / (m - 1.0);
            within + others - 2.0 * (self.xy / n / m)
        })
    }
}

/// The sums for two samples.
///
/// # Errors
/// Different columns. An empty side has sums of 0.
///
/// ```
/// use driftline::stats::multivariate::{Kernel, Matrix, pair_sums::pair_sums};
/// let reference = Matrix::new(1, vec![0.0, 1.0]).expect("rows");
/// let current = Matrix::new(1, vec![3.0]).expect("a row");
/// let sums = pair_sums(&reference, &current, Kernel::Distance).expect("one column each");
/// assert_eq!((sums.xx, sums.yy, sums.xy), (1.0, 0.0, 5.0));
/// ```
pub fn pair_sums(
    reference: &Matrix,
    current: &Matrix,
    kernel: Kernel,
) -> Result<PairSums, MultivariateError> {
    comparable(reference, current, 0)?;
    let pooled = reference.stacked(current)?;
    let n = reference.rows();
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    each_tile(&pooled, |row, first, squared, from| {
        let boundary = n.clamp(first + from, first + squared.len()) - first;
        let sum = |squared: &[f64]| {
            squared
                .iter()
                .map(|&squared| kernel.of_squared(squared))
                .sum::<f64>()
        };
        let (below, above) = (sum(&squared[from..boundary]), sum(&squared[boundary..]));
        if row < n {
            xx += below;
            xy += above;
        } else {
            yy += above;
        }
    });
    Ok(PairSums {
        n,
        m: current.rows(),
        xx,
        yy,
        xy,
        diagonal: kernel.diagonal(),
    })
}

/// The sums for every labelling, the observed one first, from one pass over the pairs.
///
/// With z a labelling's zeros and ones, only zᵀKz is needed of each: the row sums of K and their total, which no
/// labelling changes, give the rest. For six columns of a row of K the sums of all 64 subsets are made by 64 additions,
/// and each labelling then reads the one that its six bits name: a sixth of an addition a pair and labelling.
///
/// # Errors
/// Different columns, or labels for another number of rows.
///
/// ```
/// use driftline::stats::multivariate::{Kernel, Labels, Matrix};
/// use driftline::stats::multivariate::pair_sums::{pair_sums, relabelled};
/// let reference = Matrix::new(1, vec![0.0, 1.0, 4.0]).expect("rows");
/// let current = Matrix::new(1, vec![3.0, 9.0]).expect("rows");
/// let labels = Labels::of_rows(3, 2, 9, 1).expect("rows");
/// let sums = relabelled(&reference, &current, Kernel::Distance, &labels).expect("one column each");
/// assert_eq!(sums.len(), 10);
/// assert_eq!(sums[0], pair_sums(&reference, &current, Kernel::Distance).expect("one column each"));
/// ```
pub fn relabelled(
    reference: &Matrix,
    current: &Matrix,
    kernel: Kernel,
    labels: &Labels,
) -> Result<Vec<PairSums>, MultivariateError> {
    comparable(reference, current, 0)?;
    let pooled = reference.stacked(current)?;
    if labels.rows() != pooled.rows() {
        return Err(MultivariateError::Labels {
            labels: labels.rows(),
            rows: pooled.rows(),
        });
    }
    let mut within = vec![0.0; labels.labellings()];
    let mut of_row = vec![0.0; labels.labellings()];
    let mut row_sums = vec![0.0; pooled.rows()];
    let mut values = [0.0; TILE];
    each_tile(&pooled, |row, first, squared, from| {
        let values = &mut values[..squared.len()];
        values[..from].fill(0.0);
        for (value, &squared) in values[from..].iter_mut().zip(&squared[from..]) {
            *value = kernel.of_squared(squared);
        }
        row_sums[row] += values[from..].iter().sum::<f64>();
        for (sum, value) in row_sums[first + from..].iter_mut().zip(&values[from..]) {
            *sum += value;
        }
        of_row.fill(0.0);
        for (group, six) in values.chunks(GROUP).enumerate().skip(from / GROUP) {
            let table = subset_sums(six);
            for (sum, &code) in of_row.iter_mut().zip(labels.group(first / GROUP + group)) {
                *sum += table[usize::from(code) % SUBSETS];
            }
        }
        let place = row % GROUP;
        for ((sum, &part), &code) in within
            .iter_mut()
            .zip(&of_row)
            .zip(labels.group(row / GROUP))
        {
            *sum += f64::from(code >> place & 1) * part;
        }
    });
    let total = row_sums.iter().sum::<f64>() / 2.0;
    let touching = labels.sums(&row_sums);
    let sums = within.into_iter().zip(touching).enumerate();
    Ok(sums
        .map(|(labelling, (yy, touching))| {
            // The current rows' row sums hold the pairs among them twice and those across once.
            let xy = touching - 2.0 * yy;
            let m = labels.current_rows(labelling);
            PairSums {
                n: pooled.rows() - m,
                m,
                xx: total - yy - xy,
                yy,
                xy,
                diagonal: kernel.diagonal(),
            }
        })
        .collect())
}

/// Calls `visit(row, first, squared, from)` with squared distances of a row to the rows `first..` of a tile; only
/// those at places `from..` are of later rows and hold a value. Every pair comes once.
pub(super) fn each_tile(pooled: &Matrix, mut visit: impl FnMut(usize, usize, &[f64], usize)) {
    let columns = pooled.columns();
    let mut across = vec![0.0; TILE * columns];
    let mut squared = [0.0; TILE];
    for first in (0..pooled.rows()).step_by(TILE) {
        let width = TILE.min(pooled.rows() - first);
        for (place, row) in (first..first + width).enumerate() {
            for (column, &value) in pooled.row(row).iter().enumerate() {
                across[column * TILE + place] = value;
            }
        }
        for row in 0..first + width - 1 {
            let from = (row + 1).saturating_sub(first);
            let squared = &mut squared[..width];
            squared[from..].fill(0.0);
            for (&value, others) in pooled.row(row).iter().zip(across.chunks_exact(TILE)) {
                for (sum, other) in squared[from..].iter_mut().zip(&others[from..width]) {
                    let difference = value - other;
                    *sum += difference * difference;
                }
            }
            visit(row, first, squared, from);
        }
    }
}

/// The squared distance of two different rows at a place (from 0, ascending) among all of them, by counting leading
/// bits until few enough are left to collect. Positive floats are in the order of their bits.
pub(super) fn squared_at(sample: &Matrix, place: u64) -> f64 {
    let rows = sample.rows() as u64;
    let (mut left, mut place) = (rows * rows.saturating_sub(1) / 2, place);
    // Those left share the bits above `shift`.
    let (mut prefix, mut shift) = (0_u64, u64::BITS);
    while left > MOST_COLLECTED && shift > 0 {
        shift -= RADIX_BITS;
        let mut counts = vec![0_u64; 1 << RADIX_BITS];
        each_shared(sample, prefix, shift + RADIX_BITS, |bits| {
            counts[(bits >> shift) as usize % (1 << RADIX_BITS)] += 1;
        });
        let mut bucket = 0;
        while bucket + 1 < counts.len() && place >= counts[bucket] {
            place -= counts[bucket];
            bucket += 1;
        }
        prefix = (prefix << RADIX_BITS) | bucket as u64;
        left = counts[bucket];
    }
    if shift == 0 {
        return f64::from_bits(prefix);
    }
    let mut collected = Vec::with_capacity(left as usize);
    each_shared(sample, prefix, shift, |bits| collected.push(bits));
    if collected.is_empty() {
        return 0.0;
    }
    let place = (place as usize).min(collected.len() - 1);
    f64::from_bits(*collected.select_nth_unstable(place).1)
}

/// The bits of every squared distance whose bits from `shift` up are `prefix`.
fn each_shared(sample: &Matrix, prefix: u64, shift: u32, mut take: impl FnMut(u64)) {
    each_tile(sample, |_, _, squared, from| {
        for squared in &squared[from..] {
            let bits = squared.to_bits();
            if bits.checked_shr(shift).unwrap_or(0) == prefix {
                take(bits);
            }
        }
    });
}

/// The smallest squared distance above 0; `None` where all rows are equal.
pub(super) fn smallest_positive_squared(sample: &Matrix) -> Option<f64> {
    let mut least = f64::INFINITY;
    each_tile(sample, |_, _, squared, from| {
        for &squared in &squared[from..] {
            if squared > 0.0 && squared < least {
                least = squared;
            }
        }
    });
    least.is_finite().then_some(least)
}

#[cfg(test)]
#[path = "pair_sums_tests.rs"]
mod tests;
