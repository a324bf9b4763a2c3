//! A process that dies at any step between buffer and sweep, and is started again, leaves the same rows and the same
//! files as one that was never interrupted.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use super::testing::{MODEL, buffer, content, files, labels};
use super::{
    FlushPolicy, Keep, Kind, Lake, ORPHAN_AGE, compact, expire, flush, segments, sweep_dropped,
    sweep_orphans,
};
use crate::event::{DAY, MINUTE, Millis};
use crate::store::testing::{moved, partition};
use crate::store::{Store, failpoint, load_partition};

const FOLDER_VARIABLE: &str = "DRIFTLINE_LAKE_CRASH_TEST_FOLDER";
const SIGABRT: i32 = 6;
/// Wall time stands still; only the age of orphans is measured by a real clock.
const NOW: Millis = 1_000;

fn open(folder: &Path) -> (Store, Lake) {
    let lake = folder.join("lake").display().to_string();
    (
        Store::open(folder).expect("opens"),
        Lake::open(&lake).expect("opens"),
    )
}

/// Reads 60 labels, a day apart, in six commits; each becomes a segment, two of these become one, and what is older
/// than 35 days goes. Each step is done only if the store says that it is still to be done.
async fn go_on(store: &Store, lake: &Lake) {
    let policy = FlushPolicy { rows: 1, age: DAY };
    loop {
        flush(lake, store, policy, NOW).await.expect("flushes");
        compact(lake, store, 20, NOW).await.expect("compacts");
        let found = store
            .read(|conn| load_partition(conn, &partition(0)))
            .expect("reads");
        let (seq, next) = found.map_or((0, 0), |found| (found.seq, found.next_offset));
        if next >= 60 {
            break;
        }
        let mut one = moved(0, seq, next + 10);
        one.lake = vec![buffer(&labels(next..next + 10, |offset| offset * DAY), NOW)];
        store
            .write(move |tx| crate::store::commit(tx, &[one]))
            .expect("commits");
    }
    let keep = Keep {
        age: 35 * DAY,
        bytes: u64::MAX,
    };
    expire(store, keep, NOW).await.expect("expires");
    sweep_dropped(lake, store, 0, NOW).await.expect("sweeps");
}

/// The rows, and whether the files are those of the catalogue.
async fn outcome(store: &Store, lake: &Lake) -> (Vec<String>, bool) {
    let age = ORPHAN_AGE + MINUTE;
    let wall = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let then = Millis::try_from(wall.as_millis()).expect("not that late") + age;
    sweep_orphans(lake, store, then).await.expect("sweeps");
    let mut named: Vec<String> = store
        .read(|conn| segments(conn, Kind::Labels, MODEL, Millis::MIN..Millis::MAX))
        .expect("reads")
        .into_iter()
        .map(|segment| segment.path)
        .collect();
    named.sort();
    (
        content(lake, store, Kind::Labels).await,
        named == files(lake).await,
    )
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

#[tokio::test]
#[ignore = "started by the crash test, in a process of its own"]
async fn goes_on_where_it_was_stopped() {
    let folder = std::env::var_os(FOLDER_VARIABLE).expect("only the crash test starts this");
    let (store, lake) = open(Path::new(&folder));
    go_on(&store, &lake).await;
}

#[tokio::test]
async fn dying_at_any_step_changes_no_row_and_leaves_no_file() {
    let whole = tempfile::tempdir().expect("a temporary folder");
    let (store, lake) = open(whole.path());
    go_on(&store, &lake).await;
    let expected = outcome(&store, &lake).await;
    // The first 20 are older than 35 days before day 59.
    assert_eq!((expected.0.len(), expected.1), (40, true));

    let ours = |name: &&&str| name.starts_with("lake.") || **name == "commit.after_lake";
    for name in failpoint::NAMES.iter().filter(ours) {
        for nth in [1, 2] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let status = in_a_child(folder.path(), &format!("{name}:{nth}"));
            // Some points are passed only once.
            let ran_through = nth > 1 && status.success();
            assert!(
                ran_through || status.signal() == Some(SIGABRT),
                "{name}:{nth} ended with {status}"
            );
            let (store, lake) = open(folder.path());
            go_on(&store, &lake).await;
            let found = outcome(&store, &lake).await;
            assert_eq!(found, expected, "after dying at {name}:{nth}");
        }
    }
}
