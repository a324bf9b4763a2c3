//! The models this process knows: what was declared for them, and the layout their rows are counted with.
//!
//! **Invariant:** a model's layout, once set, never changes; it was written to the store by compare-and-set before
//! any record of the model was counted.

use std::sync::{Arc, RwLock};

use hashbrown::HashMap;

use crate::ingest::decode::{Lookup, Models};
use crate::profile::{CompiledLayout, Layout};
use crate::rules::{Declaration, Declarations, Rows};

/// A model that a declaration covers.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: Arc<str>,
    pub declaration: Arc<Declaration>,
    /// `None` until enough rows were seen to make one.
    pub layout: Option<Arc<CompiledLayout>>,
}

/// Looked up for every model and batch, changed a few times in a model's life.
#[derive(Debug)]
pub struct Catalogue {
    declarations: Declarations,
    models: RwLock<HashMap<Arc<str>, Arc<Model>>>,
}

impl Catalogue {
    pub fn new(declarations: Declarations) -> Self {
        Self {
            declarations,
            models: RwLock::new(HashMap::new()),
        }
    }

    /// The declaration that covers `model`.
    pub fn declared(&self, model: &str) -> Option<&Declaration> {
        self.declarations.covering(model)
    }

    /// Models that a declaration calls by their exact name.
    pub fn declared_by_name(&self) -> impl Iterator<Item = String> + '_ {
        self.declarations
            .iter()
            .filter(|d| d.model.is_exact())
            .map(|d| d.model.as_str().to_owned())
    }

    /// The model by name; `None` if no declaration covers it.
    pub fn get(&self, name: &str) -> Option<Arc<Model>> {
        if let Some(model) = self.read().get(name) {
            return Some(Arc::clone(model));
        }
        let declaration = Arc::new(self.declared(name)?.clone());
        let mut models = self
            .models
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let name: Arc<str> = Arc::from(name);
        let model = models.entry(Arc::clone(&name)).or_insert_with(|| {
            Arc::new(Model {
                name,
                declaration,
                layout: None,
            })
        });
        Some(Arc::clone(model))
    }

    /// Sets the layout that the store holds for `name`. The first one stays.
    pub fn set_layout(&self, name: &str, layout: Layout) {
        let Some(model) = self.get(name).filter(|model| model.layout.is_none()) else {
            return;
        };
        let model = Model {
            layout: Some(Arc::new(CompiledLayout::new(Arc::new(layout)))),
            ..(*model).clone()
        };
        let mut models = self
            .models
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        models.insert(Arc::clone(&model.name), Arc::new(model));
    }

    /// Every model met so far, by name.
    pub fn models(&self) -> Vec<Arc<Model>> {
        let mut models: Vec<_> = self.read().values().cloned().collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        models
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Arc<str>, Arc<Model>>> {
        self.models
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Models for Catalogue {
    fn lookup(&self, model: &str) -> Lookup {
        // A name that only refused records show must not take up room, so nothing is entered here.
        match self.read().get(model) {
            Some(known) => match &known.layout {
                Some(layout) => Lookup::Known(Arc::clone(layout)),
                None => Lookup::Learning,
            },
            None if self.declared(model).is_some() => Lookup::Learning,
            None => Lookup::Undeclared,
        }
    }

    fn keeps_ids(&self, model: &str) -> bool {
        // Asked for once a batch.
        let known = self.read().get(model).map(|known| known.declaration.rows);
        known.or_else(|| self.declared(model).map(|declared| declared.rows)) != Some(Rows::None)
    }
}
