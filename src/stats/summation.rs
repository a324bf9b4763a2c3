//! Sums and moments of floats in a fixed order, with the rounding errors carried, and without overflow.

/// A running sum whose error does not grow with the number of terms.
/// Source: Neumaier (1974), a variant of Kahan's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    #[inline]
    pub(super) fn add(&mut self, term: f64) {
        // Knuth's two-sum: what the addition rounds away, whichever of the two is larger.
        let sum = self.sum + term;
        let part = sum - self.sum;
        self.lost += (self.sum - (sum - part)) + (term - part);
        self.sum = sum;
    }

    pub(super) fn value(&self) -> f64 {
        // A sum that has overflowed has lost a NaN.
        if self.sum.is_finite() {
            self.sum + self.lost
        } else {
            self.sum
        }
    }
}

/// Size, mean and spread of a sample's finite values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub n: f64,
    pub mean: f64,
    /// √(Σ (x − mean)² / n).
    pub deviation: f64,
    /// n·Σ (x − mean)⁴ / (Σ (x − mean)²)²: 3 for a normal distribution. `None` for a constant.
    pub kurtosis: Option<f64>,
}

impl Spread {
    /// Of `values`, all finite, summed in their order. `None` for no value. Values are scaled by a power of two, which
    /// costs no precision, so that no size of number overflows or vanishes.
    ///
    /// ```
    /// use driftline::stats::summation::Spread;
    /// let spread = Spread::of(&[1e308, -1e308, 1e308, -1e308]).unwrap();
    /// assert_eq!((spread.mean, spread.deviation, spread.kurtosis), (0.0, 1e308, Some(1.0)));
    /// ```
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let largest = values.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        let (down, up) = scales(largest);
        let center = sum(values.iter().map(|x| x * down)) / n;
        let mean = center * up;
        let widest = values
            .iter()
            .fold(0.0_f64, |most, x| most.max((x * down - center).abs()));
        let (down_again, up_again) = scales(widest);
        let (mut squares, mut fourths) = (Sum::default(), Sum::default());
        for x in values {
            let deviation = (x * down - center) * down_again;
            let square = deviation * deviation;
            squares.add(square);
            fourths.add(square * square);
        }
        let (squares, fourths) = (squares.value(), fourths.value());
        // A mean that cannot be represented leaves all values of a constant off by the same rounding.
        let constant = values.iter().all(|&x| x == values[0]);
        Some(if constant {
            Self {
                n,
                mean: values[0],
                deviation: 0.0,
                kurtosis: None,
            }
        } else {
            Self {
                n,
                mean,
                deviation: ((squares / n).sqrt() * up_again * up).min(f64::MAX),
                kurtosis: Some(n * fourths / (squares * squares)),
            }
        })
    }

    /// Σ (x − mean)² / (n − 1), as its root; `None` for one value.
    pub fn sample_deviation(&self) -> Option<f64> {
        (self.n > 1.0).then(|| (self.deviation * (self.n / (self.n - 1.0)).sqrt()).min(f64::MAX))
    }
}

/// The sum of `terms` in their order.
pub(super) fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    terms.for_each(|term| sum.add(term));
    sum.value()
}

/// Powers of two, one the inverse of the other, of which the first brings `largest` to the order of 1.
fn scales(largest: f64) -> (f64, f64) {
    // Within ±1000 the power and its inverse are both normal numbers.
    let exponent = if largest > 0.0 {
        (largest.log2().floor() as i32).clamp(-1000, 1000)
    } else {
        0
    };
    (2.0_f64.powi(-exponent), 2.0_f64.powi(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_rounding_takes_is_given_back() {
        assert_eq!(sum([1e16, 1.0, 1.0, -1e16].into_iter()), 2.0);
        assert_eq!(sum([f64::MAX, f64::MAX].into_iter()), f64::INFINITY);
    }

    #[test]
    fn edge_cases_have_numbers() {
        assert_eq!(Spread::of(&[]), None);
        let one = Spread::of(&[0.1]).expect("a value");
        assert_eq!((one.mean, one.deviation, one.kurtosis), (0.1, 0.0, None));
        assert_eq!(one.sample_deviation(), None);
        assert_eq!(Spread::of(&[0.1; 7]).expect("values").deviation, 0.0);
        let tiny = Spread::of(&[0.0, 5e-324]).expect("values");
        assert!(tiny.kurtosis.is_some_and(|k| (k - 1.0).abs() < 1e-12));
    }

    proptest! {
        #[test]
        fn a_spread_is_a_number(values in proptest::collection::vec(any::<f64>(), 1..20)) {
            let values: Vec<f64> = values.into_iter().filter(|x| x.is_finite()).collect();
            if let Some(spread) = Spread::of(&values) {
                prop_assert!(spread.mean.is_finite());
                prop_assert!(spread.deviation.is_finite() && spread.deviation >= 0.0);
                prop_assert!(spread.kurtosis.is_none_or(|k| k.is_finite() && k >= 0.99), "{:?}", spread);
            }
        }
    }
}
