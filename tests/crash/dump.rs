//! A store as sorted lines of text: everything that must not depend on who was killed when.
//!
//! What the lake holds is shown row by row, whatever buffers and files it lies in. Left out is wall time and what follows from it: leases, ticks, how often and when a notification was tried, whether
//! a copy was acknowledged, and numbers that only name rows. Bytes are shown by their hash.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use driftline::store::lake::{self, Kind};
use driftline::store::{Lake, LakeError};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};

/// What is left out: whole tables (`*`), or columns of one.
const LEFT_OUT: &[(&str, &[&str])] = &[
    ("meta", &["*"]),
    ("leases", &["*"]),
    ("ticks", &["*"]),
    ("receivers", &["*"]),
    ("cursors", &["seq"]),
    ("partials", &["id"]),
    ("pending", &["id"]),
    ("rejections", &["copied"]),
    ("gaps", &["id"]),
    // What was flushed and compacted when is a matter of wall time; the rows are shown instead.
    ("lake_buffer", &["*"]),
    ("segments", &["*"]),
    ("dropped_segments", &["*"]),
    ("sqlite_sequence", &["*"]),
    ("vitals", &["*"]),
    ("performance", &["id"]),
    ("windows", &["id"]),
    ("scores", &["window_id"]),
    ("transitions", &["id"]),
    (
        "outbox",
        &[
            "id",
            "status",
            "attempts",
            "next_attempt_wall",
            "settled_wall",
            "last_error",
        ],
    ),
];

/// Of reading a lake whose files are being replaced.
const TRIES: usize = 10;

/// The store inside the data folder.
pub const FILE_NAME: &str = "driftline.sqlite";

pub struct Dump {
    lines: Vec<String>,
}

/// A connection that only reads; `None` until there is a store.
pub fn open(data_dir: &Path) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(data_dir.join(FILE_NAME), flags).ok()?;
    conn.busy_timeout(std::time::Duration::from_secs(30)).ok()?;
    Some(conn)
}

/// The number that `sql` asks for; 0 while there is no store, or it has no tables yet.
pub fn number(data_dir: &Path, sql: &str) -> u64 {
    let found =
        open(data_dir).and_then(|conn| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).ok());
    found.unwrap_or(0).cast_unsigned()
}

/// Records of which the store knows what became of them.
pub fn settled_records(data_dir: &Path) -> u64 {
    number(
        data_dir,
        "SELECT coalesce(sum(used + late + duplicate + rejected), 0) FROM cursors",
    )
}

impl Dump {
    pub fn of(data_dir: &Path) -> Self {
        let conn = open(data_dir).expect("there is a store");
        let snapshot = conn.unchecked_transaction().expect("a snapshot");
        let mut lines = Vec::new();
        for table in texts(
            &snapshot,
            "SELECT name FROM sqlite_schema WHERE type = 'table'",
        ) {
            let left_out = LEFT_OUT
                .iter()
                .find(|(name, _)| *name == table)
                .map_or(&[][..], |(_, columns)| columns);
            if left_out == ["*"] {
                continue;
            }
            let mut columns = texts(
                &snapshot,
                &format!("SELECT name FROM pragma_table_info('{table}')"),
            );
            columns.retain(|column| !left_out.contains(&column.as_str()));
            let shown: Vec<String> = columns
                .iter()
                .map(|column| format!("t.\"{column}\""))
                .collect();
            let (mut from, mut shown) = (format!("{table} t"), shown.join(", "));
            if table == "scores" {
                from += " JOIN windows w ON w.id = t.window_id";
                shown +=
                    ", w.model, w.version, w.segment, w.window_start, w.window_end, w.revision";
                columns.extend(
                    ["model", "version", "segment", "start", "end", "revision"].map(str::to_owned),
                );
            }
            let mut statement = snapshot
                .prepare(&format!("SELECT {shown} FROM {from}"))
                .expect("a statement");
            let mut rows = statement.query([]).expect("it runs");
            while let Some(row) = rows.next().expect("a row") {
                let cell = |(place, name): (usize, &String)| {
                    format!(
                        "{name}={}",
                        shown_value(row.get_ref(place).expect("a cell"))
                    )
                };
                let cells: Vec<String> = columns.iter().enumerate().map(cell).collect();
                lines.push(format!("{table}: {}", cells.join(" | ")));
            }
        }
        drop(snapshot);
        lines.extend(lake(data_dir));
        lines.sort();
        Self { lines }
    }

    /// Rows of each table.
    pub fn sizes(&self) -> BTreeMap<&str, usize> {
        let mut sizes = BTreeMap::new();
        for line in &self.lines {
            *sizes
                .entry(line.split(':').next().unwrap_or_default())
                .or_default() += 1;
        }
        sizes
    }

    pub fn differs_from(&self, expected: &Dump) -> bool {
        self.lines != expected.lines
    }

    /// Panics with the lines that are only here or only there.
    #[track_caller]
    pub fn check(&self, expected: &Dump, what: &str) {
        if !self.differs_from(expected) {
            return;
        }
        let of = |dump: &Dump| dump.lines.iter().cloned().collect::<BTreeSet<String>>();
        let (here, there) = (of(self), of(expected));
        let cut = |line: &String| line.chars().take(700).collect::<String>();
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
            let lines: Vec<String> = a.difference(b).map(cut).collect();
            format!(
                "{} lines, the first of them:\n  {}",
                lines.len(),
                lines[..lines.len().min(6)].join("\n  ")
            )
        };
        panic!(
            "{what}: the store is not that of an uninterrupted run.\nOnly after the interruption: {}\nOnly without it: {}",
            only(&here, &there),
            only(&there, &here)
        );
    }
}

/// Every row and label of the lake: where it comes from, and a hash of what it says.
fn lake(data_dir: &Path) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let location = data_dir.join("lake").display().to_string();
    let lake = Lake::open(&location).expect("the lake opens");
    for _ in 0..TRIES {
        if let Ok(lines) = runtime.block_on(read_lake(data_dir, &lake)) {
            return lines;
        }
        // A service that still runs has replaced a file meanwhile: there is a newer catalogue.
    }
    panic!("the lake at {location} cannot be read")
}

async fn read_lake(data_dir: &Path, lake: &Lake) -> Result<Vec<String>, LakeError> {
    let conn = open(data_dir).expect("there is a store");
    let snapshot = conn.unchecked_transaction().expect("a snapshot");
    let all = i64::MIN..i64::MAX;
    let mut lines = Vec::new();
    for model in texts(
        &snapshot,
        "SELECT model FROM segments UNION SELECT model FROM lake_buffer",
    ) {
        for kind in Kind::ALL {
            let mut batches = lake::buffered(&snapshot, kind, &model, all.clone())?;
            for segment in lake::segments(&snapshot, kind, &model, all.clone())? {
                batches.extend(lake.read(&segment.path, None).await?);
            }
            let kind = kind.as_str();
            for batch in &batches {
                lines.extend(rows(batch).map(|row| format!("lake {kind}: {model} | {row}")));
            }
        }
    }
    Ok(lines)
}

fn rows(batch: &RecordBatch) -> impl Iterator<Item = String> {
    let options = FormatOptions::default().with_null("null");
    let shown: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| {
            ArrayFormatter::try_new(column, &options).expect("a column that can be shown")
        })
        .collect();
    let schema = batch.schema();
    let place = |name: &str| schema.index_of(name).expect("a column of the lake");
    let named =
        ["topic", "partition", "offset", "id", "ts", "watermark"].map(|name| (name, place(name)));
    let row = |row: usize| {
        let cells: Vec<String> = shown
            .iter()
            .map(|column| column.value(row).to_string())
            .collect();
        let hash = Sha256::digest(cells.join("\u{1f}"));
        let hash: String = hash
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let named = named.map(|(name, place)| format!("{name}={}", cells[place]));
        format!("{} | {hash}", named.join(" | "))
    };
    (0..batch.num_rows())
        .map(row)
        .collect::<Vec<_>>()
        .into_iter()
}

fn texts(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(sql).expect("a statement");
    let rows = statement.query_map([], |row| row.get(0)).expect("it runs");
    rows.collect::<rusqlite::Result<_>>().expect("texts")
}

fn shown_value(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?} = {:016x}", number.to_bits()),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => {
            let hash = Sha256::digest(bytes);
            let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{} bytes {hex}", bytes.len())
        }
    }
}
