//! Labels exchanged: the null of a categorical column whose rows count as independent.
//!
//! A reference chooses its own bins: the categories that it met have one, as many as the layout has room for, and all
//! others are *unseen*. That is luck in part, and a truth that is estimated from the reference alone cannot know what the
//! reference missed, nor which categories are like others but for luck. So both sides are asked: under no drift with
//! independent rows the labels of the pooled rows could have fallen in any way, so tables with the margins of both sides
//! are drawn by *category*, and for each of them bins are chosen anew, by its own reference, exactly as `stats::bins`
//! chooses them.
//!
//! Exact for every number of rows, as far as the categories are known. Those of the layout are. Texts outside the layout
//! are a category each, and of these a profile keeps the counts of some, a fair sample of the different texts (see
//! `profile::distinct`): where they are all of them nothing is left open, else the sizes of the others are supposed (see
//! `split`). In a closed domain other texts are no categories: a row of them is unseen whichever side it is on.
//! So are null and wrong type bins of their own, which nobody chooses.
//!
//! What rows drawn from the reference alone would say instead, at a nominal 5 %, both sides of 1,000 rows: with a hundred
//! categories, shares in proportion to 1/k, PSI spoke in 0.5 % of quiet windows and the largest change of a share in 5.5 %;
//! with two hundred in 0 and 8.5 %. Of a hundred rows beside windows of a thousand PSI spoke in 49 %.
//!
//! **Invariant:** a function of counts, level and seed. A value exceeds its threshold where, and only where, its p-value is
//! at most the level. Rows count as independent: where blocks of the reference know better, this null is not asked (see
//! `null`).

use std::cmp::Reverse;

use rand_pcg::Pcg64Mcg;

use super::null::draws_for;
use super::sequential::{Drawn, Sequential};
use super::shuffle;
use crate::profile::distinct::lot;
use crate::profile::layout::MAX_CATEGORIES;
use crate::profile::{CategoricalCells, CategoricalProfile};
use crate::stats::Statistic;
use crate::stats::bins::{Expected, left_out};

/// Bins after those of the categories: null, wrong type, unseen.
const SPECIAL: usize = 3;
/// Most categories that rows outside the layout are split into where they are not all known: every one costs time in every
/// draw. Where there are more the pieces are larger, and serve only a reference that is smaller than the window.
const MOST_OUTSIDE: usize = 8_192;
/// A reference that is no smaller than the window and has so many rows for each of its categories knows them well enough:
/// rows are drawn from it once for all windows. (Two hundred and fifty categories in proportion to 1/k, 20,000 rows
/// beside windows of 2,000: scores of quiet windows exceeded a nominal 5 % in 2 to 5 %.)
const MANY_ROWS: u64 = 50;
/// Most categories times draws, about three seconds of one core for a window that drifts. Above it rows are drawn from the
/// reference, unless it is smaller than the window.
const MOST_WORK: u64 = 20_000_000;

/// The rows of both sides by category.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pool {
    /// By category, none of them empty, then null, wrong type, and what can have no category.
    rows: Vec<u64>,
    window_rows: u64,
    /// Which categories a reference can have bins for.
    room: Room,
    /// How many categories a reference has to meet for nothing new to come; `None` where something always can.
    complete: Option<usize>,
    known: Known,
}

/// Which categories a reference can tell apart; what it met beyond them is unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// As many as a layout has room for, those that it met most.
    Most,
    /// The first so many of the pool: a layout that it did not choose.
    First(usize),
}

impl Pool {
    /// Where a reference that nothing is known of but its rows says too little by itself, at this level; `is_alone`: its
    /// rows count as independent because nothing is known.
    pub fn of(
        cells: &CategoricalCells,
        reference: &CategoricalProfile,
        window: &CategoricalProfile,
        is_alone: bool,
        level: f64,
    ) -> Option<Self> {
        let rows = |side: &CategoricalProfile| side.values().saturating_add(side.missing.total());
        if rows(reference) < rows(window) {
            return Some(Self::new(cells, reference, window));
        }
        let met = reference.cells.iter().filter(|count| **count > 0).count() as u64;
        let is_sparse = reference.unseen > 0 || reference.values() < MANY_ROWS * met;
        let pool = (is_alone && is_sparse).then(|| Self::new(cells, reference, window));
        pool.filter(|pool| {
            pool.known != Known::Lumps
                && pool.rows.len() as u64 * u64::from(draws_for(level)) <= MOST_WORK
        })
    }

    fn new(
        cells: &CategoricalCells,
        reference: &CategoricalProfile,
        window: &CategoricalProfile,
    ) -> Self {
        let both = |a: u64, b: u64| a.saturating_add(b);
        let sides = reference.cells.iter().zip(&window.cells);
        let of_layout = cells.categories.iter().zip(sides);
        let mut by_lot: Vec<(u64, u64)> = of_layout
            .map(|(name, (&a, &b))| (lot(name), both(a, b)))
            .filter(|(_, rows)| *rows > 0)
            .collect();
        let outside = both(reference.unseen, window.unseen);
        // A layout that this reference chose has the texts that it met most; without texts outside it, all of them.
        let is_chosen = reference.unseen == 0 || left_out(cells, reference).is_some();
        let room = match is_chosen {
            true => Room::Most,
            false => Room::First(by_lot.len()),
        };
        let mut known = Known::All;
        if !cells.closed && is_chosen {
            let (pieces, all) = split(outside, reference, window);
            by_lot.extend(pieces);
            known = all;
        }
        // The order in which equally frequent categories get their bins, as `stats::bins` and layouts have it.
        by_lot.sort_unstable();
        let mut rows: Vec<u64> = by_lot.iter().map(|(_, rows)| *rows).collect();
        if !cells.closed && !is_chosen {
            // Unseen on either side, whatever they are.
            rows.push(outside);
        }
        let missing = [
            both(reference.missing.empty(), window.missing.empty()),
            both(reference.missing.wrong_type, window.missing.wrong_type),
        ];
        rows.extend(missing);
        rows.push(if cells.closed { outside } else { 0 });
        Self {
            rows,
            window_rows: both(window.values(), window.missing.total()),
            room,
            complete: cells.closed.then_some(cells.categories.len()),
            known,
        }
    }

    /// Whether the categories of all rows are known, or some are taken to be like those that are.
    pub fn known(&self) -> bool {
        self.known == Known::All
    }

    fn categories(&self) -> usize {
        self.rows.len() - SPECIAL
    }

    /// How surprising each value is, which its statistic gave for the two sides' own bins, among all ways to label the
    /// rows. All statistics share the draws, and each has the same in whatever company.
    pub fn judge(self, observed: &[(Statistic, f64)], level: f64, seed: u128) -> Vec<Drawn> {
        let rng = &mut Pcg64Mcg::new(seed);
        let values: Vec<f64> = observed.iter().map(|(_, value)| *value).collect();
        let mut drawing = Sequential::new(&values, level, draws_for(level));
        let mut sides = Sides::new(&self);
        while drawing.open() {
            sides.draw(rng);
            drawing.take(|which| sides.score(observed[which].0));
        }
        drawing.finish()
    }
}

/// What is known of the categories of all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    All,
    /// Some are taken to be like those that are known.
    Some,
    /// And put together, being too many.
    Lumps,
}

/// Rows outside the layout by category, each with its lot, and whether that is certain. A name that both sides met is one
/// category.
///
/// Where some names were not kept, the sizes of all are supposed from two samples: the kept ones, each for one, and the
/// layout's. Under no drift the reference misses a category of c pooled rows with chance q^c, where q is the window's
/// share of all rows, so that q^c/(1 − q^c) were missed for each of this size that it met. The kept names of a column are
/// ever the same, being chosen by hash; alone they would be wrong in the same direction for every window.
fn split(
    outside: u64,
    reference: &CategoricalProfile,
    window: &CategoricalProfile,
) -> (Vec<(u64, u64)>, Known) {
    let mut examples = reference.examples.clone();
    examples.merge(&window.examples);
    if examples.counts().sum::<u64>() == outside {
        return (examples.lots().collect(), Known::All);
    }
    let kept: Vec<u64> = examples.counts().collect();
    // Without an example, because the texts are too long to be kept, each row has its own.
    let sizes = match kept.is_empty() {
        true => vec![1],
        false => supposed(outside, &kept, reference, window),
    };
    let (pieces, known) = fill(outside, &sizes);
    // Nobody knows their lots: any will do that have nothing to do with their sizes.
    let drawn = |(at, rows): (usize, u64)| (lot(&at.to_string()), rows);
    (pieces.into_iter().enumerate().map(drawn).collect(), known)
}

/// Sizes of categories, ascending, that come to about `outside` rows in like shares as the kept and the met ones.
fn supposed(
    outside: u64,
    kept: &[u64],
    reference: &CategoricalProfile,
    window: &CategoricalProfile,
) -> Vec<u64> {
    let mut sizes: Vec<(u64, f64)> = kept.iter().map(|&size| (size, 1.0)).collect();
    // Of a reference with texts outside its layout the kept ones tell what it left out, and what it missed.
    if reference.unseen == 0 {
        let (n, m) = (reference.values() as f64, window.values() as f64);
        let cells = reference.cells.iter().zip(&window.cells);
        for (&before, &now) in cells.filter(|(before, _)| **before > 0) {
            let size = before.saturating_add(now);
            let missed = (m / (n + m)).powf(size as f64);
            sizes.push((size, missed / (1.0 - missed)));
        }
    }
    sizes.sort_by_key(|(size, _)| *size);
    let rows: f64 = sizes
        .iter()
        .map(|&(size, weight)| size as f64 * weight)
        .sum();
    let all: f64 = sizes.iter().map(|(_, weight)| *weight).sum();
    let pieces = (all * outside as f64 / rows)
        .round()
        .clamp(1.0, MOST_OUTSIDE as f64);
    let mut found = Vec::new();
    let mut below = 0.0;
    for (size, weight) in sizes {
        below += weight;
        // Quantiles of the sizes, in the middle of equal parts.
        while (found.len() as f64 + 0.5) * all <= below * pieces && (found.len() as f64) < pieces {
            found.push(size);
        }
    }
    found
}

/// `sizes` again and again until all rows are used up, in larger pieces where they would be too many.
fn fill(outside: u64, sizes: &[u64]) -> (Vec<u64>, Known) {
    let pieces =
        (sizes.len() as u128 * u128::from(outside)).div_ceil(u128::from(sum(sizes).max(1)));
    let larger = u64::try_from(pieces.div_ceil(MOST_OUTSIDE as u128)).unwrap_or(u64::MAX);
    let mut left = outside;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        let piece = size.saturating_mul(larger.max(1)).min(left);
        if piece == 0 {
            break;
        }
        pieces.push(piece);
        left -= piece;
    }
    let known = if larger > 1 {
        Known::Lumps
    } else {
        Known::Some
    };
    (pieces, known)
}

fn sum(counts: &[u64]) -> u64 {
    counts
        .iter()
        .fold(0, |sum, &count| sum.saturating_add(count))
}

/// One way to label the rows, with the bins that its reference chooses.
struct Sides<'a> {
    pool: &'a Pool,
    /// By category and special bin.
    reference: Vec<u64>,
    current: Vec<u64>,
    /// Categories that the reference met, most frequent first.
    met: Vec<usize>,
    /// How often, and those that it has no bin for.
    times: Vec<u64>,
    left_out: Vec<u64>,
    /// By bin.
    expected: Expected,
    bins: Vec<u64>,
    beside: Vec<u64>,
}

impl<'a> Sides<'a> {
    fn new(pool: &'a Pool) -> Self {
        let none = || vec![0; pool.rows.len()];
        Self {
            pool,
            reference: none(),
            current: none(),
            met: Vec::new(),
            times: Vec::new(),
            left_out: Vec::new(),
            expected: Expected::default(),
            bins: Vec::new(),
            beside: Vec::new(),
        }
    }

    fn draw(&mut self, rng: &mut Pcg64Mcg) {
        let (reference, current) = (&mut self.reference, &mut self.current);
        shuffle::table(
            &self.pool.rows,
            self.pool.window_rows,
            reference,
            current,
            rng,
        );
        self.choose();
    }

    /// Bins as the reference at hand chooses them, and both sides counted in them.
    fn choose(&mut self) {
        let (pool, reference) = (self.pool, &self.reference);
        let categories = pool.categories();
        let (first, most) = match pool.room {
            Room::Most => (categories, MAX_CATEGORIES),
            Room::First(first) => (first, first),
        };
        self.met.clear();
        self.met.extend((0..first).filter(|&at| reference[at] > 0));
        self.met
            .sort_unstable_by_key(|&at| (Reverse(reference[at]), at));
        self.left_out.clear();
        self.left_out.extend(
            self.met
                .drain(most.min(self.met.len())..)
                .map(|at| reference[at]),
        );
        let cells = self.met.len();
        self.times.clear();
        self.times.extend(self.met.iter().map(|&at| reference[at]));
        let unseen = reference[..categories].iter().sum::<u64>() - self.times.iter().sum::<u64>();
        let left_out = Some(self.left_out.as_slice()).filter(|left_out| !left_out.is_empty());
        self.expected.cells = cells;
        self.expected
            .expect(&self.times, unseen, left_out, pool.complete == Some(cells));
        for (side, bins) in [
            (reference, &mut self.expected.counts),
            (&self.current, &mut self.bins),
        ] {
            bins.clear();
            bins.resize(cells, 0);
            let mut unseen: u64 = side[..categories].iter().sum();
            for (rank, &at) in self.met.iter().enumerate() {
                bins[rank] += side[at];
                unseen -= side[at];
            }
            bins.extend_from_slice(&side[categories..]);
            if let Some(last) = bins.last_mut() {
                *last += unseen;
            }
        }
        self.expected.beside(&self.bins, &mut self.beside);
    }

    fn score(&self, statistic: Statistic) -> f64 {
        statistic.of_counts(&self.beside, &self.bins).unwrap_or(0.0)
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
