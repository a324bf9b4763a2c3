//! Who belongs to the first sample: the true labels and B reshuffled ones, packed into bits.
//!
//! A permutation test asks how large a statistic gets when labels mean nothing. Rows that belong together (a block of
//! time, a customer) must move together, or the test takes dependent rows for independent ones and cries wolf: labels
//! are therefore given to *units*, and a unit may be one row.
//!
//! **Invariant:** the labels are a function of the seed, the units and B alone.

use std::iter::Sum;

use rayon::prelude::*;

use super::philox::Philox;

/// Stream of the generator that shuffles; `resample` uses others.
const STREAM: u32 = 0x6c61_6265;

/// Labels of `rows` rows: labelling 0 is the true one, the others are reshuffled.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    rows: usize,
    count: usize,
    /// `count` × `words` words; bit r % 32 of word r / 32 is set if row r is of the first sample.
    bits: Vec<u32>,
}

impl Labels {
    /// `permutations` shuffles of single rows, of which the first `first` are the first sample.
    pub fn of_rows(first: usize, second: usize, permutations: usize, seed: u64) -> Self {
        let units: Vec<u32> = (0..(first + second) as u32).collect();
        Self::of_units(&units, first, permutations, seed)
    }

    /// `permutations` shuffles in which rows of equal `units` keep together. The first `first` rows are the first
    /// sample; a unit belongs to the sample of its first row. How many units are of the first sample stays the same,
    /// so that with units of different sizes the number of rows varies.
    pub fn of_units(units: &[u32], first: usize, permutations: usize, seed: u64) -> Self {
        let rows = units.len();
        let mut index = std::collections::BTreeMap::new();
        let mut sides = Vec::new();
        let places: Vec<usize> = units
            .iter()
            .enumerate()
            .map(|(row, unit)| {
                *index.entry(*unit).or_insert_with(|| {
                    sides.push(row < first);
                    sides.len() - 1
                })
            })
            .collect();
        let words = rows.div_ceil(32);
        let mut labels = Self {
            rows,
            count: 1 + permutations,
            bits: vec![0; words * (1 + permutations)],
        };
        if words == 0 {
            return labels;
        }
        let all = labels.bits.par_chunks_exact_mut(words).enumerate();
        all.for_each_init(
            || sides.clone(),
            |shuffled, (labelling, bits)| {
                shuffled.copy_from_slice(&sides);
                if labelling > 0 {
                    shuffle(shuffled, labelling as u32, seed);
                }
                for row in 0..rows {
                    // The true labels are the rows' own, whatever unit they are of.
                    let is_first = match labelling {
                        0 => row < first,
                        _ => shuffled[places[row]],
                    };
                    bits[row / 32] |= u32::from(is_first) << (row % 32);
                }
            },
        );
        labels
    }

    /// The true labels, then for each unit of the first sample, in the order of their first rows, those under which it
    /// alone is the second sample. Rows of equal `units` keep together; the first `first` rows are the first sample.
    ///
    /// ```
    /// use driftline::compute::labels::Labels;
    /// let labels = Labels::of_each_unit(&[4, 4, 7, 7, 9, 9], 4);
    /// assert_eq!((labels.count(), labels.rows()), (3, 6));
    /// assert_eq!([0, 1, 2].map(|labelling| labels.first(labelling)), [4; 3]);
    /// ```
    pub fn of_each_unit(units: &[u32], first: usize) -> Self {
        let mut others: Vec<u32> = Vec::new();
        for unit in &units[..first.min(units.len())] {
            if !others.contains(unit) {
                others.push(*unit);
            }
        }
        let rows = units.len();
        let mut labels = Self {
            rows,
            count: 1 + others.len(),
            bits: vec![0; rows.div_ceil(32) * (1 + others.len())],
        };
        labels.set(0, |row| row < first);
        for (labelling, unit) in (1..).zip(others) {
            labels.set(labelling, |row| units[row] != unit);
        }
        labels
    }

    fn set(&mut self, labelling: usize, is_first: impl Fn(usize) -> bool) {
        let words = self.words();
        let bits = &mut self.bits[labelling * words..][..words];
        for row in (0..self.rows).filter(|&row| is_first(row)) {
            bits[row / 32] |= 1 << (row % 32);
        }
    }

    /// Rows that are labelled.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The true labelling and the reshuffled ones.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Words of one labelling.
    pub(crate) fn words(&self) -> usize {
        self.rows.div_ceil(32)
    }

    pub(crate) fn bits(&self) -> &[u32] {
        &self.bits
    }

    pub(crate) fn is_first(&self, labelling: usize, row: usize) -> bool {
        self.bits[labelling * self.words() + row / 32] >> (row % 32) & 1 == 1
    }

    /// Rows of the first sample in one labelling.
    pub fn first(&self, labelling: usize) -> usize {
        self.bits[labelling * self.words()..][..self.words()]
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// The sum of the values of the rows of the first sample in one labelling, in the order of the rows.
    pub(crate) fn sum_of_first<'a, T: Copy + Sum + 'a>(
        &self,
        labelling: usize,
        values: &'a [T],
    ) -> T {
        let words = &self.bits[labelling * self.words()..][..self.words()];
        let of_word = |(&word, values): (&u32, &'a [T])| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let value = values.get(rest.trailing_zeros() as usize).copied();
                rest &= rest.wrapping_sub(1);
                value
            })
        };
        words.iter().zip(values.chunks(32)).flat_map(of_word).sum()
    }

    /// The bits of `width` ≤ 8 rows from `row` on; 0 beyond the end.
    pub(crate) fn slice(&self, labelling: usize, row: usize, width: usize) -> u8 {
        let bits = &self.bits[labelling * self.words()..][..self.words()];
        let word = |at: usize| u64::from(bits.get(at).copied().unwrap_or(0));
        let both = word(row / 32) | word(row / 32 + 1) << 32;
        ((both >> (row % 32)) & ((1 << width) - 1)) as u8
    }
}

/// Fisher and Yates, from the end; positions by multiplication, whose bias is below units / 2⁶⁴.
fn shuffle(sides: &mut [bool], labelling: u32, seed: u64) {
    let philox = Philox::new(seed);
    for last in (1..sides.len()).rev() {
        let [a, b, ..] = philox.block([last as u32, labelling, 0, STREAM]);
        let random = u128::from(u64::from(a) << 32 | u64::from(b));
        let at = ((random * (last as u128 + 1)) >> 64) as usize;
        sides.swap(last, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_true_labels_come_first_and_sizes_stay() {
        let labels = Labels::of_rows(33, 40, 50, 7);
        assert_eq!((labels.rows(), labels.count()), (73, 51));
        for row in 0..73 {
            assert_eq!(labels.is_first(0, row), row < 33);
        }
        for labelling in 0..51 {
            assert_eq!(labels.first(labelling), 33);
        }
        assert_eq!(labels, Labels::of_rows(33, 40, 50, 7));
        assert_ne!(labels, Labels::of_rows(33, 40, 50, 8));
    }

    #[test]
    fn every_row_is_as_likely() {
        let labels = Labels::of_rows(10, 30, 4000, 1);
        for row in 0..40 {
            let hits = (1..=4000).filter(|&l| labels.is_first(l, row)).count();
            // 1000 expected, standard deviation 27.
            assert!((865..=1135).contains(&hits), "row {row}: {hits}");
        }
    }

    #[test]
    fn units_keep_together() {
        let units: Vec<u32> = (0..60).map(|row| row / 5).collect();
        let labels = Labels::of_units(&units, 30, 40, 3);
        for labelling in 0..=40 {
            assert_eq!(labels.first(labelling), 30);
            for row in 0..60 {
                let same =
                    labels.is_first(labelling, row) == labels.is_first(labelling, row / 5 * 5);
                assert!(same, "labelling {labelling}, row {row}");
            }
        }
    }

    #[test]
    fn each_unit_is_the_second_sample_once() {
        let units: Vec<u32> = (0..50).map(|row| row / 10).collect();
        let labels = Labels::of_each_unit(&units, 40);
        assert_eq!(labels.count(), 5);
        for row in 0..50 {
            assert_eq!(labels.is_first(0, row), row < 40);
            for labelling in 1..5 {
                assert_eq!(labels.is_first(labelling, row), row / 10 != labelling - 1);
            }
        }
        assert_eq!(Labels::of_each_unit(&[], 0).count(), 1);
    }

    #[test]
    fn slices_cross_words_and_end_in_zeros() {
        let labels = Labels::of_rows(70, 1, 0, 0);
        assert_eq!(labels.slice(0, 30, 6), 0b11_1111);
        assert_eq!(labels.slice(0, 66, 6), 0b1111);
        assert_eq!(labels.slice(0, 96, 6), 0);
        assert_eq!(Labels::of_rows(0, 0, 2, 0).slice(1, 0, 6), 0);
    }
}
