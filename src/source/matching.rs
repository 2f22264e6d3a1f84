//! Which tensor of the source model fills which of the target: by names and shapes alone.
//!
//! It knows what neon and graft call their tensors and how they lay them out; it looks at no value.

use std::collections::HashMap;

use super::{SourceLayer, SourceModel, SourceTensor};
use crate::model::spec::{LayerSpec, NetworkSpec, Operation, ParameterSpec, Role, shape_text};
use crate::numbers::Numbers;

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
    pub conversion: Conversion,
}

/// Why nothing of the source fits.
pub struct Misfit<'a> {
    pub reason: String,
    /// The tensor of the right name, if there was one.
    pub rejected: Option<(&'a SourceLayer, &'a SourceTensor)>,
}

/// From the source's layout to the target's.
#[derive(Clone, Copy)]
pub enum Conversion {
    AsIs,
    /// (K, 1) to (K).
    Flatten,
    /// (C·R·S, K) to (K, C, R, S).
    Transpose,
}

/// One pair for every tensor of `target`, in its order.
pub fn pair<'a>(source: &'a SourceModel, target: &'a NetworkSpec) -> Vec<Pair<'a>> {
    let mut by_name: HashMap<&str, Vec<&SourceLayer>> = HashMap::new();
    for layer in &source.layers {
        by_name.entry(&layer.name).or_default().push(layer);
    }
    let layers = target.layers.iter();
    let parameters = layers.flat_map(|l| l.parameters.iter().map(move |p| (l, p)));
    parameters
        .map(|(layer, parameter)| Pair {
            layer,
            parameter,
            found: find(&by_name, layer, parameter),
        })
        .collect()
}

impl Conversion {
    /// For the receipt.
    pub fn words(self) -> &'static str {
        match self {
            Conversion::AsIs => "as is",
            Conversion::Flatten => "(K, 1) flattened to (K)",
            Conversion::Transpose => "(C*R*S, K) transposed to (K, C, R, S)",
        }
    }

    /// `values` of `shape`, in the target's layout.
    pub fn apply(self, values: &Numbers, shape: &[usize]) -> Numbers {
        let (Conversion::Transpose, &[_, filters]) = (self, shape) else {
            return values.clone();
        };
        let column = |filter| (filter..values.len()).step_by(filters);
        values.gather((0..filters).flat_map(column))
    }
}

/// Who wrote a tensor, as its name tells; it decides on the layout.
#[derive(Clone, Copy)]
enum Layout {
    Graft,
    Neon,
}

fn find<'a>(
    by_name: &HashMap<&str, Vec<&'a SourceLayer>>,
    layer: &LayerSpec,
    parameter: &ParameterSpec,
) -> Result<Found<'a>, Misfit<'a>> {
    let missing = |reason| Misfit {
        reason,
        rejected: None,
    };
    if parameter.role == Role::Bias
        && let Some((fused, tensor, layout)) = fused_bias(by_name, &layer.name)
    {
        return fit(fused, tensor, layout, parameter);
    }
    let found = layer_named(by_name, &layer.name).map_err(missing)?;
    let Some((tensor, layout)) = tensor(found, file_names(parameter.role)) else {
        let role = parameter.role.name();
        let reason = format!("the source's layer of this name has no {role}");
        return Err(missing(reason));
    };
    if let Some(kind) = &found.kind
        && !does_the_same(kind, &layer.operation)
    {
        return Err(Misfit {
            reason: format!("the source's layer of this name is a {kind}"),
            rejected: Some((found, tensor)),
        });
    }
    fit(found, tensor, layout, parameter)
}

/// The bias `x_bias` that the source keeps in its layer `x`, having no layer `x_bias`.
fn fused_bias<'a>(
    by_name: &HashMap<&str, Vec<&'a SourceLayer>>,
    bias: &str,
) -> Option<(&'a SourceLayer, &'a SourceTensor, Layout)> {
    if by_name.contains_key(bias) {
        return None;
    }
    let fused = layer_named(by_name, bias.strip_suffix("_bias")?).ok()?;
    let (tensor, layout) = tensor(fused, FUSED_BIAS)?;
    Some((fused, tensor, layout))
}

/// The one layer of this name that has parameters, or why there is none.
fn layer_named<'a>(
    by_name: &HashMap<&str, Vec<&'a SourceLayer>>,
    name: &str,
) -> Result<&'a SourceLayer, String> {
    let named = by_name.get(name).map_or(&[][..], Vec::as_slice);
    let mut with_parameters = named.iter().filter(|layer| !layer.tensors.is_empty());
    match (with_parameters.next(), with_parameters.next()) {
        (Some(layer), None) => Ok(layer),
        (Some(_), Some(_)) => Err("the source has several layers of this name".to_string()),
        (None, _) if named.is_empty() => Err(format!("the source has no layer `{name}`")),
        (None, _) => Err("the source's layer of this name has no parameters".to_string()),
    }
}

/// What a bias is called inside of the layer whose output it is added to.
const FUSED_BIAS: &[(&str, Layout)] = &[("weight_bias", Layout::Neon), ("bias", Layout::Graft)];

/// What tensors of this role are called in files.
fn file_names(role: Role) -> &'static [(&'static str, Layout)] {
    use Layout::{Graft, Neon};
    match role {
        Role::Weight => &[("weight", Graft), ("W", Neon)],
        Role::Bias => &[("bias", Graft), ("W", Neon)],
        Role::Scale => &[("scale", Graft), ("gamma", Neon)],
        Role::Shift => &[("shift", Graft), ("beta", Neon)],
        Role::Mean => &[("mean", Graft), ("gmean", Neon)],
        Role::Variance => &[("variance", Graft), ("gvar", Neon)],
    }
}

fn tensor<'a>(
    layer: &'a SourceLayer,
    names: &[(&str, Layout)],
) -> Option<(&'a SourceTensor, Layout)> {
    names.iter().find_map(|&(name, layout)| {
        let tensor = layer.tensors.iter().find(|tensor| tensor.name == name)?;
        Some((tensor, layout))
    })
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

fn fit<'a>(
    layer: &'a SourceLayer,
    tensor: &'a SourceTensor,
    layout: Layout,
    parameter: &ParameterSpec,
) -> Result<Found<'a>, Misfit<'a>> {
    let target = parameter.shape.as_slice();
    let (expected, conversion) = match (layout, target) {
        (Layout::Neon, &[k, c, r, s]) => (vec![c * r * s, k], Conversion::Transpose),
        (Layout::Neon, &[k]) => (vec![k, 1], Conversion::Flatten),
        _ => (target.to_vec(), Conversion::AsIs),
    };
    let reject = |reason| Misfit {
        reason,
        rejected: Some((layer, tensor)),
    };
    if tensor.shape != expected {
        let (found, wanted) = (shape_text(&tensor.shape), shape_text(target));
        let stored = match conversion {
            Conversion::AsIs => String::new(),
            _ => format!(", which neon stores as {}", shape_text(&expected)),
        };
        let reason = format!("its shape is {found} in the source and {wanted} here{stored}");
        return Err(reject(reason));
    }
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
        conversion,
    })
}
