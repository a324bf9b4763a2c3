//! Performance: what labels said of a window by a certain age, a row each, never changed.
//!
//! **Invariant:** rows and the place in time of their age move in one transaction, under the model's lease; so a
//! window is computed once at each age, and judged once.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::error::{Result, StoreError};
use super::failpoint::failpoint;
use super::scores::RuleScore;
use super::windows;
use crate::event::{Key, Millis, Span};
use crate::stats::score::Verdict;

/// What a result at an age is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Labels are still to come; shown with its coverage, never judged.
    Provisional,
    /// At label maturity: what rules judge, once.
    Judged,
    /// At the label horizon: labels that come later change nothing any more.
    Final,
}

impl Stage {
    pub const ALL: [Stage; 3] = [Stage::Provisional, Stage::Judged, Stage::Final];

    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Provisional => "provisional",
            Stage::Judged => "judged",
            Stage::Final => "final",
        }
    }

    pub fn parse(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.as_str() == name)
    }
}

/// Rows and labelled rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    pub rows: u64,
    pub labelled: u64,
}

/// One version's result in one window at one label age.
#[derive(Debug, Clone, PartialEq)]
pub struct PerformanceRow {
    pub key: Key,
    pub span: Span,
    /// Milliseconds after the window's end.
    pub age: Millis,
    pub stage: Stage,
    pub verdict: Verdict,
    /// Rows kept of the window, and those of them with a usable label.
    pub rows: u64,
    pub labelled: u64,
    pub body: PerformanceBody,
}

/// What is kept as JSON.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PerformanceBody {
    /// Rows by the class that was predicted.
    pub by_predicted: BTreeMap<String, Share>,
    /// Labels that came and could not be read as the task's, among the rows.
    pub unusable_labels: u64,
    /// Every metric under rule `""`, and again under each rule that judges it.
    pub scores: Vec<RuleScore>,
}

/// Which rows to list: all conditions that are given must hold.
#[derive(Debug, Clone, Default)]
pub struct PerformanceFilter {
    pub model: Option<String>,
    pub version: Option<String>,
    pub segment: Option<String>,
    pub stage: Option<Stage>,
    /// Windows that end after this.
    pub after: Option<Millis>,
    /// Windows that end at or before this.
    pub through: Option<Millis>,
}

const COLUMNS: &str =
    "model, version, segment, window_start, window_end, age, stage, verdict, rows, labelled, body";

fn from_row(row: &Row<'_>) -> Result<PerformanceRow> {
    let stage: String = row.get(6)?;
    let body: String = row.get(10)?;
    Ok(PerformanceRow {
        key: Key {
            model: row.get(0)?,
            version: row.get(1)?,
            segment: row.get(2)?,
        },
        span: Span::new(row.get(3)?, row.get(4)?),
        age: row.get(5)?,
        stage: Stage::parse(&stage).ok_or(StoreError::Unreadable {
            what: "stage",
            found: stage,
        })?,
        verdict: windows::verdict(row.get(7)?)?,
        rows: row.get::<_, i64>(8)?.cast_unsigned(),
        labelled: row.get::<_, i64>(9)?.cast_unsigned(),
        body: serde_json::from_str(&body)?,
    })
}

/// Writes a result. One that is there already is an error: see the module's invariant.
pub fn insert(tx: &Transaction<'_>, row: &PerformanceRow) -> Result<()> {
    failpoint("performance.before_insert");
    tx.prepare_cached(&format!(
        "INSERT INTO performance ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    ))?
    .execute(params![
        row.key.model,
        row.key.version,
        row.key.segment,
        row.span.start,
        row.span.end,
        row.age,
        row.stage.as_str(),
        row.verdict.as_str(),
        row.rows.cast_signed(),
        row.labelled.cast_signed(),
        serde_json::to_string(&row.body)?,
    ])?;
    failpoint("performance.after_insert");
    Ok(())
}

/// Results that pass the filter, newest window first, within a window the oldest labels first.
pub fn list(
    conn: &Connection,
    filter: &PerformanceFilter,
    limit: u32,
) -> Result<Vec<PerformanceRow>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM performance
         WHERE (?1 IS NULL OR model = ?1) AND (?2 IS NULL OR version = ?2) AND (?3 IS NULL OR segment = ?3)
           AND (?4 IS NULL OR stage = ?4) AND (?5 IS NULL OR window_end > ?5) AND (?6 IS NULL OR window_end <= ?6)
         ORDER BY window_end DESC, model, version, segment, window_start, age DESC LIMIT ?7"
    ))?;
    let mut found = Vec::new();
    let mut rows = statement.query(params![
        filter.model,
        filter.version,
        filter.segment,
        filter.stage.map(Stage::as_str),
        filter.after,
        filter.through,
        limit,
    ])?;
    while let Some(row) = rows.next()? {
        found.push(from_row(row)?);
    }
    Ok(found)
}

/// How many windows were judged, by model and verdict.
pub fn verdict_counts(conn: &Connection) -> Result<Vec<(String, Verdict, u64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT model, verdict, count(*) FROM performance WHERE stage = 'judged' GROUP BY model, verdict",
    )?;
    let mut found = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        found.push((
            row.get(0)?,
            windows::verdict(row.get(1)?)?,
            row.get::<_, i64>(2)?.cast_unsigned(),
        ));
    }
    Ok(found)
}

/// The closed windows of a model that end in `(after, through]`, in order.
pub fn closed_windows(
    conn: &Connection,
    model: &str,
    after: Option<Millis>,
    through: Millis,
) -> Result<Vec<Span>> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT window_start, window_end FROM windows
         WHERE model = ?1 AND revision = 0 AND rows > 0 AND (?2 IS NULL OR window_end > ?2) AND window_end <= ?3
         ORDER BY window_end",
    )?;
    let rows = statement.query_map(params![model, after, through], |row| {
        Ok(Span::new(row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The end of the last window computed at each age.
pub fn progress(conn: &Connection, model: &str) -> Result<BTreeMap<Millis, Millis>> {
    let mut statement =
        conn.prepare_cached("SELECT age, through FROM performance_progress WHERE model = ?1")?;
    let rows = statement.query_map([model], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Moves the place in time of an age from `expected` to `through`. `false`: somebody else moved it; store nothing.
pub fn advance(
    tx: &Transaction<'_>,
    model: &str,
    age: Millis,
    expected: Option<Millis>,
    through: Millis,
) -> Result<bool> {
    let changed = match expected {
        None => tx
            .prepare_cached(
                "INSERT INTO performance_progress (model, age, through) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![model, age, through])?,
        Some(expected) => tx
            .prepare_cached(
                "UPDATE performance_progress SET through = ?4 WHERE model = ?1 AND age = ?2 AND through = ?3",
            )?
            .execute(params![model, age, expected, through])?,
    };
    failpoint("performance.after_advance");
    Ok(changed == 1)
}
