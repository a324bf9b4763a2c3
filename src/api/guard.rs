//! What every request passes before and after its handler: the name it was sent to, the site it comes from, its
//! token, the bounds on number and time, and the headers that browsers heed.
//!
//! **Invariant:** all of it holds for paths that do not exist as well, so that a refusal does not tell what does.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::auth::{Access, Role};
use super::problem::{Kind, Problem};

/// Requests at the same time, health checks aside; further ones are told to come again. Above the store's few readers,
/// so that a burst waits for them, and far below what would hold much memory.
const REQUESTS_AT_ONCE: usize = 64;
/// Longest time for any request: above the longest settle that may be asked for.
const LONGEST_REQUEST: Duration = Duration::from_secs(11 * 60);

/// Paths that need no token: a kubelet has none, and they say only that the process lives and is ready.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Paths whose requests prove by a signature who sent them. They need no token, and may come under any name of this
/// machine: a page in a browser cannot sign.
const SIGNED: [&str; 1] = ["/retrain"];

/// Headers on every answer. The console, when it serves pages, has a content policy of its own.
const HEADERS: [(header::HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Who sends a request, for handlers that say so or ask for more than the guard does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's name; `local` where there are no tokens.
    pub name: String,
    pub role: Role,
}

impl Caller {
    /// Refuses a caller whose role is too small.
    pub fn needs(&self, needed: Role) -> Result<(), Problem> {
        if self.role >= needed {
            return Ok(());
        }
        let (name, role, needed) = (&self.name, self.role.as_str(), needed.as_str());
        let detail = format!("{name} has the role {role}; this request needs {needed}");
        Err(Problem::new(Kind::Forbidden, detail))
    }
}

/// What the guard needs to know.
#[derive(Clone)]
pub struct Guard {
    access: Access,
    places: Arc<Semaphore>,
}

impl Guard {
    pub fn new(access: Access) -> Self {
        Self {
            access,
            places: Arc::new(Semaphore::new(REQUESTS_AT_ONCE)),
        }
    }

    /// Whether a request may go on to its handler, and who sends it.
    fn admit(&self, request: &Request) -> Result<Caller, Problem> {
        let headers = request.headers();
        let nobody = |role| Caller {
            name: "local".to_owned(),
            role,
        };
        let writes = !matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        );
        if SIGNED.contains(&request.uri().path()) && writes {
            return Ok(nobody(Role::Viewer));
        }
        if matches!(self.access, Access::Loopback) && !names_this_machine(headers) {
            return Err(Problem::new(
                Kind::WrongHost,
                "this service answers to localhost only; without tokens, other names in the Host header are refused",
            ));
        }
        if writes && !same_site(headers) {
            return Err(Problem::new(
                Kind::CrossSite,
                "a browser sent this write from another site; send it from the service's own pages or from a program",
            ));
        }
        let Access::Tokens(tokens) = &self.access else {
            return Ok(nobody(Role::Admin));
        };
        if OPEN.contains(&request.uri().path()) && !writes {
            return Ok(nobody(Role::Viewer));
        }
        let needed = if writes { Role::Operator } else { Role::Viewer };
        let Some((name, role)) = bearer(headers).and_then(|token| tokens.holder(token)) else {
            return Err(Problem::new(
                Kind::Unauthenticated,
                "send a token of the service's tokens file: Authorization: Bearer TOKEN",
            ));
        };
        let caller = Caller {
            name: name.to_owned(),
            role,
        };
        caller.needs(needed)?;
        Ok(caller)
    }

    /// A place among the requests at the same time, held until it is dropped.
    fn place(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.places.try_acquire().map_err(|_| {
            let detail = format!(
                "{REQUESTS_AT_ONCE} requests are being answered; ask again in a few seconds"
            );
            Problem::new(Kind::Busy, detail)
        })
    }
}

/// The middleware around all routes.
pub async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let mut response = match guard.admit(&request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            pass(&guard, request, next).await
        }
        Err(problem) => problem.into_response(),
    };
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn pass(guard: &Guard, request: Request, next: Next) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let _place = match guard.place() {
        Ok(place) => place,
        Err(problem) => return problem.into_response(),
    };
    match tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Kind::Timeout, "the request took too long and was given up")
            .into_response(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A page of another name that resolves to this machine sends that name.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| {
        let name = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

/// Browsers say where a write comes from, by `Sec-Fetch-Site` or at least by `Origin`; programs send neither.
fn same_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let (Ok(origin), Some(Ok(host))) = (
        origin.to_str(),
        headers.get(header::HOST).map(HeaderValue::to_str),
    ) else {
        return false;
    };
    origin
        .split_once("://")
        .is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::body::Body;

    use super::*;
    use crate::api::auth::Tokens;

    fn with_tokens() -> Guard {
        let text = "ann viewer aaaaaaaaaaaaaaaaaaaa\nbob operator bbbbbbbbbbbbbbbbbbbb\n";
        Guard::new(Access::Tokens(
            Tokens::parse(Path::new("tokens"), text).expect("good tokens"),
        ))
    }

    /// `Ok` or the kind of the refusal of a request such as `GET /x` with headers `name: value`.
    #[track_caller]
    fn check(guard: &Guard, line: &str, headers: &[&str], expect: Result<(), Kind>) {
        let (method, path) = line.split_once(' ').expect("METHOD PATH");
        let mut request = Request::builder().method(method).uri(path);
        for line in headers {
            let (name, value) = line.split_once(": ").expect("name: value");
            request = request.header(name, value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let said = guard
            .admit(&request)
            .map(|_| ())
            .map_err(|problem| format!("{problem:?}"));
        match (&said, expect) {
            (Ok(()), Ok(())) => {}
            (Err(problem), Err(kind)) if problem.contains(&format!("kind: {kind:?},")) => {}
            _ => panic!("{line} {headers:?}: {said:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn loopback_answers_to_names_of_this_machine_only() {
        let guard = Guard::new(Access::Loopback);
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
        ] {
            check(&guard, "GET /metrics", &[&format!("host: {host}")], Ok(()));
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8080",
            "10.0.0.1",
            "127.0.0.1.evil.example",
            "a b",
        ] {
            check(
                &guard,
                "GET /metrics",
                &[&format!("host: {host}")],
                Err(Kind::WrongHost),
            );
        }
        check(&guard, "GET /metrics", &[], Err(Kind::WrongHost));
    }

    #[test]
    fn a_write_that_a_browser_sends_from_elsewhere_is_refused() {
        let guard = Guard::new(Access::Loopback);
        let host = "host: localhost:8080";
        let write = "POST /api/v1/settle";
        check(&guard, write, &[host], Ok(()));
        check(
            &guard,
            write,
            &[host, "sec-fetch-site: same-origin"],
            Ok(()),
        );
        check(&guard, write, &[host, "sec-fetch-site: none"], Ok(()));
        check(
            &guard,
            write,
            &[host, "sec-fetch-site: cross-site"],
            Err(Kind::CrossSite),
        );
        check(
            &guard,
            write,
            &[host, "sec-fetch-site: same-site"],
            Err(Kind::CrossSite),
        );
        check(
            &guard,
            write,
            &[host, "origin: http://localhost:8080"],
            Ok(()),
        );
        check(
            &guard,
            write,
            &[host, "origin: http://localhost:9090"],
            Err(Kind::CrossSite),
        );
        check(&guard, write, &[host, "origin: null"], Err(Kind::CrossSite));
        check(
            &guard,
            "GET /api/v1/models",
            &[host, "sec-fetch-site: cross-site"],
            Ok(()),
        );
    }

    #[test]
    fn a_token_gives_its_role_and_no_more() {
        let guard = with_tokens();
        let viewer = "authorization: Bearer aaaaaaaaaaaaaaaaaaaa";
        let operator = "authorization: bearer bbbbbbbbbbbbbbbbbbbb";
        check(&guard, "GET /metrics", &[], Err(Kind::Unauthenticated));
        check(&guard, "GET /no/such/path", &[], Err(Kind::Unauthenticated));
        check(
            &guard,
            "GET /metrics",
            &["authorization: Bearer wrong"],
            Err(Kind::Unauthenticated),
        );
        check(
            &guard,
            "GET /metrics",
            &["authorization: Basic aaaaaaaaaaaaaaaaaaaa"],
            Err(Kind::Unauthenticated),
        );
        check(&guard, "GET /metrics", &[viewer], Ok(()));
        check(
            &guard,
            "POST /api/v1/settle",
            &[viewer],
            Err(Kind::Forbidden),
        );
        check(&guard, "POST /api/v1/settle", &[operator], Ok(()));
        check(
            &guard,
            "DELETE /api/v1/models",
            &[viewer],
            Err(Kind::Forbidden),
        );
    }

    #[test]
    fn a_signed_path_needs_neither_token_nor_name_and_only_where_it_is_written_to() {
        check(&with_tokens(), "POST /retrain", &[], Ok(()));
        let loopback = Guard::new(Access::Loopback);
        check(
            &loopback,
            "POST /retrain",
            &["host: trainer.internal"],
            Ok(()),
        );
        check(
            &with_tokens(),
            "GET /retrain",
            &[],
            Err(Kind::Unauthenticated),
        );
        check(
            &with_tokens(),
            "POST /retrain/alertmanager",
            &[],
            Err(Kind::Unauthenticated),
        );
    }

    #[test]
    fn requests_at_the_same_time_are_bounded() {
        let guard = Guard::new(Access::Loopback);
        let mut places: Vec<_> = (0..REQUESTS_AT_ONCE)
            .map(|_| guard.place().expect("a place"))
            .collect();
        assert!(guard.place().is_err());
        places.pop();
        assert!(guard.place().is_ok(), "a request that ended makes room");
    }

    #[test]
    fn health_needs_no_token() {
        check(&with_tokens(), "GET /healthz", &[], Ok(()));
        check(&with_tokens(), "GET /readyz", &[], Ok(()));
        check(
            &with_tokens(),
            "POST /healthz",
            &[],
            Err(Kind::Unauthenticated),
        );
    }
}
