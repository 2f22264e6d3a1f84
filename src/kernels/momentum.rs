//! Gradient descent with momentum, as one pass over the parameters.

use rayon::prelude::*;

/// One update of w with the velocity v: g += d·w; v = m·v − r·g; w += v, or with `nesterov`
/// w += m·v − r·g.
#[derive(Debug, Clone, Copy)]
pub struct Momentum {
    pub rate: f64,
    pub momentum: f64,
    pub nesterov: bool,
    /// 0: none.
    pub weight_decay: f64,
}

/// Values that a task moves: few enough for a cache, and enough to be worth a task.
const PIECE: usize = 1 << 14;

/// Moves `weights` and their `velocity` by `gradient`, each value by itself. Roundings are those of
/// the same operations one after another.
pub fn step(rule: Momentum, weights: &mut [f32], velocity: &mut [f32], gradient: &[f32]) {
    let pieces = weights
        .par_chunks_mut(PIECE)
        .zip(velocity.par_chunks_mut(PIECE));
    let pieces = pieces.zip(gradient.par_chunks(PIECE));
    pieces.for_each(
        |((w, v), g)| match (rule.weight_decay != 0.0, rule.nesterov) {
            (false, false) => piece::<false, false>(rule, w, v, g),
            (false, true) => piece::<false, true>(rule, w, v, g),
            (true, false) => piece::<true, false>(rule, w, v, g),
            (true, true) => piece::<true, true>(rule, w, v, g),
        },
    );
}

fn piece<const DECAYS: bool, const NESTEROV: bool>(
    rule: Momentum,
    weights: &mut [f32],
    velocity: &mut [f32],
    gradient: &[f32],
) {
    let [rate, momentum, decay] = [-rule.rate, rule.momentum, rule.weight_decay].map(|v| v as f32);
    let values = weights.iter_mut().zip(velocity).zip(gradient);
    for ((w, v), &g) in values {
        let g = if DECAYS { g + *w * decay } else { g };
        let push = g * rate;
        *v = *v * momentum + push;
        *w = if NESTEROV {
            *w + *v * momentum + push
        } else {
            *w + *v
        };
    }
}
