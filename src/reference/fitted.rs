//! What the reference chose for itself: bins at its own quantiles, and the share of categories that it never met.
//!
//! Numeric bins end at quantiles of the very rows they are compared with. The reference's counts are then nearly fixed,
//! and what is unknown is how much of the truth lies in each bin: spacings of order statistics, which are Dirichlet
//! with the counts as parameters (one more for the last bin, which no row of the reference closes). Drawing the truth
//! that way and a window from it is the same as refitting the edges to every pseudo-reference. For bins with many rows it
//! is the same as redrawing both sides, too; for bins of a few rows it is not: with 200 rows on both sides in 50 bins a
//! largest change of a share (L∞) of which both sides were redrawn in fixed bins spoke in 27 % of quiet windows at a
//! nominal 5 % (`driftline bench null --grid`).
//!
//! The expected share of unseen categories is Good and Turing's estimate f₁/n, whose own error is larger than that of a
//! counted share: variance (f₁ + 2·f₂ − f₁²/n)/n² with f₂ categories met twice (Esty 1983).

use rand_distr::{Distribution, Gamma};
use rand_pcg::Pcg64Mcg;

use super::redraw::binomials;

/// Truths that a reference leaves possible for bins that it chose itself.
#[derive(Debug, Clone)]
pub(crate) struct Fitted {
    /// Rows of each bin, one more for the last bin of finite values.
    rows: Vec<f64>,
    shares: Vec<f64>,
}

impl Fitted {
    /// `cells`: how many bins, the first ones, are ranges of values.
    pub fn new(counts: &[u64], cells: usize) -> Self {
        let mut rows: Vec<f64> = counts.iter().map(|&count| count as f64).collect();
        if let Some(last) = cells.checked_sub(1).and_then(|last| rows.get_mut(last)) {
            *last += 1.0;
        }
        Self {
            shares: vec![0.0; rows.len()],
            rows,
        }
    }

    /// Draws a truth. Rows count for 1/`phi` of independent ones.
    pub fn draw_truth(&mut self, phi: f64, rng: &mut Pcg64Mcg) {
        let mut sum = 0.0;
        for (share, &rows) in self.shares.iter_mut().zip(&self.rows) {
            *share = Gamma::new(rows / phi, 1.0).map_or(0.0, |gamma| gamma.sample(rng));
            sum += *share;
        }
        if sum > 0.0 {
            self.shares.iter_mut().for_each(|share| *share /= sum);
        } else {
            // No bin has a row, or all draws are too small for a float: the counts' own shares, of which none may be.
            let all = self.rows.iter().sum::<f64>().max(1.0);
            for (share, rows) in self.shares.iter_mut().zip(&self.rows) {
                *share = rows / all;
            }
        }
    }

    /// A window of `units` independent units from the last truth.
    pub fn draw_window(&self, units: u64, out: &mut [u64], rng: &mut Pcg64Mcg) {
        binomials(&self.shares, units, out, rng);
    }
}

/// The expected share of unseen categories, as uncertain as its estimate is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Unseen {
    /// The bin.
    pub place: usize,
    /// The reference's expected count.
    pub expected: u64,
    /// Shape of the gamma distribution that the share is drawn from.
    shape: f64,
    mean: f64,
}

impl Unseen {
    /// `singles` and `doubles`: categories met once and twice among `rows` rows. `None` where nothing is expected.
    pub fn new(place: usize, singles: u64, doubles: u64, rows: u64) -> Option<Self> {
        let (once, twice, n) = (singles as f64, doubles as f64, rows as f64);
        if once <= 0.0 || n <= 0.0 {
            return None;
        }
        let variance = (once + 2.0 * twice - once * once / n).max(once / n);
        Some(Self {
            place,
            expected: singles,
            shape: once * once / variance,
            mean: once / n,
        })
    }

    /// `expected` of `rows` rows were counted or are luck's, whose estimate has a standard deviation of `error` rows.
    /// `None` where nothing is expected.
    pub fn by_luck(place: usize, expected: u64, error: u64, rows: u64) -> Option<Self> {
        let (rows_expected, error, n) = (expected as f64, error as f64, rows as f64);
        if expected == 0 || n <= 0.0 {
            return None;
        }
        let variance = (rows_expected * (1.0 - rows_expected / n)).max(1.0) + error * error;
        Some(Self {
            place,
            expected,
            shape: rows_expected * rows_expected / variance,
            mean: rows_expected / n,
        })
    }

    /// A share that the estimate leaves possible; rows count for 1/`phi` of independent ones.
    pub fn draw_share(&self, phi: f64, rng: &mut Pcg64Mcg) -> f64 {
        let shape = self.shape / phi;
        Gamma::new(shape, self.mean / shape)
            .map_or(self.mean, |gamma| gamma.sample(rng))
            .clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truths_have_the_mean_and_spread_of_spacings() {
        let mut fitted = Fitted::new(&[4, 4, 4, 0], 3);
        let mut rng = Pcg64Mcg::new(3);
        let (mut sum, mut squares, draws) = ([0.0; 4], [0.0; 4], 20_000);
        for _ in 0..draws {
            fitted.draw_truth(1.0, &mut rng);
            assert!((fitted.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for (at, share) in fitted.shares.iter().enumerate() {
                sum[at] += share / f64::from(draws);
                squares[at] += share * share / f64::from(draws);
            }
        }
        // Dirichlet(4, 4, 5): means 4/13 and 5/13, variance 4·9/(13²·14) of the first.
        assert!((sum[0] - 4.0 / 13.0).abs() < 0.004 && (sum[2] - 5.0 / 13.0).abs() < 0.004);
        assert!((squares[0] - sum[0] * sum[0] - 36.0 / (169.0 * 14.0)).abs() < 0.001);
        assert_eq!(sum[3], 0.0);
    }

    #[test]
    fn nothing_to_draw_from_is_no_trouble() {
        let mut rng = Pcg64Mcg::new(3);
        for mut fitted in [Fitted::new(&[], 0), Fitted::new(&[0, 0], 0)] {
            fitted.draw_truth(1.0, &mut rng);
            let mut out = [0; 2];
            fitted.draw_window(7, &mut out, &mut rng);
            assert!(fitted.shares.iter().all(|share| share.is_finite()));
        }
        assert_eq!(Unseen::new(0, 0, 5, 100), None);
        assert_eq!(Unseen::by_luck(0, 0, 5, 100), None);
    }

    #[test]
    fn what_is_by_luck_is_as_uncertain_as_its_estimate() {
        let mut rng = Pcg64Mcg::new(9);
        let spread = |error: u64, rng: &mut Pcg64Mcg| {
            let unseen = Unseen::by_luck(0, 600, error, 1_000).expect("some are expected");
            let squares = (0..4_000).map(|_| (unseen.draw_share(1.0, rng) - 0.6).powi(2));
            (squares.sum::<f64>() / 4_000.0).sqrt()
        };
        // √(1,000·0.6·0.4) is 15.5 rows; with 50 more it is 52.3.
        assert!((spread(0, &mut rng) - 0.0155).abs() < 0.001);
        assert!((spread(50, &mut rng) - 0.0523).abs() < 0.003);
    }

    /// Drawn shares against many references of 100 categories: the estimate less the truth has the drawn spread.
    #[test]
    fn the_unseen_share_is_as_uncertain_as_it_is() {
        let mut rng = Pcg64Mcg::new(9);
        let shares: Vec<f64> = (1..=100)
            .map(|k| 1.0 / f64::from(k) / 5.187_377_5)
            .collect();
        let (mut errors, mut drawn, cases) = (0.0, 0.0, 400);
        for _ in 0..cases {
            let mut counts = [0; 100];
            binomials(&shares, 200, &mut counts, &mut rng);
            let met = |times: u64| counts.iter().filter(|count| **count == times).count() as u64;
            let truth: f64 = shares
                .iter()
                .zip(counts)
                .filter(|(_, c)| *c == 0)
                .map(|(s, _)| s)
                .sum();
            let unseen = Unseen::new(0, met(1), met(2), 200).expect("singles");
            errors += (met(1) as f64 / 200.0 - truth).powi(2) / f64::from(cases);
            drawn += (unseen.draw_share(1.0, &mut rng) - unseen.mean).powi(2) / f64::from(cases);
        }
        assert!((drawn / errors - 1.0).abs() < 0.35, "{drawn} {errors}");
    }
}
