//! What the domain classifier sees, what it does not, and how often it is wrong about nothing.

use super::super::testing::{normal_rows, shifted_rows};
use super::*;
use crate::stats::multivariate::Matrix;

fn table(sample: &Matrix) -> Table {
    Table {
        names: (0..sample.columns()).map(|k| format!("x{k}")).collect(),
        columns: (0..sample.columns())
            .map(|k| Column::Numeric(sample.each_row().map(|row| row[k]).collect()))
            .collect(),
    }
}

fn words(values: &[&str]) -> Table {
    Table {
        names: vec!["word".to_owned()],
        columns: vec![Column::Categorical(
            values.iter().map(|word| Some((*word).to_owned())).collect(),
        )],
    }
}

#[test]
fn the_learners_are_what_they_are_called() {
    let names =
        [DomainClassifier::forest(), DomainClassifier::logistic()].map(|one| one.learner.name());
    assert_eq!(names, ["forest", "logistic"]);
}

#[test]
fn a_shift_is_seen_by_both_and_its_interval_holds_the_true_area() {
    let (x, y) = (
        table(&normal_rows(400, 3, 1)),
        table(&shifted_rows(400, 3, 0.5, 2)),
    );
    // P(Z > −δ/√2) with δ² = 3·0.25.
    let truth = 0.7298;
    let linear = DomainClassifier::logistic()
        .compare(&x, &y, None)
        .expect("rows");
    assert!(linear.lower < truth && truth < linear.upper, "{linear:?}");
    assert!(linear.p_value < 1e-9);
    let forest = DomainClassifier::forest()
        .compare(&x, &y, None)
        .expect("rows");
    assert!(forest.auc > 0.66 && forest.p_value < 1e-9, "{forest:?}");
}

#[test]
fn only_the_forest_sees_that_columns_no_longer_move_together() {
    let bound = |rows: usize, seed| {
        let values = normal_rows(rows, 2, seed);
        let values = values
            .each_row()
            .flat_map(|row| [row[0], 0.9 * row[0] + 0.44 * row[1]]);
        table(&Matrix::new(2, values.collect()).expect("rows"))
    };
    let (x, y) = (bound(400, 1), table(&normal_rows(400, 2, 2)));
    let linear = DomainClassifier::logistic()
        .compare(&x, &y, None)
        .expect("rows");
    assert!(linear.auc < 0.56, "{linear:?}");
    let forest = DomainClassifier::forest()
        .compare(&x, &y, None)
        .expect("rows");
    assert!(forest.auc > 0.75, "{forest:?}");
}

#[test]
fn categories_and_gaps_count() {
    let x = words(&["a", "a", "a", "b"].repeat(30));
    let y = words(&["a", "b", "b", "b"].repeat(30));
    // 0.75 by the shares. Folds differ a little in what a word scores, and across folds that parts some ties.
    for classifier in [DomainClassifier::logistic(), DomainClassifier::forest()] {
        let found = classifier.compare(&x, &y, None).expect("rows");
        assert!((found.auc - 0.75).abs() < 0.05, "{found:?}");
    }
    let gaps = |share: usize| Table {
        names: vec!["x".to_owned()],
        columns: vec![Column::Numeric(
            (0..100)
                .map(|k| {
                    if k % 10 < share {
                        f64::NAN
                    } else {
                        f64::from(k as u32 % 7)
                    }
                })
                .collect(),
        )],
    };
    let found = DomainClassifier::logistic()
        .compare(&gaps(1), &gaps(8), None)
        .expect("rows");
    assert!(found.auc > 0.75, "{found:?}");
}

#[test]
fn nothing_to_tell_apart_is_chance() {
    let same = words(&["a"; 20]);
    let found = DomainClassifier::forest()
        .compare(&same, &same, None)
        .expect("rows");
    assert_eq!(found.auc, 0.5);
    assert!(found.lower < 0.5 && found.upper > 0.5 && found.p_value == 0.5);
}

#[test]
fn the_level_holds_by_the_normal_form_and_by_permutation() {
    let classifier = DomainClassifier::logistic();
    let (mut by_normal, mut by_permutation) = (0, 0);
    for seed in 0..600 {
        let (x, y) = (
            table(&normal_rows(60, 2, 2 * seed)),
            table(&normal_rows(60, 2, 2 * seed + 1)),
        );
        by_normal += usize::from(classifier.compare(&x, &y, None).expect("rows").p_value <= 0.05);
        if seed < 60 {
            let p = classifier
                .permutation_test(&x, &y, None, 19, seed)
                .expect("rows")
                .p_value;
            by_permutation += usize::from(p <= 0.05);
        }
    }
    // At most 30 expected with a standard deviation of 5.3, and 3 with 1.7.
    assert!(by_normal <= 44, "{by_normal}");
    assert!(by_permutation <= 8, "{by_permutation}");
}

#[test]
fn whole_days_are_held_out() {
    // Each day has its own level, so a model that has seen a day's rows knows the others of that day.
    let days = |seed: u64| {
        let levels = normal_rows(10, 3, seed);
        let noise = normal_rows(200, 3, seed + 1);
        let values = noise.each_row().enumerate().flat_map(|(row, noise)| {
            let level = levels.row(row / 20);
            (0..3)
                .map(|k| level[k] + 0.1 * noise[k])
                .collect::<Vec<f64>>()
        });
        table(&Matrix::new(3, values.collect()).expect("rows"))
    };
    let of: Vec<usize> = (0..200).map(|row| row / 20).collect();
    let blocks = Blocks {
        reference: &of,
        current: &of,
    };
    let classifier = DomainClassifier::forest();
    let (x, y) = (days(10), days(20));
    let fooled = classifier.compare(&x, &y, None).expect("rows");
    assert!(fooled.auc > 0.95 && fooled.p_value < 1e-9, "{fooled:?}");
    let sober = classifier.compare(&x, &y, Some(blocks)).expect("rows");
    assert!(
        sober.p_value > 0.01 && sober.standard_error > 3.0 * fooled.standard_error,
        "{sober:?}"
    );
}

#[test]
fn seeds_are_reproducible_and_averaged() {
    let (x, y) = (
        table(&normal_rows(100, 3, 1)),
        table(&shifted_rows(90, 3, 0.4, 2)),
    );
    let three = DomainClassifier {
        seeds: vec![4, 5, 6],
        ..DomainClassifier::forest()
    };
    let found = three.compare(&x, &y, None).expect("rows");
    assert_eq!(found, three.compare(&x, &y, None).expect("rows"));
    assert_eq!(found.by_seed.len(), 3);
    assert!((found.auc - found.by_seed.iter().sum::<f64>() / 3.0).abs() < 1e-15);
    let second = DomainClassifier {
        seeds: vec![5],
        ..DomainClassifier::forest()
    };
    assert_eq!(
        second.compare(&x, &y, None).expect("rows").auc,
        found.by_seed[1]
    );
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let (x, other) = (table(&normal_rows(20, 2, 1)), words(&["a"; 20]));
    let classifier = DomainClassifier::logistic();
    assert!(matches!(
        classifier.compare(&x, &other, None),
        Err(MultivariateError::Widths { .. })
    ));
    let mut renamed = x.clone();
    renamed.names[0] = "y".to_owned();
    assert!(matches!(
        classifier.compare(&x, &renamed, None),
        Err(MultivariateError::Column { .. })
    ));
    assert!(
        classifier
            .compare(&x, &table(&normal_rows(4, 2, 1)), None)
            .is_err()
    );
    let none = Table::default();
    assert_eq!(
        classifier.compare(&none, &none, None),
        Err(MultivariateError::NoColumns)
    );
    for bad in [
        DomainClassifier {
            folds: 1,
            ..DomainClassifier::logistic()
        },
        DomainClassifier {
            seeds: vec![],
            ..DomainClassifier::logistic()
        },
        DomainClassifier {
            level: 1.0,
            ..DomainClassifier::logistic()
        },
    ] {
        assert!(bad.compare(&x, &x, None).is_err());
    }
    let short = Blocks {
        reference: &[1; 20],
        current: &[1; 3],
    };
    assert!(matches!(
        classifier.compare(&x, &x, Some(short)),
        Err(MultivariateError::Labels { .. })
    ));
}
