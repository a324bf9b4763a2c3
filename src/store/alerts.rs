//! Alerts: the state of each (key, rule), and the log of its transitions. The state's form belongs to `rules`; here
//! it is JSON text beside what is searched.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::error::Result;
use super::failpoint::failpoint;
use crate::event::{Key, Millis, Span};

/// The state of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    pub key: Key,
    pub rule: String,
    /// `inactive`, `pending`, `firing` or `resolved`.
    pub status: String,
    pub since: Millis,
    /// The whole state as JSON.
    pub body: String,
}

/// One change of status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitionRow {
    /// The same transition has the same key whenever it is evaluated.
    pub idempotency_key: String,
    pub key: Key,
    pub rule: String,
    pub from_status: String,
    pub to_status: String,
    pub at: Millis,
    pub window: Span,
    /// Reason and columns as JSON.
    pub body: String,
}

fn alert_from_row(row: &Row<'_>) -> rusqlite::Result<AlertRow> {
    Ok(AlertRow {
        key: Key {
            model: row.get(0)?,
            version: row.get(1)?,
            segment: row.get(2)?,
        },
        rule: row.get(3)?,
        status: row.get(4)?,
        since: row.get(5)?,
        body: row.get(6)?,
    })
}

const ALERT_COLUMNS: &str = "model, version, segment, rule, status, since, body";

pub fn get(conn: &Connection, key: &Key, rule: &str) -> Result<Option<AlertRow>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {ALERT_COLUMNS} FROM alerts WHERE model = ?1 AND version = ?2 AND segment = ?3 AND rule = ?4"
    ))?;
    let values = params![key.model, key.version, key.segment, rule];
    Ok(statement.query_row(values, alert_from_row).optional()?)
}

/// Alerts of one model or of all, of one status or of any, by key and rule.
pub fn list(conn: &Connection, model: Option<&str>, status: Option<&str>) -> Result<Vec<AlertRow>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {ALERT_COLUMNS} FROM alerts WHERE (?1 IS NULL OR model = ?1) AND (?2 IS NULL OR status = ?2)
         ORDER BY model, version, segment, rule"
    ))?;
    let rows = statement.query_map(params![model, status], alert_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes the state over its predecessor.
pub fn save(tx: &Transaction<'_>, alert: &AlertRow) -> Result<()> {
    failpoint("alerts.before_save");
    tx.prepare_cached(&format!(
        "INSERT OR REPLACE INTO alerts ({ALERT_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    ))?
    .execute(params![
        alert.key.model,
        alert.key.version,
        alert.key.segment,
        alert.rule,
        alert.status,
        alert.since,
        alert.body,
    ])?;
    failpoint("alerts.after_save");
    Ok(())
}

/// Logs a transition. `false`: it is logged already.
pub fn log_transition(tx: &Transaction<'_>, transition: &TransitionRow) -> Result<bool> {
    failpoint("alerts.before_transition");
    let inserted = tx
        .prepare_cached(
            "INSERT INTO transitions (idempotency_key, model, version, segment, rule, from_status, to_status, at,
                                      window_start, window_end, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            transition.idempotency_key,
            transition.key.model,
            transition.key.version,
            transition.key.segment,
            transition.rule,
            transition.from_status,
            transition.to_status,
            transition.at,
            transition.window.start,
            transition.window.end,
            transition.body,
        ])?;
    failpoint("alerts.after_transition");
    Ok(inserted == 1)
}

/// The alerts of a key as they were at an event time, by rule: the last transition of each up to then. What late rows
/// did to verdicts is no alert's transition.
pub fn as_of(conn: &Connection, key: &Key, at: Millis) -> Result<BTreeMap<String, TransitionRow>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {TRANSITION_COLUMNS} FROM transitions
         WHERE model = ?1 AND version = ?2 AND segment = ?3 AND at <= ?4 AND to_status <> 'revised'
         ORDER BY at, id"
    ))?;
    let rows = statement.query_map(
        params![key.model, key.version, key.segment, at],
        transition_from_row,
    )?;
    let mut found = BTreeMap::new();
    for row in rows {
        let row = row?;
        found.insert(row.rule.clone(), row);
    }
    Ok(found)
}

/// The latest transitions of one model or of all, newest first.
pub fn transitions(
    conn: &Connection,
    model: Option<&str>,
    limit: u32,
) -> Result<Vec<TransitionRow>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {TRANSITION_COLUMNS} FROM transitions WHERE (?1 IS NULL OR model = ?1)
         ORDER BY at DESC, id DESC LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![model, limit], transition_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

const TRANSITION_COLUMNS: &str = "idempotency_key, model, version, segment, rule, from_status, to_status, at, \
                                  window_start, window_end, body";

fn transition_from_row(row: &Row<'_>) -> rusqlite::Result<TransitionRow> {
    Ok(TransitionRow {
        idempotency_key: row.get(0)?,
        key: Key {
            model: row.get(1)?,
            version: row.get(2)?,
            segment: row.get(3)?,
        },
        rule: row.get(4)?,
        from_status: row.get(5)?,
        to_status: row.get(6)?,
        at: row.get(7)?,
        window: Span::new(row.get(8)?, row.get(9)?),
        body: row.get(10)?,
    })
}
