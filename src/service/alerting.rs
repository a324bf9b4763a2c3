//! What a rule makes of scores: the next alert state, the transition, and who is told.
//!
//! **Invariant:** the outcome is a function of rule, stored state, scores and event time; storing it belongs to the
//! caller's transaction.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::{Key, Millis, Span, rfc3339};
use crate::ingest::catalogue::Model;
use crate::notify::{AlertEvent, ColumnChange, EventKind, RetrainRequested, event::Told};
use crate::rules::{
    AlertState, AlertStatus, Declaration, Evaluation, Permit, Rule, Transition, Watch, evaluate,
};
use crate::service::quality_scores::quality_score;
use crate::service::retraining;
use crate::stats::score::Score;
use crate::store::alerts::{AlertRow, TransitionRow};
use crate::store::{Store, Transaction, alerts, outbox};
use crate::{notify, store};

/// What a rule made of the window.
#[derive(Debug, Clone)]
pub struct AlertChange {
    pub row: AlertRow,
    pub transition: Option<TransitionRow>,
    /// What is told, and to whom.
    pub news: Option<(AlertEvent, Vec<String>)>,
    /// Models that are to be trained anew, and the receivers that are asked to.
    pub requests: Vec<(RetrainRequested, String)>,
}

impl AlertChange {
    /// Writes state, transition and notifications, as part of the transaction that they belong to.
    pub fn store(&self, tx: &Transaction<'_>) -> store::Result<()> {
        alerts::save(tx, &self.row)?;
        if let Some(transition) = &self.transition {
            alerts::log_transition(tx, transition)?;
        }
        if let Some((event, receivers)) = &self.news {
            notify::enqueue(tx, receivers, event)?;
        }
        for (event, receiver) in &self.requests {
            notify::enqueue(tx, std::slice::from_ref(receiver), event)?;
        }
        Ok(())
    }
}

/// Where and when a rule is evaluated.
#[derive(Clone, Copy)]
pub struct Occasion<'a> {
    pub model: &'a Model,
    pub key: &'a Key,
    /// The window, or for silence the stretch without rows.
    pub window: Span,
    /// Event time: the window's end, or the tick.
    pub now: Millis,
}

/// Evaluates rules against their stored states.
pub struct Alerting {
    store: Store,
    /// Everyone who is told of every alert.
    receivers: Vec<String>,
    /// Calls granted in the window being closed, which are not stored yet: (receiver, model, when).
    granted: Mutex<Vec<(String, String, Millis)>>,
}

impl Alerting {
    pub fn new(store: Store, receivers: Vec<String>) -> Self {
        let granted = Mutex::default();
        Self {
            store,
            receivers,
            granted,
        }
    }

    /// A new window is being closed: what the last one was granted is stored, or never came to pass.
    pub fn begin(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, String, Millis)>> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state that the windows before have left; `None` before the first.
    fn stored(&self, on: Occasion<'_>, rule: &Rule) -> anyhow::Result<Option<AlertState>> {
        let row = self
            .store
            .read(|conn| alerts::get(conn, on.key, &rule.name))?;
        let state = row.map(|row| serde_json::from_str(&row.body));
        Ok(state.transpose()?)
    }

    /// Judges `scores`, all of them the rule's own. The change is `None` when nothing is to be stored.
    pub fn evaluate(
        &self,
        on: Occasion<'_>,
        rule: &Rule,
        scores: &[Score],
    ) -> anyhow::Result<(Evaluation, Option<AlertChange>)> {
        let stored = self.stored(on, rule)?;
        let state = stored.clone().unwrap_or_default();
        let evaluation = evaluate(rule, &state, scores, on.window, on.now);
        let requests = self.requests(on, rule, &evaluation, scores)?;
        if evaluation.state == state && stored.is_some() && requests.is_empty() {
            return Ok((evaluation, None));
        }
        let change = AlertChange {
            requests,
            ..self.change(on, rule, &evaluation, scores)?
        };
        Ok((evaluation, Some(change)))
    }

    /// What [`Alerting::evaluate`] would make of `scores`, without taking anything for granted.
    pub fn preview(
        &self,
        on: Occasion<'_>,
        rule: &Rule,
        scores: &[Score],
    ) -> anyhow::Result<Evaluation> {
        let state = self.stored(on, rule)?.unwrap_or_default();
        Ok(evaluate(rule, &state, scores, on.window, on.now))
    }

    /// Ends an episode of a key that logs no more, so that nobody is told for ever about a version that was replaced.
    pub fn retire(&self, on: Occasion<'_>, rule: &Rule) -> anyhow::Result<Option<AlertChange>> {
        let Some(state) = self.stored(on, rule)? else {
            return Ok(None);
        };
        if state.status != AlertStatus::Firing {
            return Ok(None);
        }
        let transition = Transition {
            from: state.status,
            to: AlertStatus::Resolved,
            at: on.now,
            reason: "no rows come any more".to_owned(),
            columns: state.columns.clone(),
            episode_start: state.episode_start,
        };
        let resolved = AlertState {
            status: AlertStatus::Resolved,
            since: on.now,
            history: BTreeMap::new(),
            columns: Vec::new(),
            ..state
        };
        let evaluation = Evaluation {
            state: resolved,
            transition: Some(transition),
            judgements: BTreeMap::new(),
        };
        Ok(Some(self.change(on, rule, &evaluation, &[])?))
    }

    /// Judges how long nothing has come: `on.window` runs from the newest row to the tick.
    pub fn silence(&self, on: Occasion<'_>, rule: &Rule) -> anyhow::Result<Option<AlertChange>> {
        let mut score = quality_score(rule, "", Some(on.window.length() as f64), 0, 0);
        score.moved = format!("nothing since {}", rfc3339(on.window.start));
        Ok(self.evaluate(on, rule, &[score])?.1)
    }

    fn change(
        &self,
        on: Occasion<'_>,
        rule: &Rule,
        evaluation: &Evaluation,
        scores: &[Score],
    ) -> anyhow::Result<AlertChange> {
        let Occasion { key, window, .. } = on;
        let state = &evaluation.state;
        let row = AlertRow {
            key: key.clone(),
            rule: rule.name.clone(),
            status: state.status.as_str().to_owned(),
            since: state.since,
            body: serde_json::to_string(state)?,
        };
        let Some(transition) = &evaluation.transition else {
            return Ok(AlertChange {
                row,
                transition: None,
                news: None,
                requests: Vec::new(),
            });
        };
        let idempotency_key = transition.idempotency_key(key, &rule.name);
        let logged = TransitionRow {
            idempotency_key: idempotency_key
                .clone()
                .unwrap_or_else(|| quiet_key(key, rule, window)),
            key: key.clone(),
            rule: rule.name.clone(),
            from_status: transition.from.as_str().to_owned(),
            to_status: transition.to.as_str().to_owned(),
            at: transition.at,
            window,
            body: serde_json::to_string(transition)?,
        };
        let news = match idempotency_key {
            None => None,
            Some(id) => {
                let mut receivers = self.receivers.clone();
                if transition.to == AlertStatus::Firing {
                    receivers.extend(self.permitted_actions(on, rule)?);
                }
                Some((
                    alert_event(&id, key, rule, transition, window, scores),
                    receivers,
                ))
            }
        };
        Ok(AlertChange {
            row,
            transition: Some(logged),
            news,
            requests: Vec::new(),
        })
    }

    /// Asks for a new model: in each judged window of an episode that is bad itself, as often as the action's cool-down
    /// and budget allow, unless something speaks against it.
    fn requests(
        &self,
        on: Occasion<'_>,
        rule: &Rule,
        evaluation: &Evaluation,
        scores: &[Score],
    ) -> anyhow::Result<Vec<(RetrainRequested, String)>> {
        let bad = evaluation
            .judgements
            .values()
            .any(|judgement| judgement.bad() == Some(true));
        let Some(episode) = evaluation.state.episode_start else {
            return Ok(Vec::new());
        };
        if !bad || evaluation.state.status != AlertStatus::Firing {
            return Ok(Vec::new());
        }
        let mut requests = Vec::new();
        for name in &rule.actions {
            let Some(action) = on.model.declaration.actions.get(name) else {
                continue;
            };
            if !action.mode.retrains() {
                continue;
            }
            if let Some(inhibition) = retraining::inhibition(&self.store, on)? {
                tracing::info!(key = %on.key, rule = rule.name, action = name, reason = %inhibition, "no new model is asked for");
                continue;
            }
            let receiver = action_receiver(&on.model.declaration, name);
            if self.permitted(on, rule, name, &receiver)? {
                let event = retraining::request(on, rule, name, action.mode, episode, scores);
                requests.push((event, receiver));
            }
        }
        Ok(requests)
    }

    /// The rule's actions that tell somebody else, as far as their cool-down and budget allow, by the names of their
    /// receivers.
    fn permitted_actions(&self, on: Occasion<'_>, rule: &Rule) -> anyhow::Result<Vec<String>> {
        let mut receivers = Vec::new();
        for name in &rule.actions {
            let Some(action) = on.model.declaration.actions.get(name) else {
                continue;
            };
            let receiver = action_receiver(&on.model.declaration, name);
            if !action.mode.retrains() && self.permitted(on, rule, name, &receiver)? {
                receivers.push(receiver);
            }
        }
        Ok(receivers)
    }

    /// Whether the action `name` may be taken at `on.now`; if so, it counts as taken.
    fn permitted(
        &self,
        on: Occasion<'_>,
        rule: &Rule,
        name: &str,
        receiver: &str,
    ) -> anyhow::Result<bool> {
        let Occasion {
            model, key, now, ..
        } = on;
        let Some(action) = model.declaration.actions.get(name) else {
            return Ok(false);
        };
        let earlier: Vec<Millis> = self
            .store
            .read(|conn| outbox::calls(conn, receiver, &key.model))?;
        let mut granted = self.lock();
        let just_now = granted
            .iter()
            .filter(|(to, of, _)| *to == receiver && *of == key.model);
        let earlier: Vec<Millis> = earlier
            .into_iter()
            .chain(just_now.map(|(_, _, at)| *at))
            .collect();
        let permit = action.permit(&earlier, now);
        if permit == Permit::Allowed {
            granted.push((receiver.to_owned(), key.model.clone(), now));
        } else {
            tracing::info!(%key, rule = rule.name, action = name, reason = permit.as_str(), "the action is not taken");
        }
        Ok(permit == Permit::Allowed)
    }
}

/// The event that tells an episode's beginning or end; the columns it is about come worst first.
fn alert_event(
    id: &str,
    key: &Key,
    rule: &Rule,
    transition: &Transition,
    window: Span,
    scores: &[Score],
) -> AlertEvent {
    let firing = transition.to == AlertStatus::Firing;
    let kind = match (rule.watch, firing) {
        (Watch::Drift, true) => EventKind::DriftDetected,
        (Watch::Drift, false) => EventKind::DriftResolved,
        (Watch::Performance, true) => EventKind::PerformanceDegraded,
        (Watch::Performance, false) => EventKind::PerformanceResolved,
        (_, true) => EventKind::QualityViolated,
        (_, false) => EventKind::QualityResolved,
    };
    let asked = |score: &&Score| {
        rule.statistic
            .is_none_or(|statistic| statistic.entry().name == score.statistic)
    };
    let of = |column: &str| {
        scores
            .iter()
            .filter(asked)
            .find(|score| score.column == column)
    };
    let mut about: Vec<&Score> = transition
        .columns
        .iter()
        .filter_map(|column| of(column))
        .collect();
    if about.is_empty() {
        about.extend(of(""));
    }
    let size = |score: &Score| score.effect.or(score.value).unwrap_or(0.0);
    about.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let columns: Vec<ColumnChange> = about.into_iter().map(ColumnChange::from).collect();
    AlertEvent::new(&Told {
        kind,
        id,
        key,
        rule: &rule.name,
        watch: rule.watch.as_str(),
        severity: rule.severity.as_str(),
        at: transition.at,
        window,
        episode_start: transition
            .episode_start
            .map_or(window.start, |episode| episode.start),
        reason: &transition.reason,
        columns: &columns,
    })
}

/// The name under which an action of a declaration is delivered. No two declarations have the same pattern.
pub fn action_receiver(declaration: &Declaration, action: &str) -> String {
    format!("action:{}/{action}", declaration.model.as_str())
}

/// Transitions that nobody is told are logged too, once for each window.
fn quiet_key(key: &Key, rule: &Rule, window: Span) -> String {
    format!("{key}/{}/{}/{}", rule.name, window.start, window.end)
}
