//! A dashboard as Grafana reads it: panels, their queries, variables and what they are replaced with.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Points of a panel that does not say how many it wants: the width of a panel on a large screen.
const POINTS: u64 = 1000;

/// One file of `dashboards/`.
pub struct Board {
    /// The file's name.
    pub name: String,
    pub json: Value,
}

/// One query of a panel.
#[derive(Debug, Clone)]
pub struct Query {
    pub board: String,
    pub panel: String,
    pub ref_id: String,
    pub expr: String,
    pub max_points: u64,
    /// The variable of which the panel is drawn once a value.
    pub repeat: Option<String>,
}

/// What a variable is replaced with.
#[derive(Debug, Clone)]
pub struct Values {
    /// In a query.
    pub chosen: String,
    /// Each of them, for repeated panels.
    pub all: Vec<String>,
}

/// Every dashboard, by name.
pub fn all() -> Vec<Board> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let mut boards: Vec<Board> = fs::read_dir(&folder)
        .expect("there is a folder of dashboards")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| Board {
            name: path
                .file_name()
                .expect("a file")
                .to_string_lossy()
                .into_owned(),
            json: serde_json::from_str(&fs::read_to_string(&path).expect("readable"))
                .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        })
        .collect();
    boards.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(boards.len(), 3, "models, pipeline, retraining");
    boards
}

/// The elements of an array; none where there is no array.
pub fn list<'a>(json: &'a Value, name: &str) -> &'a [Value] {
    json[name].as_array().map_or(&[], Vec::as_slice)
}

pub fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_default()
}

impl Board {
    /// Panels and rows, those inside rows too.
    pub fn with_rows(&self) -> Vec<&Value> {
        let inside = |panel| std::iter::once(panel).chain(list(panel, "panels"));
        list(&self.json, "panels").iter().flat_map(inside).collect()
    }

    pub fn panels(&self) -> Vec<&Value> {
        let mut panels = self.with_rows();
        panels.retain(|panel| panel["type"] != "row");
        panels
    }

    pub fn variables(&self) -> &[Value] {
        list(&self.json["templating"], "list")
    }

    pub fn queries(&self) -> Vec<Query> {
        let of_panel = |panel: &&Value| {
            list(panel, "targets")
                .iter()
                .map(|target| Query {
                    board: self.name.clone(),
                    panel: text(panel, "title").to_owned(),
                    ref_id: text(target, "refId").to_owned(),
                    expr: text(target, "expr").to_owned(),
                    max_points: panel["maxDataPoints"].as_u64().unwrap_or(POINTS),
                    repeat: panel["repeat"].as_str().map(str::to_owned),
                })
                .collect::<Vec<_>>()
        };
        self.panels().iter().flat_map(of_panel).collect()
    }
}

/// The metric with its matchers and the label of `label_values(metric{…}, label)`.
pub fn label_values(query: &str) -> (&str, &str) {
    let inside = query
        .strip_prefix("label_values(")
        .and_then(|rest| rest.strip_suffix(')'));
    let (series, label) = inside
        .and_then(|inside| inside.rsplit_once(','))
        .unwrap_or_else(|| panic!("not label_values(metric, label): {query}"));
    (series.trim(), label.trim())
}

/// Chooses among what a variable's query found, as Grafana does when a dashboard is opened: what the file names, `All`
/// where it is offered, else the first.
pub fn choose(variable: &Value, found: Vec<String>) -> Values {
    let named = text(&variable["current"], "value");
    let chosen = match variable["allValue"].as_str() {
        Some(all) if variable["includeAll"] == true => all.to_owned(),
        _ if found.iter().any(|value| value == named) => named.to_owned(),
        _ => found.first().cloned().unwrap_or_default(),
    };
    Values { chosen, all: found }
}

/// Puts the variables in. A repeated panel has its own value of one of them.
pub fn substitute(expr: &str, values: &BTreeMap<String, String>) -> String {
    // Longer names first: one may begin with another.
    let mut names: Vec<_> = values.iter().collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    names
        .into_iter()
        .fold(expr.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
                .replace(&format!("${name}"), value)
        })
}

/// Grafana's interval for a span and a number of points, in milliseconds: the next handy length.
pub fn interval(span_ms: u64, max_points: u64) -> u64 {
    const SECOND: u64 = 1000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    // Up to where, and what; beyond the last a year.
    const STEPS: [(u64, u64); 17] = [
        (1_500, SECOND),
        (3_500, 2 * SECOND),
        (7_500, 5 * SECOND),
        (12_500, 10 * SECOND),
        (17_500, 15 * SECOND),
        (25_000, 20 * SECOND),
        (45_000, 30 * SECOND),
        (90_000, MINUTE),
        (210_000, 2 * MINUTE),
        (450_000, 5 * MINUTE),
        (750_000, 10 * MINUTE),
        (1_050_000, 15 * MINUTE),
        (2_700_000, 30 * MINUTE),
        (5_400_000, HOUR),
        (16_200_000, 3 * HOUR),
        (32_400_000, 6 * HOUR),
        (86_400_000, 12 * HOUR),
    ];
    let exact = span_ms / max_points;
    let found = STEPS.iter().find(|(up_to, _)| exact < *up_to);
    match found {
        Some((_, step)) => *step,
        None if exact < 7 * DAY => DAY,
        None if exact < 21 * DAY => 7 * DAY,
        None => 30 * DAY,
    }
}

#[test]
fn a_file_is_opened_as_grafana_does() {
    let values = BTreeMap::from([
        ("model".to_owned(), "flights".to_owned()),
        ("model_metric".to_owned(), "auc".to_owned()),
    ]);
    assert_eq!(
        substitute("a{m=\"$model\",x=\"$model_metric\"} ${model}", &values),
        "a{m=\"flights\",x=\"auc\"} flights"
    );
    assert_eq!(
        label_values("label_values(a{b=\"c,d\"}, e)"),
        ("a{b=\"c,d\"}", "e")
    );
    let found = || vec!["a".to_owned(), "b".to_owned()];
    let variable = serde_json::json!({"current": {"value": "b"}});
    assert_eq!(choose(&variable, found()).chosen, "b");
    let variable = serde_json::json!({"current": {}, "includeAll": true, "allValue": ".*"});
    assert_eq!(choose(&variable, found()).chosen, ".*");
    const YEAR: u64 = 365 * 86_400_000;
    assert_eq!(interval(YEAR, 1000), 6 * 3_600_000);
    assert_eq!(interval(YEAR, 50), 7 * 86_400_000);
    assert_eq!(interval(6 * 3_600_000, 1000), 20_000);
}
