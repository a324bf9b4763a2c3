//! Rules over several columns at once: the score of a window, from sampled rows of it and of its reference.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::compute::backend::Compute;
use crate::compute::points::MAX_DIMS;
use crate::metrics::{Metrics, Stage};
use crate::profile::{Cells, Field, Layout};
use crate::query::RowSample;
use crate::reference::joint::{Together, Units, together, units, unjudged};
use crate::reference::{NullCache, OF_TRAINING, Reference};
use crate::rules::{Joint, KOfN, Rule};
use crate::service::judging::Case;
use crate::service::samples::{Occurrence, Sampled, Samples};
use crate::stats::Statistic;
use crate::stats::score::{Score, Verdict};

/// Why predictions are not compared with a reference whose own are a promoted model's.
pub const NOT_LOGGED: &str = "the reference has the promoted model's predictions for rows that another model predicted, counted but not row by row; name features only";

/// Rows of the reference, and of the window.
type Both = (Arc<RowSample>, Arc<RowSample>);

/// What a window of one key was asked for, so that its rows are read once.
pub struct WindowRows<'a> {
    samples: &'a Samples,
    of: Occurrence<'a>,
    reference: Option<&'a Reference>,
    taken: Option<(Sampled, Sampled)>,
}

impl<'a> WindowRows<'a> {
    pub fn new(samples: &'a Samples, case: Case<'a>) -> Self {
        Self {
            samples,
            of: Occurrence {
                model: case.model,
                layout: case.layout,
                key: case.key,
                window: case.window,
                revision: case.revision,
                rows: case.profile.rows,
            },
            reference: case.reference,
            taken: None,
        }
    }

    /// Rows of the reference and of the window; or why there are none.
    pub fn both(&mut self) -> anyhow::Result<Result<Both, String>> {
        let Some(reference) = self.reference else {
            return Ok(Err("there is no reference yet".to_owned()));
        };
        if self.taken.is_none() {
            let window = self.samples.of_window(self.of, reference)?;
            let reference = match &window {
                Ok(_) => self.samples.of_reference(self.of, reference)?,
                Err(reason) => Err(reason.clone()),
            };
            self.taken = Some((reference, window));
        }
        Ok(match self.taken.clone() {
            Some((Ok(reference), Ok(window))) => Ok((reference, window)),
            Some((Err(reason), _) | (_, Err(reason))) => Err(reason),
            None => Err("no rows were asked for".to_owned()),
        })
    }
}

/// The tools of a test.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    pub cache: &'a NullCache,
    pub compute: &'a Compute,
    pub metrics: &'a Metrics,
}

/// The score of a window under `rule`, whose options are `joint`. `level` is told how many windows the reference is
/// worth, and answers with the chance of a false drift in one window.
pub fn score(
    case: Case<'_>,
    rule: &Rule,
    joint: &Joint,
    required: KOfN,
    rows: &mut WindowRows<'_>,
    tools: Tools<'_>,
    level: impl FnOnce(f64) -> f64,
) -> anyhow::Result<Score> {
    let statistic = rule.statistic.unwrap_or(Statistic::Mmd);
    let none = |verdict, reason: &str| Ok(unjudged(statistic, verdict, reason.to_owned()));
    let declaration = &case.model.declaration;
    let columns = match columns(rule, case.layout.layout()) {
        Ok(columns) => columns,
        Err(reason) => return none(Verdict::SchemaError, &reason),
    };
    let Some(reference) = case
        .reference
        .filter(|reference| reference.profile.rows > 0)
    else {
        return none(Verdict::NoReference, "there is no reference yet");
    };
    if case.profile.rows == 0 {
        return none(Verdict::NoData, "the window has no rows");
    }
    if case.profile.rows < declaration.window.min_rows {
        let reason = format!(
            "the window has {} rows, {} are needed",
            case.profile.rows, declaration.window.min_rows
        );
        return none(Verdict::InsufficientData, &reason);
    }
    let feature = |index: &usize| {
        let column = case.layout.layout().columns.get(*index);
        column.is_some_and(|column| column.field.is_of_features())
    };
    if reference.source.starts_with(OF_TRAINING) && !columns.iter().all(feature) {
        return none(Verdict::SchemaError, NOT_LOGGED);
    }
    let (of_reference, of_window) = match rows.both()? {
        Ok(both) => both,
        Err(reason) => return none(Verdict::InsufficientData, &reason),
    };
    let layout = case.layout.layout();
    let most = Samples::overall(case.layout).min(joint.sample as usize);
    let worth = match units(reference, layout, &columns, tools.cache).0 {
        Units::Windows => reference.blocks.len() as f64,
        // All windows share the reference's sample.
        Units::Rows => {
            let rows = |sample: &RowSample| sample.rows.num_rows().clamp(1, most) as f64;
            rows(&of_reference) / rows(&of_window)
        }
    };
    let started = Instant::now();
    let plan = Together {
        layout,
        statistic,
        columns: &columns,
        joint,
        rows: Samples::overall(case.layout),
        reference,
        window: case.window,
        level: rule.level.unwrap_or_else(|| level(worth)),
        for_k: required.k,
        for_n: required.n,
        every: declaration.window.every,
        cache: tools.cache,
        compute: tools.compute,
    };
    let mut score = together(&plan, &of_reference, &of_window);
    let took = started.elapsed();
    let note = |score: &mut Score, name: &str, rows: u64| {
        score.parameters.insert(name.to_owned(), rows.to_string());
    };
    note(&mut score, "rows_reference", of_reference.rows_found());
    note(&mut score, "rows_window", of_window.rows_found());
    tools
        .metrics
        .computed(Stage::Together, &score.backend, took);
    tracing::info!(key = %case.key, rule = rule.name, statistic = score.statistic, backend = score.backend,
        took_secs = took.as_secs_f64(), reference = score.n_reference, window = score.n_current, "columns compared together");
    Ok(score)
}

/// The places of the rule's columns: those that it names, and the numeric features that its patterns match. A vector that is
/// named stands for its elements; patterns pass it over, because hundreds of elements leave the others no weight.
///
/// # Errors
/// A sentence, where a column that is named cannot be compared, or there is none.
fn columns(rule: &Rule, layout: &Layout) -> Result<Vec<usize>, String> {
    for name in rule.on.iter().filter(|glob| glob.is_exact()) {
        let found = layout.column(name.as_str());
        match found.and_then(|index| layout.columns.get(index)) {
            None => return Err(format!("the layout has no column {:?}", name.as_str())),
            Some(column) if matches!(column.cells, Cells::Categorical(_)) => {
                return Err(format!(
                    "{} is categorical here, and categories have no distance",
                    name.as_str()
                ));
            }
            Some(_) => {}
        }
    }
    let columns = layout.columns.iter().enumerate();
    let chosen = columns.filter(|(_, column)| {
        let named = rule
            .on
            .iter()
            .any(|glob| glob.is_exact() && glob.matches(&column.name));
        let numeric = matches!(column.cells, Cells::Numeric(_));
        let pattern = column.field == Field::Feature;
        numeric && (named || pattern && rule.covers(&column.name))
    });
    let chosen = chosen.flat_map(|(index, _)| layout.numbers_of(index));
    let chosen: Vec<usize> = chosen.collect::<BTreeSet<_>>().into_iter().collect();
    if chosen.is_empty() {
        return Err("no numeric column of the layout is named".to_owned());
    }
    if chosen.len() > MAX_DIMS {
        return Err(format!(
            "{} columns and elements of vectors are named, and at most {MAX_DIMS} are compared together; name fewer under `on`",
            chosen.len()
        ));
    }
    Ok(chosen)
}
