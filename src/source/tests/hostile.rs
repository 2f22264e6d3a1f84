//! Files of other programs' formats that are damaged, or made to do harm: refused, soon, in one
//! clear line.

use std::io::{self, Cursor, Write};
use std::time::{Duration, Instant};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

fn foreign(name: &str) -> PathBuf {
    fixture(&format!("foreign/{name}"))
}

/// What [`read`] does with the bytes of a file, HDF5 apart.
fn read_bytes(bytes: Vec<u8>) -> Result<Contents> {
    let pieces = Pieces::of(bytes);
    contents(Kind::of_pieces(&pieces)?, &pieces)
}

fn refusal<T>(result: Result<T>) -> String {
    let message = result.err().map(|error| error.to_string());
    message.unwrap_or_else(|| "no error".to_string())
}

#[test]
fn files_that_cannot_be_models_are_refused_with_a_remedy() {
    for (file, problem) in [
        (
            "command.pt",
            "refuses to call `posix.system`, which no tensor needs",
        ),
        (
            "command_legacy.pt",
            "refuses to call `posix.system`, which no tensor needs",
        ),
        (
            "two.pt",
            "holds several sets of weights: `generator`, `discriminator`",
        ),
        (
            "no_weights.pt",
            "holds no weights of a model: it holds `optimizer`, `epoch`",
        ),
        (
            "objects.npz",
            "a.weight: an array of dtype `O` is not supported",
        ),
        ("bomb.npz", "promises more values than the file can hold"),
        ("bomb.h5", "promises more values than the file can hold"),
        (
            "no_weights.h5",
            "is an HDF5 file without a Keras model's weights",
        ),
        ("external.onnx", "has its values in another file"),
        ("quantized.onnx", "w_q: is quantized"),
    ] {
        let start = Instant::now();
        let message = refusal(read(&foreign(file)));
        assert!(message.contains(problem), "{file}: {message}");
        assert!(message.contains("\n  help: "), "{file}: {message}");
        assert!(
            message.starts_with(&foreign(file).display().to_string()),
            "{message}"
        );
        assert!(start.elapsed() < Duration::from_secs(5), "{file}");
    }
    assert!(!Path::new("hacked").exists());
}

#[test]
fn links_in_circles_and_out_of_the_file_are_not_followed_for_ever() -> Result<()> {
    let model = read(&foreign("circles.h5"))?;
    assert!(model.layers.iter().any(|layer| layer.name == "conv2d"));
    Ok(())
}

/// Small files of every format but HDF5.
const SMALL: [&str; 12] = [
    "flat.pt",
    "big_endian.pt",
    "module.pt",
    "nested.pth",
    "views.pt",
    "nested_legacy.th",
    "views_legacy.pt",
    "stored.npz",
    "deflated.npz",
    "pytorch.safetensors",
    "telling.onnx",
    "typed.onnx",
];

#[test]
fn a_truncated_file_is_an_error_wherever_it_ends() -> Result<()> {
    for file in SMALL {
        let bytes = fs::read(foreign(file))?;
        // Of ONNX the end says which operators are meant, which is not looked at.
        let end = bytes.len() - if file.ends_with(".onnx") { 12 } else { 0 };
        for length in (0..end).step_by(7) {
            let cut = bytes[..length].to_vec();
            assert!(read_bytes(cut).is_err(), "{file}: {length} bytes");
        }
    }
    Ok(())
}

fn mutated(original: &[u8], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..=stream.below(4) {
        let place = stream.below(bytes.len() as u64) as usize;
        match stream.below(6) {
            0 => drop(bytes.remove(place)),
            1 => bytes.insert(place, bytes[place]),
            2 => bytes[place] = 0xff,
            _ => bytes[place] = stream.below(256) as u8,
        }
    }
    bytes
}

#[test]
fn a_mutated_file_is_read_or_refused_and_never_a_panic() -> Result<()> {
    let mut stream = Stream::new(1, "foreign mutations", &[]);
    for file in SMALL {
        let original = fs::read(foreign(file))?;
        let (mut read, mut refused) = (0, 0);
        for _ in 0..400 {
            match read_bytes(mutated(&original, &mut stream)) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
        // Both happen, or the test tests nothing; an archive of PyTorch with checksums forgives little.
        assert!(
            read > 5 && refused > 20,
            "{file}: {read} read, {refused} refused"
        );
    }
    Ok(())
}

#[test]
fn a_mutated_hdf5_file_is_read_or_refused_and_never_a_panic() -> Result<()> {
    let mut stream = Stream::new(1, "keras mutations", &[]);
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("mutated.h5");
    for file in ["keras1.h5", "keras2_whole.h5", "keras3.weights.h5"] {
        let original = fs::read(foreign(file))?;
        for _ in 0..150 {
            fs::write(&path, mutated(&original, &mut stream))?;
            let start = Instant::now();
            drop(read(&path));
            assert!(start.elapsed() < Duration::from_secs(10));
        }
        for length in (0..original.len()).step_by(997) {
            fs::write(&path, &original[..length])?;
            assert!(read(&path).is_err(), "{file}: {length} bytes");
        }
    }
    Ok(())
}

/// An archive as PyTorch writes it: this pickle, and the storage 0 of these bytes.
fn archive(program: &[u8], storage: &[u8]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in [("archive/data.pkl", program), ("archive/data/0", storage)] {
        zip.start_file(name, stored).map_err(io::Error::other)?;
        zip.write_all(content)?;
    }
    Ok(zip.finish().map_err(io::Error::other)?.into_inner())
}

/// A tensor of a storage of `count` floats.
fn tensor(count: &str, offset: &str, shape: &str, strides: &str) -> String {
    format!(
        "ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\n\
         I{count}\ntQI{offset}\n({shape}t({strides}tI00\nccollections\nOrderedDict\n)RtR"
    )
}

/// The characters of `program` are bytes.
fn read_program(program: &str) -> Result<Contents> {
    let program: Vec<u8> = program.chars().map(|byte| byte as u8).collect();
    read_bytes(archive(&program, &[0; 16])?)
}

#[test]
fn tensors_that_do_not_fit_their_storage_are_refused() {
    let read = |tensor: String| read_program(&format!("}}S'l.weight'\n{tensor}s."));
    assert!(read(tensor("4", "0", "I4\n", "I1\n")).is_ok());
    for (tensor, problem) in [
        (
            tensor("4", "1", "I4\n", "I1\n"),
            "reaches beyond its storage of 4 elements",
        ),
        (
            tensor("4", "9223372036854775807", "I1\n", "I1\n"),
            "reaches beyond its storage",
        ),
        (
            tensor("5", "0", "I4\n", "I1\n"),
            "has 16 bytes, not 5 elements",
        ),
        (
            tensor("9223372036854775807", "0", "I4\n", "I1\n"),
            "has 16 bytes, not",
        ),
        (
            tensor("4", "0", "I5\n", "I1\n"),
            "reaches beyond its storage",
        ),
        (tensor("4", "-1", "I1\n", "I1\n"), "is a malformed tensor"),
        (tensor("4", "3", "I2\n", "I-1\n"), "is a malformed tensor"),
        (tensor("4", "0", "I2\nI2\n", "I1\nI1\n"), "elements overlap"),
        (
            tensor("4", "0", "I2\n", "I1\nI1\n"),
            "shape and strides are impossible",
        ),
        (
            tensor("4", "0", "I4611686018427387904\nI4\n", "I0\nI0\n"),
            "are impossible",
        ),
        (
            tensor("4", "0", "I1000000000000\n", "I0\n"),
            "promises more values",
        ),
        (
            tensor("4", "0", "I4\n", "I1\n").replace("S'0'", "S'1'"),
            "its storage `1` is missing",
        ),
        (
            tensor("4", "0", "I4\n", "I1\n").replace("FloatStorage", "ComplexFloatStorage"),
            "has a storage of type `torch.ComplexFloatStorage`",
        ),
    ] {
        let message = refusal(read(tensor));
        assert!(
            message.contains("l.weight") && message.contains(problem),
            "{message}"
        );
    }
}

#[test]
fn pickles_that_nest_or_circle_do_no_harm() {
    // A dictionary within a dictionary, a hundred thousand times.
    let deep = format!("{}N{}.", "}S'model'\n".repeat(100_000), "s".repeat(100_000));
    // One that holds itself, and each dictionary of ten its neighbours ten times over.
    let circle = "}p0\nS'model'\ng0\ns.";
    let mut bush = String::new();
    for level in 0..10 {
        bush += &format!("}}p{level}\n");
        for key in 0..10 {
            let below = format!("g{}\n", level - 1);
            let inner = if level == 0 { "N" } else { below.as_str() };
            bush += &format!("S'{key}'\n{inner}s");
        }
    }
    bush += ".";
    // A module among its own modules.
    let module = "cm\nNet\n)\u{81}p0\n}S'_modules'\n}S'a'\ng0\nssb.";
    for program in [deep.as_str(), circle, &bush, module] {
        let start = Instant::now();
        let message = refusal(read_program(program));
        assert!(message.contains("help: "), "{message}");
        assert!(start.elapsed() < Duration::from_secs(10), "{message}");
    }
}

#[test]
fn commands_are_refused_however_they_are_written() {
    for program in [
        "cos\nsystem\n(S'touch hacked'\ntR.",
        "}S'state_dict'\n}sS'hook'\ncbuiltins\neval\n(S'1'\ntRs.",
        "ctorch.storage\n_load_from_bytes\n(S'x'\ntR.",
        "ctorch.hub\nload\n(S'x'\ntR.",
    ] {
        let message = refusal(read_program(program));
        assert!(message.contains("refuses to call `"), "{message}");
    }
    // An object of a class is nothing, and holds nothing.
    let object = format!(
        "}}S'args'\ncargparse\nNamespace\n)\u{81}}}S'lr'\nF0.1\nsbsS'l.weight'\n{}s.",
        tensor("4", "0", "I4\n", "I1\n")
    );
    assert_eq!(
        read_program(&object).map(|contents| contents.layers.len()),
        Ok(1)
    );
}

#[test]
fn a_script_is_told_from_a_state_dict() -> Result<()> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["net/data.pkl", "net/constants.pkl", "net/code/net.py"] {
        zip.start_file(name, SimpleFileOptions::default())
            .map_err(io::Error::other)?;
    }
    let bytes = zip.finish().map_err(io::Error::other)?.into_inner();
    assert!(refusal(read_bytes(bytes)).contains("is a compiled TorchScript model"));
    Ok(())
}
