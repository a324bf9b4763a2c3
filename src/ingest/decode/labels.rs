//! Label records from JSON: what turned out to be true of a prediction, days later if need be.
//!
//! Envelope, timestamps, limits and reasons are those of predictions; the id is needed, since a label joins by it. A
//! label has a `label` (text, number or truth value), a `value` (finite number), or both. Of a key that stands twice
//! the last one counts. **Invariant:** as for predictions, what becomes of a record is a function of its bytes and
//! the models already carried. Deliberately absent: the classes of a task, by which `label` is understood later.

use std::sync::Arc;

use hashbrown::HashMap;

use super::envelope::{self, Raw, Refusal};
use super::json::{Bounds, Fault, Scanner, Token};
use super::keys::KeyOrder;
use super::walk::refusal_of;
use super::{DEEPEST, Lookup, Models, Rejection, TOP_KEYS, reject, text_of};
use crate::event::{Limits, Millis, Reason};
use crate::profile::category_text;

/// Longest `label`, in bytes: as long as a category may be to be kept anywhere.
const LABEL_BYTES: usize = 1024;

/// A label record whose envelope was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    pub model: Arc<str>,
    pub id: String,
    pub ts: Millis,
    /// As a categorical column would hold it.
    pub label: Option<String>,
    /// Finite.
    pub value: Option<f64>,
    /// What the record says of its prediction's time; `None` also when it is not usable as one.
    pub prediction_ts: Option<Millis>,
    /// Fields that the contract does not know, and an unusable `prediction_ts`.
    pub unknown_fields: u32,
}

impl Label {
    /// What makes two label records the same: model, id, `ts` and what they say. XXH3-128 over length-prefixed parts.
    pub fn identity(&self) -> u128 {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        for part in [&*self.model, &*self.id] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(&self.ts.to_le_bytes());
        // A length that no text has stands for "not given".
        let length = self
            .label
            .as_ref()
            .map_or(u64::MAX, |text| text.len() as u64);
        hasher.update(&length.to_le_bytes());
        hasher.update(self.label.as_deref().unwrap_or_default().as_bytes());
        // No NaN gets here, so its bits stand for "not given"; adding zero turns −0.0 into 0.0.
        let value = self
            .value
            .map_or(f64::NAN.to_bits(), |value| (value + 0.0).to_bits());
        hasher.update(&value.to_le_bytes());
        hasher.digest128()
    }
}

/// A key of a label record.
#[derive(Debug, Clone, Copy)]
enum Key {
    Model,
    Id,
    Ts,
    Label,
    Value,
    PredictionTs,
    /// Of the input contract, but not counted here.
    Ignored,
    Unknown,
}

impl Key {
    fn of(key: &str) -> Self {
        match key {
            "model" => Self::Model,
            "id" => Self::Id,
            "ts" => Self::Ts,
            "label" => Self::Label,
            "value" => Self::Value,
            "prediction_ts" => Self::PredictionTs,
            // A label joins every version of (model, id).
            "version" | "tags" | "entity" | "weight" => Self::Ignored,
            _ => Self::Unknown,
        }
    }
}

/// Decodes the label records of one partition, in offset order.
#[derive(Debug)]
pub struct LabelDecoder {
    limits: Limits,
    bounds: Bounds,
    /// Models with an accepted record; what `limits.models` bounds.
    carried: HashMap<Arc<str>, (), foldhash::fast::RandomState>,
    order: KeyOrder<Key>,
}

/// What a record says, as it stands there.
#[derive(Default)]
struct Said<'a> {
    envelope: Raw<'a>,
    label: Option<Token<'a>>,
    value: Option<Token<'a>>,
    prediction_ts: Option<Token<'a>>,
    unknown_fields: u32,
}

impl LabelDecoder {
    /// `carried`: the models that have labels from this partition already, as the store knows them.
    pub fn new<'m>(limits: Limits, carried: impl IntoIterator<Item = &'m str>) -> Self {
        let bounds = Bounds {
            depth: limits.depth.min(DEEPEST),
            members: limits.features,
        };
        Self {
            limits,
            bounds,
            carried: carried
                .into_iter()
                .map(|name| (Arc::from(name), ()))
                .collect(),
            order: KeyOrder::new(TOP_KEYS),
        }
    }

    /// Decodes one message; `latest_ts` as in [`Decoder::push`](super::Decoder::push).
    ///
    /// # Errors
    /// The reason why the record is refused.
    pub fn push(
        &mut self,
        payload: Option<&[u8]>,
        latest_ts: Millis,
        models: &dyn Models,
    ) -> Result<Label, Rejection> {
        let text = text_of(payload, &self.limits).map_err(|refusal| reject(refusal, None))?;
        let said = self.walk(text).map_err(|refusal| reject(refusal, None))?;
        let name = envelope::model(said.envelope.model.as_ref(), &self.limits)
            .map_err(|refusal| reject(refusal, None))?;
        self.judge(&said, name, latest_ts, models)
            .map_err(|refusal| reject(refusal, Some(name)))
    }

    fn walk<'a>(&mut self, text: &'a str) -> Result<Said<'a>, Refusal> {
        let mut scanner = Scanner::new(text, self.bounds);
        if scanner.peek() != b'{' {
            scanner
                .token()
                .and_then(|_| scanner.end())
                .map_err(refusal_of)?;
            let what = "the message is JSON, but not an object";
            return Err((Reason::NotAnObject, what.into()));
        }
        self.members(&mut scanner).map_err(refusal_of)
    }

    fn members<'a>(&mut self, scanner: &mut Scanner<'a>) -> Result<Said<'a>, Fault> {
        let mut said = Said::default();
        let (mut members, mut cursor) = (0, 0);
        let mut more = scanner.open_object()?;
        while more {
            scanner.count(members)?;
            members += 1;
            match *self.order.next(scanner, &mut cursor, |key| Key::of(&key))? {
                Key::Model => said.envelope.model = Some(scanner.token()?),
                Key::Id => said.envelope.id = Some(scanner.token()?),
                Key::Ts => said.envelope.ts = Some(scanner.token()?),
                Key::Label => said.label = Some(scanner.token()?),
                Key::Value => said.value = Some(scanner.token()?),
                Key::PredictionTs => said.prediction_ts = Some(scanner.token()?),
                Key::Ignored => scanner.skip()?,
                Key::Unknown => {
                    said.unknown_fields += 1;
                    scanner.skip()?;
                }
            }
            more = scanner.next_member()?;
        }
        scanner.end()?;
        Ok(said)
    }

    fn judge(
        &mut self,
        said: &Said<'_>,
        name: &str,
        latest_ts: Millis,
        models: &dyn Models,
    ) -> Result<Label, Refusal> {
        let known = self
            .carried
            .get_key_value(name)
            .map(|(name, ())| Arc::clone(name));
        if known.is_none() {
            if matches!(models.lookup(name), Lookup::Undeclared) {
                let what = format!("no declaration covers model {name:?}");
                return Err((Reason::UndeclaredModel, what));
            }
            let limit = self.limits.models;
            if self.carried.len() >= limit {
                let what = format!("this partition already carries {limit} models, its limit");
                return Err((Reason::TooManyModels, what));
            }
        }
        let id = envelope::id(said.envelope.id.as_ref(), &self.limits)?
            .ok_or_else(|| (Reason::MissingId, "`id` is not there".to_owned()))?;
        let ts = envelope::ts(said.envelope.ts.as_ref(), &self.limits, latest_ts)?;
        let label = label(said.label.as_ref())?;
        let value = value(said.value.as_ref())?;
        if label.is_none() && value.is_none() {
            let what = "neither `label` nor `value` is there".to_owned();
            return Err((Reason::MissingLabel, what));
        }
        let prediction_ts = match &said.prediction_ts {
            None | Some(Token::Null) => Ok(None),
            given => envelope::ts(given.as_ref(), &self.limits, latest_ts).map(Some),
        };
        let unusable = u32::from(prediction_ts.is_err());
        let model = known.unwrap_or_else(|| {
            let model: Arc<str> = Arc::from(name);
            self.carried.insert(Arc::clone(&model), ());
            model
        });
        Ok(Label {
            model,
            id: id.into_owned(),
            ts,
            label,
            value,
            prediction_ts: prediction_ts.unwrap_or(None),
            unknown_fields: said.unknown_fields + unusable,
        })
    }
}

fn label(label: Option<&Token<'_>>) -> Result<Option<String>, Refusal> {
    let bad = |what: &str| Err((Reason::BadLabel, format!("`label` {what}")));
    match label {
        None | Some(Token::Null) => Ok(None),
        // What pandas has for a missing text, Python writes as a bare NaN.
        Some(Token::Bare(number)) if number.is_nan() => Ok(None),
        Some(Token::Text(text)) if !text.faithful => bad("has half of a surrogate pair"),
        Some(Token::Text(text)) if text.value.len() > LABEL_BYTES => {
            bad(&format!("is longer than {LABEL_BYTES} bytes"))
        }
        Some(Token::Text(text)) => Ok(Some(text.value.clone().into_owned())),
        Some(Token::Bool(value)) => Ok(Some(value.to_string())),
        Some(Token::Number(number)) if number.value.is_finite() => {
            Ok(Some(category_text(number.value)))
        }
        Some(Token::Number(_) | Token::Bare(_)) => bad("is infinite"),
        Some(Token::List | Token::Object) => bad("is neither a text nor a number"),
    }
}

fn value(value: Option<&Token<'_>>) -> Result<Option<f64>, Refusal> {
    let bad = |what: &str| Err((Reason::BadLabel, format!("`value` {what}")));
    match value {
        None | Some(Token::Null) => Ok(None),
        Some(Token::Number(number)) if number.value.is_finite() => Ok(Some(number.value)),
        Some(Token::Number(_) | Token::Bare(_)) => bad("is not a finite number"),
        Some(Token::Text(_) | Token::Bool(_) | Token::List | Token::Object) => {
            bad("is not a number")
        }
    }
}

#[cfg(test)]
#[path = "labels_tests.rs"]
mod tests;
