use super::*;
use crate::learn::candidate::{Growth, Wood};
use crate::learn::fixture::{flights, three_classes};
use crate::learn::{Candidate, Column, Predictions, Table, Target};

/// A file and what its model said of `flights(12, 77)` when it was written, a number a line. `tests/golden/learn`
/// holds what [`example`] gave under format 1.
macro_rules! golden {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../tests/golden/learn/", $name, ".json")).as_slice(),
            include_str!(concat!("../../tests/golden/learn/", $name, ".txt")),
        )
    };
}

const GOLDEN: [(&str, &[u8], &str); 6] = [
    golden!("logistic"),
    golden!("multinomial"),
    golden!("tree"),
    golden!("forest"),
    golden!("elastic_net"),
    golden!("regression_forest"),
];

fn example(name: &str) -> Model {
    let growth = Growth {
        depth: 3,
        leaf_rows: 10,
    };
    let wood = Wood {
        trees: 3,
        columns: 0.5,
        sample_rows: 200,
    };
    let (table, two) = flights(500, 7);
    let (_, three) = three_classes(500, 7);
    let Some(Column::Numeric(wind)) = table.column("wind") else {
        panic!("the wind is a number")
    };
    let number = Target::Regression(wind.iter().map(|wind| wind / 3.0).collect());
    let [logistic, .., elastic_net, _, _] = Candidate::all();
    let (candidate, target) = match name {
        "logistic" => (logistic, two),
        "multinomial" => (logistic, three),
        "tree" => (Candidate::Tree(growth), three),
        "forest" => (Candidate::Forest { growth, wood }, two),
        "elastic_net" => (elastic_net, number),
        "regression_forest" => (Candidate::RegressionForest { growth, wood }, number),
        _ => panic!("there is no example {name}"),
    };
    Model::fit(&candidate, &table, &target, 7, &mut |_| ()).expect("it can be learned")
}

fn said(model: &Model) -> Vec<f64> {
    let (table, _): (Table, Target) = flights(12, 77);
    match model.predict(&table).expect("the same columns") {
        Predictions::Classes { probabilities, .. } => probabilities,
        Predictions::Values(values) => values,
    }
}

#[test]
fn files_of_this_format_are_read_and_say_what_they_said() {
    for (name, bytes, expected) in GOLDEN {
        let model = Model::from_bytes(bytes).expect(name);
        assert_eq!(model.to_bytes(), bytes, "{name}");
        let expected: Vec<f64> = expected
            .lines()
            .map(|line| line.parse().expect("a number a line"))
            .collect();
        let found = said(&model);
        assert_eq!(found.len(), expected.len(), "{name}");
        // Exponentials differ in the last bit between systems.
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{name}: {found} for {expected}"
            );
        }
    }
}

/// Trees are sums and counts in a fixed order, the same on every processor; the coefficients of the others may differ
/// in their last bits.
#[test]
fn trees_are_fitted_to_the_same_bytes_everywhere() {
    for (name, bytes, _) in GOLDEN {
        let model = example(name);
        if matches!(name, "tree" | "forest" | "regression_forest") {
            assert_eq!(model.to_bytes(), bytes, "{name}");
        }
        let golden = Model::from_bytes(bytes).expect(name);
        for (found, expected) in said(&model).iter().zip(said(&golden)) {
            assert!(
                (found - expected).abs() < 1e-6,
                "{name}: {found} for {expected}"
            );
        }
    }
}

#[test]
fn a_model_read_back_is_the_same_model() {
    for (name, ..) in GOLDEN {
        let model = example(name);
        let read = Model::from_bytes(&model.to_bytes()).expect(name);
        assert_eq!(read, model);
        assert_eq!(read.hash(), model.hash());
        assert_eq!(said(&read), said(&model));
    }
}

#[test]
fn the_name_is_the_sha_256_of_the_file() {
    // sha256sum tests/golden/learn/tree.json
    let model = Model::from_bytes(GOLDEN[2].1).expect("the golden tree");
    assert_eq!(
        model.hash(),
        "d94c300cd619e498f5473b00a181f11d035d4982e58f24a2115b7c6dc76a6633"
    );
}

fn refusal(bytes: &[u8]) -> String {
    Model::from_bytes(bytes)
        .expect_err("it is no model")
        .to_string()
}

#[test]
fn damaged_files_are_refused() {
    let text = String::from_utf8(GOLDEN[3].1.to_vec()).expect("JSON is text");
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        refusal(text.replacen(from, to, 1).as_bytes())
    };
    assert_eq!(
        refusal(&text.as_bytes()[..text.len() / 2]),
        "this is no model file: EOF while parsing a string at line 1 column 1096; fetch it anew, or train again"
    );
    assert!(refusal(b"").contains("EOF"));
    assert!(refusal(b"[]").contains("this is no model file"));
    assert!(refusal(b"\x00\xff").contains("this is no model file"));
    assert_eq!(
        changed("\"format\":1", "\"format\":0"),
        "this is no model file: there is no format 0; fetch it anew, or train again"
    );
    assert!(changed("\"seed\":7", "\"seed\":7,\"more\":1").contains("unknown field `more`"));
    let unfit =
        "this is no model file: its parts do not fit together; fetch it anew, or train again";
    assert_eq!(changed("\"classes\":[\"on time\",", "\"classes\":["), unfit);
    assert_eq!(changed("\"otherwise\":", "\"otherwise\":9"), unfit);
    assert_eq!(changed("\"column\":0", "\"column\":99"), unfit);
    assert_eq!(changed("\"columns\":0.5", "\"columns\":1.5"), unfit);
    assert_eq!(
        changed("\"seed\":7", "\"seed\": 7"),
        "this is no model file: it was rewritten by something else; fetch it anew, or train again"
    );
}

#[test]
fn a_newer_file_is_refused_whatever_it_holds() {
    assert_eq!(
        refusal(br#"{"format":2,"layers":[1,2,3]}"#),
        "the model file has format 2, and this program reads formats up to 1; use a newer program"
    );
}
