//! What a declaration that is understood turns into.

use std::path::PathBuf;

use proptest::prelude::*;

use crate::event::{DAY, HOUR, MINUTE, WEEK};
use crate::performance::Metric;
use crate::profile::Domain;
use crate::stats::Statistic;
use crate::window::WindowSpec;

use super::{
    AtMost, Budget, Condition, Declaration, KOfN, Limit, Mode, ReferenceSpec, RetrainPolicy, Rows,
    Severity, Side, Task, Watch, parse,
};

#[track_caller]
fn one(text: &str) -> Declaration {
    let declared = parse("conf/r.yaml", text);
    match declared.as_deref() {
        Ok([declaration]) => declaration.clone(),
        other => panic!("one declaration, not {other:?}"),
    }
}

#[test]
fn two_lines_are_enough() {
    let declared = one("model: power\ntask: {type: binary, positive: up}\n");
    assert_eq!(
        declared.task,
        Task::Binary {
            positive: "up".to_owned()
        }
    );
    assert_eq!(declared.window, WindowSpec::default());
    assert_eq!(declared.reference, ReferenceSpec::First(30 * DAY));
    let implied: Vec<(&str, Watch)> = declared
        .rules
        .iter()
        .map(|rule| (rule.name.as_str(), rule.watch))
        .collect();
    assert_eq!(
        implied,
        [
            ("inputs", Watch::Drift),
            ("nulls", Watch::NullRate),
            ("unseen", Watch::Unseen),
            ("wrong_types", Watch::WrongType),
            ("schema", Watch::SchemaChange),
            ("volume", Watch::Volume),
        ]
    );
    assert_eq!(declared.rules[0].required, KOfN { k: 3, n: 5 });
    assert!(
        declared
            .rules
            .iter()
            .all(|rule| rule.severity == Severity::Ticket)
    );
}

#[test]
fn a_declared_domain_is_watched() {
    let declared = one("model: a\ntask: none\ncolumns: {domain: {age: {range: [0, 120]}}}\n");
    assert_eq!(
        declared.rules.last().map(|rule| rule.watch),
        Some(Watch::OutOfDomain)
    );
}

#[test]
fn an_empty_list_of_rules_is_meant() {
    assert_eq!(one("model: a\ntask: none\nrules: []\n").rules, []);
}

const EVERY_FIELD: &str = r#"
model: power-*
task: {type: binary, positive: 1}
window: {every: 5m, span: 1h, lateness: 90s, revise_every: 30m, late_horizon: 6h, label_maturity: 2w, label_horizon: 10w, min_rows: 50}
reference: {file: training.parquet}
columns:
  include: [demand, "p_*"]
  exclude: p_id
  categorical: [zip]
  numeric: [no, 007]
  domain:
    age: {range: [-0.5, 1e2]}
    day: {categories: [on, off, 01]}
rows: {sample: 10%}
retrain:
  history: 26w
  hold_out: 3w
  embargo: 3d
  min_gain: 0.005
  confidence: 0.9
  min_rows: 500
  coverage_gap: 5%
  candidates: [logistic, forest]
  seed: 7
features_from: predictions
rules:
  - name: inputs
    watch: drift
    on: [demand, "p_*"]
    statistic: ks
    for: 3 of 5
    severity: page
    floor: 0.15
    false_alarms: 2 per 1w
    actions: [call]
  - {name: exact, watch: drift, level: 1e-3, floor: auto, statistic: auto}
  - {name: nulls, watch: null_rate}
  - {name: volume, watch: volume, above: reference * 3}
  - {name: silent, watch: freshness, above: 2h}
  - {name: loss, watch: performance, metric: log_loss, above: reference + 0.05, for: 2 of 3, severity: page, actions: [train, swap]}
  - {name: order, watch: performance, metric: roc_auc, below: reference * 0.95}
  - {name: hits, watch: performance, metric: accuracy, below: 0.7}
actions:
  call: {webhook: "https://hooks.example.com/x", secret_file: whsec, mode: notify, cooldown: 7d, at_most: 2 per 30d}
  train: {webhook: "http://localhost:8081/retrain", secret_file: whsec, allow_internal: true}
  swap: {webhook: "http://localhost:8081/retrain", secret_file: whsec, mode: promote}
"#;

#[test]
fn every_field_finds_its_place() {
    let declared = one(EVERY_FIELD);
    assert_eq!(declared.model.as_str(), "power-*");
    assert_eq!(
        declared.task,
        Task::Binary {
            positive: "1".to_owned()
        }
    );
    assert_eq!(
        declared.window,
        WindowSpec {
            every: 5 * MINUTE,
            span: HOUR,
            lateness: 90_000,
            revise_every: 30 * MINUTE,
            late_horizon: 6 * HOUR,
            label_maturity: 2 * WEEK,
            label_horizon: 10 * WEEK,
            min_rows: 50,
        }
    );
    assert_eq!(
        declared.reference,
        ReferenceSpec::File(PathBuf::from("conf/training.parquet"))
    );
    let columns = &declared.columns;
    assert_eq!(
        columns.include.as_deref(),
        Some(&["demand".to_owned(), "p_*".to_owned()][..])
    );
    assert_eq!(
        (&columns.exclude[..], &columns.numeric[..]),
        (
            &["p_id".to_owned()][..],
            &["no".to_owned(), "007".to_owned()][..]
        )
    );
    assert_eq!(columns.domain["age"], Domain::Range([-0.5, 100.0]));
    assert_eq!(
        columns.domain["day"],
        Domain::Categories(vec!["on".to_owned(), "off".to_owned(), "01".to_owned()])
    );

    let [inputs, exact, nulls, volume, silent, of_performance @ ..] = &declared.rules[..] else {
        panic!("five rules and more")
    };
    assert_eq!(inputs.statistic, Some(Statistic::KolmogorovSmirnov));
    assert_eq!(inputs.required, KOfN { k: 3, n: 5 });
    assert_eq!(
        (inputs.severity, inputs.floor),
        (Severity::Page, Some(0.15))
    );
    assert_eq!(
        inputs.false_alarms,
        Budget {
            count: 2.0,
            per: WEEK
        }
    );
    assert!(inputs.covers("p_x") && inputs.covers("demand") && !inputs.covers("dem"));
    assert_eq!(
        (exact.level, exact.floor, exact.statistic),
        (Some(1e-3), None, None)
    );
    assert_eq!(
        exact.false_alarms,
        Budget {
            count: 1.0,
            per: 30 * DAY
        }
    );
    assert_eq!(
        nulls.condition,
        Some(Condition {
            side: Side::Above,
            limit: Limit::ReferencePlus(0.02)
        })
    );
    assert_eq!(
        volume.condition,
        Some(Condition {
            side: Side::Above,
            limit: Limit::ReferenceTimes(3.0)
        })
    );
    assert_eq!(
        silent.condition,
        Some(Condition {
            side: Side::Above,
            limit: Limit::Fixed(2.0 * HOUR as f64)
        })
    );

    let call = &declared.actions["call"];
    assert_eq!(
        (call.cooldown, call.at_most),
        (
            7 * DAY,
            Some(AtMost {
                count: 2,
                per: 30 * DAY
            })
        )
    );
    assert_eq!(call.webhook, "https://hooks.example.com/x");
    assert!(!call.allow_internal);
    let modes: Vec<(&str, Mode)> = declared
        .actions
        .iter()
        .map(|(name, action)| (name.as_str(), action.mode))
        .collect();
    let expect = [
        ("call", Mode::Notify),
        ("swap", Mode::Promote),
        ("train", Mode::Propose),
    ];
    assert_eq!(modes, expect, "propose is what is meant by nothing");

    let limits: Vec<(Option<Metric>, Option<Condition>)> = of_performance
        .iter()
        .map(|rule| (rule.metric, rule.condition))
        .collect();
    let condition = |side, limit| Some(Condition { side, limit });
    assert_eq!(
        limits,
        [
            (
                Some(Metric::LogLoss),
                condition(Side::Above, Limit::ReferencePlus(0.05))
            ),
            (
                Some(Metric::RocAuc),
                condition(Side::Below, Limit::ReferenceTimes(0.95))
            ),
            (
                Some(Metric::Accuracy),
                condition(Side::Below, Limit::Fixed(0.7))
            ),
        ]
    );
    assert_eq!(of_performance[0].required, KOfN { k: 2, n: 3 });
    assert_eq!(of_performance[0].actions, ["train", "swap"]);
    assert_eq!(declared.rows, Rows::Sample(0.1));
    assert_eq!(
        declared.retrain,
        RetrainPolicy {
            history: Some(26 * WEEK),
            hold_out: 3 * WEEK,
            embargo: Some(3 * DAY),
            min_gain: 0.005,
            confidence: 0.9,
            min_rows: 500,
            coverage_gap: 0.05,
            candidates: vec!["logistic".to_owned(), "forest".to_owned()],
            seed: 7,
        }
    );
}

#[test]
fn rows_and_policies_have_defaults() {
    let declared = one("model: a\ntask: none\n");
    assert_eq!(declared.rows, Rows::None);
    assert_eq!(declared.retrain, RetrainPolicy::default());
    assert_eq!(one("model: a\ntask: none\nrows: none\n").rows, Rows::None);
    let all = one(
        "model: a\ntask: regression\nrows: all\nretrain: {embargo: 0s, candidates: elastic_net}\n",
    );
    assert_eq!(all.rows, Rows::All);
    assert_eq!(all.retrain.embargo, Some(0));
    assert_eq!(all.retrain.candidates, ["elastic_net"]);
    assert_eq!(all.retrain.hold_out, RetrainPolicy::default().hold_out);
    let long = one("model: a\ntask: none\nwindow: {label_maturity: 60d}\n");
    assert_eq!(long.window.label_horizon, 60 * DAY, "not before maturity");
}

#[test]
fn defaults_fit_the_window() {
    let sliding = one("model: a\ntask: none\nwindow: {every: 45m, span: 90m}\n");
    assert_eq!(
        sliding.window.revise_every,
        90 * MINUTE,
        "the first multiple of `every` from an hour on"
    );
    let long = one("model: a\ntask: none\nwindow: {every: 13w}\n");
    assert_eq!(
        long.reference,
        ReferenceSpec::First(13 * WEEK),
        "at least one window"
    );
    assert!(long.window.is_tumbling());
}

#[test]
fn every_reference_is_read() {
    for (text, expect) in [
        ("training", ReferenceSpec::Training),
        ("{first: 59d}", ReferenceSpec::First(59 * DAY)),
        ("{trailing: 8}", ReferenceSpec::Trailing(8)),
        ("{same_hour_of_week: 4}", ReferenceSpec::SameHourOfWeek(4)),
        (
            "{file: /data/x.csv}",
            ReferenceSpec::File(PathBuf::from("/data/x.csv")),
        ),
    ] {
        let declared = one(&format!(
            "model: a\ntask: none\nrows: all\nreference: {text}\n"
        ));
        assert_eq!(declared.reference, expect);
        assert_eq!(
            declared.reference.to_string(),
            text.trim_matches(['{', '}'])
        );
    }
}

#[test]
fn documents_follow_one_another() {
    let declared = parse(
        "r.yaml",
        "model: a\ntask: none\n---\n# the other\nmodel: b\ntask: ranking\n",
    )
    .expect("two");
    let places: Vec<(&str, usize)> = declared
        .iter()
        .map(|found| (found.model.as_str(), found.line))
        .collect();
    assert_eq!(places, [("a", 1), ("b", 5)]);
}

proptest! {
    /// Whatever becomes of a file, it is understood or has problems that name a line of it.
    #[test]
    fn a_damaged_file_is_understood_or_refused(
        from in any::<prop::sample::Index>(), length in 0usize..40, put in "[-\\[\\]{}:,&*#\"'a-z0-9 \n~%|>!]{0,6}",
    ) {
        let from = from.index(EVERY_FIELD.len());
        let to = (from + length).min(EVERY_FIELD.len());
        let text = format!("{}{put}{}", &EVERY_FIELD[..from], &EVERY_FIELD[to..]);
        let lines = text.lines().count();
        if let Err(problems) = parse("r.yaml", &text) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.line <= lines + 1, "{problem}");
                prop_assert!(!problem.wrong.is_empty() && !problem.remedy.is_empty());
                prop_assert!(!problem.to_string().contains('\n'), "{problem}");
            }
        }
    }
}

/// The shipped examples show performance and retraining as a user would want them.
#[test]
fn shipped_examples_judge_performance_and_propose() {
    for (file, text) in [
        (
            "binary-classifier.yaml",
            include_str!("../../rules/binary-classifier.yaml"),
        ),
        (
            "regression.yaml",
            include_str!("../../rules/regression.yaml"),
        ),
    ] {
        let declared = one(text);
        assert_eq!(declared.rows, Rows::All, "{file}");
        let asking: Vec<&str> = declared
            .rules
            .iter()
            .filter(|rule| rule.watch == Watch::Performance)
            .flat_map(|rule| &rule.actions)
            .map(String::as_str)
            .collect();
        assert_eq!(asking, ["retrain"], "{file}");
        let action = &declared.actions["retrain"];
        assert_eq!(action.mode, Mode::Propose, "{file}");
        assert!(action.cooldown > 0 && action.at_most.is_some(), "{file}");
        assert!(!declared.retrain.candidates.is_empty(), "{file}");
    }
}
