//! What labels said: the metrics of the newest window that was judged by them, for each key.
//!
//! **Invariant:** as all results, exported by the holder of the model's lease only. Only results at label maturity have
//! series: a provisional figure changes its meaning with every label that comes, so it is shown with its coverage by
//! the API and never as a gauge that looks final.

use std::collections::BTreeMap;

use super::table::{Families, end};
use super::{KEYS_SHOWN, Metrics, seconds};
use crate::event::{Key, Millis, Span};
use crate::stats::score::{Score, Verdict};

/// A window that was judged by its labels and stored.
#[derive(Debug, Clone, Copy)]
pub struct Performed<'a> {
    pub key: &'a Key,
    pub window: Span,
    pub verdict: Verdict,
    pub rows: u64,
    /// Rows that had a label at maturity.
    pub labelled: u64,
    /// The metrics, each as often as rules watch it: `statistic` is its name, and the parameters [`STDERR`] and
    /// [`CONSTANT`] stand beside the value.
    pub scores: &'a [Score],
}

/// The parameter of a score that holds the metric's standard error.
pub const STDERR: &str = "stderr";
/// The parameter of a score that holds what the best constant prediction scores on the same labels.
pub const CONSTANT: &str = "constant";

/// One metric as exported.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Measured {
    value: f64,
    standard_error: Option<f64>,
    constant: Option<f64>,
    /// The limit of the rule that watches it; the nearest one if there are several.
    threshold: Option<f64>,
}

/// What is shown of one model.
#[derive(Default)]
pub(super) struct Shown {
    /// End of the newest window.
    newest: Option<Millis>,
    /// The newest window's end of each key, and the metrics that have series.
    keys: BTreeMap<Key, (Millis, Vec<String>)>,
}

impl Metrics {
    /// So many windows of `model` are judged by their labels, as the store says: called whenever that is read, in any
    /// order with [`Metrics::performed`], as the counter only rises. Without the model's lease it does nothing.
    pub fn restore_performance(&self, model: &str, judged: &[(Verdict, u64)]) {
        if !self.holds(model) {
            return;
        }
        for (verdict, total) in judged {
            let counter = self
                .inner
                .families
                .performance_windows
                .with_label_values(&[model, verdict.as_str()]);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }

    /// A window was judged by its labels. Counts it and, when none newer of its key is shown, shows it. A key that
    /// misses a whole later window, as a version that was replaced, loses its series then.
    /// Without the model's lease it does nothing.
    pub fn performed(&self, performed: &Performed<'_>) {
        let mut models = self.models();
        let model = performed.key.model.as_str();
        let Some(state) = models.get_mut(model).filter(|state| state.held) else {
            return;
        };
        let families = &self.inner.families;
        families
            .performance_windows
            .with_label_values(&[model, performed.verdict.as_str()])
            .inc();
        let shown = &mut state.performance;
        let end = performed.window.end;
        if shown
            .keys
            .get(performed.key)
            .is_some_and(|(newer, _)| *newer > end)
        {
            return;
        }
        if shown.newest.is_none_or(|newest| newest < end) {
            families
                .performance_window_end
                .with_label_values(&[model])
                .set(seconds(end));
            if let Some(before) = shown.newest.replace(end) {
                shown.end_before(families, before);
            }
        }
        let names = performed.set(families);
        let before = shown
            .keys
            .insert(performed.key.clone(), (end, names.clone()));
        for gone in before.into_iter().flat_map(|(_, metrics)| metrics) {
            if !names.contains(&gone) {
                end_metric(families, performed.key, &gone);
            }
        }
        if shown.keys.len() > KEYS_SHOWN {
            self.dropped(1);
            shown.end_oldest(families);
        }
    }
}

impl Performed<'_> {
    /// Sets the series; returns the metrics that have a value. Nothing stands beside a value that is not there.
    fn set(&self, families: &Families) -> Vec<String> {
        let key = [&self.key.model, &self.key.version, &self.key.segment].map(String::as_str);
        if self.rows > 0 {
            families
                .label_coverage
                .with_label_values(&key)
                .set(self.labelled as f64 / self.rows as f64);
        } else {
            end(&families.label_coverage, &key);
        }
        let measured = measured(self.scores);
        let mut names = Vec::new();
        for (metric, measured) in measured {
            let [model, version, segment] = key;
            let labels = [model, version, segment, metric];
            families
                .model_metric
                .with_label_values(&labels)
                .set(measured.value);
            for (gauge, value) in [
                (&families.model_metric_stderr, measured.standard_error),
                (&families.model_metric_threshold, measured.threshold),
                (&families.model_metric_constant, measured.constant),
            ] {
                match value {
                    Some(value) => gauge.with_label_values(&labels).set(value),
                    None => end(gauge, &labels),
                }
            }
            names.push(metric.to_owned());
        }
        names
    }
}

impl Shown {
    /// Ends all series of the model.
    pub(super) fn end(&mut self, families: &Families) {
        self.newest = None;
        for (key, (_, metrics)) in std::mem::take(&mut self.keys) {
            end_key(families, &key, &metrics);
        }
    }

    /// Ends the keys whose newest window ends before `moment`.
    fn end_before(&mut self, families: &Families, moment: Millis) {
        self.keys.retain(|key, (end, metrics)| {
            let stays = *end >= moment;
            if !stays {
                end_key(families, key, metrics);
            }
            stays
        });
    }

    fn end_oldest(&mut self, families: &Families) {
        let oldest = self.keys.iter().min_by_key(|(_, (end, _))| *end);
        let oldest = oldest.map(|(key, _)| key.clone());
        if let Some((key, (_, metrics))) = oldest.and_then(|key| self.keys.remove_entry(&key)) {
            end_key(families, &key, &metrics);
        }
    }
}

fn end_key(families: &Families, key: &Key, metrics: &[String]) {
    end(
        &families.label_coverage,
        &[&key.model, &key.version, &key.segment],
    );
    for metric in metrics {
        end_metric(families, key, metric);
    }
}

fn end_metric(families: &Families, key: &Key, metric: &str) {
    for gauge in [
        &families.model_metric,
        &families.model_metric_stderr,
        &families.model_metric_threshold,
        &families.model_metric_constant,
    ] {
        end(gauge, &[&key.model, &key.version, &key.segment, metric]);
    }
}

/// The metrics that have a value, by name.
fn measured(scores: &[Score]) -> BTreeMap<&str, Measured> {
    let mut found: BTreeMap<&str, Measured> = BTreeMap::new();
    for score in scores {
        let Some(value) = finite(score.value) else {
            continue;
        };
        let beside = |name: &str| {
            finite(
                score
                    .parameters
                    .get(name)
                    .and_then(|text| text.parse().ok()),
            )
        };
        let measured = found.entry(&score.statistic).or_insert(Measured {
            value,
            standard_error: None,
            constant: None,
            threshold: None,
        });
        measured.standard_error = measured.standard_error.or(beside(STDERR));
        measured.constant = measured.constant.or(beside(CONSTANT));
        let threshold = finite(score.threshold.as_ref().map(|threshold| threshold.value));
        let distance = |threshold: f64| (threshold - value).abs();
        measured.threshold = match (measured.threshold, threshold) {
            (Some(one), Some(other)) if distance(other) < distance(one) => Some(other),
            (one, other) => one.or(other),
        };
    }
    found
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}
