-- From version 2 to 3: rows that stand for a reference.

-- A sample of the rows of a reference, taken when it was first asked for: an Arrow IPC stream. Retention may take the
-- rows themselves; the sample is as immutable as the reference.
CREATE TABLE reference_rows (
    hash TEXT PRIMARY KEY REFERENCES reference_profiles (hash) ON DELETE CASCADE,
    body BLOB NOT NULL
) STRICT;
