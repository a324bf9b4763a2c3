//! A store with one model, two versions, five days, an alert and some rejections.

use std::collections::BTreeMap;

use crate::event::{DAY, Key, Millis, Partition, Reason, RecordKind, Span};
use crate::rules::alert::{AlertState, AlertStatus, Transition};
use crate::stats::score::{FalseAlarms, Score, Threshold, ThresholdSource, Verdict};
use crate::store::alerts::{self, AlertRow, TransitionRow};
use crate::store::layouts::{self, StoredLayout};
use crate::store::references::{self, ReferenceRow};
use crate::store::scores::RuleScore;
use crate::store::windows::{self, Covered, NewWindow};
use crate::store::{
    Counts, Gap, PartitionCommit, RejectionRow, Store, StreamRow, commit, models, rejections,
};

pub const DAYS: Millis = 5;

fn key(version: &str) -> Key {
    Key {
        model: "delay".to_owned(),
        version: version.to_owned(),
        segment: String::new(),
    }
}

fn partition(number: i32) -> Partition {
    Partition {
        topic: "flights".to_owned(),
        partition: number,
    }
}

pub fn score(column: &str, statistic: &str, value: f64) -> Score {
    Score {
        column: column.to_owned(),
        statistic: statistic.to_owned(),
        verdict: if value > 0.1 {
            Verdict::Drift
        } else {
            Verdict::Ok
        },
        value: Some(value),
        effect: Some(value),
        floor: 0.05,
        threshold: Some(Threshold {
            value: 0.1,
            source: ThresholdSource::Blocks,
            level: Some(0.01),
            overdispersion: Some(3.5),
            blocks: 8,
            draws: Some(999),
            extrapolated: false,
            false_alarms_per_week: Some(FalseAlarms {
                mean: 0.01,
                p90: 0.02,
            }),
        }),
        p_value: Some(0.001),
        error_bound: None,
        n_reference: 1000,
        n_current: 100,
        method: "bins".to_owned(),
        parameters: BTreeMap::from([("bins".to_owned(), "10".to_owned())]),
        backend: "cpu".to_owned(),
        moved: "above 52.0: 10 % → 93 %".to_owned(),
        worst_slice: None,
        reason: "beyond threshold and floor".to_owned(),
    }
}

fn window(version: &str, day: Millis) -> NewWindow {
    let scores = ["dist", "temp"].into_iter().flat_map(|column| {
        ["psi", "ks"].map(|statistic| RuleScore {
            rule: "inputs".to_owned(),
            score: score(
                column,
                statistic,
                if column == "temp" {
                    0.1 * (day + 1) as f64
                } else {
                    0.01
                },
            ),
        })
    });
    NewWindow {
        key: key(version),
        span: Span::new(day * DAY, (day + 1) * DAY),
        revision: 0,
        verdict: Verdict::Drift,
        rows: 100,
        layout_hash: "layout".to_owned(),
        reference_hash: Some("reference".to_owned()),
        watermark: (day + 1) * DAY,
        covered: vec![Covered {
            topic: "flights".to_owned(),
            partition: 0,
            from_offset: 0,
            to_offset: 9,
            rows: 10,
        }],
        profile: vec![1],
        scores: scores.collect(),
    }
}

fn rejection(offset: i64, reason: Reason) -> RejectionRow {
    RejectionRow {
        offset,
        reason,
        model: None,
        detail: format!("record {offset}"),
        broker_ts: Some(DAY),
    }
}

fn moved(
    number: i32,
    counts: Counts,
    rejections: Vec<RejectionRow>,
    gaps: Vec<Gap>,
) -> PartitionCommit {
    let stream = StreamRow {
        model: "delay".to_owned(),
        watermark: DAY * Millis::from(number + 1),
        max_ts: Some(2 * DAY),
        idle: false,
        used: counts.used,
        late: counts.late,
        duplicate: counts.duplicate,
        versions: BTreeMap::new(),
        kind: RecordKind::Predictions,
    };
    PartitionCommit {
        partition: partition(number),
        kind: RecordKind::Predictions,
        expected_seq: 0,
        next_offset: 20,
        dedupe_offset: 10,
        counts,
        streams: vec![stream],
        partials: Vec::new(),
        pending: Vec::new(),
        lake: Vec::new(),
        learning: Vec::new(),
        rejections,
        gaps,
        gap_ends: Vec::new(),
    }
}

/// Fills an empty store.
pub fn fill(store: &Store) {
    store
        .write(|tx| {
            models::declare(tx, "delay", "rules/flights.yaml")?;
            models::set_first_window(tx, "delay", 0)?;
            models::advance(tx, "delay", None, DAYS * DAY)?;
            let layout = StoredLayout {
                hash: "layout".to_owned(),
                body: "{}".to_owned(),
            };
            layouts::insert_if_absent(tx, "delay", &layout)?;
            let reference = ReferenceRow {
                hash: "reference".to_owned(),
                model: "delay".to_owned(),
                source: "first: 30d".to_owned(),
                span: Some(Span::new(0, 30 * DAY)),
                layout_hash: "layout".to_owned(),
            };
            references::insert(tx, &reference, b"profile")?;
            references::bind(tx, "delay", "", None, "reference")?;
            for day in 0..DAYS {
                windows::insert(tx, &window("1", day))?;
                windows::insert(tx, &window("2", day))?;
            }
            windows::insert(
                tx,
                &NewWindow {
                    revision: 1,
                    rows: 101,
                    ..window("1", 0)
                },
            )?;

            let state = AlertState {
                status: AlertStatus::Firing,
                since: 2 * DAY,
                episode_start: Some(Span::new(DAY, 2 * DAY)),
                columns: vec!["temp".to_owned()],
                last_window: Some(Span::new(4 * DAY, 5 * DAY)),
                ..AlertState::default()
            };
            alerts::save(
                tx,
                &AlertRow {
                    key: key("1"),
                    rule: "inputs".to_owned(),
                    status: state.status.as_str().to_owned(),
                    since: state.since,
                    body: serde_json::to_string(&state)?,
                },
            )?;
            let transition = Transition {
                from: AlertStatus::Pending,
                to: AlertStatus::Firing,
                at: 2 * DAY,
                reason: "temp was bad in 3 of 5 windows".to_owned(),
                columns: vec!["temp".to_owned()],
                episode_start: state.episode_start,
            };
            alerts::log_transition(
                tx,
                &TransitionRow {
                    idempotency_key: "k".to_owned(),
                    key: key("1"),
                    rule: "inputs".to_owned(),
                    from_status: transition.from.as_str().to_owned(),
                    to_status: transition.to.as_str().to_owned(),
                    at: transition.at,
                    window: Span::new(DAY, 2 * DAY),
                    body: serde_json::to_string(&transition)?,
                },
            )?;

            let gap = Gap {
                from_offset: 3,
                to_offset: 7,
                touched: Vec::new(),
            };
            let refused = (10..13)
                .map(|offset| rejection(offset, Reason::TsInSeconds))
                .collect();
            let first = Counts {
                used: 14,
                late: 1,
                duplicate: 2,
                rejected: 3,
            };
            let second = Counts {
                used: 19,
                rejected: 1,
                ..Counts::default()
            };
            commit(
                tx,
                &[
                    moved(0, first, refused, vec![gap]),
                    moved(
                        1,
                        second,
                        vec![rejection(5, Reason::NullPayload)],
                        Vec::new(),
                    ),
                ],
            )?;
            rejections::mark_copied(tx, &partition(0), &[11])?;
            Ok(())
        })
        .expect("the store takes it");
}
