//! A tree: questions "is this column at most that?", and at each leaf what the training rows there were like.
//!
//! linfa finds every question. A node's rows are put to it as counts, a weighted row for each cell of a column and each
//! side of what is asked, and it grows a tree of depth one; the same question is found as on the rows themselves (there
//! is a test), at a cost that does not grow with them. We go on from there ourselves, for three things in
//! whole trees of linfa 0.8: two leaves that agree on the likelier class are made one, and just those tell 5 % from
//! 40 %; below the root a cut is passed over where the next row of the whole table has an equal value; and with three
//! classes ties are settled by the order of a randomly seeded map. With two sides nothing depends on that order.
//!
//! What is asked, in a node: of two classes, which; of more, whether it is the node's most frequent one; of numbers,
//! whether they lie above the node's mean. linfa has no regression trees: this is its Gini split on that question,
//! with means in the leaves.
//!
//! **Invariant:** a tree depends on its rows as a multiset and on the choice of columns, on nothing else.
//! Deliberately absent: the encoding (see [`super::cells`]), drawing rows and columns (see [`super::forest`]).

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_trees::{DecisionTree, SplitQuality};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::LearnError;
use super::candidate::Growth;
use super::cells::Cells;

/// A node, with its children after it: first all that is asked after a yes, then all after a no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Node {
    /// A row whose `column` is at most `cut` goes on with the next node, any other with node `otherwise`.
    Ask {
        column: u32,
        cut: f64,
        otherwise: u32,
    },
    /// Training rows of each class.
    Counts(Vec<u32>),
    /// The training rows' mean.
    Mean(f64),
}

/// Nodes from the root on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tree {
    pub nodes: Vec<Node>,
}

/// What the rows are like, by row.
#[derive(Debug, Clone, Copy)]
pub enum Outcomes<'a> {
    Classes { class: &'a [u32], classes: usize },
    Values(&'a [f64]),
}

/// Least gain in Gini impurity that makes a question worth asking; linfa computes in 32 bits, and less than this may
/// be rounding.
const LEAST_GAIN: f64 = 1e-6;

/// Grows a tree on `rows`, in which a row may occur more than once. `choose` picks the columns that one question may
/// be about, ascending.
///
/// # Errors
/// linfa refused the counts.
pub fn grow(
    cells: &Cells,
    outcomes: Outcomes,
    rows: &mut [u32],
    growth: &Growth,
    choose: &mut dyn FnMut() -> Vec<usize>,
) -> Result<Tree, LearnError> {
    // The order of a multiset is not to matter to sums of floats.
    rows.sort_unstable();
    let mut tree = Tree { nodes: Vec::new() };
    let mut grower = Grower {
        cells,
        outcomes,
        growth,
        choose,
        nodes: &mut tree.nodes,
    };
    grower.node(rows, 0)?;
    Ok(tree)
}

struct Grower<'a> {
    cells: &'a Cells,
    outcomes: Outcomes<'a>,
    growth: &'a Growth,
    choose: &'a mut dyn FnMut() -> Vec<usize>,
    nodes: &'a mut Vec<Node>,
}

impl Grower<'_> {
    fn node(&mut self, rows: &mut [u32], depth: u32) -> Result<(), LearnError> {
        let place = self.nodes.len();
        self.nodes.push(leaf(self.outcomes, rows));
        if depth >= self.growth.depth || rows.len() < 2 * self.growth.leaf_rows as usize {
            return Ok(());
        }
        let Some(yes) = sides(self.outcomes, rows) else {
            return Ok(());
        };
        let Some((column, cell)) = self.question(rows, &yes)? else {
            return Ok(());
        };
        let codes = &self.cells.codes[column];
        // Stable, so that both sides stay in the order of rows.
        rows.sort_by_key(|&row| codes[row as usize] > cell);
        let at_most = rows.partition_point(|&row| codes[row as usize] <= cell);
        let (left, right) = rows.split_at_mut(at_most);
        self.node(left, depth + 1)?;
        let otherwise = self.nodes.len() as u32;
        self.node(right, depth + 1)?;
        self.nodes[place] = Node::Ask {
            column: column as u32,
            cut: self.cells.cuts[column][cell as usize],
            otherwise,
        };
        Ok(())
    }

    /// The column and the cell whose upper edge separates `yes` best; the first column of equals.
    fn question(&mut self, rows: &[u32], yes: &[bool]) -> Result<Option<(usize, u8)>, LearnError> {
        let mut best: Option<(usize, u8, f64)> = None;
        for column in (self.choose)() {
            let codes = &self.cells.codes[column];
            let mut counts = vec![[0_u32; 2]; self.cells.cuts[column].len() + 1];
            for (&row, &yes) in rows.iter().zip(yes) {
                counts[codes[row as usize] as usize][usize::from(yes)] += 1;
            }
            let Some((cell, gain)) = split(&counts, self.growth.leaf_rows)? else {
                continue;
            };
            if best.is_none_or(|(_, _, most)| gain > most) {
                best = Some((column, cell, gain));
            }
        }
        Ok(best.map(|(column, cell, _)| (column, cell)))
    }
}

/// linfa's best split of cells in which `counts` rows are on either side: the last cell below it, and its gain.
pub(super) fn split(counts: &[[u32; 2]], leaf_rows: u32) -> Result<Option<(u8, f64)>, LearnError> {
    let mut codes = Vec::with_capacity(2 * counts.len());
    let mut sides = Vec::with_capacity(2 * counts.len());
    let mut weights = Vec::with_capacity(2 * counts.len());
    for (cell, by_side) in counts.iter().enumerate() {
        for (side, &rows) in by_side.iter().enumerate().filter(|(_, rows)| **rows > 0) {
            codes.push(cell as f64);
            sides.push(side == 1);
            weights.push(rows as f32);
        }
    }
    if codes.first() == codes.last() {
        return Ok(None);
    }
    let refused = |cause: &dyn ToString| LearnError::NotFitted {
        candidate: "tree",
        cause: cause.to_string(),
    };
    let records =
        Array2::from_shape_vec((codes.len(), 1), codes).map_err(|cause| refused(&cause))?;
    let data = DatasetBase::new(records, Array1::from(sides)).with_weights(Array1::from(weights));
    let tree = DecisionTree::<f64, bool>::params()
        .split_quality(SplitQuality::Gini)
        .max_depth(Some(1))
        .min_weight_leaf(leaf_rows as f32)
        .min_impurity_decrease(LEAST_GAIN)
        .fit(&data)
        .map_err(|cause| refused(&cause))?;
    // A root that was made a leaf because both sides agree on the likelier class still holds its split; one that
    // found none has gained nothing.
    let (_, cut, gain) = tree.root_node().split();
    Ok((gain >= LEAST_GAIN).then_some((cut as u8, gain)))
}

/// Which rows are a yes to the node's question; `None` if all agree.
fn sides(outcomes: Outcomes, rows: &[u32]) -> Option<Vec<bool>> {
    let yes: Vec<bool> = match outcomes {
        Outcomes::Classes { class, classes } => {
            let counts = counts(class, classes, rows);
            let most = if classes == 2 {
                1
            } else {
                (0..classes).rev().max_by_key(|&class| counts[class])?
            };
            rows.iter()
                .map(|&row| class[row as usize] as usize == most)
                .collect()
        }
        Outcomes::Values(values) => {
            let mean = mean(values, rows);
            rows.iter()
                .map(|&row| values[row as usize] > mean)
                .collect()
        }
    };
    (yes.iter().any(|&yes| yes) && !yes.iter().all(|&yes| yes)).then_some(yes)
}

fn leaf(outcomes: Outcomes, rows: &[u32]) -> Node {
    match outcomes {
        Outcomes::Classes { class, classes } => Node::Counts(counts(class, classes, rows)),
        Outcomes::Values(values) => Node::Mean(mean(values, rows)),
    }
}

fn counts(class: &[u32], classes: usize, rows: &[u32]) -> Vec<u32> {
    let mut counts = vec![0; classes];
    for &row in rows {
        counts[class[row as usize] as usize] += 1;
    }
    counts
}

/// The mean of at least one row; taken from the first value on, so that equal values have themselves as mean.
fn mean(values: &[f64], rows: &[u32]) -> f64 {
    let first = rows.first().map_or(0.0, |&row| values[row as usize]);
    let above: f64 = rows.iter().map(|&row| values[row as usize] - first).sum();
    first + above / rows.len().max(1) as f64
}

impl Tree {
    /// The leaf of row `row` of `columns`.
    pub fn leaf(&self, columns: &[Vec<f64>], row: usize) -> &Node {
        let mut place = 0;
        loop {
            match &self.nodes[place] {
                Node::Ask {
                    column,
                    cut,
                    otherwise,
                } => {
                    place = if columns[*column as usize][row] <= *cut {
                        place + 1
                    } else {
                        *otherwise as usize
                    };
                }
                leaf => return leaf,
            }
        }
    }

    /// Whether what was read from a file can be used: every path ends at a leaf of the right kind. `classes` is 0 for
    /// numbers.
    pub(super) fn is_sound(&self, width: usize, classes: usize) -> bool {
        !self.nodes.is_empty()
            && self
                .nodes
                .iter()
                .enumerate()
                .all(|(place, node)| match node {
                    Node::Ask {
                        column,
                        cut,
                        otherwise,
                    } => {
                        let after = *otherwise as usize;
                        let forward = place + 1 < after && after < self.nodes.len();
                        forward && (*column as usize) < width && cut.is_finite()
                    }
                    Node::Counts(counts) => classes > 0 && counts.len() == classes,
                    Node::Mean(mean) => classes == 0 && mean.is_finite(),
                })
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
