//! MMD² in linear time, by random Fourier features of the RBF kernel.
//!
//! With frequencies ω drawn from N(0, 2·gamma·I), cos ω·(x − y) is exp(−gamma·‖x − y‖²) on average, so each row becomes
//! 2·F numbers (cos ω·x, sin ω·x)/√F and MMD² is the squared distance of two means of such rows: O(rows·columns·F) time
//! in place of O(rows²·columns). For F frequencies the estimate differs from the kernel's own by about 1/√F of the
//! kernel's mean; the permutation test is exact all the same, for a slightly different kernel.
//!
//! Source: Rahimi and Recht, *Random Features for Large-Scale Kernel Machines* (2007); for MMD: Zhao and Meng,
//! *FastMMD* (2015); the paired form: Sutherland and Schneider, *On the Error of Random Fourier Features* (2015).

use rand_distr::{Distribution, StandardNormal};

use super::labels::Labels;
use super::matrix::comparable;
use super::mmd::Mmd;
use super::permutation::Permuted;
use super::shuffle::generator;
use super::{Kernel, Matrix, MultivariateError};

/// Most frequencies; a row becomes twice as many numbers.
pub const MOST_FREQUENCIES: usize = 1 << 14;

/// Frequencies of an RBF kernel over a number of columns; fixed by the seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Frequencies {
    columns: usize,
    /// Frequency after frequency, a number a column.
    values: Vec<f64>,
}

impl Frequencies {
    /// # Errors
    /// The kernel is not an RBF kernel, there are no columns, or `count` is 0 or beyond [`MOST_FREQUENCIES`].
    ///
    /// ```
    /// use driftline::stats::multivariate::{Kernel, random_fourier::Frequencies};
    /// let drawn = Frequencies::draw(Kernel::sigma(2.0).expect("above 0"), 3, 256, 7).expect("256 frequencies");
    /// assert_eq!(drawn.count(), 256);
    /// ```
    pub fn draw(
        kernel: Kernel,
        columns: usize,
        count: usize,
        seed: u64,
    ) -> Result<Self, MultivariateError> {
        let Kernel::Rbf { gamma } = kernel else {
            return Err(MultivariateError::parameter(
                "kernel",
                "a distance",
                "an RBF kernel",
            ));
        };
        if columns == 0 {
            return Err(MultivariateError::NoColumns);
        }
        if count == 0 || count > MOST_FREQUENCIES {
            return Err(MultivariateError::parameter(
                "frequencies",
                count,
                "1 to 16384 frequencies",
            ));
        }
        let deviation = (2.0 * gamma).sqrt();
        let mut rng = generator(seed);
        let values = (0..columns * count).map(|_| {
            let value: f64 = StandardNormal.sample(&mut rng);
            deviation * value
        });
        Ok(Self {
            columns,
            values: values.collect(),
        })
    }

    pub fn count(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Calls `visit(row, cos, sin)` for each row with the cosine and sine of one frequency.
    fn wave(&self, frequency: usize, sample: &Matrix, mut visit: impl FnMut(usize, f64, f64)) {
        let from = frequency * self.columns;
        let weights = &self.values[from..from + self.columns];
        for (row, values) in sample.each_row().enumerate() {
            let angle: f64 = weights.iter().zip(values).map(|(w, x)| w * x).sum();
            // An angle beyond the numbers says nothing; its wave is that of 0.
            let angle = if angle.is_finite() { angle } else { 0.0 };
            let (sin, cos) = angle.sin_cos();
            visit(row, cos, sin);
        }
    }
}

/// Both estimates of MMD², as [`super::mmd::mmd2`] with the kernel that the frequencies stand for.
///
/// # Errors
/// Different columns, also from the frequencies', or fewer than two rows a side.
///
/// ```
/// use driftline::stats::multivariate::{Kernel, Matrix, random_fourier::{self, Frequencies}};
/// let x = Matrix::new(1, vec![0.0, 1.0]).expect("rows");
/// let y = Matrix::new(1, vec![50.0, 51.0]).expect("rows");
/// let drawn = Frequencies::draw(Kernel::sigma(1.0).expect("above 0"), 1, 4_096, 1).expect("frequencies");
/// // The kernel itself gives 1.6065.
/// assert!((random_fourier::mmd2(&x, &y, &drawn).expect("rows").biased - 1.6065).abs() < 0.05);
/// ```
pub fn mmd2(
    reference: &Matrix,
    current: &Matrix,
    frequencies: &Frequencies,
) -> Result<Mmd, MultivariateError> {
    check(reference, current, frequencies)?;
    let mut means = Means::default();
    let (n, m) = (reference.rows() as f64, current.rows() as f64);
    for frequency in 0..frequencies.count() {
        let mean = |sample: &Matrix, rows: f64| {
            let (mut cos, mut sin) = (0.0, 0.0);
            frequencies.wave(frequency, sample, |_, c, s| {
                cos += c;
                sin += s;
            });
            (cos / rows, sin / rows)
        };
        means.add(mean(reference, n), mean(current, m));
    }
    Ok(means.mmd2(frequencies.count(), n, m))
}

/// The unbiased estimate with its p-value under permuted labels, in O(rows·frequencies·labellings).
///
/// # Errors
/// As [`mmd2`], or labels for other rows.
///
/// ```
/// use driftline::stats::multivariate::{Kernel, Labels, Matrix, random_fourier::{self, Frequencies}};
/// let reference = Matrix::new(1, (0..40).map(|k| f64::from(k % 10)).collect()).expect("rows");
/// let moved = Matrix::new(1, (0..40).map(|k| f64::from(k % 10) + 4.0).collect()).expect("rows");
/// let drawn = Frequencies::draw(Kernel::sigma(3.0).expect("above 0"), 1, 64, 1).expect("frequencies");
/// let labels = Labels::of_rows(40, 40, 199, 1).expect("rows");
/// let found = random_fourier::permutation_test(&reference, &moved, &drawn, &labels).expect("a column each");
/// assert_eq!(found.p_value, 1.0 / 200.0);
/// ```
pub fn permutation_test(
    reference: &Matrix,
    current: &Matrix,
    frequencies: &Frequencies,
    labels: &Labels,
) -> Result<Permuted, MultivariateError> {
    check(reference, current, frequencies)?;
    let pooled = reference.stacked(current)?;
    let rows = pooled.rows();
    if labels.rows() != rows {
        return Err(MultivariateError::Labels {
            labels: labels.rows(),
            rows,
        });
    }
    let mut means = vec![Means::default(); labels.labellings()];
    let (mut cosines, mut sines) = (vec![0.0; rows], vec![0.0; rows]);
    for frequency in 0..frequencies.count() {
        frequencies.wave(frequency, &pooled, |row, cos, sin| {
            cosines[row] = cos;
            sines[row] = sin;
        });
        let (cos, sin) = (cosines.iter().sum::<f64>(), sines.iter().sum::<f64>());
        let sums = labels.sums(&cosines).into_iter().zip(labels.sums(&sines));
        for (labelling, (current_cos, current_sin)) in sums.enumerate() {
            let m = labels.current_rows(labelling) as f64;
            let n = rows as f64 - m;
            means[labelling].add(
                ((cos - current_cos) / n, (sin - current_sin) / n),
                (current_cos / m, current_sin / m),
            );
        }
    }
    let values = means.iter().enumerate().map(|(labelling, means)| {
        let m = labels.current_rows(labelling) as f64;
        means.mmd2(frequencies.count(), rows as f64 - m, m).unbiased
    });
    Ok(Permuted::of(&values.collect::<Vec<f64>>(), 1.0))
}

/// Sums over frequencies of squared lengths of mean rows and of their product.
#[derive(Debug, Clone, Copy, Default)]
struct Means {
    xx: f64,
    yy: f64,
    xy: f64,
    apart: f64,
}

impl Means {
    fn add(&mut self, x: (f64, f64), y: (f64, f64)) {
        self.xx += x.0 * x.0 + x.1 * x.1;
        self.yy += y.0 * y.0 + y.1 * y.1;
        self.xy += x.0 * y.0 + x.1 * y.1;
        self.apart += (x.0 - y.0) * (x.0 - y.0) + (x.1 - y.1) * (x.1 - y.1);
    }

    fn mmd2(&self, count: usize, n: f64, m: f64) -> Mmd {
        let count = count as f64;
        // A row's product with itself is exactly 1, so pairs of different rows are the mean's square less 1/n.
        let different = |square: f64, rows: f64| {
            if rows > 1.0 {
                (square / count * rows - 1.0) / (rows - 1.0)
            } else {
                square / count
            }
        };
        Mmd {
            biased: self.apart / count,
            unbiased: different(self.xx, n) + different(self.yy, m) - 2.0 * self.xy / count,
        }
    }
}

fn check(
    reference: &Matrix,
    current: &Matrix,
    frequencies: &Frequencies,
) -> Result<(), MultivariateError> {
    comparable(reference, current, 2)?;
    if frequencies.columns == reference.columns() {
        return Ok(());
    }
    Err(MultivariateError::parameter(
        "frequencies",
        format!("for {} columns", frequencies.columns),
        "the samples' own number of columns",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::mmd;
    use super::super::testing::{normal_rows, shifted_rows};
    use super::*;

    #[test]
    fn many_frequencies_come_near_the_kernel() {
        let (x, y) = (normal_rows(150, 4, 1), shifted_rows(120, 4, 0.7, 2));
        let kernel = Kernel::sigma(2.0).expect("above 0");
        let exact = mmd::mmd2(&x, &y, kernel).expect("rows");
        let drawn = Frequencies::draw(kernel, 4, 8_192, 3).expect("frequencies");
        let found = mmd2(&x, &y, &drawn).expect("rows");
        // A standard deviation over draws of about exact/√8192 = 0.003.
        assert!(
            (found.biased - exact.biased).abs() < 0.01,
            "{found:?} {exact:?}"
        );
        assert!(
            (found.unbiased - exact.unbiased).abs() < 0.01,
            "{found:?} {exact:?}"
        );
        let labels = Labels::of_rows(150, 120, 19, 1).expect("rows");
        let few = Frequencies::draw(kernel, 4, 100, 3).expect("frequencies");
        let permuted = permutation_test(&x, &y, &few, &labels).expect("rows");
        let alone = mmd2(&x, &y, &few).expect("rows").unbiased;
        assert!((permuted.value - alone).abs() < 1e-12);
        assert_eq!(permuted.p_value, 0.05);
    }

    #[test]
    fn the_level_holds_with_few_frequencies() {
        let rejected = (0..400)
            .filter(|&seed| {
                let (x, y) = (
                    normal_rows(30, 3, 2 * seed),
                    normal_rows(40, 3, 2 * seed + 1),
                );
                let drawn =
                    Frequencies::draw(Kernel::Rbf { gamma: 0.2 }, 3, 20, seed).expect("some");
                let labels = Labels::of_rows(30, 40, 99, seed).expect("rows");
                permutation_test(&x, &y, &drawn, &labels)
                    .expect("rows")
                    .p_value
                    <= 0.05
            })
            .count();
        // 20 expected, with a standard deviation of 4.4.
        assert!((7..=34).contains(&rejected), "{rejected}");
    }

    #[test]
    fn far_rows_and_senseless_requests_end_in_numbers_or_errors() {
        let kernel = Kernel::Rbf { gamma: 1e300 };
        let drawn = Frequencies::draw(kernel, 1, 8, 1).expect("frequencies");
        let far = Matrix::new(1, vec![1e100, -1e100, 0.0]).expect("rows");
        let found = mmd2(&far, &far, &drawn).expect("rows");
        assert!(found.biased == 0.0 && found.unbiased.is_finite());
        assert!(Frequencies::draw(Kernel::Distance, 1, 8, 1).is_err());
        assert!(Frequencies::draw(kernel, 0, 8, 1).is_err());
        assert!(Frequencies::draw(kernel, 1, 0, 1).is_err());
        assert!(mmd2(&normal_rows(5, 2, 1), &normal_rows(5, 2, 2), &drawn).is_err());
    }
}
