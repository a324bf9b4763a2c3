//! How statistics went over time: the history behind a graph.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::models;
use super::paging::{self, Page};
use super::params::{self, Part, Strict, Time};
use super::problem::{Problem, ProblemBody};
use super::scores::ScoreBody;
use crate::stats::score::Verdict;
use crate::store::StoreError;
use crate::store::scores::{self, ScoreFilter, ScoreRow};

/// One score in the window it belongs to.
#[derive(Debug, Serialize, ToSchema)]
struct Point {
    version: String,
    segment: String,
    start: Time,
    end: Time,
    revision: u32,
    #[serde(flatten)]
    score: ScoreBody,
}

/// A page of scores, newest window first. The scores of one window are never split between pages.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    model: String,
    scores: Vec<Point>,
    /// The `before` of the next page; absent on the last one.
    next: Option<Time>,
}

impl From<ScoreRow> for Point {
    fn from(row: ScoreRow) -> Self {
        Self {
            version: row.key.version,
            segment: row.key.segment,
            start: Time(row.span.start),
            end: Time(row.span.end),
            revision: row.revision,
            score: ScoreBody::new(row.rule, row.score),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Only this column.
    column: Option<String>,
    /// Only this statistic.
    #[param(example = "psi")]
    statistic: Option<String>,
    /// Only scores with this verdict.
    #[param(value_type = Option<String>, example = "drift")]
    verdict: Option<Verdict>,
    /// Only this version.
    version: Option<String>,
    /// Only this segment.
    segment: Option<String>,
    /// Only windows that end after this.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Time>,
    /// Only windows that end at or before this.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Time>,
    /// Only windows that end before this: the `next` of the page before.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Time>,
    /// Entries of a page, 1 to 1000; 100 when absent.
    limit: Option<u32>,
}

/// The scores of a model, newest window first, each in the window's last revision.
#[utoipa::path(get, path = "/api/v1/models/{model}/drift", tag = "results",
    params(("model" = String, Path), HistoryQuery), responses(
    (status = 200, body = History),
    (status = 400, description = "A parameter is not understood, or one window has more scores than the limit.",
        body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "No such model.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn history(
    State(app): State<App>,
    Part(model): Part<String>,
    Strict(query): Strict<HistoryQuery>,
) -> Result<Json<History>, Problem> {
    let limit = params::page(query.limit)?;
    let before = query.before.map(|before| before.0.saturating_sub(1));
    let filter = ScoreFilter {
        model: Some(model.clone()),
        version: query.version,
        segment: query.segment,
        column: query.column,
        statistic: query.statistic,
        rule: None,
        verdict: query.verdict,
        after: query.from.map(|from| from.0),
        through: [query.to.map(|to| to.0), before]
            .into_iter()
            .flatten()
            .min(),
    };
    let asked = model.clone();
    let rows = app
        .store
        .read_async(move |conn| {
            let Some(_) = crate::store::models::get(conn, &asked)? else {
                return Ok(None);
            };
            // One more than asked for tells whether there is a next page.
            Ok::<_, StoreError>(Some(scores::list(conn, &filter, limit as u32 + 1)?))
        })
        .await?
        .ok_or_else(|| models::unknown(&model))?;
    match paging::cut(rows, limit, |row: &ScoreRow| row.span.end) {
        Page::Whole { rows, next } => {
            let scores = rows.into_iter().map(Point::from).collect();
            Ok(Json(History {
                model,
                scores,
                next: next.map(Time),
            }))
        }
        Page::LargerThanLimit { end } => Err(Problem::bad_query(format!(
            "the windows that end at {} have more than {limit} scores; raise limit, name a column or a statistic, or read \
             /api/v1/models/{model}/windows/START",
            crate::event::rfc3339(end)
        ))),
    }
}
