//! From a model as an experiment declares it to a network on paper: writes out architectures and
//! blocks, and works out every shape, layer by layer.

mod operation;

use std::collections::{HashMap, HashSet};

use super::architecture::{self, KnownLayer, Request};
use super::blocks;
use super::build::Builder;
use super::spec::{LayerSpec, NetworkSpec, Operation, shape_text};
use crate::config::experiment::{
    BatchNorm, Body, Convention, LayerKind, Model, NamedLayer, PoolingSize,
};
use crate::error::{Error, Result};
use crate::pattern;
use operation::{Resolved, Setting, resolve_layer};

impl NetworkSpec {
    /// Works out every shape of `model` on samples of shape `input` (channels, height, width) with
    /// `classes` categories, as `convention` has it: [`Model::convention`], or else whatever is known
    /// of the source model, or else [`Model::own_convention`]. `norms` are the settings of the batch
    /// norms of architectures and blocks.
    ///
    /// # Errors
    /// Layers that do not fit on one another or on the input, or work on layers that are not there;
    /// parameters of no or absurd size; a last layer that is not a softmax over `classes` values.
    /// Each names the layer.
    pub fn resolve(
        model: &Model,
        input: [usize; 3],
        classes: usize,
        convention: Convention,
        norms: &BatchNorm,
    ) -> Result<Self> {
        let layers = expand(&model.body, convention, norms);
        let mut walk = Walk::new(model, input, classes, convention);
        for (index, known) in layers.iter().enumerate() {
            let layer = &known.layer;
            let place = || format!("model: layer `{}`", layer.name);
            if matches!(layer.kind, LayerKind::Softmax) && index + 1 != layers.len() {
                return Err(Error::new("softmax stands before other layers")
                    .at(place())
                    .help("softmax may only be the last layer"));
            }
            match layer.kind.is_block() {
                true => walk.block(layer, norms)?,
                false => walk.layer(known)?,
            }
        }
        check_end(&walk.specs, classes)?;
        check_uses(&walk.specs)?;
        Ok(Self {
            input,
            layers: walk.specs,
            initial_draws: model.initial_draws,
        })
    }
}

/// The layers as declared; blocks of `[[model.layers]]` are not written out yet.
fn expand(body: &Body, convention: Convention, norms: &BatchNorm) -> Vec<KnownLayer> {
    match body {
        Body::Architecture {
            architecture,
            widths,
            width,
            head,
            head_names,
            classifier,
            dropout,
        } => {
            let request = Request {
                architecture: *architecture,
                widths,
                width: *width,
                head,
                head_names,
                classifier,
                dropout: *dropout,
            };
            architecture::layers(&request, convention, *norms)
        }
        Body::Layers { layers } => layers.iter().cloned().map(unknown).collect(),
    }
}

/// A layer that is of no architecture.
fn unknown(layer: NamedLayer) -> KnownLayer {
    KnownLayer {
        layer,
        names: Vec::new(),
        renamed: false,
    }
}

/// A network of which some layers are worked out.
struct Walk<'a> {
    model: &'a Model,
    setting: Setting,
    convention: Convention,
    input: Vec<usize>,
    specs: Vec<LayerSpec>,
    /// The place of each layer by its name, and of each block's last part by the block's.
    places: HashMap<String, usize>,
}

impl<'a> Walk<'a> {
    fn new(model: &'a Model, input: [usize; 3], classes: usize, convention: Convention) -> Self {
        let by_convention = || match model.body {
            Body::Architecture { architecture, .. } => {
                architecture::pooling(architecture, convention)
            }
            Body::Layers { .. } => PoolingSize::Floor,
        };
        let pooling = model.pooling.unwrap_or_else(by_convention);
        Self {
            model,
            setting: Setting {
                classes,
                ceil: pooling == PoolingSize::Ceil,
            },
            convention,
            input: input.to_vec(),
            specs: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// Writes out a block and works out its parts.
    fn block(&mut self, block: &NamedLayer, norms: &BatchNorm) -> Result<()> {
        let place = || format!("model: layer `{}`", block.name);
        for part in self.parts(block, norms).map_err(|e| e.at(place()))? {
            self.layer(&unknown(part))?;
        }
        let last = self.specs.len() - 1;
        self.claim(&block.name, last).map_err(|e| e.at(place()))
    }

    /// The layers of a block.
    fn parts(&self, block: &NamedLayer, norms: &BatchNorm) -> Result<Vec<NamedLayer>> {
        let input = match &block.from {
            Some(from) => Some(self.named(from)?),
            None => self.specs.last(),
        };
        let shape = input.map_or(&self.input, |spec| &spec.output);
        let &[channels, _, _] = shape.as_slice() else {
            return Err(operation::not_maps(shape));
        };
        let name = input.map(|spec| spec.name.clone());
        let mut builder = Builder::new(self.convention, *norms);
        blocks::expand(
            &mut builder,
            &block.name,
            name.as_deref(),
            channels,
            &block.kind,
        )?;
        builder.begin_at(0, block.from.as_deref());
        Ok(builder.layers)
    }

    /// Works out one layer.
    fn layer(&mut self, known: &KnownLayer) -> Result<()> {
        let layer = &known.layer;
        let place = || format!("model: layer `{}`", layer.name);
        let resolved = self.inputs(layer).and_then(|(inputs, shapes)| {
            let resolved = resolve_layer(layer, &shapes, self.setting, self.model)?;
            Ok((inputs, resolved))
        });
        let (inputs, resolved) = resolved.map_err(|e| e.at(place()))?;
        self.claim(&layer.name, self.specs.len())
            .map_err(|e| e.at(place()))?;
        let Resolved {
            operation,
            output,
            parameters,
        } = resolved;
        self.specs.push(LayerSpec {
            name: layer.name.clone(),
            operation,
            output,
            parameters,
            inputs,
            names: known.names.clone(),
            renamed: known.renamed,
        });
        Ok(())
    }

    /// The inputs of a layer, as [`LayerSpec::inputs`] names them, and the shape of each.
    fn inputs(&self, layer: &NamedLayer) -> Result<(Vec<String>, Vec<Vec<usize>>)> {
        let with = layer.kind.with();
        let main = match &layer.from {
            Some(from) => Some(self.named(from)?),
            None => self.specs.last(),
        };
        let Some(main) = main else {
            return match with.first() {
                Some(name) => Err(self.named(name).map_or_else(|e| e, |_| self.none(name))),
                None => Ok((Vec::new(), vec![self.input.clone()])),
            };
        };
        let mut inputs = vec![main];
        for name in with {
            let other = self.named(name)?;
            if inputs.iter().any(|input| input.name == other.name) {
                return Err(
                    Error::new(format!("`{}` is twice among its inputs", other.name))
                        .help("`with` names what is joined with the layer before, or with `from`"),
                );
            }
            inputs.push(other);
        }
        let is_previous = self.specs.last().is_some_and(|last| last.name == main.name);
        let names = match inputs.len() == 1 && is_previous {
            true => Vec::new(),
            false => inputs.iter().map(|input| input.name.clone()).collect(),
        };
        let shapes = inputs.iter().map(|input| input.output.clone()).collect();
        Ok((names, shapes))
    }

    /// The layer of this name, or the last part of the block.
    fn named(&self, name: &str) -> Result<&LayerSpec> {
        let place = self
            .places
            .get(name)
            .and_then(|&place| self.specs.get(place));
        place.ok_or_else(|| self.none(name))
    }

    fn none(&self, name: &str) -> Error {
        let names = self.places.keys().map(String::as_str);
        let error = Error::new(format!("there is no layer `{name}` before it"));
        match pattern::closest(name, names) {
            Some(meant) => error.help(format!("did you mean `{meant}`?")),
            None => error.help("a layer works on outputs of earlier layers"),
        }
    }

    /// Takes a name for the layer at `place`.
    fn claim(&mut self, name: &str, place: usize) -> Result<()> {
        match self.places.insert(name.to_owned(), place) {
            None => Ok(()),
            Some(_) => Err(Error::new("another layer has this name")),
        }
    }
}

/// Every output but the last is some layer's input.
fn check_uses(specs: &[LayerSpec]) -> Result<()> {
    let mut used: HashSet<&str> = HashSet::new();
    let mut next: Option<&LayerSpec> = None;
    for spec in specs.iter().rev() {
        let is_last = next.is_none();
        let goes_on = next.is_some_and(|next| next.inputs.is_empty());
        if !is_last && !goes_on && !used.contains(spec.name.as_str()) {
            return Err(Error::new("no layer works on its output")
                .at(format!("model: layer `{}`", spec.name))
                .help("remove it, or join it by `with` or `from` of a later layer"));
        }
        used.extend(spec.inputs.iter().map(String::as_str));
        next = Some(spec);
    }
    Ok(())
}

fn check_end(specs: &[LayerSpec], classes: usize) -> Result<()> {
    let Some(last) = specs.last() else {
        return Err(Error::new("the model has no layers").at("model"));
    };
    let place = format!("model: layer `{}`", last.name);
    if last.operation != Operation::Softmax {
        return Err(Error::new("the last layer is not a softmax")
            .at(place)
            .help("end [[model.layers]] with `name = \"softmax\"`, `type = \"softmax\"`"));
    }
    if last.output != [classes] {
        return Err(Error::new(format!(
            "softmax over {}, but the data have {classes} classes",
            shape_text(&last.output)
        ))
        .at(place)
        .help(
            "leave `features` of the last linear layer away, or `channels` of the last convolution: \
             it is then the number of classes",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
