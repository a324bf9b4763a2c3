//! What a sample becomes, and what the order of its rows does not change.

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
        "objects are not watched, nor lists other than of numbers, all of one length, within the sample's bounds",
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

#[test]
fn lists_of_one_length_are_a_vector() {
    use Observed::{Null, Numbers, Other};
    let lists: Vec<[f64; 2]> = (0..100)
        .map(|i| [f64::from(i), 100.0 - f64::from(i)])
        .collect();
    let mut values: Vec<(&str, Observed<'_>)> =
        lists.iter().map(|list| ("a", Numbers(list))).collect();
    values.extend([
        ("a", Null),
        ("a", Other),
        ("a", Numbers(&[1.0])),
        ("a", Numbers(&[f64::NAN, f64::INFINITY])),
    ]);
    let learned = Layout::learn(&sample(&values), &only_features());
    learned
        .check()
        .expect("a learned layout keeps its promises");
    let names: Vec<&str> = learned.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["a", "a[0]", "a[1]"]);
    assert_eq!(learned.columns[0].field, Field::Vector(2));
    let edges = |place: usize| match &learned.columns[place].cells {
        Cells::Numeric(cells) => cells.edges.clone(),
        Cells::Categorical(_) => panic!("not numeric"),
    };
    assert!(
        edges(0).len() > 30,
        "lengths have fine cells: {:?}",
        edges(0)
    );
    assert_eq!(edges(1), [12.0, 24.0, 37.0, 49.0, 62.0, 74.0, 87.0]);
    assert!(!learned.skipped.iter().any(|(name, _)| name == "a"));
    values.reverse();
    assert_eq!(Layout::learn(&sample(&values), &only_features()), learned);
}

#[test]
fn lists_that_are_no_vector_say_why() {
    use Observed::{Number, Numbers, Text};
    let ragged = [
        ("a", Numbers(&[1.0][..])),
        ("a", Numbers(&[1.0, 2.0])),
        ("a", Numbers(&[1.0, 2.0, 3.0])),
    ];
    let why = "its lists have different lengths, and no length is that of most";
    skipped(&sample(&ragged), &only_features(), why);
    let never = [("a", Numbers(&[1.0, f64::NAN][..]))];
    skipped(
        &sample(&never),
        &only_features(),
        "the sample has no usable number of it",
    );
    let list = [1.0; 5_000];
    skipped(
        &sample(&[("a", Numbers(&list))]),
        &only_features(),
        "objects are not watched, nor lists other than of numbers, all of one length, within the sample's bounds",
    );
    let declared = ColumnRules {
        categorical: vec!["a".into()],
        ..only_features()
    };
    skipped(
        &sample(&[("a", Numbers(&[1.0]))]),
        &declared,
        "the sample has no usable text of it",
    );
    // Mostly numbers: a list among them is of the wrong type.
    let numbers = [
        ("a", Number(1.0)),
        ("a", Number(2.0)),
        ("a", Numbers(&[1.0])),
    ];
    assert_eq!(numeric(&sample(&numbers), &only_features()).edges, [1.0]);
    let texts = [("a", Text("x")), ("a", Text("x")), ("a", Numbers(&[1.0]))];
    assert_eq!(categories(&sample(&texts), &only_features()), ["x"]);
}

#[test]
fn a_vector_gives_way_to_features_that_are_called_as_its_elements() {
    use Observed::{Number, Numbers};
    let values = [("a", Numbers(&[1.0, 2.0][..])), ("a[1]", Number(1.0))];
    let layout = Layout::learn(&sample(&values), &only_features());
    layout.check().expect("a learned layout keeps its promises");
    let names: Vec<&str> = layout.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["a[1]"]);
    let why = "another feature is called as one of its elements would be";
    assert!(layout.skipped.contains(&("a".to_owned(), why.to_owned())));
}

#[test]
fn a_vector_without_values_comes_from_another_sample_as_a_whole() {
    use Observed::{Null, Numbers};
    let mut layout = Layout::learn(&sample(&[("a", Null), ("b", Null)]), &only_features());
    let theirs = [("a", Numbers(&[1.0, 2.0][..])), ("b", Null)];
    layout.take_values_from(Layout::learn(&sample(&theirs), &only_features()));
    layout.check().expect("a layout keeps its promises");
    let names: Vec<&str> = layout.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["a", "a[0]", "a[1]"]);
}

#[test]
fn lists_stay_within_their_bounds() {
    use crate::profile::sample::{MAX_COLUMNS, MAX_LENGTHS};
    let mut sample = Sample::new();
    for length in 1..=MAX_LENGTHS + 3 {
        let list = vec![1.0; length];
        sample.observe(&Field::Feature, "ragged", Observed::Numbers(&list));
    }
    let ragged = &sample.columns()[0];
    assert_eq!((ragged.lists.len(), ragged.others), (MAX_LENGTHS, 3));
    let wide = vec![1.0; 4_096];
    for name in ["a", "b", "c"] {
        sample.observe(&Field::Feature, name, Observed::Numbers(&wide));
    }
    let kept: usize = sample
        .columns()
        .iter()
        .flat_map(|column| column.lists.values())
        .map(|lists| lists.elements.len())
        .sum();
    assert!(kept <= MAX_COLUMNS, "{kept}");
    // What does not fit is counted, and no scalar column lacks room for it.
    assert_eq!(sample.columns()[3].others, 1);
    sample.observe(&Field::Feature, "x", Observed::Number(1.0));
    assert_eq!(sample.columns()[4].numbers.seen, 1);
}
