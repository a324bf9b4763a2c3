//! Making a model once more from its manifest, to show that the file is what the manifest says.
//!
//! **Invariant:** nothing but manifest, layout and lake is asked: not the declaration, which may have changed since.

use std::sync::Arc;

use super::data;
use super::job;
use super::manifest::Manifest;
use super::{Denied, Retraining};
use crate::profile::{CompiledLayout, Layout};
use crate::query::{self, QueryError};
use crate::store::registry::ModelFile;
use crate::store::{StoreError, layouts};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reproduced {
    /// The same file, to the last bit.
    Identical,
    /// Another file, with this hash.
    Different { found: String },
    /// What it was made of is no longer kept, or is other data by now; the sentence says which.
    Gone { why: String },
}

impl Retraining {
    /// Fits `file`'s model again.
    ///
    /// # Errors
    /// It was not made here, or the lake cannot be read.
    pub async fn reproduce(&self, file: &ModelFile) -> Result<Reproduced, Denied> {
        let manifest: Manifest = serde_json::from_str(&file.manifest).map_err(StoreError::from)?;
        let (Some(candidate), Some(training)) =
            (manifest.candidate.clone(), manifest.training.clone())
        else {
            return Err(Denied::Conflict(format!(
                "version {} of {} was not trained here; there is nothing to make it from",
                file.version, file.model
            )));
        };
        let model = file.model.clone();
        let stored = self
            .store()
            .read_async(move |conn| layouts::get(conn, &model))
            .await?;
        let Some(stored) = stored else {
            return Ok(Reproduced::Gone {
                why: format!("the layout of {} is gone", file.model),
            });
        };
        let layout = Layout::from_json(&stored.body).map_err(anyhow::Error::from)?;
        let layout = CompiledLayout::new(Arc::new(layout));
        let kind = manifest.kind();
        let set = query::training_set_again(self.lake(), self.store(), &training, &layout, kind);
        let set = match set.await {
            Ok(set) => set,
            Err(
                error @ (QueryError::Gone { .. }
                | QueryError::OtherData { .. }
                | QueryError::OtherLayout { .. }),
            ) => {
                return Ok(Reproduced::Gone {
                    why: error.to_string(),
                });
            }
            Err(error) => return Err(Denied::Trouble(error.into())),
        };
        let rows = data::Rows::of(layout.layout(), set);
        let places = rows.learnable(kind);
        let fitted = tokio::task::spawn_blocking(move || {
            let (kind, seed) = (manifest.kind(), manifest.seed);
            job::fit(kind, &candidate, seed, &rows, &places, &mut |_| {})
        });
        let fitted = match fitted.await {
            Ok(fitted) => fitted,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(Denied::Store(StoreError::Gone)),
            },
        };
        let found = match fitted {
            Ok(model) => model.hash(),
            Err(why) => format!("none: {why}"),
        };
        Ok(if found == file.hash {
            Reproduced::Identical
        } else {
            Reproduced::Different { found }
        })
    }
}
