//! Every field of a prediction record into a sample, from which a layout can be learned.

use super::json::{Bounds, Fault, Scanner, Token};
use super::repeats::last_wins;
use super::{DEEPEST, list};
use crate::event::State;
use crate::profile::vector::MAX_ELEMENTS;
use crate::profile::{Field, Observed, Sample};

/// Feeds the fields of one record into `sample`, as one row. What the decoder would not accept as JSON adds nothing;
/// the envelope is not looked at.
///
/// Quoted `NaN`, `Infinity` and `-Infinity` are observed as numbers, as the decoder reads them in a numeric column.
/// Returns whether the record was a row.
pub fn observe(payload: &[u8], sample: &mut Sample) -> bool {
    let Ok(text) = std::str::from_utf8(payload) else {
        return false;
    };
    let bounds = Bounds {
        depth: DEEPEST,
        members: usize::MAX,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut check = Scanner::new(text, bounds);
    if check.peek() != b'{' || check.skip().and_then(|()| check.end()).is_err() {
        return false;
    }
    let whole =
        last_wins(text, bounds).and_then(|text| record(&mut Scanner::new(&text, bounds), sample));
    whole.is_ok()
}

fn record(scanner: &mut Scanner<'_>, sample: &mut Sample) -> Result<(), Fault> {
    members(scanner, |key, scanner| match key {
        "features" => members(scanner, |name, scanner| {
            value(scanner, sample, &Field::Feature, name)
        }),
        "prediction" => members(scanner, |key, scanner| match key {
            "label" => value(scanner, sample, &Field::Label, ""),
            "value" => value(scanner, sample, &Field::Value, ""),
            "scores" => members(scanner, |class, scanner| {
                value(scanner, sample, &Field::Score(class.into()), "")
            }),
            "values" => members(scanner, |name, scanner| {
                value(scanner, sample, &Field::Values(name.into()), "")
            }),
            _ => scanner.skip(),
        }),
        "latency_ms" => value(scanner, sample, &Field::Latency, ""),
        _ => scanner.skip(),
    })?;
    sample.row();
    Ok(())
}

/// Calls `member` before each value of an object; anything else is read over.
fn members<'a>(
    scanner: &mut Scanner<'a>,
    mut member: impl FnMut(&str, &mut Scanner<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if scanner.peek() != b'{' {
        return scanner.skip();
    }
    let mut more = scanner.open_object()?;
    while more {
        let (key, _) = scanner.key()?;
        member(&key, scanner)?;
        more = scanner.next_member()?;
    }
    Ok(())
}

fn value(
    scanner: &mut Scanner<'_>,
    sample: &mut Sample,
    field: &Field,
    name: &str,
) -> Result<(), Fault> {
    if scanner.peek() == b'[' {
        let mut numbers = Vec::new();
        let value = match list::read(scanner, &mut numbers, MAX_ELEMENTS)? {
            State::Value => Observed::Numbers(&numbers),
            _ => Observed::Other,
        };
        sample.observe(field, name, value);
        return Ok(());
    }
    let token = scanner.token()?;
    let value = match &token {
        Token::Null => Observed::Null,
        Token::Bool(value) => Observed::Bool(*value),
        Token::List | Token::Object => Observed::Other,
        Token::Text(text) if !text.faithful => Observed::Other,
        other => match (super::columns::number_of(other), other) {
            (Some(number), _) => Observed::Number(number),
            (None, Token::Text(text)) => Observed::Text(&text.value),
            (None, _) => Observed::Other,
        },
    };
    sample.observe(field, name, value);
    Ok(())
}
