//! From a sample and the declared column rules to a layout.
//!
//! **Invariant:** columns stand in the order of (field, name) and everything else is chosen by value and frequency,
//! so a sample of the same rows in another order gives the same layout (as long as it stayed within its bounds).
//! Nothing that the sample showed vanishes: what is not watched is in `skipped`, with the reason.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::categorical::{MAX_TEXT_BYTES, category_text};
use super::distinct::lot;
use super::edges;
use super::glob;
use super::layout::{
    CategoricalCells, Cells, FORMAT, Field, Layout, LayoutColumn, MAX_CATEGORIES, MAX_EDGES,
};
use super::sample::{Lists, Numbers, Sample, SampleColumn};
use super::vector::ELEMENT_CELLS;

/// An identifier has more distinct texts than a layout has categories, and at least so many in ten are new.
const DISTINCT_TENTHS_OF_AN_IDENTIFIER: u64 = 9;
/// Or all of so many texts are different: 20 rows of 50 equally frequent categories are in 1.2 % of samples.
const ALL_DIFFERENT: u64 = 20;
/// What a declaration says about columns, checked. Names are the layout's column names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnRules {
    /// Only these features (globs); `None`: all. Predictions and latency are always included.
    pub include: Option<Vec<String>>,
    /// Not these columns (globs); stronger than `include`.
    pub exclude: Vec<String>,
    /// Categorical whatever the values look like.
    pub categorical: Vec<String>,
    /// Numeric whatever the values look like.
    pub numeric: Vec<String>,
    /// Declared domains; they also decide the type.
    pub domain: BTreeMap<String, Domain>,
}

/// The values that a column may have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Domain {
    /// Smallest and largest allowed number, both included.
    Range([f64; 2]),
    /// All allowed texts; at most [`MAX_CATEGORIES`], else the domain counts as open.
    Categories(Vec<String>),
}

impl Layout {
    /// The layout that fits a sample.
    ///
    /// A column is what the rules say; else numeric, categorical or a vector (see [`super::vector`]) as most of its values are. Numeric edges are the
    /// sample's quantiles at i/256, or each distinct value but the largest where there are at most 256. Categories
    /// are the 255 most frequent texts. Latency is always there, with fixed edges, so that it needs no data.
    pub fn learn(sample: &Sample, rules: &ColumnRules) -> Layout {
        let mut observed: Vec<&SampleColumn> = sample.columns().iter().collect();
        observed.sort_by(|a, b| (&a.field, &a.name).cmp(&(&b.field, &b.name)));
        let mut layout = Layout {
            format: FORMAT,
            columns: Vec::new(),
            skipped: Vec::new(),
        };
        for column in observed
            .into_iter()
            .filter(|column| column.field != Field::Latency)
        {
            let name = column.field.column_name(&column.name);
            let learned = refused(rules, &column.field, &name)
                .map_or_else(|| columns(column, rules, &name), Err);
            match learned {
                Ok(columns) => layout.columns.extend(columns),
                Err(why) => layout.skipped.push((name, why)),
            }
        }
        // Vectors and their elements come after what is one column.
        layout.columns.sort_by(|a, b| a.field.cmp(&b.field));
        layout.leave_out_taken_names();
        let latency = Field::Latency.column_name("");
        match refused(rules, &Field::Latency, &latency) {
            None => {
                let cells = Cells::Numeric(edges::latency(range_of(rules, &latency)));
                layout.columns.push(LayoutColumn {
                    name: latency,
                    field: Field::Latency,
                    cells,
                });
            }
            Some(why) => layout.skipped.push((latency, why)),
        }
        let declared = rules
            .categorical
            .iter()
            .chain(&rules.numeric)
            .chain(rules.domain.keys());
        for name in declared {
            let known = layout.columns.iter().map(|column| &column.name);
            if !known
                .chain(layout.skipped.iter().map(|(name, _)| name))
                .any(|other| other == name)
            {
                layout.skipped.push((
                    name.clone(),
                    "it is declared, but the sample does not have it".to_owned(),
                ));
            }
        }
        if sample.overflow() > 0 {
            layout.skipped.push((
                "*".to_owned(),
                "the sample has more columns than fit".to_owned(),
            ));
        }
        layout
    }

    /// Columns that were skipped because their sample had no value at all.
    pub fn without_values(&self) -> impl Iterator<Item = &str> {
        let silent = self.skipped.iter().filter(|(_, why)| why == NO_VALUE);
        silent.map(|(name, _)| name.as_str())
    }

    /// Takes the columns [`Layout::without_values`] from `other`, a layout of another sample, where that has values.
    pub fn take_values_from(&mut self, other: Layout) {
        let mut vectors: HashSet<String> = HashSet::new();
        for column in other.columns {
            let known = |(name, why): &(String, String)| *name == column.name && why == NO_VALUE;
            if let Some(at) = self.skipped.iter().position(known) {
                self.skipped.remove(at);
                vectors.insert(column.name.clone());
                self.columns.push(column);
            } else if let Field::Element(vector, _) = &column.field
                // Elements come after their vectors.
                && vectors.contains(vector)
            {
                self.columns.push(column);
            }
        }
        self.columns
            .sort_by(|a, b| (&a.field, &a.name).cmp(&(&b.field, &b.name)));
        self.leave_out_taken_names();
    }

    /// A feature may be called as an element of a vector is; the vector, which nobody named so, then gives way.
    fn leave_out_taken_names(&mut self) {
        let is_element = |column: &&LayoutColumn| matches!(column.field, Field::Element(..));
        let own = self.columns.iter().filter(|column| !is_element(column));
        let skipped = self.skipped.iter().map(|(name, _)| name);
        let names: HashSet<&String> = own.map(|column| &column.name).chain(skipped).collect();
        let elements = self.columns.iter().filter(is_element);
        let torn: BTreeSet<String> = elements
            .filter(|element| names.contains(&element.name))
            .filter_map(|element| match &element.field {
                Field::Element(vector, _) => Some(vector.clone()),
                _ => None,
            })
            .collect();
        self.columns.retain(|column| match &column.field {
            Field::Element(vector, _) => !torn.contains(vector),
            Field::Vector(_) => !torn.contains(&column.name),
            _ => true,
        });
        let why = "another feature is called as one of its elements would be";
        let torn = torn.into_iter().map(|name| (name, why.to_owned()));
        self.skipped.extend(torn);
    }
}

/// Why the rules leave a column out.
fn refused(rules: &ColumnRules, field: &Field, name: &str) -> Option<String> {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| glob::matches(pattern, name));
    if any(&rules.exclude) {
        return Some("the declaration excludes it".to_owned());
    }
    match &rules.include {
        Some(include) if *field == Field::Feature && !any(include) => {
            Some("the declaration does not include it".to_owned())
        }
        _ => None,
    }
}

fn range_of(rules: &ColumnRules, name: &str) -> Option<[f64; 2]> {
    match rules.domain.get(name) {
        // A limit of −0.0 is the same as 0.0.
        Some(Domain::Range([low, high])) => Some([low + 0.0, high + 0.0]),
        _ => None,
    }
}

/// What a feature that is a list becomes: its vector and the elements. `None`: it is no list of numbers.
fn vector(column: &SampleColumn, name: &str) -> Option<Result<Vec<LayoutColumn>, String>> {
    let lists = |lists: &Lists| lists.lengths.seen;
    let others =
        column.numbers.seen + column.texts.seen() + column.trues + column.falses + column.others;
    let all: u64 = column.lists.values().map(lists).sum();
    if all <= others {
        return None;
    }
    // Of equally frequent lengths the smallest.
    let usual = column.lists.iter().rev();
    let (length, usual) = usual.max_by_key(|(_, of_length)| lists(of_length))?;
    if lists(usual) * 2 <= all + others {
        return Some(Err(
            "its lists have different lengths, and no length is that of most".to_owned(),
        ));
    }
    let numeric = |numbers: &Numbers, most_cells| {
        let cells = edges::learned(&numbers.finite, None, most_cells);
        cells
            .map(Cells::Numeric)
            .ok_or_else(|| NO_NUMBER.to_owned())
    };
    let vector = |cells| LayoutColumn {
        name: name.to_owned(),
        field: Field::Vector(*length as u32),
        cells,
    };
    let element = |(place, numbers): (u32, &Numbers)| {
        let field = Field::Element(name.to_owned(), place);
        Ok(LayoutColumn {
            name: field.column_name(""),
            field,
            cells: numeric(numbers, ELEMENT_CELLS)?,
        })
    };
    let whole = numeric(&usual.lengths, MAX_EDGES + 1).map(vector);
    let elements = (0..).zip(&usual.elements).map(element);
    Some(std::iter::once(whole).chain(elements).collect())
}

/// The columns that a column of the sample becomes, or why it is not watched.
fn columns(
    column: &SampleColumn,
    rules: &ColumnRules,
    name: &str,
) -> Result<Vec<LayoutColumn>, String> {
    let named = |names: &[String]| names.iter().any(|other| other == name);
    let declared =
        rules.domain.contains_key(name) || named(&rules.categorical) || named(&rules.numeric);
    if column.field == Field::Feature
        && !declared
        && let Some(vector) = vector(column, name)
    {
        return vector;
    }
    let cells = cells(column, rules, name)?;
    Ok(vec![LayoutColumn {
        name: name.to_owned(),
        field: column.field.clone(),
        cells,
    }])
}

/// The column's cells, or why it is not watched.
fn cells(column: &SampleColumn, rules: &ColumnRules, name: &str) -> Result<Cells, String> {
    let declared = |names: &[String]| names.iter().any(|other| other == name);
    match rules.domain.get(name) {
        Some(Domain::Range(_)) => return numeric_cells(column, range_of(rules, name)),
        Some(Domain::Categories(categories)) => return Ok(closed_cells(column, categories)),
        None if declared(&rules.categorical) => return categorical_cells(column),
        None if declared(&rules.numeric) => return numeric_cells(column, None),
        None => {}
    }
    match column.field {
        Field::Label => categorical_cells(column),
        Field::Score(_) | Field::Value | Field::Values(_) | Field::Latency => {
            numeric_cells(column, None)
        }
        Field::Feature | Field::Vector(_) | Field::Element(..) => {
            let numbers = column.numbers.seen;
            // "NaN" among numbers is how some writers spell a number.
            let spelled: u64 = NUMBERS_IN_WORDS
                .iter()
                .filter_map(|word| column.texts.counts.get(*word))
                .sum();
            let texts = column.texts.seen() - if numbers > 0 { spelled } else { 0 };
            let categories = texts + column.trues + column.falses;
            let lists: u64 = column.lists.values().map(|lists| lists.lengths.seen).sum();
            if column.others + lists > numbers + categories {
                Err(NOT_A_VALUE.to_owned())
            } else if numbers + categories == 0 {
                Err(NO_VALUE.to_owned())
            } else if numbers >= categories {
                numeric_cells(column, None)
            } else {
                let distinct = column.texts.counts.len() as u64;
                let counted: u64 = column.texts.counts.values().sum();
                let identifies = distinct * 10 >= counted * DISTINCT_TENTHS_OF_AN_IDENTIFIER;
                let all_different = distinct == categories && distinct >= ALL_DIFFERENT;
                if all_different || distinct > MAX_CATEGORIES as u64 && identifies {
                    return Err("almost every value is new: it looks like an identifier".to_owned());
                }
                categorical_cells(column)
            }
        }
    }
}

/// Why a column is skipped of which all rows are null.
const NO_VALUE: &str = "the sample has no value of it";
const NOT_A_VALUE: &str = "objects are not watched, nor lists other than of numbers, all of one length, within the sample's bounds";
const NO_NUMBER: &str = "the sample has no usable number of it";
const NUMBERS_IN_WORDS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

fn numeric_cells(column: &SampleColumn, domain: Option<[f64; 2]>) -> Result<Cells, String> {
    let cells = edges::learned(&column.numbers.finite, domain, MAX_EDGES + 1);
    cells
        .map(Cells::Numeric)
        .ok_or_else(|| NO_NUMBER.to_owned())
}

/// How often each text was met, numbers and truth values as their texts.
fn frequencies(column: &SampleColumn) -> HashMap<String, u64> {
    let mut counts = column.texts.counts.clone();
    let numbers = &column.numbers;
    let weight = 1 << numbers.level;
    let finite = numbers.finite.iter().map(|x| (category_text(*x), weight));
    let others = [
        (category_text(f64::NAN), numbers.nan),
        (category_text(f64::INFINITY), numbers.positive_infinity),
        (category_text(f64::NEG_INFINITY), numbers.negative_infinity),
        ("true".to_owned(), column.trues),
        ("false".to_owned(), column.falses),
    ];
    for (text, count) in finite.chain(others).filter(|(_, count)| *count > 0) {
        *counts.entry(text).or_default() += count;
    }
    counts
}

fn by_frequency(mut counted: Vec<(String, u64)>) -> Vec<String> {
    // Of those that were met equally often at the end the lot decides: names may tell how frequent they will be.
    counted.sort_by_cached_key(|(text, count)| (Reverse(*count), lot(text)));
    counted.truncate(MAX_CATEGORIES);
    counted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counted.into_iter().map(|(text, _)| text).collect()
}

fn categorical_cells(column: &SampleColumn) -> Result<Cells, String> {
    let categories = by_frequency(frequencies(column).into_iter().collect());
    if categories.is_empty() {
        return Err("the sample has no usable text of it".to_owned());
    }
    Ok(Cells::Categorical(CategoricalCells {
        categories,
        closed: false,
    }))
}

fn closed_cells(column: &SampleColumn, declared: &[String]) -> Cells {
    let counts = frequencies(column);
    let mut names: Vec<&String> = declared
        .iter()
        .filter(|name| name.len() <= MAX_TEXT_BYTES)
        .collect();
    names.sort();
    names.dedup();
    let closed =
        names.len() <= MAX_CATEGORIES && declared.iter().all(|name| name.len() <= MAX_TEXT_BYTES);
    let counted = names
        .into_iter()
        .map(|name| (name.clone(), counts.get(name).copied().unwrap_or(0)));
    Cells::Categorical(CategoricalCells {
        categories: by_frequency(counted.collect()),
        closed,
    })
}

#[cfg(test)]
#[path = "learn_tests.rs"]
mod tests;
