//! When a new model is asked for, and when not although performance is bad.
//!
//! **Invariant:** decided in event time from what is stored, so that it can be replayed.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::event::Span;
use crate::ingest::catalogue::Model;
use crate::notify::retraining::Requested;
use crate::notify::{RetrainRequested, retrain_requested};
use crate::profile::Field;
use crate::rules::judgement::REFERENCE;
use crate::rules::{AlertStatus, Mode, Rule, Transition, Watch};
use crate::service::alerting::Occasion;
use crate::stats::score::Score;
use crate::store::{Store, alerts, registry};

/// What speaks against training now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inhibition {
    /// Another version serves; this one only runs beside it.
    NotTheChampion { champion: String },
    /// A model must not learn from broken inputs.
    QualityAlertOpen { rule: String, columns: Vec<String> },
}

impl fmt::Display for Inhibition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Inhibition::NotTheChampion { champion } => {
                write!(f, "not_the_champion: version {champion:?} serves")
            }
            Inhibition::QualityAlertOpen { rule, columns } => {
                write!(
                    f,
                    "quality_alert_open: {rule:?} fires on {}",
                    columns.join(", ")
                )
            }
        }
    }
}

/// What speaks, at `on.now`, against asking for a new model in place of the key's version.
pub fn inhibition(store: &Store, on: Occasion<'_>) -> anyhow::Result<Option<Inhibition>> {
    let Occasion {
        model, key, now, ..
    } = on;
    let (moves, alerts) = store.read(|conn| {
        let moves = registry::moves(conn, &key.model)?;
        Ok((moves, alerts::as_of(conn, key, now)?))
    })?;
    // Whoever was registered first served before that too.
    let place = moves.iter().rposition(|made| made.at <= now).unwrap_or(0);
    let champion = moves.into_iter().nth(place);
    if let Some(champion) = champion.filter(|champion| champion.version != key.version) {
        let champion = champion.version;
        return Ok(Some(Inhibition::NotTheChampion { champion }));
    }
    for (name, alert) in alerts {
        let rules = &model.declaration.rules;
        let Some(rule) = rules.iter().find(|rule| rule.name == name) else {
            continue;
        };
        if alert.to_status != AlertStatus::Firing.as_str() || !is_quality(rule.watch) {
            continue;
        }
        let transition: Transition = serde_json::from_str(&alert.body)?;
        let columns: Vec<String> = transition
            .columns
            .into_iter()
            .filter(|column| is_feature(model, column))
            .collect();
        // A schema change concerns the record as a whole.
        if !columns.is_empty() || !rule.watch.per_column() {
            let rule = name;
            return Ok(Some(Inhibition::QualityAlertOpen { rule, columns }));
        }
    }
    Ok(None)
}

/// Every feature that is logged is one that a new model may use.
fn is_feature(model: &Model, column: &str) -> bool {
    let columns = model
        .layout
        .iter()
        .flat_map(|layout| &layout.layout.columns);
    columns
        .filter(|known| known.field == Field::Feature)
        .any(|known| known.name == column)
}

/// Checks of what goes into the model. Volume and silence say nothing of the values.
fn is_quality(watch: Watch) -> bool {
    matches!(
        watch,
        Watch::NullRate
            | Watch::Unseen
            | Watch::OutOfDomain
            | Watch::WrongType
            | Watch::SchemaChange
    )
}

/// The event that asks for a new model. Its id is the SHA-256, in hex, of model, version, segment, rule, action, the
/// episode's first window and the window that asks, each with its length before it.
pub fn request(
    on: Occasion<'_>,
    rule: &Rule,
    action: &str,
    mode: Mode,
    episode: Span,
    scores: &[Score],
) -> RetrainRequested {
    let Occasion {
        key, window, now, ..
    } = on;
    let (first, asking) = (episode.start.to_string(), window.start.to_string());
    let mut hash = Sha256::new();
    for part in [
        &key.model,
        &key.version,
        &key.segment,
        &rule.name,
        action,
        &first,
        &asking,
    ] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let id: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let metric = rule
        .metric
        .map(|metric| metric.as_str())
        .unwrap_or_default();
    let score = scores.iter().find(|score| score.statistic == metric);
    let reference = score.and_then(|score| score.parameters.get(REFERENCE)?.parse().ok());
    let limit = score.and_then(|score| Some(score.threshold.as_ref()?.value));
    let reason = match (score.and_then(|score| score.value), limit) {
        (Some(value), Some(limit)) => format!("{metric} is {value:.4}, its limit {limit:.4}"),
        _ => format!("rule {:?} fires", rule.name),
    };
    retrain_requested(&Requested {
        id: &id,
        key,
        rule: &rule.name,
        metric,
        mode: mode.as_str(),
        reason: &reason,
        at: now,
        window,
        episode_start: episode.start,
        value: score.and_then(|score| score.value),
        reference,
        limit,
    })
}
