//! Performance of closed windows at fixed label ages: provisional at first, judged once at label maturity, final at
//! the label horizon.
//!
//! **Invariants.** A window is computed at an age when the watermarks of rows and of labels have both been committed
//! past its end + that age, so which records count is a function of the logs alone. Results, alert states,
//! notifications and the age's place in time move in one transaction, fenced by the lease.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::event::{Key, Millis, Partition, Span, rfc3339};
use crate::ingest::catalogue::Model;
use crate::metrics::{Metrics, Performed, Stage as Step};
use crate::performance::{Kind, Metric, Observation, Summary, measure};
use crate::profile::CompiledLayout;
use crate::query::{Ask, observations};
use crate::rules::{Judgement, Rows, Rule, Watch};
use crate::service::alerting::{AlertChange, Alerting, Occasion};
use crate::service::baseline::baselines;
use crate::service::leases::Leases;
use crate::service::performance_scores::{performance_score, tell};
use crate::stats::score::{Score, Verdict};
use crate::store::lake::Lake;
use crate::store::leases::Lease;
use crate::store::performance::{PerformanceBody, PerformanceRow, Share, Stage};
use crate::store::scores::RuleScore;
use crate::store::{Store, StoreError, gaps, leases, performance, streams};

/// Computes and judges the performance of one model.
pub struct Performing<'a> {
    pub store: &'a Store,
    pub lake: &'a Lake,
    pub model: &'a Model,
    pub layout: &'a Arc<CompiledLayout>,
    pub lease: &'a Lease,
    pub leases: &'a Leases,
    pub alerting: &'a Alerting,
    pub metrics: &'a Metrics,
    pub runtime: &'a tokio::runtime::Handle,
}

/// A window at an age that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    /// When it became due: the window's end + the age. The order in which to compute.
    at: Millis,
    window: Span,
    age: Millis,
}

impl Performing<'_> {
    /// Computes everything that is due, in event time's order. `partitions` are those of the topics with labels,
    /// `watermark` is the one of rows. Returns whether anything was.
    pub fn compute_due(&self, partitions: &[Partition], watermark: Millis) -> anyhow::Result<bool> {
        let declaration = &self.model.declaration;
        let Some(kind) = declaration
            .task
            .kind()
            .filter(|_| declaration.rows != Rows::None && !partitions.is_empty())
        else {
            return Ok(false);
        };
        let Some(labels) = self.label_watermark(partitions)? else {
            return Ok(false);
        };
        let due = self.due(watermark.min(labels))?;
        for &due in &due {
            self.compute(kind, due)?;
            if !self.leases.step() {
                break;
            }
        }
        Ok(!due.is_empty())
    }

    /// The least committed watermark of labels; `None` while a partition has none.
    fn label_watermark(&self, partitions: &[Partition]) -> Result<Option<Millis>, StoreError> {
        let rows = self
            .store
            .read(|conn| streams::labels_of_model(conn, &self.model.name))?;
        let watermarks: BTreeMap<Partition, Millis> = rows
            .into_iter()
            .map(|(partition, row)| (partition, row.watermark))
            .collect();
        let all: Option<Vec<Millis>> = partitions
            .iter()
            .map(|partition| watermarks.get(partition).copied())
            .collect();
        Ok(all.and_then(|all| all.into_iter().min()))
    }

    fn due(&self, now: Millis) -> Result<Vec<Due>, StoreError> {
        let name = &*self.model.name;
        let ages = self.model.declaration.window.label_ages();
        let mut due = self.store.read(|conn| {
            let progress = performance::progress(conn, name)?;
            let mut due = Vec::new();
            for age in ages {
                let done = progress.get(&age).copied();
                for window in
                    performance::closed_windows(conn, name, done, now.saturating_sub(age))?
                {
                    due.push(Due {
                        at: window.end + age,
                        window,
                        age,
                    });
                }
            }
            Ok(due)
        })?;
        due.sort_unstable();
        Ok(due)
    }

    fn stage(&self, age: Millis) -> Stage {
        let spec = &self.model.declaration.window;
        if age == spec.label_maturity {
            Stage::Judged
        } else if age < spec.label_maturity {
            Stage::Provisional
        } else {
            Stage::Final
        }
    }

    fn compute(&self, kind: Kind<'_>, due: Due) -> anyhow::Result<()> {
        let Due { at, window, age } = due;
        let started = Instant::now();
        let ask = Ask {
            model: &self.model.name,
            span: window,
            known_by: at,
            layout: self.layout,
            kind,
        };
        let found = self
            .runtime
            .block_on(observations(self.lake, self.store, &ask))?;
        self.metrics.computed(Step::Query, "cpu", started.elapsed());
        let lost = !self
            .store
            .read(|conn| gaps::touching(conn, &self.model.name, window))?
            .is_empty();
        let stage = self.stage(age);
        self.alerting.begin();
        let mut rows = Vec::new();
        let mut alerts = Vec::new();
        let mut delays = Vec::new();
        let mut of_versions = found.rows.as_slice();
        while let Some(first) = of_versions.first() {
            let length = of_versions.partition_point(|row| row.version == first.version);
            let (of_version, rest) = of_versions.split_at(length);
            of_versions = rest;
            let unusable = found.unusable.get(&first.version).map_or(0, |all| all.rows);
            let started = Instant::now();
            let summary = measure(kind, of_version, window);
            self.metrics
                .computed(Step::Measure, "cpu", started.elapsed());
            let key = Key {
                model: self.model.name.to_string(),
                version: first.version.clone(),
                segment: String::new(),
            };
            let (row, changes) = self.judge(&key, due, stage, &summary, unusable, lost)?;
            rows.push(row);
            alerts.extend(changes);
            if stage == Stage::Judged {
                delays.extend(delays_of(of_version));
            }
        }
        let (name, lease) = (self.model.name.to_string(), self.lease.clone());
        let stored: Vec<PerformanceRow> = rows.clone();
        let won = self.store.write(move |tx| {
            leases::check(tx, &lease)?;
            let done = performance::progress(tx, &name)?.get(&age).copied();
            if done.is_some_and(|done| done >= window.end) {
                return Ok(false);
            }
            performance::advance(tx, &name, age, done, window.end)?;
            for row in &stored {
                performance::insert(tx, row)?;
            }
            for change in &alerts {
                change.store(tx)?;
            }
            Ok(true)
        })?;
        if won && stage == Stage::Judged {
            self.metrics.label_delays(&self.model.name, delays);
            for row in &rows {
                self.tell(row);
            }
        }
        Ok(())
    }

    /// Scores of one version, and, when it is time, what the rules make of them.
    fn judge(
        &self,
        key: &Key,
        due: Due,
        stage: Stage,
        summary: &Summary,
        unusable_labels: u64,
        lost: bool,
    ) -> anyhow::Result<(PerformanceRow, Vec<AlertChange>)> {
        let declaration = &self.model.declaration;
        let known = if stage == Stage::Judged {
            baselines(self.store, self.model, key, due.window)?
        } else {
            BTreeMap::new()
        };
        let enough = declaration.window.min_rows;
        let excuse = |n: u64| match n {
            _ if lost => Some(Verdict::Incomplete),
            0 => Some(Verdict::NoData),
            n if n < enough => Some(Verdict::InsufficientData),
            _ => None,
        };
        let of = |metric: Metric, rule: Option<&Rule>| {
            let estimate = summary.get(metric)?;
            let score = performance_score(
                rule,
                estimate,
                known.get(&metric),
                &summary.coverage,
                due.age,
                excuse(estimate.n),
            );
            Some(RuleScore {
                rule: rule.map(|rule| rule.name.clone()).unwrap_or_default(),
                score,
            })
        };
        let mut scores: Vec<RuleScore> = summary
            .estimates
            .iter()
            .filter_map(|estimate| of(estimate.metric, None))
            .collect();
        let mut alerts = Vec::new();
        let (mut judged, mut bad, mut no_reference) = (false, false, false);
        if stage == Stage::Judged {
            let rules = declaration
                .rules
                .iter()
                .filter(|rule| rule.watch == Watch::Performance);
            for rule in rules {
                let Some(mut scored) = rule.metric.and_then(|metric| of(metric, Some(rule))) else {
                    continue;
                };
                let on = Occasion {
                    model: self.model,
                    key,
                    window: due.window,
                    now: due.at,
                };
                let (evaluation, change) =
                    self.alerting
                        .evaluate(on, rule, std::slice::from_ref(&scored.score))?;
                alerts.extend(change);
                for judgement in evaluation.judgements.values() {
                    judged |= judgement.bad().is_some();
                    bad |= judgement.bad() == Some(true);
                    no_reference |= *judgement == Judgement::NoReference;
                    tell(&mut scored.score, rule, *judgement);
                }
                scores.push(scored);
            }
        }
        let coverage = &summary.coverage;
        let verdict = match excuse(coverage.labelled) {
            Some(excuse) => excuse,
            None if bad => Verdict::Drift,
            None if no_reference && !judged => Verdict::NoReference,
            None => Verdict::Ok,
        };
        let by_predicted = coverage
            .by_predicted
            .iter()
            .map(|(class, (rows, labelled))| {
                let share = Share {
                    rows: *rows,
                    labelled: *labelled,
                };
                (class.clone(), share)
            });
        let row = PerformanceRow {
            key: key.clone(),
            span: due.window,
            age: due.age,
            stage,
            verdict,
            rows: coverage.rows,
            labelled: coverage.labelled,
            body: PerformanceBody {
                by_predicted: by_predicted.collect(),
                unusable_labels,
                scores,
            },
        };
        Ok((row, alerts))
    }

    fn tell(&self, row: &PerformanceRow) {
        let scores: Vec<Score> = row
            .body
            .scores
            .iter()
            .map(|scored| scored.score.clone())
            .collect();
        self.metrics.performed(&Performed {
            key: &row.key,
            window: row.span,
            verdict: row.verdict,
            rows: row.rows,
            labelled: row.labelled,
            scores: &scores,
        });
        tracing::info!(key = %row.key, window = rfc3339(row.span.start), rows = row.rows, labelled = row.labelled,
            verdict = row.verdict.as_str(), "performance judged");
    }
}

/// How long each label took.
fn delays_of(observations: &[Observation]) -> impl Iterator<Item = Millis> + '_ {
    observations
        .iter()
        .filter_map(|row| Some(row.truth.as_ref()?.ts - row.ts))
}
