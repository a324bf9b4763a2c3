use super::*;
use crate::store::Store;
use crate::store::testing::scratch;
use proptest::prelude::*;

fn notification(key: &str, model: &str) -> NewNotification {
    NewNotification {
        idempotency_key: key.to_string(),
        receiver: "to".to_string(),
        kind: "io.driftline.drift.detected.v1".to_string(),
        model: model.to_string(),
        alert: format!("alert of {model}"),
        created: 0,
        body: format!("{{\"id\":\"{key}\"}}"),
    }
}

fn put(store: &Store, key: &str, model: &str) -> bool {
    let row = notification(key, model);
    store
        .write(move |tx| insert(tx, &row))
        .expect("the store works")
}

fn claim(store: &Store, now: Millis) -> Vec<OutboxRow> {
    store
        .write(move |tx| claim_due(tx, "to", now, now + 60, 100))
        .expect("the store works")
}

fn settled(store: &Store, row: &OutboxRow, how: Settlement) -> bool {
    let row = row.clone();
    store
        .write(move |tx| settle(tx, &row, 1, &how))
        .expect("the store works")
}

fn keys(rows: &[OutboxRow]) -> Vec<&str> {
    rows.iter()
        .map(|row| row.notification.idempotency_key.as_str())
        .collect()
}

#[test]
fn the_same_key_again_changes_nothing_not_even_after_delivery() {
    let (_dir, store) = scratch();
    assert!(put(&store, "k", "m"));
    assert!(!put(&store, "k", "m"));
    let claimed = claim(&store, 0);
    assert!(settled(&store, &claimed[0], Settlement::Delivered));
    assert!(!put(&store, "k", "m"));
    assert_eq!(claim(&store, 1000), []);
}

#[test]
fn only_the_head_of_a_model_is_due() {
    let (_dir, store) = scratch();
    for (key, model) in [("a1", "a"), ("a2", "a"), ("b1", "b")] {
        put(&store, key, model);
    }
    let claimed = claim(&store, 0);
    assert_eq!(keys(&claimed), ["a1", "b1"]);
    assert!(settled(
        &store,
        &claimed[0],
        Settlement::Failed { error: "no".into() }
    ));
    assert_eq!(keys(&claim(&store, 0)), ["a2"]);
}

#[test]
fn a_claim_keeps_others_away_and_an_outrun_claimant_cannot_settle() {
    let (_dir, store) = scratch();
    put(&store, "k", "m");
    let slow = claim(&store, 0).remove(0);
    assert_eq!(claim(&store, 59), []);
    let quick = claim(&store, 60).remove(0);
    assert!(!settled(
        &store,
        &slow,
        Settlement::Failed {
            error: "late".into()
        }
    ));
    assert!(settled(&store, &quick, Settlement::Delivered));
    assert!(
        !settled(&store, &quick, Settlement::Delivered),
        "nothing is settled twice"
    );
}

#[test]
fn a_repetition_ends_when_something_newer_is_told_of_the_same_alert() {
    let (_dir, store) = scratch();
    put(&store, "fired", "m");
    let first = claim(&store, 0).remove(0);
    settled(&store, &first, Settlement::Repeat { at_wall: 100 });
    let again = claim(&store, 100).remove(0);
    put(&store, "ended", "m");
    assert!(
        !settled(&store, &again, Settlement::Repeat { at_wall: 200 }),
        "it was ended meanwhile"
    );
    assert_eq!(keys(&claim(&store, 1000)), ["ended"]);
}

#[test]
fn a_repetition_never_stands_in_front_of_newer_rows() {
    let (_dir, store) = scratch();
    put(&store, "fired", "m");
    let first = claim(&store, 0).remove(0);
    settled(&store, &first, Settlement::Repeat { at_wall: 100 });
    let mut other = notification("other alert", "m");
    other.alert = "another".to_string();
    store
        .write(move |tx| insert(tx, &other))
        .expect("the store works");
    assert_eq!(keys(&claim(&store, 50)), ["other alert"]);
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Deliver,
    Fail,
    Retry,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..20, 0u8..3).prop_map(|(key, model)| Step::Put(key, model)),
        Just(Step::Deliver),
        Just(Step::Fail),
        Just(Step::Retry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever happens in between, a model's notifications are delivered in the order of their first insertion, each
    /// at most once.
    #[test]
    fn order_holds_whatever_happens(steps in prop::collection::vec(step(), 1..40)) {
        let mut conn = Connection::open_in_memory().expect("opens");
        conn.execute_batch(include_str!("schema.sql")).expect("the schema is valid");
        let tx = conn.transaction().expect("begins");
        let mut inserted: Vec<Vec<String>> = vec![Vec::new(); 3];
        let mut delivered: Vec<Vec<String>> = vec![Vec::new(); 3];
        let mut now = 0;
        for step in steps {
            now += 1000;
            if let Step::Put(key, model) = &step {
                let key = format!("{key}-{model}");
                if insert(&tx, &notification(&key, &model.to_string())).expect("inserts") {
                    inserted[usize::from(*model)].push(key);
                }
                continue;
            }
            for row in claim_due(&tx, "to", now, now + 60, 100).expect("claims") {
                let model: usize = row.notification.model.parse().expect("a number");
                let error = String::new();
                let how = match step {
                    Step::Deliver => {
                        delivered[model].push(row.notification.idempotency_key.clone());
                        Settlement::Delivered
                    }
                    Step::Fail => {
                        inserted[model].retain(|key| *key != row.notification.idempotency_key);
                        Settlement::Failed { error }
                    }
                    _ => Settlement::Retry { at_wall: now + 1500, error },
                };
                prop_assert!(settle(&tx, &row, now, &how).expect("settles"));
            }
        }
        for (inserted, delivered) in inserted.iter().zip(&delivered) {
            prop_assert_eq!(&inserted[..delivered.len()], &delivered[..]);
        }
    }
}
