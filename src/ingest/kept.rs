//! What a stream keeps for the lake until the next commit: rows of used records with their columns, or labels.
//!
//! **Invariant:** whether a record is kept depends on its id (or its place, without one) and the declaration alone, so
//! that rows and labels of one id are kept together, whichever partitions and replicas they come through.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::take;

use crate::event::{Batch, Millis, Partition};
use crate::ingest::decode::Label;
use crate::profile::Layout;
use crate::rules::Rows;
use crate::store::lake::{BufferRow, Kind, columns_of_labels, columns_of_rows};
use crate::store::{StoreError, cursors};

/// Arrow memory after which a buffer is sealed: bounds what a commit holds uncompressed, and a row of the store.
const BUFFER_BYTES: usize = 8 << 20;

/// A row of a batch that is kept.
#[derive(Debug, Clone, Copy)]
pub struct KeptRow {
    /// Its place in the batch.
    pub row: u32,
    /// The partition's watermark of the model before this record.
    pub watermark: Millis,
}

/// A label that is kept.
#[derive(Debug)]
pub(super) struct KeptLabel {
    pub(super) offset: i64,
    pub(super) watermark: Millis,
    pub(super) label: Label,
}

/// Rows or labels of one model in one partition since the last commit.
#[derive(Debug, Default)]
pub struct Kept {
    batches: Vec<RecordBatch>,
    bytes: usize,
    sealed: Vec<BufferRow>,
}

impl Kept {
    /// Adds rows, which come after all that were added before.
    ///
    /// # Errors
    /// When the rows do not fit those before: a defect.
    pub fn add(&mut self, kind: Kind, model: &str, rows: RecordBatch) -> Result<(), StoreError> {
        self.bytes += rows.get_array_memory_size();
        self.batches.push(rows);
        if self.bytes >= BUFFER_BYTES {
            self.seal(kind, model)?;
        }
        Ok(())
    }

    /// Everything since the last call, as buffers of a commit made at `now`, in wall time.
    ///
    /// # Errors
    /// As [`Kept::add`].
    pub fn take(
        &mut self,
        kind: Kind,
        model: &str,
        now: Millis,
    ) -> Result<Vec<BufferRow>, StoreError> {
        self.seal(kind, model)?;
        let mut sealed = std::mem::take(&mut self.sealed);
        sealed.iter_mut().for_each(|row| row.created_wall = now);
        Ok(sealed)
    }

    fn seal(&mut self, kind: Kind, model: &str) -> Result<(), StoreError> {
        self.bytes = 0;
        let batches = std::mem::take(&mut self.batches);
        self.sealed
            .extend(BufferRow::encode(kind, model, 0, &batches)?);
        Ok(())
    }
}

/// Whether the declaration keeps the record with this id, at this place.
pub fn keeps(
    rows: Rows,
    model: &str,
    id: Option<&str>,
    partition: &Partition,
    offset: i64,
) -> bool {
    match rows {
        Rows::None => false,
        Rows::All => true,
        Rows::Sample(share) => {
            let mut hasher = xxhash_rust::xxh3::Xxh3::new();
            let mut add = |bytes: &[u8]| {
                hasher.update(&(bytes.len() as u64).to_le_bytes());
                hasher.update(bytes);
            };
            match id {
                Some(id) => {
                    add(model.as_bytes());
                    add(id.as_bytes());
                }
                None => {
                    add(cursors::live_topic(&partition.topic).as_bytes());
                    add(&partition.partition.to_le_bytes());
                    add(&offset.to_le_bytes());
                }
            }
            // The share of all 2⁶⁴ hashes; a float is turned into an integer by cutting off and saturating.
            hasher.digest() < (share * 2f64.powi(64)) as u64
        }
    }
}

/// Rows of a batch as the lake has them; `version` gives the version under which a row was counted.
///
/// # Errors
/// When the batch was not decoded with this layout: a defect.
pub fn rows_batch<'v>(
    batch: &Batch,
    layout: &Layout,
    rows: &[KeptRow],
    version: impl Fn(u32) -> &'v str,
) -> Result<RecordBatch, StoreError> {
    let place = |row: &KeptRow| row.row as usize;
    let whole = |of: &dyn Fn(&KeptRow) -> i64| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Int64Array>())
    };
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| version(batch.versions[place(row)])),
        )),
        Arc::new(
            rows.iter()
                .map(|row| batch.ids.get(place(row)))
                .collect::<StringArray>(),
        ),
        whole(&|row| batch.ts[place(row)]),
        whole(&|row| row.watermark),
        whole(&|row| batch.offsets[place(row)]),
    ];
    let all = rows.len() == batch.rows();
    let places: UInt32Array = rows.iter().map(|row| row.row).collect();
    for column in &batch.columns {
        columns.push(if all {
            Arc::clone(&column.values)
        } else {
            take(&column.values, &places, None).map_err(StoreError::lake)?
        });
    }
    RecordBatch::try_new(columns_of_rows(layout), columns).map_err(StoreError::lake)
}

pub(super) fn labels_batch(labels: &[KeptLabel]) -> Result<RecordBatch, StoreError> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(
            labels.iter().map(|kept| &kept.label.id),
        )),
        Arc::new(
            labels
                .iter()
                .map(|kept| kept.label.ts)
                .collect::<Int64Array>(),
        ),
        Arc::new(
            labels
                .iter()
                .map(|kept| kept.watermark)
                .collect::<Int64Array>(),
        ),
        Arc::new(
            labels
                .iter()
                .map(|kept| kept.label.label.as_deref())
                .collect::<StringArray>(),
        ),
        Arc::new(
            labels
                .iter()
                .map(|kept| kept.label.value)
                .collect::<Float64Array>(),
        ),
        Arc::new(
            labels
                .iter()
                .map(|kept| kept.label.prediction_ts)
                .collect::<Int64Array>(),
        ),
        Arc::new(
            labels
                .iter()
                .map(|kept| kept.offset)
                .collect::<Int64Array>(),
        ),
    ];
    RecordBatch::try_new(columns_of_labels(), columns).map_err(StoreError::lake)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Partition {
        Partition {
            topic: "p".into(),
            partition: 0,
        }
    }

    #[test]
    fn a_sample_is_its_share_of_the_ids_and_larger_ones_hold_smaller_ones() {
        let kept = |share: f64| -> Vec<u32> {
            let keeps = |i: &u32| {
                let id = format!("{i}");
                keeps(Rows::Sample(share), "m", Some(&id), &partition(), 0)
            };
            (0..10_000).filter(keeps).collect()
        };
        let (tenth, half) = (kept(0.1), kept(0.5));
        // Three standard deviations are 90 and 150.
        assert!(tenth.len().abs_diff(1_000) < 90, "{}", tenth.len());
        assert!(half.len().abs_diff(5_000) < 150, "{}", half.len());
        assert!(tenth.iter().all(|i| half.contains(i)));
    }

    #[test]
    fn much_becomes_several_buffers_in_order() {
        let text = "x".repeat(1 << 20);
        let label = |offset: i64| KeptLabel {
            offset,
            watermark: 0,
            label: Label {
                model: "m".into(),
                id: format!("{offset}"),
                ts: offset,
                label: Some(text.clone()),
                value: None,
                prediction_ts: None,
                unknown_fields: 0,
            },
        };
        let mut kept = Kept::default();
        for offset in 0..20 {
            let labels = labels_batch(&[label(offset)]).expect("a batch");
            kept.add(Kind::Labels, "m", labels).expect("added");
        }
        let buffers = kept.take(Kind::Labels, "m", 7).expect("taken");
        let spans: Vec<(i64, i64)> = buffers
            .iter()
            .map(|buffer| (buffer.from_offset, buffer.to_offset))
            .collect();
        assert!(spans.len() >= 3, "{spans:?}");
        assert_eq!((spans[0].0, spans[spans.len() - 1].1), (0, 19));
        assert!(
            spans.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0),
            "{spans:?}"
        );
        assert!(buffers.iter().all(|buffer| buffer.created_wall == 7));
        assert_eq!(buffers.iter().map(|buffer| buffer.rows).sum::<u64>(), 20);
        assert!(kept.take(Kind::Labels, "m", 7).expect("taken").is_empty());
    }

    #[test]
    fn an_id_decides_alone_and_without_one_the_place_does() {
        let place = |topic: &str, number| Partition {
            topic: topic.into(),
            partition: number,
        };
        let kept = |id: Option<&str>, partition: &Partition, offset| {
            keeps(Rows::Sample(0.5), "m", id, partition, offset)
        };
        for i in 0..100 {
            let id = format!("{i}");
            let here = kept(Some(&id), &place("p", 0), 1);
            assert_eq!(here, kept(Some(&id), &place("labels", 3), 7));
            // A log that was recreated is the same place under another name.
            let there = kept(None, &place("p", 0), i);
            assert_eq!(there, kept(None, &place("p@1", 0), i));
        }
        let without = |partition: &Partition| -> Vec<bool> {
            (0..100).map(|i| kept(None, partition, i)).collect()
        };
        assert_ne!(without(&place("p", 0)), without(&place("p", 1)));
    }
}
