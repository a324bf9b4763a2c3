//! Ticks: the moments at which a model's silence was judged. Recorded, so that a decision about silence can be
//! replayed and never steps back when a clock does.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::error::Result;
use crate::event::Millis;

/// The latest tick of a model.
pub fn last(conn: &Connection, model: &str) -> Result<Option<Millis>> {
    let mut statement = conn.prepare_cached("SELECT at FROM ticks WHERE model = ?1")?;
    Ok(statement.query_row([model], |row| row.get(0)).optional()?)
}

/// Records a tick and returns the moment to judge at: `at`, or the latest tick if that is later.
pub fn record(tx: &Transaction<'_>, model: &str, at: Millis) -> Result<Millis> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO ticks (model, at) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET at = max(at, excluded.at) RETURNING at",
    )?;
    Ok(statement.query_row(params![model, at], |row| row.get(0))?)
}
