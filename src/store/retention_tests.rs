use super::*;
use crate::event::{DAY, Reason};
use crate::store::references::{self, ReferenceRow};
use crate::store::testing::{moved, partition, scratch, window};
use crate::store::{RejectionRow, Store, commit, rejections, windows};

fn run(store: &Store, policy: Policy, limit: u32) -> Swept {
    store
        .write(move |tx| sweep(tx, &policy, limit))
        .expect("sweeps")
}

fn reference(store: &Store, hash: &'static str) {
    store
        .write(move |tx| {
            let row = ReferenceRow {
                hash: hash.to_string(),
                model: "delay".to_string(),
                source: "trailing: 8".to_string(),
                span: None,
                layout_hash: "layout".to_string(),
            };
            references::insert(tx, &row, b"profile")
        })
        .expect("writes");
}

#[test]
fn without_a_policy_only_unused_references_go() {
    let (_dir, store) = scratch();
    for hash in ["unused", "named", "bound"] {
        reference(&store, hash);
        let kept = store.write(move |tx| references::insert_rows(tx, hash, b"rows"));
        assert_eq!(kept.expect("writes"), b"rows");
    }
    store
        .write(|tx| {
            references::bind(tx, "delay", "", None, "bound")?;
            windows::insert(
                tx,
                &windows::NewWindow {
                    reference_hash: Some("named".to_string()),
                    ..window(0, 0)
                },
            )
        })
        .expect("writes");
    assert_eq!(
        run(&store, Policy::default(), 10),
        Swept {
            references: 1,
            ..Swept::default()
        }
    );
    let left = store
        .read(|conn| references::of_model(conn, "delay"))
        .expect("reads");
    assert_eq!(
        left.iter().map(|row| row.hash.as_str()).collect::<Vec<_>>(),
        ["bound", "named"]
    );
    let rows = |hash: &'static str| store.read(move |conn| references::rows(conn, hash));
    assert_eq!(rows("unused").expect("reads"), None);
    assert_eq!(rows("named").expect("reads"), Some(b"rows".to_vec()));
}

#[test]
fn results_go_oldest_first_a_bounded_number_at_a_time() {
    let (_dir, store) = scratch();
    for day in 0..5 {
        store
            .write(move |tx| windows::insert(tx, &window(day, 0)))
            .expect("writes");
    }
    let policy = Policy {
        results_before: Some(4 * DAY),
        ..Policy::default()
    };
    assert_eq!(run(&store, policy.clone(), 2).results, 2);
    assert_eq!(run(&store, policy.clone(), 2).results, 1);
    assert!(!run(&store, policy, 2).any());
    let left = store
        .read(|conn| windows::latest(conn, &Default::default(), 10))
        .expect("reads");
    assert_eq!(
        left.iter()
            .map(|row| row.span.start / DAY)
            .collect::<Vec<_>>(),
        [4, 3]
    );
}

#[test]
fn profiles_go_by_age_and_by_size_while_results_stay() {
    let (_dir, store) = scratch();
    for day in 0..3 {
        let big = windows::NewWindow {
            profile: vec![7; 100_000],
            ..window(day, 0)
        };
        store
            .write(move |tx| windows::insert(tx, &big))
            .expect("writes");
    }
    let before = store.read(size).expect("reads");
    assert_eq!(
        run(
            &store,
            Policy {
                profiles_before: Some(DAY + 1),
                ..Policy::default()
            },
            10
        )
        .profiles,
        1
    );
    let roomy = Policy {
        bytes_kept: Some(1 << 30),
        ..Policy::default()
    };
    assert_eq!(run(&store, roomy, 10).profiles, 0);
    let tight = Policy {
        bytes_kept: Some(250_000),
        ..Policy::default()
    };
    assert_eq!(run(&store, tight, 1).profiles, 1);
    let after = store.read(size).expect("reads");
    assert!(
        after.used_bytes + 190_000 < before.used_bytes,
        "{before:?} → {after:?}"
    );
    assert_eq!(
        store
            .read(|conn| windows::latest(conn, &Default::default(), 10))
            .expect("reads")
            .len(),
        3
    );
}

#[test]
fn rejections_stay_while_a_restart_or_the_dead_letter_topic_needs_them() {
    let (_dir, store) = scratch();
    let mut one = moved(0, 0, 10);
    one.dedupe_offset = 6;
    one.rejections = (0..10)
        .map(|offset| RejectionRow {
            offset,
            reason: Reason::FutureTimestamp,
            model: None,
            detail: String::new(),
            broker_ts: None,
        })
        .collect();
    store.write(move |tx| commit(tx, &[one])).expect("commits");
    let keep = |kept| Policy {
        rejections_kept: Some(kept),
        copies_first: true,
        ..Policy::default()
    };
    assert_eq!(
        run(&store, keep(0), 100).rejections,
        0,
        "none is copied yet"
    );
    store
        .write(|tx| rejections::mark_copied(tx, &partition(0), &[0, 1, 2, 4, 5, 6, 7, 8, 9]))
        .expect("writes");
    assert_eq!(run(&store, keep(8), 100).rejections, 2, "eight stay");
    assert_eq!(run(&store, keep(0), 2).rejections, 2, "two at a time");
    assert_eq!(
        run(&store, keep(0), 100).rejections,
        1,
        "3 is not copied, 6 and later are read again"
    );
    let left = store
        .read(|conn| rejections::latest(conn, Some(&partition(0)), 100))
        .expect("reads");
    assert_eq!(
        left.iter().map(|(_, row)| row.offset).collect::<Vec<_>>(),
        [9, 8, 7, 6, 3]
    );
    assert_eq!(
        store.read(rejections::counts).expect("reads")[&Reason::FutureTimestamp],
        10,
        "totals outlive them"
    );
}
