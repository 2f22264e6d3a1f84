use std::fs;

use sha2::{Digest, Sha256};

use super::*;
use crate::data::hdf5::{Attribute, Element, Rows, Writer};

fn neon(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/neon")
        .join(name)
}

/// A file in neon's layout, valid unless a test changes something: two samples of (1, 1, 2).
struct Builder<T> {
    input: Vec<T>,
    columns: usize,
    lshape: Vec<i64>,
    output: Vec<f32>,
    nclass: Option<Attribute>,
    names: Option<Attribute>,
    mean: Option<Vec<f32>>,
}

fn valid() -> Builder<f32> {
    Builder {
        input: vec![1.0, 2.0, 3.0, 4.0],
        columns: 2,
        lshape: vec![1, 1, 2],
        output: vec![0.0, 1.0],
        nclass: Some(Attribute::Integers(vec![2])),
        names: None,
        mean: None,
    }
}

impl<T: Element> Builder<T> {
    fn write(&self, path: &Path) {
        let file = Writer::create(path).unwrap();
        let rows = Rows::Known(self.input.len() / self.columns.max(1));
        let mut input = file.table("input", rows, self.columns).unwrap();
        if !self.input.is_empty() {
            input.append(&self.input).unwrap();
        }
        input
            .attribute("lshape", &Attribute::Integers(self.lshape.clone()))
            .unwrap();
        let mut output = file
            .table("output", Rows::Known(self.output.len()), 1)
            .unwrap();
        if !self.output.is_empty() {
            output.append(&self.output).unwrap();
        }
        for (name, value) in [("nclass", &self.nclass), ("class_names", &self.names)] {
            if let Some(value) = value {
                output.attribute(name, value).unwrap();
            }
        }
        if let Some(mean) = &self.mean {
            let mut table = file.table("mean", Rows::Known(mean.len()), 0).unwrap();
            table.append(mean).unwrap();
        }
        file.finish().unwrap();
    }

    fn open(&self) -> Result<Dataset> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.h5");
        self.write(&path);
        Dataset::open(&path)
    }

    fn problem(&self) -> String {
        let error = self.open().err().expect("should be refused").to_string();
        assert!(error.contains("data.h5: "), "{error}");
        error
    }
}

#[test]
fn files_of_the_real_neon_are_read() {
    let dataset = Dataset::open(neon("test.h5")).unwrap();
    assert_eq!(
        (dataset.len(), dataset.shape(), dataset.classes()),
        (24, [3, 32, 32], 2)
    );
    assert_eq!(dataset.mean_source(), MeanSource::StoredPerChannel);
    assert_eq!(dataset.type_name(), "uint8");
    assert!(dataset.class_names().is_empty());
    let mut stored = Vec::<f32>::new();
    dataset.read(&[0, 23], &mut stored).unwrap();
    assert_eq!(stored.len(), 2 * 3072);
    assert_eq!(dataset.mean().unwrap().len(), 3072);
}

#[test]
fn chunked_compressed_floats_hold_the_same_samples_as_bytes() {
    let (bytes, floats) = (neon("test.h5"), neon("test_float_chunked.h5"));
    let (bytes, floats) = (
        Dataset::open(bytes).unwrap(),
        Dataset::open(floats).unwrap(),
    );
    assert_eq!(floats.type_name(), "float32");
    assert_eq!(bytes.labels(), floats.labels());
    let order = [5, 23, 5, 0, 6, 7];
    let (mut from_bytes, mut from_floats) = (Vec::<f32>::new(), Vec::<f64>::new());
    bytes.read(&order, &mut from_bytes).unwrap();
    floats.read(&order, &mut from_floats).unwrap();
    assert!(
        from_bytes
            .iter()
            .zip(&from_floats)
            .all(|(&a, &b)| f64::from(a) == b)
    );
    assert_eq!(from_bytes.len(), from_floats.len());
}

#[test]
fn rows_are_the_same_whether_kept_or_read_one_by_one() {
    let mut dataset = Dataset::open(neon("test_float_chunked.h5")).unwrap();
    let order = [20, 3, 4, 5, 3, 11, 0, 23];
    let (mut whole, mut part) = (Vec::<f32>::new(), Vec::<f32>::new());
    dataset.read(&order, &mut whole).unwrap();
    for block in [Some(1), Some(7), Some(8), None] {
        dataset.block = block;
        dataset.cache = Mutex::new(Cache::new(100));
        dataset.read(&order, &mut part).unwrap();
        assert_eq!(whole, part, "blocks of {block:?}");
    }
}

#[test]
fn the_mean_is_the_stored_one_or_computed() {
    let per_pixel = Builder {
        mean: Some(vec![5.0, 6.0]),
        ..valid()
    }
    .open()
    .unwrap();
    assert_eq!(per_pixel.mean_source(), MeanSource::StoredPerPixel);
    assert_eq!(per_pixel.mean().unwrap(), [5.0, 6.0]);
    let per_channel = Builder {
        mean: Some(vec![5.0]),
        ..valid()
    }
    .open()
    .unwrap();
    assert_eq!(per_channel.mean_source(), MeanSource::StoredPerChannel);
    assert_eq!(per_channel.mean().unwrap(), [5.0, 5.0]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    Builder {
        lshape: vec![2, 1, 1],
        ..valid()
    }
    .write(&path);
    let computed = Dataset::open(&path).unwrap();
    assert_eq!(computed.mean_source(), MeanSource::Computed);
    assert_eq!(computed.mean().unwrap(), [2.0, 3.0]);
}

#[test]
fn class_names_are_kept() {
    let names = vec!["frowning".to_owned(), "smiling".to_owned()];
    let dataset = Builder {
        names: Some(Attribute::Strings(names.clone())),
        ..valid()
    }
    .open();
    assert_eq!(dataset.unwrap().class_names(), names);
    let problem = Builder {
        names: Some(Attribute::Strings(names[..1].to_vec())),
        ..valid()
    }
    .problem();
    assert!(problem.contains("1 class names for 2 classes"), "{problem}");
}

#[test]
fn a_file_with_something_missing_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    Writer::create(&path).unwrap().finish().unwrap();
    let problem = Dataset::open(&path).err().unwrap().to_string();
    assert!(
        problem.contains("data.h5: has no dataset `input`"),
        "{problem}"
    );
    assert!(problem.contains("graft prepare"), "{problem}");
    let problem = Builder {
        nclass: None,
        ..valid()
    }
    .problem();
    assert!(
        problem.contains("output: has no attribute `nclass`"),
        "{problem}"
    );
}

#[test]
fn shapes_that_contradict_each_other_are_refused() {
    let problem = Builder {
        lshape: vec![3, 32, 32],
        ..valid()
    }
    .problem();
    assert!(
        problem.contains("input: attribute lshape [3, 32, 32] does not fit rows of 2"),
        "{problem}"
    );
    let problem = Builder {
        lshape: vec![2],
        ..valid()
    }
    .problem();
    assert!(
        problem.contains("not (channels, height, width)"),
        "{problem}"
    );
    let problem = Builder {
        lshape: vec![-1, -1, 2],
        ..valid()
    }
    .problem();
    assert!(
        problem.contains("not (channels, height, width)"),
        "{problem}"
    );
    let problem = Builder {
        columns: 0,
        ..valid()
    }
    .problem();
    assert!(
        problem.contains("has shape [4], not (samples, values)"),
        "{problem}"
    );
    let problem = Builder {
        output: vec![0.0, 1.0, 0.0],
        ..valid()
    }
    .problem();
    assert!(
        problem.contains("output: has shape [3, 1], but 2 samples need (2, 1)"),
        "{problem}"
    );
    let problem = Builder {
        mean: Some(vec![0.0; 3]),
        ..valid()
    }
    .problem();
    assert!(problem.contains("mean"), "{problem}");
}

#[test]
fn a_file_without_samples_is_refused() {
    let problem = Builder {
        input: vec![],
        output: vec![],
        ..valid()
    }
    .problem();
    assert!(problem.contains("input: holds no samples"), "{problem}");
}

#[test]
fn labels_must_be_classes() {
    for label in [2.0, -1.0, 0.5, f32::NAN] {
        let problem = Builder {
            output: vec![0.0, label],
            ..valid()
        }
        .problem();
        let expected = format!("label of sample 1 is {label}, but the 2 classes are 0 to 1");
        assert!(problem.contains(&expected), "{problem}");
    }
    let problem = Builder {
        nclass: Some(Attribute::Integers(vec![0])),
        ..valid()
    }
    .problem();
    assert!(problem.contains("attribute nclass is [0]"), "{problem}");
}

#[test]
fn values_that_are_not_finite_name_their_sample() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    for value in [f32::NAN, f32::INFINITY] {
        Builder {
            input: vec![1.0, 2.0, 3.0, value],
            ..valid()
        }
        .write(&path);
        let dataset = Dataset::open(&path).unwrap();
        let mut pixels = Vec::<f32>::new();
        dataset.read(&[0], &mut pixels).unwrap();
        let problem = dataset.read(&[0, 1], &mut pixels).unwrap_err().to_string();
        assert!(
            problem.contains(&format!("data.h5: input: sample 1: value 1 is {value}")),
            "{problem}"
        );
        assert!(dataset.mean().is_err());
    }
    let problem = Builder {
        mean: Some(vec![f32::NAN]),
        ..valid()
    }
    .problem();
    assert!(problem.contains("mean: contains NaN"), "{problem}");
}

#[test]
fn a_sample_that_is_not_there_is_an_error() {
    let dataset = Dataset::open(neon("test.h5")).unwrap();
    let problem = dataset
        .read(&[3, 24], &mut Vec::<f32>::new())
        .unwrap_err()
        .to_string();
    assert!(problem.contains("has no sample 24, only 24"), "{problem}");
}

#[test]
fn the_checksum_is_that_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    valid().write(&path);
    let dataset = Dataset::open(&path).unwrap();
    let expected = Sha256::digest(fs::read(&path).unwrap());
    let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(dataset.sha256().unwrap(), expected);
}
