//! What people decide: approving and calling off runs, moving a champion without a win, going back, saying who serves.
//!
//! **Invariant:** each is one transaction that states who did it; what a decision was based on is compared inside it,
//! so that nobody approves what is out of date.

use super::champion::{self, Step};
use super::manifest::{Card, FORMAT, Manifest, Origin};
use super::run::{Mode, Request, Run, Source};
use super::worker;
use super::{Answer, Denied, Refused, Retraining, reference};
use crate::event::{Millis, Span};
use crate::learn::Model;
use crate::store::StoreError;
use crate::store::registry::{self, Action, ModelFile};
use crate::store::runs::{self, Status};

use super::receiver::Asked;

/// What somebody wants to serve without a win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The challenger of a run, by its id.
    Run(String),
    Version(String),
    Hash(String),
}

/// What is put into a champion's place.
struct Found {
    version: String,
    hash: Option<String>,
    run: Option<Run>,
}

impl Retraining {
    /// Asks for a run on behalf of a person.
    ///
    /// # Errors
    /// As [`Retraining::receive`].
    pub async fn ask_for(
        &self,
        key: Option<String>,
        model: &str,
        mode: Mode,
        reason: &str,
        external: bool,
        actor: &str,
    ) -> Result<Result<Answer, Refused>, StoreError> {
        let name = model.to_owned();
        let champion = self
            .store()
            .read_async(move |conn| {
                let champion = registry::champion(conn, &name)?;
                let known = runs::known_until(conn, &name)?;
                Ok((champion, known))
            })
            .await?;
        let (champion, known) = champion;
        // Without a key of their own, two requests of the same state are one.
        let known = known.unwrap_or_default().to_string();
        let key = key.unwrap_or_else(|| super::digest(&["asked", model, &known, reason, actor]));
        let asked = Asked {
            key,
            model: model.to_owned(),
            version: champion
                .map(|champion| champion.version)
                .unwrap_or_default(),
            requested: None,
            external,
            request: Request {
                source: Source::Person,
                actor: actor.to_owned(),
                reason: reason.to_owned(),
                asked: mode,
                rule: String::new(),
                metric: String::new(),
                segment: String::new(),
                window: None,
                value: None,
                reference: None,
                limit: None,
            },
        };
        self.ask(asked).await
    }

    /// A run by its id.
    ///
    /// # Errors
    /// There is none.
    pub async fn run(&self, id: &str) -> Result<Run, Denied> {
        let wanted = id.to_owned();
        let row = self
            .store()
            .read_async(move |conn| runs::get(conn, &wanted))
            .await?;
        match row {
            Some(row) => Ok(Run::read(row)?),
            None => Err(Denied::Unknown(format!(
                "there is no run {id:?}; `driftline runs list` shows those there are"
            ))),
        }
    }

    /// Promotes what a run proposes.
    ///
    /// # Errors
    /// The run proposes nothing, or another champion serves than the one it was judged against.
    pub async fn approve(&self, id: &str, actor: &str) -> Result<Run, Denied> {
        let run = self.run(id).await?;
        if run.status() != Status::Proposed {
            return Err(Denied::Conflict(format!(
                "run {id} is {}; only a proposed one can be approved",
                run.status().as_str()
            )));
        }
        let (Some(challenger), Some(against)) = (&run.body.challenger, &run.body.against) else {
            return Err(Denied::Conflict(format!("run {id} has no challenger")));
        };
        let step = Step {
            model: run.row.model.clone(),
            action: Action::Promote,
            version: challenger.version.clone(),
            hash: Some(challenger.hash.clone()),
            expected_seq: against.seq,
            unregistered: (against.seq == 0).then(|| against.version.clone()),
            reference: self
                .reference_of(Some(&run), Some(&challenger.hash))
                .await?,
            run: Some(run.row.id.clone()),
            actor: actor.to_owned(),
            reason: format!("approved by {actor}: {}", run.body.reason),
            at: self.event_now(&run.row.model).await?.max(run.row.requested),
            at_wall: self.now(),
        };
        self.promote(step, Some(run)).await?;
        self.run(id).await
    }

    /// Calls a run off that has not ended.
    ///
    /// # Errors
    /// It has ended.
    pub async fn cancel(&self, id: &str, actor: &str) -> Result<Run, Denied> {
        let mut run = self.run(id).await?;
        let ended = |run: &Run| {
            Denied::Conflict(format!(
                "run {id} is {}; only one that has not ended can be called off",
                run.status().as_str()
            ))
        };
        if !run.status().is_active() {
            return Err(ended(&run));
        }
        let now = self.now();
        run.body.reason = format!("called off by {actor}");
        run.body.decided_by = Some(actor.to_owned());
        run.body.ended_wall = Some(now);
        run.body.progress = None;
        let this = self.clone();
        let done = self
            .store()
            .write_async(move |tx| {
                // The attempt under way, whichever it is by now: its worker finds out at its next beat.
                let Some(row) = runs::get(tx, &run.row.id)?.filter(|row| row.status.is_active())
                else {
                    return Ok(false);
                };
                runs::decide(tx, &row, Status::Cancelled, &run.body.to_json()?, now)?;
                worker::tell(tx, &this, &run, Status::Cancelled)?;
                Ok(true)
            })
            .await?;
        self.tell_changed();
        let run = self.run(id).await?;
        if done { Ok(run) } else { Err(ended(&run)) }
    }

    /// Makes a model the champion without a win at the gate.
    ///
    /// # Errors
    /// It is not known, serves already, or the champion moved meanwhile.
    pub async fn force(&self, model: &str, wanted: &Wanted, actor: &str) -> Result<(), Denied> {
        let found = self.find(model, wanted).await?;
        let name = model.to_owned();
        let champion = self
            .store()
            .read_async(move |conn| registry::champion(conn, &name))
            .await?;
        if let Some(champion) = &champion
            && champion.version == found.version
        {
            return Err(Denied::Conflict(format!(
                "version {} of {model} is the champion already",
                found.version
            )));
        }
        let against = found.run.as_ref().and_then(|run| run.body.against.clone());
        let step = Step {
            model: model.to_owned(),
            action: Action::Force,
            version: found.version,
            hash: found.hash.clone(),
            expected_seq: champion.as_ref().map_or(0, |champion| champion.seq),
            unregistered: against.map(|against| against.version),
            reference: self
                .reference_of(found.run.as_ref(), found.hash.as_deref())
                .await?,
            run: found.run.as_ref().map(|run| run.row.id.clone()),
            actor: actor.to_owned(),
            reason: format!("forced by {actor}"),
            at: self.event_now(model).await?,
            at_wall: self.now(),
        };
        self.promote(step, found.run).await
    }

    /// Puts an earlier champion back: the one before, or the one of that version. Returns its version.
    ///
    /// # Errors
    /// There is none.
    pub async fn rollback(
        &self,
        model: &str,
        to: Option<&str>,
        actor: &str,
    ) -> Result<String, Denied> {
        let name = model.to_owned();
        let (champion, moves) = self
            .store()
            .read_async(move |conn| {
                Ok((
                    registry::champion(conn, &name)?,
                    registry::moves(conn, &name)?,
                ))
            })
            .await?;
        let Some(champion) = champion else {
            return Err(Denied::Unknown(format!("{model} has no champion")));
        };
        let past = match to {
            None => champion::before(&moves).ok_or_else(|| {
                Denied::Conflict(format!(
                    "nobody served before version {} of {model}",
                    champion.version
                ))
            })?,
            Some(version) => moves
                .iter()
                .rev()
                .find(|past| past.version == version && version != champion.version)
                .cloned()
                .ok_or_else(|| {
                    Denied::Conflict(format!(
                        "version {version:?} of {model} did not serve before version {}",
                        champion.version
                    ))
                })?,
        };
        let version = past.version.clone();
        let step = Step {
            model: model.to_owned(),
            action: Action::Rollback,
            version: past.version,
            hash: past.hash,
            expected_seq: champion.seq,
            unregistered: None,
            // It has the one that it had.
            reference: None,
            run: None,
            actor: actor.to_owned(),
            reason: format!("rolled back from version {} by {actor}", champion.version),
            at: self.event_now(model).await?,
            at_wall: self.now(),
        };
        self.promote(step, None).await?;
        Ok(version)
    }

    /// Says who serves, where driftline does not know: the version, and the model file if it is one of ours. Returns
    /// the file's hash.
    ///
    /// # Errors
    /// Another champion is known, nobody declares the model, or the file is none.
    pub async fn register(
        &self,
        model: &str,
        version: &str,
        file: Option<Vec<u8>>,
        actor: &str,
    ) -> Result<Option<String>, Denied> {
        if self.declaration(model).is_none() {
            return Err(Denied::Unknown(format!(
                "no declaration covers the model {model:?}"
            )));
        }
        let at = self.event_now(model).await?;
        let row = match file {
            Some(bytes) => Some(self.keep(model, version, &bytes, at, actor).await?),
            None => None,
        };
        let hash = row.as_ref().map(|row| row.hash.clone());
        let step = Step {
            model: model.to_owned(),
            action: Action::Register,
            version: version.to_owned(),
            hash: hash.clone(),
            expected_seq: 0,
            unregistered: None,
            reference: None,
            run: None,
            actor: actor.to_owned(),
            reason: format!("registered by {actor}"),
            at,
            at_wall: self.now(),
        };
        let (this, name) = (self.clone(), model.to_owned());
        let done = self
            .store()
            .write_async(move |tx| {
                if let Some(champion) = registry::champion(tx, &name)? {
                    return Ok(Err(champion.version));
                }
                if let Some(row) = &row
                    && !registry::insert_file(tx, row)?
                    && registry::file(tx, &name, &row.hash)?
                        .is_none_or(|known| known.version != row.version)
                {
                    return Ok(Err(row.version.clone()));
                }
                champion::advance(tx, &this, &step)?;
                Ok(Ok(()))
            })
            .await?;
        match done {
            Ok(()) => Ok(hash),
            Err(known) => Err(Denied::Conflict(format!(
                "version {known:?} of {model} is known already; `driftline models promote --force` puts another in its place"
            ))),
        }
    }

    /// Keeps a model file that somebody brought.
    async fn keep(
        &self,
        model: &str,
        version: &str,
        bytes: &[u8],
        created: Millis,
        actor: &str,
    ) -> Result<ModelFile, Denied> {
        let read = Model::from_bytes(bytes).map_err(|error| Denied::Unusable(error.to_string()))?;
        let hash = read.hash();
        self.lake().put_model(&hash, bytes.to_vec()).await?;
        let manifest = Manifest {
            format: FORMAT,
            origin: Origin::Registered,
            model: model.to_owned(),
            task: read.task().name().to_owned(),
            positive: None,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            layout: None,
            spans: None,
            training: None,
            hold_out: None,
            seed: read.seed(),
            candidate: Some(read.candidate().clone()),
            policy: None,
            artefact: None,
        };
        let card = Card {
            model: model.to_owned(),
            version: version.to_owned(),
            hash: hash.clone(),
            parent: None,
            run: None,
            created,
            reason: format!("registered by {actor}"),
            features: read
                .features()
                .into_iter()
                .map(|feature| feature.name.clone())
                .collect(),
            tried: Vec::new(),
            gate: None,
            manifest: manifest.clone(),
        };
        Ok(ModelFile {
            path: Some(format!("models/{hash}.json")),
            hash,
            model: model.to_owned(),
            version: version.to_owned(),
            parent: None,
            run: None,
            created,
            manifest: serde_json::to_string(&manifest).map_err(StoreError::from)?,
            card: serde_json::to_string(&card).map_err(StoreError::from)?,
        })
    }

    async fn find(&self, model: &str, wanted: &Wanted) -> Result<Found, Denied> {
        if let Wanted::Run(id) = wanted {
            let run = self.run(id).await?;
            if run.row.model != model {
                return Err(Denied::Unknown(format!("run {id} is not one of {model}")));
            }
            if run.status().is_active() {
                return Err(Denied::Conflict(format!("run {id} has not ended")));
            }
            let Some(challenger) = run.body.challenger.clone() else {
                return Err(Denied::Conflict(format!("run {id} has no challenger")));
            };
            return Ok(Found {
                version: challenger.version,
                hash: Some(challenger.hash),
                run: Some(run),
            });
        }
        let (name, by) = (model.to_owned(), wanted.clone());
        let file = self
            .store()
            .read_async(move |conn| match by {
                Wanted::Hash(hash) => registry::file(conn, &name, &hash),
                Wanted::Version(version) => registry::file_of_version(conn, &name, &version),
                Wanted::Run(run) => registry::file_of_run(conn, &run),
            })
            .await?;
        let Some(file) = file else {
            return Err(Denied::Unknown(format!(
                "{model} has no such model in the registry; `driftline models list` shows those it has"
            )));
        };
        let run = match &file.run {
            Some(id) => Some(self.run(id).await?),
            None => None,
        };
        Ok(Found {
            version: file.version,
            hash: Some(file.hash),
            run,
        })
    }

    /// The transaction of a promotion that a person decided, with the run that it comes from.
    async fn promote(&self, step: Step, run: Option<Run>) -> Result<(), Denied> {
        let (this, model) = (self.clone(), step.model.clone());
        let now = self.now();
        let done = self
            .store()
            .write_async(move |tx| {
                if let Some(run) = &run {
                    let stands = runs::get(tx, &run.row.id)?;
                    if stands.is_none_or(|row| row.status != run.status()) {
                        return Ok(false);
                    }
                }
                if !champion::advance(tx, &this, &step)? {
                    return Ok(false);
                }
                // One that was promoted before, and went back, stays as it ended.
                let Some(mut run) = run.filter(|run| run.status() != Status::Promoted) else {
                    return Ok(true);
                };
                run.body.reason.clone_from(&step.reason);
                run.body.decided_by = Some(step.actor.clone());
                runs::decide(tx, &run.row, Status::Promoted, &run.body.to_json()?, now)?;
                worker::tell(tx, &this, &run, Status::Promoted)?;
                Ok(true)
            })
            .await?;
        self.tell_changed();
        if done {
            Ok(())
        } else {
            Err(Denied::Conflict(format!(
                "the champion of {model} is another one than this was judged against; ask for a new run"
            )))
        }
    }

    /// The reference that goes with the challenger of a run.
    async fn reference_of(
        &self,
        run: Option<&Run>,
        hash: Option<&str>,
    ) -> Result<Option<champion::NewReference>, Denied> {
        match (run, run.and_then(span_of), hash) {
            (Some(run), Some(span), Some(hash)) => {
                reference::of_promotion(self, &run.row.model, span, &run.row.id, hash).await
            }
            // Nothing says what it was made of.
            _ => Ok(None),
        }
    }

    /// Event time by which everything of a model's predictions is committed; wall time while there are none.
    async fn event_now(&self, model: &str) -> Result<Millis, Denied> {
        let name = model.to_owned();
        let committed = self
            .store()
            .read_async(move |conn| runs::committed_until(conn, &name))
            .await?;
        Ok(committed.unwrap_or_else(|| self.now()))
    }
}

fn span_of(run: &Run) -> Option<Span> {
    run.body
        .spans
        .map(|spans| Span::new(spans.training.start, spans.hold_out_known_by))
}
