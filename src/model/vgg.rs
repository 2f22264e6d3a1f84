//! VGG (Simonyan and Zisserman 2015, configurations A, B, D and E) as a list of named layers, with
//! the names of neon's course script: `conv1_1`, `conv1_1_bias`, …, `pool5`, then the head.

use crate::config::experiment::{Architecture, LayerKind, NamedLayer};

/// Convolutions in each of the five blocks.
fn convolutions(architecture: Architecture) -> [usize; 5] {
    match architecture {
        Architecture::Vgg11 => [1, 1, 2, 2, 2],
        Architecture::Vgg13 => [2, 2, 2, 2, 2],
        Architecture::Vgg16 => [2, 2, 3, 3, 3],
        Architecture::Vgg19 => [2, 2, 4, 4, 4],
    }
}

/// The layers of a VGG: five blocks of 3x3 convolutions, each with its bias and ReLU, each block
/// closed by a 2x2 pooling; then `head` linear layers with bias, ReLU and dropout; then the
/// classifier with bias and softmax.
///
/// `widths` are the channels of the five blocks; `head` pairs names with widths. No dropout layers
/// are made for a rate of 0.
pub fn layers(
    architecture: Architecture,
    widths: &[usize],
    head: &[(&str, usize)],
    classifier: &str,
    dropout: f64,
) -> Vec<NamedLayer> {
    let relu = LayerKind::Relu { slope: 0.0 };
    let mut layers = Vec::new();
    for (block, (count, &channels)) in (1..).zip(convolutions(architecture).into_iter().zip(widths))
    {
        for index in 1..=count {
            let name = format!("conv{block}_{index}");
            let kind = LayerKind::Convolution {
                channels,
                kernel: 3,
                stride: 1,
                padding: 1,
                initializer: None,
            };
            push_with_bias(&mut layers, &name, kind);
            push(&mut layers, format!("{name}_relu"), relu.clone());
        }
        let kind = LayerKind::MaxPooling {
            kernel: 2,
            stride: 2,
            padding: 0,
        };
        push(&mut layers, format!("pool{block}"), kind);
    }
    for &(name, features) in head {
        push_with_bias(&mut layers, name, linear(Some(features)));
        push(&mut layers, format!("{name}_relu"), relu.clone());
        if dropout > 0.0 {
            let kind = LayerKind::Dropout { rate: dropout };
            push(&mut layers, format!("{name}_dropout"), kind);
        }
    }
    push_with_bias(&mut layers, classifier, linear(None));
    push(&mut layers, "softmax".to_string(), LayerKind::Softmax);
    layers
}

fn linear(features: Option<usize>) -> LayerKind {
    LayerKind::Linear {
        features,
        initializer: None,
    }
}

fn push(layers: &mut Vec<NamedLayer>, name: String, kind: LayerKind) {
    layers.push(NamedLayer { name, kind });
}

fn push_with_bias(layers: &mut Vec<NamedLayer>, name: &str, kind: LayerKind) {
    push(layers, name.to_string(), kind);
    let bias = LayerKind::Bias { initializer: None };
    push(layers, format!("{name}_bias"), bias);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vgg16_has_thirteen_convolutions_and_a_head_named_as_asked() {
        let layers = layers(
            Architecture::Vgg16,
            &[64, 128, 256, 512, 512],
            &[("fc6_new", 4096), ("fc7_new", 4096)],
            "cls_imdb_wiki_face",
            0.5,
        );
        let names: Vec<_> = layers.iter().map(|layer| layer.name.as_str()).collect();
        let convolutions = names
            .iter()
            .filter(|name| {
                name.starts_with("conv") && !name.contains("_bias") && !name.contains("_relu")
            })
            .count();
        assert_eq!(convolutions, 13);
        assert_eq!(names[..3], ["conv1_1", "conv1_1_bias", "conv1_1_relu"]);
        assert_eq!(
            names[names.len() - 11..],
            [
                "fc6_new",
                "fc6_new_bias",
                "fc6_new_relu",
                "fc6_new_dropout",
                "fc7_new",
                "fc7_new_bias",
                "fc7_new_relu",
                "fc7_new_dropout",
                "cls_imdb_wiki_face",
                "cls_imdb_wiki_face_bias",
                "softmax",
            ]
        );
    }
}
