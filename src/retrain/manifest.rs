//! What a model was made of, and what is told of it: manifest and card.
//!
//! **Invariant:** the manifest alone, with the lake that it names offsets of, makes the model file again, bit for bit;
//! so it holds everything that fitting depends on, and the card only what the manifest and the run say.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::gate::Gate;
use super::run::Tried;
use super::spans::Spans;
use crate::event::{Millis, Span, rfc3339};
use crate::learn::Candidate;
use crate::performance::{Estimate, Kind};
use crate::query::DataManifest;
use crate::rules::RetrainPolicy;
use crate::rules::duration;

/// The form of manifests written by this program.
pub const FORMAT: u32 = 1;

/// How a model came to the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Fitted by a run.
    Trained,
    /// Fitted elsewhere, judged by its predictions on the hold-out.
    External,
    /// Brought by somebody, not judged.
    Registered,
}

/// What a model was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub origin: Origin,
    pub model: String,
    /// `binary`, `multiclass` or `regression`.
    pub task: String,
    #[serde(default)]
    pub positive: Option<String>,
    /// The version of driftline that made it.
    pub code_version: String,
    /// Hash of the layout whose features it reads.
    #[serde(default)]
    pub layout: Option<String>,
    #[serde(default)]
    pub spans: Option<Spans>,
    #[serde(default)]
    pub training: Option<DataManifest>,
    #[serde(default)]
    pub hold_out: Option<DataManifest>,
    pub seed: u64,
    /// The winner among the candidates, with its hyper-parameters.
    #[serde(default)]
    pub candidate: Option<Candidate>,
    #[serde(default)]
    pub policy: Option<Policy>,
    /// Where an external model lies.
    #[serde(default)]
    pub artefact: Option<Artefact>,
}

impl Manifest {
    pub fn kind(&self) -> Kind<'_> {
        match (self.task.as_str(), &self.positive) {
            ("binary", Some(positive)) => Kind::Binary { positive },
            ("multiclass", _) => Kind::Multiclass,
            _ => Kind::Regression,
        }
    }
}

/// A model that is not with us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artefact {
    pub uri: String,
    /// Of its bytes, in hex.
    pub sha256: String,
}

/// The policy as it was. Lengths in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub history: Option<Millis>,
    pub hold_out: Millis,
    pub embargo: Millis,
    pub min_gain: f64,
    pub confidence: f64,
    pub min_rows: u64,
    pub coverage_gap: f64,
    pub candidates: Vec<String>,
}

impl Policy {
    pub fn of(policy: &RetrainPolicy, embargo: Millis) -> Self {
        Self {
            history: policy.history,
            hold_out: policy.hold_out,
            embargo,
            min_gain: policy.min_gain,
            confidence: policy.confidence,
            min_rows: policy.min_rows,
            coverage_gap: policy.coverage_gap,
            candidates: policy.candidates.clone(),
        }
    }
}

/// What is told of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub model: String,
    pub version: String,
    pub hash: String,
    /// The champion that it was judged against: its version, and the hash of its file if that is known.
    #[serde(default)]
    pub parent: Option<Parent>,
    #[serde(default)]
    pub run: Option<String>,
    /// Event time.
    pub created: Millis,
    /// Why it was made.
    pub reason: String,
    /// The features it reads.
    #[serde(default)]
    pub features: Vec<String>,
    #[serde(default)]
    pub tried: Vec<Tried>,
    #[serde(default)]
    pub gate: Option<Gate>,
    pub manifest: Manifest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    pub version: String,
    #[serde(default)]
    pub hash: Option<String>,
}

impl Card {
    /// The card as Markdown, for people.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let manifest = &self.manifest;
        writeln!(out, "# {} version {}\n", self.model, self.version)?;
        writeln!(out, "| | |\n|---|---|")?;
        writeln!(out, "| file (SHA-256) | `{}` |", self.hash)?;
        let origin = match manifest.origin {
            Origin::Trained => "trained by driftline",
            Origin::External => "trained elsewhere, judged by its predictions",
            Origin::Registered => "registered, not judged",
        };
        writeln!(out, "| origin | {origin} |")?;
        writeln!(out, "| made | {} |", rfc3339(self.created))?;
        if !self.reason.is_empty() {
            writeln!(out, "| because | {} |", cell(&self.reason))?;
        }
        if let Some(run) = &self.run {
            writeln!(out, "| run | `{run}` |")?;
        }
        if let Some(parent) = &self.parent {
            writeln!(
                out,
                "| judged against | version {} |",
                cell(&parent.version)
            )?;
        }
        match &manifest.positive {
            Some(positive) => writeln!(
                out,
                "| task | {}, positive class {} |",
                manifest.task,
                cell(positive)
            )?,
            None => writeln!(out, "| task | {} |", manifest.task)?,
        }
        if let Some(candidate) = &manifest.candidate {
            let parameters = serde_json::to_string(candidate).unwrap_or_default();
            writeln!(
                out,
                "| model | {}, seed {}: `{parameters}` |",
                candidate.name(),
                manifest.seed
            )?;
        }
        if let Some(artefact) = &manifest.artefact {
            writeln!(out, "| lies at | {} |", cell(&artefact.uri))?;
        }
        writeln!(out, "| made with | driftline {} |", manifest.code_version)?;
        if let Some(spans) = &manifest.spans {
            writeln!(out, "\n## Data\n")?;
            if let Some(data) = &manifest.training {
                writeln!(
                    out,
                    "- learned from {}: {} rows, {} labelled",
                    stretch(spans.training),
                    data.rows,
                    data.labelled
                )?;
            }
            if let Some(data) = &manifest.hold_out {
                writeln!(
                    out,
                    "- judged on {}: {} rows, {} labelled",
                    stretch(spans.hold_out),
                    data.rows,
                    data.labelled
                )?;
            }
            writeln!(
                out,
                "- between them, and behind, an embargo of {} for labels to come in",
                duration::show(spans.embargo)
            )?;
        }
        if !self.features.is_empty() {
            writeln!(out, "\n## Features\n\n{}", self.features.join(", "))?;
        }
        if !self.tried.is_empty() {
            writeln!(
                out,
                "\n## Candidates\n\n| | loss on validation rows | |\n|---|---|---|"
            )?;
            for tried in &self.tried {
                writeln!(
                    out,
                    "| {} | {} | {} |",
                    tried.candidate.name(),
                    figure(tried.loss),
                    cell(&tried.problem)
                )?;
            }
        }
        if let Some(gate) = &self.gate {
            writeln!(out, "\n## Gate: {}\n\n{}.\n", gate.outcome, gate.reason)?;
            writeln!(
                out,
                "{} of {} rows have a label; {} were compared, in blocks of {}.\n",
                gate.coverage.labelled,
                gate.coverage.rows,
                gate.compared,
                duration::show(gate.block_length)
            )?;
            if !gate.coverage.by_predicted.is_empty() {
                writeln!(out, "| predicted class | rows | labelled |\n|---|---|---|")?;
                for (class, (rows, labelled)) in &gate.coverage.by_predicted {
                    writeln!(out, "| {} | {rows} | {labelled} |", cell(class))?;
                }
                writeln!(out)?;
            }
            writeln!(
                out,
                "| | champion | challenger | constant |\n|---|---|---|---|"
            )?;
            for (champion, challenger) in gate.champion.iter().zip(&gate.challenger) {
                writeln!(
                    out,
                    "| {} | {} | {} | {} |",
                    champion.metric.as_str(),
                    with_error(champion),
                    with_error(challenger),
                    figure(challenger.constant)
                )?;
            }
        }
        Ok(())
    }
}

fn stretch(span: Span) -> String {
    format!("{} to {}", rfc3339(span.start), rfc3339(span.end))
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}

fn with_error(estimate: &Estimate) -> String {
    match (estimate.value, estimate.standard_error) {
        (Some(value), Some(error)) => format!("{value:.4} ± {error:.4}"),
        (value, _) => figure(value),
    }
}

/// Text of others inside a table of ours.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
