//! The fates of predictions: counted into partials, or waiting for a layout; kept for the lake where the model keeps rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, Float64Array};

use super::PartitionState;
use crate::event::{Batch, OTHER_VERSIONS};
use crate::ingest::decode::Decoded;
use crate::ingest::kept::{KeptRow, keeps, rows_batch};
use crate::ingest::stream::{Fate, PartialId};
use crate::profile::{CompiledLayout, Field};
use crate::store::{PendingRow, StoreError, lake};

impl PartitionState {
    pub(super) fn absorb_batch(&mut self, decoded: &Decoded) -> Result<(), StoreError> {
        let batch = &decoded.batch;
        let Some(model) = self.catalogue.get(&batch.model) else {
            return Ok(());
        };
        self.enter(&batch.model)?;
        let Some(stream) = self.streams.get_mut(&batch.model) else {
            return Ok(());
        };
        // Which versions are kept apart is settled by the order in which this partition's log shows them.
        let mut versions: Vec<Option<Arc<str>>> = vec![None; batch.version_names.len()];
        let tally = self.tallies.entry(Arc::clone(&batch.model)).or_default();
        let latencies = decoded
            .layout
            .as_ref()
            .and_then(|layout| latency_column(layout, batch));
        let mut groups: Vec<(PartialId, Vec<u32>)> = Vec::new();
        let mut last_group = 0;
        let rows_kept = model.declaration.rows;
        let mut kept: Vec<KeptRow> = Vec::new();
        for row in 0..batch.rows() {
            let (offset, ts) = (batch.offsets[row], batch.ts[row]);
            if offset < self.cursor {
                if let Some(hash) = batch.id_hashes[row] {
                    stream.note(&self.dedupe, hash, offset, ts);
                }
                continue;
            }
            self.rows_since_commit += 1;
            stream.dirty = true;
            let payload = self.held.remove(&offset);
            let watermark = stream.row.watermark;
            match stream.judge(&model, &self.dedupe, offset, ts, batch.id_hashes[row]) {
                Fate::Duplicate => {
                    self.counts.duplicate += 1;
                    stream.row.duplicate += 1;
                    tally.duplicate += 1;
                }
                Fate::Late => {
                    self.counts.late += 1;
                    stream.row.late += 1;
                    tally.late += 1;
                }
                Fate::Used { pane, epoch } => {
                    self.counts.used += 1;
                    stream.row.used += 1;
                    tally.used += 1;
                    tally.latencies_ms.extend(
                        latencies
                            .filter(|column| column.is_valid(row))
                            .map(|column| column.value(row)),
                    );
                    if std::mem::take(&mut stream.gap_open) {
                        self.gap_ends.push((batch.model.to_string(), ts));
                    }
                    let place = batch.versions[row] as usize;
                    let version = versions[place].get_or_insert_with(|| {
                        kept_apart(
                            &batch.version_names[place],
                            &stream.row.versions,
                            self.versions,
                        )
                    });
                    match stream.row.versions.get_mut(&**version) {
                        Some(rows) => *rows += 1,
                        None => {
                            stream.row.versions.insert(version.to_string(), 1);
                        }
                    }
                    if let Some(payload) = payload {
                        stream.pending_rows += 1;
                        self.pending.push(PendingRow {
                            model: batch.model.to_string(),
                            offset,
                            ts,
                            epoch,
                            pane,
                            watermark,
                            payload,
                        });
                        continue;
                    }
                    if keeps(
                        rows_kept,
                        &batch.model,
                        batch.ids.get(row),
                        &self.partition,
                        offset,
                    ) {
                        let row = row as u32;
                        kept.push(KeptRow { row, watermark });
                    }
                    let same = |id: &PartialId| {
                        id.epoch == epoch && id.pane == pane && id.version == *version
                    };
                    if !groups.get(last_group).is_some_and(|(id, _)| same(id)) {
                        last_group =
                            groups
                                .iter()
                                .position(|(id, _)| same(id))
                                .unwrap_or_else(|| {
                                    groups.push((
                                        PartialId {
                                            version: Arc::clone(version),
                                            pane,
                                            epoch,
                                        },
                                        Vec::new(),
                                    ));
                                    groups.len() - 1
                                });
                    }
                    groups[last_group].1.push(row as u32);
                }
            }
        }
        let counted = |row: &u32| batch.offsets[*row as usize] >= self.cursor;
        tally.unknown_fields += batch
            .unknown_fields
            .iter()
            .filter(|(row, _)| counted(row))
            .count() as u64;
        let Some(layout) = &decoded.layout else {
            return Ok(());
        };
        if !kept.is_empty() {
            let version = |place: u32| versions[place as usize].as_deref().unwrap_or_default();
            let rows = rows_batch(batch, &layout.layout, &kept, version)?;
            stream.kept.add(lake::Kind::Rows, &batch.model, rows)?;
        }
        for (id, rows) in groups {
            let partial = stream.partial(&self.store, &self.partition, &batch.model, layout, id)?;
            partial.profile.update(layout, batch, &rows);
            let offset = |row: Option<&u32>| row.map(|row| batch.offsets[*row as usize]);
            partial.from_offset = partial
                .from_offset
                .min(offset(rows.first()).unwrap_or(i64::MAX));
            partial.to_offset = partial.to_offset.max(offset(rows.last()).unwrap_or(0));
            partial.dirty = true;
        }
        Ok(())
    }
}

/// The version a row is counted under: its own, or [`OTHER_VERSIONS`] where too many are known already.
pub fn kept_apart(version: &str, known: &BTreeMap<String, u64>, limit: usize) -> Arc<str> {
    let own = known.contains_key(version) || known.len() < limit;
    Arc::from(if own { version } else { OTHER_VERSIONS })
}

/// The latencies that a batch carries, in milliseconds.
fn latency_column<'a>(layout: &CompiledLayout, batch: &'a Batch) -> Option<&'a Float64Array> {
    let place = layout
        .layout
        .columns
        .iter()
        .position(|column| column.field == Field::Latency)?;
    batch.columns.get(place)?.numbers()
}
