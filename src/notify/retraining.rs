//! What is told of retraining: that it is asked for, how it ended, and who serves now.
//!
//! **Invariant:** as of all events: a function of what is told. Free text is cut, so a body stays far below the bound.
//! An Alertmanager is not told of any of it: these are no alerts.

use serde::{Deserialize, Serialize};

use super::event::{CloudEvent, Data, EventKind, Stretch, cut};
use crate::event::{Key, Millis, Span, rfc3339};

/// Asks for a run. Its id is the run's key.
pub type RetrainRequested = CloudEvent<RequestedData>;
/// Tells how a run ended.
pub type RetrainCompleted = CloudEvent<CompletedData>;
/// Tells that another version is the champion.
pub type ModelPromoted = CloudEvent<PromotedData>;

/// Which alert asks, and what was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestedData {
    pub model: String,
    pub version: String,
    #[serde(default)]
    pub segment: String,
    #[serde(default)]
    pub rule: String,
    /// The metric that went bad, `log_loss` for example; `""` for rules that watch something else.
    #[serde(default)]
    pub metric: String,
    /// `propose` or `promote`.
    pub mode: String,
    #[serde(default)]
    pub reason: String,
    /// The window that was judged.
    #[serde(default)]
    pub window: Option<Stretch>,
    #[serde(default)]
    pub episode_start: Option<String>,
    #[serde(default)]
    pub value: Option<f64>,
    #[serde(default)]
    pub reference: Option<f64>,
    #[serde(default)]
    pub limit: Option<f64>,
}

/// What a request is made from.
#[derive(Debug, Clone)]
pub struct Requested<'a> {
    /// The idempotency key of the transition that asks. One alert may ask through several actions: give each its own.
    pub id: &'a str,
    pub key: &'a Key,
    pub rule: &'a str,
    pub metric: &'a str,
    pub mode: &'a str,
    pub reason: &'a str,
    /// Event time of the request: labels known by then are used, and nothing later. For a performance rule that is the
    /// window's end and the label maturity.
    pub at: Millis,
    pub window: Span,
    pub episode_start: Millis,
    pub value: Option<f64>,
    pub reference: Option<f64>,
    pub limit: Option<f64>,
}

/// The event that asks for a run.
pub fn retrain_requested(asked: &Requested<'_>) -> RetrainRequested {
    let data = RequestedData {
        model: asked.key.model.clone(),
        version: asked.key.version.clone(),
        segment: asked.key.segment.clone(),
        rule: asked.rule.to_string(),
        metric: asked.metric.to_string(),
        mode: asked.mode.to_string(),
        reason: cut(asked.reason),
        window: Some(asked.window.into()),
        episode_start: Some(rfc3339(asked.episode_start)),
        value: asked.value,
        reference: asked.reference,
        limit: asked.limit,
    };
    CloudEvent::of(
        EventKind::RetrainRequested,
        asked.id,
        asked.key,
        asked.at,
        data,
    )
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompletedData {
    pub model: String,
    /// The champion that was judged against.
    pub version: String,
    pub run: String,
    /// `proposed`, `promoted`, `lost`, `blocked`, `failed` or `cancelled`.
    pub status: String,
    pub reason: String,
    /// The challenger; absent where the run did not come so far.
    pub challenger: Option<ChallengerData>,
    pub gain: Option<GainData>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChallengerData {
    pub version: String,
    /// SHA-256 of its file.
    pub hash: String,
}

/// By how much the challenger's mean loss lies below the champion's, and the interval of that.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GainData {
    pub mean: f64,
    pub lower: f64,
    pub upper: f64,
}

/// The event that tells how a run ended, `at` in event time.
pub fn retrain_completed(id: &str, at: Millis, mut data: CompletedData) -> RetrainCompleted {
    data.reason = cut(&data.reason);
    let subject = key(&data.model, &data.version);
    CloudEvent::of(EventKind::RetrainCompleted, id, &subject, at, data)
}

/// Who serves now, and instead of whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromotedData {
    pub model: String,
    pub version: String,
    /// SHA-256 of its file, where it is known by one.
    pub hash: Option<String>,
    /// `promote`, `force`, `rollback` or `register`.
    pub action: String,
    /// The version that served before.
    pub previous: Option<String>,
    pub run: Option<String>,
    /// Hash of the reference that its windows are compared with.
    pub reference: Option<String>,
    pub actor: String,
    pub reason: String,
}

/// The event that tells of a new champion, `at` in event time.
pub fn model_promoted(id: &str, at: Millis, mut data: PromotedData) -> ModelPromoted {
    data.reason = cut(&data.reason);
    let subject = key(&data.model, &data.version);
    CloudEvent::of(EventKind::ModelPromoted, id, &subject, at, data)
}

fn key(model: &str, version: &str) -> Key {
    Key {
        model: model.to_string(),
        version: version.to_string(),
        segment: String::new(),
    }
}

impl Data for RequestedData {
    fn model(&self) -> &str {
        &self.model
    }

    fn thread(&self, id: &str) -> Vec<String> {
        vec!["retrain".to_string(), id.to_string()]
    }
}

impl Data for CompletedData {
    fn model(&self) -> &str {
        &self.model
    }

    fn thread(&self, id: &str) -> Vec<String> {
        vec!["retrain".to_string(), id.to_string()]
    }
}

impl Data for PromotedData {
    fn model(&self) -> &str {
        &self.model
    }

    fn thread(&self, id: &str) -> Vec<String> {
        vec!["retrain".to_string(), id.to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DAY;
    use crate::notify::event::BODY_BYTES_MAX;

    #[test]
    fn a_request_is_a_cloud_event_that_says_who_asks_and_why() {
        let event = retrain_requested(&Requested {
            id: "k1",
            key: &key("delay", "7"),
            rule: "loss",
            metric: "log_loss",
            mode: "propose",
            reason: "log_loss is 0.61, above 0.50",
            at: 14 * DAY,
            window: Span::new(0, 7 * DAY),
            episode_start: 0,
            value: Some(0.61),
            reference: Some(0.45),
            limit: Some(0.5),
        });
        assert_eq!(
            event.to_json().expect("writes"),
            r#"{"specversion":"1.0","id":"k1","source":"/driftline","type":"io.driftline.retrain.requested.v1","subject":"delay@7","time":"1970-01-15T00:00:00Z","datacontenttype":"application/json","data":{"model":"delay","version":"7","segment":"","rule":"loss","metric":"log_loss","mode":"propose","reason":"log_loss is 0.61, above 0.50","window":{"start":"1970-01-01T00:00:00Z","end":"1970-01-08T00:00:00Z"},"episode_start":"1970-01-01T00:00:00Z","value":0.61,"reference":0.45,"limit":0.5}}"#
        );
    }

    #[test]
    fn a_long_reason_is_cut() {
        let data = CompletedData {
            model: "delay".to_string(),
            version: "7".to_string(),
            run: "r".to_string(),
            status: "failed".to_string(),
            reason: "ä".repeat(100_000),
            challenger: None,
            gain: None,
        };
        let body = retrain_completed("k", 0, data).to_json().expect("writes");
        assert!(body.len() < BODY_BYTES_MAX);
    }
}
