//! Statistics on rows: those that profiles do not hold, and those that profiles hold but that were asked for with
//! bins, smoothing or exactness of their own.

mod binned;
mod moments;
mod ranked;
mod settings;
mod spread;
mod ties;

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::asked::Asked;
use crate::query::ColumnRows;
use crate::reference::two_sample::{Draws, Surprise};
use crate::stats::Statistic;
use crate::stats::score::{Digits, Score, Threshold, ThresholdSource, Verdict};
use crate::stats::table::Data;

use settings::Settings;

/// The rows of one column in both files.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    pub name: &'a str,
    pub reference: &'a ColumnRows,
    pub current: &'a ColumnRows,
}

/// What a statistic on rows found, before it is judged.
struct Found {
    value: f64,
    effect: f64,
    /// `None`: it has a value, and nothing is known of its null.
    null: Option<Null>,
    method: &'static str,
    n_reference: u64,
    n_current: u64,
    parameters: BTreeMap<String, String>,
    moved: String,
}

struct Null {
    p_value: f64,
    threshold: Option<f64>,
    draws: Option<u32>,
    extrapolated: bool,
    /// Whether a p-value as small as the level can come out of it.
    served: bool,
}

impl Null {
    /// Of a test that gives a p-value, and no more.
    fn of_p(p_value: f64) -> Self {
        Self {
            p_value,
            threshold: None,
            draws: None,
            extrapolated: false,
            served: true,
        }
    }
}

impl From<Surprise> for Null {
    fn from(surprise: Surprise) -> Self {
        Self {
            p_value: surprise.p_value,
            threshold: surprise.threshold,
            draws: surprise.draws,
            extrapolated: surprise.extrapolated,
            served: surprise.threshold.is_some(),
        }
    }
}

/// Whether an effect is more than a floor leaves alone. A floor of 0 leaves everything to the p-value, also effects of
/// which chance may have made all.
pub(super) fn above_floor(effect: f64, floor: f64) -> bool {
    floor <= 0.0 || effect > floor
}

/// Whether a statistic, asked for like this, needs the rows.
pub fn needed(asked: &Asked) -> bool {
    match asked.statistic.entry().from {
        Data::Profile => asked.parameters.iter().any(|(name, value)| {
            let default = asked
                .statistic
                .entry()
                .parameter(name)
                .map(|known| known.default);
            default != Some(value.as_str())
        }),
        Data::Rows => true,
        Data::Matrix | Data::Attributions => false,
    }
}

/// Computes and judges one statistic of one column. `floor`: `None` for the statistic's own.
///
/// # Errors
/// For a parameter's value that cannot be understood.
pub fn judge(
    asked: &Asked,
    pair: Pair<'_>,
    draws: &Draws,
    floor: Option<f64>,
) -> anyhow::Result<Score> {
    let settings = Settings::read(asked)
        .with_context(|| format!("a parameter of {}", asked.statistic.name()))?;
    let found = match (pair.reference, pair.current) {
        (ColumnRows::Numbers(reference), ColumnRows::Numbers(current)) => match asked.statistic {
            Statistic::KolmogorovSmirnov
            | Statistic::CramerVonMises
            | Statistic::AndersonDarling
            | Statistic::MannWhitney => {
                ranked::measure(asked.statistic, reference, current, &settings, draws)
            }
            Statistic::Wasserstein | Statistic::Energy => {
                spread::measure(asked.statistic, reference, current, &settings, draws)
            }
            Statistic::MeanShift
            | Statistic::WelchT
            | Statistic::VarianceShift
            | Statistic::QuantileShift => {
                moments::measure(asked.statistic, reference, current, &settings, draws)
            }
            _ => binned::numbers(asked.statistic, reference, current, &settings, draws),
        },
        (ColumnRows::Texts(reference), ColumnRows::Texts(current)) => {
            binned::texts(asked.statistic, reference, current, &settings, draws)
        }
        // Both are read with one layout.
        _ => None,
    };
    Ok(score(asked, pair, found, draws.level, floor))
}

fn score(
    asked: &Asked,
    pair: Pair<'_>,
    found: Option<Found>,
    level: f64,
    floor: Option<f64>,
) -> Score {
    let entry = asked.statistic.entry();
    let floor = floor.unwrap_or(entry.floor);
    let mut score = Score {
        column: pair.name.to_owned(),
        statistic: entry.name.to_owned(),
        verdict: Verdict::InsufficientData,
        value: None,
        effect: None,
        floor,
        threshold: None,
        p_value: None,
        error_bound: None,
        n_reference: pair.reference.len() as u64,
        n_current: pair.current.len() as u64,
        method: "rows".to_owned(),
        parameters: asked.parameters.clone(),
        backend: "cpu".to_owned(),
        moved: String::new(),
        worst_slice: None,
        reason: String::new(),
    };
    let Some(found) = found else {
        score.reason = match asked.statistic {
            Statistic::Fisher => {
                "fisher needs rows on both sides in exactly two categories".to_owned()
            }
            _ => format!(
                "{} has no value here: a side holds too few usable values for it",
                entry.name
            ),
        };
        return score;
    };
    (score.value, score.effect) = (Some(found.value), Some(found.effect));
    (score.n_reference, score.n_current) = (found.n_reference, found.n_current);
    (score.method, score.moved) = (found.method.to_owned(), found.moved);
    score.parameters.extend(found.parameters);
    let name = entry.name;
    let (value, effect) = (Digits(found.value, 4), Digits(found.effect, 4));
    let Some(null) = found.null else {
        score.reason = format!("{name} {value} has no null distribution here");
        return score;
    };
    score.p_value = Some(null.p_value);
    score.threshold = null.threshold.map(|value| Threshold {
        value,
        source: ThresholdSource::AssumesIndependence,
        level: Some(level),
        overdispersion: None,
        blocks: 1,
        draws: null.draws,
        extrapolated: null.extrapolated,
        false_alarms_per_week: None,
    });
    let p = null.p_value;
    (score.verdict, score.reason) = if p > level && !null.served {
        let text = format!(
            "{name} {value}: p {p:.1e} of {} draws; a level of {level:.2e} takes at least {:.0}",
            null.draws.unwrap_or(0),
            (1.0 / level).ceil() - 1.0
        );
        (Verdict::InsufficientData, text)
    } else if p > level {
        (
            Verdict::Ok,
            format!("{name} {value}: p {p:.3} is above {level:.2e}"),
        )
    } else if !above_floor(found.effect, floor) {
        let text = format!(
            "{name} {value}: p {p:.1e} is not above {level:.2e}, but the effect {effect} is not above the floor {floor}"
        );
        (Verdict::Ok, text)
    } else {
        let text = format!(
            "{name} {value}: p {p:.1e} is not above {level:.2e}, and the effect {effect} is above the floor {floor}"
        );
        (Verdict::Drift, text)
    };
    score
}
