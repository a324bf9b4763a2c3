//! Vital signs: what each process exported of itself as event time went on; read by the export alone.
//!
//! **Invariant:** at most one row a process in each [`EVERY`] of event time, and none older than the retention says, so
//! the journal is bounded whatever the speed at which the past is read.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::error::Result;
use crate::event::{HOUR, Millis};

/// Event time between two rows of a process. A row is some 5 kB: 40 MB a year.
pub const EVERY: Millis = HOUR;

/// What a process exported of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VitalsRow {
    /// Event time: the greatest watermark.
    pub at: Millis,
    /// The process, as it names itself in leases.
    pub holder: String,
    pub at_wall: Millis,
    /// As the metrics room wrote it.
    pub body: String,
}

/// The latest row of a process.
pub fn last(conn: &Connection, holder: &str) -> Result<Option<Millis>> {
    let mut statement = conn.prepare_cached("SELECT max(at) FROM vitals WHERE holder = ?1")?;
    let found = statement.query_row([holder], |row| row.get::<_, Option<Millis>>(0));
    Ok(found.optional()?.flatten())
}

/// How far event time has come on any stream.
pub fn event_time(conn: &Connection) -> Result<Option<Millis>> {
    let mut statement =
        conn.prepare_cached("SELECT max(watermark) FROM streams WHERE max_ts IS NOT NULL")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Writes a row. One of the same process and moment stays.
pub fn record(tx: &Transaction<'_>, row: &VitalsRow) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO vitals (at, holder, at_wall, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?
    .execute(params![row.at, row.holder, row.at_wall, row.body])?;
    Ok(())
}

/// Every row from `from` to `to`, both included, in order of event time, handed to `each` one by one.
pub fn between(
    conn: &Connection,
    from: Millis,
    to: Millis,
    mut each: impl FnMut(VitalsRow),
) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "SELECT at, holder, at_wall, body FROM vitals WHERE at BETWEEN ?1 AND ?2 ORDER BY at, at_wall, holder",
    )?;
    let mut rows = statement.query([from, to])?;
    while let Some(row) = rows.next()? {
        each(VitalsRow {
            at: row.get(0)?,
            holder: row.get(1)?,
            at_wall: row.get(2)?,
            body: row.get(3)?,
        });
    }
    Ok(())
}

/// Takes rows from before `before`, at most `limit`; returns how many.
pub fn sweep(tx: &Transaction<'_>, before: Millis, limit: u32) -> Result<usize> {
    let mut statement = tx.prepare_cached(
        "DELETE FROM vitals WHERE (at, holder) IN (SELECT at, holder FROM vitals WHERE at < ?1 ORDER BY at LIMIT ?2)",
    )?;
    Ok(statement.execute(params![before, limit])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::scratch;

    fn row(at: Millis, holder: &str) -> VitalsRow {
        VitalsRow {
            at,
            holder: holder.to_owned(),
            at_wall: at + 1,
            body: "{}".to_owned(),
        }
    }

    #[test]
    fn rows_come_back_in_order_and_go_by_age() {
        let (_folder, store) = scratch();
        store
            .write(|tx| {
                for (at, holder) in [(2, "b"), (1, "a"), (3, "a"), (3, "a")] {
                    record(tx, &row(at, holder))?;
                }
                Ok::<_, crate::store::StoreError>(())
            })
            .expect("writable");
        let read = |from, to| {
            let mut found = Vec::new();
            let read = store.read(|conn| between(conn, from, to, |row| found.push(row)));
            read.expect("readable");
            found
        };
        assert_eq!(read(0, 9), [row(1, "a"), row(2, "b"), row(3, "a")]);
        assert_eq!(read(2, 2), [row(2, "b")]);
        let last_of =
            |holder: &'static str| store.read(|conn| last(conn, holder)).expect("readable");
        assert_eq!(
            (last_of("a"), last_of("b"), last_of("c")),
            (Some(3), Some(2), None)
        );
        assert_eq!(store.read(event_time).expect("readable"), None);
        let swept = store.write(|tx| sweep(tx, 3, 10)).expect("writable");
        assert_eq!((swept, read(0, 9)), (2, vec![row(3, "a")]));
    }
}
