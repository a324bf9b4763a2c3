//! The two-sample Kolmogorov–Smirnov test on rows: the distance, where it lies, and p-values exact and asymptotic.

use super::kolmogorov;
use super::sorted::{Sorted, walk};

/// Up to this many rows on either side [`Method::Auto`] computes the exact p-value, as SciPy does.
const EXACT_UP_TO: usize = 10_000;
/// Least common multiples of the sizes from here on have no exact p-value, as in SciPy.
const LARGEST_MULTIPLE: u128 = i32::MAX as u128;
/// Cells of the lattice that an exact p-value may visit: about half a second.
const LARGEST_LATTICE: f64 = 2.5e8;

/// Which way the distribution functions differ under the alternative, F the reference's and G the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alternative {
    /// F ≠ G: D = sup |F − G|.
    TwoSided,
    /// F > G somewhere, the current values are larger: D⁺ = sup (F − G). SciPy's `greater`.
    Greater,
    /// F < G somewhere, the current values are smaller: D⁻ = sup (G − F). SciPy's `less`.
    Less,
}

/// How a p-value is to be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Exact up to 10,000 rows on either side, else asymptotic.
    Auto,
    /// Exact where the sizes allow it (see [`Ks::p_value`]), else asymptotic.
    Exact,
    Asymptotic,
}

/// A p-value and whether it is exact for continuous, independent rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PValue {
    pub value: f64,
    pub exact: bool,
}

/// The largest gap between two empirical distribution functions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ks {
    /// The gap, 0 to 1.
    pub distance: f64,
    /// The value at which the gap is reached; the first in the reference's ascending values followed by the current
    /// ones'. May be infinite when a sample holds ±∞.
    pub location: f64,
    /// 1 where F − G is positive at `location`, −1 where it is negative; 1 for no gap.
    pub sign: i8,
    pub alternative: Alternative,
    pub n_reference: usize,
    pub n_current: usize,
    /// The gap times the least common multiple of the sizes: a whole number.
    steps: u128,
}

/// D = sup |F(x) − G(x)| over the rows, with F and G counting values ≤ x. Share, 0 to 1; unit-free.
///
/// Ties and ±∞ are values like any other. `None` where a sample is empty. One walk over both samples.
/// Source: Smirnov (1939); location and sign as `scipy.stats.ks_2samp` reports them.
///
/// ```
/// use driftline::stats::{ks_exact::ks, sorted::Sorted};
/// let found = ks(&Sorted::new(&[0.1, 0.4, 0.35, 0.8, 1.2]), &Sorted::new(&[0.2, 0.9, 1.5, 1.1, 2.4])).unwrap();
/// assert!((found.distance - 0.6).abs() < 1e-12);
/// assert_eq!((found.location, found.sign), (0.8, 1));
/// ```
pub fn ks(reference: &Sorted, current: &Sorted) -> Option<Ks> {
    one_sided_or_both(reference, current, Alternative::TwoSided)
}

/// [`ks`] in the direction of `alternative`.
///
/// ```
/// use driftline::stats::{ks_exact::{Alternative, one_sided_or_both}, sorted::Sorted};
/// let (a, b) = (Sorted::new(&[1.0, 2.0, 3.0]), Sorted::new(&[2.5, 3.5]));
/// let less = one_sided_or_both(&a, &b, Alternative::Less).unwrap();
/// assert_eq!((less.distance, less.sign), (0.0, -1));
/// ```
pub fn one_sided_or_both(
    reference: &Sorted,
    current: &Sorted,
    alternative: Alternative,
) -> Option<Ks> {
    let (a, b) = (reference.values(), current.values());
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let [highest, lowest] = extremes(a, b);
    let (sign, extreme, place) = match alternative {
        Alternative::Greater => (1, highest, location(a, b, highest)),
        Alternative::Less => (-1, lowest, location(a, b, lowest)),
        Alternative::TwoSided if highest.gap != -lowest.gap => {
            let (sign, extreme) = if highest.gap > -lowest.gap {
                (1, highest)
            } else {
                (-1, lowest)
            };
            (sign, extreme, location(a, b, extreme))
        }
        // Equal gaps both ways: SciPy compares the floats F − G, which may differ in the last bit.
        Alternative::TwoSided => {
            let (up, down) = (location(a, b, highest), location(a, b, lowest));
            if -down.difference > up.difference {
                (-1, lowest, down)
            } else {
                (1, highest, up)
            }
        }
    };
    let steps = u128::from(extreme.gap.unsigned_abs());
    let divisor = gcd(a.len() as u128, b.len() as u128);
    Some(Ks {
        distance: steps as f64 / (a.len() as f64 * b.len() as f64),
        location: place.value,
        sign,
        alternative,
        n_reference: a.len(),
        n_current: b.len(),
        steps: steps / divisor,
    })
}

/// Steps of a walk whose extremes are looked at together.
const STRETCH: usize = 256;

/// The largest gap one way, and a part of the walk outside of which it is not reached.
#[derive(Debug, Clone, Copy, Default)]
struct Extreme {
    gap: i64,
    /// How many values of either side were passed before and after that part.
    from: [usize; 2],
    to: [usize; 2],
}

impl Extreme {
    fn note(&mut self, gap: i64, from: [usize; 2], to: [usize; 2]) {
        if gap.abs() > self.gap.abs() {
            *self = Self { gap, from, to };
        } else if gap == self.gap {
            self.to = to;
        }
    }
}

/// Of F − G the highest and the lowest, 0 where they do not go that way.
fn extremes(a: &[f64], b: &[f64]) -> [Extreme; 2] {
    let (n, m) = (a.len() as i64, b.len() as i64);
    let mut found = [Extreme::default(); 2];
    let (mut high, mut low, mut from, mut steps) = (0, 0, [0, 0], 0);
    let mut before = f64::NEG_INFINITY;
    walk(a, b, |x, i, j| {
        if steps == STRETCH {
            found[0].note(high, from, [i, j]);
            found[1].note(low, from, [i, j]);
            (high, low, from, steps) = (0, 0, [i, j], 0);
        }
        steps += 1;
        let here = if x > before { gap(i, j, n, m) } else { 0 };
        high = high.max(here);
        low = low.min(here);
        before = x;
    });
    found[0].note(high, from, [a.len(), b.len()]);
    found[1].note(low, from, [a.len(), b.len()]);
    found
}

/// A value of the samples and F − G there.
struct Place {
    value: f64,
    difference: f64,
    in_reference: bool,
}

/// Where an extreme gap is reached. Of several places the one whose floats differ most, as NumPy's `argmax` and `argmin`
/// choose; of equal ones the first of the reference's values, then of the current ones'.
fn location(a: &[f64], b: &[f64], extreme: Extreme) -> Place {
    let (n, m) = (a.len() as i64, b.len() as i64);
    let direction = if extreme.gap < 0 { -1.0 } else { 1.0 };
    // The last value that a walk has passed, and whether it is one of `a`.
    let passed = |i: usize, j: usize| {
        let before = |values: &[f64], at: usize| at.checked_sub(1).map(|at| values[at]);
        let (x, y) = (before(a, i), before(b, j));
        let value = x.into_iter().chain(y).reduce(f64::max)?;
        Some((value, x == Some(value)))
    };
    let mut best: Option<Place> = None;
    let mut consider = |i: usize, j: usize| {
        let Some((value, in_reference)) = passed(i, j) else {
            return;
        };
        let difference = i as f64 / n as f64 - j as f64 / m as f64;
        let better = best.as_ref().is_none_or(|best| {
            direction * difference > direction * best.difference
                || (difference == best.difference && in_reference && !best.in_reference)
        });
        if better {
            best = Some(Place {
                value,
                difference,
                in_reference,
            });
        }
    };
    let ([i0, j0], [i1, j1]) = (extreme.from, extreme.to);
    let mut value = passed(i0, j0).map_or(f64::NEG_INFINITY, |(value, _)| value);
    walk(&a[i0..i1], &b[j0..j1], |x, i, j| {
        let (i, j) = (i0 + i, j0 + j);
        if gap(i, j, n, m) == extreme.gap && x > value {
            consider(i, j);
        }
        value = x;
    });
    if extreme.gap == 0 {
        consider(a.len(), b.len());
    }
    best.unwrap_or(Place {
        value: a[0],
        difference: 0.0,
        in_reference: true,
    })
}

/// F − G after i and j values, in steps of 1/(nm). Samples that fit into a memory have a product that fits into 63
/// bits.
fn gap(i: usize, j: usize, n: i64, m: i64) -> i64 {
    (i as i64)
        .wrapping_mul(m)
        .wrapping_sub((j as i64).wrapping_mul(n))
}

impl Ks {
    /// The chance of a gap at least this large when both samples come from one continuous distribution, rows
    /// independent. With ties it is too large, never too small. `None` where the asymptotic form has no sample to speak
    /// of: round(nm/(n + m)) = 0.
    ///
    /// Exact: all orders of the pooled rows are counted, by a closed product for equal sizes and else by walking a
    /// lattice (Viehmann, *Numerically More Stable Computation of the p-Values for the Two-Sample Kolmogorov–Smirnov
    /// Test*, 2021). It falls back to the asymptotic form where the sizes' least common multiple reaches 2³¹ − 1, as
    /// SciPy does, or the lattice would have more than 2.5e8 cells. Asymptotic: P(D_N ≥ d) of the one-sample statistic
    /// at N = round(nm/(n + m)); one-sided Hodges' correction of exp(−2z²).
    ///
    /// ```
    /// use driftline::stats::{ks_exact::{Method, ks}, sorted::Sorted};
    /// let found = ks(&Sorted::new(&[1.0; 20]), &Sorted::new(&[2.0; 10])).unwrap();
    /// // scipy.stats.ks_2samp(…, method='exact')
    /// assert!((found.p_value(Method::Exact).unwrap().value / 6.656_678_320_846_238e-8 - 1.0).abs() < 1e-9);
    /// ```
    pub fn p_value(&self, method: Method) -> Option<PValue> {
        let largest = self.n_reference.max(self.n_current);
        let exact = match method {
            Method::Asymptotic => None,
            Method::Auto if largest > EXACT_UP_TO => None,
            Method::Auto | Method::Exact => self.exact_p(),
        };
        match exact {
            Some(value) => Some(PValue { value, exact: true }),
            None => self.asymptotic_p().map(|value| PValue {
                value,
                exact: false,
            }),
        }
    }

    fn asymptotic_p(&self) -> Option<f64> {
        let (n, m) = (self.n_reference as f64, self.n_current as f64);
        let (smaller, larger) = (n.min(m), n.max(m));
        let size = smaller * (larger / (n + m));
        if self.alternative != Alternative::TwoSided {
            let z = size.sqrt() * self.distance;
            // Hodges, *The Significance Probability of the Smirnov Two-Sample Test* (1958), eq. 5.3.
            let correction = (larger + 2.0 * smaller) / (smaller * larger * (n + m)).sqrt() / 3.0;
            return Some((-2.0 * z * z - 2.0 * z * correction).exp().clamp(0.0, 1.0));
        }
        let size = size.round_ties_even();
        (size >= 1.0).then(|| kolmogorov::two_sided_tail(self.distance, size))
    }

    fn exact_p(&self) -> Option<f64> {
        if self.steps == 0 {
            return Some(1.0);
        }
        let two_sided = self.alternative == Alternative::TwoSided;
        if self.n_reference == self.n_current {
            let (n, h) = (self.n_reference as f64, self.steps as f64);
            return Some(if two_sided {
                outside_square(n, h)
            } else {
                // C(2n, n − h)/C(2n, n).
                falling_ratio(n, 0.0, h)
            });
        }
        let (long, short) = (
            self.n_reference.max(self.n_current) as u128,
            self.n_reference.min(self.n_current) as u128,
        );
        let multiple = long / gcd(long, short) * short;
        if multiple >= LARGEST_MULTIPLE {
            return None;
        }
        let share = self.steps as f64 / multiple as f64;
        let width = if two_sided {
            (2.0 * share * short as f64 + 1.0).min(short as f64)
        } else {
            short as f64
        };
        (width * long as f64 <= LARGEST_LATTICE)
            .then(|| outside_lattice(long, short, self.steps, two_sided).clamp(0.0, 1.0))
    }
}

/// 2·Σₖ (−1)^(k+1)·C(2n, n − kh)/C(2n, n): n rows on both sides, nested so that nothing cancels.
/// Source: Gnedenko and Korolyuk (1951).
fn outside_square(n: f64, h: f64) -> f64 {
    let mut p = 0.0;
    let mut k = (n / h).floor();
    while k >= 0.0 {
        p = falling_ratio(n, k * h, h) * (1.0 - p);
        k -= 1.0;
    }
    (2.0 * p).clamp(0.0, 1.0)
}

/// C(2n, n − from − h)/C(2n, n − from).
fn falling_ratio(n: f64, from: f64, h: f64) -> f64 {
    let mut ratio = 1.0;
    let mut j = 0.0;
    while j < h {
        ratio *= (n - from - j) / (n + from + j + 1.0);
        // Once it is nothing it stays nothing.
        if ratio <= 0.0 {
            return 0.0;
        }
        j += 1.0;
    }
    ratio
}

/// The chance that a random path from (0, 0) to (`long`, `short`) touches |x/long − y/short|·lcm ≥ `steps` (x/long −
/// y/short alone when one-sided). Each cell is a mean of chances, so that nothing cancels however small the result.
fn outside_lattice(long: u128, short: u128, steps: u128, two_sided: bool) -> f64 {
    let divisor = gcd(long, short);
    // A path leaves at (x, y) where |x·a − y·b| ≥ steps.
    let (a, b) = ((short / divisor) as i64, (long / divisor) as i64);
    let (long, short, steps) = (long as i64, short as i64, steps as i64);
    // Inside are the y with x·a − steps < y·b < x·a + steps.
    let inside = |x: i64| {
        let first = (x * a - steps).div_euclid(b) + 1;
        let end = if two_sided {
            (x * a + steps - 1).div_euclid(b) + 1
        } else {
            short + 1
        };
        (first.max(0), end.min(short + 1))
    };
    // Chances of column x − 1: 1 above its window, which only moves up.
    let mut column = vec![1.0; (short + 1) as usize];
    let (_, end) = inside(0);
    column[..end as usize].fill(0.0);
    for x in 1..=long {
        let (first, end) = inside(x);
        if first >= end {
            return 1.0;
        }
        // What lies below the window has left.
        let mut below = if first == 0 { 0.0 } else { 1.0 };
        let column_x = x as f64;
        for (y, cell) in (first..end).zip(&mut column[first as usize..end as usize]) {
            let share = column_x / (column_x + y as f64);
            below = *cell * share + below * (1.0 - share);
            *cell = below;
        }
    }
    column[short as usize]
}

fn gcd(a: u128, b: u128) -> u128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows (i·`step`) mod `n` + `shift`: all different.
    fn rows(n: usize, step: usize, shift: f64) -> Sorted {
        (0..n).map(|i| ((i * step) % n) as f64 + shift).collect()
    }

    #[test]
    fn sizes_out_of_reach_fall_back() {
        // lcm(60,000, 59,999) is above 2³¹.
        let found = ks(&rows(60_000, 7, 0.0), &rows(59_999, 11, 30.0)).expect("rows");
        let p = found.p_value(Method::Exact).expect("p");
        assert!(!p.exact);
        assert_eq!(Some(p), found.p_value(Method::Asymptotic));
        assert_eq!(Some(p), found.p_value(Method::Auto));
        // Equal sizes have a closed product at any size.
        let found = ks(&rows(60_000, 7, 0.0), &rows(60_000, 7, 30.0)).expect("rows");
        assert!(found.p_value(Method::Exact).expect("p").exact);
    }

    #[test]
    fn edge_cases_have_a_documented_outcome() {
        let empty = Sorted::default();
        let one = Sorted::new(&[1.0]);
        assert_eq!(ks(&empty, &one), None);
        assert_eq!(ks(&one, &empty), None);
        let found = ks(&one, &Sorted::new(&[2.0])).expect("rows");
        assert_eq!(found.distance, 1.0);
        assert_eq!(found.p_value(Method::Asymptotic), None);
        assert_eq!(found.p_value(Method::Auto).expect("p").value, 1.0);
        let infinite = Sorted::new(&[f64::NEG_INFINITY, f64::INFINITY, f64::INFINITY]);
        let found = ks(&infinite, &Sorted::new(&[0.0, 1.0])).expect("rows");
        assert_eq!((found.location, found.sign), (1.0, -1));
        assert!((found.distance - 2.0 / 3.0).abs() < 1e-15);
    }

    /// Every order of five and four rows, counted.
    #[test]
    fn exact_p_values_are_shares_of_all_orders() {
        let (n, m) = (5_usize, 4_usize);
        for (steps, two_sided) in (1..=20).flat_map(|h| [(h, true), (h, false)]) {
            let mut out = 0;
            let mut all = 0;
            for order in 0_u32..1 << (n + m) {
                if order.count_ones() as usize != n {
                    continue;
                }
                all += 1;
                let (mut i, mut j) = (0_i64, 0_i64);
                let leaves = (0..n + m).any(|bit| {
                    if order >> bit & 1 == 1 {
                        i += 1
                    } else {
                        j += 1
                    }
                    let gap = i * 4 - j * 5;
                    if two_sided {
                        gap.abs() >= steps
                    } else {
                        gap >= steps
                    }
                });
                out += u32::from(leaves);
            }
            let expected = f64::from(out) / f64::from(all);
            let found = outside_lattice(5, 4, steps as u128, two_sided);
            assert!(
                (found - expected).abs() < 1e-14,
                "{steps} {two_sided}: {found} {expected}"
            );
        }
    }

    /// The definition.
    fn defined(a: &[f64], b: &[f64]) -> f64 {
        let share = |rows: &[f64], x: f64| {
            rows.iter().filter(|&&y| y <= x).count() as f64 / rows.len() as f64
        };
        a.iter()
            .chain(b)
            .map(|&x| (share(a, x) - share(b, x)).abs())
            .fold(0.0, f64::max)
    }

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>(),
            (-3..3_i32).prop_map(f64::from),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            Just(1e308)
        ]
    }

    /// Where SciPy says that it is: the first of the pooled values at which F − G, as floats, is at its greatest or
    /// least.
    fn defined_location(a: &[f64], b: &[f64]) -> (f64, i8) {
        let share =
            |rows: &[f64], x: f64| rows.partition_point(|&y| y <= x) as f64 / rows.len() as f64;
        let (mut up, mut down) = ((a[0], 0.0), (a[0], 0.0));
        for &x in a.iter().chain(b) {
            let difference = share(a, x) - share(b, x);
            if difference > up.1 {
                up = (x, difference);
            }
            if difference < down.1 {
                down = (x, difference);
            }
        }
        if -down.1 > up.1 {
            (down.0, -1)
        } else {
            (up.0, 1)
        }
    }

    proptest! {
        /// Long enough for several stretches, of few values, so that gaps of one size are reached in several of them.
        #[test]
        fn a_gap_lies_where_it_is_first_reached(
            a in proptest::collection::vec((0..600_i32).prop_map(f64::from), 1..1500),
            b in proptest::collection::vec((0..600_i32).prop_map(f64::from), 1..1500),
            same_size: bool,
        ) {
            let shorter = if same_size { a.len().min(b.len()) } else { usize::MAX };
            let (a, b) = (
                Sorted::new(&a[..a.len().min(shorter)]),
                Sorted::new(&b[..b.len().min(shorter)]),
            );
            let found = ks(&a, &b).expect("rows");
            if found.distance > 0.0 {
                let defined = defined_location(a.values(), b.values());
                prop_assert_eq!((found.location, found.sign), defined);
            }
        }

        #[test]
        fn the_walk_finds_the_definition(
            a in proptest::collection::vec(any_value(), 0..30), b in proptest::collection::vec(any_value(), 0..30),
        ) {
            let (a, b) = (Sorted::new(&a), Sorted::new(&b));
            let Some(found) = ks(&a, &b) else {
                prop_assert!(a.is_empty() || b.is_empty());
                return Ok(());
            };
            prop_assert!((found.distance - defined(a.values(), b.values())).abs() < 1e-12);
            for alternative in [Alternative::TwoSided, Alternative::Greater, Alternative::Less] {
                let found = one_sided_or_both(&a, &b, alternative).expect("rows");
                for method in [Method::Auto, Method::Exact, Method::Asymptotic] {
                    if let Some(p) = found.p_value(method) {
                        prop_assert!((0.0..=1.0).contains(&p.value), "{found:?} {p:?}");
                    }
                }
            }
        }
    }
}
