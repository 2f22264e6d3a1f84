//! Limits on the gradients of all parameters under one rule.
//!
//! It knows neither rates nor what an update does.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};

use crate::config::experiment::{Algorithm, NormScales, Rule};
use crate::model::network::Network;

/// Limits the gradients of `parameters` as `rule` says: each value, and their norm together. The
/// factor that brings the norm down is that of the gradients as they come, as in neon.
///
/// Returns a factor for the update, other than 1 only with [`NormScales::Update`].
pub fn clip(
    gradients: &mut GradientsParams,
    network: &Network,
    parameters: &[ParamId],
    rule: &Rule,
) -> f64 {
    let factor = match rule.clip_gradient_norm {
        0.0 => 1.0,
        limit => limit / norm(gradients, network, parameters).max(limit),
    };
    let (of_gradient, of_update) = match scaled(&rule.algorithm) {
        NormScales::Gradient => (factor, 1.0),
        NormScales::Update => (1.0, factor),
    };
    if rule.clip_gradient_value != 0.0 || of_gradient != 1.0 {
        network.visit(&mut Limit {
            gradients,
            parameters,
            largest: rule.clip_gradient_value,
            factor: of_gradient,
        });
    }
    of_update
}

/// Euclidean norm of all gradients of `parameters` together.
fn norm(gradients: &GradientsParams, network: &Network, parameters: &[ParamId]) -> f64 {
    let mut norm = Norm {
        gradients,
        parameters,
        squares: None,
    };
    network.visit(&mut norm);
    let squares = norm.squares.map(|squares| squares.into_data());
    let squares = squares.and_then(|squares| squares.iter::<f64>().next());
    squares.unwrap_or(0.0).sqrt()
}

fn scaled(algorithm: &Algorithm) -> NormScales {
    match algorithm {
        Algorithm::Rmsprop {
            clip_norm_scales, ..
        }
        | Algorithm::Adagrad {
            clip_norm_scales, ..
        }
        | Algorithm::Adam {
            clip_norm_scales, ..
        } => *clip_norm_scales,
        _ => NormScales::Gradient,
    }
}

struct Norm<'a> {
    gradients: &'a GradientsParams,
    parameters: &'a [ParamId],
    /// The sum so far, (1). One number is read from the device, not one a parameter.
    squares: Option<Tensor<1>>,
}

impl ModuleVisitor for Norm<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if !self.parameters.contains(&parameter.id) {
            return;
        }
        let Some(gradient) = self.gradients.get::<D>(parameter.id) else {
            return;
        };
        // Squares leave the range of a half precision early.
        let gradient = match gradient.dtype() {
            DType::F16 | DType::BF16 => gradient.cast(DType::F32),
            _ => gradient,
        };
        // Row by row: the sum of all values at once would, of a large tensor, depend on the threads.
        let rows = gradient.dims()[0];
        let squares = gradient
            .square()
            .reshape([rows as i32, -1])
            .sum_dim(1)
            .sum();
        self.squares = Some(match self.squares.take() {
            Some(sum) => sum + squares,
            None => squares,
        });
    }
}

struct Limit<'a> {
    gradients: &'a mut GradientsParams,
    parameters: &'a [ParamId],
    /// 0: no limit.
    largest: f64,
    factor: f64,
}

impl ModuleVisitor for Limit<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if !self.parameters.contains(&parameter.id) {
            return;
        }
        let Some(gradient) = self.gradients.remove::<D>(parameter.id) else {
            return;
        };
        let gradient = match self.largest {
            0.0 => gradient,
            largest => gradient.clamp(-largest, largest),
        };
        let gradient = gradient.mul_scalar(self.factor);
        self.gradients.register(parameter.id, gradient);
    }
}
