use proptest::prelude::*;

use super::*;
use crate::learn::fixture::{late, numbers, three_classes, words};

#[test]
fn few_values_are_all_told_apart() {
    let cells = Cells::of(&[vec![5.0, 1.0, 3.0, 1.0]]);
    assert_eq!(cells.cuts, [vec![2.0, 4.0]]);
    assert_eq!(cells.codes, [vec![2, 0, 1, 0]]);
    assert_eq!(
        Cells::of(&[vec![7.0; 9]]).cuts,
        [Vec::<f64>::new()],
        "a constant has no cut"
    );
}

#[test]
fn many_values_fall_into_cells_of_about_equally_many_rows() {
    let cells = Cells::of(&[(0..6_400)
        .map(|row| f64::from(row).exp2().min(1e99))
        .collect()]);
    assert!(cells.cuts[0].len() < MOST_CELLS);
    let even = Cells::of(&[(0..6_400).map(f64::from).collect()]);
    let mut rows = [0; MOST_CELLS];
    even.codes[0]
        .iter()
        .for_each(|&code| rows[usize::from(code)] += 1);
    assert!(
        rows.iter().all(|rows| (99..=101).contains(rows)),
        "{rows:?}"
    );
}

#[test]
fn neighbouring_floats_can_be_cut() {
    let next = 1.0 + f64::EPSILON;
    let cells = Cells::of(&[vec![1.0, next]]);
    assert_eq!(cells.cuts, [vec![1.0]]);
    assert_eq!(cells.codes, [vec![0, 1]]);
}

proptest! {
    #[test]
    fn a_cell_and_its_cut_say_the_same(values in prop::collection::vec(-1e3..1e3_f64, 1..300)) {
        let cells = Cells::of(std::slice::from_ref(&values));
        prop_assert!(cells.cuts[0].is_sorted_by(|a, b| a < b));
        for (value, &code) in values.iter().zip(&cells.codes[0]) {
            for (cell, cut) in cells.cuts[0].iter().enumerate() {
                prop_assert_eq!(value <= cut, usize::from(code) <= cell);
            }
        }
    }
}

#[test]
fn a_category_becomes_its_mean_drawn_to_the_overall_mean() {
    // 60 rows of `a`, all late, and 20 of `b`, none: overall 0.75.
    let table = words(
        "c",
        std::iter::repeat_n("a", 60).chain(std::iter::repeat_n("b", 20)),
    );
    let target = late((0..80).map(|row| row < 60).collect());
    let encoding = Ordered::fit(&table, &target).expect("the column varies");
    let columns = encoding
        .columns(&words("c", ["a", "b", "new", ""]))
        .expect("the same column");
    let a = (60.0 + 20.0 * 0.75) / 80.0;
    let b = (0.0 + 20.0 * 0.75) / 40.0;
    for (found, expected) in columns[0].iter().zip([a, b, 0.75, 0.75]) {
        assert!((found - expected).abs() < 1e-15, "{columns:?}");
    }
}

#[test]
fn each_class_has_a_mean_of_its_own_and_two_share_one() {
    let (table, target) = three_classes(400, 1);
    // temp and whether it is missing, wind; day and carrier three times each.
    let encoding = Ordered::fit(&table, &target).expect("the columns vary");
    assert_eq!(encoding.width(), 9);
    let target = late((0..400).map(|row| row % 2 == 0).collect());
    let encoding = Ordered::fit(&table, &target).expect("the columns vary");
    assert_eq!(encoding.width(), 5);
    let columns = encoding
        .columns(&numbers("elsewhere", [0.0]))
        .expect("missing columns are none");
    assert_eq!(columns.len(), 5);
    assert!(columns.iter().flatten().all(|value| value.is_finite()));
}
