//! Duplicates: which identities one model has lately shown in one partition.
//!
//! **Invariant:** whether a record is a duplicate is a function of its partition's log alone, and stays the same
//! when the sightings are rebuilt by reading again from [`Sightings::rebuild_from`]. To that end the *latest*
//! sighting of an identity counts, whatever became of that record, and a sighting ends by the log's own measures:
//! event time (`span`) and distance in offsets (`reach`). No identity is stored anywhere.

use std::collections::VecDeque;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::event::{MINUTE, Millis};

/// How far back a duplicate is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DedupeSpec {
    /// In event time, milliseconds behind the model's greatest accepted `ts` in the partition. 0 turns it off.
    pub span_ms: Millis,
    /// In offsets of the partition: bounds memory (about 70 bytes a record) and what a restart reads again.
    pub reach: i64,
}

impl DedupeSpec {
    /// Every record counts.
    pub fn off() -> Self {
        Self {
            span_ms: 0,
            ..Self::default()
        }
    }
}

impl Default for DedupeSpec {
    fn default() -> Self {
        Self {
            span_ms: 10 * MINUTE,
            reach: 500_000,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    offset: i64,
    ts: Millis,
}

/// The sightings of one (partition, model).
#[derive(Debug, Default)]
pub struct Sightings {
    latest: HashMap<u128, Sighting, foldhash::fast::RandomState>,
    order: VecDeque<(u128, Sighting)>,
}

impl Sightings {
    /// Was this identity seen within reach? `max_ts` is the greatest accepted `ts` so far.
    pub fn contains(&self, spec: &DedupeSpec, hash: u128, offset: i64, max_ts: Millis) -> bool {
        self.latest
            .get(&hash)
            .is_some_and(|seen| alive(spec, *seen, offset, max_ts))
    }

    /// Notes a sighting and forgets what is out of reach.
    pub fn note(&mut self, spec: &DedupeSpec, hash: u128, offset: i64, ts: Millis, max_ts: Millis) {
        if spec.span_ms > 0 {
            let seen = Sighting { offset, ts };
            self.latest.insert(hash, seen);
            self.order.push_back((hash, seen));
        }
        self.forget(spec, offset, max_ts);
    }

    /// Forgets, oldest first, what can no longer make a record at `offset` a duplicate.
    pub fn forget(&mut self, spec: &DedupeSpec, offset: i64, max_ts: Millis) {
        while let Some((hash, seen)) = self.order.front() {
            if alive(spec, *seen, offset, max_ts) {
                break;
            }
            if self
                .latest
                .get(hash)
                .is_some_and(|latest| latest.offset == seen.offset)
            {
                self.latest.remove(hash);
            }
            self.order.pop_front();
        }
    }

    /// The offset from which reading again restores these sightings; `None` when there is nothing to restore.
    pub fn rebuild_from(&self) -> Option<i64> {
        self.order.front().map(|(_, seen)| seen.offset)
    }
}

fn alive(spec: &DedupeSpec, seen: Sighting, offset: i64, max_ts: Millis) -> bool {
    seen.ts >= max_ts.saturating_sub(spec.span_ms) && offset - seen.offset <= spec.reach
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec() -> DedupeSpec {
        DedupeSpec {
            span_ms: 100,
            reach: 20,
        }
    }

    /// Feeds a log of (identity, ts) and returns which records are duplicates, beginning at `from` with what a
    /// store would hold (`max_ts`), and judging from `judge_from` on.
    fn duplicates(
        log: &[(u128, Millis)],
        from: usize,
        judge_from: usize,
        max_ts: Option<Millis>,
    ) -> (Vec<bool>, Option<i64>, Option<Millis>) {
        let mut sightings = Sightings::default();
        let mut max_ts = max_ts;
        let mut verdicts = Vec::new();
        for (i, (hash, ts)) in log.iter().enumerate().skip(from) {
            let offset = i as i64;
            let high = max_ts.unwrap_or(Millis::MIN);
            let duplicate = sightings.contains(&spec(), *hash, offset, high);
            if i >= judge_from {
                verdicts.push(duplicate);
                if !duplicate {
                    max_ts = max_ts.max(Some(*ts));
                }
            }
            sightings.note(&spec(), *hash, offset, *ts, max_ts.unwrap_or(Millis::MIN));
        }
        (verdicts, sightings.rebuild_from(), max_ts)
    }

    #[test]
    fn the_first_record_wins_within_the_span() {
        let log = [(1, 0), (2, 10), (1, 20), (3, 300), (1, 301)];
        assert_eq!(
            duplicates(&log, 0, 0, None).0,
            [false, false, true, false, false]
        );
    }

    proptest! {
        /// Stopping anywhere and reading again from `rebuild_from` judges the rest as if nothing had happened.
        #[test]
        fn a_rebuild_changes_no_verdict(
            log in prop::collection::vec((0u128..12, 0i64..400), 1..80), cut in 0usize..80,
        ) {
            let cut = cut.min(log.len());
            let (whole, _, _) = duplicates(&log, 0, 0, None);
            let (head, from, max_ts) = duplicates(&log[..cut], 0, 0, None);
            let from = from.map_or(cut, |offset| offset as usize);
            let (tail, _, _) = duplicates(&log, from, cut, max_ts);
            prop_assert_eq!(whole, [head, tail].concat());
        }
    }
}
