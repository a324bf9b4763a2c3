//! Which slices of a window are worse by more than chance: the counts of [`super::worst_slice`], ranked.
//!
//! Many slices are looked at, so the worst of them is bad by chance alone; the intervals here hold for all of them at
//! once. Deliberately absent: causes, and the names of features and bins.

use statrs::distribution::{ContinuousCDF, Normal};

use super::worst_slice::{BINS, Counts, ERROR, WINDOW, pairs};

/// Which slices count, and how sure one wants to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Rows of a slice in the window below which it is not looked at.
    pub min_rows: u64,
    /// Chance that any of the intervals, all slices together, misses.
    pub alpha: f64,
}

/// A slice: one feature in one bin, or two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slice {
    /// Number of the feature and its bin.
    pub first: (usize, u8),
    pub second: Option<(usize, u8)>,
    pub reference_rows: u64,
    pub window_rows: u64,
    /// Share of the window's rows.
    pub share_of_rows: f64,
    /// What is judged: by how much the share of rows, or of errors within the slice, has grown.
    pub change: f64,
    /// What it has grown at least, by the interval that holds for all slices at once; above 0.
    pub at_least: f64,
    /// Part of the whole change that lies here: of the shares that have grown among slices of the same features, or of
    /// the errors that the window has more than the reference's rates would give.
    pub share_of_change: f64,
}

/// Slices that are worse, the surest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Slices with enough rows: as many intervals hold together.
    pub looked_at: usize,
    /// By how much more of the window than of the reference lies there.
    pub drift: Vec<Slice>,
    /// By how many more of their rows are errors.
    pub errors: Vec<Slice>,
}

/// Slices whose share of rows, or share of errors, has grown by more than chance: Newcombe's interval for a difference
/// of proportions, its level divided by the number of slices (Bonferroni). Sorted by what has come at least: of the
/// window's rows into the slice, or of errors. A slice of two features is told only if that is more than for either
/// feature alone, which a larger slice with a less certain sum may not reach.
///
/// Empty without a row on either side, or if `alpha` is no chance. Rows are taken for independent.
/// Source: Newcombe, *Interval estimation for the difference between independent proportions* (1998), method 10.
///
/// ```
/// use driftline::compute::slice_ranking::{Search, ranked};
/// use driftline::compute::worst_slice::{Rows, fast};
/// // A tenth of the reference is in bin 1, half of the window.
/// let bins: Vec<u8> = (0..2000).map(|row| u8::from(row % 10 == 0 || row >= 1000 && row % 2 == 0)).collect();
/// let is_window: Vec<bool> = (0..2000).map(|row| row >= 1000).collect();
/// let rows = Rows::new(vec![bins], &is_window, &[false; 2000]).expect("as many bins as rows");
/// let found = ranked(&fast(&rows), Search { min_rows: 50, alpha: 0.05 });
/// assert_eq!(found.drift[0].first, (0, 1));
/// assert_eq!(found.drift[0].share_of_change, 1.0);
/// assert!((found.drift[0].change - 0.4).abs() < 1e-12);
/// ```
pub fn ranked(counts: &Counts, search: Search) -> Ranked {
    let mut ranked = Ranked {
        looked_at: 0,
        drift: Vec::new(),
        errors: Vec::new(),
    };
    let Some(first) = counts.tables.first() else {
        return ranked;
    };
    // Every table holds every row.
    let sides = Cell::sum(first.chunks_exact(4).map(Cell::new));
    let candidates: Vec<(Cells, Vec<Cell>)> = pairs(counts.features)
        .zip(&counts.tables)
        .map(|(pair, table)| (pair, table.chunks_exact(4).map(Cell::new).collect()))
        .collect();
    let enough = |cell: &&Cell| cell.window() >= search.min_rows.max(1);
    ranked.looked_at = candidates
        .iter()
        .map(|(_, cells)| cells.iter().filter(enough).count())
        .sum();
    let chance = search.alpha / (2.0 * ranked.looked_at as f64);
    if ranked.looked_at == 0 || sides.reference() == 0 || !(chance > 0.0 && chance < 0.5) {
        return ranked;
    }
    let z = -Normal::standard().inverse_cdf(chance);
    for ((first, second), cells) in &candidates {
        let shares = cells
            .iter()
            .map(|cell| cell.share_change(&sides).max(0.0))
            .sum::<f64>();
        let errors = cells
            .iter()
            .map(|cell| cell.excess_errors().max(0.0))
            .sum::<f64>();
        for (at, cell) in cells.iter().enumerate().filter(|(_, cell)| enough(cell)) {
            let bins = [at / BINS as usize, at % BINS as usize].map(|bin| bin as u8);
            let slice = Slice {
                first: (*first, bins[0]),
                second: (first != second).then_some((*second, bins[1])),
                reference_rows: cell.reference(),
                window_rows: cell.window(),
                share_of_rows: cell.window() as f64 / sides.window() as f64,
                change: 0.0,
                at_least: 0.0,
                share_of_change: 0.0,
            };
            let grown = [
                cell.window(),
                sides.window(),
                cell.reference(),
                sides.reference(),
            ];
            add(
                &mut ranked.drift,
                slice,
                grown,
                z,
                cell.share_change(&sides) / shares,
            );
            let worse = [
                cell.window_errors(),
                cell.window(),
                cell.reference_errors(),
                cell.reference(),
            ];
            add(
                &mut ranked.errors,
                slice,
                worse,
                z,
                cell.excess_errors() / errors,
            );
        }
    }
    keep_surest(&mut ranked.drift, |slice| slice.at_least);
    // A rate says little of a small slice: how many errors more there are at least.
    keep_surest(&mut ranked.errors, |slice| {
        slice.at_least * slice.share_of_rows
    });
    ranked
}

type Cells = (usize, usize);

/// Adds a slice if the first of two proportions is larger for sure.
fn add(slices: &mut Vec<Slice>, slice: Slice, [a, n, b, m]: [u64; 4], z: f64, share: f64) {
    if n == 0 || m == 0 {
        return;
    }
    let [p, q] = [(a, n), (b, m)].map(|(a, n)| a as f64 / n as f64);
    let (low, _) = wilson(p, n as f64, z);
    let (_, high) = wilson(q, m as f64, z);
    let change = p - q;
    let at_least = change - ((p - low).powi(2) + (high - q).powi(2)).sqrt();
    if at_least > 0.0 {
        slices.push(Slice {
            change,
            at_least,
            share_of_change: share,
            ..slice
        });
    }
}

/// Wilson's interval for a proportion.
fn wilson(p: f64, n: f64, z: f64) -> (f64, f64) {
    let middle = p + z * z / (2.0 * n);
    let reach = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + z * z / n;
    ((middle - reach) / whole, (middle + reach) / whole)
}

/// Sorts by `weight`, and leaves out slices of two features if one of them alone weighs as much.
fn keep_surest(slices: &mut Vec<Slice>, weight: impl Fn(&Slice) -> f64) {
    let singles: Vec<((usize, u8), f64)> = slices
        .iter()
        .filter(|slice| slice.second.is_none())
        .map(|slice| (slice.first, weight(slice)))
        .collect();
    slices.retain(|slice| {
        let Some(second) = slice.second else {
            return true;
        };
        let explained = |(part, whole): &((usize, u8), f64)| {
            (*part == slice.first || *part == second) && *whole >= weight(slice)
        };
        !singles.iter().any(explained)
    });
    slices.sort_by(|a, b| {
        let by_name = (a.first, a.second).cmp(&(b.first, b.second));
        weight(b).total_cmp(&weight(a)).then(by_name)
    });
}

/// Four counts: reference and window, without and with error.
#[derive(Debug, Clone, Copy, Default)]
struct Cell([u64; 4]);

impl Cell {
    fn new(counts: &[u64]) -> Self {
        Self(std::array::from_fn(|at| counts[at]))
    }

    fn sum(cells: impl Iterator<Item = Self>) -> Self {
        cells.fold(Self::default(), |sum, cell| {
            Self(std::array::from_fn(|at| sum.0[at] + cell.0[at]))
        })
    }

    fn reference(&self) -> u64 {
        self.0[0] + self.reference_errors()
    }

    fn window(&self) -> u64 {
        self.0[usize::from(WINDOW)] + self.window_errors()
    }

    fn reference_errors(&self) -> u64 {
        self.0[usize::from(ERROR)]
    }

    fn window_errors(&self) -> u64 {
        self.0[usize::from(WINDOW | ERROR)]
    }

    fn share_change(&self, sides: &Self) -> f64 {
        self.window() as f64 / sides.window() as f64
            - self.reference() as f64 / sides.reference() as f64
    }

    /// Errors of the window beyond what the reference's rate here gives; 0 where the reference has no rows.
    fn excess_errors(&self) -> f64 {
        if self.reference() == 0 {
            return 0.0;
        }
        let rate = self.reference_errors() as f64 / self.reference() as f64;
        self.window_errors() as f64 - self.window() as f64 * rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::worst_slice::{Rows, fast};

    /// 4,000 rows of four features with four bins, the later half the window; `change` may move a row.
    fn rows(change: impl Fn(usize, &mut [u8; 4]) -> bool) -> Rows {
        let mut features = vec![Vec::new(); 4];
        let (mut is_window, mut is_error) = (Vec::new(), Vec::new());
        for row in 0..4000 {
            // Bins by the digits of a number that goes through all combinations on both sides.
            let number = (row % 2000) * 37 % 256;
            let mut bins = [0, 2, 4, 6].map(|shift| (number >> shift & 3) as u8);
            is_window.push(row >= 2000);
            is_error.push(change(row, &mut bins));
            for (feature, bin) in features.iter_mut().zip(bins) {
                feature.push(bin);
            }
        }
        Rows::new(features, &is_window, &is_error).expect("bins of all rows")
    }

    const SEARCH: Search = Search {
        min_rows: 20,
        alpha: 0.05,
    };

    #[test]
    fn nothing_changed_nothing_found() {
        let found = ranked(&fast(&rows(|row, _| row % 7 == 0)), SEARCH);
        assert!(
            found.drift.is_empty() && found.errors.is_empty(),
            "{found:?}"
        );
        assert_eq!(found.looked_at, 4 * 4 + 6 * 16);
    }

    #[test]
    fn drift_in_one_pair_of_bins_is_told_as_the_pair() {
        let found = ranked(
            &fast(&rows(|row, bins| {
                if row >= 2000 && row % 5 == 0 {
                    (bins[0], bins[2]) = (3, 1);
                }
                false
            })),
            SEARCH,
        );
        let worst = found.drift[0];
        assert_eq!((worst.first, worst.second), ((0, 3), Some((2, 1))));
        assert!((worst.change - 0.1875).abs() < 0.02, "{worst:?}");
        assert!(
            worst.at_least > 0.1 && worst.share_of_change > 0.99,
            "{worst:?}"
        );
    }

    #[test]
    fn errors_in_one_bin_are_told_without_a_second_feature() {
        let found = ranked(
            &fast(&rows(|row, bins| {
                row % 10 == 0 || row >= 2000 && bins[1] == 2
            })),
            SEARCH,
        );
        let worst = found.errors[0];
        assert_eq!((worst.first, worst.second), ((1, 2), None));
        assert!((worst.share_of_change - 1.0).abs() < 0.1, "{worst:?}");
    }

    #[test]
    fn empty_sides_have_no_slices() {
        let none = Rows::new(vec![vec![]], &[], &[]).expect("no rows");
        assert_eq!(ranked(&fast(&none), SEARCH).looked_at, 0);
        let window_only = Rows::new(vec![vec![0; 50]], &[true; 50], &[true; 50]).expect("rows");
        assert!(ranked(&fast(&window_only), SEARCH).drift.is_empty());
        assert!(ranked(&fast(&window_only), SEARCH).errors.is_empty());
        assert_eq!(Rows::new(vec![vec![16]], &[true], &[true]), None, "bin 16");
        assert_eq!(
            Rows::new(vec![vec![0]], &[true], &[]),
            None,
            "no errors given"
        );
    }
}
