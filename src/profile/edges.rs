//! Numeric cells and scales: learned from numbers, or fixed for latencies.

use super::layout::{MAX_SHIFT, NumericCells};

/// The sample's largest value is just below 2⁵³ units in sums, and below 2³⁶ units before it is squared.
const SUM_BITS: i32 = 53;
const SQUARE_BITS: i32 = 36;
/// Scales are for the values up to 2²⁰ times the 99.9 % quantile: beyond lie sentinels such as 3.4e38, which would
/// leave no digits for all others.
const SENTINEL_RATIO: f64 = (1u32 << 20) as f64;
/// Distances from the center have at least so many bits, too: a sample far from zero (a time in milliseconds, an
/// account number) has distances that are tiny beside its values, and in units of the values they would all be 0. No
/// more than that, because what lies 2⁴⁶ units from the center is left out of the sums.
const DISTANCE_BITS: i32 = 20;
/// Ratios of about 1.1 that read well: the E24 series of preferred numbers (IEC 60063).
const E24: [&str; 24] = [
    "1.0", "1.1", "1.2", "1.3", "1.5", "1.6", "1.8", "2.0", "2.2", "2.4", "2.7", "3.0", "3.3",
    "3.6", "3.9", "4.3", "4.7", "5.1", "5.6", "6.2", "6.8", "7.5", "8.2", "9.1",
];
/// Latency cells begin at a microsecond and end at ten decades above, at 2.8 hours: 241 edges.
const LATENCY_DECADES_MS: std::ops::Range<i32> = -3..7;

/// At most `most_cells` cells, and scales, that fit `numbers`, of which only those inside the domain count; `None` when
/// there is none.
pub(super) fn learned(
    numbers: &[f64],
    domain: Option<[f64; 2]>,
    most_cells: usize,
) -> Option<NumericCells> {
    let inside = |x: &f64| domain.is_none_or(|[low, high]| (low..=high).contains(x));
    let mut sorted: Vec<f64> = numbers.iter().copied().filter(inside).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let center = *sorted.get(sorted.len().saturating_sub(1) / 2)?;
    let exponent = exponent_above(largest(sorted.iter().copied()));
    let farthest = largest(sorted.iter().map(|x| x - center));
    let mut square_shift = SQUARE_BITS - exponent;
    if farthest > 0.0 {
        square_shift = square_shift.max(DISTANCE_BITS - exponent_above(farthest));
    }
    Some(NumericCells {
        edges: edges(&sorted, most_cells),
        domain,
        center,
        sum_shift: (SUM_BITS - exponent).clamp(-MAX_SHIFT, MAX_SHIFT),
        square_shift: square_shift.clamp(-MAX_SHIFT, MAX_SHIFT),
    })
}

/// Edges for ascending values, not empty.
fn edges(sorted: &[f64], most_cells: usize) -> Vec<f64> {
    let mut edges: Vec<f64> = sorted
        .chunk_by(|a, b| a == b)
        .map(|equal| equal[0])
        .take(most_cells + 1)
        .collect();
    if edges.len() > most_cells {
        // The smallest value that has at least i/most_cells of all values at or below it.
        let quantile = |i: usize| sorted[(i * sorted.len()).div_ceil(most_cells) - 1];
        edges = (1..most_cells).map(quantile).collect();
        edges.dedup();
    }
    // The largest value needs no edge: the last cell is open.
    edges.pop_if(|last| Some(&*last) == sorted.last());
    edges
}

/// The largest absolute value that is no sentinel. There is a value.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    let mut sizes: Vec<f64> = values.map(|x| x.abs().min(f64::MAX)).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    let most = sizes[(sizes.len() * 999).div_ceil(1000) - 1];
    let all = sizes[sizes.len() - 1];
    if most > 0.0 {
        all.min(most * SENTINEL_RATIO)
    } else {
        all
    }
}

/// The smallest e with |x| < 2^e; 0 for x = 0.
fn exponent_above(x: f64) -> i32 {
    let biased = (x.to_bits() >> 52) & 0x7ff;
    if x == 0.0 { 0 } else { biased as i32 - 1022 }
}

/// Fixed cells for latencies in milliseconds, in steps of about a tenth, so that they need no data.
pub(super) fn latency(domain: Option<[f64; 2]>) -> NumericCells {
    let mut texts: Vec<String> = LATENCY_DECADES_MS
        .flat_map(|decade| E24.iter().map(move |number| format!("{number}e{decade}")))
        .collect();
    texts.push(format!("1e{}", LATENCY_DECADES_MS.end));
    // Read from text: powers computed in floats may differ between machines.
    let edges: Vec<f64> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    let exponent = exponent_above(edges[edges.len() - 1]);
    let (sum_shift, square_shift) = (SUM_BITS - exponent, SQUARE_BITS - exponent);
    NumericCells {
        edges,
        domain,
        center: 0.0,
        sum_shift,
        square_shift,
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::MAX_EDGES;
    use super::*;

    fn learn(numbers: impl IntoIterator<Item = f64>) -> NumericCells {
        let numbers: Vec<f64> = numbers.into_iter().collect();
        learned(&numbers, None, MAX_EDGES + 1).expect("there are numbers")
    }

    #[test]
    fn few_distinct_numbers_get_an_edge_each_but_the_largest() {
        let cells = learn([3.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!(cells.edges, [0.0, 1.0]);
        assert_eq!(
            (cells.center, cells.sum_shift, cells.square_shift),
            (1.0, 51, 34)
        );
        let cells = learn((0..256).map(f64::from));
        assert_eq!(cells.edges, (0..255).map(f64::from).collect::<Vec<_>>());
        assert_eq!(learn([7.0]).edges, [0.0; 0]);
    }

    #[test]
    fn many_numbers_get_quantiles() {
        let cells = learn((1..=2560).map(f64::from));
        assert_eq!(
            cells.edges,
            (1..256).map(|i| f64::from(i * 10)).collect::<Vec<_>>()
        );
        let mostly_zero = (0..3000).map(|i| if i < 2000 { 0.0 } else { f64::from(i) });
        let edges = learn(mostly_zero).edges;
        assert_eq!(edges[0], 0.0);
        assert!(edges.len() < 90, "{}", edges.len());
    }

    #[test]
    fn a_sentinel_does_not_spoil_the_scale() {
        let cells = learn((0..2000).map(|i| if i == 0 { 3.4e38 } else { 1.5 }));
        assert_eq!(cells.sum_shift, 53 - 21);
    }

    #[test]
    fn a_spread_far_smaller_than_the_values_keeps_its_digits() {
        let cells = learn((0..2001).map(|i| 1e12 + f64::from(i)));
        // Distances reach 1000, just below 2¹⁰: 20 bits.
        assert_eq!((cells.center, cells.square_shift), (1e12 + 1000.0, 10));
        // A constant has no distance: the value itself is the scale.
        assert_eq!(learn([1e12, 1e12]).square_shift, 36 - 40);
        let wide = learn([-f64::MAX, f64::MAX]);
        assert_eq!(wide.square_shift, 36 - 1000 - 24);
    }

    #[test]
    fn latency_cells_are_fixed() {
        let cells = latency(None);
        assert_eq!(cells.edges.len(), 241);
        assert_eq!(
            (cells.edges[0], cells.edges[1], cells.edges[240]),
            (0.001, 0.0011, 1e7)
        );
        let widest = cells
            .edges
            .windows(2)
            .map(|pair| pair[1] / pair[0])
            .fold(0.0, f64::max);
        assert!(
            cells.edges.is_sorted_by(|a, b| a < b) && widest < 1.16,
            "{widest}"
        );
        assert_eq!((cells.sum_shift, cells.square_shift), (29, 12));
    }
}
