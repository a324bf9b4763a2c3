//! Every answer that is not a success: RFC 9457 problem details. The one place where errors become HTTP.
//!
//! **Invariant:** what a client is told never holds paths, SQL or secrets; the cause goes to the log, once, here.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

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
    NotReady,
    /// Too many requests at once, or the store is busy.
    Busy,
    Timeout,
    Internal,
}

impl Kind {
    #[cfg(test)]
    pub const ALL: [Kind; 12] = [
        Kind::NotFound,
        Kind::MethodNotAllowed,
        Kind::BadQuery,
        Kind::BadPath,
        Kind::Unauthenticated,
        Kind::Forbidden,
        Kind::WrongHost,
        Kind::CrossSite,
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
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, name, title) = self.kind.describe();
        let body = ProblemBody {
            type_: format!("urn:driftline:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail,
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
