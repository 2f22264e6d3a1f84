//! Layers while they are gathered from a file's named tensors, and the words for their tensors.
//!
//! What formats share that know tensors by name and no layers. It reads no file.

use std::collections::{HashMap, HashSet};

use super::strides;
use super::{SourceLayer, SourceTensor};
use crate::error::{Error, Result};
use crate::model::spec::shape_text;
use crate::numbers::Numbers;

/// Layers in the order of their first tensors.
#[derive(Debug)]
pub struct Layers {
    layers: Vec<SourceLayer>,
    places: HashMap<String, usize>,
    /// Every tensor, by its layer's place and its name.
    names: HashSet<(usize, String)>,
    /// Bytes that the tensors may still have in the file.
    bytes_left: u64,
}

/// Longest name of a tensor, in bytes.
pub const LONGEST_NAME: usize = 1000;

/// Layer of the tensors that a model has besides its layers, such as a lone `weight`.
const ROOT: &str = "(root)";

/// What tensors of a layer are called, by PyTorch and by Keras.
const ROLES: [&str; 11] = [
    "weight",
    "bias",
    "running_mean",
    "running_var",
    "kernel",
    "depthwise_kernel",
    "pointwise_kernel",
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
];

/// Whether `word` says what a tensor is to its layer.
pub fn is_role(word: &str) -> bool {
    ROLES.contains(&word)
}

/// The layer and the name in it of the tensor `path`: `features.0` and `weight` of
/// `features.0.weight`. A tensor of no layer is a layer of its own.
pub fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('.') {
        Some((layer, name)) if !layer.is_empty() && !name.is_empty() => (layer, name),
        _ if is_role(path) => (ROOT, path),
        _ => (path, path),
    }
}

/// Whether a tensor of this name and shape only counts: `num_batches_tracked`, a version.
pub fn is_bookkeeping(is_float: bool, shape: &[usize], name: &str) -> bool {
    !is_float && (shape.is_empty() || name == "num_batches_tracked")
}

impl Layers {
    /// For a model of at most so many bytes: what its file has room for.
    pub fn of_at_most(bytes: u64) -> Self {
        Self {
            layers: Vec::new(),
            places: HashMap::new(),
            names: HashSet::new(),
            bytes_left: bytes,
        }
    }

    /// Takes room for the values of a tensor, before they are read, and counts them.
    ///
    /// # Errors
    /// So many values cannot be in the file.
    pub fn room_for(&mut self, shape: &[usize], element_size: usize) -> Result<usize> {
        let count = strides::count(shape);
        let bytes = count.and_then(|count| count.checked_mul(element_size));
        let left = bytes.and_then(|bytes| self.bytes_left.checked_sub(bytes as u64));
        let (Some(count), Some(left)) = (count, left) else {
            let mut sizes = shape_text(&shape[..shape.len().min(8)]);
            if shape.len() > 8 {
                sizes += " …";
            }
            let problem = format!("its shape {sizes} promises more values than the file can hold");
            return Err(Error::new(problem).help("the file is truncated or damaged"));
        };
        self.bytes_left = left;
        Ok(count)
    }

    /// Adds the tensor `name` of the layer `layer`; `path` is its whole name in the file.
    ///
    /// # Errors
    /// A name that is there already, too long or of control characters.
    pub fn push(
        &mut self,
        (layer, name): (&str, &str),
        path: &str,
        shape: Vec<usize>,
        values: Numbers,
    ) -> Result<()> {
        check_name(path)?;
        let is_whole = path.strip_prefix(layer).and_then(|p| p.strip_prefix('.')) == Some(name);
        let place = match self.places.get(layer) {
            Some(&place) => place,
            None => {
                self.places.insert(layer.to_string(), self.layers.len());
                self.layers.push(SourceLayer {
                    name: layer.to_string(),
                    kind: None,
                    filter: None,
                    tensors: Vec::new(),
                });
                self.layers.len() - 1
            }
        };
        if !self.names.insert((place, name.to_string())) {
            let problem = format!("layer `{layer}` has two tensors `{name}`");
            return Err(Error::new(problem));
        }
        self.layers[place].tensors.push(SourceTensor {
            name: name.to_string(),
            path: (!is_whole).then(|| path.to_string()),
            shape,
            values,
        });
        Ok(())
    }

    /// The layers; those that are certainly batch normalizations are called so.
    pub fn finish(self) -> Vec<SourceLayer> {
        let mut layers = self.layers;
        for layer in &mut layers {
            let has = |name: &str| layer.tensors.iter().any(|tensor| tensor.name == name);
            if has("running_mean") && has("running_var")
                || has("moving_mean") && has("moving_variance")
            {
                layer.kind = Some("BatchNorm".to_string());
            }
        }
        layers
    }
}

/// # Errors
/// A name that is too long, or that would upset a terminal.
pub fn check_name(name: &str) -> Result<()> {
    if name.len() > LONGEST_NAME {
        let start: String = name.chars().take(40).flat_map(char::escape_debug).collect();
        let problem = format!("the name `{start}…` is of {} bytes, too long", name.len());
        return Err(Error::new(problem));
    }
    if name.contains(char::is_control) {
        let problem = format!(
            "the name `{}` holds control characters",
            name.escape_debug()
        );
        return Err(Error::new(problem));
    }
    Ok(())
}

/// A text from a file in one short line, for a fact about the model; nothing of a long or empty one.
pub fn fact(text: &str) -> Option<String> {
    let short = text.len() <= 200 && !text.trim().is_empty();
    let plain = short && !text.contains(char::is_control);
    plain.then(|| text.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_its_last_dot() {
        assert_eq!(
            split("module.layer1.0.conv1.weight"),
            ("module.layer1.0.conv1", "weight")
        );
        assert_eq!(split("weight"), (ROOT, "weight"));
        assert_eq!(split("cls_token"), ("cls_token", "cls_token"));
        assert_eq!(split(".weight"), (".weight", ".weight"));
        assert_eq!(split("conv."), ("conv.", "conv."));
    }

    #[test]
    fn only_integers_are_bookkeeping() {
        assert!(is_bookkeeping(false, &[], "num_batches_tracked"));
        assert!(is_bookkeeping(false, &[], "version"));
        assert!(!is_bookkeeping(true, &[], "logit_scale"));
        assert!(!is_bookkeeping(false, &[49, 49], "relative_position_index"));
    }

    #[test]
    fn tensors_gather_in_their_layers_and_room_runs_out() -> Result<()> {
        let mut layers = Layers::of_at_most(20);
        let numbers = || Numbers::from(vec![0.0]);
        for path in ["bn.running_mean", "fc.weight", "bn.running_var"] {
            assert_eq!(layers.room_for(&[3], 2)?, 3);
            layers.push(split(path), path, vec![3], numbers())?;
        }
        for shape in [&[2][..], &[usize::MAX, 2], &[1; 65]] {
            let error = layers.room_for(shape, 2).err().map(|e| e.to_string());
            assert!(error.is_some_and(|e| e.contains("more values than the file can hold")));
        }
        let twice = layers.push(split("fc.weight"), "fc.weight", vec![1], numbers());
        assert!(twice.is_err_and(|e| e.to_string() == "layer `fc` has two tensors `weight`"));
        assert!(
            layers
                .push(split("a\x1b[2J.b"), "a\x1b[2J.b", vec![1], numbers())
                .is_err()
        );
        let long = "x".repeat(1001);
        assert!(
            layers
                .push(split(&long), &long, vec![1], numbers())
                .is_err()
        );
        let found = layers.finish();
        let names: Vec<_> = found
            .iter()
            .map(|l| (l.name.as_str(), l.kind.as_deref()))
            .collect();
        assert_eq!(names, [("bn", Some("BatchNorm")), ("fc", None)]);
        assert_eq!(found[0].tensors.len(), 2);
        assert!(found[0].tensors[0].path.is_none());
        Ok(())
    }
}
