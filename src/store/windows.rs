//! Windows: the results, one row for each revision, never changed.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::error::{Result, StoreError};
use super::failpoint::failpoint;
use super::scores::{self, RuleScore};
use crate::event::{Key, Millis, Span};
use crate::stats::score::Verdict;

/// The offsets of one partition that a result covers, both ends inclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    pub topic: String,
    pub partition: i32,
    pub from_offset: i64,
    pub to_offset: i64,
    pub rows: u64,
}

/// A result as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWindow {
    pub key: Key,
    pub span: Span,
    pub revision: u32,
    pub verdict: Verdict,
    pub rows: u64,
    pub layout_hash: String,
    pub reference_hash: Option<String>,
    /// The model's committed watermark that completed it.
    pub watermark: Millis,
    pub covered: Vec<Covered>,
    pub profile: Vec<u8>,
    pub scores: Vec<RuleScore>,
}

/// A stored result without profile and scores; `id` finds those.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowRow {
    pub id: i64,
    pub key: Key,
    pub span: Span,
    pub revision: u32,
    pub verdict: Verdict,
    pub rows: u64,
    pub layout_hash: String,
    pub reference_hash: Option<String>,
    pub watermark: Millis,
    pub covered: Vec<Covered>,
}

/// Which windows to list: all conditions that are given must hold.
#[derive(Debug, Clone, Default)]
pub struct WindowFilter {
    pub model: Option<String>,
    pub version: Option<String>,
    pub segment: Option<String>,
    pub verdict: Option<Verdict>,
    /// Windows that end after this.
    pub after: Option<Millis>,
    /// Windows that end at or before this.
    pub through: Option<Millis>,
}

const COLUMNS: &str = "w.id, w.model, w.version, w.segment, w.window_start, w.window_end, w.revision, w.verdict, \
                       w.rows, w.layout_hash, w.reference_hash, w.watermark, w.covered";

/// Keeps only the last revision of each window.
const LATEST: &str = "w.revision = (SELECT max(r.revision) FROM windows r
           WHERE r.model = w.model AND r.version = w.version AND r.segment = w.segment
             AND r.window_start = w.window_start AND r.window_end = w.window_end)";

fn from_row(row: &Row<'_>) -> Result<WindowRow> {
    let covered: String = row.get(12)?;
    Ok(WindowRow {
        id: row.get(0)?,
        key: Key {
            model: row.get(1)?,
            version: row.get(2)?,
            segment: row.get(3)?,
        },
        span: Span::new(row.get(4)?, row.get(5)?),
        revision: row.get(6)?,
        verdict: verdict(row.get(7)?)?,
        rows: row.get::<_, i64>(8)?.cast_unsigned(),
        layout_hash: row.get(9)?,
        reference_hash: row.get(10)?,
        watermark: row.get(11)?,
        covered: serde_json::from_str(&covered)?,
    })
}

pub(super) fn verdict(name: String) -> Result<Verdict> {
    let found = Verdict::ALL
        .into_iter()
        .find(|verdict| verdict.as_str() == name);
    found.ok_or(StoreError::Unreadable {
        what: "verdict",
        found: name,
    })
}

fn select(conn: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<WindowRow>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = Vec::new();
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        found.push(from_row(row)?);
    }
    Ok(found)
}

/// Writes a result with its scores; returns its `id`. A revision that is there already is an error: whoever closes
/// windows does so under a lease and moves `closed_through` in the same transaction.
pub fn insert(tx: &Transaction<'_>, window: &NewWindow) -> Result<i64> {
    failpoint("windows.before_insert");
    tx.prepare_cached(
        "INSERT INTO windows (model, version, segment, window_start, window_end, revision, verdict, rows,
                              layout_hash, reference_hash, watermark, covered, profile)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        window.key.model,
        window.key.version,
        window.key.segment,
        window.span.start,
        window.span.end,
        window.revision,
        window.verdict.as_str(),
        window.rows.cast_signed(),
        window.layout_hash,
        window.reference_hash,
        window.watermark,
        serde_json::to_string(&window.covered)?,
        window.profile,
    ])?;
    let id = tx.last_insert_rowid();
    failpoint("windows.after_insert");
    scores::insert(tx, id, &window.scores)?;
    failpoint("scores.after_insert");
    Ok(id)
}

/// The last revision of each window that passes the filter, newest window first.
pub fn latest(conn: &Connection, filter: &WindowFilter, limit: u32) -> Result<Vec<WindowRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM windows w
         WHERE (?1 IS NULL OR w.model = ?1) AND (?2 IS NULL OR w.version = ?2) AND (?3 IS NULL OR w.segment = ?3)
           AND (?4 IS NULL OR w.verdict = ?4) AND (?5 IS NULL OR w.window_end > ?5)
           AND (?6 IS NULL OR w.window_end <= ?6) AND {LATEST}
         ORDER BY w.window_end DESC, w.model, w.version, w.segment, w.window_start LIMIT ?7"
    );
    select(
        conn,
        &sql,
        params![
            filter.model,
            filter.version,
            filter.segment,
            filter.verdict.map(Verdict::as_str),
            filter.after,
            filter.through,
            limit,
        ],
    )
}

/// Every revision of one window, first revision first.
pub fn revisions(conn: &Connection, key: &Key, span: Span) -> Result<Vec<WindowRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM windows w WHERE w.model = ?1 AND w.version = ?2 AND w.segment = ?3
           AND w.window_start = ?4 AND w.window_end = ?5 ORDER BY w.revision"
    );
    select(
        conn,
        &sql,
        params![key.model, key.version, key.segment, span.start, span.end],
    )
}

/// The last revision of each window of `model` that begins at `start`, by version, segment and end.
pub fn starting_at(conn: &Connection, model: &str, start: Millis) -> Result<Vec<WindowRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM windows w WHERE w.model = ?1 AND w.window_start = ?2 AND {LATEST}
         ORDER BY w.version, w.segment, w.window_end"
    );
    select(conn, &sql, params![model, start])
}

/// Start of the first window that any version closed whole and with so many rows.
pub fn first_with_rows(conn: &Connection, model: &str, rows: u64) -> Result<Option<Millis>> {
    let mut statement = conn.prepare_cached(
        "SELECT min(window_start) FROM windows
         WHERE model = ?1 AND revision = 0 AND rows >= ?2 AND verdict <> ?3",
    )?;
    let values = params![model, rows.cast_signed(), Verdict::Incomplete.as_str()];
    Ok(statement.query_row(values, |row| row.get(0))?)
}

/// End of the last window that any version closed with rows.
pub fn last_with_rows(conn: &Connection, model: &str) -> Result<Option<Millis>> {
    let mut statement = conn.prepare_cached(
        "SELECT max(window_end) FROM windows WHERE model = ?1 AND revision = 0 AND rows > 0",
    )?;
    Ok(statement.query_row([model], |row| row.get(0))?)
}

/// The keys that had a result when the last window that ends at or before `through` was closed.
pub fn keys_before(conn: &Connection, model: &str, through: Millis) -> Result<Vec<Key>> {
    let mut statement = conn.prepare_cached(
        "SELECT model, version, segment FROM windows
         WHERE model = ?1 AND revision = 0 AND window_end =
               (SELECT max(window_end) FROM windows WHERE model = ?1 AND revision = 0 AND window_end <= ?2)
         ORDER BY version, segment",
    )?;
    let rows = statement.query_map(params![model, through], |row| {
        Ok(Key {
            model: row.get(0)?,
            version: row.get(1)?,
            segment: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The result with this `id`.
pub fn get(conn: &Connection, id: i64) -> Result<Option<WindowRow>> {
    Ok(select(
        conn,
        &format!("SELECT {COLUMNS} FROM windows w WHERE w.id = ?1"),
        [id],
    )?
    .pop())
}

/// The profile of a result; `None` once retention has taken it.
pub fn profile(conn: &Connection, id: i64) -> Result<Option<Vec<u8>>> {
    let mut statement = conn.prepare_cached("SELECT profile FROM windows WHERE id = ?1")?;
    Ok(statement
        .query_row([id], |row| row.get::<_, Option<Vec<u8>>>(0))
        .optional()?
        .flatten())
}

/// How many windows got each verdict at revision 0, for each model: what counters start from after a restart.
pub fn verdict_counts(conn: &Connection) -> Result<Vec<(String, Verdict, u64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT model, verdict, count(*) FROM windows WHERE revision = 0 GROUP BY model, verdict
         ORDER BY model, verdict",
    )?;
    let mut counts = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        counts.push((
            row.get(0)?,
            verdict(row.get(1)?)?,
            row.get::<_, i64>(2)?.cast_unsigned(),
        ));
    }
    Ok(counts)
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
