//! How much work a call is, in operations and bytes: what a choice between backends goes by.

use super::histogram;
use super::labels::Labels;
use super::points::Points;
use super::resample;
use super::subgroups::Forms;
use super::worst_slice;

/// A kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    RbfMmd,
    PairwiseDistance,
    Histogram,
    Resample,
    WorstSlice,
}

impl Kernel {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::RbfMmd,
        Self::PairwiseDistance,
        Self::Histogram,
        Self::Resample,
        Self::WorstSlice,
    ];

    /// Stem of its shader and of its twin.
    pub fn name(self) -> &'static str {
        match self {
            Self::RbfMmd => "rbf_mmd",
            Self::PairwiseDistance => "pairwise_distance",
            Self::Histogram => "histogram",
            Self::Resample => "resample",
            Self::WorstSlice => "worst_slice",
        }
    }
}

impl Kernel {
    /// Both forms of the kernel, if it has two.
    pub fn forms(self) -> Option<&'static Forms> {
        match self {
            Self::RbfMmd | Self::PairwiseDistance => None,
            Self::Histogram => Some(&histogram::FORMS),
            Self::Resample => Some(&resample::FORMS),
            Self::WorstSlice => Some(&worst_slice::FORMS),
        }
    }

    /// What a size counts in [`Kernel::work_at`].
    pub fn size_is(self) -> &'static str {
        match self {
            Self::RbfMmd | Self::PairwiseDistance => {
                "rows a side, 32 numbers each, 100 permutations"
            }
            Self::Histogram => "rows of 20 columns",
            Self::Resample => "draws of 20 columns of 10 bins, 10,000 and 1,000 rows",
            Self::WorstSlice => "rows of 12 features",
        }
    }

    /// The work of a call of this size, for shapes that are usual.
    pub fn work_at(self, size: usize) -> Work {
        let size = size as f64;
        match self {
            Self::RbfMmd | Self::PairwiseDistance => Work::pairs(2.0 * size, 32.0, 101.0),
            Self::Histogram => Work::values(20.0 * size, 20.0),
            Self::Resample => Work::draws(size, 20.0, 11_000.0),
            Self::WorstSlice => Work::slices(size, 78.0),
        }
    }
}

/// Operations of a pair besides its coordinates and labellings: the root or the power, masks, sums of rows.
const PAIR_OPERATIONS: f64 = 20.0;
/// Halvings of a search among 256.
const SEARCH: f64 = 8.0;
/// A random word and its bin.
const DRAW: f64 = 40.0;
/// The comparisons of a bin's two counts.
const COMPARE: f64 = 50.0;

/// Operations and bytes of a call. Operations are those of the definition, each the same for both backends; a backend
/// that needs fewer is simply faster.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Work {
    pub operations: f64,
    pub bytes_up: f64,
    pub bytes_down: f64,
}

impl Work {
    pub fn of_pairs(points: &Points, labels: &Labels) -> Self {
        Self::pairs(
            points.rows() as f64,
            points.dims() as f64,
            labels.count() as f64,
        )
    }

    /// Three operations a coordinate of a pair, two a labelling.
    fn pairs(rows: f64, dims: f64, labellings: f64) -> Self {
        let pairs = rows * (rows - 1.0).max(0.0) / 2.0;
        Self {
            operations: pairs * (3.0 * dims + PAIR_OPERATIONS + 2.0 * labellings),
            bytes_up: 4.0 * rows * dims + rows * labellings / 8.0,
            bytes_down: 8.0 * (rows + labellings),
        }
    }

    pub fn of_histogram(columns: &[histogram::Column<'_>]) -> Self {
        let values: f64 = columns
            .iter()
            .map(|column| column.values.len() as f64)
            .sum();
        Self::values(values, columns.len() as f64)
    }

    fn values(values: f64, columns: f64) -> Self {
        Self {
            operations: values * SEARCH,
            bytes_up: 8.0 * values + 2064.0 * columns,
            bytes_down: 4.0 * f64::from(histogram::STRIDE) * columns,
        }
    }

    pub fn of_resample(plan: &resample::Plan) -> Self {
        Self::draws(
            f64::from(plan.draws()),
            plan.columns() as f64,
            plan.rows_of_a_draw(),
        )
    }

    fn draws(draws: f64, columns: f64, rows: f64) -> Self {
        Self {
            operations: draws * columns * (rows * DRAW + f64::from(resample::BINS) * COMPARE),
            bytes_up: 4.0 * f64::from(resample::BINS) * columns,
            bytes_down: 4.0 * f64::from(resample::SCORES) * columns * draws,
        }
    }

    pub fn of_slices(rows: &worst_slice::Rows) -> Self {
        Self::slices(rows.rows() as f64, rows.pairs() as f64)
    }

    fn slices(rows: f64, pairs: f64) -> Self {
        Self {
            operations: rows * pairs,
            // Pairs are nearly half the square of the features.
            bytes_up: rows * ((2.0 * pairs).sqrt() + 0.25),
            bytes_down: 4.0 * f64::from(worst_slice::CELLS) * pairs,
        }
    }
}
