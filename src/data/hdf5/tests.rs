use std::path::{Path, PathBuf};

use super::*;

fn types() -> File {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hdf5/types.h5");
    File::open(&path).unwrap()
}

fn table(file: &File, name: &str) -> Table {
    file.table(name).unwrap().unwrap()
}

/// A file with a 3 x 2 table, written whole or in growing chunks.
fn written(directory: &tempfile::TempDir, rows: Rows) -> PathBuf {
    let path = directory.path().join("written.h5");
    let writer = Writer::create(&path).unwrap();
    let mut table = writer.table::<u8>("table", rows, 2).unwrap();
    table.append(&[1, 2]).unwrap();
    table.append(&[3, 4, 5, 6]).unwrap();
    table
        .attribute("numbers", &Attribute::Integers(vec![-1, 2]))
        .unwrap();
    table
        .attribute("number", &Attribute::Floats(vec![0.5]))
        .unwrap();
    let long = "é".repeat(100);
    let texts = Attribute::Strings(vec![String::new(), long]);
    table.attribute("texts", &texts).unwrap();
    table.finish().unwrap();
    let mut list = writer
        .table::<f32>("group_of_its_own", Rows::Known(2), 0)
        .unwrap();
    list.append(&[1.5, 2.5]).unwrap();
    list.finish().unwrap();
    writer.finish().unwrap();
    path
}

#[test]
fn every_number_type_that_h5py_writes_is_read() {
    let file = types();
    let numbers: Vec<f64> = (3..9).map(f64::from).collect();
    for name in [
        "uint8",
        "int8",
        "uint16",
        "int16_big",
        "uint32",
        "int32_big",
        "uint64",
        "int64_big",
        "float16",
        "float32_big",
        "float32",
        "float64",
        "float64_big",
        "group/inner",
    ] {
        let table = table(&file, name);
        assert_eq!(
            (table.shape(), table.rows(), table.columns()),
            ([4, 3].as_slice(), 4, 3)
        );
        let values = table.read(1..3).unwrap();
        assert_eq!(values.to_f64(), numbers, "{name}");
        assert_eq!(values.bytes(), 6 * table.value_bytes(), "{name}");
        if !name.contains('/') {
            assert_eq!(table.type_name(), name.trim_end_matches("_big"));
        }
    }
    let odd = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
    assert_eq!(table(&file, "bool").read(1..3).unwrap().to_f64(), odd);
}

#[test]
fn rows_of_compressed_chunks_are_read_across_chunks() {
    let file = types();
    let table = table(&file, "gzip");
    assert_eq!(table.compressed_together(), Some(16));
    let expected: Vec<u8> = (15 * 6..34 * 6)
        .map(|value: i32| (value % 256) as u8)
        .collect();
    assert_eq!(table.read(15..34).unwrap(), Values::U8(expected));
}

#[test]
fn every_kind_of_attribute_that_h5py_writes_is_read() {
    let file = types();
    let table = table(&file, "uint8");
    let texts =
        |texts: &[&str]| Attribute::Strings(texts.iter().map(|&text| text.to_owned()).collect());
    let attribute = |name| table.attribute(name).unwrap();
    assert_eq!(attribute("integer"), Some(Attribute::Integers(vec![7])));
    assert_eq!(
        attribute("integers"),
        Some(Attribute::Integers(vec![1, -2, 3]))
    );
    assert_eq!(attribute("float"), Some(Attribute::Floats(vec![0.5])));
    assert_eq!(attribute("floats"), Some(Attribute::Floats(vec![0.5, 1.5])));
    assert_eq!(attribute("text"), Some(texts(&["héllo"])));
    assert_eq!(attribute("texts"), Some(texts(&["one", "", "drei"])));
    assert_eq!(attribute("fixed"), Some(texts(&["ab", "c"])));
    assert_eq!(attribute("nothing"), None);
    assert_eq!(table.attribute_names().unwrap().len(), 7);
}

#[test]
fn what_is_no_table_of_numbers_is_an_error() {
    let file = types();
    assert!(file.table("missing").unwrap().is_none());
    assert!(
        file.table("scalar")
            .err()
            .unwrap()
            .to_string()
            .contains("types.h5: scalar: is a single")
    );
    let texts = file
        .table("names")
        .and_then(|table| table.unwrap().read(0..1));
    assert!(texts.unwrap_err().to_string().contains("not numbers"));
    assert!(table(&file, "uint8").read(3..5).is_err());
}

#[test]
fn what_is_written_is_read_back() {
    for rows in [Rows::Known(3), Rows::Growing] {
        let directory = tempfile::tempdir().unwrap();
        let file = File::open(&written(&directory, rows)).unwrap();
        let table = table(&file, "table");
        assert_eq!(table.shape(), [3, 2]);
        assert_eq!(table.read(1..3).unwrap(), Values::U8(vec![3, 4, 5, 6]));
        let attribute = |name| table.attribute(name).unwrap();
        assert_eq!(attribute("numbers"), Some(Attribute::Integers(vec![-1, 2])));
        assert_eq!(attribute("number"), Some(Attribute::Floats(vec![0.5])));
        let long = "é".repeat(100);
        assert_eq!(
            attribute("texts"),
            Some(Attribute::Strings(vec![String::new(), long]))
        );
        let list = file.table("group_of_its_own").unwrap().unwrap();
        assert_eq!(
            (list.shape(), list.read(0..2).unwrap()),
            ([2].as_slice(), Values::F32(vec![1.5, 2.5]))
        );
    }
}

#[test]
fn a_table_that_does_not_fit_its_announcement_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let writer = Writer::create(&directory.path().join("short.h5")).unwrap();
    let mut table = writer.table::<u8>("table", Rows::Known(2), 2).unwrap();
    assert!(table.append(&[1, 2, 3]).is_err(), "one row and a half");
    table.append(&[1, 2]).unwrap();
    assert!(table.append(&[1, 2, 3, 4]).is_err(), "three rows of two");
    assert!(table.finish().is_err(), "one row of two");
}

#[test]
fn a_truncated_file_is_noticed_when_it_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(&directory, Rows::Known(3));
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = File::open(&path).err().unwrap().to_string();
        let expected = if length < 8 {
            "is not an HDF5 file"
        } else {
            "is truncated"
        };
        assert!(error.contains(expected), "{length} bytes: {error}");
    }
}

#[test]
fn what_is_no_hdf5_file_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let problem = |path: &Path| File::open(path).err().unwrap().to_string();
    assert!(problem(directory.path()).contains("is a directory"));
    assert!(problem(&directory.path().join("missing.h5")).contains("missing.h5: "));
}

/// Bits all over a file by h5py are flipped in turn; whatever the reader says, it must not panic.
/// The C library gives no such guarantee: version 1.10 ends in a segmentation fault.
#[cfg(not(feature = "libhdf5"))]
#[test]
fn a_damaged_file_never_panics() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged.h5");
    let bytes = std::fs::read(types().path()).unwrap();
    for place in (0..bytes.len()).step_by(19) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        std::fs::write(&path, &damaged).unwrap();
        let Ok(file) = File::open(&path) else {
            continue;
        };
        for name in file.names() {
            let Ok(Some(table)) = file.table(&name) else {
                continue;
            };
            let _ = table.read(0..table.rows().min(100));
            for attribute in table.attribute_names().unwrap_or_default() {
                let _ = table.attribute(&attribute);
            }
        }
    }
}

/// Both implementations read every table and attribute of files by h5py and by either of them.
#[cfg(feature = "libhdf5")]
#[test]
fn the_pure_and_the_native_implementation_agree() {
    macro_rules! write_by {
        ($implementation:ident, $path:expr, $rows:expr) => {{
            let writer = $implementation::Writer::create($path).unwrap();
            let mut table = writer.table::<i32>("table", $rows, 2).unwrap();
            table.append(&[1, -2, 3, 4, 5, 6]).unwrap();
            let texts = ["one", "", "zwölf"].map(str::to_owned).to_vec();
            for (name, value) in [
                ("integer", Attribute::Integers(vec![7])),
                ("floats", Attribute::Floats(vec![0.5, 1.5])),
                ("texts", Attribute::Strings(texts)),
            ] {
                table.attribute(name, &value).unwrap();
            }
            table.finish().unwrap();
            writer.finish().unwrap();
        }};
    }
    let directory = tempfile::tempdir().unwrap();
    let written = [
        "pure-known",
        "pure-growing",
        "native-known",
        "native-growing",
    ];
    let paths = written.map(|name| directory.path().join(name));
    write_by!(pure, &paths[0], Rows::Known(3));
    write_by!(pure, &paths[1], Rows::Growing);
    write_by!(native, &paths[2], Rows::Known(3));
    write_by!(native, &paths[3], Rows::Growing);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let h5py = [
        "hdf5/types.h5",
        "neon/test.h5",
        "neon/test_float_chunked.h5",
    ];
    for path in h5py.map(|name| data.join(name)).iter().chain(&paths) {
        let (pure, native) = (
            pure::File::open(path).unwrap(),
            native::File::open(path).unwrap(),
        );
        let mut names = (pure.names(), native.names());
        names.0.sort();
        names.1.sort();
        assert_eq!(names.0, names.1);
        for name in names.0 {
            if ["names", "scalar"].contains(&name.as_str()) {
                continue;
            }
            let (pure, native) = (pure.table(&name).unwrap(), native.table(&name).unwrap());
            let (pure, native) = (pure.unwrap(), native.unwrap());
            let place = pure.place();
            assert_eq!(pure.shape(), native.shape(), "{place}");
            assert_eq!(pure.type_name(), native.type_name(), "{place}");
            assert_eq!(pure.value_bytes(), native.value_bytes(), "{place}");
            assert_eq!(
                pure.compressed_together(),
                native.compressed_together(),
                "{place}"
            );
            let rows = 1..pure.rows();
            assert_eq!(pure.read(rows.clone()), native.read(rows), "{place}");
            let attributes = pure.attribute_names().unwrap();
            assert_eq!(
                attributes.len(),
                native.attribute_names().unwrap().len(),
                "{place}"
            );
            for attribute in attributes {
                let values = (pure.attribute(&attribute), native.attribute(&attribute));
                assert_eq!(values.0, values.1, "{place}: {attribute}");
            }
        }
    }
}
