use super::*;
use crate::profile::CategoricalProfile;
use crate::profile::{Distinct, Field, Missing, NumericProfile};
use proptest::prelude::*;

fn numeric(edges: &[f64], counts: &[u64]) -> (LayoutColumn, ColumnProfile) {
    let cells = NumericCells {
        edges: edges.to_vec(),
        domain: None,
        center: 0.0,
        sum_shift: 0,
        square_shift: 0,
    };
    let profile = NumericProfile {
        cells: counts.to_vec(),
        ..NumericProfile::default()
    };
    let column = LayoutColumn {
        name: "a".into(),
        field: Field::Feature,
        cells: Cells::Numeric(cells),
    };
    (column, ColumnProfile::Numeric(profile))
}

fn categorical(counts: &[(&str, u64)], unseen: u64, closed: bool) -> (LayoutColumn, ColumnProfile) {
    let categories = counts.iter().map(|(name, _)| (*name).to_owned()).collect();
    let cells = Cells::Categorical(CategoricalCells { categories, closed });
    let profile = CategoricalProfile {
        cells: counts.iter().map(|(_, count)| *count).collect(),
        missing: Missing {
            null: 2,
            absent: 3,
            wrong_type: 4,
        },
        unseen,
        examples: Distinct::default(),
    };
    let column = LayoutColumn {
        name: "a".into(),
        field: Field::Feature,
        cells,
    };
    (column, ColumnProfile::Categorical(profile))
}

#[track_caller]
fn check_numeric(edges: &[f64], counts: &[u64], bins: usize, expected: &[(&str, u64)]) {
    let (column, profile) = numeric(edges, counts);
    let binning = Binning::new(&column, &profile, bins);
    let labels = binning.labels.iter().map(String::as_str);
    let found: Vec<(&str, u64)> = labels
        .zip(binning.counts(&profile))
        .take(binning.cell_bins)
        .collect();
    assert_eq!(found, expected);
    assert_eq!(
        binning.labels[binning.cell_bins..],
        ["null", "wrong type", "NaN", "+inf", "-inf"]
    );
}

#[test]
fn numeric_bins_follow_the_quantiles() {
    check_numeric(
        &[1.0, 2.0, 3.0],
        &[5, 5, 5, 5],
        2,
        &[("≤ 2", 10), ("> 2", 10)],
    );
    check_numeric(
        &[1.0, 2.0, 3.0],
        &[5, 5, 5, 5],
        10,
        &[("≤ 1", 5), ("1 – 2", 5), ("2 – 3", 5), ("> 3", 5)],
    );
    check_numeric(&[1.0, 2.0, 3.0], &[5, 5, 5, 5], 1, &[("any number", 20)]);
}

#[test]
fn empty_cells_join_their_neighbours() {
    check_numeric(
        &[1.0, 2.0, 3.0, 4.0],
        &[0, 6, 0, 0, 6],
        10,
        &[("≤ 2", 6), ("> 2", 6)],
    );
    check_numeric(&[1.0, 2.0], &[0, 0, 0], 10, &[("any number", 0)]);
    check_numeric(&[], &[7], 10, &[("any number", 7)]);
}

#[test]
fn a_value_larger_than_its_share_makes_fewer_bins() {
    check_numeric(
        &[0.0, 1.0, 2.0],
        &[80, 10, 5, 5],
        4,
        &[("≤ 0", 80), ("> 0", 20)],
    );
}

#[test]
fn labels_are_short_where_that_tells_bounds_apart() {
    let long = 0.1 + 0.2;
    check_numeric(
        &[long, 1e12],
        &[1, 1, 1],
        3,
        &[("≤ 0.3", 1), ("0.3 – 1e12", 1), ("> 1e12", 1)],
    );
    let close = [1000000.25, 1000000.5];
    check_numeric(
        &close,
        &[1, 1, 1],
        3,
        &[
            ("≤ 1000000.25", 1),
            ("1000000.25 – 1000000.5", 1),
            ("> 1000000.5", 1),
        ],
    );
}

#[test]
fn a_declared_domain_has_bins_of_its_own() {
    let (mut column, mut profile) = numeric(&[50.0], &[3, 4]);
    if let (Cells::Numeric(cells), ColumnProfile::Numeric(profile)) =
        (&mut column.cells, &mut profile)
    {
        cells.domain = Some([0.0, 99.5]);
        (
            profile.below,
            profile.above,
            profile.nan,
            profile.negative_infinity,
        ) = (1, 2, 5, 6);
        profile.missing = Missing {
            null: 7,
            absent: 8,
            wrong_type: 9,
        };
    }
    let binning = Binning::new(&column, &profile, 10);
    assert_eq!(
        binning.labels,
        [
            "≤ 50",
            "> 50",
            "null",
            "wrong type",
            "NaN",
            "+inf",
            "-inf",
            "below 0",
            "above 99.5"
        ]
    );
    assert_eq!(binning.reference_counts, [3, 4, 15, 9, 5, 0, 6, 1, 2]);
    assert_eq!(
        fine_counts(&profile),
        FineCounts {
            cells: vec![3, 4],
            special: vec![15, 9, 5, 0, 6, 1, 2]
        }
    );
}

#[test]
fn categories_that_were_met_have_a_bin_each() {
    let (column, profile) = categorical(
        &[("a", 10), ("null", 40), ("c", 0), ("d", 10), ("e", 5)],
        0,
        false,
    );
    let binning = Binning::new(&column, &profile, 1);
    assert_eq!(
        binning.labels,
        ["\"null\"", "a", "d", "e", "null", "wrong type", "unseen"]
    );
    assert_eq!(binning.bin_of_cell, [1, 0, 6, 2, 3]);
    assert_eq!(binning.counts(&profile), [40, 10, 10, 5, 5, 4, 0]);
    assert_eq!(
        binning.reference_counts,
        [40, 10, 10, 5, 5, 4, 0],
        "no singletons, nothing expected"
    );
}

#[test]
fn singletons_announce_the_unseen() {
    let (column, profile) = categorical(&[("a", 90), ("b", 8), ("c", 1), ("d", 1)], 0, false);
    let binning = Binning::new(&column, &profile, 10);
    assert_eq!(binning.counts(&profile), [90, 8, 1, 1, 5, 4, 0]);
    assert_eq!(binning.reference_counts, [88, 8, 1, 1, 5, 4, 2]);
    let (column, profile) = categorical(&[("a", 90), ("b", 1)], 6, false);
    assert_eq!(
        Binning::new(&column, &profile, 10).reference_counts,
        [90, 1, 5, 4, 6],
        "more was counted already"
    );
    let (column, profile) = categorical(&[("a", 90), ("b", 1)], 0, true);
    assert_eq!(
        Binning::new(&column, &profile, 10).reference_counts,
        [90, 1, 5, 4, 0],
        "nothing new can come"
    );
}

/// How many rows the most frequent of equally frequent categories have beyond what they get in the long run.
#[track_caller]
fn check_luck(categories: usize, rows: u64) {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut counts = vec![0; categories];
    for _ in 0..rows {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        counts[random as usize % categories] += 1;
    }
    counts.sort_unstable_by_key(|&count| std::cmp::Reverse(count));
    let left_out = counts.split_off(MAX_CATEGORIES);
    let share = MAX_CATEGORIES as f64 / categories as f64;
    let luck = counts.iter().sum::<u64>() as f64 - rows as f64 * share;
    let sample: Vec<u64> = left_out.iter().copied().step_by(3).collect();
    let (found, error) = by_luck(&counts, left_out.iter().sum(), &sample);
    let found = found as f64;
    assert!(
        (0.05..0.5).contains(&(error as f64 / luck)),
        "{error} of {luck}"
    );
    assert!((0.75..1.33).contains(&(found / luck)), "{found} of {luck}");
}

#[test]
fn what_luck_added_to_the_most_frequent_is_known() {
    check_luck(400, 3_000);
    check_luck(400, 30_000);
    check_luck(2_000, 20_000);
    check_luck(300, 100_000);
}

#[test]
fn unseen_categories_make_up_for_luck_and_no_more() {
    let names: Vec<String> = (0..MAX_CATEGORIES).map(|i| format!("c{i:03}")).collect();
    let counted: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 20)).collect();
    let unseen = |rows| {
        let (column, profile) = categorical(&counted, rows, false);
        let binning = Binning::new(&column, &profile, 10);
        (binning.counts(&profile), binning)
    };
    // With room for all of them each category was met 20 times: none is new.
    let (own, binning) = unseen(0);
    let last = own.len() - 1;
    assert_eq!(binning.reference_counts, own);
    // A thousand rows of others, and as many more in the window: with equal counts that may be luck.
    let (own, binning) = unseen(1_000);
    let mut beside = Vec::new();
    binning.expected.beside(&own, &mut beside);
    assert_eq!(beside, own);
    let mut window = own.clone();
    window[last] += 1_000;
    window[..last - 2].iter_mut().for_each(|count| *count -= 4);
    let share = window[last] as f64 / window.iter().sum::<u64>() as f64;
    binning.expected.beside(&window, &mut beside);
    let rows = own.iter().sum::<u64>();
    assert_eq!(beside[last], (share * rows as f64) as u64);
    assert_eq!(beside.iter().sum::<u64>(), rows);
    // 255 categories 20 times each, 85 for each count from 19 to 21: at most 1,700 rows more.
    window = vec![0; own.len()];
    window[last] = 1;
    binning.expected.beside(&window, &mut beside);
    assert_eq!(beside[last], 2_700);
}

/// All of a hundred rows are different: none is known to come again.
#[test]
fn a_sample_beside_itself_has_not_moved() {
    let names: Vec<String> = (0..100).map(|i| format!("c{i}")).collect();
    let counted: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let (column, profile) = categorical(&counted, 0, false);
    let binning = Binning::new(&column, &profile, 10);
    let own = binning.counts(&profile);
    let mut beside = Vec::new();
    binning.expected.beside(&own, &mut beside);
    assert_eq!(beside, own);
    // Half of the window's rows are new, which is no surprise: 54 of 109 rows.
    let mut half = vec![0; own.len()];
    (half[0], half[own.len() - 1]) = (20, 20);
    binning.expected.beside(&half, &mut beside);
    assert_eq!(
        (beside.iter().sum::<u64>(), beside[own.len() - 1]),
        (109, 54)
    );
    // Nothing is known of more than a hundred.
    (half[0], half[own.len() - 1]) = (0, 20);
    binning.expected.beside(&half, &mut beside);
    assert_eq!(beside, binning.reference_counts);
    assert_eq!(beside[own.len() - 1], 100);
}

#[track_caller]
fn check_moved(reference: &[u64], current: &[u64], expected: &str) {
    let labels = ["a", "b", "c"].map(str::to_owned);
    assert_eq!(what_moved(reference, current, &labels), expected);
}

#[test]
fn the_largest_change_is_named() {
    check_moved(&[10, 80, 10], &[10, 10, 80], "c: 10 % → 80 %");
    check_moved(&[0, 999_999, 1], &[5, 999_995, 0], "a: 0 % → < 0.01 %");
    check_moved(&[1, 199, 0], &[9, 191, 0], "a: 0.50 % → 4.5 %");
    check_moved(&[0, 100, 0], &[0, 0, 7], "c: 0 % → 100 %");
    check_moved(&[1, 2, 3], &[2, 4, 6], "");
    check_moved(&[0, 0, 0], &[2, 4, 6], "");
    check_moved(&[1, 0, 0], &[0, 0, 0], "");
}

proptest! {
    #[test]
    fn bins_keep_every_row(counts in prop::collection::vec(0u64..50, 1..256), bins in 1usize..20) {
        let edges: Vec<f64> = (1..counts.len()).map(|i| i as f64).collect();
        let (column, profile) = numeric(&edges, &counts);
        let binning = Binning::new(&column, &profile, bins);
        prop_assert!(binning.cell_bins <= bins);
        prop_assert!(binning.bin_of_cell.is_sorted());
        prop_assert_eq!(binning.counts(&profile).iter().sum::<u64>(), counts.iter().sum::<u64>());
        if counts.iter().any(|count| *count > 0) {
            prop_assert!(binning.counts(&profile)[..binning.cell_bins].iter().all(|count| *count > 0));
        }
    }

    #[test]
    fn good_turing_keeps_the_total(counts in prop::collection::vec(0u64..5, 0..80), unseen in 0u64..9) {
        let names: Vec<String> = (0..counts.len()).map(|i| format!("c{i}")).collect();
        let counted: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(counts.iter().copied()).collect();
        let (column, profile) = categorical(&counted, unseen, false);
        let binning = Binning::new(&column, &profile, 10);
        prop_assert_eq!(binning.reference_counts.iter().sum::<u64>(), profile.rows());
        prop_assert_eq!(binning.counts(&profile).iter().sum::<u64>(), profile.rows());
        let singletons = counts.iter().filter(|count| **count == 1).count() as u64;
        prop_assert_eq!(binning.reference_counts[binning.len() - 1], unseen.max(singletons));
    }
}
