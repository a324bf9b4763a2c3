//! The generator of CPython's `random.Random(seed)`, MT19937, as far as `sample` needs it: with the same seed a detector
//! draws what River's draws. Not for anything that must not be guessed.
//!
//! Source: Matsumoto and Nishimura, *Mersenne Twister* (1998), with their seeding by an array; `sample` as in CPython since 3.2.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

const WORDS: usize = 624;
const SHIFT: usize = 397;
const UPPER: u32 = 0x8000_0000;
/// Up to here CPython draws from a list, whatever the size of the sample.
const SMALL_SET: u64 = 21;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mersenne {
    words: Vec<u32>,
    /// The word that comes next; `WORDS`: all are used.
    next: usize,
}

impl Mersenne {
    pub fn new(seed: u64) -> Self {
        let mut words = vec![0_u32; WORDS];
        words[0] = 19_650_218;
        for i in 1..WORDS {
            words[i] = 1_812_433_253_u32
                .wrapping_mul(words[i - 1] ^ (words[i - 1] >> 30))
                .wrapping_add(i as u32);
        }
        // The seed's digits to the base of 2³², at least one.
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key = [low, high];
        let key = &key[..if high == 0 { 1 } else { 2 }];
        let mut i = 1;
        let mut step = |words: &mut Vec<u32>, factor: u32, add: &dyn Fn(usize) -> u32| {
            let before = words[i - 1] ^ (words[i - 1] >> 30);
            words[i] = (words[i] ^ before.wrapping_mul(factor)).wrapping_add(add(i));
            i += 1;
            if i == WORDS {
                words[0] = words[WORDS - 1];
                i = 1;
            }
        };
        for j in (0..key.len()).cycle().take(WORDS) {
            step(&mut words, 1_664_525, &|_| key[j].wrapping_add(j as u32));
        }
        for _ in 1..WORDS {
            step(&mut words, 1_566_083_941, &|i| (i as u32).wrapping_neg());
        }
        words[0] = UPPER;
        Self { words, next: WORDS }
    }

    fn next(&mut self) -> u32 {
        if self.next >= self.words.len() {
            self.twist();
        }
        let mut y = self.words[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn twist(&mut self) {
        for i in 0..WORDS {
            let y = (self.words[i] & UPPER) | (self.words[(i + 1) % WORDS] & !UPPER);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.words[i] = self.words[(i + SHIFT) % WORDS] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// A number below `n`, every one as likely; `n` from 1 to 2³¹.
    fn below(&mut self, n: u32) -> u32 {
        let bits = u32::BITS - n.leading_zeros();
        loop {
            let drawn = self.next() >> (u32::BITS - bits);
            if drawn < n {
                return drawn;
            }
        }
    }

    /// `size` different numbers below `n`, in the order of drawing. `size` is at most `n`.
    pub fn sample(&mut self, n: u32, size: u32) -> Vec<usize> {
        let mut list_up_to = SMALL_SET;
        if size > 5 {
            // 4^⌈log₄ 3·size⌉: what a set of them would take.
            let mut power = 1;
            while power < 3 * u64::from(size) {
                power *= 4;
            }
            list_up_to += power;
        }
        if u64::from(n) > list_up_to {
            let mut seen = HashSet::new();
            let draw = |_| {
                loop {
                    let drawn = self.below(n);
                    if seen.insert(drawn) {
                        return drawn as usize;
                    }
                }
            };
            return (0..size).map(draw).collect();
        }
        let mut pool: Vec<usize> = (0..n as usize).collect();
        let draw = |left: u32| {
            let at = self.below(left) as usize;
            let drawn = pool[at];
            pool[at] = pool[left as usize - 1];
            drawn
        };
        (n - size + 1..=n).rev().map(draw).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_draws_what_cpython_draws() {
        // random.Random(42).sample(range(70), 5), .sample(range(1000), 6) and .sample(range(70), 30)[-3:], one after the other.
        let mut rng = Mersenne::new(42);
        assert_eq!(rng.sample(70, 5), [14, 3, 35, 31, 28]);
        assert_eq!(rng.sample(1_000, 6), [142, 754, 104, 692, 758, 913]);
        assert_eq!(rng.sample(70, 30)[27..], [48, 9, 13]);
        // A seed of two digits, far enough to twist again.
        let mut rng = Mersenne::new(12_345_678_901_234);
        for _ in 0..1_000 {
            rng.next();
        }
        assert_eq!(rng.next(), 976_198_436);
    }

    #[test]
    fn everything_can_be_drawn() {
        let mut drawn = Mersenne::new(0).sample(10, 10);
        drawn.sort_unstable();
        assert_eq!(drawn, (0..10).collect::<Vec<_>>());
        assert_eq!(Mersenne::new(0).sample(1, 1), [0]);
    }
}
