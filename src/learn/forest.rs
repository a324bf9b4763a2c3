//! A forest: trees that differ because each sees other rows, drawn with replacement, and each question may be about
//! other columns (Breiman, 2001). One tree is a forest of all rows and all columns.
//!
//! Drawn by ourselves and not by linfa-ensemble (0.8), whose forest fixes the columns once for a whole tree, gives
//! votes and no probabilities, and lets a hash map's order settle ties.
//!
//! **Invariant:** tree `k` of a seed is the same however many trees follow it.
//! Deliberately absent: how a tree is grown (see [`super::tree`]).

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

use super::LearnError;
use super::candidate::{Growth, Wood};
use super::cells::Cells;
use super::tree::{self, Outcomes, Tree};

/// One tree on all rows; every question may be about any column.
///
/// # Errors
/// linfa refused the counts.
pub fn single(cells: &Cells, outcomes: Outcomes, growth: &Growth) -> Result<Tree, LearnError> {
    let columns: Vec<usize> = (0..cells.codes.len()).collect();
    let mut rows: Vec<u32> = (0..rows(outcomes)).collect();
    tree::grow(cells, outcomes, &mut rows, growth, &mut || columns.clone())
}

/// A forest; `progress` is told the share that is done after each tree.
///
/// # Errors
/// linfa refused the counts.
pub fn many(
    cells: &Cells,
    outcomes: Outcomes,
    growth: &Growth,
    wood: &Wood,
    seed: u64,
    progress: &mut dyn FnMut(f64),
) -> Result<Vec<Tree>, LearnError> {
    let width = cells.codes.len();
    let chosen = ((width as f64 * wood.columns).ceil() as usize).clamp(1, width);
    let all = rows(outcomes);
    let drawn = all.min(wood.sample_rows);
    let mut trees = Vec::with_capacity(wood.trees as usize);
    for tree in 0..wood.trees {
        let mut rng = Pcg64Mcg::new((u128::from(seed) << 64) | (u128::from(tree) << 1) | 1);
        let mut rows: Vec<u32> = (0..drawn).map(|_| below(&mut rng, all)).collect();
        let mut choose = || some_of(width, chosen, &mut rng);
        trees.push(tree::grow(cells, outcomes, &mut rows, growth, &mut choose)?);
        progress(f64::from(tree + 1) / f64::from(wood.trees));
    }
    Ok(trees)
}

fn rows(outcomes: Outcomes) -> u32 {
    match outcomes {
        Outcomes::Classes { class, .. } => class.len() as u32,
        Outcomes::Values(values) => values.len() as u32,
    }
}

/// A number below `end`. Multiplying and shifting favours no number by more than `end`/2⁶⁴.
fn below(rng: &mut Pcg64Mcg, end: u32) -> u32 {
    ((u128::from(rng.next_u64()) * u128::from(end)) >> 64) as u32
}

/// `count` different numbers below `end`, ascending.
fn some_of(end: usize, count: usize, rng: &mut Pcg64Mcg) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..end).collect();
    for place in 0..count {
        let other = place + below(rng, (end - place) as u32) as usize;
        numbers.swap(place, other);
    }
    numbers.truncate(count);
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
#[path = "forest_tests.rs"]
mod tests;
