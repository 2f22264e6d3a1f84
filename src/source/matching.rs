//! Which tensor of the source model fills which of the target: by names and shapes alone.
//!
//! It knows what the tensors of a layer are called in each format, and whose layout that means. How
//! layers are found is [`super::names`]' to know, how layouts differ [`super::layout`]'s; it looks
//! at no value.

use std::collections::HashMap;

use super::layout::{Conversion, Layout};
use super::names::{Catalogue, Renames};
use super::{Format, SourceLayer, SourceModel, SourceTensor};
use crate::error::Result;
use crate::model::spec::{LayerSpec, NetworkSpec, Operation, ParameterSpec, Role, shape_text};

/// The tensors of a target, and what of the source fills them.
pub struct Pairs<'a> {
    /// One for every tensor of the target, in its order.
    pub pairs: Vec<Pair<'a>>,
    /// What the names of the source were read without; mostly empty.
    pub prefix: String,
}

/// A tensor of the target, with the source's tensor that fills it or the reason why none does.
pub struct Pair<'a> {
    pub layer: &'a LayerSpec,
    pub parameter: &'a ParameterSpec,
    pub found: Result<Found<'a>, Misfit<'a>>,
}

/// A tensor of the source that fits.
pub struct Found<'a> {
    pub layer: &'a SourceLayer,
    pub tensor: &'a SourceTensor,
    /// The places of the layer in the source, and of the tensor in it.
    pub place: (usize, usize),
    pub conversion: Conversion,
}

/// Why nothing of the source fits.
pub struct Misfit<'a> {
    pub reason: String,
    /// The tensor of the right name, if there was one.
    pub rejected: Option<(&'a SourceLayer, &'a SourceTensor)>,
}

/// Pairs the tensors of `target` with those of `source`, under the names that `renames` gives it.
///
/// # Errors
/// An entry of `renames` that matches no layer of the source, or is at odds with another one.
pub fn pair<'a>(
    source: &'a SourceModel,
    target: &'a NetworkSpec,
    renames: &Renames,
) -> Result<Pairs<'a>> {
    let catalogue = Catalogue::new(source, target, renames)?;
    let mut pairs: Vec<Pair> = Vec::new();
    // Where the weights of each layer of the target were found.
    let mut weights: HashMap<&str, Option<usize>> = HashMap::new();
    for (index, layer) in target.layers.iter().enumerate() {
        let maps = target.input_shape(index).try_into().ok();
        let search = Search {
            source,
            catalogue: &catalogue,
            layer,
            maps,
            owner: layer
                .name
                .strip_suffix("_bias")
                .and_then(|owner| weights.get(owner).copied()),
        };
        for parameter in &layer.parameters {
            let found = search.find(parameter);
            if parameter.role == Role::Weight {
                let place = found.as_ref().ok().map(|found| found.place.0);
                weights.insert(&layer.name, place);
            }
            pairs.push(Pair {
                layer,
                parameter,
                found,
            });
        }
    }
    Ok(Pairs {
        pairs,
        prefix: catalogue.prefix,
    })
}

/// The tensors of one layer of the target are looked for.
struct Search<'a, 'b> {
    source: &'a SourceModel,
    catalogue: &'b Catalogue,
    layer: &'b LayerSpec,
    /// (channels, height, width) of what it works on, if that is maps.
    maps: Option<[usize; 3]>,
    /// Of a bias: the layer of the source that fills the weights it belongs to, if any does; absent
    /// where it belongs to none.
    owner: Option<Option<usize>>,
}

/// What a bias is called inside of the layer whose output it is added to.
const FUSED_BIAS: &[(&str, Layout)] = &[("weight_bias", Layout::Neon), ("bias", Layout::Plain)];

/// What tensors of this role are called in files.
fn file_names(role: Role) -> &'static [(&'static str, Layout)] {
    use Layout::{ChannelsLast, DepthwiseLast, Neon, Plain, Vector};
    match role {
        Role::Weight => &[
            ("weight", Plain),
            ("W", Neon),
            ("kernel", ChannelsLast),
            ("depthwise_kernel", DepthwiseLast),
        ],
        Role::Bias => &[("bias", Plain), ("W", Neon)],
        Role::Scale => &[("scale", Plain), ("gamma", Vector), ("weight", Plain)],
        Role::Shift => &[("shift", Plain), ("beta", Vector), ("bias", Plain)],
        Role::Mean => &[
            ("mean", Plain),
            ("gmean", Neon),
            ("running_mean", Plain),
            ("moving_mean", Plain),
        ],
        Role::Variance => &[
            ("variance", Plain),
            ("gvar", Neon),
            ("running_var", Plain),
            ("moving_variance", Plain),
        ],
    }
}

/// A tensor of a layer, with whose layout it has.
type Named<'a> = (usize, &'a SourceTensor, Layout);

impl<'a> Search<'a, '_> {
    fn find(&self, parameter: &ParameterSpec) -> Result<Found<'a>, Misfit<'a>> {
        let own = self.catalogue.find(self.layer);
        // A bias may be a part of the layer whose output it is added to.
        let (places, names) = match parameter.role {
            Role::Bias if own.is_empty() => (self.catalogue.find_owner(self.layer), FUSED_BIAS),
            role => (own, file_names(role)),
        };
        let missing = |reason| Misfit {
            reason,
            rejected: None,
        };
        let place = self.the_one(places).map_err(missing)?;
        if own.is_empty() && self.owner.is_some_and(|owner| owner != Some(place)) {
            let called = self.called(&self.source.layers[place]);
            let reason =
                format!("the weights of the source's {called} do not fit, which it belongs to");
            return Err(missing(reason));
        }
        let found = &self.source.layers[place];
        let Some(named) = self.tensor(found, names) else {
            let (called, role) = (self.called(found), parameter.role.name());
            return Err(missing(format!("the source's {called} has no {role}")));
        };
        if let Some(kind) = &found.kind
            && !own.is_empty()
            && !does_the_same(kind, &self.layer.operation)
        {
            return Err(Misfit {
                reason: format!("the source's {} is a {kind}", self.called(found)),
                rejected: Some((found, named.1)),
            });
        }
        self.fit(place, named, parameter)
    }

    /// The one of these layers that has parameters, or why there is none.
    fn the_one(&self, places: &[usize]) -> Result<usize, String> {
        let layers = places
            .iter()
            .map(|&place| (place, &self.source.layers[place]));
        let mut with_parameters = layers.filter(|(_, layer)| !layer.tensors.is_empty());
        match (with_parameters.next(), with_parameters.next()) {
            (Some((place, _)), None) => Ok(place),
            (Some(_), Some(_)) => Err("the source has several layers of this name".to_string()),
            (None, _) if places.is_empty() => {
                Err(format!("the source has no layer `{}`", self.layer.name))
            }
            (None, _) => Err("the source's layer of this name has no parameters".to_string()),
        }
    }

    fn tensor(&self, layer: &'a SourceLayer, names: &[(&str, Layout)]) -> Option<Named<'a>> {
        names.iter().find_map(|&(name, layout)| {
            let mut tensors = layer.tensors.iter().enumerate();
            let (place, tensor) = tensors.find(|(_, tensor)| tensor.name == name)?;
            // ONNX counts the inputs of a product as graft does.
            let layout = match (layout, self.source.format) {
                (Layout::ChannelsLast, Format::Onnx) => Layout::InputsFirst,
                (layout, _) => layout,
            };
            Some((place, tensor, layout))
        })
    }

    fn fit(
        &self,
        place: usize,
        (index, tensor, layout): Named<'a>,
        parameter: &ParameterSpec,
    ) -> Result<Found<'a>, Misfit<'a>> {
        let layer = &self.source.layers[place];
        let target = parameter.shape.as_slice();
        let reject = |reason| Misfit {
            reason,
            rejected: Some((layer, tensor)),
        };
        let Some(conversion) = layout.conversion(&tensor.shape, target, self.maps) else {
            let (found, wanted) = (shape_text(&tensor.shape), shape_text(target));
            let stored = layout
                .stores(target)
                .map(|(whose, shape)| format!(", which {whose} stores as {}", shape_text(&shape)));
            let stored = stored.unwrap_or_default();
            let reason = format!("its shape is {found} in the source and {wanted} here{stored}");
            return Err(reject(reason));
        };
        // Filters of another size may make a matrix of the same shape.
        if let (Some([rows, columns]), &[_, _, r, s]) = (layer.filter, target)
            && [rows, columns] != [r, s]
        {
            let reason = format!("its filters are {rows}x{columns} in the source and {r}x{s} here");
            return Err(reject(reason));
        }
        Ok(Found {
            layer,
            tensor,
            place: (place, index),
            conversion,
        })
    }

    fn called(&self, found: &SourceLayer) -> String {
        match found.name == self.layer.name {
            true => "layer of this name".to_string(),
            false => format!("layer `{}`", found.name),
        }
    }
}

/// Whether a layer of neon's class `kind` computes what `operation` does.
fn does_the_same(kind: &str, operation: &Operation) -> bool {
    match operation {
        Operation::Convolution { .. } => kind.starts_with("Convolution"),
        Operation::Bias => kind == "Bias",
        Operation::Linear => kind.starts_with("Linear"),
        Operation::BatchNorm { .. } => kind.starts_with("BatchNorm"),
        _ => false,
    }
}
