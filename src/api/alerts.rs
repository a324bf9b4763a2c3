//! Alerts: how they stand, and how they came to.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::params::{self, Strict, Time};
use super::problem::Problem;
use crate::rules::alert::{AlertState, AlertStatus};
use crate::store::StoreError;
use crate::store::alerts::{self, AlertRow, TransitionRow};

/// The state of one rule for one version and segment of a model.
#[derive(Debug, Serialize, ToSchema)]
struct Alert {
    model: String,
    version: String,
    segment: String,
    rule: String,
    /// `inactive`, `pending`, `firing` or `resolved`.
    status: String,
    /// Event time of the last change of status.
    since: Time,
    /// The columns that are bad in enough windows now; empty for what concerns the whole window.
    columns: Vec<String>,
    /// Start of the window that made it fire, within an episode.
    episode_start: Option<Time>,
    /// End of the last window judged.
    judged_through: Option<Time>,
}

/// Alerts by model, version, segment and rule.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alerts {
    alerts: Vec<Alert>,
}

/// One change of an alert's status.
#[derive(Debug, Serialize, ToSchema)]
struct TransitionBody {
    /// The same transition has the same key whenever it is evaluated; notifications carry it.
    idempotency_key: String,
    model: String,
    version: String,
    segment: String,
    rule: String,
    from: String,
    to: String,
    /// Event time.
    at: Time,
    window_start: Time,
    window_end: Time,
    /// What was bad, where, and how often.
    reason: String,
    columns: Vec<String>,
}

/// Changes of status, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertHistory {
    transitions: Vec<TransitionBody>,
}

/// What a stored transition says beside its columns.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    reason: String,
    columns: Vec<String>,
}

fn alert(row: AlertRow) -> Result<Alert, StoreError> {
    let state: AlertState = serde_json::from_str(&row.body)?;
    Ok(Alert {
        model: row.key.model,
        version: row.key.version,
        segment: row.key.segment,
        rule: row.rule,
        status: row.status,
        since: Time(row.since),
        columns: state.columns,
        episode_start: state.episode_start.map(|window| Time(window.start)),
        judged_through: state.last_window.map(|window| Time(window.end)),
    })
}

fn transition(row: TransitionRow) -> Result<TransitionBody, StoreError> {
    let said: Said = serde_json::from_str(&row.body)?;
    Ok(TransitionBody {
        idempotency_key: row.idempotency_key,
        model: row.key.model,
        version: row.key.version,
        segment: row.key.segment,
        rule: row.rule,
        from: row.from_status,
        to: row.to_status,
        at: Time(row.at),
        window_start: Time(row.window.start),
        window_end: Time(row.window.end),
        reason: said.reason,
        columns: said.columns,
    })
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertsQuery {
    /// Only this model.
    model: Option<String>,
    /// Only alerts of this status: `inactive`, `pending`, `firing` or `resolved`.
    #[param(value_type = Option<String>, example = "firing")]
    status: Option<AlertStatus>,
}

/// How every alert stands.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(AlertsQuery),
    responses((status = 200, body = Alerts)))]
pub async fn list(
    State(app): State<App>,
    Strict(query): Strict<AlertsQuery>,
) -> Result<Json<Alerts>, Problem> {
    let read = app.store.read_async(move |conn| {
        let rows = alerts::list(
            conn,
            query.model.as_deref(),
            query.status.map(AlertStatus::as_str),
        )?;
        rows.into_iter().map(alert).collect::<Result<_, _>>()
    });
    Ok(Json(Alerts {
        alerts: read.await?,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Only this model.
    model: Option<String>,
    /// The newest so many, 1 to 1000; 100 when absent.
    limit: Option<u32>,
}

/// How alerts came to stand as they do, newest change first.
#[utoipa::path(get, path = "/api/v1/alerts/history", tag = "alerts", params(HistoryQuery),
    responses((status = 200, body = AlertHistory)))]
pub async fn history(
    State(app): State<App>,
    Strict(query): Strict<HistoryQuery>,
) -> Result<Json<AlertHistory>, Problem> {
    let limit = params::page(query.limit)?;
    let read = app.store.read_async(move |conn| {
        let rows = alerts::transitions(conn, query.model.as_deref(), limit as u32)?;
        rows.into_iter().map(transition).collect::<Result<_, _>>()
    });
    Ok(Json(AlertHistory {
        transitions: read.await?,
    }))
}
