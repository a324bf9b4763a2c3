//! What a request may ask: query parameters and path parts, taken strictly.
//!
//! **Invariant:** a parameter that no handler reads is refused with the names of the known ones, so that a mistyped
//! filter never passes for an unfiltered answer.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use chrono::DateTime;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::problem::{Kind, Problem};
use crate::event::{Millis, rfc3339};

/// Longest time for a body to come in: nobody may hold a place by sending slowly.
const LONGEST_BODY: Duration = Duration::from_secs(30);
/// Largest body of an ordinary write.
pub const SMALL_BODY: usize = 16 << 10;
/// Entries of a page when the request does not say.
const PAGE: u32 = 100;
/// Most entries of a page: about a megabyte of scores.
const LARGEST_PAGE: u32 = 1000;

/// The query of a request; `T` denies unknown fields.
pub struct Strict<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Strict<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let text = rejection.body_text();
                let said = text
                    .rsplit_once("query string: ")
                    .map_or(text.as_str(), |(_, said)| said);
                Err(Problem::bad_query(said))
            }
        }
    }
}

/// The query of a route that takes none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Reads a body of at most `most` bytes.
pub async fn body(body: Body, most: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(LONGEST_BODY, axum::body::to_bytes(body, most));
    match read.await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_long(&error) => Err(Problem::new(
            Kind::TooLarge,
            format!("the body has more than {most} bytes"),
        )),
        Ok(Err(_)) => Err(Problem::new(Kind::BadBody, "the body did not come whole")),
        Err(_) => {
            let secs = LONGEST_BODY.as_secs();
            let detail = format!("the body did not come within {secs} seconds");
            Err(Problem::new(Kind::BadBody, detail))
        }
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string().contains("limit"))
}

/// Reads a body of JSON; an empty one is `{}`. `T` denies unknown fields.
pub async fn json<T: DeserializeOwned>(of: Body, most: usize) -> Result<T, Problem> {
    let bytes = body(of, most).await?;
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(bytes).map_err(|error| Problem::new(Kind::BadBody, error.to_string()))
}

/// The parts of the path that a route names.
pub struct Part<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Part<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(path)) => Ok(Self(path)),
            Err(rejection @ PathRejection::FailedToDeserializePathParams(_)) => {
                let text = rejection.body_text();
                Err(Problem::new(
                    Kind::BadPath,
                    text.strip_prefix("Invalid URL: ").unwrap_or(&text),
                ))
            }
            Err(rejection) => Err(Problem::new(Kind::Internal, rejection.body_text())),
        }
    }
}

/// A moment: RFC 3339 in UTC. Requests may also give milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2013-01-07T00:00:00Z")]
pub struct Time(pub Millis);

impl Time {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(millis) = text.parse() {
            return Some(Self(millis));
        }
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| Self(time.timestamp_millis()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(self.0))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no time; write RFC 3339, 2013-01-07T00:00:00Z for example (a + as %2B), or milliseconds since 1970"
            ))
        })
    }
}

/// The entries of a page that a request asks for.
pub fn page(limit: Option<u32>) -> Result<usize, Problem> {
    match limit.unwrap_or(PAGE) {
        limit @ 1..=LARGEST_PAGE => Ok(limit as usize),
        other => Err(Problem::bad_query(format!(
            "limit: {other} is not between 1 and {LARGEST_PAGE}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its reading is under test")]
    struct Example {
        limit: Option<u32>,
        before: Option<Time>,
    }

    #[track_caller]
    fn check(query: &str, expect: &str) {
        let uri = format!("/x?{query}").parse().expect("a URI");
        let mut parts = axum::http::Request::get::<axum::http::Uri>(uri)
            .body(())
            .expect("a request")
            .into_parts()
            .0;
        let future = Strict::<Example>::from_request_parts(&mut parts, &());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let said = match runtime.block_on(future) {
            Ok(Strict(example)) => format!("{example:?}"),
            Err(problem) => format!("{problem:?}"),
        };
        assert!(said.contains(expect), "{said}");
    }

    #[test]
    fn a_parameter_that_is_not_known_is_refused_with_those_that_are() {
        check(
            "limt=3",
            "unknown field `limt`, expected `limit` or `before`",
        );
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        check("limit=3&limit=4", "duplicate field `limit`");
    }

    #[test]
    fn a_value_that_is_not_understood_is_named() {
        check("limit=many", "limit: invalid digit found in string");
        check(
            "before=yesterday",
            "before: \\\"yesterday\\\" is no time; write RFC 3339",
        );
    }

    #[test]
    fn times_are_taken_in_both_forms() {
        check("before=2013-01-07T00:00:00Z", "Time(1357516800000)");
        check("before=2013-01-07T01:00:00%2B01:00", "Time(1357516800000)");
        check("before=1357516800000", "Time(1357516800000)");
        check("", "before: None");
    }

    #[test]
    fn times_are_given_as_rfc_3339() {
        let text = serde_json::to_string(&Time(1_357_516_800_001)).expect("a time is JSON");
        assert_eq!(text, "\"2013-01-07T00:00:00.001Z\"");
    }

    #[test]
    fn pages_are_bounded() {
        assert_eq!(page(None).expect("the default is allowed"), PAGE as usize);
        assert!(page(Some(0)).is_err());
        assert!(page(Some(LARGEST_PAGE + 1)).is_err());
    }
}
