//! From a sample and the declared column rules to a layout.
//!
//! **Invariant:** columns stand in the order of (field, name) and everything else is chosen by value and frequency,
//! so a sample of the same rows in another order gives the same layout (as long as it stayed within its bounds).
//! Nothing that the sample showed vanishes: what is not watched is in `skipped`, with the reason.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::categorical::{MAX_TEXT_BYTES, category_text};
use super::edges;
use super::glob;
use super::layout::{CategoricalCells, Cells, FORMAT, Field, Layout, LayoutColumn, MAX_CATEGORIES};
use super::sample::{Sample, SampleColumn};

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
    /// A column is what the rules say; else numeric or categorical as most of its values are. Numeric edges are the
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
            match refused(rules, &column.field, &name)
                .map_or_else(|| cells(column, rules, &name), Err)
            {
                Ok(cells) => layout.columns.push(LayoutColumn {
                    name,
                    field: column.field.clone(),
                    cells,
                }),
                Err(why) => layout.skipped.push((name, why)),
            }
        }
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
        for column in other.columns {
            let known = |(name, why): &(String, String)| *name == column.name && why == NO_VALUE;
            if let Some(at) = self.skipped.iter().position(known) {
                self.skipped.remove(at);
                self.columns.push(column);
            }
        }
        self.columns
            .sort_by(|a, b| (&a.field, &a.name).cmp(&(&b.field, &b.name)));
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
        Field::Feature => {
            let numbers = column.numbers.seen;
            // "NaN" among numbers is how some writers spell a number.
            let spelled: u64 = NUMBERS_IN_WORDS
                .iter()
                .filter_map(|word| column.texts.counts.get(*word))
                .sum();
            let texts = column.texts.seen() - if numbers > 0 { spelled } else { 0 };
            let categories = texts + column.trues + column.falses;
            if column.others > numbers + categories {
                Err("lists and objects are not watched".to_owned())
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
const NUMBERS_IN_WORDS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

fn numeric_cells(column: &SampleColumn, domain: Option<[f64; 2]>) -> Result<Cells, String> {
    let cells = edges::learned(&column.numbers.finite, domain);
    cells
        .map(Cells::Numeric)
        .ok_or_else(|| "the sample has no usable number of it".to_owned())
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
    counted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counted.truncate(MAX_CATEGORIES);
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
mod tests {
    use super::*;
    use crate::profile::NumericCells;
    use crate::profile::sample::Observed;
    use proptest::prelude::*;

    fn sample(values: &[(&str, Observed<'_>)]) -> Sample {
        let mut sample = Sample::new();
        values
            .iter()
            .for_each(|(name, value)| sample.observe(&Field::Feature, name, *value));
        sample
    }

    fn numbers(numbers: impl IntoIterator<Item = f64>) -> Sample {
        let values: Vec<_> = numbers
            .into_iter()
            .map(|x| ("a", Observed::Number(x)))
            .collect();
        sample(&values)
    }

    fn only_features() -> ColumnRules {
        ColumnRules {
            exclude: vec!["latency_ms".into()],
            ..ColumnRules::default()
        }
    }

    #[track_caller]
    fn numeric(sample: &Sample, rules: &ColumnRules) -> NumericCells {
        let layout = Layout::learn(sample, rules);
        layout.check().expect("a learned layout keeps its promises");
        match layout.columns.into_iter().next().map(|column| column.cells) {
            Some(Cells::Numeric(cells)) => cells,
            other => panic!("not numeric: {other:?}"),
        }
    }

    #[track_caller]
    fn categories(sample: &Sample, rules: &ColumnRules) -> Vec<String> {
        match Layout::learn(sample, rules)
            .columns
            .into_iter()
            .next()
            .map(|column| column.cells)
        {
            Some(Cells::Categorical(cells)) => cells.categories,
            other => panic!("not categorical: {other:?}"),
        }
    }

    #[track_caller]
    fn skipped(sample: &Sample, rules: &ColumnRules, why: &str) {
        let layout = Layout::learn(sample, rules);
        assert_eq!(layout.columns, []);
        assert_eq!(
            layout
                .skipped
                .first()
                .map(|(name, why)| (name.as_str(), why.as_str())),
            Some(("a", why))
        );
    }

    #[test]
    fn a_declared_range_bounds_the_sample() {
        let rules = ColumnRules {
            domain: [("a".to_owned(), Domain::Range([-0.0, 10.0]))].into(),
            ..only_features()
        };
        let cells = numeric(&numbers([-5.0, 1.0, 2.0, 3.0, 99.0]), &rules);
        assert_eq!(
            (cells.edges, cells.domain, cells.center),
            (vec![1.0, 2.0], Some([0.0, 10.0]), 2.0)
        );
    }

    #[test]
    fn a_column_without_values_can_get_them_from_another_sample() {
        use Observed::{Null, Number, Text};
        let ours = sample(&[("z", Number(1.0)), ("a", Null), ("b", Null), ("c", Null)]);
        let mut layout = Layout::learn(&ours, &only_features());
        let silent: Vec<&str> = layout.without_values().collect();
        assert_eq!(silent, ["a", "b", "c"]);
        let theirs = sample(&[
            ("z", Text("q")),
            ("a", Text("x")),
            ("b", Number(2.0)),
            ("c", Null),
        ]);
        layout.take_values_from(Layout::learn(&theirs, &only_features()));
        layout.check().expect("a layout keeps its promises");
        let names: Vec<&str> = layout.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "z"]);
        assert!(matches!(layout.columns[2].cells, Cells::Numeric(_)));
        assert_eq!(layout.without_values().collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn a_short_column_of_which_no_value_comes_twice_is_an_identifier() {
        let texts: Vec<String> = (0..200).map(|i| format!("id-{i}")).collect();
        let of = |names: &[String]| {
            let values: Vec<_> = names
                .iter()
                .map(|name| ("a", Observed::Text(name)))
                .collect();
            sample(&values)
        };
        let why = "almost every value is new: it looks like an identifier";
        skipped(&of(&texts), &only_features(), why);
        skipped(&of(&texts[..20]), &only_features(), why);
        // One that comes again, or too few to say.
        let mut again = texts.clone();
        again.push("id-7".to_owned());
        assert_eq!(categories(&of(&again), &only_features()).len(), 200);
        assert_eq!(categories(&of(&texts[..19]), &only_features()).len(), 19);
        let declared = ColumnRules {
            categorical: vec!["a".into()],
            ..only_features()
        };
        assert_eq!(categories(&of(&texts), &declared).len(), 200);
    }

    #[test]
    fn categories_stand_by_frequency_then_name() {
        use Observed::{Bool, Number, Text};
        let values = [
            ("a", Text("b")),
            ("a", Text("c")),
            ("a", Text("c")),
            ("a", Text("a")),
            ("a", Bool(true)),
        ];
        assert_eq!(
            categories(&sample(&values), &only_features()),
            ["c", "a", "b", "true"]
        );
        let rules = ColumnRules {
            categorical: vec!["a".into()],
            ..only_features()
        };
        let values = [
            ("a", Number(10025.0)),
            ("a", Number(0.5)),
            ("a", Number(10025.0)),
            ("a", Number(-0.0)),
        ];
        assert_eq!(categories(&sample(&values), &rules), ["10025", "0", "0.5"]);
        let domain = Domain::Categories(vec!["z".into(), "c".into(), "z".into(), "b".into()]);
        let rules = ColumnRules {
            domain: [("a".to_owned(), domain)].into(),
            ..only_features()
        };
        assert_eq!(
            categories(&sample(&[("a", Text("c")), ("a", Text("q"))]), &rules),
            ["c", "b", "z"]
        );
    }

    #[test]
    fn what_is_not_watched_is_named() {
        use Observed::{Null, Number, Other, Text};
        let rules = only_features();
        skipped(
            &sample(&[("a", Null)]),
            &rules,
            "the sample has no value of it",
        );
        skipped(
            &sample(&[("a", Number(f64::NAN))]),
            &rules,
            "the sample has no usable number of it",
        );
        skipped(
            &sample(&[("a", Other), ("a", Other), ("a", Number(1.0))]),
            &rules,
            "lists and objects are not watched",
        );
        let excluding = ColumnRules {
            exclude: vec!["*".into()],
            ..ColumnRules::default()
        };
        skipped(
            &sample(&[("a", Text("x"))]),
            &excluding,
            "the declaration excludes it",
        );
        let including = ColumnRules {
            include: Some(vec!["b*".into()]),
            ..rules
        };
        skipped(
            &sample(&[("a", Text("x"))]),
            &including,
            "the declaration does not include it",
        );
        let declared = ColumnRules {
            numeric: vec!["a".into()],
            ..only_features()
        };
        let layout = Layout::learn(&sample(&[]), &declared);
        assert!(layout.skipped.contains(&(
            "a".into(),
            "it is declared, but the sample does not have it".into()
        )));
    }

    #[test]
    fn identifiers_are_skipped_and_large_vocabularies_are_not() {
        let texts: Vec<String> = (0..3000).map(|i| format!("id{i}")).collect();
        let values: Vec<_> = texts
            .iter()
            .map(|text| ("a", Observed::Text(text)))
            .collect();
        skipped(
            &sample(&values),
            &only_features(),
            "almost every value is new: it looks like an identifier",
        );
        let often: Vec<_> = (0..5)
            .flat_map(|_| values.iter().take(600).copied())
            .collect();
        assert_eq!(
            categories(&sample(&often), &only_features()).len(),
            MAX_CATEGORIES
        );
        let declared = ColumnRules {
            categorical: vec!["a".into()],
            ..only_features()
        };
        assert_eq!(
            categories(&sample(&values), &declared).len(),
            MAX_CATEGORIES
        );
    }

    #[test]
    fn a_quoted_nan_among_numbers_is_a_number() {
        use Observed::{Number, Text};
        let values = [("a", Text("NaN")), ("a", Text("NaN")), ("a", Number(1.0))];
        assert_eq!(numeric(&sample(&values), &only_features()).edges, [0.0; 0]);
    }

    #[test]
    fn columns_stand_in_the_order_of_fields_and_latency_is_always_there() {
        let mut sample = Sample::new();
        for field in [
            Field::Latency,
            Field::Value,
            Field::Score("up".into()),
            Field::Label,
        ] {
            sample.observe(&field, "", Observed::Number(1.0));
        }
        for name in ["b", "latency_ms", "a"] {
            sample.observe(&Field::Feature, name, Observed::Number(1.0));
        }
        let include = ColumnRules {
            include: Some(vec!["a".into(), "features.*".into()]),
            ..ColumnRules::default()
        };
        let layout = Layout::learn(&sample, &include);
        let names: Vec<&str> = layout
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let expected = [
            "a",
            "features.latency_ms",
            "prediction.label",
            "prediction.scores.up",
            "prediction.value",
            "latency_ms",
        ];
        assert_eq!(names, expected);
        assert!(
            matches!(&layout.columns[2].cells, Cells::Categorical(cells) if cells.categories == ["1"])
        );
        assert_eq!(
            Layout::learn(&Sample::new(), &ColumnRules::default())
                .columns
                .len(),
            1
        );
    }

    proptest! {
        #[test]
        fn the_order_of_rows_does_not_change_the_layout(
            (rows, shuffled) in prop::collection::vec((0usize..3, -5i32..300, "[a-c]{0,2}"), 0..200)
                .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        ) {
            let learn = |rows: &[(usize, i32, String)]| {
                let mut sample = Sample::new();
                for (column, number, text) in rows {
                    match column {
                        0 => sample.observe(&Field::Feature, "x", Observed::Number(f64::from(*number) / 7.0)),
                        1 => sample.observe(&Field::Feature, "c", Observed::Text(text)),
                        _ => sample.observe(&Field::Score(text.clone()), "", Observed::Number(f64::from(*number))),
                    }
                    sample.row();
                }
                Layout::learn(&sample, &ColumnRules::default())
            };
            let layout = learn(&rows);
            prop_assert!(layout.check().is_ok());
            prop_assert_eq!(learn(&shuffled).hash(), layout.hash());
        }
    }
}
