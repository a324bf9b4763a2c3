//! Kolmogorov–Smirnov distance from ranked bins, with a bound on what the bins hide.

use super::{size_factor, total};

/// Mean of the Kolmogorov distribution, √(π/2)·ln 2.
const KOLMOGOROV_MEAN: f64 = 0.868_731_16;
/// Rows on each side below which the asymptotic p-value is not used.
const MIN_ROWS: f64 = 25.0;
/// Terms of the Kolmogorov series; the next is below 1e-16 for every argument where the series is used.
const TERMS: i32 = 100;

/// What ranked bins say of the largest gap between two distribution functions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ks {
    /// The largest gap at the bins' edges: never above the gap between the rows themselves.
    pub distance: f64,
    /// The gap between the rows is at most `distance + error_bound`.
    pub error_bound: f64,
}

/// max |G − F| at the edges of bins that stand in ascending order. A share, 0 to 1; symmetric.
///
/// `reference` and `current` are counts of the same bins, lowest values first; missing values may stand as a first
/// bin, as if ranked below all. Inside a bin F and G rise by its shares in an unknown order, so the rows' own
/// distance can be larger, by at most `error_bound`; ties inside a bin make it smaller, never larger. An empty
/// sample and no bin give 0.
/// Source: Smirnov, *Table for Estimating the Goodness of Fit* (1948).
///
/// ```
/// use driftline::stats::kolmogorov_smirnov::ks;
/// let found = ks(&[40, 30, 20, 10], &[10, 20, 30, 40]);
/// assert!((found.distance - 0.4).abs() < 1e-12);
/// assert!((found.error_bound - 0.2).abs() < 1e-12);
/// ```
pub fn ks(reference: &[u64], current: &[u64]) -> Ks {
    let (n, m) = (total(reference), total(current));
    if n <= 0.0 || m <= 0.0 {
        return Ks {
            distance: 0.0,
            error_bound: 0.0,
        };
    }
    let (mut below_reference, mut below_current) = (0.0, 0.0);
    let (mut distance, mut most) = (0.0_f64, 0.0_f64);
    for (&a, &b) in reference.iter().zip(current) {
        let (f, g) = (below_reference / n, below_current / m);
        below_reference += a as f64;
        below_current += b as f64;
        let (f_end, g_end) = (below_reference / n, below_current / m);
        distance = distance.max((g_end - f_end).abs());
        most = most.max(g_end - f).max(f_end - g);
    }
    let distance = distance.min(1.0);
    Ks {
        distance,
        error_bound: (most.min(1.0) - distance).max(0.0),
    }
}

/// `distance` less its mean under no drift with independent rows, 0.8687·√(1/n + 1/m), not below 0.
///
/// ```
/// use driftline::stats::kolmogorov_smirnov::effect;
/// assert!((effect(0.4, 100.0, 100.0) - 0.277_144).abs() < 1e-5);
/// ```
pub fn effect(distance: f64, n: f64, m: f64) -> f64 {
    (distance - KOLMOGOROV_MEAN * size_factor(n, m).sqrt()).max(0.0)
}

/// Asymptotic p-value for independent rows, with Stephens' correction for small samples. Ties and bins make it too
/// large, never too small. `None` with fewer than 25 rows on a side.
/// Source: Stephens, *Use of the Kolmogorov–Smirnov … Statistics Without Extensive Tables* (1970).
pub fn closed_form_p(reference: &[u64], current: &[u64]) -> Option<f64> {
    let (n, m) = (total(reference), total(current));
    (n.min(m) >= MIN_ROWS).then(|| {
        let root = (1.0 / size_factor(n, m)).sqrt();
        kolmogorov_tail((root + 0.12 + 0.11 / root) * ks(reference, current).distance)
    })
}

/// P(K ≥ x) of the Kolmogorov distribution.
fn kolmogorov_tail(x: f64) -> f64 {
    // Below 0.2 the series converges slowly, and the tail is 1 to twelve digits.
    if x < 0.2 {
        return 1.0;
    }
    let mut sum = 0.0;
    for k in 1..=TERMS {
        let term = (-2.0 * f64::from(k * k) * x * x).exp();
        sum += if k % 2 == 1 { term } else { -term };
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edge_cases_have_numbers() {
        assert_eq!(ks(&[], &[]).distance, 0.0);
        assert_eq!(
            ks(&[0], &[3]),
            Ks {
                distance: 0.0,
                error_bound: 0.0
            }
        );
        // One bin hides everything.
        assert_eq!(
            ks(&[3], &[4]),
            Ks {
                distance: 0.0,
                error_bound: 1.0
            }
        );
        assert_eq!(
            ks(&[3, 0], &[0, 4]),
            Ks {
                distance: 1.0,
                error_bound: 0.0
            }
        );
    }

    #[test]
    fn the_tail_agrees_with_scipy() {
        // scipy.special.kolmogorov
        for (x, tail) in [
            (0.5, 0.963_945_2),
            (1.0, 0.269_999_7),
            (1.358, 0.050_026_8),
            (2.0, 0.000_670_925),
        ] {
            assert!((kolmogorov_tail(x) - tail).abs() < 1e-5, "{x}");
        }
    }

    /// The definition, from rows.
    fn exact(reference: &[f64], current: &[f64]) -> f64 {
        let share = |rows: &[f64], x: f64| {
            rows.iter().filter(|&&y| y <= x).count() as f64 / rows.len() as f64
        };
        reference
            .iter()
            .chain(current)
            .map(|&x| (share(reference, x) - share(current, x)).abs())
            .fold(0.0, f64::max)
    }

    fn counts(rows: &[f64], edges: &[f64]) -> Vec<u64> {
        let mut cells = vec![0; edges.len() + 1];
        for &x in rows {
            cells[edges.partition_point(|&edge| edge < x)] += 1;
        }
        cells
    }

    proptest! {
        #[test]
        fn the_bound_holds_against_the_rows(
            a in proptest::collection::vec(-30..30i32, 1..60), b in proptest::collection::vec(-20..40i32, 1..60),
            edges in proptest::collection::btree_set(-35..45i32, 0..10),
        ) {
            let [a, b] = [a, b].map(|rows| rows.into_iter().map(|x| f64::from(x) / 2.0).collect::<Vec<_>>());
            let edges: Vec<f64> = edges.into_iter().map(|x| f64::from(x) / 2.0).collect();
            let found = ks(&counts(&a, &edges), &counts(&b, &edges));
            let exact = exact(&a, &b);
            prop_assert!(found.distance <= exact + 1e-12);
            prop_assert!(exact <= found.distance + found.error_bound + 1e-12);
        }
    }
}
