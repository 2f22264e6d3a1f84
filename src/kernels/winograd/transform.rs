//! The transforms of F(4x4, 3x3) in one dimension, at the points 0, ±5/8, ±3/2 and infinity.
//!
//! With the points' polynomials, an output tile is Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A (Lavin and Gray 2016).
//! These points cost no more than 0, ±1, ±2, and are about twice as accurate: products of
//! neighbouring magnitudes stay closer together.
//!
//! Gradients of filters come of the adjoint: g' = Gᵀ [(A y' Aᵀ) ⊙ (Bᵀ d B)] G.

use crate::kernels::simd::Lanes;

/// Points in each direction.
pub const POINTS: usize = 6;
/// Side of an output tile.
pub const TILE: usize = 4;

const A: f32 = 5.0 / 8.0;
const B: f32 = 3.0 / 2.0;
/// Squares and cubes of the points, their squares' sum and product: all exact in f32.
const A2: f32 = A * A;
const B2: f32 = B * B;
const A3: f32 = A * A * A;
const B3: f32 = B * B * B;
const SUM: f32 = A2 + B2;
const PRODUCT: f32 = A2 * B2;
/// What the interpolation divides by at each point, as factors on the filters.
const AT_0: f32 = (1.0 / (PRODUCT as f64)) as f32;
const AT_A: f32 = (1.0 / (2.0 * A2 as f64 * (A2 as f64 - B2 as f64))) as f32;
const AT_B: f32 = (1.0 / (2.0 * B2 as f64 * (B2 as f64 - A2 as f64))) as f32;

/// Bᵀ d: six values of the input.
///
/// # Safety
/// As for [`Lanes`]; so it is for all functions here.
#[inline(always)]
pub unsafe fn input<L: Lanes>(d: [L; 6]) -> [L; 6] {
    unsafe {
        let (a, b, a2, b2) = (L::splat(A), L::splat(B), L::splat(A2), L::splat(B2));
        let (sum, product) = (L::splat(SUM), L::splat(PRODUCT));
        let even_a = d[2].neg_mul_add(b2, d[4]);
        let odd_a = d[1].neg_mul_add(b2, d[3]);
        let even_b = d[2].neg_mul_add(a2, d[4]);
        let odd_b = d[1].neg_mul_add(a2, d[3]);
        [
            d[0].mul_add(product, d[2].neg_mul_add(sum, d[4])),
            odd_a.mul_add(a, even_a),
            odd_a.neg_mul_add(a, even_a),
            odd_b.mul_add(b, even_b),
            odd_b.neg_mul_add(b, even_b),
            d[1].mul_add(product, d[3].neg_mul_add(sum, d[5])),
        ]
    }
}

/// Aᵀ m: four values of the output.
#[inline(always)]
pub unsafe fn output<L: Lanes>(m: [L; 6]) -> [L; 4] {
    unsafe {
        let (sum_a, difference_a) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (sum_b, difference_b) = (m[3].add(m[4]), m[3].sub(m[4]));
        let cubes = difference_b.mul_add(L::splat(B3), m[5]);
        [
            m[0].add(sum_a).add(sum_b),
            difference_a.mul_add(L::splat(A), difference_b.mul(L::splat(B))),
            sum_a.mul_add(L::splat(A2), sum_b.mul(L::splat(B2))),
            difference_a.mul_add(L::splat(A3), cubes),
        ]
    }
}

/// A y': four values of an output's gradient.
#[inline(always)]
pub unsafe fn output_adjoint<L: Lanes>(y: [L; 4]) -> [L; 6] {
    unsafe {
        let even_a = y[2].mul_add(L::splat(A2), y[0]);
        let odd_a = y[3].mul_add(L::splat(A3), y[1].mul(L::splat(A)));
        let even_b = y[2].mul_add(L::splat(B2), y[0]);
        let odd_b = y[3].mul_add(L::splat(B3), y[1].mul(L::splat(B)));
        [
            y[0],
            even_a.add(odd_a),
            even_a.sub(odd_a),
            even_b.add(odd_b),
            even_b.sub(odd_b),
            y[3],
        ]
    }
}

/// G g: three values of a filter.
#[inline(always)]
pub unsafe fn filter<L: Lanes>(g: [L; 3]) -> [L; 6] {
    unsafe {
        let (at_0, at_a, at_b) = (L::splat(AT_0), L::splat(AT_A), L::splat(AT_B));
        let even_a = g[2].mul_add(L::splat(A2), g[0]);
        let odd_a = g[1].mul(L::splat(A));
        let even_b = g[2].mul_add(L::splat(B2), g[0]);
        let odd_b = g[1].mul(L::splat(B));
        [
            g[0].mul(at_0),
            even_a.add(odd_a).mul(at_a),
            even_a.sub(odd_a).mul(at_a),
            even_b.add(odd_b).mul(at_b),
            even_b.sub(odd_b).mul(at_b),
            g[2],
        ]
    }
}

/// Gᵀ u: three values of a filter's gradient.
#[inline(always)]
pub unsafe fn filter_adjoint<L: Lanes>(u: [L; 6]) -> [L; 3] {
    unsafe {
        let (at_0, at_a, at_b) = (L::splat(AT_0), L::splat(AT_A), L::splat(AT_B));
        let sum_a = u[1].add(u[2]).mul(at_a);
        let difference_a = u[1].sub(u[2]).mul(at_a);
        let sum_b = u[3].add(u[4]).mul(at_b);
        let difference_b = u[3].sub(u[4]).mul(at_b);
        [
            u[0].mul_add(at_0, sum_a.add(sum_b)),
            difference_a.mul_add(L::splat(A), difference_b.mul(L::splat(B))),
            sum_a.mul_add(L::splat(A2), sum_b.mul_add(L::splat(B2), u[5])),
        ]
    }
}
