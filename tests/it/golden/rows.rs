//! Exact statistics of two samples of rows, and tests of their categories.

use std::collections::BTreeMap;

use driftline::stats::contingency::{self, Correction};
use driftline::stats::cramer_von_mises::cramer_von_mises;
use driftline::stats::ks_exact::{self, Method};
use driftline::stats::multiplicity::bonferroni;
use driftline::stats::sorted::Sorted;
use driftline::stats::summation::Spread;
use driftline::stats::{energy_distance, wasserstein_exact};

use super::case::{Case, number};
use super::found::Found;

fn sides(case: &Case) -> (Sorted, Sorted) {
    let [a, b] = ["ref", "cur"].map(|side| Sorted::new(&case.sample(side)));
    (a, b)
}

pub fn ks_2samp(case: &Case, found: &mut Found) {
    let (a, b) = sides(case);
    let ks = ks_exact::ks(&a, &b).expect("rows on both sides");
    found.number("statistic", ks.distance);
    if found.has("n_ref") {
        found.integer("n_ref", ks.n_reference as i64);
        found.integer("n_cur", ks.n_current as i64);
    }
    if found.has("location") {
        found.number("location", ks.location);
        found.integer("sign", i64::from(ks.sign));
    }
    if found.has("p_exact") {
        let p = ks.p_value(Method::Exact).expect("a p-value");
        assert!(p.exact, "{}", case.id);
        found.number("p_exact", p.value);
    }
    if found.has("p_asymp") {
        // Where the form has no sample to speak of SciPy says NaN, and we nothing.
        let p = ks.p_value(Method::Asymptotic);
        found.number("p_asymp", p.map_or(f64::NAN, |p| p.value));
    }
}

pub fn wasserstein(case: &Case, found: &mut Found) {
    let (a, b) = sides(case);
    let distance = wasserstein_exact::distance(&a, &b).expect("rows on both sides");
    let deviation = Spread::of(a.finite()).expect("rows").deviation;
    found.number("value", distance);
    found.number("ref_std_ddof0", deviation);
    let normed = wasserstein_exact::scaled(distance, deviation, wasserstein_exact::LEAST_DEVIATION);
    found.number("normed", normed);
}

pub fn energy_distance_1d(case: &Case, found: &mut Found) {
    let (a, b) = sides(case);
    let distance = energy_distance::distance(&a, &b).expect("rows on both sides");
    found.number("value", distance);
}

/// Counts over the union of both sides' categories, in their order.
fn tables(case: &Case) -> (Vec<String>, Vec<u64>, Vec<u64>) {
    let mut counts: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for (i, side) in ["ref", "cur"].into_iter().enumerate() {
        for category in case.texts(side) {
            counts.entry(category).or_default()[i] += 1;
        }
    }
    let column = |i: usize| counts.values().map(|pair| pair[i]).collect();
    (counts.keys().cloned().collect(), column(0), column(1))
}

pub fn chi2_contingency(case: &Case, found: &mut Found) {
    let (categories, a, b) = tables(case);
    if found.want("categories").is_array() {
        found.texts("categories", &categories);
        found.integers("counts_ref", &a);
        found.integers("counts_cur", &b);
    } else {
        found.integer("categories", categories.len() as i64);
        // Too many to be written out in the file: null.
        assert!(found.want("counts_ref").is_null() && found.want("counts_cur").is_null());
    }
    let plain = contingency::chi_squared(&a, &b, Correction::None).expect("rows on both sides");
    found.number("statistic", plain.statistic);
    found.number("p_value", plain.p_value);
    found.integer("dof", plain.degrees as i64);
    if found.has("statistic_yates_if_2x2") {
        let yates = contingency::chi_squared(&a, &b, Correction::Yates).expect("rows");
        found.number("statistic_yates_if_2x2", yates.statistic);
        found.number("p_value_yates_if_2x2", yates.p_value);
    }
}

pub fn chi2_gof(case: &Case, found: &mut Found) {
    let (_, a, b) = tables(case);
    let fit = contingency::goodness_of_fit(&a, &b).expect("rows on both sides");
    // A new category has no finite statistic.
    found.number("statistic", fit.statistic.unwrap_or(f64::INFINITY));
    found.number("p_value", fit.p_value);
    let degrees = number(&case.params["dof"]);
    found.close("dof", fit.degrees, degrees);
}

/// Every column of two matrices.
fn columns(case: &Case) -> Vec<(Sorted, Sorted)> {
    let [(a, width), (b, _)] = ["ref", "cur"].map(|side| case.matrix(side));
    let column = |cells: &[f64], at: usize| cells.iter().skip(at).step_by(width).copied().collect();
    (0..width)
        .map(|at| (column(&a, at), column(&b, at)))
        .collect()
}

/// A level of 5 % over all columns, by Bonferroni.
fn decide(found: &mut Found, distances: &[f64], p_values: &[f64]) {
    found.numbers("distance", distances);
    found.numbers("p_val", p_values);
    let level = 0.05;
    found.number("threshold", level / p_values.len() as f64);
    let drift = bonferroni(p_values).iter().any(|&p| p < level);
    found.integer("is_drift", i64::from(drift));
}

/// alibi-detect asks SciPy for the asymptotic p-value.
pub fn alibi_ksdrift(case: &Case, found: &mut Found) {
    let (distances, p_values): (Vec<f64>, Vec<f64>) = columns(case)
        .iter()
        .map(|(a, b)| {
            let ks = ks_exact::ks(a, b).expect("rows");
            (
                ks.distance,
                ks.p_value(Method::Asymptotic).expect("a p-value").value,
            )
        })
        .unzip();
    decide(found, &distances, &p_values);
}

pub fn alibi_cvmdrift(case: &Case, found: &mut Found) {
    let (distances, p_values): (Vec<f64>, Vec<f64>) = columns(case)
        .iter()
        .map(|(a, b)| {
            let test = cramer_von_mises(a, b).expect("rows");
            (test.statistic, test.p_value(Method::Auto).value)
        })
        .unzip();
    decide(found, &distances, &p_values);
}
