//! What the tests of this room share.

use std::collections::BTreeMap;

use super::Store;
use super::commit::PartitionCommit;
use super::cursors::Counts;
use super::partials::PartialRow;
use super::windows::{Covered, NewWindow};
use crate::event::{DAY, Key, Partition, RecordKind, Span};
use crate::stats::score::{Score, Verdict};

/// A store in a folder of its own; the folder goes with the first part.
pub fn scratch() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(dir.path()).expect("a new store opens");
    (dir, store)
}

pub fn partition(number: i32) -> Partition {
    Partition {
        topic: "flights".to_string(),
        partition: number,
    }
}

pub fn key(version: &str) -> Key {
    Key {
        model: "delay".to_string(),
        version: version.to_string(),
        segment: String::new(),
    }
}

/// A commit that moves the cursor to `next_offset`, all records used, and does nothing else.
pub fn moved(number: i32, expected_seq: u64, next_offset: i64) -> PartitionCommit {
    PartitionCommit {
        partition: partition(number),
        kind: RecordKind::Predictions,
        expected_seq,
        next_offset,
        dedupe_offset: 0,
        counts: Counts {
            used: next_offset.cast_unsigned(),
            ..Counts::default()
        },
        streams: Vec::new(),
        partials: Vec::new(),
        pending: Vec::new(),
        lake: Vec::new(),
        learning: Vec::new(),
        rejections: Vec::new(),
        gaps: Vec::new(),
        gap_ends: Vec::new(),
    }
}

/// A partial of the first day that covers `0..to_offset`.
pub fn partial(to_offset: i64) -> PartialRow {
    PartialRow {
        key: key("7"),
        pane: Span::new(0, DAY),
        epoch: 0,
        layout_hash: "layout".to_string(),
        from_offset: 0,
        to_offset: to_offset - 1,
        rows: to_offset.cast_unsigned(),
        profile: format!("profile of {to_offset} rows").into_bytes(),
    }
}

/// A score that says `ok`.
pub fn score(column: &str, statistic: &str) -> Score {
    Score {
        column: column.to_string(),
        statistic: statistic.to_string(),
        verdict: Verdict::Ok,
        value: Some(0.1 + 0.2),
        effect: Some(0.25),
        floor: 0.1,
        threshold: None,
        p_value: None,
        error_bound: None,
        n_reference: 10,
        n_current: 20,
        method: "bins".to_string(),
        parameters: BTreeMap::new(),
        backend: "cpu".to_string(),
        moved: String::new(),
        worst_slice: None,
        reason: String::new(),
    }
}

/// A result of the day `day` without scores.
pub fn window(day: i64, revision: u32) -> NewWindow {
    NewWindow {
        key: key("7"),
        span: Span::new(day * DAY, (day + 1) * DAY),
        revision,
        verdict: Verdict::Ok,
        rows: 20,
        layout_hash: "layout".to_string(),
        reference_hash: None,
        watermark: (day + 1) * DAY,
        covered: vec![Covered {
            topic: "flights".to_string(),
            partition: 0,
            from_offset: 0,
            to_offset: 19,
            rows: 20,
        }],
        profile: b"profile".to_vec(),
        scores: Vec::new(),
    }
}
