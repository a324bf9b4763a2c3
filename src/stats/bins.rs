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
//! That new texts *can* come does not mean that they must: beside a window that has fewer of them, the reference is
//! expected to have no more than the window's share, and no fewer than it counted (see [`Expected`]). So a sample
//! compared with itself has not moved, however rare its categories are.

use crate::profile::{
    CategoricalCells, CategoricalProfile, Cells, ColumnProfile, LayoutColumn, NumericCells,
};

/// Numeric bins where nothing else is asked for.
pub const DEFAULT_BINS: usize = 10;
/// Categories with a bin of their own; the rest share `other`.
pub const DEFAULT_CATEGORIES: usize = 50;
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
    /// Rows of unseen categories that are expected; 0 where nothing new can come, or bins are ranges of numbers.
    pub unseen: u64,
}

impl Expected {
    /// The counts to compare `current` with: `unseen` has the window's own share, at least what was counted there and
    /// at most what is expected, and the categories make room for it in proportion. Adds up to the reference's rows.
    pub fn beside(&self, current: &[u64], out: &mut Vec<u64>) {
        out.clear();
        out.extend_from_slice(&self.counts);
        let (Some(&counted), Some(&now)) = (self.counts.last(), current.last()) else {
            return;
        };
        if self.unseen <= counted {
            return;
        }
        let rows = |counts: &[u64]| counts.iter().map(|&count| u128::from(count)).sum::<u128>();
        // Down to whole rows; what does not fit is more than is expected.
        let share = u128::from(now) * rows(&self.counts) / rows(current).max(1);
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        let missing = share.clamp(counted, self.unseen) - counted;
        if missing == 0 {
            return;
        }
        take_evenly(&mut out[..self.cells], missing);
        if let Some(unseen) = out.last_mut() {
            *unseen += missing;
        }
    }
}

/// All cells of a column ungrouped, for rank statistics; special bins aside, in the order of [`Binning`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FineCounts {
    pub cells: Vec<u64>,
    pub special: Vec<u64>,
}

impl Binning {
    /// At most `bins` bins of a numeric column; a categorical one gets [`DEFAULT_CATEGORIES`].
    ///
    /// Numeric bins end where the reference's quantiles at k/`bins` are met best: at the cell boundary whose
    /// cumulative count is closest to k·n/`bins`. A value that fills more than its share makes fewer bins; no cell
    /// bin is empty in the reference, unless it has no value at all.
    pub fn new(column: &LayoutColumn, reference: &ColumnProfile, bins: usize) -> Self {
        Self::with_limits(column, reference, bins, DEFAULT_CATEGORIES)
    }

    /// As [`Binning::new`], with the number of categories that get a bin of their own.
    pub fn with_limits(
        column: &LayoutColumn,
        reference: &ColumnProfile,
        bins: usize,
        categories: usize,
    ) -> Self {
        let mut binning = match &column.cells {
            Cells::Numeric(cells) => Self::numeric(cells, reference.cells(), bins),
            Cells::Categorical(cells) => Self::categorical(cells, reference.cells(), categories),
        };
        binning.expected = Expected {
            counts: binning.counts(reference),
            cells: binning.cell_bins,
            unseen: 0,
        };
        if let (Cells::Categorical(cells), ColumnProfile::Categorical(reference)) =
            (&column.cells, reference)
        {
            binning.expected.unseen = expected_unseen(cells, reference);
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

    fn categorical(cells: &CategoricalCells, counts: &[u64], categories: usize) -> Self {
        let mut met: Vec<usize> = (0..counts.len()).filter(|cell| counts[*cell] > 0).collect();
        // Stable: ties stay in the layout's order.
        met.sort_by_key(|cell| std::cmp::Reverse(counts[*cell]));
        let own = if met.len() > categories {
            categories
        } else {
            met.len()
        };
        let mut labels: Vec<String> = met[..own]
            .iter()
            .map(|cell| category_label(&cells.categories[*cell]))
            .collect();
        if own < met.len() {
            labels.push("other".to_owned());
        }
        let cell_bins = labels.len();
        labels.extend(["null", "wrong type", "unseen"].map(str::to_owned));
        let unseen = labels.len() - 1;
        let mut bin_of_cell = vec![unseen as u16; counts.len()];
        for (rank, cell) in met.into_iter().enumerate() {
            bin_of_cell[cell] = rank.min(own) as u16;
        }
        Self {
            bin_of_cell,
            labels,
            cell_bins,
            reference_counts: Vec::new(),
            expected: Expected::default(),
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

/// Good and Turing's f₁; 0 where nothing new can come.
fn expected_unseen(cells: &CategoricalCells, reference: &CategoricalProfile) -> u64 {
    if cells.closed && reference.cells.iter().all(|count| *count > 0) {
        return 0;
    }
    reference.cells.iter().filter(|count| **count == 1).count() as u64
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

/// Takes `total` away from `counts` in proportion to them (largest remainders first, ties in order).
fn take_evenly(counts: &mut [u64], total: u64) {
    let sum: u64 = counts.iter().sum();
    if sum == 0 {
        return;
    }
    let (sum, total) = (u128::from(sum), u128::from(total.min(sum)));
    let exact = |count: u64| u128::from(count) * total;
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(exact(counts[*i]) % sum));
    let whole: u128 = counts.iter().map(|count| exact(*count) / sum).sum();
    let rest = (total - whole) as usize;
    for (rank, i) in order.into_iter().enumerate() {
        counts[i] -= (exact(counts[i]) / sum) as u64 + u64::from(rank < rest);
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
mod tests {
    use super::*;
    use crate::profile::{Distinct, Field, Missing, NumericProfile};
    use proptest::prelude::*;

    fn numeric(edges: &[f64], counts: &[u64]) -> (LayoutColumn, ColumnProfile) {
        let cells = NumericCells {
            edges: edges.to_vec(),
            domain: None,
            center: 0.0,
            sum_shift: 0,
            square_shift: 0,
        };
        let profile = NumericProfile {
            cells: counts.to_vec(),
            ..NumericProfile::default()
        };
        let column = LayoutColumn {
            name: "a".into(),
            field: Field::Feature,
            cells: Cells::Numeric(cells),
        };
        (column, ColumnProfile::Numeric(profile))
    }

    fn categorical(
        counts: &[(&str, u64)],
        unseen: u64,
        closed: bool,
    ) -> (LayoutColumn, ColumnProfile) {
        let categories = counts.iter().map(|(name, _)| (*name).to_owned()).collect();
        let cells = Cells::Categorical(CategoricalCells { categories, closed });
        let profile = CategoricalProfile {
            cells: counts.iter().map(|(_, count)| *count).collect(),
            missing: Missing {
                null: 2,
                absent: 3,
                wrong_type: 4,
            },
            unseen,
            examples: Distinct::default(),
        };
        let column = LayoutColumn {
            name: "a".into(),
            field: Field::Feature,
            cells,
        };
        (column, ColumnProfile::Categorical(profile))
    }

    #[track_caller]
    fn check_numeric(edges: &[f64], counts: &[u64], bins: usize, expected: &[(&str, u64)]) {
        let (column, profile) = numeric(edges, counts);
        let binning = Binning::new(&column, &profile, bins);
        let labels = binning.labels.iter().map(String::as_str);
        let found: Vec<(&str, u64)> = labels
            .zip(binning.counts(&profile))
            .take(binning.cell_bins)
            .collect();
        assert_eq!(found, expected);
        assert_eq!(
            binning.labels[binning.cell_bins..],
            ["null", "wrong type", "NaN", "+inf", "-inf"]
        );
    }

    #[test]
    fn numeric_bins_follow_the_quantiles() {
        check_numeric(
            &[1.0, 2.0, 3.0],
            &[5, 5, 5, 5],
            2,
            &[("≤ 2", 10), ("> 2", 10)],
        );
        check_numeric(
            &[1.0, 2.0, 3.0],
            &[5, 5, 5, 5],
            10,
            &[("≤ 1", 5), ("1 – 2", 5), ("2 – 3", 5), ("> 3", 5)],
        );
        check_numeric(&[1.0, 2.0, 3.0], &[5, 5, 5, 5], 1, &[("any number", 20)]);
    }

    #[test]
    fn empty_cells_join_their_neighbours() {
        check_numeric(
            &[1.0, 2.0, 3.0, 4.0],
            &[0, 6, 0, 0, 6],
            10,
            &[("≤ 2", 6), ("> 2", 6)],
        );
        check_numeric(&[1.0, 2.0], &[0, 0, 0], 10, &[("any number", 0)]);
        check_numeric(&[], &[7], 10, &[("any number", 7)]);
    }

    #[test]
    fn a_value_larger_than_its_share_makes_fewer_bins() {
        check_numeric(
            &[0.0, 1.0, 2.0],
            &[80, 10, 5, 5],
            4,
            &[("≤ 0", 80), ("> 0", 20)],
        );
    }

    #[test]
    fn labels_are_short_where_that_tells_bounds_apart() {
        let long = 0.1 + 0.2;
        check_numeric(
            &[long, 1e12],
            &[1, 1, 1],
            3,
            &[("≤ 0.3", 1), ("0.3 – 1e12", 1), ("> 1e12", 1)],
        );
        let close = [1000000.25, 1000000.5];
        check_numeric(
            &close,
            &[1, 1, 1],
            3,
            &[
                ("≤ 1000000.25", 1),
                ("1000000.25 – 1000000.5", 1),
                ("> 1000000.5", 1),
            ],
        );
    }

    #[test]
    fn a_declared_domain_has_bins_of_its_own() {
        let (mut column, mut profile) = numeric(&[50.0], &[3, 4]);
        if let (Cells::Numeric(cells), ColumnProfile::Numeric(profile)) =
            (&mut column.cells, &mut profile)
        {
            cells.domain = Some([0.0, 99.5]);
            (
                profile.below,
                profile.above,
                profile.nan,
                profile.negative_infinity,
            ) = (1, 2, 5, 6);
            profile.missing = Missing {
                null: 7,
                absent: 8,
                wrong_type: 9,
            };
        }
        let binning = Binning::new(&column, &profile, 10);
        assert_eq!(
            binning.labels,
            [
                "≤ 50",
                "> 50",
                "null",
                "wrong type",
                "NaN",
                "+inf",
                "-inf",
                "below 0",
                "above 99.5"
            ]
        );
        assert_eq!(binning.reference_counts, [3, 4, 15, 9, 5, 0, 6, 1, 2]);
        assert_eq!(
            fine_counts(&profile),
            FineCounts {
                cells: vec![3, 4],
                special: vec![15, 9, 5, 0, 6, 1, 2]
            }
        );
    }

    #[test]
    fn rare_categories_share_a_bin() {
        let (column, profile) = categorical(
            &[("a", 10), ("null", 40), ("c", 0), ("d", 10), ("e", 5)],
            0,
            false,
        );
        let binning = Binning::with_limits(&column, &profile, 10, 2);
        assert_eq!(
            binning.labels,
            ["\"null\"", "a", "other", "null", "wrong type", "unseen"]
        );
        assert_eq!(binning.bin_of_cell, [1, 0, 5, 2, 2]);
        assert_eq!(binning.counts(&profile), [40, 10, 15, 5, 4, 0]);
        assert_eq!(
            binning.reference_counts,
            [40, 10, 15, 5, 4, 0],
            "no singletons, nothing expected"
        );
    }

    #[test]
    fn singletons_announce_the_unseen() {
        let (column, profile) = categorical(&[("a", 90), ("b", 8), ("c", 1), ("d", 1)], 0, false);
        let binning = Binning::new(&column, &profile, 10);
        assert_eq!(binning.counts(&profile), [90, 8, 1, 1, 5, 4, 0]);
        assert_eq!(binning.reference_counts, [88, 8, 1, 1, 5, 4, 2]);
        let (column, profile) = categorical(&[("a", 90), ("b", 1)], 6, false);
        assert_eq!(
            Binning::new(&column, &profile, 10).reference_counts,
            [90, 1, 5, 4, 6],
            "more was counted already"
        );
        let (column, profile) = categorical(&[("a", 90), ("b", 1)], 0, true);
        assert_eq!(
            Binning::new(&column, &profile, 10).reference_counts,
            [90, 1, 5, 4, 0],
            "nothing new can come"
        );
    }

    /// All of a hundred rows are different: none is known to come again.
    #[test]
    fn a_sample_beside_itself_has_not_moved() {
        let names: Vec<String> = (0..100).map(|i| format!("c{i}")).collect();
        let counted: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let (column, profile) = categorical(&counted, 0, false);
        let binning = Binning::new(&column, &profile, 10);
        let own = binning.counts(&profile);
        let mut beside = Vec::new();
        binning.expected.beside(&own, &mut beside);
        assert_eq!(beside, own);
        // Half of the window's rows are new, which is no surprise: 54 of 109 rows.
        let mut half = vec![0; own.len()];
        (half[0], half[own.len() - 1]) = (20, 20);
        binning.expected.beside(&half, &mut beside);
        assert_eq!(
            (beside.iter().sum::<u64>(), beside[own.len() - 1]),
            (109, 54)
        );
        // Nothing is known of more than a hundred.
        (half[0], half[own.len() - 1]) = (0, 20);
        binning.expected.beside(&half, &mut beside);
        assert_eq!(beside, binning.reference_counts);
        assert_eq!(beside[own.len() - 1], 100);
    }

    #[track_caller]
    fn check_moved(reference: &[u64], current: &[u64], expected: &str) {
        let labels = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(what_moved(reference, current, &labels), expected);
    }

    #[test]
    fn the_largest_change_is_named() {
        check_moved(&[10, 80, 10], &[10, 10, 80], "c: 10 % → 80 %");
        check_moved(&[0, 999_999, 1], &[5, 999_995, 0], "a: 0 % → < 0.01 %");
        check_moved(&[1, 199, 0], &[9, 191, 0], "a: 0.50 % → 4.5 %");
        check_moved(&[0, 100, 0], &[0, 0, 7], "c: 0 % → 100 %");
        check_moved(&[1, 2, 3], &[2, 4, 6], "");
        check_moved(&[0, 0, 0], &[2, 4, 6], "");
        check_moved(&[1, 0, 0], &[0, 0, 0], "");
    }

    proptest! {
        #[test]
        fn bins_keep_every_row(counts in prop::collection::vec(0u64..50, 1..256), bins in 1usize..20) {
            let edges: Vec<f64> = (1..counts.len()).map(|i| i as f64).collect();
            let (column, profile) = numeric(&edges, &counts);
            let binning = Binning::new(&column, &profile, bins);
            prop_assert!(binning.cell_bins <= bins);
            prop_assert!(binning.bin_of_cell.is_sorted());
            prop_assert_eq!(binning.counts(&profile).iter().sum::<u64>(), counts.iter().sum::<u64>());
            if counts.iter().any(|count| *count > 0) {
                prop_assert!(binning.counts(&profile)[..binning.cell_bins].iter().all(|count| *count > 0));
            }
        }

        #[test]
        fn good_turing_keeps_the_total(counts in prop::collection::vec(0u64..5, 0..80), unseen in 0u64..9) {
            let names: Vec<String> = (0..counts.len()).map(|i| format!("c{i}")).collect();
            let counted: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(counts.iter().copied()).collect();
            let (column, profile) = categorical(&counted, unseen, false);
            let binning = Binning::new(&column, &profile, 10);
            prop_assert_eq!(binning.reference_counts.iter().sum::<u64>(), profile.rows());
            prop_assert_eq!(binning.counts(&profile).iter().sum::<u64>(), profile.rows());
            let singletons = counts.iter().filter(|count| **count == 1).count() as u64;
            prop_assert_eq!(binning.reference_counts[binning.len() - 1], unseen.max(singletons));
        }
    }
}
