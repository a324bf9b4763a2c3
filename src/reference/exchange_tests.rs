use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;

use super::*;
use crate::event::{DAY, Span};
use crate::profile::layout::{FORMAT, Field, Layout, LayoutColumn};
use crate::profile::{Cells, ColumnProfile, Profile};
use crate::reference::redraw::uniform;
use crate::reference::{Block, NullCache, Plan, Reference, compare};
use crate::stats::score::{Score, ThresholdSource, Verdict};

const BINNED: [Statistic; 5] = [
    Statistic::Psi,
    Statistic::JensenShannon,
    Statistic::KullbackLeibler,
    Statistic::ChiSquared,
    Statistic::LInfinity,
];

/// Categories by number: how many rows of each. A layout is learned from the reference's own.
struct Sides {
    cells: CategoricalCells,
    reference: CategoricalProfile,
    window: CategoricalProfile,
}

fn name(category: usize) -> String {
    format!("c{category}")
}

fn profile(cells: &CategoricalCells, rows: &[u64]) -> CategoricalProfile {
    let mut profile = CategoricalProfile::new(cells);
    for (category, &rows) in rows.iter().enumerate() {
        let name = name(category);
        match cells.categories.iter().position(|known| *known == name) {
            Some(cell) => profile.cells[cell] += rows,
            None => {
                profile.unseen += rows;
                profile.examples.add(&name, rows);
            }
        }
    }
    profile
}

fn sides(reference: &[u64], window: &[u64], closed: bool) -> Sides {
    let mut met: Vec<usize> = (0..reference.len())
        .filter(|&category| reference[category] > 0)
        .collect();
    met.sort_by_key(|&category| (Reverse(reference[category]), lot(&name(category))));
    met.truncate(MAX_CATEGORIES);
    let cells = CategoricalCells {
        categories: met.into_iter().map(name).collect(),
        closed,
    };
    Sides {
        reference: profile(&cells, reference),
        window: profile(&cells, window),
        cells,
    }
}

/// Rows of `categories` categories, the k-th with a share in proportion to 1/k.
fn draw(categories: usize, rows: u64, rng: &mut Pcg64Mcg) -> Vec<u64> {
    let shares = (1..=categories).map(|k| 1.0 / k as f64);
    let all: f64 = shares.clone().sum();
    let mut counts = vec![0; categories];
    for _ in 0..rows {
        let mut u = uniform(rng) * all;
        let at = shares.clone().position(|share| {
            u -= share;
            u < 0.0
        });
        counts[at.unwrap_or(0)] += 1;
    }
    counts
}

impl Sides {
    fn layout(&self) -> Layout {
        Layout {
            format: FORMAT,
            columns: vec![LayoutColumn {
                name: "c".to_owned(),
                field: Field::Feature,
                cells: Cells::Categorical(self.cells.clone()),
            }],
            skipped: Vec::new(),
        }
    }

    /// One score for each of [`BINNED`], of a reference in `blocks` equal blocks of time.
    fn scores(&self, blocks: u64, level: f64) -> Vec<Score> {
        let layout = self.layout();
        let whole = |texts: &CategoricalProfile, parts: u64, part: u64| {
            let share = |count: u64| count / parts + u64::from(part < count % parts);
            let mut texts = texts.clone();
            texts.cells.iter_mut().for_each(|cell| *cell = share(*cell));
            texts.missing.null = share(texts.missing.null);
            let mut profile = Profile::new(&layout);
            profile.rows = texts.values() + texts.missing.total();
            profile.columns = vec![ColumnProfile::Categorical(texts)];
            profile
        };
        let of_day = |day: u64| Block {
            span: (blocks > 1).then(|| Span::new(day as i64 * DAY, (day as i64 + 1) * DAY)),
            profile: whole(&self.reference, blocks, day),
        };
        let blocks: Vec<Block> = (0..blocks).map(of_day).collect();
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
            statistics: Some(BINNED.to_vec()),
            cache: &cache,
        };
        compare(&plan, &whole(&self.window, 1, 0), &["c".to_owned()])
    }

    fn pool(&self) -> Pool {
        Pool::new(&self.cells, &self.reference, &self.window)
    }
}

#[track_caller]
fn one<'a>(scores: &'a [Score], statistic: &str) -> &'a Score {
    let found = scores.iter().find(|score| score.statistic == statistic);
    found.expect("asked for")
}

/// Quiet windows of 1,000 rows beside 300 fresh references of 100 rows: each of [`BINNED`] exceeds its threshold of 5 %
/// in 15 of them, with deviation 3.8.
#[track_caller]
fn check_level(categories: usize) {
    let found: Vec<Vec<bool>> = (0..300_u64)
        .into_par_iter()
        .map(|case| {
            // Seeds that differ in a bit or two would give like streams.
            let seed = xxhash_rust::xxh3::xxh3_128(&case.to_le_bytes());
            let rng = &mut Pcg64Mcg::new(seed);
            let (reference, window) = (draw(categories, 100, rng), draw(categories, 1_000, rng));
            let scores = sides(&reference, &window, false).scores(1, 0.05);
            let p_value = |statistic: Statistic| one(&scores, statistic.name()).p_value;
            BINNED
                .iter()
                .map(|&statistic| p_value(statistic).expect("drawn") <= 0.05)
                .collect()
        })
        .collect();
    for (at, statistic) in BINNED.iter().enumerate() {
        let alarms = found.iter().filter(|spoke| spoke[at]).count();
        assert!((3..=28).contains(&alarms), "{}: {alarms}", statistic.name());
    }
}

#[test]
fn quiet_windows_of_few_categories_keep_the_level() {
    check_level(10);
}

/// Drawn from the reference alone PSI spoke in half of these windows.
#[test]
fn quiet_windows_of_many_categories_keep_the_level() {
    check_level(100);
}

/// In alphabetical order the first names are the more frequent ones. Where that decided which of the categories met once
/// were rounded down, scores spoke in a quarter of these windows.
#[test]
fn names_that_tell_how_frequent_they_are_change_nothing() {
    check_level(1_000);
}

/// The real labels among the drawn ones must have the score that the comparison gave.
#[test]
fn bins_are_chosen_as_the_comparison_chooses_them() {
    let rng = &mut Pcg64Mcg::new(3);
    // The last two have more categories than a layout.
    for (categories, rows) in [(10, 60), (30, 60), (200, 400), (400, 3_000), (600, 3_000)] {
        let all = draw(categories, rows, rng);
        let now = draw(categories, 5_000, rng);
        let mut with_missing = sides(&all, &now, false);
        with_missing.reference.missing.null = 3;
        with_missing.window.missing.null = 40;
        with_missing.window.missing.wrong_type = 7;
        let scores = with_missing.scores(1, 0.05);
        let pool = with_missing.pool();
        let mut labelled = super::Sides::new(&pool);
        let mut by_lot: Vec<(u64, u64)> = (0..categories)
            .filter(|&category| all[category] + now[category] > 0)
            .map(|category| (lot(&name(category)), all[category]))
            .collect();
        by_lot.sort_unstable();
        assert!(pool.known());
        assert_eq!(
            categories <= MAX_CATEGORIES,
            with_missing.reference.unseen == 0
        );
        for (at, (_, count)) in by_lot.into_iter().enumerate() {
            labelled.reference[at] = count;
        }
        let special = pool.categories();
        labelled.reference[special] = 3;
        for (at, &rows) in pool.rows.iter().enumerate() {
            labelled.current[at] = rows - labelled.reference[at];
        }
        labelled.choose();
        for statistic in BINNED {
            let value = one(&scores, statistic.name()).value.expect("a value");
            let ours = labelled.score(statistic);
            assert!(
                (ours - value).abs() < 1e-9 * value.max(1.0),
                "{categories} {}: {ours} {value}",
                statistic.name()
            );
        }
    }
}

#[test]
fn answers_are_the_same_again_and_in_any_company() {
    let rng = &mut Pcg64Mcg::new(5);
    let sides = sides(&draw(40, 100, rng), &draw(40, 1_000, rng), false);
    assert_eq!(sides.scores(1, 0.05), sides.scores(1, 0.05));
    let observed: Vec<(Statistic, f64)> = BINNED.iter().map(|&one| (one, 0.3)).collect();
    let together = sides.pool().judge(&observed, 0.05, 7);
    for (at, &alone) in observed.iter().enumerate() {
        assert_eq!(sides.pool().judge(&[alone], 0.05, 7), [together[at]]);
    }
    assert_ne!(sides.pool().judge(&observed, 0.05, 8), together);
}

#[test]
fn a_share_that_moved_is_found_and_a_kept_one_is_not() {
    let quiet = sides(&[50, 30, 20], &[510, 290, 200], false).scores(1, 0.01);
    let moved = sides(&[50, 30, 20], &[200, 600, 200], false).scores(1, 0.01);
    for (quiet, moved) in quiet.iter().zip(&moved) {
        assert_eq!(quiet.verdict, Verdict::Ok, "{}", quiet.reason);
        assert_eq!(moved.verdict, Verdict::Drift, "{}", moved.reason);
        let threshold = moved.threshold.as_ref().expect("drawn");
        assert_eq!(threshold.source, ThresholdSource::AssumesIndependence);
        assert_eq!(
            (threshold.draws, threshold.extrapolated),
            (Some(2_000), false)
        );
        // What is quiet is seen to be so by a part of the draws.
        let draws = quiet.threshold.as_ref().and_then(|found| found.draws);
        assert!(
            draws.is_some_and(|draws| (500..2_000).contains(&draws)),
            "{draws:?}"
        );
        assert_eq!(
            moved.parameters["null"],
            "rows exchanged between reference and window"
        );
    }
}

#[test]
fn a_window_of_nothing_but_unseen_texts_has_drifted() {
    let one_text = sides(&[60, 40, 0], &[0, 0, 300], false).scores(1, 0.01);
    let mut different = vec![60, 40];
    different.resize(2_002, 0);
    let mut window = vec![0, 0];
    window.resize(2_002, 1);
    let different = sides(&different, &window, false).scores(1, 0.01);
    for score in one_text.iter().chain(&different) {
        assert_eq!(score.verdict, Verdict::Drift, "{}", score.reason);
    }
    assert!(different[0].parameters["null"].ends_with("not all unseen texts are known"));
}

#[test]
fn nulls_alone_are_a_bin_that_nobody_chooses() {
    let mut nulls = sides(&[0], &[0], false);
    (nulls.reference.missing.null, nulls.window.missing.null) = (100, 1_000);
    for score in nulls.scores(1, 0.01) {
        assert_eq!((score.verdict, score.p_value), (Verdict::Ok, Some(1.0)));
    }
    // Nothing but nulls where there was no null.
    let mut nulls = sides(&[60, 40], &[0, 0], false);
    nulls.window.missing.null = 1_000;
    for score in nulls.scores(1, 0.01) {
        assert_eq!(score.verdict, Verdict::Drift, "{}", score.reason);
    }
}

#[test]
fn what_is_outside_a_closed_domain_is_no_category() {
    let closed = sides(&[60, 40, 0], &[580, 390, 30], true).pool();
    let ascending = |pool: &Pool, categories: usize| {
        let mut rows = pool.rows.clone();
        rows[..categories].sort_unstable();
        rows
    };
    assert_eq!(ascending(&closed, 2), [430, 640, 0, 0, 30]);
    let open = sides(&[60, 40, 0], &[580, 390, 30], false).pool();
    assert_eq!(ascending(&open, 3), [30, 430, 640, 0, 0, 0]);
    // Where all that is allowed was met nothing new is expected, else as much as was met once.
    for (pool, reference, expected) in [
        (&closed, [99, 1, 0, 0, 0].as_slice(), 0),
        (&closed, &[1, 0, 0, 0, 0], 1),
        (&open, &[99, 1, 1, 0, 0, 0], 2),
    ] {
        let mut sides = super::Sides::new(pool);
        sides.reference.copy_from_slice(reference);
        sides.choose();
        assert_eq!(sides.expected.unseen, expected);
    }
}

#[test]
fn unseen_rows_are_split_into_the_texts_that_are_known() {
    let none = CategoricalProfile::default();
    let split = |outside, reference: &CategoricalProfile, window: &CategoricalProfile| {
        let (pieces, known) = split(outside, reference, window);
        let mut rows: Vec<u64> = pieces.iter().map(|(_, rows)| *rows).collect();
        rows.sort_unstable();
        (rows, known)
    };
    let (mut few, mut many, mut long) = (none.clone(), none.clone(), none.clone());
    few.unseen = 9;
    few.examples.add("a", 7);
    few.examples.add("b", 2);
    let (found, known) = split(9, &none, &few);
    assert_eq!((found, known), (vec![2, 7], Known::All));
    // The same name on both sides is one category.
    let (found, known) = split(18, &few, &few);
    assert_eq!((found, known), (vec![4, 14], Known::All));
    for text in 0..100 {
        many.unseen += 3;
        many.examples.add(&format!("t{text}"), 3);
    }
    assert_eq!(split(300, &none, &many), (vec![3; 100], Known::All));
    for text in 100..2_000 {
        many.unseen += 3;
        many.examples.add(&format!("t{text}"), 3);
    }
    assert_eq!(split(6_000, &none, &many), (vec![3; 2_000], Known::Some));
    long.unseen = 5;
    assert_eq!(split(5, &none, &long), (vec![1; 5], Known::Some));
    let (found, known) = split(1_000_000, &none, &long);
    assert_eq!(known, Known::Lumps);
    assert!(found.len() <= MOST_OUTSIDE && found.iter().sum::<u64>() == 1_000_000);
    assert_eq!(split(0, &none, &none), (Vec::new(), Known::All));
}

#[test]
fn categories_beyond_the_layout_of_a_reference_are_unseen() {
    let mut beyond = sides(&[60, 40], &[500, 400], false);
    for (side, rows) in [(&mut beyond.reference, 5), (&mut beyond.window, 60)] {
        side.unseen = rows;
        side.examples.add("long tail", rows);
    }
    let pool = beyond.pool();
    // What they are cannot matter, and nobody has to know.
    assert!(pool.known());
    let mut sides = super::Sides::new(&pool);
    sides.reference.copy_from_slice(&[60, 40, 5, 0, 0, 0]);
    sides.choose();
    assert_eq!(sides.expected.counts, [60, 40, 0, 0, 5]);
}

/// Blocks that differ no more than their rows would leave the null to rows; where they have as many as the window they
/// also tell how independent those are, and a reference without blocks tells nothing, unless it has many rows.
#[test]
fn references_of_independent_blocks_are_exchanged_and_larger_ones_are_not() {
    let few = sides(&[50, 30, 20], &[310, 170, 120], false);
    let many = sides(&[31, 17, 12], &[6, 3, 2], false);
    for score in many.scores(1, 0.01) {
        assert!(score.parameters.contains_key("null"), "{}", score.statistic);
    }
    for score in many.scores(10, 0.01) {
        assert!(
            !score.parameters.contains_key("null"),
            "{}",
            score.statistic
        );
    }
    for score in few.scores(10, 0.01) {
        let threshold = score.threshold.as_ref().expect("a threshold");
        let exchanged = score.parameters.contains_key("null");
        match threshold.source {
            ThresholdSource::Resampled => assert!(exchanged, "{}", score.statistic),
            ThresholdSource::ClosedForm => assert!(!exchanged, "{}", score.statistic),
            other => panic!("{}: {other:?}", score.statistic),
        }
    }
}
