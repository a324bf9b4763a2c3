//! Delivery of the outbox: signed webhooks (CloudEvents 1.0 in Standard Webhooks 1.0) and Alertmanager's v2 API.
//!
//! What is told is decided and written elsewhere, in the transaction of the decision ([`event::enqueue`]); this room
//! only delivers it, at least once, in order for each receiver and model. **Invariants:** a notification's id is the
//! same at every attempt; no redirect is followed; nothing is sent to an internal address unless its receiver allows
//! it; no secret and no address appears in a log. Wall time serves here and only here, and comes in as an argument.
//!
//! Reading order: [`event`] and [`retraining`] (what is told), [`receiver`] (to whom), [`delivery`] (one pass), then [`retry`] (what an
//! answer means), [`signature`], [`guard`], [`http`], [`alertmanager`].

pub mod event;
pub mod retraining;

pub mod receiver;

pub mod delivery;

pub mod retry;
pub mod signature;

pub mod guard;
pub mod http;

pub mod alertmanager;

pub use delivery::{Attempt, deliver_due, run};
pub use event::{AlertEvent, CloudEvent, ColumnChange, EventKind, enqueue};
pub use http::Http;
pub use receiver::{Receiver, ReceiverError, Target};
pub use retraining::{
    ModelPromoted, RetrainCompleted, RetrainRequested, model_promoted, retrain_completed,
    retrain_requested,
};
pub use retry::{Outcome, Reply, decide};
pub use signature::{Secret, SecretError};

#[cfg(test)]
mod delivery_tests;
