//! What is judged: the rows of a span of event time, each with the label that counted for it at an instant.
//!
//! At the instant `known_by` these count, whenever they were read and by whom: rows with `ts` in the span and labels
//! with `ts < known_by`, both read while their own partition's watermark was below `known_by`. Once all
//! watermarks have passed `known_by` the answer never changes again, as long as the lake keeps its records.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use datafusion::error::DataFusionError;

use super::classes::Classes;
use super::labels::{self, Match, Wanted};
use super::rows::{Logged, Order, Reader, columns_of_observations};
use super::scan::{Bounds, Session};
use super::snapshot::{Attempts, Snapshot};
use crate::event::{Millis, Span};
use crate::performance::{Kind, Observation};
use crate::profile::{CompiledLayout, Layout};
use crate::query::QueryError;
use crate::store::Store;
use crate::store::lake::{Lake, rows_schema};

/// Most different unusable labels that are shown for each version.
const MOST_EXAMPLES: usize = 10;

/// Which observations are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub model: &'a str,
    /// Event time of the rows.
    pub span: Span,
    /// Records read at a watermark below this, and labels with `ts` below it, count. For label age `a` of a window
    /// that is the window's end + `a`.
    pub known_by: Millis,
    pub layout: &'a CompiledLayout,
    pub kind: Kind<'a>,
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observations {
    /// Every row of the span, with and without label, by (version, ts, topic, partition, offset).
    pub rows: Vec<Observation>,
    /// Rows whose label says nothing that the task knows, by version. They stand in `rows` without truth.
    pub unusable: BTreeMap<String, Unusable>,
}

/// Rows of one version whose labels cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unusable {
    pub rows: u64,
    /// What such labels said, with the rows they would have counted for: the ten that come first by name.
    pub examples: BTreeMap<String, u64>,
}

impl Unusable {
    pub(super) fn add(&mut self, label: &Match<'_>) {
        self.rows += 1;
        let text = match (label.label, label.value) {
            (Some(text), _) => text.to_owned(),
            (None, Some(value)) => value.to_string(),
            (None, None) => "null".to_owned(),
        };
        *self.examples.entry(text).or_default() += 1;
        if self.examples.len() > MOST_EXAMPLES {
            // What is dropped once is behind ten others for good, so the counts of those that stay are whole.
            self.examples.pop_last();
        }
    }
}

/// The rows of a span with the labels that count for them.
///
/// Memory: the answer, the rows' ids once more, and one label for each of them, however many labels there are.
///
/// # Errors
/// When the store or the lake cannot be read, or the lake changes faster than it can be read.
pub async fn observations(
    lake: &Lake,
    store: &Store,
    ask: &Ask<'_>,
) -> Result<Observations, QueryError> {
    let session = Session::new(lake.store()).map_err(QueryError::lake)?;
    let mut attempts = Attempts::default();
    loop {
        let rows = ask.span.start..ask.span.end;
        let labels = Millis::MIN..ask.known_by;
        let snapshot = Snapshot::read(store, ask.model, rows, labels).await?;
        let answer = observe(&session, store, &snapshot, ask).await;
        if let Some(answer) = attempts.settle(store, ask.model, &snapshot, answer).await? {
            return Ok(answer);
        }
    }
}

async fn observe(
    session: &Session,
    store: &Store,
    snapshot: &Snapshot,
    ask: &Ask<'_>,
) -> Result<Observations, QueryError> {
    let layout = ask.layout.layout();
    let classes = Classes::new(ask.kind, layout);
    let columns = columns_of_observations(layout);
    let reader = Reader::new(layout, &classes, &columns);
    let mut logged = Logged::default();
    let bounds = Bounds {
        ts: ask.span.start..ask.span.end,
        known_by: ask.known_by,
        version: None,
        ids: None,
    };
    scan_rows(session, snapshot, layout, &bounds, &columns, |batch| {
        reader.read(&batch, &mut logged);
        Ok(())
    })
    .await?;

    let mut unusable: BTreeMap<String, Unusable> = BTreeMap::new();
    let (ids, observations) = (&logged.ids, &mut logged.observations);
    join_labels(session, store, snapshot, ask.known_by, ids, |label| {
        let observation = &mut observations[label.row];
        observation.truth = classes.truth(label.label, label.value, label.ts);
        if observation.truth.is_none() {
            let unusable = unusable.entry(observation.version.clone()).or_default();
            unusable.add(&label);
        }
    })
    .await?;

    let order = logged.sorted(Order::Version);
    Ok(Observations {
        rows: in_order(logged.observations, &order),
        unusable,
    })
}

/// Reads the rows within `bounds`, as they come.
pub(super) async fn scan_rows(
    session: &Session,
    snapshot: &Snapshot,
    layout: &Layout,
    bounds: &Bounds,
    columns: &[usize],
    take: impl FnMut(RecordBatch) -> Result<(), DataFusionError>,
) -> Result<(), QueryError> {
    let schema = rows_schema(layout);
    let part = &snapshot.rows;
    let segments = part.overlapping(&bounds.ts);
    let plan = session.scan(&schema, &segments, &part.buffers, columns, bounds);
    if let Some(plan) = plan.map_err(QueryError::lake)? {
        session.run(&plan, take).await.map_err(QueryError::lake)?;
    }
    Ok(())
}

/// Finds the label that counts at `known_by` for each of these rows, which are numbered in the order of `ids`.
pub(super) async fn join_labels(
    session: &Session,
    store: &Store,
    snapshot: &Snapshot,
    known_by: Millis,
    ids: &[StringArray],
    mut take: impl FnMut(Match<'_>),
) -> Result<(), QueryError> {
    let wanted = Wanted::new(ids);
    if wanted.set().is_empty() {
        return Ok(());
    }
    let bounds = Bounds {
        ts: Millis::MIN..known_by,
        known_by,
        version: None,
        ids: Some(Arc::clone(wanted.set())),
    };
    let part = &snapshot.labels;
    let segments = wanted.prune(store, part.overlapping(&bounds.ts)).await?;
    let plan = labels::winners(session, part, &segments, &bounds);
    let Some(labels) = plan.map_err(QueryError::lake)? else {
        return Ok(());
    };
    let plan = labels::join(labels, ids).map_err(QueryError::lake)?;
    let joined = session.run(&plan, |batch| {
        labels::matches(&batch).for_each(&mut take);
        Ok(())
    });
    joined.await.map_err(QueryError::lake)
}

/// `items` in the order of these places.
pub(super) fn in_order<T>(items: Vec<T>, places: &[usize]) -> Vec<T> {
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    places
        .iter()
        .filter_map(|&place| items[place].take())
        .collect()
}
