//! Early stopping: as many random draws as a p-value needs, and no more.
//!
//! A window in which nothing has changed is seen to be quiet after a few hundred draws; only what looks like drift
//! needs them all. Drawing ends for a statistic when *h* draws are at least as large as its value; the p-value is then
//! h/L after L draws, else (1 + exceedances)/(B + 1) after all B (Besag and Clifford, *Sequential Monte Carlo
//! p-values*, 1991). Both are valid: under no drift a p-value of at most α comes with chance at most α. h is larger than
//! B·level, so that a value that stops early is never significant, and no value stops before the draws can show a
//! threshold.

use crate::stats::tail::{FEWEST_DRAWS, Tail};

/// Fewest exceedances that end the drawing: the p-value's relative error is then below a quarter.
const FEWEST_EXCEEDANCES: u32 = 20;
/// Draws expected above a threshold before drawing may end.
const DRAWS_ABOVE: f64 = 5.0;
/// Draws this close to the value, relatively, equal it: sums in another order differ in their last digits.
const SAME: f64 = 1e-12;

/// Values under test, with the draws made for each.
#[derive(Debug)]
pub(crate) struct Sequential {
    level: f64,
    most: u32,
    fewest: u32,
    exceedances: u32,
    values: Vec<Under>,
}

#[derive(Debug)]
struct Under {
    value: f64,
    draws: Vec<f64>,
    at_least: u32,
    p_value: Option<f64>,
}

/// What the draws say of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Drawn {
    pub p_value: f64,
    pub threshold: Option<f64>,
    pub draws: u32,
    pub extrapolated: bool,
}

impl Sequential {
    pub fn new(values: &[f64], level: f64, most: u32) -> Self {
        let most = most.max(1);
        let within = (level * (f64::from(most) + 1.0)).floor() as u32;
        Self {
            level,
            most,
            fewest: (DRAWS_ABOVE / level).ceil().min(f64::from(most)) as u32,
            exceedances: FEWEST_EXCEEDANCES.max(within.saturating_add(1)),
            values: values
                .iter()
                .map(|&value| Under {
                    value,
                    draws: Vec::new(),
                    at_least: 0,
                    // There is no place among draws for what is no number: nothing is claimed of it.
                    p_value: if value.is_finite() { None } else { Some(1.0) },
                })
                .collect(),
        }
    }

    /// Whether another draw is needed for any value.
    pub fn open(&self) -> bool {
        self.values.iter().any(|value| value.p_value.is_none())
    }

    /// Hands a draw to every value that needs one: `draw(i)` is the statistic of value `i` in one pseudo-sample.
    pub fn take(&mut self, mut draw: impl FnMut(usize) -> f64) {
        let (fewest, most, exceedances) = (self.fewest, self.most, self.exceedances);
        for (place, under) in self.values.iter_mut().enumerate() {
            if under.p_value.is_some() {
                continue;
            }
            let drawn = draw(place);
            // What is no number counts as large: it must not make a value look rare.
            let drawn = if drawn.is_nan() { f64::MAX } else { drawn };
            under.draws.push(drawn);
            let large = drawn >= under.value - SAME * under.value.abs();
            under.at_least += u32::from(large);
            let made = under.draws.len() as u32;
            let (at_least, all) = (f64::from(under.at_least), f64::from(made));
            if made >= fewest && under.at_least >= exceedances && made < most {
                let whole = made == fewest;
                under.p_value = Some(if whole {
                    (at_least + 1.0) / (all + 1.0)
                } else {
                    at_least / all
                });
            } else if made >= most {
                under.p_value = Some((at_least + 1.0) / (all + 1.0));
            }
        }
    }

    pub fn finish(self) -> Vec<Drawn> {
        let level = self.level;
        self.values
            .into_iter()
            .map(|under| under.finish(level))
            .collect()
    }
}

impl Under {
    fn finish(mut self, level: f64) -> Drawn {
        let p_value = self.p_value.unwrap_or(1.0);
        self.draws.sort_by(|a, b| b.total_cmp(a));
        let made = self.draws.len() as u32;
        let rank = (level * (f64::from(made) + 1.0) + 1e-9).floor() as usize;
        let mut found = Drawn {
            p_value,
            threshold: rank
                .checked_sub(1)
                .and_then(|at| self.draws.get(at).copied()),
            draws: made,
            extrapolated: false,
        };
        if rank == 0
            && self.draws.len() >= FEWEST_DRAWS
            && let Some(tail) = Tail::fit(&self.draws)
            && let Some(threshold) = tail.quantile(level)
        {
            found.threshold = Some(threshold);
            found.p_value = tail.p_value(self.value).unwrap_or(p_value);
            found.extrapolated = true;
        }
        // A value that draws equal but for rounding is not above them.
        if found.p_value > level && self.value.is_finite() {
            found.threshold = found.threshold.map(|threshold| threshold.max(self.value));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::redraw::uniform;
    use rand_pcg::Pcg64Mcg;

    fn run(value: f64, level: f64, most: u32, rng: &mut Pcg64Mcg) -> Drawn {
        let mut sequential = Sequential::new(&[value], level, most);
        while sequential.open() {
            sequential.take(|_| uniform(rng));
        }
        sequential.finish()[0]
    }

    #[test]
    fn quiet_values_stop_early_and_loud_ones_do_not() {
        let rng = &mut Pcg64Mcg::new(1);
        let quiet = run(0.4, 0.01, 2_000, rng);
        assert_eq!(quiet.draws, 500);
        assert!((quiet.p_value - 0.6).abs() < 0.08, "{quiet:?}");
        let loud = run(0.9995, 0.01, 2_000, rng);
        assert_eq!(loud.draws, 2_000);
        assert!(loud.p_value < 0.003 && loud.threshold.is_some_and(|t| (t - 0.99).abs() < 0.006));
    }

    /// Under no drift value and draws are of one law: p ≤ α must come in at most a share α of cases, for every α.
    #[test]
    fn p_values_are_valid_at_every_level() {
        let rng = &mut Pcg64Mcg::new(2);
        let cases = 20_000;
        let found: Vec<Drawn> = (0..cases)
            .map(|_| {
                let value = uniform(rng);
                run(value, 0.05, 300, rng)
            })
            .collect();
        for alpha in [0.004, 0.01, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8] {
            let share = found.iter().filter(|drawn| drawn.p_value <= alpha).count() as f64;
            let share = share / f64::from(cases);
            let error = (alpha * (1.0 - alpha) / f64::from(cases)).sqrt();
            assert!(share <= alpha + 4.0 * error, "{alpha}: {share}");
            assert!(share >= 0.7 * alpha - 4.0 * error, "{alpha}: {share}");
        }
    }

    #[test]
    fn above_the_threshold_and_p_below_the_level_are_one_statement() {
        let rng = &mut Pcg64Mcg::new(3);
        for level in [0.3, 0.05, 0.01, 1e-4] {
            for _ in 0..200 {
                let value = uniform(rng).sqrt();
                let found = run(value, level, 2_000, rng);
                let threshold = found.threshold.expect("within reach");
                assert_eq!(
                    value > threshold,
                    found.p_value <= level,
                    "{value} {found:?}"
                );
                assert_eq!(found.extrapolated, level < 1.0 / 2_001.0);
            }
        }
    }

    #[test]
    fn values_that_are_no_numbers_and_levels_out_of_reach_claim_nothing() {
        let rng = &mut Pcg64Mcg::new(4);
        assert_eq!(run(f64::NAN, 0.05, 100, rng).p_value, 1.0);
        assert_eq!(run(2.0, 0.001, 100, rng).threshold, None);
        assert_eq!(run(2.0, 1e-9, 2_000, rng).threshold, None);
        let mut nothing = Sequential::new(&[], 0.05, 100);
        nothing.take(|_| 0.0);
        assert!(!nothing.open() && nothing.finish().is_empty());
    }
}
