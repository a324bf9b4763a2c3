//! Prediction records from JSON straight into columns, with the model's layout as schema; label records beside them
//! (`labels`).
//!
//! The way of a record: size, UTF-8, then one walk over its JSON. The walk guesses that the model is the one of the
//! record before until it reads `model`, and writes each value into its column's builder as it goes by; a record
//! that turns out to be refused, or to belong to another model, is undone. Then the envelope is judged (`envelope`).
//!
//! **Invariant:** what becomes of a record, and every value of it, is a function of its bytes, the layout and the
//! models already carried, never of the records around it. Only the envelope refuses a record; any trouble with a
//! value is a state of that value. Deliberately absent: duplicates and lateness (see `partition`), and any clock.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::event::{Batch, Limits, Millis, Reason};
use crate::profile::CompiledLayout;
use envelope::Refusal;
use json::Bounds;
use keys::{KeyOrder, TopKey};
use rows::ModelRows;

mod columns;
mod envelope;
mod escapes;
mod json;
mod keys;
mod labels;
mod list;
mod observe;
mod repeats;
mod rows;
mod timestamp;
mod walk;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod definition;

pub use labels::{Label, LabelDecoder};
pub use observe::observe;

/// A rejection's sentence is cut to so many bytes.
pub const DETAIL_BYTES: usize = 200;
/// Nesting is read by recursion, so `limits.depth` counts only up to here.
pub const DEEPEST: usize = 512;
/// Keys of the record itself whose order is remembered.
const TOP_KEYS: usize = 64;
/// When a batch must be taken: far below the 2 GiB that the texts of one Arrow column can hold.
const FULL_BYTES: usize = 256 << 20;

/// What the service knows of a model's name.
#[derive(Debug, Clone)]
pub enum Lookup {
    Known(Arc<CompiledLayout>),
    /// Declared, but still without a layout: only the envelope is decoded, the caller keeps the payload.
    Learning,
    /// No declaration covers it.
    Undeclared,
}

/// Where the decoder asks for models: once for each model and batch, and for each record of an undeclared model.
pub trait Models {
    fn lookup(&self, model: &str) -> Lookup;

    /// Whether batches of `model` are to carry the ids themselves, not only their hashes.
    fn keeps_ids(&self, _model: &str) -> bool {
        false
    }
}

/// A model's place in its [`Decoder`]; stays the same for the decoder's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelIndex(pub usize);

/// A record that became a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    pub model: ModelIndex,
    /// The model has no layout: the row has no columns and the caller keeps the payload.
    pub learning: bool,
}

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Rejection {
    pub reason: Reason,
    /// The model it names, if that could be read.
    pub model: Option<String>,
    /// A sentence of at most [`DETAIL_BYTES`] bytes, a function of the record alone.
    pub detail: String,
}

/// The rows of one model since the last [`Decoder::take`].
#[derive(Debug, Clone)]
pub struct Decoded {
    pub model: ModelIndex,
    /// What the columns were decoded with; `None` for a model that has no layout (the batch has no columns then).
    pub layout: Option<Arc<CompiledLayout>>,
    pub batch: Batch,
}

/// Decodes the records of one partition, in offset order.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    bounds: Bounds,
    models: Vec<ModelRows>,
    places: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
    /// Models with an accepted record; what `limits.models` bounds.
    carried: usize,
    /// The model of the record before.
    latest: Option<usize>,
    order: KeyOrder<TopKey>,
    bytes: usize,
}

impl Decoder {
    /// `carried`: the models that have rows from this partition already, as the store knows them. They count
    /// against `limits.models`, which makes that limit's outcome survive a restart.
    pub fn new<'m>(limits: Limits, carried: impl IntoIterator<Item = &'m str>) -> Self {
        let bounds = Bounds {
            depth: limits.depth.min(DEEPEST),
            members: limits.features,
        };
        let mut decoder = Self {
            limits,
            bounds,
            models: Vec::new(),
            places: HashMap::default(),
            carried: 0,
            latest: None,
            order: KeyOrder::new(TOP_KEYS),
            bytes: 0,
        };
        for model in carried {
            let place = decoder.add(model, None);
            decoder.models[place].fresh = false;
            decoder.models[place].carried = true;
            decoder.carried += 1;
        }
        decoder
    }

    /// Decodes one message. `latest_ts` is the broker's append time, or the clock of the reader: a `ts` beyond it
    /// and the skew allowed is refused.
    ///
    /// # Errors
    /// The reason why the record is refused; nothing of it is kept.
    pub fn push(
        &mut self,
        offset: i64,
        payload: Option<&[u8]>,
        latest_ts: Millis,
        models: &dyn Models,
    ) -> Result<Accepted, Rejection> {
        let text = text_of(payload, &self.limits).map_err(|refusal| reject(refusal, None))?;
        let known = self.models.len();
        let result = self.record(offset, text, latest_ts, models);
        match &result {
            Ok(accepted) => {
                self.bytes += text.len();
                self.latest = Some(accepted.model.0);
            }
            // A name that only a refused record has shown must not take up room.
            Err(_) if self.models.len() > known => {
                self.models.truncate(known);
                self.places.retain(|_, place| *place < known);
            }
            Err(_) => {}
        }
        result
    }

    /// The rows since the last call, one batch for each model that has any; models in the order in which this
    /// decoder met them.
    pub fn take(&mut self) -> Vec<Decoded> {
        self.bytes = 0;
        let taken = self
            .models
            .iter_mut()
            .enumerate()
            .filter_map(|(place, model)| {
                model.fresh = false;
                (model.rows() > 0).then(|| Decoded {
                    model: ModelIndex(place),
                    layout: model.layout.clone(),
                    batch: model.take(),
                })
            });
        taken.collect()
    }

    /// Rows since the last [`Decoder::take`].
    pub fn rows(&self) -> usize {
        self.models.iter().map(ModelRows::rows).sum()
    }

    /// Memory of the rows since the last [`Decoder::take`], in bytes, roughly.
    pub fn bytes(&self) -> usize {
        self.models.iter().map(ModelRows::bytes).sum()
    }

    /// Whether [`Decoder::take`] must be called before the next record.
    pub fn is_full(&self) -> bool {
        self.bytes >= FULL_BYTES
    }

    pub fn model_name(&self, model: ModelIndex) -> &Arc<str> {
        &self.models[model.0].name
    }
}

/// The message as a text of acceptable size.
fn text_of<'p>(payload: Option<&'p [u8]>, limits: &Limits) -> Result<&'p str, Refusal> {
    let Some(payload) = payload else {
        return Err((
            Reason::NullPayload,
            "the message has no value (a tombstone)".into(),
        ));
    };
    let (size, limit) = (payload.len(), limits.message_bytes);
    if size > limit {
        return Err((
            Reason::TooLarge,
            format!("the message has {size} bytes; the limit is {limit}"),
        ));
    }
    let text = std::str::from_utf8(payload).map_err(|error| {
        (
            Reason::NotUtf8,
            format!("byte {} is not UTF-8", error.valid_up_to()),
        )
    })?;
    // Some producers begin with a byte order mark; RFC 8259 §8.1 allows to ignore it.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn reject((reason, detail): Refusal, model: Option<&str>) -> Rejection {
    Rejection {
        reason,
        model: model.map(str::to_owned),
        detail: detail[..detail.floor_char_boundary(DETAIL_BYTES)].to_owned(),
    }
}
