//! Several columns at once: one score by MMD or energy distance, from sampled rows of a window and its reference.
//!
//! Columns are brought to the reference's mean 0 and deviation 1 (over all of its rows), rows that lack one of them are
//! left out and counted. The labels "reference" and "window" are then exchanged: of rows, where the reference's
//! windows differ no more than rows drawn alike would; else of whole windows ([`blocks`]). The width of the RBF kernel
//! is the median distance over rows of both sides together, drawn without regard to who is whose, so that the test is
//! exact. What is exchanged follows from how much the *columns* of the reference's windows differ, each by itself: windows
//! that differ only in how columns go together are not seen to differ.
//!
//! **Invariant:** a score is a function of the two samples, the reference, the level and the backend; a drift has two
//! keys, as everywhere: p at most the level, and an effect above the floor. Deliberately absent: where rows come from.

mod blocks;
mod contribution;
mod measure;

pub use blocks::rows_of_each;
use measure::Measure;

use std::collections::BTreeMap;

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::column::{Prepared, moments};
use super::null::{INDEPENDENT_PHI, MIN_BLOCKS_FOR_INDEPENDENCE};
use super::{NullCache, Reference};
use crate::compute::backend::{Backend, Compute};
use crate::compute::labels::Labels;
use crate::compute::pair_sums::{PairSums, permutation_p};
use crate::event::{Millis, Span};
use crate::profile::{Cells, Field, Layout, LayoutColumn};
use crate::query::RowSample;
use crate::rules::Joint;
use crate::stats::Statistic;
use crate::stats::score::{Score, Threshold, ThresholdSource, Verdict};

/// Fewest complete rows a side.
const LEAST_ROWS: usize = 20;
/// Of those that are looked at, at least this share must have all columns: else the few are no picture of the many.
const LEAST_COMPLETE: f64 = 0.5;
/// Columns that are asked whether windows differ, evenly spaced; each is prepared and kept.
const MOST_ASKED: usize = 64;
/// Chance that independent windows are taken for dependent ones, over all columns.
const DOUBT: f64 = 0.01;

/// What is compared, and what is promised.
pub struct Together<'a> {
    pub layout: &'a Layout,
    /// [`Statistic::Mmd`] or [`Statistic::EnergyNd`].
    pub statistic: Statistic,
    /// Places of numeric columns in the layout, at least one.
    pub columns: &'a [usize],
    pub joint: &'a Joint,
    /// Rows of either sample that stand for all of its side, the first ones: no more are compared.
    pub rows: usize,
    pub reference: &'a Reference,
    pub window: Span,
    /// Chance, under no drift, that one window is taken for drift.
    pub level: f64,
    /// The rule's "for: k of n", and the distance of windows, for the expected false alarms.
    pub for_k: u32,
    pub for_n: u32,
    pub every: Millis,
    pub cache: &'a NullCache,
    pub compute: &'a Compute,
}

/// What is exchanged between the sides under "nothing has changed".
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Units {
    Rows,
    /// The reference's windows differ more than rows drawn alike would.
    Windows,
}

/// What may be exchanged, by how much the reference's windows differ in these columns; and the mean φ, where it is
/// known. Windows, if φ is above [`INDEPENDENT_PHI`] on average or, beyond doubt, in one column; and if there are too
/// few of them to show that they do not differ.
pub fn units(
    reference: &Reference,
    layout: &Layout,
    columns: &[usize],
    cache: &NullCache,
) -> (Units, Option<f64>) {
    let blocks = reference
        .blocks
        .iter()
        .filter(|block| block.profile.rows > 0)
        .count();
    // Hundreds of columns say no more of that than some do.
    let step = columns.len().div_ceil(MOST_ASKED).max(1);
    let found: Vec<_> = columns
        .iter()
        .step_by(step)
        .filter_map(|&index| {
            let column = layout.columns.get(index)?;
            let prepared = cache.column(&reference.hash, index, || {
                Prepared::new(reference, column, index, cache.bins())
            });
            prepared?.overdispersion
        })
        .collect();
    if blocks < 2 || found.is_empty() {
        return (Units::Rows, None);
    }
    let phi = found.iter().map(|found| found.phi).sum::<f64>() / found.len() as f64;
    let surely = found.iter().any(|column| {
        let quantile = ChiSquared::new(column.degrees)
            .map_or(0.0, |chi| chi.inverse_cdf(1.0 - DOUBT / found.len() as f64));
        quantile > 0.0 && column.phi * column.degrees / quantile > INDEPENDENT_PHI
    });
    let dependent = blocks < MIN_BLOCKS_FOR_INDEPENDENCE || phi > INDEPENDENT_PHI || surely;
    let units = if dependent {
        Units::Windows
    } else {
        Units::Rows
    };
    (units, Some(phi))
}

/// A score without a value.
pub fn unjudged(statistic: Statistic, verdict: Verdict, reason: String) -> Score {
    Score {
        column: String::new(),
        statistic: statistic.name().to_owned(),
        verdict,
        value: None,
        effect: None,
        floor: statistic.entry().floor,
        threshold: None,
        p_value: None,
        error_bound: None,
        n_reference: 0,
        n_current: 0,
        method: "permutation".to_owned(),
        parameters: BTreeMap::new(),
        backend: Backend::Cpu.name().to_owned(),
        moved: String::new(),
        worst_slice: None,
        reason,
    }
}

/// The score of several columns, whose `column` is empty.
pub fn together(plan: &Together<'_>, reference: &RowSample, window: &RowSample) -> Score {
    let (units, phi) = units(plan.reference, plan.layout, plan.columns, plan.cache);
    let mut score = unjudged(plan.statistic, Verdict::InsufficientData, String::new());
    let sides = match Sides::new(plan, reference, window) {
        Ok(sides) => sides,
        Err(reason) => {
            score.reason = reason;
            return score;
        }
    };
    let note = |score: &mut Score, name: &str, value: String| {
        score.parameters.insert(name.to_owned(), value);
    };
    let columns = plan.columns.iter();
    let columns: Vec<&LayoutColumn> = columns
        .filter_map(|&index| plan.layout.columns.get(index))
        .collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    note(&mut score, "columns", in_short(plan.layout, &columns));
    note(&mut score, "sample", plan.joint.sample.to_string());
    let exchanged = match units {
        Units::Rows => "rows",
        Units::Windows => "windows",
    };
    note(&mut score, "exchanged", exchanged.to_owned());
    let picked = match units {
        Units::Rows => sides.rows((plan.joint.sample as usize).min(plan.rows)),
        Units::Windows => blocks::picked(&sides, reference, plan.joint.sample as usize),
    };
    let picked = match picked {
        Ok(picked) => picked,
        Err(reason) => {
            score.reason = reason;
            return score;
        }
    };
    score.n_reference = picked.first.len() as u64 / plan.columns.len().max(1) as u64;
    score.n_current = picked.second.len() as u64 / plan.columns.len().max(1) as u64;
    note(
        &mut score,
        "incomplete_rows_reference",
        picked.left_out[0].to_string(),
    );
    note(
        &mut score,
        "incomplete_rows_window",
        picked.left_out[1].to_string(),
    );
    let seed = seed(plan);
    let labels = match units {
        Units::Rows => {
            let Some(permutations) = plan.joint.drawn(plan.level) else {
                score.reason = format!(
                    "the level {:.1e} needs more permutations than the {} that are drawn; allow the rule more of them, or a larger level",
                    plan.level,
                    plan.joint.most_permutations()
                );
                return score;
            };
            note(&mut score, "permutations", permutations.to_string());
            let (n, m) = (score.n_reference as usize, score.n_current as usize);
            Labels::of_rows(n, m, permutations as usize, seed)
        }
        Units::Windows => Labels::of_each_unit(&picked.units, score.n_reference as usize),
    };
    let dims = plan.columns.len();
    let measure = Measure::new(plan, &picked.first, &picked.second, dims);
    if let Some(sigma) = measure.sigma {
        note(&mut score, "sigma", sigma.to_string());
    }
    let Some((sums, backend)) =
        measure.sums(plan.compute, &picked.first, &picked.second, dims, &labels)
    else {
        score.reason = "the rows are not comparable".to_owned();
        return score;
    };
    score.backend = backend.name().to_owned();
    let Some(null) = (match units {
        Units::Rows => of_rows(plan, &measure, &sums),
        Units::Windows => blocks::null(plan, &measure, &sums),
    }) else {
        score.reason = "a side has too few rows that can be used".to_owned();
        return score;
    };
    score.method = null.method.to_owned();
    score.value = Some(null.value);
    score.effect = sums.first().and_then(|sums| measure.effect(sums));
    score.p_value = Some(null.p_value);
    score.moved = contribution::most(plan, &measure, &picked, &names);
    let blocks = plan.reference.blocks.len();
    score.threshold = Some(Threshold {
        value: null.threshold,
        source: null.source,
        level: Some(plan.level),
        overdispersion: phi,
        blocks,
        draws: null.draws,
        extrapolated: false,
        false_alarms_per_week: Some(plan.cache.false_alarms(
            plan.level,
            (plan.for_k, plan.for_n),
            plan.every,
            score.n_reference as f64 / score.n_current.max(1) as f64,
            null.degrees,
            (units == Units::Windows).then(|| blocks.saturating_sub(1).max(1) as f64),
        )),
    });
    judge(&mut score, plan.level);
    score
}

/// The columns' names, of a vector that is whole its own.
fn in_short(layout: &Layout, columns: &[&LayoutColumn]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for column in columns {
        let name: &str = match &column.field {
            Field::Element(vector, _) => {
                let of = |other: &&LayoutColumn| matches!(&other.field, Field::Element(of, _) if of == vector);
                let here = columns.iter().filter(|other| of(other)).count();
                let all = layout.column(vector).map(|at| layout.numbers_of(at).len());
                if all == Some(here) {
                    vector
                } else {
                    &column.name
                }
            }
            _ => &column.name,
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn judge(score: &mut Score, level: f64) {
    let (Some(value), Some(effect), Some(p_value)) = (score.value, score.effect, score.p_value)
    else {
        return;
    };
    let (name, floor) = (&score.statistic, score.floor);
    let rare = p_value <= level;
    let p = format!("{name} {value:.4} has p {p_value:.1e}");
    let p_against = if rare { "not above" } else { "above" };
    let (verdict, rest) = match (rare, effect > floor) {
        (true, true) => (
            Verdict::Drift,
            format!(" and its effect {effect:.4} is above the floor {floor}"),
        ),
        (true, false) => (
            Verdict::Ok,
            format!(", but its effect {effect:.4} is not above the floor {floor}"),
        ),
        (false, _) => (Verdict::Ok, String::new()),
    };
    score.verdict = verdict;
    score.reason = format!("{p}, {p_against} the level {level:.1e}{rest}");
}

/// Permutations are a function of what is compared.
fn seed(plan: &Together<'_>) -> u64 {
    let text = format!(
        "{} {} {} {}",
        plan.reference.hash,
        plan.window.start,
        plan.window.end,
        plan.statistic.name()
    );
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

/// A null distribution's answer.
struct Null {
    value: f64,
    p_value: f64,
    /// Values above it have a p-value of at most the level.
    threshold: f64,
    source: ThresholdSource,
    method: &'static str,
    draws: Option<u32>,
    /// Of a χ² whose mean and variance are in the ratio of the null's.
    degrees: f64,
}

/// Labels of rows exchanged.
fn of_rows(plan: &Together<'_>, measure: &Measure, sums: &[PairSums]) -> Option<Null> {
    let values: Vec<Option<f64>> = sums.iter().map(|sums| measure.value(sums)).collect();
    let value = (*values.first()?)?;
    let p_value = permutation_p(&values)?;
    let mut null: Vec<f64> = values[1..].iter().flatten().copied().collect();
    null.sort_unstable_by(f64::total_cmp);
    let biased = sums[1..].iter().filter_map(|sums| measure.biased(sums));
    Some(Null {
        value,
        p_value,
        threshold: exceeded_by(&null, plan.level)?,
        source: if plan.reference.blocks.len() < 2 {
            ThresholdSource::AssumesIndependence
        } else {
            ThresholdSource::Resampled
        },
        method: "permutation",
        draws: u32::try_from(null.len()).ok(),
        degrees: degrees(&biased.collect::<Vec<_>>()),
    })
}

/// The value that must be exceeded for a p-value of at most `level`, among ascending draws; `None` where they do not
/// reach so far.
fn exceeded_by(null: &[f64], level: f64) -> Option<f64> {
    let above = (level * (null.len() + 1) as f64 + 1e-9).floor();
    if above.is_nan() || above < 1.0 {
        return None;
    }
    let above = (above as usize - 1).min(null.len().checked_sub(1)?);
    null.get(null.len() - 1 - above).copied()
}

/// Satterthwaite's: 2·mean²/variance; 1 where nothing can be said.
fn degrees(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let squares = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>();
    let variance = squares / (n - 1.0);
    let degrees = 2.0 * mean * mean / variance;
    if degrees.is_finite() {
        degrees.clamp(1.0, 1e6)
    } else {
        1.0
    }
}

/// Rows of both sides, standardised.
struct Sides {
    reference: Scaled,
    window: Scaled,
}

/// Columns of one side; a row is complete where all of them are finite.
struct Scaled {
    columns: Vec<Vec<f64>>,
    rows: usize,
}

/// The rows that are compared, row-major, with the unit of each.
struct Picked {
    first: Vec<f64>,
    second: Vec<f64>,
    /// Empty where rows are exchanged.
    units: Vec<u32>,
    /// Incomplete rows of either side that were met and passed over.
    left_out: [usize; 2],
}

impl Sides {
    /// # Errors
    /// A sentence, where the reference has no deviation of a column to measure distances by.
    fn new(plan: &Together<'_>, reference: &RowSample, window: &RowSample) -> Result<Self, String> {
        let scales: Result<Vec<(f64, f64)>, String> = plan
            .columns
            .iter()
            .map(|&index| {
                scale(plan, index).ok_or_else(|| {
                    let name = plan.layout.columns.get(index).map_or("", |column| &column.name);
                    format!("the reference has no mean and deviation of {name}: it has no number there, or numbers too large to add up")
                })
            })
            .collect();
        let scales = scales?;
        let side = |sample: &RowSample| {
            let columns = plan
                .columns
                .iter()
                .zip(&scales)
                .map(|(&index, (mean, deviation))| {
                    let numbers = sample.numbers(index).unwrap_or_default();
                    let scaled = numbers.iter().map(|x| (x - mean) / deviation);
                    scaled.collect::<Vec<f64>>()
                });
            Scaled {
                columns: columns.collect(),
                rows: sample.rows.num_rows(),
            }
        };
        Ok(Self {
            reference: side(reference),
            window: side(window),
        })
    }

    /// The first `most` rows of either side.
    fn rows(&self, most: usize) -> Result<Picked, String> {
        let [first, second] = [&self.reference, &self.window]
            .map(|side| (0..side.rows.min(most)).collect::<Vec<_>>());
        let [first, second] =
            [(&self.reference, first), (&self.window, second)].map(|(side, rows)| {
                let complete: Vec<usize> = rows
                    .iter()
                    .copied()
                    .filter(|row| side.is_complete(*row))
                    .collect();
                (
                    side.values(&complete),
                    complete.len(),
                    rows.len() - complete.len(),
                )
            });
        enough("reference", first.1, first.2)?;
        enough("window", second.1, second.2)?;
        Ok(Picked {
            left_out: [first.2, second.2],
            first: first.0,
            second: second.0,
            units: Vec::new(),
        })
    }
}

impl Scaled {
    fn is_complete(&self, row: usize) -> bool {
        let value = |column: &Vec<f64>| column.get(row).is_some_and(|x| x.is_finite());
        self.columns.iter().all(value)
    }

    fn values(&self, rows: &[usize]) -> Vec<f64> {
        let of_row = |row: &usize| {
            self.columns
                .iter()
                .map(|column| column[*row])
                .collect::<Vec<_>>()
        };
        rows.iter().flat_map(of_row).collect()
    }
}

fn enough(side: &str, rows: usize, left_out: usize) -> Result<(), String> {
    let looked_at = rows + left_out;
    let needed = ((LEAST_COMPLETE * looked_at as f64).ceil() as usize).max(LEAST_ROWS);
    if rows >= needed {
        return Ok(());
    }
    if left_out == 0 {
        return Err(format!(
            "the {side}'s sample has {rows} rows, {needed} are needed"
        ));
    }
    Err(format!(
        "of the {looked_at} rows of the {side}'s sample {rows} have a number in every column, {needed} are needed; leave out a column that is often empty"
    ))
}

/// Mean and deviation of a numeric column over the whole reference; a constant has a deviation of 1.
fn scale(plan: &Together<'_>, index: usize) -> Option<(f64, f64)> {
    let Cells::Numeric(cells) = &plan.layout.columns.get(index)?.cells else {
        return None;
    };
    let numbers = plan.reference.profile.columns.get(index)?.numeric()?;
    let moments = moments(cells, numbers)?;
    let deviation = if moments.deviation > 0.0 {
        moments.deviation
    } else {
        1.0
    };
    Some((moments.mean, deviation))
}

#[cfg(test)]
#[path = "joint_tests.rs"]
mod tests;
