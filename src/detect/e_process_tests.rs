//! The e-process keeps its promise on days whose rows depend on each other, and finds a shift of stated size.

use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::detect::{Detector, Kind};

const REFERENCE_DAYS: u32 = 100;
const ROWS_A_DAY: u32 = 50;
const RISK: f64 = 0.3;

/// The errors of one day. Its rows share a risk of their own, up to 0.3 beside `risk`: the variance of a day's mean is some
/// four times that of independent rows.
fn day(rng: &mut Pcg64Mcg, risk: f64) -> impl Iterator<Item = f64> {
    let of_day = risk + 0.3 * (rng.random::<f64>() + rng.random::<f64>() - 1.0);
    (0..ROWS_A_DAY).map(move |_| f64::from(rng.random::<f64>() < of_day))
}

/// A detector that has read its reference. `block` rows a block.
fn ready(rng: &mut Pcg64Mcg, block: u32) -> Detector {
    let reference = REFERENCE_DAYS * ROWS_A_DAY / block;
    let (block, reference) = (block.to_string(), reference.to_string());
    let given = [
        ("block", &*block),
        ("reference_blocks", &*reference),
        ("epsilon", "0"),
    ];
    let mut detector = Detector::new(Kind::EProcess, &given).expect("whole numbers");
    for _ in 0..REFERENCE_DAYS {
        for x in day(rng, RISK) {
            detector.update(x);
        }
    }
    detector
}

/// The first of so many `days` with a drift, if there is one.
fn drift(rng: &mut Pcg64Mcg, detector: &mut Detector, days: u32, risk: f64) -> Option<u32> {
    (0..days).find(|_| day(rng, risk).any(|x| detector.update(x) == Signal::Drift))
}

/// The same from the end of the reference on.
fn first_drift(rng: &mut Pcg64Mcg, block: u32, days: u32, risk: f64) -> Option<u32> {
    let mut detector = ready(rng, block);
    drift(rng, &mut detector, days, risk)
}

#[test]
fn false_alarms_stay_below_alpha_when_bets_are_on_days() {
    let mut rng = Pcg64Mcg::new(2013);
    // Each replicate has a reference of its own, and 1,000 days to fail.
    let fired = |_: &u32| first_drift(&mut rng, ROWS_A_DAY, 1_000, RISK).is_some();
    let alarms = (0..400).filter(fired).count();
    println!("{alarms} of 400");
    assert!(alarms <= 20, "{alarms} of 400 at 5 %");
}

#[test]
fn bets_on_the_rows_of_a_day_break_the_promise() {
    let mut rng = Pcg64Mcg::new(2014);
    let fired = |_: &u32| first_drift(&mut rng, 1, 100, RISK).is_some();
    let alarms = (0..100).filter(fired).count();
    println!("{alarms} of 100");
    assert!(alarms > 10, "{alarms} of 100 at 5 %");
}

#[test]
fn a_rise_of_fifteen_points_is_found_within_a_hundred_days() {
    let mut rng = Pcg64Mcg::new(7);
    let found = |_| first_drift(&mut rng, ROWS_A_DAY, 100, RISK + 0.15);
    let mut delays: Vec<u32> = (0..200).filter_map(found).collect();
    delays.sort_unstable();
    println!(
        "{} of 200, half within {} days",
        delays.len(),
        delays[delays.len() / 2]
    );
    assert!(delays.len() >= 190, "{} of 200", delays.len());
}

#[test]
fn a_quiet_time_before_it_hides_no_rise() {
    let mut rng = Pcg64Mcg::new(8);
    let mut found = Vec::new();
    for _ in 0..100 {
        let mut detector = ready(&mut rng, ROWS_A_DAY);
        if drift(&mut rng, &mut detector, 1_000, RISK).is_none() {
            found.extend(drift(&mut rng, &mut detector, 100, RISK + 0.15));
        }
    }
    found.sort_unstable();
    println!(
        "{} of 100, half within {} days",
        found.len(),
        found[found.len() / 2]
    );
    assert!(found.len() >= 95, "{} of 100", found.len());
}

#[test]
fn less_harm_raises_nothing() {
    let mut rng = Pcg64Mcg::new(11);
    assert!((0..20).all(|_| first_drift(&mut rng, ROWS_A_DAY, 300, 0.2).is_none()));
}

#[test]
fn a_confidence_limit_covers_and_tightens() {
    let mut rng = Pcg64Mcg::new(3);
    let mut limit = |days| {
        let mean = |_| day(&mut rng, RISK).sum::<f64>() / f64::from(ROWS_A_DAY);
        let means: Vec<f64> = (0..days).map(mean).collect();
        upper_limit(&means, 0.025)
    };
    let limits: Vec<f64> = (0..400).map(|_| limit(100)).collect();
    let missed = limits.iter().filter(|limit| **limit < RISK).count();
    assert!(missed <= 10, "{missed} of 400 at 2.5 %");
    assert!(
        limits.iter().all(|limit| *limit < RISK + 0.12),
        "no use at all"
    );
    assert!(limit(10_000) < RISK + 0.01);
}

#[test]
fn the_order_of_blocks_does_not_matter() {
    let days = [0.1, 0.5, 0.2, 0.0, 1.0, 0.3];
    let mut turned = days;
    turned.reverse();
    assert_eq!(upper_limit(&days, 0.05), upper_limit(&turned, 0.05));
}

#[test]
fn a_limit_has_ends() {
    assert_eq!(upper_limit(&[1.0; 50], 0.05), 1.0);
    assert_eq!(upper_limit(&[f64::NAN; 50], 0.05), 1.0);
    // ln(20)/1000 is what is possible.
    let none = upper_limit(&[0.0; 1_000], 0.05);
    assert!((0.003..0.006).contains(&none), "{none}");
}

#[test]
fn where_the_reference_is_no_better_than_all_wrong_nothing_can_be_worse() {
    let given = [("block", "1"), ("limit", "1")];
    let mut detector = Detector::new(Kind::EProcess, &given).expect("a limit");
    assert!((0..1_000).all(|_| detector.update(1.0) == Signal::None));
    assert_eq!(detector.e_process().map(EProcess::e_value), Some(1.0));
}

#[test]
fn a_drift_begins_the_wealth_anew_against_the_same_limit() {
    let given = [("block", "1"), ("limit", "0.1"), ("epsilon", "0")];
    let mut detector = Detector::new(Kind::EProcess, &given).expect("a limit");
    while detector.update(1.0) != Signal::Drift {}
    assert!(detector.e_process().expect("an e-process").e_value() >= 40.0);
    // One bet later: at most a share of 0.9 was paid tenfold.
    assert_eq!(detector.update(1.0), Signal::None);
    let process = detector.e_process().expect("an e-process");
    assert!(process.e_value() < 9.2);
    assert_eq!(
        (process.blocks(), process.limit(), process.tested()),
        (1, Some(0.1), Some(0.1))
    );
}
