//! Death at every step of every transaction, at the first passage and at a later one.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use driftline::store::failpoint::NAMES;

use crate::dump::Dump;
use crate::processes::wait_until;
use crate::scene::{Assignment, BROKER, SHORT, SHORT_RUN, Scene};

/// The passage after the first at which a run dies as well; 7 where nothing is said.
const LATER: &[(&str, u64)] = &[
    ("store.begin", 60),
    ("store.before_commit", 60),
    ("store.after_commit", 60),
    ("commit.before_partition", 25),
    ("commit.after_partition", 25),
    ("scores.after_insert", 30),
    ("layouts.before_insert", 2),
    ("layouts.after_insert", 2),
    ("pending.before_delete", 2),
    ("pending.after_delete", 2),
    ("references.after_bind", 2),
    ("references.before_insert_rows", 1),
    ("references.after_insert_rows", 1),
    ("partials.before_delete", 2),
    ("partials.after_delete", 2),
    ("alerts.before_transition", 3),
    ("alerts.after_transition", 3),
    ("outbox.before_insert", 2),
    ("outbox.after_insert", 2),
    ("lake.compact_before_put", 2),
    ("lake.compact_after_put", 2),
    ("lake.compact_before_catalogue", 2),
    ("lake.compact_after_catalogue", 2),
    ("lake.compact_after_drop", 2),
    ("lake.sweep_before_delete", 1),
    ("lake.sweep_after_delete", 1),
    ("lake.sweep_after_forget", 1),
    ("notify.after_claim", 2),
    ("notify.after_send", 2),
    ("notify.after_settle", 2),
];

/// How the names of points begin that this play does not pass, and why.
const NEVER: &[(&str, &str)] = &[
    (
        "lake.before_expire",
        "nothing of some weeks is too old; the lake's own crash test passes it",
    ),
    ("lake.after_expire", "as before"),
    (
        "retrain.",
        "nothing is retrained; the crash test of that room passes them",
    ),
];

/// Most of a run is waiting: for the broker, for the disk, for the next look at the outbox.
const AT_ONCE: usize = 4;

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds have no failpoints")]
fn death_between_any_two_steps_changes_nothing() {
    let expected = &SHORT_RUN.dump;
    let started = Instant::now();
    for (name, _) in LATER
        .iter()
        .copied()
        .chain(NEVER.iter().map(|(name, _)| (*name, 0)))
    {
        assert!(
            NAMES.iter().any(|known| known.starts_with(name)),
            "{name} is no failpoint"
        );
    }
    let later = |name: &str| {
        LATER
            .iter()
            .find(|(point, _)| *point == name)
            .map_or(7, |(_, nth)| *nth)
    };
    let points = NAMES
        .iter()
        .filter(|name| !NEVER.iter().any(|(never, _)| name.starts_with(never)));
    let passed = points.clone().count();
    let mut plan: Vec<(&str, u64)> = points
        .flat_map(|name| [(*name, 1), (*name, later(name))])
        .collect();
    plan.reverse();
    let plan = Mutex::new(plan);
    let unreached = Mutex::new(BTreeMap::new());
    let died = Mutex::new(0);
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let next = plan.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some((name, nth)) = next else { return };
                if die_at(name, nth, expected) {
                    *died.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                } else {
                    unreached
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(name, nth);
                }
            }
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    let died = died.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{died} deaths at {passed} failpoints in {:.1?}",
        started.elapsed()
    );
    let unreached = unreached
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    assert!(
        unreached.is_empty(),
        "these passages were never reached: {unreached:?}"
    );
}

/// Dies, starts again, settles, and compares. `false`: it settled without passing the point so often.
fn die_at(name: &str, nth: u64, expected: &Dump) -> bool {
    let what = format!("{name}:{nth}");
    let scene = Scene::new(&SHORT, &BROKER.address, Assignment::Manual);
    let mut service = scene.start("dies", Some(&what));
    let status = match service.settle_or_end() {
        Err(status) => Some(status),
        // Notifications are sent after windows are closed, and the lake is tidied now and then.
        Ok(()) => {
            let mut ended = None;
            wait_until("the end, or the last delivery and a tidy lake", || {
                ended = service.ended();
                ended.is_some() || scene.delivered() && scene.tidied()
            });
            ended
        }
    };
    let Some(status) = status else { return false };
    assert_eq!(
        status.signal(),
        Some(6),
        "{what}: it ended with {status}:\n{}",
        service.last_words()
    );
    assert!(
        service
            .last_words()
            .contains(&format!("failpoint {name}: aborting")),
        "{what}: it died elsewhere"
    );
    scene.let_claims_run_out();
    let mut service = scene.start("again", None);
    service.settle();
    scene.wait_for_delivery();
    service.kill();
    scene.check(expected, &what);
    true
}
