//! The registry's present values, by family and labels: what is kept of them, and what an export is made of.
//!
//! Vital signs are the snapshot of everything whose past is not in the results, as JSON for the store's journal. They
//! are read back by name, so that a journal of an older version with other families is still of use.

use std::collections::BTreeMap;

use prometheus::proto::{Metric, MetricType};
use serde_json::{Map, Value as Json, json};

use super::Metrics;
use super::table::{Entry, Kind, Past, TABLE};

/// The value of one series.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A counter or a gauge.
    Number(f64),
    Histogram {
        sum: f64,
        count: u64,
        /// Observations up to each bound of the table, in its order.
        cumulative: Vec<u64>,
    },
}

/// Values by place in [`TABLE`], then by label values in the table's order of labels.
pub(super) type Snapshot = BTreeMap<usize, BTreeMap<Vec<String>, Value>>;

impl Metrics {
    /// All values of the families whose past is to be found there. What is not finite is left out.
    pub(super) fn snapshot(&self, past: Past) -> Snapshot {
        let mut snapshot = Snapshot::new();
        for family in self.inner.registry.gather() {
            let Some((place, entry)) = place(family.name(), past) else {
                continue;
            };
            let kind = family.get_field_type();
            let series = snapshot.entry(place).or_default();
            for metric in family.get_metric() {
                if let Some(value) = value(kind, metric) {
                    series.insert(labels(entry, metric), value);
                }
            }
        }
        snapshot
    }

    /// The vital signs of this process: lag, commits, memory and the like, for the store's journal.
    pub fn vitals(&self) -> String {
        self.look_at_process();
        let families = self.snapshot(Past::Process).into_iter();
        let families: Map<String, Json> = families
            .filter_map(|(place, series)| {
                let name = TABLE.get(place)?.name.to_owned();
                let series = series
                    .into_iter()
                    .map(|(labels, value)| json!([labels, to_json(&value)]));
                Some((name, Json::Array(series.collect())))
            })
            .collect();
        Json::Object(families).to_string()
    }
}

/// Vital signs as they were written; families and series that do not fit the table are left out.
pub(super) fn parse_vitals(text: &str) -> Result<Snapshot, serde_json::Error> {
    let families: BTreeMap<String, Vec<(Vec<String>, Json)>> = serde_json::from_str(text)?;
    let mut snapshot = Snapshot::new();
    for (name, series) in families {
        let Some((place, entry)) = place(&name, Past::Process) else {
            continue;
        };
        let fitting = series.into_iter().filter_map(|(labels, value)| {
            let value = from_json(entry, &value)?;
            (labels.len() == entry.labels.len()).then_some((labels, value))
        });
        snapshot.insert(place, fitting.collect());
    }
    Ok(snapshot)
}

fn place(name: &str, past: Past) -> Option<(usize, &'static Entry)> {
    TABLE
        .iter()
        .enumerate()
        .find(|(_, entry)| entry.name == name && entry.past == past)
}

fn labels(entry: &Entry, metric: &Metric) -> Vec<String> {
    let value = |label: &&str| {
        let pair = metric.get_label().iter().find(|pair| pair.name() == *label);
        pair.map_or_else(String::new, |pair| pair.value().to_owned())
    };
    entry.labels.iter().map(value).collect()
}

fn value(kind: MetricType, metric: &Metric) -> Option<Value> {
    let number = match kind {
        MetricType::COUNTER => metric.get_counter().get_value(),
        MetricType::GAUGE => metric.get_gauge().get_value(),
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let bounded = histogram.get_bucket().iter();
            return Some(Value::Histogram {
                sum: histogram.get_sample_sum(),
                count: histogram.get_sample_count(),
                cumulative: bounded
                    .filter(|bucket| bucket.upper_bound().is_finite())
                    .map(|bucket| bucket.cumulative_count())
                    .collect(),
            });
        }
        _ => return None,
    };
    number.is_finite().then_some(Value::Number(number))
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Number(number) => json!(number),
        Value::Histogram {
            sum,
            count,
            cumulative,
        } => json!([sum, count, cumulative]),
    }
}

fn from_json(entry: &Entry, json: &Json) -> Option<Value> {
    if entry.kind != Kind::Histogram {
        return json.as_f64().map(Value::Number);
    }
    let (sum, count, cumulative): (f64, u64, Vec<u64>) =
        serde_json::from_value(json.clone()).ok()?;
    (cumulative.len() == entry.buckets.len()).then_some(Value::Histogram {
        sum,
        count,
        cumulative,
    })
}
