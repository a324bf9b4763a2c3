//! The model server of the demo: it scores each flight with the champion of the registry and, beside it and under a
//! version of its own, with a copy of the first model that nobody ever trains again.

use anyhow::Context as _;

use super::baselines::late;
use super::flights::{MODEL, Year};
use crate::learn::Model;
use crate::store::lake::Lake;
use crate::store::{Store, registry};

/// The version under which the copy logs.
pub const FROZEN: &str = "frozen";
/// The version of the first model.
pub const FIRST: &str = "1";

pub struct ModelServer {
    store: Store,
    lake: Lake,
    frozen: Model,
    live: Model,
    version: String,
}

impl ModelServer {
    /// Both copies serve the first model.
    pub fn new(store: Store, lake: Lake, first: Model) -> Self {
        Self {
            store,
            lake,
            frozen: first.clone(),
            live: first,
            version: FIRST.to_owned(),
        }
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// Loads the champion if it has changed.
    pub async fn follow(&mut self) -> anyhow::Result<()> {
        let champion = self
            .store
            .read_async(|conn| registry::champion(conn, MODEL))
            .await?
            .context("the demo registers its first model before the year begins")?;
        if champion.version == self.version {
            return Ok(());
        }
        let hash = champion
            .hash
            .context("the demo's champions all have files")?;
        let bytes = self.lake.get_model(&hash).await?;
        let bytes = bytes.context("the champion's file is in the lake")?;
        self.live = Model::from_bytes(&bytes)?;
        self.version = champion.version;
        Ok(())
    }

    /// The probabilities of being late for some flights: (live, frozen).
    pub fn score(
        &self,
        year: &Year,
        rows: std::ops::Range<usize>,
    ) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        let live = late(&self.live, year, rows.clone())?;
        Ok((live, late(&self.frozen, year, rows)?))
    }
}
