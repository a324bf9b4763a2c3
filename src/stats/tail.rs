//! Beyond the largest draw: a generalised Pareto distribution fitted to the largest of many random draws.
//!
//! A Monte-Carlo p-value cannot fall below 1/(B + 1). Where a promise needs a level beneath that, the draws' own tail
//! is continued by the limit law of excesses (Pickands 1975), as Knijnenburg et al. (2009) do for permutation tests.
//! A result that rests on it is marked *extrapolated*, and it reaches only [`REACH`] times beneath the draws.
//!
//! The shape is not let below 0: statistics with a bounded tail are continued as if it were exponential, which errs
//! towards fewer alarms. Where the tail is too heavy to be known from so few draws there is no fit.

/// Most draws made behind one threshold.
pub const MAX_DRAWS: u32 = 50_000;
/// A fit is used down to this many times beneath 1/(draws + 1). Farther, the error of the shape is all there is.
pub const REACH: f64 = 100.0;
/// The smallest level that any number of draws made here can serve.
pub const LEAST_LEVEL: f64 = 1.0 / (REACH * (MAX_DRAWS as f64 + 1.0));
/// Largest draws that are fitted, of at least [`FEWEST_DRAWS`].
const EXCESSES: usize = 500;
/// One draw in this many is in the tail, at most.
const ONE_IN: usize = 20;
/// Fewest draws whose tail is fitted.
pub const FEWEST_DRAWS: usize = 2_000;
/// Shapes from here on have no variance: the fit would say nothing.
const HEAVIEST: f64 = 0.5;

/// The tail of a distribution known from draws: P(X > start + y) = share·(1 + shape·y/scale)^(−1/shape).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// The draw above which the tail begins.
    pub start: f64,
    /// Chance of exceeding `start`.
    pub share: f64,
    /// 0 or more; 0 where all the largest draws are one value.
    pub scale: f64,
    /// 0 (exponential) up to 1/2.
    pub shape: f64,
    /// The smallest chance that is told.
    pub least: f64,
}

impl Tail {
    /// Fits the largest of `draws`, which stand in descending order, by probability-weighted moments (Hosking and
    /// Wallis 1987). `None` with fewer than [`FEWEST_DRAWS`], with a draw that is no finite number, and where the
    /// shape is 1/2 or more.
    ///
    /// ```
    /// use driftline::stats::tail::Tail;
    /// // Exact quantiles of an exponential distribution: P(X > ln 10⁶) is one in a million.
    /// let draws: Vec<f64> = (1..=50_000).map(|i| -(f64::from(i) / 50_001.0).ln()).collect();
    /// let tail = Tail::fit(&draws).unwrap();
    /// assert!((tail.quantile(1e-6).unwrap() / 1e6_f64.ln() - 1.0).abs() < 0.02);
    /// assert_eq!(tail.quantile(1e-8), None);
    /// ```
    pub fn fit(draws: &[f64]) -> Option<Self> {
        let excesses = EXCESSES.min(draws.len() / ONE_IN);
        if draws.len() < FEWEST_DRAWS {
            return None;
        }
        let (largest, rest) = draws.split_at(excesses);
        let start = *rest.first()?;
        if !(start.is_finite() && largest.iter().all(|draw| draw.is_finite())) {
            return None;
        }
        let count = largest.len() as f64;
        // Of the excesses y: their mean, and the mean of y·(1 − F(y)), with the share of larger ones for 1 − F.
        let (mut mean, mut weighted) = (0.0, 0.0);
        for (larger, draw) in largest.iter().enumerate() {
            let excess = (draw - start).max(0.0);
            mean += excess / count;
            weighted += excess / count * (larger as f64 + 0.35) / count;
        }
        let draws = draws.len() as f64 + 1.0;
        let (scale, shape) = if mean > 0.0 {
            let shape = 2.0 - mean / (mean - 2.0 * weighted);
            if shape.is_nan() || shape >= HEAVIEST {
                return None;
            }
            // The scale that gives the mean with the shape that is used.
            let shape = shape.max(0.0);
            (mean * (1.0 - shape), shape)
        } else {
            (0.0, 0.0)
        };
        Some(Self {
            start,
            share: count / draws,
            scale,
            shape,
            least: 1.0 / (REACH * draws),
        })
    }

    /// The value that is exceeded with chance `level`; `None` for a level beneath [`Tail::least`] or above the
    /// tail's share.
    pub fn quantile(&self, level: f64) -> Option<f64> {
        if !(self.least <= level && level <= self.share) {
            return None;
        }
        let times = self.share / level;
        let beyond = if self.shape > 0.0 {
            (times.powf(self.shape) - 1.0) / self.shape
        } else {
            times.ln()
        };
        Some(self.start + self.scale * beyond)
    }

    /// The chance of exceeding `value`, not below [`Tail::least`]; `None` for a value before the tail begins.
    pub fn p_value(&self, value: f64) -> Option<f64> {
        if value <= self.start {
            return None;
        }
        let y = (value - self.start) / self.scale;
        let share = if !y.is_finite() {
            0.0
        } else if self.shape > 0.0 {
            self.share * (1.0 + self.shape * y).powf(-1.0 / self.shape)
        } else {
            self.share * (-y).exp()
        };
        Some(share.clamp(self.least, self.share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ChiSquared, ContinuousCDF, StudentsT, Uniform};

    /// Draws of a law by a fixed scatter of uniform numbers, largest first.
    fn draws(inverse: impl Fn(f64) -> f64, seed: u64, count: usize) -> Vec<f64> {
        let mut state = seed;
        let mut found: Vec<f64> = (0..count)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                inverse(((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64)
            })
            .collect();
        found.sort_by(|a, b| b.total_cmp(a));
        found
    }

    /// What the law says of the value that the fit calls exceeded with chance `level`: mean over fits, over the level.
    fn kept(law: &impl ContinuousCDF<f64, f64>, level: f64) -> f64 {
        (1..=20)
            .map(|seed| {
                let tail = Tail::fit(&draws(|u| law.inverse_cdf(u), seed, 20_000)).expect("a fit");
                law.sf(tail.quantile(level).expect("within reach")) / level / 20.0
            })
            .sum()
    }

    /// The levels here are beneath 1/20,001. A bounded or thin tail errs towards fewer alarms.
    #[test]
    fn levels_beneath_the_draws_are_kept_on_average() {
        for (degrees, least) in [(1.0, 0.3), (9.0, 0.3), (49.0, 0.1)] {
            let law = ChiSquared::new(degrees).expect("degrees");
            for level in [2e-5, 5e-6] {
                let found = kept(&law, level);
                assert!(
                    (least..2.5).contains(&found),
                    "χ² {degrees}, {level}: {found}"
                );
            }
        }
        let found = kept(&StudentsT::new(0.0, 1.0, 8.0).expect("degrees"), 1e-5);
        assert!((0.4..2.5).contains(&found), "t: {found}");
        assert!(kept(&Uniform::new(0.0, 1.0).expect("bounds"), 1e-5) < 1.0);
    }

    #[test]
    fn quantiles_and_chances_are_inverse() {
        let law = ChiSquared::new(5.0).expect("degrees");
        let tail = Tail::fit(&draws(|u| law.inverse_cdf(u), 3, 5_000)).expect("a fit");
        for level in [1e-2, 1e-4, 1e-5] {
            let value = tail.quantile(level).expect("within reach");
            let back = tail.p_value(value).expect("in the tail");
            assert!((back / level - 1.0).abs() < 1e-9, "{level} {back}");
        }
        assert_eq!(tail.quantile(1e-7), None);
        assert_eq!(tail.p_value(f64::MAX), Some(tail.least));
        assert_eq!(tail.p_value(tail.start), None);
    }

    #[test]
    fn draws_without_a_tail_have_an_answer() {
        assert_eq!(Tail::fit(&[]), None);
        assert_eq!(Tail::fit(&[1.0; 1_999]), None);
        // All draws one value: anything above it is beyond every draw.
        let flat = Tail::fit(&[0.0; 3_000]).expect("a fit");
        assert_eq!(flat.quantile(1e-5), Some(0.0));
        assert_eq!(flat.p_value(1e-9), Some(flat.least));
        assert_eq!(flat.p_value(0.0), None);
        // Cauchy's tail is heavier than its draws can tell.
        let heavy = draws(|u| (std::f64::consts::PI * (u - 0.5)).tan(), 1, 20_000);
        assert_eq!(Tail::fit(&heavy), None);
    }
}
