//! The promise on made-up rows, in short: no threshold speaks more often than it says, whatever the sizes. The whole
//! grid is `driftline bench null --grid`.

use driftline::cli::bench::dependent::{Dependence, LEVEL, dependent, discoveries};
use driftline::cli::bench::grid::{Case, Grid, Larger};
use driftline::cli::bench::made_up::Kind;
use driftline::stats::Statistic;

const SEED: u64 = 20_130_101;

/// Cells in which few rows meet many bins or categories: there fixed bins, closed forms and redrawing one side fail.
fn hard_cells() -> Vec<Case> {
    let case = |kind, times, bins| Case {
        kind,
        window: 200,
        times,
        larger: Larger::Reference,
        bins,
    };
    vec![
        case(Kind::Numbers, 1, 10),
        case(Kind::Numbers, 1, 50),
        case(Kind::Numbers, 5, 20),
        case(Kind::Categories(2), 20, 10),
        case(Kind::Categories(50), 5, 10),
        case(Kind::Categories(100), 1, 10),
    ]
}

#[test]
fn no_threshold_speaks_more_often_than_it_says() {
    let grid = Grid::run(&hard_cells(), 100, SEED).expect("made-up rows can be counted");
    assert!(grid.shares.len() > 150, "{}", grid.shares.len());
    assert!(
        grid.above().is_empty(),
        "{:?}\n{}",
        grid.above(),
        grid.summary()
    );
    assert!(
        grid.below().is_empty(),
        "{:?}\n{}",
        grid.below(),
        grid.summary()
    );
}

#[test]
fn of_fifty_columns_no_more_are_called_falsely_than_promised() {
    // A promise is empty where nothing is ever called: L∞ looks at one bin and sees less of a shift than PSI does.
    for (statistic, least) in [(Statistic::Psi, 0.3), (Statistic::LInfinity, 0.1)] {
        let found = discoveries(statistic, 20, SEED);
        assert!(!found.above(), "{statistic:?} {found:?}");
        assert!(found.found > least, "{statistic:?} {found:?}");
    }
}

/// Rows that depend on their neighbours or their day: the null of whole windows keeps its level, that of independent rows
/// speaks in most quiet windows.
#[test]
fn whole_windows_keep_the_level_where_independent_rows_fail() {
    for dependence in [Dependence::Neighbours(0.9), Dependence::Days(0.3)] {
        let found = dependent(dependence, Statistic::Psi, 40, SEED).expect("made-up rows");
        assert!(!found.above(), "{dependence:?} {found:?}");
        let share = f64::from(found.independent_rows) / f64::from(found.replicates);
        assert!(share > 4.0 * LEVEL, "{dependence:?} {found:?}");
    }
}
