//! What is wrong with a declaration, word for word.

use super::parse;

/// `text` is refused with exactly these problems.
#[track_caller]
fn refuse(text: &str, expect: &[&str]) {
    let problems = parse("r.yaml", text).expect_err("a declaration that is refused");
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        expect
    );
}

#[test]
fn model_is_needed() {
    refuse(
        "\
task: none",
        &[
            "r.yaml:1: model: (missing): this field is needed; write the model's name or a pattern such as `power-*`",
        ],
    );
}

#[test]
fn a_binary_task_needs_its_positive_class() {
    refuse(
        "\
model: power
task: binary",
        &[
            "r.yaml:2: task: binary: a binary task needs its positive class; write the class that counts as positive: `{type: binary, positive: up}`",
        ],
    );
}

#[test]
fn a_mistyped_task() {
    refuse(
        "\
model: power
task: {type: binray, positive: up}",
        &["r.yaml:2: task.type: binray: not one of the known words; did you mean `binary`?"],
    );
}

#[test]
fn only_binary_tasks_have_a_positive_class() {
    refuse(
        "\
model: power
task: {type: regression, positive: up}",
        &["r.yaml:2: task.positive: up: only a binary task has a positive class; leave it out"],
    );
}

#[test]
fn unknown_fields_and_fields_without_a_value() {
    refuse(
        "\
model: power
task: none
modell: x
thresholds: 3
window:",
        &[
            "r.yaml:3: modell: x: unknown field; did you mean `model`?",
            "r.yaml:4: thresholds: 3: unknown field; known here: model, task, window, reference, columns, rows, retrain, rules, actions, features_from, mapping",
            "r.yaml:5: window: null: the field has no value; write one or leave the field out",
        ],
    );
}

#[test]
fn lengths_of_time_need_units() {
    refuse(
        "\
model: power
task: none
window: {every: 1, lateness: soon, span: 5m, min_rows: many}",
        &[
            "r.yaml:3: window.every: 1: a number without a unit; write whole numbers with units of ms, s, m, h, d, w, for example `1h30m`",
            "r.yaml:3: window.lateness: soon: not a length of time; write whole numbers with units of ms, s, m, h, d, w, for example `1h30m`",
            "r.yaml:3: window.min_rows: many: not a whole number in range; write a number from 1 to 1000000000",
        ],
    );
}

#[test]
fn a_span_is_a_multiple_of_every() {
    refuse(
        "\
model: power
task: none
window: {every: 5m, span: 12m}",
        &[
            "r.yaml:3: window.span: 12m: the span is no multiple of `every`; write a multiple of 5m, or leave `span` out for windows that do not overlap",
        ],
    );
}

#[test]
fn a_span_alone_says_too_little() {
    refuse(
        "\
model: power
task: none
window: {span: 1h}",
        &[
            "r.yaml:3: window.every: (missing): this field is needed; write the distance of window starts, for example `5m`",
        ],
    );
}

#[test]
fn windows_may_be_too_short() {
    refuse(
        "\
model: power
task: none
window: {every: 5s}",
        &["r.yaml:3: window.every: 5s: too short; write at least `10s`"],
    );
}

#[test]
fn windows_may_have_too_many_panes() {
    refuse(
        "\
model: power
task: none
window: {every: 10s, span: 1w}",
        &[
            "r.yaml:3: window.span: 1w: the window has too many panes; write at most 1000 times 10s, or a longer `every`",
        ],
    );
}

#[test]
fn revisions_of_sliding_windows() {
    refuse(
        "\
model: power
task: none
window: {every: 5m, span: 1h, revise_every: 12m}",
        &[
            "r.yaml:3: window.revise_every: 12m: revisions of sliding windows fall on multiples of `every`; write a multiple of 5m",
        ],
    );
}

#[test]
fn revisions_may_be_too_many() {
    refuse(
        "\
model: power
task: none
window: {every: 1d, revise_every: 1m, late_horizon: 30d}",
        &[
            "r.yaml:3: window.revise_every: 1m: a window would have 43200 revisions; have at most 1000: a longer `revise_every` or a shorter `late_horizon`",
        ],
    );
}

#[test]
fn training_as_the_reference_of_a_model_that_is_not_trained_here() {
    refuse(
        "\
model: power
task: none
reference: training",
        &[
            "r.yaml:3: reference: training: no rows are kept, so no model is trained here and this reference never comes; write `rows: all`, or `rows: {sample: 10%}` for a share of them, or take the first windows: `{first: 30d}`",
        ],
    );
}

#[test]
fn a_reference_in_words() {
    refuse(
        "\
model: power
task: none
reference: last month",
        &[
            "r.yaml:3: reference: last month: not a reference; write one of: `training`, `file: PATH`, `first: 30d`, `trailing: 8`, `same_hour_of_week: 4`",
        ],
    );
}

#[test]
fn a_first_stretch_shorter_than_a_window() {
    refuse(
        "\
model: power
task: none
window: {every: 1w}
reference: {first: 3d}",
        &["r.yaml:4: reference.first: 3d: too short; write at least `1w`"],
    );
}

#[test]
fn two_references() {
    refuse(
        "\
model: power
task: none
reference: {first: 30d, trailing: 8}",
        &[
            "r.yaml:3: reference: {first: 30d, trailing: 8}: a reference is exactly one thing; write one of: `training`, `file: PATH`, `first: 30d`, `trailing: 8`, `same_hour_of_week: 4`",
        ],
    );
}

#[test]
fn a_reference_of_no_window() {
    refuse(
        "\
model: power
task: none
reference: {trailing: 0}",
        &[
            "r.yaml:3: reference.trailing: 0: not a whole number in range; write a number from 1 to 1000",
        ],
    );
}

#[test]
fn the_same_hour_of_the_week_needs_windows_that_divide_it() {
    refuse(
        "\
model: power
task: none
window: {every: 5d}
reference: {same_hour_of_week: 4}",
        &[
            "r.yaml:4: reference.same_hour_of_week: 4: windows of this length do not fall on the same hour each week; use a window that divides a week, for example `every: 1h`",
        ],
    );
}

#[test]
fn what_this_release_does_not_read() {
    refuse(
        "\
model: power
task: none
features_from: features
mapping: {model: power}",
        &[
            "r.yaml:3: features_from: features: this release reads features from prediction records only; write `predictions` or leave it out",
            "r.yaml:4: mapping: {model: power}: this release reads driftline's own record format only; leave it out and log in that format",
        ],
    );
}

#[test]
fn columns_that_contradict_themselves() {
    refuse(
        "\
model: power
task: none
columns: {include: [], numeric: [zip], categorical: [zip], cluster: customer}",
        &[
            "r.yaml:3: columns.include: []: no column would be watched; name some, or leave it out for all",
            "r.yaml:3: columns.cluster: customer: this release resamples whole windows and uses no clusters; leave it out; rows of one window are already taken together",
            "r.yaml:3: columns.numeric: [zip]: `zip` is also listed as categorical; keep one of the two",
        ],
    );
}

#[test]
fn domains_that_cannot_be_meant() {
    refuse(
        "\
model: power
task: none
columns:
  categorical: [day]
  domain:
    age: [0, 120]
    temp: {range: [40, -40]}
    day: {range: [1, 7]}
    plan: {categories: []}
    size: {range: [small, 3]}",
        &[
            "r.yaml:6: columns.domain.age: [0, 120]: not a domain; write `{range: [0, 120]}` or `{categories: [mon, tue]}`",
            "r.yaml:7: columns.domain.temp.range: [40, -40]: the range is empty; write the smaller number first",
            "r.yaml:8: columns.domain.day: {range: [1, 7]}: the column is listed as categorical; give a domain of that type",
            "r.yaml:9: columns.domain.plan.categories: []: every value would lie outside; name the categories",
            "r.yaml:10: columns.domain.size.range[0]: small: not a number in range; write a finite number",
        ],
    );
}

#[test]
fn rules_are_a_list() {
    refuse(
        "\
model: power
task: none
rules: inputs",
        &[
            "r.yaml:3: rules: inputs: not a list of rules; write each rule after a dash: `- {name: inputs, watch: drift}`",
        ],
    );
}

#[test]
fn names_and_watches_are_needed() {
    refuse(
        "\
model: power
task: none
rules:
  - {watch: drift}
  - {name: a b, watch: drfit}
  - {name: c}",
        &[
            "r.yaml:4: rules[0].name: (missing): this field is needed; write a short name, for example `inputs`",
            "r.yaml:5: rules[1].name: a b: not usable as a name; use at most 64 of a-z, A-Z, 0-9, `_`, `-` and `.`",
            "r.yaml:5: rules[1].watch: drfit: not one of the known words; did you mean `drift`?",
            "r.yaml:6: rules[2].watch: (missing): this field is needed; write one of: drift, null_rate, unseen, out_of_domain, wrong_type, schema_change, volume, freshness, performance",
        ],
    );
}

#[test]
fn k_of_n_severities_and_names() {
    refuse(
        "\
model: power
task: none
rules:
  - {name: a, watch: drift, for: 3 in 5}
  - {name: b, watch: drift, for: 5 of 3}
  - {name: c, watch: drift, for: 1 of 1000}
  - {name: a, watch: drift, severity: critical}",
        &[
            "r.yaml:4: rules[0].for: 3 in 5: not a number of windows out of the last ones; write for example `3 of 5`",
            "r.yaml:5: rules[1].for: 5 of 3: not a number of windows out of the last ones; write for example `3 of 5`",
            "r.yaml:6: rules[2].for: 1 of 1000: too many windows; write at most `K of 100`",
            "r.yaml:7: rules[3].severity: critical: not one of the known words; write one of: page, ticket, info",
            "r.yaml:7: rules[3].name: a: another rule has this name; give each rule its own",
        ],
    );
}

#[test]
fn drift_has_no_fixed_threshold() {
    refuse(
        "\
model: power
task: none
rules:
  - {name: inputs, watch: drift, above: 0.2, statistic: wavelet, floor: low, level: 2}
  - {name: rare, watch: drift, level: 0.001, false_alarms: seldom}",
        &[
            "r.yaml:4: rules[0].statistic: wavelet: not one of the known words; write one of: psi, js, l_infinity, chi_squared, ks, wasserstein, mean_shift, hellinger, kl, tv, g_test, cramers_v, mmd, energy, auto",
            "r.yaml:4: rules[0].floor: low: not a number in range; write 0 or more, or `auto`",
            "r.yaml:4: rules[0].level: 2: not a number in range; write a chance from 0.0000002 to 0.5",
            "r.yaml:4: rules[0].above: 0.2: a drift rule has no fixed threshold: it is calibrated from the reference; write `floor: NUMBER` to leave smaller effects alone, or `false_alarms: 1 per 90d` to hear of fewer",
            "r.yaml:5: rules[1].false_alarms: seldom: not a number of times per length of time; write for example `1 per 30d`",
            "r.yaml:5: rules[1].level: 0.001: the level follows from `false_alarms`, which is given too; keep one of the two",
        ],
    );
}

/// Three of five windows are met so rarely that a level that can be drawn suffices, and the mean's shift needs no draw.
#[test]
fn a_budget_that_no_number_of_draws_can_serve_is_refused() {
    refuse(
        "\
model: power
task: none
window: {every: 1d}
rules:
  - {name: never, watch: drift, false_alarms: 0.000001 per 30d}
  - {name: patient, watch: drift, for: 3 of 5, false_alarms: 0.000001 per 30d}
  - {name: closed, watch: drift, statistic: mean_shift, false_alarms: 0.000001 per 30d}",
        &[
            "r.yaml:5: rules[0].false_alarms: 0.000001 per 30d: so few false alarms need a level of 3.3e-8 or less in each window, and 3e7 random draws or more; at most 50000 are made, and their tail reaches down to 2e-7; write a larger number or a shorter time",
        ],
    );
}

#[test]
fn conditions_in_the_wrong_unit_or_direction() {
    refuse(
        "\
model: power
task: none
rules:
  - {name: nulls, watch: null_rate, above: reference + 2%, statistic: psi}
  - {name: low, watch: null_rate, below: 1pp}
  - {name: both, watch: volume, below: 10, above: 100}",
        &[
            "r.yaml:4: rules[0].statistic: psi: only a drift rule has this; this one watches null_rate; leave it out",
            "r.yaml:4: rules[0].above: reference + 2%: after `reference` a % could mean points or a factor; write `2pp` for percentage points, or `reference * FACTOR`",
            "r.yaml:5: rules[1].below: 1pp: null_rate is only ever too high; write `above` instead",
            "r.yaml:6: rules[2].below: 10: a rule has one limit, and `above` is given too; write two rules",
        ],
    );
}

#[test]
fn watches_of_the_whole_window() {
    refuse(
        "\
model: power
task: none
rules:
  - {name: silent, watch: freshness}
  - {name: quiet, watch: freshness, above: 2h, for: 2 of 3, on: temp}
  - {name: schema, watch: schema_change, above: 1}
  - {name: nothing, watch: drift, on: []}",
        &[
            "r.yaml:4: rules[0].above: (missing): this field is needed; write how long silence may last, for example `above: 2h`",
            "r.yaml:5: rules[1].on: temp: freshness concerns the whole window, not columns; leave it out",
            "r.yaml:5: rules[1].for: 2 of 3: silence is not counted in windows; leave it out and set `above`",
            "r.yaml:6: rules[2].above: 1: any change of the schema counts; leave it out",
            r#"r.yaml:7: rules[3].on: []: no column is named; write a column, a list of them, or "*""#,
        ],
    );
}

#[test]
fn actions_nobody_takes() {
    refuse(
        r#"model: power
task: none
rules:
  - {name: inputs, watch: drift, actions: [retrian]}
actions:
  retrain: {webhook: "http://localhost:8081/retrain", secret_file: whsec, mode: notify}"#,
        &[
            "r.yaml:4: rules[0].actions: [retrian]: there is no action `retrian`; did you mean `retrain`?",
            "r.yaml:6: actions.retrain: {webhook: http://localhost:8081/retrain, secret_file: whsec,…: no rule takes this action; write `actions: [retrain]` in a rule, or remove it",
        ],
    );
}

#[test]
fn secrets_and_rates_of_actions() {
    refuse(
        r#"model: power
task: none
rules:
  - {name: inputs, watch: drift, actions: [call]}
actions:
  call: {webhook: "https://me:geheim@example.com/", secret_file: whsec_c2VjcmV0, mode: tell, cooldown: weekly, at_most: 1.5 per 30d}"#,
        &[
            "r.yaml:6: actions.call.webhook: (hidden): the address carries credentials; leave them out; calls are signed with the secret in `secret_file`",
            "r.yaml:6: actions.call.secret_file: (hidden): this is the secret itself; put it into a file and write the file's path",
            "r.yaml:6: actions.call.mode: tell: not one of the known words; write one of: notify, propose, promote",
            "r.yaml:6: actions.call.cooldown: weekly: not a length of time; write whole numbers with units of ms, s, m, h, d, w, for example `1h30m`",
            "r.yaml:6: actions.call.at_most: 1.5 per 30d: calls are counted in whole numbers; write for example `2 per 30d`",
        ],
    );
}

#[test]
fn addresses_need_a_scheme_and_a_secret() {
    refuse(
        "\
model: power
task: none
rules:
  - {name: inputs, watch: drift, actions: [call]}
actions:
  call: {webhook: localhost, mode: notify}",
        &[
            "r.yaml:6: actions.call.webhook: localhost: not an http or https address; write for example `https://hooks.example.com/drift`",
            "r.yaml:6: actions.call.secret_file: (missing): this field is needed; write the path of a file that holds a `whsec_…` secret",
        ],
    );
}

#[test]
fn an_empty_file() {
    refuse(
        "",
        &[
            "r.yaml: nothing is declared here; write at least `model: NAME` and `task: none`, or remove the file",
        ],
    );
}

#[test]
fn a_list_is_no_declaration() {
    refuse(
        "\
- model: power",
        &["r.yaml:1: [{model: power}]: not a table of fields; write `field: value` lines"],
    );
}

#[test]
fn a_key_given_twice_hides_nothing_else() {
    refuse(
        "\
model: power
task: none
task: regression
window: {every: 1}",
        &[
            "r.yaml:3: task: the key is given twice; keep one of the two",
            "r.yaml:4: window.every: 1: a number without a unit; write whole numbers with units of ms, s, m, h, d, w, for example `1h30m`",
        ],
    );
}

#[test]
fn the_second_document_has_its_own_lines() {
    refuse(
        "\
model: power
task: none
---
model: [a, b]
task: none",
        &["r.yaml:4: model: [a, b]: not a single text; write one value"],
    );
}

#[test]
fn a_rule_names_an_action_that_is_not_there() {
    refuse(
        "\
model: power
task: none
rules:
  - {name: inputs, watch: drift, actions: [call]}
  - {name: more, watch: drift, actoins: [call]}",
        &[
            "r.yaml:4: rules[0].actions: [call]: there is no action `call`; describe it under `actions`",
            "r.yaml:5: rules[1].actoins: [call]: unknown field; did you mean `actions`?",
        ],
    );
}

#[test]
fn what_looks_like_a_secret_is_not_repeated() {
    refuse(
        r#"model: power
task: none
password: hunter2
acions: {call: {webhook: "https://me:geheim@example.com/", secret_file: x}}"#,
        &[
            "r.yaml:3: password: (hidden): unknown field; known here: model, task, window, reference, columns, rows, retrain, rules, actions, features_from, mapping",
            "r.yaml:4: acions: {call: {webhook: (hidden), secret_file: x}}: unknown field; did you mean `actions`?",
        ],
    );
}

#[test]
fn an_alias_is_reported_where_it_stands() {
    refuse(
        "\
model: power
task: none
window: {every: 1d, lateness: &long 4000d, late_horizon: *long}",
        &[
            "r.yaml:3: window.lateness: 4000d: not a length of time; write whole numbers with units of ms, s, m, h, d, w, for example `1h30m`",
            "r.yaml:3: window.late_horizon: 4000d: not a length of time; write whole numbers with units of ms, s, m, h, d, w, for example `1h30m`",
        ],
    );
}

#[test]
fn the_wrong_kind_of_value() {
    refuse(
        r#"model: ""
task: {positive: up}
columns: all
actions: [retrain]"#,
        &[
            r#"r.yaml:1: model: "": the text is empty; write one or leave the field out"#,
            "r.yaml:2: task.type: (missing): this field is needed; write one of: binary, multiclass, regression, ranking, none",
            "r.yaml:3: columns: all: not a table of fields; write `field: value` lines",
            "r.yaml:4: actions: [retrain]: not a table of fields; write `field: value` lines",
        ],
    );
}
