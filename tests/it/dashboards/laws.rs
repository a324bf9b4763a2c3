//! What holds for every dashboard, whatever it shows.

use std::collections::BTreeSet;

use driftline::metrics::{Entry, Kind, TABLE};
use serde_json::Value;

use super::board::{self, Board, label_values, list, text};
use super::promql::{Selector, names};

/// Panels of Grafana 11; `graph`, `singlestat`, `table-old`, `heatmap-new` and the like are gone or going.
const TYPES: [&str; 3] = ["timeseries", "stat", "state-timeline"];
/// What Grafana puts in by itself.
const BUILT_IN: [&str; 3] = ["__rate_interval", "__interval", "__range"];
/// What a scrape adds, and what an export has for vital signs.
const SCRAPED: [&str; 2] = ["instance", "job"];
const FUNCTIONS: [&str; 11] = [
    "avg",
    "count",
    "histogram_quantile",
    "increase",
    "last_over_time",
    "max",
    "min",
    "rate",
    "round",
    "sum",
    "time",
];

/// The line of the table, and the labels that its series have.
#[track_caller]
pub fn family(metric: &str) -> (&'static Entry, BTreeSet<&'static str>) {
    let of_histogram = |entry: &&Entry| {
        entry.kind == Kind::Histogram
            && metric
                .strip_prefix(entry.name)
                .is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest))
    };
    let plain = |entry: &&Entry| entry.kind != Kind::Histogram && entry.name == metric;
    let entry = TABLE
        .iter()
        .find(|entry| plain(entry) || of_histogram(entry));
    let entry = entry.unwrap_or_else(|| panic!("{metric} is not in the table of metrics"));
    let mut labels: BTreeSet<&str> = entry.labels.iter().copied().chain(SCRAPED).collect();
    if metric.ends_with("_bucket") {
        labels.insert("le");
    }
    (entry, labels)
}

/// Every expression: of panels and annotations.
fn expressions(board: &Board) -> Vec<String> {
    let annotations = list(&board.json["annotations"], "list").iter();
    let annotations = annotations.map(|annotation| text(annotation, "expr").to_owned());
    let queries = board.queries().into_iter().map(|query| query.expr);
    queries
        .chain(annotations.filter(|expr| !expr.is_empty()))
        .collect()
}

/// The variables that a text refers to.
fn references(text: &str) -> Vec<&str> {
    text.split('$')
        .skip(1)
        .map(|rest| {
            let rest = rest.strip_prefix('{').unwrap_or(rest);
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            &rest[..end.unwrap_or(rest.len())]
        })
        .collect()
}

fn every_text<'a>(json: &'a Value, found: &mut Vec<&'a str>) {
    match json {
        Value::String(text) => found.push(text),
        Value::Array(all) => all.iter().for_each(|one| every_text(one, found)),
        Value::Object(all) => all.values().for_each(|one| every_text(one, found)),
        _ => {}
    }
}

#[test]
fn queries_name_only_metrics_and_labels_of_the_table() {
    for board in board::all() {
        for expr in expressions(&board) {
            let found = names(&expr);
            assert!(!found.selectors.is_empty(), "{}: {expr}", board.name);
            for function in &found.functions {
                assert!(
                    FUNCTIONS.contains(&function.as_str()),
                    "{function} in {expr}"
                );
            }
            let mut known = BTreeSet::new();
            for Selector {
                metric,
                labels,
                range,
            } in &found.selectors
            {
                let (_, of_metric) = family(metric);
                for label in labels {
                    assert!(
                        of_metric.contains(label.as_str()),
                        "{metric} has no label {label}: {expr}"
                    );
                }
                assert!(
                    range.is_empty() || range == "$__rate_interval",
                    "a range of its own, {range}, in {expr}"
                );
                known.extend(of_metric);
            }
            for label in &found.grouped {
                assert!(
                    known.contains(label.as_str()),
                    "nothing has the label {label}: {expr}"
                );
            }
        }
        for query in board.panels() {
            for target in list(query, "targets") {
                let legend = text(target, "legendFormat");
                let found = names(text(target, "expr"));
                let known: BTreeSet<&str> = found
                    .selectors
                    .iter()
                    .flat_map(|selector| family(&selector.metric).1)
                    .collect();
                for label in legend.split("{{").skip(1) {
                    let label = label.split("}}").next().unwrap_or_default();
                    assert!(
                        known.contains(label),
                        "the legend {legend} of {}",
                        text(target, "expr")
                    );
                }
            }
        }
    }
}

#[test]
fn counters_are_shown_as_rates_and_gauges_are_not() {
    for board in board::all() {
        for query in board.queries() {
            for (inner, is_rate) in [
                ("rate(", true),
                ("increase(", true),
                ("last_over_time(", false),
            ] {
                for part in query.expr.split(inner).skip(1) {
                    let metric: String = part
                        .chars()
                        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                        .collect();
                    let (entry, _) = family(&metric);
                    // The number of all windows or runs so far is a figure of its own.
                    let total =
                        query.expr.contains("last_over_time(") && entry.kind == Kind::Counter;
                    assert!(
                        (entry.kind != Kind::Gauge) == is_rate || total,
                        "{inner}{metric}) in {}: {}",
                        query.board,
                        query.panel
                    );
                }
            }
        }
    }
}

#[test]
fn a_threshold_stands_beside_each_score() {
    for board in board::all() {
        for panel in board.panels() {
            let exprs: String = list(panel, "targets")
                .iter()
                .map(|target| text(target, "expr"))
                .collect::<Vec<_>>()
                .join("\n");
            for (score, threshold) in [
                (
                    "driftline_feature_drift_score{",
                    "driftline_feature_drift_threshold{",
                ),
                (
                    "driftline_model_metric{",
                    "driftline_model_metric_threshold{",
                ),
                (
                    "driftline_model_metric{",
                    "driftline_model_metric_constant{",
                ),
                (
                    "driftline_retrain_gain{",
                    "driftline_retrain_gain_lower_bound{",
                ),
            ] {
                assert!(
                    !exprs.contains(score) || exprs.contains(threshold),
                    "{}: {}: {score} without {threshold}",
                    board.name,
                    text(panel, "title")
                );
            }
        }
    }
}

#[test]
fn a_dashboard_is_portable() {
    let mut uids = BTreeSet::new();
    for board in board::all() {
        let name = &board.name;
        assert!(
            board.json["id"].is_null(),
            "{name}: an id belongs to one Grafana"
        );
        let uid = text(&board.json, "uid");
        assert!(
            uid.strip_prefix("driftline-")
                .is_some_and(|rest| format!("{rest}.json") == *name),
            "{uid}"
        );
        assert!(uids.insert(uid.to_owned()), "{uid} twice");
        assert!(
            board.json["schemaVersion"]
                .as_u64()
                .is_some_and(|version| version >= 39),
            "{name}"
        );
        for field in ["title", "description", "refresh", "timezone"] {
            assert!(!text(&board.json, field).is_empty(), "{name}: {field}");
        }
        let first = board.variables().first().expect("a variable");
        assert_eq!(
            (text(first, "type"), text(first, "query")),
            ("datasource", "prometheus"),
            "{name}"
        );
        let defined: BTreeSet<&str> = board.variables().iter().map(|v| text(v, "name")).collect();
        let mut texts = Vec::new();
        every_text(&board.json, &mut texts);
        for reference in texts.into_iter().flat_map(references) {
            // `$__all` is the choice of all, not a variable.
            let known = defined.contains(reference)
                || BUILT_IN.contains(&reference)
                || reference == "__all";
            assert!(known, "{name} refers to ${reference}");
        }
        for variable in board.variables().iter().skip(1) {
            assert_eq!(text(variable, "type"), "query", "{name}");
            let query = text(variable, "definition");
            assert_eq!(query, text(&variable["query"], "query"), "{name}");
            let (series, label) = label_values(query);
            let found = names(series);
            let metric = &found.selectors.first().expect("a metric").metric;
            assert!(family(metric).1.contains(label), "{query}");
            assert_eq!(
                text(&variable["datasource"], "uid"),
                "${datasource}",
                "{name}"
            );
        }
    }
}

#[test]
fn panels_are_whole() {
    for board in board::all() {
        let mut ids = BTreeSet::new();
        for panel in board.with_rows() {
            assert!(
                ids.insert(panel["id"].as_u64().expect("an id")),
                "{}: {}",
                board.name,
                panel["id"]
            );
        }
        for panel in board.panels() {
            let at = format!("{}: {}", board.name, text(panel, "title"));
            assert!(
                TYPES.contains(&text(panel, "type")),
                "{at}: {}",
                panel["type"]
            );
            assert!(
                !text(panel, "title").is_empty() && !text(panel, "description").is_empty(),
                "{at}"
            );
            assert!(
                !text(&panel["fieldConfig"]["defaults"], "unit").is_empty(),
                "{at}: no unit"
            );
            let mut refs = BTreeSet::new();
            for place in std::iter::once(panel).chain(list(panel, "targets")) {
                let source = &place["datasource"];
                assert_eq!(
                    (text(source, "type"), text(source, "uid")),
                    ("prometheus", "${datasource}"),
                    "{at}"
                );
            }
            for target in list(panel, "targets") {
                assert!(refs.insert(text(target, "refId")), "{at}");
            }
            assert!(!refs.is_empty(), "{at}: no query");
            for part in list(&panel["fieldConfig"], "overrides") {
                let wanted = text(&part["matcher"], "options");
                assert!(
                    refs.contains(wanted),
                    "{at}: an override of the missing query {wanted}"
                );
            }
            if let Some(variable) = panel["repeat"].as_str() {
                let repeated = board
                    .variables()
                    .iter()
                    .find(|v| text(v, "name") == variable);
                assert!(
                    repeated.is_some_and(|v| v["multi"] == true),
                    "{at}: repeated by {variable}"
                );
            }
        }
    }
}

#[test]
fn panels_do_not_overlap() {
    for board in board::all() {
        let mut taken = BTreeSet::new();
        for panel in board.with_rows() {
            let number = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
            let (x, y, w, h) = (number("x"), number("y"), number("w"), number("h"));
            assert!(
                w > 0 && h > 0 && x + w <= 24,
                "{}: {}",
                board.name,
                text(panel, "title")
            );
            for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(
                    taken.insert(place),
                    "{}: {} lies on another",
                    board.name,
                    text(panel, "title")
                );
            }
        }
    }
}

#[test]
fn alerts_and_retraining_are_annotated() {
    for board in board::all() {
        let exprs: Vec<&str> = list(&board.json["annotations"], "list")
            .iter()
            .filter(|annotation| annotation["builtIn"].is_null())
            .inspect(|annotation| {
                assert_eq!(text(&annotation["datasource"], "uid"), "${datasource}");
                assert_eq!(annotation["enable"], true);
            })
            .map(|annotation| text(annotation, "expr"))
            .collect();
        let has = |metric: &str| exprs.iter().any(|expr| expr.contains(metric));
        assert!(
            has("driftline_alert_since_timestamp_seconds"),
            "{}",
            board.name
        );
        if board.name != "pipeline.json" {
            assert!(
                has("driftline_champion_since_timestamp_seconds"),
                "{}",
                board.name
            );
            assert!(
                has("driftline_retrain_run_timestamp_seconds"),
                "{}",
                board.name
            );
        }
    }
}
