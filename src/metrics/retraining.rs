//! Retraining runs, the last gate, the champion, and the alerts that ask for them.
//!
//! **Invariant:** what a model's runs came to is exported by the holder of its lease, from the store: whichever process
//! trained, each run is counted once.

use std::collections::BTreeSet;

use super::labels::{RequestOutcome, RunOutcome};
use super::table::{Families, end, end_counter};
use super::{Metrics, seconds};
use crate::event::Millis;

/// Runs of one model that ended in the same way, as the store says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runs {
    pub outcome: RunOutcome,
    pub total: u64,
    /// Event time of the newest of them.
    pub newest: Millis,
}

/// A rule whose alert is firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiringRule {
    pub rule: String,
    /// Keys (version, segment) for which it is.
    pub keys: u64,
    /// Event time at which the latest of them began.
    pub since: Millis,
}

/// What is shown of one model.
#[derive(Default)]
pub(super) struct Shown {
    champion: Option<String>,
    /// Rules whose alert was firing since the lease was taken.
    rules: BTreeSet<String>,
}

impl Metrics {
    /// How the runs of `model` ended; call it whenever that is read. Without the model's lease it does nothing.
    pub fn runs(&self, model: &str, ended: &[Runs]) {
        if !self.holds(model) {
            return;
        }
        let families = &self.inner.families;
        for runs in ended {
            let labels = [model, runs.outcome.as_str()];
            let counter = families.retrain_runs.with_label_values(&labels);
            counter.inc_by(runs.total.saturating_sub(counter.get()));
            families
                .retrain_run_time
                .with_label_values(&labels)
                .set(seconds(runs.newest));
        }
    }

    /// What the last gate of `model` measured: the challenger's gain in mean loss and the lower end of its interval.
    /// Without the model's lease it does nothing.
    pub fn gate(&self, model: &str, gain: f64, lower_bound: f64) {
        if !self.holds(model) {
            return;
        }
        let families = &self.inner.families;
        for (gauge, value) in [
            (&families.retrain_gain, gain),
            (&families.retrain_gain_lower, lower_bound),
        ] {
            if value.is_finite() {
                gauge.with_label_values(&[model]).set(value);
            } else {
                end(gauge, &[model]);
            }
        }
    }

    /// `version` is the champion of `model` since that event time. Without the model's lease it does nothing.
    pub fn champion(&self, model: &str, version: &str, since: Millis) {
        let mut models = self.models();
        let Some(state) = models.get_mut(model).filter(|state| state.held) else {
            return;
        };
        let families = &self.inner.families;
        let before = state.retraining.champion.replace(version.to_owned());
        if let Some(before) = before.filter(|before| before != version) {
            end(&families.champion_info, &[model, &before]);
        }
        families
            .champion_info
            .with_label_values(&[model, version])
            .set(1.0);
        families
            .champion_since
            .with_label_values(&[model])
            .set(seconds(since));
    }

    /// The alerts of `model` that are firing now, a line a rule. Rules that are not among them go to 0.
    /// Without the model's lease it does nothing.
    pub fn alerts(&self, model: &str, firing: &[FiringRule]) {
        let mut models = self.models();
        let Some(state) = models.get_mut(model).filter(|state| state.held) else {
            return;
        };
        let families = &self.inner.families;
        for rule in &state.retraining.rules {
            families
                .alert_firing
                .with_label_values(&[model, rule])
                .set(0.0);
        }
        for FiringRule { rule, keys, since } in firing {
            let labels = [model, rule.as_str()];
            families
                .alert_firing
                .with_label_values(&labels)
                .set(*keys as f64);
            families
                .alert_since
                .with_label_values(&labels)
                .set(seconds(*since));
            state.retraining.rules.insert(rule.clone());
        }
    }

    /// The rules that `model` declares: their alerts start at 0. Without the model's lease it does nothing.
    pub fn rules<'a>(&self, model: &str, names: impl IntoIterator<Item = &'a str>) {
        let mut models = self.models();
        let Some(state) = models.get_mut(model).filter(|state| state.held) else {
            return;
        };
        for name in names {
            // Made with 0, or left as it is.
            self.inner
                .families
                .alert_firing
                .with_label_values(&[model, name]);
            state.retraining.rules.insert(name.to_owned());
        }
    }

    /// Whether this process is training a challenger for `model`.
    pub fn retrain_active(&self, model: &str, active: bool) {
        self.inner
            .families
            .retrain_active
            .with_label_values(&[self.label(model)])
            .set(f64::from(u8::from(active)));
    }

    /// A request to retrain was decided upon.
    pub fn retrain_request(&self, outcome: RequestOutcome) {
        self.inner
            .families
            .retrain_requests
            .with_label_values(&[outcome.as_str()])
            .inc();
    }
}

impl Shown {
    /// Ends all series of the model.
    pub(super) fn end(&mut self, families: &Families, model: &str) {
        if let Some(champion) = self.champion.take() {
            end(&families.champion_info, &[model, &champion]);
        }
        for rule in std::mem::take(&mut self.rules) {
            end(&families.alert_firing, &[model, &rule]);
            end(&families.alert_since, &[model, &rule]);
        }
        for gauge in [
            &families.retrain_gain,
            &families.retrain_gain_lower,
            &families.champion_since,
        ] {
            end(gauge, &[model]);
        }
        for outcome in RunOutcome::ALL {
            end_counter(&families.retrain_runs, &[model, outcome.as_str()]);
            end(&families.retrain_run_time, &[model, outcome.as_str()]);
        }
    }
}
