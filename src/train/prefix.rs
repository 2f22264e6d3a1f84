//! The frozen prefix: the layers at the beginning of a network that never change and are never
//! random. No gradient passes them, and what they give for a sample is the same in every epoch.

use burn::tensor::Device;

use super::Split;
use super::features::Form;
use super::loader::Entering;
use crate::data::batches::Batches;
use crate::error::Result;
use crate::model::layer::{self, Values};
use crate::model::network::{self, NamedTensor, Network};
use crate::model::spec::NetworkSpec;
use crate::numbers::{Dtype, Numbers};

/// The layers, off the autodiff device.
pub struct Prefix {
    network: Network,
    layers: usize,
    /// Of what they give for a sample.
    form: Form,
    device: Device,
}

impl Prefix {
    /// `network` is the first `layers` layers of `spec`, on `device`. What they give is rounded to
    /// the precision `rounds`, if there is one, whether it is kept or not.
    pub fn new(
        network: Network,
        layers: usize,
        spec: &NetworkSpec,
        (dtype, rounds): (Dtype, Option<Dtype>),
        device: Device,
    ) -> Self {
        let last = layers.checked_sub(1).map(|last| &spec.layers[last]);
        Self {
            network,
            layers,
            form: Form {
                shape: last.map_or(spec.input.to_vec(), |layer| layer.output.clone()),
                dtype,
                kept_in: rounds.filter(|_| layers > 0).unwrap_or(dtype),
            },
            device,
        }
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// What is kept of a sample.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// Every tensor, in the order of the layers.
    pub fn tensors(&self) -> Vec<NamedTensor> {
        self.network.tensors()
    }

    /// What the layers give for a batch of samples: computed from images of `shape`, (channels,
    /// height, width), or as it was kept.
    pub fn of(&self, batch: Entering, shape: [usize; 3]) -> Values {
        match batch {
            Entering::Features(features) => self.form.values(features, &self.device),
            Entering::Pixels(pixels) if self.form.kept_in == self.form.dtype => {
                self.forward(pixels, shape)
            }
            Entering::Pixels(pixels) => {
                let values = self.form.rounded(self.numbers(pixels, shape));
                self.form.values(values, &self.device)
            }
        }
    }

    /// Computes what is kept of each sample of `split` from `first` on, `batch_size` at a time, and
    /// hands it to `sink`, until `sink` says no more. Returns whether it never did.
    ///
    /// # Errors
    /// Whatever reading the file, or `sink`, brings.
    pub fn compute(
        &self,
        split: &Split,
        first: usize,
        batch_size: usize,
        sink: &mut dyn FnMut(Vec<u8>) -> Result<bool>,
    ) -> Result<bool> {
        let order = (first..split.data.len()).collect();
        let (data, transform) = (split.data.clone(), split.transform.clone());
        for batch in Batches::new(data, order, batch_size, transform)? {
            let values = self.numbers(batch?.pixels, split.transform.shape());
            if !sink(self.form.bytes(values))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn forward(&self, pixels: Numbers, shape: [usize; 3]) -> Values {
        let images = network::images(pixels, shape, &self.device);
        // Dropout in a frozen layer stands still, so there is nothing to draw.
        self.network.forward(images, None)
    }

    fn numbers(&self, pixels: Numbers, shape: [usize; 3]) -> Numbers {
        layer::numbers(match self.forward(pixels, shape) {
            Values::Maps(maps) => maps.into_data(),
            Values::Features(features) => features.into_data(),
        })
    }
}
