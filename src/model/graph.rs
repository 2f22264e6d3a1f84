//! Which layer works on whose output. Pure: it knows names and places, no shape and no tensor.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::spec::{LayerSpec, Operation};
use crate::error::{Error, Result};

/// The places of each layer's inputs: 0 is what enters the network, `i + 1` the output of layer `i`.
///
/// # Errors
/// A layer works on one that does not stand before it.
pub fn inputs(layers: &[LayerSpec]) -> Result<Vec<Vec<usize>>> {
    let mut places = HashMap::new();
    let mut inputs = Vec::with_capacity(layers.len());
    for (index, layer) in layers.iter().enumerate() {
        let place = |name: &String| {
            places.get(name.as_str()).copied().ok_or_else(|| {
                Error::new(format!("no layer `{name}` stands before it"))
                    .at(format!("layer `{}`", layer.name))
            })
        };
        inputs.push(match layer.inputs.as_slice() {
            [] => vec![index],
            names => names.iter().map(place).collect::<Result<_>>()?,
        });
        places.insert(layer.name.as_str(), index + 1);
    }
    Ok(inputs)
}

/// The last layer that works on each place of [`inputs`]; `None` for the output of the network.
pub fn last_uses(inputs: &[Vec<usize>]) -> Vec<Option<usize>> {
    let mut last = vec![None; inputs.len() + 1];
    for (layer, places) in inputs.iter().enumerate() {
        for &place in places {
            last[place] = Some(layer);
        }
    }
    last
}

/// The layers in pieces that can be computed as one: a convolution or linear layer with the bias and the
/// ReLU behind it, a convolution with all that and a max pooling of 2x2 as well, where nobody else
/// works on what is between them; all others alone.
pub fn chains(layers: &[LayerSpec], inputs: &[Vec<usize>]) -> Vec<Range<usize>> {
    let mut uses = vec![0; layers.len() + 1];
    inputs.iter().flatten().for_each(|&place| uses[place] += 1);
    let follows = |index: usize, operation: Operation| {
        let layer = layers.get(index);
        let is_next = || inputs[index] == [index] && uses[index] == 1;
        layer.is_some_and(|layer| layer.operation == operation) && is_next()
    };
    let mut chains = Vec::new();
    let mut start = 0;
    while let Some(layer) = layers.get(start) {
        let mut end = start + 1;
        let is_first = matches!(
            layer.operation,
            Operation::Convolution { .. } | Operation::Linear
        );
        if is_first {
            end += usize::from(follows(end, Operation::Bias));
            end += usize::from(follows(end, Operation::Relu));
            let is_convolution = !matches!(layer.operation, Operation::Linear);
            let is_whole = is_convolution && end == start + 3;
            // Of maps of even height and width both roundings are the same.
            let pools = [false, true].map(halving);
            end += usize::from(is_whole && pools.into_iter().any(|pools| follows(end, pools)));
        }
        chains.push(start..end);
        start = end;
    }
    chains
}

/// The largest of each 2x2 pixels.
fn halving(ceil: bool) -> Operation {
    Operation::MaxPooling {
        kernel: 2,
        stride: 2,
        padding: 0,
        ceil,
    }
}

/// The most layers, at most `count`, that can be cut off the front: all that crosses the cut is the
/// output of the last of them.
pub fn cut(layers: &[LayerSpec], count: usize) -> usize {
    let count = count.min(layers.len());
    let fits = |&count: &usize| is_cut(layers, count);
    (0..=count).rev().find(fits).unwrap_or(0)
}

fn is_cut(layers: &[LayerSpec], count: usize) -> bool {
    let (front, rest) = layers.split_at(count);
    let Some((_, hidden)) = front.split_last() else {
        return true;
    };
    let hidden: HashSet<_> = hidden.iter().map(|layer| &layer.name).collect();
    let mut inputs = rest.iter().flat_map(|layer| &layer.inputs);
    !inputs.any(|name| hidden.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layers by name, each with what it works on.
    fn layers(names: &[(&str, &[&str])]) -> Vec<LayerSpec> {
        let layer = |&(name, inputs): &(&str, &[&str])| LayerSpec {
            name: name.into(),
            operation: Operation::Relu,
            output: vec![1],
            parameters: Vec::new(),
            inputs: inputs.iter().map(|name| name.to_string()).collect(),
            names: Vec::new(),
            renamed: false,
        };
        names.iter().map(layer).collect()
    }

    fn residual() -> Vec<LayerSpec> {
        layers(&[
            ("a", &[]),
            ("b", &[]),
            ("c", &[]),
            ("sum", &["c", "a"]),
            ("d", &[]),
        ])
    }

    #[test]
    fn a_layer_without_inputs_works_on_the_one_before_it() {
        let expected = [vec![0], vec![1], vec![2], vec![3, 1], vec![4]];
        assert_eq!(inputs(&residual()).unwrap(), expected);
    }

    #[test]
    fn values_are_needed_up_to_their_last_use() {
        let inputs = inputs(&residual()).unwrap();
        let last = [Some(0), Some(3), Some(2), Some(3), Some(4), None];
        assert_eq!(last_uses(&inputs), last);
    }

    #[test]
    fn an_input_that_comes_later_is_refused() {
        let error = inputs(&layers(&[("a", &["b"]), ("b", &[])])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "layer `a`: no layer `b` stands before it"
        );
    }

    #[test]
    fn a_convolution_takes_the_bias_and_the_relu_behind_it_that_only_work_on_it() {
        let all = layers(&[
            ("conv", &[]),
            ("bias", &[]),
            ("relu", &[]),
            ("fc", &[]),
            ("relu2", &[]),
            ("sum", &["relu2", "fc"]),
            ("conv2", &[]),
            ("bias2", &["relu"]),
        ]);
        let convolution = Operation::Convolution {
            stride: 1,
            padding: crate::model::spec::Padding::even(1),
            groups: 1,
        };
        let operations = [
            convolution,
            Operation::Bias,
            Operation::Relu,
            Operation::Linear,
            Operation::Relu,
            Operation::Add,
            convolution,
            Operation::Bias,
        ];
        let all = all.into_iter().zip(operations);
        let of = |(layer, operation)| LayerSpec { operation, ..layer };
        let all: Vec<_> = all.map(of).collect();
        let chains = chains(&all, &inputs(&all).unwrap());
        // The linear layer's output is wanted by the sum as well, and the last bias works on another.
        let expected = [0..3, 3..4, 4..5, 5..6, 6..7, 7..8];
        assert_eq!(chains, expected);
    }

    #[test]
    fn a_pooling_joins_a_whole_chain_if_it_halves_the_maps() {
        let convolution = Operation::Convolution {
            stride: 1,
            padding: crate::model::spec::Padding::even(1),
            groups: 1,
        };
        let pooling = |kernel| Operation::MaxPooling {
            kernel,
            stride: 2,
            padding: 0,
            ceil: true,
        };
        let operations = [
            convolution,
            Operation::Bias,
            Operation::Relu,
            pooling(2),
            convolution,
            Operation::Bias,
            Operation::Relu,
            pooling(3),
            convolution,
            Operation::Relu,
            pooling(2),
        ];
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
        let all = layers(&names.map(|name| (name, &[] as &[&str])));
        let of = |(layer, operation)| LayerSpec { operation, ..layer };
        let all: Vec<_> = all.into_iter().zip(operations).map(of).collect();
        let chains = chains(&all, &inputs(&all).unwrap());
        assert_eq!(chains, [0..4, 4..7, 7..8, 8..10, 10..11]);
    }

    #[test]
    fn a_cut_through_a_shortcut_moves_before_it() {
        let residual = residual();
        assert_eq!(cut(&residual, 0), 0);
        assert_eq!(cut(&residual, 1), 1, "a's output alone crosses");
        assert_eq!(cut(&residual, 2), 1);
        assert_eq!(cut(&residual, 3), 1);
        assert_eq!(cut(&residual, 4), 4);
        assert_eq!(cut(&residual, 9), 5);
        let chain = layers(&[("a", &[]), ("b", &[]), ("c", &[])]);
        assert_eq!(cut(&chain, 2), 2);
    }
}
