//! Models: which are watched, and how far their windows are closed.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::error::Result;
use super::failpoint::failpoint;
use crate::event::Millis;

/// One watched model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub model: String,
    /// The file that declares it.
    pub declared_in: String,
    /// Start of its first window, once known.
    pub first_window: Option<Millis>,
    /// End of the last window closed at revision 0.
    pub closed_through: Option<Millis>,
    pub layout_hash: Option<String>,
    /// The reference bound to the model as a whole (version `""`).
    pub reference_hash: Option<String>,
}

const SELECT: &str =
    "SELECT m.model, m.declared_in, m.first_window, m.closed_through, l.hash, b.hash FROM models m
     LEFT JOIN layouts l ON l.model = m.model
     LEFT JOIN reference_bindings b ON b.model = m.model AND b.version = ''";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Model> {
    Ok(Model {
        model: row.get(0)?,
        declared_in: row.get(1)?,
        first_window: row.get(2)?,
        closed_through: row.get(3)?,
        layout_hash: row.get(4)?,
        reference_hash: row.get(5)?,
    })
}

pub fn get(conn: &Connection, model: &str) -> Result<Option<Model>> {
    let mut statement = conn.prepare_cached(&format!("{SELECT} WHERE m.model = ?1"))?;
    Ok(statement.query_row([model], from_row).optional()?)
}

/// All models, by name.
pub fn all(conn: &Connection) -> Result<Vec<Model>> {
    let mut statement = conn.prepare_cached(&format!("{SELECT} ORDER BY m.model"))?;
    let rows = statement.query_map([], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes a model and the file that declares it now; what is known of it stays.
pub fn declare(tx: &Transaction<'_>, model: &str, declared_in: &str) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO models (model, declared_in) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET declared_in = excluded.declared_in",
    )?
    .execute(params![model, declared_in])?;
    Ok(())
}

/// Settles the start of the model's first window. `false`: it was settled before, or there is no such model.
pub fn set_first_window(tx: &Transaction<'_>, model: &str, start: Millis) -> Result<bool> {
    let changed = tx
        .prepare_cached(
            "UPDATE models SET first_window = ?2 WHERE model = ?1 AND first_window IS NULL",
        )?
        .execute(params![model, start])?;
    Ok(changed == 1)
}

/// Moves `closed_through` from `expected` to `to`. `false`: somebody else moved it; close nothing.
pub fn advance(
    tx: &Transaction<'_>,
    model: &str,
    expected: Option<Millis>,
    to: Millis,
) -> Result<bool> {
    failpoint("models.before_advance");
    let changed = tx
        .prepare_cached(
            "UPDATE models SET closed_through = ?3 WHERE model = ?1 AND closed_through IS ?2",
        )?
        .execute(params![model, expected, to])?;
    failpoint("models.after_advance");
    Ok(changed == 1)
}
