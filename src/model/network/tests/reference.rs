//! A network computed with loops over lists of f64, one sample at a time. Slow, and right.

use crate::model::graph;
use crate::model::network::Weights;
use crate::model::spec::{LayerSpec, NetworkSpec, Operation, Padding, Role};

/// (channels, height, width) of values in C order; features have a height and a width of 1.
#[derive(Clone)]
struct Maps {
    shape: [usize; 3],
    values: Vec<f64>,
}

impl Maps {
    fn new(shape: [usize; 3], value: impl Fn(usize, usize, usize) -> f64) -> Self {
        let [channels, height, width] = shape;
        let mut values = Vec::new();
        for c in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    values.push(value(c, y, x));
                }
            }
        }
        Self { shape, values }
    }

    /// 0 outside of the image.
    fn at(&self, c: usize, y: isize, x: isize) -> f64 {
        let [_, height, width] = self.shape;
        let inside = |place: isize, size: usize| (0..size as isize).contains(&place);
        match inside(y, height) && inside(x, width) {
            true => self.values[(c * height + y as usize) * width + x as usize],
            false => 0.0,
        }
    }
}

/// The values before the softmax.
pub fn output(network: &NetworkSpec, weights: &Weights, pixels: &[f64]) -> Vec<f64> {
    let values = pixels.to_vec();
    let shape = network.input;
    let mut all = vec![Maps { shape, values }];
    let places = graph::inputs(&network.layers).expect("layers in order");
    for (layer, places) in network.layers.iter().zip(places) {
        if layer.operation == Operation::Softmax {
            break;
        }
        let inputs: Vec<_> = places.iter().map(|&place| all[place].clone()).collect();
        all.push(computed(layer, weights, &inputs));
    }
    all.pop().expect("layers").values
}

fn computed(layer: &LayerSpec, weights: &Weights, inputs: &[Maps]) -> Maps {
    let of = |role: Role| weights[&(layer.name.clone(), role)].to_f64();
    let input = &inputs[0];
    let [channels, height, width] = input.shape;
    let shape = match *layer.output.as_slice() {
        [channels, height, width] => [channels, height, width],
        [features] => [features, 1, 1],
        _ => panic!("no such shape"),
    };
    let each = |value: &dyn Fn(f64) -> f64| {
        Maps::new(shape, |c, y, x| value(input.at(c, y as isize, x as isize)))
    };
    match layer.operation {
        Operation::Convolution {
            stride,
            padding,
            groups,
        } => {
            let kernel = layer.parameters[0].shape[2];
            convolved(
                input,
                &of(Role::Weight),
                shape,
                kernel,
                stride,
                padding,
                groups,
            )
        }
        Operation::Linear => {
            let weight = of(Role::Weight);
            let row = |f: usize| &weight[f * input.values.len()..];
            Maps::new(shape, |f, _, _| {
                row(f).iter().zip(&input.values).map(|(w, x)| w * x).sum()
            })
        }
        Operation::Bias => {
            let bias = of(Role::Bias);
            Maps::new(shape, |c, y, x| {
                input.at(c, y as isize, x as isize) + bias[c]
            })
        }
        Operation::BatchNorm { epsilon, .. } => {
            let [scale, shift, mean, variance] =
                [Role::Scale, Role::Shift, Role::Mean, Role::Variance].map(of);
            Maps::new(shape, |c, y, x| {
                let centred = input.at(c, y as isize, x as isize) - mean[c];
                scale[c] * centred / (variance[c] + epsilon).sqrt() + shift[c]
            })
        }
        Operation::Relu => each(&|x| x.max(0.0)),
        Operation::LeakyRelu { slope } => each(&|x| x.max(0.0) + slope * x.min(0.0)),
        Operation::LimitedRelu { limit } => each(&|x| x.clamp(0.0, limit)),
        Operation::Dropout { .. } => input.clone(),
        Operation::MaxPooling {
            kernel,
            stride,
            padding,
            ..
        } => Maps::new(shape, |c, y, x| {
            let window = |place: usize, size: usize| {
                let first = (place * stride) as isize - padding as isize;
                let last = (first + kernel as isize).min(size as isize);
                first.max(0)..last
            };
            let rows = window(y, height);
            let places = rows.flat_map(|y| window(x, width).map(move |x| (y, x)));
            places.fold(f64::MIN, |most, (y, x)| most.max(input.at(c, y, x)))
        }),
        Operation::GlobalAveragePooling => Maps::new(shape, |c, _, _| {
            let size = height * width;
            let values = &input.values[c * size..(c + 1) * size];
            values.iter().sum::<f64>() / size as f64
        }),
        Operation::Add => Maps::new(shape, |c, y, x| {
            let (y, x) = (y as isize, x as isize);
            inputs.iter().map(|input| input.at(c, y, x)).sum()
        }),
        Operation::Concatenate => Maps {
            shape,
            values: inputs
                .iter()
                .flat_map(|input| input.values.clone())
                .collect(),
        },
        Operation::Subsample { stride, before, .. } => Maps::new(shape, |c, y, x| {
            let inside = (before..before + channels).contains(&c);
            let (y, x) = ((y * stride) as isize, (x * stride) as isize);
            if inside {
                input.at(c - before, y, x)
            } else {
                0.0
            }
        }),
        other => panic!("the reference has no {other:?}"),
    }
}

fn convolved(
    input: &Maps,
    weight: &[f64],
    shape: [usize; 3],
    kernel: usize,
    stride: usize,
    padding: Padding,
    groups: usize,
) -> Maps {
    let of_group = input.shape[0] / groups;
    let filters = shape[0] / groups;
    Maps::new(shape, |f, y, x| {
        let mut sum = 0.0;
        for c in 0..of_group {
            for i in 0..kernel {
                for j in 0..kernel {
                    let y = (y * stride + i) as isize - padding.top as isize;
                    let x = (x * stride + j) as isize - padding.left as isize;
                    let w = weight[((f * of_group + c) * kernel + i) * kernel + j];
                    sum += w * input.at(f / filters * of_group + c, y, x);
                }
            }
        }
        sum
    })
}
