//! A permutation test: how often would labels that mean nothing give as large a value?
//!
//! Under exchangeable rows (or blocks) the level is exact whatever the distribution (Lehmann and Romano, *Testing
//! Statistical Hypotheses*, theorem 15.2.1), as long as nothing else about the statistic knows the labels: take a bandwidth
//! from both samples together ([`super::kernel::pooled_sigma`]) or from other data.

/// Values this close, relative to the largest, are taken as equal: the same rows summed in another order.
const SAME: f64 = 1e-12;

/// An observed statistic among its permutations.
#[derive(Debug, Clone, PartialEq)]
pub struct Permuted {
    pub value: f64,
    /// (1 + permutations with at least the value) / (1 + permutations): never 0, and never below `1/(draws + 1)`.
    pub p_value: f64,
    pub draws: usize,
    /// The permutations' values, ascending.
    pub null: Vec<f64>,
}

impl Permuted {
    /// `values`: the observed one, then one a permutation. `scale`: the size of what the statistic was subtracted
    /// from, by which rounding is judged.
    pub fn of(values: &[f64], scale: f64) -> Self {
        let (value, null) = values
            .split_first()
            .map_or((0.0, &[][..]), |(v, null)| (*v, null));
        let tolerance = SAME * scale.abs();
        let at_least = null
            .iter()
            .filter(|&&drawn| drawn >= value - tolerance)
            .count();
        let mut null = null.to_vec();
        null.sort_unstable_by(f64::total_cmp);
        Self {
            value,
            p_value: (at_least + 1) as f64 / (null.len() + 1) as f64,
            draws: null.len(),
            null,
        }
    }

    /// The least value whose p-value is at most `level`: one above this many of the permutations. `None` where the
    /// level lies below `1/(draws + 1)`, which asks for more draws.
    ///
    /// ```
    /// use driftline::stats::multivariate::{Kernel, Labels, Matrix, mmd};
    /// let reference = Matrix::new(1, (0..30).map(f64::from).collect()).expect("rows");
    /// let current = Matrix::new(1, (10..50).map(f64::from).collect()).expect("rows");
    /// let labels = Labels::of_rows(30, 40, 99, 1).expect("rows");
    /// let kernel = Kernel::sigma(10.0).expect("above 0");
    /// let found = mmd::permutation_test(&reference, &current, kernel, &labels).expect("one column each");
    /// assert!(found.value > found.threshold(0.05).expect("99 draws reach 1 %"));
    /// assert_eq!(found.threshold(0.005), None);
    /// ```
    pub fn threshold(&self, level: f64) -> Option<f64> {
        let exceeding = (level * (self.draws + 1) as f64 + SAME).floor();
        if exceeding.is_nan() || exceeding < 1.0 {
            return None;
        }
        let above = exceeding.min((self.draws + 1) as f64) as usize - 1;
        // A value above all but `above` of the permutations.
        let place = self.draws.checked_sub(above + 1)?;
        self.null.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_against_a_finding_and_the_threshold_agrees_with_p() {
        let found = Permuted::of(&[3.0, 1.0, 3.0, 2.0, 5.0], 1.0);
        assert_eq!((found.p_value, found.draws), (0.6, 4));
        let values: Vec<f64> = std::iter::once(0.0)
            .chain((0..199).map(f64::from))
            .collect();
        let null = Permuted::of(&values, 1.0);
        let threshold = null.threshold(0.05).expect("199 draws");
        assert_eq!(threshold, 189.0);
        let at = |value: f64| {
            let mut values = values.clone();
            values[0] = value;
            Permuted::of(&values, 1.0).p_value
        };
        assert!(at(threshold + 0.5) <= 0.05 && at(threshold) > 0.05);
        assert_eq!(null.threshold(0.004), None);
        assert_eq!(null.threshold(f64::NAN), None);
        assert_eq!(null.threshold(1.0), None);
    }

    #[test]
    fn rounding_does_not_make_a_tie_a_finding() {
        let found = Permuted::of(&[0.1 + 0.2, 0.3], 1.0);
        assert_eq!(found.p_value, 1.0);
    }
}
