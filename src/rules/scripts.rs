//! Alerts over time: each script is a rule and a run of windows with what must have become of the alert after each.

use std::collections::BTreeMap;

use crate::event::{DAY, HOUR, Millis, Span};
use crate::stats::score::{Score, Threshold, ThresholdSource, Verdict};

use super::judgement::{Judgement, REFERENCE};
use super::{AlertState, AlertStatus, Rule, evaluate, parse};

/// The rule with these fields.
#[track_caller]
pub(super) fn rule(fields: &str) -> Rule {
    let text = format!(
        "model: m\ntask: {{type: binary, positive: up}}\nrows: all\nrules:\n  - {{name: r, {fields}}}\n"
    );
    parse("script", &text)
        .expect("a rule")
        .remove(0)
        .rules
        .remove(0)
}

pub(super) fn score(column: &str, statistic: &str, verdict: Verdict, value: Option<f64>) -> Score {
    Score {
        column: column.to_owned(),
        statistic: statistic.to_owned(),
        verdict,
        value,
        effect: value,
        floor: 0.1,
        threshold: None,
        p_value: None,
        n_reference: 10_000,
        n_current: 1_000,
        error_bound: None,
        method: "bins".to_owned(),
        parameters: BTreeMap::new(),
        backend: "cpu".to_owned(),
        moved: String::new(),
        worst_slice: None,
        reason: String::new(),
    }
}

fn verdict(word: &str) -> Verdict {
    Verdict::ALL
        .into_iter()
        .find(|verdict| verdict.as_str() == word)
        .expect("a verdict")
}

/// `temp=drift dewp=ok`: PSI scores; a rate as `temp=0.05`, against a reference of 0.02 in 1000 rows.
fn scores(words: &str, statistic: &str) -> Vec<Score> {
    let one = |word: &str| {
        let (column, what) = word.split_once('=').expect("column=what");
        match what.parse::<f64>() {
            Ok(value) => {
                let mut score = score(column, statistic, Verdict::Ok, Some(value));
                score
                    .parameters
                    .insert(REFERENCE.to_owned(), "0.02".to_owned());
                score
            }
            Err(_) => score(column, statistic, verdict(what), Some(0.3)),
        }
    };
    words.split_whitespace().map(one).collect()
}

/// Plays windows of a day each. Expected is the status after each, with `!` when it has just changed, and the columns
/// that are bad enough.
#[track_caller]
fn play(fields: &str, statistic: &str, script: &[(&str, &str)]) {
    let rule = rule(fields);
    let mut state = AlertState::default();
    let mut seen = Vec::new();
    for (day, (words, _)) in (0..).zip(script) {
        let window = Span::new(day * DAY, (day + 1) * DAY);
        let scores = scores(words, statistic);
        let found = evaluate(&rule, &state, &scores, window, window.end);
        let mut text = found.state.status.as_str().to_owned();
        if let Some(transition) = &found.transition {
            assert_eq!(
                (transition.from, transition.to),
                (state.status, found.state.status)
            );
            assert_eq!((transition.at, found.state.since), (window.end, window.end));
            text += "!";
        }
        text += &found
            .state
            .columns
            .iter()
            .map(|column| format!(" {column}"))
            .collect::<String>();
        seen.push((*words, text));
        state = found.state;
    }
    let expect: Vec<(&str, String)> = script
        .iter()
        .map(|(words, text)| (*words, (*text).to_owned()))
        .collect();
    assert_eq!(seen, expect);
}

#[test]
fn one_bad_window_is_enough_when_nothing_else_is_said() {
    play(
        "watch: drift",
        "psi",
        &[
            ("temp=ok dewp=ok", "inactive"),
            ("temp=drift dewp=ok", "firing! temp"),
            ("temp=drift dewp=drift", "firing dewp temp"),
            ("temp=ok dewp=drift", "firing dewp"),
            ("temp=ok dewp=ok", "resolved!"),
            ("temp=ok dewp=ok", "inactive!"),
            ("temp=drift dewp=ok", "firing! temp"),
            ("temp=ok dewp=ok", "resolved!"),
            ("temp=drift dewp=ok", "firing! temp"),
        ],
    );
}

#[test]
fn k_of_n_is_counted_for_each_column() {
    play(
        "watch: drift, for: 2 of 3",
        "psi",
        &[
            ("temp=drift dewp=ok", "pending!"),
            ("temp=ok dewp=drift", "pending"),
            ("temp=ok dewp=ok", "pending"),
            ("temp=drift dewp=drift", "firing! dewp"),
            ("temp=drift dewp=ok", "firing temp"),
            ("temp=ok dewp=ok", "firing temp"),
            ("temp=ok dewp=ok", "resolved!"),
            ("temp=ok dewp=ok", "inactive!"),
        ],
    );
}

#[test]
fn windows_that_cannot_be_judged_do_not_count() {
    play(
        "watch: drift, for: 2 of 3",
        "psi",
        &[
            ("temp=drift", "pending!"),
            ("temp=insufficient_data", "pending"),
            ("temp=no_data", "pending"),
            ("temp=incomplete", "pending"),
            ("temp=no_reference", "pending"),
            ("temp=schema_error", "pending"),
            ("", "pending"),
            ("temp=drift", "firing! temp"),
            ("temp=no_data", "firing temp"),
            ("temp=ok", "firing temp"),
            ("temp=insufficient_data", "firing temp"),
            ("temp=ok", "resolved!"),
            ("temp=no_data", "resolved"),
            ("temp=ok", "inactive!"),
        ],
    );
}

#[test]
fn other_columns_are_passed_over() {
    play(
        "watch: drift, on: [temp, \"prediction.*\"]",
        "psi",
        &[
            ("dewp=drift", "inactive"),
            ("dewp=drift temp=ok", "inactive"),
            ("prediction.label=drift temp=ok", "firing! prediction.label"),
        ],
    );
}

#[test]
fn other_statistics_are_passed_over() {
    play(
        "watch: drift, statistic: ks",
        "psi",
        &[("temp=drift", "inactive")],
    );
    play(
        "watch: drift, statistic: ks",
        "ks",
        &[("temp=drift", "firing! temp")],
    );
    play("watch: null_rate", "unseen", &[("temp=0.9", "inactive")]);
    play("watch: drift", "null_rate", &[("temp=drift", "inactive")]);
}

#[test]
fn a_rate_is_bad_beyond_its_limit_and_beyond_chance() {
    play(
        "watch: null_rate, above: reference + 2pp",
        "null_rate",
        &[
            ("temp=0.02", "inactive"),
            ("temp=0.04", "inactive"),
            // 45 of 1000 where 40 are allowed: chance.
            ("temp=0.045", "inactive"),
            ("temp=0.08", "firing! temp"),
            ("temp=no_data", "firing temp"),
            ("temp=0.03", "resolved!"),
        ],
    );
}

/// What a single score of 1000 rows, unless it says otherwise, comes to.
#[track_caller]
fn judge(fields: &str, change: impl Fn(&mut Score), expect: Judgement) {
    let rule = rule(fields);
    let mut one = score("temp", rule.watch.as_str(), Verdict::Ok, Some(0.0));
    if rule.watch == super::Watch::Drift {
        one.statistic = "psi".to_owned();
    }
    change(&mut one);
    let found = evaluate(
        &rule,
        &AlertState::default(),
        &[one],
        Span::new(0, DAY),
        DAY,
    );
    assert_eq!(found.judgements.into_values().collect::<Vec<_>>(), [expect]);
}

fn with_reference(score: &mut Score, reference: &str) {
    score
        .parameters
        .insert(REFERENCE.to_owned(), reference.to_owned());
}

#[test]
fn few_rows_are_chance_and_many_are_not() {
    let one_in_ten = |n| move |score: &mut Score| (score.value, score.n_current) = (Some(0.1), n);
    judge(
        "watch: null_rate, above: 5%",
        one_in_ten(20),
        Judgement::NotSignificant,
    );
    judge(
        "watch: null_rate, above: 5%",
        one_in_ten(2000),
        Judgement::BeyondLimit,
    );
    judge(
        "watch: null_rate, above: 5%",
        one_in_ten(0),
        Judgement::NoData,
    );
    judge(
        "watch: wrong_type, above: 0",
        |score| score.value = Some(0.001),
        Judgement::BeyondLimit,
    );
}

#[test]
fn a_limit_on_the_reference_needs_one() {
    judge(
        "watch: null_rate",
        |score| score.value = Some(0.5),
        Judgement::NoReference,
    );
    judge(
        "watch: null_rate",
        |score| with_reference(score, "NaN"),
        Judgement::NoReference,
    );
    judge(
        "watch: volume",
        |score| score.n_current = 0,
        Judgement::NoReference,
    );
    let alone =
        |score: &mut Score| (score.value, score.verdict) = (Some(0.5), Verdict::NoReference);
    judge("watch: null_rate, above: 5%", alone, Judgement::BeyondLimit);
}

#[test]
fn volume_is_judged_by_rows_even_when_there_are_none() {
    let rows = |rows: u64, verdict: Verdict| {
        move |score: &mut Score| {
            (score.n_current, score.verdict, score.value) = (rows, verdict, None);
            with_reference(score, "1000");
        }
    };
    judge(
        "watch: volume",
        rows(0, Verdict::NoData),
        Judgement::BeyondLimit,
    );
    judge(
        "watch: volume",
        rows(30, Verdict::InsufficientData),
        Judgement::BeyondLimit,
    );
    judge(
        "watch: volume",
        rows(0, Verdict::Incomplete),
        Judgement::Incomplete,
    );
    judge(
        "watch: volume",
        rows(490, Verdict::Ok),
        Judgement::NotSignificant,
    );
    judge(
        "watch: volume",
        rows(500, Verdict::Ok),
        Judgement::WithinLimit,
    );
    judge(
        "watch: volume, above: 2000",
        rows(3000, Verdict::Ok),
        Judgement::BeyondLimit,
    );
    judge(
        "watch: volume, above: 2000",
        rows(0, Verdict::NoData),
        Judgement::WithinLimit,
    );
}

#[test]
fn a_rules_floor_takes_the_place_of_the_statistics_own() {
    let scored = |verdict: Verdict, value: f64| {
        move |score: &mut Score| {
            (score.verdict, score.value, score.effect) = (verdict, Some(value), Some(value));
            score.threshold = Some(Threshold {
                value: 0.04,
                source: ThresholdSource::Blocks,
                level: Some(0.01),
                overdispersion: None,
                blocks: 8,
                draws: Some(999),
                extrapolated: false,
                false_alarms_per_week: None,
            });
        }
    };
    judge(
        "watch: drift",
        scored(Verdict::Drift, 0.3),
        Judgement::Drift,
    );
    judge(
        "watch: drift, floor: 0.5",
        scored(Verdict::Drift, 0.3),
        Judgement::UnderFloor,
    );
    judge(
        "watch: drift",
        scored(Verdict::Ok, 0.08),
        Judgement::NoDrift,
    );
    judge(
        "watch: drift, floor: 0.05",
        scored(Verdict::Ok, 0.08),
        Judgement::Drift,
    );
    judge(
        "watch: drift, floor: 0.01",
        scored(Verdict::Ok, 0.03),
        Judgement::NoDrift,
    );
}

#[test]
fn schema_changes_are_bad_at_once() {
    judge(
        "watch: schema_change",
        |score| score.value = Some(0.0),
        Judgement::WithinLimit,
    );
    judge(
        "watch: schema_change",
        |score| score.value = Some(1.0),
        Judgement::BeyondLimit,
    );
    judge(
        "watch: schema_change",
        |score| score.value = None,
        Judgement::NoData,
    );
    judge(
        "watch: schema_change",
        |score| (score.value, score.n_current) = (Some(0.0), 0),
        Judgement::NoData,
    );
}

#[test]
fn each_column_has_one_statistic_that_speaks_for_it() {
    let rule = rule("watch: drift");
    let both = |numeric: bool, psi: Verdict, js: Verdict| {
        let mut scores = vec![
            score("c", "psi", psi, Some(0.3)),
            score("c", "js", js, Some(0.3)),
        ];
        if numeric {
            scores.push(score("c", "ks", Verdict::Drift, Some(0.3)));
        }
        evaluate(
            &rule,
            &AlertState::default(),
            &scores,
            Span::new(0, DAY),
            DAY,
        )
        .state
        .status
    };
    assert_eq!(both(true, Verdict::Drift, Verdict::Ok), AlertStatus::Firing);
    assert_eq!(
        both(true, Verdict::Ok, Verdict::Drift),
        AlertStatus::Inactive
    );
    assert_eq!(
        both(false, Verdict::Drift, Verdict::Ok),
        AlertStatus::Inactive
    );
    assert_eq!(
        both(false, Verdict::Ok, Verdict::Drift),
        AlertStatus::Firing
    );
}

#[test]
fn silence_is_judged_at_ticks() {
    let rule = rule("watch: freshness, above: 2h, severity: page");
    let newest = 10 * DAY;
    let mut state = AlertState::default();
    let mut tick = |now: Millis, newest: Millis| {
        let silent = score("", "freshness", Verdict::Ok, Some((now - newest) as f64));
        let found = evaluate(&rule, &state, &[silent], Span::new(newest, now), now);
        state = found.state;
        found.transition.map(|transition| transition.reason)
    };
    assert_eq!(tick(newest + HOUR, newest), None);
    assert_eq!(tick(newest + 2 * HOUR, newest), None);
    assert_eq!(
        tick(newest + 2 * HOUR + 1, newest).as_deref(),
        Some("freshness above 2h now")
    );
    assert_eq!(tick(newest + 3 * HOUR, newest), None);
    assert_eq!(
        tick(newest + 4 * HOUR, newest + 4 * HOUR).as_deref(),
        Some("freshness above 2h no longer")
    );
}

#[test]
fn reasons_name_what_where_and_how_often() {
    let twice = rule("watch: null_rate, for: 2 of 4");
    let mut state = AlertState::default();
    let mut reasons = Vec::new();
    for (day, words) in (0..).zip([
        "temp=0.5", "temp=0.5", "temp=0", "temp=0", "temp=0", "temp=0",
    ]) {
        let window = Span::new(day * DAY, (day + 1) * DAY);
        let found = evaluate(
            &twice,
            &state,
            &scores(words, "null_rate"),
            window,
            window.end,
        );
        state = found.state;
        reasons.extend(found.transition.map(|transition| transition.reason));
    }
    assert_eq!(
        reasons,
        [
            "null_rate above reference + 2pp in fewer than 2 of the last 4 judged windows",
            "temp: null_rate above reference + 2pp in at least 2 of the last 4 judged windows",
            "null_rate above reference + 2pp in fewer than 2 of the last 4 judged windows",
            "null_rate above reference + 2pp in none of the last 4 judged windows",
        ]
    );
    let many: Vec<String> = (0..7).map(|i| format!("c{i}=0.9")).collect();
    let once = rule("watch: null_rate, above: 5%");
    let scores = scores(&many.join(" "), "null_rate");
    let found = evaluate(
        &once,
        &AlertState::default(),
        &scores,
        Span::new(0, DAY),
        DAY,
    );
    let reason = found.transition.map(|transition| transition.reason);
    assert_eq!(
        reason.as_deref(),
        Some("c0, c1, c2, c3, c4 and 2 more: null_rate above 5% in the last judged window")
    );
}

#[test]
fn an_episode_is_known_by_the_window_that_began_it() {
    let rule = rule("watch: drift");
    let mut state = AlertState::default();
    let mut episodes = Vec::new();
    for (day, words) in (0..).zip(["temp=drift", "temp=drift", "temp=ok", "temp=drift"]) {
        let window = Span::new(day * DAY, (day + 1) * DAY);
        let found = evaluate(&rule, &state, &scores(words, "psi"), window, window.end);
        state = found.state;
        episodes.extend(
            found
                .transition
                .map(|news| (news.to, news.episode_start.map(|window| window.start / DAY))),
        );
    }
    assert_eq!(
        episodes,
        [
            (AlertStatus::Firing, Some(0)),
            (AlertStatus::Resolved, Some(0)),
            (AlertStatus::Firing, Some(3)),
        ]
    );
}

#[test]
fn a_rule_that_was_changed_takes_its_memory_along() {
    let day = |day: Millis| Span::new(day * DAY, (day + 1) * DAY);
    let long = rule("watch: drift, for: 2 of 5");
    let mut state = AlertState::default();
    for i in 0..2 {
        state = evaluate(
            &long,
            &state,
            &scores("temp=drift dewp=drift", "psi"),
            day(i),
            day(i).end,
        )
        .state;
    }
    assert_eq!(state.status, AlertStatus::Firing);
    let short = rule("watch: drift, on: temp, for: 2 of 2");
    let found = evaluate(
        &short,
        &state,
        &scores("temp=ok dewp=drift", "psi"),
        day(2),
        day(2).end,
    );
    assert_eq!(found.state.status, AlertStatus::Resolved);
    assert_eq!(
        found.state.history.into_iter().collect::<Vec<_>>(),
        [("temp".to_owned(), [true, false].into())]
    );
}
