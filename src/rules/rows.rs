//! Which rows are kept: `rows: all`, `rows: none`, `rows: {sample: 10%}`.

use super::condition::{self, Limit, Unit};
use super::declaration::Rows;
use super::fields::{At, Checker};
use super::yaml::Value;

const FORMS: &str = "write `all`, `none` or `{sample: 10%}`";

pub(super) fn read<'a>(check: &mut Checker<'a>, at: &At<'a>) -> Option<Rows> {
    if !matches!(at.node.value, Value::Map(_)) {
        let rows = match check.text(at)? {
            "all" => Some(Rows::All),
            "none" => Some(Rows::None),
            _ => None,
        };
        if rows.is_none() {
            check.refuse(at, "not a choice of rows", FORMS);
        }
        return rows;
    }
    let table = check.table(at, &["sample"])?;
    let Some(at) = table.get("sample") else {
        check.missing(&table, "sample", FORMS);
        return None;
    };
    share(
        check,
        at,
        "write a share above 0 and below 100%, for example `10%`",
    )
    .map(Rows::Sample)
}

/// A share above 0 and below 1, as `0.1` or `10%`.
pub(super) fn share<'a>(check: &mut Checker<'a>, at: &At<'a>, remedy: &str) -> Option<f64> {
    match condition::parse(check.text(at)?, Unit::Share) {
        Ok(Limit::Fixed(share)) if share > 0.0 && share < 1.0 => Some(share),
        _ => {
            check.refuse(at, "not a share of the whole", remedy);
            None
        }
    }
}
