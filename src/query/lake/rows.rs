//! Predictions as they were logged: row batches of the lake become observations that wait for their labels.
//!
//! **Invariant:** the order of observations is fixed by what they are ([`Order`]), not by how they were read.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};

use super::classes::Classes;
use crate::performance::Observation;
use crate::profile::{Field, Layout, category_text};

/// How many columns the lake's rows have before those of the layout.
pub(super) const ENVELOPE: usize = 7;

/// The columns of a row that make an observation: the envelope, then what was predicted. As places in the lake's
/// schema of rows.
pub(super) fn columns_of_observations(layout: &Layout) -> Vec<usize> {
    let predicted = (ENVELOPE..).zip(&layout.columns);
    let predicted = predicted.filter(|(_, column)| {
        matches!(column.field, Field::Label | Field::Value | Field::Score(_))
    });
    (0..ENVELOPE)
        .chain(predicted.map(|(place, _)| place))
        .collect()
}

/// Where a record stood; topics by their place in [`Logged::topics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub topic: u32,
    pub partition: i32,
    pub offset: i64,
}

/// In which order observations are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By (version, ts, topic, partition, offset).
    Version,
    /// By (ts, topic, partition, offset).
    Time,
}

/// Observations without truth, and where each was logged.
#[derive(Debug, Default)]
pub(super) struct Logged {
    pub observations: Vec<Observation>,
    pub places: Vec<Place>,
    pub topics: Vec<String>,
    /// The ids, batch by batch as they were read; null where a row has none.
    pub ids: Vec<StringArray>,
}

/// Where the predictions stand in a batch, and how they are called.
pub(super) struct Reader<'a> {
    classes: &'a Classes,
    label: Option<usize>,
    value: Option<usize>,
    /// Class and place.
    scores: Vec<(String, usize)>,
}

impl<'a> Reader<'a> {
    /// For batches whose columns are `columns` of the lake's schema of rows.
    pub fn new(layout: &Layout, classes: &'a Classes, columns: &[usize]) -> Self {
        let mut reader = Self {
            classes,
            label: None,
            value: None,
            scores: Vec::new(),
        };
        let mut exact: Vec<bool> = Vec::new();
        for (place, &column) in columns.iter().enumerate() {
            let Some(column) = column.checked_sub(ENVELOPE) else {
                continue;
            };
            match &layout.columns[column].field {
                Field::Label => reader.label = Some(place),
                Field::Value => reader.value = Some(place),
                Field::Score(class) => {
                    let name = classes.predicted(class);
                    let is_exact = name == class;
                    // Two columns may mean one class: the one that is called so counts.
                    match reader.scores.iter().position(|(known, _)| known == name) {
                        Some(known) if is_exact && !exact[known] => {
                            (reader.scores[known].1, exact[known]) = (place, true);
                        }
                        Some(_) => {}
                        None => {
                            reader.scores.push((name.to_owned(), place));
                            exact.push(is_exact);
                        }
                    }
                }
                _ => {}
            }
        }
        reader
    }

    /// Adds the rows of `batch`.
    pub fn read(&self, batch: &RecordBatch, logged: &mut Logged) {
        let versions = batch.column(0).as_string::<i32>();
        let ids = batch.column(1).as_string::<i32>();
        let times = batch.column(2).as_primitive::<Int64Type>();
        let topics = batch.column(4).as_string::<i32>();
        let partitions = batch.column(5).as_primitive::<Int32Type>();
        let offsets = batch.column(6).as_primitive::<Int64Type>();
        let label = self.label.map(|place| batch.column(place));
        let value = self.value.map(|place| batch.column(place));
        let scores: Vec<(&str, &ArrayRef)> = self
            .scores
            .iter()
            .map(|(class, place)| (class.as_str(), batch.column(*place)))
            .collect();
        for row in 0..batch.num_rows() {
            let scores = scores
                .iter()
                .filter_map(|(class, column)| Some(((*class).to_owned(), finite(column, row)?)));
            logged.observations.push(Observation {
                version: versions.value(row).to_owned(),
                id: ids.is_valid(row).then(|| ids.value(row).to_owned()),
                ts: times.value(row),
                class: label.and_then(|column| self.class(column, row)),
                value: value.and_then(|column| finite(column, row)),
                scores: scores.collect::<BTreeMap<_, _>>(),
                truth: None,
            });
            let topic = logged.topic(topics.value(row));
            logged.places.push(Place {
                topic,
                partition: partitions.value(row),
                offset: offsets.value(row),
            });
        }
        logged.ids.push(ids.clone());
    }

    fn class(&self, column: &ArrayRef, row: usize) -> Option<String> {
        if column.is_null(row) {
            return None;
        }
        match column.data_type() {
            DataType::Float64 => {
                let text = category_text(column.as_primitive::<Float64Type>().value(row));
                Some(self.classes.predicted(&text).to_owned())
            }
            _ => {
                let text = column.as_string::<i32>().value(row);
                Some(self.classes.predicted(text).to_owned())
            }
        }
    }
}

/// A number that can be reckoned with. A column that the layout counts as categories holds numbers as texts.
fn finite(column: &ArrayRef, row: usize) -> Option<f64> {
    if column.is_null(row) {
        return None;
    }
    let number = match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row),
        _ => column.as_string::<i32>().value(row).parse().ok()?,
    };
    number.is_finite().then_some(number)
}

impl Logged {
    /// A topic's place in the list, which it enters if it is new. Few topics: looking through them is quick.
    fn topic(&mut self, topic: &str) -> u32 {
        // The last one is the most likely: rows of a batch come from one topic.
        let known = self.topics.iter().rposition(|known| known == topic);
        let place = known.unwrap_or_else(|| {
            self.topics.push(topic.to_owned());
            self.topics.len() - 1
        });
        place as u32
    }

    /// The places of observations in that order.
    pub fn sorted(&self, order: Order) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.observations.len()).collect();
        places.sort_unstable_by(|&a, &b| self.compare(order, a, b));
        places
    }

    fn compare(&self, order: Order, a: usize, b: usize) -> Ordering {
        let (left, right) = (&self.observations[a], &self.observations[b]);
        let (i, j) = (&self.places[a], &self.places[b]);
        let version = match order {
            Order::Version => left.version.cmp(&right.version),
            Order::Time => Ordering::Equal,
        };
        let topic = |place: &Place| &self.topics[place.topic as usize];
        version
            .then_with(|| left.ts.cmp(&right.ts))
            .then_with(|| topic(i).cmp(topic(j)))
            .then_with(|| i.partition.cmp(&j.partition))
            .then_with(|| i.offset.cmp(&j.offset))
            // A log that was made anew can have two records of one place.
            .then_with(|| left.version.cmp(&right.version))
            .then_with(|| left.id.cmp(&right.id))
    }
}
