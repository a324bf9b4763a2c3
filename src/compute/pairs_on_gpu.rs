//! Kernels over pairs of rows on a device: tiles cut into dispatches, and what comes back.
//!
//! Everything is summed as integers, so that neither the length of a dispatch nor the number of slots shows in a result.

use super::device::{Gpu, GpuError, Shader, Words};
use super::labels::Labels;
use super::points::Points;

/// Rows and columns of a tile, and coordinates staged at a time: `tile.wgsl`.
pub const TILE_ROWS: u32 = 32;
pub const TILE_COLUMNS: u32 = 64;
pub const DEPTH: u32 = 8;
pub const THREADS: u32 = 256;
pub const PAIRS: u32 = 8;
/// Labellings that threads take at a time, and rows of a tile for each of them.
pub const LABELLINGS: u32 = 64;
pub const QUARTER: u32 = 8;
/// Cells of a count of distances.
pub const CELLS: u32 = 2048;

/// Members of `Params`, a word each.
pub const PARAMS: [&str; 12] = [
    "rows",
    "dims",
    "labellings",
    "slots",
    "first_slot",
    "first_step",
    "steps",
    "blocks",
    "prefix",
    "shift",
    "cell_bits",
    "steps_per_unit",
];

/// Workgroups that keep sums of their own: enough for a large device.
const SLOTS: u64 = 1024;
/// Labellings summed in one pass.
const PASS: usize = 2048;
/// Loop iterations of an invocation in one dispatch. Some drivers stop one in silence at 65,536, nested loops added up.
const ITERATIONS: u64 = 48_000;
/// Most rows: pairs of a count stay below 2³², and a tile's index below 2³².
const MAX_ROWS: usize = 92_000;

/// The parameters that change from dispatch to dispatch.
struct Params<'a> {
    points: &'a Points,
    labellings: usize,
    slots: u64,
    /// Of a count: prefix, shift, bits of a cell.
    digit: [u32; 3],
    steps_per_unit: f32,
}

impl Params<'_> {
    fn words(&self, first_slot: u64, first_step: u64, steps: u64) -> [u32; PARAMS.len()] {
        let [prefix, shift, cell_bits] = self.digit;
        [
            self.points.rows() as u32,
            padded_dims(self.points) as u32,
            self.labellings as u32,
            self.slots as u32,
            first_slot as u32,
            first_step as u32,
            steps as u32,
            blocks(self.points) as u32,
            prefix,
            shift,
            cell_bits,
            self.steps_per_unit.to_bits(),
        ]
    }
}

fn padded_dims(points: &Points) -> usize {
    points.dims().next_multiple_of(DEPTH as usize)
}

fn blocks(points: &Points) -> u64 {
    points.rows().div_ceil(TILE_COLUMNS as usize) as u64
}

/// Tiles of 32 × 64 that are numbered, some of which may not exist (`tile_of`).
fn tiles(points: &Points) -> u64 {
    2 * blocks(points).div_ceil(2) * (blocks(points) + 1)
}

/// Points on the device, rows filled up with zeros.
pub(crate) fn upload(gpu: &Gpu, points: &Points) -> Result<Words, GpuError> {
    if points.rows() > MAX_ROWS {
        return Err(GpuError::Unsuited(
            "more rows than the kernels over pairs can number",
        ));
    }
    let mut words = Vec::with_capacity(points.rows() * padded_dims(points));
    for row in 0..points.rows() {
        words.extend(points.row(row).iter().map(|x| x.to_bits()));
        words.resize((row + 1) * padded_dims(points), 0);
    }
    gpu.upload("points", &words)
}

/// For every labelling, and after them for the one in which all rows are of the first sample: the steps of pairs
/// within the first sample, and of pairs across.
pub(crate) fn sums(
    gpu: &Gpu,
    shader: &'static Shader,
    points: &Points,
    labels: &Labels,
    steps_per_unit: f32,
) -> Result<Vec<[u64; 2]>, GpuError> {
    if points.rows() < 2 {
        return Ok(vec![[0; 2]; labels.count() + 1]);
    }
    let pipeline = gpu.pipeline(shader, "main")?;
    let on_device = upload(gpu, points)?;
    let mut found = Vec::with_capacity(labels.count() + 1);
    while found.len() <= labels.count() {
        let from = found.len();
        let count = PASS.min(labels.count() + 1 - from);
        let limit = gpu.facts().max_binding_bytes / (4 * 16 * count as u64);
        let slots = SLOTS.min(tiles(points)).min(limit).max(1);
        let params = Params {
            points,
            labellings: count,
            slots,
            digit: [0; 3],
            steps_per_unit,
        };
        let label_words = gpu.upload("labels", &by_word(points, labels, from, count))?;
        let sums = gpu.zeros("sums", slots as usize * 4 * count * 4)?;
        let each = u64::from(QUARTER * 9) * count.div_ceil(LABELLINGS as usize) as u64;
        run(
            gpu,
            &pipeline,
            &params,
            &[&on_device, &label_words, &sums],
            each,
        )?;
        let words = gpu.download(&sums)?;
        let mut totals = vec![[0; 2]; count];
        for (at, four) in words.as_chunks::<4>().0.iter().enumerate() {
            let whole = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
            totals[at % count][0] += whole(four[0], four[1]);
            totals[at % count][1] += whole(four[2], four[3]);
        }
        found.extend(totals);
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
        labellings: 0,
        slots: SLOTS.min(tiles(points)),
        digit,
        steps_per_unit: 0.0,
    };
    let cells = gpu.zeros("cells", CELLS as usize)?;
    run_bound(gpu, pipeline, &params, &[(1, on_device), (4, &cells)], 16)?;
    Ok(gpu.download(&cells)?.into_iter().map(u64::from).collect())
}

fn run(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    params: &Params<'_>,
    buffers: &[&Words],
    iterations: u64,
) -> Result<(), GpuError> {
    let bound: Vec<(u32, &Words)> = (1..).zip(buffers.iter().copied()).collect();
    run_bound(gpu, pipeline, params, &bound, iterations)
}

/// All tiles, in dispatches that are short and stay below [`ITERATIONS`]; `iterations` are a tile's, its distances
/// apart.
fn run_bound(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    params: &Params<'_>,
    buffers: &[(u32, &Words)],
    iterations: u64,
) -> Result<(), GpuError> {
    let uniform = gpu.zeros("params", PARAMS.len())?;
    let bound: Vec<(u32, &Words)> = [(0, &uniform)]
        .into_iter()
        .chain(buffers.iter().copied())
        .collect();
    let group = gpu.bind(pipeline, &bound);
    let slots = params.slots;
    let total = tiles(params.points).div_ceil(slots) * slots;
    let of_tile = iterations + 2 * padded_dims(params.points) as u64 + 64;
    let most_steps = (ITERATIONS / of_tile).max(1);
    // A tile of a software device takes about a millisecond.
    gpu.in_steps(total, 16, |from, count| {
        let (first_slot, first_step) = (from % slots, from / slots);
        let (groups, steps) = match first_slot == 0 && count >= slots {
            true => (slots, (count / slots).min(most_steps)),
            false => (count.min(slots - first_slot), 1),
        };
        gpu.write(&uniform, &params.words(first_slot, first_step, steps));
        gpu.dispatch(pipeline, &group, [groups as u32, 1, 1])?;
        Ok(groups * steps)
    })
}

/// The bits of labellings `from`.. and, past their end, of one in which every row is of the first sample: word by word
/// of rows, two words a block of columns, for each by labelling.
fn by_word(points: &Points, labels: &Labels, from: usize, count: usize) -> Vec<u32> {
    let words = 2 * blocks(points) as usize;
    let mut by_word = vec![0; words * count];
    for labelling in from..from + count {
        for word in 0..labels.words() {
            let bits = match labels.bits().get(labelling * labels.words() + word) {
                Some(&bits) => bits,
                None => u32::MAX,
            };
            by_word[word * count + labelling - from] = bits;
        }
    }
    by_word
}
