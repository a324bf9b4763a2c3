//! The HTTP interface: what the service knows, and the few things that can be asked of it.
//!
//! **Architecture invariants:** the only room that names axum. [`router`] is the whole table of routes; a route that is
//! not in the OpenAPI document cannot be registered. Handlers unpack the request, call plain functions of the store on
//! a snapshot, or of `retrain`, and shape the answer; no handler decides anything, and every error becomes HTTP in
//! [`problem`]. Deliberately absent: SQL, clocks, and anything that changes results.

use axum::extract::State;
use axum::http::{Method, Uri};
use axum::{Json, Router, middleware};
use tokio::sync::{mpsc, watch};
use utoipa::OpenApi;
use utoipa::openapi::{ContentBuilder, Ref, Response, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::metrics::Metrics;
use crate::retrain::Retraining;
use crate::store::Store;
use auth::Access;
use guard::Guard;
use health::{Build, Readiness};
use problem::{Kind, Problem};
use settle::SettleRequest;

pub mod auth;
mod guard;
mod params;
mod problem;
pub mod server;

pub mod health;
mod scrape;

mod alerts;
mod cursors;
mod drift;
mod models;
mod paging;
mod performance;
mod rejections;
mod scores;
mod windows;

mod registry;
mod retrain;
mod runs;

pub mod settle;

#[cfg(test)]
mod tests;

/// What handlers may use. A clone is the same service.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub metrics: Metrics,
    /// Where settle requests go; the service takes them. See [`settle::QUEUE`].
    pub settle: mpsc::Sender<SettleRequest>,
    pub readiness: watch::Receiver<Readiness>,
    pub build: Build,
    pub retraining: Retraining,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "driftline",
        description = "What driftline knows of the models it watches. Times are RFC 3339 in UTC; every error is problem+json (RFC 9457); \
                       query parameters that are not listed are refused. Where tokens are set, reading needs the role viewer and writing \
                       the role operator, sent as a bearer token."
    ),
    modifiers(&BearerToken)
)]
struct Document;

struct BearerToken;

impl utoipa::Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{
            HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
        };
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme));
        document.security = Some(vec![
            SecurityRequirement::new("token", Vec::<String>::new()),
            SecurityRequirement::default(),
        ]);
    }
}

/// What platforms ask of every process.
fn platform() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(scrape::metrics))
}

/// Retraining and the registry: served by the service, and alone by `driftline retrain`.
fn retraining() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(retrain::receive))
        .routes(routes!(retrain::from_alertmanager))
        .routes(routes!(runs::list))
        .routes(routes!(runs::ask))
        .routes(routes!(runs::one))
        .routes(routes!(runs::approve))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::hold_out))
        .routes(routes!(runs::result))
        .routes(routes!(registry::versions))
        .routes(routes!(registry::champion))
        .routes(routes!(registry::register))
        .routes(routes!(registry::rollback))
        .routes(routes!(registry::promote))
        .routes(routes!(registry::card))
}

/// The table of routes, by who calls them.
fn table() -> OpenApiRouter<App> {
    let people = OpenApiRouter::new()
        .routes(routes!(models::list))
        .routes(routes!(models::one))
        .routes(routes!(windows::list))
        .routes(routes!(windows::one))
        .routes(routes!(drift::history))
        .routes(routes!(performance::list))
        .routes(routes!(performance::labels))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::history));
    let operators = OpenApiRouter::new()
        .routes(routes!(cursors::list))
        .routes(routes!(rejections::list))
        .routes(routes!(settle::settle));
    let programs = OpenApiRouter::new().routes(routes!(document));
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(platform())
        .merge(people)
        .merge(operators)
        .merge(retraining())
        .merge(programs)
}

/// All routes behind the guard, ready to be served.
pub fn router(app: App, access: Access) -> Router {
    guarded(table(), app, access)
}

/// The routes of a process that only retrains.
pub fn retraining_router(app: App, access: Access) -> Router {
    guarded(platform().merge(retraining()), app, access)
}

fn guarded(table: OpenApiRouter<App>, app: App, access: Access) -> Router {
    let (routes, _) = table.split_for_parts();
    routes
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(
            Guard::new(access),
            guard::guard,
        ))
        .with_state(app)
}

/// This interface as an OpenAPI 3.1 document.
pub fn openapi(build: &Build) -> utoipa::openapi::OpenApi {
    let mut document = table().into_openapi();
    document.info.version.clone_from(&build.version);
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            operation
                .responses
                .responses
                .insert("default".to_owned(), any_other_error().into());
        }
    }
    document
}

fn any_other_error() -> Response {
    let body = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new()
        .description("Any other error.")
        .content("application/problem+json", body)
        .build()
}

/// This interface as an OpenAPI 3.1 document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "service", responses((status = 200, body = Object)))]
async fn document(State(app): State<App>) -> Json<utoipa::openapi::OpenApi> {
    Json(openapi(&app.build))
}

async fn nowhere(uri: Uri) -> Problem {
    Problem::not_found(format!(
        "nothing is served at {}; /api/v1/openapi.json lists what is",
        uri.path()
    ))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "{} does not take {method}; the Allow header says what it takes",
        uri.path()
    );
    Problem::new(Kind::MethodNotAllowed, detail)
}
