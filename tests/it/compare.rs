//! `driftline compare` and `driftline statistics` as people and pipelines use them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn driftline(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_driftline"))
        .args(arguments)
        .output()
        .expect("the binary runs")
}

fn golden(table: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data");
    folder.join(table).display().to_string()
}

/// Compares two golden tables and returns the JSON with the exit status.
fn compared(reference: &str, current: &str, more: &[&str]) -> (Value, i32) {
    let mut arguments = vec![
        "compare",
        "--reference",
        reference,
        "--current",
        current,
        "--format",
        "json",
    ];
    arguments.extend(more);
    let output = driftline(&arguments);
    let text = String::from_utf8(output.stdout).expect("text");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let json =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
    (json, output.status.code().expect("an exit status"))
}

fn column<'a>(report: &'a Value, name: &str) -> &'a Value {
    let columns = report["columns"].as_array().expect("columns");
    let found = columns.iter().find(|column| column["column"] == name);
    found.unwrap_or_else(|| panic!("no column {name}"))
}

fn score(report: &Value, name: &str, statistic: &str) -> f64 {
    let lines = column(report, name)["statistics"]
        .as_array()
        .expect("statistics");
    let line = lines.iter().find(|line| line["statistic"] == statistic);
    let line = line.unwrap_or_else(|| panic!("no {statistic} of {name}"));
    line["score"]
        .as_f64()
        .unwrap_or_else(|| panic!("no score: {line}"))
}

#[test]
fn a_drifted_file_is_told_apart_from_a_quiet_one_by_the_exit_status() {
    let (reference, current) = (golden("carloan_ref.csv"), golden("carloan_ana.csv"));
    let (report, status) = compared(&reference, &current, &["--fail-on", "drift"]);
    assert_eq!((report["verdict"].as_str(), status), (Some("drift"), 1));
    assert_eq!(column(&report, "car_value")["verdict"], "drift");
    assert_eq!(column(&report, "loan_length")["verdict"], "ok");
    let (report, status) = compared(&reference, &reference, &["--fail-on", "drift"]);
    assert_eq!((report["verdict"].as_str(), status), (Some("ok"), 0));
    // Without the flag drift is an answer, not a failure.
    assert_eq!(compared(&reference, &current, &[]).1, 0);
}

#[test]
fn every_line_says_what_a_reader_needs() {
    let (report, _) = compared(&golden("carloan_ref.csv"), &golden("carloan_ana.csv"), &[]);
    for column in report["columns"].as_array().expect("columns") {
        let lines = column["statistics"].as_array().expect("statistics");
        assert!(lines.len() >= 4, "{column}");
        assert_eq!(
            lines.iter().filter(|line| line["decides"] == true).count(),
            1
        );
        for line in lines {
            for field in ["score", "p_value", "threshold", "level", "effect", "floor"] {
                assert!(line[field].is_number(), "{field}: {line}");
            }
            assert_eq!(line["threshold_source"], "assumes_independence", "{line}");
            assert_eq!(
                (line["n_reference"].as_u64(), line["n_current"].as_u64()),
                (Some(10_000), Some(10_000))
            );
            assert!(
                line["parameters"].is_object()
                    && line["reason"].as_str().is_some_and(|text| !text.is_empty())
            );
        }
    }
    assert!(report["multivariate"].as_array().is_some_and(Vec::is_empty));
}

/// The parameters of the command line reach the numbers: SciPy's and NumPy's, from the golden file.
#[test]
fn what_is_asked_for_with_parameters_is_what_others_compute() {
    let table = golden("synth_num.csv");
    let folder = tempfile::tempdir().expect("a folder");
    let (reference, current) = (
        one_column(&folder, &table, "norm_a"),
        one_column(&folder, &table, "norm_b"),
    );
    let (report, _) = compared(
        &reference,
        &current,
        &[
            "--statistics",
            "psi,js,ks,wasserstein,energy,hellinger",
            "--param",
            "bins=quantile:10",
            "--param",
            "closed=left",
            "--param",
            "missing=drop",
            "--param",
            "smoothing=floor:1e-4",
            "--param",
            "method=exact",
            "--param",
            "scale=none",
        ],
    );
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/golden.json"),
    )
    .expect("the golden file");
    let golden: Value = serde_json::from_str(&text).expect("JSON");
    for (statistic, id, key) in [
        ("psi", "psi/mean_shift", "value"),
        ("js", "jensen_shannon/num_mean_shift", "distance"),
        ("ks", "ks_2samp/mean_shift", "statistic"),
        ("wasserstein", "wasserstein/mean_shift", "value"),
        ("energy", "energy_distance_1d/mean_shift", "value"),
        ("hellinger", "hellinger/num_mean_shift", "value"),
    ] {
        let cases = golden["cases"].as_array().expect("cases");
        let case = cases.iter().find(|case| case["id"] == id).expect("a case");
        let want = case["expected"][key].as_f64().expect("a number");
        let got = score(&report, "x", statistic);
        assert!(
            (got - want).abs() <= 1e-9 * (1.0 + want.abs()),
            "{statistic}: {got}, not {want}"
        );
    }
}

/// A golden table's column as a file of one column, `x`.
fn one_column(folder: &TempDir, table: &str, name: &str) -> String {
    let text = std::fs::read_to_string(table).expect("a golden table");
    let mut lines = text.lines();
    let at = lines
        .next()
        .and_then(|head| head.split(',').position(|column| column == name))
        .expect("the column");
    let cells = lines.map(|line| line.split(',').nth(at).unwrap_or_default());
    let path = folder.path().join(format!("{name}.csv"));
    let body: String = std::iter::once("x")
        .chain(cells)
        .map(|cell| format!("{cell}\n"))
        .collect();
    std::fs::write(&path, body).expect("a file");
    path.display().to_string()
}

fn written(folder: &TempDir, name: &str, text: &str) -> String {
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[test]
fn a_constant_that_moves_and_a_column_that_goes_missing_are_drift() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = |value: &str, emptied: usize| -> String {
        let line = |i: usize| {
            let gap = if i < emptied { "" } else { "7" };
            format!("{value},{gap},{}\n", i % 10)
        };
        std::iter::once("c,m,k\n".to_owned())
            .chain((0..400).map(line))
            .collect()
    };
    let reference = written(&folder, "r.csv", &rows("5", 0));
    let current = written(&folder, "c.csv", &rows("6", 200));
    let (report, _) = compared(&reference, &current, &[]);
    assert_eq!(column(&report, "c")["verdict"], "drift");
    assert_eq!(column(&report, "m")["verdict"], "drift");
    assert_eq!(column(&report, "k")["verdict"], "ok");
    let exact = [
        "--statistics",
        "wasserstein,energy,ks,welch_t",
        "--param",
        "method=exact",
        "--columns",
        "c",
    ];
    let (report, _) = compared(&reference, &current, &exact);
    for line in column(&report, "c")["statistics"]
        .as_array()
        .expect("statistics")
    {
        assert_eq!(line["verdict"], "drift", "{line}");
    }
}

#[test]
fn several_columns_together_show_what_no_single_one_does() {
    let both = [
        "--statistics",
        "mmd,energy_nd,correlation_change,domain_classifier",
        "--param",
        "rows=500",
        "--param",
        "permutations=199",
    ];
    let (report, _) = compared(&golden("mv_ref.csv"), &golden("mv_cur.csv"), &both);
    let lines = report["multivariate"].as_array().expect("lines");
    assert_eq!(lines.len(), 4);
    let of = |name: &str| {
        lines
            .iter()
            .find(|line| line["statistic"] == name)
            .expect("a line")
    };
    assert_eq!(of("correlation_change")["verdict"], "drift", "{report}");
    assert_eq!(of("mmd")["verdict"], "drift", "{report}");
    assert!(report["columns"].as_array().is_some_and(|columns| {
        columns
            .iter()
            .all(|column| column["statistics"].as_array().is_some_and(Vec::is_empty))
    }));
}

#[test]
fn other_tools_numbers_are_those_of_the_library() {
    let (report, _) = compared(
        &golden("carloan_ref.csv"),
        &golden("carloan_ana.csv"),
        &["--compat", "evidently"],
    );
    assert_eq!(report["compat"], "evidently");
    let line = &column(&report, "car_value")["statistics"][0];
    assert_eq!(
        (line["statistic"].as_str(), line["threshold"].as_f64()),
        (Some("wasserstein"), Some(0.1))
    );
    assert_eq!(line["verdict"], "drift");
}

#[track_caller]
fn refused(arguments: &[&str], sentence: &str) {
    let output = driftline(arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(sentence), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn bad_input_is_refused_with_place_value_and_remedy() {
    let table = golden("synth_num.csv");
    let both = ["compare", "--reference", &table, "--current", &table];
    let with = |more: &[&'static str]| -> Vec<String> {
        both.iter()
            .copied()
            .chain(more.iter().copied())
            .map(str::to_owned)
            .collect()
    };
    let check = |more: &[&'static str], sentence: &str| {
        let arguments = with(more);
        refused(
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
            sentence,
        );
    };
    check(
        &["--statistics", "psy"],
        "\"psy\" is no statistic; write one of: psi, js",
    );
    check(
        &["--statistics", "psi", "--param", "bins=many"],
        "bins=many is not understood; write a number",
    );
    check(&["--columns", "nowhere"], "--columns nowhere: ");
    check(
        &["--compat", "sas"],
        "sas is no tool that is known here; write one of: evidently",
    );
    check(
        &["--every", "7d"],
        "--every cuts the reference into windows, and it has no time column",
    );
    refused(
        &[
            "compare",
            "--reference",
            "/nowhere.csv",
            "--current",
            &table,
        ],
        "/nowhere.csv: cannot be opened",
    );
}

/// A file beside itself is the quietest there is, whatever it holds.
#[test]
fn a_file_beside_itself_never_drifts() {
    let folder = tempfile::tempdir().expect("a folder");
    // Words that are mostly met once, and a few that are not.
    let line = |i: usize| match i % 10 {
        0 => "common".to_owned(),
        1 if i < 40 => "twice".to_owned(),
        _ => format!("w{i}"),
    };
    for rows in [30, 120, 400] {
        let body: String = (0..rows).map(|i| format!("{},{i}\n", line(i))).collect();
        let file = written(&folder, "words.csv", &format!("word,n\n{body}"));
        let more = [
            "--statistics",
            "js,psi,kl,hellinger,tv,l_infinity,chi_squared,g_test,cramers_v",
            "--floor",
            "0",
        ];
        let declared = [&more[..], &["--categorical", "word"]].concat();
        let (report, _) = compared(&file, &file, &declared);
        assert_eq!(report["verdict"], "ok", "{rows}: {report}");
        for line in column(&report, "word")["statistics"]
            .as_array()
            .expect("lines")
        {
            assert_eq!(line["score"].as_f64(), Some(0.0), "{line}");
        }
    }
}

#[test]
fn a_column_that_was_all_null_and_has_values_has_moved() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, number: &str, word: &str, never: &str| {
        let line = |i: usize| format!("{},{number},{word},{never}\n", i % 9);
        let body: String = (0..200).map(line).collect();
        written(&folder, name, &format!("k,number,word,never\n{body}"))
    };
    let (reference, current) = (file("r.csv", "", "", ""), file("c.csv", "3.5", "red", ""));
    let (report, status) = compared(&reference, &current, &["--fail-on", "drift"]);
    assert_eq!(status, 1, "{report}");
    for name in ["number", "word"] {
        let found = column(&report, name);
        assert_eq!(found["verdict"], "drift", "{found}");
    }
    assert_eq!(column(&report, "k")["verdict"], "ok");
    let skipped = report["skipped"].as_array().expect("skipped");
    assert_eq!(skipped.len(), 1, "{report}");
    assert_eq!(skipped[0]["column"], "never");
}

#[test]
fn names_with_commas_are_quoted_as_in_csv() {
    let folder = tempfile::tempdir().expect("a folder");
    let body: String = (0..100)
        .map(|i| format!("{},{},{}\n", i % 7, i % 5, i % 3))
        .collect();
    let file = written(&folder, "r.csv", &format!("\"a, b\",c,d\n{body}"));
    let (report, _) = compared(&file, &file, &["--columns", "\"a, b\",d"]);
    let names: Vec<&str> = report["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .filter_map(|column| column["column"].as_str())
        .collect();
    assert_eq!(names, ["a, b", "d"]);
}

#[test]
fn what_another_tool_does_not_take_is_refused() {
    let table = golden("synth_num.csv");
    for flag in ["--alpha=0.01", "--floor=0", "--seed=1"] {
        let name = flag.split('=').next().expect("a name");
        refused(
            &[
                "compare",
                "--reference",
                &table,
                "--current",
                &table,
                "--compat",
                "azure",
                flag,
            ],
            &format!("cannot be used with '{name}"),
        );
    }
}

#[test]
fn values_of_features_are_no_attributions() {
    let folder = tempfile::tempdir().expect("a folder");
    let body: String = (0..100).map(|i| format!("{},{}\n", i % 7, i % 5)).collect();
    let plain = written(&folder, "plain.csv", &format!("age,income\n{body}"));
    let named = written(
        &folder,
        "named.csv",
        &format!("shap_age,shap_income\n{body}"),
    );
    let ask = ["--statistics", "attribution_ndcg"];
    let (report, status) = compared(&plain, &plain, &ask);
    let line = &report["multivariate"][0];
    assert_eq!(
        (line["verdict"].as_str(), status),
        (Some("insufficient_data"), 2)
    );
    let reason = line["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("no column is called an attribution"),
        "{reason}"
    );
    for (file, more) in [(&named, "columns=named"), (&plain, "columns=all")] {
        let (report, status) = compared(file, file, &[&ask[..], &["--param", more]].concat());
        let line = &report["multivariate"][0];
        assert_eq!((line["score"].as_f64(), status), (Some(1.0), 0), "{line}");
    }
}

#[test]
fn a_comparison_of_nothing_says_why_columns_were_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let body: String = (0..300).map(|i| format!("id-{i}\n")).collect();
    let file = written(&folder, "ids.csv", &format!("key\n{body}"));
    refused(
        &["compare", "--reference", &file, "--current", &file],
        "not compared: key (almost every value is new: it looks like an identifier)",
    );
}

#[test]
fn huge_numbers_are_said_in_few_digits() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = |by: &str| -> String { (1..200).map(|i| format!("{i}{by}\n")).collect() };
    let reference = written(&folder, "r.csv", &format!("x\n{}", body("e250")));
    let current = written(&folder, "c.csv", &format!("x\n{}", body("e251")));
    let (report, _) = compared(
        &reference,
        &current,
        &[
            "--statistics",
            "welch_t,quantile_shift,wasserstein,mean_shift,variance_shift,ks",
            "--param",
            "method=exact",
            "--param",
            "wasserstein.scale=none",
        ],
    );
    for line in column(&report, "x")["statistics"]
        .as_array()
        .expect("lines")
    {
        for field in ["reason", "moved"] {
            let text = line[field].as_str().unwrap_or_default();
            assert!(text.len() < 200, "{text}");
        }
    }
}

#[test]
fn the_list_has_every_statistic_and_each_has_a_page() {
    let list = driftline(&["statistics"]);
    let text = String::from_utf8(list.stdout).expect("text");
    for entry in driftline::stats::table() {
        assert!(text.contains(entry.name), "{} is not listed", entry.name);
        let page = driftline(&["statistics", entry.name]);
        let page = String::from_utf8(page.stdout).expect("text");
        assert!(
            page.contains(entry.formula) && page.contains(entry.source),
            "{page}"
        );
        for parameter in entry.parameters {
            assert!(page.contains(parameter.name), "{page}");
        }
    }
    refused(&["statistics", "nothing"], "\"nothing\" is no statistic");
}

#[test]
fn text_and_markdown_are_tables() {
    let table = golden("synth_cat.csv");
    let both = [
        "compare",
        "--reference",
        &table,
        "--current",
        &table,
        "--columns",
        "cat_a",
    ];
    for (format, start) in [
        ("text", "ok: 1 column: 0 drift, 1 ok"),
        ("markdown", "## ok: 1 column"),
    ] {
        let mut arguments = both.to_vec();
        arguments.extend(["--format", format]);
        let output = String::from_utf8(driftline(&arguments).stdout).expect("text");
        assert!(output.starts_with(start), "{output}");
        assert!(
            output.contains("cat_a") && output.contains("js *"),
            "{output}"
        );
    }
}
