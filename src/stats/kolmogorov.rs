//! The distribution of Kolmogorov's one-sample statistic Dₙ at finite n, from which the p-value of two large samples is
//! taken.
//!
//! Where to use which formula follows Simard and L'Ecuyer, *Computing the Two-Sided Kolmogorov–Smirnov Distribution*
//! (2011), with the limits of SciPy's `kstwo`. Deliberately absent: Pomeranz' recursion, whose place the matrix formula
//! takes.

use std::f64::consts::{PI, TAU};

use super::binomial;

/// Up to this n the matrix formula is cheap wherever it is needed.
const SMALL: f64 = 140.0;
/// Up to this n the matrix formula serves the left tail.
const MATRIX_UP_TO: f64 = 100_000.0;
/// Points of the one-sided sum that are evaluated at most; a larger n takes every s-th. The summand is smooth and
/// vanishes at both ends with all its derivatives, so that the rest adds nothing above rounding.
const SUM_POINTS: f64 = 4096.0;
/// Matrices are scaled by this power of two when an element passes it.
const SCALE_EXPONENT: i32 = 128;
/// Below this z = x·√n the distribution function is under 1e-300.
const PELZ_GOOD_FROM: f64 = 0.042;

/// P(Dₙ ≥ x) of the two-sided statistic for a sample of `n` rows, a whole number ≥ 1. 1 for x ≤ 1/(2n), 0 for x ≥ 1.
///
/// Relative error below 1e-10 where x·√n ≥ 1.5 or n ≤ 140, apart from the one in a million that 2·P(Dₙ⁺ ≥ x) leaves out
/// there for n > 140; elsewhere absolute error below 1e-7.
///
/// ```
/// use driftline::stats::kolmogorov::two_sided_tail;
/// // scipy.stats.kstwo.sf(0.1, 200)
/// assert!((two_sided_tail(0.1, 200.0) - 0.034_110_350_803_153_83).abs() < 1e-12);
/// ```
pub fn two_sided_tail(x: f64, n: f64) -> f64 {
    let t = n * x;
    let tail = if x >= 1.0 {
        0.0
    } else if t <= 0.5 {
        1.0
    } else if t <= 1.0 {
        1.0 - (factorial_ratio_ln(n) + n * (2.0 * t - 1.0).ln()).exp()
    } else if t >= n - 1.0 {
        2.0 * (1.0 - x).powf(n)
    } else if x >= 0.5 || t * x >= if n <= SMALL { 4.0 } else { 2.2 } {
        2.0 * one_sided_tail(x, n)
    } else if n <= SMALL || (n <= MATRIX_UP_TO && t * x.sqrt() <= 1.4) {
        1.0 - matrix_distribution(x, n)
    } else {
        1.0 - pelz_good_distribution(x, n)
    };
    // A sample so large that n·x is no number any more would be no chance at all.
    if tail.is_nan() {
        0.0
    } else {
        tail.clamp(0.0, 1.0)
    }
}

/// P(Dₙ⁺ ≥ x) of the one-sided statistic: x·Σⱼ C(n, j)·(x + j/n)^(j−1)·(1 − x − j/n)^(n−j) over 0 ≤ j ≤ n(1 − x).
/// Source: Birnbaum and Tingey (1951).
///
/// ```
/// use driftline::stats::kolmogorov::one_sided_tail;
/// // scipy.special.smirnov(200, 0.1)
/// assert!((one_sided_tail(0.1, 200.0) / 0.017_055_111_658_647 - 1.0).abs() < 1e-8);
/// ```
pub fn one_sided_tail(x: f64, n: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x >= 1.0 {
        return 0.0;
    }
    let last = (n * (1.0 - x)).floor();
    let stride = (n / SUM_POINTS).ceil().max(1.0);
    let mut sum = 0.0;
    let mut j = 0.0;
    while j <= last {
        let p = x + j / n;
        let q = (1.0 - x) - j / n;
        sum += binomial::probability(j, n, p.min(1.0), q.max(0.0)) / p;
        j += stride;
    }
    (x * sum * stride).clamp(0.0, 1.0)
}

/// ln(n!/nⁿ).
fn factorial_ratio_ln(n: f64) -> f64 {
    0.5 * (TAU * n).ln() - n + binomial::stirling_error(n)
}

/// P(Dₙ < x) by Durbin's matrix. Source: Marsaglia, Tsang and Wang, *Evaluating Kolmogorov's Distribution* (2003).
fn matrix_distribution(x: f64, n: f64) -> f64 {
    let k = (n * x).ceil();
    let h = k - n * x;
    let k = k as usize;
    let size = 2 * k - 1;
    let mut matrix = vec![0.0; size * size];
    // The first column, and the last row backwards: (1 − hʲ)/j!.
    let mut factorial = 1.0;
    let mut inverse_factorials = vec![0.0; size];
    let mut border = vec![0.0; size];
    for j in 1..=size {
        inverse_factorials[j - 1] = factorial;
        factorial /= j as f64;
        border[j - 1] = (1.0 - h.powi(j as i32)) * factorial;
    }
    let power = size as i32;
    border[size - 1] =
        (1.0 + (2.0 * h - 1.0).max(0.0).powi(power) - 2.0 * h.powi(power)) * factorial;
    for i in 0..size {
        for j in 1..=(i + 1).min(size - 1) {
            matrix[i * size + j] = inverse_factorials[i + 1 - j];
        }
        matrix[i * size] = border[i];
    }
    for j in 0..size {
        matrix[(size - 1) * size + j] = border[size - 1 - j];
    }
    let (mut probability, mut exponent) = power_element(matrix, size, k - 1, n as u64);
    for i in 1..=n as u64 {
        probability *= i as f64 / n;
        if probability < 2.0_f64.powi(-SCALE_EXPONENT) {
            probability *= 2.0_f64.powi(SCALE_EXPONENT);
            exponent -= SCALE_EXPONENT;
        }
    }
    probability * 2.0_f64.powi(exponent)
}

/// The element (`at`, `at`) of `matrix`^`n`, as a number and a power of two.
fn power_element(mut matrix: Vec<f64>, size: usize, at: usize, mut n: u64) -> (f64, i32) {
    let scale = |matrix: &mut [f64], exponent: &mut i32| {
        if matrix[at * size + at].abs() > 2.0_f64.powi(SCALE_EXPONENT) {
            matrix
                .iter_mut()
                .for_each(|x| *x *= 2.0_f64.powi(-SCALE_EXPONENT));
            *exponent += SCALE_EXPONENT;
        }
    };
    let mut matrix_exponent = 0;
    // Only one row of the result is needed.
    let mut row = vec![0.0; size];
    row[at] = 1.0;
    let mut exponent = 0;
    while n > 0 {
        if n % 2 == 1 {
            let mut next = vec![0.0; size];
            for (x, line) in row.iter().zip(matrix.chunks_exact(size)) {
                next.iter_mut().zip(line).for_each(|(sum, y)| *sum += x * y);
            }
            row = next;
            exponent += matrix_exponent;
            if row[at].abs() > 2.0_f64.powi(SCALE_EXPONENT) {
                row.iter_mut()
                    .for_each(|x| *x *= 2.0_f64.powi(-SCALE_EXPONENT));
                exponent += SCALE_EXPONENT;
            }
        }
        n /= 2;
        if n > 0 {
            let mut square = vec![0.0; size * size];
            for (line, result) in matrix.chunks_exact(size).zip(square.chunks_exact_mut(size)) {
                for (&x, other) in line.iter().zip(matrix.chunks_exact(size)) {
                    result
                        .iter_mut()
                        .zip(other)
                        .for_each(|(sum, y)| *sum += x * y);
                }
            }
            matrix = square;
            matrix_exponent *= 2;
            scale(&mut matrix, &mut matrix_exponent);
        }
    }
    (row[at], exponent)
}

/// P(Dₙ ≤ x) by an expansion in powers of 1/√n around Kolmogorov's limit.
/// Source: Pelz and Good, *Approximating the Lower Tail-Areas of the Kolmogorov–Smirnov One-Sample Statistic* (1976).
fn pelz_good_distribution(x: f64, n: f64) -> f64 {
    let z = n.sqrt() * x;
    if z < PELZ_GOOD_FROM {
        return 0.0;
    }
    let (z2, z3, z4, z6) = (z.powi(2), z.powi(3), z.powi(4), z.powi(6));
    let pi2 = PI * PI;
    // Terms beyond fall below q^(16·k), with q ≤ exp(−π²/8z²).
    let terms = (16.0 * z / PI).ceil() as i32;
    let mut sums = [0.0; 4];
    for k in (1..=terms).rev() {
        let odd = f64::from(2 * k - 1);
        let m2 = odd * odd;
        let weight = (-pi2 / 8.0 / z2 * m2).exp();
        let coefficients = [
            1.0,
            -z2 + pi2 / 4.0 * m2,
            6.0 * z6
                + 2.0 * z4
                + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * m2
                + pi2.powi(2) * (1.0 - 2.0 * z2) / 16.0 * m2.powi(2),
            -30.0 * z6 - 90.0 * z.powi(8)
                + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * m2
                + pi2.powi(2) * (-60.0 * z2 + 212.0 * z4) / 16.0 * m2.powi(2)
                + pi2.powi(3) * (5.0 - 30.0 * z2) / 64.0 * m2.powi(3),
        ];
        sums.iter_mut()
            .zip(coefficients)
            .for_each(|(sum, c)| *sum += weight * c);
    }
    let root = TAU.sqrt();
    let scales = [z, 6.0 * z4, 72.0 * z.powi(7), 6480.0 * z.powi(10)];
    sums.iter_mut()
        .zip(scales)
        .for_each(|(sum, scale)| *sum *= root / scale);
    for k in (1..=terms).rev() {
        let k2 = f64::from(k) * f64::from(k);
        let weight = k2 * (-pi2 / 2.0 / z2 * k2).exp();
        sums[2] -= weight * pi2 * root / (36.0 * z3);
        sums[3] += weight * (3.0 * z2 - pi2 * k2) * pi2 * root / (216.0 * z6);
    }
    let distribution = sums[0] + sums[1] / n.sqrt() + sums[2] / n + sums[3] / n.powf(1.5);
    distribution.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tails_agree_with_scipy_in_every_region() {
        // SciPy 1.17.1, scipy.stats.kstwo.sf
        for (x, n, expected) in [
            (0.7, 1.0, 0.6000000000000001),
            (0.6, 5.0, 0.03008000000000001),
            (0.15, 5.0, 0.9988),
            (0.3, 10.0, 0.27053557479999946),
            (0.05, 20.0, 0.9999999767980384),
            (0.1, 50.0, 0.6623112704658186),
            (0.2, 50.0, 0.03143877776953241),
            (0.04, 100.0, 0.995307510717411),
            (0.16, 140.0, 0.0013440163244194184),
            (0.3, 140.0, 1.1370251710737309e-11),
            (0.1, 200.0, 0.03411035080315383),
            (0.02, 200.0, 0.9999948480179858),
            (0.03, 500.0, 0.7473166700457021),
            (0.06, 500.0, 0.05243463489026223),
            (0.0209, 1000.0, 0.7666750350464007),
            (0.012, 5000.0, 0.4639912166690191),
            (0.03, 5000.0, 0.00024159234422666817),
            (0.004, 20000.0, 0.9048968240702959),
            (0.003, 100000.0, 0.3284563327726956),
            (0.002, 200000.0, 0.39995085369038097),
            (0.0015, 500000.0, 0.21034190155828947),
            (0.003, 500000.0, 0.00024632301239186754),
            (0.001, 500000.0, 0.698980144366366),
        ] {
            let found = two_sided_tail(x, n);
            assert!(
                (found / expected - 1.0_f64).abs() < 1e-8,
                "x {x}, n {n}: {found}, not {expected}"
            );
        }
    }

    /// A sum of every s-th term is the whole sum.
    #[test]
    fn a_sum_in_strides_loses_nothing() {
        for x in [0.011, 0.02, 0.04] {
            let n = 20_000.0;
            let all: f64 = (0..=(n * (1.0 - x)) as u32)
                .map(|j| {
                    let p = x + f64::from(j) / n;
                    binomial::probability(f64::from(j), n, p, 1.0 - p) / p
                })
                .sum();
            let found = one_sided_tail(x, n);
            assert!((found / (x * all) - 1.0).abs() < 1e-11, "{x}: {found}");
        }
    }

    #[test]
    fn ends_are_certain() {
        assert_eq!(two_sided_tail(0.0, 9.0), 1.0);
        assert_eq!(two_sided_tail(0.5 / 9.0, 9.0), 1.0);
        assert_eq!(two_sided_tail(1.0, 9.0), 0.0);
        assert_eq!(one_sided_tail(0.0, 9.0), 1.0);
        assert_eq!(one_sided_tail(1.0, 9.0), 0.0);
        // Far out the chance is small, never negative or undefined.
        assert!(two_sided_tail(0.9, 1e6) < 1e-300);
    }

    proptest! {
        #[test]
        fn a_tail_is_a_chance_and_falls(x in 0.0..1.0f64, more in 0.0..0.1f64, n in 1..5000u32) {
            let n = f64::from(n);
            let (near, far) = (two_sided_tail(x, n), two_sided_tail(x + more, n));
            prop_assert!((0.0..=1.0).contains(&near) && (0.0..=1.0).contains(&far));
            prop_assert!(far <= near + 1e-5);
        }
    }
}
