//! Rows as points: finite, centred, scaled, in `f32`.
//!
//! Both kernels over pairs of rows see points only through differences, so any centre may be taken off. Taking one near
//! the middle of the data, in `f64`, is what lets `f32` hold the rest: 24 bits of the spread, not of the distance from
//! zero. Rows with a coordinate that is not finite have no place and are left out, counted; what an unknown coordinate
//! means is for the caller to say. Deliberately absent: imputation, and weights of columns.

/// Rows looked at for the centre of a coordinate: the median of this many is near enough.
const CENTRE_ROWS: usize = 1001;

/// Farthest coordinate after scaling. Squares of differences of 2⁵⁷, summed over [`MAX_DIMS`] coordinates, stay finite
/// in `f32`, so no difference is ∞ − ∞. Two rows that are both farther out count as equal in this coordinate.
const FARTHEST: f32 = (1u64 << 56) as f32;

/// Most coordinates of a point: an embedding of 4,096 numbers is a large one.
pub const MAX_DIMS: usize = 4096;

/// Two samples as one list of points: the first sample's rows, then the second's.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    dims: usize,
    first: usize,
    second: usize,
    left_out: [usize; 2],
    /// What differences of raw values were multiplied with.
    scale: f64,
    /// Row-major, `dims` values a row.
    values: Vec<f32>,
}

/// How points are scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// Differences are multiplied with this number.
    By(f64),
    /// By the power of two that brings the farthest coordinate into ½..1.
    ToOne,
}

impl Points {
    /// Points of two row-major samples with `dims` values a row. `None` if `dims` is 0 or beyond [`MAX_DIMS`], if a
    /// sample is no whole number of rows, or if the scale is not a positive number.
    pub(crate) fn new(first: &[f64], second: &[f64], dims: usize, scale: Scale) -> Option<Self> {
        let whole = (1..=MAX_DIMS).contains(&dims)
            && first.len().is_multiple_of(dims)
            && second.len().is_multiple_of(dims);
        if !whole {
            return None;
        }
        let usable = |row: &&[f64]| row.iter().all(|x| x.is_finite());
        let firsts: Vec<&[f64]> = first.chunks_exact(dims).filter(usable).collect();
        let seconds: Vec<&[f64]> = second.chunks_exact(dims).filter(usable).collect();
        let left_out = [
            first.len() / dims - firsts.len(),
            second.len() / dims - seconds.len(),
        ];
        let (first, second) = (firsts.len(), seconds.len());
        let rows: Vec<&[f64]> = firsts.into_iter().chain(seconds).collect();
        let centre: Vec<f64> = (0..dims).map(|dim| middle(&rows, dim)).collect();
        let scale = match scale {
            Scale::By(scale) => scale,
            Scale::ToOne => power_to_one(&rows, &centre),
        };
        if !(scale > 0.0 && scale.is_finite()) {
            return None;
        }
        let place = |x: f64, centre: f64| {
            // Halves first: the difference of two finite numbers may be infinite, its half is not.
            let scaled = ((x * 0.5 - centre * 0.5) * scale) as f32 * 2.0;
            scaled.clamp(-FARTHEST, FARTHEST)
        };
        let values = rows
            .iter()
            .flat_map(|row| row.iter().zip(&centre).map(|(&x, &c)| place(x, c)))
            .collect();
        Some(Self {
            dims,
            first,
            second,
            left_out,
            scale,
            values,
        })
    }

    /// Coordinates of a point.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Usable rows of both samples.
    pub fn rows(&self) -> usize {
        self.first + self.second
    }

    /// Usable rows of the first sample, which come first.
    pub fn first(&self) -> usize {
        self.first
    }

    /// Usable rows of the second sample.
    pub fn second(&self) -> usize {
        self.second
    }

    /// Rows of either sample that were left out because a value is not finite.
    pub fn left_out(&self) -> [usize; 2] {
        self.left_out
    }

    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }

    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dims..][..self.dims]
    }

    /// Σ (xₖ − yₖ)² of two rows in `f32`, in the order of the coordinates: the definition both kernels begin with.
    pub(crate) fn squared_distance(&self, a: usize, b: usize) -> f32 {
        self.row(a)
            .iter()
            .zip(self.row(b))
            .fold(0.0, |sum, (x, y)| {
                let difference = x - y;
                sum + difference * difference
            })
    }
}

/// The median of up to [`CENTRE_ROWS`] evenly spaced rows; 0 if there is none.
fn middle(rows: &[&[f64]], dim: usize) -> f64 {
    let step = rows.len().div_ceil(CENTRE_ROWS).max(1);
    let mut values: Vec<f64> = rows.iter().step_by(step).map(|row| row[dim]).collect();
    if values.is_empty() {
        return 0.0;
    }
    let half = values.len() / 2;
    *values.select_nth_unstable_by(half, f64::total_cmp).1
}

fn power_to_one(rows: &[&[f64]], centre: &[f64]) -> f64 {
    let farthest = rows
        .iter()
        .flat_map(|row| {
            row.iter()
                .zip(centre)
                .map(|(x, c)| (x * 0.5 - c * 0.5).abs())
        })
        .fold(0.0, f64::max);
    // Of the half: one more for the whole. Below 2⁻¹⁰²² the power would not be finite.
    let exponent = match farthest {
        0.0 => 0,
        some => (((some.to_bits() >> 52) & 0x7ff) as i32 - 1022 + 1).max(-1022),
    };
    // 2^−1023 and smaller are subnormal, still exact down to 2^−1074.
    2f64.powi(-exponent / 2) * 2f64.powi(-exponent - (-exponent / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_not_finite_are_left_out_and_counted() {
        let points = Points::new(
            &[1.0, 2.0, f64::NAN, 0.0, 3.0, 4.0],
            &[f64::INFINITY, 1.0],
            2,
            Scale::By(1.0),
        )
        .expect("whole rows");
        assert_eq!((points.first(), points.second()), (2, 0));
        assert_eq!(points.left_out(), [1, 1]);
        assert_eq!(points.squared_distance(0, 1), 8.0);
    }

    #[test]
    fn what_makes_no_points() {
        assert_eq!(Points::new(&[1.0], &[], 0, Scale::By(1.0)), None);
        assert_eq!(Points::new(&[1.0; 3], &[], 2, Scale::By(1.0)), None);
        assert_eq!(Points::new(&[1.0; 2], &[], 2, Scale::By(0.0)), None);
        assert_eq!(Points::new(&[1.0; 2], &[], 2, Scale::By(f64::NAN)), None);
        assert_eq!(Points::new(&[], &[], MAX_DIMS + 1, Scale::By(1.0)), None);
    }

    #[test]
    fn far_from_zero_the_spread_keeps_its_digits() {
        let points =
            Points::new(&[1e12, 1e12 + 1.0], &[1e12 + 2.0], 1, Scale::By(1.0)).expect("rows");
        assert_eq!(points.squared_distance(0, 2), 4.0);
    }

    #[test]
    fn extremes_stay_finite() {
        for scale in [
            Scale::By(1.0),
            Scale::By(1e300),
            Scale::By(1e-300),
            Scale::ToOne,
        ] {
            let extremes = [f64::MAX, -f64::MAX, 0.0, -0.0, 5e-324];
            let points = Points::new(&extremes, &extremes, 1, scale).expect("rows");
            for i in 0..10 {
                assert!(points.squared_distance(0, i).is_finite());
            }
        }
        let alone = Points::new(&[5e-324, 0.0], &[], 1, Scale::ToOne).expect("rows");
        assert!(alone.scale().is_finite() && alone.squared_distance(0, 1).is_finite());
    }

    #[test]
    fn scaling_to_one_is_by_a_power_of_two() {
        let points = Points::new(&[0.0, 0.0, 3.0], &[-5.0], 1, Scale::ToOne).expect("rows");
        assert_eq!(points.scale(), 0.125);
        assert_eq!(points.values, [0.0, 0.0, 0.375, -0.625]);
    }
}
