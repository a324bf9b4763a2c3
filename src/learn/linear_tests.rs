use linfa::traits::Predict;
use ndarray::array;

use super::*;
use crate::learn::fixture::{flights, numbers, three_classes};
use crate::learn::model::Model;
use crate::learn::one_hot::OneHot;
use crate::learn::{Candidate, Predictions, Table, Target};

const L2: f64 = 1.0;
const STEPS: u64 = 100;

fn fitted(table: &Table, target: &Target, name: &str) -> Predictions {
    let candidate = Candidate::parse(name).expect("a known name");
    let model = Model::fit(&candidate, table, target, 0, &mut |_| ());
    let model = model.expect("the table can be learned");
    model.predict(table).expect("the same table")
}

fn matrix(table: &Table) -> Array2<f64> {
    let encoding = OneHot::fit(table).expect("the columns vary");
    encoding.matrix(table).expect("the same table")
}

/// Whichever class is the more frequent one: linfa calls that the positive one.
#[test]
fn logistic_probabilities_are_those_of_linfa() {
    let (table, target) = flights(1_000, 5);
    for flip in [false, true] {
        let Target::Binary {
            positive,
            negative,
            is_positive,
        } = &target
        else {
            panic!("flights are binary")
        };
        let is_positive: Vec<bool> = is_positive.iter().map(|&yes| yes != flip).collect();
        let matrix = matrix(&table);
        let data = DatasetBase::new(matrix.clone(), Array1::from(is_positive.clone()));
        let linfa = LogisticRegression::default()
            .alpha(L2)
            .max_iterations(STEPS)
            .gradient_tolerance(MEAN_GRADIENT * 1_000.0)
            .fit(&data)
            .expect("linfa fits");
        let of_its_positive = linfa.predict_probabilities(&matrix);
        let classes = linfa.predict(&matrix);

        let target = Target::Binary {
            positive: positive.clone(),
            negative: negative.clone(),
            is_positive,
        };
        let found = fitted(&table, &target, "logistic");
        let probabilities = found
            .probability_of(positive)
            .expect("a class of the model");
        let decided = found.decided().expect("a classifier");
        assert!(classes.iter().any(|&yes| yes) && classes.iter().any(|&yes| !yes));
        for row in 0..1_000 {
            let expected = if linfa.labels().pos.class {
                of_its_positive[row]
            } else {
                1.0 - of_its_positive[row]
            };
            assert!(
                (probabilities[row] - expected).abs() < 1e-9,
                "row {row}, flip {flip}"
            );
            assert_eq!(decided[row] == 1, classes[row], "row {row}, flip {flip}");
        }
    }
}

#[test]
fn multinomial_probabilities_are_those_of_linfa() {
    let (table, target) = three_classes(1_000, 5);
    let Target::Multiclass { class, .. } = &target else {
        panic!("there are three classes")
    };
    let matrix = matrix(&table);
    let classes = Array1::from_iter(class.iter().map(|&class| class as usize));
    let linfa = MultiLogisticRegression::default()
        .alpha(L2)
        .max_iterations(STEPS)
        .gradient_tolerance(MEAN_GRADIENT * 1_000.0)
        .fit(&DatasetBase::new(matrix.clone(), classes))
        .expect("linfa fits");
    let expected = linfa.predict_probabilities(&matrix);
    let decided = linfa.predict(&matrix);
    let found = fitted(&table, &target, "logistic");
    assert_eq!(found.decided().expect("a classifier"), decided.to_vec());
    let Predictions::Classes { probabilities, .. } = found else {
        panic!("classes were learned")
    };
    assert!(
        probabilities
            .iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() < 1e-9)
    );
}

#[test]
fn a_class_without_rows_has_no_line_and_no_probability() {
    let table = numbers("x", (0..40).map(f64::from));
    let target = Target::Multiclass {
        classes: ["low", "never", "high"].map(str::to_owned).to_vec(),
        class: (0..40).map(|row| if row < 20 { 0 } else { 2 }).collect(),
    };
    let found = fitted(&table, &target, "logistic");
    assert_eq!(found.probability_of("never"), Some(vec![0.0; 40]));
    let high = found.probability_of("high").expect("a class of the model");
    assert!(high[0] < 0.05 && high[39] > 0.95, "{high:?}");
}

#[test]
fn separable_rows_are_separated_and_the_penalty_keeps_the_line_finite() {
    let table = numbers("x", (0..100).map(f64::from));
    let target = crate::learn::fixture::late((0..100).map(|row| row >= 30).collect());
    let found = fitted(&table, &target, "logistic");
    let late = found.probability_of("late").expect("a class of the model");
    assert!(late.is_sorted(), "the log odds rise with x");
    assert!(late[0] < 0.05 && late[99] > 0.999, "{late:?}");
    // The penalty draws the line to the base rate, so rows at the edge may fall to its other side.
    assert!(late[27] < 0.5 && late[33] > 0.5, "{late:?}");
}

/// Nothing to climb: the gradient is zero from the start.
#[test]
fn rows_without_a_signal_get_the_base_rate() {
    let table = numbers("x", [0.0, 0.0, 1.0, 1.0]);
    let target = crate::learn::fixture::late(vec![true, false, true, false]);
    let late = fitted(&table, &target, "logistic").probability_of("late");
    assert_eq!(late.expect("a class of the model"), [0.5; 4]);
}

#[test]
fn elastic_net_finds_known_coefficients_and_drops_noise() {
    let rows = 4_000;
    let (table, _) = flights(rows, 9);
    let matrix = matrix(&table);
    // temp, temp missing, wind, three days, other, …: 3 + 2·temp − 5·wind.
    let mut truth = vec![0.0; matrix.ncols()];
    (truth[0], truth[2]) = (2.0, -5.0);
    let values = (matrix.dot(&Array1::from(truth.clone())) + 3.0).to_vec();
    let line = elastic_net(matrix, &values, 0.1, 0.5, 1_000).expect("linfa fits");
    // The penalty takes off its part: 0.1/√4000 · ½ of each kind, times the target's deviation 5.4.
    for (found, expected) in line.weights.iter().zip(&truth) {
        assert!((found - expected).abs() < 0.02, "{:?}", line.weights);
    }
    assert!((line.intercept - 3.0).abs() < 0.02, "{}", line.intercept);
    assert!(
        line.weights[3..]
            .iter()
            .filter(|weight| **weight == 0.0)
            .count()
            >= 4
    );
}

#[test]
fn elastic_net_predicts_as_linfa_does() {
    let (table, _) = flights(600, 4);
    let matrix = matrix(&table);
    let values: Vec<f64> = matrix
        .rows()
        .into_iter()
        .map(|row| row[0] - 2.0 * row[2] + row[4])
        .collect();
    let mean = values.iter().sum::<f64>() / 600.0;
    let found = fitted(&table, &Target::Regression(values.clone()), "elastic_net");
    // linfa on the same matrix, with columns and target made ready by hand.
    let centers = matrix.mean_axis(ndarray::Axis(0)).expect("there are rows");
    let centered = &matrix - &centers;
    let deviation = (values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / 600.0)
        .sqrt();
    let scaled = Array1::from_iter(values.iter().map(|value| (value - mean) / deviation));
    let linfa = ElasticNet::params()
        .penalty(0.1 / 600.0_f64.sqrt())
        .l1_ratio(0.5)
        .tolerance(SETTLED)
        .fit(&DatasetBase::new(centered.clone(), scaled))
        .expect("linfa fits");
    let expected = linfa.predict(&centered) * deviation + mean;
    let Predictions::Values(found) = found else {
        panic!("a number was learned")
    };
    assert!(
        found
            .iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() < 1e-9)
    );
}

#[test]
fn a_flat_target_gets_a_flat_line() {
    let line =
        elastic_net(array![[1.0], [2.0]], &[4.0, 4.0], 0.1, 0.5, 10).expect("nothing to fit");
    assert_eq!((line.intercept, line.weights), (4.0, vec![0.0]));
}
