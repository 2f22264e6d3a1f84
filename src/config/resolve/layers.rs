//! Resolves `[[model.layers]]`, one entry at a time.

use std::collections::BTreeSet;

use super::checks::{BELOW_ONE, Checks, NOT_NEGATIVE, POSITIVE};
use super::initializer::initializer;
use crate::config::experiment::{Initializer, LayerKind, NamedLayer};
use crate::config::file::{LayerTable, LayerType, NameOrTable, Word};

/// Checks a layer's name, which becomes part of a tensor's name and may be matched by patterns.
pub fn layer_name(checks: &mut Checks, key: &str, name: &str, seen: &mut BTreeSet<String>) {
    let unfit = |c: char| c.is_whitespace() || c.is_control() || "./\\*?".contains(c);
    if name.is_empty() {
        checks.refuse(
            key,
            "the name of a layer is empty",
            "for example \"conv1_1\"",
        );
    } else if name.contains(unfit) {
        let problem = format!("\"{name}\" cannot be the name of a layer");
        checks.refuse(key, problem, "use letters, digits, `_` and `-`");
    } else if ["imported", "default"].contains(&name) {
        let problem = format!("\"{name}\" cannot be the name of a layer");
        checks.refuse(
            key,
            problem,
            "it is a reserved word of `learning_rate_multiplier`",
        );
    } else if !seen.insert(name.to_owned()) {
        let problem = format!("a second layer is called \"{name}\"");
        checks.refuse(
            key,
            problem,
            "layers are matched by name: give each its own",
        );
    }
}

/// The layers, with a bias layer behind those that ask for one by `bias = true`.
pub fn named_layers(checks: &mut Checks, tables: &[LayerTable]) -> Vec<NamedLayer> {
    let mut layers = Vec::new();
    let mut seen = BTreeSet::new();
    if tables.is_empty() {
        checks.refuse_with_example("model.layers", "`model.layers` is empty");
    }
    for (index, table) in tables.iter().enumerate() {
        let key = format!("model.layers.{index}");
        let Some(Word(kind)) = table.kind else {
            checks.refuse_with_example(&format!("{key}.type"), "`type` is missing in this layer");
            continue;
        };
        let Some(name) = table.name.clone() else {
            checks.refuse_with_example(&format!("{key}.name"), "`name` is missing in this layer");
            continue;
        };
        layer_name(checks, &format!("{key}.name"), &name, &mut seen);
        let kind = layer_kind(checks, &key, kind, table);
        let rest = &tables[index + 1..];
        check_position(checks, &key, &kind, rest);
        let bias = table.bias == Some(true);
        let bias = bias.then(|| format!("{name}_bias"));
        layers.push(NamedLayer { name, kind });
        if let Some(name) = bias {
            layer_name(checks, &format!("{key}.bias"), &name, &mut seen);
            let kind = LayerKind::Bias { initializer: None };
            layers.push(NamedLayer { name, kind });
        }
    }
    layers
}

/// Softmax stands last; only the last layer with weights may leave its width to `classes`.
fn check_position(checks: &mut Checks, key: &str, kind: &LayerKind, rest: &[LayerTable]) {
    let has_weights = |table: &LayerTable| {
        let kind = table.kind.map(|kind| kind.0);
        matches!(kind, Some(LayerType::Linear | LayerType::Convolution))
    };
    match kind {
        LayerKind::Softmax if !rest.is_empty() => {
            let problem = "`softmax` before the end of the model";
            checks.refuse(&format!("{key}.type"), problem, "make it the last layer");
        }
        LayerKind::Linear { features: None, .. } if rest.iter().any(has_weights) => {
            let problem = "`features` is missing; only the last linear layer is as wide as \
                           there are classes";
            checks.refuse_with_example(&format!("{key}.features"), problem);
        }
        _ => {}
    }
}

/// The keys that each type of layer takes, beside `name` and `type`.
fn taken_by(kind: LayerType) -> (&'static str, &'static [&'static str]) {
    match kind {
        LayerType::Convolution => (
            "convolution",
            &[
                "channels",
                "kernel",
                "stride",
                "padding",
                "bias",
                "initializer",
            ],
        ),
        LayerType::Bias => ("bias", &["initializer"]),
        LayerType::Relu => ("relu", &["slope"]),
        LayerType::Elu => ("elu", &["alpha"]),
        LayerType::Tanh => ("tanh", &[]),
        LayerType::Sigmoid => ("sigmoid", &[]),
        LayerType::MaxPooling => ("max_pooling", &["kernel", "stride", "padding"]),
        LayerType::AveragePooling => ("average_pooling", &["kernel", "stride", "padding"]),
        LayerType::Dropout => ("dropout", &["rate"]),
        LayerType::Linear => ("linear", &["features", "bias", "initializer"]),
        LayerType::BatchNorm => ("batch_norm", &["epsilon", "momentum"]),
        LayerType::Softmax => ("softmax", &[]),
    }
}

/// What the layer does. Batch norm's defaults are Burn's.
fn layer_kind(checks: &mut Checks, key: &str, kind: LayerType, table: &LayerTable) -> LayerKind {
    refuse_foreign_keys(checks, key, kind, table);
    let mut fields = Fields { checks, key };
    match kind {
        LayerType::Convolution => LayerKind::Convolution {
            channels: fields.required("channels", table.channels),
            kernel: fields.required("kernel", table.kernel),
            stride: fields.size("stride", table.stride, 1),
            padding: table.padding.unwrap_or(0),
            initializer: fields.initializer(&table.initializer),
        },
        LayerType::MaxPooling => {
            let (kernel, stride, padding) = fields.window(table);
            LayerKind::MaxPooling {
                kernel,
                stride,
                padding,
            }
        }
        LayerType::AveragePooling => {
            let (kernel, stride, padding) = fields.window(table);
            LayerKind::AveragePooling {
                kernel,
                stride,
                padding,
            }
        }
        LayerType::Linear => LayerKind::Linear {
            features: table
                .features
                .map(|width| fields.size("features", Some(width), 1)),
            initializer: fields.initializer(&table.initializer),
        },
        LayerType::Bias => LayerKind::Bias {
            initializer: fields.initializer(&table.initializer),
        },
        LayerType::Dropout => LayerKind::Dropout {
            rate: checks.number(BELOW_ONE, &format!("{key}.rate"), table.rate, 0.5),
        },
        LayerType::BatchNorm => LayerKind::BatchNorm {
            epsilon: checks.number(POSITIVE, &format!("{key}.epsilon"), table.epsilon, 1e-5),
            momentum: checks.number(BELOW_ONE, &format!("{key}.momentum"), table.momentum, 0.1),
        },
        LayerType::Relu => LayerKind::Relu {
            slope: checks.number(NOT_NEGATIVE, &format!("{key}.slope"), table.slope, 0.0),
        },
        LayerType::Elu => LayerKind::Elu {
            alpha: checks.number(NOT_NEGATIVE, &format!("{key}.alpha"), table.alpha, 1.0),
        },
        LayerType::Tanh => LayerKind::Tanh,
        LayerType::Sigmoid => LayerKind::Sigmoid,
        LayerType::Softmax => LayerKind::Softmax,
    }
}

fn refuse_foreign_keys(checks: &mut Checks, key: &str, kind: LayerType, table: &LayerTable) {
    let given = [
        ("channels", table.channels.is_some()),
        ("features", table.features.is_some()),
        ("kernel", table.kernel.is_some()),
        ("stride", table.stride.is_some()),
        ("padding", table.padding.is_some()),
        ("bias", table.bias.is_some()),
        ("initializer", table.initializer.is_some()),
        ("rate", table.rate.is_some()),
        ("epsilon", table.epsilon.is_some()),
        ("momentum", table.momentum.is_some()),
        ("slope", table.slope.is_some()),
        ("alpha", table.alpha.is_some()),
    ];
    let (kind, keys) = taken_by(kind);
    for (field, _) in given
        .iter()
        .filter(|(field, given)| *given && !keys.contains(field))
    {
        let problem = format!("`{field}` does nothing in a layer of type {kind}");
        let help = match keys {
            [] => format!("{kind} takes only `name` and `type`"),
            keys => format!("{kind} takes {}", keys.join(", ")),
        };
        checks.refuse(&format!("{key}.{field}"), problem, help);
    }
}

/// The fields of one entry of `[[model.layers]]`.
struct Fields<'a, 'b> {
    checks: &'a mut Checks<'b>,
    /// The entry's path.
    key: &'a str,
}

impl Fields<'_, '_> {
    fn required(&mut self, field: &str, value: Option<usize>) -> usize {
        if value.is_none() {
            let problem = format!("`{field}` is missing in this layer");
            self.checks
                .refuse_with_example(&format!("{}.{field}", self.key), problem);
        }
        self.size(field, value, 1)
    }

    fn size(&mut self, field: &str, value: Option<usize>, default: usize) -> usize {
        let size = value.unwrap_or(default);
        if size == 0 {
            let problem = format!("`{field}` must be at least 1, not 0");
            self.checks
                .refuse_with_example(&format!("{}.{field}", self.key), problem);
        }
        size
    }

    /// Kernel, stride and padding of a pooling layer.
    fn window(&mut self, table: &LayerTable) -> (usize, usize, usize) {
        let kernel = self.required("kernel", table.kernel);
        let stride = self.size("stride", table.stride, kernel.max(1));
        let padding = table.padding.unwrap_or(0);
        if padding > 0 && padding >= kernel {
            let problem = "`padding` must be less than `kernel`: a window would hold no pixel";
            self.checks
                .refuse_with_example(&format!("{}.padding", self.key), problem);
        }
        (kernel, stride, padding)
    }

    fn initializer(&mut self, given: &Option<NameOrTable>) -> Option<Initializer> {
        let key = format!("{}.initializer", self.key);
        let given = given.as_ref()?;
        Some(initializer(self.checks, &key, given))
    }
}
