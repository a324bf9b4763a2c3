//! Which reference a window is compared with, and how references come to be from past windows.
//!
//! **Invariant:** a reference made from windows uses their revision 0, which is the same whenever it is made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::event::{Key, Millis, Span, WEEK};
use crate::ingest::catalogue::Model;
use crate::profile::CompiledLayout;
use crate::reference::Reference;
use crate::reference::windows::{OfWindows, of_windows};
use crate::rules::ReferenceSpec;
use crate::service::learning::reference_row;
use crate::store::{Store, references, windows};

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
        match self.of_promotion(model, layout, key, window)? {
            Some(reference) => Ok(Some(reference)),
            None => self.declared(model, layout, key, window),
        }
    }

    /// The anchor: what the declaration names, for a window whose own reference came with a promotion. It never moves,
    /// so that a slow change is seen that every new model takes for granted. `None` where it is the window's own.
    pub fn anchor(
        &self,
        model: &Model,
        layout: &CompiledLayout,
        key: &Key,
        window: Span,
    ) -> anyhow::Result<Option<Arc<Reference>>> {
        match self.of_promotion(model, layout, key, window)? {
            Some(_) => self.declared(model, layout, key, window),
            None => Ok(None),
        }
    }

    fn declared(
        &self,
        model: &Model,
        layout: &CompiledLayout,
        key: &Key,
        window: Span,
    ) -> anyhow::Result<Option<Arc<Reference>>> {
        let spec = &model.declaration.window;
        let source = model.declaration.reference.to_string();
        match &model.declaration.reference {
            ReferenceSpec::Training => Ok(None),
            ReferenceSpec::File(_) => self.bound(model, layout),
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
                let bound = self.bound(model, layout)?;
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
                self.bound(model, layout)
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

    /// The reference of all versions without one of their own.
    fn bound(
        &self,
        model: &Model,
        layout: &CompiledLayout,
    ) -> anyhow::Result<Option<Arc<Reference>>> {
        let hash = self
            .store
            .read(|conn| references::binding_of(conn, &model.name, ""))?;
        match hash {
            Some(hash) => self.loaded(layout, hash),
            None => Ok(None),
        }
    }

    /// The reference that came with the version's promotion, for windows behind those it is made of. Moving references
    /// are declared to move, so they have no use for it.
    fn of_promotion(
        &self,
        model: &Model,
        layout: &CompiledLayout,
        key: &Key,
        window: Span,
    ) -> anyhow::Result<Option<Arc<Reference>>> {
        let moves = matches!(
            model.declaration.reference,
            ReferenceSpec::Trailing(_) | ReferenceSpec::SameHourOfWeek(_)
        );
        if moves || key.version.is_empty() {
            return Ok(None);
        }
        let own = self
            .store
            .read(|conn| references::binding_of(conn, &model.name, &key.version))?;
        let Some(own) = own else { return Ok(None) };
        let reference = self.loaded(layout, own)?;
        let is_behind =
            |reference: &Arc<Reference>| reference.span.is_none_or(|span| window.end > span.end);
        Ok(reference.filter(is_behind))
    }

    fn loaded(
        &self,
        layout: &CompiledLayout,
        hash: String,
    ) -> anyhow::Result<Option<Arc<Reference>>> {
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

    /// See [`of_windows`].
    fn made_of_windows(
        &self,
        model: &Model,
        layout: &CompiledLayout,
        version: Option<&str>,
        spans: &[Span],
        source: &str,
        fewest: usize,
    ) -> anyhow::Result<Option<Arc<Reference>>> {
        let ask = OfWindows {
            model: &model.name,
            layout: &layout.layout,
            version,
            spans,
            min_rows: model.declaration.window.min_rows,
            fewest,
            source,
        };
        Ok(of_windows(&self.store, &ask)?.map(Arc::new))
    }
}
