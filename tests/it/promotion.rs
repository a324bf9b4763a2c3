//! A bad promotion, forced by a person, and its end: one command puts the champion before it back, and the next window
//! is judged against the reference that this one has always had.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use driftline::event::DAY;
use driftline::retrain::{Answer, Mode};
use driftline::service::Service;
use driftline::store::registry;
use driftline::store::runs::Status;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::clean_table::{self, DECLARATION, Prediction, START};
use crate::harness::{Kafka, LABELS, Stored, config, results, settle, start, stop, until, within};

/// No challenger gains so much, so whoever is to serve must be forced. Nobody listens where the rule asks; this test asks
/// by itself.
const POLICY: &str = "
  - {name: inputs, watch: drift, on: \"*\"}
actions:
  retrain: {webhook: \"http://127.0.0.1:1/retrain\", secret_file: SECRET, allow_internal: true, mode: promote, cooldown: 7d}
retrain: {hold_out: 1d, min_rows: 100, min_gain: 5, candidates: [logistic]}
";

fn declaration(folder: &Path) -> String {
    let secret = folder.join("whsec").display().to_string();
    let rules = DECLARATION.replace("+ 0.1}", "+ 0.1, actions: [retrain]}");
    rules.trim_end().to_owned() + &POLICY.replace("SECRET", &secret)
}

/// `driftline models …` beside the running service, as its owner would call it.
#[track_caller]
fn models(config: &Path, command: &str, more: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_driftline"))
        .args(["models", command, "--model", "delay", "--config"])
        .arg(config)
        .args(more)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "models {command}: {said}");
}

/// What the command line is given of the service's configuration.
fn written(folder: &Path, kafka: &Kafka) -> PathBuf {
    let path = folder.join("driftline.yaml");
    std::fs::write(folder.join("rules.yaml"), declaration(folder)).expect("written");
    let text = format!(
        "kafka: {{brokers: [\"{}\"], predictions: [predictions]}}\ndata_dir: {}\nrules: [{}]\n",
        kafka.brokers(),
        folder.join("data").display(),
        folder.join("rules.yaml").display()
    );
    std::fs::write(&path, text).expect("written");
    path
}

struct Play {
    table: clean_table::Table,
    log: clean_table::Log,
    kafka: Kafka,
    service: Service,
    day: i64,
}

impl Play {
    /// Goes on to the morning of `day`, with `version` serving.
    async fn until(&mut self, day: i64, version: &'static str) {
        let passes = |ts| (START + self.day * DAY..START + day * DAY).contains(&ts);
        let rows = self.table.predictions.iter();
        for row in rows.filter(|row| row.version == "1" && passes(row.ts)) {
            let served = Prediction {
                id: row.id.clone(),
                version,
                ..*row
            };
            self.kafka.send_by_key(&served.id, &served.record());
        }
        for label in self.log.labels.iter().filter(|label| passes(label.ts)) {
            self.kafka.send_label(&label.id, &label.record());
        }
        self.kafka.flush();
        settle(&self.service).await;
        self.day = day;
    }

    fn champion(&self) -> String {
        let found = self
            .service
            .store
            .read(|conn| registry::champion(conn, "delay"));
        found.expect("readable").expect("there is one").version
    }

    /// The windows of a version that begin on `days`.
    fn windows(&self, version: &str, days: std::ops::Range<i64>) -> Vec<Stored> {
        let from = START + days.start * DAY..START + days.end * DAY;
        results(&self.service.store, "delay")
            .into_iter()
            .filter(|((key, span, revision), _)| {
                key.version == version && *revision == 0 && from.contains(&span.start)
            })
            .map(|(_, stored)| stored)
            .filter(|stored| stored.row.rows > 0)
            .collect()
    }
}

/// The one reference that all of the windows were compared with.
#[track_caller]
fn reference(windows: &[Stored], count: usize) -> String {
    assert_eq!(windows.len(), count);
    let hashes: BTreeSet<_> = windows
        .iter()
        .map(|stored| stored.row.reference_hash.clone())
        .collect();
    assert_eq!(hashes.len(), 1, "{hashes:?}");
    hashes.into_iter().flatten().next().expect("a reference")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forced_promotion_is_rolled_back_and_the_next_window_meets_the_old_reference() {
    within(180, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(2);
        let file = written(folder.path(), &kafka);
        let mut config = config(&kafka, &folder.path().join("data"));
        config.kafka.labels = vec![LABELS.to_owned()];
        let secret = folder.path().join("whsec");
        std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("written");
        config.retrain.secret_file = Some(secret);
        let service = start(config, &declaration(folder.path())).await;
        let mut rng = Pcg64::seed_from_u64(3);
        let table = clean_table::table(&mut rng);
        let log = clean_table::log(&table, &mut rng);
        let mut play = Play {
            table,
            log,
            kafka,
            service,
            day: 0,
        };

        play.service
            .retraining
            .register("delay", "1", None, "ann")
            .await
            .expect("registered");
        play.until(12, "1").await;
        let asked = play
            .service
            .retraining
            .ask_for(None, "delay", Mode::Promote, "to see", false, "ann")
            .await
            .expect("the store works");
        let Ok(Answer::Accepted { run }) = asked else {
            panic!("{asked:?}");
        };
        let ended = until("the run has ended", async || {
            let run = play.service.retraining.run(&run).await.expect("there");
            (!run.status().is_active()).then_some(run)
        })
        .await;
        assert_eq!(ended.status(), Status::Lost, "{}", ended.body.reason);
        let challenger = ended.body.challenger.expect("it made one").version;
        assert_eq!(play.champion(), "1", "who lost does not serve");

        models(&file, "promote", &["--run", &run, "--force"]);
        assert_eq!(play.champion(), challenger);
        let version: &'static str = "2";
        assert_eq!(challenger, version);
        play.until(14, version).await;
        models(&file, "rollback", &[]);
        assert_eq!(play.champion(), "1");
        play.until(16, "1").await;

        // Windows of the day before last are closed. The first days are the reference.
        let old = reference(&play.windows("1", 3..11), 8);
        let bad = play.windows(version, 12..14);
        let new = reference(&bad, 2);
        assert_ne!(new, old, "a promotion brings its own reference");
        let anchored = |stored: &Stored| stored.scores.iter().any(|score| score.rule == "@anchor");
        assert!(
            bad.iter().all(anchored),
            "the old one is compared beside it"
        );
        let back = play.windows("1", 14..15);
        assert_eq!(reference(&back, 1), old);
        assert!(!back.iter().any(anchored));
        let moves = play
            .service
            .store
            .read(|conn| registry::moves(conn, "delay"))
            .expect("readable");
        let moves: Vec<_> = moves
            .iter()
            .map(|made| {
                let bound = made.reference_hash.as_deref();
                (made.action.as_str(), &*made.version, bound == Some(&*new))
            })
            .collect();
        assert_eq!(
            moves,
            [
                ("register", "1", false),
                ("force", version, true),
                ("rollback", "1", false)
            ]
        );
        stop(play.service).await;
    })
    .await;
}
