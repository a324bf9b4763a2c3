//! Retraining runs: what was asked for, how far it is, what came of it, and what people decide about it.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::guard::Caller;
use super::params::{self, Nothing, Part, SMALL_BODY, Strict, Time};
use super::problem::{Kind, Problem, ProblemBody};
use super::retrain::AnswerBody;
use crate::retrain::external::{self, Outcome};
use crate::retrain::{Mode, Run};
use crate::store::StoreError;
use crate::store::runs::{self, Status};

/// A retraining run, in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetrainRun)]
pub struct RunBody {
    id: String,
    model: String,
    /// The version that the request complains of.
    version: String,
    /// `propose` or `promote`: what a win leads to.
    mode: &'static str,
    /// Event time of the request: what was known by then is used, and nothing later.
    requested: Time,
    /// `queued`, `training`, `judging`, `proposed`, `promoted`, `lost`, `blocked`, `failed`, `cancelled` or
    /// `superseded`.
    status: &'static str,
    /// Why it stands there.
    reason: String,
    /// What asked: `webhook`, `alertmanager` or `person`, with rule, reason and figures.
    #[schema(value_type = Object)]
    request: Value,
    /// Version and file hash of what it made.
    #[schema(value_type = Object)]
    challenger: Value,
    /// How far the work is: stage, what is being done, share.
    #[schema(value_type = Object)]
    progress: Value,
    /// Wall time.
    created: Time,
    updated: Time,
}

/// A retraining run with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetrainRunDetail)]
pub struct RunDetail {
    #[serde(flatten)]
    run: RunBody,
    /// The idempotency key of the request.
    key: String,
    /// Somebody else trains, and sends predictions.
    external: bool,
    /// Attempts begun; more than one says that a process died or was in trouble.
    attempts: u32,
    /// Stretches of event time: training, hold-out, embargo. In milliseconds since 1970.
    #[schema(value_type = Object)]
    spans: Value,
    /// The champion that it was judged against.
    #[schema(value_type = Object)]
    against: Value,
    /// Candidates with their loss on validation rows.
    #[schema(value_type = Vec<Object>)]
    tried: Value,
    /// What the challenger was made of.
    #[schema(value_type = Object)]
    manifest: Value,
    /// The comparison with the champion.
    #[schema(value_type = Object)]
    gate: Value,
    /// Who decided last, where a person did.
    decided_by: Option<String>,
    /// Wall time.
    started: Option<Time>,
    ended: Option<Time>,
}

/// Runs, the latest request first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetrainRuns)]
pub struct Runs {
    runs: Vec<RunBody>,
}

fn value(part: &impl Serialize) -> Result<Value, StoreError> {
    Ok(serde_json::to_value(part)?)
}

impl RunBody {
    fn of(run: &Run) -> Result<Self, StoreError> {
        let (row, body) = (&run.row, &run.body);
        Ok(Self {
            id: row.id.clone(),
            model: row.model.clone(),
            version: row.version.clone(),
            mode: run.mode.as_str(),
            requested: Time(row.requested),
            status: row.status.as_str(),
            reason: body.reason.clone(),
            request: value(&body.request)?,
            challenger: value(&body.challenger)?,
            progress: value(&body.progress)?,
            created: Time(row.created_wall),
            updated: Time(row.updated_wall),
        })
    }
}

impl RunDetail {
    pub fn of(run: &Run) -> Result<Self, StoreError> {
        let body = &run.body;
        Ok(Self {
            run: RunBody::of(run)?,
            key: run.row.key.clone(),
            external: body.external,
            attempts: run.row.attempts,
            spans: value(&body.spans)?,
            against: value(&body.against)?,
            tried: value(&body.tried)?,
            manifest: value(&body.manifest)?,
            gate: value(&body.gate)?,
            decided_by: body.decided_by.clone(),
            started: body.started_wall.map(Time),
            ended: body.ended_wall.map(Time),
        })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunsQuery {
    model: Option<String>,
    /// One of the statuses of a run.
    status: Option<String>,
    limit: Option<u32>,
}

/// Retraining runs, the latest request first.
#[utoipa::path(get, path = "/api/v1/retrain-runs", tag = "retraining", params(RunsQuery), responses((status = 200, body = Runs)))]
pub async fn list(
    State(app): State<App>,
    Strict(query): Strict<RunsQuery>,
) -> Result<Json<Runs>, Problem> {
    let limit = params::page(query.limit)?;
    let status = match &query.status {
        None => None,
        Some(name) => Some(Status::parse(name).ok_or_else(|| {
            let known = Status::ALL.map(Status::as_str).join(", ");
            Problem::bad_query(format!("status: {name:?} is none of {known}"))
        })?),
    };
    let found = app
        .store
        .read_async(move |conn| {
            let model = query.model.as_deref();
            let rows = runs::list(
                conn,
                model,
                status,
                u32::try_from(limit).unwrap_or(u32::MAX),
            )?;
            rows.into_iter()
                .map(|row| RunBody::of(&Run::read(row)?))
                .collect()
        })
        .await?;
    Ok(Json(Runs { runs: found }))
}

/// One run with all that is known of it.
#[utoipa::path(get, path = "/api/v1/retrain-runs/{id}", tag = "retraining", params(("id" = String, Path)), responses(
    (status = 200, body = RunDetail),
    (status = 404, description = "No such run.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn one(
    State(app): State<App>,
    Part(id): Part<String>,
    _: Strict<Nothing>,
) -> Result<Json<RunDetail>, Problem> {
    let run = app.retraining.run(&id).await?;
    Ok(Json(RunDetail::of(&run)?))
}

/// A run that somebody asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunAsked {
    model: String,
    /// Why, for whoever reads it later.
    #[serde(default)]
    reason: String,
    /// `propose` (the default), or `promote` where the model's declaration promotes.
    #[serde(default)]
    mode: Option<String>,
    /// Somebody else trains and sends predictions of the hold-out.
    #[serde(default)]
    external: bool,
    /// Two requests with the same key are one.
    #[serde(default)]
    key: Option<String>,
}

/// Asks for a run of a model now, with what is known of it now.
#[utoipa::path(post, path = "/api/v1/retrain-runs", tag = "retraining", request_body = RunAsked, responses(
    (status = 202, description = "It is a run now.", body = AnswerBody),
    (status = 200, description = "The key was answered before.", body = AnswerBody),
    (status = 409, description = "A run of the model is active.", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "The model cannot be trained.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn ask(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    _: Strict<Nothing>,
    body: Body,
) -> Result<Response, Problem> {
    let retraining = &app.retraining;
    let asked: RunAsked = params::json(body, SMALL_BODY).await?;
    let mode = match asked.mode.as_deref() {
        None => Mode::Propose,
        Some(name) => Mode::parse(name).ok_or_else(|| {
            let said = format!("mode: {name:?} is neither propose nor promote");
            Problem::new(Kind::BadBody, said)
        })?,
    };
    let answer = retraining
        .ask_for(
            asked.key,
            &asked.model,
            mode,
            &asked.reason,
            asked.external,
            &caller.name,
        )
        .await??;
    let (status, body) = AnswerBody::of(&answer);
    Ok((status, Json(body)).into_response())
}

/// Promotes what a run proposes, if the champion is still the one it was judged against.
#[utoipa::path(post, path = "/api/v1/retrain-runs/{id}/approve", tag = "retraining", params(("id" = String, Path)), responses(
    (status = 200, body = RunDetail),
    (status = 404, description = "No such run.", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "It proposes nothing, or another champion serves.", body = ProblemBody,
        content_type = "application/problem+json"),
))]
pub async fn approve(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Part(id): Part<String>,
    _: Strict<Nothing>,
) -> Result<Json<RunDetail>, Problem> {
    let run = app.retraining.approve(&id, &caller.name).await?;
    Ok(Json(RunDetail::of(&run)?))
}

/// Calls a run off that has not ended.
#[utoipa::path(post, path = "/api/v1/retrain-runs/{id}/cancel", tag = "retraining", params(("id" = String, Path)), responses(
    (status = 200, body = RunDetail),
    (status = 404, description = "No such run.", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "It has ended.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn cancel(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Part(id): Part<String>,
    _: Strict<Nothing>,
) -> Result<Json<RunDetail>, Problem> {
    let run = app.retraining.cancel(&id, &caller.name).await?;
    Ok(Json(RunDetail::of(&run)?))
}

/// The rows that an external trainer has to predict.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldOutBody {
    run: String,
    /// Event time of the rows.
    start: Time,
    end: Time,
    /// Rows before this may be learned from, with labels that came before `start`.
    train_until: Time,
    /// The champion that logged these rows.
    version: String,
    /// All rows, whatever the page.
    rows: usize,
    /// Ids in order.
    ids: Vec<String>,
    /// `after` of the next page, if there is one.
    next: Option<String>,
}

/// Most ids of a page.
const IDS: usize = 100_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HoldOutQuery {
    /// Ids behind this one.
    after: Option<String>,
}

/// The ids of the rows that the external trainer of a run has to predict, all of them.
#[utoipa::path(get, path = "/api/v1/retrain-runs/{id}/hold-out", tag = "retraining",
    params(("id" = String, Path), HoldOutQuery), responses(
    (status = 200, body = HoldOutBody),
    (status = 404, description = "No such run.", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "It waits for no external trainer.", body = ProblemBody,
        content_type = "application/problem+json"),
))]
pub async fn hold_out(
    State(app): State<App>,
    Part(id): Part<String>,
    Strict(query): Strict<HoldOutQuery>,
) -> Result<Json<HoldOutBody>, Problem> {
    let found = app.retraining.hold_out(&id).await?;
    let rows = found.ids.len();
    let behind = |wanted: &String| query.after.as_ref().is_none_or(|after| wanted > after);
    let mut ids: Vec<String> = found.ids.into_iter().filter(behind).take(IDS + 1).collect();
    let more = ids.len() > IDS;
    ids.truncate(IDS);
    Ok(Json(HoldOutBody {
        run: id,
        start: Time(found.spans.hold_out.start),
        end: Time(found.spans.hold_out.end),
        train_until: Time(found.spans.training.end),
        version: found.against.version,
        rows,
        next: ids.last().filter(|_| more).cloned(),
        ids,
    }))
}

/// Judges the predictions of an external trainer and ends the run. Every row of the hold-out needs a prediction.
#[utoipa::path(post, path = "/api/v1/retrain-runs/{id}/result", tag = "retraining", params(("id" = String, Path)),
    request_body(content = Object, description = "`{version, artefact: {uri, sha256}, predictions: [{id, label, value, scores}]}`"),
    responses(
    (status = 200, body = RunDetail),
    (status = 404, description = "No such run.", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "It waits for no result, or the version is taken.", body = ProblemBody,
        content_type = "application/problem+json"),
    (status = 422, description = "Rows without prediction; the detail says how many.", body = ProblemBody,
        content_type = "application/problem+json"),
))]
pub async fn result(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Part(id): Part<String>,
    _: Strict<Nothing>,
    body: Body,
) -> Result<Json<RunDetail>, Problem> {
    let retraining = &app.retraining;
    let outcome: Outcome = params::json(body, external::BODY_BYTES_MAX).await?;
    let run = retraining.submit(&id, outcome, &caller.name).await?;
    Ok(Json(RunDetail::of(&run)?))
}
