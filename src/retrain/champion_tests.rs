//! Moving a champion, and everything that goes with it.

use std::collections::VecDeque;

use super::*;
use crate::event::DAY;
use crate::notify::AlertEvent;
use crate::retrain::testing::{MODEL, NOW, World};
use crate::store::outbox;

fn step(action: Action, version: &str, expected_seq: u64) -> Step {
    Step {
        model: MODEL.to_owned(),
        action,
        version: version.to_owned(),
        hash: None,
        expected_seq,
        unregistered: None,
        reference: None,
        run: None,
        actor: "somebody".to_owned(),
        reason: "because".to_owned(),
        at: 60 * DAY,
        at_wall: NOW,
    }
}

fn make(world: &World, step: Step) -> bool {
    let retraining = world.retraining.clone();
    world
        .store()
        .write(move |tx| advance(tx, &retraining, &step))
        .expect("writes")
}

fn alert(world: &World, version: &str, rule: &str, status: AlertStatus) {
    let state = AlertState {
        status,
        since: 50 * DAY,
        episode_start: Some(Span::new(49 * DAY, 50 * DAY)),
        history: BTreeMap::from([(String::new(), VecDeque::from([true]))]),
        columns: vec!["dist".to_owned()],
        last_window: Some(Span::new(55 * DAY, 56 * DAY)),
    };
    let row = AlertRow {
        key: key(version),
        rule: rule.to_owned(),
        status: status.as_str().to_owned(),
        since: state.since,
        body: serde_json::to_string(&state).expect("JSON"),
    };
    world
        .store()
        .write(move |tx| alerts::save(tx, &row))
        .expect("writes");
}

fn key(version: &str) -> Key {
    Key {
        model: MODEL.to_owned(),
        version: version.to_owned(),
        segment: String::new(),
    }
}

fn told(world: &World) -> Vec<(String, String)> {
    let rows = world
        .store()
        .read(|conn| outbox::latest(conn, 100))
        .expect("reads");
    let mut told: Vec<(String, String)> = rows
        .into_iter()
        .map(|row| (row.notification.receiver, row.notification.kind))
        .collect();
    told.reverse();
    told
}

fn status_of(world: &World, version: &str, rule: &str) -> String {
    let (key, rule) = (key(version), rule.to_owned());
    world
        .store()
        .read(|conn| alerts::get(conn, &key, &rule))
        .expect("reads")
        .expect("an alert")
        .status
}

#[test]
fn alerts_of_both_versions_end_and_those_of_others_stay() {
    let world = World::new("promote");
    assert!(make(&world, step(Action::Register, "1", 0)));
    alert(&world, "1", "loss", AlertStatus::Firing);
    alert(&world, "1", "inputs", AlertStatus::Pending);
    alert(&world, "frozen", "loss", AlertStatus::Firing);
    assert!(make(&world, step(Action::Promote, "2", 1)));
    assert_eq!(status_of(&world, "1", "loss"), "resolved");
    assert_eq!(status_of(&world, "1", "inputs"), "inactive");
    assert_eq!(status_of(&world, "frozen", "loss"), "firing");
    assert_eq!(
        told(&world),
        [
            (
                "hook".to_owned(),
                "io.driftline.model.promoted.v1".to_owned()
            ),
            (
                "pager".to_owned(),
                "io.driftline.performance.resolved.v1".to_owned()
            ),
            (
                "hook".to_owned(),
                "io.driftline.model.promoted.v1".to_owned()
            ),
        ]
    );
    let resolved = world
        .store()
        .read(|conn| outbox::latest(conn, 100))
        .expect("reads")
        .into_iter()
        .find(|row| row.notification.receiver == "pager")
        .expect("told");
    let event = AlertEvent::from_json(&resolved.notification.body).expect("reads");
    assert_eq!(event.data.reason, "the champion was replaced");
    assert_eq!(event.data.severity, "page");
}

#[test]
fn a_move_from_another_state_than_assumed_changes_nothing() {
    let world = World::new("promote");
    assert!(make(&world, step(Action::Register, "1", 0)));
    alert(&world, "1", "loss", AlertStatus::Firing);
    assert!(!make(&world, step(Action::Promote, "2", 0)));
    assert!(!make(&world, step(Action::Promote, "2", 2)));
    assert_eq!(status_of(&world, "1", "loss"), "firing");
    assert_eq!(told(&world).len(), 1);
}

#[test]
fn the_first_promotion_leaves_a_way_back() {
    let world = World::new("promote");
    let first = Step {
        unregistered: Some("1".to_owned()),
        ..step(Action::Promote, "2", 0)
    };
    assert!(make(&world, first));
    let moves = world
        .store()
        .read(|conn| registry::moves(conn, MODEL))
        .expect("reads");
    assert_eq!(moves.len(), 2);
    assert_eq!(
        before(&moves).map(|past| past.version),
        Some("1".to_owned())
    );
}

#[test]
fn a_reference_is_bound_once_and_stays_through_rollback_and_return() {
    let world = World::new("promote");
    let reference = |hash: &str| {
        let row = ReferenceRow {
            hash: hash.to_owned(),
            model: MODEL.to_owned(),
            source: "training: r".to_owned(),
            span: None,
            layout_hash: "layout".to_owned(),
        };
        Some((row, b"profile".to_vec()))
    };
    let bound = |version: &str| {
        world
            .store()
            .read(|conn| references::bound(conn, MODEL, version))
            .expect("reads")
    };
    assert!(make(&world, step(Action::Register, "1", 0)));
    let promoted = Step {
        reference: reference("new"),
        ..step(Action::Promote, "2", 1)
    };
    assert!(make(&world, promoted));
    assert_eq!((bound("1"), bound("2").as_deref()), (None, Some("new")));
    assert!(make(&world, step(Action::Rollback, "1", 2)));
    let again = Step {
        reference: reference("newer"),
        ..step(Action::Force, "2", 3)
    };
    assert!(make(&world, again));
    assert_eq!(bound("2").as_deref(), Some("new"));
}

fn log(of: &[(Action, &str)]) -> Vec<Move> {
    let moved = |(seq, (action, version)): (u64, &(Action, &str))| Move {
        model: MODEL.to_owned(),
        seq,
        action: *action,
        version: (*version).to_owned(),
        hash: None,
        reference_hash: None,
        run: None,
        actor: String::new(),
        at: 0,
        at_wall: 0,
    };
    (1..).zip(of).map(moved).collect()
}

#[track_caller]
fn goes_back(of: &[(Action, &str)], expect: Option<&str>) {
    let found = before(&log(of)).map(|past| past.version);
    assert_eq!(found.as_deref(), expect);
}

#[test]
fn going_back_again_goes_further_back() {
    use Action::{Force, Promote, Register, Rollback};
    goes_back(&[], None);
    goes_back(&[(Register, "1")], None);
    let up = [(Register, "1"), (Promote, "2"), (Force, "3")];
    goes_back(&up, Some("2"));
    let once = [up.as_slice(), &[(Rollback, "2")]].concat();
    goes_back(&once, Some("1"));
    let twice = [once.as_slice(), &[(Rollback, "1")]].concat();
    goes_back(&twice, None);
    let up_again = [twice.as_slice(), &[(Promote, "4")]].concat();
    goes_back(&up_again, Some("1"));
}
