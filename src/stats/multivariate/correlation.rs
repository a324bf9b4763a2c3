//! Change of the correlation matrix: which two columns no longer go together as they did.
//!
//! For every pair of columns the correlation of each sample, over the rows in which both columns hold a number
//! (pairwise-complete, as pandas' `DataFrame.corr`); NaN, infinities and numbers beyond ±1e100 are missing. Two measures of
//! the whole: the largest |atanh r₂ − atanh r₁| (Fisher's z), which points at a pair, and the Frobenius distance of the
//! matrices over all pairs, √(2 Σ (r₂ − r₁)²).
//!
//! **Nulls.** [`compare`] gives the pair's closed form: (z₂ − z₁)/√(c/(n−3) + c/(m−3)) is standard normal for normal data,
//! with c = 1 for Pearson and 1.06 for Spearman (Fieller, Hartley and Pearson, 1957); Bonferroni over the pairs makes it
//! the largest one's. It is wrong where columns have heavy tails or rows depend on each other. [`permutation_test`] instead
//! permutes rows (or blocks) after each sample was standardised by itself, so that a shift of means or spreads is not
//! taken for one of correlation; it is exact up to the error of these standards.

use statrs::distribution::{ContinuousCDF, Normal};

use super::MultivariateError;
use super::labels::Labels;
use super::matrix::LARGEST;
use super::permutation::Permuted;

/// Rows that a pair of columns must share in each sample: Fisher's z of three rows has no variance.
const FEWEST_ROWS: usize = 4;
/// The largest magnitude of r in Fisher's z, which has none at 1: two columns that are copies of each other.
const MOST_R: f64 = 1.0 - 1e-9;
/// Variance of Spearman's z over that of Pearson's.
const SPEARMAN_VARIANCE: f64 = 1.06;

/// Of what a correlation is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correlation {
    /// Values.
    Pearson,
    /// Ranks, ties sharing their mean rank.
    Spearman,
}

/// A pair of columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Places of the columns, the smaller first.
    pub columns: (usize, usize),
    pub reference: f64,
    pub current: f64,
    /// atanh(current) − atanh(reference).
    pub z_change: f64,
    /// Two-sided, of this pair alone.
    pub p_value: f64,
    pub rows: (usize, usize),
}

/// How two samples' correlations differ.
#[derive(Debug, Clone, PartialEq)]
pub struct CorrelationChange {
    /// Every pair that could be compared.
    pub pairs: Vec<Pair>,
    /// Pairs left out: fewer than four rows in common, or a column that does not vary there, on either side.
    pub left_out: usize,
    /// Place in `pairs` of the largest |z change|; the first of equals.
    pub largest: usize,
    /// That |z change|.
    pub max_z_change: f64,
    pub frobenius: f64,
    /// Bonferroni over the pairs of the smallest closed-form p-value.
    pub p_value: f64,
}

/// Compares the correlations of two samples given as columns.
///
/// # Errors
/// No columns, different numbers of them, columns of different lengths within a sample, or no pair to compare.
///
/// ```
/// use driftline::stats::multivariate::correlation::{Correlation, compare};
/// let x: Vec<f64> = (0..50).map(f64::from).collect();
/// let wave: Vec<f64> = (0..50).map(|k| f64::from(k * 13 % 50)).collect();
/// let near: Vec<f64> = x.iter().zip(&wave).map(|(x, wave)| x + 0.2 * wave).collect();
/// let found = compare(&[x.clone(), near], &[x, wave], Correlation::Pearson).expect("one pair");
/// assert!(found.pairs[0].reference > 0.9 && found.pairs[0].current < 0.2);
/// assert!(found.max_z_change > 1.0 && found.p_value < 1e-6);
/// ```
pub fn compare(
    reference: &[Vec<f64>],
    current: &[Vec<f64>],
    correlation: Correlation,
) -> Result<CorrelationChange, MultivariateError> {
    check(reference, current)?;
    let (mut pairs, mut left_out) = (Vec::new(), 0);
    for (i, j) in pairs_of(reference.len()) {
        let standards =
            [reference, current].map(|side| standardised(&side[i], &side[j], correlation));
        let [Some(a), Some(b)] = standards else {
            left_out += 1;
            continue;
        };
        let (r, s) = (a.correlation(), b.correlation());
        let z_change = fisher(s) - fisher(r);
        pairs.push(Pair {
            columns: (i, j),
            reference: r,
            current: s,
            z_change,
            p_value: closed_form_p(z_change, a.rows.len(), b.rows.len(), correlation),
            rows: (a.rows.len(), b.rows.len()),
        });
    }
    let largest = (0..pairs.len())
        .rev()
        .max_by(|&a, &b| pairs[a].z_change.abs().total_cmp(&pairs[b].z_change.abs()))
        .ok_or(MultivariateError::NoPair)?;
    let squares: f64 = pairs
        .iter()
        .map(|pair| (pair.current - pair.reference) * (pair.current - pair.reference))
        .sum();
    let least = pairs.iter().map(|pair| pair.p_value).fold(1.0, f64::min);
    Ok(CorrelationChange {
        largest,
        max_z_change: pairs[largest].z_change.abs(),
        frobenius: (2.0 * squares).sqrt(),
        p_value: (least * pairs.len() as f64).min(1.0),
        pairs,
        left_out,
    })
}

/// Both measures with p-values under permuted labels.
#[derive(Debug, Clone, PartialEq)]
pub struct PermutedChange {
    pub max_z_change: Permuted,
    pub frobenius: Permuted,
}

/// The measures of [`compare`] with permutation p-values; `labels` are over the reference's rows, then the current ones.
///
/// # Errors
/// As [`compare`], or labels for other rows.
///
/// ```
/// use driftline::stats::multivariate::{Labels, correlation::{Correlation, permutation_test}};
/// let x: Vec<f64> = (0..50).map(f64::from).collect();
/// let wave: Vec<f64> = (0..50).map(|k| f64::from(k * 13 % 50)).collect();
/// let labels = Labels::of_rows(50, 50, 99, 1).expect("rows");
/// let near: Vec<f64> = x.iter().zip(&wave).map(|(x, wave)| x + 0.2 * wave).collect();
/// let found = permutation_test(&[x.clone(), near], &[x, wave], Correlation::Spearman, &labels).expect("one pair");
/// assert_eq!(found.max_z_change.p_value, 0.01);
/// ```
pub fn permutation_test(
    reference: &[Vec<f64>],
    current: &[Vec<f64>],
    correlation: Correlation,
    labels: &Labels,
) -> Result<PermutedChange, MultivariateError> {
    check(reference, current)?;
    let n = reference[0].len();
    let rows = n + current[0].len();
    if labels.rows() != rows {
        return Err(MultivariateError::Labels {
            labels: labels.rows(),
            rows,
        });
    }
    let mut largest = vec![0.0_f64; labels.labellings()];
    let mut squares = vec![0.0; labels.labellings()];
    let mut compared = 0;
    for (i, j) in pairs_of(reference.len()) {
        let standards =
            [reference, current].map(|side| standardised(&side[i], &side[j], correlation));
        let [Some(a), Some(b)] = standards else {
            continue;
        };
        compared += 1;
        // A moment of each labelling's current rows, and of all; a row that lacks either column adds nothing.
        let moment = |of: fn(f64, f64) -> f64| {
            let mut values = vec![0.0; rows];
            for (side, from) in [(&a, 0), (&b, n)] {
                for (&row, &(x, y)) in side.rows.iter().zip(&side.values) {
                    values[from + row] = of(x, y);
                }
            }
            let whole: f64 = values.iter().sum();
            (labels.sums(&values), whole)
        };
        let moments = [
            moment(|_, _| 1.0),
            moment(|x, _| x),
            moment(|_, y| y),
            moment(|x, _| x * x),
            moment(|_, y| y * y),
            moment(|x, y| x * y),
        ];
        for labelling in 0..labels.labellings() {
            let current = moments.each_ref().map(|(sums, _)| sums[labelling]);
            let others = moments
                .each_ref()
                .map(|(sums, whole)| whole - sums[labelling]);
            let (r, s) = (from_moments(&others), from_moments(&current));
            largest[labelling] = largest[labelling].max((fisher(s) - fisher(r)).abs());
            squares[labelling] += (s - r) * (s - r);
        }
    }
    if compared == 0 {
        return Err(MultivariateError::NoPair);
    }
    let frobenius: Vec<f64> = squares.iter().map(|sum: &f64| (2.0 * sum).sqrt()).collect();
    Ok(PermutedChange {
        max_z_change: Permuted::of(&largest, 1.0),
        frobenius: Permuted::of(&frobenius, 1.0),
    })
}

/// Two columns' complete rows, each column with mean 0 and mean square 1.
struct Standardised {
    rows: Vec<usize>,
    values: Vec<(f64, f64)>,
}

impl Standardised {
    fn correlation(&self) -> f64 {
        let sum: f64 = self.values.iter().map(|(x, y)| x * y).sum();
        (sum / self.values.len() as f64).clamp(-1.0, 1.0)
    }
}

/// `None` for too few complete rows, or a column that does not vary there.
fn standardised(x: &[f64], y: &[f64], correlation: Correlation) -> Option<Standardised> {
    let usable = |value: f64| value.abs() <= LARGEST;
    let rows: Vec<usize> = (0..x.len())
        .filter(|&row| usable(x[row]) && usable(y[row]))
        .collect();
    if rows.len() < FEWEST_ROWS {
        return None;
    }
    let column = |values: &[f64]| {
        let values: Vec<f64> = rows.iter().map(|&row| values[row]).collect();
        standard(match correlation {
            Correlation::Pearson => values,
            Correlation::Spearman => ranks(&values),
        })
    };
    let (x, y) = (column(x)?, column(y)?);
    Some(Standardised {
        rows,
        values: x.into_iter().zip(y).collect(),
    })
}

fn standard(mut values: Vec<f64>) -> Option<Vec<f64>> {
    let rows = values.len() as f64;
    // From the first value on: a constant has itself as mean, exactly.
    let first = *values.first()?;
    let mean = first + values.iter().map(|value| value - first).sum::<f64>() / rows;
    values.iter_mut().for_each(|value| *value -= mean);
    let largest = values
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    // Deviations that are rounding of the values themselves are none.
    if largest <= 4.0 * f64::EPSILON * mean.abs() {
        return None;
    }
    values.iter_mut().for_each(|value| *value /= largest);
    let square = values.iter().map(|value| value * value).sum::<f64>() / rows;
    let deviation = square.sqrt();
    values.iter_mut().for_each(|value| *value /= deviation);
    Some(values)
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&place| ranks[place] = rank);
        before += tied.len();
    }
    ranks
}

/// The correlation from count, sums, sums of squares and of products; 0 where a column does not vary.
fn from_moments(&[rows, x, y, xx, yy, xy]: &[f64; 6]) -> f64 {
    if rows < 2.0 {
        return 0.0;
    }
    let (x_square, y_square) = (xx - x * x / rows, yy - y * y / rows);
    // Values have a mean square of 1 in all, so this is rounding.
    let varies = |square: f64| square > 1e-10;
    if !(varies(x_square) && varies(y_square)) {
        return 0.0;
    }
    ((xy - x * y / rows) / x_square.sqrt() / y_square.sqrt()).clamp(-1.0, 1.0)
}

fn fisher(r: f64) -> f64 {
    r.clamp(-MOST_R, MOST_R).atanh()
}

fn closed_form_p(z_change: f64, n: usize, m: usize, correlation: Correlation) -> f64 {
    let each = |rows: usize| 1.0 / (rows as f64 - 3.0);
    let variance = each(n) + each(m);
    let variance = match correlation {
        Correlation::Pearson => variance,
        Correlation::Spearman => SPEARMAN_VARIANCE * variance,
    };
    Normal::new(0.0, 1.0).map_or(1.0, |normal| {
        (2.0 * normal.sf(z_change.abs() / variance.sqrt())).clamp(0.0, 1.0)
    })
}

fn pairs_of(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns).flat_map(move |i| (i + 1..columns).map(move |j| (i, j)))
}

fn check(reference: &[Vec<f64>], current: &[Vec<f64>]) -> Result<(), MultivariateError> {
    if reference.len() != current.len() {
        return Err(MultivariateError::Widths {
            reference: reference.len(),
            current: current.len(),
        });
    }
    for side in [reference, current] {
        let rows = side.first().ok_or(MultivariateError::NoColumns)?.len();
        if side.iter().any(|column| column.len() != rows) {
            return Err(MultivariateError::Ragged {
                values: side.iter().map(Vec::len).sum(),
                columns: side.len(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "correlation_tests.rs"]
mod tests;
