use super::*;
use crate::event::DAY;
use crate::reference::sample;

/// Day `day` of quiet values 1 to 19, `rows` of them, each day's order its own.
fn values(day: u64, rows: u64) -> Vec<f64> {
    (0..rows)
        .map(|i| ((i * 7 + day * 3 + i * i % 11) % 19 + 1) as f64)
        .collect()
}

fn reference(layout: &Layout, days: u64, rows: u64) -> Reference {
    let blocks = (0..days)
        .map(|day| sample::block(layout, day as i64, &values(day, rows), "a"))
        .collect();
    Reference::from_blocks("m", "first: 9d", layout, blocks).expect("blocks")
}

fn judged(
    layout: &Layout,
    reference: Option<&Reference>,
    current: &Profile,
    level: f64,
    columns: &[&str],
) -> Vec<Score> {
    let cache = NullCache::new();
    let plan = Plan {
        layout,
        reference,
        window: Span::new(0, DAY),
        min_rows: 50,
        level,
        for_k: 1,
        for_n: 1,
        every: DAY,
        statistics: None,
        cache: &cache,
    };
    compare(
        &plan,
        current,
        &columns
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>(),
    )
}

#[track_caller]
fn check_all(scores: &[Score], verdict: Verdict, reason: &str) {
    assert!(!scores.is_empty());
    for score in scores {
        assert_eq!(
            (score.verdict, score.reason.as_str()),
            (verdict, reason),
            "{}",
            score.statistic
        );
        assert!(score.value.is_none() && score.p_value.is_none() && score.threshold.is_none());
    }
}

#[test]
fn where_there_is_nothing_to_judge_the_verdict_says_why() {
    let layout = sample::layout();
    let known = reference(&layout, 9, 200);
    let window = sample::profile(&layout, &values(10, 200), "a");
    let small = sample::profile(&layout, &values(10, 7), "a");
    let empty = Profile::new(&layout);
    check_all(
        &judged(&layout, None, &window, 0.01, &["x"]),
        Verdict::NoReference,
        "there is no reference yet",
    );
    check_all(
        &judged(&layout, Some(&known), &empty, 0.01, &["x", "c"]),
        Verdict::NoData,
        "the window has no rows",
    );
    check_all(
        &judged(&layout, Some(&known), &small, 0.01, &["x"]),
        Verdict::InsufficientData,
        "the window has 7 rows, 50 are needed",
    );
    check_all(
        &judged(&layout, Some(&known), &window, 0.01, &["y"]),
        Verdict::SchemaError,
        "the layout has no column \"y\"",
    );
    let scores = judged(&layout, Some(&known), &window, 1e-9, &["x"]);
    let drawn = &scores[2];
    assert_eq!(
        (drawn.statistic.as_str(), drawn.verdict),
        ("l_infinity", Verdict::InsufficientData)
    );
    assert_eq!(
        drawn.reason,
        "the level 1.0e-9 needs 1000000000 draws or more; at most 50000 are made, and their tail does not reach so far"
    );
}

#[test]
fn a_quiet_window_is_ok_and_a_moved_one_drifts_in_every_statistic() {
    let layout = sample::layout();
    let known = reference(&layout, 9, 400);
    let quiet = judged(
        &layout,
        Some(&known),
        &sample::profile(&layout, &values(20, 400), "a"),
        0.01,
        &["x", "c"],
    );
    assert_eq!(quiet.len(), 7 + 4);
    assert_eq!(
        (quiet[0].statistic.as_str(), quiet[7].statistic.as_str()),
        ("psi", "js")
    );
    for score in &quiet {
        assert_eq!(
            score.verdict,
            Verdict::Ok,
            "{}: {}",
            score.statistic,
            score.reason
        );
        assert!(score.threshold.is_some() && score.p_value.is_some_and(|p| p > 0.01));
    }
    let far: Vec<f64> = values(20, 400).iter().map(|x| x + 30.0).collect();
    let moved = judged(
        &layout,
        Some(&known),
        &sample::profile(&layout, &far, "new"),
        0.01,
        &["x", "c"],
    );
    for score in &moved {
        assert_eq!(
            score.verdict,
            Verdict::Drift,
            "{} {}: {}",
            score.column,
            score.statistic,
            score.reason
        );
        assert!(score.effect.is_some_and(|effect| effect > score.floor));
        assert!(score.p_value.is_some_and(|p| p <= 0.01) && !score.moved.is_empty());
    }
    assert_eq!(moved[6].moved, "mean 10.0 → 39.9");
}

#[test]
fn one_block_says_that_independence_is_assumed_and_a_small_reference_is_named() {
    let layout = sample::layout();
    let one = reference(&layout, 1, 400);
    let window = sample::profile(&layout, &values(3, 400), "a");
    for score in judged(&layout, Some(&one), &window, 0.01, &["x", "c"]) {
        let threshold = score.threshold.expect("judged");
        assert_eq!(
            threshold.source,
            ThresholdSource::AssumesIndependence,
            "{}",
            score.statistic
        );
        assert_eq!(threshold.overdispersion, None);
        assert!(score.parameters.contains_key("warning"));
    }
}

/// A constant has one cell: that a value left it shows in the extremes and the moments only.
#[test]
fn a_constant_that_moves_has_moved() {
    let layout = sample::layout_with(Vec::new(), 5.0);
    let blocks = (0..9)
        .map(|day| sample::block(&layout, day, &[5.0; 100], "a"))
        .collect();
    let constant = Reference::from_blocks("m", "first: 9d", &layout, blocks).expect("blocks");
    let judge = |values: &[f64]| {
        judged(
            &layout,
            Some(&constant),
            &sample::profile(&layout, values, "a"),
            0.01,
            &["x"],
        )
    };
    for score in judge(&[5.0; 100]) {
        assert_eq!(
            (score.verdict, score.value),
            (Verdict::Ok, Some(0.0)),
            "{}",
            score.statistic
        );
    }
    for score in judge(&[6.0; 100]) {
        assert_eq!(
            score.verdict,
            Verdict::Drift,
            "{}: {}",
            score.statistic,
            score.reason
        );
    }
    let shift = judge(&[6.0; 100]).pop().expect("mean shift");
    assert_eq!(shift.value, Some(1.0));
    let mut half = [5.0; 100];
    half[..50].fill(4.0);
    for score in judge(&half) {
        assert_eq!(
            score.verdict,
            Verdict::Drift,
            "{}: {}",
            score.statistic,
            score.reason
        );
    }
}

/// A spread of a billionth of a billionth of the values, and values far beyond what sums can hold.
#[test]
fn moments_far_from_zero_are_right_or_refused() {
    let far = |by: f64| -> Vec<f64> { (0..400).map(|i| 1e12 + f64::from(i % 7) + by).collect() };
    let layout = sample::learned(&far(0.0));
    let profile = |values: &[f64]| sample::counted(&layout, values);
    let block = crate::reference::Block {
        span: None,
        profile: profile(&far(0.0)),
    };
    let known = Reference::from_blocks("m", "file", &layout, vec![block]).expect("a block");
    let judge = |values: &[f64]| judged(&layout, Some(&known), &profile(values), 0.01, &["x"]);
    let shift = judge(&far(2.0)).pop().expect("mean shift");
    // Deviation 2 of 0 to 6, with divisor n − 1.
    assert!(
        (shift.value.expect("moments") - 1.0).abs() < 0.01,
        "{shift:?}"
    );
    assert_eq!(shift.verdict, Verdict::Drift, "{}", shift.reason);
    let mut outlier = far(0.0);
    outlier[7] = 3.4e38;
    let shift = judge(&outlier).pop().expect("mean shift");
    assert_eq!(
        (shift.verdict, shift.value),
        (Verdict::InsufficientData, None)
    );
    assert_eq!(
        shift.reason,
        "1 value of the window lies too far out to be in its sums, and moments without it would be wrong"
    );
}

#[test]
fn the_same_question_has_the_same_answer_whatever_was_asked_before() {
    let layout = sample::layout();
    let known = reference(&layout, 9, 300);
    let window = sample::profile(&layout, &values(12, 333), "z");
    let alone = judged(&layout, Some(&known), &window, 0.01, &["x"]);
    let after = judged(&layout, Some(&known), &window, 0.01, &["c", "x"]);
    assert_eq!(alone[..], after[4..]);
}

#[test]
fn values_that_are_only_nan_leave_the_moments_unjudged() {
    let layout = sample::layout();
    let known = reference(&layout, 9, 300);
    let scores = judged(
        &layout,
        Some(&known),
        &sample::profile(&layout, &[f64::NAN; 100], "a"),
        0.01,
        &["x"],
    );
    for score in scores {
        let unjudged = matches!(score.statistic.as_str(), "wasserstein" | "mean_shift");
        let expect = if unjudged {
            Verdict::InsufficientData
        } else {
            Verdict::Drift
        };
        assert_eq!(
            score.verdict, expect,
            "{}: {}",
            score.statistic, score.reason
        );
    }
}
