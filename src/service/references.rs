//! Which reference a window is compared with, and how references come to be from past windows.
//!
//! **Invariant:** a reference made from windows uses their revision 0, which is the same whenever it is made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::event::{Key, Millis, Span, WEEK};
use crate::ingest::catalogue::Model;
use crate::profile::{CompiledLayout, Profile};
use crate::reference::{Block, Reference};
use crate::rules::ReferenceSpec;
use crate::service::learning::reference_row;
use crate::stats::score::Verdict;
use crate::store::{Store, StoreError, references, windows};

/// Fewest windows that a moving reference is made of: one window says nothing about how windows differ.
const FEWEST_WINDOWS: usize = 2;
/// Reference objects kept in memory.
const KEPT: usize = 64;

/// Finds, makes and remembers references.
pub struct References {
    store: Store,
    loaded: Mutex<BTreeMap<String, Arc<Reference>>>,
}

impl References {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            loaded: Mutex::default(),
        }
    }

    /// The reference for `window` of `key`; `None` while there is none.
    pub fn of(
        &self,
        model: &Model,
        layout: &CompiledLayout,
        key: &Key,
        window: Span,
    ) -> anyhow::Result<Option<Arc<Reference>>> {
        let spec = &model.declaration.window;
        let source = model.declaration.reference.to_string();
        match &model.declaration.reference {
            ReferenceSpec::File(_) => self.bound(model, layout, key),
            ReferenceSpec::First(length) => {
                // Asked before the bound reference is: a late revision of a window that is part of the reference is
                // made before or after the reference was, as it happens, and a window may be closed anew after a
                // crash that came between binding and storing. What is said must not depend on either.
                let (name, enough) = (model.name.to_string(), spec.min_rows);
                let first = self
                    .store
                    .read(|conn| windows::first_with_rows(conn, &name, enough))?;
                let Some(first) = first.filter(|first| window.start >= first + length) else {
                    return Ok(None);
                };
                // One made under an earlier declaration is replaced.
                let bound = self.bound(model, layout, key)?;
                if bound.as_ref().is_some_and(|bound| bound.source == source) {
                    return Ok(bound);
                }
                let expected = bound.map(|bound| bound.hash.clone());
                let spans =
                    (0..).map(|i| Span::new(first + i * spec.span, first + (i + 1) * spec.span));
                let spans: Vec<Span> = spans
                    .take_while(|span| span.start < first + length && span.end <= window.start)
                    .collect();
                let Some(reference) =
                    self.made_of_windows(model, layout, None, &spans, &source, 1)?
                else {
                    return Ok(None);
                };
                let (row, body) = (reference_row(&reference), reference.to_bytes());
                self.store.write(move |tx| {
                    references::insert(tx, &row, &body)?;
                    references::bind(tx, &name, "", expected.as_deref(), &row.hash)
                })?;
                // Whoever bound first has made the same one from the same windows.
                self.bound(model, layout, key)
            }
            ReferenceSpec::Trailing(count) => {
                let back = (1..=Millis::from(*count)).rev();
                let spans: Vec<Span> = back
                    .map(|i| Span::new(window.start - i * spec.span, window.end - i * spec.span))
                    .collect();
                self.made_of_windows(
                    model,
                    layout,
                    Some(&key.version),
                    &spans,
                    &source,
                    FEWEST_WINDOWS,
                )
            }
            ReferenceSpec::SameHourOfWeek(weeks) => {
                let back = (1..=Millis::from(*weeks)).rev();
                let spans: Vec<Span> = back
                    .map(|i| Span::new(window.start - i * WEEK, window.end - i * WEEK))
                    .collect();
                self.made_of_windows(
                    model,
                    layout,
                    Some(&key.version),
                    &spans,
                    &source,
                    FEWEST_WINDOWS,
                )
            }
        }
    }

    fn bound(
        &self,
        model: &Model,
        layout: &CompiledLayout,
        key: &Key,
    ) -> anyhow::Result<Option<Arc<Reference>>> {
        let hash = self
            .store
            .read(|conn| references::bound(conn, &model.name, &key.version))?;
        let Some(hash) = hash else { return Ok(None) };
        if let Some(reference) = self.lock().get(&hash) {
            return Ok(Some(Arc::clone(reference)));
        }
        let Some((_, body)) = self.store.read(|conn| references::get(conn, &hash))? else {
            return Ok(None);
        };
        let reference = Arc::new(Reference::from_bytes(&body, &layout.layout)?);
        let mut loaded = self.lock();
        if loaded.len() >= KEPT {
            loaded.clear();
        }
        loaded.insert(hash, Arc::clone(&reference));
        Ok(Some(reference))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Reference>>> {
        self.loaded
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Revision 0 of the windows `spans`, each a block if it has enough rows to be judged itself. Without `version` the one with the most rows there counts
    /// (the first by name of equals), for all versions: inputs are the model's, whichever version reads them.
    fn made_of_windows(
        &self,
        model: &Model,
        layout: &CompiledLayout,
        version: Option<&str>,
        spans: &[Span],
        source: &str,
        fewest: usize,
    ) -> anyhow::Result<Option<Arc<Reference>>> {
        let enough = model.declaration.window.min_rows;
        let (Some(start), Some(end)) =
            (spans.first().map(|s| s.start), spans.last().map(|s| s.end))
        else {
            return Ok(None);
        };
        let filter = windows::WindowFilter {
            model: Some(model.name.to_string()),
            version: version.map(str::to_owned),
            after: Some(start),
            through: Some(end),
            ..windows::WindowFilter::default()
        };
        let mut by_version: BTreeMap<String, Vec<(Span, u64, Vec<u8>)>> = BTreeMap::new();
        self.store.read(|conn| -> Result<(), StoreError> {
            for latest in windows::latest(conn, &filter, u32::MAX)? {
                if !spans.contains(&latest.span) {
                    continue;
                }
                let revisions = windows::revisions(conn, &latest.key, latest.span)?;
                let Some(first) = revisions.into_iter().find(|row| row.revision == 0) else {
                    continue;
                };
                if first.rows < enough || first.verdict == Verdict::Incomplete {
                    continue;
                }
                if let Some(profile) = windows::profile(conn, first.id)? {
                    by_version
                        .entry(first.key.version)
                        .or_default()
                        .push((first.span, first.rows, profile));
                }
            }
            Ok(())
        })?;
        let rows =
            |blocks: &[(Span, u64, Vec<u8>)]| blocks.iter().map(|(_, rows, _)| rows).sum::<u64>();
        let chosen = by_version
            .into_iter()
            .rev()
            .max_by_key(|(_, blocks)| rows(blocks));
        let Some((_, mut blocks)) = chosen.filter(|(_, blocks)| blocks.len() >= fewest) else {
            return Ok(None);
        };
        blocks.sort_by_key(|(span, _, _)| *span);
        let blocks = blocks
            .into_iter()
            .map(|(span, _, bytes)| {
                Ok(Block {
                    span: Some(span),
                    profile: Profile::from_bytes(&bytes, &layout.layout)?,
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Some(Arc::new(Reference::from_blocks(
            &model.name,
            source,
            &layout.layout,
            blocks,
        )?)))
    }
}
