//! The job over a small world, through lake, query and learn.

use super::*;
use crate::event::{DAY, Span};
use crate::retrain::run::{self, Body, Request, Source};
use crate::retrain::testing::{MODEL, REQUESTED, World, declaration};
use crate::store::runs::RunRow;

fn run_of(mode: Mode) -> Run {
    let request = Request {
        source: Source::Person,
        actor: "test".to_owned(),
        reason: "to see".to_owned(),
        asked: mode,
        rule: String::new(),
        metric: String::new(),
        segment: String::new(),
        window: None,
        value: None,
        reference: None,
        limit: None,
    };
    let body = Body::new(request, false, "waits");
    Run {
        row: RunRow {
            id: run::id_of("k"),
            key: "k".to_owned(),
            model: MODEL.to_owned(),
            version: "1".to_owned(),
            mode: mode.as_str().to_owned(),
            requested: REQUESTED,
            status: Status::Training,
            attempts: 1,
            holder: Some("me".to_owned()),
            until_wall: None,
            created_wall: 0,
            updated_wall: 0,
            body: String::new(),
        },
        mode,
        body,
    }
}

async fn judged(world: &World) -> Judged {
    work(
        &world.retraining,
        &run_of(Mode::Promote),
        &Watched::default(),
    )
    .await
    .expect("the job ends")
}

#[tokio::test]
async fn a_challenger_that_knows_more_wins_and_its_manifest_says_what_it_was_made_of() {
    let world = World::new("promote");
    let done = judged(&world).await;
    assert_eq!(done.status, Status::Promoted, "{}", done.reason);
    let gate = done.gate.expect("judged");
    assert_eq!(gate.outcome, Outcome::Won);
    assert!(gate.gain.expect("compared").lower > 0.01);
    let spans = done.spans.expect("cut");
    assert_eq!(spans.hold_out, Span::new(44 * DAY, 58 * DAY));
    assert_eq!(spans.training, Span::new(0, 42 * DAY));
    let made = done.made.expect("a challenger");
    let training = made.manifest.training.expect("data");
    assert_eq!((training.rows, training.labelled), (42 * 60, 42 * 60));
    assert_eq!(made.features, ["carrier", "dist"]);
    assert_eq!(done.tried.len(), 2);
    assert!(done.tried.iter().all(|tried| tried.loss.is_some()));
    let again = judged(&world).await;
    assert_eq!(again.made.expect("a challenger").hash, made.hash);
}

/// Every fifth label of the stretch that is learned from says the opposite; what is judged on is true. The champion is
/// the model that was fitted to true labels.
#[tokio::test]
async fn a_challenger_that_learned_from_flipped_labels_does_not_beat_an_honest_champion() {
    let honest = World::with(&declaration("promote"), |_, truth| truth);
    let clean = judged(&honest).await;
    let clean_loss = clean
        .gate
        .and_then(|gate| gate.gain)
        .expect("compared")
        .challenger;

    let flipped = |number: i64, truth: bool| truth != (number % 5 == 0 && number / 60 < 42);
    let poisoned = World::with(&declaration("promote"), flipped);
    let done = judged(&poisoned).await;
    let gain = done.gate.and_then(|gate| gate.gain).expect("compared");
    assert!(
        gain.challenger > clean_loss,
        "{} is not worse than {clean_loss}",
        gain.challenger
    );

    // Judged row against row on the same hold-out, it loses to the honest one.
    let ground = Ground::of(&honest.retraining, MODEL)
        .await
        .expect("reads")
        .expect("it can be trained");
    let spans = Spans::of(
        REQUESTED,
        &ground.declaration.retrain,
        &ground.declaration.window,
    );
    let hold_out = data::read(
        &honest.retraining,
        &ground,
        Some("1"),
        spans.hold_out,
        spans.hold_out_known_by,
    )
    .await
    .expect("reads");
    let says = |made: Option<Made>| {
        let bytes = made.and_then(|made| made.bytes).expect("a file");
        let model = Model::from_bytes(&bytes).expect("our own file");
        let predictions = model.predict(&hold_out.table).expect("predicts");
        data::predicted(&predictions, &hold_out.observations)
    };
    let gate = gate::judge(
        ground.kind(),
        spans.hold_out,
        &says(clean.made),
        &says(done.made),
        &terms(&ground),
    );
    assert_eq!(gate.outcome, Outcome::Lost, "{}", gate.reason);
}

#[tokio::test]
async fn too_little_to_learn_from_is_said_and_nothing_is_made() {
    let yaml = declaration("promote").replace("min_rows: 300", "min_rows: 2000");
    let world = World::with(&yaml, |_, truth| truth);
    let done = judged(&world).await;
    assert_eq!(done.status, Status::Blocked);
    assert_eq!(done.gate.expect("judged").outcome, Outcome::TooFewRows);
    assert!(done.made.is_none());
}

#[tokio::test]
async fn a_job_that_is_stopped_ends_without_a_word() {
    let world = World::new("promote");
    let watched = Watched::default();
    watched.stop();
    let outcome = work(&world.retraining, &run_of(Mode::Promote), &watched).await;
    assert!(matches!(outcome, Err(Trouble::Stopped)), "{outcome:?}");
}

#[test]
fn progress_rises_to_the_whole() {
    let watched = Watched::default();
    let mut last = -1.0;
    for (stage, _) in STAGES.iter().enumerate() {
        for share in [0.0, 0.5, 1.0] {
            watched.tell(stage, "", share);
            let now = watched.progress().expect("told").share;
            assert!(now >= last);
            last = now;
        }
    }
    assert!((last - 1.0).abs() < 1e-12);
}
