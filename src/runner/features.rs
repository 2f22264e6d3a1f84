//! What a layer gives for every sample of a data file, before any training: the imported layers at
//! work, for use elsewhere or to hold them against another implementation.

use crate::config::experiment::Experiment;
use crate::data::batches::Batches;
use crate::error::{Error, Result};
use crate::model::backend;
use crate::model::layer::{self, Values};
use crate::model::network::{self, Network};
use crate::model::spec::NetworkSpec;
use crate::numbers::Numbers;
use crate::pattern;
use crate::train::Split;

use super::setup;

/// Which of an experiment's data files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Train,
    Test,
}

/// The outputs of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// (samples, …), the rest as the layer gives it: (channels, height, width) or (features).
    pub shape: Vec<usize>,
    /// In C order, samples in the order of the file.
    pub values: Numbers,
    /// The class of each sample.
    pub labels: Vec<u32>,
    /// What was imported, in a line; absent where nothing was.
    pub receipt: Option<String>,
}

/// The outputs of the layer called `layer` of the network that a run of `experiment` with `seed`
/// starts from, for the samples of one of its data files; of a softmax, its inputs.
///
/// # Errors
/// Whatever keeps a run from its start; there is no such layer; outputs that are not finite.
pub fn features(experiment: &Experiment, seed: u64, layer: &str, which: Which) -> Result<Features> {
    let device = backend::device(experiment.backend, experiment.dtype)?;
    let (train, test) = setup::files(&experiment.data)?;
    let files = setup::open(&train, &test)?;
    let source = setup::source(experiment)?;
    let start = setup::start(experiment, &files, source, seed)?;
    let spec = start.outline.spec;
    let count = layers_up_to(&spec, layer)?;
    // The whole of it, since weights may be drawn in the order of all layers.
    let network = Network::new(&spec, start.weights, seed, experiment.dtype, &device)?;
    let network = network.exact(experiment.exact).first(count);
    let Split {
        data, transform, ..
    } = match which {
        Which::Train => start.inputs.train,
        Which::Test => start.inputs.test,
    };
    let mut all = Vec::new();
    let mut shape = Vec::new();
    let order = (0..data.len()).collect();
    for batch in Batches::new(
        data.clone(),
        order,
        experiment.batch_size,
        transform.clone(),
    )? {
        let images = network::images(batch?.pixels, transform.shape(), &device);
        let output = match network.forward(images, None) {
            Values::Maps(maps) => maps.into_data(),
            Values::Features(features) => features.into_data(),
        };
        shape = output.shape().to_vec();
        let values = layer::numbers(output);
        if !values.is_finite() {
            return Err(Error::new("gives values that are not finite").at(layer));
        }
        all.push(values);
    }
    shape[0] = data.len();
    Ok(Features {
        shape,
        values: Numbers::concatenated(all),
        labels: data.labels().to_vec(),
        receipt: start.outline.receipt.map(|receipt| receipt.summary()),
    })
}

/// The number of layers up to the one called `name`, with it.
fn layers_up_to(spec: &NetworkSpec, name: &str) -> Result<usize> {
    let names = || spec.layers.iter().map(|layer| layer.name.as_str());
    let Some(place) = names().position(|other| other == name) else {
        let error = Error::new(format!("the model has no layer `{name}`")).at("--layer");
        return Err(match pattern::closest(name, names()) {
            Some(close) => error.help(format!("did you mean `{close}`?")),
            None => error.help("`graft plan` lists the layers of an experiment"),
        });
    };
    Ok(place + 1)
}
