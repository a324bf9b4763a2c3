//! What a window remembers of its rows: integer counts and scaled integer sums, a few kilobytes a column.
//!
//! A [`Layout`] fixes cells and scales once for each model; a [`Profile`] counts rows into them. References,
//! windows, revisions and SQL all use the same profiles, so comparing costs nothing of the rows' number.
//!
//! **Invariant:** a profile is a function of the *multiset* of rows counted into it. Whatever the order of rows,
//! the cut of batches and the order of merges, its bytes are the same: counts are integers, sums are 128-bit
//! integers of values rounded one by one, examples are chosen by hash. Each row is counted exactly once in every
//! column, so a column's bins add up to `rows`.
//!
//! Deliberately absent: any statistic (see `stats`), any clock, any storage.

mod bytes;
pub mod categorical;
pub mod compiled;
pub mod distinct;
mod edges;
mod exact;
pub mod glob;
pub mod layout;
pub mod learn;
pub mod missing;
pub mod numeric;
pub mod sample;
mod search;
mod single;
pub mod vector;

#[cfg(test)]
mod laws;

use crate::event::{Batch, Millis};

pub use categorical::{CategoricalProfile, category_text};
use compiled::CompiledColumn;
pub use compiled::CompiledLayout;
pub use distinct::Distinct;
pub use layout::{CategoricalCells, Cells, Field, Layout, LayoutColumn, LayoutError, NumericCells};
pub use learn::{ColumnRules, Domain};
pub use missing::Missing;
pub use numeric::NumericProfile;
pub use sample::{Observed, Sample};

/// Most rows of one profile: what keeps every count far from overflow. 2⁴⁸ rows are nine years at a million rows
/// a second.
pub const MAX_ROWS: u64 = 1 << 48;

/// The rows of one key and one stretch of event time, counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// [`Layout::fingerprint`] of the layout that the rows were counted with.
    pub layout: u64,
    pub rows: u64,
    /// Earliest and latest event time of the rows; `None` when there is no row.
    pub first_ts: Option<Millis>,
    pub last_ts: Option<Millis>,
    /// One entry for each column of the layout, in its order.
    pub columns: Vec<ColumnProfile>,
    /// Names of fields that the layout does not know, with the number of rows that had them.
    pub unknown_fields: Distinct,
}

/// The rows of one column, counted.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnProfile {
    Numeric(NumericProfile),
    Categorical(CategoricalProfile),
}

/// Why profiles cannot be merged or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    #[error("profiles of two different layouts cannot be merged: {ours:016x} and {theirs:016x}")]
    DifferentLayouts { ours: u64, theirs: u64 },
    #[error("a merged profile of {rows} rows would exceed the limit of {MAX_ROWS} rows")]
    TooManyRows { rows: u64 },
    #[error("the stored profile has format version {found}; this program reads version {expected}")]
    Version { found: u8, expected: u8 },
    #[error("the stored profile was counted with layout {found:016x}, not with {expected:016x}")]
    OtherLayout { found: u64, expected: u64 },
    #[error("the stored profile is damaged at byte {at}: {what}")]
    Damaged { at: usize, what: &'static str },
}

impl ColumnProfile {
    /// An empty profile of the column's shape.
    pub fn new(cells: &Cells) -> Self {
        match cells {
            Cells::Numeric(cells) => Self::Numeric(NumericProfile::new(cells)),
            Cells::Categorical(cells) => Self::Categorical(CategoricalProfile::new(cells)),
        }
    }

    /// All rows counted: values and everything that is missing.
    pub fn rows(&self) -> u64 {
        self.missing().total() + self.values()
    }

    /// Rows that had a value of the column's type (numeric: NaN and infinities too; categorical: unseen too).
    pub fn values(&self) -> u64 {
        match self {
            Self::Numeric(profile) => profile.values(),
            Self::Categorical(profile) => profile.values(),
        }
    }

    pub fn missing(&self) -> &Missing {
        match self {
            Self::Numeric(profile) => &profile.missing,
            Self::Categorical(profile) => &profile.missing,
        }
    }

    fn missing_mut(&mut self) -> &mut Missing {
        match self {
            Self::Numeric(profile) => &mut profile.missing,
            Self::Categorical(profile) => &mut profile.missing,
        }
    }

    /// Counts of the layout's cells, without the special bins.
    pub fn cells(&self) -> &[u64] {
        match self {
            Self::Numeric(profile) => &profile.cells,
            Self::Categorical(profile) => &profile.cells,
        }
    }

    pub fn numeric(&self) -> Option<&NumericProfile> {
        match self {
            Self::Numeric(profile) => Some(profile),
            Self::Categorical(_) => None,
        }
    }

    pub fn categorical(&self) -> Option<&CategoricalProfile> {
        match self {
            Self::Numeric(_) => None,
            Self::Categorical(profile) => Some(profile),
        }
    }
}

impl Profile {
    /// A profile of no rows.
    pub fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.fingerprint(),
            rows: 0,
            first_ts: None,
            last_ts: None,
            columns: layout
                .columns
                .iter()
                .map(|column| ColumnProfile::new(&column.cells))
                .collect(),
            unknown_fields: Distinct::default(),
        }
    }

    /// Counts the selected rows of a batch: `rows` are row indices in ascending order, each at most once.
    /// Indices beyond the batch are a caller's error and panic.
    pub fn update(&mut self, layout: &CompiledLayout, batch: &Batch, rows: &[u32]) {
        debug_assert_eq!(
            self.layout, layout.fingerprint,
            "a batch must be counted with the profile's own layout"
        );
        debug_assert_eq!(
            batch.columns.len(),
            layout.columns.len(),
            "a batch has one column for each of its layout"
        );
        debug_assert!(
            rows.is_sorted_by(|a, b| a < b),
            "rows are selected once, in ascending order"
        );
        let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else {
            return;
        };
        // Two copies of the loops: nearly always all rows are selected, and a plain range is much faster.
        if (last - first) as usize + 1 == rows.len() {
            self.count(layout, batch, first as usize..last as usize + 1);
        } else {
            self.count(layout, batch, rows.iter().map(|&row| row as usize));
        }
        for (row, name) in &batch.unknown_fields {
            if rows.binary_search(row).is_ok() {
                self.unknown_fields.add(name, 1);
            }
        }
    }

    fn count(
        &mut self,
        layout: &CompiledLayout,
        batch: &Batch,
        rows: impl Iterator<Item = usize> + Clone,
    ) {
        let count = rows.clone().count() as u64;
        self.rows += count;
        let times = rows.clone().map(|row| batch.ts[row]);
        let [first, last] = times.fold([Millis::MAX, Millis::MIN], |[first, last], ts| {
            [first.min(ts), last.max(ts)]
        });
        if count > 0 {
            self.first_ts = Some(self.first_ts.map_or(first, |ts| ts.min(first)));
            self.last_ts = Some(self.last_ts.map_or(last, |ts| ts.max(last)));
        }
        for ((profile, compiled), column) in self
            .columns
            .iter_mut()
            .zip(&layout.columns)
            .zip(&batch.columns)
        {
            let states = &column.states;
            match (profile, compiled, column.numbers(), column.texts()) {
                (
                    ColumnProfile::Numeric(profile),
                    CompiledColumn::Numeric(compiled),
                    Some(numbers),
                    _,
                ) => {
                    let numbers = numbers.values();
                    profile.count(
                        compiled,
                        rows.clone().map(|row| (states[row], numbers[row])),
                    );
                }
                (
                    ColumnProfile::Categorical(profile),
                    CompiledColumn::Categorical(compiled),
                    _,
                    Some(texts),
                ) => {
                    profile.count(
                        compiled,
                        rows.clone().map(|row| (states[row], texts.value(row))),
                    );
                }
                (profile, ..) => {
                    debug_assert!(false, "a batch column's type is that of its layout");
                    profile.missing_mut().wrong_type += count;
                }
            }
        }
    }

    /// Adds the rows of `other`.
    ///
    /// # Errors
    /// When the two were counted with different layouts, or hold more than [`MAX_ROWS`] rows together; `self` is
    /// then unchanged.
    pub fn merge(&mut self, other: &Profile) -> Result<(), ProfileError> {
        if self.layout != other.layout || self.columns.len() != other.columns.len() {
            return Err(ProfileError::DifferentLayouts {
                ours: self.layout,
                theirs: other.layout,
            });
        }
        let rows = self.rows.saturating_add(other.rows);
        if rows > MAX_ROWS {
            return Err(ProfileError::TooManyRows { rows });
        }
        self.rows = rows;
        self.first_ts = [self.first_ts, other.first_ts].into_iter().flatten().min();
        self.last_ts = [self.last_ts, other.last_ts].into_iter().flatten().max();
        for (ours, theirs) in self.columns.iter_mut().zip(&other.columns) {
            match (ours, theirs) {
                (ColumnProfile::Numeric(ours), ColumnProfile::Numeric(theirs)) => {
                    ours.merge(theirs)
                }
                (ColumnProfile::Categorical(ours), ColumnProfile::Categorical(theirs)) => {
                    ours.merge(theirs)
                }
                _ => debug_assert!(false, "equal layouts have equal column types"),
            }
        }
        self.unknown_fields.merge(&other.unknown_fields);
        Ok(())
    }

    /// The profile's stored form: equal profiles have equal bytes, and the other way round.
    pub fn to_bytes(&self) -> Vec<u8> {
        bytes::write(self)
    }

    /// Reads [`Profile::to_bytes`].
    ///
    /// # Errors
    /// When the bytes are cut, damaged, not in the one canonical form, or counted with another layout. Allocates no
    /// more than a profile of `layout` and a few times `bytes.len()`.
    pub fn from_bytes(bytes: &[u8], layout: &Layout) -> Result<Self, ProfileError> {
        bytes::read(bytes, layout)
    }
}
