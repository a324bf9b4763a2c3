//! Models that are trained elsewhere: the rows that they have to predict, and the gate for what they predicted.
//!
//! **Invariant:** an external challenger meets the same gate on the same kind of rows as one of ours, and every one of
//! those rows: it cannot choose what it is judged on. It is given ids and no labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::data::{self, Ground, Rows};
use super::job::{self, Judged, Made};
use super::manifest::{Artefact, Manifest, Origin};
use super::run::{Against, Challenger, Run};
use super::spans::Spans;
use super::{Denied, Retraining, champion, digest, gate, worker};
use crate::performance::{Kind, Observation, says_enough};
use crate::store::registry;
use crate::store::runs::Status;

/// Largest body of a result: some hundred thousand predictions.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// Longest version's name.
const VERSION_BYTES_MAX: usize = 256;

/// What an external trainer sends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The new model's version, as its predictions will be logged.
    pub version: String,
    /// Where it lies, for the registry.
    #[serde(default)]
    pub artefact: Option<Artefact>,
    pub predictions: Vec<Prediction>,
}

/// A prediction of one row, in the form of a prediction record.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    pub id: String,
    #[serde(default)]
    pub label: Option<String>,
    #[serde(default)]
    pub value: Option<f64>,
    #[serde(default)]
    pub scores: BTreeMap<String, f64>,
}

/// The rows that an external model is judged on.
#[derive(Debug, Clone, PartialEq)]
pub struct HoldOut {
    pub spans: Spans,
    /// The champion, whose rows these are.
    pub against: Against,
    /// In order, each once.
    pub ids: BTreeSet<String>,
}

/// What a run's hold-out is read for.
struct Read {
    ground: Arc<Ground>,
    spans: Spans,
    against: Against,
    rows: Rows,
}

impl Retraining {
    /// The rows that the external trainer of a run has to predict.
    ///
    /// # Errors
    /// There is no such run, or it waits for no external trainer.
    pub async fn hold_out(&self, id: &str) -> Result<HoldOut, Denied> {
        let run = self.waiting(id).await?;
        let read = self.read_hold_out(&run).await?;
        Ok(HoldOut {
            spans: read.spans,
            against: read.against,
            ids: ids(&read.rows.observations),
        })
    }

    /// Judges what an external trainer sends, and ends the run.
    ///
    /// # Errors
    /// The run waits for no external trainer, a row of the hold-out has no prediction, or the version is taken.
    pub async fn submit(&self, id: &str, outcome: Outcome, actor: &str) -> Result<Run, Denied> {
        let mut run = self.waiting(id).await?;
        let Some(hold) = run.row.hold() else {
            return Err(Denied::Conflict(format!("run {id} is held by nobody")));
        };
        check(&outcome)?;
        let (model, version) = (run.row.model.clone(), outcome.version.clone());
        let taken = self
            .store()
            .read_async(move |conn| registry::file_of_version(conn, &model, &version))
            .await?;
        if taken.is_some() {
            return Err(Denied::Conflict(format!(
                "version {:?} of {} is in the registry already; give the new model a version of its own",
                outcome.version, run.row.model
            )));
        }
        let read = self.read_hold_out(&run).await?;
        let challenger = challenger(read.ground.kind(), &read.rows.observations, &outcome)?;
        let made = made(&read, &outcome);
        let mode = run.mode;
        let Read {
            ground,
            spans,
            against,
            rows,
        } = read;
        let (grounds, hold_out) = (Arc::clone(&ground), rows.observations);
        let judged = tokio::task::spawn_blocking(move || {
            gate::judge(
                grounds.kind(),
                spans.hold_out,
                &hold_out,
                &challenger,
                &job::terms(&grounds),
            )
        });
        let gate = match judged.await {
            Ok(gate) => gate,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(Denied::Conflict("the service is stopping".to_owned())),
            },
        };
        let judged = Judged {
            status: job::status_of(gate.outcome, mode),
            reason: gate.reason.clone(),
            spans: Some(spans),
            against: Some(against),
            tried: Vec::new(),
            gate: Some(gate),
            made: Some(made),
        };
        run.body.challenger = judged.made.as_ref().map(|made| Challenger {
            version: outcome.version.clone(),
            hash: made.hash.clone(),
        });
        run.body.decided_by = Some(actor.to_owned());
        match worker::conclude(self, run, hold, judged).await? {
            Some(Status::Queued) => Err(Denied::Conflict(
                "the champion moved meanwhile; ask for a new run".to_owned(),
            )),
            Some(_) => {
                self.tell_changed();
                self.run(id).await
            }
            None => Err(Denied::Conflict(format!("run {id} ended meanwhile"))),
        }
    }

    /// A run that waits for an external trainer.
    async fn waiting(&self, id: &str) -> Result<Run, Denied> {
        let run = self.run(id).await?;
        if !run.body.external {
            return Err(Denied::Conflict(format!(
                "run {id} is trained here; ask for one with `external: true`"
            )));
        }
        if !run.status().is_active() {
            return Err(Denied::Conflict(format!(
                "run {id} is {}; it takes no result any more",
                run.status().as_str()
            )));
        }
        Ok(run)
    }

    async fn read_hold_out(&self, run: &Run) -> Result<Read, Denied> {
        let ground = match Ground::of(self, &run.row.model).await? {
            Ok(ground) => ground,
            Err(why) => return Err(Denied::Conflict(why)),
        };
        let declaration = &ground.declaration;
        let spans = Spans::of(run.row.requested, &declaration.retrain, &declaration.window);
        let model = run.row.model.clone();
        let registered = self
            .store()
            .read_async(move |conn| registry::champion(conn, &model))
            .await?;
        let against = champion::of(registered, &run.row.version);
        let rows = data::read(
            self,
            &ground,
            Some(&against.version),
            spans.hold_out,
            spans.hold_out_known_by,
        )
        .await
        .map_err(anyhow::Error::from)?;
        Ok(Read {
            ground: Arc::new(ground),
            spans,
            against,
            rows,
        })
    }
}

fn ids(rows: &[Observation]) -> BTreeSet<String> {
    rows.iter().filter_map(|row| row.id.clone()).collect()
}

fn check(outcome: &Outcome) -> Result<(), Denied> {
    if outcome.version.is_empty() || outcome.version.len() > VERSION_BYTES_MAX {
        return Err(Denied::Unusable(format!(
            "version: 1 to {VERSION_BYTES_MAX} bytes are allowed, found {}",
            outcome.version.len()
        )));
    }
    if let Some(artefact) = &outcome.artefact {
        let hash = &artefact.sha256;
        let is_hash = hash.len() == 64
            && hash
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hash {
            return Err(Denied::Unusable(format!(
                "artefact.sha256: {hash:?} is not 64 digits of lower-case hex"
            )));
        }
    }
    Ok(())
}

/// The hold-out with the external predictions in the place of the champion's.
///
/// A row that it says nothing usable of would not be compared, so it would be free to leave out what it is bad at.
fn challenger(
    kind: Kind<'_>,
    rows: &[Observation],
    outcome: &Outcome,
) -> Result<Vec<Observation>, Denied> {
    let mut by_id: BTreeMap<&str, &Prediction> = BTreeMap::new();
    for prediction in &outcome.predictions {
        if by_id.insert(&prediction.id, prediction).is_some() {
            return Err(Denied::Unusable(format!(
                "predictions: the row {:?} is predicted twice",
                prediction.id
            )));
        }
    }
    let wanted = ids(rows);
    let missing: Vec<&String> = wanted
        .iter()
        .filter(|id| !by_id.contains_key(id.as_str()))
        .collect();
    if let Some(first) = missing.first() {
        return Err(Denied::Unusable(format!(
            "predictions: {} of {} rows of the hold-out have none, {first:?} for example; predict every row that \
             /api/v1/retrain-runs/{{id}}/hold-out lists",
            missing.len(),
            wanted.len()
        )));
    }
    let rows = rows.iter().map(|row| {
        let said = row.id.as_deref().and_then(|id| by_id.get(id));
        Observation {
            version: outcome.version.clone(),
            class: said.and_then(|said| said.label.clone()),
            value: said.and_then(|said| said.value),
            scores: said.map(|said| said.scores.clone()).unwrap_or_default(),
            ..row.clone()
        }
    });
    let rows: Vec<Observation> = rows.collect();
    for row in rows.iter().filter(|row| row.id.is_some()) {
        if let Err(why) = says_enough(kind, row) {
            return Err(Denied::Unusable(format!(
                "predictions: the row {:?} cannot be judged by what is said of it: {}",
                row.id.as_deref().unwrap_or_default(),
                why.as_str()
            )));
        }
    }
    Ok(rows)
}

fn made(read: &Read, outcome: &Outcome) -> Made {
    let hash = match &outcome.artefact {
        Some(artefact) => artefact.sha256.clone(),
        // Something must name it: what it said of the hold-out does.
        None => {
            let mut said = vec![outcome.version.clone()];
            let mut sorted: Vec<&Prediction> = outcome.predictions.iter().collect();
            sorted.sort_by(|a, b| a.id.cmp(&b.id));
            said.extend(sorted.iter().map(|prediction| format!("{prediction:?}")));
            let said: Vec<&str> = said.iter().map(String::as_str).collect();
            digest(&said)
        }
    };
    let bare = job::bare_manifest(
        &read.ground,
        Origin::External,
        read.spans,
        read.rows.manifest.clone(),
    );
    Made {
        hash,
        bytes: None,
        manifest: Manifest {
            artefact: outcome.artefact.clone(),
            ..bare
        },
        features: Vec::new(),
    }
}
