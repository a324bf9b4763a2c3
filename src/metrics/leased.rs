//! What only the holder of a model's lease exports: windows, scores, watermark and info.
//!
//! **Invariant:** without the lease nothing of it is exported, so that a sum over all processes counts each window once.

use std::collections::BTreeMap;

use super::columns::Columns;
use super::labels::RunOutcome;
use super::scores::{self, Shown};
use super::table::{Families, end, end_counter};
use super::{Metrics, seconds};
use super::{performance, retraining};
use crate::event::{Key, Millis, Span};
use crate::stats::score::{Score, Verdict};

/// Keys (version, segment) of one model whose scores are shown at once; the one longest without a window ends first.
pub const KEYS_SHOWN: usize = 10;
/// Hashes are cut to this many digits in `driftline_model_info`: enough to tell a handful apart.
const HASH_DIGITS: usize = 12;

/// A window that was judged and stored.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    pub key: &'a Key,
    pub window: Span,
    pub revision: u32,
    pub rows: u64,
    pub verdict: Verdict,
    pub scores: &'a [Score],
}

/// What is known of one declared model.
pub(super) struct Model {
    pub(super) columns: Columns,
    /// This process holds the model's lease, so it exports the model's gauges.
    pub(super) held: bool,
    /// The newest window of each key, as shown.
    pub(super) shown: BTreeMap<Key, Shown>,
    pub(super) window_end: Option<Millis>,
    pub(super) info: Option<[String; 2]>,
    pub(super) performance: performance::Shown,
    pub(super) retraining: retraining::Shown,
}

impl Metrics {
    /// This process holds the lease of `model`, of which `judged` windows are stored. Until
    /// [`Metrics::release`] it exports the model's gauges and window counters. A second call changes nothing, nor does
    /// a call before [`Metrics::declare`].
    pub fn hold(&self, model: &str, judged: &[(Verdict, u64)]) {
        let mut models = self.models();
        let Some(state) = models.get_mut(model) else {
            return;
        };
        if std::mem::replace(&mut state.held, true) {
            return;
        }
        for verdict in Verdict::ALL {
            let count = judged
                .iter()
                .filter(|(of, _)| *of == verdict)
                .map(|(_, count)| count)
                .sum();
            self.inner
                .families
                .windows
                .with_label_values(&[model, verdict.as_str()])
                .inc_by(count);
            self.inner
                .families
                .performance_windows
                .with_label_values(&[model, verdict.as_str()]);
        }
        for outcome in RunOutcome::ALL {
            self.inner
                .families
                .retrain_runs
                .with_label_values(&[model, outcome.as_str()]);
        }
        self.inner
            .families
            .features_drifted
            .with_label_values(&[model]);
    }

    /// The lease of `model` is gone: all that only its holder exports ends here.
    pub fn release(&self, model: &str) {
        let mut models = self.models();
        let Some(state) = models.get_mut(model) else {
            return;
        };
        if !std::mem::replace(&mut state.held, false) {
            return;
        }
        let families = &self.inner.families;
        for (key, shown) in std::mem::take(&mut state.shown) {
            shown.end(families, &key);
        }
        for verdict in Verdict::ALL {
            for counter in [&families.windows, &families.performance_windows] {
                end_counter(counter, &[model, verdict.as_str()]);
            }
        }
        state.performance.end(families);
        state.retraining.end(families, model);
        for gauge in [
            &families.features_drifted,
            &families.window_end,
            &families.window_length,
            &families.performance_window_end,
            &families.event_watermark,
        ] {
            end(gauge, &[model]);
        }
        if let Some([layout, reference]) = state.info.take() {
            end(&families.model_info, &[model, &layout, &reference]);
        }
        state.window_end = None;
    }

    /// `model` fell silent: its scores, thresholds, p-values, ratios and row counts end. Timestamps, counters and
    /// `driftline_model_info` stay, so that the silence itself can be seen.
    pub fn forget_scores(&self, model: &str) {
        let mut models = self.models();
        let Some(state) = models.get_mut(model) else {
            return;
        };
        for (key, shown) in std::mem::take(&mut state.shown) {
            shown.end(&self.inner.families, &key);
        }
        if state.held {
            self.inner
                .families
                .features_drifted
                .with_label_values(&[model])
                .set(0.0);
        }
    }

    /// A window was judged and stored. Counts it (revision 0) and, when none newer is shown, shows its scores. A key that
    /// misses a whole later window, as a version that was replaced, loses its series then.
    /// Without the model's lease it does nothing.
    pub fn judged(&self, judged: &Judged<'_>) {
        let mut models = self.models();
        let model = judged.key.model.as_str();
        let Some(state) = models.get_mut(model).filter(|state| state.held) else {
            return;
        };
        let families = &self.inner.families;
        if judged.revision == 0 {
            families
                .windows
                .with_label_values(&[model, judged.verdict.as_str()])
                .inc();
        }
        if state
            .shown
            .get(judged.key)
            .is_some_and(|shown| shown.window.end > judged.window.end)
        {
            return;
        }
        let newest = state.window_end;
        self.closed(state, model, judged.window.end);
        if let Some(newest) = newest.filter(|newest| *newest < judged.window.end) {
            end_before(families, &mut state.shown, newest);
        }
        families
            .window_length
            .with_label_values(&[model])
            .set(seconds(judged.window.length()));
        let shown = Shown::new(judged, &mut state.columns);
        self.dropped(shown.folded);
        let before = state.shown.remove(judged.key);
        if before.is_none() && state.shown.len() >= KEYS_SHOWN {
            self.end_oldest(&mut state.shown);
        }
        shown.set(families, judged.key, before);
        state.shown.insert(judged.key.clone(), shown);
        let drifted = scores::drifted_columns(state.shown.values());
        families
            .features_drifted
            .with_label_values(&[model])
            .set(drifted as f64);
    }

    /// The last window closed ends here, as the store says: so that a silence that began before a restart or a change of
    /// holder is seen. Without the model's lease it does nothing.
    pub fn closed_through(&self, model: &str, end: Millis) {
        if let Some(state) = self.models().get_mut(model).filter(|state| state.held) {
            self.closed(state, model, end);
        }
    }

    fn closed(&self, state: &mut Model, model: &str, end: Millis) {
        if state.window_end.is_none_or(|newest| newest < end) {
            state.window_end = Some(end);
            self.inner
                .families
                .window_end
                .with_label_values(&[model])
                .set(seconds(end));
        }
    }

    fn end_oldest(&self, shown: &mut BTreeMap<Key, Shown>) {
        let oldest = shown
            .iter()
            .min_by_key(|(_, shown)| shown.window.end)
            .map(|(key, _)| key.clone());
        if let Some((key, shown)) = oldest.and_then(|key| shown.remove_entry(&key)) {
            self.dropped(1);
            shown.end(&self.inner.families, &key);
        }
    }

    /// All partitions of `model` have committed up to this event time. Without the model's lease it does nothing.
    pub fn watermark(&self, model: &str, watermark: Millis) {
        if self.models().get(model).is_some_and(|state| state.held) {
            self.inner
                .families
                .event_watermark
                .with_label_values(&[model])
                .set(seconds(watermark));
        }
    }

    /// What `model` is judged by; hashes may be `""` where there is none yet. Without the lease it does nothing.
    pub fn model_info(&self, model: &str, layout_hash: &str, reference_hash: &str) {
        let mut models = self.models();
        let Some(state) = models.get_mut(model).filter(|state| state.held) else {
            return;
        };
        let [layout, reference] = [layout_hash, reference_hash]
            .map(|hash| hash.chars().take(HASH_DIGITS).collect::<String>());
        let gauge = &self.inner.families.model_info;
        gauge
            .with_label_values(&[model, &layout, &reference])
            .set(1.0);
        let now = [layout, reference];
        if let Some(before) = state
            .info
            .replace(now.clone())
            .filter(|before| *before != now)
        {
            end(gauge, &[model, &before[0], &before[1]]);
        }
    }
}

/// Ends the keys whose newest window ends before `moment`.
fn end_before(families: &Families, shown: &mut BTreeMap<Key, Shown>, moment: Millis) {
    shown.retain(|key, shown| {
        let stays = shown.window.end >= moment;
        if !stays {
            shown.end(families, key);
        }
        stays
    });
}
