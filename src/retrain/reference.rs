//! The reference that a challenger is promoted with: the windows that it was made of, as it would have predicted them.
//!
//! Inputs are taken from stored windows as they are. Predictions there are those of whoever served, and a new model
//! predicts otherwise without anything having drifted; so the columns of predictions are counted anew, from what the
//! challenger says of the same rows.
//!
//! **Invariant:** every column of a block counts the same rows. Where the lake does not hold exactly a window's rows (a
//! sample, a model that is not with us), all blocks stay as they were stored.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};

use super::champion::NewReference;
use super::data::{self, Ground, Rows};
use super::{Denied, Retraining};
use crate::event::{Batch, Column, Millis, Span, State};
use crate::learn::{Model, Predictions};
use crate::profile::{Cells, CompiledLayout, Field, LayoutColumn, Profile};
use crate::reference::windows::{OfWindows, blocks, stored};
use crate::reference::{Block, OF_TRAINING, Reference};
use crate::rules::Rows as Kept;
use crate::store::StoreError;

/// Most windows that a reference is made of, the latest ones: a year of days, or two weeks of hours. Each is kept as a
/// block.
const MOST_BLOCKS: usize = 400;

/// The reference of stored windows that lie whole in `span`, the last [`MOST_BLOCKS`] of them, with the predictions of
/// the model `hash`. `None`: there are no such windows; the model's own reference stays in use.
///
/// # Errors
/// When the store or the lake cannot be read.
pub async fn of_promotion(
    retraining: &Retraining,
    model: &str,
    span: Span,
    run: &str,
    hash: &str,
) -> Result<Option<NewReference>, Denied> {
    let Ok(ground) = Ground::of(retraining, model).await? else {
        return Ok(None);
    };
    let (ground, store) = (Arc::new(ground), retraining.store().clone());
    let source = format!("{OF_TRAINING}{run}");
    let (asked, called) = (Arc::clone(&ground), source.clone());
    let found = blocking(move || {
        let spec = &asked.declaration.window;
        let spans = windows(spec.pane(span.end).start, spec.span, span.start);
        let ask = OfWindows {
            model: &asked.model,
            layout: asked.layout.layout(),
            version: None,
            spans: &spans,
            min_rows: spec.min_rows,
            fewest: 1,
            source: &called,
        };
        blocks(&store, &ask).map_err(anyhow::Error::from)
    })
    .await??;
    let Some((version, mut blocks)) = found else {
        return Ok(None);
    };
    let file = retraining.lake().get_model(hash).await?;
    if let Some(bytes) = file
        && ground.declaration.rows == Kept::All
    {
        let model = Model::from_bytes(&bytes).map_err(anyhow::Error::from)?;
        if let Some(predicted) =
            predicted(retraining, &ground, &model, &version, span, &blocks).await?
        {
            blocks = predicted;
        }
    }
    let made = blocking(move || {
        let layout = ground.layout.layout();
        Reference::from_blocks(&ground.model, &source, layout, blocks)
            .map(|reference| stored(&reference))
            .map_err(anyhow::Error::from)
    });
    Ok(Some(made.await??))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Denied> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Denied::Store(StoreError::Gone)),
        },
    }
}

/// Windows that follow each other without overlap, counted back from the one that ends at `end`.
fn windows(end: Millis, length: Millis, from: Millis) -> Vec<Span> {
    let mut spans: Vec<Span> = (0..MOST_BLOCKS as Millis)
        .map(|back| Span::new(end - (back + 1) * length, end - back * length))
        .take_while(|window| window.start >= from)
        .collect();
    spans.reverse();
    spans
}

/// The blocks with the model's predictions in the place of what `version` logged; `None`: the lake does not hold
/// exactly the rows of each.
async fn predicted(
    retraining: &Retraining,
    ground: &Ground,
    model: &Model,
    version: &str,
    span: Span,
    blocks: &[Block],
) -> Result<Option<Vec<Block>>, Denied> {
    let spans: Option<Vec<Span>> = blocks.iter().map(|block| block.span).collect();
    let Some(spans) = spans else { return Ok(None) };
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
        return Ok(None);
    };
    let whole = Span::new(first.start, last.end);
    let read = async |span, known_by| {
        data::read(retraining, ground, Some(version), span, known_by)
            .await
            .map_err(anyhow::Error::from)
    };
    let all = read(whole, span.end).await?;
    let mut changed = Vec::with_capacity(blocks.len());
    for (block, span) in blocks.iter().zip(spans) {
        let places: Vec<usize> = (0..all.observations.len())
            .filter(|&row| span.contains(all.observations[row].ts))
            .collect();
        let profile = if places.len() as u64 == block.profile.rows {
            with_predictions(ground, model, &all, &places, &block.profile)?
        } else {
            // Rows that came after the window was closed are in a later revision: without them, then.
            let in_time = read(span, span.end).await?;
            let places: Vec<usize> = (0..in_time.observations.len()).collect();
            if places.len() as u64 != block.profile.rows {
                tracing::info!(
                    model = ground.model,
                    kept = places.len(),
                    counted = block.profile.rows,
                    "the new reference keeps the old predictions: the lake has other rows than the window"
                );
                return Ok(None);
            }
            with_predictions(ground, model, &in_time, &places, &block.profile)?
        };
        changed.push(Block {
            profile,
            ..block.clone()
        });
    }
    Ok(Some(changed))
}

/// A window's profile with the columns of predictions counted from what `model` says of its rows.
fn with_predictions(
    ground: &Ground,
    model: &Model,
    rows: &Rows,
    places: &[usize],
    stored: &Profile,
) -> Result<Profile, Denied> {
    let predictions = model
        .predict(&rows.table.take(places))
        .map_err(anyhow::Error::from)?;
    let layout: &CompiledLayout = &ground.layout;
    let columns = &layout.layout().columns;
    let said: Vec<Option<ArrayRef>> = columns
        .iter()
        .map(|column| column_of(column, &predictions))
        .collect();
    let batch = Batch {
        offsets: vec![0; places.len()],
        ts: places
            .iter()
            .map(|&row| rows.observations[row].ts)
            .collect(),
        columns: columns
            .iter()
            .zip(&said)
            .map(|(column, said)| match said {
                Some(values) => Column {
                    values: Arc::clone(values),
                    states: vec![State::Value as u8; places.len()],
                },
                None => absent(column, places.len()),
            })
            .collect(),
        ..Batch::default()
    };
    let mut counted = Profile::new(layout.layout());
    let all: Vec<u32> = (0..).take(places.len()).collect();
    counted.update(layout, &batch, &all);
    let mut profile = stored.clone();
    let anew = counted.columns.into_iter().zip(&said);
    for (column, (anew, said)) in profile.columns.iter_mut().zip(anew) {
        if said.is_some() {
            *column = anew;
        }
    }
    Ok(profile)
}

/// What a model logs in a column; `None` where it is not the model's to say.
fn column_of(column: &LayoutColumn, predictions: &Predictions) -> Option<ArrayRef> {
    let numbers = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
    match (&column.field, &column.cells, predictions) {
        (Field::Score(class), Cells::Numeric(_), _) => {
            predictions.probability_of(class).map(numbers)
        }
        (Field::Value, Cells::Numeric(_), Predictions::Values(values)) => {
            Some(numbers(values.clone()))
        }
        (Field::Label, Cells::Categorical(_), Predictions::Classes { classes, .. }) => {
            let decided = predictions.decided()?;
            let decided = decided.iter().map(|&class| classes[class].as_str());
            Some(Arc::new(StringArray::from_iter_values(decided)))
        }
        _ => None,
    }
}

fn absent(column: &LayoutColumn, rows: usize) -> Column {
    let values: ArrayRef = match &column.cells {
        Cells::Numeric(_) => Arc::new(Float64Array::new_null(rows)),
        Cells::Categorical(_) => Arc::new(StringArray::new_null(rows)),
    };
    Column {
        values,
        states: vec![State::Absent as u8; rows],
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
