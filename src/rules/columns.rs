//! Which columns are watched, what type they have, and which values they may have.

use std::collections::BTreeMap;

use crate::profile::{ColumnRules, Domain};

use super::fields::{At, Checker};
use super::yaml::Value;

pub(super) fn read<'a>(check: &mut Checker<'a>, at: &At<'a>) -> Option<ColumnRules> {
    let table = check.table(
        at,
        &[
            "include",
            "exclude",
            "categorical",
            "numeric",
            "domain",
            "cluster",
        ],
    )?;
    let mut names = |key: &str| -> Option<Vec<String>> {
        let texts = check.texts(table.get(key)?)?;
        Some(texts.into_iter().map(str::to_owned).collect())
    };
    let include = names("include");
    let mut rules = ColumnRules {
        include: include.clone(),
        exclude: names("exclude").unwrap_or_default(),
        categorical: names("categorical").unwrap_or_default(),
        numeric: names("numeric").unwrap_or_default(),
        domain: BTreeMap::new(),
    };
    if let (Some(at), Some([])) = (table.get("include"), include.as_deref()) {
        check.refuse(
            at,
            "no column would be watched",
            "name some, or leave it out for all",
        );
    }
    if let Some(at) = table.get("cluster") {
        check.refuse(
            at,
            "this release resamples whole windows and uses no clusters",
            "leave it out; rows of one window are already taken together",
        );
    }
    if let Some(at) = table.get("numeric")
        && let Some(both) = rules
            .numeric
            .iter()
            .find(|name| rules.categorical.contains(name))
    {
        check.refuse(
            at,
            &format!("`{both}` is also listed as categorical"),
            "keep one of the two",
        );
    }
    if let Some(at) = table.get("domain") {
        for (column, at) in check.open_table(at)?.entries() {
            let Some(domain) = domain(check, at) else {
                continue;
            };
            let wrong = match &domain {
                Domain::Range(_) if rules.categorical.iter().any(|name| name == column) => {
                    "categorical"
                }
                Domain::Categories(_) if rules.numeric.iter().any(|name| name == column) => {
                    "numeric"
                }
                _ => "",
            };
            if !wrong.is_empty() {
                check.refuse(
                    at,
                    &format!("the column is listed as {wrong}"),
                    "give a domain of that type",
                );
            }
            rules.domain.insert(column.to_owned(), domain);
        }
    }
    Some(rules)
}

/// `{range: [0, 120]}` or `{categories: [mon, tue]}`.
fn domain<'a>(check: &mut Checker<'a>, at: &At<'a>) -> Option<Domain> {
    const FORMS: &str = "write `{range: [0, 120]}` or `{categories: [mon, tue]}`";
    if !matches!(at.node.value, Value::Map(_)) {
        check.refuse(at, "not a domain", FORMS);
        return None;
    }
    let table = check.table(at, &["range", "categories"])?;
    match (table.get("range"), table.get("categories")) {
        (Some(range), None) => {
            let ends = range.items().unwrap_or_default();
            let [low, high] = ends.as_slice() else {
                check.refuse(range, "a range has two ends", "write `[SMALLEST, LARGEST]`");
                return None;
            };
            let mut end = |at| check.number(at, f64::MIN..=f64::MAX, "write a finite number");
            let (low, high) = (end(low)?, end(high)?);
            if low > high {
                check.refuse(
                    range,
                    "the range is empty",
                    "write the smaller number first",
                );
                return None;
            }
            Some(Domain::Range([low, high]))
        }
        (None, Some(categories)) => {
            let texts = check.texts(categories)?;
            if texts.is_empty() {
                check.refuse(
                    categories,
                    "every value would lie outside",
                    "name the categories",
                );
                return None;
            }
            Some(Domain::Categories(
                texts.into_iter().map(str::to_owned).collect(),
            ))
        }
        _ => {
            check.refuse(at, "a domain is one of the two", FORMS);
            None
        }
    }
}
