-- The whole state of driftline, version 2. Times are milliseconds since 1970: event time unless the name ends in
-- `_wall`. Profile and reference bytes are opaque here and carry their own version. Big values stand last in
-- their row, so that reading the other columns does not touch them.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Input -----------------------------------------------------------------------------------------------------

-- How far each partition is read. `seq` is what commits compare and set.
CREATE TABLE cursors (
    topic         TEXT NOT NULL,
    partition     INTEGER NOT NULL,
    seq           INTEGER NOT NULL,
    next_offset   INTEGER NOT NULL,
    dedupe_offset INTEGER NOT NULL,
    used          INTEGER NOT NULL,
    late          INTEGER NOT NULL,
    duplicate     INTEGER NOT NULL,
    rejected      INTEGER NOT NULL,
    alarm         TEXT,
    -- `predictions` or `labels`: what the topic holds.
    kind          TEXT NOT NULL DEFAULT 'predictions',
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE streams (
    topic     TEXT NOT NULL,
    partition INTEGER NOT NULL,
    model     TEXT NOT NULL,
    watermark INTEGER NOT NULL,
    max_ts    INTEGER,
    idle      INTEGER NOT NULL,
    used      INTEGER NOT NULL,
    late      INTEGER NOT NULL,
    duplicate INTEGER NOT NULL,
    versions  TEXT NOT NULL,
    -- As the partition's.
    kind      TEXT NOT NULL DEFAULT 'predictions',
    PRIMARY KEY (topic, partition, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX streams_of_model ON streams (model);

-- One partition's share of one pane and epoch: replaced as a whole, never added to.
CREATE TABLE partials (
    id          INTEGER PRIMARY KEY,
    topic       TEXT NOT NULL,
    partition   INTEGER NOT NULL,
    model       TEXT NOT NULL,
    version     TEXT NOT NULL,
    segment     TEXT NOT NULL,
    pane_start  INTEGER NOT NULL,
    pane_end    INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    layout_hash TEXT NOT NULL,
    from_offset INTEGER NOT NULL,
    to_offset   INTEGER NOT NULL,
    rows        INTEGER NOT NULL,
    profile     BLOB NOT NULL,
    UNIQUE (model, pane_start, pane_end, version, segment, epoch, topic, partition)
) STRICT;
CREATE INDEX partials_of_partition ON partials (topic, partition);

-- Rows of models that have no layout yet.
CREATE TABLE pending (
    id         INTEGER PRIMARY KEY,
    model      TEXT NOT NULL,
    topic      TEXT NOT NULL,
    partition  INTEGER NOT NULL,
    "offset"   INTEGER NOT NULL,
    ts         INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    pane_start INTEGER NOT NULL,
    pane_end   INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    payload    BLOB NOT NULL,
    -- The partition's watermark of the model when the row was read.
    watermark  INTEGER NOT NULL DEFAULT -9223372036854775808,
    UNIQUE (model, topic, partition, "offset")
) STRICT;

-- What was refused, exactly once. `copied`: the dead-letter topic has it.
CREATE TABLE rejections (
    topic     TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset"  INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    model     TEXT,
    detail    TEXT NOT NULL,
    broker_ts INTEGER,
    copied    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, partition, "offset")
) STRICT, WITHOUT ROWID;
CREATE INDEX rejections_uncopied ON rejections (topic, partition, "offset") WHERE copied = 0;
CREATE INDEX rejections_future ON rejections (topic, partition, "offset") WHERE reason = 'future_timestamp';

-- Totals that outlive the retention of single rejections.
CREATE TABLE rejection_counts (
    topic     TEXT NOT NULL,
    partition INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    count     INTEGER NOT NULL,
    PRIMARY KEY (topic, partition, reason)
) STRICT, WITHOUT ROWID;

-- Offsets that the log no longer had when we came to read them, and the event time they may have touched.
CREATE TABLE gaps (
    id          INTEGER PRIMARY KEY,
    topic       TEXT NOT NULL,
    partition   INTEGER NOT NULL,
    from_offset INTEGER NOT NULL,
    to_offset   INTEGER NOT NULL,
    UNIQUE (topic, partition, from_offset)
) STRICT;
CREATE TABLE gap_spans (
    gap_id     INTEGER NOT NULL REFERENCES gaps (id) ON DELETE CASCADE,
    model      TEXT NOT NULL,
    span_start INTEGER NOT NULL,
    span_end   INTEGER NOT NULL,
    PRIMARY KEY (gap_id, model, span_start)
) STRICT, WITHOUT ROWID;
CREATE INDEX gap_spans_of_model ON gap_spans (model, span_end);

-- Models ----------------------------------------------------------------------------------------------------

CREATE TABLE models (
    model          TEXT PRIMARY KEY,
    declared_in    TEXT NOT NULL,
    first_window   INTEGER,
    closed_through INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE layouts (
    model TEXT PRIMARY KEY,
    hash  TEXT NOT NULL,
    body  TEXT NOT NULL
) STRICT;

CREATE TABLE reference_profiles (
    hash        TEXT PRIMARY KEY,
    model       TEXT NOT NULL,
    source      TEXT NOT NULL,
    span_start  INTEGER,
    span_end    INTEGER,
    layout_hash TEXT NOT NULL,
    body        BLOB NOT NULL
) STRICT;
CREATE INDEX reference_profiles_of_model ON reference_profiles (model);
CREATE TABLE reference_bindings (
    model   TEXT NOT NULL,
    version TEXT NOT NULL,
    hash    TEXT NOT NULL REFERENCES reference_profiles (hash),
    PRIMARY KEY (model, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_bindings_of_hash ON reference_bindings (hash);

-- A sample of the rows of a reference, taken when it was first asked for: an Arrow IPC stream. Retention may take the
-- rows themselves; the sample is as immutable as the reference.
CREATE TABLE reference_rows (
    hash TEXT PRIMARY KEY REFERENCES reference_profiles (hash) ON DELETE CASCADE,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE leases (
    model      TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    until_wall INTEGER NOT NULL,
    token      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The latest moment at which a model's silence was judged: evaluation never goes back behind it.
CREATE TABLE ticks (model TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

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

-- Results ---------------------------------------------------------------------------------------------------

-- `profile` becomes null when retention takes it; the rest of the row stays.
CREATE TABLE windows (
    id             INTEGER PRIMARY KEY,
    model          TEXT NOT NULL,
    version        TEXT NOT NULL,
    segment        TEXT NOT NULL,
    window_start   INTEGER NOT NULL,
    window_end     INTEGER NOT NULL,
    revision       INTEGER NOT NULL,
    verdict        TEXT NOT NULL,
    rows           INTEGER NOT NULL,
    layout_hash    TEXT NOT NULL,
    reference_hash TEXT REFERENCES reference_profiles (hash),
    watermark      INTEGER NOT NULL,
    covered        TEXT NOT NULL,
    profile        BLOB,
    UNIQUE (model, version, segment, window_start, window_end, revision)
) STRICT;
CREATE INDEX windows_by_end ON windows (window_end);
CREATE INDEX windows_of_reference ON windows (reference_hash);

-- `rule` is '' for scores that belong to no single rule.
CREATE TABLE scores (
    window_id INTEGER NOT NULL REFERENCES windows (id) ON DELETE CASCADE,
    "column"  TEXT NOT NULL,
    statistic TEXT NOT NULL,
    rule      TEXT NOT NULL,
    verdict   TEXT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (window_id, "column", statistic, rule)
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    model   TEXT NOT NULL,
    version TEXT NOT NULL,
    segment TEXT NOT NULL,
    rule    TEXT NOT NULL,
    status  TEXT NOT NULL,
    since   INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (model, version, segment, rule)
) STRICT, WITHOUT ROWID;

CREATE TABLE transitions (
    id              INTEGER PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    model           TEXT NOT NULL,
    version         TEXT NOT NULL,
    segment         TEXT NOT NULL,
    rule            TEXT NOT NULL,
    from_status     TEXT NOT NULL,
    to_status       TEXT NOT NULL,
    at              INTEGER NOT NULL,
    window_start    INTEGER NOT NULL,
    window_end      INTEGER NOT NULL,
    body            TEXT NOT NULL
) STRICT;
CREATE INDEX transitions_of_model ON transitions (model, at);

-- Delivery --------------------------------------------------------------------------------------------------

-- `alert` names what a later row of the same receiver supersedes. `attempts` fences: only the claimant of an
-- attempt may settle it.
CREATE TABLE outbox (
    id                INTEGER PRIMARY KEY,
    idempotency_key   TEXT NOT NULL,
    receiver          TEXT NOT NULL,
    type              TEXT NOT NULL,
    model             TEXT NOT NULL,
    alert             TEXT NOT NULL,
    created           INTEGER NOT NULL,
    status            TEXT NOT NULL,
    attempts          INTEGER NOT NULL,
    next_attempt_wall INTEGER NOT NULL,
    settled_wall      INTEGER,
    last_error        TEXT,
    body              TEXT NOT NULL,
    UNIQUE (idempotency_key, receiver)
) STRICT;
CREATE INDEX outbox_open ON outbox (receiver, model, id) WHERE status = 'pending';
CREATE INDEX outbox_repeating ON outbox (receiver, alert) WHERE status = 'repeating';
CREATE INDEX outbox_settled ON outbox (settled_wall) WHERE settled_wall IS NOT NULL;
CREATE INDEX outbox_alert ON outbox (receiver, alert, id);

-- `target` is a hash of the address, so that a changed address starts afresh.
CREATE TABLE receivers (
    name                 TEXT PRIMARY KEY,
    target               TEXT NOT NULL,
    disabled_wall        INTEGER,
    throttled_until_wall INTEGER
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
