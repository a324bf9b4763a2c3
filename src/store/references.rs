//! References: what windows are compared with. Immutable and named by their hash; a binding says which one a model's
//! version uses now.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::error::Result;
use super::failpoint::failpoint;
use crate::event::Span;

/// A reference without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceRow {
    pub hash: String,
    pub model: String,
    /// Where it comes from, `first: 30d` for example.
    pub source: String,
    pub span: Option<Span>,
    pub layout_hash: String,
}

const COLUMNS: &str = "hash, model, source, span_start, span_end, layout_hash";

fn from_row(row: &Row<'_>) -> rusqlite::Result<ReferenceRow> {
    let start: Option<i64> = row.get(3)?;
    let end: Option<i64> = row.get(4)?;
    Ok(ReferenceRow {
        hash: row.get(0)?,
        model: row.get(1)?,
        source: row.get(2)?,
        span: start.zip(end).map(|(start, end)| Span::new(start, end)),
        layout_hash: row.get(5)?,
    })
}

/// A reference and the bytes that `reference` made of it.
pub fn get(conn: &Connection, hash: &str) -> Result<Option<(ReferenceRow, Vec<u8>)>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, body FROM reference_profiles WHERE hash = ?1"
    ))?;
    Ok(statement
        .query_row([hash], |row| Ok((from_row(row)?, row.get(6)?)))
        .optional()?)
}

/// The references of a model, by hash.
pub fn of_model(conn: &Connection, model: &str) -> Result<Vec<ReferenceRow>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM reference_profiles WHERE model = ?1 ORDER BY hash"
    ))?;
    let rows = statement.query_map([model], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores a reference; one with the same hash is the same reference and stays as it is.
pub fn insert(tx: &Transaction<'_>, reference: &ReferenceRow, body: &[u8]) -> Result<()> {
    failpoint("references.before_insert");
    tx.prepare_cached(
        "INSERT INTO reference_profiles (hash, model, source, span_start, span_end, layout_hash, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        reference.hash,
        reference.model,
        reference.source,
        reference.span.map(|span| span.start),
        reference.span.map(|span| span.end),
        reference.layout_hash,
        body,
    ])?;
    failpoint("references.after_insert");
    Ok(())
}

/// The stored sample of a reference's rows.
pub fn rows(conn: &Connection, hash: &str) -> Result<Option<Vec<u8>>> {
    let mut statement = conn.prepare_cached("SELECT body FROM reference_rows WHERE hash = ?1")?;
    Ok(statement.query_row([hash], |row| row.get(0)).optional()?)
}

/// Stores a sample of a stored reference's rows; one that is there stays as it is. Returns what is stored now.
pub fn insert_rows(tx: &Transaction<'_>, hash: &str, body: &[u8]) -> Result<Vec<u8>> {
    failpoint("references.before_insert_rows");
    tx.prepare_cached(
        "INSERT INTO reference_rows (hash, body) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?
    .execute(params![hash, body])?;
    failpoint("references.after_insert_rows");
    Ok(rows(tx, hash)?.unwrap_or_else(|| body.to_vec()))
}

/// Binds a stored reference to a model's version, `""` for all versions without one of their own, if the binding is
/// still `expected`. `false`: somebody else bound another.
pub fn bind(
    tx: &Transaction<'_>,
    model: &str,
    version: &str,
    expected: Option<&str>,
    hash: &str,
) -> Result<bool> {
    if binding_of(tx, model, version)?.as_deref() != expected {
        return Ok(false);
    }
    tx.prepare_cached(
        "INSERT OR REPLACE INTO reference_bindings (model, version, hash) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![model, version, hash])?;
    failpoint("references.after_bind");
    Ok(true)
}

/// The reference of a version: its own, else the model's.
pub fn bound(conn: &Connection, model: &str, version: &str) -> Result<Option<String>> {
    match binding_of(conn, model, version)? {
        None if !version.is_empty() => binding_of(conn, model, ""),
        found => Ok(found),
    }
}

/// The reference that is bound to exactly this version.
pub fn binding_of(conn: &Connection, model: &str, version: &str) -> Result<Option<String>> {
    let mut statement = conn
        .prepare_cached("SELECT hash FROM reference_bindings WHERE model = ?1 AND version = ?2")?;
    Ok(statement
        .query_row([model, version], |row| row.get(0))
        .optional()?)
}
