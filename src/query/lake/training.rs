//! What a model is trained on: rows with their features, predictions and labels, in one fixed order, and the manifest
//! that proves them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};
use datafusion::error::DataFusionError;

use super::classes::Classes;
use super::manifest::{DataManifest, SourceKind, Sources, content_hash};
use super::observations::{Unusable, in_order, join_labels, scan_rows};
use super::rows::{ENVELOPE, Logged, Order, Reader};
use super::scan::{Bounds, Session};
use super::snapshot::{Attempts, Snapshot};
use crate::event::{Millis, Span, id_hash};
use crate::performance::{Kind, Observation};
use crate::profile::{Cells, CompiledLayout, Field, Layout};
use crate::query::QueryError;
use crate::store::Store;
use crate::store::lake::Lake;

/// Which training set is asked for.
#[derive(Debug, Clone, Copy)]
pub struct TrainingAsk<'a> {
    pub model: &'a str,
    /// Only rows that this version predicted; `None`: of all versions, each on its own.
    pub version: Option<&'a str>,
    /// Event time of the rows.
    pub span: Span,
    /// As for an [`Ask`](super::Ask): records read at a watermark below this, and labels with `ts` below it, count.
    pub known_by: Millis,
    pub layout: &'a CompiledLayout,
    pub kind: Kind<'a>,
}

/// Rows by (ts, topic, partition, offset). Of rows with one version and id the first one stays.
#[derive(Debug, Clone)]
pub struct TrainingSet {
    /// `id` (null where a row has none), `ts`, then the layout's features in its order and by its names: `Float64` or
    /// `Utf8`; null where there was no usable value, NaN and infinities are values. A feature may be called `id` or
    /// `ts` too: features begin at the third column.
    pub batch: RecordBatch,
    /// The same rows in the same order: what was predicted, and the label if one counts.
    pub observations: Vec<Observation>,
    /// Rows whose label says nothing that the task knows, by version; they have no truth.
    pub unusable: BTreeMap<String, Unusable>,
    pub manifest: DataManifest,
}

/// The rows of a span with features and labels.
///
/// Memory: the answer twice while it is put in order, its ids once more, and one label for each of them.
///
/// # Errors
/// When the store or the lake cannot be read, or the lake changes faster than it can be read.
pub async fn training_set(
    lake: &Lake,
    store: &Store,
    ask: &TrainingAsk<'_>,
) -> Result<TrainingSet, QueryError> {
    let session = Session::new(lake.store()).map_err(QueryError::lake)?;
    let mut attempts = Attempts::default();
    loop {
        let rows = ask.span.start..ask.span.end;
        let labels = Millis::MIN..ask.known_by;
        let snapshot = Snapshot::read(store, ask.model, rows, labels).await?;
        let answer = collect(&session, store, &snapshot, ask).await;
        if let Some(answer) = attempts.settle(store, ask.model, &snapshot, answer).await? {
            return Ok(answer);
        }
    }
}

/// The training set that a manifest describes, once more.
///
/// # Errors
/// As [`training_set`]; and when the lake no longer has what the manifest lists (the error names it), or has something
/// else.
pub async fn training_set_again(
    lake: &Lake,
    store: &Store,
    manifest: &DataManifest,
    layout: &CompiledLayout,
    kind: Kind<'_>,
) -> Result<TrainingSet, QueryError> {
    if layout.hash() != manifest.layout_hash {
        return Err(QueryError::OtherLayout {
            model: manifest.model.clone(),
            listed: manifest.layout_hash.clone(),
            found: layout.hash().to_owned(),
        });
    }
    let ask = TrainingAsk {
        model: &manifest.model,
        version: manifest.version.as_deref(),
        span: manifest.span,
        known_by: manifest.known_by,
        layout,
        kind,
    };
    let again = training_set(lake, store, &ask).await?;
    let missing = manifest.missing_in(&again.manifest);
    if !missing.is_empty() {
        return Err(QueryError::Gone {
            model: manifest.model.clone(),
            missing,
        });
    }
    if again.manifest.hash != manifest.hash {
        return Err(QueryError::OtherData {
            model: manifest.model.clone(),
            listed: manifest.hash.clone(),
            found: again.manifest.hash,
        });
    }
    Ok(again)
}

async fn collect(
    session: &Session,
    store: &Store,
    snapshot: &Snapshot,
    ask: &TrainingAsk<'_>,
) -> Result<TrainingSet, QueryError> {
    let layout = ask.layout.layout();
    let classes = Classes::new(ask.kind, layout);
    let columns = columns(layout);
    let reader = Reader::new(layout, &classes, &columns);
    let (schema, features) = features(layout, &columns);
    let mut logged = Logged::default();
    let mut batches: Vec<RecordBatch> = Vec::new();
    // Of each row: the batch and the place in it.
    let mut places: Vec<(usize, usize)> = Vec::new();
    let bounds = Bounds {
        ts: ask.span.start..ask.span.end,
        known_by: ask.known_by,
        version: ask.version.map(str::to_owned),
        ids: None,
    };
    scan_rows(session, snapshot, layout, &bounds, &columns, |batch| {
        reader.read(&batch, &mut logged);
        places.extend((0..batch.num_rows()).map(|row| (batches.len(), row)));
        let kept = features
            .iter()
            .map(|&place| Arc::clone(batch.column(place)));
        batches.push(RecordBatch::try_new(Arc::clone(&schema), kept.collect())?);
        Ok(())
    })
    .await?;

    let order = logged.sorted(Order::Time);
    let (order, repeated) = without_repeats(ask.model, &logged.observations, order);
    let mut is_kept = vec![false; logged.observations.len()];
    order.iter().for_each(|&row| is_kept[row] = true);

    let mut sources = Sources::default();
    for &row in &order {
        let place = logged.places[row];
        let topic = &logged.topics[place.topic as usize];
        sources.add(SourceKind::Rows, topic, place.partition, place.offset);
    }
    let mut unusable: BTreeMap<String, Unusable> = BTreeMap::new();
    let (ids, observations) = (&logged.ids, &mut logged.observations);
    join_labels(session, store, snapshot, ask.known_by, ids, |label| {
        if !is_kept[label.row] {
            return;
        }
        let observation = &mut observations[label.row];
        observation.truth = classes.truth(label.label, label.value, label.ts);
        if observation.truth.is_some() {
            sources.add(
                SourceKind::Labels,
                label.topic,
                label.partition,
                label.offset,
            );
        } else {
            let unusable = unusable.entry(observation.version.clone()).or_default();
            unusable.add(&label);
        }
    })
    .await?;

    let places: Vec<(usize, usize)> = order.iter().map(|&row| places[row]).collect();
    let batch = put_together(&schema, &batches, &places).map_err(QueryError::lake)?;
    drop(batches);
    let observations = in_order(logged.observations, &order);
    let labelled = observations.iter().filter(|row| row.truth.is_some());
    let manifest = DataManifest {
        model: ask.model.to_owned(),
        version: ask.version.map(str::to_owned),
        span: ask.span,
        known_by: ask.known_by,
        layout_hash: ask.layout.hash().to_owned(),
        rows: observations.len() as u64,
        labelled: labelled.count() as u64,
        repeated,
        sources: sources.finish(),
        hash: content_hash(&batch, &observations),
    };
    Ok(TrainingSet {
        batch,
        observations,
        unusable,
        manifest,
    })
}

/// The columns of the lake's rows that a training set reads: all but outputs and latencies, which it has no place for.
fn columns(layout: &Layout) -> Vec<usize> {
    let read = (ENVELOPE..)
        .zip(&layout.columns)
        .filter(|(_, column)| !matches!(column.field, Field::Values(_) | Field::Latency));
    (0..ENVELOPE).chain(read.map(|(place, _)| place)).collect()
}

/// The schema of the set's batch, and where its columns stand among `columns`.
fn features(layout: &Layout, columns: &[usize]) -> (SchemaRef, Vec<usize>) {
    let mut fields = vec![
        ArrowField::new("id", DataType::Utf8, true),
        ArrowField::new("ts", DataType::Int64, false),
    ];
    let mut places = vec![1, 2];
    for (place, &column) in columns.iter().enumerate().skip(ENVELOPE) {
        let column = &layout.columns[column - ENVELOPE];
        if column.field == Field::Feature {
            let wanted = match column.cells {
                Cells::Numeric(_) => DataType::Float64,
                Cells::Categorical(_) => DataType::Utf8,
            };
            fields.push(ArrowField::new(&column.name, wanted, true));
            places.push(place);
        }
    }
    (Arc::new(Schema::new(fields)), places)
}

/// The rows that stay, in order, and how many do not.
fn without_repeats(
    model: &str,
    observations: &[Observation],
    mut order: Vec<usize>,
) -> (Vec<usize>, u64) {
    let before = order.len();
    let mut seen: HashSet<u128> = HashSet::with_capacity(before);
    order.retain(|&row| {
        let observation = &observations[row];
        let id = observation.id.as_deref();
        id.is_none_or(|id| seen.insert(id_hash(model, &observation.version, id)))
    });
    let repeated = before - order.len();
    (order, repeated as u64)
}

fn put_together(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    places: &[(usize, usize)],
) -> Result<RecordBatch, DataFusionError> {
    if places.is_empty() {
        let options = RecordBatchOptions::new().with_row_count(Some(0));
        let empty = schema.fields().iter();
        let empty = empty.map(|field| arrow::array::new_empty_array(field.data_type()));
        let columns = empty.collect();
        return Ok(RecordBatch::try_new_with_options(
            Arc::clone(schema),
            columns,
            &options,
        )?);
    }
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    Ok(interleave_record_batch(&batches, places)?)
}
