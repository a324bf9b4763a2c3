//! What each single row lost: what two models are compared by, row against row.

use super::decided::{self, Unusable, probability, score_sum};
use super::log_loss::{self, of_truth};
use super::metric::Kind;
use super::observation::Observation;
use super::rmse;

/// The loss of each observation, in their order: the log loss in nats (clipped as in [`log_loss`]) for classes, the
/// squared error for numbers. `None` where there is no label, or nothing that a loss could be taken of.
///
/// ```
/// use driftline::performance::{Kind, Observation, Truth, losses};
/// let observation = Observation {
///     version: "7".to_owned(), id: None, ts: 0, class: None, value: Some(3.0), scores: Default::default(),
///     truth: Some(Truth { class: None, value: Some(1.0), ts: 5 }),
/// };
/// assert_eq!(losses(Kind::Regression, &[observation]), [Some(4.0)]);
/// ```
pub fn losses(kind: Kind<'_>, observations: &[Observation]) -> Vec<Option<f64>> {
    observations
        .iter()
        .map(|observation| match kind {
            Kind::Binary { positive } => {
                let truth = observation.true_class()?;
                let p = probability(positive, observation).ok()?;
                Some(log_loss::row_loss(of_truth(p, truth == positive)))
            }
            Kind::Multiclass => {
                let truth = observation.true_class()?;
                let sum = score_sum(observation).ok()?;
                let score = observation.scores.get(truth).copied().unwrap_or(0.0);
                Some(log_loss::row_loss(score / sum))
            }
            Kind::Regression => {
                let truth = decided::small(observation.true_value()?).ok()?;
                Some(rmse::row_loss(decided::number(observation).ok()?, truth))
            }
        })
        .collect()
}

/// Whether a loss can be taken of what a prediction says, whatever its label will be.
///
/// # Errors
/// Why it cannot.
///
/// ```
/// use driftline::performance::{Kind, Observation, Unusable, says_enough};
/// let silent = Observation {
///     version: "7".to_owned(), id: None, ts: 0, class: None, value: None, scores: Default::default(), truth: None,
/// };
/// let late = Kind::Binary { positive: "late" };
/// assert_eq!(says_enough(late, &silent), Err(Unusable::NoProbability));
/// assert_eq!(says_enough(Kind::Regression, &Observation { value: Some(3.0), ..silent }), Ok(()));
/// ```
pub fn says_enough(kind: Kind<'_>, observation: &Observation) -> Result<(), Unusable> {
    match kind {
        Kind::Binary { positive } => probability(positive, observation),
        Kind::Multiclass => score_sum(observation),
        Kind::Regression => decided::number(observation),
    }
    .map(|_| ())
}
