//! Windows: what was found, newest first, and one window with all its scores.

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
use crate::store::windows::{self, Covered, WindowFilter, WindowRow};
use crate::store::{StoreError, scores};

/// The last revision of one window.
#[derive(Debug, Serialize, ToSchema)]
pub struct Window {
    model: String,
    /// Empty where the records name none.
    version: String,
    /// Empty for the whole.
    segment: String,
    /// First moment of the window, in event time.
    start: Time,
    /// First moment after the window.
    end: Time,
    /// 0 for the result made when the window closed; higher ones include rows that came later.
    revision: u32,
    /// `ok`, `drift`, `insufficient_data`, `no_data`, `no_reference`, `incomplete` or `schema_error`.
    #[schema(example = "drift")]
    verdict: &'static str,
    rows: u64,
    /// Hash of the layout that the rows were counted with.
    layout_hash: String,
    /// Hash of the reference that they were compared with.
    reference_hash: Option<String>,
    /// The model's watermark that completed this revision.
    watermark: Time,
}

/// One window with everything known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WindowDetail {
    #[serde(flatten)]
    window: Window,
    /// The offsets that the result covers.
    covered: Vec<CoveredOffsets>,
    /// By column, statistic and rule.
    scores: Vec<ScoreBody>,
}

/// The offsets of one partition that a result covers, both ends inclusive.
#[derive(Debug, Serialize, ToSchema)]
struct CoveredOffsets {
    topic: String,
    partition: i32,
    from_offset: i64,
    to_offset: i64,
    rows: u64,
}

/// A page of windows, newest first. Windows that end together are never split between pages.
#[derive(Debug, Serialize, ToSchema)]
pub struct Windows {
    windows: Vec<Window>,
    /// The `before` of the next page; absent on the last one.
    next: Option<Time>,
}

/// One window of each version and segment that begins at the moment asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct WindowDetails {
    windows: Vec<WindowDetail>,
}

impl From<WindowRow> for Window {
    fn from(row: WindowRow) -> Self {
        Self {
            model: row.key.model,
            version: row.key.version,
            segment: row.key.segment,
            start: Time(row.span.start),
            end: Time(row.span.end),
            revision: row.revision,
            verdict: row.verdict.as_str(),
            rows: row.rows,
            layout_hash: row.layout_hash,
            reference_hash: row.reference_hash,
            watermark: Time(row.watermark),
        }
    }
}

impl From<Covered> for CoveredOffsets {
    fn from(covered: Covered) -> Self {
        let Covered {
            topic,
            partition,
            from_offset,
            to_offset,
            rows,
        } = covered;
        Self {
            topic,
            partition,
            from_offset,
            to_offset,
            rows,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WindowsQuery {
    /// Entries of a page, 1 to 1000; 100 when absent.
    limit: Option<u32>,
    /// Only windows that end before this.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Time>,
    /// Only this version.
    version: Option<String>,
    /// Only this segment.
    segment: Option<String>,
}

/// The windows of a model, newest first, each in its last revision.
#[utoipa::path(get, path = "/api/v1/models/{model}/windows", tag = "results",
    params(("model" = String, Path), WindowsQuery), responses(
    (status = 200, body = Windows),
    (status = 404, description = "No such model.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Part(model): Part<String>,
    Strict(query): Strict<WindowsQuery>,
) -> Result<Json<Windows>, Problem> {
    let limit = params::page(query.limit)?;
    let page = app
        .store
        .read_async(move |conn| {
            let Some(_) = crate::store::models::get(conn, &model)? else {
                return Ok(Err(model));
            };
            let filter = WindowFilter {
                model: Some(model),
                version: query.version,
                segment: query.segment,
                through: query.before.map(|before| before.0.saturating_sub(1)),
                ..WindowFilter::default()
            };
            // One more than asked for tells whether there is a next page.
            let rows = windows::latest(conn, &filter, limit as u32 + 1)?;
            let page = match paging::cut(rows, limit, |row: &WindowRow| row.span.end) {
                Page::Whole { rows, next } => (rows, next),
                Page::LargerThanLimit { end } => {
                    // Versions and segments of one window are bounded, so they may all come at once.
                    let together = WindowFilter {
                        after: Some(end - 1),
                        through: Some(end),
                        ..filter
                    };
                    (windows::latest(conn, &together, u32::MAX)?, Some(end))
                }
            };
            Ok::<_, StoreError>(Ok(page))
        })
        .await?;
    let (rows, next) = page.map_err(|model| models::unknown(&model))?;
    Ok(Json(Windows {
        windows: rows.into_iter().map(Window::from).collect(),
        next: next.map(Time),
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WindowQuery {
    /// Only this version.
    version: Option<String>,
    /// Only this segment.
    segment: Option<String>,
}

/// The window that begins at a moment, with its scores, in its last revision.
#[utoipa::path(get, path = "/api/v1/models/{model}/windows/{start}", tag = "results",
    params(
        ("model" = String, Path),
        ("start" = String, Path, description = "RFC 3339 or milliseconds since 1970"),
        WindowQuery,
    ), responses(
    (status = 200, body = WindowDetails),
    (status = 404, description = "No such model, or no window of it begins then.", body = ProblemBody,
        content_type = "application/problem+json"),
))]
pub async fn one(
    State(app): State<App>,
    Part((model, start)): Part<(String, Time)>,
    Strict(query): Strict<WindowQuery>,
) -> Result<Json<WindowDetails>, Problem> {
    let asked = model.clone();
    let found = app
        .store
        .read_async(move |conn| {
            let Some(_) = crate::store::models::get(conn, &asked)? else {
                return Ok(None);
            };
            let wanted = |given: &str, asked: &Option<String>| {
                asked.as_ref().is_none_or(|asked| asked == given)
            };
            let mut found = Vec::new();
            for mut row in windows::starting_at(conn, &asked, start.0)? {
                if wanted(&row.key.version, &query.version)
                    && wanted(&row.key.segment, &query.segment)
                {
                    let scores = scores::of_window(conn, row.id)?;
                    found.push(WindowDetail {
                        covered: std::mem::take(&mut row.covered)
                            .into_iter()
                            .map(CoveredOffsets::from)
                            .collect(),
                        scores: scores.into_iter().map(ScoreBody::from).collect(),
                        window: row.into(),
                    });
                }
            }
            Ok::<_, StoreError>(Some(found))
        })
        .await?;
    let windows = found.ok_or_else(|| models::unknown(&model))?;
    if windows.is_empty() {
        let start = crate::event::rfc3339(start.0);
        let detail = format!(
            "no window of {model} that begins at {start} was closed; the list of windows says which were"
        );
        return Err(Problem::not_found(detail));
    }
    Ok(Json(WindowDetails { windows }))
}
