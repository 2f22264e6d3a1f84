//! A model file that no training made: a network of branches with every operation, whatever can be
//! declared in experiments, and weights from a formula.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::common::Place;

/// Writes the network to `name`, for 2 channels of 9 x 8 pixels with a mean for each of them.
pub fn write(place: &Place, name: &str) {
    let layers = layers();
    let mut tensors = Vec::new();
    for layer in &layers {
        let owner = layer["name"].as_str().expect("a name");
        for parameter in layer["parameters"].as_array().expect("a list") {
            let role = parameter["role"].as_str().expect("a role");
            let shape: Vec<usize> = sizes(&parameter["shape"]);
            let bytes = values(role, owner.len(), shape.iter().product());
            tensors.push((format!("{owner}.{role}"), shape, bytes));
        }
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name.as_str(), view.expect("a tensor"))
    });
    let model = json!({
        "network": {"input": [2, 9, 8], "layers": layers, "initial_draws": "by_name"},
        "optimizers": {}, "cost": {"class": "CrossEntropyMulti", "config": {}},
        "epochs": 1, "seed": 1,
    });
    let mean: Vec<f64> = (0..2 * 9 * 8).map(|n| 100.0 + f64::from(n)).collect();
    let input = json!({"shape": [2, 9, 8], "mean": mean, "scale": 0.015625});
    let metadata = HashMap::from([
        ("graft.model".to_string(), model.to_string()),
        ("graft.input".to_string(), input.to_string()),
    ]);
    let bytes = safetensors::serialize(views, Some(metadata)).expect("a file");
    place.write(name, bytes);
}

/// Little-endian f32: moderate, of both signs but for a variance.
fn values(role: &str, salt: usize, count: usize) -> Vec<u8> {
    let value = |n: usize| {
        let value = ((n * 37 + salt * 11) % 101) as f32 / 101.0 - 0.5;
        match role {
            "variance" => value + 1.0,
            _ => value,
        }
    };
    (0..count).flat_map(|n| value(n).to_le_bytes()).collect()
}

fn sizes(list: &Value) -> Vec<usize> {
    serde_json::from_value(list.clone()).expect("sizes")
}

/// A layer as a model file has it; `tensors` are roles with shapes.
fn layer(
    name: &str,
    operation: Value,
    inputs: &[&str],
    output: &[usize],
    tensors: &[(&str, &[usize])],
) -> Value {
    let parameters = tensors.iter().map(|(role, shape)| {
        json!({"role": role, "shape": shape, "initializer": {"name": "constant", "value": 0.0}})
    });
    let parameters: Vec<_> = parameters.collect();
    let names = match name {
        "stem" | "stem_bias" => json!([{"convention": "torchvision", "name": "features.0"}]),
        _ => json!([]),
    };
    json!({
        "name": name, "operation": operation, "inputs": inputs, "output": output,
        "parameters": parameters, "names": names,
    })
}

fn layers() -> Vec<Value> {
    let norm: &[(&str, &[usize])] = &[
        ("scale", &[6]),
        ("shift", &[6]),
        ("mean", &[6]),
        ("variance", &[6]),
    ];
    let convolution = |stride: usize, padding: Value, groups: usize| json!({"convolution": {"stride": stride, "padding": padding, "groups": groups}});
    let pooling = |kind: &str, kernel: usize, stride: usize, ceil: bool| json!({kind: {"kernel": kernel, "stride": stride, "padding": 1, "ceil": ceil}});
    let dropout = json!({"dropout": {"rate": 0.25, "scaling": "inference"}});
    vec![
        // Uneven padding, as TensorFlow's at stride 2: 9 x 8 becomes 5 x 4.
        layer(
            "stem",
            convolution(2, json!([1, 1, 0, 1]), 1),
            &[],
            &[4, 5, 4],
            &[("weight", &[4, 2, 3, 3])],
        ),
        layer(
            "stem_bias",
            json!("bias"),
            &[],
            &[4, 5, 4],
            &[("bias", &[4])],
        ),
        layer("relu", json!("relu"), &[], &[4, 5, 4], &[]),
        // Four branches on one layer.
        layer(
            "depthwise",
            convolution(1, json!(1), 4),
            &["relu"],
            &[4, 5, 4],
            &[("weight", &[4, 1, 3, 3])],
        ),
        layer(
            "leaky",
            json!({"leaky_relu": {"slope": 0.1}}),
            &[],
            &[4, 5, 4],
            &[],
        ),
        layer(
            "add",
            json!("add"),
            &["relu", "leaky", "stem_bias"],
            &[4, 5, 4],
            &[],
        ),
        layer(
            "elu",
            json!({"elu": {"alpha": 0.7}}),
            &["add"],
            &[4, 5, 4],
            &[],
        ),
        layer(
            "narrow",
            convolution(1, json!(0), 2),
            &["add"],
            &[2, 5, 4],
            &[("weight", &[2, 2, 1, 1])],
        ),
        // Its output is read twice: the bias is no part of it.
        layer(
            "narrow_bias",
            json!("bias"),
            &["narrow"],
            &[2, 5, 4],
            &[("bias", &[2])],
        ),
        layer(
            "twice",
            json!("add"),
            &["narrow", "narrow_bias"],
            &[2, 5, 4],
            &[],
        ),
        layer(
            "joined",
            json!("concatenate"),
            &["twice", "elu"],
            &[6, 5, 4],
            &[],
        ),
        layer(
            "norm",
            json!({"batch_norm": {"epsilon": 0.001, "momentum": 0.1}}),
            &[],
            &[6, 5, 4],
            norm,
        ),
        // A window that would begin behind the image is none, in both directions.
        layer(
            "max",
            pooling("max_pooling", 2, 2, true),
            &[],
            &[6, 3, 3],
            &[],
        ),
        layer(
            "average",
            pooling("average_pooling", 3, 2, true),
            &[],
            &[6, 2, 2],
            &[],
        ),
        layer(
            "floor",
            pooling("average_pooling", 2, 1, false),
            &[],
            &[6, 3, 3],
            &[],
        ),
        layer("sigmoid", json!("sigmoid"), &[], &[6, 3, 3], &[]),
        layer(
            "flat",
            json!("linear"),
            &["sigmoid"],
            &[5],
            &[("weight", &[5, 54])],
        ),
        layer("flat_bias", json!("bias"), &[], &[5], &[("bias", &[5])]),
        layer(
            "means",
            json!("global_average_pooling"),
            &["floor"],
            &[6],
            &[],
        ),
        layer("drop", dropout, &[], &[6], &[]),
        layer(
            "both",
            json!("concatenate"),
            &["flat_bias", "drop"],
            &[11],
            &[],
        ),
        layer("tanh", json!("tanh"), &[], &[11], &[]),
        layer(
            "classifier",
            json!("linear"),
            &[],
            &[3],
            &[("weight", &[3, 11])],
        ),
        layer("softmax", json!("softmax"), &[], &[3], &[]),
    ]
}
