//! Every metric of some observations, each with its standard error and the best constant predictor beside it.
//!
//! **Invariant:** a function of the set of observations and of the blocks: their order, and so the layout of
//! partitions, changes no bit. Deliberately absent: which observations count (`query`), and whether a value is bad
//! (`rules`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Millis, Span};

use super::blocks::{Places, block_of, standard_error};
use super::confusion::{Confusions, Decision};
use super::coverage::Coverage;
use super::decided::{Unusable, decided, number, probability, score_sum, small};
use super::folds::Folds;
use super::log_loss::of_truth;
use super::metric::{Kind, Metric};
use super::observation::Observation;
use super::roc_auc::Scored;
use super::{accuracy, brier, f1, log_loss, mae, precision, r2, recall, rmse, roc_auc};

/// One metric of one set of observations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub metric: Metric,
    /// Never NaN or infinite; `None` with a reason.
    pub value: Option<f64>,
    /// Delete-one-block jackknife; `None` with a reason.
    pub standard_error: Option<f64>,
    /// Blocks of event time that hold rows that count.
    pub blocks: u32,
    /// Rows that count: labelled and usable.
    pub n: u64,
    /// Labelled rows that do not count, by reason.
    pub unusable: BTreeMap<Unusable, u64>,
    /// What the best predictor that always says the same gets on the same labels; it knows them, so nothing without
    /// features is better.
    pub constant: Option<f64>,
    /// Why there is no value, or no standard error; `""` when both are there.
    pub reason: String,
}

/// Every metric of a kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub coverage: Coverage,
    /// In the order of the table of metrics.
    pub estimates: Vec<Estimate>,
}

impl Summary {
    pub fn get(&self, metric: Metric) -> Option<&Estimate> {
        self.estimates
            .iter()
            .find(|estimate| estimate.metric == metric)
    }
}

/// [`estimates`] in the blocks of a window, whose length [`super::block_length`] derives from the window's.
///
/// ```
/// use driftline::event::{DAY, Span};
/// use driftline::performance::{Kind, Metric, Observation, Truth, measure};
/// let row = |ts, p: f64, class: &str| Observation {
///     version: "7".to_owned(), id: None, ts, class: None, value: Some(p), scores: Default::default(),
///     truth: Some(Truth { class: Some(class.to_owned()), value: None, ts: ts + 5 }),
/// };
/// let rows = [row(0, 0.5, "up"), row(DAY, 0.25, "down"), row(2 * DAY, 0.75, "up")];
/// let summary = measure(Kind::Binary { positive: "up" }, &rows, Span::new(0, 7 * DAY));
/// let brier = summary.get(Metric::Brier).expect("two classes have one");
/// assert_eq!((brier.value, brier.n, brier.blocks), (Some(0.125), 3, 3));
/// ```
pub fn measure(kind: Kind<'_>, observations: &[Observation], window: Span) -> Summary {
    estimates(kind, observations, |ts| block_of(window, ts))
}

/// Every metric of the kind; `block` says which block of event time a row belongs to.
pub fn estimates(
    kind: Kind<'_>,
    observations: &[Observation],
    block: impl Fn(Millis) -> i64,
) -> Summary {
    let coverage = Coverage::of(kind, observations);
    let labelled: Vec<&Observation> = observations
        .iter()
        .filter(|observation| observation.is_labelled(kind))
        .collect();
    let places = Places::new(labelled.iter().map(|observation| block(observation.ts)));
    let place = |observation: &Observation| places.of(block(observation.ts));
    let estimates = match kind {
        Kind::Binary { positive } => binary(positive, &labelled, &places, place),
        Kind::Multiclass => multiclass(&labelled, &places, place),
        Kind::Regression => regression(&labelled, &places, place),
    };
    Summary {
        coverage,
        estimates,
    }
}

type Reasons = BTreeMap<Unusable, u64>;

/// The rows that can be read, and why the others cannot.
fn usable<'a, T>(
    rows: &[&'a Observation],
    read: impl Fn(&'a Observation) -> Result<T, Unusable>,
) -> (Vec<T>, Reasons) {
    let mut reasons = Reasons::new();
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        match read(row) {
            Ok(row) => found.push(row),
            Err(reason) => *reasons.entry(reason).or_default() += 1,
        }
    }
    (found, reasons)
}

fn estimate(metric: Metric, folds: Folds, unusable: &Reasons) -> Estimate {
    let error = standard_error(&folds);
    let (standard_error, reason) = match (&folds.value, error) {
        (Err(reason), _) => (None, reason.clone()),
        (Ok(_), Err(reason)) => (None, reason),
        (Ok(_), Ok(error)) => (Some(error), String::new()),
    };
    Estimate {
        metric,
        value: folds.value.ok(),
        standard_error,
        // Blocks are counted in event time; there are far fewer than 2^32.
        blocks: u32::try_from(folds.without.len()).unwrap_or(u32::MAX),
        n: folds.n,
        unusable: unusable.clone(),
        constant: folds.constant,
        reason,
    }
}

fn binary(
    positive: &str,
    rows: &[&Observation],
    places: &Places,
    place: impl Fn(&Observation) -> usize,
) -> Vec<Estimate> {
    let kind = Kind::Binary { positive };
    let is_positive = |row: &Observation| row.true_class() == Some(positive);
    let (scored, no_probability) = usable(rows, |row| {
        probability(positive, row).map(|score| Scored {
            score,
            positive: is_positive(row),
            block: place(row),
        })
    });
    // The other classes are one: place 0.
    let (decisions, no_class) = usable(rows, |row| {
        let class = decided(kind, row).ok_or(Unusable::NoClass)?;
        Ok(Decision {
            block: place(row),
            predicted: usize::from(class == positive),
            actual: usize::from(is_positive(row)),
        })
    });
    let counts = Confusions::of(places.len(), 2, decisions.into_iter());
    let positives = scored.iter().filter(|row| row.positive).count() as u64;
    let actual = [scored.len() as u64 - positives, positives];
    let truths = scored
        .iter()
        .map(|row| (row.block, of_truth(row.score, row.positive)));
    let log_loss = log_loss::folds(places.len(), truths, &actual);
    let triples = scored
        .iter()
        .map(|row| (row.block, row.score, row.positive));
    let brier = brier::folds(places.len(), triples);
    let roc_auc = roc_auc::folds(places.len(), [scored]);
    let mut found = vec![
        estimate(Metric::LogLoss, log_loss, &no_probability),
        estimate(Metric::Brier, brier, &no_probability),
        estimate(Metric::RocAuc, roc_auc, &no_probability),
    ];
    found.extend(of_decisions(&counts, Some(1), &no_class));
    found
}

fn multiclass(
    rows: &[&Observation],
    places: &Places,
    place: impl Fn(&Observation) -> usize,
) -> Vec<Estimate> {
    let classes = classes(rows);
    let place_of = |class: &str| classes.get(class).copied().unwrap_or_default();
    let actual_of = |row: &Observation| row.true_class().map_or(0, place_of);
    let (scored, no_probability) = usable(rows, |row| score_sum(row).map(|sum| (row, sum)));
    let (decisions, no_class) = usable(rows, |row| {
        let class = decided(Kind::Multiclass, row).ok_or(Unusable::NoClass)?;
        Ok(Decision {
            block: place(row),
            predicted: place_of(class.as_ref()),
            actual: actual_of(row),
        })
    });
    let counts = Confusions::of(places.len(), classes.len(), decisions.into_iter());
    let mut actual = vec![0; classes.len()];
    for (row, _) in &scored {
        actual[actual_of(row)] += 1;
    }
    let score = |row: &Observation, sum: f64, class: &str| {
        row.scores.get(class).copied().unwrap_or(0.0) / sum
    };
    let truths = scored.iter().map(|(row, sum)| {
        let class = row.true_class().unwrap_or_default();
        (place(row), score(row, *sum, class))
    });
    let log_loss = log_loss::folds(places.len(), truths, &actual);
    let came_true = classes.iter().filter(|(_, at)| actual[**at] > 0);
    let against_the_rest = came_true.map(|(class, at)| {
        let one = |(row, sum): &(&Observation, f64)| Scored {
            score: score(row, *sum, class),
            positive: actual_of(row) == *at,
            block: place(row),
        };
        scored.iter().map(one).collect()
    });
    let roc_auc = roc_auc::folds(places.len(), against_the_rest);
    let mut found = vec![
        estimate(Metric::LogLoss, log_loss, &no_probability),
        estimate(Metric::RocAuc, roc_auc, &no_probability),
    ];
    found.extend(of_decisions(&counts, None, &no_class));
    found
}

/// All classes that occur, by name, so that their places do not depend on the order of rows.
fn classes<'a>(rows: &[&'a Observation]) -> BTreeMap<&'a str, usize> {
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        let named = row.true_class().into_iter().chain(row.class.as_deref());
        for class in named.chain(row.scores.keys().map(String::as_str)) {
            classes.entry(class).or_default();
        }
    }
    for (at, class) in classes.values_mut().enumerate() {
        *class = at;
    }
    classes
}

/// `positive`: the place of the class that counts, of two.
fn of_decisions(counts: &Confusions, positive: Option<usize>, unusable: &Reasons) -> [Estimate; 4] {
    [
        estimate(Metric::Accuracy, accuracy::folds(counts), unusable),
        estimate(
            Metric::Precision,
            precision::folds(counts, positive),
            unusable,
        ),
        estimate(Metric::Recall, recall::folds(counts, positive), unusable),
        estimate(Metric::F1, f1::folds(counts, positive), unusable),
    ]
}

fn regression(
    rows: &[&Observation],
    places: &Places,
    place: impl Fn(&Observation) -> usize,
) -> Vec<Estimate> {
    let (pairs, unusable) = usable(rows, |row| {
        let truth = small(row.true_value().ok_or(Unusable::NoValue)?)?;
        Ok((place(row), number(row)?, truth))
    });
    let blocks = places.len();
    vec![
        estimate(Metric::Rmse, rmse::folds(blocks, &pairs), &unusable),
        estimate(Metric::Mae, mae::folds(blocks, &pairs), &unusable),
        estimate(Metric::R2, r2::folds(blocks, &pairs), &unusable),
    ]
}
