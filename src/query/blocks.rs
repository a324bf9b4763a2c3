//! A reference file as what a layout is learned from, and as profiles of blocks.
//!
//! A *block* is one window's length of event time: thresholds are calibrated on whole windows, because the rows of
//! one window depend on each other. Blocks do not overlap, also for sliding windows. Without a time column the file
//! is one block without a span.

use std::borrow::Cow;
use std::collections::BTreeMap;

use arrow::array::Array;

use super::batch::batch;
use super::cells::Values;
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
    sample_columns(file, time, None).await
}

/// As [`sample_file`], of those columns only that have one of these names in the file.
///
/// # Errors
/// As [`sample_file`].
pub async fn sample_columns(
    file: &File,
    time: Option<&str>,
    only: Option<&[String]>,
) -> Result<Sample, QueryError> {
    let mut table = Table::open_some(file, time, only).await?;
    let mut sample = Sample::new();
    while let Some(batch) = table.next().await? {
        sample.rows_more(batch.rows as u64);
        for column in &batch.columns {
            match &column.values {
                Values::Numbers(numbers) => {
                    let nulls = numbers.null_count() as u64;
                    let there: Cow<'_, [f64]> = match nulls {
                        0 => Cow::Borrowed(numbers.values()),
                        _ => Cow::Owned(numbers.iter().flatten().collect()),
                    };
                    sample.observe_numbers(&column.field, &column.name, &there, nulls);
                }
                values => {
                    let values = (0..batch.rows).map(|row| values.observed(row));
                    sample.observe_all(&column.field, &column.name, values);
                }
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
    profiles(Table::open(file, time).await?, layout, Some(&blocks_of)).await
}

/// Profiles all rows of a file together, whatever their times, of those columns only that have one of these names in
/// the file; the others are absent.
///
/// # Errors
/// [`QueryError`]: the file cannot be read or has no rows.
pub async fn profile_columns(
    file: &File,
    layout: &CompiledLayout,
    only: &[String],
) -> Result<Profile, QueryError> {
    let table = Table::open_some(file, None, Some(only)).await?;
    let profiles = profiles(table, layout, None).await?;
    let whole = profiles.into_iter().next().map(|(_, profile)| profile);
    Ok(whole.unwrap_or_else(|| Profile::new(layout.layout())))
}

/// Without `blocks` all rows are one block.
async fn profiles(
    mut table: Table<'_>,
    layout: &CompiledLayout,
    blocks: Option<&WindowSpec>,
) -> Result<Vec<(Option<Span>, Profile)>, QueryError> {
    let mut profiles: BTreeMap<Option<Span>, Profile> = BTreeMap::new();
    while let Some(columns) = table.next().await? {
        let batch = batch(layout.layout(), &columns);
        let mut rows_of: BTreeMap<Option<Span>, Vec<u32>> = BTreeMap::new();
        match (&columns.times, blocks) {
            (Some(times), Some(blocks)) => {
                for (row, ts) in times.iter().enumerate() {
                    let block = Some(blocks.pane(*ts));
                    rows_of.entry(block).or_default().push(row as u32);
                }
            }
            _ => {
                rows_of.insert(None, (0..columns.rows as u32).collect());
            }
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
