//! Scoring files as rows of a training set would be scored.

use super::*;
use crate::learn::{Candidate, Target};

fn model() -> Model {
    let rows = 400;
    let dist: Vec<f64> = (0..rows).map(|row| f64::from(row % 20) / 20.0).collect();
    let gate = (0..rows).map(|row| Some((row % 3).to_string()));
    let table = Table {
        names: vec!["dist".to_owned(), "gate".to_owned()],
        columns: vec![
            Column::Numeric(dist.clone()),
            Column::Categorical(gate.collect()),
        ],
    };
    let late = (0..rows).map(|row| (row * 7) % 20 < (row % 20));
    let target = Target::Binary {
        positive: "late".to_owned(),
        negative: "on, time".to_owned(),
        is_positive: late.collect(),
    };
    let candidate = Candidate::parse("logistic").expect("known");
    Model::fit(&candidate, &table, &target, 1, &mut |_| {}).expect("fits")
}

async fn scored(text: &str) -> (Scored, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rows.csv");
    std::fs::write(&path, text).expect("writes");
    let mut out = Vec::new();
    let scored = score(&model(), &File::Path(path), &mut out)
        .await
        .expect("scores");
    (scored, String::from_utf8(out).expect("text"))
}

#[tokio::test]
async fn every_row_gets_the_prediction_that_the_model_makes_of_it() {
    let (found, text) = scored("id,dist,gate\n\"a,b\",0.9,2\nc,,x\n").await;
    assert_eq!((found.rows, found.absent.len()), (2, 0));
    let table = Table {
        names: vec!["dist".to_owned(), "gate".to_owned()],
        columns: vec![
            Column::Numeric(vec![0.9, f64::NAN]),
            Column::Categorical(vec![Some("2".to_owned()), Some("x".to_owned())]),
        ],
    };
    let Predictions::Classes { probabilities, .. } = model().predict(&table).expect("predicts")
    else {
        panic!("classes");
    };
    let decided = |p: f64| if p >= 0.5 { "late" } else { "\"on, time\"" };
    let line = |id: &str, p: &[f64]| format!("{id},{},{},{}\n", decided(p[1]), p[0], p[1]);
    assert_eq!(
        text,
        format!(
            "id,prediction,\"prediction.scores.on, time\",prediction.scores.late\n{}{}",
            line("\"a,b\"", &probabilities[..2]),
            line("c", &probabilities[2..]),
        )
    );
}

#[tokio::test]
async fn names_of_features_and_forms_of_numbers_are_those_of_records() {
    let (_, plain) = scored("dist,gate\n0.9,2\n").await;
    let (_, prefixed) = scored("features.dist,features.gate\n0.9,2.0\n").await;
    assert_eq!(plain, prefixed);
    let (found, _) = scored("dist\n0.9\n").await;
    assert_eq!(found.absent, ["gate"]);
}
