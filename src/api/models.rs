//! The watched models: what each is judged by, and how far its windows are closed.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::params::{Nothing, Part, Strict, Time};
use super::problem::{Problem, ProblemBody};
use super::windows::Window;
use crate::rules::alert::AlertStatus;
use crate::store::models::{self, Model};
use crate::store::references::{self, ReferenceRow};
use crate::store::windows::{self, WindowFilter};
use crate::store::{StoreError, alerts, streams};

/// A watched model.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelBody {
    model: String,
    /// The file that declares it.
    declared_in: String,
    /// Start of its first window, once known.
    first_window: Option<Time>,
    /// End of the last window closed.
    closed_through: Option<Time>,
    /// Hash of its layout: column types and cells. Absent until enough was seen to make one.
    layout_hash: Option<String>,
    /// Hash of its reference. Absent until there is one.
    reference_hash: Option<String>,
}

/// All watched models, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Models {
    models: Vec<ModelBody>,
}

/// A watched model with what is newest of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelDetail {
    #[serde(flatten)]
    model: ModelBody,
    reference: Option<ReferenceBody>,
    /// Event time up to which all its partitions have committed.
    watermark: Option<Time>,
    /// Rows that count in a window, over all partitions.
    rows_used: u64,
    /// Rules that are firing.
    firing: Vec<String>,
    /// The newest window of any version and segment.
    newest_window: Option<Window>,
}

/// What windows are compared with.
#[derive(Debug, Serialize, ToSchema)]
struct ReferenceBody {
    hash: String,
    /// Where it comes from, `first: 30d` for example.
    source: String,
    /// Event time that it spans, where known.
    start: Option<Time>,
    end: Option<Time>,
}

impl From<Model> for ModelBody {
    fn from(model: Model) -> Self {
        Self {
            model: model.model,
            declared_in: model.declared_in,
            first_window: model.first_window.map(Time),
            closed_through: model.closed_through.map(Time),
            layout_hash: model.layout_hash,
            reference_hash: model.reference_hash,
        }
    }
}

impl From<ReferenceRow> for ReferenceBody {
    fn from(row: ReferenceRow) -> Self {
        Self {
            hash: row.hash,
            source: row.source,
            start: row.span.map(|span| Time(span.start)),
            end: row.span.map(|span| Time(span.end)),
        }
    }
}

/// The problem of a model that nobody declares.
pub fn unknown(model: &str) -> Problem {
    Problem::not_found(format!(
        "no model {model:?} is watched; /api/v1/models lists those that are"
    ))
}

/// All watched models, by name.
#[utoipa::path(get, path = "/api/v1/models", tag = "models", responses((status = 200, body = Models)))]
pub async fn list(State(app): State<App>, _: Strict<Nothing>) -> Result<Json<Models>, Problem> {
    let models = app.store.read_async(models::all).await?;
    Ok(Json(Models {
        models: models.into_iter().map(ModelBody::from).collect(),
    }))
}

/// One watched model.
#[utoipa::path(get, path = "/api/v1/models/{model}", tag = "models", params(("model" = String, Path)), responses(
    (status = 200, body = ModelDetail),
    (status = 404, description = "No such model.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn one(
    State(app): State<App>,
    Part(name): Part<String>,
    _: Strict<Nothing>,
) -> Result<Json<ModelDetail>, Problem> {
    let asked = name.clone();
    let found = app
        .store
        .read_async(move |conn| {
            let Some(model) = models::get(conn, &asked)? else {
                return Ok(None);
            };
            let reference = match &model.reference_hash {
                Some(hash) => references::of_model(conn, &asked)?
                    .into_iter()
                    .find(|row| row.hash == *hash),
                None => None,
            };
            let streams = streams::of_model(conn, &asked)?;
            let firing = alerts::list(conn, Some(&asked), Some(AlertStatus::Firing.as_str()))?;
            let newest = WindowFilter {
                model: Some(asked),
                ..WindowFilter::default()
            };
            Ok::<_, StoreError>(Some(ModelDetail {
                model: model.into(),
                reference: reference.map(ReferenceBody::from),
                watermark: streams
                    .iter()
                    .map(|(_, stream)| stream.watermark)
                    .min()
                    .map(Time),
                rows_used: streams.iter().map(|(_, stream)| stream.used).sum(),
                firing: firing.into_iter().map(|alert| alert.rule).collect(),
                newest_window: windows::latest(conn, &newest, 1)?.pop().map(Window::from),
            }))
        })
        .await?;
    found.map(Json).ok_or_else(|| unknown(&name))
}
