//! What pseudo-references and pseudo-windows are drawn from, and how the bins that a reference chose are refitted.
//!
//! **Invariant:** atoms, for what needs ranks, and bins have random numbers of their own, so that neither depends on
//! whether the other is asked for.

use rand_distr::{Binomial, Distribution};
use rand_pcg::Pcg64Mcg;

use super::evidence::Evidence;
use super::fitted::{Fitted, Unseen};
use super::redraw::{Multinomial, bring, clumps};
use crate::stats::Statistic;

/// The truth as the reference shows it.
pub(crate) struct Truth {
    /// Whether a statistic of ranks is asked for.
    pub ranked: bool,
    pub atoms: Multinomial,
    bins: Bins,
    rng: Pcg64Mcg,
}

/// How bins came about says how they are redrawn; see `fitted`.
enum Bins {
    /// Ranges of values between quantiles of the reference, which are refitted: its own counts stay.
    Fitted(Fitted),
    /// Categories: both sides are redrawn.
    Given {
        source: Multinomial,
        /// The share of unseen ones, as uncertain as it is, and as it was drawn last.
        unseen: Option<(Unseen, f64)>,
    },
}

impl Truth {
    pub fn new(evidence: &Evidence, statistics: &[Statistic], seed: u64) -> Self {
        let ranks = [Statistic::KolmogorovSmirnov, Statistic::Wasserstein];
        let bins = match evidence.fitted_cells {
            Some(cells) => Bins::Fitted(Fitted::new(&evidence.bins, cells)),
            None => {
                let mut known = evidence.bins.clone();
                if let Some(unseen) = &evidence.unseen {
                    known[unseen.place] = 0;
                }
                Bins::Given {
                    source: Multinomial::new(&known),
                    unseen: evidence.unseen.map(|unseen| (unseen, 0.0)),
                }
            }
        };
        Self {
            ranked: evidence.ranks.is_some() && statistics.iter().any(|one| ranks.contains(one)),
            atoms: Multinomial::new(evidence.atoms()),
            bins,
            rng: Pcg64Mcg::new(u128::from(seed)),
        }
    }

    /// Draws a pseudo-reference of `rows` rows by bin into `out`, and the truth behind the windows that follow. Rows
    /// count for 1/`phi` of independent ones.
    pub fn draw_reference(&mut self, phi: f64, rows: f64, out: &mut [u64]) {
        let rng = &mut self.rng;
        match &mut self.bins {
            // `out` holds the reference's own counts from the beginning.
            Bins::Fitted(fitted) => fitted.draw_truth(phi, rng),
            Bins::Given { source, unseen } => {
                let expected = unseen.map_or(0, |(unseen, _)| unseen.expected);
                let known = (rows - expected as f64).max(0.0);
                source.draw(clumps(known, phi), known, out, rng);
                if let Some((unseen, share)) = unseen {
                    *share = unseen.draw_share(phi, rng);
                    out[unseen.place] = expected;
                }
            }
        }
    }

    /// Draws a window of `rows` rows by bin.
    pub fn draw_window(&mut self, phi: f64, rows: f64, out: &mut [u64]) {
        let rng = &mut self.rng;
        let units = clumps(rows, phi);
        match &mut self.bins {
            Bins::Fitted(fitted) => fitted.draw_window(units, out, rng),
            Bins::Given { source, unseen } => {
                let new = unseen.map_or(0, |(_, share)| {
                    Binomial::new(units, share).map_or(0, |law| law.sample(rng).min(units))
                });
                let known = units - new;
                source.draw(known, known as f64, out, rng);
                if let Some((unseen, _)) = unseen {
                    out[unseen.place] = new;
                }
            }
        }
        bring(out, units, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories(bins: &[u64], unseen: Option<Unseen>) -> Evidence {
        Evidence {
            bins: bins.to_vec(),
            reference: bins.to_vec(),
            blocks: Vec::new(),
            bin_of_atom: (0..bins.len()).collect(),
            ranks: None,
            fitted_cells: None,
            unseen,
        }
    }

    #[test]
    fn unseen_categories_are_expected_by_the_reference_and_drawn_for_windows() {
        let unseen = Unseen::new(4, 20, 10, 100);
        let evidence = categories(&[50, 30, 0, 0, 20], unseen);
        let mut truth = Truth::new(&evidence, &[Statistic::Psi], 1);
        let (mut reference, mut window) = ([0; 5], [0; 5]);
        let mut mean = 0.0;
        for _ in 0..2_000 {
            truth.draw_reference(1.0, 100.0, &mut reference);
            truth.draw_window(1.0, 50.0, &mut window);
            assert_eq!((reference[4], reference.iter().sum::<u64>()), (20, 100));
            assert_eq!(window.iter().sum::<u64>(), 50);
            mean += window[4] as f64 / 2_000.0;
        }
        assert!((mean - 10.0).abs() < 0.5, "{mean}");
    }
}
