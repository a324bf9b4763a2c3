//! A published table, reproduced: alibi-detect's `TabularDrift` on the UCI Adult data, ten thousand rows against ten
//! thousand.
//!
//! The file is not ours to ship. Where `ADULT_DATA` names UCI's `adult.data` (32,561 lines, ", " between cells, no
//! header) the test runs; elsewhere it says that it did not. The Python package `fairness` 0.1.8 holds the same rows as
//! `fairness/data/raw/adult.csv`, with a header and "," between cells.
//!
//! The p-values of the Kolmogorov–Smirnov test were published as Kolmogorov's limit gives them: 0.512 for a distance of
//! 0.0116. The exact ones are the same to three digits. What SciPy calls asymptotic today, the law of one sample of
//! nm/(n + m) rows, is not: 0.508.

use std::collections::BTreeMap;

use driftline::stats::contingency::{Correction, chi_squared};
use driftline::stats::ks_exact::{Method, ks};
use driftline::stats::multiplicity::bonferroni;
use driftline::stats::sorted::Sorted;

/// The file's columns; `fnlwgt`, `Education-Num` and the label are not watched.
const COLUMNS: [&str; 15] = [
    "Age",
    "Workclass",
    "fnlwgt",
    "Education",
    "Education-Num",
    "Marital Status",
    "Occupation",
    "Relationship",
    "Race",
    "Sex",
    "Capital Gain",
    "Capital Loss",
    "Hours per week",
    "Country",
    "Target",
];
const LEFT_OUT: [&str; 3] = ["fnlwgt", "Education-Num", "Target"];
const NUMERIC: [&str; 4] = ["Age", "Capital Gain", "Capital Loss", "Hours per week"];

/// Rows of the reference and of each test.
const ROWS: usize = 10_000;

/// Column, then statistic and p-value of both tests, to three digits.
const PUBLISHED: [(&str, [(f64, f64); 2]); 5] = [
    ("Age", [(0.012, 0.512), (0.007, 0.967)]),
    ("Sex", [(0.217, 0.641), (0.008, 0.928)]),
    ("Hours per week", [(0.012, 0.512), (0.004, 1.000)]),
    ("Capital Gain", [(0.002, 1.000), (0.005, 0.999)]),
    ("Capital Loss", [(0.002, 1.000), (0.003, 1.000)]),
];
/// Half a unit of the last published digit, and a little for rounding.
const ROUNDED: f64 = 0.000_501;

/// What alibi's loader of the data makes of a category: rarer ones stand together.
fn grouped<'a>(column: &str, category: &'a str) -> &'a str {
    match (column, category) {
        (
            "Education",
            "10th" | "11th" | "12th" | "1st-4th" | "5th-6th" | "7th-8th" | "9th" | "Preschool",
        ) => "Dropout",
        ("Education", "HS-grad" | "Some-college") => "High School grad",
        ("Education", "Assoc-acdm" | "Assoc-voc") => "Associates",
        (
            "Occupation",
            "Craft-repair" | "Farming-fishing" | "Handlers-cleaners" | "Machine-op-inspct"
            | "Transport-moving",
        ) => "Blue-Collar",
        ("Occupation", "Other-service" | "Priv-house-serv") => "Service",
        ("Occupation", "Protective-serv" | "Tech-support") => "Other",
        ("Country", "Cambodia" | "Laos" | "Philippines" | "Thailand" | "Vietnam") => "SE-Asia",
        ("Country", "Canada" | "England" | "India" | "Ireland" | "Scotland") => {
            "British-Commonwealth"
        }
        ("Country", "China" | "Hong" | "Taiwan") => "China",
        ("Country", "Columbia" | "Ecuador" | "El-Salvador" | "Peru") => "South-America",
        ("Country", "Cuba" | "Iran" | "Japan") => "Other",
        (
            "Country",
            "Dominican-Republic"
            | "Guatemala"
            | "Haiti"
            | "Honduras"
            | "Jamaica"
            | "Mexico"
            | "Nicaragua"
            | "Outlying-US(Guam-USVI-etc)"
            | "Puerto-Rico"
            | "Trinadad&Tobago",
        ) => "Latin-America",
        ("Country", "France" | "Germany" | "Holand-Netherlands" | "Italy") => "Euro_1",
        ("Country", "Greece" | "Hungary" | "Poland" | "Portugal" | "South") => "Euro_2",
        ("Marital Status", "Married-AF-spouse" | "Married-civ-spouse") => "Married",
        ("Marital Status", "Married-spouse-absent" | "Separated" | "Divorced") => "Separated",
        _ => category,
    }
}

fn read(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(", ").collect();
            assert_eq!(cells.len(), COLUMNS.len(), "{line}");
            let named = COLUMNS.iter().zip(cells);
            named.map(|(column, cell)| grouped(column, cell)).collect()
        })
        .collect()
}

/// Statistic and p-value of every watched column.
fn judge(reference: &[Vec<&str>], current: &[Vec<&str>]) -> BTreeMap<&'static str, (f64, f64)> {
    let watched = COLUMNS.iter().enumerate();
    let watched = watched.filter(|(_, column)| !LEFT_OUT.contains(column));
    watched
        .map(|(at, &column)| {
            let found = if NUMERIC.contains(&column) {
                let numbers = |rows: &[Vec<&str>]| -> Sorted {
                    rows.iter()
                        .map(|row| row[at].parse::<f64>().expect("a number"))
                        .collect()
                };
                let found = ks(&numbers(reference), &numbers(current)).expect("rows");
                let p = found.p_value(Method::Exact).expect("a p-value");
                assert!(p.exact, "{column}");
                (found.distance, p.value)
            } else {
                let mut counts: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
                for (side, rows) in [reference, current].into_iter().enumerate() {
                    for row in rows {
                        counts.entry(row[at]).or_default()[side] += 1;
                    }
                }
                let side = |side: usize| counts.values().map(|pair| pair[side]).collect::<Vec<_>>();
                let found = chi_squared(&side(0), &side(1), Correction::Yates).expect("rows");
                (found.statistic, found.p_value)
            };
            (column, found)
        })
        .collect()
}

#[test]
fn the_published_table_of_adult_is_reproduced() {
    let Some(path) = std::env::var_os("ADULT_DATA") else {
        println!("not run: ADULT_DATA does not name UCI's adult.data");
        return;
    };
    let text = std::fs::read_to_string(&path).expect("the file that ADULT_DATA names");
    let rows = read(&text);
    assert!(rows.len() >= 3 * ROWS, "{} rows", rows.len());
    let reference = &rows[..ROWS];
    for test in 0..2 {
        let found = judge(reference, &rows[(test + 1) * ROWS..(test + 2) * ROWS]);
        println!("test {test}: {found:?}");
        assert_eq!(found.len(), 12);
        for (column, published) in PUBLISHED {
            let ((statistic, p), (want, want_p)) = (found[column], published[test]);
            assert!(
                (statistic - want).abs() < ROUNDED && (p - want_p).abs() < ROUNDED,
                "test {test}, {column}: {statistic}/{p}, not {want}/{want_p}"
            );
        }
        let p_values: Vec<f64> = found.values().map(|&(_, p)| p).collect();
        assert!(
            bonferroni(&p_values).iter().all(|&p| p > 0.05),
            "test {test}: drift"
        );
    }
}

#[test]
fn lines_of_adult_are_read_as_published() {
    let text = "39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40, United-States, <=50K\n\
                53, Private, 234721, 11th, 7, Divorced, Handlers-cleaners, Husband, Black, Female, 0, 0, 30, Jamaica, <=50K\n\n";
    let rows = read(text);
    assert_eq!(
        rows[0][3..7],
        ["Bachelors", "13", "Never-married", "Adm-clerical"]
    );
    assert_eq!(rows[1][3..7], ["Dropout", "7", "Separated", "Blue-Collar"]);
    assert_eq!(rows[1][13], "Latin-America");
    let twice = |row: &Vec<&'static str>| vec![row.clone(), row.clone()];
    let found = judge(&twice(&rows[0]), &twice(&rows[1]));
    assert_eq!(found.len(), 12);
    // Two rows on either side: a full gap, and a 2×2 table whose χ² of 4 Yates takes to 1.
    assert_eq!(found["Age"].0, 1.0);
    assert_eq!(found["Sex"].0, 1.0);
    assert_eq!(found["Capital Loss"].0, 0.0);
}
