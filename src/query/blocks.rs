//! A reference file as what a layout is learned from, and as profiles of blocks.
//!
//! A *block* is one window's length of event time: thresholds are calibrated on whole windows, because the rows of
//! one window depend on each other. Blocks do not overlap, also for sliding windows. Without a time column the file
//! is one block without a span.

use std::collections::BTreeMap;

use super::batch::batch;
use super::table::Table;
use super::{File, QueryError};
use crate::event::Span;
use crate::profile::{CompiledLayout, Profile, Sample};
use crate::window::WindowSpec;

/// Most blocks of a reference: ten years of days, a third of a year of hours. Each holds a profile in memory.
const MAX_BLOCKS: usize = 4_096;

/// Reads the whole file into a sample. `time` names the time column where it is not `ts`.
///
/// # Errors
/// [`QueryError`]: the file cannot be read, has no rows, or has no such time column.
pub async fn sample_file(file: &File, time: Option<&str>) -> Result<Sample, QueryError> {
    let mut table = Table::open(file, time).await?;
    let mut sample = Sample::new();
    while let Some(batch) = table.next().await? {
        for row in 0..batch.rows {
            sample.row();
            for column in &batch.columns {
                sample.observe(&column.field, &column.name, column.values.observed(row));
            }
        }
    }
    table.refuse_empty()?;
    Ok(sample)
}

/// Profiles the file's rows by blocks, earliest first. `time` names the time column where it is not `ts`; a file
/// without either gives one block without a span. Rows are taken as they are: none counts as late or duplicate.
///
/// # Errors
/// [`QueryError`]: the file cannot be read, has no rows, has no such time column, a row has no usable time, or the
/// times spread over too many blocks.
pub async fn reference_file(
    file: &File,
    layout: &CompiledLayout,
    window: &WindowSpec,
    time: Option<&str>,
) -> Result<Vec<(Option<Span>, Profile)>, QueryError> {
    // The panes of windows that tumble by their own length.
    let blocks_of = WindowSpec {
        every: window.span,
        ..window.clone()
    };
    let mut table = Table::open(file, time).await?;
    let mut profiles: BTreeMap<Option<Span>, Profile> = BTreeMap::new();
    while let Some(columns) = table.next().await? {
        let batch = batch(layout.layout(), &columns);
        let mut rows_of: BTreeMap<Option<Span>, Vec<u32>> = BTreeMap::new();
        for row in 0..columns.rows {
            let block = columns
                .times
                .as_ref()
                .map(|times| blocks_of.pane(times[row]));
            rows_of.entry(block).or_default().push(row as u32);
        }
        for (block, rows) in rows_of {
            let profile = profiles
                .entry(block)
                .or_insert_with(|| Profile::new(layout.layout()));
            profile.update(layout, &batch, &rows);
            if block.is_none() {
                // The batch had to say some time; the profile must not repeat it.
                (profile.first_ts, profile.last_ts) = (None, None);
            }
        }
        if profiles.len() > MAX_BLOCKS {
            let (file, column) = (table.file.name(), table.time.clone());
            return Err(QueryError::TooManyBlocks {
                file,
                column,
                limit: MAX_BLOCKS,
            });
        }
    }
    table.refuse_empty()?;
    Ok(profiles.into_iter().collect())
}
