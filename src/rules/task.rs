//! What a model predicts: the `task` of a declaration.

use crate::performance::Kind;

use super::fields::{At, Checker};
use super::yaml::Value;

/// What the model predicts: which metrics it has, and what is trained for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    Binary { positive: String },
    Multiclass,
    Regression,
    Ranking,
    None,
}

impl Task {
    /// What its performance is judged and its models are trained as; `None` where there is no metric.
    pub fn kind(&self) -> Option<Kind<'_>> {
        match self {
            Task::Binary { positive } => Some(Kind::Binary { positive }),
            Task::Multiclass => Some(Kind::Multiclass),
            Task::Regression => Some(Kind::Regression),
            Task::Ranking | Task::None => None,
        }
    }

    /// As declarations write it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Task::Binary { .. } => "binary",
            Task::Multiclass => "multiclass",
            Task::Regression => "regression",
            Task::Ranking => "ranking",
            Task::None => "none",
        }
    }
}

/// `task: none`, `task: regression` or `task: {type: binary, positive: up}`.
pub(super) fn read<'a>(check: &mut Checker<'a>, at: &At<'a>) -> Option<Task> {
    let is_table = matches!(at.node.value, Value::Map(_));
    let table = if is_table {
        Some(check.table(at, &["type", "positive"])?)
    } else {
        None
    };
    let kind = match &table {
        None => at,
        Some(table) => match table.get("type") {
            Some(kind) => kind,
            None => {
                check.missing(
                    table,
                    "type",
                    "write one of: binary, multiclass, regression, ranking, none",
                );
                return None;
            }
        },
    };
    let positive = table.as_ref().and_then(|table| table.get("positive"));
    let binary = check.choice(
        kind,
        &[
            ("binary", 0),
            ("multiclass", 1),
            ("regression", 2),
            ("ranking", 3),
            ("none", 4),
        ],
    )?;
    if let Some(positive) = positive
        && binary != 0
    {
        check.refuse(
            positive,
            "only a binary task has a positive class",
            "leave it out",
        );
    }
    match binary {
        0 => match positive {
            Some(at) => Some(Task::Binary {
                positive: check.text(at)?.to_owned(),
            }),
            None => {
                let remedy =
                    "write the class that counts as positive: `{type: binary, positive: up}`";
                match &table {
                    Some(table) => check.missing(table, "positive", remedy),
                    None => check.refuse(at, "a binary task needs its positive class", remedy),
                }
                None
            }
        },
        1 => Some(Task::Multiclass),
        2 => Some(Task::Regression),
        3 => Some(Task::Ranking),
        _ => Some(Task::None),
    }
}
