//! SIGKILL at random moments, and the final metrics are still those of one computation over the clean table.

use std::sync::LazyLock;

use driftline::event::{Millis, Span};
use driftline::query::label_ledger;
use driftline::store::lake::Lake;
use driftline::store::performance::{self, PerformanceFilter};
use driftline::store::{Store, cursors};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::clean_table::{self, check_counts, check_metrics};
use crate::dump;
use crate::kills::kill_again_and_again;
use crate::log::{Log, Record, produce};
use crate::processes::Broker;
use crate::scene::{Assignment, Play, Scene, empty_broker};

const PARTITIONS: i32 = 4;

struct Told {
    table: clean_table::Table,
    log: clean_table::Log,
}

static TOLD: LazyLock<Told> = LazyLock::new(|| {
    let mut rng = Pcg64::seed_from_u64(11);
    let table = clean_table::table(&mut rng);
    let log = clean_table::log(&table, &mut rng);
    Told { table, log }
});

/// All rows, and behind them all labels: most of the reading is done before the first label is joined.
pub static LABELLED: LazyLock<Play> = LazyLock::new(|| {
    let rows = TOLD.table.predictions.iter();
    let rows = rows.map(|row| Record::given(true, &row.id, row.ts, row.record(), PARTITIONS));
    let labels = TOLD.log.labels.iter();
    let labels =
        labels.map(|label| Record::given(false, &label.id, label.ts, label.record(), PARTITIONS));
    Play {
        log: Log::given(rows.chain(labels).collect()),
        topic: "labelled",
        partitions: PARTITIONS,
        declarations: clean_table::DECLARATION,
        reference: "",
        columns: "",
    }
});

/// Results of both versions: the windows that the log lets grow an hour, six hours, one, two and five days old.
const RESULTS: f64 = 2.0 * (15.0 + 15.0 + 14.0 + 13.0 + 10.0);

/// A broker with the whole log, which must outlive what is read from it, and a scene on it.
fn scene() -> (Broker, Scene) {
    let broker = empty_broker(&[&LABELLED]);
    produce(&broker.address, LABELLED.topic, &LABELLED.log.records);
    let scene = Scene::new(&LABELLED, &broker.address, Assignment::Manual);
    (broker, scene)
}

/// A scene in which all was read, joined and judged.
pub fn read_without_kills() -> Scene {
    let (_broker, scene) = scene();
    let mut service = scene.start("uninterrupted", None);
    service.settle();
    let (status, _) = service.terminate();
    assert!(status.success(), "{status}");
    scene
}

#[test]
fn twenty_kills_leave_the_final_metrics_of_a_batch() {
    let (_broker, scene) = scene();
    let records = LABELLED.log.records.len() as f64;
    kill_again_and_again(&scene, || {
        let results = dump::number(&scene.data_dir(), "SELECT count(*) FROM performance");
        0.5 * dump::settled_records(&scene.data_dir()) as f64 / records
            + 0.5 * results as f64 / RESULTS
    });
    let mut service = scene.start("last", None);
    service.settle();
    let (status, _) = service.terminate();
    assert!(status.success(), "{status}");

    let store = Store::open(&scene.data_dir()).expect("opens");
    let lake = scene.data_dir().join("lake");
    let lake = Lake::open(&lake.display().to_string()).expect("a lake in a folder");
    let filter = PerformanceFilter {
        model: Some("delay".to_owned()),
        ..PerformanceFilter::default()
    };
    let (results, counts) = store
        .read(|conn| {
            let results = performance::list(conn, &filter, u32::MAX)?;
            Ok((results, cursors::totals(conn)?))
        })
        .expect("readable");
    assert_eq!(
        results.len() as f64,
        RESULTS,
        "the progress was measured by this"
    );
    let all = Span::new(0, Millis::MAX);
    let ledger = tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(label_ledger(&lake, &store, "delay", all))
        .expect("the lake is readable");
    assert_eq!(counts.rejected + counts.late, 0);
    check_metrics(&TOLD.table, &results);
    check_counts(
        &TOLD.table,
        &TOLD.log,
        ledger,
        counts.used,
        counts.duplicate,
    );
}
