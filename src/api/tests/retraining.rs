//! Requests to retrain and the registry as clients meet them.

use serde_json::json;

use super::*;
use crate::api::auth::Tokens;
use crate::retrain::testing::{self, MODEL, NOW, Sent, World};
use crate::retrain::{Worker, run};
use crate::store::runs::Status;

/// A server over the small world of the retraining tests.
struct Trainer {
    base: String,
    client: reqwest::Client,
    world: World,
    _stop: oneshot::Sender<()>,
}

const OPERATOR: &str = "oooooooooooooooooooo";
const ADMIN: &str = "aaaaaaaaaaaaaaaaaaaa";

async fn trainer(mode: &str, access: Access) -> Trainer {
    let world = World::new(mode);
    let (settle, _) = mpsc::channel(settle::QUEUE);
    let (_ready, readiness) = watch::channel(Readiness::default());
    let app = App {
        store: world.store().clone(),
        metrics: world.retraining.metrics().clone(),
        settle,
        readiness,
        build: Build {
            version: "0.1.0".to_owned(),
            revision: "abc".to_owned(),
        },
        retraining: world.retraining.clone(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        let router = crate::api::retraining_router(app, access);
        server::serve(listener, router, None, shutdown).await
    });
    Trainer {
        base,
        client: client(None),
        world,
        _stop: stop,
    }
}

fn tokens() -> Access {
    let text = format!("bob operator {OPERATOR}\nroot admin {ADMIN}\n");
    Access::Tokens(Tokens::parse(std::path::Path::new("tokens"), &text).expect("good tokens"))
}

impl Trainer {
    async fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        Answer {
            status,
            headers,
            text: response.text().await.expect("a body"),
        }
    }

    async fn hook(&self, sent: &Sent) -> Answer {
        let request = self
            .client
            .post(format!("{}/retrain", self.base))
            .header("webhook-id", &sent.id)
            .header("webhook-timestamp", &sent.timestamp)
            .header("webhook-signature", &sent.signature)
            .body(sent.body.clone());
        self.answer(request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.answer(self.client.get(format!("{}{path}", self.base)))
            .await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .body(body.to_string());
        self.answer(request).await
    }

    async fn post_as(&self, token: &str, path: &str, body: Value) -> Answer {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .bearer_auth(token)
            .body(body.to_string());
        self.answer(request).await
    }

    async fn work(&self) {
        let worker = Worker::new(self.world.retraining.clone(), "w".to_owned(), |_| false);
        worker.step().await.expect("works");
    }
}

#[track_caller]
fn refused(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    answer.problem();
    assert_eq!(answer.json()["reason"], reason, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_taken_once_and_every_refusal_has_its_reason() {
    let trainer = trainer("promote", tokens()).await;
    let good = testing::sent("k1", "promote", NOW);
    let first = trainer.hook(&good).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.text);
    assert_eq!(
        first.json(),
        json!({"outcome": "accepted", "run": run::id_of("k1"), "status": null, "duplicate": false,
               "reason": format!("run {} waits for a worker", run::id_of("k1"))})
    );
    let again = trainer.hook(&good).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.json()["duplicate"], true);
    assert_eq!(again.json()["run"], first.json()["run"]);

    let second = testing::sent("k2", "promote", NOW);
    refused(&trainer.hook(&second).await, 409, "busy");
    let answer = trainer.hook(&second).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["outcome"].as_str()),
        (200, Some("refused"))
    );

    let mut forged = testing::sent("k3", "promote", NOW);
    forged.body.push(' ');
    refused(&trainer.hook(&forged).await, 401, "bad_signature");
    let stale = testing::sent("k3", "promote", NOW - 301_000);
    refused(&trainer.hook(&stale).await, 401, "too_old");
    let early = testing::sent("k3", "promote", NOW + 301_000);
    refused(&trainer.hook(&early).await, 401, "too_new");
    let bare = trainer.post("/retrain", json!({})).await;
    refused(&bare, 401, "not_signed");
    let empty = testing::signed("k3", "{}".to_owned(), NOW);
    refused(&trainer.hook(&empty).await, 422, "malformed");
    let kind = good.body.replace("retrain.requested", "drift.detected");
    refused(
        &trainer.hook(&testing::signed("k3", kind, NOW)).await,
        422,
        "unknown_type",
    );
    let other = good.body.replace("\"delay\"", "\"other\"");
    refused(
        &trainer.hook(&testing::signed("k3", other, NOW)).await,
        422,
        "undeclared_model",
    );
    let long = testing::signed("k3", " ".repeat(70_000), NOW);
    assert_eq!(
        trainer.hook(&long).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let metrics = trainer.world.retraining.metrics().render();
    for line in [
        "driftline_retrain_requests_total{outcome=\"accepted\"} 1",
        "driftline_retrain_requests_total{outcome=\"repeated\"} 2",
        "driftline_retrain_requests_total{outcome=\"busy\"} 1",
        "driftline_retrain_requests_total{outcome=\"bad_signature\"} 2",
        "driftline_retrain_requests_total{outcome=\"stale\"} 2",
    ] {
        assert!(metrics.contains(line), "{line}");
    }

    // Sent again when it was captured: its age gives it away.
    trainer.world.hand.turn(10 * crate::event::MINUTE);
    refused(&trainer.hook(&good).await, 401, "too_old");
    trainer.work().await;
    let run = trainer.world.retraining.run(&run::id_of("k1")).await;
    assert_eq!(run.expect("there").status(), Status::Promoted);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_and_registry_are_shown_and_decided_about() {
    let trainer = trainer("propose", Access::Loopback).await;
    let asked = trainer
        .post(
            "/api/v1/retrain-runs",
            json!({"model": MODEL, "reason": "new season", "key": "k1"}),
        )
        .await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
    let id = asked.json()["run"].as_str().expect("a run").to_owned();
    // It names no version and no champion is known, so there is nobody to compare with.
    trainer.work().await;
    let run = trainer
        .get(&format!("/api/v1/retrain-runs/{id}"))
        .await
        .json();
    assert_eq!(
        (&run["status"], &run["gate"]["outcome"]),
        (&json!("blocked"), &json!("no_champion_predictions"))
    );

    let none = trainer
        .get(&format!("/api/v1/models/{MODEL}/champion"))
        .await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let path = format!("/api/v1/models/{MODEL}/champion");
    let registered = trainer.post(&path, json!({"version": "1"})).await;
    assert_eq!(registered.json()["version"], "1", "{}", registered.text);
    assert_eq!(
        trainer.post(&path, json!({"version": "2"})).await.status,
        StatusCode::CONFLICT
    );

    let asked = trainer
        .post("/api/v1/retrain-runs", json!({"model": MODEL, "key": "k2"}))
        .await;
    let id = asked.json()["run"].as_str().expect("a run").to_owned();
    trainer.work().await;
    let list = trainer
        .get(&format!(
            "/api/v1/retrain-runs?model={MODEL}&status=proposed"
        ))
        .await
        .json();
    assert_eq!(list["runs"][0]["id"], id);
    assert_eq!(list["runs"].as_array().map(Vec::len), Some(1));
    let approved = trainer
        .post(&format!("/api/v1/retrain-runs/{id}/approve"), json!({}))
        .await;
    assert_eq!(approved.json()["status"], "promoted", "{}", approved.text);
    assert_eq!(approved.json()["decided_by"], "local");
    let versions = trainer
        .get(&format!("/api/v1/models/{MODEL}/versions"))
        .await
        .json();
    assert_eq!(versions["versions"][0]["rows"], 3600);
    assert_eq!(versions["versions"][1]["champion"], true);
    assert_eq!(versions["versions"][1]["run"], id);

    let card = trainer.get(&format!("/api/v1/models/{MODEL}/card")).await;
    assert_eq!(card.json()["version"], "2");
    let request = trainer
        .client
        .get(format!("{}/api/v1/models/{MODEL}/card", trainer.base))
        .header("accept", "text/markdown");
    let text = trainer.answer(request).await;
    assert!(
        text.text.starts_with("# delay version 2\n"),
        "{}",
        text.text
    );
    assert_eq!(text.headers["content-type"], "text/markdown; charset=utf-8");

    let back = trainer
        .post(&format!("/api/v1/models/{MODEL}/rollback"), json!({}))
        .await;
    assert_eq!(back.json()["version"], "1", "{}", back.text);
    let moves: Vec<Value> = back.json()["moves"]
        .as_array()
        .expect("moves")
        .iter()
        .map(|moved| moved["action"].clone())
        .collect();
    assert_eq!(moves, ["rollback", "promote", "register"]);
    let cancel = trainer
        .post(&format!("/api/v1/retrain-runs/{id}/cancel"), json!({}))
        .await;
    assert_eq!(cancel.status, StatusCode::CONFLICT);
    let unknown = trainer.get("/api/v1/retrain-runs/none").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let odd = trainer.get("/api/v1/retrain-runs?status=done").await;
    assert!(
        odd.problem()
            .starts_with("status: \"done\" is none of queued, training")
    );
    let extra = trainer
        .post(&path, json!({"version": "2", "force": true}))
        .await;
    assert_eq!(extra.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_promotes_without_a_win() {
    let trainer = trainer("propose", tokens()).await;
    trainer.hook(&testing::sent("k1", "propose", NOW)).await;
    trainer.work().await;
    let path = format!("/api/v1/models/{MODEL}/promote");
    let wanted = json!({"run": run::id_of("k1")});
    let answer = trainer.post_as(OPERATOR, &path, wanted.clone()).await;
    assert_eq!(
        answer.problem(),
        "bob has the role operator; this request needs admin"
    );
    let unclear = trainer.post_as(ADMIN, &path, json!({})).await;
    assert_eq!(
        unclear.problem(),
        "give exactly one of run, version and hash"
    );
    let done = trainer.post_as(ADMIN, &path, wanted).await;
    assert_eq!(done.json()["moves"][0]["actor"], "root", "{}", done.text);
    assert_eq!(done.json()["moves"][0]["action"], "force");
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_needs_a_token_and_asks_for_each_alert() {
    let trainer = trainer("promote", tokens()).await;
    let body = json!({"version": "4", "groupKey": "g", "status": "firing", "alerts": [
        {"status": "firing", "labels": {"model": MODEL, "version": "1"}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "a"},
        {"status": "resolved", "labels": {"model": MODEL}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "b"}]});
    let path = "/retrain/alertmanager";
    assert_eq!(
        trainer.post(path, body.clone()).await.status,
        StatusCode::UNAUTHORIZED
    );
    let taken = trainer.post_as(OPERATOR, path, body.clone()).await;
    assert_eq!(taken.status, StatusCode::ACCEPTED, "{}", taken.text);
    assert_eq!(taken.json()["alerts"][0]["outcome"], "accepted");
    assert_eq!(taken.json()["alerts"][1]["reason"], "it is not firing");
    let again = trainer.post_as(OPERATOR, path, body).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.json()["alerts"][0]["outcome"], "repeated");
    let odd = trainer
        .post_as(OPERATOR, path, json!({"version": "3"}))
        .await;
    assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_trainer_is_given_ids_and_answers_over_http() {
    let trainer = trainer("propose", Access::Loopback).await;
    let path = format!("/api/v1/models/{MODEL}/champion");
    trainer.post(&path, json!({"version": "1"})).await;
    let asked = trainer
        .post(
            "/api/v1/retrain-runs",
            json!({"model": MODEL, "external": true}),
        )
        .await;
    let id = asked.json()["run"].as_str().expect("a run").to_owned();
    let hold_out = trainer
        .get(&format!("/api/v1/retrain-runs/{id}/hold-out"))
        .await
        .json();
    assert_eq!(hold_out["rows"], 14 * 60);
    assert_eq!(hold_out["next"], Value::Null);
    let ids = hold_out["ids"].as_array().expect("ids");
    let predictions: Vec<Value> = ids
        .iter()
        .map(|id| {
            let number = id.as_str().expect("an id").trim_start_matches('f');
            let row = testing::row(number.parse().expect("a number"));
            json!({"id": id, "scores": {"late": 0.1 + 0.75 * row.dist}})
        })
        .collect();
    let path = format!("/api/v1/retrain-runs/{id}/result");
    let short = trainer
        .post(
            &path,
            json!({"version": "x1", "predictions": predictions[1..]}),
        )
        .await;
    assert!(
        short
            .problem()
            .starts_with("predictions: 1 of 840 rows of the hold-out have none"),
        "{}",
        short.text
    );
    let artefact = json!({"uri": "s3://models/x1", "sha256": "a".repeat(64)});
    let done = trainer
        .post(
            &path,
            json!({"version": "x1", "artefact": artefact, "predictions": predictions}),
        )
        .await;
    assert_eq!(done.json()["status"], "proposed", "{}", done.text);
    assert_eq!(done.json()["challenger"]["hash"], "a".repeat(64));
    let again = trainer
        .post(&path, json!({"version": "x1", "predictions": []}))
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}
