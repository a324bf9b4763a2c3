//! `pairwise_distance`: the energy distance of the true labels and of B reshuffled ones, and the median distance.
//!
//! Distances are Euclidean. They have no upper bound, so the fast path sums them as `f32` over at most 240 pairs, in one
//! fixed order, and those sums in `f64`; see [`super::tile`]. The median is selected, not sorted for: floats that are
//! not negative are in the order of their bits, and three counts by 11, 10 and 10 bits leave one number.

use rayon::prelude::*;

use super::device::{Gpu, GpuError, Shader};
use super::labels::Labels;
use super::pair_sums::{PairSums, definition};
use super::pairs_on_gpu::{self, CELLS};
use super::points::{Points, Scale};
use super::tile::{self, LANES, Lanes, PairValue};

/// The device's side.
pub static SHADER: Shader = Shader {
    name: "pairwise_distance",
    parts: &[
        include_str!("../../shaders/tile.wgsl"),
        include_str!("../../shaders/pair_sums.wgsl"),
        include_str!("../../shaders/pairwise_distance.wgsl"),
    ],
};

/// How far a sum may lie from the `f64` one, as a share of the sum over all pairs: 240 additions in `f32`
/// (2⁻²⁴ each, all in one direction: 1.4·10⁻⁵), the rounding of coordinates and square roots. In practice 10⁻⁷.
pub const SUM_TOLERANCE: f64 = 2e-5;

/// How far a median may lie from the `f64` one, relative: `f32` sums over up to 4,096 coordinates.
pub const MEDIAN_TOLERANCE: f64 = 1e-4;

/// Bits that each count decides, from the top. The sign bit is always 0.
const DIGITS: [u32; 3] = [11, 10, 10];
/// Steps of the device's sums in the largest distance: 128 pairs are then below 2³⁸ steps.
const STEPS: f32 = (1u32 << 31) as f32;
/// Parts that a count is cut into: more than threads.
const PARTS: usize = 64;

/// Points scaled by a power of two. `first` and `second` hold `dims` numbers a row; `None` if they do not.
pub fn points(first: &[f64], second: &[f64], dims: usize) -> Option<Points> {
    Points::new(first, second, dims, Scale::ToOne)
}

/// The definition: every pair, in `f64` from the `f32` points on. `None` if labels are for another number of rows.
pub fn plain(points: &Points, labels: &Labels) -> Option<Vec<PairSums>> {
    let sums = (points.rows() == labels.rows()).then(|| definition(points, labels, f64::sqrt))?;
    Some(
        sums.into_iter()
            .map(|sums| unscaled(sums, points))
            .collect(),
    )
}

/// The same on all threads, within [`SUM_TOLERANCE`]; bit-identical on every machine. `None` if labels are for another
/// number of rows.
///
/// ```
/// use driftline::compute::{labels::Labels, pairwise_distance};
/// let points = pairwise_distance::points(&[0.0, 1.0], &[3.0], 1).expect("rows of one number");
/// let sums = pairwise_distance::fast(&points, &Labels::of_rows(2, 1, 0, 0)).expect("as many labels as rows");
/// assert_eq!(sums[0].energy(), Some(4.5));
/// ```
pub fn fast(points: &Points, labels: &Labels) -> Option<Vec<PairSums>> {
    if points.rows() != labels.rows() {
        return None;
    }
    let sums = tile::fast::<Distance>(points, labels);
    let all: f64 = sums.by_row.iter().sum::<f64>() / 2.0;
    let of_labelling = |(labelling, &within): (usize, &f64)| {
        let of_first = labels.sum_of_first(labelling, &sums.by_row);
        // What is 0 but for rounding must not come out negative.
        let across = (of_first - 2.0 * within).max(0.0);
        let rest = (all - within - across).max(0.0);
        finished(labels, labelling, points, [within, rest, across])
    };
    Some(
        sums.within_first
            .par_iter()
            .enumerate()
            .map(of_labelling)
            .collect(),
    )
}

/// The same on a device, within [`SUM_TOLERANCE`].
pub fn on_gpu(gpu: &Gpu, points: &Points, labels: &Labels) -> Result<Vec<PairSums>, GpuError> {
    if points.rows() != labels.rows() {
        return Err(GpuError::Unsuited("labels are for another number of rows"));
    }
    // Scaled coordinates are at most 1 away from the centre.
    let largest = (2.0 * (points.dims() as f32).sqrt()).log2().ceil().exp2();
    let steps_per_unit = STEPS / largest;
    let steps = pairs_on_gpu::sums(gpu, &SHADER, points, labels, steps_per_unit)?;
    let all = steps.by_row.iter().sum::<u64>() / 2;
    let unit = |steps: u64| steps as f64 / f64::from(steps_per_unit);
    let of_labelling = |(labelling, &within): (usize, &u64)| {
        let of_first = labels.sum_of_first(labelling, &steps.by_row);
        // What is 0 but for rounding must not come out negative.
        let across = of_first.saturating_sub(2 * within);
        let rest = all.saturating_sub(within).saturating_sub(across);
        finished(
            labels,
            labelling,
            points,
            [unit(within), unit(rest), unit(across)],
        )
    };
    Ok(steps
        .within
        .par_iter()
        .enumerate()
        .map(of_labelling)
        .collect())
}

fn finished(
    labels: &Labels,
    labelling: usize,
    points: &Points,
    [first, second, across]: [f64; 3],
) -> PairSums {
    let mut sums = PairSums::empty(labels, labelling);
    (sums.within, sums.across) = ([first, second], across);
    // A sample of fewer than two rows has no pair within; what the subtraction left is rounding.
    for (within, rows) in sums.within.iter_mut().zip(sums.rows) {
        *within = if rows < 2 { 0.0 } else { *within };
    }
    sums.across = if sums.rows.contains(&0) {
        0.0
    } else {
        sums.across
    };
    unscaled(sums, points)
}

fn unscaled(mut sums: PairSums, points: &Points) -> PairSums {
    // Beyond the range of numbers a distance is as large as there is.
    let unit = |scaled: f64| (scaled / points.scale()).min(f64::MAX);
    sums.within = sums.within.map(unit);
    sums.across = unit(sums.across);
    sums
}

/// The median distance over all pairs of rows of both samples, the mean of the two middle ones if pairs are even:
/// the usual width of an RBF kernel. `None` with fewer than two rows. In the unit of the data.
///
/// ```
/// use driftline::compute::pairwise_distance::{median, points};
/// let points = points(&[0.0, 1.0, 5.0], &[], 1).expect("rows of one number");
/// assert_eq!(median(&points), Some(4.0));
/// ```
pub fn median(points: &Points) -> Option<f64> {
    select(points, |digit| {
        Ok::<_, std::convert::Infallible>(counts(points, digit))
    })
    .unwrap_or_else(|never| match never {})
}

/// The same on a device, within [`MEDIAN_TOLERANCE`].
pub fn median_on_gpu(gpu: &Gpu, points: &Points) -> Result<Option<f64>, GpuError> {
    if points.rows() < 2 {
        return Ok(None);
    }
    let pipeline = gpu.pipeline(&SHADER, "count_distances")?;
    let on_device = pairs_on_gpu::upload(gpu, points)?;
    select(points, |digit| {
        pairs_on_gpu::counts(gpu, &pipeline, points, &on_device, digit)
    })
}

/// The definition: all distances, sorted.
pub fn median_plain(points: &Points) -> Option<f64> {
    let rows = points.rows();
    let mut squared: Vec<f32> = (0..rows)
        .flat_map(|i| (i + 1..rows).map(move |j| points.squared_distance(i, j)))
        .collect();
    squared.sort_unstable_by(f32::total_cmp);
    let last = squared.len().checked_sub(1)?;
    Some(middle(points, squared[last / 2], squared[last.div_ceil(2)]))
}

fn middle(points: &Points, low: f32, high: f32) -> f64 {
    let [low, high] = [low, high].map(|squared| f64::from(squared).sqrt() * 0.5 / points.scale());
    (low + high).min(f64::MAX)
}

/// Narrows the two middle ranks down, digit by digit; `count` is given prefix, shift and bits of a digit.
fn select<E>(
    points: &Points,
    mut count: impl FnMut([u32; 3]) -> Result<Vec<u64>, E>,
) -> Result<Option<f64>, E> {
    let rows = points.rows() as u64;
    let Some(last) = (rows * rows.saturating_sub(1) / 2).checked_sub(1) else {
        return Ok(None);
    };
    // Mostly both ranks are counted under the same prefix, then once.
    let mut counted: Vec<([u32; 3], Vec<u64>)> = Vec::new();
    let mut ranked = [0f32; 2];
    for (value, mut rank) in ranked.iter_mut().zip([last / 2, last.div_ceil(2)]) {
        let (mut prefix, mut shift) = (0u32, 31);
        for bits in DIGITS {
            shift -= bits;
            let digit = [prefix, shift, bits];
            let known = counted.iter().position(|(known, _)| *known == digit);
            let cells = match known {
                Some(at) => &counted[at].1,
                None => {
                    counted.push((digit, count(digit)?));
                    &counted[counted.len() - 1].1
                }
            };
            let mut cell = 0;
            while cell + 1 < cells.len() && rank >= cells[cell] {
                rank -= cells[cell];
                cell += 1;
            }
            prefix = prefix << bits | cell as u32;
        }
        *value = f32::from_bits(prefix);
    }
    Ok(Some(middle(points, ranked[0], ranked[1])))
}

fn counts(points: &Points, [prefix, shift, bits]: [u32; 3]) -> Vec<u64> {
    let rows = points.rows();
    let parts: Vec<Vec<u64>> = (0..PARTS)
        .into_par_iter()
        .map(|part| {
            let mut cells = vec![0; CELLS as usize];
            for strip in (part * LANES..rows).step_by(PARTS * LANES) {
                tile::each_squared(points, strip, |squared| {
                    let upper = squared.to_bits() >> shift;
                    if upper >> bits == prefix {
                        cells[(upper & ((1 << bits) - 1)) as usize] += 1;
                    }
                });
            }
            cells
        })
        .collect();
    parts
        .into_iter()
        .fold(vec![0; CELLS as usize], |mut all, part| {
            for (all, part) in all.iter_mut().zip(part) {
                *all += part;
            }
            all
        })
}

/// The root of a scaled squared distance.
struct Distance;

impl PairValue for Distance {
    type Unit = f32;
    type Total = f64;

    #[inline(always)]
    fn values(squared: &Lanes<f32>) -> Lanes<f32> {
        squared.map(f32::sqrt)
    }

    #[inline(always)]
    fn add(a: f32, b: f32) -> f32 {
        a + b
    }

    #[inline(always)]
    fn mask(value: f32, keep: u32) -> f32 {
        f32::from_bits(value.to_bits() & keep)
    }

    #[inline(always)]
    fn carry(total: f64, value: f32) -> f64 {
        total + f64::from(value)
    }

    #[inline(always)]
    fn join(a: f64, b: f64) -> f64 {
        a + b
    }
}
