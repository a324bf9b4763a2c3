//! `worst_slice`: where in a window errors or drift are concentrated, over all slices of one and of two features.
//!
//! Features come in bins, at most [`BINS`] of them (a caller folds rare categories into one). One pass over the rows
//! counts, for every pair of bins of every pair of features, rows and errors of the reference and the window; a feature
//! paired with itself gives the slices of one feature. What of that is more than chance, [`super::slice_ranking`] says.
//! Deliberately absent: slices of three features, and their names.

use rayon::prelude::*;

use super::device::{Gpu, GpuError, Shader};
use super::reductions;
use super::subgroups::{self, Forms};

/// The device's side.
pub static SHADER: Shader = Shader {
    name: "worst_slice",
    parts: &[
        include_str!("../../shaders/worst_slice.wgsl"),
        reductions::TEXT,
    ],
};

/// Its second form.
pub static WITH_SUBGROUPS: Shader = Shader {
    name: "worst_slice_subgroups",
    parts: &[
        include_str!("../../shaders/worst_slice.wgsl"),
        subgroups::TEXT,
    ],
};

/// Of which the faster one runs.
pub static FORMS: Forms = Forms {
    plain: &SHADER,
    subgroups: &WITH_SUBGROUPS,
};

pub const THREADS: u32 = 256;
/// Bins of a feature: a table of a pair then has 4 KiB, which any device has beside others.
pub const BINS: u32 = 16;
/// Words of a pair's table: bins of both, and four kinds of rows.
pub const CELLS: u32 = BINS * BINS * 4;
/// Rows of a part.
pub const ROWS: u32 = 16_384;
/// Operations of a row of a pair of features, about.
const OPERATIONS: f64 = 20.0;

/// Members of `Params`, a word each.
pub const PARAMS: [&str; 4] = ["rows", "features", "first_part", "pairs"];

/// Bits of a row's flag.
pub(super) const WINDOW: u8 = 1;
pub(super) const ERROR: u8 = 2;
/// Most features: their pairs are numbered by two half words, and a device's dispatch has 65,535 of them.
const MAX_FEATURES: usize = 256;

/// Rows of a reference and a window, by feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    rows: usize,
    /// For each feature, its bin of every row.
    features: Vec<Vec<u8>>,
    flags: Vec<u8>,
}

/// Tables of all pairs of features: each feature with itself, then with those after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    pub(super) features: usize,
    pub(super) tables: Vec<Vec<u64>>,
}

impl Rows {
    /// `features` holds the bin of each row, by feature; `is_window` and `is_error` are of rows. `None` if lengths
    /// differ, a bin is [`BINS`] or more, or there are too many features or rows to number.
    pub fn new(features: Vec<Vec<u8>>, is_window: &[bool], is_error: &[bool]) -> Option<Self> {
        let rows = is_window.len();
        let whole = is_error.len() == rows
            && rows < 1 << 31
            && features.len() <= MAX_FEATURES
            && features
                .iter()
                .all(|bins| bins.len() == rows && bins.iter().all(|&bin| u32::from(bin) < BINS));
        whole.then(|| Self {
            rows,
            features,
            flags: is_window
                .iter()
                .zip(is_error)
                .map(|(&window, &error)| u8::from(window) * WINDOW + u8::from(error) * ERROR)
                .collect(),
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn pairs(&self) -> usize {
        pairs(self.features.len()).count()
    }
}

/// Each feature with itself and those after it.
pub(super) fn pairs(features: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..features).flat_map(move |first| (first..features).map(move |second| (first, second)))
}

/// The definition: row by row, pair by pair.
pub fn plain(rows: &Rows) -> Counts {
    let mut tables = vec![vec![0u64; CELLS as usize]; rows.pairs()];
    for row in 0..rows.rows {
        for (table, (first, second)) in tables.iter_mut().zip(pairs(rows.features.len())) {
            let [a, b] = [first, second].map(|feature| u32::from(rows.features[feature][row]));
            table[((a * BINS + b) * 4 + u32::from(rows.flags[row])) as usize] += 1;
        }
    }
    Counts {
        features: rows.features.len(),
        tables,
    }
}

/// The same on all threads, pair by pair.
pub fn fast(rows: &Rows) -> Counts {
    let of_pair = |(first, second): (usize, usize)| {
        let mut table = vec![0u64; CELLS as usize];
        let columns = rows.features[first]
            .iter()
            .zip(&rows.features[second])
            .zip(&rows.flags);
        for ((&a, &b), &flag) in columns {
            let at = usize::from(a) << 6 | usize::from(b) << 2 | usize::from(flag);
            table[at % CELLS as usize] += 1;
        }
        table
    };
    let pairs: Vec<(usize, usize)> = pairs(rows.features.len()).collect();
    Counts {
        features: rows.features.len(),
        tables: pairs.into_par_iter().map(of_pair).collect(),
    }
}

/// The same on a device, bit for bit.
pub fn on_gpu(gpu: &Gpu, rows: &Rows) -> Result<Counts, GpuError> {
    let features = rows.features.len();
    let all: Vec<(usize, usize)> = pairs(features).collect();
    let mut tables = Vec::with_capacity(all.len());
    if rows.rows == 0 || all.is_empty() {
        tables.resize(all.len(), vec![0; CELLS as usize]);
        return Ok(Counts { features, tables });
    }
    let pipeline = gpu.pipeline(gpu.form(&FORMS), "main")?;
    let bins: Vec<u32> = rows
        .features
        .iter()
        .flat_map(|bins| packed(bins, 8))
        .collect();
    let bins = gpu.upload("bins", &bins)?;
    let flags = gpu.upload("flags", &packed(&rows.flags, 2))?;
    let uniform = gpu.zeros("params", PARAMS.len())?;
    let facts = gpu.facts();
    let room = facts.max_binding_bytes / 4 / u64::from(CELLS);
    let batch = room.clamp(1, u64::from(facts.max_workgroups_per_dimension)) as usize;
    let parts = rows.rows.div_ceil(ROWS as usize) as u64;
    for some in all.chunks(batch) {
        let numbers: Vec<u32> = some
            .iter()
            .map(|&(a, b)| a as u32 | (b as u32) << 16)
            .collect();
        let numbers = gpu.upload("pairs", &numbers)?;
        let counts = gpu.zeros("counts", some.len() * CELLS as usize)?;
        let buffers = [
            (0, &uniform),
            (1, &bins),
            (2, &flags),
            (3, &numbers),
            (4, &counts),
        ];
        let group = gpu.bind(&pipeline, &buffers);
        let first = gpu.first_step(f64::from(ROWS) * some.len() as f64 * OPERATIONS, 1);
        gpu.in_steps(parts, first, |from, count| {
            let count = count.min(u64::from(facts.max_workgroups_per_dimension));
            gpu.write(
                &uniform,
                &[
                    rows.rows as u32,
                    features as u32,
                    from as u32,
                    some.len() as u32,
                ],
            );
            gpu.dispatch(&pipeline, &group, [count as u32, some.len() as u32, 1])?;
            Ok(count)
        })?;
        let words = gpu.download(&counts)?;
        let table = |words: &[u32]| words.iter().map(|&count| u64::from(count)).collect();
        tables.extend(words.chunks_exact(CELLS as usize).map(table));
    }
    Ok(Counts { features, tables })
}

/// Values of `width` bits, the first in the lowest bits of the first word.
fn packed(values: &[u8], width: usize) -> Vec<u32> {
    let word = |values: &[u8]| {
        let places = values.iter().enumerate();
        places.fold(0, |word, (at, &value)| {
            word | u32::from(value) << (width * at)
        })
    };
    values.chunks(32 / width).map(word).collect()
}
