//! Sums over all pairs of rows, for many labellings at once, without a stored matrix.
//!
//! Both statistics on pairs, the RBF kernel's and the distance's, need for every labelling the sum of a value over the
//! pairs within the first sample, within the second, and across. The fast path goes through the upper triangle in
//! strips of [`LANES`] rows:
//!
//! 1. Squared distances of the strip to a few columns, [`LANES`] rows at a time (differences, not ‖x‖² + ‖y‖² − 2xy,
//!    which cancels for close points and is ∞ − ∞ for far ones), then the pair's value.
//! 2. A labelling picks columns, and wants the sum of what it picked. Columns are taken in groups of [`GROUP`]; all
//!    2^GROUP sums of a group are made once, each from a smaller one by one addition, and every labelling looks its
//!    own up (the "four Russians"). 100 labellings so cost 27 additions a pair instead of 100 multiply-adds.
//! 3. What a labelling picked is masked with the labels of the strip's rows and added to its total.
//!
//! Lanes are arrays, so that the compiler vectorises without being told; no result depends on how wide it does, and
//! nothing is contracted into a fused multiply-add: **the bits are the same on every machine and for any number of
//! threads**. Memory is O(rows · dims) and O(labellings) a thread.

use rayon::prelude::*;

use super::labels::Labels;
use super::points::Points;

/// Rows of a strip: two AVX2 registers, four of SSE2.
pub(crate) const LANES: usize = 16;
/// Columns whose subset sums are looked up together. 64 sums + B look-ups for 6 columns is the least for B = 100 … 200.
const GROUP: usize = 6;
const SUBSETS: usize = 1 << GROUP;
/// Groups tabulated at a time: 4 tables of 4 KiB leave half of a first-level cache of 32 KiB to the labellings.
const GROUPS: usize = 4;
const COLUMNS: usize = GROUP * GROUPS;
/// Chunks of columns after which sums of a labelling are carried into wide totals: at most 10 · 24 values of at most
/// 2²³ stay below 2³², and 240 floats lose at most 8 bits.
const CHUNKS: usize = 10;
/// Most parts the triangle is cut into. More than threads, so that they end together; a constant, so that float sums
/// have one order.
const PARTS: usize = 64;

pub(crate) type Lanes<T> = [T; LANES];

/// A pair's value as a function of the scaled squared distance, and how such values add up.
pub(crate) trait PairValue: Sync {
    /// What a value is while few are added.
    type Unit: Copy + Default + Send + Sync;
    /// What they add up to.
    type Total: Copy + Default + Send + Sync;

    /// The pairs' values for squared distances. Never asked for a row with itself.
    fn values(squared: &Lanes<f32>) -> Lanes<Self::Unit>;
    fn add(a: Self::Unit, b: Self::Unit) -> Self::Unit;
    /// `value` if `keep` is all ones, zero if it is 0.
    fn mask(value: Self::Unit, keep: u32) -> Self::Unit;
    fn carry(total: Self::Total, value: Self::Unit) -> Self::Total;
    fn join(a: Self::Total, b: Self::Total) -> Self::Total;
}

/// For each labelling, what its pairs add up to; and for each row, what its pairs do.
pub(crate) struct Sums<T> {
    /// Pairs of which both rows are of the first sample, by labelling.
    pub within_first: Vec<T>,
    /// All pairs of a row, with any other row.
    pub by_row: Vec<T>,
}

/// Every pair, every labelling. `labels` are for as many rows as there are points.
pub(crate) fn fast<V: PairValue>(points: &Points, labels: &Labels) -> Sums<V::Total> {
    let rows = points.rows();
    let strips = rows.div_ceil(LANES);
    let parts = PARTS.min(strips);
    let subsets = subsets_of_columns(labels, rows);
    let parts: Vec<Sums<V::Total>> = (0..parts)
        .into_par_iter()
        .map(|part| {
            let mut walk = Walk::<V>::new(points, labels, &subsets);
            // Every PARTS-th strip: long strips and short ones alike.
            for strip in (part..strips).step_by(parts) {
                walk.strip(strip * LANES);
            }
            walk.sums
        })
        .collect();
    let mut sums = Sums {
        within_first: vec![V::Total::default(); labels.count()],
        by_row: vec![V::Total::default(); rows],
    };
    for part in &parts {
        join::<V>(&mut sums.within_first, &part.within_first);
        join::<V>(&mut sums.by_row, &part.by_row);
    }
    sums
}

fn join<V: PairValue>(all: &mut [V::Total], part: &[V::Total]) {
    for (all, part) in all.iter_mut().zip(part) {
        *all = V::join(*all, *part);
    }
}

/// Which columns of a group each labelling picks: chunk by chunk, in a chunk by labelling, for that by group.
fn subsets_of_columns(labels: &Labels, rows: usize) -> Vec<[u8; GROUPS]> {
    let mut subsets = Vec::with_capacity(rows.div_ceil(COLUMNS) * labels.count());
    for chunk in (0..rows).step_by(COLUMNS) {
        for labelling in 0..labels.count() {
            subsets.push(std::array::from_fn(|group| {
                labels.slice(labelling, chunk + group * GROUP, GROUP)
            }));
        }
    }
    subsets
}

/// One thread's way through some strips.
struct Walk<'a, V: PairValue> {
    points: &'a Points,
    labels: &'a Labels,
    subsets: &'a [[u8; GROUPS]],
    sums: Sums<V::Total>,
    /// The strip's rows, coordinate by coordinate.
    strip: Vec<Lanes<f32>>,
    /// Values of the columns of a chunk.
    values: [Lanes<V::Unit>; COLUMNS],
    /// Sums of all subsets of each group.
    tables: Box<[[Lanes<V::Unit>; SUBSETS]; GROUPS]>,
    /// What each labelling picked and is not carried yet.
    picked: Vec<Lanes<V::Unit>>,
    totals: Vec<Lanes<V::Total>>,
}

impl<'a, V: PairValue> Walk<'a, V> {
    fn new(points: &'a Points, labels: &'a Labels, subsets: &'a [[u8; GROUPS]]) -> Self {
        Self {
            points,
            labels,
            subsets,
            sums: Sums {
                within_first: vec![V::Total::default(); labels.count()],
                by_row: vec![V::Total::default(); points.rows()],
            },
            strip: vec![[0.0; LANES]; points.dims()],
            values: [[V::Unit::default(); LANES]; COLUMNS],
            tables: Box::new([[[V::Unit::default(); LANES]; SUBSETS]; GROUPS]),
            picked: vec![[V::Unit::default(); LANES]; labels.count()],
            totals: vec![[V::Total::default(); LANES]; labels.count()],
        }
    }

    /// Pairs of the rows `top`.. with all columns to their right.
    fn strip(&mut self, top: usize) {
        let rows = self.points.rows();
        for (dim, lanes) in self.strip.iter_mut().enumerate() {
            // Rows past the end repeat the last one; their pairs are masked.
            *lanes = std::array::from_fn(|lane| self.points.row((top + lane).min(rows - 1))[dim]);
        }
        let mut by_row = [V::Total::default(); LANES];
        let mut pending = 0;
        for chunk in (top / COLUMNS..).take_while(|chunk| chunk * COLUMNS < rows) {
            self.fill(top, chunk * COLUMNS);
            let chunk_sum = self.count_columns(chunk * COLUMNS);
            for (total, value) in by_row.iter_mut().zip(chunk_sum) {
                *total = V::carry(*total, value);
            }
            self.tabulate();
            self.pick(chunk);
            pending += 1;
            if pending == CHUNKS {
                self.carry(top);
                pending = 0;
            }
        }
        self.carry(top);
        for (sum, lanes) in self.sums.within_first.iter_mut().zip(&mut self.totals) {
            for total in lanes {
                *sum = V::join(*sum, std::mem::take(total));
            }
        }
        for (sum, row) in self.sums.by_row[top..].iter_mut().zip(by_row) {
            *sum = V::join(*sum, row);
        }
    }

    /// The values of a chunk's columns, zero where a pair is not of the upper triangle.
    fn fill(&mut self, top: usize, left: usize) {
        let rows = self.points.rows();
        for at in (0..COLUMNS).step_by(2) {
            let column = |column: usize| self.points.row(column.min(rows - 1));
            let both = squared(&self.strip, column(left + at), column(left + at + 1));
            self.values[at] = V::values(&both[0]);
            self.values[at + 1] = V::values(&both[1]);
        }
        if left < top + LANES || left + COLUMNS > rows || top + LANES > rows {
            for (at, lanes) in self.values.iter_mut().enumerate() {
                let column = left + at;
                for (lane, value) in lanes.iter_mut().enumerate() {
                    let above = top + lane < column && column < rows;
                    *value = V::mask(*value, u32::from(above).wrapping_neg());
                }
            }
        }
    }

    /// Adds the columns' sums to their rows' and gives the rows' own.
    fn count_columns(&mut self, left: usize) -> Lanes<V::Unit> {
        let mut of_rows = [V::Unit::default(); LANES];
        for (at, lanes) in self.values.iter().enumerate() {
            of_rows = added::<V>(&of_rows, lanes);
            let mut halves = *lanes;
            let mut width = LANES;
            while width > 1 {
                width /= 2;
                for lane in 0..width {
                    halves[lane] = V::add(halves[lane], halves[lane + width]);
                }
            }
            if let Some(sum) = self.sums.by_row.get_mut(left + at) {
                *sum = V::carry(*sum, halves[0]);
            }
        }
        of_rows
    }

    fn tabulate(&mut self) {
        let groups = self.values.as_chunks::<GROUP>().0;
        for (table, columns) in self.tables.iter_mut().zip(groups) {
            for (bit, column) in columns.iter().enumerate() {
                let (smaller, larger) = table.split_at_mut(1 << bit);
                for (without, with) in smaller.iter().zip(larger) {
                    *with = added::<V>(without, column);
                }
            }
        }
    }

    fn pick(&mut self, chunk: usize) {
        let labellings = self.labels.count();
        let subsets = &self.subsets[chunk * labellings..][..labellings];
        for (picked, subsets) in self.picked.iter_mut().zip(subsets) {
            let mut sum = *picked;
            for (table, &subset) in self.tables.iter().zip(subsets) {
                sum = added::<V>(&sum, &table[usize::from(subset) % SUBSETS]);
            }
            *picked = sum;
        }
    }

    /// Moves what was picked into the totals, for rows that are themselves of the first sample.
    fn carry(&mut self, top: usize) {
        for (labelling, (picked, totals)) in
            self.picked.iter_mut().zip(&mut self.totals).enumerate()
        {
            let bits = u16::from_le_bytes([
                self.labels.slice(labelling, top, 8),
                self.labels.slice(labelling, top + 8, 8),
            ]);
            for (lane, (value, total)) in picked.iter_mut().zip(totals).enumerate() {
                let keep = u32::from(bits >> lane & 1).wrapping_neg();
                *total = V::carry(*total, V::mask(*value, keep));
                *value = V::Unit::default();
            }
        }
    }
}

#[inline(always)]
fn added<V: PairValue>(a: &Lanes<V::Unit>, b: &Lanes<V::Unit>) -> Lanes<V::Unit> {
    let mut sum = *a;
    for (sum, b) in sum.iter_mut().zip(b) {
        *sum = V::add(*sum, *b);
    }
    sum
}

/// Squared distances of a strip to two columns, in the order of the coordinates.
#[inline(always)]
fn squared(strip: &[Lanes<f32>], a: &[f32], b: &[f32]) -> [Lanes<f32>; 2] {
    let (mut to_a, mut to_b) = ([0.0; LANES], [0.0; LANES]);
    for ((lanes, &a), &b) in strip.iter().zip(a).zip(b) {
        for lane in 0..LANES {
            let difference = lanes[lane] - a;
            to_a[lane] += difference * difference;
        }
        for lane in 0..LANES {
            let difference = lanes[lane] - b;
            to_b[lane] += difference * difference;
        }
    }
    [to_a, to_b]
}

/// Squared distances of the rows `top`.. of a strip to all columns to their right.
pub(crate) fn each_squared(points: &Points, top: usize, mut each: impl FnMut(f32)) {
    let rows = points.rows();
    let strip: Vec<Lanes<f32>> = (0..points.dims())
        .map(|dim| std::array::from_fn(|lane| points.row((top + lane).min(rows - 1))[dim]))
        .collect();
    for left in (top + 1..rows).step_by(2) {
        let both = squared(
            &strip,
            points.row(left),
            points.row((left + 1).min(rows - 1)),
        );
        for (column, lanes) in (left..rows.min(left + 2)).zip(both) {
            let above = LANES.min(column - top).min(rows - top);
            lanes[..above].iter().for_each(|&squared| each(squared));
        }
    }
}
