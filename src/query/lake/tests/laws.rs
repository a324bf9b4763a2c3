//! The same log, cut into segments and buffers in any way, gives the answers that the definitions give.

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use proptest::prelude::*;

use super::log::{Label, Log, MODEL, Row, Scratch, layout};
use crate::event::Span;
use crate::performance::Kind;
use crate::query::{
    Ask, TrainingAsk, label_ledger, observations, training_set, training_set_again,
};

const KIND: Kind<'static> = Kind::Binary { positive: "up" };

fn ids() -> impl Strategy<Value = String> {
    (0..8_u8).prop_map(|id| format!("id-{id}"))
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let versions = prop::sample::select(vec!["", "7", "8"]);
    let score = prop::sample::select(vec![0.0, 0.25, 0.5, 0.75]);
    let demand = prop::option::of(prop::sample::select(vec![1.5, f64::INFINITY, -0.0]));
    let day = prop::option::of(prop::sample::select(vec!["mon", "tue"]));
    let row = (
        versions,
        prop::option::of(ids()),
        0..40_i64,
        0..60_i64,
        0..3_i32,
        score,
        demand,
        day,
    );
    prop::collection::vec(row, 0..50).prop_map(|rows| {
        let row = |(offset, (version, id, ts, watermark, partition, score, demand, day))| Row {
            version,
            id,
            ts,
            watermark,
            partition,
            offset,
            score,
            demand,
            day,
        };
        (0..).zip(rows).map(row).collect()
    })
}

fn labels() -> impl Strategy<Value = Vec<Label>> {
    let label = prop::sample::select(vec!["up", "down", "sideways", "1"]);
    // Few different times, so that the place decides between labels.
    let times = (0..6_i64).prop_map(|time| time * 10);
    let label = (ids(), times, 0..60_i64, label, 0..2_i32);
    prop::collection::vec(label, 0..50).prop_map(|labels| {
        let label = |(offset, (id, ts, watermark, label, partition))| Label {
            id,
            ts,
            watermark,
            label,
            partition,
            offset,
        };
        (0..).zip(labels).map(label).collect()
    })
}

fn spans() -> impl Strategy<Value = Span> {
    (0..40_i64, 0..40_i64).prop_map(|(start, length)| Span::new(start, start + length))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

async fn check(log: &Log, cut: &[u8], span: Span, known_by: i64) -> Result<String, TestCaseError> {
    let layout = layout();
    let scratch = Scratch::new();
    scratch.hold(log, cut).await;
    let (lake, store) = (&scratch.lake, &scratch.store);

    let ask = Ask {
        model: MODEL,
        span,
        known_by,
        layout: &layout,
        kind: KIND,
    };
    let found = observations(lake, store, &ask)
        .await
        .expect("a readable lake");
    let (rows, unusable) = log.observations(span, known_by);
    prop_assert_eq!(found.rows, rows);
    let found = found.unusable.into_iter();
    let found = found.map(|(version, unusable)| {
        assert_eq!(unusable.examples.values().sum::<u64>(), unusable.rows);
        (version, unusable.rows)
    });
    prop_assert_eq!(
        found.collect::<std::collections::BTreeMap<_, _>>(),
        unusable
    );

    prop_assert_eq!(
        label_ledger(lake, store, MODEL, span)
            .await
            .expect("a readable lake"),
        log.ledger(span)
    );

    let mut hashes = String::new();
    for version in [None, Some("7")] {
        let ask = TrainingAsk {
            model: MODEL,
            version,
            span,
            known_by,
            layout: &layout,
            kind: KIND,
        };
        let set = training_set(lake, store, &ask)
            .await
            .expect("a readable lake");
        let expect = log.training(version, span, known_by);
        let (rows, of): (Vec<Row>, Vec<_>) = expect.into_iter().unzip();
        prop_assert_eq!(&set.observations, &of);
        let demand: Vec<Option<f64>> = set
            .batch
            .column(2)
            .as_primitive::<Float64Type>()
            .iter()
            .collect();
        prop_assert_eq!(
            demand,
            rows.iter().map(|row| row.demand).collect::<Vec<_>>()
        );
        let days: Vec<Option<&str>> = set.batch.column(3).as_string::<i32>().iter().collect();
        prop_assert_eq!(days, rows.iter().map(|row| row.day).collect::<Vec<_>>());
        let manifest = &set.manifest;
        let sources = |kind: &str| -> u64 {
            let sources = manifest.sources.iter();
            sources
                .filter(|source| source.kind.as_str() == kind)
                .map(|source| source.records)
                .sum()
        };
        prop_assert_eq!(
            (manifest.rows, sources("rows")),
            (rows.len() as u64, rows.len() as u64)
        );
        prop_assert!(sources("labels") <= manifest.labelled);
        let again = training_set_again(lake, store, manifest, &layout, KIND).await;
        prop_assert_eq!(&again.expect("the same lake").manifest, manifest);
        hashes.push_str(&serde_json::to_string(manifest).expect("a manifest is JSON"));
    }
    Ok(hashes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn answers_are_what_the_log_says_however_it_lies_in_the_lake(
        rows in rows(),
        labels in labels(),
        cuts in prop::array::uniform2(prop::collection::vec(0..5_u8, 100)),
        span in spans(),
        known_by in 20..70_i64,
    ) {
        let log = Log { rows, labels };
        let found = cuts.iter().map(|cut| run(check(&log, cut, span, known_by)));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        prop_assert_eq!(&found[0], &found[1]);
    }

    #[test]
    fn ledgers_of_adjoining_spans_add_up(labels in labels(), rows in rows(), at in 0..60_i64) {
        let log = Log { rows, labels };
        let scratch = Scratch::new();
        let ledger = async |span| {
            let found = label_ledger(&scratch.lake, &scratch.store, MODEL, span).await;
            found.expect("a readable lake")
        };
        let (whole, left, right) = run(async {
            scratch.hold(&log, &[0, 1, 2]).await;
            (ledger(Span::new(0, 60)).await, ledger(Span::new(0, at)).await, ledger(Span::new(at, 60)).await)
        });
        prop_assert_eq!(whole.used, log.labels.len() as u64);
        prop_assert_eq!(whole.used, whole.superseded + whole.matched + whole.waiting);
        prop_assert_eq!(whole.used, left.used + right.used);
        prop_assert_eq!(whole.superseded, left.superseded + right.superseded);
        prop_assert_eq!(whole.matched, left.matched + right.matched);
    }
}
