//! Rows of the lake as what is learned from, and predictions as what is judged.
//!
//! **Invariant:** a row is learned from once, whichever and how many versions logged it; the order of rows is that of
//! the query, which is fixed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float64Type;

use super::Retraining;
use crate::event::{Millis, Span};
use crate::learn::{Column, Predictions, Table, Target};
use crate::performance::{Kind, Observation};
use crate::profile::{Cells, CompiledLayout, Field, Layout};
use crate::query::{self, DataManifest, QueryError, TrainingSet};
use crate::rules::{Declaration, Task};
use crate::store::layouts;

/// `id` and `ts`.
const BEFORE_FEATURES: usize = 2;

/// What is known of a model that can be trained.
#[derive(Debug, Clone)]
pub struct Ground {
    pub model: String,
    pub declaration: Arc<Declaration>,
    pub layout: Arc<CompiledLayout>,
}

impl Ground {
    /// `Ok(Err(…))`: why it cannot be trained, in a sentence.
    pub async fn of(
        retraining: &Retraining,
        model: &str,
    ) -> anyhow::Result<Result<Ground, String>> {
        let declaration = match retraining.trainable(model) {
            Ok(declaration) => declaration,
            Err(why) => return Ok(Err(why.to_string())),
        };
        let name = model.to_owned();
        let stored = retraining
            .store()
            .read_async(move |conn| layouts::get(conn, &name));
        let Some(stored) = stored.await? else {
            return Ok(Err(format!(
                "{model} has no layout yet: too few rows have come"
            )));
        };
        let layout = CompiledLayout::new(Arc::new(Layout::from_json(&stored.body)?));
        Ok(Ok(Ground {
            model: model.to_owned(),
            declaration,
            layout: Arc::new(layout),
        }))
    }

    pub fn kind(&self) -> Kind<'_> {
        kind(&self.declaration.task).unwrap_or(Kind::Regression)
    }

    pub fn task_name(&self) -> &'static str {
        match self.kind() {
            Kind::Binary { .. } => "binary",
            Kind::Multiclass => "multiclass",
            Kind::Regression => "regression",
        }
    }

    /// The features, by their columns' names.
    pub fn features(&self) -> Vec<String> {
        let columns = self.layout.layout().columns.iter();
        columns
            .filter(|column| column.field == Field::Feature)
            .map(|column| column.name.clone())
            .collect()
    }
}

/// How performance of a task is judged; `None` where it cannot be.
pub fn kind(task: &Task) -> Option<Kind<'_>> {
    match task {
        Task::Binary { positive } => Some(Kind::Binary { positive }),
        Task::Multiclass => Some(Kind::Multiclass),
        Task::Regression => Some(Kind::Regression),
        Task::Ranking | Task::None => None,
    }
}

/// Rows of a span with their labels.
#[derive(Debug)]
pub struct Rows {
    pub table: Table,
    pub observations: Vec<Observation>,
    pub manifest: DataManifest,
}

/// Reads the rows of `span`, of one version or of all, with the labels known by `known_by`.
pub async fn read(
    retraining: &Retraining,
    ground: &Ground,
    version: Option<&str>,
    span: Span,
    known_by: Millis,
) -> Result<Rows, QueryError> {
    let ask = query::TrainingAsk {
        model: &ground.model,
        version,
        span,
        known_by,
        layout: &ground.layout,
        kind: ground.kind(),
    };
    let set = query::training_set(retraining.lake(), retraining.store(), &ask).await?;
    Ok(Rows::of(ground.layout.layout(), set))
}

/// The features of a training set's batch, which begin at its third column and stand in the layout's order.
fn table(layout: &Layout, batch: &RecordBatch) -> Table {
    let mut table = Table::default();
    let features = layout
        .columns
        .iter()
        .filter(|column| column.field == Field::Feature);
    for (column, values) in features.zip(batch.columns().iter().skip(BEFORE_FEATURES)) {
        let values = match &column.cells {
            Cells::Numeric(_) => values.as_primitive_opt::<Float64Type>().map(|numbers| {
                let numbers = numbers.iter().map(|number| number.unwrap_or(f64::NAN));
                Column::Numeric(numbers.collect())
            }),
            Cells::Categorical(_) => values.as_string_opt::<i32>().map(|texts| {
                Column::Categorical(texts.iter().map(|text| text.map(str::to_owned)).collect())
            }),
        };
        if let Some(values) = values {
            table.names.push(column.name.clone());
            table.columns.push(values);
        }
    }
    table
}

impl Rows {
    pub fn of(layout: &Layout, set: TrainingSet) -> Self {
        Self {
            table: table(layout, &set.batch),
            observations: set.observations,
            manifest: set.manifest,
        }
    }

    /// Places of labelled rows, each id once: the row that was logged first counts, for all versions predicted from
    /// the same features. In order of time.
    pub fn learnable(&self, kind: Kind<'_>) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.observations.len())
            .filter(|&row| self.observations[row].is_labelled(kind))
            .collect();
        // A stable sort: what has one time stays in the query's order.
        places.sort_by_key(|&row| self.observations[row].ts);
        let mut seen = HashSet::new();
        places.retain(|&row| match &self.observations[row].id {
            Some(id) => seen.insert(id.as_str()),
            None => true,
        });
        places
    }

    /// Event time of the earliest row.
    pub fn first_ts(&self) -> Option<Millis> {
        self.observations.iter().map(|row| row.ts).min()
    }
}

/// What the labels of `places` say, as a target.
///
/// # Errors
/// In a sentence, where nothing can be learned from them.
pub fn target(
    kind: Kind<'_>,
    observations: &[Observation],
    places: &[usize],
) -> Result<Target, String> {
    let truth = |&row: &usize| observations[row].truth.as_ref();
    match kind {
        Kind::Binary { positive } => {
            let classes = classes(observations, places);
            let others: Vec<&&str> = classes.iter().filter(|class| **class != positive).collect();
            let negative = match others.as_slice() {
                [] => return Err(format!("every label says {positive:?}")),
                [other] => (**other).to_owned(),
                _ => format!("not {positive}"),
            };
            if !classes.contains(positive) {
                return Err(format!("no label says {positive:?}"));
            }
            let is_positive = places
                .iter()
                .filter_map(truth)
                .map(|truth| truth.class.as_deref() == Some(positive));
            Ok(Target::Binary {
                positive: positive.to_owned(),
                negative,
                is_positive: is_positive.collect(),
            })
        }
        Kind::Multiclass => {
            let classes: Vec<&str> = classes(observations, places).into_iter().collect();
            if classes.len() < 2 {
                return Err(format!(
                    "every label says {:?}",
                    classes.first().copied().unwrap_or_default()
                ));
            }
            let place = |class: &str| classes.binary_search(&class).unwrap_or_default() as u32;
            let class = places
                .iter()
                .filter_map(truth)
                .map(|truth| place(truth.class.as_deref().unwrap_or_default()));
            Ok(Target::Multiclass {
                class: class.collect(),
                classes: classes.iter().map(|class| (*class).to_owned()).collect(),
            })
        }
        Kind::Regression => {
            let values = places
                .iter()
                .filter_map(truth)
                .filter_map(|truth| truth.value);
            Ok(Target::Regression(values.collect()))
        }
    }
}

fn classes<'a>(observations: &'a [Observation], places: &[usize]) -> BTreeSet<&'a str> {
    places
        .iter()
        .filter_map(|&row| observations[row].truth.as_ref()?.class.as_deref())
        .collect()
}

/// The same rows and truths, with what a model says of them in the place of what was logged.
pub fn predicted(predictions: &Predictions, rows: &[Observation]) -> Vec<Observation> {
    let blank = |row: &Observation| Observation {
        version: String::new(),
        class: None,
        value: None,
        scores: BTreeMap::new(),
        ..row.clone()
    };
    match predictions {
        Predictions::Classes {
            classes,
            probabilities,
        } => {
            let decided = predictions.decided().unwrap_or_default();
            let rows = rows
                .iter()
                .zip(probabilities.chunks_exact(classes.len().max(1)));
            rows.zip(decided)
                .map(|((row, probabilities), decided)| Observation {
                    class: classes.get(decided).cloned(),
                    scores: classes
                        .iter()
                        .cloned()
                        .zip(probabilities.iter().copied())
                        .collect(),
                    ..blank(row)
                })
                .collect()
        }
        Predictions::Values(values) => rows
            .iter()
            .zip(values)
            .map(|(row, value)| Observation {
                value: Some(*value),
                ..blank(row)
            })
            .collect(),
    }
}
