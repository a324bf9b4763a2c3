//! A golden case and its input: literal values, or rows of one of the CSV files beside it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

/// The file with all cases and the tables that they name.
pub struct Golden {
    cases: Vec<Value>,
    tables: BTreeMap<String, Table>,
}

/// A CSV file: names of its columns, and its cells as they stand.
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// One case.
pub struct Case<'a> {
    pub id: String,
    pub statistic: String,
    pub input: &'a Value,
    pub params: &'a Value,
    pub expected: &'a Value,
    pub tol: &'a Value,
    golden: &'a Golden,
}

impl Golden {
    pub fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let text = std::fs::read_to_string(folder.join("golden.json")).expect("the golden file");
        let golden: Value = serde_json::from_str(&text).expect("the golden file is JSON");
        let tables = golden["datasets"].as_object().expect("its tables");
        let tables = tables
            .iter()
            .map(|(name, about)| {
                let file = folder.join(about["file"].as_str().expect("a file"));
                let table = Table::read(&file);
                assert_eq!(
                    Some(table.rows.len() as u64),
                    about["rows"].as_u64(),
                    "{name}"
                );
                (name.clone(), table)
            })
            .collect();
        let cases = golden["cases"].as_array().expect("its cases").clone();
        Self { cases, tables }
    }

    pub fn cases(&self) -> Vec<Case<'_>> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        self.cases
            .iter()
            .map(|case| Case {
                id: text(&case["id"]),
                statistic: text(&case["statistic"]),
                input: &case["input"],
                params: &case["params"],
                expected: &case["expected"],
                tol: &case["tol"],
                golden: self,
            })
            .collect()
    }
}

impl Table {
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).expect("a golden table");
        let mut lines = text.lines().map(cells);
        let columns = lines.next().expect("a first line");
        let rows: Vec<Vec<String>> = lines.collect();
        assert!(
            rows.iter().all(|row| row.len() == columns.len()),
            "{}",
            file.display()
        );
        Self { columns, rows }
    }

    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// One column as text; an empty cell is `None`.
    pub fn texts(&self, column: &str, rows: Range<usize>) -> Vec<Option<String>> {
        let at = self.columns.iter().position(|name| name == column);
        let at = at.unwrap_or_else(|| panic!("no column {column}"));
        let cell = |row: &Vec<String>| Some(row[at].clone()).filter(|text| !text.is_empty());
        self.rows[rows].iter().map(cell).collect()
    }

    /// One column as numbers; an empty cell is NaN.
    pub fn numbers(&self, column: &str, rows: Range<usize>) -> Vec<f64> {
        self.texts(column, rows)
            .iter()
            .map(|text| text.as_deref().map_or(f64::NAN, parse))
            .collect()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

impl Case<'_> {
    pub fn table(&self, name: &str) -> &Table {
        &self.golden.tables[name]
    }

    /// Numbers of a side (`ref`, `cur`), without NaN where the case says `drop`.
    pub fn sample(&self, side: &str) -> Vec<f64> {
        let input = &self.input[side];
        let mut found = match input["values"].as_array() {
            Some(values) => values.iter().map(number).collect(),
            None => {
                let (table, rows) = self.rows(input);
                table.numbers(word(&input["column"]), rows)
            }
        };
        if self.input["nan"] == "drop" {
            found.retain(|x| !x.is_nan());
        }
        found
    }

    /// Categories of a side, without missing ones where the case says `drop` (elsewhere they must not occur).
    pub fn texts(&self, side: &str) -> Vec<String> {
        let input = &self.input[side];
        let found: Vec<Option<String>> = match input["values"].as_array() {
            Some(values) => values
                .iter()
                .map(|value| match value {
                    Value::Null => None,
                    Value::String(text) if text == "nan" => None,
                    Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                })
                .collect(),
            None => {
                let (table, rows) = self.rows(input);
                table.texts(word(&input["column"]), rows)
            }
        };
        assert!(
            self.input["nan"] == "drop" || found.iter().all(Option::is_some),
            "{}: a missing category, and nothing says what it means",
            self.id
        );
        found.into_iter().flatten().collect()
    }

    /// The stream of a detector's case.
    pub fn stream(&self) -> Vec<f64> {
        let (table, rows) = self.rows(self.input);
        table.numbers(word(&self.input["column"]), rows)
    }

    /// Rows of several numeric columns, row by row, and how many columns: `{dataset, columns, rows}` or
    /// `"mv_ref[0:500]"`, whose columns the input names (else all).
    pub fn matrix(&self, side: &str) -> (Vec<f64>, usize) {
        let input = &self.input[side];
        self.matrix_of(input)
    }

    /// As [`Case::matrix`], of any description of rows.
    pub fn matrix_of(&self, input: &Value) -> (Vec<f64>, usize) {
        let (table, rows) = self.rows(input);
        let named = [
            &input["columns"],
            &self.input["columns"],
            &self.input["ref"]["columns"],
        ];
        let columns: Vec<String> = match named.iter().find_map(|names| names.as_array()) {
            Some(names) => names.iter().map(|name| word(name).to_owned()).collect(),
            None => table.columns().to_vec(),
        };
        let columns: Vec<Vec<f64>> = columns
            .iter()
            .map(|column| table.numbers(column, rows.clone()))
            .collect();
        let values = (0..rows.len())
            .flat_map(|row| columns.iter().map(move |column| column[row]))
            .collect();
        (values, columns.len())
    }

    /// The table and the rows that a description names; all rows where it names none.
    pub fn rows(&self, input: &Value) -> (&Table, Range<usize>) {
        if let Some(text) = input.as_str() {
            let (name, rows) = text.split_once('[').unwrap_or((text, ""));
            let table = self.table(name);
            let ends: Vec<usize> = rows
                .trim_end_matches(']')
                .split(':')
                .filter_map(|end| end.parse().ok())
                .collect();
            return match ends[..] {
                [first, end] => (table, first..end),
                _ => (table, 0..table.len()),
            };
        }
        let table = self.table(word(&input["dataset"]));
        let end = |at: usize| input["rows"][at].as_u64().map(|end| end as usize);
        (table, end(0).unwrap_or(0)..end(1).unwrap_or(table.len()))
    }
}

/// A number, or one of the words that stand for what JSON cannot write.
pub fn number(value: &Value) -> f64 {
    match value {
        Value::Null => f64::NAN,
        Value::String(text) => parse(text),
        other => other
            .as_f64()
            .unwrap_or_else(|| panic!("{other} is no number")),
    }
}

fn parse(text: &str) -> f64 {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn word(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

/// The cells of one line of CSV.
fn cells(line: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(String::new()),
            _ => found.last_mut().expect("a cell").push(letter),
        }
    }
    found
}
