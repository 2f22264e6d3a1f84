use super::operation::window;
use super::*;
use crate::config::experiment::{
    Architecture, DropoutScaling, InitialDraws, Initializer, PaddingSize,
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
