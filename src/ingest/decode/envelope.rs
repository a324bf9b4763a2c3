//! The envelope of a record, `model`, `version`, `id` and `ts`: the only part that can refuse one.
//!
//! Pure rules on values already read. **Invariant:** a refusal's sentence depends on the record alone, never on a
//! clock, so that the same log leaves the same rejections.

use std::borrow::Cow;

use super::json::{Number, Token};
use super::timestamp;
use crate::event::{Limits, Millis, Reason};

pub(super) type Refusal = (Reason, String);

/// The envelope as it stands in the record; `None` where the field is not there.
#[derive(Debug, Default)]
pub(super) struct Raw<'a> {
    pub model: Option<Token<'a>>,
    pub version: Option<Token<'a>>,
    pub id: Option<Token<'a>>,
    pub ts: Option<Token<'a>>,
}

/// A text of 1 to `name_bytes` bytes without control characters.
pub(super) fn model<'t>(model: Option<&'t Token<'_>>, limits: &Limits) -> Result<&'t str, Refusal> {
    let bad = |what: String| Err((Reason::BadModel, format!("`model` {what}")));
    match model {
        None => Err((Reason::MissingModel, "`model` is not there".into())),
        Some(Token::Null) => Err((Reason::MissingModel, "`model` is null".into())),
        Some(Token::Text(text)) => match &*text.value {
            _ if !text.faithful => bad("has half of a surrogate pair".into()),
            "" => bad("is empty".into()),
            name if name.len() > limits.name_bytes => bad(too_long(name.len(), limits.name_bytes)),
            name if name.chars().any(char::is_control) => {
                bad(format!("has a control character: {name:?}"))
            }
            name => Ok(name),
        },
        Some(other) => bad(format!("is {}, not a text", describe(other))),
    }
}

/// A text or whole number of at most `name_bytes` bytes; absent or null is `""`.
pub(super) fn version<'t>(
    version: Option<&'t Token<'_>>,
    limits: &Limits,
) -> Result<Cow<'t, str>, Refusal> {
    let version = match version {
        None | Some(Token::Null) => return Ok(Cow::Borrowed("")),
        Some(token) => text_or_whole(token),
    };
    match version {
        Ok(version) if version.len() <= limits.name_bytes => Ok(version),
        Ok(version) => Err(too_long(version.len(), limits.name_bytes)),
        Err(what) => Err(what),
    }
    .map_err(|what| (Reason::BadVersion, format!("`version` {what}")))
}

/// A text or whole number of 1 to `id_bytes` bytes; `None` when absent or null.
pub(super) fn id<'t>(
    id: Option<&'t Token<'_>>,
    limits: &Limits,
) -> Result<Option<Cow<'t, str>>, Refusal> {
    let id = match id {
        None | Some(Token::Null) => return Ok(None),
        Some(token) => text_or_whole(token),
    };
    match id {
        Ok(id) if id.is_empty() => Err("is empty".into()),
        Ok(id) if id.len() > limits.id_bytes => Err(too_long(id.len(), limits.id_bytes)),
        Ok(id) => Ok(Some(id)),
        Err(what) => Err(what),
    }
    .map_err(|what| (Reason::BadId, format!("`id` {what}")))
}

/// Event time, not later than `latest_ts` (when the record was written or read) plus the skew allowed.
pub(super) fn ts(
    ts: Option<&Token<'_>>,
    limits: &Limits,
    latest_ts: Millis,
) -> Result<Millis, Refusal> {
    let ts = match ts {
        None => return Err((Reason::MissingTs, "`ts` is not there".into())),
        Some(Token::Null) => return Err((Reason::MissingTs, "`ts` is null".into())),
        Some(Token::Number(number)) => timestamp::from_number(number)?,
        Some(Token::Text(text)) => timestamp::from_text(&text.value)?,
        Some(other) => {
            let what = format!(
                "`ts` is {}, neither RFC 3339 nor milliseconds since 1970",
                describe(other)
            );
            return Err((Reason::BadTs, what));
        }
    };
    if ts > latest_ts.saturating_add(limits.future_skew_ms) {
        let (time, skew_secs) = (crate::event::rfc3339(ts), limits.future_skew_ms / 1000);
        let what =
            format!("`ts` is {time}, more than {skew_secs} s after the record was written or read");
        return Err((Reason::FutureTimestamp, what));
    }
    Ok(ts)
}

fn text_or_whole<'t>(token: &'t Token<'_>) -> Result<Cow<'t, str>, String> {
    match token {
        Token::Text(text) if text.faithful => Ok(Cow::Borrowed(&*text.value)),
        Token::Text(_) => Err("has half of a surrogate pair".into()),
        Token::Number(number) => whole(number)
            .ok_or_else(|| format!("is {}, not a text or whole number", number.literal)),
        other => Err(format!(
            "is {}, not a text or whole number",
            describe(other)
        )),
    }
}

/// The digits of a whole number. `7.0` is 7 (pandas turns whole columns with a gap into floats), as long as every
/// whole number of that size is exact in `f64`.
fn whole<'t>(number: &Number<'t>) -> Option<Cow<'t, str>> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    if number
        .literal
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-')
        && number.literal != "-0"
    {
        return Some(Cow::Borrowed(number.literal));
    }
    (number.value.fract() == 0.0 && number.value.abs() < EXACT)
        .then(|| Cow::Owned((number.value as i64).to_string()))
}

fn too_long(bytes: usize, limit: usize) -> String {
    format!("has {bytes} bytes; the limit is {limit}")
}

fn describe(token: &Token<'_>) -> Cow<'static, str> {
    match token {
        Token::Null => "null".into(),
        Token::Bool(value) => value.to_string().into(),
        Token::Number(number) => number.literal.to_owned().into(),
        Token::Bare(number) if number.is_nan() => "NaN".into(),
        Token::Bare(_) => "infinite".into(),
        Token::Text(_) => "a text".into(),
        Token::List => "a list".into(),
        Token::Object => "an object".into(),
    }
}
