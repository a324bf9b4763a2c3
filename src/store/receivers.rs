//! Receivers: what was learned about those we deliver to, so that all processes and a restart respect it.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::error::Result;
use crate::event::Millis;

/// What is known of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverRow {
    pub name: String,
    /// A hash of its address, which itself may hold a secret.
    pub target: String,
    /// Since when it wants nothing more.
    pub disabled_wall: Option<Millis>,
    /// Nothing is sent to it before this.
    pub throttled_until_wall: Option<Millis>,
}

impl ReceiverRow {
    /// Whether something may be sent now.
    pub fn is_open(&self, now_wall: Millis) -> bool {
        self.disabled_wall.is_none()
            && self
                .throttled_until_wall
                .is_none_or(|until| until <= now_wall)
    }
}

pub fn get(conn: &Connection, name: &str) -> Result<Option<ReceiverRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT name, target, disabled_wall, throttled_until_wall FROM receivers WHERE name = ?1",
    )?;
    let found = statement.query_row([name], |row| {
        Ok(ReceiverRow {
            name: row.get(0)?,
            target: row.get(1)?,
            disabled_wall: row.get(2)?,
            throttled_until_wall: row.get(3)?,
        })
    });
    Ok(found.optional()?)
}

/// Notes the configured address of a receiver. With another address than before it starts afresh.
pub fn configure(tx: &Transaction<'_>, name: &str, target: &str) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO receivers (name, target) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET target = ?2, disabled_wall = NULL, throttled_until_wall = NULL
         WHERE target <> ?2",
    )?
    .execute(params![name, target])?;
    Ok(())
}

/// Sends nothing more to a receiver until its address changes.
pub fn disable(tx: &Transaction<'_>, name: &str, now_wall: Millis) -> Result<()> {
    tx.prepare_cached("UPDATE receivers SET disabled_wall = ?2 WHERE name = ?1")?
        .execute(params![name, now_wall])?;
    Ok(())
}

/// Sends nothing to a receiver before `until_wall`.
pub fn throttle(tx: &Transaction<'_>, name: &str, until_wall: Millis) -> Result<()> {
    tx.prepare_cached(
        "UPDATE receivers SET throttled_until_wall = max(coalesce(throttled_until_wall, ?2), ?2) WHERE name = ?1",
    )?
    .execute(params![name, until_wall])?;
    Ok(())
}
