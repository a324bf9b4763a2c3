//! The past as OpenMetrics text with event timestamps, under the names and labels of the present.
//!
//! A year that was played in a minute was scraped a few times only. [`History`] holds when each series changed, in
//! event time; written out, it is what a Prometheus would have that had scraped every `step` of event time:
//! `promtool tsdb create-blocks-from openmetrics` turns it into blocks.
//!
//! **Invariant:** results are taken from a [`Metrics`] into which they are put again in their order, so an export and a
//! live scrape cannot differ in names, labels, folding or the end of a series. Deliberately absent: values between
//! changes (a series keeps its value until it changes or ends) and values after the last thing that is known.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use super::snapshot::{Snapshot, Value, parse_vitals};
use super::table::{Entry, Kind, Past, TABLE};
use super::{Metrics, seconds};
use crate::event::{DAY, HOUR, MINUTE, Millis, Span};

/// Most samples of one export: some 250 MB of text.
pub const MOST_SAMPLES: u64 = 2_000_000;
/// Most samples of one series when the step is chosen here. promtool reads the whole text once for every two hours that
/// have a sample: so it takes a minute, where a year of hours would take hours.
const POINTS: Millis = 400;
/// Steps to choose from, finest first.
pub const STEPS: [Millis; 7] = [
    5 * MINUTE,
    15 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];
/// The label that tells the vital signs of several processes apart, as a scrape would.
const INSTANCE: &str = "instance";

/// When a series changed: its value from then on, or `None` where it ended.
type Changes = Vec<(Millis, Option<Value>)>;

/// Label names and values of one series.
type Labels = Vec<(&'static str, String)>;

/// How series changed over event time.
#[derive(Default)]
pub struct History {
    /// By place in the table.
    families: BTreeMap<usize, BTreeMap<Labels, Changes>>,
    first: Option<Millis>,
    last: Option<Millis>,
}

impl History {
    /// Notes the results that `metrics` shows at `at`; what it showed before and does not now has ended.
    /// A history of results belongs to one model, and moments come in order.
    pub fn results(&mut self, at: Millis, metrics: &Metrics) {
        self.note(at, metrics.snapshot(Past::Results), None);
    }

    /// Notes the vital signs of a process at `at`; `instance` names it. Moments come in order.
    ///
    /// # Errors
    /// The text is not what [`Metrics::vitals`] writes.
    pub fn vitals(
        &mut self,
        at: Millis,
        instance: &str,
        text: &str,
    ) -> Result<(), serde_json::Error> {
        let snapshot = parse_vitals(text)?;
        self.note(at, snapshot, Some(instance));
        Ok(())
    }

    /// The process `instance` was not heard of after this.
    pub fn ended(&mut self, at: Millis, instance: &str) {
        self.note(at, Snapshot::new(), Some(instance));
    }

    fn note(&mut self, at: Millis, snapshot: Snapshot, instance: Option<&str>) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        let mut found: BTreeMap<usize, BTreeMap<Labels, Value>> = BTreeMap::new();
        for (place, series) in snapshot {
            let names = TABLE.get(place).map_or(&[][..], |entry| entry.labels);
            let of_family = found.entry(place).or_default();
            for (values, value) in series {
                let mut labels: Labels = names.iter().copied().zip(values).collect();
                labels.extend(instance.map(|instance| (INSTANCE, instance.to_owned())));
                of_family.insert(labels, value);
            }
        }
        for (place, series) in &mut self.families {
            let now = found.get(place);
            for (labels, changes) in series {
                let same = instance.is_none_or(
                    |instance| matches!(labels.last(), Some((INSTANCE, of)) if of == instance),
                );
                if same && !now.is_some_and(|now| now.contains_key(labels)) {
                    change(changes, at, None);
                }
            }
        }
        for (place, series) in found {
            let family = self.families.entry(place).or_default();
            for (labels, value) in series {
                change(family.entry(labels).or_default(), at, Some(value));
            }
        }
    }

    /// Takes in another history, of other series.
    pub fn merge(&mut self, other: History) {
        for (place, series) in other.families {
            self.families.entry(place).or_default().extend(series);
        }
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
    }

    /// From the first moment to the last; `None` while it is empty.
    pub fn known(&self) -> Option<Span> {
        Some(Span::new(self.first?, self.last?))
    }

    /// Samples that [`History::write`] writes.
    pub fn samples(&self, span: Span, step: Millis) -> u64 {
        let mut total = 0;
        for (place, series) in &self.families {
            let lines = TABLE.get(*place).map_or(1, lines_a_sample);
            for changes in series.values() {
                let times = stretches(changes, self.end(span), step, span.start);
                total += lines * times.map(|(_, times)| times.count() as u64).sum::<u64>();
            }
        }
        total
    }

    /// The finest of [`STEPS`] with at most 400 samples a series, else the coarsest; `None` when even that is more than
    /// [`MOST_SAMPLES`].
    pub fn step(&self, span: Span) -> Option<Millis> {
        let [.., coarsest] = STEPS;
        let few = STEPS
            .into_iter()
            .find(|step| span.length() / step <= POINTS)
            .unwrap_or(coarsest);
        STEPS
            .into_iter()
            .find(|step| *step >= few && self.samples(span, *step) <= MOST_SAMPLES)
    }

    /// Writes every series at each whole `step` from `span.start` to `span.end`, both included, while it had a value and
    /// something was known. Returns the number of samples.
    pub fn write(&self, span: Span, step: Millis, out: &mut impl Write) -> io::Result<u64> {
        let mut families: Vec<_> = self
            .families
            .iter()
            .filter_map(|(place, series)| Some((TABLE.get(*place)?, series)))
            .collect();
        families.sort_by_key(|(entry, _)| entry.name);
        let mut written = 0;
        let mut line = String::new();
        for (entry, series) in families {
            write_head(entry, out)?;
            for (labels, changes) in series {
                let labels = label_text(labels);
                for (value, times) in stretches(changes, self.end(span), step, span.start) {
                    for at in times {
                        line.clear();
                        written += write_sample(&mut line, entry, &labels, value, at);
                        out.write_all(line.as_bytes())?;
                    }
                }
            }
        }
        out.write_all(b"# EOF\n")?;
        Ok(written)
    }

    /// Nothing is known after the last moment.
    fn end(&self, span: Span) -> Millis {
        self.last.map_or(span.end, |last| last.min(span.end))
    }
}

fn earliest(one: Option<Millis>, other: Option<Millis>) -> Option<Millis> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn change(changes: &mut Changes, at: Millis, value: Option<Value>) {
    match changes.last_mut() {
        Some((_, before)) if *before == value => {}
        // Several changes at one moment are one.
        Some((when, before)) if *when == at => *before = value,
        None if value.is_none() => {}
        _ => changes.push((at, value)),
    }
}

/// The values of a series and the whole steps at which it had them, from `from` to `to`.
fn stretches(
    changes: &Changes,
    to: Millis,
    step: Millis,
    from: Millis,
) -> impl Iterator<Item = (&Value, impl Iterator<Item = Millis>)> {
    let whole = move |at: Millis| at.div_euclid(step) + Millis::from(at.rem_euclid(step) != 0);
    changes
        .iter()
        .enumerate()
        .filter_map(move |(i, (at, value))| {
            // Up to the next change, which has its own value there; the last one goes on to `to` itself.
            let next = changes
                .get(i + 1)
                .map_or(to + 1, |(next, _)| (*next).min(to + 1));
            let times = whole((*at).max(from))..whole(next);
            value
                .as_ref()
                .map(|value| (value, times.map(move |number| number * step)))
        })
}

/// Buckets, the one without bound, sum and count; or the one number.
fn lines_a_sample(entry: &Entry) -> u64 {
    match entry.kind {
        Kind::Histogram => entry.buckets.len() as u64 + 3,
        Kind::Counter | Kind::Gauge => 1,
    }
}

fn write_head(entry: &Entry, out: &mut impl Write) -> io::Result<()> {
    let (family, kind) = match entry.kind {
        // OpenMetrics names a counter's family without the suffix of its samples.
        Kind::Counter => (entry.name.trim_end_matches("_total"), "counter"),
        Kind::Gauge => (entry.name, "gauge"),
        Kind::Histogram => (entry.name, "histogram"),
    };
    writeln!(out, "# TYPE {family} {kind}")?;
    writeln!(out, "# HELP {family} {}", escaped(entry.help.trim()))
}

/// Appends the lines of one sample; returns how many.
fn write_sample(text: &mut String, entry: &Entry, labels: &str, value: &Value, at: Millis) -> u64 {
    let name = entry.name;
    let at = seconds(at);
    let mut line = |suffix: &str, bound: Option<&str>, value: &dyn std::fmt::Display| {
        let bound = bound.map(|bound| format!("le=\"{bound}\""));
        let all: Vec<&str> = [Some(labels), bound.as_deref()]
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        let braces = if all.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", all.join(","))
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}{suffix}{braces} {value} {at}");
    };
    match value {
        Value::Number(number) => line("", None, number),
        Value::Histogram {
            sum,
            count,
            cumulative,
        } => {
            for (bound, count) in entry.buckets.iter().zip(cumulative) {
                line("_bucket", Some(&bound.to_string()), count);
            }
            line("_bucket", Some("+Inf"), count);
            line("_sum", None, sum);
            line("_count", None, count);
        }
    }
    lines_a_sample(entry)
}

fn label_text(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    pairs.join(",")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
#[path = "openmetrics_tests.rs"]
mod tests;
