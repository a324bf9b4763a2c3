//! Retraining runs: what was asked for, once for each key, and how far it is.
//!
//! **Invariants:** a key has one run or one refusal, for ever; a model has at most one active run (an index of the
//! schema holds that too). Whoever works on a run holds it under (holder, attempt): every later write of that attempt
//! says so, and writes nothing once the run was taken over or ended. What a run's body says belongs to `retrain`.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::error::{Result, StoreError};
use super::failpoint::failpoint;
use super::streams::{self, StreamRow};
use crate::event::{Millis, Partition};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Accepted; nobody works on it.
    Queued,
    /// Data is read and candidates are fitted, here or, for an external run, elsewhere.
    Training,
    /// Champion and challenger are compared.
    Judging,
    /// The challenger has won and waits for somebody to approve it.
    Proposed,
    /// The challenger is, or was, the champion.
    Promoted,
    /// The challenger was not shown to be better.
    Lost,
    /// No fair comparison was possible.
    Blocked,
    /// The job could not be done.
    Failed,
    /// Somebody called it off.
    Cancelled,
    /// Proposed, then overtaken by another promotion or proposal.
    Superseded,
}

impl Status {
    pub const ALL: [Status; 10] = [
        Status::Queued,
        Status::Training,
        Status::Judging,
        Status::Proposed,
        Status::Promoted,
        Status::Lost,
        Status::Blocked,
        Status::Failed,
        Status::Cancelled,
        Status::Superseded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Training => "training",
            Status::Judging => "judging",
            Status::Proposed => "proposed",
            Status::Promoted => "promoted",
            Status::Lost => "lost",
            Status::Blocked => "blocked",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
            Status::Superseded => "superseded",
        }
    }

    pub fn parse(name: &str) -> Option<Status> {
        Status::ALL
            .into_iter()
            .find(|status| status.as_str() == name)
    }

    /// Whether it keeps other runs of its model away.
    pub fn is_active(self) -> bool {
        matches!(self, Status::Queued | Status::Training | Status::Judging)
    }
}

const ACTIVE: &str = "status IN ('queued', 'training', 'judging')";

/// A run as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    pub id: String,
    /// The same request has the same key, however often it comes.
    pub key: String,
    pub model: String,
    /// The version that the request complains of.
    pub version: String,
    /// `propose` or `promote`.
    pub mode: String,
    /// Event time of the request.
    pub requested: Millis,
    pub status: Status,
    /// Who works on it from the start, and until when; `None`: whoever comes first.
    pub held: Option<(String, Millis)>,
    pub created_wall: Millis,
    /// The rest as JSON.
    pub body: String,
}

/// A stored run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub id: String,
    pub key: String,
    pub model: String,
    pub version: String,
    pub mode: String,
    pub requested: Millis,
    pub status: Status,
    /// Attempts begun; fences writes.
    pub attempts: u32,
    pub holder: Option<String>,
    /// Until when it is held; without a holder, before when it is not to be taken.
    pub until_wall: Option<Millis>,
    pub created_wall: Millis,
    pub updated_wall: Millis,
    pub body: String,
}

impl RunRow {
    /// What the writes of its present attempt are fenced with.
    pub fn hold(&self) -> Option<Hold> {
        Some(Hold {
            run: self.id.clone(),
            holder: self.holder.clone()?,
            attempt: self.attempts,
        })
    }
}

/// One attempt at a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub run: String,
    pub holder: String,
    pub attempt: u32,
}

/// A request that was understood and decided against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub key: String,
    pub model: String,
    pub reason: String,
    pub at_wall: Millis,
}

const COLUMNS: &str = "id, key, model, version, mode, requested, status, attempts, holder, until_wall, created_wall, \
                       updated_wall, body";

fn from_row(row: &Row<'_>) -> Result<RunRow> {
    let status: String = row.get(6)?;
    Ok(RunRow {
        id: row.get(0)?,
        key: row.get(1)?,
        model: row.get(2)?,
        version: row.get(3)?,
        mode: row.get(4)?,
        requested: row.get(5)?,
        status: Status::parse(&status).ok_or(StoreError::Unreadable {
            what: "status of a retraining run",
            found: status,
        })?,
        attempts: row.get(7)?,
        holder: row.get(8)?,
        until_wall: row.get(9)?,
        created_wall: row.get(10)?,
        updated_wall: row.get(11)?,
        body: row.get(12)?,
    })
}

fn select(conn: &Connection, tail: &str, values: impl rusqlite::Params) -> Result<Vec<RunRow>> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM retrain_runs {tail}"))?;
    let mut found = Vec::new();
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        found.push(from_row(row)?);
    }
    Ok(found)
}

pub fn get(conn: &Connection, id: &str) -> Result<Option<RunRow>> {
    Ok(select(conn, "WHERE id = ?1", [id])?.pop())
}

pub fn by_key(conn: &Connection, key: &str) -> Result<Option<RunRow>> {
    Ok(select(conn, "WHERE key = ?1", [key])?.pop())
}

/// The run of `model` that keeps others away.
pub fn active(conn: &Connection, model: &str) -> Result<Option<RunRow>> {
    Ok(select(conn, &format!("WHERE model = ?1 AND {ACTIVE}"), [model])?.pop())
}

/// Runs of one model or of all, of one status or of any, the latest request first.
pub fn list(
    conn: &Connection,
    model: Option<&str>,
    status: Option<Status>,
    limit: u32,
) -> Result<Vec<RunRow>> {
    select(
        conn,
        "WHERE (?1 IS NULL OR model = ?1) AND (?2 IS NULL OR status = ?2)
         ORDER BY requested DESC, created_wall DESC, id LIMIT ?3",
        params![model, status.map(Status::as_str), limit],
    )
}

/// Active runs that nobody holds now, the oldest first.
pub fn free(conn: &Connection, now_wall: Millis) -> Result<Vec<RunRow>> {
    select(
        conn,
        &format!("WHERE {ACTIVE} AND coalesce(until_wall, 0) <= ?1 ORDER BY created_wall, id"),
        [now_wall],
    )
}

/// Active runs that somebody holds now, the oldest first.
pub fn held(conn: &Connection, now_wall: Millis) -> Result<Vec<RunRow>> {
    select(
        conn,
        &format!(
            "WHERE {ACTIVE} AND holder IS NOT NULL AND until_wall > ?1 ORDER BY created_wall, id"
        ),
        [now_wall],
    )
}

/// Event time before which all partitions have committed the rows and labels of `model`; `Err`: which of them nothing
/// was read of.
pub fn known_until(
    conn: &Connection,
    model: &str,
) -> Result<std::result::Result<Millis, &'static str>> {
    let Some(rows) = committed_until(conn, model)? else {
        return Ok(Err("rows"));
    };
    match least(&streams::labels_of_model(conn, model)?) {
        Some(labels) => Ok(Ok(rows.min(labels))),
        None => Ok(Err("labels")),
    }
}

/// Event time before which all partitions have committed the rows of `model`; `None`: there are none.
pub fn committed_until(conn: &Connection, model: &str) -> Result<Option<Millis>> {
    Ok(least(&streams::of_model(conn, model)?))
}

fn least(streams: &[(Partition, StreamRow)]) -> Option<Millis> {
    streams.iter().map(|(_, stream)| stream.watermark).min()
}

/// How many runs have each status, for each model.
pub fn counts(conn: &Connection) -> Result<Vec<(String, Status, u64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT model, status, count(*) FROM retrain_runs GROUP BY model, status ORDER BY model, status",
    )?;
    let mut counts = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let status: String = row.get(1)?;
        let parsed = Status::parse(&status).ok_or(StoreError::Unreadable {
            what: "status of a retraining run",
            found: status,
        })?;
        counts.push((row.get(0)?, parsed, row.get::<_, i64>(2)?.cast_unsigned()));
    }
    Ok(counts)
}

/// Writes a run. `false`: its key has one already, or its model has an active one; nothing changed.
pub fn insert(tx: &Transaction<'_>, run: &NewRun) -> Result<bool> {
    failpoint("retrain.before_insert");
    let (holder, until) = run.held.clone().unzip();
    let inserted = tx
        .prepare_cached(&format!(
            "INSERT INTO retrain_runs ({COLUMNS})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?10, ?11) ON CONFLICT DO NOTHING"
        ))?
        .execute(params![
            run.id,
            run.key,
            run.model,
            run.version,
            run.mode,
            run.requested,
            run.status.as_str(),
            holder,
            until,
            run.created_wall,
            run.body,
        ])?;
    failpoint("retrain.after_insert");
    Ok(inserted == 1)
}

pub fn refusal(conn: &Connection, key: &str) -> Result<Option<Refusal>> {
    let mut statement = conn.prepare_cached(
        "SELECT key, model, reason, at_wall FROM retrain_refusals WHERE key = ?1",
    )?;
    let found = statement.query_row([key], |row| {
        Ok(Refusal {
            key: row.get(0)?,
            model: row.get(1)?,
            reason: row.get(2)?,
            at_wall: row.get(3)?,
        })
    });
    Ok(found.optional()?)
}

/// Notes a refusal; the first one of a key stays.
pub fn refuse(tx: &Transaction<'_>, refusal: &Refusal) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO retrain_refusals (key, model, reason, at_wall) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?
    .execute(params![refusal.key, refusal.model, refusal.reason, refusal.at_wall])?;
    Ok(())
}

/// Begins the next attempt at a run as it was found. `None`: somebody else did, or it has ended.
pub fn take(
    tx: &Transaction<'_>,
    found: &RunRow,
    holder: &str,
    now_wall: Millis,
    until_wall: Millis,
) -> Result<Option<RunRow>> {
    let taken = tx
        .prepare_cached(&format!(
            "UPDATE retrain_runs SET holder = ?3, until_wall = ?4, attempts = attempts + 1, status = 'training',
                    updated_wall = ?5
             WHERE id = ?1 AND attempts = ?2 AND {ACTIVE}"
        ))?
        .execute(params![found.id, found.attempts, holder, until_wall, now_wall])?;
    failpoint("retrain.after_take");
    if taken == 1 {
        get(tx, &found.id)
    } else {
        Ok(None)
    }
}

/// Holds on for longer. `false`: the attempt is over.
pub fn prolong(tx: &Transaction<'_>, hold: &Hold, until_wall: Millis) -> Result<bool> {
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE retrain_runs SET until_wall = ?4 WHERE id = ?1 AND holder = ?2 AND attempts = ?3 AND {ACTIVE}"
        ))?
        .execute(params![hold.run, hold.holder, hold.attempt, until_wall])?;
    Ok(changed == 1)
}

/// Writes how far the attempt is. `status` is an active one. `false`: the attempt is over; nothing changed.
pub fn note(
    tx: &Transaction<'_>,
    hold: &Hold,
    status: Status,
    body: &str,
    now_wall: Millis,
) -> Result<bool> {
    debug_assert!(status.is_active(), "an attempt is ended by `finish`");
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE retrain_runs SET status = ?4, body = ?5, updated_wall = ?6
             WHERE id = ?1 AND holder = ?2 AND attempts = ?3 AND {ACTIVE}"
        ))?
        .execute(params![
            hold.run,
            hold.holder,
            hold.attempt,
            status.as_str(),
            body,
            now_wall
        ])?;
    Ok(changed == 1)
}

/// Ends the attempt with a status: a final one, or `Queued` to be taken again from `not_before_wall` on. `false`: the
/// attempt is over already; nothing changed.
pub fn finish(
    tx: &Transaction<'_>,
    hold: &Hold,
    status: Status,
    body: &str,
    now_wall: Millis,
    not_before_wall: Option<Millis>,
) -> Result<bool> {
    failpoint("retrain.before_finish");
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE retrain_runs SET status = ?4, body = ?5, updated_wall = ?6, holder = NULL, until_wall = ?7
             WHERE id = ?1 AND holder = ?2 AND attempts = ?3 AND {ACTIVE}"
        ))?
        .execute(params![
            hold.run,
            hold.holder,
            hold.attempt,
            status.as_str(),
            body,
            now_wall,
            not_before_wall
        ])?;
    failpoint("retrain.after_finish");
    Ok(changed == 1)
}

/// Moves a run that nobody needs to hold from the status it was found with to another. `false`: it has changed since.
pub fn decide(
    tx: &Transaction<'_>,
    found: &RunRow,
    status: Status,
    body: &str,
    now_wall: Millis,
) -> Result<bool> {
    let changed = tx
        .prepare_cached(
            "UPDATE retrain_runs SET status = ?4, body = ?5, updated_wall = ?6, holder = NULL, until_wall = NULL
             WHERE id = ?1 AND status = ?2 AND attempts = ?3",
        )?
        .execute(params![
            found.id,
            found.status.as_str(),
            found.attempts,
            status.as_str(),
            body,
            now_wall
        ])?;
    Ok(changed == 1)
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
