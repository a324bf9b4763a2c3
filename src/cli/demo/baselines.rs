//! What the live model is measured against: a model trained anew every month, and the trailing share of late flights.
//!
//! Both know, at each flight's departure, only labels that had come by then.

use super::flights::{LATE, ON_TIME, Year};
use crate::event::{DAY, Millis};
use crate::learn::{Candidate, LearnError, Model, Target};

/// How far back the trailing share looks: long enough for some 6,000 flights, short enough to follow the seasons.
const TRAILING: Millis = 28 * DAY;

/// For each flight the share of late flights among the labels of the last [`TRAILING`], as known at departure; one
/// late and one punctual flight are added, so that the first flights have a share too.
pub fn trailing_share(year: &Year) -> Vec<f64> {
    let mut labels: Vec<(Millis, bool)> = year
        .flights
        .iter()
        .filter_map(|flight| flight.label)
        .collect();
    labels.sort_unstable();
    let (mut from, mut to, mut late) = (0, 0, 0_usize);
    let mut shares = Vec::with_capacity(year.flights.len());
    for flight in &year.flights {
        while to < labels.len() && labels[to].0 < flight.ts {
            late += usize::from(labels[to].1);
            to += 1;
        }
        while from < to && labels[from].0 < flight.ts - TRAILING {
            late -= usize::from(labels[from].1);
            from += 1;
        }
        shares.push((late + 1) as f64 / (to - from + 2) as f64);
    }
    shares
}

/// Trains on the flights that departed in `[from, until)` and whose labels were known before `until`.
pub fn train(
    year: &Year,
    candidate: &Candidate,
    from: Millis,
    until: Millis,
    seed: u64,
) -> Result<Model, LearnError> {
    let first = year.flights.partition_point(|flight| flight.ts < from);
    let last = year.flights.partition_point(|flight| flight.ts < until);
    let known: Vec<(usize, bool)> = (first..last)
        .filter_map(|row| {
            let (ts, late) = year.flights[row].label?;
            (ts < until).then_some((row, late))
        })
        .collect();
    let rows = known.iter().map(|(row, _)| *row);
    let target = Target::Binary {
        positive: LATE.to_owned(),
        negative: ON_TIME.to_owned(),
        is_positive: known.iter().map(|(_, late)| *late).collect(),
    };
    Model::fit(candidate, &year.table(rows), &target, seed, &mut |_| {})
}

/// The probability of being late for some flights.
pub fn late(
    model: &Model,
    year: &Year,
    rows: std::ops::Range<usize>,
) -> Result<Vec<f64>, LearnError> {
    let count = rows.len();
    let predictions = model.predict(&year.table(rows))?;
    // A model that has never seen a late flight expects none.
    Ok(predictions
        .probability_of(LATE)
        .unwrap_or_else(|| vec![0.0; count]))
}

/// For each flight the probability of a model that is trained anew at the beginning of each month on everything that
/// is known by then; before `first_month` the first model's.
pub fn monthly(
    year: &Year,
    candidate: &Candidate,
    first: &Model,
    months: &[Millis],
    seed: u64,
) -> Result<Vec<f64>, LearnError> {
    let mut probabilities = Vec::with_capacity(year.flights.len());
    let start = year.flights.first().map_or(0, |flight| flight.ts);
    let before = year
        .flights
        .partition_point(|flight| months.first().is_some_and(|month| flight.ts < *month));
    probabilities.extend(late(first, year, 0..before)?);
    for (place, month) in months.iter().enumerate() {
        let model = train(year, candidate, start, *month, seed)?;
        let from = year.flights.partition_point(|flight| flight.ts < *month);
        let to = months.get(place + 1).map_or(year.flights.len(), |next| {
            year.flights.partition_point(|flight| flight.ts < *next)
        });
        probabilities.extend(late(&model, year, from..to)?);
    }
    Ok(probabilities)
}
