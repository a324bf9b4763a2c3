//! Runs as they are taken, held, lost and ended.

use super::*;
use crate::store::Store;
use crate::store::testing::scratch;

fn new(id: &str, model: &str) -> NewRun {
    NewRun {
        id: id.to_owned(),
        key: format!("key of {id}"),
        model: model.to_owned(),
        version: "1".to_owned(),
        mode: "propose".to_owned(),
        requested: 5,
        status: Status::Queued,
        held: None,
        created_wall: 10,
        body: "{}".to_owned(),
    }
}

fn insert_one(store: &Store, run: NewRun) -> bool {
    store.write(move |tx| insert(tx, &run)).expect("writes")
}

fn take_one(store: &Store, holder: &'static str, now: Millis) -> Option<RunRow> {
    let found = store.read(|conn| free(conn, now)).expect("reads").pop()?;
    store
        .write(move |tx| take(tx, &found, holder, now, now + 30))
        .expect("writes")
}

fn end_one(store: &Store, hold: Hold, status: Status, again: Option<Millis>) -> bool {
    store
        .write(move |tx| finish(tx, &hold, status, "{}", 99, again))
        .expect("writes")
}

#[test]
fn a_key_has_one_run_and_a_model_one_that_is_active() {
    let (_dir, store) = scratch();
    assert!(insert_one(&store, new("a", "delay")));
    assert!(
        !insert_one(&store, new("a", "delay")),
        "the key came before"
    );
    assert!(!insert_one(&store, new("b", "delay")), "one is active");
    assert!(insert_one(&store, new("c", "power")));
    let taken = take_one(&store, "w", 20).expect("free");
    let hold = taken.hold().expect("held");
    assert!(end_one(&store, hold, Status::Lost, None));
    assert_eq!(taken.model, "power");
    assert!(insert_one(&store, new("d", "power")));
}

#[test]
fn a_run_is_held_until_its_time_is_over_and_then_by_another_attempt() {
    let (_dir, store) = scratch();
    insert_one(&store, new("a", "delay"));
    let first = take_one(&store, "w", 20).expect("free");
    assert_eq!((first.attempts, first.status), (1, Status::Training));
    assert_eq!(take_one(&store, "v", 49), None);
    let second = take_one(&store, "v", 50).expect("its time is over");
    assert_eq!(second.attempts, 2);
    let (slept, works) = (first.hold().expect("held"), second.hold().expect("held"));
    let late = slept.clone();
    let prolonged = store
        .write(move |tx| prolong(tx, &late, 500))
        .expect("writes");
    assert!(!prolonged);
    let late = slept.clone();
    let noted = store
        .write(move |tx| note(tx, &late, Status::Judging, "{}", 60))
        .expect("writes");
    assert!(!noted);
    assert!(!end_one(&store, slept, Status::Promoted, None));
    assert!(end_one(&store, works.clone(), Status::Lost, None));
    assert!(
        !end_one(&store, works, Status::Promoted, None),
        "it ends once"
    );
}

#[test]
fn two_who_find_the_same_run_do_not_both_get_it() {
    let (_dir, store) = scratch();
    insert_one(&store, new("a", "delay"));
    let found = store
        .read(|conn| free(conn, 20))
        .expect("reads")
        .pop()
        .expect("one");
    let again = found.clone();
    let first = store
        .write(move |tx| take(tx, &found, "w", 20, 50))
        .expect("writes");
    let second = store
        .write(move |tx| take(tx, &again, "v", 20, 50))
        .expect("writes");
    assert!(first.is_some() && second.is_none());
}

#[test]
fn a_run_that_goes_back_is_not_taken_before_its_time() {
    let (_dir, store) = scratch();
    insert_one(&store, new("a", "delay"));
    let hold = take_one(&store, "w", 20)
        .and_then(|row| row.hold())
        .expect("held");
    assert!(end_one(&store, hold, Status::Queued, Some(100)));
    assert_eq!(take_one(&store, "w", 99), None);
    assert!(take_one(&store, "w", 100).is_some());
}

#[test]
fn deciding_on_what_has_changed_changes_nothing() {
    let (_dir, store) = scratch();
    insert_one(&store, new("a", "delay"));
    let found = store
        .read(|conn| get(conn, "a"))
        .expect("reads")
        .expect("one");
    take_one(&store, "w", 20).expect("free");
    let decided = store
        .write(move |tx| decide(tx, &found, Status::Cancelled, "{}", 30))
        .expect("writes");
    assert!(!decided);
}

#[test]
fn a_refusal_is_the_first_one() {
    let (_dir, store) = scratch();
    let refusal_of = |reason: &str| Refusal {
        key: "k".to_owned(),
        model: "delay".to_owned(),
        reason: reason.to_owned(),
        at_wall: 1,
    };
    for reason in ["busy", "later"] {
        let row = refusal_of(reason);
        store.write(move |tx| refuse(tx, &row)).expect("writes");
    }
    let found = store.read(|conn| refusal(conn, "k")).expect("reads");
    assert_eq!(found, Some(refusal_of("busy")));
}

#[test]
fn statuses_are_read_as_they_are_written() {
    for status in Status::ALL {
        assert_eq!(Status::parse(status.as_str()), Some(status));
    }
}
