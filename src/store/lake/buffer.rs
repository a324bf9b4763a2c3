//! Buffers: rows and labels that are counted and not yet in a segment, as Arrow IPC streams in the store.
//!
//! A buffer's bytes leave out `topic` and `partition`, which its row in the table has; reading puts them back.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use rusqlite::{Connection, params};

use super::Kind;
use crate::event::{Millis, Partition};
use crate::store::cursors;
use crate::store::error::{Result, StoreError};

/// Rows of one model that one partition's commit made, in the order of their offsets.
#[derive(Debug, Clone, PartialEq)]
pub struct BufferRow {
    pub kind: Kind,
    pub model: String,
    /// Of the first and the last record; others between them may belong to other models.
    pub from_offset: i64,
    pub to_offset: i64,
    pub rows: u64,
    pub min_ts: Millis,
    pub max_ts: Millis,
    /// Wall time, from which the age of what waits is counted.
    pub created_wall: Millis,
    /// An Arrow IPC stream, its buffers compressed with zstd.
    pub body: Vec<u8>,
}

impl BufferRow {
    /// Makes one buffer of batches in the order of their offsets, without `topic` and `partition`. `None`: no rows.
    ///
    /// # Errors
    /// When the batches are not of one schema of the lake.
    pub fn encode(
        kind: Kind,
        model: &str,
        created_wall: Millis,
        batches: &[RecordBatch],
    ) -> Result<Option<Self>> {
        Self::of(kind, model, created_wall, batches).map_err(StoreError::lake)
    }

    fn of(
        kind: Kind,
        model: &str,
        created_wall: Millis,
        batches: &[RecordBatch],
    ) -> std::result::Result<Option<Self>, ArrowError> {
        let Some(first) = batches.first() else {
            return Ok(None);
        };
        let rows = concat_batches(&first.schema(), batches)?;
        if rows.num_rows() == 0 {
            return Ok(None);
        }
        let offsets = whole_numbers(&rows, "offset")?;
        let times = whole_numbers(&rows, "ts")?;
        let mut body = Vec::new();
        let options =
            IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
        let mut writer = StreamWriter::try_new_with_options(&mut body, &rows.schema(), options)?;
        writer.write(&rows)?;
        writer.finish()?;
        drop(writer);
        Ok(Some(Self {
            kind,
            model: model.to_owned(),
            from_offset: offsets.first().copied().unwrap_or_default(),
            to_offset: offsets.last().copied().unwrap_or_default(),
            rows: rows.num_rows() as u64,
            min_ts: times.iter().copied().min().unwrap_or_default(),
            max_ts: times.iter().copied().max().unwrap_or_default(),
            created_wall,
            body,
        }))
    }
}

/// Every buffer of `model` that has rows with `ts` in `range`, whole, by partition and offset; the caller filters rows.
pub fn buffered(
    conn: &Connection,
    kind: Kind,
    model: &str,
    range: Range<Millis>,
) -> Result<Vec<RecordBatch>> {
    let mut statement = conn.prepare_cached(
        "SELECT topic, partition, body FROM lake_buffer
         WHERE kind = ?1 AND model = ?2 AND max_ts >= ?3 AND min_ts < ?4 ORDER BY topic, partition, id",
    )?;
    let mut rows = statement.query(params![kind.as_str(), model, range.start, range.end])?;
    let mut batches = Vec::new();
    while let Some(row) = rows.next()? {
        let partition = Partition {
            topic: row.get(0)?,
            partition: row.get(1)?,
        };
        batches.push(decode(
            row.get_ref(2)?.as_blob().unwrap_or_default(),
            &partition,
        )?);
    }
    Ok(batches)
}

/// The rows of a buffer with all columns.
pub(super) fn decode(body: &[u8], partition: &Partition) -> Result<RecordBatch> {
    let read = || {
        let reader = StreamReader::try_new(body, None)?;
        let schema = reader.schema();
        let batches = reader.collect::<std::result::Result<Vec<_>, _>>()?;
        with_place(&concat_batches(&schema, &batches)?, partition)
    };
    read().map_err(|error: ArrowError| StoreError::lake(error))
}

/// Puts `topic` and `partition` in front of `offset`.
fn with_place(
    rows: &RecordBatch,
    partition: &Partition,
) -> std::result::Result<RecordBatch, ArrowError> {
    let schema = rows.schema();
    let place = schema.index_of("offset")?;
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    // A log that was recreated keeps its topic's real name in the lake.
    let topic = cursors::live_topic(&partition.topic);
    fields.insert(place, Arc::new(Field::new("topic", DataType::Utf8, false)));
    columns.insert(
        place,
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            topic,
            rows.num_rows(),
        ))),
    );
    fields.insert(
        place + 1,
        Arc::new(Field::new("partition", DataType::Int32, false)),
    );
    columns.insert(
        place + 1,
        Arc::new(Int32Array::from_value(partition.partition, rows.num_rows())),
    );
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// A column of `Int64` without nulls.
pub(super) fn whole_numbers<'r>(
    rows: &'r RecordBatch,
    column: &str,
) -> std::result::Result<&'r [i64], ArrowError> {
    let found = rows
        .column_by_name(column)
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        .filter(|column| column.null_count() == 0);
    let found = found.ok_or_else(|| {
        ArrowError::SchemaError(format!("the lake's column {column:?} is not whole numbers"))
    })?;
    Ok(found.values())
}

/// Writes a buffer; belongs into the transaction that moves the cursor behind it.
pub fn insert(conn: &Connection, partition: &Partition, row: &BufferRow) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO lake_buffer
             (kind, model, topic, partition, from_offset, to_offset, rows, min_ts, max_ts, bytes, created_wall, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        row.kind.as_str(),
        row.model,
        partition.topic,
        partition.partition,
        row.from_offset,
        row.to_offset,
        row.rows.cast_signed(),
        row.min_ts,
        row.max_ts,
        i64::try_from(row.body.len()).unwrap_or(i64::MAX),
        row.created_wall,
        row.body,
    ])?;
    Ok(())
}
