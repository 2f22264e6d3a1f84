//! Files that neon wrote, read and imported; files of other kinds, refused.

mod foreign;
mod hostile;

use super::import::import;
use super::receipt::Outcome;
use super::*;
use crate::config::experiment::Source as Contract;
use crate::config::experiment::{
    Architecture, BatchNorm, Body, Convention, DropoutScaling, InitialDraws, Initializer, Model,
    PoolingSize,
};
use crate::model::spec::Role;
use crate::numbers::Dtype;
use crate::random::Stream;

/// One small VGG-16, saved by neon in four ways.
pub(super) const NEON_FILES: [(&str, Format); 4] = [
    ("neon/source_vgg_tiny.p", Format::Neon),
    ("neon/source_vgg_tiny_py3.p", Format::Neon),
    ("neon/source_vgg_tiny_fused.p", Format::NeonFused),
    ("neon/source_old_format.p", Format::NeonObsolete),
];

/// One model in all protocols, pickled by Python 3 with numpy 2: arrays of several dtypes, in C and
/// Fortran order, some of them shared; values of every other kind beside the model.
const PROTOCOLS: [&str; 6] = [
    "pickles/protocol0.p",
    "pickles/protocol1.p",
    "pickles/protocol2.p",
    "pickles/protocol3.p",
    "pickles/protocol4.p",
    "pickles/protocol5.p",
];

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// The network of the fixtures, with this head and these classes.
pub(super) fn vgg(head: [&str; 2], classifier: &str, classes: usize) -> Result<NetworkSpec> {
    let model = Model {
        body: Body::Architecture {
            architecture: Architecture::Vgg16,
            widths: vec![4, 8, 16, 16, 16],
            width: 1.0,
            head: vec![32, 32],
            head_names: head.map(String::from).to_vec(),
            classifier: classifier.into(),
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
    };
    NetworkSpec::resolve(
        &model,
        [3, 32, 32],
        classes,
        Convention::Torchvision,
        &BatchNorm::default(),
    )
}

/// (layer, tensor) → (shape, values), with a fused bias under the name of a bias layer.
fn tensors(model: &SourceModel) -> BTreeMap<(String, String), (Vec<usize>, Numbers)> {
    let mut tensors = BTreeMap::new();
    for layer in &model.layers {
        for tensor in &layer.tensors {
            let name = match tensor.name.as_str() {
                "weight_bias" => (format!("{}_bias", layer.name), "W".to_string()),
                _ => (layer.name.clone(), tensor.name.clone()),
            };
            tensors.insert(name, (tensor.shape.clone(), tensor.values.clone()));
        }
    }
    tensors
}

#[test]
fn every_layout_of_neon_holds_the_same_model_bit_for_bit() -> Result<()> {
    let reference = tensors(&read(&fixture("neon/source_vgg_tiny.p"))?);
    assert_eq!(reference.len(), 32);
    for (file, format) in NEON_FILES {
        let model = read(&fixture(file))?;
        assert_eq!(model.format, format, "{file}");
        assert_eq!(model.parameter_count(), 22_600, "{file}");
        assert!(tensors(&model) == reference, "{file}");
    }
    Ok(())
}

#[test]
fn a_neon_file_tells_kinds_filters_and_metadata() -> Result<()> {
    let model = read(&fixture("neon/source_vgg_tiny.p"))?;
    let [conv, bias, relu, ..] = model.layers.as_slice() else {
        return Err(Error::new("fewer than three layers"));
    };
    assert_eq!(conv.kind.as_deref(), Some("Convolution"));
    assert_eq!(conv.filter, Some([3, 3]));
    assert_eq!(bias.kind.as_deref(), Some("Bias"));
    assert_eq!(
        (relu.name.as_str(), relu.tensors.len()),
        ("Activation_0", 0)
    );
    // Its numpy integers are written as scalars.
    assert_eq!(model.metadata["train_input_shape"], "3x32x32");
    assert_eq!(model.metadata["epoch_index"], "61");
    assert_eq!(model.metadata["neon_version"], "2.6.0+8c3fb8a");
    Ok(())
}

#[test]
fn every_layout_imports_to_the_tensors_that_numpy_makes_of_it() -> Result<()> {
    // With numpy: `W.reshape(4, 3, 3, 8).transpose(3, 0, 1, 2)` of conv2_1, W of fc6, and
    // `W.ravel()` of conv2_1_bias, each through `sha256(array.astype('<f4').tobytes())`.
    let expected = [
        (
            "conv2_1",
            "b86b88fb93bf39cbbf21326e9c5dd34b2525b2e9499d2db9b435b5ce2bb97427",
        ),
        (
            "fc6",
            "f37f09cae06531e067e7790813a8f7d2b33b4b88ff8a360644cc881f8885f1e5",
        ),
        (
            "conv2_1_bias",
            "ba59438a6cfa9d8d89f004801497280896ae3f63682d613b54ba1592c63d138f",
        ),
    ];
    let target = vgg(["fc6", "fc7"], "fc8", 4)?;
    for (file, _) in NEON_FILES {
        let (tensors, receipt) = import(read(&fixture(file))?, &target, &Contract::default())?;
        assert_eq!(tensors.len(), 32, "{file}");
        for (layer, expected) in expected {
            let entry = receipt.tensors.iter().find(|entry| entry.layer == layer);
            let Some(Outcome::Imported { sha256, .. }) = entry.map(|entry| &entry.outcome) else {
                return Err(Error::new(format!("{file}: {layer} is not imported")));
            };
            assert_eq!(sha256.as_deref(), Some(expected), "{file}: {layer}");
        }
        // The element [5, 2, 1, 0] of (8, 4, 3, 3), as numpy prints it.
        let weight = tensors
            .iter()
            .find(|t| t.layer == "conv2_1" && t.role == Role::Weight);
        let value = weight.map(|weight| weight.values.to_f64()[5 * 36 + 2 * 9 + 3]);
        assert_eq!(value, Some((-0.183_632_67f32).into()), "{file}");
    }
    Ok(())
}

#[test]
fn every_layout_fills_the_convolutions_and_biases_of_a_model_with_a_new_head() -> Result<()> {
    let target = vgg(["fc6_new", "fc7_new"], "cls_imdb_wiki_face", 2)?;
    let contract = Contract {
        require: vec!["conv*".to_string()],
        ..Contract::default()
    };
    for (file, _) in NEON_FILES {
        let source = read(&fixture(file))?;
        let sha256 = source.sha256.clone();
        let (tensors, receipt) = import(source, &target, &contract)?;
        assert_eq!(tensors.len(), 26, "{file}");
        assert_eq!(
            (receipt.totals.tensors, receipt.totals.of_tensors),
            (26, 32)
        );
        let imported = receipt.imported_layers();
        assert_eq!(imported.len(), 26);
        assert!(imported.iter().all(|layer| layer.starts_with("conv")));
        // fc6, fc7, fc8 and their biases.
        assert_eq!(receipt.unused.len(), 6, "{file}");
        assert_eq!(receipt.warnings(), Vec::<String>::new(), "{file}");
        assert_eq!(receipt.source.sha256, sha256);
    }
    Ok(())
}

#[test]
fn a_missing_file_says_what_to_do() {
    let error = read(Path::new("no/such/VGG_D.p"))
        .err()
        .map(|e| e.to_string());
    let message = error.unwrap_or_default();
    assert!(message.starts_with("no/such/VGG_D.p: there is no such source model\n  help: "));
}

#[test]
fn the_kind_of_a_file_follows_from_its_content() {
    assert_eq!(Kind::of(b"\x80\x02}q\x00("), Kind::Pickle);
    assert_eq!(Kind::of(b"(dp1\nS'model'\n"), Kind::Pickle);
    assert_eq!(Kind::of(b"\x80\x02\0\0\0\0\0\0{\"a\""), Kind::Safetensors);
    assert_eq!(Kind::of(b"\x89HDF\r\n"), Kind::Hdf5);
    assert_eq!(Kind::of(b"PK\x03\x04"), Kind::Zip);
    assert_eq!(Kind::of(b"\x08\x07\x12\x07pytorch"), Kind::Onnx);
    assert_eq!(Kind::of(&pytorch::MAGIC), Kind::PyTorchLegacy);
    for bytes in [&b""[..], b"\x1f\x8b\x08", b"<html>", b"abc"] {
        assert!(matches!(Kind::of(bytes), Kind::Other(_)), "{bytes:?}");
    }
}

/// Layer, tensor, shape, precision and values.
type Found<'a> = (&'a str, &'a str, &'a [usize], (Dtype, Vec<f64>));

#[test]
fn pickles_of_every_protocol_hold_the_same_arrays() -> Result<()> {
    use Dtype::{F16, F32, F64};
    for file in PROTOCOLS {
        let model = read(&fixture(file)).at(file)?;
        let found: Vec<_> = model
            .layers
            .iter()
            .flat_map(|layer| layer.tensors.iter().map(move |t| (layer.name.as_str(), t)))
            .map(|(layer, t)| {
                (
                    layer,
                    t.name.as_str(),
                    t.shape.as_slice(),
                    (t.values.dtype(), t.values.to_f64()),
                )
            })
            .collect();
        let weight = [-0.5, -0.375, -0.25, -0.125, 0.0, 0.125, 0.25, 0.375];
        let expected: [Found; 9] = [
            // Big-endian f8.
            ("conv", "W", &[4, 2], (F64, weight.to_vec())),
            // f2, which three layers share: the second and third are references to the first.
            ("conv_bias", "W", &[2, 1], (F16, vec![1.5, -0.25])),
            ("bn", "beta", &[2, 1], (F32, vec![3.0, -4.0])),
            ("bn", "gamma", &[2, 1], (F16, vec![1.5, -0.25])),
            ("bn", "gmean", &[2, 1], (F32, vec![0.001f32.into(), 2.0])),
            ("bn", "gvar", &[2, 1], (F32, vec![200.0, 1.0])),
            // Fortran order, in a container within the container.
            (
                "fc",
                "W",
                &[2, 3],
                (F32, vec![-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]),
            ),
            // The parameters are an OrderedDict.
            ("fc_bias", "W", &[2, 1], (F16, vec![1.5, -0.25])),
            ("empty", "W", &[0, 3], (F32, vec![])),
        ];
        assert_eq!(found, expected, "{file}");
        assert_eq!(model.layers[0].filter, Some([2, 2]));
        assert_eq!(model.metadata["epoch_index"], "7");
    }
    Ok(())
}

#[test]
fn a_truncated_pickle_is_an_error_wherever_it_ends() -> Result<()> {
    for file in PROTOCOLS {
        let bytes = fs::read(fixture(file))?;
        for length in (0..bytes.len()).step_by(3) {
            let pieces = Pieces::of(bytes[..length].to_vec());
            let (layers, whole) = (neon::read(&pieces), neon::document(&pieces));
            assert!(layers.is_err() && whole.is_err(), "{file}: {length} bytes");
        }
    }
    let bytes = fs::read(fixture("neon/source_vgg_tiny_fused.p"))?;
    for length in (0..bytes.len()).step_by(997) {
        let pieces = Pieces::of(bytes[..length].to_vec());
        assert!(neon::read(&pieces).is_err(), "{length} bytes");
    }
    Ok(())
}

#[test]
fn a_mutated_pickle_is_read_or_refused_and_never_a_panic() -> Result<()> {
    let mut stream = Stream::new(1, "mutations", &[]);
    for file in PROTOCOLS {
        let original = fs::read(fixture(file))?;
        let (mut read, mut refused) = (0, 0);
        for _ in 0..500 {
            let mut bytes = original.clone();
            for _ in 0..=stream.below(4) {
                let place = stream.below(bytes.len() as u64) as usize;
                match stream.below(4) {
                    0 => drop(bytes.remove(place)),
                    1 => bytes.insert(place, bytes[place]),
                    _ => bytes[place] = stream.below(256) as u8,
                }
            }
            let pieces = Pieces::of(bytes);
            drop(neon::document(&pieces));
            match neon::read(&pieces) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
        // Both happen often, or the test tests nothing.
        assert!(
            read > 20 && refused > 20,
            "{file}: {read} read, {refused} refused"
        );
    }
    Ok(())
}
