//! Batch norm (Ioffe and Szegedy 2015), by the batch's statistics or by those that it came with.

use burn::module::{Module, Param, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::Tensor;
use burn::tensor::module::batch_norm;

/// Burn's, which trains on an autodiff device unless it is frozen; and a third way.
#[derive(Module, Debug)]
pub struct Norm {
    pub(super) norm: BatchNorm,
    /// In training too it uses its running statistics, and leaves them as they are.
    #[module(skip)]
    keeps_statistics: bool,
}

impl Norm {
    /// With these parameters and running statistics, each (channels).
    pub fn new(
        [epsilon, momentum]: [f64; 2],
        scale: Param<Tensor<1>>,
        shift: Param<Tensor<1>>,
        mean: Tensor<1>,
        variance: Tensor<1>,
    ) -> Self {
        let [channels] = mean.dims();
        let mut norm = BatchNormConfig::new(channels)
            .with_epsilon(epsilon)
            .with_momentum(momentum)
            .init(&mean.device());
        norm.gamma = scale;
        norm.beta = shift;
        let mut norm = Self {
            norm,
            keeps_statistics: false,
        };
        norm.set_statistics(mean, variance);
        norm
    }

    /// Replaces the running statistics. Not by `update`, which inference does not see before the
    /// next synchronization.
    pub fn set_statistics(&mut self, mean: Tensor<1>, variance: Tensor<1>) {
        self.norm.running_mean = RunningState::new(mean);
        self.norm.running_var = RunningState::new(variance);
    }

    /// From now on the running statistics stand still.
    pub fn keep_statistics(&mut self) {
        self.keeps_statistics = true;
    }

    /// (batch, channels, …) to the same shape.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if !self.keeps_statistics {
            return self.norm.forward(input);
        }
        batch_norm(
            input,
            self.norm.gamma.val(),
            self.norm.beta.val(),
            self.norm.running_mean.value(),
            self.norm.running_var.value(),
            self.norm.epsilon,
        )
    }
}
