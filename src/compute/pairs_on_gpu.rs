//! Kernels over pairs of rows on a device: tiles cut into dispatches, and what comes back.
//!
//! Everything is summed as integers, so that neither the length of a dispatch nor the number of workgroups shows in a
//! result.

use rayon::prelude::*;

use super::device::{Gpu, GpuError, Shader, Words};
use super::labels::Labels;
use super::points::Points;

/// Rows of a block, and coordinates staged at a time: `tile.wgsl`.
pub const BLOCK: u32 = 64;
pub const DEPTH: u32 = 8;
pub const THREADS: u32 = 256;
/// Quadruples of rows in a block, and in what is staged of one.
pub const QUADS: u32 = BLOCK / 4;
pub const STAGED: u32 = QUADS * DEPTH;
/// Small blocks tabulated at a time, words of one's sums, rounds of a tile, words of a block's labels:
/// `pair_sums.wgsl`.
pub const SMALL_BLOCKS: u32 = 8;
pub const SUBSETS: u32 = 256 + 16;
pub const ROUNDS: u32 = QUADS * QUADS / SMALL_BLOCKS;
pub const BLOCK_WORDS: u32 = BLOCK / 32;
/// Cells of a count of distances.
pub const CELLS: u32 = 2048;

/// Members of `Params`, a word each.
pub const PARAMS: [&str; 16] = [
    "rows",
    "dims",
    "labellings",
    "lanes",
    "batches",
    "first_tile",
    "groups",
    "steps",
    "blocks",
    "prefix",
    "shift",
    "cell_bits",
    "steps_per_unit",
    "unused_1",
    "unused_2",
    "unused_3",
];

/// Workgroups of a dispatch: several for each multiprocessor of a large device, which then end together.
const GROUPS: u64 = 8192;
/// Labellings summed in one pass: four batches of a workgroup's threads.
const PASS: usize = 4 * THREADS as usize;
/// Loop iterations of an invocation in one dispatch. Some drivers stop one in silence at 65,536, nested loops added up.
const ITERATIONS: u64 = 48_000;
/// Those of a tile besides its coordinates: rounds, quadruples of a row, and some to spare.
const TILE_ITERATIONS: u64 = 64;
/// Most rows: pairs of a count stay below 2³².
const MAX_ROWS: usize = 92_000;
/// Tiles of the first dispatch: on a device in software one takes milliseconds.
const FIRST_IN_SOFTWARE: u64 = 4;

/// The parameters that change from dispatch to dispatch.
struct Params<'a> {
    points: &'a Points,
    shape: Shape,
    /// Of a count: prefix, shift, bits of a cell.
    digit: [u32; 3],
    steps_per_unit: f32,
}

/// How labellings are laid out.
#[derive(Debug, Clone, Copy)]
struct Shape {
    lanes: u32,
    batches: u32,
}

impl Shape {
    fn of(labellings: usize) -> Self {
        let lanes = match labellings <= THREADS as usize / 2 {
            true => THREADS / 2,
            false => THREADS,
        };
        Self {
            lanes,
            batches: labellings.div_ceil(lanes as usize).max(1) as u32,
        }
    }

    /// Labellings, filled up.
    fn labellings(self) -> usize {
        (self.lanes * self.batches) as usize
    }
}

impl Params<'_> {
    fn words(&self, first_tile: u64, groups: u64, steps: u64) -> [u32; PARAMS.len()] {
        let [prefix, shift, cell_bits] = self.digit;
        [
            self.points.rows() as u32,
            padded_dims(self.points) as u32,
            self.shape.labellings() as u32,
            self.shape.lanes,
            self.shape.batches,
            first_tile as u32,
            groups as u32,
            steps as u32,
            blocks(self.points) as u32,
            prefix,
            shift,
            cell_bits,
            self.steps_per_unit.to_bits(),
            0,
            0,
            0,
        ]
    }
}

/// What comes back, in steps.
pub(crate) struct Steps {
    /// Of the pairs within the first sample, by labelling.
    pub within: Vec<u64>,
    /// Of all pairs of a row, by row.
    pub by_row: Vec<u64>,
}

fn padded_dims(points: &Points) -> usize {
    points.dims().next_multiple_of(DEPTH as usize)
}

fn blocks(points: &Points) -> u64 {
    points.rows().div_ceil(BLOCK as usize) as u64
}

/// Tiles that are numbered, some of which may not exist (`tile_of`).
fn tiles(points: &Points) -> u64 {
    blocks(points).div_ceil(2) * (blocks(points) + 1)
}

/// Points on the device: block by block of rows, in a block by coordinate, filled up with zeros.
pub(crate) fn upload(gpu: &Gpu, points: &Points) -> Result<Words, GpuError> {
    if points.rows() > MAX_ROWS {
        return Err(GpuError::Unsuited(
            "more rows than the kernels over pairs can number",
        ));
    }
    let (block, dims) = (BLOCK as usize, padded_dims(points));
    let mut words = vec![0; blocks(points) as usize * dims * block];
    words
        .par_chunks_mut(dims * block)
        .enumerate()
        .for_each(|(at, words)| {
            let rows = at * block..points.rows().min((at + 1) * block);
            for (place, row) in rows.enumerate() {
                for (dim, x) in points.row(row).iter().enumerate() {
                    words[dim * block + place] = x.to_bits();
                }
            }
        });
    gpu.upload("points", &words)
}

/// For every labelling the steps of pairs within the first sample, for every row those of its pairs.
pub(crate) fn sums(
    gpu: &Gpu,
    shader: &'static Shader,
    points: &Points,
    labels: &Labels,
    steps_per_unit: f32,
) -> Result<Steps, GpuError> {
    let mut found = Steps {
        within: vec![0; labels.count()],
        by_row: vec![0; points.rows()],
    };
    if points.rows() < 2 {
        return Ok(found);
    }
    let pipeline = gpu.pipeline(shader, "main")?;
    let on_device = upload(gpu, points)?;
    for from in (0..labels.count()).step_by(PASS) {
        let count = PASS.min(labels.count() - from);
        let params = Params {
            points,
            shape: Shape::of(count),
            digit: [0; 3],
            steps_per_unit,
        };
        let bits = by_word(points, labels, from, count, params.shape.labellings());
        let bits = gpu.upload("labels", &bits)?;
        let within = gpu.zeros("within", 2 * params.shape.labellings())?;
        let by_row = gpu.zeros("by_row", 2 * (blocks(points) * u64::from(BLOCK)) as usize)?;
        run(
            gpu,
            &pipeline,
            &params,
            &[(1, &on_device), (2, &bits), (3, &within), (4, &by_row)],
        )?;
        let whole = |two: &[u32; 2]| u64::from(two[0]) | u64::from(two[1]) << 32;
        let read = |words: &Words, into: &mut [u64]| {
            let words = gpu.download(words)?;
            let sums = words.as_chunks::<2>().0.iter().map(whole);
            into.iter_mut()
                .zip(sums)
                .for_each(|(into, sum)| *into = sum);
            Ok::<_, GpuError>(())
        };
        read(&within, &mut found.within[from..from + count])?;
        // The same in every pass.
        read(&by_row, &mut found.by_row)?;
    }
    Ok(found)
}

/// How many pairs have a squared distance whose bits above `shift + cell_bits` are `prefix`, by the bits below.
pub(crate) fn counts(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    points: &Points,
    on_device: &Words,
    digit: [u32; 3],
) -> Result<Vec<u64>, GpuError> {
    let params = Params {
        points,
        shape: Shape::of(0),
        digit,
        steps_per_unit: 0.0,
    };
    let cells = gpu.zeros("cells", CELLS as usize)?;
    run(gpu, pipeline, &params, &[(1, on_device), (5, &cells)])?;
    Ok(gpu.download(&cells)?.into_iter().map(u64::from).collect())
}

/// All tiles, in dispatches that are short and stay below [`ITERATIONS`].
fn run(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    params: &Params<'_>,
    buffers: &[(u32, &Words)],
) -> Result<(), GpuError> {
    let uniform = gpu.zeros("params", PARAMS.len())?;
    let bound: Vec<(u32, &Words)> = [(0, &uniform)]
        .into_iter()
        .chain(buffers.iter().copied())
        .collect();
    let group = gpu.bind(pipeline, &bound);
    let dims = padded_dims(params.points) as u64;
    let most_steps = (ITERATIONS / (dims + TILE_ITERATIONS)).max(1);
    let of_pair = 3.0 * dims as f64 + 2.0 * params.shape.labellings() as f64;
    let first = gpu.first_step(f64::from(BLOCK * BLOCK) * of_pair, FIRST_IN_SOFTWARE);
    let widest = GROUPS.min(gpu.widest());
    gpu.in_steps(tiles(params.points), first, |from, count| {
        let groups = count.min(widest);
        let steps = (count / groups).min(most_steps);
        gpu.write(&uniform, &params.words(from, groups, steps));
        gpu.dispatch(pipeline, &group, [groups as u32, 1, 1])?;
        Ok(groups * steps)
    })
}

/// The bits of labellings `from`.. : word by word of rows, for each by labelling, filled up to `width` of them.
fn by_word(points: &Points, labels: &Labels, from: usize, count: usize, width: usize) -> Vec<u32> {
    let words = (blocks(points) * u64::from(BLOCK_WORDS)) as usize;
    let mut by_word = vec![0; words * width];
    by_word
        .par_chunks_mut(width)
        .enumerate()
        .take(labels.words())
        .for_each(|(word, bits)| {
            for (at, bits) in bits.iter_mut().take(count).enumerate() {
                *bits = labels.bits()[(from + at) * labels.words() + word];
            }
        });
    by_word
}
