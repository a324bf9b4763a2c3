//! Bloom filters over ids: which segments cannot hold an id, told from the catalogue without opening a file.
//!
//! 10 bits a key and 7 probes: about 0.8 % of the ids that a segment does not hold are not told apart (Bloom 1970; the
//! optimum for 10 bits is 6.9 probes). **Invariant:** an id that was put in is never denied; bytes of one version
//! mean the same in every release.

use xxhash_rust::xxh3::xxh3_128;

const BITS_A_KEY: usize = 10;
const PROBES: u64 = 7;
/// First byte of the stored form.
const VERSION: u8 = 1;

/// A set of ids that may err on the side of yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bloom {
    words: Vec<u64>,
}

impl Bloom {
    /// Room for `keys` different ids; with more, it errs more often.
    pub fn with_capacity(keys: usize) -> Self {
        Self {
            words: vec![0; (keys * BITS_A_KEY).div_ceil(64).max(1)],
        }
    }

    /// The filter of these ids.
    pub fn of<'i>(ids: impl ExactSizeIterator<Item = &'i str>) -> Self {
        let mut bloom = Self::with_capacity(ids.len());
        ids.for_each(|id| bloom.insert(id));
        bloom
    }

    pub fn insert(&mut self, id: &str) {
        for bit in probes(id, self.bits()) {
            self.words[(bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    /// `false`: the id was never put in.
    pub fn may_contain(&self, id: &str) -> bool {
        probes(id, self.bits()).all(|bit| self.words[(bit / 64) as usize] & (1 << (bit % 64)) != 0)
    }

    /// The stored form: a version byte, then the bits, least first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let words = self.words.iter().flat_map(|word| word.to_le_bytes());
        std::iter::once(VERSION).chain(words).collect()
    }

    /// `None`: not bytes of [`Bloom::to_bytes`]. Whoever asks has no filter then and must look into the segment.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&version, bits) = bytes.split_first()?;
        let (words, rest) = bits.as_chunks::<8>();
        (version == VERSION && !words.is_empty() && rest.is_empty()).then(|| Self {
            words: words.iter().map(|word| u64::from_le_bytes(*word)).collect(),
        })
    }

    fn bits(&self) -> u64 {
        self.words.len() as u64 * 64
    }
}

/// Double hashing (Kirsch and Mitzenmacher 2006): probe `i` is `a + i·b`, mapped to `0..bits` by its high bits.
fn probes(id: &str, bits: u64) -> impl Iterator<Item = u64> {
    let hash = xxh3_128(id.as_bytes());
    let (a, b) = (hash as u64, (hash >> 64) as u64 | 1);
    (0..PROBES).map(move |i| {
        let hash = a.wrapping_add(i.wrapping_mul(b));
        ((u128::from(hash) * u128::from(bits)) >> 64) as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_put_in_is_never_denied(ids in prop::collection::vec(".{0,20}", 0..200)) {
            let bloom = Bloom::of(ids.iter().map(String::as_str));
            let again = Bloom::from_bytes(&bloom.to_bytes()).expect("own bytes");
            prop_assert_eq!(&again, &bloom);
            for id in &ids {
                prop_assert!(again.may_contain(id));
            }
        }
    }

    #[test]
    fn few_strangers_are_let_in() {
        let ids: Vec<String> = (0..100_000).map(|i| format!("{i:010x}")).collect();
        let bloom = Bloom::of(ids.iter().map(String::as_str));
        let strangers = (100_000..300_000).map(|i| format!("{i:010x}"));
        let let_in = strangers.filter(|id| bloom.may_contain(id)).count();
        // (1 − e^(−7/10))⁷ = 0.82 % of 200,000; the standard deviation of the count is 40.
        assert!((1_440..=1_840).contains(&let_in), "{let_in}");
    }

    #[test]
    fn an_empty_filter_denies_everything() {
        assert!(!Bloom::of(std::iter::empty()).may_contain("a"));
    }

    #[test]
    fn other_bytes_are_no_filter() {
        for bytes in [&[][..], &[VERSION], &[VERSION, 1, 2], &[9; 9]] {
            assert_eq!(Bloom::from_bytes(bytes), None, "{bytes:?}");
        }
    }
}
