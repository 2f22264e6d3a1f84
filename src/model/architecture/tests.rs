//! Shapes and sizes of all architectures against those of the published ones.

use std::collections::HashSet;

use super::*;
use crate::model::spec::{LayerSpec, Operation, Role};

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

/// The first name that each layer with parameters has in one convention; `None` where it has none.
/// Biases are left out: theirs is that of the layer before.
fn first_names(network: &NetworkSpec, convention: Convention) -> Vec<Option<&str>> {
    let is_named =
        |layer: &&LayerSpec| !layer.parameters.is_empty() && layer.operation != Operation::Bias;
    let first = |layer: &'_ LayerSpec| layer.names.iter().position(|n| n.convention == convention);
    let layers = network.layers.iter().filter(is_named);
    layers
        .map(|layer| first(layer).map(|index| layer.names[index].name.as_str()))
        .collect()
}

/// Architectures that Keras has.
const IN_KERAS: [Architecture; 9] = [
    Architecture::Vgg11,
    Architecture::Vgg13,
    Architecture::Vgg16,
    Architecture::Vgg19,
    Architecture::Resnet50,
    Architecture::Squeezenet1_0,
    Architecture::Squeezenet1_1,
    Architecture::MobilenetV1,
    Architecture::MobilenetV2,
];

#[test]
fn every_layer_with_parameters_has_a_name_of_its_own_in_each_convention() {
    for architecture in Architecture::ALL {
        for convention in [Convention::Torchvision, Convention::Keras] {
            if convention == Convention::Keras && !IN_KERAS.contains(&architecture) {
                continue;
            }
            let network = standard(architecture, convention, 1.0).expect("a network");
            let names = first_names(&network, convention);
            let unique: HashSet<_> = names.iter().flatten().collect();
            assert_eq!(unique.len(), names.len(), "{architecture:?} {convention:?}");
        }
    }
}

#[test]
fn a_bias_is_called_like_the_layer_whose_bias_it_is() {
    for architecture in Architecture::ALL {
        let network = published(architecture);
        for pair in network.layers.windows(2) {
            if pair[1].operation == Operation::Bias {
                assert_eq!(pair[1].name, format!("{}_bias", pair[0].name));
                assert_eq!(pair[1].names, pair[0].names);
            }
        }
    }
}

/// All names of a layer, joined.
fn names_of(architecture: Architecture, layer: &str) -> String {
    let network = published(architecture);
    let found = network.layers.iter().find(|found| found.name == layer);
    let names = found.unwrap_or_else(|| panic!("{layer}")).names.iter();
    let names: Vec<_> = names.map(|name| name.name.as_str()).collect();
    names.join(", ")
}

#[test]
fn layers_have_the_names_of_their_checkpoints() {
    use Architecture::*;
    for (architecture, layer, names) in [
        (Vgg16, "conv1_1", "features.0, block1_conv1"),
        (Vgg16, "conv5_3_bias", "features.28, block5_conv3"),
        (Vgg16, "fc6", "classifier.0, pre_logits.fc1, fc1"),
        (Vgg16Bn, "conv5_3", "features.40, block5_conv3"),
        (Vgg16Bn, "conv5_3_bn", "features.41"),
        (Alexnet, "conv5", "features.10"),
        (Alexnet, "fc8", "classifier.6"),
        (Resnet18, "layer4_0_downsample_1", "layer4.0.downsample.1"),
        (Resnet50, "conv1", "conv1, conv1_conv"),
        (Resnet50, "layer2_3_bn2", "layer2.3.bn2, conv3_block4_2_bn"),
        (
            Resnet50,
            "layer1_0_downsample_0",
            "layer1.0.downsample.0, conv2_block1_0_conv",
        ),
        (Resnet50, "fc", "fc, predictions, probs"),
        (Resnet20, "linear", "linear"),
        (
            Squeezenet1_0,
            "fire9_squeeze1x1",
            "features.12.squeeze, fire9/squeeze1x1",
        ),
        (
            Squeezenet1_1,
            "fire4_expand3x3_bias",
            "features.6.expand3x3, fire4/expand3x3",
        ),
        (Squeezenet1_1, "conv10", "classifier.1, conv10"),
        (MobilenetV1, "conv_pw_8", "blocks.3.2.conv_pw, conv_pw_8"),
        (
            MobilenetV1,
            "conv_dw_13_bn",
            "blocks.4.1.bn1, conv_dw_13_bn",
        ),
        (MobilenetV1, "conv_preds", "classifier, conv_preds"),
        (
            MobilenetV2,
            "block_0_project",
            "features.1.conv.1, blocks.0.0.conv_pw, expanded_conv_project",
        ),
        (
            MobilenetV2,
            "block_16_project_bn",
            "features.17.conv.3, blocks.6.0.bn3, block_16_project_BN",
        ),
        (
            MobilenetV2,
            "fc",
            "classifier.1, classifier, predictions, Logits",
        ),
    ] {
        assert_eq!(names_of(architecture, layer), names, "{layer}");
    }
}

#[test]
fn a_renamed_layer_stands_where_the_architectures_own_does() {
    let head_names = ["fc6_new", "fc7", "extra"].map(String::from);
    let request = Request {
        architecture: Architecture::Vgg11,
        widths: &[1; 5],
        width: 1.0,
        head: &[4, 4, 4],
        head_names: &head_names,
        classifier: "cls_new",
        dropout: 0.5,
    };
    let layers = layers(&request, Convention::Torchvision, BatchNorm::default());
    let of = |name: &str| {
        let mut layers = layers.iter();
        let found = layers
            .find(|known| known.layer.name == name)
            .expect("the layer");
        (
            found.names.first().map(|name| name.name.as_str()),
            found.renamed,
        )
    };
    assert_eq!(of("fc6_new"), (Some("classifier.0"), true));
    assert_eq!(of("fc6_new_bias"), (Some("classifier.0"), true));
    assert_eq!(of("fc7"), (Some("classifier.3"), false));
    assert_eq!(of("extra"), (None, false));
    assert_eq!(of("cls_new"), (Some("classifier.6"), true));
    assert_eq!(of("conv1_1_bias"), (Some("features.0"), false));
    assert_eq!(of("fc6_new_relu"), (None, false));
}

#[test]
fn keras_pads_at_the_bottom_norms_otherwise_and_rounds_down() {
    let networks = |architecture| {
        [Convention::Torchvision, Convention::Keras]
            .map(|convention| standard(architecture, convention, 1.0).expect("a network"))
    };
    let of = |network: &NetworkSpec, name: &str| {
        let found = network.layers.iter().find(|layer| layer.name == name);
        found.expect("the layer").clone()
    };
    let [torchvision, keras] = networks(Architecture::MobilenetV2);
    let padding = |network: &NetworkSpec| match of(network, "conv1").operation {
        Operation::Convolution { padding, .. } => padding,
        other => panic!("{other:?}"),
    };
    assert_eq!(padding(&torchvision).as_even(), Some(1));
    let at_the_bottom = crate::model::spec::Padding {
        top: 0,
        bottom: 1,
        left: 0,
        right: 1,
    };
    assert_eq!(padding(&keras), at_the_bottom);
    let norm = |network: &NetworkSpec, name: &str| match of(network, name).operation {
        Operation::BatchNorm { epsilon, momentum } => (epsilon, momentum),
        other => panic!("{other:?}"),
    };
    assert_eq!(norm(&torchvision, "conv1_bn"), (1e-5, 0.1));
    assert_eq!(norm(&keras, "conv1_bn"), (1e-3, 0.01));
    let [torchvision, keras] = networks(Architecture::Resnet50);
    assert_eq!(norm(&keras, "bn1"), (1.001e-5, 0.01));
    let stride = |network: &NetworkSpec, name: &str| match of(network, name).operation {
        Operation::Convolution { stride, .. } => stride,
        other => panic!("{other:?}"),
    };
    assert_eq!(stride(&torchvision, "layer2_0_conv1"), 1);
    assert_eq!(stride(&torchvision, "layer2_0_conv2"), 2);
    assert_eq!(stride(&keras, "layer2_0_conv1"), 2);
    assert_eq!(stride(&keras, "layer2_0_conv2"), 1);
    // Keras' total, with a bias for each convolution.
    assert_eq!(keras.parameter_count(), 25_636_712);
    let [torchvision, keras] = networks(Architecture::Squeezenet1_0);
    assert_eq!(of(&torchvision, "pool4").output, [256, 27, 27]);
    assert_eq!(of(&keras, "pool4").output, [256, 26, 26]);
}

#[test]
fn widths_are_rounded_as_each_mobilenet_does() {
    let of = |architecture: Architecture, width| {
        let convention = architecture.facts().convention;
        let network = standard(architecture, convention, width).expect("a network");
        (trained(&network), network.parameter_count())
    };
    assert_eq!(of(Architecture::MobilenetV1, 0.25).1, 475_544);
    assert_eq!(of(Architecture::MobilenetV2, 0.25), (1_519_112, 1_529_768));
    assert_eq!(of(Architecture::MobilenetV2, 0.5), (1_968_680, 1_987_224));
    assert_eq!(of(Architecture::MobilenetV2, 1.4), (6_108_776, 6_156_712));
}
