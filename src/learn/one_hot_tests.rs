use ndarray::array;

use super::*;
use crate::learn::fixture::{flights, numbers};
use crate::learn::table::Column;

fn small() -> Table {
    Table {
        names: vec!["x".to_owned(), "c".to_owned()],
        columns: vec![
            Column::Numeric(vec![1.0, 3.0, f64::NAN, f64::NAN]),
            Column::Categorical(
                ["a", "b", "b", "a"]
                    .map(|text| Some(text.to_owned()))
                    .to_vec(),
            ),
        ],
    }
}

#[test]
fn a_row_becomes_standard_scores_and_one_one_a_category() {
    let encoding = OneHot::fit(&small()).expect("both columns vary");
    assert_eq!(
        encoding.names(),
        ["x", "x missing", "c=a", "c=b", "c other"]
    );
    assert_eq!(encoding.width(), 5);
    // Filled with the median 2: mean 2, deviation √½.
    let unit = 2.0_f64.sqrt();
    let expected = array![
        [-unit, 0.0, 1.0, 0.0, 0.0],
        [unit, 0.0, 0.0, 1.0, 0.0],
        [0.0, 1.0, 0.0, 1.0, 0.0],
        [0.0, 1.0, 1.0, 0.0, 0.0],
    ];
    let found = encoding.matrix(&small()).expect("the same table");
    assert!(
        found
            .iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() < 1e-15),
        "{found}"
    );
}

#[test]
fn a_number_far_away_is_cut_off() {
    let encoding = OneHot::fit(&numbers("x", [0.0, 2.0])).expect("the column varies");
    let far = encoding.matrix(&numbers("x", [11.0, 9_999.0, -1e99, 1e99]));
    assert_eq!(
        far.expect("the same column"),
        array![[10.0], [10.0], [-10.0], [10.0]]
    );
}

#[test]
fn scores_are_the_product_with_the_matrix() {
    let (table, _) = flights(500, 3);
    let encoding = OneHot::fit(&table).expect("the columns vary");
    let weights: Vec<f64> = (0..encoding.width())
        .map(|place| (place as f64).sin())
        .collect();
    let product = encoding
        .matrix(&table)
        .expect("the same table")
        .dot(&ndarray::aview1(&weights));
    let scores = encoding
        .scores(&table, 0.25, &weights)
        .expect("the same table");
    for (score, product) in scores.iter().zip(product) {
        assert!((score - 0.25 - product).abs() < 1e-12);
    }
}

#[test]
fn tiny_and_huge_spreads_stay_finite() {
    for values in [[1e-300, 3e-300], [-1e100, 1e100], [1.0, 1.0 + f64::EPSILON]] {
        let table = numbers("x", values);
        let encoding = OneHot::fit(&table).expect("the column varies");
        let matrix = encoding.matrix(&table).expect("the same table");
        assert!(
            matrix.iter().all(|value| value.abs() <= FARTHEST),
            "{values:?}: {matrix}"
        );
        assert!(encoding.is_sound(), "{values:?}");
    }
}
