//! How the layers of a network hang together: who works on whose output, and which biases are part
//! of the layer before them, as other tools have it.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::model::spec::{LayerSpec, NetworkSpec, Operation};

/// What a layer works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The prepared sample.
    Sample,
    /// The output of the layer of this index.
    Layer(usize),
}

/// The layers of a network and their inputs.
#[derive(Debug, Clone)]
pub struct Graph<'a> {
    layers: &'a [LayerSpec],
    /// By layer.
    inputs: Vec<Vec<Input>>,
}

impl<'a> Graph<'a> {
    /// # Errors
    /// A layer that works on one that does not stand before it.
    pub fn of(network: &'a NetworkSpec) -> Result<Self> {
        let mut places = HashMap::new();
        let mut inputs = Vec::with_capacity(network.layers.len());
        for (index, layer) in network.layers.iter().enumerate() {
            let place = |name: &String| match places.get(name.as_str()) {
                Some(&place) => Ok(Input::Layer(place)),
                None => Err(Error::new(format!("there is no layer `{name}` before it"))
                    .at(format!("layer `{}`", layer.name))),
            };
            inputs.push(match (layer.inputs.as_slice(), index) {
                ([], 0) => vec![Input::Sample],
                ([], index) => vec![Input::Layer(index - 1)],
                (names, _) => names.iter().map(place).collect::<Result<_>>()?,
            });
            places.insert(layer.name.as_str(), index);
        }
        Ok(Self {
            layers: &network.layers,
            inputs,
        })
    }

    /// What the layer `index` works on.
    pub fn inputs(&self, index: usize) -> &[Input] {
        self.inputs.get(index).map_or(&[], Vec::as_slice)
    }

    /// The convolution or linear layer that the bias `index` belongs to: the one right before it,
    /// whose output nothing else works on.
    pub fn biased_by(&self, index: usize) -> Option<usize> {
        let [Input::Layer(before)] = self.inputs(index) else {
            return None;
        };
        let is_bias = self.layers.get(index)?.operation == Operation::Bias;
        let takes_bias = matches!(
            self.layers.get(*before)?.operation,
            Operation::Convolution { .. } | Operation::Linear
        );
        let readers = self.inputs.iter().flatten();
        let readers = readers.filter(|input| **input == Input::Layer(*before));
        (is_bias && takes_bias && readers.count() == 1).then_some(*before)
    }

    /// The bias that belongs to the layer `index`.
    pub fn bias_of(&self, index: usize) -> Option<usize> {
        (0..self.layers.len()).find(|&bias| self.biased_by(bias) == Some(index))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A network of (name, operation, inputs), without tensors.
    fn network(layers: &[(&str, &str, &[&str])]) -> Result<NetworkSpec> {
        let layers = layers.iter().map(|(name, operation, inputs)| {
            json!({"name": name, "operation": operation, "inputs": inputs, "output": [4],
                   "parameters": []})
        });
        let layers: Vec<_> = layers.collect();
        let network = json!({"input": [1, 2, 2], "layers": layers, "initial_draws": "by_name"});
        serde_json::from_value(network).map_err(|error| Error::new(error.to_string()))
    }

    #[test]
    fn a_bias_belongs_to_the_layer_whose_only_reader_it_is() -> Result<()> {
        let network = network(&[
            ("fc", "linear", &[]),
            ("fc_bias", "bias", &[]),
            ("bias_of_bias", "bias", &[]),
            ("read_twice", "linear", &[]),
            ("of_read_twice", "bias", &["read_twice"]),
            ("sum", "add", &["read_twice", "of_read_twice"]),
        ])?;
        let graph = Graph::of(&network)?;
        let biased: Vec<_> = (0..6).map(|index| graph.biased_by(index)).collect();
        assert_eq!(biased, [None, Some(0), None, None, None, None]);
        assert_eq!(graph.bias_of(0), Some(1));
        assert_eq!(graph.inputs(0), [Input::Sample]);
        assert_eq!(graph.inputs(5), [Input::Layer(3), Input::Layer(4)]);
        Ok(())
    }

    #[test]
    fn a_layer_works_on_layers_before_it() -> Result<()> {
        let network = network(&[("a", "relu", &["b"]), ("b", "relu", &["a"])])?;
        let error = Graph::of(&network).err().map(|error| error.to_string());
        let expected = "layer `a`: there is no layer `b` before it";
        assert_eq!(error.as_deref(), Some(expected));
        Ok(())
    }
}
