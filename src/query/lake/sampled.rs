//! A sample of the lake's rows: of a window, or of the spans that a reference is made of.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};

use super::observations::scan_rows;
use super::rows::ENVELOPE;
use super::scan::{Bounds, Session};
use super::snapshot::{Attempts, Snapshot};
use crate::event::{Millis, Span, id_hash};
use crate::profile::CompiledLayout;
use crate::query::QueryError;
use crate::query::sample::{Keep, Key, RowSample, Sampler};
use crate::store::Store;
use crate::store::lake::Lake;

/// Which rows are sampled.
#[derive(Debug, Clone, Copy)]
pub struct SampleAsk<'a> {
    pub model: &'a str,
    /// Only rows that this version predicted; `None`: of all versions.
    pub version: Option<&'a str>,
    /// Stretches of event time in order, without overlap; each with the watermark below which its rows were read.
    pub spans: &'a [(Span, Millis)],
    pub layout: &'a CompiledLayout,
    pub keep: Keep,
    pub seed: u64,
}

/// Samples rows of the lake. Memory: twice the sample, and one batch.
///
/// # Errors
/// When the store or the lake cannot be read, or the lake changes faster than it can be read.
pub async fn sample_of_lake(
    lake: &Lake,
    store: &Store,
    ask: &SampleAsk<'_>,
) -> Result<RowSample, QueryError> {
    let session = Session::new(lake.store()).map_err(QueryError::lake)?;
    let start = ask.spans.first().map_or(0, |(span, _)| span.start);
    let end = ask.spans.last().map_or(start, |(span, _)| span.end);
    let mut attempts = Attempts::default();
    loop {
        // No label is asked for.
        let snapshot = Snapshot::read(store, ask.model, start..end, 0..0).await?;
        let answer = gather(&session, &snapshot, ask).await;
        if let Some(answer) = attempts.settle(store, ask.model, &snapshot, answer).await? {
            return Ok(answer);
        }
    }
}

async fn gather(
    session: &Session,
    snapshot: &Snapshot,
    ask: &SampleAsk<'_>,
) -> Result<RowSample, QueryError> {
    let layout = ask.layout.layout();
    let columns: Vec<usize> = (0..ENVELOPE + layout.columns.len()).collect();
    let mut sampler = Sampler::new(ask.keep, layout, ask.spans.len());
    for run in runs(ask.spans) {
        let (Some((first, _)), Some((last, _))) =
            (ask.spans.get(run.start), ask.spans[run.clone()].last())
        else {
            continue;
        };
        let known_by = ask.spans[run.clone()].iter().map(|(_, known_by)| *known_by);
        let bounds = Bounds {
            ts: first.start..last.end,
            known_by: known_by.max().unwrap_or(Millis::MIN),
            version: ask.version.map(str::to_owned),
            ids: None,
        };
        let take = |batch: arrow::array::RecordBatch| {
            let versions = batch.column(0).as_string::<i32>();
            let ids = batch.column(1).as_string::<i32>();
            let times = batch.column(2).as_primitive::<Int64Type>();
            let watermarks = batch.column(3).as_primitive::<Int64Type>();
            let topics = batch.column(4).as_string::<i32>();
            let partitions = batch.column(5).as_primitive::<Int32Type>();
            let offsets = batch.column(6).as_primitive::<Int64Type>();
            let mut bytes = Vec::new();
            let keyed = (0..batch.num_rows()).filter_map(|row| {
                let ts = times.value(row);
                let before = ask.spans[run.clone()].partition_point(|(span, _)| span.end <= ts);
                let place = run.start + before;
                let (span, known_by) = ask.spans.get(place)?;
                if ts < span.start || watermarks.value(row) >= *known_by {
                    return None;
                }
                bytes.clear();
                bytes.extend_from_slice(topics.value(row).as_bytes());
                bytes.extend_from_slice(&partitions.value(row).to_le_bytes());
                bytes.extend_from_slice(&offsets.value(row).to_le_bytes());
                let own = xxhash_rust::xxh3::xxh3_64(&bytes);
                let key = if ids.is_valid(row) {
                    let id = id_hash(ask.model, versions.value(row), ids.value(row));
                    Key::new(ask.seed, &id.to_le_bytes(), ts, own)
                } else {
                    Key::new(ask.seed, &own.to_le_bytes(), ts, own)
                };
                Some((row, place as u32, key))
            });
            sampler.offer(batch.columns()[ENVELOPE..].to_vec(), keyed)
        };
        scan_rows(session, snapshot, layout, &bounds, &columns, take).await?;
    }
    sampler.finish().map_err(QueryError::lake)
}

/// Spans that follow each other without a gap are read together.
fn runs(spans: &[(Span, Millis)]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (place, (span, _)) in spans.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if spans[run.end - 1].0.end == span.start => run.end = place + 1,
            _ => runs.push(place..place + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together() {
        let span = |start, end| (Span::new(start, end), end);
        let spans = [
            span(0, 5),
            span(5, 9),
            span(20, 30),
            span(30, 31),
            span(40, 41),
        ];
        assert_eq!(runs(&spans), [0..2, 2..4, 4..5]);
        assert_eq!(runs(&[]), [] as [std::ops::Range<usize>; 0]);
    }
}
