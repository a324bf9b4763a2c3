//! From a signed request to a better model, or to the same one.
//!
//! The way of a request: [`receiver`] (or [`alertmanager`], or a person: [`decisions`]) decides whether it becomes a
//! run; a [`worker`] takes the run and does its [`job`]: reads the rows of its [`spans`] ([`data`]), chooses and fits a
//! candidate, and lets the [`gate`] compare it with the champion; [`champion`] moves who serves, with a [`mod@reference`]. Models that were
//! trained elsewhere come in by [`external`]; [`reproduce`] makes a model again from its [`manifest`]; [`score`] uses
//! one.
//!
//! **Invariants.** Retraining cannot do harm: only a win on rows that the challenger never saw replaces a champion, or
//! a person who is named in the log. What decides is in event time: a run uses what was known at the time of its
//! request, whenever it is worked on, so a run that is begun again after a crash ends the same. A request has one
//! outcome for ever, by its key; a key promotes at most once. Wall time serves leases and signatures only.
//!
//! Deliberately absent: when to ask for a run (that is a rule's action, with its cool-down), and any route.

pub mod alertmanager;
pub mod champion;
pub mod data;
pub mod decisions;
pub mod external;
pub mod gate;
pub mod job;
pub mod manifest;
pub mod receiver;
pub mod reference;
pub mod reproduce;
pub mod run;
pub mod score;
pub mod spans;
pub mod worker;

use std::sync::Arc;

use tokio::sync::watch;

use crate::event::Millis;
use crate::metrics::Metrics;
use crate::notify::Secret;
use crate::rules::{Declaration, Declarations, Rows};
use crate::store::lake::{Lake, LakeError};
use crate::store::{Store, StoreError};

pub use receiver::{Answer, Refused};
pub use run::{Mode, Run};
pub use worker::Worker;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(crate) mod testing;

/// Where "now" comes from: wall time in milliseconds.
pub type Now = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Who is told, by the names of receivers.
#[derive(Debug, Clone, Default)]
pub struct Audience {
    /// Of alerts: everyone who is told of them anyway.
    pub alerts: Vec<String>,
    /// Of ended runs and new champions: webhooks only, since these are no alerts.
    pub events: Vec<String>,
}

/// What a [`Retraining`] is made of.
pub struct Parts {
    pub store: Store,
    pub lake: Lake,
    pub declarations: Arc<Declarations>,
    pub audience: Audience,
    /// What requests are signed with; empty: none are received.
    pub secrets: Vec<Secret>,
    pub metrics: Metrics,
    pub now: Now,
}

/// Everything this room works on. A clone is the same.
#[derive(Clone)]
pub struct Retraining {
    parts: Arc<Parts>,
    /// Counts the runs that have come or ended in this process.
    changes: watch::Sender<u64>,
}

/// Why somebody's wish is not done, in a sentence.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    #[error("{0}")]
    Unknown(String),
    /// Things stand otherwise than was assumed.
    #[error("{0}")]
    Conflict(String),
    /// What was sent cannot be used.
    #[error("{0}")]
    Unusable(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("{0:#}")]
    Trouble(#[from] anyhow::Error),
}

impl Retraining {
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            changes: watch::Sender::new(0),
        }
    }

    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    pub fn lake(&self) -> &Lake {
        &self.parts.lake
    }

    pub fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    pub fn audience(&self) -> &Audience {
        &self.parts.audience
    }

    /// Whether signed requests are received.
    pub fn receives(&self) -> bool {
        !self.parts.secrets.is_empty()
    }

    fn secrets(&self) -> &[Secret] {
        &self.parts.secrets
    }

    /// Wall time.
    pub fn now(&self) -> Millis {
        (self.parts.now)()
    }

    /// The declaration of a model that can be trained.
    ///
    /// # Errors
    /// Nobody declares the model, or its declaration leaves nothing to learn from.
    pub fn trainable(&self, model: &str) -> Result<Arc<Declaration>, Refused> {
        let Some(declaration) = self.parts.declarations.covering(model) else {
            return Err(Refused::Undeclared {
                model: model.to_owned(),
            });
        };
        let why = if data::kind(&declaration.task).is_none() {
            "its task has no performance that could be judged"
        } else if declaration.rows == Rows::None {
            "its declaration keeps no rows; write `rows: all`"
        } else {
            return Ok(Arc::new(declaration.clone()));
        };
        Err(Refused::NotTrainable {
            model: model.to_owned(),
            why: why.to_owned(),
        })
    }

    /// The declaration of a model, whatever it allows.
    fn declaration(&self, model: &str) -> Option<&Declaration> {
        self.parts.declarations.covering(model)
    }

    /// Changes whenever a run has come or ended in this process.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn tell_changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// SHA-256 over the parts, each with its length before it, in hex.
fn digest(parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
