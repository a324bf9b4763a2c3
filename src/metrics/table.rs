//! Every metric that driftline exports, one line each: name, kind, labels, and its doc comment as help text.
//!
//! **Invariant:** a family that does not stand here does not exist; a counter ends in `_total`, units are base units.

use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Model servers answer within 1 ms to 10 s; the steps are the usual 1–2.5–5.
const LATENCY_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// From one fsync of a fast disk to a disk in trouble.
const COMMIT_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
/// From one batch to the null calibration of a wide model.
const COMPUTE_SECONDS: &[f64] = &[0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 60.0];
/// From a label that is there in a minute to one that takes a quarter: 1 min, 10 min, 1 h, 6 h, 1 d, 3 d, 7 d, 30 d,
/// 90 d.
const LABEL_DELAY_SECONDS: &[f64] = &[
    60.0,
    600.0,
    3_600.0,
    21_600.0,
    86_400.0,
    259_200.0,
    604_800.0,
    2_592_000.0,
    7_776_000.0,
];

/// What kind of metric a line of the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Where a metric's past can be learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// It tells of this process; its past is in the store's journal of vital signs.
    Process,
    /// It tells a model's results, which the store keeps; only the holder of the model's lease exports it.
    Results,
}

/// One line of the table.
#[derive(Debug)]
pub struct Entry {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
    pub past: Past,
    /// Upper bucket bounds; empty for what is not a histogram.
    pub buckets: &'static [f64],
}

/// Builds [`TABLE`] and, from the same lines, the struct that holds the families.
macro_rules! table {
    ($( #[doc = $help:literal] $field:ident: $kind:ident $name:literal [$($label:ident),*] $(in $buckets:ident)? $(of $past:ident)?; )*) => {
        /// Every metric that driftline exports.
        pub const TABLE: &[Entry] = &[$(Entry {
            name: $name,
            kind: Kind::$kind,
            labels: &[$(stringify!($label)),*],
            help: $help,
            past: table!(@past $($past)?),
            buckets: table!(@buckets $($buckets)?),
        }),*];

        /// The families of [`TABLE`], a field each.
        pub(super) struct Families { $( pub(super) $field: table!(@family $kind), )* }

        impl Families {
            pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
                let mut entries = TABLE.iter();
                let mut next = || entries.next().expect("one entry a field: both come from the same lines");
                let families = Families { $( $field: table!(@new $kind)(next())?, )* };
                $( registry.register(Box::new(families.$field.clone()))?; )*
                Ok(families)
            }
        }
    };
    (@past) => { Past::Process };
    (@past results) => { Past::Results };
    (@buckets) => { &[] };
    (@buckets $buckets:ident) => { $buckets };
    (@family Counter) => { IntCounterVec };
    (@family Gauge) => { GaugeVec };
    (@family Histogram) => { HistogramVec };
    (@new Counter) => { |e: &Entry| IntCounterVec::new(Opts::new(e.name, e.help.trim()), e.labels) };
    (@new Gauge) => { |e: &Entry| GaugeVec::new(Opts::new(e.name, e.help.trim()), e.labels) };
    (@new Histogram) => {
        |e: &Entry| HistogramVec::new(HistogramOpts::new(e.name, e.help.trim()).buckets(e.buckets.to_vec()), e.labels)
    };
}

table! {
    /// Records read and decided upon, whatever became of them.
    records_consumed: Counter "driftline_records_consumed_total" [topic, model];
    /// Records that count in a window.
    records_used: Counter "driftline_records_used_total" [model];
    /// Records that came after the late horizon of their windows.
    records_late: Counter "driftline_records_late_total" [model];
    /// Records whose id was seen before within the de-duplication span.
    records_duplicate: Counter "driftline_records_duplicate_total" [model];
    /// Records whose envelope was refused, by reason.
    records_rejected: Counter "driftline_records_rejected_total" [reason];
    /// Fields of used records that the model's layout does not know.
    unknown_fields: Counter "driftline_unknown_fields_total" [model];
    /// Records between our committed cursor and the partition's end.
    consumer_lag: Gauge "driftline_consumer_lag_records" [topic, partition];
    /// Offsets that the log no longer held when they were to be read.
    log_gap: Counter "driftline_log_gap_offsets_total" [topic];
    /// Partitions that this process reads.
    partitions_assigned: Gauge "driftline_partitions_assigned" [];
    /// Rejected records copied to the dead-letter topic.
    dead_letters_copied: Counter "driftline_dead_letters_copied_total" [];
    /// Rejected records still waiting to be copied to the dead-letter topic.
    dead_letters_uncopied: Gauge "driftline_dead_letters_uncopied" [];
    /// Latency of the watched models' predictions, as they logged it.
    prediction_latency: Histogram "driftline_prediction_latency_seconds" [model] in LATENCY_SECONDS;
    /// Event time up to which all partitions of the model have committed.
    event_watermark: Gauge "driftline_event_watermark_timestamp_seconds" [model];
    /// Windows judged, by verdict, each once at its first revision; restored from the store after a restart.
    windows: Counter "driftline_windows_total" [model, verdict] of results;
    /// End of the newest window judged; it outlives silence, so time() less this is how long the model is silent.
    window_end: Gauge "driftline_window_end_timestamp_seconds" [model] of results;
    /// Length of the newest window judged: what a silence is measured by.
    window_length: Gauge "driftline_window_length_seconds" [model] of results;
    /// Rows in the newest window.
    window_rows: Gauge "driftline_window_rows" [model, version, segment] of results;
    /// Features with drift in the newest window of any version and segment.
    features_drifted: Gauge "driftline_features_drifted" [model] of results;
    /// Drift of a feature in the newest window; drift needs this above the threshold and the effect above its floor.
    drift_score: Gauge "driftline_feature_drift_score" [model, version, segment, feature, method] of results;
    /// The calibrated or declared threshold of the score of the same labels.
    drift_threshold: Gauge "driftline_feature_drift_threshold" [model, version, segment, feature, method] of results;
    /// Chance of a score at least this large without drift.
    drift_pvalue: Gauge "driftline_feature_drift_pvalue" [model, version, segment, feature, method] of results;
    /// Share of a feature's values in the newest window with a fault: null, unseen, out of domain, wrong type.
    quality_ratio: Gauge "driftline_feature_quality_ratio" [model, version, segment, feature, check] of results;
    /// What the model is judged by now: the first digits of the hashes of its layout and its reference.
    model_info: Gauge "driftline_model_info" [model, layout, reference] of results;
    /// A metric of predictions against their labels, in the newest window whose labels are mature.
    model_metric: Gauge "driftline_model_metric" [model, version, segment, metric] of results;
    /// Standard error of the metric of the same labels, from blocks of event time.
    model_metric_stderr: Gauge "driftline_model_metric_stderr" [model, version, segment, metric] of results;
    /// The limit of the rule that watches the metric of the same labels.
    model_metric_threshold: Gauge "driftline_model_metric_threshold" [model, version, segment, metric] of results;
    /// What the best constant prediction would have scored on the labels of the metric of the same labels.
    model_metric_constant: Gauge "driftline_model_metric_constant" [model, version, segment, metric] of results;
    /// Share of the rows of the newest window judged by its labels that had one by then.
    label_coverage: Gauge "driftline_label_coverage_ratio" [model, version, segment] of results;
    /// Windows judged by their labels, by verdict, each once at label maturity; restored from the store after a restart.
    performance_windows: Counter "driftline_performance_windows_total" [model, verdict] of results;
    /// End of the newest window judged by its labels.
    performance_window_end: Gauge "driftline_performance_window_end_timestamp_seconds" [model] of results;
    /// Event time from a prediction to the label that counts for it.
    label_delay: Histogram "driftline_label_delay_seconds" [model] in LABEL_DELAY_SECONDS;
    /// Labels that were accepted, whether or not their prediction is known.
    labels_used: Counter "driftline_labels_used_total" [model];
    /// Labels that were seen before within the de-duplication span.
    labels_duplicate: Counter "driftline_labels_duplicate_total" [model];
    /// Retraining runs that ended, by outcome; restored from the store after a restart.
    retrain_runs: Counter "driftline_retrain_runs_total" [model, outcome] of results;
    /// Event time of the newest retraining run that ended with the outcome.
    retrain_run_time: Gauge "driftline_retrain_run_timestamp_seconds" [model, outcome] of results;
    /// Gain of the challenger over the champion in mean loss, as the last gate measured it on its hold-out.
    retrain_gain: Gauge "driftline_retrain_gain" [model] of results;
    /// Lower end of the confidence interval of the last gate's gain.
    retrain_gain_lower: Gauge "driftline_retrain_gain_lower_bound" [model] of results;
    /// The version that is the model's champion now.
    champion_info: Gauge "driftline_champion_info" [model, version] of results;
    /// Event time since when the champion is it.
    champion_since: Gauge "driftline_champion_since_timestamp_seconds" [model] of results;
    /// Requests to retrain, by what was decided on them.
    retrain_requests: Counter "driftline_retrain_requests_total" [outcome];
    /// 1 while this process trains a challenger for the model.
    retrain_active: Gauge "driftline_retrain_active" [model];
    /// Keys (version, segment) for which the rule's alert is firing.
    alert_firing: Gauge "driftline_alert_firing" [model, rule] of results;
    /// Event time at which the rule's alert began to fire last; it stays when the alert is resolved.
    alert_since: Gauge "driftline_alert_since_timestamp_seconds" [model, rule] of results;
    /// Alerts that are firing now.
    alerts_firing: Gauge "driftline_alerts_firing" [severity];
    /// Attempts to deliver a notification, by HTTP status or by the reason why there was none.
    webhook_deliveries: Counter "driftline_webhook_deliveries_total" [code];
    /// Notifications stored and not yet delivered or given up.
    outbox_pending: Gauge "driftline_outbox_pending" [];
    /// Time one commit of the store took.
    commit_duration: Histogram "driftline_commit_duration_seconds" [] in COMMIT_SECONDS;
    /// When this process last committed.
    last_commit: Gauge "driftline_last_commit_timestamp_seconds" [];
    /// Partition commits refused because another process had moved the cursor.
    commit_conflicts: Counter "driftline_commit_conflicts_total" [];
    /// Time spent in one step of a stage.
    compute: Histogram "driftline_compute_seconds" [stage, backend] in COMPUTE_SECONDS;
    /// Pieces of work that were meant for a graphics device and were done by the CPU.
    compute_fallbacks: Counter "driftline_compute_fallbacks_total" [];
    /// Size from which the kernel runs on the graphics device; absent where there is none or it never pays.
    compute_crossover: Gauge "driftline_compute_crossover_size" [kernel];
    /// 1 while the alarm is up.
    alarm: Gauge "driftline_alarm" [alarm];
    /// Bytes of the store on disk.
    store_size: Gauge "driftline_store_size_bytes" [];
    /// Bytes of catalogued segments in the lake.
    lake_bytes: Gauge "driftline_lake_bytes" [kind];
    /// Catalogued segments in the lake.
    lake_segments: Gauge "driftline_lake_segments" [kind];
    /// Bytes of rows and labels that are stored and not yet in a segment.
    lake_buffered: Gauge "driftline_lake_buffered_bytes" [];
    /// Segments written to the lake, by what came of it.
    lake_flushes: Counter "driftline_lake_flushes_total" [outcome];
    /// Series folded into another or left out, counted each time they would have been set.
    series_dropped: Counter "driftline_series_dropped_total" [];
    /// Version of this process.
    build_info: Gauge "driftline_build_info" [version, revision];
    /// Resident memory of this process.
    resident_memory: Gauge "process_resident_memory_bytes" [];
    /// Files and sockets that this process holds open.
    open_fds: Gauge "process_open_fds" [];
    /// When this process started.
    start_time: Gauge "process_start_time_seconds" [];
}

/// Ends a series; one that never was is as good as ended.
pub(super) fn end(gauge: &GaugeVec, labels: &[&str]) {
    let _ = gauge.remove_label_values(labels);
}

/// As [`end`], of a counter.
pub(super) fn end_counter(counter: &IntCounterVec, labels: &[&str]) {
    let _ = counter.remove_label_values(labels);
}
