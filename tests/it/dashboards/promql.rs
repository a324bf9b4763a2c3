//! The names in a PromQL expression: as much of its grammar as it takes to find them.

use std::collections::BTreeSet;

/// A metric with what is asked of its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    /// Label names in the braces.
    pub labels: Vec<String>,
    /// What stands in the brackets; `""` where there are none.
    pub range: String,
}

/// Everything an expression names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub selectors: Vec<Selector>,
    /// Labels that are grouped or matched by.
    pub grouped: BTreeSet<String>,
    pub functions: BTreeSet<String>,
}

const GROUPING: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
const WORDS: [&str; 6] = ["and", "or", "unless", "offset", "bool", "inf"];

/// Finds the names.
///
/// # Panics
/// On what is no PromQL: an open brace, a quote that does not end.
#[track_caller]
pub fn names(expression: &str) -> Names {
    let mut names = Names::default();
    let mut rest = expression;
    while let Some(letter) = rest.chars().next() {
        if letter.is_ascii_digit() {
            // Numbers, and lengths of time with their unit.
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else if letter.is_ascii_alphabetic() || letter == '_' {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let next = after.trim_start();
            rest = next;
            if GROUPING.contains(&word) {
                let Some(list) = next.strip_prefix('(') else {
                    assert!(
                        word.starts_with("group"),
                        "{word} without labels in {expression}"
                    );
                    continue;
                };
                let (list, after) = list.split_once(')').expect("a list of labels ends");
                let labels = list.split(',').map(str::trim).filter(|l| !l.is_empty());
                names.grouped.extend(labels.map(str::to_owned));
                rest = after;
            } else if WORDS.contains(&word) {
            } else if next.starts_with('(') {
                names.functions.insert(word.to_owned());
            } else {
                let (selector, after) = selector(word, next);
                // An aggregation may be followed by its grouping: `sum by (x) (…)`.
                if selector.labels.is_empty() && GROUPING.iter().any(|word| after.starts_with(word))
                {
                    names.functions.insert(selector.metric);
                } else {
                    names.selectors.push(selector);
                }
                rest = after;
            }
        } else {
            assert!(
                !"\"'`{}[]".contains(letter),
                "{letter} out of place in {expression}"
            );
            rest = &rest[letter.len_utf8()..];
        }
    }
    names
}

fn selector<'a>(metric: &str, rest: &'a str) -> (Selector, &'a str) {
    let mut rest = rest;
    let mut labels = Vec::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        while let Some(matcher) = inside.trim_start_matches([',', ' ']).split_once('"') {
            if inside.trim_start().starts_with('}') {
                break;
            }
            let (name, value) = matcher;
            labels.push(
                name.trim_end_matches(['=', '~', '!', ' '])
                    .trim()
                    .to_owned(),
            );
            let (_, after) = value.split_once('"').expect("a quoted value ends");
            inside = after;
        }
        rest = inside
            .trim_start_matches([',', ' '])
            .strip_prefix('}')
            .expect("braces end")
            .trim_start();
    }
    let mut range = String::new();
    if let Some(inside) = rest.strip_prefix('[') {
        let (found, after) = inside.split_once(']').expect("brackets end");
        range = found.to_owned();
        rest = after.trim_start();
    }
    let metric = metric.to_owned();
    (
        Selector {
            metric,
            labels,
            range,
        },
        rest,
    )
}

#[track_caller]
fn check(
    expression: &str,
    selectors: &[(&str, &[&str], &str)],
    grouped: &[&str],
    functions: &[&str],
) {
    let found = names(expression);
    let expect = selectors.iter().map(|(metric, labels, range)| Selector {
        metric: (*metric).to_owned(),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        range: (*range).to_owned(),
    });
    assert_eq!(found.selectors, expect.collect::<Vec<_>>());
    assert!(found.grouped.iter().eq(grouped), "{:?}", found.grouped);
    assert!(
        found.functions.iter().eq(functions),
        "{:?}",
        found.functions
    );
}

#[test]
fn names_are_found() {
    check("up", &[("up", &[], "")], &[], &[]);
    check(
        r#"sum by (le, model) (rate(a_bucket{model="$model",stage=~"x|y}"}[$__rate_interval])) * 1000"#,
        &[("a_bucket", &["model", "stage"], "$__rate_interval")],
        &["le", "model"],
        &["rate", "sum"],
    );
    check(
        r#"time() - max(a{}) > 1e3 unless on () b offset 5m or c[1d]"#,
        &[("a", &[], ""), ("b", &[], ""), ("c", &[], "1d")],
        &[],
        &["max", "time"],
    );
    check(
        r#"sum(a) by (x) / (b:c:rate5m > 0)"#,
        &[("a", &[], ""), ("b:c:rate5m", &[], "")],
        &["x"],
        &["sum"],
    );
}
