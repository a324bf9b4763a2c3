//! Where a drift is concentrated: among the slices of one and of two features, those that hold far more of it than of
//! the rows.
//!
//! For one column a row counts as *shifted* when it lies in a bin of that column that has grown; a slice's part is how
//! many more such rows it has than the reference's rate would give. For several columns at once a slice's part is how
//! much its own share of the rows has grown. Bins are the reference's, folded into 16. **Invariant:** a function of the
//! samples and the reference. It explains and judges nothing: no verdict depends on it.

use super::column::Prepared;
use super::{NullCache, Reference};
use crate::compute::backend::Compute;
use crate::compute::slice_ranking::{Search, Slice, ranked};
use crate::compute::worst_slice::{BINS, Rows};
use crate::profile::{Cells, Field, Layout, LayoutColumn};
use crate::query::RowSample;
use crate::stats::bins::Binning;
use crate::stats::score::{DriftSlice, SlicePart, WorstSlice};

/// Features that slices are made of, the first ones of the layout: 40 have 820 pairs.
const MOST_FEATURES: usize = 40;
/// Chance that any slice is told that has not grown, for independent rows.
const ALPHA: f64 = 0.05;
/// Fewest rows of a slice in the window, and the least share of its rows.
const LEAST_ROWS: u64 = 20;
const LEAST_SHARE: f64 = 0.005;
/// A slice is worth telling if its part of the shift is larger than that of the rows by so much: less is no
/// concentration.
const LEAST_EXCESS: f64 = 0.1;
/// Slices that are told.
const MOST_SLICES: usize = 3;

/// What is looked for.
pub struct Asked<'a> {
    pub layout: &'a Layout,
    pub reference: &'a Reference,
    pub cache: &'a NullCache,
    pub compute: &'a Compute,
    /// The place of the column that drifted; `None` for several at once.
    pub column: Option<usize>,
    /// What drifted, for the sentence.
    pub of: &'a str,
    /// Rows of either sample that are looked at, the first ones.
    pub rows: usize,
}

/// Nothing could be looked at, and why.
pub fn none(reason: &str) -> WorstSlice {
    WorstSlice {
        text: reason.to_owned(),
        ..WorstSlice::default()
    }
}

/// A feature's rows as bins, and what the bins are called.
struct Binned {
    column: usize,
    labels: Vec<String>,
    bins: Vec<u8>,
}

/// The slices that hold more of the drift than of the rows.
pub fn worst_slice(asked: &Asked<'_>, reference: &RowSample, window: &RowSample) -> WorstSlice {
    let [n, m] = [reference, window].map(|sample| sample.rows.num_rows().min(asked.rows));
    let is_window: Vec<bool> = (0..n + m).map(|row| row >= n).collect();
    let features: Vec<Binned> = asked
        .layout
        .columns
        .iter()
        .enumerate()
        .filter(|(index, column)| column.field == Field::Feature && Some(*index) != asked.column)
        .take(MOST_FEATURES)
        .filter_map(|(index, _)| binned(asked, index, [(reference, n), (window, m)]))
        .collect();
    let is_shifted = match asked.column {
        None => vec![false; n + m],
        Some(index) => match binned(asked, index, [(reference, n), (window, m)]) {
            Some(of) => shifted(&of.bins, n),
            None => return none("the column has no bins to look at"),
        },
    };
    let bins = features
        .iter()
        .map(|feature| feature.bins.clone())
        .collect();
    let Some(rows) = Rows::new(bins, &is_window, &is_shifted).filter(|_| !features.is_empty())
    else {
        return none("there is no other feature to look at");
    };
    let (counts, backend) = asked.compute.worst_slice(&rows);
    let least = (LEAST_SHARE * m as f64).ceil() as u64;
    let found = ranked(
        &counts,
        Search {
            min_rows: least.max(LEAST_ROWS),
            alpha: ALPHA,
        },
    );
    let candidates = match asked.column {
        Some(_) => found.errors,
        None => found.drift,
    };
    let slices = concentrated(candidates, &features, asked.layout);
    WorstSlice {
        text: sentence(asked.of, slices.first()),
        slices,
        looked_at: found.looked_at as u64,
        rows_reference: n as u64,
        rows_window: m as u64,
        backend: backend.name().to_owned(),
    }
}

/// The most concentrated ones. Of two of which one lies within the other only the more concentrated is told: the other
/// has less to add than it has rows.
fn concentrated(mut found: Vec<Slice>, features: &[Binned], layout: &Layout) -> Vec<DriftSlice> {
    let excess = |slice: &Slice| slice.share_of_change - slice.share_of_rows;
    found.retain(|slice| excess(slice) >= LEAST_EXCESS);
    found.sort_by(|a, b| {
        let by_place = (a.first, a.second).cmp(&(b.first, b.second));
        excess(b).total_cmp(&excess(a)).then(by_place)
    });
    let mut told: Vec<Slice> = Vec::new();
    for slice in found {
        if told.len() < MOST_SLICES && !told.iter().any(|other| is_nested(&slice, other)) {
            told.push(slice);
        }
    }
    let part = |(feature, bin): (usize, u8)| {
        let feature = features.get(feature)?;
        Some(SlicePart {
            column: layout.columns.get(feature.column)?.name.clone(),
            bin: feature.labels.get(usize::from(bin))?.clone(),
        })
    };
    told.into_iter()
        .map(|slice| DriftSlice {
            parts: std::iter::once(slice.first)
                .chain(slice.second)
                .filter_map(part)
                .collect(),
            share_of_rows: slice.share_of_rows,
            share_of_shift: slice.share_of_change,
        })
        .collect()
}

/// Whether the one lies within the other.
fn is_nested(one: &Slice, other: &Slice) -> bool {
    let within = |inner: &Slice, outer: &Slice| {
        let parts = [Some(inner.first), inner.second];
        let mut wanted = std::iter::once(outer.first).chain(outer.second);
        wanted.all(|part| parts.contains(&Some(part)))
    };
    within(one, other) || within(other, one)
}

fn sentence(of: &str, slice: Option<&DriftSlice>) -> String {
    let Some(slice) = slice else {
        return format!(
            "the drift of {of} is not concentrated in any slice of one or two features"
        );
    };
    let parts: Vec<String> = slice
        .parts
        .iter()
        .map(|SlicePart { column, bin }| match bin.chars().next() {
            // The outer bins of numbers.
            Some('≤' | '>') => format!("{column} {bin}"),
            _ => format!("{column} = {bin}"),
        })
        .collect();
    format!(
        "the drift of {of} is concentrated in {}: {:.0} % of the shift in {} % of the rows",
        parts.join(" and "),
        slice.share_of_shift * 100.0,
        percent(slice.share_of_rows),
    )
}

/// Small shares keep a digit.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 {
        format!("{percent:.1}")
    } else {
        format!("{percent:.0}")
    }
}

/// Whether each row lies in a bin whose share has grown.
fn shifted(bins: &[u8], reference_rows: usize) -> Vec<bool> {
    let mut counts = [[0_u64; 2]; BINS as usize];
    for (row, bin) in bins.iter().enumerate() {
        counts[usize::from(*bin)][usize::from(row >= reference_rows)] += 1;
    }
    let [n, m] = [reference_rows, bins.len() - reference_rows].map(|rows| rows as u64);
    let has_grown = counts.map(|[before, now]| now * n > before * m);
    bins.iter()
        .map(|bin| has_grown[usize::from(*bin)])
        .collect()
}

/// A column's rows of both samples in at most [`BINS`] bins: the fullest, and one for the rest.
fn binned(asked: &Asked<'_>, index: usize, sides: [(&RowSample, usize); 2]) -> Option<Binned> {
    let column = asked.layout.columns.get(index)?;
    let prepared = asked.cache.column(&asked.reference.hash, index, || {
        Prepared::new(asked.reference, column, index, asked.cache.bins())
    })?;
    let mut fine = Vec::new();
    for (sample, rows) in sides {
        fine.extend(bins_of(column, &prepared.binning, index, sample, rows)?);
    }
    let mut counts = vec![0_u64; prepared.binning.len()];
    for bin in &fine {
        *counts.get_mut(usize::from(*bin))? += 1;
    }
    let mut order: Vec<usize> = (0..counts.len()).filter(|bin| counts[*bin] > 0).collect();
    order.sort_by_key(|bin| std::cmp::Reverse(counts[*bin]));
    let own = if order.len() > BINS as usize {
        BINS as usize - 1
    } else {
        order.len()
    };
    let mut place = vec![own as u8; counts.len()];
    for (rank, bin) in order[..own].iter().enumerate() {
        place[*bin] = rank as u8;
    }
    let mut labels: Vec<String> = order[..own]
        .iter()
        .map(|bin| prepared.binning.labels[*bin].clone())
        .collect();
    if own < order.len() {
        labels.push("other".to_owned());
    }
    Some(Binned {
        column: index,
        labels,
        bins: fine.iter().map(|bin| place[usize::from(*bin)]).collect(),
    })
}

/// The bin of each row. Null, absent and of the wrong type are one in the lake.
fn bins_of(
    column: &LayoutColumn,
    binning: &Binning,
    index: usize,
    sample: &RowSample,
    rows: usize,
) -> Option<Vec<u16>> {
    let special = |place: usize| (binning.cell_bins + place) as u16;
    match &column.cells {
        Cells::Numeric(cells) => {
            let of = |x: &f64| {
                if x.is_nan() {
                    special(0)
                } else if *x == f64::INFINITY {
                    special(3)
                } else if *x == f64::NEG_INFINITY {
                    special(4)
                } else {
                    match cells.domain {
                        Some([low, _]) if *x < low => special(5),
                        Some([_, high]) if *x > high => special(6),
                        _ => {
                            let cell = cells.edges.partition_point(|edge| edge < x);
                            binning.bin_of_cell.get(cell).copied().unwrap_or(special(0))
                        }
                    }
                }
            };
            Some(sample.numbers(index)?.iter().take(rows).map(of).collect())
        }
        Cells::Categorical(cells) => {
            let places: std::collections::HashMap<&str, u16> = cells
                .categories
                .iter()
                .map(String::as_str)
                .zip(binning.bin_of_cell.iter().copied())
                .collect();
            let of = |text: Option<&str>| match text {
                None => special(0),
                Some(text) => places.get(text).copied().unwrap_or(special(2)),
            };
            let texts = sample.texts(index)?;
            Some(texts.into_iter().take(rows).map(of).collect())
        }
    }
}

#[cfg(test)]
#[path = "slices_tests.rs"]
mod tests;
