//! What was found for one case, compared with what others say. A value is named by its path below `expected`
//! (`alibi/p_val`); every value there must be looked at.

use std::collections::BTreeSet;

use serde_json::Value;

use super::case::{Case, number};

pub struct Found<'a> {
    case: &'a Case<'a>,
    seen: BTreeSet<String>,
    wrong: Vec<String>,
}

impl<'a> Found<'a> {
    pub fn new(case: &'a Case<'a>) -> Self {
        Self {
            case,
            seen: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    /// A number, or a list of them, under the case's tolerance.
    pub fn number(&mut self, path: &str, got: f64) {
        let want = number(self.want(path));
        self.close(path, got, want);
    }

    pub fn numbers(&mut self, path: &str, got: &[f64]) {
        let want: Vec<f64> = self.list(path).iter().map(number).collect();
        if want.len() != got.len() {
            self.wrong(
                path,
                &format!("{} values", got.len()),
                &format!("{}", want.len()),
            );
            return;
        }
        for (i, (&got, want)) in got.iter().zip(want).enumerate() {
            self.close(&format!("{path}/{i}"), got, want);
        }
    }

    /// Compares under the case's tolerance without marking anything as looked at.
    pub fn close(&mut self, path: &str, got: f64, want: f64) {
        let tolerance = self.tolerance(path, want);
        self.close_to(path, got, want, tolerance);
    }

    /// Compares under a tolerance of its own, absolute.
    pub fn close_to(&mut self, path: &str, got: f64, want: f64, tolerance: f64) {
        let close = if want.is_nan() {
            got.is_nan()
        } else {
            got == want || (got - want).abs() <= tolerance
        };
        if !close {
            self.wrong(
                path,
                &format!("{got:e}"),
                &format!("{want:e} ± {tolerance:e}"),
            );
        }
    }

    /// A whole number, exactly.
    pub fn integer(&mut self, path: &str, got: i64) {
        let want = self.want(path).as_i64();
        if want != Some(got) {
            self.wrong(path, &got.to_string(), &format!("{want:?}"));
        }
    }

    /// Indices or counts, exactly.
    pub fn integers(&mut self, path: &str, got: &[u64]) {
        let want: Vec<u64> = self.list(path).iter().filter_map(Value::as_u64).collect();
        if want != got {
            self.wrong(path, &format!("{got:?}"), &format!("{want:?}"));
        }
    }

    pub fn flags(&mut self, path: &str, got: &[bool]) {
        let want: Vec<bool> = self.list(path).iter().filter_map(Value::as_bool).collect();
        if want != got {
            self.wrong(path, &format!("{got:?}"), &format!("{want:?}"));
        }
    }

    pub fn texts(&mut self, path: &str, got: &[String]) {
        let want: Vec<&str> = self.list(path).iter().filter_map(Value::as_str).collect();
        if want != got {
            self.wrong(path, &format!("{got:?}"), &format!("{want:?}"));
        }
    }

    /// A value that must lie within two others, `slack` (absolute) beyond them at most.
    pub fn between(&mut self, low: &str, high: &str, got: f64, slack: f64) {
        let (from, to) = (number(self.want(low)), number(self.want(high)));
        if !(from - slack <= got && got <= to + slack) {
            self.wrong(low, &got.to_string(), &format!("{from} to {to} ± {slack}"));
        }
    }

    /// What the case says at a path; counts as looked at.
    pub fn want(&mut self, path: &str) -> &'a Value {
        self.seen.insert(path.to_owned());
        let value = path
            .split('/')
            .fold(self.case.expected, |value, part| &value[part]);
        assert!(
            !value.is_null() || self.has(path),
            "{}: nothing is expected at {path}",
            self.case.id
        );
        value
    }

    /// Whether the case says anything at a path.
    pub fn has(&self, path: &str) -> bool {
        let mut value = self.case.expected;
        for part in path.split('/') {
            match value.get(part) {
                Some(inner) => value = inner,
                None => return false,
            }
        }
        true
    }

    /// A difference of any other kind.
    pub fn wrong(&mut self, path: &str, got: &str, want: &str) {
        self.wrong
            .push(format!("{} {path}: {got}, not {want}", self.case.id));
    }

    /// The differences.
    pub fn finish(mut self) -> Vec<String> {
        let mut paths = Vec::new();
        leaves(self.case.expected, "", &mut paths);
        let unseen = |path: &String| {
            let covered = |seen: &String| path == seen || path.starts_with(&format!("{seen}/"));
            !self.seen.iter().any(covered)
        };
        let missed: Vec<String> = paths.into_iter().filter(unseen).collect();
        for path in missed {
            self.wrong(&path, "nobody looked", "looked at");
        }
        self.wrong
    }

    fn list(&mut self, path: &str) -> &'a [Value] {
        let id = &self.case.id;
        let value = self.want(path);
        value
            .as_array()
            .unwrap_or_else(|| panic!("{id}: {path} is no list"))
    }

    /// How far a number may be off: a tolerance of the path's own last word, absolute, else `abs` + `rel`·|want|.
    fn tolerance(&self, path: &str, want: f64) -> f64 {
        let own = path
            .split('/')
            .rev()
            .find_map(|word| self.case.tol[word].as_f64());
        own.unwrap_or_else(|| {
            let part = |name: &str| self.case.tol[name].as_f64().unwrap_or(0.0);
            part("abs") + part("rel") * want.abs()
        })
    }
}

/// The paths of everything that is not an object.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value.as_object() {
        Some(fields) => {
            for (name, inner) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}/{name}")
                };
                leaves(inner, &path, found);
            }
        }
        None => found.push(path.to_owned()),
    }
}
