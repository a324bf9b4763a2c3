//! Whether the process lives, and whether it is ready. No token is needed for either.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::problem::{Kind, Problem};

/// How far the service is with its start; the service publishes it, this file only shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Kafka has said which partitions this process reads.
    pub assigned: bool,
    /// How many partitions that are.
    pub partitions: usize,
    /// The state of every assigned partition was restored from the store.
    pub restored: bool,
}

impl Readiness {
    pub fn is_ready(self) -> bool {
        self.assigned && self.restored
    }
}

/// What is running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Build {
    /// Version of driftline.
    pub version: String,
    /// Commit that it was built from, empty when not known.
    pub revision: String,
}

/// The process answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alive {
    /// Always `alive`.
    status: &'static str,
    #[serde(flatten)]
    build: Build,
}

/// Whether the process lives. It says nothing of Kafka or the store: a restart would not help either.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Alive)))]
pub async fn live(State(app): State<App>) -> Json<Alive> {
    Json(Alive {
        status: "alive",
        build: app.build.clone(),
    })
}

/// Whether partitions are assigned and their state is restored.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, body = Readiness),
    (status = 503, description = "Not yet; the detail says what is missing.", body = super::problem::ProblemBody,
        content_type = "application/problem+json"),
))]
pub async fn ready(State(app): State<App>) -> Result<Json<Readiness>, Problem> {
    let readiness = *app.readiness.borrow();
    let missing = match readiness {
        Readiness {
            assigned: false, ..
        } => "no partitions are assigned yet",
        Readiness {
            restored: false, ..
        } => "the state of the assigned partitions is not restored yet",
        Readiness {
            assigned: true,
            restored: true,
            ..
        } => return Ok(Json(readiness)),
    };
    Err(Problem::new(Kind::NotReady, missing))
}
