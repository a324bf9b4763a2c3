//! What is shipped for Prometheus and for Grafana's provisioning, checked by `promtool` and against the table of metrics.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::board::{list, text};
use super::laws::family;
use super::promql::names;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

fn read(file: &Path) -> Value {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[track_caller]
fn promtool(arguments: &[&str], files: &[PathBuf]) {
    let output = Command::new("promtool")
        .args(arguments)
        .args(files)
        .output();
    let output = output.expect("promtool is installed (Debian package prometheus)");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("FAILED"),
        "{said}"
    );
}

fn rules() -> Vec<Value> {
    files(&folder("prometheus/rules"))
        .iter()
        .flat_map(|file| list(&read(file), "groups").to_vec())
        .flat_map(|group| list(&group, "rules").to_vec())
        .collect()
}

#[test]
fn promtool_approves_configuration_and_rules() {
    promtool(&["check", "config"], &[folder("prometheus/prometheus.yml")]);
    promtool(&["check", "rules"], &files(&folder("prometheus/rules")));
}

#[test]
fn the_rules_pass_their_tests() {
    promtool(&["test", "rules"], &files(&folder("prometheus/tests")));
}

#[test]
fn rules_name_only_metrics_and_labels_of_the_table() {
    let rules = rules();
    let recorded: BTreeSet<&str> = rules.iter().map(|rule| text(rule, "record")).collect();
    for rule in &rules {
        let expr = text(rule, "expr");
        for selector in names(expr).selectors {
            if selector.metric == "up" || recorded.contains(selector.metric.as_str()) {
                continue;
            }
            let (_, known) = family(&selector.metric);
            for label in &selector.labels {
                assert!(
                    known.contains(label.as_str()),
                    "{} has no label {label}: {expr}",
                    selector.metric
                );
            }
        }
    }
}

#[test]
fn every_rule_is_told_and_tested() {
    let tests: String = files(&folder("prometheus/tests"))
        .iter()
        .map(|file| fs::read_to_string(file).expect("readable"))
        .collect();
    let mut seen = BTreeSet::new();
    for rule in rules() {
        let (alert, record) = (text(&rule, "alert"), text(&rule, "record"));
        let name = format!("{alert}{record}");
        assert!(seen.insert(name.clone()), "{name} twice");
        assert!(tests.contains(&name), "{name} has no test");
        if alert.is_empty() {
            continue;
        }
        let severity = text(&rule["labels"], "severity");
        assert!(
            ["page", "ticket"].contains(&severity),
            "{alert}: {severity}"
        );
        for field in ["summary", "description"] {
            assert!(
                !text(&rule["annotations"], field).is_empty(),
                "{alert}: no {field}"
            );
        }
    }
}

#[test]
fn grafana_finds_dashboards_and_data() {
    let provisioned = |part: &str| {
        let files = files(&folder(&format!("grafana/provisioning/{part}")));
        let json = read(files.first().expect("a file"));
        assert_eq!(json["apiVersion"], 1);
        json
    };
    let source = provisioned("datasources");
    let source = list(&source, "datasources").first().expect("a data source");
    assert_eq!(
        (text(source, "type"), text(source, "url")),
        ("prometheus", "http://127.0.0.1:9090")
    );
    // `$__rate_interval` follows from what Grafana believes the scrape interval to be.
    let scraped = read(&folder("prometheus/prometheus.yml"));
    assert_eq!(
        source["jsonData"]["timeInterval"],
        scraped["global"]["scrape_interval"]
    );
    let provider = provisioned("dashboards");
    let provider = list(&provider, "providers").first().expect("a provider");
    assert_eq!(text(provider, "type"), "file");
    assert!(text(&provider["options"], "path").starts_with('/'));
}
