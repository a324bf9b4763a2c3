//! Shuffling: which rows of two samples are the reference's and which the window's, drawn anew.
//!
//! Under no drift with independent rows the pooled rows could have been labelled in any way; keeping the pooled rows
//! and redrawing the labels makes a null that is exact for every sample size, however sparse or tied. Counts are drawn
//! as tables with the given margins (multivariate hypergeometric), so that no row is touched.
//!
//! **Invariant:** a draw is a function of the generator's state and of integer counts.

use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;
use statrs::function::factorial;

use super::redraw::{below, uniform};

/// Bins of so few pooled rows are drawn row by row.
const ROW_BY_ROW: u64 = 16;
/// From this variance on a count is drawn as a rounded normal: one step of the count is then a ten-thousandth of its
/// deviation, and walking from the mode would take longer than anybody waits.
const NORMAL_FROM: f64 = 1e8;

/// Draws `current` from the pooled counts without replacement, `rows` of them; what is left is the reference's.
pub(crate) fn table(
    pooled: &[u64],
    rows: u64,
    reference: &mut [u64],
    current: &mut [u64],
    rng: &mut Pcg64Mcg,
) {
    let mut left: u64 = pooled
        .iter()
        .fold(0, |sum, &count| sum.saturating_add(count));
    let mut wanted = rows.min(left);
    for ((&count, reference), current) in pooled.iter().zip(reference).zip(current) {
        let mine = hypergeometric(left, count, wanted, rng);
        *current = mine;
        *reference = count - mine;
        left = left.saturating_sub(count);
        wanted -= mine;
    }
}

/// How many of `marked` among `all` rows are among `drawn` of them.
fn hypergeometric(all: u64, marked: u64, drawn: u64, rng: &mut Pcg64Mcg) -> u64 {
    // Counts near 2⁶⁴ may add up to less than their parts.
    let (marked, drawn) = (marked.min(all), drawn.min(all));
    let least = marked.saturating_sub(all - drawn);
    let most = marked.min(drawn);
    if least >= most {
        return most;
    }
    if marked <= ROW_BY_ROW {
        let (mut rows, mut wanted) = (all, drawn);
        for _ in 0..marked {
            if below(rng, rows as usize) < wanted as usize {
                wanted -= 1;
            }
            rows -= 1;
        }
        return drawn - wanted;
    }
    let (n, k, d) = (all as f64, marked as f64, drawn as f64);
    let mean = d * (k / n);
    let variance = mean * (1.0 - k / n) * ((n - d) / (n - 1.0));
    if variance >= NORMAL_FROM {
        let normal: f64 = StandardNormal.sample(rng);
        return ((mean + variance.sqrt() * normal).round().max(0.0) as u64).clamp(least, most);
    }
    // Inversion from the mode outwards, the likelier side first.
    let mode = ((((d + 1.0) * ((k + 1.0) / (n + 2.0))).floor() as u64).max(least)).min(most);
    let choose = |n: f64, k: f64| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let at = mode as f64;
    let peak = (choose(k, at) + choose(n - k, d - at) - choose(n, d)).exp();
    let mut u = uniform(rng) - peak;
    let (mut low, mut high) = (mode, mode);
    let (mut below, mut above) = (peak, peak);
    while u >= 0.0 && (low > least || high < most) {
        let down = if low > least {
            let x = low as f64;
            below * (x * (n - k - d + x)) / ((k - x + 1.0) * (d - x + 1.0))
        } else {
            0.0
        };
        let up = if high < most {
            let x = high as f64;
            above * ((k - x) * (d - x)) / ((x + 1.0) * (n - k - d + x + 1.0))
        } else {
            0.0
        };
        // Rounding of the peak can leave a rest of u that no count is left for.
        if down <= 0.0 && up <= 0.0 {
            return mode;
        }
        if down >= up {
            (low, below) = (low - 1, down);
            u -= down;
            if u < 0.0 {
                return low;
            }
        } else {
            (high, above) = (high + 1, up);
            u -= up;
            if u < 0.0 {
                return high;
            }
        }
    }
    mode
}

/// ln n! of a whole number: from a table, or by Stirling's series, whose next term is below 10⁻¹⁸ there.
fn ln_factorial(n: f64) -> f64 {
    if n < TABLE {
        return factorial::ln_factorial(n as u64);
    }
    let inverse = 1.0 / n;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0));
    (n + 0.5) * n.ln() - n + LN_ROOT_TAU + series
}

/// From here on the series serves.
const TABLE: f64 = 170.0;
/// ½ ln 2π.
const LN_ROOT_TAU: f64 = 0.918_938_533_204_672_8;

/// Labels of pooled rows, drawn anew again and again.
#[derive(Debug)]
pub(crate) struct Labels {
    order: Vec<usize>,
    current_rows: usize,
    /// Whether each pooled row is the window's.
    pub labels: Vec<bool>,
}

impl Labels {
    pub fn new(reference_rows: usize, current_rows: usize) -> Self {
        let rows = reference_rows + current_rows;
        Self {
            order: (0..rows).collect(),
            current_rows,
            labels: vec![false; rows],
        }
    }

    /// Every choice of the window's rows is equally likely, whatever was drawn before.
    pub fn shuffle(&mut self, rng: &mut Pcg64Mcg) {
        let rows = self.order.len();
        // The smaller side is chosen, by the first steps of Fisher and Yates; the other is what remains.
        let chosen_is_current = self.current_rows <= rows - self.current_rows;
        let choose = self.current_rows.min(rows - self.current_rows);
        self.labels.fill(!chosen_is_current);
        for at in 0..choose {
            let with = at + below(rng, rows - at);
            self.order.swap(at, with);
            self.labels[self.order[at]] = chosen_is_current;
        }
    }
}

#[cfg(test)]
mod tests {
    use statrs::function::gamma::ln_gamma;

    use super::*;

    #[test]
    fn logarithms_of_factorials_are_those_of_the_gamma_function() {
        for n in (0..2_000_u64).chain([12_345, 1 << 20, 1 << 40]) {
            let (n, exact) = (n as f64, ln_gamma(n as f64 + 1.0));
            assert!(
                (ln_factorial(n) - exact).abs() <= 1e-13 * exact.max(1.0),
                "{n}"
            );
        }
    }

    /// Mean and variance of many draws against the distribution's own.
    #[track_caller]
    fn check(all: u64, marked: u64, drawn: u64) {
        let mut rng = Pcg64Mcg::new(11);
        let draws = 20_000;
        let found: Vec<f64> = (0..draws)
            .map(|_| hypergeometric(all, marked, drawn, &mut rng) as f64)
            .collect();
        let mean = found.iter().sum::<f64>() / f64::from(draws);
        let variance = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(draws);
        let (n, k, d) = (all as f64, marked as f64, drawn as f64);
        let expect = d * k / n;
        let spread = expect * (1.0 - k / n) * (n - d) / (n - 1.0);
        assert!(
            (mean - expect).abs() < 5.0 * (spread / f64::from(draws)).sqrt(),
            "{mean} {expect}"
        );
        assert!(
            (variance / spread - 1.0).abs() < 0.06,
            "{variance} {spread}"
        );
    }

    #[test]
    fn counts_have_the_mean_and_variance_of_drawing_without_replacement() {
        check(400, 9, 200);
        check(400, 60, 200);
        check(2_000, 1_500, 1_900);
        check(21_000, 400, 1_000);
        check(4_000_000, 1_300_000, 2_000_000);
        check(20_000_000_000, 8_000_000_000, 5_000_000_000);
    }

    /// 6 of 12 rows, 4 of them marked: C(4,k)·C(8,6−k)/C(12,6). The same by walking, with 17 rows.
    #[test]
    fn counts_have_the_exact_chances() {
        let choose = |n: u64, k: u64| (0..k).fold(1.0, |c, i| c * (n - i) as f64 / (i + 1) as f64);
        let mut rng = Pcg64Mcg::new(5);
        for (all, marked, drawn) in [(12_u64, 4_u64, 6_u64), (40, 17, 9)] {
            let mut seen = vec![0_u32; marked.min(drawn) as usize + 1];
            for _ in 0..40_000 {
                seen[hypergeometric(all, marked, drawn, &mut rng) as usize] += 1;
            }
            for (k, &count) in (0..).zip(&seen) {
                let chance =
                    choose(marked, k) * choose(all - marked, drawn - k) / choose(all, drawn);
                let error = (chance * (1.0 - chance) / 40_000.0).sqrt();
                assert!(
                    (f64::from(count) / 40_000.0 - chance).abs() < 5.0 * error + 1e-9,
                    "{all} {k}"
                );
            }
        }
    }

    #[test]
    fn tables_keep_their_margins() {
        let pooled = [0, 5, 17, 1_000, 0, 3];
        let (mut reference, mut current) = ([0; 6], [0; 6]);
        let mut rng = Pcg64Mcg::new(3);
        for rows in [0, 1, 400, 1_024, 1_025] {
            table(&pooled, rows, &mut reference, &mut current, &mut rng);
            assert_eq!(current.iter().sum::<u64>(), rows);
            for cell in 0..6 {
                assert_eq!(reference[cell] + current[cell], pooled[cell]);
            }
        }
    }

    #[test]
    fn every_row_is_the_windows_as_often() {
        let (mut labels, mut rng) = (Labels::new(7, 3), Pcg64Mcg::new(1));
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            labels.shuffle(&mut rng);
            assert_eq!(labels.labels.iter().filter(|label| **label).count(), 3);
            for (seen, label) in seen.iter_mut().zip(&labels.labels) {
                *seen += u32::from(*label);
            }
        }
        assert!(
            seen.iter().all(|seen| seen.abs_diff(3_000) < 230),
            "{seen:?}"
        );
    }

    /// Results are compared across machines: the generator and its use must not change unnoticed.
    #[test]
    fn the_same_seed_gives_the_same_table_for_ever() {
        let (mut reference, mut current) = ([0; 4], [0; 4]);
        let mut rng = Pcg64Mcg::new(2013);
        table(
            &[10, 200, 3_000, 40],
            1_000,
            &mut reference,
            &mut current,
            &mut rng,
        );
        assert_eq!(current, [4, 61, 919, 16]);
    }
}
