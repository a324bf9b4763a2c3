//! What NumPy, SciPy, Evidently, Frouros and Alibi Detect say MMD² is, on both backends.
//!
//! Their sums are of `f64`; ours of kernels that are each within a named tolerance, so that a mean of kernels is, and of
//! the three means that MMD² is made of one counts twice. `stats::multivariate` is held to their last digits elsewhere.

use std::path::Path;

use driftline::compute::labels::Labels;
use driftline::compute::rbf_mmd::{self, KERNEL_TOLERANCE};
use serde_json::Value;

use crate::device;

/// Means within, twice, and across, which counts twice: each within a kernel's tolerance, and as much again for
/// coordinates in `f32`.
const MMD_TOLERANCE: f64 = 2.0 * 4.0 * KERNEL_TOLERANCE;

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/golden.json");
    let text = std::fs::read(path).expect("tests/golden/golden.json");
    serde_json::from_slice(&text).expect("JSON")
}

/// Some columns of some rows of a table, row by row, and how many columns they are.
fn rows(side: &Value) -> (Vec<f64>, usize) {
    let name = side["dataset"].as_str().expect("a table's name");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/data/{name}.csv"));
    let text = std::fs::read_to_string(path).expect("the table");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let wanted = side["columns"].as_array().expect("columns");
    let places: Vec<usize> = wanted
        .iter()
        .map(|column| {
            header
                .iter()
                .position(|name| Some(*name) == column.as_str())
        })
        .map(|place| place.expect("a column of the table"))
        .collect();
    let bound = |at: usize| side["rows"][at].as_u64().expect("a row's number") as usize;
    let mut values = Vec::new();
    for line in lines.skip(bound(0)).take(bound(1) - bound(0)) {
        let cells: Vec<&str> = line.split(',').collect();
        values.extend(
            places
                .iter()
                .map(|&at| cells[at].parse::<f64>().expect("a number")),
        );
    }
    (values, places.len())
}

/// √(½ · median of squared distances), a row's to itself among them: Evidently's width.
fn evidently_width(values: &[f64], dims: usize) -> f64 {
    let rows: Vec<&[f64]> = values.chunks_exact(dims).collect();
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
    let mut squares: Vec<f64> = rows
        .iter()
        .flat_map(|a| rows.iter().map(move |b| square(a, b)))
        .collect();
    squares.sort_by(f64::total_cmp);
    let middle = squares.len() / 2;
    (0.5 * (squares[middle] + squares[(squares.len() - 1) / 2]) / 2.0).sqrt()
}

#[track_caller]
fn check(id: &str, case: &Value, sigma: f64, expected: &Value) {
    let (first, dims) = rows(&case["input"]["ref"]);
    let (second, _) = rows(&case["input"]["cur"]);
    let points = rbf_mmd::points(&first, &second, dims, sigma).expect("whole rows");
    let labels = Labels::of_rows(points.first(), points.second(), 0, 0);
    let mut found = vec![(
        "cpu",
        rbf_mmd::fast(&points, &labels).expect("as many labels"),
    )];
    if let Some(gpu) = device() {
        found.push((
            "gpu",
            rbf_mmd::on_gpu(gpu, &points, &labels).expect("the device runs"),
        ));
    }
    for (backend, sums) in found {
        for (name, value) in [
            ("mmd2_unbiased", sums[0].mmd2_unbiased()),
            ("mmd2_biased", sums[0].mmd2_biased()),
        ] {
            let Some(expect) = expected[name].as_f64() else {
                continue;
            };
            // Of an `f32` program its own tolerance.
            let own = case["tol"]["abs"].as_f64().unwrap_or(0.0)
                + expect.abs() * case["tol"]["rel"].as_f64().unwrap_or(0.0);
            let value = value.expect("two rows a side");
            assert!(
                (value - expect).abs() <= MMD_TOLERANCE + own,
                "{id}, sigma {sigma}, {name} on {backend}: {value} instead of {expect}"
            );
        }
    }
}

#[test]
fn golden_mmd_on_both_backends() {
    let golden = golden();
    let (mut cases, mut checks) = (0, 0);
    for case in golden["cases"].as_array().expect("cases") {
        if case["statistic"] != "mmd2_rbf" {
            continue;
        }
        cases += 1;
        let id = case["id"].as_str().expect("a name");
        let expected = &case["expected"];
        if expected["mmd2_unbiased"].is_number() {
            let params = &case["params"];
            let given = params["sigma"]
                .as_f64()
                .or(params["sigma_inferred"].as_f64());
            let sigma = given.unwrap_or_else(|| {
                let said = params["sigma"].as_str().unwrap_or("");
                assert!(said.starts_with("evidently"), "{id}: {params}");
                let (first, dims) = rows(&case["input"]["ref"]);
                evidently_width(&first, dims)
            });
            check(id, case, sigma, expected);
            checks += 1;
            continue;
        }
        for (_, of_width) in expected.as_object().expect("widths") {
            let sigma = of_width["sigma"].as_f64().expect("a width");
            check(id, case, sigma, of_width);
            checks += 1;
        }
    }
    // A table that no longer holds them would pass in silence.
    assert!(cases >= 8 && checks >= 15, "{cases} cases, {checks} checks");
}
