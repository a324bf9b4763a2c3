//! Other tools' numbers where no golden file has them, and what holds of all of them.

use proptest::prelude::*;

use super::*;

fn rows(n: usize, step: usize, period: usize, shift: f64) -> Vec<f64> {
    (0..n)
        .map(|i| 0.5 * ((i * step) % period) as f64 + shift)
        .collect()
}

/// `counts` rows of the categories a, b, c, …
fn texts(counts: &[usize]) -> Vec<Option<&'static str>> {
    counts
        .iter()
        .zip(["a", "b", "c", "d"])
        .flat_map(|(&count, name)| std::iter::repeat_n(Some(name), count))
        .collect()
}

#[track_caller]
fn check(
    vendor: Vendor,
    statistic: &str,
    reference: Column,
    current: Column,
    expected: f64,
) -> Judged {
    let judged = vendor
        .score(Some(statistic), reference, current)
        .expect("a value");
    assert!(
        (judged.value - expected).abs() <= 1e-12 + 1e-9 * expected.abs(),
        "{statistic}: {}, not {expected}",
        judged.value
    );
    judged
}

#[test]
fn azure_follows_its_formulas() {
    // Its component's formulas with NumPy 2.4.6 and SciPy 1.17.1.
    let (a, b) = (rows(40, 7, 50, 0.0), rows(30, 7, 20, 3.0));
    let (a, b) = (Column::Numeric(&a), Column::Numeric(&b));
    let azure = Vendor::Azure;
    let found = check(
        azure,
        "NormalizedWassersteinDistance",
        a,
        b,
        0.6953212174295844,
    );
    assert_eq!((found.threshold, found.drift), (Some(0.1), Some(true)));
    let found = check(azure, "JensenShannonDistance", a, b, 0.49968306048096095);
    assert_eq!(found.parameters["bins"], "equal width over both samples, 6");
    check(azure, "PopulationStabilityIndex", a, b, 0.9622714188222748);
    let found = check(
        azure,
        "TwoSampleKolmogorovSmirnovTest",
        a,
        b,
        0.0012654664726545505,
    );
    assert!(found.is_p_value);
    assert_eq!((found.threshold, found.drift), (None, None));

    let (a, b) = (texts(&[50, 30, 20]), texts(&[20, 20, 10, 2]));
    let (a, b) = (Column::Categorical(&a), Column::Categorical(&b));
    check(azure, "JensenShannonDistance", a, b, 0.16885049282207976);
    check(azure, "PopulationStabilityIndex", a, b, 0.13318639797560533);
    check(azure, "PearsonsChiSquaredTest", a, b, 0.0);
    let b = texts(&[20, 20, 10]);
    check(
        azure,
        "PearsonsChiSquaredTest",
        a,
        Column::Categorical(&b),
        0.2635971381157267,
    );
}

#[test]
fn azure_gives_a_constant_one_bin() {
    for value in [0.0, 3.0, -3.0] {
        let column = [value; 5];
        let column = Column::Numeric(&column);
        check(Vendor::Azure, "JensenShannonDistance", column, column, 0.0);
        check(
            Vendor::Azure,
            "PopulationStabilityIndex",
            column,
            column,
            0.0,
        );
    }
}

#[test]
fn deequ_takes_off_what_small_samples_make() {
    let (a, b) = (rows(40, 7, 50, 0.0), rows(30, 7, 20, 3.0));
    let (a, b) = (Column::Numeric(&a), Column::Numeric(&b));
    check(Vendor::Deequ, "linf_simple", a, b, 0.45);
    let found = check(Vendor::Deequ, "linf_robust", a, b, 0.015258697614316863);
    assert_eq!(found.drift, Some(false));
    let (a, b) = (texts(&[900, 100]), texts(&[400, 600]));
    let (a, b) = (Column::Categorical(&a), Column::Categorical(&b));
    let found = check(Vendor::Deequ, "linf_robust", a, b, 0.419_501_552_810_007_6);
    assert_eq!(found.drift, Some(true));
}

#[test]
fn evidently_picks_by_rows_and_values() {
    let pick = |kind, rows, distinct| {
        Vendor::Evidently
            .default_statistic(kind, rows, distinct)
            .expect("always one")
    };
    for (kind, rows, distinct, expected) in [
        (Kind::Numeric, 1000, 6, "ks"),
        (Kind::Numeric, 1000, 5, "chisquare"),
        (Kind::Numeric, 1000, 2, "z"),
        (Kind::Numeric, 1001, 6, "wasserstein"),
        (Kind::Numeric, 1001, 5, "jensenshannon"),
        (Kind::Categorical, 1000, 3, "chisquare"),
        (Kind::Categorical, 1000, 2, "z"),
        (Kind::Categorical, 1001, 200, "jensenshannon"),
    ] {
        assert_eq!(pick(kind, rows, distinct), expected);
    }
    let (a, b) = (texts(&[30, 70]), texts(&[45, 55]));
    let (a, b) = (Column::Categorical(&a), Column::Categorical(&b));
    let found = Vendor::Evidently.score(None, a, b).expect("a value");
    // 2·(1 − scipy.stats.norm.cdf(|z|)) with the pooled variance.
    assert_eq!((found.statistic, found.drift), ("z", Some(true)));
    assert!(
        (found.value - 0.028_459_736_916_310_65).abs() < 1e-9,
        "{}",
        found.value
    );
    let found = Vendor::Evidently.score(None, a, a).expect("a value");
    assert_eq!(found.value, 1.0);
}

#[test]
fn nannyml_approximates_a_large_reference_closely() {
    let reference = rows(10_000, 7, 9973, 0.0);
    let current = rows(700, 13, 9001, -40.0);
    for statistic in ["kolmogorov_smirnov", "wasserstein"] {
        let value = |reference: &[f64]| {
            let fitted = nannyml::Fitted::new(statistic, Column::Numeric(reference));
            let found = fitted.expect("known").value(Column::Numeric(&current));
            found.expect("a value").value
        };
        // The same rows but one: exact. One row too many below the range makes most of the difference.
        let (approximate, exact) = (value(&reference), value(&reference[..9_999]));
        assert!(
            (approximate / exact - 1.0).abs() < 0.03,
            "{statistic}: {approximate}, {exact}"
        );
    }
    // A constant reference, and a chunk half below it and a quarter above.
    let constant = nannyml::Fitted::new("kolmogorov_smirnov", Column::Numeric(&[2.0; 10_000]));
    let chunk = Column::Numeric(&[1.0, 1.0, 2.0, 3.0]);
    let found = constant.expect("known").value(chunk).expect("a value");
    assert_eq!(found.value, 0.5);
}

#[test]
fn nannyml_refuses_a_range_that_is_no_number() {
    let (reference, chunk) = ([-1e308, 0.0, 1.0, 1e308], [0.0, 1.0]);
    let of = |statistic, reference: &[f64], chunk: &[f64]| {
        let fitted = nannyml::Fitted::new(statistic, Column::Numeric(reference)).expect("known");
        fitted.value(Column::Numeric(chunk))
    };
    for (a, b) in [(&reference[..], &chunk[..]), (&chunk[..], &reference[..])] {
        let refused = of("wasserstein", a, b).expect_err("refused").to_string();
        assert_eq!(
            refused,
            "wasserstein has no value: the range of its values is wider than a float can say"
        );
        assert!(of("kolmogorov_smirnov", a, b).is_ok_and(|found| found.value == 0.25));
    }
    for statistic in ["jensen_shannon", "hellinger"] {
        assert!(of(statistic, &reference, &chunk).is_err(), "{statistic}");
    }
}

#[test]
fn nannyml_takes_ten_chunks_where_nothing_is_said() {
    let reference = rows(105, 7, 97, 0.0);
    let found = Vendor::NannyMl.score(
        None,
        Column::Numeric(&reference),
        Column::Numeric(&reference),
    );
    let found = found.expect("a value");
    assert_eq!(
        (found.statistic, found.value, found.drift),
        ("jensen_shannon", 0.0, Some(false))
    );
    assert_eq!(
        found.parameters["threshold"],
        "mean + 3 deviations over reference chunks of 10 rows"
    );
}

#[test]
fn what_cannot_be_given_is_refused_in_words() {
    let (numbers, words) = (Column::Numeric(&[1.0]), Column::Categorical(&[Some("a")]));
    let message = |vendor: Vendor, statistic, reference, current| {
        vendor
            .score(statistic, reference, current)
            .expect_err("refused")
            .to_string()
    };
    for (vendor, statistic, reference, current, expected) in [
        (
            Vendor::NannyMl,
            Some("chi2"),
            numbers,
            numbers,
            "nannyml has no statistic \"chi2\" for a numeric column here; ask for one of jensen_shannon, \
             kolmogorov_smirnov, wasserstein, hellinger",
        ),
        (
            Vendor::Azure,
            None,
            numbers,
            words,
            "the reference is numeric, the current column categorical: a value needs two of one kind",
        ),
        (
            Vendor::Deequ,
            None,
            Column::Numeric(&[f64::NAN]),
            numbers,
            "the reference column has no usable value",
        ),
        (
            Vendor::Evidently,
            Some("chisquare"),
            words,
            words,
            "chisquare has no value: both samples hold one and the same value only",
        ),
    ] {
        assert_eq!(message(vendor, statistic, reference, current), expected);
    }
}

#[test]
fn names_are_read_back() {
    for vendor in Vendor::ALL {
        assert_eq!(Vendor::parse(vendor.name()), Some(vendor));
    }
    assert_eq!(Vendor::parse("alibi"), None);
}

/// Every vendor's every statistic: a finite number from 0 up, or a reason.
fn all_are_numbers(reference: Column, current: Column) -> Result<(), TestCaseError> {
    for vendor in Vendor::ALL {
        for statistic in vendor.statistics(reference.kind()) {
            if let Ok(judged) = vendor.score(Some(statistic), reference, current) {
                let value = judged.value;
                prop_assert!(
                    value.is_finite() && value >= 0.0,
                    "{vendor} {statistic}: {value}"
                );
                prop_assert!(
                    !judged.is_p_value || value <= 1.0,
                    "{vendor} {statistic}: {value}"
                );
                prop_assert!(judged.threshold.is_none_or(f64::is_finite));
            }
        }
    }
    Ok(())
}

#[test]
fn a_million_categories_have_numbers() {
    let names: Vec<String> = (0..1_000_000).map(|i| i.to_string()).collect();
    let names: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
    let (reference, current) = (
        Column::Categorical(&names),
        Column::Categorical(&names[..1000]),
    );
    let judged = Vendor::Evidently.score(Some("psi"), reference, current);
    assert!(judged.expect("a value").value.is_finite());
    let fitted = nannyml::Fitted::new("jensen_shannon", reference).expect("known");
    assert!(fitted.value(current).expect("a value").value > 0.9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn numbers_of_any_columns_are_numbers(
        a in proptest::collection::vec(any::<f64>(), 0..30),
        b in proptest::collection::vec(prop_oneof![any::<f64>(), Just(1.0), Just(f64::MAX), Just(f64::NAN)], 0..30),
    ) {
        all_are_numbers(Column::Numeric(&a), Column::Numeric(&b))?;
        all_are_numbers(Column::Numeric(&b), Column::Numeric(&a))?;
    }

    #[test]
    fn numbers_of_any_categories_are_numbers(
        a in proptest::collection::vec(proptest::option::of("[a-c]{0,1}"), 0..30),
        b in proptest::collection::vec(proptest::option::of("[b-e]{0,1}"), 0..30),
    ) {
        let a: Vec<Option<&str>> = a.iter().map(Option::as_deref).collect();
        let b: Vec<Option<&str>> = b.iter().map(Option::as_deref).collect();
        all_are_numbers(Column::Categorical(&a), Column::Categorical(&b))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Enough rows for NannyML's approximations.
    #[test]
    fn large_references_have_numbers(seed in proptest::collection::vec(any::<f64>(), 1..6), b in proptest::collection::vec(any::<f64>(), 1..9)) {
        let reference: Vec<f64> = seed.iter().copied().cycle().take(12_000).collect();
        for statistic in nannyml::statistics(Kind::Numeric) {
            let fitted = nannyml::Fitted::new(statistic, Column::Numeric(&reference)).expect("known");
            if let Ok(found) = fitted.value(Column::Numeric(&b)) {
                prop_assert!(found.value.is_finite() && found.value >= 0.0, "{statistic}: {}", found.value);
            }
        }
    }
}
