//! What Prometheus sees: one table of every exported metric, and typed methods that fill it.
//!
//! **Architecture invariant:** this room alone names `prometheus`; every metric stands once, in `table.rs`. Call sites pass domain values, never label strings. Cardinality is bounded: at most
//! [`MODELS_SHOWN`] models, [`KEYS_SHOWN`] keys (version, segment) a model and a set number of columns a model have
//! series of their own; the rest fold into `__other__`, and a model that no declaration covers is `__unknown__`.
//!
//! What survives a restart: `driftline_windows_total` is restored from the store by whoever takes the model's lease
//! ([`Metrics::hold`]), so it never loses a window. Every other counter counts the work of this process and begins at
//! 0 with it, which `rate()` and `increase()` handle; the durable totals of records are in the store, and in
//! `/api/v1/cursors`. Gauges are set anew from the store or by the next window.
//!
//! Deliberately absent: any decision. What is exported here was decided, stored and committed elsewhere.

mod columns;
mod labels;
mod lake;
mod leased;
mod openmetrics;
mod performance;
mod process;
mod retraining;
mod scores;
mod snapshot;
mod table;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{Registry, TextEncoder};

use crate::event::{Millis, Partition, Reason};
use columns::Columns;
use leased::Model;
use table::Families;

pub use labels::{Alarm, Delivery, Flush, RequestOutcome, RunOutcome, Stage};
pub use lake::LakeSize;
pub use leased::{Judged, KEYS_SHOWN};
pub use openmetrics::{History, MOST_SAMPLES, STEPS};
pub use performance::{CONSTANT, Performed, STDERR};
pub use retraining::{FiringRule, Runs};
pub use table::{Entry, Kind, Past, TABLE};

/// Models with series of their own, as many as one partition may carry; further ones are counted in `__other__`.
pub const MODELS_SHOWN: usize = 1000;
/// Default for the columns of one model that are shown by name.
pub const COLUMNS_SHOWN: usize = 100;
/// Stands for everything beyond a bound.
const OTHER: &str = "__other__";
/// Stands for models that no declaration covers, and for records whose model cannot be read.
const UNKNOWN: &str = "__unknown__";

const NO_LABELS: [&str; 0] = [];

/// How many alerts are firing, by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Firing {
    pub page: u64,
    pub ticket: u64,
    pub info: u64,
}

/// What became of the records of one model in one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Records {
    pub used: u64,
    pub late: u64,
    pub duplicate: u64,
    pub unknown_fields: u64,
}

/// The handle that every impure room may hold. A clone is the same registry.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    families: Families,
    columns_shown: usize,
    models: Mutex<BTreeMap<String, Model>>,
}

impl Metrics {
    /// `version` and `revision` (a commit, or `""`) go to `driftline_build_info`.
    pub fn new(version: &str, revision: &str) -> Self {
        Self::with_columns_shown(version, revision, COLUMNS_SHOWN)
    }

    /// As [`Metrics::new`], with another bound on the columns of one model that are shown by name.
    pub fn with_columns_shown(version: &str, revision: &str, columns_shown: usize) -> Self {
        let registry = Registry::new();
        let families = Families::register(&registry)
            .expect("names and labels of the table are valid: under test");
        families
            .build_info
            .with_label_values(&[version, revision])
            .set(1.0);
        for reason in Reason::ALL {
            families
                .records_rejected
                .with_label_values(&[reason.as_str()]);
        }
        for alarm in Alarm::ALL {
            families.alarm.with_label_values(&[alarm.as_str()]);
        }
        for outcome in RequestOutcome::ALL {
            families
                .retrain_requests
                .with_label_values(&[outcome.as_str()]);
        }
        for outcome in Flush::ALL {
            families.lake_flushes.with_label_values(&[outcome.as_str()]);
        }
        for counter in [
            &families.dead_letters_copied,
            &families.commit_conflicts,
            &families.series_dropped,
        ] {
            counter.with_label_values(&NO_LABELS);
        }
        for gauge in [
            &families.partitions_assigned,
            &families.dead_letters_uncopied,
            &families.outbox_pending,
        ] {
            gauge.with_label_values(&NO_LABELS);
        }
        let inner = Inner {
            registry,
            families,
            columns_shown,
            models: Mutex::default(),
        };
        let metrics = Self {
            inner: Arc::new(inner),
        };
        metrics.alerts_firing(Firing::default());
        metrics.lake_size(LakeSize::default());
        metrics
    }

    /// The exposition in Prometheus' text format, families by name and series by labels.
    pub fn render(&self) -> String {
        self.look_at_process();
        TextEncoder::new()
            .encode_to_string(&self.inner.registry.gather())
            .expect("gathered families are not empty, and writing to a string cannot fail")
    }

    fn look_at_process(&self) {
        let families = &self.inner.families;
        let process = process::read();
        for (gauge, value) in [
            (&families.resident_memory, process.resident_bytes),
            (&families.open_fds, process.open_fds),
            (&families.start_time, process.start_secs),
        ] {
            if let Some(value) = value {
                gauge.with_label_values(&NO_LABELS).set(value);
            }
        }
    }

    /// A declaration covers `model`: its series start at 0. `important` columns are shown first, in that order.
    /// Calling it again changes nothing but to make room for columns that became important.
    pub fn declare(&self, model: &str, important: &[String]) {
        let mut models = self.models();
        if !models.contains_key(model) && models.len() >= MODELS_SHOWN {
            self.dropped(1);
            return;
        }
        let state = models.entry(model.to_owned()).or_insert_with(|| Model {
            columns: Columns::new(self.inner.columns_shown),
            held: false,
            shown: BTreeMap::new(),
            window_end: None,
            info: None,
            performance: performance::Shown::default(),
            retraining: retraining::Shown::default(),
        });
        state.columns.prefer(important);
        let families = &self.inner.families;
        for counter in [
            &families.records_used,
            &families.records_late,
            &families.records_duplicate,
            &families.unknown_fields,
            &families.labels_used,
            &families.labels_duplicate,
        ] {
            counter.with_label_values(&[model]);
        }
        families.retrain_active.with_label_values(&[model]);
    }

    /// Records read from `topic`; `None` where their model cannot be read. Call it after their commit, as the others.
    pub fn consumed(&self, topic: &str, model: Option<&str>, records: u64) {
        let label = model.map_or(UNKNOWN, |model| self.label(model));
        self.inner
            .families
            .records_consumed
            .with_label_values(&[topic, label])
            .inc_by(records);
    }

    /// What became of the accepted records of `model`.
    pub fn accepted(&self, model: &str, records: Records) {
        let families = &self.inner.families;
        let label = self.label(model);
        families
            .records_used
            .with_label_values(&[label])
            .inc_by(records.used);
        families
            .records_late
            .with_label_values(&[label])
            .inc_by(records.late);
        families
            .records_duplicate
            .with_label_values(&[label])
            .inc_by(records.duplicate);
        families
            .unknown_fields
            .with_label_values(&[label])
            .inc_by(records.unknown_fields);
    }

    pub fn rejected(&self, reason: Reason, records: u64) {
        self.inner
            .families
            .records_rejected
            .with_label_values(&[reason.as_str()])
            .inc_by(records);
    }

    /// Latencies that the model logged, in milliseconds. What is negative or not finite is left out here; the
    /// profile counts it.
    pub fn latencies(&self, model: &str, millis: impl IntoIterator<Item = f64>) {
        let histogram = self
            .inner
            .families
            .prediction_latency
            .with_label_values(&[self.label(model)])
            .local();
        for value in millis {
            if value.is_finite() && value >= 0.0 {
                histogram.observe(value / 1000.0);
            }
        }
        histogram.flush();
    }

    /// Records between the committed cursor of a partition and its end.
    pub fn lag(&self, partition: &Partition, records: u64) {
        let number = partition.partition.to_string();
        // A topic that is read begins with no gap.
        self.inner
            .families
            .log_gap
            .with_label_values(&[&partition.topic]);
        self.inner
            .families
            .consumer_lag
            .with_label_values(&[&partition.topic, &number])
            .set(records as f64);
    }

    /// Offsets that the log no longer held.
    pub fn log_gap(&self, partition: &Partition, offsets: u64) {
        self.inner
            .families
            .log_gap
            .with_label_values(&[&partition.topic])
            .inc_by(offsets);
    }

    pub fn partitions_assigned(&self, partitions: usize) {
        self.inner
            .families
            .partitions_assigned
            .with_label_values(&NO_LABELS)
            .set(partitions as f64);
    }

    /// The partition is no longer read here: its lag ends.
    pub fn revoked(&self, partition: &Partition) {
        let number = partition.partition.to_string();
        table::end(
            &self.inner.families.consumer_lag,
            &[&partition.topic, &number],
        );
    }

    pub fn dead_letters_copied(&self, records: u64) {
        self.inner
            .families
            .dead_letters_copied
            .with_label_values(&NO_LABELS)
            .inc_by(records);
    }

    pub fn dead_letters_uncopied(&self, records: u64) {
        self.inner
            .families
            .dead_letters_uncopied
            .with_label_values(&NO_LABELS)
            .set(records as f64);
    }

    pub fn alerts_firing(&self, firing: Firing) {
        for (severity, count) in [
            ("page", firing.page),
            ("ticket", firing.ticket),
            ("info", firing.info),
        ] {
            self.inner
                .families
                .alerts_firing
                .with_label_values(&[severity])
                .set(count as f64);
        }
    }

    pub fn webhook_delivery(&self, delivery: Delivery) {
        self.inner
            .families
            .webhook_deliveries
            .with_label_values(&[delivery.code()])
            .inc();
    }

    pub fn outbox_pending(&self, notifications: u64) {
        self.inner
            .families
            .outbox_pending
            .with_label_values(&NO_LABELS)
            .set(notifications as f64);
    }

    /// A commit that succeeded at wall time `now` after `took`.
    pub fn committed(&self, took: Duration, now: Millis) {
        self.inner
            .families
            .commit_duration
            .with_label_values(&NO_LABELS)
            .observe(took.as_secs_f64());
        self.inner
            .families
            .last_commit
            .with_label_values(&NO_LABELS)
            .set(seconds(now));
    }

    pub fn commit_conflicts(&self, partitions: u64) {
        self.inner
            .families
            .commit_conflicts
            .with_label_values(&NO_LABELS)
            .inc_by(partitions);
    }

    /// One step of `stage` on `backend`, named as in the scores.
    pub fn computed(&self, stage: Stage, backend: &str, took: Duration) {
        self.inner
            .families
            .compute
            .with_label_values(&[stage.as_str(), backend])
            .observe(took.as_secs_f64());
    }

    /// Work that a device would not do, since the last call.
    pub fn compute_fallbacks(&self, more: u64) {
        self.inner
            .families
            .compute_fallbacks
            .with_label_values(&NO_LABELS)
            .inc_by(more);
    }

    /// The size from which `kernel` runs on the device.
    pub fn compute_crossover(&self, kernel: &str, size: u64) {
        self.inner
            .families
            .compute_crossover
            .with_label_values(&[kernel])
            .set(size as f64);
    }

    pub fn alarm(&self, alarm: Alarm, up: bool) {
        self.inner
            .families
            .alarm
            .with_label_values(&[alarm.as_str()])
            .set(f64::from(u8::from(up)));
    }

    pub fn store_size(&self, bytes: u64) {
        self.inner
            .families
            .store_size
            .with_label_values(&NO_LABELS)
            .set(bytes as f64);
    }

    /// The label under which `model` is counted.
    fn label<'a>(&self, model: &'a str) -> &'a str {
        let models = self.models();
        if models.contains_key(model) {
            model
        } else if models.len() >= MODELS_SHOWN {
            OTHER
        } else {
            UNKNOWN
        }
    }

    /// Whether this process holds the lease of `model`, and so exports its results.
    fn holds(&self, model: &str) -> bool {
        self.models().get(model).is_some_and(|state| state.held)
    }

    fn dropped(&self, series: u64) {
        self.inner
            .families
            .series_dropped
            .with_label_values(&NO_LABELS)
            .inc_by(series);
    }

    fn models(&self) -> MutexGuard<'_, BTreeMap<String, Model>> {
        // A panic elsewhere leaves at worst one series unset: the map itself is always whole.
        self.inner
            .models
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds(millis: Millis) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod performance_tests;
#[cfg(test)]
mod retraining_tests;
#[cfg(test)]
mod tests;
