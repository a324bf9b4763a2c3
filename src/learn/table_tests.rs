use super::*;
use crate::learn::fixture::{late, numbers};

#[test]
fn columns_of_unequal_length_and_doubled_names_are_refused() {
    let mut table = numbers("temp", [1.0, 2.0]);
    assert_eq!(table.check(), Ok(()));
    table.names.push("wind".to_owned());
    assert_eq!(
        table.check().map_err(|error| error.to_string()),
        Err("2 names for 1 columns; give each column one name".to_owned())
    );
    table.columns.push(Column::Numeric(vec![1.0]));
    assert_eq!(
        table.check().map_err(|error| error.to_string()),
        Err(
            "column `wind` has 1 rows where the first column has 2; all columns need the same rows"
                .to_owned()
        )
    );
    table.columns[1] = Column::Categorical(vec![None, None]);
    assert_eq!(table.check(), Ok(()));
    table.names[1] = "temp".to_owned();
    assert_eq!(table.check(), Err(LearnError::NameTwice("temp".to_owned())));
}

#[test]
fn rows_can_be_taken_in_any_order() {
    let table = numbers("temp", [1.0, 2.0, 3.0]);
    assert_eq!(table.take(&[2, 0, 0]), numbers("temp", [3.0, 1.0, 1.0]));
    assert_eq!(late(vec![true, false]).take(&[1]), late(vec![false]));
}

#[test]
fn a_target_that_teaches_nothing_is_refused() {
    let refusal = |target: Target| target.check().map_err(|error| error.to_string());
    assert_eq!(late(vec![]).check(), Err(LearnError::NoRows));
    assert_eq!(
        refusal(late(vec![true; 3])),
        Err(
            "every row is of the class `late`; a model needs rows of at least two classes"
                .to_owned()
        )
    );
    assert_eq!(
        late(vec![false]).check(),
        Err(LearnError::OneClass("on time".to_owned()))
    );
    assert_eq!(late(vec![false, true]).check(), Ok(()));

    let classes = |classes: &[&str], class: Vec<u32>| Target::Multiclass {
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
        class,
    };
    assert_eq!(classes(&["a", "b"], vec![0, 1]).check(), Ok(()));
    assert_eq!(
        classes(&["a", "b"], vec![1, 1]).check(),
        Err(LearnError::OneClass("b".to_owned()))
    );
    assert_eq!(
        refusal(classes(&["a", "b"], vec![0, 2])),
        Err(
            "row 1 is of class number 2, but there are only 2 classes; number them from 0"
                .to_owned()
        )
    );
    assert_eq!(
        classes(&["a", "a"], vec![0, 1]).check(),
        Err(LearnError::ClassTwice("a".to_owned()))
    );

    assert_eq!(Target::Regression(vec![1.0, 1.0]).check(), Ok(()));
    for value in [f64::NAN, f64::INFINITY, -1e101] {
        assert!(
            Target::Regression(vec![0.0, value]).check().is_err(),
            "{value}"
        );
    }
}
