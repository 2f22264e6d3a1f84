//! Files of neon's there and back again; what cannot be converted, and what is then said.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::numbers::Numbers;
use crate::source::pickle::tests::{assert_decodes, opcodes_and_globals};
use crate::source::tests::{NEON_FILES, fixture};
use crate::source::{self, SourceLayer};

/// A file of a trained model, with the velocities of its optimizer.
const TRAINED: &str = "neon/target_final_finetune_lr0.1.p";

struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Result<Self> {
        Ok(Self {
            dir: tempfile::tempdir()?,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Converts a file, given by its path, to one of this directory.
    fn convert(&self, from: &Path, to: &str, options: &Options) -> Result<PathBuf> {
        let path = self.path(to);
        convert(from, &path, options).map(|_| path)
    }

    fn refusal(&self, from: &Path, to: &str, options: &Options) -> String {
        let error = self.convert(from, to, options).err();
        assert!(!self.path(to).exists(), "half a file");
        error.map(|error| error.to_string()).unwrap_or_default()
    }
}

fn to(target: Target) -> Options<'static> {
    Options {
        to: Some(target),
        ..Options::default()
    }
}

fn layers(path: &Path) -> Result<Vec<SourceLayer>> {
    source::read(path).map(|model| model.layers)
}

/// Names, shapes and values, in the order of the names.
fn tensors(path: &Path) -> Result<Vec<Tensor>> {
    let mut tensors = Document::read(path)?.tensors;
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

#[test]
fn every_file_of_neons_comes_back_from_safetensors_bit_for_bit() -> Result<()> {
    let bench = Bench::new()?;
    let files = NEON_FILES.map(|(file, _)| file).into_iter();
    for file in files.chain([TRAINED, "neon/target_init.p"]) {
        let original = fixture(file);
        let ours = bench.convert(&original, "model.safetensors", &Options::default())?;
        let again = bench.convert(&ours, "again.safetensors", &Options::default())?;
        assert_eq!(std::fs::read(&ours)?, std::fs::read(again)?, "{file}");
        let back = bench.convert(&ours, "model.prm", &Options::default())?;
        // Names, classes, filters, tensors of all layers.
        assert!(layers(&back)? == layers(&original)?, "{file}");
        // And optimizer states, cost, optimizer, shapes, everything but the generator's state.
        let (original, back) = (Document::read(&original)?, Document::read(&back)?);
        assert!(original.described == back.described, "{file}");
        assert!(original.tensors == back.tensors, "{file}");
        assert_eq!(back.left_out, Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn tensors_in_safetensors_have_grafts_names_and_layouts() -> Result<()> {
    let bench = Bench::new()?;
    let path = bench.convert(&fixture(TRAINED), "model.safetensors", &Options::default())?;
    let tensors = tensors(&path)?;
    let shape = |name: &str| {
        tensors
            .iter()
            .find(|t| t.name == name)
            .map(|t| t.shape.clone())
    };
    assert_eq!(tensors.len(), 64);
    assert_eq!(shape("conv2_1.weight"), Some(vec![8, 4, 3, 3]));
    assert_eq!(shape("conv2_1_bias.bias"), Some(vec![8]));
    assert_eq!(shape("fc6_new.weight"), Some(vec![32, 16]));
    assert_eq!(shape("optimizer.conv2_1.weight.0"), Some(vec![8, 4, 3, 3]));
    // Only the model's own tensors are imported.
    let model = source::read(&path)?;
    assert_eq!(model.layers.len(), 32);
    assert_eq!(model.metadata["layers described by"], "neon");
    Ok(())
}

#[test]
fn pickles_of_ours_use_only_opcodes_and_globals_of_neons()
-> std::result::Result<(), Box<dyn std::error::Error>> {
    let bench = Bench::new()?;
    let (mut opcodes, mut globals) = (BTreeSet::new(), BTreeSet::new());
    // Those that neon wrote under Python 2.
    for file in [
        "neon/source_vgg_tiny.p",
        "neon/source_old_format.p",
        TRAINED,
    ] {
        let (more_opcodes, more_globals) = opcodes_and_globals(&std::fs::read(fixture(file))?)?;
        opcodes.extend(more_opcodes);
        globals.extend(more_globals);
    }
    for (file, _) in NEON_FILES.into_iter().chain([(TRAINED, Format::Neon)]) {
        let path = bench.convert(&fixture(file), "model.p", &Options::default())?;
        let bytes = std::fs::read(path)?;
        let (our_opcodes, our_globals) = opcodes_and_globals(&bytes)?;
        let foreign: Vec<_> = our_opcodes.difference(&opcodes).collect();
        assert!(foreign.is_empty(), "{file}: {foreign:x?}");
        assert!(our_globals.is_subset(&globals), "{file}: {our_globals:?}");
        assert_eq!(our_globals.len(), 3);
        assert_decodes(&bytes)?;
    }
    Ok(())
}

#[test]
fn a_bias_leaves_its_convolution_and_comes_back() -> Result<()> {
    let bench = Bench::new()?;
    let fused = fixture("neon/source_vgg_tiny_fused.p");
    let apart = bench.convert(&fused, "apart.p", &to(Target::Neon))?;
    let reference = fixture("neon/source_vgg_tiny.p");
    assert!(tensors(&apart)? == tensors(&reference)?);
    assert_eq!(source::read(&apart)?.format, Format::Neon);
    let classes = |path: &Path| -> Result<Vec<_>> {
        Ok(layers(path)?.into_iter().map(|layer| layer.kind).collect())
    };
    assert_eq!(classes(&apart)?, classes(&reference)?);
    let back = bench.convert(&apart, "back.p", &to(Target::NeonFused))?;
    assert!(layers(&back)? == layers(&fused)?);
    assert!(Document::read(&back)?.tensors.len() == 32);

    // With velocities: a list of them for each of the two parameters.
    let states = bench.convert(&fixture(TRAINED), "states.p", &to(Target::NeonFused))?;
    let renamed = tensors(&states)?;
    let has = |name: &str| renamed.iter().any(|tensor| tensor.name == name);
    assert!(has("optimizer.conv1_1.bias.0") && !has("optimizer.conv1_1_bias.bias.0"));
    let back = bench.convert(&states, "again.p", &to(Target::Neon))?;
    assert!(tensors(&back)? == tensors(&fixture(TRAINED))?);
    Ok(())
}

#[test]
fn the_obsolete_layout_is_written_and_described_again() -> Result<()> {
    let bench = Bench::new()?;
    let described = fixture("neon/source_vgg_tiny.p");
    let old = bench.convert(&described, "old.p", &to(Target::NeonObsolete))?;
    assert_eq!(source::read(&old)?.format, Format::NeonObsolete);
    let reference = layers(&fixture("neon/source_old_format.p"))?;
    assert!(layers(&old)? == reference);
    let refusal = bench.refusal(&old, "new.p", &to(Target::Neon));
    assert!(refusal.contains("does not describe the layers") && refusal.contains("--like"));
    let like = Options {
        like: Some(&described),
        ..Options::default()
    };
    for name in ["new.p", "new.safetensors"] {
        let new = bench.convert(&old, name, &like)?;
        assert!(tensors(&new)? == tensors(&described)?, "{name}");
    }
    let other = Options {
        like: Some(&fixture(TRAINED)),
        ..Options::default()
    };
    let refusal = bench.refusal(&old, "other.p", &other);
    assert!(
        refusal.contains("has no tensor `fc6_new.weight`"),
        "{refusal}"
    );
    Ok(())
}

#[test]
fn what_is_left_out_is_said() -> Result<()> {
    let bench = Bench::new()?;
    let path = bench.path("model.safetensors");
    let options = Options {
        drop_states: true,
        ..Options::default()
    };
    let converted = convert(&fixture(TRAINED), &path, &options)?;
    let expected = [
        "`backend.rng_state` holds an array that belongs to no layer",
        "32 optimizer states, as asked",
    ];
    assert_eq!(converted.left_out, expected);
    assert_eq!((converted.tensors, converted.states), (32, 0));
    assert_eq!(converted.parameters, 22_534);
    let back = bench.convert(&path, "model.p", &Options::default())?;
    assert_eq!(Document::read(&back)?.tensors.len(), 32);
    Ok(())
}

#[test]
fn precisions_that_neon_lacks_are_refused_by_layer_and_others_kept() -> Result<()> {
    let bench = Bench::new()?;
    let of = |dtype| Options {
        dtype: Some(dtype),
        ..Options::default()
    };
    let original = fixture("neon/source_vgg_tiny.p");
    let wide = bench.convert(&original, "wide.prm", &of(Dtype::F64))?;
    let values = |path: &Path| -> Result<Vec<Numbers>> {
        Ok(tensors(path)?
            .into_iter()
            .map(|tensor| tensor.values)
            .collect())
    };
    assert!(
        values(&wide)?
            .iter()
            .all(|numbers| numbers.dtype() == Dtype::F64)
    );
    let narrow = bench.convert(&wide, "narrow.safetensors", &of(Dtype::F32))?;
    assert!(values(&narrow)? == values(&original)?);
    let half = bench.convert(&original, "half.safetensors", &of(Dtype::F16))?;
    let refusal = bench.refusal(&half, "half.prm", &Options::default());
    let expected = "half.prm: conv1_1.weight: its values have 16 bits; neon knows f32 and f64\n  \
                    help: `graft convert --dtype f32` makes f32 of them, which loses nothing";
    assert!(refusal.ends_with(expected), "{refusal}");
    assert!(bench.convert(&half, "half.prm", &of(Dtype::F32)).is_ok());
    Ok(())
}

#[test]
fn a_file_that_is_no_model_is_refused() -> Result<()> {
    let bench = Bench::new()?;
    std::fs::write(bench.path("table.csv"), "a,b\n")?;
    let refusal = bench.refusal(&bench.path("table.csv"), "new.p", &Options::default());
    assert!(
        refusal.contains("table.csv: is of an unknown format, not a source model"),
        "{refusal}"
    );
    let refusal = bench.refusal(&fixture(TRAINED), "model.onnx", &Options::default());
    assert!(
        refusal.contains("model.onnx: the ending says no format"),
        "{refusal}"
    );
    Ok(())
}

#[test]
fn a_layer_called_optimizer_goes_to_neon_and_back() -> Result<()> {
    let bench = Bench::new()?;
    let mut document = Document::read(&fixture(TRAINED))?;
    for tensor in &mut document.tensors {
        tensor.name = tensor.name.replace("conv1_1.", "optimizer.");
    }
    let Some(Described::Neon(description)) = &document.described else {
        return Err(Error::new("no description"));
    };
    let json = serde_json::to_string(description).map_err(|e| Error::new(e.to_string()))?;
    let renamed = json
        .replace("\"conv1_1\"", "\"optimizer\"")
        .replace("conv1_1.", "optimizer.");
    let renamed = serde_json::from_str(&renamed).map_err(|e| Error::new(e.to_string()))?;
    document.described = Some(Described::Neon(renamed));
    let ours = bench.path("model.safetensors");
    document.write_safetensors(&ours)?;

    let neons = bench.convert(&ours, "model.prm", &Options::default())?;
    let back = bench.convert(&neons, "back.safetensors", &Options::default())?;
    assert!(tensors(&back)? == tensors(&ours)?);
    for path in [&ours, &neons, &back] {
        let has = |layer: &SourceLayer| layer.name == "optimizer" && layer.tensors.len() == 1;
        assert!(layers(path)?.iter().any(has), "{}", path.display());
    }
    let options = Options {
        drop_states: true,
        ..Options::default()
    };
    let converted = convert(&neons, &bench.path("without.prm"), &options)?;
    assert_eq!((converted.tensors, converted.states), (32, 0));
    Ok(())
}

#[test]
fn a_state_of_no_layer_is_refused_rather_than_lost() -> Result<()> {
    let bench = Bench::new()?;
    let mut document = Document::read(&fixture(TRAINED))?;
    document
        .tensors
        .retain(|tensor| tensor.name != "conv1_1.weight");
    let path = bench.path("model.safetensors");
    document.write_safetensors(&path)?;
    let expected = "model.safetensors: optimizer.conv1_1.weight.0: is named as what an optimizer \
                    remembers of a layer `conv1_1`, which is not there";
    let refusal = bench.refusal(&path, "model.prm", &Options::default());
    assert!(refusal.contains(expected), "{refusal}");
    let refusal = layers(&path).err().map(|error| error.to_string());
    assert!(refusal.is_some_and(|refusal| refusal.contains(expected)));
    Ok(())
}

#[test]
fn a_value_that_a_precision_would_make_infinite_is_refused_by_tensor() -> Result<()> {
    let bench = Bench::new()?;
    let mut document = Document::read(&fixture("neon/source_vgg_tiny.p"))?;
    let tensor = document
        .tensors
        .iter_mut()
        .find(|t| t.name == "conv1_1_bias.bias");
    let tensor = tensor.ok_or_else(|| Error::new("no bias"))?;
    let mut values = tensor.values.to_f64();
    // What is infinite already stays so; the largest number of f16 is 65504.
    (values[0], values[1], values[2]) = (f64::INFINITY, -70_000.0, 65_504.0);
    tensor.values = Numbers::new(Dtype::F64, values.clone());
    let path = bench.path("model.safetensors");
    document.write_safetensors(&path)?;
    let of = |dtype| Options {
        dtype: Some(dtype),
        ..Options::default()
    };
    let refusal = bench.refusal(&path, "half.safetensors", &of(Dtype::F16));
    let expected = "model.safetensors: conv1_1_bias.bias: -7e4 is too large for f16: it would \
                    become infinite";
    assert!(refusal.contains(expected), "{refusal}");
    let wide = bench.convert(&path, "wide.safetensors", &of(Dtype::F32))?;
    let wide = tensors(&wide)?
        .into_iter()
        .find(|t| t.name == "conv1_1_bias.bias");
    assert_eq!(wide.map(|t| t.values.to_f64()), Some(values));
    Ok(())
}
