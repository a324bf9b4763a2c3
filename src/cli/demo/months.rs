//! The year by month: how good the frozen, the live and the monthly model were, and the trailing share, all on the
//! flights whose labels have come. What the first two said is read back from the lake: it is what driftline saw.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::Context as _;
use serde::Serialize;

use super::flights::{LATE, MODEL, ON_TIME, Year};
use super::serving::FROZEN;
use super::summary::{Outcome, Retrain, Summary};
use crate::event::{DAY, Millis, Span, rfc3339};
use crate::performance::{Kind, Metric, Observation, estimates};
use crate::profile::{CompiledLayout, Layout};
use crate::query::{Ask, observations};
use crate::service::Service;
use crate::store::layouts;

/// What `--json` says of a model in a month.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    pub log_loss: Option<f64>,
    pub auc: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LogLoss {
    pub log_loss: Option<f64>,
}

/// One month of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Month {
    /// `2013-06`.
    pub month: String,
    /// Flights that the live model scored.
    pub rows: u64,
    /// The share of them whose label has come.
    pub label_coverage: f64,
    pub frozen: Figures,
    pub live: Figures,
    pub monthly: Figures,
    pub base_rate: LogLoss,
    /// The live model's log loss is above the frozen one's.
    pub live_is_worse: bool,
    /// Features that drifted against January and February in a window that begins in the month.
    pub drifted: Vec<String>,
    /// Versions that served.
    pub versions: Vec<String>,
}

/// The calendar months (UTC) of the year, as far as there are flights.
pub fn spans(year: &Year) -> Vec<Span> {
    let mut starts: Vec<Millis> = Vec::new();
    let mut latest = String::new();
    for flight in &year.flights {
        let month: String = rfc3339(flight.ts).chars().take(7).collect();
        if month != latest {
            let start = chrono::DateTime::parse_from_rfc3339(&format!("{month}-01T00:00:00Z"));
            starts.extend(start.map(|start| start.timestamp_millis()));
            latest = month;
        }
    }
    let ends = starts.iter().skip(1).copied().chain([Millis::MAX]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| Span::new(*start, end))
        .collect()
}

/// What other models would have said, beside the flights.
pub struct Peers {
    pub monthly: Vec<f64>,
    pub base_rate: Vec<f64>,
}

/// One line of the table, from what the lake has of the month.
pub async fn month(
    year: &Year,
    peers: &Peers,
    span: Span,
    service: &Service,
    outcome: &Outcome,
) -> anyhow::Result<Month> {
    let place: HashMap<&str, usize> = year
        .flights
        .iter()
        .enumerate()
        .filter(|(_, flight)| span.contains(flight.ts))
        .map(|(row, flight)| (flight.id.as_str(), row))
        .collect();
    let (frozen, live): (Vec<Observation>, Vec<Observation>) = logged(service, span)
        .await?
        .into_iter()
        .partition(|observation| observation.version == FROZEN);
    let versions: BTreeSet<String> = live
        .iter()
        .map(|observation| observation.version.clone())
        .collect();
    let instead = |probabilities: &[f64]| -> Vec<Observation> {
        let other = live.iter().filter_map(|observation| {
            let late = probabilities[*place.get(observation.id.as_deref()?)?];
            Some(Observation {
                class: None,
                scores: BTreeMap::from([(LATE.to_owned(), late), (ON_TIME.to_owned(), 1.0 - late)]),
                ..observation.clone()
            })
        });
        other.collect()
    };
    let labelled = live
        .iter()
        .filter(|observation| observation.truth.is_some())
        .count();
    let drifted: BTreeSet<String> = outcome
        .drifted
        .range(span.start..span.end)
        .flat_map(|(_, features)| features.iter().cloned())
        .collect();
    let (frozen, of_live) = (figures(&frozen), figures(&live));
    Ok(Month {
        month: rfc3339(span.start).chars().take(7).collect(),
        rows: live.len() as u64,
        label_coverage: labelled as f64 / live.len().max(1) as f64,
        frozen,
        live: of_live,
        monthly: figures(&instead(&peers.monthly)),
        base_rate: LogLoss {
            log_loss: figures(&instead(&peers.base_rate)).log_loss,
        },
        live_is_worse: of_live.log_loss > frozen.log_loss,
        drifted: drifted.into_iter().collect(),
        versions: versions.into_iter().collect(),
    })
}

/// What was logged in a span, with all labels that have come by now.
async fn logged(service: &Service, span: Span) -> anyhow::Result<Vec<Observation>> {
    let stored = service
        .store
        .read_async(|conn| layouts::get(conn, MODEL))
        .await?
        .context("the model has a layout after a year")?;
    let layout = CompiledLayout::new(Arc::new(Layout::from_json(&stored.body)?));
    let ask = Ask {
        model: MODEL,
        span,
        known_by: Millis::MAX,
        layout: &layout,
        kind: Kind::Binary { positive: LATE },
    };
    Ok(observations(&service.lake, &service.store, &ask)
        .await?
        .rows)
}

impl Month {
    pub fn line(&self, summary: &Summary) -> String {
        let pair = |figures: &Figures| match (figures.log_loss, figures.auc) {
            (Some(loss), Some(auc)) => format!("{loss:.4} {auc:.3}"),
            _ => "–".to_owned(),
        };
        let loss = |figures: &LogLoss| {
            figures
                .log_loss
                .map_or("–".to_owned(), |loss| format!("{loss:.4}"))
        };
        let trained = summary
            .retrains
            .iter()
            .filter(|run| run.at.starts_with(&self.month));
        let (won, lost): (Vec<&Retrain>, Vec<&Retrain>) = trained.partition(|run| run.promoted);
        let trained = match (won.len(), lost.len()) {
            (0, 0) => "·".to_owned(),
            (won, 0) => format!("{won} won"),
            (0, lost) => format!("{lost} lost"),
            (won, lost) => format!("{won} won, {lost} lost"),
        };
        let worse = if self.live_is_worse {
            "  live is worse than frozen"
        } else {
            ""
        };
        format!(
            "{:<8} {:>6} {:>6.1}%  {:>15}  {:>15}  {:>15}  {:>9}  {:>7}  {trained}{worse}",
            self.month,
            self.rows,
            100.0 * self.label_coverage,
            pair(&self.frozen),
            pair(&self.live),
            pair(&self.monthly),
            loss(&self.base_rate),
            self.drifted.len(),
        )
    }
}

fn figures(observations: &[Observation]) -> Figures {
    let summary = estimates(Kind::Binary { positive: LATE }, observations, |ts| {
        ts.div_euclid(DAY)
    });
    let value = |metric| summary.get(metric).and_then(|estimate| estimate.value);
    Figures {
        log_loss: value(Metric::LogLoss),
        auc: value(Metric::RocAuc),
    }
}
