//! The outbox: notifications written in the transaction of what they tell, delivered later and at least once.
//!
//! **Invariants:** one row for each (idempotency key, receiver), however often it is inserted; for one receiver and
//! model, rows are delivered in the order of insertion: only the oldest open one, the *head*, is ever due. A claim
//! counts the attempt before it is made, so two processes never make the same one.
//!
//! Moments ending in `_wall` are wall time; `created` is event time.

use rusqlite::{Connection, Row, Transaction, params};

use super::error::{Result, StoreError};
use super::failpoint::failpoint;
use crate::event::Millis;

/// A notification as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    pub idempotency_key: String,
    pub receiver: String,
    /// The CloudEvents type.
    pub kind: String,
    /// Deliveries of one model to one receiver keep their order.
    pub model: String,
    /// What a later notification to the same receiver supersedes (see [`Settlement::Repeat`]).
    pub alert: String,
    /// When it happened, in event time.
    pub created: Millis,
    /// The whole event as JSON.
    pub body: String,
}

/// Where a notification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Waiting for its first or next attempt.
    Pending,
    /// Delivered, and told again at intervals until something newer supersedes it.
    Repeating,
    Delivered,
    /// Every attempt failed.
    Failed,
    /// The receiver said that it is gone.
    Disabled,
}

impl Status {
    const ALL: [Status; 5] = [
        Status::Pending,
        Status::Repeating,
        Status::Delivered,
        Status::Failed,
        Status::Disabled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Repeating => "repeating",
            Status::Delivered => "delivered",
            Status::Failed => "failed",
            Status::Disabled => "disabled",
        }
    }

    fn parse(name: String) -> Result<Status> {
        let found = Status::ALL
            .into_iter()
            .find(|status| status.as_str() == name);
        found.ok_or(StoreError::Unreadable {
            what: "outbox status",
            found: name,
        })
    }
}

/// A stored notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    pub id: i64,
    pub notification: NewNotification,
    pub status: Status,
    /// Attempts begun; the first is 1.
    pub attempts: u32,
    pub next_attempt_wall: Millis,
    pub settled_wall: Option<Millis>,
    pub last_error: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    Delivered,
    /// Delivered; tell it again at this time, unless a newer notification of the same alert and receiver exists.
    Repeat {
        at_wall: Millis,
    },
    Retry {
        at_wall: Millis,
        error: String,
    },
    Failed {
        error: String,
    },
    Disabled {
        error: String,
    },
}

const COLUMNS: &str = "o.id, o.idempotency_key, o.receiver, o.type, o.model, o.alert, o.created, o.body, \
                       o.status, o.attempts, o.next_attempt_wall, o.settled_wall, o.last_error";

fn from_row(row: &Row<'_>) -> Result<OutboxRow> {
    Ok(OutboxRow {
        id: row.get(0)?,
        notification: NewNotification {
            idempotency_key: row.get(1)?,
            receiver: row.get(2)?,
            kind: row.get(3)?,
            model: row.get(4)?,
            alert: row.get(5)?,
            created: row.get(6)?,
            body: row.get(7)?,
        },
        status: Status::parse(row.get(8)?)?,
        attempts: row.get(9)?,
        next_attempt_wall: row.get(10)?,
        settled_wall: row.get(11)?,
        last_error: row.get(12)?,
    })
}

fn select(conn: &Connection, tail: &str, values: impl rusqlite::Params) -> Result<Vec<OutboxRow>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM outbox o {tail}"))?;
    let mut found = Vec::new();
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        found.push(from_row(row)?);
    }
    Ok(found)
}

/// Writes a notification, due at once. `false`: this receiver has it already; nothing changed.
pub fn insert(tx: &Transaction<'_>, notification: &NewNotification) -> Result<bool> {
    failpoint("outbox.before_insert");
    let inserted = tx
        .prepare_cached(
            "INSERT INTO outbox (idempotency_key, receiver, type, model, alert, created, body, status, attempts,
                                 next_attempt_wall)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', 0, 0) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            notification.idempotency_key,
            notification.receiver,
            notification.kind,
            notification.model,
            notification.alert,
            notification.created,
            notification.body,
        ])?;
    if inserted == 1 {
        // What was being repeated is out of date from here on.
        tx.prepare_cached(
            "UPDATE outbox SET status = 'delivered' WHERE receiver = ?1 AND alert = ?2 AND status = 'repeating'",
        )?
        .execute(params![notification.receiver, notification.alert])?;
    }
    failpoint("outbox.after_insert");
    Ok(inserted == 1)
}

/// What may be sent to one receiver now: the head of each model, and repetitions whose time has come.
pub fn due(
    conn: &Connection,
    receiver: &str,
    now_wall: Millis,
    limit: u32,
) -> Result<Vec<OutboxRow>> {
    select(
        conn,
        "WHERE o.receiver = ?1 AND o.next_attempt_wall <= ?2
           AND (o.status = 'repeating'
                OR o.status = 'pending' AND o.id = (SELECT min(i.id) FROM outbox i
                    WHERE i.receiver = o.receiver AND i.model = o.model AND i.status = 'pending'))
         ORDER BY o.id LIMIT ?3",
        params![receiver, now_wall, limit],
    )
}

/// As [`due`], counting an attempt of each row and keeping it from everybody else until `hold_until_wall`. If the
/// process dies meanwhile, it is due again then.
pub fn claim_due(
    tx: &Transaction<'_>,
    receiver: &str,
    now_wall: Millis,
    hold_until_wall: Millis,
    limit: u32,
) -> Result<Vec<OutboxRow>> {
    let mut claimed = due(tx, receiver, now_wall, limit)?;
    let mut statement = tx.prepare_cached(
        "UPDATE outbox SET attempts = attempts + 1, next_attempt_wall = ?2 WHERE id = ?1",
    )?;
    for row in &mut claimed {
        statement.execute(params![row.id, hold_until_wall])?;
        row.attempts += 1;
        row.next_attempt_wall = hold_until_wall;
    }
    Ok(claimed)
}

/// Notes how a claimed attempt ended. `false`: the row was claimed again or settled meanwhile; nothing changed.
pub fn settle(
    tx: &Transaction<'_>,
    claimed: &OutboxRow,
    now_wall: Millis,
    how: &Settlement,
) -> Result<bool> {
    let (status, at, error) = match how {
        Settlement::Delivered => (Status::Delivered, None, None),
        Settlement::Repeat { .. } if is_superseded(tx, claimed)? => (Status::Delivered, None, None),
        Settlement::Repeat { at_wall } => (Status::Repeating, Some(*at_wall), None),
        // A repetition that failed stays one: it must not stand in front of newer notifications.
        Settlement::Retry { at_wall, error } => (claimed.status, Some(*at_wall), Some(error)),
        Settlement::Failed { error } => (Status::Failed, None, Some(error)),
        Settlement::Disabled { error } => (Status::Disabled, None, Some(error)),
    };
    let settled_wall = if at.is_none() { Some(now_wall) } else { None };
    let changed = tx
        .prepare_cached(
            "UPDATE outbox SET status = ?3, next_attempt_wall = coalesce(?4, next_attempt_wall),
                    settled_wall = ?5, last_error = ?6
             WHERE id = ?1 AND attempts = ?2 AND status IN ('pending', 'repeating')",
        )?
        .execute(params![
            claimed.id,
            claimed.attempts,
            status.as_str(),
            at,
            settled_wall,
            error,
        ])?;
    Ok(changed == 1)
}

fn is_superseded(conn: &Connection, row: &OutboxRow) -> Result<bool> {
    let mut statement =
        conn.prepare_cached("SELECT 1 FROM outbox WHERE receiver = ?1 AND alert = ?2 AND id > ?3")?;
    Ok(statement.exists(params![
        row.notification.receiver,
        row.notification.alert,
        row.id
    ])?)
}

/// Gives every open notification of a receiver up.
pub fn disable_all(
    tx: &Transaction<'_>,
    receiver: &str,
    now_wall: Millis,
    error: &str,
) -> Result<usize> {
    Ok(tx
        .prepare_cached(
            "UPDATE outbox SET status = 'disabled', settled_wall = ?2, last_error = ?3
             WHERE receiver = ?1 AND status IN ('pending', 'repeating')",
        )?
        .execute(params![receiver, now_wall, error])?)
}

/// When notifications of `model` were made for `receiver`, in event time: what cool-downs count.
pub fn calls(conn: &Connection, receiver: &str, model: &str) -> Result<Vec<Millis>> {
    let mut statement = conn.prepare_cached(
        "SELECT created FROM outbox WHERE receiver = ?1 AND model = ?2 ORDER BY id",
    )?;
    let rows = statement.query_map(params![receiver, model], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many notifications have each status, for each receiver.
pub fn counts(conn: &Connection) -> Result<Vec<(String, Status, u64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT receiver, status, count(*) FROM outbox GROUP BY receiver, status ORDER BY receiver, status",
    )?;
    let mut counts = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        counts.push((
            row.get(0)?,
            Status::parse(row.get(1)?)?,
            row.get::<_, i64>(2)?.cast_unsigned(),
        ));
    }
    Ok(counts)
}

/// The latest notifications, newest first.
pub fn latest(conn: &Connection, limit: u32) -> Result<Vec<OutboxRow>> {
    select(conn, "ORDER BY o.id DESC LIMIT ?1", [limit])
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
