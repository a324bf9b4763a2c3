//! Bins: unions of layout cells, chosen by the reference, that every binned statistic counts in.
//!
//! Cell bins come first, then the special ones. Numeric columns: `null` (null and absent), `wrong type`, `NaN`,
//! `+inf`, `-inf`, and `below …`, `above …` for a declared domain. Categorical columns: `null`, `wrong type`,
//! `unseen`. **Invariant:** every row is in exactly one bin, so counts add up to the profile's rows. A bin may be
//! empty on both sides; statistics that count degrees of freedom must leave such bins out.
//!
//! **Unseen categories.** A reference that has never met a category does not say that it cannot come. Good (1953):
//! the chance that the next text is new is about f₁/N, where f₁ categories were met exactly once among N texts. So
//! the reference's expected count of `unseen` is the larger of what it counted there and f₁; the other categories are
//! scaled down to keep the total. Categories of the layout that the reference never met are `unseen` for it. In a
//! domain that is declared complete and was met completely nothing new can come, and nothing is added.
//!
//! **Categories by luck.** Every category that the reference met has a bin of its own, as long as the layout has room for
//! it. Of more categories than that the layout has the most frequent, and some of them were frequent by luck: beside the
//! reference every window has fewer of them and more of all others, without any drift. By Robbins' estimate (1956, the
//! same that Good's is a case of) categories that were met c times have (c + 1)·N₍c+1₎/N₍c₎ rows each in the long run,
//! where N₍c₎ categories were met c times; summed over all that were met more often than c times, what luck added is
//! (c + 1)·N₍c+1₎ rows. So many more may be `unseen` then. How many categories of about that size are among the unseen ones
//! is known from the sample of them that a profile keeps (`profile::distinct`).
//!
//! That new texts *can* come does not mean that they must: beside a window that has fewer of them, the reference is
//! expected to have no more than the window's share, and no fewer than it counted (see [`Expected`]). So a sample
//! compared with itself has not moved, however rare its categories are.

use std::cmp::Reverse;

use crate::profile::distinct::lot;
use crate::profile::layout::MAX_CATEGORIES;
use crate::profile::{
    CategoricalCells, CategoricalProfile, Cells, ColumnProfile, LayoutColumn, NumericCells,
};

/// Numeric bins where nothing else is asked for.
pub const DEFAULT_BINS: usize = 10;
/// Digits of a number in a label, where they tell all edges apart.
const LABEL_DIGITS: usize = 6;
/// Longest category in a label, in characters.
const LABEL_CHARS: usize = 60;
/// Labels with a meaning of their own: a category of that name is shown in quotes.
const RESERVED: [&str; 5] = ["", "null", "wrong type", "unseen", "other"];

/// How one column's cells are grouped for comparison with one reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binning {
    /// The bin of each layout cell.
    pub bin_of_cell: Vec<u16>,
    /// A readable name for each bin, special bins last.
    pub labels: Vec<String>,
    /// Number of bins made of cells: the special bins are `labels[cell_bins..]`.
    pub cell_bins: usize,
    /// The reference's count of each bin, with the Good–Turing share in `unseen`. Adds up to the reference's rows.
    pub reference_counts: Vec<u64>,
    /// What it counted, and what that lets one expect.
    pub expected: Expected,
}

/// A reference's counts, and how many rows of unseen categories among them would be no surprise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// As counted, by bin; `unseen` is the last one.
    pub counts: Vec<u64>,
    /// How many bins, the first ones, are of categories.
    pub cells: usize,
    /// These bins in the order in which rows are taken from them where shares are equal, most frequent first and then by
    /// lot: a name may tell how frequent it will be. Empty: as they stand.
    pub order: Vec<u16>,
    /// Rows of unseen categories that are expected; 0 where nothing new can come, or bins are ranges of numbers.
    pub unseen: u64,
    /// Standard deviation of the part of them that is luck's, in rows; `None` where that is not what is expected.
    pub error: Option<u64>,
}

impl Expected {
    /// The counts to compare `current` with: `unseen` has the window's own share, at least what was counted there and
    /// at most what is expected, and the categories make room for it in proportion. Adds up to the reference's rows.
    pub fn beside(&self, current: &[u64], out: &mut Vec<u64>) {
        out.clear();
        out.extend_from_slice(&self.counts);
        let last = self.counts.len().saturating_sub(1);
        if current.len() != self.counts.len() || current.is_empty() {
            return;
        }
        let most = self.unseen.max(self.counts[last]) - self.counts[last];
        if most == 0 {
            return;
        }
        // Down to whole rows; what does not fit is more than is expected.
        let share = u128::from(current[last]) * rows(&self.counts) / rows(current).max(1);
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        let there = rows(&out[..self.cells]);
        let missing = share.clamp(out[last], out[last].saturating_add(most)) - out[last];
        let missing = missing.min(u64::try_from(there).unwrap_or(u64::MAX));
        take_evenly(&mut out[..self.cells], &self.order, missing);
        out[last] += missing;
    }

    /// What a reference lets one expect of the categories that it met, `met` times each. `unseen` rows were counted beside
    /// them, because the layout had no room for their categories (`left_out` of them, so many times each, or a fair sample)
    /// or does not know them; `complete`: nothing can come that was not met.
    pub fn expect(&mut self, met: &[u64], unseen: u64, left_out: Option<&[u64]>, complete: bool) {
        (self.unseen, self.error) = match left_out {
            _ if complete => (0, None),
            Some(left_out) => {
                let (luck, error) = by_luck(met, unseen, left_out);
                (unseen.saturating_add(luck), Some(error))
            }
            None => {
                let once = met.iter().filter(|&&times| times == 1);
                (once.count() as u64, None)
            }
        };
    }
}

/// Rows that categories have because they were chosen for having many, `met` times each. Those that were met c times or
/// more have c·N₍c₎ rows by luck; the least count was had by some that were chosen and some that were not, so what is
/// between the two c counts in proportion. Of those not chosen the sample `left_out` tells, which stands for all that have
/// the `unseen` rows. With the standard deviation of that estimate, which is as uncertain as N₍c₎ is.
fn by_luck(met: &[u64], unseen: u64, left_out: &[u64]) -> (u64, u64) {
    let Some(&least) = met.iter().min() else {
        return (0, 0);
    };
    let sampled = unseen as f64 / rows(left_out).max(1) as f64;
    // N₍c₎ is smooth within a quarter of the deviation √c that luck gives.
    let reach = least.isqrt() / 4;
    let near = |counts: &[u64], times: u64, reach: u64| {
        let near = counts.iter().filter(|&&met| met.abs_diff(times) <= reach);
        near.count() as f64
    };
    // c·N₍c₎ and its deviation.
    let by_luck = |times: u64| {
        let (chosen, others) = (near(met, times, reach), near(left_out, times, reach));
        let each = times as f64 / (2 * reach + 1) as f64;
        let error = (chosen + sampled * sampled * others).sqrt();
        (each * (chosen + sampled * others), each * error)
    };
    let chosen = near(met, least, 0);
    let chosen = chosen / (chosen + sampled * near(left_out, least, 0));
    let (at, above) = (by_luck(least), by_luck(least.saturating_add(1)));
    let between = |at: f64, above: f64| chosen * at + (1.0 - chosen) * above;
    let most = u64::try_from(rows(met)).unwrap_or(u64::MAX);
    let whole = |rows: f64| (rows.round() as u64).min(most);
    (whole(between(at.0, above.0)), whole(between(at.1, above.1)))
}

/// One in so many is few.
const FEW: usize = 50;

fn rows(counts: &[u64]) -> u128 {
    counts.iter().map(|&count| u128::from(count)).sum()
}

/// The categories of a reference that its layout has no room for, so many times each, or a fair sample of them: `None`
/// where it has room, and where it was not chosen by this reference, or it would have those that were met most (but for a
/// few that came late among very many, see `profile::sample`).
pub(crate) fn left_out(
    cells: &CategoricalCells,
    reference: &CategoricalProfile,
) -> Option<Vec<u64>> {
    if cells.closed || reference.unseen == 0 || cells.categories.len() < MAX_CATEGORIES {
        return None;
    }
    let least = reference.cells.iter().min()?;
    let left_out: Vec<u64> = reference.examples.counts().collect();
    let more = left_out.iter().filter(|times| *times > least).count();
    (FEW * more <= left_out.len()).then_some(left_out)
}

/// All cells of a column ungrouped, for rank statistics; special bins aside, in the order of [`Binning`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FineCounts {
    pub cells: Vec<u64>,
    pub special: Vec<u64>,
}

impl Binning {
    /// At most `bins` bins of a numeric column; a categorical one has a bin for each category that the reference met.
    ///
    /// Numeric bins end where the reference's quantiles at k/`bins` are met best: at the cell boundary whose
    /// cumulative count is closest to k·n/`bins`. A value that fills more than its share makes fewer bins; no cell
    /// bin is empty in the reference, unless it has no value at all.
    pub fn new(column: &LayoutColumn, reference: &ColumnProfile, bins: usize) -> Self {
        let mut binning = match &column.cells {
            Cells::Numeric(cells) => Self::numeric(cells, reference.cells(), bins),
            Cells::Categorical(cells) => Self::categorical(cells, reference.cells()),
        };
        binning.expected = Expected {
            counts: binning.counts(reference),
            cells: binning.cell_bins,
            order: std::mem::take(&mut binning.expected.order),
            unseen: 0,
            error: None,
        };
        if let (Cells::Categorical(cells), ColumnProfile::Categorical(reference)) =
            (&column.cells, reference)
        {
            let mut met: Vec<u64> = reference.cells.clone();
            met.retain(|&times| times > 0);
            let complete = cells.closed && met.len() == cells.categories.len();
            let left_out = left_out(cells, reference);
            binning
                .expected
                .expect(&met, reference.unseen, left_out.as_deref(), complete);
        }
        binning.reference_counts = binning.full();
        binning
    }

    /// Number of bins, special ones included.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The profile's rows in each bin; adds up to its rows. The profile must be of the same layout.
    pub fn counts(&self, profile: &ColumnProfile) -> Vec<u64> {
        let mut counts = vec![0; self.cell_bins];
        counts.extend(special_counts(profile, self.labels.len() - self.cell_bins));
        debug_assert_eq!(
            self.bin_of_cell.len(),
            profile.cells().len(),
            "a binning fits profiles of its layout"
        );
        for (bin, count) in self.bin_of_cell.iter().zip(profile.cells()) {
            counts[usize::from(*bin)] += count;
        }
        counts
    }

    fn numeric(cells: &NumericCells, counts: &[u64], bins: usize) -> Self {
        let ends = bin_ends(counts, bins);
        let cell_bins = ends.len() + 1;
        let bin_of_cell = (0..counts.len())
            .map(|cell| ends.partition_point(|end| *end < cell) as u16)
            .collect();
        let bounds: Vec<f64> = ends
            .iter()
            .filter_map(|cell| cells.edges.get(*cell).copied())
            .collect();
        let mut labels = range_labels(&bounds);
        labels.extend(["null", "wrong type", "NaN", "+inf", "-inf"].map(str::to_owned));
        if let Some([low, high]) = cells.domain {
            labels.extend([format!("below {low}"), format!("above {high}")]);
        }
        Self {
            bin_of_cell,
            labels,
            cell_bins,
            reference_counts: Vec::new(),
            expected: Expected::default(),
        }
    }

    fn categorical(cells: &CategoricalCells, counts: &[u64]) -> Self {
        let mut met: Vec<usize> = (0..counts.len()).filter(|cell| counts[*cell] > 0).collect();
        // Stable: ties stay in the layout's order.
        met.sort_by_key(|cell| Reverse(counts[*cell]));
        let mut labels: Vec<String> = met
            .iter()
            .map(|cell| category_label(&cells.categories[*cell]))
            .collect();
        let cell_bins = labels.len();
        labels.extend(["null", "wrong type", "unseen"].map(str::to_owned));
        let unseen = labels.len() - 1;
        let mut bin_of_cell = vec![unseen as u16; counts.len()];
        for (rank, &cell) in met.iter().enumerate() {
            bin_of_cell[cell] = rank as u16;
        }
        let mut order: Vec<u16> = (0..met.len()).map(|bin| bin as u16).collect();
        order.sort_by_cached_key(|&bin| {
            let cell = met[usize::from(bin)];
            (Reverse(counts[cell]), lot(&cells.categories[cell]))
        });
        Self {
            bin_of_cell,
            labels,
            cell_bins,
            reference_counts: Vec::new(),
            expected: Expected {
                order,
                ..Expected::default()
            },
        }
    }

    /// The reference with all the unseen rows that are expected of it.
    fn full(&self) -> Vec<u64> {
        // Beside a window of nothing but unseen rows.
        let mut window = vec![0; self.expected.counts.len()];
        if let Some(unseen) = window.last_mut() {
            *unseen = 1;
        }
        let mut full = Vec::new();
        self.expected.beside(&window, &mut full);
        full
    }
}

/// All layout cells, no grouping; special bins aside.
pub fn fine_counts(profile: &ColumnProfile) -> FineCounts {
    let special = match profile {
        ColumnProfile::Numeric(_) => special_counts(profile, 7),
        ColumnProfile::Categorical(_) => special_counts(profile, 3),
    };
    FineCounts {
        cells: profile.cells().to_vec(),
        special,
    }
}

/// The first `most` special bins: without a declared domain `below` and `above` do not exist.
fn special_counts(profile: &ColumnProfile, most: usize) -> Vec<u64> {
    let missing = profile.missing();
    let mut counts = vec![missing.empty(), missing.wrong_type];
    match profile {
        ColumnProfile::Numeric(profile) => {
            counts.extend([
                profile.nan,
                profile.positive_infinity,
                profile.negative_infinity,
            ]);
            counts.extend([profile.below, profile.above]);
        }
        ColumnProfile::Categorical(profile) => counts.push(profile.unseen),
    }
    counts.truncate(most);
    counts
}

/// The last cell of each bin but the last one, ascending.
fn bin_ends(counts: &[u64], bins: usize) -> Vec<usize> {
    let total: u64 = counts.iter().sum();
    let mut below = 0u64;
    // Boundaries that have something on both sides, with what lies below them; of several with the same below, the
    // first.
    let mut boundaries: Vec<(usize, u64)> = Vec::new();
    for (cell, count) in counts.iter().enumerate() {
        below += count;
        if *count > 0 && below < total {
            boundaries.push((cell, below));
        }
    }
    let bins = bins.max(1) as u128;
    let mut ends: Vec<usize> = (1..bins)
        .filter_map(|k| {
            // Distances of below/total from k/bins, times both denominators.
            let distance = |below: u64| (u128::from(below) * bins).abs_diff(k * u128::from(total));
            boundaries
                .iter()
                .min_by_key(|(_, below)| distance(*below))
                .map(|(cell, _)| *cell)
        })
        .collect();
    ends.dedup();
    ends
}

/// Takes `total` away from `counts` in proportion to them (largest remainders first, ties in this order, which names every
/// one of them or is empty).
fn take_evenly(counts: &mut [u64], order: &[u16], total: u64) {
    let sum: u64 = counts.iter().sum();
    if sum == 0 {
        return;
    }
    let total = total.min(sum);
    // In 64 bits where products fit: it is done for every draw of a null.
    let is_small = sum < 1 << 32;
    let share = |count: u64| match is_small {
        true => (count * total / sum, count * total % sum),
        false => {
            let (exact, sum) = (u128::from(count) * u128::from(total), u128::from(sum));
            ((exact / sum) as u64, (exact % sum) as u64)
        }
    };
    let shares: Vec<(u64, u64)> = counts.iter().map(|&count| share(count)).collect();
    let rest = total - shares.iter().map(|(whole, _)| whole).sum::<u64>();
    for (count, (whole, _)) in counts.iter_mut().zip(&shares) {
        *count -= whole;
    }
    let mut order: Vec<usize> = match order.is_empty() {
        true => (0..counts.len()).collect(),
        false => order.iter().map(|&at| usize::from(at)).collect(),
    };
    order.sort_by_key(|&at| Reverse(shares[at].1));
    for at in order.into_iter().take(rest as usize) {
        counts[at] -= 1;
    }
}

fn range_labels(bounds: &[f64]) -> Vec<String> {
    let texts = bound_texts(bounds);
    let (Some(first), Some(last)) = (texts.first(), texts.last()) else {
        return vec!["any number".to_owned()];
    };
    let between = texts
        .windows(2)
        .map(|pair| format!("{} – {}", pair[0], pair[1]));
    [format!("≤ {first}")]
        .into_iter()
        .chain(between)
        .chain([format!("> {last}")])
        .collect()
}

/// Bounds in few digits, or in all that they need where few do not tell them apart.
fn bound_texts(bounds: &[f64]) -> Vec<String> {
    let short: Vec<f64> = bounds
        .iter()
        .map(|bound| {
            format!("{bound:.*e}", LABEL_DIGITS - 1)
                .parse()
                .unwrap_or(*bound)
        })
        .collect();
    let chosen = if short.is_sorted_by(|a, b| a < b) {
        &short
    } else {
        bounds
    };
    chosen.iter().map(|bound| number_text(*bound)).collect()
}

/// A number for people: powers of ten only where they are shorter.
fn number_text(number: f64) -> String {
    let (plain, power) = (format!("{number}"), format!("{number:e}"));
    if plain.len() <= power.len() + 6 {
        plain
    } else {
        power
    }
}

fn category_label(category: &str) -> String {
    if RESERVED.contains(&category) {
        return format!("{category:?}");
    }
    match category.char_indices().nth(LABEL_CHARS) {
        Some((end, _)) => format!("{}…", &category[..end]),
        None => category.to_owned(),
    }
}

/// What moved most, in a few words: the bin with the largest absolute change in share (ties: one that
/// grew, then the first). Empty when a side has no rows or no share changed.
///
/// ```
/// use driftline::stats::bins::what_moved;
/// let labels = ["≤ 52".to_string(), "> 52".to_string()];
/// assert_eq!(what_moved(&[900, 100], &[7, 93], &labels), "> 52: 10 % → 93 %");
/// ```
pub fn what_moved(reference_counts: &[u64], current_counts: &[u64], labels: &[String]) -> String {
    let total = |counts: &[u64]| u128::from(counts.iter().sum::<u64>());
    let (reference_total, current_total) = (total(reference_counts), total(current_counts));
    if reference_total == 0 || current_total == 0 {
        return String::new();
    }
    let mut most = ((0, false), String::new());
    for ((reference, current), label) in reference_counts.iter().zip(current_counts).zip(labels) {
        let before = u128::from(*reference) * current_total;
        let now = u128::from(*current) * reference_total;
        let change = (before.abs_diff(now), now > before);
        if change > most.0 {
            let (before, now) = (
                percent(*reference, reference_total),
                percent(*current, current_total),
            );
            most = (change, format!("{label}: {before} → {now}"));
        }
    }
    most.1
}

/// A share in per cent, with more digits the smaller it is, and never a rounded 0 % or 100 %.
fn percent(count: u64, total: u128) -> String {
    let percent = count as f64 * 100.0 / total as f64;
    match percent {
        _ if count == 0 => "0 %".to_owned(),
        _ if u128::from(count) == total => "100 %".to_owned(),
        _ if percent < 0.01 => "< 0.01 %".to_owned(),
        _ if percent < 0.995 => format!("{percent:.2} %"),
        _ if percent < 9.95 => format!("{percent:.1} %"),
        _ if percent > 99.99 => "> 99.99 %".to_owned(),
        _ if percent > 99.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.0} %"),
    }
}

#[cfg(test)]
#[path = "bins_tests.rs"]
mod tests;
