//! `histogram`: the cells of many columns at once, for backfill and for data that a device already has.
//!
//! Bit-equal to what the numeric profile counts: cell i is (edges[i−1], edges[i]], the outer cells are open, values
//! outside a declared domain count apart, and so do NaN and both infinities. WGSL has no `f64`: a number goes to the
//! device as its two words, turned so that their order as integers is the order of the numbers.

use rayon::prelude::*;

use super::device::{Gpu, GpuError, Shader};
use super::reductions;
use super::subgroups::{self, Forms};

/// The device's side.
pub static SHADER: Shader = Shader {
    name: "histogram",
    parts: &[
        include_str!("../../shaders/histogram.wgsl"),
        reductions::TEXT,
    ],
};

/// Its second form.
pub static WITH_SUBGROUPS: Shader = Shader {
    name: "histogram_subgroups",
    parts: &[
        include_str!("../../shaders/histogram.wgsl"),
        subgroups::TEXT,
    ],
};

/// Of which the faster one runs.
pub static FORMS: Forms = Forms {
    plain: &SHADER,
    subgroups: &WITH_SUBGROUPS,
};

/// Most edges of a column, as a layout has them: 256 cells.
pub const MAX_EDGES: u32 = 255;
/// Words of a column's counts: 256 cells, then what is no cell.
pub const STRIDE: u32 = 264;
pub const BELOW: u32 = 256;
pub const ABOVE: u32 = 257;
pub const NAN: u32 = 258;
pub const POSITIVE_INFINITY: u32 = 259;
pub const NEGATIVE_INFINITY: u32 = 260;
pub const THREADS: u32 = 256;
/// Rows that a workgroup counts before it adds to the column's counts.
pub const ROWS: u32 = 16_384;

/// Operations of a row of a column, about.
const OPERATIONS: f64 = 50.0;

/// Members of `Params`, a word each.
pub const PARAMS: [&str; 4] = ["columns", "rows", "first_part", "parts"];

/// A column: its values, its edges in ascending order, the domain it declares.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    pub values: &'a [f64],
    /// At most [`MAX_EDGES`], finite; those beyond are not looked at.
    pub edges: &'a [f64],
    /// Values below and above count apart; `None` for no bounds.
    pub domain: Option<[f64; 2]>,
}

/// How many values of a column are where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// One more than edges.
    pub cells: Vec<u64>,
    pub below: u64,
    pub above: u64,
    pub nan: u64,
    pub positive_infinity: u64,
    pub negative_infinity: u64,
}

impl Column<'_> {
    fn edges(&self) -> &[f64] {
        &self.edges[..self.edges.len().min(MAX_EDGES as usize)]
    }

    fn domain(&self) -> [f64; 2] {
        self.domain.unwrap_or([f64::NEG_INFINITY, f64::INFINITY])
    }
}

/// The definition: for each value, how many edges are smaller.
///
/// ```
/// use driftline::compute::histogram::{Column, plain};
/// let column = Column { values: &[0.0, 1.0, 1.5, f64::NAN], edges: &[0.0, 1.0], domain: None };
/// assert_eq!(plain(&[column])[0].cells, [1, 1, 1]);
/// ```
pub fn plain(columns: &[Column<'_>]) -> Vec<Counts> {
    let of_column = |column: &Column<'_>| {
        let [low, high] = column.domain();
        let mut counts = Counts {
            cells: vec![0; column.edges().len() + 1],
            ..Counts::default()
        };
        for &x in column.values {
            match x {
                x if x.is_nan() => counts.nan += 1,
                f64::INFINITY => counts.positive_infinity += 1,
                f64::NEG_INFINITY => counts.negative_infinity += 1,
                x if x < low => counts.below += 1,
                x if x > high => counts.above += 1,
                x => counts.cells[column.edges().iter().filter(|&&edge| edge < x).count()] += 1,
            }
        }
        counts
    };
    columns.iter().map(of_column).collect()
}

/// The same on all threads, by parts of columns and a binary search.
pub fn fast(columns: &[Column<'_>]) -> Vec<Counts> {
    let of_column = |column: &Column<'_>| {
        let parts = column.values.par_chunks(ROWS as usize).map(|values| {
            let mut words = [0; STRIDE as usize];
            let keys: Vec<u64> = column.edges().iter().map(|&edge| key(edge)).collect();
            let [low, high] = column.domain().map(key);
            for &x in values {
                words[place(x, &keys, low, high) as usize] += 1;
            }
            words
        });
        let sum = parts.reduce(
            || [0u64; STRIDE as usize],
            |mut all, part| {
                all.iter_mut()
                    .zip(part)
                    .for_each(|(all, part)| *all += part);
                all
            },
        );
        counts(&sum, column.edges().len())
    };
    columns.par_iter().map(of_column).collect()
}

/// The same on a device, bit for bit.
pub fn on_gpu(gpu: &Gpu, columns: &[Column<'_>]) -> Result<Vec<Counts>, GpuError> {
    let longest = columns
        .iter()
        .map(|column| column.values.len())
        .max()
        .unwrap_or(0);
    let mut sums = vec![[0u64; STRIDE as usize]; columns.len()];
    if longest == 0 {
        let edges = columns.iter().map(|column| column.edges().len());
        return Ok(sums
            .iter()
            .zip(edges)
            .map(|(sum, edges)| counts(sum, edges))
            .collect());
    }
    let pipeline = gpu.pipeline(gpu.form(&FORMS), "main")?;
    let facts = gpu.facts();
    let room = facts.max_binding_bytes.min(facts.max_buffer_bytes) / 8;
    // What fits of columns, and of rows if not even one column does; counts of a batch stay below 2³².
    let rows = longest.min(room.min(1 << 28) as usize);
    let batch = (room as usize / rows).clamp(1, facts.max_workgroups_per_dimension as usize);
    for (at, some) in columns.chunks(batch).enumerate() {
        let edge_words = gpu.upload("edges", &edges_of(some))?;
        for from in (0..longest).step_by(rows) {
            let counted = count_part(gpu, &pipeline, some, &edge_words, from, rows)?;
            for (sum, words) in sums[at * batch..]
                .iter_mut()
                .zip(counted.chunks_exact(STRIDE as usize))
            {
                sum.iter_mut()
                    .zip(words)
                    .for_each(|(sum, &word)| *sum += u64::from(word));
            }
        }
    }
    let edges = columns.iter().map(|column| column.edges().len());
    Ok(sums
        .iter()
        .zip(edges)
        .map(|(sum, edges)| counts(sum, edges))
        .collect())
}

/// Rows `from`.. of some columns.
fn count_part(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    columns: &[Column<'_>],
    edges: &super::device::Words,
    from: usize,
    rows: usize,
) -> Result<Vec<u32>, GpuError> {
    let part = |column: &Column<'_>| {
        let end = column.values.len().min(from + rows);
        column.values.get(from..end).map_or(0, <[f64]>::len)
    };
    let longest = columns.iter().map(part).max().unwrap_or(0);
    let mut words = Vec::with_capacity(columns.len() * longest * 2);
    for column in columns {
        let here = part(column);
        let values = column.values.get(from..from + here).unwrap_or(&[]);
        // Low word first, as devices have it and as every machine that has one.
        words.extend_from_slice(bytemuck::cast_slice(values));
        // The shader is told each column's rows; the rest is never read.
        words.resize(words.len() + (longest - here) * 2, 0);
    }
    let lengths: Vec<u32> = columns.iter().map(|column| part(column) as u32).collect();
    let values = gpu.upload("values", &words)?;
    let lengths = gpu.upload("lengths", &lengths)?;
    let counted = gpu.zeros("counts", columns.len() * STRIDE as usize)?;
    let uniform = gpu.zeros("params", PARAMS.len())?;
    let group = gpu.bind(
        pipeline,
        &[
            (0, &uniform),
            (1, &values),
            (2, edges),
            (3, &lengths),
            (4, &counted),
        ],
    );
    let parts = longest.div_ceil(ROWS as usize) as u64;
    let first = gpu.first_step(f64::from(ROWS) * columns.len() as f64 * OPERATIONS, 1);
    gpu.in_steps(parts, first, |from, count| {
        let count = count.min(u64::from(gpu.facts().max_workgroups_per_dimension));
        gpu.write(
            &uniform,
            &[
                columns.len() as u32,
                longest as u32,
                from as u32,
                count as u32,
            ],
        );
        gpu.dispatch(pipeline, &group, [count as u32, columns.len() as u32, 1])?;
        Ok(count)
    })?;
    gpu.download(&counted)
}

/// By column: number of edges, low, high, then the edges; keys of two words, the low word first.
fn edges_of(columns: &[Column<'_>]) -> Vec<u32> {
    let mut words = Vec::with_capacity(columns.len() * 2 * (MAX_EDGES as usize + 3));
    for column in columns {
        let [low, high] = column.domain().map(key);
        let keys = [column.edges().len() as u64, low, high].into_iter();
        let all = keys.chain(column.edges().iter().map(|&edge| key(edge)));
        let filled = all
            .chain(std::iter::repeat(u64::MAX))
            .take(MAX_EDGES as usize + 3);
        words.extend(filled.flat_map(|key| [key as u32, (key >> 32) as u32]));
    }
    words
}

fn counts(words: &[u64; STRIDE as usize], edges: usize) -> Counts {
    Counts {
        cells: words[..=edges].to_vec(),
        below: words[BELOW as usize],
        above: words[ABOVE as usize],
        nan: words[NAN as usize],
        positive_infinity: words[POSITIVE_INFINITY as usize],
        negative_infinity: words[NEGATIVE_INFINITY as usize],
    }
}

/// An integer that is in the order of numbers: −∞ first, then +∞; −0 and 0 are one.
fn key(x: f64) -> u64 {
    let bits = (x + 0.0).to_bits();
    match bits >> 63 {
        1 => !bits,
        _ => bits | 1 << 63,
    }
}

fn place(x: f64, edges: &[u64], low: u64, high: u64) -> u32 {
    if x.is_nan() {
        return NAN;
    }
    if x.is_infinite() {
        return if x > 0.0 {
            POSITIVE_INFINITY
        } else {
            NEGATIVE_INFINITY
        };
    }
    let key = key(x);
    match () {
        () if key < low => BELOW,
        () if key > high => ABOVE,
        () => edges.partition_point(|&edge| edge < key) as u32,
    }
}

#[cfg(test)]
#[path = "histogram_tests.rs"]
mod tests;
