//! A finished record's model, applied to single images.

use std::path::Path;

use burn::tensor::Device;

use super::model_file;
use crate::config::experiment::{Backend, Source};
use crate::config::{self, Environment, Overrides};
use crate::data::images;
use crate::data::transform::Transform;
use crate::error::Result;
use crate::model::backend;
use crate::model::network::{self, Network, Weights};
use crate::results::record::{self, Record};
use crate::source::{self, import};
use crate::train::{evaluate, loss};

/// A model that is ready to predict.
pub struct Predictor {
    network: Network,
    transform: Transform,
    classes: Vec<String>,
    device: Device,
}

/// What the model says about one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The most confident class.
    pub class: usize,
    /// One a class; they sum to 1.
    pub confidences: Vec<f64>,
}

impl Predictor {
    /// Opens the model of the record at `dir`.
    ///
    /// # Errors
    /// The record is not complete or its model does not fit its experiment.
    pub fn open(dir: &Path, backend: Backend) -> Result<Self> {
        let record = Record::read(dir)?;
        let experiment = dir.join(record::EXPERIMENT);
        let experiment =
            config::load_with(&experiment, &Overrides::default(), &Environment::none())?;
        let model = source::read(&dir.join(record::MODEL))?;
        let transform = model_file::transform_of(&model, experiment.dtype)?;
        let spec = model_file::network_of(&dir.join(record::MODEL))?;
        let every_layer = spec
            .layers
            .iter()
            .filter(|layer| !layer.parameters.is_empty());
        let whole = Source {
            require: every_layer.map(|layer| layer.name.clone()).collect(),
            ..Source::default()
        };
        let (tensors, _) = import::import(model, &spec, &whole)?;
        let weights: Weights = tensors
            .into_iter()
            .map(|tensor| ((tensor.layer, tensor.role), tensor.values))
            .collect();
        let device = backend::device(backend, experiment.dtype)?;
        let network = Network::new(&spec, weights, record.seed, experiment.dtype, &device)?;
        Ok(Self {
            network: network.exact(experiment.exact),
            transform,
            classes: record.classes,
            device,
        })
    }

    /// Names of the classes, in the order of the confidences.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What the model says about the image at `path`, cropped and resized to the size of those that
    /// it was trained on, and then prepared as they were.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn predict(&self, path: &Path) -> Result<Prediction> {
        let pixels = images::load(path, self.transform.steps().from)?;
        let pixels = self.transform.of(pixels)?;
        let images = network::images(pixels, self.transform.shape(), &self.device);
        let logits = self.network.forward(images, None).features().into_data();
        let logits: Vec<f64> = logits.iter::<f64>().collect();
        let confidences = loss::confidences(&logits, self.classes.len(), self.transform.dtype());
        let class = evaluate::most_confident(&confidences);
        Ok(Prediction { class, confidences })
    }
}
