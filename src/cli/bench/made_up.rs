//! Made-up rows whose distribution is known, counted as a service counts them.
//!
//! **Invariant:** rows are a function of the generator. A layout is learned from the reference's own rows, so every
//! fresh reference has edges and categories of its own, as in service.

use std::sync::Arc;

use anyhow::Context as _;
use arrow::array::{ArrayRef, Float64Array, StringArray};
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;

use crate::event::{Batch, Column, DAY, Span, State};
use crate::profile::{ColumnRules, CompiledLayout, Field, Layout, Observed, Profile, Sample};
use crate::reference::{Block, Reference};

/// The column's name.
pub const COLUMN: &str = "x";

/// What the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Standard normal numbers.
    Numbers,
    /// This many categories, the k-th with a share in proportion to 1/k: few frequent ones and many rare.
    Categories(usize),
}

/// A change of the rows of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shift {
    None,
    /// Numbers move up by so many standard deviations.
    Deviations(f64),
    /// So large a share of the rows leaves the most frequent category for the second.
    Share(f64),
}

/// Rows of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    Numbers(Vec<f64>),
    /// Places of categories.
    Texts(Vec<u32>),
}

impl Kind {
    /// `rows` independent rows.
    pub fn draw(self, rows: usize, shift: Shift, rng: &mut Pcg64Mcg) -> Rows {
        match self {
            Kind::Numbers => {
                let by = if let Shift::Deviations(by) = shift {
                    by
                } else {
                    0.0
                };
                let mut normal = || -> f64 { StandardNormal.sample(rng) };
                Rows::Numbers((0..rows).map(|_| by + normal()).collect())
            }
            Kind::Categories(categories) => {
                let ends = self.ends(categories, shift);
                let draw = || {
                    let u = uniform(rng);
                    let at = ends.partition_point(|&end| end <= u);
                    at.min(categories.saturating_sub(1)) as u32
                };
                Rows::Texts(std::iter::repeat_with(draw).take(rows).collect())
            }
        }
    }

    /// Where each category's share ends.
    fn ends(self, categories: usize, shift: Shift) -> Vec<f64> {
        let mut shares: Vec<f64> = (1..=categories).map(|k| 1.0 / k as f64).collect();
        let sum: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum);
        if let (Shift::Share(by), [first, second, ..]) = (shift, shares.as_mut_slice()) {
            let by = by.min(*first);
            *first -= by;
            *second += by;
        }
        let mut end = 0.0;
        shares
            .into_iter()
            .map(|share| {
                end += share;
                end
            })
            .collect()
    }
}

/// A uniform number in [0, 1) of 53 bits.
pub fn uniform(rng: &mut Pcg64Mcg) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A reference of these blocks, with the layout learned from them; one block has no times.
///
/// # Errors
/// When there is no block.
pub fn reference(blocks: &[Rows]) -> anyhow::Result<(Layout, Reference)> {
    let mut sample = Sample::new();
    for block in blocks {
        match block {
            Rows::Numbers(numbers) => {
                for &number in numbers {
                    sample.observe(&Field::Feature, COLUMN, Observed::Number(number));
                    sample.row();
                }
            }
            Rows::Texts(texts) => {
                for &text in texts {
                    let name = name(text);
                    sample.observe(&Field::Feature, COLUMN, Observed::Text(&name));
                    sample.row();
                }
            }
        }
    }
    let rules = ColumnRules {
        exclude: vec!["latency_ms".to_owned()],
        ..ColumnRules::default()
    };
    let layout = Layout::learn(&sample, &rules);
    let timed = blocks.len() > 1;
    let blocks = (0..)
        .zip(blocks)
        .map(|(day, rows)| {
            Ok(Block {
                span: timed.then(|| Span::new(day * DAY, (day + 1) * DAY)),
                profile: profile(&layout, rows)?,
            })
        })
        .collect::<anyhow::Result<Vec<Block>>>()?;
    let reference = Reference::from_blocks("made up", "made up", &layout, blocks)?;
    Ok((layout, reference))
}

/// The rows, counted.
///
/// # Errors
/// When the layout has not one column.
pub fn profile(layout: &Layout, rows: &Rows) -> anyhow::Result<Profile> {
    anyhow::ensure!(layout.columns.len() == 1, "the layout has one column");
    let (values, count): (ArrayRef, usize) = match rows {
        Rows::Numbers(numbers) => {
            let array = Float64Array::from_iter_values(numbers.iter().copied());
            (Arc::new(array), numbers.len())
        }
        Rows::Texts(texts) => {
            let array = StringArray::from_iter_values(texts.iter().map(|text| name(*text)));
            (Arc::new(array), texts.len())
        }
    };
    let batch = Batch {
        offsets: vec![0; count],
        ts: vec![0; count],
        columns: vec![Column {
            values,
            states: vec![State::Value as u8; count],
        }],
        ..Batch::default()
    };
    let mut profile = Profile::new(layout);
    let all: Vec<u32> = (0..u32::try_from(count).context("fewer rows than 2³²")?).collect();
    profile.update(&CompiledLayout::new(Arc::new(layout.clone())), &batch, &all);
    Ok(profile)
}

fn name(category: u32) -> String {
    format!("c{category}")
}

/// Counts of both sides in `bins` bins whose edges are the reference's quantiles, or by category.
pub fn counts(reference: &Rows, current: &Rows, bins: usize) -> (Vec<u64>, Vec<u64>) {
    match (reference, current) {
        (Rows::Numbers(reference), Rows::Numbers(current)) => {
            let mut sorted = reference.clone();
            sorted.sort_by(f64::total_cmp);
            let edges: Vec<f64> = (1..bins)
                .filter_map(|i| sorted.get((i * sorted.len() / bins).max(1) - 1).copied())
                .collect();
            let count = |numbers: &[f64]| {
                let mut counts = vec![0; edges.len() + 1];
                for &number in numbers {
                    counts[edges.partition_point(|&edge| edge < number)] += 1;
                }
                counts
            };
            (count(reference), count(current))
        }
        (Rows::Texts(reference), Rows::Texts(current)) => {
            let most = reference
                .iter()
                .chain(current)
                .max()
                .map_or(0, |most| *most as usize);
            let count = |texts: &[u32]| {
                let mut counts = vec![0; most + 1];
                for &text in texts {
                    counts[text as usize] += 1;
                }
                counts
            };
            (count(reference), count(current))
        }
        _ => (Vec::new(), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_reference_has_edges_of_its_own_and_every_row_is_counted() {
        let mut rng = Pcg64Mcg::new(1);
        for kind in [Kind::Numbers, Kind::Categories(7)] {
            let rows = kind.draw(500, Shift::None, &mut rng);
            let (layout, reference) = reference(&[rows.clone(), rows.clone()]).expect("blocks");
            assert_eq!(reference.profile.rows, 1_000);
            assert_eq!(reference.blocks.len(), 2);
            assert_eq!(profile(&layout, &rows).expect("counted").rows, 500);
            let (a, b) = counts(&rows, &rows, 10);
            assert_eq!(a, b);
            assert_eq!(a.iter().sum::<u64>(), 500);
        }
    }

    #[test]
    fn shifts_move_what_they_say() {
        let mut rng = Pcg64Mcg::new(2);
        let Rows::Numbers(moved) = Kind::Numbers.draw(20_000, Shift::Deviations(0.5), &mut rng)
        else {
            panic!("numbers")
        };
        let mean = moved.iter().sum::<f64>() / 20_000.0;
        assert!((mean - 0.5).abs() < 0.04, "{mean}");
        let Rows::Texts(moved) = Kind::Categories(2).draw(20_000, Shift::Share(0.1), &mut rng)
        else {
            panic!("texts")
        };
        // Shares of 2/3 and 1/3 before.
        let second = moved.iter().filter(|text| **text == 1).count() as f64 / 20_000.0;
        assert!((second - 0.4333).abs() < 0.02, "{second}");
    }
}
