//! Where bins end: the rules in common use, each as NumPy computes it.

use std::fmt;

/// More bins than this tell nothing and fill the memory: a rule that asks for more (a narrow sample with one value
/// far out) gets this many. NumPy would allocate them all.
pub const MOST_BINS: usize = 100_000;

/// How many bins, and whether they are equally wide or equally full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The sample's quantiles at k/bins, linearly interpolated, equal ones once: each bin holds about as many rows.
    Quantiles(usize),
    /// Equally wide, from the least to the largest value.
    EqualWidth(usize),
    /// Equally wide, ⌈log₂ n + 1⌉ of them. Sturges (1926).
    Sturges,
    /// Sturges with more bins the more skewed the sample is. Doane (1976).
    Doane,
    /// Width 2·IQR/∛n, one bin where the quartiles are equal. Freedman and Diaconis (1981).
    FreedmanDiaconis,
    /// The narrower of Freedman–Diaconis and Sturges, Sturges where the quartiles are equal: NumPy's `auto` up to
    /// version 2.2.
    Auto,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Quantiles(bins) => write!(f, "quantiles of the reference, {bins}"),
            Rule::EqualWidth(bins) => write!(f, "equal width, {bins}"),
            Rule::Sturges => f.write_str("sturges"),
            Rule::Doane => f.write_str("doane"),
            Rule::FreedmanDiaconis => f.write_str("freedman-diaconis"),
            Rule::Auto => f.write_str("auto"),
        }
    }
}

/// The value below which the share `q` of an ascending sample lies: linear between the ranks ⌊(n − 1)·q⌋ and the next
/// (Hyndman and Fan's type 7, NumPy's `linear`, to the last bit). `None` for an empty sample; `q` is held in 0 to 1.
///
/// ```
/// use driftline::stats::histogram::edges::quantile;
/// assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.5], 0.9), Some(4.9));
/// ```
pub fn quantile(ascending: &[f64], q: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let rank = last as f64 * q.clamp(0.0, 1.0);
    let below = (rank.floor() as usize).min(last);
    let (a, b) = (ascending[below], ascending[(below + 1).min(last)]);
    let t = rank - below as f64;
    let width = b - a;
    if !width.is_finite() {
        return Some(a * (1.0 - t) + b * t);
    }
    // From the nearer end, as NumPy does.
    Some(if t >= 0.5 {
        b - width * (1.0 - t)
    } else {
        a + width * t
    })
}

/// The ends of all bins, the outermost included, strictly ascending: `numpy.histogram_bin_edges` for the equally wide
/// rules, `numpy.unique(numpy.quantile(…))` for [`Rule::Quantiles`].
///
/// `ascending` holds finite values only. A constant sample c gives `[c − ½, c + ½]` (`[c]` for quantiles), an empty
/// one `[0, 1]` (`[]`). A range of which bins would be narrower than the numbers' own spacing gets fewer.
///
/// ```
/// use driftline::stats::histogram::{Rule, edges::edges};
/// assert_eq!(edges(Rule::Sturges, &[1.0, 2.0, 2.0, 5.0]), [1.0, 2.333333333333333, 3.6666666666666665, 5.0]);
/// assert_eq!(edges(Rule::Quantiles(4), &[0.0, 0.0, 0.0, 1.0, 3.0]), [0.0, 1.0, 3.0]);
/// ```
pub fn edges(rule: Rule, ascending: &[f64]) -> Vec<f64> {
    if let Rule::Quantiles(bins) = rule {
        let bins = bins.clamp(1, MOST_BINS);
        let mut found: Vec<f64> = (0..=bins)
            .filter_map(|k| quantile(ascending, fraction(k, bins)))
            .collect();
        // Interpolation can step back by a bit.
        found.sort_unstable_by(f64::total_cmp);
        found.dedup();
        return found;
    }
    let (first, last) = ends(ascending);
    let bins = match rule {
        Rule::EqualWidth(bins) => bins.clamp(1, MOST_BINS),
        _ => bins_of_width(last - first, width(rule, ascending)),
    };
    equally_wide(first, last, bins)
}

/// `bins` equally wide bins from `first` to `last`: `numpy.linspace`.
pub(crate) fn equally_wide(first: f64, last: f64, bins: usize) -> Vec<f64> {
    let step = (last - first) / bins as f64;
    let edge = |i: usize| {
        if i == bins {
            last
        } else if step.is_finite() {
            i as f64 * step + first
        } else {
            // The range itself is no number; shares of its ends are.
            let share = i as f64 / bins as f64;
            first * (1.0 - share) + last * share
        }
    };
    let mut found: Vec<f64> = (0..=bins).map(edge).collect();
    found.dedup_by(|next, before| *next <= *before);
    found
}

/// Edges between bins whose outer two are open: `edges` without its ends. A sample for which nothing would be left,
/// because few values fill it, still gets a bin for its least value and one for what lies above; a constant one gets
/// a bin for what lies below, for the constant and for what lies above, so that a constant that moves is seen.
///
/// ```
/// use driftline::stats::histogram::{Rule, edges::{edges, inner}};
/// let sample = [0.0, 0.0, 0.0, 0.0, 1.0];
/// assert_eq!(inner(&edges(Rule::Quantiles(2), &sample), &sample), [1.0]);
/// ```
pub fn inner(edges: &[f64], ascending: &[f64]) -> Vec<f64> {
    let (Some(&least), Some(&largest)) = (ascending.first(), ascending.last()) else {
        return Vec::new();
    };
    if least == largest {
        return vec![least, least.next_up()];
    }
    let between = edges.get(1..edges.len().saturating_sub(1)).unwrap_or(&[]);
    let between: Vec<f64> = between
        .iter()
        .copied()
        .filter(|&edge| least < edge && edge <= largest)
        .collect();
    if !between.is_empty() {
        return between;
    }
    ascending
        .iter()
        .copied()
        .find(|&x| x > least)
        .into_iter()
        .collect()
}

/// Least and largest value, moved apart where they are equal.
fn ends(ascending: &[f64]) -> (f64, f64) {
    match (ascending.first(), ascending.last()) {
        (Some(&first), Some(&last)) if first < last => (first, last),
        (Some(&only), Some(_)) => {
            // Where a half is lost in the number's own spacing, its neighbours are the ends.
            let (below, above) = (only - 0.5, only + 0.5);
            if below < above {
                (below, above)
            } else {
                (only.next_down(), only.next_up())
            }
        }
        _ => (0.0, 1.0),
    }
}

/// The width a rule asks for; 0 where it has none.
fn width(rule: Rule, ascending: &[f64]) -> f64 {
    let (Some(&first), Some(&last)) = (ascending.first(), ascending.last()) else {
        return 0.0;
    };
    let (range, n) = (last - first, ascending.len() as f64);
    let sturges = range / (n.log2() + 1.0);
    let freedman_diaconis = || {
        let quartile = |q| quantile(ascending, q).unwrap_or(0.0);
        2.0 * (quartile(0.75) - quartile(0.25)) * n.powf(-1.0 / 3.0)
    };
    match rule {
        Rule::Quantiles(_) | Rule::EqualWidth(_) => 0.0,
        Rule::Sturges => sturges,
        Rule::Doane if n <= 2.0 => 0.0,
        Rule::Doane => {
            let chance = (6.0 * (n - 2.0) / ((n + 1.0) * (n + 3.0))).sqrt();
            skewness(ascending).map_or(0.0, |skewness| {
                range / (1.0 + n.log2() + (1.0 + skewness.abs() / chance).log2())
            })
        }
        Rule::FreedmanDiaconis => freedman_diaconis(),
        Rule::Auto => match freedman_diaconis() {
            0.0 => sturges,
            width => width.min(sturges),
        },
    }
}

/// ⌈range / width⌉, 1 where there is no width.
fn bins_of_width(range: f64, width: f64) -> usize {
    let bins = (range / width).ceil();
    if width > 0.0 && bins >= 1.0 {
        (bins as usize).min(MOST_BINS)
    } else {
        1
    }
}

/// The mean of ((x − mean)/deviation)³, divisor n. `None` for a constant sample.
fn skewness(ascending: &[f64]) -> Option<f64> {
    let n = ascending.len() as f64;
    // A power of two changes no digit; it keeps the squares of huge numbers finite.
    let largest = ascending.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let unit = if largest > 1e100 {
        2.0_f64.powi(-600)
    } else {
        1.0
    };
    let values = || ascending.iter().map(|x| x * unit);
    let mean = values().sum::<f64>() / n;
    let deviation = (values().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
    (deviation > 0.0).then(|| {
        values()
            .map(|x| ((x - mean) / deviation).powi(3))
            .sum::<f64>()
            / n
    })
}

/// k/bins as `numpy.linspace(0, 1, bins + 1)` has it.
fn fraction(k: usize, bins: usize) -> f64 {
    if k == bins {
        1.0
    } else {
        k as f64 * (1.0 / bins as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sorted::Sorted;
    use proptest::prelude::*;

    const RULES: [Rule; 8] = [
        Rule::Quantiles(10),
        Rule::Quantiles(1),
        Rule::EqualWidth(10),
        Rule::EqualWidth(0),
        Rule::Sturges,
        Rule::Doane,
        Rule::FreedmanDiaconis,
        Rule::Auto,
    ];

    /// A skewed sample: i² mod 101.
    fn squares() -> Vec<f64> {
        let sample: Sorted = (0..60).map(|i| f64::from(i * i % 101)).collect();
        sample.values().to_vec()
    }

    #[test]
    fn numbers_of_bins_agree_with_numpy() {
        // NumPy 2.4.6 (auto: 2.1.3), len(numpy.histogram_bin_edges(x, rule)) − 1.
        let cubes: Vec<f64> = (0..200).map(|i| f64::from(i).powi(3)).collect();
        for (rule, expected) in [
            (Rule::Sturges, [7, 9]),
            (Rule::Doane, [8, 12]),
            (Rule::FreedmanDiaconis, [4, 8]),
            (Rule::Auto, [7, 9]),
            (Rule::EqualWidth(10), [10, 10]),
        ] {
            let bins = [&squares(), &cubes].map(|sample| edges(rule, sample).len() - 1);
            assert_eq!(bins, expected, "{rule}");
        }
    }

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        for rule in RULES {
            let quantiles = matches!(rule, Rule::Quantiles(_));
            let (empty, constant) = (edges(rule, &[]), edges(rule, &[7.0; 3]));
            if quantiles {
                assert_eq!((empty, constant), (vec![], vec![7.0]));
            } else {
                assert_eq!((empty[0], *empty.last().expect("an edge")), (0.0, 1.0));
                assert_eq!(
                    (constant[0], *constant.last().expect("an edge")),
                    (6.5, 7.5)
                );
            }
        }
        // A half is lost beside 10¹⁷.
        assert_eq!(edges(Rule::Sturges, &[1e17]).len(), 2);
        assert_eq!(
            edges(Rule::EqualWidth(2), &[-f64::MAX, f64::MAX]),
            [-f64::MAX, 0.0, f64::MAX]
        );
        // Only three numbers lie in this range.
        let narrow = [1.0, 1.0_f64.next_up().next_up()];
        assert_eq!(edges(Rule::EqualWidth(10), &narrow).len(), 3);
        // One value far out: not 10¹⁵ bins.
        let mut far = vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        far.push(1e15);
        assert_eq!(edges(Rule::FreedmanDiaconis, &far).len(), MOST_BINS + 1);
    }

    #[test]
    fn open_bins_separate_what_a_sample_holds() {
        assert_eq!(inner(&[], &[]), [0.0; 0]);
        assert_eq!(inner(&[7.0], &[7.0, 7.0]), [7.0, 7.0_f64.next_up()]);
        let mostly_one: Vec<f64> = [0.0; 5].into_iter().chain([1.0; 95]).collect();
        assert_eq!(
            inner(&edges(Rule::Quantiles(10), &mostly_one), &mostly_one),
            [1.0]
        );
        let ten: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(inner(&edges(Rule::EqualWidth(3), &ten), &ten), [3.0, 6.0]);
    }

    proptest! {
        // A sample with one value far out has MOST_BINS bins.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn edges_are_ascending_numbers_around_the_sample(values in proptest::collection::vec(any::<f64>(), 0..40)) {
            let sample = Sorted::new(&values).finite().to_vec();
            for rule in RULES {
                let found = edges(rule, &sample);
                prop_assert!(found.iter().all(|x| x.is_finite()), "{rule}: {found:?}");
                prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{rule}: {found:?}");
                if let (Some(least), Some(largest)) = (sample.first(), sample.last()) {
                    prop_assert!(found[0] <= *least && *largest <= *found.last().expect("an edge"), "{rule}: {found:?}");
                }
                let inner = inner(&found, &sample);
                prop_assert!(inner.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }
}
