//! The Mersenne twister as numpy's `RandomState` uses it, which is what neon draws with.
//!
//! Matsumoto and Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform
//! pseudo-random number generator" (1998). Only for figures that shall equal neon's; everything of
//! graft's own has a [`Stream`](super::Stream), which does not depend on what was drawn before.
//!
//! Integers and uniform numbers are the same on every platform. Normal ones need a logarithm, which
//! the platform's mathematical library computes: its last digit may differ, in numpy too.

use super::{Generator, polar};

/// Words of the state.
const WORDS: usize = 624;
/// Distance of the word that is mixed into each new one.
const SHIFT: usize = 397;

/// `numpy.random.RandomState(seed)`.
#[derive(Debug, Clone)]
pub struct Mt19937 {
    state: [u32; WORDS],
    /// The next word of the state to give out; at [`WORDS`] all are used up.
    next: usize,
    /// The second of a pair of normal numbers, until it is asked for.
    spare: Option<f64>,
}

impl Mt19937 {
    /// Seeded by one integer, as `init_genrand` of the authors' code does.
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; WORDS];
        for index in 1..WORDS {
            let last = state[index - 1];
            let mixed = 1_812_433_253u32.wrapping_mul(last ^ (last >> 30));
            state[index] = mixed.wrapping_add(index as u32);
        }
        Self {
            state,
            next: WORDS,
            spare: None,
        }
    }

    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        if self.next == WORDS {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// Replaces all words of the state by the next ones.
    fn twist(&mut self) {
        for index in 0..WORDS {
            let following = self.state[(index + 1) % WORDS];
            let joined = (self.state[index] & 0x8000_0000) | (following & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[index] = self.state[(index + SHIFT) % WORDS] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }
}

impl Generator for Mt19937 {
    /// `random_sample()`.
    fn uniform(&mut self) -> f64 {
        let (high, low) = (self.bits() >> 5, self.bits() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// `standard_normal()`: every second number is left over from the one before.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let [first, second] = polar(|| self.uniform());
        self.spare = Some(first);
        second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_authors_code() {
        // The 10,000th word for the seed 5489 is the one that the C++ standard demands of mt19937.
        let mut generator = Mt19937::new(5489);
        let word = (0..10_000).map(|_| generator.bits()).last();
        assert_eq!(word, Some(4_123_659_995));
    }

    // The figures below are numpy 2's, with `repr`.

    #[test]
    fn uniform_numbers_are_numpys() {
        let mut generator = Mt19937::new(42);
        let numbers: Vec<f64> = (0..3).map(|_| generator.uniform()).collect();
        assert_eq!(
            numbers,
            [0.3745401188473625, 0.9507143064099162, 0.7319939418114051]
        );
        let mut generator = Mt19937::new(u32::MAX);
        let far = (0..1000).map(|_| generator.between(-0.1, 0.1)).last();
        assert_eq!(far, Some(0.011325371876822407));
    }

    #[test]
    fn normal_numbers_are_numpys() {
        let mut generator = Mt19937::new(0);
        for expected in [
            1.764052345967664,
            0.4001572083672233,
            0.9787379841057392,
            2.240893199201458,
            1.8675579901499675,
        ] {
            assert!((generator.normal() - expected).abs() < 1e-15);
        }
        // An odd count leaves one over, which survives uniform draws in between.
        assert_eq!(generator.uniform(), 0.4375872112626925);
        assert!((generator.normal() - -0.977277879876411).abs() < 1e-15);
    }
}
