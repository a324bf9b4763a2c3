//! From a promised rate of false alarms to the level of a single test, and back.
//!
//! Windows share one reference, so their false alarms come in runs: whatever the reference got wrong, every window
//! sees. With as many rows in the reference as in a window, "3 of 5" at 5 % is met nine times as often as five
//! independent windows would meet it. Both directions here go through a model of that sharing: reference and
//! windows are Gaussian around one truth, with the reference's error smaller by its size, and with the common scale
//! known only as well as the blocks tell it. Given the reference and the scale, windows are independent, so the chance
//! of k of n is a binomial tail; it is averaged over references by quantiles, without random numbers.
//!
//! By linearity expected numbers of false alarms add up over columns and windows under any dependence.

use statrs::distribution::{Beta, ChiSquared, ContinuousCDF};
use statrs::function::gamma::{gamma_ur, ln_gamma};

use crate::event::{Millis, WEEK};
use crate::stats::score::FalseAlarms;

/// No level is above this, however generous the budget: a larger one would call drift what is seen in one quiet
/// window of twenty.
pub const MAX_LEVEL: f64 = 0.05;
/// Degrees of freedom when the column is not known yet: ten bins.
const TYPICAL_DEGREES: f64 = 9.0;
/// Midpoints of equal probability that stand for the references that could have been drawn.
const REFERENCES: usize = 64;
/// Midpoints that stand for the scales that the blocks leave possible.
const SCALES: usize = 16;
/// Halvings of a bisection: to 2⁻⁶⁰ of the first interval.
const HALVINGS: usize = 60;

/// What a rule promises and what it tests.
#[derive(Debug, Clone, PartialEq)]
pub struct TestBudget {
    /// Expected false alarms of the rule in each `per`.
    pub false_alarms: f64,
    pub per: Millis,
    /// Columns that the rule watches with one statistic each.
    pub columns: usize,
    /// Distance of windows.
    pub every: Millis,
    /// The rule's "for: k of n".
    pub for_k: u32,
    pub for_n: u32,
    /// How many windows' rows the reference holds: its number of blocks.
    pub reference_windows: f64,
}

/// The level at which each window of each column is to be tested, so that the rule's expected false alarms stay
/// within its budget: in (0, [`MAX_LEVEL`]]. An alarm counts in each window in which "k of n" is met, which bounds
/// the number of episodes from above. A budget of 0 or less gives the smallest positive level, which no number of
/// draws can serve: such a rule says so instead of alarming.
///
/// ```
/// use driftline::event::{DAY, WEEK};
/// use driftline::reference::{TestBudget, level_for};
/// let budget = TestBudget {
///     false_alarms: 1.0, per: 30 * DAY, columns: 13, every: WEEK, for_k: 1, for_n: 1, reference_windows: 9.0,
/// };
/// // 13 columns × 30/7 windows: 55.7 tests for one false alarm.
/// assert!((level_for(&budget) - 7.0 / (13.0 * 30.0)).abs() < 1e-12);
/// ```
pub fn level_for(budget: &TestBudget) -> f64 {
    let tests =
        budget.columns.max(1) as f64 * (budget.per.max(1) as f64 / budget.every.max(1) as f64);
    let chance = budget.false_alarms / tests;
    if chance.is_nan() || chance <= 0.0 {
        return f64::MIN_POSITIVE;
    }
    let (k, n) = checked(budget.for_k, budget.for_n);
    if n == 1 || chance >= 1.0 {
        return chance.min(MAX_LEVEL);
    }
    let blocks = if budget.reference_windows.is_finite() {
        budget.reference_windows.max(1.0)
    } else {
        1.0
    };
    let sharing = Sharing::new(
        TYPICAL_DEGREES,
        blocks,
        (blocks >= 2.0).then_some(blocks - 1.0),
    );
    // More alarms with a lower threshold: halve between "always" and "never".
    let cut = bisect(|cut| sharing.mean(cut, |q| at_least(k, n, q)) > chance);
    sharing.mean(cut, |q| q).clamp(f64::MIN_POSITIVE, MAX_LEVEL)
}

/// Expected false alarms a week of one column tested at `level`, mean and 90th percentile over references.
/// `ratio` is the reference's rows over the window's, `degrees` the column's free bins, `scale_degrees` the degrees of
/// freedom with which the blocks know the scale (`None`: known).
pub(crate) fn false_alarms(
    level: f64,
    (k, n): (u32, u32),
    every: Millis,
    ratio: f64,
    degrees: f64,
    scale_degrees: Option<f64>,
) -> FalseAlarms {
    let (k, n) = checked(k, n);
    let sharing = Sharing::new(degrees, ratio, scale_degrees);
    let cut = bisect(|cut| sharing.mean(cut, |q| q) > level);
    let chances = sharing
        .states
        .iter()
        .map(|state| at_least(k, n, state.exceeds(cut, sharing.degrees)))
        .collect();
    per_week(chances, every)
}

/// The same where the threshold is the `rank`-th largest (from 1) of `blocks` exchangeable scores: the chance that
/// one more exceeds it is then Beta(rank, blocks + 1 − rank).
pub(crate) fn false_alarms_of_rank(
    rank: usize,
    blocks: usize,
    (k, n): (u32, u32),
    every: Millis,
) -> FalseAlarms {
    let (k, n) = checked(k, n);
    let Ok(beta) = Beta::new(
        rank.max(1) as f64,
        (blocks + 1).saturating_sub(rank).max(1) as f64,
    ) else {
        return FalseAlarms {
            mean: 0.0,
            p90: 0.0,
        };
    };
    per_week(
        midpoints(REFERENCES)
            .map(|u| at_least(k, n, beta.inverse_cdf(u)))
            .collect(),
        every,
    )
}

fn per_week(mut chances: Vec<f64>, every: Millis) -> FalseAlarms {
    let windows = WEEK as f64 / every.max(1) as f64;
    chances.sort_by(f64::total_cmp);
    let mean = chances.iter().sum::<f64>() / chances.len().max(1) as f64;
    let p90 = chances.get(chances.len() * 9 / 10).copied().unwrap_or(0.0);
    FalseAlarms {
        mean: mean * windows,
        p90: p90 * windows,
    }
}

fn checked(k: u32, n: u32) -> (u32, u32) {
    let n = n.max(1);
    (k.clamp(1, n), n)
}

/// The references and scales that could have been, all equally likely.
struct Sharing {
    degrees: f64,
    states: Vec<State>,
}

#[derive(Clone, Copy)]
struct State {
    /// Squared error of the reference, in units of a window's variance.
    error: f64,
    /// True variance over estimated variance.
    scale: f64,
}

impl Sharing {
    fn new(degrees: f64, ratio: f64, scale_degrees: Option<f64>) -> Self {
        let degrees = degrees.max(1.0);
        // A reference of a thousandth of a window has nothing to say; the bound keeps the series short.
        let ratio = if ratio.is_finite() {
            ratio.max(0.05)
        } else {
            f64::MAX
        };
        let quantile = |degrees: f64, u: f64| {
            ChiSquared::new(degrees).map_or(degrees, |chi| chi.inverse_cdf(u))
        };
        let scales: Vec<f64> = match scale_degrees {
            Some(known) if known > 0.0 && known.is_finite() => midpoints(SCALES)
                .map(|u| known / quantile(known, u).max(f64::MIN_POSITIVE))
                .collect(),
            _ => vec![1.0],
        };
        let states = midpoints(REFERENCES)
            .flat_map(|u| scales.iter().map(move |&scale| (u, scale)))
            .map(|(u, scale)| State {
                error: quantile(degrees, u) / ratio,
                scale,
            })
            .collect();
        Self { degrees, states }
    }

    fn mean(&self, cut: f64, of: impl Fn(f64) -> f64) -> f64 {
        self.states
            .iter()
            .map(|state| of(state.exceeds(cut, self.degrees)))
            .sum::<f64>()
            / self.states.len() as f64
    }
}

impl State {
    /// Chance that a window's score, a noncentral χ² in units of its variance, exceeds `cut`.
    fn exceeds(&self, cut: f64, degrees: f64) -> f64 {
        noncentral_tail(cut / self.scale, degrees, self.error)
    }
}

/// P(noncentral χ² ≥ x): a Poisson mixture of central tails, each from the one before.
fn noncentral_tail(x: f64, degrees: f64, noncentrality: f64) -> f64 {
    let (half, mean, shape) = (x / 2.0, noncentrality / 2.0, degrees / 2.0);
    if half <= 0.0 {
        return 1.0;
    }
    let mut tail = gamma_ur(shape, half);
    let mut step = (shape * half.ln() - half - ln_gamma(shape + 1.0)).exp();
    let mut weight = (-mean).exp();
    let (mut sum, mut used, mut j) = (weight * tail, weight, 0.0);
    // Beyond twelve standard deviations of the Poisson count no weight is left.
    let last = mean + 12.0 * mean.sqrt() + 30.0;
    while used < 1.0 - 1e-13 && j < last {
        tail = (tail + step).min(1.0);
        j += 1.0;
        step *= half / (shape + j);
        weight *= mean / j;
        used += weight;
        sum += weight * tail;
    }
    sum.clamp(0.0, 1.0)
}

/// P(at least `k` of `n` independent windows exceed) when each does with chance `q`.
fn at_least(k: u32, n: u32, q: f64) -> f64 {
    let q = q.clamp(0.0, 1.0);
    if q >= 1.0 {
        return 1.0;
    }
    let mut term = 1.0;
    for i in 0..k {
        term *= f64::from(n - i) / f64::from(i + 1) * q;
    }
    term *= (1.0 - q).powi(i32::try_from(n - k).unwrap_or(i32::MAX));
    let mut sum = term;
    for i in k..n {
        term *= f64::from(n - i) / f64::from(i + 1) * (q / (1.0 - q));
        sum += term;
    }
    sum.clamp(0.0, 1.0)
}

fn midpoints(count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |i| (i as f64 + 0.5) / count as f64)
}

/// The point in (0, ∞) up to which `low` holds.
fn bisect(low: impl Fn(f64) -> bool) -> f64 {
    let (mut from, mut to) = (0.0, 1.0);
    while low(to) && to < 1e12 {
        from = to;
        to *= 2.0;
    }
    for _ in 0..HALVINGS {
        let middle = (from + to) / 2.0;
        if low(middle) {
            from = middle
        } else {
            to = middle
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DAY, HOUR};
    use proptest::prelude::*;

    #[test]
    fn binomial_tails() {
        assert!((at_least(3, 5, 0.05) - 0.001_158_125).abs() < 1e-9);
        assert_eq!(at_least(1, 1, 0.3), 0.3);
        assert_eq!(at_least(2, 2, 1.0), 1.0);
        assert_eq!(at_least(1, 3, 0.0), 0.0);
    }

    #[test]
    fn noncentral_tails_agree_with_scipy() {
        // scipy.stats.ncx2.sf(x, degrees, noncentrality)
        for (x, degrees, noncentrality, tail) in [
            (20.0, 9.0, 3.0, 0.085_584_6),
            (5.0, 1.0, 0.5, 0.064_761_4),
            (40.0, 9.0, 30.0, 0.434_137_6),
        ] {
            let found = noncentral_tail(x, degrees, noncentrality);
            assert!(
                (found - tail).abs() < 1e-6,
                "{x} {degrees} {noncentrality}: {found}"
            );
        }
    }

    /// With as many rows in the reference as in a window, "3 of 5" at 5 % is met in 1.0 % of windows (10 bins and
    /// 1000 rows a side, 8000 simulated references: 1.03 %), not in the 0.12 % of independence.
    #[test]
    fn a_shared_reference_makes_runs() {
        let rate = false_alarms(0.05, (3, 5), WEEK, 1.0, 9.0, None);
        assert!((rate.mean - 0.0103).abs() < 0.001, "{rate:?}");
        assert!(rate.p90 > rate.mean);
        let large = false_alarms(0.05, (3, 5), WEEK, 1000.0, 9.0, None);
        assert!((large.mean - 0.00116).abs() < 0.0002, "{large:?}");
    }

    #[test]
    fn ranks_of_blocks_have_the_level_on_average() {
        let rate = false_alarms_of_rank(1, 19, (1, 1), WEEK);
        assert!((rate.mean - 0.05).abs() < 0.002, "{rate:?}");
    }

    fn budget(k: u32, n: u32, windows: f64) -> TestBudget {
        TestBudget {
            false_alarms: 1.0,
            per: 30 * DAY,
            columns: 50,
            every: HOUR,
            for_k: k,
            for_n: n,
            reference_windows: windows,
        }
    }

    #[test]
    fn more_patience_allows_a_higher_level() {
        let one = level_for(&budget(1, 1, 720.0));
        let three = level_for(&budget(3, 5, 720.0));
        assert!((one - 1.0 / 36_000.0).abs() < 1e-9);
        assert!(three > 20.0 * one, "{three}");
        assert!(level_for(&budget(3, 5, 2.0)) < three);
    }

    #[test]
    fn budgets_of_nothing_and_of_everything_have_levels() {
        let with = |false_alarms| {
            level_for(&TestBudget {
                false_alarms,
                ..budget(2, 3, 9.0)
            })
        };
        assert_eq!(with(0.0), f64::MIN_POSITIVE);
        assert_eq!(with(f64::NAN), f64::MIN_POSITIVE);
        assert_eq!(with(1e9), MAX_LEVEL);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// The level and the rate are inverse to each other.
        #[test]
        fn the_level_keeps_the_budget(k in 1..4u32, extra in 0..3u32, windows in 1.0..200.0f64, fa in 0.01..10.0f64) {
            let budget = TestBudget { false_alarms: fa, ..budget(k, k + extra, windows) };
            let level = level_for(&budget);
            prop_assert!(level > 0.0 && level <= MAX_LEVEL);
            let scale = (windows >= 2.0).then_some(windows - 1.0);
            let rate = false_alarms(level, (k, k + extra), HOUR, windows, TYPICAL_DEGREES, scale);
            let promised = fa / 50.0 * 7.0 / 30.0;
            prop_assert!(rate.mean <= promised * 1.02 + 1e-12, "{} {promised} {level}", rate.mean);
        }
    }
}
