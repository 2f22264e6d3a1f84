//! A drawn face: what may vary in it, how it is chosen, and how it is painted.

use super::canvas::{Bounds, Canvas, Colour, Frame, SIDE, distance_to_segment, turn};
use super::scene::Scene;
use crate::random::Stream;

/// The brows of the source task's categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brows {
    Raised,
    Level,
    /// Inner ends down.
    Slanted,
}

/// The mouths of the source task's categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mouth {
    /// A closed line.
    Closed,
    /// An open oval.
    Open,
    Teeth,
    Tongue,
}

pub const BROWS: [Brows; 3] = [Brows::Raised, Brows::Level, Brows::Slanted];
pub const MOUTHS: [Mouth; 4] = [Mouth::Closed, Mouth::Open, Mouth::Teeth, Mouth::Tongue];

/// What a task asks of a face; the rest is chance.
#[derive(Debug, Clone, Copy)]
pub struct Expression {
    pub brows: Brows,
    pub mouth: Mouth,
    /// Whether the corners of the mouth point up.
    pub smiling: bool,
}

/// Sizes and places in units of half the face's height, from its centre, right and down.
struct Face {
    expression: Expression,
    /// The face itself, and its features, which a turned head moves to one side.
    head: Frame,
    features: Frame,
    half_width: f64,
    skin: Colour,
    ink: Colour,
    eye: [f64; 2],
    gaze: [f64; 2],
    mouth_centre: [f64; 2],
    mouth_half_width: f64,
    /// How far the middle of the mouth lies below its corners.
    bend: f64,
    line: f64,
    hair: Option<Colour>,
    glasses: Option<Colour>,
    hat: Option<Colour>,
    nose: f64,
}

/// Draws the image: 3·32·32 values in (channel, row, column) order.
pub fn draw(expression: Expression, stream: &mut Stream) -> Vec<u8> {
    let face = Face::choose(expression, stream);
    let scene = Scene::choose(stream);
    let mut canvas = scene.background();
    face.paint(&mut canvas);
    scene.occlude(&mut canvas, &face.telling_points(), stream);
    scene.light(&mut canvas);
    scene.develop(&canvas, stream)
}

impl Face {
    fn choose(expression: Expression, stream: &mut Stream) -> Self {
        let middle = SIDE as f64 / 2.0;
        let size = stream.between(10.0, 14.0);
        // Half the angle has this tangent: up to about 20 degrees to either side.
        let turn = turn(stream.between(-0.176, 0.176));
        let origin = [0, 1].map(|_| middle + stream.between(-2.5, 2.5));
        let head = Frame {
            origin,
            turn,
            scale: [size, size],
        };
        let yaw = stream.between(-1.0, 1.0);
        let features = Frame {
            origin: head.outward(0.2 * yaw, 0.0),
            scale: [size * (1.0 - 0.18 * yaw * yaw), size],
            ..head
        };
        let skin = bright(stream, 0.45);
        let bend = stream.between(0.1, 0.3);
        let mouth_half_width = match expression.mouth {
            Mouth::Open => stream.between(0.26, 0.38),
            _ => stream.between(0.34, 0.5),
        };
        Self {
            expression,
            head,
            features,
            half_width: stream.between(0.78, 1.0),
            skin,
            ink: skin.map(|value| value * stream.between(0.1, 0.35)),
            eye: [stream.between(0.34, 0.44), stream.between(-0.22, -0.08)],
            gaze: [stream.between(-0.05, 0.05), stream.between(-0.04, 0.04)],
            mouth_centre: [stream.between(-0.06, 0.06), stream.between(0.4, 0.5)],
            mouth_half_width,
            bend: if expression.smiling { bend } else { -bend },
            line: stream.between(0.05, 0.09),
            hair: stream.chance(0.5).then(|| any(stream)),
            glasses: stream.chance(0.25).then(|| any(stream)),
            hat: stream.chance(0.25).then(|| any(stream)),
            nose: stream.between(0.06, 0.16),
        }
    }

    /// Points on the canvas without which nobody could tell the expression.
    fn telling_points(&self) -> Vec<[f64; 2]> {
        let [u, v] = self.mouth_centre;
        let width = self.mouth_half_width;
        let mouth = [-1.0, -0.5, 0.0, 0.5, 1.0].map(|side| [u + side * width, v]);
        let brows = [-1.0, 1.0].map(|side| [side * self.eye[0], self.eye[1] - 0.25]);
        let points = mouth.iter().chain(&brows);
        points.map(|&[u, v]| self.features.outward(u, v)).collect()
    }

    fn paint(&self, canvas: &mut Canvas) {
        self.paint_head(canvas);
        for side in [-1.0, 1.0] {
            self.paint_eye(canvas, side);
            self.paint_brow(canvas, side);
        }
        self.paint_nose(canvas);
        self.paint_mouth(canvas);
        self.paint_hat(canvas);
    }

    fn paint_head(&self, canvas: &mut Canvas) {
        let head = Bounds {
            centre: [0.0, 0.0],
            half: [self.half_width, 1.0],
        };
        if let Some(hair) = self.hair {
            let hair_bounds = Bounds {
                centre: [0.0, -0.22],
                half: [self.half_width * 1.12, 0.95],
            };
            canvas.paint(&self.head, hair_bounds, |u, v| {
                hair_bounds.ellipse(u, v, 0.0).then_some(hair)
            });
        }
        let rim = self.skin.map(|value| value * 0.6);
        canvas.paint(&self.head, head, |u, v| {
            let skin = if head.ellipse(u, v, 0.08) {
                self.skin
            } else {
                rim
            };
            head.ellipse(u, v, 0.0).then_some(skin)
        });
    }

    fn paint_eye(&self, canvas: &mut Canvas, side: f64) {
        let centre = [side * self.eye[0], self.eye[1]];
        let white = Bounds {
            centre,
            half: [0.17, 0.13],
        };
        let pupil = Bounds {
            centre: [centre[0] + self.gaze[0], centre[1] + self.gaze[1]],
            half: [0.085, 0.095],
        };
        canvas.paint(&self.features, white, |u, v| {
            let colour = if pupil.ellipse(u, v, 0.0) {
                [0.08; 3]
            } else {
                [0.96; 3]
            };
            white.ellipse(u, v, 0.0).then_some(colour)
        });
        if let Some(glasses) = self.glasses {
            let rim = Bounds {
                centre,
                half: [0.3, 0.26],
            };
            canvas.paint(&self.features, rim, |u, v| {
                (rim.ellipse(u, v, 0.0) && !rim.ellipse(u, v, 0.07)).then_some(glasses)
            });
        }
    }

    /// A brow is two straight strokes that meet above the eye.
    fn paint_brow(&self, canvas: &mut Canvas, side: f64) {
        // Heights over the eye at the inner end, the middle and the outer end.
        let heights = match self.expression.brows {
            Brows::Raised => [0.36, 0.48, 0.34],
            Brows::Level => [0.25, 0.26, 0.25],
            Brows::Slanted => [0.12, 0.24, 0.36],
        };
        let places = [-0.2, 0.0, 0.2].map(|place| side * (self.eye[0] + place));
        let [inner, middle, outer] =
            [0, 1, 2].map(|index| [places[index], self.eye[1] - heights[index]]);
        let bounds = Bounds {
            centre: [places[1], self.eye[1] - 0.3],
            half: [0.3, 0.3],
        };
        canvas.paint(&self.features, bounds, |u, v| {
            let distance = distance_to_segment([u, v], inner, middle).min(distance_to_segment(
                [u, v],
                middle,
                outer,
            ));
            (distance <= self.line).then_some(self.ink)
        });
    }

    fn paint_nose(&self, canvas: &mut Canvas) {
        let nose = Bounds {
            centre: [0.0, 0.12],
            half: [0.07, self.nose],
        };
        let shadow = self.skin.map(|value| value * 0.7);
        canvas.paint(&self.features, nose, |u, v| {
            nose.ellipse(u, v, 0.0).then_some(shadow)
        });
    }

    /// The mouth is a band around a parabola: a constant width makes a line, an elliptic one an
    /// opening.
    fn paint_mouth(&self, canvas: &mut Canvas) {
        let Self {
            mouth_half_width: width,
            bend,
            line,
            ..
        } = *self;
        let opening: f64 = match self.expression.mouth {
            Mouth::Closed => 0.0,
            Mouth::Open => 0.24,
            Mouth::Teeth | Mouth::Tongue => 0.17,
        };
        let [middle, height] = self.mouth_centre;
        let bounds = Bounds {
            centre: self.mouth_centre,
            half: [width, opening + bend.abs()],
        };
        canvas.paint(&self.features, bounds.grown(0.2), |u, v| {
            let across = (u - middle) / width;
            // Below 0 above the parabola, in the same units as the opening.
            let down = v - height - bend * (0.5 - across * across);
            if across.abs() > 1.0 {
                return None;
            }
            let half = opening * (1.0 - across * across).sqrt();
            let tongue = Bounds {
                centre: [0.0, 0.17],
                half: [0.55, 0.2],
            };
            match self.expression.mouth {
                Mouth::Closed => (down.abs() <= line).then_some(self.ink),
                Mouth::Tongue if tongue.ellipse(across, down, 0.0) => Some([0.93, 0.42, 0.5]),
                Mouth::Teeth if down.abs() <= half - 0.05 => Some([0.97; 3]),
                _ => (down.abs() <= half.max(line * 0.6)).then_some(self.ink),
            }
        });
    }

    fn paint_hat(&self, canvas: &mut Canvas) {
        let Some(hat) = self.hat else { return };
        let crown = Bounds {
            centre: [0.0, -1.2],
            half: [0.6, 0.28],
        };
        let brim = Bounds {
            centre: [0.0, -0.92],
            half: [1.05, 0.07],
        };
        canvas.paint(&self.head, crown, |_, _| Some(hat));
        canvas.paint(&self.head, brim, |_, _| Some(hat.map(|value| value * 0.75)));
    }
}

/// Any colour at all.
pub fn any(stream: &mut Stream) -> Colour {
    [0, 1, 2].map(|_| stream.uniform())
}

/// A colour whose brightest channel is 1 or nearly so, and the others above `floor`.
fn bright(stream: &mut Stream, floor: f64) -> Colour {
    let mut colour = [0, 1, 2].map(|_| stream.between(floor, 1.0));
    let brightest = stream.below(3) as usize;
    colour[brightest] = stream.between(0.85, 1.0);
    colour
}
