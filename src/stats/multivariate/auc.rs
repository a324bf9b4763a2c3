//! The area under the ROC curve of two samples' scores, and how sure that is.
//!
//! The chance that a current row is scored above a reference row, ties counting half. Its standard error is DeLong's,
//! from how each row of one side is placed among the other side's; with blocks, from the blocks' sums of these
//! placements, which is what rows that depend on each other within a block leave.
//!
//! Source: DeLong, DeLong and Clarke-Pearson (1988); for blocks Obuchowski, *Nonparametric Analysis of Clustered ROC
//! Curve Data* (1997). Deliberately absent: areas by class and label age (see `performance`).

/// Where each row stands among the other side's rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placements {
    /// For each reference row the share of current rows scored above it; the mean is the area.
    pub reference: Vec<f64>,
    /// For each current row the share of reference rows scored below it; the mean is the area.
    pub current: Vec<f64>,
}

/// The placements by scores; both sides have rows.
pub(super) fn placements(reference: &[f64], current: &[f64]) -> Placements {
    let sorted = |scores: &[f64]| {
        let mut sorted = scores.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    };
    let (references, currents) = (sorted(reference), sorted(current));
    // Below and tied, in halves: a whole number.
    let halves = |sorted: &[f64], score: f64| {
        sorted.partition_point(|&other| other < score)
            + sorted.partition_point(|&other| other <= score)
    };
    Placements {
        reference: reference
            .iter()
            .map(|&score| 1.0 - halves(&currents, score) as f64 / (2 * currents.len()) as f64)
            .collect(),
        current: current
            .iter()
            .map(|&score| halves(&references, score) as f64 / (2 * references.len()) as f64)
            .collect(),
    }
}

impl Placements {
    /// The mean placements over several scorings of the same rows.
    pub fn mean(all: &[Placements]) -> Placements {
        let times = all.len() as f64;
        let mean = |side: fn(&Placements) -> &Vec<f64>| {
            let rows = all.first().map_or(0, |first| side(first).len());
            (0..rows)
                .map(|row| all.iter().map(|one| side(one)[row]).sum::<f64>() / times)
                .collect()
        };
        Placements {
            reference: mean(|placements| &placements.reference),
            current: mean(|placements| &placements.current),
        }
    }

    pub fn area(&self) -> f64 {
        self.current.iter().sum::<f64>() / self.current.len() as f64
    }

    /// The squared standard error of the area; `blocks` number each side's rows from 0, a number a row where rows are
    /// independent.
    pub fn variance(&self, reference_blocks: &[usize], current_blocks: &[usize]) -> f64 {
        let area = self.area();
        between(&self.reference, reference_blocks, area)
            + between(&self.current, current_blocks, area)
    }
}

/// The squared standard error of a mean of values whose blocks are independent.
fn between(values: &[f64], blocks: &[usize], mean: f64) -> f64 {
    let count = blocks.iter().max().map_or(0, |last| last + 1);
    if count < 2 {
        return 0.0;
    }
    let mut sums = vec![0.0; count];
    for (value, &block) in values.iter().zip(blocks) {
        sums[block] += value - mean;
    }
    let squares: f64 = sums.iter().map(|sum| sum * sum).sum();
    let (rows, count) = (values.len() as f64, count as f64);
    count / (count - 1.0) * squares / rows / rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Current 3, 2 against reference 1, 2: pairs 1, 1, 1, ½.
        let found = placements(&[1.0, 2.0], &[3.0, 2.0]);
        assert_eq!(found.current, [1.0, 0.75]);
        assert_eq!(found.reference, [1.0, 0.75]);
        assert_eq!(found.area(), 0.875);
        // Each side: ½ of 2·0.125²/1.
        let variance = found.variance(&[0, 1], &[0, 1]);
        assert!((variance - 2.0 * 0.5 * 2.0 * 0.125 * 0.125).abs() < 1e-15);
        let mean = Placements::mean(&[found.clone(), placements(&[0.0, 0.0], &[0.0, 0.0])]);
        assert_eq!(mean.current, [0.75, 0.625]);
    }

    #[test]
    fn rows_said_ten_times_are_no_surer_by_blocks() {
        let reference: Vec<f64> = (0..20).map(|k| f64::from(k * 7 % 20)).collect();
        let current: Vec<f64> = (0..15).map(|k| f64::from(k * 4 % 15) + 4.0).collect();
        let once = placements(&reference, &current);
        let each: Vec<usize> = (0..20).collect();
        let expected = once.variance(&each, &each[..15]);
        let ten = |scores: &[f64]| {
            scores
                .iter()
                .flat_map(|&score| [score; 10])
                .collect::<Vec<f64>>()
        };
        let tens = placements(&ten(&reference), &ten(&current));
        let blocks = |rows: usize| (0..10 * rows).map(|row| row / 10).collect::<Vec<usize>>();
        assert!((tens.variance(&blocks(20), &blocks(15)) - expected).abs() < 1e-15);
        let rows: Vec<usize> = (0..200).collect();
        assert!(tens.variance(&rows, &rows[..150]) < expected / 5.0);
    }
}
