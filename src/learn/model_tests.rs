use proptest::prelude::*;

use super::*;
use crate::learn::candidate::{Growth, Wood};
use crate::learn::fixture::{flights, late, numbers, three_classes, words};
use crate::learn::table::Column;

/// Of every kind one that is quick to fit.
fn quick() -> Vec<Candidate> {
    let growth = || Growth {
        depth: 4,
        leaf_rows: 5,
    };
    let wood = || Wood {
        trees: 7,
        columns: 0.5,
        sample_rows: 300,
    };
    Candidate::all()
        .into_iter()
        .map(|candidate| match candidate {
            Candidate::Tree(_) => Candidate::Tree(growth()),
            Candidate::RegressionTree(_) => Candidate::RegressionTree(growth()),
            Candidate::Forest { .. } => Candidate::Forest {
                growth: growth(),
                wood: wood(),
            },
            Candidate::RegressionForest { .. } => Candidate::RegressionForest {
                growth: growth(),
                wood: wood(),
            },
            linear => linear,
        })
        .collect()
}

/// Every kind with every target that it can learn, fitted on 400 rows.
fn fitted() -> Vec<Model> {
    let (table, binary) = flights(400, 21);
    let (_, three) = three_classes(400, 21);
    let (Column::Numeric(wind), Column::Categorical(carrier)) =
        (&table.columns[1], &table.columns[3])
    else {
        panic!("the wind is a number and the carrier is not")
    };
    let delay = wind.iter().zip(carrier).map(|(wind, carrier)| {
        let late_air = carrier.as_deref() == Some("late air");
        3.0 * wind + if late_air { 40.0 } else { 0.0 }
    });
    let number = Target::Regression(delay.collect());
    let mut models = Vec::new();
    for candidate in quick() {
        for target in [&binary, &three, &number] {
            if candidate.can_learn(target.task()) {
                models.push(fit(&candidate, &table, target).expect("it can be learned"));
            }
        }
    }
    assert_eq!(models.len(), 9);
    models
}

fn fit(candidate: &Candidate, table: &Table, target: &Target) -> Result<Model, LearnError> {
    Model::fit(candidate, table, target, 4, &mut |_| ())
}

fn row(table: &Table, row: usize) -> Table {
    table.take(&[row])
}

/// Numbers a row.
fn flat(predictions: Predictions) -> Vec<f64> {
    match predictions {
        Predictions::Classes { probabilities, .. } => probabilities,
        Predictions::Values(values) => values,
    }
}

#[test]
fn the_same_rows_and_seed_give_the_same_bytes_on_any_thread() {
    let once: Vec<Vec<u8>> = fitted().iter().map(Model::to_bytes).collect();
    let again = || fitted().iter().map(Model::to_bytes).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(again)).collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), once);
        }
    });
}

#[test]
fn only_a_forest_depends_on_the_seed() {
    let (table, target) = flights(400, 21);
    for candidate in quick()
        .into_iter()
        .filter(|candidate| candidate.can_learn(Task::Binary))
    {
        let of = |seed| {
            let model = Model::fit(&candidate, &table, &target, seed, &mut |_| ());
            model.expect("it can be learned").0.predictor
        };
        let differs = of(1) != of(2);
        assert_eq!(
            differs,
            candidate.name() == "forest",
            "{}",
            candidate.name()
        );
    }
}

#[test]
fn a_row_is_predicted_alike_alone_and_in_any_company() {
    let (table, _) = flights(60, 5);
    for model in fitted() {
        let width = model.classes().len().max(1);
        let all = flat(model.predict(&table).expect("the same columns"));
        for place in 0..60 {
            let alone = flat(
                model
                    .predict(&row(&table, place))
                    .expect("the same columns"),
            );
            assert_eq!(
                alone,
                all[place * width..(place + 1) * width],
                "{}",
                model.candidate().name()
            );
        }
    }
}

#[test]
fn columns_are_found_by_name_and_others_are_not_looked_at() {
    let (table, _) = flights(50, 5);
    let mut turned = table.clone();
    turned.names.reverse();
    turned.columns.reverse();
    turned.names.push("new".to_owned());
    turned.columns.push(Column::Categorical(vec![None; 50]));
    for model in fitted() {
        assert_eq!(model.predict(&turned), model.predict(&table));
    }
}

#[test]
fn an_absent_column_counts_as_missing_and_a_new_category_as_other() {
    let (table, _) = flights(50, 5);
    let without = |name: &str| {
        let place = table
            .names
            .iter()
            .position(|known| known == name)
            .expect("a column");
        let mut table = table.clone();
        table.names.remove(place);
        table.columns.remove(place);
        table
    };
    let with = |name: &str, column: Column| {
        let mut table = without(name);
        table.names.push(name.to_owned());
        table.columns.push(column);
        table
    };
    let category = |text: &str| Column::Categorical(vec![Some(text.to_owned()); 50]);
    for model in fitted() {
        let of = |table: &Table| flat(model.predict(table).expect("columns of the same kinds"));
        assert_eq!(
            of(&without("temp")),
            of(&with("temp", Column::Numeric(vec![f64::NAN; 50])))
        );
        assert_eq!(
            of(&without("day")),
            of(&with("day", Column::Categorical(vec![None; 50])))
        );
        assert_eq!(
            of(&with("day", category("new"))),
            of(&with("day", category("newer")))
        );
        assert_ne!(
            of(&with("carrier", category("late air"))),
            of(&with("carrier", category("new"))),
            "{} has not learned the carrier",
            model.candidate().name()
        );
        assert!(
            of(&Table {
                names: vec![],
                columns: vec![]
            })
            .is_empty()
        );
    }
}

#[test]
fn odd_numbers_are_predicted_as_missing_ones_are() {
    let (table, _) = flights(3, 5);
    let with = |value: f64| {
        let mut table = table.clone();
        table.columns[0] = Column::Numeric(vec![value; 3]);
        table
    };
    for model in fitted() {
        let missing = model.predict(&with(f64::NAN)).expect("the same columns");
        for odd in [f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(model.predict(&with(odd)).as_ref(), Ok(&missing), "{odd}");
        }
        assert!(
            flat(model.predict(&with(9_999.0)).expect("a number"))
                .iter()
                .all(|value| value.is_finite())
        );
    }
}

#[test]
fn tables_that_cannot_be_used_are_refused() {
    let (table, target) = flights(50, 5);
    let logistic = &Candidate::all()[0];
    let none = table.take(&[]);
    assert_eq!(
        fit(logistic, &none, &target.take(&[])),
        Err(LearnError::NoRows)
    );
    assert_eq!(
        fit(logistic, &table, &late(vec![true, false])).map_err(|error| error.to_string()),
        Err("the table has 50 rows and the target 2; they need to be the same rows".to_owned())
    );
    assert_eq!(
        fit(
            logistic,
            &numbers("x", [1.0, 1.0]),
            &late(vec![true, false])
        ),
        Err(LearnError::NothingVaries)
    );
    assert_eq!(
        fit(logistic, &table, &late(vec![false; 50])),
        Err(LearnError::OneClass("on time".to_owned()))
    );
    assert_eq!(
        fit(logistic, &table, &Target::Regression(vec![1.0; 50])).map_err(|error| error.to_string()),
        Err("`logistic` cannot learn a regression target; use one of elastic_net, regression_tree, regression_forest".to_owned())
    );
    for model in fitted() {
        let mut odd = table.clone();
        odd.columns[1] = Column::Categorical(vec![None; 50]);
        assert!(matches!(
            model.predict(&odd),
            Err(LearnError::ColumnKind { .. })
        ));
        odd.columns[1] = Column::Numeric(vec![0.0]);
        assert!(matches!(
            model.predict(&odd),
            Err(LearnError::UnequalColumns { .. })
        ));
    }
}

#[test]
fn two_rows_are_enough_for_every_kind() {
    let table = numbers("x", [1.0, 2.0]);
    for candidate in Candidate::all() {
        let target = match candidate.can_learn(Task::Binary) {
            true => late(vec![true, false]),
            false => Target::Regression(vec![1.0, 5.0]),
        };
        let model = fit(&candidate, &table, &target).expect("it can be learned");
        let found = flat(model.predict(&table).expect("the same column"));
        assert!(
            found.iter().all(|value| value.is_finite()),
            "{}: {found:?}",
            candidate.name()
        );
    }
}

#[test]
fn ten_thousand_categories_can_be_learned() {
    let names: Vec<String> = (0..10_000).map(|number| format!("c{number}")).collect();
    let table = words("c", names.iter().cycle().take(20_000).map(String::as_str));
    let target = late((0..20_000).map(|row| row % 10_000 < 5_000).collect());
    // Two rows each: all of them are `other`, and nothing is left to learn from.
    assert_eq!(
        fit(&Candidate::all()[0], &table, &target),
        Err(LearnError::NothingVaries)
    );
    let often = table.columns[0].clone();
    let Column::Categorical(mut values) = often else {
        panic!("words")
    };
    values
        .iter_mut()
        .step_by(2)
        .for_each(|value| *value = Some("often".to_owned()));
    let table = Table {
        names: table.names,
        columns: vec![Column::Categorical(values)],
    };
    for candidate in quick()
        .into_iter()
        .filter(|candidate| candidate.can_learn(Task::Binary))
    {
        let model = fit(&candidate, &table, &target).expect("it can be learned");
        assert_eq!(model.features()[0].places(), 2);
        assert!(model.to_bytes().len() < 10_000);
    }
}

#[test]
fn progress_rises_from_nothing_to_all() {
    let (table, target) = flights(300, 2);
    for candidate in quick()
        .into_iter()
        .filter(|candidate| candidate.can_learn(Task::Binary))
    {
        let mut told = Vec::new();
        let model = Model::fit(&candidate, &table, &target, 0, &mut |share| {
            told.push(share)
        });
        assert_eq!(model.expect("it can be learned").rows(), 300);
        assert!(
            told.is_sorted() && told[0] == 0.0 && told[told.len() - 1] == 1.0,
            "{told:?}"
        );
        assert!(candidate.name() != "forest" || told.len() > 7, "{told:?}");
    }
}

#[test]
fn of_a_table_too_long_evenly_spaced_rows_are_taken() {
    let table = numbers("x", (0..10).map(f64::from));
    let target = late((0..10).map(|row| row % 3 == 0).collect());
    let fewer = bounded(&table, &target, 4).expect("both classes are left");
    let (few, of_those) = fewer.expect("ten are more than four");
    assert_eq!(bounded(&table, &target, 10), Ok(None));
    assert_eq!(few, numbers("x", [0.0, 2.0, 5.0, 7.0]));
    assert_eq!(of_those, late(vec![true, false, false, false]));
    let one_class = late((0..10).map(|row| row == 1).collect());
    assert_eq!(
        bounded(&table, &one_class, 4).err(),
        Some(LearnError::OneClass("on time".to_owned()))
    );
}

#[test]
fn a_model_tells_what_it_is() {
    let (table, target) = flights(300, 2);
    let forest = &quick()[2];
    let model = Model::fit(forest, &table, &target, 9, &mut |_| ()).expect("it can be learned");
    assert_eq!(model.candidate(), forest);
    assert_eq!(
        (model.task(), model.seed(), model.rows()),
        (Task::Binary, 9, 300)
    );
    assert_eq!(model.classes(), ["on time", "late"]);
    let names: Vec<&str> = model
        .features()
        .iter()
        .map(|feature| feature.name.as_str())
        .collect();
    assert_eq!(names, ["temp", "wind", "day", "carrier"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn probabilities_are_probabilities_whatever_comes(
        temp in prop::collection::vec(prop::num::f64::ANY, 1..40),
        day in "[a-z]{0,3}",
    ) {
        let rows = temp.len();
        let table = Table {
            names: vec!["temp".to_owned(), "day".to_owned()],
            columns: vec![Column::Numeric(temp), Column::Categorical(vec![Some(day); rows])],
        };
        for model in MODELS.with(Clone::clone) {
            match model.predict(&table).expect("columns of the same kinds") {
                Predictions::Values(values) => prop_assert!(values.iter().all(|value| value.is_finite())),
                Predictions::Classes { classes, probabilities } => {
                    prop_assert_eq!(probabilities.len(), rows * classes.len());
                    for row in probabilities.chunks_exact(classes.len()) {
                        prop_assert!(row.iter().all(|share| (0.0..=1.0).contains(share)), "{:?}", row);
                        prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{:?}", row);
                    }
                }
            }
        }
    }

    #[test]
    fn the_order_of_rows_does_not_matter_to_predicting(seed in any::<u64>(), turn in 0_usize..30) {
        let (table, _) = flights(30, u128::from(seed));
        let order: Vec<usize> = (0..30).map(|row| (row * 7 + turn) % 30).collect();
        for model in MODELS.with(Clone::clone) {
            let width = model.classes().len().max(1);
            let straight = flat(model.predict(&table).expect("the same columns"));
            let turned = flat(model.predict(&table.take(&order)).expect("the same columns"));
            for (place, &row) in order.iter().enumerate() {
                prop_assert_eq!(
                    &turned[place * width..(place + 1) * width],
                    &straight[row * width..(row + 1) * width]
                );
            }
        }
    }
}

thread_local! {
    /// Fitted once a thread: a property test asks for them again and again.
    static MODELS: Vec<Model> = fitted();
}
