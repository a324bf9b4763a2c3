//! A pinned generator and a pinned shuffle: the same seed gives the same order everywhere.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// Odd constants of the golden ratio and of SplitMix64's finaliser (Steele, Lea and Flood, 2014), by which seeds next
/// to each other get states far apart.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
const FIRST: u64 = 0xbf58_476d_1ce4_e5b9;
const SECOND: u64 = 0x94d0_49bb_1331_11eb;

pub(crate) fn generator(seed: u64) -> Pcg64Mcg {
    let high = mixed(seed.wrapping_add(GAMMA));
    let low = mixed(seed.wrapping_add(GAMMA.wrapping_mul(2)));
    Pcg64Mcg::new((u128::from(high) << 64) | u128::from(low))
}

fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(FIRST);
    bits = (bits ^ (bits >> 27)).wrapping_mul(SECOND);
    bits ^ (bits >> 31)
}

/// A number below `end`. Multiplying and shifting favours no number by more than `end`/2⁶⁴.
pub(crate) fn below(rng: &mut Pcg64Mcg, end: usize) -> usize {
    ((u128::from(rng.next_u64()) * end as u128) >> 64) as usize
}

/// Fisher and Yates, from the front.
pub(crate) fn shuffle<T>(items: &mut [T], rng: &mut Pcg64Mcg) {
    for place in 0..items.len().saturating_sub(1) {
        let other = place + below(rng, items.len() - place);
        items.swap(place, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        let mut rng = generator(1);
        for _ in 0..6_000 {
            let mut items = [0, 1, 2];
            shuffle(&mut items, &mut rng);
            *counts.entry(items).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        // 1,000 each, with a standard deviation of 29.
        assert!(
            counts.values().all(|&count| (880..1_120).contains(&count)),
            "{counts:?}"
        );
    }

    #[test]
    fn neighbouring_seeds_differ() {
        let mut firsts: Vec<u64> = (0..1_000).map(|seed| generator(seed).next_u64()).collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 1_000);
    }
}
