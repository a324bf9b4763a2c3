//! SIGKILL to the receiver in the middle of training: the run is begun again, ends once, and ends as it would have.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use driftline::event::{DAY, Key, Span};
use driftline::notify::retraining::Requested;
use driftline::notify::signature::sign;
use driftline::notify::{Secret, retrain_requested};
use driftline::store::registry::{self, Champion, Move};
use driftline::store::runs::{self, RunRow};
use driftline::store::{Store, outbox};
use tempfile::TempDir;

use crate::clean_table::{DECLARATION, START};
use crate::dump;
use crate::labels::{LABELLED, read_without_kills};
use crate::processes::{Service, free_port, wait_until};
use crate::receiver::{Receiver, SECRET};

/// What the declaration says besides: since the first version went bad, every challenger is better.
const ACTIONS: &str = "
actions:
  retrain: {webhook: \"http://127.0.0.1:1/retrain\", secret_file: secret, allow_internal: true, mode: promote, cooldown: 7d}
retrain: {hold_out: 1d, min_rows: 100}
";
const KEY: &str = "asked-once";
/// Attempts that are killed.
const KILLS: u64 = 3;

/// A folder with a store in it, and a receiver of requests that works on it.
struct Place {
    folder: TempDir,
    port: u16,
    /// Is told of runs and champions.
    _hook: Receiver,
}

/// What the store has to say in the end.
#[derive(Debug)]
struct Ended {
    run: RunRow,
    champion: Option<Champion>,
    moves: Vec<Move>,
    /// Ids of what is told.
    told: Vec<String>,
}

impl Place {
    /// With a copy of the store that lies in `data`.
    fn new(data: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, port, hook) = (folder.path(), free_port(), Receiver::start());
        let copied = Command::new("cp")
            .arg("-a")
            .args([data, &path.join("data")])
            .status();
        assert!(copied.expect("cp runs").success());
        fs::write(path.join("secret"), SECRET).expect("written");
        let declared = DECLARATION.replace("+ 0.1}", "+ 0.1, actions: [retrain]}") + ACTIONS;
        fs::write(path.join("models.yaml"), declared).expect("written");
        let config = format!(
            "kafka: {{brokers: [\"127.0.0.1:1\"], predictions: [{}]}}
data_dir: data
rules: [models.yaml]
retrain: {{secret_file: secret, listen: \"127.0.0.1:{port}\"}}
receivers:
  - {{name: hook, webhook: \"http://{}/hook\", secret_file: secret, allow_internal: true}}
",
            LABELLED.topic, hook.address
        );
        fs::write(path.join("retrain.yaml"), config).expect("written");
        Self {
            folder,
            port,
            _hook: hook,
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn start(&self) -> Service {
        let folder = self.folder.path();
        Service::start(
            "retrain",
            folder,
            Path::new("retrain.yaml"),
            self.port,
            &folder.join("retrain.log"),
            None,
        )
    }

    /// Sends the request, signed now; returns the status of the answer, or `None` while nobody answers.
    fn ask(&self) -> Option<u16> {
        let key = Key {
            model: "delay".to_owned(),
            version: "1".to_owned(),
            segment: String::new(),
        };
        let event = retrain_requested(&Requested {
            id: KEY,
            key: &key,
            rule: "loss",
            metric: "log_loss",
            mode: "promote",
            reason: "log_loss is 1.5, its limit 0.6",
            at: START + 15 * DAY,
            window: Span::new(START + 12 * DAY, START + 13 * DAY),
            episode_start: START + 9 * DAY,
            value: Some(1.5),
            reference: Some(0.5),
            limit: Some(0.6),
        });
        let body = event.to_json().expect("writes");
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs()
            .cast_signed();
        let secret = Secret::parse(SECRET).expect("a secret");
        let signature = sign(&[secret], KEY, now, body.as_bytes());
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .ok()?;
        write!(
            stream,
            "POST /retrain HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\nwebhook-id: {KEY}\r\n\
             webhook-timestamp: {now}\r\nwebhook-signature: {signature}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    #[track_caller]
    fn ask_until(&self, service: &mut Service, expect: u16) {
        let mut said = None;
        service.wait_until("an answer to the request", || {
            said = self.ask();
            said.is_some()
        });
        assert_eq!(said, Some(expect));
    }

    fn count(&self, condition: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM retrain_runs WHERE {condition}");
        dump::number(&self.data_dir(), &sql)
    }

    fn ended(&self) -> Ended {
        let store = Store::open(&self.data_dir()).expect("opens");
        let read = store.read(|conn| {
            let mut told: Vec<String> = outbox::latest(conn, u32::MAX)?
                .into_iter()
                .map(|row| row.notification.idempotency_key)
                .collect();
            told.sort();
            let moves = registry::moves(conn, "delay")?;
            Ok(Ended {
                run: runs::by_key(conn, KEY)?.expect("it was taken"),
                champion: registry::champion(conn, "delay")?,
                moves: moves
                    .into_iter()
                    .map(|moved| Move {
                        at_wall: 0,
                        ..moved
                    })
                    .collect(),
                told,
            })
        });
        read.expect("readable")
    }
}

const ACTIVE: &str = "status IN ('queued', 'training', 'judging')";

#[test]
fn a_receiver_that_is_killed_in_the_middle_of_training_promotes_once() {
    let scene = read_without_kills();
    let quiet = Place::new(&scene.data_dir());
    let mut service = quiet.start();
    quiet.ask_until(&mut service, 202);
    service.wait_until("the end of the run", || quiet.count(ACTIVE) == 0);
    let (status, _) = service.terminate();
    assert!(status.success(), "{status}");
    let expected = quiet.ended();
    assert_eq!(expected.run.status.as_str(), "promoted", "{expected:?}");
    assert_eq!(
        expected.moves.len(),
        2,
        "the first version, and the new one"
    );

    let place = Place::new(&scene.data_dir());
    for kill in 0..KILLS {
        let mut service = place.start();
        place.ask_until(&mut service, if kill == 0 { 202 } else { 200 });
        let begun = format!("attempts > {kill} AND status = 'training'");
        wait_until("the next attempt", || place.count(&begun) == 1);
        std::thread::sleep(Duration::from_millis(20 * kill));
        service.kill();
        assert_eq!(place.count(ACTIVE), 1, "the run ended before it was killed");
    }
    let mut service = place.start();
    service.wait_until("the end of the run", || place.count(ACTIVE) == 0);
    place.ask_until(&mut service, 200);
    let (status, _) = service.terminate();
    assert!(status.success(), "{status}");
    let ended = place.ended();
    assert_eq!(u64::from(ended.run.attempts), KILLS + 1);
    assert_eq!(ended.run.status, expected.run.status);
    assert_eq!(ended.champion, expected.champion);
    assert_eq!(ended.moves, expected.moves);
    assert_eq!(ended.told, expected.told);
    assert_eq!(place.count("1"), 1);
}
