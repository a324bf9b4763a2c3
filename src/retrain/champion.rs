//! Who serves: moving the champion, with everything that belongs to the move.
//!
//! **Invariant:** one transaction moves the champion's row, logs the move, binds the new version's reference, ends the
//! alerts of both versions, and writes what is told; it happens as a whole, once, and only from the state that was
//! assumed. Alerts of versions that neither served nor serve stay as they are.

use std::collections::BTreeMap;

use super::Retraining;
use super::digest;
use crate::event::{Key, Millis, Span};
use crate::notify::event::Told;
use crate::notify::retraining::PromotedData;
use crate::notify::{self, AlertEvent, EventKind, model_promoted};
use crate::rules::{AlertState, AlertStatus, Transition, Watch};
use crate::store::alerts::{self, AlertRow, TransitionRow};
use crate::store::references::{self, ReferenceRow};
use crate::store::registry::{self, Action, Champion, Move};
use crate::store::runs::{self, Status};
use crate::store::{Result, Transaction};

/// Why an alert ends with the version that it is about.
const REPLACED: &str = "the champion was replaced";
/// Who registers the version that a first promotion replaces.
const POLICY: &str = "policy";

/// A reference that goes with a version.
pub type NewReference = (ReferenceRow, Vec<u8>);

/// A move of a champion, as it is wanted.
#[derive(Debug, Clone)]
pub struct Step {
    pub model: String,
    pub action: Action,
    pub version: String,
    pub hash: Option<String>,
    /// `seq` of the champion's row that this was decided on; 0: there was none.
    pub expected_seq: u64,
    /// Who counted as champion while none was registered: it goes into the log first, so that there is a way back.
    pub unregistered: Option<String>,
    pub reference: Option<NewReference>,
    pub run: Option<String>,
    pub actor: String,
    pub reason: String,
    /// Event time.
    pub at: Millis,
    pub at_wall: Millis,
}

/// Makes the move. `false`: the champion is another one than was assumed; nothing changed.
pub fn advance(tx: &Transaction<'_>, retraining: &Retraining, step: &Step) -> Result<bool> {
    let before = registry::champion(tx, &step.model)?;
    if before.as_ref().map_or(0, |champion| champion.seq) != step.expected_seq {
        return Ok(false);
    }
    let mut seq = step.expected_seq;
    let previous = match (&before, &step.unregistered) {
        (Some(champion), _) => Some(champion.version.clone()),
        (None, Some(version)) => {
            seq += 1;
            let first = Move {
                model: step.model.clone(),
                seq,
                action: Action::Register,
                version: version.clone(),
                hash: None,
                reference_hash: references::bound(tx, &step.model, version)?,
                run: None,
                actor: POLICY.to_owned(),
                at: step.at,
                at_wall: step.at_wall,
            };
            registry::set_champion(tx, &first)?;
            Some(version.clone())
        }
        (None, None) => None,
    };
    seq += 1;
    if let Some((row, body)) = &step.reference
        && references::binding_of(tx, &step.model, &step.version)?.is_none()
    {
        references::insert(tx, row, body)?;
        references::bind(tx, &step.model, &step.version, None, &row.hash)?;
    }
    let moved = Move {
        model: step.model.clone(),
        seq,
        action: step.action,
        version: step.version.clone(),
        hash: step.hash.clone(),
        reference_hash: references::bound(tx, &step.model, &step.version)?,
        run: step.run.clone(),
        actor: step.actor.clone(),
        at: step.at,
        at_wall: step.at_wall,
    };
    if !registry::set_champion(tx, &moved)? {
        return Ok(false);
    }
    if step.action != Action::Register {
        let versions = [previous.as_deref(), Some(step.version.as_str())];
        for row in alerts::list(tx, Some(&step.model), None)? {
            if versions.contains(&Some(row.key.version.as_str())) {
                reset(tx, retraining, step, seq, &row)?;
            }
        }
        let why = format!(
            "version {} became the champion by {}",
            step.version,
            step.action.as_str()
        );
        let run = step.run.as_deref();
        overtake(tx, &step.model, run, &why, step.at_wall)?;
    }
    let told = PromotedData {
        model: step.model.clone(),
        version: step.version.clone(),
        hash: step.hash.clone(),
        action: step.action.as_str().to_owned(),
        previous,
        run: step.run.clone(),
        reference: moved.reference_hash,
        actor: step.actor.clone(),
        reason: step.reason.clone(),
    };
    let id = digest(&["model.promoted", &step.model, &seq.to_string()]);
    let event = model_promoted(&id, step.at, told);
    notify::enqueue(tx, &retraining.audience().events, &event)?;
    Ok(true)
}

/// Ends an alert of a version that serves no more, or serves anew: what it saw was another time.
fn reset(
    tx: &Transaction<'_>,
    retraining: &Retraining,
    step: &Step,
    seq: u64,
    row: &AlertRow,
) -> Result<()> {
    let state: AlertState = serde_json::from_str(&row.body)?;
    let to = match state.status {
        AlertStatus::Firing => AlertStatus::Resolved,
        AlertStatus::Pending => AlertStatus::Inactive,
        AlertStatus::Inactive | AlertStatus::Resolved if state.history.is_empty() => return Ok(()),
        same => same,
    };
    let next = AlertState {
        status: to,
        since: if to == state.status {
            state.since
        } else {
            step.at
        },
        history: BTreeMap::new(),
        columns: Vec::new(),
        ..state.clone()
    };
    alerts::save(
        tx,
        &AlertRow {
            status: next.status.as_str().to_owned(),
            since: next.since,
            body: serde_json::to_string(&next)?,
            ..row.clone()
        },
    )?;
    if to == state.status {
        return Ok(());
    }
    let transition = Transition {
        from: state.status,
        to,
        at: step.at,
        reason: REPLACED.to_owned(),
        columns: state.columns.clone(),
        episode_start: state.episode_start,
    };
    let news = transition.idempotency_key(&row.key, &row.rule);
    let window = state
        .last_window
        .unwrap_or_else(|| Span::new(step.at, step.at));
    let quiet = || format!("{}/{}/champion/{seq}", row.key, row.rule);
    alerts::log_transition(
        tx,
        &TransitionRow {
            idempotency_key: news.clone().unwrap_or_else(quiet),
            key: row.key.clone(),
            rule: row.rule.clone(),
            from_status: transition.from.as_str().to_owned(),
            to_status: transition.to.as_str().to_owned(),
            at: transition.at,
            window,
            body: serde_json::to_string(&transition)?,
        },
    )?;
    if let Some(id) = news {
        let event = ended(retraining, &row.key, &row.rule, &id, &transition, window);
        notify::enqueue(tx, &retraining.audience().alerts, &event)?;
    }
    Ok(())
}

fn ended(
    retraining: &Retraining,
    key: &Key,
    name: &str,
    id: &str,
    transition: &Transition,
    window: Span,
) -> AlertEvent {
    let rule = retraining
        .declaration(&key.model)
        .and_then(|declaration| declaration.rules.iter().find(|rule| rule.name == name));
    let watch = rule.map(|rule| rule.watch);
    let kind = match watch {
        Some(Watch::Drift) => EventKind::DriftResolved,
        Some(Watch::Performance) => EventKind::PerformanceResolved,
        _ => EventKind::QualityResolved,
    };
    AlertEvent::new(&Told {
        kind,
        id,
        key,
        rule: name,
        watch: watch.map_or("", Watch::as_str),
        severity: rule.map_or("", |rule| rule.severity.as_str()),
        at: transition.at,
        window,
        episode_start: transition
            .episode_start
            .map_or(window.start, |episode| episode.start),
        reason: &transition.reason,
        columns: &[],
    })
}

/// Ends the proposals of a model but that of run `except`: they were judged against a champion that is no more, or by
/// what is out of date.
pub fn overtake(
    tx: &Transaction<'_>,
    model: &str,
    except: Option<&str>,
    why: &str,
    at_wall: Millis,
) -> Result<()> {
    for row in runs::list(tx, Some(model), Some(Status::Proposed), u32::MAX)? {
        if except == Some(row.id.as_str()) {
            continue;
        }
        let mut run = super::Run::read(row)?;
        run.body.reason = format!("overtaken: {why}");
        let body = run.body.to_json()?;
        runs::decide(tx, &run.row, Status::Superseded, &body, at_wall)?;
    }
    Ok(())
}

/// The champion of a model, or, while none is registered, the version that a request names.
pub fn of(champion: Option<Champion>, named: &str) -> super::run::Against {
    match champion {
        Some(champion) => super::run::Against {
            version: champion.version,
            hash: champion.hash,
            seq: champion.seq,
        },
        None => super::run::Against {
            version: named.to_owned(),
            hash: None,
            seq: 0,
        },
    }
}

/// The version that served before the one that serves now; `None`: nobody did. A rollback takes back the moves behind
/// the one it goes to, so that the next rollback goes further back.
pub fn before(moves: &[Move]) -> Option<Move> {
    let mut standing: Vec<&Move> = Vec::new();
    for moved in moves {
        if moved.action == Action::Rollback
            && let Some(place) = standing
                .iter()
                .position(|past| past.version == moved.version)
        {
            standing.truncate(place);
        }
        standing.push(moved);
    }
    let now = standing.last()?.version.clone();
    standing
        .into_iter()
        .rev()
        .find(|past| past.version != now)
        .cloned()
}

#[cfg(test)]
#[path = "champion_tests.rs"]
mod tests;
