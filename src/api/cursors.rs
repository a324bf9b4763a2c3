//! How far every partition is read, and what became of its records.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::params::{Nothing, Strict, Time};
use super::problem::Problem;
use crate::store::cursors::{self, Counts};
use crate::store::{StoreError, gaps, streams};

/// Where every partition stands. `used + late + duplicate + rejected` is the number of records read.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cursors {
    /// By topic and partition.
    cursors: Vec<Cursor>,
    /// Over all partitions.
    totals: Records,
    /// Offsets that the log no longer had when they were to be read, over all partitions.
    offsets_lost: u64,
}

/// Where one partition stands.
#[derive(Debug, Serialize, ToSchema)]
struct Cursor {
    topic: String,
    partition: i32,
    /// The next offset to be read and counted.
    next_offset: i64,
    /// Where reading begins after a restart: far enough back to know the ids of the de-duplication span.
    dedupe_offset: i64,
    records: Records,
    /// Why the partition is not read until its cursor is reset.
    alarm: Option<String>,
    /// The partition as it was before its topic was made anew: read no more, still counted.
    archived: bool,
    /// The models of this partition.
    streams: Vec<Stream>,
}

/// What became of records; the four sum to the records read.
#[derive(Debug, Serialize, ToSchema)]
struct Records {
    used: u64,
    late: u64,
    duplicate: u64,
    rejected: u64,
}

/// One model inside one partition.
#[derive(Debug, Serialize, ToSchema)]
struct Stream {
    model: String,
    /// Event time up to which this partition is taken to be complete.
    watermark: Time,
    /// Latest event time seen.
    max_ts: Option<Time>,
    /// No record is waiting here, so the partition does not hold the model's windows back.
    idle: bool,
}

impl From<Counts> for Records {
    fn from(counts: Counts) -> Self {
        let Counts {
            used,
            late,
            duplicate,
            rejected,
        } = counts;
        Self {
            used,
            late,
            duplicate,
            rejected,
        }
    }
}

/// How far every partition is read, and what became of its records.
#[utoipa::path(get, path = "/api/v1/cursors", tag = "input", responses((status = 200, body = Cursors)))]
pub async fn list(State(app): State<App>, _: Strict<Nothing>) -> Result<Json<Cursors>, Problem> {
    let read = app.store.read_async(|conn| {
        Ok::<_, StoreError>((
            cursors::all(conn)?,
            streams::all(conn)?,
            cursors::totals(conn)?,
            gaps::offsets_lost(conn)?,
        ))
    });
    let (cursors, mut streams, totals, offsets_lost) = read.await?;
    let cursors = cursors
        .into_iter()
        .map(|cursor| Cursor {
            streams: streams
                .extract_if(.., |(partition, _)| *partition == cursor.partition)
                .map(|(_, stream)| Stream {
                    model: stream.model,
                    watermark: Time(stream.watermark),
                    max_ts: stream.max_ts.map(Time),
                    idle: stream.idle,
                })
                .collect(),
            topic: cursor.partition.topic,
            partition: cursor.partition.partition,
            next_offset: cursor.next_offset,
            dedupe_offset: cursor.dedupe_offset,
            records: cursor.counts.into(),
            alarm: cursor.alarm,
            archived: cursor.archived,
        })
        .collect();
    Ok(Json(Cursors {
        cursors,
        totals: totals.into(),
        offsets_lost,
    }))
}
