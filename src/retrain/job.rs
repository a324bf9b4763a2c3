//! The work of a run: from its request to a judged challenger.
//!
//! **Invariants:** a function of the lake, the declaration and the time of the request: the same run, begun again by
//! another process, makes the same file and meets the same verdict. The artefact that is judged is the one that may be
//! promoted. Nothing here writes to the store; the [`worker`](super::worker) does, once, at the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::data::{self, Ground, Rows};
use super::gate::{self, Gate, Outcome, Terms};
use super::manifest::{FORMAT, Manifest, Origin, Policy};
use super::run::{Against, Mode, Progress, Run, Tried};
use super::spans::{Choice, Spans};
use super::{Retraining, champion};
use crate::learn::{self, Candidate, Model};
use crate::performance::{ExactSum, Kind, losses};
use crate::query::DataManifest;
use crate::store::registry;
use crate::store::runs::Status;

/// Fewest rows to choose a candidate on, and to fit one for the choice: below, the first candidate is as good a guess.
const FEWEST_TO_CHOOSE: usize = 100;

/// How much of the job each stage is: reading, choosing, fitting, judging. Roughly as it takes its time.
const STAGES: [(&str, f64); 4] = [
    ("reading", 0.2),
    ("choosing", 0.5),
    ("fitting", 0.2),
    ("judging", 0.1),
];

/// Shared by whoever does the job and whoever watches it.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    stopped: Arc<AtomicBool>,
    progress: Arc<Mutex<Option<Progress>>>,
}

impl Watched {
    /// Asks the job to end soon; what it has done so far is dropped.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), Trouble> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Trouble::Stopped);
        }
        Ok(())
    }

    pub fn progress(&self) -> Option<Progress> {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// `share` is that of the stage, which is one of [`STAGES`].
    fn tell(&self, stage: usize, doing: &str, share: f64) {
        let before: f64 = STAGES[..stage].iter().map(|(_, part)| part).sum();
        let (name, part) = STAGES[stage];
        let progress = Progress {
            stage: name.to_owned(),
            doing: doing.to_owned(),
            share: before + part * share.clamp(0.0, 1.0),
        };
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }
}

/// Why a job did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("stopped")]
    Stopped,
    /// Another attempt may do better.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// What a run came to.
#[derive(Debug)]
pub struct Judged {
    pub status: Status,
    pub reason: String,
    pub spans: Option<Spans>,
    pub against: Option<Against>,
    pub tried: Vec<Tried>,
    pub gate: Option<Gate>,
    /// The challenger, wherever there is one.
    pub made: Option<Made>,
}

/// A challenger.
#[derive(Debug)]
pub struct Made {
    pub hash: String,
    /// The model file; `None` for one that is not with us.
    pub bytes: Option<Vec<u8>>,
    pub manifest: Manifest,
    pub features: Vec<String>,
}

impl Judged {
    fn early(status: Status, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            spans: None,
            against: None,
            tried: Vec::new(),
            gate: None,
            made: None,
        }
    }
}

/// What a verdict of the gate makes of a run.
pub fn status_of(outcome: Outcome, mode: Mode) -> Status {
    match (outcome, mode) {
        (Outcome::Won, Mode::Promote) => Status::Promoted,
        (Outcome::Won, Mode::Propose) => Status::Proposed,
        (Outcome::Lost, _) => Status::Lost,
        (
            Outcome::TooFewRows
            | Outcome::TooFewBlocks
            | Outcome::CoverageImbalance
            | Outcome::NoChampionPredictions
            | Outcome::OneClass,
            _,
        ) => Status::Blocked,
    }
}

/// What the gate demands for a model.
pub fn terms(ground: &Ground) -> Terms {
    let policy = &ground.declaration.retrain;
    Terms {
        min_rows: policy.min_rows,
        min_gain: policy.min_gain,
        confidence: policy.confidence,
        coverage_gap: policy.coverage_gap,
        seed: policy.seed,
    }
}

/// Does the work of `run`.
///
/// # Errors
/// When it was stopped, or the store or the lake could not be read.
pub async fn work(
    retraining: &Retraining,
    run: &Run,
    watched: &Watched,
) -> Result<Judged, Trouble> {
    watched.tell(0, "the hold-out", 0.0);
    let ground = match Ground::of(retraining, &run.row.model).await? {
        Ok(ground) => Arc::new(ground),
        Err(why) => return Ok(Judged::early(Status::Failed, why)),
    };
    let policy = &ground.declaration.retrain;
    let spans = Spans::of(run.row.requested, policy, &ground.declaration.window);
    let model = ground.model.clone();
    let registered = retraining
        .store()
        .read_async(move |conn| registry::champion(conn, &model))
        .await
        .map_err(anyhow::Error::from)?;
    let against = champion::of(registered, &run.row.version);
    let early = |status, reason: String, spans| Judged {
        spans: Some(spans),
        against: Some(against.clone()),
        ..Judged::early(status, reason)
    };

    let hold_out = data::read(
        retraining,
        &ground,
        Some(&against.version),
        spans.hold_out,
        spans.hold_out_known_by,
    )
    .await
    .map_err(anyhow::Error::from)?;
    watched.check()?;
    // What the gate would refuse anyway needs no training.
    if hold_out.manifest.labelled < policy.min_rows || hold_out.observations.is_empty() {
        let gate = gate::judge(
            ground.kind(),
            spans.hold_out,
            &hold_out.observations,
            &hold_out.observations,
            &terms(&ground),
        );
        return Ok(Judged {
            gate: Some(gate.clone()),
            ..early(status_of(gate.outcome, run.mode), gate.reason, spans)
        });
    }
    watched.tell(0, "the training rows", 0.5);
    let training = data::read(
        retraining,
        &ground,
        None,
        spans.training,
        spans.training_known_by,
    )
    .await
    .map_err(anyhow::Error::from)?;
    watched.check()?;
    let spans = match training.first_ts() {
        Some(first) => spans.beginning_at(first),
        None => spans,
    };
    let places = training.learnable(ground.kind());
    if (places.len() as u64) < policy.min_rows.max(1) {
        let reason = format!(
            "{} labelled rows to learn from, {} are needed",
            places.len(),
            policy.min_rows.max(1)
        );
        return Ok(early(Status::Blocked, reason, spans));
    }

    let work = Work {
        ground: Arc::clone(&ground),
        spans,
        training,
        hold_out,
        places,
    };
    let mode = run.mode;
    let (watched, champion_hash) = (watched.clone(), against.hash.clone());
    let done = tokio::task::spawn_blocking(move || work.fit_and_judge(&watched, champion_hash));
    let (tried, outcome) = match done.await {
        Ok(done) => done?,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => return Err(Trouble::Stopped),
        },
    };
    let judged = match outcome {
        Ok((gate, made)) => Judged {
            made: Some(made),
            gate: Some(gate.clone()),
            ..early(status_of(gate.outcome, mode), gate.reason, spans)
        },
        Err(why) => early(Status::Failed, why, spans),
    };
    Ok(Judged { tried, ..judged })
}

/// The part that keeps a processor busy.
struct Work {
    ground: Arc<Ground>,
    spans: Spans,
    training: Rows,
    hold_out: Rows,
    /// The rows of `training` that are learned from, in order of time.
    places: Vec<usize>,
}

/// The candidates, and the judged challenger or why there is none.
type Done = (Vec<Tried>, Result<(Gate, Made), String>);

impl Work {
    fn fit_and_judge(&self, watched: &Watched, champion: Option<String>) -> Result<Done, Trouble> {
        let kind = self.ground.kind();
        let (candidate, tried) = match self.choose(watched)? {
            (tried, Ok(candidate)) => (candidate, tried),
            (tried, Err(why)) => return Ok((tried, Err(why))),
        };
        watched.check()?;
        watched.tell(2, candidate.name(), 0.0);
        let fitted = fit(
            kind,
            &candidate,
            self.ground.declaration.retrain.seed,
            &self.training,
            &self.places,
            &mut |share| watched.tell(2, candidate.name(), share),
        );
        let model = match fitted {
            Ok(model) => model,
            Err(why) => return Ok((tried, Err(why))),
        };
        watched.check()?;
        watched.tell(3, "champion and challenger", 0.0);
        let predictions = match model.predict(&self.hold_out.table) {
            Ok(predictions) => predictions,
            Err(error) => return Ok((tried, Err(error.to_string()))),
        };
        let challenger = data::predicted(&predictions, &self.hold_out.observations);
        let mut gate = gate::judge(
            kind,
            self.spans.hold_out,
            &self.hold_out.observations,
            &challenger,
            &terms(&self.ground),
        );
        let hash = model.hash();
        if gate.outcome == Outcome::Won && champion.as_ref() == Some(&hash) {
            // It cannot be better than itself; whoever serves it logs something else than it says.
            gate.outcome = Outcome::Lost;
            gate.reason =
                "the challenger is the champion's own file: the same rows gave the same model"
                    .to_owned();
        }
        let made = Made {
            hash,
            bytes: Some(model.to_bytes()),
            manifest: manifest(
                &self.ground,
                self.spans,
                self.training.manifest.clone(),
                self.hold_out.manifest.clone(),
                candidate,
            ),
            features: self.ground.features(),
        };
        Ok((tried, Ok((gate, made))))
    }

    /// The candidate with the least loss on the last part of the training rows, fitted on what was known before it.
    fn choose(
        &self,
        watched: &Watched,
    ) -> Result<(Vec<Tried>, Result<Candidate, String>), Trouble> {
        let candidates = match candidates(&self.ground) {
            Ok(candidates) => candidates,
            Err(why) => return Ok((Vec::new(), Err(why))),
        };
        let untried = |problem: &str| -> Vec<Tried> {
            let tried = candidates.iter().map(|candidate| Tried {
                candidate: candidate.clone(),
                loss: None,
                problem: problem.to_owned(),
            });
            tried.collect()
        };
        let Some(first) = candidates.first().cloned() else {
            return Ok((Vec::new(), Err("no candidate fits the task".to_owned())));
        };
        if candidates.len() == 1 {
            return Ok((untried("the only candidate"), Ok(first)));
        }
        let kind = self.ground.kind();
        let rows = &self.training.observations;
        let choice = Choice::of(self.spans.training, self.spans.embargo);
        let known_in_time = |&row: &usize| {
            let known = rows[row].truth.as_ref().map(|truth| truth.ts);
            rows[row].ts < choice.fit_end && known.is_some_and(|at| at < choice.validation.start)
        };
        let earlier: Vec<usize> = self.places.iter().copied().filter(known_in_time).collect();
        let later: Vec<usize> = self
            .places
            .iter()
            .copied()
            .filter(|&row| choice.validation.contains(rows[row].ts))
            .collect();
        if earlier.len().min(later.len()) < FEWEST_TO_CHOOSE {
            let why = format!(
                "not compared: {} rows to fit on and {} to compare on, {FEWEST_TO_CHOOSE} of each are needed",
                earlier.len(),
                later.len()
            );
            return Ok((untried(&why), Ok(first)));
        }
        let table = self.training.table.take(&later);
        let truths: Vec<_> = later.iter().map(|&row| rows[row].clone()).collect();
        let mut tried = Vec::new();
        let mut best: Option<(f64, Candidate)> = None;
        for (place, candidate) in candidates.iter().enumerate() {
            watched.check()?;
            let share = |part: f64| (place as f64 + part) / candidates.len() as f64;
            watched.tell(1, candidate.name(), share(0.0));
            let fitted = fit(
                kind,
                candidate,
                self.ground.declaration.retrain.seed,
                &self.training,
                &earlier,
                &mut |part| watched.tell(1, candidate.name(), share(part)),
            );
            let loss = fitted.and_then(|model| {
                let predictions = model.predict(&table).map_err(|error| error.to_string())?;
                mean_loss(kind, &data::predicted(&predictions, &truths))
            });
            tried.push(Tried {
                candidate: candidate.clone(),
                loss: loss.as_ref().ok().copied(),
                problem: loss.as_ref().err().cloned().unwrap_or_default(),
            });
            if let Ok(loss) = loss
                && best.as_ref().is_none_or(|(least, _)| loss < *least)
            {
                best = Some((loss, candidate.clone()));
            }
        }
        let chosen = best.map(|(_, candidate)| candidate).ok_or_else(|| {
            let problems: Vec<&str> = tried.iter().map(|tried| tried.problem.as_str()).collect();
            format!("no candidate could be fitted: {}", problems.join("; "))
        });
        Ok((tried, chosen))
    }
}

/// The candidates that a declaration tries.
fn candidates(ground: &Ground) -> Result<Vec<Candidate>, String> {
    let task = match ground.kind() {
        Kind::Binary { .. } => learn::Task::Binary,
        Kind::Multiclass => learn::Task::Multiclass,
        Kind::Regression => learn::Task::Regression,
    };
    let names = &ground.declaration.retrain.candidates;
    if names.is_empty() {
        return Ok(Candidate::for_task(task));
    }
    names
        .iter()
        .map(|name| {
            let candidate = Candidate::parse(name).map_err(|error| error.to_string())?;
            candidate.check(task).map_err(|error| error.to_string())?;
            Ok(candidate)
        })
        .collect()
}

/// Fits a candidate to the rows at `places`.
///
/// # Errors
/// In a sentence.
pub(super) fn fit(
    kind: Kind<'_>,
    candidate: &Candidate,
    seed: u64,
    rows: &Rows,
    places: &[usize],
    progress: &mut dyn FnMut(f64),
) -> Result<Model, String> {
    let target = data::target(kind, &rows.observations, places)?;
    let table = rows.table.take(places);
    Model::fit(candidate, &table, &target, seed, progress).map_err(|error| error.to_string())
}

fn mean_loss(kind: Kind<'_>, rows: &[crate::performance::Observation]) -> Result<f64, String> {
    let losses: Vec<f64> = losses(kind, rows).into_iter().flatten().collect();
    let sum: ExactSum = losses.iter().copied().collect();
    let mean = sum.value() / losses.len() as f64;
    if mean.is_finite() {
        Ok(mean)
    } else {
        Err("its predictions have no finite loss".to_owned())
    }
}

fn manifest(
    ground: &Ground,
    spans: Spans,
    training: DataManifest,
    hold_out: DataManifest,
    candidate: Candidate,
) -> Manifest {
    Manifest {
        layout: Some(ground.layout.hash().to_owned()),
        training: Some(training),
        candidate: Some(candidate),
        ..bare_manifest(ground, Origin::Trained, spans, hold_out)
    }
}

/// A manifest without what was learned from, for models that were fitted elsewhere.
pub(super) fn bare_manifest(
    ground: &Ground,
    origin: Origin,
    spans: Spans,
    hold_out: DataManifest,
) -> Manifest {
    let policy = &ground.declaration.retrain;
    Manifest {
        format: FORMAT,
        origin,
        model: ground.model.clone(),
        task: ground.task_name().to_owned(),
        positive: match ground.kind() {
            Kind::Binary { positive } => Some(positive.to_owned()),
            Kind::Multiclass | Kind::Regression => None,
        },
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        layout: None,
        spans: Some(spans),
        training: None,
        hold_out: Some(hold_out),
        seed: policy.seed,
        candidate: None,
        policy: Some(Policy::of(policy, spans.embargo)),
        artefact: None,
    }
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
