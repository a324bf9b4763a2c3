//! Flushing, compacting and sweeping while questions are asked: records move, answers do not.

use super::log::{Label, Log, MODEL, Row, Scratch, labels_batch, layout, rows_batch};
use crate::event::Span;
use crate::performance::Kind;
use crate::query::{Ask, Observations, label_ledger, observations};
use crate::store::lake::{FlushPolicy, Kind as Records, compact, flush, sweep_dropped};

const SPAN: Span = Span {
    start: 10,
    end: 300,
};
const KNOWN_BY: i64 = 350;

fn log() -> Log {
    let row = |n: i64| Row {
        version: if n % 2 == 0 { "7" } else { "8" },
        id: (n % 7 != 0).then(|| format!("id-{}", n / 2)),
        ts: n * 37 % 320,
        watermark: n,
        partition: (n % 3) as i32,
        offset: n,
        score: 0.25,
        demand: None,
        day: None,
    };
    let label = |n: i64| Label {
        id: format!("id-{}", n % 170),
        ts: n * 11 % 360,
        watermark: n,
        label: ["up", "down", "sideways"][(n % 3) as usize],
        partition: (n % 2) as i32,
        offset: n,
    };
    Log {
        rows: (0..320).map(row).collect(),
        labels: (0..250).map(label).collect(),
    }
}

/// Every tenth record of each partition begins a new buffer, as commits do.
fn hold(scratch: &Scratch, log: &Log) {
    for partition in 0..3 {
        let rows: Vec<Row> = log
            .rows
            .iter()
            .filter(|row| row.partition == partition)
            .cloned()
            .collect();
        for rows in rows.chunks(10) {
            scratch.buffer(Records::Rows, partition, &rows_batch(rows));
        }
        let labels = log
            .labels
            .iter()
            .filter(|label| label.partition == partition);
        let labels: Vec<Label> = labels.cloned().collect();
        for labels in labels.chunks(10) {
            scratch.buffer(Records::Labels, partition, &labels_batch(labels));
        }
    }
}

async fn ask(scratch: &Scratch) -> Observations {
    let layout = layout();
    let ask = Ask {
        model: MODEL,
        span: SPAN,
        known_by: KNOWN_BY,
        layout: &layout,
        kind: Kind::Binary { positive: "up" },
    };
    let answer = observations(&scratch.lake, &scratch.store, &ask).await;
    answer.expect("a readable lake")
}

#[tokio::test]
async fn answers_stay_while_records_move_from_buffers_to_segments_and_are_compacted() {
    let (scratch, log) = (Scratch::new(), log());
    hold(&scratch, &log);
    let (expect, _) = log.observations(SPAN, KNOWN_BY);
    assert!(expect.iter().filter(|row| row.truth.is_some()).count() > 50);
    let first = ask(&scratch).await;
    assert_eq!(first.rows, expect);
    let ledger = log.ledger(Span::new(0, 360));
    assert!(
        ledger.superseded > 0 && ledger.matched > 0 && ledger.waiting > 0,
        "{ledger:?}"
    );

    let (lake, store) = (&scratch.lake, &scratch.store);
    // Labels first: their partitions have more records.
    let halves = [
        FlushPolicy { rows: 120, age: 10 },
        FlushPolicy { rows: 1, age: 10 },
    ];
    for policy in halves {
        let written = flush(lake, store, policy, 5)
            .await
            .expect("a writable lake");
        assert!(written.segments > 0);
        assert_eq!(ask(&scratch).await, first);
        let found = label_ledger(lake, store, MODEL, Span::new(0, 360)).await;
        assert_eq!(found.expect("a readable lake"), ledger);
    }
    let mut compacted = 0;
    for _ in 0..3 {
        compacted += compact(lake, store, 1 << 20, 6)
            .await
            .expect("a writable lake")
            .segments;
        sweep_dropped(lake, store, 0, 7)
            .await
            .expect("a writable lake");
        assert_eq!(ask(&scratch).await, first);
    }
    let found = label_ledger(lake, store, MODEL, Span::new(0, 360)).await;
    assert_eq!(
        (found.expect("a readable lake"), compacted > 0),
        (ledger, true)
    );
}

/// Dropped files are swept at once here, without the grace that keeps running queries from noticing.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn questions_asked_while_files_vanish_get_the_whole_answer() {
    let log = log();
    let (expect, _) = log.observations(SPAN, KNOWN_BY);
    for _ in 0..3 {
        let scratch = Scratch::new();
        hold(&scratch, &log);
        let (lake, store) = (scratch.lake.clone(), scratch.store.clone());
        let moving = tokio::spawn(async move {
            let mut compacted = 0;
            for rows in [120, 1, 1] {
                flush(&lake, &store, FlushPolicy { rows, age: 10 }, 5).await?;
                compacted += compact(&lake, &store, 1 << 20, 6).await?.segments;
                sweep_dropped(&lake, &store, 0, 7).await?;
            }
            Ok::<_, crate::store::lake::LakeError>(compacted)
        });
        let mut asked = 0;
        while !moving.is_finished() {
            assert_eq!(ask(&scratch).await.rows, expect);
            asked += 1;
        }
        let compacted = moving.await.expect("no panic");
        assert!(compacted.expect("a writable lake") > 0);
        assert_eq!(ask(&scratch).await.rows, expect);
        assert!(asked > 0, "moving was over before anything was asked");
    }
}
