//! `driftline detect` as whoever uses it sees it: what it prints, and how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use serde_json::{Value, json};

fn golden(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/data")
        .join(name);
    file.display().to_string()
}

fn detect(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftline"));
    command
        .arg("detect")
        .args(arguments)
        .output()
        .expect("the program")
}

#[track_caller]
fn json_of(output: &Output, status: i32) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{error}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A CSV file in a folder that goes with the test.
fn csv(folder: &tempfile::TempDir, cells: &[&str]) -> String {
    let file: PathBuf = folder.path().join("x.csv");
    let text: String = std::iter::once("x,day")
        .chain(cells.iter().copied())
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&file, text).expect("a file");
    file.display().to_string()
}

#[test]
fn a_stream_gives_rivers_indices_with_every_parameter() {
    let file = golden("river_a.csv");
    let output = detect(&[
        "--detector",
        "ddm",
        "--input",
        &file,
        "--column",
        "x",
        "--format",
        "json",
    ]);
    let expect = json!({
        "detector": "ddm",
        "parameters": {"warm_start": 30, "warning_threshold": 2.0, "drift_threshold": 3.0, "contract": "river"},
        "n": 2000,
        "ignored": 0,
        "warnings": [1084, 1086, 1095, 1492, 1500, 1504, 1511, 1534, 1644, 1652, 1809, 1856, 1859, 1863],
        "drifts": [1334],
    });
    assert_eq!(json_of(&output, 0), expect);
}

#[test]
fn parameters_are_given_by_name_and_a_drift_can_fail_the_command() {
    let file = golden("river_a.csv");
    let base = [
        "--detector",
        "eddm",
        "--param",
        "alpha=0.8",
        "--param",
        "beta=0.75",
        "--input",
        &file,
        "--column",
        "x",
    ];
    let arguments = [&base[..], &["--format", "json", "--fail-on", "drift"]].concat();
    let found = json_of(&detect(&arguments), 1);
    assert_eq!(
        (&found["drifts"], &found["parameters"]["beta"]),
        (&json!([1278]), &json!(0.75))
    );
    let text = detect(&base);
    assert_eq!(text.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&text.stdout),
        "eddm warm_start=30 alpha=0.8 beta=0.75 contract=river\n2000 values, 0 ignored\nwarnings: 1059\ndrifts: 1278\n"
    );
}

#[test]
fn a_column_of_parquet_with_gaps_keeps_its_indices() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.parquet");
    let values = (0..3_000).map(|i| match i {
        7 => None,
        8 => Some(f64::NAN),
        9 => Some(f64::INFINITY),
        _ => Some(if i < 1_500 { f64::from(i % 2) } else { 5.0 }),
    });
    let column: ArrayRef = Arc::new(values.collect::<Float64Array>());
    let batch = RecordBatch::try_from_iter([("x", column)]).expect("a batch");
    let out = std::fs::File::create(&file).expect("a file");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(out, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a file");
    let file = file.display().to_string();
    let arguments = [
        "--detector",
        "page_hinkley",
        "--input",
        &file,
        "--column",
        "x",
        "--format",
        "json",
    ];
    let found = json_of(&detect(&arguments), 0);
    assert_eq!((&found["n"], &found["ignored"]), (&json!(3_000), &json!(3)));
    assert_eq!(found["drifts"][0], json!(1_511));
}

#[test]
fn booleans_and_gaps_of_csv_are_values_and_gaps() {
    let folder = tempfile::tempdir().expect("a folder");
    let cells: Vec<&str> = (0..600)
        .map(|i| match i {
            3 => ",mon",
            4 => "NaN,mon",
            _ if i < 300 && i % 10 != 0 => "False,mon",
            _ if i % 2 == 0 => "True,tue",
            _ => "false,tue",
        })
        .collect();
    let file = csv(&folder, &cells);
    let arguments = [
        "--detector",
        "hddm_w",
        "--input",
        &file,
        "--column",
        "x",
        "--format",
        "json",
    ];
    let found = json_of(&detect(&arguments), 0);
    assert_eq!((&found["n"], &found["ignored"]), (&json!(600), &json!(2)));
    assert!(
        found["drifts"][0]
            .as_u64()
            .is_some_and(|at| (300..400).contains(&at)),
        "{found}"
    );
}

#[test]
fn an_e_process_says_its_evidence() {
    let file = golden("stream_bern.csv");
    let arguments = [
        "--detector",
        "e_process",
        "--param",
        "block=10",
        "--input",
        &file,
        "--column",
        "x",
        "--format",
        "json",
    ];
    let found = json_of(&detect(&arguments), 0);
    assert!(found["e_value"].is_f64(), "{found}");
    assert!(
        found["reference_limit"]
            .as_f64()
            .is_some_and(|limit| limit < 0.5),
        "{found}"
    );
    assert_eq!(
        found["drifts"].as_array().map(|drifts| !drifts.is_empty()),
        Some(true),
        "{found}"
    );
}

#[test]
fn what_is_wrong_is_said_with_place_value_and_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = csv(&folder, &["0,mon", "2.5,tue", "wed,wed"]);
    let base = ["--input", &file, "--column"];
    #[track_caller]
    fn refused(arguments: &[&str], expect: &str) {
        let output = detect(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty());
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            format!("driftline: {expect}\n")
        );
    }
    let with = |first: &[&'static str], column: &'static str| -> Vec<String> {
        let all = first.iter().chain(&base).chain(std::iter::once(&column));
        all.map(|word| (*word).to_owned()).collect()
    };
    #[track_caller]
    fn case(arguments: &[String], expect: &str) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        refused(&arguments, expect);
    }
    case(
        &with(&["--detector", "adwin"], "y"),
        &format!("{file}: has no column \"y\"; its columns are x, day"),
    );
    case(
        &with(&["--detector", "adwin"], "x"),
        &format!(
            "{file}: column \"x\", row 3: \"wed\" is not a number; name a numeric column, or repair the cell (empty is missing)"
        ),
    );
    let file_of_losses = csv(&folder, &["0,mon", "2.5,tue"]);
    case(
        &with(&["--detector", "ddm"], "x"),
        &format!(
            "{file_of_losses}: column \"x\", row 2: 2.5 is nothing that ddm takes; it takes numbers from 0 to 1: name a column of such \
             losses, or another detector"
        ),
    );
    case(
        &with(&["--detector", "adwin", "--param", "delta=7"], "x"),
        "adwin: delta = 7: must be a number between 1e-300 and 1, both excluded; the default is 0.002",
    );
    csv(&folder, &[",mon", "nan,tue"]);
    case(
        &with(&["--detector", "adwin"], "x"),
        &format!("{file}: column \"x\" has no number in 2 rows; name another column"),
    );
}

#[test]
fn the_list_names_every_detector_with_its_parameters() {
    let output = detect(&["--list"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    for entry in driftline::detect::table() {
        assert!(
            text.contains(&format!("{}: {}\n", entry.name, entry.title)),
            "{}",
            entry.name
        );
        for line in entry.kind.parameters() {
            assert!(
                text.contains(&format!("    {} = {}: ", line.name, line.default)),
                "{}",
                line.name
            );
        }
    }
}
