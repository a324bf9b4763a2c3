//! Which field of a prediction record each column of a file is.

use super::{File, QueryError};
use crate::profile::Field;

/// Columns that a record has but a profile does not: read elsewhere or not at all.
const NOT_PROFILED: [&str; 6] = ["model", "version", "id", "ts", "label", "label_ts"];

/// The names under which the columns of a file are profiled, beside their names in the file; `None` for what is
/// identity, time or a label. `time` names the time column where it is not `ts`.
///
/// # Errors
/// [`QueryError`]: the file cannot be read, or has no such time column.
pub async fn column_names(
    file: &File,
    time: Option<&str>,
) -> Result<Vec<(String, Option<String>)>, QueryError> {
    let rows = file.rows().await?;
    let names: Vec<String> = rows
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    if let Some(column) = time.filter(|time| !names.iter().any(|name| name == time)) {
        return Err(QueryError::NoTimeColumn {
            file: file.name(),
            column: column.to_owned(),
            found: names,
        });
    }
    let profiled = |name: &String| {
        let field = field(name, time.unwrap_or(DEFAULT_TIME), true);
        field.map(|(field, feature)| field.column_name(&feature))
    };
    Ok(names
        .into_iter()
        .map(|name| (name.clone(), profiled(&name)))
        .collect())
}

/// The time column where none is named.
pub(super) const DEFAULT_TIME: &str = "ts";

/// The field behind the file's column `column`, and a feature's own name (else empty); `None` for a column that is
/// not profiled. `numeric`: the column holds numbers, which matters only for the short form `prediction`.
pub(super) fn field(column: &str, time: &str, numeric: bool) -> Option<(Field, String)> {
    if column == time || NOT_PROFILED.contains(&column) {
        return None;
    }
    let field = match column {
        "prediction" if numeric => Field::Value,
        "prediction.value" => Field::Value,
        "prediction" | "prediction.label" => Field::Label,
        "latency_ms" => Field::Latency,
        _ => {
            if let Some(class) = column.strip_prefix("prediction.scores.") {
                Field::Score(class.to_owned())
            } else if let Some(output) = column.strip_prefix("prediction.values.") {
                Field::Values(output.to_owned())
            } else {
                let name = column.strip_prefix("features.").unwrap_or(column);
                return Some((Field::Feature, name.to_owned()));
            }
        }
    };
    Some((field, String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(column: &str, numeric: bool, expect: Option<(Field, &str)>) {
        assert_eq!(
            field(column, "when", numeric),
            expect.map(|(field, name)| (field, name.to_owned()))
        );
    }

    #[test]
    fn a_column_is_the_field_its_name_says() {
        check("temp", true, Some((Field::Feature, "temp")));
        check("features.id", true, Some((Field::Feature, "id")));
        check("prediction", true, Some((Field::Value, "")));
        check("prediction", false, Some((Field::Label, "")));
        check(
            "prediction.scores.up",
            true,
            Some((Field::Score("up".into()), "")),
        );
        check(
            "prediction.values.a",
            true,
            Some((Field::Values("a".into()), "")),
        );
        check("latency_ms", true, Some((Field::Latency, "")));
    }

    #[test]
    fn time_identity_and_true_labels_are_not_profiled() {
        for column in ["when", "ts", "id", "model", "version", "label", "label_ts"] {
            check(column, true, None);
        }
    }
}
