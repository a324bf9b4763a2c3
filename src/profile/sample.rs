//! Sample: what a layout is learned from, in bounded memory.
//!
//! A column keeps its numbers themselves, and a count of each text. **Invariants:** memory is bounded whatever
//! comes in; the same rows in the same order give the same sample; and while no bound is reached (most samples), the
//! order does not matter either.
//!
//! What happens at the bounds:
//! - more numbers than [`MAX_NUMBERS`] in one column, or in all columns together [`ALL_NUMBERS`]: the column goes on
//!   with every second value, then every fourth and so on, picked by a hash of the value's place in the column;
//! - more distinct texts than [`MAX_DISTINCT`] in one column, or more bytes of text than [`ALL_TEXT_BYTES`] in all:
//!   texts that were not met before are only counted together, the others go on;
//! - texts over 1024 bytes are counted together from the start;
//! - more columns than [`MAX_COLUMNS`]: the new ones are counted by their values only;
//! - lists of more than [`MAX_LENGTHS`] lengths in one column, longer ones than a vector may be, or more elements than
//!   [`MAX_COLUMNS`] in all: they are counted as lists that no vector is made of.

use std::collections::{BTreeMap, HashMap};

use xxhash_rust::xxh3::xxh3_64;

use super::categorical::MAX_TEXT_BYTES;
use super::layout::Field;
use super::vector::{self, MAX_ELEMENTS};

/// Most numbers kept of one column: quantiles at 1/256 are then off by less than a hundredth of a cell's mass.
pub const MAX_NUMBERS: usize = 1 << 20;
/// Most numbers kept in all, 300 MB.
pub const ALL_NUMBERS: usize = 1 << 25;
/// Most distinct texts counted in one column: far more than a layout can hold, enough to know an identifier.
pub const MAX_DISTINCT: usize = 1 << 14;
/// Most bytes of text in all columns, [`TEXT_OVERHEAD_BYTES`] a text included.
pub const ALL_TEXT_BYTES: usize = 128 << 20;
/// What a text costs beside its own bytes, roughly.
const TEXT_OVERHEAD_BYTES: usize = 64;
/// Most columns.
pub const MAX_COLUMNS: usize = 8192;

/// Most lengths of lists that are told apart in one column: a vector has one, and some records have it wrong.
pub const MAX_LENGTHS: usize = 4;
/// Most numbers kept of one element of a vector: a tenth of a cell's mass, and the same digits.
const ELEMENT_NUMBERS: usize = 1 << 13;

/// A value as it arrived, before any layout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Observed<'a> {
    Null,
    Number(f64),
    Text(&'a str),
    Bool(bool),
    /// A list of numbers, and of nothing else.
    Numbers(&'a [f64]),
    /// Another list, or an object.
    Other,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    rows: u64,
    columns: Vec<SampleColumn>,
    /// By kind of field (see [`slot`]) and name: where the column stands in `columns`.
    index: [HashMap<String, usize>; 6],
    /// Elements of lists that are kept, in all columns.
    elements: usize,
    text_bytes: usize,
    overflow: u64,
    places: Places,
}

/// What was observed in one column.
#[derive(Debug, Clone)]
pub(crate) struct SampleColumn {
    pub field: Field,
    /// The feature's own name.
    pub name: String,
    pub nulls: u64,
    pub numbers: Numbers,
    pub texts: Texts,
    /// Lists of numbers by their length, none of them empty.
    pub lists: BTreeMap<usize, Lists>,
    pub trues: u64,
    pub falses: u64,
    pub others: u64,
}

/// Lists of numbers of one length.
#[derive(Debug, Clone)]
pub(crate) struct Lists {
    /// Their Euclidean lengths.
    pub lengths: Numbers,
    /// The numbers at each place.
    pub elements: Vec<Numbers>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    /// All numbers, kept or not.
    pub seen: u64,
    pub nan: u64,
    pub positive_infinity: u64,
    pub negative_infinity: u64,
    /// Finite values: all, or one in 2^`level` of them.
    pub finite: Vec<f64>,
    /// For each kept value the highest level at which it would still be kept.
    levels: Vec<u8>,
    pub level: u8,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    pub counts: HashMap<String, u64>,
    /// Values that are not in `counts`: too many distinct ones, or too long.
    pub uncounted: u64,
}

impl Sample {
    pub fn new() -> Self {
        Self::default()
    }

    /// One value of the present row. `name` is the feature's own name, and is not looked at for other fields.
    pub fn observe(&mut self, field: &Field, name: &str, value: Observed<'_>) {
        self.observe_all(field, name, std::iter::once(value));
    }

    /// One column's values of several rows, in their order: the same as [`Sample::observe`] for each.
    pub fn observe_all<'a>(
        &mut self,
        field: &Field,
        name: &str,
        values: impl Iterator<Item = Observed<'a>>,
    ) {
        let Some(at) = self.column(field, name) else {
            self.overflow += values.count() as u64;
            return;
        };
        for value in values {
            if let Observed::Numbers(numbers) = value {
                self.list(at, numbers);
                continue;
            }
            let most = self.most_numbers();
            let column = &mut self.columns[at];
            match value {
                Observed::Null => column.nulls += 1,
                Observed::Number(number) => column.numbers.push(number, most),
                Observed::Text(text) => column.texts.push(text, &mut self.text_bytes),
                Observed::Bool(true) => column.trues += 1,
                Observed::Bool(false) => column.falses += 1,
                Observed::Numbers(_) | Observed::Other => column.others += 1,
            }
        }
    }

    /// One column's numbers of several rows, in their order, and how many rows beside them had none: the same as
    /// [`Sample::observe`] for each, in a fraction of the time.
    pub fn observe_numbers(&mut self, field: &Field, name: &str, numbers: &[f64], nulls: u64) {
        match self.column(field, name) {
            Some(at) => {
                let most = self.most_numbers();
                let column = &mut self.columns[at];
                column.nulls += nulls;
                column.numbers.extend(numbers, most, &mut self.places);
            }
            None => self.overflow += numbers.len() as u64 + nulls,
        }
    }

    /// Where the column stands; `None` for a new one that is one too many.
    fn column(&mut self, field: &Field, name: &str) -> Option<usize> {
        let (slot, key) = slot(field, name);
        match self.index[slot].get(key) {
            Some(&at) => Some(at),
            None if self.columns.len() < MAX_COLUMNS => Some(self.add_column(field, slot, key)),
            None => None,
        }
    }

    fn list(&mut self, at: usize, numbers: &[f64]) {
        let length = numbers.len();
        let column = &mut self.columns[at];
        if !column.lists.contains_key(&length) {
            let fits = (1..=MAX_ELEMENTS).contains(&length)
                && column.lists.len() < MAX_LENGTHS
                && self.elements + length <= MAX_COLUMNS;
            if !fits {
                column.others += 1;
                return;
            }
            let lists = Lists {
                lengths: Numbers::default(),
                elements: vec![Numbers::default(); length],
            };
            column.lists.insert(length, lists);
            let before = self.most_numbers();
            self.elements += length;
            self.make_room(before);
        }
        let most = self.most_numbers();
        if let Some(lists) = self.columns[at].lists.get_mut(&length) {
            lists.lengths.push(vector::length(numbers), most);
            for (element, number) in lists.elements.iter_mut().zip(numbers) {
                element.push(*number, most.min(ELEMENT_NUMBERS));
            }
        }
    }

    fn most_numbers(&self) -> usize {
        most_numbers(self.columns.len() + self.elements)
    }

    /// There are more columns than when each might keep `before` numbers.
    fn make_room(&mut self, before: usize) {
        let most = self.most_numbers();
        if most < before {
            for column in &mut self.columns {
                column.numbers.thin(most);
                for lists in column.lists.values_mut() {
                    lists.lengths.thin(most);
                    let elements = lists.elements.iter_mut();
                    elements.for_each(|element| element.thin(most.min(ELEMENT_NUMBERS)));
                }
            }
        }
    }

    /// One more row.
    pub fn row(&mut self) {
        self.rows_more(1);
    }

    pub fn rows_more(&mut self, rows: u64) {
        self.rows += rows;
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn columns(&self) -> &[SampleColumn] {
        &self.columns
    }

    /// Values of columns beyond [`MAX_COLUMNS`].
    pub(crate) fn overflow(&self) -> u64 {
        self.overflow
    }

    fn add_column(&mut self, field: &Field, slot: usize, key: &str) -> usize {
        let (at, before) = (self.columns.len(), self.most_numbers());
        self.index[slot].insert(key.to_owned(), at);
        self.columns.push(SampleColumn {
            field: field.clone(),
            name: if field.is_of_features() {
                key.to_owned()
            } else {
                String::new()
            },
            nulls: 0,
            numbers: Numbers::default(),
            texts: Texts::default(),
            lists: BTreeMap::new(),
            trues: 0,
            falses: 0,
            others: 0,
        });
        self.make_room(before);
        at
    }
}

/// Which index a field is in, and its key there.
fn slot<'a>(field: &'a Field, name: &'a str) -> (usize, &'a str) {
    match field {
        Field::Feature | Field::Vector(_) | Field::Element(..) => (0, name),
        Field::Label => (1, ""),
        Field::Score(class) => (2, class),
        Field::Value => (3, ""),
        Field::Values(output) => (4, output),
        Field::Latency => (5, ""),
    }
}

/// Numbers that each of so many columns may keep. Changes only when the columns double, so that thinning is rare.
fn most_numbers(columns: usize) -> usize {
    (ALL_NUMBERS / columns.max(1).next_power_of_two()).min(MAX_NUMBERS)
}

/// The levels of consecutive places, kept for the next column: those of a file have the same places, batch by batch.
#[derive(Debug, Clone, Default)]
struct Places {
    first: u64,
    levels: Vec<u8>,
}

impl Places {
    fn levels(&mut self, first: u64, count: usize) -> &[u8] {
        if self.first != first || self.levels.len() < count {
            self.first = first;
            self.levels.clear();
            self.levels
                .extend((0..count).map(|place| level(first + place as u64)));
        }
        &self.levels[..count]
    }
}

/// A level is reached by half of the values that reach the one before.
fn level(place: u64) -> u8 {
    xxh3_64(&place.to_le_bytes()).trailing_zeros() as u8
}

impl Numbers {
    fn push(&mut self, number: f64, most: usize) {
        let level = level(self.seen);
        self.seen += 1;
        self.take(number, level, most);
    }

    fn extend(&mut self, numbers: &[f64], most: usize, places: &mut Places) {
        let levels = places.levels(self.seen, numbers.len());
        self.seen += numbers.len() as u64;
        for (&number, &level) in numbers.iter().zip(levels) {
            if level >= self.level || !number.is_finite() {
                self.take(number, level, most);
            }
        }
    }

    fn take(&mut self, number: f64, level: u8, most: usize) {
        match number {
            f64::INFINITY => self.positive_infinity += 1,
            f64::NEG_INFINITY => self.negative_infinity += 1,
            _ if number.is_nan() => self.nan += 1,
            _ => {
                // Room is made first: one value over a power of two would double the memory.
                if level >= self.level && self.finite.len() >= most {
                    self.thin(most - 1);
                }
                if level >= self.level {
                    self.finite.push(number + 0.0);
                    self.levels.push(level);
                }
            }
        }
    }

    fn thin(&mut self, most: usize) {
        while self.finite.len() > most {
            self.level += 1;
            let mut levels = self.levels.iter();
            self.finite
                .retain(|_| levels.next().is_some_and(|level| *level >= self.level));
            self.levels.retain(|level| *level >= self.level);
        }
    }
}

impl Texts {
    fn push(&mut self, text: &str, text_bytes: &mut usize) {
        if let Some(count) = self.counts.get_mut(text) {
            *count += 1;
            return;
        }
        let cost = text.len() + TEXT_OVERHEAD_BYTES;
        if text.len() > MAX_TEXT_BYTES
            || self.counts.len() >= MAX_DISTINCT
            || *text_bytes + cost > ALL_TEXT_BYTES
        {
            self.uncounted += 1;
        } else {
            *text_bytes += cost;
            self.counts.insert(text.to_owned(), 1);
        }
    }

    /// All texts, counted or not.
    pub fn seen(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.uncounted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: impl Iterator<Item = f64>) -> Sample {
        let mut sample = Sample::new();
        values.for_each(|value| sample.observe(&Field::Feature, "a", Observed::Number(value)));
        sample
    }

    #[test]
    fn numbers_beyond_the_bound_are_thinned_evenly() {
        let n = 3 * MAX_NUMBERS;
        let sample = numbers((0..n).map(|i| i as f64));
        let kept = &sample.columns()[0].numbers;
        assert_eq!(kept.seen, n as u64);
        assert_eq!(kept.level, 2);
        let expected = n as f64 / 4.0;
        assert!(
            (kept.finite.len() as f64 - expected).abs() < 5.0 * expected.sqrt(),
            "{}",
            kept.finite.len()
        );
        let median = kept.finite[kept.finite.len() / 2];
        assert!((median / n as f64 - 0.5).abs() < 0.005, "{median}");
    }

    #[test]
    fn numbers_together_are_kept_as_one_by_one() {
        let n = MAX_NUMBERS + MAX_NUMBERS / 2;
        let values: Vec<f64> = (0..n)
            .map(|i| match i % 97 {
                0 => f64::NAN,
                1 => f64::INFINITY,
                2 => f64::NEG_INFINITY,
                3 => -0.0,
                _ => i as f64,
            })
            .collect();
        let (mut single, mut together) = (Sample::new(), Sample::new());
        for name in ["a", "b"] {
            for (at, values) in values.chunks(8191).enumerate() {
                // The columns drift apart: b has three values less in every batch.
                let values = if name == "b" {
                    &values[3.min(at)..]
                } else {
                    values
                };
                together.observe_numbers(&Field::Feature, name, values, 2);
                for value in values {
                    single.observe(&Field::Feature, name, Observed::Number(*value));
                }
                for _ in 0..2 {
                    single.observe(&Field::Feature, name, Observed::Null);
                }
            }
        }
        for (one, other) in single.columns().iter().zip(together.columns()) {
            assert_eq!(one.nulls, other.nulls);
            let (one, other) = (&one.numbers, &other.numbers);
            assert_eq!(one.level, 1);
            assert_eq!(
                (
                    one.seen,
                    one.nan,
                    one.positive_infinity,
                    one.negative_infinity
                ),
                (
                    other.seen,
                    other.nan,
                    other.positive_infinity,
                    other.negative_infinity
                )
            );
            assert_eq!((one.level, &one.finite), (other.level, &other.finite));
        }
    }

    #[test]
    fn many_columns_share_the_bound() {
        assert_eq!(most_numbers(1), MAX_NUMBERS);
        assert_eq!(most_numbers(32), MAX_NUMBERS);
        assert_eq!(most_numbers(33), MAX_NUMBERS / 2);
        assert!(most_numbers(MAX_COLUMNS) * MAX_COLUMNS <= ALL_NUMBERS);
    }

    #[test]
    fn texts_beyond_the_bound_are_counted_together() {
        let mut sample = Sample::new();
        let mut observe = |text: &str| sample.observe(&Field::Feature, "a", Observed::Text(text));
        for i in 0..MAX_DISTINCT + 10 {
            observe(&format!("id{i}"));
        }
        observe("id0");
        observe(&"x".repeat(MAX_TEXT_BYTES + 1));
        let texts = &sample.columns()[0].texts;
        assert_eq!(texts.counts.len(), MAX_DISTINCT);
        assert_eq!(texts.counts["id0"], 2);
        assert_eq!(texts.uncounted, 11);
        assert_eq!(texts.seen(), MAX_DISTINCT as u64 + 12);
    }

    #[test]
    fn columns_beyond_the_bound_are_counted_only() {
        let mut sample = Sample::new();
        for i in 0..MAX_COLUMNS + 3 {
            sample.observe(&Field::Feature, &format!("f{i}"), Observed::Bool(true));
        }
        assert_eq!(sample.columns().len(), MAX_COLUMNS);
        assert_eq!(sample.overflow(), 3);
    }

    #[test]
    fn fields_of_the_same_name_are_kept_apart() {
        let mut sample = Sample::new();
        for field in [
            Field::Feature,
            Field::Score("a".into()),
            Field::Values("a".into()),
        ] {
            sample.observe(&field, "a", Observed::Number(1.0));
            sample.observe(&field, "a", Observed::Null);
        }
        assert_eq!(sample.columns().len(), 3);
        assert!(
            sample
                .columns()
                .iter()
                .all(|column| column.numbers.seen == 1 && column.nulls == 1)
        );
    }
}
