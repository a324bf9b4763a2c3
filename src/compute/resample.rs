//! `resample`: what statistics on counts are like when nothing has changed, by drawing both sides anew.
//!
//! Rows are drawn from the pooled shares of a column's bins, as many as the reference and as many as the window have,
//! B times; each pair of draws is compared. The random words are a function of (row / 4, column, draw, side), so that
//! [`plain`], [`fast`] and [`on_gpu`] draw the same counts bit for bit, whoever draws what first. Distances are found
//! on the device in `f32`, elsewhere by [`crate::stats`]. Rows are independent here: blocks are the caller's business.

use rayon::prelude::*;

use super::device::{Gpu, GpuError, Shader};
use super::philox::{INCREMENTS, MULTIPLIERS, Philox};
use super::reductions;
use super::subgroups::{self, Forms};
use crate::stats::{chi_squared, jensen_shannon, kolmogorov_smirnov, l_infinity, psi};

/// The device's side.
pub static SHADER: Shader = Shader {
    name: "resample",
    parts: &[
        include_str!("../../shaders/resample.wgsl"),
        reductions::TEXT,
    ],
};

/// Its second form.
pub static WITH_SUBGROUPS: Shader = Shader {
    name: "resample_subgroups",
    parts: &[include_str!("../../shaders/resample.wgsl"), subgroups::TEXT],
};

/// Of which the faster one runs.
pub static FORMS: Forms = Forms {
    plain: &SHADER,
    subgroups: &WITH_SUBGROUPS,
};

pub const THREADS: u32 = 256;
/// Most bins of a column.
pub const BINS: u32 = 256;
/// Words of a pair's scores, of which [`SCORE_NAMES`] are used.
pub const SCORES: u32 = 8;
/// Stream of the generator for the reference; the window's is the next.
pub const STREAM: u32 = 0x7265_7361;
/// Below this, the device takes logarithms by their series.
pub const SERIES: f32 = 0.5;
/// Members of `Params`, a word each.
pub const PARAMS: [&str; 8] = [
    "columns",
    "reference_rows",
    "window_rows",
    "first_draw",
    "key_low",
    "key_high",
    "keep_counts",
    "unused",
];
pub(crate) const CONSTANTS: [u32; 4] =
    [MULTIPLIERS[0], MULTIPLIERS[1], INCREMENTS[0], INCREMENTS[1]];

/// Operations of a random word and of finding its bin, on a device that adds what one word's halves make.
const OPERATIONS: f64 = 100.0;

/// Most rows of both sides: an invocation of the device then draws fewer than 48,000 blocks.
pub const MAX_ROWS: u32 = 24_000_000;

/// The statistics, in the order of [`Scores`].
pub const SCORE_NAMES: [&str; 5] = ["psi", "jensen_shannon", "l_infinity", "chi_squared", "ks"];

/// How far a score of the device may lie from the `f64` one: relative, and for what is nearly 0. A share has 24 bits,
/// and a difference of nearly equal shares loses those they have in common: 10 of them with a million rows.
pub const SCORE_TOLERANCE: (f64, f64) = (1e-3, 1e-6);

/// What one draw of one column scores.
pub type Score = [f64; SCORE_NAMES.len()];

/// What is to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    reference_rows: u32,
    window_rows: u32,
    draws: u32,
    seed: u64,
    columns: Vec<Bins>,
}

/// A column's pooled shares.
#[derive(Debug, Clone, PartialEq)]
struct Bins {
    /// Bins that hold a row; the others are never drawn.
    occupied: Vec<u16>,
    bins: usize,
    /// Word k is the first that is drawn into occupied bin k + 1.
    thresholds: Vec<u32>,
}

/// Scores of all draws, column by column within a draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    pub columns: usize,
    pub values: Vec<Score>,
}

impl Plan {
    /// `draws` draws of `reference_rows` and `window_rows` rows from each column's pooled counts. `None` for more than
    /// [`BINS`] bins, more than [`MAX_ROWS`] rows, or pooled counts that add up to 2³² or more.
    pub fn new(
        columns: &[Vec<u64>],
        reference_rows: u32,
        window_rows: u32,
        draws: u32,
        seed: u64,
    ) -> Option<Self> {
        if u64::from(reference_rows) + u64::from(window_rows) > u64::from(MAX_ROWS) {
            return None;
        }
        let columns = columns
            .iter()
            .map(|counts| Bins::new(counts))
            .collect::<Option<_>>()?;
        Some(Self {
            reference_rows,
            window_rows,
            draws,
            seed,
            columns,
        })
    }

    /// Columns of the plan.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Rows of both sides.
    pub(crate) fn rows_of_a_draw(&self) -> f64 {
        f64::from(self.reference_rows) + f64::from(self.window_rows)
    }

    pub(crate) fn draws(&self) -> u32 {
        self.draws
    }

    /// Counts of both sides of one column in one draw.
    fn drawn(
        &self,
        draw: u32,
        column: usize,
        bin_of: impl Fn(&Bins, u32) -> usize,
    ) -> [Vec<u64>; 2] {
        let bins = &self.columns[column];
        let philox = Philox::new(self.seed);
        [
            (STREAM, self.reference_rows),
            (STREAM + 1, self.window_rows),
        ]
        .map(|(stream, rows)| {
            let mut occupied = vec![0u64; bins.occupied.len()];
            let rows = if occupied.is_empty() { 0 } else { rows };
            for block in 0..rows.div_ceil(4) {
                let words = philox.block([block, column as u32, draw, stream]);
                let left = (rows - 4 * block).min(4) as usize;
                for &word in &words[..left] {
                    occupied[bin_of(bins, word)] += 1;
                }
            }
            bins.spread(&occupied)
        })
    }
}

impl Bins {
    fn new(counts: &[u64]) -> Option<Self> {
        let total = counts
            .iter()
            .try_fold(0u64, |sum, &count| sum.checked_add(count))?;
        if counts.len() > BINS as usize || total > u64::from(u32::MAX) {
            return None;
        }
        let occupied: Vec<u16> = (0..)
            .zip(counts)
            .filter(|(_, count)| **count > 0)
            .map(|(bin, _)| bin)
            .collect();
        let mut below = 0;
        let thresholds = occupied
            .iter()
            .skip(1)
            .zip(&occupied)
            .map(|(_, &bin)| {
                below += counts[usize::from(bin)];
                // Between 1 and 2³² − 1, because both sides of the threshold hold rows, and fewer than 2³².
                ((u128::from(below) << 32) / u128::from(total)) as u32
            })
            .collect();
        Some(Self {
            occupied,
            bins: counts.len(),
            thresholds,
        })
    }

    /// Counts of occupied bins among all of them.
    fn spread(&self, occupied: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; self.bins];
        for (&bin, &count) in self.occupied.iter().zip(occupied) {
            counts[usize::from(bin)] = count;
        }
        counts
    }
}

fn score([reference, window]: &[Vec<u64>; 2]) -> Score {
    [
        psi::psi(reference, window),
        jensen_shannon::distance(reference, window),
        l_infinity::distance(reference, window),
        chi_squared::statistic(reference, window),
        kolmogorov_smirnov::ks(reference, window).distance,
    ]
}

/// The counts of one column in one draw, by the definition: a word's bin is how many thresholds are not above it.
pub fn plain_counts(plan: &Plan, draw: u32, column: usize) -> [Vec<u64>; 2] {
    plan.drawn(draw, column, |bins, word| {
        bins.thresholds
            .iter()
            .filter(|&&limit| limit <= word)
            .count()
    })
}

/// The definition.
pub fn plain(plan: &Plan) -> Scores {
    let values = (0..plan.draws)
        .flat_map(|draw| (0..plan.columns()).map(move |column| (draw, column)))
        .map(|(draw, column)| score(&plain_counts(plan, draw, column)))
        .collect();
    Scores {
        columns: plan.columns(),
        values,
    }
}

/// Upper bits of a word that a guide goes by.
const GUIDE_BITS: u32 = 10;

/// The same on all threads, bit for bit: a guide by the word's upper bits says where among the thresholds to look.
///
/// ```
/// use driftline::compute::resample::{Plan, fast};
/// let plan = Plan::new(&[vec![50, 50]], 1000, 1000, 200, 7).expect("within limits");
/// let scores = fast(&plan);
/// // Two bins: χ² is 1 on average.
/// let mean = scores.values.iter().map(|score| score[3]).sum::<f64>() / 200.0;
/// assert!((mean - 1.0).abs() < 0.4, "{mean}");
/// ```
pub fn fast(plan: &Plan) -> Scores {
    let guides: Vec<Vec<u8>> = plan
        .columns
        .iter()
        .map(|bins| {
            let first = |upper: u32| {
                let word = upper << (32 - GUIDE_BITS);
                bins.thresholds.partition_point(|&limit| limit <= word) as u8
            };
            (0..1 << GUIDE_BITS).map(first).collect()
        })
        .collect();
    let one = |index: usize| {
        let (draw, column) = (index / plan.columns(), index % plan.columns());
        let guide = &guides[column];
        let bin_of = |bins: &Bins, word: u32| {
            let mut bin = usize::from(guide[(word >> (32 - GUIDE_BITS)) as usize]);
            while bins.thresholds.get(bin).is_some_and(|&limit| limit <= word) {
                bin += 1;
            }
            bin
        };
        score(&plan.drawn(draw as u32, column, bin_of))
    };
    Scores {
        columns: plan.columns(),
        values: (0..plan.draws as usize * plan.columns())
            .into_par_iter()
            .map(one)
            .collect(),
    }
}

/// The same on a device: scores within [`SCORE_TOLERANCE`], from counts that are equal bit for bit.
pub fn on_gpu(gpu: &Gpu, plan: &Plan) -> Result<Scores, GpuError> {
    run(gpu, plan, false).map(|(scores, _)| scores)
}

/// For each draw and column the counts of both sides.
pub type Tables = Vec<[Vec<u64>; 2]>;

/// With [`on_gpu`]'s scores its counts.
pub fn on_gpu_with_counts(gpu: &Gpu, plan: &Plan) -> Result<(Scores, Tables), GpuError> {
    run(gpu, plan, true)
}

fn run(gpu: &Gpu, plan: &Plan, keep_counts: bool) -> Result<(Scores, Tables), GpuError> {
    let columns = plan.columns();
    let mut values = Vec::with_capacity(plan.draws as usize * columns);
    let mut counts = Vec::new();
    if columns == 0 || plan.draws == 0 {
        return Ok((Scores { columns, values }, counts));
    }
    if columns as u64 > u64::from(gpu.facts().max_workgroups_per_dimension) {
        return Err(GpuError::Unsuited(
            "more columns than a dispatch has workgroups",
        ));
    }
    let pipeline = gpu.pipeline(gpu.form(&FORMS), "main")?;
    let thresholds = gpu.upload("thresholds", &thresholds_of(plan))?;
    let uniform = gpu.zeros("params", PARAMS.len())?;
    let [low, high] = Philox::new(plan.seed).key();
    let kept = if keep_counts { 2 * BINS as usize } else { 0 };
    let room =
        gpu.facts().max_binding_bytes / 4 / columns as u64 / (kept as u64).max(u64::from(SCORES));
    let most = u64::from(gpu.facts().max_workgroups_per_dimension).min(room.max(1));
    let of_draw = columns as f64 * plan.rows_of_a_draw() * OPERATIONS;
    let first = gpu.first_step(of_draw, 1);
    gpu.in_steps(u64::from(plan.draws), first, |from, count| {
        let draws = count.min(most);
        let pairs = draws as usize * columns;
        let scores = gpu.zeros("scores", pairs * SCORES as usize)?;
        let counted = gpu.zeros("counts", pairs * kept)?;
        let group = gpu.bind(
            &pipeline,
            &[(0, &uniform), (1, &thresholds), (2, &scores), (3, &counted)],
        );
        let params = [
            columns as u32,
            plan.reference_rows,
            plan.window_rows,
            from as u32,
            low,
            high,
            u32::from(keep_counts),
            0,
        ];
        gpu.write(&uniform, &params);
        gpu.dispatch(&pipeline, &group, [columns as u32, draws as u32, 1])?;
        let words = gpu.download(&scores)?;
        let score = |words: &[u32]| std::array::from_fn(|at| f64::from(f32::from_bits(words[at])));
        values.extend(words.chunks_exact(SCORES as usize).map(score));
        for (pair, words) in gpu
            .download(&counted)?
            .chunks_exact(2 * BINS as usize)
            .enumerate()
        {
            let bins = &plan.columns[pair % columns];
            let side = |words: &[u32]| {
                bins.spread(
                    &words
                        .iter()
                        .map(|&count| u64::from(count))
                        .collect::<Vec<_>>(),
                )
            };
            let (reference, window) = words.split_at(BINS as usize);
            counts.push([side(reference), side(window)]);
        }
        Ok(draws)
    })?;
    Ok((Scores { columns, values }, counts))
}

/// By column: thresholds filled up with the largest word to one less than [`BINS`], then the number of occupied bins.
fn thresholds_of(plan: &Plan) -> Vec<u32> {
    let mut words = Vec::with_capacity(plan.columns() * BINS as usize);
    for (at, bins) in plan.columns.iter().enumerate() {
        words.extend(&bins.thresholds);
        words.resize((at + 1) * BINS as usize - 1, u32::MAX);
        words.push(bins.occupied.len() as u32);
    }
    words
}
