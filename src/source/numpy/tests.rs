//! Arrays written as programs of protocol 0: good ones, and damaged in every part.

use super::*;
use crate::source::pickle::tests::parse;

/// The program of an array: shape and data as programs, dtype by its code and byte order.
fn program(shape: &str, code: &str, order: &str, data: &[u8]) -> Vec<u8> {
    let head = "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n";
    let dtype =
        format!("cnumpy\ndtype\n(S'{code}'\nI0\nI1\ntR(I3\nS'{order}'\nNNNI-1\nI-1\nI0\ntb");
    [
        head.as_bytes(),
        shape.as_bytes(),
        dtype.as_bytes(),
        b"I00\n",
        data,
        b"tb.",
    ]
    .concat()
}

fn values(program: &[u8]) -> Result<Numbers> {
    let pickle = parse(program)?;
    array(&pickle, pickle.root())?.values()
}

fn refusal(program: &[u8]) -> String {
    let error = values(program).err();
    error.map(|error| error.to_string()).unwrap_or_default()
}

/// The data as Python 3 writes them for Python 2.
fn latin1(text: &[u8]) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    [b"c_codecs\nencode\n(X", &length[..], text, b"S'latin1'\ntR"].concat()
}

#[test]
fn bytes_written_as_text_are_the_same_bytes() -> Result<()> {
    let characters: String = (0..=255).map(char::from).collect();
    let found = values(&program(
        "(I256\nt",
        "u1",
        "|",
        &latin1(characters.as_bytes()),
    ))?;
    assert_eq!(found, (0..=255u8).map(f32::from).collect::<Vec<_>>().into());
    // Longer than a block, with elements that two blocks could tear apart.
    let long = "\0\0\u{80}?".repeat(40_000);
    let found = values(&program("(I40000\nt", "f4", "<", &latin1(long.as_bytes())))?;
    assert_eq!(found, vec![1.0; 40_000].into());
    for text in ["€".as_bytes(), b"\xc3", b"\x80", b"\xc4\x80"] {
        let message = refusal(&program("(I1\nt", "u1", "|", &latin1(text)));
        assert!(!message.is_empty(), "{text:?}");
    }
    Ok(())
}

#[test]
fn sizes_of_arrays_are_checked_against_their_data() {
    let four = b"S'abcd'\n";
    assert!(values(&program("(I2\nI2\nt", "u1", "|", four)).is_ok());
    for shape in [
        "(I5\nt",
        "(I2\nt",
        "(t",
        "(I0\nt",
        "(I9223372036854775807\nI4\nt",
    ] {
        let message = refusal(&program(shape, "u1", "|", four));
        assert!(message.contains("has 4 bytes of data"), "{message}");
    }
    let many = format!("({}t", "I1\n".repeat(65));
    for shape in ["(I-4\nt", "(S'4'\nt", "N", "(F4\nt", many.as_str()] {
        let message = refusal(&program(shape, "u1", "|", four));
        assert!(message.contains("shape is malformed"), "{message}");
    }
}

#[test]
fn dtypes_without_plain_numbers_are_refused_by_name() {
    for code in ["O8", "S4", "V8", "c8", "b1", "U1", "M8", "f16"] {
        let message = refusal(&program("(I1\nt", code, "<", b"S'abcd'\n"));
        assert!(message.contains(&format!("dtype `{code}`")), "{message}");
    }
    let message = refusal(&program("(I1\nt", "f4", "?", b"S'abcd'\n"));
    assert!(message.contains("dtype is malformed"), "{message}");
}

#[test]
fn data_that_are_no_byte_string_are_refused() {
    for data in [
        &b"N"[..],
        b"]",
        b"I4\n",
        b"V4\n",
        b"c__builtin__\nobject\n)R",
    ] {
        let message = refusal(&program("(I1\nt", "u1", "|", data));
        assert!(message.contains("not a byte string"), "{data:?}: {message}");
    }
}
