//! Counter-based randomness: every random decision has its own stream, derived from what it is for.
//!
//! A [`Stream`] follows from (seed, purpose, counters) alone, e.g. `(42, "dropout", [epoch, sample])`,
//! and never from how many numbers something else has drawn. So an experiment that is resumed,
//! reordered or run on other hardware draws what it would have drawn anyway. It knows no purpose
//! by name: those belong to the callers.
//!
//! The seed of a stream is the SHA-256 of its derivation, the numbers come from ChaCha with 8
//! rounds, and every method but [`normal`](Generator::normal) uses only integer arithmetic and
//! exactly rounded floating-point operations: the numbers are the same on every platform.
//!
//! [`mt19937`] is not of this kind: one sequence for everything, as neon draws.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

pub mod mt19937;

/// Separates this derivation from any later one; changing it changes every random number.
const DERIVATION: &[u8] = b"graft random stream 1";

/// What draws numbers: a [`Stream`] of graft's own, or [`mt19937::Mt19937`] as neon does.
pub trait Generator {
    /// Uniform in [0, 1): a multiple of 2⁻⁵³.
    fn uniform(&mut self) -> f64;

    /// Normal with mean 0 and variance 1. It takes a logarithm, whose last digit differs between
    /// platforms.
    fn normal(&mut self) -> f64;

    /// Uniform in [low, high).
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }
}

/// An endless sequence of random numbers that belongs to one purpose.
#[derive(Debug)]
pub struct Stream {
    generator: ChaCha8Rng,
}

impl Stream {
    /// The stream of `purpose`, told apart from its siblings by `counters` (an epoch, a sample …).
    /// Streams that differ in seed, purpose or any counter are independent.
    pub fn new(seed: u64, purpose: &str, counters: &[u64]) -> Self {
        let mut hash = Sha256::new();
        hash.update(DERIVATION);
        hash.update(seed.to_le_bytes());
        // The length keeps ("a", …) and ("ab", …) from running into each other's counters.
        hash.update((purpose.len() as u64).to_le_bytes());
        hash.update(purpose.as_bytes());
        for counter in counters {
            hash.update(counter.to_le_bytes());
        }
        Self {
            generator: ChaCha8Rng::from_seed(hash.finalize().into()),
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// Uniform in [0, 1): a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        (self.bits() >> 11) as f64 * STEP
    }

    /// Uniform in [0, 1): a multiple of 2⁻²⁴.
    pub fn uniform_f32(&mut self) -> f32 {
        const STEP: f32 = 1.0 / (1u32 << 24) as f32;
        (self.generator.next_u32() >> 8) as f32 * STEP
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A whole number below `n`, each equally likely; 0 if there is none.
    ///
    /// Lemire, "Fast random integer generation in an interval" (2019).
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        // Of the 2⁶⁴ draws, the first 2⁶⁴ mod n of each interval would favour some results.
        let unfair = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.bits()) * u128::from(n);
            if product as u64 >= unfair {
                return (product >> 64) as u64;
            }
        }
    }

    /// `true` with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// The numbers 0 … n − 1 in random order, each order equally likely (Fisher and Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            let chosen = self.below(last as u64 + 1) as usize;
            order.swap(last, chosen);
        }
        order
    }

    /// Nearly normal with mean 0 and variance 1: the sum of twelve uniform numbers, less 6.
    ///
    /// Its tails end at ±6. Unlike [`normal`](Generator::normal) it is the same on every platform.
    pub fn roughly_normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

impl Generator for Stream {
    fn uniform(&mut self) -> f64 {
        Stream::uniform(self)
    }

    /// The second number of each pair is dropped: a stream has no state but its place.
    fn normal(&mut self) -> f64 {
        polar(|| self.uniform())[1]
    }
}

/// Two normal numbers with mean 0 and variance 1 of uniform ones: Marsaglia and Bray (1964).
fn polar(mut uniform: impl FnMut() -> f64) -> [f64; 2] {
    loop {
        // A point in the square around the unit circle, and its distance from the centre, squared.
        let (x, y) = (2.0 * uniform() - 1.0, 2.0 * uniform() - 1.0);
        let square = x * x + y * y;
        if 0.0 < square && square < 1.0 {
            let factor = (-2.0 * square.ln() / square).sqrt();
            return [factor * x, factor * y];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_pinned() {
        // Worked out apart from this code, with SHA-256 and ChaCha8 written from their definitions.
        let mut stream = Stream::new(42, "order", &[3]);
        assert_eq!(stream.bits(), 684_501_307_115_642_494);
        assert_eq!(stream.uniform(), 0.869_147_312_461_670_3);
        assert_eq!(stream.uniform_f32(), 0.014_412_641_5);
        assert_eq!(stream.below(1000), 121);
        assert_eq!(stream.roughly_normal(), 0.165_074_024_124_166_39);
        assert_eq!(stream.permutation(8), [0, 1, 4, 3, 2, 6, 5, 7]);
    }

    #[test]
    fn streams_differ_in_seed_purpose_and_counters() {
        let first = |seed, purpose, counters: &[u64]| Stream::new(seed, purpose, counters).bits();
        let reference = first(1, "order", &[0, 1]);
        assert_eq!(reference, first(1, "order", &[0, 1]));
        assert_ne!(reference, first(2, "order", &[0, 1]));
        assert_ne!(reference, first(1, "dropout", &[0, 1]));
        assert_ne!(reference, first(1, "order", &[1, 0]));
        assert_ne!(reference, first(1, "order", &[0]));
        assert_ne!(first(1, "a", &[]), first(1, "a", &[0]));
    }

    #[test]
    fn uniform_numbers_fill_the_unit_interval() {
        let mut stream = Stream::new(7, "test", &[]);
        let numbers: Vec<f64> = (0..10_000).map(|_| stream.uniform()).collect();
        assert!(numbers.iter().all(|x| (0.0..1.0).contains(x)));
        let mean = numbers.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
        let mut stream = Stream::new(7, "test", &[1]);
        assert!((0..10_000).all(|_| (0.0..1.0).contains(&stream.uniform_f32())));
    }

    #[test]
    fn numbers_below_n_are_all_reached_equally_often() {
        let mut stream = Stream::new(7, "below", &[]);
        let mut counts = [0u32; 6];
        for _ in 0..6_000 {
            counts[stream.below(6) as usize] += 1;
        }
        assert!(
            counts.iter().all(|&n| (850..1150).contains(&n)),
            "{counts:?}"
        );
        assert_eq!(stream.below(1), 0);
        assert_eq!(stream.below(0), 0);
    }

    #[test]
    fn a_permutation_holds_every_number_once() {
        let mut order = Stream::new(7, "permutation", &[]).permutation(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
        assert!(Stream::new(7, "permutation", &[]).permutation(0).is_empty());
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1_and_tails() {
        let mut stream = Stream::new(7, "normal", &[]);
        let numbers: Vec<f64> = (0..10_000).map(|_| stream.normal()).collect();
        let moment = |n: i32| numbers.iter().map(|x| x.powi(n)).sum::<f64>() / 10_000.0;
        assert!(moment(1).abs() < 0.04 && (moment(2) - 1.0).abs() < 0.06);
        assert!((moment(4) - 3.0).abs() < 0.3, "{}", moment(4));
    }

    #[test]
    fn roughly_normal_numbers_have_mean_0_and_variance_1() {
        let mut stream = Stream::new(7, "normal", &[]);
        let numbers: Vec<f64> = (0..10_000).map(|_| stream.roughly_normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 10_000.0;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 10_000.0;
        assert!(
            mean.abs() < 0.04 && (variance - 1.0).abs() < 0.06,
            "{mean} {variance}"
        );
    }
}
