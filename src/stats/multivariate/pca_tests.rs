//! What PCA makes of rows that follow from each other, of constants and of anything else.

use proptest::prelude::*;

use super::super::testing::normal_rows;
use super::*;

#[test]
fn all_components_reconstruct_everything() {
    let sample = normal_rows(50, 4, 1);
    let fitted = Pca::fit(&sample, Components::Count(4)).expect("rows");
    assert!((fitted.explained_shares().iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let found = fitted.score(&normal_rows(20, 4, 2)).expect("rows");
    assert!(found.mean_euclidean < 1e-12 && found.mean_squared < 1e-24);
    assert_eq!(found.rows, 20);
}

#[test]
fn a_share_keeps_the_fewest_that_exceed_it() {
    // Four columns in two equal pairs: two directions of a half each, but for the sample's own correlation.
    let values = normal_rows(4_000, 2, 3);
    let doubled = values
        .each_row()
        .flat_map(|row| [row[0], row[0], row[1], row[1]]);
    let sample = Matrix::new(4, doubled.collect()).expect("rows");
    let kept = |share| {
        Pca::fit(&sample, Components::Share(share))
            .expect("rows")
            .components()
    };
    assert_eq!((kept(0.3), kept(0.6), kept(0.9)), (1, 2, 2));
}

#[test]
fn a_constant_column_counts_in_its_own_unit() {
    let reference = Matrix::new(2, vec![1.0, 5.0, 2.0, 5.0, 3.0, 5.0]).expect("rows");
    let fitted = Pca::fit(&reference, Components::Count(1)).expect("rows");
    let moved = Matrix::new(2, vec![2.0, 7.5]).expect("a row");
    assert!((fitted.score(&moved).expect("rows").mean_euclidean - 2.5).abs() < 1e-12);
    let constant = Matrix::new(2, vec![4.0; 6]).expect("rows");
    let fitted = Pca::fit(&constant, Components::Share(0.9)).expect("rows");
    assert_eq!(fitted.score(&constant).expect("rows").mean_euclidean, 0.0);
    assert!(fitted.explained_shares().iter().all(|share| *share == 0.0));
}

#[test]
fn senseless_requests_are_refused() {
    let sample = normal_rows(3, 5, 1);
    for bad in [
        Components::Count(0),
        Components::Count(4),
        Components::Share(0.0),
        Components::Share(1.0),
        Components::Share(f64::NAN),
    ] {
        assert!(Pca::fit(&sample, bad).is_err(), "{bad:?}");
    }
    assert!(Pca::fit(&normal_rows(1, 5, 1), Components::Count(1)).is_err());
    let fitted = Pca::fit(&sample, Components::Count(2)).expect("rows");
    assert!(fitted.score(&normal_rows(3, 4, 1)).is_err());
    assert!(fitted.score(&normal_rows(0, 5, 1)).is_err());
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        -3.0..3.0,
        Just(0.0),
        Just(1e100),
        Just(-1e100),
        Just(1e-300),
        Just(f64::MIN_POSITIVE)
    ]
}

proptest! {
    #[test]
    fn every_reference_scores_every_chunk(
        x in proptest::collection::vec(value(), 6..60),
        y in proptest::collection::vec(value(), 3..30),
        share in 0.01..0.99,
    ) {
        let rows = |values: &[f64]| Matrix::new(3, values[..values.len() / 3 * 3].to_vec()).expect("rows");
        let fitted = Pca::fit(&rows(&x), Components::Share(share)).expect("two rows");
        let found = fitted.score(&rows(&y)).expect("a row");
        for number in [found.mean_euclidean, found.mean_squared, found.standard_error] {
            prop_assert!(number.is_finite() && number >= 0.0, "{:?}", found);
        }
        prop_assert!(fitted.explained_shares().iter().all(|share| (0.0..=1.0 + 1e-12).contains(share)));
    }
}
