//! Which column the distance comes from most: by how much it falls without that column; of very many, whose mean moved
//! most.

use super::{Measure, Picked, Together};
use crate::compute::labels::Labels;

/// Numbers of a side that one column's absence is measured on: 1,000 rows of up to 30 columns, 300 of a hundred.
const NUMBERS: usize = 30_000;
const MOST_ROWS: usize = 1_000;
/// Beyond so many columns leaving out each costs more than the test.
const MOST_COLUMNS: usize = 256;

/// In a few words; empty for one column.
pub(super) fn most(
    plan: &Together<'_>,
    measure: &Measure,
    picked: &Picked,
    names: &[&str],
) -> String {
    let dims = names.len();
    if dims < 2 {
        return String::new();
    }
    if dims > MOST_COLUMNS {
        return most_moved(picked, names);
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

/// Columns are in deviations of the reference already.
fn most_moved(picked: &Picked, names: &[&str]) -> String {
    let dims = names.len();
    let means = [&picked.first, &picked.second].map(|values| {
        let mut sums = vec![0.0; dims];
        for row in values.chunks_exact(dims) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        let rows = (values.len() / dims).max(1) as f64;
        sums.into_iter()
            .map(move |sum| sum / rows)
            .collect::<Vec<f64>>()
    });
    let moves = means[1]
        .iter()
        .zip(&means[0])
        .map(|(now, before)| now - before);
    // Of equals the last.
    let most = moves
        .enumerate()
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    most.map_or_else(String::new, |(column, by)| {
        format!(
            "most in {}: its mean by {by:+.2} standard deviations",
            names[column]
        )
    })
}

/// Evenly spaced rows.
fn thinned(values: &[f64], dims: usize, most: usize) -> Vec<f64> {
    let rows = values.len() / dims;
    let step = rows.div_ceil(most).max(1);
    let rows = values.chunks_exact(dims).step_by(step);
    rows.flatten().copied().collect()
}
