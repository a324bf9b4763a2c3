//! Which cell a number lies in: the question that is asked for every value of every column.
//!
//! A binary search over 255 edges takes eight steps that wait for one another. Instead the number's distance from the
//! outermost edge says where to begin: the first bits of that distance, exponent and all, are a place in a table, and
//! the table has the cell in which numbers of that place begin. Floats are dense near 0, so that the places are narrow
//! near that edge and wide far from it; of the two outermost edges the one is taken that tells the others apart better.
//! What is left is one step for most columns, and never more than a search over all of them.
//!
//! **Invariant:** the place only says where to begin. Both subtraction and bits keep the order of numbers, so that
//! edges of lower places are smaller, those of higher ones larger, and those of the same place are compared: the cell is
//! exact, whatever was rounded on the way to it.

use std::hint::select_unpredictable;

use super::layout::MAX_EDGES;

/// Numbers searched side by side: their steps do not wait for each other.
pub(super) const LANES: usize = 8;
/// Places of the table: enough that few of them hold two of 255 quantiles, few enough to stay in the nearest cache.
const PLACES: usize = 2048;
/// Up to so many edges a table saves nothing.
const FEW: usize = 15;

/// Ascending edges made ready for searching.
#[derive(Debug)]
pub(super) struct Search {
    /// Filled up with +∞ so that the search needs no bounds.
    edges: Box<[f64; MAX_EDGES + 1]>,
    /// Half of the smallest power of two above the number of edges.
    first_step: usize,
    table: Option<Table>,
}

/// Where to begin.
#[derive(Debug)]
struct Table {
    ruler: Ruler,
    /// For each place a cell at or before that of its numbers, by less than twice `first_step`.
    starts: Box<[u8; PLACES]>,
    first_step: usize,
}

/// From numbers to places, in their order or against it.
#[derive(Debug)]
struct Ruler {
    origin: f64,
    /// 1 from the smallest edge upwards, −1 from the largest downwards.
    direction: f64,
    /// The first bits of the first place, and how many bits are not among them.
    lowest: i64,
    shift: u32,
}

impl Search {
    /// `edges` ascend, are finite, and at most [`MAX_EDGES`].
    pub(super) fn new(edges: &[f64]) -> Self {
        let edges = &edges[..edges.len().min(MAX_EDGES)];
        let mut filled = Box::new([f64::INFINITY; MAX_EDGES + 1]);
        filled[..edges.len()].copy_from_slice(edges);
        Self {
            edges: filled,
            first_step: first_step(edges.len()),
            table: Table::new(edges),
        }
    }

    /// The cell of each finite number: how many edges are smaller. Steps select instead of branching: nothing can be
    /// predicted here, and a wrong guess costs more than a whole search.
    #[inline]
    pub(super) fn cells(&self, numbers: &[f64; LANES]) -> [usize; LANES] {
        let (mut found, mut step) = match &self.table {
            Some(table) => (numbers.map(|x| table.start(x)), table.first_step),
            None => ([0; LANES], self.first_step),
        };
        while step > 0 {
            for (found, &x) in found.iter_mut().zip(numbers) {
                let smaller = self.edges[(*found + step - 1) & MAX_EDGES] < x;
                *found += select_unpredictable(smaller, step, 0);
            }
            step /= 2;
        }
        found
    }
}

impl Table {
    /// `None` where it would save too little.
    fn new(edges: &[f64]) -> Option<Self> {
        let (&first, &last) = edges.first().zip(edges.last())?;
        if edges.len() <= FEW {
            return None;
        }
        [(first, 1.0), (last, -1.0)]
            .into_iter()
            .filter_map(|(origin, direction)| {
                Self::of(edges, Ruler::new(edges, origin, direction)?)
            })
            .min_by_key(|table| table.first_step)
            .filter(|table| table.first_step < first_step(edges.len()))
    }

    fn of(edges: &[f64], ruler: Ruler) -> Option<Self> {
        let mut held = [0; PLACES];
        for &edge in edges {
            held[ruler.place(edge)] += 1;
        }
        let first_step = first_step(held.iter().copied().max()?);
        // So that no step looks beyond the last edge.
        let latest = MAX_EDGES + 1 - (2 * first_step).max(1);
        let mut starts = Box::new([0; PLACES]);
        let mut smaller = 0;
        for step in 0..PLACES {
            let place = if ruler.direction > 0.0 {
                step
            } else {
                PLACES - 1 - step
            };
            starts[place] = u8::try_from(smaller.min(latest)).ok()?;
            smaller += held[place];
        }
        Some(Self {
            ruler,
            starts,
            first_step,
        })
    }

    #[inline]
    fn start(&self, x: f64) -> usize {
        usize::from(self.starts[self.ruler.place(x)])
    }
}

impl Ruler {
    /// Of which the edge nearest to the origin, and the farthest one, have places of their own. `None` when all edges
    /// are at the origin.
    fn new(edges: &[f64], origin: f64, direction: f64) -> Option<Self> {
        let distances = edges.iter().map(|edge| (edge - origin) * direction);
        // As integers the bits of positive floats are in the order of the floats.
        let bits = distances
            .filter(|&distance| distance > 0.0)
            .map(f64::to_bits);
        let (nearest, farthest) = (bits.clone().min()?, bits.max()?);
        let places = |shift: u32| (farthest >> shift) - (nearest >> shift);
        let shift = (0..64).find(|&shift| places(shift) <= PLACES as u64 - 3)?;
        Some(Self {
            origin,
            direction,
            lowest: (nearest >> shift) as i64 - 1,
            shift,
        })
    }

    /// Below [`PLACES`].
    #[inline]
    fn place(&self, x: f64) -> usize {
        // Beyond the origin the sign bit is set, which makes the integer negative.
        let bits = ((x - self.origin) * self.direction).to_bits() as i64;
        let place = (bits.max(self.lowest << self.shift) >> self.shift) - self.lowest;
        (place as usize).min(PLACES - 1)
    }
}

/// The first step of a binary search over `edges` edges: the halves down to 1 add up to at least as many.
fn first_step(edges: usize) -> usize {
    (edges + 1).next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Against counting the smaller edges: at all edges, next to them, between and beyond them.
    fn check(edges: &[f64]) -> Search {
        let search = Search::new(edges);
        let mut numbers = vec![
            f64::MIN,
            -1e300,
            -1.0,
            0.0,
            f64::MIN_POSITIVE,
            1.0,
            1e300,
            f64::MAX,
        ];
        for pair in edges.windows(2) {
            numbers.push(pair[0] / 2.0 + pair[1] / 2.0);
        }
        for &edge in edges {
            numbers.extend([
                edge,
                edge.next_down(),
                edge.next_up(),
                edge / 2.0,
                edge + edge.abs(),
            ]);
        }
        numbers.retain(|x| x.is_finite());
        for numbers in numbers.chunks(LANES) {
            let mut lanes = [0.5; LANES];
            lanes[..numbers.len()].copy_from_slice(numbers);
            let smaller = lanes.map(|x| edges.iter().filter(|&&edge| edge < x).count());
            assert_eq!(search.cells(&lanes), smaller, "{lanes:?} in {edges:?}");
        }
        search
    }

    fn quantiles(of: impl Fn(f64) -> f64) -> Vec<f64> {
        (1..=255).map(|i| of(f64::from(i) / 256.0)).collect()
    }

    fn steps(search: &Search) -> usize {
        let table = search.table.as_ref();
        table.map_or(search.first_step, |table| table.first_step)
    }

    #[test]
    fn most_columns_are_left_with_one_step() {
        assert_eq!(steps(&check(&quantiles(|p| p))), 1);
        assert_eq!(steps(&check(&quantiles(|p| 1e9 + (p / (1.0 - p)).ln()))), 1);
        assert_eq!(
            steps(&check(&quantiles(|p| (2.0 * (p / (1.0 - p)).ln()).exp()))),
            1
        );
        assert_eq!(
            steps(&check(&quantiles(|p| -(2.0 * ((1.0 - p) / p).ln()).exp()))),
            1
        );
    }

    #[test]
    fn columns_without_an_order_of_sizes_are_searched_whole_and_right() {
        // Two crowds far apart, and a crowd in the middle.
        let crowds = quantiles(|p| if p < 0.5 { p * 1e-12 } else { 1e3 + p * 1e-9 });
        assert!(steps(&check(&crowds)) > 8);
        check(&quantiles(|p| (p - 0.5).powi(9)));
    }

    #[test]
    fn edges_as_far_apart_as_floats_are() {
        check(&[]);
        check(&[0.0]);
        check(&[f64::MIN, f64::MAX]);
        check(&quantiles(|p| (p - 0.5) * 2.0 * f64::MAX));
        check(&quantiles(|p| (p * 256.0) * f64::from_bits(1)));
        let tiny = (0..255).map(|i| f64::from_bits(0x3ff0_0000_0000_0000 + i));
        check(&tiny.collect::<Vec<_>>());
        let mut scattered = quantiles(|p| (p * 600.0).exp());
        scattered[0] = f64::MIN;
        check(&scattered);
    }

    proptest! {
        #[test]
        fn a_cell_counts_smaller_edges(
            mut edges in prop_oneof![
                prop::collection::vec((-50i32..50).prop_map(f64::from), 0..=255),
                prop::collection::vec(-1.0..1.0f64, 0..=255),
                prop::collection::vec(any::<f64>().prop_filter("finite", |x| x.is_finite()), 0..=255),
            ],
        ) {
            edges.sort_unstable_by(f64::total_cmp);
            edges.dedup();
            check(&edges);
        }
    }
}
