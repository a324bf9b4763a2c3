//! What holds for every rule and every run of windows.

use proptest::prelude::*;

use crate::event::{DAY, Span};
use crate::stats::score::{Score, Verdict};

use super::judgement::REFERENCE;
use super::performance::{BLOCKS, REFERENCE_STDERR, STDERR};
use super::scripts::{rule, score};
use super::{AlertState, AlertStatus, Rule, evaluate};

fn any_score() -> impl Strategy<Value = Score> {
    let value = prop_oneof![
        Just(None),
        any::<f64>().prop_map(Some),
        (0.0..1.0).prop_map(Some)
    ];
    let statistic = proptest::sample::select(vec![
        "psi",
        "js",
        "ks",
        "null_rate",
        "volume",
        "freshness",
        "schema_change",
        "log_loss",
        "?",
    ]);
    let column = proptest::sample::select(vec!["", "a", "b", "c"]);
    let verdict = proptest::sample::select(Verdict::ALL.to_vec());
    let number = || proptest::option::of("NaN|-1|0|0.02|1e300|x");
    let blocks = proptest::option::of("NaN|-1|0|1|3|7|1e300");
    let parameters = (number(), number(), number(), blocks);
    (column, statistic, verdict, value, any::<u64>(), parameters).prop_map(
        |(column, statistic, verdict, value, n, (reference, stderr, of_reference, blocks))| {
            let mut score = score(column, statistic, verdict, value);
            // Counts of rows stay below 2^48.
            score.n_current = n >> (16 + n % 48);
            for (key, text) in [
                (REFERENCE, reference),
                (STDERR, stderr),
                (REFERENCE_STDERR, of_reference),
                (BLOCKS, blocks),
            ] {
                let put = text.map(|text| (key.to_owned(), text));
                score.parameters.extend(put);
            }
            score
        },
    )
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let fields = proptest::sample::select(vec![
        "watch: drift, for: 2 of 3",
        "watch: drift, statistic: ks, floor: 0.01, on: a",
        "watch: null_rate, for: 1 of 4",
        "watch: null_rate, above: 3%",
        "watch: volume, for: 2 of 2",
        "watch: freshness, above: 1h",
        "watch: schema_change",
        "watch: performance, metric: log_loss, above: reference + 0.01, for: 2 of 3",
        "watch: performance, metric: log_loss, above: 0.3",
    ]);
    fields.prop_map(rule)
}

proptest! {
    /// Whatever comes, `evaluate` answers; the same window twice is the same window once; order does not matter; and
    /// the state stays within its bounds and survives being stored.
    #[test]
    fn evaluate_is_total_idempotent_and_blind_to_order(
        rule in any_rule(),
        windows in proptest::collection::vec(proptest::collection::vec(any_score(), 0..8), 1..12),
        turn in any::<prop::sample::Index>(),
    ) {
        let mut state = AlertState::default();
        for (day, scores) in (0..).zip(windows) {
            let window = Span::new(day * DAY, (day + 1) * DAY);
            let found = evaluate(&rule, &state, &scores, window, window.end);

            let mut turned = scores.clone();
            turned.rotate_left(if scores.is_empty() { 0 } else { turn.index(scores.len()) });
            turned.reverse();
            prop_assert_eq!(&found, &evaluate(&rule, &state, &turned, window, window.end));

            let judged = found.judgements.values().any(|judgement| judgement.bad().is_some());
            let again = evaluate(&rule, &found.state, &scores, window, window.end + 1);
            prop_assert_eq!(&again.state, &found.state);
            prop_assert!(again.transition.is_none());

            prop_assert!(judged || found.state == state);
            prop_assert_eq!(found.transition.is_some(), found.state.status != state.status);
            prop_assert_eq!(found.state.episode_start.is_some(), matches!(found.state.status, AlertStatus::Firing | AlertStatus::Resolved));
            prop_assert!(found.state.history.values().all(|history| history.len() <= rule.required.n as usize));
            let stored = serde_json::to_string(&found.state).expect("plain data");
            prop_assert_eq!(&serde_json::from_str::<AlertState>(&stored).expect("what was written"), &found.state);
            state = found.state;
        }
    }
}
