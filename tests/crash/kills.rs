//! SIGKILL at random moments.

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::dump;
use crate::scene::{Assignment, BROKER, LONG, LONG_RUN, Scene};

const KILLS: u64 = 20;
const SEED: u64 = 7;

/// Starts a service on the scene's store and kills it, many times. `progress` says which share of the whole work is done;
/// most kills come in the middle of it.
#[track_caller]
pub fn kill_again_and_again(scene: &Scene, progress: impl Fn() -> f64) {
    let mut rng = Pcg64::seed_from_u64(SEED);
    let mut kills = Vec::new();
    let mut in_the_middle = 0;
    for kill in 0..KILLS {
        let before = progress();
        let service = scene.start("killed", None);
        // Every fifth one dies while it starts; the others after a random part of what is left for them.
        let mut moment = Duration::from_millis(rng.random_range(0..60));
        if kill % 5 == 0 {
            moment += Duration::from_millis(rng.random_range(0..200));
        } else {
            let target =
                before + rng.random::<f64>() * 2.0 * (1.0 - before) / (KILLS - kill + 1) as f64;
            let until = Instant::now() + Duration::from_secs(10);
            while progress() < target && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        std::thread::sleep(moment);
        service.kill();
        let after = progress();
        in_the_middle += u64::from(after > 0.0 && after < 1.0);
        kills.push((after * 1000.0).round() / 10.0);
    }
    println!("seed {SEED}: killed with so many percent of the work done: {kills:?}");
    assert!(
        in_the_middle >= KILLS * 3 / 4,
        "most kills came when there was nothing to do: {kills:?} %"
    );
}

#[test]
fn twenty_kills_change_nothing() {
    let expected = &LONG_RUN.dump;
    let (records, windows) = (
        LONG.log.records.len() as f64,
        expected.sizes()["windows"] as f64,
    );
    let scene = Scene::new(&LONG, &BROKER.address, Assignment::Manual);
    // How much of the whole work is done, half of it being to read and half to close windows.
    let progress = || {
        let closed = dump::number(&scene.data_dir(), "SELECT count(*) FROM windows");
        0.5 * dump::settled_records(&scene.data_dir()) as f64 / records
            + 0.5 * closed as f64 / windows
    };
    let started = Instant::now();
    kill_again_and_again(&scene, progress);
    scene.let_claims_run_out();
    let mut service = scene.start("last", None);
    service.settle();
    scene.wait_for_delivery();
    scene.check(expected, &format!("{KILLS} kills with seed {SEED}"));
    let (status, _) = service.terminate();
    assert!(status.success(), "{status}");
    let calls: usize = scene.receiver.calls().values().map(Vec::len).sum();
    println!(
        "{KILLS} kills in {:.1?} (uninterrupted {:.1?}); {} notifications in {calls} calls",
        started.elapsed(),
        LONG_RUN.took,
        scene.receiver.calls().len()
    );
}
