use super::*;
use crate::learn::fixture::{numbers, words};

fn fit(table: &Table) -> Option<Feature> {
    Feature::fit(&table.names[0], &table.columns[0])
}

fn fill(values: &[f64]) -> Option<(f64, bool)> {
    match fit(&numbers("x", values.iter().copied()))?.values {
        Values::Numeric { fill, tell_missing } => Some((fill, tell_missing)),
        Values::Categorical { .. } => None,
    }
}

#[test]
fn a_gap_in_numbers_is_filled_with_the_median() {
    assert_eq!(fill(&[3.0, 1.0, 2.0]), Some((2.0, false)));
    assert_eq!(fill(&[4.0, 1.0, 2.0, 3.0]), Some((2.5, false)));
    assert_eq!(
        fill(&[1.0, f64::NAN, 3.0, 9.0]),
        Some((3.0, false)),
        "one gap is told nothing"
    );
    assert_eq!(fill(&[1.0, f64::NAN, 3.0, f64::NAN]), Some((2.0, true)));
    assert_eq!(
        fill(&[1e100, 1e100, -1e100]),
        Some((1e100, false)),
        "no overflow"
    );
}

#[test]
fn infinities_and_numbers_without_a_square_count_as_missing() {
    for odd in [f64::INFINITY, f64::NEG_INFINITY, 1e101, -1e300] {
        assert_eq!(fill(&[1.0, odd, 3.0, odd]), Some((2.0, true)), "{odd}");
    }
    let feature = fit(&numbers("x", [1.0, 2.0, 3.0])).expect("the column varies");
    assert_eq!(
        feature.complete(&numbers("x", [f64::INFINITY, 1e300, 7.0])),
        Ok(Complete::Numeric {
            values: vec![2.0, 2.0, 7.0],
            missing: vec![true, true, false],
        })
    );
}

#[test]
fn a_column_that_cannot_teach_is_left_out() {
    assert_eq!(fill(&[f64::NAN; 50]), None, "all missing");
    assert_eq!(fill(&[4.0; 50]), None, "constant");
    assert_eq!(
        fill(&[4.0, f64::NAN]),
        None,
        "constant, with too few gaps to count"
    );
    assert_eq!(
        fill(&[4.0, f64::NAN, f64::NAN]),
        Some((4.0, true)),
        "its gaps may teach"
    );
    assert_eq!(fit(&words("x", ["a"; 9])), None);
    assert_eq!(fit(&words("x", [""; 9])), None);
    assert_eq!(fit(&words("x", ["a", "b", "c"])), None, "all of them rare");
    let table = numbers("x", [4.0, 4.0]);
    assert_eq!(fit_all(&table), Err(LearnError::NothingVaries));
}

#[test]
fn rare_unseen_and_missing_categories_find_a_place() {
    let mut seen = vec!["rare", "b", "a", "b", "a", "b"];
    let places = |seen: &[&str], asked: &[&str]| {
        let feature = fit(&words("x", seen.iter().copied())).expect("the column varies");
        let found = feature.complete(&words("x", asked.iter().copied()));
        (feature.places(), found.expect("the column is there"))
    };
    let asked = ["a", "b", "rare", "new", ""];
    assert_eq!(
        places(&seen, &asked),
        (3, Complete::Places(vec![0, 1, 2, 2, 2]))
    );
    // With two gaps, missing gets a place of its own before `other`.
    seen.extend(["", ""]);
    assert_eq!(
        places(&seen, &asked),
        (4, Complete::Places(vec![0, 1, 3, 3, 2]))
    );
}

#[test]
fn a_category_needs_twenty_rows_of_a_long_table() {
    let column = |rows_of_b: usize| {
        let others = std::iter::repeat_n("a", 5_000 - rows_of_b);
        fit(&words(
            "x",
            std::iter::repeat_n("b", rows_of_b).chain(others),
        ))
    };
    let places = |rows| column(rows).map(|feature| feature.places());
    assert_eq!(places(20), Some(3), "a, b and other");
    assert_eq!(places(19), Some(2), "a and other");
}

#[test]
fn ten_thousand_categories_stay_bounded_and_the_most_frequent_keep_their_place() {
    let names: Vec<String> = (0..10_000).map(|number| format!("c{number:05}")).collect();
    // Twenty rows each, and one more for every fiftieth: 200 of those compete for 128 places.
    let mut rows: Vec<&str> = Vec::new();
    for (number, name) in names.iter().enumerate() {
        rows.extend(std::iter::repeat_n(
            name.as_str(),
            20 + usize::from(number % 50 == 0),
        ));
    }
    let feature = fit(&words("x", rows)).expect("the column varies");
    assert_eq!(feature.places(), MOST_LEVELS + 1);
    let Values::Categorical { levels, .. } = feature.values else {
        panic!("the column is categorical")
    };
    let expected: Vec<String> = (0..128)
        .map(|number| format!("c{:05}", number * 50))
        .collect();
    assert_eq!(levels, expected);
}

#[test]
fn a_column_that_is_not_there_is_missing_and_one_of_another_kind_is_refused() {
    let number = fit(&numbers("x", [1.0, 2.0, 3.0])).expect("the column varies");
    let word = fit(&words("x", ["a", "a", "b", "b"])).expect("the column varies");
    let elsewhere = numbers("y", [0.0, 0.0]);
    assert_eq!(
        number.complete(&elsewhere),
        Ok(Complete::Numeric {
            values: vec![2.0, 2.0],
            missing: vec![true, true],
        })
    );
    assert_eq!(word.complete(&elsewhere), Ok(Complete::Places(vec![2, 2])));
    let refusal = number
        .complete(&words("x", ["a"]))
        .expect_err("words are no numbers");
    assert_eq!(
        refusal.to_string(),
        "column `x` is categorical, but the model was fitted on a numeric column of that name; send it as numeric"
    );
    assert!(word.complete(&numbers("x", [1.0])).is_err());
}
