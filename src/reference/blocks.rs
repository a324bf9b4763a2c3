//! References and their blocks: made from block profiles, named by a hash, kept as bytes.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::Span;
use crate::profile::layout::Layout;
use crate::profile::{Profile, ProfileError};

/// A piece of the reference: one window long where times are known, else everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// `None` where the rows have no times.
    pub span: Option<Span>,
    pub profile: Profile,
}

/// What windows are compared with. Immutable: `hash` names its content.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// SHA-256, in hex, of source, layout hash and the blocks' spans and bytes.
    pub hash: String,
    pub model: String,
    /// Where it came from: `file: x.parquet`, `first: 30d`, `trailing: 8`.
    pub source: String,
    /// From the first block's start to the last one's end; `None` where a block has no span.
    pub span: Option<Span>,
    pub layout_hash: String,
    /// All blocks merged.
    pub profile: Profile,
    /// In order of time.
    pub blocks: Vec<Block>,
}

/// Why a reference cannot be made or read.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ReferenceError {
    #[error("a reference needs at least one block")]
    Empty,
    #[error("a block of the reference does not fit its layout: {0}")]
    Profile(#[from] ProfileError),
    #[error("the stored reference has format version {found}; this program reads version {FORMAT}")]
    Version { found: u8 },
    #[error("the stored reference was counted with layout {found}, not with {expected}")]
    OtherLayout { found: String, expected: String },
    #[error("the stored reference is damaged: {what}")]
    Damaged { what: String },
}

/// The stored form written by this program.
const FORMAT: u8 = 1;
/// Bytes before the header: the version, and the header's length.
const PREFIX_BYTES: usize = 1 + 4;

/// The stored form's readable part; block bytes follow it in order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    hash: String,
    model: String,
    source: String,
    layout_hash: String,
    blocks: Vec<HeaderBlock>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderBlock {
    span: Option<Span>,
    bytes: usize,
}

impl Reference {
    /// Merges `blocks`, which must have been counted with `layout`, and names the result. Blocks are put in order
    /// of time. One block is allowed: thresholds then assume independent rows, and say so.
    ///
    /// # Errors
    /// When there is no block, or one was counted with another layout.
    pub fn from_blocks(
        model: &str,
        source: &str,
        layout: &Layout,
        mut blocks: Vec<Block>,
    ) -> Result<Self, ReferenceError> {
        blocks.sort_by_key(|block| block.span);
        let mut profile = Profile::new(layout);
        for block in &blocks {
            profile.merge(&block.profile)?;
        }
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
            return Err(ReferenceError::Empty);
        };
        let span = match (first.span, last.span) {
            (Some(first), Some(_)) => {
                let end = blocks
                    .iter()
                    .filter_map(|block| block.span)
                    .map(|span| span.end)
                    .max();
                end.map(|end| Span::new(first.start, end))
            }
            _ => None,
        };
        let layout_hash = layout.hash();
        let bytes: Vec<Vec<u8>> = blocks
            .iter()
            .map(|block| block.profile.to_bytes())
            .collect();
        let hash = name(source, &layout_hash, &blocks, &bytes);
        Ok(Self {
            hash,
            model: model.to_owned(),
            source: source.to_owned(),
            span,
            layout_hash,
            profile,
            blocks,
        })
    }

    /// The stored form: version byte, header length, header (JSON), then each block's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let profiles: Vec<Vec<u8>> = self
            .blocks
            .iter()
            .map(|block| block.profile.to_bytes())
            .collect();
        let header = Header {
            hash: self.hash.clone(),
            model: self.model.clone(),
            source: self.source.clone(),
            layout_hash: self.layout_hash.clone(),
            blocks: self
                .blocks
                .iter()
                .zip(&profiles)
                .map(|(block, bytes)| HeaderBlock {
                    span: block.span,
                    bytes: bytes.len(),
                })
                .collect(),
        };
        // Texts and whole numbers always have a JSON form.
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut bytes = vec![FORMAT];
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header);
        profiles.iter().for_each(|profile| bytes.extend(profile));
        bytes
    }

    /// Reads [`Reference::to_bytes`].
    ///
    /// # Errors
    /// When the bytes are cut or damaged, do not have the hash they claim, or were counted with another layout.
    pub fn from_bytes(bytes: &[u8], layout: &Layout) -> Result<Self, ReferenceError> {
        let damaged = |what: &str| ReferenceError::Damaged {
            what: what.to_owned(),
        };
        match bytes.first() {
            None => return Err(damaged("it is empty")),
            Some(&FORMAT) => {}
            Some(&found) => return Err(ReferenceError::Version { found }),
        }
        let length = bytes
            .get(1..PREFIX_BYTES)
            .ok_or_else(|| damaged("it ends inside its prefix"))?;
        let length = length
            .iter()
            .rev()
            .fold(0_usize, |sum, &byte| sum << 8 | usize::from(byte));
        let rest = &bytes[PREFIX_BYTES..];
        let header = rest
            .get(..length)
            .ok_or_else(|| damaged("it ends inside its header"))?;
        let header: Header =
            serde_json::from_slice(header).map_err(|error| ReferenceError::Damaged {
                what: format!("its header cannot be read: {error}"),
            })?;
        let expected = layout.hash();
        if header.layout_hash != expected {
            return Err(ReferenceError::OtherLayout {
                found: header.layout_hash,
                expected,
            });
        }
        let mut rest = &rest[length..];
        let mut blocks = Vec::with_capacity(header.blocks.len());
        for block in header.blocks {
            if block.bytes > rest.len() {
                return Err(damaged("it ends inside a block"));
            }
            let (profile, after) = rest.split_at(block.bytes);
            blocks.push(Block {
                span: block.span,
                profile: Profile::from_bytes(profile, layout)?,
            });
            rest = after;
        }
        if !rest.is_empty() {
            return Err(damaged("bytes follow its last block"));
        }
        let reference = Self::from_blocks(&header.model, &header.source, layout, blocks)?;
        if reference.hash != header.hash {
            return Err(damaged("its content does not have the hash that names it"));
        }
        Ok(reference)
    }
}

fn name(source: &str, layout_hash: &str, blocks: &[Block], bytes: &[Vec<u8>]) -> String {
    let mut hasher = Sha256::new();
    // Length first, so that no two different lists of parts are one text.
    let mut add = |part: &[u8]| {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    add(source.as_bytes());
    add(layout_hash.as_bytes());
    for (block, bytes) in blocks.iter().zip(bytes) {
        match block.span {
            Some(span) => add(format!("{} {}", span.start, span.end).as_bytes()),
            None => add(b""),
        }
        add(bytes);
    }
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DAY;
    use crate::reference::sample;

    #[test]
    fn a_reference_survives_its_bytes() {
        let layout = sample::layout();
        let blocks = vec![
            sample::block(&layout, 1, &[4.0, 2.0], "a"),
            sample::block(&layout, 0, &[1.0], "b"),
        ];
        let reference =
            Reference::from_blocks("power", "first: 30d", &layout, blocks).expect("two blocks");
        assert_eq!(reference.profile.rows, 3);
        assert_eq!(reference.span, Some(Span::new(0, 2 * DAY)));
        assert_eq!(reference.blocks[0].span, Some(Span::new(0, DAY)));
        assert_eq!(
            Reference::from_bytes(&reference.to_bytes(), &layout),
            Ok(reference)
        );
    }

    #[test]
    fn the_hash_names_the_content() {
        let layout = sample::layout();
        let make = |source: &str, x: f64| {
            Reference::from_blocks(
                "m",
                source,
                &layout,
                vec![sample::block(&layout, 0, &[x], "a")],
            )
            .expect("a block")
            .hash
        };
        assert_eq!(make("s", 1.0), make("s", 1.0));
        assert_ne!(make("s", 1.0), make("s", 9.0));
        assert_ne!(make("s", 1.0), make("t", 1.0));
        assert_eq!(make("s", 1.0).len(), 64);
    }

    #[test]
    fn damage_is_found() {
        let layout = sample::layout();
        assert_eq!(
            Reference::from_blocks("m", "s", &layout, vec![]),
            Err(ReferenceError::Empty)
        );
        let block = sample::block(&layout, 0, &[1.0, 2.0], "a");
        let bytes = Reference::from_blocks("m", "s", &layout, vec![block])
            .expect("a block")
            .to_bytes();
        for cut in 0..bytes.len() {
            assert!(
                Reference::from_bytes(&bytes[..cut], &layout).is_err(),
                "cut at {cut}"
            );
        }
        let mut other = bytes.clone();
        other[0] = 9;
        assert_eq!(
            Reference::from_bytes(&other, &layout),
            Err(ReferenceError::Version { found: 9 })
        );
        let mut longer = bytes;
        longer.push(0);
        assert!(Reference::from_bytes(&longer, &layout).is_err());
    }
}
