//! Binomial probabilities to nearly full precision at any size, without logarithms of factorials that cancel.
//!
//! Source: Loader, *Fast and Accurate Computation of Binomial Probabilities* (2000).

/// From here Stirling's series of four terms errs by less than 1e-16.
const STIRLING_FROM: f64 = 32.0;

/// ln(n!) − ln(√(2πn)·(n/e)ⁿ): what Stirling's formula lacks. 0 for n = 0, which callers treat apart.
pub(super) fn stirling_error(n: f64) -> f64 {
    if n <= 0.0 {
        return 0.0;
    }
    if n < STIRLING_FROM {
        // The factorials of up to 31 are products of exactly representable steps; their rounding is some 1e-16 each.
        let factorial = (2..=n as u32).fold(1.0, |product, i| product * f64::from(i));
        return factorial.ln() - ((n + 0.5) * n.ln() - n + 0.5 * std::f64::consts::TAU.ln());
    }
    let squared = n * n;
    (1.0 / 12.0
        - (1.0 / 360.0
            - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / (1188.0 * squared)) / squared) / squared)
            / squared)
        / n
}

/// x·ln(x/mean) + mean − x, without cancellation where the two are close.
fn deviance(x: f64, mean: f64) -> f64 {
    let difference = x - mean;
    if difference.abs() < 0.1 * (x + mean) {
        // ln(x/mean) = 2·artanh(v); the series of x·ln(x/mean) + mean − x in odd powers of v.
        let v = difference / (x + mean);
        let mut sum = difference * v;
        let mut power = 2.0 * x * v;
        // v² < 0.01, so that nine terms reach 1e-18 of the sum.
        for j in 1..=9 {
            power *= v * v;
            sum += power / f64::from(2 * j + 1);
        }
        return sum;
    }
    x * (x / mean).ln() - difference
}

/// P(X = `x`) of the binomial distribution with `n` trials of chance `p` and `q` = 1 − `p`, given apart so that either
/// may be tiny. `x` and `n` are whole numbers, 0 ≤ `x` ≤ `n`.
pub(super) fn probability(x: f64, n: f64, p: f64, q: f64) -> f64 {
    if p <= 0.0 || q <= 0.0 {
        let certain = if p <= 0.0 { x == 0.0 } else { x == n };
        return f64::from(u8::from(certain));
    }
    if x <= 0.0 {
        return (n * ln_one_less(p, q)).exp();
    }
    if x >= n {
        return (n * ln_one_less(q, p)).exp();
    }
    let exponent = stirling_error(n)
        - stirling_error(x)
        - stirling_error(n - x)
        - deviance(x, n * p)
        - deviance(n - x, n * q);
    (n / (std::f64::consts::TAU * x * (n - x))).sqrt() * exponent.exp()
}

/// ln(1 − p), where q = 1 − p is known apart.
fn ln_one_less(p: f64, q: f64) -> f64 {
    if p < 0.5 { (-p).ln_1p() } else { q.ln() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_agree_with_scipy() {
        // SciPy 1.17.1, scipy.stats.binom.pmf
        for (x, n, p, expected) in [
            (3.0, 10.0, 0.25, 0.2502822875976561),
            (40.0, 100.0, 0.4, 0.08121914499610602),
            (1.0, 5000.0, 0.001, 0.03363919899832639),
            (4000.0, 5000.0, 0.75, 8.799250441745968e-18),
            (250000.0, 1000000.0, 0.25, 0.0009213173992255512),
            (17.0, 33.0, 0.5, 0.13583375955931848),
            (999.0, 1000.0, 0.9, 1.9420791685808118e-44),
        ] {
            let found = probability(x, n, p, 1.0 - p);
            assert!(
                (found / expected - 1.0_f64).abs() < 1e-12,
                "{x} {n} {p}: {found}"
            );
        }
    }

    #[test]
    fn certain_outcomes_are_certain() {
        assert_eq!(probability(0.0, 9.0, 0.0, 1.0), 1.0);
        assert_eq!(probability(1.0, 9.0, 0.0, 1.0), 0.0);
        assert_eq!(probability(9.0, 9.0, 1.0, 0.0), 1.0);
    }

    #[test]
    fn probabilities_add_up_to_one() {
        for (n, p) in [(7, 0.3), (31, 0.01), (400, 0.5), (5000, 0.999)] {
            let sum: f64 = (0..=n)
                .map(|x| probability(f64::from(x), f64::from(n), p, 1.0 - p))
                .sum();
            assert!((sum - 1.0).abs() < 1e-12, "{n} {p}: {sum}");
        }
    }
}
