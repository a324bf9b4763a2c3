//! Ending in order, and not starting at all.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::dump;
use crate::processes::wait_until;
use crate::scene::{Assignment, BROKER, LONG, LONG_RUN, SHORT, Scene};

/// What a supervisor waits before it kills: Kubernetes' default is 30 s, and the service promises 20 s.
const GRACE: Duration = Duration::from_secs(20);

/// Time in which some of the log is read.
const READING: Duration = Duration::from_secs(1);

#[test]
fn sigterm_commits_hands_the_lease_back_and_ends_well() {
    let scene = Scene::new(&LONG, &BROKER.address, Assignment::Manual);
    let records = LONG.log.records.len() as u64;
    let mut service = scene.start("first", None);
    service.wait_until("the first records", || {
        dump::settled_records(&scene.data_dir()) > records / 20
    });
    let (status, took) = service.terminate();
    let committed = dump::settled_records(&scene.data_dir());
    println!("ended after {took:.1?} with {committed} of {records} records committed");
    assert!(status.success(), "{status}");
    assert!(took < GRACE, "{took:?}");
    let held = dump::number(
        &scene.data_dir(),
        "SELECT count(*) FROM leases WHERE holder <> ''",
    );
    assert_eq!(held, 0, "a lease was not handed back");

    let mut service = scene.start("second", None);
    service.settle();
    scene.wait_for_delivery();
    service.kill();
    scene.check(&LONG_RUN.dump, "ended by SIGTERM in the middle");
}

#[test]
fn the_last_commit_saves_what_was_read() {
    let mut scene = Scene::new(&SHORT, &BROKER.address, Assignment::Manual);
    // Nothing is committed before the end.
    scene.commit = "every: 1h, rows: 100000000";
    let service = scene.start("once", None);
    wait_until("partitions", || {
        matches!(service.request("GET", "/readyz"), Some((200, _)))
    });
    // Of what is read and not committed nothing shows outside.
    std::thread::sleep(READING);
    assert_eq!(dump::settled_records(&scene.data_dir()), 0);
    let (status, _) = service.terminate();
    assert!(status.success(), "{status}");
    assert!(
        dump::settled_records(&scene.data_dir()) > 0,
        "what was read is lost"
    );
}

#[test]
fn problems_in_the_configuration_are_told_and_nothing_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, data) = (
        folder.path().join("driftline.yaml"),
        folder.path().join("data"),
    );
    let text = format!(
        "kafka: {{assignment: both}}\ndata_dir: {}\nrules: [{}]\ncomit: {{every: 1s}}\n",
        data.display(),
        folder.path().display()
    );
    fs::write(&config, text).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_driftline"))
        .args(["serve", "--config"])
        .arg(&config)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    let file = config.display();
    for (line, words) in [(1, "kafka.assignment"), (4, "comit")] {
        let found = told
            .lines()
            .any(|told| told.starts_with(&format!("{file}:{line}: ")) && told.contains(words));
        assert!(found, "nothing is said of line {line}, {words}:\n{told}");
    }
    assert!(output.stdout.is_empty());
    assert!(!data.exists(), "a store was made all the same");
}
