//! Scores: every statistic of every column of a result. The score itself is JSON; beside it stands what is searched.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::error::Result;
use crate::event::{Key, Millis, Span};
use crate::stats::score::{Score, Verdict};

/// A score and the rule whose level judged it; `""` where it belongs to no single rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleScore {
    pub rule: String,
    #[serde(flatten)]
    pub score: Score,
}

/// A score with the window it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRow {
    pub key: Key,
    pub span: Span,
    pub revision: u32,
    pub rule: String,
    pub score: Score,
}

/// Which scores to list: all conditions that are given must hold.
#[derive(Debug, Clone, Default)]
pub struct ScoreFilter {
    pub model: Option<String>,
    pub version: Option<String>,
    pub segment: Option<String>,
    pub column: Option<String>,
    pub statistic: Option<String>,
    pub rule: Option<String>,
    pub verdict: Option<Verdict>,
    /// Windows that end after this.
    pub after: Option<Millis>,
    /// Windows that end at or before this.
    pub through: Option<Millis>,
}

pub(super) fn insert(conn: &Connection, window_id: i64, scores: &[RuleScore]) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO scores (window_id, \"column\", statistic, rule, verdict, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for RuleScore { rule, score } in scores {
        statement.execute(params![
            window_id,
            score.column,
            score.statistic,
            rule,
            score.verdict.as_str(),
            serde_json::to_string(score)?,
        ])?;
    }
    Ok(())
}

/// The scores of one result, by column, statistic and rule.
pub fn of_window(conn: &Connection, window_id: i64) -> Result<Vec<RuleScore>> {
    let mut statement = conn.prepare_cached(
        "SELECT rule, body FROM scores WHERE window_id = ?1 ORDER BY \"column\", statistic, rule",
    )?;
    let mut scores = Vec::new();
    let mut rows = statement.query([window_id])?;
    while let Some(row) = rows.next()? {
        scores.push(RuleScore {
            rule: row.get(0)?,
            score: serde_json::from_str(&row.get::<_, String>(1)?)?,
        });
    }
    Ok(scores)
}

/// Scores of the last revisions that pass the filter, newest window first: the history of one column and statistic,
/// or all that drifted.
pub fn list(conn: &Connection, filter: &ScoreFilter, limit: u32) -> Result<Vec<ScoreRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT w.model, w.version, w.segment, w.window_start, w.window_end, w.revision, s.rule, s.body
         FROM windows w JOIN scores s ON s.window_id = w.id
         WHERE (?1 IS NULL OR w.model = ?1) AND (?2 IS NULL OR w.version = ?2) AND (?3 IS NULL OR w.segment = ?3)
           AND (?4 IS NULL OR s.\"column\" = ?4) AND (?5 IS NULL OR s.statistic = ?5)
           AND (?6 IS NULL OR s.rule = ?6) AND (?7 IS NULL OR s.verdict = ?7)
           AND (?8 IS NULL OR w.window_end > ?8) AND (?9 IS NULL OR w.window_end <= ?9)
           AND w.revision = (SELECT max(r.revision) FROM windows r
               WHERE r.model = w.model AND r.version = w.version AND r.segment = w.segment
                 AND r.window_start = w.window_start AND r.window_end = w.window_end)
         ORDER BY w.window_end DESC, w.model, w.version, w.segment, w.window_start,
                  s.\"column\", s.statistic, s.rule
         LIMIT ?10",
    )?;
    let mut found = Vec::new();
    let mut rows = statement.query(params![
        filter.model,
        filter.version,
        filter.segment,
        filter.column,
        filter.statistic,
        filter.rule,
        filter.verdict.map(Verdict::as_str),
        filter.after,
        filter.through,
        limit,
    ])?;
    while let Some(row) = rows.next()? {
        found.push(ScoreRow {
            key: Key {
                model: row.get(0)?,
                version: row.get(1)?,
                segment: row.get(2)?,
            },
            span: Span::new(row.get(3)?, row.get(4)?),
            revision: row.get(5)?,
            rule: row.get(6)?,
            score: serde_json::from_str(&row.get::<_, String>(7)?)?,
        });
    }
    Ok(found)
}
