//! Scores of data quality: one for each quality rule and column it covers, with the reference's value beside it.
//!
//! The rule alone knows its limit, so a score here says "ok" until `judging` hears what the rule makes of it.

use std::collections::BTreeMap;

use crate::ingest::catalogue::Model;
use crate::profile::{ColumnProfile, CompiledLayout, Profile};
use crate::reference::Reference;
use crate::rules::{Rule, Side, Watch};
use crate::stats::quality::{self, Rate};
use crate::stats::score::{Score, Threshold, ThresholdSource, Verdict};
use crate::store::scores::RuleScore;

/// One score for each quality rule and column it covers.
pub fn quality_scores(
    model: &Model,
    layout: &CompiledLayout,
    profile: &Profile,
    reference: Option<&Reference>,
) -> Vec<RuleScore> {
    let mut scores = Vec::new();
    for rule in &model.declaration.rules {
        let mut push = |score: Score| {
            scores.push(RuleScore {
                rule: rule.name.clone(),
                score,
            })
        };
        match rule.watch {
            Watch::Drift | Watch::Freshness | Watch::Performance => {}
            Watch::NullRate | Watch::Unseen | Watch::OutOfDomain | Watch::WrongType => {
                for (place, column) in layout.layout.columns.iter().enumerate() {
                    let Some(current) = profile
                        .columns
                        .get(place)
                        .filter(|_| column.stands_alone() && rule.covers(&column.name))
                    else {
                        continue;
                    };
                    let rate = |profile: &ColumnProfile| -> Option<Rate> {
                        match rule.watch {
                            Watch::NullRate => Some(quality::null_rate(profile)),
                            Watch::Unseen => quality::unseen_rate(profile),
                            Watch::OutOfDomain => quality::out_of_domain_rate(column, profile),
                            _ => Some(quality::wrong_type_rate(profile)),
                        }
                    };
                    let Some(now) = rate(current) else { continue };
                    let before = reference
                        .and_then(|r| r.profile.columns.get(place))
                        .and_then(rate);
                    push(rate_score(rule, &column.name, now, before));
                }
            }
            Watch::SchemaChange => {
                let change =
                    quality::schema_change(&layout.layout, profile, reference.map(|r| &r.profile));
                let mut score =
                    quality_score(rule, "", Some(change.value() as f64), profile.rows, 0);
                if profile.rows < model.declaration.window.min_rows {
                    score.verdict = Verdict::InsufficientData;
                    "too few rows to say that a column is gone".clone_into(&mut score.reason);
                }
                let wrong = change
                    .wrong_type
                    .iter()
                    .map(|(name, rows)| format!("{name} has another type in {rows} rows"));
                let absent = change.absent.iter().map(|name| format!("{name} is gone"));
                let unknown = change
                    .unknown
                    .iter()
                    .map(|(name, rows)| format!("{name} is new in {rows} rows"));
                score.moved = absent
                    .chain(wrong)
                    .chain(unknown)
                    .collect::<Vec<_>>()
                    .join(", ");
                push(score);
            }
            Watch::Volume => {
                let block_rows: Vec<u64> = reference
                    .iter()
                    .flat_map(|reference| &reference.blocks)
                    .map(|block| block.profile.rows)
                    .collect();
                let volume = quality::volume(profile.rows, &block_rows);
                let mut score = quality_score(
                    rule,
                    "",
                    Some(profile.rows as f64),
                    profile.rows,
                    block_rows.len() as u64,
                );
                // Silence has a value: a window without rows is judged, not excused.
                score.verdict = if volume.reference_mean.is_some() {
                    Verdict::Ok
                } else {
                    Verdict::NoReference
                };
                if let Some(mean) = volume.reference_mean {
                    score
                        .parameters
                        .insert("reference".to_owned(), mean.to_string());
                    score.moved = format!("{mean:.0} rows → {}", profile.rows);
                }
                push(score);
            }
        }
    }
    scores
}

fn rate_score(rule: &Rule, column: &str, now: Rate, before: Option<Rate>) -> Score {
    let mut score = quality_score(
        rule,
        column,
        now.value(),
        now.n,
        before.map_or(0, |rate| rate.n),
    );
    let before = before.and_then(|rate| rate.value());
    if let Some(condition) = rule.condition
        && let Some(limit) = condition.limit.value(before)
    {
        score.threshold = Some(Threshold {
            value: limit,
            source: ThresholdSource::Declared,
            level: None,
            overdispersion: None,
            blocks: 0,
            draws: None,
            extrapolated: false,
            false_alarms_per_week: None,
        });
        if condition.side == Side::Above {
            score.p_value = Some(quality::rate_exceeds(
                now.count,
                now.n,
                limit.clamp(0.0, 1.0),
            ));
        }
    }
    if let Some(before) = before {
        score
            .parameters
            .insert("reference".to_owned(), before.to_string());
        score.moved = format!(
            "{:.1} % → {:.1} %",
            100.0 * before,
            100.0 * now.value().unwrap_or(0.0)
        );
    }
    score
}

/// A score about counts; `None` where there was nothing to count.
pub fn quality_score(
    rule: &Rule,
    column: &str,
    value: Option<f64>,
    n_current: u64,
    n_reference: u64,
) -> Score {
    let mut parameters = BTreeMap::new();
    if let Some(condition) = condition_text(rule) {
        parameters.insert("condition".to_owned(), condition);
    }
    Score {
        column: column.to_owned(),
        statistic: rule.watch.as_str().to_owned(),
        verdict: if value.is_some() {
            Verdict::Ok
        } else {
            Verdict::NoData
        },
        value,
        effect: None,
        floor: 0.0,
        threshold: None,
        p_value: None,
        error_bound: None,
        n_reference,
        n_current,
        method: "counts".to_owned(),
        parameters,
        backend: "cpu".to_owned(),
        moved: String::new(),
        worst_slice: None,
        reason: if value.is_some() {
            "within its limit".to_owned()
        } else {
            "no rows to judge".to_owned()
        },
    }
}

/// The rule's condition as it would be written.
pub fn condition_text(rule: &Rule) -> Option<String> {
    Some(rule.condition?.text(rule.watch.unit()?))
}
