use super::*;
use crate::event::DAY;
use crate::store::Store;
use crate::store::scores::{ScoreFilter, list, of_window};
use crate::store::testing::{key, score, scratch, window};

fn put(store: &Store, window: NewWindow) -> i64 {
    store.write(move |tx| insert(tx, &window)).expect("writes")
}

fn scored(day: i64, revision: u32, verdict: Verdict) -> NewWindow {
    let mut window = window(day, revision);
    window.verdict = verdict;
    window.scores = ["temp", "wind"]
        .into_iter()
        .map(|column| RuleScore {
            rule: "inputs".to_string(),
            score: score(column, "psi"),
        })
        .collect();
    window.scores[0].score.verdict = verdict;
    window
}

/// Start days and revisions of what a filter lists.
#[track_caller]
fn check(store: &Store, filter: WindowFilter, expected: &[(i64, u32)]) {
    let found = store.read(|conn| latest(conn, &filter, 10)).expect("reads");
    let found: Vec<_> = found
        .iter()
        .map(|row| (row.span.start / DAY, row.revision))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_result_comes_back_as_it_was_written() {
    let (_dir, store) = scratch();
    let written = scored(3, 0, Verdict::Drift);
    let id = put(&store, written.clone());
    let found = store
        .read(|conn| get(conn, id))
        .expect("reads")
        .expect("just written");
    assert_eq!(
        (found.key, found.span, found.verdict),
        (written.key, written.span, Verdict::Drift)
    );
    assert_eq!(
        (found.covered, found.watermark, found.rows),
        (written.covered, written.watermark, 20)
    );
    assert_eq!(
        store.read(|conn| profile(conn, id)).expect("reads"),
        Some(written.profile)
    );
    let scores = store.read(|conn| of_window(conn, id)).expect("reads");
    assert_eq!(scores, written.scores, "every digit of every number");
}

#[test]
fn the_same_revision_is_never_written_twice() {
    let (_dir, store) = scratch();
    put(&store, window(0, 0));
    store
        .write(|tx| insert(tx, &window(0, 0)))
        .expect_err("it is there already");
}

#[test]
fn lists_show_the_last_revision_newest_window_first() {
    let (_dir, store) = scratch();
    for (day, revision, verdict) in [
        (0, 0, Verdict::Drift),
        (0, 1, Verdict::Ok),
        (1, 0, Verdict::Ok),
        (2, 0, Verdict::Drift),
    ] {
        put(&store, scored(day, revision, verdict));
    }
    check(&store, WindowFilter::default(), &[(2, 0), (1, 0), (0, 1)]);
    check(
        &store,
        WindowFilter {
            verdict: Some(Verdict::Drift),
            ..Default::default()
        },
        &[(2, 0)],
    );
    check(
        &store,
        WindowFilter {
            after: Some(DAY),
            through: Some(2 * DAY),
            ..Default::default()
        },
        &[(1, 0)],
    );
    check(
        &store,
        WindowFilter {
            model: Some("none".to_string()),
            ..Default::default()
        },
        &[],
    );
    let all = store
        .read(|conn| revisions(conn, &key("7"), Span::new(0, DAY)))
        .expect("reads");
    assert_eq!(
        all.iter().map(|row| row.revision).collect::<Vec<_>>(),
        [0, 1]
    );
    let counts = store.read(verdict_counts).expect("reads");
    assert_eq!(
        counts,
        [
            ("delay".to_string(), Verdict::Drift, 2),
            ("delay".to_string(), Verdict::Ok, 1)
        ]
    );
}

#[test]
fn the_history_of_a_column_is_newest_first() {
    let (_dir, store) = scratch();
    for day in 0..3 {
        put(
            &store,
            scored(
                day,
                0,
                if day == 1 {
                    Verdict::Drift
                } else {
                    Verdict::Ok
                },
            ),
        );
    }
    let history = |filter: ScoreFilter| -> Vec<(i64, String)> {
        let found = store.read(|conn| list(conn, &filter, 10)).expect("reads");
        found
            .into_iter()
            .map(|row| (row.span.start / DAY, row.score.column))
            .collect()
    };
    let temp = |day| (day, "temp".to_string());
    assert_eq!(
        history(ScoreFilter {
            column: Some("temp".to_string()),
            statistic: Some("psi".to_string()),
            ..Default::default()
        }),
        [temp(2), temp(1), temp(0)]
    );
    assert_eq!(
        history(ScoreFilter {
            verdict: Some(Verdict::Drift),
            ..Default::default()
        }),
        [temp(1)]
    );
    assert_eq!(
        history(ScoreFilter {
            statistic: Some("ks".to_string()),
            ..Default::default()
        }),
        []
    );
}

#[test]
fn windows_are_found_by_their_rows_as_they_were_when_closed() {
    let (_dir, store) = scratch();
    let with = |day, revision, rows, verdict, version: &str| {
        let mut window = window(day, revision);
        (window.rows, window.verdict, window.key) = (rows, verdict, key(version));
        window
    };
    for window in [
        with(1, 0, 3, Verdict::InsufficientData, "7"),
        with(2, 0, 500, Verdict::Incomplete, "7"),
        with(3, 0, 100, Verdict::Ok, "7"),
        with(4, 0, 200, Verdict::Ok, "7"),
        // Only late rows made this one.
        with(4, 1, 900, Verdict::Ok, "8"),
        with(5, 0, 0, Verdict::NoData, "7"),
    ] {
        put(&store, window);
    }
    store
        .read(|conn| -> Result<()> {
            assert_eq!(first_with_rows(conn, "delay", 100)?, Some(3 * DAY));
            assert_eq!(first_with_rows(conn, "delay", 201)?, None);
            assert_eq!(last_with_rows(conn, "delay")?, Some(5 * DAY));
            assert_eq!(last_with_rows(conn, "nobody")?, None);
            assert_eq!(keys_before(conn, "delay", 5 * DAY)?, [key("7")]);
            assert_eq!(keys_before(conn, "delay", DAY)?, []);
            Ok(())
        })
        .expect("reads");
}
