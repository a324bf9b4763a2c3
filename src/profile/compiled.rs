//! A layout made ready for counting: what the hot loop looks up in.

use std::sync::Arc;

use super::categorical::CompiledCategorical;
use super::layout::{Cells, Layout};
use super::numeric::CompiledNumeric;

/// A [`Layout`] with its search tables: built once for each layout, shared, never stored.
#[derive(Debug)]
pub struct CompiledLayout {
    pub(crate) layout: Arc<Layout>,
    pub(crate) fingerprint: u64,
    hash: String,
    pub(crate) columns: Vec<CompiledColumn>,
}

#[derive(Debug)]
pub(crate) enum CompiledColumn {
    Numeric(CompiledNumeric),
    Categorical(CompiledCategorical),
}

impl CompiledLayout {
    pub fn new(layout: Arc<Layout>) -> Self {
        let compile = |cells: &Cells| match cells {
            Cells::Numeric(cells) => CompiledColumn::Numeric(CompiledNumeric::new(cells)),
            Cells::Categorical(cells) => {
                CompiledColumn::Categorical(CompiledCategorical::new(cells))
            }
        };
        Self {
            fingerprint: layout.fingerprint(),
            hash: layout.hash(),
            columns: layout
                .columns
                .iter()
                .map(|column| compile(&column.cells))
                .collect(),
            layout,
        }
    }

    /// [`Layout::hash`], computed once.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }
}
