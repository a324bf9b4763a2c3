//! Our numbers against those of others: every case of `tests/golden/golden.json`, by the public interface.
//!
//! A case names a statistic, its input and parameters, what another program said, and how close ours must be. The
//! table below says which function checks which statistic; a case without one fails, so that none is left out unseen.

mod adult;
mod bins;
mod case;
mod detectors;
mod found;
mod multivariate;
mod rows;

use std::collections::BTreeMap;

use case::{Case, Golden};
use found::Found;

type Check = fn(&Case, &mut Found);

/// What checks the cases of a statistic.
const CHECKS: &[(&str, Check)] = &[
    ("domain_classifier_auc", multivariate::domain_classifier_auc),
    ("energy_distance_nd", multivariate::energy_distance_nd),
    ("mmd2_rbf", multivariate::mmd2_rbf),
    (
        "nannyml_domain_classifier",
        multivariate::nannyml_domain_classifier,
    ),
    ("pca_reconstruction", multivariate::pca_reconstruction),
    ("ks_2samp", rows::ks_2samp),
    ("wasserstein", rows::wasserstein),
    ("energy_distance_1d", rows::energy_distance_1d),
    ("chi2_contingency", rows::chi2_contingency),
    ("chi2_gof", rows::chi2_gof),
    ("alibi_ksdrift", rows::alibi_ksdrift),
    ("alibi_cvmdrift", rows::alibi_cvmdrift),
    ("attribution_ndcg", bins::attribution_ndcg),
    ("evidently_categorical", bins::evidently_categorical),
    ("evidently_numeric", bins::evidently_numeric),
    ("frouros_batch", bins::frouros_batch),
    ("hellinger", bins::hellinger),
    ("jensen_shannon", bins::jensen_shannon),
    ("l_infinity", bins::l_infinity),
    ("nannyml_univariate", bins::nannyml_univariate),
    ("psi", bins::psi),
    ("tvd", bins::tvd),
];

/// Statistics of the file that are not checked here, and why.
const ELSEWHERE: &[(&str, usize, &str)] = &[
    (
        "classification_metrics",
        12,
        "src/performance/golden_tests.rs has those that are computed",
    ),
    (
        "regression_metrics",
        7,
        "src/performance/golden_tests.rs has those that are computed",
    ),
    ("cbpe", 5, "performance without labels is not estimated yet"),
    ("fairness", 3, "fairness is not measured yet"),
];

/// Cases in the file.
const CASES: usize = 351;

#[test]
fn every_golden_case_holds() {
    let golden = Golden::read();
    let mut checked: BTreeMap<&str, usize> = BTreeMap::new();
    let mut elsewhere: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let cases = golden.cases();
    assert_eq!(cases.len(), CASES);
    for case in &cases {
        let name = case.statistic.as_str();
        if ELSEWHERE.iter().any(|(other, ..)| *other == name) {
            *elsewhere.entry(name).or_default() += 1;
            continue;
        }
        let mut checks = CHECKS.iter().chain(detectors::CHECKS);
        let Some((_, check)) = checks.find(|(other, _)| *other == name) else {
            wrong.push(format!("{}: nothing checks {name}", case.id));
            continue;
        };
        let mut found = Found::new(case);
        check(case, &mut found);
        *checked.entry(name).or_default() += 1;
        wrong.extend(found.finish());
    }
    println!("checked: {checked:?}");
    let expected: BTreeMap<&str, usize> = ELSEWHERE
        .iter()
        .map(|(name, count, _)| (*name, *count))
        .collect();
    assert_eq!(elsewhere, expected);
    assert!(
        wrong.is_empty(),
        "{} golden values are off:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(
        checked.values().sum::<usize>() + elsewhere.values().sum::<usize>(),
        CASES
    );
}
