//! Two processes in one consumer group on one store, while members join, leave and die.

use std::time::Instant;

use crate::dump;
use crate::log::produce;
use crate::processes::{Service, wait_until};
use crate::scene::{Assignment, LONG, LONG_RUN, Scene, empty_broker};

/// The partitions that a member owns, as its readiness says; `None` while it does not answer.
fn partitions(service: &Service) -> Option<u64> {
    let (_, body) = service.request("GET", "/readyz")?;
    serde_json::from_str::<serde_json::Value>(&body).ok()?["partitions"].as_u64()
}

#[track_caller]
fn wait_for_shares(members: &[&Service]) {
    let all = LONG.all_partitions();
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
fn members_that_join_leave_and_die_change_nothing() {
    let expected = &LONG_RUN.dump;
    let started = Instant::now();
    // The log comes to this broker piece by piece, so that there is something to read at each change.
    let broker = empty_broker(&[&LONG]);
    let scene = Scene::new(&LONG, &broker.address, Assignment::Group);
    let records = &LONG.log.records;
    let mut fed = 0;
    let mut feed = |share: f64| {
        let until =
            ((fed as f64 / records.len() as f64 + share) * records.len() as f64).round() as usize;
        let until = until.min(records.len());
        produce(&broker.address, LONG.topic, &records[fed..until]);
        fed = until;
        fed as u64
    };
    let read = |fed: u64| {
        wait_until("what was fed", || {
            dump::settled_records(&scene.data_dir()) == fed
        })
    };

    let first = scene.start("first", None);
    read(feed(0.15));
    wait_for_shares(&[&first]);

    let second = scene.start("second", None);
    feed(0.1);
    wait_for_shares(&[&first, &second]);
    println!("joined after {:.1?}", started.elapsed());
    read(feed(0.15));

    feed(0.1);
    let (status, took) = second.terminate();
    assert!(status.success(), "{status}");
    println!("left after {:.1?}, in {took:.1?}", started.elapsed());
    feed(0.05);
    wait_for_shares(&[&first]);
    read(feed(0.05));

    let mut second = scene.start("second", None);
    feed(0.05);
    wait_for_shares(&[&first, &second]);
    println!("joined again after {:.1?}", started.elapsed());
    feed(0.15);
    first.kill();
    feed(0.05);
    let mut first = scene.start("first", None);
    wait_for_shares(&[&first, &second]);
    println!("died and came back after {:.1?}", started.elapsed());
    assert_eq!(feed(1.0), records.len() as u64);
    // Whoever holds the leases closes what is due; who that is, is not known here.
    first.settle();
    second.settle();
    first.settle();
    scene.let_claims_run_out();
    scene.wait_for_delivery();
    scene.check(expected, "two members of a group");
    println!("a group of two in {:.1?}", started.elapsed());
    for member in [first, second] {
        let (status, took) = member.terminate();
        assert!(status.success(), "{status}");
        println!("a member left in {took:.1?}");
    }
}
