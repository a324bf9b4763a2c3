//! One model in one partition: its watermark, its sightings, the partials its rows are counted in, and what is kept of
//! them for the lake. A stream of labels has no partials.
//!
//! **Invariant:** a record's fate and pane epoch depend on the records of this stream before it and on nothing else;
//! a partial in memory holds everything that the stored one holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::event::{Key, Millis, Partition, RecordKind, Span};
use crate::ingest::catalogue::Model;
use crate::ingest::kept::Kept;
use crate::ingest::sightings::{DedupeSpec, Sightings};
use crate::profile::{CompiledLayout, Profile};
use crate::store::{Store, StoreError, StreamRow, partials};

/// Names one partial inside a (partition, model).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PartialId {
    pub(super) version: Arc<str>,
    pub(super) pane: Span,
    pub(super) epoch: u32,
}

#[derive(Debug)]
pub(super) struct Partial {
    pub(super) profile: Profile,
    pub(super) from_offset: i64,
    pub(super) to_offset: i64,
    pub(super) dirty: bool,
}

/// One model in one partition.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) row: StreamRow,
    pub(super) sightings: Sightings,
    pub(super) partials: HashMap<PartialId, Partial>,
    /// Partials that the store has and memory may not, with the offsets that they cover.
    pub(super) stored: HashMap<PartialId, (i64, i64)>,
    /// Rows of this stream that wait in the store for a layout.
    pub(super) pending_rows: u64,
    /// A gap lies before the next accepted record, which will say until when.
    pub(super) gap_open: bool,
    /// For the lake.
    pub(super) kept: Kept,
    pub(super) dirty: bool,
}

/// What became of an accepted record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Used { pane: Span, epoch: u32 },
    Late,
    Duplicate,
}

impl Stream {
    pub(super) fn new(model: &str, kind: RecordKind) -> Self {
        Self {
            row: StreamRow {
                model: model.to_owned(),
                watermark: Millis::MIN,
                max_ts: None,
                idle: false,
                used: 0,
                late: 0,
                duplicate: 0,
                versions: BTreeMap::new(),
                kind,
            },
            sightings: Sightings::default(),
            partials: HashMap::new(),
            stored: HashMap::new(),
            pending_rows: 0,
            gap_open: false,
            kept: Kept::default(),
            dirty: false,
        }
    }

    pub(super) fn judge(
        &mut self,
        model: &Model,
        dedupe: &DedupeSpec,
        offset: i64,
        ts: Millis,
        id: Option<u128>,
    ) -> Fate {
        let window = &model.declaration.window;
        let fate = if id.is_some_and(|hash| self.was_seen(dedupe, hash, offset)) {
            Fate::Duplicate
        } else {
            let pane = window.pane(ts);
            match window.epoch(pane, self.row.watermark) {
                Some(epoch) => Fate::Used { pane, epoch },
                None => Fate::Late,
            }
        };
        if let Fate::Used { .. } = fate {
            self.advance(ts, window.lateness);
        }
        if let Some(hash) = id {
            self.note(dedupe, hash, offset, ts);
        }
        fate
    }

    /// A label is used unless it is a duplicate; none is late. Returns whether it is used.
    pub(super) fn judge_label(
        &mut self,
        lateness: Millis,
        dedupe: &DedupeSpec,
        offset: i64,
        ts: Millis,
        identity: u128,
    ) -> bool {
        let used = !self.was_seen(dedupe, identity, offset);
        if used {
            self.advance(ts, lateness);
        }
        self.note(dedupe, identity, offset, ts);
        used
    }

    fn was_seen(&self, dedupe: &DedupeSpec, identity: u128, offset: i64) -> bool {
        let max_ts = self.row.max_ts.unwrap_or(Millis::MIN);
        self.sightings.contains(dedupe, identity, offset, max_ts)
    }

    fn advance(&mut self, ts: Millis, lateness: Millis) {
        let greatest = self.row.max_ts.unwrap_or(Millis::MIN).max(ts);
        self.row.max_ts = Some(greatest);
        self.row.watermark = self.row.watermark.max(greatest.saturating_sub(lateness));
        self.row.idle = false;
    }

    /// Remembers a sighting, new or read again after a restart.
    pub(super) fn note(&mut self, dedupe: &DedupeSpec, identity: u128, offset: i64, ts: Millis) {
        let max_ts = self.row.max_ts.unwrap_or(Millis::MIN);
        self.sightings.note(dedupe, identity, offset, ts, max_ts);
    }

    pub(super) fn partial(
        &mut self,
        store: &Store,
        partition: &Partition,
        model: &str,
        layout: &CompiledLayout,
        id: PartialId,
    ) -> Result<&mut Partial, StoreError> {
        if !self.partials.contains_key(&id) {
            let mut partial = Partial {
                profile: Profile::new(&layout.layout),
                from_offset: i64::MAX,
                to_offset: 0,
                dirty: false,
            };
            if let Some((from_offset, to_offset)) = self.stored.get(&id).copied() {
                let key = Key {
                    model: model.to_owned(),
                    version: id.version.to_string(),
                    segment: String::new(),
                };
                let found = store.read(|conn| {
                    partials::load_partial(conn, partition, &key, id.pane, id.epoch)
                })?;
                if let Some(bytes) = found {
                    partial.profile =
                        Profile::from_bytes(&bytes, &layout.layout).map_err(StoreError::damaged)?;
                    (partial.from_offset, partial.to_offset) = (from_offset, to_offset);
                }
            }
            self.partials.insert(id.clone(), partial);
        }
        Ok(self
            .partials
            .entry(id)
            .or_insert_with(|| unreachable!("inserted just above")))
    }
}
