//! Writing segments: rows sorted by (`ts`, `offset`) in one Parquet file, with what the catalogue says of it.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

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
/// What scans ask for by range. No other column tells its smallest and largest value: Parquet leaves NaN out of them, and a
/// query for `x > 100` would pass over row groups whose NaN, larger than any number, it must find.
const WITH_STATISTICS: [&str; 4] = ["ts", "watermark", "version", "id"];

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
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(compression))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::None);
    for column in WITH_STATISTICS {
        let column = ColumnPath::from(column);
        properties = properties.set_column_statistics_enabled(column, EnabledStatistics::Chunk);
    }
    let properties = properties.build();
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;

    /// A smallest and a largest value that leave NaN out must not be there for a reader to believe.
    #[test]
    fn only_what_scans_ask_for_has_a_smallest_and_a_largest_value() {
        let wholes = || Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
        let texts = || Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([
            ("version", texts()),
            ("id", texts()),
            ("ts", wholes()),
            ("watermark", wholes()),
            ("offset", wholes()),
            (
                "x",
                Arc::new(Float64Array::from(vec![5.0, f64::NAN])) as ArrayRef,
            ),
        ])
        .expect("columns of two rows");
        let pair = Pair {
            kind: Kind::Rows,
            model: "m".to_owned(),
            partition: Partition {
                topic: "t".to_owned(),
                partition: 0,
            },
        };
        let segment = write(pair, "rows/m/1.parquet".to_owned(), &[rows], 0).expect("a segment");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&segment.body).expect("a file");
        let file = SerializedFileReader::new(file).expect("Parquet");
        let group = file.metadata().row_group(0);
        let told: Vec<&str> = (0..group.num_columns())
            .map(|at| group.column(at))
            .filter(|column| {
                let told = column.statistics();
                told.is_some_and(|told| told.min_bytes_opt().is_some())
            })
            .map(|column| column.column_descr().name())
            .collect();
        assert_eq!(told, ["version", "id", "ts", "watermark"]);
    }
}
