//! A process that dies at any step of any transaction, and is started again, ends with the same rows in every table
//! as one that was never interrupted.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use rusqlite::types::Value;
use rusqlite::{Connection, Transaction};

use super::alerts::{AlertRow, TransitionRow};
use super::commit::{CommitOutcome, commit};
use super::lake::testing::{buffer, labels};
use super::layouts::StoredLayout;
use super::outbox::NewNotification;
use super::performance::{PerformanceBody, PerformanceRow, Stage};
use super::references::ReferenceRow;
use super::scores::RuleScore;
use super::testing::{key, moved, partial, partition, score, window};
use super::{
    Gap, PartialRow, PendingRow, RejectionRow, Store, alerts, failpoint, layouts, leases,
    load_partition, models, outbox, partials, pending, performance, references, windows,
};
use crate::event::{DAY, Reason, Span};
use crate::stats::score::Verdict;

const FOLDER_VARIABLE: &str = "DRIFTLINE_CRASH_TEST_FOLDER";
const SIGABRT: i32 = 6;

/// Reads 20 records of a partition in two commits, gives a learning model its layout, and closes a window: each step
/// only if the store says that it is still to be done, as a restarted service would.
fn go_on(store: &Store) {
    loop {
        let found = store
            .read(|conn| load_partition(conn, &partition(0)))
            .expect("reads");
        let (seq, next) = found.map_or((0, 0), |found| (found.seq, found.next_offset));
        if next >= 20 {
            break;
        }
        let mut one = moved(0, seq, next + 10);
        one.partials = vec![partial(next + 10)];
        one.rejections = vec![RejectionRow {
            offset: next + 9,
            reason: Reason::BadTs,
            model: None,
            detail: String::new(),
            broker_ts: None,
        }];
        one.pending = vec![PendingRow {
            model: "learning".to_string(),
            offset: next + 8,
            ts: 4,
            epoch: 0,
            pane: Span::new(0, DAY),
            watermark: 0,
            payload: b"{}".to_vec(),
        }];
        one.lake = vec![buffer(&labels(next..next + 5, |offset| offset), 0)];
        one.gaps = vec![Gap {
            from_offset: next,
            to_offset: next + 1,
            touched: Vec::new(),
        }];
        let outcome = store.write(move |tx| commit(tx, &[one])).expect("commits");
        assert_eq!(outcome, [CommitOutcome::Done { seq: seq + 1 }]);
    }
    if store
        .read(|conn| pending::size(conn, "learning"))
        .expect("reads")
        .rows
        > 0
    {
        store.write(give_layout).expect("writes");
    }
    let closed = store
        .read(|conn| models::get(conn, "delay"))
        .expect("reads")
        .and_then(|model| model.closed_through);
    if closed.is_none() {
        store.write(close).expect("writes");
    }
}

fn give_layout(tx: &Transaction<'_>) -> super::Result<()> {
    let layout = StoredLayout {
        hash: "layout".to_string(),
        body: "{}".to_string(),
    };
    layouts::insert_if_absent(tx, "learning", &layout)?;
    let mut learned = PartialRow {
        key: key("7"),
        ..partial(0)
    };
    learned.key.model = "learning".to_string();
    pending::for_each(tx, "learning", |_, row| {
        learned.to_offset = row.offset;
        learned.rows += 1;
        Ok(())
    })?;
    partials::replace(tx, &partition(0), &learned)?;
    pending::delete(tx, "learning")?;
    Ok(())
}

fn close(tx: &Transaction<'_>) -> super::Result<()> {
    let lease = leases::acquire(tx, "delay", "holder", 0, DAY)?.expect("nobody else is there");
    leases::check(tx, &lease)?;
    models::declare(tx, "delay", "rules/delay.yaml")?;
    assert!(models::advance(tx, "delay", None, DAY)?);
    let reference = ReferenceRow {
        hash: "reference".to_string(),
        model: "delay".to_string(),
        source: "first: 1d".to_string(),
        span: Some(Span::new(0, DAY)),
        layout_hash: "layout".to_string(),
    };
    references::insert(tx, &reference, b"profile")?;
    assert!(references::bind(tx, "delay", "", None, "reference")?);
    assert_eq!(references::insert_rows(tx, "reference", b"rows")?, b"rows");
    let mut window = window(0, 0);
    window.reference_hash = Some("reference".to_string());
    window.scores = vec![RuleScore {
        rule: "inputs".to_string(),
        score: score("temp", "psi"),
    }];
    windows::insert(tx, &window)?;
    alerts::save(
        tx,
        &AlertRow {
            key: key("7"),
            rule: "inputs".to_string(),
            status: "firing".to_string(),
            since: DAY,
            body: "{}".to_string(),
        },
    )?;
    assert!(alerts::log_transition(
        tx,
        &TransitionRow {
            idempotency_key: "transition".to_string(),
            key: key("7"),
            rule: "inputs".to_string(),
            from_status: "inactive".to_string(),
            to_status: "firing".to_string(),
            at: DAY,
            window: Span::new(0, DAY),
            body: "{}".to_string(),
        }
    )?);
    assert!(outbox::insert(
        tx,
        &NewNotification {
            idempotency_key: "transition".to_string(),
            receiver: "to".to_string(),
            kind: "io.driftline.drift.detected.v1".to_string(),
            model: "delay".to_string(),
            alert: "alert".to_string(),
            created: DAY,
            body: "{}".to_string(),
        }
    )?);
    partials::delete_through(tx, "delay", DAY)?;
    performance::insert(
        tx,
        &PerformanceRow {
            key: key("7"),
            span: Span::new(0, DAY),
            age: DAY,
            stage: Stage::Judged,
            verdict: Verdict::Ok,
            rows: 20,
            labelled: 5,
            body: PerformanceBody::default(),
        },
    )?;
    assert!(performance::advance(tx, "delay", DAY, None, DAY)?);
    Ok(())
}

/// Every row of every table.
fn dump(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let store = Store::open(folder).expect("opens");
    let rows_of = |conn: &Connection, table: &str| -> super::Result<Vec<String>> {
        let mut statement = conn.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let values: Vec<Value> = (0..columns).map(|i| row.get(i)).collect::<Result<_, _>>()?;
            Ok(format!("{values:?}"))
        })?;
        let mut rows: Vec<String> = rows.collect::<Result<_, _>>()?;
        rows.sort();
        Ok(rows)
    };
    store
        .read(|conn| {
            let mut statement =
                conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
            let tables: Vec<String> = statement
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            tables
                .into_iter()
                .map(|table| Ok((table.clone(), rows_of(conn, &table)?)))
                .collect()
        })
        .expect("reads")
}

/// Runs [`go_on`] in a process of its own.
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

#[test]
#[ignore = "started by the crash test, in a process of its own"]
fn goes_on_where_it_was_stopped() {
    let folder = std::env::var_os(FOLDER_VARIABLE).expect("only the crash test starts this");
    go_on(&Store::open(Path::new(&folder)).expect("opens"));
}

#[test]
fn dying_at_any_step_changes_no_row() {
    let whole = tempfile::tempdir().expect("a temporary folder");
    go_on(&Store::open(whole.path()).expect("opens"));
    let expected = dump(whole.path());
    assert!(
        expected.values().filter(|rows| !rows.is_empty()).count() >= 17,
        "the scene fills most tables"
    );

    // The others are passed outside this room.
    let ours = |name: &&&str| {
        !["notify.", "closing.", "retrain.", "lake."]
            .iter()
            .any(|room| name.starts_with(room))
    };
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
            go_on(&Store::open(folder.path()).expect("opens after a crash"));
            assert_eq!(dump(folder.path()), expected, "after dying at {name}:{nth}");
        }
    }
}
