//! How large the reconstruction error of a quiet chunk is: an interval from the reference's own chunks.
//!
//! Directions fitted to rows fit those rows best, so chunks scored by a PCA that has seen them look quieter than new
//! ones will. Here each chunk of the reference is scored by a PCA of the others.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::pca::{Components, Pca};
use super::{Matrix, MultivariateError};

/// Fewest chunks that say how much chunks differ.
const FEWEST_CHUNKS: usize = 3;

/// Where the mean euclidean error of one more quiet chunk lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// Each reference chunk's error under a PCA of the other chunks.
    pub errors: Vec<f64>,
    pub mean: f64,
    /// Standard deviation of the chunks' errors, with K − 1 in the denominator.
    pub deviation: f64,
    pub lower: f64,
    pub upper: f64,
}

/// mean ± t·s·√(1 + 1/K) by Student's t on K − 1 degrees of freedom: holds the error of one more chunk of the same
/// kind with probability `1 − level`, whole chunks being what is independent. The lower end is not below 0.
///
/// # Errors
/// Fewer than three chunks, a level outside (0, 1), or what [`Pca::fit`] and [`Pca::score`] refuse.
///
/// ```
/// use driftline::stats::multivariate::{Matrix, pca::Components, pca_interval::interval};
/// let chunk = |k: u32| {
///     let row = |i: u32| { let x = f64::from(i); [x, x + f64::from((i * (k + 3)) % 5)] };
///     Matrix::new(2, (0..40).flat_map(row).collect()).expect("rows")
/// };
/// let chunks: Vec<Matrix> = (0..6).map(chunk).collect();
/// let found = interval(&chunks, Components::Count(1), 0.05).expect("six chunks");
/// assert_eq!(found.errors.len(), 6);
/// assert!(found.lower < found.mean && found.mean < found.upper);
/// ```
pub fn interval(
    chunks: &[Matrix],
    components: Components,
    level: f64,
) -> Result<Interval, MultivariateError> {
    if chunks.len() < FEWEST_CHUNKS {
        return Err(MultivariateError::TooFewBlocks {
            side: "reference",
            blocks: chunks.len(),
        });
    }
    if !(level > 0.0 && level < 1.0) {
        return Err(MultivariateError::parameter(
            "level",
            level,
            "a probability between 0 and 1",
        ));
    }
    let mut errors = Vec::with_capacity(chunks.len());
    for (left_out, chunk) in chunks.iter().enumerate() {
        let mut others: Option<Matrix> = None;
        for (place, other) in chunks.iter().enumerate() {
            if place != left_out {
                others = Some(match others {
                    None => other.clone(),
                    Some(others) => others.stacked(other)?,
                });
            }
        }
        if let Some(others) = others {
            errors.push(Pca::fit(&others, components)?.score(chunk)?.mean_euclidean);
        }
    }
    let k = errors.len() as f64;
    let mean = errors.iter().map(|error| error / k).sum::<f64>();
    let deviation = errors
        .iter()
        .map(|error| (error - mean) * ((error - mean) / (k - 1.0)))
        .sum::<f64>()
        .sqrt();
    let quantile = StudentsT::new(0.0, 1.0, k - 1.0)
        .map_or(0.0, |t| t.inverse_cdf(1.0 - level / 2.0))
        .min(f64::MAX);
    let reach = (quantile * deviation * (1.0 + 1.0 / k).sqrt()).min(f64::MAX);
    Ok(Interval {
        lower: (mean - reach).max(0.0),
        upper: (mean + reach).min(f64::MAX),
        errors,
        mean,
        deviation,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::normal_rows;
    use super::*;

    /// Five columns that share a factor.
    fn factor(rows: usize, share: f64, seed: u64) -> Matrix {
        let own = normal_rows(rows, 6, seed);
        let values = own.each_row().flat_map(|row| {
            let (common, rest) = (row[0], &row[1..]);
            rest.iter()
                .map(move |value| share.sqrt() * common + (1.0 - share).sqrt() * value)
                .collect::<Vec<f64>>()
        });
        Matrix::new(5, values.collect()).expect("five columns")
    }

    #[test]
    fn a_quiet_chunk_lies_inside_as_often_as_stated_and_a_broken_bond_outside() {
        let (mut outside, draws) = (0, 200);
        for draw in 0..draws {
            let chunks: Vec<Matrix> = (0..6).map(|k| factor(60, 0.7, 100 * draw + k)).collect();
            let found = interval(&chunks, Components::Share(0.65), 0.1).expect("six chunks");
            let reference = chunks[1..]
                .iter()
                .try_fold(chunks[0].clone(), |all, chunk| all.stacked(chunk))
                .expect("five columns");
            let fitted = Pca::fit(&reference, Components::Share(0.65)).expect("rows");
            let error = |share: f64, seed| {
                let chunk = factor(60, share, seed);
                fitted.score(&chunk).expect("rows").mean_euclidean
            };
            let quiet = error(0.7, 100 * draw + 50);
            outside += usize::from(!(found.lower..=found.upper).contains(&quiet));
            let broken = error(0.1, 100 * draw + 51);
            assert!(broken > found.upper, "{broken} {found:?}");
        }
        // 20 expected, with a standard deviation of 4.2.
        assert!((7..=33).contains(&outside), "{outside}");
    }

    #[test]
    fn too_little_is_refused() {
        let chunks: Vec<Matrix> = (0..3).map(|k| factor(20, 0.7, k)).collect();
        assert!(interval(&chunks[..2], Components::Count(1), 0.1).is_err());
        assert!(interval(&chunks, Components::Count(1), 0.0).is_err());
        assert!(interval(&chunks, Components::Count(6), 0.1).is_err());
        assert!(interval(&chunks, Components::Count(1), 0.1).is_ok());
    }
}
