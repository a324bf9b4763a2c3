//! A webhook receiver on the loopback interface: keeps what it is sent, refuses what it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The answer.
    pub status: u16,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .to_str()
            .expect("a plain text")
    }
}

#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    failures: usize,
}

impl Receiver {
    /// Answers 500 to the first `failures` requests and 204 to all others.
    pub async fn start(failures: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let receiver = Self {
            address,
            calls: Arc::default(),
            failures,
        };
        let app = Router::new()
            .route("/hook", post(take))
            .with_state(receiver.clone());
        // Ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls
            .lock()
            .expect("no test panics while it holds this")
            .clone()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut calls = receiver
        .calls
        .lock()
        .expect("no test panics while it holds this");
    let status = if calls.len() < receiver.failures {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::NO_CONTENT
    };
    calls.push(Call {
        headers,
        body,
        status: status.as_u16(),
    });
    status
}
