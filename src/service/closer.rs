//! One pass over all models: hold the lease, make the layout, close what is due, judge silence.
//!
//! **Invariant:** without the lease nothing is closed, and no gauge of the model is exported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;

use crate::compute::backend::{Choice, Compute};
use crate::compute::work::Kernel;
use crate::event::{Key, Limits, Millis, Partition, SECOND, Span};
use crate::ingest::catalogue::{Catalogue, Model};
use crate::ingest::topics::Topics;
use crate::metrics::{Alarm, Firing, FiringRule, Judged, Metrics, RunOutcome, Runs};
use crate::query::QueryError;
use crate::retrain::Run;
use crate::rules::{Rule, Watch};
use crate::service::Clock;
use crate::service::alerting::Occasion;
use crate::service::closing::{Closed, Closing};
use crate::service::holder;
use crate::service::judging::{ANCHOR, Judge, WindowResult};
use crate::service::learning;
use crate::service::leases::{LEASE, Leases};
use crate::service::performing::Performing;
use crate::service::references::References;
use crate::service::samples::Samples;
use crate::stats::score::{Score, Verdict};
use crate::stats::{Data, Statistic};
use crate::store::alerts::AlertRow;
use crate::store::lake::Lake;
use crate::store::leases::Lease;
use crate::store::scores::RuleScore;
use crate::store::vitals::VitalsRow;
use crate::store::{
    Store, StoreError, alerts, leases, models, outbox, pending, performance, registry, rejections,
    retention, runs, streams, ticks, vitals, windows,
};

/// How long a lease lasts without renewal: a holder that was killed is replaced after this, or at once where it can be
/// seen that its process has ended.
/// How often silence is judged, in wall time.
const TICK_EVERY: Millis = 10 * SECOND;

/// What the service computes on a device where it pays.
const KERNELS: [Kernel; 3] = [Kernel::RbfMmd, Kernel::PairwiseDistance, Kernel::WorstSlice];
/// Largest size that is looked at for a crossover: no sample has as many rows.
const LARGEST_SIZE: usize = 1 << 20;

/// What a pass did.
#[derive(Debug, Clone, Default)]
pub struct Pass {
    pub closed: Vec<Closed>,
    /// Whether the performance of any window was computed.
    pub performed: bool,
}

/// The partitions of the input topics.
struct Partitions {
    predictions: Vec<Partition>,
    labels: Vec<Partition>,
}

/// Does for every model what only one process may do.
pub struct Closer {
    pub store: Store,
    pub catalogue: Arc<Catalogue>,
    pub metrics: Metrics,
    /// With predictions, and with labels.
    pub topics: Topics,
    pub label_topics: Topics,
    pub lake: Lake,
    pub limits: Limits,
    pub judge: Judge,
    pub references: References,
    pub compute: Arc<Compute>,
    pub runtime: tokio::runtime::Handle,
    /// Unique to this run of this process.
    pub holder: String,
    leases: Leases,
    last_tick: Millis,
    /// Fallbacks that metrics know of.
    fallbacks: u64,
}

impl Closer {
    #[expect(
        clippy::too_many_arguments,
        reason = "the service hands each of these over once"
    )]
    pub fn new(
        store: Store,
        catalogue: Arc<Catalogue>,
        metrics: Metrics,
        topics: Topics,
        label_topics: Topics,
        lake: Lake,
        limits: Limits,
        receivers: Vec<String>,
        compute: Arc<Compute>,
        runtime: tokio::runtime::Handle,
        holder: String,
        leases: Leases,
    ) -> Self {
        let samples = Samples::new(
            store.clone(),
            lake.clone(),
            metrics.clone(),
            runtime.clone(),
        );
        let judge = Judge::new(
            store.clone(),
            metrics.clone(),
            samples,
            Arc::clone(&compute),
            receivers,
        );
        let references = References::new(store.clone());
        Self {
            store,
            catalogue,
            metrics,
            topics,
            label_topics,
            lake,
            limits,
            judge,
            references,
            compute,
            runtime,
            holder,
            leases,
            last_tick: 0,
            fallbacks: 0,
        }
    }

    /// Looks after every model. Wall time decides about leases and silence only.
    pub fn pass(&mut self, clock: &Clock) -> anyhow::Result<Pass> {
        let now = clock.now();
        let mut pass = Pass::default();
        let partitions = match self.partitions() {
            Ok(partitions) if !partitions.predictions.is_empty() => partitions,
            Ok(_) => return Ok(pass),
            Err(error) => {
                tracing::warn!(%error, "the broker does not tell the topics' partitions; windows wait");
                return Ok(pass);
            }
        };
        let tick = now - self.last_tick >= TICK_EVERY;
        let mut unreadable = false;
        for model in self.met()? {
            if !self.leases.step() {
                break;
            }
            // The model before may have taken minutes.
            if let Some(lease) = self.lease(&model, clock.now())? {
                let mut outcome = self.look_after(&model, &lease, &partitions, &mut pass);
                if tick && outcome.is_ok() {
                    outcome = self.judge_silence(&model, &lease, now);
                }
                match outcome {
                    Err(error) if is_lease_lost(&error) => {
                        tracing::warn!(model = %model.name, "another process took the model over");
                        self.leases.remove(&model.name);
                        self.metrics.release(&model.name);
                    }
                    // One model's file must not stop the others.
                    Err(error) if error.downcast_ref::<QueryError>().is_some() => {
                        tracing::error!(model = %model.name, error = format!("{error:#}"), "the model waits: its reference or its rows cannot be read");
                        unreadable = true;
                    }
                    outcome => outcome?,
                }
            }
        }
        self.metrics.alarm(Alarm::ReferenceUnreadable, unreadable);
        if tick {
            self.last_tick = now;
        }
        // Both move alerts, which are read from the store.
        if tick || pass.performed || !pass.closed.is_empty() {
            self.show_compute();
            self.show(now)?;
        }
        Ok(pass)
    }

    fn partitions(&self) -> anyhow::Result<Partitions> {
        Ok(Partitions {
            predictions: self.topics.partitions()?,
            labels: self.label_topics.partitions()?,
        })
    }

    /// Every model of which anything has come, and each one declared by name.
    fn met(&self) -> Result<Vec<Arc<Model>>, StoreError> {
        let mut names: BTreeSet<String> = self.store.read(|conn| {
            let mut names: BTreeSet<String> = pending::models(conn)?.into_iter().collect();
            names.extend(streams::all(conn)?.into_iter().map(|(_, row)| row.model));
            Ok(names)
        })?;
        names.extend(self.catalogue.declared_by_name());
        Ok(names
            .iter()
            .filter_map(|name| self.catalogue.get(name))
            .collect())
    }

    /// The model's lease, taken or prolonged when half of it is over.
    fn lease(&mut self, model: &Model, now: Millis) -> Result<Option<Lease>, StoreError> {
        let name = model.name.to_string();
        if let Some(lease) = self.leases.get(&name)
            && lease.until_wall - now > LEASE / 2
        {
            return Ok(Some(lease));
        }
        let held = self.store.read(|conn| leases::get(conn, &name))?;
        let gone = held
            .map(|held| held.holder)
            .filter(|other| *other != self.holder && holder::is_gone(other));
        let (wanted, source, holder) = (
            name.clone(),
            model.declaration.source.clone(),
            self.holder.clone(),
        );
        let (lease, closed_through) = self.store.write(move |tx| {
            models::declare(tx, &wanted, &source)?;
            if let Some(gone) = gone {
                leases::expire(tx, &wanted, &gone)?;
            }
            let lease = leases::acquire(tx, &wanted, &holder, now, LEASE)?;
            let closed_through = models::get(tx, &wanted)?.and_then(|model| model.closed_through);
            Ok((lease, closed_through))
        })?;
        match &lease {
            Some(lease) => {
                if self.leases.insert(lease.clone()) {
                    let (counts, performed) = self.store.read(|conn| {
                        Ok((
                            windows::verdict_counts(conn)?.into_iter(),
                            performance::verdict_counts(conn)?,
                        ))
                    })?;
                    let judged: Vec<_> = counts
                        .filter(|(model, _, _)| *model == name)
                        .map(|(_, verdict, count)| (verdict, count))
                        .collect();
                    self.metrics.declare(&name, &[]);
                    self.metrics.hold(&name, &judged);
                    let performed: Vec<_> = performed
                        .into_iter()
                        .filter(|(model, ..)| *model == name)
                        .map(|(_, verdict, count)| (verdict, count))
                        .collect();
                    self.metrics.restore_performance(&name, &performed);
                    let rules = model.declaration.rules.iter();
                    self.metrics
                        .rules(&name, rules.map(|rule| rule.name.as_str()));
                    if let Some(closed_through) = closed_through {
                        self.metrics.closed_through(&name, closed_through);
                    }
                }
            }
            None => {
                if self.leases.remove(&name) {
                    self.metrics.release(&name);
                }
            }
        }
        Ok(lease)
    }

    fn look_after(
        &self,
        model: &Arc<Model>,
        lease: &Lease,
        partitions: &Partitions,
        pass: &mut Pass,
    ) -> anyhow::Result<()> {
        let mut model = Arc::clone(model);
        if model.layout.is_none() {
            let made = learning::make_layout(
                &self.store,
                &self.catalogue,
                &model,
                &partitions.predictions,
                &self.limits,
                &self.runtime,
            );
            if !made? {
                return Ok(());
            }
            model = self
                .catalogue
                .get(&model.name)
                .context("a model does not leave the catalogue")?;
        }
        let Some(layout) = &model.layout else {
            return Ok(());
        };
        learning::renew_reference(&self.store, &model, layout, &self.runtime)?;
        let closing = Closing {
            store: &self.store,
            model: &model,
            layout,
            lease,
            leases: &self.leases,
            judge: &self.judge,
            references: &self.references,
        };
        let Some(watermark) = closing.watermark(&partitions.predictions)? else {
            return Ok(());
        };
        self.metrics.watermark(&model.name, watermark);
        let outcome = closing.close_due(watermark, |closed| {
            for (key, rows, result) in &closed.results {
                // The anchor's scores have the labels of the reference's; they are for people who look at a window.
                let judged = result.scores.iter().filter(|score| score.rule != ANCHOR);
                let scores: Vec<Score> = judged.map(exported).collect();
                let (window, revision, verdict) = (closed.span, closed.revision, result.verdict);
                self.metrics.judged(&Judged { key, window, revision, rows: *rows, verdict, scores: &scores });
                tracing::info!(%key, window = crate::event::rfc3339(window.start), revision, rows, verdict = verdict.as_str(), "window closed");
            }
            let silent = |(_, _, result): &(_, _, WindowResult)| result.verdict == Verdict::NoData;
            if closed.revision == 0 && closed.results.iter().all(silent) {
                self.metrics.forget_scores(&model.name);
            }
            pass.closed.push(closed);
        });
        let row = self.store.read(|conn| models::get(conn, &model.name))?;
        let reference = row.and_then(|row| row.reference_hash).unwrap_or_default();
        self.metrics
            .model_info(&model.name, layout.hash(), &reference);
        outcome?;
        let performing = Performing {
            store: &self.store,
            lake: &self.lake,
            model: &model,
            layout,
            lease,
            leases: &self.leases,
            alerting: &self.judge.alerting,
            metrics: &self.metrics,
            runtime: &self.runtime,
        };
        pass.performed |= performing.compute_due(&partitions.labels, watermark)?;
        Ok(())
    }

    /// Rules on freshness: how long nothing has come, at a tick that is recorded so that it never goes back.
    fn judge_silence(&self, model: &Model, lease: &Lease, now: Millis) -> anyhow::Result<()> {
        let rules: Vec<&Rule> = model
            .declaration
            .rules
            .iter()
            .filter(|rule| rule.watch == Watch::Freshness)
            .collect();
        if rules.is_empty() {
            return Ok(());
        }
        let streams = self
            .store
            .read(|conn| streams::of_model(conn, &model.name))?;
        let Some(latest) = streams.iter().filter_map(|(_, row)| row.max_ts).max() else {
            return Ok(());
        };
        let (name, fence) = (model.name.to_string(), lease.clone());
        let at = self.store.write(move |tx| {
            leases::check(tx, &fence)?;
            ticks::record(tx, &name, now)
        })?;
        let key = Key {
            model: model.name.to_string(),
            version: String::new(),
            segment: String::new(),
        };
        for rule in rules {
            let on = Occasion {
                model,
                key: &key,
                window: Span::new(latest, at),
                now: at,
            };
            let change = self.judge.alerting.silence(on, rule)?;
            let Some(change) = change else { continue };
            let fence = lease.clone();
            self.store.write(move |tx| {
                leases::check(tx, &fence)?;
                change.store(tx)
            })?;
        }
        Ok(())
    }

    /// What became of work for a device. None is opened or measured for it before there is such work.
    fn show_compute(&mut self) {
        let counters = self.compute.counters();
        if counters.cpu + counters.gpu == 0 {
            return;
        }
        self.metrics
            .compute_fallbacks(counters.fallbacks.saturating_sub(self.fallbacks));
        self.fallbacks = counters.fallbacks;
        // Only `auto` chooses by size.
        if self.compute.choice() != Choice::Auto {
            return;
        }
        let Some(calibration) = self.compute.calibration() else {
            return;
        };
        for kernel in KERNELS {
            let crossover = self.compute.rates(kernel).and_then(|rates| {
                rates.crossover(calibration, LARGEST_SIZE, |size| kernel.work_at(size))
            });
            if let Some(size) = crossover {
                self.metrics.compute_crossover(kernel.name(), size as u64);
            }
        }
    }

    /// Gauges that are read from the store.
    fn show(&self, now: Millis) -> anyhow::Result<()> {
        let mut firing = Firing::default();
        let (alerts, pending, uncopied, size) = self.store.read(|conn| {
            let alerts = alerts::list(conn, None, Some("firing"))?;
            let pending = outbox::counts(conn)?
                .into_iter()
                .filter(|(_, status, _)| *status == outbox::Status::Pending);
            let pending = pending.map(|(_, _, count)| count).sum::<u64>();
            Ok((
                alerts,
                pending,
                rejections::uncopied_count(conn)?,
                retention::size(conn)?,
            ))
        })?;
        for model in self.leases.models() {
            self.show_model(&model, &alerts)?;
        }
        for alert in alerts {
            let rule = self
                .catalogue
                .declared(&alert.key.model)
                .and_then(|d| d.rules.iter().find(|r| r.name == alert.rule));
            match rule.map(|rule| rule.severity) {
                Some(crate::rules::Severity::Page) => firing.page += 1,
                Some(crate::rules::Severity::Info) => firing.info += 1,
                _ => firing.ticket += 1,
            }
        }
        self.metrics.alerts_firing(firing);
        self.metrics.outbox_pending(pending);
        self.metrics.dead_letters_uncopied(uncopied);
        self.metrics.store_size(size.used_bytes);
        self.keep_vitals(now)
    }

    /// What is shown of a model whose lease we hold: its firing rules, who serves, and how retraining went.
    fn show_model(&self, model: &str, firing: &[AlertRow]) -> anyhow::Result<()> {
        let mut by_rule: BTreeMap<&str, FiringRule> = BTreeMap::new();
        for alert in firing.iter().filter(|alert| alert.key.model == model) {
            let rule = by_rule.entry(&alert.rule).or_insert_with(|| FiringRule {
                rule: alert.rule.clone(),
                keys: 0,
                since: alert.since,
            });
            rule.keys += 1;
            rule.since = rule.since.max(alert.since);
        }
        let firing: Vec<FiringRule> = by_rule.into_values().collect();
        self.metrics.alerts(model, &firing);
        let (champion, all) = self.store.read(|conn| {
            Ok((
                registry::champion(conn, model)?,
                runs::list(conn, Some(model), None, u32::MAX)?,
            ))
        })?;
        if let Some(champion) = champion {
            self.metrics
                .champion(model, &champion.version, champion.since);
        }
        let ended: Vec<Runs> = RunOutcome::ALL
            .into_iter()
            .filter_map(|outcome| {
                let of_outcome = all
                    .iter()
                    .filter(|run| RunOutcome::of_status(run.status.as_str()) == Some(outcome));
                let newest = of_outcome.clone().map(|run| run.requested).max()?;
                Some(Runs {
                    outcome,
                    total: of_outcome.count() as u64,
                    newest,
                })
            })
            .collect();
        // The newest ones come first.
        for row in all {
            if let Some(gain) = Run::read(row)?.body.gate.and_then(|gate| gate.gain) {
                self.metrics.gate(model, gain.mean, gain.lower);
                break;
            }
        }
        self.metrics.runs(model, &ended);
        Ok(())
    }

    /// Notes what this process exports, once in a while of event time, for plots of the past.
    fn keep_vitals(&self, now: Millis) -> anyhow::Result<()> {
        let (at, last) = self
            .store
            .read(|conn| Ok((vitals::event_time(conn)?, vitals::last(conn, &self.holder)?)))?;
        let Some(at) = at.filter(|at| last.is_none_or(|last| *at >= last + vitals::EVERY)) else {
            return Ok(());
        };
        let row = VitalsRow {
            at,
            holder: self.holder.clone(),
            at_wall: now,
            body: self.metrics.vitals(),
        };
        self.store.write(move |tx| vitals::record(tx, &row))?;
        Ok(())
    }

    /// Hands every lease back, so that another process need not wait for their end.
    pub fn leave(&mut self) -> Result<(), StoreError> {
        for lease in self.leases.take() {
            self.metrics.release(&lease.model);
            self.store.write(move |tx| leases::release(tx, &lease))?;
        }
        Ok(())
    }
}

/// A score as metrics show it: what several columns have in common stands under its rule's name.
fn exported(scored: &RuleScore) -> Score {
    let mut score = scored.score.clone();
    let of_rows = Statistic::parse(&score.statistic)
        .is_some_and(|statistic| statistic.entry().from == Data::Matrix);
    if score.column.is_empty() && of_rows {
        score.column.clone_from(&scored.rule);
    }
    score
}

fn is_lease_lost(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<StoreError>()
        .is_some_and(StoreError::is_lease_lost)
}
