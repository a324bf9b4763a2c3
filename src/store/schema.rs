//! Opening the file: pragmas, the schema, and upgrades from older versions.
//!
//! **Invariant:** a file is either a driftline store of a version this binary knows, or it is not touched.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use super::error::{Result, StoreError};

const SCHEMA: &str = include_str!("schema.sql");

/// `UPGRADES[i]` turns version `i + 1` into version `i + 2`. `schema.sql` always describes the newest.
const UPGRADES: &[&str] = &[include_str!("schema_2.sql"), include_str!("schema_3.sql")];

/// How long a connection waits for another process's transaction. Ours take milliseconds; a checkpoint of a large
/// log on a slow disk can take seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Profiles are some 10 to 20 kB: a page of 8 KiB halves their overflow chains.
const PAGE_BYTES: u32 = 8192;

/// The write-ahead log is cut back to this after a checkpoint, should it ever have grown beyond.
const LOG_BYTES_KEPT: u32 = 64 << 20;

/// More than all statements of this room, so that none is compiled twice.
const STATEMENTS_KEPT: usize = 128;

/// Opens or creates the store for writing.
pub(super) fn open_writer(path: &Path) -> Result<Connection> {
    let mut conn = Connection::open(path)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    // Before anything is changed in a file that is not ours.
    check_version(version(&conn)?, UPGRADES)?;
    // Both only take effect while the file is empty.
    conn.pragma_update(None, "page_size", PAGE_BYTES)?;
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    switch_to_wal(&conn)?;
    // FULL: a commit that was reported is on the disk, also after a power cut.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    upgrade(&mut conn, SCHEMA, UPGRADES)?;
    Ok(conn)
}

/// Opens an existing store for reading only.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(conn)
}

/// The switch needs the file for itself for a moment, and SQLite does not wait for that by `busy_timeout`: two
/// processes that create the store at the same time would see one of them fail.
fn switch_to_wal(conn: &Connection) -> Result<()> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        match conn
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(StoreError::from)
        {
            Err(error) if error.is_busy() && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// Creates the schema in an empty file, or runs the upgrades that are missing, in one transaction.
fn upgrade(conn: &mut Connection, schema: &str, upgrades: &[&str]) -> Result<()> {
    let known = newest(upgrades);
    if check_version(version(conn)?, upgrades)? == Some(known) {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again: another process may have been faster.
    match check_version(version(&tx)?, upgrades)? {
        None => tx.execute_batch(schema)?,
        Some(found) => {
            for step in upgrades.iter().skip(found.saturating_sub(1) as usize) {
                tx.execute_batch(step)?;
            }
        }
    }
    tx.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('schema_version', ?1)",
        [known.to_string()],
    )?;
    tx.commit()?;
    Ok(())
}

fn newest(upgrades: &[&str]) -> u32 {
    u32::try_from(upgrades.len())
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

fn check_version(found: Option<u32>, upgrades: &[&str]) -> Result<Option<u32>> {
    let known = newest(upgrades);
    match found {
        Some(found) if found > known => Err(StoreError::Newer { found, known }),
        other => Ok(other),
    }
}

/// `None`: the file is empty.
fn version(conn: &Connection) -> Result<Option<u32>> {
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(None);
    }
    let has_meta: bool = conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta')",
        [],
        |row| row.get(0),
    )?;
    if !has_meta {
        return Err(StoreError::Foreign);
    }
    let value: Option<String> = conn
        .query_row(
            "SELECT value FROM meta WHERE key = 'schema_version'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    let value = value.ok_or(StoreError::Foreign)?;
    match value.parse() {
        Ok(version) => Ok(Some(version)),
        Err(_) => Err(StoreError::Unreadable {
            what: "schema version",
            found: value,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().expect("a database in memory opens")
    }

    #[test]
    fn an_empty_file_gets_the_newest_schema() {
        let mut conn = memory();
        upgrade(&mut conn, SCHEMA, UPGRADES).expect("the schema is valid");
        assert_eq!(version(&conn).expect("readable"), Some(3));
    }

    #[test]
    fn an_older_file_is_upgraded_step_by_step_and_keeps_its_rows() {
        let mut conn = memory();
        upgrade(&mut conn, SCHEMA, &[]).expect("the schema is valid");
        conn.execute("INSERT INTO ticks VALUES ('power', 7)", [])
            .expect("inserts");
        let steps = [
            "ALTER TABLE ticks ADD COLUMN extra INTEGER DEFAULT 1",
            "UPDATE ticks SET extra = extra + at",
        ];
        upgrade(&mut conn, "never run", &steps).expect("upgrades");
        assert_eq!(version(&conn).expect("readable"), Some(3));
        let extra: i64 = conn
            .query_row("SELECT extra FROM ticks", [], |row| row.get(0))
            .expect("one row");
        assert_eq!(extra, 8);
        upgrade(&mut conn, "never run", &steps).expect("a second time is a no-op");
        let extra: i64 = conn
            .query_row("SELECT extra FROM ticks", [], |row| row.get(0))
            .expect("one row");
        assert_eq!(extra, 8);
    }

    /// The tables of a file, with what SQLite knows of their columns.
    fn columns(conn: &Connection) -> Vec<String> {
        let mut statement = conn
            .prepare(
                "SELECT t.name, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk
                 FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY 1, 2",
            )
            .expect("a statement");
        let shown = statement
            .query_map([], |row| {
                let cells: Vec<rusqlite::types::Value> = (0..6)
                    .map(|place| row.get(place))
                    .collect::<rusqlite::Result<_>>()?;
                Ok(format!("{cells:?}"))
            })
            .expect("it runs");
        shown.collect::<rusqlite::Result<_>>().expect("texts")
    }

    #[test]
    fn a_file_of_the_first_release_becomes_one_of_this_release() {
        let mut old = memory();
        upgrade(&mut old, include_str!("schema_1.sql"), &[]).expect("the old schema");
        old.execute_batch(
            "INSERT INTO cursors VALUES ('predictions', 0, 1, 10, 5, 9, 0, 1, 0, NULL);
             INSERT INTO streams VALUES ('predictions', 0, 'power', 7, 8, 0, 9, 0, 1, '{\"1\":9}');
             INSERT INTO pending (model, topic, partition, \"offset\", ts, epoch, pane_start, pane_end, bytes, payload)
             VALUES ('power', 'predictions', 0, 3, 4, 0, 0, 10, 2, x'7b7d');",
        )
        .expect("rows of the old schema");
        upgrade(&mut old, SCHEMA, UPGRADES).expect("upgrades");
        let mut new = memory();
        upgrade(&mut new, SCHEMA, UPGRADES).expect("the schema is valid");
        assert_eq!(columns(&old), columns(&new));

        let power = crate::event::Partition {
            topic: "predictions".to_owned(),
            partition: 0,
        };
        let loaded = super::super::load_partition(&old, &power).expect("reads");
        let loaded = loaded.expect("it was committed");
        assert_eq!((loaded.next_offset, loaded.counts.used), (10, 9));
        assert_eq!(loaded.kind, crate::event::RecordKind::Predictions);
        assert_eq!(
            loaded.streams[0].kind,
            crate::event::RecordKind::Predictions
        );
        assert_eq!(loaded.pending_rows["power"], 1);
        let mut waiting = Vec::new();
        super::super::pending::for_each(&old, "power", |_, row| {
            waiting.push((row.offset, row.watermark));
            Ok(())
        })
        .expect("reads");
        assert_eq!(waiting, [(3, i64::MIN)]);
    }

    #[test]
    fn a_failing_upgrade_leaves_the_old_version() {
        let mut conn = memory();
        upgrade(&mut conn, SCHEMA, &[]).expect("the schema is valid");
        upgrade(&mut conn, SCHEMA, &["DROP TABLE ticks", "nonsense"])
            .expect_err("the second step is not SQL");
        assert_eq!(version(&conn).expect("readable"), Some(1));
        conn.execute("INSERT INTO ticks VALUES ('power', 7)", [])
            .expect("the first step was rolled back");
    }

    #[test]
    fn a_newer_file_is_refused_in_a_sentence() {
        let mut conn = memory();
        upgrade(&mut conn, SCHEMA, &["SELECT 1", "SELECT 1"]).expect("the schema is valid");
        let refused = upgrade(&mut conn, SCHEMA, &[]).expect_err("version 3 is newer than 1");
        assert_eq!(
            refused.to_string(),
            "the store was written by a newer driftline: its schema has version 3, this binary knows versions up \
             to 1; run the newer binary or point data_dir at another folder"
        );
    }

    #[test]
    fn another_programs_database_is_left_alone() {
        let mut conn = memory();
        conn.execute_batch("CREATE TABLE songs (title TEXT)")
            .expect("creates");
        assert!(matches!(
            upgrade(&mut conn, SCHEMA, UPGRADES),
            Err(StoreError::Foreign)
        ));
    }
}
