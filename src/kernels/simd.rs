//! Sixteen f32 at a time, by AVX-512, AVX2 or portable code, chosen when the program runs.
//!
//! Kernels are written once, generic over [`Lanes`], and are compiled for each instruction set.
//! All sets compute the same sums in the same order: AVX-512 and AVX2 give the same bits. Where the
//! processor has no fused multiply-add, products are rounded before they are added.
//!
//! It knows nothing of convolutions.

use std::fmt;
use std::sync::OnceLock;

use crate::error::{Error, Result};

/// Values in a vector.
pub const LANES: usize = 16;

/// A vector of sixteen f32.
///
/// # Safety
/// All methods need the instruction set that the implementation is for; [`run`] sees to that. Those
/// that take pointers need sixteen values there.
pub trait Lanes: Copy {
    /// Rows and vectors of the block of sums that fits the registers.
    const ROWS: usize;
    const VECTORS: usize;

    unsafe fn load(from: *const f32) -> Self;
    /// Four values from each of the four places `from + offsets[i]`.
    unsafe fn gather4(from: *const f32, offsets: *const usize) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn splat(value: f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `self * factor + summand`, rounded once.
    unsafe fn mul_add(self, factor: Self, summand: Self) -> Self;
    /// `summand - self * factor`, rounded once.
    unsafe fn neg_mul_add(self, factor: Self, summand: Self) -> Self;
    /// The larger one; `other` where either is not a number.
    unsafe fn max(self, other: Self) -> Self;
    /// `then` where `self` equals `other`, else `otherwise`.
    unsafe fn select_equal(self, other: Self, then: Self, otherwise: Self) -> Self;
    /// Transposes 4x4 within each quarter: value j of quarter q of vector i becomes value i of
    /// quarter q of vector j.
    unsafe fn transpose_quarters(rows: [Self; 4]) -> [Self; 4];
}

/// What [`run`] compiles for each instruction set.
pub trait Kernel {
    /// # Safety
    /// Called by [`run`] alone, which knows that the processor has the instructions of `L`.
    /// Implementations are `#[inline(always)]`, and so is what they call with `L`.
    unsafe fn run<L: Lanes>(self);
}

/// Environment variable by which a processor computes as a lesser one would: `avx512`, `avx2` or
/// `portable`. For seeing how far their results are apart.
pub const VARIABLE: &str = "GRAFT_INSTRUCTION_SET";

/// Instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    Avx512,
    Avx2,
    Portable,
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2",
            Self::Portable => "portable code",
        })
    }
}

impl InstructionSet {
    /// The widest that this processor has, or the one that `GRAFT_INSTRUCTION_SET` asks for.
    pub fn best() -> Self {
        static BEST: OnceLock<InstructionSet> = OnceLock::new();
        *BEST.get_or_init(|| Self::asked().ok().flatten().unwrap_or(Self::all()[0]))
    }

    /// The one that `GRAFT_INSTRUCTION_SET` asks for, if it is set.
    ///
    /// # Errors
    /// It says something else, or what this processor does not have.
    pub fn asked() -> Result<Option<Self>> {
        let Some(word) = std::env::var_os(VARIABLE) else {
            return Ok(None);
        };
        let all = Self::all();
        match all.iter().find(|set| word == set.word()) {
            Some(&set) => Ok(Some(set)),
            None => {
                let words: Vec<&str> = all.iter().map(|set| set.word()).collect();
                let problem = format!("this processor has no {}", word.to_string_lossy());
                Err(Error::new(problem)
                    .at(VARIABLE)
                    .help(format!("unset it, or choose one of {}", words.join(", "))))
            }
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// All that this processor has, the widest first.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 =
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
            if avx2 && avx512 {
                all.push(Self::Avx512);
            }
            if avx2 {
                all.push(Self::Avx2);
            }
        }
        all.push(Self::Portable);
        all
    }
}

/// Runs `kernel` by `set`, which must be one of [`InstructionSet::all`].
pub fn run<K: Kernel>(set: InstructionSet, kernel: K) {
    match set {
        // SAFETY: `InstructionSet::all` has it only where the processor does.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        InstructionSet::Avx2 => unsafe { run_avx2(kernel) },
        // SAFETY: arrays need no instructions of their own.
        _ => unsafe { kernel.run::<Portable>() },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn run_avx512<K: Kernel>(kernel: K) {
    // SAFETY: the caller knows that the processor has the instructions.
    unsafe { kernel.run::<x86::Avx512>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<K: Kernel>(kernel: K) {
    // SAFETY: the caller knows that the processor has the instructions.
    unsafe { kernel.run::<x86::Avx2>() }
}

/// Sixteen values, left to the compiler.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut values = self.0;
        for (value, other) in values.iter_mut().zip(other.0) {
            *value = f(*value, other);
        }
        Self(values)
    }
}

// SAFETY (of all methods): pointers are valid for as many values as the trait asks for.
impl Lanes for Portable {
    const ROWS: usize = 4;
    const VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn gather4(from: *const f32, offsets: *const usize) -> Self {
        let mut values = [0.0; LANES];
        for (nth, quarter) in values.chunks_exact_mut(4).enumerate() {
            let from = unsafe { from.add(*offsets.add(nth)) };
            quarter.copy_from_slice(&unsafe { from.cast::<[f32; 4]>().read_unaligned() });
        }
        Self(values)
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, summand: Self) -> Self {
        self.with(factor, multiplied).with(summand, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn neg_mul_add(self, factor: Self, summand: Self) -> Self {
        summand.with(self.with(factor, multiplied), |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.with(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn select_equal(self, other: Self, then: Self, otherwise: Self) -> Self {
        let mut values = otherwise.0;
        for (lane, value) in values.iter_mut().enumerate() {
            if self.0[lane] == other.0[lane] {
                *value = then.0[lane];
            }
        }
        Self(values)
    }
    #[inline(always)]
    unsafe fn transpose_quarters(rows: [Self; 4]) -> [Self; 4] {
        let mut out = [Self([0.0; LANES]); 4];
        for (i, row) in rows.iter().enumerate() {
            for (at, &value) in row.0.iter().enumerate() {
                out[at % 4].0[at / 4 * 4 + i] = value;
            }
        }
        out
    }
}

#[inline(always)]
fn multiplied(a: f32, b: f32) -> f32 {
    a * b
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub struct Avx512(__m512);

    // SAFETY (of all methods): the trait's callers know that the processor has the instructions
    // and that pointers are valid.
    impl Lanes for Avx512 {
        const ROWS: usize = 8;
        const VECTORS: usize = 3;

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { _mm512_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn gather4(from: *const f32, offsets: *const usize) -> Self {
            unsafe {
                let low = _mm256_loadu2_m128(from.add(*offsets.add(1)), from.add(*offsets));
                let (third, fourth) = (*offsets.add(2), *offsets.add(3));
                let high = _mm256_loadu2_m128(from.add(fourth), from.add(third));
                let low = _mm512_castpd256_pd512(_mm256_castps_pd(low));
                let both = _mm512_insertf64x4::<1>(low, _mm256_castps_pd(high));
                Self(_mm512_castpd_ps(both))
            }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Self(unsafe { _mm512_set1_ps(value) })
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            Self(unsafe { _mm512_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Self(unsafe { _mm512_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, summand: Self) -> Self {
            Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, summand.0) })
        }
        #[inline(always)]
        unsafe fn neg_mul_add(self, factor: Self, summand: Self) -> Self {
            Self(unsafe { _mm512_fnmadd_ps(self.0, factor.0, summand.0) })
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            Self(unsafe { _mm512_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn select_equal(self, other: Self, then: Self, otherwise: Self) -> Self {
            unsafe {
                let equal = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self.0, other.0);
                Self(_mm512_mask_blend_ps(equal, otherwise.0, then.0))
            }
        }
        #[inline(always)]
        unsafe fn transpose_quarters(rows: [Self; 4]) -> [Self; 4] {
            unsafe {
                let [Self(a), Self(b), Self(c), Self(d)] = rows;
                let ab_low = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
                let cd_low = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
                let ab_high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
                let cd_high = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
                [
                    Self(_mm512_castpd_ps(_mm512_unpacklo_pd(ab_low, cd_low))),
                    Self(_mm512_castpd_ps(_mm512_unpackhi_pd(ab_low, cd_low))),
                    Self(_mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high))),
                    Self(_mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high))),
                ]
            }
        }
    }

    #[derive(Clone, Copy)]
    pub struct Avx2([__m256; 2]);

    // SAFETY (of all methods): as for `Avx512`.
    impl Lanes for Avx2 {
        const ROWS: usize = 4;
        const VECTORS: usize = 1;

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] })
        }
        #[inline(always)]
        unsafe fn gather4(from: *const f32, offsets: *const usize) -> Self {
            unsafe {
                let (third, fourth) = (*offsets.add(2), *offsets.add(3));
                Self([
                    _mm256_loadu2_m128(from.add(*offsets.add(1)), from.add(*offsets)),
                    _mm256_loadu2_m128(from.add(fourth), from.add(third)),
                ])
            }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe {
                _mm256_storeu_ps(to, self.0[0]);
                _mm256_storeu_ps(to.add(8), self.0[1]);
            }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Self([unsafe { _mm256_set1_ps(value) }; 2])
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            Self(unsafe { [_mm256_add_ps(a, c), _mm256_add_ps(b, d)] })
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            Self(unsafe { [_mm256_sub_ps(a, c), _mm256_sub_ps(b, d)] })
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            Self(unsafe { [_mm256_mul_ps(a, c), _mm256_mul_ps(b, d)] })
        }
        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, summand: Self) -> Self {
            let ([a, b], [c, d], [e, f]) = (self.0, factor.0, summand.0);
            Self(unsafe { [_mm256_fmadd_ps(a, c, e), _mm256_fmadd_ps(b, d, f)] })
        }
        #[inline(always)]
        unsafe fn neg_mul_add(self, factor: Self, summand: Self) -> Self {
            let ([a, b], [c, d], [e, f]) = (self.0, factor.0, summand.0);
            Self(unsafe { [_mm256_fnmadd_ps(a, c, e), _mm256_fnmadd_ps(b, d, f)] })
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            Self(unsafe { [_mm256_max_ps(a, c), _mm256_max_ps(b, d)] })
        }
        #[inline(always)]
        unsafe fn select_equal(self, other: Self, then: Self, otherwise: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            let ([e, f], [g, h]) = (then.0, otherwise.0);
            unsafe {
                let first = _mm256_cmp_ps::<_CMP_EQ_OQ>(a, c);
                let second = _mm256_cmp_ps::<_CMP_EQ_OQ>(b, d);
                Self([
                    _mm256_blendv_ps(g, e, first),
                    _mm256_blendv_ps(h, f, second),
                ])
            }
        }
        #[inline(always)]
        unsafe fn transpose_quarters(rows: [Self; 4]) -> [Self; 4] {
            unsafe {
                let mut out = rows;
                for half in 0..2 {
                    let [Self(a), Self(b), Self(c), Self(d)] = rows;
                    let (a, b, c, d) = (a[half], b[half], c[half], d[half]);
                    let ab_low = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
                    let cd_low = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
                    let ab_high = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
                    let cd_high = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
                    out[0].0[half] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab_low, cd_low));
                    out[1].0[half] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab_low, cd_low));
                    out[2].0[half] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high));
                    out[3].0[half] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high));
                }
                out
            }
        }
    }
}
