//! References of promotions, over the small world with its windows closed.

use super::*;
use crate::event::{DAY, Key};
use crate::retrain::testing::{self, DAYS, MODEL, PER_DAY, REQUESTED, World};
use crate::stats::score::Verdict;
use crate::store::windows::{self, NewWindow};

/// Closes every day of the world; `less` rows of the last one came too late.
fn close(world: &World, less: i64) {
    let layout = CompiledLayout::new(Arc::new(testing::layout()));
    for day in 0..DAYS {
        let late = if day == DAYS - 1 { less } else { 0 };
        let rows: Vec<testing::Row> = (day * PER_DAY..(day + 1) * PER_DAY - late)
            .map(testing::row)
            .collect();
        let column = |values: ArrayRef| Column {
            values,
            states: vec![State::Value as u8; rows.len()],
        };
        let numbers = |of: fn(&testing::Row) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(of)))
        };
        let carriers = StringArray::from_iter_values(rows.iter().map(|row| row.carrier));
        let batch = Batch {
            offsets: vec![0; rows.len()],
            ts: rows.iter().map(|row| row.ts).collect(),
            columns: vec![
                column(Arc::new(carriers)),
                column(numbers(|row| row.dist)),
                column(numbers(|row| row.score)),
            ],
            ..Batch::default()
        };
        let mut profile = Profile::new(layout.layout());
        let all: Vec<u32> = (0..).take(rows.len()).collect();
        profile.update(&layout, &batch, &all);
        let window = NewWindow {
            key: Key {
                model: MODEL.to_owned(),
                version: "1".to_owned(),
                segment: String::new(),
            },
            span: Span::new(day * DAY, (day + 1) * DAY),
            revision: 0,
            verdict: Verdict::Ok,
            rows: rows.len() as u64,
            layout_hash: layout.hash().to_owned(),
            reference_hash: None,
            watermark: (day + 1) * DAY,
            covered: Vec::new(),
            profile: profile.to_bytes(),
            scores: Vec::new(),
        };
        world
            .store()
            .write(move |tx| windows::insert(tx, &window))
            .expect("writes");
    }
}

/// A world whose windows need few rows, its run done and promoted.
async fn promoted(less: i64) -> (World, Reference) {
    let yaml =
        testing::declaration("promote").replace("lateness: 1h", "lateness: 1h, min_rows: 10");
    let world = World::with(&yaml, |_, truth| truth);
    close(&world, less);
    let sent = testing::sent("k1", "promote", testing::NOW);
    let signed = crate::retrain::receiver::Signed {
        id: Some(&sent.id),
        timestamp: Some(&sent.timestamp),
        signature: Some(&sent.signature),
    };
    let taken = world.retraining.receive(signed, sent.body.as_bytes()).await;
    taken.expect("the store works").expect("accepted");
    let worker = crate::retrain::Worker::new(world.retraining.clone(), "w".to_owned(), |_| false);
    worker.step().await.expect("works").expect("a run");
    let body = world
        .store()
        .read(|conn| {
            use crate::store::references;
            let hash = references::binding_of(conn, MODEL, "2")?.expect("bound");
            references::get(conn, &hash)
        })
        .expect("reads")
        .expect("stored")
        .1;
    let reference = Reference::from_bytes(&body, &testing::layout()).expect("our own");
    (world, reference)
}

fn mean(reference: &Reference, column: usize) -> f64 {
    let layout = testing::layout();
    let Cells::Numeric(cells) = &layout.columns[column].cells else {
        panic!("a number");
    };
    let profile = reference.profile.columns[column]
        .numeric()
        .expect("a number");
    profile.mean(cells).expect("values")
}

fn spread(reference: &Reference, column: usize) -> usize {
    let cells = reference.profile.columns[column].cells();
    cells.iter().filter(|count| **count > 0).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_are_those_of_the_windows_and_predictions_those_of_the_new_model() {
    let (_world, reference) = promoted(0).await;
    assert_eq!(reference.span, Some(Span::new(0, REQUESTED)));
    assert_eq!(reference.blocks.len() as i64, DAYS);
    assert_eq!(reference.profile.rows as i64, DAYS * PER_DAY);
    let dist = (0..DAYS * PER_DAY)
        .map(|row| testing::row(row).dist)
        .sum::<f64>();
    assert!((mean(&reference, 1) - dist / (DAYS * PER_DAY) as f64).abs() < 1e-9);
    // The champion said 0.3, 0.4 or 0.5, all of one cell; the challenger uses the whole range.
    assert_eq!(spread(&reference, 2), 4);
    for block in &reference.blocks {
        for column in &block.profile.columns {
            assert_eq!(column.rows(), block.profile.rows);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_lake_has_other_rows_than_a_window_the_windows_stay_as_they_are() {
    let (_world, reference) = promoted(3).await;
    assert_eq!(reference.profile.rows as i64, DAYS * PER_DAY - 3);
    assert_eq!(spread(&reference, 2), 1);
}

#[test]
fn windows_follow_each_other_back_to_the_beginning() {
    assert_eq!(windows(10, 3, 2), [Span::new(4, 7), Span::new(7, 10)]);
    assert!(windows(10, 3, 8).is_empty());
    assert_eq!(windows(0, 1, Millis::MIN / 4).len(), MOST_BLOCKS);
}
