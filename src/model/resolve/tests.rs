use super::operation::window;
use super::*;
use crate::config::experiment::{
    Architecture, DropoutScaling, InitialDraws, Initializer, PaddingSize, Shortcut,
};

fn resolve(model: &Model, input: [usize; 3], classes: usize) -> Result<NetworkSpec> {
    let norms = BatchNorm::default();
    NetworkSpec::resolve(model, input, classes, Convention::Torchvision, &norms)
}

fn vgg(widths: &[usize]) -> Model {
    Model {
        body: Body::Architecture {
            architecture: Architecture::Vgg16,
            widths: widths.to_vec(),
            width: 1.0,
            head: vec![4096, 4096],
            head_names: vec!["fc6".into(), "fc7".into()],
            classifier: "fc8".into(),
            dropout: 0.5,
        },
        convention: None,
        classes: None,
        initializer: Initializer::XavierLocal,
        linear_initializer: Initializer::XavierLocal,
        bias_initializer: Initializer::Constant { value: 0.0 },
        initial_draws: InitialDraws::ByName,
        initial_weights: None,
        pooling: Some(PoolingSize::Floor),
        dropout_scaling: DropoutScaling::Training,
    }
}

fn listed(layers: Vec<(&str, LayerKind)>) -> Model {
    let layers = layers
        .into_iter()
        .map(|(name, kind)| NamedLayer {
            name: name.into(),
            from: None,
            kind,
        })
        .collect();
    Model {
        body: Body::Layers { layers },
        ..vgg(&[])
    }
}

#[test]
fn vgg16_on_224_pixels_has_the_papers_138_million_parameters() -> Result<()> {
    let spec = resolve(&vgg(&[64, 128, 256, 512, 512]), [3, 224, 224], 1000)?;
    assert_eq!(spec.parameter_count(), 138_357_544);
    let fc6 = spec.layers.iter().find(|layer| layer.name == "fc6");
    assert_eq!(
        fc6.map(|l| l.parameters[0].shape.clone()),
        Some(vec![4096, 25_088])
    );
    Ok(())
}

#[test]
fn an_image_too_small_for_five_poolings_is_refused_by_layer() {
    let error = resolve(&vgg(&[4, 4, 4, 4, 4]), [3, 16, 16], 2);
    let message = error.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(
        message.contains("`pool5`: a window of 2 does not fit on height 1"),
        "{message}"
    );
}

#[test]
fn ceil_gives_pooling_one_more_window_where_pixels_are_left_over() {
    let places = |size, kernel, stride, padding, ceil| {
        window("height", size, kernel, stride, padding, ceil).ok()
    };
    assert_eq!(places(5, 2, 2, 0, false), Some(2));
    assert_eq!(places(5, 2, 2, 0, true), Some(3));
    assert_eq!(places(6, 3, 2, 0, false), Some(2));
    assert_eq!(places(6, 3, 2, 0, true), Some(3));
    assert_eq!(places(7, 3, 2, 0, true), Some(3));
    // A third window would begin in the padding behind the image.
    assert_eq!(places(3, 2, 2, 1, true), Some(2));
    // ... or behind an image without any.
    assert_eq!(places(3, 1, 3, 0, true), Some(1));
    assert_eq!(places(1, 2, 2, 0, false), None);
    assert_eq!(places(1, 2, 2, 0, true), Some(1));
    assert_eq!(places(1, 3, 2, 0, true), None);
}

#[test]
fn pooling_of_an_odd_image_is_the_models_choice_and_convolutions_floor() -> Result<()> {
    let pool = LayerKind::MaxPooling {
        kernel: 2,
        stride: 2,
        padding: 0,
    };
    let convolution = LayerKind::Convolution {
        channels: Some(4),
        kernel: 3,
        stride: 2,
        padding: PaddingSize::Pixels(0),
        groups: 1,
        initializer: None,
    };
    let fc = LayerKind::Linear {
        features: None,
        initializer: None,
    };
    let mut model = listed(vec![
        ("conv", convolution),
        ("pool", pool),
        ("fc", fc),
        ("s", LayerKind::Softmax),
    ]);
    let outputs = |model: &Model| -> Result<Vec<Vec<usize>>> {
        let spec = resolve(model, [3, 8, 8], 2)?;
        Ok(spec.layers.into_iter().map(|layer| layer.output).collect())
    };
    assert_eq!(outputs(&model)?[..2], [vec![4, 3, 3], vec![4, 1, 1]]);
    model.pooling = Some(PoolingSize::Ceil);
    assert_eq!(outputs(&model)?[..2], [vec![4, 3, 3], vec![4, 2, 2]]);
    Ok(())
}

#[test]
fn a_convolution_behind_a_linear_layer_is_refused() {
    let convolution = LayerKind::Convolution {
        channels: Some(4),
        kernel: 3,
        stride: 1,
        padding: PaddingSize::Pixels(1),
        groups: 1,
        initializer: None,
    };
    let fc = LayerKind::Linear {
        features: Some(8),
        initializer: None,
    };
    let model = listed(vec![
        ("fc", fc),
        ("late", convolution),
        ("s", LayerKind::Softmax),
    ]);
    let error = resolve(&model, [3, 8, 8], 2).err();
    let message = error.map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains("layer `late`: needs images"), "{message}");
}

#[test]
fn a_network_must_end_with_a_softmax_over_its_classes() {
    let fc = |features| LayerKind::Linear {
        features,
        initializer: None,
    };
    let without = resolve(&listed(vec![("fc", fc(None))]), [1, 2, 2], 2);
    assert!(without.is_err_and(|e| e.to_string().contains("not a softmax")));
    let layers = vec![("fc", fc(Some(3))), ("s", LayerKind::Softmax)];
    let wrong = resolve(&listed(layers), [1, 2, 2], 2);
    assert!(wrong.is_err_and(|e| e.to_string().contains("softmax over (3)")));
}

fn add(with: &[&str]) -> LayerKind {
    let with = with.iter().map(|name| name.to_string()).collect();
    LayerKind::Add { with }
}

fn relu() -> LayerKind {
    LayerKind::Relu {
        slope: 0.0,
        limit: None,
    }
}

fn filters(channels: usize, padding: usize, groups: usize) -> LayerKind {
    LayerKind::Convolution {
        channels: Some(channels),
        kernel: 3,
        stride: 1,
        padding: PaddingSize::Pixels(padding),
        groups,
        initializer: None,
    }
}

/// The message for these layers in front of a linear one and softmax.
fn refused(mut layers: Vec<(&str, LayerKind)>) -> String {
    let fc = LayerKind::Linear {
        features: None,
        initializer: None,
    };
    layers.extend([("fc", fc), ("s", LayerKind::Softmax)]);
    let error = resolve(&listed(layers), [4, 8, 8], 2).expect_err("layers that do not fit");
    error.to_string()
}

#[test]
fn an_input_that_is_not_there_is_named_with_what_was_meant() {
    assert_eq!(
        refused(vec![("relu1", relu()), ("sum", add(&["relu"]))]),
        "model: layer `sum`: there is no layer `relu` before it\n  help: did you mean `relu1`?"
    );
    assert_eq!(
        refused(vec![("sum", add(&["relu"])), ("relu", relu())]),
        "model: layer `sum`: there is no layer `relu` before it\n  help: a layer works on outputs \
         of earlier layers"
    );
}

#[test]
fn outputs_that_do_not_fit_on_one_another_are_refused_with_their_shapes() {
    assert_eq!(
        refused(vec![
            ("a", relu()),
            ("b", filters(4, 0, 1)),
            ("sum", add(&["a"]))
        ]),
        "model: layer `sum`: adds outputs of different shapes: (4, 6, 6) and (4, 8, 8)\n  help: \
         project the one by a convolution of 1x1, or by a `subsample`"
    );
    let with = vec!["a".to_owned()];
    assert_eq!(
        refused(vec![
            ("a", relu()),
            ("b", filters(4, 0, 1)),
            ("both", LayerKind::Concatenate { with })
        ]),
        "model: layer `both`: concatenates outputs of different sizes: (4, 6, 6) and (4, 8, 8)\n  \
         help: only the channels may differ"
    );
}

#[test]
fn an_input_may_come_once_and_every_output_must_go_somewhere() {
    assert_eq!(
        refused(vec![("a", relu()), ("sum", add(&["a"]))]),
        "model: layer `sum`: `a` is twice among its inputs\n  help: `with` names what is joined \
         with the layer before, or with `from`"
    );
    let mut model = listed(vec![("a", relu()), ("b", relu()), ("c", relu())]);
    if let Body::Layers { layers } = &mut model.body {
        layers[2].from = Some("a".to_owned());
        let fc = LayerKind::Linear {
            features: None,
            initializer: None,
        };
        for (name, kind) in [("fc", fc), ("s", LayerKind::Softmax)] {
            layers.push(NamedLayer {
                name: name.into(),
                from: None,
                kind,
            });
        }
    }
    let error = resolve(&model, [4, 8, 8], 2).expect_err("a loose end");
    assert_eq!(
        error.to_string(),
        "model: layer `b`: no layer works on its output\n  help: remove it, or join it by `with` or \
         `from` of a later layer"
    );
}

#[test]
fn groups_that_do_not_divide_the_channels_are_refused() {
    assert_eq!(
        refused(vec![("conv", filters(6, 1, 3))]),
        "model: layer `conv`: the 4 channels of its input cannot be cut into 3 groups\n  help: \
         `groups` must divide `channels` and those of the input"
    );
    assert_eq!(
        refused(vec![("conv", filters(6, 1, 4))]),
        "model: layer `conv`: the 6 channels of its output cannot be cut into 4 groups\n  help: \
         `groups` must divide `channels` and those of the input"
    );
}

fn basic_block(channels: usize, stride: usize, shortcut: Shortcut) -> LayerKind {
    LayerKind::BasicBlock {
        channels,
        stride,
        shortcut,
    }
}

#[test]
fn a_block_is_written_out_and_its_name_means_its_last_part() -> Result<()> {
    let block = basic_block(8, 2, Shortcut::Projection);
    let mut model = listed(vec![
        ("conv", filters(4, 1, 1)),
        ("block", block),
        ("again", relu()),
    ]);
    if let Body::Layers { layers } = &mut model.body {
        let pool = NamedLayer {
            name: "sum".into(),
            from: None,
            kind: add(&["block"]),
        };
        layers.push(pool);
        for (name, kind) in [
            (
                "fc",
                LayerKind::Linear {
                    features: None,
                    initializer: None,
                },
            ),
            ("s", LayerKind::Softmax),
        ] {
            layers.push(NamedLayer {
                name: name.into(),
                from: None,
                kind,
            });
        }
    }
    let spec = resolve(&model, [3, 8, 8], 2)?;
    let parts = spec
        .layers
        .iter()
        .map(|layer| match layer.inputs.as_slice() {
            [] => layer.name.clone(),
            inputs => format!("{} of {}", layer.name, inputs.join(", ")),
        });
    assert_eq!(
        parts.collect::<Vec<_>>()[1..12],
        [
            "block_conv1",
            "block_bn1",
            "block_relu1",
            "block_conv2",
            "block_bn2",
            "block_downsample_0 of conv",
            "block_downsample_1",
            "block_add of block_downsample_1, block_bn2",
            "block_relu",
            "again",
            "sum of again, block_relu",
        ]
    );
    Ok(())
}

#[test]
fn blocks_that_cannot_be_are_refused() {
    let block = basic_block(4, 1, Shortcut::Projection);
    assert_eq!(
        refused(vec![("block", block)]),
        "model: layer `block`: a block with a shortcut cannot be the first layer\n  help: begin \
         with a convolution"
    );
    let fewer = basic_block(2, 1, Shortcut::Pad);
    assert_eq!(
        refused(vec![("a", relu()), ("block", fewer)]),
        "model: layer `block_shortcut`: its input has 4 channels; it cannot have fewer: 2\n  help: \
         a shortcut by `projection` can"
    );
    let fire = LayerKind::Fire {
        squeeze: 1,
        expand: 1,
    };
    let pool = LayerKind::GlobalAveragePooling;
    assert!(
        refused(vec![("pool", pool), ("fire", fire)])
            .starts_with("model: layer `fire`: needs images (channels, height, width)")
    );
    let block = basic_block(4, 1, Shortcut::Projection);
    let layers = vec![("a", relu()), ("b_conv1", relu()), ("b", block)];
    assert_eq!(
        refused(layers),
        "model: layer `b_conv1`: another layer has this name"
    );
}

#[test]
fn a_classifier_may_be_a_convolution() -> Result<()> {
    let classifier = LayerKind::Convolution {
        channels: None,
        kernel: 1,
        stride: 1,
        padding: PaddingSize::Pixels(0),
        groups: 1,
        initializer: None,
    };
    let model = listed(vec![
        ("classifier", classifier),
        ("pool", LayerKind::GlobalAveragePooling),
        ("s", LayerKind::Softmax),
    ]);
    let spec = resolve(&model, [4, 8, 8], 7)?;
    assert_eq!(spec.layers[0].parameters[0].shape, [7, 4, 1, 1]);
    assert_eq!(spec.classes(), 7);
    Ok(())
}
