//! Windows, their scores and their profiles: the last revision of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::scalar::ScalarValue;

use super::Holds::{self, Bytes, Number, Text, Time, Whole};
use super::rows::{key_and_span, maybe, number, text, time, whole, word};
use super::{Cells, Take};
use crate::profile::{Cells as Counted, ColumnProfile, Layout, LayoutColumn, Profile};
use crate::query::functions::Names;
use crate::store::windows::{WindowFilter, WindowRow, latest};
use crate::store::{Store, StoreError, scores, windows};

/// Windows whose scores or profiles are read in one go: some thousand rows.
const WINDOWS_AT_A_TIME: usize = 32;

pub(super) const WINDOWS: &[(&str, Holds)] = &[
    ("model", Text),
    ("version", Text),
    ("segment", Text),
    ("window_start", Time),
    ("window_end", Time),
    ("revision", Whole),
    ("verdict", Text),
    ("rows", Whole),
    ("layout_hash", Text),
    ("reference_hash", Text),
    ("watermark", Time),
];

pub(super) const VERDICTS: &[(&str, Holds)] = &[
    ("model", Text),
    ("version", Text),
    ("segment", Text),
    ("window_start", Time),
    ("window_end", Time),
    ("revision", Whole),
    ("column_name", Text),
    ("statistic", Text),
    ("rule", Text),
    ("verdict", Text),
    ("value", Number),
    ("effect", Number),
    ("floor", Number),
    ("threshold", Number),
    ("threshold_source", Text),
    ("level", Number),
    ("p_value", Number),
    ("error_bound", Number),
    ("n_reference", Whole),
    ("n_current", Whole),
    ("method", Text),
    ("parameters", Text),
    ("backend", Text),
    ("moved", Text),
    ("reason", Text),
];

pub(super) const PROFILE_METRICS: &[(&str, Holds)] = &[
    ("model", Text),
    ("version", Text),
    ("segment", Text),
    ("window_start", Time),
    ("window_end", Time),
    ("log_type", Text),
    ("column_name", Text),
    ("data_type", Text),
    ("count", Whole),
    ("num_nulls", Whole),
    ("percent_null", Number),
    ("num_nan", Whole),
    ("min", Number),
    ("max", Number),
    ("avg", Number),
    ("stddev", Number),
    ("reference_hash", Text),
    ("profile", Bytes),
];

fn external(cause: StoreError) -> DataFusionError {
    DataFusionError::External(Box::new(cause))
}

/// The last revision of every window, newest window first, some at a time.
fn in_pieces(store: &Store, mut take: impl FnMut(&[WindowRow]) -> Result<()>) -> Result<()> {
    let all = store.read(|conn| latest(conn, &WindowFilter::default(), u32::MAX));
    all.map_err(external)?
        .chunks(WINDOWS_AT_A_TIME)
        .try_for_each(&mut take)
}

pub(super) fn windows(store: &Store, take: Take<'_>) -> Result<()> {
    in_pieces(store, |windows| {
        let rows = windows.iter().map(|window| {
            let mut row = key_and_span(&window.key, window.span);
            row.extend([
                whole(window.revision.into()),
                text(window.verdict.as_str()),
                whole(window.rows),
                text(&window.layout_hash),
                maybe(window.reference_hash.as_deref()),
                time(window.watermark),
            ]);
            row
        });
        take(rows.collect())
    })
}

pub(super) fn verdicts(store: &Store, take: Take<'_>) -> Result<()> {
    in_pieces(store, |windows| {
        let of_window = |window: &WindowRow| store.read(|conn| scores::of_window(conn, window.id));
        let mut rows = Vec::new();
        for window in windows {
            for scored in of_window(window).map_err(external)? {
                rows.push(verdict(window, &scored));
            }
        }
        take(rows)
    })
}

fn verdict(window: &WindowRow, scored: &scores::RuleScore) -> Cells {
    let score = &scored.score;
    let threshold = score.threshold.as_ref();
    let source = threshold.map(|threshold| word(&threshold.source));
    let mut row = key_and_span(&window.key, window.span);
    row.extend([
        whole(window.revision.into()),
        text(&score.column),
        text(&score.statistic),
        text(&scored.rule),
        text(score.verdict.as_str()),
        number(score.value),
        number(score.effect),
        number(Some(score.floor)),
        number(threshold.map(|threshold| threshold.value)),
        source.unwrap_or(ScalarValue::Utf8(None)),
        number(threshold.and_then(|threshold| threshold.level)),
        number(score.p_value),
        number(score.error_bound),
        whole(score.n_reference),
        whole(score.n_current),
        text(&score.method),
        word(&score.parameters),
        text(&score.backend),
        text(&score.moved),
        text(&score.reason),
    ]);
    row
}

/// Windows whose profile retention has taken have no rows here.
pub(super) fn profile_metrics(store: &Store, names: &Names, take: Take<'_>) -> Result<()> {
    // The layouts of the columns alone, made once for each layout.
    let mut alone: BTreeMap<String, Vec<Layout>> = BTreeMap::new();
    in_pieces(store, |found| {
        let mut rows = Vec::new();
        for window in found {
            let bytes = store.read(|conn| windows::profile(conn, window.id));
            let Some(bytes) = bytes.map_err(external)? else {
                continue;
            };
            let layout: &Arc<Layout> = names.layout(&window.layout_hash)?;
            let profile = Profile::from_bytes(&bytes, layout)
                .map_err(|cause| DataFusionError::External(Box::new(cause)))?;
            let alone = alone
                .entry(window.layout_hash.clone())
                .or_insert_with(|| layout.columns.iter().map(Layout::of_one).collect());
            for (index, (column, one)) in layout.columns.iter().zip(alone).enumerate() {
                // Of a vector its length is shown, not hundreds of elements.
                if !column.stands_alone() {
                    continue;
                }
                if let Some(taken) = profile.of_one(index, one) {
                    rows.push(metrics(window, column, &taken));
                }
            }
        }
        take(rows)
    })
}

fn metrics(window: &WindowRow, column: &LayoutColumn, profile: &Profile) -> Cells {
    let counted = profile.columns.first();
    let nulls = counted.map_or(0, |column| column.missing().empty());
    let percent = (profile.rows > 0).then(|| 100.0 * nulls as f64 / profile.rows as f64);
    let numeric = counted.and_then(ColumnProfile::numeric);
    let (data_type, mean, variance) = match (&column.cells, numeric) {
        (Counted::Numeric(cells), Some(numbers)) => {
            ("double", numbers.mean(cells), numbers.variance(cells))
        }
        (Counted::Numeric(_), None) => ("double", None, None),
        (Counted::Categorical(_), _) => ("string", None, None),
    };
    let mut row = key_and_span(&window.key, window.span);
    row.extend([
        text("INPUT"),
        text(&column.name),
        text(data_type),
        whole(profile.rows),
        whole(nulls),
        number(percent),
        ScalarValue::Int64(numeric.map(|numbers| numbers.nan.cast_signed())),
        number(numeric.and_then(|numbers| numbers.min)),
        number(numeric.and_then(|numbers| numbers.max)),
        number(mean),
        number(variance.map(f64::sqrt)),
        maybe(window.reference_hash.as_deref()),
        ScalarValue::Binary(Some(profile.to_bytes())),
    ]);
    row
}
