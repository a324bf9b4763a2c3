//! Files that vanish, labels that say nothing, and data that is no longer there.

use super::log::{Label, MODEL, Row, Scratch, labels_batch, layout, rows_batch};
use crate::event::Span;
use crate::performance::Kind;
use crate::query::lake::snapshot::{Attempts, Snapshot};
use crate::query::{
    Ask, DataManifest, QueryError, TrainingAsk, observations, training_set, training_set_again,
};
use crate::store::lake::Kind as Records;

const KIND: Kind<'static> = Kind::Binary { positive: "up" };

fn row(offset: i64, id: &str) -> Row {
    Row {
        version: "7",
        id: Some(id.to_owned()),
        ts: offset,
        watermark: 0,
        partition: 0,
        offset,
        score: 0.25,
        demand: Some(1.5),
        day: Some("mon"),
    }
}

fn label(offset: i64, id: &str, label: &'static str) -> Label {
    Label {
        id: id.to_owned(),
        ts: 50,
        watermark: 0,
        label,
        partition: 1,
        offset,
    }
}

async fn train(scratch: &Scratch) -> Result<DataManifest, QueryError> {
    let layout = layout();
    let ask = TrainingAsk {
        model: MODEL,
        version: Some("7"),
        span: Span::new(0, 40),
        known_by: 100,
        layout: &layout,
        kind: KIND,
    };
    let set = training_set(&scratch.lake, &scratch.store, &ask).await?;
    Ok(set.manifest)
}

async fn again(scratch: &Scratch, manifest: &DataManifest) -> Result<DataManifest, QueryError> {
    let set = training_set_again(&scratch.lake, &scratch.store, manifest, &layout(), KIND).await?;
    Ok(set.manifest)
}

/// A query that is slower than the grace of dropped files begins again; it never answers with what is left.
#[tokio::test]
async fn a_question_is_asked_again_when_a_file_vanishes_under_it() {
    let scratch = Scratch::new();
    let old = scratch
        .segment(Records::Rows, &rows_batch(&[row(1, "a")]))
        .await;
    let before = Snapshot::read(&scratch.store, MODEL, 0..40, 0..40)
        .await
        .expect("a store");
    let failed = || {
        let cause = datafusion::error::DataFusionError::External("gone".into());
        Err::<u8, _>(QueryError::lake(cause))
    };
    let settle = async |attempts: &mut Attempts| {
        attempts
            .settle(&scratch.store, MODEL, &before, failed())
            .await
    };
    let mut attempts = Attempts::default();
    let error = settle(&mut attempts)
        .await
        .expect_err("the catalogue still has the file");
    assert!(matches!(error, QueryError::Lake { .. }), "{error}");

    // Compacted meanwhile.
    scratch
        .segment(Records::Rows, &rows_batch(&[row(1, "a")]))
        .await;
    scratch.drop_segment(&old).await;
    let mut attempts = Attempts::default();
    for _ in 0..4 {
        assert!(matches!(settle(&mut attempts).await, Ok(None)));
    }
    let error = settle(&mut attempts)
        .await
        .expect_err("enough is enough")
        .to_string();
    assert_eq!(
        error,
        "the lake of model \"power\" lost files 5 times while it was read: External error: gone; ask for a shorter \
         time, or ask again when the machine is less busy"
    );
}

#[tokio::test]
async fn a_label_that_says_nothing_is_shown() {
    let scratch = Scratch::new();
    scratch
        .segment(
            Records::Rows,
            &rows_batch(&[row(1, "a"), row(2, "b"), row(3, "c")]),
        )
        .await;
    let labels = [
        label(1, "a", "up"),
        label(2, "b", "true"),
        label(3, "c", "sideways"),
    ];
    scratch.buffer(Records::Labels, 1, &labels_batch(&labels));
    let layout = layout();
    let ask = Ask {
        model: MODEL,
        span: Span::new(0, 40),
        known_by: 100,
        layout: &layout,
        kind: KIND,
    };
    let found = observations(&scratch.lake, &scratch.store, &ask)
        .await
        .expect("readable");
    let truths: Vec<Option<&str>> = found
        .rows
        .iter()
        .map(|row| row.truth.as_ref().and_then(|truth| truth.class.as_deref()))
        .collect();
    assert_eq!(truths, [Some("up"), None, None]);
    let unusable = &found.unusable["7"];
    assert_eq!(unusable.rows, 2);
    let examples: Vec<(&str, u64)> = unusable
        .examples
        .iter()
        .map(|(text, rows)| (text.as_str(), *rows))
        .collect();
    assert_eq!(examples, [("sideways", 1), ("true", 1)]);
}

#[tokio::test]
async fn a_manifest_proves_its_data_and_names_what_is_gone() {
    let scratch = Scratch::new();
    let kept = [
        row(1, "a"),
        row(2, "b"),
        Row {
            offset: 9,
            ..row(2, "b")
        },
    ];
    scratch.segment(Records::Rows, &rows_batch(&kept)).await;
    let lost = scratch
        .segment(Records::Rows, &rows_batch(&[row(3, "c"), row(4, "d")]))
        .await;
    let labels = [
        label(1, "a", "up"),
        label(2, "c", "down"),
        label(3, "x", "up"),
    ];
    scratch
        .segment(Records::Labels, &labels_batch(&labels))
        .await;

    let manifest = train(&scratch).await.expect("a readable lake");
    let shown = serde_json::to_value(&manifest).expect("a manifest is JSON");
    let layout_hash = layout().hash().to_owned();
    let expect = serde_json::json!({
        "model": "power", "version": "7", "span": {"start": 0, "end": 40}, "known_by": 100,
        "layout_hash": layout_hash, "rows": 4, "labelled": 2, "repeated": 1,
        "sources": [
            {"kind": "rows", "topic": "power-log", "partition": 0, "from_offset": 1, "to_offset": 4, "records": 4},
            {"kind": "labels", "topic": "truth", "partition": 1, "from_offset": 1, "to_offset": 2, "records": 2},
        ],
        // Made from the documented encoding by another program.
        "hash": "15834fd54cc3fdc66c4cbcfeb3c012f7346d1616278e5656bb7e9417f635a026",
    });
    assert_eq!(shown, expect);
    assert_eq!(
        again(&scratch, &manifest).await.expect("nothing changed"),
        manifest
    );

    let forged = DataManifest {
        hash: "0".repeat(64),
        ..manifest.clone()
    };
    let error = again(&scratch, &forged)
        .await
        .expect_err("another hash")
        .to_string();
    let expect = format!(
        "model \"power\": the manifest lists data with hash {}, the lake has data with hash {} in its place; check that \
         the manifest belongs to this lake",
        forged.hash, manifest.hash
    );
    assert_eq!(error, expect);

    scratch.drop_segment(&lost).await;
    let error = again(&scratch, &manifest)
        .await
        .expect_err("rows are gone")
        .to_string();
    assert_eq!(
        error,
        "the lake of model \"power\" no longer has what the manifest lists: rows of power-log/0, offsets 1 to 4: 2 of 4 \
         are left; labels of truth/1, offsets 1 to 2: 1 of 2 are left; train anew on what is left, or keep rows longer \
         (`lake.keep`)"
    );
}
