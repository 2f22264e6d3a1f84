//! Files made of what the architectures say of themselves: each is told from all others.

use super::*;
use crate::model::spec::{LayerSpec, Operation, Role};
use crate::numbers::Numbers;
use crate::source::{SourceLayer, SourceTensor};

/// A file of `spec` as tools of this convention write it: names and shapes alone.
fn file(spec: &NetworkSpec, convention: Convention) -> SourceModel {
    let mut layers: Vec<SourceLayer> = Vec::new();
    for layer in &spec.layers {
        let mut names = layer.names.iter();
        let Some(name) = names.find(|name| name.convention == convention) else {
            continue;
        };
        let tensors = layer.parameters.iter().map(|parameter| {
            let (name, shape) = stored(layer, parameter.role, &parameter.shape, convention);
            SourceTensor {
                name: name.into(),
                path: None,
                shape,
                values: Numbers::default(),
            }
        });
        let tensors: Vec<_> = tensors.collect();
        match layers.iter_mut().find(|other| other.name == name.name) {
            // A bias belongs to its convolution.
            Some(owner) => owner.tensors.extend(tensors),
            None => layers.push(SourceLayer {
                name: name.name.clone(),
                kind: None,
                filter: None,
                tensors,
            }),
        }
    }
    SourceModel {
        path: "model".into(),
        format: match convention {
            Convention::Torchvision => Format::PyTorch,
            Convention::Keras => Format::Keras,
        },
        sha256: String::new(),
        layers,
        metadata: Default::default(),
        origin: None,
    }
}

fn stored(
    layer: &LayerSpec,
    role: Role,
    shape: &[usize],
    convention: Convention,
) -> (&'static str, Vec<usize>) {
    let same = |name| (name, shape.to_vec());
    match (convention, role, shape) {
        (Convention::Torchvision, Role::Weight | Role::Scale, _) => same("weight"),
        (Convention::Torchvision, Role::Bias | Role::Shift, _) => same("bias"),
        (Convention::Torchvision, Role::Mean, _) => same("running_mean"),
        (Convention::Torchvision, Role::Variance, _) => same("running_var"),
        (Convention::Keras, Role::Weight, &[k, c, r, s]) => match layer.operation {
            Operation::Convolution { groups, .. } if groups > 1 => {
                ("depthwise_kernel", vec![r, s, k, 1])
            }
            _ => ("kernel", vec![r, s, c, k]),
        },
        (Convention::Keras, Role::Weight, &[outputs, inputs]) => ("kernel", vec![inputs, outputs]),
        (Convention::Keras, Role::Bias, _) => same("bias"),
        (Convention::Keras, Role::Scale, _) => same("gamma"),
        (Convention::Keras, Role::Shift, _) => same("beta"),
        (Convention::Keras, Role::Mean, _) => same("moving_mean"),
        (Convention::Keras, Role::Variance, _) => same("moving_variance"),
        (convention, role, shape) => panic!("{convention:?} {role:?} {shape:?}"),
    }
}

/// Whether `convention` has names for every layer with parameters.
fn is_named(spec: &NetworkSpec, convention: Convention) -> bool {
    let mut layers = spec
        .layers
        .iter()
        .filter(|layer| !layer.parameters.is_empty());
    layers.all(|layer| layer.names.iter().any(|name| name.convention == convention))
}

#[test]
fn every_variant_of_every_architecture_is_told_from_all_others() {
    let mut recognized = 0;
    for architecture in Architecture::ALL {
        for (architecture, convention, width) in variants(architecture) {
            let spec = architecture::standard(architecture, convention, width).expect("a network");
            if !is_named(&spec, convention) {
                continue;
            }
            let found = recognize(&file(&spec, convention)).expect("a known architecture");
            let of_tensors = tensors_of(&spec);
            let expected = Origin {
                architecture,
                convention,
                width,
                tensors: of_tensors,
                of_tensors,
            };
            assert_eq!(found, expected);
            recognized += 1;
        }
    }
    assert!(recognized > 30, "{recognized}");
}

#[test]
fn a_model_without_its_head_or_under_a_prefix_is_recognized() {
    let spec = architecture::standard(Architecture::Vgg16, Convention::Keras, 1.0);
    let mut model = file(&spec.expect("a network"), Convention::Keras);
    model.layers.truncate(13);
    for layer in &mut model.layers {
        layer.name.insert_str(0, "base/");
    }
    let origin = recognize(&model).expect("a known architecture");
    assert_eq!(origin.to_string(), "vgg16 of Keras (26 of its 32 tensors)");
}

#[test]
fn what_is_of_no_architecture_or_says_itself_what_it_is_has_no_origin() {
    let spec = architecture::standard(Architecture::Resnet18, Convention::Torchvision, 1.0);
    let model = file(&spec.expect("a network"), Convention::Torchvision);
    let mut half = model.clone();
    half.layers.truncate(model.layers.len() / 2);
    assert_eq!(recognize(&half), None);
    let mut grafts = model.clone();
    grafts.metadata.insert("graft.model".into(), "{}".into());
    assert_eq!(recognize(&grafts), None);
    let mut neons = model;
    neons.format = Format::Neon;
    assert_eq!(recognize(&neons), None);
}
