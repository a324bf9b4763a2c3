//! The decision: rule, state and a window's scores give the next state and at most one transition.
//!
//! **Invariant:** [`evaluate`] is total and deterministic, reads no clock, and does not depend on the order of scores.
//! A window that does not end after the last judged one changes nothing, so evaluating twice is evaluating once. A
//! window in which a column could not be judged leaves that column's history as it is.

use std::collections::{BTreeMap, VecDeque};

use crate::event::{Millis, Span};
use crate::stats::score::Score;
use crate::stats::{Applies, Statistic};

use super::alert::{AlertState, AlertStatus, Transition};
use super::judgement::{Judgement, judge};
use super::rule::{KOfN, Rule};
use super::watch::Watch;

/// Most columns a reason names; the transition lists them all.
const NAMED_COLUMNS: usize = 5;

/// What came of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    pub state: AlertState,
    pub transition: Option<Transition>,
    /// By column, with the named reason; empty when the window had been judged before.
    pub judgements: BTreeMap<String, Judgement>,
}

/// Judges the scores that the rule is about and moves the alert.
///
/// `scores` may hold those of other watches and columns; they are passed over. `window` is the window that they belong
/// to, in order of time. `now` is its end. For freshness there is no window: both `window.end` and `now` are the tick,
/// and the score's value is the milliseconds since the newest row.
pub fn evaluate(
    rule: &Rule,
    state: &AlertState,
    scores: &[Score],
    window: Span,
    now: Millis,
) -> Evaluation {
    let unchanged = |judgements| Evaluation {
        state: state.clone(),
        transition: None,
        judgements,
    };
    if state.last_window.is_some_and(|last| window.end <= last.end) {
        return unchanged(BTreeMap::new());
    }
    let judgements = judgements(rule, scores);
    if judgements
        .values()
        .all(|judgement| judgement.bad().is_none())
    {
        return unchanged(judgements);
    }

    let mut next = state.clone();
    next.last_window = Some(window);
    next.history.retain(|column, _| rule.judges(column));
    for (column, judgement) in &judgements {
        if let Some(bad) = judgement.bad() {
            next.history
                .entry(column.clone())
                .or_default()
                .push_back(bad);
        }
    }
    let most = rule.required.n as usize;
    for history in next.history.values_mut() {
        // The rule may have been given a shorter memory since.
        history.drain(..history.len().saturating_sub(most));
    }

    let count = |history: &VecDeque<bool>| history.iter().filter(|bad| **bad).count();
    let enough: Vec<String> = next
        .history
        .iter()
        .filter(|(_, history)| count(history) >= rule.required.k as usize)
        .map(|(column, _)| column.clone())
        .collect();
    let any_bad = next.history.values().any(|history| history.contains(&true));
    let to = match state.status {
        _ if !enough.is_empty() => AlertStatus::Firing,
        AlertStatus::Firing => AlertStatus::Resolved,
        _ if any_bad => AlertStatus::Pending,
        _ => AlertStatus::Inactive,
    };
    next.columns = enough
        .into_iter()
        .filter(|column| !column.is_empty())
        .collect();
    if to == state.status {
        return Evaluation {
            state: next,
            transition: None,
            judgements,
        };
    }

    next.status = to;
    next.since = now;
    next.episode_start = match to {
        AlertStatus::Firing => Some(window),
        AlertStatus::Resolved => state.episode_start,
        AlertStatus::Inactive | AlertStatus::Pending => None,
    };
    let columns = if to == AlertStatus::Resolved {
        state.columns.clone()
    } else {
        next.columns.clone()
    };
    let reason = reason(rule, to, &columns);
    let transition = Transition {
        from: state.status,
        to,
        at: now,
        reason,
        columns,
        episode_start: next.episode_start,
    };
    Evaluation {
        state: next,
        transition: Some(transition),
        judgements,
    }
}

/// One judgement for each column: of several scores the one that speaks loudest.
fn judgements(rule: &Rule, scores: &[Score]) -> BTreeMap<String, Judgement> {
    let mut found: BTreeMap<String, Judgement> = BTreeMap::new();
    for score in scores.iter().filter(|score| concerns(rule, score, scores)) {
        let judgement = judge(rule, score);
        let column = if rule.watch.per_column() {
            score.column.clone()
        } else {
            String::new()
        };
        found
            .entry(column)
            .and_modify(|known| *known = (*known).max(judgement))
            .or_insert(judgement);
    }
    found
}

fn concerns(rule: &Rule, score: &Score, scores: &[Score]) -> bool {
    if rule.watch == Watch::Performance {
        return score.column.is_empty()
            && rule
                .metric
                .is_some_and(|metric| score.statistic == metric.as_str());
    }
    if rule.watch != Watch::Drift {
        return score.statistic == rule.watch.as_str()
            && (!rule.watch.per_column() || rule.covers(&score.column));
    }
    rule.judges(&score.column)
        && Statistic::parse(&score.statistic).is_some_and(|statistic| {
            Some(statistic) == rule.statistic.or_else(|| primary(&score.column, scores))
        })
}

/// The statistic that speaks for a column when the rule names none: the first in the table's order for this kind of
/// column that was computed. A column is numeric when a statistic for numbers was computed for it.
fn primary(column: &str, scores: &[Score]) -> Option<Statistic> {
    let computed: Vec<Statistic> = scores
        .iter()
        .filter(|score| score.column == column)
        .filter_map(|score| Statistic::parse(&score.statistic))
        .collect();
    let numeric = computed
        .iter()
        .any(|statistic| statistic.entry().applies == Applies::Numeric);
    Statistic::for_column(numeric)
        .into_iter()
        .find(|statistic| computed.contains(statistic))
}

fn reason(rule: &Rule, to: AlertStatus, columns: &[String]) -> String {
    let condition = rule
        .condition
        .zip(rule.watch.unit())
        .map(|(condition, unit)| condition.text(unit));
    let watched = match (rule.metric, rule.joint) {
        (Some(metric), _) => metric.as_str().to_owned(),
        (None, Some(_)) => {
            let on: Vec<String> = rule.on.iter().map(ToString::to_string).collect();
            format!("{} of {} together", rule.watch, named(&on))
        }
        (None, None) => rule.watch.as_str().to_owned(),
    };
    let what = condition.map_or(watched.clone(), |condition| {
        format!("{watched} {condition}")
    });
    let KOfN { k, n } = rule.required;
    let often = match (to, rule.watch == Watch::Freshness, n) {
        (AlertStatus::Firing, true, _) => "now".to_owned(),
        (_, true, _) => "no longer".to_owned(),
        (AlertStatus::Firing, _, 1) => "in the last judged window".to_owned(),
        (_, _, 1) => "not in the last judged window".to_owned(),
        (AlertStatus::Firing, ..) => format!("in at least {k} of the last {n} judged windows"),
        (AlertStatus::Inactive, ..) => format!("in none of the last {n} judged windows"),
        (AlertStatus::Pending | AlertStatus::Resolved, ..) => {
            format!("in fewer than {k} of the last {n} judged windows")
        }
    };
    match to {
        AlertStatus::Firing if !columns.is_empty() => format!("{}: {what} {often}", named(columns)),
        _ => format!("{what} {often}"),
    }
}

fn named(columns: &[String]) -> String {
    let mut text = columns
        .iter()
        .take(NAMED_COLUMNS)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if columns.len() > NAMED_COLUMNS {
        text += &format!(" and {} more", columns.len() - NAMED_COLUMNS);
    }
    text
}
