//! Fisher's exact test of a 2×2 table: for counts too small for χ².

use super::binomial;

/// Tables of more rows than this are left to χ²: beyond it a float does not hold every count, and nothing is gained.
const LARGEST_TOTAL: u64 = 1 << 40;
/// Tables whose chance is above the observed one's by less than this share count as equally likely: the rounding of a
/// chance is some 1e-13 of it, and chances that truly differ do so by more.
const EQUALLY_LIKELY: f64 = 1e-10;
/// Terms below this share of a sum add nothing to it.
const NEGLIGIBLE: f64 = 1e-18;

/// What the test finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fisher {
    /// ad/(bc), the sample's odds ratio. `None` where it has no bound or no value: b or c is 0.
    pub odds_ratio: Option<f64>,
    /// Two-sided: the chance of all tables with the same margins that are no more likely than this one.
    pub p_value: f64,
}

/// Of the table [[a, b], [c, d]]: rows are the samples, columns a category and the rest.
///
/// An empty row or column leaves one table only: p = 1. `None` above 2⁴⁰ rows. Discrete, and so below its nominal
/// level: 3 to 4 % of false alarms at 5 %.
/// Source: Fisher (1935); `scipy.stats.fisher_exact`.
///
/// ```
/// use driftline::stats::fisher::fisher_exact;
/// let found = fisher_exact([6, 2], [1, 4]).unwrap();
/// assert_eq!(found.odds_ratio, Some(12.0));
/// assert!((found.p_value - 0.10256410256410256).abs() < 1e-12);
/// ```
pub fn fisher_exact(reference: [u64; 2], current: [u64; 2]) -> Option<Fisher> {
    let ([a, b], [c, d]) = (reference, current);
    let all = [a, b, c, d].into_iter().try_fold(0_u64, u64::checked_add)?;
    if all > LARGEST_TOTAL {
        return None;
    }
    let odds_ratio = (b > 0 && c > 0).then(|| (a as f64 / b as f64) * (d as f64 / c as f64));
    let table = Table {
        row: (a + b) as f64,
        column: (a + c) as f64,
        all: all as f64,
    };
    Some(Fisher {
        odds_ratio,
        p_value: table.two_sided_p(a as f64),
    })
}

/// The margins; the count in the first cell is hypergeometric.
struct Table {
    row: f64,
    column: f64,
    all: f64,
}

impl Table {
    fn two_sided_p(&self, observed: f64) -> f64 {
        let (least, most) = (
            (self.row + self.column - self.all).max(0.0),
            self.row.min(self.column),
        );
        if least >= most {
            return 1.0;
        }
        let mode = ((self.row + 1.0) * ((self.column + 1.0) / (self.all + 2.0)))
            .floor()
            .clamp(least, most);
        let chance = self.chance(observed);
        let limit = chance * (1.0 + EQUALLY_LIKELY);
        let near = self.outward(observed, chance, if observed < mode { least } else { most });
        // The first table on the other side of the mode that is no more likely, by bisection: chances fall away from
        // the mode.
        let (mut inside, mut outside) = if observed < mode {
            (mode, most + 1.0)
        } else {
            (mode, least - 1.0)
        };
        if observed == mode || self.chance(inside) <= limit {
            return 1.0;
        }
        while (outside - inside).abs() > 1.0 {
            let middle = (inside + (outside - inside) / 2.0).floor();
            if self.chance(middle) > limit {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        let beyond_end = outside < least || outside > most;
        let far = if beyond_end {
            0.0
        } else {
            let end = if observed < mode { most } else { least };
            self.outward(outside, self.chance(outside), end)
        };
        (near + far).clamp(0.0, 1.0)
    }

    /// Chances added from `from`, whose own is `chance`, to `end`, away from the mode.
    fn outward(&self, from: f64, chance: f64, end: f64) -> f64 {
        let (mut sum, mut term, mut x) = (0.0, chance, from);
        loop {
            sum += term;
            if x == end || term <= sum * NEGLIGIBLE {
                return sum;
            }
            // The ratio of neighbouring chances.
            if end > from {
                term *= (self.row - x) * (self.column - x)
                    / ((x + 1.0) * (self.all - self.row - self.column + x + 1.0));
                x += 1.0;
            } else {
                term *= x * (self.all - self.row - self.column + x)
                    / ((self.row - x + 1.0) * (self.column - x + 1.0));
                x -= 1.0;
            }
        }
    }

    /// P(X = x) as three binomial probabilities, which do not cancel. Source: Loader (2000).
    fn chance(&self, x: f64) -> f64 {
        let p = self.column / self.all;
        let q = (self.all - self.column) / self.all;
        let rest = self.all - self.row;
        binomial::probability(x, self.row, p, q)
            * binomial::probability(self.column - x, rest, p, q)
            / binomial::probability(self.column, self.all, p, q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        let p = |a, b| fisher_exact(a, b).expect("a table").p_value;
        assert_eq!(p([0, 0], [0, 0]), 1.0);
        assert_eq!(p([0, 0], [3, 4]), 1.0);
        assert_eq!(p([0, 5], [0, 4]), 1.0);
        assert_eq!(fisher_exact([u64::MAX, 1], [1, 1]), None);
        assert_eq!(
            fisher_exact([5, 0], [3, 4]).expect("a table").odds_ratio,
            None
        );
        // Large tables end soon and stay in range.
        assert!(p([1 << 37, 1 << 37], [1 << 37, (1 << 37) + 5]) <= 1.0);
    }

    proptest! {
        /// Against the definition, with chances from factorials.
        #[test]
        fn small_tables_follow_the_definition(a in 0..15u64, b in 0..15u64, c in 0..15u64, d in 0..15u64) {
            let choose = |n: u64, k: u64| (0..k).fold(1.0, |x, i| x * (n - i) as f64 / (i + 1) as f64);
            let (row, column, all) = (a + b, a + c, a + b + c + d);
            let chance = |x: u64| choose(row, x) * choose(all - row, column - x) / choose(all, column);
            let expected: f64 = (0..=row.min(column))
                .filter(|&x| column - x <= all - row)
                .map(chance)
                .filter(|&p| p <= chance(a) * (1.0 + 1e-9))
                .sum();
            let found = fisher_exact([a, b], [c, d]).expect("a table").p_value;
            prop_assert!((found - expected.min(1.0)).abs() < 1e-11, "{found} {expected}");
        }
    }
}
