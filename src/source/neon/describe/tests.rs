//! graft's VGG-16 against the description in neon's own file; layers that neon lacks.

use super::*;
use crate::config::experiment::DropoutScaling;
use crate::source::document::{Described, Document};
use crate::source::tests::{fixture, vgg};

fn model(network: NetworkSpec) -> Description {
    Description {
        network,
        optimizers: BTreeMap::new(),
        without_place: Vec::new(),
        cost: Instance {
            class: "CrossEntropyMulti".into(),
            config: BTreeMap::new(),
        },
        epochs: 3,
        seed: 42,
    }
}

/// A pooling of windows of 2 on an image of 5, and dropout.
fn odd(ceil: bool, scaling: DropoutScaling) -> NetworkSpec {
    let layer = |name: &str, operation, output: &[usize]| LayerSpec {
        name: name.into(),
        operation,
        output: output.to_vec(),
        parameters: vec![],
        inputs: Vec::new(),
        names: Vec::new(),
        renamed: false,
    };
    let size = if ceil { 3 } else { 2 };
    let pooling = Operation::AveragePooling {
        kernel: 2,
        stride: 2,
        padding: 0,
        ceil,
    };
    let dropout = Operation::Dropout { rate: 0.3, scaling };
    NetworkSpec {
        layers: vec![
            layer("pool", pooling, &[1, size, size]),
            layer("drop", dropout, &[1, size, size]),
        ],
        input: [1, 5, 5],
        ..vgg_of_neons().unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The network of `source_vgg_tiny.p`.
fn vgg_of_neons() -> Result<NetworkSpec> {
    vgg(["fc6", "fc7"], "fc8", 4)
}

/// Class, and configuration by key, of each layer; without initializers, which graft has one of for
/// the whole model.
fn layers(root: &Value) -> Vec<(String, BTreeMap<String, Value>)> {
    let config = root.get("model").and_then(|model| model.get("config"));
    let layers = config.and_then(|config| config.get("layers"));
    let one = |layer: &Value| {
        let class = layer.get("type").and_then(Value::as_text);
        let Some(Value::Dict(config)) = layer.get("config") else {
            panic!("a layer without configuration: {layer:?}");
        };
        let config = config.iter().filter(|entry| entry.0 != "init").cloned();
        (class.unwrap_or_default().to_string(), config.collect())
    };
    layers
        .map_or(&[][..], Value::items)
        .iter()
        .map(one)
        .collect()
}

#[test]
fn a_vgg_is_described_as_neon_describes_it() -> Result<()> {
    let bytes = std::fs::read(fixture("neon/source_vgg_tiny_py3.p"))?;
    let Document {
        described: Some(Described::Neon(neons)),
        ..
    } = crate::source::neon::document(&crate::source::pieces::Pieces::of(bytes))?
    else {
        return Err(Error::new("no description"));
    };
    let ours = describe(&model(vgg_of_neons()?), |_| false)?;
    // graft has a dropout that drops; the defaults of neon's.
    assert_eq!(layers(&ours), layers(&neons));
    assert_eq!(layers(&ours).len(), 55);
    assert_eq!(
        ours.get("train_input_shape"),
        neons.get("train_input_shape")
    );
    let keys = |value: &Value, below: &str| match value.get(below) {
        Some(Value::Dict(entries)) => entries.iter().map(|e| e.0.clone()).collect(),
        _ => std::collections::BTreeSet::new(),
    };
    assert_eq!(keys(&ours, "model"), keys(&neons, "model"));
    Ok(())
}

#[test]
fn a_model_with_batch_norm_has_a_place_for_its_states() -> Result<()> {
    let parameter = |role| ParameterSpec {
        role,
        shape: vec![4],
        initializer: crate::config::experiment::Initializer::Constant { value: 0.0 },
        groups: 1,
    };
    let roles = [Role::Scale, Role::Shift, Role::Mean, Role::Variance];
    let norm = LayerSpec {
        name: "norm".into(),
        operation: Operation::BatchNorm {
            epsilon: 1e-3,
            momentum: 0.1,
        },
        output: vec![4],
        parameters: roles.map(parameter).into(),
        inputs: Vec::new(),
        names: Vec::new(),
        renamed: false,
    };
    let states = |has: fn(&str) -> bool| states(&norm, &has);
    let empty = || Value::List(vec![]);
    // neon looks for them in every batch norm that it loads.
    assert_eq!(states(|_| false), Some(Value::List(vec![empty(), empty()])));
    let velocity = |name: &str| Value::List(vec![Value::Tensor(name.into())]);
    let both = vec![
        velocity("optimizer.norm.shift.0"),
        velocity("optimizer.norm.scale.0"),
    ];
    assert_eq!(states(|name| name.ends_with(".0")), Some(Value::List(both)));
    let (class, config) = class_and_config(&norm, &[4], &mut Names::default())?;
    // graft's momentum is the share of the new: 0.9 of the old is neon's default, as is 1e-3.
    assert_eq!((class, config), ("BatchNorm", vec![]));
    Ok(())
}

#[test]
fn the_mode_follows_from_poolings_and_dropout() -> Result<()> {
    let mode = |network: NetworkSpec| {
        let root = describe(&model(network), |_| false)?;
        let mode = root
            .get("backend")
            .and_then(|backend| backend.get("compat_mode"));
        Ok(mode
            .and_then(Value::as_text)
            .unwrap_or_default()
            .to_string())
    };
    assert_eq!(
        mode(odd(false, DropoutScaling::Inference)),
        Ok("neon".into())
    );
    assert_eq!(
        mode(odd(true, DropoutScaling::Training)),
        Ok("caffe".into())
    );
    // Its images of 32 are halved five times: here neon's two modes pool alike.
    let dropout = vgg_of_neons()?
        .layers
        .into_iter()
        .find_map(|layer| match layer.operation {
            Operation::Dropout { scaling, .. } => Some(scaling),
            _ => None,
        });
    let expected = match dropout {
        Some(DropoutScaling::Training) => "caffe",
        _ => "neon",
    };
    assert_eq!(mode(vgg_of_neons()?), Ok(expected.into()));
    let refused: Result<String> = mode(odd(false, DropoutScaling::Training));
    let message = refused.err().map(|e| e.to_string()).unwrap_or_default();
    let expected = "layer `drop`: neon does this in its mode `caffe`, but what `pool` does in its \
                    mode `neon`\n  help: ";
    assert!(message.starts_with(expected), "{message}");
    Ok(())
}

#[test]
fn settings_that_are_not_neons_defaults_are_written() -> Result<()> {
    let root = describe(&model(odd(true, DropoutScaling::Training)), |_| false)?;
    let found = layers(&root);
    let (pool, drop) = (&found[0].1, &found[1].1);
    assert_eq!(pool.get("op"), Some(&Value::text("avg")));
    assert_eq!(pool.get("name"), Some(&Value::text("Pooling_0")));
    assert_eq!(pool.get("padding"), None);
    assert_eq!(drop.get("keep"), Some(&Value::Float(0.7)));
    Ok(())
}

#[test]
fn several_rates_make_a_multi_optimizer() -> Result<()> {
    let one = |rate| Instance {
        class: "GradientDescentMomentum".into(),
        config: [("learning_rate".to_string(), Value::Float(rate))].into(),
    };
    let mut model = model(odd(true, DropoutScaling::Training));
    let class = |model: &Description| -> Result<String> {
        let root = describe(model, |_| false)?;
        let class = root.get("optimizer").and_then(|o| o.get("type"));
        Ok(class
            .and_then(Value::as_text)
            .unwrap_or_default()
            .to_string())
    };
    assert_eq!(class(&model)?, "");
    model.optimizers.insert("default".into(), one(0.1));
    assert_eq!(
        class(&model)?,
        "neon.optimizers.optimizer.GradientDescentMomentum"
    );
    model.optimizers.insert("conv1_1".into(), one(0.01));
    assert_eq!(class(&model)?, "neon.optimizers.optimizer.MultiOptimizer");
    Ok(())
}

#[test]
fn activations_are_neons_transforms_without_their_defaults() -> Result<()> {
    let layer = |name: &str, operation| LayerSpec {
        name: name.into(),
        operation,
        output: vec![1, 5, 5],
        parameters: vec![],
        inputs: Vec::new(),
        names: Vec::new(),
        renamed: false,
    };
    let network = NetworkSpec {
        layers: vec![
            layer("a", Operation::LeakyRelu { slope: 0.1 }),
            layer("b", Operation::Elu { alpha: 1.0 }),
            layer("c", Operation::Elu { alpha: 0.5 }),
            layer("d", Operation::Tanh),
            layer("e", Operation::Sigmoid),
        ],
        input: [1, 5, 5],
        ..vgg_of_neons()?
    };
    let root = describe(&model(network), |_| false)?;
    let transform = |name: &str, number: usize, setting: Option<(&'static str, f64)>| {
        let mut config = vec![("name", Value::Text(format!("{name}_{number}")))];
        config.extend(setting.map(|(key, value)| (key, Value::Float(value))));
        object(&format!("neon.transforms.activation.{name}"), config)
    };
    let expected = [
        transform("Rectlin", 0, Some(("slope", 0.1))),
        transform("Explin", 0, None),
        transform("Explin", 1, Some(("alpha", 0.5))),
        transform("Tanh", 0, None),
        transform("Logistic", 0, None),
    ];
    let described = layers(&root);
    assert_eq!(described.len(), expected.len());
    for (index, ((class, config), expected)) in described.iter().zip(expected).enumerate() {
        assert_eq!(class, "neon.layers.layer.Activation");
        assert_eq!(config["name"], Value::Text(format!("Activation_{index}")));
        assert_eq!(config["transform"], expected);
    }
    Ok(())
}

#[test]
fn sizes_of_a_file_that_was_tampered_with_are_refused_by_layer() -> Result<()> {
    let refusal = |network: NetworkSpec| {
        let error = describe(&model(network), |_| false).err();
        error.map(|error| error.to_string()).unwrap_or_default()
    };
    let mut padded = odd(false, DropoutScaling::Inference);
    padded.layers[0].operation = Operation::MaxPooling {
        kernel: 2,
        stride: 2,
        padding: usize::MAX,
        ceil: false,
    };
    assert_eq!(
        refusal(padded),
        format!("layer `pool`: a padding of {} is too large", usize::MAX)
    );
    for shape in [[usize::MAX, 2, 3, 3], [2, usize::MAX, 3, 3]] {
        let mut vast = vgg_of_neons()?;
        vast.layers[0].parameters[0].shape = shape.to_vec();
        let message = refusal(vast);
        let expected = "layer `conv1_1`: its shape (";
        assert!(message.starts_with(expected), "{message}");
        assert!(message.ends_with("is no shape of a tensor"), "{message}");
    }
    Ok(())
}
