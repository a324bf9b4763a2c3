//! `rbf_mmd`: the maximum mean discrepancy with the RBF kernel, of the true labels and of B reshuffled ones, in one pass.
//!
//! k(x, y) = exp(−‖x − y‖² / 2σ²). A pair's kernel is rounded to a multiple of 2⁻²³, so that sums are sums of integers:
//! the same whatever their order, on every machine and backend that finds the same kernels.
//! [`plain`] is the definition, in `f64`; [`fast`] is what runs without a device (see [`super::tile`]).

use rayon::prelude::*;

use super::device::{Gpu, GpuError, Shader};
use super::labels::Labels;
use super::pair_sums::{PairSums, definition};
use super::pairs_on_gpu;
use super::points::{Points, Scale};
use super::tile::{self, Lanes, PairValue, Sums};

/// The device's side.
pub static SHADER: Shader = Shader {
    name: "rbf_mmd",
    parts: &[
        include_str!("../../shaders/tile.wgsl"),
        include_str!("../../shaders/pair_sums.wgsl"),
        include_str!("../../shaders/rbf_mmd.wgsl"),
    ],
};

/// Kernels are multiples of 2^−UNIT_BITS: the step of an `f32` between 1 and 2, which makes rounding one addition.
pub(crate) const UNIT_BITS: u32 = 23;

/// 2⁻ᵗ for t beyond is below half a step, 0. Also keeps the exponent below far from its ends.
pub(crate) const FARTHEST: f32 = 32.0;

/// Adding 1.5·2²³ rounds a small `f32` to the nearest integer, which then stands in the low bits.
pub(crate) const ROUNDER: f32 = 12_582_912.0;

/// 2⁻ᶠ on −½ … ½, interpolated at Chebyshev nodes with the first coefficient held at 1, so that equal points have
/// kernel 1: relative error 9.2·10⁻⁹, below the rounding of an `f32` (6·10⁻⁸).
pub(crate) const EXP2_NEGATIVE: [f32; 7] = [
    1.0,
    -std::f32::consts::LN_2,
    0.240_226_5,
    -0.055_503_57,
    0.009_618_083,
    -0.001_339_086_3,
    0.000_154_531_63,
];

/// How far a kernel of the fast path may lie from the `f64` one, apart from what `f32` coordinates cost: half a step
/// of rounding (2⁻²⁴), and the polynomial with its seven roundings (below 2⁻²¹ of a value that is at most 1).
pub const KERNEL_TOLERANCE: f64 = 6e-7;

/// Points scaled for a kernel of width σ: ‖x − y‖² / 2σ² becomes t with k = 2⁻ᵗ.
///
/// `first` and `second` hold `dims` numbers a row. `None` if they do not, or if `sigma` is not a positive number.
pub fn points(first: &[f64], second: &[f64], dims: usize, sigma: f64) -> Option<Points> {
    let scale = (std::f64::consts::LOG2_E / 2.0).sqrt() / sigma;
    Points::new(first, second, dims, Scale::By(scale))
}

/// The definition: every pair, in `f64` from the `f32` points on. `None` if labels are for another number of rows.
pub fn plain(points: &Points, labels: &Labels) -> Option<Vec<PairSums>> {
    if points.rows() != labels.rows() {
        return None;
    }
    Some(definition(points, labels, |t| (-t).exp2()))
}

/// The same on all threads, each kernel within [`KERNEL_TOLERANCE`]; bit-identical on every machine.
/// `None` if labels are for another number of rows.
///
/// ```
/// use driftline::compute::{labels::Labels, rbf_mmd};
/// let points = rbf_mmd::points(&[0.0, 1.0], &[2.0, 4.0], 1, 1.0).expect("rows of one number");
/// let sums = rbf_mmd::fast(&points, &Labels::of_rows(2, 2, 0, 0)).expect("as many labels as rows");
/// // exp(−½) + exp(−2) − ½·(exp(−2) + exp(−8) + exp(−½) + exp(−4.5))
/// assert!((sums[0].mmd2_unbiased().expect("two rows a side") - 0.365_211).abs() < 1e-6);
/// ```
pub fn fast(points: &Points, labels: &Labels) -> Option<Vec<PairSums>> {
    (points.rows() == labels.rows()).then(|| {
        let sums = tile::fast::<Rbf>(points, labels);
        of_labellings(&sums, labels)
    })
}

/// The same on a device. The sums of kernels are exact; a kernel may differ from [`fast`]'s by
/// [`KERNEL_TOLERANCE`], because a device may fuse multiplications with additions.
pub fn on_gpu(gpu: &Gpu, points: &Points, labels: &Labels) -> Result<Vec<PairSums>, GpuError> {
    if points.rows() != labels.rows() {
        return Err(GpuError::Unsuited("labels are for another number of rows"));
    }
    let steps = pairs_on_gpu::sums(gpu, &SHADER, points, labels, 0.0)?;
    Ok(of_labellings(
        &Sums {
            within_first: steps.within,
            by_row: steps.by_row,
        },
        labels,
    ))
}

/// From the pairs within the first sample and each row's own pairs follow the others: the rows of the first sample
/// have their inner pairs twice and those across once.
fn of_labellings(sums: &Sums<u64>, labels: &Labels) -> Vec<PairSums> {
    let all: u64 = sums.by_row.iter().sum::<u64>() / 2;
    let in_labelling = |(labelling, &within): (usize, &u64)| {
        let across = labels.sum_of_first(labelling, &sums.by_row) - 2 * within;
        finished(
            PairSums::empty(labels, labelling),
            [within, all - within - across, across],
        )
    };
    sums.within_first
        .par_iter()
        .enumerate()
        .map(in_labelling)
        .collect()
}

/// Steps to kernels. Sums of 2³¹ pairs are below 2⁵⁴ steps: the conversion loses nothing that matters.
pub(crate) fn finished(mut sums: PairSums, [first, second, across]: [u64; 3]) -> PairSums {
    let step = 1.0 / f64::from(1u32 << UNIT_BITS);
    sums.within = [first as f64 * step, second as f64 * step];
    sums.across = across as f64 * step;
    sums
}

/// The kernel of a scaled squared distance, in steps.
pub(crate) struct Rbf;

impl PairValue for Rbf {
    type Unit = u32;
    type Total = u64;

    #[inline(always)]
    fn values(squared: &Lanes<f32>) -> Lanes<u32> {
        let mut steps = [0; tile::LANES];
        for (steps, &t) in steps.iter_mut().zip(squared) {
            // Selects the bound for NaN too.
            let t = if t < FARTHEST { t } else { FARTHEST };
            let rounded = t + ROUNDER;
            let rest = t - (rounded - ROUNDER);
            let [c0, c1, c2, c3, c4, c5, c6] = EXP2_NEGATIVE;
            let power = c0
                + rest * (c1 + rest * (c2 + rest * (c3 + rest * (c4 + rest * (c5 + rest * c6)))));
            let whole = rounded.to_bits().wrapping_sub(ROUNDER.to_bits());
            // 2^−whole.
            let scale = f32::from_bits((127 << 23) - (whole << 23));
            // The last bits of 1 + k count steps of 2⁻²³.
            *steps = (1.0 + power * scale).to_bits() - 1f32.to_bits();
        }
        steps
    }

    #[inline(always)]
    fn add(a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    fn mask(value: u32, keep: u32) -> u32 {
        value & keep
    }

    #[inline(always)]
    fn carry(total: u64, value: u32) -> u64 {
        total + u64::from(value)
    }

    #[inline(always)]
    fn join(a: u64, b: u64) -> u64 {
        a + b
    }
}
