//! Shares of two samples over the same bins, smoothed in one of the ways in use, and every distance between them.
//!
//! The files beside this one ([`psi`](super::psi), [`jensen_shannon`](super::jensen_shannon), …) hold what the service
//! judges by: counts, one smoothing, and what chance makes of the value. Here the same distances take their smoothing,
//! base and direction as parameters, because the same word is a different number in different tools.
//!
//! **Invariant:** a distance is a finite number or `None`; `None` where a side has no share at all, or where a share
//! is 0 on one side only, nothing fills it up, and the formula would be infinite.

use std::fmt;

use super::histogram::Pair;
use super::psi::SMOOTHING;

/// Evidently's filling for a share of 0, where no share is that small already.
const EVIDENTLY_FILL: f64 = 1e-4;
/// What Evidently divides the least share by to get its filling, where that share is at most [`EVIDENTLY_FILL`].
const EVIDENTLY_DIVISOR: f64 = 1e6;

/// What is done about bins that one sample, or both, leave empty.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Smoothing {
    /// Half a row more in each bin that either sample fills, and in the total: the default, see [`SMOOTHING`]. Bins
    /// that both leave empty stay empty.
    #[default]
    HalfRow,
    /// Shares as they are: for distances that are finite with empty bins.
    None,
    /// A share below `floor` becomes `floor`; the shares then add up to more than 1 unless `renormalise` divides them
    /// by their sum.
    Floor { floor: f64, renormalise: bool },
    /// (count + 1) / rows in every bin, not divided by the sum: Azure ML.
    OneRow,
    /// A share of 0 becomes the least positive normal number, 2.2·10⁻³⁰⁸: Frouros. One row in a bin that the other
    /// sample leaves empty then weighs some 700 times its share.
    LeastNumber,
    /// A share of 0 becomes 10⁻⁴, or, where the side's least share above 0 is at most that, a millionth of that share:
    /// Evidently. Each side on its own.
    Evidently,
}

impl fmt::Display for Smoothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Smoothing::HalfRow => f.write_str("half a row in each occupied bin"),
            Smoothing::None => f.write_str("none"),
            Smoothing::Floor { floor, renormalise } => {
                let then = if *renormalise {
                    "renormalised"
                } else {
                    "not renormalised"
                };
                write!(f, "floor {floor}, {then}")
            }
            Smoothing::OneRow => f.write_str("one row in each bin, not renormalised"),
            Smoothing::LeastNumber => f.write_str("0 becomes 2.2e-308"),
            Smoothing::Evidently => f.write_str("0 becomes 1e-4 or a millionth of the least share"),
        }
    }
}

/// The base of a logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Bits.
    Two,
    /// Nats.
    E,
}

impl Base {
    fn ln(self) -> f64 {
        match self {
            Base::Two => std::f64::consts::LN_2,
            Base::E => 1.0,
        }
    }
}

/// Which side the divergence is *of*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// KL(current ‖ reference) = Σ q·ln(q / p): what it costs to go on coding by the reference.
    CurrentFromReference,
    /// KL(reference ‖ current) = Σ p·ln(p / q): Evidently's.
    ReferenceFromCurrent,
}

/// Shares p of the reference and q of the current sample over the same bins.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    reference: Vec<f64>,
    current: Vec<f64>,
}

impl Shares {
    /// Shares of counted rows. `None` where a side has no row: it has no shares.
    ///
    /// ```
    /// use driftline::stats::{histogram::Pair, shares::{Shares, Smoothing}};
    /// let pair = Pair::new(vec![3, 1, 0], vec![2, 2, 0]);
    /// let shares = Shares::new(&pair, Smoothing::OneRow).unwrap();
    /// assert_eq!(shares.reference(), [1.0, 0.5, 0.25]);
    /// let shares = Shares::new(&pair, Smoothing::HalfRow).unwrap();
    /// assert_eq!(shares.current(), [0.5, 0.5, 0.0]);
    /// ```
    pub fn new(pair: &Pair, smoothing: Smoothing) -> Option<Self> {
        if pair.reference_rows == 0 || pair.current_rows == 0 {
            return None;
        }
        let (n, m) = (pair.reference_rows as f64, pair.current_rows as f64);
        let (reference, current) = (&pair.reference, &pair.current);
        if smoothing == Smoothing::HalfRow {
            let occupied = || reference.iter().zip(current).map(|(&a, &b)| a > 0 || b > 0);
            let extra = SMOOTHING * occupied().filter(|&filled| filled).count() as f64;
            let side = |counts: &[u64], rows: f64| {
                counts
                    .iter()
                    .zip(occupied())
                    .map(|(&count, filled)| {
                        if filled {
                            (count as f64 + SMOOTHING) / (rows + extra)
                        } else {
                            0.0
                        }
                    })
                    .collect()
            };
            return Some(Self {
                reference: side(reference, n),
                current: side(current, m),
            });
        }
        let side = |counts: &[u64], rows: f64| {
            let mut shares: Vec<f64> = counts.iter().map(|&count| count as f64 / rows).collect();
            fill(&mut shares, counts, rows, smoothing);
            shares
        };
        Some(Self {
            reference: side(reference, n),
            current: side(current, m),
        })
    }

    /// Shares that were computed elsewhere. `None` unless both sides are equally long and hold finite numbers from 0
    /// up with a finite sum above 0.
    pub fn given(reference: Vec<f64>, current: Vec<f64>) -> Option<Self> {
        let valid = |shares: &[f64]| {
            let sum = sum(shares);
            shares.iter().all(|&share| share >= 0.0) && sum > 0.0 && sum.is_finite()
        };
        (reference.len() == current.len() && valid(&reference) && valid(&current))
            .then_some(Self { reference, current })
    }

    pub fn reference(&self) -> &[f64] {
        &self.reference
    }

    pub fn current(&self) -> &[f64] {
        &self.current
    }

    /// Population stability index: Σ (q − p)·ln(q / p), bins without any share left out. In nats, symmetric; not
    /// below 0 where either side's shares add up alike.
    ///
    /// ```
    /// use driftline::stats::{histogram::Pair, shares::{Shares, Smoothing}};
    /// let pair = Pair::new(vec![7, 3], vec![2, 6]);
    /// let shares = Shares::new(&pair, Smoothing::Floor { floor: 1e-4, renormalise: false }).unwrap();
    /// assert!((shares.psi().unwrap() - 0.875_659_567_074_890_9).abs() < 1e-12);
    /// ```
    pub fn psi(&self) -> Option<f64> {
        self.total(
            self.pairs()
                .map(|(p, q)| if p == q { 0.0 } else { (q - p) * (q / p).ln() }),
        )
    }

    /// Kullback–Leibler divergence in nats, 0 and up, both sides divided by their sums. **Not symmetric.**
    ///
    /// ```
    /// use driftline::stats::{histogram::Pair, shares::{Direction, Shares, Smoothing}};
    /// let shares = Shares::new(&Pair::new(vec![7, 3], vec![2, 6]), Smoothing::None).unwrap();
    /// // scipy.stats.entropy([.7, .3], [.25, .75])
    /// let value = shares.kullback_leibler(Direction::ReferenceFromCurrent).unwrap();
    /// assert!((value - 0.445_846_372).abs() < 1e-9, "{value}");
    /// ```
    pub fn kullback_leibler(&self, direction: Direction) -> Option<f64> {
        let (n, m) = (sum(&self.reference), sum(&self.current));
        let terms = self.pairs().map(|(p, q)| {
            let (p, q) = (p / n, q / m);
            let (of, from) = match direction {
                Direction::CurrentFromReference => (q, p),
                Direction::ReferenceFromCurrent => (p, q),
            };
            if of > 0.0 { of * (of / from).ln() } else { 0.0 }
        });
        self.total(terms).map(|value| value.max(0.0))
    }

    /// Jensen–Shannon divergence, ½ KL(p ‖ r) + ½ KL(q ‖ r) with r = (p + q)/2, both sides divided by their sums:
    /// 0 to 1 in bits, 0 to ln 2 in nats; symmetric, finite with empty bins.
    pub fn jensen_shannon_divergence(&self, base: Base) -> Option<f64> {
        let (n, m) = (sum(&self.reference), sum(&self.current));
        let part = |share: f64, r: f64| {
            if share > 0.0 {
                share * (share / r).ln()
            } else {
                0.0
            }
        };
        let terms = self.pairs().map(|(p, q)| {
            let (p, q) = (p / n, q / m);
            let r = (p + q) / 2.0;
            part(p, r) + part(q, r)
        });
        self.total(terms)
            .map(|nats| (nats / (2.0 * base.ln())).max(0.0))
    }

    /// Jensen–Shannon *distance*, the root of the divergence: what SciPy, Evidently, NannyML and Azure ML give, in
    /// different bases.
    ///
    /// ```
    /// use driftline::stats::{histogram::Pair, shares::{Base, Shares, Smoothing}};
    /// let shares = Shares::new(&Pair::new(vec![5, 0], vec![0, 9]), Smoothing::None).unwrap();
    /// assert_eq!(shares.jensen_shannon(Base::Two), Some(1.0));
    /// assert!((shares.jensen_shannon(Base::E).unwrap() - 0.832_554_611_157_697_7).abs() < 1e-15);
    /// ```
    pub fn jensen_shannon(&self, base: Base) -> Option<f64> {
        self.jensen_shannon_divergence(base).map(f64::sqrt)
    }

    /// Hellinger distance √(½ Σ (√p − √q)²): 0 to 1 where shares add up to 1; symmetric.
    pub fn hellinger(&self) -> Option<f64> {
        let terms = self.pairs().map(|(p, q)| {
            let change = p.sqrt() - q.sqrt();
            change * change
        });
        self.total(terms).map(|square| (square / 2.0).sqrt())
    }

    /// Σ √(p·q), Bhattacharyya's coefficient: 1 for equal shares, 0 without a common bin. Its distance is −ln of it;
    /// Frouros gives 1 − it.
    pub fn bhattacharyya(&self) -> Option<f64> {
        self.total(self.pairs().map(|(p, q)| (p * q).sqrt()))
    }

    /// Total variation ½ Σ |q − p|: 0 to 1 where shares add up to 1; symmetric.
    pub fn total_variation(&self) -> Option<f64> {
        self.total(self.pairs().map(|(p, q)| (q - p).abs()))
            .map(|sum| sum / 2.0)
    }

    /// max |q − p|: 0 to 1; symmetric.
    pub fn l_infinity(&self) -> Option<f64> {
        self.has_shares().then(|| {
            self.pairs()
                .fold(0.0, |most, (p, q)| (q - p).abs().max(most))
        })
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        self.reference
            .iter()
            .copied()
            .zip(self.current.iter().copied())
    }

    /// A sum in the order of the bins; `None` where it is no number, or a side has no share.
    fn total(&self, terms: impl Iterator<Item = f64>) -> Option<f64> {
        let sum: f64 = terms.sum();
        // −0 of an empty sum is 0.
        (sum.is_finite() && self.has_shares()).then_some(sum + 0.0)
    }

    /// Whether both samples have rows in bins; [`histogram::Outer::Nowhere`](super::histogram::Outer) can leave none.
    fn has_shares(&self) -> bool {
        sum(&self.reference) > 0.0 && sum(&self.current) > 0.0
    }
}

/// Puts `smoothing` into shares of `counts`.
fn fill(shares: &mut [f64], counts: &[u64], rows: f64, smoothing: Smoothing) {
    let raise = |shares: &mut [f64], to: f64| {
        for share in shares {
            if *share == 0.0 {
                *share = to;
            }
        }
    };
    match smoothing {
        Smoothing::HalfRow | Smoothing::None => {}
        Smoothing::Floor { floor, renormalise } => {
            // A floor that is no share leaves the shares as they are.
            let floor = if floor.is_finite() {
                floor.max(0.0)
            } else {
                0.0
            };
            for share in shares.iter_mut() {
                *share = share.max(floor);
            }
            let sum = sum(shares);
            if renormalise && sum > 0.0 {
                for share in shares {
                    *share /= sum;
                }
            }
        }
        Smoothing::OneRow => {
            for (share, &count) in shares.iter_mut().zip(counts) {
                *share = (count as f64 + 1.0) / rows;
            }
        }
        Smoothing::LeastNumber => raise(shares, f64::MIN_POSITIVE),
        Smoothing::Evidently => {
            let least = shares
                .iter()
                .copied()
                .filter(|&share| share > 0.0)
                .reduce(f64::min);
            if let Some(least) = least {
                raise(
                    shares,
                    if least <= EVIDENTLY_FILL {
                        least / EVIDENTLY_DIVISOR
                    } else {
                        EVIDENTLY_FILL
                    },
                );
            }
        }
    }
}

fn sum(shares: &[f64]) -> f64 {
    shares.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{
        hellinger, jensen_shannon, kullback_leibler, l_infinity, psi, total_variation,
    };
    use proptest::prelude::*;

    const SMOOTHINGS: [Smoothing; 8] = [
        Smoothing::HalfRow,
        Smoothing::None,
        Smoothing::Floor {
            floor: 1e-4,
            renormalise: false,
        },
        Smoothing::Floor {
            floor: 1e-4,
            renormalise: true,
        },
        Smoothing::Floor {
            floor: f64::NAN,
            renormalise: true,
        },
        Smoothing::OneRow,
        Smoothing::LeastNumber,
        Smoothing::Evidently,
    ];

    fn shares(reference: &[u64], current: &[u64], smoothing: Smoothing) -> Shares {
        Shares::new(&Pair::new(reference.to_vec(), current.to_vec()), smoothing).expect("rows")
    }

    #[test]
    fn each_smoothing_is_its_formula() {
        let of = |smoothing| shares(&[6, 4, 0], &[10, 0, 0], smoothing);
        assert_eq!(of(Smoothing::None).current(), [1.0, 0.0, 0.0]);
        assert_eq!(
            of(Smoothing::HalfRow).current(),
            [10.5 / 11.0, 0.5 / 11.0, 0.0]
        );
        assert_eq!(of(Smoothing::OneRow).reference(), [0.7, 0.5, 0.1]);
        let floor = |renormalise| Smoothing::Floor {
            floor: 0.25,
            renormalise,
        };
        assert_eq!(of(floor(false)).current(), [1.0, 0.25, 0.25]);
        assert_eq!(
            of(floor(true)).current(),
            [1.0 / 1.5, 0.25 / 1.5, 0.25 / 1.5]
        );
        assert_eq!(of(Smoothing::LeastNumber).current()[1], f64::MIN_POSITIVE);
        assert_eq!(of(Smoothing::Evidently).current(), [1.0, 1e-4, 1e-4]);
        // One row of 20,000 is below 10⁻⁴.
        let sparse = shares(&[19_999, 1, 0], &[1, 1, 1], Smoothing::Evidently);
        assert_eq!(sparse.reference()[2], 1.0 / 20_000.0 / 1e6);
    }

    #[test]
    fn a_share_on_one_side_only_has_no_unsmoothed_divergence() {
        let shares = shares(&[1, 1], &[2, 0], Smoothing::None);
        assert_eq!(shares.psi(), None);
        assert_eq!(
            shares.kullback_leibler(Direction::ReferenceFromCurrent),
            None
        );
        let value = shares.kullback_leibler(Direction::CurrentFromReference);
        assert_eq!(value, Some(2.0_f64.ln()));
        assert_eq!(shares.total_variation(), Some(0.5));
        assert_eq!(shares.bhattacharyya(), Some(0.5_f64.sqrt()));
    }

    #[test]
    fn empty_sides_have_no_shares() {
        assert_eq!(
            Shares::new(&Pair::new(vec![], vec![1]), Smoothing::HalfRow),
            None
        );
        assert_eq!(Shares::new(&Pair::default(), Smoothing::OneRow), None);
        // Rows, but none of them in a bin.
        let outside = Pair {
            reference: vec![0],
            current: vec![0],
            reference_rows: 3,
            current_rows: 4,
        };
        let outside = Shares::new(&outside, Smoothing::None).expect("rows");
        assert_eq!(outside.l_infinity(), None);
        assert_eq!(outside.jensen_shannon(Base::Two), None);
        assert_eq!(Shares::given(vec![0.5, f64::NAN], vec![0.5, 0.5]), None);
        assert_eq!(Shares::given(vec![0.5], vec![0.5, 0.5]), None);
    }

    proptest! {
        /// The default smoothing gives what the service judges by.
        #[test]
        fn defaults_agree_with_the_statistics_of_counts(
            pairs in proptest::collection::vec((0..1000u64, 0..1000u64), 1..12),
        ) {
            let (a, b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            let pair = Pair::new(a.clone(), b.clone());
            let close = |x: Option<f64>, y: f64| (x.unwrap_or(0.0) - y).abs() <= 1e-7;
            let half = Shares::new(&pair, Smoothing::HalfRow);
            let plain = Shares::new(&pair, Smoothing::None);
            let (half, plain) = (half.as_ref(), plain.as_ref());
            prop_assert!(close(half.and_then(Shares::psi), psi::psi(&a, &b)));
            let kl = half.and_then(|s| s.kullback_leibler(Direction::CurrentFromReference));
            prop_assert!(close(kl, kullback_leibler::divergence(&a, &b)));
            let js = plain.and_then(|s| s.jensen_shannon(Base::Two));
            prop_assert!(close(js, jensen_shannon::distance(&a, &b)));
            prop_assert!(close(plain.and_then(Shares::hellinger), hellinger::distance(&a, &b)));
            prop_assert!(close(plain.and_then(Shares::total_variation), total_variation::distance(&a, &b)));
            prop_assert!(close(plain.and_then(Shares::l_infinity), l_infinity::distance(&a, &b)));
        }

        #[test]
        fn distances_are_numbers_or_nothing(
            pairs in proptest::collection::vec((prop_oneof![Just(0), 0..9u64, any::<u64>()], any::<u64>()), 0..9),
            swap in any::<bool>(),
        ) {
            let (mut a, mut b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            if swap {
                (a, b) = (b, a);
            }
            for smoothing in SMOOTHINGS {
                let Some(shares) = Shares::new(&Pair::new(a.clone(), b.clone()), smoothing) else {
                    continue;
                };
                for value in [
                    shares.psi(), shares.kullback_leibler(Direction::CurrentFromReference),
                    shares.kullback_leibler(Direction::ReferenceFromCurrent), shares.jensen_shannon(Base::Two),
                    shares.jensen_shannon_divergence(Base::E), shares.hellinger(), shares.bhattacharyya(),
                    shares.total_variation(), shares.l_infinity(),
                ].into_iter().flatten() {
                    prop_assert!(value.is_finite() && value >= 0.0, "{smoothing}: {value} for {a:?} {b:?}");
                }
            }
        }
    }
}
