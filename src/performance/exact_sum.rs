//! A sum of floats that does not depend on their order.
//!
//! Every finite float is a whole number of units of 2⁻¹⁰⁷⁴, so a sum is a whole number too: it is kept as one, wide
//! enough for all of them, and rounded once when it is read.
//!
//! **Invariant:** the same multiset of numbers gives the same bits, however it is ordered, split and merged; what was
//! added can be taken out again without a trace. Source: Neal (2015), *Fast exact summation using small and large
//! superaccumulators*.

/// Bits in a limb; the rest of its 64 takes carries.
const LIMB_BITS: u32 = 32;
const LIMB_MASK: i64 = (1 << LIMB_BITS) - 1;
/// 2098 bits reach from the least subnormal to the greatest float; two limbs more take the carries of 2⁶⁴ of them.
const LIMBS: usize = 68;
/// Each number adds less than 2³² to a limb, so carries can wait this long.
const MOST_PENDING: u32 = 1 << 30;
/// Bits of a float's significand and the exponent of the least subnormal.
const SIGNIFICAND_BITS: u32 = 53;
const LEAST_EXPONENT: i32 = -1074;

/// The exact sum of finite floats.
///
/// ```
/// use driftline::performance::ExactSum;
/// let sum: ExactSum = [1e100, 1.0, -1e100].into_iter().collect();
/// assert_eq!(sum.value(), 1.0);
/// ```
#[derive(Debug, Clone)]
pub struct ExactSum {
    limbs: [i64; LIMBS],
    /// Additions since carries were last propagated.
    pending: u32,
}

impl Default for ExactSum {
    fn default() -> Self {
        Self {
            limbs: [0; LIMBS],
            pending: 0,
        }
    }
}

impl ExactSum {
    /// Adds a finite number; whoever sums has left out all others, with a reason.
    pub fn add(&mut self, number: f64) {
        debug_assert!(number.is_finite(), "{number} has no place in a sum");
        let bits = number.to_bits();
        let exponent = ((bits >> 52) & 0x7ff) as u32;
        let fraction = bits & ((1 << 52) - 1);
        // The unit of a subnormal is that of the least normal number.
        let (significand, place) = match exponent {
            0 => (fraction, 0),
            _ => (fraction | (1 << 52), exponent - 1),
        };
        let limb = (place / LIMB_BITS) as usize;
        let mut wide = u128::from(significand) << (place % LIMB_BITS);
        for limb in &mut self.limbs[limb..limb + 3] {
            let part = (wide as i64) & LIMB_MASK;
            *limb += if number < 0.0 { -part } else { part };
            wide >>= LIMB_BITS;
        }
        self.pending += 1;
        if self.pending >= MOST_PENDING {
            self.carry();
        }
    }

    /// Adds all that the other one holds.
    pub fn merge(&mut self, other: &Self) {
        self.combine(other, 1);
    }

    /// Takes out what had been added; the other one's numbers need not be known one by one.
    pub fn remove(&mut self, other: &Self) {
        self.combine(other, -1);
    }

    fn combine(&mut self, other: &Self, sign: i64) {
        let mut other = other.clone();
        other.carry();
        self.carry();
        for (limb, added) in self.limbs.iter_mut().zip(other.limbs) {
            *limb += sign * added;
        }
        self.pending = 2;
    }

    /// Brings every limb but the last into [0, 2³²); the last one carries the sign.
    fn carry(&mut self) {
        let mut carry = 0;
        for limb in &mut self.limbs[..LIMBS - 1] {
            let with = *limb + carry;
            carry = with >> LIMB_BITS;
            *limb = with & LIMB_MASK;
        }
        self.limbs[LIMBS - 1] += carry;
        self.pending = 0;
    }

    /// The float nearest to the sum, of two equally near the even one; 0.0 for nothing. ±∞ beyond the greatest float.
    pub fn value(&self) -> f64 {
        let mut sum = self.clone();
        sum.carry();
        let negative = sum.limbs[LIMBS - 1] < 0;
        if negative {
            for limb in &mut sum.limbs {
                *limb = -*limb;
            }
            sum.carry();
        }
        let Some(top) = sum.limbs.iter().rposition(|limb| *limb != 0) else {
            return 0.0;
        };
        // Three limbs hold at least 65 bits below the highest one; of the rest only whether there is any matters.
        let base = top.saturating_sub(2);
        let mut wide = 0u128;
        for limb in sum.limbs[base..=top].iter().rev() {
            wide = (wide << LIMB_BITS) | *limb as u128;
        }
        let rest = sum.limbs[..base].iter().any(|limb| *limb != 0);
        let bits = u128::BITS - wide.leading_zeros();
        let cut = bits.saturating_sub(SIGNIFICAND_BITS);
        let mut significand = wide >> cut;
        if cut > 0 {
            let below = wide & ((1 << cut) - 1);
            let half = 1u128 << (cut - 1);
            let up = below > half || (below == half && (rest || significand & 1 == 1));
            significand += u128::from(up);
        }
        // LIMBS and `cut` are far below 2^31.
        let exponent = LEAST_EXPONENT + (base as i32) * (LIMB_BITS as i32) + cut as i32;
        // Exact: at most 2^53.
        let size = scaled(significand as f64, exponent);
        if negative { -size } else { size }
    }
}

/// `number`·2^`exponent`, exactly: the result is a float or lies beyond the greatest.
fn scaled(number: f64, exponent: i32) -> f64 {
    /// Keeps both factors normal numbers.
    const STEP: i32 = 512;
    let power = |exponent: i32| f64::from_bits(((exponent + 1023) as u64) << 52);
    match exponent {
        ..-1000 => number * power(exponent + STEP) * power(-STEP),
        -1000..=1000 => number * power(exponent),
        _ => f64::INFINITY,
    }
}

impl FromIterator<f64> for ExactSum {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        let mut sum = Self::default();
        for number in numbers {
            sum.add(number);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(numbers: &[f64], expect: f64) {
        let sum: ExactSum = numbers.iter().copied().collect();
        assert_eq!(sum.value().to_bits(), expect.to_bits(), "{numbers:?}");
    }

    #[test]
    fn sums_are_rounded_once() {
        check(&[], 0.0);
        check(&[0.1; 10], 1.0);
        check(&[1e308, 1e308, -1e308], 1e308);
        check(&[1e308, 1e308], f64::INFINITY);
        check(&[-1e308, -1e308], f64::NEG_INFINITY);
        check(&[f64::MIN_POSITIVE, -5e-324], f64::MIN_POSITIVE - 5e-324);
        check(&[5e-324, 5e-324], 1e-323);
        check(&[1.0, -1.0], 0.0);
        check(&[-0.0], 0.0);
        check(&[f64::MAX, 5e-324, -f64::MAX], 5e-324);
    }

    #[test]
    fn halves_go_to_the_even_one_and_a_crumb_settles_them() {
        let ulp = 2f64.powi(-52);
        check(&[1.0, ulp / 2.0], 1.0);
        check(&[1.0, ulp / 2.0, 5e-324], 1.0 + ulp);
        check(&[1.0 + ulp, ulp / 2.0], 1.0 + 2.0 * ulp);
        check(&[-1.0, -ulp / 2.0, -5e-324], -1.0 - ulp);
        check(&[1.0, ulp / 2.0, -5e-324], 1.0);
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            -1.0..1.0f64,
            any::<f64>().prop_filter("finite", |number| number.is_finite()),
            (-300..300i32, -9.0..9.0f64).prop_map(|(e, m)| m * 10f64.powi(e)),
        ]
    }

    proptest! {
        /// Two numbers: the sum is what the processor's own addition, also rounded once, says.
        #[test]
        fn two_numbers_are_added_as_floats_are(a in number(), b in number()) {
            let sum: ExactSum = [a, b].into_iter().collect();
            prop_assert_eq!(sum.value(), a + b);
        }

        #[test]
        fn neither_order_nor_merging_nor_a_detour_matters(
            mut numbers in proptest::collection::vec(number(), 0..40), cut in any::<prop::sample::Index>(), detour in proptest::collection::vec(number(), 0..9),
        ) {
            let whole: ExactSum = numbers.iter().copied().collect();
            let at = cut.index(numbers.len() + 1);
            let mut merged: ExactSum = numbers[at..].iter().copied().collect();
            let aside: ExactSum = detour.into_iter().collect();
            merged.merge(&aside);
            merged.merge(&numbers[..at].iter().copied().collect());
            merged.remove(&aside);
            prop_assert_eq!(merged.value().to_bits(), whole.value().to_bits());
            numbers.sort_by(f64::total_cmp);
            let sorted: ExactSum = numbers.into_iter().collect();
            prop_assert_eq!(sorted.value().to_bits(), whole.value().to_bits());
        }

        /// Whole numbers of any common unit: as integers say.
        #[test]
        fn sums_of_whole_numbers_are_whole(numbers in proptest::collection::vec(-1_000_000_000..1_000_000_000i64, 0..60), unit in -900..900i32) {
            let sum: ExactSum = numbers.iter().map(|n| *n as f64 * 2f64.powi(unit)).collect();
            prop_assert_eq!(sum.value(), numbers.iter().sum::<i64>() as f64 * 2f64.powi(unit));
        }
    }
}
