//! `driftline cursors`: how far each partition is read, and beginning one anew.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use crate::config::Config;
use crate::event::Partition;
use crate::store::{Store, cursors};

/// Prints every partition's cursor, what became of its records, and its alarm.
pub fn show(config: &Path) -> anyhow::Result<ExitCode> {
    let Some(config) = load(config)? else {
        return Ok(ExitCode::from(super::rules::PROBLEMS));
    };
    let store = Store::open(&config.data_dir)?;
    writeln!(
        io::stdout(),
        "{:<40} {:>12} {:>12} {:>8} {:>9} {:>8}  alarm",
        "partition",
        "next",
        "used",
        "late",
        "duplicate",
        "rejected"
    )?;
    for cursor in store.read(cursors::all)? {
        let counts = cursor.counts;
        writeln!(
            io::stdout(),
            "{:<40} {:>12} {:>12} {:>8} {:>9} {:>8}  {}",
            cursor.partition.to_string(),
            cursor.next_offset,
            counts.used,
            counts.late,
            counts.duplicate,
            counts.rejected,
            cursor.alarm.as_deref().unwrap_or("-")
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Begins a partition anew at `offset`; what was counted of its old log stays.
pub fn reset(
    config: &Path,
    topic: String,
    partition: i32,
    offset: i64,
) -> anyhow::Result<ExitCode> {
    let Some(config) = load(config)? else {
        return Ok(ExitCode::from(super::rules::PROBLEMS));
    };
    anyhow::ensure!(offset >= 0, "an offset is 0 or more, not {offset}");
    let partition = Partition { topic, partition };
    let store = Store::open(&config.data_dir)?;
    let wanted = partition.clone();
    let found = store.write(move |tx| cursors::reset_cursor(tx, &wanted, offset))?;
    anyhow::ensure!(
        found,
        "{partition} has no cursor; `driftline cursors show` lists those there are"
    );
    writeln!(
        io::stdout(),
        "{partition} begins at offset {offset}; a running service takes it up when it is restarted"
    )?;
    Ok(ExitCode::SUCCESS)
}

fn load(file: &Path) -> anyhow::Result<Option<Config>> {
    match super::config::load(file) {
        Ok(config) => Ok(Some(config)),
        Err(problems) => {
            super::rules::print(&problems, &mut std::io::stderr())?;
            Ok(None)
        }
    }
}
