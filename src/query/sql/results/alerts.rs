//! Alerts, what became of them, and retraining runs. Few enough to be read at once.

use datafusion::error::{DataFusionError, Result};

use super::Holds::{self, Text, Time, Whole};
use super::rows::{key_and_span, maybe, maybe_time, text, time, whole};
use super::{Cells, Take};
use crate::store::{Store, StoreError, alerts as stored, runs};

/// Rows of one batch.
const ROWS_AT_A_TIME: usize = 1024;

pub(super) const ALERTS: &[(&str, Holds)] = &[
    ("model", Text),
    ("version", Text),
    ("segment", Text),
    ("rule", Text),
    ("status", Text),
    ("since", Time),
    ("body", Text),
];

pub(super) const TRANSITIONS: &[(&str, Holds)] = &[
    ("model", Text),
    ("version", Text),
    ("segment", Text),
    ("window_start", Time),
    ("window_end", Time),
    ("rule", Text),
    ("from_status", Text),
    ("to_status", Text),
    ("at", Time),
    ("idempotency_key", Text),
    ("body", Text),
];

pub(super) const RETRAIN_RUNS: &[(&str, Holds)] = &[
    ("id", Text),
    ("model", Text),
    ("version", Text),
    ("mode", Text),
    ("status", Text),
    ("requested", Time),
    ("attempts", Whole),
    ("holder", Text),
    ("until", Time),
    ("created", Time),
    ("updated", Time),
    ("body", Text),
];

fn hand_out<T>(
    found: Result<Vec<T>, StoreError>,
    row: impl Fn(&T) -> Cells,
    take: Take<'_>,
) -> Result<()> {
    let found = found.map_err(|cause| DataFusionError::External(Box::new(cause)))?;
    found
        .chunks(ROWS_AT_A_TIME)
        .try_for_each(|piece| take(piece.iter().map(&row).collect()))
}

pub(super) fn alerts(store: &Store, take: Take<'_>) -> Result<()> {
    let found = store.read(|conn| stored::list(conn, None, None));
    let row = |alert: &stored::AlertRow| {
        vec![
            text(&alert.key.model),
            text(&alert.key.version),
            text(&alert.key.segment),
            text(&alert.rule),
            text(&alert.status),
            time(alert.since),
            text(&alert.body),
        ]
    };
    hand_out(found, row, take)
}

pub(super) fn transitions(store: &Store, take: Take<'_>) -> Result<()> {
    let found = store.read(|conn| stored::transitions(conn, None, u32::MAX));
    let row = |transition: &stored::TransitionRow| {
        let mut row = key_and_span(&transition.key, transition.window);
        row.extend([
            text(&transition.rule),
            text(&transition.from_status),
            text(&transition.to_status),
            time(transition.at),
            text(&transition.idempotency_key),
            text(&transition.body),
        ]);
        row
    };
    hand_out(found, row, take)
}

pub(super) fn retrain_runs(store: &Store, take: Take<'_>) -> Result<()> {
    let found = store.read(|conn| runs::list(conn, None, None, u32::MAX));
    let row = |run: &runs::RunRow| {
        vec![
            text(&run.id),
            text(&run.model),
            text(&run.version),
            text(&run.mode),
            text(run.status.as_str()),
            time(run.requested),
            whole(run.attempts.into()),
            maybe(run.holder.as_deref()),
            maybe_time(run.until_wall),
            time(run.created_wall),
            time(run.updated_wall),
            text(&run.body),
        ]
    };
    hand_out(found, row, take)
}
