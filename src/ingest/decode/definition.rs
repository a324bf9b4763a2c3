//! What decoding means, written plainly over `serde_json::Value`: slow, and obvious. The decoder must agree with it
//! on every record (see `agreement`).
//!
//! `serde_json` knows no bare NaN, no number beyond `f64` and no lone surrogate, and may be off in a number's last
//! bit; so the text is first rewritten to have every number and bare word as a marked list, and lone surrogates as a
//! character that no text has.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::json::{Number, Text, Token};
use super::{Lookup, Models, envelope};
use crate::event::{Limits, Millis, Reason, State};
use crate::profile::{Cells, Field, Layout, LayoutColumn, category_text, vector};

const MARK: char = '\u{fdd0}';
const LONE_SURROGATE: char = '\u{fdd1}';

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// By its bits, NaN as one.
    Number(u64),
    Text(String),
    Missing(u8),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub model: String,
    pub version: String,
    pub id: Option<String>,
    pub ts: Millis,
    pub cells: Vec<Cell>,
    pub unknown: BTreeSet<String>,
}

pub fn number(value: f64) -> Cell {
    Cell::Number(if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        value.to_bits()
    })
}

/// Decodes one record. `limits.features` is not looked at.
pub fn decode(
    payload: &[u8],
    limits: &Limits,
    latest_ts: Millis,
    models: &dyn Models,
) -> Result<Row, Reason> {
    let text = std::str::from_utf8(payload).map_err(|_| Reason::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(deep) = first_too_deep(text, limits.depth) {
        let before = serde_json::from_str::<Value>(&rewrite(&text[..=deep]));
        return Err(match before {
            Err(error) if error.is_eof() => Reason::TooDeep,
            _ => Reason::InvalidJson,
        });
    }
    let value: Value = serde_json::from_str(&rewrite(text)).map_err(|_| Reason::InvalidJson)?;
    let Value::Object(record) = value else {
        return Err(Reason::NotAnObject);
    };
    if token(&Value::Object(record.clone())) != Token::Object {
        return Err(Reason::NotAnObject);
    }
    let field = |name: &str| record.get(name).map(token);
    let model_token = field("model");
    let model = envelope::model(model_token.as_ref(), limits)
        .map_err(|(reason, _)| reason)?
        .to_owned();
    let layout = match models.lookup(&model) {
        Lookup::Known(layout) => Some(std::sync::Arc::clone(&layout.layout)),
        Lookup::Learning => None,
        Lookup::Undeclared => return Err(Reason::UndeclaredModel),
    };
    let (version, id) = (field("version"), field("id"));
    let version = envelope::version(version.as_ref(), limits)
        .map_err(|(reason, _)| reason)?
        .into_owned();
    let id = envelope::id(id.as_ref(), limits)
        .map_err(|(reason, _)| reason)?
        .map(|id| id.into_owned());
    let ts = envelope::ts(field("ts").as_ref(), limits, latest_ts).map_err(|(reason, _)| reason)?;
    let (cells, unknown) = match layout {
        Some(layout) => (cells(&record, &layout), unknown(&record, &layout)),
        None => (Vec::new(), BTreeSet::new()),
    };
    Ok(Row {
        model,
        version,
        id,
        ts,
        cells,
        unknown,
    })
}

fn cells(record: &Map<String, Value>, layout: &Layout) -> Vec<Cell> {
    let cell = |column: &LayoutColumn| {
        let nothing = Map::new();
        let inside =
            |outer: &Map<String, Value>, name: &str| -> Result<Map<String, Value>, State> {
                match outer.get(name) {
                    None => Err(State::Absent),
                    Some(Value::Null) => Err(State::Null),
                    Some(Value::Object(object)) => Ok(object.clone()),
                    Some(_) => Err(State::WrongType),
                }
            };
        let prediction = |name: Option<&str>| {
            let prediction = inside(record, "prediction")?;
            name.map_or(Ok(prediction.clone()), |name| inside(&prediction, name))
        };
        let (object, key) = match &column.field {
            Field::Feature | Field::Vector(_) => (inside(record, "features"), column.name.as_str()),
            Field::Element(vector, _) => (inside(record, "features"), vector.as_str()),
            Field::Label => (prediction(None), "label"),
            Field::Value => (prediction(None), "value"),
            Field::Score(class) => (prediction(Some("scores")), class.as_str()),
            Field::Values(name) => (prediction(Some("values")), name.as_str()),
            Field::Latency => (Ok(record.clone()), "latency_ms"),
        };
        let state = match &object {
            Err(state) => Some(*state),
            Ok(_) => None,
        };
        let object = object.unwrap_or(nothing);
        let value = match (state, object.get(key)) {
            (Some(state), _) => return Cell::Missing(state as u8),
            (None, None) => return Cell::Missing(State::Absent as u8),
            (None, Some(value)) => token(value),
        };
        let place = match &column.field {
            Field::Vector(length) => Some((*length, None)),
            Field::Element(vector, place) => {
                let vector = layout.column(vector).map(|at| &layout.columns[at].field);
                let Some(Field::Vector(length)) = vector else {
                    panic!("an element without its vector")
                };
                Some((*length, Some(*place as usize)))
            }
            _ => None,
        };
        if let Some((length, place)) = place {
            if value == Token::Null {
                return Cell::Missing(State::Null as u8);
            }
            let numbers = list(object.get(key)).filter(|list| list.len() == length as usize);
            return match (numbers, place) {
                (None, _) => Cell::Missing(State::WrongType as u8),
                (Some(numbers), None) => number(vector::length(&numbers)),
                (Some(numbers), Some(place)) => number(numbers[place]),
            };
        }
        let numeric = matches!(column.cells, Cells::Numeric(_));
        match value {
            Token::Null => Cell::Missing(State::Null as u8),
            Token::Number(value) if numeric => number(value.value),
            Token::Bare(value) if numeric => number(value),
            Token::Text(text) if numeric => match &*text.value {
                "NaN" => number(f64::NAN),
                "Infinity" => number(f64::INFINITY),
                "-Infinity" => number(f64::NEG_INFINITY),
                _ => Cell::Missing(State::WrongType as u8),
            },
            Token::Text(text) if text.faithful => Cell::Text(text.value.into_owned()),
            Token::Bool(value) if !numeric => Cell::Text(value.to_string()),
            Token::Number(value) => Cell::Text(category_text(value.value)),
            Token::Bare(value) if value.is_nan() => Cell::Missing(State::Null as u8),
            Token::Bare(value) => Cell::Text(category_text(value)),
            _ => Cell::Missing(State::WrongType as u8),
        }
    };
    layout.columns.iter().map(cell).collect()
}

fn unknown(record: &Map<String, Value>, layout: &Layout) -> BTreeSet<String> {
    let known = |name: &String| {
        let column = layout.column(name).map(|at| &layout.columns[at]);
        column.is_some_and(LayoutColumn::stands_alone)
            || layout.skipped.iter().any(|(skipped, _)| skipped == name)
    };
    let mut names = BTreeSet::new();
    let mut look = |value: Option<&Value>, name: &dyn Fn(&str) -> Option<String>| {
        for key in value
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
        {
            names
                .extend(name(&key.replace(LONE_SURROGATE, "\u{fffd}")).filter(|name| !known(name)));
        }
    };
    let contract = [
        "model",
        "version",
        "id",
        "ts",
        "features",
        "prediction",
        "latency_ms",
        "tags",
        "entity",
        "weight",
        "attributions",
        "group",
        "position",
    ];
    look(Some(&Value::Object(record.clone())), &|key| match key {
        "latency_ms" => Some(key.to_owned()),
        _ => (!contract.contains(&key)).then(|| format!("$.{key}")),
    });
    look(record.get("features"), &|key| {
        Some(Field::Feature.column_name(key))
    });
    let prediction = record.get("prediction");
    look(prediction, &|key| {
        (!matches!(key, "scores" | "values")).then(|| format!("prediction.{key}"))
    });
    for object in ["scores", "values"] {
        look(
            prediction.and_then(|prediction| prediction.get(object)),
            &|key| Some(format!("prediction.{object}.{key}")),
        );
    }
    names
}

/// The numbers of a list of nothing else.
fn list(value: Option<&Value>) -> Option<Vec<f64>> {
    if !matches!(token(value?), Token::List) {
        return None;
    }
    let number = |item: &Value| match token(item) {
        Token::Number(number) => Some(number.value),
        Token::Bare(number) => Some(number),
        Token::Text(text) => match &*text.value {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    };
    value?.as_array()?.iter().map(number).collect()
}

/// Reads a value of the rewritten text back.
fn token(value: &Value) -> Token<'_> {
    match value {
        Value::Null => Token::Null,
        Value::Bool(value) => Token::Bool(*value),
        Value::String(text) => {
            let faithful = !text.contains(LONE_SURROGATE);
            Token::Text(Text {
                value: text.replace(LONE_SURROGATE, "\u{fffd}").into(),
                faithful,
            })
        }
        Value::Array(list) => match list.as_slice() {
            [Value::String(mark), Value::String(literal)] if *mark == MARK.to_string() => {
                match literal.as_str() {
                    "NaN" => Token::Bare(f64::NAN),
                    "Infinity" => Token::Bare(f64::INFINITY),
                    "-Infinity" => Token::Bare(f64::NEG_INFINITY),
                    literal => Token::Number(Number {
                        literal,
                        value: literal.parse().expect("a number"),
                    }),
                }
            }
            _ => Token::List,
        },
        Value::Object(_) => Token::Object,
        Value::Number(_) => unreachable!("numbers are rewritten"),
    }
}

/// Where the text first nests deeper than `limit`.
fn first_too_deep(text: &str, limit: usize) -> Option<usize> {
    let (mut depth, mut inside, mut escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'{' | b'[' if !inside => {
                depth += 1;
                if depth > limit {
                    return Some(at);
                }
            }
            b'}' | b']' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Marks numbers and bare words outside texts, and lone surrogates inside.
fn rewrite(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let literal_end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')));
        let literal = &rest[..literal_end.unwrap_or(rest.len())];
        if first == '"' {
            let end = text_end(rest);
            out.push_str(&mark_lone_surrogates(&rest[..end]));
            rest = &rest[end..];
        } else if matches!(literal, "NaN" | "Infinity" | "-Infinity") || is_number(literal) {
            out.push_str(&format!("[\"{MARK}\",\"{literal}\"]"));
            rest = &rest[literal.len()..];
        } else if literal.is_empty() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.push_str(literal);
            rest = &rest[literal.len()..];
        }
    }
    out
}

fn text_end(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn mark_lone_surrogates(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let unit = |text: &str| -> Option<u32> {
            let digits = text.strip_prefix("\\u")?.get(..4)?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit())
                .then(|| u32::from_str_radix(digits, 16).ok())?
        };
        let low = rest.get(6..).and_then(unit);
        let width = match unit(rest) {
            Some(0xd800..0xdc00) if matches!(low, Some(0xdc00..0xe000)) => 12,
            Some(0xd800..0xe000) => {
                out.push(LONE_SURROGATE);
                rest = &rest[6..];
                continue;
            }
            Some(_) => 6,
            None => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&rest[..width]);
        rest = &rest[width..];
    }
    out + rest
}

/// The grammar of RFC 8259 §6.
fn is_number(literal: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let literal = literal.strip_prefix('-').unwrap_or(literal);
    let (mantissa, exponent) = literal
        .split_once(['e', 'E'])
        .map_or((literal, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa
        .split_once('.')
        .map_or((mantissa, None), |(w, f)| (w, Some(f)));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}
