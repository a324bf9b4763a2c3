//! What performance is compared with: how well the version did in the reference windows, or at the gate.
//!
//! **Invariant:** a baseline is a function of results that are stored once and never changed, so a window gets the same
//! one whenever it is judged. How windows differ from each other is in its standard error: it is taken over whole
//! windows, never over rows.

use std::collections::BTreeMap;

use crate::event::{DAY, Key, Millis, Span, WEEK, rfc3339};
use crate::ingest::catalogue::Model;
use crate::performance::Metric;
use crate::retrain::Run;
use crate::rules::ReferenceSpec;
use crate::store::performance::{PerformanceFilter, PerformanceRow, Stage};
use crate::store::{Store, StoreError, performance, registry, runs, windows};

/// Fewest windows that a baseline is made of: one window says nothing about how windows differ.
const FEWEST_WINDOWS: usize = 2;
/// A reference without labels of its own (a file, a training set) takes the version's first windows of this length.
const FIRST_WINDOWS: Millis = 30 * DAY;

/// The value that a metric is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    pub value: f64,
    /// Of `value`, over whole windows (or, from the gate, over the blocks of the hold-out).
    pub standard_error: Option<f64>,
    /// Windows or blocks behind it.
    pub blocks: usize,
    /// Labelled rows behind it.
    pub rows: u64,
    /// Where it comes from, in words.
    pub source: String,
}

/// Finds the baselines of one key for one window, all metrics at once.
pub fn baselines(
    store: &Store,
    model: &Model,
    key: &Key,
    window: Span,
) -> Result<BTreeMap<Metric, Baseline>, StoreError> {
    let spec = &model.declaration.window;
    let reference = &model.declaration.reference;
    let moving = matches!(
        reference,
        ReferenceSpec::Trailing(_) | ReferenceSpec::SameHourOfWeek(_)
    );
    if !moving {
        let judged = gate(store, key, window)?;
        if !judged.is_empty() {
            return Ok(judged);
        }
    }
    let (name, enough) = (model.name.to_string(), spec.min_rows);
    let starts: Vec<Millis> = match reference {
        ReferenceSpec::First(length) => {
            let first = store.read(|conn| windows::first_with_rows(conn, &name, enough))?;
            let Some(first) = first.filter(|first| window.start >= first + length) else {
                return Ok(BTreeMap::new());
            };
            (0..)
                .map(|i| first + i * spec.every)
                .take_while(|start| *start < first + length)
                .collect()
        }
        ReferenceSpec::File(_) | ReferenceSpec::Training => {
            let mut rows = judged(store, key, Span::new(Millis::MIN, window.start))?;
            rows.sort_by_key(|row| row.span);
            let Some(first) = rows.first().map(|row| row.span.start) else {
                return Ok(BTreeMap::new());
            };
            if window.start < first + FIRST_WINDOWS {
                return Ok(BTreeMap::new());
            }
            (0..)
                .map(|i| first + i * spec.every)
                .take_while(|start| *start < first + FIRST_WINDOWS)
                .collect()
        }
        ReferenceSpec::Trailing(count) => (1..=Millis::from(*count))
            .rev()
            .map(|i| window.start - i * spec.span)
            .collect(),
        ReferenceSpec::SameHourOfWeek(weeks) => (1..=Millis::from(*weeks))
            .rev()
            .map(|i| window.start - i * WEEK)
            .collect(),
    };
    let (Some(first), Some(last)) = (starts.first(), starts.last()) else {
        return Ok(BTreeMap::new());
    };
    let all = Span::new(*first, (last + spec.span).min(window.start));
    let of_key = judged(store, key, all)?;
    let in_place = |rows: Vec<PerformanceRow>| {
        rows.into_iter()
            .filter(|row| starts.contains(&row.span.start) && row.labelled >= enough)
            .collect::<Vec<_>>()
    };
    let mut rows = in_place(of_key);
    if rows.len() < FEWEST_WINDOWS && !moving {
        // A version that came later is measured by what the model did before it.
        rows = in_place(judged_of_any(store, key, all)?);
    }
    Ok(of_windows(
        &rows,
        &format!("{reference}, {} windows", rows.len()),
    ))
}

/// How the version did at the gate, for windows that end after it took over: rows that it had never seen, as its later
/// windows are. Whoever is put back by a rollback keeps what it brought when it came.
fn gate(store: &Store, key: &Key, window: Span) -> Result<BTreeMap<Metric, Baseline>, StoreError> {
    let run = store.read(|conn| {
        let moves = registry::moves(conn, &key.model)?;
        let took_over = moves
            .into_iter()
            .filter(|moved| moved.version == key.version && moved.at < window.end)
            .filter_map(|moved| moved.run)
            .next_back();
        match took_over {
            Some(id) => runs::get(conn, &id),
            None => Ok(None),
        }
    })?;
    let Some(gate) = run
        .map(Run::read)
        .transpose()?
        .and_then(|run| run.body.gate)
    else {
        return Ok(BTreeMap::new());
    };
    let hold_out = rfc3339(gate.hold_out.start);
    let estimates = gate.challenger.into_iter();
    Ok(estimates
        .filter_map(|estimate| {
            let baseline = Baseline {
                value: estimate.value?,
                standard_error: estimate.standard_error,
                blocks: estimate.blocks as usize,
                rows: estimate.n,
                source: format!("the hold-out of its gate, from {hold_out}"),
            };
            Some((estimate.metric, baseline))
        })
        .collect())
}

fn judged(store: &Store, key: &Key, within: Span) -> Result<Vec<PerformanceRow>, StoreError> {
    let filter = PerformanceFilter {
        model: Some(key.model.clone()),
        version: Some(key.version.clone()),
        segment: Some(key.segment.clone()),
        stage: Some(Stage::Judged),
        after: Some(within.start),
        through: Some(within.end),
    };
    store.read(|conn| performance::list(conn, &filter, u32::MAX))
}

/// The version that has the most labelled rows there, the first by name of equals.
fn judged_of_any(
    store: &Store,
    key: &Key,
    within: Span,
) -> Result<Vec<PerformanceRow>, StoreError> {
    let filter = PerformanceFilter {
        model: Some(key.model.clone()),
        segment: Some(key.segment.clone()),
        stage: Some(Stage::Judged),
        after: Some(within.start),
        through: Some(within.end),
        ..PerformanceFilter::default()
    };
    let mut by_version: BTreeMap<String, Vec<PerformanceRow>> = BTreeMap::new();
    for row in store.read(|conn| performance::list(conn, &filter, u32::MAX))? {
        by_version
            .entry(row.key.version.clone())
            .or_default()
            .push(row);
    }
    let labelled = |rows: &Vec<PerformanceRow>| rows.iter().map(|row| row.labelled).sum::<u64>();
    Ok(by_version
        .into_values()
        .rev()
        .max_by_key(labelled)
        .unwrap_or_default())
}

/// Mean over windows, and its standard error from how much they differ.
fn of_windows(rows: &[PerformanceRow], source: &str) -> BTreeMap<Metric, Baseline> {
    let mut found = BTreeMap::new();
    for metric in Metric::ALL {
        let mut values: Vec<(Span, f64, u64)> = rows
            .iter()
            .filter_map(|row| {
                let scores = row.body.scores.iter();
                let mut of_metric =
                    scores.filter(|s| s.rule.is_empty() && s.score.statistic == metric.as_str());
                let score = &of_metric.next()?.score;
                Some((row.span, score.value?, score.n_current))
            })
            .collect();
        // In the order of time, so that the sums below have one order.
        values.sort_by_key(|(span, ..)| *span);
        if values.len() < FEWEST_WINDOWS {
            continue;
        }
        let count = values.len() as f64;
        let mean = values.iter().map(|(_, value, _)| value).sum::<f64>() / count;
        let squares = values
            .iter()
            .map(|(_, value, _)| (value - mean) * (value - mean))
            .sum::<f64>();
        found.insert(
            metric,
            Baseline {
                value: mean,
                standard_error: Some((squares / (count - 1.0) / count).sqrt()),
                blocks: values.len(),
                rows: values.iter().map(|(.., rows)| rows).sum(),
                source: source.to_owned(),
            },
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrain::champion::{Step, advance};
    use crate::retrain::testing::{DAYS, MODEL, NOW, World};
    use crate::retrain::{Answer, Mode, Worker};
    use crate::store::registry::Action;

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_put_back_is_compared_with_its_own_gate_as_before() {
        let world = World::new("promote");
        let retraining = &world.retraining;
        let registered = retraining.register(MODEL, "1", None, "ann").await;
        registered.expect("nobody was");
        let asked = retraining.ask_for(None, MODEL, Mode::Promote, "", false, "ann");
        let asked = asked.await.expect("the store works");
        assert!(matches!(asked, Ok(Answer::Accepted { .. })), "{asked:?}");
        let worker = Worker::new(retraining.clone(), "w".to_owned(), |_| false);
        worker.step().await.expect("works");
        let key = |version: &str| Key {
            model: MODEL.to_owned(),
            version: version.to_owned(),
            segment: String::new(),
        };
        let window = Span::new(DAYS * DAY, (DAYS + 1) * DAY);
        let of = |version| gate(world.store(), &key(version), window).expect("reads");
        let before = of("2");
        assert!(before.contains_key(&Metric::LogLoss), "{before:?}");

        let bad = Step {
            model: MODEL.to_owned(),
            action: Action::Force,
            version: "3".to_owned(),
            hash: None,
            expected_seq: 2,
            unregistered: None,
            reference: None,
            run: None,
            actor: "root".to_owned(),
            reason: String::new(),
            at: DAYS * DAY,
            at_wall: NOW,
        };
        let this = retraining.clone();
        let moved = world
            .store()
            .write_async(move |tx| advance(tx, &this, &bad))
            .await;
        assert!(moved.expect("written"));
        let back = retraining.rollback(MODEL, None, "ann").await;
        assert_eq!(back.expect("rolled back"), "2");
        assert_eq!(of("2"), before);
        assert!(of("1").is_empty() && of("3").is_empty());
    }
}
