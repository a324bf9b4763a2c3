//! Judging one window of one key: scores against the reference, data quality, the verdict, and what the rules make
//! of it.
//!
//! **Invariant:** the result is a function of the profile, the reference, the declaration and the alert states; no
//! clock is read. Storing it is `closing`'s business.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::compute::backend::Compute;
use crate::event::{Key, Span};
use crate::ingest::catalogue::Model;
use crate::metrics::{Metrics, Stage};
use crate::profile::{CompiledLayout, Profile};
use crate::query::QueryError;
use crate::reference::slices::{self, worst_slice};
use crate::reference::{NullCache, OF_TRAINING, Plan, Reference, TestBudget, compare, level_for};
use crate::rules::{AlertState, AlertStatus, Evaluation, Judgement, KOfN, Rule, Watch, evaluate};
use crate::service::alerting::{AlertChange, Alerting, Occasion};
use crate::service::quality_scores::{condition_text, quality_scores};
use crate::service::samples::Samples;
use crate::service::together::{self, Tools, WindowRows};
use crate::stats::Statistic;
use crate::stats::score::{Score, Verdict, WorstSlice};
use crate::store::Store;
use crate::store::scores::RuleScore;

/// A window of one key, with everything that its verdict depends on.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub model: &'a Model,
    pub layout: &'a CompiledLayout,
    pub key: &'a Key,
    pub window: Span,
    pub revision: u32,
    pub profile: &'a Profile,
    pub reference: Option<&'a Reference>,
    /// What is compared beside it and never judged, where `reference` came with a promotion.
    pub anchor: Option<&'a Reference>,
    /// Records that may have belonged to it are lost.
    pub lost: bool,
}

/// The verdict on one window of one key, with its reasons.
#[derive(Debug, Clone)]
pub struct WindowResult {
    pub verdict: Verdict,
    pub scores: Vec<RuleScore>,
    /// Places in `scores` of what made the window bad.
    pub bad: Vec<usize>,
    pub alerts: Vec<AlertChange>,
}

impl WindowResult {
    /// The scores that made the window bad: for drift the column's primary statistic, or the one its rule names.
    pub fn judged_bad(&self) -> impl Iterator<Item = &Score> {
        self.bad
            .iter()
            .filter_map(|place| self.scores.get(*place))
            .map(|score| &score.score)
    }

    /// The columns in which a drift rule found drift.
    pub fn drifted(&self) -> impl Iterator<Item = &str> {
        self.judged_bad()
            .filter(|score| Statistic::parse(&score.statistic).is_some())
            // Several columns together are no column.
            .filter(|score| !score.column.is_empty())
            .map(|score| score.column.as_str())
    }
}

/// Judges windows; remembers calibrations, which cost far more than a comparison.
pub struct Judge {
    pub alerting: Alerting,
    metrics: Metrics,
    samples: Samples,
    compute: Arc<Compute>,
    cache: NullCache,
    levels: Mutex<HashMap<String, f64>>,
}

impl Judge {
    pub fn new(
        store: Store,
        metrics: Metrics,
        samples: Samples,
        compute: Arc<Compute>,
        receivers: Vec<String>,
    ) -> Self {
        let alerting = Alerting::new(store, receivers);
        Self {
            alerting,
            metrics,
            samples,
            compute,
            cache: NullCache::new(),
            levels: Mutex::default(),
        }
    }

    /// Judges a window. At revision 0 the rules are evaluated; later revisions only have scores.
    pub fn window(&self, case: Case<'_>) -> anyhow::Result<WindowResult> {
        let started = Instant::now();
        let mut rows = WindowRows::new(&self.samples, case);
        let mut scores = self.drift(case, &case.model.declaration.rules);
        scores.extend(self.together(case, &mut rows)?);
        scores.extend(self.beside(case));
        scores.extend(quality_scores(
            case.model,
            case.layout,
            case.profile,
            case.reference,
        ));
        if case.lost {
            for RuleScore { score, .. } in &mut scores {
                score.verdict = Verdict::Incomplete;
                "records of this window were lost before they could be read"
                    .clone_into(&mut score.reason);
            }
        }
        let on = Occasion {
            model: case.model,
            key: case.key,
            window: case.window,
            now: case.window.end,
        };
        let mut bad = Vec::new();
        let mut alerts = Vec::new();
        for rule in case
            .model
            .declaration
            .rules
            .iter()
            .filter(|rule| rule.watch != Watch::Freshness)
        {
            let of_rule = |scores: &[RuleScore]| -> Vec<Score> {
                let of_rule = scores.iter().filter(|score| score.rule == rule.name);
                of_rule.map(|score| score.score.clone()).collect()
            };
            if case.revision == 0 && rule.watch == Watch::Drift {
                let preview = self.alerting.preview(on, rule, &of_rule(&scores))?;
                self.explain(case, rule, &preview, &mut scores, &mut rows)?;
            }
            let of_rule = of_rule(&scores);
            let evaluation = if case.revision == 0 {
                let (evaluation, change) = self.alerting.evaluate(on, rule, &of_rule)?;
                alerts.extend(change);
                evaluation
            } else {
                // Judgements do not depend on the state, so a revision may ask for them without touching it.
                evaluate(rule, &AlertState::default(), &of_rule, on.window, on.now)
            };
            for (column, judgement) in &evaluation.judgements {
                let Some(place) = place_of(&scores, rule, column) else {
                    continue;
                };
                if judgement.bad() == Some(true) {
                    bad.push(place);
                }
                if rule.watch != Watch::Drift {
                    tell(&mut scores[place].score, rule, *judgement);
                }
            }
        }
        let drift_scores = || {
            scores
                .iter()
                .filter(|s| s.rule != ANCHOR && Statistic::parse(&s.score.statistic).is_some())
        };
        let judged = |s: &RuleScore| matches!(s.score.verdict, Verdict::Ok | Verdict::Drift);
        let unjudged = drift_scores().next().is_some() && !drift_scores().any(judged);
        let verdict = verdict(case, !bad.is_empty(), unjudged);
        self.metrics
            .computed(Stage::Compare, "cpu", started.elapsed());
        Ok(WindowResult {
            verdict,
            scores,
            bad,
            alerts,
        })
    }

    /// The scores of rules over several columns at once.
    fn together(
        &self,
        case: Case<'_>,
        rows: &mut WindowRows<'_>,
    ) -> anyhow::Result<Vec<RuleScore>> {
        let declaration = &case.model.declaration;
        let tools = Tools {
            cache: &self.cache,
            compute: &self.compute,
            metrics: &self.metrics,
        };
        let mut scores = Vec::new();
        for rule in &declaration.rules {
            let Some(joint) = &rule.joint else { continue };
            let required = self.required(case, rule);
            let level = |reference_windows| {
                self.level(&TestBudget {
                    false_alarms: rule.false_alarms.count,
                    per: rule.false_alarms.per,
                    columns: 1,
                    every: declaration.window.every,
                    for_k: required.k,
                    for_n: required.n,
                    reference_windows,
                })
            };
            let score = together::score(case, rule, joint, required, rows, tools, level)?;
            scores.push(RuleScore {
                rule: rule.name.clone(),
                score,
            });
        }
        Ok(scores)
    }

    /// Says where the worst drift of a rule is concentrated, if the window makes its alert pending or firing.
    fn explain(
        &self,
        case: Case<'_>,
        rule: &Rule,
        preview: &Evaluation,
        scores: &mut [RuleScore],
        rows: &mut WindowRows<'_>,
    ) -> anyhow::Result<()> {
        let alerts = matches!(
            preview.state.status,
            AlertStatus::Pending | AlertStatus::Firing
        );
        let bad = preview.judgements.iter();
        let bad = bad.filter(|(_, judgement)| judgement.bad() == Some(true));
        let places = bad.filter_map(|(column, _)| place_of(scores, rule, column));
        let effect = |place: &usize| scores[*place].score.effect.unwrap_or(0.0);
        // Of equals the first by name.
        let worst = places.rev().max_by(|a, b| effect(a).total_cmp(&effect(b)));
        let (Some(place), Some(reference), true) = (worst, case.reference, alerts) else {
            return Ok(());
        };
        let layout = case.layout.layout();
        let on: Vec<&str> = rule.on.iter().map(|glob| glob.as_str()).collect();
        let column = scores[place].score.column.clone();
        let of = if column.is_empty() {
            on.join(", ")
        } else {
            column.clone()
        };
        // It explains and judges nothing: no alert waits for it.
        let both = match rows.both() {
            Err(error) => match error.downcast::<QueryError>() {
                Ok(error) => Err(format!("its rows cannot be read: {error}")),
                Err(error) => return Err(error),
            },
            Ok(both) => both,
        };
        let of_training = reference.source.starts_with(OF_TRAINING);
        let logged = |index: usize| layout.columns[index].field.is_of_features();
        let found: WorstSlice = match both {
            Err(reason) => slices::none(&reason),
            Ok(_) if of_training && layout.column(&column).is_some_and(|index| !logged(index)) => {
                slices::none(together::NOT_LOGGED)
            }
            Ok((of_reference, of_window)) => {
                let started = Instant::now();
                let asked = slices::Asked {
                    layout,
                    reference,
                    cache: &self.cache,
                    compute: &self.compute,
                    column: layout.column(&column),
                    of: &of,
                    rows: Samples::overall(case.layout),
                };
                let found = worst_slice(&asked, &of_reference, &of_window);
                self.metrics
                    .computed(Stage::Slice, &found.backend, started.elapsed());
                found
            }
        };
        scores[place].score.worst_slice = Some(found);
        Ok(())
    }

    /// Overlapping windows share most of their rows, so k of n of them say little more than one does: the promise must
    /// hold as if one were enough.
    fn required(&self, case: Case<'_>, rule: &Rule) -> KOfN {
        if case.model.declaration.window.is_tumbling() {
            rule.required
        } else {
            KOfN { k: 1, n: 1 }
        }
    }

    /// Drift scores against the anchor, under no rule.
    fn beside(&self, case: Case<'_>) -> Vec<RuleScore> {
        if case.anchor.is_none() {
            return Vec::new();
        }
        let against = Case {
            reference: case.anchor,
            ..case
        };
        let mut scores = self.drift(against, &[]);
        for scored in &mut scores {
            ANCHOR.clone_into(&mut scored.rule);
        }
        scores
    }

    /// Drift scores of every column: under each of `rules` that covers it, or under none with the usual budget.
    fn drift(&self, case: Case<'_>, rules: &[Rule]) -> Vec<RuleScore> {
        let declaration = &case.model.declaration;
        let names = || {
            let columns = case.layout.layout.columns.iter();
            let columns = columns.filter(|column| column.stands_alone());
            columns.map(|column| &column.name)
        };
        let rules = || {
            let of_columns = |rule: &&Rule| rule.watch == Watch::Drift && rule.joint.is_none();
            rules.iter().filter(of_columns)
        };
        let nobody = Rule {
            on: Vec::new(),
            ..Rule::plain(NO_RULE, Watch::Drift)
        };
        let mut scores = Vec::new();
        for rule in rules().chain([&nobody]) {
            let covers = |name: &String| match rule.name.as_str() {
                NO_RULE => !rules().any(|rule| rule.covers(name)),
                _ => rule.covers(name),
            };
            let columns: Vec<String> = names().filter(|name| covers(name)).cloned().collect();
            if columns.is_empty() {
                continue;
            }
            let required = self.required(case, rule);
            let blocks = case
                .reference
                .map_or(1.0, |reference| reference.blocks.len() as f64);
            let level = rule.level.unwrap_or_else(|| {
                self.level(&TestBudget {
                    false_alarms: rule.false_alarms.count,
                    per: rule.false_alarms.per,
                    columns: columns.len(),
                    every: declaration.window.every,
                    for_k: required.k,
                    for_n: required.n,
                    reference_windows: blocks,
                })
            });
            let plan = Plan {
                layout: &case.layout.layout,
                reference: case.reference,
                window: case.window,
                min_rows: declaration.window.min_rows,
                level,
                for_k: required.k,
                for_n: required.n,
                every: declaration.window.every,
                statistics: named(rule.statistic),
                cache: &self.cache,
            };
            let compared = compare(&plan, case.profile, &columns);
            scores.extend(compared.into_iter().map(|score| RuleScore {
                rule: rule.name.clone(),
                score,
            }));
        }
        scores
    }

    fn level(&self, budget: &TestBudget) -> f64 {
        let key = format!("{budget:?}");
        let lock = || self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(level) = lock().get(&key) {
            return *level;
        }
        let level = level_for(budget);
        lock().insert(key, level);
        level
    }
}

/// Stands in place of a rule where scores compare with the anchor. No rule can have this name.
pub const ANCHOR: &str = "@anchor";
/// Stands where scores belong to no rule.
const NO_RULE: &str = "";

/// What a rule with this statistic has computed: the standard statistics, and the one it names if that is no standard
/// one.
fn named(statistic: Option<Statistic>) -> Option<Vec<Statistic>> {
    let named = statistic.filter(|statistic| !statistic.entry().standard)?;
    // Those of numeric columns are all of them; what does not apply to a column is left out there.
    Some(
        Statistic::for_column(true)
            .into_iter()
            .chain([named])
            .collect(),
    )
}

/// The score that speaks for a column under a rule.
fn place_of(scores: &[RuleScore], rule: &Rule, column: &str) -> Option<usize> {
    scores.iter().position(|s| {
        s.rule == rule.name
            && (s.score.column == column || !rule.watch.per_column())
            && rule
                .statistic
                .is_none_or(|statistic| statistic.entry().name == s.score.statistic)
    })
}

/// Only the rule knows the limit of a quality score: what it makes of it becomes the score's verdict.
fn tell(score: &mut Score, rule: &Rule, judgement: Judgement) {
    let limit = || condition_text(rule).unwrap_or_default();
    let (verdict, reason) = match judgement {
        Judgement::BeyondLimit => (Verdict::Drift, format!("{} is {}", rule.watch, limit())),
        Judgement::WithinLimit => (Verdict::Ok, format!("{} is not {}", rule.watch, limit())),
        Judgement::NotSignificant => {
            let reason = format!(
                "{} is {}, in so few rows that it may be chance",
                rule.watch,
                limit()
            );
            (Verdict::Ok, reason)
        }
        Judgement::NoReference => (Verdict::NoReference, "there is no reference yet".to_owned()),
        _ => return,
    };
    score.verdict = verdict;
    score.reason = reason;
}

fn verdict(case: Case<'_>, bad: bool, unjudged: bool) -> Verdict {
    let Case {
        model,
        profile,
        reference,
        lost,
        ..
    } = case;
    if lost {
        Verdict::Incomplete
    } else if profile.rows == 0 {
        Verdict::NoData
    } else if bad {
        Verdict::Drift
    } else if profile.rows < model.declaration.window.min_rows {
        Verdict::InsufficientData
    } else if reference.is_none() {
        Verdict::NoReference
    } else if unjudged {
        // Not one column could be judged at its level: that is no "ok".
        Verdict::InsufficientData
    } else {
        Verdict::Ok
    }
}
