//! Which row is current: as observed, and as redrawn under "which sample a row came from means nothing".
//!
//! **Invariant:** labelling 0 is the observed one; labelling `b` depends on the seed and on `b`, not on how many
//! follow. Every labelling gives the current side as many rows (or, by blocks, as many blocks) as it has.
//! Deliberately absent: what is computed from labels (see [`super::pair_sums`]).

use super::MultivariateError;
use super::shuffle::{generator, shuffle};

/// Rows whose labels share a byte: sums over every subset of so many columns are made once and read by each labelling.
pub(super) const GROUP: usize = 6;
/// Most labellings: above it their bits, not the rows, would fill the memory.
pub const MOST_DRAWS: usize = 100_000;

/// Labellings of the rows of both samples, reference rows first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    rows: usize,
    /// With the observed one.
    labellings: usize,
    /// For each group of [`GROUP`] rows a byte for each labelling; bit k is set if row k of the group is current.
    codes: Vec<u8>,
    /// Current rows of each labelling.
    current: Vec<usize>,
}

impl Labels {
    /// The observed labelling and `draws` permutations of it: rows exchangeable, as independent rows are.
    ///
    /// # Errors
    /// A side without rows, or `draws` is 0 or beyond [`MOST_DRAWS`].
    ///
    /// ```
    /// use driftline::stats::multivariate::Labels;
    /// let labels = Labels::of_rows(3, 2, 99, 7).expect("rows on both sides");
    /// assert_eq!((labels.labellings(), labels.current_rows(42)), (100, 2));
    /// assert!(!labels.is_current(2, 0) && labels.is_current(3, 0));
    /// ```
    pub fn of_rows(
        reference: usize,
        current: usize,
        draws: usize,
        seed: u64,
    ) -> Result<Self, MultivariateError> {
        for (side, rows) in [("reference", reference), ("current", current)] {
            if rows == 0 {
                return Err(MultivariateError::TooFewRows {
                    side,
                    rows,
                    needs: 1,
                });
            }
        }
        let units: Vec<usize> = (0..reference + current).collect();
        Self::redrawn(&units, reference, current, draws, seed)
    }

    /// The observed labelling and `draws` permutations of whole blocks: for rows that depend on each other within a
    /// block (a day, a customer) and not across. `reference_blocks` and `current_blocks` number the block of each row,
    /// each side on its own: block 3 of one side is not block 3 of the other. With k and l blocks there are only
    /// k+l over l different labellings, and no p-value is below one in so many, whatever `draws`.
    ///
    /// # Errors
    /// A side with fewer than two blocks, or `draws` is 0 or beyond [`MOST_DRAWS`].
    ///
    /// ```
    /// use driftline::stats::multivariate::Labels;
    /// let labels = Labels::of_blocks(&[1, 1, 2, 2], &[9, 9, 9, 8], 50, 7).expect("two blocks a side");
    /// assert!((0..=50).all(|labelling| labels.is_current(0, labelling) == labels.is_current(1, labelling)));
    /// ```
    pub fn of_blocks(
        reference_blocks: &[usize],
        current_blocks: &[usize],
        draws: usize,
        seed: u64,
    ) -> Result<Self, MultivariateError> {
        let (mut units, reference) = numbered(reference_blocks);
        let (others, current) = numbered(current_blocks);
        for (side, blocks) in [("reference", reference), ("current", current)] {
            if blocks < 2 {
                return Err(MultivariateError::TooFewBlocks { side, blocks });
            }
        }
        units.extend(others.iter().map(|block| reference + block));
        Self::redrawn(&units, reference, current, draws, seed)
    }

    /// `units`: for each row the unit that is relabelled as a whole; units below `reference` are observed there.
    fn redrawn(
        units: &[usize],
        reference: usize,
        current: usize,
        draws: usize,
        seed: u64,
    ) -> Result<Self, MultivariateError> {
        if draws == 0 || draws > MOST_DRAWS {
            return Err(MultivariateError::parameter(
                "draws",
                draws,
                "1 to 100000 permutations",
            ));
        }
        let labellings = draws + 1;
        let rows = units.len();
        let mut codes = vec![0; rows.div_ceil(GROUP) * labellings];
        let mut counts = Vec::with_capacity(labellings);
        let mut is_current: Vec<bool> = (0..reference + current)
            .map(|unit| unit >= reference)
            .collect();
        let mut rng = generator(seed);
        for labelling in 0..labellings {
            if labelling > 0 {
                shuffle(&mut is_current, &mut rng);
            }
            let mut count = 0;
            for (row, &unit) in units.iter().enumerate() {
                if is_current[unit] {
                    codes[(row / GROUP) * labellings + labelling] |= 1 << (row % GROUP);
                    count += 1;
                }
            }
            counts.push(count);
        }
        Ok(Self {
            rows,
            labellings,
            codes,
            current: counts,
        })
    }

    /// Rows of both samples.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The permutations and, before them, the observed labelling.
    pub fn labellings(&self) -> usize {
        self.labellings
    }

    /// Rows that are current in a labelling.
    ///
    /// # Panics
    /// When `labelling` is not below [`Labels::labellings`].
    pub fn current_rows(&self, labelling: usize) -> usize {
        self.current[labelling]
    }

    /// # Panics
    /// When `row` or `labelling` is none.
    pub fn is_current(&self, row: usize, labelling: usize) -> bool {
        self.group(row / GROUP)[labelling] >> (row % GROUP) & 1 == 1
    }

    /// The codes of a group of rows, one a labelling.
    pub(super) fn group(&self, group: usize) -> &[u8] {
        &self.codes[group * self.labellings..(group + 1) * self.labellings]
    }

    /// Each labelling's sum of `values` (one a row) over its current rows, in the order of rows.
    pub(super) fn sums(&self, values: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.labellings];
        for (group, values) in values.chunks(GROUP).enumerate() {
            let table = subset_sums(values);
            for (sum, &code) in sums.iter_mut().zip(self.group(group)) {
                *sum += table[usize::from(code) % SUBSETS];
            }
        }
        sums
    }
}

/// Subsets of a group.
pub(super) const SUBSETS: usize = 1 << GROUP;

/// The sum over each subset of at most [`GROUP`] values; bit k of a place says whether value k is in it.
pub(super) fn subset_sums(values: &[f64]) -> [f64; SUBSETS] {
    let mut table = [0.0; SUBSETS];
    for (k, value) in values.iter().enumerate() {
        let (known, next) = table.split_at_mut(1 << k);
        for (sum, without) in next.iter_mut().zip(known.iter()) {
            *sum = without + value;
        }
    }
    table
}

/// Blocks numbered from 0 in the order in which they first occur, and how many there are.
pub(super) fn numbered(blocks: &[usize]) -> (Vec<usize>, usize) {
    let mut known = std::collections::HashMap::new();
    let numbers = blocks
        .iter()
        .map(|block| {
            let next = known.len();
            *known.entry(block).or_insert(next)
        })
        .collect();
    (numbers, known.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_redrawn_evenly_and_the_first_labelling_is_observed() {
        let labels = Labels::of_rows(7, 6, 4_000, 3).expect("rows");
        for row in 0..13 {
            assert_eq!(labels.is_current(row, 0), row >= 7);
            let times = (1..=4_000).filter(|&b| labels.is_current(row, b)).count() as f64;
            // 6/13 of 4,000 with a standard deviation of 31.5.
            assert!(
                (times - 4_000.0 * 6.0 / 13.0).abs() < 130.0,
                "{row}: {times}"
            );
        }
        assert!((0..labels.labellings()).all(|b| labels.current_rows(b) == 6));
    }

    #[test]
    fn more_draws_go_on_where_fewer_end() {
        let few = Labels::of_rows(20, 30, 10, 5).expect("rows");
        let many = Labels::of_rows(20, 30, 50, 5).expect("rows");
        for row in 0..50 {
            for labelling in 0..=10 {
                assert_eq!(
                    few.is_current(row, labelling),
                    many.is_current(row, labelling)
                );
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_current_rows() {
        let values: Vec<f64> = (0..20).map(|k| f64::from(1 << k)).collect();
        let labels = Labels::of_rows(9, 11, 30, 8).expect("rows");
        for (labelling, sum) in labels.sums(&values).into_iter().enumerate() {
            let expected: f64 = (0..20)
                .filter(|&row| labels.is_current(row, labelling))
                .map(|row| values[row])
                .sum();
            assert_eq!(sum, expected);
        }
    }

    #[test]
    fn blocks_stay_whole_and_keep_their_number() {
        let reference = [4, 4, 4, 2, 2, 7];
        let current = [4, 4, 0, 0, 0];
        let labels = Labels::of_blocks(&reference, &current, 200, 1).expect("blocks");
        let units = [0, 0, 0, 1, 1, 2, 3, 3, 4, 4, 4];
        for labelling in 0..labels.labellings() {
            let mut blocks: Vec<usize> = (0..11)
                .filter(|&row| labels.is_current(row, labelling))
                .map(|row| units[row])
                .collect();
            assert_eq!(blocks.len(), labels.current_rows(labelling));
            blocks.dedup();
            assert_eq!(blocks.len(), 2, "{blocks:?}");
        }
        assert_eq!(
            Labels::of_blocks(&[1, 1], &current, 9, 1),
            Err(MultivariateError::TooFewBlocks {
                side: "reference",
                blocks: 1
            })
        );
    }

    #[test]
    fn senseless_requests_are_refused() {
        assert!(Labels::of_rows(0, 3, 9, 1).is_err());
        assert!(Labels::of_rows(3, 3, 0, 1).is_err());
        assert!(Labels::of_rows(3, 3, MOST_DRAWS + 1, 1).is_err());
    }
}
