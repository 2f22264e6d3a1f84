//! Resolves `[[model.layers]]`, one entry at a time.

use std::collections::BTreeSet;

use super::checks::{BELOW_ONE, Checks, NOT_NEGATIVE, POSITIVE, word};
use super::initializer::initializer;
use crate::config::experiment::{Initializer, LayerKind, NamedLayer, PaddingSize, Shortcut};
use crate::config::file::{LayerTable, LayerType, NameOrTable, Pixels, Word};

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
        let from = table.from.clone();
        layers.push(NamedLayer { name, from, kind });
        if let Some(name) = bias {
            layer_name(checks, &format!("{key}.bias"), &name, &mut seen);
            layers.push(NamedLayer {
                name,
                from: None,
                kind: LayerKind::Bias { initializer: None },
            });
        }
    }
    layers
}

/// Softmax stands last; only the last layer with weights may leave its width to `classes`.
fn check_position(checks: &mut Checks, key: &str, kind: &LayerKind, rest: &[LayerTable]) {
    let has_weights = |table: &LayerTable| {
        let kind = table.kind.map(|kind| kind.0);
        matches!(
            kind,
            Some(
                LayerType::Linear
                    | LayerType::Convolution
                    | LayerType::Fire
                    | LayerType::BasicBlock
                    | LayerType::Bottleneck
                    | LayerType::DepthwiseSeparable
                    | LayerType::InvertedResidual
            )
        )
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
        LayerKind::Convolution { channels: None, .. } if rest.iter().any(has_weights) => {
            let problem = "`channels` is missing; only the last layer with weights has as many as \
                           there are classes";
            checks.refuse_with_example(&format!("{key}.channels"), problem);
        }
        _ => {}
    }
}

/// The keys that each type of layer takes, beside `name`, `type` and `from`.
fn taken_by(kind: LayerType) -> (&'static str, &'static [&'static str]) {
    match kind {
        LayerType::Convolution => (
            "convolution",
            &[
                "channels",
                "kernel",
                "stride",
                "padding",
                "groups",
                "bias",
                "initializer",
            ],
        ),
        LayerType::Bias => ("bias", &["initializer"]),
        LayerType::Relu => ("relu", &["slope", "limit"]),
        LayerType::Elu => ("elu", &["alpha"]),
        LayerType::Tanh => ("tanh", &[]),
        LayerType::Sigmoid => ("sigmoid", &[]),
        LayerType::MaxPooling => ("max_pooling", &["kernel", "stride", "padding"]),
        LayerType::AveragePooling => ("average_pooling", &["kernel", "stride", "padding"]),
        LayerType::GlobalAveragePooling => ("global_average_pooling", &[]),
        LayerType::Dropout => ("dropout", &["rate"]),
        LayerType::Linear => ("linear", &["features", "bias", "initializer"]),
        LayerType::BatchNorm => ("batch_norm", &["epsilon", "momentum"]),
        LayerType::Add => ("add", &["with"]),
        LayerType::Concatenate => ("concatenate", &["with"]),
        LayerType::Subsample => ("subsample", &["channels", "stride"]),
        LayerType::Fire => ("fire", &["squeeze", "expand"]),
        LayerType::BasicBlock => ("basic_block", &["channels", "stride", "shortcut"]),
        LayerType::Bottleneck => ("bottleneck", &["channels", "stride", "expansion"]),
        LayerType::DepthwiseSeparable => ("depthwise_separable", &["channels", "stride"]),
        LayerType::InvertedResidual => ("inverted_residual", &["channels", "stride", "expansion"]),
        LayerType::Softmax => ("softmax", &[]),
    }
}

/// What the layer does. Batch norm's defaults are Burn's.
fn layer_kind(checks: &mut Checks, key: &str, kind: LayerType, table: &LayerTable) -> LayerKind {
    refuse_foreign_keys(checks, key, kind, table);
    let mut fields = Fields { checks, key };
    match kind {
        LayerType::Convolution => LayerKind::Convolution {
            channels: table
                .channels
                .map(|channels| fields.size("channels", Some(channels), 1)),
            kernel: fields.required("kernel", table.kernel),
            stride: fields.size("stride", table.stride, 1),
            padding: table
                .padding
                .map_or(PaddingSize::Pixels(0), |given| given.0),
            groups: fields.size("groups", table.groups, 1),
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
        LayerType::Relu => fields.relu(table),
        LayerType::Elu => LayerKind::Elu {
            alpha: checks.number(NOT_NEGATIVE, &format!("{key}.alpha"), table.alpha, 1.0),
        },
        LayerType::Tanh => LayerKind::Tanh,
        LayerType::Sigmoid => LayerKind::Sigmoid,
        LayerType::GlobalAveragePooling => LayerKind::GlobalAveragePooling,
        LayerType::Add => LayerKind::Add {
            with: fields.with(table),
        },
        LayerType::Concatenate => LayerKind::Concatenate {
            with: fields.with(table),
        },
        LayerType::Softmax => LayerKind::Softmax,
        LayerType::Fire => LayerKind::Fire {
            squeeze: fields.required("squeeze", table.squeeze),
            expand: fields.required("expand", table.expand),
        },
        LayerType::Subsample
        | LayerType::BasicBlock
        | LayerType::Bottleneck
        | LayerType::DepthwiseSeparable
        | LayerType::InvertedResidual => fields.strided(kind, table),
    }
}

fn refuse_foreign_keys(checks: &mut Checks, key: &str, kind: LayerType, table: &LayerTable) {
    let given = [
        ("channels", table.channels.is_some()),
        ("features", table.features.is_some()),
        ("kernel", table.kernel.is_some()),
        ("stride", table.stride.is_some()),
        ("padding", table.padding.is_some()),
        ("groups", table.groups.is_some()),
        ("with", table.with.is_some()),
        ("bias", table.bias.is_some()),
        ("initializer", table.initializer.is_some()),
        ("rate", table.rate.is_some()),
        ("epsilon", table.epsilon.is_some()),
        ("momentum", table.momentum.is_some()),
        ("slope", table.slope.is_some()),
        ("limit", table.limit.is_some()),
        ("alpha", table.alpha.is_some()),
        ("squeeze", table.squeeze.is_some()),
        ("expand", table.expand.is_some()),
        ("expansion", table.expansion.is_some()),
        ("shortcut", table.shortcut.is_some()),
    ];
    let (kind, keys) = taken_by(kind);
    for (field, _) in given
        .iter()
        .filter(|(field, given)| *given && !keys.contains(field))
    {
        let problem = format!("`{field}` does nothing in a layer of type {kind}");
        let help = match keys {
            [] => format!("{kind} takes only `name`, `type` and `from`"),
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

    /// The layers that are joined: at least one.
    fn with(&mut self, table: &LayerTable) -> Vec<String> {
        let with = table.with.clone().unwrap_or_default();
        if with.is_empty() {
            let problem = "`with` is missing in this layer: what is joined with its input?";
            self.checks
                .refuse_with_example(&format!("{}.with", self.key), problem);
        }
        with
    }

    fn relu(&mut self, table: &LayerTable) -> LayerKind {
        let key = format!("{}.limit", self.key);
        if table.limit.is_some() && table.slope.is_some_and(|slope| slope != 0.0) {
            let problem = "`limit` beside `slope`: one ReLU has one of them";
            self.checks.refuse(&key, problem, "remove one of them");
        }
        let limit = table.limit;
        let slope = format!("{}.slope", self.key);
        LayerKind::Relu {
            limit: limit.map(|_| self.checks.number(POSITIVE, &key, limit, 6.0)),
            slope: self.checks.number(NOT_NEGATIVE, &slope, table.slope, 0.0),
        }
    }

    /// Layers and blocks of `channels` that may have a stride.
    fn strided(&mut self, kind: LayerType, table: &LayerTable) -> LayerKind {
        let channels = self.required("channels", table.channels);
        let stride = self.size("stride", table.stride, 1);
        match kind {
            LayerType::Subsample => LayerKind::Subsample { channels, stride },
            LayerType::BasicBlock => LayerKind::BasicBlock {
                channels,
                stride,
                shortcut: word(table.shortcut, Shortcut::Projection),
            },
            LayerType::Bottleneck => LayerKind::Bottleneck {
                channels,
                stride,
                expansion: self.size("expansion", table.expansion, 4),
            },
            LayerType::InvertedResidual => LayerKind::InvertedResidual {
                channels,
                stride,
                expansion: self.size("expansion", table.expansion, 6),
            },
            _ => LayerKind::DepthwiseSeparable { channels, stride },
        }
    }

    /// Kernel, stride and padding of a pooling layer.
    fn window(&mut self, table: &LayerTable) -> (usize, usize, usize) {
        let kernel = self.required("kernel", table.kernel);
        let stride = self.size("stride", table.stride, kernel.max(1));
        let padding = match table.padding {
            None => 0,
            Some(Pixels(PaddingSize::Pixels(padding))) => padding,
            Some(Pixels(PaddingSize::Word(_))) => {
                let problem = "`padding = \"same\"` is for convolutions; a pooling takes a number";
                self.checks
                    .refuse_with_example(&format!("{}.padding", self.key), problem);
                0
            }
        };
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
