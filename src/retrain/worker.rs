//! Who does the work of runs: takes a run that nobody holds, does its job, and ends it in one transaction.
//!
//! **Invariants:** a run is held under (holder, attempt), and its end is written only under the attempt that worked it
//! out; so a run whose worker died is done again by another, from the beginning, and ends once. What a run ends with
//! (the model's row, the champion, the reference, the alerts, what is told) is one transaction with its status.
//! Wall time serves holding on, and nothing else.

use std::time::Duration;

use super::champion::{self, Step};
use super::job::{self, Judged, Made, Trouble, Watched};
use super::manifest::{Card, Parent};
use super::receiver::EXTERNAL_HOLDER;
use super::run::{Challenger, Progress, Run};
use super::{Retraining, digest, reference};
use crate::event::{MINUTE, Millis, SECOND, Span};
use crate::notify::retraining::{ChallengerData, CompletedData, GainData};
use crate::notify::{self, retrain_completed};
use crate::store::registry::{self, Action, ModelFile};
use crate::store::runs::{self, Hold, RunRow, Status};
use crate::store::{Result, StoreError, Transaction, failpoint};

/// How long a run is held without a sign of life: some missed beats more than a busy disk takes.
const HOLD: Millis = 30 * SECOND;
/// How often progress is written, and the hold prolonged.
const BEAT: Duration = Duration::from_secs(1);
/// How often a worker looks for runs that nobody told it of.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Attempts after which a run has failed: each before it ended with its process, or in trouble.
const MOST_ATTEMPTS: u32 = 5;
/// How long a run in trouble waits for its next attempt, times the attempts so far.
const PAUSE: Millis = MINUTE / 4;

/// Takes and does runs, one at a time.
pub struct Worker {
    retraining: Retraining,
    /// Unique to one run of one process.
    holder: String,
    /// Whether it is certain that the process of a holder has ended.
    is_gone: fn(&str) -> bool,
}

/// How a run was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub run: String,
    pub model: String,
    pub status: Status,
}

/// Ends the work when the worker's future is dropped.
struct StopOnDrop(Watched);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Worker {
    pub fn new(retraining: Retraining, holder: String, is_gone: fn(&str) -> bool) -> Self {
        Self {
            retraining,
            holder,
            is_gone,
        }
    }

    /// Does runs until `shutdown` resolves; the run under way is then left to others, who begin it anew. A full disk
    /// or a busy file is waited out; any other trouble with the store ends the loop.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        tokio::pin!(shutdown);
        let mut changes = self.retraining.changes();
        loop {
            changes.mark_unchanged();
            let pause = tokio::select! {
                biased;
                () = &mut shutdown => {
                    return self.leave().await;
                }
                left = self.step() => match left {
                    Ok(Some(_)) => Duration::ZERO,
                    Ok(None) => LOOK_EVERY,
                    Err(error) if error.is_busy() || error.is_disk_full() => {
                        tracing::warn!(%error, "retraining waits");
                        LOOK_EVERY
                    }
                    Err(error) => return Err(error),
                },
            };
            if pause.is_zero() {
                continue;
            }
            tokio::select! {
                biased;
                () = &mut shutdown => return self.leave().await,
                // The sender lives as long as this worker, which holds it.
                _ = changes.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Lets go of what this worker holds.
    async fn leave(&self) -> Result<()> {
        let (holder, now) = (self.holder.clone(), self.retraining.now());
        self.retraining
            .store()
            .write_async(move |tx| {
                for row in runs::held(tx, now)? {
                    if row.holder.as_ref() == Some(&holder)
                        && let Some(hold) = row.hold()
                    {
                        let mut run = Run::read(row)?;
                        run.body.reason = "its worker was stopped; it begins anew".to_owned();
                        run.body.progress = None;
                        let body = run.body.to_json()?;
                        runs::finish(tx, &hold, Status::Queued, &body, now, None)?;
                    }
                }
                Ok(())
            })
            .await
    }

    /// Takes one run, if there is one that nobody holds, and does it. Dropping the future leaves the run to others.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn step(&self) -> Result<Option<Left>> {
        self.free_the_dead().await?;
        let now = self.retraining.now();
        let holder = self.holder.clone();
        let free = self
            .retraining
            .store()
            .read_async(move |conn| runs::free(conn, now))
            .await?;
        for found in free {
            let holder = holder.clone();
            let taken = self
                .retraining
                .store()
                .write_async(move |tx| runs::take(tx, &found, &holder, now, now + HOLD))
                .await?;
            if let Some(row) = taken {
                return self.attempt(row).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Runs of processes that are certainly gone need not wait for their time to run out.
    async fn free_the_dead(&self) -> Result<()> {
        let now = self.retraining.now();
        let held = self
            .retraining
            .store()
            .read_async(move |conn| runs::held(conn, now))
            .await?;
        let dead: Vec<Hold> = held
            .iter()
            .filter_map(RunRow::hold)
            .filter(|hold| hold.holder != EXTERNAL_HOLDER && (self.is_gone)(&hold.holder))
            .collect();
        if dead.is_empty() {
            return Ok(());
        }
        self.retraining
            .store()
            .write_async(move |tx| {
                dead.iter()
                    .try_for_each(|hold| runs::prolong(tx, hold, now).map(|_| ()))
            })
            .await
    }

    async fn attempt(&self, row: RunRow) -> Result<Left> {
        let mut run = Run::read(row)?;
        let Some(hold) = run.row.hold() else {
            // A run that was just taken has a holder.
            return Ok(self.left(&run, run.status()));
        };
        let now = self.retraining.now();
        if run.body.external {
            let why = "no result came in time from the external trainer";
            return self.give_up(run, hold, why).await;
        }
        if run.row.attempts > MOST_ATTEMPTS {
            let why = format!("given up after {MOST_ATTEMPTS} attempts, none of which ended");
            return self.give_up(run, hold, &why).await;
        }
        run.body.started_wall = Some(now);
        run.body.reason = "is being worked on".to_owned();
        tracing::info!(
            run = run.row.id,
            model = run.row.model,
            attempt = run.row.attempts,
            "a retraining run begins"
        );
        let model = run.row.model.clone();
        self.retraining.metrics().retrain_active(&model, true);
        let outcome = self.watch(&run, &hold).await;
        self.retraining.metrics().retrain_active(&model, false);
        let judged = match outcome? {
            Ok(judged) => judged,
            Err(Trouble::Stopped) => return Ok(self.left(&run, Status::Cancelled)),
            Err(Trouble::Other(error)) => return self.postpone(run, hold, &error).await,
        };
        match conclude(&self.retraining, run.clone(), hold.clone(), judged).await {
            Ok(Some(status)) => Ok(self.left(&run, status)),
            Ok(None) => Ok(self.left(&run, Status::Cancelled)),
            Err(super::Denied::Store(error)) => Err(error),
            Err(error) => self.postpone(run, hold, &anyhow::Error::new(error)).await,
        }
    }

    fn left(&self, run: &Run, status: Status) -> Left {
        self.retraining.tell_changed();
        tracing::info!(
            run = run.row.id,
            model = run.row.model,
            status = status.as_str(),
            "a retraining run is left"
        );
        Left {
            run: run.row.id.clone(),
            model: run.row.model.clone(),
            status,
        }
    }

    /// Does the job, and meanwhile says that it is alive and how far it is. The run may be called off under it.
    async fn watch(&self, run: &Run, hold: &Hold) -> Result<std::result::Result<Judged, Trouble>> {
        let watched = Watched::default();
        let _stop = StopOnDrop(watched.clone());
        let job = job::work(&self.retraining, run, &watched);
        tokio::pin!(job);
        let mut told: Option<Progress> = None;
        loop {
            tokio::select! {
                biased;
                judged = &mut job => return Ok(judged),
                () = tokio::time::sleep(BEAT) => {}
            }
            let now = self.retraining.now();
            let progress = watched.progress();
            let note = (progress != told).then(|| {
                let mut body = run.body.clone();
                body.progress.clone_from(&progress);
                let judging = progress.as_ref().is_some_and(|at| at.stage == "judging");
                (
                    body,
                    if judging {
                        Status::Judging
                    } else {
                        Status::Training
                    },
                )
            });
            told = progress;
            let held = hold.clone();
            let alive = self
                .retraining
                .store()
                .write_async(move |tx| {
                    if let Some((body, status)) = &note {
                        runs::note(tx, &held, *status, &body.to_json()?, now)?;
                    }
                    runs::prolong(tx, &held, now + HOLD)
                })
                .await;
            match alive {
                Ok(true) => {}
                // Cancelled, or taken over by somebody who thought us dead.
                Ok(false) => return Ok(Err(Trouble::Stopped)),
                Err(error) if error.is_busy() || error.is_disk_full() => {
                    tracing::warn!(%error, "progress is not written");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Leaves a run to a later attempt, or lets it fail after too many.
    async fn postpone(&self, mut run: Run, hold: Hold, error: &anyhow::Error) -> Result<Left> {
        tracing::warn!(
            run = run.row.id,
            "a retraining run is in trouble: {error:#}"
        );
        let attempts = run.row.attempts;
        if attempts >= MOST_ATTEMPTS {
            let why = format!("given up after {attempts} attempts: {error:#}");
            return self.give_up(run, hold, &why).await;
        }
        let now = self.retraining.now();
        run.body.progress = None;
        run.body.reason =
            format!("attempt {attempts} was in trouble and another follows: {error:#}");
        let body = run.body.to_json()?;
        let again = now + PAUSE * Millis::from(attempts);
        self.retraining
            .store()
            .write_async(move |tx| runs::finish(tx, &hold, Status::Queued, &body, now, Some(again)))
            .await?;
        Ok(self.left(&run, Status::Queued))
    }

    async fn give_up(&self, run: Run, hold: Hold, why: &str) -> Result<Left> {
        let judged = Judged {
            status: Status::Failed,
            reason: why.to_owned(),
            spans: run.body.spans,
            against: run.body.against.clone(),
            tried: Vec::new(),
            gate: None,
            made: None,
        };
        match conclude(&self.retraining, run.clone(), hold, judged).await {
            Ok(status) => Ok(self.left(&run, status.unwrap_or(Status::Cancelled))),
            Err(super::Denied::Store(error)) => Err(error),
            // Without a model there is nothing but the store that could fail.
            Err(error) => Err(StoreError::Unreadable {
                what: "outcome of a retraining run",
                found: error.to_string(),
            }),
        }
    }
}

/// Ends an attempt with what it came to. `None`: the attempt was over already, and nothing of it counts.
///
/// # Errors
/// When the model file cannot be kept, or the store cannot be written.
pub(super) async fn conclude(
    retraining: &Retraining,
    mut run: Run,
    hold: Hold,
    judged: Judged,
) -> std::result::Result<Option<Status>, super::Denied> {
    let now = retraining.now();
    let made = judged.made;
    if let Some(made) = &made
        && let Some(bytes) = &made.bytes
    {
        // Kept under its hash, so doing it again, or for nothing, does no harm.
        let bytes = bytes.clone();
        retraining.lake().put_model(&made.hash, bytes).await?;
        failpoint("retrain.after_file");
    }
    let reference = match (judged.status, &judged.spans, &made) {
        (Status::Promoted, Some(spans), Some(made)) => {
            let span = Span::new(spans.training.start, spans.hold_out_known_by);
            reference::of_promotion(retraining, &run.row.model, span, &run.row.id, &made.hash)
                .await?
        }
        _ => None,
    };
    run.body.reason = judged.reason;
    run.body.spans = judged.spans;
    run.body.against = judged.against;
    run.body.tried = judged.tried;
    run.body.gate = judged.gate;
    run.body.manifest = made.as_ref().map(|made| made.manifest.clone());
    run.body.progress = None;
    run.body.ended_wall = Some(now);
    let (status, this) = (judged.status, retraining.clone());
    let ended = retraining
        .store()
        .write_async(move |tx| end(tx, &this, run, &hold, status, made, reference, now))
        .await?;
    Ok(ended)
}

#[expect(
    clippy::too_many_arguments,
    reason = "one transaction writes all that a run came to; a struct would be taken apart in the next line"
)]
fn end(
    tx: &Transaction<'_>,
    retraining: &Retraining,
    mut run: Run,
    hold: &Hold,
    status: Status,
    made: Option<Made>,
    reference: Option<champion::NewReference>,
    now: Millis,
) -> Result<Option<Status>> {
    let stands = runs::get(tx, &run.row.id)?;
    if stands
        .and_then(|row| row.status.is_active().then(|| row.hold()).flatten())
        .as_ref()
        != Some(hold)
    {
        return Ok(None);
    }
    let champion = registry::champion(tx, &run.row.model)?;
    let against = run.body.against.clone();
    if let Some(against) = &against
        && champion.as_ref().map_or(0, |champion| champion.seq) != against.seq
    {
        // Judged against somebody who serves no more: that verdict is about nothing.
        run.body.reason = "the champion moved while it was judged; it begins anew".to_owned();
        let body = run.body.to_json()?;
        runs::finish(tx, hold, Status::Queued, &body, now, None)?;
        return Ok(Some(Status::Queued));
    }
    if let Some(made) = &made {
        let version = keep(tx, &run, made)?;
        run.body.challenger = Some(Challenger {
            version,
            hash: made.hash.clone(),
        });
    }
    if status == Status::Promoted
        && let (Some(challenger), Some(against)) = (&run.body.challenger, &against)
    {
        let step = Step {
            model: run.row.model.clone(),
            action: Action::Promote,
            version: challenger.version.clone(),
            hash: Some(challenger.hash.clone()),
            expected_seq: against.seq,
            unregistered: (against.seq == 0).then(|| against.version.clone()),
            reference,
            run: Some(run.row.id.clone()),
            actor: "policy".to_owned(),
            reason: run.body.reason.clone(),
            at: run.row.requested,
            at_wall: now,
        };
        champion::advance(tx, retraining, &step)?;
    }
    if status == Status::Proposed {
        let why = format!("run {} proposes a newer model", run.row.id);
        champion::overtake(tx, &run.row.model, Some(&run.row.id), &why, now)?;
    }
    runs::finish(tx, hold, status, &run.body.to_json()?, now, None)?;
    tell(tx, retraining, &run, status)?;
    Ok(Some(status))
}

/// Keeps the row of a challenger; returns its version. The same file, made again, keeps the version it has.
fn keep(tx: &Transaction<'_>, run: &Run, made: &Made) -> Result<String> {
    if let Some(known) = registry::file(tx, &run.row.model, &made.hash)? {
        return Ok(known.version);
    }
    let version = match &run.body.challenger {
        Some(named) => named.version.clone(),
        None => registry::next_version(tx, &run.row.model, &made.hash)?,
    };
    let against = run.body.against.as_ref();
    let card = Card {
        model: run.row.model.clone(),
        version: version.clone(),
        hash: made.hash.clone(),
        parent: against.map(|against| Parent {
            version: against.version.clone(),
            hash: against.hash.clone(),
        }),
        run: Some(run.row.id.clone()),
        created: run.row.requested,
        reason: run.body.request.reason.clone(),
        features: made.features.clone(),
        tried: run.body.tried.clone(),
        gate: run.body.gate.clone(),
        manifest: made.manifest.clone(),
    };
    let file = ModelFile {
        hash: made.hash.clone(),
        model: run.row.model.clone(),
        version: version.clone(),
        parent: against.and_then(|against| against.hash.clone()),
        run: Some(run.row.id.clone()),
        path: made
            .bytes
            .is_some()
            .then(|| format!("models/{}.json", made.hash)),
        created: run.row.requested,
        manifest: serde_json::to_string(&made.manifest)?,
        card: serde_json::to_string(&card)?,
    };
    registry::insert_file(tx, &file)?;
    Ok(version)
}

/// Tells how a run ended.
pub(super) fn tell(
    tx: &Transaction<'_>,
    retraining: &Retraining,
    run: &Run,
    status: Status,
) -> Result<()> {
    let gate = run.body.gate.as_ref();
    let told = CompletedData {
        model: run.row.model.clone(),
        version: match &run.body.against {
            Some(against) => against.version.clone(),
            None => run.row.version.clone(),
        },
        run: run.row.id.clone(),
        status: status.as_str().to_owned(),
        reason: run.body.reason.clone(),
        challenger: run.body.challenger.as_ref().map(|made| ChallengerData {
            version: made.version.clone(),
            hash: made.hash.clone(),
        }),
        gain: gate
            .and_then(|gate| gate.gain.as_ref())
            .map(|gain| GainData {
                mean: gain.mean,
                lower: gain.lower,
                upper: gain.upper,
            }),
    };
    let id = digest(&["retrain.completed", &run.row.id, status.as_str()]);
    let event = retrain_completed(&id, run.row.requested, told);
    notify::enqueue(tx, &retraining.audience().events, &event)?;
    Ok(())
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
