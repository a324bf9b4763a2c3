//! Whether a request becomes a run: who sent it, how old it is, whether it came before, and whether there is room.
//!
//! **Invariants:** nothing of a request is believed before its signature is checked; a key has one answer for ever: a
//! run, or a refusal that was recorded; every refusal has a name that is logged and counted. A request that was
//! captured and is sent again is refused by its age, and within the five minutes that are allowed it is a repetition.
//! Deliberately absent: cool-downs, which are the sender's and count in event time.

use std::fmt;

use serde::Deserialize;

use super::Retraining;
use super::run::{self, Body, Mode, Request, Source};
use crate::event::{Millis, SECOND, Span, rfc3339};
use crate::metrics::RequestOutcome;
use crate::notify::event::EventKind;
use crate::notify::retraining::RequestedData;
use crate::notify::signature::{self, Unbelieved};
use crate::rules::Declaration;
use crate::store::runs::{self, NewRun, Refusal, Status};
use crate::store::{StoreError, Transaction};

/// Largest body that is looked at: three times what Standard Webhooks allows.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// Longest key.
const KEY_BYTES_MAX: usize = 256;
/// How long an external trainer may take.
pub const EXTERNAL_PATIENCE: Millis = 7 * crate::event::DAY;
/// Holds external runs, so that no worker takes them before that time is over.
pub const EXTERNAL_HOLDER: &str = "external";

/// The headers that a signed request needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signed<'a> {
    pub id: Option<&'a str>,
    pub timestamp: Option<&'a str>,
    pub signature: Option<&'a str>,
}

/// What becomes of a request that is not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is a run now.
    Accepted { run: String },
    /// It was one before.
    Repeated { run: String, status: Status },
    /// It was refused before, and stays so.
    RefusedBefore { reason: String },
}

/// Why a request does not become a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "this service receives no retraining requests; set `retrain.secret_file` to the secret they are signed with"
    )]
    NotReceiving,
    #[error("the header {0} is missing; sign the request as Standard Webhooks 1.0 says")]
    NotSigned(&'static str),
    #[error("{0}")]
    NotBelieved(Unbelieved),
    #[error("the request cannot be read: {0}")]
    Malformed(String),
    #[error(
        "{found:?} is no event that this receiver acts on; send io.driftline.retrain.requested.v1"
    )]
    UnknownType { found: String },
    #[error("no declaration covers the model {model:?}")]
    Undeclared { model: String },
    #[error("{model} cannot be trained: {why}")]
    NotTrainable { model: String, why: String },
    #[error("nothing is known of {model} yet: no {missing} of it were read")]
    NoData {
        model: String,
        missing: &'static str,
    },
    #[error(
        "asks for what is known of {model} by {requested}, and only what happened before {known} was read so far"
    )]
    Ahead {
        model: String,
        requested: String,
        known: String,
    },
    #[error("run {run} of {model} is {status}; one run of a model at a time")]
    Busy {
        model: String,
        run: String,
        status: &'static str,
    },
    #[error("this key asked for another model before; give each request its own")]
    KeyReused,
}

impl Refused {
    /// The name that is logged and sent.
    pub fn as_str(&self) -> &'static str {
        match self {
            Refused::NotReceiving => "not_receiving",
            Refused::NotSigned(_) => "not_signed",
            Refused::NotBelieved(Unbelieved::Timestamp) => "bad_timestamp",
            Refused::NotBelieved(Unbelieved::TooOld) => "too_old",
            Refused::NotBelieved(Unbelieved::TooNew) => "too_new",
            Refused::NotBelieved(Unbelieved::NoMatch) => "bad_signature",
            Refused::Malformed(_) => "malformed",
            Refused::UnknownType { .. } => "unknown_type",
            Refused::Undeclared { .. } => "undeclared_model",
            Refused::NotTrainable { .. } => "not_trainable",
            Refused::NoData { .. } => "no_data",
            Refused::Ahead { .. } => "ahead",
            Refused::Busy { .. } => "busy",
            Refused::KeyReused => "key_reused",
        }
    }

    /// How it is counted.
    fn outcome(&self) -> RequestOutcome {
        match self {
            Refused::NotSigned(_)
            | Refused::NotBelieved(Unbelieved::Timestamp | Unbelieved::NoMatch) => {
                RequestOutcome::BadSignature
            }
            Refused::NotBelieved(Unbelieved::TooOld | Unbelieved::TooNew) => RequestOutcome::Stale,
            Refused::Malformed(_) | Refused::UnknownType { .. } | Refused::KeyReused => {
                RequestOutcome::Malformed
            }
            Refused::Undeclared { .. } => RequestOutcome::UnknownModel,
            Refused::NotReceiving
            | Refused::NotTrainable { .. }
            | Refused::NoData { .. }
            | Refused::Ahead { .. } => RequestOutcome::NotAllowed,
            Refused::Busy { .. } => RequestOutcome::Busy,
        }
    }
}

/// A request that is believed.
#[derive(Debug, Clone)]
pub struct Asked {
    pub key: String,
    pub model: String,
    /// The version that is complained of: the champion, where none is registered.
    pub version: String,
    /// Event time; `None`: what is known now.
    pub requested: Option<Millis>,
    pub external: bool,
    pub request: Request,
}

/// The envelope, as far as it is looked at before its type is known.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    time: String,
    data: serde_json::Value,
}

impl Retraining {
    /// Takes a signed request.
    ///
    /// # Errors
    /// `Ok(Err(…))` is a refusal; the outer error is the store's.
    pub async fn receive(
        &self,
        signed: Signed<'_>,
        body: &[u8],
    ) -> Result<Result<Answer, Refused>, StoreError> {
        match self.believe(signed, body) {
            Ok(asked) => self.ask(asked).await,
            Err(refused) => {
                self.count(&refused, "");
                Ok(Err(refused))
            }
        }
    }

    /// Everything that is checked without the store.
    fn believe(&self, signed: Signed<'_>, body: &[u8]) -> Result<Asked, Refused> {
        if !self.receives() {
            return Err(Refused::NotReceiving);
        }
        let need = |value: Option<_>, name| value.ok_or(Refused::NotSigned(name));
        let id: &str = need(signed.id, signature::ID_HEADER)?;
        let timestamp = need(signed.timestamp, signature::TIMESTAMP_HEADER)?;
        let signatures = need(signed.signature, signature::SIGNATURE_HEADER)?;
        let now_secs = self.now().div_euclid(SECOND);
        signature::verify(self.secrets(), id, timestamp, signatures, body, now_secs)
            .map_err(Refused::NotBelieved)?;
        if id.is_empty() || id.len() > KEY_BYTES_MAX {
            let said = format!(
                "webhook-id has {} bytes, 1 to {KEY_BYTES_MAX} are allowed",
                id.len()
            );
            return Err(Refused::Malformed(said));
        }
        let malformed = |error: serde_json::Error| Refused::Malformed(error.to_string());
        let envelope: Envelope = serde_json::from_slice(body).map_err(malformed)?;
        if EventKind::parse(&envelope.kind) != Some(EventKind::RetrainRequested) {
            return Err(Refused::UnknownType {
                found: envelope.kind,
            });
        }
        let data: RequestedData = serde_json::from_value(envelope.data).map_err(malformed)?;
        let requested = time("time", &envelope.time)?;
        let window = match &data.window {
            Some(window) => Some(Span::new(
                time("data.window.start", &window.start)?,
                time("data.window.end", &window.end)?,
            )),
            None => None,
        };
        let asked = Mode::parse(&data.mode).ok_or_else(|| {
            Refused::Malformed(format!(
                "data.mode: {:?} is neither propose nor promote",
                data.mode
            ))
        })?;
        Ok(Asked {
            key: id.to_owned(),
            version: data.version,
            requested: Some(requested),
            external: false,
            request: Request {
                source: Source::Webhook,
                actor: String::new(),
                reason: data.reason,
                asked,
                rule: data.rule,
                metric: data.metric,
                segment: data.segment,
                window,
                value: data.value,
                reference: data.reference,
                limit: data.limit,
            },
            model: data.model,
        })
    }

    /// Takes a request that is believed, whoever brought it.
    ///
    /// # Errors
    /// As [`Retraining::receive`].
    pub async fn ask(&self, asked: Asked) -> Result<Result<Answer, Refused>, StoreError> {
        let model = asked.model.clone();
        let this = self.clone();
        let answer = self
            .store()
            .write_async(move |tx| this.enter(tx, &asked))
            .await?;
        match &answer {
            Ok(answer) => {
                let outcome = match answer {
                    Answer::Accepted { .. } => RequestOutcome::Accepted,
                    Answer::Repeated { .. } | Answer::RefusedBefore { .. } => {
                        RequestOutcome::Repeated
                    }
                };
                tracing::info!(model, ?answer, "a retraining request");
                self.metrics().retrain_request(outcome);
                if outcome == RequestOutcome::Accepted {
                    self.tell_changed();
                }
            }
            Err(refused) => self.count(refused, &model),
        }
        Ok(answer)
    }

    fn count(&self, refused: &Refused, model: &str) {
        tracing::warn!(model, reason = refused.as_str(), %refused, "a retraining request is refused");
        self.metrics().retrain_request(refused.outcome());
    }

    /// The part that the store decides, in one transaction.
    fn enter(
        &self,
        tx: &Transaction<'_>,
        asked: &Asked,
    ) -> Result<Result<Answer, Refused>, StoreError> {
        if let Some(found) = runs::by_key(tx, &asked.key)? {
            return Ok(if found.model == asked.model {
                Ok(Answer::Repeated {
                    run: found.id,
                    status: found.status,
                })
            } else {
                Err(Refused::KeyReused)
            });
        }
        if let Some(found) = runs::refusal(tx, &asked.key)? {
            return Ok(Ok(Answer::RefusedBefore {
                reason: found.reason,
            }));
        }
        let declaration = match self.trainable(&asked.model) {
            Ok(declaration) => declaration,
            Err(refused) => return Ok(Err(refused)),
        };
        let known = match runs::known_until(tx, &asked.model)? {
            Ok(known) => known,
            Err(missing) => {
                let model = asked.model.clone();
                return Ok(Err(Refused::NoData { model, missing }));
            }
        };
        let requested = asked.requested.unwrap_or(known);
        if requested > known {
            return Ok(Err(Refused::Ahead {
                model: asked.model.clone(),
                requested: rfc3339(requested),
                known: rfc3339(known),
            }));
        }
        let now = self.now();
        if let Some(active) = runs::active(tx, &asked.model)? {
            let refused = Refused::Busy {
                model: asked.model.clone(),
                run: active.id,
                status: active.status.as_str(),
            };
            runs::refuse(
                tx,
                &Refusal {
                    key: asked.key.clone(),
                    model: asked.model.clone(),
                    reason: refused.to_string(),
                    at_wall: now,
                },
            )?;
            return Ok(Err(refused));
        }
        let run = new_run(asked, &declaration, requested, now)?;
        let id = run.id.clone();
        runs::insert(tx, &run)?;
        Ok(Ok(Answer::Accepted { run: id }))
    }
}

fn new_run(
    asked: &Asked,
    declaration: &Declaration,
    requested: Millis,
    now: Millis,
) -> Result<NewRun, StoreError> {
    let mode = match asked.request.asked {
        Mode::Promote if may_promote(declaration) => Mode::Promote,
        _ => Mode::Propose,
    };
    let reason = if asked.external {
        "waits for the predictions of an external trainer"
    } else {
        "waits for a worker"
    };
    let body = Body::new(asked.request.clone(), asked.external, reason);
    let external = || (EXTERNAL_HOLDER.to_owned(), now + EXTERNAL_PATIENCE);
    Ok(NewRun {
        id: run::id_of(&asked.key),
        key: asked.key.clone(),
        model: asked.model.clone(),
        version: asked.version.clone(),
        mode: mode.as_str().to_owned(),
        requested,
        status: if asked.external {
            Status::Training
        } else {
            Status::Queued
        },
        held: asked.external.then(external),
        created_wall: now,
        body: body.to_json()?,
    })
}

/// Whether the declaration itself promotes: whoever holds the secret must not get more than that.
pub(super) fn may_promote(declaration: &Declaration) -> bool {
    declaration
        .actions
        .values()
        .any(|action| action.mode == crate::rules::Mode::Promote)
}

fn time(field: &str, text: &str) -> Result<Millis, Refused> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_millis())
        .map_err(|_| Refused::Malformed(format!("{field}: {text:?} is no RFC 3339 time")))
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Accepted { run } => write!(f, "run {run} waits for a worker"),
            Answer::Repeated { run, status } => {
                write!(
                    f,
                    "run {run} was asked for before; it is {}",
                    status.as_str()
                )
            }
            Answer::RefusedBefore { reason } => write!(f, "refused before: {reason}"),
        }
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
