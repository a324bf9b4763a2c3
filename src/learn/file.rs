//! The stored form of a model: JSON, written one way only, and named by its hash.
//!
//! **Invariant:** reading and writing again gives the same bytes, and so the same hash; every number keeps its last
//! bit. Deliberately absent: where the bytes lie (see `store`).

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::model::Parts;
use super::{LearnError, Model};

/// The format written by this program. What it writes changes only with this number.
pub const FORMAT: u64 = 1;

impl Model {
    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Maps with keys that are not text, and failing writers, are the errors of this; there are neither.
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// The format is newer, or the bytes are not what [`Model::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Model, LearnError> {
        let damaged = |cause: String| LearnError::Damaged { cause };
        let head: Head =
            serde_json::from_slice(bytes).map_err(|cause| damaged(cause.to_string()))?;
        if head.format > FORMAT {
            return Err(LearnError::Newer {
                found: head.format,
                known: FORMAT,
            });
        }
        if head.format != FORMAT {
            return Err(damaged(format!("there is no format {}", head.format)));
        }
        let parts: Parts =
            serde_json::from_slice(bytes).map_err(|cause| damaged(cause.to_string()))?;
        if !parts.is_sound() {
            return Err(damaged("its parts do not fit together".to_owned()));
        }
        let model = Model(parts);
        if model.to_bytes() != bytes {
            return Err(damaged("it was rewritten by something else".to_owned()));
        }
        Ok(model)
    }

    /// SHA-256 of the file, in hex: the model's name.
    pub fn hash(&self) -> String {
        Sha256::digest(self.to_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// What is read first, whatever else a newer format holds.
#[derive(Deserialize)]
struct Head {
    format: u64,
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
