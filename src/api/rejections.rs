//! Rejected records: where each lies, why it was refused, and whether the dead-letter topic has it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::params::{self, Strict, Time};
use super::problem::Problem;
use crate::event::{Partition, Reason};
use crate::store::StoreError;
use crate::store::rejections::{self, ListedRejection};

/// One refused record.
#[derive(Debug, Serialize, ToSchema)]
struct Rejection {
    topic: String,
    partition: i32,
    offset: i64,
    /// One of the closed set of reasons.
    #[schema(example = "ts_in_seconds")]
    reason: &'static str,
    /// Where the envelope named a declared one.
    model: Option<String>,
    /// What was found, in a few words.
    detail: String,
    /// The broker's time of the message.
    broker_time: Option<Time>,
    /// The dead-letter topic has a copy.
    copied: bool,
}

/// A page of rejections by topic and partition, the newest of each first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rejections {
    rejections: Vec<Rejection>,
    /// How many records were refused for each reason since the beginning; these outlive the single rejections.
    totals: BTreeMap<&'static str, u64>,
    /// The `after` of the next page; absent on the last one.
    next: Option<String>,
}

impl From<ListedRejection> for Rejection {
    fn from(
        ListedRejection {
            partition,
            rejection,
            copied,
        }: ListedRejection,
    ) -> Self {
        Self {
            topic: partition.topic,
            partition: partition.partition,
            offset: rejection.offset,
            reason: rejection.reason.as_str(),
            model: rejection.model,
            detail: rejection.detail,
            broker_time: rejection.broker_ts.map(Time),
            copied,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RejectionsQuery {
    /// Entries of a page, 1 to 1000; 100 when absent.
    limit: Option<u32>,
    /// Only this reason.
    #[param(value_type = Option<String>, example = "ts_in_seconds")]
    reason: Option<Reason>,
    /// The `next` of the page before, `TOPIC/PARTITION/OFFSET`.
    after: Option<String>,
}

/// Refused records, by topic and partition, the newest of each first.
#[utoipa::path(get, path = "/api/v1/rejections", tag = "input", params(RejectionsQuery),
    responses((status = 200, body = Rejections)))]
pub async fn list(
    State(app): State<App>,
    Strict(query): Strict<RejectionsQuery>,
) -> Result<Json<Rejections>, Problem> {
    let limit = params::page(query.limit)?;
    let after = query.after.map(|text| place(&text)).transpose()?;
    let read = app.store.read_async(move |conn| {
        let after = after
            .as_ref()
            .map(|(partition, offset)| (partition, *offset));
        // One more than asked for tells whether there is a next page.
        let listed = rejections::page(conn, query.reason, after, limit as u32 + 1)?;
        Ok::<_, StoreError>((listed, rejections::counts(conn)?))
    });
    let (mut listed, counts) = read.await?;
    let more = listed.len() > limit;
    listed.truncate(limit);
    let next = listed
        .last()
        .filter(|_| more)
        .map(|last| format!("{}/{}", last.partition, last.rejection.offset));
    let totals = counts
        .into_iter()
        .map(|(reason, count)| (reason.as_str(), count))
        .collect();
    Ok(Json(Rejections {
        rejections: listed.into_iter().map(Rejection::from).collect(),
        totals,
        next,
    }))
}

/// Reads what `next` of a page says.
fn place(text: &str) -> Result<(Partition, i64), Problem> {
    let parts = || {
        let (rest, offset) = text.rsplit_once('/')?;
        let (topic, partition) = rest.rsplit_once('/')?;
        let partition = Partition {
            topic: topic.to_owned(),
            partition: partition.parse().ok()?,
        };
        Some((partition, offset.parse().ok()?))
    };
    parts()
        .ok_or_else(|| Problem::bad_query(format!("after: {text:?} is not TOPIC/PARTITION/OFFSET")))
}
