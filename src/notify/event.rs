//! Outgoing events: CloudEvents 1.0 in structured JSON, made once, with the change that they tell. Here are the
//! envelope, which all share, and what is told of alerts; [`retraining`](super::retraining) has the rest.
//!
//! **Invariant:** an event is a function of the change it tells, so a repeated evaluation makes the same bytes.
//! A body stays below [`BODY_BYTES_MAX`]: of the columns, only as many are listed as fit, beside their number.

use serde::{Deserialize, Serialize};

use crate::event::{Key, Millis, Span, rfc3339};
use crate::stats::score::{DriftSlice, Score, SlicePart, WorstSlice};
use crate::store::outbox::{self, NewNotification};
use crate::store::{Result, StoreError, Transaction};

/// Standard Webhooks asks for bodies under 20 kB.
pub const BODY_BYTES_MAX: usize = 20_000;

/// Longest free text kept, in characters; the rest is cut.
const TEXT_CHARS_MAX: usize = 500;

/// Most columns listed, whatever their length.
const COLUMNS_MAX: usize = 50;

/// The kinds of event. A firing alert and its end have the same subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    #[serde(rename = "io.driftline.drift.detected.v1")]
    DriftDetected,
    #[serde(rename = "io.driftline.drift.resolved.v1")]
    DriftResolved,
    #[serde(rename = "io.driftline.quality.violated.v1")]
    QualityViolated,
    #[serde(rename = "io.driftline.quality.resolved.v1")]
    QualityResolved,
    #[serde(rename = "io.driftline.performance.degraded.v1")]
    PerformanceDegraded,
    #[serde(rename = "io.driftline.performance.resolved.v1")]
    PerformanceResolved,
    #[serde(rename = "io.driftline.retrain.requested.v1")]
    RetrainRequested,
    #[serde(rename = "io.driftline.retrain.completed.v1")]
    RetrainCompleted,
    #[serde(rename = "io.driftline.model.promoted.v1")]
    ModelPromoted,
}

impl EventKind {
    pub const ALL: [EventKind; 9] = [
        EventKind::DriftDetected,
        EventKind::DriftResolved,
        EventKind::QualityViolated,
        EventKind::QualityResolved,
        EventKind::PerformanceDegraded,
        EventKind::PerformanceResolved,
        EventKind::RetrainRequested,
        EventKind::RetrainCompleted,
        EventKind::ModelPromoted,
    ];

    /// The CloudEvents `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::DriftDetected => "io.driftline.drift.detected.v1",
            EventKind::DriftResolved => "io.driftline.drift.resolved.v1",
            EventKind::QualityViolated => "io.driftline.quality.violated.v1",
            EventKind::QualityResolved => "io.driftline.quality.resolved.v1",
            EventKind::PerformanceDegraded => "io.driftline.performance.degraded.v1",
            EventKind::PerformanceResolved => "io.driftline.performance.resolved.v1",
            EventKind::RetrainRequested => "io.driftline.retrain.requested.v1",
            EventKind::RetrainCompleted => "io.driftline.retrain.completed.v1",
            EventKind::ModelPromoted => "io.driftline.model.promoted.v1",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether an alert fires from this event on; else it has ended, or the event is about none.
    pub fn is_firing(self) -> bool {
        matches!(
            self,
            EventKind::DriftDetected | EventKind::QualityViolated | EventKind::PerformanceDegraded
        )
    }
}

/// The envelope of every event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudEvent<D> {
    pub specversion: String,
    /// The idempotency key of the change that is told.
    pub id: String,
    pub source: String,
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The key: model, version and segment.
    pub subject: String,
    /// When it happened in event time, RFC 3339.
    pub time: String,
    pub datacontenttype: String,
    pub data: D,
}

/// What an envelope holds.
pub trait Data: Serialize {
    /// Deliveries of one model keep their order.
    fn model(&self) -> &str;

    /// Names what a later event with the same thread supersedes, told the id of this one.
    fn thread(&self, id: &str) -> Vec<String>;
}

/// Tells a change of an alert.
pub type AlertEvent = CloudEvent<AlertData>;

/// What changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertData {
    pub model: String,
    pub version: String,
    pub segment: String,
    pub rule: String,
    /// What the rule watches, `drift` for example.
    pub watch: String,
    pub severity: String,
    /// The window that was judged.
    pub window: Stretch,
    /// Start of the first window of the episode.
    pub episode_start: String,
    pub reason: String,
    /// The columns that are bad enough, the worst first; perhaps not all.
    pub columns: Vec<ColumnChange>,
    pub columns_total: usize,
}

/// A [`Span`] for people, RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    pub start: String,
    pub end: String,
}

/// One column's part in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnChange {
    pub column: String,
    pub statistic: String,
    pub value: Option<f64>,
    pub effect: Option<f64>,
    pub threshold: Option<f64>,
    pub p_value: Option<f64>,
    pub moved: String,
    /// Where in the window its drift is concentrated; absent where that was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_slice: Option<WorstSlice>,
}

impl From<&Score> for ColumnChange {
    fn from(score: &Score) -> Self {
        Self {
            column: cut(&score.column),
            statistic: score.statistic.clone(),
            value: score.value,
            effect: score.effect,
            threshold: score.threshold.as_ref().map(|threshold| threshold.value),
            p_value: score.p_value,
            moved: cut(&score.moved),
            worst_slice: score.worst_slice.clone().map(|slice| WorstSlice {
                text: cut(&slice.text),
                slices: slice.slices.into_iter().map(cut_slice).collect(),
                ..slice
            }),
        }
    }
}

/// Names and categories are the users' texts.
fn cut_slice(slice: DriftSlice) -> DriftSlice {
    let part = |part: SlicePart| SlicePart {
        column: cut(&part.column),
        bin: cut(&part.bin),
    };
    DriftSlice {
        parts: slice.parts.into_iter().map(part).collect(),
        ..slice
    }
}

/// What an event is made from.
#[derive(Debug, Clone)]
pub struct Told<'a> {
    pub kind: EventKind,
    /// The idempotency key of the transition.
    pub id: &'a str,
    pub key: &'a Key,
    pub rule: &'a str,
    pub watch: &'a str,
    pub severity: &'a str,
    pub at: Millis,
    pub window: Span,
    pub episode_start: Millis,
    pub reason: &'a str,
    /// The worst first.
    pub columns: &'a [ColumnChange],
}

impl<D: Data> CloudEvent<D> {
    pub(super) fn of(kind: EventKind, id: &str, subject: &Key, at: Millis, data: D) -> Self {
        Self {
            specversion: "1.0".to_string(),
            id: id.to_string(),
            source: "/driftline".to_string(),
            kind,
            subject: subject.to_string(),
            time: rfc3339(at),
            datacontenttype: "application/json".to_string(),
            data,
        }
    }

    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

impl From<Span> for Stretch {
    fn from(span: Span) -> Self {
        Self {
            start: rfc3339(span.start),
            end: rfc3339(span.end),
        }
    }
}

impl AlertEvent {
    pub fn new(told: &Told<'_>) -> Self {
        let data = AlertData {
            model: told.key.model.clone(),
            version: told.key.version.clone(),
            segment: told.key.segment.clone(),
            rule: told.rule.to_string(),
            watch: told.watch.to_string(),
            severity: told.severity.to_string(),
            window: told.window.into(),
            episode_start: rfc3339(told.episode_start),
            reason: cut(told.reason),
            columns: told.columns.iter().take(COLUMNS_MAX).cloned().collect(),
            columns_total: told.columns.len(),
        };
        let mut event = Self::of(told.kind, told.id, told.key, told.at, data);
        while !event.data.columns.is_empty()
            && event
                .to_json()
                .is_ok_and(|body| body.len() >= BODY_BYTES_MAX)
        {
            event.data.columns.pop();
        }
        event
    }

    pub fn from_json(body: &str) -> Result<Self> {
        Ok(serde_json::from_str(body)?)
    }
}

impl Data for AlertData {
    fn model(&self) -> &str {
        &self.model
    }

    /// The alert, whatever became of it.
    fn thread(&self, _id: &str) -> Vec<String> {
        [&self.model, &self.version, &self.segment, &self.rule]
            .map(String::clone)
            .into()
    }
}

/// Writes the event for each of `receivers` into the outbox, as part of the transaction that it tells of. Returns
/// for how many it is new.
pub fn enqueue<D: Data>(
    tx: &Transaction<'_>,
    receivers: &[String],
    event: &CloudEvent<D>,
) -> Result<usize> {
    let created = chrono::DateTime::parse_from_rfc3339(&event.time)
        .map_err(|_| StoreError::Unreadable {
            what: "event time",
            found: event.time.clone(),
        })?
        .timestamp_millis();
    let mut new = 0;
    for receiver in receivers {
        let notification = NewNotification {
            idempotency_key: event.id.clone(),
            receiver: receiver.clone(),
            kind: event.kind.as_str().to_string(),
            model: event.data.model().to_string(),
            alert: serde_json::to_string(&event.data.thread(&event.id))?,
            created,
            body: event.to_json()?,
        };
        new += usize::from(outbox::insert(tx, &notification)?);
    }
    Ok(new)
}

pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::event::DAY;

    pub fn change(column: &str) -> ColumnChange {
        ColumnChange {
            column: column.to_string(),
            statistic: "psi".to_string(),
            value: Some(1.25),
            effect: Some(1.0),
            threshold: Some(0.1),
            p_value: None,
            moved: "above 52.0: 10 % → 93 %".to_string(),
            worst_slice: None,
        }
    }

    pub fn event(kind: EventKind, model: &str, columns: &[ColumnChange]) -> AlertEvent {
        let key = Key {
            model: model.to_string(),
            version: "7".to_string(),
            segment: String::new(),
        };
        let id = format!("{} of {model}", kind.as_str());
        AlertEvent::new(&Told {
            kind,
            id: &id,
            key: &key,
            rule: "inputs",
            watch: "drift",
            severity: "ticket",
            at: 7 * DAY,
            window: Span::new(0, 7 * DAY),
            episode_start: 0,
            reason: "temp is above its threshold in 3 of 5 windows",
            columns,
        })
    }

    #[test]
    fn the_body_is_a_cloud_event() {
        let body = event(EventKind::DriftDetected, "delay", &[change("temp")])
            .to_json()
            .expect("writes");
        assert_eq!(
            body,
            r#"{"specversion":"1.0","id":"ID","source":"/driftline","type":"io.driftline.drift.detected.v1","subject":"delay@7","time":"1970-01-08T00:00:00Z","datacontenttype":"application/json","data":{"model":"delay","version":"7","segment":"","rule":"inputs","watch":"drift","severity":"ticket","window":{"start":"1970-01-01T00:00:00Z","end":"1970-01-08T00:00:00Z"},"episode_start":"1970-01-01T00:00:00Z","reason":"temp is above its threshold in 3 of 5 windows","columns":[{"column":"temp","statistic":"psi","value":1.25,"effect":1.0,"threshold":0.1,"p_value":null,"moved":"above 52.0: 10 % → 93 %"}],"columns_total":1}}"#
                .replace("ID", &event(EventKind::DriftDetected, "delay", &[]).id)
        );
    }

    #[test]
    fn the_type_is_written_as_it_is_named() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
            assert_eq!(
                serde_json::to_string(&kind).expect("writes"),
                format!("{:?}", kind.as_str())
            );
        }
    }

    #[test]
    fn a_thousand_long_columns_still_fit() {
        let mut long = change(&"ä".repeat(256));
        long.moved = cut(&"…".repeat(10_000));
        let columns = vec![long; 1000];
        let event = event(EventKind::DriftDetected, "delay", &columns);
        assert!(event.to_json().expect("writes").len() < BODY_BYTES_MAX);
        assert!(!event.data.columns.is_empty());
        assert_eq!(event.data.columns_total, 1000);
    }
}
