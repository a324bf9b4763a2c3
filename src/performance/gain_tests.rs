use super::*;
use rand_distr::{Distribution, StandardNormal};

const CONFIDENCE: f64 = 0.95;

#[track_caller]
fn refuse(blocks: &[i64], confidence: f64, draws: u32, expect: &str) {
    let losses = vec![0.5; 6];
    let error =
        paired_gain(&losses, &losses, blocks, confidence, draws, 1).expect_err("no comparison");
    assert_eq!(error.to_string(), expect);
}

#[test]
fn what_cannot_be_compared_says_why() {
    let six = [0, 1, 2, 3, 4, 5];
    refuse(
        &[0, 1, 2, 3, 3, 3],
        CONFIDENCE,
        USUAL_DRAWS,
        "the rows lie in 4 blocks of time; an interval needs 5",
    );
    refuse(
        &six,
        1.0,
        USUAL_DRAWS,
        "a confidence of 1 does not lie between 0 and 1",
    );
    refuse(
        &six,
        f64::NAN,
        USUAL_DRAWS,
        "a confidence of NaN does not lie between 0 and 1",
    );
    refuse(
        &six,
        CONFIDENCE,
        10,
        "10 draws are too few for an interval; it needs 1000",
    );
    refuse(
        &six[..5],
        CONFIDENCE,
        USUAL_DRAWS,
        "6 losses of the champion, 6 of the challenger and 5 blocks are not of the same rows",
    );
    assert_eq!(
        paired_gain(&[f64::INFINITY], &[0.0], &[0], CONFIDENCE, USUAL_DRAWS, 1),
        Err(GainError::NotFinite)
    );
}

/// Normal losses: rows share their block's effect. Champion less challenger has mean `gain`.
fn simulated(rng: &mut Pcg64Mcg, days: i64, gain: f64) -> (Vec<f64>, Vec<f64>, Vec<i64>) {
    const ROWS: usize = 30;
    let mut normal = || -> f64 { StandardNormal.sample(rng) };
    let (mut champion, mut challenger, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
    for day in 0..days {
        let effect = normal();
        for _ in 0..ROWS {
            let hardness = 3.0 * normal();
            champion.push(hardness + gain + effect + normal());
            challenger.push(hardness);
            blocks.push(day);
        }
    }
    (champion, challenger, blocks)
}

/// Days share an effect as large as a row's own noise: as if there were a 30th of the rows. An interval that took
/// rows for independent would hold the truth in four runs of ten.
#[track_caller]
fn covers(days: i64, least: f64, most: f64) {
    const RUNS: u32 = 300;
    let mut rng = Pcg64Mcg::new(2013 + days as u128);
    let mut held = 0;
    for run in 0..RUNS {
        let (champion, challenger, blocks) = simulated(&mut rng, days, 0.0);
        let gain = paired_gain(
            &champion,
            &challenger,
            &blocks,
            CONFIDENCE,
            1_000,
            u64::from(run),
        )
        .expect("enough blocks");
        held += u32::from(gain.lower <= 0.0 && 0.0 <= gain.upper);
    }
    let share = f64::from(held) / f64::from(RUNS);
    assert!(
        (least..=most).contains(&share),
        "{days} days: {share} of the intervals hold the truth"
    );
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say_on_dependent_rows() {
    covers(14, 0.92, 0.98);
    covers(30, 0.92, 0.98);
    covers(5, 0.88, 0.98);
}

#[test]
fn a_real_gain_is_found() {
    let (champion, challenger, blocks) = simulated(&mut Pcg64Mcg::new(5), 28, 1.5);
    let gain = paired_gain(&champion, &challenger, &blocks, CONFIDENCE, USUAL_DRAWS, 1)
        .expect("28 blocks");
    assert!(gain.lower > 0.0, "{gain:?}");
    assert!((gain.champion - gain.challenger - gain.mean).abs() < 1e-12);
    assert_eq!((gain.n, gain.blocks), (28 * 30, 28));
}

#[test]
fn the_same_rows_in_another_order_give_the_same_bits() {
    let (champion, challenger, blocks) = simulated(&mut Pcg64Mcg::new(9), 7, 0.2);
    let gain = |order: &[usize]| {
        let pick = |losses: &[f64]| order.iter().map(|i| losses[*i]).collect::<Vec<_>>();
        let blocks: Vec<i64> = order.iter().map(|i| blocks[*i]).collect();
        paired_gain(
            &pick(&champion),
            &pick(&challenger),
            &blocks,
            CONFIDENCE,
            1_000,
            4,
        )
        .expect("7 blocks")
    };
    let forth: Vec<usize> = (0..blocks.len()).collect();
    let back: Vec<usize> = forth.iter().rev().copied().collect();
    assert_eq!(gain(&forth), gain(&back));
}

/// Draws are part of what is promised: a run can be repeated bit for bit by any later release.
#[test]
fn an_interval_is_the_same_in_every_release() {
    let champion = [0.9, 0.7, 0.4, 0.8, 0.6, 0.5];
    let challenger = [0.5, 0.75, 0.3, 0.5, 0.5, 0.25];
    let gain =
        paired_gain(&champion, &challenger, &[0, 1, 2, 3, 4, 5], 0.9, 1_000, 7).expect("6 blocks");
    assert_eq!(
        (gain.mean, gain.lower, gain.upper),
        (0.18333333333333335, 0.04999999999999997, 0.325)
    );
}

#[test]
fn few_blocks_widen_the_interval() {
    let plain = 0.025;
    assert!(tail(CONFIDENCE, 5) < 0.002);
    assert!(tail(CONFIDENCE, 14) < tail(CONFIDENCE, 100));
    assert!(tail(CONFIDENCE, 10_000) < plain && tail(CONFIDENCE, 10_000) > 0.0249);
}
