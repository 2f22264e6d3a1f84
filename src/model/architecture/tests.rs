//! Shapes and sizes of all architectures against those of the published ones.

use std::collections::HashSet;

use super::*;
use crate::model::spec::{LayerSpec, Role};

/// Values in the trained tensors, and in all with running statistics: torchvision 0.29's
/// `state_dict()`; of the resnets of section 4.2, Idelbayev's; of MobileNet v1, Keras'.
const SIZES: [(Architecture, usize, usize); 20] = [
    (Architecture::Vgg11, 132_863_336, 132_863_336),
    (Architecture::Vgg13, 133_047_848, 133_047_848),
    (Architecture::Vgg16, 138_357_544, 138_357_544),
    (Architecture::Vgg19, 143_667_240, 143_667_240),
    (Architecture::Vgg11Bn, 132_868_840, 132_874_344),
    (Architecture::Vgg13Bn, 133_053_736, 133_059_624),
    (Architecture::Vgg16Bn, 138_365_992, 138_374_440),
    (Architecture::Vgg19Bn, 143_678_248, 143_689_256),
    (Architecture::Alexnet, 61_100_840, 61_100_840),
    (Architecture::Resnet18, 11_689_512, 11_699_112),
    (Architecture::Resnet34, 21_797_672, 21_814_696),
    (Architecture::Resnet50, 25_557_032, 25_610_152),
    (Architecture::Resnet20, 269_722, 271_098),
    (Architecture::Resnet32, 464_154, 466_426),
    (Architecture::Resnet44, 658_586, 661_754),
    (Architecture::Resnet56, 853_018, 857_082),
    (Architecture::Squeezenet1_0, 1_248_424, 1_248_424),
    (Architecture::Squeezenet1_1, 1_235_496, 1_235_496),
    (Architecture::MobilenetV1, 4_231_976, 4_253_864),
    (Architecture::MobilenetV2, 3_504_872, 3_538_984),
];

fn published(architecture: Architecture) -> NetworkSpec {
    let convention = architecture.facts().convention;
    standard(architecture, convention, 1.0).unwrap_or_else(|e| panic!("{architecture:?}: {e}"))
}

/// Values in the tensors that are trained.
fn trained(network: &NetworkSpec) -> usize {
    let parameters = network.layers.iter().flat_map(|layer| &layer.parameters);
    let trained = parameters.filter(|p| !matches!(p.role, Role::Mean | Role::Variance));
    trained.map(|parameter| parameter.count()).sum()
}

#[test]
fn every_architecture_has_as_many_parameters_as_the_published_one() {
    for (architecture, parameters, all) in SIZES {
        let network = published(architecture);
        assert_eq!(trained(&network), parameters, "{architecture:?}");
        assert_eq!(network.parameter_count(), all, "{architecture:?}");
    }
}

/// Names of one convention that belong to more than one layer, or layers that have none.
fn names_of(network: &NetworkSpec, convention: Convention) -> Vec<&str> {
    let with_parameters = network.layers.iter().filter(|l| !l.parameters.is_empty());
    let layers =
        with_parameters.filter(|layer| layer.operation != crate::model::spec::Operation::Bias);
    let first = |layer: &'_ LayerSpec| {
        let names = layer.names.iter();
        let mut names = names.filter(|name| name.convention == convention);
        names.next().map(|name| name.name.clone())
    };
    let _ = first;
    layers
        .filter_map(|layer| {
            layer
                .names
                .iter()
                .find(|name| name.convention == convention)
        })
        .map(|name| name.name.as_str())
        .collect()
}

#[test]
fn every_layer_with_parameters_has_a_name_of_its_own_in_torchvision() {
    for (architecture, ..) in SIZES {
        let network = published(architecture);
        let names = names_of(&network, Convention::Torchvision);
        let unique: HashSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{architecture:?}");
    }
}

#[test]
#[ignore]
fn dump() {
    let mut all = std::collections::BTreeMap::new();
    for architecture in Architecture::ALL {
        for convention in [Convention::Torchvision, Convention::Keras] {
            for width in [1.0, 0.25, 0.5, 1.4] {
                if let Ok(spec) = standard(architecture, convention, width) {
                    let key = format!("{} {convention:?} {width}", architecture.name());
                    all.insert(key, spec);
                }
            }
        }
    }
    std::fs::write("/tmp/arch_specs.json", serde_json::to_string(&all).unwrap()).unwrap();
}
