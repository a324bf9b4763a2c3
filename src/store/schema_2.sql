-- From version 1 to 2: the lake, performance and retraining.

ALTER TABLE cursors ADD COLUMN kind TEXT NOT NULL DEFAULT 'predictions';
ALTER TABLE streams ADD COLUMN kind TEXT NOT NULL DEFAULT 'predictions';
ALTER TABLE pending ADD COLUMN watermark INTEGER NOT NULL DEFAULT -9223372036854775808;

-- Lake ------------------------------------------------------------------------------------------------------

-- Rows and labels that are counted and not yet in a segment: Arrow IPC streams, in the order of their offsets.
-- `kind` is `rows` or `labels`. No id is used twice: whoever flushes names what it read by them.
CREATE TABLE lake_buffer (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,
    model        TEXT NOT NULL,
    topic        TEXT NOT NULL,
    partition    INTEGER NOT NULL,
    from_offset  INTEGER NOT NULL,
    to_offset    INTEGER NOT NULL,
    rows         INTEGER NOT NULL,
    min_ts       INTEGER NOT NULL,
    max_ts       INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    created_wall INTEGER NOT NULL,
    body         BLOB NOT NULL
) STRICT;
CREATE INDEX lake_buffer_of_pair ON lake_buffer (kind, model, topic, partition, id);

-- The catalogue: a Parquet file each. What is not here does not exist, whatever lies in the object store.
CREATE TABLE segments (
    id           INTEGER PRIMARY KEY,
    kind         TEXT NOT NULL,
    model        TEXT NOT NULL,
    topic        TEXT NOT NULL,
    partition    INTEGER NOT NULL,
    path         TEXT NOT NULL UNIQUE,
    from_offset  INTEGER NOT NULL,
    to_offset    INTEGER NOT NULL,
    rows         INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    min_ts       INTEGER NOT NULL,
    max_ts       INTEGER NOT NULL,
    min_id       TEXT,
    max_id       TEXT,
    created_wall INTEGER NOT NULL,
    bloom        BLOB
) STRICT;
CREATE INDEX segments_by_time ON segments (kind, model, min_ts, max_ts);

-- Files that the catalogue let go of, removed when nobody can be reading them any more.
CREATE TABLE dropped_segments (path TEXT PRIMARY KEY, since_wall INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Performance -----------------------------------------------------------------------------------------------

-- What labels said of a window by `age` ms after its end. `stage`: provisional, judged (once, at label maturity) or
-- final (at the label horizon).
CREATE TABLE performance (
    id           INTEGER PRIMARY KEY,
    model        TEXT NOT NULL,
    version      TEXT NOT NULL,
    segment      TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    window_end   INTEGER NOT NULL,
    age          INTEGER NOT NULL,
    stage        TEXT NOT NULL,
    verdict      TEXT NOT NULL,
    rows         INTEGER NOT NULL,
    labelled     INTEGER NOT NULL,
    body         TEXT NOT NULL,
    UNIQUE (model, version, segment, window_start, window_end, age)
) STRICT;
CREATE INDEX performance_by_end ON performance (model, window_end);
-- Windows whose end is not behind `through` are still to be computed at this age.
CREATE TABLE performance_progress (
    model   TEXT NOT NULL,
    age     INTEGER NOT NULL,
    through INTEGER NOT NULL,
    PRIMARY KEY (model, age)
) STRICT, WITHOUT ROWID;

-- Retraining ------------------------------------------------------------------------------------------------

-- What was asked for, once for each key. `status`: queued, training, judging, proposed, promoted, lost, blocked,
-- failed, cancelled, superseded. `holder` and `until_wall` lease an active run to a process.
CREATE TABLE retrain_runs (
    id           TEXT PRIMARY KEY,
    key          TEXT NOT NULL UNIQUE,
    model        TEXT NOT NULL,
    version      TEXT NOT NULL,
    mode         TEXT NOT NULL,
    requested    INTEGER NOT NULL,
    status       TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    holder       TEXT,
    until_wall   INTEGER,
    created_wall INTEGER NOT NULL,
    updated_wall INTEGER NOT NULL,
    body         TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX retrain_active ON retrain_runs (model) WHERE status IN ('queued', 'training', 'judging');
-- Requests that were understood and decided against, so that the same request gets the same answer again.
CREATE TABLE retrain_refusals (
    key     TEXT PRIMARY KEY,
    model   TEXT NOT NULL,
    reason  TEXT NOT NULL,
    at_wall INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Immutable models by the hash of their file; an external one has no file of ours. Two models fitted to the same rows
-- have the same hash.
CREATE TABLE model_files (
    hash     TEXT NOT NULL,
    model    TEXT NOT NULL,
    version  TEXT NOT NULL,
    parent   TEXT,
    run      TEXT,
    path     TEXT,
    created  INTEGER NOT NULL,
    manifest TEXT NOT NULL,
    card     TEXT NOT NULL,
    PRIMARY KEY (model, hash),
    UNIQUE (model, version)
) STRICT;
-- Who serves now, and who did: `seq` is what a move compares and sets.
CREATE TABLE champions (
    model   TEXT PRIMARY KEY,
    seq     INTEGER NOT NULL,
    version TEXT NOT NULL,
    hash    TEXT,
    since   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE champion_moves (
    model          TEXT NOT NULL,
    seq            INTEGER NOT NULL,
    action         TEXT NOT NULL,
    version        TEXT NOT NULL,
    hash           TEXT,
    reference_hash TEXT,
    run            TEXT,
    actor          TEXT NOT NULL,
    at             INTEGER NOT NULL,
    at_wall        INTEGER NOT NULL,
    PRIMARY KEY (model, seq)
) STRICT, WITHOUT ROWID;

-- Vital signs ------------------------------------------------------------------------------------------------

-- What each process exported of itself when event time had come to `at`, so that a year that was read in a minute can
-- be looked at afterwards. No result: nothing is decided by it.
CREATE TABLE vitals (
    at      INTEGER NOT NULL,
    holder  TEXT NOT NULL,
    at_wall INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (at, holder)
) STRICT, WITHOUT ROWID;
