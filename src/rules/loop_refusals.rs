//! What is wrong with performance rules, kept rows and retraining, word for word.

use super::parse;

/// A binary model whose rows are kept, from line 4 on with `rest`, is refused with exactly these problems.
#[track_caller]
fn refuse(rest: &str, expect: &[&str]) {
    let text = format!("model: power\ntask: {{type: binary, positive: up}}\nrows: all\n{rest}");
    refuse_all(&text, expect);
}

#[track_caller]
fn refuse_all(text: &str, expect: &[&str]) {
    let problems = parse("r.yaml", text).expect_err("a declaration that is refused");
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        expect
    );
}

#[test]
fn a_performance_rule_has_a_metric_and_a_limit() {
    refuse(
        "\
rules:
  - {name: a, watch: performance}
  - {name: b, watch: performance, metric: log_loss}
  - {name: c, watch: performance, metric: roc_auc}
  - {name: d, watch: performance, metric: logloss, above: 1}",
        &[
            "r.yaml:5: rules[0].metric: (missing): this field is needed; write one of: log_loss, brier, roc_auc, accuracy, precision, recall, f1",
            "r.yaml:5: rules[0].above: (missing): this field is needed; what a loss of performance costs is yours to say: write for example `above: reference + 0.05` or `below: reference - 0.05`",
            "r.yaml:6: rules[1].above: (missing): this field is needed; what a loss of performance costs is yours to say: write for example `above: reference + 0.05`",
            "r.yaml:7: rules[2].below: (missing): this field is needed; what a loss of performance costs is yours to say: write for example `below: reference - 0.05`",
            "r.yaml:8: rules[3].metric: logloss: not one of the known words; did you mean `log_loss`?",
        ],
    );
}

#[test]
fn limits_of_metrics_have_a_side_a_range_and_no_unit() {
    refuse(
        "\
rules:
  - {name: a, watch: performance, metric: log_loss, below: 0.3}
  - {name: b, watch: performance, metric: roc_auc, above: reference - 0.05}
  - {name: c, watch: performance, metric: roc_auc, below: 70}
  - {name: d, watch: performance, metric: log_loss, above: -0.1}
  - {name: e, watch: performance, metric: accuracy, below: reference - 2pp}
  - {name: f, watch: performance, metric: accuracy, below: 70%}
  - {name: g, watch: performance, metric: accuracy, below: reference / 2}",
        &[
            "r.yaml:5: rules[0].below: 0.3: log_loss is better when it is less; write `above` instead",
            "r.yaml:6: rules[1].above: reference - 0.05: roc_auc is better when it is more; write `below` instead",
            "r.yaml:7: rules[2].below: 70: roc_auc lies between 0 and 1; write a number from 0 to 1",
            "r.yaml:8: rules[3].above: -0.1: log_loss is never below 0; write 0 or more",
            "r.yaml:9: rules[4].below: reference - 2pp: a metric is a plain number; write for example `reference + 0.05`",
            "r.yaml:10: rules[5].below: 70%: a metric is a plain number; write for example `reference + 0.05`",
            "r.yaml:11: rules[6].below: reference / 2: after `reference` comes `+`, `-` or `*`; write for example `reference + 0.05`",
        ],
    );
}

#[test]
fn metrics_fit_the_task() {
    refuse(
        "\
rules:
  - {name: a, watch: performance, metric: rmse, above: 3}
  - {name: b, watch: drift, metric: log_loss}
  - {name: c, watch: performance, metric: brier, above: 0.2, on: x, statistic: psi}",
        &[
            "r.yaml:5: rules[0].metric: rmse: a binary task has no rmse; write one of: log_loss, brier, roc_auc, accuracy, precision, recall, f1",
            "r.yaml:6: rules[1].metric: log_loss: only a performance rule has a metric; this one watches drift; write `watch: performance`, or leave it out",
            "r.yaml:7: rules[2].on: x: performance concerns the whole window, not columns; leave it out",
            "r.yaml:7: rules[2].statistic: psi: only a drift rule has this; this one watches performance; leave it out",
        ],
    );
    refuse_all(
        "\
model: power
task: regression
rows: all
rules:
  - {name: a, watch: performance, metric: r2, below: 1.5}
  - {name: b, watch: performance, metric: log_loss, above: 1}",
        &[
            "r.yaml:5: rules[0].below: 1.5: r2 is never above 1; write 1 or less",
            "r.yaml:6: rules[1].metric: log_loss: a regression task has no log_loss; write one of: rmse, mae, r2",
        ],
    );
}

#[test]
fn without_rows_there_is_nothing_to_judge_or_train_on() {
    refuse_all(
        r#"model: power
task: {type: binary, positive: up}
retrain: {hold_out: 30d}
rules:
  - {name: a, watch: performance, metric: log_loss, above: reference + 0.05, actions: [call, tell]}
actions:
  call: {webhook: "http://localhost:8081/retrain", secret_file: whsec, mode: promote}
  tell: {webhook: "http://localhost:8081/x", secret_file: s}"#,
        &[
            "r.yaml:3: retrain: {hold_out: 30d}: no rows are kept to train on; write `rows: all`, or `rows: {sample: 10%}` for a share of them, or leave `retrain` out",
            "r.yaml:5: rules[0].watch: performance: no rows are kept that labels could be joined with; write `rows: all`, or `rows: {sample: 10%}` for a share of them, or leave the rule out",
            "r.yaml:7: actions.call.mode: promote: it asks for a new model, and no rows are kept to train on; write `rows: all`, or `rows: {sample: 10%}` for a share of them, or `mode: notify` to call your own trainer",
            "r.yaml:8: actions.tell: {webhook: http://localhost:8081/x, secret_file: s}: without a mode it proposes a new model, and no rows are kept to train on; write `rows: all`, or `rows: {sample: 10%}` for a share of them, or `mode: notify` to call your own trainer",
        ],
    );
}

#[test]
fn tasks_without_metrics_are_neither_judged_nor_trained() {
    refuse_all(
        r#"model: power
task: ranking
rows: all
retrain: {candidates: [forest]}
rules:
  - {name: a, watch: performance, metric: log_loss, above: 1}
  - {name: b, watch: drift, actions: [call]}
actions:
  call: {webhook: "http://localhost:8081/retrain", secret_file: whsec, mode: propose}"#,
        &[
            "r.yaml:4: retrain: {candidates: [forest]}: no model is trained for a task of type ranking; leave it out, or declare a binary, multiclass or regression task",
            "r.yaml:6: rules[0].watch: performance: a task of type ranking has no metric; declare a binary, multiclass or regression task, or leave the rule out",
            "r.yaml:9: actions.call.mode: propose: it asks for a new model, and none is trained for a task of type ranking; write `mode: notify`, which calls your own service with the signed event",
        ],
    );
}

#[test]
fn broken_data_is_no_reason_for_a_new_model() {
    refuse(
        r#"rules:
  - {name: inputs, watch: drift, actions: [retrain]}
  - {name: nulls, watch: null_rate, actions: [tell, retrain]}
actions:
  retrain: {webhook: "http://localhost:8081/retrain", secret_file: whsec}
  tell: {webhook: "http://localhost:8081/x", secret_file: whsec, mode: notify}"#,
        &[
            "r.yaml:6: rules[1].actions: [tell, retrain]: `retrain` asks for a new model, and null_rate is no reason for one: it would learn from such data; take an action with `mode: notify`; while this alert is open, nothing is trained",
        ],
    );
}

#[test]
fn rows_are_all_none_or_a_share() {
    for (rows, shown) in [("some", "some"), ("[all]", "[all]")] {
        let text = format!("model: a\ntask: none\nrows: {rows}\n");
        let wrong = if rows == "some" {
            "not a choice of rows; write `all`, `none` or `{sample: 10%}`"
        } else {
            "not a single text; write one value"
        };
        refuse_all(&text, &[&format!("r.yaml:3: rows: {shown}: {wrong}")]);
    }
    for share in ["0", "100%", "1.5", "ten", "-1%", "reference"] {
        let text = format!("model: a\ntask: none\nrows: {{sample: {share}}}\n");
        let expect = format!(
            "r.yaml:3: rows.sample: {share}: not a share of the whole; write a share above 0 and below 100%, for example `10%`"
        );
        refuse_all(&text, &[&expect]);
    }
    refuse_all(
        "model: a\ntask: none\nrows: {}\n",
        &[
            "r.yaml:3: rows.sample: (missing): this field is needed; write `all`, `none` or `{sample: 10%}`",
        ],
    );
}

#[test]
fn a_policy_that_cannot_be_meant() {
    refuse(
        "\
retrain: {history: 1h, hold_out: soon, embargo: 5, min_gain: -1, confidence: 95, min_rows: 0, coverage_gap: 2, candidates: [forset, elastic_net, xgboost], seed: -1, model: x}",
        &[
            "r.yaml:4: retrain.model: x: unknown field; known here: history, hold_out, embargo, min_gain, confidence, min_rows, coverage_gap, candidates, seed",
            "r.yaml:4: retrain.history: 1h: too short; write at least `1d`",
            "r.yaml:4: retrain.hold_out: soon: not a length of time; write whole numbers with units of ms, s, m, h, d, w, for example `1h30m`",
            "r.yaml:4: retrain.embargo: 5: a number without a unit; write whole numbers with units of ms, s, m, h, d, w, for example `1h30m`",
            "r.yaml:4: retrain.min_gain: -1: not a number in range; write 0 or more",
            "r.yaml:4: retrain.confidence: 95: not a number in range; write a chance from 0.5 to 0.999, for example `0.95`",
            "r.yaml:4: retrain.min_rows: 0: not a whole number in range; write a number from 1 to 1000000000",
            "r.yaml:4: retrain.seed: -1: not a whole number in range; write a number from 0 to 18446744073709551615",
            "r.yaml:4: retrain.coverage_gap: 2: not a share of the whole; write a share above 0 and below 100%, for example `10%`",
            "r.yaml:4: retrain.candidates[0]: forset: not a known candidate; did you mean `forest`?",
            "r.yaml:4: retrain.candidates[1]: elastic_net: this candidate does not fit a binary task; write some of: logistic, tree, forest",
            "r.yaml:4: retrain.candidates[2]: xgboost: not a known candidate; write some of: logistic, tree, forest",
        ],
    );
    refuse(
        "retrain: {candidates: []}",
        &[
            "r.yaml:4: retrain.candidates: []: nothing would be trained; name candidates, or leave it out for all that fit",
        ],
    );
}

#[test]
fn labels_change_results_at_least_until_they_are_mature() {
    refuse(
        "window: {label_maturity: 2w, label_horizon: 1w}",
        &[
            "r.yaml:4: window.label_horizon: 1w: labels change results until here, which is before `label_maturity`; write at least `2w`",
        ],
    );
}
