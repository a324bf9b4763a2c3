//! Blocks of event time, and the standard error that they give.
//!
//! Rows of one day are alike: a storm delays all of its flights. So whole blocks are left out in turn, not rows.

use crate::event::{DAY, HOUR, Millis, Span};

use super::folds::Folds;

/// Fewer blocks say nothing about their spread.
pub const FEWEST_BLOCKS: usize = 3;
/// Windows of this many days (or hours) and more are cut into days (or hours).
const NATURAL_BLOCKS: Millis = 4;
/// Shorter ones are cut into so many equal parts.
const PARTS: Millis = 8;

/// The length of the blocks of a window of this length: days from 4 days on, hours from 4 hours on, else an eighth of
/// the window, and at least 1 ms.
///
/// ```
/// use driftline::event::{DAY, HOUR, MINUTE};
/// use driftline::performance::block_length;
/// assert_eq!(block_length(7 * DAY), DAY);
/// assert_eq!(block_length(DAY), HOUR);
/// assert_eq!(block_length(2 * HOUR), 15 * MINUTE);
/// ```
pub fn block_length(window_length: Millis) -> Millis {
    if window_length >= NATURAL_BLOCKS * DAY {
        DAY
    } else if window_length >= NATURAL_BLOCKS * HOUR {
        HOUR
    } else {
        (window_length / PARTS).max(1)
    }
}

/// The block of `window` that holds `ts`, counted from 0 at the window's start.
pub fn block_of(window: Span, ts: Millis) -> i64 {
    (ts - window.start).div_euclid(block_length(window.end - window.start))
}

/// The blocks that occur, in order, so that rows can carry a place among them.
pub(super) struct Places(Vec<i64>);

impl Places {
    pub fn new(blocks: impl Iterator<Item = i64>) -> Self {
        let mut found: Vec<i64> = Vec::new();
        for block in blocks {
            if let Err(place) = found.binary_search(&block) {
                found.insert(place, block);
            }
        }
        Self(found)
    }

    /// The place of a block that occurs.
    pub fn of(&self, block: i64) -> usize {
        self.0.binary_search(&block).unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The delete-one-block jackknife: √((B−1)/B · Σ (θ₋ᵦ − mean of θ₋ᵦ)²) over the B blocks that hold rows.
///
/// Range: 0 or more. Blocks may differ in size; then it is a little too large rather than too small. Source: Künsch
/// (1989), *The jackknife and the bootstrap for general stationary observations*; Efron & Stein (1981) for the bias.
///
/// # Errors
/// In a sentence, where there are fewer than 3 blocks or the metric is not defined without one of them.
pub(super) fn standard_error(folds: &Folds) -> Result<f64, String> {
    let blocks = folds.without.len();
    if blocks < FEWEST_BLOCKS {
        return Err(format!(
            "labelled rows lie in {blocks} of the window's blocks; a standard error needs {FEWEST_BLOCKS}"
        ));
    }
    let Some(without) = folds.without.iter().copied().collect::<Option<Vec<f64>>>() else {
        return Err("without one of the blocks the metric is not defined".to_owned());
    };
    // In the order of blocks: a fixed one.
    let count = blocks as f64;
    let mean = without.iter().sum::<f64>() / count;
    let squares: f64 = without.iter().map(|value| (value - mean).powi(2)).sum();
    let error = ((count - 1.0) / count * squares).sqrt();
    if error.is_finite() {
        Ok(error)
    } else {
        Err("the standard error is beyond the greatest number".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::MINUTE;

    fn folds(without: &[Option<f64>]) -> Folds {
        Folds {
            value: Ok(0.5),
            without: without.to_vec(),
            n: 9,
            constant: None,
        }
    }

    #[test]
    fn lengths_follow_the_window() {
        for (window, expect) in [
            (30 * DAY, DAY),
            (4 * DAY, DAY),
            (4 * DAY - 1, HOUR),
            (4 * HOUR, HOUR),
            (HOUR, 7 * MINUTE + 30_000),
            (5, 1),
            (0, 1),
        ] {
            assert_eq!(block_length(window), expect);
        }
    }

    #[test]
    fn blocks_are_counted_from_the_windows_start() {
        let window = Span::new(3 * HOUR, 3 * HOUR + 7 * DAY);
        assert_eq!(block_of(window, window.start), 0);
        assert_eq!(block_of(window, window.start + DAY - 1), 0);
        assert_eq!(block_of(window, window.end - 1), 6);
    }

    /// The jackknife of a mean is its standard error.
    #[test]
    fn of_a_mean_it_is_the_usual_one() {
        let numbers = [1.0, 2.0, 4.0, 9.0];
        let without: Vec<Option<f64>> = numbers.iter().map(|x| Some((16.0 - x) / 3.0)).collect();
        let variance = numbers.iter().map(|x| (x - 4.0f64).powi(2)).sum::<f64>() / 3.0;
        let found = standard_error(&folds(&without)).expect("four blocks");
        assert!((found - (variance / 4.0).sqrt()).abs() < 1e-14);
    }

    #[test]
    fn too_few_blocks_have_none() {
        assert_eq!(
            standard_error(&folds(&[Some(1.0), Some(2.0)])),
            Err(
                "labelled rows lie in 2 of the window's blocks; a standard error needs 3"
                    .to_owned()
            )
        );
        assert_eq!(
            standard_error(&folds(&[Some(1.0), None, Some(2.0)])),
            Err("without one of the blocks the metric is not defined".to_owned())
        );
    }
}
