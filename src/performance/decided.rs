//! What a logged prediction says for its task: a probability, a class, or that it says neither.
//!
//! **Invariant:** a row that a metric cannot use is counted with its reason ([`Unusable`]) and never replaced by a
//! guess.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::metric::Kind;
use super::observation::Observation;

/// From this probability of the positive class on, a prediction without a class decides for it.
pub const DECIDES_AT: f64 = 0.5;
/// Scores of many classes are often logged with two or three digits; a sum that is further from 1 than this is no
/// rounding, but a score that was not logged or no probability at all.
const SUM_SLACK: f64 = 0.02;
/// Numbers beyond this have squares whose sum over a window would not be a number any more.
const TOO_LARGE: f64 = 1e150;

/// Why a labelled row does not count for a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unusable {
    /// No score of the positive class, nor of the only other one, nor a value; or no scores at all.
    NoProbability,
    /// A probability below 0, above 1 or NaN.
    ProbabilityOutOfRange,
    /// The scores of all classes are not a distribution.
    ScoresDoNotAddUp,
    /// Neither a class nor a probability that would decide for one.
    NoClass,
    /// No predicted number, or one that is not finite.
    NoValue,
    /// A number beyond ±1e150.
    ValueTooLarge,
}

impl Unusable {
    /// The name that is counted and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Unusable::NoProbability => "no_probability",
            Unusable::ProbabilityOutOfRange => "probability_out_of_range",
            Unusable::ScoresDoNotAddUp => "scores_do_not_add_up",
            Unusable::NoClass => "no_class",
            Unusable::NoValue => "no_value",
            Unusable::ValueTooLarge => "value_too_large",
        }
    }
}

impl Observation {
    /// The class of a label that the task can use.
    pub(super) fn true_class(&self) -> Option<&str> {
        self.truth.as_ref()?.class.as_deref()
    }

    /// The number of a label that the task can use: a finite one.
    pub(super) fn true_value(&self) -> Option<f64> {
        self.truth.as_ref()?.value.filter(|value| value.is_finite())
    }

    /// Whether a label has come that says what the task needs.
    pub fn is_labelled(&self, kind: Kind<'_>) -> bool {
        match kind {
            Kind::Binary { .. } | Kind::Multiclass => self.true_class().is_some(),
            Kind::Regression => self.true_value().is_some(),
        }
    }
}

/// The probability of the positive class: its score, else 1 − the score of the only other class, else `value`.
///
/// # Errors
/// Where there is none, or it lies outside [0, 1].
pub fn probability(positive: &str, observation: &Observation) -> Result<f64, Unusable> {
    let scores = &observation.scores;
    let only_other = || match scores.len() {
        1 => scores.values().next().map(|other| 1.0 - other),
        _ => None,
    };
    let found = scores
        .get(positive)
        .copied()
        .or_else(only_other)
        .or(observation.value)
        .ok_or(Unusable::NoProbability)?;
    if (0.0..=1.0).contains(&found) {
        Ok(found)
    } else {
        Err(Unusable::ProbabilityOutOfRange)
    }
}

/// What the scores of a row with many classes add up to; each probability is its score over this.
///
/// # Errors
/// Where there are no scores, one lies outside [0, 1], or the sum is more than 0.02 away from 1. A class without a
/// score has probability 0: the others already add up.
pub(super) fn score_sum(observation: &Observation) -> Result<f64, Unusable> {
    let scores = observation.scores.values();
    if observation.scores.is_empty() {
        return Err(Unusable::NoProbability);
    }
    if !scores.clone().all(|score| (0.0..=1.0).contains(score)) {
        return Err(Unusable::ProbabilityOutOfRange);
    }
    // By class name: a fixed order.
    let sum: f64 = scores.sum();
    if (sum - 1.0).abs() > SUM_SLACK {
        return Err(Unusable::ScoresDoNotAddUp);
    }
    Ok(sum)
}

/// The class that a prediction decides for: the one that was logged, else by probability (from 0.5 on the positive
/// one; of many classes the one with the greatest score, of equal ones the first by name). `None` for numbers.
///
/// A negative decision from the positive class's score alone is called `not POSITIVE`.
pub fn decided<'a>(kind: Kind<'a>, observation: &'a Observation) -> Option<Cow<'a, str>> {
    if kind == Kind::Regression {
        return None;
    }
    if let Some(class) = &observation.class {
        return Some(Cow::Borrowed(class));
    }
    let scores = &observation.scores;
    let Kind::Binary { positive } = kind else {
        let mut best: Option<(&String, f64)> = None;
        for (class, score) in scores {
            if score.is_finite() && best.is_none_or(|(_, most)| *score > most) {
                best = Some((class, *score));
            }
        }
        return best.map(|(class, _)| Cow::Borrowed(class.as_str()));
    };
    if probability(positive, observation).ok()? >= DECIDES_AT {
        return Some(Cow::Borrowed(positive));
    }
    let mut others = scores.keys().filter(|class| class.as_str() != positive);
    Some(match (others.next(), others.next()) {
        (Some(other), None) => Cow::Borrowed(other.as_str()),
        _ => Cow::Owned(format!("not {positive}")),
    })
}

/// The predicted number.
///
/// # Errors
/// Where there is none that is finite and can be squared.
pub(super) fn number(observation: &Observation) -> Result<f64, Unusable> {
    match observation.value {
        Some(value) if value.is_finite() => small(value),
        _ => Err(Unusable::NoValue),
    }
}

pub(super) fn small(value: f64) -> Result<f64, Unusable> {
    if value.abs() <= TOO_LARGE {
        Ok(value)
    } else {
        Err(Unusable::ValueTooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::performance::testing::row;

    fn scored(scores: &[(&str, f64)], value: Option<f64>) -> Observation {
        let scores = scores
            .iter()
            .map(|(class, score)| ((*class).to_owned(), *score))
            .collect();
        Observation {
            scores,
            value,
            ..row(0)
        }
    }

    #[track_caller]
    fn check(
        scores: &[(&str, f64)],
        value: Option<f64>,
        expect: Result<f64, Unusable>,
        class: Option<&str>,
    ) {
        let observation = scored(scores, value);
        assert_eq!(probability("up", &observation), expect);
        let kind = Kind::Binary { positive: "up" };
        assert_eq!(decided(kind, &observation).as_deref(), class);
    }

    #[test]
    fn the_probability_is_found_where_it_was_logged() {
        check(
            &[("up", 0.75), ("down", 0.3)],
            Some(0.1),
            Ok(0.75),
            Some("up"),
        );
        check(&[("down", 0.75)], Some(0.9), Ok(0.25), Some("down"));
        check(&[], Some(0.5), Ok(0.5), Some("up"));
        check(&[("up", 0.25)], None, Ok(0.25), Some("not up"));
        check(
            &[("a", 0.25), ("b", 0.25)],
            None,
            Err(Unusable::NoProbability),
            None,
        );
        check(&[], None, Err(Unusable::NoProbability), None);
    }

    #[test]
    fn what_is_no_probability_is_not_used() {
        for wrong in [-0.1, 1.5, f64::NAN, f64::INFINITY] {
            check(
                &[("up", wrong)],
                None,
                Err(Unusable::ProbabilityOutOfRange),
                None,
            );
            check(&[], Some(wrong), Err(Unusable::ProbabilityOutOfRange), None);
        }
    }

    #[test]
    fn a_logged_class_decides_whatever_the_scores() {
        let mut observation = scored(&[("up", 0.9)], None);
        observation.class = Some("down".to_owned());
        let kind = Kind::Binary { positive: "up" };
        assert_eq!(decided(kind, &observation).as_deref(), Some("down"));
        assert_eq!(decided(Kind::Regression, &observation), None);
    }

    #[test]
    fn of_many_classes_the_greatest_score_decides() {
        let class = |scores: &[(&str, f64)]| {
            decided(Kind::Multiclass, &scored(scores, None)).map(Cow::into_owned)
        };
        assert_eq!(
            class(&[("b", 0.4), ("a", 0.4), ("c", 0.2)]).as_deref(),
            Some("a")
        );
        assert_eq!(class(&[("b", f64::NAN), ("c", 0.2)]).as_deref(), Some("c"));
        assert_eq!(class(&[]), None);
    }

    #[test]
    fn scores_must_be_a_distribution() {
        let sum = |scores: &[(&str, f64)]| score_sum(&scored(scores, None));
        assert_eq!(sum(&[("a", 0.5), ("b", 0.25), ("c", 0.25)]), Ok(1.0));
        assert!(sum(&[("a", 0.33), ("b", 0.33), ("c", 0.33)]).is_ok());
        assert_eq!(
            sum(&[("a", 0.5), ("b", 0.25)]),
            Err(Unusable::ScoresDoNotAddUp)
        );
        assert_eq!(
            sum(&[("a", 1.5), ("b", -0.5)]),
            Err(Unusable::ProbabilityOutOfRange)
        );
        assert_eq!(sum(&[]), Err(Unusable::NoProbability));
    }

    #[test]
    fn numbers_that_cannot_be_squared_are_not_used() {
        assert_eq!(
            number(&scored(&[], Some(1e200))),
            Err(Unusable::ValueTooLarge)
        );
        assert_eq!(number(&scored(&[], Some(f64::NAN))), Err(Unusable::NoValue));
        assert_eq!(number(&scored(&[], None)), Err(Unusable::NoValue));
        assert_eq!(number(&scored(&[], Some(-1e150))), Ok(-1e150));
    }
}
