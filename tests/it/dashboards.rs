//! The dashboards and the rules for Prometheus: they name only what is exported, and every query has an answer.
//!
//! Grafana itself is not here. What it makes of a file is done by `board`: variables, intervals, repeated panels.

mod answers;
mod board;
mod laws;
mod promql;
mod rules;
