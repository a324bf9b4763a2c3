//! What is planned: labels on the build side, and only files that can hold an answer.

use arrow::array::Array;
use datafusion::physical_plan::displayable;

use super::log::{Label, MODEL, Row, Scratch, labels_batch, layout, rows_batch};
use crate::event::Span;
use crate::performance::Kind;
use crate::query::lake::labels::{self, Wanted};
use crate::query::lake::scan::{Bounds, Session};
use crate::query::lake::snapshot::Snapshot;
use crate::query::{Ask, TrainingAsk, label_ledger, observations, training_set};
use crate::store::lake::Kind as Records;

fn row(id: &str, ts: i64) -> Row {
    Row {
        version: "7",
        id: Some(id.to_owned()),
        ts,
        watermark: ts,
        partition: 0,
        offset: ts,
        score: 0.5,
        demand: None,
        day: None,
    }
}

fn label(id: &str, ts: i64) -> Label {
    Label {
        id: id.to_owned(),
        ts,
        watermark: ts,
        label: "up",
        partition: 0,
        offset: ts,
    }
}

#[tokio::test]
async fn labels_are_the_build_side_and_only_files_that_can_answer_are_read() {
    let scratch = Scratch::new();
    let labels = async |labels: &[Label]| {
        scratch
            .segment(Records::Labels, &labels_batch(labels))
            .await
    };
    let wanted = labels(&[label("b", 30), label("z", 31)]).await;
    // Too late; ids outside the range; ids inside the range, which only the filter denies.
    labels(&[label("b", 90)]).await;
    labels(&[label("x", 30), label("z", 31)]).await;
    labels(&[label("a", 30), label("bb", 31), label("d", 32)]).await;
    scratch.buffer(Records::Labels, 0, &labels_batch(&[label("c", 40)]));

    let snapshot = Snapshot::read(&scratch.store, MODEL, 0..50, i64::MIN..50)
        .await
        .expect("a store");
    let ids = rows_batch(&[row("b", 10), row("c", 20)]);
    let ids = [arrow::array::AsArray::as_string::<i32>(ids.column(1)).clone()];
    let rows = Wanted::new(&ids);
    let bounds = Bounds {
        known_by: 50,
        ids: Some(std::sync::Arc::clone(rows.set())),
        ..Bounds::of(i64::MIN..50)
    };
    let found = snapshot.labels.overlapping(&bounds.ts);
    assert_eq!(found.len(), 3);
    let segments = rows.prune(&scratch.store, found).await.expect("a store");
    let session = Session::new(scratch.lake.store()).expect("a session");
    let plan = labels::winners(&session, &snapshot.labels, &segments, &bounds)
        .and_then(|labels| labels::join(labels.expect("something to read"), &ids))
        .expect("a plan");

    let plan = displayable(plan.as_ref()).indent(false).to_string();
    let shape: Vec<&str> = plan
        .lines()
        .map(|line| line.split([':', ',']).next().unwrap_or_default())
        .collect();
    let expect = [
        "HashJoinExec",
        "  LatestExec",
        "    FilterExec",
        "      UnionExec",
        "        DataSourceExec",
        "        DataSourceExec",
        "  DataSourceExec",
    ];
    assert_eq!(shape, expect, "{plan}");
    assert!(
        plan.contains("mode=CollectLeft, join_type=Inner, on=[(id@0, id@0)]"),
        "{plan}"
    );
    assert!(plan.contains("id@0 IN (2 ids)"), "{plan}");
    let files: Vec<&str> = plan.matches(".parquet").collect();
    assert_eq!(files.len(), 1, "{plan}");
    assert!(plan.contains(&wanted), "{plan}");
    assert_eq!(ids[0].len(), 2);
}

/// A row segment outside the span is not read: its file may even be gone.
#[tokio::test]
async fn segments_outside_the_span_are_not_opened() {
    let scratch = Scratch::new();
    scratch
        .segment(Records::Rows, &rows_batch(&[row("a", 10), row("b", 19)]))
        .await;
    let outside = scratch
        .segment(Records::Rows, &rows_batch(&[row("c", 20)]))
        .await;
    let gone = outside.clone();
    let outside = object_store::path::Path::from(outside);
    object_store::ObjectStoreExt::delete(&scratch.lake.store(), &outside)
        .await
        .expect("it was there");
    let layout = layout();
    let ask = |end| Ask {
        model: MODEL,
        span: Span::new(0, end),
        known_by: 100,
        layout: &layout,
        kind: Kind::Binary { positive: "up" },
    };
    let found = observations(&scratch.lake, &scratch.store, &ask(20))
        .await
        .expect("readable");
    assert_eq!(found.rows.len(), 2);
    let error = observations(&scratch.lake, &scratch.store, &ask(21)).await;
    let error = error.expect_err("a file is missing").to_string();
    assert!(error.starts_with("the lake cannot be read: "), "{error}");
    assert!(error.contains(&gone), "{error}");
}

/// Compiles only if every question's future may move between threads.
#[test]
fn answers_can_be_awaited_on_any_thread() {
    fn on_any_thread<T: Send>(_: T) {}
    let (scratch, layout) = (Scratch::new(), layout());
    let (lake, store) = (&scratch.lake, &scratch.store);
    let (span, kind) = (Span::new(0, 1), Kind::Regression);
    let ask = Ask {
        model: MODEL,
        span,
        known_by: 1,
        layout: &layout,
        kind,
    };
    on_any_thread(observations(lake, store, &ask));
    let ask = TrainingAsk {
        model: MODEL,
        version: None,
        span,
        known_by: 1,
        layout: &layout,
        kind,
    };
    on_any_thread(training_set(lake, store, &ask));
    on_any_thread(label_ledger(lake, store, MODEL, span));
}
