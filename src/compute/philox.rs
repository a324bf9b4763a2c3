//! Philox4x32-10: random numbers as a function of a counter, the same on every machine and in any order.
//!
//! A thread that wants its thousandth number computes it; nobody keeps a state. Source: Salmon, Moraes, Dror & Shaw,
//! *Parallel random numbers: as easy as 1, 2, 3* (2011); constants and test vectors from its library Random123.

pub(crate) const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
/// Weyl increments of the key: the golden ratio and √3 − 1.
pub(crate) const INCREMENTS: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
pub(crate) const ROUNDS: u32 = 10;

/// The generator under one key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Philox {
    key: [u32; 2],
}

impl Philox {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
        }
    }

    pub(crate) fn key(self) -> [u32; 2] {
        self.key
    }

    /// Four random words for a counter.
    pub(crate) fn block(self, counter: [u32; 4]) -> [u32; 4] {
        let [mut a, mut b, mut c, mut d] = counter;
        let [mut k0, mut k1] = self.key;
        for _ in 0..ROUNDS {
            let first = u64::from(MULTIPLIERS[0]) * u64::from(a);
            let second = u64::from(MULTIPLIERS[1]) * u64::from(c);
            (a, b, c, d) = (
                (second >> 32) as u32 ^ b ^ k0,
                second as u32,
                (first >> 32) as u32 ^ d ^ k1,
                first as u32,
            );
            k0 = k0.wrapping_add(INCREMENTS[0]);
            k1 = k1.wrapping_add(INCREMENTS[1]);
        }
        [a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of Random123's `kat_vectors`, philox4x32 with 10 rounds.
    #[test]
    fn known_answers() {
        let check = |seed: u64, counter: [u32; 4], expect: [u32; 4]| {
            assert_eq!(Philox::new(seed).block(counter), expect);
        };
        check(
            0,
            [0; 4],
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
        );
        check(
            u64::MAX,
            [u32::MAX; 4],
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
        );
        check(
            0x299f_31d0_a409_3822,
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        );
    }
}
