//! Performance: what labels said of windows, at every label age, and what became of the labels themselves.

use std::collections::BTreeMap;

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
use crate::event::{Millis, Span};
use crate::query::label_ledger;
use crate::store::StoreError;
use crate::store::performance::{self, PerformanceFilter, PerformanceRow, Stage};

/// One version's performance in one window, by labels up to an age.
#[derive(Debug, Serialize, ToSchema)]
struct OfWindow {
    version: String,
    segment: String,
    start: Time,
    end: Time,
    /// Labels up to so many milliseconds after the window's end are in it.
    label_age_ms: i64,
    /// `provisional` before label maturity, `judged` at it, `final` at the label horizon.
    #[schema(example = "judged")]
    stage: &'static str,
    verdict: &'static str,
    /// Rows kept of the window, and those with a label that could be read.
    rows: u64,
    labelled: u64,
    /// `labelled` over `rows`; absent without rows.
    coverage: Option<f64>,
    /// Labels that came for these rows and could not be read as the task's.
    unusable_labels: u64,
    /// Rows and labels by the class that was predicted.
    by_predicted: BTreeMap<String, ClassCoverage>,
    /// Every metric under rule "", and again under each rule that judges it.
    scores: Vec<ScoreBody>,
}

/// Rows of one predicted class, and how many of them have a label.
#[derive(Debug, Serialize, ToSchema)]
struct ClassCoverage {
    rows: u64,
    labelled: u64,
}

/// A page of results, newest window first, within a window the oldest labels first. Windows that end together are
/// never split between pages.
#[derive(Debug, Serialize, ToSchema)]
pub struct Performance {
    model: String,
    results: Vec<OfWindow>,
    /// The `before` of the next page; absent on the last one.
    next: Option<Time>,
}

impl From<PerformanceRow> for OfWindow {
    fn from(row: PerformanceRow) -> Self {
        let by_predicted = row.body.by_predicted.into_iter().map(|(class, share)| {
            let covered = ClassCoverage {
                rows: share.rows,
                labelled: share.labelled,
            };
            (class, covered)
        });
        Self {
            version: row.key.version,
            segment: row.key.segment,
            start: Time(row.span.start),
            end: Time(row.span.end),
            label_age_ms: row.age,
            stage: row.stage.as_str(),
            verdict: row.verdict.as_str(),
            rows: row.rows,
            labelled: row.labelled,
            coverage: (row.rows > 0).then(|| row.labelled as f64 / row.rows as f64),
            unusable_labels: row.body.unusable_labels,
            by_predicted: by_predicted.collect(),
            scores: row
                .body
                .scores
                .into_iter()
                .map(|scored| ScoreBody::new(scored.rule, scored.score))
                .collect(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PerformanceQuery {
    /// Only this version.
    version: Option<String>,
    /// Only this segment.
    segment: Option<String>,
    /// Only this stage: `provisional`, `judged` or `final`.
    #[param(value_type = Option<String>, example = "judged")]
    stage: Option<Stage>,
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

/// How good a model's predictions were, newest window first, at every label age.
#[utoipa::path(get, path = "/api/v1/models/{model}/performance", tag = "results",
    params(("model" = String, Path), PerformanceQuery), responses(
    (status = 200, body = Performance),
    (status = 404, description = "No such model.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Part(model): Part<String>,
    Strict(query): Strict<PerformanceQuery>,
) -> Result<Json<Performance>, Problem> {
    let limit = params::page(query.limit)?;
    let before = query.before.map(|before| before.0.saturating_sub(1));
    let filter = PerformanceFilter {
        model: Some(model.clone()),
        version: query.version,
        segment: query.segment,
        stage: query.stage,
        after: query.from.map(|from| from.0),
        through: [query.to.map(|to| to.0), before]
            .into_iter()
            .flatten()
            .min(),
    };
    let asked = model.clone();
    let (rows, next) = app
        .store
        .read_async(move |conn| {
            let Some(_) = crate::store::models::get(conn, &asked)? else {
                return Ok(None);
            };
            // One more than asked for tells whether there is a next page.
            let rows = performance::list(conn, &filter, limit as u32 + 1)?;
            let page = match paging::cut(rows, limit, |row: &PerformanceRow| row.span.end) {
                Page::Whole { rows, next } => (rows, next),
                Page::LargerThanLimit { end } => {
                    // Versions, segments and ages of one window are bounded, so they may all come at once.
                    let together = PerformanceFilter {
                        after: Some(end - 1),
                        through: Some(end),
                        ..filter
                    };
                    (performance::list(conn, &together, u32::MAX)?, Some(end))
                }
            };
            Ok::<_, StoreError>(Some(page))
        })
        .await?
        .ok_or_else(|| models::unknown(&model))?;
    Ok(Json(Performance {
        model,
        results: rows.into_iter().map(OfWindow::from).collect(),
        next: next.map(Time),
    }))
}

/// What became of the labels that were known in a stretch of event time: `used` is the sum of the other three.
#[derive(Debug, Serialize, ToSchema)]
pub struct Labels {
    model: String,
    /// Labels that were read and counted; duplicates and rejected ones are not among them.
    used: u64,
    /// A later label of the same id counts instead.
    superseded: u64,
    /// A prediction with this id is kept.
    matched: u64,
    /// No prediction with this id is kept: it may still come, or the label is an orphan.
    waiting: u64,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LabelsQuery {
    /// Only labels whose `ts` is not before this.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Time>,
    /// Only labels whose `ts` is before this.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Time>,
}

/// The ledger of a model's labels.
#[utoipa::path(get, path = "/api/v1/models/{model}/labels", tag = "results",
    params(("model" = String, Path), LabelsQuery), responses(
    (status = 200, body = Labels),
    (status = 404, description = "No such model.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn labels(
    State(app): State<App>,
    Part(model): Part<String>,
    Strict(query): Strict<LabelsQuery>,
) -> Result<Json<Labels>, Problem> {
    let asked = model.clone();
    let known = app
        .store
        .read_async(move |conn| crate::store::models::get(conn, &asked))
        .await?;
    if known.is_none() {
        return Err(models::unknown(&model));
    }
    let span = Span::new(
        query.from.map_or(Millis::MIN, |from| from.0),
        query.to.map_or(Millis::MAX, |to| to.0),
    );
    let lake = app.retraining.lake();
    let ledger = label_ledger(lake, &app.store, &model, span).await?;
    Ok(Json(Labels {
        model,
        used: ledger.used,
        superseded: ledger.superseded,
        matched: ledger.matched,
        waiting: ledger.waiting,
    }))
}
