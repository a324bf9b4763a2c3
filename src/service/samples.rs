//! Rows of a window and of its reference, sampled, for what cannot be told from profiles.
//!
//! A window's rows lie in the lake. A reference's lie in its file, or in the lake too, from where retention takes them
//! one day: the sample of a reference that is bound is therefore stored when it is first asked for, and is the same from
//! then on. That of a moving reference is taken anew with each. **Invariant:** a sample is a function of the logs and of
//! the reference's hash: of a window or a reference of which rows are missing, or of a file that is not what it was when
//! the reference was made of it, there is none, but a reason, in words.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::event::{Key, Millis, Span};
use crate::ingest::catalogue::Model;
use crate::metrics::{Metrics, Stage};
use crate::profile::CompiledLayout;
use crate::query::{
    File, Keep, QueryError, RowSample, SampleAsk, reference_file, sample_of_file, sample_of_lake,
};
use crate::reference::windows::{OfWindows, blocks};
use crate::reference::{Block, Reference, joint};
use crate::rules::{ReferenceSpec, Rows};
use crate::store::lake::Lake;
use crate::store::{Store, Transaction, references};

/// Rows of a sample where columns are few: enough for a slice of one in a hundred.
const MOST_ROWS: usize = 10_000;
/// Values of a sample: rows of more than 200 columns are fewer.
const MOST_VALUES: usize = 2_000_000;
const LEAST_ROWS: usize = 1_000;
/// Rows of each block that are kept whatever the columns.
const LEAST_OF_EACH: usize = 20;
/// Where only a share of the rows is kept, so many standard deviations fewer than expected are still all of them.
const LUCK: f64 = 6.0;
/// Samples of references kept in memory: of a few hundred columns up to 30 MB each, of the most that a vector can have 70.
const KEPT: usize = 4;

/// A sample, or why there is none.
pub type Sampled = Result<Arc<RowSample>, String>;

/// The window whose rows are asked for.
#[derive(Clone, Copy)]
pub struct Occurrence<'a> {
    pub model: &'a Model,
    pub layout: &'a CompiledLayout,
    pub key: &'a Key,
    pub window: Span,
    pub revision: u32,
    /// Rows that were counted.
    pub rows: u64,
}

/// Takes samples.
pub struct Samples {
    store: Store,
    lake: Lake,
    metrics: Metrics,
    runtime: tokio::runtime::Handle,
    /// By the reference's hash; what is gone stays gone.
    kept: Mutex<BTreeMap<String, Sampled>>,
}

impl Samples {
    pub fn new(
        store: Store,
        lake: Lake,
        metrics: Metrics,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        Self {
            store,
            lake,
            metrics,
            runtime,
            kept: Mutex::default(),
        }
    }

    /// Rows of a sample that stand for all, the first ones.
    pub fn overall(layout: &CompiledLayout) -> usize {
        let columns = layout.layout().columns.len().max(1);
        (MOST_VALUES / columns).clamp(LEAST_ROWS, MOST_ROWS)
    }

    /// Rows of each block of a reference, of which there are so many: of many columns no more than of a sample overall.
    fn of_each(layout: &CompiledLayout, blocks: usize) -> usize {
        let most = Self::overall(layout).div_ceil(blocks.max(1));
        joint::rows_of_each(blocks).min(most.max(LEAST_OF_EACH))
    }

    /// The rows of a window, as its revision has them. Seeded by the window and the reference.
    pub fn of_window(&self, of: Occurrence<'_>, reference: &Reference) -> anyhow::Result<Sampled> {
        let Some(share) = share_kept(of.model.declaration.rows) else {
            return Ok(Err(NOT_KEPT.to_owned()));
        };
        let spec = &of.model.declaration.window;
        let spans = [(of.window, spec.complete_at(of.window, of.revision))];
        let seed = format!("{} {} {}", reference.hash, of.window.start, of.window.end);
        let ask = SampleAsk {
            model: &of.model.name,
            version: Some(&of.key.version),
            spans: &spans,
            layout: of.layout,
            keep: Keep {
                overall: Self::overall(of.layout),
                of_each: 0,
            },
            seed: xxhash_rust::xxh3::xxh3_64(seed.as_bytes()),
        };
        let sample = self.asked(sample_of_lake(&self.lake, &self.store, &ask));
        let sample = lost(sample)?.and_then(|sample| complete("window", sample, of.rows, share));
        Ok(sample.map(Arc::new))
    }

    /// The rows of a reference.
    pub fn of_reference(
        &self,
        of: Occurrence<'_>,
        reference: &Reference,
    ) -> anyhow::Result<Sampled> {
        if let Some(known) = self.kept().get(&reference.hash) {
            return Ok(known.clone());
        }
        let hash = reference.hash.clone();
        let stored = self.store.read(|conn| references::rows(conn, &hash))?;
        let decoded = |bytes: &[u8]| {
            RowSample::from_bytes(bytes, of.layout.layout())
                .map_err(|error| format!("the stored rows of the reference are damaged: {error}"))
        };
        let sample = match stored {
            Some(bytes) => decoded(&bytes),
            None => match self.taken(of, reference)? {
                Ok(sample) if is_bound(of.model, reference) => {
                    let bytes = sample.to_bytes()?;
                    // Whoever stored first, all use the same.
                    let insert =
                        move |tx: &Transaction<'_>| references::insert_rows(tx, &hash, &bytes);
                    decoded(&self.store.write(insert)?)
                }
                taken => taken,
            },
        };
        let sample = sample.map(Arc::new);
        let mut kept = self.kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(reference.hash.clone(), sample.clone());
        Ok(sample)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Sampled>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked<T>(&self, question: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let answer = self.runtime.block_on(question);
        self.metrics
            .computed(Stage::Query, "cpu", started.elapsed());
        answer
    }

    fn taken(
        &self,
        of: Occurrence<'_>,
        reference: &Reference,
    ) -> anyhow::Result<Result<RowSample, String>> {
        let keep = Keep {
            overall: Self::overall(of.layout),
            of_each: Self::of_each(of.layout, reference.blocks.len()),
        };
        // The name is a hash in hex, so its beginning is as good a seed as any.
        let seed = xxhash_rust::xxh3::xxh3_64(reference.hash.as_bytes());
        let declared = &of.model.declaration;
        if let ReferenceSpec::File(path) = &declared.reference
            && reference.source == declared.reference.to_string()
        {
            let spans: Vec<Option<Span>> =
                reference.blocks.iter().map(|block| block.span).collect();
            let file = File::Path(path.clone());
            let sampled = async {
                let sample =
                    sample_of_file(&file, of.layout, &declared.window, &spans, keep, seed).await?;
                let blocks = reference_file(&file, of.layout, &declared.window, None).await?;
                Ok((sample, blocks))
            };
            let sampled = lost(self.asked(sampled))?;
            return Ok(sampled.and_then(|(sample, blocks)| {
                let blocks = blocks.into_iter();
                let blocks = blocks.map(|(span, profile)| Block { span, profile });
                let now = Reference::from_blocks(
                    &reference.model,
                    &reference.source,
                    of.layout.layout(),
                    blocks.collect(),
                );
                match now {
                    Ok(now) if now.hash == reference.hash => Ok(sample),
                    _ => Err(format!(
                        "{} is not what it was when the reference was made of it; write it under another name, and name that as the reference",
                        path.display()
                    )),
                }
            }));
        }
        let Some(share) = share_kept(declared.rows) else {
            return Ok(Err(NOT_KEPT.to_owned()));
        };
        let spans: Vec<Span> = reference
            .blocks
            .iter()
            .filter_map(|block| block.span)
            .collect();
        let Some(version) = self.version(of, reference, &spans)? else {
            return Ok(Err(
                "the windows that the reference is made of are not kept any more".to_owned(),
            ));
        };
        let spans: Vec<(Span, Millis)> = spans.iter().map(|span| (*span, span.end)).collect();
        let ask = SampleAsk {
            model: &of.model.name,
            version: Some(&version),
            spans: &spans,
            layout: of.layout,
            keep,
            seed,
        };
        let sample = lost(self.asked(sample_of_lake(&self.lake, &self.store, &ask)))?;
        Ok(sample.and_then(|sample| complete("reference", sample, reference.profile.rows, share)))
    }

    /// Which version's rows a reference of windows is made of: the window's own where it moves, else the one with the
    /// most rows there.
    fn version(
        &self,
        of: Occurrence<'_>,
        reference: &Reference,
        spans: &[Span],
    ) -> anyhow::Result<Option<String>> {
        if !is_bound(of.model, reference) {
            return Ok(Some(of.key.version.clone()));
        }
        let ask = OfWindows {
            model: &of.model.name,
            layout: of.layout.layout(),
            version: None,
            spans,
            min_rows: of.model.declaration.window.min_rows,
            fewest: 1,
            source: &reference.source,
        };
        Ok(blocks(&self.store, &ask)?.map(|(version, _)| version))
    }
}

const NOT_KEPT: &str = "the rows of this model are not kept; `rows: all` keeps them";

/// The share of rows that the lake is given; `None`: none of them.
fn share_kept(rows: Rows) -> Option<f64> {
    match rows {
        Rows::None => None,
        Rows::All => Some(1.0),
        Rows::Sample(share) => Some(share),
    }
}

/// Whether the same reference serves many windows.
fn is_bound(model: &Model, reference: &Reference) -> bool {
    let declared = &model.declaration.reference;
    let moves = matches!(
        declared,
        ReferenceSpec::Trailing(_) | ReferenceSpec::SameHourOfWeek(_)
    );
    !moves || reference.source != declared.to_string()
}

/// What is lost is a reason; what cannot be read now is an error, and the window waits for it.
fn lost<T>(read: Result<T, QueryError>) -> Result<Result<T, String>, QueryError> {
    match read {
        Ok(found) => Ok(Ok(found)),
        Err(error) if error.is_gone() => Ok(Err(format!("its rows are lost: {error}"))),
        Err(error) => Err(error),
    }
}

/// The sample, if it was taken of all the rows that are meant: of a part of a window nobody knows which part it is.
fn complete(side: &str, sample: RowSample, rows: u64, share: f64) -> Result<RowSample, String> {
    let found = sample.rows_found();
    let expected = share * rows as f64;
    if found as f64 >= expected - LUCK * (expected * (1.0 - share)).sqrt() {
        return Ok(sample);
    }
    let kept = if share < 1.0 {
        format!(", of which about {:.0} were kept", share * rows as f64)
    } else {
        String::new()
    };
    Err(format!(
        "{found} of the {side}'s {rows} rows are still there{kept}; keep rows for longer than the reference is in use"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;

    #[track_caller]
    fn check(found: u64, rows: u64, share: f64, expect: Option<&str>) {
        let sample = RowSample {
            rows: RecordBatch::new_empty(Arc::new(Schema::empty())),
            spans: Vec::new(),
            found: vec![found],
        };
        let outcome = complete("window", sample, rows, share);
        assert_eq!(outcome.err().as_deref(), expect);
    }

    #[test]
    fn a_sample_of_a_part_is_refused_in_a_sentence() {
        check(1_000, 1_000, 1.0, None);
        check(
            999,
            1_000,
            1.0,
            Some(
                "999 of the window's 1000 rows are still there; keep rows for longer than the reference is in use",
            ),
        );
        check(70, 1_000, 0.1, None);
        check(
            12,
            1_000,
            1.0,
            Some(
                "12 of the window's 1000 rows are still there; keep rows for longer than the reference is in use",
            ),
        );
        check(
            12,
            1_000,
            0.1,
            Some(
                "12 of the window's 1000 rows are still there, of which about 100 were kept; keep rows for longer than the reference is in use",
            ),
        );
    }
}
