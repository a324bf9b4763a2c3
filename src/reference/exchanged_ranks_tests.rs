use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;

use super::*;
use crate::event::{DAY, Span};
use crate::reference::{Block, NullCache, Plan, Reference, compare, sample};
use crate::stats::score::{Score, ThresholdSource, Verdict};

/// Scores of both statistics for a window beside a reference in `blocks` equal blocks of time, with the layout that the
/// reference's own rows give.
fn scores(reference: &[f64], window: &[f64], blocks: usize, level: f64) -> Vec<Score> {
    let layout = sample::learned(reference);
    let blocks = reference.chunks(reference.len().div_ceil(blocks));
    let timed = blocks.len() > 1;
    let blocks: Vec<Block> = (0..)
        .zip(blocks)
        .map(|(day, rows)| Block {
            span: timed.then(|| Span::new(day * DAY, (day + 1) * DAY)),
            profile: sample::counted(&layout, rows),
        })
        .collect();
    let reference = Reference::from_blocks("m", "file: f", &layout, blocks).expect("blocks");
    let cache = NullCache::new();
    let plan = Plan {
        layout: &layout,
        reference: Some(&reference),
        window: Span::new(0, DAY),
        min_rows: 1,
        level,
        for_k: 1,
        for_n: 1,
        every: DAY,
        statistics: Some(RANKED.to_vec()),
        cache: &cache,
    };
    compare(&plan, &sample::counted(&layout, window), &["x".to_owned()])
}

fn normal(rows: usize, shift: f64, rng: &mut Pcg64Mcg) -> Vec<f64> {
    let mut draw = || -> f64 { StandardNormal.sample(rng) };
    (0..rows).map(|_| shift + draw()).collect()
}

fn generator(case: u64) -> Pcg64Mcg {
    // Seeds that differ in a bit or two would give like streams.
    Pcg64Mcg::new(xxhash_rust::xxh3::xxh3_128(&case.to_le_bytes()))
}

fn exchanged(score: &Score) -> bool {
    score.parameters.get("null").map(String::as_str)
        == Some("rows exchanged between reference and window")
}

/// Quiet windows of 1,000 rows beside 400 fresh references of 100 rows: 20 are expected above a threshold of 5 %, with
/// deviation 4.4. Drawn from the reference alone the Wasserstein distance spoke in some 40.
#[test]
fn quiet_windows_beside_few_rows_keep_the_level() {
    let found: Vec<Vec<bool>> = (0..400)
        .into_par_iter()
        .map(|case| {
            let rng = &mut generator(case);
            let (reference, window) = (normal(100, 0.0, rng), normal(1_000, 0.0, rng));
            scores(&reference, &window, 1, 0.05)
                .iter()
                .map(|score| score.p_value.expect("drawn") <= 0.05)
                .collect()
        })
        .collect();
    for (at, statistic) in RANKED.iter().enumerate() {
        let alarms = found.iter().filter(|spoke| spoke[at]).count();
        assert!((6..=33).contains(&alarms), "{}: {alarms}", statistic.name());
    }
}

#[test]
fn numbers_that_moved_are_found_and_quiet_ones_are_not() {
    let rng = &mut generator(1);
    let reference = normal(100, 0.0, rng);
    let quiet = scores(&reference, &normal(1_000, 0.0, rng), 1, 0.01);
    let moved = scores(&reference, &normal(1_000, 1.0, rng), 1, 0.01);
    assert_eq!((quiet.len(), moved.len()), (2, 2));
    for (quiet, moved) in quiet.iter().zip(&moved) {
        assert_eq!(quiet.verdict, Verdict::Ok, "{}", quiet.reason);
        assert_eq!(moved.verdict, Verdict::Drift, "{}", moved.reason);
        assert!(exchanged(quiet) && exchanged(moved));
        let threshold = moved.threshold.as_ref().expect("drawn");
        assert_eq!(threshold.source, ThresholdSource::AssumesIndependence);
        assert_eq!(threshold.draws, Some(2_000));
    }
}

#[test]
fn answers_are_the_same_again_and_in_any_company() {
    let rng = &mut generator(2);
    let (reference, window) = (normal(100, 0.0, rng), normal(300, 0.0, rng));
    assert_eq!(
        scores(&reference, &window, 1, 0.05),
        scores(&reference, &window, 1, 0.05)
    );
    let (before, now) = ([3, 1, 4, 1, 5], [20, 30, 10, 20, 20]);
    let first = |_, reference: &[u64], _: &[u64]| reference[0] as f64;
    let both = RANKED.map(|statistic| (statistic, 3.0));
    let together = judge(&before, &now, &both, first, 0.05, 7);
    for (at, &alone) in both.iter().enumerate() {
        assert_eq!(
            judge(&before, &now, &[alone], first, 0.05, 7),
            [together[at]]
        );
    }
    // 14 of 114 rows are the reference's, and 23 are in the first atom: P(X ≥ 3) by the hypergeometric law.
    assert!((together[0].p_value - 0.569).abs() < 0.1, "{together:?}");
}

#[test]
fn larger_references_and_blocks_that_differ_are_not_exchanged() {
    let rng = &mut generator(3);
    let window = normal(400, 0.0, rng);
    let as_large = scores(&normal(400, 0.0, rng), &window, 1, 0.05);
    assert!(!as_large.iter().any(exchanged));
    let days: Vec<f64> = (0..6)
        .flat_map(|day| normal(50, f64::from(day), rng))
        .collect();
    let apart = scores(&days, &window, 6, 0.05);
    for score in &apart {
        let threshold = score.threshold.as_ref().expect("drawn");
        assert!(
            !exchanged(score) && !threshold.source.of_rows(),
            "{score:?}"
        );
    }
}

#[test]
fn a_constant_and_what_is_no_number_are_no_trouble() {
    let constant = [5.0; 30];
    let rng = &mut generator(4);
    for (window, verdict) in [
        (vec![5.0; 90], Verdict::Ok),
        (normal(90, 9.0, rng), Verdict::Drift),
    ] {
        for score in scores(&constant, &window, 1, 0.05) {
            assert_eq!(score.verdict, verdict, "{}", score.reason);
            assert!(!exchanged(&score));
        }
    }
    // Nothing finite on one side: no distance between values, and ranks say what is missing.
    let found = scores(&normal(30, 0.0, rng), &[f64::NAN; 90], 1, 0.05);
    for score in found {
        let verdict = match score.statistic.as_str() {
            "wasserstein" => Verdict::InsufficientData,
            _ => Verdict::Drift,
        };
        assert_eq!(score.verdict, verdict, "{}", score.reason);
    }
}
