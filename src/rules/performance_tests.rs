use std::collections::BTreeMap;

use super::*;
use crate::event::{DAY, Span};
use crate::rules::{AlertState, AlertStatus, Watch, evaluate, parse};
use crate::stats::score::Verdict;

#[track_caller]
fn rule(fields: &str) -> Rule {
    let text = format!(
        "model: m\ntask: {{type: binary, positive: up}}\nrows: all\nrules:\n  - {{name: r, watch: performance, {fields}}}\n"
    );
    parse("script", &text)
        .expect("a rule")
        .remove(0)
        .rules
        .remove(0)
}

/// A metric of 900 rows in 7 blocks, and a reference of (value, standard error).
fn scored(metric: Metric, [value, stderr]: [f64; 2], reference: Option<[f64; 2]>) -> Score {
    let mut parameters = BTreeMap::from([
        (STDERR.to_owned(), stderr.to_string()),
        (BLOCKS.to_owned(), "7".to_owned()),
    ]);
    for (key, number) in [REFERENCE, REFERENCE_STDERR]
        .into_iter()
        .zip(reference.into_iter().flatten())
    {
        parameters.insert(key.to_owned(), number.to_string());
    }
    Score {
        column: String::new(),
        statistic: metric.as_str().to_owned(),
        verdict: Verdict::Ok,
        value: Some(value),
        effect: None,
        floor: 0.0,
        threshold: None,
        p_value: None,
        error_bound: None,
        n_reference: 8_000,
        n_current: 900,
        method: "labels".to_owned(),
        parameters,
        backend: "cpu".to_owned(),
        moved: String::new(),
        worst_slice: None,
        reason: String::new(),
    }
}

#[track_caller]
fn check(fields: &str, value: [f64; 2], reference: Option<[f64; 2]>, expect: Judgement) {
    let rule = rule(fields);
    let metric = rule.metric.expect("a performance rule has one");
    let score = scored(metric, value, reference);
    assert_eq!(judge(&rule, &score), expect, "{score:?}");
}

const ABOVE: &str = "metric: log_loss, above: reference + 0.05";

#[test]
fn bad_is_beyond_the_limit_and_really_worse_than_the_reference() {
    let exact = Some([0.4, 0.0]);
    check(ABOVE, [0.44, 0.001], exact, Judgement::WithinLimit);
    check(ABOVE, [0.45, 0.001], exact, Judgement::WithinLimit);
    check(ABOVE, [0.46, 0.0], exact, Judgement::BeyondLimit);
    // The 5 % point of Student's t on 6 degrees of freedom is 1.943, the 1 % point 3.143: from the reference.
    check(
        ABOVE,
        [0.4 + 0.0971, 0.05],
        exact,
        Judgement::NotSignificant,
    );
    check(ABOVE, [0.4 + 0.0972, 0.05], exact, Judgement::BeyondLimit);
    let strict = "metric: log_loss, above: reference + 0.05, level: 0.01";
    check(
        strict,
        [0.4 + 0.157, 0.05],
        exact,
        Judgement::NotSignificant,
    );
    check(strict, [0.4 + 0.1572, 0.05], exact, Judgement::BeyondLimit);
}

#[test]
fn the_references_own_error_counts_where_the_limit_hangs_on_it() {
    let found = [0.5, 0.03];
    check(ABOVE, found, Some([0.4, 0.04]), Judgement::BeyondLimit);
    check(ABOVE, found, Some([0.4, 0.05]), Judgement::NotSignificant);
    let times = "metric: log_loss, above: reference * 1.125";
    check(times, found, Some([0.4, 0.04]), Judgement::BeyondLimit);
    check(times, found, Some([0.4, 0.05]), Judgement::NotSignificant);
    // A fixed limit hangs on nothing: the distance from it must be real.
    let fixed = "metric: log_loss, above: 0.45";
    check(fixed, found, Some([0.4, 0.05]), Judgement::NotSignificant);
    check(fixed, [0.5, 0.02], Some([0.4, 0.5]), Judgement::BeyondLimit);
}

#[test]
fn scores_are_bad_when_they_are_low() {
    let below = "metric: roc_auc, below: reference - 0.05";
    let reference = Some([0.7, 0.0]);
    check(below, [0.6, 0.01], reference, Judgement::BeyondLimit);
    check(below, [0.64, 0.04], reference, Judgement::NotSignificant);
    check(below, [0.66, 0.01], reference, Judgement::WithinLimit);
    check(below, [0.8, 0.01], reference, Judgement::WithinLimit);
}

#[test]
fn what_cannot_be_judged_does_not_count() {
    check(ABOVE, [0.9, 0.01], None, Judgement::NoReference);
    let fixed = "metric: log_loss, above: 0.45";
    check(fixed, [0.9, 0.01], None, Judgement::BeyondLimit);
    let changed = |change: fn(&mut Score)| {
        let rule = rule(ABOVE);
        let mut score = scored(Metric::LogLoss, [0.9, 0.01], Some([0.4, 0.0]));
        change(&mut score);
        judge(&rule, &score)
    };
    let unsure = changed(|score| drop(score.parameters.remove(STDERR)));
    assert_eq!(unsure, Judgement::InsufficientData);
    let one_block = changed(|score| drop(score.parameters.remove(BLOCKS)));
    assert_eq!(one_block, Judgement::InsufficientData);
    assert_eq!(changed(|score| score.value = None), Judgement::NoData);
    let few = changed(|score| score.verdict = Verdict::InsufficientData);
    assert_eq!(few, Judgement::InsufficientData);
    let lost = changed(|score| score.verdict = Verdict::Incomplete);
    assert_eq!(lost, Judgement::Incomplete);
    let exact = changed(|score| drop(score.parameters.remove(REFERENCE_STDERR)));
    assert_eq!(exact, Judgement::BeyondLimit);
}

/// By SciPy: `scipy.stats.t.sf(0.1 / (2 ** 0.5 * 0.01), 6)`.
const EXPECTED_TAIL: f64 = 0.000_200_438_772_277_1;

#[test]
fn the_p_value_is_students() {
    let score = scored(Metric::LogLoss, [0.5, 0.01], Some([0.4, 0.01]));
    let p = p_value(&rule(ABOVE), &score).expect("there is a standard error");
    // t = 0.1 / (√2 · 0.01) = 7.0711 on 6 degrees of freedom.
    assert!((p - EXPECTED_TAIL).abs() < 1e-9, "{p}");
    let good = scored(Metric::LogLoss, [0.3, 0.01], Some([0.4, 0.01]));
    assert!(p_value(&rule(ABOVE), &good).is_some_and(|p| p > 0.99));
    assert_eq!(
        p_value(&rule(ABOVE), &scored(Metric::LogLoss, [0.5, 0.01], None)),
        None
    );
}

/// Each rule hears its own metric only, k of n is counted as always, and the reason names the metric.
#[test]
fn alerts_follow_their_own_metric() {
    let loss = rule("metric: log_loss, above: reference + 0.05, for: 2 of 3");
    let brier = rule("metric: brier, above: 0.2");
    let mut state = AlertState::default();
    let mut seen = Vec::new();
    for (week, value) in (0..).zip([0.40, 0.60, 0.60, 0.41, 0.40]) {
        let window = Span::new(week * 7 * DAY, (week + 1) * 7 * DAY);
        let scores = [scored(Metric::LogLoss, [value, 0.01], Some([0.4, 0.01]))];
        let found = evaluate(&loss, &state, &scores, window, window.end + 7 * DAY);
        state = found.state;
        seen.push(state.status);
        if state.status == AlertStatus::Firing
            && let Some(transition) = found.transition
        {
            assert_eq!(transition.at, window.end + 7 * DAY);
            assert_eq!(
                transition.reason,
                "log_loss above reference + 0.05 in at least 2 of the last 3 judged windows"
            );
        }
        let other = evaluate(&brier, &AlertState::default(), &scores, window, window.end);
        assert!(other.judgements.is_empty());
    }
    use AlertStatus::{Firing, Inactive, Pending, Resolved};
    assert_eq!(seen, [Inactive, Pending, Firing, Firing, Resolved]);
}

#[test]
fn no_metric_is_called_like_a_watch() {
    for watch in Watch::ALL {
        assert_eq!(Metric::parse(watch.as_str()), None);
    }
}
