//! What is kept of a run beside its row: what was asked for, what was done about it, and what came of it.
//!
//! **Invariant:** a body says why its run stands where it stands, in a sentence; nobody has to find it in a log.

use serde::{Deserialize, Serialize};

use super::gate::Gate;
use super::manifest::Manifest;
use super::spans::Spans;
use crate::event::{Millis, Span};
use crate::learn::Candidate;
use crate::store::runs::{RunRow, Status};
use crate::store::{Result, StoreError};

/// What a win leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Somebody is asked.
    Propose,
    /// The challenger becomes the champion.
    Promote,
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Propose => "propose",
            Mode::Promote => "promote",
        }
    }

    pub fn parse(name: &str) -> Option<Mode> {
        [Mode::Propose, Mode::Promote]
            .into_iter()
            .find(|mode| mode.as_str() == name)
    }
}

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A signed webhook.
    Webhook,
    Alertmanager,
    /// Somebody, through the API or the command line.
    Person,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub source: Source,
    /// Who, where that is known: a token's name, `cli`.
    pub actor: String,
    pub reason: String,
    /// The mode that was asked for; the run's own is `propose` where the declaration promotes nothing.
    pub asked: Mode,
    /// The rule that went bad, and what it saw; empty for requests of people.
    #[serde(default)]
    pub rule: String,
    #[serde(default)]
    pub metric: String,
    #[serde(default)]
    pub segment: String,
    #[serde(default)]
    pub window: Option<Span>,
    #[serde(default)]
    pub value: Option<f64>,
    #[serde(default)]
    pub reference: Option<f64>,
    #[serde(default)]
    pub limit: Option<f64>,
}

/// How far the work is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// `reading`, `choosing`, `fitting` or `judging`.
    pub stage: String,
    /// What is being done, a candidate's name for example.
    pub doing: String,
    /// Of the whole job, in [0, 1].
    pub share: f64,
}

/// The champion that a run was judged against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    pub version: String,
    pub hash: Option<String>,
    /// Of the champion's row; 0: none was registered, and the version that the request names counts.
    pub seq: u64,
}

/// What the run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenger {
    pub version: String,
    /// SHA-256 of the model file.
    pub hash: String,
}

/// A candidate and how it did on rows that it was not fitted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    pub candidate: Candidate,
    /// Mean loss on the validation rows; `None` where it could not be fitted or was the only one.
    pub loss: Option<f64>,
    /// What was wrong with it, if something was.
    pub problem: String,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    pub request: Request,
    /// Somebody else trains and sends predictions.
    #[serde(default)]
    pub external: bool,
    /// Why the run stands where it stands.
    pub reason: String,
    #[serde(default)]
    pub progress: Option<Progress>,
    #[serde(default)]
    pub spans: Option<Spans>,
    #[serde(default)]
    pub against: Option<Against>,
    #[serde(default)]
    pub tried: Vec<Tried>,
    #[serde(default)]
    pub manifest: Option<Manifest>,
    #[serde(default)]
    pub gate: Option<Gate>,
    #[serde(default)]
    pub challenger: Option<Challenger>,
    /// Who decided last, where a person did.
    #[serde(default)]
    pub decided_by: Option<String>,
    /// Wall time at which the present attempt began, and at which the run ended.
    #[serde(default)]
    pub started_wall: Option<Millis>,
    #[serde(default)]
    pub ended_wall: Option<Millis>,
}

impl Body {
    pub fn new(request: Request, external: bool, reason: &str) -> Self {
        Self {
            request,
            external,
            reason: reason.to_owned(),
            progress: None,
            spans: None,
            against: None,
            tried: Vec::new(),
            manifest: None,
            gate: None,
            challenger: None,
            decided_by: None,
            started_wall: None,
            ended_wall: None,
        }
    }

    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

/// A run as it is shown and worked on.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub row: RunRow,
    pub mode: Mode,
    pub body: Body,
}

impl Run {
    pub fn read(row: RunRow) -> Result<Self> {
        let mode = Mode::parse(&row.mode).ok_or_else(|| StoreError::Unreadable {
            what: "mode of a retraining run",
            found: row.mode.clone(),
        })?;
        let body = serde_json::from_str(&row.body)?;
        Ok(Self { row, mode, body })
    }

    pub fn status(&self) -> Status {
        self.row.status
    }

    /// Whether the champion could be replaced by this run's challenger.
    pub fn was_judged(&self) -> bool {
        self.body.challenger.is_some() && self.body.against.is_some()
    }
}

/// The id of the run that a key asks for: the same for the same key everywhere.
pub fn id_of(key: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("run {key}"));
    digest
        .iter()
        .take(10)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_names_the_same_run() {
        assert_eq!(id_of("a"), id_of("a"));
        assert_ne!(id_of("a"), id_of("b"));
        assert_eq!(id_of("a").len(), 20);
    }

    #[test]
    fn a_body_of_an_older_release_without_later_fields_is_read() {
        let text = r#"{"request":{"source":"person","actor":"cli","reason":"","asked":"propose"},"reason":"waits"}"#;
        let body: Body = serde_json::from_str(text).expect("reads");
        assert_eq!(body.reason, "waits");
        assert!(!body.external);
    }
}
