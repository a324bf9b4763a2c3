use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};

use super::*;
use crate::event::{DAY, HOUR, Reason};
use crate::ingest::decode::observe;
use crate::profile::{ColumnRules, Layout, Sample};
use crate::rules::{self, Declarations, Rows};
use crate::store::testing::scratch;
use crate::store::{CommitOutcome, gaps, load_partition};

/// A Tuesday in 2026.
const START: Millis = 1_767_657_600_000;

/// A model `m` whose rows are kept like this, with a layout of its own.
fn catalogue(rows: Rows) -> Arc<Catalogue> {
    let mut declared = rules::parse("m.yaml", "model: m\ntask: none\nwindow: {every: 1d}\n")
        .expect("a declaration");
    declared[0].rows = rows;
    let declarations = Declarations::new(declared).expect("one declaration");
    let catalogue = Arc::new(Catalogue::new(declarations));
    let mut sample = Sample::new();
    for i in 0..2_000 {
        observe(prediction(i, START, "1").as_bytes(), &mut sample);
    }
    catalogue.set_layout("m", Layout::learn(&sample, &ColumnRules::default()));
    catalogue
}

fn prediction(i: i64, ts: Millis, version: &str) -> String {
    format!(
        r#"{{"model":"m","version":"{version}","id":"{i}","ts":{ts},"features":{{"x":{},"c":"k{}"}}}}"#,
        i as f64 / 8.0,
        i % 3
    )
}

fn label(i: i64, ts: Millis) -> String {
    format!(r#"{{"model":"m","id":"{i}","ts":{ts},"label":{}}}"#, i % 2)
}

/// A partition on a store, as a reading thread holds it.
struct Bench {
    _dir: tempfile::TempDir,
    store: Store,
    catalogue: Arc<Catalogue>,
    state: PartitionState,
    kind: RecordKind,
}

impl Bench {
    fn new(kind: RecordKind, rows: Rows) -> Self {
        let (dir, store) = scratch();
        let catalogue = catalogue(rows);
        let state = load(&store, &catalogue, kind);
        Self {
            _dir: dir,
            store,
            catalogue,
            state,
            kind,
        }
    }

    /// Reads records at the offsets from `from` on.
    fn read(&mut self, from: i64, records: &[String]) -> Vec<Rejection> {
        let mut rejected = Vec::new();
        for (offset, record) in (from..).zip(records) {
            rejected.extend(self.state.push(&Message {
                offset,
                payload: Some(record.as_bytes()),
                broker_ts: None,
                latest_ts: Millis::MAX - DAY,
            }));
        }
        self.state.absorb().expect("absorbed");
        rejected
    }

    fn commit(&mut self, now: Millis) -> PartitionCommit {
        let commit = self.state.commit(now).expect("a commit");
        let written = commit.clone();
        let outcome = self
            .store
            .write(move |tx| crate::store::commit(tx, &[written]))
            .expect("written");
        let [CommitOutcome::Done { seq }] = outcome[..] else {
            panic!("{outcome:?}");
        };
        self.state.committed(&commit, seq);
        commit
    }

    /// The process dies and another takes the partition up.
    fn restart(&mut self) {
        self.state = load(&self.store, &self.catalogue, self.kind);
    }

    fn kept(&self) -> Vec<RecordBatch> {
        let kind = match self.kind {
            RecordKind::Predictions => lake::Kind::Rows,
            RecordKind::Labels => lake::Kind::Labels,
        };
        self.store
            .read(|conn| lake::buffered(conn, kind, "m", Millis::MIN..Millis::MAX))
            .expect("reads")
    }
}

fn partition() -> Partition {
    Partition {
        topic: "t".into(),
        partition: 0,
    }
}

fn load(store: &Store, catalogue: &Arc<Catalogue>, kind: RecordKind) -> PartitionState {
    PartitionState::load(
        partition(),
        kind,
        0,
        store
            .read(|conn| load_partition(conn, &partition()))
            .expect("reads"),
        &Limits::default(),
        &DedupeSpec::default(),
        store.clone(),
        Arc::clone(catalogue),
    )
}

fn whole(batches: &[RecordBatch], column: &str) -> Vec<i64> {
    let values = |batch: &RecordBatch| batch[column].as_primitive::<Int64Type>().values().to_vec();
    batches.iter().flat_map(values).collect()
}

fn texts(batches: &[RecordBatch], column: &str) -> Vec<Option<String>> {
    let values = |batch: &RecordBatch| -> Vec<Option<String>> {
        let column = batch[column].as_string::<i32>();
        column.iter().map(|text| text.map(str::to_owned)).collect()
    };
    batches.iter().flat_map(values).collect()
}

#[test]
fn used_rows_are_kept_with_the_watermark_before_them() {
    let mut bench = Bench::new(RecordKind::Predictions, Rows::All);
    let late = prediction(4, START - 10 * DAY, "1");
    let rejected = bench.read(
        0,
        &[
            prediction(1, START, "1"),
            prediction(1, START, "1"),
            prediction(2, START + 2 * HOUR, "2"),
            r#"{"model":"m","ts":1767657600000,"features":{"x":null}}"#.into(),
            late,
            r#"{"model":"m","id":9}"#.into(),
            prediction(3, START + HOUR, "1"),
        ],
    );
    assert_eq!(rejected.len(), 1);
    let commit = bench.commit(77);
    assert_eq!(commit.lake.len(), 1);
    assert_eq!((commit.lake[0].created_wall, commit.lake[0].rows), (77, 4));
    assert_eq!(
        (commit.lake[0].from_offset, commit.lake[0].to_offset),
        (0, 6)
    );
    let rows = bench.kept();
    assert_eq!(whole(&rows, "offset"), [0, 2, 3, 6]);
    let ids: Vec<Option<String>> = ["1", "2", "", "3"]
        .map(|id| (!id.is_empty()).then(|| id.to_owned()))
        .to_vec();
    assert_eq!(texts(&rows, "id"), ids);
    let versions = ["1", "2", "", "1"].map(|version| Some(version.to_owned()));
    assert_eq!(texts(&rows, "version"), versions);
    assert_eq!(
        whole(&rows, "watermark"),
        [Millis::MIN, START - HOUR, START + HOUR, START + HOUR]
    );
    let x = rows[0]["x"].as_primitive::<Float64Type>();
    assert_eq!(x.values()[..2], [0.125, 0.25]);
    assert!(x.is_null(2) && x.value(3) == 0.375);
    assert!(bench.commit(78).lake.is_empty());
}

#[test]
fn a_row_is_kept_once_however_often_it_is_read() {
    let mut bench = Bench::new(RecordKind::Predictions, Rows::All);
    let records: Vec<String> = (0..20)
        .map(|i| prediction(i % 15, START + i, "1"))
        .collect();
    bench.read(0, &records[..7]);
    bench.commit(0);
    bench.read(7, &records[7..12]);
    bench.restart();
    let from = bench.state.next_offset();
    assert!(from <= 7, "{from}");
    bench.read(from, &records[from as usize..]);
    bench.commit(0);
    assert_eq!(whole(&bench.kept(), "offset"), (0..15).collect::<Vec<_>>());
    assert_eq!(bench.state.counts().used, 15);
}

#[test]
fn models_that_keep_no_rows_fill_no_lake() {
    for kind in RecordKind::ALL {
        let mut bench = Bench::new(kind, Rows::None);
        let record = match kind {
            RecordKind::Predictions => prediction(1, START, "1"),
            RecordKind::Labels => label(1, START),
        };
        bench.read(0, &[record]);
        assert!(bench.commit(0).lake.is_empty(), "{kind}");
        assert_eq!(bench.state.counts().used, 1, "{kind}");
    }
}

#[test]
fn a_sample_keeps_rows_and_labels_of_the_same_ids() {
    let of = |kind: RecordKind, record: fn(i64) -> String| {
        let mut bench = Bench::new(kind, Rows::Sample(0.3));
        let records: Vec<String> = (0..300).map(record).collect();
        bench.read(0, &records);
        bench.commit(0);
        assert_eq!(bench.state.counts().used, 300);
        let mut ids = texts(&bench.kept(), "id");
        ids.sort();
        ids
    };
    let rows = of(RecordKind::Predictions, |i| prediction(i, START + i, "1"));
    assert!((50..130).contains(&rows.len()), "{}", rows.len());
    assert_eq!(rows, of(RecordKind::Labels, |i| label(299 - i, START + i)));
}

#[test]
fn labels_are_used_or_duplicate_but_never_late() {
    let mut bench = Bench::new(RecordKind::Labels, Rows::All);
    let correction = label(1, START).replace(r#""label":1"#, r#""label":0"#);
    let rejected = bench.read(
        0,
        &[
            label(1, START),
            label(2, START + 3 * DAY),
            // Days behind the watermark.
            label(3, START - 20 * DAY),
            label(2, START + 3 * DAY),
            correction,
            r#"{"model":"m","id":"4","ts":1767657600000}"#.into(),
            r#"{"model":"stranger","id":"4","ts":1767657600000,"label":1}"#.into(),
        ],
    );
    let reasons: Vec<Reason> = rejected.iter().map(|rejection| rejection.reason).collect();
    assert_eq!(reasons, [Reason::MissingLabel, Reason::UndeclaredModel]);
    let expect = Counts {
        used: 4,
        late: 0,
        duplicate: 1,
        rejected: 2,
    };
    assert_eq!(*bench.state.counts(), expect);
    let commit = bench.commit(0);
    assert_eq!(commit.kind, RecordKind::Labels);
    assert_eq!(commit.streams[0].kind, RecordKind::Labels);
    assert_eq!(commit.streams[0].watermark, START + 3 * DAY - HOUR);
    assert!(commit.partials.is_empty());
    let labels = bench.kept();
    assert_eq!(whole(&labels, "offset"), [0, 1, 2, 4]);
    assert_eq!(
        whole(&labels, "watermark"),
        [
            Millis::MIN,
            START - HOUR,
            START + 3 * DAY - HOUR,
            START + 3 * DAY - HOUR
        ]
    );
    let (predictions, of_labels) = bench
        .store
        .read(|conn| {
            Ok((
                streams::of_model(conn, "m")?,
                streams::labels_of_model(conn, "m")?,
            ))
        })
        .expect("reads");
    assert_eq!((predictions.len(), of_labels.len()), (0, 1));
    let totals = |kind| {
        bench
            .store
            .read(|conn| crate::store::cursors::totals_of_kind(conn, kind))
            .expect("reads")
    };
    assert_eq!(totals(RecordKind::Labels), expect);
    assert_eq!(totals(RecordKind::Predictions), Counts::default());
}

#[test]
fn a_restart_changes_no_labels_fate() {
    let records: Vec<String> = (0..60)
        .map(|i| label(i * 7 % 20, START + (i * 7 % 20) * 1_000))
        .collect();
    let mut straight = Bench::new(RecordKind::Labels, Rows::All);
    straight.read(0, &records);
    straight.commit(0);
    for cut in [1, 13, 20, 21, 45, 59] {
        let mut bench = Bench::new(RecordKind::Labels, Rows::All);
        bench.read(0, &records[..cut]);
        bench.commit(0);
        bench.restart();
        let from = bench.state.next_offset();
        bench.read(from, &records[from as usize..]);
        bench.commit(0);
        assert_eq!(bench.state.counts(), straight.state.counts(), "{cut}");
        for column in ["offset", "watermark", "ts"] {
            let (found, expect) = (bench.kept(), straight.kept());
            assert_eq!(
                whole(&found, column),
                whole(&expect, column),
                "{cut}: {column}"
            );
        }
    }
}

#[test]
fn a_gap_in_labels_touches_no_window_of_predictions() {
    let mut bench = Bench::new(RecordKind::Labels, Rows::All);
    bench.read(0, &[label(1, START)]);
    bench.commit(0);
    bench.state.log_begins_at(10);
    bench.commit(0);
    bench.read(10, &[label(2, START + 2 * DAY)]);
    bench.commit(0);
    let (of_predictions, of_labels, beyond) = bench
        .store
        .read(|conn| {
            let span = Span::new(START + DAY, START + 2 * DAY);
            let beyond = Span::new(START + 3 * DAY, START + 4 * DAY);
            Ok((
                gaps::touching(conn, "m", span)?,
                gaps::labels_touching(conn, "m", span)?,
                gaps::labels_touching(conn, "m", beyond)?,
            ))
        })
        .expect("reads");
    assert!(of_predictions.is_empty());
    assert_eq!(of_labels[0].1.offsets(), 9);
    assert!(beyond.is_empty());
}

#[test]
fn labels_of_an_added_partition_come_after_what_was_computed() {
    let mut bench = Bench::new(RecordKind::Labels, Rows::All);
    bench
        .store
        .write(|tx| {
            tx.execute(
                "INSERT INTO performance_progress (model, age, through) VALUES ('m', 10, 500), ('m', 3, 505)",
                [],
            )?;
            Ok(())
        })
        .expect("written");
    bench.read(0, &[label(1, START)]);
    bench.commit(0);
    assert_eq!(whole(&bench.kept(), "watermark"), [510]);
}

#[test]
fn a_partition_keeps_its_kind() {
    let mut bench = Bench::new(RecordKind::Labels, Rows::All);
    bench.read(0, &[label(1, START)]);
    bench.commit(0);
    bench.kind = RecordKind::Predictions;
    bench.state = PartitionState::load(
        partition(),
        RecordKind::Predictions,
        0,
        bench
            .store
            .read(|conn| load_partition(conn, &partition()))
            .expect("reads"),
        &Limits::default(),
        &DedupeSpec::default(),
        bench.store.clone(),
        Arc::clone(&bench.catalogue),
    );
    bench.read(1, &[prediction(1, START, "1")]);
    let commit = bench.state.commit(0).expect("a commit");
    let outcome = bench
        .store
        .write(move |tx| crate::store::commit(tx, &[commit]))
        .expect("answers");
    assert!(
        matches!(outcome[..], [CommitOutcome::Conflict { .. }]),
        "{outcome:?}"
    );
}
