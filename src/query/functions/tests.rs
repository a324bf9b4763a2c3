//! The functions in a session of DataFusion: what is counted, merged, read and compared, and what is said of a mistake.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray,
};
use arrow::datatypes::{DataType, Field as ArrowField, Float64Type, Int64Type, Schema};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;

use super::*;
use crate::event::{Batch, Column, State};
use crate::profile::layout::FORMAT;
use crate::profile::{CategoricalCells, Cells, CompiledLayout, Field, LayoutColumn, NumericCells};
use crate::stats::{Data, table};

fn layout() -> Arc<Layout> {
    let column = |name: &str, cells| LayoutColumn {
        name: name.to_owned(),
        field: Field::Feature,
        cells,
    };
    let numbers = NumericCells {
        edges: vec![-1.0, 0.0, 0.5, 1.0, 2.0],
        domain: Some([-50.0, 50.0]),
        center: 0.5,
        sum_shift: 40,
        square_shift: 30,
    };
    let texts = CategoricalCells {
        categories: vec!["a".to_owned(), "b".to_owned(), "true".to_owned()],
        closed: false,
    };
    Arc::new(Layout {
        format: FORMAT,
        columns: vec![
            column("x", Cells::Numeric(numbers)),
            column("c", Cells::Categorical(texts)),
        ],
        skipped: Vec::new(),
    })
}

/// A session with the layout `m`, and as reference `m` the rows 0 to 9 and a, b in turn.
fn session(partitions: usize) -> SessionContext {
    let layout = layout();
    let mut names = Names::default();
    names.add_layout("m", &layout);
    let numbers: Vec<Option<f64>> = (0..10).map(|x| Some(f64::from(x))).collect();
    let texts: Vec<Option<String>> = (0..10)
        .map(|x| Some(if x % 2 == 0 { "a" } else { "b" }.to_owned()))
        .collect();
    names.add_reference(&["m", "hash of it"], &layout, &counted(&numbers, &texts));
    let names = Arc::new(names);
    let config = SessionConfig::new()
        .with_information_schema(true)
        .with_target_partitions(partitions)
        .with_batch_size(7);
    let context = SessionContext::new_with_config(config);
    for function in scalars(&names, crate::reference::value) {
        context.register_udf(function);
    }
    context.register_udaf(aggregate(&names));
    context
}

/// What the stream's own path counts.
fn counted(numbers: &[Option<f64>], texts: &[Option<String>]) -> Profile {
    let state = |is_there: bool| if is_there { State::Value } else { State::Null } as u8;
    let layout = layout();
    let batch = Batch {
        ts: vec![5; numbers.len()],
        columns: vec![
            Column {
                values: Arc::new(Float64Array::from(numbers.to_vec())),
                states: numbers.iter().map(|x| state(x.is_some())).collect(),
            },
            Column {
                values: Arc::new(StringArray::from(texts.to_vec())),
                states: texts.iter().map(|text| state(text.is_some())).collect(),
            },
        ],
        ..Batch::default()
    };
    let mut profile = Profile::new(&layout);
    let all: Vec<u32> = (0..numbers.len() as u32).collect();
    profile.update(&CompiledLayout::new(layout), &batch, &all);
    profile
}

fn alone(profile: &Profile, index: usize) -> Vec<u8> {
    let one = Layout::of_one(&layout().columns[index]);
    profile.of_one(index, &one).expect("it is there").to_bytes()
}

async fn ask(context: &SessionContext, statement: &str) -> Vec<RecordBatch> {
    let frame = context.sql(statement).await.expect(statement);
    frame.collect().await.expect(statement)
}

async fn one(context: &SessionContext, statement: &str) -> ArrayRef {
    let found = ask(context, statement).await;
    let rows: usize = found.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 1, "{statement}");
    let batch = found.iter().find(|batch| batch.num_rows() == 1);
    Arc::clone(batch.expect("one row").column(0))
}

#[track_caller]
fn number(array: &ArrayRef) -> Option<f64> {
    let array = array.as_primitive::<Float64Type>();
    array.is_valid(0).then(|| array.value(0))
}

fn add(context: &SessionContext, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .expect("columns of one length");
    context.register_batch(name, batch).expect("a new name");
}

/// One row: its group, a number and a text, and where it lies.
type Row = (u8, Option<f64>, Option<String>, usize);

fn row() -> impl Strategy<Value = Row> {
    let number = prop_oneof![
        5 => (-3.0..3.0f64).prop_map(Some),
        2 => prop::sample::select(vec![0.0, -0.0, 0.1, 1e17, -60.0, 1e300]).prop_map(Some),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).prop_map(Some),
        1 => Just(None),
    ];
    let text = prop_oneof![4 => "[ab]{0,2}".prop_map(Some), 1 => "[a-z]{1,3}".prop_map(Some), 1 => Just(None)];
    (0..3u8, number, text, 0..12usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any split over partitions and batches, any number of threads, grouped or not.
    #[test]
    fn what_sql_counts_has_the_bytes_of_what_the_stream_counts(
        rows in prop::collection::vec(row(), 0..80),
        partitions in 1..5usize,
    ) {
        let schema = Arc::new(Schema::new(vec![
            ArrowField::new("g", DataType::Int64, false),
            ArrowField::new("x", DataType::Float64, true),
            ArrowField::new("c", DataType::Utf8, true),
        ]));
        let batch = |place: usize| {
            let here: Vec<&Row> = rows.iter().filter(|row| row.3 == place).collect();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(here.iter().map(|row| Some(i64::from(row.0))).collect::<Int64Array>()),
                Arc::new(here.iter().map(|row| row.1).collect::<Float64Array>()),
                Arc::new(here.iter().map(|row| row.2.clone()).collect::<StringArray>()),
            ];
            RecordBatch::try_new(Arc::clone(&schema), columns).expect("columns of one length")
        };
        let parts: Vec<Vec<RecordBatch>> = (0..4).map(|part| (0..3).map(|i| batch(3 * part + i)).collect()).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
        let (whole, groups) = runtime.block_on(async {
            let context = session(partitions);
            let table = MemTable::try_new(Arc::clone(&schema), parts).expect("one schema");
            context.register_table("t", Arc::new(table)).expect("a new name");
            let whole = ask(&context, "SELECT profile(x, 'm') AS x, profile(c, 'm') AS c FROM t").await;
            let groups = ask(&context, "SELECT g, profile(x, 'm') AS x, profile(c, 'm') AS c FROM t GROUP BY g").await;
            (whole, groups)
        });
        let of = |wanted: Option<i64>| {
            let here = || rows.iter().filter(|row| wanted.is_none_or(|group| group == i64::from(row.0)));
            let numbers: Vec<Option<f64>> = here().map(|row| row.1).collect();
            let texts: Vec<Option<String>> = here().map(|row| row.2.clone()).collect();
            counted(&numbers, &texts)
        };
        let whole = whole.iter().find(|batch| batch.num_rows() == 1).expect("one row, also of no rows");
        prop_assert_eq!(whole.column(0).as_binary::<i32>().value(0), &alone(&of(None), 0)[..]);
        prop_assert_eq!(whole.column(1).as_binary::<i32>().value(0), &alone(&of(None), 1)[..]);
        let mut seen = BTreeSet::new();
        for batch in &groups {
            for row in 0..batch.num_rows() {
                let group = batch.column(0).as_primitive::<Int64Type>().value(row);
                prop_assert_eq!(batch.column(1).as_binary::<i32>().value(row), &alone(&of(Some(group)), 0)[..]);
                prop_assert_eq!(batch.column(2).as_binary::<i32>().value(row), &alone(&of(Some(group)), 1)[..]);
                prop_assert!(seen.insert(group), "each group once");
            }
        }
        prop_assert_eq!(seen, rows.iter().map(|row| i64::from(row.0)).collect::<BTreeSet<_>>());
    }
}

#[tokio::test]
async fn rows_go_through_partial_and_final_states() {
    let context = session(3);
    add(
        &context,
        "t",
        vec![(
            "x",
            Arc::new(
                (0..50)
                    .map(|x| Some(f64::from(x)))
                    .collect::<Float64Array>(),
            ),
        )],
    );
    let plan = ask(
        &context,
        "EXPLAIN SELECT x > 1, profile(x, 'm') FROM t GROUP BY x > 1",
    )
    .await;
    let plan = arrow_text(&plan);
    assert!(
        plan.contains("mode=Partial") && plan.contains("mode=FinalPartitioned"),
        "{plan}"
    );
}

fn arrow_text(batches: &[RecordBatch]) -> String {
    let shown = datafusion::arrow::util::pretty::pretty_format_batches(batches);
    shown.expect("a table").to_string()
}

#[tokio::test]
async fn values_of_every_type_are_what_a_file_would_have() {
    let context = session(1);
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1)]),
        None,
        Some(vec![]),
        None,
    ]);
    add(
        &context,
        "t",
        vec![
            (
                "whole",
                Arc::new(Int64Array::from(vec![Some(1), None, Some(2), Some(3)])),
            ),
            (
                "text",
                Arc::new(StringArray::from(vec!["NaN", "-Infinity", "1", "a"])),
            ),
            (
                "flag",
                Arc::new(BooleanArray::from(vec![
                    Some(true),
                    Some(false),
                    None,
                    Some(true),
                ])),
            ),
            ("list", Arc::new(lists)),
        ],
    );
    let check = async |column: &str, layout_column: &str, expect: [i64; 4]| {
        let statement = format!(
            "SELECT profile_rows(p), profile_nulls(p), profile_wrong_type(p), coalesce(profile_nan(p), profile_unseen(p))
             FROM (SELECT profile({column}, 'm', '{layout_column}') AS p FROM t)"
        );
        let found = ask(&context, &statement).await;
        let found: Vec<i64> = found[0]
            .columns()
            .iter()
            .map(|column| column.as_primitive::<Int64Type>().value(0))
            .collect();
        assert_eq!(found, expect, "{column} as {layout_column}");
    };
    // Rows, nulls, wrong types, and NaN or unseen texts.
    check("whole", "x", [4, 1, 0, 0]).await;
    check("whole", "c", [4, 1, 0, 3]).await;
    check("text", "x", [4, 0, 2, 1]).await;
    check("text", "c", [4, 0, 0, 3]).await;
    check("flag", "x", [4, 1, 3, 0]).await;
    check("flag", "c", [4, 1, 0, 1]).await;
    check("list", "x", [4, 2, 2, 0]).await;
}

#[tokio::test]
async fn statistics_compare_two_profiles_whoever_counted_them() {
    let context = session(2);
    let numbers: Float64Array = (0..10).map(|x| Some(f64::from(x) + 10.0)).collect();
    let texts: StringArray = (0..10).map(|_| Some("a")).collect();
    let groups: BooleanArray = (0..10).map(|x| Some(x < 5)).collect();
    add(
        &context,
        "t",
        vec![
            ("x", Arc::new(numbers)),
            ("c", Arc::new(texts)),
            ("g", Arc::new(groups)),
        ],
    );
    // Half of the reference's rows have moved to the other category: ½, and both sides have ten rows.
    let moved = one(
        &context,
        "SELECT l_infinity(profile(c, 'm'), reference('m', 'c')) FROM t",
    )
    .await;
    assert_eq!(number(&moved), Some(0.5));
    let shift = one(
        &context,
        "SELECT mean_shift(profile(x, 'm'), reference('hash of it', 'x')) FROM t",
    )
    .await;
    let deviation = (82.5_f64 / 9.0).sqrt();
    assert!((number(&shift).expect("a shift") - 10.0 / deviation).abs() < 1e-9);
    let halves = one(
        &context,
        "SELECT psi(profile(x, 'm') FILTER (WHERE g), profile(x, 'm') FILTER (WHERE NOT g)) FROM t",
    )
    .await;
    assert_eq!(number(&halves), Some(0.0), "all lie above the last edge");
    // Each statistic has a value for what it applies to, of the same profiles.
    for entry in table().iter().filter(|entry| entry.from == Data::Profile) {
        for column in ["x", "c"] {
            let statement = format!(
                "SELECT {}(profile({column}, 'm'), reference('m', '{column}')) FROM t",
                entry.name
            );
            let found = number(&one(&context, &statement).await);
            let applies = column == "x" || entry.applies.to(false);
            assert_eq!(found.is_some(), applies, "{statement}");
            assert!(
                found.is_none_or(|value| value.is_finite() && value > 0.0),
                "{statement}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_in_is_nothing_out() {
    let context = session(2);
    add(
        &context,
        "t",
        vec![("x", Arc::new(Float64Array::from(vec![1.0, 2.0])))],
    );
    let nulls = [
        "psi(NULL, reference('m', 'x'))",
        "psi(reference('m', 'x'), NULL)",
        "profile_mean(NULL)",
        "profile_rows(NULL)",
        "reference(NULL, 'x')",
        "reference('m', NULL)",
        // No rows are no drift and no quiet either.
        "psi(profile(x, 'm') FILTER (WHERE x > 5), reference('m', 'x'))",
        "ks(reference('m', 'x'), profile(x, 'm') FILTER (WHERE x > 5))",
        "profile_mean(profile(x, 'm') FILTER (WHERE x > 5))",
        "profile_min(reference('m', 'c'))",
    ];
    for expression in nulls {
        let statement = format!("SELECT {expression}, count(x) FROM t");
        let found = one(&context, &statement).await;
        assert!(found.is_null(0), "{expression}");
    }
    let rows = one(
        &context,
        "SELECT profile_rows(profile(x, 'm')) FROM t WHERE x > 5",
    )
    .await;
    assert_eq!(rows.as_primitive::<Int64Type>().value(0), 0);
}

#[tokio::test]
async fn the_readers_read() {
    let context = session(2);
    let numbers = Float64Array::from(vec![Some(1.0), Some(2.0), Some(6.0), None, Some(f64::NAN)]);
    add(&context, "t", vec![("x", Arc::new(numbers))]);
    let found = ask(
        &context,
        "SELECT profile_min(p), profile_max(p), profile_mean(p), profile_variance(p)
         FROM (SELECT profile(x, 'm') AS p FROM t)",
    )
    .await;
    let found: Vec<f64> = found[0]
        .columns()
        .iter()
        .map(|column| column.as_primitive::<Float64Type>().value(0))
        .collect();
    assert_eq!(found, [1.0, 6.0, 3.0, 7.0]);
}

#[tokio::test]
async fn a_table_may_call_a_column_otherwise() {
    let context = session(2);
    let numbers = Float64Array::from(vec![1.0, 2.0]);
    add(&context, "t", vec![("Temp", Arc::new(numbers))]);
    for statement in [
        "SELECT profile_mean(profile(\"Temp\", 'm', 'x')) FROM t",
        "SELECT profile_mean(profile(x, 'm')) FROM (SELECT \"Temp\" AS x FROM t)",
        "SELECT profile_mean(profile(\"Temp\" + 0.0, 'm', 'x')) FROM t",
        "WITH u AS (SELECT \"Temp\" AS \"features.x\" FROM t) SELECT profile_mean(profile(\"features.x\", 'm')) FROM u",
    ] {
        assert_eq!(
            number(&one(&context, statement).await),
            Some(1.5),
            "{statement}"
        );
    }
}

#[tokio::test]
async fn mistakes_are_told_in_sentences() {
    let context = session(2);
    add(
        &context,
        "t",
        vec![
            ("x", Arc::new(Float64Array::from(vec![1.0]))),
            ("y", Arc::new(StringArray::from(vec!["m"]))),
        ],
    );
    let check = async |statement: &str, expect: &str| {
        let failed = async {
            let frame = context.sql(statement).await?;
            frame.collect().await
        };
        let error = failed.await.expect_err(statement);
        let found = error.find_root().to_string();
        assert_eq!(found, format!("External error: {expect}"), "{statement}");
    };
    check(
        "SELECT profile(x, 'n') FROM t",
        "there is no layout \"n\"; there is m",
    )
    .await;
    check(
        "SELECT profile(y, 'm') FROM t",
        "profile: layout \"m\" has no column \"y\"; it has x, c; say as third argument which of them is meant",
    )
    .await;
    check(
        "SELECT profile(x, 'm', 'z') FROM t",
        "profile: layout \"m\" has no column \"z\"; it has x, c",
    )
    .await;
    check(
        "SELECT profile(x, y) FROM t",
        "profile: y@1 is no name; write the layout's name as a text, 'flights' for example",
    )
    .await;
    check(
        "SELECT profile(DISTINCT x, 'm') FROM t",
        "profile: it counts rows, so DISTINCT has no meaning; leave it out",
    )
    .await;
    check(
        "SELECT reference('n', 'x')",
        "reference: there is no reference \"n\"; there is hash of it, m",
    )
    .await;
    check(
        "SELECT reference('m', 'z')",
        "reference: layout \"m\" has no column \"z\"; it has x, c",
    )
    .await;
    check(
        "SELECT psi(reference('m', 'x'), reference('m', 'c'))",
        "psi: one profile is of column \"x\", the other of column \"c\" with other cells; compare profiles that were \
         counted with one layout",
    )
    .await;
    check(
        "SELECT profile_rows(arrow_cast('abc', 'Binary'))",
        "profile_rows: the stored profile has format version 97; this program reads version 2",
    )
    .await;
    check(
        "SELECT profile_rows(X'010000000000000000')",
        "profile_rows: the bytes were counted with layout 0000000000000000, which no model and no reference of this \
         session has",
    )
    .await;
    let cut = "SELECT psi(substr(reference('m', 'x'), 1), reference('m', 'x'))";
    assert!(context.sql(cut).await.is_err(), "bytes are no text");
}

#[tokio::test]
async fn show_functions_lists_them() {
    let context = session(2);
    let shown = arrow_text(&ask(&context, "SHOW FUNCTIONS").await);
    for name in ours() {
        assert!(shown.contains(&format!("| {name} ")), "{name}");
    }
    assert!(shown.contains("profile(column, 'layout' [, 'name'])"));
}

fn ours() -> Vec<String> {
    let names = Arc::new(Names::default());
    let mut ours: Vec<String> = scalars(&names, |_, _, _, _| None)
        .iter()
        .map(|function| function.name().to_owned())
        .collect();
    ours.push(aggregate(&names).name().to_owned());
    ours
}

/// Registering a name that is there replaces a function of SQL without a word.
#[test]
fn names_are_nobody_elses_and_all_are_documented() {
    let state = SessionContext::new().state();
    let taken: BTreeSet<&String> = state
        .scalar_functions()
        .keys()
        .chain(state.aggregate_functions().keys())
        .chain(state.window_functions().keys())
        .chain(state.table_functions().keys())
        .collect();
    assert!(taken.len() > 100, "DataFusion's own functions are there");
    let ours = ours();
    for name in &ours {
        assert!(!taken.contains(name), "{name} is a function of DataFusion");
    }
    assert_eq!(ours.iter().collect::<BTreeSet<_>>().len(), ours.len());
    let names = Arc::new(Names::default());
    for function in scalars(&names, |_, _, _, _| None) {
        let documentation = function.documentation().expect("it is documented");
        assert!(!documentation.description.is_empty() && documentation.sql_example.is_some());
        let arguments = documentation.arguments.as_ref().map_or(0, Vec::len);
        assert!(arguments > 0, "{}", function.name());
    }
    assert!(aggregate(&names).documentation().is_some());
}
