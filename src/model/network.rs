//! The network on a device: initial or given weights, forward pass, freezing, the cut.
//!
//! It does not know where weights come from, nor how they are updated.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use burn::module::{Module, ParamId};
use burn::tensor::Device;

use super::graph;
use super::layer::{self, Draw, Layer, Values};
use super::spec::{LayerSpec, NetworkSpec, Operation, Role};
use super::weights::{self, InitialWeights};
use crate::error::{Error, Result};
use crate::numbers::{Dtype, Numbers};

/// Values of tensors by layer and role, in C order; what is imported or restored.
pub type Weights = HashMap<(String, Role), Numbers>;

/// Named layers in the order in which they are computed; by default, none.
#[derive(Module, Debug, Default)]
pub struct Network {
    layers: Vec<Layer>,
    #[module(skip)]
    specs: Vec<LayerSpec>,
    /// Of each layer, as [`graph::inputs`] says.
    #[module(skip)]
    inputs: Vec<Vec<usize>>,
    /// What is computed as one, as [`graph::chains`] says.
    #[module(skip)]
    chains: Vec<Range<usize>>,
}

/// One tensor of a network, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    pub layer: String,
    pub role: Role,
    pub shape: Vec<usize>,
    /// In C order.
    pub values: Numbers,
}

impl NamedTensor {
    /// The name in files: `conv1_1.weight`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.layer, self.role.name())
    }
}

/// Room for the tensors of one layer among the ids.
const IDS_PER_LAYER: u64 = 8;

impl Network {
    /// Builds `spec` on `device`: tensors that `weights` gives have its values, all others are drawn
    /// from `seed`. All are rounded to `dtype`, in which the network computes. Ids of parameters
    /// follow from their place, so that an optimizer's state finds them again in another process.
    ///
    /// # Errors
    /// `weights` has a tensor of another size than `spec`; `seed` is too large for the way in which
    /// weights are drawn.
    pub fn new(
        spec: &NetworkSpec,
        mut weights: Weights,
        seed: u64,
        dtype: Dtype,
        device: &Device,
    ) -> Result<Self> {
        let mut initial = InitialWeights::new(spec.initial_draws, seed)?;
        let mut values_of = |layer| values(layer, &mut weights, &mut initial, dtype);
        // The layer whose turn to draw comes before that of all others, if there is one.
        let first = weights::drawn_first(spec);
        let mut drawn = first.map(&mut values_of).transpose()?;
        let mut layers = Vec::with_capacity(spec.layers.len());
        let ids = (1..).step_by(IDS_PER_LAYER as usize);
        for (layer, first_id) in spec.layers.iter().zip(ids) {
            let is_drawn = first.is_some_and(|first| first.name == layer.name);
            let mut values = match drawn.take_if(|_| is_drawn) {
                Some(values) => values,
                None => values_of(layer)?,
            };
            let take = |index: usize| std::mem::take(&mut values[index]);
            layers.push(Layer::new(layer, first_id, device, take));
        }
        let inputs = graph::inputs(&spec.layers)?;
        Ok(Self::of(layers, spec.layers.clone(), inputs))
    }

    fn of(layers: Vec<Layer>, specs: Vec<LayerSpec>, inputs: Vec<Vec<usize>>) -> Self {
        let chains = graph::chains(&specs, &inputs);
        Self {
            layers,
            specs,
            inputs,
            chains,
        }
    }

    /// Freezes each layer whose flag is set: gradients, running statistics and dropout.
    pub fn freeze_layers(mut self, frozen: &[bool]) -> Self {
        self.layers = self
            .layers
            .into_iter()
            .zip(frozen)
            .map(|(layer, &frozen)| if frozen { layer.freeze() } else { layer })
            .collect();
        self
    }

    /// Lets each batch norm whose flag is set normalize by its running statistics in training too,
    /// and never change them.
    pub fn keep_statistics(mut self, kept: &[bool]) -> Self {
        for (layer, _) in self.layers.iter_mut().zip(kept).filter(|(_, kept)| **kept) {
            layer.keep_statistics();
        }
        self
    }

    /// Keeps kernels out that trade accuracy for speed, or lets them in, as they are at first.
    pub fn exact(mut self, exact: bool) -> Self {
        self.layers
            .iter_mut()
            .for_each(|layer| layer.set_exact(exact));
        self
    }

    /// The first `count` layers: what comes of them is the output of the last one.
    pub fn first(mut self, count: usize) -> Self {
        self.layers.truncate(count);
        self.specs.truncate(count);
        self.inputs.truncate(count);
        Self::of(self.layers, self.specs, self.inputs)
    }

    /// Cuts the network in two: the first `count` layers, off the autodiff device, and the rest.
    /// Fewer than `count` where more than one value would cross, as [`graph::cut`] says.
    pub fn split(mut self, count: usize) -> (Network, Network) {
        let count = graph::cut(&self.specs, count);
        let mut inputs = self.inputs.split_off(count);
        // What enters the rest is the output of layer `count - 1`, whose place is `count`.
        inputs
            .iter_mut()
            .flatten()
            .for_each(|place| *place -= count);
        let rest = (self.layers.split_off(count), self.specs.split_off(count));
        let rest = Self::of(rest.0, rest.1, inputs);
        (Self::of(self.layers, self.specs, self.inputs).valid(), rest)
    }

    /// Replaces the values of every tensor by those of its name in files; no other state changes.
    ///
    /// # Errors
    /// A tensor that is not in `values`, or of another size.
    pub fn restore(&mut self, mut values: BTreeMap<String, Numbers>) -> Result<()> {
        for (layer, spec) in self.layers.iter_mut().zip(&self.specs) {
            let mut given = Vec::with_capacity(spec.parameters.len());
            for parameter in &spec.parameters {
                let name = format!("{}.{}", spec.name, parameter.role.name());
                match values.remove(&name) {
                    Some(value) if value.len() == parameter.count() => given.push(value),
                    _ => return Err(Error::new(format!("no values that fit `{name}`"))),
                }
            }
            layer.restore(spec, given);
        }
        Ok(())
    }

    /// Runs all layers except a final softmax. `draw` is given in training only. A value is dropped
    /// when the last layer that works on it is done.
    pub fn forward(&self, input: Values, draw: Option<Draw<'_>>) -> Values {
        let last_uses = graph::last_uses(&self.inputs);
        let mut values = vec![Some(input)];
        let is_computed =
            |chain: &&Range<usize>| self.specs[chain.start].operation != Operation::Softmax;
        for chain in self.chains.iter().filter(is_computed) {
            let index = chain.start;
            let places = &self.inputs[index];
            let mut inputs = places.iter().enumerate().map(|(nth, &place)| {
                let again = places[nth + 1..].contains(&place);
                let value = match last_uses[place] == Some(index) && !again {
                    true => values[place].take(),
                    false => values[place].clone(),
                };
                value.unwrap_or_else(|| unreachable!("a value is kept until its last use"))
            });
            let first = inputs.next();
            let first = first.unwrap_or_else(|| unreachable!("every layer has an input"));
            let others: Vec<_> = inputs.collect();
            let output = match others.is_empty() {
                true => self.chain(chain, first, draw),
                false => self.layers[index].join(first, others),
            };
            // Nobody works on what is within a chain.
            values.resize_with(chain.end, || None);
            values.push(Some(output));
        }
        let output = values.pop().flatten();
        output.unwrap_or_else(|| unreachable!("the last value is nobody's input"))
    }

    fn chain(&self, chain: &Range<usize>, input: Values, draw: Option<Draw<'_>>) -> Values {
        let names = self.specs[chain.clone()]
            .iter()
            .map(|spec| spec.name.as_str());
        let layers: Vec<_> = names.zip(&self.layers[chain.clone()]).collect();
        layer::chain::forward(&layers, input, draw)
    }

    /// Every tensor, in the order of the layers.
    pub fn tensors(&self) -> Vec<NamedTensor> {
        let layers = self.layers.iter().zip(&self.specs);
        layers
            .flat_map(|(layer, spec)| {
                layer
                    .tensors()
                    .into_iter()
                    .map(|(role, _, data)| NamedTensor {
                        layer: spec.name.clone(),
                        role,
                        shape: data.shape().to_vec(),
                        values: layer::numbers(data),
                    })
            })
            .collect()
    }

    /// Ids of the parameters of each layer: layer name, ids.
    pub fn parameter_ids(&self) -> impl Iterator<Item = (&str, Vec<ParamId>)> {
        let layers = self.layers.iter().zip(&self.specs);
        layers.map(|(layer, spec)| (spec.name.as_str(), layer.parameter_ids()))
    }
}

/// The values of each tensor of `layer`: those given, or drawn.
fn values(
    layer: &LayerSpec,
    given: &mut Weights,
    initial: &mut InitialWeights,
    dtype: Dtype,
) -> Result<Vec<Numbers>> {
    let mut values = Vec::with_capacity(layer.parameters.len());
    for parameter in &layer.parameters {
        let value = match given.remove(&(layer.name.clone(), parameter.role)) {
            Some(value) => {
                initial.skip(&layer.name, parameter);
                value
            }
            None => Numbers::new(dtype, initial.next(&layer.name, parameter)),
        };
        if value.len() != parameter.count() {
            return Err(Error::new(format!(
                "{} values given for {}, which has {}",
                value.len(),
                parameter.role.name(),
                parameter.count()
            ))
            .at(format!("layer `{}`", layer.name)));
        }
        let rounded = value.to(dtype);
        if !rounded.is_finite() {
            let role = parameter.role.name();
            return Err(
                Error::new(format!("a value of {role} is not finite in {dtype}"))
                    .at(format!("layer `{}`", layer.name))
                    .help("choose a `dtype` with a larger range: bf16, f32 or f64"),
            );
        }
        values.push(rounded);
    }
    Ok(values)
}

/// Images from the host, (batch, channels, height, width), to the device.
pub fn images(pixels: Numbers, shape: [usize; 3], device: &Device) -> Values {
    let [channels, height, width] = shape;
    let batch = pixels.len() / (channels * height * width);
    let shape = [batch, channels, height, width];
    Values::Maps(layer::tensor(&shape, pixels, device))
}

#[cfg(test)]
mod tests;
