//! Models that other programs wrote: tests/make_foreign_models.py says what is in them.

use super::*;
use crate::files::FileStamp;
use crate::numbers::Dtype;

/// Tensor `index` of the network in the fixtures.
fn values(index: usize, count: usize) -> Vec<f64> {
    let value = |i| ((7 * i + 3 * index) % 31) as f64 / 8.0 - 15.0 / 8.0;
    (0..count).map(value).collect()
}

fn foreign(name: &str) -> PathBuf {
    fixture(&format!("foreign/{name}"))
}

/// Layer, tensor and shape, with the number of the tensor in the fixtures, which tells its values.
type Expected<'a> = (&'a str, &'a str, &'a [usize], usize);

fn assert_holds(model: &SourceModel, dtype: Dtype, expected: &[Expected]) {
    let place = model.path.display();
    let mut expected: Vec<_> = expected.to_vec();
    let mut found: Vec<_> = model
        .layers
        .iter()
        .flat_map(|layer| layer.tensors.iter().map(move |t| (layer.name.as_str(), t)))
        .collect();
    expected.sort_unstable();
    found.sort_unstable_by_key(|(layer, t)| (*layer, t.name.as_str()));
    let names: Vec<_> = found
        .iter()
        .map(|(l, t)| (*l, t.name.as_str(), t.shape.as_slice()))
        .collect();
    let wanted: Vec<_> = expected.iter().map(|e| (e.0, e.1, e.2)).collect();
    assert_eq!(names, wanted, "{place}");
    for ((layer, tensor), (.., index)) in found.iter().zip(expected) {
        assert_eq!(
            tensor.values.dtype(),
            dtype,
            "{place}: {layer}.{}",
            tensor.name
        );
        let values = values(index, tensor.count());
        assert_eq!(
            tensor.values.to_f64(),
            values,
            "{place}: {layer}.{}",
            tensor.name
        );
    }
}

const NETWORK: [Expected; 8] = [
    ("features.0", "weight", &[4, 3, 3, 3], 0),
    ("features.0", "bias", &[4], 1),
    ("features.1", "weight", &[4], 2),
    ("features.1", "bias", &[4], 3),
    ("features.1", "running_mean", &[4], 4),
    ("features.1", "running_var", &[4], 5),
    ("classifier", "weight", &[2, 16], 6),
    ("classifier", "bias", &[2], 7),
];

/// The same network in every format that has PyTorch's names.
const PYTORCHS: [(&str, Format, Dtype); 10] = [
    ("flat.pt", Format::PyTorch, Dtype::F32),
    ("big_endian.pt", Format::PyTorch, Dtype::F32),
    ("only_one.pt", Format::PyTorch, Dtype::F32),
    ("module.pt", Format::PyTorch, Dtype::F32),
    ("float64.pt", Format::PyTorch, Dtype::F64),
    ("float16.pt", Format::PyTorch, Dtype::F16),
    ("bfloat16.pt", Format::PyTorch, Dtype::Bf16),
    ("flat_legacy.bin", Format::PyTorchLegacy, Dtype::F32),
    ("pytorch.safetensors", Format::Safetensors, Dtype::F32),
    ("telling.onnx", Format::Onnx, Dtype::F32),
];

#[test]
fn one_network_is_the_same_in_every_format_that_knows_its_names() -> Result<()> {
    for (file, format, dtype) in PYTORCHS {
        let model = read(&foreign(file))?;
        assert_eq!(model.format, format, "{file}");
        assert_holds(&model, dtype, &NETWORK);
        let names: Vec<_> = model
            .layers
            .iter()
            .map(|l| (l.name.as_str(), l.kind.as_deref()))
            .collect();
        let expected = [
            ("features.0", None),
            ("features.1", Some("BatchNorm")),
            ("classifier", None),
        ];
        assert_eq!(names, expected, "{file}");
        let mut tensors = model.layers.iter().flat_map(|layer| &layer.tensors);
        assert!(tensors.all(|tensor| tensor.path.is_none()), "{file}");
        assert_eq!(
            model.sha256,
            FileStamp::of(&foreign(file))?.sha256,
            "{file}"
        );
    }
    Ok(())
}

#[test]
fn the_weights_of_a_checkpoint_are_told_from_its_optimizer_and_the_rest_is_facts() -> Result<()> {
    let prefixed = NETWORK
        .map(|(layer, tensor, shape, index)| (format!("module.{layer}"), tensor, shape, index));
    let expected: Vec<Expected> = prefixed
        .iter()
        .map(|(l, t, s, i)| (l.as_str(), *t, *s, *i))
        .collect();
    for (file, format) in [
        ("nested.pth", Format::PyTorch),
        ("nested_legacy.th", Format::PyTorchLegacy),
    ] {
        let model = read(&foreign(file))?;
        assert_eq!(model.format, format);
        assert_holds(&model, Dtype::F32, &expected);
        let facts: Vec<_> = model
            .metadata
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        let expected = [
            ("best_loss", "0.25"),
            ("epoch", "12"),
            ("meta.CLASSES", "cat, dog"),
            ("meta.seed", "0"),
            ("weights under", "state_dict"),
        ];
        assert_eq!(facts, expected, "{file}");
    }
    let model = read(&foreign("only_one.pt"))?;
    assert_eq!(model.metadata["weights under"], "generator");
    Ok(())
}

#[test]
fn views_of_shared_storages_are_the_tensors_that_pytorch_saw() -> Result<()> {
    let base = |rows: &mut dyn Iterator<Item = usize>| -> Vec<f64> {
        let base = values(0, 48);
        rows.map(|place| base[place]).collect()
    };
    let transposed = base(&mut (0..8).flat_map(|c| (0..6).map(move |r| 8 * r + c)));
    let part = base(&mut (1..5).flat_map(|r| [2, 4, 6].map(|c| 8 * r + c)));
    let expected: [(&str, &[usize], Vec<f64>); 9] = [
        ("transposed", &[8, 6], transposed),
        ("part", &[4, 3], part),
        ("column", &[6], base(&mut (0..6).map(|r| 8 * r + 3))),
        (
            "repeated",
            &[2, 3],
            base(&mut [16, 17, 18, 16, 17, 18].into_iter()),
        ),
        ("whole", &[6, 8], values(0, 48)),
        ("parameter", &[8], values(0, 8)),
        ("integers", &[5], vec![0.0, 1.0, 2.0, 3.0, 4.0]),
        ("flags", &[2], vec![1.0, 0.0]),
        ("empty", &[0, 3], vec![]),
    ];
    for file in ["views.pt", "views_legacy.pt"] {
        let model = read(&foreign(file))?;
        assert_eq!(model.layers.len(), 1);
        let tensors = model.layers[0].tensors.iter();
        let found: Vec<_> = tensors
            .map(|t| (t.name.as_str(), t.shape.as_slice(), t.values.to_f64()))
            .collect();
        assert_eq!(found, expected, "{file}");
    }
    Ok(())
}

#[test]
fn arrays_of_an_npz_are_layers_by_their_names() -> Result<()> {
    for file in ["stored.npz", "deflated.npz"] {
        let mut model = read(&foreign(file))?;
        assert_eq!(model.format, Format::Npz);
        let fc = model
            .layers
            .pop()
            .map(|layer| layer.tensors)
            .unwrap_or_default();
        assert_holds(
            &model,
            Dtype::F32,
            &[
                ("conv1", "kernel", &[3, 3, 3, 4], 0),
                ("conv1_bn", "gamma", &[4], 2),
                ("conv1_bn", "beta", &[4], 3),
                ("conv1_bn", "moving_mean", &[4], 4),
                ("conv1_bn", "moving_variance", &[4], 5),
            ],
        );
        assert_eq!(model.layers[1].kind.as_deref(), Some("BatchNorm"));
        let found: Vec<_> = fc
            .iter()
            .map(|t| (t.name.as_str(), t.values.dtype(), t.values.to_f64()))
            .collect();
        let expected = [
            // In Fortran order, big-endian, of half precision.
            ("kernel", Dtype::F32, values(6, 32)),
            ("bias", Dtype::F64, values(7, 2)),
            ("half", Dtype::F16, values(8, 3)),
        ];
        assert_eq!(found, expected, "{file}");
    }
    let versions = [1, 2, 3].map(|n| (format!("v{n}"), n));
    let expected: Vec<Expected> = versions
        .iter()
        .map(|(v, n)| (v.as_str(), "weight", &[5][..], *n))
        .collect();
    assert_holds(&read(&foreign("versions.npz"))?, Dtype::F32, &expected);
    Ok(())
}

#[test]
fn layers_of_every_keras_have_their_weights() -> Result<()> {
    let keras2: [Expected; 9] = [
        ("batch_normalization", "beta", &[4], 3),
        ("batch_normalization", "gamma", &[4], 2),
        ("batch_normalization", "moving_mean", &[4], 4),
        ("batch_normalization", "moving_variance", &[4], 5),
        ("block/dense", "bias", &[2], 7),
        ("block/dense", "kernel", &[16, 2], 6),
        ("conv2d", "bias", &[4], 1),
        ("conv2d", "kernel", &[3, 3, 3, 4], 0),
        ("depthwise_conv2d", "depthwise_kernel", &[3, 3, 4, 1], 8),
    ];
    for file in ["keras2_whole.h5", "keras2_weights.h5"] {
        let model = read(&foreign(file))?;
        assert_eq!(model.format, Format::Keras);
        assert_holds(&model, Dtype::F32, &keras2);
        assert_eq!(model.metadata["keras_version"], "2.4.0");
        assert_eq!(model.metadata["backend"], "tensorflow");
        let norm = model
            .layers
            .iter()
            .find(|layer| layer.name == "batch_normalization");
        assert_eq!(
            norm.and_then(|layer| layer.kind.as_deref()),
            Some("BatchNorm")
        );
    }
    let keras1 = [
        ("block/dense", "kernel", &[16, 2][..], 6),
        ("block/dense", "bias", &[2], 7),
        ("bn", "beta", &[4], 3),
        ("bn", "gamma", &[4], 2),
        ("bn", "moving_mean", &[4], 4),
        ("bn", "moving_variance", &[4], 5),
        ("conv1", "bias", &[4], 1),
        ("conv1", "kernel", &[3, 3, 3, 4], 0),
    ];
    let model = read(&foreign("keras1.h5"))?;
    assert_holds(&model, Dtype::F32, &keras1);
    let paths = model.layers.iter().flat_map(|layer| &layer.tensors);
    let paths: Vec<_> = paths.filter_map(|tensor| tensor.path.as_deref()).collect();
    assert!(paths.contains(&"block/dense/block/dense_b"), "{paths:?}");
    Ok(())
}

#[test]
fn the_layout_of_keras_3_is_read_by_shapes() -> Result<()> {
    let mut model = read(&foreign("keras3.weights.h5"))?;
    let dense = model.layers.iter().position(|layer| layer.name == "dense");
    let dense = dense
        .map(|place| model.layers.remove(place).tensors)
        .unwrap_or_default();
    let keras3: [Expected; 7] = [
        ("batch_normalization", "beta", &[4], 3),
        ("batch_normalization", "gamma", &[4], 2),
        ("batch_normalization", "moving_mean", &[4], 4),
        ("batch_normalization", "moving_variance", &[4], 5),
        ("conv2d", "bias", &[4], 1),
        ("conv2d", "kernel", &[3, 3, 3, 4], 0),
        ("depthwise_conv2d", "depthwise_kernel", &[3, 3, 4, 1], 8),
    ];
    assert_holds(&model, Dtype::F32, &keras3);
    // Compressed doubles; halves, which become f32.
    let found: Vec<_> = dense
        .iter()
        .map(|t| (t.name.as_str(), t.values.dtype(), t.values.to_f64()))
        .collect();
    let expected = [
        ("kernel", Dtype::F64, values(6, 32)),
        ("bias", Dtype::F32, values(7, 2)),
    ];
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn tensors_of_onnx_are_what_the_nodes_make_of_them() -> Result<()> {
    let model = read(&foreign("typed.onnx"))?;
    let found: Vec<_> = model
        .layers
        .iter()
        .flat_map(|layer| layer.tensors.iter().map(move |t| (layer.name.as_str(), t)))
        .map(|(layer, t)| {
            let path = t.path.as_deref().unwrap_or_default();
            (
                layer,
                t.name.as_str(),
                path,
                (t.values.dtype(), t.values.to_f64()),
            )
        })
        .collect();
    use Dtype::{F16, F32, F64};
    let expected = [
        ("conv", "weight", "p0", (F32, values(0, 108))),
        ("conv", "bias", "p1", (F64, values(1, 4))),
        ("bn", "weight", "p2", (F16, values(2, 4))),
        ("bn", "running_mean", "p2_again", (F16, values(2, 4))),
        // Nodes without names are called after their outputs.
        ("m", "bias", "p7", (F32, values(7, 2))),
        ("m", "kernel", "p6", (F32, values(6, 32))),
    ];
    assert_eq!(found, expected);
    assert_eq!(model.metadata["producer"], "made by hand");
    assert_eq!(model.metadata["graph"], "typed");
    Ok(())
}

#[test]
fn a_foreign_model_converts_under_its_names() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("model.safetensors");
    convert::convert(
        &foreign("nested_legacy.th"),
        &out,
        &convert::Options::default(),
    )?;
    let (old, new) = (read(&foreign("nested_legacy.th"))?, read(&out)?);
    assert_eq!(old.layers, new.layers);
    let neon = directory.path().join("model.p");
    let error = convert::convert(&foreign("flat.pt"), &neon, &convert::Options::default()).err();
    let message = error.map(|error| error.to_string()).unwrap_or_default();
    assert!(
        message.contains("does not say what its layers are"),
        "{message}"
    );
    Ok(())
}
