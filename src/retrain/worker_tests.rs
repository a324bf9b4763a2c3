//! Runs from their request to their end: two workers, a dead one, people who decide.

use std::collections::BTreeMap;

use super::*;
use crate::retrain::decisions::Wanted;
use crate::retrain::receiver::Signed;
use crate::retrain::reproduce::Reproduced;
use crate::retrain::testing::{MODEL, NOW, REQUESTED, World, declaration, sent};
use crate::retrain::{Answer, Denied, Mode};
use crate::store::outbox;
use crate::store::registry::{Champion, Move};

fn worker(world: &World, name: &str) -> Worker {
    Worker::new(world.retraining.clone(), name.to_owned(), |_| false)
}

async fn ask(world: &World, key: &str, mode: &str) -> String {
    let sent = sent(key, mode, world.hand.now());
    let signed = Signed {
        id: Some(&sent.id),
        timestamp: Some(&sent.timestamp),
        signature: Some(&sent.signature),
    };
    match world
        .retraining
        .receive(signed, sent.body.as_bytes())
        .await
        .expect("the store works")
    {
        Ok(Answer::Accepted { run }) => run,
        other => panic!("{other:?}"),
    }
}

fn champion_of(world: &World) -> Option<Champion> {
    world
        .store()
        .read(|conn| registry::champion(conn, MODEL))
        .expect("reads")
}

fn moves(world: &World) -> Vec<Move> {
    world
        .store()
        .read(|conn| registry::moves(conn, MODEL))
        .expect("reads")
}

fn kinds(world: &World) -> Vec<String> {
    let mut rows = world
        .store()
        .read(|conn| outbox::latest(conn, 100))
        .expect("reads");
    rows.reverse();
    rows.into_iter()
        .map(|row| row.notification.kind.replace("io.driftline.", ""))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_win_is_promoted_with_file_card_and_events_and_can_be_made_again() {
    let world = World::new("promote");
    let id = ask(&world, "k1", "promote").await;
    let left = worker(&world, "w").step().await.expect("works");
    assert_eq!(left.map(|left| left.status), Some(Status::Promoted));
    let run = world.retraining.run(&id).await.expect("there");
    assert_eq!(run.status(), Status::Promoted);
    let champion = champion_of(&world).expect("one");
    assert_eq!((champion.version.as_str(), champion.seq), ("2", 2));
    assert_eq!(champion.since, REQUESTED);
    let hash = champion.hash.expect("a file");
    let kept = world.retraining.lake().get_model(&hash).await;
    assert!(kept.expect("reads").is_some());
    let log: Vec<(&str, String)> = moves(&world)
        .into_iter()
        .map(|moved| (moved.action.as_str(), moved.actor))
        .collect();
    assert_eq!(
        log,
        [
            ("register", "policy".to_owned()),
            ("promote", "policy".to_owned())
        ]
    );
    assert_eq!(kinds(&world), ["model.promoted.v1", "retrain.completed.v1"]);

    let file = world
        .store()
        .read(|conn| registry::file(conn, MODEL, &hash))
        .expect("reads")
        .expect("registered");
    let card: Card = serde_json::from_str(&file.card).expect("a card");
    assert_eq!(card.features, ["carrier", "dist"]);
    let text = card.to_markdown();
    for part in [
        "# delay version 2",
        "## Gate: won",
        "| log_loss |",
        "| late |",
        &hash,
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let again = world.retraining.reproduce(&file).await.expect("reads");
    assert_eq!(again, Reproduced::Identical);
    let other = ModelFile {
        hash: "0".repeat(64),
        ..file
    };
    let again = world.retraining.reproduce(&other).await.expect("reads");
    assert_eq!(again, Reproduced::Different { found: hash });
    assert_eq!(worker(&world, "w").step().await.expect("works"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_end_a_run_once() {
    let world = World::new("promote");
    ask(&world, "k1", "promote").await;
    let (first, second) = (worker(&world, "a"), worker(&world, "b"));
    let (first, second) = tokio::join!(first.step(), second.step());
    let ended = [first.expect("works"), second.expect("works")];
    assert_eq!(ended.iter().flatten().count(), 1, "{ended:?}");
    assert_eq!(moves(&world).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_in_the_middle_leaves_the_run_to_another_and_it_ends_once() {
    let world = World::new("promote");
    let id = ask(&world, "k1", "promote").await;
    let dies = worker(&world, "dies");
    {
        // Dropped at its first wait, as a killed process leaves it: taken, and nothing more.
        let step = dies.step();
        tokio::pin!(step);
        let held = async {
            loop {
                let row = world
                    .store()
                    .read_async(move |conn| runs::held(conn, NOW))
                    .await;
                if !row.expect("reads").is_empty() {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            () = held => {}
            left = &mut step => panic!("it was to die: {left:?}"),
        }
    }
    let other = worker(&world, "lives");
    assert_eq!(other.step().await.expect("works"), None, "it is held");
    world.hand.turn(HOLD);
    let left = other.step().await.expect("works").expect("taken over");
    assert_eq!(
        (left.run.as_str(), left.status),
        (id.as_str(), Status::Promoted)
    );
    let run = world.retraining.run(&id).await.expect("there");
    assert_eq!(run.row.attempts, 2);
    assert_eq!(moves(&world).len(), 2);
    assert_eq!(kinds(&world), ["model.promoted.v1", "retrain.completed.v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_certainly_gone_is_not_waited_for() {
    let world = World::new("promote");
    let id = ask(&world, "k1", "promote").await;
    let row = world
        .store()
        .read(|conn| runs::get(conn, &id))
        .expect("reads")
        .expect("there");
    world
        .store()
        .write(move |tx| runs::take(tx, &row, "gone", NOW, NOW + HOLD))
        .expect("writes");
    let other = Worker::new(world.retraining.clone(), "w".to_owned(), |holder| {
        holder == "gone"
    });
    let left = other.step().await.expect("works").expect("taken over");
    assert_eq!(left.status, Status::Promoted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_processes_all_die_is_given_up() {
    let world = World::new("promote");
    let id = ask(&world, "k1", "promote").await;
    for _ in 0..MOST_ATTEMPTS {
        world.hand.turn(HOLD);
        let now = world.hand.now();
        let found = world
            .store()
            .read(|conn| runs::free(conn, now))
            .expect("reads")
            .pop()
            .expect("free");
        world
            .store()
            .write(move |tx| runs::take(tx, &found, "dies", now, now + HOLD))
            .expect("writes");
    }
    world.hand.turn(HOLD);
    let left = worker(&world, "w")
        .step()
        .await
        .expect("works")
        .expect("taken");
    assert_eq!(left.status, Status::Failed);
    let run = world.retraining.run(&id).await.expect("there");
    assert_eq!(
        run.body.reason,
        "given up after 5 attempts, none of which ended"
    );
    assert_eq!(kinds(&world), ["retrain.completed.v1"]);
    assert_eq!(champion_of(&world), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_proposed_serves_when_somebody_approves_it() {
    let world = World::new("propose");
    let id = ask(&world, "k1", "propose").await;
    worker(&world, "w").step().await.expect("works");
    let run = world.retraining.run(&id).await.expect("there");
    assert_eq!(run.status(), Status::Proposed, "{}", run.body.reason);
    assert_eq!(champion_of(&world), None);
    let run = world
        .retraining
        .approve(&id, "ann")
        .await
        .expect("approved");
    assert_eq!(run.status(), Status::Promoted);
    assert_eq!(run.body.decided_by.as_deref(), Some("ann"));
    assert_eq!(
        champion_of(&world).map(|one| one.version),
        Some("2".to_owned())
    );
    let twice = world.retraining.approve(&id, "ann").await;
    assert!(matches!(twice, Err(Denied::Conflict(_))), "{twice:?}");
    assert_eq!(moves(&world).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_is_not_approved_against_another_champion() {
    let world = World::new("propose");
    let id = ask(&world, "k1", "propose").await;
    worker(&world, "w").step().await.expect("works");
    world
        .retraining
        .register(MODEL, "7", None, "ann")
        .await
        .expect("registered");
    let error = world
        .retraining
        .approve(&id, "ann")
        .await
        .expect_err("judged against nobody");
    assert_eq!(
        error.to_string(),
        "the champion of delay is another one than this was judged against; ask for a new run"
    );
    assert_eq!(
        champion_of(&world).map(|one| one.version),
        Some("7".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_promotion_is_forced_and_rolled_back_by_name() {
    // Every label of the hold-out says the opposite of the truth, so that the challenger loses.
    let lies = |number: i64, truth: bool| truth != (number / 60 >= 42);
    let world = World::with(&declaration("promote"), lies);
    let id = ask(&world, "k1", "promote").await;
    let left = worker(&world, "w")
        .step()
        .await
        .expect("works")
        .expect("done");
    assert_eq!(left.status, Status::Lost);
    assert_eq!(champion_of(&world), None);
    world
        .retraining
        .force(MODEL, &Wanted::Run(id.clone()), "root")
        .await
        .expect("forced");
    assert_eq!(
        champion_of(&world).map(|one| one.version),
        Some("2".to_owned())
    );
    let again = world
        .retraining
        .force(MODEL, &Wanted::Version("2".to_owned()), "root")
        .await;
    assert!(matches!(again, Err(Denied::Conflict(_))), "{again:?}");
    let back = world
        .retraining
        .rollback(MODEL, None, "ann")
        .await
        .expect("rolled back");
    assert_eq!(back, "1");
    let none = world.retraining.rollback(MODEL, None, "ann").await;
    assert!(matches!(none, Err(Denied::Conflict(_))), "{none:?}");
    let log: Vec<(&str, String, String)> = moves(&world)
        .into_iter()
        .map(|moved| (moved.action.as_str(), moved.version, moved.actor))
        .collect();
    let entry = |action, version: &str, actor: &str| (action, version.to_owned(), actor.to_owned());
    assert_eq!(
        log,
        [
            entry("register", "1", "policy"),
            entry("force", "2", "root"),
            entry("rollback", "1", "ann"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_called_off_promotes_nothing() {
    let world = World::new("promote");
    let id = ask(&world, "k1", "promote").await;
    let found = world
        .store()
        .read(|conn| runs::free(conn, NOW))
        .expect("reads")
        .pop()
        .expect("free");
    let taken = world
        .store()
        .write(move |tx| runs::take(tx, &found, "w", NOW, NOW + HOLD))
        .expect("writes")
        .expect("taken");
    let run = Run::read(taken).expect("reads");
    let judged = job::work(&world.retraining, &run, &Watched::default())
        .await
        .expect("judged");
    assert_eq!(judged.status, Status::Promoted);
    world
        .retraining
        .cancel(&id, "ann")
        .await
        .expect("called off");
    let hold = run.row.hold().expect("held");
    let ended = conclude(&world.retraining, run, hold, judged)
        .await
        .expect("writes");
    assert_eq!(ended, None);
    assert_eq!(champion_of(&world), None);
    let twice = world.retraining.cancel(&id, "ann").await;
    assert!(matches!(twice, Err(Denied::Conflict(_))), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_champion_that_moved_while_it_was_judged_is_judged_anew() {
    let world = World::new("promote");
    ask(&world, "k1", "promote").await;
    let found = world
        .store()
        .read(|conn| runs::free(conn, NOW))
        .expect("reads")
        .pop()
        .expect("free");
    let taken = world
        .store()
        .write(move |tx| runs::take(tx, &found, "w", NOW, NOW + HOLD))
        .expect("writes")
        .expect("taken");
    let run = Run::read(taken).expect("reads");
    let judged = job::work(&world.retraining, &run, &Watched::default())
        .await
        .expect("judged");
    world
        .retraining
        .register(MODEL, "1", None, "ann")
        .await
        .expect("registered");
    let hold = run.row.hold().expect("held");
    let ended = conclude(&world.retraining, run, hold, judged)
        .await
        .expect("writes");
    assert_eq!(ended, Some(Status::Queued));
    assert_eq!(
        champion_of(&world).map(|one| one.version),
        Some("1".to_owned())
    );
    let left = worker(&world, "w")
        .step()
        .await
        .expect("works")
        .expect("done");
    assert_eq!(left.status, Status::Promoted);
    assert_eq!(champion_of(&world).map(|one| one.seq), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_model_meets_the_same_gate_on_every_row() {
    use crate::retrain::external::{Outcome, Prediction};
    let world = World::new("promote");
    let answer = world
        .retraining
        .ask_for(None, MODEL, Mode::Promote, "ours is better", true, "ann")
        .await
        .expect("the store works");
    let Ok(Answer::Accepted { run: id }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(
        worker(&world, "w").step().await.expect("works"),
        None,
        "not for us"
    );
    let hold_out = match world.retraining.hold_out(&id).await {
        Ok(hold_out) => hold_out,
        Err(error) => panic!("{error}"),
    };
    // No champion is registered and the request names none.
    assert!(hold_out.ids.is_empty());
    world
        .retraining
        .cancel(&id, "ann")
        .await
        .expect("called off");

    world
        .retraining
        .register(MODEL, "1", None, "ann")
        .await
        .expect("registered");
    let answer = world
        .retraining
        .ask_for(Some("k2".to_owned()), MODEL, Mode::Promote, "", true, "ann")
        .await
        .expect("the store works");
    let Ok(Answer::Accepted { run: id }) = answer else {
        panic!("{answer:?}");
    };
    let hold_out = world.retraining.hold_out(&id).await.expect("fixed");
    assert_eq!(hold_out.ids.len(), 14 * 60);
    let says = |id: &String| {
        let number: i64 = id.trim_start_matches('f').parse().expect("f and a number");
        let risk = 0.1 + 0.75 * crate::retrain::testing::row(number).dist;
        Prediction {
            id: id.clone(),
            label: None,
            value: None,
            scores: [("late".to_owned(), risk)].into(),
        }
    };
    let mut outcome = Outcome {
        version: "xgb-3".to_owned(),
        artefact: None,
        predictions: hold_out.ids.iter().skip(2).map(says).collect(),
    };
    let missing = world.retraining.submit(&id, outcome.clone(), "ann").await;
    let said = missing.expect_err("rows are missing").to_string();
    assert!(
        said.starts_with("predictions: 2 of 840 rows of the hold-out have none"),
        "{said}"
    );
    outcome.predictions = hold_out.ids.iter().map(says).collect();
    // Saying nothing of a row, or nonsense, is no way to be spared its judgement.
    for (scores, why) in [
        (BTreeMap::new(), "no_probability"),
        (
            [("late".to_owned(), 1.5)].into(),
            "probability_out_of_range",
        ),
    ] {
        let mut evasive = outcome.clone();
        evasive.predictions[7].scores = scores;
        let said = world.retraining.submit(&id, evasive, "ann").await;
        let said = said.expect_err("a row cannot be judged").to_string();
        assert!(
            said.starts_with("predictions: the row ") && said.ends_with(why),
            "{said}"
        );
    }
    let run = world
        .retraining
        .submit(&id, outcome.clone(), "ann")
        .await
        .expect("judged");
    assert_eq!(run.status(), Status::Promoted, "{}", run.body.reason);
    assert_eq!(
        champion_of(&world).map(|one| one.version),
        Some("xgb-3".to_owned())
    );
    let twice = world.retraining.submit(&id, outcome, "ann").await;
    assert!(matches!(twice, Err(Denied::Conflict(_))), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_lets_go_of_its_run() {
    let world = World::new("promote");
    let id = ask(&world, "k1", "promote").await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker(&world, "w").run(async {
        let _ = stopped.await;
    }));
    loop {
        let held = world
            .store()
            .read_async(move |conn| runs::held(conn, NOW))
            .await
            .expect("reads");
        if !held.is_empty() {
            break;
        }
    }
    stop.send(()).expect("it runs");
    running.await.expect("no panic").expect("works");
    let run = world.retraining.run(&id).await.expect("there");
    assert!(
        matches!(run.status(), Status::Queued | Status::Promoted),
        "{:?}",
        run.status()
    );
    worker(&world, "v").step().await.expect("works");
    let run = world.retraining.run(&id).await.expect("there");
    assert_eq!(run.status(), Status::Promoted);
    assert_eq!(moves(&world).len(), 2);
}
