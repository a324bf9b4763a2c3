//! driftline watches machine-learning models in production.
//!
//! The way of the data, which is also the order in which to read:
//!
//! ```text
//! Kafka ─► ingest ─► window ─► profile ─► (store) ─► service::closing ─► reference, stats ─► rules ─► (store)
//!             │                                                                               ▲          │
//!             └─► lake (rows, labels) ─► query ─► service::performing ─► performance ─────────┘          │
//!                        │                    metrics, api ◄── (store) ◄─────────────────────────────────┤
//!                        └─► retrain, learn ◄── /retrain ◄── notify ◄── outbox ◄─────────────────────────┘
//! ```
//!
//! - [`event`] has the words that everyone uses and the columnar batch.
//! - [`ingest`] reads Kafka, decodes, and tells each record's fate.
//! - [`window`] knows event time: panes, epochs, revisions.
//! - [`profile`] counts rows into integers that merge in any order.
//! - [`stats`] are pure functions on those counts; [`reference`] says how surprising a score is when nothing changed.
//! - [`detect`] has the sequential detectors: a stream of numbers, one at a time.
//! - [`rules`] holds declarations and decides alerts.
//! - [`performance`] says how good predictions were, once their labels have come.
//! - [`compute`] has the statistics that cost the square of the rows or are drawn a thousand times, on a device or on all cores.
//! - [`store`] is the one transaction: cursors and everything they caused; beside it the lake of rows and labels.
//! - [`query`] reads files and the lake through DataFusion: labels joined to rows, training sets.
//! - [`learn`] fits and predicts; [`retrain`] goes from a signed request to a better model, or to the same one.
//! - [`notify`] delivers; [`metrics`] and [`api`] show.
//! - [`service`] wires it all and hands out the one clock; [`cli`] starts it.
//!
//! **Architecture invariants.** `event`, `window`, `profile`, `stats`, `detect`, `learn`, `performance` and `rules` know no clock, network, disk or
//! metric. Each outside library is named in one room. A test (`tests/it/layering.rs`) holds both true.

pub mod api;
pub mod cli;
pub mod compute;
pub mod config;
pub mod detect;
pub mod event;
pub mod ingest;
pub mod learn;
pub mod metrics;
pub mod notify;
pub mod performance;
pub mod profile;
pub mod query;
pub mod reference;
pub mod retrain;
pub mod rules;
pub mod service;
pub mod stats;
pub mod store;
pub mod window;
