//! A metric of a window as a score: with its standard error, what it is compared with, and the limit of its rule.

use std::collections::BTreeMap;

use crate::event::Millis;
use crate::metrics::{CONSTANT, STDERR};
use crate::performance::{Coverage, Estimate};
use crate::rules::performance::p_value;
use crate::rules::{Judgement, Rule};
use crate::service::baseline::Baseline;
use crate::service::quality_scores::condition_text;
use crate::stats::score::{Score, Threshold, ThresholdSource, Verdict};

/// The score of one metric, under a rule or under none. `excuse` says why it cannot be judged.
pub fn performance_score(
    rule: Option<&Rule>,
    estimate: &Estimate,
    baseline: Option<&Baseline>,
    coverage: &Coverage,
    age: Millis,
    excuse: Option<Verdict>,
) -> Score {
    let mut parameters = BTreeMap::new();
    let mut note = |name: &str, value: Option<String>| {
        parameters.extend(value.map(|value| (name.to_owned(), value)));
    };
    note("condition", rule.and_then(condition_text));
    note(
        STDERR,
        estimate.standard_error.map(|error| error.to_string()),
    );
    note("blocks", Some(estimate.blocks.to_string()));
    note(CONSTANT, estimate.constant.map(|value| value.to_string()));
    note("coverage", coverage.share().map(|share| share.to_string()));
    note("label_age_ms", Some(age.to_string()));
    note("reference", baseline.map(|b| b.value.to_string()));
    note(
        "reference_stderr",
        baseline
            .and_then(|b| b.standard_error)
            .map(|error| error.to_string()),
    );
    note("reference_source", baseline.map(|b| b.source.clone()));
    for (reason, rows) in &estimate.unusable {
        note(
            &format!("unusable: {}", reason.as_str()),
            Some(rows.to_string()),
        );
    }
    let limit = rule
        .and_then(|rule| rule.condition)
        .and_then(|condition| condition.limit.value(baseline.map(|b| b.value)));
    let verdict = match (excuse, estimate.value) {
        (Some(excuse), _) => excuse,
        (None, None) => Verdict::InsufficientData,
        (None, Some(_)) => Verdict::Ok,
    };
    let reason = match verdict {
        Verdict::NoData => "no label has come".to_owned(),
        Verdict::Incomplete => {
            "records of this window were lost before they could be read".to_owned()
        }
        _ if !estimate.reason.is_empty() => estimate.reason.clone(),
        Verdict::InsufficientData => "too few rows with labels".to_owned(),
        _ => "within its limit".to_owned(),
    };
    let score = Score {
        column: String::new(),
        statistic: estimate.metric.as_str().to_owned(),
        verdict,
        value: estimate.value,
        // How much worse than the reference, not below 0.
        effect: estimate.value.zip(baseline).map(|(value, baseline)| {
            let worse = if estimate.metric.higher_is_better() {
                baseline.value - value
            } else {
                value - baseline.value
            };
            worse.max(0.0)
        }),
        floor: 0.0,
        threshold: limit.map(|value| Threshold {
            value,
            source: ThresholdSource::Declared,
            level: None,
            overdispersion: None,
            blocks: baseline.map_or(0, |baseline| baseline.blocks),
            draws: None,
            extrapolated: false,
            false_alarms_per_week: None,
        }),
        p_value: None,
        error_bound: None,
        n_reference: baseline.map_or(0, |baseline| baseline.rows),
        n_current: estimate.n,
        method: "labels".to_owned(),
        parameters,
        backend: "cpu".to_owned(),
        moved: baseline
            .zip(estimate.value)
            .map(|(baseline, value)| format!("{:.4} → {value:.4}", baseline.value))
            .unwrap_or_default(),
        worst_slice: None,
        reason,
    };
    Score {
        p_value: rule.and_then(|rule| p_value(rule, &score)),
        ..score
    }
}

/// Only the rule knows the limit: what it makes of the score becomes the score's verdict.
pub fn tell(score: &mut Score, rule: &Rule, judgement: Judgement) {
    let limit = condition_text(rule).unwrap_or_default();
    let name = score.statistic.clone();
    (score.verdict, score.reason) = match judgement {
        Judgement::BeyondLimit => (Verdict::Drift, format!("{name} is {limit}")),
        Judgement::WithinLimit => (Verdict::Ok, format!("{name} is not {limit}")),
        Judgement::NotSignificant => (
            Verdict::Ok,
            format!("{name} is {limit}, yet no further than chance would bring it"),
        ),
        // There is a value, yet nothing says how sure it is.
        Judgement::InsufficientData => {
            score.verdict = Verdict::InsufficientData;
            return;
        }
        Judgement::NoReference => (
            Verdict::NoReference,
            "there is nothing to compare with yet".to_owned(),
        ),
        _ => return,
    };
}
