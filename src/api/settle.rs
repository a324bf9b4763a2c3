//! Asking the service to bring what it has read to an end: commit it, close what is due, answer.
//!
//! A step-by-step producer (the demo, a test, a backfill script) waits for this between its steps. Nobody needs it in
//! ordinary operation, where commits and closings come by themselves.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::params::Strict;
use super::problem::{Kind, Problem, ProblemBody};
use crate::rules::duration;

/// How long a settle is waited for when the request does not say.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait that may be asked for; the guard gives up every request a little later.
const LONGEST_PATIENCE: Duration = Duration::from_secs(600);
/// Settle requests that may wait for the service at a time: the capacity of the channel in [`App`].
pub const QUEUE: usize = 16;

/// A request to the service. Dropping `done` without an answer says that it cannot be settled now. Where `done` is
/// closed, nobody waits any more and the request may be passed over.
#[derive(Debug)]
pub struct SettleRequest {
    pub done: oneshot::Sender<Settled>,
}

/// What was settled: all that was in the assigned partitions when the request came is read, committed and, where
/// windows were due, closed and judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settled {
    /// Records committed on the way.
    pub records: u64,
    /// Windows closed on the way, revisions included.
    pub windows: u64,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SettleQuery {
    /// How long to wait for the answer, `10s` for example; at most `10m`.
    #[param(example = "10s")]
    timeout: Option<String>,
}

/// Commits what was read up to now, closes what is due, and answers when that is done.
#[utoipa::path(post, path = "/api/v1/settle", tag = "service", params(SettleQuery), responses(
    (status = 200, body = Settled),
    (status = 503, description = "The service cannot settle now.", body = ProblemBody,
        content_type = "application/problem+json"),
    (status = 504, description = "Not settled within the timeout; the work goes on.", body = ProblemBody,
        content_type = "application/problem+json"),
))]
pub async fn settle(
    State(app): State<App>,
    Strict(query): Strict<SettleQuery>,
) -> Result<Json<Settled>, Problem> {
    let patience = patience(query.timeout.as_deref())?;
    let (done, answer) = oneshot::channel();
    let cannot = || {
        Problem::new(
            Kind::NotReady,
            "the service cannot settle now: it is starting, stopping, or its partitions are being moved",
        )
    };
    app.settle
        .try_send(SettleRequest { done })
        .map_err(|refused| match refused {
            TrySendError::Full(_) => Problem::new(
                Kind::Busy,
                format!("{QUEUE} settle requests are waiting already; ask again in a few seconds"),
            ),
            TrySendError::Closed(_) => cannot(),
        })?;
    match tokio::time::timeout(patience, answer).await {
        Ok(Ok(settled)) => Ok(Json(settled)),
        Ok(Err(_)) => Err(cannot()),
        Err(_) => {
            let detail = format!(
                "not settled within {}s; the work goes on, ask again",
                patience.as_secs_f64()
            );
            Err(Problem::new(Kind::Timeout, detail))
        }
    }
}

fn patience(timeout: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = timeout else {
        return Ok(PATIENCE);
    };
    let length = duration::parse(text)
        .and_then(|millis| u64::try_from(millis).ok())
        .map(Duration::from_millis);
    match length {
        Some(length) if length <= LONGEST_PATIENCE => Ok(length),
        Some(_) => Err(Problem::bad_query(format!(
            "timeout: {text:?} is longer than 10m"
        ))),
        None => Err(Problem::bad_query(format!(
            "timeout: {text:?} is no length of time; write 10s, for example"
        ))),
    }
}
