//! Alertmanager's webhook, version 4: firing alerts about a model as requests to retrain it.
//!
//! **Invariant:** an alert has one key from its start to its end (group, fingerprint, start), so however often
//! Alertmanager repeats it, it asks once. An alert that is not taken says why.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::receiver::{Asked, may_promote};
use super::run::{Mode, Request, Source};
use super::{Answer, Refused, Retraining, digest};
use crate::store::{StoreError, registry};

/// Largest body that is looked at: a thousand alerts with long labels.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Most alerts of one call; Alertmanager can be told to send no more by `max_alerts`.
pub const ALERTS_MAX: usize = 1_000;
/// The only version of the payload there is.
const VERSION: &str = "4";

/// What Alertmanager sends, as far as it is looked at.
#[derive(Debug, Clone, Deserialize)]
pub struct Payload {
    pub version: String,
    #[serde(rename = "groupKey")]
    pub group_key: String,
    #[serde(rename = "truncatedAlerts", default)]
    pub truncated: u64,
    pub alerts: Vec<Alert>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Alert {
    pub status: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    #[serde(rename = "startsAt", default)]
    pub starts_at: String,
    #[serde(default)]
    pub fingerprint: String,
}

/// What became of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub fingerprint: String,
    pub model: Option<String>,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Asked(Answer),
    Refused(Refused),
    /// It asks for nothing.
    Ignored(&'static str),
}

impl Payload {
    /// Reads a body.
    ///
    /// # Errors
    /// In a sentence, where it is none that Alertmanager sends.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let payload: Payload = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if payload.version != VERSION {
            return Err(format!(
                "version {:?} of Alertmanager's webhook is not known; send version {VERSION}",
                payload.version
            ));
        }
        if payload.alerts.len() > ALERTS_MAX {
            return Err(format!(
                "{} alerts in one call, {ALERTS_MAX} are allowed; set `max_alerts` in the receiver's webhook_configs",
                payload.alerts.len()
            ));
        }
        Ok(payload)
    }
}

impl Retraining {
    /// Takes what Alertmanager sent, alert by alert, on behalf of `actor`.
    ///
    /// # Errors
    /// When the store cannot be read or written; alerts before that stay taken, and are repetitions next time.
    pub async fn receive_alerts(
        &self,
        payload: &Payload,
        actor: &str,
    ) -> Result<Vec<Taken>, StoreError> {
        let mut taken = Vec::new();
        for alert in &payload.alerts {
            let model = alert.labels.get("model").cloned();
            let outcome = match &model {
                _ if alert.status != "firing" => Outcome::Ignored("it is not firing"),
                None => Outcome::Ignored("it has no label `model`"),
                Some(model) => match self.ask_of(payload, alert, model, actor).await? {
                    Ok(answer) => Outcome::Asked(answer),
                    Err(refused) => Outcome::Refused(refused),
                },
            };
            taken.push(Taken {
                fingerprint: alert.fingerprint.clone(),
                model,
                outcome,
            });
        }
        Ok(taken)
    }

    async fn ask_of(
        &self,
        payload: &Payload,
        alert: &Alert,
        model: &str,
        actor: &str,
    ) -> Result<Result<Answer, Refused>, StoreError> {
        let label = |name: &str| alert.labels.get(name).cloned().unwrap_or_default();
        let version = match alert.labels.get("version") {
            Some(version) => version.clone(),
            None => {
                let name = model.to_owned();
                self.store()
                    .read_async(move |conn| registry::champion(conn, &name))
                    .await?
                    .map(|champion| champion.version)
                    .unwrap_or_default()
            }
        };
        let promotes = self.declaration(model).is_some_and(may_promote);
        let said = ["description", "summary"]
            .into_iter()
            .find_map(|name| alert.annotations.get(name).cloned());
        let asked = Asked {
            key: digest(&[
                "alertmanager",
                &payload.group_key,
                &alert.fingerprint,
                &alert.starts_at,
            ]),
            model: model.to_owned(),
            version,
            requested: None,
            external: false,
            request: Request {
                source: Source::Alertmanager,
                actor: actor.to_owned(),
                reason: said.unwrap_or_else(|| label("alertname")),
                asked: if promotes {
                    Mode::Promote
                } else {
                    Mode::Propose
                },
                rule: label("rule"),
                metric: label("metric"),
                segment: label("segment"),
                window: None,
                value: None,
                reference: None,
                limit: None,
            },
        };
        self.ask(asked).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(body: &str, says: &str) {
        let said = Payload::parse(body.as_bytes()).expect_err("no payload");
        assert!(said.starts_with(says), "{said}");
    }

    #[test]
    fn what_is_no_payload_is_refused_in_a_sentence() {
        refused("[]", "invalid");
        refused("{}", "missing field");
        refused(
            r#"{"version":"5","groupKey":"g","alerts":[]}"#,
            "version \"5\" of Alertmanager's webhook is not known; send version 4",
        );
        let many = vec![r#"{"status":"firing"}"#; ALERTS_MAX + 1].join(",");
        refused(
            &format!(r#"{{"version":"4","groupKey":"g","alerts":[{many}]}}"#),
            "1001 alerts in one call, 1000 are allowed",
        );
    }
}
