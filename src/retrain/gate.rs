//! The gate: whether a challenger may take the champion's place. Pure.
//!
//! Both are judged on the same rows of the same recent stretch that neither was chosen or fitted on, row against row,
//! in whole blocks of event time, because rows of one day are alike. The champion speaks by the predictions that it
//! logged while it served, so it need not be run, and whatever makes it better or worse in service counts.
//!
//! **Invariant:** everything but a win leaves the champion in place, and is named. Labels that come sooner for one
//! predicted class than for another would judge on a stretch that never was, so a difference of coverage closes the
//! gate.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::{Millis, Span};
use crate::performance::{
    Coverage, Estimate, Gain, GainError, Kind, Observation, USUAL_DRAWS, block_length, block_of,
    losses, measure, paired_gain,
};

/// Predicted classes with fewer rows say nothing about coverage.
const FEWEST_ROWS_OF_CLASS: u64 = 50;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Won,
    /// The interval of the gain does not lie above the minimum.
    Lost,
    /// Too few labelled rows.
    TooFewRows,
    /// The labelled rows lie in too few blocks of time.
    TooFewBlocks,
    /// Labels came for one predicted class more than for another.
    CoverageImbalance,
    /// The champion logged nothing that it could be judged by.
    NoChampionPredictions,
    /// All labels say the same.
    OneClass,
}

impl Outcome {
    pub const ALL: [Outcome; 7] = [
        Outcome::Won,
        Outcome::Lost,
        Outcome::TooFewRows,
        Outcome::TooFewBlocks,
        Outcome::CoverageImbalance,
        Outcome::NoChampionPredictions,
        Outcome::OneClass,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Won => "won",
            Outcome::Lost => "lost",
            Outcome::TooFewRows => "too_few_rows",
            Outcome::TooFewBlocks => "too_few_blocks",
            Outcome::CoverageImbalance => "coverage_imbalance",
            Outcome::NoChampionPredictions => "no_champion_predictions",
            Outcome::OneClass => "one_class",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is demanded; see [`RetrainPolicy`](crate::rules::RetrainPolicy).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    pub min_rows: u64,
    pub min_gain: f64,
    pub confidence: f64,
    pub coverage_gap: f64,
    pub seed: u64,
}

/// The comparison, with everything that a reader needs to judge it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    pub outcome: Outcome,
    /// The outcome in a sentence.
    pub reason: String,
    /// `log_loss` or `squared_error`: what a row loses.
    pub loss: String,
    pub hold_out: Span,
    /// The champion's rows in the hold-out, their labels, and labels by predicted class.
    pub coverage: Coverage,
    /// Rows that both were judged on.
    pub compared: u64,
    /// Length of a block of time.
    pub block_length: Millis,
    /// By how much the challenger loses less than the champion; `None` where no comparison was possible.
    pub gain: Option<Gain>,
    pub min_gain: f64,
    /// Every metric of both on the compared rows.
    pub champion: Vec<Estimate>,
    pub challenger: Vec<Estimate>,
}

/// Compares. `champion` and `challenger` are the same rows in the same order, with the same truths: one with what the
/// champion logged, the other with what the challenger says.
pub fn judge(
    kind: Kind<'_>,
    hold_out: Span,
    champion: &[Observation],
    challenger: &[Observation],
    terms: &Terms,
) -> Gate {
    debug_assert_eq!(champion.len(), challenger.len(), "row against row");
    let mut gate = Gate {
        outcome: Outcome::Lost,
        reason: String::new(),
        loss: match kind {
            Kind::Regression => "squared_error",
            Kind::Binary { .. } | Kind::Multiclass => "log_loss",
        }
        .to_owned(),
        hold_out,
        coverage: Coverage::of(kind, champion),
        compared: 0,
        block_length: block_length(hold_out.length()),
        gain: None,
        min_gain: terms.min_gain,
        champion: Vec::new(),
        challenger: Vec::new(),
    };
    let (outcome, reason) = decide(kind, champion, challenger, terms, &mut gate);
    gate.outcome = outcome;
    gate.reason = reason;
    gate
}

fn decide(
    kind: Kind<'_>,
    champion: &[Observation],
    challenger: &[Observation],
    terms: &Terms,
    gate: &mut Gate,
) -> (Outcome, String) {
    if champion.is_empty() {
        let reason = "the champion logged no prediction in the hold-out";
        return (Outcome::NoChampionPredictions, reason.to_owned());
    }
    let (of_champion, of_challenger) = (losses(kind, champion), losses(kind, challenger));
    let usable = of_champion.iter().flatten().count() as u64;
    if gate.coverage.labelled >= terms.min_rows && usable == 0 {
        let reason = "none of the champion's logged predictions in the hold-out has a probability or value to judge it by";
        return (Outcome::NoChampionPredictions, reason.to_owned());
    }
    let both: Vec<usize> = (0..champion.len().min(challenger.len()))
        .filter(|&row| of_champion[row].is_some() && of_challenger[row].is_some())
        .collect();
    gate.compared = both.len() as u64;
    if gate.compared < terms.min_rows || both.is_empty() {
        let reason = format!(
            "{} of {} rows in the hold-out have a label and both predictions; {} are needed",
            gate.compared,
            gate.coverage.rows,
            terms.min_rows.max(1)
        );
        return (Outcome::TooFewRows, reason);
    }
    let rows = |all: &[Observation]| both.iter().map(|&row| all[row].clone()).collect::<Vec<_>>();
    let (champion, challenger) = (rows(champion), rows(challenger));
    gate.champion = measure(kind, &champion, gate.hold_out).estimates;
    gate.challenger = measure(kind, &challenger, gate.hold_out).estimates;
    let losses_of =
        |all: &[Option<f64>]| both.iter().filter_map(|&row| all[row]).collect::<Vec<_>>();
    let (of_champion, of_challenger) = (losses_of(&of_champion), losses_of(&of_challenger));

    if !matches!(kind, Kind::Regression) {
        let classes: BTreeSet<&str> = champion
            .iter()
            .filter_map(|row| row.truth.as_ref()?.class.as_deref())
            .collect();
        if classes.len() < 2 {
            let class = classes.first().copied().unwrap_or_default();
            let reason = format!("every label of the hold-out says {class:?}");
            return (Outcome::OneClass, reason);
        }
    }
    if let Some(gap) = gate.coverage.gap(FEWEST_ROWS_OF_CLASS)
        && gap > terms.coverage_gap
    {
        let reason = format!(
            "label coverage differs by {:.1} percentage points between predicted classes, {:.1} are allowed",
            gap * 100.0,
            terms.coverage_gap * 100.0
        );
        return (Outcome::CoverageImbalance, reason);
    }
    let blocks: Vec<i64> = champion
        .iter()
        .map(|row| block_of(gate.hold_out, row.ts))
        .collect();
    let gain = match paired_gain(
        &of_champion,
        &of_challenger,
        &blocks,
        terms.confidence,
        USUAL_DRAWS,
        terms.seed,
    ) {
        Ok(gain) => gain,
        Err(error @ GainError::TooFewBlocks(_)) => {
            return (Outcome::TooFewBlocks, error.to_string());
        }
        // Whatever else keeps two models from being compared keeps the champion in place.
        Err(error) => return (Outcome::Lost, error.to_string()),
    };
    let told = format!(
        "the gain in mean {} is {:.4}, {:.0} % interval {:.4} to {:.4}",
        gate.loss.replace('_', " "),
        gain.mean,
        gain.confidence * 100.0,
        gain.lower,
        gain.upper
    );
    // Never true of a NaN.
    let won = gain.lower > terms.min_gain;
    gate.gain = Some(gain);
    if won {
        let reason = format!("{told}: all of it above {}", terms.min_gain);
        (Outcome::Won, reason)
    } else {
        let reason = format!("{told}: not all of it above {}", terms.min_gain);
        (Outcome::Lost, reason)
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
