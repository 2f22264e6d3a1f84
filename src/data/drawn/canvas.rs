//! A small canvas with antialiased shapes.
//!
//! Shapes are painted on a grid three times finer than the image, each over the bounds it names,
//! and averaged at the end. Only additions, multiplications, divisions and square roots are used,
//! which every platform rounds alike; so the images are the same everywhere.

/// Red, green and blue, 0 to 1.
pub type Colour = [f64; 3];

/// Side of the image in pixels.
pub const SIDE: usize = 32;

/// Grid points along the side of a pixel.
const FINE: usize = 3;

/// A square image in the making. Coordinates are pixels from the top left corner.
pub struct Canvas {
    points: Vec<Colour>,
}

/// A coordinate system on the canvas: moved, turned and stretched.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Where its origin lies on the canvas.
    pub origin: [f64; 2],
    /// Cosine and sine of the angle by which it is turned clockwise.
    pub turn: [f64; 2],
    /// Pixels a unit, along its own axes.
    pub scale: [f64; 2],
}

/// A rectangle in a frame, by its centre and half its width and height.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub centre: [f64; 2],
    pub half: [f64; 2],
}

impl Canvas {
    /// A canvas that is coloured point by point.
    pub fn new(colour: impl Fn(f64, f64) -> Colour) -> Self {
        let step = |index: usize| (index as f64 + 0.5) / FINE as f64;
        let side = SIDE * FINE;
        let points = (0..side * side).map(|index| colour(step(index % side), step(index / side)));
        Self {
            points: points.collect(),
        }
    }

    /// Paints what `shape` says of each point of `bounds`, in the frame's coordinates: a colour,
    /// or `None` outside the shape.
    pub fn paint(
        &mut self,
        frame: &Frame,
        bounds: Bounds,
        shape: impl Fn(f64, f64) -> Option<Colour>,
    ) {
        let side = SIDE * FINE;
        let [columns, rows] = frame.covered(bounds);
        for row in rows {
            for column in columns.clone() {
                let x = (column as f64 + 0.5) / FINE as f64;
                let y = (row as f64 + 0.5) / FINE as f64;
                let [u, v] = frame.inward(x, y);
                if let Some(colour) = shape(u, v) {
                    self.points[row * side + column] = colour;
                }
            }
        }
    }

    /// Changes every point's colour by its place.
    pub fn shade(&mut self, light: impl Fn(f64, f64, Colour) -> Colour) {
        let side = SIDE * FINE;
        for (index, point) in self.points.iter_mut().enumerate() {
            let x = (index % side) as f64 / FINE as f64;
            let y = (index / side) as f64 / FINE as f64;
            *point = light(x, y, *point);
        }
    }

    /// The image, 0 to 1, in (channel, row, column) order.
    pub fn average(&self) -> Vec<f64> {
        let mut image = vec![0.0; 3 * SIDE * SIDE];
        for (index, point) in self.points.iter().enumerate() {
            let (row, column) = (index / (SIDE * FINE) / FINE, index % (SIDE * FINE) / FINE);
            for (channel, value) in point.iter().enumerate() {
                image[(channel * SIDE + row) * SIDE + column] += value / (FINE * FINE) as f64;
            }
        }
        image
    }
}

impl Frame {
    /// Canvas to frame.
    pub fn inward(&self, x: f64, y: f64) -> [f64; 2] {
        let [cos, sin] = self.turn;
        let (x, y) = (x - self.origin[0], y - self.origin[1]);
        [
            (x * cos + y * sin) / self.scale[0],
            (y * cos - x * sin) / self.scale[1],
        ]
    }

    /// Frame to canvas.
    pub fn outward(&self, u: f64, v: f64) -> [f64; 2] {
        let [cos, sin] = self.turn;
        let (u, v) = (u * self.scale[0], v * self.scale[1]);
        [
            self.origin[0] + u * cos - v * sin,
            self.origin[1] + u * sin + v * cos,
        ]
    }

    /// The grid columns and rows that a rectangle of the frame may touch.
    fn covered(&self, Bounds { centre, half }: Bounds) -> [std::ops::Range<usize>; 2] {
        let corners = [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)]
            .map(|(u, v)| self.outward(centre[0] + u * half[0], centre[1] + v * half[1]));
        [0, 1].map(|axis| {
            let places = corners.map(|corner| corner[axis] * FINE as f64);
            let low = places.iter().copied().fold(f64::INFINITY, f64::min);
            let high = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // Conversion clamps what lies left of or above the canvas to 0.
            let end = (SIDE * FINE).min(high as usize + 1);
            (low as usize).min(end)..end
        })
    }
}

impl Bounds {
    /// Whether a point lies in the ellipse that fills these bounds; `inset` shrinks it.
    pub fn ellipse(&self, u: f64, v: f64, inset: f64) -> bool {
        let x = (u - self.centre[0]) / (self.half[0] - inset);
        let y = (v - self.centre[1]) / (self.half[1] - inset);
        x * x + y * y <= 1.0
    }

    /// These bounds with a margin around them.
    pub fn grown(&self, margin: f64) -> Self {
        Self {
            centre: self.centre,
            half: self.half.map(|half| half + margin),
        }
    }
}

/// Distance from a point to a line segment.
pub fn distance_to_segment(point: [f64; 2], from: [f64; 2], to: [f64; 2]) -> f64 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let start = [point[0] - from[0], point[1] - from[1]];
    let length = along[0] * along[0] + along[1] * along[1];
    let share = ((start[0] * along[0] + start[1] * along[1]) / length).clamp(0.0, 1.0);
    let (x, y) = (start[0] - share * along[0], start[1] - share * along[1]);
    (x * x + y * y).sqrt()
}

/// Cosine and sine of a turn, from the tangent of its half: no platform's own sine is needed.
pub fn turn(half_tangent: f64) -> [f64; 2] {
    let square = half_tangent * half_tangent;
    [
        (1.0 - square) / (1.0 + square),
        2.0 * half_tangent / (1.0 + square),
    ]
}
