//! Files from end to end: what a file says becomes samples and blocks, or a sentence that names the fault.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use parquet::arrow::ArrowWriter;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{ColumnRows, File, column_rows, profile_columns, reference_file, sample_file};
use crate::event::{DAY, HOUR, Limits, Span, WEEK};
use crate::ingest::decode::{Decoder, Lookup, Models, observe};
use crate::profile::{
    ColumnProfile, ColumnRules, CompiledLayout, Field, Layout, Profile, Sample, vector,
};
use crate::window::WindowSpec;

const FLIGHTS: &[u8] = include_bytes!("../../tests/data/flights.parquet");
const FLIGHTS_README: &str = include_str!("../../tests/data/README.md");

fn flights() -> File {
    File::Bytes {
        name: "flights.parquet",
        bytes: FLIGHTS,
    }
}

fn weekly() -> WindowSpec {
    WindowSpec {
        every: WEEK,
        span: WEEK,
        ..WindowSpec::default()
    }
}

/// A file of that text in a folder of its own, which lives as long as the first value.
fn csv(name: &str, text: &str) -> (TempDir, File) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("the folder is writable");
    (folder, File::Path(path))
}

async fn layout_of(file: &File, rules: &ColumnRules) -> CompiledLayout {
    let sample = sample_file(file, None).await.expect("a readable file");
    CompiledLayout::new(Arc::new(Layout::learn(&sample, rules)))
}

fn column<'a>(profile: &'a Profile, layout: &CompiledLayout, name: &str) -> &'a ColumnProfile {
    &profile.columns[layout
        .layout()
        .column(name)
        .expect("the layout has the column")]
}

#[test]
fn the_flights_are_those_of_the_readme() {
    let sum: String = Sha256::digest(FLIGHTS)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(
        FLIGHTS_README.contains(&sum),
        "tests/data/README.md does not state {sum}"
    );
}

#[tokio::test]
async fn rows_come_in_the_files_order() {
    let mut rows = flights().rows().await.expect("the file opens");
    let ts_index = rows.schema().index_of("ts").expect("a ts column");
    let mut all = Vec::new();
    while let Some(batch) = rows.next().await.expect("a readable file") {
        all.extend_from_slice(batch.column(ts_index).as_primitive::<Int64Type>().values());
    }
    assert_eq!(all.len(), 84_194);
    assert!(all.is_sorted());
}

#[tokio::test]
async fn a_file_becomes_one_profile_a_week() {
    let rules = ColumnRules {
        exclude: vec!["late".into()],
        ..ColumnRules::default()
    };
    let layout = layout_of(&flights(), &rules).await;
    let names: Vec<&str> = layout
        .layout()
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(
        names.join(" "),
        "carrier dest dewp distance dow humid origin precip pressure sched_dep_time temp visib wind_speed latency_ms"
    );

    let blocks = reference_file(&flights(), &layout, &weekly(), None)
        .await
        .expect("a readable file");
    assert_eq!(blocks.len(), 53);
    let rows: u64 = blocks.iter().map(|(_, profile)| profile.rows).sum();
    assert_eq!(rows, 84_194);
    let nulls = |name| {
        blocks
            .iter()
            .map(|(_, profile)| column(profile, &layout, name).missing().null)
            .sum::<u64>()
    };
    assert_eq!(
        (nulls("pressure"), nulls("temp"), nulls("carrier")),
        (9_653, 384, 0)
    );
    for (span, profile) in &blocks {
        let span = span.expect("the file has times");
        assert_eq!(span.length(), WEEK);
        assert!(
            span.contains(profile.first_ts.expect("rows"))
                && span.contains(profile.last_ts.expect("rows"))
        );
        assert_eq!(
            profile.unknown_fields.total(),
            0,
            "late is skipped, not unknown"
        );
    }
}

#[tokio::test]
async fn bytes_and_paths_are_read_alike() {
    // Every sign that an address could take for something else.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a b*c?d%20é[1]#.data");
    std::fs::write(&path, FLIGHTS).expect("the folder is writable");
    let layout = layout_of(&flights(), &ColumnRules::default()).await;
    let by_path = reference_file(&File::Path(path), &layout, &weekly(), None)
        .await
        .expect("a readable file");
    let by_bytes = reference_file(&flights(), &layout, &weekly(), None)
        .await
        .expect("a readable file");
    assert_eq!(by_path, by_bytes);
}

#[tokio::test]
async fn blocks_have_a_windows_length_and_do_not_overlap() {
    let (_folder, file) = csv(
        "x.csv",
        "ts,a\n1385000000000,1\n1385003600000,2\n1385007200000,3\n",
    );
    let layout = layout_of(&file, &ColumnRules::default()).await;
    let sliding = WindowSpec {
        every: HOUR,
        span: 2 * HOUR,
        ..WindowSpec::default()
    };
    let blocks = reference_file(&file, &layout, &sliding, None)
        .await
        .expect("a readable file");
    let found: Vec<(i64, u64)> = blocks
        .iter()
        .map(|(span, profile)| (span.map_or(0, |span| span.length()), profile.rows))
        .collect();
    assert_eq!(found, [(2 * HOUR, 2), (2 * HOUR, 1)]);
}

#[tokio::test]
async fn a_file_without_times_is_one_block_without_a_span() {
    let (_folder, file) = csv("x.csv", "a,b\n1,x\n2,y\n");
    let layout = layout_of(&file, &ColumnRules::default()).await;
    let blocks = reference_file(&file, &layout, &weekly(), None)
        .await
        .expect("a readable file");
    let [(None, profile)] = &blocks[..] else {
        panic!("{blocks:?}")
    };
    assert_eq!(
        (profile.rows, profile.first_ts, profile.last_ts),
        (2, None, None)
    );
}

#[tokio::test]
async fn csv_columns_find_their_fields() {
    let text = "\u{feff}when,id,model,prediction,prediction.scores.up,latency_ms,features.ts,zip,note\n\
        2013-11-21T02:13:20Z,1,m,up,0.75,1.5,7,01234,\"two\nlines, a comma and \"\"quotes\"\"\"\n\
        2013-11-22T02:13:20Z,2,m,down,NaN,,8,10001,\n";
    let (_folder, file) = csv("Upper.CSV", text);
    let sample = sample_file(&file, Some("when"))
        .await
        .expect("a readable file");
    let layout = Arc::new(Layout::learn(&sample, &ColumnRules::default()));
    let compiled = CompiledLayout::new(Arc::clone(&layout));
    let field = |name: &str| {
        layout
            .columns
            .iter()
            .find(|column| column.name == name)
            .map(|column| &column.field)
    };
    assert_eq!(field("prediction.label"), Some(&Field::Label));
    assert_eq!(
        field("prediction.scores.up"),
        Some(&Field::Score("up".into()))
    );
    assert_eq!(field("latency_ms"), Some(&Field::Latency));
    assert_eq!(field("ts"), Some(&Field::Feature));
    for absent in ["when", "id", "model"] {
        assert_eq!(field(absent), None, "{absent}");
    }

    let daily = WindowSpec {
        every: DAY,
        span: DAY,
        ..WindowSpec::default()
    };
    let blocks = reference_file(&file, &compiled, &daily, Some("when"))
        .await
        .expect("a readable file");
    assert_eq!(blocks.len(), 2);
    let mut whole = blocks[0].1.clone();
    whole.merge(&blocks[1].1).expect("the same layout");
    let score = column(&whole, &compiled, "prediction.scores.up")
        .numeric()
        .expect("numeric");
    assert_eq!((score.nan, score.missing.null), (1, 0));
    assert_eq!(column(&whole, &compiled, "latency_ms").missing().null, 1);
    assert_eq!(
        column(&whole, &compiled, "zip")
            .categorical()
            .map(|zip| zip.unseen),
        Some(0)
    );
    assert_eq!(column(&whole, &compiled, "note").missing().null, 1);
}

#[tokio::test]
async fn a_layout_turns_what_it_does_not_expect_into_counts() {
    let (_folder, learnt) = csv("x.csv", "a,b\n1,x\n2,y\n");
    let layout = layout_of(&learnt, &ColumnRules::default()).await;
    let (_folder, other) = csv("y.csv", "a,c\n3,p\nn/a,q\n,r\n");
    let blocks = reference_file(&other, &layout, &weekly(), None)
        .await
        .expect("a readable file");
    let profile = &blocks[0].1;
    let a = column(profile, &layout, "a").missing();
    assert_eq!((a.null, a.absent, a.wrong_type), (1, 0, 1));
    assert_eq!(column(profile, &layout, "b").missing().absent, 3);
    assert_eq!(profile.unknown_fields.total(), 3);
}

#[track_caller]
fn check_error(error: impl std::fmt::Display, file: &File, expect: &str) {
    assert_eq!(error.to_string().replace(&file.name(), "FILE"), expect);
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_with_its_remedy() {
    for (text, expect) in [
        ("", "FILE: has no rows; name a file with at least one"),
        (
            ",a\n0,1\n",
            "FILE: column 1 has no name in the first line; name it or drop it",
        ),
        ("ts,a\n", "FILE: has no rows; name a file with at least one"),
        (
            "a,b,a\n1,2,3\n",
            "FILE: column \"a\" occurs twice; rename one of them",
        ),
        (
            "a,features.a\n1,2\n",
            "FILE: columns \"a\" and \"features.a\" are both a; drop one of them",
        ),
        (
            "ts,a\n1385000000000,1\n1385000000,2\n",
            "FILE: column \"ts\", row 2: \"1385000000\" is not an event time (it looks like seconds); multiply by 1000",
        ),
        (
            "ts,a\n1385000000000,1\n,2\n",
            "FILE: column \"ts\", row 2: \"\" is not an event time (it is missing); fill it in or drop the row",
        ),
    ] {
        let (_folder, file) = csv("x.csv", text);
        let error = sample_file(&file, None).await.expect_err(text);
        check_error(error, &file, expect);
    }
    let (_folder, file) = csv("x.csv", "t,a\n1,2\n");
    let error = sample_file(&file, Some("time"))
        .await
        .expect_err("no such column");
    check_error(
        error,
        &file,
        "FILE: has no time column \"time\"; its columns are t, a",
    );
    let (_folder, file) = csv("x.json", "{}");
    let error = sample_file(&file, None).await.expect_err("no such format");
    check_error(
        error,
        &file,
        "FILE: is neither Parquet nor named *.csv; convert it to one of them",
    );
    let file = File::Path(PathBuf::from("/nowhere/x.csv"));
    let error = sample_file(&file, None).await.expect_err("no such file");
    check_error(
        error,
        &file,
        "FILE: cannot be opened: No such file or directory (os error 2); \
         name a Parquet or CSV file that this user may read",
    );
    let file = File::Path(std::env::temp_dir());
    check_error(
        sample_file(&file, None).await.expect_err("a folder"),
        &file,
        "FILE: is a folder; name one Parquet or CSV file",
    );
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_its_name() {
    for file in [
        File::Bytes {
            name: "cut.parquet",
            bytes: FLIGHTS.split_at(100_000).0,
        },
        File::Bytes {
            name: "ragged.csv",
            bytes: b"a,b\n1,2\n3\n",
        },
        File::Bytes {
            name: "latin1.csv",
            bytes: b"a,b\n1,\xe9\n",
        },
    ] {
        let error = sample_file(&file, None)
            .await
            .expect_err("damaged")
            .to_string();
        let start = format!("{}: cannot be read as ", file.name());
        assert!(
            error.starts_with(&start) && error.ends_with("; repair it or write it anew"),
            "{error}"
        );
        println!("{error}");
    }
}

#[tokio::test]
async fn times_that_spread_over_too_many_windows_are_refused() {
    let mut text = "ts,a\n".to_owned();
    for hour in 0..5_000i64 {
        text.push_str(&format!("{},1\n", 1_385_000_000_000 + hour * HOUR));
    }
    let (_folder, file) = csv("x.csv", &text);
    let layout = layout_of(&file, &ColumnRules::default()).await;
    let hourly = WindowSpec {
        every: HOUR,
        span: HOUR,
        ..WindowSpec::default()
    };
    let error = reference_file(&file, &layout, &hourly, None)
        .await
        .expect_err("too many");
    check_error(
        error,
        &file,
        "FILE: column \"ts\": the times fall into more than 4096 windows; \
         declare longer windows or a shorter reference",
    );
    let day = Some(Span::new(1_384_992_000_000, 1_385_078_400_000));
    let daily = WindowSpec {
        every: DAY,
        span: DAY,
        ..WindowSpec::default()
    };
    let blocks = reference_file(&file, &layout, &daily, None)
        .await
        .expect("few enough");
    assert_eq!(blocks[0].0, day);
}

/// Lists of a Parquet file and of the same rows as JSON are the same vector, counted alike.
#[tokio::test]
async fn a_files_lists_are_what_they_are_in_a_record() {
    let records = [
        (Some(vec![Some(0.5), Some(-1.25)]), "[0.5,-1.25]"),
        (Some(vec![Some(3.0), Some(4.0)]), "[3, 4.0]"),
        (
            Some(vec![Some(f64::NAN), Some(f64::INFINITY)]),
            "[NaN,Infinity]",
        ),
        (Some(vec![Some(0.1), Some(-0.0)]), "[0.1,-0]"),
        (Some(vec![Some(2.0), Some(7e-3)]), "[2,7e-3]"),
        (Some(vec![Some(1.0), None]), "[1,null]"),
        (Some(vec![Some(1.0)]), "[1]"),
        (Some(vec![]), "[]"),
        (None, "null"),
    ];
    let lists = ListArray::from_iter_primitive::<Float64Type, _, _>(
        records.iter().map(|(list, _)| list.clone()),
    );
    let batch =
        RecordBatch::try_from_iter([("emb", Arc::new(lists) as ArrayRef)]).expect("a batch");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rows.parquet");
    let file = std::fs::File::create(&path).expect("the folder is writable");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    let file = File::Path(path);
    let rules = ColumnRules {
        exclude: vec!["latency_ms".into()],
        ..ColumnRules::default()
    };
    let layout = Arc::new(layout_of(&file, &rules).await);

    let text =
        |list: &str| format!(r#"{{"model":"m","ts":1000000000000,"features":{{"emb":{list}}}}}"#);
    let mut sample = Sample::new();
    for (_, list) in &records {
        assert!(observe(text(list).as_bytes(), &mut sample));
    }
    assert_eq!(**layout.layout(), Layout::learn(&sample, &rules));
    assert_eq!(layout.layout().columns[0].field, Field::Vector(2));

    let all: Vec<usize> = (0..layout.layout().columns.len()).collect();
    let rows = column_rows(&file, layout.layout(), &all)
        .await
        .expect("a readable file");
    let [ColumnRows::Numbers(lengths), ColumnRows::Numbers(first), _] = &rows[..] else {
        panic!("a vector of two numbers")
    };
    assert_eq!(lengths.values[..2], [vector::length(&[0.5, -1.25]), 5.0]);
    assert_eq!((lengths.null, lengths.wrong_type), (1, 3));
    assert_eq!((first.values[0], first.null, first.wrong_type), (0.5, 1, 3));

    struct Known(Lookup);
    impl Models for Known {
        fn lookup(&self, _: &str) -> Lookup {
            self.0.clone()
        }
    }
    let known = Known(Lookup::Known(Arc::clone(&layout)));
    let mut decoder = Decoder::new(Limits::default(), []);
    for (offset, (_, list)) in (0..).zip(&records) {
        let record = text(list);
        decoder
            .push(offset, Some(record.as_bytes()), 2_000_000_000_000, &known)
            .expect("a record");
    }
    let decoded = decoder.take().remove(0).batch;
    let mut streamed = Profile::new(layout.layout());
    streamed.update(
        &layout,
        &decoded,
        &(0..records.len() as u32).collect::<Vec<_>>(),
    );
    (streamed.first_ts, streamed.last_ts) = (None, None);
    let filed = profile_columns(&file, &layout, &["emb".to_owned()])
        .await
        .expect("a readable file");
    assert_eq!(filed.to_bytes(), streamed.to_bytes());
    let missing = |at: usize| {
        let missing = filed.columns[at].missing();
        (missing.null, missing.wrong_type)
    };
    for at in 0..3 {
        assert_eq!(missing(at), (1, 3), "column {at}");
    }
}
