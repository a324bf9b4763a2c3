//! The registry: a model's versions, who serves, and the card of each model file.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::Role;
use super::guard::Caller;
use super::params::{self, Nothing, Part, SMALL_BODY, Strict, Time};
use super::problem::{Kind, Problem, ProblemBody};
use crate::retrain::decisions::Wanted;
use crate::retrain::manifest::Card;
use crate::store::registry::{self, Champion, ModelFile, Move};
use crate::store::{StoreError, references, streams};

/// A version of a model.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionBody {
    version: String,
    /// Whether it serves now.
    champion: bool,
    /// Rows that were logged under it and used.
    rows: u64,
    /// SHA-256 of its file, where it is in the registry.
    hash: Option<String>,
    /// Hash of the champion that it was judged against.
    parent: Option<String>,
    /// The run that made it.
    run: Option<String>,
    /// Event time at which it was made.
    created: Option<Time>,
    /// Hash of the reference that its windows are compared with.
    reference: Option<String>,
}

/// Versions of a model that were logged or registered.
#[derive(Debug, Serialize, ToSchema)]
pub struct Versions {
    versions: Vec<VersionBody>,
}

/// Who serves, and who did.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChampionBody {
    model: String,
    version: String,
    /// SHA-256 of its file, where it is in the registry.
    hash: Option<String>,
    /// Event time.
    since: Time,
    /// The number of this move; it rises by one with each.
    seq: u64,
    /// Every move, the latest first.
    moves: Vec<MoveBody>,
}

/// One move of a champion.
#[derive(Debug, Serialize, ToSchema)]
struct MoveBody {
    seq: u64,
    /// `register`, `promote`, `force` or `rollback`.
    action: &'static str,
    version: String,
    hash: Option<String>,
    /// Hash of the reference that goes with it.
    reference: Option<String>,
    run: Option<String>,
    /// Who did it: a token's name, `local`, `cli`, or `policy`.
    actor: String,
    /// Event time.
    at: Time,
    /// Wall time.
    decided: Time,
}

impl From<Move> for MoveBody {
    fn from(moved: Move) -> Self {
        Self {
            seq: moved.seq,
            action: moved.action.as_str(),
            version: moved.version,
            hash: moved.hash,
            reference: moved.reference_hash,
            run: moved.run,
            actor: moved.actor,
            at: Time(moved.at),
            decided: Time(moved.at_wall),
        }
    }
}

/// The versions of a model that were logged or registered.
#[utoipa::path(get, path = "/api/v1/models/{model}/versions", tag = "registry", params(("model" = String, Path)),
    responses((status = 200, body = Versions)))]
pub async fn versions(
    State(app): State<App>,
    Part(model): Part<String>,
    _: Strict<Nothing>,
) -> Result<Json<Versions>, Problem> {
    let versions = app
        .store
        .read_async(move |conn| {
            let mut rows: BTreeMap<String, u64> = BTreeMap::new();
            for (_, stream) in streams::of_model(conn, &model)? {
                for (version, count) in stream.versions {
                    *rows.entry(version).or_default() += count;
                }
            }
            let mut files: BTreeMap<String, ModelFile> = registry::files_of(conn, Some(&model))?
                .into_iter()
                .map(|file| (file.version.clone(), file))
                .collect();
            let champion = registry::champion(conn, &model)?;
            let served = champion.iter().map(|champion| champion.version.clone());
            let names: BTreeSet<String> = rows
                .keys()
                .chain(files.keys())
                .cloned()
                .chain(served)
                .collect();
            let mut versions = Vec::new();
            for version in names {
                let file = files.remove(&version);
                let created = file.as_ref().map(|file| Time(file.created));
                let (hash, parent, run) = match file {
                    Some(file) => (Some(file.hash), file.parent, file.run),
                    None => (None, None, None),
                };
                versions.push(VersionBody {
                    champion: champion
                        .as_ref()
                        .is_some_and(|champion| champion.version == version),
                    rows: rows.get(&version).copied().unwrap_or_default(),
                    reference: references::bound(conn, &model, &version)?,
                    version,
                    hash,
                    parent,
                    run,
                    created,
                });
            }
            Ok::<_, StoreError>(versions)
        })
        .await?;
    Ok(Json(Versions { versions }))
}

/// Who serves, and who did.
#[utoipa::path(get, path = "/api/v1/models/{model}/champion", tag = "registry", params(("model" = String, Path)), responses(
    (status = 200, body = ChampionBody),
    (status = 404, description = "None is known.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn champion(
    State(app): State<App>,
    Part(model): Part<String>,
    _: Strict<Nothing>,
) -> Result<Json<ChampionBody>, Problem> {
    shown(&app, model).await
}

async fn shown(app: &App, model: String) -> Result<Json<ChampionBody>, Problem> {
    let name = model.clone();
    let (champion, moves) = app
        .store
        .read_async(move |conn| {
            Ok::<_, StoreError>((
                registry::champion(conn, &name)?,
                registry::moves(conn, &name)?,
            ))
        })
        .await?;
    let Some(champion) = champion else {
        return Err(Problem::not_found(format!(
            "no champion of {model:?} is known; POST here says who serves"
        )));
    };
    let Champion {
        model,
        seq,
        version,
        hash,
        since,
    } = champion;
    Ok(Json(ChampionBody {
        model,
        version,
        hash,
        since: Time(since),
        seq,
        moves: moves.into_iter().rev().map(MoveBody::from).collect(),
    }))
}

/// Who serves.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    version: String,
}

/// Says who serves, where driftline does not know yet.
#[utoipa::path(post, path = "/api/v1/models/{model}/champion", tag = "registry", params(("model" = String, Path)),
    request_body = Registered, responses(
    (status = 200, body = ChampionBody),
    (status = 404, description = "Nobody declares the model.", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "A champion is known.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn register(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Part(model): Part<String>,
    _: Strict<Nothing>,
    body: Body,
) -> Result<Json<ChampionBody>, Problem> {
    let asked: Registered = params::json(body, SMALL_BODY).await?;
    app.retraining
        .register(&model, &asked.version, None, &caller.name)
        .await?;
    shown(&app, model).await
}

/// Where to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolledBack {
    /// A version that served before; the one before the present one, if not given.
    #[serde(default)]
    to: Option<String>,
}

/// Puts an earlier champion back, with its reference.
#[utoipa::path(post, path = "/api/v1/models/{model}/rollback", tag = "registry", params(("model" = String, Path)),
    request_body = RolledBack, responses(
    (status = 200, body = ChampionBody),
    (status = 404, description = "No champion is known.", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "There is none to go back to.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn rollback(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Part(model): Part<String>,
    _: Strict<Nothing>,
    body: Body,
) -> Result<Json<ChampionBody>, Problem> {
    let asked: RolledBack = params::json(body, SMALL_BODY).await?;
    app.retraining
        .rollback(&model, asked.to.as_deref(), &caller.name)
        .await?;
    shown(&app, model).await
}

/// What is to serve without a win: exactly one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forced {
    /// The challenger of a run.
    #[serde(default)]
    run: Option<String>,
    #[serde(default)]
    version: Option<String>,
    /// SHA-256 of a model file.
    #[serde(default)]
    hash: Option<String>,
}

/// Makes a registered model the champion without a win at the gate. Needs the role admin.
#[utoipa::path(post, path = "/api/v1/models/{model}/promote", tag = "registry", params(("model" = String, Path)),
    request_body = Forced, responses(
    (status = 200, body = ChampionBody),
    (status = 403, description = "Needs the role admin.", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "No such model file.", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "It serves already.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn promote(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Part(model): Part<String>,
    _: Strict<Nothing>,
    body: Body,
) -> Result<Json<ChampionBody>, Problem> {
    caller.needs(Role::Admin)?;
    let asked: Forced = params::json(body, SMALL_BODY).await?;
    let wanted = match (asked.run, asked.version, asked.hash) {
        (Some(run), None, None) => Wanted::Run(run),
        (None, Some(version), None) => Wanted::Version(version),
        (None, None, Some(hash)) => Wanted::Hash(hash),
        _ => {
            return Err(Problem::new(
                Kind::BadBody,
                "give exactly one of run, version and hash",
            ));
        }
    };
    app.retraining.force(&model, &wanted, &caller.name).await?;
    shown(&app, model).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CardQuery {
    /// The champion's, if not given.
    version: Option<String>,
}

/// The card of a version in the registry: JSON, or Markdown where `Accept` prefers `text/markdown`.
#[utoipa::path(get, path = "/api/v1/models/{model}/card", tag = "registry", params(("model" = String, Path), CardQuery), responses(
    (status = 200, content((Object = "application/json"), (String = "text/markdown"))),
    (status = 404, description = "No such version in the registry.", body = ProblemBody,
        content_type = "application/problem+json"),
))]
pub async fn card(
    State(app): State<App>,
    Part(model): Part<String>,
    Strict(query): Strict<CardQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = model.clone();
    let file = app
        .store
        .read_async(move |conn| {
            let version = match query.version {
                Some(version) => Some(version),
                None => registry::champion(conn, &name)?.map(|champion| champion.version),
            };
            match version {
                Some(version) => registry::file_of_version(conn, &name, &version),
                None => Ok(None),
            }
        })
        .await?;
    let Some(file) = file else {
        return Err(Problem::not_found(format!(
            "the registry has no such version of {model:?}; /api/v1/models/{model}/versions lists those it has"
        )));
    };
    let card: Card = serde_json::from_str(&file.card).map_err(StoreError::from)?;
    let wants_text = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.trim_start().starts_with("text/markdown"));
    Ok(if wants_text {
        let media = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
        (media, card.to_markdown()).into_response()
    } else {
        Json(card).into_response()
    })
}
