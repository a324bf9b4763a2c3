//! One column of a reference, made ready for comparison.

use super::Reference;
use super::evidence::{Evidence, Ranks};
use super::fitted::Unseen;
use super::overdispersion::{self, Overdispersion};
use crate::profile::{
    CategoricalProfile, Cells, ColumnProfile, LayoutColumn, Missing, NumericCells, NumericProfile,
};
use crate::stats::bins::Binning;
use crate::stats::mean_shift::Moments;
use crate::stats::wasserstein::Support;

/// A column's bins, counts, blocks and moments.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub binning: Binning,
    /// Names of the bins; one more than `binning` has where `constant` needs it.
    pub labels: Vec<String>,
    pub evidence: Evidence,
    pub overdispersion: Option<Overdispersion>,
    /// Numeric columns with a finite value.
    pub moments: Option<Moments>,
    /// (finite rows, mean) of each block.
    pub block_moments: Vec<(f64, f64)>,
    /// The reference's only finite value, and its cell: rows of a window that left the value without leaving the cell
    /// are counted apart, or a constant could move unseen.
    constant: Option<(f64, usize)>,
    pub seed: u128,
}

/// Atoms before and after the cells of a numeric column, in ascending rank: what is missing, −∞, below; above, +∞.
const ATOMS_BEFORE: usize = 5;
const ATOMS_AFTER: usize = 2;

impl Prepared {
    /// `bins`: most bins of a numeric column.
    pub fn new(
        reference: &Reference,
        column: &LayoutColumn,
        index: usize,
        bins: usize,
    ) -> Option<Self> {
        let profile = reference.profile.columns.get(index)?;
        let binning = Binning::new(column, profile, bins);
        let blocks: Vec<&ColumnProfile> = reference
            .blocks
            .iter()
            .filter(|block| block.profile.rows > 0)
            .filter_map(|block| block.profile.columns.get(index))
            .collect();
        let mut prepared = Self {
            labels: binning.labels.clone(),
            evidence: Evidence {
                bins: binning.reference_counts.clone(),
                reference: Vec::new(),
                blocks: Vec::new(),
                bin_of_atom: Vec::new(),
                ranks: None,
                fitted_cells: None,
                unseen: None,
            },
            binning,
            overdispersion: None,
            moments: None,
            block_moments: Vec::new(),
            constant: None,
            seed: xxhash_rust::xxh3::xxh3_128(
                format!("{}\n{}", reference.hash, column.name).as_bytes(),
            ),
        };
        match (&column.cells, profile) {
            (Cells::Numeric(cells), ColumnProfile::Numeric(numbers)) => {
                prepared.lay_out_numbers(cells, numbers, &blocks)
            }
            (Cells::Categorical(_), ColumnProfile::Categorical(texts)) => {
                prepared.evidence.unseen = prepared.expected_unseen(texts, profile);
                prepared.evidence.reference = prepared.evidence.bins.clone();
                prepared.evidence.blocks = blocks
                    .iter()
                    .map(|block| prepared.binning.counts(block))
                    .collect();
                prepared.evidence.bin_of_atom = (0..prepared.evidence.bins.len()).collect();
            }
            _ => return None,
        }
        prepared.overdispersion = overdispersion::measure(&prepared.evidence.block_bins());
        Some(prepared)
    }

    /// The unseen share, where it is an estimate and not a count.
    fn expected_unseen(
        &self,
        texts: &CategoricalProfile,
        profile: &ColumnProfile,
    ) -> Option<Unseen> {
        let place = self.labels.len().checked_sub(1)?;
        let expected = self.binning.reference_counts[place];
        let counted = self.binning.counts(profile)[place];
        if expected <= counted {
            return None;
        }
        if let Some(error) = self.binning.expected.error {
            return Unseen::by_luck(place, expected, error, profile.rows());
        }
        let met = |times: u64| texts.cells.iter().filter(|count| **count == times).count();
        Unseen::new(place, expected, met(2) as u64, profile.rows())
    }

    fn lay_out_numbers(
        &mut self,
        cells: &NumericCells,
        numbers: &NumericProfile,
        blocks: &[&ColumnProfile],
    ) {
        let support = support(numbers);
        if let Some(Support { min, max }) = support
            && min == max
        {
            self.constant = Some((min, cells.edges.partition_point(|&edge| edge < min)));
            self.labels.push(format!("not {min}"));
            self.evidence.bins.push(0);
        }
        self.evidence.fitted_cells = Some(self.binning.cell_bins);
        self.evidence.bin_of_atom = self.bins_of_atoms(numbers.cells.len());
        self.evidence.reference = self.atoms(cells, numbers);
        self.evidence.blocks = blocks
            .iter()
            .filter_map(|block| Some(self.atoms(cells, block.numeric()?)))
            .collect();
        self.moments = moments(cells, numbers);
        self.block_moments = blocks
            .iter()
            .filter_map(|block| moments(cells, block.numeric()?).map(|found| (found.n, found.mean)))
            .collect();
        if let Some(support) = support {
            let deviation = self
                .moments
                .map(|moments| moments.deviation)
                .filter(|&deviation| deviation > 0.0);
            let (values, edges) = value_atoms(cells);
            self.evidence.ranks = Some(Ranks::new(values, edges, support, deviation));
        }
    }

    /// The bin of each atom. A special bin is found by asking the binning where a lone row of its kind goes.
    fn bins_of_atoms(&self, cells: usize) -> Vec<usize> {
        let lone = |set: &dyn Fn(&mut NumericProfile)| {
            let mut profile = NumericProfile {
                cells: vec![0; cells],
                ..NumericProfile::default()
            };
            set(&mut profile);
            let counts = self.binning.counts(&ColumnProfile::Numeric(profile));
            counts.iter().position(|&count| count > 0).unwrap_or(0)
        };
        let mut bins = vec![
            lone(&|p| {
                p.missing = Missing {
                    null: 1,
                    ..Missing::default()
                }
            }),
            lone(&|p| {
                p.missing = Missing {
                    wrong_type: 1,
                    ..Missing::default()
                }
            }),
            lone(&|p| p.nan = 1),
            lone(&|p| p.negative_infinity = 1),
            lone(&|p| p.below = 1),
        ];
        bins.extend(self.binning.bin_of_cell.iter().map(|&bin| usize::from(bin)));
        bins.extend([lone(&|p| p.above = 1), lone(&|p| p.positive_infinity = 1)]);
        if self.constant.is_some() {
            bins.push(self.evidence.bins.len() - 1);
        }
        debug_assert_eq!(
            bins.len(),
            ATOMS_BEFORE + cells + ATOMS_AFTER + usize::from(self.constant.is_some())
        );
        bins
    }

    /// A numeric profile by atom.
    fn atoms(&self, cells: &NumericCells, numbers: &NumericProfile) -> Vec<u64> {
        let mut atoms = vec![
            numbers.missing.empty(),
            numbers.missing.wrong_type,
            numbers.nan,
            numbers.negative_infinity,
            numbers.below,
        ];
        atoms.extend(&numbers.cells);
        atoms.extend([numbers.above, numbers.positive_infinity]);
        if let Some((value, cell)) = self.constant {
            let left = left_the_value(cells, numbers, value, cell);
            atoms[ATOMS_BEFORE + cell] -= left;
            atoms.push(left);
        }
        atoms
    }

    /// A window's counts by atom and by bin; `None` when the profile is of another kind than the column.
    pub fn counts(
        &self,
        column: &LayoutColumn,
        profile: &ColumnProfile,
    ) -> Option<(Vec<u64>, Vec<u64>)> {
        match (&column.cells, profile) {
            (Cells::Numeric(cells), ColumnProfile::Numeric(numbers)) => {
                if numbers.cells.len() != cells.edges.len() + 1 {
                    return None;
                }
                let atoms = self.atoms(cells, numbers);
                let bins = self.evidence.bins_of(&atoms);
                Some((atoms, bins))
            }
            (Cells::Categorical(cells), ColumnProfile::Categorical(texts)) => {
                (texts.cells.len() == cells.categories.len()).then(|| {
                    let bins = self.binning.counts(profile);
                    (bins.clone(), bins)
                })
            }
            _ => None,
        }
    }

    /// The reference by bin, to be compared with a window of these: of unseen categories it is expected to have no more
    /// than the window has.
    pub fn beside(&self, bins: &[u64]) -> Vec<u64> {
        if self.evidence.unseen.is_none() {
            return self.evidence.bins.clone();
        }
        let mut beside = Vec::new();
        self.binning.expected.beside(bins, &mut beside);
        beside
    }

    /// Atoms with the rows that left a constant's value put back into its cell: for statistics that know the
    /// window's smallest and largest value, and so where those rows lie.
    pub fn values_with_left(&self, atoms: &[u64]) -> Vec<u64> {
        let mut atoms = atoms.to_vec();
        if let (Some((_, cell)), Some(left)) = (self.constant, atoms.last().copied()) {
            atoms[ATOMS_BEFORE + cell] += left;
        }
        atoms
    }

    /// Numbers kept, for the cache's bound.
    pub fn size(&self) -> usize {
        (self.evidence.blocks.len() + 4) * self.evidence.reference.len() + 8 * self.labels.len()
    }
}

pub(crate) fn support(numbers: &NumericProfile) -> Option<Support> {
    Some(Support {
        min: numbers.min?,
        max: numbers.max?,
    })
}

/// Moments with the mean taken from the layout's center, which every profile of a column shares: differences of means
/// are what is asked for. `None` where values lie too far out to be in the sums.
pub(crate) fn moments(cells: &NumericCells, numbers: &NumericProfile) -> Option<Moments> {
    (numbers.clipped == 0)
        .then(|| moments_of_summed(cells, numbers))
        .flatten()
}

fn moments_of_summed(cells: &NumericCells, numbers: &NumericProfile) -> Option<Moments> {
    let mean = numbers.summed_from_center(cells)?;
    let deviation = numbers.summed_deviation(cells).unwrap_or(0.0);
    let n = numbers.summed() as f64;
    (mean.is_finite() && deviation.is_finite()).then_some(Moments { n, mean, deviation })
}

/// The atoms that hold finite values, and the edges between them. Only a declared domain has anything below or above.
fn value_atoms(cells: &NumericCells) -> (std::ops::Range<usize>, Vec<f64>) {
    let first = ATOMS_BEFORE;
    let end = first + cells.edges.len() + 1;
    match cells.domain {
        None => (first..end, cells.edges.clone()),
        Some([low, high]) => {
            let inner = cells
                .edges
                .iter()
                .map(|edge| edge.max(low).min(high.max(low)));
            let edges = std::iter::once(low)
                .chain(inner)
                .chain(std::iter::once(high.max(low)))
                .collect();
            (first - 1..end + 1, edges)
        }
    }
}

/// How many rows of the constant's own cell are surely not the constant: all, when every finite value lies on one side
/// of it; else at least as many as it takes to make up the squared distances with rows as far off as the farthest.
fn left_the_value(cells: &NumericCells, numbers: &NumericProfile, value: f64, cell: usize) -> u64 {
    let (Some(min), Some(max)) = (numbers.min, numbers.max) else {
        return 0;
    };
    let in_cell = numbers.cells.get(cell).copied().unwrap_or(0);
    if min > value || max < value {
        return in_cell;
    }
    if min == value && max == value {
        return 0;
    }
    let farthest = (max - value).max(value - min);
    let left = moments_of_summed(cells, numbers).map_or(0.0, |found| {
        let spread = found.deviation / farthest;
        let shift = (found.mean - (value - cells.center)) / farthest;
        // The sample variance has divisor n − 1; the slack takes up rounding.
        (found.n - 1.0).max(0.0) * spread * spread + found.n * shift * shift - 1e-6
    });
    // What lies too far out for the sums is far from the value, too.
    let left = (left.ceil().max(0.0) as u64)
        .saturating_add(numbers.clipped)
        .max(1);
    let elsewhere = numbers.finite() - in_cell;
    left.saturating_sub(elsewhere).min(in_cell)
}
