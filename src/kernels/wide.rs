//! Functions that are compiled several times, for the vector instructions that a processor may have;
//! which of them runs is asked of the processor.
//!
//! They are written for a [`Vector`] of [`LANES`] values. With a multiplication and addition in one
//! instruction there is one rounding instead of two, so bits differ between processors that have
//! it and such that have not.

/// Values of a vector.
pub const LANES: usize = 16;

/// Values in the registers of a processor.
pub trait Vector: Copy {
    fn splat(value: f32) -> Self;
    fn load(values: &[f32; LANES]) -> Self;
    fn store(self, values: &mut [f32; LANES]);
    /// self + a·b
    fn add_product(self, a: Self, b: Self) -> Self;

    /// Fewer values than a vector has, and zeros.
    #[inline(always)]
    fn load_part(values: &[f32]) -> Self {
        let mut all = [0.0; LANES];
        all[..values.len()].copy_from_slice(values);
        Self::load(&all)
    }

    /// Four of [`load`](Self::load). (`map` is no function that is always inlined.)
    #[inline(always)]
    fn load_four([a, b, c, d]: [&[f32; LANES]; 4]) -> [Self; 4] {
        [Self::load(a), Self::load(b), Self::load(c), Self::load(d)]
    }

    /// Four of [`load_part`](Self::load_part).
    #[inline(always)]
    fn load_four_parts([a, b, c, d]: [&[f32]; 4]) -> [Self; 4] {
        [
            Self::load_part(a),
            Self::load_part(b),
            Self::load_part(c),
            Self::load_part(d),
        ]
    }

    /// The sum of all values, by halves.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                lanes[lane] += lanes[lane + half];
            }
            half /= 2;
        }
        lanes[0]
    }
}

/// Without any instruction that not every processor has.
impl Vector for [f32; LANES] {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        [value; LANES]
    }

    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        *values
    }

    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        *values = self;
    }

    #[inline(always)]
    fn add_product(mut self, a: Self, b: Self) -> Self {
        for lane in 0..LANES {
            self[lane] += a[lane] * b[lane];
        }
        self
    }
}

/// Vectors of x86-64. SAFETY of all that is unsafe in it: [`wide`] uses a vector only in functions
/// that are compiled with its instructions, and calls these only where the processor has them;
/// addresses are those of arrays of [`LANES`] values.
#[cfg(target_arch = "x86_64")]
pub mod x86 {
    use std::arch::x86_64::*;

    use super::super::simd::InstructionSet;
    use super::{LANES, Vector};

    /// Of AVX-512.
    #[derive(Clone, Copy)]
    pub struct Widest(__m512);

    /// Of AVX2 with FMA.
    #[derive(Clone, Copy)]
    pub struct Wider([__m256; 2]);

    impl Vector for Widest {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            Self(unsafe { _mm512_set1_ps(value) })
        }

        #[inline(always)]
        fn load(values: &[f32; LANES]) -> Self {
            Self(unsafe { _mm512_loadu_ps(values.as_ptr()) })
        }

        #[inline(always)]
        fn store(self, values: &mut [f32; LANES]) {
            unsafe { _mm512_storeu_ps(values.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
        }
    }

    impl Vector for Wider {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            Self([unsafe { _mm256_set1_ps(value) }; 2])
        }

        #[inline(always)]
        fn load(values: &[f32; LANES]) -> Self {
            let start = values.as_ptr();
            Self(unsafe { [_mm256_loadu_ps(start), _mm256_loadu_ps(start.add(8))] })
        }

        #[inline(always)]
        fn store(self, values: &mut [f32; LANES]) {
            let start = values.as_mut_ptr();
            unsafe {
                _mm256_storeu_ps(start, self.0[0]);
                _mm256_storeu_ps(start.add(8), self.0[1]);
            }
        }

        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            let half = |n: usize| unsafe { _mm256_fmadd_ps(a.0[n], b.0[n], self.0[n]) };
            Self([half(0), half(1)])
        }
    }

    /// Whether to compute with [`Widest`], which the processor then has.
    pub fn has_avx512() -> bool {
        InstructionSet::best() == InstructionSet::Avx512
    }

    /// Whether to compute with [`Wider`], which the processor then has.
    pub fn has_avx2() -> bool {
        InstructionSet::best() == InstructionSet::Avx2
    }
}

/// Defines a function, generic over its [`Vector`], that chooses the instructions. What it calls must
/// be `inline(always)`.
macro_rules! wide {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident<$vector:ident>(
        $($argument:ident: $type:ty),* $(,)?
    ) $body:block) => {
        $(#[$attribute])*
        $visibility fn $name($($argument: $type),*) {
            #[inline(always)]
            fn generic<$vector: $crate::kernels::wide::Vector>($($argument: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                use $crate::kernels::wide::x86;

                #[target_feature(enable = "avx512f,avx512vl")]
                fn widest($($argument: $type),*) {
                    generic::<x86::Widest>($($argument),*)
                }

                #[target_feature(enable = "avx2,fma")]
                fn wider($($argument: $type),*) {
                    generic::<x86::Wider>($($argument),*)
                }

                if x86::has_avx512() {
                    // SAFETY: the processor has these instructions.
                    return unsafe { widest($($argument),*) };
                }
                if x86::has_avx2() {
                    // SAFETY: as above.
                    return unsafe { wider($($argument),*) };
                }
            }
            generic::<[f32; $crate::kernels::wide::LANES]>($($argument),*)
        }
    };
}
pub(super) use wide;
