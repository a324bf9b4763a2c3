//! Where requests to retrain come in: signed webhooks, and Alertmanager's.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::guard::Caller;
use super::params::{self, Nothing, Strict};
use super::problem::{Kind, Problem, ProblemBody};
use crate::notify::signature;
use crate::retrain::alertmanager::{self, Outcome, Payload, Taken};
use crate::retrain::receiver::{self, Answer, Signed};

/// What became of a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetrainAnswer)]
pub struct AnswerBody {
    /// `accepted`: it is a run now. `repeated`: the same key asked before; this is its run. `refused`: the same key
    /// was refused before, and stays so.
    outcome: &'static str,
    /// The run that it became.
    run: Option<String>,
    /// Where that run stands.
    status: Option<&'static str>,
    /// Whether the same key came before.
    duplicate: bool,
    reason: String,
}

impl AnswerBody {
    pub fn of(answer: &Answer) -> (StatusCode, Self) {
        let reason = answer.to_string();
        match answer {
            Answer::Accepted { run } => (
                StatusCode::ACCEPTED,
                Self {
                    outcome: "accepted",
                    run: Some(run.clone()),
                    status: None,
                    duplicate: false,
                    reason,
                },
            ),
            Answer::Repeated { run, status } => (
                StatusCode::OK,
                Self {
                    outcome: "repeated",
                    run: Some(run.clone()),
                    status: Some(status.as_str()),
                    duplicate: true,
                    reason,
                },
            ),
            Answer::RefusedBefore { reason } => (
                StatusCode::OK,
                Self {
                    outcome: "refused",
                    run: None,
                    status: None,
                    duplicate: true,
                    reason: reason.clone(),
                },
            ),
        }
    }
}

/// What became of each alert of an Alertmanager webhook.
#[derive(Debug, Serialize, ToSchema)]
struct AlertsTaken {
    alerts: Vec<AlertTaken>,
    /// Alerts that Alertmanager left out of its message.
    truncated: u64,
}

/// What became of one alert.
#[derive(Debug, Serialize, ToSchema)]
struct AlertTaken {
    fingerprint: String,
    model: Option<String>,
    /// `accepted`, `repeated`, `refused` or `ignored`.
    outcome: &'static str,
    run: Option<String>,
    reason: String,
}

impl From<Taken> for AlertTaken {
    fn from(taken: Taken) -> Self {
        let (outcome, run, reason) = match taken.outcome {
            Outcome::Asked(answer) => {
                let (_, body) = AnswerBody::of(&answer);
                (body.outcome, body.run, body.reason)
            }
            Outcome::Refused(refused) => ("refused", None, refused.to_string()),
            Outcome::Ignored(why) => ("ignored", None, why.to_owned()),
        };
        Self {
            fingerprint: taken.fingerprint,
            model: taken.model,
            outcome,
            run,
            reason,
        }
    }
}

/// Asks for a run by a signed webhook (Standard Webhooks 1.0) with an event io.driftline.retrain.requested.v1. Needs
/// no token: the signature says who sends it.
#[utoipa::path(post, path = "/retrain", tag = "retraining",
    request_body(content = Object, content_type = "application/cloudevents+json"),
    responses(
        (status = 202, description = "It is a run now.", body = AnswerBody),
        (status = 200, description = "The key was answered before.", body = AnswerBody),
        (status = 401, description = "Not signed, wrongly signed, or too old or new.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 409, description = "A run of the model is active, or its data is not known yet.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 422, description = "Not such an event, or not of a model that can be trained.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub async fn receive(
    State(app): State<App>,
    headers: HeaderMap,
    _: Strict<Nothing>,
    body: Body,
) -> Result<Response, Problem> {
    let retraining = &app.retraining;
    let body = params::body(body, receiver::BODY_BYTES_MAX).await?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let signed = Signed {
        id: header(signature::ID_HEADER),
        timestamp: header(signature::TIMESTAMP_HEADER),
        signature: header(signature::SIGNATURE_HEADER),
    };
    let answer = retraining.receive(signed, &body).await??;
    let (status, body) = AnswerBody::of(&answer);
    Ok((status, Json(body)).into_response())
}

/// Asks for runs by Alertmanager's webhook, version 4: one for each firing alert with a label `model`.
#[utoipa::path(post, path = "/retrain/alertmanager", tag = "retraining", request_body(content = Object), responses(
    (status = 202, description = "At least one alert is a run now.", body = AlertsTaken),
    (status = 200, description = "None is; each says why.", body = AlertsTaken),
    (status = 422, description = "Not such a message.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn from_alertmanager(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    _: Strict<Nothing>,
    body: Body,
) -> Result<Response, Problem> {
    let retraining = &app.retraining;
    let body = params::body(body, alertmanager::BODY_BYTES_MAX).await?;
    let payload = Payload::parse(&body).map_err(|said| Problem::new(Kind::BadBody, said))?;
    let alerts: Vec<AlertTaken> = retraining
        .receive_alerts(&payload, &caller.name)
        .await?
        .into_iter()
        .map(AlertTaken::from)
        .collect();
    let status = if alerts.iter().any(|alert| alert.outcome == "accepted") {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let truncated = payload.truncated;
    Ok((status, Json(AlertsTaken { alerts, truncated })).into_response())
}
