//! Reading checked values out of a [`Node`] tree, collecting a [`Problem`] for everything that does not fit.
//!
//! **Invariant:** a reader that returns `None` for a field that was given has recorded a problem. Deliberately absent:
//! defaults, which belong to whoever knows what the field means.

use std::ops::RangeInclusive;

use crate::event::Millis;

use super::duration;
use super::problem::{MISSING, Problem, did_you_mean};
use super::yaml::{self, Node, Value};

/// Longest name of a rule, an action or a receiver.
const NAME_BYTES: usize = 64;

/// Whether a text can stand in metrics labels, paths and keys.
pub fn is_name(text: &str) -> bool {
    let usable = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    !text.is_empty() && text.len() <= NAME_BYTES && text.bytes().all(usable)
}

/// Collects the problems of one file.
#[derive(Debug)]
pub struct Checker<'a> {
    source: &'a str,
    pub problems: Vec<Problem>,
}

/// A value and the path that leads to it.
#[derive(Debug, Clone)]
pub struct At<'a> {
    pub path: String,
    pub node: &'a Node,
}

/// A map whose keys are known ones.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    at: At<'a>,
    entries: Vec<(&'a str, At<'a>)>,
}

impl<'a> Table<'a> {
    pub fn get(&self, key: &str) -> Option<&At<'a>> {
        self.entries
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, at)| at)
    }

    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &At<'a>)> {
        self.entries.iter().map(|(name, at)| (*name, at))
    }

    pub fn at(&self) -> &At<'a> {
        &self.at
    }
}

impl<'a> At<'a> {
    pub fn root(node: &'a Node) -> Self {
        Self {
            path: String::new(),
            node,
        }
    }

    fn below(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The value that stands under `key` of a map.
    pub fn child(&self, key: &str, node: &'a Node) -> At<'a> {
        At {
            path: self.below(key),
            node,
        }
    }

    /// The field of a map, known or not.
    pub fn field(&self, key: &str) -> Option<At<'a>> {
        let Value::Map(map) = &self.node.value else {
            return None;
        };
        map.iter()
            .find(|(name, _)| name.text == key)
            .map(|(name, node)| self.child(&name.text, node))
    }

    /// The value for a problem's text. What looks like a secret is not repeated.
    fn shown(&self) -> String {
        let key = self.path.rsplit('.').next().unwrap_or_default();
        if yaml::is_sensitive(key) {
            yaml::HIDDEN.to_owned()
        } else {
            self.node.to_string()
        }
    }

    /// Whether it is this text.
    pub fn is(&self, text: &str) -> bool {
        matches!(&self.node.value, Value::Scalar(written) if written == text)
    }

    pub fn items(&self) -> Option<Vec<At<'a>>> {
        let Value::List(items) = &self.node.value else {
            return None;
        };
        let at = |(i, node)| At {
            path: format!("{}[{i}]", self.path),
            node,
        };
        Some(items.iter().enumerate().map(at).collect())
    }
}

impl<'a> Checker<'a> {
    pub fn new(source: &'a str, problems: Vec<Problem>) -> Self {
        Self { source, problems }
    }

    fn push(&mut self, line: usize, field: String, value: String, wrong: &str, remedy: &str) {
        let (source, wrong, remedy) = (self.source.to_owned(), wrong.to_owned(), remedy.to_owned());
        self.problems.push(Problem {
            source,
            line,
            field,
            value,
            wrong,
            remedy,
        });
    }

    /// Records that the value at `at` will not do.
    pub fn refuse(&mut self, at: &At<'_>, wrong: &str, remedy: &str) {
        self.push(at.node.line, at.path.clone(), at.shown(), wrong, remedy);
    }

    /// As [`Checker::refuse`], for a value that must not be repeated.
    pub fn hidden(&mut self, at: &At<'_>, wrong: &str, remedy: &str) {
        self.push(
            at.node.line,
            at.path.clone(),
            yaml::HIDDEN.to_owned(),
            wrong,
            remedy,
        );
    }

    /// Records that `table` lacks `key`.
    pub fn missing(&mut self, table: &Table<'_>, key: &str, remedy: &str) {
        self.push(
            table.at.node.line,
            table.at.below(key),
            MISSING.to_owned(),
            "this field is needed",
            remedy,
        );
    }

    /// Records what is wrong with the whole file.
    pub fn whole(&mut self, wrong: &str, remedy: &str) {
        self.push(0, String::new(), String::new(), wrong, remedy);
    }

    /// A map with keys out of `known`; others are reported and left out, and so are keys without a value.
    pub fn table(&mut self, at: &At<'a>, known: &[&str]) -> Option<Table<'a>> {
        let table = self.open_table(at)?;
        let mut entries = Vec::new();
        for (key, value) in table.entries {
            if known.contains(&key) {
                entries.push((key, value));
                continue;
            }
            let remedy = match did_you_mean(key, known) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.refuse(&value, "unknown field", &remedy);
        }
        Some(Table {
            at: table.at,
            entries,
        })
    }

    /// A map whose keys are names that the user chooses.
    pub fn open_table(&mut self, at: &At<'a>) -> Option<Table<'a>> {
        let Value::Map(map) = &at.node.value else {
            self.refuse(at, "not a table of fields", "write `field: value` lines");
            return None;
        };
        let mut entries = Vec::new();
        for (name, node) in map {
            let value = at.child(&name.text, node);
            if matches!(node.value, Value::Null) {
                self.push(
                    name.line,
                    value.path,
                    "null".to_owned(),
                    "the field has no value",
                    "write one or leave the field out",
                );
            } else {
                entries.push((name.text.as_str(), value));
            }
        }
        Some(Table {
            at: at.clone(),
            entries,
        })
    }

    /// One text, as written. Empty texts are refused: no field here means something by them.
    pub fn text(&mut self, at: &At<'a>) -> Option<&'a str> {
        match &at.node.value {
            Value::Scalar(text) if !text.trim().is_empty() => Some(text),
            Value::Scalar(_) => {
                self.push(
                    at.node.line,
                    at.path.clone(),
                    "\"\"".to_owned(),
                    "the text is empty",
                    "write one or leave the field out",
                );
                None
            }
            _ => {
                self.refuse(at, "not a single text", "write one value");
                None
            }
        }
    }

    /// One text or a list of texts; an empty list is allowed.
    pub fn texts(&mut self, at: &At<'a>) -> Option<Vec<&'a str>> {
        match at.items() {
            None => self.text(at).map(|text| vec![text]),
            Some(items) => {
                let texts: Vec<Option<&str>> = items.iter().map(|item| self.text(item)).collect();
                texts.into_iter().collect()
            }
        }
    }

    /// A name that can stand in metrics labels, paths and keys.
    pub fn name(&mut self, table: &Table<'a>, key: &str) -> Option<String> {
        let Some(at) = table.get(key) else {
            self.missing(table, key, "write a short name, for example `inputs`");
            return None;
        };
        let text = self.text(at)?;
        if !is_name(text) {
            let remedy = format!("use at most {NAME_BYTES} of a-z, A-Z, 0-9, `_`, `-` and `.`");
            self.refuse(at, "not usable as a name", &remedy);
            return None;
        }
        Some(text.to_owned())
    }

    pub fn flag(&mut self, at: &At<'a>) -> Option<bool> {
        self.choice(at, &[("true", true), ("false", false)])
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, at: &At<'a>, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(at)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let remedy = match did_you_mean(text, &known) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write one of: {}", known.join(", ")),
        };
        self.refuse(at, "not one of the known words", &remedy);
        None
    }

    pub fn whole_number(&mut self, at: &At<'a>, range: RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(at)?;
        let number = text
            .parse::<u64>()
            .ok()
            .filter(|number| range.contains(number));
        if number.is_none() {
            let remedy = format!("write a number from {} to {}", range.start(), range.end());
            self.refuse(at, "not a whole number in range", &remedy);
        }
        number
    }

    /// A finite number; the range is closed, and `remedy` says it in words.
    pub fn number(&mut self, at: &At<'a>, range: RangeInclusive<f64>, remedy: &str) -> Option<f64> {
        let text = self.text(at)?;
        let number = text
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite() && range.contains(number));
        if number.is_none() {
            self.refuse(at, "not a number in range", remedy);
        }
        number
    }

    /// A length of time from `least` to ten years.
    pub fn duration(&mut self, at: &At<'a>, least: Millis) -> Option<Millis> {
        let text = self.text(at)?;
        let Some(length) = duration::parse(text) else {
            let wrong = if text.bytes().all(|b| b.is_ascii_digit()) {
                "a number without a unit"
            } else {
                "not a length of time"
            };
            self.refuse(
                at,
                wrong,
                "write whole numbers with units of ms, s, m, h, d, w, for example `1h30m`",
            );
            return None;
        };
        if length < least {
            self.refuse(
                at,
                "too short",
                &format!("write at least `{}`", duration::show(least)),
            );
            return None;
        }
        Some(length)
    }

    /// `COUNT per LENGTH`: `1 per 30d`.
    pub fn rate(&mut self, at: &At<'a>) -> Option<(f64, Millis)> {
        let text = self.text(at)?;
        let rate = text.split_once(" per ").and_then(|(count, per)| {
            let count = count
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|count| count.is_finite() && *count > 0.0)?;
            duration::parse(per)
                .filter(|per| *per > 0)
                .map(|per| (count, per))
        });
        if rate.is_none() {
            self.refuse(
                at,
                "not a number of times per length of time",
                "write for example `1 per 30d`",
            );
        }
        rate
    }

    /// An absolute http or https address. Credentials do not belong into addresses: they end up in logs.
    pub fn address(&mut self, at: &At<'a>) -> Option<&'a str> {
        let text = self.text(at)?;
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        match host {
            Some(host) if host.contains('@') => {
                let remedy = "leave them out; calls are signed with the secret in `secret_file`";
                self.hidden(at, "the address carries credentials", remedy);
                None
            }
            Some(host) if !host.is_empty() && !text.contains(char::is_whitespace) => Some(text),
            _ => {
                self.refuse(
                    at,
                    "not an http or https address",
                    "write for example `https://hooks.example.com/drift`",
                );
                None
            }
        }
    }
}
