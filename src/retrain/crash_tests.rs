//! A process that dies at any step between request and promotion, and is started again, ends with the same registry,
//! the same champion and the same notifications as one that was never interrupted: a key promotes once.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use super::receiver::Signed;
use super::testing::{self, Hand, MODEL, NOW, World, declaration};
use super::{Worker, run};
use crate::event::{DAY, Key, Span};
use crate::rules::{AlertState, AlertStatus};
use crate::store::alerts::{self, AlertRow};
use crate::store::{Store, failpoint, outbox, registry, runs};

const FOLDER_VARIABLE: &str = "DRIFTLINE_RETRAIN_CRASH_TEST_FOLDER";
const SIGABRT: i32 = 6;

/// Asks, and works until the run has ended: each step only if the store says that it is still to be done.
async fn go_on(folder: &Path) {
    let store = Store::open(folder).expect("opens");
    let retraining = testing::of(folder, store, &declaration("promote"), &Hand::new(NOW));
    let sent = testing::sent("k1", "promote", NOW);
    let signed = Signed {
        id: Some(&sent.id),
        timestamp: Some(&sent.timestamp),
        signature: Some(&sent.signature),
    };
    retraining
        .receive(signed, sent.body.as_bytes())
        .await
        .expect("the store works")
        .expect("taken, or known");
    let worker = Worker::new(retraining.clone(), "w".to_owned(), |_| true);
    while retraining
        .run(&run::id_of("k1"))
        .await
        .expect("there")
        .status()
        .is_active()
    {
        worker.step().await.expect("works");
    }
}

/// A folder with the world and an alert that is firing.
fn prepared() -> tempfile::TempDir {
    let World {
        dir, retraining, ..
    } = World::new("promote");
    let state = AlertState {
        status: AlertStatus::Firing,
        since: 50 * DAY,
        episode_start: Some(Span::new(49 * DAY, 50 * DAY)),
        ..AlertState::default()
    };
    let row = AlertRow {
        key: Key {
            model: MODEL.to_owned(),
            version: "1".to_owned(),
            segment: String::new(),
        },
        rule: "loss".to_owned(),
        status: state.status.as_str().to_owned(),
        since: state.since,
        body: serde_json::to_string(&state).expect("JSON"),
    };
    retraining
        .store()
        .write(move |tx| alerts::save(tx, &row))
        .expect("writes");
    dir
}

/// All that a run leaves behind, but for the number of its attempts.
fn dump(folder: &Path) -> BTreeMap<&'static str, Vec<String>> {
    let store = Store::open(folder).expect("opens");
    store
        .read(|conn| {
            let runs = runs::list(conn, None, None, 100)?;
            let files = registry::files_of(conn, None)?;
            let told = outbox::latest(conn, 100)?;
            let moves = registry::moves(conn, MODEL)?;
            Ok(BTreeMap::from([
                (
                    "runs",
                    runs.iter()
                        .map(|run| format!("{} {}", run.key, run.status.as_str()))
                        .collect(),
                ),
                (
                    "files",
                    files.iter().map(|file| format!("{file:?}")).collect(),
                ),
                (
                    "moves",
                    moves.iter().map(|moved| format!("{moved:?}")).collect(),
                ),
                (
                    "champions",
                    vec![format!("{:?}", registry::champion(conn, MODEL)?)],
                ),
                (
                    "alerts",
                    alerts::list(conn, None, None)?
                        .iter()
                        .map(|row| format!("{row:?}"))
                        .collect(),
                ),
                (
                    "transitions",
                    alerts::transitions(conn, None, 100)?
                        .iter()
                        .map(|row| format!("{row:?}"))
                        .collect(),
                ),
                (
                    "told",
                    told.iter()
                        .map(|row| format!("{:?}", row.notification))
                        .collect(),
                ),
            ]))
        })
        .expect("reads")
}

fn in_a_child(folder: &Path, failpoint: &str) -> ExitStatus {
    let (_, room) = module_path!()
        .split_once("::")
        .expect("the crate's name comes first");
    Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "--ignored",
            &format!("{room}::goes_on_where_it_was_stopped"),
        ])
        .env(FOLDER_VARIABLE, folder)
        .env("DRIFTLINE_FAILPOINT", failpoint)
        .output()
        .expect("starts")
        .status
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the crash test, in a process of its own"]
async fn goes_on_where_it_was_stopped() {
    let folder = std::env::var_os(FOLDER_VARIABLE).expect("only the crash test starts this");
    go_on(Path::new(&folder)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(debug_assertions), ignore = "release builds have no failpoints")]
async fn dying_at_any_step_promotes_once() {
    let whole = prepared();
    go_on(whole.path()).await;
    let expected = dump(whole.path());
    assert_eq!(expected["moves"].len(), 2, "registered and promoted");
    assert_eq!(expected["told"].len(), 3, "{:?}", expected["told"]);

    let ours = failpoint::NAMES
        .iter()
        .filter(|name| name.starts_with("retrain."));
    let mut points: Vec<String> = ours.map(|name| format!("{name}:1")).collect();
    points.extend((1..=3).flat_map(|nth| {
        ["store.before_commit", "store.after_commit"].map(|name| format!("{name}:{nth}"))
    }));
    points.extend(["alerts.after_save", "outbox.after_insert"].map(|name| format!("{name}:1")));
    for point in points {
        let folder = prepared();
        let status = in_a_child(folder.path(), &point);
        assert_eq!(
            status.signal(),
            Some(SIGABRT),
            "{point} ended with {status}"
        );
        go_on(folder.path()).await;
        assert_eq!(dump(folder.path()), expected, "after dying at {point}");
    }
}
