//! What the lake's tests share: labels by the handful, and everything that a lake holds as lines of text.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{BufferRow, Kind, Lake, buffered, columns_of_labels, segments};
use crate::event::Millis;
use crate::store::Store;
use crate::store::testing::moved;

pub const MODEL: &str = "delay";

/// A label at each offset, its `ts` from `ts`, its id from the offset.
pub fn labels(offsets: std::ops::Range<i64>, ts: impl Fn(i64) -> Millis) -> RecordBatch {
    let whole = |of: &dyn Fn(i64) -> i64| -> ArrayRef {
        Arc::new(offsets.clone().map(of).collect::<Int64Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(
            offsets.clone().map(|offset| format!("id-{offset:04}")),
        )),
        whole(&ts),
        whole(&|offset| ts(offset) - 1),
        Arc::new(
            offsets
                .clone()
                .map(|offset| (offset % 3 > 0).then(|| format!("class {offset}")))
                .collect::<StringArray>(),
        ),
        Arc::new(
            offsets
                .clone()
                .map(|offset| (offset % 3 < 2).then_some(offset as f64 / 7.0))
                .collect::<Float64Array>(),
        ),
        Arc::new(Int64Array::new_null(offsets.clone().count())),
        whole(&|offset| offset),
    ];
    RecordBatch::try_new(columns_of_labels(), columns).expect("the columns of labels")
}

pub fn buffer(labels: &RecordBatch, created_wall: Millis) -> BufferRow {
    BufferRow::encode(
        Kind::Labels,
        MODEL,
        created_wall,
        std::slice::from_ref(labels),
    )
    .expect("encodes")
    .expect("there are rows")
}

/// Commits a buffer of labels for each of `ends` in one partition, from offset 0 on; the offsets of a buffer begin
/// where the one before ended.
pub fn commit(store: &Store, number: i32, ends: &[i64], ts: impl Fn(i64) -> Millis) {
    let mut from = 0;
    for (seq, end) in (0..).zip(ends) {
        let mut one = moved(number, seq, *end);
        if from < *end {
            one.lake = vec![buffer(&labels(from..*end, &ts), seq.cast_signed())];
        }
        from = *end;
        let outcome = store
            .write(move |tx| crate::store::commit(tx, &[one]))
            .expect("commits");
        assert_eq!(
            outcome,
            [crate::store::CommitOutcome::Done { seq: seq + 1 }]
        );
    }
}

/// Everything that is in segments and buffers, one line a row, by partition and offset.
pub async fn content(lake: &Lake, store: &Store, kind: Kind) -> Vec<String> {
    let (segments, mut batches) = store
        .read(|conn| {
            let all = Millis::MIN..Millis::MAX;
            Ok((
                segments(conn, kind, MODEL, all.clone())?,
                buffered(conn, kind, MODEL, all)?,
            ))
        })
        .expect("reads");
    for segment in segments {
        batches.extend(
            lake.read(&segment.path, None)
                .await
                .expect("the file is there"),
        );
    }
    let mut rows: Vec<((i32, i64), String)> = Vec::new();
    for batch in batches {
        let partitions = batch["partition"].as_primitive::<Int32Type>();
        let offsets = batch["offset"].as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let place = (partitions.value(row), offsets.value(row));
            let schema = batch.schema();
            let cells = schema
                .fields()
                .iter()
                .zip(batch.columns())
                .map(|(field, column)| {
                    let shown =
                        ArrayFormatter::try_new(column, &FormatOptions::default()).expect("shown");
                    format!("{}={}", field.name(), shown.value(row))
                });
            let cells: Vec<String> = cells.collect();
            rows.push((place, cells.join(" ")));
        }
    }
    rows.sort();
    rows.into_iter().map(|(_, line)| line).collect()
}

/// The segments' files, by path.
pub async fn files(lake: &Lake) -> Vec<String> {
    use tokio_stream::StreamExt as _;
    let objects = lake.store();
    let mut listed = objects.list(None);
    let mut paths = Vec::new();
    while let Some(object) = listed.next().await {
        paths.push(object.expect("listed").location.to_string());
    }
    paths.sort();
    paths
}
