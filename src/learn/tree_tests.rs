use linfa::traits::Predict;
use proptest::prelude::*;

use super::*;
use crate::learn::fixture::{numbers, three_classes};
use crate::learn::{Candidate, Model, Predictions, Table, Target, forest};

const GROWTH: Growth = Growth {
    depth: 4,
    leaf_rows: 7,
};

/// linfa's tree has fewer nodes, for it drops leaves that agree; what it says of a row is the same. The values are all
/// different, for below the root linfa passes over some cuts next to equal ones.
#[test]
fn the_likelier_class_is_the_one_that_linfas_own_tree_says() {
    let rows = 60;
    for seed in 1..20_u32 {
        let value = |row: u32, column: u32| {
            f64::from((row * (7 + 6 * column) + seed * row * row) % 61) + f64::from(row) / 100.0
        };
        let columns: Vec<Vec<f64>> = (0..3)
            .map(|column| (0..rows).map(|row| value(row, column)).collect())
            .collect();
        let class: Vec<u32> = (0..rows as usize)
            .map(|row| u32::from(columns[0][row] + columns[1][row] / 2.0 > 40.0 || row % 9 == 0))
            .collect();
        let outcomes = Outcomes::Classes {
            class: &class,
            classes: 2,
        };
        let growth = Growth {
            depth: 4,
            leaf_rows: 3,
        };
        let tree = forest::single(&Cells::of(&columns), outcomes, &growth).expect("linfa splits");

        let records =
            Array2::from_shape_fn((rows as usize, 3), |(row, column)| columns[column][row]);
        let sides = Array1::from_iter(class.iter().map(|&class| class == 1));
        let linfa = DecisionTree::<f64, bool>::params()
            .max_depth(Some(4))
            .min_weight_leaf(3.0)
            .min_impurity_decrease(LEAST_GAIN)
            .fit(&DatasetBase::new(records.clone(), sides))
            .expect("linfa grows");
        let expected = linfa.predict(&records);
        assert!(expected.iter().any(|&yes| yes) && expected.iter().any(|&yes| !yes));
        let mut compared = 0;
        for (row, &expected) in expected.iter().enumerate() {
            let Node::Counts(counts) = tree.leaf(&columns, row) else {
                panic!("a path ends at counts")
            };
            // linfa settles a tie by chance.
            if counts[0] != counts[1] {
                assert_eq!(counts[1] > counts[0], expected, "seed {seed}, row {row}");
                compared += 1;
            }
        }
        assert!(compared > 50, "{compared}");
    }
}

proptest! {
    /// The same cut on counts as on rows.
    #[test]
    fn counts_are_split_as_rows_are(
        rows in prop::collection::vec((0_u8..12, any::<bool>()), 2..200),
        leaf_rows in 1_u32..5,
    ) {
        let mut counts = vec![[0_u32; 2]; 12];
        rows.iter().for_each(|&(cell, side)| counts[usize::from(cell)][usize::from(side)] += 1);
        let found = split(&counts, leaf_rows).expect("linfa splits");

        let records = Array2::from_shape_fn((rows.len(), 1), |(row, _)| f64::from(rows[row].0));
        let sides = Array1::from_iter(rows.iter().map(|row| row.1));
        let linfa = DecisionTree::<f64, bool>::params()
            .max_depth(Some(1))
            .min_weight_leaf(leaf_rows as f32)
            .min_impurity_decrease(LEAST_GAIN)
            .fit(&DatasetBase::new(records, sides))
            .expect("linfa grows");
        let (_, cut, gain) = linfa.root_node().split();
        prop_assert_eq!(found, (gain >= LEAST_GAIN).then_some((cut as u8, gain)));
    }

    #[test]
    fn a_tree_does_not_depend_on_the_order_of_its_rows(mut rows in prop::collection::vec(0_u32..300, 30..400)) {
        let (table, target) = three_classes(300, 2);
        let Target::Multiclass { class, classes } = &target else {
            panic!("there are three classes")
        };
        let encoding = super::super::cells::Ordered::fit(&table, &target).expect("the columns vary");
        let cells = Cells::of(&encoding.columns(&table).expect("the same table"));
        let thirds: Vec<f64> = (0..300).map(|row| f64::from(row % 17) / 3.0).collect();
        let all: Vec<usize> = (0..cells.codes.len()).collect();
        let grown = |rows: &[u32]| {
            let grown = |outcomes| {
                grow(&cells, outcomes, &mut rows.to_vec(), &GROWTH, &mut || all.clone()).expect("linfa splits")
            };
            [Outcomes::Classes { class, classes: classes.len() }, Outcomes::Values(&thirds)].map(grown)
        };
        let forward = grown(&rows);
        rows.reverse();
        rows.rotate_left(7);
        prop_assert_eq!(forward, grown(&rows));
    }
}

/// The root knows no column, so its leaf holds all rows.
#[test]
fn a_tree_without_a_question_is_a_leaf() {
    let cells = Cells::of(&[vec![1.0; 40]]);
    let class: Vec<u32> = (0..40).map(|row| row % 2).collect();
    let outcomes = Outcomes::Classes {
        class: &class,
        classes: 2,
    };
    let tree = forest::single(&cells, outcomes, &GROWTH).expect("nothing to split");
    assert_eq!(tree.nodes, [Node::Counts(vec![20, 20])]);
}

#[test]
fn leaves_that_agree_on_the_class_are_kept_apart() {
    // 5 % late below 25, 40 % above: never the likelier class.
    let table = numbers("x", (0..2_000).map(|row| f64::from(row % 50)));
    let is_late = (0..2_000).map(|row| row / 50 < if row % 50 < 25 { 2 } else { 16 });
    let target = crate::learn::fixture::late(is_late.collect());
    let candidate = Candidate::Tree(Growth {
        depth: 1,
        leaf_rows: 100,
    });
    let model = Model::fit(&candidate, &table, &target, 0, &mut |_| ()).expect("it can be learned");
    let found = model
        .predict(&numbers("x", [0.0, 24.0, 25.0, 49.0]))
        .expect("the same column");
    let late = found.probability_of("late").expect("a class of the model");
    // Laplace's two rows are spread as all rows are, 22.5 % of them late.
    let leaf = |late: f64| (late + 2.0 * 0.225) / 1_002.0;
    for (found, expected) in late
        .iter()
        .zip([leaf(50.0), leaf(50.0), leaf(400.0), leaf(400.0)])
    {
        assert!((found - expected).abs() < 1e-15, "{late:?}");
    }
}

fn regression(name: &str, table: &Table, values: Vec<f64>) -> Vec<f64> {
    let candidate = Candidate::parse(name).expect("a known name");
    let target = Target::Regression(values);
    let model = Model::fit(&candidate, table, &target, 1, &mut |_| ()).expect("it can be learned");
    match model.predict(table).expect("the same table") {
        Predictions::Values(values) => values,
        Predictions::Classes { .. } => panic!("a number was learned"),
    }
}

#[test]
fn a_regression_tree_finds_steps() {
    let table = numbers("x", (0..1_000).map(f64::from));
    let steps: Vec<f64> = (0..1_000)
        .map(|row| [1.0, 7.0, 3.0, -2.0][row / 250])
        .collect();
    let found = regression("regression_tree", &table, steps.clone());
    // Cells are 1,000/64 rows wide, so rows at an edge may fall to its other side.
    let wrong = found
        .iter()
        .zip(&steps)
        .filter(|(a, b)| (*a - *b).abs() > 0.5)
        .count();
    assert!(wrong <= 3 * 16, "{wrong} rows");
    let error = |found: &[f64]| -> f64 {
        found
            .iter()
            .zip(&steps)
            .map(|(a, b)| (a - b) * (a - b))
            .sum::<f64>()
            / 1_000.0
    };
    let flat = error(&[2.25; 1_000]);
    assert!(error(&found) < 0.05 * flat, "{} of {flat}", error(&found));
    let forest = regression("regression_forest", &table, steps.clone());
    assert!(error(&forest) < 0.05 * flat, "{} of {flat}", error(&forest));
}

#[test]
fn equal_targets_have_themselves_as_mean() {
    let table = numbers("x", (0..300).map(f64::from));
    assert_eq!(
        regression("regression_tree", &table, vec![0.1; 300]),
        [0.1; 300]
    );
}

#[test]
fn a_file_that_would_go_in_circles_is_unsound() {
    let ask = |column, otherwise| Node::Ask {
        column,
        cut: 0.5,
        otherwise,
    };
    let leaf = || Node::Counts(vec![1, 2]);
    let sound = |nodes: Vec<Node>| Tree { nodes }.is_sound(1, 2);
    assert!(sound(vec![ask(0, 2), leaf(), leaf()]));
    assert!(!sound(vec![ask(0, 0), leaf(), leaf()]), "back to itself");
    assert!(
        !sound(vec![ask(0, 1), leaf(), leaf()]),
        "both answers go one way"
    );
    assert!(!sound(vec![ask(0, 3), leaf(), leaf()]), "beyond the end");
    assert!(!sound(vec![ask(1, 2), leaf(), leaf()]), "no such column");
    assert!(
        !sound(vec![ask(0, 2), leaf(), Node::Mean(1.0)]),
        "a mean among counts"
    );
    assert!(
        !sound(vec![Node::Counts(vec![1, 2, 3])]),
        "three classes of two"
    );
    assert!(!sound(vec![]));
}
