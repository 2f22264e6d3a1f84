//! Dropout (Srivastava et al. 2014), scaled in training or at inference.

use burn::module::{Flag, Module, Param};
use burn::tensor::Tensor;

use super::{Draw, Values, dtype, tensor};
use crate::config::experiment::DropoutScaling;
use crate::numbers::Numbers;
use crate::random::Stream;

/// Drops values in training, when its flag is up and a [`Draw`] says which samples.
///
/// Which values are dropped is graft's own draw, not neon's: neon takes its masks from the generator
/// that drew the weights, in the order of the batches.
#[derive(Module, Debug)]
pub struct Dropout {
    rate: f64,
    #[module(skip)]
    scaling: DropoutScaling,
    training: Param<Flag>,
}

impl Dropout {
    /// Drops with the probability `rate`.
    pub fn new(rate: f64, scaling: DropoutScaling) -> Self {
        Self {
            rate,
            scaling,
            training: Param::from_bool(true),
        }
    }

    /// In training some values are dropped; at inference, and in a frozen layer, none. `name` keys
    /// the draw.
    pub fn forward(&self, name: &str, input: Values, draw: Option<Draw<'_>>) -> Values {
        let draw = draw.filter(|_| self.training.val().is_enabled());
        match input {
            Values::Maps(x) => Values::Maps(self.apply(name, x, draw)),
            Values::Features(x) => Values::Features(self.apply(name, x, draw)),
        }
    }

    fn apply<const D: usize>(
        &self,
        name: &str,
        values: Tensor<D>,
        draw: Option<Draw<'_>>,
    ) -> Tensor<D> {
        let Some(draw) = draw else {
            return self.at_inference(values);
        };
        let count = values.dims()[1..].iter().product();
        let kept = self.kept(name, draw, count);
        self.in_training(values, &kept)
    }

    /// All values; scaled at inference, each times the chance of keeping.
    pub(super) fn at_inference<const D: usize>(&self, values: Tensor<D>) -> Tensor<D> {
        match self.scaling {
            DropoutScaling::Training => values,
            DropoutScaling::Inference => values * (1.0 - self.rate),
        }
    }

    /// Only the values that are `kept`, one flag a value; scaled in training, each divided by the
    /// chance of keeping.
    pub(super) fn in_training<const D: usize>(
        &self,
        values: Tensor<D>,
        kept: &[bool],
    ) -> Tensor<D> {
        let factor = match self.scaling {
            DropoutScaling::Training => 1.0 / (1.0 - self.rate),
            DropoutScaling::Inference => 1.0,
        };
        let factors = kept.iter().map(|&kept| if kept { factor } else { 0.0 });
        let factors = Numbers::new(dtype(values.dtype()), factors);
        let mask = tensor(&values.dims(), factors, &values.device());
        values * mask
    }

    /// Draws which of the `count` values of each sample are kept.
    fn kept(&self, name: &str, draw: Draw<'_>, count: usize) -> Vec<bool> {
        let rate = self.rate as f32;
        let purpose = format!("dropout of {name}");
        let mut kept = Vec::with_capacity(draw.samples.len() * count);
        for &sample in draw.samples {
            let counters = [draw.epoch as u64, sample as u64];
            let mut stream = Stream::new(draw.seed, &purpose, &counters);
            kept.extend((0..count).map(|_| stream.uniform_f32() >= rate));
        }
        kept
    }
}
