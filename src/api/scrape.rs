//! What Prometheus scrapes.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::App;

/// The media type of Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics, in the text format of Prometheus. Any query is passed over, as a scraper may send one.
#[utoipa::path(get, path = "/metrics", tag = "metrics", responses(
    (status = 200, body = String, content_type = "text/plain"),
))]
pub async fn metrics(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], app.metrics.render())
}
