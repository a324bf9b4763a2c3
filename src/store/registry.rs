//! The registry: immutable models by the hash of their file, who serves now, and everyone who did.
//!
//! **Invariants:** a model file's row is written once and never changed; a model's version names one file. The
//! champion moves by compare-and-set on `seq`, and every move is logged under the `seq` that it made, so the log
//! without gaps is the history. What manifest and card say belongs to `retrain`.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::error::{Result, StoreError};
use super::failpoint::failpoint;
use super::streams;
use crate::event::Millis;

/// A model that is known by its file, or, for one that was trained elsewhere, by a hash alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    pub hash: String,
    pub model: String,
    pub version: String,
    /// Hash of the champion that it was judged against.
    pub parent: Option<String>,
    /// The run that made it.
    pub run: Option<String>,
    /// Where its file lies in the lake; `None`: not with us.
    pub path: Option<String>,
    /// Event time.
    pub created: Millis,
    /// Both as JSON.
    pub manifest: String,
    pub card: String,
}

/// Who serves now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Champion {
    pub model: String,
    /// Rises by one with every move.
    pub seq: u64,
    pub version: String,
    pub hash: Option<String>,
    /// Event time.
    pub since: Millis,
}

/// Why the champion moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Somebody, or the first promotion, said who serves.
    Register,
    /// It won at the gate.
    Promote,
    /// Somebody put it there without a win.
    Force,
    /// Back to an earlier one.
    Rollback,
}

impl Action {
    const ALL: [Action; 4] = [
        Action::Register,
        Action::Promote,
        Action::Force,
        Action::Rollback,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Action::Register => "register",
            Action::Promote => "promote",
            Action::Force => "force",
            Action::Rollback => "rollback",
        }
    }

    fn parse(name: String) -> Result<Action> {
        let found = Action::ALL
            .into_iter()
            .find(|action| action.as_str() == name);
        found.ok_or(StoreError::Unreadable {
            what: "move of a champion",
            found: name,
        })
    }
}

/// One move of a champion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    pub model: String,
    pub seq: u64,
    pub action: Action,
    pub version: String,
    pub hash: Option<String>,
    /// The reference that its windows are compared with from then on, where one is bound.
    pub reference_hash: Option<String>,
    pub run: Option<String>,
    /// Who did it: a token's name, `cli`, or the policy.
    pub actor: String,
    /// Event time.
    pub at: Millis,
    pub at_wall: Millis,
}

const FILE_COLUMNS: &str = "hash, model, version, parent, run, path, created, manifest, card";

fn file_from_row(row: &Row<'_>) -> rusqlite::Result<ModelFile> {
    Ok(ModelFile {
        hash: row.get(0)?,
        model: row.get(1)?,
        version: row.get(2)?,
        parent: row.get(3)?,
        run: row.get(4)?,
        path: row.get(5)?,
        created: row.get(6)?,
        manifest: row.get(7)?,
        card: row.get(8)?,
    })
}

fn files(conn: &Connection, tail: &str, values: impl rusqlite::Params) -> Result<Vec<ModelFile>> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT {FILE_COLUMNS} FROM model_files {tail}"))?;
    let rows = statement.query_map(values, file_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A model's file by its hash.
pub fn file(conn: &Connection, model: &str, hash: &str) -> Result<Option<ModelFile>> {
    Ok(files(conn, "WHERE model = ?1 AND hash = ?2", [model, hash])?.pop())
}

/// A model's file by its version.
pub fn file_of_version(conn: &Connection, model: &str, version: &str) -> Result<Option<ModelFile>> {
    Ok(files(conn, "WHERE model = ?1 AND version = ?2", [model, version])?.pop())
}

/// The file that a run made.
pub fn file_of_run(conn: &Connection, run: &str) -> Result<Option<ModelFile>> {
    Ok(files(conn, "WHERE run = ?1", [run])?.pop())
}

/// Files whose hash begins with `prefix`, of whatever model, by model.
pub fn files_by_hash(conn: &Connection, prefix: &str) -> Result<Vec<ModelFile>> {
    files(
        conn,
        "WHERE substr(hash, 1, length(?1)) = ?1 ORDER BY model, hash",
        [prefix],
    )
}

/// The files of one model or of all, by model, the newest first.
pub fn files_of(conn: &Connection, model: Option<&str>) -> Result<Vec<ModelFile>> {
    files(
        conn,
        "WHERE (?1 IS NULL OR model = ?1) ORDER BY model, created DESC, version DESC",
        [model],
    )
}

/// Writes a model's row. `false`: the model has this hash or this version already; nothing changed.
pub fn insert_file(tx: &Transaction<'_>, file: &ModelFile) -> Result<bool> {
    failpoint("retrain.before_model");
    let inserted = tx
        .prepare_cached(&format!(
            "INSERT INTO model_files ({FILE_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT DO NOTHING"
        ))?
        .execute(params![
            file.hash,
            file.model,
            file.version,
            file.parent,
            file.run,
            file.path,
            file.created,
            file.manifest,
            file.card,
        ])?;
    failpoint("retrain.after_model");
    Ok(inserted == 1)
}

/// The name of a new version: one above the greatest whole number among the versions that were logged, registered or
/// champion; without such a number, `r` and the beginning of the hash.
pub fn next_version(conn: &Connection, model: &str, hash: &str) -> Result<String> {
    let mut known: Vec<String> = Vec::new();
    for (_, stream) in streams::of_model(conn, model)? {
        known.extend(stream.versions.into_keys());
    }
    known.extend(
        files_of(conn, Some(model))?
            .into_iter()
            .map(|file| file.version),
    );
    known.extend(moves(conn, model)?.into_iter().map(|moved| moved.version));
    let number = |text: &String| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().ok()).flatten()
    };
    let next = known
        .iter()
        .filter_map(number)
        .max()
        .and_then(|greatest| greatest.checked_add(1));
    Ok(match next {
        Some(next) => next.to_string(),
        None => format!("r{}", hash.get(..8).unwrap_or(hash)),
    })
}

pub fn champion(conn: &Connection, model: &str) -> Result<Option<Champion>> {
    let mut statement = conn.prepare_cached(
        "SELECT model, seq, version, hash, since FROM champions WHERE model = ?1",
    )?;
    let found = statement.query_row([model], champion_from_row);
    Ok(found.optional()?)
}

/// Every model's champion, by model.
pub fn champions(conn: &Connection) -> Result<Vec<Champion>> {
    let mut statement = conn
        .prepare_cached("SELECT model, seq, version, hash, since FROM champions ORDER BY model")?;
    let rows = statement.query_map([], champion_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn champion_from_row(row: &Row<'_>) -> rusqlite::Result<Champion> {
    Ok(Champion {
        model: row.get(0)?,
        seq: row.get::<_, i64>(1)?.cast_unsigned(),
        version: row.get(2)?,
        hash: row.get(3)?,
        since: row.get(4)?,
    })
}

/// Moves the champion of `to.model` from the state `to.seq - 1` (0: there is none) and logs the move. `false`: it was
/// moved meanwhile; nothing changed.
pub fn set_champion(tx: &Transaction<'_>, to: &Move) -> Result<bool> {
    failpoint("retrain.before_move");
    let moved = tx
        .prepare_cached(
            "INSERT INTO champions (model, seq, version, hash, since)
             SELECT ?1, ?2, ?3, ?4, ?5
             WHERE (SELECT coalesce(max(seq), 0) FROM champions WHERE model = ?1) = ?2 - 1
             ON CONFLICT DO UPDATE SET seq = ?2, version = ?3, hash = ?4, since = ?5",
        )?
        .execute(params![
            to.model,
            to.seq.cast_signed(),
            to.version,
            to.hash,
            to.at
        ])?;
    if moved == 0 {
        return Ok(false);
    }
    failpoint("retrain.after_move");
    tx.prepare_cached(
        "INSERT INTO champion_moves (model, seq, action, version, hash, reference_hash, run, actor, at, at_wall)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        to.model,
        to.seq.cast_signed(),
        to.action.as_str(),
        to.version,
        to.hash,
        to.reference_hash,
        to.run,
        to.actor,
        to.at,
        to.at_wall,
    ])?;
    failpoint("retrain.after_log");
    Ok(true)
}

/// Every move of a model's champion, the first one first.
pub fn moves(conn: &Connection, model: &str) -> Result<Vec<Move>> {
    let mut statement = conn.prepare_cached(
        "SELECT model, seq, action, version, hash, reference_hash, run, actor, at, at_wall
         FROM champion_moves WHERE model = ?1 ORDER BY seq",
    )?;
    let mut found = Vec::new();
    let mut rows = statement.query([model])?;
    while let Some(row) = rows.next()? {
        found.push(Move {
            model: row.get(0)?,
            seq: row.get::<_, i64>(1)?.cast_unsigned(),
            action: Action::parse(row.get(2)?)?,
            version: row.get(3)?,
            hash: row.get(4)?,
            reference_hash: row.get(5)?,
            run: row.get(6)?,
            actor: row.get(7)?,
            at: row.get(8)?,
            at_wall: row.get(9)?,
        });
    }
    Ok(found)
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
