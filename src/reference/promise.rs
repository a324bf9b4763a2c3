//! The promise under simulation: quiet windows exceed a threshold of level α in at most a share α of cases, with a
//! fresh reference in each case, for independent rows and for rows that depend on their day.

use std::collections::BTreeMap;

use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

use super::evidence::{Evidence, Ranks};
use super::null::{calibrate, chi_squared_quantile, window_size};
use super::overdispersion;
use super::redraw::{drawn, scores};
use crate::stats::wasserstein::Support;
use crate::stats::{self, Statistic, chi_squared, size_factor, total};

/// How a quiet day differs from another.
#[derive(Debug, Clone, Copy)]
enum Days {
    /// Not at all: rows are independent.
    Alike,
    /// Its mean is another: standard normal rows around a normal centre with this deviation.
    Shifted(f64),
    /// Each value comes this many times: independent clumps of equal rows.
    Clumped(u64),
}

#[derive(Debug, Clone, Copy)]
struct Case {
    days: Days,
    bins: usize,
    /// Rows in the reference and in the window.
    reference: u64,
    window: u64,
    /// Days in the reference; a window is one day.
    blocks: u64,
}

/// How often each statistic was above its threshold, and how often PSI above the textbook's for independent rows.
#[derive(Debug, Clone, Default)]
struct Shares {
    ours: BTreeMap<&'static str, f64>,
    textbook: f64,
}

const LEVEL: f64 = 0.05;

/// Every statistic that is drawn.
fn every_drawn() -> Vec<Statistic> {
    drawn(
        &stats::table()
            .iter()
            .map(|entry| entry.statistic)
            .collect::<Vec<_>>(),
    )
}

fn day(case: &Case, rows: u64, cuts: &[f64], rng: &mut Pcg64Mcg) -> Vec<u64> {
    let mut counts = vec![0; cuts.len() + 1];
    let mut normal = || -> f64 { StandardNormal.sample(rng) };
    let (center, clump) = match case.days {
        Days::Alike => (0.0, 1),
        Days::Shifted(by) => (by * normal(), 1),
        Days::Clumped(rows) => (0.0, rows),
    };
    let mut left = rows;
    while left > 0 {
        let x = center + normal();
        let now = clump.min(left);
        counts[cuts.partition_point(|&cut| cut < x)] += now;
        left -= now;
    }
    counts
}

fn shares(case: &Case, cases: u32) -> Shares {
    let mut rng = Pcg64Mcg::new(20_130_101);
    let mut shares = Shares::default();
    let statistics = every_drawn();
    // Cuts at the quantiles of many days, as a reference would choose them.
    let spread = match case.days {
        Days::Shifted(by) => (1.0 + by * by).sqrt(),
        _ => 1.0,
    };
    let mut sample: Vec<f64> = (0..20_000)
        .map(|_| -> f64 { StandardNormal.sample(&mut rng) })
        .collect();
    sample.sort_by(f64::total_cmp);
    let cuts: Vec<f64> = (1..case.bins)
        .map(|i| spread * sample[i * sample.len() / case.bins])
        .collect();
    for _ in 0..cases {
        let blocks: Vec<Vec<u64>> = (0..case.blocks)
            .map(|_| day(case, case.reference / case.blocks, &cuts, &mut rng))
            .collect();
        let mut reference = vec![0; case.bins];
        for block in &blocks {
            reference
                .iter_mut()
                .zip(block)
                .for_each(|(sum, &count)| *sum += count);
        }
        let window = day(case, case.window, &cuts, &mut rng);
        let evidence = evidence(&reference, blocks, &cuts);
        let found = overdispersion::measure(&evidence.block_bins());
        let size = window_size(case.window);
        let calibration = calibrate(
            &evidence,
            found.as_ref(),
            size,
            LEVEL,
            u128::from(rng.next_u64()),
            &statistics,
        );
        let mut values = Vec::new();
        scores(&evidence, &reference, &window, &statistics, &mut values);
        let factor = size_factor(total(&reference), total(&window));
        let textbook = factor * chi_squared_quantile(LEVEL, stats::degrees(case.bins));
        // A closed form, where the blocks leave no doubt, is the textbook's.
        let closed =
            calibration.closed_form && chi_squared::expected_counts_suffice(&reference, &window);
        for (&statistic, &value) in statistics.iter().zip(&values) {
            let drawn = calibration
                .verdict(statistic, value, LEVEL)
                .expect("draws enough for 5 %")
                .threshold;
            let threshold = if closed && statistic == Statistic::Psi {
                textbook
            } else {
                drawn
            };
            *shares.ours.entry(statistic.name()).or_default() +=
                f64::from(u8::from(value > threshold)) / f64::from(cases);
        }
        shares.textbook += f64::from(u8::from(values[0] > textbook)) / f64::from(cases);
    }
    shares
}

/// A column whose atoms are its bins, standing in rank order.
fn evidence(reference: &[u64], blocks: Vec<Vec<u64>>, cuts: &[f64]) -> Evidence {
    // Wide enough for every value drawn here.
    let support = Support {
        min: -12.0,
        max: 12.0,
    };
    Evidence {
        bins: reference.to_vec(),
        reference: reference.to_vec(),
        blocks,
        bin_of_atom: (0..reference.len()).collect(),
        ranks: Some(Ranks::new(
            0..reference.len(),
            cuts.to_vec(),
            support,
            Some(1.0),
        )),
        // The cuts are those of many days, not of this reference.
        fitted_cells: None,
        unseen: None,
    }
}

/// Three standard errors above the level.
fn most(cases: u32) -> f64 {
    LEVEL + 3.0 * (LEVEL * (1.0 - LEVEL) / f64::from(cases)).sqrt()
}

#[track_caller]
fn check(case: Case, cases: u32) -> Shares {
    let shares = shares(&case, cases);
    assert_eq!(shares.ours.len(), every_drawn().len());
    for (name, &share) in &shares.ours {
        assert!(
            share <= most(cases),
            "{case:?}, {name}: {share:.3}, at most {:.3}",
            most(cases)
        );
    }
    shares
}

#[test]
fn independent_rows_keep_the_level() {
    for (bins, window, times, blocks) in [
        (10, 200, 1, 10),
        (10, 200, 20, 10),
        (20, 200, 5, 50),
        (10, 1000, 5, 2),
        (20, 1000, 20, 10),
        (10, 1000, 1, 2),
    ] {
        check(
            Case {
                days: Days::Alike,
                bins,
                reference: window * times,
                window,
                blocks,
            },
            120,
        );
    }
}

#[test]
fn days_that_shift_break_the_textbook_and_not_the_promise() {
    for blocks in [5, 9, 30] {
        let case = Case {
            days: Days::Shifted(0.4),
            bins: 10,
            reference: 400 * blocks,
            window: 400,
            blocks,
        };
        let shares = check(case, 120);
        assert!(shares.textbook > 0.5, "{case:?}: {shares:?}");
    }
}

#[test]
fn clumps_of_equal_rows_break_the_textbook_and_not_the_promise() {
    let case = Case {
        days: Days::Clumped(8),
        bins: 10,
        reference: 8000,
        window: 800,
        blocks: 10,
    };
    let shares = check(case, 120);
    assert!(shares.textbook > 0.5, "{case:?}: {shares:?}");
}

/// A threshold that never fires would keep any promise: a mean that moves by half a deviation must be seen.
#[test]
fn a_real_change_is_seen() {
    let mut rng = Pcg64Mcg::new(5);
    let case = Case {
        days: Days::Alike,
        bins: 10,
        reference: 9000,
        window: 1000,
        blocks: 9,
    };
    let cuts: Vec<f64> = (1..10).map(|i| (f64::from(i) - 5.0) / 3.0).collect();
    let blocks: Vec<Vec<u64>> = (0..9).map(|_| day(&case, 1000, &cuts, &mut rng)).collect();
    let moved = day(
        &case,
        1000,
        &cuts.iter().map(|cut| cut - 0.3).collect::<Vec<_>>(),
        &mut rng,
    );
    let mut reference = vec![0; 10];
    blocks.iter().for_each(|block| {
        reference
            .iter_mut()
            .zip(block)
            .for_each(|(sum, &count)| *sum += count)
    });
    let evidence = evidence(&reference, blocks, &cuts);
    let found = overdispersion::measure(&evidence.block_bins());
    let statistics = every_drawn();
    let calibration = calibrate(&evidence, found.as_ref(), 1000, 0.001, 1, &statistics);
    let mut values = Vec::new();
    scores(&evidence, &reference, &moved, &statistics, &mut values);
    for (&statistic, value) in statistics.iter().zip(values) {
        let judged = calibration
            .verdict(statistic, value, 0.001)
            .expect("served");
        assert!(judged.p_value <= 0.001, "{}: {value}", statistic.name());
    }
}

/// The whole grid, some minutes long: `cargo test --release -- --ignored the_whole_grid --nocapture`.
#[test]
#[ignore = "takes minutes; prints the table behind the short tests"]
fn the_whole_grid() {
    for bins in [10, 20] {
        for window in [200, 1000] {
            for times in [1, 5, 20] {
                for blocks in [2, 10, 50] {
                    let case = Case {
                        days: Days::Alike,
                        bins,
                        reference: window * times,
                        window,
                        blocks,
                    };
                    println!("{case:?} {:?}", shares(&case, 300));
                }
            }
        }
    }
    for days in [
        Days::Shifted(0.2),
        Days::Shifted(0.5),
        Days::Shifted(1.0),
        Days::Shifted(2.0),
        Days::Clumped(5),
        Days::Clumped(25),
    ] {
        for blocks in [2, 5, 9, 20, 50] {
            let case = Case {
                days,
                bins: 10,
                reference: 400 * blocks,
                window: 400,
                blocks,
            };
            println!("{case:?} {:?}", shares(&case, 300));
        }
    }
}
