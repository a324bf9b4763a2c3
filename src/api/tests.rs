//! The interface as clients meet it: a real listener, a real client, and a store filled by its own functions.

mod access;
mod answers;
mod filled;
mod retraining;

use std::collections::BTreeMap;
use std::path::PathBuf;

use axum::http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::auth::Access;
use super::health::{Build, Readiness};
use super::server::{self, Tls};
use super::settle::{self, SettleRequest};
use super::{App, openapi};
use crate::metrics::Metrics;
use crate::store::Store;

/// A running server with the other ends of its state.
struct Served {
    base: String,
    client: reqwest::Client,
    readiness: watch::Sender<Readiness>,
    settles: Mutex<mpsc::Receiver<SettleRequest>>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<std::io::Result<()>>,
    dir: tempfile::TempDir,
}

/// What a client gets: status, headers, body.
struct Answer {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The detail of a problem, after a check of its form.
    #[track_caller]
    fn problem(&self) -> String {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{}",
            self.text
        );
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16(), "{body}");
        assert!(
            body["type"]
                .as_str()
                .is_some_and(|kind| kind.starts_with("urn:driftline:problem:")),
            "{body}"
        );
        assert!(body["title"].is_string(), "{body}");
        body["detail"].as_str().expect("a detail").to_owned()
    }
}

async fn serve(access: Access, tls: Option<Tls>) -> Served {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(dir.path()).expect("a new store opens");
    filled::fill(&store);
    let store_again = store.clone();
    let (settle, settles) = mpsc::channel(settle::QUEUE);
    let (readiness, readable) = watch::channel(Readiness::default());
    let build = Build {
        version: "0.1.0".to_owned(),
        revision: "abc".to_owned(),
    };
    let app = App {
        store,
        metrics: Metrics::new("0.1.0", "abc"),
        settle,
        readiness: readable,
        build,
        retraining: crate::retrain::testing::retraining(dir.path(), store_again, ""),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let (stop, stopped) = oneshot::channel::<()>();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let running = tokio::spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        server::run(listener, app, access, tls.as_ref(), shutdown).await
    });
    let base = format!("{scheme}://localhost:{port}");
    Served {
        base,
        client: client(None),
        readiness,
        settles: Mutex::new(settles),
        stop,
        running,
        dir,
    }
}

fn client(root: Option<reqwest::Certificate>) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // No roots but the given one: the client must not read the machine's.
    reqwest::Client::builder()
        .tls_certs_only(root)
        .build()
        .expect("a client")
}

impl Served {
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        Answer {
            status,
            headers,
            text: response.text().await.expect("a body"),
        }
    }

    /// The next settle request, as the service would take it.
    async fn asked_to_settle(&self) -> SettleRequest {
        self.settles.lock().await.recv().await.expect("a request")
    }

    /// Sends a settle request and answers it.
    async fn settle(&self, path: &str) -> Answer {
        let answering = async {
            let settled = settle::Settled {
                records: 3,
                windows: 1,
            };
            self.asked_to_settle()
                .await
                .done
                .send(settled)
                .expect("somebody waits");
        };
        tokio::join!(self.send("POST", path, &[]), answering).0
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[]).await
    }

    /// Asserts a refusal by status and by the beginning of what it says.
    async fn refused(&self, path: &str, status: u16, says: &str) {
        let answer = self.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
        let detail = answer.problem();
        assert!(detail.starts_with(says), "{path}: {detail}");
    }

    async fn found(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.json()
    }
}

async fn open() -> Served {
    serve(Access::Loopback, None).await
}

/// The methods and paths of the OpenAPI document.
fn documented() -> BTreeMap<String, Vec<String>> {
    let build = Build {
        version: "0.1.0".to_owned(),
        revision: String::new(),
    };
    let document = serde_json::to_value(openapi(&build)).expect("a document is JSON");
    let paths = document["paths"].as_object().expect("paths");
    let methods = |item: &Value| item.as_object().expect("methods").keys().cloned().collect();
    paths
        .iter()
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

#[test]
fn the_document_lists_exactly_these_routes() {
    let listed: Vec<String> = documented()
        .into_iter()
        .flat_map(|(path, methods)| {
            methods
                .into_iter()
                .map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(
        listed,
        [
            "get /api/v1/alerts",
            "get /api/v1/alerts/history",
            "get /api/v1/cursors",
            "get /api/v1/models",
            "get /api/v1/models/{model}",
            "get /api/v1/models/{model}/card",
            "get /api/v1/models/{model}/champion",
            "post /api/v1/models/{model}/champion",
            "get /api/v1/models/{model}/drift",
            "get /api/v1/models/{model}/labels",
            "get /api/v1/models/{model}/performance",
            "post /api/v1/models/{model}/promote",
            "post /api/v1/models/{model}/rollback",
            "get /api/v1/models/{model}/versions",
            "get /api/v1/models/{model}/windows",
            "get /api/v1/models/{model}/windows/{start}",
            "get /api/v1/openapi.json",
            "get /api/v1/rejections",
            "get /api/v1/retrain-runs",
            "post /api/v1/retrain-runs",
            "get /api/v1/retrain-runs/{id}",
            "post /api/v1/retrain-runs/{id}/approve",
            "post /api/v1/retrain-runs/{id}/cancel",
            "get /api/v1/retrain-runs/{id}/hold-out",
            "post /api/v1/retrain-runs/{id}/result",
            "post /api/v1/settle",
            "get /healthz",
            "get /metrics",
            "get /readyz",
            "post /retrain",
            "post /retrain/alertmanager",
        ]
    );
}

/// The table builds routes and document from the same lines, as long as nobody registers a route beside it.
#[test]
fn every_route_of_the_table_is_in_the_document() {
    let table = include_str!("mod.rs");
    let registered = table.matches("routes!(").count();
    assert_eq!(
        registered,
        documented().values().map(Vec::len).sum::<usize>()
    );
    for way_around in [".route(", ".nest(", ".route_service("] {
        assert!(!table.contains(way_around), "{way_around}");
    }
}

#[test]
fn every_operation_and_field_is_described() {
    let build = Build {
        version: "0.1.0".to_owned(),
        revision: String::new(),
    };
    let document = serde_json::to_value(openapi(&build)).expect("a document is JSON");
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
    }
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        assert!(schema["description"].is_string(), "{name}: {schema}");
    }
}

/// All that `$ref` points to, anywhere in `value`.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(entries) => entries.iter().for_each(|entry| references(entry, found)),
        _ => {}
    }
}

#[test]
fn the_document_refers_to_nothing_that_is_not_there() {
    let build = Build {
        version: "0.1.0".to_owned(),
        revision: String::new(),
    };
    let document = serde_json::to_value(openapi(&build)).expect("a document is JSON");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(
        found
            .iter()
            .any(|reference| reference.ends_with("/Problem")),
        "every operation may answer a problem"
    );
    for reference in found {
        assert!(
            document
                .pointer(reference.trim_start_matches('#'))
                .is_some(),
            "{reference}"
        );
    }
}

#[tokio::test]
async fn every_documented_route_is_served() {
    let served = open().await;
    served.readiness.send_replace(Readiness {
        assigned: true,
        partitions: 2,
        restored: true,
    });
    // Nothing was retrained here: these know the request, and that there is nothing to show or decide.
    let empty = |path: &str| {
        ["/champion", "/card", "/promote", "/rollback", "/retrain"]
            .iter()
            .any(|end| path.ends_with(end))
            || path.contains("/retrain-runs")
            || path.ends_with("/alertmanager")
    };
    for (path, methods) in documented() {
        let path = path.replace("{model}", "delay").replace("{start}", "0");
        for method in methods {
            let answer = match method.as_str() {
                "post" if path.ends_with("/settle") => served.settle(&path).await,
                method => served.send(&method.to_uppercase(), &path, &[]).await,
            };
            let says = format!("{method} {path}: {}", answer.text);
            if answer.status != StatusCode::OK {
                assert!(empty(&path), "{says}");
                assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{says}");
                assert!(
                    !answer.problem().starts_with("nothing is served at"),
                    "{says}"
                );
            }
        }
    }
}

#[tokio::test]
async fn it_stops_when_told_to() {
    let served = open().await;
    assert_eq!(served.get("/healthz").await.status, StatusCode::OK);
    drop(served.client);
    served.stop.send(()).expect("it runs");
    served
        .running
        .await
        .expect("no panic")
        .expect("a clean end");
}

/// Certificate and key for `localhost`, made by the openssl program.
fn certificate(served: &tempfile::TempDir) -> Tls {
    let path = |name: &str| -> PathBuf { served.path().join(name) };
    let tls = Tls {
        cert: path("cert.pem"),
        key: path("key.pem"),
    };
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&tls.key)
        .arg("-out")
        .arg(&tls.cert)
        .output()
        .expect("openssl is installed");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    tls
}

#[tokio::test]
async fn it_speaks_tls_with_the_certificate_it_was_given() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tls = certificate(&folder);
    let pem = std::fs::read(&tls.cert).expect("made above");
    let mut served = serve(Access::Loopback, Some(tls)).await;
    served.client = client(Some(
        reqwest::Certificate::from_pem(&pem).expect("a certificate"),
    ));
    assert_eq!(served.get("/healthz").await.status, StatusCode::OK);
    let stranger = client(None)
        .get(format!("{}/healthz", served.base))
        .send()
        .await;
    assert!(
        stranger.is_err(),
        "a client that does not know the certificate must not connect"
    );
}

#[tokio::test]
async fn a_bad_certificate_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tls = Tls {
        cert: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    let served = serve(Access::Loopback, Some(tls)).await;
    let error = served
        .running
        .await
        .expect("no panic")
        .expect_err("there is no certificate");
    assert!(error.to_string().contains("cert.pem"), "{error}");
}
