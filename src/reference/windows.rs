//! References made of stored windows: their profiles are the blocks.
//!
//! **Invariant:** revision 0 of a window is what counts, which is the same whenever it is looked at.

use std::collections::BTreeMap;

use super::{Block, Reference, ReferenceError};
use crate::event::Span;
use crate::profile::{Layout, Profile, ProfileError};
use crate::stats::score::Verdict;
use crate::store::references::ReferenceRow;
use crate::store::windows::{self, WindowFilter};
use crate::store::{Store, StoreError};

/// Which windows a reference is made of.
#[derive(Debug, Clone, Copy)]
pub struct OfWindows<'a> {
    pub model: &'a str,
    pub layout: &'a Layout,
    /// `None`: the version with the most rows there (the first by name of equals), for all versions: inputs are the
    /// model's, whichever version reads them.
    pub version: Option<&'a str>,
    /// In order of time, without overlap.
    pub spans: &'a [Span],
    /// Fewest rows of a window that counts.
    pub min_rows: u64,
    /// Fewest such windows.
    pub fewest: usize,
    /// What it is called, `first: 30d` for example.
    pub source: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub enum OfWindowsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// The reference of these windows, each a block if it has enough rows to be judged itself; `None`: too few of them
/// have.
///
/// # Errors
/// When the store cannot be read or holds a profile of another layout.
pub fn of_windows(store: &Store, ask: &OfWindows<'_>) -> Result<Option<Reference>, OfWindowsError> {
    let Some((_, blocks)) = blocks(store, ask)? else {
        return Ok(None);
    };
    Ok(Some(Reference::from_blocks(
        ask.model, ask.source, ask.layout, blocks,
    )?))
}

/// The blocks of [`of_windows`], for who changes them, and the version that they are of.
///
/// # Errors
/// As [`of_windows`].
pub fn blocks(
    store: &Store,
    ask: &OfWindows<'_>,
) -> Result<Option<(String, Vec<Block>)>, OfWindowsError> {
    let (Some(first), Some(last)) = (ask.spans.first(), ask.spans.last()) else {
        return Ok(None);
    };
    let filter = WindowFilter {
        model: Some(ask.model.to_owned()),
        version: ask.version.map(str::to_owned),
        after: Some(first.start),
        through: Some(last.end),
        ..WindowFilter::default()
    };
    let mut by_version: BTreeMap<String, Vec<(Span, u64, Vec<u8>)>> = BTreeMap::new();
    store.read(|conn| -> Result<(), StoreError> {
        for latest in windows::latest(conn, &filter, u32::MAX)? {
            if !ask.spans.contains(&latest.span) {
                continue;
            }
            let revisions = windows::revisions(conn, &latest.key, latest.span)?;
            let Some(first) = revisions.into_iter().find(|row| row.revision == 0) else {
                continue;
            };
            if first.rows < ask.min_rows || first.verdict == Verdict::Incomplete {
                continue;
            }
            if let Some(profile) = windows::profile(conn, first.id)? {
                by_version
                    .entry(first.key.version)
                    .or_default()
                    .push((first.span, first.rows, profile));
            }
        }
        Ok(())
    })?;
    let rows =
        |blocks: &[(Span, u64, Vec<u8>)]| blocks.iter().map(|(_, rows, _)| rows).sum::<u64>();
    let chosen = by_version
        .into_iter()
        .rev()
        .max_by_key(|(_, blocks)| rows(blocks));
    let Some((version, mut blocks)) = chosen.filter(|(_, blocks)| blocks.len() >= ask.fewest)
    else {
        return Ok(None);
    };
    blocks.sort_by_key(|(span, _, _)| *span);
    let blocks = blocks
        .into_iter()
        .map(|(span, _, bytes)| {
            Ok(Block {
                span: Some(span),
                profile: Profile::from_bytes(&bytes, ask.layout)?,
            })
        })
        .collect::<Result<Vec<_>, ProfileError>>()?;
    Ok(Some((version, blocks)))
}

/// A reference as the store keeps it.
pub fn stored(reference: &Reference) -> (ReferenceRow, Vec<u8>) {
    let row = ReferenceRow {
        hash: reference.hash.clone(),
        model: reference.model.clone(),
        source: reference.source.clone(),
        span: reference.span,
        layout_hash: reference.layout_hash.clone(),
    };
    (row, reference.to_bytes())
}
