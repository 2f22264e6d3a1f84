//! Files written and read, in every precision; damaged files.

use std::sync::LazyLock;

use super::*;

/// The file in `bytes`.
fn decode(bytes: &[u8]) -> Result<Stock> {
    super::decode(&Pieces::of(bytes.to_vec()))
}

const WEIGHT: [f32; 4] = [1.0, -2.5, f32::MIN_POSITIVE, 4.0];
static BIAS: Numbers = Numbers::F32(Vec::new());
static NUMBERS: LazyLock<[Numbers; 2]> =
    LazyLock::new(|| [WEIGHT.to_vec().into(), vec![7.0].into()]);

fn entries() -> [Entry<'static>; 4] {
    let entry = |name, shape, data| Entry { name, shape, data };
    let [weight, bias] = &*NUMBERS;
    [
        entry("z.weight", &[2, 2], EntryData::Numbers(weight)),
        entry("optimizer", &[3], EntryData::Bytes(&[1, 2, 255])),
        entry("a.bias", &[1], EntryData::Numbers(bias)),
        entry("z.bias", &[0], EntryData::Numbers(&BIAS)),
    ]
}

fn metadata() -> BTreeMap<String, String> {
    let pairs = [
        ("epochs", "10"),
        ("architecture", "vgg16"),
        ("Ünïcode \"", "\n"),
    ];
    pairs.map(|(k, v)| (k.to_string(), v.to_string())).into()
}

#[test]
fn what_is_written_is_read() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.safetensors");
    write(&path, entries(), &metadata())?;
    let stock = load(&path)?;
    assert_eq!(stock.metadata, metadata());
    let mut found: Vec<_> = stock.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(found[0], "z.weight");
    found.sort_unstable();
    assert_eq!(found, ["a.bias", "optimizer", "z.bias", "z.weight"]);
    assert_eq!(
        stock.tensors[0].data,
        StoredData::Numbers(WEIGHT.to_vec().into())
    );
    let state = stock.tensors.iter().find(|t| t.name == "optimizer");
    let bytes = StoredData::Bytes(vec![1, 2, 255]);
    assert_eq!(state.map(|t| &t.data), Some(&bytes));
    let model = crate::source::read(&path)?;
    let layers = model
        .layers
        .iter()
        .map(|l| (l.name.as_str(), l.tensors.len()));
    assert_eq!(layers.collect::<Vec<_>>(), [("z", 2), ("a", 1)]);
    Ok(())
}

#[test]
fn the_same_tensors_give_the_same_bytes_over_an_older_file() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let paths = ["one", "two"].map(|name| directory.path().join(name));
    std::fs::write(&paths[0], "an older file")?;
    for path in &paths {
        write(path, entries(), &metadata())?;
    }
    assert_eq!(std::fs::read(&paths[0])?, std::fs::read(&paths[1])?);
    // And no temporary file is left.
    assert_eq!(std::fs::read_dir(directory.path())?.count(), 2);
    Ok(())
}

#[test]
fn a_failed_write_leaves_the_older_file() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.safetensors");
    std::fs::write(&path, "an older file")?;
    let [weight, ..] = entries();
    let twice = write(&path, [weight, weight], &metadata());
    assert!(twice.is_err_and(|e| e.to_string().contains("z.weight: is written twice")));
    let shape = Entry {
        shape: &[5],
        ..weight
    };
    assert!(write(&path, [shape], &metadata()).is_err());
    assert_eq!(std::fs::read(&path)?, b"an older file");
    assert_eq!(std::fs::read_dir(directory.path())?.count(), 1);
    Ok(())
}

/// A file with this header and `count` bytes of data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), data].concat()
}

#[test]
fn every_float_type_keeps_its_precision() -> Result<()> {
    let header = r#"{"l.h":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},
        "l.b":{"dtype":"BF16","shape":[1],"data_offsets":[2,4]},
        "l.d":{"dtype":"F64","shape":[1],"data_offsets":[4,12]}}"#;
    let mut data = vec![0x00, 0xc0, 0x00, 0xc0];
    data.extend((-2.0f64).to_le_bytes());
    let dtypes = [
        numbers::Dtype::F16,
        numbers::Dtype::Bf16,
        numbers::Dtype::F64,
    ];
    let stock = decode(&file(header, &data))?;
    for (stored, dtype) in stock.tensors.iter().zip(dtypes) {
        let expected = Numbers::new(dtype, [-2.0]);
        assert_eq!(
            stored.data,
            StoredData::Numbers(expected),
            "{}",
            stored.name
        );
    }
    Ok(())
}

#[test]
fn every_precision_is_written_and_read() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.safetensors");
    use numbers::Dtype::{Bf16, F16, F32, F64};
    let written = [F16, F32, Bf16, F64].map(|dtype| Numbers::new(dtype, [1.0 / 3.0]));
    let names = ["l.f16", "l.f32", "l.bf16", "l.f64"];
    let entries = names.iter().zip(&written).map(|(name, numbers)| Entry {
        name,
        shape: &[1],
        data: EntryData::Numbers(numbers),
    });
    write(&path, entries, &metadata())?;
    let stock = load(&path)?;
    for (name, numbers) in names.iter().zip(written) {
        let stored = stock.tensors.iter().find(|stored| stored.name == *name);
        let data = stored.map(|stored| &stored.data);
        assert_eq!(data, Some(&StoredData::Numbers(numbers)), "{name}");
    }
    Ok(())
}

#[test]
fn a_damaged_file_is_an_error() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.safetensors");
    write(&path, entries(), &metadata())?;
    let bytes = std::fs::read(&path)?;
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
    }
    let tensor = |dtype, end: u64| {
        format!(r#"{{"l.w":{{"dtype":"{dtype}","shape":[{end}],"data_offsets":[0,{end}]}}}}"#)
    };
    for header in [tensor("BOOL", 4), tensor("F32", 4), tensor("U8", u64::MAX)] {
        assert!(decode(&file(&header, &[0; 4])).is_err(), "{header}");
    }
    Ok(())
}

#[test]
fn names_of_pytorch_are_read_and_counters_left_out() -> Result<()> {
    let tensor = |name, dtype, start: usize, end: usize, shape| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let header = [
        tensor("norm.num_batches_tracked", "I64", 0, 8, "[]"),
        tensor("norm.running_mean", "F32", 8, 12, "[1]"),
        tensor("norm.running_var", "F32", 12, 16, "[1]"),
        tensor("cls_token", "F32", 16, 20, "[1,1]"),
        tensor("weight", "F32", 20, 24, "[1]"),
        tensor("logit_scale", "F32", 24, 28, "[]"),
    ];
    let header = format!("{{{}}}", header.join(","));
    let data: Vec<u8> = [7u8; 8].into_iter().chain([0; 20]).collect();
    let contents = read_layers(&Pieces::of(file(&header, &data)))?;
    let found: Vec<_> = contents
        .layers
        .iter()
        .flat_map(|layer| layer.tensors.iter().map(move |t| (layer.name.as_str(), t)))
        .map(|(layer, t)| (layer, t.name.as_str(), t.path.as_deref()))
        .collect();
    let expected = [
        ("norm", "running_mean", None),
        ("norm", "running_var", None),
        ("cls_token", "cls_token", Some("cls_token")),
        ("(root)", "weight", Some("weight")),
        ("logit_scale", "logit_scale", Some("logit_scale")),
    ];
    assert_eq!(found, expected);
    assert_eq!(contents.layers[0].kind.as_deref(), Some("BatchNorm"));
    Ok(())
}
