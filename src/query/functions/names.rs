//! What SQL calls by name: layouts and references, and the layout behind a profile's bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use super::FunctionError;
use crate::profile::vector::Part;
use crate::profile::{CompiledLayout, Layout, Profile};

/// The layouts and references of one session.
#[derive(Debug, Clone, Default)]
pub(in crate::query) struct Names {
    /// By name, and by hash.
    layouts: BTreeMap<String, Arc<Named>>,
    references: BTreeMap<String, Arc<Reference>>,
    /// By the fingerprint of the layout of this column alone.
    columns: HashMap<u64, Arc<OneColumn>>,
}

#[derive(Debug)]
struct Named {
    layout: Arc<Layout>,
    /// In the layout's order.
    columns: Vec<Arc<OneColumn>>,
}

#[derive(Debug)]
struct Reference {
    layout: Arc<Named>,
    profile: Profile,
}

/// One column of a layout, as a layout.
#[derive(Debug)]
pub(in crate::query) struct OneColumn {
    pub layout: Layout,
    /// What it holds of a list, where the values are lists.
    pub part: Option<Part>,
    compiled: OnceLock<CompiledLayout>,
}

impl OneColumn {
    /// Made at the first call: a session knows many columns, and a query counts few.
    pub fn compiled(&self) -> &CompiledLayout {
        let compile = || CompiledLayout::new(Arc::new(self.layout.clone()));
        self.compiled.get_or_init(compile)
    }

    pub fn name(&self) -> &str {
        self.layout
            .columns
            .first()
            .map_or("", |column| column.name.as_str())
    }
}

impl Names {
    /// Lets `name` and the layout's hash stand for `layout`. A name that is taken stands for the new one from now on.
    pub fn add_layout(&mut self, name: &str, layout: &Arc<Layout>) {
        self.named(name, layout);
    }

    fn named(&mut self, name: &str, layout: &Arc<Layout>) -> Arc<Named> {
        let hash = layout.hash();
        let named = match self.layouts.get(&hash) {
            Some(known) => Arc::clone(known),
            None => {
                let columns = layout.columns.iter().zip(layout.parts());
                let columns = columns.map(|(column, part)| {
                    let alone = Layout::of_one(column);
                    let known = self.columns.get(&alone.fingerprint());
                    if let Some(known) = known.filter(|known| known.part == part) {
                        return Arc::clone(known);
                    }
                    let fingerprint = alone.fingerprint();
                    let own = Arc::new(OneColumn {
                        layout: alone,
                        part,
                        compiled: OnceLock::new(),
                    });
                    // Profiles are read alike, whatever lists they were counted from.
                    self.columns
                        .entry(fingerprint)
                        .or_insert_with(|| Arc::clone(&own));
                    own
                });
                Arc::new(Named {
                    columns: columns.collect(),
                    layout: Arc::clone(layout),
                })
            }
        };
        self.layouts.insert(hash, Arc::clone(&named));
        self.layouts.insert(name.to_owned(), Arc::clone(&named));
        named
    }

    /// Lets each of `names` stand for the reference `profile`, which was counted with `layout`.
    pub fn add_reference(&mut self, names: &[&str], layout: &Arc<Layout>, profile: &Profile) {
        let hash = layout.hash();
        let reference = Arc::new(Reference {
            layout: self.named(&hash, layout),
            profile: profile.clone(),
        });
        for name in names {
            self.references
                .insert((*name).to_owned(), Arc::clone(&reference));
        }
    }

    /// The layout of this name or hash.
    pub fn layout(&self, name: &str) -> Result<&Arc<Layout>, FunctionError> {
        self.find(name).map(|named| &named.layout)
    }

    fn find(&self, name: &str) -> Result<&Arc<Named>, FunctionError> {
        self.layouts
            .get(name)
            .ok_or_else(|| FunctionError::NoLayout {
                name: name.to_owned(),
                known: given(self.layouts.keys()),
            })
    }

    /// The column of a layout that has the first of these names that it knows.
    pub fn column(
        &self,
        layout: &str,
        columns: &[String],
        remedy: &'static str,
    ) -> Result<Arc<OneColumn>, FunctionError> {
        let named = self.find(layout)?;
        let index = columns
            .iter()
            .find_map(|column| named.layout.column(column));
        let found = index.and_then(|index| named.columns.get(index));
        found.cloned().ok_or_else(|| FunctionError::NoColumn {
            function: "profile",
            layout: layout.to_owned(),
            column: columns.first().cloned().unwrap_or_default(),
            found: columns_of(&named.layout),
            remedy,
        })
    }

    /// The bytes of one column of a reference.
    pub fn reference(&self, name: &str, column: &str) -> Result<Vec<u8>, FunctionError> {
        let Some(reference) = self.references.get(name) else {
            return Err(FunctionError::NoReference {
                name: name.to_owned(),
                known: given(self.references.keys()),
            });
        };
        let layout = &reference.layout;
        let index = layout.layout.column(column);
        let taken = index.and_then(|index| {
            let one = layout.columns.get(index)?;
            reference.profile.of_one(index, &one.layout)
        });
        let taken = taken.ok_or_else(|| FunctionError::NoColumn {
            function: "reference",
            layout: name.to_owned(),
            column: column.to_owned(),
            found: columns_of(&layout.layout),
            remedy: "",
        })?;
        Ok(taken.to_bytes())
    }

    /// Reads the bytes of a column's profile; `function` is who asks.
    pub fn read(
        &self,
        function: &str,
        bytes: &[u8],
    ) -> Result<(&Arc<OneColumn>, Profile), FunctionError> {
        let wrong = |cause| FunctionError::Profile {
            function: function.to_owned(),
            cause,
        };
        let fingerprint = Profile::layout_of(bytes).map_err(wrong)?;
        let Some(column) = self.columns.get(&fingerprint) else {
            return Err(FunctionError::UnknownLayout {
                function: function.to_owned(),
                fingerprint,
            });
        };
        let profile = Profile::from_bytes(bytes, &column.layout).map_err(wrong)?;
        Ok((column, profile))
    }
}

fn columns_of(layout: &Layout) -> Vec<String> {
    let columns = layout.columns.iter();
    let columns = columns.filter(|column| column.stands_alone());
    columns.map(|column| column.name.clone()).collect()
}

/// Names that people gave: hashes would hide them.
fn given<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let is_hash =
        |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    names.filter(|name| !is_hash(name)).cloned().collect()
}
