//! Which column the distance comes from most: by how much it falls without that column.

use super::{Measure, Picked, Together};
use crate::compute::labels::Labels;

/// Numbers of a side that one column's absence is measured on: 1,000 rows of up to 30 columns, 300 of a hundred.
const NUMBERS: usize = 30_000;
const MOST_ROWS: usize = 1_000;
/// Beyond so many columns no single one says much, and asking each costs more than the test.
const MOST_COLUMNS: usize = 256;

/// In a few words; empty for one column, and where there are too many.
pub(super) fn most(
    plan: &Together<'_>,
    measure: &Measure,
    picked: &Picked,
    names: &[&str],
) -> String {
    let dims = names.len();
    if !(2..=MOST_COLUMNS).contains(&dims) {
        return String::new();
    }
    let rows = (NUMBERS / dims).clamp(50, MOST_ROWS);
    let sides = [&picked.first, &picked.second].map(|values| thinned(values, dims, rows));
    let value = |sides: &[Vec<f64>; 2], dims: usize| {
        let [n, m] = [0, 1].map(|side| sides[side].len() / dims);
        let labels = Labels::of_rows(n, m, 0, 0);
        let (sums, _) = measure.sums(plan.compute, &sides[0], &sides[1], dims, &labels)?;
        measure.value(sums.first()?)
    };
    let Some(whole) = value(&sides, dims) else {
        return String::new();
    };
    let without = (0..dims).filter_map(|column| {
        let sides = [0, 1].map(|side: usize| {
            let kept = |row: &[f64]| {
                let others = row.iter().enumerate().filter(move |(at, _)| *at != column);
                others.map(|(_, x)| *x).collect::<Vec<f64>>()
            };
            sides[side].chunks_exact(dims).flat_map(kept).collect()
        });
        Some((column, value(&sides, dims - 1)?))
    });
    // Of equals the first.
    let least = without.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    match least {
        Some((column, rest)) if rest < whole => {
            format!(
                "most by {}: {whole:.4} with it, {rest:.4} without",
                names[column]
            )
        }
        _ => String::new(),
    }
}

/// Evenly spaced rows.
fn thinned(values: &[f64], dims: usize, most: usize) -> Vec<f64> {
    let rows = values.len() / dims;
    let step = rows.div_ceil(most).max(1);
    let rows = values.chunks_exact(dims).step_by(step);
    rows.flatten().copied().collect()
}
