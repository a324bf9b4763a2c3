//! Delivery against a real server on the loopback interface; the clock is an argument, so nothing sleeps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::delivery::{Attempt, configure, deliver_due};
use super::event::tests::{change, event};
use super::event::{AlertEvent, EventKind, enqueue};
use super::receiver::Receiver;
use super::retry::Outcome;
use super::signature::{self, Secret};
use super::{Http, run};
use crate::event::{HOUR, MINUTE, Millis, SECOND};
use crate::store::Store;
use crate::store::outbox::{self, Status};
use crate::store::testing::scratch;

const NOW: Millis = 1_700_000_000_000;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a receiver saw: path, headers, body.
type Seen = (String, HeaderMap, String);

/// A receiver that answers as the script says, then 204.
#[derive(Clone, Default)]
struct Server {
    script: Arc<Mutex<VecDeque<Response>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn start() -> (Server, String) {
        let server = Server::default();
        let router = Router::new()
            .fallback(Server::answer)
            .with_state(server.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        (server, address)
    }

    async fn answer(State(server): State<Server>, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        let body = String::from_utf8(body.to_vec()).expect("UTF-8");
        server.seen.lock().expect("no panic").push((
            head.uri.path().to_string(),
            head.headers,
            body,
        ));
        let scripted = server.script.lock().expect("no panic").pop_front();
        scripted.unwrap_or_else(|| StatusCode::NO_CONTENT.into_response())
    }

    fn then(&self, answer: impl IntoResponse) {
        self.script
            .lock()
            .expect("no panic")
            .push_back(answer.into_response());
    }

    fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().expect("no panic"))
    }
}

/// A store, a server and one receiver of that server's.
struct Scene {
    _dir: tempfile::TempDir,
    store: Store,
    server: Server,
    http: Http,
    receivers: Vec<Receiver>,
}

impl Scene {
    async fn new(receiver: impl Fn(&str) -> Receiver) -> Scene {
        let (_dir, store) = scratch();
        let (server, address) = Server::start().await;
        let receivers = vec![receiver(&address)];
        configure(&store, &receivers)
            .await
            .expect("the store works");
        Scene {
            _dir,
            store,
            server,
            http: Http::new().expect("a client"),
            receivers,
        }
    }

    async fn webhook() -> Scene {
        Scene::new(|address| {
            let secrets = vec![Secret::parse(SECRET).expect("the published secret")];
            Receiver::webhook("to", &format!("{address}/hook"), secrets, true).expect("usable")
        })
        .await
    }

    async fn alertmanager() -> Scene {
        Scene::new(|address| Receiver::alertmanager("to", address, true).expect("usable")).await
    }

    fn tell(&self, event: &AlertEvent) -> usize {
        let event = event.clone();
        self.store
            .write(move |tx| enqueue(tx, &["to".to_string()], &event))
            .expect("the store works")
    }

    async fn pass(&self, now: Millis) -> Vec<Attempt> {
        deliver_due(&self.store, &self.http, &self.receivers, now)
            .await
            .expect("the store works")
    }

    /// Statuses of all notifications, oldest first.
    fn statuses(&self) -> Vec<Status> {
        let rows = self
            .store
            .read(|conn| outbox::latest(conn, 100))
            .expect("the store works");
        rows.iter().rev().map(|row| row.status).collect()
    }
}

fn fired(model: &str) -> AlertEvent {
    event(EventKind::DriftDetected, model, &[change("temp")])
}

fn ended(model: &str) -> AlertEvent {
    event(EventKind::DriftResolved, model, &[])
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn a_webhook_gets_the_signed_event_once() {
    let scene = Scene::webhook().await;
    let event = fired("delay");
    assert_eq!(
        (scene.tell(&event), scene.tell(&event)),
        (1, 0),
        "telling it twice is telling it once"
    );
    let attempts = scene.pass(NOW).await;
    assert_eq!((attempts.len(), attempts[0].code.as_str()), (1, "204"));

    let seen = scene.server.seen();
    let [(path, headers, body)] = seen.as_slice() else {
        panic!("one request, not {}", seen.len())
    };
    assert_eq!(path, "/hook");
    assert_eq!(*body, event.to_json().expect("writes"));
    assert_eq!(
        header(headers, "content-type"),
        "application/cloudevents+json; charset=utf-8"
    );
    assert_eq!(header(headers, "webhook-id"), event.id);
    let believed = signature::verify(
        &[Secret::parse(SECRET).expect("the published secret")],
        header(headers, "webhook-id"),
        header(headers, "webhook-timestamp"),
        header(headers, "webhook-signature"),
        body.as_bytes(),
        NOW / SECOND,
    );
    assert_eq!(believed, Ok(()));

    assert_eq!(scene.pass(NOW + HOUR).await, []);
    assert_eq!(scene.statuses(), [Status::Delivered]);
}

#[tokio::test]
async fn a_failure_is_tried_again_under_the_same_id_and_later_events_wait() {
    let scene = Scene::webhook().await;
    scene.tell(&fired("delay"));
    scene.tell(&ended("delay"));
    scene.tell(&fired("other"));
    scene.server.then(StatusCode::INTERNAL_SERVER_ERROR);
    scene.server.then(StatusCode::INTERNAL_SERVER_ERROR);

    assert_eq!(scene.pass(NOW).await.len(), 2, "the head of each model");
    assert_eq!(
        scene.pass(NOW + 4 * SECOND).await,
        [],
        "five seconds are not over"
    );
    scene.server.seen();
    let retried = scene.pass(NOW + 10 * SECOND).await;
    assert_eq!(
        retried
            .iter()
            .map(|attempt| attempt.number)
            .collect::<Vec<_>>(),
        [2, 2]
    );
    let ids: Vec<String> = scene
        .server
        .seen()
        .iter()
        .map(|(_, headers, _)| header(headers, "webhook-id").to_string())
        .collect();
    assert!(
        ids.contains(&fired("delay").id) && ids.contains(&fired("other").id),
        "{ids:?}"
    );

    let last = scene.pass(NOW + 10 * SECOND).await;
    assert_eq!(
        last.iter()
            .map(|attempt| attempt.id.clone())
            .collect::<Vec<_>>(),
        [ended("delay").id]
    );
    assert_eq!(scene.statuses(), [Status::Delivered; 3]);
}

/// Down for half an hour of simulated time, then answering every other request only.
#[tokio::test]
async fn a_receiver_that_was_down_and_flaps_gets_all_in_order_under_constant_keys() {
    let scene = Scene::webhook().await;
    let models = ["a", "b", "c"];
    for model in models {
        scene.tell(&fired(model));
        scene.tell(&ended(model));
    }
    let mut bodies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut delivered: Vec<(String, String)> = Vec::new();
    let mut attempts = 0;
    for minute in 0..24 * 60 {
        let script = || scene.server.script.lock().expect("no panic");
        script().clear();
        for turn in 0..20 {
            let down = minute < 30 || (turn + minute) % 2 == 0;
            scene.server.then(if down {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::NO_CONTENT
            });
        }
        for attempt in scene.pass(NOW + minute * MINUTE).await {
            attempts += 1;
            if attempt.code == "204" {
                assert!(minute >= 30, "it was down");
                delivered.push((attempt.model, attempt.id));
            }
        }
        for (_, headers, body) in scene.server.seen() {
            let id = header(&headers, "webhook-id").to_string();
            bodies.entry(id).or_default().insert(body);
        }
    }
    assert_eq!(scene.statuses(), [Status::Delivered; 6]);
    assert!(attempts > delivered.len(), "some had to be tried again");
    for model in models {
        let of_model: Vec<&str> = delivered
            .iter()
            .filter(|(of, _)| of == model)
            .map(|(_, id)| id.as_str())
            .collect();
        assert_eq!(of_model, [fired(model).id, ended(model).id], "{model}");
    }
    assert_eq!(bodies.len(), 6, "no id but those of the events");
    assert!(
        bodies.values().all(|bodies| bodies.len() == 1),
        "a body per id"
    );
}

#[tokio::test]
async fn after_ten_attempts_it_has_failed_and_the_next_is_sent() {
    let scene = Scene::webhook().await;
    scene.tell(&fired("delay"));
    scene.tell(&ended("delay"));
    let mut now = NOW;
    for number in 1..=10 {
        scene.server.then(StatusCode::NOT_FOUND);
        let attempts = scene.pass(now).await;
        assert_eq!(
            attempts
                .iter()
                .map(|attempt| attempt.number)
                .collect::<Vec<_>>(),
            [number]
        );
        now += 30 * HOUR;
    }
    assert_eq!(scene.statuses(), [Status::Failed, Status::Pending]);
    scene.pass(now).await;
    assert_eq!(scene.statuses(), [Status::Failed, Status::Delivered]);
}

#[tokio::test]
async fn gone_disables_until_the_address_changes() {
    let scene = Scene::webhook().await;
    scene.tell(&fired("delay"));
    scene.server.then(StatusCode::GONE);
    scene.pass(NOW).await;
    assert_eq!(scene.statuses(), [Status::Disabled]);
    scene.server.seen();
    scene.tell(&ended("delay"));
    assert_eq!(scene.pass(NOW + HOUR).await, []);
    assert_eq!(
        scene.statuses(),
        [Status::Disabled; 2],
        "nothing piles up for a receiver that is gone"
    );
    configure(&scene.store, &scene.receivers)
        .await
        .expect("the store works");
    scene.tell(&fired("other"));
    assert_eq!(
        scene.pass(NOW + HOUR).await,
        [],
        "the same address is still gone"
    );

    let secrets = vec![Secret::parse(SECRET).expect("the published secret")];
    let moved = scene.receivers[0].url().join("/elsewhere").expect("a URL");
    let moved = [Receiver::webhook("to", moved.as_str(), secrets, true).expect("usable")];
    configure(&scene.store, &moved)
        .await
        .expect("the store works");
    scene.tell(&ended("other"));
    let attempts = deliver_due(&scene.store, &scene.http, &moved, NOW + HOUR)
        .await
        .expect("works");
    assert_eq!(attempts.len(), 1);
    assert_eq!(scene.server.seen()[0].0, "/elsewhere");
}

#[tokio::test]
async fn overload_holds_every_model_back_for_as_long_as_was_asked() {
    let scene = Scene::webhook().await;
    scene.tell(&fired("delay"));
    scene
        .server
        .then((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "600")]));
    scene.pass(NOW).await;
    scene.tell(&fired("other"));
    assert_eq!(scene.pass(NOW + 10 * MINUTE - 1).await, []);
    assert_eq!(scene.pass(NOW + 10 * MINUTE).await.len(), 2);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let scene = Scene::webhook().await;
    scene.tell(&fired("delay"));
    scene
        .server
        .then((StatusCode::TEMPORARY_REDIRECT, [("location", "/trap")]));
    let attempts = scene.pass(NOW).await;
    assert!(
        matches!(&attempts[0].outcome, Outcome::Retry { reason, .. } if reason.starts_with("307"))
    );
    assert_eq!(scene.server.seen().len(), 1);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let scene = Scene::new(|address| {
        let port = address.rsplit(':').next().expect("a port");
        let secrets = vec![Secret::parse(SECRET).expect("the published secret")];
        Receiver::webhook(
            "to",
            &format!("http://localhost:{port}/hook"),
            secrets,
            false,
        )
        .expect("only a name")
    })
    .await;
    scene.tell(&fired("delay"));
    let attempts = scene.pass(NOW).await;
    assert_eq!(attempts[0].code, "blocked");
    let Outcome::Retry { reason, .. } = &attempts[0].outcome else {
        panic!("tried again: the name may change")
    };
    assert!(
        reason.starts_with("localhost resolves to the internal address "),
        "{reason}"
    );
    assert_eq!(scene.server.seen().len(), 0);
}

#[tokio::test]
async fn who_never_answers_is_given_up_on() {
    let (_dir, store) = scratch();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = format!("http://{}", silent.local_addr().expect("bound"));
    let secrets = vec![Secret::parse(SECRET).expect("the published secret")];
    let receivers = [Receiver::webhook("to", &address, secrets, true).expect("usable")];
    let event = fired("delay");
    store
        .write(move |tx| enqueue(tx, &["to".to_string()], &event))
        .expect("the store works");
    let http = Http::with_timeout(Duration::from_millis(50)).expect("a client");
    let attempts = deliver_due(&store, &http, &receivers, NOW)
        .await
        .expect("works");
    assert_eq!(attempts[0].code, "timeout");
}

#[tokio::test]
async fn a_closed_port_is_unreachable_and_the_reason_hides_the_address() {
    let (_dir, store) = scratch();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = format!(
        "http://{}/hidden-token",
        closed.local_addr().expect("bound")
    );
    drop(closed);
    let secrets = vec![Secret::parse(SECRET).expect("the published secret")];
    let receivers = [Receiver::webhook("to", &address, secrets, true).expect("usable")];
    let event = fired("delay");
    store
        .write(move |tx| enqueue(tx, &["to".to_string()], &event))
        .expect("the store works");
    let attempts = deliver_due(&store, &Http::new().expect("a client"), &receivers, NOW)
        .await
        .expect("works");
    assert_eq!(attempts[0].code, "unreachable");
    assert!(!format!("{attempts:?}").contains("hidden-token"));
}

#[tokio::test]
async fn a_claim_that_was_never_settled_is_sent_again_when_it_runs_out() {
    let scene = Scene::webhook().await;
    scene.tell(&fired("delay"));
    let claimed = scene
        .store
        .write(|tx| outbox::claim_due(tx, "to", NOW, NOW + MINUTE, 16))
        .expect("the store works");
    assert_eq!(claimed.len(), 1, "a process claimed it and died");
    assert_eq!(scene.pass(NOW + MINUTE - 1).await, []);
    assert_eq!(scene.pass(NOW + MINUTE).await[0].number, 2);
}

#[tokio::test]
async fn alertmanager_is_told_again_while_firing_and_once_when_resolved() {
    let scene = Scene::alertmanager().await;
    scene.tell(&fired("delay"));
    assert_eq!(scene.pass(NOW).await.len(), 1);
    assert_eq!(scene.pass(NOW + 59 * SECOND).await, []);
    assert_eq!(scene.pass(NOW + MINUTE).await.len(), 1);
    assert_eq!(scene.statuses(), [Status::Repeating]);

    scene.tell(&ended("delay"));
    assert_eq!(scene.pass(NOW + 2 * MINUTE).await.len(), 1);
    assert_eq!(scene.pass(NOW + 10 * MINUTE).await, []);
    assert_eq!(scene.statuses(), [Status::Delivered; 2]);

    let seen = scene.server.seen();
    let ends: Vec<String> = seen
        .iter()
        .map(|(path, _, body)| {
            assert_eq!(path, "/api/v2/alerts");
            let alerts: serde_json::Value = serde_json::from_str(body).expect("JSON");
            alerts[0]["endsAt"].as_str().expect("a time").to_string()
        })
        .collect();
    assert_eq!(
        ends,
        [
            "2023-11-14T22:18:20Z",
            "2023-11-14T22:19:20Z",
            "2023-11-14T22:15:20Z"
        ]
    );
}

#[tokio::test]
async fn alertmanager_hears_of_a_firing_alert_however_long_it_was_away() {
    let scene = Scene::alertmanager().await;
    scene.tell(&fired("delay"));
    scene.pass(NOW).await;
    let mut now = NOW;
    for _ in 0..12 {
        now += MINUTE;
        scene.server.then(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(scene.pass(now).await.len(), 1);
    }
    assert_eq!(
        scene.pass(now + MINUTE).await[0].outcome,
        Outcome::Delivered
    );
    assert_eq!(scene.statuses(), [Status::Repeating]);
}

#[tokio::test]
async fn an_alert_that_ended_before_it_was_told_is_told_in_order_and_not_repeated() {
    let scene = Scene::alertmanager().await;
    scene.tell(&fired("delay"));
    scene.tell(&ended("delay"));
    scene.pass(NOW).await;
    scene.pass(NOW).await;
    assert_eq!(scene.statuses(), [Status::Delivered; 2]);
    assert_eq!(scene.pass(NOW + HOUR).await, []);
}

#[tokio::test]
async fn the_loop_delivers_what_is_due_and_ends_when_told() {
    let scene = Scene::webhook().await;
    scene.tell(&fired("delay"));
    scene.tell(&ended("delay"));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stop = Mutex::new(Some(stop));
    let count = Mutex::new(0);
    let on_attempt = |_: &Attempt| {
        let mut count = count.lock().expect("no panic");
        *count += 1;
        if *count == 2 {
            stop.lock()
                .expect("no panic")
                .take()
                .expect("told once")
                .send(())
                .expect("the loop listens");
        }
    };
    let shutdown = async { stopped.await.expect("sent above") };
    run(
        scene.store.clone(),
        scene.http.clone(),
        scene.receivers.clone(),
        || NOW,
        on_attempt,
        shutdown,
    )
    .await
    .expect("ends well");
    assert_eq!(scene.statuses(), [Status::Delivered; 2]);
}
