//! What surrounds a drawn face: background, things in front of it, light, and the camera's noise.

use super::canvas::{Bounds, Canvas, Colour, Frame, SIDE, turn};
use super::face::any;
use crate::random::Stream;

pub struct Scene {
    ground: Colour,
    pattern: Colour,
    /// The pattern's coordinate system; its units are the pattern's periods.
    weave: Frame,
    stripes: bool,
    /// Change of brightness from the middle to the right and to the lower edge.
    slope: [f64; 2],
    brightness: f64,
    /// Standard deviation of the noise, in levels of 255.
    noise: f64,
}

impl Scene {
    pub fn choose(stream: &mut Stream) -> Self {
        let ground = any(stream);
        let contrast = stream.between(0.0, 0.45);
        let other = any(stream);
        Self {
            ground,
            pattern: [0, 1, 2].map(|i| ground[i] + contrast * (other[i] - ground[i])),
            weave: Frame {
                origin: [stream.between(0.0, 8.0), stream.between(0.0, 8.0)],
                turn: turn(stream.between(-0.4, 0.4)),
                scale: [stream.between(4.0, 11.0), stream.between(4.0, 11.0)],
            },
            stripes: stream.chance(0.5),
            slope: [stream.between(-0.35, 0.35), stream.between(-0.35, 0.35)],
            brightness: stream.between(0.65, 1.05),
            noise: stream.between(3.0, 16.0),
        }
    }

    /// Stripes or checks.
    pub fn background(&self) -> Canvas {
        Canvas::new(|x, y| {
            let [u, v] = self.weave.inward(x, y);
            // All places lie right of and below -1000 periods, where conversion rounds down.
            let odd = |place: f64| (place + 1000.0) as u64 & 1 == 1;
            let marked = odd(u) ^ (!self.stripes && odd(v));
            if marked { self.pattern } else { self.ground }
        })
    }

    /// Puts a bar or a disc in front of two pictures in five, where it hides at most one of the
    /// points that tell what is drawn.
    pub fn occlude(&self, canvas: &mut Canvas, telling: &[[f64; 2]], stream: &mut Stream) {
        if !stream.chance(0.4) {
            return;
        }
        let round = stream.chance(0.5);
        let colour = any(stream);
        let half = if round {
            [stream.between(2.5, 6.0), stream.between(2.5, 6.0)]
        } else {
            [stream.between(1.0, 2.2), stream.between(8.0, 24.0)]
        };
        let bounds = Bounds {
            centre: [0.0, 0.0],
            half,
        };
        let covers = |u: f64, v: f64| {
            let inside = u.abs() <= half[0] && v.abs() <= half[1];
            inside && (!round || bounds.ellipse(u, v, 0.0))
        };
        // Most places will do; after so many misses the picture stays free.
        for _ in 0..20 {
            let frame = Frame {
                origin: [0, 1].map(|_| stream.between(0.0, SIDE as f64)),
                turn: turn(stream.between(-1.0, 1.0)),
                scale: [1.0, 1.0],
            };
            let hides = |&&[x, y]: &&[f64; 2]| {
                let [u, v] = frame.inward(x, y);
                covers(u, v)
            };
            if telling.iter().filter(hides).count() <= 1 {
                canvas.paint(&frame, bounds, |u, v| covers(u, v).then_some(colour));
                return;
            }
        }
    }

    pub fn light(&self, canvas: &mut Canvas) {
        let middle = SIDE as f64 / 2.0;
        canvas.shade(|x, y, colour| {
            let slope = self.slope[0] * (x - middle) + self.slope[1] * (y - middle);
            let light = self.brightness * (1.0 + slope / middle);
            colour.map(|value| value * light)
        });
    }

    /// The picture as 8-bit values, with noise.
    pub fn develop(&self, canvas: &Canvas, stream: &mut Stream) -> Vec<u8> {
        let noisy = |value: f64| (value * 255.0 + self.noise * grain(stream) + 0.5) as u8;
        canvas.average().into_iter().map(noisy).collect()
    }
}

/// Roughly normal with mean 0 and variance 1, from a single draw: four 16-bit numbers, added.
fn grain(stream: &mut Stream) -> f64 {
    let bits = stream.bits();
    let sum: u64 = [0, 16, 32, 48]
        .iter()
        .map(|shift| bits >> shift & 0xffff)
        .sum();
    // The sum of four uniform numbers has mean 2 and variance 1/3.
    const SQRT_3: f64 = 1.732_050_807_568_877_2;
    (sum as f64 / 65_535.0 - 2.0) * SQRT_3
}
