//! The rows of one model that wait to become a batch, and the way of a record's fields into their columns.
//!
//! **Invariant:** a row counts when [`ModelRows::accept`] was called; [`ModelRows::undo`] leaves no trace of one that
//! was begun. Each column then has exactly one entry a row.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;

use super::columns::ColumnBuilder;
use super::json::{Fault, Scanner, Token};
use super::keys::{KeyOrder, cut_name};
use super::list;
use crate::event::{Batch, Millis, State, id_hash};
use crate::profile::{CompiledLayout, Field};

/// Keys whose order is remembered beyond those of the layout's columns: skipped and unknown ones.
const OTHER_KEYS: usize = 64;

/// Where the value of a key goes.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Column(usize),
    /// A list of numbers: its length goes into its own column, its numbers into those of the elements.
    Vector {
        own: usize,
        elements: Range<usize>,
    },
    /// The layout knows the field and does not watch it.
    Skipped,
    /// The layout does not know the field; under this name it is counted.
    Unknown(String),
}

#[derive(Debug)]
pub(super) struct ModelRows {
    pub name: Arc<str>,
    /// `None`: the model has no layout yet, so only the envelope is decoded.
    pub layout: Option<Arc<CompiledLayout>>,
    /// Whether the layout was asked for since the last batch was taken.
    pub fresh: bool,
    /// Whether a record of this model was ever accepted from this partition.
    pub carried: bool,
    /// Whether batches carry the ids themselves.
    pub keep_ids: bool,
    columns: Vec<ColumnBuilder>,
    /// The list that is being read.
    numbers: Vec<f64>,
    fields: Fields,
    /// All vectors but `columns` fill up here; the batch is this with its columns.
    batch: Batch,
    version_places: HashMap<String, u32, foldhash::fast::RandomState>,
}

/// What the keys of a record mean under one layout.
#[derive(Debug)]
struct Fields {
    by_name: HashMap<String, Target, foldhash::fast::RandomState>,
    features: Members,
    scores: Members,
    outputs: Members,
    label: Target,
    value: Target,
    latency: Target,
}

/// An object whose members are columns.
#[derive(Debug)]
struct Members {
    field: fn(&str) -> Field,
    columns: Vec<usize>,
    order: KeyOrder<Target>,
}

impl ModelRows {
    pub fn new(name: Arc<str>, layout: Option<Arc<CompiledLayout>>) -> Self {
        let fields = Fields::new(layout.as_deref());
        let columns = columns_of(layout.as_deref());
        let batch = Batch {
            model: Arc::clone(&name),
            ..Batch::default()
        };
        Self {
            name,
            layout,
            fresh: true,
            carried: false,
            keep_ids: false,
            columns,
            numbers: Vec::new(),
            fields,
            batch,
            version_places: HashMap::default(),
        }
    }

    /// Uses the layout from now on. Only between batches.
    pub fn use_layout(&mut self, layout: Option<Arc<CompiledLayout>>) {
        let same = match (&self.layout, &layout) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.fields = Fields::new(layout.as_deref());
            self.columns = columns_of(layout.as_deref());
            self.layout = layout;
        }
        self.fresh = true;
    }

    pub fn rows(&self) -> usize {
        self.batch.offsets.len()
    }

    pub fn bytes(&self) -> usize {
        self.columns.iter().map(ColumnBuilder::bytes).sum()
    }

    /// Drops what was read of a row that is not accepted.
    pub fn undo(&mut self) {
        let rows = self.rows();
        for column in &mut self.columns {
            column.truncate(rows);
        }
        let kept = self
            .batch
            .unknown_fields
            .partition_point(|(row, _)| (*row as usize) < rows);
        self.batch.unknown_fields.truncate(kept);
    }

    /// Ends a row: what was not there is absent.
    pub fn accept(&mut self, offset: i64, ts: Millis, version: &str, id: Option<&str>) {
        let row = self.rows();
        for column in &mut self.columns {
            if column.rows() == row {
                column.push_missing(State::Absent);
            }
        }
        self.tidy_unknown(row);
        let version_place = self.version_place(version);
        self.batch.offsets.push(offset);
        self.batch.ts.push(ts);
        self.batch.versions.push(version_place);
        self.batch
            .id_hashes
            .push(id.map(|id| id_hash(&self.name, version, id)));
        if self.keep_ids {
            self.batch.ids.push(id);
        }
        self.carried = true;
    }

    /// The rows so far, in offset order; empty afterwards.
    pub fn take(&mut self) -> Batch {
        self.version_places.clear();
        self.fresh = false;
        let empty = Batch {
            model: Arc::clone(&self.name),
            ..Batch::default()
        };
        let mut batch = std::mem::replace(&mut self.batch, empty);
        batch.columns = self.columns.iter_mut().map(ColumnBuilder::take).collect();
        batch
    }

    fn version_place(&mut self, version: &str) -> u32 {
        if let Some(last) = self.batch.versions.last()
            && self.batch.version_names[*last as usize] == version
        {
            return *last;
        }
        let names = &mut self.batch.version_names;
        *self.version_places.entry_ref(version).or_insert_with(|| {
            names.push(version.to_owned());
            (names.len() - 1) as u32
        })
    }

    /// A key that stands twice in an object is one field.
    fn tidy_unknown(&mut self, row: usize) {
        let unknown = &mut self.batch.unknown_fields;
        let first = unknown.partition_point(|(earlier, _)| (*earlier as usize) < row);
        if unknown.len() - first > 1 {
            let mut names = unknown.split_off(first);
            names.sort_unstable();
            names.dedup();
            unknown.append(&mut names);
        }
    }

    pub fn unknown(&mut self, name: &str) {
        if self.layout.is_some() {
            let row = self.batch.offsets.len() as u32;
            self.batch
                .unknown_fields
                .push((row, cut_name(name).to_owned()));
        }
    }

    /// Reads the value of `features`.
    pub fn read_features(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        self.read_members(scanner, |fields| &mut fields.features)
    }

    pub fn read_latency(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let target = self.fields.latency.clone();
        self.read_field(scanner, &target)
    }

    /// Reads the value of `prediction`. True: `scores` or `values` stood in it twice.
    pub fn read_prediction(&mut self, scanner: &mut Scanner<'_>) -> Result<bool, Fault> {
        if scanner.peek() != b'{' {
            let state = missing_state(&scanner.token()?);
            let fields = &self.fields;
            let single =
                [&fields.label, &fields.value]
                    .into_iter()
                    .filter_map(|target| match target {
                        Target::Column(column) => Some(*column),
                        _ => None,
                    });
            let all = single
                .chain(fields.scores.columns.iter().copied())
                .chain(fields.outputs.columns.iter().copied());
            set_missing(&mut self.columns, self.batch.offsets.len(), all, state);
            return Ok(false);
        }
        let (mut scores, mut outputs) = (0, 0);
        let mut more = scanner.open_object()?;
        let mut members = 0;
        while more {
            scanner.count(members)?;
            members += 1;
            let (key, _) = scanner.key()?;
            match &*key {
                "label" => self.read_field(scanner, &self.fields.label.clone())?,
                "value" => self.read_field(scanner, &self.fields.value.clone())?,
                "scores" => {
                    scores += 1;
                    self.read_members(scanner, |fields| &mut fields.scores)?;
                }
                "values" => {
                    outputs += 1;
                    self.read_members(scanner, |fields| &mut fields.outputs)?;
                }
                other => {
                    self.unknown(&format!("prediction.{other}"));
                    scanner.skip()?;
                }
            }
            more = scanner.next_member()?;
        }
        Ok(scores > 1 || outputs > 1)
    }

    fn read_field(&mut self, scanner: &mut Scanner<'_>, target: &Target) -> Result<(), Fault> {
        match target {
            Target::Column(column) => {
                let row = self.batch.offsets.len();
                self.columns[*column].truncate(row);
                self.columns[*column].read(scanner)
            }
            Target::Vector { own, elements } => {
                let row = self.batch.offsets.len();
                let elements = elements.clone();
                list::read_vector(
                    scanner,
                    &mut self.numbers,
                    &mut self.columns,
                    row,
                    *own,
                    elements,
                )
            }
            Target::Skipped => scanner.skip(),
            Target::Unknown(name) => {
                self.unknown(name);
                scanner.skip()
            }
        }
    }

    #[inline]
    fn read_members(
        &mut self,
        scanner: &mut Scanner<'_>,
        pick: fn(&mut Fields) -> &mut Members,
    ) -> Result<(), Fault> {
        let row = self.batch.offsets.len();
        if self.layout.is_none() {
            return scanner.skip();
        }
        if scanner.peek() != b'{' {
            let state = missing_state(&scanner.token()?);
            let columns = pick(&mut self.fields).columns.iter().copied();
            set_missing(&mut self.columns, row, columns, state);
            return Ok(());
        }
        // Apart for the loop, so that `by_name` can be looked into while the order is learned.
        let by_name = std::mem::take(&mut self.fields.by_name);
        let members = pick(&mut self.fields);
        let field = members.field;
        let result = (|| {
            let mut more = scanner.open_object()?;
            let (mut count, mut cursor) = (0, 0);
            while more {
                scanner.count(count)?;
                count += 1;
                let target = members.order.next(scanner, &mut cursor, |key| {
                    lookup(&by_name, &field(&key), &key)
                })?;
                match target {
                    Target::Column(column) => {
                        let column = &mut self.columns[*column];
                        if column.rows() > row {
                            column.truncate(row);
                        }
                        column.read(scanner)?;
                    }
                    Target::Vector { own, elements } => list::read_vector(
                        scanner,
                        &mut self.numbers,
                        &mut self.columns,
                        row,
                        *own,
                        elements.clone(),
                    )?,
                    Target::Skipped => scanner.skip()?,
                    Target::Unknown(name) => {
                        self.batch.unknown_fields.push((row as u32, name.clone()));
                        scanner.skip()?;
                    }
                }
                more = scanner.next_member()?;
            }
            Ok(())
        })();
        self.fields.by_name = by_name;
        result
    }
}

impl Fields {
    fn new(layout: Option<&CompiledLayout>) -> Self {
        let mut by_name = HashMap::default();
        let columns = layout.map_or(&[][..], |layout| &layout.layout.columns);
        let layout = layout.map(|layout| &*layout.layout);
        for (place, column) in columns.iter().enumerate() {
            let elements = layout.map_or(place..place + 1, |layout| layout.numbers_of(place));
            let target = match column.field {
                Field::Vector(_) => Target::Vector {
                    own: place,
                    elements,
                },
                // No key names one.
                Field::Element(..) => continue,
                _ => Target::Column(place),
            };
            by_name.insert(column.name.clone(), target);
        }
        for (name, _) in layout.iter().flat_map(|layout| &layout.skipped) {
            by_name.entry_ref(name).or_insert(Target::Skipped);
        }
        let members = |field: fn(&str) -> Field, of: fn(&Field) -> bool| {
            let places = columns
                .iter()
                .enumerate()
                .filter(|(_, column)| of(&column.field));
            let places: Vec<usize> = places.map(|(place, _)| place).collect();
            Members {
                field,
                order: KeyOrder::new(places.len() + OTHER_KEYS),
                columns: places,
            }
        };
        Self {
            features: members(|_| Field::Feature, Field::is_of_features),
            scores: members(
                |key| Field::Score(key.to_owned()),
                |field| matches!(field, Field::Score(_)),
            ),
            outputs: members(
                |key| Field::Values(key.to_owned()),
                |field| matches!(field, Field::Values(_)),
            ),
            label: lookup(&by_name, &Field::Label, ""),
            value: lookup(&by_name, &Field::Value, ""),
            latency: lookup(&by_name, &Field::Latency, ""),
            by_name,
        }
    }
}

fn lookup(
    by_name: &HashMap<String, Target, foldhash::fast::RandomState>,
    field: &Field,
    key: &str,
) -> Target {
    let name = field.column_name(key);
    match by_name.get(&name) {
        Some(target) => target.clone(),
        None => Target::Unknown(cut_name(&name).to_owned()),
    }
}

fn columns_of(layout: Option<&CompiledLayout>) -> Vec<ColumnBuilder> {
    let columns = layout.map_or(&[][..], |layout| &layout.layout.columns);
    columns
        .iter()
        .map(|column| ColumnBuilder::new(&column.cells))
        .collect()
}

/// What the columns of an object are when something else stands in its place.
pub(super) fn missing_state(instead: &Token<'_>) -> State {
    if *instead == Token::Null {
        State::Null
    } else {
        State::WrongType
    }
}

pub(super) fn set_missing(
    builders: &mut [ColumnBuilder],
    row: usize,
    columns: impl Iterator<Item = usize>,
    state: State,
) {
    for column in columns {
        builders[column].truncate(row);
        builders[column].push_missing(state);
    }
}
