//! Our statistics of rows and tables against those of SciPy on the same rows.

use serde_json::Value;

use super::anderson_darling::{Variant, anderson_darling};
use super::contingency::{Correction, chi_squared, cramers_v, g_test, goodness_of_fit};
use super::cramer_von_mises::cramer_von_mises;
use super::fisher::fisher_exact;
use super::ks_exact::{Alternative, Method, one_sided_or_both};
use super::mann_whitney::mann_whitney;
use super::quantile_shift::quantile;
use super::sorted::Sorted;
use super::summation::Spread;
use super::variance_shift::brown_forsythe;
use super::welch::welch;
use super::{energy_distance, wasserstein_exact};

/// What is asked for of statistics, and of p-values that SciPy itself knows to full precision.
const CLOSE: f64 = 1e-9;
/// SciPy ends the series of the Cramér–von Mises limit at terms of 1e-7, and takes its tail as a difference from 1.
const SERIES: f64 = 1e-7;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../tests/golden/scipy_rows.json"))
        .expect("the golden file")
}

/// [n, step, period, shift] stands for the rows 0.5·((i·step) mod period) + shift, 0 ≤ i < n.
fn rows(of: &Value) -> Sorted {
    let whole = |at: usize| of[at].as_u64().expect("a whole number");
    let shift = of[3].as_f64().expect("a shift");
    (0..whole(0))
        .map(|i| 0.5 * ((i * whole(1)) % whole(2)) as f64 + shift)
        .collect()
}

fn counts(of: &Value) -> Vec<u64> {
    let counts = of.as_array().expect("counts");
    counts
        .iter()
        .map(|x| x.as_u64().expect("a count"))
        .collect()
}

#[track_caller]
fn check(found: f64, expected: &Value, tolerance: f64, about: &Value) {
    let expected = expected.as_f64().expect("a number");
    assert!(
        (found - expected).abs() <= tolerance * expected.abs() + 1e-12,
        "{found}, not {expected}: {about}"
    );
}

#[test]
fn samples_of_rows_agree() {
    let golden = golden();
    let pairs = golden["pairs"].as_array().expect("pairs");
    assert_eq!(pairs.len(), 15);
    for pair in pairs {
        let (a, b) = (rows(&pair["reference"]), rows(&pair["current"]));
        let want = &pair["expected"];
        for (name, alternative) in [
            ("two-sided", Alternative::TwoSided),
            ("greater", Alternative::Greater),
            ("less", Alternative::Less),
        ] {
            let want = &want["ks"][name];
            let found = one_sided_or_both(&a, &b, alternative).expect("rows");
            check(found.distance, &want[0], CLOSE, pair);
            check(found.location, &want[1], CLOSE, pair);
            check(f64::from(found.sign), &want[2], CLOSE, pair);
            let exact = found.p_value(Method::Exact).expect("a p-value");
            assert!(exact.exact, "{pair}");
            // Null where SciPy's count of paths overflows.
            if !want[3].is_null() {
                check(exact.value, &want[3], CLOSE, pair);
            }
            if let Some(p) = found.p_value(Method::Asymptotic) {
                check(p.value, &want[4], CLOSE, pair);
            }
        }
        let found = wasserstein_exact::distance(&a, &b).expect("rows");
        check(found, &want["wasserstein"], CLOSE, pair);
        let found = energy_distance::distance(&a, &b).expect("rows");
        check(found, &want["energy"], CLOSE, pair);

        let (found, want_t) = (
            cramer_von_mises(&a, &b).expect("rows"),
            &want["cramer_von_mises"],
        );
        check(found.statistic, &want_t[0], CLOSE, pair);
        let (p, want_p) = (found.p_value(Method::Asymptotic).value, want_t[1].as_f64());
        assert!(
            want_p.is_some_and(|want| (p - want).abs() < SERIES),
            "{p}: {pair}"
        );
        let p = found.p_value(Method::Auto);
        assert_eq!(p.exact, !want_t[2].is_null());
        if p.exact {
            check(p.value, &want_t[2], CLOSE, pair);
        }

        for (i, variant) in [Variant::Midrank, Variant::Right].into_iter().enumerate() {
            let found = anderson_darling(&[&a, &b], variant).expect("rows");
            check(
                found.statistic,
                &want["anderson_darling"][i][0],
                CLOSE,
                pair,
            );
            check(
                found.interpolated_p(),
                &want["anderson_darling"][i][1],
                CLOSE,
                pair,
            );
        }

        let (found, want_u) = (mann_whitney(&a, &b).expect("rows"), &want["mann_whitney"]);
        check(found.u, &want_u[0], CLOSE, pair);
        check(
            found.p_value(Method::Asymptotic).value,
            &want_u[1],
            CLOSE,
            pair,
        );
        if !want_u[2].is_null() {
            let p = found.p_value(Method::Exact);
            assert!(p.exact);
            check(p.value, &want_u[2], CLOSE, pair);
        }
        check(found.p_value(Method::Auto).value, &want_u[3], CLOSE, pair);

        let spread = |sample: &Sorted| Spread::of(sample.finite()).expect("rows");
        let found = welch(&spread(&a), &spread(&b), 0.95).expect("rows");
        for (i, found) in [found.t, found.degrees, found.p_value, found.low, found.high]
            .into_iter()
            .enumerate()
        {
            check(found, &want["welch"][i], CLOSE, pair);
        }
        let found = brown_forsythe(&a, &b).expect("rows");
        check(found.statistic, &want["brown_forsythe"][0], CLOSE, pair);
        check(found.p_value, &want["brown_forsythe"][1], CLOSE, pair);
        check(spread(&a).mean, &want["moments"][0], CLOSE, pair);
        check(spread(&a).deviation, &want["moments"][1], CLOSE, pair);
        match spread(&a).kurtosis {
            Some(kurtosis) => check(kurtosis, &want["moments"][2], CLOSE, pair),
            None => assert!(want["moments"][2].is_null()),
        }
        for (i, share) in [0.0, 0.1, 0.5, 0.9, 1.0].into_iter().enumerate() {
            let found = quantile(a.finite(), share).expect("rows");
            check(found, &want["quantiles"][i], CLOSE, pair);
        }
    }
}

#[test]
fn several_samples_agree() {
    for case in golden()["several"].as_array().expect("cases") {
        let samples: Vec<Sorted> = case["samples"]
            .as_array()
            .expect("samples")
            .iter()
            .map(rows)
            .collect();
        let samples: Vec<&Sorted> = samples.iter().collect();
        for (variant, want) in [
            (Variant::Midrank, &case["midrank"]),
            (Variant::Right, &case["right"]),
        ] {
            let found = anderson_darling(&samples, variant).expect("rows");
            check(found.statistic, &want[0], CLOSE, case);
            check(found.interpolated_p(), &want[1], CLOSE, case);
            assert_eq!(found.limit_p(), None);
        }
    }
}

#[test]
fn tables_agree() {
    for case in golden()["tables"].as_array().expect("tables") {
        let (a, b) = (counts(&case["reference"]), counts(&case["current"]));
        for (name, correction) in [("none", Correction::None), ("yates", Correction::Yates)] {
            let found = chi_squared(&a, &b, correction).expect("rows");
            let want = &case[format!("chi_squared_{name}")];
            check(found.statistic, &want[0], CLOSE, case);
            check(found.degrees, &want[1], CLOSE, case);
            check(found.p_value, &want[2], CLOSE, case);
            let found = g_test(&a, &b, correction).expect("rows");
            check(found.statistic, &case[format!("g_{name}")][0], CLOSE, case);
            check(found.p_value, &case[format!("g_{name}")][1], CLOSE, case);
        }
        check(cramers_v(&a, &b), &case["cramers_v"], CLOSE, case);
        if !case["fit"].is_null() {
            let found = goodness_of_fit(&a, &b).expect("rows");
            check(
                found.statistic.expect("known categories"),
                &case["fit"][0],
                CLOSE,
                case,
            );
            check(found.p_value, &case["fit"][1], CLOSE, case);
        }
        if let ([a, b], [c, d]) = (&a[..], &b[..]) {
            let found = fisher_exact([*a, *b], [*c, *d]).expect("a table");
            check(found.p_value, &case["fisher"], CLOSE, case);
        }
    }
}
