use std::time::SystemTime;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int64Type};
use proptest::prelude::*;

use super::testing::{MODEL, buffer, commit, content, files, labels};
use super::*;
use crate::event::{DAY, HOUR, MINUTE, Millis};
use crate::profile::{Cells, Field, Layout, LayoutColumn, NumericCells};
use crate::store::testing::{moved, partition, scratch};
use crate::store::{Store, cursors};

/// Flushes whatever waits.
const ALL: FlushPolicy = FlushPolicy { rows: 1, age: 0 };

fn memory() -> Lake {
    Lake::open("memory:///").expect("opens")
}

fn everything(store: &Store) -> Vec<SegmentRow> {
    let all = Millis::MIN..Millis::MAX;
    store
        .read(|conn| segments(conn, Kind::Labels, MODEL, all))
        .expect("reads")
}

/// Wall time, for what depends on when an object store says that it wrote a file.
fn wall() -> Millis {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    Millis::try_from(since.as_millis()).expect("not that late")
}

#[test]
fn a_committed_buffer_is_read_back_with_its_place() {
    let (_dir, store) = scratch();
    commit(&store, 3, &[5, 9], |offset| offset * HOUR);
    let read = |range: std::ops::Range<Millis>| {
        store
            .read(|conn| buffered(conn, Kind::Labels, MODEL, range))
            .expect("reads")
    };
    let all = read(Millis::MIN..Millis::MAX);
    assert_eq!(
        all.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(),
        [5, 4]
    );
    assert_eq!(all[1].schema(), labels_schema());
    assert_eq!(all[1]["topic"].as_string::<i32>().value(3), "flights");
    assert_eq!(all[1]["offset"].as_primitive::<Int64Type>().value(3), 8);
    // The end of a range does not belong to it.
    assert_eq!(read(4 * HOUR..5 * HOUR).len(), 1);
    assert_eq!(read(4 * HOUR..5 * HOUR + 1).len(), 2);
    assert_eq!(read(8 * HOUR + 1..Millis::MAX).len(), 0);
    let others = store.read(|conn| buffered(conn, Kind::Rows, MODEL, 0..DAY));
    assert!(others.expect("reads").is_empty());
}

#[test]
fn a_commit_in_conflict_leaves_no_buffer() {
    let (_dir, store) = scratch();
    let mut one = moved(0, 7, 5);
    one.lake = vec![buffer(&labels(0..5, |offset| offset), 0)];
    store
        .write(move |tx| crate::store::commit(tx, &[one]))
        .expect("answers");
    let size = store.read(|conn| size(conn, Kind::Labels)).expect("reads");
    assert_eq!(size, Size::default());
}

#[tokio::test]
async fn a_flush_moves_rows_and_changes_none() {
    let (_dir, store) = scratch();
    let lake = memory();
    // Out of order in time.
    commit(&store, 0, &[4, 10], |offset| (offset * 7 % 10) * HOUR);
    commit(&store, 1, &[3], |offset| offset);
    let before = content(&lake, &store, Kind::Labels).await;
    assert_eq!(before.len(), 13);

    let written = flush(&lake, &store, ALL, 50).await.expect("flushes");
    assert_eq!((written.segments, written.conflicts), (3, 0));
    assert_eq!(content(&lake, &store, Kind::Labels).await, before);
    let buffered = store.read(|conn| size(conn, Kind::Labels)).expect("reads");
    assert_eq!((buffered.buffered_rows, buffered.segment_rows), (0, 13));
    let found = everything(&store);
    let first = &found[0];
    assert_eq!((first.from_offset, first.to_offset, first.rows), (0, 3, 4));
    assert_eq!((first.min_ts, first.max_ts), (0, 7 * HOUR));
    assert_eq!(first.min_id.as_deref(), Some("id-0000"));
    assert_eq!(first.max_id.as_deref(), Some("id-0003"));
    assert_eq!((first.created_wall, &first.partition), (50, &partition(0)));
    assert!(
        first.path.starts_with("segments/labels/delay/"),
        "{first:?}"
    );
    let rows = lake.read(&first.path, None).await.expect("reads");
    let times = rows[0]["ts"].as_primitive::<Int64Type>().values();
    assert!(times.is_sorted(), "{times:?}");
    let filter = store.read(|conn| bloom(conn, first.id)).expect("reads");
    let filter = filter.expect("there are ids");
    assert!(filter.may_contain("id-0003") && !filter.may_contain("id-0004"));

    assert_eq!(
        flush(&lake, &store, ALL, 50).await.expect("flushes"),
        Written::default()
    );
}

#[tokio::test]
async fn buffers_wait_until_there_are_enough_or_they_are_old() {
    let (_dir, store) = scratch();
    let lake = memory();
    commit(&store, 0, &[4, 10], |offset| offset);
    let policy = FlushPolicy {
        rows: 11,
        age: 10 * MINUTE,
    };
    let segments = async |policy, now| {
        let written = flush(&lake, &store, policy, now).await.expect("flushes");
        written.segments
    };
    assert_eq!(segments(policy, 10 * MINUTE - 1).await, 0);
    // Made at wall time 0 and 1, and due together.
    assert_eq!(segments(policy, 10 * MINUTE).await, 1);
    commit(&store, 1, &[4, 10], |offset| offset);
    let enough = FlushPolicy { rows: 10, ..policy };
    assert_eq!(segments(enough, 2).await, 1);
    assert_eq!(everything(&store)[1].rows, 10);
}

#[tokio::test]
async fn of_two_that_flush_the_same_one_wins() {
    let (_dir, store) = scratch();
    let lake = memory();
    for round in 0..5 {
        commit(&store, round, &[3, 5, 6], |offset| offset);
    }
    let before = content(&lake, &store, Kind::Labels).await;
    let (one, other) = tokio::join!(flush(&lake, &store, ALL, 0), flush(&lake, &store, ALL, 0));
    let (one, other) = (one.expect("flushes"), other.expect("flushes"));
    assert_eq!(one.segments + other.segments, 15);
    assert!(
        one.conflicts + other.conflicts > 0,
        "they never met: {one:?}, {other:?}"
    );
    assert_eq!(content(&lake, &store, Kind::Labels).await, before);
    let (one, other) = tokio::join!(compact(&lake, &store, 6, 0), compact(&lake, &store, 6, 0));
    let (one, other) = (one.expect("compacts"), other.expect("compacts"));
    assert!(
        one.conflicts + other.conflicts > 0,
        "they never met: {one:?}, {other:?}"
    );
    assert_eq!(content(&lake, &store, Kind::Labels).await, before);
    // The losers took their files with them.
    sweep_dropped(&lake, &store, 0, 0).await.expect("sweeps");
    assert_eq!(files(&lake).await.len(), everything(&store).len());
}

#[tokio::test]
async fn a_reset_between_reading_and_entering_lets_nothing_be_entered() {
    let (_dir, store) = scratch();
    let lake = memory();
    commit(&store, 0, &[4], |offset| offset);
    let before = content(&lake, &store, Kind::Labels).await;
    let pair = segment::Pair {
        kind: Kind::Labels,
        model: MODEL.to_owned(),
        partition: partition(0),
    };
    let read = store
        .read(|conn| buffered(conn, Kind::Labels, MODEL, 0..DAY))
        .expect("reads");
    let made = segment::make(pair, read, 0).await.expect("made");
    store
        .write(|tx| cursors::reset_cursor(tx, &partition(0), 0))
        .expect("resets");
    assert!(
        !flush::enter(&lake, &store, made, vec![1])
            .await
            .expect("answers")
    );
    assert!(files(&lake).await.is_empty());
    // The rows of the old log stay what they were, and become a segment of the archived partition.
    flush(&lake, &store, ALL, 0).await.expect("flushes");
    assert_eq!(content(&lake, &store, Kind::Labels).await, before);
    assert_eq!(everything(&store)[0].partition.topic, "flights@1");
}

#[tokio::test]
async fn small_neighbours_become_one() {
    let (_dir, store) = scratch();
    let lake = memory();
    let ends: Vec<i64> = (1..=20).collect();
    commit(&store, 0, &ends, |offset| offset * HOUR);
    flush(&lake, &store, ALL, 0).await.expect("flushes");
    let before = content(&lake, &store, Kind::Labels).await;
    let made = compact(&lake, &store, 1_000, 7).await.expect("compacts");
    assert_eq!(made.segments, 1);
    let found = everything(&store);
    let [one] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((one.from_offset, one.to_offset, one.rows), (0, 19, 20));
    assert_eq!(content(&lake, &store, Kind::Labels).await, before);
    assert_eq!(files(&lake).await.len(), 21);
    assert_eq!(
        sweep_dropped(&lake, &store, HOUR, 7 + HOUR - 1)
            .await
            .expect("sweeps"),
        0
    );
    assert_eq!(
        sweep_dropped(&lake, &store, HOUR, 7 + HOUR)
            .await
            .expect("sweeps"),
        20
    );
    assert_eq!(files(&lake).await, std::slice::from_ref(&one.path));
    assert_eq!(
        sweep_dropped(&lake, &store, HOUR, DAY)
            .await
            .expect("sweeps"),
        0
    );
    assert_eq!(
        compact(&lake, &store, 1_000, 7).await.expect("compacts"),
        Written::default()
    );
}

#[tokio::test]
async fn what_is_too_old_or_too_much_goes() {
    let (_dir, store) = scratch();
    let lake = memory();
    commit(&store, 0, &[10, 20, 30], |offset| offset * DAY);
    flush(&lake, &store, ALL, 0).await.expect("flushes");
    let bytes: Vec<u64> = everything(&store)
        .iter()
        .map(|segment| segment.bytes)
        .collect();
    let starts = || -> Vec<i64> {
        everything(&store)
            .iter()
            .map(|segment| segment.from_offset)
            .collect()
    };
    let mut keep = Keep {
        age: 20 * DAY,
        bytes: bytes.iter().sum(),
    };
    // The newest is of day 29, the end of the oldest segment of day 9.
    assert_eq!(expire(&store, keep, 0).await.expect("expires"), 0);
    keep.age -= 1;
    assert_eq!(expire(&store, keep, 0).await.expect("expires"), 1);
    assert_eq!(starts(), [10, 20]);
    keep.bytes = bytes[1] + bytes[2] - 1;
    assert_eq!(expire(&store, keep, 0).await.expect("expires"), 1);
    assert_eq!(starts(), [20]);
    keep.bytes = 0;
    assert_eq!(expire(&store, keep, 0).await.expect("expires"), 1);
    assert_eq!(sweep_dropped(&lake, &store, 0, 0).await.expect("sweeps"), 3);
    assert!(files(&lake).await.is_empty());
}

#[tokio::test]
async fn what_waits_counts_as_the_newest_of_its_model() {
    let (_dir, store) = scratch();
    let lake = memory();
    commit(&store, 0, &[10], |offset| offset * DAY);
    flush(&lake, &store, ALL, 0).await.expect("flushes");
    commit(&store, 1, &[1], |_| 100 * DAY);
    let keep = Keep {
        age: 30 * DAY,
        bytes: u64::MAX,
    };
    assert_eq!(expire(&store, keep, 0).await.expect("expires"), 1);
}

#[tokio::test]
async fn orphans_go_after_a_day_and_nothing_else_does() {
    let (dir, store) = scratch();
    let folder = dir.path().join("lake");
    let lake = Lake::open(&folder.display().to_string()).expect("opens");
    commit(&store, 0, &[10, 20], |offset| offset);
    flush(&lake, &store, ALL, 0).await.expect("flushes");
    commit(&store, 1, &[1, 2, 3, 4, 5, 6, 7, 8], |offset| offset);
    flush(&lake, &store, ALL, 0).await.expect("flushes");
    compact(&lake, &store, 1_000, 0).await.expect("compacts");
    lake.put_model("c0ffee", b"{}".to_vec())
        .await
        .expect("kept");
    let known = files(&lake).await;
    assert_eq!(known.len(), 2 + 8 + 1 + 1);
    lake.put("segments/labels/delay/0.parquet", vec![1])
        .await
        .expect("put");
    std::fs::write(folder.join("segments/labels/delay/1.parquet#1"), [1]).expect("written");

    let almost = wall() + ORPHAN_AGE - MINUTE;
    assert_eq!(
        sweep_orphans(&lake, &store, almost).await.expect("sweeps"),
        0
    );
    let then = wall() + ORPHAN_AGE + MINUTE;
    assert_eq!(sweep_orphans(&lake, &store, then).await.expect("sweeps"), 2);
    assert_eq!(files(&lake).await, known);
    assert!(!folder.join("segments/labels/delay/1.parquet#1").exists());
    assert_eq!(sweep_orphans(&lake, &store, then).await.expect("sweeps"), 0);
}

#[tokio::test]
async fn a_failing_object_store_loses_nothing() {
    let (dir, store) = scratch();
    let folder = dir.path().join("lake");
    let lake = Lake::open(&folder.display().to_string()).expect("opens");
    commit(&store, 0, &[10], |offset| offset);
    let before = content(&lake, &store, Kind::Labels).await;
    // A file where the folder should be.
    std::fs::write(folder.join("segments"), "in the way").expect("written");
    flush(&lake, &store, ALL, 0)
        .await
        .expect_err("no place to write");
    assert_eq!(content(&lake, &store, Kind::Labels).await, before);
    std::fs::remove_file(folder.join("segments")).expect("removed");
    flush(&lake, &store, ALL, 0).await.expect("flushes");
    assert_eq!(content(&lake, &store, Kind::Labels).await, before);
}

#[tokio::test]
async fn model_files_are_kept_by_their_hash() {
    let (dir, _store) = scratch();
    let lake = Lake::open(&format!("file://{}", dir.path().join("lake").display())).expect("opens");
    assert_eq!(lake.get_model("00ff").await.expect("answers"), None);
    lake.put_model("00ff", b"model".to_vec())
        .await
        .expect("kept");
    lake.put_model("00ff", b"model".to_vec())
        .await
        .expect("kept already");
    let found = lake.get_model("00ff").await.expect("answers");
    assert_eq!(found.as_deref(), Some(&b"model"[..]));
    assert!(dir.path().join("lake/models/00ff.json").exists());
    for name in ["", "../x", "00FF", "0/0"] {
        let error = lake.get_model(name).await.expect_err("refused");
        assert!(matches!(error, LakeError::NotAHash(_)), "{error}");
    }
}

#[test]
fn lakes_are_folders_and_buckets() {
    for location in ["s3://bucket/driftline", "gs://bucket/d", "memory:///"] {
        let lake = Lake::open(location);
        assert!(
            lake.is_ok(),
            "{location}: {:?}",
            lake.err().map(|e| e.to_string())
        );
    }
    let error = Lake::open("ftp://host/x").expect_err("refused").to_string();
    assert!(
        error.starts_with("cannot open the lake at ftp://host/x: ")
            && error.ends_with("correct `lake.url`"),
        "{error}"
    );
}

#[test]
fn features_called_as_the_lakes_own_columns_get_another_name() {
    let names = ["id", "demand", "offset"];
    let layout = layout(&names);
    let schema = rows_schema(&layout);
    let found: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| &**field.name())
        .collect();
    assert_eq!(
        found,
        [
            "version",
            "id",
            "ts",
            "watermark",
            "topic",
            "partition",
            "offset",
            "features.id",
            "demand",
            "features.offset"
        ]
    );
}

fn layout(names: &[&str]) -> Layout {
    let column = |name: &&str| LayoutColumn {
        name: (*name).to_owned(),
        field: Field::Feature,
        cells: Cells::Numeric(NumericCells {
            edges: vec![0.0],
            domain: None,
            center: 0.0,
            sum_shift: 10,
            square_shift: 10,
        }),
    };
    Layout {
        format: 1,
        columns: names.iter().map(column).collect(),
        skipped: Vec::new(),
    }
}

#[tokio::test]
async fn rows_keep_every_bit_of_their_numbers() {
    let (_dir, store) = scratch();
    let lake = memory();
    let numbers = [
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(-0.0),
        None,
        Some(0.1 + 0.2),
        Some(f64::MIN_POSITIVE / 3.0),
    ];
    let columns: Vec<ArrayRef> = vec![
        std::sync::Arc::new(StringArray::from(vec!["7"; 6])),
        std::sync::Arc::new(StringArray::from(vec![
            None,
            Some("a"),
            None,
            Some("b"),
            None,
            None,
        ])),
        std::sync::Arc::new(Int64Array::from_iter_values(0..6)),
        std::sync::Arc::new(Int64Array::from_value(Millis::MIN, 6)),
        std::sync::Arc::new(Int64Array::from_iter_values(0..6)),
        std::sync::Arc::new(numbers.into_iter().collect::<Float64Array>()),
    ];
    let rows = RecordBatch::try_new(columns_of_rows(&layout(&["x"])), columns).expect("rows");
    let mut one = moved(0, 0, 6);
    let row = BufferRow::encode(Kind::Rows, MODEL, 0, &[rows.slice(0, 2), rows.slice(2, 4)]);
    one.lake.extend(row.expect("encodes"));
    store
        .write(move |tx| crate::store::commit(tx, &[one]))
        .expect("commits");
    flush(&lake, &store, ALL, 0).await.expect("flushes");
    let segments = store
        .read(|conn| segments(conn, Kind::Rows, MODEL, 0..DAY))
        .expect("reads");
    assert_eq!(segments[0].min_id.as_deref(), Some("a"));
    let read = lake
        .read(&segments[0].path, Some(&["x", "offset"]))
        .await
        .expect("reads");
    assert_eq!(read[0].schema().fields().len(), 2);
    let x = read[0]["x"].as_primitive::<Float64Type>();
    let bits = |number: Option<f64>| number.map(f64::to_bits);
    for (row, number) in numbers.into_iter().enumerate() {
        let found = x.is_valid(row).then(|| x.value(row));
        assert_eq!(bits(found), bits(number), "{row}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    /// However the log was cut into commits, flushes and compactions, the lake holds the same rows, once each.
    #[test]
    fn the_way_into_the_lake_changes_nothing(
        steps in prop::collection::vec((1i64..6, any::<bool>(), any::<bool>()), 1..14), target in 1u64..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (_dir, store) = scratch();
            let lake = memory();
            let mut next = 0;
            for (seq, (rows, flushes, compacts)) in (0..).zip(&steps) {
                let mut one = moved(0, seq, next + rows);
                one.lake = vec![buffer(&labels(next..next + rows, |offset| offset % 5), 0)];
                next += rows;
                store.write(move |tx| crate::store::commit(tx, &[one])).expect("commits");
                if *flushes {
                    flush(&lake, &store, FlushPolicy { rows: 4, age: HOUR }, 0).await.expect("flushes");
                }
                if *compacts {
                    compact(&lake, &store, target, 0).await.expect("compacts");
                }
            }
            let (_dir, straight) = scratch();
            commit(&straight, 0, &[next], |offset| offset % 5);
            prop_assert_eq!(
                content(&lake, &store, Kind::Labels).await,
                content(&lake, &straight, Kind::Labels).await
            );
            let rows: u64 = everything(&store).iter().map(|segment| segment.rows).sum();
            let size = store.read(|conn| size(conn, Kind::Labels)).expect("reads");
            prop_assert_eq!(rows + size.buffered_rows, next.cast_unsigned());
            Ok(())
        })?;
    }
}
