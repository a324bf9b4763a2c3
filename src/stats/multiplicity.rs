//! p-values of many columns at once, adjusted so that each can be compared with the level of the whole.
//!
//! Every function keeps the order of its input, gives values in 0 to 1, never below the p-value itself, and takes a NaN
//! for 1. No p-value gives none. Agreement: `statsmodels.stats.multitest.multipletests`.

/// p·k: the chance of one false alarm or more among k columns stays below the level, whatever depends on what.
///
/// ```
/// use driftline::stats::multiplicity::bonferroni;
/// assert_eq!(bonferroni(&[0.125, 0.5, 0.25]), [0.375, 1.0, 0.75]);
/// ```
pub fn bonferroni(p_values: &[f64]) -> Vec<f64> {
    let k = p_values.len() as f64;
    p_values
        .iter()
        .map(|&p| (checked(p) * k).min(1.0))
        .collect()
}

/// Holm's step-down: the same promise as [`bonferroni`], never a larger value. The i-th smallest p times (k − i + 1),
/// not below those of smaller p. Source: Holm (1979).
///
/// ```
/// use driftline::stats::multiplicity::holm;
/// assert_eq!(holm(&[0.125, 0.5, 0.25]), [0.375, 0.5, 0.5]);
/// ```
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let k = p_values.len();
    let mut adjusted = vec![0.0; k];
    let mut least = 0.0_f64;
    for (rank, at) in ascending(p_values).into_iter().enumerate() {
        least = least.max(checked(p_values[at]) * (k - rank) as f64);
        adjusted[at] = least.min(1.0);
    }
    adjusted
}

/// Benjamini and Hochberg's step-up: of the columns called drifted at a level, that share is false on average, times
/// the share of columns without drift; for independent or positively dependent columns. The i-th smallest p times k/i,
/// not above those of larger p.
/// Source: Benjamini and Hochberg (1995).
///
/// ```
/// use driftline::stats::multiplicity::benjamini_hochberg;
/// assert_eq!(benjamini_hochberg(&[0.125, 0.5, 0.25]), [0.375, 0.5, 0.375]);
/// ```
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    step_up(p_values, 1.0)
}

/// [`benjamini_hochberg`] times Σ 1/i, i = 1 to k: the same promise under any dependence.
/// Source: Benjamini and Yekutieli (2001).
///
/// ```
/// use driftline::stats::multiplicity::benjamini_yekutieli;
/// let adjusted = benjamini_yekutieli(&[0.0625, 0.5, 0.25]);
/// assert!((adjusted[0] - 0.34375).abs() < 1e-12 && (adjusted[2] - 0.6875).abs() < 1e-12);
/// ```
pub fn benjamini_yekutieli(p_values: &[f64]) -> Vec<f64> {
    let harmonic = (1..=p_values.len()).map(|i| 1.0 / i as f64).sum();
    step_up(p_values, harmonic)
}

fn step_up(p_values: &[f64], factor: f64) -> Vec<f64> {
    let k = p_values.len();
    let mut adjusted = vec![0.0; k];
    let mut most = 1.0_f64;
    for (rank, at) in ascending(p_values).into_iter().enumerate().rev() {
        let scaled = checked(p_values[at]) * (factor * (k as f64 / (rank + 1) as f64));
        most = most.min(scaled);
        adjusted[at] = most;
    }
    adjusted
}

/// The places of the p-values in ascending order, equal ones as they stand.
fn ascending(p_values: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..p_values.len()).collect();
    places.sort_by(|&a, &b| checked(p_values[a]).total_cmp(&checked(p_values[b])));
    places
}

fn checked(p: f64) -> f64 {
    if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn adjusted_values_agree_with_statsmodels() {
        let p = [
            0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.008, 0.9,
        ];
        // statsmodels 0.15.0, multipletests(p, method=…)[1]
        for (found, expected) in [
            (
                bonferroni(&p),
                [
                    0.01,
                    0.08,
                    0.39,
                    0.41000000000000003,
                    0.42000000000000004,
                    0.6,
                    0.74,
                    1.0,
                    0.08,
                    1.0,
                ],
            ),
            (
                holm(&p),
                [
                    0.01,
                    0.07200000000000001,
                    0.273,
                    0.273,
                    0.273,
                    0.273,
                    0.273,
                    0.41,
                    0.07200000000000001,
                    0.9,
                ],
            ),
            (
                benjamini_hochberg(&p),
                [
                    0.01,
                    0.02666666666666667,
                    0.07,
                    0.07,
                    0.07,
                    0.08571428571428572,
                    0.09249999999999999,
                    0.22777777777777775,
                    0.02666666666666667,
                    0.9,
                ],
            ),
            (
                benjamini_yekutieli(&p),
                [
                    0.029289682539682536,
                    0.0781058201058201,
                    0.20502777777777778,
                    0.20502777777777778,
                    0.20502777777777778,
                    0.25105442176870746,
                    0.27092956349206343,
                    0.6671538800705467,
                    0.0781058201058201,
                    1.0,
                ],
            ),
        ] {
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
            }
        }
    }

    #[test]
    fn nothing_and_no_number_have_an_outcome() {
        for adjust in [bonferroni, holm, benjamini_hochberg, benjamini_yekutieli] {
            assert!(adjust(&[]).is_empty());
            assert_eq!(adjust(&[0.25]), [0.25]);
            assert_eq!(adjust(&[f64::NAN]), [1.0]);
            assert_eq!(adjust(&[-1.0, 2.0]), [0.0, 1.0]);
        }
    }

    proptest! {
        #[test]
        fn adjusting_keeps_the_order_and_never_lowers(p in proptest::collection::vec(0.0..=1.0f64, 1..30)) {
            for adjust in [bonferroni, holm, benjamini_hochberg, benjamini_yekutieli] {
                let adjusted = adjust(&p);
                for i in 0..p.len() {
                    prop_assert!(adjusted[i] >= p[i] * (1.0 - 1e-12) && adjusted[i] <= 1.0);
                    for j in 0..p.len() {
                        prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
                    }
                }
            }
            for ((b, h), q) in bonferroni(&p).iter().zip(holm(&p)).zip(benjamini_hochberg(&p)) {
                prop_assert!(h <= b * (1.0 + 1e-12) && q <= h * (1.0 + 1e-12));
            }
        }
    }
}
