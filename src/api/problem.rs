//! Every answer that is not a success: RFC 9457 problem details. The one place where errors become HTTP.
//!
//! **Invariant:** what a client is told never holds paths, SQL or secrets; the cause goes to the log, once, here.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::query::QueryError;
use crate::retrain::{Denied, Refused};
use crate::store::StoreError;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What went wrong, as a closed set: each has one status, one title and one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    NotFound,
    MethodNotAllowed,
    BadQuery,
    BadPath,
    /// No token, or one that nobody has.
    Unauthenticated,
    /// A role too small for the request.
    Forbidden,
    /// The Host header names another machine: DNS rebinding.
    WrongHost,
    /// A browser sent a write from another site.
    CrossSite,
    /// A signed request whose signature or age is not as it must be.
    NotBelieved,
    /// The body is not what this request takes.
    BadBody,
    TooLarge,
    /// Things stand otherwise than the request assumes.
    Conflict,
    NotReady,
    /// Too many requests at once, or the store is busy.
    Busy,
    Timeout,
    Internal,
}

impl Kind {
    #[cfg(test)]
    pub const ALL: [Kind; 16] = [
        Kind::NotFound,
        Kind::MethodNotAllowed,
        Kind::BadQuery,
        Kind::BadPath,
        Kind::Unauthenticated,
        Kind::Forbidden,
        Kind::WrongHost,
        Kind::CrossSite,
        Kind::NotBelieved,
        Kind::BadBody,
        Kind::TooLarge,
        Kind::Conflict,
        Kind::NotReady,
        Kind::Busy,
        Kind::Timeout,
        Kind::Internal,
    ];

    fn describe(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Kind::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Kind::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            ),
            Kind::BadQuery => (
                StatusCode::BAD_REQUEST,
                "bad-query",
                "Query parameter not understood",
            ),
            Kind::BadPath => (StatusCode::BAD_REQUEST, "bad-path", "Path not understood"),
            Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "Token needed"),
            Kind::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Role too small"),
            Kind::WrongHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "wrong-host",
                "Host not served here",
            ),
            Kind::CrossSite => (
                StatusCode::FORBIDDEN,
                "cross-site",
                "Write from another site refused",
            ),
            Kind::NotBelieved => (
                StatusCode::UNAUTHORIZED,
                "not-believed",
                "Signature or age refused",
            ),
            Kind::BadBody => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad-body",
                "Body not understood",
            ),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Body too large"),
            Kind::Conflict => (StatusCode::CONFLICT, "conflict", "Not as things stand"),
            Kind::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready"),
            Kind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy"),
            Kind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout", "Not done in time"),
            Kind::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Internal error",
            ),
        }
    }
}

/// An error on its way to a client.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    reason: Option<&'static str>,
}

/// A problem as sent, in the form of RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Names the kind of problem; stable, to be compared as a whole.
    #[serde(rename = "type")]
    #[schema(example = "urn:driftline:problem:bad-query")]
    type_: String,
    /// The kind of problem in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request, and what to do instead.
    detail: String,
    /// Why in one word, as it is logged, where one kind has several reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "too_old")]
    reason: Option<&'static str>,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            reason: None,
        }
    }

    /// The same with the name of its reason.
    pub fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, detail)
    }

    pub fn bad_query(detail: impl Into<String>) -> Self {
        Self::new(Kind::BadQuery, detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_busy() {
            tracing::warn!(%error, "the store was busy for a request");
            return Self::new(Kind::Busy, "the store is busy; ask again in a few seconds");
        }
        tracing::error!(%error, "the store could not answer a request");
        Self::new(
            Kind::Internal,
            "the store could not answer; the log of the service says why",
        )
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        tracing::error!(%error, "the lake could not answer a request");
        let detail = "the lake could not be read; the log of the service says why";
        Self::new(Kind::Internal, detail)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let kind = match &refused {
            Refused::NotReceiving => Kind::NotFound,
            Refused::NotSigned(_) | Refused::NotBelieved(_) => Kind::NotBelieved,
            Refused::Malformed(_)
            | Refused::UnknownType { .. }
            | Refused::Undeclared { .. }
            | Refused::NotTrainable { .. } => Kind::BadBody,
            Refused::NoData { .. }
            | Refused::Ahead { .. }
            | Refused::Busy { .. }
            | Refused::KeyReused => Kind::Conflict,
        };
        Self::new(kind, refused.to_string()).because(refused.as_str())
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let kind = match denied {
            Denied::Unknown(_) => Kind::NotFound,
            Denied::Conflict(_) => Kind::Conflict,
            Denied::Unusable(_) => Kind::BadBody,
            Denied::Store(error) => return error.into(),
            Denied::Lake(_) | Denied::Trouble(_) => {
                tracing::error!(error = %denied, "a request about retraining could not be answered");
                let detail =
                    "the lake could not be read or written; the log of the service says why";
                return Self::new(Kind::Internal, detail);
            }
        };
        Self::new(kind, denied.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, name, title) = self.kind.describe();
        let body = ProblemBody {
            type_: format!("urn:driftline:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail,
            reason: self.reason,
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        match self.kind {
            Kind::Unauthenticated => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"driftline\""),
                );
            }
            Kind::Busy => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_type_of_its_own_and_an_error_status() {
        let types: BTreeSet<&str> = Kind::ALL
            .into_iter()
            .map(|kind| kind.describe().1)
            .collect();
        assert_eq!(types.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            let (status, ..) = kind.describe();
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_problem_is_sent_as_rfc_9457_says() {
        let response = Problem::new(Kind::Unauthenticated, "no token").into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
