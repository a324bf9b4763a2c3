//! Writing segments: rows sorted by (`ts`, `offset`) in one Parquet file, with what the catalogue says of it.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::buffer::whole_numbers;
use super::objects::{LakeError, damaged, new_path};
use super::{Kind, SegmentRow};
use crate::event::{Millis, Partition};
use crate::store::bloom::Bloom;
use crate::store::error::StoreError;

/// Rows of a row group at most. Groups are what a query leaves out by their range of `ts`; a tenth of a default segment
/// lets a window of a month's segment read little else.
const GROUP_ROWS: usize = 32 * 1024;
/// Parquet's own default: stronger levels cost much and save little on numbers.
const ZSTD_LEVEL: i32 = 1;

/// A segment that is not yet in the catalogue.
pub(super) struct NewSegment {
    pub(super) row: SegmentRow,
    pub(super) bloom: Option<Bloom>,
    pub(super) body: Vec<u8>,
}

/// What a segment is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) kind: Kind,
    pub(super) model: String,
    pub(super) partition: Partition,
}

/// Makes a segment of these rows, under a name that nobody had before. Off the async threads: it takes a while.
pub(super) async fn make(
    pair: Pair,
    batches: Vec<RecordBatch>,
    now: Millis,
) -> Result<NewSegment, LakeError> {
    let made = tokio::task::spawn_blocking(move || {
        let path = new_path(pair.kind, &pair.model)?;
        write(pair, path, &batches, now)
    });
    match made.await {
        Ok(made) => made,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn write(
    pair: Pair,
    path: String,
    batches: &[RecordBatch],
    now: Millis,
) -> Result<NewSegment, LakeError> {
    let rows = sorted(batches).map_err(StoreError::lake)?;
    let times = whole_numbers(&rows, "ts").map_err(StoreError::lake)?;
    let offsets = whole_numbers(&rows, "offset").map_err(StoreError::lake)?;
    let ids = rows
        .column_by_name("id")
        .and_then(|ids| ids.as_string_opt::<i32>());
    let ids: Vec<&str> = ids.into_iter().flatten().flatten().collect();

    let compression = ZstdLevel::try_new(ZSTD_LEVEL).map_err(|error| damaged(&path, error))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(compression))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .build();
    let mut body = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut body, rows.schema(), Some(properties))
        .map_err(|error| damaged(&path, error))?;
    writer.write(&rows).map_err(|error| damaged(&path, error))?;
    writer.close().map_err(|error| damaged(&path, error))?;

    let row = SegmentRow {
        // The table gives one.
        id: 0,
        kind: pair.kind,
        model: pair.model,
        partition: pair.partition,
        path,
        from_offset: offsets.iter().copied().min().unwrap_or_default(),
        to_offset: offsets.iter().copied().max().unwrap_or_default(),
        rows: rows.num_rows() as u64,
        bytes: body.len() as u64,
        min_ts: times.first().copied().unwrap_or_default(),
        max_ts: times.last().copied().unwrap_or_default(),
        min_id: ids.iter().min().map(|id| (*id).to_owned()),
        max_id: ids.iter().max().map(|id| (*id).to_owned()),
        created_wall: now,
    };
    Ok(NewSegment {
        row,
        bloom: (!ids.is_empty()).then(|| Bloom::of(ids.iter().copied())),
        body,
    })
}

fn sorted(batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let Some(first) = batches.first() else {
        return Ok(RecordBatch::new_empty(Arc::new(
            arrow::datatypes::Schema::empty(),
        )));
    };
    let rows = concat_batches(&first.schema(), batches)?;
    let (times, offsets) = (whole_numbers(&rows, "ts")?, whole_numbers(&rows, "offset")?);
    let count = u32::try_from(rows.num_rows())
        .map_err(|_| ArrowError::ComputeError("a segment has fewer than 2³² rows".into()))?;
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_unstable_by_key(|row| (times[*row as usize], offsets[*row as usize]));
    take_record_batch(&rows, &UInt32Array::from(order))
}
