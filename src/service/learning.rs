//! Making a model's layout, once: from its reference file, or from the first complete windows with enough rows.
//!
//! **Invariant:** the rows that a layout is learned from are a function of the logs: of each partition the first
//! [`LAYOUT_ROWS_PER_PARTITION`] waiting rows that came in time and lie before the end of a window that all
//! partitions have passed. The transaction that stores the layout also counts every row that waited for it, and moves
//! the `seq` of their partitions, so that whoever reads those partitions loads them again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;

use crate::event::{Key, Limits, Millis, Partition, Span};
use crate::ingest::catalogue::{Catalogue, Model};
use crate::ingest::decode::{Decoder, Lookup, Models, observe};
use crate::ingest::kept::{Kept, KeptRow, keeps, rows_batch};
use crate::ingest::partition::{LAYOUT_ROWS_PER_PARTITION, kept_apart};
use crate::profile::{CompiledLayout, Layout, Profile, Sample};
use crate::query::{self, File};
use crate::reference::{Block, Reference};
use crate::rules::{ReferenceSpec, Rows};
use crate::store::layouts::StoredLayout;
use crate::store::references::{self, ReferenceRow};
use crate::store::{
    PartialRow, PendingRow, Store, StoreError, Transaction, cursors, lake, layouts, partials,
    pending, streams,
};
use crate::window::WindowSpec;

/// Fewest rows that a layout is learned from: with fewer, 256 quantile cells would be noise.
const ENOUGH_ROWS: u64 = 1_000;

/// A layout, and the reference that came with it if it was read from a file.
struct Made {
    layout: Layout,
    reference: Option<Reference>,
}

/// Makes the layout of `model` if it is due. Returns whether it has one now.
pub fn make_layout(
    store: &Store,
    catalogue: &Arc<Catalogue>,
    model: &Model,
    partitions: &[Partition],
    limits: &Limits,
    runtime: &tokio::runtime::Handle,
) -> anyhow::Result<bool> {
    let name = model.name.to_string();
    if let Some(stored) = store.read(|conn| layouts::get(conn, &name))? {
        catalogue.set_layout(&name, Layout::from_json(&stored.body)?);
        return Ok(true);
    }
    let made = match &model.declaration.reference {
        ReferenceSpec::File(path) => {
            let file = File::Path(path.clone());
            let made = runtime.block_on(from_file(
                &file,
                model,
                &model.declaration.reference.to_string(),
            ));
            Some(made.with_context(|| format!("reading the reference of model {name:?}"))?)
        }
        _ => from_rows(store, model, partitions)?.map(|layout| Made {
            layout,
            reference: None,
        }),
    };
    let Some(made) = made else { return Ok(false) };
    let layout = install(store, &name, made, model.declaration.rows, limits)?;
    catalogue.set_layout(&name, layout);
    tracing::info!(model = name, "the model's layout is made");
    Ok(true)
}

async fn from_file(file: &File, model: &Model, source: &str) -> anyhow::Result<Made> {
    let sample = query::sample_file(file, None).await?;
    let layout = Layout::learn(&sample, &model.declaration.columns);
    let compiled = CompiledLayout::new(Arc::new(layout.clone()));
    let blocks = query::reference_file(file, &compiled, &model.declaration.window, None).await?;
    let blocks = blocks
        .into_iter()
        .map(|(span, profile)| Block { span, profile })
        .collect();
    let reference = Reference::from_blocks(&model.name, source, &layout, blocks)?;
    Ok(Made {
        layout,
        reference: Some(reference),
    })
}

/// A declaration that names another file than the bound reference was made of: the new file is read with the model's
/// layout and bound in its place, without a recount. A file that changed under the same name is not noticed.
pub fn renew_reference(
    store: &Store,
    model: &Model,
    layout: &CompiledLayout,
    runtime: &tokio::runtime::Handle,
) -> anyhow::Result<()> {
    let ReferenceSpec::File(path) = &model.declaration.reference else {
        return Ok(());
    };
    let name = model.name.to_string();
    let source = model.declaration.reference.to_string();
    let (bound, known) = store.read(|conn| {
        let bound = references::bound(conn, &name, "")?;
        Ok((bound, references::of_model(conn, &name)?))
    })?;
    let of_bound = known.iter().find(|row| Some(&row.hash) == bound.as_ref());
    if of_bound.is_some_and(|row| row.source == source) {
        return Ok(());
    }
    let file = File::Path(path.clone());
    let window = &model.declaration.window;
    let blocks = runtime
        .block_on(query::reference_file(&file, layout, window, None))
        .with_context(|| format!("reading the reference of model {name:?}"))?;
    let blocks = blocks
        .into_iter()
        .map(|(span, profile)| Block { span, profile })
        .collect();
    let reference = Reference::from_blocks(&name, &source, &layout.layout, blocks)?;
    let (row, body) = (reference_row(&reference), reference.to_bytes());
    store.write(move |tx| {
        references::insert(tx, &row, &body)?;
        references::bind(tx, &name, "", bound.as_deref(), &row.hash)
    })?;
    Ok(())
}

/// Learns from waiting rows, once each of the model's partitions has enough of them or has passed the window's end.
fn from_rows(
    store: &Store,
    model: &Model,
    partitions: &[Partition],
) -> Result<Option<Layout>, StoreError> {
    let name = model.name.as_ref();
    let spec = &model.declaration.window;
    let (watermarks, rows) = store.read(|conn| {
        let watermarks: BTreeMap<Partition, Millis> = streams::of_model(conn, name)?
            .into_iter()
            .map(|(partition, row)| (partition, row.watermark))
            .collect();
        let mut rows: BTreeMap<Partition, Vec<Millis>> = BTreeMap::new();
        pending::for_each_ts(conn, name, |partition, ts, epoch| {
            if epoch == 0 {
                rows.entry(partition).or_default().push(ts);
            }
        })?;
        Ok((watermarks, rows))
    })?;
    let Some(end) = learned_until(spec, &watermarks, &rows, partitions) else {
        return Ok(None);
    };
    let mut sample = Sample::new();
    let mut taken: BTreeMap<Partition, u64> = BTreeMap::new();
    store.read(|conn| {
        pending::for_each(conn, name, |partition, row| {
            let taken = taken.entry(partition).or_default();
            if row.epoch == 0 && row.ts < end && *taken < LAYOUT_ROWS_PER_PARTITION {
                *taken += 1;
                observe(&row.payload, &mut sample);
            }
            Ok(())
        })
    })?;
    Ok(Some(Layout::learn(&sample, &model.declaration.columns)))
}

/// The first window end before which there are enough rows, once every partition has passed it or brought its share;
/// `rows` are the times of the waiting rows. Ends between which no row lies are not looked at one by one: a row of
/// a wrong year may lie a million windows before the others.
fn learned_until(
    spec: &WindowSpec,
    watermarks: &BTreeMap<Partition, Millis>,
    rows: &BTreeMap<Partition, Vec<Millis>>,
    partitions: &[Partition],
) -> Option<Millis> {
    let mut rows = rows.clone();
    rows.values_mut().for_each(|times| times.sort_unstable());
    let ends: BTreeSet<Millis> = rows
        .values()
        .flatten()
        .map(|ts| spec.pane(*ts).end)
        .collect();
    for end in ends {
        let before_end = |partition: &Partition| {
            let times = rows.get(partition).map_or(&[][..], Vec::as_slice);
            (times.partition_point(|ts| *ts < end) as u64).min(LAYOUT_ROWS_PER_PARTITION)
        };
        let passed = |partition: &Partition| {
            watermarks
                .get(partition)
                .is_some_and(|watermark| *watermark >= end)
        };
        let is_complete =
            |partition| passed(partition) || before_end(partition) >= LAYOUT_ROWS_PER_PARTITION;
        if !partitions.iter().all(is_complete) {
            return None;
        }
        if partitions.iter().map(before_end).sum::<u64>() >= ENOUGH_ROWS {
            return Some(end);
        }
    }
    None
}

/// One transaction: the layout, its reference, and every waiting row counted and kept. Returns the layout that won.
fn install(
    store: &Store,
    model: &str,
    made: Made,
    kept: Rows,
    limits: &Limits,
) -> anyhow::Result<Layout> {
    let (model, limits) = (model.to_owned(), limits.clone());
    let stored = store.write(move |tx| {
        let mine = StoredLayout {
            hash: made.layout.hash(),
            body: made.layout.to_json(),
        };
        let (stored, won) = layouts::insert_if_absent(tx, &model, &mine)?;
        if !won {
            return Ok(stored);
        }
        let layout = Arc::new(CompiledLayout::new(Arc::new(made.layout)));
        if let Some(reference) = &made.reference {
            references::insert(tx, &reference_row(reference), &reference.to_bytes())?;
            references::bind(tx, &model, "", None, &reference.hash)?;
        }
        let touched = count_waiting(tx, &model, &layout, &stored.hash, kept, &limits)?;
        for partition in touched {
            cursors::touch(tx, &partition)?;
        }
        pending::delete(tx, &model)?;
        Ok(stored)
    })?;
    Ok(Layout::from_json(&stored.body)?)
}

/// The stored form of a reference, without its bytes.
pub fn reference_row(reference: &Reference) -> ReferenceRow {
    ReferenceRow {
        hash: reference.hash.clone(),
        model: reference.model.clone(),
        source: reference.source.clone(),
        span: reference.span,
        layout_hash: reference.layout_hash.clone(),
    }
}

/// A decoder's world with a single model in it.
struct OneModel(Arc<CompiledLayout>);

impl Models for OneModel {
    fn lookup(&self, _: &str) -> Lookup {
        Lookup::Known(Arc::clone(&self.0))
    }

    fn keeps_ids(&self, _: &str) -> bool {
        true
    }
}

/// Waiting rows decoded at a time.
const WAITING_AT_ONCE: usize = 4096;
/// Buffers of waiting rows have waited long enough: they are due for a segment at once.
const DUE_AT_ONCE: Millis = 0;

/// The waiting rows of one (version, pane, epoch) in one partition.
struct Waiting {
    profile: Profile,
    from_offset: i64,
    to_offset: i64,
}

/// The waiting rows of one partition on their way into partials and the lake.
struct Counting<'a> {
    model: &'a str,
    layout: &'a Arc<CompiledLayout>,
    rows: Rows,
    partition: Partition,
    /// Every version that is kept apart, which stands in the stream already.
    versions: BTreeMap<String, u64>,
    decoder: Decoder,
    /// The panes, epochs and watermarks of the rows in the decoder, by offset.
    settled: BTreeMap<i64, (Span, u32, Millis)>,
    partials: BTreeMap<(String, Span, u32), Waiting>,
    kept: Kept,
}

impl Counting<'_> {
    fn push(&mut self, row: &PendingRow) -> Result<(), StoreError> {
        let known = OneModel(Arc::clone(self.layout));
        // The envelope was accepted when the row was read; its bounds are not judged again.
        let decoded = self
            .decoder
            .push(row.offset, Some(&row.payload), Millis::MAX, &known);
        if decoded.is_ok() {
            let settled = (row.pane, row.epoch, row.watermark);
            self.settled.insert(row.offset, settled);
        }
        if self.settled.len() >= WAITING_AT_ONCE || self.decoder.is_full() {
            self.count()?;
        }
        Ok(())
    }

    /// Counts what is in the decoder.
    fn count(&mut self) -> Result<(), StoreError> {
        for decoded in self.decoder.take() {
            let batch = &decoded.batch;
            let versions: Vec<Arc<str>> = batch
                .version_names
                .iter()
                .map(|own| kept_apart(own, &self.versions, 0))
                .collect();
            let mut groups: BTreeMap<(String, Span, u32), Vec<u32>> = BTreeMap::new();
            let mut kept = Vec::new();
            for row in 0..batch.rows() {
                let offset = batch.offsets[row];
                let Some((pane, epoch, watermark)) = self.settled.remove(&offset) else {
                    continue;
                };
                let version = versions[batch.versions[row] as usize].to_string();
                groups
                    .entry((version, pane, epoch))
                    .or_default()
                    .push(row as u32);
                let id = batch.ids.get(row);
                if keeps(self.rows, self.model, id, &self.partition, offset) {
                    let row = row as u32;
                    kept.push(KeptRow { row, watermark });
                }
            }
            for (key, rows) in groups {
                let offsets = rows.iter().map(|row| batch.offsets[*row as usize]);
                let first = offsets.clone().min().unwrap_or(i64::MAX);
                let last = offsets.max().unwrap_or(0);
                let waiting = self.partials.entry(key).or_insert_with(|| Waiting {
                    profile: Profile::new(&self.layout.layout),
                    from_offset: first,
                    to_offset: last,
                });
                waiting.profile.update(self.layout, batch, &rows);
                waiting.to_offset = last;
            }
            if !kept.is_empty() {
                let version = |place: u32| &*versions[place as usize];
                let rows = rows_batch(batch, &self.layout.layout, &kept, version)?;
                self.kept.add(lake::Kind::Rows, self.model, rows)?;
            }
        }
        Ok(())
    }

    fn finish(mut self, tx: &Transaction<'_>, layout_hash: &str) -> Result<Partition, StoreError> {
        self.count()?;
        for ((version, pane, epoch), waiting) in self.partials {
            let key = Key {
                model: self.model.to_owned(),
                version,
                segment: String::new(),
            };
            let partial = PartialRow {
                key,
                pane,
                epoch,
                layout_hash: layout_hash.to_owned(),
                from_offset: waiting.from_offset,
                to_offset: waiting.to_offset,
                rows: waiting.profile.rows,
                profile: waiting.profile.to_bytes(),
            };
            partials::replace(tx, &self.partition, &partial)?;
        }
        for buffer in self.kept.take(lake::Kind::Rows, self.model, DUE_AT_ONCE)? {
            lake::buffer::insert(tx, &self.partition, &buffer)?;
        }
        Ok(self.partition)
    }
}

/// Counts every waiting row into partials, and keeps it where the model keeps rows; returns the partitions they came
/// from.
fn count_waiting(
    tx: &Transaction<'_>,
    model: &str,
    layout: &Arc<CompiledLayout>,
    layout_hash: &str,
    rows: Rows,
    limits: &Limits,
) -> Result<Vec<Partition>, StoreError> {
    let mut versions: BTreeMap<Partition, BTreeMap<String, u64>> = streams::of_model(tx, model)?
        .into_iter()
        .map(|(partition, row)| (partition, row.versions))
        .collect();
    let mut touched = Vec::new();
    let mut current: Option<Counting<'_>> = None;
    pending::for_each(tx, model, |partition, row| {
        if current
            .as_ref()
            .is_none_or(|counting| counting.partition != partition)
        {
            let next = Counting {
                model,
                layout,
                rows,
                versions: versions.remove(&partition).unwrap_or_default(),
                partition,
                decoder: Decoder::new(limits.clone(), []),
                settled: BTreeMap::new(),
                partials: BTreeMap::new(),
                kept: Kept::default(),
            };
            if let Some(done) = current.replace(next) {
                touched.push(done.finish(tx, layout_hash)?);
            }
        }
        match &mut current {
            Some(counting) => counting.push(&row),
            None => Ok(()),
        }
    })?;
    if let Some(done) = current {
        touched.push(done.finish(tx, layout_hash)?);
    }
    Ok(touched)
}

#[cfg(test)]
#[path = "learning_tests.rs"]
mod tests;
