//! The fates of labels: used or duplicate, never late; kept where the rows of their id are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::PartitionState;
use crate::ingest::decode::Label;
use crate::ingest::kept::{KeptLabel, keeps, labels_batch};
use crate::store::{StoreError, lake};

impl PartitionState {
    pub(super) fn absorb_labels(&mut self, read: Vec<(i64, Label)>) -> Result<(), StoreError> {
        let mut kept: BTreeMap<Arc<str>, Vec<KeptLabel>> = BTreeMap::new();
        for (offset, label) in read {
            let Some(model) = self.catalogue.get(&label.model) else {
                continue;
            };
            self.enter(&label.model)?;
            let Some(stream) = self.streams.get_mut(&label.model) else {
                continue;
            };
            let identity = label.identity();
            if offset < self.cursor {
                stream.note(&self.dedupe, identity, offset, label.ts);
                continue;
            }
            self.rows_since_commit += 1;
            stream.dirty = true;
            let tally = self.tallies.entry(Arc::clone(&label.model)).or_default();
            tally.unknown_fields += u64::from(label.unknown_fields);
            let watermark = stream.row.watermark;
            let lateness = model.declaration.window.lateness;
            if !stream.judge_label(lateness, &self.dedupe, offset, label.ts, identity) {
                self.counts.duplicate += 1;
                stream.row.duplicate += 1;
                tally.duplicate += 1;
                continue;
            }
            self.counts.used += 1;
            stream.row.used += 1;
            tally.used += 1;
            if std::mem::take(&mut stream.gap_open) {
                self.gap_ends.push((label.model.to_string(), label.ts));
            }
            let rows = model.declaration.rows;
            if keeps(rows, &label.model, Some(&label.id), &self.partition, offset) {
                let label = KeptLabel {
                    offset,
                    watermark,
                    label,
                };
                kept.entry(Arc::clone(&label.label.model))
                    .or_default()
                    .push(label);
            }
        }
        for (model, labels) in kept {
            if let Some(stream) = self.streams.get_mut(&model) {
                let labels = labels_batch(&labels)?;
                stream.kept.add(lake::Kind::Labels, &model, labels)?;
            }
        }
        Ok(())
    }
}
