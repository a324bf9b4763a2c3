//! YAML text to a tree in which every value knows its line; the one place naming serde-saphyr.
//!
//! **Invariant:** the size of the tree is bounded by the budgets below whatever the text says, so an alias bomb ends
//! as a problem and not as a dead process. Scalars keep the text as written: `no`, `1e3` and `007` stay texts until a
//! field that wants a number reads them. Deliberately absent: merge keys, and any knowledge of what the fields mean.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, Options};
use serde_saphyr::{Error, Location, NonFiniteFloatPolicy, Spanned};

use super::problem::Problem;

/// A declaration of a thousand columns with domains has some 100 kB; a mebibyte is nobody's handwriting.
const MAX_BYTES: usize = 1 << 20;
/// Far beyond the deepest field of any format here (5).
const MAX_DEPTH: usize = 16;
/// Scalars and collections of one file, aliases expanded.
const MAX_NODES: usize = 50_000;
/// Uses of `*anchor` in one file; each may repeat what the anchor holds.
const MAX_ALIASES: usize = 200;

/// A value and the line (from 1) where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub enum Value {
    Null,
    /// The text as written, quotes taken off.
    Scalar(String),
    List(Vec<Node>),
    /// In the order written; keys are unique.
    Map(Vec<(Name, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone)]
pub struct Name {
    pub line: usize,
    pub text: String,
}

/// The documents of a text, or what keeps it from being read. A key given twice is a problem, yet the first of the two
/// is kept, so that the rest of the file can still be checked.
pub fn read(source: &str, text: &str) -> (Vec<Node>, Vec<Problem>) {
    let problem = |line: u64, field: String, wrong: String, remedy: &str| Problem {
        source: source.to_owned(),
        line: usize::try_from(line).unwrap_or(usize::MAX),
        field,
        value: String::new(),
        wrong,
        remedy: remedy.to_owned(),
    };
    if text.len() > MAX_BYTES {
        let wrong = format!("the file has {} bytes and may have {MAX_BYTES}", text.len());
        return (
            Vec::new(),
            vec![problem(
                0,
                String::new(),
                wrong,
                "split it into several files",
            )],
        );
    }
    match documents(text, DuplicateKeyPolicy::Error) {
        Ok(nodes) => (nodes, Vec::new()),
        Err(error) => {
            let line = error.location().map_or(0, |location| location.line());
            let cause = innermost(&error);
            let again = matches!(cause, Error::DuplicateMappingKey { .. });
            let nodes = if again {
                documents(text, DuplicateKeyPolicy::FirstWins)
            } else {
                Ok(Vec::new())
            };
            let found = match cause {
                Error::DuplicateMappingKey { key, .. } => problem(
                    line,
                    key.clone().unwrap_or_default(),
                    "the key is given twice".to_owned(),
                    "keep one of the two",
                ),
                Error::Budget { .. }
                | Error::AliasReplayLimitExceeded { .. }
                | Error::AliasReplayStackDepthExceeded { .. }
                | Error::AliasExpansionLimitExceeded { .. } => problem(
                    line,
                    String::new(),
                    format!(
                        "the file is too large once read (budget: {MAX_NODES} values, {MAX_DEPTH} levels, {MAX_ALIASES} aliases)"
                    ),
                    "write the values out and split the file",
                ),
                Error::MergeKeyNotAllowed { .. } => problem(
                    line,
                    "<<".to_owned(),
                    "merge keys are not read".to_owned(),
                    "write the merged fields out",
                ),
                other => problem(
                    line,
                    String::new(),
                    format!("not YAML: {}", one_line(other)),
                    "correct the syntax",
                ),
            };
            (nodes.unwrap_or_default(), vec![found])
        }
    }
}

/// The error itself, out of the wrappers that say where an alias stands or hold a code excerpt.
fn innermost(error: &Error) -> &Error {
    match error {
        Error::AliasError { error, .. } => innermost(error),
        Error::WithSnippet { error, .. } => innermost(error),
        other => other,
    }
}

/// The crate's message without the place (the problem names it) and without a code excerpt.
fn one_line(error: &Error) -> String {
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text, |(message, _)| message);
    text.trim_end_matches([',', ':', ' ']).to_owned()
}

fn documents(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Vec<Node>, Error> {
    let options: Options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_recorded_anchor_events: MAX_NODES,
            max_documents: 1000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
            max_replay_stack_depth: MAX_DEPTH,
        },
        duplicate_keys: duplicate_keys,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        emit_comments: false,
    };
    let read: Vec<Spanned<Raw>> = serde_saphyr::from_multiple_with_options(text, options)?;
    Ok(read.into_iter().map(|raw| node(raw, text)).collect())
}

/// What the crate makes of a value. Numbers and booleans carry nothing: their text is cut from the source.
enum Raw {
    Null,
    Plain,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn node(raw: Spanned<Raw>, source: &str) -> Node {
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Plain => Value::Scalar(cut(&raw.defined, source).trim().to_owned()),
        Raw::Text(text) => Value::Scalar(text),
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(item, source)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    (
                        Name {
                            line: line(&key.referenced),
                            text: key.value,
                        },
                        node(value, source),
                    )
                })
                .collect(),
        ),
    };
    Node {
        line: line(&raw.referenced),
        value,
    }
}

fn line(location: &Location) -> usize {
    usize::try_from(location.line()).unwrap_or(usize::MAX)
}

fn cut<'a>(location: &Location, source: &'a str) -> &'a str {
    let span = location.span();
    let (Some(start), Some(length)) = (span.byte_offset(), span.byte_len()) else {
        return "";
    };
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
    source.get(start..end).unwrap_or("")
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;
        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Raw::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Raw::Map(map))
            }
        }
        deserializer.deserialize_any(RawVisitor)
    }
}

/// A value in one short line, for problems.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 60;
        let text = flow(&self.value);
        match text.char_indices().nth(MOST) {
            Some((cut, _)) => write!(f, "{}…", &text[..cut]),
            None => f.write_str(&text),
        }
    }
}

/// Stands for a value that must not be repeated.
pub const HIDDEN: &str = "(hidden)";

/// Whether a field of this name may hold a secret rather than the path of one.
pub fn is_sensitive(key: &str) -> bool {
    let key = key.to_lowercase();
    let secret = ["password", "passwd", "secret", "token", "credential", "pem"]
        .iter()
        .any(|word| key.contains(word));
    secret && !key.ends_with("_file") && key != "secret_properties"
}

/// A signing secret, or an address with credentials, wherever it stands.
fn holds_secret(text: &str) -> bool {
    let authority = text
        .split_once("://")
        .map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    text.contains("whsec_") || authority.is_some_and(|authority| authority.contains('@'))
}

fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Scalar(text) if holds_secret(text) => HIDDEN.to_owned(),
        Value::Scalar(text) => text.replace('\n', " "),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| flow(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entry = |(name, node): &(Name, Node)| {
                let value = if is_sensitive(&name.text) {
                    HIDDEN.to_owned()
                } else {
                    flow(&node.value)
                };
                format!("{}: {value}", name.text)
            };
            format!(
                "{{{}}}",
                entries.iter().map(entry).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let (nodes, problems) = read("f.yaml", text);
        assert_eq!(problems, [], "{text}");
        assert_eq!(
            nodes
                .iter()
                .map(|node| flow(&node.value))
                .collect::<Vec<_>>()
                .join(" | "),
            expect
        );
    }

    #[track_caller]
    fn refuse(text: &str, expect: &str) {
        let (_, problems) = read("f.yaml", text);
        assert_eq!(
            problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [expect]
        );
    }

    #[test]
    fn scalars_keep_the_text_as_written() {
        check(
            "[007, 1e3, no, NO, on, yes, true, 1_000, 0x10, .5, -3, .nan, \"a b\", 'q', ~]",
            "[007, 1e3, no, NO, on, yes, true, 1_000, 0x10, .5, -3, .nan, a b, q, null]",
        );
        check(
            "on: \"*\"\nfor: 3 of 5\ny: 2013-01-01",
            "{on: *, for: 3 of 5, y: 2013-01-01}",
        );
        check("a: é1\nb: 12", "{a: é1, b: 12}");
    }

    #[test]
    fn several_documents_and_aliases_are_read() {
        check("a: &x 010\nb: *x\n---\nc: d\n", "{a: 010, b: 010} | {c: d}");
        check("# only a comment\n", "");
    }

    #[test]
    fn lines_are_those_of_the_use() {
        let (nodes, _) = read("f.yaml", "a: 1\n\nb:\n  - x\n  - y: 3\n");
        let Value::Map(entries) = &nodes[0].value else {
            panic!("a map")
        };
        assert_eq!(entries[1].0.line, 3);
        let Value::List(items) = &entries[1].1.value else {
            panic!("a list")
        };
        assert_eq!((items[0].line, items[1].line), (4, 5));
    }

    #[test]
    fn what_cannot_be_read_is_a_problem_with_its_line() {
        refuse(
            "a: 1\na: 2\n",
            "f.yaml:2: a: the key is given twice; keep one of the two",
        );
        refuse(
            "a: &x {b: 1}\nc: {<<: *x}\n",
            "f.yaml:2: <<: merge keys are not read; write the merged fields out",
        );
        refuse(
            "a: [1, 2\n",
            "f.yaml:1: not YAML: unclosed bracket '['; correct the syntax",
        );
        refuse(
            "a: *nobody\n",
            "f.yaml:1: not YAML: alias references unknown anchor; correct the syntax",
        );
    }

    #[test]
    fn secrets_are_not_repeated() {
        check(
            "{sasl.password: a, secret_file: /run/x, a: [whsec_b], u: 'https://me:c@x/', v: 'https://x/@', token: {d: e}}",
            "{sasl.password: (hidden), secret_file: /run/x, a: [(hidden)], u: (hidden), v: https://x/@, token: (hidden)}",
        );
    }

    #[test]
    fn an_alias_bomb_ends_as_a_problem() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..10 {
            let before = format!("*a{}", i - 1);
            text += &format!("a{i}: &a{i} [{}]\n", [before.as_str(); 10].join(", "));
        }
        let (nodes, problems) = read("bomb.yaml", &text);
        assert!(nodes.is_empty());
        assert!(
            problems[0]
                .wrong
                .starts_with("the file is too large once read"),
            "{}",
            problems[0]
        );
        let deep = "[".repeat(5000);
        assert_eq!(read("deep.yaml", &deep).1.len(), 1);
        assert_eq!(read("big.yaml", &"#".repeat(MAX_BYTES + 1)).1.len(), 1);
    }
}
