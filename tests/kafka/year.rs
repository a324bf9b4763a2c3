//! The year, through either broker.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::broker::Kafka;
use crate::dump::{self, Dump};
use crate::log::{Log, produce};
use crate::processes::{Service, wait_until};
use crate::scene::{Assignment, DEAD_LETTERS, Play, Scene, TWO_MODELS, empty_broker};

/// All flights of the file. The embedded broker keeps 5 MiB of a partition, hence so many.
static YEAR: LazyLock<Play> = LazyLock::new(|| Play {
    log: Log::record(usize::MAX, 16, (100, 108)),
    topic: "predictions",
    partitions: 16,
    declarations: TWO_MODELS,
    reference: "30d",
    columns: "exclude: [dow]",
});

/// A year of files of the size that the crash tests want would be thousands.
const LAKE: &str = "flush_rows: 2000, flush_age: 2s, segment_rows: 20000, grace: 1s";
/// Within this a year is read, closed and judged, on any machine.
const PATIENCE: Duration = Duration::from_secs(900);
/// The windows of a year are at least so many.
const WINDOWS: u64 = 2 * 180;

/// Nobody disturbs this run.
fn through_the_embedded_broker() -> Dump {
    let started = Instant::now();
    let broker = empty_broker(&[&YEAR]);
    produce(&broker.address, YEAR.topic, &YEAR.log.records);
    let mut scene = Scene::new(&YEAR, &broker.address, Assignment::Manual);
    scene.lake = LAKE;
    let mut service = scene.start("embedded", None);
    settle(&mut service);
    scene.wait_for_delivery();
    let (status, _) = service.terminate();
    assert!(status.success(), "{status}");
    let count = |sql: &str| dump::number(&scene.data_dir(), sql);
    assert_eq!(
        dump::settled_records(&scene.data_dir()),
        YEAR.log.records.len() as u64
    );
    assert_eq!(
        count("SELECT count(*) FROM gaps"),
        0,
        "the log is too long for the embedded broker"
    );
    assert!(count("SELECT count(*) FROM windows WHERE revision = 0") > WINDOWS);
    assert!(count("SELECT count(*) FROM performance WHERE labelled > 0") > WINDOWS);
    for verdict in ["ok", "drift"] {
        let with = format!("SELECT count(*) FROM windows WHERE verdict = '{verdict}'");
        assert!(count(&with) > 0, "the year has no window with {verdict}");
    }
    let dump = Dump::of(&scene.data_dir());
    println!(
        "embedded: {} records in {:.1?}, rows {:?}",
        YEAR.log.records.len(),
        started.elapsed(),
        dump.sizes()
    );
    dump
}

/// Waits as [`Service::settle`] does, and longer.
#[track_caller]
fn settle(service: &mut Service) {
    let until = Instant::now() + PATIENCE;
    while !matches!(
        service.request("POST", "/api/v1/settle?timeout=60s"),
        Some((200, _))
    ) {
        let ended = service.ended();
        assert!(
            ended.is_none() && Instant::now() < until,
            "not settled; its end: {ended:?}, its last words:\n{}",
            service.last_words()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The partitions that a member owns, as its readiness says; `None` while it does not answer.
fn partitions(service: &Service) -> Option<u64> {
    let (_, body) = service.request("GET", "/readyz")?;
    serde_json::from_str::<serde_json::Value>(&body).ok()?["partitions"].as_u64()
}

#[track_caller]
fn wait_for_shares(members: &[&Service]) {
    let all = YEAR.all_partitions();
    wait_until("a rebalance", || {
        let shares: Vec<u64> = members
            .iter()
            .filter_map(|member| partitions(member))
            .collect();
        shares.len() == members.len()
            && shares.iter().all(|share| *share > 0)
            && shares.iter().sum::<u64>() == all
    });
}

#[test]
fn a_year_is_the_same_through_a_real_broker_that_restarts_and_two_members_of_which_one_dies() {
    let Some(mut kafka) = Kafka::start("a year through a real broker") else {
        return;
    };
    let expected = through_the_embedded_broker();
    let started = Instant::now();
    kafka.create_topic(YEAR.topic, YEAR.partitions);
    kafka.create_topic(&YEAR.labels_topic(), YEAR.partitions);
    kafka.create_topic(DEAD_LETTERS, 1);
    let mut scene = Scene::new(&YEAR, &kafka.address(), Assignment::Group);
    scene.lake = LAKE;
    let records = &YEAR.log.records;
    let settled = || dump::settled_records(&scene.data_dir());
    let mut fed = 0;
    let mut feed = |kafka: &Kafka, share: f64| {
        let until = fed + (records.len() as f64 * share) as usize;
        let until = until.min(records.len());
        produce(&kafka.address(), YEAR.topic, &records[fed..until]);
        fed = until;
        fed as u64
    };

    let first = scene.start("first", None);
    let second = scene.start("second", None);
    wait_for_shares(&[&first, &second]);
    println!("two members after {:.1?}", started.elapsed());

    // The broker goes while they read, and comes back.
    let lies = feed(&kafka, 0.4);
    wait_until("the first records", || settled() > lies / 5);
    kafka.stop();
    let read = settled();
    assert!(read < lies, "the broker left when all was read already");
    println!(
        "the broker left after {:.1?}, with {read} of {lies} records read",
        started.elapsed()
    );
    kafka.start_again();
    println!("the broker is back after {:.1?}", started.elapsed());
    let lies = feed(&kafka, 0.2);
    wait_until("what lies in the log", || settled() == lies);

    // A member goes while they read, without a word; the broker gives its partitions to the other one.
    let before = lies;
    let lies = feed(&kafka, 0.2);
    wait_until("some more records", || settled() > before);
    second.kill();
    let read = settled();
    println!(
        "a member died after {:.1?}, with {read} of {lies} records read",
        started.elapsed()
    );
    assert!(read < lies, "the member died when all was read already");
    let mut first = first;
    wait_for_shares(&[&first]);
    println!("the other one has all after {:.1?}", started.elapsed());

    // The broker dies as well.
    let lies = feed(&kafka, 0.1);
    kafka.kill();
    kafka.start_again();
    println!(
        "the broker is back from the dead after {:.1?}",
        started.elapsed()
    );
    assert!(lies < feed(&kafka, 1.0), "all was fed before");
    settle(&mut first);
    scene.let_claims_run_out();
    settle(&mut first);
    scene.wait_for_delivery();
    scene.check(&expected, "a year through a real broker");
    let (status, _) = first.terminate();
    assert!(status.success(), "{status}");
    println!("a real broker: {:.1?}", started.elapsed());
}
