//! `--compat`: each column as another tool would score and judge it.

use std::collections::BTreeMap;

use super::report::{ColumnReport, Line, parameters, together};
use super::rows::Pair;
use crate::query::ColumnRows;
use crate::stats::compat::{Column, Judged, Refused, Vendor};
use crate::stats::score::{Digits, Verdict};

/// A column by the vendor's statistics of these names, or by its default one.
///
/// # Errors
/// For a statistic that the vendor does not have for any kind of column.
pub fn judge(vendor: Vendor, names: &[String], pair: Pair<'_>) -> anyhow::Result<ColumnReport> {
    let (ours, theirs) = (Texts::of(pair.reference), Texts::of(pair.current));
    let (reference, current) = (ours.column(pair.reference), theirs.column(pair.current));
    let asked: Vec<Option<&str>> = match names {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.trim())).collect(),
    };
    let lines: Vec<Line> = asked
        .into_iter()
        .filter_map(|name| match vendor.score(name, reference, current) {
            Ok(judged) => Some(Ok(judged_line(judged, pair))),
            // A statistic of the other kind of column.
            Err(Refused::Unknown { name, .. }) if known(vendor, &name) => None,
            Err(unknown @ Refused::Unknown { .. }) if !names.is_empty() => Some(Err(unknown)),
            Err(refused) => {
                let name = name.unwrap_or_else(|| vendor.refused_statistic(&refused, reference));
                Some(Ok(refused_line(name, &refused, pair)))
            }
        })
        .collect::<Result<_, _>>()?;
    Ok(ColumnReport {
        column: pair.name.to_owned(),
        kind: match pair.reference {
            ColumnRows::Numbers(_) => "numeric",
            ColumnRows::Texts(_) => "categorical",
        },
        verdict: together(lines.iter().map(|line| line.verdict)),
        statistics: lines,
    })
}

fn known(vendor: Vendor, name: &str) -> bool {
    use crate::stats::compat::Kind;
    [Kind::Numeric, Kind::Categorical]
        .into_iter()
        .any(|kind| vendor.statistics(kind).contains(&name))
}

/// Texts of a categorical column, row by row.
struct Texts<'a>(Vec<Option<&'a str>>);

impl<'a> Texts<'a> {
    fn of(rows: &'a ColumnRows) -> Self {
        Self(match rows {
            ColumnRows::Numbers(_) => Vec::new(),
            ColumnRows::Texts(rows) => rows
                .codes
                .iter()
                .map(|&code| rows.names.get(code as usize).map(String::as_str))
                .collect(),
        })
    }

    fn column(&'a self, rows: &'a ColumnRows) -> Column<'a> {
        match rows {
            ColumnRows::Numbers(rows) => Column::Numeric(&rows.values),
            ColumnRows::Texts(_) => Column::Categorical(&self.0),
        }
    }
}

fn judged_line(judged: Judged, pair: Pair<'_>) -> Line {
    let texts: BTreeMap<String, String> = judged
        .parameters
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.clone()))
        .collect();
    let name = judged.vendor.name();
    let (verdict, reason) = match (judged.drift, judged.threshold) {
        (Some(true), Some(threshold)) => (
            Verdict::Drift,
            format!(
                "{name} calls {} {} drift at its threshold {threshold}",
                judged.statistic,
                Digits(judged.value, 4)
            ),
        ),
        (Some(_), Some(threshold)) => (
            Verdict::Ok,
            format!(
                "{name} calls {} {} quiet at its threshold {threshold}",
                judged.statistic,
                Digits(judged.value, 4)
            ),
        ),
        _ => (
            Verdict::InsufficientData,
            format!("{name} has no threshold for {}", judged.statistic),
        ),
    };
    Line {
        verdict,
        score: Some(judged.value),
        p_value: judged.is_p_value.then_some(judged.value),
        threshold: judged.threshold,
        threshold_source: judged.threshold.map(|_| name.into()),
        parameters: parameters(&texts),
        reason,
        ..blank(judged.statistic, pair)
    }
}

fn refused_line(name: &str, refused: &Refused, pair: Pair<'_>) -> Line {
    Line {
        reason: refused.to_string(),
        ..blank(name, pair)
    }
}

fn blank(statistic: &str, pair: Pair<'_>) -> Line {
    Line {
        statistic: statistic.to_owned(),
        verdict: Verdict::InsufficientData,
        decides: true,
        score: None,
        p_value: None,
        adjusted_p_value: None,
        threshold: None,
        threshold_source: None,
        level: None,
        effect: None,
        floor: None,
        method: "rows".to_owned(),
        backend: "cpu".to_owned(),
        parameters: Default::default(),
        error_bound: None,
        n_reference: pair.reference.len() as u64,
        n_current: pair.current.len() as u64,
        draws: None,
        overdispersion: None,
        blocks: 1,
        false_alarms_per_week: None,
        moved: String::new(),
        reason: String::new(),
    }
}
