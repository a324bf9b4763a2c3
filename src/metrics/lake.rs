//! Labels as they come in, and the lake that keeps them and the rows.

use super::labels::Flush;
use super::{Metrics, NO_LABELS};
use crate::event::Millis;

/// What the store's catalogue says of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LakeSize {
    pub rows_bytes: u64,
    pub rows_segments: u64,
    pub labels_bytes: u64,
    pub labels_segments: u64,
    /// Rows and labels that are in the store and not yet in a segment.
    pub buffered_bytes: u64,
}

impl Metrics {
    /// What became of the accepted labels of `model` in one commit.
    pub fn labels(&self, model: &str, used: u64, duplicate: u64) {
        let label = self.label(model);
        let families = &self.inner.families;
        families
            .labels_used
            .with_label_values(&[label])
            .inc_by(used);
        families
            .labels_duplicate
            .with_label_values(&[label])
            .inc_by(duplicate);
    }

    /// How long labels of `model` came after their predictions, in milliseconds of event time: once a label, when its
    /// window is judged. A label from before its prediction counts as 0.
    pub fn label_delays(&self, model: &str, delays: impl IntoIterator<Item = Millis>) {
        let histogram = self
            .inner
            .families
            .label_delay
            .with_label_values(&[self.label(model)])
            .local();
        for delay in delays {
            histogram.observe(super::seconds(delay.max(0)));
        }
        histogram.flush();
    }

    /// A segment was written, or not.
    pub fn lake_flush(&self, outcome: Flush) {
        self.inner
            .families
            .lake_flushes
            .with_label_values(&[outcome.as_str()])
            .inc();
    }

    pub fn lake_size(&self, size: LakeSize) {
        let families = &self.inner.families;
        for (gauge, kind, value) in [
            (&families.lake_bytes, "rows", size.rows_bytes),
            (&families.lake_bytes, "labels", size.labels_bytes),
            (&families.lake_segments, "rows", size.rows_segments),
            (&families.lake_segments, "labels", size.labels_segments),
        ] {
            gauge.with_label_values(&[kind]).set(value as f64);
        }
        families
            .lake_buffered
            .with_label_values(&NO_LABELS)
            .set(size.buffered_bytes as f64);
    }
}
