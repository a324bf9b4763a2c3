//! Cells of a row.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use serde::Serialize;

use crate::event::{Key, Millis, Span};

pub(super) fn text(text: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(text.to_owned()))
}

pub(super) fn maybe(text: Option<&str>) -> ScalarValue {
    ScalarValue::Utf8(text.map(str::to_owned))
}

/// The word under which a value is stored and shown; JSON for what is no word.
pub(super) fn word(value: &impl Serialize) -> ScalarValue {
    ScalarValue::Utf8(match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Some(word),
        Ok(other) => Some(other.to_string()),
        Err(_) => None,
    })
}

pub(super) fn time(at: Millis) -> ScalarValue {
    maybe_time(Some(at))
}

pub(super) fn maybe_time(at: Option<Millis>) -> ScalarValue {
    ScalarValue::TimestampMillisecond(at, Some(Arc::from("+00:00")))
}

pub(super) fn whole(count: u64) -> ScalarValue {
    ScalarValue::Int64(Some(count.cast_signed()))
}

/// What is not finite has no place in an answer.
pub(super) fn number(value: Option<f64>) -> ScalarValue {
    ScalarValue::Float64(value.filter(|value| value.is_finite()))
}

pub(super) fn key_and_span(key: &Key, span: Span) -> Vec<ScalarValue> {
    vec![
        text(&key.model),
        text(&key.version),
        text(&key.segment),
        time(span.start),
        time(span.end),
    ]
}
