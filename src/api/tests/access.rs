//! Who is let in, over a real connection. The rules themselves are tested beside the guard.

use std::path::Path;

use super::*;
use crate::api::auth::Tokens;

const VIEWER: (&str, &str) = ("authorization", "Bearer aaaaaaaaaaaaaaaaaaaa");
const SECURITY_HEADERS: [&str; 5] = [
    "x-content-type-options",
    "content-security-policy",
    "x-frame-options",
    "referrer-policy",
    "cache-control",
];

async fn with_tokens() -> Served {
    let tokens = Tokens::parse(Path::new("tokens"), "ann viewer aaaaaaaaaaaaaaaaaaaa\n")
        .expect("good tokens");
    serve(Access::Tokens(tokens), None).await
}

#[tokio::test]
async fn without_a_token_only_health_is_told() {
    let served = with_tokens().await;
    assert_eq!(served.get("/healthz").await.status, StatusCode::OK);
    for path in [
        "/metrics",
        "/api/v1/models",
        "/api/v1/openapi.json",
        "/nothing",
    ] {
        let answer = served.get(path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer realm=\"driftline\""
        );
        assert_eq!(
            answer.problem(),
            "send a token of the service's tokens file: Authorization: Bearer TOKEN"
        );
    }
}

#[tokio::test]
async fn a_viewer_reads_and_does_not_write() {
    let served = with_tokens().await;
    assert_eq!(
        served.send("GET", "/api/v1/models", &[VIEWER]).await.status,
        StatusCode::OK
    );
    let answer = served.send("POST", "/api/v1/settle", &[VIEWER]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(
        answer.problem(),
        "ann has the role viewer; this request needs operator"
    );
}

#[tokio::test]
async fn another_name_for_loopback_is_refused() {
    let answer = open()
        .await
        .send("GET", "/api/v1/models", &[("host", "evil.example")])
        .await;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
    assert!(
        answer
            .problem()
            .starts_with("this service answers to localhost only")
    );
}

#[tokio::test]
async fn a_write_from_another_site_reaches_nobody() {
    let served = open().await;
    let answer = served
        .send(
            "POST",
            "/api/v1/settle",
            &[("origin", "https://evil.example")],
        )
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(served.settles.lock().await.try_recv().is_err());
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_browsers_heed() {
    let served = open().await;
    for path in ["/healthz", "/metrics", "/api/v1/models", "/nothing"] {
        let answer = served.get(path).await;
        for name in SECURITY_HEADERS {
            assert!(answer.headers.contains_key(name), "{path}: {name}");
        }
    }
}
