use std::collections::BTreeMap;

use super::*;
use crate::event::{DAY, Reason, RecordKind, Span};
use crate::store::layouts::StoredLayout;
use crate::store::partials::load_partial;
use crate::store::testing::{key, moved, partial, partition, scratch};
use crate::store::{LoadedPartition, Result, Store, load_partition};

fn apply_one(store: &Store, one: PartitionCommit) -> CommitOutcome {
    store
        .write(move |tx| super::commit(tx, &[one]))
        .expect("the store works")
        .remove(0)
}

fn load(store: &Store, number: i32) -> LoadedPartition {
    let found = store
        .read(|conn| load_partition(conn, &partition(number)))
        .expect("the store works");
    found.expect("the partition was committed")
}

const MOVED: CommitOutcome = CommitOutcome::Conflict {
    reason: ConflictReason::SequenceMoved,
};

fn rejection(offset: i64, reason: Reason) -> RejectionRow {
    RejectionRow {
        offset,
        reason,
        model: None,
        detail: "what was found".to_string(),
        broker_ts: Some(5),
    }
}

#[test]
fn everything_committed_is_found_again() {
    let (_dir, store) = scratch();
    let mut one = moved(0, 0, 10);
    one.dedupe_offset = 4;
    one.counts = Counts {
        used: 6,
        late: 1,
        duplicate: 1,
        rejected: 2,
    };
    one.streams = vec![StreamRow {
        model: "delay".to_string(),
        watermark: -5,
        max_ts: Some(7),
        idle: true,
        used: 6,
        late: 1,
        duplicate: 1,
        versions: BTreeMap::from([("7".to_string(), 6)]),
        kind: RecordKind::Predictions,
    }];
    one.partials = vec![partial(6)];
    one.rejections = vec![
        rejection(2, Reason::FutureTimestamp),
        rejection(5, Reason::FutureTimestamp),
        rejection(8, Reason::BadTs),
    ];
    assert_eq!(
        apply_one(&store, one.clone()),
        CommitOutcome::Done { seq: 1 }
    );

    let found = load(&store, 0);
    assert_eq!(
        (found.seq, found.next_offset, found.dedupe_offset),
        (1, 10, 4)
    );
    assert_eq!(
        (found.counts, found.alarm, found.streams),
        (one.counts, None, one.streams)
    );
    assert_eq!(found.partials.len(), 1);
    assert_eq!(
        (
            found.partials[0].from_offset,
            found.partials[0].to_offset,
            found.partials[0].rows
        ),
        (0, 5, 6)
    );
    assert_eq!(
        found.future_rejections,
        [rejection(5, Reason::FutureTimestamp)]
    );
    let bytes = store
        .read(|conn| load_partial(conn, &partition(0), &key("7"), Span::new(0, DAY), 0))
        .expect("the store works");
    assert_eq!(bytes, Some(partial(6).profile));
    assert_eq!(
        store
            .read(|conn| load_partition(conn, &partition(9)))
            .expect("works"),
        None
    );
}

#[test]
fn a_stale_sequence_is_a_conflict_and_leaves_no_trace() {
    let (_dir, store) = scratch();
    assert_eq!(
        apply_one(&store, moved(0, 0, 10)),
        CommitOutcome::Done { seq: 1 }
    );
    let before = load(&store, 0);
    for expected_seq in [0, 2, 7] {
        let mut stale = moved(0, expected_seq, 20);
        stale.partials = vec![partial(20)];
        stale.rejections = vec![rejection(15, Reason::BadTs)];
        assert_eq!(apply_one(&store, stale), MOVED);
    }
    assert_eq!(load(&store, 0), before);
    assert_eq!(
        store
            .read(|conn| rejections::uncopied(conn, 10))
            .expect("works"),
        []
    );
    assert_eq!(
        apply_one(&store, moved(0, 1, 20)),
        CommitOutcome::Done { seq: 2 }
    );
}

#[test]
fn a_first_commit_expects_sequence_zero() {
    let (_dir, store) = scratch();
    assert_eq!(apply_one(&store, moved(0, 1, 10)), MOVED);
    assert_eq!(
        store
            .read(|conn| load_partition(conn, &partition(0)))
            .expect("works"),
        None
    );
}

#[test]
fn a_cursor_never_moves_backwards() {
    let (_dir, store) = scratch();
    apply_one(&store, moved(0, 0, 10));
    assert_eq!(apply_one(&store, moved(0, 1, 9)), MOVED);
}

#[test]
fn a_partition_in_conflict_does_not_touch_the_others() {
    let (_dir, store) = scratch();
    let mut stale = moved(1, 5, 10);
    stale.partials = vec![partial(10)];
    let commits = [moved(0, 0, 10), stale, moved(2, 0, 10)];
    let outcomes = store
        .write(move |tx| super::commit(tx, &commits))
        .expect("the store works");
    let done = CommitOutcome::Done { seq: 1 };
    assert_eq!(outcomes, [done.clone(), MOVED, done]);
    assert_eq!(load(&store, 2).next_offset, 10);
    assert_eq!(
        store
            .read(|conn| load_partition(conn, &partition(1)))
            .expect("works"),
        None
    );
}

#[test]
fn a_partial_replaces_its_predecessor_and_is_never_added_to() {
    let (_dir, store) = scratch();
    for (seq, to_offset) in [(0, 10), (1, 25)] {
        let mut one = moved(0, seq, to_offset);
        one.partials = vec![partial(to_offset)];
        apply_one(&store, one);
    }
    let found = load(&store, 0);
    assert_eq!(
        found
            .partials
            .iter()
            .map(|partial| partial.rows)
            .collect::<Vec<_>>(),
        [25]
    );
    let of_pane = store
        .read(|conn| partials::of_pane(conn, "delay", Span::new(0, DAY), 0))
        .expect("works");
    assert_eq!(of_pane, [(partition(0), partial(25))]);
}

#[test]
fn a_partial_that_forgets_its_predecessor_is_a_conflict() {
    let (_dir, store) = scratch();
    let mut one = moved(0, 0, 10);
    one.partials = vec![partial(10)];
    apply_one(&store, one);

    let mut forgetful = moved(0, 1, 20);
    forgetful.partials = vec![PartialRow {
        from_offset: 10,
        ..partial(20)
    }];
    let outcome = apply_one(&store, forgetful);
    assert!(
        matches!(
            &outcome,
            CommitOutcome::Conflict {
                reason: ConflictReason::PartialWouldShrink { .. }
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(
        load(&store, 0).next_offset,
        10,
        "the cursor did not move either"
    );
}

#[test]
fn rows_without_a_layout_conflict_once_there_is_one() {
    let (_dir, store) = scratch();
    let row = PendingRow {
        model: "delay".to_string(),
        offset: 3,
        ts: 4,
        epoch: 0,
        pane: Span::new(0, DAY),
        watermark: -7,
        payload: b"{}".to_vec(),
    };
    let mut learning = moved(0, 0, 10);
    learning.learning = vec!["delay".to_string()];
    learning.pending = vec![row.clone()];
    assert_eq!(apply_one(&store, learning), CommitOutcome::Done { seq: 1 });
    assert_eq!(
        store
            .read(|conn| pending::rows_by_pane(conn, "delay"))
            .expect("works"),
        [(row.pane, 1)]
    );

    let layout = StoredLayout {
        hash: "h".to_string(),
        body: "{}".to_string(),
    };
    store
        .write(move |tx| {
            layouts::insert_if_absent(tx, "delay", &layout)?;
            pending::delete(tx, "delay")
        })
        .expect("the store works");
    let appeared = CommitOutcome::Conflict {
        reason: ConflictReason::LayoutAppeared {
            model: "delay".to_string(),
        },
    };
    let mut named = moved(0, 1, 20);
    named.learning = vec!["delay".to_string()];
    assert_eq!(apply_one(&store, named), appeared);
    let mut unnamed = moved(0, 1, 20);
    unnamed.pending = vec![row];
    assert_eq!(
        apply_one(&store, unnamed),
        appeared,
        "pending rows alone say enough"
    );
    assert_eq!(
        apply_one(&store, moved(0, 1, 20)),
        CommitOutcome::Done { seq: 2 }
    );
}

#[test]
fn the_first_layout_wins() {
    let (_dir, store) = scratch();
    let give = |hash: &str| {
        let layout = StoredLayout {
            hash: hash.to_string(),
            body: format!("{{\"{hash}\":1}}"),
        };
        store
            .write(move |tx| layouts::insert_if_absent(tx, "delay", &layout))
            .expect("the store works")
    };
    let (first, mine) = give("a");
    assert!(mine);
    assert_eq!(give("b"), (first, false));
}

#[test]
fn a_rejection_is_stored_and_counted_once() {
    let (_dir, store) = scratch();
    for seq in 0..2 {
        let mut one = moved(0, seq, 10);
        one.rejections = vec![rejection(1, Reason::BadTs), rejection(2, Reason::BadTs)];
        apply_one(&store, one);
    }
    let counts = store.read(rejections::counts).expect("works");
    assert_eq!(counts, BTreeMap::from([(Reason::BadTs, 2)]));
    store
        .write(|tx| rejections::mark_copied(tx, &partition(0), &[1]))
        .expect("works");
    let left = store
        .read(|conn| rejections::uncopied(conn, 10))
        .expect("works");
    assert_eq!(
        left.iter().map(|(_, row)| row.offset).collect::<Vec<_>>(),
        [2]
    );
}

#[test]
fn a_gap_is_found_by_the_windows_it_touches() {
    let (_dir, store) = scratch();
    let mut one = moved(0, 0, 100);
    let touched = vec![("delay".to_string(), Span::new(DAY, 2 * DAY))];
    one.gaps = vec![Gap {
        from_offset: 0,
        to_offset: 40,
        touched: touched.clone(),
    }];
    apply_one(&store, one);
    let touching = |start, end| {
        let found = store
            .read(|conn| gaps::touching(conn, "delay", Span::new(start, end)))
            .expect("works");
        found.len()
    };
    assert_eq!(
        (
            touching(0, DAY),
            touching(0, DAY + 1),
            touching(2 * DAY, 3 * DAY)
        ),
        (0, 1, 0)
    );
    assert_eq!(store.read(gaps::offsets_lost).expect("works"), 40);
}

#[test]
fn an_alarm_stops_a_partition_until_it_is_reset_and_its_past_still_counts() {
    let (_dir, store) = scratch();
    let mut one = moved(0, 0, 10);
    one.partials = vec![partial(10)];
    one.streams = vec![StreamRow {
        model: "delay".to_string(),
        watermark: 3,
        max_ts: None,
        idle: false,
        used: 10,
        late: 0,
        duplicate: 0,
        versions: BTreeMap::new(),
        kind: RecordKind::Predictions,
    }];
    one.rejections = vec![rejection(1, Reason::BadTs)];
    apply_one(&store, one);
    store
        .write(|tx| cursors::raise_alarm(tx, &partition(0), cursors::LOG_RECREATED))
        .expect("works");
    assert_eq!(load(&store, 0).alarm.as_deref(), Some("log_recreated"));
    for seq in 1..3 {
        assert_eq!(apply_one(&store, moved(0, seq, 20)), MOVED, "stopped");
    }

    assert!(
        store
            .write(|tx| cursors::reset_cursor(tx, &partition(0), 0))
            .expect("works")
    );
    let fresh = load(&store, 0);
    assert_eq!(
        (fresh.next_offset, fresh.alarm, fresh.counts),
        (0, None, Counts::default())
    );
    assert_eq!((fresh.partials.len(), fresh.streams.len()), (0, 0));
    // The new log's offsets meet nothing of the old one's.
    let mut again = moved(0, fresh.seq, 4);
    again.partials = vec![partial(4)];
    again.rejections = vec![rejection(1, Reason::BadTs)];
    assert!(matches!(
        apply_one(&store, again),
        CommitOutcome::Done { .. }
    ));
    let rows: Vec<u64> = store
        .read(|conn| partials::of_pane(conn, "delay", Span::new(0, DAY), 0))
        .expect("works")
        .iter()
        .map(|(_, partial)| partial.rows)
        .collect();
    assert_eq!(rows, [4, 10]);
    assert_eq!(
        store.read(rejections::counts).expect("works"),
        BTreeMap::from([(Reason::BadTs, 2)])
    );
    assert_eq!(store.read(cursors::totals).expect("works").used, 14);
    store
        .write(|tx| cursors::reset_cursor(tx, &partition(0), 0))
        .expect("works");
    let archived: Vec<String> = store
        .read(cursors::all)
        .expect("works")
        .into_iter()
        .filter(|cursor| cursor.archived)
        .map(|cursor| cursor.partition.to_string())
        .collect();
    assert_eq!(archived, ["flights@1/0", "flights@2/0"]);
}

#[test]
fn an_error_rolls_the_whole_transaction_back() {
    let (_dir, store) = scratch();
    let failed: Result<()> = store.write(|tx| {
        super::commit(tx, &[moved(0, 0, 10)])?;
        Err(crate::store::StoreError::LeaseLost {
            model: "delay".to_string(),
        })
    });
    failed.expect_err("as written");
    assert_eq!(
        store
            .read(|conn| load_partition(conn, &partition(0)))
            .expect("works"),
        None
    );
}
