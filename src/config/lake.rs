//! Where rows and labels are kept, and for how long.

use std::path::Path;

use super::{MEBIBYTE, bytes, duration, whole};
use crate::event::{DAY, HOUR, MINUTE, Millis, SECOND};
use crate::rules::fields::{At, Checker};

/// What the lake holds of models that keep rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lake {
    /// A folder or a URL such as `s3://bucket/driftline`; `None`: `lake` inside the data folder. Processes that share
    /// the store share the lake.
    pub url: Option<String>,
    /// Buffers of one partition and model become a segment when they hold so many rows, or when the oldest has waited
    /// so long.
    pub flush_rows: u64,
    pub flush_age: Millis,
    /// Small segments are put together until one has so many rows.
    pub segment_rows: u64,
    /// Rows and labels this much older than the newest of their model go, in event time.
    pub keep: Millis,
    /// While all segments together are larger, the oldest go.
    pub keep_bytes: u64,
    /// How long the file of a dropped segment stays for queries that still read it.
    pub grace: Millis,
}

impl Default for Lake {
    fn default() -> Self {
        Self {
            url: None,
            flush_rows: 100_000,
            flush_age: 10 * MINUTE,
            segment_rows: 500_000,
            keep: 400 * DAY,
            keep_bytes: 100 << 30,
            grace: HOUR,
        }
    }
}

impl Lake {
    /// Where the lake is: as configured, or inside the data folder.
    pub fn location(&self, data_dir: &Path) -> String {
        let inside = || data_dir.join("lake").display().to_string();
        self.url.clone().unwrap_or_else(inside)
    }
}

/// What `object_store` can open here.
const SCHEMES: [&str; 9] = [
    "file", "s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss",
];

pub(super) fn read<'a>(check: &mut Checker<'a>, at: &At<'a>, lake: &mut Lake) {
    let Some(table) = check.table(
        at,
        &[
            "url",
            "flush_rows",
            "flush_age",
            "segment_rows",
            "keep",
            "keep_bytes",
            "grace",
        ],
    ) else {
        return;
    };
    if let Some(at) = table.get("url")
        && let Some(url) = check.text(at)
    {
        let known = url
            .split_once("://")
            .is_none_or(|(scheme, _)| SCHEMES.contains(&scheme));
        if known {
            lake.url = Some(url.to_owned());
        } else {
            check.refuse(
                at,
                "no object store that this release knows",
                "write a folder, or a URL that begins with s3://, gs://, az:// or abfss://",
            );
        }
    }
    let rows = 1..=100_000_000;
    whole(
        check,
        &table,
        "flush_rows",
        rows.clone(),
        &mut lake.flush_rows,
    );
    duration(check, &table, "flush_age", SECOND, &mut lake.flush_age);
    whole(check, &table, "segment_rows", rows, &mut lake.segment_rows);
    duration(check, &table, "keep", DAY, &mut lake.keep);
    if let Some(at) = table.get("keep_bytes")
        && let Some(number) = bytes(check, at, MEBIBYTE..=1 << 60)
    {
        lake.keep_bytes = number;
    }
    duration(check, &table, "grace", SECOND, &mut lake.grace);
}
