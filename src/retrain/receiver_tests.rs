//! Requests as they come, good and bad, against a store of their own.

use super::*;
use crate::event::{DAY, MINUTE};
use crate::retrain::testing::{self, MODEL, NOW, REQUESTED, Sent, World, sent};

async fn send(world: &World, sent: &Sent) -> Result<Answer, Refused> {
    let signed = Signed {
        id: Some(&sent.id),
        timestamp: Some(&sent.timestamp),
        signature: Some(&sent.signature),
    };
    world
        .retraining
        .receive(signed, sent.body.as_bytes())
        .await
        .expect("the store works")
}

#[track_caller]
fn name(answer: Result<Answer, Refused>) -> &'static str {
    answer.expect_err("must be refused").as_str()
}

fn all(world: &World) -> Vec<runs::RunRow> {
    world
        .store()
        .read(|conn| runs::list(conn, None, None, 100))
        .expect("reads")
}

#[tokio::test]
async fn a_good_request_is_one_run_however_often_it_comes() {
    let world = World::new("promote");
    let request = sent("k1", "promote", NOW);
    let id = run::id_of("k1");
    assert_eq!(
        send(&world, &request).await,
        Ok(Answer::Accepted { run: id.clone() })
    );
    world.hand.turn(4 * MINUTE);
    let again = send(&world, &request).await;
    let queued = Status::Queued;
    assert_eq!(
        again,
        Ok(Answer::Repeated {
            run: id,
            status: queued
        })
    );
    let rows = all(&world);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (
            rows[0].requested,
            rows[0].mode.as_str(),
            rows[0].version.as_str()
        ),
        (REQUESTED, "promote", "1")
    );
}

#[tokio::test]
async fn a_captured_request_is_refused_by_its_age_and_no_forged_one_is_believed() {
    let world = World::new("promote");
    let good = sent("k1", "promote", NOW);
    world.hand.turn(6 * MINUTE);
    assert_eq!(name(send(&world, &good).await), "too_old");
    let ahead = sent("k1", "promote", NOW + DAY);
    assert_eq!(name(send(&world, &ahead).await), "too_new");

    let now = world.hand.now();
    let mut forged = sent("k2", "promote", now);
    forged.body = forged.body.replace("promote", "propose");
    assert_eq!(name(send(&world, &forged).await), "bad_signature");
    let mut other_key = sent("k2", "promote", now);
    other_key.id = "k3".to_owned();
    assert_eq!(name(send(&world, &other_key).await), "bad_signature");
    let mut younger = good;
    younger.timestamp = sent("k1", "promote", now).timestamp;
    assert_eq!(name(send(&world, &younger).await), "bad_signature");
    let mut odd = sent("k2", "promote", now);
    odd.timestamp = "yesterday".to_owned();
    assert_eq!(name(send(&world, &odd).await), "bad_timestamp");
    let bare = world.retraining.receive(Signed::default(), b"{}").await;
    assert_eq!(name(bare.expect("the store works")), "not_signed");
    assert!(all(&world).is_empty());
}

#[tokio::test]
async fn while_a_run_is_active_another_is_refused_for_good() {
    let world = World::new("promote");
    send(&world, &sent("k1", "promote", NOW))
        .await
        .expect("accepted");
    let second = sent("k2", "promote", NOW);
    assert_eq!(name(send(&world, &second).await), "busy");
    world
        .retraining
        .cancel(&run::id_of("k1"), "somebody")
        .await
        .expect("called off");
    // The sender tries again, and is told to stop.
    let answer = send(&world, &second).await;
    assert!(
        matches!(&answer, Ok(Answer::RefusedBefore { reason }) if reason.contains("is queued; one run of a model at a time")),
        "{answer:?}"
    );
    assert!(matches!(
        send(&world, &sent("k3", "promote", NOW)).await,
        Ok(Answer::Accepted { .. })
    ));
}

#[tokio::test]
async fn what_asks_for_something_else_is_refused_by_name() {
    let world = World::new("promote");
    let changed = |from: &str, to: &str| {
        let body = sent("k", "propose", NOW).body.replace(from, to);
        testing::signed("k", body, NOW)
    };
    for (request, expect) in [
        (testing::signed("k", "{".to_owned(), NOW), "malformed"),
        (testing::signed("k", "{}".to_owned(), NOW), "malformed"),
        (
            changed("\"mode\":\"propose\"", "\"mode\":\"replace\""),
            "malformed",
        ),
        (changed("1970-03-02T00:00:00Z", "tomorrow"), "malformed"),
        (
            changed("retrain.requested.v1", "drift.detected.v1"),
            "unknown_type",
        ),
        (
            changed("retrain.requested.v1", "retrain.requested.v2"),
            "unknown_type",
        ),
        (
            changed("\"model\":\"delay\"", "\"model\":\"other\""),
            "undeclared_model",
        ),
        (
            changed(
                "\"time\":\"1970-03-02T00:00:00Z\"",
                "\"time\":\"9999-01-01T00:00:00Z\"",
            ),
            "ahead",
        ),
        (
            testing::signed(&"k".repeat(257), sent("k", "propose", NOW).body, NOW),
            "malformed",
        ),
    ] {
        let body = request.body.clone();
        assert_eq!(name(send(&world, &request).await), expect, "{body}");
    }
    assert!(all(&world).is_empty());
}

#[tokio::test]
async fn a_mode_that_the_declaration_does_not_have_is_lowered() {
    let world = World::new("propose");
    send(&world, &sent("k1", "promote", NOW))
        .await
        .expect("accepted");
    let run = world
        .retraining
        .run(&run::id_of("k1"))
        .await
        .expect("it is there");
    assert_eq!(
        (run.mode, run.body.request.asked),
        (Mode::Propose, Mode::Promote)
    );
}

#[tokio::test]
async fn a_model_without_rows_is_not_trained() {
    let yaml = format!("model: {MODEL}\ntask: {{type: binary, positive: late}}\n");
    let world = World::with(&yaml, |_, truth| truth);
    let answer = send(&world, &sent("k1", "propose", NOW)).await;
    assert_eq!(
        answer.expect_err("refused").to_string(),
        "delay cannot be trained: its declaration keeps no rows; write `rows: all`"
    );
}

#[tokio::test]
async fn a_key_of_another_model_is_not_this_one() {
    let world = World::new("promote");
    send(&world, &sent("k1", "propose", NOW))
        .await
        .expect("accepted");
    let body = sent("k1", "propose", NOW)
        .body
        .replace("\"model\":\"delay\"", "\"model\":\"other\"");
    let other = testing::signed("k1", body, NOW);
    assert_eq!(name(send(&world, &other).await), "key_reused");
}

#[tokio::test]
async fn alertmanager_asks_once_for_each_firing_alert_of_a_model() {
    use crate::retrain::alertmanager::{Outcome, Payload};
    let world = World::new("promote");
    let body = br#"{"version":"4","groupKey":"g","truncatedAlerts":0,"status":"firing","receiver":"driftline",
        "groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://am","alerts":[
        {"status":"firing","labels":{"alertname":"Slow","model":"delay"},"annotations":{"summary":"it got worse"},
         "startsAt":"2026-01-01T00:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"a"},
        {"status":"resolved","labels":{"model":"delay"},"startsAt":"2026-01-01T00:00:00Z","fingerprint":"b"},
        {"status":"firing","labels":{"alertname":"Disk"},"startsAt":"2026-01-01T00:00:00Z","fingerprint":"c"},
        {"status":"firing","labels":{"model":"delay"},"startsAt":"2026-01-02T00:00:00Z","fingerprint":"a"}]}"#;
    let payload = Payload::parse(body).expect("Alertmanager's own form");
    let take = async || {
        let taken = world.retraining.receive_alerts(&payload, "am").await;
        taken.expect("the store works")
    };
    let first = take().await;
    assert!(matches!(
        first[0].outcome,
        Outcome::Asked(Answer::Accepted { .. })
    ));
    assert_eq!(first[1].outcome, Outcome::Ignored("it is not firing"));
    assert_eq!(
        first[2].outcome,
        Outcome::Ignored("it has no label `model`")
    );
    assert!(matches!(
        first[3].outcome,
        Outcome::Refused(Refused::Busy { .. })
    ));
    let second = take().await;
    assert!(matches!(
        second[0].outcome,
        Outcome::Asked(Answer::Repeated { .. })
    ));
    assert!(matches!(
        second[3].outcome,
        Outcome::Asked(Answer::RefusedBefore { .. })
    ));
    let rows = all(&world);
    assert_eq!(rows.len(), 1);
    let run = Run::read(rows[0].clone()).expect("reads");
    assert_eq!(run.mode, Mode::Promote);
    assert_eq!(run.body.request.reason, "it got worse");
    assert_eq!(run.row.requested, REQUESTED + crate::event::HOUR);
}

use crate::retrain::Run;
