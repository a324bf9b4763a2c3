//! Histograms of rows: what the binned distances count in when they are asked of two samples and not of profiles.
//!
//! [`edges`] says where bins end, [`axis`] which values a bin holds and what becomes of those outside, [`categories`]
//! counts texts, and [`missing`] says whether rows without a usable value are bins or left out. The result is always
//! a [`Pair`], which [`shares`](super::shares) turns into shares.
//!
//! **Invariant:** bins depend on the rows, never on their order. Deliberately absent: profiles. What a service judges
//! every minute is counted once into a profile (see [`bins`](super::bins)); rows are for comparing two files, and for
//! giving the numbers that other tools give.

pub mod axis;
pub mod categories;
pub mod edges;
pub mod missing;

pub use axis::{Axis, Closed, Outer};
pub use categories::{Texts, Unseen};
pub use edges::Rule;
pub use missing::{Missing, Numbers};

/// Counts of two samples in the same bins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pair {
    pub reference: Vec<u64>,
    pub current: Vec<u64>,
    /// What a share of the reference is a share of: its rows, also those that no bin holds ([`Outer::Nowhere`]).
    pub reference_rows: u64,
    pub current_rows: u64,
}

impl Pair {
    /// Counts whose rows all lie in a bin. The shorter slice is filled up with empty bins.
    pub fn new(mut reference: Vec<u64>, mut current: Vec<u64>) -> Self {
        let bins = reference.len().max(current.len());
        reference.resize(bins, 0);
        current.resize(bins, 0);
        let rows = |counts: &[u64]| {
            counts
                .iter()
                .fold(0_u64, |sum, &count| sum.saturating_add(count))
        };
        Self {
            reference_rows: rows(&reference),
            current_rows: rows(&current),
            reference,
            current,
        }
    }

    /// Both samples' numbers on `axis`, and what is no finite number as `missing` says.
    ///
    /// ```
    /// use driftline::stats::histogram::{Axis, Missing, Numbers, Pair};
    /// let (reference, current) = ([1.0, 2.0, f64::NAN], [2.0, f64::INFINITY]);
    /// let axis = Axis::open(vec![1.5]);
    /// let pair = Pair::of_numbers(&Numbers::new(&reference), &Numbers::new(&current), &axis, Missing::Bin);
    /// // Below 1.5, from 1.5 on; then null, wrong type, NaN, +∞, −∞.
    /// assert_eq!(pair.reference, [1, 1, 0, 0, 1, 0, 0]);
    /// assert_eq!(pair.current, [0, 1, 0, 0, 0, 1, 0]);
    /// let pair = Pair::of_numbers(&Numbers::new(&reference), &Numbers::new(&current), &axis, Missing::Drop);
    /// assert_eq!((pair.reference, pair.current), (vec![1, 1], vec![0, 1]));
    /// ```
    pub fn of_numbers(
        reference: &Numbers,
        current: &Numbers,
        axis: &Axis,
        missing: Missing,
    ) -> Self {
        let count = |sample: &Numbers| {
            let mut counts = axis.counts(sample.values);
            let rows = match missing {
                Missing::Bin => {
                    counts.extend(sample.special());
                    sample.rows()
                }
                Missing::Drop => sample.finite_rows(),
            };
            (counts, rows)
        };
        let (reference, reference_rows) = count(reference);
        let (current, current_rows) = count(current);
        Self {
            reference,
            current,
            reference_rows,
            current_rows,
        }
    }
}
