//! One partition's state: what became of each record, and what the next commit has to say.
//!
//! **Invariants.** A record's fate (used, late, duplicate, rejected) and its pane epoch depend on the records before
//! it in this partition and on nothing else. Records below the cursor, read again after a restart, only restore
//! sightings. A partial holds *all* rows of its (version, pane, epoch) up to the cursor, so a commit replaces what
//! the store had. Deliberately absent: Kafka, threads and clocks; `source` brings the records and the bounds.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use hashbrown::HashMap;

use crate::event::{Key, Limits, Millis, Partition, RecordKind, Span};
use crate::ingest::catalogue::Catalogue;
use crate::ingest::decode::{Decoder, Label, LabelDecoder, Rejection};
use crate::ingest::sightings::DedupeSpec;
use crate::ingest::stream::{PartialId, Stream};
use crate::store::{
    Counts, Gap, LoadedPartition, PartialRow, PartitionCommit, PendingRow, RejectionRow, Store,
    StoreError, StreamRow, lake, models, streams,
};

mod labels;
mod predictions;
#[cfg(test)]
mod tests;

pub use predictions::kept_apart;

/// A model without a layout is read ahead at most this far in one partition: what a layout is learned from, four
/// times over, so that a partition that waits for the others holds a bounded number of rows.
pub const PENDING_ROWS_CAP: u64 = 4 * LAYOUT_ROWS_PER_PARTITION;

/// Rows of one partition that a layout is learned from, in offset order. 256 quantile cells from 20,000 rows have
/// 80 rows each; more rows move the edges by less than the cells are wide.
pub const LAYOUT_ROWS_PER_PARTITION: u64 = 20_000;

/// Labels decoded before their fates must be told: far more than a poll brings.
const FULL_LABELS: usize = 1 << 20;

/// What the partition's records are, with what was decoded of them since the last time their fates were told.
enum Input {
    Predictions(Decoder),
    Labels(LabelDecoder, Vec<(i64, Label)>),
}

/// One message as it was read.
#[derive(Debug)]
pub struct Message<'a> {
    pub offset: i64,
    pub payload: Option<&'a [u8]>,
    /// Broker timestamp, whatever its type.
    pub broker_ts: Option<Millis>,
    /// The latest `ts` a record may carry: its append time, or the reading clock, before the skew is added.
    pub latest_ts: Millis,
}

/// What became of one model's predictions or labels since the last commit, for the metrics.
#[derive(Debug, Default)]
pub struct Tally {
    pub used: u64,
    pub late: u64,
    pub duplicate: u64,
    pub unknown_fields: u64,
    /// Of the used records that carry one.
    pub latencies_ms: Vec<f64>,
}

/// All that this process holds of one partition between two commits.
pub struct PartitionState {
    pub partition: Partition,
    seq: u64,
    /// Records below are already in the store.
    cursor: i64,
    next_offset: i64,
    counts: Counts,
    streams: BTreeMap<Arc<str>, Stream>,
    input: Input,
    /// Payloads of records of models without a layout, until their fate is known.
    held: HashMap<i64, Vec<u8>>,
    /// Offsets below the cursor whose `ts` was refused as too far in the future.
    refused: HashSet<i64>,
    pending: Vec<PendingRow>,
    rejections: Vec<RejectionRow>,
    gaps: Vec<Gap>,
    gap_ends: Vec<(String, Millis)>,
    dirty: bool,
    rows_since_commit: u64,
    tallies: BTreeMap<Arc<str>, Tally>,
    dedupe: DedupeSpec,
    /// Most versions kept apart for each model.
    versions: usize,
    store: Store,
    catalogue: Arc<Catalogue>,
}

impl PartitionState {
    /// Takes up a partition where the store says it was left; a partition that the store has never seen begins at
    /// `earliest`.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a thing of its own; the caller has them apart"
    )]
    pub fn load(
        partition: Partition,
        kind: RecordKind,
        earliest: i64,
        loaded: Option<LoadedPartition>,
        limits: &Limits,
        dedupe: &DedupeSpec,
        store: Store,
        catalogue: Arc<Catalogue>,
    ) -> Self {
        let carried = loaded
            .iter()
            .flat_map(|loaded| &loaded.streams)
            .filter(|row| row.used + row.late > 0);
        let carried = carried.map(|row| row.model.as_str());
        let input = match kind {
            RecordKind::Predictions => Input::Predictions(Decoder::new(limits.clone(), carried)),
            RecordKind::Labels => {
                Input::Labels(LabelDecoder::new(limits.clone(), carried), Vec::new())
            }
        };
        let mut state = Self {
            partition,
            seq: 0,
            cursor: earliest,
            next_offset: earliest,
            counts: Counts::default(),
            streams: BTreeMap::new(),
            input,
            held: HashMap::new(),
            refused: HashSet::new(),
            pending: Vec::new(),
            rejections: Vec::new(),
            gaps: Vec::new(),
            gap_ends: Vec::new(),
            dirty: false,
            rows_since_commit: 0,
            tallies: BTreeMap::new(),
            dedupe: dedupe.clone(),
            versions: limits.versions,
            store,
            catalogue,
        };
        if let Some(loaded) = loaded {
            state.restore(loaded);
        }
        state
    }

    fn restore(&mut self, loaded: LoadedPartition) {
        self.seq = loaded.seq;
        self.cursor = loaded.next_offset;
        self.next_offset = loaded.dedupe_offset.min(loaded.next_offset);
        self.counts = loaded.counts;
        self.refused = loaded
            .future_rejections
            .iter()
            .map(|row| row.offset)
            .collect();
        let kind = loaded.kind;
        for row in loaded.streams {
            let name: Arc<str> = Arc::from(row.model.as_str());
            let stream = self
                .streams
                .entry(name)
                .or_insert_with_key(|name| Stream::new(name, kind));
            stream.pending_rows = loaded.pending_rows.get(&row.model).copied().unwrap_or(0);
            stream.gap_open = loaded.open_gaps.contains(&row.model);
            stream.row = row;
        }
        for partial in loaded.partials {
            let name = Arc::from(partial.key.model.as_str());
            let stream = self
                .streams
                .entry(name)
                .or_insert_with_key(|name| Stream::new(name, kind));
            let version = Arc::from(partial.key.version.as_str());
            let id = PartialId {
                version,
                pane: partial.pane,
                epoch: partial.epoch,
            };
            stream
                .stored
                .insert(id, (partial.from_offset, partial.to_offset));
        }
    }

    /// The first offset to read: the cursor, or earlier to restore sightings.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// What became of every record below this offset is known.
    pub fn covered(&self) -> i64 {
        self.next_offset.max(self.cursor)
    }

    /// The log shows no record between what is to be read next and `end`, and never will: those offsets belong to marks
    /// of transactions and to records of aborted ones. The next commit moves the cursor there.
    pub fn nothing_before(&mut self, end: i64) {
        if end > self.covered() {
            self.next_offset = end;
            self.dirty = true;
        }
    }

    /// The offset up to which the store covers this partition.
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    pub fn rows_since_commit(&self) -> u64 {
        self.rows_since_commit
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn has_changes(&self) -> bool {
        self.dirty
    }

    /// Does a model still without a layout have so many rows waiting that reading should pause?
    pub fn waits_for_layout(&self) -> bool {
        self.streams.iter().any(|(name, stream)| {
            stream.pending_rows >= PENDING_ROWS_CAP
                && self
                    .catalogue
                    .get(name)
                    .is_some_and(|model| model.layout.is_none())
        })
    }

    /// The log begins at `earliest`, beyond what was to be read next. Offsets that were never counted are a gap;
    /// offsets that were only to restore sightings are not.
    pub fn log_begins_at(&mut self, earliest: i64) {
        if earliest > self.cursor {
            let touched = self.streams.iter_mut().map(|(name, stream)| {
                stream.gap_open = true;
                let from = stream
                    .row
                    .max_ts
                    .map_or(Millis::MIN, |ts| ts.min(stream.row.watermark));
                (name.to_string(), Span::new(from, Millis::MAX))
            });
            self.gaps.push(Gap {
                from_offset: self.cursor,
                to_offset: earliest,
                touched: touched.collect(),
            });
            self.cursor = earliest;
            self.dirty = true;
        }
        self.next_offset = self.next_offset.max(earliest);
    }

    /// Decodes one message. Returns the rejection, if it is one that counts now, for the dead-letter topic.
    pub fn push(&mut self, message: &Message<'_>) -> Option<Rejection> {
        if message.offset < self.next_offset {
            return None;
        }
        self.next_offset = message.offset + 1;
        let counted = message.offset < self.cursor;
        if counted && self.refused.remove(&message.offset) {
            return None;
        }
        // Below the cursor the decision on a record's `ts` was taken when it was first read.
        let latest_ts = if counted {
            Millis::MAX
        } else {
            message.latest_ts
        };
        self.dirty |= !counted;
        let Message {
            offset, payload, ..
        } = *message;
        let decoded = match &mut self.input {
            Input::Predictions(decoder) => decoder
                .push(offset, payload, latest_ts, &*self.catalogue)
                .map(|accepted| accepted.learning),
            Input::Labels(decoder, read) => decoder
                .push(payload, latest_ts, &*self.catalogue)
                .map(|label| read.push((offset, label)))
                .map(|()| false),
        };
        match decoded {
            Ok(learning) => {
                if learning && !counted {
                    self.held
                        .insert(offset, payload.unwrap_or_default().to_vec());
                }
                None
            }
            Err(_) if counted => None,
            Err(rejection) => {
                self.counts.rejected += 1;
                self.rows_since_commit += 1;
                self.rejections.push(RejectionRow {
                    offset: message.offset,
                    reason: rejection.reason,
                    model: rejection.model.clone(),
                    detail: rejection.detail.clone(),
                    broker_ts: message.broker_ts,
                });
                Some(rejection)
            }
        }
    }

    /// Tells the fate of every record decoded since the last call and counts the used ones.
    pub fn absorb(&mut self) -> Result<(), StoreError> {
        match &mut self.input {
            Input::Predictions(decoder) => {
                for decoded in decoder.take() {
                    self.absorb_batch(&decoded)?;
                }
                Ok(())
            }
            Input::Labels(_, read) => {
                let read = std::mem::take(read);
                self.absorb_labels(read)
            }
        }
    }

    /// Must [`PartitionState::absorb`] be called before the next message?
    pub fn is_full(&self) -> bool {
        match &self.input {
            Input::Predictions(decoder) => decoder.is_full(),
            Input::Labels(_, read) => read.len() >= FULL_LABELS,
        }
    }

    /// What its records are.
    pub fn kind(&self) -> RecordKind {
        match &self.input {
            Input::Predictions(_) => RecordKind::Predictions,
            Input::Labels(..) => RecordKind::Labels,
        }
    }

    /// The stream of a model, new with its first record here. Where windows were closed, or labels counted, already
    /// without this partition, which was added or reset since, its records come after that.
    fn enter(&mut self, model: &Arc<str>) -> Result<(), StoreError> {
        if self.streams.contains_key(model) {
            return Ok(());
        }
        let kind = self.kind();
        let mut stream = Stream::new(model, kind);
        let done = self.store.read(|conn| match kind {
            RecordKind::Predictions => {
                Ok(models::get(conn, model)?.and_then(|known| known.closed_through))
            }
            RecordKind::Labels => streams::labels_counted_through(conn, model),
        })?;
        stream.row.watermark = done.unwrap_or(Millis::MIN);
        self.streams.insert(Arc::clone(model), stream);
        Ok(())
    }

    /// Raises a model's watermark here because nothing of it came for a while although all was read.
    pub fn raise_watermark(&mut self, model: &str, watermark: Millis) {
        let kind = self.kind();
        let stream = self
            .streams
            .entry(Arc::from(model))
            .or_insert_with_key(|name| Stream::new(name, kind));
        if !stream.row.idle || watermark > stream.row.watermark {
            stream.row.watermark = stream.row.watermark.max(watermark);
            stream.row.idle = true;
            if std::mem::take(&mut stream.gap_open) {
                // Nothing of the model came since: what was lost lies before this.
                self.gap_ends.push((model.to_owned(), stream.row.watermark));
            }
            stream.dirty = true;
            self.dirty = true;
        }
    }

    /// Rows used so far of `model`, and its watermark here.
    pub fn stream(&self, model: &str) -> Option<&StreamRow> {
        self.streams.get(model).map(|stream| &stream.row)
    }

    /// Everything since the last commit, as one durable step, made at `now` in wall time.
    ///
    /// # Errors
    /// When what is kept for the lake cannot be put into its form: a defect.
    pub fn commit(&mut self, now: Millis) -> Result<PartitionCommit, StoreError> {
        let mut commit = PartitionCommit {
            partition: self.partition.clone(),
            kind: self.kind(),
            expected_seq: self.seq,
            next_offset: self.covered(),
            dedupe_offset: self.covered(),
            counts: self.counts,
            streams: Vec::new(),
            partials: Vec::new(),
            pending: std::mem::take(&mut self.pending),
            lake: Vec::new(),
            learning: Vec::new(),
            rejections: std::mem::take(&mut self.rejections),
            gaps: std::mem::take(&mut self.gaps),
            gap_ends: std::mem::take(&mut self.gap_ends),
        };
        for (name, stream) in &mut self.streams {
            stream.sightings.forget(
                &self.dedupe,
                commit.next_offset,
                stream.row.max_ts.unwrap_or(Millis::MIN),
            );
            commit.dedupe_offset = commit
                .dedupe_offset
                .min(stream.sightings.rebuild_from().unwrap_or(i64::MAX));
            if !stream.dirty {
                continue;
            }
            commit.streams.push(stream.row.clone());
            let kind = match commit.kind {
                RecordKind::Predictions => lake::Kind::Rows,
                RecordKind::Labels => lake::Kind::Labels,
            };
            commit.lake.extend(stream.kept.take(kind, name, now)?);
            let model = self.catalogue.get(name);
            let Some(layout) = model.as_ref().and_then(|model| model.layout.as_ref()) else {
                continue;
            };
            for (id, partial) in stream.partials.iter().filter(|(_, partial)| partial.dirty) {
                commit.partials.push(PartialRow {
                    key: Key {
                        model: name.to_string(),
                        version: id.version.to_string(),
                        segment: String::new(),
                    },
                    pane: id.pane,
                    epoch: id.epoch,
                    layout_hash: layout.hash().to_owned(),
                    from_offset: partial.from_offset,
                    to_offset: partial.to_offset,
                    rows: partial.profile.rows,
                    profile: partial.profile.to_bytes(),
                });
            }
        }
        let learning: HashSet<&str> = commit
            .pending
            .iter()
            .map(|row| row.model.as_str())
            .collect();
        commit.learning = learning.into_iter().map(str::to_owned).collect();
        commit.learning.sort();
        Ok(commit)
    }

    /// What the metrics are to hear of the commit just made.
    pub fn take_tallies(&mut self) -> BTreeMap<Arc<str>, Tally> {
        std::mem::take(&mut self.tallies)
    }

    /// The commit is durable: what it wrote is clean, and what is not being added to is let go.
    pub fn committed(&mut self, commit: &PartitionCommit, seq: u64) {
        self.seq = seq;
        self.cursor = commit.next_offset;
        self.dirty = false;
        self.rows_since_commit = 0;
        for (name, stream) in &mut self.streams {
            stream.dirty = false;
            let watermark = stream.row.watermark;
            // Rows of a pane beyond its horizon are late: its partials are never added to again.
            let horizon = self.catalogue.get(name).map_or(0, |model| {
                let window = &model.declaration.window;
                window.span - window.every + window.late_horizon
            });
            for (id, partial) in &mut stream.partials {
                partial.dirty = false;
                stream
                    .stored
                    .insert(id.clone(), (partial.from_offset, partial.to_offset));
            }
            stream.partials.retain(|id, _| id.pane.end > watermark);
            stream
                .stored
                .retain(|id, _| id.pane.end.saturating_add(horizon) > watermark);
        }
    }
}
