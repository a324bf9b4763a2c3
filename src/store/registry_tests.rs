//! Models, versions, champions.

use super::*;
use crate::store::Store;
use crate::store::testing::scratch;

fn model_file(hash: &str, version: &str) -> ModelFile {
    ModelFile {
        hash: hash.to_owned(),
        model: "delay".to_owned(),
        version: version.to_owned(),
        parent: None,
        run: Some(format!("run of {hash}")),
        path: None,
        created: 5,
        manifest: "{}".to_owned(),
        card: "{}".to_owned(),
    }
}

fn moved(seq: u64, action: Action, version: &str) -> Move {
    Move {
        model: "delay".to_owned(),
        seq,
        action,
        version: version.to_owned(),
        hash: None,
        reference_hash: None,
        run: None,
        actor: "somebody".to_owned(),
        at: 10,
        at_wall: 20,
    }
}

fn advance(store: &Store, to: &Move) -> bool {
    let to = to.clone();
    store
        .write(move |tx| set_champion(tx, &to))
        .expect("writes")
}

#[test]
fn a_champion_moves_from_the_state_that_was_assumed_and_every_move_is_logged() {
    let (_dir, store) = scratch();
    assert!(
        !advance(&store, &moved(2, Action::Promote, "2")),
        "there is none"
    );
    assert!(advance(&store, &moved(1, Action::Register, "1")));
    assert!(
        !advance(&store, &moved(1, Action::Register, "9")),
        "there is one"
    );
    assert!(advance(&store, &moved(2, Action::Promote, "2")));
    assert!(
        !advance(&store, &moved(2, Action::Promote, "3")),
        "somebody was faster"
    );
    assert!(advance(&store, &moved(3, Action::Rollback, "1")));
    let (champion, log) = store
        .read(|conn| Ok((champion(conn, "delay")?, moves(conn, "delay")?)))
        .expect("reads");
    let champion = champion.expect("one");
    assert_eq!((champion.seq, champion.version.as_str()), (3, "1"));
    let log: Vec<(u64, &str, &str)> = log
        .iter()
        .map(|moved| (moved.seq, moved.action.as_str(), moved.version.as_str()))
        .collect();
    assert_eq!(
        log,
        [
            (1, "register", "1"),
            (2, "promote", "2"),
            (3, "rollback", "1")
        ]
    );
}

#[test]
fn a_file_is_written_once_and_a_version_names_one() {
    let (_dir, store) = scratch();
    let put = |file: ModelFile| {
        store
            .write(move |tx| insert_file(tx, &file))
            .expect("writes")
    };
    assert!(put(model_file("aa11", "2")));
    assert!(!put(model_file("aa11", "3")), "the file is known");
    assert!(!put(model_file("bb22", "2")), "the version is taken");
    assert!(put(ModelFile {
        model: "power".to_owned(),
        ..model_file("aa11", "2")
    }));
    let found = store.read(|conn| files_by_hash(conn, "aa")).expect("reads");
    assert_eq!(found.len(), 2);
    let none = store.read(|conn| files_by_hash(conn, "a_")).expect("reads");
    assert!(none.is_empty(), "no pattern, a beginning");
}

#[test]
fn versions_go_on_from_the_greatest_number() {
    let (_dir, store) = scratch();
    let next = |store: &Store| {
        store
            .read(|conn| next_version(conn, "delay", "abcdef0123456789"))
            .expect("reads")
    };
    assert_eq!(next(&store), "rabcdef01");
    advance(&store, &moved(1, Action::Register, "9"));
    assert_eq!(next(&store), "10");
    let file = model_file("aa11", "41");
    store
        .write(move |tx| insert_file(tx, &file))
        .expect("writes");
    assert_eq!(next(&store), "42");
    advance(&store, &moved(2, Action::Promote, "18446744073709551615"));
    assert_eq!(next(&store), "rabcdef01", "numbers end somewhere");
}
