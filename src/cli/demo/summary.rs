//! What the year brought: lines as it goes by, the tables at its end, and the same as JSON.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::ProgressBar;
use serde::Serialize;

use super::day;
use super::flights::Year;
use super::months::Month;
use super::serving::FROZEN;
use crate::event::{Millis, rfc3339};
use crate::retrain::Run;
use crate::retrain::gate::Gate;
use crate::service::closing::Closed;
use crate::stats::score::Verdict;
use crate::store::runs::Status;

/// Most drift lines printed for one window; the table at the end has them all.
const LINES_A_WINDOW: usize = 4;

/// What `--json` writes. The same on every run but for `seconds`.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Records produced, by kind.
    pub events: BTreeMap<&'static str, u64>,
    pub used: u64,
    pub late: u64,
    pub duplicate: u64,
    pub rejected: u64,
    /// Windows of all versions, and how many of each verdict.
    pub windows: u64,
    pub verdicts: BTreeMap<&'static str, u64>,
    /// The features with a drift verdict against January and February, for each window that has any.
    pub drifted: Vec<Drifted>,
    pub retrains: Vec<Retrain>,
    pub months: Vec<Month>,
    pub seconds: f64,
}

#[derive(Debug, Serialize)]
pub struct Drifted {
    /// First day of the window.
    pub window: String,
    pub features: Vec<String>,
}

impl From<(Millis, BTreeSet<String>)> for Drifted {
    fn from((window, features): (Millis, BTreeSet<String>)) -> Self {
        Self {
            window: day(window),
            features: features.into_iter().collect(),
        }
    }
}

/// One run of retraining.
#[derive(Debug, Serialize)]
pub struct Retrain {
    /// Event time of the request.
    pub at: String,
    pub reason: String,
    /// The version that was judged against, and the one that was made.
    pub champion: String,
    pub challenger: Option<String>,
    pub candidate: Option<String>,
    pub gate: Option<GateFigures>,
    pub status: &'static str,
    pub promoted: bool,
}

/// The gate's figures: mean losses on the hold-out, and the interval of the gain.
#[derive(Debug, Serialize)]
pub struct GateFigures {
    pub outcome: &'static str,
    pub rows: u64,
    pub champion: Option<f64>,
    pub challenger: Option<f64>,
    pub gain: Option<f64>,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    pub min_gain: f64,
    pub label_coverage: Option<f64>,
}

impl From<&Gate> for GateFigures {
    fn from(gate: &Gate) -> Self {
        let gain = gate.gain.as_ref();
        Self {
            outcome: gate.outcome.as_str(),
            rows: gate.compared,
            champion: gain.map(|gain| gain.champion),
            challenger: gain.map(|gain| gain.challenger),
            gain: gain.map(|gain| gain.mean),
            lower: gain.map(|gain| gain.lower),
            upper: gain.map(|gain| gain.upper),
            min_gain: gate.min_gain,
            label_coverage: gate.coverage.share(),
        }
    }
}

impl From<&Run> for Retrain {
    fn from(run: &Run) -> Self {
        let candidate = run
            .body
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.candidate.as_ref());
        let challenger = run.body.challenger.as_ref();
        Self {
            at: rfc3339(run.row.requested),
            reason: run.body.request.reason.clone(),
            champion: run.row.version.clone(),
            challenger: challenger.map(|challenger| challenger.version.clone()),
            candidate: candidate.map(|candidate| candidate.name().to_owned()),
            gate: run.body.gate.as_ref().map(GateFigures::from),
            status: run.status().as_str(),
            promoted: run.status() == Status::Promoted,
        }
    }
}

impl Retrain {
    fn line(&self) -> String {
        let made = self.candidate.as_deref().unwrap_or("nothing");
        let figures = match &self.gate {
            Some(GateFigures {
                rows,
                champion: Some(champion),
                challenger: Some(challenger),
                lower: Some(lower),
                upper: Some(upper),
                ..
            }) => format!(
                "{made} loses {challenger:.4} a row where version {} lost {champion:.4}, on {rows} flights it had not \
                 seen (gain {lower:.4} to {upper:.4})",
                self.champion
            ),
            Some(gate) => format!("{made}: {}", gate.outcome),
            None => made.to_owned(),
        };
        let version = match (&self.challenger, self.promoted) {
            (Some(version), true) => format!(", promoted as version {version}"),
            _ => format!(", {}", self.status),
        };
        format!(
            "{}  retrained: {}; {figures}{version}",
            self.at.chars().take(10).collect::<String>(),
            self.reason
        )
    }
}

/// What the year has brought so far.
#[derive(Debug)]
pub struct Outcome {
    pub windows: u64,
    pub verdicts: BTreeMap<&'static str, u64>,
    pub drifted: BTreeMap<Millis, BTreeSet<String>>,
    features: BTreeSet<String>,
    runs_told: usize,
}

impl Outcome {
    pub fn new(year: &Year) -> Self {
        Self {
            windows: 0,
            verdicts: BTreeMap::new(),
            drifted: BTreeMap::new(),
            features: year.features.names.iter().cloned().collect(),
            runs_told: 0,
        }
    }

    /// Tells of runs that have ended since the last time; `runs` are all of them in order of time.
    pub fn trained(&mut self, runs: Vec<Run>, progress: &ProgressBar) {
        for run in runs.iter().skip(self.runs_told) {
            say(progress, &Retrain::from(run).line());
        }
        self.runs_told = runs.len();
    }

    /// Counts a closed window. Inputs are told of and listed for the frozen version: it is compared with January and
    /// February all year, while a promoted one brings a reference of its own.
    pub fn add(&mut self, closed: &Closed, progress: &ProgressBar) {
        if closed.revision > 0 {
            return;
        }
        for (key, _, result) in &closed.results {
            self.windows += 1;
            *self.verdicts.entry(result.verdict.as_str()).or_default() += 1;
            if key.version != FROZEN {
                continue;
            }
            let bad: Vec<_> = result
                .judged_bad()
                .filter(|score| score.column.is_empty() || self.features.contains(&score.column))
                .collect();
            for score in bad.iter().take(LINES_A_WINDOW) {
                let threshold = score.threshold.as_ref();
                let limit = threshold.map(|threshold| format!(" > {:.3}", threshold.value));
                let condition = || Some(format!(" ({})", score.parameters.get("condition")?));
                let name = if score.column.is_empty() {
                    "the window"
                } else {
                    score.column.as_str()
                };
                say(
                    progress,
                    &format!(
                        "{}  {:<14} {} {:.3}{}  {}",
                        day(closed.span.start),
                        name,
                        score.statistic,
                        score.value.unwrap_or_default(),
                        limit.or_else(condition).unwrap_or_default(),
                        score.moved
                    ),
                );
            }
            if bad.len() > LINES_A_WINDOW {
                let more = bad.len() - LINES_A_WINDOW;
                let from = day(closed.span.start);
                say(progress, &format!("{from}  and {more} more"));
            }
            for column in result.drifted() {
                if self.features.contains(column) {
                    self.drifted
                        .entry(closed.span.start)
                        .or_default()
                        .insert(column.to_owned());
                }
            }
        }
    }
}

/// Prints a line above the progress bar, or just prints it where there is no terminal to draw a bar on.
fn say(progress: &ProgressBar, line: &str) {
    progress.suspend(|| println!("{line}"));
}

impl Summary {
    pub fn print(&self) {
        self.print_drift();
        self.print_months();
        let verdicts: Vec<String> = Verdict::ALL
            .iter()
            .filter_map(|verdict| {
                let count = self.verdicts.get(verdict.as_str())?;
                Some(format!("{count} {}", verdict.as_str()))
            })
            .collect();
        let events: Vec<String> = self
            .events
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        println!(
            "\n{} windows: {}. {}: {} used, {} late, {} duplicate, {} rejected. {:.1} s.",
            self.windows,
            verdicts.join(", "),
            events.join(" and "),
            self.used,
            self.late,
            self.duplicate,
            self.rejected,
            self.seconds
        );
    }

    /// Week × drifted features.
    fn print_drift(&self) {
        let features: BTreeSet<&String> = self
            .drifted
            .iter()
            .flat_map(|window| &window.features)
            .collect();
        println!(
            "\nDrift by week of 2013, against January and February (● drift, · none; weeks without drift are left out)"
        );
        print!("{:<12}", "week from");
        for feature in &features {
            print!("{feature:>15}");
        }
        println!();
        for window in &self.drifted {
            print!("{:<12}", window.window);
            for feature in &features {
                let drifted = window.features.contains(feature);
                print!("{:>15}", if drifted { "●" } else { "·" });
            }
            println!();
        }
    }

    fn print_months(&self) {
        println!(
            "\nThe model by month (log loss and AUC on flights whose labels have come; frozen: never trained again; monthly: \
             trained anew on the first of each month, without a gate; base rate: the share of late flights in the last 28 \
             days)\n{:<8} {:>6} {:>7}  {:>15}  {:>15}  {:>15}  {:>9}  {:>7}  {:<12}",
            "month",
            "rows",
            "labels",
            "frozen",
            "live",
            "monthly",
            "base rate",
            "drifted",
            "trained"
        );
        for month in &self.months {
            println!("{}", month.line(self));
        }
    }
}
