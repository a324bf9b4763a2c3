//! Layouts: the one, immutable layout of each model. Their form belongs to `profile`; here they are text and hash.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::error::Result;
use super::failpoint::failpoint;

/// A layout as JSON, and the hash by which profiles and references name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLayout {
    pub hash: String,
    pub body: String,
}

pub fn get(conn: &Connection, model: &str) -> Result<Option<StoredLayout>> {
    let mut statement = conn.prepare_cached("SELECT hash, body FROM layouts WHERE model = ?1")?;
    let found = statement.query_row([model], |row| {
        Ok(StoredLayout {
            hash: row.get(0)?,
            body: row.get(1)?,
        })
    });
    Ok(found.optional()?)
}

/// Every model that has a layout, by name.
pub fn all(conn: &Connection) -> Result<Vec<(String, StoredLayout)>> {
    let mut statement =
        conn.prepare_cached("SELECT model, hash, body FROM layouts ORDER BY model")?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get(0)?,
            StoredLayout {
                hash: row.get(1)?,
                body: row.get(2)?,
            },
        ))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Gives the model this layout unless it has one. Returns the layout that it has now, and whether it is this one's
/// doing.
pub fn insert_if_absent(
    tx: &Transaction<'_>,
    model: &str,
    layout: &StoredLayout,
) -> Result<(StoredLayout, bool)> {
    failpoint("layouts.before_insert");
    let inserted = tx
        .prepare_cached(
            "INSERT INTO layouts (model, hash, body) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![model, layout.hash, layout.body])?;
    failpoint("layouts.after_insert");
    match get(tx, model)? {
        Some(won) => Ok((won, inserted == 1)),
        None => Ok((layout.clone(), inserted == 1)),
    }
}

pub(super) fn exists(conn: &Connection, model: &str) -> Result<bool> {
    Ok(conn
        .prepare_cached("SELECT 1 FROM layouts WHERE model = ?1")?
        .exists([model])?)
}
