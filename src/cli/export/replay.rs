//! One model's results, put into a registry of their own again in the order of event time.
//!
//! **Invariant:** only calls that the service makes are made here, in the same order, so an export shows what a scrape
//! would have shown. The moment of a window is its end, that of a performance result the age of its labels beyond the
//! end, that of everything else its own event time; a revision comes when its watermark had passed.

use std::collections::BTreeMap;

use crate::event::{Key, Millis, Span};
use crate::metrics::{FiringRule, History, Judged, Metrics, Performed, RunOutcome, Runs};
use crate::retrain::Run;
use crate::service::judging::ANCHOR;
use crate::stats::score::{Score, Verdict};
use crate::store::alerts::TransitionRow;
use crate::store::performance::{PerformanceFilter, PerformanceRow, Stage};
use crate::store::registry::Move;
use crate::store::runs::RunRow;
use crate::store::windows::{WindowFilter, WindowRow};
use crate::store::{
    Store, StoreError, alerts, performance, registry, runs, scores, vitals, windows,
};

/// Something that changed what is shown. The order of the variants is the order within a moment.
enum Event {
    Window(WindowRow),
    Performance(PerformanceRow),
    Alert(TransitionRow),
    Run(RunRow),
    Champion(Move),
}

impl Event {
    fn at(&self) -> Millis {
        match self {
            Event::Window(row) if row.revision == 0 => row.span.end,
            Event::Window(row) => row.watermark.max(row.span.end),
            Event::Performance(row) => row.span.end + row.age,
            Event::Alert(row) => row.at,
            Event::Run(row) => row.requested,
            Event::Champion(row) => row.at,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Event::Window(_) => 0,
            Event::Performance(_) => 1,
            Event::Alert(_) => 2,
            Event::Run(_) => 3,
            Event::Champion(_) => 4,
        }
    }
}

/// How the model's series changed in `span`. What lies before is put in too, as counters begin there.
pub fn results(store: &Store, model: &str, span: Span) -> anyhow::Result<History> {
    let mut events = events(store, model)?;
    events.retain(|event| event.at() <= span.end);
    events.sort_by_key(|event| (event.at(), event.rank()));
    let shown_from = shown_from(&events, span.start);
    let mut replay = Replay::new(store, model)?;
    let mut history = History::default();
    for moment in events.chunk_by(|a, b| a.at() == b.at()) {
        let Some(at) = moment.first().map(Event::at) else {
            continue;
        };
        for event in moment {
            replay.put(event, at >= shown_from)?;
        }
        replay.end_silent(moment);
        if at >= shown_from {
            history.results(at.max(span.start), &replay.metrics);
        }
    }
    Ok(history)
}

/// From which moment on windows have to be put in with their scores: a key is shown until it misses a whole window, so
/// what is shown at `start` is of the last two moments of windows up to then.
fn shown_from(events: &[Event], start: Millis) -> Millis {
    let windows = events
        .iter()
        .filter(|event| matches!(event, Event::Window(_)));
    let mut moments: Vec<Millis> = windows.map(Event::at).filter(|at| *at <= start).collect();
    moments.dedup();
    moments.iter().rev().nth(1).copied().unwrap_or(Millis::MIN)
}

fn events(store: &Store, model: &str) -> anyhow::Result<Vec<Event>> {
    let of_model = WindowFilter {
        model: Some(model.to_owned()),
        ..WindowFilter::default()
    };
    let judged = PerformanceFilter {
        model: Some(model.to_owned()),
        stage: Some(Stage::Judged),
        ..PerformanceFilter::default()
    };
    let events = store.read(|conn| {
        let mut events = Vec::new();
        for row in windows::latest(conn, &of_model, u32::MAX)? {
            if row.revision == 0 {
                events.push(Event::Window(row));
            } else {
                let all = windows::revisions(conn, &row.key, row.span)?;
                events.extend(all.into_iter().map(Event::Window));
            }
        }
        let performed = performance::list(conn, &judged, u32::MAX)?;
        events.extend(performed.into_iter().map(Event::Performance));
        let mut transitions = alerts::transitions(conn, Some(model), u32::MAX)?;
        transitions.reverse();
        events.extend(transitions.into_iter().map(Event::Alert));
        let mut runs = runs::list(conn, Some(model), None, u32::MAX)?;
        runs.reverse();
        events.extend(runs.into_iter().map(Event::Run));
        let mut moves = registry::moves(conn, model)?;
        place(&mut moves, &events, vitals::event_time(conn)?);
        events.extend(moves.into_iter().map(Event::Champion));
        Ok::<_, StoreError>(events)
    })?;
    Ok(events)
}

/// A champion that was registered before anything had come has the clock's time: it belongs to where the results begin.
fn place(moves: &mut [Move], events: &[Event], event_time: Option<Millis>) {
    let begin = events.iter().map(Event::at).min();
    let mut latest = event_time.unwrap_or(Millis::MAX);
    for row in moves.iter_mut().rev() {
        if row.at > latest {
            row.at = begin.map_or(latest, |begin| begin.min(latest));
        }
        latest = row.at;
    }
}

struct Replay<'a> {
    store: &'a Store,
    model: &'a str,
    metrics: Metrics,
    /// What is firing, by rule, and since when.
    firing: BTreeMap<String, BTreeMap<Key, Millis>>,
    runs: BTreeMap<RunOutcome, Runs>,
}

impl<'a> Replay<'a> {
    fn new(store: &'a Store, model: &'a str) -> anyhow::Result<Self> {
        let metrics = Metrics::new("", "");
        metrics.declare(model, &[]);
        metrics.hold(model, &[]);
        let states = store.read(|conn| alerts::list(conn, Some(model), None))?;
        metrics.rules(model, states.iter().map(|state| state.rule.as_str()));
        Ok(Self {
            store,
            model,
            metrics,
            firing: BTreeMap::new(),
            runs: BTreeMap::new(),
        })
    }

    /// `shown`: not only counted.
    fn put(&mut self, event: &Event, shown: bool) -> anyhow::Result<()> {
        match event {
            Event::Window(row) => self.window(row, shown)?,
            Event::Performance(row) => {
                let scores: Vec<Score> = row
                    .body
                    .scores
                    .iter()
                    .map(|score| score.score.clone())
                    .collect();
                self.metrics.performed(&Performed {
                    key: &row.key,
                    window: row.span,
                    verdict: row.verdict,
                    rows: row.rows,
                    labelled: row.labelled,
                    scores: &scores,
                });
            }
            Event::Alert(row) => {
                let keys = self.firing.entry(row.rule.clone()).or_default();
                if row.to_status == "firing" {
                    keys.insert(row.key.clone(), row.at);
                } else {
                    keys.remove(&row.key);
                }
                let firing = self.firing.iter().filter_map(|(rule, keys)| {
                    Some(FiringRule {
                        rule: rule.clone(),
                        keys: keys.len() as u64,
                        since: *keys.values().max()?,
                    })
                });
                let firing: Vec<FiringRule> = firing.collect();
                self.metrics.alerts(self.model, &firing);
            }
            Event::Run(row) => {
                if let Some(outcome) = RunOutcome::of_status(row.status.as_str()) {
                    let runs = self.runs.entry(outcome).or_insert(Runs {
                        outcome,
                        total: 0,
                        newest: row.requested,
                    });
                    runs.total += 1;
                    runs.newest = row.requested;
                    let runs: Vec<Runs> = self.runs.values().copied().collect();
                    self.metrics.runs(self.model, &runs);
                }
                if let Some(gain) = Run::read(row.clone())?.body.gate.and_then(|gate| gate.gain) {
                    self.metrics.gate(self.model, gain.mean, gain.lower);
                }
            }
            Event::Champion(row) => self.metrics.champion(self.model, &row.version, row.at),
        }
        Ok(())
    }

    fn window(&self, row: &WindowRow, shown: bool) -> anyhow::Result<()> {
        let scores: Vec<Score> = if shown {
            let stored = self.store.read(|conn| scores::of_window(conn, row.id))?;
            let judged = stored.into_iter().filter(|stored| stored.rule != ANCHOR);
            judged.map(|stored| stored.score).collect()
        } else {
            Vec::new()
        };
        self.metrics.judged(&Judged {
            key: &row.key,
            window: row.span,
            revision: row.revision,
            rows: row.rows,
            verdict: row.verdict,
            scores: &scores,
        });
        let reference = row.reference_hash.as_deref().unwrap_or_default();
        self.metrics
            .model_info(self.model, &row.layout_hash, reference);
        Ok(())
    }

    /// A window in which no key had rows: the model is silent.
    fn end_silent(&self, moment: &[Event]) {
        let mut verdicts = moment
            .iter()
            .filter_map(|event| match event {
                Event::Window(row) if row.revision == 0 => Some(row.verdict),
                _ => None,
            })
            .peekable();
        if verdicts.peek().is_some() && verdicts.all(|verdict| verdict == Verdict::NoData) {
            self.metrics.forget_scores(self.model);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DAY;
    use crate::store::registry::Action;

    fn check(at: &[Millis], event_time: Option<Millis>, expect: &[Millis]) {
        let mut moves: Vec<Move> = at
            .iter()
            .map(|at| Move {
                model: "power".to_owned(),
                seq: 1,
                action: Action::Register,
                version: "1".to_owned(),
                hash: None,
                reference_hash: None,
                run: None,
                actor: "cli".to_owned(),
                at: *at,
                at_wall: 0,
            })
            .collect();
        let alert = TransitionRow {
            idempotency_key: String::new(),
            key: Key {
                model: "power".to_owned(),
                version: String::new(),
                segment: String::new(),
            },
            rule: "inputs".to_owned(),
            from_status: "inactive".to_owned(),
            to_status: "firing".to_owned(),
            at: DAY,
            window: Span::new(0, DAY),
            body: "{}".to_owned(),
        };
        place(&mut moves, &[Event::Alert(alert)], event_time);
        assert!(moves.iter().map(|row| &row.at).eq(expect), "{moves:?}");
    }

    #[test]
    fn a_champion_from_before_the_data_serves_from_their_beginning() {
        check(&[900 * DAY], Some(9 * DAY), &[DAY]);
        check(&[900 * DAY, 5 * DAY], Some(9 * DAY), &[DAY, 5 * DAY]);
        check(&[2 * DAY, 5 * DAY], Some(9 * DAY), &[2 * DAY, 5 * DAY]);
        check(&[900 * DAY, 0], Some(9 * DAY), &[0, 0]);
        check(&[900 * DAY], None, &[900 * DAY]);
    }
}
